//! From `.staged/` to the name that users see: the first one that is free.

use std::io;
use std::path::{Path, PathBuf};

use crate::ground::durable;
use crate::ground::id::Id;
use crate::store::PendingPublication;
use crate::store::record::{Content, Publication};

/// Names tried for one publication before it is set aside.
const NAMES: u32 = 1000;

/// What became of an attempt to move a publication's files to a name.
enum Move {
    Done,
    /// A stranger has the name; everything is staged as before.
    Taken,
    /// The principal file is no longer staged.
    Gone,
}

/// Moves one publication's files; returns the principal one's name. If that one is no longer staged, it was moved
/// before a crash: `staging` is the folder that it was put into, and this process has not seen it there.
///
/// # Errors
/// A rename failed, or every name is taken; the principal file is still staged then.
pub(super) fn rename_group(staging: &Path, target: &Path, pending: &PendingPublication) -> io::Result<String> {
    for count in begun_with(staging, target, pending)..NAMES {
        let name = candidate(pending, count);
        match move_group(staging, target, pending, &name)? {
            Move::Done => return Ok(name),
            Move::Taken => {}
            Move::Gone => return Ok(name_before_crash(target, pending)),
        }
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("every name like {} is taken", pending.publication.name)))
}

/// Moves all files under `name`.
fn move_group(staging: &Path, target: &Path, pending: &PendingPublication, name: &str) -> io::Result<Move> {
    // Companions go first: nobody shall see them beside a principal file that is not theirs.
    if pending.publication.files.len() > 1 && exists(&target.join(name)) {
        return Ok(if is_gone(&staged_path(staging, pending, "")) { Move::Gone } else { Move::Taken });
    }
    let mut moved = Vec::new();
    for (suffix, _) in in_order(&pending.publication) {
        let (from, to) = (staged_path(staging, pending, suffix), target.join(format!("{name}{suffix}")));
        match durable::rename_noreplace_unsynced(&from, &to) {
            Ok(()) => moved.push((from, to)),
            // A companion of ours, moved before a crash.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !suffix.is_empty() => {}
            // The folder may be what is missing.
            Err(error) if error.kind() == io::ErrorKind::NotFound && is_gone(&from) => return Ok(Move::Gone),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                for (from, to) in moved {
                    durable::rename_noreplace_unsynced(&to, &from)?;
                }
                return Ok(Move::Taken);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Move::Done)
}

/// The count of the name that a companion got before a crash, or before the disk refused the principal file: all but the
/// plain one are this publication's own.
fn begun_with(staging: &Path, target: &Path, pending: &PendingPublication) -> u32 {
    let is_moved = |suffix: &str| !suffix.is_empty() && is_gone(&staged_path(staging, pending, suffix));
    let moved = pending.publication.files.iter().find(|(suffix, _)| is_moved(suffix));
    let has_it = |count: &u32| {
        moved.is_some_and(|(suffix, _)| exists(&target.join(format!("{}{suffix}", candidate(pending, *count)))))
    };
    moved.and_then(|_| (1..NAMES).find(has_it)).unwrap_or(0)
}

/// Whether a publication's files are staged at their whole length: what stands in for them in a folder that was made anew
/// is empty. A companion may have been moved already.
pub(super) fn is_staged(staging: &Path, pending: &PendingPublication) -> bool {
    pending.publication.files.iter().all(|(suffix, content)| {
        let length = match content {
            Content::Body(body) => body.len,
            Content::Text(text) => u64::try_from(text.len()).unwrap_or(u64::MAX),
        };
        match staged_path(staging, pending, suffix).symlink_metadata() {
            Ok(metadata) => metadata.len() == length,
            Err(error) => !suffix.is_empty() && error.kind() == io::ErrorKind::NotFound,
        }
    })
}

fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

pub(super) fn is_gone(path: &Path) -> bool {
    path.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// The name that a moved file most likely got: the last of ours that exists, else the plain one.
fn name_before_crash(target: &Path, pending: &PendingPublication) -> String {
    let own = (1..NAMES).map(|count| candidate(pending, count));
    let last = own.take_while(|name| exists(&target.join(name))).last();
    last.unwrap_or_else(|| candidate(pending, 0))
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
