use super::super::checkdigit::{is_credit_code, is_identity};
use super::super::precheck::{Expectations, Report, check};
use super::super::receipt::{Outcome, answer, concerns, read};
use super::super::scanner::{Event, Scanner};
use super::*;
use crate::ground::limits::Limits;

const DXPID: &str = "DXPENT0000012345";

fn at() -> Timestamp {
    "2026-03-01T01:30:00Z".parse().expect("a timestamp")
}

fn all(count: usize) -> [Vec<u8>; 4] {
    [order, inventory, export_order, export_inventory].map(|make| make(count, DXPID, at(), 7))
}

fn checked(bytes: &[u8]) -> Report {
    let expect = Expectations { dxpid: Some(DXPID), to_be_signed: true, ..Expectations::default() };
    check(&mut &bytes[..], &expect, &Limits::default())
}

/// The leaves of every child of the root: name and text.
fn leaves(bytes: &[u8]) -> Vec<Vec<(String, String)>> {
    let mut input = bytes;
    let mut scanner = Scanner::new(&mut input, 1 << 30, &Limits::default());
    let mut children: Vec<Vec<(String, String)>> = Vec::new();
    loop {
        match scanner.next().expect("well-formed") {
            Event::Start if scanner.depth() == 2 => children.push(Vec::new()),
            Event::Start => {}
            Event::End => {
                let element = scanner.element().expect("an element");
                if let (false, Some(child)) = (element.parent, children.last_mut()) {
                    child.push((element.local().to_owned(), scanner.text().to_owned()));
                }
            }
            Event::Eof => return children,
        }
    }
}

fn values<'a>(document: &'a [(String, String)], name: &str) -> Vec<&'a str> {
    document.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
}

/// A decimal of at most three places, in thousandths.
fn exact(value: &str) -> u64 {
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    format!("{whole}{fraction:0<3}").parse().expect("a decimal")
}

#[test]
fn every_sample_passes_the_pre_check_without_a_finding() {
    for bytes in all(100) {
        let report = checked(&bytes);
        assert_eq!((report.findings.clone(), report.documents), (vec![], 100));
    }
}

#[test]
fn every_type_that_an_enterprise_sends_has_a_sample_that_passes_the_pre_check_and_is_answered() {
    let requests = family::all().filter(|row| matches!(row.role, family::Role::Request { .. }));
    let names: Vec<&str> = requests.map(|row| row.name).collect();
    assert_eq!(names, DOCUMENTS.map(|(name, _)| name));
    for name in names {
        let most = family::find(name).expect("a row").max_documents;
        let bytes = of(name, 100, DXPID, at(), 7).expect("a sample");
        let report = checked(&bytes);
        assert_eq!(report.findings, vec![], "{name}: {}", String::from_utf8_lossy(&bytes));
        assert_eq!((report.message_type.as_deref(), report.documents), (Some(name), most), "{name}");
        let limits = Limits::default();
        let receipt = answer(&mut &bytes[..], at(), &Outcome::Accepted, &limits).expect("an answer");
        let receipt = read(&mut &receipt[..], &limits).expect("a receipt");
        for (document, entry) in (1u32..).zip(&receipt.entries) {
            let keys: Vec<_> = report.keys.iter().filter(|key| key.document == document).cloned().collect();
            assert!(concerns(entry, name, &keys), "{name} {document}");
        }
    }
    assert_eq!(of("CEB622Message", 1, DXPID, at(), 7), None, "customs sends that");
}

#[test]
fn what_is_made_with_the_same_arguments_belongs_together() {
    let documents = |name: &str| leaves(&of(name, 20, DXPID, at(), 7).expect("a sample"));
    let one = |document: &[(String, String)], name: &str| values(document, name).first().copied().map(str::to_owned);
    for (order, payment) in documents("CEB311Message").iter().zip(&documents("CEB411Message")) {
        assert_eq!(one(order, "orderNo"), one(payment, "orderNo"));
        assert_eq!(one(order, "payTransactionId"), one(payment, "payTransactionId"));
        assert_eq!(one(order, "acturalPaid"), one(payment, "amountPaid"));
    }
    for (waybill, list) in documents("CEB511Message").iter().zip(&documents("CEB621Message")) {
        assert_eq!(one(waybill, "logisticsNo"), one(list, "logisticsNo"));
    }
    for (cancelled, returned) in documents("CEB605Message").iter().zip(&documents("CEB213Message")) {
        assert_eq!(one(cancelled, "invtNo"), one(returned, "invtNo"));
    }
}

