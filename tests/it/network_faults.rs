//! Two gateways and a network that loses things between them: whatever happens to a connection, the payload arrives
//! once, its sender learns so, every attempt is the same bytes, and nothing is left waiting.
//!
//! `DXGATE_R10_ROUNDS` runs every scenario so many times (1 unless set).

use std::sync::Arc;
use std::time::Duration;

use dxgate::ground::clock::{Clock, ManualClock};
use dxgate::store::record::{Direction, JobKind, State};
use jiff::{SignedDuration, Timestamp};

use crate::support::home::{Home, PartnerFile, Station};
use crate::support::inside::{self, Inside};
use crate::support::proxy::{Fault, Proxy};
use crate::support::{eventually, keys, scripted};

const ORDER: &[u8] = b"<order>with some content, so that it takes more than one packet or so</order>\n";
const DELIVERY: &str = "retry = [\"1m\", \"2m\", \"5m\", \"10m\"]\njitter = 0.2\ngive_up_after = \"72h\"";
/// Exchanges within which a loss that stops must have been mended (RFC 4130 erratum 3055 is about those that never are).
const EXCHANGES: usize = 5;

/// What a network does to the connections of one direction, in their order; afterwards it behaves.
type Faults = Vec<Fault>;

struct Scenario {
    name: String,
    asynchronous: bool,
    /// From the sender of the payload.
    there: Faults,
    /// From the receiver, for its asynchronous MDNs.
    back: Faults,
    /// Nothing passes for so many hours.
    down_hours: i64,
}

impl Scenario {
    /// Lines of `[delivery]` on both sides. A timeout is real time, with the other side's work in it: it is short only
    /// where somebody never answers.
    fn delivery(&self) -> String {
        let silent = self.there.iter().chain(&self.back).any(|fault| *fault == Fault::HalfOpen);
        format!("{DELIVERY}{}", if silent { "\ntimeout = \"1s\"" } else { "" })
    }
}

fn scenarios() -> Vec<Scenario> {
    use Fault::{CutAnswer, CutRequest, Drip, Garbage, HalfOpen, Refuse, Status, StatusAfter};
    let there: Vec<(&str, Faults)> = vec![
        ("refused", vec![Refuse]),
        ("the request is cut off in its head", vec![CutRequest(100)]),
        ("the request is cut off in its body", vec![CutRequest(1500), CutRequest(2500)]),
        ("the answer is lost", vec![CutAnswer(0)]),
        ("the answer is lost three times", vec![CutAnswer(0); 3]),
        ("the answer is cut off in its head", vec![CutAnswer(30)]),
        ("503 twice", vec![Status(503); 2]),
        ("504 though the message arrived", vec![StatusAfter(504)]),
        ("half open", vec![HalfOpen]),
        ("the answer drips", vec![Drip]),
        ("an answer that is not HTTP", vec![Garbage]),
        ("one thing after the other", vec![Refuse, CutRequest(1), CutAnswer(0), Status(429)]),
    ];
    let mut all = Vec::new();
    for (name, faults) in &there {
        for asynchronous in [false, true] {
            let way = if asynchronous { "asynchronous" } else { "synchronous" };
            let name = format!("{name}, {way}");
            all.push(Scenario { name, asynchronous, there: faults.clone(), back: vec![], down_hours: 0 });
        }
    }
    let only_there = |name: &str, there: Faults| Scenario {
        name: name.to_owned(),
        asynchronous: false,
        there,
        back: vec![],
        down_hours: 0,
    };
    all.push(only_there("the MDN is cut off in the middle", vec![CutAnswer(1500)]));
    all.push(only_there("a storm of 503", vec![Status(503); 12]));
    all.push(only_there("the request never begins", vec![Refuse; 7]));
    let back: Vec<(&str, Faults)> = vec![
        ("the MDN is refused", vec![Refuse]),
        ("the MDN is cut off", vec![CutRequest(700)]),
        ("the answer to the MDN is lost", vec![CutAnswer(0); 2]),
        ("the MDN meets 503", vec![Status(503); 3]),
        ("the MDN meets a silent server", vec![HalfOpen]),
        // 1 + 2 + 5 + 10 × 11 minutes: two hours late, after the sender asked again several times.
        ("the MDN is two hours late", vec![Status(503); 14]),
    ];
    for (name, back) in back {
        let (name, asynchronous) = (name.to_owned(), true);
        all.push(Scenario { name, asynchronous, there: vec![], back, down_hours: 0 });
    }
    for asynchronous in [false, true] {
        let name = format!("down for a day, asynchronous: {asynchronous}");
        all.push(Scenario { name, asynchronous, there: vec![], back: vec![], down_hours: 24 });
    }
    all
}

#[test]
fn whatever_the_network_does_a_payload_arrives_once_and_its_sender_knows() {
    let rounds: usize = std::env::var("DXGATE_R10_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(1);
    let scenarios = scenarios();
    assert!(scenarios.len() >= 30, "{}", scenarios.len());
    for round in 1..=rounds {
        let queue = std::sync::Mutex::new(scenarios.iter());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while let Some(scenario) = { queue.lock().unwrap().next() } {
                        play(scenario, round);
                    }
                });
            }
        });
    }
}

