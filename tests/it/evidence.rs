//! Evidence bundles: the commands of their own README verify them, with `openssl` and `sha256sum` and nothing of ours, and
//! one changed byte anywhere makes a command fail.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dxgate::cms::{self, DigestAlgorithm, SignatureScheme, der, oid};
use jiff::Timestamp;
use serde_json::Value;

use crate::evidence_forged::fresh_sums;
use crate::support::gateway::{Gateway, dxgate};
use crate::support::home::{Home, PartnerFile, Station, names};
use crate::support::{correspondent, eventually, http, keys};

/// Agreement and MDN.
const ROWS: [(&str, &str); 6] = [
    ("sign = \"rsa-pkcs1\"\nencrypt = \"aes256-cbc\"\nkey_transport = \"rsa-pkcs1\"", SYNC),
    ("sign = \"rsa-pss\"\ndigest = \"sha-512\"\nencrypt = \"aes256-gcm\"\nkey_transport = \"rsa-oaep-sha256\"", ASYNC),
    ("sign = \"rsa-pkcs1\"\nencrypt = \"aes128-cbc\"\ncompress = \"before-signing\"", SYNC),
    ("sign = \"rsa-pkcs1\"\nencrypt = \"none\"\ncompress = \"after-signing\"", ASYNC),
    ("sign = \"none\"\nencrypt = \"aes256-cbc\"", SYNC),
    ("sign = \"sm2\"\nencrypt = \"sm4-cbc\"\ncompress = \"before-signing\"", ASYNC),
];
pub const SYNC: &str = "mode = \"sync\"\nsigned = true";
const ASYNC: &str = "mode = \"async\"\nsigned = true";

#[test]
fn every_command_of_a_bundles_readme_holds_and_one_changed_byte_makes_one_fail() {
    let wanted: usize = std::env::var("DXGATE_EVIDENCE_EXPORTS").map_or(10, |count| count.parse().unwrap());
    let files = wanted.div_ceil(2 * ROWS.len());
    for (agreement, mdn) in ROWS {
        let (left, right) = homes(agreement, mdn);
        let (sender, receiver) = (Gateway::start(&left), Gateway::start(&right));
        for number in 0..files {
            let name = format!("{number}.bin");
            // Not text, with line ends of all kinds: nothing may be canonicalised on the way.
            let payload: Vec<u8> =
                (0..3000u32).flat_map(|n| [(n * 7 + number as u32) as u8, b'\r', b'\n', b'\n']).collect();
            left.submit("right", &name, &payload);
            sender.wait_for("right", "sent", &name);
            receiver.wait_for("left", "inbox", &name);
            for (gateway, direction) in [(&sender, "outbound"), (&receiver, "inbound")] {
                let what = format!("{agreement} {mdn} {direction}");
                let id = settled(gateway, direction, &name);
                let bundle = gateway.home.path(&format!("evidence-{number}-{direction}"));
                let said = command(gateway.home, &["messages", "export", &id, "--out", bundle.to_str().unwrap()]);
                assert!(said.0, "{what}: {}", said.1);
                judge(&bundle, &payload, &what, agreement);
            }
        }
    }
}

#[test]
fn what_is_exported_and_verified_of_a_stopped_gateway_is_the_same() {
    let (left, right) = homes(ROWS[0].0, SYNC);
    let (sender, _receiver) = (Gateway::start(&left), Gateway::start(&right));
    left.submit("right", "order.xml", b"<order/>");
    sender.wait_for("right", "sent", "order.xml");
    let id = settled(&sender, "outbound", "order.xml");
    let [running, stopped] = ["running", "stopped"].map(|name| left.path(name));
    for arguments in
        [vec!["verify", "--all"], vec!["verify", &id], vec!["export", &id, "--out", running.to_str().unwrap()]]
    {
        let said = command(&left, &[&["messages"], &arguments[..]].concat());
        assert!(said.0, "{arguments:?}: {}", said.1);
    }
    assert!(sender.stop().success());
    for arguments in
        [vec!["verify", "--all"], vec!["verify", &id], vec!["export", &id, "--out", stopped.to_str().unwrap()]]
    {
        let said = command(&left, &[&["messages"], &arguments[..]].concat());
        assert!(said.0, "{arguments:?}: {}", said.1);
    }
    for name in names(&running).into_iter().filter(|name| running.join(name).is_file()) {
        if !name.starts_with("SHA256SUMS")
            && !["README.md", "message.json", "facts.json", "chain.json"].contains(&name.as_str())
        {
            assert!(fs::read(running.join(&name)).unwrap() == fs::read(stopped.join(&name)).unwrap(), "{name}");
        }
    }

    let segment = left.path("data/journal/00000000000000000001.log");
    let mut bytes = fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let output = dxgate().args(["messages", "verify", "--all", "--config"]).arg(left.config()).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "damage is a no");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("00000000000000000001.log") && said.contains("offset"), "the place is told: {said}");
}

