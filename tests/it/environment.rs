//! Test and production: nothing of one leaves from the other, and a test account is used while it is ours.

use std::fs;
use std::process::Stdio;

use dxgate::declaration::envelope::{self, EnvelopeHead};
use dxgate::declaration::sample;
use dxgate::ground::clock::Clock;
use dxgate::store::record::{Message, State};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::support::eventually;
use crate::support::gateway::{Gateway, dxgate, run};
use crate::support::home::{Home, PartnerFile, Station, change};
use crate::support::inside::{self, Inside};
use crate::support::keys;

const OWN: &str = "DXPENT0000012345";
const OTHER: &str = "DXPENT0000099999";

/// A home with the DXPID [`OWN`], these lines of `[environment]`, and customs as a partner whose pre-check is off.
fn home(environment: &str) -> Home {
    let more = format!("[environment]\n{environment}\n");
    let home = Home::of(&Station { as2_name: "ours", party: keys::ours(), more: &more });
    change(&home.config(), "[station]\n", &format!("[station]\ndxpid = \"{OWN}\"\n"));
    home.partner("customs", &PartnerFile::default());
    change(&home.path("partners/customs.toml"), "as2_name", "profile = \"dxp\"\nas2_name");
    let file = home.path("partners/customs.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{text}\n[dxp]\nprecheck = \"off\"\n")).unwrap();
    home
}

fn code(message: &Message) -> Option<&str> {
    message.reason.as_ref().map(|reason| reason.code.as_str())
}

fn wrapped(document: &[u8], sender: &str, now: Timestamp) -> Vec<u8> {
    let head = EnvelopeHead {
        file_name: None,
        cop_msg_id: "C1".into(),
        sender_id: sender.into(),
        receiver_ids: vec!["DXPEDCCEB0000002".into()],
        creat_time: envelope::creat_time(now),
        msg_type: "CEB311Message".into(),
        ..EnvelopeHead::default()
    };
    let mut whole = Vec::new();
    envelope::wrap(&head, &mut &*document, &mut whole).unwrap();
    whole
}

#[test]
fn what_carries_the_dxpid_of_another_environment_is_refused_before_it_is_queued_whatever_the_pre_check_weighs() {
    let home = home(&format!("name = \"production\"\nother_dxpids = [\"{OTHER}\"]"));
    let clock = inside::clock();
    let gateway = Inside::start(&home, &clock);
    let now = clock.now();
    let (foreign, own) = (sample::order(1, OTHER, now, 1), sample::order(1, OWN, now, 2));
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let padded = text(&foreign).replace(OTHER, &format!("\n {OTHER} "));
    let transfer = text(&own);
    let begin = transfer.find("<ceb:BaseTransfer>").unwrap();
    let end = transfer.find("</ceb:BaseTransfer>").unwrap() + "</ceb:BaseTransfer>".len();
    let first = transfer[begin..end].replace(OWN, OTHER);
    let twice = format!("{}{first}{}", &transfer[..begin], &transfer[begin..]);
    let rows = [
        ("document.xml", foreign.clone(), true),
        ("padded.xml", padded.into_bytes(), true),
        ("twice.xml", twice.into_bytes(), true),
        ("sender.xml", wrapped(&own, OTHER, now), true),
        ("inside.xml", wrapped(&foreign, OWN, now), true),
        ("own.xml", own, false),
    ];
    for (name, bytes, refused) in rows {
        gateway.submit("customs", name, &bytes);
        let message = gateway.messages().into_iter().find(|message| message.file_name == name).unwrap();
        assert_eq!(message.state == State::Rejected, refused, "{name}: {message:?}");
        if refused {
            assert_eq!(code(&message), Some("environment-foreign-dxpid"), "{name}");
        }
        fs::write(home.path(name), &bytes).unwrap();
        let (file, config) = (home.path(name).display().to_string(), home.config().display().to_string());
        let checked = run(&["precheck", &file, "--partner", "customs", "--config", &config, "--format", "json"]);
        let said = String::from_utf8_lossy(&checked.stdout).into_owned();
        assert_eq!(said.contains("environment-foreign-dxpid"), refused, "{name}: {said}");
        let (status, report) = gateway.post(&format!("/api/v1/precheck?partner=customs&name={name}"), &bytes);
        assert_eq!(status, 200, "{name}: {report:#}");
        let found = report["findings"].as_array().unwrap();
        let named = found.iter().any(|finding| finding["code"] == "environment-foreign-dxpid");
        assert_eq!(named, refused, "{name}: {report:#}");
        assert!(!refused || report["verdict"] == "refused", "{name}: {report:#}");
    }
}

