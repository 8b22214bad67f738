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
    /// Looks for one, and makes it, once.
    pub(super) fn make(&mut self, folder: &Path) -> Result<(), DurableError> {
        if !self.0.contains(folder) {
            durable::create_dir_all(folder)?;
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

/// Syncs the folders of all, each once. What a folder that cannot be opened holds has failed; the next time it is
/// synced with the rest.
pub(super) fn sync_folders<T>(
    done: Vec<(T, Vec<PathBuf>)>,
    failed: &mut Vec<(PendingPublication, io::Error)>,
    pending: impl Fn(T) -> PendingPublication,
) -> io::Result<Vec<T>> {
    let mut unopened: BTreeMap<PathBuf, io::Error> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for folder in done.iter().flat_map(|(_, folders)| folders) {
        if !seen.insert(folder) {
            continue;
        }
        match durable::fsync_dir(folder).map_err(Trouble::from) {
            Ok(()) => {}
            Err(Trouble::Sync(error)) => return Err(error),
            Err(Trouble::Own(error)) => {
                unopened.insert(folder.clone(), error);
            }
        }
    }
    let mut synced = Vec::with_capacity(done.len());
    for (item, folders) in done {
        match folders.iter().find_map(|folder| unopened.get(folder)) {
            None => synced.push(item),
            Some(error) => failed.push((pending(item), again(error))),
        }
    }
    Ok(synced)
}
