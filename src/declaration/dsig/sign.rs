//! Makes the signature: the document's own bytes stay, the signature is put in, and what comes out is verified.
//!
//! So that every canonicalization met in practice gives the same bytes, the root declares the prefixes `ds` and `xsi`, and
//! no blank is put around the signature. What was not UTF-8 becomes UTF-8; a byte order mark goes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openssl::pkey::{PKey, Private};
use openssl::sign::Signer;
use quick_xml::events::{BytesStart, Event as Token};
use quick_xml::reader::Reader;

use super::super::DSIG_NS;
use super::super::error::{DeclarationError, Fault};
use super::super::family::{self, Family};
use super::algorithm::{Algorithm, C14N, ENVELOPED};
use super::problem::SignatureProblem;
use super::verify::{self, Decoded, Verified};
use crate::cms::{Certificate, sm2};
use crate::ground::limits::Limits;
use crate::mime::BytesSource;

/// Something that signs: a key in a file, later a device. A device may be slow (a Ukey makes about four signatures a
/// second): whoever calls it holds a queue and keeps to [`per_minute`](DocumentSigner::per_minute).
pub trait DocumentSigner: Send + Sync {
    /// How it signs: [`Algorithm::Sm2Sm3`] or [`Algorithm::RsaSha1`].
    fn algorithm(&self) -> Algorithm;

    /// The certificate that goes into the signature.
    fn certificate(&self) -> &Certificate;

    /// The signature value over a canonical `SignedInfo`.
    ///
    /// # Errors
    /// [`SignatureProblem::Signer`] with the reason.
    fn sign(&self, signed_info: &[u8]) -> Result<Vec<u8>, SignatureProblem>;

    /// Signatures a minute that it can make; `None`: as many as the processor can.
    fn per_minute(&self) -> Option<u32> {
        None
    }
}

/// A private key in memory.
pub struct KeySigner {
    key: PKey<Private>,
    certificate: Certificate,
    algorithm: Algorithm,
}

impl KeySigner {
    /// A key and its certificate; SM2 keys sign with SM2/SM3, RSA keys with RSA/SHA-1.
    ///
    /// # Errors
    /// [`SignatureProblem::Key`] when they do not belong together or are of another kind.
    pub fn new(key: PKey<Private>, certificate: Certificate) -> Result<KeySigner, SignatureProblem> {
        let public = certificate.x509().public_key().map_err(|_| SignatureProblem::Certificate)?;
        let algorithm = if sm2::public_point(&key).is_some() {
            Algorithm::Sm2Sm3
        } else if key.rsa().is_ok() && (1024..=8192).contains(&key.bits()) {
            Algorithm::RsaSha1
        } else {
            return Err(SignatureProblem::Key);
        };
        if !key.public_eq(&public) {
            return Err(SignatureProblem::Key);
        }
        Ok(KeySigner { key, certificate, algorithm })
    }
}

impl std::fmt::Debug for KeySigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeySigner").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

impl DocumentSigner for KeySigner {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    fn sign(&self, signed_info: &[u8]) -> Result<Vec<u8>, SignatureProblem> {
        let value = match self.algorithm {
            Algorithm::Sm2Sm3 => sm2::sign(&self.key, signed_info).map(|value| value.to_vec()),
            Algorithm::RsaSha1 | Algorithm::RsaSha256 => {
                Signer::new(self.algorithm.digest().message_digest(), &self.key)
                    .and_then(|mut signer| signer.sign_oneshot_to_vec(signed_info))
            }
        };
        value.map_err(|error| SignatureProblem::Signer(error.to_string()))
    }
}

/// The document with a signature by `signer`, as UTF-8.
///
/// # Errors
/// The document cannot be read, has a signature already, or signing failed.
pub fn sign(document: &[u8], signer: &dyn DocumentSigner, limits: &Limits) -> Result<Vec<u8>, SignatureProblem> {
    let text = utf8(document)?;
    let places = places(&text)?;
    let (front, back) = text.split_at_checked(places.signature).ok_or(SignatureProblem::Shape("Signature"))?;
    let (head, rest) = front.split_at_checked(places.declarations).ok_or(SignatureProblem::Shape("Signature"))?;
    let front = [head, &places.missing, rest].concat();
    let digest = signer.algorithm().digest();
    let (value, _) = verify::digests(&[front.as_str(), back].concat(), digest, false)?;
    let signed_info = signed_info(signer.algorithm(), &value);
    // The canonical SignedInfo shows what it inherits, so it is taken where it will stand.
    let draft = [&front, &signature(&places.own, &signed_info, "", ""), back].concat();
    let (_, canonical) = verify::digests(&draft, digest, false)?;
    let value = STANDARD.encode(signer.sign(&canonical)?);
    let signature = signature(&places.own, &signed_info, &value, &key_info(signer.certificate()));
    let signed = [&front, &signature, back].concat().into_bytes();
    let Verified { variants, .. } = verify::verify(&BytesSource(&signed), limits)?;
    if !variants.is_empty() {
        return Err(SignatureProblem::Signer("the signature made is not of the specification".to_owned()));
    }
    Ok(signed)
}

