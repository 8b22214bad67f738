//! Agreements on SM2, SM3 and SM4.

use super::*;
use crate::as2::AcceptPolicy;
use crate::cms::{ContentCipher, DigestAlgorithm, KeyTransport, SignatureScheme};
use crate::keys::generate::generate_sm2;

const SM2_KEY: &str = "[[station.keys]]\ncertificate = \"keys/own-sm2.crt\"\nprivate_key = \"keys/own-sm2.key\"\n";
const SM: &str = "[agreement]\nsign = \"sm2\"\nencrypt = \"sm4-cbc\"\n";

/// A home whose station and partner have SM2 keys beside RSA ones.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    for name in ["own-sm2", "theirs-sm2"] {
        let request =
            KeyRequest { common_name: name.to_owned(), organization: None, hosts: Vec::new(), bits: 0, days: 365 };
        let pair = generate_sm2(&request, None, at("2026-01-01T00:00:00Z")).expect("made");
        sandbox.write(&format!("keys/{name}.crt"), &pair.certificate_pem);
        sandbox.write(&format!("keys/{name}.key"), pair.key_pem.expose());
    }
    sandbox.gateway(SM2_KEY);
    sandbox
}

/// The partner file with its SM2 certificate and more lines.
fn with_sm2(more: &str) -> String {
    format!("[[certificates]]\nfile = \"keys/theirs-sm2.crt\"\n{more}")
}

fn policy(sandbox: &Sandbox) -> AcceptPolicy {
    let config = sandbox.load().unwrap_or_else(|problems| panic!("{problems}"));
    config.partners.by_id("customs").expect("there").accept_policy(sandbox.now)
}

#[test]
fn an_agreement_on_sm2_and_sm4_brings_what_goes_with_them() {
    let sandbox = sandbox();
    sandbox.partner(&with_sm2(SM));
    let config = sandbox.load().unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(config.warnings, Vec::new());
    let partner = config.partners.by_id("customs").expect("there");
    let plan = partner.send_plan(&config.station, sandbox.now, None, None).expect("can be sent");
    let signing = plan.signing.expect("signed");
    assert_eq!((signing.scheme, signing.digest), (SignatureScheme::Sm2, DigestAlgorithm::Sm3));
    assert!(signing.key.certificate.subject().contains("own-sm2"));
    let encryption = plan.encryption.expect("encrypted");
    assert_eq!((encryption.cipher, encryption.transport), (ContentCipher::Sm4Cbc, KeyTransport::Sm2));
    assert!(encryption.recipients[0].subject().contains("theirs-sm2"));
    assert_eq!(plan.mdn.micalgs, [DigestAlgorithm::Sm3]);
    let policy = policy(&sandbox);
    assert!(policy.schemes.contains(&SignatureScheme::Sm2) && policy.ciphers.contains(&ContentCipher::Sm4Cbc));
    assert!(policy.digests.contains(&DigestAlgorithm::Sm3) && policy.mic_algorithms.contains(&DigestAlgorithm::Sm3));
}

#[test]
fn nothing_of_sm_is_done_or_taken_unless_it_is_agreed_even_when_the_keys_are_there() {
    let sandbox = sandbox();
    sandbox.partner(&with_sm2(""));
    let config = sandbox.load().unwrap_or_else(|problems| panic!("{problems}"));
    let partner = config.partners.by_id("customs").expect("there");
    let plan = partner.send_plan(&config.station, sandbox.now, None, None).expect("can be sent");
    assert_eq!(plan.signing.map(|signing| signing.scheme), Some(SignatureScheme::RsaPkcs1));
    let encryption = plan.encryption.expect("encrypted");
    assert_eq!((encryption.cipher, encryption.transport), (ContentCipher::Aes256Cbc, KeyTransport::RsaPkcs1));
    let mdn = config.station.signing(sandbox.now, DigestAlgorithm::Sha256, None).expect("a key");
    assert_eq!(mdn.scheme, SignatureScheme::RsaPkcs1, "although the SM2 key is the newer one");
    let policy = policy(&sandbox);
    assert!(!policy.schemes.contains(&SignatureScheme::Sm2) && !policy.ciphers.contains(&ContentCipher::Sm4Cbc));
    assert!(!policy.digests.contains(&DigestAlgorithm::Sm3) && !policy.mic_algorithms.contains(&DigestAlgorithm::Sm3));
}

