//! What the pre-check found in a declaration that was sent all the same, as much of it as is kept.

use serde::{Deserialize, Serialize};

use crate::declaration::precheck::{Finding, Level, Report};

/// Findings kept with a message, and bytes of them together: they are part of its record and of every snapshot.
const KEPT: usize = 20;
const BYTES: usize = 16 * 1024;

/// Findings of a message, errors first. Values that are personal data are masked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Findings {
    /// Errors found.
    pub errors: u32,
    /// Warnings found.
    pub warnings: u32,
    /// The first of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<Finding>,
    /// How many there are beside those.
    #[serde(default)]
    pub left_out: u32,
}

impl Findings {
    /// Those of a report; `None` when there is none.
    pub fn of(report: &Report) -> Option<Findings> {
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let mut findings = Findings {
            errors: count(report.errors()),
            warnings: count(report.warnings()),
            kept: Vec::new(),
            left_out: report.findings_left_out,
        };
        let mut room = BYTES;
        let of_level = |level: Level| report.findings.iter().filter(move |finding| finding.level == level);
        for finding in of_level(Level::Error).chain(of_level(Level::Warning)) {
            let size = finding.path.len() + finding.message_zh.len() + finding.message_en.len() + 200;
            match room.checked_sub(size).filter(|_| findings.kept.len() < KEPT) {
                Some(rest) => {
                    room = rest;
                    findings.kept.push(finding.clone());
                }
                None => findings.left_out = findings.left_out.saturating_add(1),
            }
        }
        (!report.findings.is_empty()).then_some(findings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::declaration::precheck::{Expectations, check};
    use crate::declaration::sample;
    use crate::ground::limits::Limits;

    fn report(of: fn(&str) -> String) -> Report {
        let at = "2026-03-01T01:30:00Z".parse().expect("an instant");
        let xml = String::from_utf8(sample::order(100, "DXPENT0000012345", at, 1)).expect("UTF-8");
        check(&mut of(&xml).as_bytes(), &Expectations::default(), &Limits::default())
    }

    #[test]
    fn findings_are_kept_up_to_a_bound_errors_first() {
        assert_eq!(Findings::of(&report(str::to_owned)), None);
        let bad = report(|xml| xml.replace("<ceb:currency>142", "<ceb:currency>502").replace("guid>", "guid> "));
        let findings = Findings::of(&bad).expect("findings");
        assert!(findings.kept.len() <= KEPT && findings.errors > 0, "{findings:?}");
        assert_eq!(
            findings.kept.len() + findings.left_out as usize,
            bad.findings.len() + bad.findings_left_out as usize
        );
        assert_eq!(findings.kept.first().map(|finding| finding.level), Some(Level::Error));
        assert!(serde_json::to_string(&findings).expect("JSON").len() < 2 * BYTES);
    }

    #[test]
    fn what_was_written_once_is_read_for_ever() {
        let line = r#"{"errors":1,"warnings":0,"kept":[{"rule":"R24","level":"error","code":"net-above-gross","path":"a/b","line":3,"column":5,"message_zh":"净","message_en":"net"}]}"#;
        let findings: Findings = serde_json::from_str(line).expect("read");
        assert_eq!((findings.errors, findings.kept.len(), findings.left_out), (1, 1, 0));
    }
}
