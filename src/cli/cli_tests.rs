//! The command line as scripts and people meet it, and the API commands against a small gateway.

use std::sync::Arc;

use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::api_client::ApiClient;
use super::*;
use crate::console::Token;
use crate::console::wire::MessageDetail;
use crate::ground::drain::Shutdown;
use crate::http::{ServerSettings, Trust, serve_router};

pub(super) struct Said {
    pub(super) exit: ExitCode,
    pub(super) out: String,
    pub(super) err: String,
}

pub(super) fn say_in(locale: &str, line: &[&str]) -> Said {
    let environment = |name: &str| (name == "LANG").then(|| locale.to_owned());
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let arguments = std::iter::once("dxgate").chain(line.iter().copied()).map(OsString::from).collect();
    let exit = run(arguments, &environment, &mut out, &mut err);
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Said { exit, out: text(out), err: text(err) }
}

#[test]
fn the_command_tree_is_sound() {
    Arguments::command().debug_assert();
    chinese::localised(Arguments::command(), Language::Chinese).debug_assert();
}

#[test]
fn help_and_version_are_results_in_the_readers_language() {
    let english = say_in("C", &["--help"]);
    assert_eq!(english.exit, ExitCode::Done);
    assert!(english.out.contains("Check declarations") && english.out.contains("Exit codes"), "{}", english.out);
    for (locale, line) in [("zh_CN.UTF-8", &["--help"][..]), ("C", &["--lang", "zh-CN", "--help"])] {
        let chinese = say_in(locale, line);
        assert!(chinese.out.contains("检查申报文件") && chinese.out.contains("退出码"), "{}", chinese.out);
    }
    assert!(say_in("zh_CN.UTF-8", &["--lang=en", "--help"]).out.contains("Exit codes"));
    assert_eq!(say_in("C", &["--version"]).exit, ExitCode::Done);
}

#[test]
fn wrong_usage_ends_with_2_and_says_so_on_the_error_output() {
    let id = "0".repeat(32);
    let wrong: [&[&str]; 13] = [
        &[],
        &["unknown"],
        &["precheck"],
        &["send", "a.xml"],
        &["send", "a.xml", "--partner", "p", "--timeout", "10m"],
        &["send", "a.xml", "--partner", "p", "--wait", "--timeout", "10"],
        &["messages", "show", "1"],
        &["messages", "hold", &id],
        &["messages", "list", "--state", "gone"],
        &["messages", "list", "--limit", "501"],
        &["doctor", "--format", "xml"],
        &["doctor", "--format", "sarif"],
        &["doctor", "--lang", "fr"],
    ];
    for line in wrong {
        let said = say_in("C", line);
        assert_eq!(said.exit, ExitCode::Usage, "{line:?}: {}{}", said.out, said.err);
        assert!(said.out.is_empty() && !said.err.is_empty(), "{line:?}");
    }
}

#[test]
fn every_command_of_the_contract_parses() {
    let id = "0".repeat(32);
    let right: [&[&str]; 25] = [
        &["init", "home"],
        &["serve", "--config", "a/gateway.toml"],
        &["demo", "--keep"],
        &["testbed", "--config", "a/gateway.toml"],
        &["precheck", "a", "b.xml"],
        &["send", "a.xml", "--partner", "customs"],
        &["send", "a.xml", "-p", "customs", "--wait", "--timeout", "90s"],
        &["messages", "list", "--state", "awaiting-receipt", "--direction", "outbound", "--before", &id],
        &["messages", "show", &id],
        &["messages", "retry", &id, "--reason", "x"],
        &["messages", "hold", &id, "--reason", "x"],
        &["messages", "release", &id, "--reason", "x"],
        &["messages", "cancel", &id, "-r", "x"],
        &["messages", "legal-hold", &id, "--reason", "audit"],
        &["messages", "legal-release", &id, "--reason", "closed"],
        &["partner", "list"],
        &["partner", "check", "customs", "--format", "json"],
        &["cert", "list"],
        &["cert", "generate", "--common-name", "a", "--out", "a.crt", "--host", "a.example.com"],
        &["cert", "import", "a.crt", "--partner", "customs", "--use", "verify,tls"],
        &["cert", "rotate", "--from", "2026-12-01T00:00:00+08:00"],
        &["declarations", "list", "--watch"],
        &["declarations", "show", "A1", "--before", "a.1"],
        &["alerts", "list", "--watch", "5"],
        &["doctor", "--lang", "zh-CN"],
    ];
    for line in right {
        let words = std::iter::once(&"dxgate").chain(line);
        let parsed = Arguments::command().try_get_matches_from(words);
        assert!(parsed.is_ok(), "{line:?}: {}", parsed.expect_err("wrong"));
    }
}

