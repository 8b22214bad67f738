//! Opening a data directory: the journal is read, the index is compared with it, caught up or rebuilt.

use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::config::StoreConfig;
use super::db::{Db, DbError};
use super::error::StoreError;
use super::group::{FactsRecord, Group, Refusal};
use super::index::{Applied, Condition, Index, Location};
use super::journal::frame::{BODY_HEAD, FRAME_HEAD, Kind, split_body};
use super::journal::reader::{self, Frame, Range, Reading, TornTail};
use super::journal::segment_path;
use super::record::Fact;
use crate::ground::durable::{self, TEMPORARY_PREFIX};
use crate::ground::id::Id;

/// What was found and done when the store was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Segments of the journal.
    pub segments: u64,
    /// Sequence of the last frame.
    pub last_sequence: u64,
    /// An append that a crash cut off, if there was one.
    pub torn_tail: Option<TornTail>,
    /// How the index was.
    pub index: IndexRecovery,
    /// Messages known.
    pub messages: u64,
    /// Files removed that no fact names: unfinished or uncommitted when the process died.
    pub swept: u64,
}

/// How the index was found and what was done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IndexRecovery {
    /// A new data directory.
    Created,
    /// It agreed with the journal.
    Sound,
    /// It was behind; these frames were added.
    CaughtUp {
        /// How many.
        frames: u64,
    },
    /// It was missing, damaged, or knew more than the journal, and was made anew from the journal.
    Rebuilt {
        /// What was wrong with it.
        reason: String,
        /// Frames of the journal.
        frames: u64,
        /// Where the old one is now.
        kept_as: Option<PathBuf>,
    },
}

/// How far a catch-up or rebuild has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Frames added to the index.
    pub frames: u64,
    /// Bytes of the journal they had.
    pub bytes: u64,
    /// Bytes of the whole journal.
    pub of_bytes: u64,
}

/// Directories of a store.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) journal: PathBuf,
    pub(super) bodies: PathBuf,
    pub(super) temporary: PathBuf,
    pub(super) index: PathBuf,
    pub(super) certificates: PathBuf,
}

impl Layout {
    pub(super) fn new(data_dir: &Path) -> Layout {
        Layout {
            journal: data_dir.join("journal"),
            bodies: data_dir.join("bodies"),
            temporary: data_dir.join("tmp"),
            index: data_dir.join("index"),
            certificates: data_dir.join("certificates"),
        }
    }
}

/// Reads the journal and brings the index to its end.
pub(super) fn recover(
    config: &StoreConfig,
    layout: &Layout,
    progress: &dyn Fn(Progress),
) -> Result<(Arc<Index>, Reading, RecoveryReport), StoreError> {
    let (index, reading, recovery) = match open_index(config, layout) {
        Ok((index, Condition::Empty)) => {
            let (reading, frames) = replay(&index, layout, progress)?;
            let reason = "it was missing or empty".to_owned();
            let rebuilt = IndexRecovery::Rebuilt { reason, frames, kept_as: None };
            (index, reading, if frames == 0 { IndexRecovery::Created } else { rebuilt })
        }
        Ok((index, Condition::Sound(applied))) => catch_up(config, layout, index, applied, progress)?,
        Ok((index, Condition::Unsound(reason))) => {
            drop(index);
            rebuild(config, layout, reason, progress)?
        }
        Err(error) => rebuild(config, layout, error.to_string(), progress)?,
    };
    let swept = sweep(layout, &index)?;
    let report = RecoveryReport {
        segments: reading.segments,
        last_sequence: reading.tail.chain.last(),
        torn_tail: reading.torn.clone(),
        index: recovery,
        messages: index.states().values().sum(),
        swept,
    };
    Ok((Arc::new(index), reading, report))
}

fn open_index(config: &StoreConfig, layout: &Layout) -> Result<(Index, Condition), DbError> {
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let db = Db::open(&layout.index, config.index_cache_bytes)?;
        Index::inspect(db)
    }));
    opened.unwrap_or_else(|_| Err(DbError::from(io::Error::other("sled panicked while reading"))))
}

