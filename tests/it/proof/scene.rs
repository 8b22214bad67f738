//! Three gateways and one run: the victim is interrupted, the two others are left alone. One of them and the victim
//! agree on MDNs in the answer, the other and the victim on MDNs that come later; files go both ways.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::account::{Account, Judgement, judge};
use super::load::{Lane, Place, Power};
use super::size;
use crate::support::gateway::Gateway;
use crate::support::home::{Home, PartnerFile, Station};
use crate::support::keys;

/// Both ways between the victim and each of the others.
const LANES: usize = 4;
/// Pause between two files on one lane.
const PACE: Duration = Duration::from_millis(60);
/// Without any progress for so long, it has come to an end.
const STANDSTILL: Duration = Duration::from_secs(60);
/// A user's file is back within this time, unless it is lost: for runs that are expected to lose some.
const PATIENCE: Duration = Duration::from_secs(4);

/// The gateways' homes.
pub struct Scene {
    pub victim: Home,
    /// Answers at once, and wants it so.
    prompt: Home,
    /// Answers later, and wants it so.
    later: Home,
    pub power: Power,
    folder: TempDir,
}

impl Scene {
    /// The victim's home on an ordinary disk.
    pub fn new() -> Scene {
        Scene::on(None)
    }

    /// The victim's home on a filesystem whose power can fail, if one is given.
    pub fn on(mount: Option<&Path>) -> Scene {
        let folder = tempfile::Builder::new().prefix("proof-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let station = |as2_name, party| Station { as2_name, party, more: "" };
        let home = |parent: &Path, name, party| {
            Home::within(parent, Some(&folder.path().join(format!("{name}.log"))), &station(name, party))
        };
        let victim = home(mount.unwrap_or(folder.path()), "victim", keys::ours());
        let prompt = home(folder.path(), "prompt", keys::theirs());
        let later = home(folder.path(), "later", keys::theirs());
        for (home, as2_name, mdn) in [(&prompt, "prompt", SYNC), (&later, "later", ASYNC)] {
            victim.partner(as2_name, &partner(as2_name, home, keys::theirs(), mdn));
            home.partner("victim", &partner("victim", &victim, keys::ours(), mdn));
        }
        Scene { victim, prompt, later, power: Power::new(mount.is_some()), folder }
    }

    fn lanes(&self) -> Vec<Lane<'_>> {
        let at_victim = |partner| Place { home: &self.victim, partner, power: &self.power };
        let at = |home| Place { home, partner: "victim", power: &ALWAYS };
        let account = |name: &str, signer| Account::begin(self.folder.path().join(name.replace(' ', "-")), signer);
        let mut lanes = Vec::new();
        for (there, home, out, back) in [
            ("prompt", &self.prompt, "victim to prompt", "prompt to victim"),
            ("later", &self.later, "victim to later", "later to victim"),
        ] {
            lanes.push(Lane::new(out, at_victim(there), at(home), account(out, keys::theirs())));
            lanes.push(Lane::new(back, at(home), at_victim(there), account(back, keys::ours())));
        }
        lanes
    }

    /// Load on all lanes while `trouble` does what it does to the victim, which it leaves down; then the victim is
    /// started once more, everything comes to rest, and every message is accounted for.
    pub fn run(&self, trouble: impl FnOnce()) -> Judgement {
        let lanes = self.lanes();
        self.under_load(&lanes, |producers| {
            trouble();
            let last = Gateway::start(&self.victim);
            producers.stop(STANDSTILL);
            if !comes_to_rest(&lanes, STANDSTILL, Lane::is_quiet) {
                let stuck: Vec<String> = lanes.iter().map(Lane::stuck).collect();
                println!("standstill: {}\nthe victim says:\n{}", stuck.join("\n"), last.log());
            }
            assert!(last.stop().success(), "the victim stops in order at the end");
        });
        let all = if self.power.can_fail { &["--receipts"][..] } else { &["--receipts", "--all-offers"] };
        let judgement = self.judge(&lanes, all);
        for lane in &lanes {
            assert!(lane.is_quiet() && lane.left_in("failed").is_empty(), "{}", lane.stuck());
            // What was dropped in haste may be empty after a power cut.
            assert!(self.power.can_fail || lane.left_in("rejected").is_empty(), "{}", lane.name);
        }
        judgement
    }

