//! The pre-check: what customs would refuse, said before anything is sent.

use std::io::BufRead;

use serde::{Deserialize, Serialize};

use super::envelope::{EnvelopeHead, Kind};
use crate::ground::limits::Limits;
use crate::ground::text::{Bilingual, Language};

/// What the station expects of its own declarations.
#[derive(Debug, Clone, Copy)]
pub struct Expectations<'a> {
    /// Our DXPID; `None` leaves it unchecked.
    pub dxpid: Option<&'a str>,
    /// Our enterprise code in `BaseTransfer/copCode`; `None` leaves it unchecked.
    pub cop_code: Option<&'a str>,
    /// Largest file in bytes.
    pub max_bytes: u64,
    /// Receivers of import declarations.
    pub import_receivers: &'a [&'a str],
    /// Receivers of export declarations.
    pub export_receivers: &'a [&'a str],
}

impl Default for Expectations<'_> {
    fn default() -> Self {
        Expectations {
            dxpid: None,
            cop_code: None,
            max_bytes: 512 * 1024 * 1024,
            import_receivers: &["DXPEDCCEB0000002"],
            export_receivers: &["DXPEDCCEB0000003"],
        }
    }
}

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Worth a look; the document may be sent.
    Warning,
    /// Customs would refuse it; it is not sent.
    Error,
}

/// One result of the pre-check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Rule, `R01` to `R44`.
    pub rule: String,
    /// Its weight.
    pub level: Level,
    /// Stable kebab-case code.
    pub code: String,
    /// Line, from 1; 0 when the finding is about the file as a whole.
    pub line: u64,
    /// Column in characters, from 1; 0 as above.
    pub column: u64,
    /// Path of elements; `DxpMsg/Data/CEB311Message/…` inside an envelope, whose lines then count inside the document.
    pub path: String,
    /// What, and what to do.
    pub text: Bilingual,
}

/// A field that identifies a business document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BusinessKey {
    /// Which document of the message, from 1.
    pub document: u32,
    /// Field name, such as `orderNo`.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// All the pre-check can say about one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Kind of the file.
    pub kind: Kind,
    /// Type of the business message, in the envelope or bare.
    pub message_type: Option<String>,
    /// Head of the envelope, when there is one.
    pub envelope: Option<EnvelopeHead>,
    /// Number of business documents.
    pub documents: u32,
    /// Keys of the documents, in order; bounded.
    pub keys: Vec<BusinessKey>,
    /// Findings in document order, bounded by [`Limits::findings`].
    pub findings: Vec<Finding>,
    /// Findings beyond that bound.
    pub findings_left_out: u32,
}

/// May the file be sent?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// No error among the findings.
    Accepted,
    /// At least one error.
    Refused,
}

impl Report {
    /// Refused when there is an error, also among the findings left out.
    pub fn verdict(&self) -> Verdict {
        unimplemented!()
    }

    /// The summary and the findings as lines for people.
    pub fn lines(&self, language: Language) -> Vec<String> {
        let _ = language;
        unimplemented!()
    }
}

/// Checks a declaration or an envelope with one inside, in one streaming pass.
pub fn check(input: &mut dyn BufRead, expect: &Expectations<'_>, limits: &Limits) -> Report {
    let _ = (input, expect, limits);
    unimplemented!()
}
