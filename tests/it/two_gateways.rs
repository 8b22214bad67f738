//! Two gateways as partners of each other: what one is given, the other hands over, and a receipt proves it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;

use crate::support::gateway::Gateway;
use crate::support::home::{Home, PartnerFile, Station};
use crate::support::{eventually, keys};

const ORDER: &[u8] = b"<order><item/></order>\n";

#[test]
fn a_file_goes_from_outbox_to_inbox_and_its_receipt_comes_back() {
    let (left, right) = homes(&Terms::default());
    let (sender, receiver) = (Gateway::start(&left), Gateway::start(&right));
    left.submit("right", "order.xml", ORDER);
    assert_eq!(sender.wait_for("right", "sent", "order.xml"), ORDER);
    assert_eq!(receiver.wait_for("left", "inbox", "order.xml"), ORDER);
    let meta = json(&receiver.wait_for("left", "inbox", "order.xml.meta.json"));
    let receipt = json(&sender.wait_for("right", "receipts", "order.xml.mdn.json"));
    let raw = String::from_utf8(sender.wait_for("right", "receipts", "order.xml.mdn")).unwrap();
    assert!(raw.contains("multipart/signed") && raw.contains("disposition-notification"), "{raw}");
    assert_eq!(receipt["state"], "delivered", "{receipt:#}");
    assert_eq!(receipt["mic_matches"], true, "{receipt:#}");
    assert_eq!(receipt["file"], "order.xml", "{receipt:#}");
    assert_eq!(receipt["attempts"], 1, "{receipt:#}");
    assert!(receipt["signed_by"].is_string(), "{receipt:#}");
    assert!(receipt["disposition"].as_str().unwrap().ends_with("processed"), "{receipt:#}");
    assert_eq!(meta["partner"], "left", "{meta:#}");
    assert_eq!((&meta["as2_from"], &meta["as2_to"]), (&"ours".into(), &"theirs".into()), "{meta:#}");
    assert_eq!(meta["message_id"], receipt["message_id"], "{meta:#}");
    assert_eq!(meta["mic"], receipt["mic"], "{meta:#}");
    assert_eq!(meta["bytes"], ORDER.len(), "{meta:#}");
    assert_eq!(meta["encrypted_with"], "aes256-cbc", "{meta:#}");
    assert!(meta["signed_by"].is_string() && meta["signed_by"] != receipt["signed_by"], "{meta:#}");
    for folder in ["outbox", "rejected", "failed", ".claimed", "inbox"] {
        assert_eq!(left.names("right", folder), Vec::<String>::new(), "{folder}");
    }
    assert_eq!(right.names("left", "inbox"), ["order.xml", "order.xml.meta.json"]);
    assert!(sender.stop().success() && receiver.stop().success());
}

#[test]
fn a_receipt_that_comes_later_settles_as_well() {
    let (left, right) = homes(&Terms { mdn: "mode = \"async\"\nsigned = true", ..Terms::default() });
    let (sender, receiver) = (Gateway::start(&left), Gateway::start(&right));
    left.submit("right", "later.xml", ORDER);
    assert_eq!(sender.wait_for("right", "sent", "later.xml"), ORDER);
    assert_eq!(receiver.wait_for("left", "inbox", "later.xml"), ORDER);
    let receipt = json(&sender.wait_for("right", "receipts", "later.xml.mdn.json"));
    assert_eq!((&receipt["state"], &receipt["mic_matches"]), (&"delivered".into(), &true.into()), "{receipt:#}");
    let jobs = eventually("the receiver knows that its receipt arrived", || {
        let jobs = receiver.api("/api/v1/messages?direction=outbound");
        (jobs["messages"][0]["state"] == "delivered").then_some(jobs)
    });
    assert_eq!(jobs["messages"][0]["kind"], "mdn", "{jobs:#}");
    assert_eq!(jobs["messages"].as_array().unwrap().len(), 1, "{jobs:#}");
    let inbound = receiver.api("/api/v1/messages?direction=inbound");
    assert_eq!(inbound["messages"][0]["state"], "accepted", "{inbound:#}");
    assert_eq!(inbound["messages"].as_array().unwrap().len(), 1, "{inbound:#}");
    assert_eq!(right.names("left", "sent"), Vec::<String>::new(), "a receipt is no file of anybody");
}

#[test]
fn without_a_receipt_agreed_the_transfer_is_the_end() {
    let (left, right) = homes(&Terms { mdn: "mode = \"none\"", ..Terms::default() });
    let (sender, receiver) = (Gateway::start(&left), Gateway::start(&right));
    left.submit("right", "quiet.xml", ORDER);
    assert_eq!(sender.wait_for("right", "sent", "quiet.xml"), ORDER);
    assert_eq!(receiver.wait_for("left", "inbox", "quiet.xml"), ORDER);
    assert_eq!(detail(&sender, "quiet.xml")["receipt"], Value::Null);
    assert_eq!(left.names("right", "receipts"), Vec::<String>::new());
}

