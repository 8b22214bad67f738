//! Waivers: an outdated algorithm that is allowed with one partner until a date, for a reason that is written down.

use jiff::{SignedDuration, Timestamp};

use crate::bilingual;
use crate::cms::{ContentCipher, DigestAlgorithm};
use crate::ground::clock::customs_time;
use crate::ground::text::Bilingual;

/// How long before its end a waiver is reported.
pub const HORIZON: SignedDuration = SignedDuration::from_hours(30 * 24);

/// What a waiver can allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waived {
    /// SHA-1 or MD5 in signatures, and in the digests of receipts.
    Digest(DigestAlgorithm),
    /// Triple DES or RC2.
    Cipher(ContentCipher),
    /// TLS 1.0 and 1.1 to the partner's server.
    OldTls,
}

impl Waived {
    /// Everything that needs a waiver.
    pub const ALL: [Waived; 5] = [
        Waived::Digest(DigestAlgorithm::Sha1),
        Waived::Digest(DigestAlgorithm::Md5),
        Waived::Cipher(ContentCipher::DesEde3Cbc),
        Waived::Cipher(ContentCipher::Rc2Cbc),
        Waived::OldTls,
    ];

    /// The name in configuration files.
    pub fn name(self) -> &'static str {
        match self {
            Waived::Digest(DigestAlgorithm::Sha1) => "sha-1",
            Waived::Digest(digest) => digest.micalg(),
            Waived::Cipher(cipher) => cipher.name(),
            Waived::OldTls => "old-tls",
        }
    }
}

/// One exception to the floor of SHA-256 and AES.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiver {
    /// What is allowed.
    pub algorithm: Waived,
    /// The first instant at which it is not any more.
    pub until: Timestamp,
    /// Why, for whoever audits it.
    pub reason: String,
}

impl Waiver {
    /// Whether it allows anything at `now`.
    pub fn holds(&self, now: Timestamp) -> bool {
        now < self.until
    }

    /// What to say about it at `now`, with a stable code: it has expired, or will within [`HORIZON`].
    pub fn notice(&self, now: Timestamp) -> Option<(&'static str, Bilingual)> {
        let (algorithm, until) = (self.algorithm.name(), customs_time(self.until));
        if !self.holds(now) {
            let text = bilingual!(
                "对 {algorithm} 的豁免已于 {until} 到期，相关报文将被拒绝。请对方升级后删除此项，或重新评估后延期。",
                "the waiver for {algorithm} ended at {until}: what needs it is refused. Remove it once the partner has been upgraded, or decide anew."
            );
            return Some(("waiver-expired", text));
        }
        (self.until.duration_since(now) < HORIZON).then(|| {
            let text = bilingual!(
                "对 {algorithm} 的豁免将于 {until} 到期，之后相关报文将被拒绝。请督促对方升级。",
                "the waiver for {algorithm} ends at {until}; what needs it is refused from then on. Press the partner to upgrade."
            );
            ("waiver-expires-soon", text)
        })
    }
}

/// The waivers of one partner.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Waivers(pub Vec<Waiver>);

impl Waivers {
    /// What to say about one of them at `now`, as [`Waiver::notice`]: nothing while another allows the same for longer.
    pub fn notice(&self, waiver: &Waiver, now: Timestamp) -> Option<(&'static str, Bilingual)> {
        let longer = |other: &Waiver| other.algorithm == waiver.algorithm && other.until > waiver.until;
        if self.0.iter().any(longer) { None } else { waiver.notice(now) }
    }

    /// Whether there is one for this algorithm, whenever.
    pub fn mention(&self, algorithm: Waived) -> bool {
        self.0.iter().any(|waiver| waiver.algorithm == algorithm)
    }

    /// Whether `digest` may be used at `now`: it needs no waiver, or has one.
    pub fn allow_digest(&self, digest: DigestAlgorithm, now: Timestamp) -> bool {
        !digest.is_legacy() || self.active(now).any(|waived| waived == Waived::Digest(digest))
    }

