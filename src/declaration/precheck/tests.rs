use super::super::envelope::wrap;
use super::super::{CEB_NS, DXP_NS, sample};
use super::*;
use crate::ground::text::Language;

mod cross;
mod fields;
mod rows;
mod rules;
mod signatures;

const DXPID: &str = "DXPENT0000012345";

fn at() -> Timestamp {
    "2026-03-01T01:30:00Z".parse().expect("a timestamp")
}

/// A correct CEB311.
fn declaration(documents: usize) -> String {
    String::from_utf8(sample::order(documents, DXPID, at(), 5)).expect("UTF-8")
}

fn expect() -> Expectations<'static> {
    Expectations { dxpid: Some(DXPID), now: Some(at()), to_be_signed: true, ..Expectations::default() }
}

fn checked(bytes: &[u8]) -> Report {
    check(&mut &bytes[..], &expect(), &Limits::default())
}

fn found(bytes: &[u8]) -> Vec<(String, String)> {
    checked(bytes).findings.into_iter().map(|finding| (finding.rule, finding.code)).collect()
}

fn found_one(xml: &str) -> (String, String) {
    let all = found(xml.as_bytes());
    assert_eq!(all.len(), 1, "{all:?}");
    all.into_iter().next().expect("one finding")
}

fn rule_and_code(rule: &str, code: &str) -> (String, String) {
    (rule.to_owned(), code.to_owned())
}

/// The text of the first element of this name.
fn value_of<'x>(xml: &'x str, name: &str) -> &'x str {
    xml.split_once(&format!("<ceb:{name}>")).and_then(|(_, rest)| rest.split_once('<')).expect("the element").0
}

/// The document with another text in the first element of this name.
fn with(xml: &str, name: &str, value: &str) -> String {
    let old = format!("<ceb:{name}>{}</ceb:{name}>", value_of(xml, name));
    xml.replacen(&old, &format!("<ceb:{name}>{value}</ceb:{name}>"), 1)
}

/// The document without the first element of this name.
fn without(xml: &str, name: &str) -> String {
    let (before, rest) = xml.split_once(&format!("<ceb:{name}>")).expect("the element");
    let after = rest.split_once(&format!("</ceb:{name}>")).expect("its end").1;
    format!("{before}{after}")
}

fn envelope(document: &[u8]) -> Vec<u8> {
    let head = EnvelopeHead {
        cop_msg_id: "8D1C3A52-77C6-4F0E-9B0C-000000000009".into(),
        sender_id: DXPID.into(),
        receiver_ids: vec!["DXPEDCCEB0000002".into()],
        creat_time: "2026-03-01T09:30:00".into(),
        msg_type: "CEB311Message".into(),
        file_name: None,
        ..EnvelopeHead::default()
    };
    let mut out = Vec::new();
    wrap(&head, &mut &document[..], &mut out).expect("a correct head");
    out
}

#[test]
fn a_correct_declaration_has_no_findings() {
    let report = checked(declaration(3).as_bytes());
    assert_eq!((report.findings.clone(), report.verdict(), report.documents), (vec![], Verdict::Accepted, 3));
    assert_eq!(report.message_type.as_deref(), Some("CEB311Message"));
    let first: Vec<_> = report.first_keys().iter().map(|key| key.name.as_str()).collect();
    assert_eq!(first, ["orderNo", "ebpCode", "ebcCode"]);
    assert_eq!(report.keys.len(), 9);
}

#[test]
fn a_correct_envelope_is_checked_inside_as_well() {
    let report = checked(&envelope(declaration(2).as_bytes()));
    assert_eq!((report.findings.clone(), report.kind, report.documents), (vec![], Kind::DxpMsg, 2));
    assert_eq!(report.envelope.map(|head| head.sender_id).as_deref(), Some(DXPID));
    let bad = with(&declaration(1), "dxpMode", "LXP");
    let report = checked(&envelope(bad.as_bytes()));
    let finding = &report.findings[0];
    assert_eq!(finding.path, "DxpMsg/Data/CEB311Message/BaseTransfer/dxpMode");
    assert_eq!((finding.code.as_str(), report.verdict()), ("dxp-mode", Verdict::Refused));
}

