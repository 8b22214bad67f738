//! What is told of a pair for TLS when it is read.

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::{X509, X509Name};

use super::super::Problem;
use super::super::document::Sheet;
use super::*;
use crate::keys::save;

const PAIR: &str = "certificate = \"tls.crt\"\nprivate_key = \"tls.key\"\n";

fn now() -> Timestamp {
    "2026-06-01T00:00:00Z".parse().unwrap()
}

fn no_variable(_: &str) -> Option<String> {
    None
}

/// A certificate for this key that ends so many days from now.
fn ending_in(days: i64, name: &str, key: &PKey<Private>) -> X509 {
    let mut subject = X509Name::builder().unwrap();
    subject.append_entry_by_text("CN", name).unwrap();
    let subject = subject.build();
    let end = now().as_second() + days * 86_400;
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_serial_number(&BigNum::from_u32(1).unwrap().to_asn1_integer().unwrap()).unwrap();
    builder.set_subject_name(&subject).unwrap();
    builder.set_issuer_name(&subject).unwrap();
    builder.set_pubkey(key).unwrap();
    builder.set_not_before(&Asn1Time::from_unix(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::from_unix(end).unwrap()).unwrap();
    builder.sign(key, MessageDigest::sha256()).unwrap();
    builder.build()
}

/// What is told of a section that names this chain, with the key of its first certificate.
fn told(chain: &[&X509], key: &PKey<Private>) -> Vec<Problem> {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let certificates: Vec<Vec<u8>> = chain.iter().map(|one| one.to_pem().unwrap()).collect();
    save::private(&file("tls.crt"), &certificates.concat()).unwrap();
    save::private(&file("tls.key"), &key.private_key_to_pem_pkcs8().unwrap()).unwrap();
    let sheet = Sheet::new(&file("gateway.toml"), PAIR);
    let table = sheet.parse(PAIR).unwrap();
    let reading = Reading { home: folder.path(), environment: &no_variable, now: now() };
    let section = sheet.root(&table);
    assert_eq!(reading.identity(&section, true).unwrap().chain.len(), chain.len());
    drop(section);
    sheet.finish().0
}

#[test]
fn of_a_chain_the_certificate_is_told_that_ends_first() {
    let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let [own, issuer] = ["our listener", "Issuing CA"];
    for (days, of_issuer, code, who) in [
        (300, 10, Some("certificate-expires-soon"), issuer),
        (300, -10, Some("certificate-expired"), issuer),
        (10, 300, Some("certificate-expires-soon"), own),
        (300, 300, None, own),
    ] {
        let (leaf, above) = (ending_in(days, own, &key), ending_in(of_issuer, issuer, &key));
        let found = told(&[&leaf, &above], &key);
        assert_eq!(found.iter().map(|one| one.code).collect::<Vec<_>>(), Vec::from_iter(code), "{days} {of_issuer}");
        let names = |one: &Problem| one.key == "certificate" && one.text.en.contains(who) && one.text.zh.contains(who);
        assert!(found.iter().all(names), "{days} {of_issuer}: {found:#?}");
    }
}

#[test]
fn an_issuer_that_has_ended_does_not_hide_the_end_of_our_own_certificate() {
    let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let (leaf, above) = (ending_in(5, "our listener", &key), ending_in(-10, "Issuing CA", &key));
    let found = told(&[&leaf, &above], &key);
    for (code, who) in [("certificate-expired", "Issuing CA"), ("certificate-expires-soon", "our listener")] {
        assert!(found.iter().any(|one| one.code == code && one.text.en.contains(who)), "{found:#?}");
    }
}
