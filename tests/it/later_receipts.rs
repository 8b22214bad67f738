//! Receipts that travel on a connection of their own: early, twice, forged, about nothing; and those that we owe.

use dxgate::as2::{MdnAsk, MdnMode, SendPlan};
use serde_json::Value;

use crate::support::correspondent::{Kind, Letter, letter, plan, receipt_for};
use crate::support::gateway::Gateway;
use crate::support::home::{Home, PartnerFile};
use crate::support::scripted::{Posted, Scripted, answer};
use crate::support::{eventually, http, keys};

const ORDER: &[u8] = b"<order/>\n";
const NEGATIVE: &str = "automatic-action/MDN-sent-automatically; processed/error: decryption-failed";

#[test]
fn a_receipt_that_overtakes_the_answer_to_its_message_settles_it() {
    let home = Home::ours();
    let as2 = home.as2;
    let peer = Scripted::start(move |_, posted| {
        let receipt = receipt_for(posted, Kind::default());
        let taken = http::post(as2, "/as2", &receipt.headers, &receipt.body).unwrap();
        assert_eq!(taken.status, 200, "{}", taken.text());
        Some(answer(200, "", b""))
    });
    let gateway = start(&home, &peer);
    home.submit("theirs", "order.xml", ORDER);
    assert_eq!(gateway.wait_for("theirs", "sent", "order.xml"), ORDER);
    gateway.wait_for("theirs", "receipts", "order.xml.mdn");
    let message = message(&gateway);
    assert_eq!((&message["state"], &message["attempts"]), (&"delivered".into(), &1.into()), "{message:#}");
    assert_eq!(peer.posted().len(), 1);
}

#[test]
fn what_is_forged_or_about_another_message_does_not_settle_what_is_awaited() {
    let (home, peer) = (Home::ours(), Scripted::start(|_, _| Some(answer(202, "", b""))));
    let gateway = start(&home, &peer);
    let posted = awaited(&home, &gateway, &peer);
    let stranger = || Some(keys::stranger());
    for (kind, why) in [
        (Kind { signer: None, ..Kind::default() }, "unsigned"),
        (Kind { signer: stranger(), ..Kind::default() }, "of a stranger"),
        (Kind { signer: stranger(), disposition: NEGATIVE, ..Kind::default() }, "negative, of a stranger"),
        (Kind { signer: None, disposition: NEGATIVE, ..Kind::default() }, "negative, unsigned"),
        (Kind { about: Some("<other@ours>"), ..Kind::default() }, "about another message"),
    ] {
        assert_eq!(post(&home, &receipt_for(&posted, kind)), 200, "{why}");
        assert_eq!(message(&gateway)["state"], "awaiting-receipt", "{why}:\n{}", gateway.log());
    }
    let mut garbage = receipt_for(&posted, Kind::default());
    garbage.body.truncate(garbage.body.len() / 2);
    assert_eq!(post(&home, &garbage), 400, "half a receipt");
    assert_eq!(message(&gateway)["state"], "awaiting-receipt");
    let genuine = receipt_for(&posted, Kind::default());
    assert_eq!(post(&home, &genuine), 200);
    assert_eq!(gateway.wait_for("theirs", "sent", "order.xml"), ORDER);
    assert_eq!(post(&home, &genuine), 200, "once more does no harm");
    let contrary = receipt_for(&posted, Kind { disposition: NEGATIVE, ..Kind::default() });
    assert_eq!(post(&home, &contrary), 200, "what is settled stays settled");
    assert_eq!(message(&gateway)["state"], "delivered");
    assert_eq!(home.names("theirs", "sent"), ["order.xml"]);
    eventually("one receipt is kept for the user", || {
        (home.names("theirs", "receipts") == ["order.xml.mdn", "order.xml.mdn.json"]).then_some(())
    });
}

