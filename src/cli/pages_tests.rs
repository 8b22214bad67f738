//! Lists of the command line against a gateway that finds what is asked for far behind its first page.

use std::thread;

use axum::extract::Query;
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::super::exit_code::ExitCode;
use super::super::tests::{Said, TOKEN, detail, say_in};
use crate::ground::drain::Shutdown;
use crate::ground::durable;
use crate::http::{ServerSettings, serve_router};
use crate::keys::save;

/// Where the page after the first one begins.
const FURTHER: &str = "0197b3c28f107cc1b0a46d1f5e7a9b01";
/// Where the one after that begins.
const FURTHEST: &str = "0197b3c28f107cc1b0a46d1f5e7a9b00";

#[derive(Deserialize)]
struct Asked {
    limit: Option<usize>,
    before: Option<String>,
}

/// What a command says to a gateway that answers by `router`.
fn said(router: Router, line: &[&str]) -> Said {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
    let address = listener.local_addr().expect("bound");
    let home = tempfile::tempdir().expect("a folder");
    let config = home.path().join("gateway.toml");
    let text = format!("[console]\nlisten = \"{address}\"\ntoken_file = \"token\"\n");
    durable::write_new(&config, text.as_bytes()).expect("written");
    save::private(&home.path().join("token"), TOKEN.as_bytes()).expect("written");
    let shutdown = Shutdown::new();
    let config = config.to_str().expect("UTF-8");
    let line: Vec<&str> = line.iter().copied().chain(["--config", config]).collect();
    thread::scope(|scope| {
        let stop = shutdown.triggered();
        scope.spawn(move || runtime.block_on(serve_router(listener, None, router, ServerSettings::default(), stop)));
        let said = say_in("C", &line);
        shutdown.trigger();
        said
    })
}

/// A list at `path` whose first page is empty.
fn behind(path: &str, list: &'static str, cursors: [Value; 2], entry: Value) -> Router {
    let page = async move |Query(asked): Query<Asked>| {
        let [first, second] = cursors.clone();
        let shown = |cursor: &Value| cursor.as_str().map_or_else(|| cursor.to_string(), str::to_owned);
        let before = asked.before.unwrap_or_default();
        Json(match before.as_str() {
            "" => json!({ list: [], "next": first }),
            at if at == shown(&first) => json!({ list: [], "next": second }),
            at if at == shown(&second) => json!({ list: [entry] }),
            other => json!({ "nowhere": other }),
        })
    };
    Router::new().route(path, get(page))
}

#[test]
fn a_message_far_behind_is_found_and_none_is_said_only_at_the_end() {
    let router = || behind("/api/v1/messages", "messages", [json!(FURTHER), json!(FURTHEST)], detail("held", false));
    for line in [&["messages", "list", "--restored"][..], &["messages", "list", "--name", "a", "--format", "json"]] {
        let said = said(router(), line);
        assert_eq!(said.exit, ExitCode::Done, "{}", said.err);
        assert!(said.out.contains(".xml") && !said.out.contains("no message fits"), "{}", said.out);
        assert!(!said.out.contains("--before") && !said.out.contains("next"), "the end: {}", said.out);
    }
    let nothing = Router::new().route("/api/v1/messages", get(async || Json(json!({ "messages": [] }))));
    assert!(said(nothing, &["messages", "list"]).out.contains("no message fits"));
}

#[test]
fn a_change_far_behind_is_found() {
    let change = json!({
        "sequence": 3, "at": "2026-01-01T00:00:00Z", "who": "alice", "what": "partner-paused", "on": "partner:customs"
    });
    let router = behind("/api/v1/audit", "entries", [json!(9000), json!(4000)], change);
    let said = said(router, &["audit", "list", "--who", "alice"]);
    assert!(said.exit == ExitCode::Done && said.out.contains("partner-paused"), "{}{}", said.out, said.err);
}

fn declared() -> Value {
    json!({
        "message": FURTHEST, "partner": "customs", "file_name": "a.xml", "message_type": "CEB311Message",
        "created": "2026-01-01T00:00:00Z", "transport": "delivered", "number": 1, "status": "rejected",
        "keys": [["orderNo", "ORDER-1"]]
    })
}

#[test]
fn a_document_far_behind_is_found() {
    let cursors = [json!(format!("{FURTHER}.0")), json!(format!("{FURTHEST}.0"))];
    let router = behind("/api/v1/declarations", "declarations", cursors, declared());
    let said = said(router, &["declarations", "list", "--status", "rejected"]);
    assert!(said.exit == ExitCode::Done && said.out.contains("ORDER-1"), "{}{}", said.out, said.err);
}

#[test]
fn pages_are_put_together_up_to_the_limit_and_the_rest_is_named() {
    let page = async |Query(asked): Query<Asked>| {
        let (limit, before) = (asked.limit.unwrap_or_default(), asked.before);
        let (count, next) = if before.is_none() { (1, FURTHER) } else { (limit, FURTHEST) };
        Json(json!({ "messages": vec![detail("held", false); count], "next": next }))
    };
    let line = ["messages", "list", "--limit", "3", "--format"];
    let router = || Router::new().route("/api/v1/messages", get(page));
    let list: Value = serde_json::from_str(&said(router(), &[&line[..], &["json"]].concat()).out).expect("JSON");
    assert_eq!((list["messages"].as_array().map(Vec::len), &list["next"]), (Some(3), &json!(FURTHEST)));
    let human = said(router(), &[&line[..], &["human"]].concat());
    assert!(human.out.contains(&format!("there are more: --before {FURTHEST}")), "{}", human.out);
}

#[test]
fn the_documents_with_a_number_are_read_on_by_what_their_first_page_names() {
    let cursor = format!("{FURTHEST}.1");
    let at = cursor.clone();
    let page = async move |Query(asked): Query<Asked>| match asked.before {
        None => Json(json!({ "declarations": vec![declared(); asked.limit.unwrap_or(50)], "next": at })),
        Some(before) if before == at => Json(json!({ "declarations": [declared()] })),
        Some(before) => Json(json!({ "nowhere": before })),
    };
    let router = || Router::new().route("/api/v1/declarations/{key}", get(page.clone()));
    let first = said(router(), &["declarations", "show", "ORDER-1"]);
    assert!(first.out.contains(&format!("--before {cursor}")), "{}{}", first.out, first.err);
    let second = said(router(), &["declarations", "show", "ORDER-1", "--before", &cursor]);
    assert_eq!((second.exit, second.out.matches("ORDER-1").count()), (ExitCode::Done, 1), "{}", second.err);
    assert!(!second.out.contains("--before"), "{}", second.out);
}
