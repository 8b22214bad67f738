//! A declaration is compared with what was sent before it; what the pre-check found stays with the message.

use std::fs;

use dxgate::declaration::sample;
use dxgate::declaration::schema::specimen::{self, Fullness};
use dxgate::declaration::schema::{self, Ns};
use jiff::tz::{self, TimeZone};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::support::correspondent::{Kind, acknowledge};
use crate::support::eventually;
use crate::support::gateway::{Gateway, run};
use crate::support::home::customs_home;
use crate::support::scripted::{Scripted, answer};

const DXPID: &str = "DXPENT0000012345";

#[test]
fn what_was_sent_already_is_refused_the_second_time_also_when_both_come_at_once_and_after_a_restart() {
    let peer = peer();
    let home = customs_home(DXPID, peer.url(), "");
    let gateway = Gateway::start(&home);
    let order = order(1);
    home.submit("customs", "first.xml", &order);
    assert!(gateway.wait_for("customs", "sent", "first.xml") == order);
    home.submit("customs", "second.xml", &order);
    assert_eq!(refused(&gateway, "second.xml"), ["key-repeated"]);
    assert_eq!(gateway.stop().code(), Some(0));
    let gateway = Gateway::start(&home);
    home.submit("customs", "third.xml", &order);
    assert_eq!(refused(&gateway, "third.xml"), ["key-repeated"]);
    // Twenty at once, all of them the same.
    let twin = self::order(2);
    let names: Vec<String> = (0..20).map(|number| format!("twin{number}.xml")).collect();
    names.iter().for_each(|name| home.submit("customs", name, &twin));
    let count = |folder: &str| home.names("customs", folder).iter().filter(|name| names.contains(name)).count();
    eventually("all twins are decided about", || (count("sent") + count("rejected") == 20).then_some(()));
    assert_eq!((count("sent"), peer.posted().len()), (1, 2));
    // A change of it is welcome.
    let change = text(&order).replace("<ceb:appType>1<", "<ceb:appType>2<");
    home.submit("customs", "change.xml", change.as_bytes());
    gateway.wait_for("customs", "sent", "change.xml");
}

#[test]
fn a_payment_is_compared_with_the_order_that_was_sent_before() {
    let peer = peer();
    let home = customs_home(DXPID, peer.url(), "");
    let gateway = Gateway::start(&home);
    let order = text(&order(3));
    home.submit("customs", "order.xml", order.as_bytes());
    gateway.wait_for("customs", "sent", "order.xml");
    home.submit("customs", "cheap.xml", payment(&order, "0.01").as_bytes());
    assert_eq!(refused(&gateway, "cheap.xml"), ["payment-amount"]);
    let right = payment(&order, value_of(&order, "acturalPaid"));
    home.submit("customs", "payment.xml", right.as_bytes());
    assert!(gateway.wait_for("customs", "sent", "payment.xml") == right.as_bytes());
}

#[test]
fn every_rule_between_documents_is_judged_against_what_was_sent_before() {
    let peer = peer();
    // The sample lists are not signed and a changed quantity does not fit its price, which is not what this is about.
    let levels = "[precheck.levels]\nR07 = \"off\"\nelement-missing = \"off\"\nR11 = \"off\"";
    let home = customs_home(DXPID, peer.url(), levels);
    let gateway = Gateway::start(&home);
    let (order, list) = (text(&order(11)), text(&sample::inventory(1, DXPID, now(), 11)));
    let (paid, carried) = (payment(&order, value_of(&order, "acturalPaid")), waybill(&order));
    home.submit("customs", "order.xml", order.as_bytes());
    gateway.wait_for("customs", "sent", "order.xml");
    let other_order = text(&self::order(12));
    let fire = |rule: &str, xml: &str, code: &str| {
        let name = format!("{rule}-{code}.xml");
        home.submit("customs", &name, xml.as_bytes());
        let codes = refused(&gateway, &name);
        assert!(codes.iter().any(|found| found == code), "{name}: {codes:?}");
    };
    let pass = |name: &str, xml: &str| {
        home.submit("customs", name, xml.as_bytes());
        assert!(gateway.wait_for("customs", "sent", name) == xml.as_bytes(), "{name}");
        assert_eq!(findings(&gateway, name), [] as [&str; 0], "{name}");
    };
    fire("R10", &with(&paid, "amountPaid", "0.01"), "payment-amount");
    fire("R41", &with(&paid, "payerName", "别人"), "payer-not-buyer");
    fire("R42", &with(&paid, "payCode", "3301961Q43"), "payment-company");
    fire("R42", &with(&paid, "payTransactionId", "another"), "payment-transaction");
    pass("payment.xml", &paid);
    fire("R17", &with(&carried, "consigneeAddress", "别处 1 号"), "consignee-differs");
    pass("waybill.xml", &carried);
    fire("R16", &with(&carried, "orderNo", value_of(&other_order, "orderNo")), "waybill-reused");
    fire("R16", &with(&order, "ebcCode", value_of(&order, "ebpCode")), "order-number-reused");
    fire("R41", &with(&list, "buyerName", "别人"), "buyer-differs");
    fire("R18", &with(&list, "qty", "77"), "lines-differ");
    pass("list.xml", &list);
    fire("R43", &order, "key-repeated");
    pass("other-order.xml", &other_order);
    assert_eq!(peer.posted().len(), 5, "what is refused does not leave");
}