    /// Whether `cipher` may be used at `now`.
    pub fn allow_cipher(&self, cipher: ContentCipher, now: Timestamp) -> bool {
        !cipher.is_legacy() || self.active(now).any(|waived| waived == Waived::Cipher(cipher))
    }

    /// Whether the partner's server may be spoken to in TLS 1.0 and 1.1 at `now`.
    pub fn allow_old_tls(&self, now: Timestamp) -> bool {
        self.active(now).any(|waived| waived == Waived::OldTls)
    }

    /// `standing`, as far as it needs no waiver, and every digest waived at `now`.
    pub fn digests(&self, standing: &[DigestAlgorithm], now: Timestamp) -> Vec<DigestAlgorithm> {
        let waived = self.active(now).filter_map(|waived| match waived {
            Waived::Digest(digest) => Some(digest),
            Waived::Cipher(_) | Waived::OldTls => None,
        });
        standing.iter().copied().filter(|digest| !digest.is_legacy()).chain(waived).collect()
    }

    /// `standing`, as far as it needs no waiver, and every cipher waived at `now`.
    pub fn ciphers(&self, standing: &[ContentCipher], now: Timestamp) -> Vec<ContentCipher> {
        let waived = self.active(now).filter_map(|waived| match waived {
            Waived::Cipher(cipher) => Some(cipher),
            Waived::Digest(_) | Waived::OldTls => None,
        });
        standing.iter().copied().filter(|cipher| !cipher.is_legacy()).chain(waived).collect()
    }

    fn active(&self, now: Timestamp) -> impl Iterator<Item = Waived> {
        self.0.iter().filter(move |waiver| waiver.holds(now)).map(|waiver| waiver.algorithm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    fn waivers() -> Waivers {
        let until = at("2026-06-30T16:00:00Z");
        let reason = "until their upgrade".to_owned();
        Waivers(Waived::ALL.map(|algorithm| Waiver { algorithm, until, reason: reason.clone() }).to_vec())
    }

    #[test]
    fn a_waiver_allows_until_its_end_and_not_after() {
        let (before, after) = (at("2026-06-30T15:59:59Z"), at("2026-06-30T16:00:00Z"));
        let waivers = waivers();
        let standing = [DigestAlgorithm::Sha1, DigestAlgorithm::Sha256];
        assert!(waivers.digests(&standing, before).contains(&DigestAlgorithm::Md5));
        assert_eq!(waivers.digests(&standing, after), [DigestAlgorithm::Sha256]);
        assert!(waivers.allow_cipher(ContentCipher::DesEde3Cbc, before));
        assert!(!waivers.allow_cipher(ContentCipher::DesEde3Cbc, after));
        assert!(waivers.allow_old_tls(before) && !waivers.allow_old_tls(after));
        assert_eq!(waivers.ciphers(ContentCipher::STANDARD, after), ContentCipher::STANDARD);
        assert!(
            waivers.allow_digest(DigestAlgorithm::Sha512, after) && !waivers.allow_digest(DigestAlgorithm::Sha1, after)
        );
    }

    #[test]
    fn nothing_outdated_is_allowed_without_a_waiver() {
        let none = Waivers::default();
        let now = Timestamp::UNIX_EPOCH;
        // SM3 and SM4 are not outdated: an agreement that names them is enough.
        let digests = [&DigestAlgorithm::STANDARD[..], &[DigestAlgorithm::Sm3]].concat();
        assert_eq!(none.digests(&DigestAlgorithm::READABLE, now), digests);
        let ciphers = [ContentCipher::STANDARD, &[ContentCipher::Sm4Cbc]].concat();
        assert_eq!(none.ciphers(ContentCipher::ALL, now), ciphers);
    }

    #[test]
    fn the_end_is_announced_thirty_days_before() {
        let code = |when: &str| waivers().0[0].notice(at(when)).map(|(code, _)| code);
        assert_eq!(code("2026-05-01T00:00:00Z"), None);
        assert_eq!(code("2026-06-01T00:00:00Z"), Some("waiver-expires-soon"));
        assert_eq!(code("2026-07-01T00:00:00Z"), Some("waiver-expired"));
    }
}
