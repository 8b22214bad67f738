//! Telling people: by signed webhooks, by mail and by a program, once and not in vain.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use dxgate::store::record::{PublicationStage, State};
use jiff::Timestamp;
use serde_json::Value;

use crate::support::correspondent::{Kind, acknowledge};
use crate::support::gateway::{Gateway, dxgate};
use crate::support::home::{Home, PartnerFile, Station};
use crate::support::inside::{self, Inside, pass};
use crate::support::peers::Listener;
use crate::support::scripted::{Scripted, answer};
use crate::support::{eventually, free_port, http, keys};

const SECRET: &str = "a secret shared by two";

/// `ours` with these lines of alerting, and `theirs`, which answers 404 to everything.
fn home(more: &str) -> (Home, Scripted) {
    let peer = Scripted::start(|_, _| Some(answer(404, "", b"")));
    let home = Home::of(&Station { as2_name: "ours", party: keys::ours(), more });
    private(&home.path("webhook.secret"), SECRET);
    private(&home.path("smtp.pass"), "hunter2 hunter2");
    home.partner("theirs", &PartnerFile { url: peer.url(), ..PartnerFile::default() });
    (home, peer)
}

fn private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn webhook(url: &str, more: &str) -> String {
    format!("[[alerts.webhook]]\nname = \"hook\"\nurl = \"{url}\"\nsecret_file = \"webhook.secret\"\n{more}")
}

fn receiver(options: &[&str]) -> Listener {
    Listener::start("webhook_receiver.py", &[&["--secret", SECRET], options].concat())
}

/// Codes of the alerts of every delivery so far, with their status.
fn told(received: &[Value]) -> Vec<(String, String)> {
    let alerts = received.iter().flat_map(|one| one["body"]["alerts"].as_array().unwrap().clone());
    alerts.map(|alert| (text(&alert["code"]), text(&alert["status"]))).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}")).to_owned()
}

fn one(code: &str) -> (String, String) {
    (code.to_owned(), "raised".to_owned())
}

