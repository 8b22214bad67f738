//! Private keys.
use super::{Certificate, CmsError, KeyTransport};
use crate::ground::secret::Secret;
use std::fmt;

/// A private key; Debug shows nothing of it.
#[derive(Clone)]
pub struct PrivateKey(openssl::pkey::PKey<openssl::pkey::Private>);
impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(…)")
    }
}
impl PrivateKey {
    /// Reads a PEM key (PKCS#8, encrypted PKCS#8, PKCS#1).
    pub fn from_pem(pem: &[u8], passphrase: Option<&Secret<String>>) -> Result<PrivateKey, CmsError> {
        let _ = (pem, passphrase);
        unimplemented!()
    }
    /// Key, its certificate and the other certificates of a PKCS#12 file.
    pub fn from_pkcs12(
        der: &[u8],
        passphrase: &Secret<String>,
    ) -> Result<(PrivateKey, Certificate, Vec<Certificate>), CmsError> {
        let _ = (der, passphrase);
        unimplemented!()
    }
    /// Whether the certificate holds this key's public half.
    pub fn matches(&self, certificate: &Certificate) -> bool {
        let _ = (certificate, &self.0);
        unimplemented!()
    }
    /// OpenSSL's view.
    pub fn pkey(&self) -> &openssl::pkey::PKeyRef<openssl::pkey::Private> {
        &self.0
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
    /// Key transports this key may be used with; others are refused before any RSA operation.
    pub transports: Vec<KeyTransport>,
}
