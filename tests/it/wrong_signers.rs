//! Signatures that are right in themselves and not by a certificate that counts, or over a digest that does not: nothing is
//! delivered of any of them. And certificates that nobody may pin. (A revoked certificate: `revocation`; a signing time
//! that lies: `oracle`.)

use std::fs;
use std::path::Path;
use std::process::Command;

use dxgate::as2::cem::{CertUsage, CertificateReference};
use dxgate::as2::{As2Name, SendPlan};
use dxgate::cms::{Certificate, ContentCipher};
use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{Asn1Flag, EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{HasPublic, PKey, PKeyRef, Private};
use openssl::rsa::Rsa;
use openssl::x509::X509;
use openssl::x509::extension::ExtendedKeyUsage;

use crate::certificate_exchange::foreign_request;
use crate::oracle::{STRICT, enveloped, fields};
use crate::support::correspondent::{letter, plan, receipt_in, signing};
use crate::support::gateway::{Gateway, run};
use crate::support::home::{Home, PartnerFile};
use crate::support::keys::{self, Party};
use crate::support::{eventually, http};

const DAY: i64 = 86_400;

/// A certificate with the name and, unless it is another, the serial number of that of `theirs`.
struct Made {
    /// Seconds from now.
    validity: (i64, i64),
    other_serial: bool,
    /// For TLS clients alone, and critical.
    usage: bool,
    key: Option<PKey<Private>>,
}

impl Made {
    fn party(self, folder: &Path, name: &str) -> &'static Party {
        let model = &keys::theirs().certificate;
        let key = self.key.unwrap_or_else(|| PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap());
        let now = jiff::Timestamp::now().as_second();
        let mut builder = X509::builder().unwrap();
        builder.set_version(2).unwrap();
        let serial =
            if self.other_serial { BigNum::from_u32(7).unwrap() } else { model.serial_number().to_bn().unwrap() };
        builder.set_serial_number(&serial.to_asn1_integer().unwrap()).unwrap();
        builder.set_subject_name(model.subject_name()).unwrap();
        builder.set_issuer_name(model.issuer_name()).unwrap();
        builder.set_pubkey(&key).unwrap();
        builder.set_not_before(&Asn1Time::from_unix(now + self.validity.0).unwrap()).unwrap();
        builder.set_not_after(&Asn1Time::from_unix(now + self.validity.1).unwrap()).unwrap();
        if self.usage {
            builder.append_extension(ExtendedKeyUsage::new().critical().client_auth().build().unwrap()).unwrap();
        }
        builder.sign(&key, MessageDigest::sha256()).unwrap();
        keys::kept(folder, name, key, builder.build())
    }
}

fn valid() -> Made {
    Made { validity: (-DAY, 400 * DAY), other_serial: false, usage: false, key: None }
}

