//! Messages a second on loopback, between two gateways as they run in production: from the file in one outbox to the
//! verified MDN and the file in the other inbox, every fact durable on the way.

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

#[allow(dead_code, missing_docs, reason = "shared with the tests, which use all of it")]
#[path = "../tests/it/support/mod.rs"]
mod support;

use std::sync::Mutex;

use divan::Bencher;
use divan::counter::ItemsCount;

use support::gateway::Gateway;
use support::home::{Home, PartnerFile, Station};
use support::{eventually, keys};

fn main() {
    let stop = std::panic::catch_unwind(divan::main);
    drop(PAIR.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take());
    if let Err(panic) = stop {
        std::panic::resume_unwind(panic);
    }
}

/// Messages of one sample.
const BATCH: usize = 500;

#[divan::bench(args = [1 << 10, 64 << 10], sample_count = 3, sample_size = 1)]
fn messages(bencher: Bencher<'_, '_>, size: usize) {
    let mut pair = PAIR.lock().unwrap();
    let pair = pair.get_or_insert_with(Pair::start);
    let content = vec![b'x'; size];
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| pair.deliver(&content));
}

/// The two gateways, started by the first bench and stopped by `main`: nobody drops a static.
static PAIR: Mutex<Option<Pair>> = Mutex::new(None);

struct Pair {
    sender: Gateway<'static>,
    receiver: Gateway<'static>,
    delivered: usize,
}

impl Pair {
    fn start() -> Pair {
        let home = |as2_name, party| &*Box::leak(Box::new(Home::of(&Station { as2_name, party, more: "" })));
        let (sender, receiver) = (home("sender", keys::ours()), home("receiver", keys::theirs()));
        let partner = |as2_name, url, party| PartnerFile {
            as2_name,
            url,
            party,
            agreement: "sign = \"rsa-pkcs1\"\nencrypt = \"aes128-gcm\"\nkey_transport = \"rsa-oaep-sha256\"",
            accept: "signature = true\nencryption = true",
            delivery: "concurrency = 16",
            ..PartnerFile::default()
        };
        sender.partner("receiver", &partner("receiver", receiver.url(), keys::theirs()));
        receiver.partner("sender", &partner("sender", sender.url(), keys::ours()));
        Pair { sender: Gateway::start(sender), receiver: Gateway::start(receiver), delivered: 0 }
    }

    fn deliver(&mut self, content: &[u8]) {
        let (from, to) = (self.sender.home, self.receiver.home);
        for number in self.delivered..self.delivered + BATCH {
            from.submit("receiver", &format!("{number}.txt"), content);
        }
        self.delivered += BATCH;
        let all = self.delivered;
        eventually("the batch is delivered", || (from.names("receiver", "sent").len() >= all).then_some(()));
        eventually("the batch is there", || (to.names("sender", "inbox").len() >= 2 * all).then_some(()));
    }
}
