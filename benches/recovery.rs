//! How long a restart and a rebuild of the index take, and how much memory: `cargo bench --bench recovery`.
//!
//! `DXGATE_BENCH_MESSAGES` says how many messages there are (100,000 by default).
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "it measures time, by the environment's numbers"
)]

#[path = "../tests/it/support/population.rs"]
mod population;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use dxgate::ground::clock::SystemClock;
use dxgate::store::{RecoveryReport, Store, StoreConfig};
use jiff::Timestamp;

/// The program's own.
#[global_allocator]
static ALLOCATOR: dxgate::ground::allocator::Allocator = dxgate::ground::allocator::ALLOCATOR;

fn main() {
    let smoke = std::env::args().any(|argument| argument == "--test");
    let default = if smoke { 400 } else { 100_000 };
    let messages = std::env::var("DXGATE_BENCH_MESSAGES").map_or(default, |text| text.parse().unwrap());
    // Beside the build, not in /tmp, which may be memory.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let home = folder.path();
    let store = Store::open(config(home)).unwrap().0;
    let begun = Instant::now();
    population::populate(&store, Timestamp::from_second(1_790_000_000).unwrap(), messages);
    say("populate", begun, &format!("{messages} messages"));
    let begun = Instant::now();
    drop(store);
    say("close", begun, &format!("journal {} MiB, index {} MiB", mib(&home.join("journal")), mib(&home.join("index"))));
    reopen("restart", home);
    reopen("restart again", home);
    fs::remove_dir_all(home.join("index")).unwrap();
    let store = reopen("rebuild from the journal", home);
    let begun = Instant::now();
    store.take_snapshot(&|| false).unwrap();
    say("snapshot", begun, "");
    drop(store);
    fs::remove_dir_all(home.join("index")).unwrap();
    let store = reopen("rebuild from the snapshot", home);
    let begun = Instant::now();
    let report = store.verify_journal_and_bodies().unwrap();
    say("verify", begun, &format!("{} frames, {} bodies", report.frames, report.bodies));
}

fn config(home: &Path) -> StoreConfig {
    StoreConfig { allow_untrusted_filesystem: true, ..StoreConfig::new(home, Arc::new(SystemClock)) }
}

fn reopen(what: &str, home: &Path) -> Store {
    // The peak of what follows, not of what was before (Linux).
    let _ = fs::write("/proc/self/clear_refs", "5");
    let begun = Instant::now();
    let (store, report): (Store, RecoveryReport) = Store::open(config(home)).unwrap();
    say(what, begun, &format!("{:?}, peak {} MiB", report.index, peak_mib()));
    store
}

fn say(what: &str, begun: Instant, more: &str) {
    println!("{what:<26} {:>8.2} s  {more}", begun.elapsed().as_secs_f64());
}

fn peak_mib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
}

fn mib(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).unwrap().flatten();
    entries.map(|entry| entry.metadata().map_or(0, |metadata| metadata.len())).sum::<u64>() / 1024 / 1024
}
