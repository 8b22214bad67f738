//! A declaration is compared with what was sent before it; what the pre-check found stays with the message.

use std::fs;

use dxgate::declaration::sample;
use dxgate::declaration::schema::specimen::{self, Fullness};
use dxgate::declaration::schema::{self, Ns};
use jiff::Timestamp;
use serde_json::Value;

use crate::support::correspondent::{Kind, acknowledge};
use crate::support::eventually;
use crate::support::gateway::{Gateway, run};
use crate::support::home::customs_home;
use crate::support::scripted::Scripted;

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
fn what_was_cancelled_may_be_declared_anew_and_what_is_resent_is_no_repetition() {
    let peer = Scripted::start(|number, posted| match number {
        0 => None,
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

/// A payment for the order, of this amount.
fn payment(order: &str, amount: &str) -> String {
    let message = schema::current().find(Ns::Ceb, "CEB411Message").unwrap();
    let mut piece = specimen::of(message, Fullness::Least);
    for (field, of_order) in [
        ("orderNo", "orderNo"),
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
