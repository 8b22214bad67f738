//! The index: what can be asked quickly. Everything in it follows from the journal.
//!
//! One ordered map; the first byte of a key names the view. Identifiers are 16 bytes and sort by time, instants are
//! milliseconds, big-endian.
//!
//! | key | value | answers |
//! |---|---|---|
//! | `m` id | sequence, message as JSON, [`packed`] | the message; every fact up to that frame is in it |
//! | `s` state, id | ids | messages in a state, counts |
//! | `p` partner 0, id | ids | messages of a partner |
//! | `i` direction, Message-ID as a word 0, whether claimed, digest, id | | messages with a Message-ID; who claimed a key |
//! | `d` partner 0, due, id | | outbound messages with something to do |
//! | `u` id, index | | publications not yet published |
//! | `a` id | | messages with open alerts |
//! | `c` id | | messages with documents |
//! | `e` standing, id | | messages with documents that stand so |
//! | `f` hash of name and value, id, number | | documents with a key; number 0: messages with a `CopMsgId` |
//! | `o` id | | accepted messages whose asynchronous MDN is owed |
//! | `b` body id | body ids, places | where a body is |
//! | `t` sequence, part | JSON | the audit trail |
//! | `w` word 0, id | | messages whose file name or business key is this word |
//! | `!applied` | format, sequence, hash, settled, count, sum | how much of the journal is in here |
//! | `!marks` | JSON | removed segments, the latest snapshots |
//!
//! `s`, `p` and `b` are [`lists`]: many records in an entry.
//!
//! *hash* is that of the frame with that sequence: an index of another journal is noticed. *count* and *sum* cover
//! every other entry: a sled that lost or changed one behind our back does not add up, and is rebuilt. *settled* is the
//! frame up to which a loaded [snapshot](super::snapshot) may be ahead of *sequence*. `d` begins with the partner so that a
//! partner without free slots is skipped in one step; from when on a partner may have something due is known in memory
//! ([`floors`]), and so is who is next of it ([`line`]).
//!
//! What the committer adds waits in memory ([`pending`]) until the map gets much of it at once; whoever asks sees no
//! difference. A crash takes it, like everything that sled has not written: the map then holds the journal up to an
//! earlier frame, and the rest is read again.

mod changes;
mod floors;
mod inspection;
mod keys;
mod line;
mod listing;
mod lists;
mod packed;
mod pending;
mod totals;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{iter, option};

use jiff::Timestamp;

use self::floors::{Floors, Shift};
use self::keys::{
    DUE_TAIL, claimed_prefix, document_prefix, due_and_id, id_and_document, id_and_number, key, message_id_prefix,
    millis, partner_prefix, state_byte, trailing_id,
};
use self::lists::BODIES;
use self::pending::{Keys, Pending};
use self::totals::{Totals, entry_sum};
use super::db::{Bytes, Db, DbBatch, DbError};
use super::journal::retired::Marks;
use super::recent::{Indexed, Recent};
use super::record::{DedupKey, Direction, Message, State};
use super::trail::Entry;
use crate::ground::id::Id;

pub(super) use self::changes::{Changes, Entries};
pub(super) use self::floors::Found;
pub(super) use self::keys::{ALL_STATES, beginning, message_ids, whole_name, without_brackets, word, words};
pub(super) use self::line::Taken;
pub(super) use self::listing::View;
pub(super) use self::packed::decode;
pub(super) use self::totals::{Applied, Location};

/// An entry of the map.
type Stored = Result<(Bytes, Bytes), DbError>;

const APPLIED: &[u8] = b"!applied";
const MARKS: &[u8] = b"!marks";

