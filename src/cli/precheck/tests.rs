#![expect(clippy::disallowed_methods, reason = "files of a test need not survive a power cut")]

use super::super::run as dxgate;
use super::*;
use crate::declaration::sample;

struct Said {
    exit: ExitCode,
    out: String,
    err: String,
}

fn say(words: &[&str]) -> Said {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let words = ["dxgate", "--lang", "en", "precheck"].iter().chain(words).map(std::ffi::OsString::from).collect();
    let exit = dxgate(words, &|_| None, &mut out, &mut err);
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Said { exit, out: text(out), err: text(err) }
}

/// A folder with an order, its list, and an order whose buyer has no valid number.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let at = "2026-03-01T01:30:00Z".parse().expect("a timestamp");
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).expect("written");
    write("a.xml", &sample::order(2, "DXPENT0000012345", at, 1));
    write("b.xml", &sample::inventory(2, "DXPENT0000012345", at, 1));
    let bad = String::from_utf8(sample::order(1, "DXPENT0000012345", at, 2)).expect("UTF-8");
    let (start, rest) = bad.split_once("<ceb:buyerIdNumber>").expect("a number");
    let (_, end) = rest.split_once('<').expect("its end");
    write("c.xml", format!("{start}<ceb:buyerIdNumber>110105194912310021<{end}").as_bytes());
    write("not-xml.txt", b"nothing");
    folder
}

#[test]
fn people_see_the_element_a_caret_and_a_summary_and_no_personal_data() {
    let folder = folder();
    let said = say(&[folder.path().to_str().expect("a path")]);
    assert_eq!(said.exit, ExitCode::No, "{}{}", said.out, said.err);
    assert!(said.out.contains("a.xml: accepted CEB311Message") && said.out.contains("c.xml: refused"), "{}", said.out);
    assert!(said.out.contains("<ceb:buyerIdNumber>11***************1</ceb:buyerIdNumber>"), "{}", said.out);
    assert!(said.out.contains("      | ^") && said.out.contains("R14") && said.out.contains("3 files, 1 refused"));
    assert!(said.out.contains("unit (122)") && !said.out.contains("110105194912310021"));
}

#[test]
fn programs_get_files_counts_and_findings() {
    let folder = folder();
    let said = say(&[folder.path().to_str().expect("a path"), "--format", "json"]);
    let value: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!(
        (said.exit, value["errors"].as_u64(), value["files"].as_array().map(Vec::len)),
        (ExitCode::No, Some(1), Some(3))
    );
    let finding = &value["files"][2]["findings"][0];
    assert_eq!(
        (finding["rule"].as_str(), finding["level"].as_str(), finding["document"].as_u64()),
        (Some("R14"), Some("error"), Some(1))
    );
    assert!(finding["message_zh"].is_string() && finding["message_en"].is_string() && finding["key"].is_string());
    assert_eq!(value["files"][0]["message"].as_str(), Some("CEB311Message"));
}

#[test]
fn sarif_and_junit_say_the_same() {
    let folder = folder();
    let path = folder.path().to_str().expect("a path");
    let sarif: serde_json::Value = serde_json::from_str(&say(&[path, "--format", "sarif"]).out).expect("JSON");
    let result = &sarif["runs"][0]["results"][0];
    assert_eq!((sarif["version"].as_str(), result["ruleId"].as_str()), (Some("2.1.0"), Some("R14")));
    assert!(result["locations"][0]["physicalLocation"]["region"]["startLine"].as_u64() > Some(1));
    assert_eq!(sarif["runs"][0]["tool"]["driver"]["rules"].as_array().map(Vec::len), Some(44));
    let junit = say(&[path, "--format", "junit"]).out;
    assert!(junit.contains("tests=\"3\" failures=\"1\"") && junit.contains("<failure message=\"1\""), "{junit}");
}

#[test]
fn documents_of_one_call_are_compared() {
    let folder = folder();
    let one = folder.path().join("a.xml");
    let (one, twice) = (one.to_str().expect("a path"), folder.path().join("a.xml"));
    assert_eq!(say(&[one]).exit, ExitCode::Done);
    let said = say(&[one, twice.to_str().expect("a path")]);
    assert!(said.exit == ExitCode::No && said.out.contains("[key-repeated]"), "{}", said.out);
}

#[test]
fn tables_editions_and_strictness_are_chosen() {
    let folder = folder();
    let tables = tempfile::tempdir().expect("a folder");
    std::fs::write(tables.path().join("customs.csv"), "code,name\n9999,nowhere\n").expect("written");
    let list = folder.path().join("b.xml");
    let (list, tables) = (list.to_str().expect("a path"), tables.path().to_str().expect("a path"));
    let said = say(&[list, "--tables", tables]);
    assert!(said.exit == ExitCode::Done && said.out.contains("[code-unknown]") && said.out.contains("customs (1)"));
    assert_eq!(say(&[list, "--tables", tables, "--strict"]).exit, ExitCode::No);
    assert_eq!(say(&[list, "--edition", "202205", "--strict"]).exit, ExitCode::Done);
    let said = say(&[list, "--edition", "199901"]);
    assert!(said.exit == ExitCode::Usage && said.err.contains("202205"), "{}", said.err);
    assert_eq!(say(&[list, "--tables", "/nowhere/at/all"]).exit, ExitCode::Unreachable);
}
