//! Receptions whose MDN goes out later: durable first, an empty 2xx, then the rest of the flow in the background.
//!
//! However late that is, a message is judged by what was agreed when it was taken; but what was taken back since, and keys and
//! certificates that are not there any more, do not count. What was accepted is never judged again: it is owed its MDN (`owed`).

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::Inbound;
use super::candidate::{Candidate, dedup_key};
use super::failures::Admission;
use super::no_answer::NoAnswer;
use super::receive::{MessageArrived, Reception, beginning, busy, too_many};
use super::recordings::Mark;
use super::reply::Answer;
use super::terms;
use crate::as2::request::{self, Incoming, Request};
use crate::as2::{SentMics, headers};
use crate::bilingual;
use crate::cms::Certificate;
use crate::ground::id::Id;
use crate::ground::space::Promise;
use crate::ground::text::Bilingual;
use crate::http::Reply;
use crate::mime::Headers;
use crate::partner::Partner;
use crate::store::draft::Draft;
use crate::store::record::{Body, Fact, JobKind, Message, State};
use crate::store::{Filter, Transaction};

/// Pauses before a reception that our own storage failed is opened again.
const RETRY_FIRST: Duration = Duration::from_secs(5);
const RETRY_LAST: Duration = Duration::from_secs(300);
/// The longest one while the disk is full.
const RETRY_FULL: Duration = Duration::from_secs(10);
/// Accepted messages, the latest, that tell where partners are at home and how far their clocks were ahead.
const LEARNT: usize = 1000;
/// An MDN job waits for the connection on which the message came to end (RFC 4130 7.2: answered first).
const MDN_DELAY: SignedDuration = SignedDuration::from_secs(2);

impl Inbound {
    /// Takes a message durably and answers 202; it is opened in the background. Two are opened before they are taken: one that
    /// came in parts, since after a 202 its sender would not send it whole again, and one from elsewhere once so many of
    /// those are kept that only a new message of the partner's is.
    pub(super) async fn accept_asynchronously(&self, arrived: MessageArrived) -> Reply {
        let MessageArrived { partner, request, wire, origin, room, mut turn, pieced } = arrived;
        let request = Arc::new(request);
        let full = self.failures.keeps_no_more(&partner.id, &origin);
        let full = full.filter(|_| self.store.by_dedup_key(&dedup_key(&request)).is_none());
        let entered = match full {
            Some(_) => self.failures.enter(&partner.id, origin.clone()).await,
            None => self.failures.enter_kept(&partner.id, origin.clone()).await,
        };
        let admission = match entered {
            Ok(admission) => admission,
            Err(refusal) => return too_many(&partner, &origin, refusal),
        };
        let now = self.clock.now();
        let id = Id::new(now);
        let (wire, mut admission) = match pieced || full.is_some() {
            true => {
                let candidate = Candidate::new(id, partner.clone(), request.clone(), now);
                match self.proven(&candidate, (wire, &mut turn), admission, full.is_some()).await {
                    Ok(proven) => proven,
                    Err(reply) => {
                        let refused = |full| too_many(&partner, &origin, self.failures.refused(full));
                        return full.map_or(reply, refused);
                    }
                }
            }
            false => (wire, admission),
        };
        let mut transaction = Transaction::new(now);
        let wire = wire.into_body(&mut transaction);
        let fact = Fact::Received {
            partner: partner.id.clone(),
            message_id: request.message_id.as_str().to_owned(),
            headers: request.headers.clone(),
            wire,
        };
        transaction.fact(id, fact);
        transaction.fact(id, Fact::Evidence { evidence: terms::received(origin.remote) });
        if let Err(error) = self.store.commit(transaction).await {
            tracing::error!(%error, code = error.code(), "a message could not be recorded");
            return busy();
        }
        admission.taken();
        let later = Later { id, partner: partner.id.clone(), request, wire, received: now };
        self.open_later(later, Some(admission), Some(room));
        Reply::new(202)
    }

