//! Yardsticks taken on the same machine in the same run as the figures that stand beside them.
#![allow(dead_code, missing_docs, unreachable_pub, reason = "each bench uses a part of it")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "real time and real files are what is measured"
)]

pub mod openssl;

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// Runs short, only to show that it runs (`cargo bench -- --test`).
pub fn is_smoke() -> bool {
    std::env::args().any(|argument| argument == "--test")
}

/// A folder beside the build: `/tmp` may be memory.
pub fn folder() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("bench-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// `fdatasync` a second of one writer that appends 4 KiB each time to a file in `folder`.
pub fn fdatasync_rate(folder: &Path, during: Duration) -> f64 {
    let path = folder.join("fdatasync");
    let mut file = File::create(&path).unwrap();
    let block = [b'x'; 4096];
    let start = Instant::now();
    let mut count = 0u32;
    while start.elapsed() < during {
        file.write_all(&block).unwrap();
        file.sync_data().unwrap();
        count += 1;
    }
    let rate = f64::from(count) / start.elapsed().as_secs_f64();
    drop(file);
    std::fs::remove_file(path).unwrap();
    rate
}

/// Bytes a second of a plain write into new files in `folder`: what the page cache allows. On a virtual machine whose
/// host takes free memory back it is slow by a factor of ten and more while much memory is free, since each page is
/// asked for anew; once the cache fills the memory, as on a machine that has run for a while, it is not.
pub fn write_rate(folder: &Path) -> f64 {
    const FILES: usize = 8;
    let block = vec![b'x'; 1 << 18];
    let paths: Vec<_> = (0..FILES).map(|number| folder.join(format!("written-{number}"))).collect();
    let start = Instant::now();
    for path in &paths {
        let mut file = File::create(path).unwrap();
        (0..128).for_each(|_| file.write_all(&block).unwrap());
    }
    let rate = (FILES * 128 * block.len()) as f64 / start.elapsed().as_secs_f64();
    paths.iter().for_each(|path| std::fs::remove_file(path).unwrap());
    rate
}

/// The value that a share of the sorted samples does not exceed.
pub fn percentile(sorted: &[Duration], share: f64) -> Duration {
    let last = sorted.len().saturating_sub(1);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    let place = (last as f64 * share).round() as usize;
    sorted.get(place).copied().unwrap_or_default()
}
