//! Long payloads: the file that was taken from an outbox waits beside the staged files, so that its bytes are not written
//! once more for `sent/` or `failed/`. When they are due it takes the place of the copy, and is compared with the payload;
//! whatever is not equal goes, and the payload is written as for any other message.
//!
//! Only the publisher gives it that place: a file there means that it was not published yet.
//!
//! Files of messages that the journal does not know are left behind by a restore: what was taken or received after the backup.
//! They may be all that there is of them, and the journal that knows them may come back, so nobody but a person removes them.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::mend::AGAIN;
use super::{Publisher, STAGING};
use crate::ground::durable;
use crate::ground::id::Id;
use crate::store::body;
use crate::store::record::{Body, Content, Message, PublicationStage};

/// Payloads from this length on; a shorter one is written as quickly as it is compared.
pub const ORIGINAL_FROM: u64 = 32 * 1024;

/// Where the original of a message waits, in the folders of its partner.
pub fn original_path(home: &Path, message: &Id) -> PathBuf {
    home.join(STAGING).join(format!("{message}{SUFFIX}"))
}

/// After the message's id.
const SUFFIX: &str = ".original";

/// The original of a message at the place of a staged file, if it is the payload. Anything else there is removed: writing
/// into it could change a file that has another name elsewhere.
pub(super) fn take(staging: &Path, message: &Id, path: &Path, content: &Content) -> io::Result<Option<File>> {
    let Content::Body(body) = content else { return Ok(None) };
    if body.len < ORIGINAL_FROM {
        return Ok(None);
    }
    let original = staging.join(format!("{message}{SUFFIX}"));
    match durable::rename_noreplace_unsynced(&original, path) {
        Ok(()) => {}
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists) => {}
        Err(error) => return Err(error.into()),
    }
    match open_equal(path, body) {
        Ok(Some(file)) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Ok(None) | Err(_) => fs::remove_file(path).map(|()| None),
    }
}

fn open_equal(path: &Path, body: &Body) -> io::Result<Option<File>> {
    let file = durable::open_regular(path)?;
    Ok(body::holds(file.try_clone()?, body)?.then_some(file))
}

impl Publisher {
    /// Removes originals that nobody will publish any more: their message was cancelled for another in its place, or was
    /// delivered before its file was put here. One that is missed is found the next time. And what a crash has left of a
    /// file that was being written again; nothing is while this runs. Returns the files of messages that the journal does
    /// not know: a file comes here once its message is committed.
    pub(super) fn sweep_staging(&self) -> io::Result<Vec<PathBuf>> {
        let mut unknown = Vec::new();
        for partner in fs::read_dir(&*self.exchange)? {
            match fs::read_dir(partner?.path().join(STAGING)) {
                Ok(staged) => self.sweep_staged(staged, &mut unknown)?,
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
                Err(error) => return Err(error),
            }
        }
        // An index that has failed knows nobody.
        if self.store.poisoned().is_some() {
            unknown.clear();
        }
        if let Some(first) = unknown.first() {
            tracing::warn!(
                files = unknown.len(), first = %first.display(), code = "staged-unknown",
                "files in .staged are of messages that the journal does not know, as after a restore from an older backup: \
                 they stay. Ask the partner, then take them out"
            );
        }
        Ok(unknown)
    }

    fn sweep_staged(&self, staged: fs::ReadDir, unknown: &mut Vec<PathBuf>) -> io::Result<()> {
        for entry in staged {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_str().unwrap_or_default();
            let id = name.split('.').next().and_then(|id| id.parse::<Id>().ok());
            let known = id.map(|id| self.store.message(&id));
            let done = |message: &Message| name.ends_with(SUFFIX) && is_done_with(message);
            match known {
                _ if name.ends_with(AGAIN) => fs::remove_file(entry.path())?,
                Some(Some(message)) if done(&message) => fs::remove_file(entry.path())?,
                Some(None) => unknown.push(entry.path()),
                _ => {}
            }
        }
        Ok(())
    }
}

/// A message's first publication holds its payload, and that is out, or there is none.
fn is_done_with(message: &Message) -> bool {
    match message.publications.first() {
        Some((_, stage)) => matches!(stage, PublicationStage::Published(_)),
        None => message.state.is_final(),
    }
}
