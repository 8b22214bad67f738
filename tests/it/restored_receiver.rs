//! A receiver that comes back from an older backup: what its users may have taken is not handed over a second time before
//! a person says so, and whoever repeats a message that was answered gets the receipt that it got.

use std::fs;

use serde_json::Value;

use crate::support::correspondent::{Letter, letter, plan, receipt_in};
use crate::support::eventually;
use crate::support::gateway::{Gateway, dxgate};
use crate::support::home::{Home, PartnerFile};
use crate::support::http::{self, Answer};

#[test]
fn a_restored_receiver_hands_nothing_over_again_and_repeats_its_receipts() {
    let home = Home::ours();
    home.partner("theirs", &PartnerFile { accept: "signature = true\nencryption = true", ..PartnerFile::default() });
    let (taken, pending, later) =
        (named("taken.xml", "<1@theirs>"), named("pending.xml", "<2@theirs>"), named("later.xml", "<3@theirs>"));
    let backup = home.path("backup");
    let receipts: Vec<Vec<u8>>;
    {
        let gateway = Gateway::start(&home);
        let first = accepted(&home, &taken);
        gateway.wait_for("theirs", "inbox", "taken.xml");
        // The journal learns it a little later than the folder.
        eventually("it is known to be published", || is_published(&gateway).then_some(()));
        // The second file finds no inbox, so the backup has it promised and not published.
        let (inbox, aside) = (home.exchange("theirs", "inbox"), home.path("aside"));
        fs::rename(&inbox, &aside).unwrap();
        fs::write(&inbox, "in the way").unwrap();
        let second = accepted(&home, &pending);
        said(&home, &["backup", backup.to_str().unwrap()]);
        fs::remove_file(&inbox).unwrap();
        fs::rename(&aside, &inbox).unwrap();
        // After the backup users get it, and a message that the backup knows nothing of; then the machine is lost.
        gateway.wait_for("theirs", "inbox", "pending.xml");
        accepted(&home, &later);
        gateway.wait_for("theirs", "inbox", "later.xml");
        receipts = vec![first.body, second.body];
        assert!(gateway.stop().success());
    }
    for name in ["data", "exchange", "partners"] {
        fs::remove_dir_all(home.path(name)).unwrap();
    }
    fs::remove_file(home.config()).unwrap();
    said(&home, &["restore", backup.to_str().unwrap()]);

    let gateway = Gateway::start(&home);
    for (message, receipt) in [&taken, &pending].into_iter().zip(&receipts) {
        assert!(accepted(&home, message).body == *receipt, "the same bytes as before the machine was lost");
    }
    // What comes now is published, in front of everything that waits for a person.
    accepted(&home, &named("new.xml", "<4@theirs>"));
    gateway.wait_for("theirs", "inbox", "new.xml");
    assert_eq!(payloads(&home), ["new.xml"], "neither what was taken nor what was promised");

    said(&home, &["messages", "release", "--all-restored", "--reason", "asked the users"]);
    gateway.wait_for("theirs", "inbox", "pending.xml");
    // The sender of what was lost with the machine repeats it: it is new here, and delivered.
    accepted(&home, &later);
    gateway.wait_for("theirs", "inbox", "later.xml");
    assert!(gateway.stop().success());
    assert_eq!(payloads(&home), ["later.xml", "new.xml", "pending.xml"]);
}

fn named(file_name: &str, message_id: &str) -> Letter {
    let plan = dxgate::as2::SendPlan { file_name: Some(file_name.to_owned()), ..plan() };
    letter(&plan, message_id, format!("<of>{file_name}</of>").as_bytes())
}

/// Posts a message that is answered positively.
fn accepted(home: &Home, letter: &Letter) -> Answer {
    let answer = http::post(home.as2, "/as2", &letter.headers, &letter.body).unwrap();
    assert!(receipt_in(&answer).disposition.is_positive(), "{}", answer.text());
    answer
}

/// Whether the only message's files are where its users find them, by what the gateway knows.
fn is_published(gateway: &Gateway<'_>) -> bool {
    let messages = gateway.api("/api/v1/messages")["messages"].clone();
    let shown = gateway.api(&format!("/api/v1/messages/{}", messages[0]["id"].as_str().unwrap()));
    let files = shown["files"].as_array().unwrap();
    !files.is_empty() && files.iter().all(|file| file["published"] == true)
}

fn payloads(home: &Home) -> Vec<String> {
    home.names("theirs", "inbox").into_iter().filter(|name| !name.ends_with(".meta.json")).collect()
}

/// Runs a command that succeeds.
fn said(home: &Home, arguments: &[&str]) -> Value {
    let output = dxgate().args(arguments).args(["--format", "json", "--config"]).arg(home.config()).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}
