//! Durable commits a second: what group commit makes of many writers on this machine's disk.
#![allow(clippy::unwrap_used)]

use std::thread;

use divan::Bencher;
use divan::counter::ItemsCount;
use dxgate::ground::id::Id;
use dxgate::store::record::{Fact, JobKind};
use dxgate::store::{Store, StoreConfig, Transaction};
use jiff::Timestamp;

fn main() {
    divan::main();
}

/// Commits of one sample, all writers together.
const COMMITS: usize = 512;

#[divan::bench(args = [1, 8, 64], sample_count = 10, sample_size = 1)]
fn commit(bencher: Bencher<'_, '_>, writers: usize) {
    // Beside the build, not in /tmp, which may be memory.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let config = StoreConfig {
        allow_untrusted_filesystem: true,
        ..StoreConfig::new(folder.path(), std::sync::Arc::new(dxgate::ground::clock::SystemClock))
    };
    let (store, _) = Store::open(config).unwrap();
    bencher.counter(ItemsCount::new(COMMITS)).bench_local(|| {
        thread::scope(|scope| {
            for _ in 0..writers {
                scope.spawn(|| (0..COMMITS / writers).for_each(|_| commit_one(&store)));
            }
        });
    });
}

/// A message of 2 KiB taken into the queue.
fn commit_one(store: &Store) {
    let at = Timestamp::UNIX_EPOCH;
    let mut transaction = Transaction::new(at);
    let payload = Some(transaction.body(vec![b'x'; 2048]));
    let fact = Fact::Queued {
        kind: JobKind::Payload,
        partner: "partner".to_owned(),
        file_name: "order.xml".to_owned(),
        payload,
        declaration: None,
        about: None,
    };
    transaction.fact(Id::new(at), fact);
    store.commit_blocking(transaction).unwrap();
}
