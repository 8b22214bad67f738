//! SignedData (RFC 5652 5).
use super::{
    Certificate, CmsError, DigestAlgorithm, Digests, Fingerprint, SignatureError, SignatureScheme, SigningKey,
};
use crate::ground::limits::Limits;
use jiff::Timestamp;
use std::io::{self, Read};

/// Proof that a signature over a content digest was checked against a pinned certificate. Minted only here.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct SignatureValid {
    signer: Fingerprint,
    digest: DigestAlgorithm,
    scheme: SignatureScheme,
    content_digest: Vec<u8>,
    signing_time: Option<Timestamp>,
}
impl SignatureValid {
    /// Which of the pinned certificates signed.
    pub fn signer(&self) -> Fingerprint {
        self.signer
    }
    /// The digest of the signer.
    pub fn digest(&self) -> DigestAlgorithm {
        self.digest
    }
    /// The signature scheme.
    pub fn scheme(&self) -> SignatureScheme {
        self.scheme
    }
    /// Digest of the content by [`SignatureValid::digest`].
    pub fn content_digest(&self) -> &[u8] {
        &self.content_digest
    }
    /// What the signer claims as time; recorded, never used to judge validity.
    pub fn signing_time(&self) -> Option<Timestamp> {
        self.signing_time
    }
}
/// Signs a content digest.
pub fn sign_detached(
    digest: DigestAlgorithm,
    content_digest: &[u8],
    key: &SigningKey,
    scheme: SignatureScheme,
    signing_time: Timestamp,
    include_certificate: bool,
) -> Result<Vec<u8>, CmsError> {
    let _ = (digest, content_digest, key, scheme, signing_time, include_certificate);
    unimplemented!()
}
/// Verifies a detached signature.
pub fn verify_detached(
    ber: &[u8],
    digests: &Digests,
    trusted: &[Certificate],
    limits: &Limits,
) -> Result<SignatureValid, SignatureError> {
    let _ = (ber, digests, trusted, limits);
    unimplemented!()
}
/// Reads SignedData with its content inside.
pub struct OpaqueReader<R: Read> {
    r: R,
}
impl<R: Read> OpaqueReader<R> {
    /// Reads up to the content.
    pub fn open(r: R, limits: &Limits) -> Result<Self, SignatureError> {
        let _ = (r, limits);
        unimplemented!()
    }
    /// Reads what is left of the content and verifies.
    pub fn finish(self, trusted: &[Certificate]) -> Result<SignatureValid, SignatureError> {
        let _ = (self.r, trusted);
        unimplemented!()
    }
}
impl<R: Read> Read for OpaqueReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let _ = buf;
        unimplemented!()
    }
}
