//! The vectors of project Wycheproof (`tests/vectors`), each inside the CMS structure in which a partner would send it: what
//! is invalid is refused, what is valid is accepted, whatever library computes.
//!
//! | vectors | structure |
//! |---|---|
//! | RSA PKCS #1 v1.5, RSA-PSS, ECDSA | the one signature of SignedData without attributes, over the message itself |
//! | RSA PKCS #1 v1.5, RSA-OAEP decryption | the encrypted key of a KeyTransRecipientInfo |
//! | ECDH | the sender's point of a KeyAgreeRecipientInfo |
//! | AES-CBC, AES-GCM | the content of EnvelopedData and AuthEnvelopedData |
//!
//! A message that is no AES key cannot be the content of an encrypted key: such a vector has to be refused, valid or not.

use std::io::Read;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dxgate::cms::der::{
    BIT_STRING, NULL, OCTET_STRING, context, context_constructed, integer, object_identifier, sequence, set_of, tlv,
};
use dxgate::cms::{
    self, Allowed, Certificate, ContentCipher, DecryptionKey, DigestAlgorithm, EnvelopeReader, KeyTransport,
    MultiHasher, PrivateKey, oid,
};
use dxgate::ground::limits::Limits;
use openssl::aes::{AesKey, wrap_key};
use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, EcKey, EcPoint};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{HasPublic, PKey, PKeyRef, Private};
use openssl::rsa::Padding;
use openssl::symm::{Cipher, encrypt_aead};
use openssl::x509::{X509, X509NameBuilder};
use serde_json::Value;

use crate::support::keys;

const CONTENT: &[u8] = b"Content-Type: application/xml\r\n\r\n<a/>";
const NONCE: [u8; 12] = [7; 12];

/// How many vectors were accepted and refused.
#[derive(Debug, Default, PartialEq, Eq)]
struct Verdicts {
    accepted: usize,
    refused: usize,
}

impl Verdicts {
    /// `possible`: a valid vector can be accepted in this structure and under our rules.
    fn count(&mut self, test: &Vector, possible: bool, is: bool) {
        match test.verdict.as_str() {
            "valid" => assert_eq!(is, possible, "{test:?}"),
            "invalid" => assert!(!is, "{test:?}"),
            // Right, but weak or odd: both answers will do.
            "acceptable" => {}
            other => panic!("{other}"),
        }
        if is { self.accepted += 1 } else { self.refused += 1 }
    }
}

#[test]
fn signatures_count_exactly_when_they_are_valid() {
    let mut verdicts = Verdicts::default();
    for group in groups("signatures") {
        let key = PKey::public_key_from_der(&group.octets("key")).unwrap();
        let name = group.0["digest"].as_str().unwrap();
        let Some((digest, digest_oid, ecdsa)) = digest(name) else { continue };
        let algorithm = match group.0.get("salt") {
            Some(salt) => {
                let mgf = group.0["mgf_digest"].as_str().unwrap();
                let Some((_, mgf, _)) = self::digest(mgf) else { continue };
                pss(digest_oid, mgf, salt.as_u64().unwrap())
            }
            None if key.rsa().is_ok() => plain_rsa(),
            None => sequence(&[&object_identifier(ecdsa)]),
        };
        let strong =
            key.rsa().map_or(true, |rsa| rsa.n().num_bits() >= 2048 && rsa.e() >= &*BigNum::from_u32(65_537).unwrap());
        let (certificate, identifier) = certificate_of(&key);
        let trusted = [certificate];
        for test in group.tests() {
            let [message, signature] = test.octets.as_slice() else { panic!("{test:?}") };
            let wire = signed_data(&identifier, digest_oid, &algorithm, signature);
            let mut hasher = MultiHasher::new(&[digest]);
            hasher.update(message);
            let is = cms::verify_detached(&wire, &hasher.finish(), &trusted, &Limits::default()).is_ok();
            verdicts.count(&test, strong, is);
        }
    }
    println!("signatures: {verdicts:?}");
    assert!(verdicts.accepted > 1_000 && verdicts.refused > 2_000, "{verdicts:?}");
}

