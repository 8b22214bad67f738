//! What is asked of the store, and what it answers beside messages.

use std::collections::HashMap;

use super::index;
use super::record::{Direction, Message, Publication, PublicationStage, State};
use crate::ground::id::Id;

/// Which messages are wanted; a field left empty wants all.
#[derive(Debug, Clone)]
pub struct Filter {
    /// In this state.
    pub state: Option<State>,
    /// Travelling this way.
    pub direction: Option<Direction>,
    /// Of this partner.
    pub partner: Option<String>,
    /// With this text in the file name, whatever its case.
    pub name: Option<String>,
    /// With this Message-ID, with or without brackets.
    pub message_id: Option<String>,
    /// Those that wait for a person since a restore from a backup.
    pub restored: bool,
    /// At most so many.
    pub limit: usize,
    /// Older than this one: the last message of the page before.
    pub before: Option<Id>,
}

impl Default for Filter {
    fn default() -> Filter {
        Filter {
            state: None,
            direction: None,
            partner: None,
            name: None,
            message_id: None,
            restored: false,
            limit: 100,
            before: None,
        }
    }
}

/// How many messages there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// In each state, zeros included. States are either outbound or inbound: see [`State::direction`].
    pub by_state: HashMap<State, u64>,
}

impl Counts {
    /// Messages in a state.
    pub fn state(&self, state: State) -> u64 {
        self.by_state.get(&state).copied().unwrap_or(0)
    }

    /// Messages that travel in a direction.
    pub fn direction(&self, direction: Direction) -> u64 {
        self.by_state.iter().filter(|(state, _)| state.direction() == direction).map(|(_, count)| count).sum()
    }

    /// All messages.
    pub fn total(&self) -> u64 {
        self.by_state.values().sum()
    }
}

impl Message {
    /// It was accepted, asked for its MDN on a connection of its own, and there is none yet: no key could sign it.
    pub fn owes_mdn(&self) -> bool {
        let asks = self.headers.get(crate::as2::headers::RECEIPT_DELIVERY).is_some();
        self.state == State::Accepted && self.receipt.is_none() && asks
    }
}

impl State {
    /// The direction of the messages that can be in this state.
    pub fn direction(self) -> Direction {
        match self {
            State::Received | State::Accepted | State::Declined => Direction::Inbound,
            _ => Direction::Outbound,
        }
    }
}

/// A publication that is promised and not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingPublication {
    /// The message it belongs to.
    pub message: Id,
    /// That message's partner.
    pub partner: String,
    /// Its place in [`Message::publications`].
    pub index: u32,
    /// What is to appear where.
    pub publication: Publication,
    /// How far it is.
    pub stage: PublicationStage,
}

impl PendingPublication {
    /// Publication `index` of a message, if it has one.
    pub(super) fn of(message: &Message, index: u32) -> Option<PendingPublication> {
        let (publication, stage) = message.publications.get(usize::try_from(index).ok()?)?.clone();
        Some(PendingPublication { message: message.id, partner: message.partner.clone(), index, publication, stage })
    }
}

impl Filter {
    /// Whether a message is wanted; limit and page aside.
    pub(super) fn passes(&self, message: &Message) -> bool {
        let same_id = |wanted: &String| {
            message.message_id.as_deref().map(index::without_brackets) == Some(index::without_brackets(wanted))
        };
        let named = |wanted: &String| message.file_name.to_lowercase().contains(&wanted.to_lowercase());
        (!self.restored || message.restored)
            && self.state.is_none_or(|state| message.state == state)
            && self.direction.is_none_or(|direction| message.direction == direction)
            && self.partner.as_ref().is_none_or(|partner| message.partner == *partner)
            && self.message_id.as_ref().is_none_or(same_id)
            && self.name.as_ref().is_none_or(named)
    }
}
