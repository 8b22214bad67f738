//! A payload travels again as a new business message: composed anew from the stored payload, with a Message-ID of its
//! own, linked with the old one both ways.

use std::io;

use super::Outbound;
use super::intake::{IntakeError, Prepared, record_of};
use super::operator::{Action, ActionError, resumed};
use crate::ground::id::Id;
use crate::store::draft::{Draft, Sink};
use crate::store::record::{Body, Fact, JobKind, Message};
use crate::store::trail::Change;
use crate::store::{CommitError, Precondition, Store};

impl Outbound {
    /// Resends `message`; answers with the new one. A held message ends with it.
    pub(super) async fn resend(&self, message: &Message, asked: &Change) -> Result<Message, ActionError> {
        let (reason, by) = (asked.reason.clone().unwrap_or_default(), asked.who.clone());
        if let Some(successor) = message.successor {
            return Err(ActionError::Resent(successor));
        }
        let kept = message.kind == JobKind::Payload && message.payload_purged.is_none();
        let payload = message.payload.filter(|_| kept).ok_or(ActionError::NoPayload)?;
        let partner = self.enabled_partner(&message.partner).map_err(refused)?;
        let now = self.clock.now();
        let id = Id::new(now);
        let read = move |flow: &Outbound| copy_of(&flow.store, &payload).map(Some);
        let _resent = self.preparing.resend(id, message.id);
        let prepared = self.prepare(&partner, (payload.len, read), &message.file_name, id, now).await;
        let prepared = match prepared.map_err(refused)? {
            Prepared::Refused { refusal, .. } => return Err(ActionError::Refused(refusal.told())),
            ready @ Prepared::Ready { .. } => ready,
        };
        let (mut transaction, _underway) = record_of(prepared, &partner, id, &message.file_name, Some(message.id), now);
        transaction.require(Precondition::StateIs(message.id, vec![message.state]));
        let resent = Fact::Resent { reason, by: by.clone(), successor: id };
        transaction.change(self.entry(message, Action::Resend, &resent, asked));
        if message.restored && !message.state.is_final() {
            transaction.fact(message.id, resumed(asked));
        }
        transaction.fact(message.id, resent);
        match self.store.commit(transaction).await {
            Ok(_) => {}
            Err(CommitError::Conflict(_)) => {
                let successor = self.store.message(&message.id).and_then(|message| message.successor);
                let state = ActionError::State(self.state_of(message));
                return Err(successor.map_or(state, ActionError::Resent));
            }
            Err(error) => return Err(error.into()),
        }
        tracing::info!(id = %message.id, successor = %id, by, "resent as a new business message");
        self.store.message(&id).ok_or(ActionError::Unknown(id))
    }
}

/// The payload once more, as bytes of the new message: each message keeps its own for as long as it needs them.
fn copy_of(store: &Store, payload: &Body) -> io::Result<Draft> {
    let mut copy = Sink::new(store);
    if io::copy(&mut store.read(payload)?, &mut copy)? != payload.len {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a stored payload is shorter than recorded"));
    }
    copy.finish()
}

fn refused(error: IntakeError) -> ActionError {
    match error {
        IntakeError::Journal(error) => ActionError::Journal(error),
        error => ActionError::NotPrepared(error),
    }
}
