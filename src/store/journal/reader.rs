//! Reads the journal from a given sequence to its end, checks every frame, and finds where to go on. A writer may be at
//! work: what is read then ends with a frame that was the last one for a moment.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use super::frame::{self, BadHeader, Chain, FORMAT, FRAME_HEAD, FrameHead, Kind, SEGMENT_HEADER, Salt, SegmentHeader};
use super::retired::{Run, is_retired};
use super::segment::ROOM;
use super::writer::{Tail, TailSegment};
use super::{segment_number, segment_path};
use crate::store::error::StoreError;

/// A frame that holds.
#[derive(Debug)]
pub(in crate::store) struct Frame<'a> {
    /// Its segment.
    pub(in crate::store) segment: u64,
    /// Offset of the frame in its segment.
    pub(in crate::store) offset: u64,
    pub(in crate::store) sequence: u64,
    pub(in crate::store) kind: Kind,
    pub(in crate::store) payload: &'a [u8],
    /// Hash of this frame.
    pub(in crate::store) hash: frame::Hash,
}

/// What a reading found.
#[derive(Debug)]
pub(in crate::store) struct Reading {
    /// Where to go on.
    pub(in crate::store) tail: Tail,
    /// Segments of the journal.
    pub(in crate::store) segments: u64,
    /// Bytes cut off the last segment, and where: an append that was never acknowledged.
    pub(in crate::store) torn: Option<TornTail>,
}

/// An append that a crash cut off; nobody was told that it was durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornTail {
    /// The last segment.
    pub segment: PathBuf,
    /// Where the journal ends now.
    pub offset: u64,
    /// Bytes dropped behind that.
    pub bytes: u64,
}

/// Which part of a journal is read.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Range {
    /// Reading begins in the segment that holds this sequence, or in the last one if that is earlier.
    pub(in crate::store) from: u64,
    /// Known to have been acknowledged: a frame up to this one that does not hold, or in whose place there is room, is
    /// damage, wherever it is.
    pub(in crate::store) acknowledged: u64,
}

