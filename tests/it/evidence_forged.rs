//! Evidence that somebody put together of what does not belong together, with fresh sums: it does not hold. Whatever export
//! writes of a real message does.

use std::fs;
use std::path::{Path, PathBuf};

use dxgate::as2::Mic;
use dxgate::cms::DigestAlgorithm;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::evidence::{SYNC, command, files, homes, settled};
use crate::support::correspondent::{Kind, acknowledge};
use crate::support::gateway::{Gateway, dxgate};
use crate::support::home::{Home, PartnerFile, Station, change};
use crate::support::scripted::{Posted, Scripted, answer};
use crate::support::{eventually, keys};

const ORDER: &[u8] = b"<order/>\n";
const USUAL: &str = "sign = \"rsa-pkcs1\"\nencrypt = \"aes256-cbc\"\nkey_transport = \"rsa-pkcs1\"";
const UNSIGNED: &str = "sign = \"none\"\nencrypt = \"aes256-cbc\"";

/// Exit code and what was said of a bundle.
fn verdict(bundle: &Path) -> (Option<i32>, String) {
    let output = dxgate().args(["messages", "verify"]).arg(bundle).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Anybody can make the sums anew.
pub fn fresh_sums(bundle: &Path) {
    let mut sums = String::new();
    for file in files(bundle) {
        let name = file.strip_prefix(bundle).unwrap().to_str().unwrap();
        if !name.starts_with("SHA256SUMS") {
            sums.push_str(&format!("{}  {name}\n", hex(&fs::read(&file).unwrap())));
        }
    }
    fs::write(bundle.join("SHA256SUMS"), &sums).unwrap();
    fs::write(bundle.join("SHA256SUMS.sha256"), hex(sums.as_bytes())).unwrap();
}

fn export(home: &Home, id: &str, name: &str) -> PathBuf {
    let bundle = home.path(name);
    let said = command(home, &["messages", "export", id, "--out", bundle.to_str().unwrap()]);
    assert!(said.0, "{name}: {}", said.1);
    bundle
}

/// `from` as a new folder.
fn copy(from: &Path, name: &str) -> PathBuf {
    let to = from.with_file_name(name);
    for file in files(from) {
        let place = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::copy(&file, place).unwrap();
    }
    to
}

#[test]
fn what_does_not_belong_together_does_not_hold_whatever_its_sums_say() {
    let (left, right) = homes(USUAL, SYNC);
    let (sender, _receiver) = (Gateway::start(&left), Gateway::start(&right));
    let [a, b] = ["a.xml", "b.xml"].map(|name| {
        left.submit("right", name, format!("<{name}/>").as_bytes());
        sender.wait_for("right", "sent", name);
        export(&left, &settled(&sender, "outbound", name), name)
    });
    for bundle in [&a, &b] {
        let (code, said) = verdict(bundle);
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("message: signed, holds; MDN: signed, holds"), "{said}");
        assert!(said.contains("confirms the content"), "{said}");
    }

    let other_payload = copy(&b, "other-payload");
    fs::copy(a.join("payload.bin"), other_payload.join("payload.bin")).unwrap();
    fresh_sums(&other_payload);
    let (code, said) = verdict(&other_payload);
    assert!(code == Some(1) && said.contains("payload.bin: "), "{said}");

    let other_mdn = copy(&b, "other-mdn");
    for file in ["mdn.http", "mdn-content.bin", "mdn-signature.p7s", "certificates/mdn-signer.pem"] {
        fs::copy(a.join(file), other_mdn.join(file)).unwrap();
    }
    fresh_sums(&other_mdn);
    let (code, said) = verdict(&other_mdn);
    assert!(code == Some(1) && said.contains("about another message"), "{said}");
    assert!(said.contains("mic.txt: ") && said.contains("does not confirm"), "{said}");
    let [id_a, id_b] = [&a, &b].map(|bundle| {
        let message: Value = serde_json::from_slice(&fs::read(bundle.join("message.json")).unwrap()).unwrap();
        message["message_id"].as_str().unwrap().to_owned()
    });
    change(&other_mdn.join("message.json"), &id_b, &id_a);
    fresh_sums(&other_mdn);
    let (code, said) = verdict(&other_mdn);
    assert!(code == Some(1) && said.contains("mic.txt: "), "{said}");
    fs::remove_file(other_mdn.join("mic.txt")).unwrap();
    fresh_sums(&other_mdn);
    let (code, said) = verdict(&other_mdn);
    assert!(code == Some(1) && said.contains("mdn-content.bin: ") && said.contains("does not confirm"), "{said}");

    let unsigned = copy(&b, "unsigned");
    for file in ["signature.p7s", "certificates/signer.pem"] {
        fs::remove_file(unsigned.join(file)).unwrap();
    }
    fresh_sums(&unsigned);
    let (code, said) = verdict(&unsigned);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("message: not signed; MDN: signed, holds"), "{said}");

    // What the partner signed, but as a message.
    let no_mdn = copy(&b, "no-mdn");
    fs::copy(b.join("content.bin"), no_mdn.join("mdn-content.bin")).unwrap();
    fs::copy(b.join("signature.p7s"), no_mdn.join("mdn-signature.p7s")).unwrap();
    fs::copy(b.join("certificates/signer.pem"), no_mdn.join("certificates/mdn-signer.pem")).unwrap();
    fresh_sums(&no_mdn);
    let (code, said) = verdict(&no_mdn);
    assert!(code == Some(1) && said.contains("it is no MDN"), "{said}");
}

