//! Segments as files, written over room that was made ahead.
//!
//! After bytes at the end of a file a sync makes the filesystem write its own journal too, for the new length; after
//! bytes written over others it writes those alone, in about half the time. So a segment has room behind its last group,
//! made together with the group that did not fit any more: bytes with which no frame begins. Not zeros, which some
//! storage does not keep, and which a filesystem shows where it lost bytes. A long group gets no room behind it: the next
//! such group would need as much again, all of it written twice. Room is given back when the segment is left or opened
//! again. A filesystem that writes nothing in place (btrfs) gets none.
//!
//! What a power cut leaves of a group is then any of its blocks, not its first ones; [`frame`](super::frame) says how
//! the reader tells.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;

use super::segment_path;
use super::writer::{JournalFile, SegmentFiles};
use crate::ground::{durable, fault};

/// What room consists of: four of them are a length that no frame has.
pub(in crate::store) const ROOM: u8 = 0xee;
/// Room is made by as many bytes as the segment has, within these bounds.
const LEAST_ROOM: u64 = 64 * 1024;
const MOST_ROOM: u64 = 1024 * 1024;
/// Room is written in pieces that are made once.
static ROOM_PIECE: [u8; 64 * 1024] = [ROOM; 64 * 1024];
/// Behind a group of this many bytes no room is made: it would cost more than it spares the next such group. The group
/// after it gets the least.
const LONG_GROUP: u64 = 256 * 1024;

/// Segments in a directory.
#[derive(Debug)]
pub(in crate::store) struct DiskSegments {
    /// The journal's directory.
    pub(in crate::store) dir: PathBuf,
}

impl SegmentFiles for DiskSegments {
    fn create(&mut self, number: u64, header: &[u8]) -> io::Result<Box<dyn JournalFile>> {
        durable::write_new(&segment_path(&self.dir, number), header)?;
        // The segment exists now: whatever fails from here on is not a lack of room.
        self.resume(number, u64::try_from(header.len()).unwrap_or(u64::MAX)).map_err(io::Error::other)
    }

    fn rewrite(&mut self, number: u64, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).open(segment_path(&self.dir, number))?;
        file.seek(SeekFrom::Start(offset))?;
        let written = fault::write(&"journal-rewrite", &mut file, bytes)?;
        file.write_all(bytes.get(written..).unwrap_or_default())?;
        fault::at(&"journal-resync", || file.sync_all())
    }

    fn resume(&mut self, number: u64, len: u64) -> io::Result<Box<dyn JournalFile>> {
        let file = OpenOptions::new().read(true).write(true).open(segment_path(&self.dir, number))?;
        // Also where the file ends there already: its last block may hold bytes of a group that was never acknowledged, which
        // would come to light when the file becomes longer.
        file.set_len(len)?;
        // What was cut off must not come back in a power cut, behind or among the groups that follow.
        fault::at(&"journal-resume", || file.sync_all())?;
        durable::fsync_dir(&self.dir)?;
        let makes_room = durable::writes_in_place(&file)?;
        Ok(Box::new(DiskSegment::at_end(file, len, makes_room)?))
    }
}

/// A segment open for appending.
#[derive(Debug)]
pub(in crate::store) struct DiskSegment {
    file: File,
    /// Behind the last byte appended.
    end: u64,
    /// Behind the room.
    room: u64,
    /// The last group that did not fit was a long one.
    long: bool,
    makes_room: bool,
}

impl DiskSegment {
    /// A file of `end` bytes.
    pub(in crate::store) fn at_end(mut file: File, end: u64, makes_room: bool) -> io::Result<DiskSegment> {
        file.seek(SeekFrom::Start(end))?;
        Ok(DiskSegment { file, end, room: end, long: false, makes_room })
    }

    /// Makes room behind a group of `group` bytes, where there is room for it.
    fn make_room(&mut self, group: u64) -> io::Result<()> {
        self.room = self.end;
        let after_long = std::mem::replace(&mut self.long, group >= LONG_GROUP);
        if !self.makes_room || self.long {
            return Ok(());
        }
        let more = if after_long { LEAST_ROOM } else { self.end.clamp(LEAST_ROOM, MOST_ROOM) };
        match self.fill(more) {
            Ok(()) => self.room = self.end.saturating_add(more),
            Err(error) if durable::is_full(&error) => self.file.set_len(self.end)?,
            Err(error) => return Err(error),
        }
        self.file.seek(SeekFrom::Start(self.end)).map(drop)
    }

    fn fill(&mut self, bytes: u64) -> io::Result<()> {
        let mut left = bytes;
        while left > 0 {
            let piece = usize::try_from(left).map_or(ROOM_PIECE.len(), |left| left.min(ROOM_PIECE.len()));
            let room = ROOM_PIECE.get(..piece).unwrap_or_default();
            let written = fault::write(&"journal-room", &mut self.file, room)?;
            self.file.write_all(room.get(written..).unwrap_or_default())?;
            left = left.saturating_sub(u64::try_from(room.len()).unwrap_or(left));
        }
        Ok(())
    }
}

impl JournalFile for DiskSegment {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = fault::write(&"journal-append", &mut self.file, bytes)?;
        self.file.write_all(bytes.get(written..).unwrap_or_default())?;
        let group = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.end = self.end.saturating_add(group);
        if self.end > self.room { self.make_room(group) } else { Ok(()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        fault::at(&"journal-sync", || self.file.sync_data())
    }

    fn cut(&mut self, len: u64) -> io::Result<()> {
        fault::at(&"journal-cut", || self.file.set_len(len))?;
        (self.end, self.room) = (len, len);
        self.file.seek(SeekFrom::Start(len))?;
        self.file.sync_all()
    }

    fn close(&mut self) -> io::Result<()> {
        if self.room > self.end { self.cut(self.end) } else { Ok(()) }
    }
}
