//! One message sent over and over, all at once: it is delivered once, and every copy gets the same bytes. And a recorded one sent
//! from elsewhere, by way of a proxy that tells the address: it makes nobody at home there and fills nothing.
//!
//! `DXGATE_R11_REPLAYS` sets how many copies of each message (500 unless set; 10,000 before a release).

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dxgate::as2::{MdnAsk, MdnMode, SendPlan};
use dxgate::cms::DigestAlgorithm;
use dxgate::store::record::State;
use serde_json::Value;

use crate::oracle::{STRICT, failures, fields};
use crate::support::correspondent::{Letter, letter, plan, receipt, receipt_in};
use crate::support::gateway::Gateway;
use crate::support::home::{Home, PartnerFile, Station, change};
use crate::support::inside::{self, Inside, pass};
use crate::support::scripted::{Scripted, answer};
use crate::support::{eventually, http, keys};

const CLIENTS: usize = 16;
const HOUR: Duration = Duration::from_secs(3600);
const THEIRS: &str = "203.0.113.1";
const ELSEWHERE: &str = "198.51.100.66";

fn replays() -> usize {
    std::env::var("DXGATE_R11_REPLAYS").ok().and_then(|number| number.parse().ok()).unwrap_or(500)
}

/// Posts a message `copies` times, many at a time; what is said of each answer.
fn replay<T: Ord + Send>(
    home: &Home,
    message: &Letter,
    copies: usize,
    said: impl Fn(http::Answer) -> T + Sync,
) -> BTreeSet<T> {
    let (next, answers) = (AtomicUsize::new(0), Mutex::new(BTreeSet::new()));
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                while next.fetch_add(1, Ordering::Relaxed) < copies {
                    let answer = http::post(home.as2, "/as2", &message.headers, &message.body).unwrap();
                    answers.lock().unwrap().insert(said(answer));
                }
            });
        }
    });
    answers.into_inner().unwrap()
}

