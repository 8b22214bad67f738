//! Rules between documents: each fires, and is silent where it should be.

use super::super::super::family;
use super::super::super::schema::specimen::{self, Fullness};
use super::super::super::schema::{self, Ns};
use super::super::super::standing::Standing;
use super::*;

mod history;

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

/// What names an order.
const ORDER: &[(&str, &str)] = &[("orderNo", "orderNo"), ("ebpCode", "ebpCode")];

/// A full example that shares these fields with the order.
fn beside(name: &str, head: &str, order: &str, shared: &[(&str, &str)]) -> String {
    let message = schema::current().find(Ns::Ceb, name).expect("a message");
    let mut piece = specimen::of(message, Fullness::All);
    // Declared; the first value that the schema lists is that of a document which is only saved.
    piece.at(&format!("{head}/appStatus")).expect("the field").text = "2".to_owned();
    for (field, of_order) in shared {
        let value = value_of(order, of_order).to_owned();
        piece.at(&format!("{head}/{field}")).expect("the field").text = value;
    }
    piece.write()
}

fn payment(order: &str) -> String {
    let shared = [
        ("orderNo", "orderNo"),
        ("ebpCode", "ebpCode"),
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
        let xml = beside("CEB625Message", "InvtRefund/InvtRefundHead", &order, ORDER);
        judged(&[list.clone(), with(&with(&xml, "gnum", number), "qty", quantity)])
    };
    assert_eq!(back("1", "1"), []);
    assert_eq!(back("1", "999"), second("R33", "return-quantity"));
    assert_eq!(back("77", "1"), second("R33", "return-quantity"));
    let customs = |number: &str, quantity: &str| {
        let xml = beside("CEB625Message", "InvtRefund/InvtRefundHead", &order, ORDER);
        let mut ledger = Ledger::default();
        for (file, xml) in [list.clone(), with(&with(&xml, "gnum", number), "qty", quantity)].iter().enumerate() {
            facts_of(xml).into_iter().for_each(|facts| ledger.add(file, facts));
        }
        ledger.judge(&Levels::default()).remove(0).1.customs_code
    };
    assert_eq!((customs("1", "999"), customs("77", "1").as_deref()), (None, Some("-625209")));
}

#[test]
fn r33_adds_up_the_lines_and_the_returns_of_one_list() {
    let (order, list) = (orders(), lists());
    let back = |copy: &str, quantity: &str| {
        let xml = beside("CEB625Message", "InvtRefund/InvtRefundHead", &order, ORDER);
        let xml = with(&with(&xml, "copNo", copy), "guid", &format!("{copy:0>36}"));
        with(&with(&xml, "gnum", "1"), "qty", quantity)
    };
    let list = with(&list, "qty", "5");
    let codes = |files: &[String]| -> Vec<usize> {
        let found = judged(files).into_iter().filter(|(_, rule, _)| rule == "R33");
        found.map(|(file, ..)| file).collect()
    };
    assert_eq!(codes(&[list.clone(), back("A", "2"), back("B", "3")]), [] as [usize; 0]);
    assert_eq!(codes(&[list.clone(), back("A", "3"), back("B", "3")]), [2], "the second is too much");
    let deleted = with(&back("A", "3"), "appType", "3");
    assert_eq!(codes(&[list.clone(), back("A", "3"), deleted, back("B", "3")]), [] as [usize; 0]);
    let change = with(&with(&back("A", "2"), "appType", "2"), "appTime", "20991231235959");
    assert_eq!(codes(&[list.clone(), back("A", "3"), change, back("B", "3")]), [] as [usize; 0], "a change replaces");
    let end = "</ceb:InvtRefundList>";
    let line = |xml: &str| {
        let start = xml.find("<ceb:InvtRefundList>").expect("a line");
        xml[start..xml.find(end).expect("its end") + end.len()].to_owned()
    };
    let twice = back("A", "3").replacen(end, &format!("{end}{}", line(&back("A", "3"))), 1);
    assert_eq!(codes(&[list, twice]), [1], "one line twice");
}

#[test]
fn a_finding_between_documents_has_document_key_and_place() {
    let order = orders();
    let mut ledger = Ledger::default();
    for (number, xml) in [order.clone(), order].iter().enumerate() {
        check_for_ledger(&mut xml.as_bytes(), &expect(), &Limits::default(), &mut |facts| ledger.add(number, facts));
    }
    let (_, finding) = ledger.judge(&Levels::default()).remove(0);
    assert_eq!((finding.document, finding.path.as_str()), (1, "CEB311Message/Order/OrderHead/orderNo"));
    assert_eq!(finding.value.as_deref(), Some(value_of(&orders(), "orderNo")));
    assert!(finding.line > 1 && finding.key.is_some_and(|key| key.starts_with("orderNo=")));
    assert_eq!(finding.customs_code.as_deref(), Some("-301010"));
    let mut levels = Levels::default();
    levels.set("R43", Weight::Off).expect("a rule");
    assert!(ledger.judge(&levels).is_empty());
}

