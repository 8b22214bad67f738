//! Rules between documents: each fires, and is silent where it should be.

use super::super::super::schema::specimen::{self, Fullness};
use super::super::super::schema::{self, Ns};
use super::*;

/// What the ledger says about these files.
fn judged(files: &[String]) -> Vec<(usize, String, String)> {
    let mut ledger = Ledger::default();
    for (number, xml) in files.iter().enumerate() {
        check_for_ledger(&mut xml.as_bytes(), &expect(), &Limits::default(), &mut |facts| ledger.add(number, facts));
    }
    let found = ledger.judge(&Levels::default());
    found.into_iter().map(|(file, finding)| (file, finding.rule, finding.code)).collect()
}

fn orders() -> String {
    declaration(1)
}

fn lists() -> String {
    String::from_utf8(sample::inventory(1, DXPID, at(), 5)).expect("UTF-8")
}

/// A full example that shares these fields with the order.
fn beside(name: &str, head: &str, order: &str, shared: &[(&str, &str)]) -> String {
    let message = schema::current().find(Ns::Ceb, name).expect("a message");
    let mut piece = specimen::of(message, Fullness::All);
    for (field, of_order) in shared {
        let value = value_of(order, of_order).to_owned();
        piece.at(&format!("{head}/{field}")).expect("the field").text = value;
    }
    piece.write()
}

fn payment(order: &str) -> String {
    let shared = [
        ("orderNo", "orderNo"),
        ("payCode", "payCode"),
        ("payTransactionId", "payTransactionId"),
        ("amountPaid", "acturalPaid"),
        ("payerName", "buyerName"),
        ("payerIdNumber", "buyerIdNumber"),
    ];
    beside("CEB411Message", "Payment/PaymentHead", order, &shared)
}

fn waybill(order: &str) -> String {
    let shared = [
        ("orderNo", "orderNo"),
        ("consignee", "consignee"),
        ("consigneeTelephone", "consigneeTelephone"),
        ("consigneeAddress", "consigneeAddress"),
    ];
    beside("CEB511Message", "Logistics/LogisticsHead", order, &shared)
}

/// One finding about the second file.
fn second(rule: &str, code: &str) -> Vec<(usize, String, String)> {
    vec![(1, rule.to_owned(), code.to_owned())]
}

#[test]
fn documents_that_fit_together_bring_nothing() {
    let order = orders();
    assert_eq!(judged(&[order.clone(), payment(&order), waybill(&order), lists()]), []);
    let many =
        [sample::order, sample::inventory].map(|make| String::from_utf8(make(100, DXPID, at(), 9)).expect("UTF-8"));
    assert_eq!(judged(&many), []);
    let exports = [sample::export_order, sample::export_inventory]
        .map(|make| String::from_utf8(make(50, DXPID, at(), 9)).expect("UTF-8"));
    assert_eq!(judged(&exports), []);
}

#[test]
fn r10_r41_and_r42_compare_order_and_payment() {
    let order = orders();
    let changed = |field: &str, value: &str| judged(&[order.clone(), with(&payment(&order), field, value)]);
    assert_eq!(changed("amountPaid", "0.01"), second("R10", "payment-amount"));
    assert_eq!(changed("payerName", "别人"), second("R41", "payer-not-buyer"));
    assert_eq!(changed("payerIdNumber", "11010519491231002X"), second("R41", "payer-not-buyer"));
    assert_eq!(changed("payCode", "3301961Q43"), second("R42", "payment-company"));
    assert_eq!(changed("payTransactionId", "another"), second("R42", "payment-transaction"));
}

#[test]
fn r41_compares_order_and_list() {
    assert_eq!(judged(&[orders(), with(&lists(), "buyerName", "别人")]), second("R41", "buyer-differs"));
}

#[test]
fn r41_compares_list_and_payment_when_there_is_no_order() {
    let order = orders();
    let paid = with(&payment(&order), "payerName", "别人");
    assert_eq!(judged(&[lists(), paid]), second("R41", "payer-not-buyer"));
}

#[test]
fn r17_compares_order_and_waybill() {
    let order = orders();
    let moved = with(&waybill(&order), "consigneeAddress", "别处");
    assert_eq!(judged(&[order, moved]), second("R17", "consignee-differs"));
}

#[test]
fn r18_compares_the_lines_of_order_and_list() {
    assert_eq!(judged(&[orders(), with(&lists(), "qty", "99")]), second("R18", "lines-differ"));
}

#[test]
fn r16_wants_numbers_of_their_own() {
    let order = orders();
    let other = with(&waybill(&order), "orderNo", "another");
    let found = judged(&[waybill(&order), other]);
    assert!(found.contains(&(1, "R16".to_owned(), "waybill-reused".to_owned())), "{found:?}");
    let other = with(&order, "ebcCode", "3301961Q43");
    assert!(judged(&[order, other]).contains(&(1, "R16".to_owned(), "order-number-reused".to_owned())));
}

#[test]
fn r43_and_r44_know_new_and_changed_documents() {
    let order = orders();
    assert_eq!(judged(&[order.clone(), order.clone()]), second("R43", "key-repeated"));
    let change = with(&order, "appType", "2");
    assert_eq!(judged(&[order.clone(), change.clone()]), []);
    let early = with(&change, "appTime", "20250101000000");
    assert_eq!(judged(&[order, early]), second("R44", "change-before-new"));
}

#[test]
fn r33_lets_no_more_come_back_than_went_out() {
    let (order, list) = (orders(), lists());
    let back = |number: &str, quantity: &str| {
        let xml = beside("CEB625Message", "InvtRefund/InvtRefundHead", &order, &[("orderNo", "orderNo")]);
        judged(&[list.clone(), with(&with(&xml, "gnum", number), "qty", quantity)])
    };
    assert_eq!(back("1", "1"), []);
    assert_eq!(back("1", "999"), second("R33", "return-quantity"));
    assert_eq!(back("77", "1"), second("R33", "return-quantity"));
}

#[test]
fn a_finding_between_documents_has_document_key_and_place() {
    let order = orders();
    let mut ledger = Ledger::default();
    for (number, xml) in [order.clone(), order].iter().enumerate() {
        check_for_ledger(&mut xml.as_bytes(), &expect(), &Limits::default(), &mut |facts| ledger.add(number, facts));
    }
    let (_, finding) = ledger.judge(&Levels::default()).remove(0);
    assert_eq!((finding.document, finding.path.as_str()), (1, "CEB311Message/Order"));
    assert!(finding.line > 1 && finding.key.is_some_and(|key| key.starts_with("orderNo=")));
    assert_eq!(finding.customs_code.as_deref(), Some("-301010"));
    let mut levels = Levels::default();
    levels.set("R43", Weight::Off).expect("a rule");
    assert!(ledger.judge(&levels).is_empty());
}
