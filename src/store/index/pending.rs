//! Changes that the map does not have yet. A message goes through five to eight of them within a second; the map gets them
//! together, and what came and went in between never reaches it.
//!
//! Whoever asks must not notice: single entries are looked up here first, and the views that deliveries, publications,
//! receipts and declarations go by (`d`, `u`, `i`, `c`, `e`, `f`) are read through [`Keys`], which lays what is here over
//! the map. Before any other view is read, the map gets everything. What is gone is still in the map then; where nothing but
//! that was found, the next walk begins behind it.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use super::Index;
use super::changes::{Changed, Changes};
use super::keys::{QUICK, QUICK_PARTS, differences, state_byte};
use super::totals::{Applied, Location};
use crate::ground::id::Id;
use crate::store::db::{Bytes, DbError};
use crate::store::recent::Indexed;

/// Messages that may wait.
const MESSAGES: usize = 512;
/// Bytes of facts that may wait: a message with very many documents is large.
const WEIGHT: usize = 4 * 1024 * 1024;
/// Bodies whose places may wait: compaction moves them without a word about messages.
const BODIES: usize = 4096;
/// Keys of the map that are gone, one after the other, from which on their range is remembered.
const GAP: usize = 2;
/// Ranges that are remembered; one for each partner whose queue is worked on is enough.
const GAPS: usize = 64;

/// What waits.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// The last frame that the index shows.
    pub(super) applied: Applied,
    messages: HashMap<Id, Waiting>,
    bodies: HashMap<Id, Location>,
    /// Keys of views, and whether they are there; those that the map has right are not in here.
    keys: BTreeMap<Vec<u8>, bool>,
    /// Ranges, first key to the one behind the last, in which all keys of the map are gone: what is settled stays in it
    /// for a while, and whoever looks for what is due would pass all of it each time.
    gaps: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Messages in each state, less those that the map has in it.
    states: HashMap<u8, i64>,
    weight: usize,
    /// Times that the map got everything, or that a key of it came back: lists begin anew then in the map.
    turns: u64,
}

#[derive(Debug)]
struct Waiting {
    change: Changed,
    /// What it adds to [`Pending::keys`], by [part](super::keys::Part).
    laid: [Laid; QUICK_PARTS],
}

/// Keys in order, and whether they are there.
type Laid = Vec<(Vec<u8>, bool)>;

impl Pending {
    /// The map has everything up to this frame.
    pub(super) fn nothing(applied: Applied) -> Pending {
        Pending { applied, ..Pending::default() }
    }

    /// Takes changes in, which [may wait](Changes::may_wait).
    pub(super) fn take(&mut self, changes: Changes, applied: Applied, weight: usize) {
        for change in changes.messages {
            self.take_message(change);
        }
        self.bodies.extend(changes.bodies);
        self.weight = self.weight.saturating_add(weight);
        self.applied = applied;
    }

    fn take_message(&mut self, change: Changed) {
        let earlier = self.messages.remove(&change.after.id);
        let last = earlier.as_ref().map(|earlier| earlier.change.after.clone());
        // What the map has is what it had when the message began to wait.
        let (before, mut laid) = match earlier {
            Some(Waiting { change: Changed { before, .. }, laid }) => (before, laid),
            None => (change.before, Default::default()),
        };
        let change = Changed { before, ..change };
        let stored = change.before.as_ref().map(|before| before.message.as_ref());
        let left = last.as_deref().or(stored);
        self.count(left.map(|message| state_byte(message.state)), state_byte(change.after.state));
        for (part, laid) in QUICK.iter().zip(&mut laid) {
            if left.is_none_or(|left| !(part.are_alike)(left, &change.after)) {
                let (old, new) = (stored.map(part.keys).unwrap_or_default(), (part.keys)(&change.after));
                *laid = self.replace(laid, differences(old, new));
            }
        }
        self.messages.insert(change.after.id, Waiting { change, laid });
    }

