//! The folder where a partner's files wait for their rename. That a file is not in it says that it was renamed, so the
//! folder itself must be the one that the file was put into. One that is missing (another filesystem is mounted, the
//! partner's tree was moved away) is made with an empty file for everything that is recorded as staged: what has another
//! content than was promised is written again before it is renamed. All of them appear at once, by the folder's rename,
//! so a power cut in between is a folder that is missing.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::{STAGING, naming, write_whole};
use crate::ground::durable::{self, DurableError};
use crate::store::record::PublicationStage;
use crate::store::{PendingPublication, Store};

/// The folder in the making.
const MAKING: &str = ".staged.new";

/// Makes the staging folder of a partner in its `home` unless it is there.
///
/// # Errors
/// Something in it cannot be created or synced, or the store is poisoned and does not tell what must be in it.
pub fn prepare_staging(store: &Store, home: &Path, partner: &str) -> Result<(), DurableError> {
    // The publisher and the sweeps make them.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let staging = home.join(STAGING);
    if !naming::is_gone(&staging) {
        return durable::create_dir_all(&staging);
    }
    let mut lost = store.pending_publications(usize::MAX);
    if let Some(cause) = store.poisoned() {
        // An index that fails lists less than there is: what it leaves out would count as published.
        return Err(DurableError { step: "fill", path: staging, source: io::Error::other(cause) });
    }
    lost.retain(|pending| pending.stage == PublicationStage::Staged && pending.partner == partner);
    if lost.is_empty() {
        return durable::create_dir_all(&staging);
    }
    tracing::error!(
        partner, publications = lost.len(), folder = %staging.display(), code = "staging-folder-missing",
        "the folder of files that wait to be published is not there: they are written again. \
         Is the right filesystem mounted?"
    );
    let making = home.join(MAKING);
    let failed = |source| DurableError { step: "make", path: making.clone(), source };
    match fs::remove_dir_all(&making) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => durable::create_dir_all(&making)?,
    }
    lost.iter().try_for_each(|pending| stand_in(&making, pending)).map_err(failed)?;
    durable::fsync_dir(&making)?;
    durable::rename(&making, &staging)
}

/// Empty files at the places of a publication's own.
fn stand_in(folder: &Path, pending: &PendingPublication) -> io::Result<()> {
    let mut suffixes = pending.publication.files.iter().map(|(suffix, _)| suffix);
    suffixes.try_for_each(|suffix| write_whole(&naming::staged_path(folder, pending, suffix), b"").map(drop))
}
