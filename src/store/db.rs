//! The only file that names sled. An ordered map of bytes with atomic batches, and nothing of dxgate's.
//!
//! What is known of sled 0.34 and kept away from here: its `flush` does not sync, so [`Db::flush`] syncs the file
//! itself and nothing is acknowledged on its word; a `snap.*.generating` file left by a crash keeps it from opening,
//! so those go first; a damaged file may make it panic while opening, so that happens on a thread of its own, and later
//! panics are errors as well. Its threads may hold the lock of a map a moment longer than the map lives, so opening waits.
//! What has failed once is not let go on the caller's thread, since sled writes even then.

use std::fs::{self, File, TryLockError};
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::ground::{durable, fault};

/// A value or key read from the map.
pub(super) type Bytes = sled::IVec;

/// sled's own words about a failure.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{what}")]
pub(super) struct DbError {
    what: String,
    full: bool,
}

impl DbError {
    /// For want of room.
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    fn panicked() -> DbError {
        DbError { what: "sled panicked".to_owned(), full: false }
    }
}

impl From<sled::Error> for DbError {
    fn from(error: sled::Error) -> DbError {
        let full = matches!(&error, sled::Error::Io(error) if durable::is_full(error));
        DbError { what: error.to_string(), full }
    }
}

impl From<std::io::Error> for DbError {
    fn from(error: std::io::Error) -> DbError {
        DbError { what: error.to_string(), full: durable::is_full(&error) }
    }
}

/// The map.
#[derive(Debug)]
pub(super) struct Db {
    /// None only while it is dropped.
    db: Option<sled::Db>,
    /// The file that a flush syncs. It is kept open: for want of a descriptor the map would count as failed.
    file: File,
    failed: AtomicBool,
}

/// Changes that belong together, in the order in which they were made; nothing for what is removed.
#[derive(Default)]
pub(super) struct DbBatch(Vec<(Bytes, Option<Bytes>)>);

impl DbBatch {
    pub(super) fn insert(&mut self, key: &[u8], value: &[u8]) {
        self.0.push((key.into(), Some(value.into())));
    }

    pub(super) fn remove(&mut self, key: &[u8]) {
        self.0.push((key.into(), None));
    }
}

impl Db {
    /// Opens or creates the map in `dir`. A panic inside sled is an error here.
    pub(super) fn open(dir: &Path, cache_bytes: u64) -> Result<Db, DbError> {
        remove_unfinished_snapshots(dir)?;
        await_lock(dir)?;
        let config = sled::Config::new()
            .path(dir)
            .flush_every_ms(None)
            .cache_capacity(cache_bytes)
            .mode(sled::Mode::HighThroughput);
        let open = move || fault::at(&"index-open", || Ok(())).map_err(sled::Error::Io).and_then(|()| config.open());
        let opening = std::thread::Builder::new().name("index-open".to_owned()).spawn(open)?;
        match opening.join() {
            Ok(db) => {
                let db = db?;
                Ok(Db { file: File::open(dir.join("db"))?, db: Some(db), failed: AtomicBool::new(false) })
            }
            Err(_) => Err(DbError::panicked()),
        }
    }

    fn db(&self) -> &sled::Db {
        self.db.as_ref().expect("taken only when dropped")
    }

    /// Carries out an operation of sled's; whatever goes wrong in it is an error, and remembered.
    fn guarded<T>(&self, operation: impl FnOnce(&sled::Db) -> Result<T, DbError>) -> Result<T, DbError> {
        let done = catch_unwind(AssertUnwindSafe(|| operation(self.db()))).unwrap_or_else(|_| Err(DbError::panicked()));
        done.inspect_err(|_| self.failed.store(true, Ordering::Relaxed))
    }

