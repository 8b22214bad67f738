//! What the index's entries add up to, and the values that are not messages.

use std::collections::HashMap;

use super::lists::count;
use crate::store::journal::frame::Hash;

/// Changes when keys or values do; another number means: rebuild. 2: messages carry the sequence they are up to. 4:
/// documents are found by their keys. 5: owed MDNs are found. 6: words and the audit trail. 7: lists in blocks, Message-IDs
/// as they are written. 8: messages are packed, claims are apart. 9: long file names of what came are found whole.
pub(super) const FORMAT: u32 = 9;

/// Where a body's bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Location {
    /// Inside a journal segment.
    Journal { segment: u64, offset: u64, len: u64 },
    /// In a file named by its id.
    File,
}

/// What the entries add up to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) applied: Applied,
    /// Frames up to this one may be in here in part, although `applied` is earlier: a snapshot was loaded.
    pub(super) settled: u64,
    pub(super) entries: u64,
    pub(super) sum: u64,
    pub(super) states: HashMap<u8, u64>,
}

/// The last frame of the journal that is in the index.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::store) struct Applied {
    /// Its sequence, 0 before the first.
    pub(in crate::store) sequence: u64,
    /// Its hash.
    pub(in crate::store) hash: Hash,
}

impl Totals {
    /// Returns what the entry adds to the sum.
    pub(super) fn add(&mut self, key: &[u8], value: &[u8]) -> u64 {
        let sum = entry_sum(key, value);
        self.entries = self.entries.wrapping_add(1);
        self.sum = self.sum.wrapping_add(sum);
        if let [b's', state, ..] = key {
            let all = self.states.entry(*state).or_default();
            *all = all.wrapping_add(count(key, value));
        }
        sum
    }

    /// Adds what was added up elsewhere.
    pub(super) fn merge(&mut self, other: &Totals) {
        self.entries = self.entries.wrapping_add(other.entries);
        self.sum = self.sum.wrapping_add(other.sum);
        for (state, count) in &other.states {
            let all = self.states.entry(*state).or_default();
            *all = all.wrapping_add(*count);
        }
    }

    /// An entry that counts in no state goes, by what it added.
    pub(super) fn subtract_sum(&mut self, sum: u64) {
        self.entries = self.entries.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(sum);
    }

    pub(super) fn subtract(&mut self, key: &[u8], value: &[u8]) {
        self.subtract_sum(entry_sum(key, value));
        if let [b's', state, ..] = key {
            let all = self.states.entry(*state).or_default();
            *all = all.wrapping_sub(count(key, value));
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = FORMAT.to_be_bytes().to_vec();
        bytes.extend_from_slice(&self.applied.hash);
        for number in [self.applied.sequence, self.settled, self.entries, self.sum] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes
    }

    /// The totals without the states; none when another format wrote them.
    pub(super) fn decode(bytes: &[u8]) -> Option<Totals> {
        let (format, rest) = bytes.split_first_chunk::<4>()?;
        let (hash, rest) = rest.split_first_chunk::<32>()?;
        let (numbers, []) = rest.as_chunks::<8>() else { return None };
        let [sequence, settled, entries, sum] = numbers.first_chunk::<4>()?.map(u64::from_be_bytes);
        let known = u32::from_be_bytes(*format) == FORMAT;
        let applied = Applied { sequence, hash: *hash };
        known.then(|| Totals { applied, settled, entries, sum, states: HashMap::new() })
    }
}

impl Location {
    /// Bytes of the longest stored form.
    pub(super) const LONGEST: usize = 25;

    pub(in crate::store) fn encode(self) -> Vec<u8> {
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

    /// Of a stored form, which in a list is as long as the longest.
    pub(in crate::store) fn decode(bytes: &[u8]) -> Option<Location> {
        match bytes.split_first()? {
            (2, _) => Some(Location::File),
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
pub(super) fn entry_sum(key: &[u8], value: &[u8]) -> u64 {
    let checksum = crc32c::crc32c_append(crc32c::crc32c(key), value);
    u64::from(checksum).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
