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
use super::index::{Applied, Condition, Index};
use super::journal::reader::{self, Range, Reading, TornTail};
use super::journal::retired::{self, Link, Marks, SnapshotLink};
use super::journal::segment_path;
use super::journal::writer::SegmentFiles;
use super::replay::{Taking, link_of, replay, replay_checked};
use super::snapshot::{self, Snapshot};
use crate::ground::durable::{self, DirSync, TEMPORARY_PREFIX};
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
    /// The frame of the snapshot that a rebuild began with, if it could.
    pub snapshot: Option<u64>,
    /// Snapshots that a rebuild could not use, and why.
    pub bad_snapshots: Vec<(PathBuf, String)>,
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
    /// Names in `bodies`, made durable for all who write one at a time.
    pub(super) body_names: Arc<DirSync>,
    pub(super) temporary: PathBuf,
    pub(super) partial: PathBuf,
    pub(super) index: PathBuf,
    pub(super) certificates: PathBuf,
    pub(super) environment: PathBuf,
}

impl Layout {
    pub(super) fn new(data_dir: &Path) -> Layout {
        Layout {
            journal: data_dir.join("journal"),
            bodies: data_dir.join("bodies"),
            body_names: Arc::new(DirSync::new(&data_dir.join("bodies"))),
            temporary: data_dir.join("tmp"),
            partial: data_dir.join("partial"),
            index: data_dir.join("index"),
            certificates: data_dir.join("certificates"),
            environment: data_dir.join(super::backup::ENVIRONMENT),
        }
    }
}

/// What opening found.
struct Recovered {
    index: Index,
    reading: Reading,
    recovery: IndexRecovery,
    snapshot: Option<u64>,
    bad_snapshots: Vec<(PathBuf, String)>,
}

/// Reads the journal and brings the index to its end.
pub(super) fn recover(
    config: &StoreConfig,
    layout: &Layout,
    files: &mut dyn SegmentFiles,
    progress: &dyn Fn(Progress),
) -> Result<(Arc<Index>, Reading, RecoveryReport), StoreError> {
    settle(layout, files)?;
    let recovered = match open_index(config, layout) {
        Ok((index, Condition::Empty)) => fill(layout, index, "it was missing or empty".to_owned(), None, progress)?,
        Ok((index, Condition::Sound(applied))) => catch_up(config, layout, index, applied, progress)?,
        Ok((index, Condition::Unsound(reason))) => {
            drop(index);
            rebuild(config, layout, reason, progress)?
        }
        Err(error) => rebuild(config, layout, error.to_string(), progress)?,
    };
    let Recovered { index, reading, recovery, snapshot, bad_snapshots } = recovered;
    let swept = sweep(layout, &index, bad_snapshots.is_empty())?;
    let report = RecoveryReport {
        segments: reading.segments,
        last_sequence: reading.tail.chain.last(),
        torn_tail: reading.torn.clone(),
        index: recovery,
        snapshot,
        bad_snapshots,
        messages: index.states().values().sum(),
        swept,
    };
    Ok((Arc::new(index), reading, report))
}

