//! The only file that names sled. An ordered map of bytes with atomic batches, and nothing of dxgate's.
//!
//! What is known of sled 0.34 and kept away from here: its `flush` does not sync, so [`Db::flush`] syncs the file
//! itself and nothing is acknowledged on its word; a `snap.*.generating` file left by a crash keeps it from opening,
//! so those go first; a damaged file may make it panic while opening, so that happens on a thread of its own.

use std::fs::{self, File};
use std::ops::Bound;
use std::path::{Path, PathBuf};

use crate::ground::fault;

/// A value or key read from the map.
pub(super) type Bytes = sled::IVec;

/// sled's own words about a failure.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub(super) struct DbError(String);

impl From<sled::Error> for DbError {
    fn from(error: sled::Error) -> DbError {
        DbError(error.to_string())
    }
}

impl From<std::io::Error> for DbError {
    fn from(error: std::io::Error) -> DbError {
        DbError(error.to_string())
    }
}

/// The map.
#[derive(Debug)]
pub(super) struct Db {
    db: sled::Db,
    dir: PathBuf,
}

/// Changes that happen together.
#[derive(Default)]
pub(super) struct DbBatch(sled::Batch);

impl DbBatch {
    pub(super) fn insert(&mut self, key: &[u8], value: &[u8]) {
        self.0.insert(key, value);
    }

    pub(super) fn remove(&mut self, key: &[u8]) {
        self.0.remove(key);
    }
}

impl Db {
    /// Opens or creates the map in `dir`. A panic inside sled is an error here.
    pub(super) fn open(dir: &Path, cache_bytes: u64) -> Result<Db, DbError> {
        remove_unfinished_snapshots(dir)?;
        let config = sled::Config::new()
            .path(dir)
            .flush_every_ms(None)
            .cache_capacity(cache_bytes)
            .mode(sled::Mode::HighThroughput);
        let open = move || fault::at(&"index-open", || Ok(())).map_err(sled::Error::Io).and_then(|()| config.open());
        let opening = std::thread::Builder::new().name("index-open".to_owned()).spawn(open)?;
        match opening.join() {
            Ok(db) => Ok(Db { db: db?, dir: dir.to_path_buf() }),
            Err(_) => Err(DbError("sled panicked while opening".to_owned())),
        }
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Bytes>, DbError> {
        fault::at(&"index-read", || Ok(()))?;
        Ok(self.db.get(key)?)
    }

    /// Entries whose keys begin with `prefix`, in order; walk it from the back for the latest first.
    pub(super) fn scan(
        &self,
        prefix: &[u8],
    ) -> impl DoubleEndedIterator<Item = Result<(Bytes, Bytes), DbError>> + use<> {
        self.db.scan_prefix(prefix).map(|entry| Ok(entry?))
    }

    /// Entries with keys from `from` on, in order, to the end of the map.
    pub(super) fn from(&self, from: &[u8]) -> impl Iterator<Item = Result<(Bytes, Bytes), DbError>> + use<> {
        self.db.range::<&[u8], _>(from..).map(|entry| Ok(entry?))
    }

    /// Entries with keys from `from` on and before `to`, in order; to the end of the map when there is no `to`.
    pub(super) fn between(
        &self,
        from: &[u8],
        to: Option<&[u8]>,
    ) -> impl Iterator<Item = Result<(Bytes, Bytes), DbError>> + use<> {
        let range = (Bound::Included(from), to.map_or(Bound::Unbounded, Bound::Excluded));
        self.db.range::<&[u8], _>(range).map(|entry| Ok(entry?))
    }

    /// Entries whose keys begin with `prefix` and sort before `before`, latest first.
    pub(super) fn back_from(
        &self,
        prefix: &[u8],
        before: &[u8],
    ) -> impl Iterator<Item = Result<(Bytes, Bytes), DbError>> + use<> {
        self.db.range::<&[u8], _>(prefix..before).rev().map(|entry| Ok(entry?))
    }

    /// Makes all changes visible together; they may all be lost in a crash.
    pub(super) fn apply(&self, batch: DbBatch) -> Result<(), DbError> {
        fault::at(&"index-apply", || Ok(()))?;
        Ok(self.db.apply_batch(batch.0)?)
    }

    /// Everything applied so far survives a power cut, as far as sled can promise it.
    pub(super) fn flush(&self) -> Result<(), DbError> {
        fault::at(&"index-flush", || Ok(()))?;
        self.db.flush()?;
        File::open(self.dir.join("db"))?.sync_data()?;
        Ok(())
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
            fs::remove_file(path)?;
        }
    }
    Ok(())
}