#[test]
fn copies_that_race_each_other_are_one_file_and_one_receipt() {
    let home = Home::ours();
    home.partner("theirs", &PartnerFile { accept: "signature = true\nencryption = true", ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    let message = letter(&plan(), "<storm@theirs>", b"<once/>");
    let answers = replay(&home, &message, replays(), |answer| {
        assert!(receipt_in(&answer).disposition.is_positive(), "{}", answer.text());
        answer.body
    });
    assert_eq!(answers.len(), 1, "all receipts are the same bytes");
    gateway.wait_for("theirs", "inbox", "letter.xml");
    let accepted = gateway.api("/api/v1/messages?direction=inbound&state=accepted&limit=10");
    assert_eq!(accepted["messages"].as_array().unwrap().len(), 1, "{accepted:#}");
    assert!(gateway.stop().success());
    assert_eq!(home.names("theirs", "inbox"), ["letter.xml", "letter.xml.meta.json"]);
}

#[test]
fn copies_that_want_their_receipt_later_are_one_file_and_get_the_same_receipt_each() {
    let peer = Scripted::start(|_, _| Some(answer(200, "", b"")));
    let home = Home::ours();
    let delivery = "concurrency = 16";
    let accept = "signature = true\nencryption = true";
    home.partner("theirs", &PartnerFile { url: peer.url(), accept, delivery, ..PartnerFile::default() });
    let clock = inside::clock();
    let gateway = Inside::start(&home, &clock);
    let message = letter(&later(&peer), "<storm@theirs>", b"<once/>");
    let copies = replays();
    assert_eq!(replay(&home, &message, copies, |answer| answer.status), BTreeSet::from([202]));
    inside::settle(&[&gateway], "all receipts are sent");
    let posted = peer.posted();
    assert_eq!(posted.len(), copies, "each copy gets its receipt");
    let bodies: BTreeSet<&[u8]> = posted.iter().map(|posted| posted.body.as_slice()).collect();
    let ids: BTreeSet<&str> = posted.iter().map(|posted| posted.header("Message-ID")).collect();
    assert_eq!((bodies.len(), ids.len()), (1, 1), "all receipts are the same bytes");
    assert!(receipt(&posted[0].headers, &posted[0].body).disposition.is_positive());
    let accepted = gateway.messages().iter().filter(|message| message.state == State::Accepted).count();
    assert_eq!(accepted, 1);
    eventually("the file is there", || {
        (home.names("theirs", "inbox") == ["letter.xml", "letter.xml.meta.json"]).then_some(())
    });
}

/// A message that wants its receipt later.
fn later(peer: &Scripted) -> SendPlan {
    let mode = MdnMode::Async { url: peer.url() };
    SendPlan { mdn: MdnAsk { mode, signed: true, micalgs: vec![DigestAlgorithm::Sha256] }, ..plan() }
}

/// A home where three messages in the name of `theirs` may fail, or be kept of strangers, in an hour.
fn behind_a_proxy(theirs: &PartnerFile<'_>) -> Home {
    let more = "[limits]\nfree_space_floor = 0\nfailures_per_partner = 3\n";
    let home = Home::of(&Station { as2_name: "ours", party: keys::ours(), more });
    change(&home.config(), "[as2]\n", "[as2]\ntrusted_proxies = [\"127.0.0.1\"]\n");
    home.partner("theirs", theirs);
    home
}

fn post(home: &Home, from: &str, letter: &Letter) -> http::Answer {
    let headers = format!("{}X-Forwarded-For: {from}\r\n", letter.headers);
    http::post(home.as2, "/as2", &headers, &letter.body).unwrap()
}

fn accepted(answer: &http::Answer) -> bool {
    answer.status == 200 && receipt_in(answer).disposition.is_positive()
}

/// The same octets under another Message-ID.
fn renamed(letter: &Letter, from: &str, to: &str) -> Letter {
    let [from, to] = [from, to].map(|name| format!("<{name}@theirs>"));
    assert!(letter.headers.contains(&from), "{}", letter.headers);
    Letter { headers: letter.headers.replace(&from, &to), body: letter.body.clone() }
}

/// As many failures in the name of `theirs` as are too many.
fn guess(home: &Home) {
    let body = &failures()[3].1;
    for number in 0..3 {
        let guess = Letter { headers: fields(&format!("<guess-{number}@theirs>")), body: body.clone() };
        assert!(!receipt_in(&post(home, "198.51.100.1", &guess)).disposition.is_positive());
    }
}

fn count(gateway: &Inside<'_>, state: State) -> usize {
    gateway.messages().iter().filter(|message| message.state == state).count()
}

#[test]
fn a_recorded_message_under_another_message_id_makes_nobody_at_home_and_people_are_told() {
    let home = behind_a_proxy(&PartnerFile { accept: STRICT, ..PartnerFile::default() });
    let clock = inside::clock();
    let gateway = Inside::start(&home, &clock);
    let recorded = letter(&plan(), "<recorded@theirs>", b"<once/>");
    assert!(accepted(&post(&home, THEIRS, &recorded)));
    assert_eq!(gateway.alerts(), Vec::<String>::new());
    for again in ["again", "and-again"] {
        let again = renamed(&recorded, "recorded", again);
        assert!(accepted(&post(&home, ELSEWHERE, &again)), "it is a message of its own");
    }
    let alerts = gateway.api("/api/v1/alerts")["alerts"].clone();
    let told = (&alerts[0]["code"], &alerts[0]["level"], &alerts[0]["partner"]);
    assert_eq!(told, (&"signature-reused".into(), &"security".into(), &"theirs".into()), "{alerts:#}");
    assert_eq!((alerts.as_array().unwrap().len(), &alerts[0]["times"]), (1, &Value::from(2)), "{alerts:#}");
    guess(&home);
    let next = |id: &str| letter(&plan(), &format!("<{id}@theirs>"), id.as_bytes());
    assert_eq!(post(&home, ELSEWHERE, &next("stranger")).status, 503);
    assert!(accepted(&post(&home, THEIRS, &next("genuine"))));
    drop(gateway);
    // A start learns from the records where partners are at home, and not this.
    pass(&clock, HOUR);
    let gateway = Inside::start(&home, &clock);
    assert!(accepted(&post(&home, ELSEWHERE, &renamed(&recorded, "recorded", "after-a-restart"))));
    guess(&home);
    assert_eq!(post(&home, ELSEWHERE, &next("stranger")).status, 503);
    assert!(accepted(&post(&home, THEIRS, &next("genuine-too"))), "{:?}", gateway.alerts());
}

#[test]
fn a_partner_whose_clock_is_behind_is_heard_without_bound_and_not_at_home_by_its_signature() {
    let peer = Scripted::start(|_, _| Some(answer(200, "", b"")));
    let home = behind_a_proxy(&PartnerFile { url: peer.url(), accept: STRICT, ..PartnerFile::default() });
    let clock = inside::clock();
    pass(&clock, HOUR);
    let gateway = Inside::start(&home, &clock);
    for number in 0..8 {
        let new = letter(&later(&peer), &format!("<behind-{number}@theirs>"), format!("{number}").as_bytes());
        assert_eq!(post(&home, THEIRS, &new).status, 202);
    }
    eventually("all are accepted", || (count(&gateway, State::Accepted) == 8).then_some(()));
    guess(&home);
    assert_eq!(post(&home, THEIRS, &letter(&plan(), "<next@theirs>", b"<next/>")).status, 503);
}

#[test]
fn of_repetitions_by_strangers_that_want_their_receipt_later_so_many_are_kept_in_an_hour() {
    let peer = Scripted::start(|_, _| Some(answer(200, "", b"")));
    let home = behind_a_proxy(&PartnerFile { url: peer.url(), accept: STRICT, ..PartnerFile::default() });
    let clock = inside::clock();
    let gateway = Inside::start(&home, &clock);
    let recorded = letter(&later(&peer), "<later@theirs>", b"<once/>");
    assert_eq!(post(&home, THEIRS, &recorded).status, 202);
    eventually("it is accepted", || (count(&gateway, State::Accepted) == 1).then_some(()));
    let repeat = |host: usize| post(&home, &format!("198.51.100.{host}"), &recorded).status;
    let statuses: Vec<u16> = (0..9).map(repeat).collect();
    assert_eq!(statuses, [202, 202, 202, 503, 503, 503, 503, 503, 503]);
    eventually("three are kept", || (count(&gateway, State::Declined) == 3).then_some(()));
    let fresh = letter(&later(&peer), "<fresh@theirs>", b"<fresh/>");
    assert_eq!(post(&home, ELSEWHERE, &fresh).status, 202, "a new message of the partner's is taken all the same");
    eventually("the new one is accepted", || (count(&gateway, State::Accepted) == 2).then_some(()));
    let unsigned = letter(&SendPlan { signing: None, ..later(&peer) }, "<unsigned@theirs>", b"<unsigned/>");
    assert_eq!(post(&home, "198.51.100.20", &unsigned).status, 503, "anybody could send that");
    for _ in 0..5 {
        assert_eq!(post(&home, THEIRS, &recorded).status, 202, "the partner itself may ask as often as it likes");
    }
    pass(&clock, HOUR);
    assert_eq!(repeat(9), 202);
    eventually("all of these too", || (count(&gateway, State::Declined) == 9).then_some(()));
    inside::settle(&[&gateway], "all receipts are sent");
    assert_eq!((peer.posted().len(), gateway.messages().len()), (11, 22), "each with its receipt");
}

#[test]
fn of_signed_messages_from_elsewhere_that_are_refused_so_many_are_kept_in_an_hour() {
    let accept = format!("{STRICT}\nfile_names = \"unique\"");
    let home = behind_a_proxy(&PartnerFile { accept: &accept, ..PartnerFile::default() });
    let gateway = Inside::start(&home, &inside::clock());
    let first = letter(&plan(), "<first@theirs>", b"<first/>");
    let other_name = SendPlan { file_name: Some("second.xml".to_owned()), ..plan() };
    let second = letter(&other_name, "<second@theirs>", b"<second/>");
    assert!(accepted(&post(&home, THEIRS, &first)) && accepted(&post(&home, THEIRS, &second)));
    let refused = |from: &str, number: usize| {
        let recorded = match number % 2 {
            0 => renamed(&first, "first", &format!("again-{number}")),
            _ => renamed(&second, "second", "first"),
        };
        let told = receipt_in(&post(&home, from, &recorded)).disposition;
        assert!(!told.is_positive(), "{number}: {told}");
    };
    (0..8).for_each(|number| refused(ELSEWHERE, number));
    assert_eq!(count(&gateway, State::Declined), 3);
    (8..12).for_each(|number| refused(THEIRS, number));
    assert_eq!(count(&gateway, State::Declined), 7, "what the partner sends itself is kept");
    let alerts = eventually("people are told of the file names", || {
        Some(gateway.alerts()).filter(|alerts| alerts.contains(&"messages-refused".to_owned()))
    });
    assert!(!alerts.contains(&"signature-reused".to_owned()), "nothing was delivered again: {alerts:?}");
}

#[test]
fn of_recorded_messages_that_are_refused_and_want_their_receipt_later_so_many_are_kept_in_an_hour() {
    let peer = Scripted::start(|_, _| Some(answer(200, "", b"")));
    let accept = format!("{STRICT}\nfile_names = \"unique\"");
    let home = behind_a_proxy(&PartnerFile { url: peer.url(), accept: &accept, ..PartnerFile::default() });
    let gateway = Inside::start(&home, &inside::clock());
    let recorded = letter(&later(&peer), "<recorded@theirs>", b"<once/>");
    assert_eq!(post(&home, THEIRS, &recorded).status, 202);
    eventually("it is accepted", || (count(&gateway, State::Accepted) == 1).then_some(()));
    // Its file name was taken, or its receipt cannot be made.
    let again = |number: usize| {
        let mut again = renamed(&recorded, "recorded", &format!("again-{number}"));
        if number % 2 == 1 {
            let (usual, demanding) = ("signed-receipt-protocol=", "x-new=required, z; signed-receipt-protocol=");
            assert!(again.headers.contains(usual), "{}", again.headers);
            again.headers = again.headers.replace(usual, demanding);
        }
        post(&home, ELSEWHERE, &again).status
    };
    assert_eq!((0..3).map(again).collect::<Vec<_>>(), [202; 3]);
    eventually("three are kept", || (count(&gateway, State::Declined) == 3).then_some(()));
    assert_eq!((3..9).map(again).collect::<Vec<_>>(), [503; 6]);
    assert_eq!(count(&gateway, State::Declined), 3);
    let other_name = SendPlan { file_name: Some("other.xml".to_owned()), ..later(&peer) };
    assert_eq!(post(&home, ELSEWHERE, &letter(&other_name, "<fresh@theirs>", b"<fresh/>")).status, 202);
    eventually("a new one is accepted", || (count(&gateway, State::Accepted) == 2).then_some(()));
}
