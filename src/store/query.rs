//! What is asked of the store, and what it answers beside messages.

use std::collections::HashMap;

use jiff::Timestamp;

use super::Store;
use super::index::{self, View};
use super::record::{Direction, Message, Publication, PublicationStage, Shared, State};
use crate::as2::request::mdn_request;
use crate::ground::id::Id;

/// Which messages are wanted; a field left empty wants all.
#[derive(Debug, Clone)]
pub struct Filter {
    /// In one of these states; empty: in any.
    pub states: Vec<State>,
    /// Travelling this way.
    pub direction: Option<Direction>,
    /// Of this partner.
    pub partner: Option<String>,
    /// That came to be at this instant or later.
    pub from: Option<Timestamp>,
    /// That came to be before this instant.
    pub to: Option<Timestamp>,
    /// Whose file name, Message-ID or one of whose business keys begins with this, whatever its case.
    pub text: Option<String>,
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
            states: Vec::new(),
            direction: None,
            partner: None,
            from: None,
            to: None,
            text: None,
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
        let asks = || mdn_request(&self.headers).is_some_and(|asked| asked.async_url.is_some());
        self.state == State::Accepted && self.receipt.is_none() && asks()
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
    pub publication: Shared<Publication>,
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
            let wanted = index::without_brackets(wanted);
            index::message_ids(message).any(|known| index::without_brackets(known) == wanted)
        };
        let named = |wanted: &String| message.file_name.to_lowercase().contains(&wanted.to_lowercase());
        let mentioned = |wanted: &String| {
            let (wanted, id) = (index::word(wanted), index::word(index::beginning(wanted)));
            index::words(message).iter().any(|word| word.starts_with(&wanted) || word.starts_with(&id))
        };
        (!self.restored || message.restored)
            && (self.states.is_empty() || self.states.contains(&message.state))
            && self.direction.is_none_or(|direction| message.direction == direction)
            && self.partner.as_ref().is_none_or(|partner| message.partner == *partner)
            && self.message_id.as_ref().is_none_or(same_id)
            && self.name.as_ref().is_none_or(named)
            && self.text.as_ref().is_none_or(mentioned)
            && self.from.is_none_or(|from| message.created >= from)
            && self.to.is_none_or(|to| message.created < to)
            && self.end().is_none_or(|end| message.id < end)
    }

    /// The first identifier that may be meant: identifiers sort by time, those of submissions with a key by the hour. What was
    /// submitted at the end of an hour may have come to be in the next.
    fn began(&self) -> Option<Id> {
        let hour = self.from?.as_second().div_euclid(3600).saturating_sub(1);
        let from = Timestamp::from_second(hour.saturating_mul(3600)).unwrap_or(Timestamp::MIN);
        Some(Id::derived(from, &[0; 10]))
    }

    /// What is meant sorts before this.
    fn end(&self) -> Option<Id> {
        let to = self.to.map(|to| Id::derived(to, &[0; 10]));
        to.into_iter().chain(self.before).min()
    }

    /// The states in which a message may pass; empty: all.
    fn possible(&self) -> Vec<State> {
        let travels = |state: &State| self.direction.is_none_or(|direction| state.direction() == direction);
        let states =
            if self.states.is_empty() && self.direction.is_some() { &index::ALL_STATES[..] } else { &self.states };
        states.iter().copied().filter(travels).collect()
    }
}

/// Some of the messages that pass a filter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MessagePage {
    /// Newest first; fewer than asked for when many had to be looked at.
    pub messages: Vec<Message>,
    /// Read on before this one; none at the end.
    pub next: Option<Id>,
}

/// What waits for a partner.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PartnerQueue {
    /// Messages with something to do, now or later.
    pub waiting: u64,
    /// Those with something to do now.
    pub due: u64,
}

/// Messages looked at for one page, at most.
const LOOKED_AT: usize = 2_000;
/// Messages with a word up to which they are put in order; more are found by looking at all, newest first.
const MENTIONED: usize = 1_000;

impl Store {
    /// Messages that pass a filter, newest first.
    pub fn messages(&self, filter: &Filter) -> Vec<Message> {
        self.page_within(filter, usize::MAX).messages
    }

    /// Messages that pass a filter, newest first; however many there are, a bounded number of them is looked at.
    pub fn page(&self, filter: &Filter) -> MessagePage {
        self.page_within(filter, LOOKED_AT)
    }

    /// Whether a payload of this name, letter for letter, was accepted of a partner.
    pub fn has_accepted(&self, partner: &str, file_name: &str) -> bool {
        let whole = index::whole_name(file_name);
        let is_it = |message: &Message| {
            message.state == State::Accepted && message.partner == partner && message.file_name == file_name
        };
        let found = self.0.index.mentioning(whole.as_deref().unwrap_or(file_name));
        let mut ids = found.map_while(|id| self.ask(id));
        ids.any(|id| self.message(&id).as_ref().is_some_and(is_it))
    }

