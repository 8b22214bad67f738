//! Two gateways as they run in production, over loopback HTTP on this machine: from the file in one outbox to the
//! verified MDN, the file in the other inbox and the original in `sent/`, every fact durable on the way. RSA-2048 and SHA-256,
//! AES-128-CBC, signed synchronous MDN.
//!
//! Beside each figure stands the bound: what the cryptography alone would allow on all cores of this machine by the
//! `openssl speed` figures of the same run, taken before and behind it with all cores at work. On a machine that does other work
//! too, the processor time of both processes says more than the clock: *cpu share* is that of the cryptography, by what one core
//! does alone, over theirs.
//!
//! The page cache's own speed stands beside them too: it is what a large payload meets, which is written five times.
//!
//! `cargo bench --bench end_to_end`; `-- 4k 1m` for some payloads only, `-- 4k=100000` for another count, `-- --test` for
//! a moment only. With `DXGATE_BENCH_MESSAGES` both gateways begin with so many messages in their journals, one in a
//! hundred of them open; the clock starts once they are done with what follows such a start (a first snapshot, the figures of
//! the last day).

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, clippy::disallowed_methods, reason = "a bench")]
#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "figures for people")]

#[allow(dead_code, missing_docs, reason = "shared with the tests, which use all of it")]
#[path = "../tests/it/support/mod.rs"]
mod support;

mod measure;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use measure::openssl::Primitives;
use support::gateway::Gateway;
use support::home::{Home, PartnerFile, Station};
use support::{keys, population};

/// Name, bytes, messages of a run, and how many are in work at a time.
const PAYLOADS: [(&str, usize, usize, usize); 4] =
    [("4k", 4 << 10, 4000, 64), ("1m", 1 << 20, 200, 16), ("100m", 100 << 20, 8, 4), ("1g", 1 << 30, 2, 2)];

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, flag, data, messages] = &arguments[..]
        && flag == FILL
    {
        let start = Timestamp::now() - SignedDuration::from_mins(30);
        return population::fill(Path::new(data), start, messages.parse().unwrap());
    }
    let smoke = measure::is_smoke();
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let mut speed = Speed::measure(smoke);
    println!("page cache: {:.0} MB/s into new files", measure::write_rate(measure::folder().path()) / 1e6);
    let earlier = std::env::var("DXGATE_BENCH_MESSAGES").map_or(0, |text| text.parse().unwrap());
    println!(
        "{:>7} | {:>6} | {:>10} | {:>8} | {:>10} | {:>5} | {:>9} | {:>17} | {:>17}",
        "payload",
        "count",
        "messages/s",
        "MB/s",
        "bound /s",
        "ratio",
        "cpu share",
        "cpu ms out, in",
        "peak MiB out, in"
    );
    for (name, size, count, concurrency) in PAYLOADS {
        let chosen = wanted.iter().find_map(|wanted| match wanted.split_once('=') {
            Some((wanted, count)) if wanted == name => Some(count.parse().unwrap()),
            None if wanted == name => Some(count),
            _ => None,
        });
        let count = match (smoke, wanted.is_empty()) {
            (true, _) if size > 1 << 20 => continue,
            (true, _) => 4,
            (false, true) => count,
            (false, false) => match chosen {
                Some(count) => count,
                None => continue,
            },
        };
        let figures = Pair::start(concurrency, earlier).deliver(size, count);
        let before = std::mem::replace(&mut speed, Speed::measure(smoke));
        print_line(name, size, count, &figures, &before.mean(&speed));
    }
}

/// What the bounds of the payload before and of that behind are made from.
#[derive(Clone, Copy)]
struct Speed {
    one: Primitives,
    all: Primitives,
}

