//! Backups of a store that is in use, and what they are checked by.
//!
//! A backup is as of one frame: everything that was acknowledged up to it, nothing after it. Segments are immutable but
//! for the last one, which is copied up to that frame; bodies, snapshots and certificates are immutable files. Whole
//! files are hard-linked where that is possible, else copied; nothing that is linked is ever written to again.
//!
//! ```text
//! DIR/ lock                     one backup at a time
//!      manifest.json            what belongs to the backup, with lengths and sums; written last
//!      data/journal|bodies|certificates/…
//!      data/environment         whose the data is; copied and not linked, since an operator may edit it
//!      files/<sha256>           configuration and keys, named by the manifest
//! ```
//!
//! A second backup into the same folder adds what is new. Until its manifest is in place the earlier one holds: files of
//! that name were only added to at their end, and each is checked over the length that the manifest tells.
//!
//! | power fails after | what is there |
//! |---|---|
//! | some files | the earlier backup; the next one goes on |
//! | the manifest, before files that are no longer named were removed | the new backup; the next one removes them |

mod error;
mod manifest;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

pub use self::error::BackupError;
use self::manifest::FORMAT;
pub use self::manifest::{Beside, CopyProgress, Entry, HomeFile, MANIFEST, Manifest};
use super::Store;
use super::index::Applied;
use super::journal::frame::{FRAME_HEAD, FrameHead, SEGMENT_HEADER, SegmentHeader};
use super::journal::{segment_number, segment_path};
use super::record::State;
use crate::ground::durable::{self, DirLock, NewFile, TEMPORARY_PREFIX};
use crate::keys::save;

/// The file in the data folder that says of which environment it is; the gateway writes it at the first start.
pub const ENVIRONMENT: &str = "environment";

/// Segments and snapshots may go while they are copied; then the copy begins again, at most so often.
const TRIES: u32 = 3;

