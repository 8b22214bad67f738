//! Which signatures were seen, so that what a partner sends now is told from a recording of it.
//!
//! A recorded message verifies wherever it is sent from, and no signature covers its Message-ID: under another one it is a new
//! message. So a signature tells where its signer is only when it cannot be a recording's:
//!
//! | it must | because |
//! |---|---|
//! | have a signing time not before the start of this process | what was signed earlier may have been taken earlier, and no process remembers what another saw |
//! | have one later than that of each signature of its partner, or by its certificate, that was forgotten | of so many signatures (`MOST`) the oldest gives way |
//! | have one at most five minutes ahead of our clock | later it would be as good as new |
//! | be none that is remembered of its partner, nor by its certificate | |
//!
//! By its certificate, for no signature covers the AS2 names either: of two partners with one certificate, a recording of the one
//! would be new at the other. All certificates of one public key are one here: a renewed one verifies what was signed before. And of
//! its partner, whatever certificate it is by.
//!
//! What counts is the signing time, not the time at which a message came: with that of what is forgotten everything up to it is in
//! doubt, whenever it comes again. A partner's clock moves nobody but itself on.
//!
//! So a partner that signs without a time, or whose clock is more than five minutes ahead, never shows where it is by a signature;
//! one whose clock is behind does so that much later after each start. A TLS client certificate tells it all the same
//! (`failures`). A clock that is ahead signs for a time to come, and a start forgets: by how much it was ahead stands in the
//! record of what was accepted ([`Evidence::ahead`](crate::store::record::Evidence::ahead)), and its partner is believed
//! that much later after the next start, as far as the latest messages tell. Our own clock, set back between two starts, is believed
//! again when it shows what it had shown.
//!
//! It is remembered what was signed, not the signature's own value: from an ECDSA signature anybody can make another that is right.
//! And only a message that was opened is remembered. One that was held up on its way here, or was signed for somebody else
//! who passes it on, tells where it comes from that one time.
//!
//! The message under another Message-ID is delivered all the same, for nothing shows that its partner did not mean it: with the
//! same content within one second, or without a signing time, a partner signs the same twice. People are told
//! (`signature-reused`), of each such signature once, where that is not what is likely: a signature with a time comes from where
//! the partner is not known to be, or more than a minute after it was made.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use openssl::sha::Sha256;

use super::Inbound;
use super::candidate::Candidate;
use crate::as2::Opened;
use crate::bilingual;
use crate::cms::{Certificate, Fingerprint};
use crate::ground::clock::Clock;
use crate::ground::id::Id;
use crate::partner::Partner;
use crate::store::alert::Level;
use crate::store::record::{DedupKey, Reason};

/// A signature that was found right.
pub(super) struct Signed<'a> {
    /// Id of the partner.
    pub(super) partner: &'a str,
    /// The key that it is by.
    pub(super) signer: Mark,
    /// Digest of what is signed.
    pub(super) digest: &'a [u8],
    /// When its signer says that it was made.
    pub(super) at: Option<Timestamp>,
    /// What identifies the message.
    pub(super) key: &'a DedupKey,
    /// The reception.
    pub(super) id: Id,
}

/// What a signature tells of where its message comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    /// No recording has it: its signer is there.
    Fresh,
    /// Nothing: it was not seen, but a recording may have it.
    Doubtful,
    /// Nothing: it came with the same message before.
    Repeated,
    /// Nothing: it came with another message before, in this reception.
    Reused(Id),
}

/// The signatures that are remembered.
#[derive(Debug)]
pub(super) struct Recordings {
    clock: Arc<dyn Clock>,
    /// When this process began to remember.
    begun: Timestamp,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    /// Which of the signatures a mark is of, counted from the first of this process.
    known: HashMap<Mark, u64>,
    /// All that are known, the oldest first.
    order: VecDeque<Known>,
    /// How many were forgotten: the number of the oldest that is known.
    forgotten: u64,
    /// Of each partner and each signer: from which signing time on all of its signatures are known.
    since: HashMap<Mark, Timestamp>,
}

