//! Whose a file is: who calls may be root where the gateway, which reads it, is not. Only root can give files away; for
//! others they stay theirs, of the group where they are in it, and that is no failure.

use std::fs::{self, File, Metadata};
use std::io::Write as _;
use std::path::Path;

use super::{At as _, NewFile, Result, parent};

/// The same as [`replace`](super::replace), but the file stays whose it was, with the mode it had.
///
/// # Errors
/// Any failure of the disk; the old file is then still there.
pub fn replace_as_before(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = NewFile::create_in(parent(path))?;
    if let Ok(before) = fs::metadata(path) {
        give(&file.file, &before);
        let _ = file.file.set_permissions(before.permissions());
    }
    file.write_all(bytes).at("write", path)?;
    file.replace(path)
}

/// The same as [`write_new`](super::write_new), for whom the folder belongs to.
///
/// # Errors
/// As [`write_new`](super::write_new).
pub fn write_new_as_folder(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = NewFile::create_in(parent(path))?;
    file.give_as_folder(path);
    file.write_all(bytes).at("write", path)?;
    file.publish(path)
}

impl NewFile {
    /// It will be whose the folder of `path` is.
    pub fn give_as_folder(&self, path: &Path) {
        if let Ok(folder) = fs::metadata(parent(path)) {
            give(&self.file, &folder);
        }
    }
}

#[cfg(unix)]
fn give(file: &File, like: &Metadata) {
    use std::os::unix::fs::{MetadataExt as _, fchown};
    // One at a time: a group of theirs, which lets the gateway read it, is in the power of others too.
    let _ = fchown(file, None, Some(like.gid()));
    let _ = fchown(file, Some(like.uid()), None);
}

#[cfg(not(unix))]
fn give(_file: &File, _like: &Metadata) {}
