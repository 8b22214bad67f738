//! Rules about one field: each fires, and is silent where it should be.

use super::super::codes::List;
use super::rules::made;
use super::*;

fn import_list() -> String {
    String::from_utf8(sample::inventory(1, DXPID, at(), 5)).expect("UTF-8")
}

fn export_order() -> String {
    String::from_utf8(sample::export_order(1, DXPID, at(), 5)).expect("UTF-8")
}

fn export_list() -> String {
    String::from_utf8(sample::export_inventory(1, DXPID, at(), 5)).expect("UTF-8")
}

/// The field with this value brings this finding, alone.
fn fires(xml: &str, field: &str, value: &str, rule: &str, code: &str) {
    assert_eq!(found_one(&with(xml, field, value)), rule_and_code(rule, code), "{field} {value}");
}

fn silent(xml: &str, field: &str, value: &str) {
    assert_eq!(found(with(xml, field, value).as_bytes()), [], "{field} {value}");
}

#[test]
fn r04_wants_text_without_blanks_around_and_of_the_texts_length() {
    fires(&export_order(), "itemName", "", "R04", "field-blank");
    fires(&export_order(), "itemName", "   ", "R04", "field-blank");
    fires(&export_order(), "itemName", "\u{3000}\u{A0}", "R04", "field-blank");
    silent(&export_order(), "itemName", "手机\u{3000}壳");
    fires(&export_order(), "itemName", " 手机壳", "R04", "field-blanks");
    silent(&export_order(), "itemName", "手机 壳");
    let note = |text: &str| said("CEB603Message", "Inventory/InventoryHead/note", text, "R04");
    assert_eq!(note("  "), ["field-blanks"], "an optional field of blanks");
    assert_eq!(note("\u{3000}"), [] as [&str; 0], "to the schema it is text");
    let unit = said("CEB603Message", "Inventory/InventoryList/unit2", "\u{3000}", "R36");
    assert_eq!(unit, ["code-form"], "text of no form");
    assert_eq!((note(""), note("一 二")), (vec![], vec![]));
    fires(&declaration(1), "consigneeAddress", &"海".repeat(101), "R04", "bytes-over-length");
    silent(&declaration(1), "consigneeAddress", &"海".repeat(100));
    let list = import_list().replace("<ceb:itemName>", "<ceb:note>").replace("</ceb:itemName>", "</ceb:note>");
    assert!(
        found(list.as_bytes()).iter().any(|(rule, code)| (rule.as_str(), code.as_str()) == ("R03", "element-order"))
    );
    let change = with(&import_list(), "appType", "2");
    let change = change.replace("<ceb:assureCode>", "<ceb:preNo>B2026</ceb:preNo><ceb:assureCode>");
    assert!(found(change.as_bytes()).contains(&rule_and_code("R04", "spec-length")));
}

#[test]
fn r05_wants_empty_optional_elements_left_out() {
    let xml = with(&declaration(1), "consigneeDistrict", "");
    assert_eq!(found(xml.as_bytes()), [rule_and_code("R03", "value-empty"), rule_and_code("R05", "empty-optional")]);
    assert_eq!(found(without(&declaration(1), "consigneeDistrict").as_bytes()), []);
}

#[test]
fn r06_knows_the_values_of_types_and_states() {
    fires(&declaration(1), "appType", "4", "R06", "value-not-listed");
    fires(&declaration(1), "appStatus", "9", "R06", "value-not-listed");
    fires(&import_list(), "ieFlag", "E", "R06", "value-not-listed");
    fires(&export_list(), "ieFlag", "I", "R06", "value-not-listed");
    silent(&declaration(1), "appType", "3");
}

#[test]
fn r08_wants_times_that_exist_and_are_not_in_the_future() {
    fires(&declaration(1), "appTime", "20260230093000", "R08", "time-form");
    fires(&declaration(1), "appTime", "2026030109300x", "R08", "time-form");
    fires(&declaration(1), "appTime", "20260301095000", "R08", "time-in-future");
    silent(&declaration(1), "appTime", "20260301093500");
    fires(&import_list(), "declTime", "20261301", "R08", "time-form");
}