/// The README's commands hold; after a flip in any one file at least one of them does not.
fn judge(bundle: &Path, payload: &[u8], what: &str, agreement: &str) {
    assert_eq!(fs::read(bundle.join("payload.bin")).unwrap(), payload, "{what}");
    let commands = commands(bundle);
    let signed = !agreement.contains("sign = \"none\"");
    let kind = if agreement.contains("sm2") { "attributes" } else { "p7s" };
    let (of_message, of_mdn) = (format!("-in signature.{kind}"), format!("-in mdn-signature.{kind}"));
    for (needed, part) in [(true, of_mdn.as_str()), (signed, &of_message), (true, "cmp - mic.txt"), (true, "grep -qF")]
    {
        assert_eq!(commands.iter().any(|command| command.contains(part)), needed, "{what}: {part}: {commands:#?}");
    }
    for command in &commands {
        let (holds, said) = shell(bundle, command);
        assert!(holds, "{what}: {command}: {said}");
    }
    assert!(dxgate().args(["messages", "verify"]).arg(bundle).output().unwrap().status.success(), "{what}");
    for (number, file) in files(bundle).into_iter().enumerate() {
        let good = fs::read(&file).unwrap();
        let mut bad = good.clone();
        let Some(place) = (number * 7919 + good.len() / 2).checked_rem(good.len()) else { continue };
        // In letters this changes the case: what is hex must be compared exactly.
        bad[place] ^= 0x20;
        fs::write(&file, &bad).unwrap();
        let fails = commands.iter().any(|command| !shell(bundle, command).0);
        assert!(fails, "{what}: byte {place} of {} changed and every command holds", file.display());
        let verdict = dxgate().args(["messages", "verify"]).arg(bundle).output().unwrap();
        assert_eq!(verdict.status.code(), Some(1), "{what}: {}", file.display());
        fs::write(&file, &good).unwrap();
        let _ = fs::remove_file(bundle.join("verified.tmp"));
    }
    // The same with sums that anybody can make: another payload is not the one that travelled.
    fs::write(bundle.join("payload.bin"), [payload, b"!"].concat()).unwrap();
    fresh_sums(bundle);
    let verdict = dxgate().args(["messages", "verify"]).arg(bundle).output().unwrap();
    assert_eq!(verdict.status.code(), Some(1), "{what}: {}", String::from_utf8_lossy(&verdict.stdout));
}

/// What stands in the `sh` blocks of the README, literally.
fn commands(bundle: &Path) -> Vec<String> {
    let text = fs::read_to_string(bundle.join("README.md")).unwrap();
    text.split("```sh\n").skip(1).map(|block| block.split("\n```").next().unwrap().to_owned()).collect()
}

fn shell(folder: &Path, command: &str) -> (bool, String) {
    let output = Command::new("bash").args(["-o", "pipefail", "-c", command]).current_dir(folder).output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() { found.extend(files(&entry)) } else { found.push(entry) }
    }
    found.sort();
    found
}

/// The id of a message once it and its MDN are settled.
pub fn settled(gateway: &Gateway<'_>, direction: &str, name: &str) -> String {
    eventually(&format!("{name} is settled, {direction}"), || {
        let list = gateway.api(&format!("/api/v1/messages?direction={direction}&name={name}"));
        let line = list["messages"]
            .as_array()?
            .iter()
            .find(|line| line["kind"] == "payload" && line["file_name"] == name)?
            .clone();
        let id = line["id"].as_str()?.to_owned();
        let detail = gateway.api(&format!("/api/v1/messages/{id}"));
        (detail["final"] == true && detail["receipt"] != Value::Null).then_some(id)
    })
}

