//! Elliptic curves against the `openssl cms` command, both ways.

use std::io::{Read, Write};

use super::openssl_cli_tests::Desk;
use super::specimens::{BOB, EVE_P256, FRANK_P384, decryption_key};
use super::*;
use crate::ground::limits::Limits;

const BOTH: [(&str, &std::sync::LazyLock<SigningKey>); 2] = [("eve", &EVE_P256), ("frank", &FRANK_P384)];
const DERIVATIONS: [(&str, KeyTransport); 4] = [
    ("sha1", KeyTransport::EcdhSha1),
    ("sha256", KeyTransport::EcdhSha256),
    ("sha384", KeyTransport::EcdhSha384),
    ("sha512", KeyTransport::EcdhSha512),
];

#[test]
fn openssl_accepts_our_ecdsa_signatures() {
    let desk = Desk::new();
    for (name, key) in BOTH {
        for digest in [DigestAlgorithm::Sha256, DigestAlgorithm::Sha384, DigestAlgorithm::Sha512] {
            let at = "2026-01-01T00:00:00Z".parse().unwrap();
            let value = digest.digest(&desk.content);
            desk.put("sig.der", &sign_detached(digest, &value, key, SignatureScheme::Ecdsa, at, true).unwrap());
            desk.cms(&format!(
                "-verify -binary -inform DER -in sig.der -content content -certfile {name}.crt -noverify -out out"
            ));
            assert!(desk.take("out") == desk.content, "{name} {digest}");
        }
    }
}

#[test]
fn we_accept_openssl_ecdsa_signatures() {
    let desk = Desk::new();
    for (name, key) in BOTH {
        for (option, digest) in [
            ("-md sha256", DigestAlgorithm::Sha256),
            ("-md sha384 -keyid", DigestAlgorithm::Sha384),
            ("-md sha512 -nocerts", DigestAlgorithm::Sha512),
            ("-md sha256 -noattr", DigestAlgorithm::Sha256),
        ] {
            let signer = format!("-signer {name}.crt -inkey {name}.key");
            desk.cms(&format!("-sign -binary -outform DER {signer} -in content -out sig.der {option}"));
            let trusted = [BOB.certificate.clone(), key.certificate.clone()];
            let wire = desk.take("sig.der");
            let valid = verify_detached(&wire, &desk.digests(), &trusted, &Limits::default());
            let valid = valid.unwrap_or_else(|error| panic!("{name} {option}: {error}"));
            assert_eq!((valid.digest(), valid.scheme()), (digest, SignatureScheme::Ecdsa));
            assert_eq!(valid.signer(), key.certificate.fingerprint());
        }
    }
}

#[test]
fn openssl_decrypts_what_we_encrypt_for_elliptic_keys() {
    let desk = Desk::new();
    for (_, transport) in DERIVATIONS {
        for cipher in
            [ContentCipher::Aes128Cbc, ContentCipher::Aes192Cbc, ContentCipher::Aes256Cbc, ContentCipher::Aes256Gcm]
        {
            let mut to = BOTH.map(|(_, key)| Recipient { certificate: key.certificate.clone(), transport }).to_vec();
            to.push(Recipient { certificate: BOB.certificate.clone(), transport: KeyTransport::RsaOaepSha256 });
            let len = desk.content.len() as u64;
            let mut writer = EnvelopeWriter::new(Vec::new(), &to, cipher, len).unwrap();
            writer.write_all(&desk.content).unwrap();
            let wire = writer.finish().unwrap();
            assert_eq!(wire.len() as u64, enveloped::wire_len(&to, cipher, len).unwrap(), "{cipher} {transport}");
            desk.put("env.der", &wire);
            for (name, _) in BOTH {
                desk.cms(&format!(
                    "-decrypt -binary -inform DER -in env.der -recip {name}.crt -inkey {name}.key -out out"
                ));
                assert!(desk.take("out") == desk.content, "{cipher} {transport} {name}");
            }
        }
    }
}

#[test]
fn we_open_what_openssl_encrypts_for_elliptic_keys() {
    let desk = Desk::new();
    for (name, key) in BOTH {
        for (md, transport) in DERIVATIONS {
            for option in ["-aes-128-cbc", "-aes-192-cbc -stream", "-aes-256-gcm -keyid"] {
                desk.cms(&format!(
                    "-encrypt -binary -outform DER -in content -out env.der {option} -recip {name}.crt -keyopt ecdh_kdf_md:{md}"
                ));
                let wire = desk.take("env.der");
                let keys = [decryption_key(&BOB), decryption_key(key)];
                let reader = EnvelopeReader::open(wire.as_slice(), &keys, ContentCipher::ALL, &Limits::default());
                let mut reader = reader.unwrap_or_else(|error| panic!("{name} {md} {option}: {error}"));
                assert_eq!(reader.transport(), Some(transport), "{name} {option}");
                let mut content = Vec::new();
                reader.read_to_end(&mut content).unwrap();
                assert!(content == desk.content, "{name} {md} {option}");
            }
        }
    }
}

#[test]
fn we_read_every_key_wrap_and_the_cofactor_schemes() {
    let desk = Desk::new();
    for option in ["-wrap aes128-wrap", "-wrap aes192-wrap", "-wrap aes256-wrap"] {
        desk.cms(&format!(
            "-encrypt -binary -outform DER -in content -out env.der -aes-256-cbc {option} -recip eve.crt -keyopt ecdh_kdf_md:sha256 -keyopt ecdh_cofactor_mode:1"
        ));
        let wire = desk.take("env.der");
        assert!(memchr::memmem::find(&wire, oid::COFACTOR_ECDH_SHA256_KDF).is_some(), "{option}");
        let keys = [decryption_key(&EVE_P256)];
        let mut reader = EnvelopeReader::open(wire.as_slice(), &keys, ContentCipher::ALL, &Limits::default()).unwrap();
        let mut content = Vec::new();
        reader.read_to_end(&mut content).unwrap();
        assert!(content == desk.content, "{option}");
    }
}

#[test]
fn triple_des_for_an_elliptic_key_is_read_where_the_key_is_wrapped_by_aes() {
    let desk = Desk::new();
    let keys = [decryption_key(&EVE_P256)];
    for (option, read) in [("-des3 -wrap aes192-wrap", true), ("-des3", false)] {
        desk.cms(&format!("-encrypt -binary -outform DER -in content -out env.der {option} -recip eve.crt"));
        let wire = desk.take("env.der");
        match EnvelopeReader::open(wire.as_slice(), &keys, ContentCipher::ALL, &Limits::default()) {
            Ok(mut reader) => {
                let mut content = Vec::new();
                reader.read_to_end(&mut content).unwrap();
                assert!(read && content == desk.content, "{option}");
            }
            Err(error) => assert!(!read && matches!(error, CmsError::UnknownKeyTransport), "{option}: {error}"),
        }
    }
}
