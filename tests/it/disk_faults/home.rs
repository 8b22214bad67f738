//! R4 for a home: `dxgate init`, the first start with its token and its link for the first admin, `dxgate restore`.
//!
//! Each is cut at every operation on the disk that it makes: a point strikes the first time, the second time and so on, until
//! it is not reached any more. The process ends there, or the operation fails; a failing first and last one also for want of
//! space and half way. Afterwards there is a whole home, or nothing that starts; and the same command once more, or the next
//! start, leaves a whole one, without remains.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use dxgate::store::record::State;

use crate::proof::verified;
use crate::support::correspondent::{Kind, acknowledge};
use crate::support::gateway::{Gateway, dxgate};
use crate::support::home::{Home, PartnerFile};
use crate::support::scripted::{self, Scripted};
use crate::support::{eventually, http};

/// What is done in a folder.
pub const OPERATIONS: [&str; 7] = ["create", "dirsync", "mkdir", "remove", "rename", "sync", "write"];

/// More than any command makes of one operation.
const ENDLESS: u32 = 200;

/// What is run under failpoints.
pub trait Subject: Sync {
    /// Everything once, in a place of its own; how it ended.
    fn run(&self, place: &Path, arms: &str) -> Outcome;
    /// After a run that was struck: a whole home, or none; and whole the next time.
    fn judge(&self, place: &Path, outcome: &Outcome) -> Result<(), String>;
}

pub struct Outcome {
    pub status: ExitStatus,
    pub text: String,
}

impl Outcome {
    fn aborted(&self) -> bool {
        self.status.signal() == Some(6)
    }
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Outcome {
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        Outcome { status: output.status, text }
    }
}

/// Strikes every point at each of its operations; how many there were of each.
pub fn sweep(what: &str, points: &[String], subject: &impl Subject) -> BTreeMap<String, u32> {
    let wanted = std::env::var("DXGATE_R4_POINTS").unwrap_or_default();
    let workers: usize = std::env::var("DXGATE_R4_WORKERS").map_or(8, |text| text.parse().unwrap());
    let space = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (next, cases) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let (reached, troubles) = (Mutex::new(BTreeMap::new()), Mutex::new(Vec::new()));
    let strike = |point: &str, passed: u32, action: &str| {
        let before = if passed == 0 { String::new() } else { format!("{passed}*off->") };
        let arms = format!("{point}={before}1*return({action})");
        let own = space.path().join(cases.fetch_add(1, Ordering::Relaxed).to_string());
        // The last parts of its path are parts of the names of points.
        let place = own.join("place/case");
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        let outcome = subject.run(&place, &arms);
        let struck = action != "abort" || outcome.aborted();
        let lawful = outcome.aborted() || outcome.status.success() || outcome.status.code() == Some(3);
        let judged = match lawful {
            true => subject.judge(&place, &outcome),
            false => Err(format!("it ended with {}", outcome.status)),
        };
        if let Err(what) = judged {
            println!("R4 {arms} FAILED");
            troubles.lock().unwrap().push(format!("== {arms}: {what}\n{}", outcome.text));
        }
        let _ = fs::remove_dir_all(own);
        struck
    };
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(point) = points.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if !point.contains(&wanted) {
                        continue;
                    }
                    let count = (0..ENDLESS).find(|passed| !strike(point, *passed, "abort")).unwrap();
                    let writes = point.starts_with("write@")
                        || point.starts_with("journal-append")
                        || point.starts_with("journal-room");
                    for passed in 0..count {
                        strike(point, passed, "eio");
                        if passed == 0 || passed + 1 == count {
                            strike(point, passed, if writes { "short" } else { "enospc" });
                        }
                    }
                    reached.lock().unwrap().insert(point.clone(), count);
                }
            });
        }
    });
    let (reached, troubles) = (reached.into_inner().unwrap(), troubles.into_inner().unwrap());
    println!("R4 {what}: {} cases, operations {reached:?}", cases.load(Ordering::Relaxed));
    assert!(troubles.is_empty(), "{} cases:\n{}", troubles.len(), troubles.join("\n"));
    reached
}