#[derive(Debug)]
struct Known {
    /// As its partner's, and as its signer's.
    marks: [Mark; 2],
    /// These two.
    owners: [Mark; 2],
    at: Option<Timestamp>,
    message: Mark,
    id: Id,
}

/// What stands for a partner or signer, for a signature of one, or for a message: half of a SHA-256, since there are many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Mark([u8; 16]);

impl Recordings {
    /// Nothing is remembered yet.
    pub(super) fn new(clock: Arc<dyn Clock>) -> Recordings {
        let begun = clock.now();
        Recordings { clock, begun, memory: Mutex::default() }
    }

    /// What a signature tells; from now on it is known.
    pub(super) fn see(&self, signed: &Signed<'_>) -> Sight {
        let latest = later(self.clock.now(), AHEAD);
        let owners = [Mark::of_partner(signed.partner), signed.signer];
        let marks = owners.map(|owner| Mark::of([&owner.0[..], signed.digest]));
        let DedupKey { from, to, message_id } = signed.key;
        let message = Mark::of([from.as_bytes(), to.as_bytes(), message_id.as_bytes()]);
        let mut memory = self.memory();
        match memory.known(&marks) {
            Some(known) if known.message == message => return Sight::Repeated,
            Some(known) => return Sight::Reused(known.id),
            None => {}
        }
        let [of_partner, of_signer] = owners.map(|owner| memory.since(owner, self.begun));
        memory.remember(Known { marks, owners, at: signed.at, message, id: signed.id });
        let tells = signed.at.is_some_and(|at| of_partner.max(of_signer) <= at && at <= latest);
        if tells { Sight::Fresh } else { Sight::Doubtful }
    }

    /// An earlier process took messages of a partner, signed by `signer`, until `at`, with signing times up to `ahead` seconds
    /// ahead of its clock.
    pub(super) fn unknown_until(&self, partner: &str, signer: Option<Mark>, at: Timestamp, ahead: u64) {
        let ahead = SignedDuration::from_secs(i64::try_from(ahead).unwrap_or(i64::MAX));
        let mut memory = self.memory();
        for owner in [Some(Mark::of_partner(partner)), signer].into_iter().flatten() {
            memory.since(owner, self.begun);
            memory.forget_until(owner, later(at.max(self.begun), ahead));
        }
    }

    /// By how many seconds at most a signing time is ahead of our clock.
    pub(super) fn ahead(&self, at: Option<Timestamp>) -> u64 {
        let ahead = at.map(|at| at.duration_since(self.clock.now())).filter(SignedDuration::is_positive);
        ahead.map_or(0, |ahead| u64::try_from(ahead.as_secs()).unwrap_or(0).saturating_add(1))
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    /// From when on all signatures of a partner or signer are known.
    fn since(&mut self, owner: Mark, begun: Timestamp) -> Timestamp {
        *self.since.entry(owner).or_insert(begun)
    }

    /// The signature that one of these marks is of.
    fn known(&self, marks: &[Mark]) -> Option<&Known> {
        let number = marks.iter().find_map(|mark| self.known.get(mark))?;
        self.order.get(usize::try_from(number.checked_sub(self.forgotten)?).ok()?)
    }

    fn remember(&mut self, known: Known) {
        if self.order.len() >= MOST
            && let Some(Known { marks, owners, at, .. }) = self.order.pop_front()
        {
            self.forgotten = self.forgotten.saturating_add(1);
            for mark in &marks {
                self.known.remove(mark);
            }
            if let Some(at) = at {
                owners.into_iter().for_each(|owner| self.forget_until(owner, at));
            }
        }
        let number = self.forgotten.saturating_add(u64::try_from(self.order.len()).unwrap_or(u64::MAX));
        self.known.extend(known.marks.map(|mark| (mark, number)));
        self.order.push_back(known);
    }

    /// Signatures of this partner or signer with this signing time, or an earlier one, may have been seen.
    fn forget_until(&mut self, owner: Mark, at: Timestamp) {
        if let Some(since) = self.since.get_mut(&owner) {
            // Signing times are of whole seconds (RFC 5652 11.3).
            *since = later(at, SignedDuration::from_secs(1)).max(*since);
        }
    }
}

impl Mark {
    fn of_partner(id: &str) -> Mark {
        Mark::of([&b"partner"[..], id.as_bytes()])
    }

