//! R4 for what a store does beside messages: snapshots, expiry, compaction, backups, and the starts in between.
//!
//! The victim is this program once more: it opens a store with old messages, adds new ones, lets the keeper pass through
//! half a year and makes two backups. An unharmed run tells which points are passed in which phase; then each of them
//! strikes the first time it is passed in a phase, in every way, in a run of its own. After that the
//! victim must do all of it once more, half a year later. Then every message that was acknowledged is there with its
//! bytes, as far as its age and legal hold say, nothing is there twice or too long, no file is left that nobody names,
//! and a backup can be restored whole or is none.
//!
//! Its own [`cases`](Course::cases) are found and not listed: a new point comes in by itself. Those that must be found
//! are in [`REQUIRED`].
#![allow(clippy::print_stderr, clippy::exit, reason = "the victim is a program and speaks to its parent")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dxgate::config::{LogFormat, LogSettings};
use dxgate::ground::clock::{Clock as _, ManualClock};
use dxgate::ground::id::Id;
use dxgate::store::backup::{Beside, ENVIRONMENT, HomeFile, MANIFEST};
use dxgate::store::restore;
use dxgate::store::retention::{Keeper, RetentionPolicy};
use dxgate::store::{Filter, Message, Store, StoreConfig};
use jiff::Timestamp;

use super::lives::{Kind, LARGE, add};
use crate::proof::copy;
use crate::support::DEADLINE;

/// The case's folder, for the victim.
const VICTIM: &str = "DXGATE_UPKEEP_VICTIM";
/// What its data says of its environment.
const MARK: &str = "test\n";
/// Days by which the victim's year begins later.
const SHIFT: &str = "DXGATE_UPKEEP_SHIFT";
/// Messages of the past.
const PAST: usize = 24;
const PAYLOAD_DAYS: i64 = 30;
const EVIDENCE_DAYS: i64 = 90;
const LAST_DAY: i64 = 141;
/// A second run begins so much later.
const LATER: i64 = 100;

/// What an unharmed run passes, at the least: phase, point.
pub const REQUIRED: &[(&str, &str)] = &[
    ("open", "journal-rewrite"),
    ("open", "journal-resync"),
    ("expire-payloads", "journal-append"),
    ("expire-payloads", "journal-sync"),
    ("expire-payloads", "remove@bodies"),
    ("expire-payloads", "create@journal"),
    ("expire-payloads", "write@journal"),
    ("expire-payloads", "sync@journal"),
    ("expire-payloads", "rename@journal"),
    ("expire-payloads", "dirsync@journal"),
    ("expire-payloads", "index-read"),
    ("expire-payloads", "index-apply"),
    ("expire-evidence", "remove@bodies"),
    ("expire-evidence", "remove@journal"),
    ("expire-again", "remove@journal"),
    ("backup", "mkdir@backup"),
    ("backup", "link@journal"),
    ("backup", "link@bodies"),
    // Bodies that are linked, which have their names before their bytes are on the disk.
    ("backup", "sync@bodies"),
    ("backup", "rename@bodies"),
    ("backup", "dirsync@bodies"),
    ("backup", "create@journal"),
    ("backup", "write@journal"),
    ("backup", "sync@journal"),
    // The environment's file.
    ("backup", "create@data"),
    ("backup", "write@data"),
    ("backup", "sync@data"),
    ("backup", "rename@data"),
    ("backup", "dirsync@data"),
    ("backup", "create@files"),
    ("backup", "write@files"),
    ("backup", "sync@files"),
    ("backup", "dirsync@files"),
    ("backup", "write@backup"),
    ("backup", "sync@backup"),
    ("backup", "rename@backup"),
    ("backup", "dirsync@backup"),
    ("backup-again", "remove@journal"),
    ("backup-again", "remove@bodies"),
    ("close", "index-flush"),
];