#[test]
fn what_was_queued_under_the_dxpid_of_another_environment_is_held_when_it_is_due() {
    let home = home("name = \"production\"");
    let clock = inside::clock();
    let gateway = Inside::start(&home, &clock);
    gateway.submit("customs", "order.xml", &sample::order(1, OWN, clock.now(), 1));
    gateway.until("customs", "tried", |message| message.attempts > 0 && message.state == State::Composed);
    drop(gateway);
    // The same home is given the identity of the other environment.
    change(&home.config(), OWN, OTHER);
    change(&home.config(), "name = \"production\"", &format!("name = \"production\"\nother_dxpids = [\"{OWN}\"]"));
    clock.set(clock.now().checked_add(SignedDuration::from_secs(60)).unwrap());
    let gateway = Inside::start(&home, &clock);
    let held = gateway.until("customs", "held", |message| message.state == State::Held);
    assert_eq!(code(&held), Some("environment-foreign-message"));
}

#[test]
fn outside_of_its_window_a_test_environment_sends_nothing_and_says_why() {
    let clock = inside::clock();
    let at = |seconds| clock.now().checked_add(SignedDuration::from_secs(seconds)).unwrap();
    let (yesterday, begin, end) = (at(-86_400), at(60), at(7200));
    let early_home = home(&format!("name = \"test\"\nfrom = \"{begin}\"\nuntil = \"{end}\""));
    let gateway = Inside::start(&early_home, &clock);
    gateway.submit("customs", "early.xml", &sample::order(1, OWN, clock.now(), 1));
    let early = gateway.until("customs", "waiting", |message| message.due == Some(begin));
    assert_eq!((code(&early), early.attempts), (Some("environment-window-not-begun"), 0));
    let late_home = home(&format!("name = \"test\"\nuntil = \"{yesterday}\""));
    let late_gateway = Inside::start(&late_home, &clock);
    late_gateway.submit("customs", "late.xml", &sample::order(1, OWN, clock.now(), 1));
    let late = late_gateway.until("customs", "held", |message| message.state == State::Held);
    assert_eq!((code(&late), late.attempts), (Some("environment-window-over"), 0));
    clock.set(begin);
    gateway.until("customs", "tried", |message| message.attempts > 0);
}

#[test]
fn waiting_for_the_window_does_not_use_up_the_patience_with_the_partner() {
    let clock = inside::clock();
    // The usual patience is 72 hours.
    let begin = clock.now().checked_add(SignedDuration::from_hours(120)).unwrap();
    let home = home(&format!("name = \"test\"\nfrom = \"{begin}\""));
    let gateway = Inside::start(&home, &clock);
    gateway.submit("customs", "early.xml", &sample::order(1, OWN, clock.now(), 1));
    gateway.until("customs", "waiting", |message| message.due == Some(begin));
    clock.set(begin);
    let tried = gateway.until("customs", "tried", |message| message.attempts > 0 && message.state != State::Sending);
    assert_eq!(tried.state, State::Composed, "it is tried again: {tried:?}");
}

