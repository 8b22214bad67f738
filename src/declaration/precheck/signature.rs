//! R07, second half: whether the signatures that are there hold.

use super::super::dsig::{self, SignatureProblem, Verified};
use super::super::envelope::Kind;
use super::super::family;
use super::finding::{Place, Say, Sheet};
use super::{Expectations, Report};
use crate::bilingual;
use crate::ground::limits::Limits;
use crate::mime::Source;

/// Verifies the signatures of a file that [`check`](super::check) has made `report` of, and adds what is wrong or unusual
/// about them. A file without signatures is not read again.
pub fn verify_signatures(file: &dyn Source, report: &mut Report, expect: &Expectations<'_>, limits: &Limits) {
    if let Some(place) = report.signatures.document.clone() {
        let verdict = match report.kind {
            Kind::DxpMsg | Kind::DxpMsgSv => dsig::verify_enveloped(file, limits),
            _ => dsig::verify(file, limits),
        };
        let message = report.message_type.as_deref().and_then(family::find).map(|row| row.name);
        add(report, message, &place, &verdict, expect, limits);
    }
    if let Some(place) = report.signatures.envelope.clone() {
        add(report, Some("DxpMsg"), &place, &dsig::verify(file, limits), expect, limits);
    }
}

fn add(
    report: &mut Report,
    message: Option<&'static str>,
    place: &Place,
    verdict: &Result<Verified, SignatureProblem>,
    expect: &Expectations<'_>,
    limits: &Limits,
) {
    let findings = std::mem::take(&mut report.findings);
    let mut sheet = Sheet::new(limits.findings, expect.levels).resumed(findings, report.findings_left_out);
    sheet.message = message;
    match verdict {
        // Its form is what the first pass has reported.
        Err(SignatureProblem::Document(_)) => {}
        Err(problem) => sheet.at_place(place, Say::error("R07", problem.code(), problem.text())),
        Ok(verified) => {
            for variant in &verified.variants {
                sheet.at_place(place, Say::warning("R07", variant.code(), variant.text()));
            }
            if expect.now.is_some_and(|now| !verified.certificate.is_valid_at(now)) {
                let (from, until) = (verified.certificate.not_before(), verified.certificate.not_after());
                let text = bilingual!(
                    "签名证书不在有效期内（{from} 至 {until}），请换用有效的证书重新签名",
                    "the signing certificate is not valid now ({from} to {until}); sign again with one that is"
                );
                sheet.at_place(place, Say::error("R07", "signature-expired", text));
            }
        }
    }
    report.findings = sheet.findings;
    report.findings_left_out = sheet.left_out;
}
