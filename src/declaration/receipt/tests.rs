use jiff::Timestamp;

use super::*;
use crate::declaration::CEB_NS;
use crate::declaration::schema;
use crate::declaration::schema::specimen::{self, Fullness};
use crate::declaration::standing::{self, Document, Standing};
use crate::ground::text::Language;

fn at() -> Timestamp {
    "2026-03-01T01:30:00.123Z".parse().expect("a timestamp")
}

/// A request of this type with two documents, each of its key fields set to `<field>-<document>`.
fn request(row: &MessageType) -> String {
    let mut xml = format!("<c:{0} xmlns:c='{CEB_NS}' guid='G' version='1.0'>", row.name);
    for document in 1..=row.max_documents.min(2) {
        xml.push_str(&format!("<c:{}>", row.node));
        let fields = [
            "guid",
            "copNo",
            "orderNo",
            "ebpCode",
            "ebcCode",
            "agentCode",
            "payCode",
            "payTransactionId",
            "payNo",
            "logisticsCode",
            "logisticsNo",
            "logisticsStatus",
            "operatorCode",
            "billNo",
            "msgSeqNo",
            "coElNo",
            "invtNo",
            "statisticsFlag",
        ];
        let head = row.head.map(|head| (format!("<c:{head}>"), format!("</c:{head}>"))).unwrap_or_default();
        xml.push_str(&head.0);
        for field in fields {
            xml.push_str(&format!("<c:{field}>{field}-{document}</c:{field}>"));
        }
        xml.push_str("<c:customsCode>0100</c:customsCode><c:preNo/>");
        xml.push_str(&format!("{}</c:{}>", head.1, row.node));
    }
    xml.push_str(&format!("</c:{}>", row.name));
    xml
}

fn answered(xml: &str, outcome: &Outcome) -> Result<Receipt, DeclarationError> {
    let limits = Limits::default();
    let bytes = answer(&mut xml.as_bytes(), at(), outcome, &limits)?;
    read(&mut &bytes[..], &limits)
}

#[test]
fn every_request_type_is_answered_with_its_own_keys() {
    let requests = family::all().filter(|row| matches!(row.role, Role::Request { .. }));
    for row in requests {
        let receipt = answered(&request(row), &Outcome::Accepted).expect("an answer");
        assert_eq!(Some(receipt.message_type.as_str()), family::receipt_type(row.name));
        assert_eq!(receipt.entries.len(), row.max_documents.min(2) as usize);
        for (index, entry) in receipt.entries.iter().enumerate() {
            let expected = format!("{}-{}", row.keys[0], index + 1);
            assert!(entry.keys.iter().any(|key| key.name == row.keys[0] && key.value == expected), "{}", row.name);
            assert_eq!(meaning(&receipt.message_type, &entry.status).0, Progress::Good);
            assert_eq!(entry.time, "20260301093000123");
            assert!(entry.info.ends_with(&format!("[guid-{}]", index + 1)));
        }
    }
}

#[test]
fn an_entry_concerns_the_document_whose_keys_it_carries() {
    let key = |name: &str, value: &str| BusinessKey { document: 1, name: name.into(), value: value.into() };
    let row = family::find("CEB621Message").expect("a row");
    let receipt = answered(&request(row), &Outcome::Declaring).expect("an answer");
    let [first, second] = &receipt.entries[..] else { panic!("two entries") };
    let own = [key("copNo", "copNo-1"), key("orderNo", "orderNo-1"), key("agentCode", "agentCode-1")];
    assert!(concerns(first, row.name, &own));
    assert!(!concerns(second, row.name, &own));
    assert!(!concerns(first, row.name, &own[1..]), "the main key decides");
    let other = [key("copNo", "copNo-1"), key("agentCode", "another")];
    assert!(!concerns(first, row.name, &other));
}

#[test]
fn a_rejection_carries_the_reason_and_no_list_number() {
    let row = family::find("CEB621Message").expect("a row");
    let xml = request(row).replace("invtNo", "spare");
    let rejected = answered(&xml, &Outcome::Rejected { reason: "商品编码不存在".into() }).expect("an answer");
    let entry = &rejected.entries[0];
    assert_eq!((entry.status.as_str(), entry.info.as_str()), ("100", "商品编码不存在"));
    assert!(entry.keys.iter().all(|key| key.name != "invtNo"));
    let accepted = answered(&xml, &Outcome::Accepted).expect("an answer");
    let invt_no = accepted.entries[0].keys.iter().find(|key| key.name == "invtNo").expect("a number");
    assert!(invt_no.value.starts_with("01002026I"));
}

#[test]
fn the_same_request_is_answered_with_the_same_bytes() {
    let xml = request(family::find("CEB303Message").expect("a row"));
    let bytes = || answer(&mut xml.as_bytes(), at(), &Outcome::Declaring, &Limits::default());
    assert_eq!(bytes(), bytes());
}

