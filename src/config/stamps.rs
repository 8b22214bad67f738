//! How files were when they were looked at: what tells a running gateway that its configuration has changed.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What is remembered of each file: changed when any part differs.
type Stamp = (u64, Option<SystemTime>, Option<(i64, i64)>);

/// Files and folders as they were when they were looked at; equal as long as nothing of them has changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stamps(BTreeMap<PathBuf, Stamp>);

impl Stamps {
    /// Looks at these, and at the entries of those that are folders (blocking I/O). What is not there has no stamp.
    pub fn of(files: impl IntoIterator<Item = PathBuf>) -> Stamps {
        let mut stamps = Stamps::default();
        stamps.add(files);
        stamps
    }

    /// Adds what others saw later. Of what was looked at before, that look counts.
    pub(super) fn join(&mut self, later: Stamps) {
        for (file, stamp) in later.0 {
            self.0.entry(file).or_insert(stamp);
        }
    }

    /// Looks at these too. Of what was looked at before, that look counts: it came before the reading.
    pub(super) fn add(&mut self, files: impl IntoIterator<Item = PathBuf>) {
        for file in files {
            // The entries of a folder; a plain file has none.
            let entries = std::fs::read_dir(&file).into_iter().flatten();
            let entries = entries.filter_map(|entry| Some(entry.ok()?.path()));
            for path in entries.chain([file]) {
                if self.0.contains_key(&path) {
                    continue;
                }
                if let Some(stamp) = stamp(&path) {
                    self.0.insert(path, stamp);
                }
            }
        }
    }
}

fn stamp(file: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(file).ok()?;
    Some((metadata.len(), metadata.modified().ok(), status_change(&metadata)))
}

/// When owner, mode or name changed last: a file that could not be read for want of a permission is as it was otherwise.
#[cfg(unix)]
fn status_change(metadata: &Metadata) -> Option<(i64, i64)> {
    use std::os::unix::fs::MetadataExt as _;
    Some((metadata.ctime(), metadata.ctime_nsec()))
}

#[cfg(not(unix))]
fn status_change(_metadata: &Metadata) -> Option<(i64, i64)> {
    None
}