/// Reads frames in order and hands each to `visit`. Segments of `retired` are passed over, whether they are still there
/// or not; any other gap behind the beginning of `range` is damage.
///
/// # Errors
/// Damage before the end, an unreadable file, or whatever `visit` says.
pub(in crate::store) fn read(
    dir: &Path,
    range: Range,
    retired: &[Run],
    visit: &mut dyn FnMut(&Frame<'_>) -> Result<(), StoreError>,
) -> Result<Reading, StoreError> {
    let segments = open_segments(dir, retired)?;
    let count = u64::try_from(segments.len()).unwrap_or(u64::MAX);
    let reaches = |segment: &&Segment| segment.header.chain.next <= range.from.max(1);
    let skipped = segments.iter().take_while(reaches).count().saturating_sub(1);
    let mut tail = Tail { segment: None, chain: Chain::START };
    let mut torn = None;
    let mut segments = segments.into_iter().skip(skipped).peekable();
    // The path of the segment before, how long it is, and the number that comes next.
    let mut before: Option<(PathBuf, u64, u64)> = None;
    if range.from <= 1 {
        before = Some((dir.to_path_buf(), 0, 1));
    } else if let Some(first) = segments.peek().filter(|first| first.header.chain.next > range.from) {
        return Err(damaged(&segment_path(dir, first.header.number.saturating_sub(1)), 0, MISSING));
    }
    while let Some(segment) = segments.next() {
        if let Some((path, len, number)) = before.take() {
            if segment.header.number == number {
                follows(&segment.header, &tail.chain, &path, len)?;
            } else if !bridged(retired, number, &tail.chain, &segment.header) {
                return Err(damaged(&segment_path(dir, number), 0, MISSING));
            }
        }
        tail.chain = segment.header.chain;
        let is_last = segments.peek().is_none();
        let path = segment.path.clone();
        let (len, cut) = read_segment(&segment, is_last, range.acknowledged, &mut tail.chain, visit)?;
        let SegmentHeader { format, salt, number, .. } = segment.header;
        tail.segment = Some(TailSegment { number, format, salt, len });
        torn = cut;
        before = Some((path, len, segment.header.number.saturating_add(1)));
    }
    Ok(Reading { tail, segments: count, torn })
}

struct Segment {
    path: PathBuf,
    header: SegmentHeader,
    len: u64,
}

const MISSING: &str = "this segment is missing";

/// Whether the removed segments from `number` on lead from `chain` to the segment with this header.
fn bridged(retired: &[Run], number: u64, chain: &Chain, header: &SegmentHeader) -> bool {
    retired.iter().any(|run| {
        let ends = (run.first, run.last.checked_add(1)) == (number, Some(header.number));
        ends && (run.from, run.to) == (*chain, header.chain)
    })
}

/// Checks the gaps between all segments by their numbers, which is what can be told without reading them.
///
/// # Errors
/// A segment is missing that was not retired.
pub(in crate::store) fn check_gaps(dir: &Path, retired: &[Run]) -> Result<(), StoreError> {
    let mut expected = 1u64;
    for number in segment_numbers(dir)? {
        let missing = (expected..number).find(|missing| !is_retired(retired, *missing));
        if let Some(missing) = missing {
            return Err(damaged(&segment_path(dir, missing), 0, MISSING));
        }
        expected = number.saturating_add(1);
    }
    Ok(())
}

/// Whether the journal can be read from the frame behind `sequence` to its end.
///
/// # Errors
/// A header cannot be read.
pub(in crate::store) fn reaches(dir: &Path, sequence: u64) -> Result<bool, StoreError> {
    let segments = open_segments(dir, &[])?;
    let holds = segments.iter().rposition(|segment| segment.header.chain.next <= sequence.max(1));
    let Some(rest) = holds.and_then(|holds| segments.get(holds..)) else { return Ok(segments.is_empty()) };
    let numbers: Vec<u64> = rest.iter().map(|segment| segment.header.number).collect();
    Ok(numbers.windows(2).all(|pair| matches!(pair, [before, after] if before.checked_add(1) == Some(*after))))
}

/// The headers of all segments in the folder, by number.
///
/// # Errors
/// A header cannot be read or does not hold.
pub(in crate::store) fn headers(dir: &Path) -> Result<Vec<(SegmentHeader, u64)>, StoreError> {
    Ok(open_segments(dir, &[])?.into_iter().map(|segment| (segment.header, segment.len)).collect())
}

/// Numbers of the segments in the folder, in order.
pub(in crate::store) fn segment_numbers(dir: &Path) -> Result<Vec<u64>, StoreError> {
    let unreadable = |source| StoreError::Unreadable { path: dir.to_path_buf(), source };
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        numbers.extend(entry.file_name().to_str().and_then(segment_number));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Headers of all segments that were not retired, in order.
fn open_segments(dir: &Path, retired: &[Run]) -> Result<Vec<Segment>, StoreError> {
    let numbers = segment_numbers(dir)?.into_iter().filter(|number| !is_retired(retired, *number));
    numbers.map(|number| open_segment(dir, number)).collect()
}

fn open_segment(dir: &Path, number: u64) -> Result<Segment, StoreError> {
    let path = segment_path(dir, number);
    let unreadable = |source| StoreError::Unreadable { path: path.clone(), source };
    let mut file = File::open(&path).map_err(unreadable)?;
    let len = file.metadata().map_err(unreadable)?.len();
    let mut bytes = [0u8; SEGMENT_HEADER];
    match file.read_exact(&mut bytes) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(damaged(&path, 0, "it is shorter than its header"));
        }
        Err(error) => return Err(unreadable(error)),
    }
    let header = SegmentHeader::decode(&bytes).map_err(|bad| match bad {
        BadHeader::Broken(what) => damaged(&path, 0, what),
        BadHeader::TooNew(found) => StoreError::TooNew { path: path.clone(), found, known: FORMAT },
    })?;
    if header.number != number {
        return Err(damaged(&path, 0, "its header names another segment"));
    }
    Ok(Segment { path, header, len })
}

/// What was written to the journal last.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::store) struct LastGroup {
    pub(in crate::store) segment: u64,
    /// Offset of its first frame in the segment.
    pub(in crate::store) offset: u64,
    /// Its frames, as far as they hold.
    pub(in crate::store) bytes: Vec<u8>,
}

