//! The signature over a declaration or an envelope: XML-DSig, enveloped (企业对接报文规范 202205 section 6; W3C xmldsig-core).
//!
//! ```text
//! ds:Signature                       the last child of CEBxxxMessage (in front of ExtendMessage in export messages) or DxpMsg
//!  ├ SignedInfo
//!  │  ├ CanonicalizationMethod        C14N 1.0 inclusive, without comments
//!  │  ├ SignatureMethod               SM2/SM3 or RSA/SHA-1
//!  │  └ Reference URI=""              the whole document; one transform, enveloped-signature
//!  │     └ DigestMethod, DigestValue  SM3 or SHA-1
//!  ├ SignatureValue                   over the canonical SignedInfo; SM2: r ‖ s, 64 bytes
//!  └ KeyInfo                          KeyName (the certificate's serial number), X509Data/X509Certificate
//! ```
//!
//! [`sign`] writes exactly that. [`verify`] also accepts what signers in the field make of it and names each deviation as a
//! [`Variant`]. Anything that would let a signature cover less than the document is refused: another reference, a second one,
//! a second signature. Whose certificate it is and whether it counts is for the caller to judge.
//!
//! Both stream: a document of any size takes the same memory. Both read through the one scanner of this module, so what is
//! signed is what the pre-check has seen.

mod algorithm;
mod c14n;
mod document;
mod problem;
mod read;
mod sign;
mod splice;
mod verify;

pub use algorithm::Algorithm;
pub use problem::{SignatureProblem, Variant};
pub use sign::{DocumentSigner, KeySigner, sign};
pub use splice::Spliced;
pub use verify::{Verified, canonicalise, is_signed, verify, verify_enveloped};

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests hand files to other programs")]
#[path = "dsig/signature_tests.rs"]
mod tests;
