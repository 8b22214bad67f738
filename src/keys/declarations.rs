//! Keys that sign declarations (XML-DSig): read from files, and made for tests and demonstrations.
//!
//! Customs issues the real ones, on cards, in Ukeys and in crypto machines; a certificate made here is its own issuer.

use std::path::Path;

use jiff::Timestamp;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::KeyUsage;

use super::generate::{self, GenerateError, KeyPair, KeyRequest};
use super::load::{self, KeyFileError};
use crate::cms::{Certificate, read_pem, read_pkcs12};
use crate::declaration::dsig::{Algorithm, KeySigner};
use crate::ground::secret::Secret;

/// A signer of a certificate and its PEM key.
///
/// # Errors
/// Either file is unusable, the key file is exposed, they do not belong together, or the key is neither SM2 nor RSA.
pub fn from_pair(
    certificate_file: &Path,
    key_file: &Path,
    passphrase: Option<&Secret<String>>,
) -> Result<KeySigner, KeyFileError> {
    let certificate = load::certificate(certificate_file)?;
    let key = read_pem(&load::read_private(key_file)?, passphrase).map_err(|why| load::unusable(key_file, &why))?;
    signer(key, certificate, key_file)
}

/// A signer of a PKCS#12 file.
///
/// # Errors
/// The file is unusable, exposed, the passphrase is not its own, or the key is neither SM2 nor RSA.
pub fn from_pkcs12(file: &Path, passphrase: Option<&Secret<String>>) -> Result<KeySigner, KeyFileError> {
    let empty = Secret::new(String::new());
    let opened = read_pkcs12(&load::read_private(file)?, passphrase.unwrap_or(&empty));
    let (key, certificate, _) = opened.map_err(|why| load::unusable(file, &why))?;
    signer(key, certificate, file)
}

fn signer(key: PKey<Private>, certificate: Certificate, file: &Path) -> Result<KeySigner, KeyFileError> {
    if !certificate.x509().public_key().is_ok_and(|public| key.public_eq(&public)) {
        return Err(KeyFileError::Mismatch { file: file.to_owned() });
    }
    KeySigner::new(key, certificate).map_err(|_| KeyFileError::NotForDeclarations { file: file.to_owned() })
}

