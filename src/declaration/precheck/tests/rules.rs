//! Rules about lines, documents and messages: each fires, and is silent where it should be.

use super::super::super::schema::specimen::{self, Fullness};
use super::super::super::schema::{self, Ns};
use super::*;

/// A full example of a message with these values; `None` takes the element away.
pub(super) fn made(name: &str, changes: &[(&str, Option<&str>)]) -> String {
    let message = schema::current().find(Ns::Ceb, name).expect("a message");
    let mut piece = specimen::of(message, Fullness::All);
    for (path, value) in changes {
        match value {
            Some(value) => (*value).clone_into(&mut piece.at(path).unwrap_or_else(|| panic!("{path}")).text),
            None => {
                let (parent, child) = path.rsplit_once('/').expect("a parent");
                piece.at(parent).expect("the parent").children.retain(|piece| piece.name != child);
            }
        }
    }
    piece.write()
}

fn codes_of(xml: &str, rule: &str) -> Vec<String> {
    let report = checked(xml.as_bytes());
    report.findings.into_iter().filter(|finding| finding.rule == rule).map(|finding| finding.code).collect()
}

fn import_list(bonded: bool) -> String {
    let mode = if bonded { "<ceb:tradeMode>1210" } else { "<ceb:tradeMode>9610" };
    let list = |seed| String::from_utf8(sample::inventory(2, DXPID, at(), seed)).expect("UTF-8");
    let whole = list(5);
    let (start, rest) = whole.split_once("<ceb:Inventory>").expect("a list");
    let (all, end) = rest.split_once("<ceb:BaseTransfer>").expect("a transfer");
    let one = all.split("<ceb:Inventory>").find(|one| one.contains(mode)).expect("a list of this mode");
    format!("{start}<ceb:Inventory>{one}<ceb:BaseTransfer>{end}")
}

#[test]
fn r09_adds_up_what_is_paid() {
    assert_eq!(found_one(&with(&declaration(1), "acturalPaid", "0.01")), rule_and_code("R09", "amount-paid"));
    assert_eq!(codes_of(&declaration(100), "R09"), [] as [&str; 0]);
}

#[test]
fn r11_multiplies_price_and_quantity() {
    let total = |xml: &str, value: &str| codes_of(&with(xml, "totalPrice", value), "R11");
    let xml = with(&with(&declaration(1), "price", "3.33333"), "qty", "3");
    assert_eq!(total(&xml, "10.00"), [] as [&str; 0]);
    assert_eq!(total(&xml, "10.50"), ["line-total-rounding"]);
    assert_eq!(total(&xml, "12"), ["line-total"]);
    let many = with(&with(&declaration(1), "price", "0.01235"), "qty", "1000000");
    assert_eq!(total(&many, "12345.67"), ["line-total-rounding"], "the price cannot be said any better");
    assert_eq!(total(&many, "12344.99"), ["line-total"]);
    assert_eq!(codes_of(&with(&declaration(1), "freight", "-5"), "R11"), ["amount-negative"]);
}

#[test]
fn r11_looks_at_every_message_with_lines_and_lets_gifts_cost_nothing() {
    let rows = [
        ("CEB303Message", "Order/OrderList"),
        ("CEB603Message", "Inventory/InventoryList"),
        ("CEB621Message", "Inventory/InventoryList"),
    ];
    for (message, list) in rows {
        let codes = |price: &str, quantity: &str, total: &str| {
            let [one, two, three] = ["price", "qty", "totalPrice"].map(|field| format!("{list}/{field}"));
            codes_of(&made(message, &[(&one, Some(price)), (&two, Some(quantity)), (&three, Some(total))]), "R11")
        };
        assert_eq!((codes("2.5", "4", "10"), codes("0", "4", "0")), (vec![], vec![]), "{message}");
        assert_eq!(codes("99999999999999.99999", "99999999999999.99999", "1"), ["line-total"], "{message}");
        assert_eq!(codes("2.5", "4", "10.02"), ["line-total-rounding"], "{message}");
        assert_eq!(codes("2.5", "4", "11.01"), ["line-total"], "{message}");
    }
}

#[test]
fn r12_adds_up_the_lines() {
    let xml = with(&declaration(1), "goodsValue", "1.00");
    assert_eq!(codes_of(&xml, "R12"), ["goods-value"]);
    assert_eq!(codes_of(&declaration(30), "R12"), [] as [&str; 0]);
    let export = String::from_utf8(sample::export_order(3, DXPID, at(), 5)).expect("UTF-8");
    assert_eq!(codes_of(&export, "R12"), [] as [&str; 0]);
    assert_eq!(codes_of(&with(&export, "goodsValue", "0.01"), "R12"), ["goods-value"]);
}

