//! R9: the index is deleted; what is rebuilt from the journal is the same to the last bit, and in time.
//!
//! Small by default. The long run: `DXGATE_R9_MESSAGES=100000 DXGATE_R9_CYCLES=20`. Times are by the clock, for a machine
//! that does nothing else; `DXGATE_R9_SECONDS` allows more than 60 for a rebuild where it does.

use std::fs;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dxgate::ground::clock::SystemClock;
use dxgate::store::{IndexRecovery, RecoveryReport, Store, StoreConfig, StoreError};
use jiff::Timestamp;

use crate::support::population::populate;

/// Seconds for a hundred thousand messages; fewer must not take longer.
const REBUILD: usize = 60;
/// A restart with a sound index may take this part of a rebuild: 5 seconds of 60.
const RESTART: u32 = 12;

#[test]
fn a_deleted_index_is_rebuilt_with_the_identical_state_in_time() {
    let (messages, cycles) = (number("DXGATE_R9_MESSAGES", 2_000), number("DXGATE_R9_CYCLES", 4));
    // Beside the build, not in /tmp, which may be memory.
    let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let config =
        || StoreConfig { allow_untrusted_filesystem: true, ..StoreConfig::new(home.path(), Arc::new(SystemClock)) };
    let (store, _) = opened(&config);
    populate(&store, Timestamp::from_second(1_790_000_000).unwrap(), messages);
    let digest = store.state_digest().unwrap();
    let mut last = store;
    let mut slowest = Duration::ZERO;
    for cycle in 0..cycles {
        if cycle == cycles / 2 {
            assert!(last.take_snapshot(&|| false).unwrap().is_some());
        }
        drop(last);
        fs::remove_dir_all(home.path().join("index")).unwrap();
        let begun = Instant::now();
        let (store, report) = opened(&config);
        let took = begun.elapsed();
        assert!(matches!(report.index, IndexRecovery::Rebuilt { .. }), "{report:?}");
        assert_eq!((report.messages, report.snapshot.is_some()), (messages as u64, cycle >= cycles / 2));
        assert_eq!(store.state_digest().unwrap(), digest, "cycle {cycle}");
        println!("R9 cycle {cycle}: {messages} messages, snapshot {:?}, rebuilt in {took:?}", report.snapshot);
        slowest = slowest.max(took);
        last = store;
    }
    drop(last);
    let begun = Instant::now();
    let (_store, report) = opened(&config);
    let restart = begun.elapsed();
    println!("R9: slowest rebuild {slowest:?}, restart {restart:?}");
    assert_eq!(report.index, IndexRecovery::Sound);
    if messages <= 100_000 {
        let allowed = Duration::from_secs(number("DXGATE_R9_SECONDS", REBUILD) as u64);
        assert!(slowest < allowed, "a rebuild took {slowest:?}");
        assert!(restart < allowed / RESTART, "a restart took {restart:?}");
    }
}

/// The store. A program that another test starts holds the lock too, from its fork to its exec.
fn opened(config: &dyn Fn() -> StoreConfig) -> (Store, RecoveryReport) {
    let patience = Instant::now() + Duration::from_secs(10);
    loop {
        match Store::open(config()) {
            Err(StoreError::File(error)) if error.kind() == ErrorKind::WouldBlock && Instant::now() < patience => {
                std::thread::yield_now();
            }
            opened => return opened.unwrap(),
        }
    }
}

fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |text| text.parse().expect(variable))
}
