//! Receptions whose MDN goes out later: durable first, an empty 2xx, then the rest of the flow in the background.

use std::io::Read;
use std::sync::Arc;

use jiff::Timestamp;

use super::Inbound;
use super::receive::{MessageArrived, busy};
use super::reply::{Answer, NoAnswer};
use crate::as2::request::{self, Incoming, Request};
use crate::as2::{SentMics, headers};
use crate::bilingual;
use crate::ground::id::Id;
use crate::http::Reply;
use crate::mime::Headers;
use crate::partner::Partner;
use crate::store::draft::Draft;
use crate::store::record::{Body, Fact, JobKind, Message, Reason, State};
use crate::store::{CommitError, Filter, Transaction};

impl Inbound {
    /// Takes a message durably and answers 202; it is opened in the background.
    pub(super) async fn accept_asynchronously(&self, arrived: MessageArrived) -> Reply {
        let MessageArrived { partner, request, wire } = arrived;
        let now = self.clock.now();
        let id = Id::new(now);
        let mut transaction = Transaction::new(now);
        let wire = wire.into_body(&mut transaction);
        let fact = Fact::Received {
            partner: partner.id.clone(),
            message_id: request.message_id.as_str().to_owned(),
            headers: request.headers.clone(),
            wire,
        };
        transaction.fact(id, fact);
        if let Err(error) = self.store.commit(transaction).await {
            tracing::error!(%error, code = "journal-failed", "a message could not be recorded");
            return busy();
        }
        self.open_later(id, partner, request, wire);
        Reply::new(202)
    }

    /// Takes up receptions that a crash interrupted. Call once at start.
    pub fn resume(&self) -> usize {
        let filter = Filter { state: Some(State::Received), limit: usize::MAX, ..Filter::default() };
        let interrupted = self.store.messages(&filter);
        let count = interrupted.len();
        for message in interrupted {
            if let Err(why) = self.resume_one(&message) {
                tracing::error!(id = %message.id, partner = %message.partner, code = "resume-failed", "a received message waits: {why}");
            }
        }
        count
    }

    fn resume_one(&self, message: &Message) -> Result<(), String> {
        let partner = self.directory.load().by_id(&message.partner).cloned();
        let partner = partner.ok_or("its partner is not configured; restore the partner's file and restart")?;
        let wire = message.wire.ok_or("it has no bytes")?;
        let mut prefix = Vec::new();
        let body = self.store.read(&wire).map_err(|error| error.to_string())?;
        body.take(8 * 1024).read_to_end(&mut prefix).map_err(|error| error.to_string())?;
        match request::read_head(&message.headers, &prefix, &self.limits) {
            Ok(Incoming::Message(request)) => {
                self.open_later(message.id, partner, request, wire);
                Ok(())
            }
            _ => Err("its head cannot be read again".to_owned()),
        }
    }

    fn open_later(&self, id: Id, partner: Arc<Partner>, request: Request, wire: Body) {
        let flow = self.clone();
        self.tasks.spawn("open-received", async move {
            let request = Arc::new(request);
            match flow.settle(id, &partner, &request, Draft::File(wire)).await {
                Ok(answer) => {
                    if let Err(error) = flow.end_repetition(id, &partner, &request, wire, answer).await {
                        tracing::error!(%id, %error, "a repeated message waits for the next start");
                    }
                }
                Err(NoAnswer::Storage(error)) => {
                    tracing::error!(%id, %error, "a received message waits for the next start")
                }
                Err(NoAnswer::Journal(error)) => {
                    tracing::error!(%id, %error, "a received message waits for the next start")
                }
            }
        });
    }

    /// Ends a reception that turned out to repeat an accepted message, and sends that message's MDN once more. Any
    /// other reception has its end already.
    async fn end_repetition(
        &self,
        id: Id,
        partner: &Partner,
        request: &Request,
        wire: Body,
        answer: Answer,
    ) -> Result<(), CommitError> {
        if self.store.message(&id).is_none_or(|message| message.state != State::Received) {
            return Ok(());
        }
        let now = self.clock.now();
        let mut transaction = Transaction::new(now);
        let fact = Fact::Declined {
            partner: partner.id.clone(),
            message_id: request.message_id.as_str().to_owned(),
            headers: request.headers.clone(),
            wire,
            reason: repetition(),
            mdn: None,
        };
        transaction.fact(id, fact);
        if let (false, Some((head, body))) = (answer.queued, answer.mdn) {
            add_mdn_job(&mut transaction, now, id, partner, &head, body);
        }
        self.store.commit(transaction).await.map(drop)
    }
}

fn repetition() -> Reason {
    let text = bilingual!(
        "重复的报文：相同内容此前已接收，未再次投递，仅重发其回执。无需处理。",
        "a repetition of a message that was accepted before; it was not delivered again, its receipt was sent again. Nothing is to be done."
    );
    Reason { code: "duplicate".to_owned(), text }
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
    let composed = Fact::Composed { message_id, headers: head.clone(), wire, mics: SentMics::default(), due: now };
    transaction.fact(id, composed);
}
