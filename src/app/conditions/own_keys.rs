//! Our own keys: where signing and decrypting end, for everybody or for a partner that has not accepted what follows.
//!
//! A partner that was asked to trust a new key gets what the old one signs until it says that it does, and at the end of
//! the old one what the new one signs ([`KeyRing::signing_key`](crate::keys::KeyRing::signing_key)), which it refuses. So
//! for this partner the new key takes over from no other. What it was not asked about counts as accepted: it was handed over
//! by other means.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Ending, Held, end};
use crate::as2::cem::CertUsage;
use crate::cms::{KeyTransport, SignatureScheme};
use crate::keys::{StationKey, Window};
use crate::partner::{Directory, Partner};
use crate::store::Store;
use crate::store::exchange::CertificateExchange;
use crate::store::record::Direction;

/// Certificates of ours that partners were asked to trust and have not said to trust, by the ids of the partners.
#[derive(Debug, Default)]
pub(in crate::app) struct Awaited {
    signing: BTreeMap<String, Withheld>,
    encrypting: BTreeMap<String, Withheld>,
}

impl Awaited {
    /// What these exchanges, newest first, come to: for signatures as the store tells it to whoever signs.
    pub(in crate::app) fn of(store: &Store, exchanges: &[CertificateExchange]) -> Awaited {
        let mut asked: BTreeMap<&str, Vec<&CertificateExchange>> = BTreeMap::new();
        for one in exchanges.iter().filter(|one| one.direction == Direction::Outbound) {
            asked.entry(one.partner.as_str()).or_default().push(one);
        }
        let mut awaited = Awaited::default();
        for (partner, asked) in asked {
            let signing = Withheld::of(store.awaited_certificates(partner), &asked);
            let encrypting = Withheld::of(not_encrypted_to(&asked), &asked);
            awaited.signing.extend(signing.map(|withheld| (partner.to_owned(), withheld)));
            awaited.encrypting.extend(encrypting.map(|withheld| (partner.to_owned(), withheld)));
        }
        awaited
    }
}

/// What a partner has not accepted for one use.
#[derive(Debug)]
struct Withheld {
    fingerprints: Vec<String>,
    /// When the partner was asked for the first of them.
    since: Timestamp,
}

impl Withheld {
    /// These, of which the partner was asked so; `None` when there are none.
    fn of(fingerprints: Vec<String>, asked: &[&CertificateExchange]) -> Option<Withheld> {
        let names = |one: &CertificateExchange| {
            one.certificates.iter().any(|certificate| fingerprints.contains(&certificate.fingerprint))
        };
        let since = asked.iter().filter(|one| names(one)).map(|one| one.asked).min()?;
        Some(Withheld { fingerprints, since })
    }

    /// Where the use of what is not withheld ends, if something withheld goes on then. When all is withheld, it is used as
    /// it is. What had ended before the partner was asked is left out: it is not what is used meanwhile.
    fn end<'k>(&self, held: &[Held<'k>], now: Timestamp) -> Option<Ending<'k>> {
        let is_left = |(certificate, window): &&Held<'k>| {
            window.until >= self.since && !self.fingerprints.contains(&certificate.fingerprint().to_string())
        };
        let left: Vec<Held<'k>> = held.iter().filter(is_left).copied().collect();
        let (left, all) = (end(&left, now)?, end(held, now)?);
        (left.at < all.at).then_some(left)
    }
}

/// Fingerprints of what the partner was asked to encrypt to and has not accepted, or not the last time. As
/// [`Store::awaited_certificates`] of what signs.
fn not_encrypted_to(asked: &[&CertificateExchange]) -> Vec<String> {
    let is_accepted = |fingerprint: &str| {
        let mut about = asked.iter().filter(|one| to_encrypt_to(one).any(|asked| asked == fingerprint));
        about.find_map(|one| one.word(fingerprint)).is_some_and(|word| word.accepted)
    };
    let all = asked.iter().flat_map(|one| to_encrypt_to(one));
    all.filter(|fingerprint| !is_accepted(fingerprint)).map(str::to_owned).collect()
}

/// Fingerprints of what an exchange asks to encrypt to.
fn to_encrypt_to(exchange: &CertificateExchange) -> impl Iterator<Item = &str> {
    let asked = exchange.certificates.iter().filter(|asked| asked.usages.contains(&CertUsage::KeyEncipherment));
    asked.map(|asked| asked.fingerprint.as_str())
}

/// The ends of signing, in each way that an enabled partner wants, and of decrypting: by keys of the kind to which the
/// partner's own certificates are held, since its product writes to others as it reads itself; by any of our keys where
/// none is of that kind or nothing is encrypted to the partner. A key decrypts as long as it is configured, but nobody
/// encrypts to a certificate that has expired. Besides, for each enabled partner, the ends of what it has accepted.
pub(super) fn ends<'k>(
    keys: &'k [StationKey],
    partners: &'k Directory,
    awaited: &Awaited,
    now: Timestamp,
) -> Vec<Ending<'k>> {
    let enabled = || partners.all().filter(|partner| partner.enabled);
    let signing = partners.signed_by().into_iter().map(|scheme| signing(keys, scheme));
    let mut transports: Vec<_> = enabled().map(|partner| transport(partner)).collect();
    if transports.is_empty() {
        transports.push(None);
    }
    let decrypting = transports.into_iter().map(|transport| decrypting(keys, transport));
    let ends = signing.chain(decrypting).filter_map(|held| end(&held, now));
    ends.chain(enabled().flat_map(|partner| withheld(keys, partner, awaited, now))).collect()
}

/// The ends of what this partner has accepted, where others of our keys go on that are withheld for it.
fn withheld<'k>(keys: &'k [StationKey], partner: &'k Partner, awaited: &Awaited, now: Timestamp) -> Vec<Ending<'k>> {
    let signed = (signing(keys, partner.agreement.sign), awaited.signing.get(&partner.id));
    let encrypted = (decrypting(keys, transport(partner)), awaited.encrypting.get(&partner.id));
    let ends = [signed, encrypted].into_iter().filter_map(|(held, withheld)| withheld?.end(&held, now));
    ends.map(|ending| Ending { partner: Some(partner.id.as_str()), ..ending }).collect()
}

/// How keys travel to the partner; `None` where nothing is encrypted to it.
fn transport(partner: &Partner) -> Option<KeyTransport> {
    partner.agreement.encrypt.map(|_| partner.agreement.key_transport)
}

/// What signs with this scheme.
fn signing(keys: &[StationKey], scheme: Option<SignatureScheme>) -> Vec<Held<'_>> {
    let fits = |key: &&StationKey| key.uses.sign && scheme.is_none_or(|scheme| scheme.fits(key.key.kind()));
    keys.iter().filter(fits).map(|key| (&key.certificate, key.window)).collect()
}

/// What is encrypted to by whoever has keys travel so.
fn decrypting(keys: &[StationKey], transport: Option<KeyTransport>) -> Vec<Held<'_>> {
    let decrypting = || keys.iter().filter(|key| key.uses.decrypt);
    let is_of_kind = |key: &StationKey| transport.is_none_or(|transport| transport.fits(key.key.kind()));
    let none = !decrypting().any(is_of_kind);
    let held = decrypting().filter(|key| none || is_of_kind(key));
    held.map(|key| (&key.certificate, Window::of(&key.certificate))).collect()
}
