//! kill -9 at random moments, under load in both directions, and then an account of every message: nothing lost,
//! nothing doubled.
//!
//! Two gateways exchange signed and encrypted messages. One of them is killed again and again, at moments that fall into
//! start, recovery and work alike; the other is left alone. Meanwhile producers drop files into both outboxes and
//! consumers take files out of both inboxes, as users do, so that a second publication cannot hide behind the first.
//!
//! The account is kept by this file alone: what was dropped, what was taken. It asks neither gateway.
//!
//! `DXGATE_KILL_CYCLES` (50) and `DXGATE_KILL_SEED` (from the clock, printed) choose another run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::support::gateway::Gateway;
use crate::support::home::{Home, PartnerFile, Station};
use crate::support::{eventually, keys};

#[test]
fn fifty_kills_lose_nothing_and_double_nothing() {
    let cycles: u32 = number("DXGATE_KILL_CYCLES").unwrap_or(50).try_into().unwrap();
    let seed = number("DXGATE_KILL_SEED")
        .unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos().into());
    println!("DXGATE_KILL_SEED={seed} DXGATE_KILL_CYCLES={cycles}");
    let (victim, steady) = homes();
    let steady_gateway = Gateway::start(&steady);
    let (stop, drained) = (AtomicBool::new(false), AtomicBool::new(false));
    let mut moments = Moments(seed | 1);

    let (accounts, last) = thread::scope(|scope| {
        let _end = EndThreads(&[&stop, &drained]);
        let from_victim = scope.spawn(|| produce(&victim, "steady", &stop));
        let from_steady = scope.spawn(|| produce(&steady, "victim", &stop));
        let at_victim = scope.spawn(|| consume(&victim, "steady", &drained));
        let at_steady = scope.spawn(|| consume(&steady, "victim", &drained));
        for cycle in 0..cycles {
            let mut gateway = Gateway::spawn(&victim);
            if cycle % 2 == 0 {
                // Anywhere from the first instruction on: start, recovery, first work.
                thread::sleep(Duration::from_millis(moments.below(400)));
            } else {
                gateway.wait_ready();
                thread::sleep(Duration::from_millis(moments.below(800)));
            }
            gateway.kill();
        }
        let last = Gateway::start(&victim);
        stop.store(true, Ordering::Relaxed);
        let sent = [from_victim.join().unwrap(), from_steady.join().unwrap()];
        drain(&victim, "steady", &sent[0], &last);
        drain(&steady, "victim", &sent[1], &steady_gateway);
        drained.store(true, Ordering::Relaxed);
        let received = [at_steady.join().unwrap(), at_victim.join().unwrap()];
        ((sent, received), last)
    });

    let (sent, mut received) = accounts;
    for (direction, (home, partner)) in [(&steady, "victim"), (&victim, "steady")].into_iter().enumerate() {
        // An MDN may come before its payload is published; the last ones are waited for here.
        let (taken, expected) = (&mut received[direction], sent[direction].len());
        let waited = Instant::now();
        while taken.len() < expected && waited.elapsed() < Duration::from_secs(30) {
            take(home, partner, taken);
            thread::sleep(Duration::from_millis(50));
        }
    }
    for (direction, name) in ["victim to steady", "steady to victim"].into_iter().enumerate() {
        println!("{name}: {} sent, {} received", sent[direction].len(), received[direction].len());
        check(name, &sent[direction], &received[direction]);
        assert!(sent[direction].len() > 50, "{name}: there was load");
    }
    check_senders_folders(&victim, "steady", &sent[0]);
    check_senders_folders(&steady, "victim", &sent[1]);
    assert!(last.stop().success(), "the victim stops in order at the end");
    assert!(steady_gateway.stop().success(), "the other one as well");
}

/// Names dropped, each with its content.
type Sent = BTreeMap<String, Vec<u8>>;

/// What was taken out of an inbox: content and the names it had.
type Received = Vec<(String, Vec<u8>)>;

fn homes() -> (Home, Home) {
    let victim = Home::of(&Station { as2_name: "victim", party: keys::ours(), more: "" });
    let steady = Home::of(&Station { as2_name: "steady", party: keys::theirs(), more: "" });
    let strict = |as2_name, url, party| PartnerFile {
        as2_name,
        url,
        party,
        agreement: "sign = \"rsa-pkcs1\"\nencrypt = \"aes128-gcm\"\nkey_transport = \"rsa-oaep-sha256\"",
        accept: "signature = true\nencryption = true",
        delivery: "retry = [\"1s\"]\ngive_up_after = \"24h\"\njitter = 0.5\nconcurrency = 8",
        ..PartnerFile::default()
    };
    victim.partner("steady", &strict("steady", steady.url(), keys::theirs()));
    steady.partner("victim", &strict("victim", victim.url(), keys::ours()));
    (victim, steady)
}

