//! The result for programs: JSON, SARIF 2.1.0, JUnit XML.

use std::io;
use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};

use super::super::voice::Voice;
use super::Checked;
use crate::declaration::precheck::codes::CodeTables;
use crate::declaration::precheck::{Finding, Level, catalogue};
use crate::ground::text::Language;

#[derive(Serialize)]
struct FileWire<'c> {
    path: String,
    message: Option<&'c str>,
    documents: u32,
    errors: usize,
    warnings: usize,
    findings: &'c [Finding],
    findings_left_out: u32,
}

pub(super) fn json(voice: &mut Voice<'_>, checked: &[Checked], edition: &str, tables: &CodeTables) -> io::Result<()> {
    let files: Vec<_> = checked
        .iter()
        .map(|Checked { path, report, .. }| FileWire {
            path: path.display().to_string(),
            message: report.message_type.as_deref(),
            documents: report.documents,
            errors: report.errors(),
            warnings: report.warnings(),
            findings: &report.findings,
            findings_left_out: report.findings_left_out,
        })
        .collect();
    let errors: usize = files.iter().map(|file| file.errors).sum();
    let warnings: usize = files.iter().map(|file| file.warnings).sum();
    let tables: Vec<_> =
        tables.loaded().iter().map(|(list, count)| json!({ "table": list.name(), "codes": count })).collect();
    voice
        .value(&json!({ "files": files, "errors": errors, "warnings": warnings, "edition": edition, "tables": tables }))
}

fn text<'f>(voice: &Voice<'_>, finding: &'f Finding) -> &'f str {
    finding.text(voice.language)
}

pub(super) fn sarif(voice: &mut Voice<'_>, checked: &[Checked]) -> io::Result<()> {
    let words = |rule: &catalogue::Rule| if voice.language == Language::Chinese { rule.zh } else { rule.en };
    let rules: Vec<Value> = catalogue::all()
        .iter()
        .map(|rule| json!({ "id": rule.id, "shortDescription": { "text": words(rule) }, "help": { "text": rule.source } }))
        .collect();
    let mut results = Vec::new();
    for Checked { path, report, .. } in checked {
        for finding in &report.findings {
            let level = if finding.level == Level::Error { "error" } else { "warning" };
            let mut place = json!({ "artifactLocation": { "uri": uri(path) } });
            // Lines inside an envelope count in the document, not in the file.
            if finding.line > 0 && !finding.path.starts_with("DxpMsg/Data/") {
                place["region"] = json!({ "startLine": finding.line, "startColumn": finding.column });
            }
            results.push(json!({
                "ruleId": finding.rule,
                "level": level,
                "message": { "text": text(voice, finding) },
                "locations": [{
                    "physicalLocation": place,
                    "logicalLocations": [{ "fullyQualifiedName": finding.path }],
                }],
                "properties": { "code": finding.code, "document": finding.document, "key": finding.key },
            }));
        }
    }
    let driver = json!({ "name": "dxgate", "version": env!("CARGO_PKG_VERSION"), "rules": rules });
    voice.value(&json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{ "tool": { "driver": driver }, "results": results, "columnKind": "unicodeCodePoints" }],
    }))
}

/// A path as a URI reference (RFC 3986 2.3): what is not unreserved is escaped, byte by byte.
fn uri(path: &Path) -> String {
    let text = path.to_string_lossy();
    let text =
        if std::path::MAIN_SEPARATOR == '/' { text } else { text.replace(std::path::MAIN_SEPARATOR, "/").into() };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/');
    let escaped =
        text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") });
    escaped.collect()
}

/// One test case per file; errors are its failure, warnings its output.
pub(super) fn junit(voice: &mut Voice<'_>, checked: &[Checked]) -> io::Result<()> {
    let failed = checked.iter().filter(|file| file.report.errors() > 0).count();
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n<testsuite name=\"dxgate precheck\" tests=\"{}\" \
         failures=\"{failed}\">\n",
        checked.len()
    );
    for Checked { path, report, .. } in checked {
        let class = report.message_type.as_deref().unwrap_or("unknown");
        xml.push_str(&format!(
            "<testcase classname=\"{}\" name=\"{}\">",
            escaped(class),
            escaped(&path.display().to_string())
        ));
        let lines = |level: Level| -> String {
            let findings = report.findings.iter().filter(|finding| finding.level == level);
            findings.map(|finding| finding.line_for(voice.language) + "\n").collect()
        };
        if report.errors() > 0 {
            let (count, lines) = (report.errors(), escaped(&lines(Level::Error)));
            xml.push_str(&format!("<failure message=\"{count}\" type=\"precheck\">{lines}</failure>"));
        }
        if report.warnings() > 0 {
            xml.push_str(&format!("<system-out>{}</system-out>", escaped(&lines(Level::Warning))));
        }
        xml.push_str("</testcase>\n");
    }
    xml.push_str("</testsuite>\n</testsuites>\n");
    voice.out.write_all(xml.as_bytes())
}

/// Text for XML, without what XML cannot hold.
pub(in crate::cli) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' => out.push(c),
            c if c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}') => out.push('\u{FFFD}'),
            c => out.push(c),
        }
    }
    out
}