fn signed_info(algorithm: Algorithm, digest: &[u8]) -> String {
    let (method, digest_method) = (algorithm.uri(), algorithm.digest().uri());
    let value = STANDARD.encode(digest);
    format!(
        "<ds:SignedInfo><ds:CanonicalizationMethod Algorithm=\"{C14N}\"></ds:CanonicalizationMethod>\
         <ds:SignatureMethod Algorithm=\"{method}\"></ds:SignatureMethod><ds:Reference URI=\"\"><ds:Transforms>\
         <ds:Transform Algorithm=\"{ENVELOPED}\"></ds:Transform></ds:Transforms>\
         <ds:DigestMethod Algorithm=\"{digest_method}\"></ds:DigestMethod><ds:DigestValue>{value}</ds:DigestValue>\
         </ds:Reference></ds:SignedInfo>"
    )
}

fn key_info(certificate: &Certificate) -> String {
    let (serial, der) = (certificate.serial().to_ascii_uppercase(), STANDARD.encode(certificate.der()));
    format!(
        "<ds:KeyInfo><ds:KeyName>{serial}</ds:KeyName><ds:X509Data><ds:X509Certificate>{der}</ds:X509Certificate>\
         </ds:X509Data></ds:KeyInfo>"
    )
}

fn signature(own: &str, signed_info: &str, value: &str, key_info: &str) -> String {
    format!("<ds:Signature{own}>{signed_info}<ds:SignatureValue>{value}</ds:SignatureValue>{key_info}</ds:Signature>")
}

/// The document as UTF-8 without byte order mark; a declaration of another encoding is rewritten.
fn utf8(document: &[u8]) -> Result<String, SignatureProblem> {
    let Decoded { text, utf8 } = verify::decoded(&BytesSource(document))?;
    match text.strip_prefix("<?xml").and_then(|rest| rest.split_once("?>")) {
        Some((_, rest)) if !utf8 => Ok(format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>{rest}")),
        _ => Ok(text),
    }
}

/// Where things are put in.
struct Places {
    /// Offset in the root's start tag for further declarations.
    declarations: usize,
    /// The declarations that the root lacks.
    missing: String,
    /// Offset of the signature.
    signature: usize,
    /// The declaration that the signature itself needs, when the root gives `ds` another meaning.
    own: String,
}

/// The signature is the last child of the root, but stands in front of `ExtendMessage` in export messages.
fn places(text: &str) -> Result<Places, SignatureProblem> {
    let mut reader = Reader::from_str(text);
    let mut found: Option<Places> = None;
    let mut before_extension = false;
    let mut depth = 0usize;
    loop {
        let before = offset(&reader);
        let token = reader.read_event().map_err(|error| {
            let fault = Fault::Malformed { reason: error.to_string().chars().take(200).collect() };
            DeclarationError::placeless(fault)
        })?;
        match token {
            Token::Start(start) => {
                let local = start.local_name();
                let local: &str = local.as_ref();
                if depth == 0 {
                    before_extension = family::receiver_for(local) == Some(Family::Export);
                    found = Some(root(&start, offset(&reader)));
                } else if depth == 1 && local == "Signature" {
                    return Err(SignatureProblem::Present);
                } else if depth == 1
                    && before_extension
                    && local == "ExtendMessage"
                    && let Some(places) = found.as_mut().filter(|places| places.signature == 0)
                {
                    places.signature = before;
                }
                depth = depth.saturating_add(1);
            }
            Token::End(_) => {
                depth = depth.saturating_sub(1);
                if let (0, Some(places)) = (depth, found.as_mut())
                    && places.signature == 0
                {
                    places.signature = before;
                }
            }
            Token::Eof => break,
            _ => {}
        }
    }
    let complete = found.filter(|places| places.signature > 0 && depth == 0);
    complete.ok_or_else(|| DeclarationError::placeless(Fault::Empty).into())
}

fn offset(reader: &Reader<&[u8]>) -> usize {
    usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX)
}

/// `end` is the offset behind the root's start tag.
fn root(start: &BytesStart<'_>, end: usize) -> Places {
    let bound = |prefix: &str| {
        let name = format!("xmlns:{prefix}");
        start.try_get_attribute(name.as_str()).ok().flatten().map(|attribute| attribute.value.into_owned())
    };
    let mut missing = String::new();
    let mut own = String::new();
    match bound("ds") {
        None => missing.push_str(&format!(" xmlns:ds=\"{DSIG_NS}\"")),
        Some(uri) if uri == DSIG_NS => {}
        Some(_) => own = format!(" xmlns:ds=\"{DSIG_NS}\""),
    }
    if bound("xsi").is_none() {
        missing.push_str(&format!(" xmlns:xsi=\"{XSI_NS}\""));
    }
    Places { declarations: end.saturating_sub(1), missing, signature: 0, own }
}

/// Namespace of XML Schema instances, which the specification's examples declare.
const XSI_NS: &str = "http://www.w3.org/2001/XMLSchema-instance";