    /// A signer by the public key of its certificate; by the certificate's fingerprint if that is all there is.
    pub(super) fn of_signer(fingerprint: Fingerprint, certificate: Option<&Certificate>) -> Mark {
        let key = certificate.map_or(fingerprint.0, Certificate::public_key_digest);
        Mark::of([&b"signer"[..], &key])
    }

    fn of<const N: usize>(parts: [&[u8]; N]) -> Mark {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hasher.update(part);
        }
        let mut mark = [0; 16];
        mark.iter_mut().zip(hasher.finish()).for_each(|(to, from)| *to = from);
        Mark(mark)
    }
}

fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

impl Inbound {
    /// What the signature of a message that was opened tells of where it comes from; nothing can without one.
    pub(super) fn sight(&self, candidate: &Candidate, key: &DedupKey, opened: &Opened) -> Option<Sight> {
        let valid = opened.signature.as_ref()?;
        let (partner, id) = (candidate.partner.id.as_str(), candidate.id);
        let mut trusted = candidate.partner.certificates.certificates().iter().map(|one| &one.certificate);
        let certificate = trusted.find(|certificate| certificate.fingerprint() == valid.signer());
        let signer = Mark::of_signer(valid.signer(), certificate);
        let (digest, at) = (valid.signed_digest(), valid.signing_time());
        Some(self.recordings.see(&Signed { partner, signer, digest, at, key, id }))
    }

    /// A message was accepted whose signature, made at `signed`, had come with another one, in the reception `first`.
    /// `came`: when it was received; `elsewhere`: not from where the partner is known to be.
    pub(super) fn tell_of_reuse(
        &self,
        id: Id,
        partner: &Partner,
        first: Id,
        (signed, came, elsewhere): (Option<Timestamp>, Timestamp, bool),
    ) {
        let (partner, alerts) = (partner.id.as_str(), self.store.alerts());
        if !is_suspicious(signed, elsewhere, came) {
            tracing::info!(%id, %partner, %first, code = REUSED, "accepted with the signature of another message: the same content once more");
            return;
        }
        let standing = alerts.condition(&format!("gateway.{REUSED}.{partner}"));
        let mut subjects = standing.map(|standing| standing.subjects).unwrap_or_default();
        if subjects.len() < TOLD && subjects.insert(first.to_string()) {
            tracing::warn!(%id, %partner, %first, code = REUSED, "accepted, though its signature came with another message before: it may be a recording");
        } else {
            tracing::info!(%id, %partner, %first, code = REUSED, "the signature of another message once more");
        }
        let text = bilingual!(
            "伙伴 {partner} 的报文 {id} 与此前收到的 {first} 签名相同，只有 Message-ID 或 AS2 名称不同，已再次投递。可能有人录下报文后重新发送（来源地址见 dxgate messages show {id} --format json），也可能是对方在一秒之内对相同内容签名两次。请与对方核实，避免重复处理。",
            "message {id} of partner {partner} has the signature that came as {first} before, under another Message-ID or AS2 name, and was delivered as well. Somebody may have recorded the message and sent it again (dxgate messages show {id} --format json has the address), or the partner signed the same content twice within a second. Ask the partner, and see that the content is not processed twice."
        );
        let reason = Reason { code: REUSED.to_owned(), text };
        alerts.raise_about(subjects, Level::Security, reason, Some(partner), self.clock.now());
    }
}

