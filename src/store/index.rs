//! The index: what can be asked quickly. Everything in it follows from the journal.
//!
//! One ordered map; the first byte of a key names the view. Identifiers are 16 bytes and sort by time, instants are
//! milliseconds, big-endian.
//!
//! | key | value | answers |
//! |---|---|---|
//! | `m` id | sequence, message as JSON | the message; every fact up to that frame is in it |
//! | `s` state, id | | messages in a state, counts |
//! | `p` partner 0, id | | messages of a partner |
//! | `i` direction, hash of partner and Message-ID, id | | the message with a Message-ID |
//! | `d` partner 0, due, id | | outbound messages with something to do |
//! | `u` id, index | | publications not yet published |
//! | `a` id | | messages with open alerts |
//! | `c` id | | messages with documents |
//! | `e` standing, id | | messages with documents that stand so |
//! | `f` hash of name and value, id, number | | documents with a key; number 0: messages with a `CopMsgId` |
//! | `o` id | | accepted messages whose asynchronous MDN is owed |
//! | `k` hash of the dedup key | id | who claimed a key |
//! | `b` body id | place | where a body is |
//! | `t` sequence, part | JSON | the audit trail |
//! | `w` word 0, id | | messages whose file name, Message-ID or business key is this word |
//! | `!applied` | format, sequence, hash, settled, count, sum | how much of the journal is in here |
//! | `!marks` | JSON | removed segments, the latest snapshots |
//!
//! *hash* is that of the frame with that sequence: an index of another journal is noticed. *count* and *sum* cover
//! every other entry: a sled that lost or changed one behind our back does not add up, and is rebuilt. *settled* is the
//! frame up to which a loaded [snapshot](super::snapshot) may be ahead of *sequence*. `d` begins with the partner so that a partner without free slots is skipped in one step.

mod inspection;
mod keys;
mod totals;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use self::keys::{
    DUE_TAIL, business_views, claim_key, document_prefix, due_and_id, id_and_document, id_and_number, key,
    message_id_prefix, millis, partner_prefix, standing_byte, state_byte, trail_key, trailing_id, views, word_prefix,
};
use self::totals::{Totals, entry_sum};
use super::db::{Bytes, Db, DbBatch, DbError};
use super::journal::retired::{Link, Marks};
use super::recent::{Indexed, Recent};
use super::record::{DedupKey, Direction, Message, State};
use super::trail::Entry;
use crate::declaration::standing::Standing;
use crate::ground::id::Id;

pub(super) use self::keys::{ALL_STATES, without_brackets, word, words};
pub(super) use self::totals::{Applied, Location};

const APPLIED: &[u8] = b"!applied";
const MARKS: &[u8] = b"!marks";

/// The index over the journal.
#[derive(Debug)]
pub(super) struct Index {
    db: Db,
    totals: Mutex<Totals>,
    recent: Mutex<Recent>,
}

/// Entries to add and remove, all of them known to be absent or present.
#[derive(Default)]
pub(super) struct Changes {
    batch: DbBatch,
    totals: Totals,
    upto: u64,
    /// Messages and the lengths of their stored forms.
    messages: Vec<(Indexed, usize)>,
    forgotten: Vec<Id>,
}

/// How the index on disk compares with what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Condition {
    /// Nothing was ever applied.
    Empty,
    /// It adds up; it holds the journal up to this frame.
    Sound(Applied),
    /// It does not.
    Unsound(String),
}

impl Index {
    /// Takes the map and looks at every entry.
    pub(super) fn inspect(db: Db) -> Result<(Index, Condition), DbError> {
        let mut found = inspection::add_up(&db, APPLIED)?;
        let stored = db.get(APPLIED)?;
        let condition = match stored.as_deref().map(Totals::decode) {
            None if found.entries == 0 => Condition::Empty,
            None => Condition::Unsound("it does not say how far it goes".to_owned()),
            Some(None) => Condition::Unsound("another version wrote it".to_owned()),
            Some(Some(stored)) if (stored.entries, stored.sum) == (found.entries, found.sum) => {
                (found.applied, found.settled) = (stored.applied, stored.settled);
                Condition::Sound(found.applied)
            }
            Some(Some(stored)) => {
                let (entries, has) = (stored.entries, found.entries);
                Condition::Unsound(format!("it should have {entries} entries and has {has}, or some have changed"))
            }
        };
        Ok((Index { db, totals: Mutex::new(found), recent: Mutex::default() }, condition))
    }

    /// The last frame in here.
    pub(super) fn applied(&self) -> Applied {
        self.totals().applied
    }

    /// The frame up to which a loaded snapshot may be ahead of [`applied`](Index::applied).
    pub(super) fn settled(&self) -> u64 {
        self.totals().settled
    }