#[test]
fn a_signature_by_a_certificate_that_does_not_count_delivers_nothing() {
    let home = Home::ours();
    let folder = home.path("made");
    std::fs::create_dir_all(&folder).unwrap();
    let accept = "signature = true\nencryption = false";
    let agreement = "sign = \"rsa-pkcs1\"\nencrypt = \"none\"";
    home.partner("theirs", &PartnerFile { accept, ..PartnerFile::default() });
    home.partner("b", &PartnerFile { as2_name: "b", party: keys::stranger(), accept, ..PartnerFile::default() });
    // Partners whose own certificate's time is over, or has not come.
    let expired = Made { validity: (-400 * DAY, -DAY), ..valid() }.party(&folder, "expired");
    let early = Made { validity: (DAY, 400 * DAY), ..valid() }.party(&folder, "early");
    for (name, party) in [("expired", expired), ("early", early)] {
        home.partner(name, &PartnerFile { as2_name: name, party, accept, agreement, ..PartnerFile::default() });
    }
    let gateway = Gateway::start(&home);

    let impostor = valid().party(&folder, "impostor");
    let other_use = Made { other_serial: true, usage: true, ..valid() }.party(&folder, "other-use");
    let same_key = Some(keys::theirs().key.clone());
    let renewed = Made { other_serial: true, usage: true, key: same_key, ..valid() }.party(&folder, "renewed");
    let mut number = 0;
    let mut answer = |from: &str, signer: &Party, sealed: bool| {
        number += 1;
        let plan = SendPlan { from: As2Name::parse(from).unwrap(), signing: Some(signing(signer)), ..plan() };
        let plan = if sealed { plan } else { SendPlan { encryption: None, ..plan } };
        let letter = letter(&plan, &format!("<{number}@theirs>"), b"<a/>");
        receipt_in(&http::post(home.as2, "/as2", &letter.headers, &letter.body).unwrap()).disposition
    };
    for (what, from, signer) in [
        ("another partner", "theirs", keys::stranger()),
        ("nobody, under the name and number of the partner", "theirs", impostor),
        ("a certificate of the partner for another use that nobody pinned", "theirs", other_use),
        ("the same with the key of the pinned one", "theirs", renewed),
        ("the partner in the name of another", "b", keys::theirs()),
        ("a certificate whose time is over", "expired", expired),
        ("a certificate whose time has not come", "early", early),
    ] {
        for sealed in [false, true] {
            let told = answer(from, signer, sealed);
            assert!(!told.is_positive(), "{what}: {told}\n{}", gateway.log());
        }
    }
    let accepted = || gateway.api("/api/v1/messages?direction=inbound&state=accepted")["messages"].clone();
    assert_eq!(accepted(), serde_json::json!([]));
    for partner in ["theirs", "b", "expired", "early"] {
        assert_eq!(home.names(partner, "inbox"), Vec::<String>::new(), "{partner}");
    }
    // The control.
    assert!(answer("theirs", keys::theirs(), false).is_positive() && answer("b", keys::stranger(), true).is_positive());
    eventually("both are delivered", || (accepted().as_array().unwrap().len() == 2).then_some(()));
}