#[test]
fn an_unsigned_receipt_is_enough_where_that_is_agreed() {
    let (left, right) = homes(&Terms { mdn: "mode = \"sync\"\nsigned = false", ..Terms::default() });
    let (sender, receiver) = (Gateway::start(&left), Gateway::start(&right));
    left.submit("right", "unsigned.xml", ORDER);
    assert_eq!(sender.wait_for("right", "sent", "unsigned.xml"), ORDER);
    assert_eq!(receiver.wait_for("left", "inbox", "unsigned.xml"), ORDER);
    let receipt = json(&sender.wait_for("right", "receipts", "unsigned.xml.mdn.json"));
    assert_eq!((&receipt["signed_by"], &receipt["state"]), (&Value::Null, &"delivered".into()), "{receipt:#}");
}

#[test]
fn every_protection_that_can_be_agreed_arrives_as_agreed() {
    let rows = [
        ("sign = \"rsa-pkcs1\"\nencrypt = \"aes256-cbc\"\ncompress = \"before-signing\"", "aes256-cbc", true),
        ("sign = \"rsa-pkcs1\"\nencrypt = \"aes128-cbc\"\ncompress = \"after-signing\"", "aes128-cbc", true),
        ("sign = \"rsa-pss\"\nencrypt = \"aes256-gcm\"\nkey_transport = \"rsa-oaep-sha256\"", "aes256-gcm", false),
        (
            "sign = \"rsa-pss\"\ndigest = \"sha-512\"\nencrypt = \"aes128-gcm\"\nkey_transport = \"rsa-oaep-sha1\"\ncompress = \"after-signing\"",
            "aes128-gcm",
            true,
        ),
        ("sign = \"rsa-pkcs1\"\nencrypt = \"aes128-cbc\"\ntransfer_encoding = \"base64\"", "aes128-cbc", false),
        ("sign = \"rsa-pkcs1\"\nencrypt = \"none\"", "", false),
        ("sign = \"none\"\nencrypt = \"aes256-cbc\"\ncompress = \"before-signing\"", "aes256-cbc", true),
        ("sign = \"none\"\nencrypt = \"none\"", "", false),
    ];
    let payload = b"the same words again and again\r\n".repeat(500);
    for (agreement, cipher, compressed) in rows {
        let accept = "signature = false\nencryption = false";
        let (left, right) = homes(&Terms { agreement, accept, ..Terms::default() });
        let (sender, receiver) = (Gateway::start(&left), Gateway::start(&right));
        left.submit("right", "words.txt", &payload);
        assert!(sender.wait_for("right", "sent", "words.txt") == payload, "{agreement}");
        assert!(receiver.wait_for("left", "inbox", "words.txt") == payload, "{agreement}");
        let meta = json(&receiver.wait_for("left", "inbox", "words.txt.meta.json"));
        assert_eq!(meta["compressed"], compressed, "{agreement}: {meta:#}");
        assert_eq!(meta["encrypted_with"].as_str().unwrap_or_default(), cipher, "{agreement}: {meta:#}");
        assert_eq!(meta["signed_by"].is_string(), !agreement.contains("sign = \"none\""), "{agreement}: {meta:#}");
        let receipt = json(&sender.wait_for("right", "receipts", "words.txt.mdn.json"));
        assert_eq!(receipt["mic_matches"], true, "{agreement}: {receipt:#}");
        assert_eq!(detail(&sender, "words.txt")["attempts"], 1, "{agreement}");
    }
}

#[test]
fn thirty_mebibytes_arrive_as_they_were() {
    let (left, right) = homes(&Terms::default());
    let (sender, receiver) = (Gateway::start(&left), Gateway::start(&right));
    let mut state = 1u32;
    let payload: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(30 << 20)
    .collect();
    left.submit("right", "large.bin", &payload);
    assert!(sender.wait_for("right", "sent", "large.bin") == payload, "what is in sent/ differs");
    assert!(receiver.wait_for("left", "inbox", "large.bin") == payload, "what arrived differs");
    let meta = json(&receiver.wait_for("left", "inbox", "large.bin.meta.json"));
    assert_eq!(meta["bytes"], payload.len(), "{meta:#}");
    assert_eq!(detail(&sender, "large.bin")["attempts"], 1, "{}", sender.log());
}

