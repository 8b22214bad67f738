//! The gateway against pyas2lib, an AS2 implementation we share no code with: it receives what we send and answers with
//! signed MDNs, and it sends to us and judges ours.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::support::gateway::Gateway;
use crate::support::home::{Home, PartnerFile};
use crate::support::peers::{Receiver, Sender};
use crate::support::{eventually, free_port, keys};

/// `(partner, [agreement], signed, encrypted, compressed)`
const AGREEMENTS: &[(&str, &str, bool, bool, bool)] = &[
    ("plain", "sign = \"none\"\nencrypt = \"none\"", false, false, false),
    ("signed", "sign = \"rsa-pkcs1\"\nencrypt = \"none\"", true, false, false),
    ("signed-sha512", "sign = \"rsa-pkcs1\"\ndigest = \"sha-512\"\nencrypt = \"none\"", true, false, false),
    ("signed-pss", "sign = \"rsa-pss\"\nencrypt = \"none\"", true, false, false),
    ("encrypted", "sign = \"none\"\nencrypt = \"aes256-cbc\"\nkey_transport = \"rsa-pkcs1\"", false, true, false),
    (
        "encrypted-oaep",
        "sign = \"none\"\nencrypt = \"aes128-cbc\"\nkey_transport = \"rsa-oaep-sha1\"",
        false,
        true,
        false,
    ),
    ("both", "sign = \"rsa-pkcs1\"\nencrypt = \"aes128-cbc\"\nkey_transport = \"rsa-pkcs1\"", true, true, false),
    ("compressed", "sign = \"none\"\nencrypt = \"none\"\ncompress = \"before-signing\"", false, false, true),
    (
        "compressed-signed-encrypted",
        "sign = \"rsa-pkcs1\"\nencrypt = \"aes256-cbc\"\nkey_transport = \"rsa-pkcs1\"\ncompress = \"before-signing\"",
        true,
        true,
        true,
    ),
    (
        "signed-compressed-encrypted",
        "sign = \"rsa-pkcs1\"\nencrypt = \"aes192-cbc\"\nkey_transport = \"rsa-pkcs1\"\ncompress = \"after-signing\"",
        true,
        true,
        true,
    ),
];

#[test]
fn pyas2_accepts_what_we_send_under_every_agreement_and_we_accept_its_receipts() {
    let names: Vec<&str> = AGREEMENTS.iter().map(|case| case.0).collect();
    let receiver = Receiver::start(&names, &[]);
    let home = Home::ours();
    for (id, agreement, ..) in AGREEMENTS {
        home.partner(id, &PartnerFile { as2_name: id, url: receiver.url.clone(), agreement, ..PartnerFile::default() });
    }
    let gateway = Gateway::start(&home);
    for (id, ..) in AGREEMENTS {
        for (name, content) in payloads() {
            home.submit(id, name, &content);
        }
    }
    for (id, ..) in AGREEMENTS {
        for (name, content) in payloads() {
            assert_eq!(gateway.wait_for(id, "sent", name), content, "{id}/sent/{name}");
            let receipt: Value =
                serde_json::from_slice(&gateway.wait_for(id, "receipts", &format!("{name}.mdn.json"))).unwrap();
            assert!(receipt["signed_by"].is_string(), "{id}: {receipt:#}");
            assert_eq!(receipt["attempts"], 1, "{id}: {receipt:#}\n{}", gateway.log());
        }
        assert_eq!(home.names(id, "failed"), Vec::<String>::new());
        assert_eq!(home.names(id, "outbox"), Vec::<String>::new());
    }
    let received = receiver.received();
    assert_eq!(received.len(), AGREEMENTS.len() * payloads().len(), "each message was sent once");
    for (id, _, signed, encrypted, compressed) in AGREEMENTS {
        let theirs: Vec<&Value> = received.iter().filter(|one| one["headers"]["as2-to"] == *id).collect();
        let by_name: HashMap<&str, &Value> =
            theirs.iter().map(|one| (one["file_name"].as_str().unwrap_or_default(), *one)).collect();
        for (name, content) in payloads() {
            let one = by_name.get(name).unwrap_or_else(|| panic!("{id}: no {name} in {theirs:#?}"));
            assert_eq!(receiver.payload(one), content, "{id}: {name} arrived byte for byte");
            let shown = (one["signed"].as_bool(), one["encrypted"].as_bool(), one["compressed"].as_bool());
            assert_eq!(shown, (Some(*signed), Some(*encrypted), Some(*compressed)), "{id}: {one:#}");
        }
    }
}

