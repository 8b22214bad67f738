//! Snapshots: the view of the journal up to a frame, as a file, so that older segments may go and a rebuild is short.
//!
//! # Format, version 2
//!
//! `journal/<sequence>.snapshot`, twenty digits. Integers are little-endian. The file begins with `dxgatesn` and the
//! version (4 bytes); records follow, each a kind (1 byte), a length n (4) and n bytes:
//!
//! | kind | content |
//! |---|---|
//! | 1 head | JSON: `sequence` and `hash` of the frame it begins with, `marks`: removed segments, earlier snapshots |
//! | 2 message | sequence (8, big-endian) up to which every fact is in it, the message as JSON |
//! | 3 claim | in version 1 only, and passed over: hash of a dedup key (32), message id (16) |
//! | 4 body | body id (16), place as in the index |
//! | 5 end | JSON: `upto`, and how many messages, claims, bodies and changes there are |
//! | 6 change | sequence (8, big-endian), part (2), an entry of the audit trail as JSON |
//!
//! Version 1 says of each message that was accepted, beside the message, which key it claims; a program that knows nothing
//! else must not read a snapshot without that. Behind the end record stands the SHA-256 of everything before it. A frame of the journal repeats it (`link` beside
//! its `facts`): only a snapshot that the chain vouches for is used.
//!
//! # Taken while messages flow
//!
//! Nobody waits for a snapshot, so it is not of one instant: everything up to frame `sequence` is in it, and some of
//! what followed up to `upto`. Replaying those frames again is harmless because each message carries the sequence it
//! is up to. Messages are written before claims and bodies, so what is missing of a message is missing of its body
//! too. Neither writing nor reading holds more than a few entries in memory.
//!
//! | power fails after | restart does |
//! |---|---|
//! | part of the file | sweeps it: it has a temporary name |
//! | the file, before its frame | does not use it, removes it |
//! | its frame, before older files go | removes them |

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::iter;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::db::DbError;
use super::index::{Applied, Index};
use super::journal::frame::{Hash, MAX_PAYLOAD};
use super::journal::retired::{Marks, SnapshotLink};
use super::record::hex_digest;
use crate::ground::durable::{self, NewFile};
use crate::ground::id::Id;

const MAGIC: &[u8; 8] = b"dxgatesn";
const VERSION: u32 = 2;
const HEAD: u8 = 1;
const MESSAGE: u8 = 2;
const CLAIM: u8 = 3;
const BODY: u8 = 4;
const END: u8 = 5;
const CHANGE: u8 = 6;

/// The first record.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Head {
    sequence: u64,
    #[serde(with = "hex_digest")]
    hash: Hash,
    marks: Marks,
}

/// The last record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct End {
    upto: u64,
    messages: u64,
    claims: u64,
    bodies: u64,
    #[serde(default)]
    changes: u64,
}

impl End {
    /// How many records of a kind there are; none of a kind that is not counted.
    fn of(&mut self, kind: u8) -> Option<&mut u64> {
        match kind {
            MESSAGE => Some(&mut self.messages),
            CLAIM => Some(&mut self.claims),
            BODY => Some(&mut self.bodies),
            CHANGE => Some(&mut self.changes),
            _ => None,
        }
    }
}

/// A snapshot that is whole.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    pub(super) path: PathBuf,
    /// The frame behind which reading goes on.
    pub(super) from: Applied,
    /// What the journal had said of itself up to there.
    pub(super) marks: Marks,
    /// What the journal has to say of it.
    pub(super) link: SnapshotLink,
}

/// The path of the snapshot that begins with frame `sequence`.
pub(super) fn path(journal: &Path, sequence: u64) -> PathBuf {
    journal.join(format!("{sequence:020}.snapshot"))
}

/// Sequences of the snapshots in a folder, latest first.
pub(super) fn list(journal: &Path) -> io::Result<Vec<u64>> {
    let mut sequences = Vec::new();
    for entry in std::fs::read_dir(journal)? {
        let name = entry?.file_name();
        let digits = name.to_str().and_then(|name| name.strip_suffix(".snapshot"));
        sequences.extend(digits.filter(|digits| digits.len() == 20).and_then(|digits| digits.parse::<u64>().ok()));
    }
    sequences.sort_unstable_by(|a, b| b.cmp(a));
    Ok(sequences)
}

/// Removes snapshots that the journal does not count on: older ones, and one whose frame a crash prevented.
pub(super) fn remove_others(journal: &Path, marks: &Marks) -> io::Result<()> {
    let wanted = |sequence: &u64| marks.snapshots.iter().any(|snapshot| snapshot.from == *sequence);
    for sequence in list(journal)?.into_iter().filter(|sequence| !wanted(sequence)) {
        durable::remove_unsynced(&path(journal, sequence))?;
    }
    Ok(())
}