/// Without parameters nothing says how long the salt is, so the vectors that are invalid by its length alone are right here.
#[test]
fn pss_without_parameters_counts_exactly_when_it_is_valid_with_some_salt() {
    let (mut valid, mut other_salt, mut refused) = (0, 0, 0);
    for group in groups("signatures") {
        let digests = (group.0["digest"].as_str().unwrap(), group.0.get("mgf_digest").and_then(Value::as_str));
        let Some((digest, digest_oid, _)) = digest(digests.0).filter(|_| digests.1 == Some(digests.0)) else {
            continue;
        };
        let key = PKey::public_key_from_der(&group.octets("key")).unwrap();
        let (certificate, identifier) = certificate_of(&key);
        let algorithm = sequence(&[&object_identifier(oid::RSASSA_PSS)]);
        for test in group.tests() {
            let [message, signature] = test.octets.as_slice() else { panic!("{test:?}") };
            let wire = signed_data(&identifier, digest_oid, &algorithm, signature);
            let mut hasher = MultiHasher::new(&[digest]);
            hasher.update(message);
            let trusted = std::slice::from_ref(&certificate);
            let is = cms::verify_detached(&wire, &hasher.finish(), trusted, &Limits::default()).is_ok();
            assert!(is || test.verdict != "valid", "{test:?}");
            match (is, test.verdict.as_str()) {
                (true, "valid") => valid += 1,
                (true, _) => other_salt += 1,
                (false, _) => refused += 1,
            }
        }
    }
    println!("PSS without parameters: {valid} valid, {other_salt} with another salt, {refused} refused");
    assert!(valid > 300 && refused > 150, "{valid} {refused}");
    assert_eq!(other_salt, 4 + 6 + 7 + 7, "those of which Wycheproof says `s_len changed`");
}

#[test]
fn encrypted_keys_open_an_envelope_exactly_when_they_are_valid() {
    let mut verdicts = Verdicts::default();
    for group in groups("transports") {
        let key = PKey::private_key_from_pkcs8(&group.octets("key")).unwrap();
        let algorithm = match group.0["digest"].as_str().unwrap() {
            "" => plain_rsa(),
            name => oaep(digest(name).unwrap().1, digest(group.0["mgf_digest"].as_str().unwrap()).unwrap().1),
        };
        let recipient = Recipient::new(&key);
        for test in group.tests() {
            let [content_key, encrypted, label] = test.octets.as_slice() else { panic!("{test:?}") };
            let is_key = [16, 24, 32].contains(&content_key.len()) && label.is_empty();
            let used = if is_key { content_key.as_slice() } else { &[0x5a; 32] };
            let entry = sequence(&[&integer(0), &recipient.identifier, &algorithm, &tlv(OCTET_STRING, encrypted)]);
            let opened = recipient.open(&auth_enveloped(&entry, used), false);
            verdicts.count(&test, is_key, opened.as_deref() == Some(CONTENT));
            assert!(opened.is_none_or(|content| content == CONTENT), "{test:?}");
        }
    }
    println!("encrypted keys: {verdicts:?}");
    assert!(verdicts.accepted >= 11 && verdicts.refused > 350, "{verdicts:?}");
}

#[test]
fn points_agree_on_a_key_exactly_when_they_are_valid() {
    let mut verdicts = Verdicts::default();
    for group in groups("agreements") {
        let curve =
            if group.0["set"].as_str().unwrap().contains("256") { Nid::X9_62_PRIME256V1 } else { Nid::SECP384R1 };
        for test in group.tests() {
            let [private, point, shared] = test.octets.as_slice() else { panic!("{test:?}") };
            let recipient = Recipient::new(&elliptic(curve, private));
            let content_key = [0x33; 32];
            let wrapped = wrapped(&wrapping_key(shared), &content_key);
            let public = sequence(&[&object_identifier(oid::EC_PUBLIC_KEY)]);
            let public = [public, tlv(BIT_STRING, &[&[0], point.as_slice()].concat())].concat();
            let originator = tlv(context_constructed(0), &tlv(context_constructed(1), &public));
            let scheme = sequence(&[&object_identifier(oid::ECDH_SHA256_KDF), &key_wrap()]);
            let encrypted = sequence(&[&sequence(&[&recipient.identifier, &tlv(OCTET_STRING, &wrapped)])]);
            let entry = [integer(3), originator, scheme, encrypted].concat();
            let opened = recipient.open(&auth_enveloped(&tlv(context_constructed(1), &entry), &content_key), false);
            verdicts.count(&test, true, opened.as_deref() == Some(CONTENT));
        }
    }
    println!("agreed keys: {verdicts:?}");
    assert!(verdicts.accepted > 1_000 && verdicts.refused > 30, "{verdicts:?}");
}

