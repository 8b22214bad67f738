//! The last look before a payload leaves: is it of this environment, and is the environment's window open?
//!
//! What was queued while the home was of another environment (its configuration was changed since) is held; so is what
//! waits when the window is over. Before it begins, messages wait for it. MDNs that we owe go at any time.

use jiff::Timestamp;

use super::precheck::other_environment;
use super::{Outbound, retry};
use crate::as2::{As2Name, headers};
use crate::partner::Partner;
use crate::store::CommitError;
use crate::store::record::{Came, Fact, JobKind, Message, Reason, State};

/// Code of the reason for which a message of another environment is held.
const FOREIGN_MESSAGE: &str = "environment-foreign-message";

impl Outbound {
    /// Whether an attempt may be made; otherwise the message is held, or waits for the window.
    pub(super) async fn may_leave(&self, message: &Message) -> Result<bool, CommitError> {
        if message.kind != JobKind::Payload {
            return Ok(true);
        }
        if let Some(reason) = self.of_another_environment(message) {
            return self.hold(message, reason).await.map(|()| false);
        }
        let Some(closed) = self.station.environment.closed(self.clock.now()) else { return Ok(true) };
        let reason = Reason { code: closed.code.to_owned(), text: closed.text };
        match closed.opens {
            Some(due) => {
                let open = [State::Queued, State::Composed, State::Sending, State::AwaitingReceipt];
                self.fact_if(message.id, &open, Fact::RetryAt { due, reason, came: Came::Unknown }).await.map(|_| false)
            }
            None => self.hold(message, reason).await.map(|()| false),
        }
    }

    /// Since when its delivery is tried: what waits for the window, or could not be sent to its partner at all, is not given up
    /// for having waited.
    pub(super) fn patient_since(&self, partner: &Partner, message: &Message) -> Timestamp {
        let since = match message.kind {
            JobKind::Payload => self.station.environment.open_since(message.patient_since),
            _ => message.patient_since,
        };
        let opened = self.circuits.open_since(&partner.id);
        opened.map_or(since, |opened| retry::patient_since(since, opened, &partner.delivery.retry))
    }

    /// It was made under a DXPID that the station has in another environment.
    fn of_another_environment(&self, message: &Message) -> Option<Reason> {
        let environment = &self.station.environment;
        let from = message.headers.get(headers::AS2_FROM).and_then(|name| As2Name::parse(name).ok());
        let declared = message.declaration.as_ref().and_then(|declared| declared.dxpid.clone());
        let ids = declared.into_iter().chain(from.map(|name| name.as_str().to_owned()));
        let foreign = ids.into_iter().find(|dxpid| environment.is_foreign(dxpid))?;
        Some(Reason { code: FOREIGN_MESSAGE.to_owned(), text: other_environment(environment, &foreign) })
    }
}
