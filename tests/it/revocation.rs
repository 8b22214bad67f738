//! A partner's certificate that its issuer takes back while the gateway runs.

use std::fs;
use std::path::Path;
use std::process::Command;

use dxgate::as2::SendPlan;

use crate::support::correspondent::{Kind, acknowledge, letter, plan, receipt_in, signing};
use crate::support::gateway::Gateway;
use crate::support::home::{Home, PartnerFile, Station};
use crate::support::scripted::{Scripted, answer};
use crate::support::{eventually, http, keys};

/// `theirs` is its own issuer, as self-signed certificates are: it signs its own revocation list.
fn publish(home: &Home, revoke: bool) {
    publish_until(home, revoke, &["-crldays", "30"]);
}

fn publish_until(home: &Home, revoke: bool, validity: &[&str]) {
    let folder = home.path("authority");
    fs::create_dir_all(&folder).unwrap();
    let config = "[ca]\ndefault_ca = d\n[d]\ndatabase = index.txt\ncrlnumber = crlnumber\ndefault_md = sha256\n\
                  policy = p\n[p]\ncommonName = supplied\n";
    fs::write(folder.join("ca.cnf"), config).unwrap();
    fs::write(folder.join("index.txt"), "").unwrap();
    fs::write(folder.join("crlnumber"), "01\n").unwrap();
    let theirs = keys::theirs();
    if revoke {
        ca(&folder, &["-revoke", theirs.certificate_file.to_str().unwrap()]);
    }
    ca(&folder, &[&["-gencrl", "-out", "new.crl"], validity].concat());
    let lists = home.path("crls");
    fs::create_dir_all(&lists).unwrap();
    if !revoke {
        fs::copy(&theirs.certificate_file, lists.join("issuer.crt")).unwrap();
    }
    fs::rename(folder.join("new.crl"), lists.join("theirs.crl")).unwrap();
}