#[test]
fn r18_counts_lines_from_one() {
    assert_eq!(codes_of(&with(&declaration(1), "gnum", "2"), "R18").first().map(String::as_str), Some("line-number"));
    let report = checked(with(&declaration(1), "gnum", "0").as_bytes());
    assert_eq!(report.findings[0].customs_code.as_deref(), Some("-301002"));
    assert_eq!(codes_of(&declaration(30), "R18"), [] as [&str; 0]);
    // A return repeats the number of the original line.
    assert_eq!(
        codes_of(&made("CEB625Message", &[("InvtRefund/InvtRefundList/gnum", Some("7"))]), "R18"),
        [] as [&str; 0]
    );
}

#[test]
fn r18_counts_lines_in_every_message_that_numbers_its_own() {
    let rows = [
        ("CEB303Message", "Order/OrderList"),
        ("CEB621Message", "Inventory/InventoryList"),
        ("CEB603Message", "Inventory/InventoryList"),
        ("CEB711Message", "Delivery/DeliveryList"),
        ("CEB507Message", "Arrival/ArrivalList"),
        ("CEB509Message", "Departure/DepartureList"),
        ("CEB607Message", "WayBill/WayBillList"),
    ];
    for (message, list) in rows {
        let codes = |number: &str| codes_of(&made(message, &[(&format!("{list}/gnum"), Some(number))]), "R18");
        assert_eq!((codes("1"), codes("2")), (vec![], vec!["line-number".to_owned()]), "{message}");
    }
    let back = made("CEB213Message", &[("InvtRefund/InvtRefundList/gnum", Some("7"))]);
    assert_eq!(codes_of(&back, "R18"), [] as [&str; 0]);
}

#[test]
fn r19_knows_what_each_import_mode_needs() {
    let (bonded, direct) = (import_list(true), import_list(false));
    assert_eq!((codes_of(&bonded, "R19"), codes_of(&direct, "R19")), (vec![], vec![]));
    assert_eq!(codes_of(&with(&bonded, "tradeMode", "1239"), "R19"), ["trade-mode"]);
    assert_eq!(codes_of(&without(&bonded, "emsNo"), "R19"), ["bonded-field-missing"]);
    assert_eq!(codes_of(&without(&bonded, "itemRecordNo"), "R19"), ["bonded-field-missing"]);
    assert_eq!(codes_of(&with(&bonded, "country", "502"), "R19"), ["bonded-country"]);
    assert_eq!(codes_of(&without(&direct, "voyageNo"), "R19"), ["direct-field-missing"]);
    let crossed =
        with(&bonded, "trafMode", "5").replacen("</ceb:trafMode>", "</ceb:trafMode><ceb:trafNo>x</ceb:trafNo>", 1);
    assert_eq!(codes_of(&crossed, "R19"), ["bonded-field-given"]);
}

#[test]
fn r20_wants_a_party_to_guarantee() {
    let xml = import_list(true);
    let agent = value_of(&xml, "agentCode").to_owned();
    assert_eq!(codes_of(&xml, "R20"), [] as [&str; 0]);
    assert_eq!(codes_of(&with(&xml, "assureCode", "1101000001"), "R20"), ["guarantor-unknown"]);
    assert_eq!(codes_of(&with(&xml, "assureCode", &agent), "R20"), ["guarantor-agent"]);
}

#[test]
fn r22_wants_second_quantity_and_unit_together() {
    let list = "Inventory/InventoryList";
    let made = |quantity: Option<&str>, unit: Option<&str>| {
        let (quantity_at, unit_at) = (format!("{list}/qty2"), format!("{list}/unit2"));
        codes_of(&made("CEB603Message", &[(&quantity_at, quantity), (&unit_at, unit)]), "R22")
    };
    assert_eq!((made(Some("1"), Some("035")), made(None, None)), (vec![], vec![]));
    for (quantity, unit) in [(Some("1"), None), (None, Some("035")), (Some("0"), Some("035"))] {
        assert_eq!(made(quantity, unit), ["second-unit"]);
    }
}