impl Store {
    /// Backs the store up into `dir` while it is in use (blocking I/O). `at` is noted as the time.
    ///
    /// # Errors
    /// See [`BackupError`]; an earlier backup in `dir` still holds then.
    pub fn backup(
        &self,
        dir: &Path,
        beside: &Beside,
        at: Timestamp,
        progress: &dyn Fn(CopyProgress),
    ) -> Result<Manifest, BackupError> {
        let earlier = claim(dir)?;
        durable::create_dir_all(dir)?;
        let _lock = DirLock::acquire(dir)?;
        let mut tries = 0u32;
        let (frozen, data) = loop {
            tries = tries.saturating_add(1);
            let known = earlier.iter().flat_map(|manifest| &manifest.data).map(|entry| (entry.path.as_str(), entry));
            let known = known.collect();
            let mut copy = Copy { dir, earlier: earlier.as_ref(), known, progress, done: CopyProgress::default() };
            match self.copy_data(&mut copy) {
                Err(BackupError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound && tries < TRIES => {}
                copied => break copied?,
            }
        };
        let files = dir.join("files");
        durable::create_dir_all(&files)?;
        let home = beside
            .home
            .iter()
            .map(|file| keep_file(&files, file, earlier.as_ref()))
            .collect::<Result<Vec<Entry>, _>>()?;
        let manifest = Manifest {
            format: FORMAT,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            made_at: at,
            sequence: frozen.applied.sequence,
            chain: HEXLOWER.encode(&frozen.applied.hash),
            states: frozen.states,
            data,
            home,
            keys: beside.keys,
            left_out: beside.left_out.clone(),
            configuration: beside.configuration.clone(),
            sha256: None,
        };
        let manifest = manifest.sealed();
        let text = serde_json::to_vec_pretty(&manifest).map_err(io::Error::from).map_err(at_path(dir))?;
        durable::replace(&dir.join(MANIFEST), &text)?;
        let named = manifest.data.iter().map(|entry| entry.path.as_str()).collect();
        prune(&dir.join("data"), &named, "")?;
        prune(&files, &manifest.home.iter().map(|entry| entry.sha256.as_str()).collect(), "")?;
        Ok(manifest)
    }

    fn copy_data(&self, copy: &mut Copy<'_>) -> Result<(Frozen, Vec<Entry>), BackupError> {
        let layout = &self.0.layout;
        // Facts behind the frame may let bodies expire that it still names.
        let _stay = self.0.leaving.stay();
        // No segment may be given back between the choice of the frame and the list of what it needs.
        let alone = self.0.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        // Listed before the frame is chosen: a snapshot that is there now tells of no later one.
        let snapshots: Vec<String> =
            names(&layout.journal)?.into_iter().filter(|name| segment_number(name).is_none()).collect();
        let frozen = self.frozen();
        copy.continues(&layout.journal, &frozen.applied)?;
        let last = last_segment(&layout.journal, frozen.applied.sequence)?;
        let mut segments: Vec<u64> = names(&layout.journal)?.iter().filter_map(|name| segment_number(name)).collect();
        segments.sort_unstable();
        let mut files: Vec<(PathBuf, String, Option<u64>)> = Vec::new();
        for number in segments.into_iter().filter(|number| last.is_some_and(|(last, _)| *number <= last)) {
            let path = segment_path(&layout.journal, number);
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let end = last.filter(|(last, _)| *last == number).map(|(_, end)| end);
            files.push((path, format!("journal/{name}"), end));
        }
        let whole = |dir: &Path, below: &str, names: Vec<String>| {
            names.into_iter().map(|name| (dir.join(&name), format!("{below}/{name}"), None)).collect::<Vec<_>>()
        };
        files.extend(whole(&layout.journal, "journal", snapshots));
        files.extend(whole(&layout.bodies, "bodies", names(&layout.bodies)?));
        files.extend(whole(&layout.certificates, "certificates", names(&layout.certificates)?));
        drop(alone);
        if layout.environment.exists() {
            let len = len_of(&layout.environment);
            files.push((layout.environment.clone(), ENVIRONMENT.to_owned(), Some(len)));
        }
        let mut entries = Vec::with_capacity(files.len());
        copy.done.of_bytes = files.iter().map(|(path, _, end)| end.unwrap_or_else(|| len_of(path))).sum();
        for (path, name, end) in files {
            match copy.file(&path, &name, end) {
                // A body that went by itself meanwhile is named by no fact up to the frame: its commit was refused.
                Err(BackupError::Io { source, .. })
                    if source.kind() == io::ErrorKind::NotFound && name.starts_with("bodies/") => {}
                entry => entries.push(entry?),
            }
        }
        Ok((frozen, entries))
    }

    /// The last acknowledged frame, and the counts that belong to it.
    fn frozen(&self) -> Frozen {
        loop {
            let applied = self.0.index.applied();
            let states = self.0.index.states().into_iter().collect();
            if self.0.index.applied() == applied {
                return Frozen { applied, states };
            }
        }
    }

    /// Whether this store is what the manifest describes: the same frames, the same messages.
    pub(super) fn is(&self, manifest: &Manifest) -> bool {
        let frozen = self.frozen();
        frozen.applied.sequence == manifest.sequence
            && HEXLOWER.encode(&frozen.applied.hash) == manifest.chain
            && frozen.states == manifest.states
    }
}

/// A moment of the store.
struct Frozen {
    applied: Applied,
    states: BTreeMap<State, u64>,
}

/// Files on their way into the folder.
struct Copy<'a> {
    dir: &'a Path,
    earlier: Option<&'a Manifest>,
    known: HashMap<&'a str, &'a Entry>,
    progress: &'a dyn Fn(CopyProgress),
    done: CopyProgress,
}

impl Copy<'_> {
    /// One file, up to `end` when it is still written to.
    fn file(&mut self, source: &Path, name: &str, end: Option<u64>) -> Result<Entry, BackupError> {
        let target = self.dir.join("data").join(name);
        let len = end.unwrap_or_else(|| len_of(source));
        let entry = match self.known.get(name).filter(|entry| entry.len == len && len_of(&target) >= len) {
            Some(entry) if end.is_none() && len_of(source) == len => Entry::clone(entry),
            _ => {
                durable::create_dir_all(target.parent().unwrap_or(self.dir))?;
                let sha256 = if end.is_none() && link(source, &target)? {
                    sum(&target, len)?
                } else {
                    copy_file(source, &target, len)?
                };
                Entry { path: name.to_owned(), len, sha256 }
            }
        };
        self.done.bytes = self.done.bytes.saturating_add(len);
        (self.progress)(self.done);
        Ok(entry)
    }

    /// The earlier backup in the folder must be of this journal: its last frame is a frame of ours.
    fn continues(&self, journal: &Path, applied: &Applied) -> Result<(), BackupError> {
        let Some(earlier) = self.earlier.filter(|earlier| earlier.sequence > 0) else { return Ok(()) };
        let same = earlier.sequence < applied.sequence
            || earlier.sequence == applied.sequence && earlier.chain == HEXLOWER.encode(&applied.hash);
        // The frame behind it carries its hash. Once that was given back, as in time it is in every journal, nothing tells.
        let follows = match earlier.sequence.checked_add(1).filter(|next| *next <= applied.sequence) {
            Some(next) => previous_hash(journal, next)?.is_none_or(|hash| HEXLOWER.encode(&hash) == earlier.chain),
            None => true,
        };
        if same && follows { Ok(()) } else { Err(BackupError::OtherJournal(self.dir.to_path_buf())) }
    }
}

