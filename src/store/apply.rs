//! What a fact does to a message: a pure function, the state picture of [`record`](super::record) as code.
//!
//! Beyond the picture, four things happen in life and are lawful here: an asynchronous MDN may settle a message that
//! is waiting for its next attempt or was held meanwhile (`Delivered` after at least one attempt, or after a restore, which
//! has forgotten what there were); a
//! message whose attempt was cut off by a crash, or whose receipt is overdue, is attempted again at once; composing may be postponed
//! (`RetryAt` in `Queued`); a person may release a message that waits or has failed, which sends the same bytes again.

use jiff::Timestamp;

use super::alert;
use super::aside;
use super::business;
use super::fact::detail;
use super::keeping;
use super::record::Body;
use super::record::{
    Direction, Documents, EARLIER, EarlierWire, Event, Fact, JobKind, Message, Publication, PublicationStage, Reach,
    Reason, Receipt, STRAYS, Shared, State, Stray, Timeline,
};
use crate::as2::SentMics;
use crate::ground::id::Id;
use crate::mime::Headers;

/// MDNs of other kinds that one message is answered with.
const FURTHER_RECEIPTS: usize = 4;

/// Lines of history kept in the view.
pub const TIMELINE_LINES: usize = 100;

/// A fact cannot happen to a message in its state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTransition {
    /// The fact begins a message, but the message exists in this state.
    #[error("{fact} begins a message, but it exists and is {state:?}")]
    Exists {
        /// The fact's name.
        fact: &'static str,
        /// Its state.
        state: State,
    },
    /// The fact needs a message, but there is none.
    #[error("{fact} needs a message that exists")]
    Missing {
        /// The fact's name.
        fact: &'static str,
    },
    /// The fact does not follow from the state.
    #[error("{fact} cannot happen in state {state:?}")]
    State {
        /// The fact's name.
        fact: &'static str,
        /// The state.
        state: State,
    },
    /// An attempt's number is not the next one.
    #[error("attempt {given} is not the next one, {next}")]
    AttemptNumber {
        /// The number given.
        given: u32,
        /// The number expected.
        next: u32,
    },
    /// The message has no open alert with that code.
    #[error("there is no such open alert")]
    NoAlert,
    /// There is no such publication, or it is not at the stage before.
    #[error("{fact} does not apply to publication {index}")]
    Publication {
        /// The fact's name.
        fact: &'static str,
        /// The publication's index.
        index: u32,
    },
}

/// The message after `fact` happened to it at `at`. `message` is the message before, none for its first fact.
///
/// # Errors
/// The fact is not lawful in that state.
pub fn apply(message: Option<Message>, id: Id, at: Timestamp, fact: &Fact) -> Result<Message, BadTransition> {
    let mut message = match (message, begins(fact)) {
        (None, Some(direction)) => blank(id, direction, at),
        (Some(message), None) => message,
        (Some(message), Some(Direction::Inbound)) if continues_reception(&message, fact) => message,
        (Some(message), Some(_)) => return Err(BadTransition::Exists { fact: fact.name(), state: message.state }),
        (None, None) => return Err(BadTransition::Missing { fact: fact.name() }),
    };
    let shown = message.replaceable();
    let before = message.state;
    let applied = aside::apply(&mut message, fact).or_else(|| business::apply(&mut message, fact));
    match (applied, message.direction) {
        _ if keeping::is_keeping(fact) => keeping::apply(&mut message, at, fact)?,
        (Some(applied), _) => applied?,
        (None, Direction::Outbound) => outbound(&mut message, at, fact)?,
        (None, Direction::Inbound) => inbound(&mut message, at, fact)?,
    }
    if matches!(fact, Fact::Evidence { .. }) {
        return Ok(message);
    }
    if !alert::follow(&mut message, before, at, fact) {
        return Err(BadTransition::NoAlert);
    }
    if !keeping::is_keeping(fact) {
        message.updated = at;
        message.remember(shown, fact);
    }
    message.timeline.add(Event { at, fact: fact.name().to_owned(), detail: detail(fact) }, TIMELINE_LINES);
    Ok(message)
}

