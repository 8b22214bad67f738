//! Step 2: decrypt, decompress, verify, on the blocking pool; then look into a DXP envelope.
//!
//! The rest of the work on a message, up to the transaction with its MDN ([`prepare`](Inbound::prepare)), follows in the same
//! job where nobody else is at its key: the way to the blocking pool and back is a good part of what a short message costs.

use std::io::{self, BufReader, Write as _};

use super::Inbound;
use super::candidate::{Arrival, Candidate};
use super::exchange::Heard;
use super::file_names::name_key;
use super::key_locks::InTurn;
use super::no_answer::NoAnswer;
use super::publish::Prepared;
use super::unwrap::Unwrapped;
use crate::as2::attachments::{Attachment, Container};
use crate::as2::request::Request;
use crate::as2::{self, AcceptPolicy, Form, OpenError, OpenFailure, OpenKeys, Opened, Outlets};
use crate::cms::{Certificate, ContentCipher, DecryptionKey, SignatureError, certs_only};
use crate::ground::drain;
use crate::ground::limits::Limits;
use crate::mime::MimeError;
use crate::partner::Partner;
use crate::store::draft::{Draft, Sink};

/// A message that satisfies the agreement, in quarantine.
pub(super) struct Verified {
    pub(super) opened: Opened,
    pub(super) payload: Draft,
    pub(super) unwrapped: Option<Unwrapped>,
    /// What it says, when it is a certificate exchange message.
    pub(super) heard: Option<Heard>,
    /// The files of a multipart of files (RFC 6362), when it was taken apart.
    pub(super) attachments: Vec<(Attachment, Draft)>,
}

/// Why there is nothing to publish.
pub(super) enum NotOpened {
    /// The message's fault; the partner is told.
    Refused(Box<OpenFailure>),
    /// The same, and the signer is one whose certificate was taken back.
    Revoked(Box<OpenFailure>),
    /// Ours; the partner shall try again.
    Storage(io::Error),
}

/// What became of a message, as far as that can be told before anything is committed.
pub(super) enum Examined {
    /// It does not open; its bytes come back.
    Unopened(Draft, NotOpened),
    /// It opens. Nobody else is judged at its key until the turns are dropped.
    Prepared(Turns, Result<Prepared, NoAnswer>),
}

/// A message's turn at its key, and at its file name where the agreement wants each once.
pub(super) type Turns = (InTurn, Option<InTurn>);

/// What one job on the blocking pool made of a message.
enum Job {
    Done(Examined),
    /// It opens, and somebody else is at its key.
    Opened(Box<(Verified, Arrival)>),
}

/// The ways of [`as2`] to open a message.
type Open = fn(
    &Request,
    &mut dyn io::Read,
    &AcceptPolicy,
    &OpenKeys<'_>,
    &Limits,
    &mut dyn io::Write,
) -> Result<Opened, OpenFailure>;

/// Why one opening came to nothing.
enum Failed {
    Opening(OpenFailure),
    Storage(io::Error),
}

impl From<Failed> for NotOpened {
    fn from(failed: Failed) -> NotOpened {
        match failed {
            Failed::Storage(error) => NotOpened::Storage(error),
            Failed::Opening(failure) if failure.cause.is_ours() => NotOpened::Storage(io::Error::other(failure.cause)),
            Failed::Opening(failure) => NotOpened::Refused(Box::new(failure)),
        }
    }
}

impl Inbound {
    /// Opens a message and finds out what it turns out to be.
    pub(super) async fn examine(&self, candidate: &Candidate, arrival: Arrival) -> Examined {
        let job = {
            let Ok(_permit) = self.openings.turn(arrival.wire.len()).await else {
                return Examined::Unopened(arrival.wire, NotOpened::Storage(io::Error::other(STOPS)));
            };
            let (flow, candidate) = (self.clone(), candidate.clone());
            drain::blocking(move || flow.open_and_prepare(&candidate, arrival)).await
        };
        match job {
            Ok(Job::Done(examined)) => examined,
            Ok(Job::Opened(opened)) => self.prepare_in_turn(candidate, *opened).await,
            Err(error) => Examined::Unopened(Draft::Inline(Vec::new()), NotOpened::Storage(io::Error::other(error))),
        }
    }

