//! What follows each kind of answer, and what a person can do about it.

use std::fs;
use std::process::Output;
use std::time::Duration;

use dxgate::as2::Mic;
use dxgate::cms::DigestAlgorithm;
use dxgate::ground::clock::Clock as _;
use dxgate::store::record::{Message, State};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::support::correspondent::{Kind, acknowledge, open};
use crate::support::gateway::{Gateway, dxgate};
use crate::support::home::{Home, PartnerFile};
use crate::support::inside::{self, Inside, pass};
use crate::support::scripted::{Posted, Scripted, answer};
use crate::support::{eventually, keys};

const ORDER: &[u8] = b"<order/>\n";
const NEGATIVE: &str = "automatic-action/MDN-sent-automatically; processed/error: decryption-failed";

#[test]
fn what_may_pass_is_sent_again_as_the_same_bytes() {
    type Row = (&'static str, fn(&Posted) -> Option<Vec<u8>>);
    let rows: [Row; 10] = [
        ("503", |_| Some(answer(503, "", b"busy"))),
        ("500", |_| Some(answer(500, "", b""))),
        ("429", |_| Some(answer(429, "Retry-After: 1\r\n", b""))),
        ("408", |_| Some(answer(408, "", b""))),
        ("closed", |_| None),
        ("no receipt", |_| Some(answer(200, "", b""))),
        ("no receipt but words", |_| Some(answer(200, "Content-Type: text/html\r\n", b"<p>Thank you!</p>"))),
        ("unsigned receipt", |posted| Some(acknowledge(posted, Kind { signer: None, ..Kind::default() }))),
        ("receipt of a stranger", |posted| {
            Some(acknowledge(posted, Kind { signer: Some(keys::stranger()), ..Kind::default() }))
        }),
        ("receipt about another message", |posted| {
            Some(acknowledge(posted, Kind { about: Some("<other@ours>"), ..Kind::default() }))
        }),
    ];
    let home = Home::ours();
    let peers: Vec<(String, Scripted)> = rows
        .into_iter()
        .enumerate()
        .map(|(row, (_, first))| {
            let script = move |number, posted: &Posted| match number {
                0 | 1 => first(posted),
                _ => Some(acknowledge(posted, Kind::default())),
            };
            let (id, peer) = (format!("row{row}"), Scripted::start(script));
            // A name of its own for each partner; what it answers is still in the name of the one it was asked as.
            home.partner(&id, &PartnerFile { as2_name: &id, url: peer.url(), ..PartnerFile::default() });
            (id, peer)
        })
        .collect();
    let gateway = Gateway::start(&home);
    for (id, _) in &peers {
        home.submit(id, "order.xml", ORDER);
    }
    for ((id, peer), (row, _)) in peers.iter().zip(rows) {
        assert_eq!(gateway.wait_for(id, "sent", "order.xml"), ORDER, "{row}");
        let posted = peer.posted();
        assert_eq!(posted.len(), 3, "{row}");
        for again in &posted[1..] {
            assert_eq!(Sha256::digest(&again.body), Sha256::digest(&posted[0].body), "{row}");
            for name in ["Message-ID", "Date", "Content-Type", "AS2-From", "AS2-To"] {
                assert_eq!(again.header(name), posted[0].header(name), "{row}: {name}");
            }
        }
        assert_eq!(open(&posted[2]).payload, ORDER, "{row}");
        assert_eq!(message(&gateway, id)["attempts"], 3, "{row}");
    }
}

#[test]
fn what_a_person_must_look_at_is_held_and_sent_once() {
    let elsewhere = Scripted::start(|_, posted| Some(acknowledge(posted, Kind::default())));
    let location = format!("Location: {}\r\n", elsewhere.url());
    let moved = move |status| {
        let location = location.clone();
        move |_: &Posted| answer(status, &location, b"")
    };
    let other_mic = |posted: &Posted| {
        let mic = Mic { algorithm: DigestAlgorithm::Sha256, value: vec![7; 32] };
        acknowledge(posted, Kind { mic: Some(mic), ..Kind::default() })
    };
    type Script = Box<dyn Fn(&Posted) -> Vec<u8> + Send>;
    let rows: Vec<(&str, Script)> = vec![
        ("http-404", Box::new(|_| answer(404, "", b""))),
        ("http-401", Box::new(|_| answer(401, "", b""))),
        ("http-403", Box::new(|_| answer(403, "", b""))),
        ("http-301", Box::new(moved(301))),
        ("http-302", Box::new(moved(302))),
        ("http-307", Box::new(moved(307))),
        ("http-308", Box::new(moved(308))),
        ("mdn-mic-mismatch", Box::new(other_mic)),
    ];
    let home = Home::ours();
    let mut peers = Vec::new();
    for (row, (code, script)) in rows.into_iter().enumerate() {
        let (id, peer) = (format!("row{row}"), Scripted::start(move |_, posted| Some(script(posted))));
        home.partner(&id, &PartnerFile { as2_name: &id, url: peer.url(), ..PartnerFile::default() });
        peers.push((id, code, peer));
    }
    let gateway = Gateway::start(&home);
    for (id, _, _) in &peers {
        home.submit(id, "order.xml", ORDER);
    }
    for (id, code, peer) in &peers {
        let held = eventually(&format!("{code} is held"), || {
            let message = message(&gateway, id);
            (message["state"] == "held").then_some(message)
        });
        assert_eq!(held["reason"]["code"], *code, "{held:#}");
        assert_eq!(peer.posted().len(), 1, "{code}");
        assert_eq!(home.names(id, "sent"), Vec::<String>::new(), "{code}");
        assert_eq!(home.names(id, "failed"), Vec::<String>::new(), "{code}");
    }
    assert!(elsewhere.posted().is_empty(), "redirects are never followed");
}

#[test]
fn a_partner_that_never_answers_well_is_given_up_in_the_end() {
    let peer = Scripted::start(|_, _| Some(answer(503, "", b"")));
    let home = Home::ours();
    let delivery = "retry = [\"1s\"]\ngive_up_after = \"10s\"\njitter = 0.0";
    home.partner("theirs", &PartnerFile { url: peer.url(), delivery, ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    home.submit("theirs", "order.xml", ORDER);
    assert_eq!(gateway.wait_for("theirs", "failed", "order.xml"), ORDER);
    let error = json(&gateway.wait_for("theirs", "failed", "order.xml.error.json"));
    assert_eq!((&error["code"], &error["file"]), (&"http-503".into(), &"order.xml".into()), "{error:#}");
    assert_eq!(error["attempts"], peer.posted().len(), "{error:#}");
    assert!(error["text"]["zh"].is_string() && error["text"]["en"].is_string(), "{error:#}");
    assert!(peer.posted().len() >= 2, "it was tried again before");
    assert_eq!(home.names("theirs", "sent"), Vec::<String>::new());
}

/// Why nothing can be sent to a partner for a time.
#[derive(Debug, Clone, Copy)]
enum Obstacle {
    Paused,
    FileGone,
    Stopped,
}

/// Longer than the patience with a partner.
const LONG: Duration = Duration::from_secs(80 * 3600);

#[test]
fn time_in_which_nothing_could_be_sent_gives_no_message_up_and_after_it_patience_has_an_end_all_the_same() {
    let later = "mode = \"async\"\nsigned = true\ndeadline = \"30m\"";
    for obstacle in [Obstacle::Paused, Obstacle::FileGone, Obstacle::Stopped] {
        goes_on_and_is_given_up(obstacle, "mode = \"sync\"\nsigned = true", 503);
        goes_on_and_is_given_up(obstacle, later, 202);
    }
}

fn goes_on_and_is_given_up(obstacle: Obstacle, mdn: &str, status: u16) {
    let what = &format!("{obstacle:?}, {status}");
    let (home, clock) = (Home::ours(), inside::clock());
    let peer = Scripted::start(move |_, _| Some(answer(status, "", b"")));
    let other = Scripted::start(|_, posted| Some(acknowledge(posted, Kind::default())));
    let delivery = "retry = [\"1m\", \"2m\", \"5m\"]\njitter = 0.0\ngive_up_after = \"72h\"";
    home.partner("theirs", &PartnerFile { url: peer.url(), mdn, delivery, ..PartnerFile::default() });
    home.partner("other", &PartnerFile { as2_name: "other", url: other.url(), ..PartnerFile::default() });
    let gateway = Inside::start(&home, &clock);
    gateway.submit("theirs", "order.xml", ORDER);
    gateway.until("theirs", what, |message| message.attempts == 1 && message.state != State::Sending);
    let gateway = overcome(obstacle, gateway);
    let back = clock.now();
    let tried_again = |message: &Message| message.attempts > 1 && message.state != State::Sending;
    let message = gateway.until("theirs", what, |message| tried_again(message) || message.state.is_final());
    assert_eq!((message.attempts, message.state.is_final()), (2, false), "{what}: {message:#?}");
    inside::settle(&[&gateway], what);
    let (failed, minutes) = (gateway.sent_to("theirs"), clock.now().duration_since(back).as_mins());
    // Twice the longest pause is ten minutes; the receipt may take thirty.
    assert_eq!(failed.state, State::Failed, "{what}: {failed:#?}");
    assert!((10..=30).contains(&minutes), "{what}: given up after {minutes} minutes");
}

/// The obstacle comes, and after a long time it goes.
fn overcome(obstacle: Obstacle, gateway: Inside<'_>) -> Inside<'_> {
    let (home, clock) = (gateway.home, gateway.clock.clone());
    let ask = |path: &str, body: &[u8]| assert_eq!(gateway.post(&format!("/api/v1/partners/{path}"), body).0, 200);
    match obstacle {
        Obstacle::Paused => {
            ask("theirs/pause", br#"{"reason":"a long weekend"}"#);
            // Whoever has delivered this has seen the pause.
            gateway.submit("other", "order.xml", ORDER);
            gateway.until("other", "delivered", |message| message.state == State::Delivered);
            pass(&clock, LONG);
            ask("theirs/resume", br#"{"reason":"it is over"}"#);
        }
        Obstacle::FileGone => {
            let (file, aside) = (home.path("partners/theirs.toml"), home.path("theirs.toml"));
            fs::rename(&file, &aside).unwrap();
            ask("reload", b"{}");
            pass(&clock, LONG);
            let missing = |message: &Message| message.reason.as_ref().is_some_and(|why| why.code == "partner-missing");
            gateway.until("theirs", "it waits for its partner", missing);
            fs::rename(&aside, &file).unwrap();
            ask("reload", b"{}");
        }
        Obstacle::Stopped => {
            drop(gateway);
            pass(&clock, LONG);
            return Inside::start(home, &clock);
        }
    }
    gateway
}

#[test]
fn a_negative_receipt_ends_the_message_in_failed_with_the_receipt_kept() {
    let peer =
        Scripted::start(|_, posted| Some(acknowledge(posted, Kind { disposition: NEGATIVE, ..Kind::default() })));
    let home = with_partner(&peer);
    let gateway = Gateway::start(&home);
    home.submit("theirs", "order.xml", ORDER);
    assert_eq!(gateway.wait_for("theirs", "failed", "order.xml"), ORDER);
    let error = json(&gateway.wait_for("theirs", "failed", "order.xml.error.json"));
    assert_eq!(error["code"], "mdn-negative", "{error:#}");
    let receipt = json(&gateway.wait_for("theirs", "receipts", "order.xml.mdn.json"));
    assert_eq!(receipt["state"], "failed", "{receipt:#}");
    assert!(receipt["disposition"].as_str().unwrap().contains("decryption-failed"), "{receipt:#}");
    assert!(receipt["signed_by"].is_string(), "{receipt:#}");
    gateway.wait_for("theirs", "receipts", "order.xml.mdn");
    assert_eq!(peer.posted().len(), 1);
}

#[test]
fn a_failed_message_can_be_tried_again_by_a_person_and_both_receipts_stay() {
    let peer = Scripted::start(|number, posted| match number {
        0 => Some(acknowledge(posted, Kind { disposition: NEGATIVE, ..Kind::default() })),
        _ => Some(acknowledge(posted, Kind::default())),
    });
    let home = with_partner(&peer);
    let gateway = Gateway::start(&home);
    home.submit("theirs", "order.xml", ORDER);
    gateway.wait_for("theirs", "failed", "order.xml");
    gateway.wait_for("theirs", "receipts", "order.xml.mdn");
    let id = text(&message(&gateway, "theirs")["id"]);
    done(&cli(&home, &["messages", "retry", &id, "--reason", "partner mended its key", "--format", "json"]));
    assert_eq!(gateway.wait_for("theirs", "sent", "order.xml"), ORDER);
    let receipt = json(&gateway.wait_for("theirs", "receipts", &format!("order.xml.{id}-3.mdn.json")));
    assert_eq!(receipt["state"], "delivered", "{receipt:#}");
    let first = json(&gateway.wait_for("theirs", "receipts", "order.xml.mdn.json"));
    assert_eq!(first["state"], "failed", "{first:#}");
    let posted = peer.posted();
    assert!(posted.len() == 2 && posted[0].body == posted[1].body, "the same bytes again");
}

#[test]
fn an_operator_sees_and_steers_messages_from_the_command_line() {
    let peer = Scripted::start(|number, posted| match number {
        0 | 1 => Some(answer(404, "", b"")),
        _ => Some(acknowledge(posted, Kind::default())),
    });
    let home = with_partner(&peer);
    let gateway = Gateway::start(&home);
    home.submit("theirs", "order.xml", ORDER);
    let id = wait_held(&gateway, "theirs");

    let listed = done(&cli(&home, &["messages", "list", "--state", "held", "--format", "json"]));
    assert_eq!(listed["messages"][0]["id"], id.as_str(), "{listed:#}");
    assert_eq!(listed["messages"].as_array().unwrap().len(), 1, "{listed:#}");
    let none = done(&cli(&home, &["messages", "list", "--state", "delivered", "--format", "json"]));
    assert_eq!(none["messages"].as_array().unwrap().len(), 0, "{none:#}");
    let shown = done(&cli(&home, &["messages", "show", &id, "--format", "json"]));
    assert_eq!((&shown["state"], &shown["reason"]["code"]), (&"held".into(), &"http-404".into()), "{shown:#}");
    let human = cli(&home, &["messages", "show", &id, "--lang", "en"]);
    assert_eq!(exit(&human), 0, "{human:?}");
    assert!(String::from_utf8_lossy(&human.stdout).contains("404"), "{human:?}");
    let human = cli(&home, &["messages", "list", "--lang", "zh-CN"]);
    assert!(String::from_utf8_lossy(&human.stdout).contains("已挂起"), "{human:?}");

    assert_eq!(exit(&cli(&home, &["messages", "release", &id])), 2, "a reason is required");
    assert_eq!(exit(&cli(&home, &["messages", "release", &id, "--reason", "  "])), 2, "and must say something");
    let released = done(&cli(&home, &["messages", "release", &id, "--reason", "url agreed", "--format", "json"]));
    assert_ne!(released["state"], "held", "{released:#}");
    eventually("the second attempt is held as well", || (peer.posted().len() == 2).then_some(()));
    assert_eq!(wait_held(&gateway, "theirs"), id);
    done(&cli(&home, &["messages", "retry", &id, "--reason", "once more", "--format", "json"]));
    assert_eq!(gateway.wait_for("theirs", "sent", "order.xml"), ORDER);
    let posted = peer.posted();
    assert!(posted.iter().all(|one| one.body == posted[0].body), "the same bytes each time");

    for action in ["retry", "hold", "release", "cancel"] {
        let refused = cli(&home, &["messages", action, &id, "--reason", "too late", "--format", "json"]);
        assert_eq!(exit(&refused), 1, "{action}: {refused:?}");
        assert_eq!(json(&refused.stderr)["code"], "message-state", "{action}: {refused:?}");
    }
    let unknown = cli(&home, &["messages", "show", "00000000000000000000000000000000", "--format", "json"]);
    assert_eq!((exit(&unknown), &json(&unknown.stderr)["code"]), (2, &"message-unknown".into()), "{unknown:?}");
    let history = done(&cli(&home, &["messages", "show", &id, "--format", "json"]))["timeline"].to_string();
    for reason in ["url agreed", "once more"] {
        assert!(history.contains(reason), "{reason}: {history}");
    }
}

#[test]
fn a_message_can_be_held_and_cancelled_while_it_waits() {
    let peer = Scripted::start(|_, _| Some(answer(503, "Retry-After: 3600\r\n", b"")));
    let home = with_partner(&peer);
    let gateway = Gateway::start(&home);
    home.submit("theirs", "order.xml", ORDER);
    let id = eventually("the first attempt is over", || {
        let message = message(&gateway, "theirs");
        (message["state"] == "composed" && message["attempts"] == 1).then(|| text(&message["id"]))
    });
    let held = done(&cli(&home, &["messages", "hold", &id, "--reason", "partner asked", "--format", "json"]));
    assert_eq!((&held["state"], &held["reason"]["code"]), (&"held".into(), &"held-by-operator".into()), "{held:#}");
    let again = cli(&home, &["messages", "hold", &id, "--reason", "partner asked"]);
    assert_eq!(exit(&again), 1, "{again:?}");
    let cancelled = done(&cli(&home, &["messages", "cancel", &id, "--reason", "sent by mail", "--format", "json"]));
    assert_eq!((&cancelled["state"], &cancelled["final"]), (&"cancelled".into(), &true.into()), "{cancelled:#}");
    assert_eq!(gateway.wait_for("theirs", "failed", "order.xml"), ORDER);
    let error = json(&gateway.wait_for("theirs", "failed", "order.xml.error.json"));
    assert_eq!(error["code"], "cancelled-by-operator", "{error:#}");
    assert_eq!(peer.posted().len(), 1);
}

#[test]
fn send_tells_by_its_exit_code_whether_the_file_was_delivered() {
    let peer = Scripted::start(|number, posted| match number {
        0 | 1 => Some(acknowledge(posted, Kind::default())),
        2 => Some(acknowledge(posted, Kind { disposition: NEGATIVE, ..Kind::default() })),
        _ => Some(answer(404, "", b"")),
    });
    let home = with_partner(&peer);
    let gateway = Gateway::start(&home);
    let file = home.path("order.xml");
    std::fs::write(&file, ORDER).unwrap();
    let file = file.to_str().unwrap();
    let sent = done(&cli(&home, &["send", file, "--partner", "theirs", "--wait", "--format", "json"]));
    assert_eq!((&sent["state"], &sent["receipt"]["mic_matches"]), (&"delivered".into(), &true.into()), "{sent:#}");
    assert_eq!(gateway.wait_for("theirs", "sent", "order.xml"), ORDER);
    let queued = done(&cli(&home, &["send", file, "--partner", "theirs", "--name", "b.xml", "--format", "json"]));
    assert!(queued["id"].is_string(), "{queued:#}");
    gateway.wait_for("theirs", "sent", "b.xml");
    for (why, state) in [("a negative receipt", "failed"), ("held", "held")] {
        let refused = cli(&home, &["send", file, "--partner", "theirs", "--wait", "--format", "json"]);
        assert_eq!(exit(&refused), 1, "{why}: {refused:?}");
        assert_eq!(json(&refused.stdout)["state"], state, "{why}: {refused:?}");
    }
    let unknown = cli(&home, &["send", file, "--partner", "nobody"]);
    assert_eq!(exit(&unknown), 2, "{unknown:?}");
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("partner-unknown"), "{unknown:?}");
    let missing = cli(&home, &["send", "/nonexistent.xml", "--partner", "theirs"]);
    assert_eq!(exit(&missing), 3, "{missing:?}");
}

#[test]
fn a_wrong_token_is_wrong_usage_and_a_gateway_that_is_down_is_out_of_reach() {
    let home = Home::ours();
    home.partner("theirs", &PartnerFile::default());
    let gateway = Gateway::start(&home);
    assert_eq!(exit(&cli(&home, &["messages", "list"])), 0);
    let token = home.path("console.token");
    let right = std::fs::read(&token).unwrap();
    let wrong: String = String::from_utf8(right.clone()).unwrap().chars().rev().collect();
    std::fs::write(&token, wrong.trim()).unwrap();
    let refused = cli(&home, &["messages", "list", "--format", "json"]);
    assert_eq!(exit(&refused), 2, "{refused:?}");
    std::fs::write(&token, right).unwrap();
    assert!(gateway.stop().success());
    let down = cli(&home, &["messages", "list", "--format", "json"]);
    assert_eq!((exit(&down), &json(&down.stderr)["code"]), (3, &"gateway-unreachable".into()), "{down:?}");
}

/// `ours` with one partner behind `peer`.
fn with_partner(peer: &Scripted) -> Home {
    let home = Home::ours();
    home.partner("theirs", &PartnerFile { url: peer.url(), ..PartnerFile::default() });
    home
}

/// The only message with a partner; null before there is one.
fn message(gateway: &Gateway<'_>, partner: &str) -> Value {
    gateway.api(&format!("/api/v1/messages?partner={partner}"))["messages"][0].clone()
}

fn wait_held(gateway: &Gateway<'_>, partner: &str) -> String {
    eventually("the message is held", || {
        let message = message(gateway, partner);
        (message["state"] == "held").then(|| text(&message["id"]))
    })
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

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(bytes)))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value:#}")).to_owned()
}
