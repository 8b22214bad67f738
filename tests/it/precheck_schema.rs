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
        finding.rule == "R03"
            && finding.level == Level::Error
            && !finding.path.starts_with("DxpMsg/Data/")
            && !is_stray(&finding.message_en, finding.value.as_deref().unwrap_or_else(|| data_of(xml)))
    });
    match against {
        None => Ok(()),
        Some(finding) => Err(format!("{} {} {:?}", finding.path, finding.message_en, finding.value)),
    }
}

/// The text of `Data`, which no finding shows.
fn data_of(xml: &str) -> &str {
    let data = xml.split_once("<dxp:Data>").and_then(|(_, rest)| rest.split_once("</dxp:Data>"));
    data.map_or("", |(data, _)| data)
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

/// Examples on which libxml2 and we disagree, and how many it takes for valid and for invalid.
#[derive(Default)]
struct Comparison {
    valid: usize,
    invalid: usize,
    differences: Vec<String>,
}

impl Comparison {
    /// Compares `count` examples of a message under the schema in `folder`.
    fn add(&mut self, message: &Message, count: usize, schema: &Path, folder: &Path) {
        let examples = examples(message, count);
        let files: Vec<String> = (0..examples.len()).map(|number| format!("{number}.xml")).collect();
        for (file, xml) in files.iter().zip(&examples) {
            std::fs::write(folder.join(file), xml).expect("written");
        }
        let theirs = xmllint(schema, &files, folder);
        for (file, xml) in files.iter().zip(&examples) {
            let (ours, theirs) = (ours(xml), theirs[file]);
            if theirs {
                self.valid += 1
            } else {
                self.invalid += 1
            }
            if ours.is_ok() != theirs {
                self.differences.push(format!("{} libxml2 {theirs}, ours {ours:?}\n{xml}", message.name()));
            }
        }
    }

    fn must_agree(&self) {
        let all = self.valid + self.invalid;
        assert!(self.valid > 0 && self.invalid > 0, "{} valid, {} invalid", self.valid, self.invalid);
        let few: Vec<_> = self.differences.iter().take(5).collect();
        assert!(self.differences.is_empty(), "{} of {all}: {few:#?}", self.differences.len());
        println!("{all} examples, {} of them valid: no difference", self.valid);
    }
}

#[test]
fn the_verdict_on_structure_is_that_of_libxml2() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut comparison = Comparison::default();
    for message in schema::current().messages() {
        let (schema, signature) = xsd::write(message);
        std::fs::write(folder.path().join("message.xsd"), schema).expect("written");
        let signature = signature.unwrap_or_else(|| {
            let uri = dxgate::declaration::DSIG_NS;
            format!("<xs:schema xmlns:xs=\"http://www.w3.org/2001/XMLSchema\" targetNamespace=\"{uri}\"/>")
        });
        std::fs::write(folder.path().join("ds.xsd"), signature).expect("written");
        comparison.add(message, EACH, Path::new("message.xsd"), folder.path());
    }
    let (valid, invalid) = (comparison.valid, comparison.invalid);
    assert!(valid > 300 && invalid > 2000, "{valid} valid and {invalid} invalid examples say little");
    comparison.must_agree();
}

/// Customs publishes its schemas, but they are not ours to hand on: `DXGATE_CUSTOMS_XSD` names a folder of them.
#[test]
fn the_verdict_on_structure_is_that_of_the_schemas_of_customs() {
    let Some(official) = std::env::var_os("DXGATE_CUSTOMS_XSD") else {
        return println!("SKIPPED: DXGATE_CUSTOMS_XSD names no folder with the schemas of customs");
    };
    let each = std::env::var("DXGATE_CUSTOMS_XSD_EXAMPLES").map_or(EACH, |count| count.parse().expect("a number"));
    let folder = tempfile::tempdir().expect("a folder");
    let mut schemas: Vec<(String, String)> = std::fs::read_dir(official)
        .expect("the folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "xsd"))
        .enumerate()
        .map(|(number, path)| {
            // libxml2 opens no schema by a name in Chinese.
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            let name = if name.is_ascii() { name } else { format!("{number}.xsd") };
            (name, std::fs::read_to_string(&path).expect("a schema"))
        })
        .collect();
    let declaring = |schemas: &[(String, String)], name: &str| -> usize {
        let element = format!("<xs:element name=\"{name}\"");
        schemas.iter().position(|(_, text)| text.contains(&element)).unwrap_or_else(|| panic!("no schema of {name}"))
    };
    // The schema of the node includes that of the terminal under a name that it does not have.
    let (node, terminal) = (declaring(&schemas, "DxpMsgSv"), declaring(&schemas, "DxpMsg"));
    let (_, included) = schemas[node].1.split_once("schemaLocation=\"").expect("a location");
    let included = included.split_once('"').expect("its end").0.to_owned();
    schemas[node].1 = schemas[node].1.replacen(&included, &schemas[terminal].0, 1);
    for (name, text) in &schemas {
        std::fs::write(folder.path().join(name), text).expect("written");
    }
    let mut comparison = Comparison::default();
    for message in schema::current().messages() {
        comparison.add(message, each, Path::new(&schemas[declaring(&schemas, message.name())].0), folder.path());
    }
    comparison.must_agree();
}