    /// Changes that start from the present state, to messages whose facts up to frame `upto` are in them then. Only
    /// one set may be in the making at a time.
    pub(super) fn changes(&self, upto: u64) -> Changes {
        Changes { totals: self.totals().clone(), upto, ..Changes::default() }
    }

    /// Adds part of a snapshot. Until [`apply`](Index::apply) follows, the index does not say how far it goes, and a
    /// crash leaves one that is rebuilt.
    pub(super) fn load(&self, changes: Changes) -> Result<(), DbError> {
        self.db.fill(changes.batch)?;
        *self.totals() = changes.totals;
        Ok(())
    }

    /// Entries of a view as they are stored, in the order of their keys.
    pub(super) fn entries(&self, view: u8) -> impl Iterator<Item = Result<(Bytes, Bytes), DbError>> + use<> {
        self.db.scan(&[view])
    }

    /// What the journal said of itself.
    pub(super) fn marks(&self) -> Result<Marks, DbError> {
        match self.db.get(MARKS)? {
            Some(json) => Ok(serde_json::from_slice(&json).map_err(std::io::Error::from)?),
            None => Ok(Marks::default()),
        }
    }

    /// Makes the changes visible together; the journal is in here up to `applied` then.
    pub(super) fn apply(&self, changes: Changes, applied: Applied) -> Result<(), DbError> {
        self.become_known(changes, applied, Db::apply)
    }

    /// The same with many changes while nobody else uses the index. After a crash or an error in the midst of it the index
    /// does not add up, and is rebuilt.
    pub(super) fn fill(&self, changes: Changes, applied: Applied) -> Result<(), DbError> {
        self.become_known(changes, applied, Db::fill)
    }

    fn become_known(
        &self,
        mut changes: Changes,
        applied: Applied,
        make: impl FnOnce(&Db, DbBatch) -> Result<(), DbError>,
    ) -> Result<(), DbError> {
        changes.totals.applied = applied;
        changes.batch.insert(APPLIED, &changes.totals.encode());
        make(&self.db, changes.batch)?;
        let mut recent = self.recent();
        changes.messages.into_iter().for_each(|(message, len)| recent.put(message, len));
        changes.forgotten.iter().for_each(|id| recent.forget(id));
        drop(recent);
        *self.totals() = changes.totals;
        Ok(())
    }

    /// Shortens the next start.
    pub(super) fn flush(&self) -> Result<(), DbError> {
        self.db.flush()
    }

    /// A message.
    pub(super) fn message(&self, id: &Id) -> Result<Option<Indexed>, DbError> {
        if let Some(recent) = self.recent().get(id) {
            return Ok(Some(recent.clone()));
        }
        let key = key(b'm', &[id.as_bytes()]);
        let Some(value) = self.db.get(&key)? else { return Ok(None) };
        let (sequence, message) = decode(&value)?;
        Ok(Some(Indexed { message: Arc::new(message), sum: entry_sum(&key, &value), sequence }))
    }

    /// Who claimed a key.
    pub(super) fn claimant(&self, dedup: &DedupKey) -> Result<Option<Id>, DbError> {
        let value = self.db.get(&claim_key(dedup))?;
        Ok(value.and_then(|value| value.first_chunk::<16>().copied()).map(Id::from_bytes))
    }

    /// Where a body is.
    pub(super) fn body(&self, id: &Id) -> Result<Option<Location>, DbError> {
        Ok(self.db.get(&key(b'b', &[id.as_bytes()]))?.and_then(|value| Location::decode(&value)))
    }

    /// The latest message of a partner with this Message-ID.
    pub(super) fn by_message_id(
        &self,
        direction: Direction,
        partner: &str,
        message_id: &str,
    ) -> Result<Option<Id>, DbError> {
        let latest = self.db.last(&message_id_prefix(direction, partner, message_id))?;
        Ok(latest.and_then(|(key, _)| trailing_id(&key)))
    }

    /// Ids of a view, latest first, older than `before`.
    pub(super) fn latest_first(
        &self,
        view: &View<'_>,
        before: Option<Id>,
    ) -> impl Iterator<Item = Result<Id, DbError>> + use<> {
        let prefix = match view {
            View::All => vec![b'm'],
            View::State(state) => vec![b's', state_byte(*state)],
            View::Partner(partner) => partner_prefix(b'p', partner),
            View::Alerting => vec![b'a'],
            View::Declared => vec![b'c'],
            View::Standing(standing) => vec![b'e', standing_byte(*standing)],
            View::Owing => vec![b'o'],
        };
        let mut end = prefix.clone();
        match before {
            Some(id) => end.extend_from_slice(id.as_bytes()),
            None => end.extend_from_slice(&[0xff; 17]),
        }
        self.db.back_from(&prefix, &end).filter_map(|entry| entry.map(|(key, _)| trailing_id(&key)).transpose())
    }