/// The last group of the journal: all groups before it were durable when it was written. Where the format does not tell
/// groups, all frames of the last segment. What does not hold is for [`read`] to judge. `None`: there is no segment.
///
/// # Errors
/// The last segment cannot be read, or its header does not hold.
pub(in crate::store) fn last_group(dir: &Path) -> Result<Option<LastGroup>, StoreError> {
    let Some(number) = segment_numbers(dir)?.pop() else { return Ok(None) };
    let segment = open_segment(dir, number)?;
    let unreadable = |source| StoreError::Unreadable { path: segment.path.clone(), source };
    let mut frames = Frames::open(&segment, HEADER).map_err(unreadable)?;
    let mut chain = segment.header.chain;
    let mut last = LastGroup { segment: number, offset: HEADER, bytes: Vec::new() };
    let mut group = None;
    loop {
        let offset = frames.offset;
        let Step::Frame { head, hash, .. } = frames.next().map_err(unreadable)? else { return Ok(Some(last)) };
        if !head.follows(&chain) {
            return Ok(Some(last));
        }
        chain = Chain { next: head.sequence.saturating_add(1), previous: hash };
        if segment.header.format == FORMAT && group.replace(head.group) != Some(head.group) {
            last.offset = offset;
            last.bytes.clear();
        }
        last.bytes.extend_from_slice(&frames.head);
        last.bytes.extend_from_slice(&frames.payload);
    }
}

/// Checks that a segment begins where the one before it ended.
fn follows(header: &SegmentHeader, chain: &Chain, before: &Path, len: u64) -> Result<(), StoreError> {
    if header.chain == *chain {
        return Ok(());
    }
    let (next, first) = (chain.next, header.chain.next);
    Err(damaged(before, len, &format!("it ends before frame {next}, the next segment begins with frame {first}")))
}

