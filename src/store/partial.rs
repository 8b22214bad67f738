//! Bodies that arrive over several connections (AS2 Restart): what came so far waits in a file of its own until the
//! sender goes on with it.
//!
//! A file is named after its owner (who sends to whom), the mark that the sender gave the body, its whole length and
//! its Message-ID: nobody else's request finds it, and nothing but its length is ever told. It grows as bytes come, so a
//! crash leaves what a broken connection leaves. A complete one becomes a body by a second name and stays for a while:
//! should the answer get lost, the sender sends its last byte again. It shares its bytes with the body then, so it is
//! copied rather than written on.
//!
//! An owner has at most [`MOST`] files that nobody is writing, together no larger than one body may be; older ones give
//! way whenever one begins, goes on or is left. What nobody has asked for in [`AGE`] goes.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use data_encoding::HEXLOWER;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use super::body::{BodyWriter, Seen};
use crate::ground::durable::{self, DirSync, NewFile};
use crate::ground::id::Id;

/// Files of one owner, at most.
pub const MOST: usize = 16;
/// How long what came of a body is kept.
pub const AGE: SignedDuration = SignedDuration::from_hours(24);

/// What came of bodies so far. Clones share it.
#[derive(Debug, Clone)]
pub struct Partials(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    dir: PathBuf,
    bodies: Arc<DirSync>,
    /// Marks in work.
    busy: Mutex<HashSet<String>>,
}

/// A body by what its sender says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    owner: String,
    etag: String,
}

impl Mark {
    /// `owner`: who sends to whom; `etag`: what the sender calls the body.
    pub fn new(owner: &[&str], etag: &str) -> Mark {
        Mark { owner: short_digest(&owner.join("\0")), etag: short_digest(etag) }
    }

    fn prefix(&self) -> String {
        format!("{}-{}-", self.owner, self.etag)
    }
}

/// The body that a request goes on with.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    /// Which body.
    pub mark: &'a Mark,
    /// Its Message-ID.
    pub message_id: &'a str,
    /// Its whole length in bytes.
    pub total: u64,
    /// Where the request's bytes begin.
    pub from: u64,
    /// Bytes that files of this owner may have together.
    pub room: u64,
}

/// Why a request cannot go on with a body.
#[derive(Debug)]
pub enum NotTaken {
    /// Another request is writing it.
    Busy,
    /// Bytes before the request's first are missing; so many are here.
    Beyond(u64),
    /// The disk failed.
    Io(io::Error),
}

impl From<io::Error> for NotTaken {
    fn from(error: io::Error) -> NotTaken {
        NotTaken::Io(error)
    }
}

/// A body that goes on; nobody else writes it while this lives.
pub struct Taken {
    /// Takes the bytes that follow. Dropped before its end, it leaves what came.
    pub writer: BodyWriter,
    /// The right to write it.
    pub turn: Turn,
}

/// The right to write one body.
#[derive(Debug)]
pub struct Turn {
    partials: Partials,
    owner: String,
    prefix: String,
    room: u64,
}

impl Turn {
    /// Nothing of the body is offered any more.
    pub fn forget(self) {
        for found in self.partials.of(&self.prefix) {
            self.partials.remove(&found.path);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut busy = self.partials.busy();
        busy.remove(&self.prefix);
        self.partials.make_room(&busy, &self.owner, None, self.room);
    }
}

/// A file of this folder.
struct Found {
    path: PathBuf,
    name: String,
    len: u64,
    changed: SystemTime,
    /// Its bytes are no stored body's.
    alone: bool,
}

impl Found {
    /// It waits for a lost answer only.
    fn is_whole(&self) -> bool {
        let total = self.name.split('-').nth(2).and_then(|total| total.parse().ok());
        total.is_some_and(|total: u64| self.len >= total)
    }
}

impl Partials {
    pub(super) fn new(dir: &Path, bodies: Arc<DirSync>) -> Partials {
        Partials(Arc::new(Shared { dir: dir.to_path_buf(), bodies, busy: Mutex::default() }))
    }

    /// Bytes that are here of a body; `None` while they are being written.
    pub fn held(&self, mark: &Mark) -> Option<u64> {
        let prefix = mark.prefix();
        if self.busy().contains(&prefix) {
            return None;
        }
        Some(self.of(&prefix).first().map_or(0, |found| found.len))
    }

