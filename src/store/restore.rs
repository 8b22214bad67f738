//! A backup becomes a data folder again, and what it would do by itself waits for a person.
//!
//! The copy is made and opened under another name; only when all of it is checked and everything open is on hold does it
//! get its own. So a restore that breaks off leaves nothing that a gateway would start on, and the next one begins anew. Its
//! own name it gets with a file [`UNFINISHED`] in it, which goes when the home around it is whole, or when a store is opened
//! on it: a data folder with that file is nobody's yet.
//!
//! What happened between the backup and the loss of the machine is not in the backup: messages that were open then may
//! have been delivered since, files that waited may have been taken, MDNs may have been sent. The journal says so twice:
//! a frame names the backup (`Link::Restored`), and each message concerned has the fact [`Fact::Restored`].

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::aside::goes_on;
use super::backup::{self, BackupError, CopyProgress, Manifest};
use super::config::StoreConfig;
use super::journal::retired::{Epoch, Link};
use super::record::{Fact, State};
use super::transaction::Transaction;
use super::{Filter, Store};
use crate::ground::durable;
use crate::ground::id::Id;

/// In a data folder whose home is not whole yet.
pub(super) const UNFINISHED: &str = "restore-unfinished";
/// Facts of one transaction.
const BATCH: usize = 500;
/// Messages looked up at once.
const ALL: usize = usize::MAX;

/// What a restore did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// What was restored.
    pub manifest: Manifest,
    /// Outbound messages on hold, MDNs that we owe included.
    pub held: u64,
    /// Messages whose files, opening or answer wait for a person.
    pub waiting: u64,
}

/// Checks every file of the backup in `dir` against its manifest (blocking I/O).
///
/// # Errors
/// [`BackupError::Manifest`], [`BackupError::Damaged`] with the file.
pub fn check(dir: &Path, progress: &dyn Fn(CopyProgress)) -> Result<Manifest, BackupError> {
    let manifest = Manifest::load(dir)?;
    let mut done = CopyProgress { bytes: 0, of_bytes: manifest.bytes() };
    let data = manifest.data.iter().map(|entry| (dir.join("data").join(&entry.path), entry));
    let home = manifest.home.iter().map(|entry| (dir.join("files").join(&entry.sha256), entry));
    for (path, entry) in data.chain(home) {
        backup::check_file(&path, entry)?;
        done.bytes = done.bytes.saturating_add(entry.len);
        progress(done);
    }
    Ok(manifest)
}

/// Whether a data folder is what a restore left that broke off: nothing has ever started on it.
pub fn broke_off(data: &Path) -> bool {
    data.join(UNFINISHED).is_file()
}

/// The home around a restored data folder is whole, or a store is opened on it. Should the disk refuse, the next opening
/// tries again.
pub fn finish(data: &Path) {
    if broke_off(data)
        && let Err(error) = durable::remove(&data.join(UNFINISHED))
    {
        tracing::warn!(%error, code = error.code(), "the mark of an unfinished restore could not be removed");
    }
}