/// A value of the metrics page.
fn metric(home: &Home, series: &str) -> Option<f64> {
    let page = http::get(home.console, "/metrics", home.token().as_deref()).unwrap().text();
    page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

fn waiting(home: &Home, channel: &str, wanted: f64) {
    let series = format!("dxgate_alerts_waiting{{channel=\"{channel}\"}}");
    eventually("the alerts wait", || (metric(home, &series) == Some(wanted)).then_some(()));
}

fn cli(home: &Home, arguments: &[&str]) -> (i32, Value) {
    let output = dxgate().args(arguments).args(["--format", "json", "--config"]).arg(home.config()).output().unwrap();
    let said = if output.stdout.is_empty() { &output.stderr } else { &output.stdout };
    // Wrong usage is told in words.
    (output.status.code().unwrap(), serde_json::from_slice(said).unwrap_or_default())
}

#[test]
fn a_webhook_gets_an_alert_once_signed_so_that_the_receiver_can_tell() {
    let bundle = keys::theirs().bundle_file.to_str().unwrap();
    let receiver = receiver(&["--bundle", bundle]);
    let trusted = format!("trusted_certificate = \"{}\"\n", keys::theirs().certificate_file.display());
    let url = format!("https://127.0.0.1:{}/hook?a=b", receiver.port);
    let (home, _peer) = home(&webhook(&url, &trusted));
    let gateway = Inside::start(&home, &inside::clock());
    gateway.submit("theirs", "a.xml", b"<a/>");
    let received = eventually("it is told", || Some(receiver.received()).filter(|received| !received.is_empty()));
    assert_eq!(received[0]["verified"], true, "{:#}", received[0]);
    assert_eq!(told(&received), [one("http-404")]);
    let body = &received[0]["body"];
    assert_eq!((&body["format"], &body["station"]), (&1.into(), &"ours".into()));
    let alert = &body["alerts"][0];
    assert_eq!((&alert["partner"], &alert["level"]), (&"theirs".into(), &"error".into()));
    assert_eq!(alert["id"], gateway.api("/api/v1/alerts")["alerts"][0]["id"]);
    assert!(alert["text"]["zh"].as_str().is_some_and(|zh| !zh.is_ascii()), "{alert:#}");
    let id = text(&alert["id"]);
    let (status, _) = gateway.post(&format!("/api/v1/alerts/{id}/acknowledge"), br#"{"reason":"seen"}"#);
    assert_eq!(status, 200);
    gateway.submit("theirs", "b.xml", b"<b/>");
    eventually("the next one is told", || (receiver.received().len() == 2).then_some(()));
    assert_eq!(told(&receiver.received()), [one("http-404"), one("http-404")]);
    assert_ne!(receiver.received()[1]["body"]["alerts"][0]["key"], alert["key"]);
}

#[test]
fn a_receiver_with_another_certificate_is_told_nothing() {
    let receiver = receiver(&["--bundle", keys::stranger().bundle_file.to_str().unwrap()]);
    let trusted = format!("trusted_certificate = \"{}\"\n", keys::theirs().certificate_file.display());
    let (home, _peer) = home(&webhook(&format!("https://127.0.0.1:{}/", receiver.port), &trusted));
    let gateway = Inside::start(&home, &inside::clock());
    let (status, tested) = gateway.post("/api/v1/alerts/test", b"{}");
    assert_eq!((status, &tested["channels"][0]["told"]), (200, &false.into()), "{tested:#}");
    assert_eq!(receiver.received(), Vec::<Value>::new());
}

#[test]
fn what_was_raised_and_not_told_is_told_once_after_a_restart() {
    let port = free_port();
    let (home, _peer) = home(&webhook(&format!("http://127.0.0.1:{port}/hook"), ""));
    let gateway = Gateway::start(&home);
    home.submit("theirs", "a.xml", b"<a/>");
    waiting(&home, "hook", 1.0);
    eventually("the failure is in the log", || gateway.log().contains("alert-untold").then_some(()));
    gateway.kill();
    let receiver = receiver(&["--port", &port.to_string()]);
    let gateway = Gateway::start(&home);
    eventually("it is told", || (!receiver.received().is_empty()).then_some(()));
    waiting(&home, "hook", 0.0);
    assert!(gateway.stop().success());
    let _gateway = Gateway::start(&home);
    home.submit("theirs", "b.xml", b"<b/>");
    eventually("the next one is told", || (receiver.received().len() >= 2).then_some(()));
    let received = receiver.received();
    assert_eq!(told(&received), [one("http-404"), one("http-404")]);
    assert!(received.iter().all(|one| one["verified"] == true));
    let key = |at: usize| text(&received[at]["body"]["alerts"][0]["key"]);
    assert_ne!(key(0), key(1), "the second is about the other message");
}

/// Certificate and key for 127.0.0.1, which a mail client can verify.
fn mail_bundle(home: &Home) -> (PathBuf, PathBuf) {
    let (certificate, key, bundle) = (home.path("smtp.crt"), home.path("smtp.key"), home.path("smtp.pem"));
    let done = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
    fs::write(&bundle, [fs::read(&certificate).unwrap(), fs::read(&key).unwrap()].concat()).unwrap();
    (certificate, bundle)
}

fn mail(port: u16, security: &str, more: &str) -> String {
    format!(
        "[alerts.mail]\nserver = \"127.0.0.1:{port}\"\nsecurity = \"{security}\"\nfrom = \"dxgate@ours.example\"\nto = [\"ops@ours.example\", \"night@ours.example\"]\nbatch = \"30s\"\n{more}"
    )
}

#[test]
fn many_alerts_are_one_mail_in_both_languages_over_starttls_with_a_password() {
    let aside = Home::ours();
    let (certificate, bundle) = mail_bundle(&aside);
    let bundle = bundle.to_str().unwrap();
    let login = ["--user", "dxgate", "--password", "hunter2 hunter2", "--refuse", "1"];
    let server = Listener::start("smtp_server.py", &[&["--mode", "starttls", "--bundle", bundle], &login[..]].concat());
    let more = format!(
        "user = \"dxgate\"\npassword_file = \"smtp.pass\"\ntrusted_certificate = \"{}\"\n",
        certificate.display()
    );
    let (home, _peer) = home(&mail(server.port, "starttls", &more));
    let clock = inside::clock();
    let gateway = Inside::start(&home, &clock);
    for name in ["a.xml", "b.xml", "c.xml"] {
        gateway.submit("theirs", name, b"<a/>");
    }
    waiting(&home, "mail", 3.0);
    pass(&clock, Duration::from_secs(30));
    let failed = "dxgate_alert_deliveries_total{channel=\"mail\",result=\"failed\"}";
    eventually("the first try is refused", || (metric(&home, failed) == Some(1.0)).then_some(()));
    gateway.submit("theirs", "d.xml", b"<a/>");
    waiting(&home, "mail", 4.0);
    // The pause after a failure, and the time in which alerts are collected.
    pass(&clock, Duration::from_secs(60));
    eventually("a mail is there", || (!server.received().is_empty()).then_some(()));
    waiting(&home, "mail", 0.0);
    let received = server.received();
    assert_eq!(received.len(), 1, "{received:#?}");
    let mail = &received[0];
    assert_eq!(
        (&mail["tls"], &mail["user"], &mail["from"]),
        (&true.into(), &"dxgate".into(), &"dxgate@ours.example".into())
    );
    assert_eq!(mail["to"].as_array().unwrap().len(), 2);
    assert_eq!(mail["defects"], Value::Array(Vec::new()));
    assert_eq!(mail["headers"]["Subject"], "[dxgate ours] 4 条告警 / alerts: 4 new, 0 reminders or ends");
    assert_eq!(mail["headers"]["Auto-Submitted"], "auto-generated");
    assert!(mail["headers"]["Message-ID"].is_string() && mail["headers"]["Date"].is_string(), "{mail:#}");
    let words = text(&mail["text"]);
    assert_eq!(words.matches(".http-404").count(), 4, "{words}");
    assert!(words.contains("错误 / error") && words.contains("404"), "{words}");
}

#[test]
fn mail_goes_by_tls_from_the_first_byte_or_plainly_on_this_machine_and_says_why_it_does_not() {
    let aside = Home::ours();
    let (certificate, bundle) = mail_bundle(&aside);
    let trusted = format!("trusted_certificate = \"{}\"\n", certificate.display());
    let login = "user = \"dxgate\"\npassword_file = \"smtp.pass\"\n";
    let bundle = bundle.to_str().unwrap();
    let tls = ["--mode", "tls", "--bundle", bundle];
    let cases: [(&[&str], &str, String, bool); 5] = [
        (&tls, "tls", trusted.clone(), true),
        (&["--mode", "plain"], "plain", String::new(), true),
        (&tls, "tls", String::new(), false),
        (&["--mode", "plain"], "starttls", trusted.clone(), false),
        (&["--mode", "plain", "--user", "dxgate", "--password", "another one"], "plain", login.to_owned(), false),
    ];
    for (options, security, more, works) in cases {
        let server = Listener::start("smtp_server.py", options);
        let (home, _peer) = home(&mail(server.port, security, &more));
        let gateway = Inside::start(&home, &inside::clock());
        let (status, tested) = gateway.post("/api/v1/alerts/test", br#"{"channel":"mail"}"#);
        assert_eq!(
            (status, &tested["channels"][0]["told"]),
            (200, &works.into()),
            "{options:?} {security}: {tested:#}"
        );
        assert!(!tested.to_string().contains("hunter2"), "{tested:#}");
        let received = server.received();
        assert_eq!(received.len(), usize::from(works), "{received:#?}");
        if works {
            assert_eq!(received[0]["tls"], security == "tls");
            assert!(text(&received[0]["headers"]["Subject"]).contains("测试 / test: alert-test"), "{received:#?}");
        }
    }
}

/// A program in the home.
fn program(home: &Path, name: &str, script: &str) {
    let path = home.join(name);
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn a_program_gets_the_json_and_nothing_of_ours_and_is_killed_when_it_hangs() {
    let command = "[alerts.command]\nprogram = \"tell\"\narguments = [\"told\", \"a b; $HOME\"]\ntimeout = \"10s\"\n";
    let (home, _peer) = home(command);
    let folder = home.path("");
    let out = home.path("told");
    let script = format!("cat > {out}; env > {out}.env; echo \"$2\" > {out}.argument", out = out.display());
    program(&folder, "tell", &script);
    let gateway = Inside::start(&home, &inside::clock());
    gateway.submit("theirs", "a.xml", b"<a/>");
    let argument = eventually("it was started", || {
        fs::read_to_string(home.path("told.argument")).ok().filter(|said| !said.is_empty())
    });
    assert_eq!(argument, "a b; $HOME\n", "no shell looks at arguments");
    let json: Value = serde_json::from_slice(&fs::read(&out).unwrap()).unwrap();
    assert_eq!(json["alerts"][0]["code"], "http-404");
    let environment = fs::read_to_string(home.path("told.env")).unwrap();
    assert!(!environment.contains("CARGO"), "{environment}");
    for (script, why) in [("exit 3", "3"), ("sleep 60", "longer than 10 s"), ("exec /nowhere/at/all", "12")] {
        program(&folder, "tell", script);
        // While another test forks, a file that was just written may not be started.
        eventually(script, || {
            let (_, tested) = gateway.post("/api/v1/alerts/test", b"{}");
            tested["channels"][0]["failed"].as_str().is_some_and(|said| said.contains(why)).then_some(())
        });
    }
}

#[test]
fn a_failing_channel_is_an_alert_that_others_tell_and_nothing_waits_for_it() {
    let port = free_port();
    let command = "[alerts.command]\nprogram = \"tell\"\n";
    let (home, _peer) = home(&[&webhook(&format!("http://127.0.0.1:{port}/"), ""), command].concat());
    program(&home.path(""), "tell", &format!("cat >> {}", home.path("told").display()));
    let clock = inside::clock();
    let gateway = Inside::start(&home, &clock);
    gateway.submit("theirs", "a.xml", b"<a/>");
    let codes = || {
        let said = fs::read_to_string(home.path("told")).unwrap_or_default();
        // A line that is being written is not there yet.
        said.lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .flat_map(|told| told["alerts"].as_array().unwrap().clone())
            .map(|alert| (text(&alert["code"]), text(&alert["status"])))
            .collect::<Vec<_>>()
    };
    eventually("the failing is told by the other", || {
        pass(&clock, Duration::from_secs(5));
        codes().contains(&one("alert-webhook-failing")).then_some(())
    });
    assert!(gateway.alerts().contains(&"alert-webhook-failing".to_owned()));
    gateway.submit("theirs", "b.xml", b"<b/>");
    eventually("messages go on", || {
        (gateway.messages().iter().filter(|m| m.state == State::Held).count() == 2).then_some(())
    });
    let receiver = Scripted::start_at(port, |_, _| Some(answer(204, "", b"")));
    eventually("the webhook is told", || {
        pass(&clock, Duration::from_secs(30));
        (!receiver.posted().is_empty()).then_some(())
    });
    eventually("it fails no more", || (!gateway.alerts().contains(&"alert-webhook-failing".to_owned())).then_some(()));
    let ended = ("alert-webhook-failing".to_owned(), "ended".to_owned());
    eventually("and the other is told", || codes().contains(&ended).then_some(()));
}

#[test]
fn of_two_webhooks_the_one_that_works_tells_that_the_other_fails_and_when_it_does_no_more() {
    let (port, works) = (free_port(), receiver(&[]));
    let failing = webhook(&format!("http://127.0.0.1:{port}/"), "");
    let working = webhook(&format!("http://127.0.0.1:{}/", works.port), "").replace("\"hook\"", "\"other\"");
    let (home, _peer) = home(&[failing, working].concat());
    let clock = inside::clock();
    let gateway = Inside::start(&home, &clock);
    gateway.submit("theirs", "a.xml", b"<a/>");
    eventually("the failing is told by the other", || {
        pass(&clock, Duration::from_secs(5));
        told(&works.received()).contains(&one("alert-webhook-failing")).then_some(())
    });
    let received = works.received();
    let mut alerts = received.iter().flat_map(|one| one["body"]["alerts"].as_array().unwrap());
    let said = alerts.rfind(|alert| alert["code"] == "alert-webhook-failing").unwrap();
    let words = text(&said["text"]["en"]);
    assert!(words.contains("told by hook: ") && !words.contains("other: "), "{words}");
    let mended = Scripted::start_at(port, |_, _| Some(answer(204, "", b"")));
    let ended = ("alert-webhook-failing".to_owned(), "ended".to_owned());
    eventually("and its end", || {
        pass(&clock, Duration::from_secs(30));
        told(&works.received()).contains(&ended).then_some(())
    });
    let own = mended
        .posted()
        .iter()
        .filter(|posted| String::from_utf8_lossy(&posted.body).contains("alert-webhook-failing"))
        .count();
    assert_eq!(own, 0, "it is not told of its own failing");
}

#[test]
fn a_silence_keeps_alerts_from_being_told_over_restarts_until_it_is_ended() {
    let receiver = receiver(&[]);
    let (home, _peer) = home(&webhook(&format!("http://127.0.0.1:{}/", receiver.port), ""));
    let gateway = Gateway::start(&home);
    let arguments = ["alerts", "silence", "--code", "http-404", "--partner", "theirs", "--for", "2h"];
    assert_eq!(cli(&home, &arguments).0, 2, "a reason is required");
    let (exit, silence) = cli(&home, &[&arguments[..], &["--reason", "they move"]].concat());
    assert_eq!(
        (exit, &silence["reason"], &silence["by"]),
        (0, &"they move".into(), &"api-token".into()),
        "{silence:#}"
    );
    let until: Timestamp = text(&silence["until"]).parse().unwrap();
    assert!(until.duration_since(Timestamp::now()).as_secs() > 7000, "{until}");
    home.submit("theirs", "a.xml", b"<a/>");
    eventually("it is listed", || {
        (gateway.api("/api/v1/alerts")["alerts"].as_array().unwrap().len() == 1).then_some(())
    });
    waiting(&home, "hook", 1.0);
    gateway.kill();
    let _gateway = Gateway::start(&home);
    let (_, list) = cli(&home, &["alerts", "silences"]);
    assert_eq!(list["silences"], Value::Array(vec![silence.clone()]));
    assert_eq!(receiver.received(), Vec::<Value>::new());
    let (exit, tested) = cli(&home, &["alerts", "test", "--channel", "hook"]);
    assert_eq!((exit, &tested["channels"][0]["told"]), (0, &true.into()), "tests are told: {tested:#}");
    assert_eq!(cli(&home, &["alerts", "test", "--channel", "none"]).0, 2);
    let id = text(&silence["id"]);
    assert_eq!(cli(&home, &["alerts", "unsilence", &id, "--reason", "moved"]).0, 0);
    assert_eq!(cli(&home, &["alerts", "unsilence", &id, "--reason", "moved"]).1["code"], "silence-unknown");
    eventually("what goes on is told", || (receiver.received().len() == 2).then_some(()));
    assert_eq!(told(&receiver.received()), [("alert-test".to_owned(), "test".to_owned()), one("http-404")]);
    let past = ["alerts", "silence", "--until", "2020-01-01T00:00:00Z", "--reason", "x"];
    assert_eq!((cli(&home, &past).0, &cli(&home, &past).1["code"]), (1, &"silence-past".into()));
}

#[test]
fn conditions_of_certificates_queue_and_journal_are_raised_and_end_by_the_clock() {
    let peer = Scripted::start(|_, _| Some(answer(503, "", b"")));
    let home = Home::ours();
    let delivery = "retry = [\"7d\"]\ngive_up_after = \"30d\"\njitter = 0.0";
    home.partner("theirs", &PartnerFile { url: peer.url(), delivery, ..PartnerFile::default() });
    let clock = inside::clock();
    let gateway = Inside::start(&home, &clock);
    let stands = |what: &str, wanted: &[&str]| {
        eventually(what, || {
            let found = gateway.alerts();
            (wanted.iter().all(|code| found.contains(&(*code).to_owned())) && found.len() == wanted.len()).then_some(())
        });
    };
    gateway.submit("theirs", "a.xml", b"<a/>");
    gateway.until("theirs", "tried", |message| message.state == State::Composed && message.attempts == 1);
    assert_eq!(gateway.alerts(), Vec::<String>::new());
    pass(&clock, Duration::from_secs(4 * 3600));
    stands("the queue is old", &["queue-old"]);
    let id = gateway.sent_to("theirs").id;
    let (status, _) = gateway.post(&format!("/api/v1/messages/{id}/cancel"), br#"{"reason":"no more"}"#);
    assert_eq!(status, 200);
    stands("nothing waits any more", &[]);
    // The certificates are valid for 400 days; both sides' end together.
    let day = Duration::from_secs(86_400);
    for (days, left) in [(345, 60), (30, 30), (12, 14), (8, 7), (4, 1)] {
        pass(&clock, days * day);
        let code = format!("certificate-expires-{left}d");
        stands(&format!("{left} days: the one before has ended"), &[&code, &code]);
    }
    pass(&clock, 2 * day);
    stands("expired", &["certificate-expired", "certificate-expired", "no-signing-key"]);
}

#[test]
fn files_that_cannot_be_published_are_told_with_their_partner_until_they_are() {
    let peer = Scripted::start(|_, posted| Some(acknowledge(posted, Kind::default())));
    let home = Home::ours();
    home.partner("theirs", &PartnerFile { url: peer.url(), ..PartnerFile::default() });
    let clock = inside::clock();
    let gateway = Inside::start(&home, &clock);
    let receipts = home.exchange("theirs", "receipts");
    fs::remove_dir(&receipts).unwrap();
    fs::write(&receipts, "no folder").unwrap();
    gateway.submit("theirs", "a.xml", b"<a/>");
    gateway.until("theirs", "delivered and not published", |message| {
        let waits = |stage| matches!(stage, &PublicationStage::Staged);
        message.state == State::Delivered && message.publications.iter().any(|(_, stage)| waits(stage))
    });
    let found = eventually("it is told", || {
        // What fails first a moment after the state is seen has to grow old as well.
        pass(&clock, Duration::from_secs(240));
        let alerts = gateway.api("/api/v1/alerts")["alerts"].as_array().unwrap().clone();
        alerts.into_iter().find(|alert| alert["code"] == "not-published")
    });
    assert_eq!((&found["partner"], &found["level"]), (&"theirs".into(), &"error".into()), "{found:#}");
    assert!(found["text"]["en"].as_str().unwrap().contains("receipts/ × 1"), "{found:#}");
    fs::remove_file(&receipts).unwrap();
    eventually("it is over", || gateway.alerts().is_empty().then_some(()));
    assert_eq!(fs::read_dir(&receipts).unwrap().count(), 2);
}

#[test]
fn a_journal_that_was_altered_is_found_by_the_check_and_alerted() {
    let peer = Scripted::start(|_, posted| Some(acknowledge(posted, Kind::default())));
    let home = Home::ours();
    home.partner("theirs", &PartnerFile { url: peer.url(), ..PartnerFile::default() });
    let clock = inside::clock();
    let gateway = Inside::start(&home, &clock);
    gateway.submit("theirs", "a.xml", b"<a/>");
    gateway.until("theirs", "delivered", |message| message.state == State::Delivered);
    pass(&clock, Duration::from_secs(3601));
    let segment = home.path("data/journal/00000000000000000001.log");
    let sound = fs::read(&segment).unwrap();
    let mut altered = sound.clone();
    altered[200] ^= 1;
    // In place: the gateway holds the file.
    let write = |bytes: &[u8]| {
        use std::os::unix::fs::FileExt as _;
        fs::File::options().write(true).open(&segment).unwrap().write_all_at(&bytes[200..201], 200).unwrap();
    };
    write(&altered);
    let found = || gateway.alerts().contains(&"journal-damaged".to_owned());
    pass(&clock, Duration::from_secs(8 * 86_400));
    eventually("the damage is found", || found().then_some(()));
    write(&sound);
    pass(&clock, Duration::from_secs(8 * 86_400));
    eventually("a later check finds none", || (!found()).then_some(()));
}
