//! Private keys: read from PEM or PKCS#12, never shown, wiped by OpenSSL when dropped.

use std::cell::Cell;
use std::fmt;

use openssl::error::ErrorStack;
use openssl::pkcs12::Pkcs12;
use openssl::pkey::{PKey, PKeyRef, Private};

use super::certificate::is_strong_rsa;
use super::{Certificate, CmsError, KeyTransport};
use crate::ground::secret::Secret;

/// Largest key file looked at.
const MAX_FILE: usize = 1024 * 1024;

/// An RSA private key of 2048 to 8192 bits; cheap to clone, `Debug` shows nothing of it.
#[derive(Clone)]
pub struct PrivateKey(PKey<Private>);

impl PrivateKey {
    /// Reads a PEM key: PKCS#8, encrypted PKCS#8 or PKCS#1.
    ///
    /// # Errors
    /// [`CmsError::Passphrase`] when one is needed and missing or wrong, [`CmsError::NotAKey`],
    /// [`CmsError::UnusableKey`].
    pub fn from_pem(pem: &[u8], passphrase: Option<&Secret<String>>) -> Result<PrivateKey, CmsError> {
        if pem.len() > MAX_FILE {
            return Err(CmsError::NotAKey);
        }
        let asked = Cell::new(false);
        // Without this callback OpenSSL would ask on the terminal.
        let answer = |buffer: &mut [u8]| {
            asked.set(true);
            let passphrase = passphrase.map_or("", |secret| secret.expose().as_str()).as_bytes();
            let place = buffer.get_mut(..passphrase.len()).ok_or_else(ErrorStack::get)?;
            place.copy_from_slice(passphrase);
            Ok(passphrase.len())
        };
        let key = PKey::private_key_from_pem_callback(pem, answer);
        let why = if asked.get() { CmsError::Passphrase } else { CmsError::NotAKey };
        PrivateKey::from_pkey(key.map_err(|_| why)?)
    }

    /// Key, its certificate and the other certificates of a PKCS#12 file.
    ///
    /// # Errors
    /// [`CmsError::Passphrase`] when the file cannot be opened with it, [`CmsError::NotAKey`] when the file is no
    /// PKCS#12 or holds no key, [`CmsError::NotACertificate`] when it holds no certificate of that key,
    /// [`CmsError::UnusableKey`].
    pub fn from_pkcs12(
        der: &[u8],
        passphrase: &Secret<String>,
    ) -> Result<(PrivateKey, Certificate, Vec<Certificate>), CmsError> {
        if der.len() > MAX_FILE || passphrase.expose().contains('\0') {
            return Err(CmsError::NotAKey);
        }
        let file = Pkcs12::from_der(der).map_err(|_| CmsError::NotAKey)?;
        let parsed = file.parse2(passphrase.expose()).map_err(|_| CmsError::Passphrase)?;
        let key = PrivateKey::from_pkey(parsed.pkey.ok_or(CmsError::NotAKey)?)?;
        let certificate = Certificate::from_x509(&*parsed.cert.ok_or(CmsError::NotACertificate)?)?;
        let others = parsed.ca.into_iter().flatten().map(|x509| Certificate::from_x509(&x509));
        Ok((key, certificate, others.collect::<Result<_, _>>()?))
    }

    /// Takes over a key that OpenSSL read or made.
    ///
    /// # Errors
    /// [`CmsError::UnusableKey`] unless it is RSA of 2048 to 8192 bits with an exponent of at least 65537.
    pub fn from_pkey(key: PKey<Private>) -> Result<PrivateKey, CmsError> {
        if is_strong_rsa(&key) {
            Ok(PrivateKey(key))
        } else {
            Err(CmsError::UnusableKey("RSA, 2048-8192 bit, e >= 65537"))
        }
    }

    /// Whether the certificate holds this key's public half.
    pub fn matches(&self, certificate: &Certificate) -> bool {
        certificate.x509().public_key().is_ok_and(|public| self.0.public_eq(&public))
    }

    /// OpenSSL's view of it.
    pub fn pkey(&self) -> &PKeyRef<Private> {
        &self.0
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(…)")
    }
}

/// What we sign with.
#[derive(Debug, Clone)]
pub struct SigningKey {
    /// Names the signer in the message.
    pub certificate: Certificate,
    /// Its private key.
    pub key: PrivateKey,
}

/// What we decrypt with.
#[derive(Debug, Clone)]
pub struct DecryptionKey {
    /// By which a recipient entry is recognised.
    pub certificate: Certificate,
    /// Its private key.
    pub key: PrivateKey,
    /// Key transports this key may be used with; others are refused before any RSA operation, so that a key kept for
    /// OAEP is no PKCS#1 v1.5 oracle.
    pub transports: Vec<KeyTransport>,
}

#[cfg(test)]
mod tests {
    use openssl::rsa::Rsa;
    use openssl::symm::Cipher;

    use super::super::specimens::{ALICE, BOB};
    use super::*;

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    #[test]
    fn an_encrypted_key_opens_with_its_passphrase_only() {
        let pem = ALICE.key.pkey().private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), b"right").unwrap();
        assert!(PrivateKey::from_pem(&pem, Some(&secret("right"))).unwrap().matches(&ALICE.certificate));
        for wrong in [Some(secret("wrong")), None, Some(secret(&"x".repeat(5000)))] {
            assert!(matches!(PrivateKey::from_pem(&pem, wrong.as_ref()), Err(CmsError::Passphrase)));
        }
    }

    #[test]
    fn plain_keys_of_both_forms_are_read() {
        let pkcs8 = BOB.key.pkey().private_key_to_pem_pkcs8().unwrap();
        let pkcs1 = BOB.key.pkey().rsa().unwrap().private_key_to_pem().unwrap();
        for pem in [pkcs8, pkcs1] {
            let key = PrivateKey::from_pem(&pem, None).unwrap();
            assert!(key.matches(&BOB.certificate) && !key.matches(&ALICE.certificate));
        }
        assert!(matches!(PrivateKey::from_pem(b"nothing", None), Err(CmsError::NotAKey)));
    }

    #[test]
    fn weak_keys_and_other_kinds_are_refused() {
        let weak = PKey::from_rsa(Rsa::generate(1024).unwrap()).unwrap();
        assert!(matches!(PrivateKey::from_pkey(weak), Err(CmsError::UnusableKey(_))));
        let other = PKey::generate_ed25519().unwrap();
        assert!(matches!(PrivateKey::from_pkey(other), Err(CmsError::UnusableKey(_))));
    }

    #[test]
    fn pkcs12_gives_key_and_certificate() {
        let der = Pkcs12::builder()
            .pkey(ALICE.key.pkey())
            .cert(ALICE.certificate.x509())
            .build2("pass")
            .unwrap()
            .to_der()
            .unwrap();
        let (key, certificate, others) = PrivateKey::from_pkcs12(&der, &secret("pass")).unwrap();
        assert!(key.matches(&certificate) && certificate == ALICE.certificate && others.is_empty());
        assert!(matches!(PrivateKey::from_pkcs12(&der, &secret("wrong")), Err(CmsError::Passphrase)));
        assert!(matches!(PrivateKey::from_pkcs12(&der, &secret("nul\0")), Err(CmsError::NotAKey)));
    }

    #[test]
    fn nothing_of_a_key_is_printed() {
        assert_eq!(format!("{:?}", ALICE.key), "PrivateKey(…)");
    }
}