/// Bytes written after which it is asked whether to stop, if not after as many records.
const ASKED_EVERY: usize = 1024 * 1024;

/// Writes the index as it is now, durably. Returns what the journal must say of it before it counts.
///
/// # Errors
/// The disk's; [`io::ErrorKind::Interrupted`] when `stop` said so.
pub(super) fn write(index: &Index, journal: &Path, stop: &dyn Fn() -> bool) -> io::Result<SnapshotLink> {
    let from = index.applied();
    let file = NewFile::create_in(journal)?;
    let mut out = Writing { out: BufWriter::with_capacity(BUFFER, file), digest: Sha256::new() };
    out.write(MAGIC)?;
    out.write(&VERSION.to_le_bytes())?;
    let head = Head { sequence: from.sequence, hash: from.hash, marks: index.marks().map_err(io::Error::other)? };
    out.record(HEAD, &serde_json::to_vec(&head)?)?;
    let mut counts = End::default();
    // A message may be ahead of what the index says of itself at that moment.
    let mut ahead = from.sequence;
    let mut unasked = 0usize;
    for record in records(index) {
        let (kind, record) = record.map_err(io::Error::other)?;
        if let (MESSAGE, Some(sequence)) = (kind, record.first_chunk::<8>()) {
            ahead = ahead.max(u64::from_be_bytes(*sequence));
        }
        out.record(kind, &record)?;
        let count = counts.of(kind).ok_or_else(|| io::Error::other("a record of an unknown kind"))?;
        *count = count.saturating_add(1);
        unasked = unasked.saturating_add(record.len());
        if *count % 1024 == 0 || unasked >= ASKED_EVERY {
            unasked = 0;
            if stop() {
                return Err(io::ErrorKind::Interrupted.into());
            }
        }
    }
    let upto = index.applied().sequence.max(ahead);
    out.record(END, &serde_json::to_vec(&End { upto, ..counts })?)?;
    let sha256: Hash = out.digest.finalize().into();
    out.out.write_all(&sha256)?;
    let file = out.out.into_inner().map_err(io::IntoInnerError::into_error)?;
    // One that a crash kept from its frame may have the name; nobody vouches for it.
    file.replace(&path(journal, from.sequence))?;
    Ok(SnapshotLink { from: from.sequence, upto, sha256 })
}

/// What is written of the index, with its kinds; everything else follows from messages. Each begins when the one before is
/// written.
fn records(index: &Index) -> impl Iterator<Item = Result<(u8, Vec<u8>), DbError>> {
    let messages = index.messages().map(|message| {
        let (sequence, json) = message?;
        Ok((MESSAGE, [&sequence.to_be_bytes()[..], &json].concat()))
    });
    let bodies = iter::once_with(|| index.bodies()).flatten().map(|body| {
        let (id, location) = body?;
        Ok((BODY, [id.as_bytes(), &location.encode()[..]].concat()))
    });
    let changes = iter::once_with(|| index.entries(b't')).flatten().map(|entry| {
        let (key, value) = entry?;
        Ok((CHANGE, [key.get(1..).unwrap_or_default(), &value].concat()))
    });
    messages.chain(bodies).chain(changes)
}

/// Reads a snapshot whole and checks it.
///
/// # Errors
/// Why it cannot be used, in words for people.
pub(super) fn check(path: &Path) -> Result<Snapshot, String> {
    let mut counts = End::default();
    let mut head = None;
    let mut end: Option<End> = None;
    let sha256 = read(path, &mut |kind, payload| {
        if end.is_some() {
            return Err("something follows its end".to_owned());
        }
        let count = match kind {
            HEAD if head.is_none() => {
                head = Some(serde_json::from_slice::<Head>(payload).map_err(|error| format!("its head: {error}"))?);
                return Ok(());
            }
            END => {
                end = Some(serde_json::from_slice(payload).map_err(|error| format!("its end: {error}"))?);
                return Ok(());
            }
            kind => counts.of(kind).ok_or_else(|| format!("it has a record of the unknown kind {kind}"))?,
        };
        *count = count.saturating_add(1);
        Ok(())
    })?;
    let (Some(head), Some(end)) = (head, end) else { return Err("it is cut off".to_owned()) };
    if end != (End { upto: end.upto, ..counts }) {
        return Err("it does not have as many entries as it says".to_owned());
    }
    if super::snapshot::path(path.parent().unwrap_or(Path::new("")), head.sequence) != path {
        return Err("it has the name of another one".to_owned());
    }
    Ok(Snapshot {
        path: path.to_path_buf(),
        from: Applied { sequence: head.sequence, hash: head.hash },
        marks: head.marks,
        link: SnapshotLink { from: head.sequence, upto: end.upto, sha256 },
    })
}

/// Entries that go into the index at a time, in the order of their keys.
const LOADED_TOGETHER: usize = 2048;

