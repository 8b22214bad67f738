//! The pre-check: what customs would refuse, said before anything is sent.
//!
//! One streaming pass over a declaration, or over an envelope and the declaration inside it. It holds the form (XML,
//! encoding, limits), the identity of message and sender (R01, R02, R38) and the frame every message shares (R03):
//!
//! | rule | what |
//! |---|---|
//! | R01 | root, namespace and version known; `MsgType` and receiver fit the document |
//! | R02 | `guid`: 36 characters, an upper-case UUID, not repeated |
//! | R03 | well-formed, one encoding, envelope and frame in the schema's order, document count |
//! | R38 | `SenderId` and `BaseTransfer` are ours: `dxpId`, `dxpMode`, `copCode` |
//!
//! R04 to R37 and R39 to R44 look inside the business documents, field by field; their place is a child module beside
//! `document`, called for every field and at the end of every document.

use std::io::BufRead;

use serde::{Deserialize, Serialize};

use super::envelope::{EnvelopeHead, Kind, kind_of_root};
use super::error::DeclarationError;
use super::family;
use super::scanner::{Event, Scanner};
use crate::bilingual;
use crate::ground::limits::Limits;
use crate::ground::text::{Bilingual, Language, printable};

mod document;
mod transport;

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
    /// Refused when there is an error. An error always finds its place among the findings, before warnings.
    pub fn verdict(&self) -> Verdict {
        let refused = self.findings.iter().any(|finding| finding.level == Level::Error);
        if refused { Verdict::Refused } else { Verdict::Accepted }
    }

    /// The keys of the first document.
    pub fn first_keys(&self) -> &[BusinessKey] {
        let first = self.keys.first().map_or(0, |key| key.document);
        let count = self.keys.iter().take_while(|key| key.document == first).count();
        self.keys.get(..count).unwrap_or_default()
    }

    /// One line: type, number of documents, keys of the first.
    pub fn summary(&self) -> Bilingual {
        let name = self.message_type.as_deref().map(printable);
        let row = self.message_type.as_deref().and_then(family::find);
        let keys: Vec<String> =
            self.first_keys().iter().map(|key| format!("{}={}", key.name, printable(&key.value))).collect();
        let (keys, documents) = (keys.join(" "), self.documents);
        match (name, row) {
            (Some(name), Some(row)) => {
                let (zh, en) = (row.zh, row.en);
                let noun = if documents == 1 { "document" } else { "documents" };
                bilingual!("{name} {zh}，{documents} 份单证 {keys}", "{name} {en}, {documents} {noun} {keys}")
            }
            (Some(name), None) => bilingual!("未知报文类型 {name}", "unknown message type {name}"),
            (None, _) => bilingual!("不是海关业务报文", "not a customs business message"),
        }
    }

    /// The summary, the findings and the verdict as lines for people.
    pub fn lines(&self, language: Language) -> Vec<String> {
        let mut lines = vec![self.summary().text(language).trim_end().to_owned()];
        lines.extend(self.findings.iter().map(|finding| finding.line_for(language)));
        let left_out = self.findings_left_out;
        if left_out > 0 {
            lines.push(bilingual!("另有 {left_out} 项未列出", "{left_out} more not listed").text(language).to_owned());
        }
        let verdict = match self.verdict() {
            Verdict::Accepted => bilingual!("预检通过", "pre-check passed"),
            Verdict::Refused => bilingual!("预检不通过", "pre-check failed"),
        };
        lines.push(verdict.text(language).to_owned());
        lines
    }
}

impl Finding {
    /// The finding as one line.
    pub fn line_for(&self, language: Language) -> String {
        let level = match self.level {
            Level::Error => bilingual!("错误", "error"),
            Level::Warning => bilingual!("警告", "warning"),
        };
        let (line, column) = (self.line, self.column);
        let place = if line == 0 {
            bilingual!("", "")
        } else {
            bilingual!(" 第 {line} 行第 {column} 列", " line {line} column {column}")
        };
        let path = if self.path.is_empty() { String::new() } else { format!(" {}", printable(&self.path)) };
        let (level, place, text) = (level.text(language), place.text(language), self.text.text(language));
        format!("{level} {}{place}{path}: {text} [{}]", self.rule, self.code)
    }
}