#[test]
fn r13_wants_yuan_for_imports() {
    let found = found(with(&declaration(1), "currency", "502").as_bytes());
    assert_eq!(found, [rule_and_code("R03", "value-fixed"), rule_and_code("R13", "currency-not-cny")]);
    silent(&export_order(), "currency", "142");
}

#[test]
fn r14_checks_the_citizens_number() {
    fires(&declaration(1), "buyerIdType", "2", "R14", "identity-type");
    fires(&declaration(1), "buyerIdNumber", "110105194912310021", "R14", "identity-number");
    fires(&declaration(1), "buyerIdNumber", "123", "R14", "identity-number");
    silent(&declaration(1), "buyerIdNumber", "11010519491231002X");
}

#[test]
fn r15_knows_the_order_types() {
    fires(&declaration(1), "orderType", "E", "R15", "order-type");
    fires(&export_order(), "orderType", "I", "R15", "order-type");
    silent(&export_order(), "orderType", "B");
    silent(&export_order(), "orderType", "W");
}

#[test]
fn r21_wants_one_package_of_imports_and_some_of_exports() {
    fires(&import_list(), "packNo", "2", "R21", "pack-count");
    silent(&import_list(), "packNo", "01");
    fires(&export_list(), "packNo", "0", "R21", "pack-count");
    silent(&export_list(), "packNo", "7");
}

#[test]
fn r23_wants_tariff_numbers() {
    fires(&import_list(), "gcode", "190110101A", "R23", "goods-code-form");
    fires(&import_list(), "gcode", "0001101010", "R23", "goods-code-unknown");
    let mut tables = CodeTables::default();
    tables.load(List::Goods, "1901101010\n");
    let xml = with(&import_list(), "gcode", "1901101010");
    let expect = Expectations { tables: &tables, ..expect() };
    let codes = |xml: &str| check(&mut xml.as_bytes(), &expect, &Limits::default()).findings.len();
    let lines = xml.matches("<ceb:gcode>").count();
    assert_eq!(codes(&xml), lines - 1);
    let simplified = with(&with(&export_list(), "statisticsFlag", "A"), "gcode", "1901999999");
    assert_eq!(codes(&simplified), simplified.matches("<ceb:gcode>").count() - 1);
}

#[test]
fn r25_wants_the_word_for_no_bar_code() {
    fires(&export_list(), "barCode", "", "R25", "bar-code-missing");
    fires(&export_list(), "barCode", "none", "R25", "bar-code-word");
    silent(&export_list(), "barCode", "无");
}

#[test]
fn r27_knows_which_word_stands_for_no_code() {
    fires(&export_list(), "ownerCode", "无", "R27", "enterprise-word");
    silent(&export_list(), "ownerCode", "NO");
    silent(&export_order(), "ebpCode", "无");
    fires(&export_order(), "ebpCode", "NO", "R27", "enterprise-word");
}

#[test]
fn r28_knows_the_flags() {
    fires(&export_list(), "statisticsFlag", "C", "R28", "flag-unknown");
    silent(&export_list(), "statisticsFlag", "A");
}

#[test]
fn the_schema_fixes_a_flag_that_the_text_leaves_open_and_the_finding_says_so() {
    let report = checked(with(&export_list(), "fFlag", "1").as_bytes());
    assert_eq!(report.findings[0].code, "value-fixed");
    assert!(report.findings[0].message_zh.contains("规范正文允许其他值"), "{}", report.findings[0].message_zh);
}

#[test]
fn r34_and_r35_know_the_numbers_of_customs() {
    let change = with(&import_list(), "appType", "2");
    let put = |name: &str, value: &str, before: &str| {
        change.replacen(&format!("<ceb:{before}>"), &format!("<ceb:{name}>{value}</ceb:{name}><ceb:{before}>"), 1)
    };
    assert_eq!(found_one(&put("invtNo", "01002026E000000001", "ieFlag")), rule_and_code("R34", "list-number-form"));
    assert_eq!(found(put("invtNo", "01002026I000000001", "ieFlag").as_bytes()), []);
    assert_eq!(found_one(&put("preNo", "B20261301000000001", "assureCode")), rule_and_code("R35", "pre-no-form"));
    assert_eq!(found(put("preNo", "B20260301000000001", "assureCode").as_bytes()), []);
    let new = with(&put("preNo", "B20260301000000001", "assureCode"), "appType", "1");
    assert_eq!(found_one(&new), rule_and_code("R35", "pre-no-given"));
}