#[test]
fn content_in_cbc_opens_exactly_when_it_is_valid() {
    let mut verdicts = Verdicts::default();
    let recipient = Recipient::new(&keys::ours().key);
    for group in groups("cbc") {
        for test in group.tests() {
            let [key, nonce, message, encrypted] = test.octets.as_slice() else { panic!("{test:?}") };
            let cipher = [oid::AES128_CBC, oid::AES192_CBC, oid::AES256_CBC][key.len() / 8 - 2];
            let algorithm = sequence(&[&object_identifier(cipher), &tlv(OCTET_STRING, nonce)]);
            let content = encrypted_content(&algorithm, encrypted);
            let wire = envelope(oid::ENVELOPED_DATA, &recipient.transported(key), &content);
            let opened = recipient.open(&wire, false);
            verdicts.count(&test, true, opened.as_ref() == Some(message));
            assert!(opened.is_none() || test.verdict == "valid", "{test:?}");
        }
    }
    println!("CBC: {verdicts:?}");
    assert_eq!(verdicts, Verdicts { accepted: 72, refused: 144 });
}

#[test]
fn content_in_gcm_opens_exactly_when_it_is_valid_in_both_of_its_structures() {
    let mut verdicts = Verdicts::default();
    let recipient = Recipient::new(&keys::ours().key);
    for group in groups("gcm") {
        // Authenticated attributes are refused, so nothing but the content is authenticated.
        for test in group.tests().into_iter().filter(|test| test.octets[2].is_empty()) {
            let [key, nonce, _, message, encrypted, tag] = test.octets.as_slice() else { panic!("{test:?}") };
            let cipher = [oid::AES128_GCM, oid::AES192_GCM, oid::AES256_GCM][key.len() / 8 - 2];
            let parameters = sequence(&[&tlv(OCTET_STRING, nonce), &integer(u32::try_from(tag.len()).unwrap())]);
            let algorithm = sequence(&[&object_identifier(cipher), &parameters]);
            let entry = recipient.transported(key);
            let apart = [encrypted_content(&algorithm, encrypted), tlv(OCTET_STRING, tag)].concat();
            let appended = encrypted_content(&algorithm, &[encrypted.as_slice(), tag].concat());
            for wire in
                [envelope(oid::AUTH_ENVELOPED_DATA, &entry, &apart), envelope(oid::ENVELOPED_DATA, &entry, &appended)]
            {
                let opened = recipient.open(&wire, true);
                verdicts.count(&test, nonce.len() == 12 && tag.len() == 16, opened.as_ref() == Some(message));
                assert!(opened.is_none() || test.verdict == "valid", "{test:?}");
            }
        }
    }
    println!("GCM: {verdicts:?}");
    assert!(verdicts.accepted > 80 && verdicts.refused > 100, "{verdicts:?}");
}

// ---- the vectors ----

#[derive(Debug)]
struct Vector {
    #[allow(dead_code, reason = "shown when a verdict is wrong")]
    number: u64,
    verdict: String,
    octets: Vec<Vec<u8>>,
}

/// One key with its parameters.
struct Group(Value);

fn groups(kind: &str) -> Vec<Group> {
    let all: Value = serde_json::from_str(include_str!("../vectors/wycheproof.json")).unwrap();
    all[kind].as_array().unwrap().iter().cloned().map(Group).collect()
}

impl Group {
    fn octets(&self, field: &str) -> Vec<u8> {
        octets(&self.0[field])
    }