#[test]
fn what_is_taken_may_be_narrowed_to_sm_alone() {
    let sandbox = sandbox();
    let accept = "[accept]\ndigests = [\"sm3\"]\nschemes = [\"sm2\"]\nciphers = [\"sm4-cbc\"]\n";
    sandbox.partner(&with_sm2(&format!("{SM}{accept}")));
    let policy = policy(&sandbox);
    assert_eq!((policy.digests, policy.schemes), (vec![DigestAlgorithm::Sm3], vec![SignatureScheme::Sm2]));
    assert_eq!(policy.ciphers, [ContentCipher::Sm4Cbc]);
}

#[test]
fn algorithms_of_two_families_in_one_agreement_are_a_mistake() {
    let sandbox = sandbox();
    let code = "algorithms-do-not-mix";
    for (lines, line, key) in [
        ("[agreement]\nsign = \"sm2\"\ndigest = \"sha-256\"\n", 9, "agreement.digest"),
        ("[agreement]\ndigest = \"sm3\"\n", 8, "agreement.digest"),
        ("[agreement]\nencrypt = \"sm4-cbc\"\nkey_transport = \"rsa-pkcs1\"\n", 9, "agreement.key_transport"),
        ("[agreement]\nkey_transport = \"sm2\"\n", 8, "agreement.key_transport"),
        ("[agreement]\nencrypt = \"none\"\nkey_transport = \"sm2\"\n", 9, "agreement.key_transport"),
        ("[accept]\nschemes = [\"rsa-pkcs1\", \"sm2\"]\n", 8, "accept.schemes"),
        ("[accept]\nschemes = [\"sm2\"]\ndigests = [\"sha-256\"]\n", 9, "accept.digests"),
    ] {
        sandbox.partner(&with_sm2(lines));
        let found = sandbox.places();
        assert!(found.contains(&(code, "customs.toml".to_owned(), Some(line), key.to_owned())), "{lines} {found:?}");
    }
}

#[test]
fn an_agreement_on_sm_without_keys_of_sm2_names_what_is_missing() {
    let sandbox = Sandbox::new();
    sandbox.partner(SM);
    let codes: Vec<_> = sandbox.places().into_iter().map(|one| one.0).collect();
    assert_eq!(codes, ["certificate-not-for-key-transport", "no-key-for-scheme"]);
}

#[test]
fn a_station_with_sm2_keys_alone_has_a_key_that_signs() {
    let sandbox = sandbox();
    sandbox.write("gateway.toml", GATEWAY.replace("keys/station", "keys/own-sm2").as_bytes());
    sandbox.partner(&with_sm2(SM));
    let config = sandbox.load().unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(config.warnings, Vec::new());
    let mdn = config.station.signing(sandbox.now, DigestAlgorithm::Sha256, None).expect("a key");
    assert_eq!((mdn.scheme, mdn.digest), (SignatureScheme::Sm2, DigestAlgorithm::Sm3));
}

#[test]
fn a_key_that_signs_in_another_way_does_not_hide_that_the_one_a_partner_needs_has_ended() {
    let sandbox = sandbox();
    sandbox.gateway(&format!("until = \"2026-05-01T00:00:00Z\"\n{SM2_KEY}"));
    sandbox.partner(&with_sm2("[agreement]\nsign = \"rsa-pkcs1\"\n"));
    sandbox.expect("no-active-signing-key", "customs.toml", Some(8), "agreement.sign");
    assert!(sandbox.load().is_ok(), "a matter of time is no mistake");
    sandbox.partner(&with_sm2(SM));
    assert_eq!(sandbox.places(), Vec::new(), "this one needs the other key");
    let disabled = format!("enabled = false\n{PARTNER}{}", with_sm2("[agreement]\nsign = \"rsa-pkcs1\"\n"));
    sandbox.write("partners/customs.toml", disabled.as_bytes());
    assert_eq!(sandbox.places(), Vec::new());
}
