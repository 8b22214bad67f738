//! The pre-check: what customs would refuse, said before anything is sent.
//!
//! One streaming pass over a declaration, or over an envelope and the declaration inside it. Four layers, in one pass:
//!
//! | layer | rules | where |
//! |---|---|---|
//! | form: XML, encoding, limits | R03 | the scanner |
//! | structure: the tables of the edition, equal to its official XSD | R03 | `structure` |
//! | fields: lists, forms, check digits | R02 R04-R06 R08 R13-R15 R21 R23 R25 R27 R28 R34-R38 | `fields` |
//! | lines, documents, messages: sums and dependencies | R07 R09 R11 R12 R18-R20 R22 R24 R26 R29-R33 R39 R40 | `rules` |
//!
//! Documents are compared with each other by a [`Ledger`] over all files of a call (R02 R10 R16-R18 R31 R33 R40-R44). The
//! [`catalogue`] lists every rule with its source and the codes of its findings; [`Levels`] changes how much they weigh.
//! Memory is bounded by the limits: one document's fields at a time, whatever the file's size.
//!
//! [`check`] sees whether a signature is there. Whether it holds (the rest of R07) needs the document twice more, for its
//! digest: [`verify_signatures`], for files that can be read again.

use std::io::BufRead;
use std::sync::LazyLock;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::envelope::{EnvelopeHead, Kind, kind_of_root};
use super::scanner::{Event, Scanner};
use super::schema::{self, Edition};
use crate::ground::limits::Limits;

mod across;
mod amount;
pub mod catalogue;
pub mod codes;
mod disagree;
mod document;
mod fields;
mod finding;
mod judge;
mod record;
mod report;
mod rules;
mod signature;
mod structure;
mod transport;

pub use across::{Facts, Ledger};
pub use document::FOREIGN_DXPID;
pub use finding::{Finding, Level, Levels, Place, UnknownRule, Weight, masked};
pub use signature::verify_signatures;

use codes::CodeTables;
use document::OnFacts;
use finding::Sheet;
pub(super) use finding::shortened;

/// What the station expects of its own declarations.
#[derive(Debug, Clone, Copy)]
pub struct Expectations<'a> {
    /// Edition of the specification.
    pub edition: &'static Edition,
    /// Our DXPID; `None` leaves it unchecked.
    pub dxpid: Option<&'a str>,
    /// Our DXPIDs in other environments, which have a finding of their own.
    pub foreign_dxpids: &'a [String],
    /// Our enterprise code in `BaseTransfer/copCode`; `None` leaves it unchecked.
    pub cop_code: Option<&'a str>,
    /// Code and name of the enterprise in the signing certificate; `None` leaves R39 unchecked.
    pub signer: Option<(&'a str, &'a str)>,
    /// The gateway signs bare declarations later, so a missing signature is no finding there; it is in an envelope.
    pub to_be_signed: bool,
    /// The present, to find times in the future; `None` leaves that unchecked.
    pub now: Option<Timestamp>,
    /// Largest file in bytes.
    pub max_bytes: u64,
    /// Receivers of import declarations.
    pub import_receivers: &'a [&'a str],
    /// Receivers of export declarations.
    pub export_receivers: &'a [&'a str],
    /// Code lists.
    pub tables: &'a CodeTables,
    /// Levels that differ from the default ones.
    pub levels: &'a Levels,
}

static BUILT_IN: LazyLock<CodeTables> = LazyLock::new(CodeTables::default);
static USUAL: LazyLock<Levels> = LazyLock::new(Levels::default);

impl Default for Expectations<'_> {
    fn default() -> Self {
        Expectations {
            edition: schema::current(),
            dxpid: None,
            foreign_dxpids: &[],
            cop_code: None,
            signer: None,
            to_be_signed: false,
            now: None,
            max_bytes: 512 * 1024 * 1024,
            import_receivers: &["DXPEDCCEB0000002"],
            export_receivers: &["DXPEDCCEB0000003"],
            tables: &BUILT_IN,
            levels: &USUAL,
        }
    }
}

impl Expectations<'_> {
    fn is_foreign(&self, dxpid: &str) -> bool {
        self.foreign_dxpids.iter().any(|foreign| foreign == dxpid)
    }
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
    /// Where the signatures stand that [`verify_signatures`] looks at.
    #[serde(skip)]
    pub signatures: Signatures,
    /// The DXPID that the document names as its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dxpid: Option<String>,
    /// Character set of the file, `UTF-8` or another name of the WHATWG.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
}

/// The signatures of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signatures {
    /// The declaration's own.
    pub document: Option<Place>,
    /// That of the envelope around it.
    pub envelope: Option<Place>,
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

/// Documents of one file that are compared with others. The schema allows a hundred; a file with more is refused, however
/// many they are.
pub const COMPARED: usize = 1000;

/// Checks a declaration or an envelope with one inside, in one streaming pass.
pub fn check(input: &mut dyn BufRead, expect: &Expectations<'_>, limits: &Limits) -> Report {
    run(input, expect, limits, None)
}

/// The same, and tells what each document says to others, for a [`Ledger`].
pub fn check_for_ledger(
    input: &mut dyn BufRead,
    expect: &Expectations<'_>,
    limits: &Limits,
    on_facts: &mut dyn FnMut(Facts),
) -> Report {
    run(input, expect, limits, Some(on_facts))
}

fn run(input: &mut dyn BufRead, expect: &Expectations<'_>, limits: &Limits, on_facts: Option<OnFacts<'_>>) -> Report {
    let mut scanner = Scanner::new(input, expect.max_bytes, limits);
    let mut report = Report {
        kind: Kind::Other { root: String::new(), namespace: String::new() },
        message_type: None,
        envelope: None,
        documents: 0,
        keys: Vec::new(),
        findings: Vec::new(),
        findings_left_out: 0,
        signatures: Signatures::default(),
        dxpid: None,
        encoding: None,
    };
    let mut sheet = Sheet::new(limits.findings, expect.levels);
    match scanner.next() {
        Err(error) => sheet.fault(&error),
        Ok(_) => {
            report.kind = kind_of_root(&scanner);
            match &report.kind {
                Kind::DxpMsg | Kind::DxpRep | Kind::DxpMsgSv => {
                    transport::check(&mut scanner, expect, limits, &mut report, &mut sheet, on_facts);
                }
                Kind::Ceb { .. } | Kind::Other { .. } => {
                    let summary = document::check(&mut scanner, expect, limits, &mut sheet, on_facts);
                    report.take(summary);
                }
            }
        }
    }
    report.encoding = scanner.charset().map(|charset| charset.encoding.name().to_owned());
    report.findings = sheet.findings;
    report.findings_left_out = sheet.left_out;
    report
}

impl Report {
    fn take(&mut self, summary: document::Summary) {
        self.message_type = summary.message_type;
        self.documents = summary.documents;
        self.keys = summary.keys;
        self.signatures.document = summary.signature;
        self.dxpid = summary.dxpid;
    }
}

/// Reads the rest of a document whose content is not looked at, so that its form is.
fn read_on(scanner: &mut Scanner<'_>, sheet: &mut Sheet<'_>) {
    loop {
        match scanner.next() {
            Ok(Event::Eof) => return,
            Ok(_) => {}
            Err(error) => return sheet.fault(&error),
        }
    }
}

#[cfg(test)]
mod tests;
