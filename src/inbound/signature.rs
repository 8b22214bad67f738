//! Signatures (XML-DSig) inside what a customs partner sent: looked at and noted in the meta file. Nothing is refused for
//! them, for the signature of AS2 has said already whom it is from.

use std::io::{self, Read};

use serde::Serialize;

use super::Inbound;
use crate::declaration::dsig::{self, SignatureProblem};
use crate::ground::text::Bilingual;
use crate::mime::Source;
use crate::partner::Partner;
use crate::store::Store;
use crate::store::draft::Draft;

/// What `<name>.meta.json` says about one signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct SignatureMeta {
    /// `envelope` or `document`.
    of: &'static str,
    valid: bool,
    /// URI of its method, when it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'static str>,
    /// SHA-256 of the signer's certificate, when it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    signer: Option<String>,
    /// Codes of ways in which it differs from the specification.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    deviations: Vec<&'static str>,
    /// Why it does not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Bilingual>,
}

impl Inbound {
    /// Looks at the signatures of a payload and of the document that was taken out of it.
    pub(super) fn signatures(
        &self,
        partner: &Partner,
        payload: &Draft,
        document: Option<&Draft>,
    ) -> Vec<SignatureMeta> {
        let outer = if document.is_some() { "envelope" } else { "document" };
        let both = [(outer, Some(payload)), ("document", document)];
        let found = both.into_iter().filter_map(|(of, draft)| self.look(of, draft?));
        let found: Vec<SignatureMeta> = found.collect();
        for one in found.iter().filter(|one| !one.valid) {
            tracing::warn!(partner = %partner.id, of = one.of, code = one.code, "a signature inside what arrived does not hold");
        }
        found
    }

    fn look(&self, of: &'static str, draft: &Draft) -> Option<SignatureMeta> {
        let nothing = SignatureMeta {
            of,
            valid: false,
            method: None,
            signer: None,
            deviations: Vec::new(),
            code: None,
            problem: None,
        };
        match dsig::verify(&DraftSource { draft, store: &self.store }, &self.limits) {
            Err(SignatureProblem::Missing | SignatureProblem::Document(_)) => None,
            Err(problem) => {
                Some(SignatureMeta { code: Some(problem.code()), problem: Some(problem.text()), ..nothing })
            }
            Ok(verified) => Some(SignatureMeta {
                valid: true,
                method: Some(verified.algorithm.uri()),
                signer: Some(verified.certificate.fingerprint().to_string()),
                deviations: verified.variants.iter().map(|variant| variant.code()).collect(),
                ..nothing
            }),
        }
    }
}

/// A draft as something that can be read again.
struct DraftSource<'d> {
    draft: &'d Draft,
    store: &'d Store,
}

impl Source for DraftSource<'_> {
    fn len(&self) -> u64 {
        self.draft.len()
    }

    fn open(&self) -> io::Result<Box<dyn Read + Send + '_>> {
        self.draft.open(self.store)
    }
}
