//! What groups of facts do to the index, and the entries that this comes to.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::floors::{Shift, due_of};
use super::keys::{OTHER, QUICK, differences, key, trail_key, views};
use super::lists::{self, BODIES, Edits, lists_of};
use super::packed::Packer;
use super::totals::Totals;
use super::{Index, Location, MARKS};
use crate::ground::id::Id;
use crate::store::db::{Db, DbBatch, DbError};
use crate::store::journal::retired::{Link, Marks};
use crate::store::recent::Indexed;
use crate::store::record::Message;
use crate::store::trail::Entry;

/// What a group of facts does to the index.
#[derive(Default)]
pub(in crate::store) struct Changes {
    upto: u64,
    pub(super) messages: Vec<Changed>,
    pub(super) bodies: Vec<(Id, Location)>,
    rare: Rare,
}

/// A message as the index has it, none if it is new, and as it is from here on.
#[derive(Debug, Clone)]
pub(super) struct Changed {
    pub(super) before: Option<Indexed>,
    pub(super) after: Arc<Message>,
    /// Every fact up to this frame is in it.
    pub(super) sequence: u64,
}

/// What hardly a group does: it does not wait in memory.
#[derive(Default)]
struct Rare {
    forgotten: Vec<Indexed>,
    dropped: Vec<Id>,
    links: Vec<Link>,
    trail: Vec<Entry>,
}

impl Changes {
    /// What they do to the lines of partners.
    pub(super) fn shifts(&self) -> Vec<Shift> {
        let changed = self.messages.iter().filter_map(|Changed { before, after, .. }| {
            let from = before.as_ref().and_then(|before| due_of(&before.message));
            Shift::new(after, from, due_of(after))
        });
        let forgotten = self.rare.forgotten.iter();
        let forgotten = forgotten.filter_map(|before| Shift::new(&before.message, due_of(&before.message), None));
        changed.chain(forgotten).collect()
    }

    /// Changes to messages whose facts up to frame `upto` are in them then.
    pub(in crate::store) fn upto(upto: u64) -> Changes {
        Changes { upto, ..Changes::default() }
    }

    /// Whether they may wait in memory for others.
    pub(super) fn may_wait(&self) -> bool {
        let Rare { forgotten, dropped, links, trail } = &self.rare;
        forgotten.is_empty() && dropped.is_empty() && links.is_empty() && trail.is_empty()
    }

    /// A message changed from what the index has, none if it is new, to this one.
    pub(in crate::store) fn message(&mut self, before: Option<&Indexed>, after: &Arc<Message>) {
        self.messages.push(Changed { before: before.cloned(), after: after.clone(), sequence: self.upto });
    }

    /// A message is forgotten; the key that it claimed is free again.
    pub(in crate::store) fn forget(&mut self, before: &Indexed) {
        self.rare.forgotten.push(before.clone());
    }

    /// A body became known, or is somewhere else now.
    pub(in crate::store) fn body(&mut self, id: &Id, location: Location) {
        self.bodies.push((*id, location));
    }

    /// A body is no longer kept.
    pub(in crate::store) fn drop_body(&mut self, id: &Id) {
        self.rare.dropped.push(*id);
    }

    /// The journal said something of itself.
    pub(in crate::store) fn links(&mut self, links: Vec<Link>) {
        self.rare.links = links;
    }

    /// A change for the audit trail; a loaded snapshot may have it already.
    pub(in crate::store) fn trail(&mut self, entry: &Entry) {
        self.rare.trail.push(entry.clone());
    }

    /// The entries that this comes to, on top of what `totals` says of the index.
    pub(super) fn entries(self, index: &Index, totals: &Totals) -> Result<Entries, DbError> {
        let mut entries = Entries { totals: totals.clone(), ..Entries::default() };
        let Rare { forgotten, dropped, links, trail } = self.rare;
        for before in forgotten {
            let sum = index.sum_of(&before)?;
            entries.forget(&before.message, sum);
        }
        for Changed { before, after, sequence } in self.messages {
            let sum = before.as_ref().map(|before| index.sum_of(before)).transpose()?;
            entries.message(before.as_ref().map(|before| &*before.message).zip(sum), &after, sequence)?;
        }
        for (id, location) in self.bodies {
            entries.list(BODIES, id, Some(location.encode()));
        }
        for id in dropped {
            entries.list(BODIES, id, None);
        }
        if !links.is_empty() {
            let known = index.db.get(MARKS)?;
            let mut marks = index.marks()?;
            links.iter().for_each(|link| marks.follow(link));
            entries.marks(known.as_deref(), &marks)?;
        }
        for entry in trail {
            let key = trail_key(entry.sequence, entry.part);
            if index.db.get(&key)?.is_none() {
                entries.insert(&key, &serde_json::to_vec(&entry).map_err(std::io::Error::from)?);
            }
        }
        Ok(entries)
    }
}

