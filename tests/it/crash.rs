//! Ends that come in the middle of something, set up one by one; `kill9` plays them at random.

use std::fs;
use std::time::{Duration, Instant};

use dxgate::as2::{MdnAsk, MdnMode, SendPlan};
use dxgate::ground::id::Id;
use jiff::Timestamp;

use crate::support::correspondent::{self, Kind, acknowledge, letter, open, plan};
use crate::support::gateway::{Gateway, dxgate};
use crate::support::home::{Home, PartnerFile, Station};
use crate::support::scripted::{self, Scripted};
use crate::support::{eventually, http, keys};

/// The longest orderly end that is allowed: `[limits] shutdown`.
const DRAIN: Duration = Duration::from_secs(30);

#[test]
fn a_start_that_dies_while_it_makes_the_token_of_the_api_is_followed_by_one_that_works() {
    for step in ["create", "write", "sync"] {
        let home = Home::ours();
        let folder = home.config().parent().and_then(|folder| folder.file_name()).unwrap().to_owned();
        let mut command = dxgate();
        command.env("FAILPOINTS", format!("{step}@{}=1*return(abort)", folder.display()));
        let mut gateway = Gateway::spawn_by(&home, command);
        let ended = eventually("the start dies", || gateway.ended());
        assert!(!ended.success(), "{step}");
        assert_eq!(home.token(), None, "{step}: half a token is worse than none");
        let gateway = Gateway::start(&home);
        assert!(gateway.api("/api/v1/messages")["messages"].is_array());
        assert!(gateway.stop().success());
    }
}

#[test]
fn a_file_claimed_before_the_end_is_taken_up_at_the_next_start() {
    let peer = Scripted::start(|_, posted| Some(acknowledge(posted, Kind::default())));
    let home = Home::ours();
    home.partner("theirs", &PartnerFile { url: peer.url(), ..PartnerFile::default() });
    let id = Id::new(Timestamp::now());
    let claimed = home.exchange("theirs", ".claimed");
    fs::create_dir_all(&claimed).unwrap();
    fs::write(claimed.join(format!("{id}~订单.xml")), "<claimed/>").unwrap();
    let gateway = Gateway::start(&home);
    assert_eq!(gateway.wait_for("theirs", "sent", "订单.xml"), b"<claimed/>");
    assert_eq!(gateway.api("/api/v1/messages")["messages"][0]["id"], id.to_string());
    eventually(".claimed is empty", || (fs::read_dir(&claimed).unwrap().count() == 0).then_some(()));

    // Recorded, but the power failed before the claimed file was removed.
    assert!(gateway.stop().success());
    fs::write(claimed.join(format!("{id}~订单.xml")), "<claimed/>").unwrap();
    let gateway = Gateway::start(&home);
    eventually("the claimed file is removed", || (fs::read_dir(&claimed).unwrap().count() == 0).then_some(()));
    home.submit("theirs", "next.xml", b"<next/>");
    gateway.wait_for("theirs", "sent", "next.xml");
    let payloads: Vec<Vec<u8>> = peer.posted().iter().map(|posted| open(posted).payload).collect();
    assert_eq!(payloads, [b"<claimed/>".to_vec(), b"<next/>".to_vec()], "nothing was sent twice");
    assert_eq!(home.names("theirs", "sent"), ["next.xml", "订单.xml"]);
}

#[test]
fn an_attempt_cut_off_by_a_kill_is_made_again_with_the_same_bytes() {
    let home = Home::ours();
    let (cut, was_cut) = std::sync::mpsc::channel::<()>();
    let (go_on, released) = std::sync::mpsc::channel::<()>();
    let peer = Scripted::start(move |number, posted| {
        if number == 0 {
            // The partner has it, and its answer never arrives.
            cut.send(()).unwrap();
            let _ = released.recv();
            return None;
        }
        Some(acknowledge(posted, Kind::default()))
    });
    home.partner("theirs", &PartnerFile { url: peer.url(), ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    home.submit("theirs", "order.xml", b"<order/>");
    was_cut.recv_timeout(Duration::from_secs(60)).unwrap();
    gateway.kill();
    go_on.send(()).unwrap();
    let gateway = Gateway::start(&home);
    assert_eq!(gateway.wait_for("theirs", "sent", "order.xml"), b"<order/>");
    let posted = peer.posted();
    assert_eq!(posted.len(), 2);
    assert!(posted[0].body == posted[1].body);
    assert_eq!(posted[0].header("Message-ID"), posted[1].header("Message-ID"));
    let listed = gateway.api("/api/v1/messages?name=order.xml");
    assert_eq!(listed["messages"][0]["attempts"], 2, "the lost attempt counts: {listed:#}");
}

#[test]
fn a_message_taken_with_a_promise_to_answer_later_survives_a_kill() {
    let peer = Scripted::start(|_, _| Some(scripted::answer(200, "", b"")));
    let home = Home::ours();
    home.partner("theirs", &PartnerFile { url: peer.url(), ..PartnerFile::default() });
    let mdn = MdnAsk { mode: MdnMode::Async { url: peer.url() }, signed: true, micalgs: Vec::new() };
    let plan = SendPlan { mdn, file_name: Some("promised.bin".to_owned()), ..plan() };
    // Long enough that opening it takes longer than the way of the signal.
    let payload = vec![b'p'; 8 << 20];
    let message = letter(&plan, "<promised@theirs>", &payload);
    let gateway = Gateway::start(&home);
    let answer = http::post(home.as2, "/as2", &message.headers, &message.body).unwrap();
    assert_eq!(answer.status, 202, "{}", answer.text());
    gateway.kill();
    let gateway = Gateway::start(&home);
    assert!(gateway.wait_for("theirs", "inbox", "promised.bin") == payload);
    let receipt = eventually("the receipt comes", || peer.posted().first().cloned());
    assert!(correspondent::receipt(&receipt.headers, &receipt.body).disposition.is_positive());
    assert!(gateway.stop().success());
    assert_eq!(home.names("theirs", "inbox"), ["promised.bin", "promised.bin.meta.json"]);
}

#[test]
fn an_orderly_end_does_not_wait_for_a_partner_that_never_answers() {
    let (hold, silence) = std::sync::mpsc::channel::<()>();
    let peer = Scripted::start(move |number, posted| {
        if number == 0 {
            let _ = silence.recv_timeout(DRAIN * 2);
        }
        Some(acknowledge(posted, Kind::default()))
    });
    let more = "[limits]\nfree_space_floor = 0\nshutdown = \"2s\"";
    let home = Home::of(&Station { as2_name: "ours", party: keys::ours(), more });
    home.partner("theirs", &PartnerFile { url: peer.url(), ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    home.submit("theirs", "order.xml", b"<order/>");
    eventually("the partner has it", || (peer.posted().len() == 1).then_some(()));
    let start = Instant::now();
    assert!(gateway.stop().success());
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    drop(hold);
    let gateway = Gateway::start(&home);
    assert_eq!(gateway.wait_for("theirs", "sent", "order.xml"), b"<order/>");
    let posted = peer.posted();
    assert!(posted.len() == 2 && posted[0].body == posted[1].body, "the same bytes again");
}
