//! Certificate exchange (draft-meadors-certificate-exchange) between two gateways, and with a partner whose messages this
//! test writes.

use std::fs;
use std::process::Command;

use dxgate::as2::cem::{self, CertUsage, CertificateReference, ExchangeRequest, TradingPartnerInfo, TrustRequest};
use dxgate::as2::{self, SendPlan};
use dxgate::cms::Certificate;
use dxgate::ground::id::Id;
use dxgate::ground::limits::Limits;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::support::correspondent::{letter, plan, receipt_in};
use crate::support::gateway::{Gateway, run};
use crate::support::home::{Home, PartnerFile, Station};
use crate::support::{eventually, http, keys};

const ACCEPT: &str = "signature = true\nencryption = true";

fn homes() -> (Home, Home) {
    let left = Home::ours();
    let right = Home::of(&Station { as2_name: "theirs", party: keys::theirs(), more: "" });
    left.partner("right", &PartnerFile { url: right.url(), accept: ACCEPT, ..PartnerFile::default() });
    let ours = PartnerFile {
        as2_name: "ours",
        url: left.url(),
        party: keys::ours(),
        accept: ACCEPT,
        ..PartnerFile::default()
    };
    right.partner("left", &ours);
    (left, right)
}

/// A command of the program about this home, and the JSON that it says. Its exit code must be among `codes`.
fn said(home: &Home, arguments: &[&str], codes: &[i32]) -> Value {
    let config = home.config();
    let output = run(&[&["--config", config.to_str().unwrap(), "--format", "json"], arguments].concat());
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(codes.contains(&output.status.code().unwrap()), "{arguments:?}: {out}{err}");
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {out}{err}"))
}

fn exchanges(gateway: &Gateway<'_>) -> Vec<Value> {
    gateway.api("/api/v1/certificate-exchanges")["exchanges"].as_array().unwrap().clone()
}

/// A new key that signs from now on, as `cert rotate` makes it, and its fingerprint.
fn rotate(home: &Home, gateway: &Gateway<'_>) -> String {
    let now = Timestamp::now().to_string();
    let made = said(home, &["cert", "rotate", "--bits", "2048", "--from", &now], &[0]);
    let fingerprint = made["fingerprint"].as_str().unwrap().to_owned();
    eventually("the gateway knows its new key", || {
        let list = gateway.api("/api/v1/certificates");
        let ours = list["certificates"].as_array().unwrap().clone();
        ours.iter().any(|one| one["fingerprint"] == fingerprint.as_str()).then_some(())
    });
    fingerprint
}

/// Who signed what came into the inbox under this name.
fn signer(receiver: &Gateway<'_>, partner: &str, name: &str) -> String {
    let meta = receiver.wait_for(partner, "inbox", &format!("{name}.meta.json"));
    let meta: Value = serde_json::from_slice(&meta).unwrap();
    meta["signed_by"].as_str().unwrap().to_owned()
}

pub fn fingerprint_of(party: &keys::Party) -> String {
    Certificate::from_x509(&party.certificate).unwrap().fingerprint().to_string()
}

