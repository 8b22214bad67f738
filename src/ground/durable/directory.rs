//! Directories whose names become durable. Each is opened before a name in it changes: where that fails (it is not there, no
//! descriptor is left) nothing has happened yet, and what fails behind it is a sync, which is final.

use std::path::Path;

use super::{At as _, Result, parent, platform};
use crate::ground::fault::{self, within};

/// An open directory.
pub(super) struct Directory<'p> {
    path: &'p Path,
    opened: platform::DirHandle,
}

impl<'p> Directory<'p> {
    pub(super) fn open(path: &'p Path) -> Result<Directory<'p>> {
        let opened = platform::open_dir(path).at("open directory", path)?;
        Ok(Directory { path, opened })
    }

    /// Makes the names in it durable.
    pub(super) fn sync(&self) -> Result<()> {
        fault::at(&within("dirsync", self.path), || platform::sync_dir(&self.opened)).at("sync directory", self.path)
    }
}

/// The directories of a name that changes.
pub(super) struct Parents<'p> {
    to: Directory<'p>,
    /// None where it is the same.
    from: Option<Directory<'p>>,
}

impl<'p> Parents<'p> {
    pub(super) fn open(from: &'p Path, to: &'p Path) -> Result<Parents<'p>> {
        let (from, to) = (parent(from), parent(to));
        let from = if from == to { None } else { Some(Directory::open(from)?) };
        Ok(Parents { to: Directory::open(to)?, from })
    }

    /// The destination first: a power cut between the two shows the file under both names rather than under none.
    pub(super) fn sync(&self) -> Result<()> {
        self.to.sync()?;
        self.from.as_ref().map_or(Ok(()), Directory::sync)
    }
}

/// Makes the names in `dir` durable.
///
/// # Errors
/// The directory cannot be opened or synced.
pub fn fsync_dir(dir: &Path) -> Result<()> {
    Directory::open(dir)?.sync()
}

/// Sees to it that `dir` can be opened, before names are given in it that are to be synced later.
///
/// # Errors
/// It cannot.
pub fn require_openable(dir: &Path) -> Result<()> {
    Directory::open(dir).map(drop)
}

/// Makes everything written so far to the filesystem of `dir` durable: one call for many files.
///
/// # Errors
/// The directory cannot be opened, or writing back failed.
pub fn sync_filesystem(dir: &Path) -> Result<()> {
    let directory = Directory::open(dir)?;
    // Where there is no such call some of its steps are no syncs.
    let failed = fault::at(&within("syncfs", dir), || Ok(platform::sync_filesystem(&directory.opened, dir).err()));
    failed.at("sync filesystem of", dir)?.map_or(Ok(()), Err)
}