/// Whether the fact may begin a message.
pub(super) fn begins_message(fact: &Fact) -> bool {
    begins(fact).is_some()
}

/// The direction of the message that the fact may begin.
fn begins(fact: &Fact) -> Option<Direction> {
    match fact {
        Fact::Queued { .. } | Fact::Rejected { .. } => Some(Direction::Outbound),
        Fact::Received { .. } | Fact::Accepted { .. } | Fact::Declined { .. } | Fact::UnknownReceipt { .. } => {
            Some(Direction::Inbound)
        }
        _ => None,
    }
}

/// An asynchronous reception is opened: the same partner, from `Received`.
fn continues_reception(message: &Message, fact: &Fact) -> bool {
    let (Fact::Accepted { partner, .. } | Fact::Declined { partner, .. }) = fact else { return false };
    message.state == State::Received && message.partner == *partner
}

/// A message to which nothing has happened; its first fact sets the state.
fn blank(id: Id, direction: Direction, at: Timestamp) -> Message {
    Message {
        id,
        direction,
        kind: JobKind::Payload,
        partner: String::new(),
        state: if direction == Direction::Outbound { State::Queued } else { State::Received },
        file_name: String::new(),
        message_id: None,
        created: at,
        updated: at,
        attempts: 0,
        transfers: 0,
        patient_since: at,
        due: None,
        payload: None,
        wire: None,
        headers: Headers::default(),
        mics: SentMics::default(),
        receipt: None,
        declaration: None,
        signer: None,
        reason: None,
        about: None,
        evidence: Shared::default(),
        restored: false,
        successor: None,
        earlier: Vec::new(),
        reach: Reach::Unknown,
        strays: Vec::new(),
        further_receipts: Vec::new(),
        alerts: Vec::new(),
        documents: Documents::default(),
        platform: None,
        findings: None,
        answered: None,
        publications: Vec::new(),
        claim: None,
        others: Vec::new(),
        payload_purged: None,
        legal_hold: None,
        gone: false,
        timeline: Timeline::default(),
    }
}

fn outbound(message: &mut Message, at: Timestamp, fact: &Fact) -> Result<(), BadTransition> {
    use State::*;
    let state = message.state;
    let only = |lawful: bool| if lawful { Ok(()) } else { Err(BadTransition::State { fact: fact.name(), state }) };
    let open = !state.is_final();
    message.reach.follow(message.attempts, fact);
    match fact {
        Fact::Queued { .. } | Fact::Rejected { .. } => begin_outbound(message, at, fact),
        Fact::Composed { message_id, headers, wire, mics, due } => {
            only(state == Queued)?;
            message.compose(message_id, headers, *wire, mics, *due);
        }
        Fact::Attempted { number } => {
            only(matches!(state, Composed | Sending | AwaitingReceipt))?;
            message.attempt(*number)?;
        }
        Fact::RetryAt { due, reason, .. } => {
            only(matches!(state, Queued | Composed | Sending | AwaitingReceipt))?;
            message.reason = Some(reason.clone());
            message.become_due(if state == Queued { Queued } else { Composed }, *due);
        }
        Fact::AwaitingReceipt { deadline, .. } => {
            only(state == Sending)?;
            message.transfers = message.transfers.saturating_add(1);
            // What an earlier attempt came to no longer says anything about what the partner has.
            message.reason = None;
            message.become_due(AwaitingReceipt, *deadline);
        }
        Fact::Delivered { receipt, note, files } => {
            only(open && message.may_have_arrived())?;
            message.settle(Delivered, note.clone(), receipt.as_ref(), files);
        }
        Fact::Failed { reason, receipt, files } => {
            only(open)?;
            message.settle(Failed, Some(reason.clone()), receipt.as_ref(), files);
        }
        Fact::Cancelled { files, .. } => {
            only(open)?;
            message.settle(Cancelled, None, None, files);
        }
        Fact::Held { reason, .. } => {
            only(open && state != Held)?;
            message.reason = Some(reason.clone());
            (message.state, message.due) = (Held, None);
        }
        Fact::Released { due, .. } => {
            only(matches!(state, Held | Failed | Queued | Composed | AwaitingReceipt))?;
            only(message.payload_purged.is_none() && message.successor.is_none())?;
            (message.transfers, message.patient_since, message.restored) = (0, at, false);
            message.become_due(if message.wire.is_some() { Composed } else { Queued }, *due);
        }
        Fact::Recomposed { message_id, headers, wire, mics, due } => {
            only(matches!(state, Composed | Sending | AwaitingReceipt) && message.attempts > 0)?;
            message.supersede_wire();
            message.compose(message_id, headers, *wire, mics, *due);
        }
        Fact::Resent { successor, .. } => {
            only(matches!(state, Held | Failed | Cancelled | Delivered) && message.successor.is_none())?;
            message.successor = Some(*successor);
            if open {
                message.settle(Cancelled, None, None, &[]);
            }
        }
        Fact::StrayReceipt { reason, receipt } => message.keep_stray(at, reason, receipt),
        Fact::Acknowledged { .. } | Fact::Evidence { .. } | Fact::Restored { .. } | Fact::Resumed { .. } => {}
        Fact::Staged { index } | Fact::Published { index, .. } => message.publish(*index, fact)?,
        _ => only(false)?,
    }
    Ok(())
}