/// What was agreed and asked for, what the partner answers, the state it leads to, and what is said of its MDN.
type Row = (&'static str, &'static str, &'static str, fn(&Posted) -> Vec<u8>, &'static str, &'static str);

const UNSIGNED_MDN: &str = "mode = \"sync\"\nsigned = false";
const REFUSED: &str = "automatic-action/MDN-sent-automatically; failed/failure: unsupported format";

fn body_only() -> Option<Mic> {
    let value = Sha256::digest(ORDER).to_vec();
    Some(Mic { algorithm: DigestAlgorithm::Sha256, value })
}

const ROWS: &[Row] = &[
    ("usual", USUAL, SYNC, |posted| acknowledge(posted, Kind::default()), "delivered", "confirms the content"),
    (
        "compressed, and shorter than its header fields",
        "sign = \"rsa-pkcs1\"\nencrypt = \"aes128-cbc\"\ncompress = \"before-signing\"",
        SYNC,
        |posted| acknowledge(posted, Kind::default()),
        "delivered",
        "confirms the content",
    ),
    (
        "negative",
        USUAL,
        SYNC,
        |posted| acknowledge(posted, Kind { disposition: REFUSED, without_mic: true, ..Kind::default() }),
        "failed",
        "carries no MIC",
    ),
    (
        "negative with its MIC",
        USUAL,
        SYNC,
        |posted| acknowledge(posted, Kind { disposition: REFUSED, ..Kind::default() }),
        "failed",
        "confirms the content",
    ),
    (
        "without MIC",
        UNSIGNED,
        SYNC,
        |posted| acknowledge(posted, Kind { without_mic: true, ..Kind::default() }),
        "delivered",
        "carries no MIC",
    ),
    (
        "MIC of the body alone",
        UNSIGNED,
        SYNC,
        |posted| acknowledge(posted, Kind { mic: body_only(), ..Kind::default() }),
        "delivered",
        "is not the digest of the content",
    ),
    (
        "unsigned MDN",
        USUAL,
        UNSIGNED_MDN,
        |posted| acknowledge(posted, Kind { signer: None, ..Kind::default() }),
        "delivered",
        "MDN: not signed",
    ),
    ("no MDN", USUAL, "mode = \"none\"", |_| answer(200, "", b""), "delivered", "MDN: not signed"),
    (
        "nothing agreed",
        "sign = \"none\"\nencrypt = \"none\"",
        SYNC,
        |posted| acknowledge(posted, Kind::default()),
        "delivered",
        "message: not signed; MDN: signed, holds",
    ),
];

#[test]
fn evidence_of_a_real_message_holds_whatever_its_mdn_says() {
    for (name, agreement, mdn, answers, state, told) in ROWS {
        let peer = Scripted::start(|_, posted| Some(answers(posted)));
        let home = Home::ours();
        home.partner("theirs", &PartnerFile { url: peer.url(), agreement, mdn, ..PartnerFile::default() });
        let gateway = Gateway::start(&home);
        home.submit("theirs", "order.xml", ORDER);
        let message = eventually(name, || {
            let list = gateway.api("/api/v1/messages?direction=outbound");
            list["messages"].as_array()?.iter().find(|line| line["final"] == true).cloned()
        });
        assert_eq!(message["state"], *state, "{name}: {message:#}");
        let bundle = export(&home, message["id"].as_str().unwrap(), "bundle");
        let (code, said) = verdict(&bundle);
        assert_eq!(code, Some(0), "{name}: {said}");
        assert!(said.contains(told), "{name}: {said}");
    }
}

#[test]
fn what_was_sent_is_exported_although_it_is_more_than_the_limits_of_today_allow() {
    let left = Home::of(&Station { as2_name: "ours", party: keys::ours(), more: "[limits]\nfree_space_floor = 0\n" });
    let more = "[limits]\nfree_space_floor = 0\ninflate_ratio = 1100\n";
    let right = Home::of(&Station { as2_name: "theirs", party: keys::theirs(), more });
    let agreement = "sign = \"rsa-pkcs1\"\nencrypt = \"aes128-cbc\"\ncompress = \"before-signing\"";
    left.partner("right", &PartnerFile { url: right.url(), agreement, ..PartnerFile::default() });
    let back = PartnerFile { as2_name: "ours", url: left.url(), party: keys::ours(), ..PartnerFile::default() };
    right.partner("left", &back);
    let (sender, receiver) = (Gateway::start(&left), Gateway::start(&right));
    // So regular that it is compressed more than 200 times.
    let payload = vec![b' '; 12 * 1024 * 1024];
    left.submit("right", "order.xml", &payload);
    sender.wait_for("right", "sent", "order.xml");
    receiver.wait_for("left", "inbox", "order.xml");
    let id = settled(&sender, "outbound", "order.xml");
    let dense = export(&left, &id, "dense");
    let there = settled(&receiver, "inbound", "order.xml");
    for (gateway, home) in [(sender, &left), (receiver, &right)] {
        assert!(gateway.stop().success());
        change(&home.config(), "[limits]\n", "[limits]\npayload = \"64KiB\"\n");
    }
    change(&right.config(), "inflate_ratio = 1100\n", "");
    let lowered = export(&left, &id, "lowered");
    let received = export(&right, &there, "received");
    for bundle in [dense, lowered, received] {
        assert!(fs::read(bundle.join("payload.bin")).unwrap() == payload, "{}", bundle.display());
        let (code, said) = verdict(&bundle);
        assert_eq!(code, Some(0), "{said}");
    }
}
