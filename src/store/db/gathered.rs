//! Changes that sled does not have yet.

use std::collections::BTreeMap;
use std::collections::btree_map::Range;
use std::ops::Bound;
use std::sync::{Mutex, PoisonError};

use super::Bytes;

/// Emptied parts that are remembered.
const GAPS: usize = 64;
/// Removed entries from which on it is worth remembering that nothing is there.
const LONG: usize = 16;
/// What an entry takes beside its bytes, about.
const ENTRY: usize = 64;

/// The latest value of each key that changed; nothing for what is removed.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    entries: BTreeMap<Bytes, Option<Bytes>>,
    bytes: usize,
    gaps: Mutex<Gaps>,
}

/// From a first key, and before an end, the map has no entry: what waits in a queue is removed at its front, and who looks
/// there for the next one shall not pass over all that were removed since sled was told. Noted by readers, while nothing
/// can change.
#[derive(Debug, Default)]
struct Gaps {
    known: Vec<(Vec<u8>, Vec<u8>)>,
    oldest: usize,
}

impl Gathered {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What it takes of memory, about.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// A change, over earlier ones of this key.
    pub(super) fn put(&mut self, key: Bytes, value: Option<Bytes>) {
        if value.is_some() {
            let gaps = self.gaps.get_mut().unwrap_or_else(PoisonError::into_inner);
            let within = gaps.known.iter_mut().filter(|(start, end)| start[..] <= key[..] && key[..] < end[..]);
            within.for_each(|(_, end)| *end = key.to_vec());
        }
        let len = |value: &Option<Bytes>| value.as_ref().map_or(0, |value| value.len());
        let key_len = key.len().saturating_add(ENTRY);
        self.bytes = self.bytes.saturating_add(len(&value));
        match self.entries.insert(key, value) {
            Some(before) => self.bytes = self.bytes.saturating_sub(len(&before)),
            None => self.bytes = self.bytes.saturating_add(key_len),
        }
    }

    /// What is known of a key here: its value, or that it has none.
    pub(super) fn get(&self, key: &[u8]) -> Option<Option<Bytes>> {
        self.entries.get(key).cloned()
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (Bytes, Option<Bytes>)> {
        self.entries.iter().map(|(key, value)| (key.clone(), value.clone()))
    }

    /// Changes of keys in a part that is not empty.
    pub(super) fn range(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Range<'_, Bytes, Option<Bytes>> {
        self.entries.range::<[u8], _>((from, to))
    }

    /// Sled has all of it.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }

    /// The map has no entry from `start` on and before `end`, where `passed` entries were removed.
    pub(super) fn note_gap(&self, start: &[u8], end: &[u8], passed: usize) {
        if passed < LONG {
            return;
        }
        let gap = (start.to_vec(), end.to_vec());
        let mut gaps = self.gaps.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = gaps.oldest;
        if let Some(known) = gaps.known.iter_mut().find(|(known, _)| known[..] == *start) {
            *known = gap;
        } else if gaps.known.len() < GAPS {
            gaps.known.push(gap);
        } else if let Some(replaced) = gaps.known.get_mut(oldest) {
            *replaced = gap;
            gaps.oldest = oldest.wrapping_add(1) % GAPS;
        }
    }

    /// The end of what is empty from `start` on.
    pub(super) fn end_of_gap(&self, start: &[u8]) -> Option<Vec<u8>> {
        let gaps = self.gaps.lock().unwrap_or_else(PoisonError::into_inner);
        gaps.known.iter().find(|(known, _)| known[..] == *start).map(|(_, end)| end.clone())
    }
}
