//! One lane: files go from one gateway's outbox to another's inbox, MDN and original come back.
//!
//! Files are dropped and submitted the ways users do, and each way says when the gateway answers for the file:
//!
//! | way | acknowledged when |
//! |---|---|
//! | dropped: written aside, renamed; where the power can fail also synced, file and folder | the drop has returned |
//! | dropped in haste, without a sync (only where the power can fail) | the gateway has taken it: it is in `outbox/` and `.claimed/` no more, and the power has not failed since |
//! | submitted to the API with an `Idempotency-Key`, repeated until it is answered | 202 |
//!
//! A drop that failed in the middle and a hasty one that was overtaken by a power cut may arrive or not: never twice,
//! never in part. Those who take files note what they took before they remove it, and where the power can fail they
//! sync the folder before they call it removed.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, RwLock, RwLockReadGuard};
use std::time::Duration;

use super::account::{Account, Shelf};
use crate::support::home::Home;
use crate::support::http;

/// Files on a lane that have not come back: more are not dropped.
const IN_FLIGHT: usize = 64;
/// Files that come with another one of a longer name.
const COMPANIONS: [&str; 2] = [".meta.json", ".json"];
/// Longest content that is dropped in haste: one block, so that it is there or not, but never in part.
const HASTE: usize = 4096;

/// Whether a home has power, and how often it was cut. Whoever touches its files holds it on; it is off only while the
/// filesystem is away.
pub struct Power {
    cuts: RwLock<u64>,
    /// It can fail: users sync.
    pub can_fail: bool,
}

impl Power {
    pub fn new(can_fail: bool) -> Power {
        Power { cuts: RwLock::new(0), can_fail }
    }

    /// Keeps it on, and tells how often it was cut before.
    pub fn on(&self) -> RwLockReadGuard<'_, u64> {
        self.cuts.read().unwrap()
    }

    /// Does what can be done only while nobody touches files.
    pub fn cycle(&self, work: impl FnOnce()) {
        let mut cuts = self.cuts.write().unwrap();
        work();
        *cuts += 1;
    }
}

/// One end of a lane.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    pub home: &'a Home,
    /// What the other end is called here.
    pub partner: &'static str,
    pub power: &'a Power,
}

impl Place<'_> {
    /// Where the power cannot fail, nothing may.
    fn tolerate<T>(&self, result: io::Result<T>) -> Option<T> {
        assert!(self.power.can_fail || result.is_ok(), "{}: {}", self.partner, result.err().unwrap());
        result.ok()
    }

    /// Takes all files out of a folder.
    fn empty(&self, folder: &str, mut note: impl FnMut(&str, &[u8])) -> io::Result<Vec<String>> {
        let _on = self.power.on();
        let folder = self.home.exchange(self.partner, folder);
        let names: Vec<String> =
            list(&folder)?.into_iter().filter(|name| !COMPANIONS.iter().any(|end| name.ends_with(end))).collect();
        for name in &names {
            let content = fs::read(folder.join(name))?;
            note(name, &content);
            let companions = COMPANIONS.map(|end| folder.join(format!("{name}{end}")));
            let companion = companions.iter().find(|path| path.exists());
            let wanted = !folder.ends_with("sent");
            assert!(companion.is_some() == wanted || self.power.can_fail, "{name} appears after its companion");
            fs::remove_file(folder.join(name))?;
            companion.map_or(Ok(()), fs::remove_file)?;
        }
        if self.power.can_fail && !names.is_empty() {
            File::open(&folder)?.sync_all()?;
        }
        Ok(names)
    }

    fn drop_file(&self, name: &str, content: &[u8], synced: bool) -> io::Result<()> {
        let _on = self.power.on();
        let outbox = self.home.exchange(self.partner, "outbox");
        let aside = outbox.join(format!(".{name}"));
        let mut file = File::create(&aside)?;
        file.write_all(content)?;
        if synced {
            file.sync_all()?;
        }
        fs::rename(&aside, outbox.join(name))?;
        if synced { File::open(&outbox)?.sync_all() } else { Ok(()) }
    }

    /// Whether the gateway has taken a file, as far as one sees from outside.
    fn has_left(&self, name: &str) -> io::Result<bool> {
        if self.home.exchange(self.partner, "outbox").join(name).try_exists()? {
            return Ok(false);
        }
        let end = format!("~{name}");
        let claimed = fs::read_dir(self.home.exchange(self.partner, ".claimed"))?;
        let names: io::Result<Vec<_>> = claimed.map(|entry| Ok(entry?.file_name())).collect();
        Ok(!names?.iter().any(|name| name.to_string_lossy().ends_with(&end)))
    }

    fn submit(&self, name: &str, key: &str, content: &[u8]) -> bool {
        let Some(token) = self.home.token() else { return false };
        let path = format!("/api/v1/partners/{}/messages?name={name}", self.partner);
        let headers = format!("Authorization: Bearer {token}\r\nIdempotency-Key: {key}\r\n");
        http::post(self.home.console, &path, &headers, content).is_ok_and(|answer| answer.status == 202)
    }
}

