//! Appends groups of frames to the journal: everything of a group in one write, then one `fdatasync`.
//!
//! A write that finds no room is taken back: the segment is cut to its last acknowledged byte, durably, and the chain
//! continues from there, so that nothing of the refused group can come to light at a restart. Where a write may be
//! refused (ext4, xfs, btrfs without thin layers) it is refused at the write, before the sync.

use std::io;
use std::time::Duration;

use tokio::time::Instant;

use super::frame::{self, Chain, FORMAT, SEGMENT_HEADER, Salt, SegmentHeader};
use crate::ground::{durable, random};
use crate::store::index::{Applied, Location};
use crate::store::record::Body;

/// A segment open for appending. Tests put one that fails in its place.
pub(in crate::store) trait JournalFile: Send {
    /// Writes all bytes at the end.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Returns when everything appended survives a power cut.
    fn sync(&mut self) -> io::Result<()>;
    /// Takes back what lies beyond `len`, durably; the next append follows there.
    fn cut(&mut self, len: u64) -> io::Result<()>;
    /// The file ends behind what was appended last, durably: another segment is about to follow, or the journal is closed.
    fn close(&mut self) -> io::Result<()>;
}

/// Where segments come from.
pub(in crate::store) trait SegmentFiles: Send {
    /// A new segment with this header, durable, name included.
    fn create(&mut self, number: u64, header: &[u8]) -> io::Result<Box<dyn JournalFile>>;
    /// Writes bytes that were read at `offset` of an existing segment there once more. They are durable when this returns,
    /// even if a sync of them failed before, and with them all that was ever written to the segment and not lost by then.
    fn rewrite(&mut self, number: u64, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// An existing segment, cut to `len` bytes if it is longer, durably.
    fn resume(&mut self, number: u64, len: u64) -> io::Result<Box<dyn JournalFile>>;
}

/// Where the journal ends: what a [`Writer`] needs to go on.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Tail {
    /// The last segment, none in a new journal.
    pub(in crate::store) segment: Option<TailSegment>,
    /// The chain after the last frame.
    pub(in crate::store) chain: Chain,
}

/// The segment that is appended to.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct TailSegment {
    pub(in crate::store) number: u64,
    pub(in crate::store) format: u32,
    pub(in crate::store) salt: Salt,
    /// Bytes that hold.
    pub(in crate::store) len: u64,
}

/// The journal's only writer.
pub(in crate::store) struct Writer {
    files: Box<dyn SegmentFiles>,
    file: Box<dyn JournalFile>,
    segment: TailSegment,
    chain: Chain,
    /// The chain after the last frame that is durable.
    durable: Chain,
    segment_bytes: u64,
    group: Vec<u8>,
    last_sync: Duration,
}

/// Why a group is not in the journal.
#[derive(Debug)]
pub(in crate::store) enum Unwritten {
    /// There was no room for it. The journal ends where it ended before.
    NoSpace(io::Error),
    /// Where the journal ends is unknown: the writer must not be used again.
    Unknown(io::Error),
}

impl Writer {
    /// Goes on where the journal ends; begins it when it is new. A segment of an older format is left as it is.
    pub(in crate::store) fn open(
        mut files: Box<dyn SegmentFiles>,
        tail: Tail,
        segment_bytes: u64,
    ) -> io::Result<Writer> {
        let (file, segment) = match tail.segment {
            Some(segment) if segment.format == FORMAT => (files.resume(segment.number, segment.len)?, segment),
            Some(older) => {
                drop(files.resume(older.number, older.len)?);
                begin(files.as_mut(), older.number.saturating_add(1), tail.chain)?
            }
            None => begin(files.as_mut(), 1, tail.chain)?,
        };
        Ok(Writer {
            files,
            file,
            segment,
            chain: tail.chain,
            durable: tail.chain,
            segment_bytes,
            group: Vec::new(),
            last_sync: Duration::ZERO,
        })
    }

    /// Leaves the journal as it is, without room.
    pub(in crate::store) fn close(mut self) -> io::Result<()> {
        self.file.close()
    }

    /// Adds a body to the group; returns where its bytes will be.
    pub(in crate::store) fn add_body(&mut self, body: &Body, bytes: &[u8]) -> Location {
        frame::encode_body(&mut self.group, &self.segment.salt, &mut self.chain, self.durable.next, body, bytes);
        let end = self.segment.len.saturating_add(length(&self.group));
        Location::Journal { segment: self.segment.number, offset: end.saturating_sub(length(bytes)), len: body.len }
    }

    /// Adds the facts of a transaction to the group; returns their sequence.
    pub(in crate::store) fn add_facts(&mut self, facts: &[u8]) -> u64 {
        frame::encode_facts(&mut self.group, &self.segment.salt, &mut self.chain, self.durable.next, facts)
    }

    /// The last frame added.
    pub(in crate::store) fn last(&self) -> Applied {
        Applied { sequence: self.chain.last(), hash: self.chain.previous }
    }

    /// Bytes waiting for [`commit_group`](Writer::commit_group).
    pub(in crate::store) fn group_len(&self) -> usize {
        self.group.len()
    }

    /// How long the last sync of a group took.
    pub(in crate::store) fn last_sync(&self) -> Duration {
        self.last_sync
    }

    /// Writes the group and syncs.
    pub(in crate::store) fn commit_group(&mut self) -> Result<(), Unwritten> {
        if self.group.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.file.append(&self.group) {
            return Err(self.take_back(error));
        }
        let begun = Instant::now();
        self.file.sync().map_err(Unwritten::Unknown)?;
        self.last_sync = begun.elapsed();
        self.durable = self.chain;
        self.segment.len = self.segment.len.saturating_add(length(&self.group));
        self.group.clear();
        self.group.shrink_to(GROUP_KEPT);
        if self.segment.len >= self.segment_bytes { self.rotate() } else { Ok(()) }
    }

    /// After an append that failed: as if the group had never been.
    fn take_back(&mut self, error: io::Error) -> Unwritten {
        if !durable::is_full(&error) {
            return Unwritten::Unknown(error);
        }
        self.chain = self.durable;
        self.group.clear();
        match self.file.cut(self.segment.len) {
            Ok(()) => Unwritten::NoSpace(error),
            Err(uncut) => Unwritten::Unknown(uncut),
        }
    }

    /// Goes on in a new segment. Without room for one the old one grows, and the next group tries again.
    fn rotate(&mut self) -> Result<(), Unwritten> {
        self.file.close().map_err(Unwritten::Unknown)?;
        let next = self.segment.number.saturating_add(1);
        match begin(self.files.as_mut(), next, self.chain) {
            Ok((file, segment)) => (self.file, self.segment) = (file, segment),
            Err(error) if durable::is_full(&error) && !durable::is_failed_sync(&error) => {
                tracing::warn!(%error, segment = next, "no room for a new journal segment; the last one grows");
            }
            Err(error) => return Err(Unwritten::Unknown(error)),
        }
        Ok(())
    }
}

/// Bytes of buffer kept between groups.
const GROUP_KEPT: usize = 4 * 1024 * 1024;

fn begin(files: &mut dyn SegmentFiles, number: u64, chain: Chain) -> io::Result<(Box<dyn JournalFile>, TailSegment)> {
    let mut salt = Salt::default();
    random::fill(&mut salt);
    let header = SegmentHeader { format: FORMAT, salt, number, chain }.encode();
    debug_assert_eq!(header.len(), SEGMENT_HEADER);
    let file = files.create(number, &header)?;
    Ok((file, TailSegment { number, format: FORMAT, salt, len: length(&header) }))
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