/// `operation@folder`, for each operation in each of the folders.
pub fn in_folders(folders: &[&str]) -> Vec<String> {
    folders.iter().flat_map(|folder| OPERATIONS.map(|operation| format!("{operation}@{folder}"))).collect()
}

pub fn assert_reached(reached: &BTreeMap<String, u32>, points: &[&str]) {
    if std::env::var_os("DXGATE_R4_POINTS").is_none() {
        let missed: Vec<_> =
            points.iter().filter(|point| reached.get(**point).is_none_or(|count| *count == 0)).collect();
        assert!(missed.is_empty(), "never reached: {missed:?}");
    }
}

/// Files below a folder, by their path in it.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), PathBuf::from(entry.file_name()));
        if path.is_dir() {
            found.extend(files(&path).into_iter().map(|(below, bytes)| (name.join(below), bytes)));
        } else {
            found.insert(name, fs::read(path).unwrap());
        }
    }
    found
}

/// Whether a name is one that nobody wants to find.
fn is_remains(path: &Path) -> bool {
    path.iter()
        .any(|part| part.to_string_lossy().starts_with(".dxgate-tmp-") || part.to_string_lossy().contains("unfinished"))
}

fn is_private(file: &Path) -> bool {
    fs::metadata(file).unwrap().permissions().mode() & 0o077 == 0
}

struct Init;

impl Init {
    fn init(place: &Path, arms: &str) -> Outcome {
        let options = ["--dxpid", "DXPENTTEST000001", "--key-bits", "2048"];
        let mut command = dxgate();
        command.arg("init").arg(place).args(options).env("FAILPOINTS", arms).stdin(Stdio::null());
        command.output().unwrap().into()
    }

    fn is_whole(place: &Path) -> Result<(), String> {
        let doctor: Outcome =
            dxgate().arg("doctor").arg("--config").arg(place.join("gateway.toml")).output().unwrap().into();
        let files = files(place);
        let open: Vec<_> = files
            .keys()
            .filter(|name| ["pass", "key", "token"].iter().any(|end| name.extension().is_some_and(|is| is == *end)))
            .filter(|name| !is_private(&place.join(name)))
            .collect();
        if !open.is_empty() {
            return Err(format!("others may read {open:?}"));
        }
        if files.len() < 11 || !doctor.status.success() {
            return Err(format!("the doctor says {} of {:?}", doctor.text, files.keys()));
        }
        Ok(())
    }
}

impl Subject for Init {
    fn run(&self, place: &Path, arms: &str) -> Outcome {
        Init::init(place, arms)
    }

    fn judge(&self, place: &Path, outcome: &Outcome) -> Result<(), String> {
        if outcome.status.success() || place.join("gateway.toml").exists() {
            return Init::is_whole(place);
        }
        let again = Init::init(place, "");
        if !again.status.success() {
            return Err(format!("the next one says {}", again.text));
        }
        let files = files(place);
        let remains: Vec<_> = files.keys().filter(|name| is_remains(name)).collect();
        if remains.is_empty() { Init::is_whole(place) } else { Err(format!("it leaves {remains:?}")) }
    }
}

