//! The folders that a batch of publications touches: each is looked for once and synced once.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use super::{Trouble, again, prepare_staging};
use crate::ground::durable::{self, DurableError};
use crate::store::{PendingPublication, Store};

/// Folders of a batch that are there.
#[derive(Default)]
pub(super) struct Folders(BTreeSet<PathBuf>);

impl Folders {
    /// Looks for one, and makes it, once. One that cannot be opened could not be synced later.
    pub(super) fn make(&mut self, folder: &Path) -> Result<(), DurableError> {
        if !self.0.contains(folder) {
            durable::create_dir_all(folder)?;
            durable::require_openable(folder)?;
            self.0.insert(folder.to_owned());
        }
        Ok(())
    }

    /// The same for the staging folder in a partner's `home`.
    pub(super) fn staging(&mut self, store: &Store, home: &Path, partner: &str) -> Result<(), DurableError> {
        if !self.0.contains(home) {
            prepare_staging(store, home, partner)?;
            self.0.insert(home.to_owned());
        }
        Ok(())
    }
}

/// The first folder on each filesystem. One that cannot be told from the others counts as another.
pub(super) fn one_of_each_filesystem<'a>(folders: impl Iterator<Item = &'a PathBuf>) -> Vec<&'a Path> {
    let mut apart: Vec<&Path> = Vec::new();
    let distinct: BTreeSet<&PathBuf> = folders.collect();
    for folder in distinct {
        let known = apart.iter().any(|known| durable::same_filesystem(known, folder).unwrap_or(false));
        if !known {
            apart.push(folder);
        }
    }
    apart
}

/// Syncs the folders of all, each once: the first one of each before any other, since names that are gone from a staging folder
/// must be durable where they are now. What a folder that cannot be opened holds has failed, and the folders that it came from
/// are not synced either; the next time all of them are.
pub(super) fn sync_folders<T>(
    done: Vec<(T, Vec<PathBuf>)>,
    failed: &mut Vec<(PendingPublication, io::Error)>,
    pending: impl Fn(T) -> PendingPublication,
) -> io::Result<Vec<T>> {
    sync_folders_by(done, failed, pending, &durable::fsync_dir)
}

/// [`sync_folders`] with this sync.
pub(super) fn sync_folders_by<T>(
    done: Vec<(T, Vec<PathBuf>)>,
    failed: &mut Vec<(PendingPublication, io::Error)>,
    pending: impl Fn(T) -> PendingPublication,
    sync: &dyn Fn(&Path) -> Result<(), DurableError>,
) -> io::Result<Vec<T>> {
    let mut syncs = Syncs { sync, made: BTreeSet::new(), left_out: BTreeMap::new() };
    let split = || done.iter().filter_map(|(_, folders)| folders.split_first());
    for (first, _) in split() {
        syncs.make(first)?;
    }
    for (first, others) in split() {
        syncs.leave_out(others, first);
    }
    for folder in split().flat_map(|(_, others)| others) {
        syncs.make(folder)?;
    }
    let left_out = syncs.left_out;
    let mut synced = Vec::with_capacity(done.len());
    for (item, folders) in done {
        match folders.iter().find_map(|folder| left_out.get(folder)) {
            None => synced.push(item),
            Some(error) => failed.push((pending(item), again(error))),
        }
    }
    Ok(synced)
}

/// The syncs of a batch.
struct Syncs<'s> {
    sync: &'s dyn Fn(&Path) -> Result<(), DurableError>,
    made: BTreeSet<PathBuf>,
    /// Folders that could not be synced, and why.
    left_out: BTreeMap<PathBuf, io::Error>,
}

impl Syncs<'_> {
    /// An error is that of a sync; that a folder cannot be opened is noted.
    fn make(&mut self, folder: &Path) -> io::Result<()> {
        if self.left_out.contains_key(folder) || !self.made.insert(folder.to_owned()) {
            return Ok(());
        }
        match (self.sync)(folder).map_err(Trouble::from) {
            Ok(()) => Ok(()),
            Err(Trouble::Sync(error)) => Err(error),
            Err(Trouble::Own(error)) => {
                self.left_out.insert(folder.to_owned(), error);
                Ok(())
            }
        }
    }

    /// Leaves these out as well if the first one could not be synced.
    fn leave_out(&mut self, others: &[PathBuf], first: &Path) {
        let Some(error) = self.left_out.get(first).map(again) else { return };
        self.left_out.extend(others.iter().map(|folder| (folder.clone(), again(&error))));
    }
}