    fn open_and_prepare(&self, candidate: &Candidate, arrival: Arrival) -> Job {
        let verified = match self.open_blocking(candidate, &arrival.wire) {
            Ok(verified) => verified,
            Err(why) => return Job::Done(Examined::Unopened(arrival.wire, why)),
        };
        match self.turns_at_once(candidate, &verified.opened) {
            Some(turns) => {
                let prepared = self.prepare(candidate, turns.0.key(), verified, arrival);
                Job::Done(Examined::Prepared(turns, prepared))
            }
            None => Job::Opened(Box::new((verified, arrival))),
        }
    }

    /// Waits for those who are at the key, for another copy of the message as a rule.
    async fn prepare_in_turn(&self, candidate: &Candidate, (verified, arrival): (Verified, Arrival)) -> Examined {
        let name = name_key(candidate, &verified.opened);
        let message = self.keys.lock(candidate.key()).await;
        let name = match name {
            Some(name) => Some(self.keys.lock(name).await),
            None => None,
        };
        let (flow, candidate) = (self.clone(), candidate.clone());
        let work = move || {
            let prepared = flow.prepare(&candidate, message.key(), verified, arrival);
            Examined::Prepared((message, name), prepared)
        };
        match drain::blocking(work).await {
            Ok(examined) => examined,
            Err(error) => Examined::Unopened(Draft::Inline(Vec::new()), NotOpened::Storage(io::Error::other(error))),
        }
    }

    fn turns_at_once(&self, candidate: &Candidate, opened: &Opened) -> Option<Turns> {
        let message = self.keys.try_lock(candidate.key())?;
        let name = match name_key(candidate, opened) {
            Some(name) => Some(self.keys.try_lock(name)?),
            None => None,
        };
        Some((message, name))
    }

    /// Opens a message, whatever it turns out to be; returns its bytes.
    pub(super) async fn open(&self, candidate: &Candidate, wire: Draft) -> (Draft, Result<Verified, NotOpened>) {
        let Ok(_permit) = self.openings.turn(wire.len()).await else {
            return (wire, Err(NotOpened::Storage(io::Error::other(STOPS))));
        };
        let (flow, candidate) = (self.clone(), candidate.clone());
        let work = move || {
            let verified = flow.open_blocking(&candidate, &wire);
            (wire, verified)
        };
        match drain::blocking(work).await {
            Ok(outcome) => outcome,
            Err(error) => (Draft::Inline(Vec::new()), Err(NotOpened::Storage(io::Error::other(error)))),
        }
    }

    /// Opens it under what was agreed when it was received. A certificate that was taken back since counts no more.
    fn open_blocking(&self, candidate: &Candidate, wire: &Draft) -> Result<Verified, NotOpened> {
        let (partner, request) = (candidate.partner.as_ref(), candidate.request.as_ref());
        let agreed = candidate.agreed.as_ref();
        let decryption = self.station.keys.decryption_keys();
        let trusted = partner.trusted(agreed.at);
        let known = partner.certificates.carried();
        let keys = OpenKeys { decryption: &decryption, trusted: &trusted, known: &known };
        // Whether an unknown signer is one who was taken back is looked at before it is taken for none.
        let strict = || AcceptPolicy { unknown_signers: false, ..agreed.policy.clone() };
        let strict = agreed.policy.unknown_signers.then(strict);
        let policy = strict.as_ref().unwrap_or(&agreed.policy);
        let attempt_under = |policy: &AcceptPolicy, open: Open| -> Result<(Opened, Sink), Failed> {
            let mut body = wire.open_last(&self.store).map_err(Failed::Storage)?;
            let mut sink = Sink::hashed_by_writer(&self.store);
            // The content is not much shorter, and if it was compressed it is longer.
            match usize::try_from(wire.len()) {
                Ok(len) if len <= self.store.inline_threshold().saturating_mul(2) => sink.reserve(len),
                _ => sink = sink.spilt().map_err(Failed::Storage)?,
            }
            let mut out = sink.gathered();
            let opened = open(request, &mut body, policy, &keys, &self.limits, &mut out);
            let opened = opened.map_err(Failed::Opening)?;
            let sink = out.into_inner().map_err(|error| Failed::Storage(error.into_error()))?;
            Ok((opened, sink))
        };
        let attempt = |open: Open| attempt_under(policy, open);
        let mut way: Open = as2::open;
        let opened = match attempt(as2::open_as_named) {
            Err(Failed::Opening(failure)) if failure.is_misnamed(policy) => attempt(as2::open),
            other => other,
        };
        let opened = match opened {
            Err(Failed::Opening(failure)) if failure.lines_may_differ => {
                way = as2::open_canonical;
                in_canonical_lines(partner, request, failure, attempt(as2::open_canonical))
            }
            other => other,
        };
        let opened = match opened {
            Err(Failed::Opening(failure)) if signer_is_unknown(&failure) => {
                let distrusted = self.taken_back(candidate, wire, (&decryption, &failure))?;
                let keys = OpenKeys { decryption: &decryption, trusted: &distrusted, known: &known };
                let signed = !distrusted.is_empty() && self.opens_with(&keys, policy, (request, wire), way)?;
                match signed {
                    true => return Err(NotOpened::Revoked(Box::new(failure))),
                    false if agreed.policy.unknown_signers => attempt_under(&agreed.policy, way),
                    false => return Err(NotOpened::Refused(Box::new(failure))),
                }
            }
            other => other,
        };
        let (opened, sink) = opened.map_err(NotOpened::from)?;
        let payload = sink.finish_with(opened.payload_sha256).map_err(NotOpened::Storage)?;
        let heard = self.hear_exchange(partner, &opened, &payload).map_err(NotOpened::Storage)?;
        let unwrapped = self.unwrap(partner, &payload).map_err(NotOpened::Storage)?;
        let attachments = match unwrapped {
            None if partner.accept.split_attachments && heard.is_none() => {
                self.take_apart(partner, &opened, &payload)?
            }
            _ => Vec::new(),
        };
        Ok(Verified { opened, payload, unwrapped, heard, attachments })
    }