/// Checks a declaration or an envelope with one inside, in one streaming pass.
pub fn check(input: &mut dyn BufRead, expect: &Expectations<'_>, limits: &Limits) -> Report {
    let mut scanner = Scanner::new(input, expect.max_bytes, limits);
    let mut report = Report {
        kind: Kind::Other { root: String::new(), namespace: String::new() },
        message_type: None,
        envelope: None,
        documents: 0,
        keys: Vec::new(),
        findings: Vec::new(),
        findings_left_out: 0,
    };
    let mut sheet = Sheet::new(limits);
    match scanner.next() {
        Err(error) => sheet.fault(&error),
        Ok(_) => {
            report.kind = kind_of_root(&scanner);
            match &report.kind {
                Kind::DxpMsg | Kind::DxpRep | Kind::DxpMsgSv => {
                    transport::check(&mut scanner, expect, limits, &mut report, &mut sheet);
                }
                Kind::Ceb { .. } | Kind::Other { .. } => {
                    let summary = document::check(&mut scanner, expect, limits, &mut sheet);
                    report.take(summary);
                }
            }
        }
    }
    report.findings = sheet.findings;
    report.findings_left_out = sheet.left_out;
    report
}

impl Report {
    fn take(&mut self, summary: document::Summary) {
        self.message_type = summary.message_type;
        self.documents = summary.documents;
        self.keys = summary.keys;
    }
}

/// The findings while they are made.
struct Sheet {
    findings: Vec<Finding>,
    left_out: u32,
    max: usize,
}

impl Sheet {
    fn new(limits: &Limits) -> Sheet {
        Sheet { findings: Vec::new(), left_out: 0, max: limits.findings.max(1) }
    }

    /// Adds a finding. When the sheet is full an error takes the place of the last warning.
    fn add(&mut self, finding: Finding) {
        if self.findings.len() < self.max {
            self.findings.push(finding);
            return;
        }
        self.left_out = self.left_out.saturating_add(1);
        if finding.level == Level::Error
            && let Some(at) = self.findings.iter().rposition(|old| old.level == Level::Warning)
        {
            self.findings.remove(at);
            self.findings.push(finding);
        }
    }

    /// A finding at the start tag of the element the scanner is at.
    fn at(&mut self, scanner: &Scanner<'_>, rule: &str, level: Level, code: &str, text: Bilingual) {
        let (line, column) = scanner.element().map_or((0, 0), |element| (element.at.line, element.at.column));
        let (rule, code) = (rule.to_owned(), code.to_owned());
        self.add(Finding { rule, level, code, line, column, path: scanner.path(), text });
    }

    /// A finding without a line.
    fn about(&mut self, path: &str, rule: &str, level: Level, code: &str, text: Bilingual) {
        let (rule, code, path) = (rule.to_owned(), code.to_owned(), path.to_owned());
        self.add(Finding { rule, level, code, line: 0, column: 0, path, text });
    }

    /// What ended the pass, or a deviation of the envelope.
    fn fault(&mut self, error: &DeclarationError) {
        self.add(Finding {
            rule: "R03".to_owned(),
            level: Level::Error,
            code: error.code().to_owned(),
            line: error.line,
            column: error.column,
            path: error.path.clone(),
            text: error.fault.text(),
        });
    }

    /// Everything another sheet found, after this one's.
    fn append(&mut self, other: Sheet) {
        self.left_out = self.left_out.saturating_add(other.left_out);
        for finding in other.findings {
            self.add(finding);
        }
    }
}

/// Reads the rest of a document whose content is not looked at, so that its form is.
fn read_on(scanner: &mut Scanner<'_>, sheet: &mut Sheet) {
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
