//! What waits: how much, since when, and what should have been done already.

use jiff::Timestamp;

use super::record::State;
use super::{Store, index};

/// States in which the gateway still has something to do for an outbound message by itself.
pub const OPEN: [State; 4] = [State::Queued, State::Composed, State::Sending, State::AwaitingReceipt];

/// The queue at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Outbound messages that are neither settled nor held.
    pub depth: u64,
    /// When the oldest of them was taken.
    pub oldest: Option<Timestamp>,
    /// Partners with something to do, and when the first of it is or was due.
    pub due: Vec<(String, Timestamp)>,
}

impl Store {
    /// What waits. It costs a few look-ups for each state and partner, however much waits.
    pub fn backlog(&self) -> Backlog {
        let counts = self.counts();
        let oldest = OPEN.iter().filter_map(|state| self.ask(self.0.index.oldest(*state)).flatten());
        let oldest = oldest.filter_map(|id| self.shared(&id)).map(|message| message.created).min();
        let depth = OPEN.iter().map(|state| counts.state(*state)).sum();
        Backlog { depth, oldest, due: self.ask(first_due(&self.0.index)).unwrap_or_default() }
    }
}

fn first_due(index: &index::Index) -> Result<Vec<(String, Timestamp)>, super::db::DbError> {
    let mut due = Vec::new();
    let mut next = index.next_partner(None)?;
    while let Some(partner) = next {
        if let Some(first) = index.due(&partner, None).next() {
            due.push((partner.clone(), first?.0));
        }
        next = index.next_partner(Some(&partner))?;
    }
    Ok(due)
}