/// Faults in their order, then none; none but refusals until the clock shows `until`.
fn network(faults: &Faults, clock: &Arc<ManualClock>, until: Timestamp) -> impl FnMut(usize) -> Fault + Send + 'static {
    let (faults, clock) = (faults.clone(), clock.clone());
    move |number| {
        if clock.now() < until {
            return Fault::Refuse;
        }
        faults.get(number).copied().unwrap_or(Fault::Pass)
    }
}

fn play(scenario: &Scenario, round: usize) {
    let what = format!("{} (round {round})", scenario.name);
    let clock = inside::clock();
    let until = clock.now().checked_add(SignedDuration::from_hours(scenario.down_hours)).unwrap();
    let (our_home, their_home) =
        (Home::ours(), Home::of(&Station { as2_name: "theirs", party: keys::theirs(), more: "" }));
    let there = Proxy::start(their_home.as2, network(&scenario.there, &clock, until));
    let back = Proxy::start(our_home.as2, network(&scenario.back, &clock, until));
    let deadline = "mode = \"async\"\nsigned = true\ndeadline = \"30m\"";
    let mdn = match scenario.asynchronous {
        true => format!("{deadline}\nasync_url = \"{}\"", back.url()),
        false => "mode = \"sync\"\nsigned = true".to_owned(),
    };
    let delivery = &scenario.delivery();
    our_home.partner("theirs", &PartnerFile { url: there.url(), mdn: &mdn, delivery, ..PartnerFile::default() });
    let accept = "signature = true\nencryption = true";
    let (as2_name, party) = ("ours", keys::ours());
    let us = PartnerFile { as2_name, party, url: back.url(), accept, delivery, ..PartnerFile::default() };
    their_home.partner("ours", &us);
    let (ours, theirs) = (Inside::start(&our_home, &clock), Inside::start(&their_home, &clock));
    ours.submit("theirs", "order.xml", ORDER);
    inside::settle(&[&ours, &theirs], &what);
    judge(&ours, &theirs, &there, &what);
    if scenario.there.len() < EXCHANGES && scenario.back.len() < EXCHANGES && scenario.down_hours == 0 {
        let whole = whole_request(&there).len();
        let exchanges: usize = there.requests().iter().map(|carried| carried.len().div_ceil(whole)).sum();
        assert!(exchanges <= EXCHANGES, "{what}: {exchanges} exchanges");
    }
}

/// An attempt from its first byte to its last.
fn whole_request(there: &Proxy) -> Vec<u8> {
    there.requests().iter().find_map(|carried| scripted::first_request(carried)).unwrap()
}

/// Once here, known there, the same bytes each time, nobody waits.
fn judge(ours: &Inside<'_>, theirs: &Inside<'_>, there: &Proxy, what: &str) {
    let sent = ours.sent_to("theirs");
    assert_eq!(sent.state, State::Delivered, "{what}: {sent:#?}");
    assert_eq!(sent.receipt.as_ref().and_then(|receipt| receipt.mic_matches), Some(true), "{what}");
    let receipt = sent.receipt.as_ref().map(|receipt| receipt.disposition.clone()).unwrap();
    assert!(receipt.ends_with("; processed"), "{what}: a repetition is no warning: {receipt}");
    assert_eq!(sent.strays, [], "{what}");
    let mut taken = theirs.messages();
    let jobs: Vec<_> = taken.extract_if(.., |message| message.direction == Direction::Outbound).collect();
    assert!(jobs.iter().all(|job| job.kind == JobKind::Mdn && job.state == State::Delivered), "{what}: {jobs:#?}");
    let accepted = taken.iter().filter(|message| message.state == State::Accepted).count();
    assert_eq!(accepted, 1, "{what}: {taken:#?}");
    for (home, partner, folder, names) in [
        (theirs.home, "ours", "inbox", &["order.xml", "order.xml.meta.json"][..]),
        (ours.home, "theirs", "sent", &["order.xml"]),
        (ours.home, "theirs", "receipts", &["order.xml.mdn", "order.xml.mdn.json"]),
        (ours.home, "theirs", "failed", &[]),
    ] {
        eventually(&format!("{what}: {folder}"), || (home.names(partner, folder) == names).then_some(()));
    }
    let payload = std::fs::read(theirs.home.exchange("ours", "inbox").join("order.xml")).unwrap();
    assert_eq!(payload, ORDER, "{what}");
    for carried in there.requests() {
        let mut rest = carried.as_slice();
        let whole = whole_request(there);
        while rest.len() > whole.len() {
            rest = rest.strip_prefix(whole.as_slice()).unwrap_or_else(|| panic!("{what}: an attempt differs"));
        }
        assert!(whole.starts_with(rest), "{what}: an attempt differs from the others");
    }
    let waited = Duration::try_from(ours.clock.now().duration_since(sent.created)).unwrap();
    assert!(waited < Duration::from_secs(80 * 3600), "{what}: {waited:?}");
}
