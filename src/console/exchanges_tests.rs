//! What the routes of certificate exchange take and pass on.

use serde_json::json;

use super::*;
use crate::console::rig::*;

impl Exchanges for Fake {
    async fn exchanges(&self) -> Vec<ExchangeWire> {
        vec![exchange(2), exchange(1)]
    }

    async fn ask_for_trust(&self, order: ExchangeRequestBody, asked: Change) -> Result<ExchangeWire, Refusal> {
        self.heard(format!("ask {order:?}"), asked)
    }

    async fn accept_certificates(&self, id: Id, only: Vec<String>, asked: Change) -> Result<ExchangeWire, Refusal> {
        self.heard(format!("accept {id} {only:?}"), asked)
    }

    async fn reject_certificates(&self, id: Id, asked: Change) -> Result<ExchangeWire, Refusal> {
        self.heard(format!("reject {id}"), asked)
    }
}

impl Fake {
    fn heard(&self, what: String, asked: Change) -> Result<ExchangeWire, Refusal> {
        let said = format!("{what} by {} because {:?}", asked.who, asked.reason);
        self.asked.lock().expect("sound").push(said);
        self.recorded.lock().expect("sound").push(asked);
        Ok(exchange(1))
    }
}

fn exchange(n: u8) -> ExchangeWire {
    let exchange = json!({ "id": id(n), "partner": "acme", "direction": "inbound", "state": "open",
        "asked": "2026-11-22T06:00:00Z", "certificates": [{ "fingerprint": "aa", "uses": ["verify"] }] });
    serde_json::from_value(exchange).expect("an exchange")
}

#[tokio::test]
async fn exchanges_are_listed_as_they_are() {
    let mut rig = rig(Fake::default());
    let listed = rig.get("/api/v1/certificate-exchanges").await;
    assert_eq!(listed.status, 200, "{}", listed.text);
    assert_eq!(listed.json["exchanges"][1]["id"], json!(id(1)));
    assert_eq!(listed.json["exchanges"][0]["certificates"], json!([{ "fingerprint": "aa", "uses": ["verify"] }]));
}

#[tokio::test]
async fn a_partner_is_asked_with_what_was_given() {
    let mut rig = rig(Fake::default());
    let asked =
        rig.post("/api/v1/certificate-exchanges", r#"{"partner":"acme","uses":["verify"],"reason":"new key"}"#).await;
    assert_eq!(asked.status, 202, "{}", asked.text);
    let heard = rig.asked();
    assert!(heard[0].contains(r#"partner: "acme", uses: ["verify"]"#), "{heard:?}");
    assert!(heard[0].ends_with(r#"because Some("new key")"#), "{heard:?}");
    for body in ["{}", r#"{"partner":"acme","use":"verify"}"#, "[]"] {
        assert_eq!(rig.post("/api/v1/certificate-exchanges", body).await.status, 400, "{body}");
    }
    assert!(rig.asked().is_empty());
}

#[tokio::test]
async fn a_decision_is_about_one_exchange_and_a_rejection_has_a_reason() {
    let mut rig = rig(Fake::default());
    let path = |action: &str| format!("/api/v1/certificate-exchanges/{}/{action}", id(1));
    assert_eq!(rig.post(&path("accept"), r#"{"only":["aa"]}"#).await.status, 200);
    assert_eq!(rig.post(&path("reject"), r#"{"reason":"not by telephone"}"#).await.status, 200);
    let heard = rig.asked();
    assert!(heard[0].starts_with(&format!(r#"accept {} ["aa"] by "#, id(1))), "{heard:?}");
    assert!(heard[1].starts_with(&format!("reject {} by ", id(1))), "{heard:?}");
    assert!(heard[1].ends_with(r#"because Some("not by telephone")"#), "{heard:?}");
    assert_eq!(rig.post(&path("reject"), r#"{"reason":" "}"#).await.code(), (400, "reason-required"));
    let unknown = rig.post("/api/v1/certificate-exchanges/none/accept", "{}").await;
    assert_eq!(unknown.code(), (404, "exchange-unknown"));
    assert!(rig.asked().is_empty());
}
