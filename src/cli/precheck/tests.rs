#![expect(clippy::disallowed_methods, reason = "files of a test need not survive a power cut")]

use super::super::run as dxgate;
use super::*;
use crate::cms;
use crate::declaration::dsig::{Algorithm, KeySigner, sign};
use crate::declaration::sample;
use crate::keys::declarations;
use crate::keys::generate::KeyRequest;
use crate::mime::BytesSource;

/// With the signature of a key made for the occasion.
fn signed(document: &[u8]) -> Vec<u8> {
    let request = KeyRequest { common_name: "x".into(), organization: None, hosts: Vec::new(), bits: 2048, days: 365 };
    let pair = declarations::generate(&request, Algorithm::Sm2Sm3, None, SystemClock.now()).expect("made");
    let key = cms::read_pem(pair.key_pem.expose(), None).expect("a key");
    let certificate = cms::Certificate::from_pem(&pair.certificate_pem).expect("a certificate");
    let signer = KeySigner::new(key, certificate).expect("a pair");
    let limits = Limits::default();
    sign(&BytesSource(document), &signer, &limits).map(|signed| signed.to_vec().expect("in memory")).expect("signed")
}

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
    write("b.xml", &signed(&sample::inventory(2, "DXPENT0000012345", at, 1)));
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

#[test]
fn a_signature_that_does_not_hold_is_refused_and_one_that_is_missing_too() {
    let folder = folder();
    let list = folder.path().join("b.xml");
    let good = std::fs::read_to_string(&list).expect("read");
    let check = |document: &str| {
        std::fs::write(&list, document).expect("written");
        say(&[list.to_str().expect("a path")])
    };
    assert_eq!(check(&good).exit, ExitCode::Done);
    let said = check(&good.replacen("<ceb:copNo>", "<ceb:copNo>X", 1));
    assert!(
        said.exit == ExitCode::No && said.out.contains("R07") && said.out.contains("[signature-digest]"),
        "{}",
        said.out
    );
    let (front, rest) = good.split_once("<ds:Signature").expect("a signature");
    let (_, back) = rest.split_once("</ds:Signature>").expect("its end");
    let said = check(&format!("{front}{back}"));
    assert!(said.exit == ExitCode::No && said.out.contains("[signature-missing]"), "{}", said.out);
}

#[test]
fn a_partner_decides_as_in_its_outbox() {
    use crate::config::home::{self, HomePlan, PartnerPlan};
    let root = tempfile::tempdir().expect("a folder");
    let plan = HomePlan {
        dxpid: Some("DXPENT0000012345".to_owned()),
        as2_name: "STATION".to_owned(),
        name: None,
        as2_listen: ([127, 0, 0, 1], 4080).into(),
        console_listen: ([127, 0, 0, 1], 4081).into(),
        key_bits: 2048,
    };
    let now = SystemClock.now();
    let made = home::create(&root.path().join("home"), &plan, now).expect("made");
    let request = KeyRequest { common_name: "x".into(), organization: None, hosts: Vec::new(), bits: 2048, days: 365 };
    let partner = PartnerPlan {
        id: "customs".to_owned(),
        as2_name: "CUSTOMS".to_owned(),
        url: "https://as2.example.com/as2".to_owned(),
        profile: crate::partner::Profile::Dxp,
        certificate_pem: crate::keys::generate::generate(&request, None, now).expect("made").certificate_pem,
    };
    let file = home::add_partner(&made.folder, &partner).expect("added");
    let document = root.path().join("list.xml");
    let at = "2026-03-01T01:30:00Z".parse().expect("a timestamp");
    std::fs::write(&document, sample::inventory(1, "DXPENT0000012345", at, 1)).expect("written");
    let (config, document) = (made.file.to_str().expect("a path"), document.to_str().expect("a path"));
    let check = |more: &[&str]| say(&[&[document, "--config", config], more].concat());
    assert!(check(&[]).out.contains("[signature-missing]"));
    assert!(check(&["--partner", "customs"]).out.contains("[signature-missing]"), "it signs nothing yet");
    let plain = std::fs::read_to_string(&file).expect("read");
    let signing = "[dxp]\nlevels = [\"agent-not-signer = error\"]\n[dxp.signature]\nsign = true\n\
        certificate = \"keys/declarations.crt\"\nprivate_key = \"keys/declarations.key\"\n\
        passphrase_file = \"keys/declarations.pass\"\n";
    std::fs::write(&file, format!("{plain}{signing}")).expect("written");
    let said = check(&["--partner", "customs"]);
    assert_eq!(said.exit, ExitCode::Done, "{}{}", said.out, said.err);
    let other = "enterprise_code = \"1101000001\"\nenterprise_name = \"x\"\n";
    std::fs::write(&file, format!("{plain}{signing}{other}")).expect("written");
    let said = check(&["--partner", "customs"]);
    assert!(said.exit == ExitCode::No && said.out.contains("error R39"), "{}", said.out);
    let said = check(&["--partner", "nobody"]);
    assert!(said.exit == ExitCode::Usage && said.err.contains("nobody"), "{}", said.err);
}

