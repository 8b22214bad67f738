//! Bad intentions: other sites, other hosts, scripts in names, huge pages, ways around.

use axum::http::Method;
use serde_json::json;

use super::rig::*;

#[tokio::test]
async fn a_change_that_another_site_asks_for_is_refused_even_with_the_cookie() {
    let mut rig = rig(Fake { stored: vec![queued_message(1)], ..Fake::default() }).with_people().await;
    let (cookie, csrf) = rig.session("ada").await;
    let path = format!("/api/v1/messages/{}/hold", id(1));
    let body = r#"{"reason":"x"}"#;
    let with = |more: (&'static str, &'static str)| {
        vec![("Cookie", cookie.clone()), ("X-CSRF-Token", csrf.clone()), (more.0, more.1.to_owned())]
    };
    for (more, status) in [
        (("Origin", "https://evil.example"), 403),
        (("Origin", "null"), 403),
        (("Origin", "http://127.0.0.1:4082"), 403),
        (("Sec-Fetch-Site", "cross-site"), 403),
        (("Sec-Fetch-Site", "same-site"), 403),
        (("Origin", "http://127.0.0.1:4081"), 200),
        (("Sec-Fetch-Site", "same-origin"), 200),
    ] {
        let headers = with(more);
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(rig.ask(Method::POST, &path, &headers, body).await.status, status, "{more:?}");
    }
    for secret in ["", "0", &"0".repeat(64), &format!("{csrf}0")] {
        let headers = [("Cookie", cookie.as_str()), ("X-CSRF-Token", secret)];
        assert_eq!(rig.ask(Method::POST, &path, &headers, body).await.code(), (403, "csrf"), "{secret}");
    }
    let (_, of_another) = rig.session("otto").await;
    let headers = [("Cookie", cookie.as_str()), ("X-CSRF-Token", of_another.as_str())];
    assert_eq!(rig.ask(Method::POST, &path, &headers, body).await.code(), (403, "csrf"));
    let body = json!({ "name": "ada", "password": PASSWORD }).to_string();
    let sign_in = rig.ask(Method::POST, "/api/v1/session", &[("Origin", "https://evil.example")], &body).await;
    assert_eq!(sign_in.code(), (403, "csrf"), "nobody is signed in by another site");
}

#[tokio::test]
async fn only_hosts_that_are_ours_are_answered() {
    let mut rig = rig(Fake::default());
    let bearer = format!("Bearer {TOKEN}");
    for (host, status) in [
        ("127.0.0.1:4081", 200),
        ("[::1]:4081", 200),
        ("10.1.2.3", 200),
        ("localhost", 200),
        ("LOCALHOST:4081", 200),
        ("console.example:4081", 200),
        ("evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost.evil.example:4081", 403),
        ("", 403),
    ] {
        let headers = [("Host", host), ("Authorization", bearer.as_str())];
        assert_eq!(rig.ask(Method::GET, "/api/v1/summary", &headers, "").await.status, status, "{host:?}");
    }
    let twice = [("Host", "localhost"), ("Host", "evil.example"), ("Authorization", bearer.as_str())];
    assert_eq!(rig.ask(Method::GET, "/api/v1/summary", &twice, "").await.status, 403);
}

#[tokio::test]
async fn a_download_is_saved_and_never_shown() {
    let mut rig = rig(Fake { stored: vec![queued_message(1)], ..Fake::default() });
    for part in ["payload", "wire", "mdn"] {
        let got = rig.get(&format!("/api/v1/messages/{}/{part}", id(1))).await;
        assert_eq!((got.status, got.text.as_str()), (200, "<script>alert(1)</script>"));
        assert_eq!(got.headers["content-type"], "application/octet-stream");
        assert!(got.headers["content-security-policy"].to_str().expect("text").contains("sandbox"));
        let named = got.headers["content-disposition"].to_str().expect("text");
        assert!(named.starts_with("attachment; ") && !named.contains(['<', '>']), "{named}");
    }
}

#[tokio::test]
async fn script_in_names_stays_text_in_json() {
    let mut rig = rig(Fake { stored: vec![queued_message(1)], ..Fake::default() });
    for path in ["/api/v1/messages".to_owned(), format!("/api/v1/messages/{}", id(1)), "/api/v1/alerts".to_owned()] {
        let got = rig.get(&path).await;
        assert_eq!(got.headers["content-type"], "application/json", "no browser takes it for a page");
    }
    let policy = rig.get("/api/v1/summary").await.headers["content-security-policy"].to_str().expect("text").to_owned();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
}

#[tokio::test]
async fn there_is_no_way_around_the_paths() {
    let mut rig = rig(Fake { stored: vec![queued_message(1)], ..Fake::default() });
    let one = id(1);
    for path in [
        "/api/v1/../v1/summary",
        "/api/v1/%2e%2e/v1/summary",
        "/api/v1//summary",
        "/api/v1/summary/",
        "/api//v1/summary",
        "/api/v1/summary%00",
        "/API/v1/summary",
        "/api/v2/summary",
        "/..%5c..%5cetc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/api/v1/messages/..%2f..%2fetc%2fpasswd",
        "/api/v1/messages/%2e%2e/payload",
        &format!("/api/v1/messages/{one}/payload/../wire"),
        &format!("/api/v1/messages/{one}%2fpayload"),
        "/healthz/",
    ] {
        for headers in [vec![], vec![("Authorization", "Bearer 0123456789abcdef0123456789abcdef")]] {
            let answered = rig.ask(Method::GET, path, &headers, "").await;
            assert!(matches!(answered.status, 401 | 404), "{path}: {}", answered.status);
        }
    }
}

#[tokio::test]
async fn a_user_loses_everything_at_once_when_removed() {
    let mut rig = rig(Fake::default()).with_people().await;
    let (cookie, _) = rig.session("otto").await;
    let principal = rig.access.session(cookie.split('=').nth(1).expect("a value")).expect("signed in");
    assert!(rig.access.holds(&principal));
    let bearer = format!("Bearer {TOKEN}");
    assert_eq!(rig.ask(Method::DELETE, "/api/v1/users/otto", &[("Authorization", &bearer)], "").await.status, 204);
    assert!(!rig.access.holds(&principal), "open streams end");
    assert_eq!(rig.ask(Method::GET, "/api/v1/session", &[("Cookie", &cookie)], "").await.status, 401);
    assert_eq!(rig.ask(Method::GET, "/api/v1/events", &[("Cookie", &cookie)], "").await.code(), (401, "unauthorized"));
}