impl Speed {
    fn measure(smoke: bool) -> Speed {
        let seconds = if smoke { 1 } else { 3 };
        let speed = Speed { one: Primitives::of_one(seconds), all: Primitives::of_all(seconds) };
        let mega = |rate: f64| rate / 1e6;
        for (who, core) in [("one core alone", speed.one), ("each of all cores", speed.all)] {
            println!(
                "{who} of {}: RSA-2048 private {:.0}/s, SHA-256 {:.0} MB/s, AES-128-CBC encrypt {:.0} MB/s, decrypt {:.0} MB/s",
                core.cores,
                core.rsa_private,
                mega(core.sha256),
                mega(core.encrypt),
                mega(core.decrypt)
            );
        }
        speed
    }

    fn mean(&self, other: &Speed) -> Speed {
        Speed { one: self.one.mean(&other.one), all: self.all.mean(&other.all) }
    }
}

fn print_line(name: &str, size: usize, count: usize, figures: &Figures, speed: &Speed) {
    let rate = count as f64 / figures.elapsed.as_secs_f64();
    let (bound, alone) = (speed.all.bound(size as f64), speed.one.bound(size as f64));
    let each = |cpu: Duration| cpu.as_secs_f64() / count as f64;
    let (sender, receiver) = (each(figures.sender.cpu), each(figures.receiver.cpu));
    println!(
        "{name:>7} | {count:>6} | {rate:>10.1} | {:>8.1} | {bound:>10.1} | {:>4.0}% | {:>8.0}% | {:>8.3} {:>8.3} | {:>8} {:>8}",
        rate * size as f64 / 1e6,
        100.0 * rate / bound,
        100.0 * (speed.one.cores / alone) / (sender + receiver),
        sender * 1e3,
        receiver * 1e3,
        figures.sender.peak_mib,
        figures.receiver.peak_mib,
    );
}

/// What a run took.
struct Figures {
    elapsed: Duration,
    sender: Usage,
    receiver: Usage,
}

/// What a process used.
#[derive(Clone, Copy)]
struct Usage {
    cpu: Duration,
    peak_mib: u64,
}

struct Pair {
    sender: Gateway<'static>,
    receiver: Gateway<'static>,
}

impl Pair {
    /// Two gateways that have exchanged `earlier` messages with others; the more, the longer they may take to start.
    fn start(concurrency: usize, earlier: usize) -> Pair {
        let more = format!(
            "[limits]\nfree_space_floor = 0\nbody = \"4GiB\"\npayload = \"4GiB\"\n[delivery]\nworkers = {concurrency}"
        );
        let home = |as2_name, party| &*Box::leak(Box::new(Home::of(&Station { as2_name, party, more: &more })));
        let (sender, receiver) = (home("sender", keys::ours()), home("receiver", keys::theirs()));
        let delivery = format!("concurrency = {concurrency}\nretry = [\"1s\"]");
        let partner = |as2_name, url, party| PartnerFile {
            as2_name,
            url,
            party,
            agreement: "sign = \"rsa-pkcs1\"\nencrypt = \"aes128-cbc\"\nkey_transport = \"rsa-pkcs1\"",
            accept: "signature = true\nencryption = true",
            delivery: &delivery,
            ..PartnerFile::default()
        };
        sender.partner("receiver", &partner("receiver", receiver.url(), keys::theirs()));
        receiver.partner("sender", &partner("sender", sender.url(), keys::ours()));
        if earlier > 0 {
            fill([sender, receiver], earlier);
        }
        let patience = Duration::from_secs(90) + Duration::from_micros(500) * earlier as u32;
        let [sender, receiver] = [sender, receiver].map(|home| {
            let mut gateway = Gateway::spawn(home);
            gateway.wait_ready_within(patience);
            gateway
        });
        if earlier > 0 {
            [&sender, &receiver].into_iter().for_each(|gateway| wait_idle(gateway, patience));
        }
        Pair { sender, receiver }
    }

