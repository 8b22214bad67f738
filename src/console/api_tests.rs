//! Every route with no, a wrong and the right token; what each answers; what it refuses.

use std::path::PathBuf;
use std::sync::Mutex;

use axum::body::Body;
use axum::http::{Method, Request as HttpRequest};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower_service::Service;

use super::*;
use crate::alerting::{NewSilence, Silence, Tested};
use crate::bilingual;
use crate::console::{BackupStatus, PartnerStatus, Refusal, StateCount};
use crate::evidence::Exported;
use crate::store::alert::{Alert, Level};
use crate::store::record::{Event, Fact, JobKind, Message};
use crate::store::{Declared, DeclaredFilter, DeclaredPage, JournalReport, Raised};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// Remembers what it was asked.
#[derive(Default)]
struct Fake {
    unready: Vec<Unready>,
    stored: Vec<Message>,
    asked: Mutex<Vec<String>>,
}

impl Fake {
    fn note(&self, what: String) {
        self.asked.lock().expect("sound").push(what);
    }
}

impl Backend for Fake {
    async fn readiness(&self) -> Vec<Unready> {
        self.unready.clone()
    }

    async fn metrics(&self) -> String {
        "dxgate_ready 1\n".to_owned()
    }

    async fn messages(&self, query: Query) -> Vec<Message> {
        self.note(format!("{query:?}"));
        self.stored.iter().take(query.limit).cloned().collect()
    }

    async fn declarations(&self, filter: DeclaredFilter) -> DeclaredPage {
        self.note(format!("{filter:?}"));
        let all =
            self.stored.iter().flat_map(|message| (1..=2).filter_map(|n| Declared::of(Arc::new(message.clone()), n)));
        let documents: Vec<Declared> = all.take(filter.limit).collect();
        DeclaredPage { next: documents.last().map(Declared::place), documents }
    }

    async fn message(&self, id: Id) -> Option<Message> {
        self.stored.iter().find(|message| message.id == id).cloned()
    }

    async fn act(&self, id: Id, action: Action, reason: String, by: String) -> Result<Message, Refusal> {
        self.note(format!("{} {reason} {by}", action.name()));
        let refused = Refusal { status: 409, code: "message-state".into(), text: bilingual!("不行", "no") };
        self.message(id).await.filter(|_| action != Action::Release).ok_or(refused)
    }

    async fn submit(
        &self,
        partner: String,
        name: String,
        mut body: RequestBody,
        key: Option<String>,
    ) -> Result<Id, Refusal> {
        let bytes = body.read_all(10).await.map_err(|error| Refusal {
            status: 413,
            code: error.code().into(),
            text: bilingual!("太大", "too large"),
        })?;
        let key = key.map(|key| format!(" {key}")).unwrap_or_default();
        self.note(format!("{partner} {name} {}{key}", bytes.len()));
        Ok(id(7))
    }

    async fn release_restored(&self, reason: String, by: String) -> Result<u64, Refusal> {
        self.note(format!("release-restored {reason} {by}"));
        Ok(2)
    }

    async fn start_backup(&self, dir: PathBuf, keys: bool) -> Result<(), Refusal> {
        self.note(format!("backup {} {keys}", dir.display()));
        Ok(())
    }

    async fn backup(&self) -> BackupStatus {
        BackupStatus { running: true, ..BackupStatus::default() }
    }

    async fn export(&self, id: Id, dir: PathBuf) -> Result<Exported, Refusal> {
        self.note(format!("export {id} {}", dir.display()));
        Ok(Exported { files: Vec::new(), signed: true, mdn_signed: false })
    }

    async fn verify_message(&self, id: Id) -> Result<Exported, Refusal> {
        self.note(format!("verify {id}"));
        Ok(Exported { files: Vec::new(), signed: true, mdn_signed: true })
    }

    async fn verify_journal(&self) -> Result<JournalReport, Refusal> {
        Ok(JournalReport { frames: 3, ..JournalReport::default() })
    }

    async fn alerts(&self, query: AlertQuery) -> Vec<Raised> {
        self.note(format!("{query:?}"));
        let open = |message: &Message| Raised {
            message: Some(message.id),
            partner: Some(message.partner.clone()),
            alert: alert("http-404"),
        };
        self.stored.iter().map(open).take(query.limit).collect()
    }

    async fn acknowledge(&self, name: String, reason: String, by: String) -> Result<Raised, Refusal> {
        self.note(format!("acknowledge {name} {reason} {by}"));
        let refused = Refusal { status: 404, code: "alert-unknown".into(), text: bilingual!("没有", "none") };
        let known = name == "gateway.disk-nearly-full";
        known.then(|| Raised { message: None, partner: None, alert: alert("disk-nearly-full") }).ok_or(refused)
    }