    /// Takes up receptions that a crash interrupted: taken but not opened, or accepted but not answered though an
    /// asynchronous MDN is owed. Call once at start.
    pub fn resume(&self) -> usize {
        self.learn();
        let received = Filter { states: vec![State::Received], limit: usize::MAX, ..Filter::default() };
        let taken = self.store.messages(&received);
        let mut count = 0;
        for message in taken.into_iter().chain(self.store.owing()).filter(|message| !message.restored) {
            count += 1;
            self.resume_one(&message);
        }
        count
    }

    /// Where partners are at home, and whose signing times are not believed yet, by what was accepted last.
    fn learn(&self) {
        let accepted = Filter { states: vec![State::Accepted], limit: LEARNT, ..Filter::default() };
        let accepted = self.store.messages(&accepted);
        let mut signers = HashMap::new();
        for message in &accepted {
            let ahead = message.evidence.iter().map(|evidence| evidence.ahead).max().unwrap_or(0);
            let signer = message.signer.as_deref();
            let signer = signer.and_then(|signer| *signers.entry(signer).or_insert_with(|| self.signer_of(signer)));
            self.recordings.unknown_until(&message.partner, signer, message.updated, ahead);
        }
        let now = self.clock.now();
        let proving = |message: &&Message| {
            let believed = |partner: &Arc<Partner>| partner.is_believed_unsigned(now);
            message.evidence.iter().any(|evidence| evidence.at_home)
                || self.directory.load().by_id(&message.partner).is_some_and(believed)
        };
        self.failures.learn(accepted.iter().filter(proving));
    }

    /// A signer by its fingerprint: the store keeps all certificates.
    fn signer_of(&self, fingerprint: &str) -> Option<Mark> {
        let certificate = self.store.certificate(fingerprint).and_then(|der| Certificate::from_der(&der).ok());
        Some(Mark::of_signer(fingerprint.parse().ok()?, certificate.as_ref()))
    }

    /// Takes up a reception that a restore had held, now that a person has released it.
    pub fn resume_released(&self, message: &Message) {
        if is_unsettled(message) && !message.restored {
            self.resume_one(message);
        }
    }

    /// Opens it in the background. What cannot be read is read again there, until it can or is settled otherwise.
    fn resume_one(&self, message: &Message) {
        if self.has_resumed(message) {
            return;
        }
        let (flow, id) = (self.clone(), message.id);
        self.tasks.spawn("resume-received", async move { flow.resume_in_the_end(id).await });
    }

    async fn resume_in_the_end(&self, id: Id) {
        let mut pause = RETRY_FIRST;
        loop {
            if !self.rested(pause).await {
                return;
            }
            pause = (pause * 2).min(RETRY_LAST);
            let Some(message) = self.store.message(&id).filter(is_unsettled) else {
                tracing::debug!(%id, "settled otherwise");
                return self.unsettled.forget(&id);
            };
            if self.has_resumed(&message) {
                return;
            }
        }
    }

    fn has_resumed(&self, message: &Message) -> bool {
        let Err(why) = self.try_to_resume(message) else { return true };
        let (id, partner) = (message.id, &message.partner);
        tracing::error!(%id, %partner, code = "resume-failed", "a received message is read again later: {why}");
        self.unsettled.note(id, partner, why, self.clock.now());
        false
    }

    fn try_to_resume(&self, message: &Message) -> Result<(), Bilingual> {
        let unreadable =
            |error: io::Error| bilingual!("其正文无法读取（{error}）。", "its bytes cannot be read ({error}).");
        let wire = message.wire.ok_or_else(|| unreadable(io::ErrorKind::NotFound.into()))?;
        let (stored, mut read) = (Draft::Stored(wire), Vec::new());
        let prefix = beginning(&self.store, &stored, &mut read).map_err(unreadable)?;
        let Ok(Incoming::Message(request)) = request::read_head(&message.headers, prefix, &self.limits) else {
            return Err(bilingual!("其报文头无法再次读取。", "its head cannot be read again."));
        };
        let (id, partner, request) = (message.id, message.partner.clone(), Arc::new(request));
        self.open_later(Later { id, partner, request, wire, received: message.created }, None, None);
        Ok(())
    }

