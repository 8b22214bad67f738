//! Documents that were sent, found by what identifies them.

use std::cmp::Reverse;
use std::iter;
use std::sync::Arc;

use super::Store;
use super::index::View;
use super::record::Message;
use crate::declaration::standing::{Document, FINDABLE, Standing};
use crate::ground::id::Id;

/// One document of a message that was sent, or is to be.
#[derive(Debug, Clone)]
pub struct Declared {
    message: Arc<Message>,
    number: u32,
}

impl Declared {
    /// Document `number` of a message, from 1, if it has one.
    pub fn of(message: Arc<Message>, number: u32) -> Option<Declared> {
        place(number).is_some_and(|place| place < message.documents.len()).then_some(Declared { message, number })
    }

    /// The message that carries it.
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// Which document of the message, from 1.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// What is known of it.
    pub fn document(&self) -> &Document {
        let found = place(self.number).and_then(|place| self.message.documents.get(place));
        found.expect("looked at when this was made")
    }

    /// Its type, such as `CEB311Message`.
    pub fn message_type(&self) -> &str {
        self.message.declaration.as_ref().map_or("", |declaration| declaration.message_type.as_str())
    }

    /// Its place in lists: newest message first, its documents in order.
    pub fn place(&self) -> Place {
        Place { message: self.message.id, document: self.number }
    }
}

fn place(number: u32) -> Option<usize> {
    usize::try_from(number).ok()?.checked_sub(1)
}

/// Where a list of documents goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The message of the last document shown.
    pub message: Id,
    /// That document's number.
    pub document: u32,
}

impl Place {
    fn order(self) -> (Reverse<Id>, u32) {
        (Reverse(self.message), self.document)
    }
}

/// Which documents are wanted; a field left empty wants all.
#[derive(Debug, Clone, Default)]
pub struct DeclaredFilter {
    /// Standing so.
    pub standing: Option<Standing>,
    /// With this value of a [findable](FINDABLE) key.
    pub key: Option<String>,
    /// Of this partner.
    pub partner: Option<String>,
    /// At most so many.
    pub limit: usize,
    /// Behind this one in the list.
    pub after: Option<Place>,
}

impl DeclaredFilter {
    fn passes(&self, declared: &Declared) -> bool {
        self.standing.is_none_or(|standing| declared.document().standing == standing)
            && self.partner.as_ref().is_none_or(|partner| declared.message.partner == *partner)
            && self.after.is_none_or(|after| declared.place().order() > after.order())
    }
}

/// Messages looked at for one page.
const LOOKED_AT: usize = 5000;

/// Part of a list. It may be short, even empty, and still not the last one.
#[derive(Debug, Clone, Default)]
pub struct DeclaredPage {
    /// Newest message first, the documents of a message in their order.
    pub documents: Vec<Declared>,
    /// Where the list goes on; none at its end.
    pub next: Option<Place>,
}

impl DeclaredPage {
    fn cut(mut documents: Vec<Declared>, limit: usize) -> DeclaredPage {
        let more = documents.len() > limit;
        documents.truncate(limit);
        let next = documents.last().map(Declared::place).filter(|_| more);
        DeclaredPage { documents, next }
    }
}

impl Store {
    /// Documents with this value of a [findable](FINDABLE) key, newest message first. It reads as far as it is asked.
    pub fn declared(&self, name: &str, value: &str) -> impl Iterator<Item = Declared> + use<'_> {
        self.declared_until(name, value, None)
    }

    /// [`declared`](Store::declared) up to this message, this one included.
    fn declared_until(&self, name: &str, value: &str, last: Option<Id>) -> impl Iterator<Item = Declared> + use<'_> {
        let (store, name, value) = (self.clone(), name.to_owned(), value.to_owned());
        let mut entries = self.0.index.documents(&name, &value, last);
        let mut known: Option<Arc<Message>> = None;
        let found = iter::from_fn(move || {
            let (id, number) = store.ask(entries.next()?)?;
            let message = known.take().filter(|known| known.id == id).or_else(|| store.shared(&id));
            known.clone_from(&message);
            Some(message.and_then(|message| Declared::of(message, number)))
        });
        // The key in the index is a hash.
        found.flatten().filter(move |declared| declared.document().key(&name) == Some(value.as_str()))
    }

    /// Documents that pass a filter, newest message first.
    pub fn declarations(&self, filter: &DeclaredFilter) -> DeclaredPage {
        let Some(value) = &filter.key else { return self.declarations_of_all(filter) };
        let last = filter.after.map(|after| after.message);
        // One more than asked for tells whether there is more.
        let enough = filter.limit.saturating_add(1);
        let passing = |declared: &Declared| filter.passes(declared);
        let of_name = |name| self.declared_until(name, value, last).filter(passing).take(enough);
        let mut documents: Vec<Declared> = FINDABLE.into_iter().flat_map(of_name).collect();
        documents.sort_by_key(|declared| declared.place().order());
        documents.dedup_by_key(|declared| declared.place());
        DeclaredPage::cut(documents, filter.limit)
    }

    /// Among the messages that have a document of the wanted standing, a bounded number of which is looked at.
    fn declarations_of_all(&self, filter: &DeclaredFilter) -> DeclaredPage {
        let view = filter.standing.map_or(View::Declared, View::Standing);
        let last = filter.after.map(|after| after.message);
        let older = self.0.index.latest_first(&view, last).map_while(|id| self.ask(id));
        let mut documents = Vec::new();
        for (looked_at, id) in last.into_iter().chain(older).enumerate() {
            if looked_at == LOOKED_AT {
                return DeclaredPage { documents, next: Some(Place { message: id, document: 0 }) };
            }
            let Some(message) = self.shared(&id) else { continue };
            let count = u32::try_from(message.documents.len()).unwrap_or(u32::MAX);
            let of_message = (1..=count).filter_map(|number| Declared::of(message.clone(), number));
            documents.extend(of_message.filter(|declared| filter.passes(declared)));
            if documents.len() > filter.limit {
                break;
            }
        }
        DeclaredPage::cut(documents, filter.limit)
    }

    /// The newest message to `partner` whose envelope has this `CopMsgId`.
    pub fn by_cop_msg_id(&self, partner: &str, cop_msg_id: &str) -> Option<Message> {
        let entries = self.0.index.documents(COP_MSG_ID, cop_msg_id, None).map_while(|entry| self.ask(entry));
        let own = |message: &Arc<Message>| {
            let declaration = message.declaration.as_ref();
            message.partner == partner
                && declaration.and_then(|declaration| declaration.cop_msg_id.as_deref()) == Some(cop_msg_id)
        };
        entries.filter_map(|(id, _)| self.shared(&id)).find(own).map(Arc::unwrap_or_clone)
    }
}

/// The name under which an envelope's id stands in the index, beside those of documents.
pub(super) const COP_MSG_ID: &str = "CopMsgId";
