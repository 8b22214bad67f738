//! One flipped bit in any file that the gateway keeps: it is noticed or does no harm, and never passes in silence.
//!
//! A gateway with a history (messages in both directions, small and large, an MDN for each; files staged but not
//! published; messages composed but not delivered) is ended, one bit of one of its files is flipped, and it is started
//! again. Then either it refuses to start and says why, or everything it says and hands out is right or an error:
//! repeated messages get the MDN they got before, published files and messages sent have the bytes they had, the list
//! of messages is the same. Damage to what is truth (journal, snapshots, bodies, certificates) must also be found by
//! verifying the journal when the gateway itself had no reason to look; every other time a snapshot is flipped, the index
//! is gone as well, so that the gateway has one. A flipped backup is not restored, or what is restored is right.
//!
//! What came of a body whose connection broke off is gone on with by its sender, and the payload arrives as it was.
//!
//! [`kind_of`] names the kinds. A file that is of none fails the test: nobody would flip it. Two kinds are put into the data
//! folder by hand, since no gateway reads them ([`UNREAD`]): a flip must change nothing at all.
//!
//! | variable | CI | full | |
//! |---|---|---|---|
//! | `DXGATE_FLIPS` | 50 | 500 | flips, over the kinds of files in turn |

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dxgate::store::Store;
use serde_json::Value;
use tempfile::TempDir;

use crate::proof::parted::Parted;
use crate::proof::{Moments, content, copy, opened, size, verified};
use crate::support::correspondent::{Kind, Letter, acknowledge, letter, open, plan};
use crate::support::gateway::{Gateway, dxgate};
use crate::support::home::{Home, PartnerFile, Station};
use crate::support::scripted::{self, Scripted};
use crate::support::{DEADLINE, eventually, http, keys};

/// Longer than what lives in the journal.
const LARGE: usize = 1_300_000;
const FOLDERS: [&str; 5] = ["data", "exchange", "backup", "keys", "onboarding"];

/// The kind of a file that the gateway keeps for itself, by its path below the home; none for files of users, among them
/// those in `.claimed`: they are their owner's until their facts are durable, and are gone then.
fn kind_of(path: &str) -> Option<&'static str> {
    let (folder, name) = path.rsplit_once('/').unwrap();
    let store = |data: &str| match (folder.strip_prefix(data)?, name) {
        ("", "lock") => Some("lock"),
        ("/journal", name) if name.ends_with(".log") => Some("journal"),
        ("/journal", name) if name.ends_with(".snapshot") => Some("snapshot"),
        ("/bodies", _) => Some("bodies"),
        ("/certificates", name) if name.ends_with(".der") => Some("certificates"),
        _ => None,
    };
    match (folder, name) {
        ("data", "reserve") => Some("reserve"),
        ("data", "environment") => Some("environment"),
        ("data", "alerts.json") => Some("alerts"),
        ("data", "testbed-control.token") => Some("token of the testbed"),
        ("data/partial", _) => Some("partial"),
        ("keys", "console.users") => Some("users"),
        ("onboarding", "dossier.json") => Some("dossier"),
        ("onboarding", "lock") => Some("lock"),
        (folder, _) if Path::new(folder).starts_with("data/index") => Some("index"),
        (folder, _) if folder.starts_with("data/index.bad-") => Some("index put aside"),
        (folder, _) if folder.ends_with("/.staged") => Some("staged"),
        ("backup", "manifest.json") => Some("backup: manifest"),
        ("backup", "lock") => Some("backup: lock"),
        ("backup/data", "environment") => Some("backup: environment"),
        ("backup/files", _) => Some("backup: files of the home"),
        (folder, _) if folder.starts_with("backup/data/") => Some(match store("backup/data")? {
            "journal" => "backup: journal",
            "snapshot" => "backup: snapshot",
            "bodies" => "backup: bodies",
            "certificates" => "backup: certificates",
            _ => return None,
        }),
        _ => store("data"),
    }
}

/// Every kind there is.
const KINDS: [&str; 23] = [
    "alerts",
    "backup: bodies",
    "backup: certificates",
    "backup: environment",
    "backup: files of the home",
    "backup: journal",
    "backup: lock",
    "backup: manifest",
    "backup: snapshot",
    "bodies",
    "certificates",
    "dossier",
    "environment",
    "index",
    "index put aside",
    "journal",
    "lock",
    "partial",
    "reserve",
    "snapshot",
    "staged",
    "token of the testbed",
    "users",
];

