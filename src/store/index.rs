//! The index: what can be asked quickly. Everything in it follows from the journal.
//!
//! One ordered map; the first byte of a key names the view. Identifiers are 16 bytes and sort by time, instants are
//! milliseconds, big-endian.
//!
//! | key | value | answers |
//! |---|---|---|
//! | `m` id | message as JSON | the message |
//! | `s` state, id | | messages in a state, counts |
//! | `p` partner 0, id | | messages of a partner |
//! | `i` direction, hash of partner and Message-ID, id | | the message with a Message-ID |
//! | `d` partner 0, due, id | | outbound messages with something to do |
//! | `u` id, index | | publications not yet published |
//! | `k` hash of the dedup key | id | who claimed a key |
//! | `b` body id | place | where a body is |
//! | `!applied` | format, sequence, hash, count, sum | how much of the journal is in here |
//!
//! *hash* is that of the frame with that sequence: an index of another journal is noticed. *count* and *sum* cover every other entry: a sled that lost or changed one behind our back does not add up, and is
//! rebuilt. `d` begins with the partner so that a partner without free slots is skipped in one step.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::db::{Bytes, Db, DbBatch, DbError};
use super::journal::frame::Hash;
use super::record::{DedupKey, Direction, Message, PublicationStage, State};
use crate::ground::id::Id;

/// Changes when keys or values do; another number means: rebuild.
const FORMAT: u32 = 1;
const APPLIED: &[u8] = b"!applied";

/// Where a body's bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Location {
    /// Inside a journal segment.
    Journal { segment: u64, offset: u64, len: u64 },
    /// In a file named by its id.
    File,
}

/// The index over the journal.
#[derive(Debug)]
pub(super) struct Index {
    db: Db,
    totals: Mutex<Totals>,
}

/// What the entries add up to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Totals {
    applied: Applied,
    entries: u64,
    sum: u64,
    states: HashMap<u8, u64>,
}

/// Entries to add and remove, all of them known to be absent or present.
#[derive(Default)]
pub(super) struct Changes {
    batch: DbBatch,
    totals: Totals,
}

/// The last frame of the journal that is in the index.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Applied {
    /// Its sequence, 0 before the first.
    pub(super) sequence: u64,
    /// Its hash.
    pub(super) hash: Hash,
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
        let mut found = Totals::default();
        let mut stored = None;
        for entry in db.scan(&[]) {
            let (key, value) = entry?;
            if &key[..] == APPLIED {
                stored = Some(value);
            } else {
                found.add(&key, &value);
            }
        }
        let condition = match stored.as_deref().map(Totals::decode) {
            None if found.entries == 0 => Condition::Empty,
            None => Condition::Unsound("it does not say how far it goes".to_owned()),
            Some(None) => Condition::Unsound("another version wrote it".to_owned()),
            Some(Some((applied, entries, sum))) if (entries, sum) == (found.entries, found.sum) => {
                found.applied = applied;
                Condition::Sound(applied)
            }
            Some(Some((_, entries, _))) => {
                let has = found.entries;
                Condition::Unsound(format!("it should have {entries} entries and has {has}, or some have changed"))
            }
        };
        Ok((Index { db, totals: Mutex::new(found) }, condition))
    }

    /// The last frame in here.
    pub(super) fn applied(&self) -> Applied {
        self.totals().applied
    }

    /// Changes that start from the present state. Only one set may be in the making at a time.
    pub(super) fn changes(&self) -> Changes {
        Changes { batch: DbBatch::default(), totals: self.totals().clone() }
    }

    /// Makes the changes visible; the journal is in here up to `applied` then.
    pub(super) fn apply(&self, mut changes: Changes, applied: Applied) -> Result<(), DbError> {
        changes.totals.applied = applied;
        changes.batch.insert(APPLIED, &changes.totals.encode());
        self.db.apply(changes.batch)?;
        *self.totals() = changes.totals;
        Ok(())
    }

    /// Shortens the next start.
    pub(super) fn flush(&self) -> Result<(), DbError> {
        self.db.flush()
    }

    /// A message, and its stored form.
    pub(super) fn message(&self, id: &Id) -> Result<Option<(Message, Bytes)>, DbError> {
        let Some(json) = self.db.get(&key(b'm', &[id.as_bytes()]))? else { return Ok(None) };
        Ok(Some((decode(&json)?, json)))
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
        let latest = self.db.scan(&message_id_prefix(direction, partner, message_id)).next_back().transpose()?;
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
        };
        let mut end = prefix.clone();
        match before {
            Some(id) => end.extend_from_slice(id.as_bytes()),
            None => end.extend_from_slice(&[0xff; 17]),
        }
        self.db.back_from(&prefix, &end).filter_map(|entry| entry.map(|(key, _)| trailing_id(&key)).transpose())
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
        self.db.scan(b"u").filter_map(|entry| {
            entry
                .map(|(key, _)| {
                    let (rest, index) = key.split_last_chunk::<4>()?;
                    Some((trailing_id(rest)?, u32::from_be_bytes(*index)))
                })
                .transpose()
        })
    }

    fn totals(&self) -> MutexGuard<'_, Totals> {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A set of messages that has a key order of its own.