/// Makes the journal's last group durable before the index takes it and anyone acts on it. Only the page cache may have
/// it: after a kill between append and sync, and also after a failed sync, when the kernel takes its pages for written, so
/// that another sync alone would do nothing.
fn settle(layout: &Layout, files: &mut dyn SegmentFiles) -> Result<(), StoreError> {
    let Some(last) = reader::last_group(&layout.journal)? else { return Ok(()) };
    let rewritten = files.rewrite(last.segment, last.offset, &last.bytes);
    let path = segment_path(&layout.journal, last.segment);
    rewritten.map_err(|source| StoreError::Unreadable { path, source })
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
) -> Result<Recovered, StoreError> {
    let done = |index, reading, recovery| {
        Ok(Recovered { index, reading, recovery, snapshot: None, bad_snapshots: Vec::new() })
    };
    if !reader::reaches(&layout.journal, applied.sequence)? {
        drop(index);
        let reason = format!("it ends with frame {}, from which the journal cannot be read on", applied.sequence);
        return rebuild(config, layout, reason, progress);
    }
    let reason = match replay_checked(&index, layout, progress) {
        Ok((reading, _)) if reading.tail.chain.last() < applied.sequence => {
            let (has, journal) = (applied.sequence, reading.tail.chain.last());
            format!("it holds frame {has}, but the journal ends with frame {journal}")
        }
        Ok((reading, 0)) => return done(index, reading, IndexRecovery::Sound),
        Ok((reading, frames)) => return done(index, reading, IndexRecovery::CaughtUp { frames }),
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
) -> Result<Recovered, StoreError> {
    tracing::warn!(code = "index-rebuilt", %reason, "the index is rebuilt from the journal");
    let kept_as = put_aside(&layout.index, config.clock.now())?;
    let (index, _) = open_index(config, layout).map_err(|error| index_error(layout, &error))?;
    fill(layout, index, reason, kept_as, progress)
}

/// Fills an empty index: from the latest snapshot that holds and what follows it, else from the whole journal.
fn fill(
    layout: &Layout,
    index: Index,
    reason: String,
    kept_as: Option<PathBuf>,
    progress: &dyn Fn(Progress),
) -> Result<Recovered, StoreError> {
    give_up_replaced(layout)?;
    let kept_as = kept_as.filter(|kept| kept.exists());
    let unreadable = |source| StoreError::Unreadable { path: layout.journal.clone(), source };
    let mut bad_snapshots = Vec::new();
    let mut usable = None;
    for sequence in snapshot::list(&layout.journal).map_err(unreadable)? {
        let path = snapshot::path(&layout.journal, sequence);
        match snapshot::check(&path).and_then(|found| Ok(vouched_for(layout, &found)?.then_some(found))) {
            Ok(Some(snapshot)) => {
                usable = Some(snapshot);
                break;
            }
            // A crash came before its frame: nothing counts on it, and the sweep removes it.
            Ok(None) => {}
            Err(what) => {
                tracing::warn!(code = "snapshot-damaged", path = %path.display(), %what, "a snapshot is passed over");
                bad_snapshots.push((path, what));
            }
        }
    }
    match &usable {
        Some(snapshot) => snapshot::load(snapshot, &index).map_err(|error| index_error(layout, &error))?,
        None => reader::check_gaps(&layout.journal, &[]).map_err(|missing| blame(missing, &bad_snapshots))?,
    }
    let (reading, frames) = replay(&index, layout, Taking::Piecemeal, progress)?;
    let created = frames == 0 && usable.is_none() && kept_as.is_none();
    let rebuilt = IndexRecovery::Rebuilt { reason, frames, kept_as };
    let recovery = if created { IndexRecovery::Created } else { rebuilt };
    let snapshot = usable.map(|snapshot| snapshot.link.from);
    Ok(Recovered { index, reading, recovery, snapshot, bad_snapshots })
}

/// Without the segments that it covers, a damaged snapshot is what must be restored.
fn blame(missing: StoreError, bad_snapshots: &[(PathBuf, String)]) -> StoreError {
    match bad_snapshots.first() {
        Some((path, what)) => StoreError::Damaged { path: path.clone(), offset: 0, what: what.clone() },
        None => missing,
    }
}

/// Looks for the frame that names the snapshot; it stands soon behind the last frame that is in the snapshot. `false`: the
/// journal goes that far and has no such frame.
fn vouched_for(layout: &Layout, snapshot: &Snapshot) -> Result<bool, String> {
    let mut found: Option<SnapshotLink> = None;
    let from = snapshot.link.upto.saturating_add(1);
    let mut begins = snapshot.from.sequence != 0;
    let range = Range { from: snapshot.from.sequence, acknowledged: 0 };
    let stop = || StoreError::Index { path: PathBuf::new(), what: String::new(), full: false };
    let reading = reader::read(&layout.journal, range, &snapshot.marks.retired, &mut |frame| {
        if frame.sequence == snapshot.from.sequence {
            begins = frame.hash != snapshot.from.hash;
        }
        if frame.sequence >= from
            && let Some(Link::Snapshot(link)) = link_of(frame)
            && link.from == snapshot.link.from
        {
            found = Some(link);
            return Err(stop());
        }
        Ok(())
    });
    match (reading, found) {
        _ if begins => Err("the journal does not have its first frame".to_owned()),
        (_, Some(link)) if link == snapshot.link => Ok(true),
        (_, Some(_)) => Err("the journal names another one in its place".to_owned()),
        (Err(error), None) => Err(format!("the journal cannot be read behind it: {error}")),
        (Ok(reading), None) if reading.tail.chain.last() >= snapshot.link.upto => Ok(false),
        (Ok(_), None) => Err("the journal ends before it".to_owned()),
    }
}

/// With less room than this replaced indexes are not kept: the new one needs it.
const KEPT_ASIDE: u64 = 512 * 1024 * 1024;

/// Removes replaced indexes when room is short.
fn give_up_replaced(layout: &Layout) -> Result<(), StoreError> {
    let parent = layout.index.parent().unwrap_or(Path::new("."));
    if durable::free_space(parent)? >= KEPT_ASIDE {
        return Ok(());
    }
    for name in names(parent)?.into_iter().filter(|name| name.starts_with(REPLACED)) {
        if let Err(error) = fs::remove_dir_all(parent.join(&name)) {
            tracing::warn!(%error, name, "a replaced index could not be removed");
        }
    }
    Ok(())
}

/// How the names of replaced indexes begin.
const REPLACED: &str = "index.bad-";

/// Renames the index to `index.bad-<instant>`; of earlier ones the latest is kept.
pub(super) fn put_aside(index: &Path, now: Timestamp) -> Result<Option<PathBuf>, StoreError> {
    if !index.try_exists().unwrap_or(true) {
        return Ok(None);
    }
    let parent = index.parent().unwrap_or(Path::new("."));
    let mut earlier: Vec<PathBuf> =
        names(parent)?.into_iter().filter(|name| name.starts_with(REPLACED)).map(|name| parent.join(name)).collect();
    earlier.sort();
    earlier.pop();
    for old in earlier {
        fs::remove_dir_all(&old).map_err(|source| StoreError::Unreadable { path: old, source })?;
    }
    let stamp = now.strftime("%Y%m%dT%H%M%S%.fZ").to_string();
    let mut name = parent.join(format!("{REPLACED}{stamp}"));
    while name.exists() {
        name.as_mut_os_string().push("+");
    }
    durable::rename_noreplace(index, &name)?;
    Ok(Some(name))
}

/// Removes files of bodies that no fact names, and temporary files.
fn sweep(layout: &Layout, index: &Index, snapshots_hold: bool) -> Result<u64, StoreError> {
    let mut swept = 0u64;
    let mut remove = |path: PathBuf| match durable::remove_unsynced(&path) {
        Ok(()) => {
            swept = swept.saturating_add(1);
            Ok(())
        }
        Err(source) => Err(StoreError::Unreadable { path, source }),
    };
    let marks = index.marks().map_err(|error| index_error(layout, &error))?;
    if snapshots_hold {
        remove_covered(layout, &marks)?;
    }
    reader::check_gaps(&layout.journal, &marks.retired)?;
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

/// Removes what a crash left: retired segments, and snapshots that the journal does not count on.
fn remove_covered(layout: &Layout, marks: &Marks) -> Result<(), StoreError> {
    let unreadable = |source| StoreError::Unreadable { path: layout.journal.clone(), source };
    let present = reader::segment_numbers(&layout.journal)?;
    retired::remove_files(&layout.journal, &marks.retired, &present).map_err(unreadable)?;
    snapshot::remove_others(&layout.journal, marks).map_err(unreadable)
}

pub(super) fn journal_bytes(layout: &Layout) -> Result<u64, StoreError> {
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

pub(super) fn index_error(layout: &Layout, error: &DbError) -> StoreError {
    StoreError::Index {
        path: layout.index.clone(),
        what: error.to_string(),
        full: error.is_full() || out_of_room(layout),
    }
}

/// Whatever sled says about it, it cannot work without room.
fn out_of_room(layout: &Layout) -> bool {
    durable::free_space(&layout.journal).is_ok_and(|free| free < 1024 * 1024)
}

pub(super) fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