/// Entries to add and remove, all of them known to be absent or present, and what the index adds up to with them.
#[derive(Default)]
pub(in crate::store) struct Entries {
    pub(super) batch: DbBatch,
    pub(super) totals: Totals,
    /// What is to be done to lists, by their prefixes; see [`Entries::gather`].
    pub(super) lists: BTreeMap<Vec<u8>, Edits>,
    /// Messages and the lengths of their stored forms.
    pub(super) messages: Vec<(Indexed, usize)>,
    pub(super) forgotten: Vec<Id>,
    pub(super) packer: Packer,
}

impl Entries {
    fn message(&mut self, before: Option<(&Message, u64)>, after: &Arc<Message>, sequence: u64) -> Result<(), DbError> {
        let (before, earlier_sum) = before.unzip();
        let (old, new) = (before.map(lists_of), lists_of(after));
        for list in old.iter().flatten().filter(|list| !new.contains(list)) {
            self.list(list, after.id, None);
        }
        for list in new.iter().filter(|list| old.as_ref().is_none_or(|old| !old.contains(list))) {
            self.list(list, after.id, Some(Vec::new()));
        }
        for part in QUICK.iter().chain(&OTHER) {
            if before.is_some_and(|before| (part.are_alike)(before, after)) {
                continue;
            }
            let old = before.map(part.keys).unwrap_or_default();
            for (key, is_there) in differences(old, (part.keys)(after)) {
                self.replace(&key, is_there);
            }
        }
        let key = key(b'm', &[after.id.as_bytes()]);
        if let Some(sum) = earlier_sum {
            self.totals.subtract_sum(sum);
        }
        let (value, len) = self.packer.pack(sequence, after)?;
        self.batch.insert(&key, value);
        let sum = Some(self.totals.add(&key, value));
        self.messages.push((Indexed { message: after.clone(), sum, sequence }, len));
        Ok(())
    }

    /// A key without value is there from here on, or goes.
    fn replace(&mut self, key: &[u8], is_there: bool) {
        if is_there {
            self.insert(key, &[]);
        } else {
            self.remove(key, &[]);
        }
    }

    fn forget(&mut self, message: &Message, sum: u64) {
        self.forgotten.push(message.id);
        for list in lists_of(message) {
            self.list(&list, message.id, None);
        }
        for key in views(message) {
            self.remove(&key, &[]);
        }
        self.totals.subtract_sum(sum);
        self.batch.remove(&key(b'm', &[message.id.as_bytes()]));
    }

    /// A record of a list is there from here on, or goes.
    fn list(&mut self, prefix: &[u8], id: Id, record: Option<Vec<u8>>) {
        match self.lists.get_mut(prefix) {
            Some(edits) => drop(edits.insert(id, record)),
            None => drop(self.lists.insert(prefix.to_vec(), Edits::from([(id, record)]))),
        }
    }

    /// Turns what is to be done to lists into entries of the map.
    pub(super) fn gather(&mut self, db: &Db) -> Result<(), DbError> {
        for (prefix, edits) in std::mem::take(&mut self.lists) {
            lists::edit(db, &prefix, edits, &mut |key, before, after| {
                before.into_iter().for_each(|before| self.totals.subtract(key, before));
                match after {
                    Some(after) => drop(self.insert(key, after)),
                    None => self.batch.remove(key),
                }
            })?;
        }
        Ok(())
    }

    /// Sets what the journal said of itself.
    pub(in crate::store) fn marks(&mut self, before: Option<&[u8]>, marks: &Marks) -> Result<(), DbError> {
        if let Some(before) = before {
            self.totals.subtract(MARKS, before);
        }
        let json = serde_json::to_vec(marks).map_err(std::io::Error::from)?;
        self.insert(MARKS, &json);
        Ok(())
    }

    /// Adds a change of the audit trail under its own key.
    pub(in crate::store) fn stored_change(&mut self, id: &[u8], value: &[u8]) {
        self.insert(&key(b't', &[id]), value);
    }

    /// Adds a body of a snapshot.
    pub(in crate::store) fn stored_body(&mut self, id: Id, place: &[u8]) {
        self.list(BODIES, id, Some(place.to_vec()));
    }

    /// Adds a message of a snapshot.
    pub(in crate::store) fn stored(&mut self, sequence: u64, json: &[u8]) -> Result<(), DbError> {
        let message: Message = serde_json::from_slice(json).map_err(std::io::Error::from)?;
        for list in lists_of(&message) {
            self.list(&list, message.id, Some(Vec::new()));
        }
        for key in views(&message) {
            self.insert(&key, &[]);
        }
        let key = key(b'm', &[message.id.as_bytes()]);
        let value = self.packer.pack_json(sequence, json)?;
        self.batch.insert(&key, value);
        self.totals.add(&key, value);
        Ok(())
    }

    /// What was loaded may be ahead up to this frame.
    pub(in crate::store) fn settle(&mut self, upto: u64) {
        self.totals.settled = upto;
    }

    /// Returns what the entry adds to the sum.
    fn insert(&mut self, key: &[u8], value: &[u8]) -> u64 {
        self.batch.insert(key, value);
        self.totals.add(key, value)
    }

    fn remove(&mut self, key: &[u8], value: &[u8]) {
        self.totals.subtract(key, value);
        self.batch.remove(key);
    }
}