    /// Lays over the map what the keys of a message differ in from those that it has there, instead of what they did earlier.
    fn replace(&mut self, earlier: &[(Vec<u8>, bool)], now: Laid) -> Laid {
        for (key, _) in earlier {
            self.keys.remove(key);
        }
        self.keys.extend(now.iter().cloned());
        let differs = |key: &Vec<u8>| now.binary_search_by(|(other, _)| other.cmp(key)).is_ok();
        if earlier.iter().any(|(key, is_there)| !is_there && !differs(key)) {
            // It is as the map has it again.
            self.gaps.clear();
            self.turns = self.turns.wrapping_add(1);
        }
        now
    }

    /// All keys of the map in this range are gone.
    fn note_gap(&mut self, from: &[u8], to: &[u8]) {
        if self.gaps.len() >= GAPS {
            self.gaps.clear();
        }
        self.gaps.insert(from.to_vec(), to.to_vec());
    }

    /// Behind which key of the map, from this one on, there may be one that is not gone.
    fn behind_gap<'k>(&'k self, from: &'k [u8]) -> &'k [u8] {
        let before = (Bound::Unbounded, Bound::Included(from));
        let gap = self.gaps.range::<[u8], _>(before).next_back().filter(|(_, to)| to.as_slice() > from);
        gap.map_or(from, |(_, to)| to)
    }

    fn count(&mut self, from: Option<u8>, to: u8) {
        if let Some(from) = from {
            let count = self.states.entry(from).or_default();
            *count = count.saturating_sub(1);
        }
        let count = self.states.entry(to).or_default();
        *count = count.saturating_add(1);
    }

    /// Whether the map should get it all.
    pub(super) fn is_full(&self) -> bool {
        self.messages.len() >= MESSAGES || self.bodies.len() >= BODIES || self.weight >= WEIGHT
    }

    /// Everything that waits; none if nothing does.
    pub(super) fn all(&self) -> Option<Changes> {
        if self.messages.is_empty() && self.bodies.is_empty() && self.weight == 0 {
            return None;
        }
        let mut changes = Changes::default();
        changes.messages = self.messages.values().map(|waiting| waiting.change.clone()).collect();
        changes.bodies = self.bodies.iter().map(|(id, location)| (*id, *location)).collect();
        Some(changes)
    }

    /// The map has everything up to a frame.
    pub(super) fn written(&mut self, applied: Applied) {
        *self = Pending { turns: self.turns.wrapping_add(1), ..Pending::nothing(applied) };
    }

    pub(super) fn message(&self, id: &Id) -> Option<Indexed> {
        let Changed { after, sequence, .. } = &self.messages.get(id)?.change;
        Some(Indexed { message: after.clone(), sum: None, sequence: *sequence })
    }

    pub(super) fn body(&self, id: &Id) -> Option<Location> {
        self.bodies.get(id).copied()
    }

    /// How many more messages are in a state than the map has in it.
    pub(super) fn more_in(&self, state: u8) -> i64 {
        self.states.get(&state).copied().unwrap_or_default()
    }

    /// Keys of a range in their order, or from its end backwards, and whether they are there.
    fn keys(&self, (from, to): (Bound<&[u8]>, Bound<&[u8]>), backwards: bool) -> impl Iterator<Item = (&[u8], bool)> {
        let mut range = self.keys.range::<[u8], _>((from, to));
        let keys = std::iter::from_fn(move || if backwards { range.next_back() } else { range.next() });
        keys.map(|(key, there)| (key.as_slice(), *there))
    }
}

/// The keys of a range in their order, or from its end backwards, as map and what waits have them together.
pub(super) struct Keys<'i> {
    index: &'i Index,
    from: Bound<Vec<u8>>,
    to: Bound<Vec<u8>>,
    backwards: bool,
    /// The rest of the map's range, and its next key.
    stored: Box<dyn Iterator<Item = Result<(Bytes, Bytes), DbError>>>,
    next: Option<Bytes>,
    /// What [`Pending::turns`] said when that began.
    turns: u64,
}

