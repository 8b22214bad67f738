//! The queue on this machine's disk: messages a second from enqueued to leased to settled, every step durable before
//! the next, beside the disk's own `fdatasync` rate measured in the same run.
//!
//! A producer commits `Queued` and `Composed` with a payload and wire bytes of 2 KiB each, and goes on when its message
//! is settled. One dispatcher leases what is due; each lease commits `Attempted` and then `Delivered`. That is three
//! commits and four facts for a message.
//!
//! `cargo bench --bench queue`; with `-- --test` for a moment only.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "it measures real time and prints"
)]

mod measure;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dxgate::as2::SentMics;
use dxgate::ground::clock::{Clock as _, SystemClock};
use dxgate::ground::id::Id;
use dxgate::mime::Headers;
use dxgate::store::record::{Fact, JobKind};
use dxgate::store::{Lease, Store, StoreConfig, Transaction};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// The program's own.
#[global_allocator]
static ALLOCATOR: dxgate::ground::allocator::Allocator = dxgate::ground::allocator::ALLOCATOR;

/// Partners that take turns.
const PARTNERS: usize = 8;
/// Bytes of a payload, and of the wire.
const BODY: usize = 2048;

fn main() {
    let during = if measure::is_smoke() { Duration::from_millis(200) } else { Duration::from_secs(4) };
    println!("producers | messages/s | p50 ms | p99 ms | commits/s | syncs/s | facts/sync | disk's fdatasync/s");
    for producers in [1usize, 8, 64] {
        let folder = measure::folder();
        let before = measure::fdatasync_rate(folder.path(), during / 4);
        let line = run(folder.path(), producers, during);
        let after = measure::fdatasync_rate(folder.path(), during / 4);
        println!("{producers:>9} | {line} | {before:.0}, {after:.0}");
    }
}

/// Runs `producers` for a while against a new store and says how it went.
fn run(folder: &Path, producers: usize, during: Duration) -> String {
    let config = StoreConfig {
        allow_untrusted_filesystem: true,
        ..StoreConfig::new(folder.join("data"), Arc::new(SystemClock))
    };
    let (store, _) = Store::open(config).unwrap();
    let runtime = Runtime::new().unwrap();
    let before = store.journal_figures();
    let start = Instant::now();
    let mut latencies = runtime.block_on(produce(&store, producers, start + during));
    let seconds = start.elapsed().as_secs_f64();
    let after = store.journal_figures();
    latencies.sort_unstable();
    let rate = |count: u64| per_second(count, seconds);
    let millis = |share| measure::percentile(&latencies, share).as_secs_f64() * 1e3;
    let (syncs, facts) = (after.syncs - before.syncs, after.facts - before.facts);
    format!(
        "{:>10.0} | {:>6.2} | {:>6.2} | {:>9.0} | {:>7.0} | {:>10.1}",
        rate(latencies.len() as u64),
        millis(0.5),
        millis(0.99),
        rate(after.transactions - before.transactions),
        rate(syncs),
        per_second(facts, per_second(syncs, 1.0)),
    )
}

#[allow(clippy::cast_precision_loss)]
fn per_second(count: u64, seconds: f64) -> f64 {
    count as f64 / seconds
}

/// Who waits for which message to be settled.
type Waiting = Arc<Mutex<HashMap<Id, oneshot::Sender<()>>>>;

/// Produces until `deadline`; the time from enqueued to settled of every message.
async fn produce(store: &Store, producers: usize, deadline: Instant) -> Vec<Duration> {
    let waiting = Waiting::default();
    let mut tasks = JoinSet::new();
    for number in 0..producers {
        let (store, waiting) = (store.clone(), waiting.clone());
        tasks.spawn(async move {
            let mut latencies = Vec::new();
            while Instant::now() < deadline {
                let start = Instant::now();
                enqueue(&store, number % PARTNERS, &waiting).await.await.unwrap();
                latencies.push(start.elapsed());
            }
            latencies
        });
    }
    let (stop, mut stopped) = oneshot::channel::<()>();
    let dispatcher = {
        let store = store.clone();
        tokio::task::spawn(async move {
            let mut settling = JoinSet::new();
            loop {
                for lease in store.lease_due(SystemClock.now(), 64, &|_| 64) {
                    settling.spawn(settle(store.clone(), lease, waiting.clone()));
                }
                while settling.try_join_next().is_some() {}
                tokio::select! {
                    () = store.due_changed() => {}
                    () = tokio::time::sleep(Duration::from_millis(5)) => {}
                    _ = &mut stopped => return,
                }
            }
        })
    };
    let latencies = tasks.join_all().await.concat();
    drop(stop);
    dispatcher.await.unwrap();
    latencies
}

/// Commits a message that is due at once; resolves its receiver when it is settled.
async fn enqueue(store: &Store, partner: usize, waiting: &Waiting) -> oneshot::Receiver<()> {
    let now = SystemClock.now();
    let id = Id::new(now);
    let (settled, receiver) = oneshot::channel();
    waiting.lock().unwrap().insert(id, settled);
    let mut transaction = Transaction::new(now);
    let payload = Some(transaction.body(vec![b'p'; BODY]));
    let wire = transaction.body(vec![b'w'; BODY]);
    let queued = Fact::Queued {
        kind: JobKind::Payload,
        partner: format!("partner-{partner}"),
        file_name: "order.xml".to_owned(),
        payload,
        declaration: None,
        about: None,
    };
    transaction.fact(id, queued);
    let message_id = format!("<{id}@bench>");
    let composed = Fact::Composed { message_id, headers: Headers::new(), wire, mics: SentMics::default(), due: now };
    transaction.fact(id, composed);
    store.commit(transaction).await.unwrap();
    receiver
}

/// Attempts and settles a leased message.
async fn settle(store: Store, lease: Lease, waiting: Waiting) {
    let id = lease.message.id;
    for fact in [Fact::Attempted { number: 1 }, Fact::Delivered { receipt: None, note: None, files: Vec::new() }] {
        let mut transaction = Transaction::new(SystemClock.now());
        transaction.fact(id, fact);
        store.commit(transaction).await.unwrap();
    }
    drop(lease);
    if let Some(settled) = waiting.lock().unwrap().remove(&id) {
        let _ = settled.send(());
    }
}