#[test]
fn what_is_no_request_is_not_answered() {
    for root in ["CEB312Message", "CEB999Message"] {
        let xml = format!("<{root} xmlns='{CEB_NS}'><a/></{root}>");
        let error = answered(&xml, &Outcome::Accepted).expect_err("no request");
        assert_eq!(error.code(), "message-type-wrong");
    }
    let empty = format!("<CEB311Message xmlns='{CEB_NS}'/>");
    assert_eq!(answered(&empty, &Outcome::Accepted).expect_err("empty").code(), "element-missing");
    assert_eq!(answered("<CEB311Message>", &Outcome::Accepted).expect_err("cut").code(), "message-type-wrong");
}

#[test]
fn an_unreadable_document_is_quoted_whatever_it_holds() {
    for document in [&b"<broken]]>\x00\xff"[..], "订单".as_bytes(), &[b'x'; 200_000]] {
        let original = OriginalMessage { cop_msg_id: "M1", message_type: Some("Nonsense"), document };
        let bytes = format_error(&original, "格式错误", at());
        let receipt = read(&mut &bytes[..], &Limits::default()).expect("a CEB900");
        let entry = &receipt.entries[0];
        assert_eq!((entry.keys[0].value.as_str(), entry.keys[1].value.as_str()), ("M1", "Unknown"));
        assert_eq!(meaning("CEB900Message", &entry.status).0, Progress::Bad);
    }
}

#[test]
fn a_tax_bill_is_read_from_its_head() {
    let xml = format!(
        "<t:CEB816Message xmlns:t='{CEB_NS}' guid='G' version='1.0'><t:Tax><t:TaxHeadRd><t:returnTime>20260301093000123\
         </t:returnTime><t:invtNo>010020261000000001</t:invtNo><t:taxNo>T1</t:taxNo><t:status>2</t:status></t:TaxHeadRd>\
         <t:TaxListRd><t:status>3</t:status></t:TaxListRd></t:Tax></t:CEB816Message>"
    );
    let receipt = read(&mut xml.as_bytes(), &Limits::default()).expect("a notice");
    let entry = &receipt.entries[0];
    assert_eq!((entry.status.as_str(), entry.keys.len()), ("2", 2));
    assert_eq!(meaning(&receipt.message_type, &entry.status).0, Progress::Good);
}

#[test]
fn the_meaning_of_a_status_depends_on_the_type() {
    let progress = |name: &str, status: &str| meaning(name, status).0;
    assert_eq!(progress("CEB312Message", "120"), Progress::Good);
    assert_eq!(progress("CEB622Message", "120"), Progress::Progress);
    assert_eq!(progress("CEB622Message", "399"), Progress::Progress);
    assert_eq!(progress("CEB624Message", "399"), Progress::Good);
    assert_eq!(progress("CEB622Message", "-621005"), Progress::Bad);
    assert_eq!(progress("CEB622Message", "-"), Progress::Unknown);
    assert_eq!(progress("CEB622Message", "777"), Progress::Unknown);
    assert_eq!(meaning("CEB312Message", "100").1.text(Language::Chinese), "海关退单");
}

#[test]
fn every_receipt_and_notice_of_the_tables_is_read_with_all_its_keys() {
    let mut read_types = 0;
    let from_customs = |row: &&MessageType| !matches!(row.role, Role::Request { .. });
    for row in family::all().filter(from_customs) {
        let message =
            schema::current().find(schema::Ns::Ceb, row.name).unwrap_or_else(|| panic!("no table of {}", row.name));
        for fullness in [Fullness::All, Fullness::Least] {
            let xml = specimen::of(message, fullness).write();
            let receipt =
                read(&mut xml.as_bytes(), &Limits::default()).unwrap_or_else(|error| panic!("{xml}: {error}"));
            let entry = &receipt.entries[0];
            assert_eq!((receipt.message_type.as_str(), receipt.entries.len(), receipt.left_out), (row.name, 1, 0));
            assert!(!entry.status.is_empty() && instant(&entry.time).is_some(), "{}: {entry:?}", row.name);
            if fullness == Fullness::All {
                assert_eq!(entry.keys.len(), row.keys.len(), "{}: {entry:?}", row.name);
            }
        }
        read_types += 1;
    }
    assert_eq!(read_types, 23);
}