/// The index over the journal.
#[derive(Debug)]
pub(super) struct Index {
    db: Db,
    /// What the map adds up to. Whoever changes the map or what waits for it holds this.
    totals: Mutex<Totals>,
    /// Held for moments only, by readers too.
    pending: Mutex<Pending>,
    recent: Mutex<Recent>,
    /// Held for moments only.
    floors: Arc<Mutex<Floors>>,
    /// Whoever looks for what is due in the map holds this.
    looking: Mutex<()>,
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
        let pending = Mutex::new(Pending::nothing(found.applied));
        let (recent, floors, looking) = (Mutex::default(), Arc::default(), Mutex::default());
        Ok((Index { db, totals: Mutex::new(found), pending, recent, floors, looking }, condition))
    }

    /// The last frame in here.
    pub(super) fn applied(&self) -> Applied {
        self.pending().applied
    }

    /// The frame up to which a loaded snapshot may be ahead of [`applied`](Index::applied).
    pub(super) fn settled(&self) -> u64 {
        self.totals().settled
    }

    /// Entries that start from the present state. Only one set may be in the making at a time.
    pub(super) fn loading(&self) -> Entries {
        Entries { totals: self.totals().clone(), ..Entries::default() }
    }

    /// Adds part of a snapshot. Until [`loaded`](Index::loaded) follows, the index does not say how far it goes, and a
    /// crash leaves one that is rebuilt.
    pub(super) fn load(&self, mut entries: Entries) -> Result<(), DbError> {
        entries.gather(&self.db)?;
        self.db.fill(entries.batch)?;
        *self.totals() = entries.totals;
        Ok(())
    }

    /// Adds the last part; the journal is in here up to `applied` then.
    pub(super) fn loaded(&self, entries: Entries, applied: Applied) -> Result<(), DbError> {
        self.write(&mut self.totals(), entries, applied, Db::apply)?;
        self.floors().forget();
        Ok(())
    }

    /// Entries of a view as they are stored, in the order of their keys.
    pub(super) fn entries(&self, view: u8) -> impl Iterator<Item = Result<(Bytes, Bytes), DbError>> + use<> {
        self.whole(|db| db.scan(&[view]))
    }

    /// What the journal said of itself.
    pub(super) fn marks(&self) -> Result<Marks, DbError> {
        match self.db.get(MARKS)? {
            Some(json) => Ok(serde_json::from_slice(&json).map_err(std::io::Error::from)?),
            None => Ok(Marks::default()),
        }
    }

    /// Makes the changes visible together; the journal is in here up to `applied` then. The map gets them later, unless they
    /// are of a rare kind. `weight` is about what they take in memory.
    pub(super) fn note(&self, changes: Changes, applied: Applied, weight: usize) -> Result<(), DbError> {
        if !changes.may_wait() {
            return self.apply(changes, applied);
        }
        let mut totals = self.totals();
        let shifts = changes.shifts();
        let mut pending = self.pending();
        pending.take(changes, applied, weight);
        let full = pending.is_full();
        drop(pending);
        self.follow(&shifts);
        if full { self.write_pending(&mut totals) } else { Ok(()) }
    }

    /// The same, and the map has them.
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
        changes: Changes,
        applied: Applied,
        make: impl FnOnce(&Db, DbBatch) -> Result<(), DbError>,
    ) -> Result<(), DbError> {
        let mut totals = self.totals();
        self.write_pending(&mut totals)?;
        let shifts = changes.shifts();
        let entries = changes.entries(self, &totals)?;
        self.write(&mut totals, entries, applied, make)?;
        self.follow(&shifts);
        Ok(())
    }

    /// These messages are visible in their new places.
    fn follow(&self, shifts: &[Shift]) {
        let mut floors = self.floors();
        shifts.iter().for_each(|shift| floors.note(shift));
    }

    /// The map gets what waits for it.
    fn write_pending(&self, totals: &mut Totals) -> Result<(), DbError> {
        let (changes, applied) = {
            let pending = self.pending();
            (pending.all(), pending.applied)
        };
        let Some(changes) = changes else { return Ok(()) };
        let entries = changes.entries(self, totals)?;
        self.write(totals, entries, applied, Db::apply)
    }

    /// Afterwards the map has everything up to `applied`, and nothing waits.
    fn write(
        &self,
        totals: &mut Totals,
        mut entries: Entries,
        applied: Applied,
        make: impl FnOnce(&Db, DbBatch) -> Result<(), DbError>,
    ) -> Result<(), DbError> {
        entries.gather(&self.db)?;
        entries.totals.applied = applied;
        entries.batch.insert(APPLIED, &entries.totals.encode());
        make(&self.db, entries.batch)?;
        self.recent().follow(entries.messages, &entries.forgotten);
        *totals = entries.totals;
        self.pending().written(applied);
        Ok(())
    }

    /// A view of the map with everything in it: what waits is written first.
    fn whole<V: Iterator<Item = Stored>>(
        &self,
        view: impl FnOnce(&Db) -> V,
    ) -> iter::Chain<option::IntoIter<Stored>, V> {
        let failed = self.write_pending(&mut self.totals()).err();
        failed.map(Err).into_iter().chain(view(&self.db))
    }

    /// What a message's entry adds to the sum of the map.
    fn sum_of(&self, known: &Indexed) -> Result<u64, DbError> {
        if let Some(sum) = known.sum {
            return Ok(sum);
        }
        // It waited when it was read, and has been written since.
        let key = key(b'm', &[known.message.id.as_bytes()]);
        let value = self.db.get(&key)?.ok_or_else(|| DbError::from(std::io::Error::other("a message is missing")))?;
        Ok(entry_sum(&key, &value))
    }

    /// Shortens the next start.
    pub(super) fn flush(&self) -> Result<(), DbError> {
        self.write_pending(&mut self.totals())?;
        self.db.flush()
    }

    /// A message.
    pub(super) fn message(&self, id: &Id) -> Result<Option<Indexed>, DbError> {
        if let Some(waiting) = self.pending().message(id) {
            return Ok(Some(waiting));
        }
        if let Some(recent) = self.recent().get(id) {
            return Ok(Some(recent.clone()));
        }
        Ok(self.stored(id)?.map(|(stored, _)| stored))
    }

    /// A message that somebody is about to work on: it is kept for the steps that follow, so that they do not decode it again.
    pub(super) fn message_for_work(&self, id: &Id) -> Result<Option<Indexed>, DbError> {
        if let Some(waiting) = self.pending().message(id) {
            return Ok(Some(waiting));
        }
        let writes = {
            let recent = self.recent();
            if let Some(known) = recent.get(id) {
                return Ok(Some(known.clone()));
            }
            recent.writes()
        };
        let Some((stored, len)) = self.stored(id)? else { return Ok(None) };
        self.recent().learn(&stored, len, writes);
        Ok(Some(stored))
    }

    /// A message as the map has it, and how long its JSON is.
    fn stored(&self, id: &Id) -> Result<Option<(Indexed, usize)>, DbError> {
        let key = key(b'm', &[id.as_bytes()]);
        let Some(value) = self.db.get(&key)? else { return Ok(None) };
        let (sequence, message, len) = packed::read(&value)?;
        let sum = Some(entry_sum(&key, &value));
        Ok(Some((Indexed { message: Arc::new(message), sum, sequence }, len)))
    }

    /// Who claimed a key.
    pub(super) fn claimant(&self, dedup: &DedupKey) -> Result<Option<Id>, DbError> {
        let wanted = without_brackets(&dedup.message_id);
        let claims = |message: &Message| {
            message.claim.as_ref().is_some_and(|claim| {
                claim.from == dedup.from && claim.to == dedup.to && without_brackets(&claim.message_id) == wanted
            })
        };
        self.known_under(claimed_prefix(wanted), claims)
    }

    /// Where a body is.
    pub(super) fn body(&self, id: &Id) -> Result<Option<Location>, DbError> {
        if let Some(waiting) = self.pending().body(id) {
            return Ok(Some(waiting));
        }
        Ok(lists::find(&self.db, BODIES, id)?.and_then(|place| Location::decode(&place)))
    }

    /// The latest message of a partner with this Message-ID.
    pub(super) fn by_message_id(
        &self,
        direction: Direction,
        partner: &str,
        message_id: &str,
    ) -> Result<Option<Id>, DbError> {
        let wanted = without_brackets(message_id);
        let is_meant = |message: &Message| {
            message.partner == partner && message_ids(message).any(|known| without_brackets(known) == wanted)
        };
        let latest = self.known_under(message_id_prefix(direction, partner, wanted), is_meant)?;
        match direction {
            Direction::Outbound => Ok(latest),
            Direction::Inbound => Ok(latest.max(self.known_under(claimed_prefix(wanted), is_meant)?)),
        }
    }

    /// The latest of these messages that is meant.
    fn known_under(&self, prefix: Vec<u8>, is_meant: impl Fn(&Message) -> bool) -> Result<Option<Id>, DbError> {
        let end = [&prefix[..], &[0xff; 17]].concat();
        for key in Keys::backwards(self, prefix, Some(end)) {
            let Some(id) = trailing_id(&key?) else { continue };
            if self.message(&id)?.is_some_and(|known| is_meant(&known.message)) {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// Documents with this key: their messages and numbers, latest message first, none later than `last`.
    pub(super) fn documents(
        &self,
        name: &str,
        value: &str,
        last: Option<Id>,
    ) -> impl Iterator<Item = Result<(Id, u32), DbError>> + use<'_> {
        let prefix = document_prefix(name, value);
        let mut end = prefix.clone();
        end.extend_from_slice(last.as_ref().map_or(&[0xff; 16], |last| last.as_bytes()));
        end.extend_from_slice(&[0xff; 5]);
        Keys::backwards(self, prefix, Some(end)).filter_map(|key| key.map(|key| id_and_document(&key)).transpose())
    }

    /// The audit trail, latest first, before a frame.
    pub(super) fn trail(&self, before: Option<u64>) -> impl Iterator<Item = Result<Entry, DbError>> + use<> {
        let end = key(b't', &[&before.unwrap_or(u64::MAX).to_be_bytes()]);
        let entries = self.whole(|db| db.back_from(b"t", &end));
        entries.map(|entry| Ok(serde_json::from_slice(&entry?.1).map_err(std::io::Error::from)?))
    }

    /// Messages in each state.
    pub(super) fn states(&self) -> HashMap<State, u64> {
        let totals = self.totals();
        let pending = self.pending();
        let count = |byte| {
            let written = totals.states.get(&byte).copied().unwrap_or_default();
            written.saturating_add_signed(pending.more_in(byte))
        };
        ALL_STATES.iter().map(|state| (*state, count(state_byte(*state)))).collect()
    }

    /// The first partner with due work whose name sorts after `partner`.
    pub(super) fn next_partner(&self, partner: Option<&str>) -> Result<Option<String>, DbError> {
        let from = match partner {
            None => vec![b'd'],
            Some(partner) => key(b'd', &[partner.as_bytes(), &[1]]),
        };
        let Some(found) = Keys::forwards(self, from, Some(vec![b'd' + 1])).next().transpose()? else { return Ok(None) };
        let Some(rest) = found.strip_prefix(b"d") else { return Ok(None) };
        let name = rest.len().checked_sub(DUE_TAIL).and_then(|end| rest.get(..end));
        let name = name.ok_or_else(|| DbError::from(std::io::Error::other("a due entry is too short")))?;
        Ok(Some(String::from_utf8_lossy(name).into_owned()))
    }

    /// The partner of which something may be due the earliest, or the next one behind `after`. What is known of the others
    /// keeps them from being asked about.
    pub(super) fn first_floor(&self, after: Option<&Found>) -> Result<Option<Found>, DbError> {
        if self.floors().are_unknown() {
            let (mut partners, mut next) = (Vec::new(), self.next_partner(None)?);
            while let Some(name) = next {
                next = self.next_partner(Some(&name))?;
                partners.push(name);
            }
            self.floors().learn(partners);
        }
        Ok(self.floors().lowest(after))
    }

    /// Notes the earliest instant of a partner, or that it has none; see [`Floors::raise`].
    pub(super) fn raise_floor(&self, found: &Found, to: Option<Timestamp>) {
        self.floors().raise(found, to);
    }

    /// Due entries of one partner from `from` on, earliest first.
    pub(super) fn due(
        &self,
        partner: &str,
        from: Option<Timestamp>,
    ) -> impl Iterator<Item = Result<(Timestamp, Id), DbError>> + use<'_> {
        let mut start = partner_prefix(b'd', partner);
        let end = key(b'd', &[partner.as_bytes(), &[1]]);
        start.extend(from.map(millis).into_iter().flatten());
        Keys::forwards(self, start, Some(end)).filter_map(|key| key.map(|key| due_and_id(&key)).transpose())
    }

    /// Messages and publication numbers that are not published yet, oldest first.
    pub(super) fn unpublished(&self) -> impl Iterator<Item = Result<(Id, u32), DbError>> + use<'_> {
        let keys = Keys::forwards(self, vec![b'u'], Some(vec![b'u' + 1]));
        keys.filter_map(|key| key.map(|key| id_and_number(&key)).transpose())
    }

    fn totals(&self) -> MutexGuard<'_, Totals> {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn floors(&self) -> MutexGuard<'_, Floors> {
        self.floors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