#[test]
fn a_finding_between_documents_shows_the_field_it_is_about_and_masks_what_is_personal() {
    let (order, list) = (orders(), lists());
    let back = beside("CEB625Message", "InvtRefund/InvtRefundHead", &order, ORDER);
    for (files, code, path, shown) in [
        ([order.clone(), with(&payment(&order), "amountPaid", "0.01")], "payment-amount", "amountPaid", "0.01"),
        ([order.clone(), with(&payment(&order), "payerName", "张三丰")], "payer-not-buyer", "payerName", "张**"),
        ([order.clone(), with(&payment(&order), "payCode", "3301961Q43")], "payment-company", "payCode", "3301961Q43"),
        ([order.clone(), with(&list, "buyerName", "张三丰")], "buyer-differs", "buyerName", "张**"),
        ([order.clone(), with(&waybill(&order), "consignee", "张三丰")], "consignee-differs", "consignee", "张**"),
        ([order.clone(), with(&list, "qty", "99")], "lines-differ", "InventoryList/qty", "99"),
        ([list.clone(), with(&with(&back, "gnum", "1"), "qty", "999")], "return-quantity", "InvtRefundList/qty", "999"),
        ([list, with(&back, "gnum", "77")], "return-quantity", "InvtRefundList/gnum", "77"),
    ] {
        let mut ledger = Ledger::default();
        for (number, xml) in files.iter().enumerate() {
            facts_of(xml).into_iter().for_each(|facts| ledger.add(number, facts));
        }
        let found = ledger.judge(&Levels::default());
        let (file, finding) = found.iter().find(|(_, finding)| finding.code == code).expect(code);
        assert!(finding.path.ends_with(&format!("/{path}")), "{code}: {}", finding.path);
        assert_eq!(finding.value.as_deref(), Some(shown), "{code}");
        let line = files[*file].lines().nth(usize::try_from(finding.line).expect("a line") - 1).expect("the line");
        let at =
            &line[line.char_indices().nth(usize::try_from(finding.column).expect("a column") - 1).expect("it").0..];
        let field = path.rsplit('/').next().expect("a field");
        assert!(at.starts_with(&format!("<ceb:{field}>")), "{code}: {at:.40}");
    }
}

#[test]
fn the_second_line_of_a_list_is_shown_as_such() {
    let list = String::from_utf8(sample::inventory(20, DXPID, at(), 5)).expect("UTF-8");
    let order = String::from_utf8(sample::order(20, DXPID, at(), 5)).expect("UTF-8");
    let (start, second) = list.split_at(list.find("<ceb:gnum>2<").expect("a second line"));
    let mut ledger = Ledger::default();
    let list = format!("{start}{}", with(second, "qty", "98765"));
    for (number, xml) in [order, list].iter().enumerate() {
        facts_of(xml).into_iter().for_each(|facts| ledger.add(number, facts));
    }
    let found = ledger.judge(&Levels::default());
    let finding = &found.iter().find(|(_, finding)| finding.code == "lines-differ").expect("the finding").1;
    assert!(finding.path.ends_with("/InventoryList[2]/qty"), "{}", finding.path);
}

#[test]
fn findings_between_documents_are_bounded_and_an_error_outlives_a_warning() {
    let mut report = checked(orders().as_bytes());
    let found = |weight| {
        let mut ledger = Ledger::default();
        (0..2).for_each(|file| facts_of(&orders()).into_iter().for_each(|facts| ledger.add(file, facts)));
        let mut levels = Levels::default();
        levels.set("R43", weight).expect("a rule");
        ledger.judge(&levels).remove(0).1
    };
    (0..3).for_each(|_| report.add(found(Weight::Warning), 2));
    assert_eq!((report.findings.len(), report.findings_left_out, report.errors()), (2, 1, 0));
    report.add(found(Weight::Error), 2);
    assert_eq!((report.findings.len(), report.findings_left_out, report.errors()), (2, 2, 1));
}

fn facts_of(xml: &str) -> Vec<Facts> {
    let mut facts = Vec::new();
    check_for_ledger(&mut xml.as_bytes(), &expect(), &Limits::default(), &mut |one| facts.push(one));
    facts
}