#[test]
fn a_finding_names_message_document_key_value_and_place() {
    let xml = with(&declaration(2), "unit", "9x9");
    let finding = checked(xml.as_bytes()).findings.remove(0);
    assert_eq!((finding.rule.as_str(), finding.message.as_deref()), ("R36", Some("CEB311Message")));
    assert_eq!((finding.document, finding.value.as_deref()), (1, Some("9x9")));
    assert_eq!(finding.key, Some(format!("orderNo={}", value_of(&xml, "orderNo"))));
    assert_eq!(finding.path, "CEB311Message/Order/OrderList/unit");
    let line = xml.lines().nth(usize::try_from(finding.line).expect("a line") - 1).expect("the line");
    assert_eq!(&line[usize::try_from(finding.column).expect("a column") - 1..][..10], "<ceb:unit>");
    let second = xml.rfind("<ceb:unit>").expect("another");
    let xml = format!("{}<ceb:unit>9x9{}", &xml[..second], xml[second..].split_once("<ceb:unit>").expect("it").1);
    let report = checked(xml.as_bytes());
    assert!(report.findings.iter().any(|finding| finding.document == 2 && finding.path.contains("Order[2]")));
}

#[test]
fn personal_values_are_masked() {
    let xml = with(&declaration(1), "buyerIdNumber", "110105194912310021");
    let report = checked(xml.as_bytes());
    assert_eq!(report.findings[0].code, "identity-number");
    let json = serde_json::to_string(&report).expect("serialisable");
    assert!(!json.contains("110105194912310021") && json.contains("11***"), "{json}");
}

#[test]
fn a_foreign_dxpid_is_found_in_document_and_envelope() {
    let foreign = declaration(1).replace(DXPID, "DXPENT0000099999");
    assert_eq!(found_one(&foreign), rule_and_code("R38", "dxpid-mismatch"));
    let sender =
        String::from_utf8(envelope(declaration(1).as_bytes())).expect("UTF-8").replace(DXPID, "DXPENT0000099999");
    assert_eq!(found_one(&sender), rule_and_code("R38", "sender-id-mismatch"));
    let inside = envelope(foreign.as_bytes());
    assert_eq!(found(&inside), [rule_and_code("R38", "dxpid-mismatch")]);
    let (theirs, usual) = (["DXPENT0000099999".to_owned()], expect());
    let elsewhere = Expectations { foreign_dxpids: &theirs, ..usual };
    for document in [foreign.as_bytes(), sender.as_bytes(), inside.as_slice()] {
        let report = check(&mut &*document, &elsewhere, &Limits::default());
        assert_eq!(report.findings[0].code, FOREIGN_DXPID, "known by name when it is ours in another environment");
    }
    let padded = foreign.replace("DXPENT0000099999", "\n DXPENT0000099999 ");
    let report = check(&mut padded.as_bytes(), &elsewhere, &Limits::default());
    let codes: Vec<&str> = report.findings.iter().map(|finding| finding.code.as_str()).collect();
    assert_eq!(codes, ["field-blanks", FOREIGN_DXPID]);
    let expect = Expectations { cop_code: Some("1101000001"), ..expect() };
    let report = check(&mut declaration(1).as_bytes(), &expect, &Limits::default());
    assert_eq!(report.findings[0].code, "cop-code-mismatch");
}

#[test]
fn the_sender_of_the_envelope_is_that_of_the_document_whoever_we_are() {
    let unknown = Expectations { dxpid: None, ..expect() };
    let codes = |xml: &[u8]| -> Vec<String> {
        let report = check(&mut &*xml, &unknown, &Limits::default());
        report.findings.into_iter().map(|finding| finding.code).collect()
    };
    let right = envelope(declaration(1).as_bytes());
    assert_eq!(codes(&right), [] as [&str; 0]);
    let sender = String::from_utf8(right).expect("UTF-8").replace(DXPID, "DXPENT0000099999");
    assert_eq!(codes(sender.as_bytes()), ["sender-id-mismatch"]);
    let inside = declaration(1).replace(DXPID, "DXPENT0000099999");
    assert_eq!(codes(&envelope(inside.as_bytes())), ["sender-id-mismatch"]);
}

#[test]
fn message_type_and_receiver_of_the_envelope_must_fit_the_document() {
    let whole = String::from_utf8(envelope(declaration(1).as_bytes())).expect("UTF-8");
    assert_eq!(found_one(&whole.replace("CEB311Message", "CEB411Message")), rule_and_code("R01", "msg-type-mismatch"));
    assert_eq!(found_one(&whole.replace("CEB0000002", "CEB0000003")), rule_and_code("R01", "receiver-mismatch"));
}

