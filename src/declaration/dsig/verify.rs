//! Whether the signature of a document holds: over exactly this document, by the key of the certificate it carries.

use std::io::{BufReader, Write};

use openssl::hash::Hasher;
use openssl::pkey::{PKey, Public};
use openssl::sign::Verifier;

use super::super::charset::{Utf8Source, carry};
use super::super::error::{DeclarationError, Fault};
use super::algorithm::{Algorithm, C14N, C14N_WITH_COMMENTS, ENVELOPED, ReferenceDigest};
use super::c14n::{Outputs, canonicalise};
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

/// Verifies the signature that is a child of the root. The document is held in memory.
///
/// # Errors
/// The document cannot be read, has no signature, or its signature does not hold; see [`SignatureProblem`].
pub fn verify(document: &dyn Source, limits: &Limits) -> Result<Verified, SignatureProblem> {
    let fields = read::read(&mut reader(document)?, document.len(), longest_item(document, limits), limits)?;
    let mut variants = Vec::new();
    let algorithm = algorithm_of(&fields, &mut variants)?;
    let digest = digest_of(&fields, algorithm, &mut variants)?;
    let comments = comments_of(&fields, &mut variants)?;
    let certificate = fields.certificates.first().ok_or(SignatureProblem::Certificate)?;
    let certificate = Certificate::from_der(certificate).map_err(|_| SignatureProblem::Certificate)?;
    let key = key_of(&certificate, algorithm)?;
    let text = decoded(document)?.text;
    let (found, signed_info) = digests(&text, digest, comments)?;
    if found != fields.digest {
        // Some signers digest the comments whatever they name.
        let (other, _) = digests(&text, digest, !comments)?;
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

/// `Data` of an envelope is one text as long as the document.
fn longest_item(document: &dyn Source, limits: &Limits) -> usize {
    usize::try_from(document.len()).unwrap_or(usize::MAX).max(limits.xml_text)
}

fn reader(document: &dyn Source) -> Result<BufReader<Box<dyn std::io::Read + Send + '_>>, SignatureProblem> {
    match document.open() {
        Ok(input) => Ok(BufReader::with_capacity(64 * 1024, input)),
        Err(error) => {
            let fault = Fault::Io { reason: error.to_string() };
            Err(DeclarationError::placeless(fault).into())
        }
    }
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

/// A document as text, without byte order mark.
pub(super) struct Decoded {
    pub(super) text: String,
    /// It was UTF-8.
    pub(super) utf8: bool,
}

/// Decodes a document that the scanner has read, whole.
pub(super) fn decoded(document: &dyn Source) -> Result<Decoded, SignatureProblem> {
    let mut input = reader(document)?;
    let mut source = Utf8Source::new(&mut input, document.len());
    loop {
        match source.more() {
            Ok(true) => {}
            Ok(false) => break,
            Err(fault) => return Err(DeclarationError::placeless(fault).into()),
        }
    }
    let utf8 = source.charset().is_none_or(|charset| charset.encoding == encoding_rs::UTF_8);
    Ok(Decoded { text: source.text().to_owned(), utf8 })
}

/// The digest of the document without its signature, and the canonical `SignedInfo`.
pub(super) fn digests(
    text: &str,
    digest: ReferenceDigest,
    comments: bool,
) -> Result<(Vec<u8>, Vec<u8>), SignatureProblem> {
    let failed = |_| SignatureProblem::Signer("OpenSSL".to_owned());
    let mut hasher = Hasher::new(digest.message_digest()).map_err(failed)?;
    let mut signed_info = Bounded(Vec::new());
    let outputs =
        Outputs { document: &mut hasher, comments, signed_info: &mut signed_info, signed_info_comments: comments };
    canonicalise(text, outputs)?;
    Ok((hasher.finish().map_err(failed)?.to_vec(), signed_info.0))
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

/// `SignedInfo` has a few hundred bytes; a long one is an attack on memory.
struct Bounded(Vec<u8>);

const SIGNED_INFO: usize = 64 * 1024;

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len().saturating_add(bytes.len()) > SIGNED_INFO {
            let fault = Fault::ItemTooLong { max: SIGNED_INFO };
            return Err(carry(fault));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