#[test]
fn a_new_key_signs_for_a_partner_from_the_moment_it_accepts_and_both_certificates_stay_valid() {
    let (left, right) = homes();
    let (sender, receiver) = (Gateway::start(&left), Gateway::start(&right));
    let (old, new) = (fingerprint_of(keys::ours()), rotate(&left, &sender));
    let asked = said(&left, &["cert", "request", "right", "--reason", "yearly"], &[0]);
    let id = asked["exchanges"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(asked["exchanges"][0]["certificates"][0]["uses"], serde_json::json!(["verify", "encrypt"]));
    let offered = eventually("the request arrives", || exchanges(&receiver).pop());
    assert_eq!((&offered["direction"], &offered["state"]), (&"inbound".into(), &"open".into()), "{offered:#}");
    assert_eq!(offered["certificates"][0]["fingerprint"], new.as_str(), "{offered:#}");
    assert_eq!(offered["respond_by"], asked["exchanges"][0]["respond_by"], "{offered:#}");

    // Nothing is trusted yet, and nothing is signed with the new key.
    left.submit("right", "before.xml", b"<before/>");
    assert_eq!(signer(&receiver, "left", "before.xml"), old);
    let listed = said(&right, &["cert", "exchanges"], &[1]);
    assert_eq!(listed["exchanges"].as_array().unwrap().len(), 1, "it waits for a person: {listed:#}");
    eventually("people are told", || {
        let alerts = receiver.api("/api/v1/alerts");
        let alerts = alerts["alerts"].as_array().unwrap().clone();
        alerts.iter().any(|alert| alert["code"] == "certificate-offered" && alert["partner"] == "left").then_some(())
    });

    let offered = offered["id"].as_str().unwrap();
    let accepted = said(&right, &["cert", "accept", offered, "--reason", "by telephone"], &[0]);
    assert_eq!(accepted["certificates"][0]["accepted"], true, "{accepted:#}");
    let again = run(&["--config", right.config().to_str().unwrap(), "cert", "accept", offered]);
    assert!(!again.status.success() && String::from_utf8_lossy(&again.stderr).contains("exchange-over"));
    let answered = eventually("the response arrives", || {
        exchanges(&sender).into_iter().find(|one| one["id"] == id.as_str() && one["state"] == "answered")
    });
    assert_eq!(answered["certificates"][0]["accepted"], true, "{answered:#}");
    assert_eq!(answered["answer"]["by"], "right", "{answered:#}");

    left.submit("right", "after.xml", b"<after/>");
    assert_eq!(signer(&receiver, "left", "after.xml"), new);
    // The receiver encrypts to the new certificate and still knows the old one.
    right.submit("left", "back.xml", b"<back/>");
    assert_eq!(sender.wait_for("right", "inbox", "back.xml"), b"<back/>");
    let partner = receiver.api("/api/v1/partners/left");
    let held: Vec<&str> =
        partner["certificates"].as_array().unwrap().iter().map(|one| one["fingerprint"].as_str().unwrap()).collect();
    assert!(held.contains(&old.as_str()) && held.contains(&new.as_str()), "{partner:#}");
    let sent = newest(&receiver, "back.xml");
    let used = sent["security"].to_string();
    assert!(used.contains(&new), "it was encrypted to the new one: {used}");

    // Nothing of it came into an inbox, and the audit trail has who decided and why.
    assert!(right.names("left", "inbox").iter().all(|name| !name.starts_with("certificate-")));
    assert!(left.names("right", "inbox").iter().all(|name| !name.starts_with("certificate-")));
    let trail = receiver.api("/api/v1/audit?what=certificate-exchange");
    let entry = &trail["entries"][0];
    assert_eq!((&entry["after"]["step"], &entry["reason"]), (&"answered".into(), &"by telephone".into()), "{trail:#}");

    // A restart knows all of it.
    assert!(sender.stop().success() && receiver.stop().success());
    let sender = Gateway::start(&left);
    assert_eq!(exchanges(&sender).into_iter().find(|one| one["id"] == id.as_str()), Some(answered));
    let receiver = Gateway::start(&right);
    left.submit("right", "restarted.xml", b"<restarted/>");
    assert_eq!(signer(&receiver, "left", "restarted.xml"), new);
}

#[test]
fn a_rejected_certificate_is_not_used_and_the_reason_comes_back() {
    let (left, right) = homes();
    let (sender, receiver) = (Gateway::start(&left), Gateway::start(&right));
    let old = fingerprint_of(keys::ours());
    rotate(&left, &sender);
    said(&left, &["cert", "request", "right", "--use", "verify"], &[0]);
    let offered = eventually("the request arrives", || exchanges(&receiver).pop());
    let before = fs::read_to_string(right.path("partners/left.toml")).unwrap();
    said(&right, &["cert", "reject", offered["id"].as_str().unwrap(), "--reason", "打电话核对失败"], &[0]);
    let answered =
        eventually("the response arrives", || exchanges(&sender).into_iter().find(|one| one["state"] == "answered"));
    assert_eq!(answered["certificates"][0]["accepted"], false, "{answered:#}");
    assert_eq!(answered["certificates"][0]["reason"], "打电话核对失败", "{answered:#}");
    assert_eq!(fs::read_to_string(right.path("partners/left.toml")).unwrap(), before);
    left.submit("right", "still.xml", b"<still/>");
    assert_eq!(signer(&receiver, "left", "still.xml"), old);
    eventually("people are told", || {
        let alerts = sender.api("/api/v1/alerts");
        let alerts = alerts["alerts"].as_array().unwrap().clone();
        alerts.iter().any(|alert| alert["code"] == "certificate-rejected").then_some(())
    });
}

#[test]
fn a_key_that_the_partner_could_not_use_or_that_has_ended_is_offered_only_when_it_is_named() {
    let hours_ago = |hours: i64| Timestamp::now().checked_sub(SignedDuration::from_hours(hours)).unwrap();
    let key = |party: &keys::Party, window: &str| {
        let (certificate, key) = (party.certificate_file.display(), party.key_file.display());
        format!("[[station.keys]]\ncertificate = \"{certificate}\"\nprivate_key = \"{key}\"\n{window}")
    };
    // Both begin later than our RSA key, so that they count as newer.
    let ended = format!("from = \"{}\"\nuntil = \"{}\"\n", hours_ago(3), hours_ago(2));
    let more = [key(keys::sm2_ours(), ""), key(keys::stranger(), &ended)].concat();
    let home = Home::of(&Station { as2_name: "ours", party: keys::ours(), more: &more });
    home.partner("theirs", &PartnerFile { accept: ACCEPT, ..PartnerFile::default() });
    let _gateway = Gateway::start(&home);
    let asked = |more: &[&str]| {
        let asked = said(&home, &[&["cert", "request", "theirs"], more].concat(), &[0]);
        let certificates = asked["exchanges"][0]["certificates"].as_array().unwrap().clone();
        certificates.iter().map(|one| one["fingerprint"].as_str().unwrap().to_owned()).collect::<Vec<String>>()
    };
    assert_eq!(asked(&[]), [fingerprint_of(keys::ours())]);
    let sm2 = fingerprint_of(keys::sm2_ours());
    assert_eq!(asked(&["--fingerprint", &sm2]), std::slice::from_ref(&sm2));
}

/// A request for the stranger's certificate, as `theirs` would send it.
pub fn foreign_request(change: impl FnOnce(&mut ExchangeRequest)) -> (String, Vec<u8>) {
    let certificate = Certificate::from_x509(&keys::stranger().certificate).unwrap();
    let trust = TrustRequest {
        usages: vec![CertUsage::DigitalSignature],
        respond_by: None,
        response_url: "http://127.0.0.1:9/".to_owned(),
        reference: CertificateReference::of(&certificate),
        certificate,
        chain: Vec::new(),
    };
    let from = TradingPartnerInfo { name: "theirs".to_owned(), originated: Some(Timestamp::now()) };
    let mut request = ExchangeRequest { request_id: "201201011200-1".to_owned(), from, trust: vec![trust] };
    change(&mut request);
    let payload = cem::request_payload(&request, Id::new(Timestamp::now()), "theirs.example").unwrap();
    (as2::attachments::type_of_named(&payload, &Limits::default()).unwrap(), payload)
}

#[test]
fn what_cannot_be_used_or_is_not_signed_is_refused_and_asks_nobody() {
    let home = Home::ours();
    home.partner("theirs", &PartnerFile::default());
    let gateway = Gateway::start(&home);
    let told = |id: &str, plan: SendPlan, payload: &[u8]| {
        let letter = letter(&plan, id, payload);
        let answer = http::post(home.as2, "/as2", &letter.headers, &letter.body).unwrap();
        receipt_in(&answer).disposition.to_string()
    };
    let (kind, payload) = foreign_request(|_| ());
    let of_kind = |kind: &str| SendPlan { content_type: kind.to_owned(), ..plan() };
    let unsigned = SendPlan { signing: None, ..of_kind(&kind) };
    let disposition = told("<unsigned@theirs>", unsigned, &payload);
    assert!(disposition.ends_with("processed/error: insufficient-message-security"), "{disposition}");
    let broken = String::from_utf8_lossy(&payload).replace("CertUsage>digital", "CertUsage>anything").into_bytes();
    for (id, bytes) in [("<a@theirs>", broken.as_slice()), ("<b@theirs>", b"--x--"), ("<c@theirs>", b"")] {
        let disposition = told(id, of_kind(&kind), bytes);
        assert!(disposition.ends_with("processed/error: unexpected-processing-error"), "{id}: {disposition}");
    }
    assert_eq!(exchanges(&gateway), Vec::<Value>::new());
    assert_eq!(home.names("theirs", "inbox"), Vec::<String>::new());
    let disposition = told("<good@theirs>", of_kind(&kind), &payload);
    assert!(disposition.ends_with("processed"), "{disposition}");
    assert_eq!(exchanges(&gateway).len(), 1);
    assert_eq!(home.names("theirs", "inbox"), Vec::<String>::new());
    for number in 0..31 {
        let disposition = told(&format!("<{number}@theirs>"), of_kind(&kind), &payload);
        assert!(disposition.ends_with("processed"), "{number}: {disposition}");
    }
    let disposition = told("<many@theirs>", of_kind(&kind), &payload);
    assert!(disposition.ends_with("unexpected-processing-error"), "{disposition}");
    let open = exchanges(&gateway).into_iter().filter(|one| one["state"] == "open").count();
    assert_eq!((exchanges(&gateway).len(), open), (32, 1), "the latest takes the place of the others");
    // The same message once more is a repetition, not a second request.
    let disposition = told("<good@theirs>", of_kind(&kind), &payload);
    assert!(disposition.ends_with("processed"), "{disposition}");
    assert_eq!(exchanges(&gateway).len(), 32);
    assert!(gateway.stop().success());
}

#[test]
fn the_key_to_which_a_partner_is_to_encrypt_is_of_the_kind_of_its_own_rather_than_the_newest() {
    let elliptic = keys::p256().ours;
    let (certificate, key) = (elliptic.certificate_file.display(), elliptic.key_file.display());
    let from = Timestamp::now();
    let more =
        format!("[[station.keys]]\ncertificate = \"{certificate}\"\nprivate_key = \"{key}\"\nfrom = \"{from}\"\n");
    let home = Home::of(&Station { as2_name: "ours", party: keys::ours(), more: &more });
    home.partner("theirs", &PartnerFile { accept: ACCEPT, ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    let asked = said(&home, &["cert", "request", "theirs", "--reason", "yearly"], &[0]);
    let asked = asked["exchanges"][0]["certificates"].as_array().unwrap();
    assert_eq!(asked.len(), 1, "one key for both: {asked:#?}");
    assert_eq!(asked[0]["fingerprint"], fingerprint_of(keys::ours()).as_str());
    assert_eq!(asked[0]["uses"], serde_json::json!(["verify", "encrypt"]));
    drop(gateway);
}

#[test]
fn a_certificate_that_was_asked_for_verifies_nothing_before_a_person_accepts_it() {
    let home = Home::ours();
    home.partner("theirs", &PartnerFile { accept: ACCEPT, ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    let told = |id: &str, plan: SendPlan, payload: &[u8]| {
        let letter = letter(&plan, id, payload);
        let answer = http::post(home.as2, "/as2", &letter.headers, &letter.body).unwrap();
        receipt_in(&answer).disposition.to_string()
    };
    // Each use by itself, as some products ask.
    let (kind, payload) = foreign_request(|request| {
        let encrypt = TrustRequest { usages: vec![CertUsage::KeyEncipherment], ..request.trust[0].clone() };
        request.trust.push(encrypt);
    });
    assert!(told("<ask@theirs>", SendPlan { content_type: kind, ..plan() }, &payload).ends_with("processed"));
    let by_stranger = || {
        let signing = Some(crate::support::correspondent::signing(keys::stranger()));
        SendPlan { signing, ..plan() }
    };
    let disposition = told("<early@theirs>", by_stranger(), b"<early/>");
    assert!(disposition.contains("error"), "{disposition}");
    let id = exchanges(&gateway)[0]["id"].as_str().unwrap().to_owned();
    let fingerprint = exchanges(&gateway)[0]["certificates"][0]["fingerprint"].as_str().unwrap().to_owned();
    let unknown = run(&["--config", home.config().to_str().unwrap(), "cert", "accept", &id, "--only", "00ff"]);
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("certificate-unknown"));
    said(&home, &["cert", "accept", &id, "--only", &fingerprint[..16]], &[0]);
    let disposition = told("<then@theirs>", by_stranger(), b"<then/>");
    assert!(disposition.ends_with("processed"), "{disposition}");
    let disposition = told("<both@theirs>", plan(), b"<both/>");
    assert!(disposition.ends_with("processed"), "{disposition}");
    let file = fs::read_to_string(home.path("partners/theirs.toml")).unwrap();
    assert!(file.contains("use = [\"verify\", \"encrypt\"]"), "for what was asked, and nothing else: {file}");
}

#[test]
fn a_certificate_that_was_taken_by_hand_is_accepted_without_another_change_of_the_file() {
    let home = Home::ours();
    home.partner("theirs", &PartnerFile { accept: ACCEPT, ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    let ask = |id: &str, usage: CertUsage| {
        let (content_type, payload) = foreign_request(|request| request.trust[0].usages = vec![usage]);
        let letter = letter(&SendPlan { content_type, ..plan() }, id, &payload);
        let answer = http::post(home.as2, "/as2", &letter.headers, &letter.body).unwrap();
        assert!(receipt_in(&answer).disposition.to_string().ends_with("processed"));
        exchanges(&gateway)[0]["id"].as_str().unwrap().to_owned()
    };
    let id = ask("<verify@theirs>", CertUsage::DigitalSignature);
    let file = keys::stranger().certificate_file.to_str().unwrap();
    said(&home, &["cert", "import", file, "--partner", "theirs", "--use", "verify"], &[0]);
    let fingerprint = fingerprint_of(keys::stranger());
    eventually("the gateway knows it", || {
        let partner = gateway.api("/api/v1/partners/theirs");
        partner["certificates"].to_string().contains(&fingerprint).then_some(())
    });
    let before = fs::read_to_string(home.path("partners/theirs.toml")).unwrap();
    let accepted = said(&home, &["cert", "accept", &id], &[0]);
    assert_eq!((&accepted["state"], &accepted["certificates"][0]["accepted"]), (&"answered".into(), &true.into()));
    // For another use it is a person who changes what the file says of it.
    let id = ask("<encrypt@theirs>", CertUsage::KeyEncipherment);
    let output = run(&["--config", home.config().to_str().unwrap(), "cert", "accept", &id]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && text.contains("certificate-known-otherwise"), "{text}");
    assert_eq!(exchanges(&gateway)[0]["state"], "open");
    assert_eq!(fs::read_to_string(home.path("partners/theirs.toml")).unwrap(), before);
}

#[test]
fn a_certificate_of_a_server_is_pinned_only_where_nobody_else_vouches_for_it() {
    let home = Home::ours();
    home.partner("theirs", &PartnerFile { accept: ACCEPT, ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    let issued = issued_by_theirs(&home);
    let accept = |id: &str, certificate: &Certificate| {
        let (content_type, payload) = foreign_request(|request| {
            request.trust[0].usages = vec![CertUsage::TlsServer];
            request.trust[0].certificate = certificate.clone();
            request.trust[0].reference = CertificateReference::of(certificate);
        });
        let letter = letter(&SendPlan { content_type, ..plan() }, id, &payload);
        let answer = http::post(home.as2, "/as2", &letter.headers, &letter.body).unwrap();
        assert!(receipt_in(&answer).disposition.to_string().ends_with("processed"));
        let id = exchanges(&gateway)[0]["id"].as_str().unwrap().to_owned();
        said(&home, &["cert", "accept", &id], &[0]);
        fs::read_to_string(home.path("partners/theirs.toml")).unwrap()
    };
    let file = accept("<issued@theirs>", &issued);
    assert!(!file.contains("tls"), "its issuer vouches for it: {file}");
    let file = accept("<own@theirs>", &Certificate::from_x509(&keys::stranger().certificate).unwrap());
    assert!(file.contains("use = [\"tls\"]"), "{file}");
    let file = accept("<next@theirs>", &issued);
    assert_eq!(file.matches("use = [\"tls\"]").count(), 2, "beside one that is pinned it has to be: {file}");
}

#[test]
fn of_two_certificates_of_which_one_would_not_hold_none_comes_into_the_partners_file() {
    let home = Home::ours();
    home.partner("theirs", &PartnerFile { accept: ACCEPT, ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    let (key, weak) = (home.path("weak.key"), home.path("weak.crt"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:1024", "-nodes", "-subj", "/CN=weak", "-days", "30"])
        .args(["-keyout", key.to_str().unwrap(), "-out", weak.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let certificate = Certificate::read(&fs::read(weak).unwrap()).unwrap();
    let (content_type, payload) = foreign_request(|request| {
        let reference = CertificateReference::of(&certificate);
        request.trust.push(TrustRequest { certificate, reference, ..request.trust[0].clone() });
    });
    let letter = letter(&SendPlan { content_type, ..plan() }, "<two@theirs>", &payload);
    let answer = http::post(home.as2, "/as2", &letter.headers, &letter.body).unwrap();
    assert!(receipt_in(&answer).disposition.to_string().ends_with("processed"));
    let id = exchanges(&gateway)[0]["id"].as_str().unwrap().to_owned();
    let file = || fs::read_to_string(home.path("partners/theirs.toml")).unwrap();
    let key_files = || fs::read_dir(home.path("keys")).map_or(0, Iterator::count);
    let before = (file(), key_files());
    let output = run(&["--config", home.config().to_str().unwrap(), "cert", "accept", &id]);
    assert!(!output.status.success());
    assert_eq!(
        (file().trim_end(), key_files()),
        (before.0.trim_end(), before.1),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(exchanges(&gateway)[0]["state"], "open");
    said(&home, &["cert", "accept", &id, "--only", &fingerprint_of(keys::stranger())], &[0]);
}

/// A certificate that `theirs` has signed for somebody else.
fn issued_by_theirs(home: &Home) -> Certificate {
    let (request, issued) = (home.path("server.csr"), home.path("server.crt"));
    let openssl = |arguments: &[&str]| {
        let output = Command::new("openssl").args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let key = keys::stranger().key_file.to_str().unwrap();
    openssl(&["req", "-new", "-key", key, "-subj", "/CN=server", "-out", request.to_str().unwrap()]);
    let (by, with) = (&keys::theirs().certificate_file, &keys::theirs().key_file);
    let (by, with) = (by.to_str().unwrap(), with.to_str().unwrap());
    let files = ["-in", request.to_str().unwrap(), "-out", issued.to_str().unwrap()];
    openssl(&[&["x509", "-req", "-days", "30", "-CA", by, "-CAkey", with, "-set_serial", "4711"], &files[..]].concat());
    Certificate::read(&fs::read(issued).unwrap()).unwrap()
}

/// The newest message with this file name.
fn newest(gateway: &Gateway<'_>, name: &str) -> Value {
    let list = gateway.api(&format!("/api/v1/messages?name={name}"));
    let id = list["messages"][0]["id"].as_str().unwrap_or_else(|| panic!("no message {name}: {list:#}"));
    gateway.api(&format!("/api/v1/messages/{id}"))
}