#[test]
fn every_receipt_of_the_tables_is_matched_with_the_document_it_answers() {
    for request in family::all() {
        let Role::Request { receipt } = request.role else { continue };
        let (of, main) = standing::subject(receipt).expect("a subject");
        assert_eq!(of, request.name);
        let message = schema::current().find(schema::Ns::Ceb, receipt).expect("a table");
        let xml = specimen::of(message, Fullness::All).write();
        let entry = read(&mut xml.as_bytes(), &Limits::default()).expect("a receipt").entries.remove(0);
        let value = |name: &str| entry.keys.iter().find(|key| key.name == name).map(|key| key.value.clone());
        let own = |name: &&str| ((*name).to_owned(), value(name).unwrap_or_else(|| "another".to_owned()));
        let document = Document::sent(request.keys.iter().map(own).collect());
        assert!(document.is_meant_by(&entry.keys, main), "{receipt} {entry:?} {document:?}");
        let mut other = document.clone();
        other.keys.iter_mut().filter(|(name, _)| name == main).for_each(|(_, value)| value.push('9'));
        assert!(!other.is_meant_by(&entry.keys, main), "{receipt}");
    }
}

#[test]
fn the_road_of_each_type_ends_well_and_only_goes_on() {
    for request in family::all() {
        let Role::Request { receipt } = request.role else { continue };
        for review in [false, true] {
            let road = sequence(receipt, review);
            let codes: Vec<u32> = road.iter().map(|status| status.parse().expect("a number")).collect();
            assert!(codes.is_sorted() && codes.len() >= 3, "{receipt}: {road:?}");
            let last = road.last().expect("an end");
            assert_eq!(meaning(receipt, last).0, Progress::Good, "{receipt} {last}");
            assert!(matches!(Standing::told_by(receipt, last), Standing::Accepted | Standing::Released));
        }
    }
    assert_eq!(sequence("CEB622Message", true), ["2", "3", "120", "300", "399", "800", "899"]);
}

#[test]
fn a_time_of_customs_is_an_instant_and_back() {
    assert_eq!(instant("20260301093000123"), Some(at()));
    assert_eq!(return_time(at()), "20260301093000123");
    for wrong in ["", "20260301", "2026030109300012", "20261301093000123", "2026030109300012x", "订单订单订单订单订"]
    {
        assert_eq!(instant(wrong), None, "{wrong}");
    }
}

#[test]
fn a_receipt_of_any_size_takes_bounded_memory() {
    let entry = format!(
        "<InventoryReturn><copNo>C</copNo><returnStatus>2</returnStatus><returnTime>20260301093000123</returnTime>\
         <returnInfo>{}</returnInfo></InventoryReturn>",
        "x".repeat(5000)
    );
    let xml = format!("<CEB622Message xmlns='{CEB_NS}' guid='G' version='1.0'>{}</CEB622Message>", entry.repeat(3000));
    let receipt = read(&mut xml.as_bytes(), &Limits::default()).expect("a receipt");
    assert!(receipt.left_out > 0 && receipt.entries.len() > 1000);
    assert_eq!(receipt.entries.len() + receipt.left_out as usize, 3000);
}

#[test]
fn all_receipts_of_a_declaration_bear_the_same_numbers_and_speak_of_the_documents_they_are_about() {
    let xml = request(family::find("CEB621Message").expect("a row"));
    let said = |status: &'static str, seconds: i64, only: u32| {
        let outcome = move |number: u32, _: &[BusinessKey]| {
            (number >= only).then(|| Outcome::Status { code: status.to_owned(), info: String::new() })
        };
        let later = at().checked_add(jiff::SignedDuration::from_secs(seconds)).expect("later");
        let step = Step { since: at(), at: later, outcome: &outcome };
        let bytes = answer_step(&mut xml.as_bytes(), &step, &Limits::default()).expect("a request")?;
        Some(read(&mut bytes.as_slice(), &Limits::default()).expect("a receipt"))
    };
    let (first, second) = (said("2", 0, 1).expect("some"), said("120", 5, 2).expect("some"));
    assert_eq!((first.entries.len(), second.entries.len()), (2, 1));
    let pre_no = |receipt: &Receipt, entry: usize| {
        receipt.entries[entry].keys.iter().find(|key| key.name == "preNo").expect("a number").value.clone()
    };
    assert_eq!(pre_no(&first, 1), pre_no(&second, 0));
    assert!(first.entries[1].time < second.entries[0].time);
    assert!(said("2", 0, 3).is_none(), "a step that speaks of no document is no receipt");
}

#[test]
fn a_number_that_ends_in_a_full_width_space_is_the_same_in_declaration_and_receipt() {
    use crate::declaration::precheck::{Expectations, check};
    let row = family::find("CEB311Message").expect("a row");
    let xml = request(row).replace("orderNo-1<", "orderNo-1\u{3000}<");
    let report = check(&mut xml.as_bytes(), &Expectations::default(), &Limits::default());
    let own: Vec<BusinessKey> = report.keys.into_iter().filter(|key| key.document == 1).collect();
    assert!(own.iter().any(|key| key.value == "orderNo-1\u{3000}"), "{own:?}");
    let receipt = answered(&xml, &Outcome::Accepted).expect("an answer");
    assert!(concerns(&receipt.entries[0], "CEB311Message", &own), "{:?}", receipt.entries[0].keys);
}