#[test]
fn a_change_wants_an_original_that_was_sent_and_accepted_and_is_not_behind_a_list() {
    let peer = peer();
    let levels = "[precheck.levels]\nR07 = \"off\"\nelement-missing = \"off\"";
    let home = customs_home(DXPID, peer.url(), levels);
    let gateway = Gateway::start(&home);
    let order = text(&order(13));
    let sent = |name: &str, xml: &str| {
        home.submit("customs", name, xml.as_bytes());
        gateway.wait_for("customs", "sent", name);
        findings(&gateway, name)
    };
    let at = |xml: &str, kind: &str, minutes: i64| {
        let time = now() + SignedDuration::from_mins(minutes - 20);
        let time = time.to_zoned(TimeZone::fixed(tz::offset(8))).strftime("%Y%m%d%H%M%S").to_string();
        with(&with(xml, "appType", kind), "appTime", &time)
    };
    assert_eq!(sent("nothing.xml", &at(&order, "2", 0)), ["change-without-original"]);
    let order = text(&self::order(14));
    let list = text(&sample::inventory(1, DXPID, now(), 14));
    assert_eq!(sent("new.xml", &at(&order, "1", 1)), [] as [&str; 0]);
    assert_eq!(sent("change.xml", &at(&order, "2", 2)), ["change-before-acceptance"]);
    assert_eq!(sent("list.xml", &at(&list, "1", 3)), [] as [&str; 0]);
    assert_eq!(sent("late.xml", &at(&order, "2", 4)), ["change-before-acceptance", "change-behind-list"]);
    assert_eq!(sent("deletion.xml", &at(&list, "3", 5)), ["change-before-acceptance"]);
    assert_eq!(sent("again.xml", &at(&list, "2", 6)), ["change-after-deletion"]);
}

#[test]
fn what_was_cancelled_may_be_declared_anew_and_what_is_resent_is_no_repetition() {
    let peer = Scripted::start(|number, posted| match number {
        0 => Some(answer(503, "Retry-After: 3600\r\n", b"")),
        _ => Some(acknowledge(posted, Kind::default())),
    });
    let home = customs_home(DXPID, peer.url(), "");
    let gateway = Gateway::start(&home);
    let order = order(4);
    home.submit("customs", "order.xml", &order);
    eventually("the first attempt failed", || (peer.posted().len() == 1).then_some(()));
    let config = home.config();
    let tell = |action: &str, id: &str| {
        let done = run(&["messages", action, id, "--reason", "test", "--config", config.to_str().unwrap()]);
        done.status.success().then_some(())
    };
    let id = message(&gateway, "order.xml")["id"].as_str().unwrap().to_owned();
    eventually("it is cancelled", || tell("cancel", &id));
    home.submit("customs", "again.xml", &order);
    assert!(gateway.wait_for("customs", "sent", "again.xml") == order);
    let id = message(&gateway, "again.xml")["id"].as_str().unwrap().to_owned();
    eventually("it is resent", || tell("resend", &id));
    eventually("it arrives once more", || (peer.posted().len() == 3).then_some(()));
}

