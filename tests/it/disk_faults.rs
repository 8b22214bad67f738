//! R4: every operation on the disk fails once, in every way it can, and nothing is lost or doubled.
//!
//! A victim exchanges a few messages, small and large, with two steady gateways, in both directions, with synchronous
//! and with asynchronous MDNs, while one failpoint is armed to strike at its n-th operation, as SQLite tests its I/O
//! errors. What the victim does about it is its own matter: go on, rebuild its index, end with 3, or be gone (abort). Then
//! it is started again, without failpoints, and everything must come to its end; the checker judges the account.
//!
//! A case whose point was never reached fails: it would test nothing.
//!
//! A point that exists and is in no table fails [`points`].
//!
//! What a gateway does beside messages, snapshots, expiry, compaction and backups, is in [`upkeep`]; what makes a home, `init`,
//! the first start and `restore`, in [`home`]; files that were damaged while they waited for their rename, in [`mend`]; bodies that come
//! over several connections, in [`parted`].
//!
//! `DXGATE_R4_WORKERS` (8) victims at a time; `DXGATE_R4_POINTS` (all) runs the cases whose name contains this text.

mod home;
mod lives;
mod mend;
mod parted;
mod points;
mod upkeep;

use std::collections::VecDeque;
use std::fs;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::proof::account::{Account, judge};
use crate::proof::traffic::{Peers, Traffic, VICTIM_LIMITS};
use crate::support::gateway::{Gateway, dxgate};
use crate::support::home::{Home, Station};
use crate::support::http;
use crate::support::keys;

/// Where and when: a point, and how often it is passed unharmed before.
type Point = (&'static str, &'static [u32]);

/// Operations that happen or do not.
const WHOLE: &[Point] = &[
    // The start: probes, folders, the first segment, the index, the reserve.
    ("mkdir@data", &[0, 2]),
    ("create@data", &[0]),
    ("sync@data", &[0]),
    ("rename@data", &[0]),
    ("dirsync@data", &[0, 1]),
    ("remove@data", &[0]),
    ("allocate@data", &[0]),
    ("create@exchange", &[0]),
    ("sync@exchange", &[0]),
    ("rename@exchange", &[0]),
    ("dirsync@exchange", &[0]),
    ("remove@exchange", &[0]),
    ("create@certificates", &[0]),
    ("sync@certificates", &[0]),
    ("rename@certificates", &[0]),
    ("dirsync@certificates", &[0]),
    ("mkdir@sync", &[0, 3]),
    ("dirsync@sync", &[0]),
    ("create@journal", &[0]),
    ("sync@journal", &[0]),
    ("rename@journal", &[0]),
    ("dirsync@journal", &[0, 1]),
    ("journal-resume", &[0]),
    ("index-open", &[0]),
    // Large bodies, and what composing makes on its way.
    ("create@tmp", &[0, 1, 3]),
    ("sync@tmp", &[0]),
    ("rename@tmp", &[0]),
    ("dirsync@tmp", &[0]),
    ("remove@tmp", &[0]),
    ("rename@bodies", &[0, 2]),
    ("sync@bodies", &[0, 1, 3]),
    ("dirsync@bodies", &[0, 2]),
    ("scratch-create", &[0]),
    // The journal and the index.
    ("journal-sync", &[0, 1, 5, 12]),
    ("index-read", &[0, 9, 60]),
    ("index-apply", &[0, 1, 5, 12]),
    ("index-flush", &[0]),
    // Files of users, taken and published.
    ("rename@.claimed", &[0, 3]),
    ("dirsync@.claimed", &[0, 2]),
    ("dirsync@outbox", &[0, 2]),
    ("remove@.claimed", &[0, 2]),
    ("rename@.staged", &[0, 1]),
    ("create@.staged", &[0, 3]),
    ("rename@inbox", &[0, 1, 3]),
    ("dirsync@inbox", &[0, 1]),
    ("rename@sent", &[0, 2]),
    ("dirsync@sent", &[0]),
    ("rename@receipts", &[0, 1]),
    ("dirsync@receipts", &[0]),
    ("dirsync@.staged", &[0, 2]),
];

/// Operations that write bytes, and may write some.
const WRITES: &[Point] = &[
    ("write@data", &[0]),
    ("write@journal", &[0]),
    ("write@exchange", &[0]),
    ("write@certificates", &[0]),
    ("journal-append", &[0, 1, 5, 12]),
    (ROOM, &[0, 1]),
    ("write@tmp", &[0, 1, 3]),
    ("scratch-write", &[0]),
    ("write@.staged", &[0, 3]),
];