impl<'i> Keys<'i> {
    /// Keys from `from` on, before `to`.
    pub(super) fn forwards(index: &'i Index, from: Vec<u8>, to: Option<Vec<u8>>) -> Keys<'i> {
        Keys::new(index, from, to, false)
    }

    /// The same, the last one first.
    pub(super) fn backwards(index: &'i Index, from: Vec<u8>, to: Option<Vec<u8>>) -> Keys<'i> {
        Keys::new(index, from, to, true)
    }

    fn new(index: &'i Index, from: Vec<u8>, to: Option<Vec<u8>>, backwards: bool) -> Keys<'i> {
        let (from, to) = (Bound::Included(from), to.map_or(Bound::Unbounded, Bound::Excluded));
        let mut keys = Keys { index, from, to, backwards, stored: Box::new(std::iter::empty()), next: None, turns: 0 };
        let pending = index.pending();
        keys.begin(&pending);
        drop(pending);
        keys
    }

    /// Goes on in the map from where this is.
    fn begin(&mut self, pending: &Pending) {
        let (mut from, to) = (self.from.as_ref().map(Vec::as_slice), self.to.as_ref().map(Vec::as_slice));
        if let (Bound::Included(first), Bound::Excluded(end)) = (&mut from, &to) {
            *first = pending.behind_gap(first).min(end);
        }
        self.stored = Box::new(self.index.db.range((from, to), self.backwards));
        self.next = None;
        self.turns = pending.turns;
    }

    /// The next key that is there.
    fn find(&mut self, pending: &mut Pending) -> Result<Option<Bytes>, DbError> {
        // What waited is in the map now, or is as the map has it: perhaps before the place that was reached there.
        if pending.turns != self.turns {
            self.begin(pending);
        }
        let range = (self.from.as_ref().map(Vec::as_slice), self.to.as_ref().map(Vec::as_slice));
        let mut waiting = pending.keys(range, self.backwards).peekable();
        let mut passed = 0usize;
        let found = loop {
            if self.next.is_none() {
                self.next = self.stored.next().transpose()?.map(|(key, _)| key);
            }
            let order = match (waiting.peek(), &self.next) {
                (None, None) => break None,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((key, _)), Some(stored)) if self.backwards => stored.as_ref().cmp(*key),
                (Some((key, _)), Some(stored)) => (*key).cmp(stored.as_ref()),
            };
            let stored = if order.is_ge() { self.next.take() } else { None };
            let waits = if order.is_le() { waiting.next() } else { None };
            match (waits, stored) {
                (Some((_, false)), stored) => passed = passed.saturating_add(usize::from(stored.is_some())),
                (Some((key, true)), _) => break Some(Bytes::from(key)),
                (None, stored) => break stored,
            }
        };
        drop(waiting);
        if passed >= GAP && !self.backwards {
            self.note_gap(pending, found.as_ref());
        }
        Ok(found)
    }

    /// From where this began to the next key of the map there was none that is not gone.
    fn note_gap(&self, pending: &mut Pending, found: Option<&Bytes>) {
        let (Bound::Included(from), Bound::Excluded(end)) = (&self.from, &self.to) else { return };
        // What was found may be a key that waits: the map's next one lies behind it then.
        let to = self.next.as_ref().or(found).map_or(end.as_slice(), |key| key);
        pending.note_gap(from, to);
    }
}

impl Iterator for Keys<'_> {
    type Item = Result<Bytes, DbError>;

    fn next(&mut self) -> Option<Self::Item> {
        let index = self.index;
        let found = self.find(&mut index.pending()).transpose()?;
        if let Ok(key) = &found {
            let passed = Bound::Excluded(key.to_vec());
            *if self.backwards { &mut self.to } else { &mut self.from } = passed;
        }
        Some(found)
    }
}
