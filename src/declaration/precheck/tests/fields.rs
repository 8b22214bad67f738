//! Rules about one field: each fires, and is silent where it should be.

use super::super::codes::List;
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
    fires(&export_order(), "itemName", " 手机壳", "R04", "field-blanks");
    silent(&export_order(), "itemName", "手机 壳");
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
