//! Space comes back: snapshots, bodies that move on, segments that go. Nothing is rewritten in place.
//!
//! A segment may go when the older of two snapshots is beyond it and no body is left in it. Where few are left, they
//! are appended anew at the journal's end, under the same id; replaying lets the later place win.
//!
//! | power fails after | on disk | restart does | test |
//! |---|---|---|---|
//! | a snapshot was published, before its frame | a file nobody vouches for | removes it | `a_snapshot_without_its_frame_is_not_used` |
//! | some bodies were appended anew | two places | the later one holds | `every_step_of_a_compaction_may_be_the_last` |
//! | the frame that retires segments | frame, all files | removes the files | the same |
//! | some of their files went | frame, some files | removes the rest | the same |

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::sync::PoisonError;

use sha2::{Digest, Sha256};

use super::db::DbError;
use super::error::{CommitError, StoreError};
use super::index::Location;
use super::journal::frame::{BODY_HEAD, Chain, SegmentHeader};
use super::journal::reader;
use super::journal::retired::{self, Link, Run, is_retired};
use super::journal::segment_path;
use super::record::Body;
use super::transaction::{Moved, Transaction};
use super::{Store, recovery, snapshot};
use crate::ground::durable;
use crate::ground::id::Id;

/// Housekeeping could not be done; messages are not affected unless the store was poisoned.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// A file could not be read or written, or does not hold.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The journal did not take a fact.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The gateway is stopping.
    #[error("stopped")]
    Stopped,
}

impl KeepError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            KeepError::Store(error) => error.code(),
            KeepError::Commit(error) => error.code(),
            KeepError::Stopped => "stopped",
        }
    }

    /// There is no room for a fact, or a file.
    pub(super) fn is_disk_full(&self) -> bool {
        match self {
            KeepError::Commit(error) => *error == CommitError::NoSpace,
            KeepError::Store(error) => error.is_disk_full(),
            KeepError::Stopped => false,
        }
    }
}

/// Whether to stop early; asked often.
pub(super) type Stop<'a> = &'a dyn Fn() -> bool;

/// What a compaction gave back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Bodies appended anew.
    pub moved: u64,
    /// Segments removed.
    pub segments: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A segment is emptied when less than this share of it is bodies that are still kept.
const WORTH_EMPTYING: u64 = 50;
/// Bytes of bodies that move in one transaction.
const MOVED_TOGETHER: u64 = 4 * 1024 * 1024;
/// Room that snapshots and moved bodies leave: the journal and the index go on beside them, and an index that finds none has
/// failed. Where there is less than twice that, half of it, but for [`LEAST_LEFT`].
const LEFT_FREE: u64 = 64 * 1024 * 1024;
/// What gives room back must find some.
const LEAST_LEFT: u64 = 16 * 1024 * 1024;

impl Store {
    /// Writes a snapshot and has the journal vouch for it (blocking I/O; messages flow meanwhile). Returns the frame it
    /// begins with, none when nothing has happened since the last one.
    ///
    /// # Errors
    /// The file cannot be written, the journal does not take the frame, or `stop` said so.
    pub fn take_snapshot(&self, stop: &dyn Fn() -> bool) -> Result<Option<u64>, KeepError> {
        let _alone = self.0.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        let journal = &self.0.layout.journal;
        let applied = self.0.index.applied().sequence;
        let marks = self.marks()?;
        // The last frame may be the one that vouches for the last snapshot.
        if marks.snapshots.last().is_some_and(|last| applied <= last.upto.saturating_add(1)) {
            return Ok(None);
        }
        let left = self.left();
        self.require_room(0, left)?;
        let short = Cell::new(false);
        let halt = || {
            short.set(self.require_room(0, left).is_err());
            short.get() || stop()
        };
        let written = snapshot::write(&self.0.index, journal, &halt);
        if short.get() {
            return Err(CommitError::NoSpace.into());
        }
        let link = written.map_err(|source| self.unless_stopped(self.judge_sync(source)))?;
        proceed(stop)?;
        let from = link.from;
        if let Err(error) = self.say(Link::Snapshot(link)) {
            if matches!(error, CommitError::NoSpace) {
                // The journal does not vouch for it, and its room is wanted.
                durable::remove_unsynced(&snapshot::path(journal, from)).map_err(|source| self.unreadable(source))?;
            }
            return Err(error.into());
        }
        snapshot::remove_others(journal, &self.marks()?).map_err(|source| self.unreadable(source))?;
        Ok(Some(from))
    }

    /// Bytes of the journal behind the latest snapshot, about, and bytes of that snapshot.
    pub(super) fn growth(&self) -> Result<(u64, u64), KeepError> {
        let last = self.marks()?.snapshots.last().map_or(0, |last| last.from);
        let headers = reader::headers(&self.0.layout.journal)?;
        let behind = headers.iter().filter(|(header, _)| header.chain.next > last);
        let grown = behind.map(|(_, len)| *len).fold(0, u64::saturating_add);
        let path = snapshot::path(&self.0.layout.journal, last);
        Ok((grown, std::fs::metadata(path).map_or(0, |metadata| metadata.len())))
    }

