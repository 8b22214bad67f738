//! Every route with nobody, a wrong token, every role and every scope: the table says what each may. A route that is
//! missing here, or one that is here and nowhere else, fails.

use std::collections::BTreeSet;

use axum::http::Method;

use super::access::Scope;
use super::rig::*;
use super::routes;

const REASON: &str = r#"{"reason":"x"}"#;

/// Method, path, body, least scope (none: everybody), status for those who may.
type Row = (&'static str, &'static str, &'static str, Option<Scope>, u16);

const EVERYBODY: Option<Scope> = None;
const READ: Option<Scope> = Some(Scope::Read);
const OPERATE: Option<Scope> = Some(Scope::Operate);
const ADMIN: Option<Scope> = Some(Scope::Admin);

/// `{…}` as in the table of routes; what is asked for is below in [`concrete`].
const TABLE: &[Row] = &[
    ("GET", "/openapi.json", "", EVERYBODY, 200),
    ("GET", "/setup", "", EVERYBODY, 200),
    ("POST", "/setup", "{}", EVERYBODY, 400),
    ("POST", "/session", "{}", EVERYBODY, 400),
    ("GET", "/session", "", READ, 200),
    ("POST", "/session/password", "{}", READ, 400),
    ("POST", "/session/totp", "{}", READ, 400),
    ("POST", "/session/totp/confirm", "{}", READ, 400),
    ("DELETE", "/session/totp", "{}", READ, 400),
    ("DELETE", "/session", "", READ, 204),
    ("GET", "/users", "", ADMIN, 200),
    ("POST", "/users", "{}", ADMIN, 400),
    ("PATCH", "/users/{name}", "{}", ADMIN, 404),
    ("DELETE", "/users/{name}", "", ADMIN, 404),
    ("GET", "/tokens", "", ADMIN, 200),
    ("POST", "/tokens", "{}", ADMIN, 400),
    ("DELETE", "/tokens/{id}", "", ADMIN, 404),
    ("GET", "/audit", "", READ, 200),
    ("GET", "/summary", "", READ, 200),
    ("GET", "/messages", "", READ, 200),
    ("GET", "/messages/{id}", "", READ, 200),
    ("GET", "/messages/{id}/timeline", "", READ, 200),
    ("GET", "/messages/{id}/wire", "", READ, 200),
    ("GET", "/messages/{id}/mdn", "", READ, 200),
    ("GET", "/messages/{id}/mdn/text", "", READ, 200),
    ("GET", "/messages/{id}/payload", "", OPERATE, 200),
    ("POST", "/messages/{id}/{action}", REASON, OPERATE, 200),
    ("POST", "/messages/{id}/export", r#"{"dir":"/tmp/x"}"#, ADMIN, 200),
    ("POST", "/messages/{id}/verify", "", READ, 200),
    ("POST", "/partners/{id}/messages", "<a/>", OPERATE, 202),
    ("POST", "/restored/release", REASON, OPERATE, 200),
    ("POST", "/journal/verify", "", ADMIN, 200),
    ("GET", "/backup", "", ADMIN, 200),
    ("POST", "/backup", r#"{"dir":"/tmp/x"}"#, ADMIN, 202),
    ("GET", "/alerts", "", READ, 200),
    ("POST", "/alerts/{alert}/acknowledge", REASON, OPERATE, 200),
    ("GET", "/declarations", "", READ, 200),
    ("GET", "/declarations/{key}", "", READ, 404),
    ("GET", "/connectivity/plans", "", READ, 200),
    ("GET", "/connectivity/runs", "", READ, 200),
    ("POST", "/connectivity/runs", r#"{"plan":"transport"}"#, OPERATE, 202),
    ("GET", "/connectivity/runs/{id}", "", READ, 200),
    ("GET", "/connectivity/runs/{id}/report", "", READ, 200),
    ("POST", "/connectivity/runs/{id}/resume", "{}", OPERATE, 202),
    ("GET", "/alerts/silences", "", READ, 200),
    ("POST", "/alerts/silences", r#"{"until":"2030-01-01T00:00:00Z","reason":"x"}"#, OPERATE, 201),
    ("POST", "/alerts/silences/{id}/end", REASON, OPERATE, 404),
    ("POST", "/alerts/test", "{}", OPERATE, 200),
    ("GET", "/partners", "", READ, 200),
    ("GET", "/partners/{id}", "", READ, 200),
    ("POST", "/partners/{id}/check", "", READ, 200),
    ("POST", "/partners/{id}/pause", REASON, OPERATE, 200),
    ("POST", "/partners/{id}/resume", REASON, OPERATE, 200),
    ("POST", "/partners/reload", "", ADMIN, 200),
    ("GET", "/certificates", "", READ, 200),
    ("GET", "/certificate-exchanges", "", READ, 200),
    ("POST", "/certificate-exchanges", r#"{"partner":"acme"}"#, ADMIN, 202),
    ("POST", "/certificate-exchanges/{id}/accept", "{}", ADMIN, 200),
    ("POST", "/certificate-exchanges/{id}/reject", REASON, ADMIN, 200),
    ("GET", "/station", "", READ, 200),
    ("GET", "/queue", "", READ, 200),
    ("GET", "/figures", "", READ, 200),
    ("POST", "/precheck", "<a/>", READ, 200),
    ("GET", "/events", "", READ, 200),
];

fn concrete(path: &str) -> String {
    let path = path
        .replace("{action}", "retry")
        .replace("{alert}", "gateway.disk-nearly-full")
        .replace("{name}", "nobody")
        .replace("{key}", "D-1");
    let by_id = ["/messages", "/connectivity", "/certificate-exchanges"];
    let path = if by_id.iter().any(|beginning| path.starts_with(beginning)) {
        path.replace("{id}", &id(1).to_string())
    } else {
        path.replace("{id}", if path.starts_with("/tokens") { "none" } else { "customs" })
    };
    let query = if path == "/precheck" || path.ends_with("customs/messages") { "?name=a.xml" } else { "" };
    format!("/api/v1{path}{query}")
}

#[test]
fn the_table_names_every_route_and_what_it_wants() {
    let known: BTreeSet<(String, String, Option<Scope>)> = routes::all::<Fake>()
        .iter()
        .map(|route| (route.method.to_string(), route.path.to_owned(), route.least))
        .collect();
    let tested: BTreeSet<(String, String, Option<Scope>)> =
        TABLE.iter().map(|(method, path, _, least, _)| ((*method).to_owned(), (*path).to_owned(), *least)).collect();
    assert_eq!(known, tested);
}

#[tokio::test]
async fn every_route_answers_those_who_may_and_nobody_else() {
    let mut rig = rig(Fake { stored: vec![queued_message(1)], ..Fake::default() }).with_people().await;
    let mut tokens = Vec::new();
    for scope in [Scope::Read, Scope::Operate, Scope::Admin] {
        let name = format!("t-{}", scope as u8);
        let made = rig.access.add_token(&name, scope, 1, "test", async { Ok(()) }).await.expect("made");
        tokens.push((scope, format!("Bearer {}", made.1.expose())));
    }
    for (method, path, body, least, status) in TABLE {
        let (method, url) = (Method::from_bytes(method.as_bytes()).expect("a method"), concrete(path));
        rig.asked();
        // A stream has no end to wait for.
        if *path == "/events" {
            continue;
        }
        for wrong in ["", "Bearer ", "Bearer 0123456789abcdef0123456789abcdeX", "Basic YTpi", TOKEN] {
            let credentials = if wrong.is_empty() { vec![] } else { vec![("Authorization", wrong)] };
            let answered = rig.ask(method.clone(), &url, &credentials, body).await;
            let expected = if least.is_none() { *status } else { 401 };
            assert_eq!(answered.status, expected, "{method} {url} {wrong:?}: {}", answered.text);
        }
        assert!(rig.asked().is_empty() || least.is_none(), "{url} was carried out for nobody");
        let Some(least) = least else { continue };
        for (name, role) in PEOPLE {
            let (cookie, csrf) = rig.session(name).await;
            let headers = [("Cookie", cookie.as_str()), ("X-CSRF-Token", csrf.as_str())];
            let answered = rig.ask(method.clone(), &url, &headers, body).await;
            let expected = if role.scope() >= *least { *status } else { 403 };
            assert_eq!(answered.status, expected, "{method} {url} {name}: {}", answered.text);
            if method != Method::GET {
                let (cookie, _) = rig.session(name).await;
                let answered = rig.ask(method.clone(), &url, &[("Cookie", cookie.as_str())], body).await;
                assert_eq!(answered.code(), (403, "csrf"), "{method} {url} {name} without the session's secret");
            }
        }
        for (scope, token) in &tokens {
            let answered = rig.ask(method.clone(), &url, &[("Authorization", token.as_str())], body).await;
            // Programs have no session of which they could change anything.
            let of_session = path.starts_with("/session") && method != Method::GET;
            let expected = if *scope >= *least && !of_session { *status } else { 403 };
            let fits = answered.status == expected;
            assert!(fits, "{method} {url} {scope:?}: {} {}", answered.status, answered.text);
        }
    }
}

/// Rows of [`TABLE`] that ask with another method than GET and change nothing, or are refused as they stand there.
const CHANGE_NOTHING: &[&str] = &[
    "/setup",
    "/session/totp",
    "/session/totp/confirm",
    "/messages/{id}/verify",
    "/journal/verify",
    "/partners/{id}/check",
    "/precheck",
];

/// What makes a row that is refused in [`TABLE`] a change, in the order of the routes; then the trail's word for it.
fn changing(method: &str, path: &str) -> (String, String) {
    let password = serde_json::json!(PASSWORD);
    let concrete = concrete(path);
    match (method, path) {
        ("POST", "/session") => (concrete, format!(r#"{{"name":"vera","password":{password}}}"#)),
        ("POST", "/session/password") => {
            (concrete, format!(r#"{{"current":{password},"password":"correct horse battery 2"}}"#))
        }
        ("DELETE", "/session/totp") => (concrete, format!(r#"{{"current":{password}}}"#)),
        ("POST", "/users") => (concrete, format!(r#"{{"name":"nina","role":"viewer","password":{password}}}"#)),
        ("PATCH", _) => (concrete.replace("nobody", "vera"), r#"{"role":"operator"}"#.to_owned()),
        ("DELETE", "/users/{name}") => (concrete.replace("nobody", "otto"), String::new()),
        ("POST", "/tokens") => (concrete, r#"{"name":"erp","scope":"read","days":1}"#.to_owned()),
        ("POST", "/alerts/silences/{id}/end") => (concrete.replace("customs", "0b"), REASON.to_owned()),
        _ => (concrete, String::new()),
    }
}

#[tokio::test]
async fn every_route_that_changes_something_is_in_the_trail_with_who_and_from_where() {
    for (method, path, body, _, status) in TABLE {
        if *method == "GET" || CHANGE_NOTHING.contains(path) {
            continue;
        }
        let mut rig = rig(Fake { stored: vec![queued_message(1)], ..Fake::default() }).with_people().await;
        let token = rig.access.add_token("t", Scope::Read, 1, "test", async { Ok(()) }).await.expect("made").0;
        let (cookie, csrf) = rig.session("ada").await;
        if path.ends_with("/resume") {
            rig.post("/api/v1/partners/customs/pause", REASON).await;
        }
        rig.recorded();
        let (url, other) = changing(method, path);
        let url = if path.starts_with("/tokens/") { url.replace("none", &token.id) } else { url };
        let body = if other.is_empty() { (*body).to_owned() } else { other };
        let headers = [("Cookie", cookie.as_str()), ("X-CSRF-Token", csrf.as_str())];
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let answered = rig.ask(method.clone(), &url, &headers, &body).await;
        // The gateway behind this console knows no silence that could end.
        let carried_out = (200..300).contains(&answered.status) || path.ends_with("/end");
        assert!(carried_out, "{method} {path} ({status}): {} {}", answered.status, answered.text);
        let recorded = rig.recorded();
        let who = if *path == "/session" && method == Method::POST { "vera" } else { "ada" };
        let known = recorded.iter().any(|change| change.who == who && change.from.as_deref() == Some("127.0.0.1"));
        assert!(known, "{method} {path} left {recorded:?}");
    }
}

#[tokio::test]
async fn nothing_is_carried_out_that_cannot_be_recorded() {
    for (path, body) in [
        ("/partners/customs/pause", REASON),
        ("/partners/reload", ""),
        ("/messages/{id}/export", r#"{"dir":"/tmp/x"}"#),
        ("/backup", r#"{"dir":"/tmp/x"}"#),
        ("/alerts/silences", r#"{"until":"2030-01-01T00:00:00Z","reason":"x"}"#),
        ("/alerts/silences/0b/end", REASON),
        ("/alerts/test", "{}"),
    ] {
        let mut rig = rig(Fake { stored: vec![queued_message(1)], ..Fake::default() });
        rig.backend.full.store(true, std::sync::atomic::Ordering::Relaxed);
        let answered = rig.post(&format!("/api/v1{}", path.replace("{id}", &id(1).to_string())), body).await;
        assert_eq!(answered.code(), (503, "journal-full"), "{path}");
        assert!(rig.asked().is_empty(), "{path} was carried out");
    }
}

#[tokio::test]
async fn who_may_not_see_payloads_gets_sealed_wire_bytes_alone() {
    let mut rig = rig(Fake { stored: vec![queued_message(1)], ..Fake::default() }).with_people().await;
    for (name, part) in [("vera", "SealedWire"), ("otto", "Wire"), ("ada", "Wire")] {
        let (cookie, _) = rig.session(name).await;
        rig.asked();
        let url = format!("/api/v1/messages/{}/wire", id(1));
        let answered = rig.ask(Method::GET, &url, &[("Cookie", cookie.as_str())], "").await;
        assert_eq!(answered.status, 200, "{name}");
        assert_eq!(rig.asked(), [format!("download {part}")], "{name}");
    }
}