    async fn silences(&self) -> Vec<Silence> {
        Vec::new()
    }

    async fn silence(&self, new: NewSilence) -> Result<Silence, Refusal> {
        self.note(format!("{new:?}"));
        let NewSilence { code, partner, until, reason, by } = new;
        Ok(Silence { id: "0a".into(), code, partner, since: jiff::Timestamp::UNIX_EPOCH, until, reason, by })
    }

    async fn end_silence(&self, id: String, reason: String, by: String) -> Result<Silence, Refusal> {
        self.note(format!("end-silence {id} {reason} {by}"));
        Err(Refusal { status: 404, code: "silence-unknown".into(), text: bilingual!("没有", "none") })
    }

    async fn test_alerts(&self, channel: Option<String>) -> Result<Vec<Tested>, Refusal> {
        self.note(format!("test {channel:?}"));
        Ok(vec![Tested { channel: "mail".into(), failed: Some("refused".into()) }])
    }

    async fn partners(&self) -> Vec<PartnerStatus> {
        let partner = |id: &str| PartnerStatus {
            id: id.into(),
            as2_name: id.to_uppercase(),
            profile: "plain".into(),
            url: "https://example.com/as2".into(),
            enabled: true,
            certificate_until: None,
        };
        vec![partner("b"), partner("a")]
    }

    async fn summary(&self) -> Vec<StateCount> {
        vec![StateCount { state: State::Queued, count: 3 }]
    }
}

fn alert(code: &str) -> Alert {
    Alert {
        code: code.into(),
        level: Level::Error,
        text: bilingual!("坏了", "broken"),
        raised: jiff::Timestamp::UNIX_EPOCH,
        times: 1,
        acknowledged: None,
        resolved: None,
    }
}

fn id(n: u8) -> Id {
    Id::from_bytes([n; 16])
}

fn message(n: u8) -> Message {
    let at = jiff::Timestamp::UNIX_EPOCH;
    let queued = Fact::Queued {
        kind: JobKind::Payload,
        partner: "customs".into(),
        file_name: format!("{n}.xml"),
        payload: None,
        declaration: None,
        about: None,
    };
    let message = crate::store::apply(None, id(n), at, &queued).expect("a first fact");
    assert_eq!(message.timeline.first().map(|event: &Event| event.at), Some(at));
    message
}

struct Console {
    backend: Arc<Fake>,
    router: Router,
}

fn console(backend: Fake) -> Console {
    let backend = Arc::new(backend);
    let router = router(Arc::clone(&backend), Token::new(TOKEN), false);
    Console { backend, router }
}

impl Console {
    async fn ask(&mut self, method: Method, path: &str, token: Option<&str>, body: &str) -> (u16, Value) {
        let mut request = HttpRequest::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, token);
        }
        let request = request.body(Body::from(body.to_owned())).expect("a request");
        let response = self.router.call(request).await.expect("infallible");
        let status = response.status().as_u16();
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        if status == 401 {
            assert_eq!(response.headers()[header::WWW_AUTHENTICATE], "Bearer");
        }
        let bytes = response.into_body().collect().await.expect("a body").to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    async fn get(&mut self, path: &str) -> (u16, Value) {
        self.ask(Method::GET, path, Some(&format!("Bearer {TOKEN}")), "").await
    }

    async fn post(&mut self, path: &str, body: &str) -> (u16, Value) {
        self.ask(Method::POST, path, Some(&format!("Bearer {TOKEN}")), body).await
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.backend.asked.lock().expect("sound"))
    }
}