#[test]
fn no_list_number_repeats_within_a_message_or_among_many() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..200 {
        for document in leaves(&of("CEB623Message", 3, DXPID, at(), seed).expect("a sample")) {
            for number in values(&document, "invtNo") {
                assert!(seen.insert(number.to_owned()), "{number} of {seed}");
            }
        }
    }
    assert_eq!(seen.len(), 600);
}

#[test]
fn the_same_arguments_give_the_same_bytes_and_others_do_not() {
    assert_eq!(all(3), all(3));
    assert_ne!(order(3, DXPID, at(), 1), order(3, DXPID, at(), 2));
    assert_eq!(checked(&order(0, DXPID, at(), 1)).documents, 1);
    assert_eq!(checked(&order(5000, DXPID, at(), 1)).documents, 100);
}

#[test]
fn an_order_adds_up_to_the_cent() {
    for document in leaves(&order(100, DXPID, at(), 7)).iter().filter(|d| !values(d, "orderNo").is_empty()) {
        let one = |name: &str| exact(values(document, name)[0]);
        assert_eq!(one("acturalPaid") + one("discount"), one("goodsValue") + one("freight") + one("taxTotal"));
        let totals: Vec<u64> = values(document, "totalPrice").into_iter().map(exact).collect();
        assert_eq!(totals.iter().sum::<u64>(), one("goodsValue"));
        let (prices, quantities) = (values(document, "price"), values(document, "qty"));
        for ((total, price), quantity) in totals.iter().zip(prices).zip(quantities) {
            assert_eq!(*total, exact(price) * quantity.parse::<u64>().expect("a count"));
        }
    }
}

#[test]
fn lists_belong_to_the_orders_of_the_same_arguments() {
    let [order, inventory, export_order, export_inventory] = all(20);
    for (orders, lists) in [(leaves(&order), leaves(&inventory)), (leaves(&export_order), leaves(&export_inventory))] {
        for (order, list) in orders.iter().zip(&lists) {
            for name in ["orderNo", "ebcCode", "itemNo", "qty", "totalPrice", "gnum"] {
                assert_eq!(values(order, name), values(list, name));
            }
        }
    }
}

#[test]
fn people_and_enterprises_have_valid_numbers() {
    for bytes in all(50) {
        for (name, value) in leaves(&bytes).iter().flatten() {
            match name.as_str() {
                "buyerIdNumber" => assert!(is_identity(value), "{value}"),
                "ebpCode" | "ebcCode" | "agentCode" | "logisticsCode" | "payCode" | "areaCode" | "copCode" => {
                    assert!(is_credit_code(value), "{value}");
                }
                _ => {}
            }
        }
    }
}

#[test]
fn goods_weigh_less_than_their_parcel() {
    for bytes in all(50) {
        for document in leaves(&bytes) {
            let weights = (values(&document, "netWeight"), values(&document, "grossWeight"));
            if let ([net], [gross]) = (&weights.0[..], &weights.1[..]) {
                assert!(0 < exact(net) && exact(net) < exact(gross));
            }
        }
    }
}

#[test]
fn every_document_of_a_sample_is_answered_and_matched() {
    let limits = Limits::default();
    for bytes in all(30) {
        let report = checked(&bytes);
        let message_type = report.message_type.clone().expect("known");
        let receipt = answer(&mut &bytes[..], at(), &Outcome::Accepted, &limits).expect("an answer");
        let receipt = read(&mut &receipt[..], &limits).expect("a receipt");
        assert_eq!(receipt.entries.len(), 30);
        for (document, entry) in (1u32..).zip(&receipt.entries) {
            let matches = |document| {
                let keys: Vec<_> = report.keys.iter().filter(|key| key.document == document).cloned().collect();
                concerns(entry, &message_type, &keys)
            };
            assert!(matches(document) && !matches(document % 30 + 1));
        }
    }
}

#[test]
fn no_number_of_a_document_repeats_among_many_messages() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..1000 {
        let message = order(1, DXPID, at(), seed);
        let numbers: Vec<String> =
            leaves(&message).iter().flat_map(|d| values(d, "orderNo")).map(str::to_owned).collect();
        assert!(!numbers.is_empty() && numbers.into_iter().all(|number| seen.insert(number)), "message {seed}");
    }
}
