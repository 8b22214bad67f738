//! Whom an alert is told that was open before, and when it is said to have ended.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dxgate::store::record::State;
use serde_json::Value;

use crate::support::correspondent::{Kind, acknowledge};
use crate::support::home::{Home, PartnerFile};
use crate::support::inside::{self, Inside, pass};
use crate::support::scripted::{Scripted, answer};
use crate::support::{eventually, eventually_within, http};

/// A home whose partner answers 404 to everything, and a receiver of webhooks.
fn home() -> (Home, Scripted, Scripted) {
    let peer = Scripted::start(|_, _| Some(answer(404, "", b"")));
    let receiver = Scripted::start(|_, _| Some(answer(204, "", b"")));
    let home = Home::ours();
    home.partner("theirs", &PartnerFile { url: peer.url(), ..PartnerFile::default() });
    (home, peer, receiver)
}

/// From the next start on the receiver is told.
fn tell(home: &Home, receiver: &Scripted) {
    let secret = home.path("webhook.secret");
    fs::write(&secret, "a secret shared by two").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let (text, url) = (fs::read_to_string(home.config()).unwrap(), receiver.url());
    let hook = format!("[[alerts.webhook]]\nname = \"hook\"\nurl = \"{url}\"\nsecret_file = \"webhook.secret\"\n");
    fs::write(home.config(), format!("{text}\n{hook}")).unwrap();
}

/// Codes and statuses of everything that it was told.
fn told(receiver: &Scripted) -> Vec<(String, String)> {
    let all = receiver.posted().into_iter().flat_map(|posted| {
        let body: Value = serde_json::from_slice(&posted.body).unwrap();
        body["alerts"].as_array().unwrap().clone()
    });
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    all.map(|alert| (text(&alert["code"]), text(&alert["status"]))).collect()
}

#[test]
fn a_new_channel_is_told_of_all_that_is_open_however_far_apart_it_was_raised() {
    let (home, _peer, receiver) = home();
    let clock = inside::clock();
    let gateway = Inside::start(&home, &clock);
    for (count, name) in (1..).zip(["a.xml", "b.xml", "c.xml"]) {
        gateway.submit("theirs", name, b"<a/>");
        eventually("it is listed", || (gateway.alerts().len() == count).then_some(()));
        pass(&clock, Duration::from_secs(3600));
    }
    drop(gateway);
    tell(&home, &receiver);
    let _gateway = Inside::start(&home, &clock);
    eventually("all are told", || (told(&receiver).len() == 3).then_some(()));
}

#[test]
fn damage_of_a_body_is_not_over_because_the_frames_hold() {
    let peer = Scripted::start(|_, posted| Some(acknowledge(posted, Kind::default())));
    let home = Home::ours();
    home.partner("theirs", &PartnerFile { url: peer.url(), ..PartnerFile::default() });
    let clock = inside::clock();
    let gateway = Inside::start(&home, &clock);
    gateway.submit("theirs", "a.bin", &vec![b'x'; 1_300_000]);
    let sent = gateway.until("theirs", "delivered", |message| message.state == State::Delivered);
    let body = home.path("data/bodies").join(sent.payload.unwrap().id.to_string());
    let mut altered = fs::read(&body).unwrap();
    altered[7] ^= 1;
    fs::write(&body, altered).unwrap();
    assert_eq!(gateway.post("/api/v1/journal/verify", b"{}").0, 409);
    let found = || gateway.alerts().contains(&"journal-damaged".to_owned());
    assert!(found());
    pass(&clock, Duration::from_secs(8 * 86_400));
    let over = eventually_within(Duration::from_secs(10), || (!found()).then_some(()));
    assert!(over.is_none(), "a check that read no body has ended it");
}

#[test]
fn the_ledger_of_a_storm_is_read_again() {
    let (home, _peer, receiver) = home();
    tell(&home, &receiver);
    let clock = inside::clock();
    drop(Inside::start(&home, &clock));
    // As large as with a hundred thousand alerts that a channel has yet to be told.
    let ledger = [b"{".to_vec(), vec![b' '; 80 << 20], b"}".to_vec()].concat();
    fs::write(home.path("data/alerts.json"), ledger).unwrap();
    let gateway = Inside::start(&home, &clock);
    assert_eq!(gateway.alerts(), Vec::<String>::new());
}

#[test]
fn a_channel_fails_no_more_once_a_test_reaches_it_though_nothing_waits_for_it() {
    let works = Arc::new(AtomicBool::new(false));
    let mended = works.clone();
    let status = move || if mended.load(Ordering::SeqCst) { 204 } else { 500 };
    let receiver = Scripted::start(move |_, _| Some(answer(status(), "", b"")));
    let (home, _peer, _other) = home();
    tell(&home, &receiver);
    let clock = inside::clock();
    let gateway = Inside::start(&home, &clock);
    gateway.submit("theirs", "a.xml", b"<a/>");
    let failing = || gateway.alerts().contains(&"alert-webhook-failing".to_owned());
    eventually("it fails", || {
        pass(&clock, Duration::from_secs(5));
        failing().then_some(())
    });
    let alerts = gateway.api("/api/v1/alerts")["alerts"].as_array().unwrap().clone();
    let held = alerts.iter().find(|alert| alert["code"] == "http-404").unwrap();
    let path = format!("/api/v1/alerts/{}/acknowledge", held["id"].as_str().unwrap());
    assert_eq!(gateway.post(&path, br#"{"reason":"seen"}"#).0, 200);
    eventually("nothing waits for it any more", || {
        let page = http::get(home.console, "/metrics", home.token().as_deref()).unwrap().text();
        page.lines().any(|line| line == "dxgate_alerts_waiting{channel=\"hook\"} 0").then_some(())
    });
    works.store(true, Ordering::SeqCst);
    let (status, tested) = gateway.post("/api/v1/alerts/test", b"{}");
    assert_eq!((status, &tested["channels"][0]["told"]), (200, &true.into()), "{tested:#}");
    eventually("it fails no more", || (!failing()).then_some(()));
}