    /// Opens a message as often as it takes, for its partner as that is configured at the time. `room`: for its payload.
    fn open_later(&self, later: Later, admission: Option<Admission>, room: Option<Promise>) {
        let flow = self.clone();
        self.tasks.spawn("open-received", async move {
            flow.open_in_the_end(&later, admission, room).await;
            flow.unsettled.forget(&later.id);
        });
    }

    async fn open_in_the_end(&self, later: &Later, mut admission: Option<Admission>, mut room: Option<Promise>) {
        let (id, mut pause) = (later.id, RETRY_FIRST);
        loop {
            let opened = self.open_now(later, admission.take()).await;
            // The payload is there, or the message may wait for long.
            drop(room.take());
            let error = match opened {
                Ok(answer) => {
                    tracing::debug!(%id, queued = answer.queued, "opened");
                    return;
                }
                Err(error) => error,
            };
            let why = error.text();
            if error.is_for_good() {
                tracing::error!(%id, code = error.code(), "a received message waits for the next start: {why}");
                return;
            }
            if !self.store.message(&id).is_some_and(|message| is_unsettled(&message)) {
                tracing::debug!(%id, code = error.code(), "settled otherwise");
                return;
            }
            tracing::error!(%id, code = error.code(), "a received message is opened again later: {why}");
            self.unsettled.note(id, &later.partner, why, self.clock.now());
            let longest = if error.is_full() { RETRY_FULL } else { RETRY_LAST };
            if !self.rested(pause).await {
                return;
            }
            pause = (pause * 2).min(longest);
        }
    }

    /// Waits for the next try; `false`: there is none in this life of the gateway.
    async fn rested(&self, pause: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(self.clock.nap(pause)) => true,
            () = self.stop.triggered() => false,
        }
    }

    pub(super) async fn open_now(&self, later: &Later, admission: Option<Admission>) -> Result<Answer, NoAnswer> {
        let partner = self.directory.load().by_id(&later.partner).cloned().ok_or(NoAnswer::NoPartner)?;
        let candidate = Candidate::new(later.id, partner, later.request.clone(), later.received);
        let accepted = || self.store.message(&later.id).is_some_and(|message| message.state == State::Accepted);
        // With a place among those that are opened it was taken just now.
        if admission.is_none() && accepted() {
            return self.answer_owed(&candidate, later.wire).await;
        }
        let reception = Reception { wire: Draft::Stored(later.wire), admission, remote: None, pieced: false };
        self.settle(&candidate, reception).await
    }
}

/// A message that was taken and is opened in the background.
pub(super) struct Later {
    pub(super) id: Id,
    /// Id of the partner it is from.
    pub(super) partner: String,
    pub(super) request: Arc<Request>,
    pub(super) wire: Body,
    /// When it was taken.
    pub(super) received: Timestamp,
}

/// It is taken and not opened, or accepted and owed an MDN.
fn is_unsettled(message: &Message) -> bool {
    message.state == State::Received || message.owes_mdn()
}

/// The message asks for its MDN on a connection of its own.
pub(super) fn asks_later(request: &Request) -> bool {
    request.mdn.as_ref().is_some_and(|mdn| mdn.async_url.is_some())
}

/// Makes an MDN that we owe a job of the queue.
pub(super) fn add_mdn_job(
    transaction: &mut Transaction,
    now: Timestamp,
    about: Id,
    partner: &Partner,
    head: &Headers,
    body: Vec<u8>,
) {
    let id = Id::new(now);
    let due = now.checked_add(MDN_DELAY).unwrap_or(now);
    let message_id = head.get(headers::MESSAGE_ID).unwrap_or_default().to_owned();
    let wire = transaction.body(body);
    let queued = Fact::Queued {
        kind: JobKind::Mdn,
        partner: partner.id.clone(),
        file_name: format!("{about}.mdn"),
        payload: None,
        declaration: None,
        about: Some(about),
    };
    transaction.fact(id, queued);
    let composed = Fact::Composed { message_id, headers: head.clone(), wire, mics: SentMics::default(), due };
    transaction.fact(id, composed);
}

