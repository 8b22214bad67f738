//! Steps 1 and 2: find settled files in a partner's outbox and claim them by rename.
//!
//! A file is taken when it is a regular file, its name is neither hidden nor ignored (`*.tmp`, `*.part`, …), and its
//! size, inode and modification time have not changed for the settle time. A file that was renamed into the folder is
//! complete by that; one whose writer closed it waits a fifth of the settle time. Subfolders are left alone, unless they are
//! messages (`bundle`). A file whose name is not UTF-8 is reported and stays.
//!
//! The claim moves the file to `.claimed/<id>~<name>` on the same filesystem; the folders are synced once per sweep,
//! before any claimed file is recorded, so that a power cut cannot bring a recorded file back into the outbox.

use std::collections::{HashMap, HashSet, VecDeque};
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use tokio::time::Instant;

use super::bundle::{self, Look};
use super::intake::is_gone;
use crate::bilingual;
use crate::config::quantity::matches_pattern;
use crate::ground::durable;
use crate::ground::id::Id;
use crate::ground::text::printable;
use crate::store::record::Reason;

/// Where claimed files wait to be recorded, inside the partner's folder.
pub const CLAIMED: &str = ".claimed";
/// Files claimed in one sweep of one outbox; more wait for the next sweep, which follows at once.
const SWEEP_MAX: usize = 256;
/// A claimed name is 33 bytes longer, and companions add a suffix; 255 is the filesystem's end.
const NAME_MAX: usize = 180;

/// A file taken out of an outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Becomes the message's id.
    pub id: Id,
    /// Partner id.
    pub partner: String,
    /// The name it had in the outbox.
    pub file_name: String,
    /// Where it is now.
    pub path: PathBuf,
    /// Whether it is a folder of files that make up one message.
    pub is_folder: bool,
}

impl Claim {
    /// Bytes that its file has now. A folder, whose files nobody has counted, and what cannot be looked at have very many.
    pub(super) fn bytes(&self) -> u64 {
        let file = self.path.symlink_metadata().ok().filter(|_| !self.is_folder);
        file.map_or(u64::MAX, |file| file.len())
    }
}

/// Something in an outbox that cannot be taken, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// The file or folder.
    pub path: PathBuf,
    /// What is wrong and what to do.
    pub reason: Reason,
}

/// What a watcher saw of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    /// It was renamed into the folder: complete.
    MovedIn,
    /// Its writer closed it.
    Closed,
}

/// What a watcher saw of files, by path.
pub type Hints = HashMap<PathBuf, Hint>;

/// When a sweep looks.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// Goes into the ids of what is claimed.
    pub time: Timestamp,
    /// The settle time is counted by it, since no step of the clock moves it.
    pub instant: Instant,
}

/// What one sweep of one outbox found.
#[derive(Debug, Default)]
pub struct Sweep {
    /// Claimed now.
    pub claims: Vec<Claim>,
    /// Reported once each until they change.
    pub troubles: Vec<Trouble>,
    /// Where what was reported before is over.
    pub mended: Vec<PathBuf>,
    /// More settled files are there.
    pub more: bool,
    /// Files were seen that have not settled yet.
    pub unsettled: bool,
    /// A sync of the folders failed: what is durable there is unknown.
    pub failed_sync: Option<String>,
}

/// One partner's outbox and what is remembered of it between sweeps.
#[derive(Debug)]
pub struct Outbox {
    partner: String,
    folder: PathBuf,
    claimed: PathBuf,
    settle: Duration,
    ignore: Vec<String>,
    /// Folders of at most so many files are messages.
    folders: Option<usize>,
    seen: HashMap<String, Seen>,
    reported: HashSet<PathBuf>,
    /// Names of the last listing that no sweep has come to yet, so that a long outbox is not listed for every round.
    ahead: VecDeque<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    identity: u64,
    len: u64,
    modified: Option<SystemTime>,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    stamp: Stamp,
    since: Instant,
}