/// What is said of a file when these were sent before it.
fn after(earlier: impl IntoIterator<Item = Facts>, new: &str) -> Vec<(String, String, String)> {
    let mut ledger = Ledger::default();
    earlier.into_iter().for_each(|facts| ledger.add_earlier(facts));
    facts_of(new).into_iter().for_each(|facts| ledger.add(7, facts));
    let found = ledger.judge_with_history(&Levels::default()).into_iter();
    found
        .map(|(file, finding)| {
            assert_eq!(file, 7, "nothing is said of what was sent before");
            (finding.rule, finding.code, finding.customs_code.unwrap_or_default())
        })
        .collect()
}

fn said(rule: &str, code: &str, customs: &str) -> Vec<(String, String, String)> {
    vec![(rule.to_owned(), code.to_owned(), customs.to_owned())]
}

/// The first document of a full example of this message.
fn example(name: &str) -> specimen::Piece {
    specimen::of(schema::current().find(Ns::Ceb, name).expect("a message"), Fullness::All)
}

/// The same with these values below the business node.
fn example_with(row: &family::MessageType, values: &[(&str, &str)]) -> String {
    let mut piece = example(row.name);
    let below = row.head.map_or(row.node.to_owned(), |head| format!("{}/{head}", row.node));
    for (field, value) in values {
        let field = piece.at(&format!("{below}/{field}")).unwrap_or_else(|| panic!("{} {field}", row.name));
        (*value).clone_into(&mut field.text);
    }
    piece.write()
}

fn requests() -> impl Iterator<Item = &'static family::MessageType> {
    family::all().filter(|row| matches!(row.role, family::Role::Request { .. }))
}

#[test]
fn r43_and_r44_know_every_message_that_an_enterprise_sends() {
    let mut count = 0;
    for row in requests() {
        let new = example_with(row, &[("appType", "1"), ("appStatus", "2")]);
        let change = example_with(row, &[("appType", "2"), ("appStatus", "2")]);
        let told = |earlier: Vec<Facts>, xml: &str| -> Vec<String> {
            let found = after(earlier, xml).into_iter();
            found.filter(|(rule, ..)| rule == "R43" || rule == "R44").map(|(_, code, _)| code).collect()
        };
        assert_eq!(told(vec![], &new), [] as [&str; 0], "{}", row.name);
        assert_eq!(told(facts_of(&new), &new), ["key-repeated"], "{}", row.name);
        assert_eq!(told(facts_of(&new), &change), [] as [&str; 0], "{}", row.name);
        assert_eq!(told(vec![], &change), ["change-without-original"], "{}", row.name);
        // The journal knows it by its keys alone when its payload is gone.
        let report = checked(new.as_bytes());
        let keys = report.keys.iter().map(|key| (key.name.as_str(), key.value.as_str()));
        let known = Facts::of_keys(row.name, keys).expect("a known type");
        assert_eq!(told(vec![known], &new), ["key-repeated"], "{}", row.name);
        count += 1;
    }
    assert_eq!(count, 19);
}

#[test]
fn r02_wants_a_guid_of_its_own_for_every_document_of_a_call() {
    let (order, other) = (orders(), String::from_utf8(sample::order(1, DXPID, at(), 77)).expect("UTF-8"));
    assert_eq!(judged(&[order.clone(), other.clone()]), []);
    let same = with(&other, "guid", value_of(&order, "guid"));
    assert_eq!(judged(&[order.clone(), same.clone()]), second("R02", "guid-repeated"));
    assert_eq!(after(facts_of(&order), &same), said("R02", "guid-repeated", ""));
    let change = with(&order, "appType", "2");
    assert_eq!(judged(&[order, change]), [], "a change may repeat the guid of its original");
}

#[test]
fn r31_misses_a_part_that_was_not_sent() {
    let row = family::find("CEB607Message").expect("a row");
    let part = |number: &str| example_with(row, &[("msgCount", "3"), ("msgSeqNo", number)]);
    let codes = |found: Vec<(usize, String, String)>| -> Vec<(usize, String)> {
        found.into_iter().filter(|(_, rule, _)| rule == "R31").map(|(file, _, code)| (file, code)).collect()
    };
    assert_eq!(codes(judged(&[part("1"), part("2"), part("3")])), []);
    assert_eq!(codes(judged(&[part("1"), part("3")])), [(1, "message-part-missing".to_owned())]);
    let level = |history: bool| {
        let mut ledger = Ledger::default();
        ledger.add_earlier(facts_of(&part("1")).remove(0));
        ledger.add(0, facts_of(&part("3")).remove(0));
        let levels = Levels::default();
        let found = if history { ledger.judge_with_history(&levels) } else { ledger.judge(&levels) };
        found.into_iter().find(|(_, finding)| finding.code == "message-part-missing").expect("the finding").1.level
    };
    assert_eq!((level(false), level(true)), (Level::Error, Level::Warning), "an outbox may see the second part later");
    assert_eq!(codes(judged(&[part("3")])), [], "the others may have gone before this call");
    assert_eq!(codes(judged(&[part("3"), part("4")])), [], "so may those before the third");
    assert_eq!(codes(judged(&[part("3"), with(&part("3"), "appType", "2")])), []);
    let missing = after([], &part("2"));
    assert!(missing.iter().any(|(rule, code, _)| rule == "R31" && code == "message-part-missing"), "{missing:?}");
    assert!(after(facts_of(&part("1")), &part("2")).iter().all(|(rule, ..)| rule != "R31"));
}

