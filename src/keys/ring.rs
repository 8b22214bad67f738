//! Which of several keys is used when.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;

use super::crl::{ListEnd, RevocationLists};
use super::expiry::Expiry;
use super::window::Window;
use crate::cms::{Certificate, DecryptionKey, KeyKind, KeyTransport, PrivateKey, SignatureScheme, SigningKey};

/// What one of our keys is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyUses {
    /// Signs messages and MDNs.
    pub sign: bool,
    /// Decrypts what partners send.
    pub decrypt: bool,
}

/// One of our keys with its certificate.
#[derive(Debug, Clone)]
pub struct StationKey {
    /// What partners hold of it.
    pub certificate: Certificate,
    /// The secret half.
    pub key: PrivateKey,
    /// What it is for.
    pub uses: KeyUses,
    /// When it signs. It decrypts for as long as it is configured: a partner may be late in changing over.
    pub window: Window,
    /// Key transports it may be used with; an OAEP-only key never runs PKCS#1 v1.5.
    pub transports: Vec<KeyTransport>,
    /// The file the certificate came from, for reports.
    pub file: PathBuf,
    /// The partner that something is signed for does not trust it yet: it signs only when no other key does.
    pub withheld: bool,
}

/// Our keys. Built by the configuration, handed to whoever signs or decrypts. Clones share one ring, so that a change of
/// the configuration reaches all of them.
#[derive(Debug, Clone, Default)]
pub struct KeyRing {
    /// Newest window first.
    keys: Arc<ArcSwap<Vec<StationKey>>>,
}

impl KeyRing {
    /// A ring of these keys, in any order.
    pub fn new(mut keys: Vec<StationKey>) -> KeyRing {
        keys.sort_by_key(|key| std::cmp::Reverse(newness(&key.window, &key.certificate)));
        KeyRing { keys: Arc::new(ArcSwap::from_pointee(keys)) }
    }

    /// Holds the keys of `other` from now on, in every clone.
    pub fn replace(&self, other: &KeyRing) {
        self.keys.store(other.keys.load_full());
    }

    /// The key that signs at `now` with `scheme`: the active one whose window began last, a withheld one only when there
    /// is no other. Without a scheme an SM2 key signs only when no other does.
    pub fn signing_key(&self, now: Timestamp, scheme: Option<SignatureScheme>) -> Option<SigningKey> {
        let keys = self.keys.load();
        let active = |withheld: bool| {
            let signs = |key: &&StationKey| key.uses.sign && key.window.holds(now) && key.withheld == withheld;
            let mut active = keys.iter().filter(signs);
            match scheme {
                Some(scheme) => active.find(|key| scheme.fits(key.key.kind())),
                None => active.clone().find(|key| key.key.kind() != KeyKind::Sm2).or_else(|| active.next()),
            }
        };
        let active = active(false).or_else(|| active(true))?;
        Some(SigningKey { certificate: active.certificate.clone(), key: active.key.clone() })
    }

    /// A ring of the same keys, by itself, in which those with these fingerprints are withheld.
    #[must_use]
    pub fn withholding(&self, fingerprints: &[String]) -> KeyRing {
        let mut keys = self.keys.load().as_ref().clone();
        for key in &mut keys {
            key.withheld |= fingerprints.contains(&key.certificate.fingerprint().to_string());
        }
        KeyRing::new(keys)
    }

    /// Every key that decrypts, newest first; windows and expiry do not matter here.
    pub fn decryption_keys(&self) -> Vec<DecryptionKey> {
        let keys = self.keys.load();
        let decrypting = keys.iter().filter(|key| key.uses.decrypt);
        decrypting
            .map(|key| DecryptionKey {
                certificate: key.certificate.clone(),
                key: key.key.clone(),
                transports: key.transports.clone(),
            })
            .collect()
    }

    /// All keys, newest first.
    pub fn keys(&self) -> Arc<Vec<StationKey>> {
        self.keys.load_full()
    }

    /// Certificates that are expired at `now` or will be within `expiry::HORIZON`.
    pub fn expiring(&self, now: Timestamp) -> Vec<Expiry> {
        self.keys.load().iter().filter_map(|key| Expiry::of(&key.certificate, &key.file, now)).collect()
    }
}

/// What one of a partner's certificates is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertificateUses {
    /// Verifies signatures of messages and MDNs.
    pub verify: bool,
    /// Messages are encrypted to it.
    pub encrypt: bool,
    /// The partner's HTTPS server shows it (pinned instead of a public CA).
    pub tls: bool,
    /// The partner shows it as a TLS client.
    pub client: bool,
}

impl CertificateUses {
    /// Verifying and encrypting: what a certificate is for when nothing else is said.
    pub const MESSAGES: CertificateUses = CertificateUses { verify: true, encrypt: true, tls: false, client: false };

    /// It may come with the partner's signatures, and is for nothing.
    pub fn is_none(self) -> bool {
        !(self.verify || self.encrypt || self.tls || self.client)
    }
}

/// One of a partner's certificates.
#[derive(Debug, Clone)]
pub struct PartnerCertificate {
    /// The pinned certificate.
    pub certificate: Certificate,
    /// What it is for.
    pub uses: CertificateUses,
    /// When it is used.
    pub window: Window,
    /// The file it came from, for reports.
    pub file: PathBuf,
    /// Its issuer has taken it back: it does nothing any more.
    pub revoked: bool,
}

