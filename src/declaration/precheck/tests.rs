use super::*;
use crate::declaration::envelope::wrap;
use crate::declaration::{CEB_NS, DXP_NS};

const DXPID: &str = "DXPENT0000012345";

fn guid(number: usize) -> String {
    format!("8D1C3A52-77C6-4F0E-9B0C-{number:012}")
}

/// A CEB311 reduced to what this stage looks at.
fn declaration(documents: usize) -> String {
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ceb:CEB311Message guid=\"{}\" version=\"1.0\" xmlns:ceb=\"{CEB_NS}\">\n",
        guid(0)
    );
    for n in 1..=documents {
        xml.push_str(&format!(
            "<ceb:Order><ceb:OrderHead><ceb:guid>{}</ceb:guid><ceb:orderNo>D{n}</ceb:orderNo><ceb:ebpCode>P</ceb:ebpCode>\
             </ceb:OrderHead><ceb:OrderList><ceb:orderNo>not this</ceb:orderNo></ceb:OrderList></ceb:Order>\n",
            guid(n)
        ));
    }
    xml.push_str(&format!(
        "<ceb:BaseTransfer><ceb:copCode>1101000001</ceb:copCode><ceb:copName>企业</ceb:copName><ceb:dxpMode>DXP</ceb:dxpMode>\
         <ceb:dxpId>{DXPID}</ceb:dxpId></ceb:BaseTransfer>\n</ceb:CEB311Message>\n"
    ));
    xml
}

fn expect() -> Expectations<'static> {
    Expectations { dxpid: Some(DXPID), ..Expectations::default() }
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