#[test]
fn a_missing_configuration_is_told_with_its_name_in_both_forms() {
    let human = say_in("zh_CN.UTF-8", &["messages", "list", "--config", "/nowhere/gateway.toml"]);
    assert_eq!(human.exit, ExitCode::Usage);
    assert!(human.err.contains("/nowhere/gateway.toml") && human.out.is_empty(), "{}", human.err);
    let json = say_in("C", &["messages", "list", "--config", "/nowhere/gateway.toml", "--format", "json"]);
    let problems: Value = serde_json::from_str(&json.err).expect("JSON");
    assert!(problems["problems"][0]["text"]["zh"].is_string(), "{}", json.err);
}

#[test]
fn a_failure_is_told_in_the_readers_language_and_for_programs() {
    let failure = Failure::new(ExitCode::No, "some-code", crate::bilingual!("不行\u{1b}", "no\u{1b}"));
    let told = |language, json| {
        let mut err = Vec::new();
        failure.report(&mut err, language, json).expect("written");
        String::from_utf8(err).expect("UTF-8")
    };
    assert_eq!(told(Language::Chinese, false), "错误：不行\\u{1b} [some-code]\n");
    assert_eq!(told(Language::English, false), "error: no\\u{1b} [some-code]\n");
    let value: Value = serde_json::from_str(&told(Language::English, true)).expect("JSON");
    assert_eq!(value["code"], "some-code");
}

pub(super) fn detail(state: &str, settled: bool) -> Value {
    json!({
        "id": "0".repeat(32), "direction": "outbound", "kind": "payload", "partner": "customs", "state": state,
        "final": settled, "file_name": "a\u{202e}.xml", "size": 1536, "message_id": "<1@a>",
        "created": "2026-01-01T00:00:00Z", "updated": "2026-01-01T00:00:00Z", "attempts": 2, "due": null,
        "message_type": "CEB311Message", "documents": 3,
        "reason": { "code": "http-503", "text": { "zh": "对方忙", "en": "the partner is busy" } },
        "payload": null, "wire": null, "keys": [["orderNo", "1"]], "cop_msg_id": null, "signer": null, "about": null,
        "receipt": {
            "disposition": "automatic-action/MDN-sent-automatically; processed", "mic": "abc=, sha-256",
            "mic_matches": true, "signer": null
        },
        "files": [{ "folder": "sent", "name": "a.xml", "published": true }],
        "timeline": [{ "at": "2026-01-01T00:00:00Z", "fact": "queued", "detail": "" }]
    })
}

#[test]
fn a_message_is_shown_as_facts_files_and_history() {
    let message: MessageDetail = serde_json::from_value(detail("composed", false)).expect("wire form");
    let mut out = Vec::new();
    let mut voice =
        Voice { out: &mut out, language: Language::Chinese, json: false, colours: false, environment: None };
    messages::print(&mut voice, &message).expect("written");
    let text = String::from_utf8(out).expect("UTF-8");
    let parts =
        ["状态：待发送", "原因：对方忙", "a\\u{202e}.xml", "CEB311Message × 3", "MIC 核对：一致", "✓ sent/a.xml"];
    for part in parts.into_iter().chain(["经过：", "queued"]) {
        assert!(text.contains(part), "{part} in {text}");
    }
}

pub(super) const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// Runs `work` against `router` on a loopback port.
fn against<T>(router: Router, work: impl AsyncFnOnce(ApiClient) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let base = format!("http://{}", listener.local_addr().expect("bound"));
        let shutdown = Shutdown::new();
        let served = serve_router(listener, None, router, ServerSettings::default(), shutdown.triggered());
        let worked = async {
            let api = ApiClient::new(base, Token::new(TOKEN), Trust::System).expect("usable");
            let outcome = work(api).await;
            shutdown.trigger();
            outcome
        };
        tokio::join!(served, worked).1
    })
}

#[test]
fn an_answer_of_the_gateway_becomes_an_exit_code() {
    let problem = |status: u16| {
        let body = json!({
            "type": "urn:dxgate:problem:x", "title": "x", "status": status, "code": "message-state",
            "detail": "no", "text": { "zh": "不行", "en": "no" }
        });
        (axum::http::StatusCode::from_u16(status).expect("a status"), Json(body))
    };
    let router = Router::new()
        .route("/409", get(async move || problem(409)))
        .route("/404", get(async move || problem(404)))
        .route("/503", get(async move || problem(503)))
        .route("/html", get(async || "<html>"));
    let exits = against(router, async |api| {
        let mut exits = Vec::new();
        for path in ["/409", "/404", "/503", "/html", "/none"] {
            exits.push(api.get::<Value>(path).await.expect_err("refused").exit_code());
        }
        exits
    });
    use ExitCode::{No, Unreachable, Usage};
    assert_eq!(exits, [No, Usage, Unreachable, Unreachable, Unreachable]);
}