/// The folder is new, empty, or holds an earlier backup, whose manifest comes back.
fn claim(dir: &Path) -> Result<Option<Manifest>, BackupError> {
    if dir.join(MANIFEST).exists() {
        return Manifest::load(dir).map(Some);
    }
    let ours = |name: &String| ["lock", "data", "files"].contains(&name.as_str());
    match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(BackupError::Io { path: dir.to_path_buf(), source }),
        // A first backup that broke off left these.
        Ok(_) if names(dir)?.iter().all(ours) => Ok(None),
        Ok(_) => Err(BackupError::NotOurs(dir.to_path_buf())),
    }
}

/// The segment that holds a frame, and where that frame ends in it; none when there is no frame yet.
fn last_segment(journal: &Path, sequence: u64) -> Result<Option<(u64, u64)>, BackupError> {
    let found = find_frame(journal, sequence)?;
    match found {
        Some((segment, _, end)) => Ok(Some((segment, end))),
        None if sequence == 0 => Ok(None),
        None => Err(BackupError::Io {
            path: journal.to_path_buf(),
            source: io::Error::new(io::ErrorKind::NotFound, format!("frame {sequence} is in no segment")),
        }),
    }
}

/// What frame `sequence` says that the hash of the one before is; none when it is in no segment any more.
fn previous_hash(journal: &Path, sequence: u64) -> Result<Option<[u8; 32]>, BackupError> {
    Ok(find_frame(journal, sequence)?.map(|(_, head, _)| head.previous))
}

/// A frame by its sequence: its segment, its head, and the offset behind it. Only heads are read: whoever restores the
/// copy checks every byte.
fn find_frame(journal: &Path, sequence: u64) -> Result<Option<(u64, FrameHead, u64)>, BackupError> {
    let mut numbers: Vec<u64> = names(journal)?.iter().filter_map(|name| segment_number(name)).collect();
    numbers.sort_unstable();
    for number in numbers.into_iter().rev() {
        let path = segment_path(journal, number);
        let mut file = File::open(&path).map_err(at_path(&path))?;
        let mut header = [0u8; SEGMENT_HEADER];
        file.read_exact(&mut header).map_err(at_path(&path))?;
        let header = SegmentHeader::decode(&header)
            .map_err(|_| BackupError::Damaged { path: path.clone(), what: "the header of the segment".to_owned() })?;
        if header.chain.next > sequence {
            continue;
        }
        return Ok(scan(&mut io::BufReader::new(file), sequence)
            .map_err(at_path(&path))?
            .map(|(head, end)| (number, head, end)));
    }
    Ok(None)
}

/// Runs over frames to the one with this sequence.
fn scan(input: &mut io::BufReader<File>, sequence: u64) -> io::Result<Option<(FrameHead, u64)>> {
    let mut end = u64::try_from(SEGMENT_HEADER).unwrap_or(u64::MAX);
    let mut bytes = [0u8; FRAME_HEAD];
    loop {
        match input.read_exact(&mut bytes) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
        let Ok(head) = FrameHead::decode(&bytes) else { return Ok(None) };
        let payload = i64::try_from(head.payload).unwrap_or(i64::MAX);
        let whole = u64::try_from(FRAME_HEAD.saturating_add(head.payload)).unwrap_or(u64::MAX);
        end = end.saturating_add(whole);
        if head.sequence == sequence {
            return Ok(Some((head, end)));
        }
        input.seek_relative(payload)?;
    }
}

/// Links a whole file, durably; false when that is not possible here.
fn link(source: &Path, target: &Path) -> Result<bool, BackupError> {
    let parent = target.parent().unwrap_or(Path::new("."));
    if !durable::same_filesystem(source, parent).unwrap_or(false) {
        return Ok(false);
    }
    let aside = parent.join(format!("{TEMPORARY_PREFIX}link"));
    let _ = fs::remove_file(&aside);
    match durable::hard_link_unsynced(source, &aside) {
        Ok(()) => {
            // A body has its name before its bytes are on the disk.
            durable::sync_file(&aside)?;
            durable::rename(&aside, target)?;
            // Two names of one file: the rename did nothing.
            let _ = fs::remove_file(&aside);
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(BackupError::Io { path: source.to_path_buf(), source: error })
        }
        Err(_) => Ok(false),
    }
}

