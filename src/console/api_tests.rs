//! What the routes of messages, alerts and partners answer, and what they refuse.

use axum::body::Body;
use axum::http::{Method, Request as HttpRequest};
use serde_json::{Value, json};

use super::*;
use crate::bilingual;
use crate::console::rig::*;

#[tokio::test]
async fn health_needs_no_token_and_readiness_tells_codes_only() {
    let unready = Unready { code: "disk-full".into(), text: bilingual!("满 /data", "full /data") };
    let mut rig = rig(Fake { unready: vec![unready], ..Fake::default() });
    assert_eq!(rig.ask(Method::GET, "/healthz", &[], "").await.status, 200);
    let ready = rig.ask(Method::GET, "/readyz", &[("Host", "whatever.example")], "").await;
    assert_eq!((ready.status, ready.json), (503, json!({ "ready": false, "reasons": ["disk-full"] })));
    assert_eq!(rig.ask(Method::GET, "/metrics", &[], "").await.code(), (401, "unauthorized"));
    assert_eq!(rig.get("/metrics").await.text, "dxgate_ready 1\n");
    let summary = rig.get("/api/v1/summary").await.json;
    assert_eq!(summary["reasons"][0]["text"]["en"], "full /data");
    assert_eq!(summary["states"], json!([{ "state": "queued", "count": 3 }]));
    assert_eq!(rig.ask(Method::GET, "/other", &[], "").await.code(), (404, "no-such-route"));
    assert_eq!(rig.get("/api/v1/nothing").await.code(), (404, "no-such-route"));
    assert_eq!(rig.ask(Method::GET, "/api/v1/nothing", &[], "").await.code(), (401, "unauthorized"));
    let answered =
        rig.ask(Method::DELETE, "/api/v1/messages", &[("Authorization", &format!("Bearer {TOKEN}"))], "").await;
    assert_eq!(answered.code(), (405, "method-not-allowed"));
    assert!(answered.headers["allow"].to_str().expect("text").contains("GET"));
}

#[tokio::test]
async fn a_list_is_narrowed_and_read_on() {
    let mut rig =
        rig(Fake { stored: vec![queued_message(3), queued_message(2), queued_message(1)], ..Fake::default() });
    let query =
        "limit=2&state=awaiting-receipt,failed&direction=outbound&name=a%20b&text=D-1&from=2026-01-01T00:00:00Z";
    let page = rig.get(&format!("/api/v1/messages?{query}")).await.json;
    assert_eq!(page["messages"].as_array().map(Vec::len), Some(2));
    assert_eq!(page["next"], json!(id(2).to_string()));
    let asked = rig.asked().concat();
    for part in ["AwaitingReceipt, Failed", "Outbound", "\"a b\"", "limit: 2", "\"D-1\"", "2026-01-01"] {
        assert!(asked.contains(part), "{asked}");
    }
    let page = rig.get("/api/v1/messages").await.json;
    assert_eq!((page["messages"].as_array().map(Vec::len), page.get("next")), (Some(3), None));
    for wrong in [
        "state=gone",
        "limit=x",
        "limit=0",
        "limit=501",
        "limit=99999999999999999999",
        "before=1",
        "unknown=1",
        "from=now",
    ] {
        let answered = rig.get(&format!("/api/v1/messages?{wrong}")).await;
        assert_eq!(answered.code(), (400, "malformed-request"), "{wrong}");
    }
}

#[tokio::test]
async fn a_message_is_shown_with_its_history_in_wire_words() {
    let mut rig = rig(Fake { stored: vec![queued_message(1)], ..Fake::default() });
    let shown = rig.get(&format!("/api/v1/messages/{}", id(1))).await.json;
    assert_eq!((&shown["state"], &shown["final"]), (&json!("queued"), &json!(false)));
    assert_eq!(shown["timeline"][0]["fact"], "queued");
    assert_eq!(shown["created"], "1970-01-01T00:00:00Z");
    assert_eq!(shown["actions"], json!(["retry", "hold", "cancel", "legal-hold"]));
    let timeline = rig.get(&format!("/api/v1/messages/{}/timeline", id(1))).await.json;
    assert_eq!(timeline["events"], shown["timeline"]);
    let unknown = rig.get(&format!("/api/v1/messages/{}", id(2))).await;
    assert_eq!(unknown.code(), (404, "message-unknown"));
    assert_eq!(unknown.headers["content-type"], "application/problem+json");
    assert!(unknown.json["text"]["zh"].is_string() && unknown.json["type"] == "urn:dxgate:problem:message-unknown");
}