    /// Goes on with a body, or begins it. Blocking: what is here already is hashed.
    ///
    /// # Errors
    /// See [`NotTaken`].
    pub fn take(&self, wanted: &Wanted<'_>, id: Id) -> Result<Taken, NotTaken> {
        let prefix = wanted.mark.prefix();
        if !self.busy().insert(prefix.clone()) {
            return Err(NotTaken::Busy);
        }
        let owner = format!("{}-", wanted.mark.owner);
        let turn = Turn { partials: self.clone(), owner, prefix: prefix.clone(), room: wanted.room };
        let name = format!("{prefix}{}-{}", wanted.total, short_digest(wanted.message_id));
        let mut held = 0;
        for found in self.of(&prefix) {
            if found.name == name {
                held = found.len;
            } else {
                self.remove(&found.path);
            }
        }
        if wanted.from > held {
            return Err(NotTaken::Beyond(held));
        }
        self.make_room(&self.busy(), &turn.owner, Some(wanted.total), wanted.room);
        let path = self.0.dir.join(&name);
        if held >= wanted.total {
            self.part_from_body(&path, wanted.from)?;
        }
        let mut seen = Seen::default();
        let file = NewFile::resume(&path, wanted.from, &mut |bytes| seen.update(bytes)).map_err(io::Error::from)?;
        let writer = BodyWriter::resumed(file, &self.0.bodies, id, seen);
        Ok(Taken { writer, turn })
    }

    /// Removes what nobody has gone on with for [`AGE`]; returns how many files.
    pub fn expire(&self, now: Timestamp) -> usize {
        let old = |found: &Found| {
            let changed = Timestamp::try_from(found.changed).unwrap_or(Timestamp::MAX);
            now.duration_since(changed) >= AGE
        };
        self.remove_idle(old)
    }

    /// Removes everything that is not being written, if that frees so many bytes: they are wanted for whole bodies. What is whole
    /// and a second name of a stored body frees nothing.
    pub fn give_way(&self, wanted: u64) {
        let (busy, all) = (self.busy().clone(), self.of(""));
        let frees = |found: &Found| found.alone || !found.is_whole();
        let is_idle = |found: &&Found| frees(found) && !busy.iter().any(|prefix| found.name.starts_with(prefix));
        let idle = all.iter().filter(is_idle);
        if idle.map(|found| found.len).fold(0, u64::saturating_add) >= wanted {
            self.remove_idle(|_| true);
        }
    }

    fn remove_idle(&self, which: impl Fn(&Found) -> bool) -> usize {
        let busy = self.busy();
        let idle = |found: &Found| !busy.iter().any(|prefix| found.name.starts_with(prefix));
        let gone = self.of("").into_iter().filter(|found| idle(found) && which(found));
        gone.map(|found| self.remove(&found.path)).count()
    }

    /// Older files of the owner that nobody is writing give way to later ones, and to one that will be so `long`; those
    /// that are whole before those that are not.
    fn make_room(&self, busy: &HashSet<String>, owner: &str, long: Option<u64>, room: u64) {
        let mut idle = self.of(owner);
        idle.retain(|found| !busy.iter().any(|prefix| found.name.starts_with(prefix)));
        idle.sort_by_key(|found| (found.is_whole(), std::cmp::Reverse(found.changed)));
        let (mut count, mut bytes) = (usize::from(long.is_some()), long.unwrap_or(0));
        for found in idle {
            count = count.saturating_add(1);
            bytes = bytes.saturating_add(found.len);
            if count > MOST || bytes > room {
                self.remove(&found.path);
            }
        }
    }

    /// Puts a copy in the place of a complete file, whose bytes are a body's.
    fn part_from_body(&self, path: &Path, from: u64) -> io::Result<()> {
        let mut copy = NewFile::create_in(&self.0.dir)?;
        io::copy(&mut File::open(path)?.take(from), &mut copy)?;
        copy.flush()?;
        Ok(copy.replace(path)?)
    }

    /// The files whose names begin so. A folder that cannot be read offers nothing.
    fn of(&self, prefix: &str) -> Vec<Found> {
        let entries = fs::read_dir(&self.0.dir).into_iter().flatten().flatten();
        let found = entries.filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let metadata = entry.metadata().ok().filter(|_| name.starts_with(prefix))?;
            let changed = metadata.modified().ok()?;
            let (len, alone) = (metadata.len(), durable::has_one_name(&metadata));
            Some(Found { path: entry.path(), name, len, changed, alone })
        });
        found.collect()
    }

    fn remove(&self, path: &Path) {
        if let Err(error) = durable::remove_unsynced(path) {
            tracing::warn!(path = %path.display(), %error, "a part of a body could not be removed");
        }
    }

    fn busy(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Enough of a digest to tell what peers name.
fn short_digest(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.first_chunk::<16>().map(|enough| HEXLOWER.encode(enough)).unwrap_or_default()
}

#[cfg(test)]
#[path = "partial_tests.rs"]
mod tests;
