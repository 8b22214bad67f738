//! Backups of a gateway that works, and what becomes of them on an empty place: everything acknowledged is there, and
//! nothing is sent or handed over again before a person says so.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::correspondent::{Kind, receipt_for};
use crate::support::gateway::{Gateway, dxgate};
use crate::support::home::{Home, PartnerFile, Station};
use crate::support::scripted::{Scripted, answer};
use crate::support::{eventually, http, keys};

#[test]
fn a_backup_taken_under_load_is_whole_as_of_its_frame() {
    let cycles: usize = std::env::var("DXGATE_R15_CYCLES").map_or(1, |count| count.parse().unwrap());
    let (left, right) = homes();
    let (sender, _receiver) = (Gateway::start(&left), Gateway::start(&right));
    let backup = left.path("backup");
    let mut before = 0;
    for cycle in 0..cycles {
        let names: Vec<String> = (0..40).map(|number| format!("{cycle}-{number}.xml")).collect();
        for name in &names {
            left.submit("right", name, format!("<order>{name}</order>").as_bytes());
        }
        sender.wait_for("right", "sent", &names[0]);
        let made = said(&left, 0, &["backup", backup.to_str().unwrap(), "--format", "json"]);
        assert_eq!(made["failed"], Value::Null, "{made:#}");
        let sequence = made["sequence"].as_u64().unwrap();
        assert!(sequence > before, "{made:#}");
        before = sequence;

        let place = left.path(&format!("restored-{cycle}"));
        let restored =
            said(&left, 0, &["restore", backup.to_str().unwrap(), "--to", place.to_str().unwrap(), "--format", "json"]);
        assert_eq!((&restored["sequence"], &restored["chain"]), (&made["sequence"], &made["chain"]), "{restored:#}");
        let open = ["queued", "composed", "sending", "awaiting-receipt"];
        let open: u64 = open.iter().filter_map(|state| restored["states"][state].as_u64()).sum();
        assert_eq!(restored["held"].as_u64(), Some(open), "{restored:#}");
        let verified =
            dxgate().args(["messages", "verify", "--all", "--config"]).arg(place.join("gateway.toml")).output();
        assert!(verified.unwrap().status.success(), "every frame and body of the restored home holds");

        for name in &names {
            sender.wait_for("right", "sent", name);
        }
    }
}

#[test]
fn an_older_backup_sends_nothing_again_before_a_person_releases_it() {
    let (left, right) = homes();
    let names = ["a.xml", "b.xml", "c.xml"];
    let backup = left.path("backup");
    {
        let sender = Gateway::start(&left);
        for name in names {
            left.submit("right", name, name.as_bytes());
        }
        eventually("all are taken", || (count(&sender, "outbound") == names.len()).then_some(()));
        said(&left, 0, &["backup", backup.to_str().unwrap(), "--format", "json"]);
        // After the backup the partner comes back and takes them all; then the machine is lost.
        let receiver = Gateway::start(&right);
        for name in names {
            sender.wait_for("right", "sent", name);
            receiver.wait_for("left", "inbox", name);
        }
        assert!(sender.stop().success() && receiver.stop().success());
    }
    lose(&left);
    let restored = said(&left, 0, &["restore", backup.to_str().unwrap(), "--format", "json"]);
    assert_eq!(restored["held"], names.len(), "{restored:#}");
    said(&left, 2, &["restore", backup.to_str().unwrap(), "--format", "json"]);

    let (sender, receiver) = (Gateway::start(&left), Gateway::start(&right));
    left.submit("right", "new.xml", b"new");
    sender.wait_for("right", "sent", "new.xml");
    receiver.wait_for("left", "inbox", "new.xml");
    let held = sender.api("/api/v1/messages?state=held&restored=true");
    assert_eq!(held["messages"].as_array().unwrap().len(), names.len(), "{held:#}");
    let codes = held["messages"].as_array().unwrap().iter().all(|line| line["reason"]["code"] == "restored");
    assert!(codes, "{held:#}");
    assert_eq!(count(&receiver, "inbound"), names.len() + 1, "nothing but the new message was sent");

    let released =
        said(&left, 0, &["messages", "release", "--all-restored", "--reason", "asked the partner", "--format", "json"]);
    assert_eq!(released["released"], names.len(), "{released:#}");
    for name in names {
        sender.wait_for("right", "sent", name);
    }
    let inbox: Vec<String> =
        right.names("left", "inbox").into_iter().filter(|name| !name.ends_with(".meta.json")).collect();
    assert_eq!(inbox, ["a.xml", "b.xml", "c.xml", "new.xml"], "the partner knew them: one file each");
    assert_eq!(sender.api("/api/v1/messages?restored=true")["messages"], Value::Array(Vec::new()));
}