#[test]
fn a_negative_receipt_that_comes_later_fails_the_message() {
    let (home, peer) = (Home::ours(), Scripted::start(|_, _| Some(answer(200, "", b""))));
    let gateway = start(&home, &peer);
    let posted = awaited(&home, &gateway, &peer);
    assert_eq!(post(&home, &receipt_for(&posted, Kind { disposition: NEGATIVE, ..Kind::default() })), 200);
    assert_eq!(gateway.wait_for("theirs", "failed", "order.xml"), ORDER);
    gateway.wait_for("theirs", "failed", "order.xml.error.json");
    gateway.wait_for("theirs", "receipts", "order.xml.mdn.json");
}

#[test]
fn a_receipt_that_comes_after_a_restart_settles_as_well() {
    let (home, peer) = (Home::ours(), Scripted::start(|_, _| Some(answer(200, "", b""))));
    let gateway = start(&home, &peer);
    let posted = awaited(&home, &gateway, &peer);
    gateway.kill();
    let gateway = Gateway::start(&home);
    assert_eq!(message(&gateway)["state"], "awaiting-receipt");
    assert_eq!(post(&home, &receipt_for(&posted, Kind::default())), 200);
    assert_eq!(gateway.wait_for("theirs", "sent", "order.xml"), ORDER);
    assert_eq!(peer.posted().len(), 1, "nothing was sent again");
}

#[test]
fn our_receipt_is_tried_again_until_the_partner_takes_it() {
    let peer = Scripted::start(|number, _| Some(answer(if number == 0 { 503 } else { 204 }, "", b"")));
    let home = Home::ours();
    let gateway = start(&home, &peer);
    assert_eq!(post(&home, &asking(&peer.url())), 202);
    eventually("it was tried twice", || (peer.posted().len() == 2).then_some(()));
    let posted = peer.posted();
    assert!(posted[0].body == posted[1].body);
    assert_eq!(posted[0].header("Message-ID"), posted[1].header("Message-ID"));
    eventually("the job is done", || (message(&gateway)["state"] == "delivered").then_some(()));
    gateway.wait_for("theirs", "inbox", "letter.xml");
}

#[test]
fn our_receipt_goes_to_no_address_that_the_agreement_does_not_name() {
    let elsewhere = Scripted::start(|_, _| Some(answer(200, "", b"")));
    let peer = Scripted::start(|_, _| Some(answer(200, "", b"")));
    let home = Home::ours();
    let gateway = start(&home, &peer);
    assert_eq!(post(&home, &asking(&elsewhere.url())), 202);
    gateway.wait_for("theirs", "inbox", "letter.xml");
    let held = eventually("the receipt is held", || {
        let message = message(&gateway);
        (message["state"] == "held").then_some(message)
    });
    assert_eq!((&held["kind"], &held["reason"]["code"]), (&"mdn".into(), &"mdn-url-refused".into()), "{held:#}");
    assert!(elsewhere.posted().is_empty() && peer.posted().is_empty());
}

/// `ours` with `peer` as partner, which is asked for its receipts on a connection of their own.
fn start<'h>(home: &'h Home, peer: &Scripted) -> Gateway<'h> {
    let mdn = "mode = \"async\"\nsigned = true";
    home.partner("theirs", &PartnerFile { url: peer.url(), mdn, ..PartnerFile::default() });
    Gateway::start(home)
}

/// A message that was transferred and waits for its receipt.
fn awaited(home: &Home, gateway: &Gateway<'_>, peer: &Scripted) -> Posted {
    home.submit("theirs", "order.xml", ORDER);
    eventually("the receipt is awaited", || (message(gateway)["state"] == "awaiting-receipt").then_some(()));
    peer.posted()[0].clone()
}

/// A message from the partner that wants its receipt at `url`.
fn asking(url: &str) -> Letter {
    let mdn = MdnAsk { mode: MdnMode::Async { url: url.to_owned() }, signed: true, micalgs: Vec::new() };
    letter(&SendPlan { mdn, ..plan() }, "<asking@theirs>", ORDER)
}

fn post(home: &Home, letter: &Letter) -> u16 {
    http::post(home.as2, "/as2", &letter.headers, &letter.body).unwrap().status
}

/// The only outbound message; null before there is one.
fn message(gateway: &Gateway<'_>) -> Value {
    gateway.api("/api/v1/messages?direction=outbound")["messages"][0].clone()
}