#[test]
fn a_gateway_that_does_not_run_is_not_reachable() {
    let api = ApiClient::new("http://127.0.0.1:1".into(), Token::new(TOKEN), Trust::System).expect("usable");
    let failure = api_client::block_on(api.get::<Value>("/api/v1/summary")).expect_err("nobody there");
    assert_eq!(failure.exit_code(), ExitCode::Unreachable);
}

/// Sends and waits for a message that ends in `last`.
fn sent(last: &'static str) -> (ExitCode, String) {
    let looks = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let look = move || {
        let first = looks.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0;
        let state = if first { detail("sending", false) } else { detail(last, last != "held") };
        async { Json(state) }
    };
    let router = Router::new()
        .route("/api/v1/partners/customs/messages", post(async || Json(json!({ "id": "0".repeat(32) }))))
        .route("/api/v1/messages/{id}", get(look));
    let home = tempfile::tempdir().expect("temporary folder");
    let file = home.path().join("a.xml");
    crate::ground::durable::write_new(&file, b"<a/>").expect("written");
    let arguments = arguments::SendArguments {
        file,
        partner: "customs".into(),
        name: None,
        wait: true,
        timeout: std::time::Duration::from_secs(20),
    };
    let mut out = Vec::new();
    let mut voice =
        Voice { out: &mut out, language: Language::English, json: false, colours: false, environment: None };
    let outcome = against(router, async |api| send::submit(&api, &arguments, &voice).await);
    let exit = send::report(&mut voice, outcome.expect("sent")).expect("written");
    (exit, String::from_utf8(out).expect("UTF-8"))
}

#[test]
fn sending_waits_for_the_end_and_tells_it() {
    let (exit, text) = sent("delivered");
    assert_eq!(exit, ExitCode::Done);
    assert!(text.contains("delivered") && text.contains("MIC check: matches"), "{text}");
    for last in ["failed", "held", "rejected", "cancelled"] {
        let (exit, text) = sent(last);
        assert_eq!(exit, ExitCode::No, "{text}");
        assert!(text.contains(last) && text.contains("the partner is busy"), "{text}");
    }
}

/// A gateway that answers one request after the other, each on a connection of its own; where there is no answer it hangs
/// up, and behind the last one it is gone.
fn abrupt(answers: Vec<Option<Value>>) -> String {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let base = format!("http://{}", listener.local_addr().expect("bound"));
    let serve = move || {
        for answer in answers {
            let (mut socket, _) = listener.accept().expect("somebody");
            let (mut request, mut piece) = (Vec::new(), [0u8; 4096]);
            let end = |request: &[u8]| if request.starts_with(b"POST") { *b"<a/>" } else { *b"\r\n\r\n" };
            while !request.ends_with(&end(&request)) {
                let read = socket.read(&mut piece).expect("a request");
                assert_ne!(read, 0, "a whole request");
                request.extend_from_slice(&piece[..read]);
            }
            let Some(answer) = answer else { continue };
            let (body, close) = (answer.to_string(), "Content-Type: application/json\r\nConnection: close");
            let head = format!("HTTP/1.1 200 OK\r\n{close}\r\nContent-Length: {}\r\n\r\n", body.len());
            socket.write_all((head + &body).as_bytes()).expect("answered");
        }
    };
    std::thread::Builder::new().spawn(serve).expect("a thread");
    base
}

#[test]
fn whoever_waits_while_the_gateway_starts_again_goes_on_waiting_and_is_told_what_it_has() {
    let home = tempfile::tempdir().expect("temporary folder");
    let file = home.path().join("a.xml");
    crate::ground::durable::write_new(&file, b"<a/>").expect("written");
    let ask = |answers: Vec<Option<Value>>, millis: u64| {
        let api = ApiClient::new(abrupt(answers), Token::new(TOKEN), Trust::System).expect("usable");
        let arguments = arguments::SendArguments {
            file: file.clone(),
            partner: "customs".into(),
            name: None,
            wait: true,
            timeout: std::time::Duration::from_millis(millis),
        };
        let mut out = Vec::new();
        let mut voice =
            Voice { out: &mut out, language: Language::English, json: false, colours: false, environment: None };
        let outcome = api_client::block_on(send::submit(&api, &arguments, &voice));
        outcome.and_then(|sent| send::report(&mut voice, sent))
    };
    let queued = || Some(json!({ "id": "0".repeat(32) }));
    let back = ask(vec![queued(), None, None, Some(detail("delivered", true))], 20_000);
    assert_eq!(back.expect("it is back").number(), ExitCode::Done.number());
    let failure = ask(vec![queued()], 300).expect_err("it stays away");
    let mut said = Vec::new();
    failure.report(&mut said, Language::English, false).expect("written");
    let said = String::from_utf8(said).expect("UTF-8");
    assert_eq!((failure.code(), failure.exit_code()), (api_client::UNREACHABLE, ExitCode::Unreachable));
    assert!(said.contains(&"0".repeat(32)) && said.contains("do not send it again"), "{said}");
}