/// What is left for people, and what the testbed makes anew at each start: no gateway reads them.
const UNREAD: [&str; 2] = ["index put aside", "token of the testbed"];

/// What happened to everything; nothing else can tell.
const TRUTH: [&str; 4] = ["journal", "snapshot", "bodies", "certificates"];

#[test]
fn a_flipped_bit_anywhere_is_noticed_or_does_no_harm() {
    let (flips, mut moments) = (size("DXGATE_FLIPS", 50), Moments::new());
    let specimen = Specimen::make();
    let kinds = specimen.kinds();
    println!("{:?}", kinds.iter().map(|(kind, files)| (kind, files.len())).collect::<Vec<_>>());
    assert_eq!(kinds.keys().copied().collect::<Vec<_>>(), KINDS, "each kind has a file to flip a bit in");
    let mut outcomes: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    let mut silent = Vec::new();
    for (number, (kind, files)) in (0..flips).zip(kinds.iter().cycle()) {
        let file = &files[usize::try_from(moments.below(files.len() as u64)).unwrap()];
        specimen.restore();
        let bit = flip(&specimen.home.path(file), &mut moments);
        let rebuilds = *kind == "snapshot" && (number / KINDS.len() as u32).is_multiple_of(2);
        if rebuilds {
            fs::remove_dir_all(specimen.home.path("data/index")).unwrap();
        }
        let examined = if kind.starts_with("backup") { specimen.restores() } else { specimen.examine(kind, file) };
        match examined {
            Ok(outcome) => *outcomes.entry((kind, outcome)).or_default() += 1,
            Err(what) => silent.push(format!("flip {number}, bit {bit} of {file}: {what}")),
        }
    }
    println!("{flips} flips: {outcomes:#?}");
    assert!(silent.is_empty(), "{} of {flips} in silence:\n{}", silent.len(), silent.join("\n"));
}

/// A gateway's home with a history, and what is true about it.
struct Specimen {
    home: Home,
    peer: Scripted,
    /// `data` and `exchange` as they were when the gateway had ended.
    kept: TempDir,
    /// What the partner sent, with the MDN that it got.
    letters: Vec<(Letter, Vec<u8>)>,
    /// Every payload, in both directions.
    payloads: BTreeMap<String, Vec<u8>>,
    messages: Value,
    /// Those in the backup.
    backed_up: Value,
    /// What `.meta.json` files of staged messages hold.
    metas: Vec<Vec<u8>>,
    parted: Parted,
}