    fn entries(
        range: impl Iterator<Item = sled::Result<(Bytes, Bytes)>>,
    ) -> impl Iterator<Item = Result<(Bytes, Bytes), DbError>> {
        let mut range = range.fuse();
        std::iter::from_fn(move || {
            let next = catch_unwind(AssertUnwindSafe(|| range.next()));
            next.map_or_else(|_| Some(Err(DbError::panicked())), |entry| entry.map(|entry| Ok(entry?)))
        })
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Bytes>, DbError> {
        self.guarded(|db| {
            fault::at(&"index-read", || Ok(()))?;
            Ok(db.get(key)?)
        })
    }

    /// Entries whose keys begin with `prefix`, in order.
    pub(super) fn scan(&self, prefix: &[u8]) -> impl Iterator<Item = Result<(Bytes, Bytes), DbError>> + use<> {
        Db::entries(self.db().scan_prefix(prefix))
    }

    /// The last entry whose key begins with `prefix`.
    pub(super) fn last(&self, prefix: &[u8]) -> Result<Option<(Bytes, Bytes)>, DbError> {
        Db::entries(self.db().scan_prefix(prefix).rev()).next().transpose()
    }

    /// Entries of a range, in order, or the last one first.
    pub(super) fn range(
        &self,
        range: (Bound<&[u8]>, Bound<&[u8]>),
        backwards: bool,
    ) -> impl Iterator<Item = Result<(Bytes, Bytes), DbError>> + use<> {
        let failed = self.guarded(|_| Ok(fault::at(&"index-read", || Ok(()))?)).err();
        let mut range = self.db().range::<&[u8], _>(range);
        let entries = Db::entries(std::iter::from_fn(move || if backwards { range.next_back() } else { range.next() }));
        failed.map(Err).into_iter().chain(entries)
    }

    /// Entries with keys from `from` on and before `to`, in order; to the end of the map when there is no `to`.
    pub(super) fn between(
        &self,
        from: &[u8],
        to: Option<&[u8]>,
    ) -> impl Iterator<Item = Result<(Bytes, Bytes), DbError>> + use<> {
        let range = (Bound::Included(from), to.map_or(Bound::Unbounded, Bound::Excluded));
        Db::entries(self.db().range::<&[u8], _>(range))
    }

    /// Entries whose keys begin with `prefix` and sort before `before`, latest first.
    pub(super) fn back_from(
        &self,
        prefix: &[u8],
        before: &[u8],
    ) -> impl Iterator<Item = Result<(Bytes, Bytes), DbError>> + use<> {
        Db::entries(self.db().range::<&[u8], _>(prefix..before).rev())
    }

    /// The same, but each entry is looked up when it is asked for. What [`Db::back_from`] has read of the map ahead may be
    /// older than where it goes on: it would pass what came to lie in between.
    pub(super) fn back_from_anew(
        &self,
        prefix: &[u8],
        before: &[u8],
    ) -> impl Iterator<Item = Result<(Bytes, Bytes), DbError>> + use<> {
        let (db, from, mut before) = (self.db().clone(), prefix.to_vec(), before.to_vec());
        Db::entries(std::iter::from_fn(move || {
            let found = db.range::<&[u8], _>(&from[..]..&before[..]).next_back()?;
            if let Ok((key, _)) = &found {
                before = key.to_vec();
            }
            Some(found)
        }))
    }

    /// Makes all changes visible together; they may all be lost in a crash.
    pub(super) fn apply(&self, batch: DbBatch) -> Result<(), DbError> {
        self.guarded(|db| {
            fault::at(&"index-apply", || Ok(()))?;
            let changes = batch.0.len();
            let mut together = sled::Batch::default();
            for (key, value) in batch.0 {
                match value {
                    Some(value) => together.insert(key, value),
                    None => together.remove(key),
                }
            }
            db.apply_batch(together)?;
            free_replaced(changes);
            Ok(())
        })
    }

    /// Makes changes visible one after the other, in the order of their keys: many at a time go faster so, since the
    /// pages that they share are touched once. A crash or an error leaves some of them.
    pub(super) fn fill(&self, mut batch: DbBatch) -> Result<(), DbError> {
        // Of two changes of one key the later one stays the later one.
        batch.0.sort_by(|(one, _), (other, _)| one.cmp(other));
        self.guarded(|db| {
            fault::at(&"index-apply", || Ok(()))?;
            let changes = batch.0.len();
            for (key, value) in batch.0 {
                match value {
                    Some(value) => db.insert(key, value)?,
                    None => db.remove(key)?,
                };
            }
            free_replaced(changes);
            Ok(())
        })
    }

    /// Everything applied so far survives a power cut, as far as sled can promise it.
    pub(super) fn flush(&self) -> Result<(), DbError> {
        self.guarded(|db| {
            fault::at(&"index-flush", || Ok(()))?;
            db.flush()?;
            self.file.sync_data()?;
            Ok(())
        })
    }
}

impl Drop for Db {
    fn drop(&mut self) {
        let (Some(db), true) = (self.db.take(), self.failed.load(Ordering::Relaxed)) else { return };
        // Where no thread can be had it goes with this closure, here.
        let _ = std::thread::Builder::new().name("index-drop".to_owned()).spawn(move || drop(db));
    }
}

/// Frees what so many changes have replaced: each leaves a copy of its page behind. sled by itself frees some hundred of
/// them in 128 operations, and a batch of thousands is one.
fn free_replaced(changes: usize) {
    // One step frees eight bags of 62 of what was put aside two steps before; a change puts two or three aside.
    const CHANGES: usize = 128;
    const AT_LEAST: usize = 4;
    for _ in 0..(changes / CHANGES).saturating_add(AT_LEAST) {
        crossbeam_epoch::pin().flush();
    }
}

/// sled takes the newest `snap.*` file, even one that a crash cut off.
fn remove_unfinished_snapshots(dir: &Path) -> Result<(), DbError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "generating") {
            durable::remove_unsynced(&path)?;
        }
    }
    Ok(())
}

/// How often the lock of a map is tried, and the time between.
const LOCK_TRIES: usize = 1000;
const LOCK_WAIT: Duration = Duration::from_millis(5);

/// Returns when nobody holds the map any more; one that is held for longer is for sled to refuse.
fn await_lock(dir: &Path) -> Result<(), DbError> {
    let file = match File::open(dir.join("db")) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            // Not by closing alone: a child being started may have the file too, for a moment.
            Ok(()) => return Ok(file.unlock()?),
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_WAIT),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_flush_opens_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(dir.path(), 1024 * 1024).unwrap();
        let mut changes = DbBatch::default();
        changes.insert(b"key", b"value");
        db.apply(changes).unwrap();
        // As without a descriptor, it could not be opened.
        durable::rename(&dir.path().join("db"), &dir.path().join("elsewhere")).unwrap();
        db.flush().unwrap();
    }

    #[test]
    fn what_batches_have_replaced_does_not_pile_up() {
        const BATCHES: u32 = 60;
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(dir.path(), 1024 * 1024).unwrap();
        let alive = Arc::new(());
        for batch in 0..BATCHES {
            let aside = alive.clone();
            crossbeam_epoch::pin().defer(move || drop(aside));
            let mut changes = DbBatch::default();
            for number in 0..4000u32 {
                changes.insert(&[batch.to_be_bytes(), number.to_be_bytes()].concat(), &[0; 24]);
            }
            db.apply(changes).unwrap();
        }
        let left = Arc::strong_count(&alive) - 1;
        assert!(left < 10, "of {BATCHES} things put aside, one before each batch, {left} are left");
    }
}