    /// Certificates that were taken back, to tell a signature by one of them from one by a stranger. Those that the partner's file holds
    /// no more are looked for where a stranger's signature would be taken for none: they count when they come with the signature and were
    /// configured here before, in a structure of `signature_part` octets at most. (Who leaves the certificate out, or makes that longer,
    /// could leave out the signature as well.)
    fn taken_back(
        &self,
        candidate: &Candidate,
        wire: &Draft,
        (decryption, failure): (&[DecryptionKey], &OpenFailure),
    ) -> Result<Vec<Certificate>, NotOpened> {
        let Candidate { partner, request, agreed, .. } = candidate;
        let mut taken_back = partner.distrusted(agreed.at);
        let taken_for_none = agreed.policy.unknown_signers && !failure.veiled;
        if !taken_for_none || !partner.certificates.has_revocation_lists() {
            return Ok(taken_back);
        }
        let mut body = wire.open(&self.store).map_err(NotOpened::Storage)?;
        let mut space = vec![0u8; self.limits.signature_part];
        let mut signature = io::Cursor::new(space.as_mut_slice());
        let keys = OpenKeys { decryption, trusted: &[], known: &[] };
        let (mut covered, mut payload) = (io::sink(), io::sink());
        let outlets = Outlets { covered: &mut covered, signature: &mut signature, payload: &mut payload };
        let dissected = as2::dissect(&request.headers, &mut body, &keys, None, &self.limits, Form::default(), outlets);
        // Whatever else is wrong with the message does not matter here.
        if let Err(OpenError::Body(error)) = dissected {
            return Err(NotOpened::Storage(error));
        }
        let length = usize::try_from(signature.position()).unwrap_or_default();
        let came = certs_only::read(space.get(..length).unwrap_or_default(), &self.limits).unwrap_or_default();
        let counts = |one: &Certificate| {
            let known = || self.store.certificate(&one.fingerprint().to_string()).is_some();
            one.is_valid_at(agreed.at) && partner.certificates.is_revoked(one) && known()
        };
        taken_back.extend(came.into_iter().filter(counts));
        Ok(taken_back)
    }

    /// Whether the message opens with these keys; nothing of it is kept.
    fn opens_with(
        &self,
        keys: &OpenKeys<'_>,
        policy: &AcceptPolicy,
        (request, wire): (&Request, &Draft),
        open: Open,
    ) -> Result<bool, NotOpened> {
        let mut body = wire.open(&self.store).map_err(NotOpened::Storage)?;
        match open(request, &mut body, policy, keys, &self.limits, &mut io::sink()) {
            Ok(_) => Ok(true),
            Err(failure) if failure.cause.is_ours() => Err(NotOpened::Storage(io::Error::other(failure.cause))),
            Err(_) => Ok(false),
        }
    }

