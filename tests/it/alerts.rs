//! What a person should know, who has seen it, and what ends it; MDNs late, contrary, and about nothing; resending.

use std::process::Output;
use std::time::Duration;

use dxgate::as2::Mic;
use dxgate::cms::DigestAlgorithm;
use dxgate::ground::clock::Clock as _;
use dxgate::store::record::{JobKind, Message, State};
use jiff::SignedDuration;
use serde_json::Value;

use crate::support::correspondent::{Kind, Letter, acknowledge, letter, open, plan, receipt_for};
use crate::support::gateway::{Gateway, dxgate};
use crate::support::home::{Home, PartnerFile, Station, change};
use crate::support::inside::{self, Inside, pass};
use crate::support::scripted::{Posted, Scripted, answer};
use crate::support::{eventually, http, keys};

const ORDER: &[u8] = b"<order/>\n";
const NEGATIVE: &str = "automatic-action/MDN-sent-automatically; processed/error: decryption-failed";
const ASYNC: &str = "mode = \"async\"\nsigned = true\ndeadline = \"30m\"";

/// `ours`, which awaits its MDNs from `peer` on connections of their own.
fn home(peer: &Scripted, delivery: &str) -> Home {
    let home = Home::ours();
    home.partner("theirs", &PartnerFile { url: peer.url(), mdn: ASYNC, delivery, ..PartnerFile::default() });
    home
}

/// A message whose MDN is awaited, and what the partner got.
fn awaited(gateway: &Inside<'_>, peer: &Scripted) -> Posted {
    gateway.submit("theirs", "order.xml", ORDER);
    gateway.until("theirs", "transferred", |message| message.state == State::AwaitingReceipt);
    peer.posted().remove(0)
}

fn post(home: &Home, mdn: &Letter) -> u16 {
    http::post(home.as2, "/as2", &mdn.headers, &mdn.body).unwrap().status
}

fn contrary(posted: &Posted) -> Letter {
    receipt_for(posted, Kind { disposition: NEGATIVE, ..Kind::default() })
}

fn altered(posted: &Posted) -> Letter {
    let mic = Some(Mic { algorithm: DigestAlgorithm::Sha256, value: vec![7; 32] });
    receipt_for(posted, Kind { mic, ..Kind::default() })
}

fn strays(message: &Message) -> Vec<&str> {
    message.strays.iter().map(|stray| stray.reason.code.as_str()).collect()
}

#[test]
fn receipts_that_contradict_the_first_change_nothing_are_kept_and_alerted() {
    let peer = Scripted::start(|_, _| Some(answer(202, "", b"")));
    let home = home(&peer, "");
    let gateway = Inside::start(&home, &inside::clock());
    let posted = awaited(&gateway, &peer);
    let genuine = receipt_for(&posted, Kind::default());
    for _ in 0..3 {
        assert_eq!(post(&home, &genuine), 200, "the same again is nothing new");
    }
    assert_eq!((gateway.sent_to("theirs").state, gateway.alerts()), (State::Delivered, vec![]));
    let (contrary, altered) = (contrary(&posted), altered(&posted));
    for _ in 0..3 {
        assert_eq!((post(&home, &contrary), post(&home, &altered)), (200, 200));
    }
    let message = gateway.sent_to("theirs");
    assert_eq!(message.state, State::Delivered, "what is settled stays settled");
    assert_eq!(strays(&message), ["mdn-contradicts", "mdn-mic-mismatch"], "each kept once");
    assert!(message.strays.iter().all(|stray| stray.receipt.signer.is_some()));
    assert_eq!(gateway.alerts(), ["mdn-contradicts", "mdn-mic-mismatch"]);
}

