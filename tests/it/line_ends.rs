//! Signatures over another form of the text than what travels: accepted as what was signed, and evidence of that.

use std::fs;
use std::path::Path;

use dxgate::as2::SendPlan;
use dxgate::cms::{self, DigestAlgorithm, SignatureScheme};
use jiff::Timestamp;

use crate::support::correspondent::{self, Kind, receipt_for, receipt_in, signing};
use crate::support::eventually;
use crate::support::gateway::{Gateway, dxgate};
use crate::support::home::{Home, PartnerFile};
use crate::support::scripted::{self, Scripted};
use crate::support::{http, keys};

/// multipart/signed by `theirs` that shows `part` and signs `signed`: its Content-Type and body.
fn signed_parts(part: &[u8], signed: &[u8]) -> (String, Vec<u8>) {
    signed_parts_by(keys::theirs(), part, signed)
}

fn signed_parts_by(party: &keys::Party, part: &[u8], signed: &[u8]) -> (String, Vec<u8>) {
    let (digest, key) = (DigestAlgorithm::Sha256, signing(party).key);
    let scheme = SignatureScheme::RsaPkcs1;
    let signature = cms::sign_detached(digest, &digest.digest(signed), &key, scheme, Timestamp::now(), true).unwrap();
    let head = b"\r\n--sep\r\nContent-Type: application/pkcs7-signature\r\n\r\n";
    let body = [b"--sep\r\n".as_slice(), part, head, &signature, b"\r\n--sep--\r\n"].concat();
    let protocol = "protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=sep";
    (format!("multipart/signed; {protocol}"), body)
}

/// The header fields of a message with a body of this type.
fn fields(message_id: &str, content_type: &str) -> String {
    let plan = SendPlan { signing: None, encryption: None, file_name: None, ..correspondent::plan() };
    let fields = correspondent::letter(&plan, message_id, b"").headers;
    let fields: String =
        fields.lines().filter(|line| !line.starts_with("Content-")).map(|line| format!("{line}\r\n")).collect();
    format!("{fields}Content-Type: {content_type}\r\n")
}

/// The only message of a gateway, exported: the folder of its bundle.
fn exported(gateway: &Gateway<'_>) -> std::path::PathBuf {
    let id = eventually("the message is settled", || {
        let message = gateway.api("/api/v1/messages")["messages"].get(0)?.clone();
        let id = message["id"].as_str()?.to_owned();
        gateway.api(&format!("/api/v1/messages/{id}"))["final"].as_bool()?.then_some(id)
    });
    let bundle = gateway.home.path("bundle");
    let export = dxgate()
        .args(["messages", "export", &id, "--out"])
        .arg(&bundle)
        .arg("--config")
        .arg(gateway.home.config())
        .output();
    let export = export.unwrap();
    assert!(export.status.success(), "{}", String::from_utf8_lossy(&export.stderr));
    assert!(dxgate().args(["messages", "verify"]).arg(&bundle).output().unwrap().status.success());
    bundle
}

fn read(bundle: &Path, name: &str) -> String {
    fs::read_to_string(bundle.join(name)).unwrap()
}

#[test]
fn text_that_was_signed_in_canonical_lines_is_delivered_in_them_and_confirmed() {
    let home = Home::ours();
    home.partner("theirs", &PartnerFile { accept: "signature = true\nencryption = false", ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    let part =
        "Content-Type: application/EDIFACT\nContent-Disposition: attachment; filename=o.edi\n\nUNB+1\'\nUNZ+1\'\n";
    let canonical = part.replace('\n', "\r\n");
    let (content_type, body) = signed_parts(part.as_bytes(), canonical.as_bytes());
    let fields = fields("<lines@theirs>", &content_type);
    let answer = http::post(home.as2, "/as2", &fields, &body).unwrap();
    let receipt = receipt_in(&answer);
    assert!(receipt.disposition.is_positive(), "{}\n{}", answer.text(), gateway.log());
    assert_eq!(receipt.mic.unwrap().value, DigestAlgorithm::Sha256.digest(canonical.as_bytes()));
    assert_eq!(gateway.wait_for("theirs", "inbox", "o.edi"), b"UNB+1\'\r\nUNZ+1\'\r\n");
    assert!(gateway.log().contains("signature-canonical-lines"), "{}", gateway.log());
    let bundle = exported(&gateway);
    assert_eq!(read(&bundle, "content.bin"), canonical, "what the signature in the bundle is over");

    let at = body.windows(5).position(|window| window == b"UNB+1").unwrap();
    let mut altered = body;
    altered[at + 4] = b'2';
    let answer = http::post(home.as2, "/as2", &fields.replace("<lines@", "<altered@"), &altered).unwrap();
    assert!(receipt_in(&answer).disposition.says("integrity-check-failed"), "{}", answer.text());
}

#[test]
fn a_stranger_who_signs_canonical_lines_is_called_a_stranger_and_taken_as_agreed() {
    let home = Home::ours();
    let part = "Content-Type: application/EDIFACT\n\nUNB+1'\nUNZ+1'\n";
    let (content_type, body) =
        signed_parts_by(keys::stranger(), part.as_bytes(), part.replace('\n', "\r\n").as_bytes());
    for (accept, told) in [
        ("signature = true\nencryption = false", "processed/error: authentication-failed"),
        (
            "signature = false\nencryption = false\nunknown_signer = \"warning\"",
            "processed/warning: authentication-failed, processing continued",
        ),
    ] {
        home.partner("theirs", &PartnerFile { accept, ..PartnerFile::default() });
        let gateway = Gateway::start(&home);
        let answer = http::post(home.as2, "/as2", &fields("<lines@theirs>", &content_type), &body).unwrap();
        let disposition = receipt_in(&answer).disposition.to_string();
        assert!(disposition.ends_with(told), "{accept}: {disposition}");
        assert!(gateway.stop().success());
    }
}

#[test]
fn a_receipt_that_was_signed_without_its_last_line_end_is_evidence_all_the_same() {
    let peer = Scripted::start(|_, posted| {
        let unsigned = receipt_for(posted, Kind { signer: None, ..Kind::default() });
        let (fields, of_report): (Vec<&str>, Vec<&str>) =
            unsigned.headers.lines().partition(|line| !line.starts_with("Content-Type:"));
        let report = [of_report.concat().as_bytes(), b"\r\n\r\n", &unsigned.body].concat();
        // As libas2 does it.
        let (content_type, body) = signed_parts(&report, report.strip_suffix(b"\r\n").unwrap());
        let fields: String = fields.iter().map(|line| format!("{line}\r\n")).collect();
        Some(scripted::answer(200, &format!("{fields}Content-Type: {content_type}\r\n"), &body))
    });
    let home = Home::ours();
    home.partner("theirs", &PartnerFile { url: peer.url(), ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    home.submit("theirs", "order.xml", b"<order/>");
    gateway.wait_for("theirs", "sent", "order.xml");
    let bundle = exported(&gateway);
    let content = read(&bundle, "mdn-content.bin");
    assert!(content.starts_with("Content-Type: multipart/report") && content.ends_with("--"), "{content}");
}