    /// The files of a multipart of files; none when the payload is no such multipart, or one that cannot be taken apart: it is delivered
    /// as it came then.
    fn take_apart(
        &self,
        partner: &Partner,
        opened: &Opened,
        payload: &Draft,
    ) -> Result<Vec<(Attachment, Draft)>, NotOpened> {
        let Some(container) = Container::of(opened.content_type.as_deref()) else { return Ok(Vec::new()) };
        let payload = payload.open(&self.store).map_err(NotOpened::Storage)?;
        // All together they are held in memory about as far as one body is.
        let (mut sinks, mut held): (Vec<Sink>, usize) = (Vec::new(), 0);
        let split = container.split(&mut BufReader::new(payload), &self.limits, &mut |number, bytes| {
            if sinks.len() <= number {
                let sink = Sink::new(&self.store);
                sinks.push(if held > self.store.inline_threshold() { sink.spilt()? } else { sink });
            }
            let Some(sink) = sinks.last_mut() else { return Ok(()) };
            sink.write_all(bytes)?;
            held = held.saturating_add(if sink.is_file() { 0 } else { bytes.len() });
            Ok(())
        });
        match split {
            Ok(attachments) => {
                let drafts: io::Result<Vec<Draft>> = sinks.into_iter().map(Sink::finish).collect();
                Ok(attachments.into_iter().zip(drafts.map_err(NotOpened::Storage)?).collect())
            }
            Err(MimeError::Io(error)) => Err(NotOpened::Storage(error)),
            Err(error) => {
                let partner = &partner.id;
                tracing::warn!(%partner, code = "attachments-unreadable", "a multipart/related payload is delivered whole: {error}");
                Ok(Vec::new())
            }
        }
    }
}

/// What a second opening, over canonical lines, comes to. Should it fail too, the first failure stands, and the partner and the log
/// hear nothing of the attempt; but where the signature fits those lines and is by nobody who is known, that is what is wrong.
fn in_canonical_lines<T>(
    partner: &Partner,
    request: &Request,
    failure: OpenFailure,
    again: Result<T, Failed>,
) -> Result<T, Failed> {
    match again {
        Ok(opened) => {
            let (partner, message_id) = (&partner.id, request.message_id.as_str());
            tracing::warn!(%partner, message_id, code = "signature-canonical-lines", "the signature covers lines that end in CR LF, which the message does not have; accepted and delivered in that form");
            Ok(opened)
        }
        Err(Failed::Storage(error)) => Err(Failed::Storage(error)),
        Err(Failed::Opening(again)) if says_more(&again) => Err(Failed::Opening(again)),
        Err(Failed::Opening(_)) => Err(Failed::Opening(failure)),
    }
}

/// Nothing is opened any more.
const STOPS: &str = "the gateway stops";

/// What an opening over canonical lines found counts more than that the signature does not fit the others: trouble of ours, a
/// stranger, or that the signature fits, and there is room beside it. The partner is told the same of that.
fn says_more(again: &OpenFailure) -> bool {
    let is_room = again.veiled && matches!(again.cause, OpenError::Layers(_));
    again.cause.is_ours() || signer_is_unknown(again) || is_room
}

/// The signature is by none of the certificates that count.
fn signer_is_unknown(failure: &OpenFailure) -> bool {
    matches!(failure.cause, OpenError::Signature(SignatureError::UnknownSigner))
}

/// How the message was protected, for the meta file.
pub(super) fn cipher_name(cipher: Option<ContentCipher>) -> Option<String> {
    cipher.map(|cipher| cipher.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::as2::Disposition;

    #[test]
    fn room_beside_a_signature_that_fits_canonical_lines_is_what_is_told() {
        let failure = |cause, veiled| {
            let told = Disposition::decryption_failed();
            OpenFailure { told, explanation: "", mic: None, cause, veiled, lines_may_differ: false }
        };
        assert!(says_more(&failure(OpenError::Layers("room"), true)));
        assert!(!says_more(&failure(OpenError::Layers("something else"), false)));
        assert!(!says_more(&failure(OpenError::Signature(SignatureError::DigestMismatch), true)));
    }
}