#[test]
fn housekeeping_on_a_failing_disk_loses_nothing_and_leaves_no_half_backup() {
    if let Some(dir) = std::env::var_os(VICTIM) {
        return live(Path::new(&dir));
    }
    let space = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let past = Past::make(&space.path().join("past"));
    let course = Course::of(&past, &space.path().join("unharmed/case"));
    let queue = Mutex::new(course.cases());
    let total = queue.lock().unwrap().len();
    let troubles = Mutex::new(Vec::new());
    let start = Instant::now();
    let workers: usize = std::env::var("DXGATE_R4_WORKERS").map_or(8, |text| text.parse().unwrap());
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let (number, arms) = {
                        let mut queue = queue.lock().unwrap();
                        let Some(arms) = queue.pop_front() else { return };
                        (total - queue.len(), arms)
                    };
                    // The last part of its path is part of the names of points.
                    let dir = space.path().join(number.to_string()).join("case");
                    if let Err(what) = past.endure(&dir, &arms) {
                        let log = fs::read_to_string(dir.join("log")).unwrap_or_default();
                        let log: String =
                            log.lines().filter(|line| !line.contains(" passed ")).collect::<Vec<_>>().join("\n");
                        println!("R4 {arms} FAILED");
                        troubles.lock().unwrap().push(format!("== {arms}: {what}\n{log}"));
                    }
                    let _ = fs::remove_dir_all(dir.parent().unwrap());
                }
            });
        }
    });
    println!("R4: {total} cases of housekeeping in {:.0} s", start.elapsed().as_secs_f32());
    let troubles = troubles.into_inner().unwrap();
    assert!(troubles.is_empty(), "{} of {total} cases:\n{}", troubles.len(), troubles.join("\n"));
}

/// What an unharmed run passes, in its order: phase and point.
struct Course(Vec<(String, String)>);

impl Course {
    fn of(past: &Past, dir: &Path) -> Course {
        past.settle(dir);
        let status = run(dir, "", 0);
        let log = fs::read_to_string(dir.join("log")).unwrap();
        assert!(status.success(), "unharmed, it ended with {status}:\n{log}");
        let (mut phase, mut passed) = (String::new(), Vec::new());
        for line in log.lines() {
            if let Some(name) = line.strip_prefix("phase ") {
                phase = name.to_owned();
            } else if let Some((_, point)) = line.split_once("passed point=\"") {
                passed.push((phase.clone(), point.trim_end_matches('"').to_owned()));
            }
        }
        for (phase, point) in REQUIRED {
            let is_there = passed.iter().any(|(at, name)| (at.as_str(), name.as_str()) == (*phase, *point));
            assert!(is_there, "{point} is not passed in the phase {phase}");
        }
        Course(passed)
    }

    /// What the variable says in each case.
    fn cases(&self) -> VecDeque<String> {
        let mut strikes: Vec<(&str, usize)> = Vec::new();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for (phase, point) in &self.0 {
            let count = counts.entry(point).or_default();
            let like = match phase.as_str() {
                "work-more" | "work-again" => "work",
                // The first time segments go, the second time a snapshot.
                "expire-again" if !point.starts_with("remove") => "expire-evidence",
                phase => phase,
            };
            if seen.insert((like, point)) {
                strikes.push((point, *count));
            }
            *count += 1;
        }
        let mut cases = VecDeque::new();
        for (point, passed) in strikes {
            let writes =
                point.starts_with("write@") || ["journal-append", "journal-rewrite", "journal-room"].contains(&point);
            let more = match point {
                _ if writes => &["short"][..],
                _ if point.starts_with("index") => &["panic"],
                _ => &[],
            };
            for action in ["eio", "enospc", "abort"].iter().chain(more) {
                let before = if passed == 0 { String::new() } else { format!("{passed}*off->") };
                cases.push_back(format!("{point}={before}1*return({action})"));
            }
        }
        if let Ok(wanted) = std::env::var("DXGATE_R4_POINTS") {
            cases.retain(|arms| arms.contains(&wanted));
        }
        cases
    }
}

/// The victim's data before it begins.
struct Past {
    dir: PathBuf,
    /// What was acknowledged.
    known: BTreeMap<Id, usize>,
}

impl Past {
    fn make(dir: &Path) -> Past {
        let store = open(&dir.join("data"), 0).unwrap();
        fs::write(dir.join("data").join(ENVIRONMENT), MARK).unwrap();
        let known = (0..PAST).map(|number| (add(&store, day(number as i64 / 3), number).unwrap(), number)).collect();
        Past { dir: dir.to_path_buf(), known }
    }

    fn settle(&self, dir: &Path) {
        copy(&self.dir.join("data"), &dir.join("data"));
    }

    /// One case: struck, judged, unharmed, judged.
    fn endure(&self, dir: &Path, arms: &str) -> Result<(), String> {
        self.settle(dir);
        let status = run(dir, arms, 0);
        let struck = fs::read_to_string(dir.join("log")).unwrap_or_default().contains("failpoint");
        let aborted = arms.contains("abort") && status.signal() == Some(6);
        if !struck {
            return Err(format!("the point was never reached; it ended with {status}"));
        }
        if !(status.success() || status.code() == Some(3) || aborted) {
            return Err(format!("it ended with {status}"));
        }
        judge_backup(dir, "restored", status.success())?;
        let status = run(dir, "", LATER);
        if !status.success() {
            return Err(format!("afterwards it ended with {status}"));
        }
        let messages = self.judge(dir)?;
        let restored = judge_backup(dir, "restored-again", true)?;
        if restored != messages {
            return Err(format!("the backup has {} messages of {}", restored.len(), messages.len()));
        }
        Ok(())
    }