/// Which of several ways a batch is synced depends on how many files happen to be in it.
const AT_TIMES: &[&str] = &["sync@.staged", "syncfs@.staged"];

/// What follows a write that cannot be taken back.
const CUT: &str = "journal-cut";

/// Only where the filesystem writes in place.
const ROOM: &str = "journal-room";

/// Done when the index has waited long enough, or somebody wants to read it.
const WRITTEN_FOR_READERS: &str = "index-apply";

const DEADLINE: Duration = Duration::from_secs(90);

/// Rounds of further messages, at most.
const MORE: u32 = 20;

#[derive(Debug, Clone)]
struct Case {
    /// What the variable says.
    arms: String,
    may_be_missed: bool,
}

impl Case {
    fn at(point: &str, passed: u32, action: &str) -> Case {
        let before = if passed == 0 { String::new() } else { format!("{passed}*off->") };
        Case {
            arms: format!("{point}={before}1*return({action})"),
            may_be_missed: AT_TIMES.contains(&point) || point == ROOM,
        }
    }

    fn is_of_index_writes(&self) -> bool {
        self.arms.starts_with(WRITTEN_FOR_READERS)
    }

    /// What the index gets waits in memory for more, unless somebody lists messages: a case about it needs a reader.
    fn look_at(&self, home: &Home) {
        if self.is_of_index_writes() {
            // The gateway may be on its way up or down.
            let _ = http::get(home.console, "/api/v1/messages", home.token().as_deref());
        }
    }
}

fn cases() -> VecDeque<Case> {
    let mut cases = VecDeque::new();
    for (point, passed) in WHOLE.iter().flat_map(|(point, at)| at.iter().map(move |passed| (point, *passed))) {
        let panics: &[&str] = if point.starts_with("index") { &["panic"] } else { &[] };
        cases.extend(["eio", "enospc", "abort"].iter().chain(panics).map(|action| Case::at(point, passed, action)));
    }
    for (point, passed) in WRITES.iter().flat_map(|(point, at)| at.iter().map(move |passed| (point, *passed))) {
        cases.extend(["eio", "enospc", "short", "abort"].map(|action| Case::at(point, passed, action)));
    }
    for point in AT_TIMES {
        cases.extend(["eio", "enospc", "abort"].map(|action| Case::at(point, 0, action)));
    }
    // A write that cannot be taken back.
    for action in ["eio", "enospc", "abort"] {
        let arms = format!("journal-append=4*off->1*return(short);{CUT}=return({action})");
        cases.push_back(Case { arms, may_be_missed: false });
    }
    if let Ok(wanted) = std::env::var("DXGATE_R4_POINTS") {
        cases.retain(|case| case.arms.contains(&wanted));
    }
    cases
}

#[test]
fn an_operation_on_the_disk_that_fails_loses_nothing_and_doubles_nothing() {
    let workers: usize = std::env::var("DXGATE_R4_WORKERS").map_or(8, |text| text.parse().unwrap());
    let names: Vec<String> = (0..workers).map(|number| format!("victim{number}")).collect();
    let victim = |name: &String| Home::of(&Station { as2_name: name, party: keys::ours(), more: VICTIM_LIMITS });
    let homes: Vec<Home> = names.iter().map(victim).collect();
    let victims: Vec<(&str, &Home)> = names.iter().map(String::as_str).zip(&homes).collect();
    let peers = Peers::of(&victims);
    let _steady: Vec<Gateway<'_>> = peers.0.iter().map(Gateway::start).collect();
    let ledger = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let queue = Mutex::new(cases());
    let total = queue.lock().unwrap().len();
    let (accounts, troubles) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let start = Instant::now();
    std::thread::scope(|scope| {
        for victim in &victims {
            let (queue, accounts, troubles, peers, ledger) = (&queue, &accounts, &troubles, &peers, ledger.path());
            scope.spawn(move || {
                loop {
                    let (number, case) = {
                        let mut queue = queue.lock().unwrap();
                        let Some(case) = queue.pop_front() else { return };
                        (total - queue.len(), case)
                    };
                    let began = Instant::now();
                    let (kept, trouble) = run(number, &case, *victim, peers, ledger);
                    println!(
                        "R4 {number}/{total} {} {:.1} s{}",
                        case.arms,
                        began.elapsed().as_secs_f32(),
                        if trouble.is_some() { " FAILED" } else { "" }
                    );
                    accounts.lock().unwrap().extend(kept);
                    troubles.lock().unwrap().extend(trouble);
                }
            });
        }
    });
    let (accounts, troubles) = (accounts.into_inner().unwrap(), troubles.into_inner().unwrap());
    println!("R4: {total} cases in {:.0} s", start.elapsed().as_secs_f32());
    assert!(troubles.is_empty(), "{} of {total} cases:\n{}", troubles.len(), troubles.join("\n"));
    let judgement = judge(&accounts, &["--all-offers"]);
    assert!(judgement.clean, "{}", judgement.text());
    assert_eq!(judgement.sum("taken"), judgement.sum("offered"), "{}", judgement.text());
}