#[test]
fn r33_compares_an_export_return_with_the_list_by_the_number_of_customs() {
    let list = family::find("CEB603Message").expect("a row");
    let back = family::find("CEB213Message").expect("a row");
    let number = "01002026E000000001";
    let sent = |quantity: &str| {
        let xml = example_with(list, &[("appType", "1")]);
        facts_of(&with(&xml, "qty", quantity)).into_iter().map(|facts| facts.with_given([("invtNo", number)]))
    };
    let back = |quantity: &str| with(&example_with(back, &[("invtNo", number)]), "qty", quantity);
    let codes = |earlier: &str, quantity: &str| -> Vec<String> {
        let found = after(sent(earlier), &back(quantity)).into_iter();
        found.filter(|(rule, ..)| rule == "R33").map(|(_, code, _)| code).collect()
    };
    assert_eq!((codes("5", "5"), codes("5", "4.99999")), (vec![], vec![]));
    assert_eq!(codes("5", "5.00001"), ["return-quantity"]);
}

#[test]
fn r40_adds_up_what_one_buyer_imports_in_a_year() {
    let order = |number: &str, value: &str, year: &str| {
        let xml = with(&with(&orders(), "orderNo", number), "goodsValue", value);
        with(&with(&xml, "guid", &format!("{number:0>36}")), "appTime", &format!("{year}0201093000"))
    };
    let six = |year: &str| -> Vec<String> {
        (1..=6).map(|n| order(&format!("N{n}"), "4500.00", if n == 6 { year } else { "2026" })).collect()
    };
    let codes = |files: &[String]| judged(files).into_iter().filter(|(_, rule, _)| rule == "R40").collect::<Vec<_>>();
    assert_eq!(codes(&six("2026")), [(5, "R40".to_owned(), "annual-limit".to_owned())]);
    assert_eq!(codes(&six("2025")), [], "another year");
    let mut files = six("2026");
    files[0] = with(&files[0], "goodsValue", "3500.00");
    assert_eq!(codes(&files), [], "26,000 is not too much");
    files.push(with(&files[5], "appType", "3"));
    files[0] = with(&files[0], "goodsValue", "4500.00");
    assert_eq!(codes(&files), [], "one was deleted");
    files.rotate_right(1);
    files[0] = with(&files[0], "appTime", "20261231235959");
    assert_eq!(codes(&files), [], "in whatever order the files are named");
    let buyer = value_of(&orders(), "buyerIdNumber").to_owned();
    let platform = value_of(&orders(), "ebpCode").to_owned();
    let list = |total: &str| {
        let (lists, end) = (lists(), "</ceb:InventoryList>");
        let (first, last) = (lists.find(end).expect("a line"), lists.rfind(end).expect("a line"));
        let xml = with(&format!("{}{}", &lists[..first], &lists[last..]), "orderNo", "N6");
        let xml = with(&xml, "buyerIdNumber", &buyer);
        with(&with(&with(&xml, "ebpCode", &platform), "totalPrice", total), "appTime", "20260202093000")
    };
    let with_list = |total: &str| codes(&[six("2026"), vec![list(total)]].concat());
    assert_eq!(with_list("3500.00"), [], "the list of an order counts instead of the order");
    assert_eq!(with_list("4500.00"), [(6, "R40".to_owned(), "annual-limit".to_owned())], "and not beside it");
    let finding = {
        let mut ledger = Ledger::default();
        for (number, xml) in six("2026").iter().enumerate() {
            facts_of(xml).into_iter().for_each(|facts| ledger.add(number, facts));
        }
        ledger.judge(&Levels::default()).remove(0).1
    };
    assert_eq!((finding.level, finding.customs_code.as_deref()), (Level::Warning, Some("-621018")));
    assert!(!serde_json::to_string(&finding).expect("serialisable").contains(value_of(&orders(), "buyerIdNumber")));
}