    /// The data after everything; the messages.
    fn judge(&self, dir: &Path) -> Result<BTreeSet<Id>, String> {
        let store = open(&dir.join("data"), LATER + LAST_DAY)?;
        let report = store.verify_journal_and_bodies().map_err(|error| error.to_string())?;
        if report.retired == 0 || report.snapshots != 2 {
            return Err(format!("no segment was given back, or snapshots are missing: {report:?}"));
        }
        let mut known = self.known.clone();
        for line in fs::read_to_string(dir.join("ledger")).unwrap().lines() {
            let (id, number) = line.split_once(' ').unwrap();
            known.insert(id.parse().unwrap(), number.parse().unwrap());
        }
        let mut messages: BTreeMap<Id, Message> =
            all(&store).into_iter().map(|message| (message.id, message)).collect();
        let ids = messages.keys().copied().collect();
        let mut files: BTreeSet<String> =
            fs::read_dir(dir.join("data/bodies")).unwrap().map(|file| name_of(&file.unwrap())).collect();
        for body in messages.values().flat_map(Message::bodies) {
            files.remove(&body.id.to_string());
        }
        if !files.is_empty() {
            return Err(format!("files of no message: {files:?}"));
        }
        for (id, number) in known {
            let (kind, message) = (Kind::of(number), messages.remove(&id));
            let age = LATER + LAST_DAY - day_of(&id);
            match message {
                None if kind.expires() && age >= EVIDENCE_DAYS => {}
                None => return Err(format!("message {number} is lost, {age} days old")),
                Some(_) if kind.expires() && age >= EVIDENCE_DAYS => {
                    return Err(format!("message {number} is still there after {age} days"));
                }
                Some(message) => kind.holds(&store, &message, kind.expires() && age >= PAYLOAD_DAYS)?,
            }
        }
        // A commit that nobody was told of may be durable.
        if messages.len() > 1 {
            return Err(format!("messages that nobody knows: {:?}", messages.keys()));
        }
        Ok(ids)
    }
}

/// A backup is whole, or there is none.
fn judge_backup(dir: &Path, place: &str, wanted: bool) -> Result<BTreeSet<Id>, String> {
    let (backup, place) = (dir.join("backup"), dir.join(place));
    let config = config(&place, Arc::new(ManualClock::new(day(LATER + LAST_DAY))));
    let restored = restore::restore(&backup, config, None, &|_| {});
    match restored {
        Err(_) if !wanted && !backup.join(MANIFEST).exists() => {
            if place.exists() {
                Err("a restore of nothing left something".to_owned())
            } else {
                Ok(BTreeSet::new())
            }
        }
        Err(error) => Err(format!("the backup cannot be restored: {error}")),
        Ok(_) => {
            let store = open(&place, LATER + LAST_DAY)?;
            store.verify_journal_and_bodies().map_err(|error| format!("the restored store: {error}"))?;
            let mark = fs::read_to_string(place.join(ENVIRONMENT)).map_err(|error| format!("the mark: {error}"))?;
            if mark != MARK {
                return Err(format!("the restored data is of {mark:?}"));
            }
            Ok(all(&store).into_iter().map(|message| message.id).collect())
        }
    }
}

/// The victim as a child.
fn run(dir: &Path, arms: &str, shift: i64) -> ExitStatus {
    let log = fs::File::options().create(true).append(true).open(dir.join("log")).unwrap();
    let name = "disk_faults::upkeep::housekeeping_on_a_failing_disk_loses_nothing_and_leaves_no_half_backup";
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(VICTIM, dir)
        .env(SHIFT, shift.to_string())
        .env("FAILPOINTS", arms)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .status()
        .unwrap()
}