pub(super) enum View<'a> {
    All,
    State(State),
    Partner(&'a str),
}

impl Changes {
    /// A message changed from its stored form, none if it is new, to this one.
    pub(super) fn message(&mut self, before: Option<(&Message, &[u8])>, after: &Message) -> Result<(), DbError> {
        let json = serde_json::to_vec(after).map_err(std::io::Error::from)?;
        let old = before.map(|(message, _)| views(message)).unwrap_or_default();
        let new = views(after);
        for key in old.iter().filter(|key| !new.contains(key)) {
            self.remove(key, &[]);
        }
        for key in new.iter().filter(|key| !old.contains(key)) {
            self.insert(key, &[]);
        }
        let key = key(b'm', &[after.id.as_bytes()]);
        if let Some((_, stored)) = before {
            self.totals.subtract(&key, stored);
        }
        self.insert(&key, &json);
        Ok(())
    }

    /// A key was claimed for the first time.
    pub(super) fn claim(&mut self, dedup: &DedupKey, id: &Id) {
        self.insert(&claim_key(dedup), id.as_bytes());
    }

    /// A body became known.
    pub(super) fn body(&mut self, id: &Id, location: Location) {
        self.insert(&key(b'b', &[id.as_bytes()]), &location.encode());
    }

    fn insert(&mut self, key: &[u8], value: &[u8]) {
        self.totals.add(key, value);
        self.batch.insert(key, value);
    }

    fn remove(&mut self, key: &[u8], value: &[u8]) {
        self.totals.subtract(key, value);
        self.batch.remove(key);
    }
}

impl Totals {
    fn add(&mut self, key: &[u8], value: &[u8]) {
        self.entries = self.entries.wrapping_add(1);
        self.sum = self.sum.wrapping_add(entry_sum(key, value));
        if let [b's', state, ..] = key {
            let count = self.states.entry(*state).or_default();
            *count = count.wrapping_add(1);
        }
    }

    fn subtract(&mut self, key: &[u8], value: &[u8]) {
        self.entries = self.entries.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(entry_sum(key, value));
        if let [b's', state, ..] = key {
            let count = self.states.entry(*state).or_default();
            *count = count.wrapping_sub(1);
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = FORMAT.to_be_bytes().to_vec();
        bytes.extend_from_slice(&self.applied.hash);
        for number in [self.applied.sequence, self.entries, self.sum] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes
    }

    /// Applied, entries, sum; none when another format wrote it.
    fn decode(bytes: &[u8]) -> Option<(Applied, u64, u64)> {
        let (format, rest) = bytes.split_first_chunk::<4>()?;
        let (hash, rest) = rest.split_first_chunk::<32>()?;
        let (numbers, []) = rest.as_chunks::<8>() else { return None };
        let [sequence, entries, sum] = numbers.first_chunk::<3>()?.map(u64::from_be_bytes);
        let known = u32::from_be_bytes(*format) == FORMAT;
        known.then_some((Applied { sequence, hash: *hash }, entries, sum))
    }
}

impl Location {
    fn encode(self) -> Vec<u8> {
        match self {
            Location::File => Vec::from([2]),
            Location::Journal { segment, offset, len } => {
                let mut bytes = Vec::from([1]);
                for number in [segment, offset, len] {
                    bytes.extend_from_slice(&number.to_be_bytes());
                }
                bytes
            }
        }
    }

