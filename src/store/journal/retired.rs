//! Segments that were removed, and what the journal says of snapshots: the links of a chain that no longer begins at 1.
//!
//! A segment is removed only when two snapshots hold everything it proved and no body is left in it. What is kept of
//! it is the chain before its first frame and after its last one, inside a frame of the journal itself, so that the
//! segments on both sides are still bound to each other.

use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::frame::{Chain, Hash};
use super::segment_path;
use crate::ground::durable;

/// Neighbouring segments that were removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::store) struct Run {
    /// The first of them.
    pub(in crate::store) first: u64,
    /// The last of them.
    pub(in crate::store) last: u64,
    /// The chain before its first frame.
    pub(in crate::store) from: Chain,
    /// The chain after its last frame.
    pub(in crate::store) to: Chain,
}

/// A snapshot that the journal vouches for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::store) struct SnapshotLink {
    /// Everything up to this frame is in it; reading goes on behind.
    pub(in crate::store) from: u64,
    /// Some of what happened up to this frame is in it already.
    pub(in crate::store) upto: u64,
    /// SHA-256 of the file but for its last 32 bytes, which are this.
    #[serde(with = "crate::store::record::hex_digest")]
    pub(in crate::store) sha256: Hash,
}

/// What a frame may say about the journal itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::store) enum Link {
    /// This snapshot is durable.
    Snapshot(SnapshotLink),
    /// These segments are removed from here on; all of them, those removed earlier included.
    Retired(Vec<Run>),
    /// From here on the journal is that of a restored backup.
    Restored(Epoch),
}

/// Which backup was restored: what was acknowledged after its last frame, before, is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::store) struct Epoch {
    /// The last frame of the backup.
    pub(in crate::store) sequence: u64,
    /// When the backup was made.
    pub(in crate::store) made_at: Timestamp,
}

/// What all links up to a frame add up to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::store) struct Marks {
    /// Removed segments, in order, neighbours joined.
    pub(in crate::store) retired: Vec<Run>,
    /// The latest snapshots, oldest first.
    pub(in crate::store) snapshots: Vec<SnapshotLink>,
}

/// Snapshots that are kept. Segments go when the older one covers them, so a damaged latest one costs time, not facts.
const SNAPSHOTS: usize = 2;

impl Marks {
    /// Takes a link in.
    pub(in crate::store) fn follow(&mut self, link: &Link) {
        match link {
            Link::Retired(runs) => self.retired.clone_from(runs),
            // For the record; the messages concerned have facts of their own.
            Link::Restored(_) => {}
            Link::Snapshot(snapshot) => {
                self.snapshots.retain(|known| known.from != snapshot.from);
                self.snapshots.push(snapshot.clone());
                let surplus = self.snapshots.len().saturating_sub(SNAPSHOTS);
                self.snapshots.drain(..surplus);
            }
        }
    }

    /// The older of two snapshots: what it covers may go.
    pub(in crate::store) fn covering(&self) -> Option<&SnapshotLink> {
        self.snapshots.first().filter(|_| self.snapshots.len() >= SNAPSHOTS)
    }
}

/// Whether a segment was removed.
pub(in crate::store) fn is_retired(runs: &[Run], number: u64) -> bool {
    runs.iter().any(|run| (run.first..=run.last).contains(&number))
}

/// Adds a run, joining it with its neighbours.
pub(in crate::store) fn add(runs: &mut Vec<Run>, run: Run) {
    runs.push(run);
    runs.sort_by_key(|run| run.first);
    let mut joined: Vec<Run> = Vec::with_capacity(runs.len());
    for run in runs.drain(..) {
        match joined.last_mut() {
            Some(before) if before.last.checked_add(1) == Some(run.first) && before.to == run.from => {
                (before.last, before.to) = (run.last, run.to);
            }
            _ => joined.push(run),
        }
    }
    *runs = joined;
}

/// Removes the files of retired segments; a crash in between leaves some for the next start. Returns how many.
///
/// # Errors
/// A file cannot be removed.
pub(in crate::store) fn remove_files(dir: &Path, runs: &[Run], present: &[u64]) -> std::io::Result<u64> {
    let mut removed = 0u64;
    for number in present.iter().filter(|number| is_retired(runs, **number)) {
        durable::remove_unsynced(&segment_path(dir, *number))?;
        removed = removed.saturating_add(1);
    }
    if removed > 0 {
        durable::fsync_dir(dir)?;
    }
    Ok(removed)
}