/// Adds what the journal has beyond the index; rebuilds when the two do not belong together.
fn catch_up(
    config: &StoreConfig,
    layout: &Layout,
    index: Index,
    applied: Applied,
    progress: &dyn Fn(Progress),
) -> Result<(Index, Reading, IndexRecovery), StoreError> {
    let reason = match replay_checked(&index, layout, progress) {
        Ok((reading, _)) if reading.tail.chain.last() < applied.sequence => {
            let (has, journal) = (applied.sequence, reading.tail.chain.last());
            format!("it holds frame {has}, but the journal ends with frame {journal}")
        }
        Ok((reading, 0)) => return Ok((index, reading, IndexRecovery::Sound)),
        Ok((reading, frames)) => return Ok((index, reading, IndexRecovery::CaughtUp { frames })),
        Err(StoreError::Index { what, .. }) => what,
        Err(error) => return Err(error),
    };
    drop(index);
    rebuild(config, layout, reason, progress)
}

/// Puts the index aside and makes a new one.
fn rebuild(
    config: &StoreConfig,
    layout: &Layout,
    reason: String,
    progress: &dyn Fn(Progress),
) -> Result<(Index, Reading, IndexRecovery), StoreError> {
    tracing::warn!(%reason, "the index is rebuilt from the journal");
    let kept_as = put_aside(&layout.index, config.clock.now())?;
    let (index, _) = open_index(config, layout).map_err(|error| index_error(layout, &error))?;
    let (reading, frames) = replay(&index, layout, progress)?;
    Ok((index, reading, IndexRecovery::Rebuilt { reason, frames, kept_as }))
}

/// Renames the index to `index.bad-<instant>`; of earlier ones the latest is kept.
fn put_aside(index: &Path, now: Timestamp) -> Result<Option<PathBuf>, StoreError> {
    if !index.try_exists().unwrap_or(true) {
        return Ok(None);
    }
    let parent = index.parent().unwrap_or(Path::new("."));
    let mut earlier: Vec<PathBuf> = names(parent)?
        .into_iter()
        .filter(|name| name.starts_with("index.bad-"))
        .map(|name| parent.join(name))
        .collect();
    earlier.sort();
    earlier.pop();
    for old in earlier {
        fs::remove_dir_all(&old).map_err(|source| StoreError::Unreadable { path: old, source })?;
    }
    let stamp = now.strftime("%Y%m%dT%H%M%S%.fZ").to_string();
    let mut name = parent.join(format!("index.bad-{stamp}"));
    while name.exists() {
        name.as_mut_os_string().push("+");
    }
    durable::rename_noreplace(index, &name)?;
    Ok(Some(name))
}

/// [`replay`], with a panic of sled as an error of the index.
fn replay_checked(index: &Index, layout: &Layout, progress: &dyn Fn(Progress)) -> Result<(Reading, u64), StoreError> {
    catch_unwind(AssertUnwindSafe(|| replay(index, layout, progress)))
        .unwrap_or_else(|_| Err(index_error(layout, &DbError::from(io::Error::other("sled panicked")))))
}

/// Reads the journal from where the index ends. Returns how many frames were new to it.
fn replay(index: &Index, layout: &Layout, progress: &dyn Fn(Progress)) -> Result<(Reading, u64), StoreError> {
    let applied = index.applied();
    let mut replay = Replay {
        index,
        layout,
        group: Group::new(index),
        pending: 0,
        last: applied,
        progress,
        done: Progress { frames: 0, bytes: 0, of_bytes: journal_bytes(layout)? },
    };
    let range = Range { from: applied.sequence, acknowledged: applied.sequence };
    let reading = reader::read(&layout.journal, range, &mut |frame| {
        if frame.sequence == applied.sequence && frame.hash != applied.hash {
            let what = format!("its frame {} is not the journal's", applied.sequence);
            return Err(StoreError::Index { path: layout.index.clone(), what });
        }
        if frame.sequence > applied.sequence { replay.take(frame) } else { Ok(()) }
    })?;
    replay.apply()?;
    Ok((reading, replay.done.frames))
}

/// Frames on their way into the index.
struct Replay<'a> {
    index: &'a Index,
    layout: &'a Layout,
    group: Group<'a>,
    pending: usize,
    last: Applied,
    progress: &'a dyn Fn(Progress),
    done: Progress,
}