#[test]
fn a_damaged_backup_is_refused_and_leaves_nothing_that_starts() {
    let (left, right) = homes();
    let (sender, _receiver) = (Gateway::start(&left), Gateway::start(&right));
    left.submit("right", "order.xml", b"<order/>");
    sender.wait_for("right", "sent", "order.xml");
    let backup = left.path("backup");
    said(&left, 0, &["backup", backup.to_str().unwrap(), "--format", "json"]);
    said(&left, 2, &["backup", left.path("data/inside").to_str().unwrap(), "--format", "json"]);
    let segment = backup.join("data/journal/00000000000000000001.log");
    let mut bytes = fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::remove_file(&segment).unwrap();
    fs::write(&segment, bytes).unwrap();
    let place = left.path("restored");
    let refused =
        said(&left, 1, &["restore", backup.to_str().unwrap(), "--to", place.to_str().unwrap(), "--format", "json"]);
    assert_eq!(refused["code"], "backup-damaged", "{refused:#}");
    assert!(!place.join("gateway.toml").exists() && !place.join("data").exists());
}

#[test]
fn a_backup_into_or_around_the_data_is_refused() {
    let (left, _right) = homes();
    let _gateway = Gateway::start(&left);
    for place in ["data", "data/backup", "exchange/right", ""] {
        let place = left.path(place);
        let refused = said(&left, 2, &["backup", place.to_str().unwrap(), "--format", "json"]);
        assert_eq!(refused["code"], "backup-place", "{}: {refused:#}", place.display());
    }
}

/// Runs a command whose output is JSON, on whichever stream; checks how it ends.
fn said(home: &Home, exit: i32, arguments: &[&str]) -> Value {
    let output = dxgate().args(arguments).arg("--config").arg(home.config()).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert_eq!(output.status.code(), Some(exit), "{arguments:?}: {text}");
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("{arguments:?} said {text}"))
}

fn count(gateway: &Gateway<'_>, direction: &str) -> usize {
    gateway.api(&format!("/api/v1/messages?limit=500&direction={direction}"))["messages"].as_array().unwrap().len()
}

/// The machine is lost: only the backup is left.
fn lose(home: &Home) {
    for name in ["data", "exchange", "partners", "gateway.toml"] {
        let path = home.path(name);
        remove(&path);
    }
}

fn remove(path: &Path) {
    if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
}

fn homes() -> (Home, Home) {
    let left = Home::ours();
    let right = Home::of(&Station { as2_name: "theirs", party: keys::theirs(), more: "" });
    left.partner("right", &PartnerFile { url: right.url(), ..PartnerFile::default() });
    let back = PartnerFile { as2_name: "ours", url: left.url(), party: keys::ours(), ..PartnerFile::default() };
    right.partner("left", &back);
    (left, right)
}

#[test]
fn a_receipt_for_what_was_sent_after_the_backup_delivers_it() {
    let (home, peer) = (Home::ours(), Scripted::start(|_, _| Some(answer(202, "", b""))));
    let mdn = "mode = \"async\"\nsigned = true";
    home.partner("theirs", &PartnerFile { url: peer.url(), mdn, ..PartnerFile::default() });
    let backup = home.path("backup");
    let sender = Gateway::start(&home);
    let ask = |what: &str| {
        let token = home.token().unwrap();
        let headers = format!("Authorization: Bearer {token}\r\nContent-Type: application/json\r\n");
        let path = format!("/api/v1/partners/theirs/{what}");
        assert_eq!(http::post(home.console, &path, &headers, br#"{"reason":"a backup"}"#).unwrap().status, 200);
    };
    ask("pause");
    home.submit("theirs", "order.xml", b"<order/>");
    eventually("it is taken", || (count(&sender, "outbound") == 1).then_some(()));
    said(&home, 0, &["backup", backup.to_str().unwrap(), "--format", "json"]);
    ask("resume");
    let posted = eventually("it is sent", || peer.posted().pop());
    assert!(sender.stop().success());
    lose(&home);
    said(&home, 0, &["restore", backup.to_str().unwrap(), "--format", "json"]);
    let sender = Gateway::start(&home);
    let receipt = receipt_for(&posted, Kind::default());
    assert_eq!(http::post(home.as2, "/as2", &receipt.headers, &receipt.body).unwrap().status, 200);
    assert_eq!(sender.wait_for("theirs", "sent", "order.xml"), b"<order/>");
    assert_eq!(sender.api("/api/v1/messages?direction=outbound")["messages"][0]["state"], "delivered");
    assert_eq!(peer.posted().len(), 1, "nothing was sent again");
}