#[test]
fn r22_looks_at_every_message_with_second_quantities() {
    for (message, list) in
        [("CEB213Message", "InvtRefund/InvtRefundList"), ("CEB621Message", "Inventory/InventoryList")]
    {
        let (quantity, unit) = (format!("{list}/qty2"), format!("{list}/unit2"));
        let both = made(message, &[(&quantity, Some("1")), (&unit, Some("035"))]);
        assert_eq!(codes_of(&both, "R22"), [] as [&str; 0], "{message}");
        let one = made(message, &[(&quantity, Some("1")), (&unit, None)]);
        assert_eq!(codes_of(&one, "R22"), ["second-unit"], "{message}");
    }
}

#[test]
fn r24_weighs() {
    let xml = import_list(true);
    assert_eq!(codes_of(&xml, "R24"), [] as [&str; 0]);
    assert_eq!(codes_of(&with(&xml, "netWeight", "9999"), "R24"), ["net-above-gross"]);
    assert_eq!(codes_of(&with(&xml, "netWeight", "0"), "R24"), ["weight-not-positive"]);
}

#[test]
fn r26_knows_what_each_export_mode_needs() {
    let head = "Inventory/InventoryHead";
    let (mode, zone) = (format!("{head}/tradeMode"), format!("{head}/iacCode"));
    let codes = |changes: &[(&str, Option<&str>)]| codes_of(&made("CEB603Message", changes), "R26");
    assert_eq!(codes(&[(&mode, Some("1210"))]), [] as [&str; 0]);
    assert_eq!(codes(&[(&mode, Some("1210")), (&zone, None)]), ["zone-field-missing"]);
    assert_eq!(codes(&[(&mode, Some("1210")), ("Inventory/InventoryList/itemRecordNo", None)]), ["zone-field-missing"]);
    assert_eq!(codes(&[(&mode, Some("1039"))]), ["trade-mode-export"]);
    assert_eq!(codes(&[(&mode, Some("1239"))]), ["trade-mode-unlisted"]);
    assert_eq!(codes(&[(&mode, Some("9810")), (&zone, None)]), [] as [&str; 0]);
}

#[test]
fn r29_wants_the_code_of_a_domestic_payment_company() {
    let codes = |name: &str, code: Option<&str>| {
        codes_of(&made("CEB403Message", &[("Receipts/payName", Some(name)), ("Receipts/payCode", code)]), "R29")
    };
    assert_eq!(codes("某支付公司", None), ["pay-code-missing"]);
    assert_eq!((codes("现金支付", None), codes("某支付公司", Some("1101000001"))), (vec![], vec![]));
}

#[test]
fn r30_lets_only_mail_travel_without_transport() {
    let head = "Departure/DepartureHead";
    let codes = |mode: &str| {
        let (traf, voyage, name, bill) = (
            format!("{head}/trafMode"),
            format!("{head}/voyageNo"),
            format!("{head}/trafName"),
            format!("{head}/billNo"),
        );
        codes_of(
            &made("CEB509Message", &[(&traf, Some(mode)), (&voyage, None), (&name, Some("")), (&bill, None)]),
            "R30",
        )
    };
    assert_eq!(codes("5"), ["transport-field-missing"; 3]);
    assert_eq!(codes("6"), [] as [&str; 0]);
    assert_eq!(
        codes_of(&made("CEB507Message", &[("Arrival/ArrivalHead/billNo", None)]), "R30"),
        ["transport-field-missing"]
    );
}

#[test]
fn r31_counts_the_parts_of_a_message() {
    let head = "WayBill/WayBillHead";
    let (count, number) = (format!("{head}/msgCount"), format!("{head}/msgSeqNo"));
    let one = |of: &str, part: &str| made("CEB607Message", &[(&count, Some(of)), (&number, Some(part))]);
    assert_eq!(codes_of(&one("3", "2"), "R31"), [] as [&str; 0]);
    assert_eq!(codes_of(&one("3", "4"), "R31"), ["message-number"]);
    assert_eq!(codes_of(&one("0", "0"), "R31"), ["message-number"; 2]);
    let (first, third) = (one("3", "1"), one("3", "3"));
    let body = |xml: &str| {
        let start = xml.find("<ceb:WayBill>").expect("a document");
        xml[start..xml.find("<ceb:BaseTransfer>").expect("a transfer")].to_owned()
    };
    let both = first.replacen("<ceb:BaseTransfer>", &format!("{}<ceb:BaseTransfer>", body(&third)), 1);
    assert_eq!(codes_of(&both, "R31"), ["message-number-gap"]);
    let changes = both.replace("<ceb:appType>1<", "<ceb:appType>2<");
    assert_eq!(codes_of(&changes, "R31"), [] as [&str; 0], "any parts may be changed");
}

