//! `[dxp.signature]`: which keys are taken, and what is noticed about them.

use std::time::Duration;

use super::*;
use crate::declaration::dsig::Algorithm;
use crate::keys::declarations;
use crate::partner::DocumentSigning;

/// Lines before those under test: the table begins in line 6.
fn with(settings: &str) -> String {
    format!("profile = \"dxp\"\n{PARTNER}[dxp.signature]\n{settings}")
}

/// A home with signing keys of both kinds: `sm2.crt`, `sm2.key` and the like, `locked.key` with a passphrase.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    let request = KeyRequest {
        common_name: "declarant".to_owned(),
        organization: None,
        hosts: Vec::new(),
        bits: 2048,
        days: 3 * 365,
    };
    for (name, algorithm) in [("sm2", Algorithm::Sm2Sm3), ("rsa", Algorithm::RsaSha1)] {
        let pair = declarations::generate(&request, algorithm, None, at("2026-01-01T00:00:00Z")).expect("made");
        sandbox.write(&format!("keys/{name}.crt"), &pair.certificate_pem);
        sandbox.write(&format!("keys/{name}.key"), pair.key_pem.expose());
    }
    let phrase = crate::ground::secret::Secret::new("open sesame".to_owned());
    let pair =
        declarations::generate(&request, Algorithm::Sm2Sm3, Some(&phrase), at("2026-01-01T00:00:00Z")).expect("made");
    sandbox.write("keys/locked.crt", &pair.certificate_pem);
    sandbox.write("keys/locked.key", pair.key_pem.expose());
    sandbox
}

fn settings(sandbox: &Sandbox, text: &str) -> DocumentSigning {
    sandbox.write("partners/customs.toml", with(text).as_bytes());
    let config = sandbox.load().unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(config.warnings, Vec::new(), "{text}");
    config.partners.by_id("customs").and_then(|partner| partner.dxp.clone()).expect("a customs partner").signature
}

#[test]
fn without_a_word_nothing_is_signed_and_signatures_are_verified() {
    let usual = settings(&sandbox(), "");
    assert!(usual.key.is_none() && usual.verify && !usual.envelope && usual.enterprise.is_none());
}

#[test]
fn keys_of_both_kinds_are_read_with_their_settings() {
    let sandbox = sandbox();
    let pair =
        |name: &str| format!("sign = true\ncertificate = \"keys/{name}.crt\"\nprivate_key = \"keys/{name}.key\"\n");
    for (name, algorithm) in [("sm2", Algorithm::Sm2Sm3), ("rsa", Algorithm::RsaSha1)] {
        let read = settings(&sandbox, &pair(name)).key.expect("a key");
        assert_eq!((read.signer.algorithm(), read.interval), (algorithm, Duration::ZERO));
        assert_eq!(read.signer.key_name(), read.signer.certificate().serial().to_ascii_uppercase());
    }
    let locked = settings(&sandbox, &format!("{}passphrase_env = \"DXGATE_TEST_PASSPHRASE\"\n", pair("locked")));
    assert!(locked.key.is_some());
    let more = "algorithm = \"sm2\"\nkey_name = \"0001\"\nrate = 4\nenvelope = true\nsigned = \"keep\"\n\
                enterprise_code = \"1101000001\"\nenterprise_name = \"报关行\"\n";
    let all = settings(&sandbox, &format!("{}{more}", pair("sm2")));
    assert!(all.envelope && !all.verify);
    assert_eq!(all.enterprise, Some(("1101000001".to_owned(), "报关行".to_owned())));
    let key = all.key.expect("a key");
    assert_eq!((key.signer.key_name().as_str(), key.interval), ("0001", Duration::from_millis(250)));
}

#[test]
fn missing_mismatching_and_unfit_keys_are_reported_with_line_and_key() {
    let ours = "sign = true\ncertificate = \"keys/sm2.crt\"\nprivate_key = \"keys/sm2.key\"\n";
    for (settings, code, line, key) in [
        ("sign = true\n".to_owned(), "key-missing", 6, "dxp.signature.certificate"),
        ("sign = true\ncertificate = \"keys/sm2.crt\"\n".to_owned(), "key-missing", 6, "dxp.signature.private_key"),
        (ours.replace("sm2.key", "none.key"), "file-unreadable", 9, "dxp.signature.private_key"),
        (ours.replace("sm2.key", "rsa.key"), "key-certificate-mismatch", 9, "dxp.signature.private_key"),
        (ours.replace("sm2.key", "sm2.crt"), "private-key-unreadable", 9, "dxp.signature.private_key"),
        (ours.replace("sm2.crt", "sm2.key"), "certificate-unreadable", 8, "dxp.signature.certificate"),
        (ours.replace("sm2", "locked"), "passphrase-wrong", 9, "dxp.signature.private_key"),
        (format!("{ours}pkcs12 = \"keys/a.p12\"\n"), "keys-exclusive", 10, "dxp.signature.pkcs12"),
        (format!("{ours}passphrase = \"x\"\n"), "secret-inline", 10, "dxp.signature.passphrase"),
        (format!("{ours}algorithm = \"rsa-sha1\"\n"), "signing-key-algorithm", 10, "dxp.signature.algorithm"),
        (format!("{ours}algorithm = \"sm3\"\n"), "value-invalid", 10, "dxp.signature.algorithm"),
        (format!("{ours}signed = \"maybe\"\n"), "value-invalid", 10, "dxp.signature.signed"),
        (format!("{ours}rate = -1\n"), "value-out-of-range", 10, "dxp.signature.rate"),
        (format!("{ours}key_name = \"<x>\"\n"), "value-invalid", 10, "dxp.signature.key_name"),
        (format!("{ours}enterprise_code = \"1101000001\"\n"), "key-missing", 6, "dxp.signature.enterprise_name"),
        (format!("{ours}sing = true\n"), "key-unknown", 10, "dxp.signature.sing"),
        (ours.replace("sign = true", "sign = false"), "signing-key-unused", 7, "dxp.signature.sign"),
        ("sign = false\nenvelope = true\n".to_owned(), "signing-key-unused", 7, "dxp.signature.sign"),
    ] {
        let sandbox = sandbox_of_once();
        sandbox.write("partners/customs.toml", with(&settings).as_bytes());
        sandbox.expect(code, "customs.toml", Some(line), key);
    }
}

/// The same files for every row, for keys take time to make.
fn sandbox_of_once() -> &'static Sandbox {
    static ONCE: LazyLock<Sandbox> = LazyLock::new(sandbox);
    &ONCE
}

#[test]
fn an_expired_signing_certificate_is_a_warning() {
    let mut sandbox = sandbox();
    sandbox.now = at("2030-01-01T00:00:00Z");
    let ours = "sign = true\ncertificate = \"keys/sm2.crt\"\nprivate_key = \"keys/sm2.key\"\n";
    sandbox.write("partners/customs.toml", with(ours).as_bytes());
    let found = sandbox.places();
    let wanted = ("certificate-expired", "customs.toml".to_owned(), Some(8), "dxp.signature.certificate".to_owned());
    assert!(found.contains(&wanted), "{found:?}");
}

#[test]
fn the_table_has_a_meaning_only_for_customs() {
    let sandbox = Sandbox::new();
    sandbox.partner("[dxp.signature]\nsign = false\n");
    sandbox.expect("profile-not-dxp", "customs.toml", Some(5), "dxp");
}