/// The victim: half a year in a second. Ends with 3 when the store has failed, as the gateway does.
fn live(dir: &Path) {
    let level = "warn,dxgate::ground::fault=trace".to_owned();
    dxgate::app::start_logging(&LogSettings { format: LogFormat::Human, level });
    let shift: i64 = std::env::var(SHIFT).unwrap().parse().unwrap();
    let _armed = dxgate::ground::fault::arm();
    let clock = Arc::new(ManualClock::new(day(shift + 60)));
    phase("open");
    let opened = catch_unwind(|| Store::open(config(&dir.join("data"), clock.clone())));
    let store = match opened {
        Ok(Ok((store, _))) => store,
        Ok(Err(error)) => end(&format!("it does not open: {error}")),
        Err(_) => end("opening panicked"),
    };
    let policy = RetentionPolicy { evidence: days(EVIDENCE_DAYS), payload: days(PAYLOAD_DAYS) };
    let keeper = Keeper::new(store.clone(), policy, clock.clone());
    let mut ledger = fs::File::options().create(true).append(true).open(dir.join("ledger")).unwrap();
    let base = if shift == 0 { 100 } else { 200 };
    let mut work = |phase_name, from: usize, at: i64| {
        phase(phase_name);
        for number in base + from..base + from + 3 {
            let id = insist(&store, || add(&store, day(shift + at), number));
            writeln!(ledger, "{id} {number}").unwrap();
        }
    };
    let pass = |phase_name, at: i64| {
        phase(phase_name);
        clock.set(day(shift + at));
        insist(&store, || keeper.pass(&|| false).map_err(|error| error.to_string()));
    };
    let back_up = |phase_name| {
        phase(phase_name);
        let file = HomeFile { path: "gateway.toml".to_owned(), bytes: format!("# {phase_name}").into_bytes() };
        let beside = Beside { home: vec![file], ..Beside::default() };
        let backup = || store.backup(&dir.join("backup"), &beside, clock.now(), &|_| {});
        insist(&store, || backup().map_err(|error| error.to_string()));
    };
    work("work", 0, 60);
    pass("expire-payloads", 62);
    back_up("backup");
    work("work-more", 3, 100);
    pass("expire-evidence", 105);
    work("work-again", 6, 140);
    pass("expire-again", LAST_DAY);
    back_up("backup-again");
    phase("close");
    drop((keeper, store));
}

/// What could not be done is done again, unless the store has failed.
fn insist<T>(store: &Store, step: impl Fn() -> Result<T, String>) -> T {
    for _ in 0..3 {
        match catch_unwind(AssertUnwindSafe(&step)) {
            Ok(Ok(done)) => return done,
            Ok(Err(what)) => eprintln!("failed: {what}"),
            Err(_) => eprintln!("panicked"),
        }
        if let Some(cause) = store.poisoned() {
            end(&cause);
        }
    }
    eprintln!("it does not go on");
    std::process::exit(4)
}

fn end(cause: &str) -> ! {
    eprintln!("ended: {cause}");
    std::process::exit(3)
}

fn phase(name: &str) {
    eprintln!("phase {name}");
}

fn open(data: &Path, day_of_clock: i64) -> Result<Store, String> {
    let begin = Instant::now();
    loop {
        match Store::open(config(data, Arc::new(ManualClock::new(day(day_of_clock))))) {
            Ok((store, _)) => return Ok(store),
            // A child of another case that is just being made has our lock until it becomes another program.
            Err(error) if error.code() == "directory-in-use" && begin.elapsed() < DEADLINE => {}
            Err(error) => return Err(format!("{}: {error}", data.display())),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Segments of a few messages; a snapshot whenever something was added.
fn config(data: &Path, clock: Arc<ManualClock>) -> StoreConfig {
    StoreConfig {
        segment_bytes: 8 * 1024,
        snapshot_bytes: 1,
        inline_threshold: LARGE / 2,
        allow_untrusted_filesystem: true,
        ..StoreConfig::new(data, clock)
    }
}

fn all(store: &Store) -> Vec<Message> {
    store.messages(&Filter { limit: usize::MAX, ..Filter::default() })
}

fn name_of(entry: &fs::DirEntry) -> String {
    entry.file_name().to_string_lossy().into_owned()
}

const DAY: i64 = 24 * 3600;
const BEGIN: i64 = 1_800_000_000;

fn day(number: i64) -> Timestamp {
    Timestamp::from_second(BEGIN + number * DAY).unwrap()
}

fn days(number: i64) -> Duration {
    Duration::from_secs(u64::try_from(number * DAY).unwrap())
}

/// An id begins with its time in milliseconds.
fn day_of(id: &Id) -> i64 {
    let milliseconds = id.as_bytes()[..6].iter().fold(0i64, |time, byte| time << 8 | i64::from(*byte));
    (milliseconds / 1000 - BEGIN) / DAY
}