#[test]
fn r32_wants_a_range_or_a_list() {
    let head = "SummaryApply/SummaryApplyHead";
    let (start, end) = (format!("{head}/startTime"), format!("{head}/endTime"));
    let codes = |from: Option<&str>, to: Option<&str>, list: bool| {
        let mut xml = made("CEB701Message", &[(&start, from), (&end, to)]);
        if !list {
            xml = without(&xml, "SummaryApplyList");
        }
        codes_of(&xml, "R32")
    };
    let (early, late) = (Some("20260101000000"), Some("20260131000000"));
    assert_eq!((codes(early, late, false), codes(None, None, true)), (vec![], vec![]));
    assert_eq!(codes(early, None, true), ["summary-pair"]);
    assert_eq!(codes(late, early, false), ["summary-range"]);
    assert_eq!(codes(early, late, true), ["summary-list-ignored"]);
    assert_eq!(codes(None, None, false), ["summary-empty"]);
    let deletion = made("CEB701Message", &[(&start, None), (&end, None), (&format!("{head}/appType"), Some("3"))]);
    assert_eq!(codes_of(&without(&deletion, "SummaryApplyList"), "R32"), [] as [&str; 0]);
}

#[test]
fn r33_knows_returns() {
    let head = "InvtRefund/InvtRefundHead";
    let (mode, country) = (format!("{head}/tradeMode"), format!("{head}/country"));
    let codes = |mode_is: &str, from: &str| {
        codes_of(&made("CEB213Message", &[(&mode, Some(mode_is)), (&country, Some(from))]), "R33")
    };
    assert_eq!(codes("9661", "502"), [] as [&str; 0]);
    assert_eq!(codes("9610", "502"), ["trade-mode-return"]);
    assert_eq!(codes("1261", "142"), ["return-country"]);
}

#[test]
fn r39_compares_the_agent_with_the_signer() {
    let xml = import_list(true);
    let (code, name) = (value_of(&xml, "agentCode").to_owned(), value_of(&xml, "agentName").to_owned());
    let signer = |code, name| {
        let expect = Expectations { signer: Some((code, name)), ..expect() };
        check(&mut xml.as_bytes(), &expect, &Limits::default()).findings.len()
    };
    assert_eq!((signer(&code, &name), signer("1101000001", &name), signer("1101000001", "x")), (0, 1, 2));
}

#[test]
fn r40_knows_the_limit_of_one_purchase() {
    let xml = with(&declaration(1), "goodsValue", "5000.01");
    assert_eq!(codes_of(&xml, "R40"), ["single-limit"]);
    assert_eq!(codes_of(&with(&declaration(1), "goodsValue", "5000"), "R40"), [] as [&str; 0]);
}

#[test]
fn fields_that_only_the_text_demands_are_demanded() {
    let xml = made("CEB623Message", &[("InvtCancel/copNo", None)]);
    assert_eq!(codes_of(&xml, "R04"), ["field-required"]);
    assert_eq!(codes_of(&made("CEB623Message", &[]), "R04"), [] as [&str; 0]);
    let xml = made("CEB511Message", &[("Logistics/LogisticsHead/freight", None)]);
    assert_eq!(codes_of(&xml, "R04"), ["field-required"]);
}

#[test]
fn r04_wants_the_number_by_which_receipts_name_a_list() {
    let xml = import_list(true);
    assert_eq!(found_one(&without(&xml, "copNo")), rule_and_code("R04", "receipt-key-missing"));
    assert_eq!(found_one(&with(&xml, "copNo", "")), rule_and_code("R04", "receipt-key-missing"));
    assert_eq!(codes_of(&xml, "R04"), [] as [&str; 0]);
}

#[test]
fn a_value_that_the_schema_refuses_is_not_told_as_missing_too() {
    let (bonded, direct) = (import_list(true), import_list(false));
    for (xml, field, length) in [(&bonded, "copNo", 21), (&bonded, "emsNo", 31), (&direct, "billNo", 38)] {
        assert_eq!(found_one(&with(xml, field, &"C".repeat(length))), rule_and_code("R03", "value-too-long"));
    }
    let silent = |name: &str, changes: &[(&str, Option<&str>)], rule: &str| {
        assert_eq!(codes_of(&made(name, changes), rule), [] as [&str; 0], "{name} {rule}");
    };
    silent("CEB603Message", &[("Inventory/InventoryList/qty2", Some("3,000"))], "R22");
    let long = "1".repeat(19);
    silent(
        "CEB403Message",
        &[("Receipts/payName", Some("某支付公司")), ("Receipts/payCode", Some(long.as_str()))],
        "R29",
    );
    let head = "SummaryApply/SummaryApplyHead";
    let (start, end) = (format!("{head}/startTime"), format!("{head}/endTime"));
    let short = made("CEB701Message", &[(&start, Some("202601010000")), (&end, Some("202601310000"))]);
    assert_eq!(codes_of(&without(&short, "SummaryApplyList"), "R32"), [] as [&str; 0]);
    // The second line is not wrong because the first one is.
    let list = "</ceb:WayBillList>";
    let one = made("CEB607Message", &[]);
    let start = one.find("<ceb:WayBillList>").expect("a line");
    let second = one[start..one.find(list).expect("its end") + list.len()].replace("<ceb:gnum>1<", "<ceb:gnum>2<");
    let both = one.replacen("<ceb:gnum>1<", "<ceb:gnum>一<", 1).replacen(list, &format!("{list}{second}"), 1);
    assert_eq!(codes_of(&both, "R18"), [] as [&str; 0]);
}