/// Restores the store in the backup `dir` to `config.data_dir`, which must not exist, or be what a restore left that
/// [broke off] (blocking I/O). It counts as such until [`finish`]. `environment` is
/// written down as the data's own if the backup does not say of which it is, as those of earlier programs.
///
/// # Errors
/// See [`BackupError`]; `config.data_dir` does not exist then, or is what counts as broken off.
///
/// [broke off]: broke_off
pub fn restore(
    dir: &Path,
    config: StoreConfig,
    environment: Option<&str>,
    progress: &dyn Fn(CopyProgress),
) -> Result<Restored, BackupError> {
    let target = config.data_dir.clone();
    if target.exists() && !broke_off(&target) {
        return Err(BackupError::Occupied(target));
    }
    let manifest = Manifest::load(dir)?;
    let aside = beside(&target);
    if aside.exists() {
        fs::remove_dir_all(&aside).map_err(backup::at_path(&aside))?;
    }
    if target.exists() {
        durable::rename_noreplace(&target, &aside)?;
        fs::remove_dir_all(&aside).map_err(backup::at_path(&aside))?;
    }
    durable::create_dir_all(&aside)?;
    let mut done = CopyProgress { bytes: 0, of_bytes: manifest.bytes() };
    for entry in &manifest.data {
        let (from, to) = (dir.join("data").join(&entry.path), aside.join(&entry.path));
        durable::create_dir_all(to.parent().unwrap_or(&aside))?;
        let sha256 = backup::copy_file(&from, &to, entry.len).map_err(|error| short(error, &from))?;
        if sha256 != entry.sha256 {
            return Err(BackupError::Damaged { path: from, what: "its SHA-256 is another".to_owned() });
        }
        done.bytes = done.bytes.saturating_add(entry.len);
        progress(done);
    }
    let mark = aside.join(backup::ENVIRONMENT);
    if let Some(name) = environment.filter(|_| !mark.exists()) {
        durable::write_new(&mark, format!("{name}\n").as_bytes())?;
    }
    let now = config.clock.now();
    let (store, _) = Store::open(StoreConfig { data_dir: aside.clone(), ..config })?;
    if !store.is(&manifest) {
        let what = "its messages are not those of the manifest".to_owned();
        return Err(BackupError::Damaged { path: dir.join("data"), what });
    }
    let (held, waiting) = put_on_hold(&store, &manifest, now)?;
    store.stop_blocking();
    drop(store);
    durable::write_new(&aside.join(UNFINISHED), b"dxgate restore\n")?;
    durable::rename_noreplace(&aside, &target)?;
    Ok(Restored { manifest, held, waiting })
}

/// Everything that would go on by itself.
fn put_on_hold(store: &Store, manifest: &Manifest, now: Timestamp) -> Result<(u64, u64), BackupError> {
    let mut epoch = Transaction::new(now);
    epoch.link = Some(Link::Restored(Epoch { sequence: manifest.sequence, made_at: manifest.made_at }));
    commit(store, epoch)?;
    let mut open = Vec::new();
    for state in [State::Queued, State::Composed, State::Sending, State::AwaitingReceipt] {
        open.extend(store.messages(&in_state(state, ALL)).into_iter().map(|message| message.id));
    }
    let mut waiting: Vec<Id> = store.messages(&in_state(State::Received, ALL)).into_iter().map(|m| m.id).collect();
    waiting.extend(store.owing().into_iter().map(|message| message.id));
    waiting.extend(store.pending_publications(ALL).into_iter().map(|pending| pending.message));
    waiting.sort_unstable();
    waiting.dedup();
    let known: HashSet<Id> = open.iter().copied().collect();
    waiting.retain(|id| !known.contains(id));
    let all: Vec<Id> = open.iter().chain(&waiting).copied().collect();
    for batch in all.chunks(BATCH) {
        let mut transaction = Transaction::new(now);
        for id in batch {
            transaction.fact(*id, Fact::Restored { sequence: manifest.sequence });
        }
        commit(store, transaction)?;
    }
    let loose = open.iter().any(|id| store.message(id).is_none_or(|message| goes_on(message.state)));
    // An index that failed on the way may have left messages out.
    match store.poisoned() {
        Some(cause) => return Err(BackupError::Journal(cause)),
        None if loose => return Err(BackupError::Journal("a message is not on hold".to_owned())),
        None => {}
    }
    Ok((open.len() as u64, waiting.len() as u64))
}

fn commit(store: &Store, transaction: Transaction) -> Result<(), BackupError> {
    store.commit_blocking(transaction).map(drop).map_err(|error| BackupError::Journal(error.to_string()))
}

fn in_state(state: State, limit: usize) -> Filter {
    Filter { states: vec![state], limit, ..Filter::default() }
}

/// A file that ends too early is damage of the backup, not of this machine.
fn short(error: BackupError, path: &Path) -> BackupError {
    match error {
        BackupError::Io { source, .. }
            if matches!(source.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::NotFound) =>
        {
            BackupError::Damaged { path: path.to_path_buf(), what: source.to_string() }
        }
        other => other,
    }
}

fn beside(target: &Path) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    target.with_file_name(format!(".{name}.restoring"))
}
