//! Certificates on their way (RFC 5652 5.1, RFC 8551 3.8): SignedData with certificates, without content and signers. It
//! vouches for nothing; whoever reads it decides by other means whether they are trusted.

use openssl::nid::Nid;
use openssl::pkcs7::Pkcs7;

use super::{Certificate, CmsError, der, oid};
use crate::ground::limits::Limits;

/// Writes certificates as DER.
pub fn write(certificates: &[Certificate]) -> Vec<u8> {
    let mut sorted: Vec<&[u8]> = certificates.iter().map(Certificate::der).collect();
    sorted.sort_unstable();
    let signed_data = der::sequence(&[
        &der::integer(1),
        &der::set_of(Vec::new()),
        &der::sequence(&[&der::object_identifier(oid::DATA)]),
        &der::tlv(der::context_constructed(0), &sorted.concat()),
        &der::set_of(Vec::new()),
    ]);
    let content = der::tlv(der::context_constructed(0), &signed_data);
    der::sequence(&[&der::object_identifier(oid::SIGNED_DATA), &content])
}

/// Reads the certificates, in the order in which they stand; BER or DER, or PEM around it. A certificate that stands
/// for itself is read too: some products send it so.
///
/// # Errors
/// [`CmsError::Malformed`] for anything else, [`CmsError::WrongContentType`] for another structure, and
/// [`CmsError::NotACertificate`] for what is none in it.
pub fn read(bytes: &[u8], limits: &Limits) -> Result<Vec<Certificate>, CmsError> {
    if bytes.len() > limits.signature_part {
        return Err(CmsError::Malformed("certificates too long"));
    }
    if let Ok(alone) = Certificate::read(bytes) {
        return Ok(vec![alone]);
    }
    let parsed = if bytes.starts_with(b"-----") { Pkcs7::from_pem(bytes) } else { Pkcs7::from_der(bytes) };
    let parsed = parsed.map_err(|_| CmsError::Malformed("neither certificates nor SignedData"))?;
    if parsed.type_().map(|kind| kind.nid()) != Some(Nid::PKCS7_SIGNED) {
        return Err(CmsError::WrongContentType);
    }
    let held = parsed.signed().and_then(|signed| signed.certificates());
    let held = held.filter(|held| !held.is_empty()).ok_or(CmsError::Malformed("no certificates"))?;
    if held.len() > limits.certificates {
        return Err(CmsError::Malformed("too many certificates"));
    }
    held.iter().map(Certificate::from_x509).collect()
}

#[cfg(test)]
#[path = "certs_only_tests.rs"]
mod tests;
