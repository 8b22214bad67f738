//! kill -9 at random moments, under load in both directions with MDNs of both kinds, and then an account of every
//! message: nothing lost, nothing doubled.
//!
//! The moments fall into start, recovery and work alike. The victim begins with a history, so that a start has
//! something to recover.
//!
//! | variable | CI | full | |
//! |---|---|---|---|
//! | `DXGATE_KILL_CYCLES` | 100 | 3000, 200 | kills |
//! | `DXGATE_KILL_ENTRIES` | 2000 | 10000, 100000 | messages that the victim has before the first start |
//! | `DXGATE_KILL_RESTART_MS` | 5000 | 5000, 5000 | longest start, from the command to ready |

use std::sync::Arc;
use std::time::{Duration, Instant};

use dxgate::ground::clock::SystemClock;
use dxgate::ground::id::Id;
use dxgate::mime::Headers;
use dxgate::store::record::{DedupKey, Fact};
use dxgate::store::{Store, StoreConfig, Transaction};
use jiff::Timestamp;

use crate::proof::scene::Scene;
use crate::proof::{Moments, size};
use crate::support::gateway::Gateway;
use crate::support::home::Home;

#[test]
fn kills_at_random_moments_lose_nothing_and_double_nothing() {
    let (cycles, mut moments) = (size("DXGATE_KILL_CYCLES", 100), Moments::new());
    let limit = Duration::from_millis(size("DXGATE_KILL_RESTART_MS", 5000).into());
    let scene = Scene::new();
    give_history(&scene.victim, size("DXGATE_KILL_ENTRIES", 2000));
    let mut starts = Vec::new();
    let judgement = scene.run(|| {
        for cycle in 0..cycles {
            let begin = Instant::now();
            let mut gateway = Gateway::spawn(&scene.victim);
            if cycle % 2 == 0 {
                // Anywhere from the first instruction on: start, recovery, first work.
                moments.pass(400);
            } else {
                gateway.wait_ready();
                starts.push(begin.elapsed());
                moments.pass(800);
            }
            gateway.kill();
        }
    });
    starts.sort();
    let (median, longest) = (starts[starts.len() / 2], *starts.last().unwrap());
    println!("{cycles} kills; ready after {median:?} (median), {longest:?} (longest)");
    assert!(judgement.clean, "{}", judgement.text());
    assert!(judgement.sum("taken") > u64::from(cycles), "there was load: {}", judgement.text());
    assert!(longest < limit, "ready after {longest:?}");
}

/// Messages of earlier times: received and settled.
fn give_history(home: &Home, entries: u32) {
    let at = Timestamp::now();
    let config =
        StoreConfig { allow_untrusted_filesystem: true, ..StoreConfig::new(home.path("data"), Arc::new(SystemClock)) };
    let (store, _) = Store::open(config).unwrap();
    let all: Vec<u32> = (0..entries).collect();
    for some in all.chunks(500) {
        let mut transaction = Transaction::new(at);
        for number in some {
            let message_id = format!("history-{number}@earlier");
            let wire = transaction.body(format!("wire of {message_id}").into_bytes());
            let payload = transaction.body(format!("payload of {message_id}").into_bytes());
            let fact = Fact::Accepted {
                partner: "prompt".to_owned(),
                key: DedupKey { from: "prompt".to_owned(), to: "victim".to_owned(), message_id },
                headers: Headers::new(),
                wire,
                payload,
                file_name: format!("history-{number}.txt"),
                declaration: None,
                signer: None,
                files: Vec::new(),
            };
            transaction.fact(Id::new(at), fact);
        }
        store.commit_blocking(transaction).unwrap();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    runtime.block_on(store.close());
}