/// The first fact of an outbound message.
fn begin_outbound(message: &mut Message, at: Timestamp, fact: &Fact) {
    match fact {
        Fact::Queued { kind, partner, file_name, payload, declaration, about } => {
            message.kind = *kind;
            message.partner = partner.clone();
            message.file_name = file_name.clone();
            message.payload = *payload;
            message.declaration = declaration.clone();
            message.about = *about;
            message.become_due(State::Queued, at);
        }
        Fact::Rejected { partner, file_name, payload, reason, files } => {
            message.partner = partner.clone();
            message.file_name = file_name.clone();
            message.payload = *payload;
            message.settle(State::Rejected, Some(reason.clone()), None, files);
        }
        _ => {}
    }
}

fn inbound(message: &mut Message, at: Timestamp, fact: &Fact) -> Result<(), BadTransition> {
    let state = message.state;
    let only = |lawful: bool| if lawful { Ok(()) } else { Err(BadTransition::State { fact: fact.name(), state }) };
    match fact {
        Fact::Received { partner, message_id, headers, wire } => message.receive(partner, message_id, headers, *wire),
        Fact::Accepted { partner, key, headers, wire, payload, file_name, declaration, signer, files } => {
            message.receive(partner, &key.message_id, headers, *wire);
            message.claim = Some(key.clone().into());
            message.payload = Some(*payload);
            message.file_name = file_name.clone();
            message.declaration = declaration.clone();
            message.signer = signer.clone();
            message.settle(State::Accepted, None, None, files);
        }
        Fact::Answered { mdn } => {
            only(state == State::Accepted && message.further_receipts.len() < FURTHER_RECEIPTS)?;
            match &message.receipt {
                None => message.receipt = Some(mdn.clone()),
                Some(_) => message.further_receipts.push(mdn.clone()),
            }
        }
        Fact::Declined { partner, message_id, headers, wire, reason, mdn } => {
            message.receive(partner, message_id, headers, *wire);
            message.settle(State::Declined, Some(reason.clone()), mdn.as_ref(), &[]);
        }
        Fact::UnknownReceipt { partner, message_id, reason, receipt } => {
            message.kind = JobKind::Mdn;
            message.partner = partner.clone();
            message.message_id = Some(message_id.clone());
            message.file_name = format!("{}.mdn", message.id);
            message.settle(State::Declined, Some(reason.clone()), Some(receipt), &[]);
        }
        Fact::StrayReceipt { reason, receipt } => message.keep_stray(at, reason, receipt),
        Fact::Acknowledged { .. } => {}
        Fact::Staged { index } | Fact::Published { index, .. } => message.publish(*index, fact)?,
        _ => only(false)?,
    }
    Ok(())
}