    /// What waits for a partner at `now`; at most `most` messages are counted.
    pub fn queue_of(&self, partner: &str, now: Timestamp, most: usize) -> PartnerQueue {
        let entries = self.0.index.due(partner, None).map_while(|entry| self.ask(entry)).take(most);
        entries.fold(PartnerQueue::default(), |queue, (due, _)| PartnerQueue {
            waiting: queue.waiting.saturating_add(1),
            due: queue.due.saturating_add(u64::from(due <= now)),
        })
    }

    /// The partners for which something waits.
    pub fn queued_partners(&self) -> Vec<String> {
        let mut partners: Vec<String> = Vec::new();
        while let Some(next) = self.ask(self.0.index.next_partner(partners.last().map(String::as_str))).flatten() {
            partners.push(next);
        }
        partners
    }

    /// The oldest message in one of these states.
    pub fn oldest_in(&self, states: &[State]) -> Option<Message> {
        let oldest = states.iter().filter_map(|state| self.ask(self.0.index.oldest(*state)).flatten()).min()?;
        self.message(&oldest)
    }

    fn page_within(&self, filter: &Filter, looked_at: usize) -> MessagePage {
        let mut page = MessagePage::default();
        let mut last = None;
        for (count, id) in self.candidates(filter).enumerate() {
            if page.messages.len() >= filter.limit || count >= looked_at {
                page.next = last;
                break;
            }
            if filter.began().is_some_and(|began| id < began) {
                break;
            }
            last = Some(id);
            page.messages.extend(self.message(&id).filter(|message| filter.passes(message)));
        }
        page
    }

    /// Identifiers of messages that may pass, newest first: from the shortest list that the index has.
    fn candidates(&self, filter: &Filter) -> Box<dyn Iterator<Item = Id> + '_> {
        let end = filter.end();
        if let Some(ids) = filter.text.as_ref().and_then(|text| self.mentioning(text)) {
            return Box::new(ids.into_iter().filter(move |id| end.is_none_or(|end| *id < end)));
        }
        let states = filter.possible();
        if states.is_empty() && (filter.direction.is_some() || !filter.states.is_empty()) {
            return Box::new(std::iter::empty());
        }
        let counts = self.counts();
        let in_states: u64 = states.iter().map(|state| counts.state(*state)).sum();
        let few = in_states <= LOOKED_AT as u64 || filter.partner.is_none();
        let view = match &filter.partner {
            Some(partner) if states.is_empty() || !few => View::Partner(partner),
            _ if states.is_empty() => View::All,
            _ => return Box::new(self.merged(&states, end)),
        };
        Box::new(self.0.index.latest_first(&view, end).map_while(|id| self.ask(id)))
    }

    /// Identifiers of messages in these states, newest first.
    fn merged(&self, states: &[State], end: Option<Id>) -> impl Iterator<Item = Id> + use<'_> {
        let lists = states.iter().map(|state| self.0.index.latest_first(&View::State(*state), end));
        let mut lists: Vec<_> = lists.map(|ids| ids.map_while(|id| self.ask(id)).peekable()).collect();
        std::iter::from_fn(move || {
            let newest = lists.iter_mut().filter_map(|list| list.peek().copied()).max()?;
            lists.iter_mut().filter_map(|list| list.next_if_eq(&newest)).next()
        })
    }

    /// Identifiers of messages with a word that begins with `text`, newest first; none when there are too many.
    fn mentioning(&self, text: &str) -> Option<Vec<Id>> {
        let found = self.0.index.mentioning(text).map_while(|id| self.ask(id));
        let mut ids: Vec<Id> = found.take(MENTIONED.saturating_add(1)).collect();
        if ids.len() > MENTIONED {
            return None;
        }
        ids.sort_unstable_by(|a, b| b.cmp(a));
        ids.dedup();
        Some(ids)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Transaction;
    use crate::store::record::Fact;
    use crate::store::tests::support::{accepted, at, id, open};

    #[test]
    fn a_long_file_name_is_asked_for_whole_however_many_begin_alike() {
        let dir = tempfile::tempdir().unwrap();
        let (store, _) = open(dir.path());
        let name = |number: u16| format!("{}{number}.xml", "订单回执".repeat(6));
        for number in 1..=20 {
            let mut transaction = Transaction::new(at(1));
            let [wire, payload] = [b"wire", b"load"].map(|bytes| transaction.body(bytes.to_vec()));
            let mut fact = accepted(&format!("{number}@customs"), wire, payload);
            if let Fact::Accepted { file_name, .. } = &mut fact {
                *file_name = name(number);
            }
            transaction.fact(id(number), fact);
            store.commit_blocking(transaction).unwrap();
        }
        assert!(store.has_accepted("customs", &name(7)) && !store.has_accepted("customs", &name(77)));
        assert!(!store.has_accepted("others", &name(7)));
        let whole = index::whole_name(&name(7)).unwrap();
        assert_eq!(store.0.index.mentioning(&whole).count(), 1, "the others are not read");
    }
}
