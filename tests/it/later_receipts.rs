//! Receipts that travel on a connection of their own: early, twice, forged, about nothing; and those that we owe. What is wanted of
//! an answer that brings none.

use std::sync::Arc;
use std::time::Duration;

use dxgate::as2::{MdnAsk, MdnMode, SendPlan};
use dxgate::cms::DigestAlgorithm;
use dxgate::ground::clock::{Clock, SystemClock};
use dxgate::ground::id::Id;
use dxgate::ground::limits::Limits;
use dxgate::mime::Headers;
use dxgate::store::record::{DedupKey, Fact, JobKind, Message, Receipt, State};
use dxgate::store::{Store, StoreConfig, Transaction};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::support::correspondent::{Kind, Letter, acknowledge, letter, plan, receipt_for};
use crate::support::gateway::Gateway;
use crate::support::home::{Home, PartnerFile};
use crate::support::inside::{self, Inside};
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
fn a_refusal_that_comes_once_more_fails_nothing_before_what_was_retried_was_transferred() {
    let home = Home::ours();
    let peer = Scripted::start(|number, _| Some(answer(if number == 1 { 503 } else { 202 }, "", b"")));
    let (mdn, delivery) = ("mode = \"async\"\nsigned = true", "retry = [\"1m\"]\njitter = 0.0");
    home.partner("theirs", &PartnerFile { url: peer.url(), mdn, delivery, ..PartnerFile::default() });
    let clock = inside::clock();
    let gateway = Inside::start(&home, &clock);
    gateway.submit("theirs", "order.xml", ORDER);
    let awaited = |attempts: u32| {
        gateway.until("theirs", "awaited", |message| {
            (message.attempts, message.state) == (attempts, State::AwaitingReceipt)
        });
        peer.posted().remove(0)
    };
    let retry = || {
        let path = format!("/api/v1/messages/{}/retry", gateway.sent_to("theirs").id);
        let done = gateway.post(&path, br#"{"reason":"they have mended it"}"#);
        assert_eq!(done.0, 200, "{:#}", done.1);
    };
    let said = |letter: &Letter| {
        assert_eq!(post(&home, letter), 200);
        gateway.sent_to("theirs").state
    };
    let posted = awaited(1);
    let refusal = receipt_for(&posted, Kind { disposition: NEGATIVE, ..Kind::default() });
    assert_eq!(said(&refusal), State::Failed);
    retry();
    gateway.until("theirs", "turned away", |message| (message.attempts, message.state) == (2, State::Composed));
    assert_eq!(said(&refusal), State::Composed, "their queue sends it once more");
    assert_eq!((gateway.sent_to("theirs").strays, gateway.alerts()), (vec![], vec![]), "that is no news");
    inside::pass(&clock, Duration::from_secs(60));
    awaited(3);
    assert_eq!(said(&refusal), State::Failed, "they say about the same Message-ID what they said");
    retry();
    awaited(4);
    let taken = receipt_for(&posted, Kind::default());
    assert!(taken.headers.contains("<receipt@theirs>"), "{}", taken.headers);
    assert_eq!(said(&taken), State::Delivered, "a Message-ID that is used twice hides no other word");
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

#[test]
fn a_receipt_with_a_connection_of_its_own_is_not_due_before_that_of_its_message_could_end() {
    let peer = Scripted::start(|_, _| Some(answer(204, "", b"")));
    let home = Home::ours();
    home.partner("theirs", &PartnerFile { url: peer.url(), ..PartnerFile::default() });
    let clock = inside::clock();
    let gateway = Inside::start(&home, &clock);
    assert_eq!(post(&home, &asking(&peer.url())), 202);
    let queued = settled(&gateway, State::Composed, 1).remove(0);
    assert_eq!((queued.kind, queued.due), (JobKind::Mdn, Some(clock.now() + SignedDuration::from_secs(2))));
    assert!(peer.posted().is_empty(), "the clock stands still");
    inside::pass(&clock, Duration::from_secs(2));
    settled(&gateway, State::Delivered, 1);
    assert_eq!(peer.posted().len(), 1);
}

#[test]
fn of_what_is_not_accepted_the_beginning_is_kept_however_its_receipt_travels() {
    const KEPT: u64 = 64 * 1024;
    // In a file of its own, and in the journal.
    for length in [1_300_000, 200_000] {
        let peer = Scripted::start(|_, _| Some(answer(204, "", b"")));
        let home = Home::ours();
        let accept = "signature = true\nencryption = true";
        home.partner("theirs", &PartnerFile { url: peer.url(), accept, ..PartnerFile::default() });
        let gateway = Inside::start(&home, &inside::clock());
        let mdn = MdnAsk { mode: MdnMode::Async { url: peer.url() }, signed: true, micalgs: Vec::new() };
        let payload = crate::proof::content("payload", length);
        let genuine = letter(&SendPlan { mdn, ..plan() }, "<letter@theirs>", &payload);
        let mut forged = Letter { headers: genuine.headers.clone(), body: genuine.body.clone() };
        let middle = forged.body.len() / 2;
        forged.body[middle] ^= 1;
        assert_eq!(post(&home, &forged), 202);
        let refused = settled(&gateway, State::Declined, 1);
        assert_eq!((refused[0].wire.unwrap().len, refused[0].bodies().len()), (KEPT, 2), "{:#?}", refused[0]);
        // The state is seen first; then the file that it no longer names goes.
        let files = || crate::support::home::names(&home.path("data/bodies"));
        eventually("nothing else of it is on the disk", || files().is_empty().then_some(()));
        // Repeated once it was accepted: the record of the repetition keeps as much.
        assert_eq!(post(&home, &genuine), 202);
        let accepted = settled(&gateway, State::Accepted, 1);
        assert_eq!(accepted[0].wire.unwrap().len, genuine.body.len() as u64);
        assert_eq!(post(&home, &genuine), 202);
        let declined = settled(&gateway, State::Declined, 2);
        assert!(declined.iter().all(|message| message.wire.unwrap().len == KEPT), "{declined:#?}");
        let verified = gateway.post("/api/v1/journal/verify", b"{}");
        assert_eq!(verified.0, 200, "{:#}", verified.1);
    }
}

#[test]
fn a_receipt_that_is_owed_is_made_after_a_restart_however_much_came_later() {
    let peer = Scripted::start(|_, _| Some(answer(204, "", b"")));
    let home = Home::ours();
    let mdn = "mode = \"async\"\nsigned = true";
    home.partner("theirs", &PartnerFile { url: peer.url(), mdn, ..PartnerFile::default() });
    let letter = asking(&peer.url());
    {
        let config = StoreConfig {
            allow_untrusted_filesystem: true,
            ..StoreConfig::new(home.path("data"), Arc::new(SystemClock))
        };
        let (store, _) = Store::open(config).unwrap();
        // Accepted when no key could sign, so without an answer; then far more than are in work at once, answered.
        let owed = accept(&store, &letter, "asking@theirs", false);
        // Says where receipts go and asks for none.
        let asks = |line: &&str| !line.starts_with("Disposition-Notification-To:");
        let lines = letter.headers.lines().filter(asks).map(|line| format!("{line}\r\n"));
        let silent = Letter { headers: lines.collect(), body: letter.body.clone() };
        assert_ne!(silent.headers.len(), letter.headers.len());
        accept(&store, &silent, "silent@theirs", false);
        for number in 0..2_100 {
            accept(&store, &letter, &format!("{number}@theirs"), true);
        }
        assert_eq!(store.owing().iter().map(|message| message.id).collect::<Vec<_>>(), [owed]);
    }
    let gateway = Gateway::start(&home);
    eventually("the receipt is sent", || (peer.posted().len() == 1).then_some(()));
    eventually("the job is done", || (message(&gateway)["state"] == "delivered").then_some(()));
    assert!(String::from_utf8_lossy(&peer.posted()[0].body).contains("<asking@theirs>"));
}

#[test]
fn a_receipt_that_is_owed_to_a_partner_without_a_file_is_an_alert_and_is_made_once_the_file_is_back() {
    let peer = Scripted::start(|_, _| Some(answer(204, "", b"")));
    let home = Home::ours();
    {
        let config = StoreConfig {
            allow_untrusted_filesystem: true,
            ..StoreConfig::new(home.path("data"), Arc::new(SystemClock))
        };
        let (store, _) = Store::open(config).unwrap();
        accept(&store, &asking(&peer.url()), "asking@theirs", false);
    }
    let clock = inside::clock();
    let gateway = Inside::start(&home, &clock);
    let stuck = || {
        let open = gateway.api("/api/v1/alerts")["alerts"].clone();
        open.as_array().unwrap().iter().find(|alert| alert["code"] == "reception-stuck").cloned()
    };
    let found = eventually("it is told", || {
        inside::pass(&clock, Duration::from_secs(60));
        stuck()
    });
    assert_eq!((&found["partner"], &found["level"]), (&"theirs".into(), &"error".into()), "{found:#}");
    assert!(found["text"]["en"].as_str().unwrap().contains("minutes: 1. the partner is not configured"), "{found:#}");
    assert_eq!(peer.posted().len(), 0);
    let mdn = "mode = \"async\"\nsigned = true";
    home.partner("theirs", &PartnerFile { url: peer.url(), mdn, ..PartnerFile::default() });
    assert_eq!(gateway.post("/api/v1/partners/reload", b"{}").0, 200);
    eventually("it is over", || {
        inside::pass(&clock, Duration::from_secs(2));
        stuck().is_none().then_some(())
    });
    eventually("the receipt is sent", || (peer.posted().len() == 1).then_some(()));
    assert!(String::from_utf8_lossy(&peer.posted()[0].body).contains("<asking@theirs>"));
}

/// Good answers whose bodies do not come whole: one breaks off, one is longer than any receipt.
fn broken_answers() -> [Vec<u8>; 2] {
    let long = answer(200, "Content-Type: text/html\r\n", &b"x".repeat(2 << 20));
    [b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort".to_vec(), long]
}

#[test]
fn a_good_status_is_enough_where_nothing_else_is_wanted_however_the_body_behind_it_ends() {
    for broken in broken_answers() {
        let home = Home::ours();
        let peer = Scripted::start(move |_, _| Some(broken.clone()));
        home.partner("theirs", &PartnerFile { url: peer.url(), mdn: "mode = \"none\"", ..PartnerFile::default() });
        let clock = inside::clock();
        let gateway = Inside::start(&home, &clock);
        gateway.submit("theirs", "order.xml", ORDER);
        let delivered = settled(&gateway, State::Delivered, 1).remove(0);
        assert_eq!((delivered.kind, delivered.attempts, delivered.reason), (JobKind::Payload, 1, None));
        assert_eq!(post(&home, &asking(&peer.url())), 202);
        settled(&gateway, State::Composed, 1);
        inside::pass(&clock, Duration::from_secs(2));
        settled(&gateway, State::Delivered, 2);
        assert_eq!(peer.posted().len(), 2, "the payload and our receipt, each once");
    }
}

#[test]
fn a_transfer_whose_answer_does_not_come_whole_awaits_its_receipt_and_is_not_sent_twice() {
    for broken in broken_answers() {
        let home = Home::ours();
        let peer = Scripted::start(move |_, _| Some(broken.clone()));
        let mdn = "mode = \"async\"\nsigned = true\ndeadline = \"30m\"";
        home.partner("theirs", &PartnerFile { url: peer.url(), mdn, ..PartnerFile::default() });
        let clock = inside::clock();
        let gateway = Inside::start(&home, &clock);
        for number in 0..3 {
            gateway.submit("theirs", &format!("{number}.xml"), ORDER);
        }
        let deadline = clock.now() + SignedDuration::from_mins(30);
        for message in settled(&gateway, State::AwaitingReceipt, 3) {
            assert_eq!((message.attempts, message.due), (1, Some(deadline)), "{message:#?}");
        }
        assert_eq!(gateway.alerts(), Vec::<String>::new(), "who answers is not down");
        for posted in peer.posted() {
            assert_eq!(post(&home, &receipt_for(&posted, Kind::default())), 200);
        }
        settled(&gateway, State::Delivered, 3);
        assert_eq!(peer.posted().len(), 3);
    }
}

#[test]
fn a_partner_whose_receipts_break_off_is_tried_again_and_does_not_count_as_down() {
    let home = Home::ours();
    let peer = Scripted::start(|_, posted| {
        let whole = acknowledge(posted, Kind::default());
        Some(whole[..whole.len() / 2].to_vec())
    });
    home.partner("theirs", &PartnerFile { url: peer.url(), ..PartnerFile::default() });
    let gateway = Inside::start(&home, &inside::clock());
    for number in 0..3 {
        gateway.submit("theirs", &format!("{number}.xml"), ORDER);
    }
    let tried = |message: &Message| message.attempts == 1 && message.state == State::Composed;
    eventually("all were tried", || gateway.messages().iter().all(tried).then_some(()));
    let codes: Vec<_> = gateway.messages().into_iter().filter_map(|message| Some(message.reason?.code)).collect();
    assert_eq!((codes, gateway.alerts()), (vec!["connection-closed".to_owned(); 3], vec![]));
}

#[test]
fn a_receipt_for_what_was_held_and_then_resent_says_that_the_partner_may_have_both() {
    let (home, peer) = (Home::ours(), Scripted::start(|_, _| Some(answer(202, "", b""))));
    let mdn = "mode = \"async\"\nsigned = true";
    home.partner("theirs", &PartnerFile { url: peer.url(), mdn, ..PartnerFile::default() });
    let gateway = Inside::start(&home, &inside::clock());
    gateway.submit("theirs", "order.xml", ORDER);
    let first = gateway.until("theirs", "awaited", |message| message.state == State::AwaitingReceipt);
    let posted = peer.posted().remove(0);
    for action in ["hold", "resend"] {
        let done = gateway.post(&format!("/api/v1/messages/{}/{action}", first.id), br#"{"reason":"they ask for it"}"#);
        assert_eq!(done.0, 200, "{action}: {:#}", done.1);
    }
    assert_eq!(post(&home, &receipt_for(&posted, Kind::default())), 200);
    let ended = gateway.messages().into_iter().find(|message| message.id == first.id).unwrap();
    let (told, successor) = (&ended.strays[0].reason, ended.successor.unwrap().to_string());
    assert_eq!((ended.state, told.code.as_str()), (State::Cancelled, "mdn-late"));
    assert!(told.text.en.contains(&successor) && told.text.zh.contains(&successor), "{told:?}");
}

/// As the gateway records what it has opened, with its answer or without.
fn accept(store: &Store, letter: &Letter, message_id: &str, answered: bool) -> Id {
    let at = Timestamp::now();
    let id = Id::new(at);
    let mut transaction = Transaction::new(at);
    let (wire, payload) = (transaction.body(letter.body.clone()), transaction.body(ORDER.to_vec()));
    let (from, to) = ("theirs".to_owned(), "ours".to_owned());
    let headers = Headers::parse(format!("{}\r\n", letter.headers).as_bytes(), &Limits::default()).unwrap();
    let accepted = Fact::Accepted {
        partner: "theirs".to_owned(),
        key: DedupKey { from, to, message_id: message_id.to_owned() },
        headers: headers.clone(),
        wire,
        payload,
        file_name: "letter.xml".to_owned(),
        declaration: None,
        signer: None,
        files: Vec::new(),
    };
    transaction.fact(id, accepted);
    if answered {
        let body = transaction.body(b"an MDN".to_vec());
        let (disposition, mic, mic_matches, signer) = (String::new(), None, None, None);
        transaction.fact(id, Fact::Answered { mdn: Receipt { body, headers, disposition, mic, mic_matches, signer } });
    }
    store.commit_blocking(transaction).unwrap();
    id
}

/// So many messages in a state, once there are.
fn settled(gateway: &Inside<'_>, state: State, count: usize) -> Vec<Message> {
    eventually(&format!("{count} {state:?}"), || {
        let mut messages = gateway.messages();
        messages.retain(|message| message.state == state);
        (messages.len() == count).then_some(messages)
    })
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

#[test]
fn a_receipt_that_is_repeated_has_nothing_read_again_of_what_it_settled() {
    let (home, peer) = (Home::ours(), Scripted::start(|_, _| Some(answer(202, "", b""))));
    let mdn = "mode = \"async\"\nsigned = true";
    home.partner("theirs", &PartnerFile { url: peer.url(), mdn, ..PartnerFile::default() });
    let gateway = Inside::start(&home, &inside::clock());
    // In a file of its own.
    let payload = crate::proof::content("payload", 1_300_000);
    gateway.submit("theirs", "order.xml", &payload);
    let message = gateway.until("theirs", "awaited", |message| message.state == State::AwaitingReceipt);
    let digest = DigestAlgorithm::Sha512;
    assert!(message.mics.lacks(digest), "it is computed when a receipt names it");
    let mics = message.mics.with(digest, &mut payload.as_slice()).unwrap();
    let posted = peer.posted().remove(0);
    // Its delimiters differ each time.
    let said = || receipt_for(&posted, Kind { mic: mics.exact(digest).cloned(), ..Kind::default() });
    assert_eq!(post(&home, &said()), 200);
    assert_eq!(gateway.sent_to("theirs").state, State::Delivered);
    eventually("it is published", || home.names("theirs", "sent").contains(&"order.xml".to_owned()).then_some(()));
    let stored = message.payload.unwrap().id;
    std::fs::remove_file(home.path("data/bodies").join(stored.to_string())).unwrap();
    assert_eq!(post(&home, &said()), 200);
    assert_eq!((gateway.sent_to("theirs").strays, gateway.alerts()), (vec![], vec![]), "that is no news");
}
