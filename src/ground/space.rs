//! Room on the disk: a floor that stays free, what bodies in flight have been promised, and a reserve for bad days.
//!
//! A database cannot open on a full disk, and rebuilding an index needs room. So while there is plenty, some of it is
//! kept in a file, and given up when a start finds the disk full.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::durable::{self, DurableError, Result};

/// The name of the reserve file in its folder.
const RESERVE_FILE: &str = "reserve";

/// The free space of a filesystem, shared by everyone who wants to write there. Clones share it.
#[derive(Debug, Clone)]
pub struct Space {
    dir: Arc<Path>,
    floor: u64,
    promised: Arc<AtomicU64>,
}

/// Why there is no room.
#[derive(Debug, thiserror::Error)]
pub enum NoRoom {
    /// The floor would be reached.
    #[error("{free} bytes are free, {promised} of them are promised, {wanted} are wanted above the floor of {floor}")]
    Short {
        /// Free bytes.
        free: u64,
        /// Of those, promised to others.
        promised: u64,
        /// Bytes wanted.
        wanted: u64,
        /// Bytes that stay free.
        floor: u64,
    },
    /// The filesystem cannot be asked.
    #[error(transparent)]
    Unknown(#[from] DurableError),
}

impl Space {
    /// The filesystem of `dir`, of which `floor` bytes stay free.
    pub fn new(dir: &Path, floor: u64) -> Space {
        Space { dir: dir.into(), floor, promised: Arc::default() }
    }

    /// Sets `bytes` aside until the promise is dropped; with 0 it only asks.
    ///
    /// # Errors
    /// What is free, less what others were promised, would fall below the floor.
    pub fn promise(&self, bytes: u64) -> std::result::Result<Promise, NoRoom> {
        let promise = Promise { promised: self.promised.clone(), bytes: 0 };
        promise.more(self, bytes)
    }
}

/// Room set aside; dropped, it is given back.
#[derive(Debug)]
pub struct Promise {
    promised: Arc<AtomicU64>,
    bytes: u64,
}

impl Promise {
    /// Sets more aside.
    ///
    /// # Errors
    /// As [`Space::promise`]; what was promised before is given back as well.
    pub fn more(mut self, space: &Space, bytes: u64) -> std::result::Result<Promise, NoRoom> {
        let free = durable::free_space(&space.dir)?;
        let before = self.promised.fetch_add(bytes, Ordering::SeqCst);
        self.bytes = self.bytes.saturating_add(bytes);
        let needed = before.saturating_add(bytes).saturating_add(space.floor);
        if free >= needed {
            return Ok(self);
        }
        Err(NoRoom::Short { free, promised: before, wanted: bytes, floor: space.floor })
    }
}

impl Promise {
    /// So many bytes of what it is for are on the disk by now, where they count by themselves.
    pub fn spent(&mut self, bytes: u64) {
        let bytes = bytes.min(self.bytes);
        self.bytes = self.bytes.saturating_sub(bytes);
        self.promised.fetch_sub(bytes, Ordering::SeqCst);
    }

    /// Both together.
    pub fn and(mut self, mut other: Promise) -> Promise {
        self.bytes = self.bytes.saturating_add(std::mem::take(&mut other.bytes));
        self
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.promised.fetch_sub(self.bytes, Ordering::SeqCst);
    }
}

/// A file that keeps room for the next start.
#[derive(Debug, Clone)]
pub struct Reserve {
    path: PathBuf,
    bytes: u64,
}

impl Reserve {
    /// The reserve in `dir`; none with 0 bytes.
    pub fn new(dir: &Path, bytes: u64) -> Reserve {
        Reserve { path: dir.join(RESERVE_FILE), bytes }
    }

    /// Gives the room up when less than it is free otherwise; whether it did.
    ///
    /// # Errors
    /// The filesystem cannot be asked, or the file not removed.
    pub fn give_up_if_full(&self) -> Result<bool> {
        let dir = self.path.parent().unwrap_or(Path::new("."));
        if self.bytes == 0 || durable::free_space(dir)? >= self.bytes {
            return Ok(false);
        }
        match durable::remove(&self.path) {
            Ok(()) => {
                tracing::warn!(
                    bytes = self.bytes,
                    code = "reserve-given-up",
                    "the disk is full: the reserve was given up for this start; make room"
                );
                Ok(true)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Makes it when it is missing and there would be twice as much left; whether it is there.
    ///
    /// # Errors
    /// The disk failed.
    pub fn keep(&self) -> Result<bool> {
        if self.bytes == 0 {
            return Ok(true);
        }
        if self.path.symlink_metadata().is_ok_and(|metadata| metadata.len() == self.bytes) {
            return Ok(true);
        }
        let dir = self.path.parent().unwrap_or(Path::new("."));
        if durable::free_space(dir)? < self.bytes.saturating_mul(3) {
            return Ok(false);
        }
        match durable::allocate(&self.path, self.bytes) {
            Ok(()) => Ok(true),
            Err(error) if error.code() == "disk-full" => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_in_flight_are_counted_against_the_floor() {
        let dir = tempfile::tempdir().unwrap();
        let free = durable::free_space(dir.path()).unwrap();
        let (half, slack) = (free / 2, free / 10);
        let space = Space::new(dir.path(), slack);
        let first = space.promise(half).unwrap();
        assert!(matches!(space.promise(half), Err(NoRoom::Short { .. })), "two halves and the floor are too much");
        assert!(first.more(&space, half).is_err());
        drop(space.promise(half).unwrap());
        assert!(Space::new(dir.path(), u64::MAX).promise(0).is_err(), "below the floor nothing is promised");
    }

    #[test]
    fn what_is_on_the_disk_by_now_is_not_set_aside_as_well() {
        let dir = tempfile::tempdir().unwrap();
        let free = durable::free_space(dir.path()).unwrap();
        let space = Space::new(dir.path(), 0);
        let mut promise = space.promise(free / 2).unwrap();
        assert!(space.promise(free / 8 * 5).is_err());
        promise.spent(free / 4);
        drop(space.promise(free / 8 * 5).unwrap());
        promise.spent(u64::MAX);
        drop(promise);
        drop(space.promise(free / 8 * 7).unwrap());
    }

    #[cfg(unix)]
    #[test]
    fn a_reserve_takes_real_room_and_is_made_once() {
        use std::os::unix::fs::MetadataExt as _;
        let dir = tempfile::tempdir().unwrap();
        let reserve = Reserve::new(dir.path(), 1 << 20);
        assert!(reserve.keep().unwrap() && reserve.keep().unwrap());
        let metadata = std::fs::metadata(dir.path().join(RESERVE_FILE)).unwrap();
        assert_eq!(metadata.len(), 1 << 20);
        assert!(metadata.blocks() * 512 >= 1 << 20, "not sparse");
        assert!(!reserve.give_up_if_full().unwrap(), "there is room");
        assert!(Reserve::new(dir.path(), 0).keep().unwrap(), "none is wanted");
    }

    #[test]
    fn a_reserve_is_given_up_when_the_disk_has_less_than_it() {
        let dir = tempfile::tempdir().unwrap();
        let more_than_is_free = Reserve::new(dir.path(), durable::free_space(dir.path()).unwrap() * 2);
        assert!(!more_than_is_free.keep().unwrap(), "not made");
        std::fs::File::create(dir.path().join(RESERVE_FILE)).unwrap();
        assert!(more_than_is_free.give_up_if_full().unwrap());
        assert!(!more_than_is_free.give_up_if_full().unwrap(), "gone already");
    }
}