#[tokio::test]
async fn every_api_route_wants_the_token_and_says_the_same_without() {
    let one = id(1);
    let routes = [
        (Method::GET, "/api/v1/summary".to_owned(), "", 200),
        (Method::GET, "/api/v1/partners".to_owned(), "", 200),
        (Method::GET, "/api/v1/messages".to_owned(), "", 200),
        (Method::GET, format!("/api/v1/messages/{one}"), "", 200),
        (Method::GET, "/api/v1/messages/none".to_owned(), "", 404),
        (Method::POST, format!("/api/v1/messages/{one}/retry"), r#"{"reason":"x"}"#, 200),
        (Method::POST, format!("/api/v1/messages/{one}/hold"), r#"{"reason":"x"}"#, 200),
        (Method::POST, format!("/api/v1/messages/{one}/release"), r#"{"reason":"x"}"#, 409),
        (Method::POST, format!("/api/v1/messages/{one}/cancel"), r#"{"reason":"x"}"#, 200),
        (Method::POST, format!("/api/v1/messages/{one}/resend"), r#"{"reason":"x"}"#, 200),
        (Method::GET, "/api/v1/alerts".to_owned(), "", 200),
        (Method::POST, "/api/v1/alerts/gateway.disk-nearly-full/acknowledge".to_owned(), r#"{"reason":"x"}"#, 200),
        (Method::POST, "/api/v1/alerts/gateway.other/acknowledge".to_owned(), r#"{"reason":"x"}"#, 404),
        (Method::GET, "/api/v1/alerts/silences".to_owned(), "", 200),
        (
            Method::POST,
            "/api/v1/alerts/silences".to_owned(),
            r#"{"code":"http-404","until":"2030-01-01T00:00:00Z","reason":"x"}"#,
            201,
        ),
        (Method::POST, "/api/v1/alerts/silences/0b/end".to_owned(), r#"{"reason":"x"}"#, 404),
        (Method::POST, "/api/v1/alerts/test".to_owned(), "{}", 200),
        (Method::POST, "/api/v1/partners/customs/messages?name=a.xml".to_owned(), "<a/>", 202),
        (Method::GET, "/api/v1/nothing".to_owned(), "", 404),
        (Method::DELETE, "/api/v1/messages".to_owned(), "", 405),
    ];
    let mut console = console(Fake { stored: vec![message(1)], ..Fake::default() });
    let right = format!("Bearer {TOKEN}");
    let wrong = [format!("Bearer {TOKEN}0"), "Bearer ".to_owned(), format!("Basic {TOKEN}"), TOKEN.to_owned()];
    for (method, path, body, status) in routes {
        for token in wrong.iter().map(|token| Some(token.as_str())).chain([None]) {
            let (refused, problem) = console.ask(method.clone(), &path, token, body).await;
            assert_eq!((refused, &problem["code"]), (401, &json!("unauthorized")), "{path} {token:?}");
        }
        assert!(console.asked().is_empty(), "{path} was carried out without a token");
        assert_eq!(console.ask(method, &path, Some(&right), body).await.0, status, "{path}");
        console.asked();
    }
}

#[tokio::test]
async fn health_needs_no_token_and_readiness_tells_codes_only() {
    let unready = Unready { code: "disk-full".into(), text: bilingual!("满 /data", "full /data") };
    let mut console = console(Fake { unready: vec![unready], ..Fake::default() });
    assert_eq!(console.ask(Method::GET, "/healthz", None, "").await.0, 200);
    let (status, body) = console.ask(Method::GET, "/readyz", None, "").await;
    assert_eq!((status, body), (503, json!({ "ready": false, "reasons": ["disk-full"] })));
    let (_, summary) = console.get("/api/v1/summary").await;
    assert_eq!(summary["reasons"][0]["text"]["en"], "full /data");
    assert_eq!(summary["states"], json!([{ "state": "queued", "count": 3 }]));
    assert_eq!(console.ask(Method::GET, "/other", None, "").await.1["code"], "no-such-route");
}

#[tokio::test]
async fn a_list_is_narrowed_and_read_on() {
    let mut console = console(Fake { stored: vec![message(3), message(2), message(1)], ..Fake::default() });
    let (_, page) = console.get("/api/v1/messages?limit=2&state=awaiting-receipt&direction=outbound&name=a%20b").await;
    assert_eq!(page["messages"].as_array().map(Vec::len), Some(2));
    assert_eq!(page["next"], json!(id(2).to_string()));
    let asked = console.asked().concat();
    for part in ["AwaitingReceipt", "Outbound", "\"a b\"", "limit: 3"] {
        assert!(asked.contains(part), "{asked}");
    }
    let (_, page) = console.get("/api/v1/messages").await;
    assert_eq!((page["messages"].as_array().map(Vec::len), page.get("next")), (Some(3), None));
    for wrong in ["state=gone", "limit=x", "before=1", "unknown=1"] {
        let (status, problem) = console.get(&format!("/api/v1/messages?{wrong}")).await;
        assert_eq!((status, &problem["code"]), (400, &json!("malformed-request")), "{wrong}");
    }
}

#[tokio::test]
async fn a_message_is_shown_with_its_history_in_wire_words() {
    let mut console = console(Fake { stored: vec![message(1)], ..Fake::default() });
    let (_, shown) = console.get(&format!("/api/v1/messages/{}", id(1))).await;
    assert_eq!(shown["state"], "queued");
    assert_eq!(shown["final"], false);
    assert_eq!(shown["timeline"][0]["fact"], "queued");
    assert_eq!(shown["created"], "1970-01-01T00:00:00Z");
    let (status, problem) = console.get(&format!("/api/v1/messages/{}", id(2))).await;
    assert_eq!((status, &problem["code"]), (404, &json!("message-unknown")));
    assert!(problem["text"]["zh"].is_string() && problem["type"] == "urn:dxgate:problem:message-unknown");
}

#[tokio::test]
async fn an_action_needs_a_reason_and_names_its_origin() {
    let mut console = console(Fake { stored: vec![message(1)], ..Fake::default() });
    let path = |action: &str| format!("/api/v1/messages/{}/{action}", id(1));
    console.post(&path("hold"), r#"{"reason":" check first "}"#).await;
    assert_eq!(console.asked(), ["hold check first api-token"]);
    let long = format!(r#"{{"reason":"{}"}}"#, "x".repeat(501));
    let huge = format!(r#"{{"reason":"{}"}}"#, "x".repeat(70_000));
    for body in ["", "{}", r#"{"reason":"  "}"#, &long, &huge] {
        assert_eq!(console.post(&path("hold"), body).await.0, 400);
    }
    assert_eq!(console.post(&path("explode"), r#"{"reason":"x"}"#).await.0, 404);
    assert!(console.asked().is_empty());
}

#[tokio::test]
async fn alerts_are_listed_by_message_and_read_on() {
    let mut console = console(Fake { stored: vec![message(3), message(2), message(1)], ..Fake::default() });
    let (_, page) = console.get("/api/v1/alerts?limit=2&partner=customs").await;
    assert_eq!((page["alerts"].as_array().map(Vec::len), &page["next"]), (Some(2), &json!(id(2).to_string())));
    let first = &page["alerts"][0];
    assert_eq!((&first["id"], &first["code"]), (&json!(format!("{}.http-404", id(3))), &json!("http-404")));
    assert_eq!((&first["level"], &first["text"]["zh"]), (&json!("error"), &json!("坏了")));
    let asked = console.asked().concat();
    assert!(asked.contains("limit: 3") && asked.contains("customs"), "{asked}");
    let (_, page) = console.get("/api/v1/alerts").await;
    assert_eq!((page["alerts"].as_array().map(Vec::len), page.get("next")), (Some(3), None));
}

#[tokio::test]
async fn acknowledging_needs_a_reason_and_names_its_origin() {
    let mut console = console(Fake::default());
    let path = "/api/v1/alerts/gateway.disk-nearly-full/acknowledge";
    for body in ["", "{}", r#"{"reason":" "}"#] {
        assert_eq!(console.post(path, body).await.0, 400);
    }
    assert!(console.asked().is_empty());
    let (status, seen) = console.post(path, r#"{"reason":"ordered a disk"}"#).await;
    assert_eq!((status, &seen["id"]), (200, &json!("gateway.disk-nearly-full")));
    assert_eq!(console.asked(), ["acknowledge gateway.disk-nearly-full ordered a disk api-token"]);
}

#[tokio::test]
async fn a_submission_is_streamed_under_the_backends_cap() {
    let mut console = console(Fake::default());
    let (status, body) = console.post("/api/v1/partners/customs/messages?name=%E8%AE%A2.xml", "<a/>").await;
    assert_eq!((status, body), (202, json!({ "id": id(7).to_string() })));
    assert_eq!(console.asked(), ["customs 订.xml 4"]);
    let (status, problem) = console.post("/api/v1/partners/customs/messages?name=a", "more than ten").await;
    assert_eq!((status, &problem["code"]), (413, &json!("body-too-large")));
    for path in ["/api/v1/partners/customs/messages", "/api/v1/partners/customs/messages?name=%20"] {
        assert_eq!(console.post(path, "x").await.0, 400);
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
    assert_eq!(key(&["Order-7!"]), Some(Some("Order-7!".to_owned())));
    assert_eq!(key(&[&"k".repeat(128)]).flatten().map(|key| key.len()), Some(128));
    for refused in [&["a b"][..], &[""], &["a", "b"], &[&"k".repeat(129)]] {
        assert_eq!(key(refused), None, "{refused:?}");
    }
}

#[tokio::test]
async fn partners_come_in_order() {
    let (_, list) = console(Fake::default()).get("/api/v1/partners").await;
    assert_eq!((&list["partners"][0]["id"], &list["partners"][1]["as2_name"]), (&json!("a"), &json!("B")));
}