#[test]
fn r36_wants_codes_of_the_right_form_and_known_ones_where_there_is_a_table() {
    fires(&import_list(), "customsCode", "01AB", "R36", "code-form");
    fires(&import_list(), "unit", "999", "R36", "code-unknown");
    fires(&import_list(), "trafMode", "Q", "R36", "code-unknown");
    fires(&export_order(), "currency", "USD", "R36", "code-form");
    silent(&export_order(), "currency", "502");
    silent(&export_list(), "POD", "5021");
    let mut tables = CodeTables::default();
    tables.load(List::Currency, "142,人民币\n");
    let report =
        check(&mut export_order().as_bytes(), &Expectations { tables: &tables, ..expect() }, &Limits::default());
    assert!(report.findings.iter().all(|it| it.code == "code-unknown" && it.level == Level::Warning));
    assert!(!report.findings.is_empty());
}

#[test]
fn r37_checks_enterprise_codes() {
    fires(&declaration(1), "ebcCode", "91350100M000100Y44", "R37", "credit-code-check");
    fires(&declaration(1), "ebcCode", "12345", "R37", "enterprise-code-form");
    silent(&declaration(1), "ebcCode", "91350100M000100Y43");
    silent(&declaration(1), "ebcCode", "3301961Q43");
}

/// What the rule says about a full example of a message with this value.
fn said(message: &str, path: &str, value: &str, rule: &str) -> Vec<String> {
    use super::super::super::schema::specimen::{self, Fullness};
    use super::super::super::schema::{self, Ns};
    let message = schema::current().find(Ns::Ceb, message).expect("a message");
    let mut piece = specimen::of(message, Fullness::All);
    value.clone_into(&mut piece.at(path).unwrap_or_else(|| panic!("{} {path}", message.name())).text);
    let findings = checked(piece.write().as_bytes()).findings;
    let of =
        findings.into_iter().filter(|it| it.rule == rule && it.path.ends_with(path.rsplit('/').next().unwrap_or("")));
    of.map(|finding| finding.code).collect()
}

/// Message, path, a value that the rule takes, one that it does not, the rule, its code.
type Row = (&'static str, &'static str, &'static str, &'static str, &'static str, &'static str);