/// A partner's certificates.
#[derive(Debug, Clone, Default)]
pub struct CertificateSet {
    /// Newest window first.
    certificates: Vec<PartnerCertificate>,
    /// The revocation lists of their issuers.
    lists: Vec<ListEnd>,
    /// All lists that are configured: certificates that are not in the set are judged by them, those that were replaced too.
    revocation: Vec<Arc<RevocationLists>>,
}

impl CertificateSet {
    /// A set of these certificates, in any order.
    pub fn new(mut certificates: Vec<PartnerCertificate>) -> CertificateSet {
        certificates.sort_by_key(|one| std::cmp::Reverse(newness(&one.window, &one.certificate)));
        CertificateSet { certificates, lists: Vec::new(), revocation: Vec::new() }
    }

    /// The same set under these revocation lists, whoever has issued them: the issuer of a certificate that was replaced
    /// may be none of those of the set. See [`CertificateSet::is_revoked`].
    pub fn revoked_by(mut self, lists: &[Arc<RevocationLists>]) -> CertificateSet {
        self.revocation = lists.to_vec();
        for one in &mut self.certificates {
            one.revoked |= lists.iter().any(|lists| lists.revoke(&one.certificate));
            for end in lists.iter().flat_map(|lists| lists.concerning(&one.certificate)) {
                if !self.lists.contains(end) {
                    self.lists.push(end.clone());
                }
            }
        }
        self
    }

    /// The same set with what these lists take back of it besides; `None` if that is nothing.
    pub fn also_revoked_by(&self, lists: &Arc<RevocationLists>) -> Option<CertificateSet> {
        let is_news = |one: &PartnerCertificate| !one.revoked && lists.revoke(&one.certificate);
        if !self.certificates.iter().any(is_news) {
            return None;
        }
        let mut set = self.clone();
        set.certificates.iter_mut().for_each(|one| one.revoked |= lists.revoke(&one.certificate));
        set.revocation.push(lists.clone());
        Some(set)
    }

    /// The revocation lists of those who issued certificates of the set.
    pub fn lists(&self) -> &[ListEnd] {
        &self.lists
    }

    /// Whether there are lists that certificates outside of the set can be judged by.
    pub fn has_revocation_lists(&self) -> bool {
        !self.revocation.is_empty()
    }

    /// Whether a certificate that is not in the set is taken back: one that somebody shows who says to be its owner, or
    /// one that was in the set before.
    pub fn is_revoked(&self, certificate: &Certificate) -> bool {
        self.revocation.iter().any(|lists| lists.revoke(certificate))
    }

    /// What its issuers have taken back.
    pub fn revoked(&self) -> Vec<&PartnerCertificate> {
        self.certificates.iter().filter(|one| one.revoked).collect()
    }

    /// Every certificate that verifies a signature at `now`, newest first.
    pub fn verifying(&self, now: Timestamp) -> Vec<Certificate> {
        self.active(now).filter(|one| one.uses.verify).map(|one| one.certificate.clone()).collect()
    }

    /// The certificates that may come with the partner's signatures, where there are more than it signs with: all that it has,
    /// whatever they are for, whether they have ended or are revoked. Nothing is believed for them.
    pub fn carried(&self) -> Vec<Certificate> {
        let all = self.certificates.iter();
        if self.certificates.len() > 1 { all.map(|one| one.certificate.clone()).collect() } else { Vec::new() }
    }

    /// The certificate to encrypt to at `now`: of the active ones whose key works with `transport` the one whose window
    /// began last.
    pub fn encrypting(&self, now: Timestamp, transport: KeyTransport) -> Option<Certificate> {
        let fits = |one: &PartnerCertificate| one.certificate.key_kind().is_some_and(|kind| transport.fits(kind));
        self.active(now).find(|one| one.uses.encrypt && fits(one)).map(|one| one.certificate.clone())
    }

    /// The certificates pinned for the partner's HTTPS server at `now`; `None`: nothing is pinned and the system's CAs
    /// decide. When everything that is pinned has ended or is revoked, nothing is believed.
    pub fn pinned_tls(&self, now: Timestamp) -> Option<Vec<Certificate>> {
        let pins = self.certificates.iter().any(|one| one.uses.tls);
        pins.then(|| self.active(now).filter(|one| one.uses.tls).map(|one| one.certificate.clone()).collect())
    }

    /// The certificates that the partner may show as a TLS client at `now`.
    pub fn clients(&self, now: Timestamp) -> Vec<Certificate> {
        self.active(now).filter(|one| one.uses.client).map(|one| one.certificate.clone()).collect()
    }

    /// All certificates, newest first.
    pub fn certificates(&self) -> &[PartnerCertificate] {
        &self.certificates
    }

    /// Certificates that are expired at `now` or will be within `expiry::HORIZON`.
    pub fn expiring(&self, now: Timestamp) -> Vec<Expiry> {
        self.certificates.iter().filter_map(|one| Expiry::of(&one.certificate, &one.file, now)).collect()
    }

    fn active(&self, now: Timestamp) -> impl Iterator<Item = &PartnerCertificate> {
        self.certificates.iter().filter(move |one| one.window.holds(now) && !one.revoked)
    }
}

/// Sorts by the begin of use; the certificate's own begin decides between equals.
fn newness(window: &Window, certificate: &Certificate) -> (Timestamp, Timestamp) {
    (window.from, certificate.not_before())
}