#[test]
fn a_signature_over_md5_or_sha_1_without_a_waiver_delivers_nothing_and_is_told_where_that_teaches_nothing() {
    let home = Home::ours();
    let accept = "signature = true\nencryption = false";
    home.partner("theirs", &PartnerFile { accept, ..PartnerFile::default() });
    let waived = format!(
        "{}\n[[waivers]]\nalgorithm = \"sha-1\"\nuntil = \"2099-12-31\"\nreason = \"the control\"\n",
        PartnerFile::default().delivery
    );
    home.partner("waived", &PartnerFile { as2_name: "waived", accept, delivery: &waived, ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    let mut number = 0;
    let mut told = |from: &str, digest: &str, cipher: Option<ContentCipher>| {
        number += 1;
        let (kind, body) = signed_by_openssl(digest);
        let head = fields(&format!("<{number}@theirs>")).replace("AS2-From: theirs", &format!("AS2-From: {from}"));
        let (head, body) = match cipher {
            None => (head.replace(SEALED, &kind), body),
            Some(cipher) => {
                let entity = [format!("Content-Type: {kind}\r\n\r\n").as_bytes(), &body].concat();
                let kind = if cipher == ContentCipher::Aes256Gcm { "authEnveloped-data" } else { "enveloped-data" };
                (head.replace("enveloped-data", kind), enveloped(&entity, &[keys::ours()], cipher))
            }
        };
        receipt_in(&http::post(home.as2, "/as2", &head, &body).unwrap()).disposition.to_string()
    };
    let (weak, veiled) = ("; processed/error: insufficient-message-security", "; processed/error: decryption-failed");
    let (cbc, gcm) = (Some(ContentCipher::Aes256Cbc), Some(ContentCipher::Aes256Gcm));
    for digest in ["md5", "sha1"] {
        // An envelope without integrity tells nobody what is wrong inside of it.
        for (cipher, expected) in [(None, weak), (gcm, weak), (cbc, veiled)] {
            let disposition = told("theirs", digest, cipher);
            assert!(disposition.ends_with(expected), "{digest} {cipher:?}: {disposition}\n{}", gateway.log());
        }
    }
    assert!(told("waived", "md5", None).ends_with(weak), "a waiver is for what it names");
    for partner in ["theirs", "waived"] {
        assert_eq!(home.names(partner, "inbox"), Vec::<String>::new(), "{partner}");
    }
    // The control.
    for (from, digest, cipher) in [("theirs", "sha256", None), ("theirs", "sha256", cbc), ("waived", "sha1", cbc)] {
        let disposition = told(from, digest, cipher);
        assert!(disposition.ends_with("; processed"), "{from} {digest}: {disposition}\n{}", gateway.log());
    }
}

/// What [`fields`] says of the body.
const SEALED: &str = "application/pkcs7-mime; smime-type=enveloped-data; name=\"smime.p7m\"";

/// Type and body of a message that `theirs` has signed over this digest.
fn signed_by_openssl(digest: &str) -> (String, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("part");
    let part = b"Content-Type: application/xml\r\n\r\n<a/>";
    fs::write(&file, part).unwrap();
    let output = Command::new("openssl")
        .args(["cms", "-sign", "-binary", "-outform", "DER", "-md", digest, "-in"])
        .arg(&file)
        .arg("-signer")
        .arg(&keys::theirs().certificate_file)
        .arg("-inkey")
        .arg(&keys::theirs().key_file)
        .output()
        .unwrap();
    assert!(output.status.success(), "{digest}: {}", String::from_utf8_lossy(&output.stderr));
    let (start, end) = (b"--cut\r\n".as_slice(), b"\r\n--cut--\r\n".as_slice());
    let between =
        b"\r\n--cut\r\nContent-Type: application/pkcs7-signature\r\nContent-Transfer-Encoding: binary\r\n\r\n";
    let body = [start, part, between, &output.stdout, end].concat();
    (format!("multipart/signed; protocol=\"application/pkcs7-signature\"; micalg={digest}; boundary=cut"), body)
}

#[test]
fn a_key_beyond_measure_and_a_curve_in_parameters_are_refused_at_the_check_at_import_and_in_an_exchange() {
    let home = Home::ours();
    let folder = home.path("made");
    fs::create_dir_all(&folder).unwrap();
    home.partner("theirs", &PartnerFile { accept: "signature = false\nencryption = true", ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    let (config, file) = (home.config(), home.path("partners").join("theirs.toml"));
    let config = config.to_str().unwrap();
    let kept = || {
        (
            fs::read_to_string(&file).unwrap().trim_end().to_owned(),
            fs::read_dir(home.path("keys")).map_or(0, Iterator::count),
        )
    };
    let before = kept();
    for (number, (name, certificate, code)) in unusable().into_iter().enumerate() {
        let party = keys::kept(&folder, name, keys::theirs().key.clone(), certificate);
        // In a partner's file.
        let elsewhere = Home::ours();
        elsewhere.partner("theirs", &PartnerFile { party, accept: STRICT, ..PartnerFile::default() });
        let words = ["--format", "json", "partner", "check", "theirs"];
        let output = run(&[&["--config", elsewhere.config().to_str().unwrap()], &words[..]].concat());
        assert_eq!(output.status.code(), Some(2), "{name}");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains(&format!("\"{code}\"")), "{name}: {said}");
        // Taken in by hand.
        let words =
            ["--format", "json", "cert", "import", party.certificate_file.to_str().unwrap(), "--partner", "theirs"];
        let output = run(&[&["--config", config], &words[..]].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains(&format!("\"{code}\"")), "{name}: {said}");
        assert_eq!(kept(), before, "{name}");
        // Offered by the partner, and accepted by somebody who did not look.
        let id = offered(&home, &gateway, number, party);
        let output = run(&["--config", config, "cert", "accept", &id]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(code), "{name}: {said}");
        assert_eq!(kept(), before, "{name}");
        assert_eq!(gateway.api("/api/v1/certificate-exchanges")["exchanges"][0]["state"], "open", "{name}");
    }
    // The control.
    let id = offered(&home, &gateway, 100, keys::stranger());
    let output = run(&["--config", config, "cert", "accept", &id]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_ne!(kept(), before);
}

/// The partner asks us to verify signatures by a certificate; the exchange.
fn offered(home: &Home, gateway: &Gateway<'_>, number: usize, party: &Party) -> String {
    let certificate = Certificate::from_x509(&party.certificate).unwrap();
    let (content_type, payload) = foreign_request(|request| {
        request.trust[0].usages = vec![CertUsage::DigitalSignature];
        request.trust[0].reference = CertificateReference::of(&certificate);
        request.trust[0].certificate = certificate;
    });
    let letter = letter(&SendPlan { content_type, ..plan() }, &format!("<offer-{number}@theirs>"), &payload);
    let answer = http::post(home.as2, "/as2", &letter.headers, &letter.body).unwrap();
    assert!(receipt_in(&answer).disposition.is_positive(), "{}\n{}", answer.text(), gateway.log());
    gateway.api("/api/v1/certificate-exchanges")["exchanges"][0]["id"].as_str().unwrap().to_owned()
}

/// Certificates that would make one signature an attack (RSA of many bits), or mean another curve than they seem to
/// (RFC 5480 2.1.1: parameters are named), and why they are refused.
fn unusable() -> Vec<(&'static str, X509, &'static str)> {
    let mut modulus = BigNum::new().unwrap();
    modulus.rand(8200, MsbOption::ONE, true).unwrap();
    // Nobody has its private key, which would take minutes to find.
    let large = Rsa::from_public_components(modulus, BigNum::from_u32(65_537).unwrap()).unwrap();
    let mut group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    group.set_asn1_flag(Asn1Flag::EXPLICIT_CURVE);
    let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
    let explicit = certificate_of(&key, 12);
    vec![
        ("large", certificate_of(&PKey::from_rsa(large).unwrap(), 11), "certificate-weak"),
        ("other-generator", with_another_generator(&explicit), "certificate-key-unsupported"),
        ("explicit", explicit, "certificate-key-unsupported"),
    ]
}

/// A certificate for a public key under the name of `theirs`, who signs it.
fn certificate_of<T: HasPublic>(key: &PKeyRef<T>, number: u32) -> X509 {
    let theirs = keys::theirs();
    let now = jiff::Timestamp::now().as_second();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_serial_number(&BigNum::from_u32(number).unwrap().to_asn1_integer().unwrap()).unwrap();
    builder.set_subject_name(theirs.certificate.subject_name()).unwrap();
    builder.set_issuer_name(theirs.certificate.subject_name()).unwrap();
    builder.set_pubkey(key).unwrap();
    builder.set_not_before(&Asn1Time::from_unix(now - DAY).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::from_unix(now + 400 * DAY).unwrap()).unwrap();
    builder.sign(&theirs.key, MessageDigest::sha256()).unwrap();
    builder.build()
}

/// The same with the opposite point of P-256 as generator (CVE-2020-0601 chose one): everything else is as it was.
fn with_another_generator(explicit: &X509) -> X509 {
    let prime = BigNum::from_hex_str("FFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF").unwrap();
    let y = BigNum::from_hex_str("4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5").unwrap();
    let (old, new) = (y.to_vec(), (&prime - &y).to_vec());
    let mut der = explicit.to_der().unwrap();
    let at = der.windows(old.len()).position(|window| window == old).unwrap();
    der[at..at + new.len()].copy_from_slice(&new);
    X509::from_der(&der).unwrap()
}