#[test]
fn a_positive_receipt_after_a_negative_one_contradicts_it() {
    let peer = Scripted::start(|_, _| Some(answer(202, "", b"")));
    let home = home(&peer, "");
    let gateway = Inside::start(&home, &inside::clock());
    let posted = awaited(&gateway, &peer);
    assert_eq!(post(&home, &contrary(&posted)), 200);
    assert_eq!((gateway.sent_to("theirs").state, gateway.alerts()), (State::Failed, vec!["mdn-negative".to_owned()]));
    assert_eq!(post(&home, &contrary(&posted)), 200, "said again");
    assert_eq!(post(&home, &receipt_for(&posted, Kind::default())), 200);
    let message = gateway.sent_to("theirs");
    assert_eq!((message.state, strays(&message)), (State::Failed, vec!["mdn-contradicts"]));
    assert_eq!(gateway.alerts(), ["mdn-negative", "mdn-contradicts"]);
}

#[test]
fn a_receipt_with_another_mic_holds_what_is_awaited_and_the_right_one_still_delivers_it() {
    let peer = Scripted::start(|_, _| Some(answer(202, "", b"")));
    let home = home(&peer, "");
    let gateway = Inside::start(&home, &inside::clock());
    let posted = awaited(&gateway, &peer);
    let altered = altered(&posted);
    assert_eq!((post(&home, &altered), post(&home, &altered)), (200, 200));
    let held = gateway.sent_to("theirs");
    assert_eq!((held.state, strays(&held)), (State::Held, vec!["mdn-mic-mismatch"]));
    assert_eq!(post(&home, &receipt_for(&posted, Kind::default())), 200);
    assert_eq!(gateway.sent_to("theirs").state, State::Delivered);
    assert_eq!(gateway.alerts(), ["mdn-mic-mismatch"], "for a person all the same: the two contradict each other");
}