/// Makes a key that signs declarations and its certificate, valid from an hour before `now`. The size is that of
/// `request` for RSA; an SM2 key has one size.
///
/// # Errors
/// A request out of bounds, or a failure of the library.
pub fn generate(
    request: &KeyRequest,
    algorithm: Algorithm,
    passphrase: Option<&Secret<String>>,
    now: Timestamp,
) -> Result<KeyPair, GenerateError> {
    let mut usage = KeyUsage::new();
    usage.critical().digital_signature().non_repudiation();
    let (key, certificate) = if algorithm == Algorithm::Sm2Sm3 {
        generate::sm2(request, &usage, now)?
    } else {
        generate::check(request)?;
        let key = PKey::from_rsa(Rsa::generate(request.bits)?)?;
        let certificate = generate::certificate(request, &key, &usage, MessageDigest::sha256(), now)?;
        (key, certificate)
    };
    Ok(KeyPair { certificate_pem: certificate.to_pem()?, key_pem: generate::pem(&key, passphrase)? })
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests hand files to other programs")]
mod tests {
    use std::process::Command;

    use openssl::x509::X509;

    use super::*;
    use crate::cms::der;
    use crate::declaration::dsig::{DocumentSigner as _, sign};
    use crate::ground::limits::Limits;
    use crate::keys::save;
    use crate::mime::BytesSource;

    fn now() -> Timestamp {
        "2026-06-01T00:00:00Z".parse().unwrap()
    }

    fn request() -> KeyRequest {
        KeyRequest {
            common_name: "测试企业".into(),
            organization: Some("石家庄通衢报关有限公司".into()),
            hosts: Vec::new(),
            bits: 2048,
            days: 3650,
        }
    }

    #[test]
    fn keys_of_both_kinds_are_made_written_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let phrase = Secret::new("open sesame".to_owned());
        for (algorithm, name) in [(Algorithm::Sm2Sm3, "sm2"), (Algorithm::RsaSha1, "rsa")] {
            let file = |extension: &str| folder.path().join(format!("{name}.{extension}"));
            let pair = generate(&request(), algorithm, Some(&phrase), now()).unwrap();
            save::private(&file("crt"), &pair.certificate_pem).unwrap();
            save::private(&file("key"), pair.key_pem.expose()).unwrap();
            let signer = from_pair(&file("crt"), &file("key"), Some(&phrase)).unwrap();
            assert_eq!(signer.algorithm(), algorithm);
            let document = BytesSource("<a>1</a>");
            assert!(sign(&document, &signer, &Limits::default()).is_ok());
            let wrong = Secret::new("close".to_owned());
            assert_eq!(from_pair(&file("crt"), &file("key"), Some(&wrong)).unwrap_err().code(), "passphrase-wrong");

            let key = PKey::private_key_from_pem_passphrase(pair.key_pem.expose(), b"open sesame").unwrap();
            let certificate = X509::from_pem(&pair.certificate_pem).unwrap();
            let bundle =
                openssl::pkcs12::Pkcs12::builder().pkey(&key).cert(&certificate).build2("open sesame").unwrap();
            save::private(&file("p12"), &bundle.to_der().unwrap()).unwrap();
            assert_eq!(from_pkcs12(&file("p12"), Some(&phrase)).unwrap().algorithm(), algorithm);
            assert_eq!(from_pkcs12(&file("p12"), None).unwrap_err().code(), "passphrase-wrong");
        }
        let (certificate, key) = (folder.path().join("sm2.crt"), folder.path().join("rsa.key"));
        assert_eq!(from_pair(&certificate, &key, Some(&phrase)).unwrap_err().code(), "key-certificate-mismatch");
    }

    #[test]
    fn keys_of_another_curve_do_not_sign_declarations() {
        let folder = tempfile::tempdir().unwrap();
        let pair = generate::generate(&KeyRequest { bits: 256, ..request() }, None, now()).unwrap();
        let (certificate, key) = (folder.path().join("a.crt"), folder.path().join("a.key"));
        save::private(&certificate, &pair.certificate_pem).unwrap();
        save::private(&key, pair.key_pem.expose()).unwrap();
        assert_eq!(from_pair(&certificate, &key, None).unwrap_err().code(), "signing-key-unsupported");
    }

    #[test]
    fn the_openssl_command_verifies_the_signature_of_an_sm2_certificate_made_here() {
        let folder = tempfile::tempdir().unwrap();
        let pair = generate(&request(), Algorithm::Sm2Sm3, None, now()).unwrap();
        let encoded = X509::from_pem(&pair.certificate_pem).unwrap().to_der().unwrap();
        let mut fields = der::Fields::only(&encoded, der::SEQUENCE).unwrap().fields();
        let body = fields.expect(der::SEQUENCE).unwrap().raw;
        let algorithm = fields.expect(der::SEQUENCE).unwrap();
        let signature = fields.expect(der::BIT_STRING).unwrap().content;
        let sm2_with_sm3 = [0x06, 0x08, 0x2a, 0x81, 0x1c, 0xcf, 0x55, 0x01, 0x83, 0x75];
        assert!(algorithm.content.starts_with(&sm2_with_sm3), "{:02x?}", algorithm.content);
        for (name, bytes) in [("a.crt", &*pair.certificate_pem), ("body", body), ("signature", &signature[1..])] {
            save::private(&folder.path().join(name), bytes).unwrap();
        }
        let verifies = |identifier: &str| {
            let arguments = ["pkeyutl", "-verify", "-rawin", "-digest", "sm3", "-certin", "-inkey", "a.crt"];
            let mut command = Command::new("openssl");
            command.args(arguments).args(["-in", "body", "-sigfile", "signature", "-pkeyopt"]).arg(identifier);
            command.current_dir(folder.path()).output().expect("openssl is installed").status.success()
        };
        assert!(verifies("distid:1234567812345678"));
        assert!(!verifies("distid:another"), "the identifier is part of what is signed");
    }
}