    /// Empties segments of which little is kept, and removes those of which nothing is (blocking I/O; messages flow
    /// meanwhile).
    ///
    /// # Errors
    /// A body that must move is damaged: it keeps its segment. There is no room to append bodies anew: they stay where they are.
    /// The other segments are seen to all the same. A file cannot be read, the journal does not take a frame, or `stop` said so.
    pub fn compact(&self, stop: &dyn Fn() -> bool) -> Result<Compacted, KeepError> {
        let _alone = self.0.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        let mut done = Compacted::default();
        let covered = self.covered()?;
        if covered.is_empty() {
            return Ok(done);
        }
        let live = self.live_bytes()?;
        let kept = |segment: &Covered| live.get(&segment.header.number).copied().unwrap_or(0);
        let emptied: Vec<u64> = covered
            .iter()
            .filter(|segment| {
                let live = kept(segment);
                live > 0 && live.saturating_mul(100) < segment.len.saturating_mul(WORTH_EMPTYING)
            })
            .map(|segment| segment.header.number)
            .collect();
        let mut failed = None;
        if !emptied.is_empty() {
            match self.empty(&emptied, stop, &mut failed) {
                Ok(moved) => done.moved = moved,
                // Segments that nothing is kept in any more are what makes room.
                Err(full) if full.is_disk_full() => {
                    failed.get_or_insert(full);
                }
                Err(error) => return Err(error),
            }
        }
        self.retire(&covered, stop, &mut done)?;
        failed.map_or(Ok(done), Err)
    }

    /// Segments that the older of two snapshots covers wholly, in order.
    fn covered(&self) -> Result<Vec<Covered>, KeepError> {
        let marks = self.marks()?;
        let Some(covering) = marks.covering() else { return Ok(Vec::new()) };
        let headers = reader::headers(&self.0.layout.journal)?;
        // What follows a segment begins with the chain behind it, whether it is still there or not.
        let following = headers.iter().map(|(next, _)| (next.number, next.chain));
        let chains: BTreeMap<u64, Chain> =
            following.chain(marks.retired.iter().map(|run| (run.first, run.from))).collect();
        let segments = headers.iter().filter_map(|(header, len)| {
            let to = *chains.get(&header.number.checked_add(1)?)?;
            Some(Covered { header: *header, len: *len, to })
        });
        // The frame that the snapshot begins with stays readable: it proves that the two belong together.
        let covered = segments.filter(|segment| segment.to.last() < covering.from);
        Ok(covered.filter(|segment| !is_retired(&marks.retired, segment.header.number)).collect())
    }

    /// Bytes of kept bodies in each segment.
    fn live_bytes(&self) -> Result<BTreeMap<u64, u64>, KeepError> {
        let mut live: BTreeMap<u64, u64> = BTreeMap::new();
        for body in self.0.index.bodies() {
            let (_, location) = body.map_err(|error| self.index_error(&error))?;
            if let Location::Journal { segment, len, .. } = location {
                // A body without bytes keeps its segment too.
                let bytes = live.entry(segment).or_default();
                *bytes = bytes.saturating_add(len.max(1));
            }
        }
        Ok(live)
    }

    /// Appends what is kept in these segments anew, but for `damaged` bodies.
    fn empty(&self, segments: &[u64], stop: Stop<'_>, damaged: &mut Option<KeepError>) -> Result<u64, KeepError> {
        let left = self.left();
        let (mut moved, mut pending, mut bytes) = (0u64, Vec::new(), 0u64);
        for body in self.0.index.bodies() {
            let (id, location) = body.map_err(|error| self.index_error(&error))?;
            let Location::Journal { segment, offset, len } = location else { continue };
            if !segments.contains(&segment) {
                continue;
            }
            match self.read_frame(id, segment, offset, len) {
                Ok(body) => pending.push(body),
                Err(KeepError::Store(error)) if error.is_damage() => {
                    damaged.get_or_insert(error.into());
                    continue;
                }
                Err(error) => return Err(error),
            }
            bytes = bytes.saturating_add(len);
            if bytes >= MOVED_TOGETHER {
                moved = moved.saturating_add(self.append_anew(std::mem::take(&mut pending), left)?);
                bytes = 0;
                proceed(stop)?;
            }
        }
        moved = moved.saturating_add(self.append_anew(pending, left)?);
        proceed(stop)?;
        Ok(moved)
    }

    fn append_anew(&self, moved: Vec<Moved>, left: u64) -> Result<u64, KeepError> {
        let count = u64::try_from(moved.len()).unwrap_or(u64::MAX);
        if count > 0 {
            self.require_room(moved.iter().map(|one| one.body.len).fold(0, u64::saturating_add), left)?;
            let mut transaction = Transaction::new(self.0.config.clock.now());
            transaction.moved = moved;
            self.commit_blocking(transaction)?;
        }
        Ok(count)
    }

