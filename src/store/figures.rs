//! What the journal has done since the store was opened, counted as it happens.

use std::sync::atomic::{AtomicU64, Ordering};

/// Totals since the store was opened; the difference of two readings is what happened between them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JournalFigures {
    /// `fdatasync` calls that carried a group and returned.
    pub syncs: u64,
    /// Transactions that those made durable.
    pub transactions: u64,
    /// Facts in them.
    pub facts: u64,
    /// Bytes appended, frames' heads included.
    pub bytes: u64,
}

/// The counters; written by the committing thread alone.
#[derive(Debug, Default)]
pub(super) struct Counters {
    syncs: AtomicU64,
    transactions: AtomicU64,
    facts: AtomicU64,
    bytes: AtomicU64,
}

impl Counters {
    /// One group became durable.
    pub(super) fn group(&self, transactions: usize, facts: usize, bytes: usize) {
        let add = |counter: &AtomicU64, more: usize| {
            counter.fetch_add(u64::try_from(more).unwrap_or(u64::MAX), Ordering::Relaxed);
        };
        add(&self.syncs, 1);
        add(&self.transactions, transactions);
        add(&self.facts, facts);
        add(&self.bytes, bytes);
    }

    /// A reading. The four numbers may be of moments a group apart.
    pub(super) fn read(&self) -> JournalFigures {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        JournalFigures {
            syncs: read(&self.syncs),
            transactions: read(&self.transactions),
            facts: read(&self.facts),
            bytes: read(&self.bytes),
        }
    }
}
