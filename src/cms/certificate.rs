//! Certificates (RFC 5280).
use super::CmsError;
use jiff::Timestamp;
use std::fmt;
use std::sync::Arc;

/// SHA-256 of a certificate's DER; shown as 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Fingerprint(pub [u8; 32]);
impl fmt::Display for Fingerprint {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        unimplemented!()
    }
}
impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl From<Fingerprint> for String {
    fn from(f: Fingerprint) -> String {
        f.to_string()
    }
}
impl TryFrom<String> for Fingerprint {
    type Error = CmsError;
    fn try_from(text: String) -> Result<Self, CmsError> {
        text.parse()
    }
}
impl std::str::FromStr for Fingerprint {
    type Err = CmsError;
    fn from_str(_: &str) -> Result<Self, CmsError> {
        unimplemented!()
    }
}

struct Inner {
    x509: openssl::x509::X509,
}
/// A certificate; cheap to clone.
#[derive(Clone)]
pub struct Certificate(Arc<Inner>);
impl fmt::Debug for Certificate {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        unimplemented!()
    }
}
impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der() == other.der()
    }
}
impl Eq for Certificate {}
impl Certificate {
    /// Reads DER.
    pub fn from_der(der: &[u8]) -> Result<Certificate, CmsError> {
        let _ = der;
        unimplemented!()
    }
    /// The first certificate of a PEM text.
    pub fn from_pem(pem: &[u8]) -> Result<Certificate, CmsError> {
        let _ = pem;
        unimplemented!()
    }
    /// Every certificate of a PEM text.
    pub fn all_from_pem(pem: &[u8]) -> Result<Vec<Certificate>, CmsError> {
        let _ = pem;
        unimplemented!()
    }
    /// The DER as read.
    pub fn der(&self) -> &[u8] {
        unimplemented!()
    }
    /// The certificate as PEM.
    pub fn to_pem(&self) -> String {
        unimplemented!()
    }
    /// SHA-256 of the DER.
    pub fn fingerprint(&self) -> Fingerprint {
        unimplemented!()
    }
    /// Subject on one line, printable.
    pub fn subject(&self) -> String {
        unimplemented!()
    }
    /// Issuer on one line, printable.
    pub fn issuer(&self) -> String {
        unimplemented!()
    }
    /// Serial number as lower-case hex.
    pub fn serial(&self) -> String {
        unimplemented!()
    }
    /// Start of validity.
    pub fn not_before(&self) -> Timestamp {
        unimplemented!()
    }
    /// End of validity.
    pub fn not_after(&self) -> Timestamp {
        unimplemented!()
    }
    /// Whether it is valid at `at`.
    pub fn is_valid_at(&self, at: Timestamp) -> bool {
        self.not_before() <= at && at <= self.not_after()
    }
    /// Bits of the public key (0 when it cannot be read).
    pub fn key_bits(&self) -> u32 {
        unimplemented!()
    }
    /// `RSA`, `EC`, `ED25519` or `other`.
    pub fn key_algorithm(&self) -> &'static str {
        unimplemented!()
    }
    /// Whether issuer (DER of the Name) and serial (content octets of the INTEGER) are this certificate's.
    pub fn matches_issuer_serial(&self, issuer: &[u8], serial: &[u8]) -> bool {
        let _ = (issuer, serial);
        unimplemented!()
    }
    /// Whether it is signed with its own key.
    pub fn is_self_signed(&self) -> bool {
        unimplemented!()
    }
    /// OpenSSL's view, for the layers that build chains.
    pub fn x509(&self) -> &openssl::x509::X509Ref {
        &self.0.x509
    }
}