#[test]
fn an_init_that_is_cut_off_leaves_nothing_that_starts_and_the_next_one_makes_the_home() {
    let mut points = in_folders(&["case", "keys", "partners"]);
    points.extend(["mkdir@place", "dirsync@place"].map(str::to_owned));
    let reached = sweep("init", &points, &Init);
    let keys = ["create@keys", "write@keys", "sync@keys", "rename@keys", "dirsync@keys"];
    assert_reached(&reached, &keys);
    assert_reached(&reached, &["mkdir@place", "create@partners", "rename@case", "mkdir@case", "remove@case"]);
    for point in keys {
        assert!(
            std::env::var_os("DXGATE_R4_POINTS").is_some() || reached[point] == 7,
            "each file of keys: {reached:?}"
        );
    }
    // What is not of an init that broke off is never touched.
    let space = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    fs::create_dir(space.path().join("keys")).unwrap();
    fs::write(space.path().join("keys/mine.key"), "mine").unwrap();
    let refused = Init::init(space.path(), "");
    assert!(refused.status.code() == Some(2) && refused.text.contains("folder-not-empty"), "{}", refused.text);
    fs::write(space.path().join(".init-unfinished"), "").unwrap();
    assert_eq!(Init::init(space.path(), "").status.code(), Some(2));
    assert_eq!(fs::read(space.path().join("keys/mine.key")).unwrap(), b"mine");
}

/// A backup, and what is in it.
struct Restore {
    source: Home,
    backup: PathBuf,
    ids: Vec<String>,
}

impl Restore {
    fn make() -> Restore {
        let peer = Scripted::start(|number, posted| {
            let busy = || scripted::answer(503, "Retry-After: 60\r\n", b"");
            Some(if number == 0 { acknowledge(posted, Kind::default()) } else { busy() })
        });
        let source = Home::ours();
        source.partner("theirs", &PartnerFile { url: peer.url(), ..PartnerFile::default() });
        let gateway = Gateway::start(&source);
        source.submit("theirs", "done.xml", b"<done/>");
        gateway.wait_for("theirs", "sent", "done.xml");
        source.submit("theirs", "open.bin", &vec![b'o'; 1_300_000]);
        eventually("it was tried", || (peer.posted().len() == 2).then_some(()));
        let backup = source.path("backup");
        let done = dxgate().arg("backup").arg(&backup).arg("--with-keys").arg("--config").arg(source.config()).output();
        let done: Outcome = done.unwrap().into();
        assert!(done.status.success(), "{}", done.text);
        let messages = gateway.api("/api/v1/messages?limit=100");
        let ids = messages["messages"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned());
        let ids = ids.collect();
        assert!(gateway.stop().success());
        Restore { source, backup, ids }
    }

    fn restore(&self, place: &Path, arms: &str) -> Outcome {
        let mut command = dxgate();
        command.arg("restore").arg(&self.backup).arg("--to").arg(place).arg("--config").arg(self.source.config());
        command.env("FAILPOINTS", arms).stdin(Stdio::null()).output().unwrap().into()
    }

    fn is_whole(&self, place: &Path) -> Result<(), String> {
        for name in ["gateway.toml", "partners/theirs.toml"] {
            if fs::read(place.join(name)).ok() != fs::read(self.source.path(name)).ok() {
                return Err(format!("{name} is not what was backed up"));
            }
        }
        let open: Vec<_> = files(place).into_keys().filter(|name| !is_private(&place.join(name))).collect();
        if open.iter().any(|name| !name.starts_with("data")) {
            return Err(format!("others may read {open:?}"));
        }
        let messages = verified(&place.join("data"))?;
        let ids: Vec<String> = messages.iter().map(|message| message.id.to_string()).collect();
        let states: Vec<State> = messages.iter().map(|message| message.state).collect();
        let right = ids == self.ids && states == [State::Held, State::Delivered];
        let remains: Vec<_> = files(place).into_keys().filter(|name| is_remains(name)).collect();
        match (right, remains.is_empty()) {
            (true, true) => Ok(()),
            (true, false) => Err(format!("it leaves {remains:?}")),
            _ => Err(format!("its messages are {ids:?}, {states:?}")),
        }
    }
}

impl Subject for Restore {
    fn run(&self, place: &Path, arms: &str) -> Outcome {
        self.restore(place, arms)
    }

    fn judge(&self, place: &Path, outcome: &Outcome) -> Result<(), String> {
        if outcome.status.success() || place.join("gateway.toml").exists() {
            return self.is_whole(place);
        }
        let again = self.restore(place, "");
        if !again.status.success() {
            return Err(format!("the next one says {}", again.text));
        }
        self.is_whole(place)
    }
}