#[cfg(test)]
mod tests {
    use std::fs::{hard_link, remove_file};
    use std::io::Write as _;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    use super::super::specimens::{Home, later};
    use super::*;
    use crate::cms::DigestAlgorithm;
    use crate::ground::clock::Clock as _;
    use crate::store::draft::Sink;
    use crate::store::record::Reason;

    /// Taken with a promise to answer later, with its bytes in this file, and then the process ended.
    async fn taken(home: &Home) -> (Id, PathBuf) {
        let letter = home.letter("<unread@theirs>", later(), DigestAlgorithm::Sha256);
        let mut sink = Sink::new(&home.flow.store).spilt().unwrap();
        sink.write_all(&letter.body).unwrap();
        let received = home.clock.now();
        let (id, mut transaction) = (Id::new(received), Transaction::new(received));
        let wire = sink.finish().unwrap().into_body(&mut transaction);
        let (message_id, headers) = (letter.request.message_id.as_str().to_owned(), letter.request.headers.clone());
        transaction.fact(id, Fact::Received { partner: "theirs".to_owned(), message_id, headers, wire });
        home.flow.store.commit(transaction).await.unwrap();
        let file = home.body_file(&wire);
        assert!(file.is_file(), "{}", file.display());
        (id, file)
    }

    async fn until_nothing_runs(home: &Home) {
        assert!(home.flow.tasks.join_all(Duration::from_secs(30)).await.is_empty(), "it comes to an end");
    }

    #[tokio::test]
    async fn what_cannot_be_read_at_the_start_is_opened_and_answered_once_it_can() {
        for gone in [false, true] {
            let home = Home::new();
            let (id, file) = taken(&home).await;
            let aside = file.with_extension("aside");
            hard_link(&file, &aside).unwrap();
            remove_file(&file).unwrap();
            if !gone {
                // A link to itself is an error of the disk that may pass, and that root gets as well.
                symlink(&file, &file).unwrap();
            }
            assert_eq!(home.flow.resume(), 1);
            let waiting = home.flow.unsettled();
            assert!(waiting.iter().any(|one| one.why.en.contains("cannot be read")), "gone: {gone}: {waiting:?}");
            assert_eq!(home.message(&id).state, State::Received, "gone: {gone}");
            if !gone {
                remove_file(&file).unwrap();
            }
            hard_link(&aside, &file).unwrap();
            until_nothing_runs(&home).await;
            let accepted = home.message(&id);
            assert_eq!((accepted.state, accepted.receipt.is_some()), (State::Accepted, true), "gone: {gone}");
            assert!(home.flow.unsettled().is_empty(), "gone: {gone}");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_read_and_is_settled_otherwise_is_forgotten() {
        let home = Home::new();
        let (id, file) = taken(&home).await;
        remove_file(&file).unwrap();
        assert_eq!((home.flow.resume(), home.flow.unsettled().len()), (1, 1));
        let record = home.message(&id);
        let mut transaction = Transaction::new(home.clock.now());
        let text = bilingual!("由人处理", "a person did it");
        let declined = Fact::Declined {
            partner: record.partner.clone(),
            message_id: record.message_id.clone().unwrap_or_default(),
            headers: record.headers.clone(),
            wire: transaction.body(b"its beginning".to_vec()),
            reason: Reason { code: "settled".to_owned(), text },
            mdn: None,
        };
        transaction.fact(id, declined);
        home.flow.store.commit(transaction).await.unwrap();
        until_nothing_runs(&home).await;
        assert!(home.flow.unsettled().is_empty());
    }

    #[tokio::test]
    async fn what_waits_for_another_try_keeps_no_orderly_end_waiting() {
        let home = Home::new();
        let (id, file) = taken(&home).await;
        remove_file(&file).unwrap();
        assert_eq!(home.flow.resume(), 1);
        home.flow.stop.trigger();
        until_nothing_runs(&home).await;
        let still = (home.message(&id).state, home.flow.unsettled().len());
        assert_eq!(still, (State::Received, 1), "the next start takes it up");
    }
}