/// Copies the first `len` bytes durably; returns their SHA-256.
pub(super) fn copy_file(source: &Path, target: &Path, len: u64) -> Result<String, BackupError> {
    let input = File::open(source).map_err(at_path(source))?;
    let mut file = NewFile::create_in(target.parent().unwrap_or(Path::new(".")))?;
    let sha256 = pour(input, len, &mut file).map_err(at_path(source))?;
    file.replace(target)?;
    Ok(sha256)
}

/// A file of a backup is what the manifest says, over the length that it says.
pub(super) fn check_file(path: &Path, entry: &Entry) -> Result<(), BackupError> {
    let damaged = |what: String| BackupError::Damaged { path: path.to_path_buf(), what };
    match sum(path, entry.len) {
        Ok(sha256) if sha256 == entry.sha256 => Ok(()),
        Ok(_) => Err(damaged("its SHA-256 is another".to_owned())),
        Err(error) => Err(damaged(error.to_string())),
    }
}

/// SHA-256 of the first `len` bytes.
fn sum(path: &Path, len: u64) -> Result<String, BackupError> {
    let input = File::open(path).map_err(at_path(path))?;
    pour(input, len, &mut io::sink()).map_err(at_path(path))
}

fn pour(input: File, len: u64, out: &mut dyn Write) -> io::Result<String> {
    let mut input = input.take(len);
    let (mut hash, mut buffer, mut copied) = (Sha256::new(), vec![0u8; 256 * 1024], 0u64);
    loop {
        let n = match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let bytes = buffer.get(..n).unwrap_or_default();
        hash.update(bytes);
        out.write_all(bytes)?;
        copied = copied.saturating_add(u64::try_from(n).unwrap_or(u64::MAX));
    }
    if copied == len {
        return Ok(HEXLOWER.encode(&hash.finalize()));
    }
    Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("it has {copied} bytes instead of {len}")))
}

/// A file of the home, under its sum. One that no earlier manifest names may have been cut off before it was synced.
fn keep_file(files: &Path, file: &HomeFile, earlier: Option<&Manifest>) -> Result<Entry, BackupError> {
    let sha256 = HEXLOWER.encode(&Sha256::digest(&file.bytes));
    let path = files.join(&sha256);
    let named = earlier.is_some_and(|manifest| manifest.home.iter().any(|entry| entry.sha256 == sha256));
    let whole = || sum(&path, file.bytes.len() as u64).ok().as_ref() == Some(&sha256);
    if !named || len_of(&path) != file.bytes.len() as u64 || !whole() {
        let _ = fs::remove_file(&path);
        // It may be a private key.
        save::private(&path, &file.bytes)?;
    }
    Ok(Entry { path: file.path.clone(), len: file.bytes.len() as u64, sha256 })
}

/// Removes files that the manifest no longer names: what retention took must not live on in a backup.
fn prune(dir: &Path, named: &HashSet<&str>, below: &str) -> Result<(), BackupError> {
    for entry in fs::read_dir(dir).into_iter().flatten() {
        let entry = entry.map_err(at_path(dir))?;
        let name = format!("{below}{}", entry.file_name().to_string_lossy());
        if entry.file_type().map_err(at_path(&entry.path()))?.is_dir() {
            prune(&entry.path(), named, &format!("{name}/"))?;
        } else if !named.contains(name.as_str()) {
            durable::remove_unsynced(&entry.path()).map_err(at_path(&entry.path()))?;
        }
    }
    Ok(())
}

/// Names in a folder without temporary ones; none when it is not there.
fn names(dir: &Path) -> Result<Vec<String>, BackupError> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(at_path(dir))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(at_path(dir))?.file_name().to_string_lossy().into_owned();
        if !name.starts_with(TEMPORARY_PREFIX) {
            names.push(name);
        }
    }
    Ok(names)
}

fn len_of(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

pub(super) fn at_path(path: &Path) -> impl FnOnce(io::Error) -> BackupError + use<> {
    let path = path.to_path_buf();
    move |source| BackupError::Io { path, source }
}