impl Specimen {
    fn make() -> Specimen {
        let ready = Arc::new(AtomicBool::new(true));
        let answers = ready.clone();
        let peer = Scripted::start(move |_, posted| {
            let busy = || scripted::answer(503, "Retry-After: 1\r\n", b"");
            let answer = || catch_unwind(AssertUnwindSafe(|| acknowledge(posted, Kind::default())));
            Some(if answers.load(Ordering::Relaxed) { answer().unwrap_or_else(|_| busy()) } else { busy() })
        });
        let more = "[limits]\nfree_space_floor = 0\nreserve = \"64KiB\"\n[alerts.command]\nprogram = \"/bin/true\"";
        let home = Home::of(&Station { as2_name: "ours", party: keys::ours(), more });
        home.partner("theirs", &PartnerFile { url: peer.url(), ..PartnerFile::default() });
        Parted::add_sender(&home);
        let payloads = [("small", 700), ("other", 3000), ("large", LARGE)]
            .into_iter()
            .flat_map(|(what, length)| {
                let one = |kind: &str| (format!("{kind}-{what}.bin"), content(&format!("{kind}-{what}"), length));
                ["in", "out", "staged", "pending"].map(one)
            })
            .collect();
        let kept = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let mut specimen = Specimen {
            home,
            peer,
            kept,
            letters: Vec::new(),
            payloads,
            messages: Value::Null,
            backed_up: Value::Null,
            metas: Vec::new(),
            parted: Parted::make(LARGE),
        };
        let gateway = Gateway::start(&specimen.home);
        for name in specimen.names("out") {
            specimen.home.submit("theirs", &name, &specimen.payloads[&name]);
            gateway.wait_for("theirs", "sent", &name);
        }
        specimen.letters = specimen.names("in").iter().map(|name| specimen.post(name)).collect();
        let waive = ["onboarding", "waive", "--reason", "a partner that is no customs"];
        for command in [&["user", "add", "vera", "--role", "viewer"][..], &waive] {
            assert!(specimen.command(command).success(), "{command:?}");
        }
        specimen.names("in").iter().for_each(|name| drop(gateway.wait_for("theirs", "inbox", name)));
        assert!(gateway.stop().success());
        specimen.snapshot();
        let gateway = Gateway::start(&specimen.home);
        assert!(specimen.command(&["backup", specimen.home.path("backup").to_str().unwrap()]).success());
        specimen.backed_up = identities(&gateway.api("/api/v1/messages?limit=100"));
        // A file in the way of the inbox: what comes now is staged and waits for its rename.
        let inbox = specimen.home.exchange("theirs", "inbox");
        fs::rename(&inbox, inbox.with_extension("aside")).unwrap();
        fs::write(&inbox, b"").unwrap();
        let more: Vec<_> = specimen.names("staged").iter().map(|name| specimen.post(name)).collect();
        specimen.letters.extend(more);
        let staged = specimen.home.exchange("theirs", ".staged");
        eventually("all files are staged", || (fs::read_dir(&staged).ok()?.count() == 6).then_some(()));
        let metas = files(&staged, Path::new("")).into_iter().filter(|name| name.ends_with(".meta.json"));
        specimen.metas = metas.map(|name| fs::read(staged.join(name)).unwrap()).collect();
        ready.store(false, Ordering::Relaxed);
        let before = specimen.peer.posted().len();
        for name in specimen.names("pending") {
            specimen.home.submit("theirs", &name, &specimen.payloads[&name]);
        }
        eventually("the partner is busy", || (specimen.peer.posted().len() >= before + 3).then_some(()));
        specimen.messages = identities(&gateway.api("/api/v1/messages?limit=100"));
        specimen.parted.break_off(&specimen.home);
        assert!(gateway.stop().success());
        specimen.snapshot();
        fs::remove_file(&inbox).unwrap();
        fs::create_dir(&inbox).unwrap();
        specimen.keep();
        ready.store(true, Ordering::Relaxed);
        specimen
    }

    /// As it is now, with what no gateway reads.
    fn keep(&self) {
        copy(&self.home.path("data/index"), &self.home.path("data/index.bad-20260101T000000Z"));
        fs::write(self.home.path("data/testbed-control.token"), "c0ffee\n").unwrap();
        for folder in FOLDERS {
            copy(&self.home.path(folder), &self.kept.path().join(folder));
        }
    }

    fn names(&self, kind: &str) -> Vec<String> {
        self.payloads.keys().filter(|name| name.starts_with(kind)).cloned().collect()
    }

    /// Sends one as the partner; the message, and the MDN that came back.
    fn post(&self, name: &str) -> (Letter, Vec<u8>) {
        let plan = dxgate::as2::SendPlan { file_name: Some(name.to_owned()), ..plan() };
        let letter = letter(&plan, &format!("<{name}@theirs>"), &self.payloads[name]);
        let answer = http::post(self.home.as2, "/as2", &letter.headers, &letter.body).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        (letter, answer.body)
    }

    /// Takes a snapshot, as the running gateway does after half a gigabyte.
    fn snapshot(&self) {
        let store = self.open().unwrap();
        store.take_snapshot(&|| false).unwrap().unwrap();
    }

    fn open(&self) -> Result<Store, String> {
        opened(&self.home.path("data"))
    }

    fn command(&self, arguments: &[&str]) -> ExitStatus {
        let config = self.home.config();
        let output = dxgate().args(arguments).args(["--format", "json", "--config"]).arg(config).output().unwrap();
        output.status
    }