#[test]
fn three_hundred_files_dropped_at_once_arrive_once_each() {
    let (left, right) = homes(&Terms::default());
    let outbox = left.exchange("right", "outbox");
    fs::create_dir_all(&outbox).unwrap();
    let files: BTreeMap<String, Vec<u8>> =
        (0..300).map(|number| (format!("{number:03}.xml"), format!("<n>{number}</n>").into_bytes())).collect();
    for (name, content) in &files {
        fs::write(outbox.join(name), content).unwrap();
    }
    let (sender, receiver) = (Gateway::start(&left), Gateway::start(&right));
    eventually("all files are in sent/", || (left.names("right", "sent").len() >= files.len()).then_some(()));
    eventually("all files are in the inbox", || (payloads(&right, "left").len() >= files.len()).then_some(()));
    for (home, partner, folder) in [(&left, "right", "sent"), (&right, "left", "inbox")] {
        let names: BTreeSet<String> = home.names(partner, folder).into_iter().filter(|n| !is_meta(n)).collect();
        assert_eq!(names, files.keys().cloned().collect(), "{folder}");
        for (name, content) in &files {
            assert_eq!(&fs::read(home.exchange(partner, folder).join(name)).unwrap(), content, "{folder}/{name}");
        }
    }
    assert_eq!(left.names("right", ".claimed"), Vec::<String>::new());
    assert!(sender.stop().success() && receiver.stop().success());
    assert_eq!(payloads(&right, "left").len(), files.len(), "nothing came twice in the end");
}

#[test]
fn a_chinese_file_name_arrives_as_it_is() {
    let (left, right) = homes(&Terms::default());
    let (sender, receiver) = (Gateway::start(&left), Gateway::start(&right));
    let name = "跨境电商订单 2026-03（终稿）.xml";
    left.submit("right", name, ORDER);
    assert_eq!(sender.wait_for("right", "sent", name), ORDER);
    assert_eq!(receiver.wait_for("left", "inbox", name), ORDER);
    let meta = json(&receiver.wait_for("left", "inbox", &format!("{name}.meta.json")));
    assert_eq!(meta["file_name"], name, "{meta:#}");
    assert!(!sender.log().contains('\u{1b}'), "a log that is no terminal has no colours");
    sender.wait_for("right", "receipts", &format!("{name}.mdn.json"));
}

#[test]
fn a_file_name_used_twice_gives_two_files_on_both_sides() {
    let (left, right) = homes(&Terms::default());
    let (sender, receiver) = (Gateway::start(&left), Gateway::start(&right));
    left.submit("right", "same.xml", b"<first/>");
    assert_eq!(sender.wait_for("right", "sent", "same.xml"), b"<first/>");
    assert_eq!(receiver.wait_for("left", "inbox", "same.xml"), b"<first/>");
    left.submit("right", "same.xml", b"<second/>");
    eventually("both are in sent/", || (left.names("right", "sent").len() == 2).then_some(()));
    eventually("both are in the inbox", || (payloads(&right, "left").len() == 2).then_some(()));
    let id = detail(&sender, "same.xml")["id"].as_str().unwrap().to_owned();
    assert_eq!(sender.wait_for("right", "sent", "same.xml"), b"<first/>");
    assert_eq!(sender.wait_for("right", "sent", &format!("same.{id}.xml")), b"<second/>");
    let there = detail(&receiver, "same.xml")["id"].as_str().unwrap().to_owned();
    let inbox = [format!("same.{there}.xml"), format!("same.{there}.xml.meta.json")];
    assert_eq!(receiver.wait_for("left", "inbox", &inbox[0]), b"<second/>");
    assert_eq!(json(&receiver.wait_for("left", "inbox", &inbox[1]))["id"], there.as_str());
    eventually("every receipt is there", || (left.names("right", "receipts").len() == 4).then_some(()));
}

/// What the two agree on.
struct Terms {
    agreement: &'static str,
    mdn: &'static str,
    accept: &'static str,
}

impl Default for Terms {
    fn default() -> Self {
        Terms {
            agreement: "sign = \"rsa-pkcs1\"\nencrypt = \"aes256-cbc\"",
            mdn: "mode = \"sync\"\nsigned = true",
            accept: "signature = true\nencryption = true",
        }
    }
}

/// `ours`, which knows the partner `right`, and `theirs`, which knows the partner `left`.
fn homes(terms: &Terms) -> (Home, Home) {
    let left = Home::ours();
    let right = Home::of(&Station { as2_name: "theirs", party: keys::theirs(), more: "" });
    let Terms { agreement, mdn, accept } = *terms;
    let shared = || PartnerFile { agreement, mdn, accept, ..PartnerFile::default() };
    left.partner("right", &PartnerFile { url: right.url(), ..shared() });
    right.partner("left", &PartnerFile { as2_name: "ours", url: left.url(), party: keys::ours(), ..shared() });
    (left, right)
}

fn is_meta(name: &str) -> bool {
    name.ends_with(".meta.json")
}

fn payloads(home: &Home, partner: &str) -> Vec<String> {
    home.names(partner, "inbox").into_iter().filter(|name| !is_meta(name)).collect()
}

/// The newest message about a file name.
fn detail(gateway: &Gateway<'_>, name: &str) -> Value {
    let list = gateway.api(&format!("/api/v1/messages?name={name}"));
    let id = list["messages"][0]["id"].as_str().unwrap_or_else(|| panic!("no message {name}: {list:#}"));
    gateway.api(&format!("/api/v1/messages/{id}"))
}

fn json(text: &[u8]) -> Value {
    serde_json::from_slice(text).unwrap()
}