fn envelope(document: &[u8]) -> Vec<u8> {
    let head = EnvelopeHead {
        cop_msg_id: guid(9),
        sender_id: DXPID.into(),
        receiver_ids: vec!["DXPEDCCEB0000002".into()],
        creat_time: "2026-03-01T09:30:00".into(),
        msg_type: "CEB311Message".into(),
        file_name: None,
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
    let first: Vec<_> = report.first_keys().iter().map(|key| (key.name.as_str(), key.value.as_str())).collect();
    assert_eq!(first, [("orderNo", "D1"), ("ebpCode", "P")]);
    assert_eq!(report.keys.len(), 6);
}

#[test]
fn a_correct_envelope_is_checked_inside_as_well() {
    let report = checked(&envelope(declaration(2).as_bytes()));
    assert_eq!((report.findings.clone(), report.kind, report.documents), (vec![], Kind::DxpMsg, 2));
    assert_eq!(report.envelope.map(|head| head.sender_id).as_deref(), Some(DXPID));
    let bad = declaration(1).replace("<ceb:dxpMode>DXP", "<ceb:dxpMode>LXP");
    let report = checked(&envelope(bad.as_bytes()));
    let finding = &report.findings[0];
    assert_eq!(finding.path, "DxpMsg/Data/CEB311Message/BaseTransfer/dxpMode");
    assert_eq!((finding.code.as_str(), finding.line, report.verdict()), ("dxp-mode", 4, Verdict::Refused));
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
}

#[test]
fn a_base_transfer_without_its_fields_is_refused() {
    let xml = declaration(1);
    let without = xml.replace(&format!("<ceb:dxpId>{DXPID}</ceb:dxpId>"), "");
    assert_eq!(found_one(&without), rule_and_code("R38", "base-transfer-incomplete"));
    let start = xml.split_once("<ceb:BaseTransfer>").expect("a transfer").0;
    let empty = format!("{start}<ceb:BaseTransfer/></ceb:CEB311Message>");
    assert_eq!(found(empty.as_bytes()).len(), 3);
}

#[test]
fn an_empty_document_has_no_guid() {
    let xml = declaration(1);
    let with_empty = xml.replace("<ceb:BaseTransfer>", "<ceb:Order/><ceb:BaseTransfer>");
    assert_eq!(found_one(&with_empty), rule_and_code("R02", "guid-missing"));
}

#[test]
fn message_type_and_receiver_of_the_envelope_must_fit_the_document() {
    let whole = String::from_utf8(envelope(declaration(1).as_bytes())).expect("UTF-8");
    assert_eq!(found_one(&whole.replace("CEB311Message", "CEB411Message")), rule_and_code("R01", "msg-type-mismatch"));
    assert_eq!(found_one(&whole.replace("CEB0000002", "CEB0000003")), rule_and_code("R01", "receiver-mismatch"));
}

#[test]
fn root_namespace_and_version_are_checked() {
    let xml = declaration(1);
    assert_eq!(
        found_one(&xml.replace(CEB_NS, "http://www.chinaport.gov.cn/CEB")),
        rule_and_code("R01", "namespace-wrong")
    );
    assert_eq!(found_one(&xml.replace("CEB311Message", "CEB999Message")), rule_and_code("R01", "root-unknown"));
    assert_eq!(found_one("<order/>"), rule_and_code("R01", "root-unknown"));
    assert_eq!(
        found_one(&xml.replace("version=\"1.0\" xmlns", "version=\"2\" xmlns")),
        rule_and_code("R01", "version-unusual")
    );
    assert_eq!(found_one(&xml.replace("version=\"1.0\" xmlns", "xmlns")), rule_and_code("R01", "version-missing"));
    assert_eq!(
        found_one(&xml.replace("<ceb:copName>企业</ceb:copName>", "<copName/>")),
        rule_and_code("R03", "element-namespace")
    );
}

#[test]
fn a_guid_has_36_characters_and_is_not_repeated() {
    let xml = declaration(2);
    assert_eq!(found_one(&xml.replace(&guid(1), "123")), rule_and_code("R02", "guid-length"));
    assert_eq!(found_one(&xml.replace(&guid(1), &guid(2))), rule_and_code("R02", "guid-repeated"));
    assert_eq!(found_one(&xml.replace(&guid(1), &"X".repeat(36))), rule_and_code("R02", "guid-not-uuid"));
    assert_eq!(found_one(&xml.replace(&guid(0), &guid(0).to_lowercase())), rule_and_code("R02", "guid-lower-case"));
    let missing = xml.replace(&format!("<ceb:guid>{}</ceb:guid>", guid(1)), "");
    assert_eq!(found_one(&missing), rule_and_code("R02", "guid-missing"));
}

#[test]
fn the_frame_has_its_order_and_counts() {
    let xml = declaration(1);
    let (start, rest) = xml.split_once("<ceb:Order>").expect("an order");
    let (order, transfer) = rest.split_once("</ceb:Order>").expect("its end");
    let transfer = transfer.split_once("</ceb:CEB311Message>").expect("the end").0;
    let message = |inside: &str| format!("{start}{inside}</ceb:CEB311Message>");
    let order = format!("<ceb:Order>{order}</ceb:Order>");
    assert_eq!(found_one(&message(&format!("{transfer}{order}"))), rule_and_code("R03", "element-order"));
    assert_eq!(found_one(&message(&order)), rule_and_code("R38", "base-transfer-missing"));
    assert_eq!(found_one(&message(transfer)), rule_and_code("R03", "no-documents"));
    assert_eq!(
        found_one(&message(&format!("{order}{transfer}{transfer}"))),
        rule_and_code("R03", "base-transfer-repeated")
    );
    assert_eq!(
        found_one(&message(&format!("{order}<ceb:Invoice/>{transfer}"))),
        rule_and_code("R03", "element-unexpected")
    );
    assert_eq!(found_one(&message(&format!("{order}stray{transfer}"))), rule_and_code("R03", "text-between-elements"));
    assert_eq!(found_one(&declaration(101)), rule_and_code("R03", "too-many-documents"));
    let signature =
        "<ds:Signature xmlns:ds='http://www.w3.org/2000/09/xmldsig#'><ds:KeyInfo>x</ds:KeyInfo></ds:Signature>";
    let extension = "<ceb:ExtendMessage><free xmlns='urn:x'>y</free></ceb:ExtendMessage>";
    assert_eq!(found(message(&format!("{order}{transfer}{extension}{signature}")).as_bytes()), []);
    assert_eq!(
        found_one(&message(&format!("{order}{transfer}{signature}{extension}"))),
        rule_and_code("R03", "element-order")
    );
}

#[test]
fn hostile_xml_ends_in_one_finding() {
    let with = |text: &str| declaration(1).replace(">D1<", &format!(">{text}<"));
    assert_eq!(found_one(&with("&laugh;")).1, "xml-entity-unknown");
    assert_eq!(found_one(&with(&"<ceb:x>".repeat(1000))).1, "xml-too-deep");
    assert_eq!(found_one(&with(&"x".repeat(100_000))).1, "xml-item-too-long");
    assert_eq!(found_one(&format!("<!DOCTYPE a [<!ENTITY b 'c'>]>{}", "<a/>")).1, "xml-doctype");
    assert_eq!(found_one("").1, "xml-empty");
    assert_eq!(found_one("ISA*00*").1, "xml-malformed");
    let cut = &envelope(declaration(1).as_bytes())[..900];
    assert_eq!(found(cut), [rule_and_code("R03", "xml-malformed")]);
}

#[test]
fn faults_of_the_base64_are_reported_once_and_in_the_envelope() {
    let whole = String::from_utf8(envelope(declaration(1).as_bytes())).expect("UTF-8");
    let broken = whole.replace("</dxp:Data>", "A</dxp:Data>");
    assert_eq!(found_one(&broken), rule_and_code("R03", "envelope-base64-truncated"));
    let report = checked(whole.replace("<dxp:Data>", "<dxp:Data>*").as_bytes());
    assert_eq!(report.findings.len(), 1);
    assert_eq!(
        (report.findings[0].code.as_str(), report.findings[0].path.as_str()),
        ("envelope-base64", "DxpMsg/Data")
    );
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
    let xml = declaration(50).replace("8D1C", "8d1c").replace("DXP</ceb:dxpMode>", "XXX</ceb:dxpMode>");
    let report = check(&mut xml.as_bytes(), &expect(), &limits);
    assert_eq!((report.findings.len(), report.findings_left_out), (5, 47));
    assert_eq!(report.verdict(), Verdict::Refused);
}

#[test]
fn a_receipt_and_a_response_are_not_sent() {
    let receipt = format!(
        "<CEB312Message xmlns='{CEB_NS}' guid='{}' version='1.0'><OrderReturn><guid>{}</guid></OrderReturn></CEB312Message>",
        guid(1),
        guid(2)
    );
    assert_eq!(found_one(&receipt), rule_and_code("R01", "from-customs"));
    let response = format!("<DxpRep xmlns='{DXP_NS}'><Response/></DxpRep>");
    assert_eq!(found_one(&response), rule_and_code("R01", "not-a-declaration"));
}

#[test]
fn people_read_the_report_in_their_language() {
    let report = checked(declaration(1).replace(DXPID, "DXPENT0000099999").as_bytes());
    let zh = report.lines(Language::Chinese);
    assert_eq!(zh[0], "CEB311Message 进口电子订单，1 份单证 orderNo=D1 ebpCode=P");
    assert!(zh[1].starts_with("错误 R38 第 4 行第 ") && zh[1].ends_with("[dxpid-mismatch]"), "{}", zh[1]);
    assert_eq!(zh[2], "预检不通过");
    assert_eq!(report.lines(Language::English)[2], "pre-check failed");
}

#[test]
fn a_report_survives_json() {
    let report = checked(&envelope(declaration(1).replace("DXP</", "X</").as_bytes()));
    let json = serde_json::to_string(&report).expect("serialisable");
    assert_eq!(serde_json::from_str::<Report>(&json).expect("the same shape"), report);
}
