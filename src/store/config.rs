//! What the store is told when it is opened. Values come from the gateway's configuration; defaults are in
//! [`StoreConfig::new`].

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::ground::clock::Clock;

/// Settings of a store.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// Owned by one process: `lock`, `journal/`, `bodies/`, `tmp/`, `index/`. Created when missing.
    pub data_dir: PathBuf,
    /// Bytes after which the journal goes on in a new segment; one transaction is never split.
    pub segment_bytes: u64,
    /// Bytes by which the journal grows before another snapshot is taken; twice the last snapshot's size if that is more.
    pub snapshot_bytes: u64,
    /// Payloads and wire bytes up to this many bytes travel inside a transaction; larger ones become files, see
    /// [`Sink`](super::draft::Sink). Receipts are in the journal whatever this says.
    pub inline_threshold: usize,
    /// How often the index is flushed; it only shortens the next start.
    pub index_flush_every: Duration,
    /// Bytes of the index that sled may keep in memory.
    pub index_cache_bytes: u64,
    /// Accept a data directory on tmpfs, overlay or a network filesystem, whose syncs promise less.
    pub allow_untrusted_filesystem: bool,
    /// Names new body files.
    pub clock: Arc<dyn Clock>,
}

impl StoreConfig {
    /// Defaults for a store in `data_dir`.
    pub fn new(data_dir: impl Into<PathBuf>, clock: Arc<dyn Clock>) -> StoreConfig {
        StoreConfig {
            data_dir: data_dir.into(),
            segment_bytes: 128 * 1024 * 1024,
            snapshot_bytes: 512 * 1024 * 1024,
            inline_threshold: 1024 * 1024,
            index_flush_every: Duration::from_secs(10),
            index_cache_bytes: 64 * 1024 * 1024,
            allow_untrusted_filesystem: false,
            clock,
        }
    }
}
