//! The pre-check as customs makes it: the same one that the gateway's outbox makes, and what customs says of its errors.
//!
//! | error of the pre-check | answer |
//! |---|---|
//! | in the envelope: structure (R03), its signature (R07), its parties (R01, R38) | DxpRep with the code of the finding, or 0002 |
//! | the declaration's form and structure: the code is `CEB900`, or there is none (R01 to R03) | CEB900 |
//! | with a code below zero | a receipt with that `returnStatus`, from the e-port |
//! | with another code of customs | 100 海关退单 with `[Code:…;Desc:…]` |
//! | without a code | 100 海关退单 with the finding's text |
//!
//! A finding about one document refuses that document; one about the whole message all of them. Documents are compared with
//! each other within their message, and with those that were taken before (`books`).

use crate::declaration::envelope::EnvelopeHead;
use crate::declaration::precheck::codes::CodeTables;
use crate::declaration::precheck::{self, Expectations, Facts, Finding, Ledger, Level, Levels};
use crate::ground::limits::Limits;
use crate::mime::BytesSource;

use jiff::Timestamp;

/// The code of findings that customs answers with a CEB900.
const FORMAT: &str = "CEB900";

/// What the platform says of a whole envelope or message.
pub(super) enum Whole {
    /// DxpRep with this code.
    Refused(String, String),
    /// CEB900 with this text.
    Malformed(String),
}

/// What the pre-check of one envelope came to.
pub(super) struct Verdict {
    /// Nothing of it is looked at further.
    pub(super) whole: Option<Whole>,
    /// Errors about documents: which (0: all), `returnStatus`, `returnInfo`.
    documents: Vec<(u32, String, String)>,
    /// What its documents say that others must agree with.
    pub(super) facts: Vec<Facts>,
}

impl Verdict {
    /// Customs makes no pre-check.
    pub(super) fn none() -> Verdict {
        Verdict { whole: None, documents: Vec::new(), facts: Vec::new() }
    }

    /// Checks the envelope in `bytes`; `earlier` gives the documents taken before that share a key with these.
    pub(super) fn of(
        bytes: &[u8],
        head: &EnvelopeHead,
        (tables, limits): (&CodeTables, &Limits),
        now: Timestamp,
        earlier: impl FnOnce(&[Facts]) -> Vec<Facts>,
    ) -> Verdict {
        let levels = Levels::default();
        let expect = Expectations {
            tables,
            levels: &levels,
            dxpid: Some(&head.sender_id),
            now: Some(now),
            max_bytes: limits.payload,
            ..Expectations::default()
        };
        let mut facts: Vec<Facts> = Vec::new();
        let mut report = precheck::check_for_ledger(&mut &*bytes, &expect, limits, &mut |one| facts.push(one));
        precheck::verify_signatures(&BytesSource(bytes), &mut report, &expect, limits);
        let mut ledger = Ledger::default();
        earlier(&facts).into_iter().for_each(|one| ledger.add_earlier(one));
        facts.iter().for_each(|one| ledger.add(0, one.clone()));
        report.findings.extend(ledger.judge(&levels).into_iter().map(|(_, finding)| finding));
        let errors: Vec<&Finding> = report.findings.iter().filter(|one| one.level == Level::Error).collect();
        Verdict {
            whole: errors.iter().find_map(|one| whole(one)),
            documents: errors.iter().map(|one| answer(one)).collect(),
            facts,
        }
    }

    /// `returnStatus` and `returnInfo` of a document that the pre-check refuses.
    pub(super) fn of_document(&self, number: u32) -> Option<(&str, &str)> {
        let about = self.documents.iter().find(|(about, ..)| [0, number].contains(about));
        about.map(|(_, status, info)| (status.as_str(), info.as_str()))
    }
}

fn whole(finding: &Finding) -> Option<Whole> {
    let code = finding.customs_code.as_deref();
    if is_of_the_envelope(finding) {
        let code = code.unwrap_or("0002").to_owned();
        return Some(Whole::Refused(code, finding.message_zh.clone()));
    }
    let form = matches!(finding.rule.as_str(), "R01" | "R02" | "R03");
    (code == Some(FORMAT) || (form && code.is_none())).then(|| {
        let Finding { path, line, column, message_zh, .. } = finding;
        Whole::Malformed(format!("{path} 第 {line} 行第 {column} 列：{message_zh}"))
    })
}

fn is_of_the_envelope(finding: &Finding) -> bool {
    let inside = finding.path.contains("/Data/");
    !inside
        && (finding.path.starts_with("DxpMsg") || finding.message.as_deref().is_some_and(|it| it.starts_with("Dxp")))
}

fn answer(finding: &Finding) -> (u32, String, String) {
    let text = &finding.message_zh;
    let (status, info) = match finding.customs_code.as_deref() {
        Some(code) if code.starts_with('-') => (code.to_owned(), text.clone()),
        Some(code) => ("100".to_owned(), format!("[Code:{code};Desc:{text}]")),
        None => ("100".to_owned(), format!("{text}（{}）", finding.code)),
    };
    (finding.document, status, info)
}