    fn tests(&self) -> Vec<Vector> {
        let tests = self.0["tests"].as_array().unwrap().iter().map(|test| {
            let fields = test.as_array().unwrap();
            let (number, verdict) = (fields[0].as_u64().unwrap(), fields[1].as_str().unwrap().to_owned());
            Vector { number, verdict, octets: fields[2..].iter().map(octets).collect() }
        });
        tests.collect()
    }
}

fn octets(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().unwrap()).unwrap()
}

/// A digest of ours with its identifier and that of ECDSA over it.
fn digest(name: &str) -> Option<(DigestAlgorithm, &'static [u8], &'static [u8])> {
    Some(match name {
        "sha-1" => (DigestAlgorithm::Sha1, oid::SHA1, oid::ECDSA_WITH_SHA1),
        "sha-256" => (DigestAlgorithm::Sha256, oid::SHA256, oid::ECDSA_WITH_SHA256),
        "sha-384" => (DigestAlgorithm::Sha384, oid::SHA384, oid::ECDSA_WITH_SHA384),
        "sha-512" => (DigestAlgorithm::Sha512, oid::SHA512, oid::ECDSA_WITH_SHA512),
        _ => return None,
    })
}

// ---- what they stand in ----

/// Whose private key a vector gives, or ours.
struct Recipient {
    key: DecryptionKey,
    public: PKey<Private>,
    identifier: Vec<u8>,
}

impl Recipient {
    fn new(key: &PKey<Private>) -> Recipient {
        let (certificate, identifier) = certificate_of(key);
        let private = PrivateKey::from_pkey(key.clone()).unwrap();
        let key_of = DecryptionKey { certificate, key: private, transports: KeyTransport::ALL.to_vec() };
        Recipient { key: key_of, public: key.clone(), identifier }
    }

    /// KeyTransRecipientInfo of a content key that is encrypted here.
    fn transported(&self, content_key: &[u8]) -> Vec<u8> {
        let rsa = self.public.rsa().unwrap();
        let mut encrypted = vec![0; rsa.size() as usize];
        rsa.public_encrypt(content_key, &mut encrypted, Padding::PKCS1).unwrap();
        sequence(&[&integer(0), &self.identifier, &plain_rsa(), &tlv(OCTET_STRING, &encrypted)])
    }

    /// The content, if all of it is good.
    fn open(&self, wire: &[u8], gcm_in_enveloped: bool) -> Option<Vec<u8>> {
        let allowed = Allowed { ciphers: ContentCipher::ALL, gcm_in_enveloped };
        let keys = std::slice::from_ref(&self.key);
        let mut reader = EnvelopeReader::open(wire, keys, allowed, &Limits::default()).ok()?;
        let mut content = Vec::new();
        reader.read_to_end(&mut content).ok()?;
        Some(content)
    }
}

/// A certificate of this key, signed by ours, and its issuer and serial number.
fn certificate_of<T: HasPublic>(key: &PKeyRef<T>) -> (Certificate, Vec<u8>) {
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("CN", "vector").unwrap();
    let name = name.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_serial_number(&BigNum::from_u32(9).unwrap().to_asn1_integer().unwrap()).unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(&name).unwrap();
    builder.set_not_before(&Asn1Time::from_str("20200101000000Z").unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::from_str("20491231235959Z").unwrap()).unwrap();
    builder.set_pubkey(key).unwrap();
    builder.sign(&keys::ours().key, MessageDigest::sha256()).unwrap();
    let identifier = sequence(&[&name.to_der().unwrap(), &integer(9)]);
    (Certificate::from_x509(&builder.build()).unwrap(), identifier)
}

fn content_info(kind: &[u8], fields: &[&[u8]]) -> Vec<u8> {
    sequence(&[&object_identifier(kind), &tlv(context_constructed(0), &sequence(fields))])
}

fn signed_data(identifier: &[u8], digest: &[u8], algorithm: &[u8], signature: &[u8]) -> Vec<u8> {
    let digest = sequence(&[&object_identifier(digest)]);
    let signer = sequence(&[&integer(1), identifier, &digest, algorithm, &tlv(OCTET_STRING, signature)]);
    let content = sequence(&[&object_identifier(oid::DATA)]);
    content_info(oid::SIGNED_DATA, &[&integer(1), &set_of(vec![digest]), &content, &set_of(vec![signer])])
}

