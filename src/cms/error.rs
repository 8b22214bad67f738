//! errors
use super::DigestAlgorithm;
use std::io;
/// cms error
#[derive(Debug, thiserror::Error)]
pub enum CmsError {
    /// The bytes are not the CMS structure expected, or break a limit.
    #[error("malformed CMS structure: {0}")]
    Malformed(&'static str),
    /// io
    #[error(transparent)]
    Io(#[from] io::Error),
}
/// Why a signature does not count.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// The bytes are not SignedData, or break a limit.
    #[error("malformed SignedData: {0}")]
    Malformed(&'static str),
    /// The signer used a digest that was not computed over the content.
    #[error("digest {0} not offered")]
    DigestNotComputed(DigestAlgorithm),
}
