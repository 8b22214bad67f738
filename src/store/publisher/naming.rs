//! From `.staged/` to the name that users see: the first one that is free.

use std::io;
use std::path::{Path, PathBuf};

use crate::ground::durable;
use crate::ground::id::Id;
use crate::store::PendingPublication;
use crate::store::record::{Content, Publication};

/// Names tried for one publication before it is set aside.
const NAMES: u32 = 1000;

/// Moves one publication's files; returns the principal one's name. If that one is no longer staged, it was moved
/// before a crash.
///
/// # Errors
/// A rename failed, or every name is taken; the principal file is still staged then.
pub(super) fn rename_group(staging: &Path, target: &Path, pending: &PendingPublication) -> io::Result<String> {
    if staged_path(staging, pending, "").symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    {
        return Ok(name_before_crash(target, pending));
    }
    for count in 0..NAMES {
        let name = candidate(pending, count);
        if is_free(target, staging, pending, &name) && move_group(staging, target, pending, &name)? {
            return Ok(name);
        }
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("every name like {} is taken", pending.publication.name)))
}

/// Moves all files under `name`; false when a stranger took it meanwhile: what was moved is staged again then.
fn move_group(staging: &Path, target: &Path, pending: &PendingPublication, name: &str) -> io::Result<bool> {
    let mut moved = Vec::new();
    for (suffix, _) in in_order(&pending.publication) {
        let (from, to) = (staged_path(staging, pending, suffix), target.join(format!("{name}{suffix}")));
        match durable::rename_noreplace_unsynced(&from, &to) {
            Ok(()) => moved.push((from, to)),
            // A companion of ours, moved before a crash.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !suffix.is_empty() => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                for (from, to) in moved {
                    durable::rename_noreplace_unsynced(&to, &from)?;
                }
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

/// The name that a moved file most likely got: the last of ours that exists, else the plain one.
fn name_before_crash(target: &Path, pending: &PendingPublication) -> String {
    let own = (1..NAMES).map(|count| candidate(pending, count));
    let last = own.take_while(|name| target.join(name).symlink_metadata().is_ok()).last();
    last.unwrap_or_else(|| candidate(pending, 0))
}

/// No file of the publication would meet a stranger. A companion that is gone from staging is our own, moved before a
/// crash.
fn is_free(target: &Path, staging: &Path, pending: &PendingPublication, name: &str) -> bool {
    pending.publication.files.iter().all(|(suffix, _)| {
        let taken = target.join(format!("{name}{suffix}")).symlink_metadata().is_ok();
        !taken || staged_path(staging, pending, suffix).symlink_metadata().is_err()
    })
}

/// Companions in their order, then the principal file.
fn in_order(publication: &Publication) -> impl Iterator<Item = &(String, Content)> {
    let companions = publication.files.iter().filter(|(suffix, _)| !suffix.is_empty());
    companions.chain(publication.files.iter().filter(|(suffix, _)| suffix.is_empty()))
}

/// Where a file waits for its rename.
pub(super) fn staged_path(staging: &Path, pending: &PendingPublication, suffix: &str) -> PathBuf {
    staging.join(format!("{}.{}{suffix}", pending.message, pending.index))
}

/// The name to try after `count` others. All but the plain one belong to this publication alone.
fn candidate(pending: &PendingPublication, count: u32) -> String {
    let (name, id, index) = (&pending.publication.name, &pending.message, pending.index);
    match (count, index) {
        (0, _) => name.clone(),
        (1, 0) => before_extension(name, id, ""),
        (1, _) => before_extension(name, id, &format!("-{index}")),
        _ => before_extension(name, id, &format!("-{index}-{count}")),
    }
}

/// `order.xml` → `order.<id><more>.xml`.
fn before_extension(name: &str, id: &Id, more: &str) -> String {
    match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => format!("{stem}.{id}{more}.{extension}"),
        _ => format!("{name}.{id}{more}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_name_gets_the_message_id_before_its_extension() {
        let id = Id::from_bytes([7; 16]);
        assert_eq!(before_extension("订单.xml", &id, ""), format!("订单.{id}.xml"));
        assert_eq!(before_extension("noext", &id, "-1"), format!("noext.{id}-1"));
        assert_eq!(before_extension(".hidden", &id, ""), format!(".hidden.{id}"));
    }
}