#[test]
fn a_finding_about_the_envelope_has_line_column_and_value() {
    let whole = String::from_utf8(envelope(declaration(1).as_bytes())).expect("UTF-8");
    for (from, to, code, element, value) in [
        (DXPID, "DXPENT0000099999", "sender-id-mismatch", "<dxp:SenderId>", Some("DXPENT0000099999")),
        ("CEB311Message", "CEB411Message", "msg-type-mismatch", "<dxp:MsgType>", Some("CEB411Message")),
        ("CEB0000002", "CEB0000003", "receiver-mismatch", "<dxp:ReceiverIds>", Some("DXPEDCCEB0000003")),
    ] {
        let xml = whole.replace(from, to);
        let finding = checked(xml.as_bytes()).findings.remove(0);
        let line = xml.lines().nth(usize::try_from(finding.line).expect("a line") - 1).expect("the line");
        assert!(line[usize::try_from(finding.column).expect("a column") - 1..].starts_with(element), "{line}");
        assert_eq!((finding.code.as_str(), finding.value.as_deref()), (code, value));
    }
    for (root, code) in [("DxpRep", "not-a-declaration"), ("DxpMsgSv", "node-message")] {
        let xml = format!("<?xml version=\"1.0\"?>\n <{root} xmlns='{DXP_NS}'/>");
        let finding = checked(xml.as_bytes()).findings.into_iter().find(|it| it.code == code).expect("the finding");
        assert_eq!((finding.line, finding.column, finding.path.as_str()), (2, 2, root));
    }
}

#[test]
fn the_envelope_is_held_to_its_table() {
    let whole = String::from_utf8(envelope(declaration(1).as_bytes())).expect("UTF-8");
    for (from, to, code) in [
        ("<dxp:CreatTime>2026-03-01T09:30:00", "<dxp:CreatTime>2026-03-01 09:30", "value-form"),
        (" ver=\"1.0\"", " ver=\"2.0\"", "value-fixed"),
        (" ver=\"1.0\"", "", "attribute-missing"),
        ("<dxp:TransInfo>", "<dxp:TransInfo><dxp:Extra/>", "element-unexpected"),
    ] {
        let xml = whole.replacen(from, to, 1);
        let (rule, found) = found_one(&xml);
        assert_eq!((rule.as_str(), found.as_str()), ("R03", code), "{from}");
        assert_eq!(checked(xml.as_bytes()).findings[0].customs_code.as_deref(), Some("0002"));
    }
}

#[test]
fn root_namespace_and_version_are_checked() {
    let xml = declaration(1);
    // What no schema declares is said by R03 too: it alone is the verdict of the schemas.
    let undeclared = |code| [rule_and_code("R01", code), rule_and_code("R03", "root-undeclared")];
    let moved = xml.replace(CEB_NS, "http://www.chinaport.gov.cn/CEB");
    assert_eq!(found(moved.as_bytes()), undeclared("namespace-wrong"));
    assert_eq!(found(xml.replace("CEB311Message", "CEB999Message").as_bytes()), undeclared("root-unknown"));
    assert_eq!(found(b"<order/>"), undeclared("root-unknown"));
    let version = |with: &str| xml.replacen(" version=\"1.0\">", with, 1);
    assert_eq!(found_one(&version(" version=\"2\">")), rule_and_code("R01", "version-unusual"));
    assert_eq!(found_one(&version(">")), rule_and_code("R03", "attribute-missing"));
}

#[test]
fn a_guid_has_36_characters_and_is_not_repeated() {
    let xml = declaration(2);
    let guid = value_of(&xml, "guid").to_owned();
    assert_eq!(found_one(&with(&xml, "guid", "123")), rule_and_code("R03", "value-too-short"));
    assert_eq!(found_one(&with(&xml, "guid", &"X".repeat(36))), rule_and_code("R02", "guid-not-uuid"));
    assert_eq!(found_one(&with(&xml, "guid", &guid.to_lowercase())), rule_and_code("R02", "guid-lower-case"));
    let second = xml.rsplit_once("<ceb:guid>").expect("a guid").1.split_once('<').expect("its end").0;
    let repeated = xml.replace(second, &guid);
    assert_eq!(found_one(&repeated), rule_and_code("R02", "guid-repeated"));
    assert_eq!(checked(repeated.as_bytes()).findings[0].value.as_deref(), Some(guid.as_str()));
    assert_eq!(found_one(&without(&xml, "guid")), rule_and_code("R03", "element-missing"));
}