#[test]
fn a_restore_that_is_cut_off_leaves_nothing_that_starts_and_the_next_one_restores_everything() {
    let subject = Restore::make();
    let mut points =
        in_folders(&["case", "partners", ".data.restoring", "data", "journal", "bodies", "certificates", "tmp"]);
    let own = [
        "journal-append",
        "journal-sync",
        "journal-rewrite",
        "journal-resync",
        "journal-resume",
        "index-open",
        "index-read",
        "index-apply",
        "index-flush",
    ];
    points.extend(own.map(str::to_owned));
    points.extend(["journal-room", "mkdir@place", "dirsync@place"].map(str::to_owned));
    let reached = sweep("restore", &points, &subject);
    assert_reached(&reached, &own);
    let copied = ["create@journal", "write@journal", "sync@journal", "create@bodies", "write@bodies", "sync@bodies"];
    assert_reached(&reached, &copied);
    // The mark of what is unfinished, the rename that makes it a data folder, and the configuration around it.
    let last =
        ["rename@.data.restoring", "rename@case", "dirsync@case", "create@case", "create@partners", "remove@data"];
    assert_reached(&reached, &last);
}

/// The first start on a home whose folders are there.
struct Start;

impl Subject for Start {
    fn run(&self, place: &Path, arms: &str) -> Outcome {
        fs::create_dir_all(place).unwrap();
        let home = Home::ours();
        let own = home.path(".").canonicalize().unwrap();
        let arms = arms.replacen("@case=", &format!("@{}=", own.file_name().unwrap().to_str().unwrap()), 1);
        let mut command = dxgate();
        command.env("FAILPOINTS", &arms);
        let mut gateway = Gateway::spawn_by(&home, command);
        let ended = eventually("it is ready or has ended", || {
            gateway.ended().map(Some).or_else(|| gateway.is_ready().then_some(None))
        });
        let (status, text) = (ended.unwrap_or_else(|| gateway.stop()), fs::read_to_string(home.log()).unwrap());
        let judged = Start::starts(&home);
        fs::write(place.join("judged"), judged.err().unwrap_or_default()).unwrap();
        Outcome { status, text }
    }

    fn judge(&self, place: &Path, _: &Outcome) -> Result<(), String> {
        let judged = fs::read_to_string(place.join("judged")).unwrap();
        if judged.is_empty() { Ok(()) } else { Err(judged) }
    }
}

impl Start {
    /// The next start has whole files and answers those who bring the token.
    fn starts(home: &Home) -> Result<(), String> {
        if home.token().is_some_and(|token| token.len() != 64) {
            return Err("half a token is worse than none".to_owned());
        }
        let gateway = Gateway::start(home);
        let (token, setup) = (home.path("console.token"), home.path("console.setup"));
        let link = fs::read_to_string(&setup).map_err(|error| format!("no link for the first admin: {error}"))?;
        let secret = link.trim().split_once("/setup#").map_or("", |(_, secret)| secret);
        let answer = http::get(home.console, "/api/v1/messages", home.token().as_deref()).unwrap();
        if secret.len() != 64 || answer.status != 200 || !is_private(&token) || !is_private(&setup) {
            return Err(format!("the link is {link:?}, the API answers {}", answer.status));
        }
        if gateway.stop().success() { Ok(()) } else { Err("it does not stop in order".to_owned()) }
    }
}

#[test]
fn a_first_start_that_is_cut_off_is_followed_by_one_that_works() {
    let reached = sweep("first start", &in_folders(&["case"]), &Start);
    // Token and link.
    for point in ["create@case", "write@case", "sync@case", "rename@case"] {
        assert!(std::env::var_os("DXGATE_R4_POINTS").is_some() || reached[point] >= 2, "{reached:?}");
    }
    assert_reached(&reached, &["dirsync@case", "mkdir@case"]);
}