impl Outbox {
    /// The outbox of `partner` below `home` (its folder in the exchange tree).
    pub fn new(partner: &str, home: &Path, settle: Duration, ignore: &[String]) -> Outbox {
        Outbox {
            partner: partner.to_owned(),
            folder: home.join("outbox"),
            claimed: home.join(CLAIMED),
            settle,
            ignore: ignore.to_vec(),
            folders: None,
            seen: HashMap::new(),
            reported: HashSet::new(),
            ahead: VecDeque::new(),
        }
    }

    /// Takes folders of at most so many files, or none, from now on.
    pub fn take_folders(&mut self, most: Option<usize>) {
        self.folders = most;
    }

    /// The watched folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Claims what has settled by `now`. A hint that does not hold any more is dropped.
    pub fn sweep(&mut self, now: Moment, hints: &mut Hints) -> Sweep {
        self.sweep_at_most(SWEEP_MAX, now, hints)
    }

    /// The same, `most` files: the rest waits in the outbox.
    pub fn sweep_at_most(&mut self, most: usize, now: Moment, hints: &mut Hints) -> Sweep {
        let mut sweep = Sweep::default();
        let listed = self.ahead.is_empty();
        if listed {
            match self.names(&mut sweep) {
                Ok(names) => self.ahead = names.into(),
                Err(error) => {
                    self.report(&mut sweep, self.folder.clone(), folder_unreadable(&self.folder, &error));
                    return sweep;
                }
            }
            self.mend(&self.folder.clone(), &mut sweep);
        }
        let mut present = HashSet::new();
        while sweep.claims.len() < most.min(SWEEP_MAX) {
            let Some(name) = self.ahead.pop_front() else { break };
            self.consider(&name, now, hints, &mut sweep);
            present.insert(name);
        }
        // At the end of an older listing the folder is looked at afresh.
        sweep.more = !listed || !self.ahead.is_empty();
        if !sweep.more {
            let gone: Vec<String> = self.seen.keys().filter(|name| !present.contains(*name)).cloned().collect();
            for name in gone {
                let path = self.folder.join(&name);
                self.vanished(&name, &path, &mut sweep);
            }
            sweep.mended.extend(self.reported.extract_if(|path| path.symlink_metadata().is_err()));
        }
        if !sweep.claims.is_empty() {
            self.sync(&mut sweep);
        }
        sweep
    }

    /// Makes the claims durable, or gives them up for now.
    fn sync(&mut self, sweep: &mut Sweep) {
        let Err(error) = durable::fsync_dir(&self.claimed).and_then(|()| durable::fsync_dir(&self.folder)) else {
            return self.mend(&self.claimed.clone(), sweep);
        };
        sweep.failed_sync = error.is_failed_sync().then(|| error.to_string());
        self.report(sweep, self.claimed.clone(), folder_unreadable(&self.claimed, &error.into()));
        sweep.claims.clear();
    }

    /// Claims that an earlier process left behind, or that could not be recorded.
    pub fn leftovers(&self) -> io::Result<Vec<Claim>> {
        // Their renames may not be durable yet; nothing may be recorded before they are.
        durable::fsync_dir(&self.claimed)?;
        durable::fsync_dir(&self.folder)?;
        let mut claims = Vec::new();
        for entry in fs::read_dir(&self.claimed)? {
            let entry = entry?;
            let Some((id, file_name)) = entry.file_name().to_str().and_then(split_claimed) else { continue };
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            claims.push(Claim { id, partner: self.partner.clone(), file_name, path: entry.path(), is_folder });
        }
        claims.sort_by_key(|claim| claim.id);
        Ok(claims)
    }

