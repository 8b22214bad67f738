//! Sending one message of a case, and watching it until it is settled or the case's time is over.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::book::Book;
use crate::bilingual;
use crate::connectivity::explain::negative;
use crate::connectivity::gateway::Gateway;
use crate::connectivity::run::{Layer, ON};
use crate::declaration::sample;
use crate::ground::id::Id;
use crate::partner::Profile;
use crate::partner::trial::Trial;
use crate::store::record::{Message, State};
use crate::store::trail::Change;

/// A slow listener may miss a change; it looks by itself that often.
const LOOK: Duration = Duration::from_millis(200);
/// Documents of a sample, at most.
const MAX_DOCUMENTS: u32 = 100;
/// What travels to a partner that takes anything: 64 bytes a line.
const LINE: &str = "dxgate connectivity test / 联通测试 0123456789 ABCDEFGHIJKLMNOP\n";

/// A message that was delivered.
pub(super) struct Sent {
    pub(super) message: Message,
}

/// In the names of all files of a run.
pub fn name_of_run(run: Id) -> String {
    format!("CT-{run}")
}

impl<G: Gateway> Book<'_, G> {
    /// Sends what an interface case sends and awaits its confirmation. None: it failed, and the book says why.
    pub(super) async fn deliver(&mut self, size: u32, trial: Trial) -> Option<Sent> {
        let message = self.send(size, trial).await?;
        self.delivered(message).await
    }

    /// The message, if it was delivered.
    pub(super) async fn delivered(&mut self, message: Message) -> Option<Sent> {
        self.note(&message);
        if message.state != State::Delivered {
            self.undelivered(&message).await;
            return None;
        }
        if let Some(receipt) = &message.receipt {
            let disposition = receipt.disposition.clone();
            let took = self.record.evidence.messages.last().and_then(|proof| proof.round_trip_ms);
            let seen = bilingual!("收到回执：{disposition}", "MDN received: {disposition}");
            self.good(Layer::Mdn, seen, took.map(Duration::from_millis));
        }
        Some(Sent { message })
    }

    /// Sends what an interface case sends; returns the message as it stands when it is settled or time is over.
    pub(super) async fn send(&mut self, size: u32, trial: Trial) -> Option<Message> {
        let now = self.parts.clock.now();
        let (payload, extension) = match (self.parts.partner.profile, &self.parts.station.dxpid) {
            (Profile::Dxp, Some(dxpid)) => {
                let documents = usize::try_from(size.min(MAX_DOCUMENTS)).unwrap_or(1);
                (sample::order(documents, dxpid, now, self.seed()), "xml")
            }
            _ => {
                let bytes = usize::try_from(size).unwrap_or(1).saturating_mul(1024);
                (LINE.bytes().cycle().take(bytes).collect(), "txt")
            }
        };
        self.post(payload, extension, trial).await
    }

    /// Sends these bytes; returns the message as it stands when it is settled or time is over.
    pub(super) async fn post(&mut self, payload: Vec<u8>, extension: &str, trial: Trial) -> Option<Message> {
        let name = format!("{}-{}.{extension}", name_of_run(self.run), self.case.id);
        let change = Change {
            who: self.parts.who.clone(),
            what: "message-submitted".to_owned(),
            reason: Some(format!("{ON}{} {}", self.run, self.case.id)),
            ..Change::default()
        };
        let submitted = self.parts.gateway.submit(&self.parts.partner.id, &name, payload, trial, change).await;
        let id = match submitted {
            Ok(id) => id,
            Err(reason) => {
                self.fails(&reason.code, reason.text);
                return None;
            }
        };
        self.good(Layer::As2, bilingual!("已排队，编号 {id}", "queued as {id}"), None);
        let message = self.settled(id, trial.lose_first_answer).await;
        if message.is_none() {
            self.fails("message-unknown", bilingual!("报文 {id} 不在日志中", "message {id} is not in the journal"));
        }
        message
    }

    /// The message once nothing more happens to it by itself, or as it is when time is over.
    async fn settled(&mut self, id: Id, loses: bool) -> Option<Message> {
        let mut changes = self.parts.store.follow();
        let mut hurried = !loses;
        loop {
            let message = self.parts.store.message(&id)?;
            if message.state.is_final() || message.state == State::Held || self.left().is_zero() {
                return Some(message);
            }
            let waits = message.state == State::Composed && message.attempts == 1;
            if waits && !hurried {
                hurried = true;
                let seen = bilingual!(
                    "已丢弃第一次发送的应答，立即重发相同的字节",
                    "the answer to the first attempt was thrown away; the same bytes are sent again at once"
                );
                self.good(Layer::Http, seen, None);
                self.parts.gateway.hurry(id).await;
            }
            let look = self.deadline.min(Instant::now() + LOOK);
            let _ = timeout_at(look, changes.recv()).await;
        }
    }

    /// Says why a message was not delivered, and ends it if it is still open.
    pub(super) async fn undelivered(&mut self, message: &Message) {
        let negative_mdn = message.reason.as_ref().is_some_and(|reason| reason.code == "mdn-negative");
        match (&message.reason, &message.receipt) {
            (_, Some(receipt)) if negative_mdn => self.failed(negative(&receipt.disposition)),
            (Some(reason), _) => self.fails(&reason.code, reason.text.clone()),
            (None, _) if message.state == State::AwaitingReceipt => {
                let seen =
                    bilingual!("报文已传输，异步回执没有到达", "transferred, but the asynchronous MDN did not come");
                self.fails("mdn-overdue", seen);
            }
            (None, _) => {
                let seen = bilingual!("期限内没有应答", "there was no answer in time");
                self.fails("timeout", seen);
            }
        }
        if !message.state.is_final() {
            let why = format!("the case {} of the connectivity test has failed", self.case.id);
            self.parts.gateway.end(message.id, why).await;
        }
    }

    /// Different for every try of every case of every run: what was sent before an interruption must not be sent again
    /// under the same numbers.
    pub(super) fn seed(&self) -> u64 {
        let tried = u64::try_from(self.parts.clock.now().as_nanosecond().unsigned_abs() % (1 << 40)).unwrap_or(0);
        let [.., a, b, c, d, e, f] = *self.run.as_bytes();
        let run = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
        run.wrapping_mul(1000).wrapping_add(u64::try_from(self.place).unwrap_or(0)) ^ tried.rotate_left(24)
    }
}