/// A lane and how far its files have come.
pub struct Lane<'a> {
    pub name: &'static str,
    pub from: Place<'a>,
    pub to: Place<'a>,
    pub account: Account,
    progress: Mutex<Progress>,
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Progress {
    acknowledged: BTreeSet<String>,
    received: BTreeSet<String>,
    returned: BTreeSet<String>,
    answered: BTreeSet<String>,
}

/// A file that was let go of, and it is not known yet whether the gateway took it.
enum Open {
    Hasty { name: String, cuts: u64 },
    Submission { name: String, number: usize },
}

impl<'a> Lane<'a> {
    pub fn new(name: &'static str, from: Place<'a>, to: Place<'a>, account: Account) -> Lane<'a> {
        fs::create_dir_all(from.home.exchange(from.partner, "outbox")).unwrap();
        Lane { name, from, to, account, progress: Mutex::default() }
    }

    /// Lets go of a file at each step of the pace until told to stop, and then repeats submissions until they are
    /// answered or it is told to give up.
    pub fn produce(&self, pace: Duration, stop: &AtomicBool, give_up: &AtomicBool) {
        let (mut open, mut number) = (Vec::new(), 0);
        while !stop.load(Ordering::Relaxed) {
            open.retain(|one| !self.is_decided(one));
            if open.len() + self.in_flight() < IN_FLIGHT {
                number += 1;
                open.extend(self.offer(number));
            }
            // The load, not a wait.
            std::thread::sleep(pace);
        }
        while !open.is_empty() && !give_up.load(Ordering::Relaxed) {
            open.retain(|one| !self.is_decided(one));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn in_flight(&self) -> usize {
        let progress = self.progress.lock().unwrap();
        progress.acknowledged.len().saturating_sub(progress.returned.len())
    }

    fn offer(&self, number: usize) -> Option<Open> {
        let name = format!("{number:06}.txt");
        let content = self.content(number);
        self.account.offered(&name, &content);
        match number % 5 {
            1 if self.from.power.can_fail && content.len() <= HASTE => {
                let cuts = *self.from.power.on();
                self.from.drop_file(&name, &content, false).ok()?;
                Some(Open::Hasty { name, cuts })
            }
            3 => Some(Open::Submission { name, number }),
            _ => {
                let dropped = self.from.drop_file(&name, &content, self.from.power.can_fail);
                self.from.tolerate(dropped)?;
                self.acknowledge(&name, "dropped");
                None
            }
        }
    }

    /// Small files, some of many blocks, now and then one that is streamed; no two alike, nothing to compress.
    fn content(&self, number: usize) -> Vec<u8> {
        let length = match number {
            _ if number % 97 == 96 => 2_500_000,
            _ if number % 29 == 28 => 300_000,
            _ => 200 + number % 5000,
        };
        let mut content = format!("{} {number} ", self.name).into_bytes();
        let mut state = (number as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        while content.len() < length {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            content.extend_from_slice(&state.to_le_bytes());
        }
        content
    }

    fn is_decided(&self, open: &Open) -> bool {
        match open {
            Open::Hasty { name, cuts } => {
                let now = self.from.power.on();
                if *now != *cuts {
                    return true;
                }
                let left = self.from.has_left(name).unwrap_or(false);
                drop(now);
                left.then(|| self.acknowledge(name, "taken")).is_some()
            }
            Open::Submission { name, number } => {
                let key = format!("{}-{number}", self.name.replace(' ', "-"));
                let taken = self.from.submit(name, &key, &self.content(*number));
                taken.then(|| self.acknowledge(name, "202")).is_some()
            }
        }
    }

    fn acknowledge(&self, name: &str, how: &str) {
        self.account.acknowledged(name, how);
        self.progress.lock().unwrap().acknowledged.insert(name.to_owned());
    }

    /// Takes what comes out at both ends, until told that nothing more comes; then once more.
    pub fn attend(&self, done: &AtomicBool) {
        loop {
            let last = done.load(Ordering::Relaxed);
            self.take();
            if last {
                return;
            }
            std::thread::sleep(Duration::from_millis(25));
        }
    }

    fn take(&self) {
        for (shelf, place, folder) in [(Shelf::Inbox, self.to, "inbox"), (Shelf::Originals, self.from, "sent")] {
            let taken = place.empty(folder, |name, content| {
                self.account.taken(shelf, name, content);
                let mut progress = self.progress.lock().unwrap();
                let list = if shelf == Shelf::Inbox { &mut progress.received } else { &mut progress.returned };
                list.insert(name.to_owned());
            });
            let removed = place.tolerate(taken).unwrap_or_default();
            removed.iter().for_each(|name| self.account.removed(shelf, name));
        }
        let taken = self.from.empty("receipts", |name, content| {
            self.account.mdn(name, content);
            self.progress.lock().unwrap().answered.insert(name.trim_end_matches(".mdn").to_owned());
        });
        self.from.tolerate(taken);
    }

    /// Everything acknowledged has arrived and come back, and nothing is on its way.
    pub fn is_quiet(&self) -> bool {
        let progress = self.progress.lock().unwrap();
        let there = |list: &BTreeSet<String>| progress.acknowledged.is_subset(list) && *list == progress.received;
        there(&progress.received)
            && there(&progress.returned)
            && there(&progress.answered)
            && ["outbox", ".claimed"].iter().all(|folder| self.left_in(folder).is_empty())
    }

    /// Changes whenever a file gets on.
    pub fn steps(&self) -> usize {
        let progress = self.progress.lock().unwrap();
        progress.received.len() + progress.returned.len() + progress.answered.len()
    }

    /// Names in one of the sender's folders, also hidden ones that are not the user's own.
    pub fn left_in(&self, folder: &str) -> Vec<String> {
        let _on = self.from.power.on();
        list(&self.from.home.exchange(self.from.partner, folder)).unwrap_or_default()
    }

    /// What is missing where, for a message.
    pub fn stuck(&self) -> String {
        let progress = self.progress.lock().unwrap();
        let missing =
            |list: &BTreeSet<String>| progress.acknowledged.difference(list).take(5).cloned().collect::<Vec<_>>();
        format!(
            "{}: not received {:?}, not in sent/ {:?}, without MDN {:?}",
            self.name,
            missing(&progress.received),
            missing(&progress.returned),
            missing(&progress.answered)
        )
    }
}

/// Visible names in a folder; none when it is not there.
fn list(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let names: io::Result<Vec<String>> =
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect();
    let mut names: Vec<String> = names?.into_iter().filter(|name| !name.starts_with('.')).collect();
    names.sort();
    Ok(names)
}