    /// Delivers `count` payloads of `size` bytes that lie ready when the clock starts.
    fn deliver(self, size: usize, count: usize) -> Figures {
        let (from, to) = (self.sender.home, self.receiver.home);
        let prepared = from.path("prepared");
        fs::create_dir(&prepared).unwrap();
        let mut content = vec![0u8; size];
        dxgate::ground::random::fill(&mut content);
        for number in 0..count {
            fs::write(prepared.join(format!("{number:06}.dat")), &content).unwrap();
        }
        drop(content);
        rustix::fs::sync();
        let (sender, receiver) = (usage(self.sender.pid()), usage(self.receiver.pid()));
        let start = Instant::now();
        for number in 0..count {
            let name = format!("{number:06}.dat");
            fs::rename(prepared.join(&name), from.exchange("receiver", "outbox").join(&name)).unwrap();
        }
        let inbox = to.exchange("sender", "inbox");
        let places = [(from.exchange("receiver", "sent"), 1), (from.exchange("receiver", "receipts"), 2), (inbox, 2)];
        for (folder, files) in places {
            self.wait_for(&folder, files * count, start);
        }
        let elapsed = start.elapsed();
        let spent = |before: Usage, now: Usage| Usage { cpu: now.cpu - before.cpu, ..now };
        let figures = Figures {
            elapsed,
            sender: spent(sender, usage(self.sender.pid())),
            receiver: spent(receiver, usage(self.receiver.pid())),
        };
        let (sender, receiver) = (self.sender.stop(), self.receiver.stop());
        assert!(sender.success() && receiver.success(), "the gateways end in order");
        for home in [from, to] {
            fs::remove_dir_all(home.path("")).unwrap();
        }
        figures
    }

    /// Waits until a folder has so many files. Counting them costs processor time that the gateways lack, so it is done
    /// a few times only: after half of what is left should have come.
    fn wait_for(&self, folder: &Path, files: usize, start: Instant) {
        let mut seen = (0, Instant::now());
        loop {
            let there = fs::read_dir(folder).map_or(0, Iterator::count);
            if there >= files {
                return;
            }
            if there > seen.0 {
                seen = (there, Instant::now());
            }
            let stalled = seen.1.elapsed() > Duration::from_secs(120);
            assert!(!stalled, "{there} of {files} in {}:\n{}", folder.display(), self.sender.log());
            let left = start.elapsed().mul_f64((files - there) as f64 / there.max(1) as f64);
            std::thread::sleep((left / 2).min(start.elapsed() / 2).max(Duration::from_millis(20)));
        }
    }
}

/// Waits until a gateway has nothing more to do: less than a twentieth of a processor for some seconds.
fn wait_idle(gateway: &Gateway<'_>, patience: Duration) {
    let (begun, look) = (Instant::now(), Duration::from_secs(3));
    let mut before = usage(gateway.pid()).cpu;
    loop {
        std::thread::sleep(look);
        let now = usage(gateway.pid()).cpu;
        if now - before < look / 20 {
            return;
        }
        assert!(begun.elapsed() < patience, "it is busy for too long:\n{}", gateway.log());
        before = now;
    }
}

/// Fills a data directory with so many messages.
const FILL: &str = "--fill";

/// Journals with messages of the last hour. What is open among them is not due before the run has ended. A process of its own
/// makes them: what an index takes in memory while it is made would be missing while the gateways are measured.
fn fill(homes: [&Home; 2], messages: usize) {
    let [data, other] = homes.map(|home| home.path("data"));
    let own = std::env::current_exe().unwrap();
    let filled = Command::new(own).arg(FILL).arg(&data).arg(messages.to_string()).status().unwrap();
    assert!(filled.success(), "{} is filled", data.display());
    let copied = Command::new("cp").arg("-a").args([&data, &other]).status().unwrap();
    assert!(copied.success(), "{} is copied to {}", data.display(), other.display());
}

/// Processor time and greatest resident size of a process, from `/proc`.
fn usage(pid: u32) -> Usage {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    // utime and stime, in hundredths of a second.
    let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().unwrap()).sum();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kib: u64 = peak.split_whitespace().next().unwrap().parse().unwrap();
    Usage { cpu: Duration::from_millis(10 * ticks), peak_mib: kib / 1024 }
}
