//! Cryptographic Message Syntax (RFC 5652, 5083, 5084, 5753, 3274, 4056, 8017) as S/MIME 4.0 (RFC 8551) uses it, with
//! the algorithms of GM/T 0010 beside its own: bytes, nothing of AS2.
//!
//! The structures are ours: [`ber`] reads BER and DER as a stream with bounded memory and depth, [`der`] writes DER of
//! known length. Every primitive (RSA, EC, AES, SM2, SM4) is OpenSSL's. Four rules hold everywhere:
//!
//! 1. Signatures are checked against *pinned* certificates only; certificates inside a message make nobody known.
//! 2. Exactly one signer, exactly one recipient of ours, one private key operation for a message.
//! 3. A wrong key, wrong padding and wrong plaintext look the same ([`enveloped`]).
//! 4. Nothing is allocated from a length field.
#![deny(clippy::indexing_slicing)]

mod algorithm;
pub mod ber;
#[cfg(test)]
mod bomb_tests;
mod certificate;
pub mod certs_only;
pub mod compressed;
mod content_cipher;
pub mod der;
mod digest;
mod ecdh;
pub mod enveloped;
mod error;
mod identifier;
mod key;
mod key_transport;
pub mod oid;
#[cfg(test)]
mod openssl_cli_tests;
#[cfg(test)]
mod openssl_elliptic_tests;
#[cfg(test)]
mod openssl_legacy_tests;
mod operation;
mod revocation;
pub mod signed;
pub mod sm2;
#[cfg(test)]
mod sm_tests;
#[cfg(test)]
mod specimens;

pub use algorithm::{SignatureScheme, UnknownAlgorithm};
pub use certificate::{Certificate, Fingerprint, KeyKind};
pub use compressed::{InflateReader, compress};
pub use content_cipher::{ContentCipher, GcmForm};
pub use digest::{DigestAlgorithm, Digests, Hasher, MultiHasher};
pub use enveloped::{Allowed, EnvelopeKind, EnvelopeReader, EnvelopeWriter, Recipient};
pub use error::{CmsError, SignatureError};
pub use key::{DecryptionKey, PrivateKey, SigningKey, read_pem, read_pkcs12};
pub use key_transport::KeyTransport;
pub use revocation::{ListFile, ListIssuer, RevocationList};
pub use signed::{
    Apart, OpaqueReader, SignatureValid, has_content, sign_detached, signed_attributes, verify_detached,
    verify_detached_pinned,
};

/// Whether a SignerIdentifier or RecipientIdentifier (RFC 5652 5.3, 6.2.1: issuer and serial, or `[0]` key identifier;
/// normalised DER) names this certificate.
fn identifies(identifier: &[u8], certificate: &Certificate) -> Result<bool, der::DerError> {
    let mut fields = der::Fields::new(identifier);
    let id = fields.take()?.ok_or(der::DerError("identifier missing"))?;
    fields.end()?;
    if id.tag == der::context(0) {
        return Ok(certificate.matches_key_id(id.content));
    }
    if id.tag != der::SEQUENCE {
        return Ok(false);
    }
    let mut fields = id.fields();
    let issuer = fields.expect(der::SEQUENCE)?;
    let serial = fields.expect(der::INTEGER)?;
    fields.end()?;
    Ok(certificate.matches_issuer_serial(issuer.raw, serial.content))
}