fn ca(folder: &Path, arguments: &[&str]) {
    let theirs = keys::theirs();
    let output = Command::new("openssl")
        .args(["ca", "-batch", "-config", "ca.cnf", "-cert"])
        .arg(&theirs.certificate_file)
        .arg("-keyfile")
        .arg(&theirs.key_file)
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_revoked_certificate_verifies_nothing_and_is_not_encrypted_to_from_the_moment_its_list_is_there() {
    let home = Home::of(&Station { as2_name: "ours", party: keys::ours(), more: "[revocation]\nlists = \"crls\"\n" });
    let accept = "signature = true\nencryption = true";
    home.partner("theirs", &PartnerFile { accept, ..PartnerFile::default() });
    publish(&home, false);
    let gateway = Gateway::start(&home);
    let answer = |id: &str, payload: &[u8]| {
        let letter = letter(&plan(), id, payload);
        receipt_in(&http::post(home.as2, "/as2", &letter.headers, &letter.body).unwrap())
    };
    assert!(answer("<1@theirs>", b"<a/>").disposition.to_string().ends_with("processed"));
    let payloads = || home.names("theirs", "inbox").iter().filter(|name| !name.ends_with(".meta.json")).count();
    eventually("what was accepted arrives", || (payloads() == 1).then_some(()));

    publish(&home, true);
    let log = || fs::read_to_string(home.log()).unwrap();
    eventually("the lists are read again", || log().contains("was read again").then_some(()));
    // Inside an envelope every failure is told alike; only the operator hears which it was.
    let refused = answer("<2@theirs>", b"<b/>").disposition.to_string();
    assert!(refused.ends_with("error: decryption-failed"), "{refused}");
    home.submit("theirs", "order.xml", b"<order/>");
    let with_code = |messages: &serde_json::Value| {
        let all = messages.as_array().unwrap();
        all.iter().filter(|message| message["reason"]["code"] == "certificate-revoked").count()
    };
    eventually("what was refused and what is held say why", || {
        let messages = gateway.api("/api/v1/messages")["messages"].clone();
        (with_code(&messages) == 2).then_some(())
    });
    eventually("an alert stands", || {
        let alerts = gateway.api("/api/v1/alerts")["alerts"].clone();
        let standing =
            |alert: &serde_json::Value| alert["code"] == "certificate-revoked" && alert["level"] == "security";
        alerts.as_array().unwrap().iter().any(standing).then_some(())
    });
    assert_eq!(payloads(), 1, "{:?}", home.names("theirs", "inbox"));

    // A list that nobody vouches for changes nothing, and says so.
    fs::write(home.path("crls/theirs.crl"), "nonsense").unwrap();
    eventually("the bad list is named", || log().contains("crl-unreadable").then_some(()));
    let refused = answer("<3@theirs>", b"<c/>").disposition.to_string();
    assert!(refused.ends_with("error: decryption-failed"), "{refused}");
}

/// What a person does over the API.
fn act(home: &Home, what: &str) {
    let headers = format!("Authorization: Bearer {}\r\nContent-Type: application/json\r\n", home.token().unwrap());
    let answer = http::post(home.console, &format!("/api/v1/{what}"), &headers, br#"{"reason":"a test"}"#).unwrap();
    assert_eq!(answer.status, 200, "{what}: {}", answer.text());
}

#[test]
fn what_was_encrypted_before_and_never_left_is_held_and_what_may_have_arrived_goes_on() {
    let peer = Scripted::start(|number, posted| match number {
        0 => Some(answer(503, "Retry-After: 3600\r\n", b"")),
        _ => Some(acknowledge(posted, Kind::default())),
    });
    let home = Home::of(&Station { as2_name: "ours", party: keys::ours(), more: "[revocation]\nlists = \"crls\"\n" });
    home.partner("theirs", &PartnerFile { url: peer.url(), delivery: "concurrency = 1", ..PartnerFile::default() });
    publish(&home, false);
    let gateway = Gateway::start(&home);
    let message = |name: &str| {
        let messages = gateway.api("/api/v1/messages")["messages"].as_array().unwrap().clone();
        messages.into_iter().find(|message| message["file_name"] == name)
    };
    home.submit("theirs", "seen.xml", b"<a/>");
    eventually("the first was answered", || message("seen.xml").filter(|one| one["reason"]["code"] == "http-503"));
    act(&home, "partners/theirs/pause");
    home.submit("theirs", "unseen.xml", b"<b/>");
    eventually("the second waits", || message("unseen.xml").filter(|one| one["state"] == "composed"));
    publish(&home, true);
    let log = || fs::read_to_string(home.log()).unwrap();
    eventually("the lists are read again", || log().contains("was read again").then_some(()));
    act(&home, "partners/theirs/resume");
    let held = eventually("the second is held", || message("unseen.xml").filter(|one| one["state"] == "held"));
    assert_eq!((held["reason"]["code"].as_str(), held["attempts"].as_u64()), (Some("certificate-revoked"), Some(0)));
    act(&home, &format!("messages/{}/retry", message("seen.xml").unwrap()["id"].as_str().unwrap()));
    eventually("the first is sent again", || (peer.posted().len() == 2).then_some(()));
    let posted = peer.posted();
    assert!(posted[1].body == posted[0].body, "the same bytes");
}

#[test]
fn what_was_encrypted_to_a_certificate_that_was_revoked_and_replaced_is_held_until_it_is_resent() {
    let peer = Scripted::start(|number, posted| match number {
        // It is the old certificate's key that opens this one, and the new one's that signs the receipt.
        0 => Some(acknowledge(posted, Kind { signer: Some(keys::stranger()), ..Kind::default() })),
        _ => Some(answer(503, "Retry-After: 3600\r\n", b"")),
    });
    let home = Home::of(&Station { as2_name: "ours", party: keys::ours(), more: "[revocation]\nlists = \"crls\"\n" });
    let held_by = |party| PartnerFile { party, url: peer.url(), ..PartnerFile::default() };
    home.partner("theirs", &held_by(keys::theirs()));
    publish(&home, false);
    let gateway = Gateway::start(&home);
    let message = |name: &str| {
        let messages = gateway.api("/api/v1/messages")["messages"].as_array().unwrap().clone();
        messages.into_iter().find(|message| message["file_name"] == name)
    };
    act(&home, "partners/theirs/pause");
    let [replaced, revoked] = ["replaced.xml", "revoked.xml"].map(|name| {
        home.submit("theirs", name, b"<a/>");
        let waiting = || message(name).filter(|one| one["state"] == "composed");
        eventually("it waits", waiting)["id"].as_str().unwrap().to_owned()
    });
    act(&home, &format!("messages/{revoked}/hold"));
    home.partner("theirs", &held_by(keys::stranger()));
    act(&home, "partners/reload");
    act(&home, "partners/theirs/resume");
    let detail = |id: &str| gateway.api(&format!("/api/v1/messages/{id}"));
    eventually("another certificate alone changes nothing of what was composed", || {
        (detail(&replaced)["state"] == "delivered").then_some(())
    });

    publish(&home, true);
    act(&home, "partners/reload");
    for _ in 0..2 {
        act(&home, &format!("messages/{revoked}/release"));
        let held = eventually("it is held again", || Some(detail(&revoked)).filter(|one| one["state"] == "held"));
        let why = (held["reason"]["code"].as_str(), held["attempts"].as_u64());
        assert_eq!(why, (Some("certificate-revoked"), Some(0)));
    }
    assert_eq!(peer.posted().len(), 1);
    act(&home, &format!("messages/{revoked}/resend"));
    eventually("it leaves for the new certificate", || (peer.posted().len() == 2).then_some(()));
}

#[test]
fn what_a_revoked_certificate_signed_is_not_taken_for_unsigned() {
    let home = Home::of(&Station { as2_name: "ours", party: keys::ours(), more: "[revocation]\nlists = \"crls\"\n" });
    let accept = "signature = false\nencryption = false\nunknown_signer = \"warning\"";
    home.partner("theirs", &PartnerFile { accept, ..PartnerFile::default() });
    publish(&home, true);
    fs::copy(&keys::theirs().certificate_file, home.path("crls/issuer.crt")).unwrap();
    let gateway = Gateway::start(&home);
    let told = |party, id| {
        let plan = SendPlan { signing: Some(signing(party)), encryption: None, ..plan() };
        let letter = letter(&plan, id, b"<a/>");
        receipt_in(&http::post(home.as2, "/as2", &letter.headers, &letter.body).unwrap()).disposition.to_string()
    };
    let refused = told(keys::theirs(), "<1@theirs>");
    assert!(refused.ends_with("processed/error: authentication-failed"), "{refused}");
    let taken = told(keys::stranger(), "<2@theirs>");
    assert!(taken.ends_with("processed/warning: authentication-failed, processing continued"), "{taken}");
    let declined = gateway.api("/api/v1/messages?state=declined")["messages"].clone();
    assert_eq!(declined[0]["reason"]["code"], "certificate-revoked", "{declined:#}");
}

#[test]
fn what_a_revoked_certificate_signed_is_not_taken_for_unsigned_when_another_has_replaced_it() {
    let home = Home::of(&Station { as2_name: "ours", party: keys::ours(), more: "[revocation]\nlists = \"crls\"\n" });
    let accept = "signature = false\nencryption = false\nunknown_signer = \"warning\"";
    let held_by = |party| PartnerFile { party, accept, ..PartnerFile::default() };
    home.partner("theirs", &held_by(keys::theirs()));
    publish(&home, false);
    let gateway = Gateway::start(&home);
    let told = |party, id| {
        let plan = SendPlan { signing: Some(signing(party)), encryption: None, ..plan() };
        let letter = letter(&plan, id, b"<a/>");
        receipt_in(&http::post(home.as2, "/as2", &letter.headers, &letter.body).unwrap()).disposition.to_string()
    };
    home.partner("theirs", &held_by(keys::stranger()));
    act(&home, "partners/reload");
    let for_none = "processed/warning: authentication-failed, processing continued";
    let taken = told(keys::theirs(), "<1@theirs>");
    assert!(taken.ends_with(for_none), "replaced, and not revoked: {taken}");
    publish(&home, true);
    act(&home, "partners/reload");
    let refused = told(keys::theirs(), "<2@theirs>");
    assert!(refused.ends_with("processed/error: authentication-failed"), "{refused}");
    let declined = gateway.api("/api/v1/messages?state=declined")["messages"].clone();
    assert_eq!(declined[0]["reason"]["code"], "certificate-revoked", "{declined:#}");
    let taken = told(keys::ours(), "<3@theirs>");
    assert!(taken.ends_with(for_none), "by nobody who was the partner: {taken}");
    let known = told(keys::stranger(), "<4@theirs>");
    assert!(known.ends_with("processed"), "{known}");
}

#[test]
fn a_list_that_should_have_been_replaced_is_alerted_and_still_counts() {
    let home = Home::of(&Station { as2_name: "ours", party: keys::ours(), more: "[revocation]\nlists = \"crls\"\n" });
    home.partner("theirs", &PartnerFile { accept: "signature = true\nencryption = true", ..PartnerFile::default() });
    publish(&home, false);
    let overdue = ["-crl_lastupdate", "20250101000000Z", "-crl_nextupdate", "20250201000000Z"];
    publish_until(&home, true, &overdue);
    let gateway = Gateway::start(&home);
    let letter = letter(&plan(), "<1@theirs>", b"<a/>");
    let refused = receipt_in(&http::post(home.as2, "/as2", &letter.headers, &letter.body).unwrap());
    assert!(refused.disposition.to_string().ends_with("error: decryption-failed"), "{}", refused.disposition);
    eventually("both alerts stand", || {
        let alerts = gateway.api("/api/v1/alerts")["alerts"].clone();
        let stands = |code: &str| alerts.as_array().unwrap().iter().any(|alert| alert["code"] == code);
        (stands("crl-stale") && stands("certificate-revoked")).then_some(())
    });
}

#[test]
fn a_certificate_that_was_taken_back_is_not_shown_as_one_that_may_be_used() {
    let home = Home::of(&Station { as2_name: "ours", party: keys::ours(), more: "[revocation]\nlists = \"crls\"\n" });
    home.partner("theirs", &PartnerFile::default());
    publish(&home, false);
    let gateway = Gateway::start(&home);
    let active = || {
        let all = gateway.api("/api/v1/certificates")["certificates"].as_array().unwrap().clone();
        all.iter().any(|one| one["owner"] == "partner" && one["active"] == true)
    };
    assert!(active(), "it is good to begin with");
    publish(&home, true);
    eventually("it is active no more", || (!active()).then_some(()));
}