    /// Documents with this key: their messages and numbers, latest message first, none later than `last`.
    pub(super) fn documents(
        &self,
        name: &str,
        value: &str,
        last: Option<Id>,
    ) -> impl Iterator<Item = Result<(Id, u32), DbError>> + use<> {
        let prefix = document_prefix(name, value);
        let mut end = prefix.clone();
        end.extend_from_slice(last.as_ref().map_or(&[0xff; 16], |last| last.as_bytes()));
        end.extend_from_slice(&[0xff; 5]);
        self.db.back_from(&prefix, &end).filter_map(|entry| entry.map(|(key, _)| id_and_document(&key)).transpose())
    }

    /// The oldest message in a state.
    pub(super) fn oldest(&self, state: State) -> Result<Option<Id>, DbError> {
        let first = self.db.scan(&[b's', state_byte(state)]).next().transpose()?;
        Ok(first.and_then(|(key, _)| trailing_id(&key)))
    }

    /// Messages with a word that begins with `text`, those of one word in the order of time.
    pub(super) fn mentioning(&self, text: &str) -> impl Iterator<Item = Result<Id, DbError>> + use<> {
        self.db.scan(&word_prefix(text)).filter_map(|entry| entry.map(|(key, _)| trailing_id(&key)).transpose())
    }

    /// The audit trail, latest first, before a frame.
    pub(super) fn trail(&self, before: Option<u64>) -> impl Iterator<Item = Result<Entry, DbError>> + use<> {
        let end = key(b't', &[&before.unwrap_or(u64::MAX).to_be_bytes()]);
        let entries = self.db.back_from(b"t", &end);
        entries.map(|entry| Ok(serde_json::from_slice(&entry?.1).map_err(std::io::Error::from)?))
    }

    /// Messages in each state.
    pub(super) fn states(&self) -> HashMap<State, u64> {
        let totals = self.totals();
        ALL_STATES.iter().map(|state| (*state, totals.states.get(&state_byte(*state)).copied().unwrap_or(0))).collect()
    }

    /// The first partner with due work whose name sorts after `partner`.
    pub(super) fn next_partner(&self, partner: Option<&str>) -> Result<Option<String>, DbError> {
        let from = match partner {
            None => vec![b'd'],
            Some(partner) => key(b'd', &[partner.as_bytes(), &[1]]),
        };
        let Some(entry) = self.db.from(&from).next() else { return Ok(None) };
        let (found, _) = entry?;
        let Some(rest) = found.strip_prefix(b"d") else { return Ok(None) };
        let name = rest.len().checked_sub(DUE_TAIL).and_then(|end| rest.get(..end));
        let name = name.ok_or_else(|| DbError::from(std::io::Error::other("a due entry is too short")))?;
        Ok(Some(String::from_utf8_lossy(name).into_owned()))
    }

    /// Due entries of one partner from `from` on, earliest first.
    pub(super) fn due(
        &self,
        partner: &str,
        from: Option<Timestamp>,
    ) -> impl Iterator<Item = Result<(Timestamp, Id), DbError>> + use<> {
        let prefix = partner_prefix(b'd', partner);
        let mut start = prefix.clone();
        start.extend(from.map(millis).into_iter().flatten());
        self.db
            .from(&start)
            .take_while(move |entry| entry.as_ref().map_or(true, |(key, _)| key.starts_with(&prefix)))
            .filter_map(|entry| entry.map(|(key, _)| due_and_id(&key)).transpose())
    }

    /// Messages and publication numbers that are not published yet, oldest first.
    pub(super) fn unpublished(&self) -> impl Iterator<Item = Result<(Id, u32), DbError>> + use<> {
        self.db.scan(b"u").filter_map(|entry| entry.map(|(key, _)| id_and_number(&key)).transpose())
    }

    fn totals(&self) -> MutexGuard<'_, Totals> {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A set of messages that has a key order of its own.
pub(super) enum View<'a> {
    All,
    State(State),
    Partner(&'a str),
    Alerting,
    Declared,
    Standing(Standing),
    Owing,
}

impl Changes {
    /// A message changed from what the index has, none if it is new, to this one.
    pub(super) fn message(&mut self, before: Option<&Indexed>, after: &Arc<Message>) -> Result<(), DbError> {
        let mut value = self.upto.to_be_bytes().to_vec();
        serde_json::to_writer(&mut value, after.as_ref()).map_err(std::io::Error::from)?;
        let old = before.map(|before| views(&before.message)).unwrap_or_default();
        let new = views(after);
        for key in old.iter().filter(|key| !new.contains(key)) {
            self.remove(key, &[]);
        }
        for key in new.iter().filter(|key| !old.contains(key)) {
            self.insert(key, &[]);
        }
        self.documents(before.map(|before| before.message.as_ref()), after);
        let key = key(b'm', &[after.id.as_bytes()]);
        if let Some(before) = before {
            self.totals.subtract_sum(before.sum);
        }
        let sum = self.insert(&key, &value);
        self.messages.push((Indexed { message: after.clone(), sum, sequence: self.upto }, value.len()));
        Ok(())
    }