/// Whether a signature that comes again, with another message, is likely to be a recording's.
fn is_suspicious(signed: Option<Timestamp>, elsewhere: bool, came: Timestamp) -> bool {
    signed.is_some_and(|signed| elsewhere || came.duration_since(signed) > AT_ONCE)
}

/// Whoever sends the same content twice at once may sign it within one second.
const AT_ONCE: SignedDuration = SignedDuration::from_mins(1);
/// A signature came with another message before.
const REUSED: &str = "signature-reused";
/// Signatures of which people are told one by one, for each partner, while the alert stands.
const TOLD: usize = 64;
/// Signatures that are remembered, in eleven megabytes at most.
const MOST: usize = 50_000;
/// A partner's clock may be ahead of ours by so much.
const AHEAD: SignedDuration = SignedDuration::from_mins(5);

#[cfg(test)]
mod tests {
    use openssl::asn1::Asn1Time;
    use openssl::bn::BigNum;
    use openssl::ec::{EcGroup, EcKey};
    use openssl::hash::MessageDigest;
    use openssl::nid::Nid;
    use openssl::pkey::{PKey, PKeyRef, Private};
    use openssl::x509::X509;

    use super::*;
    use crate::ground::clock::ManualClock;

    const START: i64 = 1_800_000_000;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(START + second).unwrap()
    }

    fn begun() -> (Recordings, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::new(at(0)));
        (Recordings::new(clock.clone()), clock)
    }

    #[test]
    fn the_same_content_signed_twice_at_once_or_without_a_time_is_no_news() {
        let cases = [
            (Some(0), false, 30, false),
            (Some(0), true, 30, true),
            (Some(0), false, 61, true),
            (None, false, 30, false),
            (None, true, 30, false),
        ];
        for (signed, elsewhere, now, told) in cases {
            assert_eq!(is_suspicious(signed.map(at), elsewhere, at(now)), told, "{signed:?} {elsewhere} {now}");
        }
    }

    /// A key that the partner alone has.
    fn own(partner: &str) -> Mark {
        Mark::of([&b"signer"[..], partner.as_bytes()])
    }

    /// A certificate of `key`, the first one or a renewed one.
    fn certificate_of(key: &PKeyRef<Private>, serial: u32) -> Certificate {
        let mut builder = X509::builder().unwrap();
        builder.set_serial_number(&BigNum::from_u32(serial).unwrap().to_asn1_integer().unwrap()).unwrap();
        builder.set_not_before(&Asn1Time::from_unix(START).unwrap()).unwrap();
        builder.set_not_after(&Asn1Time::from_unix(START + 3600).unwrap()).unwrap();
        builder.set_pubkey(key).unwrap();
        builder.sign(key, MessageDigest::sha256()).unwrap();
        Certificate::from_x509(&builder.build()).unwrap()
    }

    #[test]
    fn certificates_of_one_key_are_one_signer_at_every_partner() {
        let key = || {
            let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
            PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
        };
        let (first_key, other_key) = (key(), key());
        let (one, renewed) = (certificate_of(&first_key, 1), certificate_of(&first_key, 2));
        let other = certificate_of(&other_key, 1);
        let signer = |certificate: &Certificate| Mark::of_signer(certificate.fingerprint(), Some(certificate));
        assert_ne!(one.fingerprint(), renewed.fingerprint());
        let (recordings, first) = (begun().0, Id::new(at(1)));
        let by = |partner, signer| see_by(&recordings, (partner, signer), 1, Some(0), ("a", first));
        assert_eq!(by("p", signer(&one)), Sight::Fresh);
        assert_eq!(by("q", signer(&renewed)), Sight::Reused(first), "a recording of what the other partner sent");
        assert_eq!(by("r", signer(&other)), Sight::Fresh, "another key");
    }

    /// What the signature with this number tells, with the message of the same name.
    fn see(recordings: &Recordings, partner: &str, number: usize, signed: Option<i64>) -> Sight {
        see_in(recordings, partner, number, signed, (&number.to_string(), Id::new(at(0))))
    }

    fn see_in(
        recordings: &Recordings,
        partner: &str,
        number: usize,
        signed: Option<i64>,
        (message_id, id): (&str, Id),
    ) -> Sight {
        see_by(recordings, (partner, own(partner)), number, signed, (message_id, id))
    }

    fn see_by(
        recordings: &Recordings,
        (partner, signer): (&str, Mark),
        number: usize,
        signed: Option<i64>,
        (message_id, id): (&str, Id),
    ) -> Sight {
        let key = DedupKey { from: partner.to_owned(), to: "us".to_owned(), message_id: message_id.to_owned() };
        let digest = number.to_be_bytes();
        recordings.see(&Signed { partner, signer, digest: &digest, at: signed.map(at), key: &key, id })
    }

    #[test]
    fn a_signature_tells_where_its_signer_is_once_and_only_when_it_was_made_since_the_start() {
        let (recordings, clock) = begun();
        assert_eq!(see(&recordings, "p", 1, Some(-1)), Sight::Doubtful, "before the start");
        assert_eq!(see(&recordings, "p", 2, None), Sight::Doubtful, "without a time");
        assert_eq!(see(&recordings, "p", 3, Some(0)), Sight::Fresh);
        assert_eq!(see(&recordings, "p", 4, Some(300)), Sight::Fresh, "a clock that is a little ahead");
        assert_eq!(see(&recordings, "p", 5, Some(301)), Sight::Doubtful, "one that is too far ahead");
        clock.set(at(3600));
        assert_eq!(see(&recordings, "p", 6, Some(5)), Sight::Fresh, "held up, or by a clock that is behind");
        for (number, signed) in [(1, Some(-1)), (2, None), (3, Some(0)), (4, Some(300)), (5, Some(301))] {
            assert_eq!(see(&recordings, "p", number, signed), Sight::Repeated, "{number}");
        }
        assert_eq!(see(&recordings, "q", 3, Some(0)), Sight::Fresh, "of another partner");
    }

    #[test]
    fn a_signature_that_came_with_another_message_is_known_by_that_one() {
        let (recordings, _) = begun();
        let [first, second] = [at(1), at(2)].map(Id::new);
        assert_eq!(see_in(&recordings, "p", 1, Some(0), ("a@p", first)), Sight::Fresh);
        assert_eq!(see_in(&recordings, "p", 1, Some(0), ("b@p", second)), Sight::Reused(first));
        assert_eq!(see_in(&recordings, "p", 1, Some(0), ("b@p", second)), Sight::Reused(first), "and stays so");
        assert_eq!(see_in(&recordings, "p", 1, Some(0), ("a@p", second)), Sight::Repeated);
    }

    #[test]
    fn a_recording_of_one_partner_is_not_new_at_another_with_the_same_certificate() {
        let (recordings, _) = begun();
        let [first, second] = [at(1), at(2)].map(Id::new);
        let by = |partner, signer, message_id, id| see_by(&recordings, (partner, signer), 1, Some(0), (message_id, id));
        assert_eq!(by("p", own("shared"), "a", first), Sight::Fresh);
        assert_eq!(by("q", own("shared"), "a", second), Sight::Reused(first), "no signature covers AS2-From");
        assert_eq!(
            by("q", own("q"), "a", second),
            Sight::Fresh,
            "the same content, signed by another in the same second"
        );
        // Its next certificate, of another key.
        assert_eq!(by("p", own("renewed"), "b", second), Sight::Reused(first));
        assert_eq!(by("p", own("renewed"), "a", second), Sight::Repeated);
    }

    #[test]
    fn what_was_forgotten_of_a_certificate_is_in_doubt_at_every_partner_that_has_it() {
        let (recordings, _) = begun();
        let shared = |partner, number, signed| {
            see_by(&recordings, (partner, own("shared")), number, Some(signed), ("a", Id::new(at(1))))
        };
        assert_eq!(shared("p", 1, 10), Sight::Fresh);
        for number in 0..MOST {
            assert_eq!(see(&recordings, "busy", number, Some(0)), Sight::Fresh);
        }
        assert_eq!(shared("q", 1, 10), Sight::Doubtful);
        assert_eq!(shared("q", 2, 11), Sight::Fresh);
        recordings.unknown_until("r", Some(own("kept")), at(0), 100);
        let kept =
            |number, signed| see_by(&recordings, ("s", own("kept")), number, Some(signed), ("a", Id::new(at(1))));
        assert_eq!(
            (kept(3, 100), kept(4, 101)),
            (Sight::Doubtful, Sight::Fresh),
            "before the start, of another partner"
        );
    }

    #[test]
    fn what_was_forgotten_and_all_that_was_signed_before_it_tells_nothing_any_more() {
        let (recordings, _) = begun();
        assert_eq!(see(&recordings, "p", 0, Some(10)), Sight::Fresh);
        assert_eq!(see(&recordings, "p", 1, None), Sight::Doubtful);
        for number in 0..MOST {
            assert_eq!(see(&recordings, "busy", number, Some(20)), Sight::Fresh);
        }
        let remembered = |memory: &Memory| (memory.known.len(), memory.order.len());
        assert_eq!(remembered(&recordings.memory()), (2 * MOST, MOST));
        assert_eq!(see(&recordings, "p", 0, Some(10)), Sight::Doubtful, "a recording of what was forgotten");
        assert_eq!(see(&recordings, "p", 2, Some(9)), Sight::Doubtful, "it may have been forgotten before");
        assert_eq!(see(&recordings, "p", 3, Some(11)), Sight::Fresh, "it cannot have been");
        // By now some of its own were forgotten.
        assert_eq!(see(&recordings, "busy", MOST, Some(20)), Sight::Doubtful);
        assert_eq!(see(&recordings, "busy", MOST + 1, Some(21)), Sight::Fresh);
    }

    #[test]
    fn a_signing_time_to_come_is_as_worthless_when_it_has_come_and_the_signature_is_forgotten() {
        let (recordings, clock) = begun();
        assert_eq!(see(&recordings, "fast", 0, Some(28_800)), Sight::Doubtful);
        for number in 0..MOST {
            see(&recordings, "p", number, Some(0));
        }
        clock.set(at(28_790));
        assert_eq!(see(&recordings, "fast", 0, Some(28_800)), Sight::Doubtful);
        assert_eq!(see(&recordings, "p", MOST, Some(28_790)), Sight::Fresh, "nobody else's clock was wrong");
    }

    #[test]
    fn after_a_start_a_partner_is_believed_as_much_later_as_its_clock_was_ahead() {
        let (recordings, clock) = begun();
        assert_eq!([None, Some(at(-9)), Some(at(0))].map(|signed| recordings.ahead(signed)), [0; 3]);
        let half = at(2).checked_add(SignedDuration::from_millis(500)).unwrap();
        assert_eq!([Some(at(2)), Some(half)].map(|signed| recordings.ahead(signed)), [3, 3]);
        recordings.unknown_until("fast", None, at(-3600), 28_800);
        recordings.unknown_until("set back", None, at(100), 0);
        clock.set(at(28_800));
        assert_eq!(see(&recordings, "fast", 1, Some(28_800)), Sight::Doubtful);
        assert_eq!(see(&recordings, "fast", 2, Some(28_801)), Sight::Fresh);
        assert_eq!(see(&recordings, "set back", 1, Some(100)), Sight::Doubtful, "our clock was ahead");
        assert_eq!(see(&recordings, "set back", 2, Some(101)), Sight::Fresh);
        assert_eq!(see(&recordings, "p", 1, Some(0)), Sight::Fresh);
    }
}