#[test]
fn lines_are_shown_of_gb18030_and_of_standard_input() {
    let folder = folder();
    let utf8 = std::fs::read_to_string(folder.path().join("c.xml")).expect("text");
    let text = utf8.replacen("encoding=\"UTF-8\"", "encoding=\"GB18030\"", 1);
    assert_ne!(text, utf8);
    let (bytes, ..) = encoding_rs::GB18030.encode(&text);
    std::fs::write(folder.path().join("c.xml"), &bytes).expect("written");
    let said = say(&[folder.path().join("c.xml").to_str().expect("a path")]);
    assert!(said.out.contains("<ceb:buyerIdNumber>11***************1</ceb:buyerIdNumber>"), "{}", said.out);
    let source = excerpt::Source::read(Path::new("-"), Some(&bytes));
    let mut report = check_for_ledger(&mut &bytes[..], &Expectations::default(), &Limits::default(), &mut |_| {});
    report.findings.retain(|finding| finding.rule == "R14");
    let shown = source.excerpt(report.findings.first().expect("a finding"));
    assert_eq!(shown.as_deref(), Some("<ceb:buyerIdNumber>11***************1</ceb:buyerIdNumber>"));
}

#[test]
fn an_element_out_of_place_does_not_show_whose_it_is() {
    let folder = folder();
    let path = folder.path().join("c.xml");
    let document = std::fs::read_to_string(&path).expect("read");
    let (_, rest) = document.split_once("<ceb:buyerName>").expect("a name");
    let name = rest.split_once('<').expect("its end").0;
    let element = format!("<ceb:buyerName>{name}</ceb:buyerName>");
    let typo = format!("<ceb:buyerNam>{name}</ceb:buyerNam>");
    for (wrong, code) in [
        (element.repeat(2), "[element-repeated]"),
        (format!("{element}{typo}"), "[element-unexpected]"),
        (format!("{element}<ceb:Buyer>{element}</ceb:Buyer>"), "[element-unexpected]"),
    ] {
        std::fs::write(&path, document.replacen(&element, &wrong, 1)).expect("written");
        let said = say(&[path.to_str().expect("a path")]);
        assert!(said.out.contains(code) && !said.out.contains(name), "{}", said.out);
        let said = say(&[path.to_str().expect("a path"), "--format", "json"]);
        assert!(!said.out.contains(name), "{}", said.out);
    }
}

#[test]
fn sarif_names_any_file_by_a_valid_uri() {
    let folder = folder();
    let path = folder.path().join("订单 1#%.xml");
    std::fs::rename(folder.path().join("c.xml"), &path).expect("renamed");
    let said = say(&[path.to_str().expect("a path"), "--format", "sarif"]);
    let sarif: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
    let place = &sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
    assert!(place.as_str().is_some_and(|uri| uri.ends_with("/%E8%AE%A2%E5%8D%95%201%23%25.xml")), "{place}");
}