const ROWS: &[Row] = &[
    ("CEB711Message", "Delivery/DeliveryHead/ieFlag", "I", "E", "R06", "value-not-listed"),
    ("CEB213Message", "InvtRefund/InvtRefundHead/ieFlag", "I", "E", "R06", "value-not-listed"),
    ("CEB215Message", "InvtRefundDetail/ieFlag", "I", "E", "R06", "value-not-listed"),
    ("CEB507Message", "Arrival/ArrivalHead/ieFlag", "E", "I", "R06", "value-not-listed"),
    ("CEB513Message", "LogisticsStatus/logisticsStatus", "S", "R", "R06", "value-of-samples"),
    ("CEB513Message", "LogisticsStatus/logisticsStatus", "S", "Q", "R06", "value-not-listed"),
    ("CEB604Message", "InventoryReturn/statisticsFlag", "A", "1", "R06", "value-of-samples"),
    ("CEB604Message", "InventoryReturn/statisticsFlag", "A", "2", "R28", "flag-unknown"),
    ("CEB621Message", "Inventory/InventoryList/gnum", "9999", "10000", "R04", "spec-length"),
    ("CEB625Message", "InvtRefund/InvtRefundList/gnum", "009999", "-10000", "R04", "spec-length"),
    ("CEB411Message", "Payment/PaymentHead/payTime", "20260228093000", "20270228093000", "R08", "time-in-future"),
    ("CEB509Message", "Departure/DepartureHead/leaveTime", "20260228093000", "20270228093000", "R08", "time-in-future"),
    ("CEB701Message", "SummaryApply/SummaryApplyHead/endTime", "20270101000000", "20270132000000", "R08", "time-form"),
    ("CEB411Message", "Payment/PaymentHead/currency", "142", "502", "R13", "currency-not-cny"),
    ("CEB511Message", "Logistics/LogisticsHead/currency", "142", "502", "R13", "currency-not-cny"),
    ("CEB621Message", "Inventory/InventoryHead/currency", "142", "502", "R13", "currency-not-cny"),
    ("CEB621Message", "Inventory/InventoryList/currency", "142", "502", "R13", "currency-not-cny"),
    ("CEB411Message", "Payment/PaymentHead/payerIdType", "1", "2", "R14", "identity-type"),
    (
        "CEB411Message",
        "Payment/PaymentHead/payerIdNumber",
        "11010519491231002X",
        "110105194912310020",
        "R14",
        "identity-number",
    ),
    ("CEB623Message", "InvtCancel/buyerIdNumber", "11010519491231002X", "110105194913310020", "R14", "identity-number"),
    (
        "CEB625Message",
        "InvtRefund/InvtRefundHead/buyerIdNumber",
        "11010519491231002X",
        "1101051949123100",
        "R14",
        "identity-number",
    ),
    ("CEB511Message", "Logistics/LogisticsHead/packNo", "1", "2", "R21", "pack-count"),
    ("CEB505Message", "Logistics/packNo", "3", "0", "R21", "pack-count"),
    ("CEB213Message", "InvtRefund/InvtRefundList/gcode", "1901101010", "190110101", "R23", "goods-code-form"),
    ("CEB625Message", "InvtRefund/InvtRefundList/gcode", "1901101010", "19O1101010", "R23", "goods-code-form"),
    ("CEB603Message", "Inventory/InventoryList/gcode", "1901101010", "7701101010", "R23", "goods-code-unknown"),
    ("CEB621Message", "Inventory/InventoryList/barCode", "无", "没有", "R25", "bar-code-word"),
    ("CEB403Message", "Receipts/ebpCode", "无", "NO", "R27", "enterprise-word"),
    ("CEB603Message", "Inventory/InventoryHead/ebpCode", "无", "NO", "R27", "enterprise-word"),
    ("CEB511Message", "Logistics/LogisticsHead/logisticsCode", "3301961Q43", "无", "R27", "enterprise-word"),
    ("CEB507Message", "Arrival/ArrivalHead/msgCount", "1", "0", "R31", "message-number"),
    ("CEB605Message", "InvtCancel/invtNo", "01002026E00000000123", "01002026I000000001", "R34", "list-number-form"),
    ("CEB623Message", "InvtCancel/invtNo", "01002026I000000001", "0100202I0000000001", "R34", "list-number-form"),
    ("CEB701Message", "SummaryApply/SummaryApplyList/invtNo", "01002026E000000001", "E", "R34", "list-number-form"),
    ("CEB603Message", "Inventory/InventoryHead/POD", "502", "50-1", "R36", "code-form"),
    ("CEB603Message", "Inventory/InventoryHead/fCurrency", "502", "USD", "R36", "code-form"),
    ("CEB621Message", "Inventory/InventoryList/unit1", "035", "999", "R36", "code-unknown"),
    ("CEB311Message", "Order/OrderHead/consigneeDistrict", "130102", "13O102", "R36", "code-form"),
    (
        "CEB603Message",
        "Inventory/InventoryHead/ownerCode",
        "91350100M000100Y43",
        "91350100M000100Y44",
        "R37",
        "credit-code-check",
    ),
    ("CEB711Message", "Delivery/DeliveryHead/operatorCode", "3301961Q43", "33019", "R37", "enterprise-code-form"),
    ("CEB311Message", "BaseTransfer/dxpMode", "DXP", "LXP", "R38", "dxp-mode"),
];

#[test]
fn every_field_rule_fires_and_is_silent_in_the_other_messages_that_have_the_field() {
    for (message, path, good, bad, rule, code) in ROWS {
        assert_eq!(said(message, path, good, rule), [] as [&str; 0], "{message} {path} {good}");
        assert_eq!(said(message, path, bad, rule), [*code], "{message} {path} {bad}");
    }
}

#[test]
fn a_value_that_only_the_official_samples_have_is_a_warning() {
    let xml = made("CEB513Message", &[("LogisticsStatus/logisticsStatus", Some("R"))]);
    let finding = checked(xml.as_bytes()).findings.into_iter().find(|it| it.rule == "R06").expect("the finding");
    assert_eq!((finding.level, finding.value.as_deref()), (Level::Warning, Some("R")));
    assert!(finding.message_zh.contains("官方样例"), "{}", finding.message_zh);
}