    fn decode(bytes: &[u8]) -> Option<Location> {
        match bytes.split_first()? {
            (2, []) => Some(Location::File),
            (1, rest) => {
                let (numbers, []) = rest.as_chunks::<8>() else { return None };
                let [segment, offset, len] = *numbers.first_chunk::<3>()?;
                let [segment, offset, len] = [segment, offset, len].map(u64::from_be_bytes);
                Some(Location::Journal { segment, offset, len })
            }
            _ => None,
        }
    }
}

/// Order does not matter when these are added up.
fn entry_sum(key: &[u8], value: &[u8]) -> u64 {
    let checksum = crc32c::crc32c_append(crc32c::crc32c(key), value);
    u64::from(checksum).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Keys without value under which a message is found.
fn views(message: &Message) -> Vec<Vec<u8>> {
    let id = message.id.as_bytes();
    let mut keys = Vec::with_capacity(6);
    keys.push(key(b's', &[&[state_byte(message.state)], id]));
    keys.push(with_id(partner_prefix(b'p', &message.partner), &message.id));
    if let Some(message_id) = &message.message_id {
        keys.push(with_id(message_id_prefix(message.direction, &message.partner, message_id), &message.id));
    }
    if let (Some(due), Direction::Outbound) = (message.due, message.direction) {
        let mut key = partner_prefix(b'd', &message.partner);
        key.extend_from_slice(&millis(due));
        keys.push(with_id(key, &message.id));
    }
    for (index, (_, stage)) in (0u32..).zip(&message.publications) {
        if !message.restored && !matches!(stage, PublicationStage::Published(_)) {
            keys.push(key(b'u', &[id, &index.to_be_bytes()]));
        }
    }
    keys
}

/// Bytes of a due key behind the partner's name: 0, instant, id.
const DUE_TAIL: usize = 25;

fn key(view: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = Vec::with_capacity(48);
    key.push(view);
    for part in parts {
        key.extend_from_slice(part);
    }
    key
}

fn partner_prefix(view: u8, partner: &str) -> Vec<u8> {
    key(view, &[partner.as_bytes(), &[0]])
}

fn with_id(mut key: Vec<u8>, id: &Id) -> Vec<u8> {
    key.extend_from_slice(id.as_bytes());
    key
}

/// Ours and theirs are apart: a partner that sends our Message-ID back must not hide our message.
fn message_id_prefix(direction: Direction, partner: &str, message_id: &str) -> Vec<u8> {
    let side = if direction == Direction::Outbound { b'o' } else { b'i' };
    let hash = hash_of(&[partner, without_brackets(message_id)]);
    key(b'i', &[&[side], hash.first_chunk::<16>().map_or(&hash[..], |half| &half[..])])
}

fn claim_key(dedup: &DedupKey) -> Vec<u8> {
    key(b'k', &[&hash_of(&[&dedup.from, &dedup.to, without_brackets(&dedup.message_id)])])
}

/// SHA-256 over the texts with their lengths, so that no two lists look alike.
fn hash_of(texts: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(text);
    }
    hash.finalize().into()
}

/// A Message-ID without its angle brackets.
pub(super) fn without_brackets(message_id: &str) -> &str {
    let text = message_id.trim();
    text.strip_prefix('<').and_then(|text| text.strip_suffix('>')).unwrap_or(text)
}

fn millis(instant: Timestamp) -> [u8; 8] {
    u64::try_from(instant.as_millisecond()).unwrap_or(0).to_be_bytes()
}

fn due_and_id(key: &[u8]) -> Option<(Timestamp, Id)> {
    let (rest, id) = key.split_last_chunk::<16>()?;
    let (_, due) = rest.split_last_chunk::<8>()?;
    let due = i64::try_from(u64::from_be_bytes(*due)).ok()?;
    Some((Timestamp::from_millisecond(due).ok()?, Id::from_bytes(*id)))
}

fn trailing_id(key: &[u8]) -> Option<Id> {
    key.split_last_chunk::<16>().map(|(_, id)| Id::from_bytes(*id))
}

fn decode(json: &[u8]) -> Result<Message, DbError> {
    Ok(serde_json::from_slice(json).map_err(std::io::Error::from)?)
}

const ALL_STATES: [State; 12] = [
    State::Queued,
    State::Composed,
    State::Sending,
    State::AwaitingReceipt,
    State::Delivered,
    State::Failed,
    State::Held,
    State::Cancelled,
    State::Rejected,
    State::Received,
    State::Accepted,
    State::Declined,
];

/// Never renumbered without a new [`FORMAT`].
fn state_byte(state: State) -> u8 {
    match state {
        State::Queued => 1,
        State::Composed => 2,
        State::Sending => 3,
        State::AwaitingReceipt => 4,
        State::Delivered => 5,
        State::Failed => 6,
        State::Held => 7,
        State::Cancelled => 8,
        State::Rejected => 9,
        State::Received => 10,
        State::Accepted => 11,
        State::Declined => 12,
    }
}