/// Reads one segment; returns how many of its bytes hold, and what was cut off.
fn read_segment(
    segment: &Segment,
    is_last: bool,
    acknowledged: u64,
    chain: &mut Chain,
    visit: &mut dyn FnMut(&Frame<'_>) -> Result<(), StoreError>,
) -> Result<(u64, Option<TornTail>), StoreError> {
    let unreadable = |source| StoreError::Unreadable { path: segment.path.clone(), source };
    let mut frames = Frames::open(segment, HEADER).map_err(unreadable)?;
    // Where a frame that did not hold was looked at once more.
    let mut again = None;
    loop {
        let offset = frames.offset;
        match frames.next().map_err(unreadable)? {
            Step::End => return Ok((offset, None)),
            Step::Frame { head, kind, hash } => {
                if !head.follows(chain) {
                    let what = format!("frame {} does not follow the frame before it", head.sequence);
                    return Err(damaged(&segment.path, offset, &what));
                }
                *chain = Chain { next: head.sequence.saturating_add(1), previous: hash };
                let payload = &frames.payload;
                let number = segment.header.number;
                visit(&Frame { segment: number, offset, sequence: head.sequence, kind, payload, hash })?;
            }
            Step::Foreign => return Err(damaged(&segment.path, offset, "the kind of its frame is unknown")),
            Step::Broken(what) if is_last => {
                let (rest, bytes) = rest_of(segment, offset).map_err(unreadable)?;
                let nothing_later = || bytes == 0 || !holds_later(&rest, &segment.header.salt, chain.next);
                if chain.next > acknowledged && nothing_later() {
                    let torn = (bytes > 0).then(|| TornTail { segment: segment.path.clone(), offset, bytes });
                    return Ok((offset, torn));
                }
                // A writer may be at work: what was not there yet is there now.
                if again.replace(offset) == Some(offset) {
                    return Err(damaged(&segment.path, offset, if bytes > 0 { what } else { UNWRITTEN }));
                }
                frames = Frames::open(segment, offset).map_err(unreadable)?;
            }
            Step::Broken(what) => return Err(damaged(&segment.path, offset, what)),
        }
    }
}

const READ_BUFFER: usize = 1024 * 1024;
/// Offset of the first frame of a segment.
const HEADER: u64 = SEGMENT_HEADER as u64;

/// The frames of one segment, checked for themselves but not yet for their place in the chain.
struct Frames {
    input: BufReader<File>,
    salt: Salt,
    offset: u64,
    len: u64,
    head: [u8; FRAME_HEAD],
    payload: Vec<u8>,
}

enum Step {
    Frame {
        head: FrameHead,
        kind: Kind,
        hash: frame::Hash,
    },
    End,
    /// Does not hold: torn, damaged, or not there yet.
    Broken(&'static str),
    /// Holds, but this program does not know its kind.
    Foreign,
}

impl Frames {
    /// Those from `offset` on.
    fn open(segment: &Segment, offset: u64) -> io::Result<Frames> {
        let mut file = File::open(&segment.path)?;
        let len = file.metadata()?.len();
        file.seek(SeekFrom::Start(offset))?;
        let input = BufReader::with_capacity(READ_BUFFER, file);
        Ok(Frames { input, salt: segment.header.salt, offset, len, head: [0; FRAME_HEAD], payload: Vec::new() })
    }

    fn next(&mut self) -> io::Result<Step> {
        let rest = self.len.saturating_sub(self.offset);
        if rest == 0 {
            return Ok(Step::End);
        }
        let head_len = u64::try_from(FRAME_HEAD).unwrap_or(u64::MAX);
        if rest < head_len {
            return Ok(Step::Broken(CUT_OFF));
        }
        match self.input.read_exact(&mut self.head) {
            Ok(()) => {}
            // Room was given back meanwhile.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Step::Broken(CUT_OFF)),
            Err(error) => return Err(error),
        }
        let head = match FrameHead::decode(&self.head) {
            Ok(head) => head,
            Err(what) => return Ok(Step::Broken(what)),
        };
        let length = u64::try_from(head.payload).unwrap_or(u64::MAX);
        if rest.saturating_sub(head_len) < length {
            return Ok(Step::Broken(CUT_OFF));
        }
        self.payload.clear();
        self.input.by_ref().take(length).read_to_end(&mut self.payload)?;
        if !head.holds(&self.salt, &self.head, &self.payload) {
            return Ok(Step::Broken("its checksum is wrong"));
        }
        let Some(kind) = head.kind() else { return Ok(Step::Foreign) };
        self.offset = self.offset.saturating_add(head_len).saturating_add(length);
        Ok(Step::Frame { head, kind, hash: frame::frame_hash(kind, &self.head, &self.payload) })
    }
}

const CUT_OFF: &str = "it is cut off";
const UNWRITTEN: &str = "nothing is written where it was";

/// What is behind `offset`, and how many bytes of it are there but for room at the end. The last bytes of a body may look
/// like room.
fn rest_of(segment: &Segment, offset: u64) -> io::Result<(Vec<u8>, u64)> {
    let mut file = File::open(&segment.path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let written = bytes.iter().rposition(|byte| *byte != ROOM).map_or(0, |last| last.saturating_add(1));
    Ok((bytes, u64::try_from(written).unwrap_or(u64::MAX)))
}

/// Whether a whole frame of a group that begins behind `sequence` stands anywhere in `rest`, but at its beginning: then
/// the frame there was damaged after it had been durable, for a group is synced before the next is written.
fn holds_later(rest: &[u8], salt: &Salt, sequence: u64) -> bool {
    let furthest = sequence.saturating_add(u64::try_from(rest.len()).unwrap_or(u64::MAX));
    let mut rest = rest.get(1..).unwrap_or_default();
    while let Some((head_bytes, behind)) = rest.split_first_chunk::<FRAME_HEAD>() {
        if let Ok(head) = FrameHead::decode(head_bytes)
            && head.group > sequence
            && head.sequence < furthest
            && let Some(payload) = behind.get(..head.payload)
            && head.holds(salt, head_bytes, payload)
        {
            return true;
        }
        rest = rest.split_first().map(|(_, rest)| rest).unwrap_or_default();
    }
    false
}

fn damaged(path: &Path, offset: u64, what: &str) -> StoreError {
    StoreError::Damaged { path: path.to_path_buf(), offset, what: what.to_owned() }
}