    /// Candidate names, in their order; ignored ones are left out, those that are not UTF-8 are reported.
    fn names(&mut self, sweep: &mut Sweep) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            match name.to_str() {
                Some(name) if !is_ignored(name, &self.ignore) => names.push(name.to_owned()),
                Some(_) => {}
                None if is_ignored(&name.to_string_lossy(), &self.ignore) => {}
                // A subfolder is left alone whatever it is called, unless it is a message.
                None if self.folders.is_none() && entry.file_type().is_ok_and(|kind| kind.is_dir()) => {
                    self.mend(&entry.path(), sweep);
                }
                None => {
                    let path = entry.path();
                    let reason = bad_name(&path);
                    self.report(sweep, path, reason);
                }
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn consider(&mut self, name: &str, now: Moment, hints: &mut Hints, sweep: &mut Sweep) {
        let path = self.folder.join(name);
        let metadata = match path.symlink_metadata() {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.vanished(name, &path, sweep),
            Err(error) => return self.report(sweep, path.clone(), unreadable(&path, &error)),
        };
        let files = match self.files_of(&path, &metadata) {
            Ok(Some(Look::Files(len, modified))) => Some((len, modified)),
            Ok(None) if !metadata.is_dir() => None,
            Ok(looked) => {
                // Before it can go it changes, and no watcher looks into it: that it once came whole counts no more.
                hints.remove(&path);
                return match looked {
                    Some(Look::Unfit(reason)) => self.report(sweep, path, reason),
                    Some(Look::Unfinished(file, len, modified)) => {
                        let stamp = Stamp { identity: durable::identity(&metadata), len, modified };
                        self.wait_for(name, (&path, &file), stamp, now.instant, sweep);
                    }
                    _ => self.mend(&path, sweep),
                };
            }
            Err(error) if is_gone(&path, &error) => return self.vanished(name, &path, sweep),
            Err(error) => {
                hints.remove(&path);
                return self.report(sweep, path.clone(), unreadable(&path, &error));
            }
        };
        if let Some(reason) = refusal(&path, name, &metadata) {
            return self.report(sweep, path, reason);
        }
        let (len, modified) = files.unwrap_or((metadata.len(), metadata.modified().ok()));
        let stamp = Stamp { identity: durable::identity(&metadata), len, modified };
        if !self.settled(name, stamp, hints.get(&path).copied(), now.instant) {
            sweep.unsettled = true;
            return;
        }
        match self.claim(name, &path, metadata.is_dir(), now.time) {
            Ok(claim) => {
                self.seen.remove(name);
                self.mend(&path, sweep);
                sweep.claims.push(claim);
            }
            // The folder of claimed files may be what is missing.
            Err(error) if error.kind() == io::ErrorKind::NotFound && path.symlink_metadata().is_err() => {
                self.vanished(name, &path, sweep)
            }
            Err(error) => {
                if metadata.is_dir() {
                    // The same: somebody will change what is in it.
                    hints.remove(&path);
                }
                self.report(sweep, path.clone(), unreadable(&path, &error));
            }
        }
    }

    /// What is in a folder that is a message; `None` for everything else.
    fn files_of(&self, path: &Path, metadata: &Metadata) -> io::Result<Option<Look>> {
        let Some(most) = self.folders.filter(|_| metadata.is_dir()) else { return Ok(None) };
        bundle::look(path, metadata, &self.ignore, most).map(Some)
    }

    /// A folder with a file that is not to be sent: told once nothing in it changes any more, since nobody finishes it then.
    fn wait_for(&mut self, name: &str, (path, file): (&Path, &str), stamp: Stamp, now: Instant, sweep: &mut Sweep) {
        if self.settled(name, stamp, None, now) {
            self.report(sweep, path.to_owned(), bundle::unfinished(path, file));
        } else {
            self.mend(path, sweep);
        }
    }

    fn settled(&mut self, name: &str, stamp: Stamp, hint: Option<Hint>, now: Instant) -> bool {
        let quiet = match hint {
            Some(Hint::MovedIn) => return true,
            Some(Hint::Closed) => self.settle / 5,
            None => self.settle,
        };
        let seen = self.seen.entry(name.to_owned()).or_insert(Seen { stamp, since: now });
        if seen.stamp != stamp {
            *seen = Seen { stamp, since: now };
        }
        now.saturating_duration_since(seen.since) >= quiet
    }

    /// Makes sure that each file can be read, so that what cannot stays where its owner finds it, then moves it.
    fn claim(&self, name: &str, path: &Path, is_folder: bool, now: Timestamp) -> io::Result<Claim> {
        if is_folder {
            bundle::open_each(path)?;
        } else {
            drop(durable::open_regular(path)?);
        }
        let id = Id::new(now);
        let target = self.claimed.join(format!("{id}~{name}"));
        durable::rename_noreplace_unsynced(path, &target)?;
        Ok(Claim { id, partner: self.partner.clone(), file_name: name.to_owned(), path: target, is_folder })
    }

    fn vanished(&mut self, name: &str, path: &Path, sweep: &mut Sweep) {
        if self.seen.remove(name).is_some() {
            let shown = printable(&path.display().to_string());
            let text = bilingual!(
                "文件 {shown} 在被取走之前消失了，未发送。若为误删，请重新放入发件箱。",
                "{shown} vanished before it was taken and was not sent. If that was not intended, drop it again."
            );
            sweep.troubles.push(Trouble { path: path.into(), reason: reason("outbox-file-vanished", text) });
            // There is nothing left to be taken.
            sweep.mended.push(path.into());
        }
    }

    fn mend(&mut self, path: &Path, sweep: &mut Sweep) {
        sweep.mended.extend(self.reported.take(path));
    }

    fn report(&mut self, sweep: &mut Sweep, path: PathBuf, reason: Reason) {
        if self.reported.insert(path.clone()) {
            sweep.troubles.push(Trouble { path, reason });
        }
    }
}

/// Why an entry can never be taken, whatever its age.
fn refusal(path: &Path, name: &str, metadata: &Metadata) -> Option<Reason> {
    if !metadata.is_file() && !metadata.is_dir() {
        let shown = printable(&path.display().to_string());
        let text = bilingual!(
            "{shown} 不是普通文件（符号链接、管道等），不会发送。请放入文件本身。",
            "{shown} is not a regular file (a link, a pipe, …) and is not sent. Put the file itself there."
        );
        return Some(reason("outbox-not-a-file", text));
    }
    if name.len() > NAME_MAX || name.contains('\u{FFFD}') || printable(name) != name {
        return Some(bad_name(path));
    }
    None
}

fn bad_name(path: &Path) -> Reason {
    let shown = printable(&path.display().to_string());
    let text = bilingual!(
        "{shown} 的文件名过长（超过 {NAME_MAX} 字节）或含不可用字符（须为 UTF-8 编码），不会发送。请改名。",
        "the name of {shown} is longer than {NAME_MAX} bytes, has unusable characters or is not UTF-8; it is not sent. Rename it."
    );
    reason("outbox-bad-name", text)
}

fn unreadable(path: &Path, error: &io::Error) -> Reason {
    let shown = printable(&path.display().to_string());
    let text = bilingual!(
        "无法读取或移动 {shown}：{error}。请检查权限；文件保留原处，修正后自动发送。",
        "{shown} cannot be read or moved: {error}. Check its permissions; it stays where it is and is sent once they allow it."
    );
    reason("outbox-file-unreadable", text)
}

pub(super) fn folder_unreadable(folder: &Path, error: &io::Error) -> Reason {
    let shown = printable(&folder.display().to_string());
    let text = bilingual!(
        "无法使用文件夹 {shown}：{error}。请检查它是否存在以及网关用户的权限。",
        "the folder {shown} cannot be used: {error}. Check that it exists and that the gateway's user may write there."
    );
    reason("outbox-folder-unreadable", text)
}

fn reason(code: &str, text: crate::ground::text::Bilingual) -> Reason {
    Reason { code: code.to_owned(), text }
}

/// Hidden names, names ending in `~`, and the configured patterns.
pub(super) fn is_ignored(name: &str, patterns: &[String]) -> bool {
    name.starts_with('.') || name.ends_with('~') || patterns.iter().any(|pattern| matches_pattern(pattern, name))
}

/// Id and name of a claimed file.
pub(super) fn split_claimed(name: &str) -> Option<(Id, String)> {
    let (id, file_name) = name.split_once('~')?;
    Some((id.parse().ok()?, file_name.to_owned()))
}

/// The safe folder-tree name of a path's last element, for watchers.
pub(super) fn is_candidate(path: &Path) -> bool {
    path.file_name().and_then(OsStr::to_str).is_some_and(|name| !name.starts_with('.'))
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
