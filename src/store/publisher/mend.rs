//! What was staged in an earlier round, perhaps by an earlier process, is compared with what was promised before it is
//! renamed: a file that was damaged meanwhile is written again. Only what is still staged is looked at.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::{Publisher, STAGING, Sorted, Trouble, naming};
use crate::ground::durable;
use crate::ground::fault::{self, within};
use crate::store::PendingPublication;
use crate::store::body;
use crate::store::record::Content;

impl Publisher {
    /// Between steps 2 and 3 of an earlier round. An error is that of a sync.
    pub(super) fn mend(&self, batch: Vec<PendingPublication>) -> io::Result<Sorted<PendingPublication>> {
        let (mut done, mut failed) = (Vec::with_capacity(batch.len()), Vec::new());
        for pending in batch {
            match self.mend_one(&pending) {
                Ok(()) => done.push(pending),
                Err(Trouble::Own(error)) => failed.push((pending, error)),
                Err(Trouble::Sync(error)) => return Err(error),
            }
        }
        Ok((done, failed))
    }

    fn mend_one(&self, pending: &PendingPublication) -> Result<(), Trouble> {
        let staging = self.exchange.join(&pending.partner).join(STAGING);
        if !naming::staged_path(&staging, pending, "").try_exists()? {
            return Ok(());
        }
        for (suffix, content) in &pending.publication.files {
            let path = naming::staged_path(&staging, pending, suffix);
            if is_as_promised(&path, content)? {
                continue;
            }
            tracing::warn!(
                id = %pending.message, path = %path.display(), code = "staged-file-damaged",
                "a staged file was damaged on disk and is written again"
            );
            // Not into the file itself, which may have another name elsewhere; and its place is never empty.
            let again = naming::staged_path(&staging, pending, &format!("{suffix}.again"));
            let file = self.write_staged(&again, content)?;
            fault::at(&within("sync", &staging), || file.sync_data()).map_err(Trouble::Sync)?;
            durable::rename(&again, &path)?;
        }
        Ok(())
    }
}

/// One that is not there was renamed before.
fn is_as_promised(path: &Path, content: &Content) -> io::Result<bool> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
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