#[test]
fn one_mistake_of_structure_is_one_finding() {
    let xml = declaration(1);
    let (start, rest) = xml.split_once("<ceb:BaseTransfer>").expect("a transfer");
    let (transfer, end) = rest.split_once("</ceb:BaseTransfer>").expect("its end");
    let transfer = format!("<ceb:BaseTransfer>{transfer}</ceb:BaseTransfer>");
    let order_at = start.find("<ceb:Order>").expect("an order");
    let (root, order) = start.split_at(order_at);
    let message = |inside: &str| format!("{root}{inside}{end}");
    let r03 = |code| rule_and_code("R03", code);
    assert_eq!(found_one(&message(&format!("{transfer}{order}"))), r03("element-order"));
    assert_eq!(found_one(&message(order)), r03("element-missing"));
    assert_eq!(found_one(&message(&transfer)), r03("element-missing"));
    assert_eq!(found_one(&message(&format!("{order}{transfer}{transfer}"))), r03("element-repeated"));
    assert_eq!(found_one(&message(&format!("{order}<ceb:Invoice/>{transfer}"))), r03("element-unexpected"));
    assert_eq!(found_one(&message(&format!("{order}stray{transfer}"))), r03("text-between-elements"));
    assert_eq!(
        found_one(&xml.replacen("<ceb:note>", "<note>", 1).replacen("<ceb:freight>", "<ceb:fright/><ceb:freight>", 1)),
        r03("element-unexpected")
    );
    assert_eq!(found_one(&xml.replace("<ceb:freight>", "<ceb:freight a='1'>")), r03("attribute-unexpected"));
    assert_eq!(found_one(&xml.replace("ceb:freight>", "ds:freight>")).1, "element-namespace");
    let signature = "<ds:Signature><ds:KeyInfo><ds:KeyName>x</ds:KeyName></ds:KeyInfo></ds:Signature>";
    assert_eq!(found(message(&format!("{order}{transfer}{signature}")).as_bytes()).len(), 2);
}

#[test]
fn more_documents_than_allowed_are_told_once_with_the_code_of_customs() {
    let xml = declaration(100);
    let order_at = xml.find("<ceb:Order>").expect("an order");
    let end = xml.find("</ceb:Order>").expect("its end") + "</ceb:Order>".len();
    let extra = xml[order_at..end].repeat(3);
    let report = checked(xml.replacen("<ceb:BaseTransfer>", &format!("{extra}<ceb:BaseTransfer>"), 1).as_bytes());
    let many: Vec<_> = report.findings.iter().filter(|finding| finding.code == "too-many-documents").collect();
    assert_eq!((many.len(), many[0].customs_code.as_deref()), (1, Some("-301015")));
}

#[test]
fn hostile_xml_ends_in_one_finding() {
    let with = |text: &str| with(&declaration(1), "itemNo", text);
    assert_eq!(found_one(&with("&laugh;")).1, "xml-entity-unknown");
    assert!(found(with(&"<ceb:x>".repeat(1000)).as_bytes()).iter().any(|(_, code)| code == "xml-too-deep"));
    assert_eq!(found_one(&with(&"x".repeat(100_000))).1, "xml-item-too-long");
    assert_eq!(found_one(&format!("<!DOCTYPE a [<!ENTITY b 'c'>]>{}", "<a/>")).1, "xml-doctype");
    assert_eq!(found_one("").1, "xml-empty");
    assert_eq!(found_one("ISA*00*").1, "xml-malformed");
    let cut = &envelope(declaration(1).as_bytes())[..900];
    assert_eq!(found(cut), [rule_and_code("R03", "xml-malformed")]);
}

#[test]
fn faults_of_the_base64_are_reported_once_and_in_the_envelope() {
    // Of whole groups, so that nothing pads them.
    let mut document = declaration(1);
    document.push_str(&" ".repeat((3 - document.len() % 3) % 3));
    let whole = String::from_utf8(envelope(document.as_bytes())).expect("UTF-8");
    let broken = whole.replace("</dxp:Data>", "A</dxp:Data>");
    assert_eq!(found_one(&broken), rule_and_code("R03", "envelope-base64-truncated"));
    let report = checked(whole.replace("<dxp:Data>", "<dxp:Data>*").as_bytes());
    assert_eq!(report.findings.len(), 1);
    assert_eq!(
        (report.findings[0].code.as_str(), report.findings[0].path.as_str()),
        ("envelope-base64", "DxpMsg/Data")
    );
    let child = checked(whole.replace("</dxp:Data>", "<dxp:x/></dxp:Data>").as_bytes());
    assert_eq!(child.findings[0].path, "DxpMsg/Data", "a child is a fault of the envelope: {:?}", child.findings);
    let inside = envelope(b"<a>");
    assert!(found(&inside).contains(&rule_and_code("R03", "xml-malformed")));
}