    /// Files of the gateway by kind.
    fn kinds(&self) -> BTreeMap<&'static str, Vec<String>> {
        let mut kinds: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for root in FOLDERS {
            for file in files(self.kept.path(), Path::new(root)) {
                let users = Path::new(&file).iter().nth(2).is_some_and(|part| !part.to_string_lossy().starts_with('.'));
                match kind_of(&file) {
                    Some(kind) => kinds.entry(kind).or_default().push(file),
                    None => assert!(root == "exchange" && users, "{file} is of a kind that nobody flips"),
                }
            }
        }
        kinds
    }

    fn restore(&self) {
        for folder in FOLDERS {
            fs::remove_dir_all(self.home.path(folder)).unwrap();
            copy(&self.kept.path().join(folder), &self.home.path(folder));
        }
        let _ = fs::remove_file(self.home.log());
    }

    /// Restores the backup: it refuses, or what comes of it is what was backed up.
    fn restores(&self) -> Result<&'static str, String> {
        let place = self.home.path("restored");
        let _ = fs::remove_dir_all(&place);
        let (backup, to) = (self.home.path("backup"), place.to_str().unwrap());
        let status = self.command(&["restore", backup.to_str().unwrap(), "--to", to]);
        if status.code() == Some(1) {
            let starts = place.join("data").exists() || place.join("gateway.toml").exists();
            return if starts { Err("refused, but something is there".to_owned()) } else { Ok("not restored") };
        }
        if !status.success() {
            return Err(format!("the restore ended with {status}"));
        }
        for name in ["gateway.toml", "partners/theirs.toml"] {
            if fs::read(place.join(name)).unwrap() != fs::read(self.home.path(name)).unwrap() {
                return Err(format!("{name} was restored with other content"));
            }
        }
        let messages = verified(&place.join("data"))?;
        let ids: Vec<Value> = messages.iter().map(|message| Value::from(message.id.to_string())).collect();
        let before: Vec<Value> = self.backed_up.as_array().unwrap().iter().map(|fields| fields[0].clone()).collect();
        if ids == before { Ok("restored as it was") } else { Err(format!("{ids:?} were restored of {before:?}")) }
    }

    /// Starts the gateway on what is there now. What became of the damage, or what was wrong and nobody said so.
    fn examine(&self, kind: &str, file: &str) -> Result<&'static str, String> {
        let is_truth = TRUTH.contains(&kind);
        let before = self.peer.posted().len();
        let mut gateway = Gateway::spawn(&self.home);
        let status = eventually("the gateway is ready or has ended", || {
            gateway.ended().map(Some).or_else(|| gateway.is_ready().then_some(None))
        });
        if let Some(status) = status {
            let log = gateway.log();
            // A folder of another environment is a mistake of the configuration, and so are unusable users.
            let lawful =
                status.code() == Some(3) || ["environment", "users"].contains(&kind) && status.code() == Some(2);
            let said = lawful && log.contains("error:") && !log.contains("panicked");
            return if said { Ok("refused to start") } else { Err(format!("it ended with {status}: {log}")) };
        }
        let mut complaints = self.repeat_letters()?;
        complaints |= self.await_work(&gateway);
        self.check_files("inbox", &["staged"], complaints)?;
        self.check_files("sent", &["pending", "out"], complaints)?;
        self.check_sent(before)?;
        let listed = gateway.api("/api/v1/messages?limit=100");
        if identities(&listed) != self.messages {
            return Err(format!("the list of messages is another: {listed}\nand was: {}", self.messages));
        }
        let parted = self.parted.go_on(&gateway);
        let log = fs::read_to_string(self.home.log()).unwrap();
        let rebuilt = log.contains("rebuilt");
        if !gateway.stop().success() {
            return Err("it did not end in order".to_owned());
        }
        match (kind, parted) {
            ("partial", Ok(1)) => return Ok("not judged, and sent whole"),
            (_, Err(what)) if kind == "partial" || !complaints => return Err(what),
            _ if UNREAD.contains(&kind) && (complaints || rebuilt) => return Err("something reads it".to_owned()),
            _ => {}
        }
        match kind {
            "users" => return Err("it started on damaged users".to_owned()),
            "dossier" if self.command(&["onboarding", "status"]).success() => {
                return Err("the damaged dossier is shown".to_owned());
            }
            "dossier" => return Ok("refused when it is read"),
            "alerts" if !log.contains("alert-ledger-damaged") => return Err("the ledger of alerts is used".to_owned()),
            _ => {}
        }
        let passed_over = log.contains("snapshot-damaged");
        let mended = fs::read(self.home.path(file)).ok() == fs::read(self.kept.path().join(file)).ok();
        match (complaints, rebuilt) {
            (true, _) => Ok("reported"),
            _ if passed_over => Ok("passed over and said"),
            // A rebuild reads the latest snapshot; the one before it only if that is damaged.
            (_, true) if kind != "snapshot" => Ok("rebuilt"),
            _ if is_truth && mended => Ok("mended"),
            _ if is_truth && self.verifies() => Err("verifying the journal finds nothing".to_owned()),
            _ if is_truth => Ok("found by verifying"),
            _ => Ok("harmless"),
        }
    }

    /// The partner repeats everything: each gets its MDN or an error. Whether there were errors.
    fn repeat_letters(&self) -> Result<bool, String> {
        let mut errors = false;
        for (letter, mdn) in &self.letters {
            let answer = http::post(self.home.as2, "/as2", &letter.headers, &letter.body).map_err(|e| e.to_string())?;
            let is_right = answer.status == 200 && answer.body == *mdn;
            errors |= !is_right;
            if !is_right && answer.status < 500 {
                return Err(format!("a repeated message was answered {}: {}", answer.head, answer.text()));
            }
        }
        Ok(errors)
    }

    /// Waits for what the start finds to do. Whether the gateway reported something that it could not do.
    fn await_work(&self, gateway: &Gateway<'_>) -> bool {
        let start = Instant::now();
        let missing = |folder, kind| {
            let there: BTreeSet<String> = self.home.names("theirs", folder).into_iter().collect();
            self.names(kind).iter().any(|name| !there.contains(name))
        };
        let has_reported = || gateway.log().lines().any(|line| line.contains(" ERROR "));
        while missing("inbox", "staged") || missing("sent", "pending") {
            if start.elapsed() > DEADLINE || has_reported() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        has_reported()
    }

    /// Published files have the bytes they had, each once; one may be missing if that was reported.
    fn check_files(&self, folder: &str, kinds: &[&str], reported: bool) -> Result<(), String> {
        let mut expected: BTreeSet<String> = kinds.iter().flat_map(|kind| self.names(kind)).collect();
        for name in self.home.names("theirs", folder) {
            if name.ends_with(".meta.json") {
                let meta = fs::read(self.home.exchange("theirs", folder).join(&name)).unwrap();
                if !self.metas.contains(&meta) {
                    return Err(format!("{folder}/{name} has other bytes than it had"));
                }
                continue;
            }
            let content = fs::read(self.home.exchange("theirs", folder).join(&name)).unwrap();
            if self.payloads.get(&name) != Some(&content) {
                return Err(format!("{folder}/{name} has other bytes than it had"));
            }
            expected.remove(&name);
        }
        if expected.is_empty() || reported { Ok(()) } else { Err(format!("{expected:?} not in {folder}, unreported")) }
    }

    /// What the partner was sent is what was composed.
    fn check_sent(&self, before: usize) -> Result<(), String> {
        for posted in &self.peer.posted()[before..] {
            let opened = catch_unwind(AssertUnwindSafe(|| open(posted).payload));
            if !opened.is_ok_and(|payload| self.payloads.values().any(|one| *one == payload)) {
                return Err(format!("damaged bytes were sent as {}", posted.header("Message-ID")));
            }
        }
        Ok(())
    }

    fn verifies(&self) -> bool {
        self.open().is_ok_and(|store| store.verify_journal_and_bodies().is_ok())
    }
}

/// What never changes about messages.
fn identities(listed: &Value) -> Value {
    let fields = ["id", "direction", "kind", "partner", "file_name", "size", "message_id", "created"];
    let one = |message: &Value| fields.iter().map(|field| message[field].clone()).collect::<Value>();
    listed["messages"].as_array().unwrap().iter().map(one).collect()
}

/// Flips one bit; which one.
fn flip(file: &Path, moments: &mut Moments) -> u64 {
    let mut bytes = fs::read(file).unwrap();
    let bit = moments.below(bytes.len() as u64 * 8);
    bytes[usize::try_from(bit / 8).unwrap()] ^= 1 << (bit % 8);
    fs::write(file, bytes).unwrap();
    bit
}

/// Paths of all files that are not empty, below a base.
fn files(base: &Path, below: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(base.join(below)).into_iter().flatten().flatten() {
        let path: PathBuf = below.join(entry.file_name());
        let metadata = entry.metadata().unwrap();
        if metadata.is_dir() {
            found.extend(files(base, &path));
        } else if metadata.len() > 0 {
            found.push(path.to_str().unwrap().to_owned());
        }
    }
    found.sort();
    found
}