#[test]
fn a_data_folder_stays_of_its_environment() {
    let home = home("name = \"production\"");
    let clock = inside::clock();
    drop(Inside::start(&home, &clock));
    change(&home.config(), "name = \"production\"", "name = \"test\"");
    let output = run(&["serve", "--config", home.config().to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && said.contains("environment-mismatch"), "{said}");
}

#[test]
fn a_restored_backup_is_of_the_environment_that_it_was_made_in() {
    let home = home("name = \"test\"");
    let backup = home.path("backup");
    back_up(&home);
    assert_eq!(restored(&home, "restored"), Some("test".to_owned()));
    starts_as_production_no_more(&home, "restored");
    // One that earlier programs made has no such file; what its configuration says counts.
    change_manifest(&home, |manifest| {
        manifest["data"].as_array_mut().unwrap().retain(|entry| entry["path"] != "environment");
    });
    fs::remove_file(backup.join("data/environment")).unwrap();
    assert_eq!(restored(&home, "of-earlier"), Some("test".to_owned()));
    starts_as_production_no_more(&home, "of-earlier");
    // And one without either is restored as well: its first start says of which it is.
    change_manifest(&home, |manifest| {
        manifest["home"].as_array_mut().unwrap().retain(|entry| entry["path"] != "gateway.toml");
    });
    assert_eq!(restored(&home, "of-nobody"), None);
}

/// Backs up a gateway that runs.
fn back_up(home: &Home) {
    let _gateway = Gateway::start(home);
    let (dir, config) = (home.path("backup").display().to_string(), home.config().display().to_string());
    let made = run(&["backup", &dir, "--config", &config]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// Restores the backup; the environment that command and data folder name.
fn restored(home: &Home, place: &str) -> Option<String> {
    let (dir, to) = (home.path("backup").display().to_string(), home.path(place).display().to_string());
    let output = run(&["restore", &dir, "--to", &to, "--format", "json"]);
    assert!(output.status.success(), "{place}: {}", String::from_utf8_lossy(&output.stderr));
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let kept = fs::read_to_string(home.path(place).join("data/environment")).ok();
    let kept = kept.map(|text| text.trim_end().to_owned());
    assert_eq!(said["environment"].as_str(), kept.as_deref(), "{place}: {said:#}");
    kept
}

fn starts_as_production_no_more(home: &Home, place: &str) {
    let file = home.path(place).join("gateway.toml");
    change(&file, "name = \"test\"", "name = \"production\"");
    let output = run(&["serve", "--config", file.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && said.contains("environment-mismatch"), "{place}: {said}");
}

/// Changes the manifest as if an earlier program had written it, which wrote no sum.
fn change_manifest(home: &Home, change: impl FnOnce(&mut Value)) {
    let file = home.path("backup/manifest.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    manifest.as_object_mut().unwrap().remove("sha256");
    change(&mut manifest);
    fs::write(&file, manifest.to_string()).unwrap();
}

#[test]
fn a_home_whose_configuration_has_another_name_is_restored_to_where_that_one_says() {
    let home = home("name = \"test\"");
    change(&home.config(), "[folders]\n", "[folders]\ndata = \"journal\"\n");
    let file = home.path("production.toml");
    fs::rename(home.config(), &file).unwrap();
    let (config, dir) = (file.display().to_string(), home.path("backup").display().to_string());
    let mut serve = dxgate();
    serve.args(["serve", "--config", &config]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut gateway = serve.spawn().unwrap();
    eventually("it is backed up", || run(&["backup", &dir, "--config", &config]).status.success().then_some(()));
    gateway.kill().unwrap();
    gateway.wait().unwrap();
    let to = home.path("restored");
    let restore = || run(&["restore", &dir, "--to", to.to_str().unwrap()]);
    let output = restore();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(to.join("production.toml").is_file() && to.join("journal/journal").is_dir() && !to.join("data").exists());
    assert_eq!(restore().status.code(), Some(2), "the place is taken");
}