#[test]
fn an_envelope_inside_an_envelope_is_refused() {
    let nested = envelope(&envelope(declaration(1).as_bytes()));
    assert!(found(&nested).iter().any(|(_, code)| code == "root-unknown"));
}

#[test]
fn encodings_are_compared_with_the_bytes() {
    let utf8 = declaration(1);
    let gb = utf8.replace("UTF-8", "GB18030");
    let (bytes, ..) = encoding_rs::GB18030.encode(&gb);
    let report = checked(&bytes);
    assert_eq!((report.findings[0].code.as_str(), report.verdict()), ("encoding-not-utf8", Verdict::Accepted));
    let (bytes, ..) = encoding_rs::GB18030.encode(&utf8);
    assert_eq!(found(&bytes), [rule_and_code("R03", "encoding-mismatch")]);
    assert_eq!(found(format!("\u{FEFF}{utf8}<!-- end -->").as_bytes()), []);
}

#[test]
fn a_file_beyond_the_size_limit_is_not_read_further() {
    let xml = declaration(100);
    let expect = Expectations { max_bytes: 20_000, ..expect() };
    let report = check(&mut xml.as_bytes(), &expect, &Limits::default());
    assert!(report.findings.iter().any(|finding| finding.code == "document-too-large"));
    assert!(report.documents < 100);
}

#[test]
fn findings_are_bounded_and_an_error_outlives_warnings() {
    let limits = Limits { findings: 5, ..Limits::default() };
    let mut xml = declaration(50);
    for number in 0..50 {
        let guid = xml.split("<ceb:guid>").nth(number + 1).expect("a guid")[..36].to_owned();
        xml = xml.replacen(&guid, &"X".repeat(33).chars().chain(format!("{number:03}").chars()).collect::<String>(), 1);
    }
    let report = check(&mut with(&xml, "dxpMode", "XXX").as_bytes(), &expect(), &limits);
    assert_eq!((report.findings.len(), report.findings_left_out), (5, 46));
    assert_eq!(report.verdict(), Verdict::Refused);
}

#[test]
fn a_receipt_and_a_response_are_not_sent() {
    let receipt = super::super::receipt::answer(
        &mut declaration(1).as_bytes(),
        at(),
        &super::super::receipt::Outcome::Accepted,
        &Limits::default(),
    )
    .expect("an answer");
    assert_eq!(found(&receipt), [rule_and_code("R01", "from-customs")]);
    let response = format!("<DxpRep xmlns='{DXP_NS}'><Response/></DxpRep>");
    assert!(found(response.as_bytes()).contains(&rule_and_code("R01", "not-a-declaration")));
}

#[test]
fn levels_change_what_findings_weigh() {
    let xml = with(&declaration(1), "freight", "-1.00");
    let usual = checked(xml.as_bytes());
    let level = |report: &Report, code| report.findings.iter().find(|it| it.code == code).map(|it| it.level);
    assert_eq!(level(&usual, "amount-paid"), Some(Level::Error));
    let mut levels = Levels::default();
    levels.set("R09", Weight::Warning).expect("a rule");
    levels.set("amount-negative", Weight::Off).expect("a code");
    let report = check(&mut xml.as_bytes(), &Expectations { levels: &levels, ..expect() }, &Limits::default());
    assert_eq!((level(&report, "amount-paid"), level(&report, "amount-negative")), (Some(Level::Warning), None));
    assert_eq!(report.verdict(), Verdict::Accepted);
}

#[test]
fn people_read_the_report_in_their_language() {
    let xml = declaration(1).replace(DXPID, "DXPENT0000099999");
    let report = checked(xml.as_bytes());
    let zh = report.lines(Language::Chinese);
    assert!(zh[0].starts_with("CEB311Message 进口电子订单，1 份单证 orderNo=DD"), "{}", zh[0]);
    assert!(zh[1].starts_with("错误 R38 第 ") && zh[1].ends_with("[dxpid-mismatch]"), "{}", zh[1]);
    assert_eq!(zh[2], "预检不通过");
    assert_eq!(report.lines(Language::English)[2], "pre-check failed");
}

#[test]
fn a_report_survives_json() {
    let report = checked(&envelope(with(&declaration(1), "dxpMode", "XXX").as_bytes()));
    let json = serde_json::to_string(&report).expect("serialisable");
    assert_eq!(serde_json::from_str::<Report>(&json).expect("the same shape"), report);
}