    /// The same with a victim that is expected to lose something or not to start at all.
    pub fn run_expecting_losses(&self, trouble: impl FnOnce()) -> Judgement {
        let lanes = self.lanes();
        self.under_load(&lanes, |producers| {
            trouble();
            let mut last = Gateway::spawn(&self.victim);
            producers.stop(PATIENCE);
            comes_to_rest(&lanes, PATIENCE, |_| false);
            println!("the victim's end: {:?}\n{}", last.ended(), last.log());
            last.end();
        });
        self.judge(&lanes, &[])
    }

    fn under_load(&self, lanes: &[Lane<'_>], course: impl FnOnce(&Producers)) {
        let steady = [Gateway::start(&self.prompt), Gateway::start(&self.later)];
        let (producers, done) = (Producers::default(), AtomicBool::new(false));
        thread::scope(|scope| {
            let _end = EndThreads(&[&producers.stop, &producers.give_up, &done]);
            let attendants: Vec<_> = lanes.iter().map(|lane| scope.spawn(|| lane.attend(&done))).collect();
            let producing: Vec<_> = lanes.iter().map(|lane| scope.spawn(|| producers.work(lane))).collect();
            course(&producers);
            producing.into_iter().for_each(|producer| producer.join().unwrap());
            for gateway in steady {
                assert!(gateway.stop().success(), "the others stop in order");
            }
            done.store(true, Ordering::Relaxed);
            attendants.into_iter().for_each(|attendant| attendant.join().unwrap());
        });
    }

    fn judge(&self, lanes: &[Lane<'_>], options: &[&str]) -> Judgement {
        let sample = size("DXGATE_PROOF_MDNS", 500).to_string();
        let judgement = judge(lanes.iter().map(|lane| &lane.account), &[options, &["--sample", &sample]].concat());
        print!("{}", judgement.text());
        judgement
    }
}

const SYNC: &str = "mode = \"sync\"\nsigned = true";
const ASYNC: &str = "mode = \"async\"\nsigned = true";
static ALWAYS: std::sync::LazyLock<Power> = std::sync::LazyLock::new(|| Power::new(false));

fn partner<'a>(as2_name: &'a str, home: &Home, party: &'static keys::Party, mdn: &'a str) -> PartnerFile<'a> {
    PartnerFile {
        as2_name,
        url: home.url(),
        party,
        certificate: "",
        mdn,
        agreement: "sign = \"rsa-pkcs1\"\nencrypt = \"aes128-gcm\"\nkey_transport = \"rsa-oaep-sha256\"",
        accept: "signature = true\nencryption = true",
        delivery: "retry = [\"1s\"]\ngive_up_after = \"24h\"\njitter = 0.5\nconcurrency = 8",
    }
}

/// Waits until all lanes are at rest; false when nothing moves for `patience` before.
fn comes_to_rest<'a>(lanes: &[Lane<'a>], patience: Duration, at_rest: impl Fn(&Lane<'a>) -> bool) -> bool {
    let steps = || lanes.iter().map(Lane::steps).sum::<usize>();
    let (mut before, mut since) = (steps(), Instant::now());
    while since.elapsed() < patience {
        if lanes.iter().all(&at_rest) {
            return true;
        }
        thread::sleep(Duration::from_millis(50));
        let now = steps();
        if now != before {
            (before, since) = (now, Instant::now());
        }
    }
    false
}

impl Drop for Scene {
    /// After a failure accounts and logs stay for whoever looks for the cause.
    fn drop(&mut self) {
        if thread::panicking() || std::env::var_os("DXGATE_PROOF_KEEP").is_some() {
            self.folder.disable_cleanup(true);
            println!("kept: {}", self.folder.path().display());
        }
    }
}

/// Those who drop files, one on each lane.
#[derive(Default)]
struct Producers {
    stop: AtomicBool,
    give_up: AtomicBool,
    ended: AtomicUsize,
}

impl Producers {
    fn work(&self, lane: &Lane<'_>) {
        lane.produce(PACE, &self.stop, &self.give_up);
        self.ended.fetch_add(1, Ordering::Relaxed);
    }

    /// Tells them to stop and waits until each knows what became of its last submissions, at most so long.
    fn stop(&self, patience: Duration) {
        self.stop.store(true, Ordering::Relaxed);
        let start = Instant::now();
        while self.ended.load(Ordering::Relaxed) < LANES && start.elapsed() < patience {
            thread::sleep(Duration::from_millis(20));
        }
        self.give_up.store(true, Ordering::Relaxed);
    }
}

/// A scope waits for its threads even when it panics; so they must be told.
struct EndThreads<'a>(&'a [&'a AtomicBool]);

impl Drop for EndThreads<'_> {
    fn drop(&mut self) {
        self.0.iter().for_each(|flag| flag.store(true, Ordering::Relaxed));
    }
}