/// Fills an empty index with a snapshot that was [checked](check). Until all of it is there, the index does not say
/// how far it goes.
pub(super) fn load(snapshot: &Snapshot, index: &Index) -> Result<(), DbError> {
    let mut entries = index.loading();
    let mut pending = 0usize;
    let again = read(&snapshot.path, &mut |kind, payload| {
        let taken = match kind {
            MESSAGE => {
                let split = payload.split_first_chunk().ok_or_else(too_short);
                split.and_then(|(sequence, json)| entries.stored(u64::from_be_bytes(*sequence), json))
            }
            BODY => {
                let split = payload.split_first_chunk();
                split.map(|(id, place)| entries.stored_body(Id::from_bytes(*id), place)).ok_or_else(too_short)
            }
            CHANGE => {
                let split = payload.split_at_checked(10);
                split.map(|(id, change)| entries.stored_change(id, change)).ok_or_else(too_short)
            }
            _ => Ok(()),
        };
        taken.map_err(|error| error.to_string())?;
        pending = pending.saturating_add(1);
        if pending >= LOADED_TOGETHER {
            pending = 0;
            index.load(std::mem::take(&mut entries)).map_err(|error| error.to_string())?;
            entries = index.loading();
        }
        Ok(())
    });
    let sha256 = again.map_err(|what| DbError::from(io::Error::other(what)))?;
    if sha256 != snapshot.link.sha256 {
        return Err(io::Error::other("the snapshot changed while it was read").into());
    }
    let mut marks = snapshot.marks.clone();
    marks.follow(&super::journal::retired::Link::Snapshot(snapshot.link.clone()));
    entries.marks(None, &marks)?;
    entries.settle(snapshot.link.upto);
    index.loaded(entries, snapshot.from)
}

fn too_short() -> DbError {
    io::Error::other("a record of the snapshot is too short").into()
}

const BUFFER: usize = 1024 * 1024;

/// Takes a record's kind and content.
type Visit<'a> = &'a mut dyn FnMut(u8, &[u8]) -> Result<(), String>;

/// Hands every record to `visit`; returns the digest of a file whose digest holds.
fn read(path: &Path, visit: Visit<'_>) -> Result<Hash, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let bytes = file.metadata().map_err(|error| error.to_string())?.len();
    let content = bytes.checked_sub(DIGEST).ok_or("it is cut off")?;
    let mut file = BufReader::with_capacity(BUFFER, file);
    let mut input = Digesting { input: file.by_ref().take(content), digest: Sha256::new() };
    let mut start = [0u8; 12];
    input.read_exact(&mut start).map_err(cut_off)?;
    if start.first_chunk::<8>() != Some(MAGIC) {
        return Err("it does not begin with the mark of a snapshot".to_owned());
    }
    match start.last_chunk::<4>().copied().map(u32::from_le_bytes) {
        Some(1..=VERSION) => {}
        version => return Err(format!("it has format {}, this program knows 1 to {VERSION}", version.unwrap_or(0))),
    }
    let mut payload = Vec::new();
    while input.input.limit() > 0 {
        let mut front = [0u8; 5];
        input.read_exact(&mut front).map_err(cut_off)?;
        let [kind, length @ ..] = front;
        let length = u32::from_le_bytes(length);
        if usize::try_from(length).map_or(true, |length| length > MAX_PAYLOAD) {
            return Err("the length of a record is impossible".to_owned());
        }
        payload.clear();
        let read = input.by_ref().take(u64::from(length)).read_to_end(&mut payload).map_err(cut_off)?;
        if u32::try_from(read) != Ok(length) {
            return Err("it is cut off".to_owned());
        }
        visit(kind, &payload)?;
    }
    let digest: Hash = input.digest.finalize().into();
    let mut stored = Hash::default();
    file.read_exact(&mut stored).map_err(cut_off)?;
    if stored == digest { Ok(digest) } else { Err("its digest is wrong".to_owned()) }
}

/// Bytes of the digest at the end.
const DIGEST: u64 = 32;

fn cut_off(error: io::Error) -> String {
    if error.kind() == io::ErrorKind::UnexpectedEof { "it is cut off".to_owned() } else { error.to_string() }
}

/// Writes and digests.
struct Writing<W: Write> {
    out: BufWriter<W>,
    digest: Sha256,
}

impl<W: Write> Writing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.digest.update(bytes);
        self.out.write_all(bytes)
    }

    fn record(&mut self, kind: u8, content: &[u8]) -> io::Result<()> {
        let length = u32::try_from(content.len()).map_err(io::Error::other)?;
        self.write(&[kind])?;
        self.write(&length.to_le_bytes())?;
        self.write(content)
    }
}

/// Reads and digests.
struct Digesting<R> {
    input: R,
    digest: Sha256,
}

impl<R: Read> Read for Digesting<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(bytes)?;
        self.digest.update(bytes.get(..read).unwrap_or_default());
        Ok(read)
    }
}