impl Message {
    /// An attempt was made, be it one that a restore from a backup has forgotten.
    pub fn may_have_arrived(&self) -> bool {
        self.attempts > 0 || !self.reach.is_none(self.attempts)
    }

    /// Something is to be done at `due`.
    fn become_due(&mut self, state: State, due: Timestamp) {
        (self.state, self.due) = (state, Some(due));
    }

    /// Nothing more is to be done by itself; users see the files.
    fn settle(&mut self, state: State, reason: Option<Reason>, receipt: Option<&Receipt>, files: &[Publication]) {
        // Whatever a restore held back: this is known to have happened after it.
        (self.state, self.due, self.restored) = (state, None, false);
        if reason.is_some() || state == State::Delivered {
            self.reason = reason;
        }
        if let Some(receipt) = receipt {
            self.receipt = Some(receipt.clone());
        }
        self.publications.extend(files.iter().map(|files| (files.clone().into(), PublicationStage::Committed)));
    }

    /// What every reception knows. An exact Message-ID noted by `Received` is kept: the dedup key has no brackets.
    fn receive(&mut self, partner: &str, message_id: &str, headers: &Headers, wire: Body) {
        self.partner = partner.to_owned();
        self.message_id.get_or_insert_with(|| message_id.to_owned());
        self.headers = headers.clone();
        self.wire = Some(wire);
    }

    /// The wire bytes of the next attempts exist.
    fn compose(&mut self, message_id: &str, headers: &Headers, wire: Body, mics: &SentMics, due: Timestamp) {
        self.message_id = Some(message_id.to_owned());
        self.headers = headers.clone();
        self.wire = Some(wire);
        self.mics = mics.clone();
        self.become_due(State::Composed, due);
    }

    fn attempt(&mut self, given: u32) -> Result<(), BadTransition> {
        let next = self.attempts.saturating_add(1);
        if given != next {
            return Err(BadTransition::AttemptNumber { given, next });
        }
        (self.attempts, self.state) = (next, State::Sending);
        Ok(())
    }

    /// What was sent so far stays known: an MDN about it still counts.
    fn supersede_wire(&mut self) {
        if let Some(message_id) = self.message_id.take() {
            self.earlier.push(EarlierWire { message_id, mics: std::mem::take(&mut self.mics), wire: self.wire });
            let surplus = self.earlier.len().saturating_sub(EARLIER);
            self.earlier.drain(..surplus);
        }
    }

    fn keep_stray(&mut self, at: Timestamp, reason: &Reason, receipt: &Receipt) {
        if self.strays.len() < STRAYS {
            self.strays.push(Stray { at, reason: reason.clone(), receipt: receipt.clone() });
        }
    }

    /// Moves a publication one stage on; staging again what is staged changes nothing.
    fn publish(&mut self, index: u32, fact: &Fact) -> Result<(), BadTransition> {
        let publication = usize::try_from(index).ok().and_then(|index| self.publications.get_mut(index));
        let Some((_, stage)) = publication else {
            return Err(BadTransition::Publication { fact: fact.name(), index });
        };
        *stage = match (&*stage, fact) {
            (PublicationStage::Committed | PublicationStage::Staged, Fact::Staged { .. }) => PublicationStage::Staged,
            (PublicationStage::Staged, Fact::Published { name, .. }) => PublicationStage::Published(name.clone()),
            _ => return Err(BadTransition::Publication { fact: fact.name(), index }),
        };
        Ok(())
    }
}

#[cfg(test)]
#[path = "apply_tests.rs"]
mod tests;
