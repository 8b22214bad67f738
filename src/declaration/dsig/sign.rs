//! Makes the signature: the document's own bytes stay, the signature is put in, and what comes out is verified.
//!
//! So that every canonicalization met in practice gives the same bytes, the root declares the prefixes `ds` and `xsi`, and
//! no blank is put around the signature. What was not UTF-8 becomes UTF-8; a byte order mark goes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openssl::pkey::{PKey, Private};
use openssl::sign::Signer;

use super::super::DSIG_NS;
use super::super::error::{DeclarationError, Fault};
use super::super::family::{self, Family};
use super::super::scanner::{Event, Namespace};
use super::algorithm::{Algorithm, C14N, ENVELOPED};
use super::document::Document;
use super::problem::{SignatureProblem, Variant};
use super::splice::{Spliced, Utf8};
use super::verify;
use crate::cms::{Certificate, sm2};
use crate::ground::limits::Limits;
use crate::mime::Source;

/// Something that signs: a key in a file, later a device. A device may be slow (a Ukey makes about four signatures a
/// second), and takes one task at a time: whoever calls it holds a queue.
pub trait DocumentSigner: Send + Sync + std::fmt::Debug {
    /// How it signs: [`Algorithm::Sm2Sm3`] or [`Algorithm::RsaSha1`].
    fn algorithm(&self) -> Algorithm;

    /// The certificate that goes into the signature.
    fn certificate(&self) -> &Certificate;

    /// The signature value over a canonical `SignedInfo`.
    ///
    /// # Errors
    /// [`SignatureProblem::Signer`] with the reason.
    fn sign(&self, signed_info: &[u8]) -> Result<Vec<u8>, SignatureProblem>;

    /// `KeyName`: the certificate's serial number, unless another one was agreed.
    fn key_name(&self) -> String {
        self.certificate().serial().to_ascii_uppercase()
    }
}

/// A private key in memory.
pub struct KeySigner {
    key: PKey<Private>,
    certificate: Certificate,
    algorithm: Algorithm,
    key_name: Option<String>,
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
        Ok(KeySigner { key, certificate, algorithm, key_name: None })
    }

    /// With another `KeyName` than the certificate's serial number.
    #[must_use]
    pub fn named(self, key_name: Option<String>) -> KeySigner {
        KeySigner { key_name, ..self }
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

    fn key_name(&self) -> String {
        self.key_name.clone().unwrap_or_else(|| self.certificate.serial().to_ascii_uppercase())
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

/// The document with a signature by `signer`, as UTF-8, to be read as often as wanted. In constant memory for documents in
/// UTF-8.
///
/// # Errors
/// The document cannot be read, has a signature already, or signing failed.
pub fn sign<'d>(
    document: &'d dyn Source,
    signer: &dyn DocumentSigner,
    limits: &'d Limits,
) -> Result<Spliced<'d>, SignatureProblem> {
    let mut spliced = Spliced::new(Utf8::of(document, limits)?);
    let places = places(&Document::whole(&spliced, limits))?;
    spliced.put(places.declarations, places.missing);
    let digest = signer.algorithm().digest();
    let (value, _) = Document::whole(&spliced, limits).digests(digest, false)?;
    let signed_info = signed_info(signer.algorithm(), &value);
    // The canonical SignedInfo shows what it inherits, so it is taken where it will stand.
    spliced.put(places.signature, signature(&places.own, &signed_info, "", ""));
    let (_, canonical) = Document::whole(&spliced, limits).digests(digest, false)?;
    let value = STANDARD.encode(signer.sign(&canonical)?);
    spliced.replace_last(signature(&places.own, &signed_info, &value, &key_info(signer)));
    let verified = verify::verify(&spliced, limits)?;
    if verified.variants.iter().any(|variant| *variant != Variant::KeyName) {
        return Err(SignatureProblem::Signer("the signature made is not of the specification".to_owned()));
    }
    Ok(spliced)
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

fn key_info(signer: &dyn DocumentSigner) -> String {
    let der = STANDARD.encode(signer.certificate().der());
    let name = signer.key_name().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!(
        "<ds:KeyInfo><ds:KeyName>{name}</ds:KeyName><ds:X509Data><ds:X509Certificate>{der}</ds:X509Certificate>\
         </ds:X509Data></ds:KeyInfo>"
    )
}

fn signature(own: &str, signed_info: &str, value: &str, key_info: &str) -> String {
    format!("<ds:Signature{own}>{signed_info}<ds:SignatureValue>{value}</ds:SignatureValue>{key_info}</ds:Signature>")
}

/// Where things are put in.
struct Places {
    /// Offset in the root's start tag for further declarations.
    declarations: u64,
    /// The declarations that the root lacks.
    missing: String,
    /// Offset of the signature.
    signature: u64,
    /// The declaration that the signature itself needs, when the root gives `ds` another meaning.
    own: String,
}

/// The signature is the last child of the root, but stands in front of `ExtendMessage` in export messages.
fn places(document: &Document<'_>) -> Result<Places, SignatureProblem> {
    let mut found: Option<Places> = None;
    let mut before_extension = false;
    document.read(None, &mut |event, scanner| {
        let Some(element) = scanner.element() else { return Ok(()) };
        match (event, scanner.depth()) {
            (Event::Start, 1) => {
                before_extension = family::receiver_for(element.local()) == Some(Family::Export);
                let (mut missing, mut own) = (String::new(), String::new());
                match scanner.bound("ds") {
                    None => missing.push_str(&format!(" xmlns:ds=\"{DSIG_NS}\"")),
                    Some(Namespace::Dsig) => {}
                    Some(_) => own = format!(" xmlns:ds=\"{DSIG_NS}\""),
                }
                if scanner.bound("xsi").is_none() {
                    missing.push_str(&format!(" xmlns:xsi=\"{XSI_NS}\""));
                }
                let declarations = scanner.offset().saturating_sub(1);
                found = Some(Places { declarations, missing, signature: 0, own });
            }
            (Event::Start, 2) if element.is(&Namespace::Dsig, "Signature") => return Err(SignatureProblem::Present),
            (Event::Start, 2) if before_extension && element.is(&Namespace::Ceb, "ExtendMessage") => {
                let place = scanner.tag_offset();
                if let Some(places) = found.as_mut().filter(|places| places.signature == 0) {
                    places.signature = place;
                }
            }
            (Event::End, 1) => {
                let place = scanner.tag_offset();
                // `<root/>` has no end tag to stand before.
                if let Some(places) = found.as_mut().filter(|it| it.signature == 0 && place > it.declarations) {
                    places.signature = place;
                }
            }
            _ => {}
        }
        Ok(())
    })?;
    found.filter(|places| places.signature > 0).ok_or_else(|| DeclarationError::placeless(Fault::Empty).into())
}

/// Namespace of XML Schema instances, which the specification's examples declare.
const XSI_NS: &str = "http://www.w3.org/2001/XMLSchema-instance";
