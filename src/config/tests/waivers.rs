//! What a waiver allows, and until when.

use super::*;
use crate::cms::{ContentCipher, DigestAlgorithm};
use crate::partner::PlanError;

#[test]
fn a_waiver_opens_what_it_names_until_its_day() {
    let waiver = |algorithm: &str, until: &str| {
        format!("[[waivers]]\nalgorithm = \"{algorithm}\"\nuntil = \"{until}\"\nreason = \"their upgrade\"\n")
    };
    let sandbox = Sandbox::new();
    let agreed = "[agreement]\nencrypt = \"3des-cbc\"\n[agreement.mdn]\nmicalg = [\"sha-256\", \"sha-1\"]\n\
                  [accept]\nciphers = [\"aes256-cbc\"]\n";
    let waivers = [waiver("sha-1", "2026-12-31"), waiver("3des-cbc", "2026-09-30"), waiver("md5", "2026-08-31")];
    sandbox.partner(&format!("{agreed}{}", waivers.concat()));
    let config = sandbox.load().unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(config.warnings, Vec::new());
    let partner = config.partners.by_id("customs").expect("there");
    let policy = partner.accept_policy(sandbox.now);
    assert_eq!(policy.ciphers, [ContentCipher::Aes256Cbc, ContentCipher::DesEde3Cbc]);
    assert!(policy.digests.contains(&DigestAlgorithm::Sha1) && policy.digests.contains(&DigestAlgorithm::Md5));
    assert!(policy.mic_algorithms.contains(&DigestAlgorithm::Md5));
    let plan = |when: &str| partner.send_plan(&config.station, at(when), None, None);
    assert!(config.station.signing(sandbox.now, DigestAlgorithm::Sha1, None).is_none(), "read, and never written");
    let before = plan("2026-09-30T15:59:59Z").expect("waived");
    assert_eq!(before.mdn.micalgs, [DigestAlgorithm::Sha256, DigestAlgorithm::Sha1]);
    assert_eq!(before.signing.map(|signing| signing.digest), Some(DigestAlgorithm::Sha256));
    assert_eq!(plan("2026-09-30T16:00:00Z").err(), Some(PlanError::WaiverExpired));
    let policy = partner.accept_policy(at("2027-01-01T00:00:00Z"));
    assert_eq!((policy.ciphers, policy.digests), (vec![ContentCipher::Aes256Cbc], DigestAlgorithm::STANDARD.to_vec()));
    assert!(!policy.mic_algorithms.contains(&DigestAlgorithm::Md5));
}

#[test]
fn no_waiver_lets_a_signature_over_sha_1_or_md5_be_written() {
    for name in ["sha-1", "md5"] {
        let sandbox = Sandbox::new();
        let waiver =
            format!("[[waivers]]\nalgorithm = \"{name}\"\nuntil = \"2026-12-31\"\nreason = \"their upgrade\"\n");
        sandbox.partner(&format!("[agreement]\ndigest = \"{name}\"\n{waiver}"));
        sandbox.expect("algorithm-read-only", "customs.toml", Some(6), "agreement.digest");
    }
}

#[test]
fn old_tls_needs_a_waiver_and_folders_a_partner_that_is_not_customs() {
    let sandbox = Sandbox::new();
    sandbox.partner("[http]\ntls = \"old\"\n").expect("waiver-missing", "customs.toml", Some(6), "http.tls");
    let waiver = "[[waivers]]\nalgorithm = \"old-tls\"\nuntil = \"2026-12-31\"\nreason = \"their upgrade\"\n";
    sandbox.partner(&format!("[http]\ntls = \"old\"\n{waiver}"));
    let config = sandbox.load().unwrap_or_else(|problems| panic!("{problems}"));
    assert!(config.partners.by_id("customs").is_some_and(|partner| partner.http.old_tls));
    sandbox.partner("[delivery]\nfolders_as_messages = true\n");
    assert_eq!(sandbox.places(), Vec::new());
    let dxp = format!("profile = \"dxp\"\n{PARTNER}[delivery]\nfolders_as_messages = true\n");
    sandbox.write("partners/customs.toml", dxp.as_bytes());
    sandbox.expect("folders-not-for-dxp", "customs.toml", Some(7), "delivery.folders_as_messages");
}

#[test]
fn the_end_of_a_waiver_is_announced() {
    for (until, code) in [("2026-06-20", "waiver-expires-soon"), ("2026-05-31", "waiver-expired")] {
        let sandbox = Sandbox::new();
        let waiver = format!("[[waivers]]\nalgorithm = \"sha-1\"\nuntil = \"{until}\"\nreason = \"their upgrade\"\n");
        sandbox.partner(&waiver);
        sandbox.expect(code, "customs.toml", Some(7), "waivers[0].until");
    }
}

#[test]
fn a_key_that_no_handshake_takes_is_told_unless_a_waiver_lets_old_tls_do() {
    let sandbox = Sandbox::new();
    let codes = |more: &str| -> Vec<&'static str> {
        let partner = PARTNER.replace("http:", "https:");
        sandbox.write("partners/customs.toml", format!("{partner}{more}").as_bytes());
        assert!(sandbox.load().is_ok(), "{:#?}", sandbox.problems());
        sandbox.places().into_iter().map(|one| one.0).collect()
    };
    let weak = |uses: &str| format!("[[certificates]]\nfile = \"keys/weak.crt\"\nuse = [{uses}]\n");
    let waiver = "[[waivers]]\nalgorithm = \"old-tls\"\nuntil = \"2026-12-31\"\nreason = \"their upgrade\"\n";
    let old = format!("[http]\ntls = \"old\"\n{waiver}");
    assert_eq!(codes(&weak("\"tls\"")), ["certificate-weak-for-tls"]);
    assert_eq!(codes(&weak("\"client\"")), ["certificate-weak-for-tls"]);
    assert_eq!(codes(&format!("{}{old}", weak("\"tls\""))), Vec::<&str>::new());
    assert_eq!(codes(&format!("{}{old}", weak("\"client\""))), ["certificate-weak-for-tls"], "we are the server there");
}

#[test]
fn a_waiver_that_was_decided_anew_is_not_said_to_have_ended() {
    let waiver =
        |until: &str| format!("[[waivers]]\nalgorithm = \"sha-1\"\nuntil = \"{until}\"\nreason = \"their upgrade\"\n");
    let sandbox = Sandbox::new();
    let codes = || {
        let config = sandbox.load().unwrap_or_else(|problems| panic!("{problems}"));
        config.warnings.iter().map(|warning| warning.code).collect::<Vec<_>>()
    };
    sandbox.partner(&[waiver("2026-05-01"), waiver("2026-12-31")].concat());
    assert_eq!(codes(), Vec::<&str>::new());
    sandbox.partner(&[waiver("2026-04-01"), waiver("2026-05-01")].concat());
    assert_eq!(codes(), ["waiver-expired"], "once, of the one that ended last");
}
