//! The fields of the `ds:Signature` that is a child of the root.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::scanner::{Element, Event, Namespace};
use super::document::Document;
use super::problem::SignatureProblem;

/// What a signature says, not judged yet.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Fields {
    pub(super) canonicalization: String,
    pub(super) method: String,
    pub(super) reference_uri: String,
    pub(super) transforms: Vec<String>,
    pub(super) digest_method: String,
    pub(super) digest: Vec<u8>,
    pub(super) value: Vec<u8>,
    pub(super) key_name: Option<String>,
    /// In DER; the first is the signer's.
    pub(super) certificates: Vec<Vec<u8>>,
}

/// Most transforms and certificates looked at.
const MOST: usize = 8;
/// Elements between the document and the signature's own: the root and `Signature`.
const ABOVE: usize = 2;

/// Reads the signature of a document.
pub(super) fn read(document: &Document<'_>) -> Result<Fields, SignatureProblem> {
    let mut found: Option<Reading> = None;
    let mut inside = false;
    document.read(None, &mut |event, scanner| {
        let depth = scanner.depth();
        let Some(element) = scanner.element() else { return Ok(()) };
        let signature = depth == ABOVE && element.is(&Namespace::Dsig, "Signature");
        match event {
            Event::Start if signature && found.is_some() => return Err(SignatureProblem::Several),
            Event::Start if signature => (found, inside) = (Some(Reading::default()), true),
            Event::End if signature => inside = false,
            Event::Start | Event::End if inside => {
                let path: Vec<&str> =
                    (ABOVE..depth).filter_map(|below| scanner.ancestor(below.saturating_add(1))).map(name).collect();
                let reading = found.as_mut().ok_or(SignatureProblem::Missing)?;
                match event {
                    Event::Start => reading.start(&path, element.attribute("Algorithm"), element.attribute("URI"))?,
                    _ => reading.end(&path, element.parent, scanner.text())?,
                }
            }
            _ => {}
        }
        Ok(())
    })?;
    found.ok_or(SignatureProblem::Missing)?.finish()
}

/// Whether a document has a signature, of whatever quality. One that cannot be read has none.
pub(super) fn is_there(document: &Document<'_>) -> bool {
    let mut found = false;
    let whole = document.read(None, &mut |event, scanner| {
        let here = event == Event::Start && scanner.depth() == ABOVE;
        found |= here && scanner.element().is_some_and(|element| element.is(&Namespace::Dsig, "Signature"));
        Ok(())
    });
    found && whole.is_ok()
}

/// The local name of an element of XML-DSig; others are called nothing, and match nothing.
fn name(element: &Element) -> &str {
    if element.namespace == Namespace::Dsig { element.local() } else { "" }
}

#[derive(Default)]
struct Reading {
    fields: Fields,
    canonicalization: Option<String>,
    method: Option<String>,
    reference: Option<String>,
    digest_method: Option<String>,
    digest: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    signed_infos: usize,
}

impl Reading {
    fn start(&mut self, path: &[&str], algorithm: Option<&str>, uri: Option<&str>) -> Result<(), SignatureProblem> {
        let algorithm = || algorithm.map(str::to_owned).ok_or(SignatureProblem::Shape("Algorithm"));
        match path {
            ["SignedInfo"] => {
                self.signed_infos = self.signed_infos.saturating_add(1);
                if self.signed_infos == 1 { Ok(()) } else { Err(SignatureProblem::Shape("SignedInfo")) }
            }
            ["SignedInfo", "CanonicalizationMethod"] => {
                once(&mut self.canonicalization, algorithm()?, "CanonicalizationMethod")
            }
            ["SignedInfo", "SignatureMethod"] => once(&mut self.method, algorithm()?, "SignatureMethod"),
            ["SignedInfo", "Reference"] => {
                let uri = uri.ok_or(SignatureProblem::Shape("Reference/@URI"))?;
                once(&mut self.reference, uri.to_owned(), "Reference")
            }
            ["SignedInfo", "Reference", "Transforms", "Transform"] if self.fields.transforms.len() < MOST => {
                self.fields.transforms.push(algorithm()?);
                Ok(())
            }
            ["SignedInfo", "Reference", "DigestMethod"] => once(&mut self.digest_method, algorithm()?, "DigestMethod"),
            ["SignedInfo", "Reference", "DigestValue" | "Transforms"] => Ok(()),
            ["SignedInfo", ..] => Err(SignatureProblem::Shape("SignedInfo")),
            _ => Ok(()),
        }
    }

    /// A value is the whole text of its element: with elements inside, it is not clear what it is.
    fn end(&mut self, path: &[&str], parent: bool, text: &str) -> Result<(), SignatureProblem> {
        match path {
            ["SignedInfo", "Reference", "DigestValue"]
            | ["SignatureValue"]
            | ["KeyInfo", "X509Data", "X509Certificate"]
                if parent =>
            {
                Err(SignatureProblem::Shape("Signature"))
            }
            ["SignedInfo", "Reference", "DigestValue"] => {
                once(&mut self.digest, base64(text).ok_or(SignatureProblem::Shape("DigestValue"))?, "DigestValue")
            }
            ["SignatureValue"] => {
                once(&mut self.value, base64(text).ok_or(SignatureProblem::Shape("SignatureValue"))?, "SignatureValue")
            }
            ["KeyInfo", "KeyName"] => {
                self.fields.key_name.get_or_insert_with(|| text.trim().to_owned());
                Ok(())
            }
            ["KeyInfo", "X509Data", "X509Certificate"] if self.fields.certificates.len() < MOST => {
                self.fields.certificates.push(base64(text).ok_or(SignatureProblem::Certificate)?);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn finish(self) -> Result<Fields, SignatureProblem> {
        let missing = SignatureProblem::Shape;
        Ok(Fields {
            canonicalization: self.canonicalization.ok_or(missing("CanonicalizationMethod"))?,
            method: self.method.ok_or(missing("SignatureMethod"))?,
            reference_uri: self.reference.ok_or(missing("Reference"))?,
            digest_method: self.digest_method.ok_or(missing("DigestMethod"))?,
            digest: self.digest.ok_or(missing("DigestValue"))?,
            value: self.value.ok_or(missing("SignatureValue"))?,
            ..self.fields
        })
    }
}

/// What may stand there once. A second one could be meant for another reader.
fn once<T>(place: &mut Option<T>, value: T, name: &'static str) -> Result<(), SignatureProblem> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(SignatureProblem::Shape(name)),
    }
}

/// Base64 with blanks and line ends anywhere.
fn base64(text: &str) -> Option<Vec<u8>> {
    let dense: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    STANDARD.decode(dense).ok()
}
