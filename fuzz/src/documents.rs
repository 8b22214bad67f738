//! What travels with customs: declarations, envelopes, receipts, signatures, and the form for a DXPID.

use std::io::Cursor;

use dxgate::declaration::dsig::{self, SignatureProblem};
use dxgate::declaration::envelope::{self, TransportResponse, Unwrapped};
use dxgate::declaration::precheck::{self, Expectations, Ledger, Level, Report, Signatures};
use dxgate::declaration::{self, form, receipt, standing};
use dxgate::ground::limits::Limits;
use dxgate::mime::BytesSource;

use super::{SIGNER, limits};

/// DxpMsg, DxpRep and their services. A response of the transport is read again from what is written of it.
pub(super) fn dxp_envelope(data: &[u8]) {
    let limits = limits();
    let mut document = Vec::new();
    let _ = envelope::sniff(&mut Cursor::new(data), &limits);
    if let Ok(Unwrapped::Response { response }) = envelope::unwrap(&mut Cursor::new(data), &mut document, &limits) {
        is_written_again(response, &limits);
    }
    let Ok(receipt) = receipt::read(&mut Cursor::new(data), &limits) else { return };
    for entry in &receipt.entries {
        let (_, text) = receipt::meaning(&receipt.message_type, &entry.status);
        assert!(!text.zh.is_empty() && !text.en.is_empty());
        let _ = receipt::instant(&entry.time);
        let _ = standing::numbers(&entry.keys);
        let _ = receipt::concerns(entry, &receipt.message_type, &entry.keys);
    }
}

fn is_written_again(mut response: TransportResponse, limits: &Limits) {
    for one in &mut response.responses {
        let text = envelope::response_meaning(&one.code);
        assert!(!text.zh.is_empty() && !text.en.is_empty());
        // The schema wants one.
        one.notice_time.get_or_insert_default();
    }
    // What found no room was not kept.
    response.left_out = 0;
    let written = envelope::write_response(&response);
    // Escapes make a text longer than it may be.
    if response.responses.is_empty() || written.len() > limits.xml_text {
        return;
    }
    let again = envelope::unwrap(&mut written.as_slice(), &mut Vec::new(), limits).expect("what we write we can read");
    assert_eq!(again, Unwrapped::Response { response });
}

/// A file that the application form names, taken for a PDF and for a photograph.
pub(super) fn form_attachment(data: &[u8]) {
    let size = data.len() as u64;
    for size in [size, form::LARGEST + 1] {
        let attachments: Vec<form::Attachment> = form::field_names()
            .map(|path| {
                let content = form::Content::Bytes { bytes: data.to_vec(), size };
                form::Attachment { path, name: "file".to_owned(), content }
            })
            .collect();
        let mut answers = form::Form::default();
        for path in form::field_names() {
            answers.put(path, form::Answer { value: form::Value::Text("file".to_owned()), line: 1, column: 1 });
        }
        let _ = form::check(&answers, &attachments);
    }
}

/// The pre-check of a declaration, and of its signatures: these take away no error, and add nothing where there are none.
pub(super) fn precheck(data: &[u8]) {
    let (limits, expectations) = (limits(), Expectations::default());
    let before = precheck::check(&mut Cursor::new(data), &expectations, &limits);
    let mut report = before.clone();
    precheck::verify_signatures(&BytesSource(data), &mut report, &expectations, &limits);
    let errors = |report: &Report| report.findings.iter().filter(|finding| finding.level == Level::Error).count();
    assert!(report.findings.len() <= limits.findings && errors(&report) >= errors(&before));
    assert!(before.signatures != Signatures::default() || report == before, "there was nothing to verify");
}

/// Declarations that are held against each other; each stands behind a line `####`.
pub(super) fn precheck_ledger(data: &[u8]) {
    let limits = limits();
    let expectations = Expectations::default();
    let lines: Vec<&[u8]> = data.split_inclusive(|byte| *byte == b'\n').collect();
    let mut ledger = Ledger::default();
    let mut documents = 0;
    for (number, text) in
        lines.split(|line| line.trim_ascii_end() == b"####").map(<[&[u8]]>::concat).take(16).enumerate()
    {
        let mut facts = Vec::new();
        let report =
            precheck::check_for_ledger(&mut text.as_slice(), &expectations, &limits, &mut |fact| facts.push(fact));
        assert_eq!(
            report,
            precheck::check(&mut text.as_slice(), &expectations, &limits),
            "who listens changes nothing"
        );
        documents += facts.len();
        // Every other file was sent before.
        facts
            .into_iter()
            .for_each(|facts| if number % 2 == 0 { ledger.add_earlier(facts) } else { ledger.add(number, facts) });
    }
    assert!(ledger.left_out() <= documents);
    for (file, finding) in ledger.judge_with_history(expectations.levels) {
        assert!(file % 2 == 1, "of what was sent before nothing is said: {finding:?}");
    }
    assert!(ledger.judge(expectations.levels).len() <= ledger.judge_with_history(expectations.levels).len());
}

/// Canonical XML: the canonical form is its own, says to the pre-check what the document says, and is that of the text that
/// people are shown.
pub(super) fn c14n(data: &[u8]) {
    let limits = limits();
    let canonical = |bytes: &[u8], comments| {
        let mut out = Vec::new();
        dsig::canonicalise(&BytesSource(bytes), comments, &limits, &mut out).map(|()| out)
    };
    let said = |bytes: &[u8]| {
        let report = precheck::check(&mut Cursor::new(bytes), &Expectations::default(), &limits);
        (report.message_type, report.documents, report.keys)
    };
    let shown = declaration::decoded(data);
    for comments in [false, true] {
        let Ok(once) = canonical(data, comments) else { continue };
        let of_shown = canonical(without_declaration(&shown).as_bytes(), comments);
        assert!(of_shown.is_ok_and(|of_shown| of_shown == once), "what is shown is what is signed");
        let Ok(twice) = canonical(&once, comments) else {
            // Escapes make a text longer, so only a limit may stand in the way.
            assert!(once.len() > limits.xml_text, "a canonical form is a document");
            continue;
        };
        assert!(once == twice, "a canonical form is its own");
        if once.len() <= limits.xml_text {
            assert_eq!(said(&once), said(data), "what is signed is what is checked");
        }
    }
}

/// The text of a document behind its XML declaration, which names an encoding that the text has no more.
fn without_declaration(text: &str) -> &str {
    match text.strip_prefix("<?xml") {
        Some(declared) if declared.starts_with([' ', '\t', '\r', '\n']) => {
            declared.split_once("?>").map_or(text, |(_, rest)| rest)
        }
        _ => text,
    }
}

/// XML-DSig: what can be signed verifies afterwards, once.
pub(super) fn dsig(data: &[u8]) {
    let limits = limits();
    let document = BytesSource(data);
    let verified = dsig::verify(&document, &limits);
    assert!(verified.is_err() || dsig::is_signed(&document, &limits));
    let _ = dsig::verify_enveloped(&document, &limits);
    if let Ok(signed) = dsig::sign(&document, &*SIGNER, &limits) {
        let signed = BytesSource(signed.to_vec().expect("it is in memory"));
        assert!(!dsig::is_signed(&document, &limits));
        dsig::verify(&signed, &limits).expect("what we sign we verify");
        let again = dsig::sign(&signed, &*SIGNER, &limits).expect_err("it is signed");
        assert_eq!(again, SignatureProblem::Present);
    }
}