#[test]
fn an_asynchronous_receipt_of_pyas2_delivers_the_message() {
    let receiver = Receiver::start(&["theirs"], &[]);
    let home = Home::ours();
    let mdn = "mode = \"async\"\nsigned = true";
    home.partner("theirs", &PartnerFile { url: receiver.url.clone(), mdn, ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    home.submit("theirs", "later.xml", XML);
    assert_eq!(gateway.wait_for("theirs", "sent", "later.xml"), XML);
    gateway.wait_for("theirs", "receipts", "later.xml.mdn");
    assert_eq!(receiver.received().len(), 1);
}

#[test]
fn a_message_whose_answer_was_lost_is_sent_again_as_the_same_message() {
    for fault in ["status-500", "drop-mdn"] {
        let receiver = Receiver::start(&["theirs"], &["--detect-duplicates", "--fault", fault]);
        let home = Home::ours();
        home.partner("theirs", &PartnerFile { url: receiver.url.clone(), ..PartnerFile::default() });
        let gateway = Gateway::start(&home);
        home.submit("theirs", "again.xml", XML);
        assert_eq!(gateway.wait_for("theirs", "sent", "again.xml"), XML, "{fault}");
        let received = receiver.received();
        assert_eq!(received.iter().filter(|one| one["payload"].is_string()).count(), 1, "{fault}: {received:#?}");
        let first = &received[0]["message_id"];
        assert!(received.iter().all(|one| one["message_id"] == *first), "{fault}: {received:#?}");
    }
}

#[test]
fn a_message_that_was_not_answered_at_all_is_held_when_pyas2_calls_it_a_duplicate() {
    let receiver = Receiver::start(&["theirs"], &["--detect-duplicates", "--fault", "drop"]);
    let home = Home::ours();
    home.partner("theirs", &PartnerFile { url: receiver.url.clone(), ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    home.submit("theirs", "once.xml", XML);
    let message = eventually("held", || {
        let message = first_message(&gateway.api("/api/v1/messages?name=once.xml")).clone();
        (message["state"] == "held").then_some(message)
    });
    assert_eq!((&message["attempts"], receiver.received().len()), (&2.into(), 2), "{message:#}");
    assert_eq!(gateway.api("/api/v1/alerts")["alerts"][0]["code"], "mdn-duplicate-unproven");
    assert_eq!(home.names("theirs", "sent"), Vec::<String>::new());
}

#[test]
fn a_receipt_that_proves_nothing_or_says_no_is_not_a_delivery() {
    for fault in ["wrong-mic", "unsigned-mdn", "negative"] {
        let receiver = Receiver::start(&["theirs"], &["--fault", fault, "--fault-count", "1000"]);
        let home = Home::ours();
        let delivery = "retry = [\"1s\"]\ngive_up_after = \"3s\"\njitter = 0.0";
        home.partner("theirs", &PartnerFile { url: receiver.url.clone(), delivery, ..PartnerFile::default() });
        let gateway = Gateway::start(&home);
        home.submit("theirs", "no.xml", XML);
        let state = eventually("the message comes to rest", || {
            let page = gateway.api("/api/v1/messages?name=no.xml");
            let state = first_message(&page)["state"].as_str()?.to_owned();
            ["failed", "held"].contains(&state.as_str()).then_some(state)
        });
        assert_eq!(home.names("theirs", "sent"), Vec::<String>::new(), "{fault}: {state}");
        if state == "failed" {
            assert_eq!(gateway.wait_for("theirs", "failed", "no.xml"), XML, "{fault}");
            gateway.wait_for("theirs", "failed", "no.xml.error.json");
        }
    }
}

#[test]
fn we_accept_what_pyas2_sends_and_it_accepts_our_signed_receipts() {
    let home = Home::ours();
    let mdn_port = free_port().to_string();
    let accept =
        format!("signature = false\nencryption = false\nasync_mdn_urls = [\"http://127.0.0.1:{mdn_port}/mdn\"]");
    home.partner("theirs", &PartnerFile { accept: &accept, ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    let options: &[&[&str]] = &[
        &[],
        &["--sign"],
        &["--sign", "--digest", "sha512", "--mdn-digest", "sha512"],
        // Without the parameters that RFC 4055 3.1 demands.
        &["--sign", "--signature", "rsassa_pss"],
        &["--sign", "--signature", "rsassa_pss", "--digest", "sha512", "--mdn-digest", "sha512", "--encrypt"],
        &["--encrypt"],
        &["--encrypt", "--cipher", "aes_128_cbc"],
        &["--sign", "--encrypt"],
        &["--compress"],
        &["--sign", "--compress"],
        &["--sign", "--encrypt", "--compress"],
        &["--sign", "--encrypt", "--compress", "--async-mdn", "--mdn-port", &mdn_port],
    ];
    let folder = tempfile::tempdir().unwrap();
    for (number, options) in options.iter().enumerate() {
        for (kind, content_type, content) in
            [("xml", "application/xml", XML.to_vec()), ("bin", "application/octet-stream", binary())]
        {
            let file = folder.path().join("payload");
            fs::write(&file, &content).unwrap();
            let name = format!("{number}.{kind}");
            let mut all = vec!["--file-name", &name, "--content-type", content_type];
            all.extend_from_slice(options);
            let result = Sender::to(&home.url()).send(&file, &all);
            let case = format!("{options:?} {kind}: {result:#}\n{}", gateway.log());
            assert_eq!(result["status"], "processed", "{case}");
            assert_eq!(result["mdn_signed"], true, "{case}");
            let mic = result["mic_received"].as_str().unwrap_or_default();
            assert!(!mic.is_empty(), "a signed receipt carries a MIC: {case}");
            if let Some(sent) = result["mic_sent"].as_str() {
                assert_eq!(mic.split(',').next(), Some(sent), "{case}");
            }
            assert_eq!(gateway.wait_for("theirs", "inbox", &name), content, "{case}");
            let meta = gateway.wait_for("theirs", "inbox", &format!("{name}.meta.json"));
            assert!(serde_json::from_slice::<Value>(&meta).is_ok());
        }
    }
    assert_eq!(home.names("theirs", "inbox").len(), options.len() * 2 * 2, "payload and meta of each, once");
}

#[test]
fn a_message_that_pyas2_sends_twice_arrives_once_and_gets_the_same_receipt() {
    let home = Home::ours();
    home.partner("theirs", &PartnerFile::default());
    let gateway = Gateway::start(&home);
    let (_folder, file) = payload_file(XML);
    let options = ["--sign", "--message-id", "once", "--file-name", "once.xml"];
    let first = Sender::to(&home.url()).send(&file, &options);
    let second = Sender::to(&home.url()).send(&file, &options);
    assert_eq!(first["status"], "processed", "{first:#}\n{}", gateway.log());
    assert!(["processed", "processed/warning"].contains(&second["status"].as_str().unwrap().to_lowercase().as_str()));
    gateway.wait_for("theirs", "inbox", "once.xml");
    let payloads = home.names("theirs", "inbox").into_iter().filter(|name| !name.ends_with(".meta.json")).count();
    assert_eq!(payloads, 1);
}

#[test]
fn what_the_agreement_does_not_allow_is_refused_with_a_signed_receipt() {
    let home = Home::ours();
    home.partner("theirs", &PartnerFile { accept: "signature = true\nencryption = true", ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    let (_folder, file) = payload_file(XML);
    let url = home.url();
    let honest = Sender::to(&url);
    let impostor = Sender { party: keys::stranger(), ..Sender::to(&url) };
    let misled = Sender { partner: keys::stranger(), ..Sender::to(&url) };
    // In the clear the reason is told. Inside an envelope that anybody could have made, every failure looks alike:
    // otherwise the answers would help to decrypt intercepted messages.
    let insufficient = "insufficient-message-security";
    let uniform = "decryption-failed";
    let cases = [
        ("plain", honest.send(&file, &[]), insufficient),
        ("unencrypted", honest.send(&file, &["--sign"]), insufficient),
        ("unsigned in an envelope", honest.send(&file, &["--encrypt"]), uniform),
        ("other signer in an envelope", impostor.send(&file, &["--sign", "--encrypt"]), uniform),
        ("other recipient", misled.send(&file, &["--sign", "--encrypt"]), uniform),
    ];
    for (case, result, reason) in cases {
        let told = result["disposition"].as_str().unwrap_or_default();
        assert!(told.ends_with(&format!("processed/error: {reason}")), "{case}: {result:#}\n{}", gateway.log());
        assert_eq!(result["http_status"], 200, "{case}: the transfer itself succeeded");
        assert_eq!(result["mdn_signed"], true, "{case}");
        if reason == uniform {
            assert_eq!(result["mic_received"], Value::Null, "{case}: a digest would tell what was decrypted");
            continue;
        }
        let mic = result["mic_received"].as_str().unwrap_or_default();
        assert!(!mic.is_empty(), "{case}: a signed receipt carries a MIC");
        if let Some(sent) = result["mic_sent"].as_str() {
            assert_eq!(mic.split(',').next(), Some(sent), "{case}");
        }
    }
    let accepted = honest.send(&file, &["--sign", "--encrypt", "--file-name", "good.xml"]);
    assert_eq!(accepted["status"], "processed", "{accepted:#}\n{}", gateway.log());
    gateway.wait_for("theirs", "inbox", "good.xml");
    assert_eq!(home.names("theirs", "inbox"), ["good.xml", "good.xml.meta.json"]);
}

/// The first message of an answer of `/api/v1/messages`, whether it is a list or an object that holds one.
fn first_message(page: &Value) -> &Value {
    let list = page.as_array().or_else(|| page["messages"].as_array()).or_else(|| page["items"].as_array());
    list.and_then(|list| list.first()).unwrap_or(&Value::Null)
}

fn payload_file(content: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("payload");
    fs::write(&file, content).unwrap();
    (folder, file)
}

fn payloads() -> [(&'static str, Vec<u8>); 2] {
    [("order.xml", XML.to_vec()), ("picture.bin", binary())]
}

/// CRLF lines: what pyas2lib makes of any other line end is its own business.
const XML: &[u8] =
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<order>\r\n  <name>跨境电商</name>\r\n</order>\r\n".as_bytes();

/// Every byte value, bare CR and LF, a line that looks like a boundary; long enough for several reads.
fn binary() -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..=255).collect();
    bytes.extend_from_slice(b"\r\r\n\n--boundary\r\n--\r\n\0");
    bytes.repeat(600)
}
