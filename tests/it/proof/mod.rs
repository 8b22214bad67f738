//! The proof harness: load in all directions, an account of every message kept outside the gateway, and ways to
//! interrupt it. The tests are `kill9`, `orderly_end`, `power_cut` and `bit_flips`; `checker` tests the judge itself.
//!
//! | | |
//! |---|---|
//! | [`account`] | who offered what and who took what, judged by `tests/checker/check.py` |
//! | [`load`] | those who drop files and those who take them, on one lane |
//! | [`scene`] | three gateways, four lanes between them, and one run |
//! | [`disk`] | a filesystem of its own whose power can be cut |
//! | [`traffic`] | a few messages between a victim and two steady gateways, for `disk_faults`, `failed_sync`, `full_disk` |
//! | [`parted`] | a body whose connection broke off, and its sender, for `bit_flips` and `disk_faults` |
//! | [`small_disk`] | a filesystem of its own that can be filled |
//!
//! `DXGATE_PROOF_SEED` (from the clock, printed) chooses other moments, `DXGATE_PROOF_MDNS` (500) how many MDNs of a
//! direction are verified, chosen at random.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use dxgate::ground::clock::SystemClock;
use dxgate::store::record::Message;
use dxgate::store::{Filter, Store, StoreConfig};

pub mod account;
pub mod disk;
pub mod load;
pub mod parted;
pub mod scene;
pub mod small_disk;
pub mod traffic;

/// A number from the environment, or the size that CI uses.
pub fn size(variable: &str, in_ci: u32) -> u32 {
    let value = std::env::var(variable).ok().map_or(in_ci, |text| text.parse().unwrap());
    println!("{variable}={value}");
    value
}

/// A store that no gateway has open.
pub fn opened(data: &Path) -> Result<Store, String> {
    let config = StoreConfig { allow_untrusted_filesystem: true, ..StoreConfig::new(data, Arc::new(SystemClock)) };
    Store::open(config).map(|(store, _)| store).map_err(|error| error.to_string())
}

/// Its messages, once journal and bodies have been verified.
pub fn verified(data: &Path) -> Result<Vec<Message>, String> {
    let store = opened(data)?;
    store.verify_journal_and_bodies().map_err(|error| error.to_string())?;
    Ok(store.messages(&Filter { limit: usize::MAX, ..Filter::default() }))
}

/// Says, past the test harness, that a test cannot run here, and why. With `DXGATE_MUST_MOUNT=1` that is a failure.
pub fn skipped(what: &str, why: &str) {
    assert!(std::env::var("DXGATE_MUST_MOUNT").as_deref() != Ok("1"), "{what}: {why}");
    let _ = writeln!(std::io::stderr(), "SKIPPED: {what}: {why}");
}

/// xorshift64: enough to choose moments, and the same seed chooses the same.
pub struct Moments(u64);

impl Moments {
    /// From `DXGATE_PROOF_SEED` or the clock.
    pub fn new() -> Moments {
        let from_clock = || u64::from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos());
        let seed: u64 = std::env::var("DXGATE_PROOF_SEED").map_or_else(|_| from_clock(), |text| text.parse().unwrap());
        println!("DXGATE_PROOF_SEED={seed}");
        Moments(seed | 1)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    /// Sleeps less than so many milliseconds: the moment is what is tested.
    pub fn pass(&mut self, milliseconds: u64) {
        std::thread::sleep(std::time::Duration::from_millis(self.below(milliseconds)));
    }
}

/// Bytes that do not repeat, of a length.
pub fn content(seed: &str, length: usize) -> Vec<u8> {
    let mut content = Vec::with_capacity(length + 32);
    let mut digest = openssl::sha::sha256(seed.as_bytes());
    while content.len() < length {
        content.extend_from_slice(&digest);
        digest = openssl::sha::sha256(&digest);
    }
    content.truncate(length);
    content
}

/// Copies a folder with all that is in it.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.metadata().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