#[test]
fn findings_of_what_is_sent_all_the_same_stay_with_the_message() {
    let peer = peer();
    let home = customs_home(DXPID, peer.url(), "[precheck.levels]\nR14 = \"warning\"");
    let gateway = Gateway::start(&home);
    let bad = text(&order(5));
    let (start, rest) = bad.split_once("<ceb:buyerIdNumber>").unwrap();
    let (_, end) = rest.split_once('<').unwrap();
    let bad = format!("{start}<ceb:buyerIdNumber>110105194912310021<{end}");
    home.submit("customs", "warned.xml", bad.as_bytes());
    gateway.wait_for("customs", "sent", "warned.xml");
    let line = message(&gateway, "warned.xml");
    let id = line["id"].as_str().unwrap();
    let detail = gateway.api(&format!("/api/v1/messages/{id}"));
    let findings = &detail["findings"];
    assert_eq!((findings["errors"].as_u64(), findings["warnings"].as_u64()), (Some(0), Some(1)), "{detail:#}");
    assert_eq!(findings["kept"][0]["code"], "identity-number", "{detail:#}");
    assert!(!detail.to_string().contains("110105194912310021"), "personal data is masked: {detail:#}");
    let config = home.config();
    let shown = run(&["--lang", "en", "messages", "show", id, "--config", config.to_str().unwrap()]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("[identity-number]") && shown.contains("0 errors, 1 warnings"), "{shown}");
}

#[test]
fn with_warn_everything_is_sent_and_kept() {
    let peer = peer();
    let home = customs_home(DXPID, peer.url(), "");
    let file = home.path("partners/customs.toml");
    let partner = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{partner}\n[dxp]\nprecheck = \"warn\"\n")).unwrap();
    let gateway = Gateway::start(&home);
    let order = order(6);
    for name in ["one.xml", "two.xml"] {
        home.submit("customs", name, &order);
        assert!(gateway.wait_for("customs", "sent", name) == order);
    }
    let line = message(&gateway, "two.xml");
    let detail = gateway.api(&format!("/api/v1/messages/{}", line["id"].as_str().unwrap()));
    assert_eq!(detail["findings"]["kept"][0]["code"], "key-repeated", "{detail:#}");
    assert_eq!(detail["findings"]["errors"], 1, "{detail:#}");
}

fn now() -> Timestamp {
    Timestamp::now()
}

fn order(seed: u64) -> Vec<u8> {
    sample::order(1, DXPID, now(), seed)
}

fn text(xml: &[u8]) -> String {
    String::from_utf8(xml.to_vec()).unwrap()
}

/// The first value of a field.
fn value_of<'x>(xml: &'x str, field: &str) -> &'x str {
    xml.split_once(&format!("<ceb:{field}>")).unwrap().1.split_once('<').unwrap().0
}

/// The same with another value in the first such field.
fn with(xml: &str, field: &str, value: &str) -> String {
    let (start, rest) = xml.split_once(&format!("<ceb:{field}>")).unwrap();
    let (_, end) = rest.split_once('<').unwrap();
    format!("{start}<ceb:{field}>{value}<{end}")
}

/// Codes of what was found between a message that was sent and others.
fn findings(gateway: &Gateway<'_>, name: &str) -> Vec<String> {
    let id = message(gateway, name)["id"].as_str().unwrap().to_owned();
    let detail = gateway.api(&format!("/api/v1/messages/{id}"));
    let kept = detail["findings"]["kept"].as_array().cloned().unwrap_or_default();
    let between = |finding: &&Value| {
        ["R10", "R16", "R17", "R18", "R41", "R42", "R43", "R44"].contains(&finding["rule"].as_str().unwrap())
    };
    let mut codes: Vec<String> =
        kept.iter().filter(between).map(|finding| finding["code"].as_str().unwrap().to_owned()).collect();
    codes.sort();
    codes
}

/// A waybill of the order.
fn waybill(order: &str) -> String {
    let message = schema::current().find(Ns::Ceb, "CEB511Message").unwrap();
    let mut piece = specimen::of(message, Fullness::All);
    for field in ["orderNo", "consignee", "consigneeTelephone", "consigneeAddress"] {
        piece.at(&format!("Logistics/LogisticsHead/{field}")).unwrap().text = value_of(order, field).to_owned();
    }
    piece.at("BaseTransfer/dxpId").unwrap().text = DXPID.to_owned();
    piece.write()
}

