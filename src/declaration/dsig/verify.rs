//! Whether the signature of a document holds: over exactly this document, by the key of the certificate it carries.

use openssl::pkey::{PKey, Public};
use openssl::sign::Verifier;

use super::algorithm::{Algorithm, C14N, C14N_WITH_COMMENTS, ENVELOPED, ReferenceDigest};
use super::document::Document;
use super::problem::{SignatureProblem, Variant};
use super::read::{self, Fields};
use crate::cms::{Certificate, sm2};
use crate::ground::limits::Limits;
use crate::mime::Source;

/// A signature that holds. Whose certificate it is and whether it counts is for the caller to judge.
#[derive(Debug, Clone)]
pub struct Verified {
    /// How it was made.
    pub algorithm: Algorithm,
    /// The signer's certificate, as the signature carries it.
    pub certificate: Certificate,
    /// `KeyName`.
    pub key_name: Option<String>,
    /// Ways in which it differs from the specification.
    pub variants: Vec<Variant>,
}

/// Verifies the signature that is a child of the root, in constant memory.
///
/// # Errors
/// The document cannot be read, has no signature, or its signature does not hold; see [`SignatureProblem`].
pub fn verify(document: &dyn Source, limits: &Limits) -> Result<Verified, SignatureProblem> {
    judge(&Document::whole(document, limits))
}

/// Verifies the signature of the document that an envelope carries in `Data`.
///
/// # Errors
/// As [`verify`]; an envelope that cannot be read is [`SignatureProblem::Document`].
pub fn verify_enveloped(envelope: &dyn Source, limits: &Limits) -> Result<Verified, SignatureProblem> {
    judge(&Document::enveloped(envelope, limits))
}

/// Writes the canonical form (C14N 1.0, with or without comments) of a document without its signature: what a digest covers.
///
/// # Errors
/// The document cannot be read, or `out` failed.
pub fn canonicalise(
    document: &dyn Source,
    comments: bool,
    limits: &Limits,
    out: &mut dyn std::io::Write,
) -> Result<(), SignatureProblem> {
    Document::whole(document, limits).canonicalise(comments, out)
}

/// Whether the root has a signature among its children, valid or not.
pub fn is_signed(document: &dyn Source, limits: &Limits) -> bool {
    read::is_there(&Document::whole(document, limits))
}

fn judge(document: &Document<'_>) -> Result<Verified, SignatureProblem> {
    let fields = read::read(document)?;
    let mut variants = Vec::new();
    let algorithm = algorithm_of(&fields, &mut variants)?;
    let digest = digest_of(&fields, algorithm, &mut variants)?;
    let comments = comments_of(&fields, &mut variants)?;
    let certificate = fields.certificates.first().ok_or(SignatureProblem::Certificate)?;
    let certificate = Certificate::from_der(certificate).map_err(|_| SignatureProblem::Certificate)?;
    let key = key_of(&certificate, algorithm)?;
    let (found, signed_info) = document.digests(digest, comments)?;
    if found != fields.digest {
        // Some signers digest the comments whatever they name.
        let (other, _) = document.digests(digest, !comments)?;
        if other != fields.digest {
            return Err(SignatureProblem::Digest);
        }
        variants.push(Variant::CommentsCovered);
    }
    if !value_holds(&key, algorithm, &signed_info, &fields.value) {
        return Err(SignatureProblem::Value);
    }
    if !fields.key_name.as_deref().is_some_and(|name| names_serial(name, &certificate)) {
        variants.push(Variant::KeyName);
    }
    Ok(Verified { algorithm, certificate, key_name: fields.key_name, variants })
}

fn algorithm_of(fields: &Fields, variants: &mut Vec<Variant>) -> Result<Algorithm, SignatureProblem> {
    let unknown = || SignatureProblem::Algorithm(fields.method.chars().take(200).collect());
    let (algorithm, in_force) = Algorithm::of(&fields.method).ok_or_else(unknown)?;
    if !in_force {
        variants.push(Variant::MethodUri);
    }
    Ok(algorithm)
}

fn digest_of(
    fields: &Fields,
    algorithm: Algorithm,
    variants: &mut Vec<Variant>,
) -> Result<ReferenceDigest, SignatureProblem> {
    if !fields.reference_uri.is_empty() || fields.transforms != [ENVELOPED] {
        return Err(SignatureProblem::Reference);
    }
    let unknown = || SignatureProblem::Algorithm(fields.digest_method.chars().take(200).collect());
    let digest = ReferenceDigest::of(&fields.digest_method).ok_or_else(unknown)?;
    if digest != algorithm.digest() {
        variants.push(Variant::DigestMethod);
    }
    Ok(digest)
}

/// Whether comments are part of the canonical forms.
fn comments_of(fields: &Fields, variants: &mut Vec<Variant>) -> Result<bool, SignatureProblem> {
    match fields.canonicalization.as_str() {
        C14N => Ok(false),
        C14N_WITH_COMMENTS => {
            variants.push(Variant::WithComments);
            Ok(true)
        }
        other => Err(SignatureProblem::Algorithm(other.chars().take(200).collect())),
    }
}

fn key_of(certificate: &Certificate, algorithm: Algorithm) -> Result<PKey<Public>, SignatureProblem> {
    let key = certificate.x509().public_key().map_err(|_| SignatureProblem::Certificate)?;
    let fits = match algorithm {
        Algorithm::Sm2Sm3 => sm2::public_point(&key).is_some(),
        // The 2018 edition had RSA of 1024 bits; 512 bits anybody can forge, 16384 bits only cost time.
        Algorithm::RsaSha1 | Algorithm::RsaSha256 => key.rsa().is_ok() && (1024..=8192).contains(&key.bits()),
    };
    if fits { Ok(key) } else { Err(SignatureProblem::Key) }
}

fn value_holds(key: &PKey<Public>, algorithm: Algorithm, signed_info: &[u8], value: &[u8]) -> bool {
    if algorithm == Algorithm::Sm2Sm3 {
        return sm2::verifies(key, signed_info, value);
    }
    let verdict = Verifier::new(algorithm.digest().message_digest(), key)
        .and_then(|mut verifier| verifier.verify_oneshot(value, signed_info));
    matches!(verdict, Ok(true))
}

/// `KeyName` is the serial number: in hexadecimal of any case, grouped or not, or in decimal.
fn names_serial(name: &str, certificate: &Certificate) -> bool {
    let significant = |text: &str| {
        let digits: String = text.chars().filter(char::is_ascii_alphanumeric).collect();
        digits.trim_start_matches('0').to_ascii_lowercase()
    };
    let decimal = certificate.x509().serial_number().to_bn().and_then(|number| number.to_dec_str());
    let name = significant(name);
    name == significant(&certificate.serial()) || decimal.is_ok_and(|decimal| name == significant(&decimal))
}
