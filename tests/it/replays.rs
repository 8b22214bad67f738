//! One message sent over and over, all at once: it is delivered once, and every copy gets the same bytes.
//!
//! `DXGATE_R11_REPLAYS` sets how many copies of each message (500 unless set; 10,000 before a release).

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use dxgate::as2::{MdnAsk, MdnMode, SendPlan};
use dxgate::cms::DigestAlgorithm;
use dxgate::store::record::State;

use crate::support::correspondent::{Letter, letter, plan, receipt, receipt_in};
use crate::support::gateway::Gateway;
use crate::support::home::{Home, PartnerFile};
use crate::support::inside::{self, Inside};
use crate::support::scripted::{Scripted, answer};
use crate::support::{eventually, http};

const CLIENTS: usize = 16;

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
    let mdn = MdnAsk { mode: MdnMode::Async { url: peer.url() }, signed: true, micalgs: vec![DigestAlgorithm::Sha256] };
    let message = letter(&SendPlan { mdn, ..plan() }, "<storm@theirs>", b"<once/>");
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
