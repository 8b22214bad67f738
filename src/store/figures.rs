//! What the store has done since it was opened, counted as it happens.

mod messages;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::metrics::histogram::Histogram;
use tokio::sync::broadcast;

pub use self::messages::MessageFigures;
use super::Store;
use super::record::Message;

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

/// Seconds of one `fdatasync` of the journal: from a good disk to one that is about to fail.
const SYNC_BUCKETS: [f64; 13] = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// What whoever watches the gateway may read at any time; clones share the counts.
#[derive(Debug, Clone)]
pub struct StoreFigures {
    /// Seconds that each `fdatasync` of the journal took.
    pub sync_seconds: Histogram,
    /// What happened to messages.
    pub messages: MessageFigures,
}

impl Default for StoreFigures {
    fn default() -> StoreFigures {
        StoreFigures { sync_seconds: Histogram::new(SYNC_BUCKETS), messages: MessageFigures::default() }
    }
}

/// The counters; written by the committing thread alone.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) figures: StoreFigures,
    syncs: AtomicU64,
    transactions: AtomicU64,
    facts: AtomicU64,
    bytes: AtomicU64,
}

impl Counters {
    /// One group became durable.
    pub(super) fn group(&self, transactions: usize, facts: usize, bytes: usize, sync: Duration) {
        self.figures.sync_seconds.observe(sync.as_secs_f64());
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

/// Settled messages that wait for a slow listener.
pub(super) const SETTLED: usize = 2048;

impl Store {
    /// What the journal has done since the store was opened.
    pub fn journal_figures(&self) -> JournalFigures {
        self.0.signals.counters.read()
    }

    /// Messages from here on, each when it is settled and its files are published. Who is too slow misses some.
    pub fn settled(&self) -> broadcast::Receiver<Arc<Message>> {
        self.0.signals.settled.subscribe()
    }

    /// Counts and durations since the store was opened, for whoever watches the gateway.
    pub fn figures(&self) -> StoreFigures {
        self.0.signals.counters.figures.clone()
    }
}
