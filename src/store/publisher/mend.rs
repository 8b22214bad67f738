//! What was staged in an earlier round, perhaps by an earlier process, is compared with what was promised before it is
//! renamed: a file that was damaged meanwhile is written again. Only what is still staged is looked at, or was when this
//! process saw it last.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use super::{Folders, Publisher, STAGING, Seen, Sorted, Trouble, naming};
use crate::ground::durable;
use crate::ground::fault::{self, within};
use crate::store::PendingPublication;
use crate::store::body;
use crate::store::record::Content;

/// After the name of a file that is written again.
pub(super) const AGAIN: &str = ".again";

impl Publisher {
    /// Between steps 2 and 3 of an earlier round. An error is that of a sync.
    pub(super) fn mend(&self, batch: Vec<PendingPublication>) -> io::Result<Sorted<PendingPublication>> {
        let (mut done, mut failed) = (Vec::with_capacity(batch.len()), Vec::new());
        let mut folders = Folders::default();
        for pending in batch {
            match self.mend_one(&mut folders, &pending) {
                Ok(()) => done.push(pending),
                Err(Trouble::Own(error)) => failed.push((pending, error)),
                Err(Trouble::Sync(error)) => return Err(error),
            }
        }
        Ok((done, failed))
    }

    fn mend_one(&self, folders: &mut Folders, pending: &PendingPublication) -> Result<(), Trouble> {
        let home = self.exchange.join(&pending.partner);
        let staging = home.join(STAGING);
        folders.staging(&self.store, &home, &pending.partner)?;
        let seen = self.waiting().seen(pending);
        if seen == Some(Seen::Renamed) {
            return Ok(remove_staged(&staging, pending)?);
        }
        let is_there = naming::staged_path(&staging, pending, "").try_exists()?;
        if !is_there && seen.is_none() {
            return Ok(());
        }
        for (suffix, content) in &pending.publication.files {
            let path = naming::staged_path(&staging, pending, suffix);
            if is_as_promised(&path, content, is_there)? {
                continue;
            }
            tracing::warn!(
                id = %pending.message, path = %path.display(), code = "staged-file-damaged",
                "a staged file was damaged on disk, or lost, and is written again"
            );
            // Not into the file itself, which may have another name elsewhere; and its place is never empty.
            let again = naming::staged_path(&staging, pending, &format!("{suffix}{AGAIN}"));
            let file = self.write_staged(&again, content)?;
            fault::at(&within("sync", &staging), || file.sync_data()).map_err(Trouble::Sync)?;
            durable::rename(&again, &path)?;
        }
        self.waiting().see(pending, Seen::Staged);
        Ok(())
    }
}

/// What stands for a publication in a staging folder that was made anew after its rename.
fn remove_staged(staging: &Path, pending: &PendingPublication) -> io::Result<()> {
    for (suffix, _) in &pending.publication.files {
        match fs::remove_file(naming::staged_path(staging, pending, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// A companion that is not there was renamed before, if the principal file is.
fn is_as_promised(path: &Path, content: &Content, is_there: bool) -> io::Result<bool> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(is_there),
        file => file?,
    };
    match content {
        Content::Text(text) => {
            let mut bytes = Vec::with_capacity(text.len());
            let longest = u64::try_from(text.len()).unwrap_or(u64::MAX).saturating_add(1);
            file.take(longest).read_to_end(&mut bytes)?;
            Ok(bytes == text.as_bytes())
        }
        Content::Body(body) => body::holds(file, body),
    }
}