    /// What the documents of a message are found by; most facts leave them alone.
    fn documents(&mut self, before: Option<&Message>, after: &Message) {
        if before.is_some_and(|before| before.documents.are_shared_with(&after.documents)) {
            return;
        }
        let old = before.map(business_views).unwrap_or_default();
        let new = business_views(after);
        for key in old.difference(&new) {
            self.remove(key, &[]);
        }
        for key in new.difference(&old) {
            self.insert(key, &[]);
        }
    }

    /// A message is forgotten, with the key that it claimed.
    pub(super) fn forget(&mut self, before: &Indexed) {
        let message = &before.message;
        self.forgotten.push(message.id);
        for key in views(message).iter().chain(&business_views(message)) {
            self.remove(key, &[]);
        }
        self.totals.subtract_sum(before.sum);
        self.batch.remove(&key(b'm', &[message.id.as_bytes()]));
        if let Some(claim) = &message.claim {
            self.remove(&claim_key(claim), message.id.as_bytes());
        }
    }

    /// A key was claimed for the first time.
    pub(super) fn claim(&mut self, dedup: &DedupKey, id: &Id) {
        self.insert(&claim_key(dedup), id.as_bytes());
    }

    /// A body became known, or is somewhere else now.
    pub(super) fn body(&mut self, id: &Id, before: Option<Location>, location: Location) {
        let key = key(b'b', &[id.as_bytes()]);
        if let Some(before) = before {
            self.totals.subtract(&key, &before.encode());
        }
        self.insert(&key, &location.encode());
    }

    /// A body is no longer kept.
    pub(super) fn drop_body(&mut self, id: &Id, location: Location) {
        self.remove(&key(b'b', &[id.as_bytes()]), &location.encode());
    }

    /// The journal said something of itself.
    pub(super) fn links(&mut self, index: &Index, links: &[Link]) -> Result<(), DbError> {
        let mut marks = index.marks()?;
        let known = index.db.get(MARKS)?;
        links.iter().for_each(|link| marks.follow(link));
        self.marks(known.as_deref(), &marks)
    }

    /// A change for the audit trail; a loaded snapshot may have it already.
    pub(super) fn trail(&mut self, index: &Index, entry: &Entry) -> Result<(), DbError> {
        let key = trail_key(entry.sequence, entry.part);
        if index.db.get(&key)?.is_none() {
            self.insert(&key, &serde_json::to_vec(entry).map_err(std::io::Error::from)?);
        }
        Ok(())
    }

    /// Sets what the journal said of itself.
    pub(super) fn marks(&mut self, before: Option<&[u8]>, marks: &Marks) -> Result<(), DbError> {
        if let Some(before) = before {
            self.totals.subtract(MARKS, before);
        }
        let json = serde_json::to_vec(marks).map_err(std::io::Error::from)?;
        self.insert(MARKS, &json);
        Ok(())
    }

    /// Adds an entry of a snapshot under its own key.
    pub(super) fn entry(&mut self, view: u8, id: &[u8], value: &[u8]) {
        self.insert(&key(view, &[id]), value);
    }

    /// Adds a message of a snapshot as it was stored.
    pub(super) fn stored(&mut self, value: &[u8]) -> Result<(), DbError> {
        let (_, message) = decode(value)?;
        for key in views(&message).iter().chain(&business_views(&message)) {
            self.insert(key, &[]);
        }
        self.insert(&key(b'm', &[message.id.as_bytes()]), value);
        Ok(())
    }

    /// What was loaded may be ahead up to this frame.
    pub(super) fn settle(&mut self, upto: u64) {
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

/// The sequence up to which a stored message holds every fact, and the message.
pub(super) fn decode(value: &[u8]) -> Result<(u64, Message), DbError> {
    let split = value.split_first_chunk::<8>();
    let (sequence, json) = split.ok_or_else(|| DbError::from(std::io::Error::other("a message entry is too short")))?;
    Ok((u64::from_be_bytes(*sequence), serde_json::from_slice(json).map_err(std::io::Error::from)?))
}