/// A payment for the order, of this amount.
fn payment(order: &str, amount: &str) -> String {
    let message = schema::current().find(Ns::Ceb, "CEB411Message").unwrap();
    let mut piece = specimen::of(message, Fullness::Least);
    for (field, of_order) in [
        ("orderNo", "orderNo"),
        ("ebpCode", "ebpCode"),
        ("payCode", "payCode"),
        ("payTransactionId", "payTransactionId"),
        ("payerName", "buyerName"),
        ("payerIdNumber", "buyerIdNumber"),
    ] {
        piece.at(&format!("Payment/PaymentHead/{field}")).unwrap().text = value_of(order, of_order).to_owned();
    }
    piece.at("Payment/PaymentHead/amountPaid").unwrap().text = amount.to_owned();
    piece.at("BaseTransfer/dxpId").unwrap().text = DXPID.to_owned();
    piece.write()
}

/// Codes of the errors for which a file was rejected.
fn refused(gateway: &Gateway<'_>, name: &str) -> Vec<String> {
    let findings = gateway.wait_for("customs", "rejected", &format!("{name}.findings.json"));
    let findings: Value = serde_json::from_slice(&findings).unwrap();
    let errors = findings["findings"].as_array().unwrap().iter().filter(|finding| finding["level"] == "error");
    errors.map(|finding| finding["code"].as_str().unwrap().to_owned()).collect()
}

fn message(gateway: &Gateway<'_>, name: &str) -> Value {
    gateway.api(&format!("/api/v1/messages?name={name}"))["messages"][0].clone()
}

/// A partner that takes everything.
fn peer() -> Scripted {
    Scripted::start(|_, posted| Some(acknowledge(posted, Kind::default())))
}

#[test]
fn an_error_behind_hundreds_of_warnings_between_documents_still_refuses() {
    let peer = peer();
    let home = customs_home(DXPID, peer.url(), "[precheck.levels]\nR17 = \"warning\"");
    let gateway = Gateway::start(&home);
    let at = now();
    let waybills = |count: usize, seed: u64| text(&sample::of("CEB511Message", count, DXPID, at, seed).unwrap());
    home.submit("customs", "orders.xml", &sample::order(100, DXPID, at, 21));
    gateway.wait_for("customs", "sent", "orders.xml");
    let single = waybills(1, 22);
    home.submit("customs", "single.xml", single.as_bytes());
    gateway.wait_for("customs", "sent", "single.xml");
    let mut many = waybills(100, 21);
    for field in ["consignee", "consigneeTelephone", "consigneeAddress"] {
        many = many.replace(&format!("<ceb:{field}>"), &format!("<ceb:{field}>9"));
    }
    let (front, last) = many.rsplit_once("<ceb:logisticsNo>").unwrap();
    let (_, behind) = last.split_once('<').unwrap();
    let many = format!("{front}<ceb:logisticsNo>{}<{behind}", value_of(&single, "logisticsNo"));
    home.submit("customs", "many.xml", many.as_bytes());
    let codes = refused(&gateway, "many.xml");
    assert!(codes.iter().any(|code| code == "key-repeated"), "{codes:?}");
}

#[test]
fn a_resend_that_the_pre_check_refuses_tells_what_was_found_since_no_file_does() {
    let peer = Scripted::start(|number, posted| {
        let negative = "automatic-action/MDN-sent-automatically; processed/error: decryption-failed";
        let disposition = if number == 0 { negative } else { Kind::default().disposition };
        Some(acknowledge(posted, Kind { disposition, ..Kind::default() }))
    });
    let home = customs_home(DXPID, peer.url(), "");
    let gateway = Gateway::start(&home);
    let order = order(31);
    home.submit("customs", "order.xml", &order);
    gateway.wait_for("customs", "failed", "order.xml");
    // What failed does not count, so it may be declared anew; from then on the old one would be a repetition.
    home.submit("customs", "again.xml", &order);
    gateway.wait_for("customs", "sent", "again.xml");
    let id = message(&gateway, "order.xml")["id"].as_str().unwrap().to_owned();
    let config = home.config();
    let config = config.to_str().unwrap();
    let refused = run(&["--lang", "en", "messages", "resend", &id, "--reason", "test", "--config", config]);
    let told = String::from_utf8_lossy(&[refused.stdout, refused.stderr].concat()).into_owned();
    assert!(!refused.status.success(), "{told}");
    assert!(told.contains("[key-repeated]") && !told.contains(".findings.txt"), "{told}");
    assert_eq!(peer.posted().len(), 2, "nothing more was sent");
}
