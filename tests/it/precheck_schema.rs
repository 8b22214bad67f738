//! The pre-check's verdict on structure is that of an XML Schema made from the same tables and judged by libxml2.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

use dxgate::declaration::precheck::{Expectations, Level, check};
use dxgate::declaration::schema::specimen::{self, Fullness};
use dxgate::declaration::schema::{self, Message};
use dxgate::ground::limits::Limits;

use crate::support::mutation::{Draw, mutate};
use crate::support::xsd;

/// Mutated examples of each message.
const EACH: usize = 80;

/// Examples of a message, most of them with mistakes; the same ones every time.
pub fn examples(message: &Message, count: usize) -> Vec<String> {
    let seed = message.name().bytes().fold(7u64, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let mut draw = Draw(seed);
    let one = |number: usize| {
        let fullness = if number.is_multiple_of(3) { Fullness::Least } else { Fullness::All };
        let mut piece = specimen::of(message, fullness);
        for _ in 0..number.min(1 + draw.below(3)) {
            mutate(&mut piece, &mut draw);
        }
        piece.write()
    };
    (0..count).map(one).collect()
}

/// Whether our structure has nothing against it. What stands inside `Data` is another document.
pub fn ours(xml: &str) -> Result<(), String> {
    let report = check(&mut xml.as_bytes(), &Expectations::default(), &Limits::default());
    let against = report.findings.iter().find(|finding| {
        let structural = finding.rule == "R03" || matches!(finding.code.as_str(), "root-unknown" | "namespace-wrong");
        structural
            && finding.level == Level::Error
            && !finding.path.starts_with("DxpMsg/Data/")
            && !is_stray(&finding.message_en, finding.value.as_deref().unwrap_or_default())
    });
    match against {
        None => Ok(()),
        Some(finding) => Err(format!("{} {} {:?}", finding.path, finding.message_en, finding.value)),
    }
}

/// libxml2 passes over characters that are not Base64; XML Schema 2 (3.2.16) has no place for them, and neither have we.
fn is_stray(message: &str, value: &str) -> bool {
    let alphabet = |c: char| c.is_ascii_alphanumeric() || "+/= \t\n".contains(c);
    let symbols = value.chars().filter(|c| c.is_ascii_alphanumeric()).count();
    message.contains("Base64") && symbols % 4 == 0 && !value.chars().all(alphabet)
}

/// What xmllint says about each file.
fn xmllint(schema: &Path, files: &[String], folder: &Path) -> HashMap<String, bool> {
    let output = Command::new("xmllint")
        .current_dir(folder)
        .args(["--noout", "--schema"])
        .arg(schema)
        .args(files)
        .output()
        .expect("xmllint of libxml2-utils; tests/run.sh installs it");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let verdict = |line: &str| {
        let good = line.strip_suffix(" validates").map(|file| (file.to_owned(), true));
        good.or_else(|| line.strip_suffix(" fails to validate").map(|file| (file.to_owned(), false)))
    };
    let verdicts: HashMap<_, _> = text.lines().filter_map(verdict).collect();
    assert_eq!(verdicts.len(), files.len(), "{text}");
    verdicts
}

#[test]
fn the_verdict_on_structure_is_that_of_libxml2() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut valid, mut invalid, mut differences) = (0, 0, Vec::new());
    for message in schema::current().messages() {
        let (schema, signature) = xsd::write(message);
        std::fs::write(folder.path().join("message.xsd"), schema).expect("written");
        let signature = signature.unwrap_or_else(|| {
            let uri = dxgate::declaration::DSIG_NS;
            format!("<xs:schema xmlns:xs=\"http://www.w3.org/2001/XMLSchema\" targetNamespace=\"{uri}\"/>")
        });
        std::fs::write(folder.path().join("ds.xsd"), signature).expect("written");
        let examples = examples(message, EACH);
        let files: Vec<String> = (0..examples.len()).map(|number| format!("{number}.xml")).collect();
        for (file, xml) in files.iter().zip(&examples) {
            std::fs::write(folder.path().join(file), xml).expect("written");
        }
        let theirs = xmllint(Path::new("message.xsd"), &files, folder.path());
        for (file, xml) in files.iter().zip(&examples) {
            let (ours, theirs) = (ours(xml), theirs[file]);
            if theirs {
                valid += 1
            } else {
                invalid += 1
            }
            if ours.is_ok() != theirs {
                differences.push(format!("{} libxml2 {theirs}, ours {ours:?}\n{xml}", message.name()));
            }
        }
    }
    assert!(valid > 300 && invalid > 2000, "{valid} valid and {invalid} invalid examples say little");
    let few: Vec<_> = differences.iter().take(5).collect();
    assert!(differences.is_empty(), "{} of {}: {few:#?}", differences.len(), valid + invalid);
}