/// One case; the accounts, and what went wrong.
fn run<'h>(
    number: usize,
    case: &Case,
    victim: (&'h str, &'h Home),
    peers: &'h Peers,
    ledger: &Path,
) -> (Vec<Account>, Option<String>) {
    let home = victim.1;
    for folder in ["data", "exchange"] {
        let _ = fs::remove_dir_all(home.path(folder));
    }
    let _ = fs::remove_file(home.log());
    let mut traffic = Traffic::begin(ledger, &format!("c{number}"), victim, peers);
    traffic.load(3);
    let trouble = endure(case, home, &mut traffic).err();
    let trouble = trouble.map(|what| {
        let log = fs::read_to_string(home.log()).unwrap_or_default();
        // What is wrong stands last: of a long text the end is read.
        format!("== {}\n{log}\n{}\n== {}: {what}", case.arms, traffic.standing(), case.arms)
    });
    (traffic.accounts(), trouble)
}

/// Lets the point strike, starts the victim again if that ended it, and waits until everything has arrived.
fn endure(case: &Case, home: &Home, traffic: &mut Traffic<'_>) -> Result<(), String> {
    let mut command = dxgate();
    command.env("FAILPOINTS", &case.arms);
    let mut gateway = Gateway::spawn_by(home, command);
    let mut restarted = false;
    // How often the index is written depends on who reads when: until the point is reached there is more to write.
    for round in 0.. {
        let settled = traffic.settle(DEADLINE, || {
            case.look_at(home);
            if let Some(status) = gateway.ended() {
                if restarted {
                    return Err(format!("ended with {status} although nothing is armed any more"));
                }
                judge_end(case, status, &struck(home))?;
                restarted = true;
                gateway = Gateway::spawn(home);
            }
            Ok(())
        })?;
        if !settled {
            let (ended, threads) = (gateway.ended(), gateway.threads());
            return Err(format!(
                "not everything arrived in time; restarted: {restarted}, ended: {ended:?}, threads: {threads}"
            ));
        }
        if !case.is_of_index_writes() || round == MORE || !struck(home).is_empty() {
            break;
        }
        traffic.load(1);
    }
    if let Some(status) = gateway.ended() {
        judge_end(case, status, &struck(home))?;
        gateway = Gateway::start(home);
    }
    let status = gateway.stop();
    if !status.success() {
        judge_end(case, status, &struck(home))?;
    }
    if struck(home).is_empty() && !case.may_be_missed {
        return Err("the point was never reached".to_owned());
    }
    // What was left half done by the end itself.
    let gateway = Gateway::start(home);
    let settled = traffic.take();
    if !(settled && gateway.stop().success()) {
        return Err("it does not start and stop in order afterwards".to_owned());
    }
    Ok(())
}

/// A victim may end by abort if that is what was armed, else with 3 and a word.
fn judge_end(case: &Case, status: ExitStatus, struck: &str) -> Result<(), String> {
    use std::os::unix::process::ExitStatusExt as _;
    if struck.is_empty() {
        return Err(format!("ended with {status} before the point was reached"));
    }
    let aborted = case.arms.contains("abort") && status.signal() == Some(6);
    if aborted || status.code() == Some(3) { Ok(()) } else { Err(format!("ended with {status}")) }
}

/// The log's line about the point.
fn struck(home: &Home) -> String {
    let log = fs::read_to_string(home.log()).unwrap_or_default();
    log.lines().find(|line| line.contains("failpoint")).unwrap_or_default().to_owned()
}