#[test]
fn where_the_official_documents_disagree_the_finding_says_so() {
    let told = |xml: &str, code: &str, words: &str| {
        let found = checked(xml.as_bytes()).findings;
        let r03: Vec<_> = found.iter().filter(|it| it.rule == "R03").collect();
        assert_eq!(r03.len(), 1, "{r03:?}");
        let finding = found.iter().find(|it| it.code == code).unwrap_or_else(|| panic!("{code}: {found:?}"));
        assert!(finding.message_zh.contains(words), "{}", finding.message_zh);
    };
    for name in ["CEB303Message", "CEB403Message", "CEB505Message", "CEB507Message", "CEB509Message", "CEB603Message"] {
        let xml = made(name, &[]);
        let start = xml.find("<ceb:BaseTransfer>").expect("a transfer");
        let end = xml.find("</ceb:BaseTransfer>").expect("its end") + "</ceb:BaseTransfer>".len();
        told(&format!("{}{}", &xml[..end], &xml[start..]), "element-repeated", "官方样例");
    }
    told(&made("CEB214Message", &[]).replace("CEB214Message", "CEB214"), "root-unknown", "官方样例");
    let lists = "SummaryResult/SummaryResultList";
    let serial = format!("{lists}/gseqno");
    told(&made("CEB792Message", &[(&serial, None)]), "element-missing", "官方样例");
    let misspelt = |name: &str, right: &str, wrong: &str| {
        let xml = made(name, &[]);
        let xml = xml.replace(&format!("<ceb:{right}>"), &format!("<ceb:{wrong}>"));
        xml.replace(&format!("</ceb:{right}>"), &format!("</ceb:{wrong}>"))
    };
    for (name, right, wrong) in [
        ("CEB311Message", "consigneeTelephone", "consigneeTelephon"),
        ("CEB311Message", "consigneeDistrict", "consigneeDitrict"),
        ("CEB511Message", "consignee", "consingee"),
        ("CEB621Message", "agentName", "agengName"),
        ("CEB701Message", "declAgentCode", "declagAgentCode"),
    ] {
        told(&misspelt(name, right, wrong), "element-unexpected", right);
    }
    told(&made("CEB622Message", &[("InventoryReturn/preNo", None)]), "element-required-by-xsd", "规范正文写作选填");
}

#[test]
fn a_fault_of_form_names_what_customs_answers() {
    let code = |name: &str, path: &str| {
        let found = checked(made(name, &[(path, None)]).as_bytes()).findings;
        let finding = found.into_iter().find(|it| it.rule == "R03").expect("a finding");
        finding.customs_code.unwrap_or_default()
    };
    for (name, path, customs) in [
        ("CEB311Message", "Order/OrderList", "-301001"),
        ("CEB621Message", "Inventory/InventoryList", "-621000"),
        ("CEB625Message", "InvtRefund/InvtRefundList", "-625006"),
        ("CEB711Message", "Delivery/DeliveryList", "-800000"),
        ("CEB311Message", "Order/OrderHead/orderNo", "CEB900"),
        ("CEB312Message", "OrderReturn/orderNo", ""),
    ] {
        assert_eq!(code(name, path), customs, "{name} {path}");
    }
    let whole = String::from_utf8(envelope(declaration(1).as_bytes())).expect("UTF-8");
    for (receiver, customs) in [("DXPEDCCEB0000003", "2002"), ("DXPEDCCEB0000099", "2001")] {
        let finding = checked(whole.replace("DXPEDCCEB0000002", receiver).as_bytes()).findings.remove(0);
        assert_eq!(finding.customs_code.as_deref(), Some(customs));
    }
}