/// Frames that go into the index together.
const REPLAY_GROUP: usize = 1024;

impl Replay<'_> {
    fn take(&mut self, frame: &Frame<'_>) -> Result<(), StoreError> {
        let damaged = |what: String| StoreError::Damaged {
            path: segment_path(&self.layout.journal, frame.segment),
            offset: frame.offset,
            what,
        };
        match frame.kind {
            Kind::Body => {
                let (id, _, bytes) =
                    split_body(frame.payload).ok_or_else(|| damaged("its body frame is too short".to_owned()))?;
                let head = length(FRAME_HEAD).saturating_add(length(BODY_HEAD));
                let offset = frame.offset.saturating_add(head);
                let location = Location::Journal { segment: frame.segment, offset, len: length(bytes.len()) };
                self.group.place_body(id, location);
            }
            Kind::Facts => {
                let record: FactsRecord<Vec<(Id, Fact)>> = serde_json::from_slice(frame.payload)
                    .map_err(|error| damaged(format!("its facts cannot be read: {error}")))?;
                let judged = self.group.replay(record.at, &record.facts).map_err(|refusal| match refusal {
                    Refusal::Commit(error) => damaged(format!("its facts contradict those before: {error}")),
                    Refusal::Index(error) => index_error(self.layout, &error),
                })?;
                self.group.accept(judged);
            }
        }
        self.last = Applied { sequence: frame.sequence, hash: frame.hash };
        self.done.frames = self.done.frames.saturating_add(1);
        self.done.bytes =
            self.done.bytes.saturating_add(length(FRAME_HEAD)).saturating_add(length(frame.payload.len()));
        self.pending = self.pending.saturating_add(1);
        if self.pending >= REPLAY_GROUP { self.apply() } else { Ok(()) }
    }

    fn apply(&mut self) -> Result<(), StoreError> {
        if self.pending == 0 {
            return Ok(());
        }
        let group = std::mem::replace(&mut self.group, Group::new(self.index));
        let applied = group.finish().and_then(|(changes, _)| self.index.apply(changes, self.last));
        applied.map_err(|error| index_error(self.layout, &error))?;
        self.pending = 0;
        (self.progress)(self.done);
        Ok(())
    }
}

/// Removes files of bodies that no fact names, and temporary files.
fn sweep(layout: &Layout, index: &Index) -> Result<u64, StoreError> {
    let mut swept = 0u64;
    let mut remove = |path: PathBuf| match fs::remove_file(&path) {
        Ok(()) => {
            swept = swept.saturating_add(1);
            Ok(())
        }
        Err(source) => Err(StoreError::Unreadable { path, source }),
    };
    for dir in [&layout.temporary, &layout.journal, &layout.bodies] {
        for name in names(dir)?.into_iter().filter(|name| name.starts_with(TEMPORARY_PREFIX)) {
            remove(dir.join(name))?;
        }
    }
    for name in names(&layout.bodies)? {
        let Ok(id) = name.parse::<Id>() else { continue };
        if index.body(&id).map_err(|error| index_error(layout, &error))?.is_none() {
            remove(layout.bodies.join(name))?;
        }
    }
    Ok(swept)
}

fn journal_bytes(layout: &Layout) -> Result<u64, StoreError> {
    let mut bytes = 0u64;
    for name in names(&layout.journal)? {
        let path = layout.journal.join(name);
        let metadata = fs::metadata(&path).map_err(|source| StoreError::Unreadable { path, source })?;
        bytes = bytes.saturating_add(metadata.len());
    }
    Ok(bytes)
}

/// Names in a directory that are UTF-8; all of ours are.
fn names(dir: &Path) -> Result<Vec<String>, StoreError> {
    let unreadable = |source| StoreError::Unreadable { path: dir.to_path_buf(), source };
    let entries = fs::read_dir(dir).map_err(unreadable)?;
    entries
        .filter_map(|entry| entry.map(|entry| entry.file_name().into_string().ok()).transpose())
        .collect::<io::Result<_>>()
        .map_err(unreadable)
}

fn index_error(layout: &Layout, error: &DbError) -> StoreError {
    StoreError::Index { path: layout.index.clone(), what: error.to_string() }
}

fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