#[test]
fn a_receipt_that_comes_after_delivery_was_given_up_is_kept_and_a_retry_makes_good_use_of_it() {
    let peer = Scripted::start(|number, posted| match number {
        0 => Some(answer(202, "", b"")),
        _ => Some(acknowledge(posted, Kind::default())),
    });
    let home = home(&peer, "give_up_after = \"30m\"");
    let clock = inside::clock();
    let gateway = Inside::start(&home, &clock);
    let posted = awaited(&gateway, &peer);
    inside::settle(&[&gateway], "given up");
    assert_eq!(gateway.sent_to("theirs").state, State::Failed);
    pass(&clock, Duration::from_secs(7200));
    assert_eq!(post(&home, &receipt_for(&posted, Kind::default())), 200);
    let late = gateway.sent_to("theirs");
    assert_eq!((late.state, strays(&late)), (State::Failed, vec!["mdn-late"]));
    assert_eq!(gateway.alerts(), ["mdn-overdue", "mdn-late"]);
    let answer = gateway.post(&format!("/api/v1/messages/{}/retry", late.id), br#"{"reason":"they have it"}"#);
    assert_eq!(answer.0, 200, "{:#}", answer.1);
    gateway.until("theirs", "delivered", |message| message.state == State::Delivered);
    assert_eq!(gateway.alerts(), Vec::<String>::new(), "acknowledged with the retry, or ended with delivery");
}

/// `ours`, which wants its MDN in the answer and gives up with the second attempt.
fn impatient(peer: &Scripted) -> Home {
    let home = Home::ours();
    let delivery = "retry = [\"1m\"]\njitter = 0.0\ngive_up_after = \"1m\"";
    home.partner("theirs", &PartnerFile { url: peer.url(), delivery, ..PartnerFile::default() });
    home
}

/// A message that is given up.
fn given_up(gateway: &Inside<'_>) -> Message {
    gateway.submit("theirs", "order.xml", ORDER);
    inside::settle(&[gateway], "given up");
    gateway.sent_to("theirs")
}

#[test]
fn a_receipt_that_proves_nothing_does_not_answer_for_a_message_that_is_given_up() {
    let peer = Scripted::start(|_, posted| Some(acknowledge(posted, Kind { signer: None, ..Kind::default() })));
    let home = impatient(&peer);
    let gateway = Inside::start(&home, &inside::clock());
    let failed = given_up(&gateway);
    let code = failed.reason.as_ref().map(|reason| reason.code.as_str());
    assert_eq!((failed.state, code, &failed.receipt), (State::Failed, Some("mdn-unsigned"), &None));
    assert!(!failed.strays.is_empty() && strays(&failed).iter().all(|code| *code == "mdn-unsigned"), "{failed:#?}");
    let files = gateway.api(&format!("/api/v1/messages/{}", failed.id))["files"].clone();
    let folders: Vec<&Value> = files.as_array().unwrap().iter().map(|file| &file["folder"]).collect();
    assert_eq!(folders, ["failed"], "nothing in receipts/: {files:#}");
    let posted = peer.posted().remove(0);
    for late in [contrary(&posted), receipt_for(&posted, Kind::default())] {
        assert_eq!(post(&home, &late), 200);
    }
    let message = gateway.sent_to("theirs");
    let late = strays(&message).into_iter().filter(|code| *code == "mdn-late").count();
    assert_eq!((message.state, late), (State::Failed, 2), "whatever they say late is kept: {message:#?}");
    assert_eq!(gateway.alerts(), ["mdn-unsigned", "mdn-late"]);
}

#[test]
fn what_is_given_up_is_an_error_and_its_words_promise_no_other_attempt() {
    type Script = fn(&Posted) -> Option<Vec<u8>>;
    let scripts: [(&str, Script); 5] = [
        ("mdn-unsigned", |posted| Some(acknowledge(posted, Kind { signer: None, ..Kind::default() }))),
        ("mdn-missing", |_| Some(answer(200, "", b""))),
        ("mdn-unreadable", |_| Some(answer(200, "Content-Type: text/html\r\n", b"<p>Thank you!</p>"))),
        ("connection-closed", |_| None),
        ("http-503", |_| Some(answer(503, "", b""))),
    ];
    for (code, script) in scripts {
        let peer = Scripted::start(move |_, posted| script(posted));
        let home = impatient(&peer);
        let gateway = Inside::start(&home, &inside::clock());
        assert_eq!(given_up(&gateway).state, State::Failed, "{code}");
        let alert = gateway.api("/api/v1/alerts")["alerts"][0].clone();
        assert_eq!((&alert["code"], &alert["level"]), (&code.into(), &"error".into()), "{alert:#}");
        let file = home.exchange("theirs", "failed").join("order.xml.error.json");
        let error = json(&eventually("it is told beside the file", || std::fs::read(&file).ok()));
        assert_eq!((&error["code"], &error["text"]), (&alert["code"], &alert["text"]));
        let (zh, en) = (error["text"]["zh"].as_str().unwrap(), error["text"]["en"].as_str().unwrap());
        assert!(zh.contains("已放弃投递") && en.contains("given up"), "{error:#}");
        assert!([zh, en].iter().all(|text| text.contains("dxgate messages retry")), "{error:#}");
        let promises = |text: &str| ["again", "later", "重发", "稍后"].iter().any(|word| text.contains(word));
        assert!(!promises(zh) && !promises(en), "{error:#}");
    }
}

#[test]
fn a_receipt_that_comes_after_the_message_was_resent_says_that_the_partner_may_have_both() {
    let peer = Scripted::start(|_, _| Some(answer(202, "", b"")));
    let home = home(&peer, "give_up_after = \"30m\"");
    let gateway = Inside::start(&home, &inside::clock());
    let posted = awaited(&gateway, &peer);
    inside::settle(&[&gateway], "given up");
    let first = gateway.sent_to("theirs").id;
    let answer = gateway.post(&format!("/api/v1/messages/{first}/resend"), br#"{"reason":"they have nothing"}"#);
    assert_eq!(answer.0, 200, "{:#}", answer.1);
    assert_eq!(post(&home, &receipt_for(&posted, Kind::default())), 200);
    let late = gateway.messages().into_iter().find(|message| message.id == first).unwrap();
    let (told, successor) = (&late.strays[0].reason, late.successor.unwrap().to_string());
    assert!(
        told.code == "mdn-late" && told.text.en.contains(&successor) && !told.text.en.contains("retry"),
        "{told:?}"
    );
}

#[test]
fn a_signed_receipt_about_nothing_of_ours_is_kept_as_a_record_and_others_are_only_counted() {
    let peer = Scripted::start(|_, _| Some(answer(202, "", b"")));
    let home = home(&peer, "");
    let gateway = Inside::start(&home, &inside::clock());
    let posted = awaited(&gateway, &peer);
    for signer in [None, Some(keys::stranger())] {
        for number in 0..20 {
            let about = format!("<never-{number}@ours>");
            let kind = Kind { signer, about: Some(&about), ..Kind::default() };
            assert_eq!(post(&home, &receipt_for(&posted, kind)), 200);
        }
    }
    assert_eq!((gateway.messages().len(), gateway.alerts()), (1, vec![]), "anybody can send those");
    let signed = receipt_for(&posted, Kind { about: Some("<never@ours>"), ..Kind::default() });
    assert_eq!((post(&home, &signed), post(&home, &signed)), (200, 200));
    let mut kept = gateway.messages();
    kept.retain(|message| message.kind == JobKind::Mdn);
    assert_eq!(kept.len(), 1, "{kept:#?}");
    let kept = &kept[0];
    assert_eq!((kept.state, kept.message_id.as_deref()), (State::Declined, Some("<never@ours>")));
    assert!(kept.receipt.as_ref().is_some_and(|receipt| receipt.signer.is_some()));
    assert_eq!(gateway.alerts(), ["mdn-unknown-message"]);
    assert_eq!(gateway.sent_to("theirs").state, State::AwaitingReceipt);
}

#[test]
fn what_an_unsigned_refusal_says_is_told_though_it_proves_nothing() {
    let refusal =
        |_, posted: &Posted| Some(acknowledge(posted, Kind { signer: None, disposition: NEGATIVE, ..Kind::default() }));
    let tells = |text: &str| text.contains("not signed") && text.contains("processed/error: decryption-failed");
    let peer = Scripted::start(refusal);
    let home = home(&peer, "");
    home.partner("at-once", &PartnerFile { as2_name: "at-once", url: peer.url(), ..PartnerFile::default() });
    let gateway = Inside::start(&home, &inside::clock());
    awaited(&gateway, &peer);
    let message = gateway.until("theirs", "kept", |message| !message.strays.is_empty());
    assert_eq!((message.state, strays(&message)), (State::AwaitingReceipt, vec!["mdn-unsigned"]));
    assert!(tells(&message.strays[0].reason.text.en), "{message:#?}");
    gateway.submit("at-once", "order.xml", ORDER);
    let message = gateway.until("at-once", "answered", |message| message.reason.is_some());
    assert!(message.reason.is_some_and(|reason| tells(&reason.text.en)));
    assert_eq!(gateway.alerts(), Vec::<String>::new());
}

#[test]
fn receipts_that_nobody_vouches_for_fill_nothing_however_many_come() {
    let peer = Scripted::start(|_, _| Some(answer(202, "", b"")));
    let home = home(&peer, "");
    let gateway = Inside::start(&home, &inside::clock());
    let posted = awaited(&gateway, &peer);
    for number in 0..30 {
        let signer = [None, Some(keys::stranger())][number % 2];
        assert_eq!(post(&home, &receipt_for(&posted, Kind { signer, ..Kind::default() })), 200);
    }
    let message = gateway.sent_to("theirs");
    assert_eq!((message.state, message.strays.len()), (State::AwaitingReceipt, 4));
    let timeline = message.timeline.iter().filter(|event| event.fact == "stray-receipt").count();
    assert_eq!(timeline, 4, "the others are no facts");
    assert_eq!(post(&home, &receipt_for(&posted, Kind::default())), 200);
    assert_eq!((gateway.sent_to("theirs").state, gateway.alerts()), (State::Delivered, vec![]));
}

#[test]
fn a_message_id_used_again_for_other_content_is_alerted() {
    let home = Home::ours();
    home.partner("theirs", &PartnerFile::default());
    let gateway = Inside::start(&home, &inside::clock());
    assert_eq!(post(&home, &letter(&plan(), "<reused@theirs>", b"<first/>")), 200);
    assert_eq!(gateway.alerts(), Vec::<String>::new());
    assert_eq!(post(&home, &letter(&plan(), "<reused@theirs>", b"<second/>")), 200);
    let list = gateway.api("/api/v1/alerts")["alerts"].clone();
    let found = (&list[0]["code"], &list[0]["level"], &list[0]["partner"]);
    assert_eq!(found, (&"duplicate-other-content".into(), &"security".into(), &"theirs".into()));
}

#[test]
fn alerts_are_seen_and_acknowledged_from_the_command_line_and_outlive_restarts_and_the_index() {
    let peer = Scripted::start(|_, _| Some(answer(404, "", b"")));
    let home = Home::ours();
    home.partner("theirs", &PartnerFile { url: peer.url(), ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    assert!(said(&cli(&home, &["alerts", "list", "--lang", "en"])).contains("no open alerts"));
    for name in ["a.xml", "b.xml"] {
        home.submit("theirs", name, ORDER);
    }
    let listed = |wanted: usize| {
        eventually("the alerts are there", || {
            let list = done(&cli(&home, &["alerts", "list", "--partner", "theirs", "--format", "json"]));
            (list["alerts"].as_array().unwrap().len() == wanted).then_some(list["alerts"].clone())
        })
    };
    let both = listed(2);
    let id = both[1]["id"].as_str().unwrap().to_owned();
    assert_eq!(id, format!("{}.http-404", both[1]["message"].as_str().unwrap()));
    eventually("the log has them", || {
        let log = std::fs::read_to_string(home.path("gateway.log")).unwrap();
        let lines = log.lines().filter(|line| line.contains("ERROR") && line.contains("alert=\"http-404\""));
        (lines.count() == 2).then_some(())
    });
    for (language, word) in [("en", "error"), ("zh-CN", "错误")] {
        let text = said(&cli(&home, &["alerts", "list", "--lang", language]));
        assert!(text.contains(&id) && text.contains(word), "{text}");
    }
    assert_eq!(exit(&cli(&home, &["alerts", "acknowledge", &id])), 2, "a reason is required");
    let seen = done(&cli(&home, &["alerts", "acknowledge", &id, "--reason", "they mend it", "--format", "json"]));
    assert_eq!(seen["acknowledged"]["reason"], "they mend it", "{seen:#}");
    let again = cli(&home, &["alerts", "acknowledge", &id, "--reason", "x", "--format", "json"]);
    assert_eq!((exit(&again), &json(&again.stderr)["code"]), (2, &"alert-unknown".into()), "{again:?}");
    let message = id.split_once('.').unwrap().0;
    let shown = done(&cli(&home, &["messages", "show", message, "--format", "json"]));
    assert!(shown["timeline"].to_string().contains("they mend it"), "{shown:#}");
    assert_eq!(shown["state"], "held", "acknowledging does nothing to the message");
    gateway.kill();
    std::fs::remove_dir_all(home.path("data/index")).unwrap();
    let gateway = Gateway::start(&home);
    let left = listed(1);
    assert_ne!(left[0]["id"], id.as_str(), "who has been seen stays seen: {left:#}");
    let rebuilt = gateway.api("/api/v1/alerts")["alerts"][0].clone();
    assert_eq!((&rebuilt["id"], &rebuilt["message"]), (&"gateway.index-rebuilt".into(), &Value::Null));
    let id = "gateway.index-rebuilt";
    done(&cli(&home, &["alerts", "acknowledge", id, "--reason", "I removed it", "--format", "json"]));
    assert_eq!(gateway.api("/api/v1/alerts")["alerts"].as_array().unwrap().len(), 1);
}

#[test]
fn a_payload_can_be_resent_as_a_new_business_message_linked_with_the_old_one() {
    let peer = Scripted::start(|number, posted| match number {
        0 => Some(acknowledge(posted, Kind { disposition: NEGATIVE, ..Kind::default() })),
        _ => Some(acknowledge(posted, Kind::default())),
    });
    let home = Home::ours();
    home.partner("theirs", &PartnerFile { url: peer.url(), ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    home.submit("theirs", "order.xml", ORDER);
    gateway.wait_for("theirs", "failed", "order.xml");
    let old = gateway.api("/api/v1/messages")["messages"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(exit(&cli(&home, &["messages", "resend", &old])), 2, "a reason is required");
    let resent = done(&cli(&home, &["messages", "resend", &old, "--reason", "they lost it", "--format", "json"]));
    let new = resent["id"].as_str().unwrap().to_owned();
    assert_ne!(new, old);
    assert_eq!(gateway.wait_for("theirs", "sent", "order.xml"), ORDER);
    let posted = peer.posted();
    assert_eq!(posted.len(), 2);
    assert_ne!(posted[0].header("Message-ID"), posted[1].header("Message-ID"));
    assert_ne!(posted[0].body, posted[1].body, "composed anew");
    assert_eq!(open(&posted[1]).payload, ORDER);
    let (was, is) = (gateway.api(&format!("/api/v1/messages/{old}")), gateway.api(&format!("/api/v1/messages/{new}")));
    assert_eq!((&was["successor"], &is["about"]), (&new.as_str().into(), &old.as_str().into()));
    assert_eq!((&was["state"], &is["state"]), (&"failed".into(), &"delivered".into()));
    assert!(was["timeline"].to_string().contains("they lost it"), "{was:#}");
    let human = said(&cli(&home, &["messages", "show", &old, "--lang", "en"]));
    assert!(human.contains(&format!("resent as: {new}")), "{human}");
    let twice = cli(&home, &["messages", "resend", &old, "--reason", "again", "--format", "json"]);
    assert_eq!((exit(&twice), &json(&twice.stderr)["code"]), (1, &"message-resent".into()), "{twice:?}");
    assert_eq!(gateway.api("/api/v1/alerts")["alerts"].as_array().unwrap().len(), 0, "somebody acted");
}

#[test]
fn a_held_message_ends_when_it_is_resent_and_what_is_on_its_way_cannot_be_resent() {
    let peer = Scripted::start(|number, posted| match number {
        0 => Some(answer(404, "", b"")),
        1 => Some(acknowledge(posted, Kind::default())),
        _ => Some(answer(503, "", b"")),
    });
    let home = Home::ours();
    home.partner("theirs", &PartnerFile { url: peer.url(), ..PartnerFile::default() });
    let gateway = Inside::start(&home, &inside::clock());
    gateway.submit("theirs", "order.xml", ORDER);
    let held = gateway.until("theirs", "held", |message| message.state == State::Held);
    let resend = |id: &dyn std::fmt::Display| {
        gateway.post(&format!("/api/v1/messages/{id}/resend"), br#"{"reason":"another url"}"#)
    };
    let (status, new) = resend(&held.id);
    assert_eq!(status, 200, "{new:#}");
    let new = new["id"].as_str().unwrap().to_owned();
    eventually("the new one is delivered", || {
        (gateway.api(&format!("/api/v1/messages/{new}"))["state"] == "delivered").then_some(())
    });
    assert_eq!(gateway.api(&format!("/api/v1/messages/{}", held.id))["state"], "cancelled");
    assert_eq!(home.names("theirs", "failed"), Vec::<String>::new(), "it goes on under another id");
    gateway.submit("theirs", "second.xml", ORDER);
    let waiting = eventually("the third is tried", || {
        let found = gateway.messages().into_iter().find(|message| message.file_name == "second.xml");
        found.filter(|message| message.attempts == 1 && message.state == State::Composed)
    });
    let (status, refused) = resend(&waiting.id);
    assert_eq!((status, &refused["code"]), (409, &"message-state".into()), "{refused:#}");
}

fn cli(home: &Home, arguments: &[&str]) -> Output {
    dxgate().args(arguments).arg("--config").arg(home.config()).output().unwrap()
}

fn exit(output: &Output) -> i32 {
    output.status.code().unwrap_or_else(|| panic!("{output:?}"))
}

/// The JSON of a command that succeeded.
fn done(output: &Output) -> Value {
    assert_eq!(exit(output), 0, "{output:?}");
    json(&output.stdout)
}

fn said(output: &Output) -> String {
    assert_eq!(exit(output), 0, "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(bytes)))
}

#[test]
fn a_key_of_another_kind_does_not_hide_that_the_one_that_partners_need_has_ended() {
    let (pair, clock) = (keys::p256(), inside::clock());
    let until = |hours: i64| clock.now().checked_add(SignedDuration::from_hours(hours)).unwrap();
    let (certificate, key) = (pair.ours.certificate_file.display(), pair.ours.key_file.display());
    let pem = format!("certificate = \"{certificate}\"\nprivate_key = \"{key}\"\n");
    let more = format!("[[station.keys]]\nuntil = \"{}\"\n{pem}", until(10));
    let home = Home::of(&Station { as2_name: "ours", party: keys::ours(), more: &more });
    home.partner("theirs", &PartnerFile::default());
    let (as2_name, party, agreement) = ("elliptic", pair.theirs, pair.agreement);
    home.partner("elliptic", &PartnerFile { as2_name, party, agreement, ..PartnerFile::default() });
    change(&home.config(), "[[station.keys]]\n", &format!("[[station.keys]]\nuntil = \"{}\"\n", until(1)));
    let gateway = Inside::start(&home, &clock);
    let ready = || http::get(home.console, "/readyz", None).unwrap().status;
    let stands = |wanted: &[&str]| {
        let found = gateway.alerts();
        wanted.iter().all(|code| found.contains(&(*code).to_owned()))
    };
    assert_eq!(ready(), 200);
    eventually("it is told that it ends", || stands(&["certificate-expires-1d"]).then_some(()));
    pass(&clock, Duration::from_secs(2 * 3600));
    assert_eq!(ready(), 200, "what goes to the other partner is signed");
    eventually("it is told that it has ended", || stands(&["certificate-expired", "no-signing-key"]).then_some(()));
    assert_eq!(ready(), 200);
    pass(&clock, Duration::from_secs(10 * 3600));
    assert_eq!(ready(), 503, "nothing is signed for anybody");
}

#[test]
fn a_receipt_that_comes_late_is_told_however_many_before_it_proved_nothing() {
    let peer = Scripted::start(|_, posted| Some(acknowledge(posted, Kind { without_mic: true, ..Kind::default() })));
    let home = Home::ours();
    let delivery = "retry = [\"1m\"]\njitter = 0.0\ngive_up_after = \"20m\"";
    home.partner("theirs", &PartnerFile { url: peer.url(), delivery, ..PartnerFile::default() });
    let gateway = Inside::start(&home, &inside::clock());
    let failed = given_up(&gateway);
    assert!(failed.state == State::Failed && failed.attempts > 10, "{failed:#?}");
    assert!(strays(&failed).iter().all(|code| *code == "mdn-without-mic"), "{failed:#?}");
    assert_eq!(post(&home, &receipt_for(&peer.posted().remove(0), Kind::default())), 200);
    let message = gateway.sent_to("theirs");
    assert_eq!((message.state, strays(&message).last()), (State::Failed, Some(&"mdn-late")), "{message:#?}");
    assert!(gateway.alerts().contains(&"mdn-late".to_owned()), "{:?}", gateway.alerts());
}