/// Drops a file every few milliseconds until told to stop: small ones, now and then one that is streamed.
fn produce(home: &Home, partner: &str, stop: &AtomicBool) -> Sent {
    let mut sent = Sent::new();
    while !stop.load(Ordering::Relaxed) {
        let number = sent.len();
        let name = format!("{number:06}.txt");
        let length = if number % 97 == 96 { 2_500_000 } else { 200 + number % 5000 };
        let mut content = format!("{} {number} ", home.as2.port()).into_bytes();
        content.resize(length, b'a' + (number % 26) as u8);
        home.submit(partner, &name, &content);
        sent.insert(name, content);
        // The load, not a wait: about thirty files a second.
        thread::sleep(Duration::from_millis(30));
    }
    sent
}

/// Takes files out of an inbox as they appear, until told to stop.
fn consume(home: &Home, partner: &str, stop: &AtomicBool) -> Received {
    let mut received = Received::new();
    while !stop.load(Ordering::Relaxed) {
        take(home, partner, &mut received);
        thread::sleep(Duration::from_millis(25));
    }
    received
}

fn take(home: &Home, partner: &str, received: &mut Received) {
    for name in home.names(partner, "inbox") {
        if name.ends_with(".meta.json") {
            continue;
        }
        let path = home.exchange(partner, "inbox").join(&name);
        let meta = path.with_file_name(format!("{name}.meta.json"));
        let content = fs::read(&path).unwrap();
        assert!(meta.exists(), "{name} appears after its meta file");
        fs::remove_file(&path).unwrap();
        fs::remove_file(&meta).unwrap();
        received.push((name, content));
    }
}

/// Waits until every file has come to `sent/`.
fn drain(home: &Home, partner: &str, sent: &Sent, gateway: &Gateway<'_>) {
    let waited = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        eventually(&format!("all {} files are in {partner}/sent", sent.len()), || {
            (home.names(partner, "sent").len() >= sent.len()).then_some(())
        });
    }));
    if waited.is_err() {
        let there: BTreeSet<String> = home.names(partner, "sent").into_iter().collect();
        let missing: Vec<&String> = sent.keys().filter(|name| !there.contains(*name)).take(20).collect();
        panic!("not in {partner}/sent: {missing:?} …\nthe gateway says:\n{}", gateway.log());
    }
}

fn check(direction: &str, sent: &Sent, received: &Received) {
    let mut count: BTreeMap<&[u8], Vec<&str>> = BTreeMap::new();
    for (name, content) in received {
        count.entry(content).or_default().push(name);
    }
    let lost: Vec<&String> =
        sent.iter().filter(|(_, content)| !count.contains_key(content.as_slice())).map(|(name, _)| name).collect();
    let doubled: Vec<&Vec<&str>> = count.values().filter(|names| names.len() > 1).collect();
    let foreign = count.keys().filter(|content| !sent.values().any(|one| one == *content)).count();
    assert!(lost.is_empty(), "{direction}: lost {lost:?}");
    assert!(doubled.is_empty(), "{direction}: doubled {doubled:?}");
    assert_eq!(foreign, 0, "{direction}: files that nobody sent, or damaged ones");
}

/// Every original is in `sent/` once, unharmed; nothing is left behind anywhere else.
fn check_senders_folders(home: &Home, partner: &str, sent: &Sent) {
    let expected: Vec<&String> = sent.keys().collect();
    assert_eq!(home.names(partner, "sent").iter().collect::<Vec<_>>(), expected, "{partner}/sent");
    for (name, content) in sent {
        assert!(fs::read(home.exchange(partner, "sent").join(name)).unwrap() == *content, "{partner}/sent/{name}");
    }
    for folder in ["outbox", "rejected", "failed", ".claimed"] {
        assert_eq!(home.names(partner, folder), Vec::<String>::new(), "{partner}/{folder}");
    }
    let receipts = home.names(partner, "receipts");
    assert_eq!(receipts.iter().filter(|name| name.ends_with(".mdn")).count(), sent.len(), "one receipt each");
}

/// A scope waits for its threads even when it panics; so they must be told.
struct EndThreads<'a>(&'a [&'a AtomicBool]);

impl Drop for EndThreads<'_> {
    fn drop(&mut self) {
        self.0.iter().for_each(|flag| flag.store(true, Ordering::Relaxed));
    }
}

/// xorshift64: enough to choose moments, and the same seed chooses the same.
struct Moments(u64);

impl Moments {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}