#[tokio::test]
async fn an_action_needs_a_reason_and_names_who_did_it() {
    let mut rig = rig(Fake { stored: vec![queued_message(1)], ..Fake::default() }).with_people().await;
    let path = |action: &str| format!("/api/v1/messages/{}/{action}", id(1));
    rig.post(&path("hold"), r#"{"reason":" check first "}"#).await;
    assert_eq!(rig.asked(), ["hold check first api-token"]);
    let (cookie, csrf) = rig.session("otto").await;
    let headers = [("Cookie", cookie.as_str()), ("X-CSRF-Token", csrf.as_str())];
    rig.ask(Method::POST, &path("hold"), &headers, r#"{"reason":"mine"}"#).await;
    assert_eq!(rig.asked(), ["hold mine otto"]);
    let long = format!(r#"{{"reason":"{}"}}"#, "x".repeat(501));
    for body in ["{}", r#"{"reason":"  "}"#, r#"{"reason":null}"#, &long] {
        assert_eq!(rig.post(&path("hold"), body).await.code(), (400, "reason-required"), "{body}");
    }
    let huge = format!(r#"{{"reason":"{}"}}"#, "x".repeat(70_000));
    for body in ["", "[]", "{", &huge] {
        assert_eq!(rig.post(&path("hold"), body).await.code(), (400, "malformed-request"));
    }
    assert_eq!(rig.post(&path("explode"), r#"{"reason":"x"}"#).await.status, 404);
    assert_eq!(rig.post(&path("release"), r#"{"reason":"x"}"#).await.code(), (409, "message-state"));
}

#[tokio::test]
async fn a_body_that_a_form_of_another_site_could_send_is_refused() {
    let mut rig = rig(Fake { stored: vec![queued_message(1)], ..Fake::default() });
    let authorization = format!("Bearer {TOKEN}");
    for media_type in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""] {
        let headers = [("Authorization", authorization.as_str()), ("Content-Type", media_type)];
        let path = format!("/api/v1/messages/{}/hold", id(1));
        let answered = rig.ask(Method::POST, &path, &headers, r#"{"reason":"x"}"#).await;
        assert_eq!(answered.code(), (415, "unsupported-media-type"), "{media_type}");
    }
    assert!(rig.asked().is_empty());
}

#[tokio::test]
async fn alerts_are_listed_by_message_and_read_on() {
    let mut rig =
        rig(Fake { stored: vec![queued_message(3), queued_message(2), queued_message(1)], ..Fake::default() });
    let page = rig.get("/api/v1/alerts?limit=2&partner=customs").await.json;
    assert_eq!((page["alerts"].as_array().map(Vec::len), &page["next"]), (Some(2), &json!(id(2).to_string())));
    let first = &page["alerts"][0];
    assert_eq!((&first["id"], &first["code"]), (&json!(format!("{}.http-404", id(3))), &json!("http-404")));
    assert_eq!((&first["level"], &first["text"]["zh"]), (&json!("error"), &json!("坏了")));
    let asked = rig.asked().concat();
    assert!(asked.contains("limit: 3") && asked.contains("customs"), "{asked}");
    let page = rig.get("/api/v1/alerts").await.json;
    assert_eq!((page["alerts"].as_array().map(Vec::len), page.get("next")), (Some(3), None));
    let path = "/api/v1/alerts/gateway.disk-nearly-full/acknowledge";
    let seen = rig.post(path, r#"{"reason":"ordered a disk"}"#).await;
    assert_eq!((seen.status, &seen.json["id"]), (200, &json!("gateway.disk-nearly-full")));
    assert_eq!(rig.post(path, "{}").await.code(), (400, "reason-required"));
}

#[tokio::test]
async fn a_submission_is_streamed_under_the_backends_cap_and_names_who_sent_it() {
    let mut rig = rig(Fake::default());
    let answered = rig.post("/api/v1/partners/customs/messages?name=%E8%AE%A2.xml", "<a/>").await;
    assert_eq!((answered.status, answered.json), (202, json!({ "id": id(7).to_string() })));
    assert_eq!(rig.asked(), ["customs 订.xml 4 api-token"]);
    let answered = rig.post("/api/v1/partners/customs/messages?name=a", "more than ten").await;
    assert_eq!(answered.code(), (413, "body-too-large"));
    for path in ["/api/v1/partners/customs/messages", "/api/v1/partners/customs/messages?name=%20"] {
        assert_eq!(rig.post(path, "x").await.status, 400);
    }
}

#[test]
fn a_submission_key_is_up_to_128_visible_characters() {
    let key = |values: &[&str]| {
        let mut request = HttpRequest::builder();
        for value in values {
            request = request.header("Idempotency-Key", *value);
        }
        idempotency_key(&request.body(Body::empty()).expect("a request")).ok()
    };
    assert_eq!(key(&[]), Some(None));
    assert_eq!(key(&["a-1"]), Some(Some("a-1".to_owned())));
    assert_eq!(key(&[&"x".repeat(128)]), Some(Some("x".repeat(128))));
    for wrong in [&[""][..], &["a b"], &["a", "b"], &[&"x".repeat(129)]] {
        assert_eq!(key(wrong), None, "{wrong:?}");
    }
}

#[tokio::test]
async fn evidence_backups_and_verification_are_asked_for_and_recorded() {
    let mut rig = rig(Fake { stored: vec![queued_message(1)], ..Fake::default() });
    let path = |rest: &str| format!("/api/v1/messages/{}/{rest}", id(1));
    assert_eq!(rig.post(&path("export"), r#"{"dir":"/srv/out"}"#).await.json["signed"], json!(true));
    assert_eq!(rig.post(&path("verify"), "").await.json["mdn_signed"], json!(true));
    assert_eq!(rig.post("/api/v1/journal/verify", "").await.json["frames"], json!(3));
    assert_eq!(rig.post("/api/v1/restored/release", r#"{"reason":"drill"}"#).await.json, json!({ "released": 2 }));
    assert_eq!(rig.post("/api/v1/backup", r#"{"dir":"/srv/b"}"#).await.status, 202);
    let recorded: Vec<String> =
        rig.recorded().into_iter().map(|change| format!("{} {}", change.what, change.on)).collect();
    let exported = format!("message-exported message:{}", id(1));
    assert_eq!(recorded, [exported.as_str(), "message-released message:7", "backup-started gateway"]);
}

#[tokio::test]
async fn a_pause_is_recorded_with_who_why_before_and_after_and_told_live() {
    let mut rig = rig(Fake::default());
    let paused = rig.post("/api/v1/partners/customs/pause", r#"{"reason":"they move"}"#).await;
    assert_eq!((paused.status, &paused.json["paused"]["reason"]), (200, &json!("they move")));
    let again = rig.post("/api/v1/partners/customs/pause", r#"{"reason":"again"}"#).await;
    assert_eq!(again.json["paused"]["reason"], "they move", "nothing changed");
    let resumed = rig.post("/api/v1/partners/customs/resume", r#"{"reason":"done"}"#).await;
    assert_eq!(resumed.json.get("paused"), None);
    assert_eq!(rig.post("/api/v1/partners/nobody/pause", r#"{"reason":"x"}"#).await.code(), (404, "partner-unknown"));
    let recorded = rig.recorded();
    assert_eq!(recorded.len(), 2);
    let first = &recorded[0];
    assert_eq!(
        (first.who.as_str(), first.what.as_str(), first.on.as_str()),
        ("api-token", "partner-paused", "partner:customs")
    );
    assert_eq!((&first.before, &first.after), (&Some(json!("active")), &Some(json!("paused"))));
    assert_eq!((first.reason.as_deref(), first.from.as_deref()), (Some("they move"), Some("127.0.0.1")));
}

#[tokio::test]
async fn the_audit_trail_is_narrowed_and_shown() {
    let mut rig = rig(Fake::default());
    rig.post("/api/v1/partners/customs/pause", r#"{"reason":"x"}"#).await;
    let trail = rig.get("/api/v1/audit?who=ada&on=partner:&limit=3&before=9").await.json;
    assert_eq!(trail["entries"][0]["what"], "partner-paused");
    assert_eq!(trail["entries"][0]["before"], Value::from("active"));
    let asked = rig.asked().concat();
    for part in ["\"ada\"", "\"partner:\"", "limit: 3", "before: Some(9)"] {
        assert!(asked.contains(part), "{asked}");
    }
}