    /// There are so many bytes, and what is left free.
    fn require_room(&self, bytes: u64, left: u64) -> Result<(), CommitError> {
        let free = durable::free_space(&self.0.layout.journal).unwrap_or(u64::MAX);
        if free >= bytes.saturating_add(left) { Ok(()) } else { Err(CommitError::NoSpace) }
    }

    /// What is left free by what begins now.
    fn left(&self) -> u64 {
        let free = durable::free_space(&self.0.layout.journal).unwrap_or(u64::MAX);
        (free / 2).clamp(LEAST_LEFT, LEFT_FREE)
    }

    /// Reads a body's frame: its bytes, checked against the digest in front of them.
    fn read_frame(&self, id: Id, segment: u64, offset: u64, len: u64) -> Result<Moved, KeepError> {
        let path = segment_path(&self.0.layout.journal, segment);
        let front = u64::try_from(BODY_HEAD).unwrap_or(u64::MAX);
        let read = || -> io::Result<Vec<u8>> {
            let mut file = File::open(&path)?;
            file.seek(SeekFrom::Start(offset.saturating_sub(front)))?;
            let mut bytes = Vec::new();
            file.take(front.saturating_add(len)).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let mut payload = read().map_err(|source| StoreError::Unreadable { path: path.clone(), source })?;
        let holds = super::journal::frame::split_body(&payload).and_then(|(found, sha256, bytes)| {
            let whole = found == id && <[u8; 32]>::from(Sha256::digest(bytes)) == *sha256;
            let long = u64::try_from(bytes.len()) == Ok(len);
            (whole && long).then_some(Body { id, len, sha256: Some(*sha256), crc32c: None })
        });
        let body = holds.ok_or_else(|| StoreError::Damaged {
            path,
            offset,
            what: "the bytes of a body do not have their digest".to_owned(),
        })?;
        payload.drain(..BODY_HEAD);
        Ok(Moved { body, bytes: payload, from: Location::Journal { segment, offset, len } })
    }

    /// Removes covered segments in which nothing is kept, once both snapshots were read and found whole.
    fn retire(&self, covered: &[Covered], stop: Stop<'_>, done: &mut Compacted) -> Result<(), KeepError> {
        let live = self.live_bytes()?;
        let dead = || covered.iter().filter(|segment| !live.contains_key(&segment.header.number));
        if dead().next().is_none() {
            return Ok(());
        }
        let journal = &self.0.layout.journal;
        let marks = self.marks()?;
        for link in &marks.snapshots {
            let path = snapshot::path(journal, link.from);
            let whole = snapshot::check(&path).and_then(|found| {
                if found.link == *link { Ok(()) } else { Err("the journal names another one in its place".to_owned()) }
            });
            whole.map_err(|what| StoreError::Damaged { path, offset: 0, what })?;
        }
        let mut runs = marks.retired;
        let mut numbers = Vec::new();
        for Covered { header, len, to } in dead() {
            let (number, from, to) = (header.number, header.chain, *to);
            retired::add(&mut runs, Run { first: number, last: number, from, to });
            numbers.push(number);
            done.bytes = done.bytes.saturating_add(*len);
        }
        self.say(Link::Retired(runs.clone()))?;
        // Files that stay are removed at the next start.
        proceed(stop)?;
        done.segments = retired::remove_files(journal, &runs, &numbers).map_err(|source| self.unreadable(source))?;
        Ok(())
    }

    /// Has the journal say something of itself.
    fn say(&self, link: Link) -> Result<(), CommitError> {
        let mut transaction = Transaction::new(self.0.config.clock.now());
        transaction.link = Some(link);
        self.commit_blocking(transaction).map(drop)
    }

    pub(super) fn marks(&self) -> Result<retired::Marks, StoreError> {
        self.0.index.marks().map_err(|error| self.index_error(&error))
    }

    pub(super) fn index_error(&self, error: &DbError) -> StoreError {
        recovery::index_error(&self.0.layout, error)
    }

    fn unreadable(&self, source: io::Error) -> StoreError {
        StoreError::Unreadable { path: self.0.layout.journal.clone(), source }
    }

    fn unless_stopped(&self, source: io::Error) -> KeepError {
        if source.kind() == io::ErrorKind::Interrupted {
            return KeepError::Stopped;
        }
        self.unreadable(source).into()
    }
}

/// Goes on unless told to stop.
pub(super) fn proceed(stop: Stop<'_>) -> Result<(), KeepError> {
    if stop() { Err(KeepError::Stopped) } else { Ok(()) }
}

/// A segment that may go when nothing is kept in it.
struct Covered {
    header: SegmentHeader,
    len: u64,
    /// The chain behind its last frame.
    to: Chain,
}

#[cfg(test)]
#[path = "compaction_tests.rs"]
mod tests;