fn envelope(kind: &[u8], recipient: &[u8], rest: &[u8]) -> Vec<u8> {
    content_info(kind, &[&integer(0), &set_of(vec![recipient.to_vec()]), rest])
}

fn encrypted_content(algorithm: &[u8], encrypted: &[u8]) -> Vec<u8> {
    sequence(&[&object_identifier(oid::DATA), algorithm, &tlv(context(0), encrypted)])
}

/// [`CONTENT`] under this key.
fn auth_enveloped(recipient: &[u8], content_key: &[u8]) -> Vec<u8> {
    let (name, cipher) = match content_key.len() {
        16 => (oid::AES128_GCM, Cipher::aes_128_gcm()),
        24 => (oid::AES192_GCM, Cipher::aes_192_gcm()),
        _ => (oid::AES256_GCM, Cipher::aes_256_gcm()),
    };
    let mut tag = [0; 16];
    let encrypted = encrypt_aead(cipher, content_key, Some(&NONCE), &[], CONTENT, &mut tag).unwrap();
    let parameters = sequence(&[&tlv(OCTET_STRING, &NONCE), &integer(16)]);
    let algorithm = sequence(&[&object_identifier(name), &parameters]);
    let rest = [encrypted_content(&algorithm, &encrypted), tlv(OCTET_STRING, &tag)].concat();
    envelope(oid::AUTH_ENVELOPED_DATA, recipient, &rest)
}

fn plain_rsa() -> Vec<u8> {
    sequence(&[&object_identifier(oid::RSA_ENCRYPTION), &tlv(NULL, &[])])
}

fn with_null(digest: &[u8]) -> Vec<u8> {
    sequence(&[&object_identifier(digest), &tlv(NULL, &[])])
}

fn mgf1(digest: &[u8]) -> Vec<u8> {
    sequence(&[&object_identifier(oid::MGF1), &with_null(digest)])
}

fn pss(digest: &[u8], mgf: &[u8], salt: u64) -> Vec<u8> {
    let parameters = sequence(&[
        &tlv(context_constructed(0), &with_null(digest)),
        &tlv(context_constructed(1), &mgf1(mgf)),
        &tlv(context_constructed(2), &integer(u32::try_from(salt).unwrap())),
    ]);
    sequence(&[&object_identifier(oid::RSASSA_PSS), &parameters])
}

fn oaep(digest: &[u8], mgf: &[u8]) -> Vec<u8> {
    let parameters =
        sequence(&[&tlv(context_constructed(0), &with_null(digest)), &tlv(context_constructed(1), &mgf1(mgf))]);
    sequence(&[&object_identifier(oid::RSAES_OAEP), &parameters])
}

fn elliptic(curve: Nid, private: &[u8]) -> PKey<Private> {
    let group = EcGroup::from_curve_name(curve).unwrap();
    let private = BigNum::from_slice(private).unwrap();
    let mut point = EcPoint::new(&group).unwrap();
    point.mul_generator2(&group, &private, &mut BigNumContext::new().unwrap()).unwrap();
    PKey::from_ec_key(EcKey::from_private_components(&group, &private, &point).unwrap()).unwrap()
}

fn key_wrap() -> Vec<u8> {
    sequence(&[&object_identifier(oid::AES256_WRAP)])
}

/// The key derivation of RFC 5753 7.2 and SEC 1 3.6.1, computed a second time: one block of SHA-256.
fn wrapping_key(shared: &[u8]) -> [u8; 32] {
    let bits = tlv(context_constructed(2), &tlv(OCTET_STRING, &256u32.to_be_bytes()));
    let info = sequence(&[&key_wrap(), &bits]);
    openssl::sha::sha256(&[shared, &1u32.to_be_bytes(), &info].concat())
}

fn wrapped(key: &[u8], content_key: &[u8]) -> Vec<u8> {
    let key = AesKey::new_encrypt(key).unwrap();
    let mut out = vec![0; content_key.len() + 8];
    wrap_key(&key, None, &mut out, content_key).unwrap();
    out
}
