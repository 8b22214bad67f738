//! The `openssl cms` command as an independent judge: it reads what we write, and we read what it writes.

use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::specimens::{ALICE, BOB, EVE_P256, FRANK_P384, GRACE_SM2, decryption_key};
use super::*;
use crate::ground::limits::Limits;

/// A folder with all parties' keys and a content file.
pub(super) struct Desk {
    home: TempDir,
    pub(super) content: Vec<u8>,
}

impl Desk {
    pub(super) fn new() -> Desk {
        let desk = Desk { home: TempDir::new().unwrap(), content: content() };
        let parties = [("alice", &*ALICE), ("bob", &*BOB), ("eve", &*EVE_P256), ("frank", &*FRANK_P384)];
        for (name, key) in parties.into_iter().chain([("grace", &*GRACE_SM2)]) {
            desk.put(&format!("{name}.crt"), key.certificate.to_pem().as_bytes());
            desk.put(&format!("{name}.key"), &key.key.pkey().private_key_to_pem_pkcs8().unwrap());
        }
        desk.put("content", &desk.content);
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub(super) fn put(&self, name: &str, bytes: &[u8]) {
        File::create(self.path(name)).unwrap().write_all(bytes).unwrap();
    }

    pub(super) fn take(&self, name: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        File::open(self.path(name)).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    }

    /// Runs `openssl cms` with these arguments in the folder.
    pub(super) fn cms(&self, arguments: &str) {
        self.openssl(&format!("cms {arguments}"));
    }

    /// Runs `openssl` with these arguments in the folder.
    pub(super) fn openssl(&self, arguments: &str) {
        let (holds, why) = self.try_openssl(arguments);
        assert!(holds, "openssl {arguments}: {why}");
    }

    /// Whether it ends well, and what it says.
    pub(super) fn try_openssl(&self, arguments: &str) -> (bool, String) {
        let output = Command::new("openssl").args(arguments.split(' ')).current_dir(self.home.path()).output();
        let output = output.expect("the openssl command is installed");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    pub(super) fn digests(&self) -> Digests {
        let mut hasher = MultiHasher::new(&DigestAlgorithm::ALL);
        hasher.update(&self.content);
        hasher.finish()
    }
}

/// Long enough for several segments and blocks.
fn content() -> Vec<u8> {
    let mut content = b"Content-Type: application/xml\r\n\r\n".to_vec();
    content.extend((0..100_000u32).map(|n| (n % 253) as u8));
    content
}

#[test]
fn openssl_accepts_our_signatures() {
    let desk = Desk::new();
    for digest in [DigestAlgorithm::Sha256, DigestAlgorithm::Sha384, DigestAlgorithm::Sha512] {
        for scheme in [SignatureScheme::RsaPkcs1, SignatureScheme::RsaPss] {
            for include_certificate in [true, false] {
                let at = "2026-01-01T00:00:00Z".parse().unwrap();
                let value = digest.digest(&desk.content);
                desk.put("sig.der", &sign_detached(digest, &value, &ALICE, scheme, at, include_certificate).unwrap());
                desk.cms(
                    "-verify -binary -inform DER -in sig.der -content content -certfile alice.crt -noverify -out out",
                );
                assert!(desk.take("out") == desk.content, "{digest} {scheme}");
            }
        }
    }
}

#[test]
fn openssl_decrypts_our_envelopes() {
    let desk = Desk::new();
    for cipher in ContentCipher::STANDARD.iter().chain(&[ContentCipher::DesEde3Cbc]) {
        for transport in KeyTransport::ALL.iter().filter(|transport| transport.fits(KeyKind::Rsa)) {
            let to = [ALICE.certificate.clone(), BOB.certificate.clone()];
            let to = to.map(|certificate| Recipient { certificate, transport: *transport });
            let mut writer = EnvelopeWriter::new(Vec::new(), &to, *cipher, desk.content.len() as u64).unwrap();
            writer.write_all(&desk.content).unwrap();
            desk.put("env.der", &writer.finish().unwrap());
            desk.cms("-decrypt -binary -inform DER -in env.der -recip bob.crt -inkey bob.key -out out");
            assert!(desk.take("out") == desk.content, "{cipher} {transport}");
        }
    }
}

#[test]
fn we_accept_openssl_signatures() {
    let desk = Desk::new();
    let pss = "-keyopt rsa_padding_mode:pss -keyopt rsa_pss_saltlen:-1";
    let pss_maximum_salt = "-keyopt rsa_padding_mode:pss -keyopt rsa_pss_saltlen:-2";
    let pss_other_mgf = "-keyopt rsa_padding_mode:pss -keyopt rsa_mgf1_md:sha512";
    // CAdES: the attribute that names the signer's certificate, by its SHA-1 or by another digest (RFC 5035).
    let options = [
        "-md sha256",
        "-md sha1",
        "-md sha512 -keyid",
        "-md sha384 -noattr",
        "-md sha256 -nocerts -nosmimecap",
        "-md sha256 -cades",
        "-md sha1 -cades",
        "-md sha512 -cades -keyid -nocerts",
    ];
    let options = options.map(str::to_owned).into_iter();
    let options = options.chain([pss, pss_maximum_salt, pss_other_mgf].map(|one| format!("-md sha256 {one}")));
    for option in options {
        desk.cms(&format!(
            "-sign -binary -outform DER -signer alice.crt -inkey alice.key -in content -out sig.der {option}"
        ));
        let trusted = [BOB.certificate.clone(), ALICE.certificate.clone()];
        let valid = verify_detached(&desk.take("sig.der"), &desk.digests(), &trusted, &Limits::default());
        let valid = valid.unwrap_or_else(|error| panic!("{option}: {error}"));
        assert_eq!(valid.signer(), ALICE.certificate.fingerprint());
        assert_eq!(valid.scheme() == SignatureScheme::RsaPss, option.contains("pss"), "{option}");
        assert_eq!(valid.signing_time().is_none(), option.contains("noattr"));
    }
}

#[test]
fn two_openssl_signers_are_one_too_many() {
    let desk = Desk::new();
    desk.cms("-sign -binary -outform DER -signer alice.crt -inkey alice.key -signer bob.crt -inkey bob.key -in content -out sig.der");
    let trusted = [BOB.certificate.clone(), ALICE.certificate.clone()];
    let refused = verify_detached(&desk.take("sig.der"), &desk.digests(), &trusted, &Limits::default());
    assert!(matches!(refused, Err(SignatureError::NotOneSigner)));
}

#[test]
fn we_read_openssl_opaque_signed_data() {
    let desk = Desk::new();
    for option in ["-md sha256", "-md sha512 -stream", "-md sha384 -noattr -stream"] {
        desk.cms(&format!(
            "-sign -nodetach -binary -outform DER -signer alice.crt -inkey alice.key -in content -out sig.der {option}"
        ));
        let ber = desk.take("sig.der");
        let mut reader = OpaqueReader::open(ber.as_slice(), &Limits::default()).unwrap();
        let mut content = Vec::new();
        reader.read_to_end(&mut content).unwrap();
        assert!(content == desk.content, "{option}");
        let valid = reader.finish(std::slice::from_ref(&ALICE.certificate)).unwrap();
        assert_eq!(valid.signer(), ALICE.certificate.fingerprint());
    }
}

#[test]
fn we_open_openssl_envelopes() {
    let desk = Desk::new();
    let keys = [decryption_key(&ALICE), decryption_key(&BOB)];
    let oaep = "-keyopt rsa_padding_mode:oaep";
    let ways = [
        ("-aes-128-cbc", "bob.crt", ContentCipher::Aes128Cbc, KeyTransport::RsaPkcs1),
        ("-aes-192-cbc -stream", "bob.crt", ContentCipher::Aes192Cbc, KeyTransport::RsaPkcs1),
        ("-aes-256-cbc -keyid", "bob.crt", ContentCipher::Aes256Cbc, KeyTransport::RsaPkcs1),
        ("-aes-128-gcm -stream", "bob.crt", ContentCipher::Aes128Gcm, KeyTransport::RsaPkcs1),
        ("-aes-256-gcm", "bob.crt", ContentCipher::Aes256Gcm, KeyTransport::RsaPkcs1),
        ("-aes-256-gcm -keyid -stream", "bob.crt", ContentCipher::Aes256Gcm, KeyTransport::RsaPkcs1),
    ];
    let mut cases: Vec<_> = ways.map(|(o, r, c, t)| (format!("{o} -recip {r}"), c, t)).into();
    for (md, transport) in [
        ("sha1", KeyTransport::RsaOaepSha1),
        ("sha256", KeyTransport::RsaOaepSha256),
        ("sha384", KeyTransport::RsaOaepSha384),
        ("sha512", KeyTransport::RsaOaepSha512),
    ] {
        let option = format!("-aes-256-cbc -recip bob.crt {oaep} -keyopt rsa_oaep_md:{md}");
        cases.push((option.clone(), ContentCipher::Aes256Cbc, transport));
        for mgf in ["sha1", "sha256", "sha384", "sha512"] {
            cases.push((format!("{option} -keyopt rsa_mgf1_md:{mgf}"), ContentCipher::Aes256Cbc, transport));
        }
    }
    for (option, cipher, transport) in cases {
        desk.cms(&format!("-encrypt -binary -outform DER -in content -out env.der {option}"));
        let wire = desk.take("env.der");
        let reader = EnvelopeReader::open(wire.as_slice(), &keys, ContentCipher::ALL, &Limits::default());
        let mut reader = reader.unwrap_or_else(|error| panic!("{option}: {error}"));
        assert_eq!((reader.cipher(), reader.transport()), (cipher, Some(transport)), "{option}");
        let mut content = Vec::new();
        reader.read_to_end(&mut content).unwrap();
        assert!(content == desk.content, "{option}");
    }
}

#[test]
fn oaep_with_a_label_or_a_digest_that_we_do_not_know_is_named_as_such() {
    let desk = Desk::new();
    let oaep = "-keyopt rsa_padding_mode:oaep -keyopt rsa_oaep_md:sha256";
    for option in ["rsa_mgf1_md:sha224", "rsa_mgf1_md:md5", "rsa_oaep_label:6162"] {
        desk.cms(&format!(
            "-encrypt -binary -outform DER -in content -out env.der -aes128 -recip bob.crt {oaep} -keyopt {option}"
        ));
        let wire = desk.take("env.der");
        let keys = [decryption_key(&BOB)];
        let refused = EnvelopeReader::open(wire.as_slice(), &keys, ContentCipher::ALL, &Limits::default());
        assert!(matches!(refused.err(), Some(CmsError::UnknownKeyTransport)), "{option}");
    }
}

#[test]
fn ciphers_we_do_not_know_are_named_as_such() {
    let desk = Desk::new();
    desk.cms("-encrypt -binary -outform DER -in content -out env.der -camellia128 -recip bob.crt");
    let wire = desk.take("env.der");
    let refused =
        EnvelopeReader::open(wire.as_slice(), &[decryption_key(&BOB)], ContentCipher::ALL, &Limits::default());
    assert!(matches!(refused.err(), Some(CmsError::UnknownCipher)));
}