pub fn command(home: &Home, arguments: &[&str]) -> (bool, String) {
    let output = dxgate().args(arguments).arg("--config").arg(home.config()).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

pub fn homes(agreement: &str, mdn: &str) -> (Home, Home) {
    let sm2 = agreement.contains("sm2");
    let (ours, theirs) = if sm2 { (keys::sm2_ours(), keys::sm2_theirs()) } else { (keys::ours(), keys::theirs()) };
    let left = Home::of(&Station { as2_name: "ours", party: ours, more: "" });
    let right = Home::of(&Station { as2_name: "theirs", party: theirs, more: "" });
    left.partner("right", &PartnerFile { url: right.url(), party: theirs, agreement, mdn, ..PartnerFile::default() });
    let usual = PartnerFile::default().agreement;
    let back = if sm2 { agreement } else { usual };
    let back =
        PartnerFile { as2_name: "ours", url: left.url(), party: ours, agreement: back, ..PartnerFile::default() };
    right.partner("left", &back);
    (left, right)
}

/// The same values; RSASSA-PSS is named among them without parameters, as pyas2lib does it.
fn without_parameters(values: &[u8]) -> Vec<u8> {
    let pss = der::object_identifier(oid::RSASSA_PSS);
    let (mut fields, mut out) = (der::Fields::new(values), Vec::new());
    while let Some(value) = fields.take().unwrap() {
        let content = match value.tag & 0x20 {
            0 => value.content.to_vec(),
            _ if value.content.starts_with(&pss) => pss.clone(),
            _ => without_parameters(value.content),
        };
        out.extend(der::tlv(value.tag, &content));
    }
    out
}

const PART: &[u8] = b"Content-Type: application/xml\r\nContent-Disposition: attachment; filename=o.xml\r\n\r\n<o/>";

/// The README of what is kept of [`PART`] with this signature of theirs verifies it.
fn is_verified_by_the_readme(signature: &[u8]) {
    let home = Home::ours();
    home.partner("theirs", &PartnerFile { accept: "signature = true\nencryption = false", ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    let head = b"\r\n--sep\r\nContent-Type: application/pkcs7-signature\r\n\r\n";
    let body = [b"--sep\r\n", PART, head, signature, b"\r\n--sep--\r\n"].concat();
    let fields = "AS2-Version: 1.2\r\nAS2-From: theirs\r\nAS2-To: ours\r\nMessage-ID: <pss@theirs>\r\n\
                  Disposition-Notification-To: theirs\r\nContent-Type: multipart/signed; \
                  protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=sep\r\n";
    let answer = http::post(home.as2, "/as2", fields, &body).unwrap();
    assert!(answer.text().contains("; processed\r\n"), "{}", answer.text());
    gateway.wait_for("theirs", "inbox", "o.xml");
    let (id, bundle) = (settled(&gateway, "inbound", "o.xml"), home.path("bundle"));
    let said = command(&home, &["messages", "export", &id, "--out", bundle.to_str().unwrap()]);
    assert!(said.0, "{}", said.1);
    for command in commands(&bundle) {
        let (holds, said) = shell(&bundle, &command);
        assert!(holds, "{command}: {said}");
    }
}

#[test]
fn a_signature_that_openssl_cms_refuses_is_verified_by_the_readme_all_the_same() {
    let (digest, key) = (DigestAlgorithm::Sha256, correspondent::signing(keys::theirs()).key);
    let (of, scheme) = (digest.digest(PART), SignatureScheme::RsaPss);
    let signature = cms::sign_detached(digest, &of, &key, scheme, Timestamp::now(), true).unwrap();
    is_verified_by_the_readme(&without_parameters(&signature));
}

#[test]
fn a_signature_without_attributes_that_openssl_cms_refuses_is_verified_by_the_readme_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let part = folder.path().join("part");
    fs::write(&part, PART).unwrap();
    let mut sign = Command::new("openssl");
    sign.args(["cms", "-sign", "-binary", "-noattr", "-nocerts", "-md", "sha256", "-outform", "DER", "-signer"]);
    sign.arg(&keys::theirs().certificate_file).arg("-inkey").arg(&keys::theirs().key_file);
    let signed = sign.args(["-keyopt", "rsa_padding_mode:pss", "-in"]).arg(part).output().unwrap();
    assert!(signed.status.success(), "{}", String::from_utf8_lossy(&signed.stderr));
    is_verified_by_the_readme(&without_parameters(&signed.stdout));
}

#[test]
fn however_many_ask_for_it_at_a_time_messages_are_taken_apart_one_after_the_other() {
    let (left, right) = homes(ROWS[0].0, SYNC);
    let aside = left.path("aside");
    fs::create_dir(&aside).unwrap();
    let mut program = dxgate();
    program.env("TMPDIR", &aside);
    let mut sender = Gateway::spawn_by(&left, program);
    sender.wait_ready();
    let _receiver = Gateway::start(&right);
    left.submit("right", "long.bin", &vec![7u8; 4 << 20]);
    sender.wait_for("right", "sent", "long.bin");
    let id = settled(&sender, "outbound", "long.bin");
    let (path, bearer) = (format!("/api/v1/messages/{id}/verify"), left.token().unwrap());
    let headers = format!("Content-Type: application/json\r\nAuthorization: Bearer {bearer}\r\n");
    let ask = || http::post(left.console, &path, &headers, b"{}").unwrap().status;
    let most = std::thread::scope(|scope| {
        let asking: Vec<_> = (0..6).map(|_| scope.spawn(ask)).collect();
        let mut most = 0;
        while asking.iter().any(|one| !one.is_finished()) {
            most = most.max(fs::read_dir(&aside).unwrap().count());
            std::thread::yield_now();
        }
        assert!(asking.into_iter().all(|one| one.join().unwrap() == 200));
        most
    });
    assert_eq!(most, 1);
}
