//! Signing in and out, what ends a session, guessing, one-time codes, tokens, the first admin.

use axum::http::Method;
use serde_json::json;

use super::*;
use crate::console::rig::*;

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

async fn recorded() -> Result<(), Problem> {
    Ok(())
}

#[tokio::test]
async fn a_session_is_a_cookie_that_no_script_and_no_other_site_gets() {
    let mut rig = rig(Fake::default()).with_people().await;
    let answered = rig.sign_in("otto", PASSWORD, None).await;
    let set = answered.headers["set-cookie"].to_str().expect("text").to_owned();
    for part in ["dxgate=", "HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"] {
        assert!(set.contains(part), "{set}");
    }
    assert_eq!((&answered.json["role"], &answered.json["kind"]), (&json!("operator"), &json!("user")));
    let (cookie, csrf) = cookie_and_csrf(&answered);
    let me = rig.ask(Method::GET, "/api/v1/session", &[("Cookie", &cookie)], "").await;
    assert_eq!((&me.json["name"], &me.json["csrf"]), (&json!("otto"), &json!(csrf)));
    let file = std::fs::read_to_string(rig.home.path().join("console.users")).expect("there");
    let value = cookie.split('=').nth(1).expect("a value");
    assert!(!file.contains(PASSWORD) && !file.contains(value), "neither password nor session is kept in the clear");
    let out = rig.ask(Method::DELETE, "/api/v1/session", &[("Cookie", &cookie), ("X-CSRF-Token", &csrf)], "").await;
    assert_eq!(out.status, 204);
    assert!(out.headers["set-cookie"].to_str().expect("text").contains("Max-Age=0"));
    assert_eq!(rig.ask(Method::GET, "/api/v1/session", &[("Cookie", &cookie)], "").await.status, 401);
    let what: Vec<String> = rig.recorded().into_iter().map(|change| change.what).collect();
    assert_eq!(what, ["signed-in", "signed-out"]);
}

#[tokio::test]
async fn a_session_ends_when_idle_and_after_half_a_day_whatever_happens() {
    let mut rig = rig(Fake::default()).with_people().await;
    let (cookie, _) = rig.session("vera").await;
    let start = rig.clock.now();
    let at = |minutes: i64| start.checked_add(SignedDuration::from_mins(minutes)).expect("in range");
    for minutes in (29..720).step_by(29) {
        rig.clock.set(at(minutes));
        assert_eq!(rig.ask(Method::GET, "/api/v1/session", &[("Cookie", &cookie)], "").await.status, 200, "{minutes}");
    }
    rig.clock.set(at(720));
    assert_eq!(rig.ask(Method::GET, "/api/v1/session", &[("Cookie", &cookie)], "").await.status, 401);
    let (cookie, _) = rig.session("vera").await;
    rig.clock.set(at(720 + 30));
    assert_eq!(rig.ask(Method::GET, "/api/v1/session", &[("Cookie", &cookie)], "").await.status, 401, "idle");
}

#[tokio::test]
async fn unknown_names_and_wrong_passwords_fail_alike_and_slow_down() {
    let mut rig = rig(Fake::default()).with_people().await;
    let wrong = rig.sign_in("otto", "wrong password!", None).await;
    let unknown = rig.sign_in("nobody", "wrong password!", None).await;
    assert_eq!((wrong.code(), &wrong.text), ((401, "login-failed"), &unknown.text));
    for _ in 0..4 {
        assert_eq!(rig.sign_in("otto", "wrong password!", None).await.status, 401);
    }
    let paused = rig.sign_in("otto", PASSWORD, None).await;
    assert_eq!(paused.code(), (429, "too-many-attempts"), "even the right one waits");
    assert!(paused.headers.contains_key("retry-after"));
    assert_eq!(rig.sign_in("vera", PASSWORD, None).await.status, 200, "others do not");
    let later = rig.clock.now().checked_add(SignedDuration::from_secs(3)).expect("in range");
    rig.clock.set(later);
    assert_eq!(rig.sign_in("otto", PASSWORD, None).await.status, 200, "nobody is locked out");
}

#[tokio::test]
async fn a_one_time_code_is_asked_for_once_it_was_confirmed_and_is_good_once() {
    let mut rig = rig(Fake::default()).with_people().await;
    let (cookie, csrf) = rig.session("ada").await;
    let headers = [("Cookie", cookie.as_str()), ("X-CSRF-Token", csrf.as_str())];
    let wrong = rig.ask(Method::POST, "/api/v1/session/totp", &headers, r#"{"current":"wrong password!"}"#).await;
    assert_eq!(wrong.code(), (401, "login-failed"));
    let body = json!({ "current": PASSWORD }).to_string();
    let begun = rig.ask(Method::POST, "/api/v1/session/totp", &headers, &body).await;
    assert!(begun.json["uri"].as_str().expect("an address").starts_with("otpauth://totp/dxgate:ada?secret="));
    assert_eq!(rig.sign_in("ada", PASSWORD, None).await.status, 200, "not confirmed yet");
    let kept = lock(&rig.access.sessions).offered_totp(cookie.split('=').nth(1).expect("a value")).expect("offered").1;
    let code = totp::code_now(&kept, rig.clock.now());
    let body = json!({ "code": code }).to_string();
    assert_eq!(rig.ask(Method::POST, "/api/v1/session/totp/confirm", &headers, &body).await.status, 204);
    assert_eq!(rig.sign_in("ada", PASSWORD, None).await.code(), (401, "login-failed"));
    assert_eq!(rig.sign_in("ada", PASSWORD, Some(&code)).await.status, 200);
    assert_eq!(rig.sign_in("ada", PASSWORD, Some(&code)).await.status, 401, "a code is good once");
    let changed: Vec<_> = rig.recorded().into_iter().filter(|change| change.what == "user-changed").collect();
    assert_eq!(changed.len(), 1);
}

#[tokio::test]
async fn a_password_change_ends_the_other_sessions_of_the_user() {
    let mut rig = rig(Fake::default()).with_people().await;
    let (other, _) = rig.session("vera").await;
    let (cookie, csrf) = rig.session("vera").await;
    let headers = [("Cookie", cookie.as_str()), ("X-CSRF-Token", csrf.as_str())];
    let body = |current: &str, new: &str| json!({ "current": current, "password": new }).to_string();
    let short = rig.ask(Method::POST, "/api/v1/session/password", &headers, &body(PASSWORD, "short")).await;
    assert_eq!(short.code(), (422, "weak-password"));
    let done = rig.ask(Method::POST, "/api/v1/session/password", &headers, &body(PASSWORD, "another long one")).await;
    assert_eq!(done.status, 204);
    assert_eq!(rig.ask(Method::GET, "/api/v1/session", &[("Cookie", &other)], "").await.status, 401);
    assert_eq!(rig.ask(Method::GET, "/api/v1/session", &[("Cookie", &cookie)], "").await.status, 200);
    assert_eq!(rig.sign_in("vera", PASSWORD, None).await.status, 401);
}

#[tokio::test]
async fn users_are_made_changed_and_removed_and_one_admin_stays() {
    let mut rig = rig(Fake::default()).with_people().await;
    let new = |name: &str| json!({ "name": name, "role": "viewer", "password": PASSWORD }).to_string();
    assert_eq!(rig.post("/api/v1/users", &new("nina")).await.status, 201);
    assert_eq!(rig.post("/api/v1/users", &new("nina")).await.code(), (409, "name-taken"));
    for bad in ["", "Nina", "../x", "a b", "api-token", "token:x", &"n".repeat(65)] {
        assert_eq!(rig.post("/api/v1/users", &new(bad)).await.code(), (422, "bad-name"), "{bad}");
    }
    let (cookie, _) = rig.session("nina").await;
    let bearer = format!("Bearer {TOKEN}");
    let headers = [("Authorization", bearer.as_str())];
    let changed = rig.ask(Method::PATCH, "/api/v1/users/nina", &headers, r#"{"role":"operator"}"#).await;
    assert_eq!(changed.json["role"], "operator");
    assert_eq!(rig.ask(Method::GET, "/api/v1/session", &[("Cookie", &cookie)], "").await.status, 401, "signed in anew");
    let last = rig.ask(Method::DELETE, "/api/v1/users/ada", &headers, "").await;
    assert_eq!(last.code(), (409, "last-admin"));
    let both = r#"{"role":"viewer","password":"another long one"}"#;
    let last = rig.ask(Method::PATCH, "/api/v1/users/ada", &headers, both).await;
    assert_eq!(last.code(), (409, "last-admin"));
    assert_eq!(rig.ask(Method::DELETE, "/api/v1/users/nina", &headers, "").await.status, 204);
    let names = rig.get("/api/v1/users").await.json;
    assert_eq!(names["users"].as_array().map(Vec::len), Some(3));
    assert!(!names.to_string().contains("argon2"), "hashes stay inside");
    let what: Vec<String> = rig.recorded().into_iter().map(|change| format!("{} {}", change.what, change.on)).collect();
    let wanted = ["user-added user:nina", "signed-in session:nina", "user-changed user:nina", "user-removed user:nina"];
    assert_eq!(what, wanted, "what was refused is not recorded");
    rig.backend.full.store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(rig.post("/api/v1/users", &new("nora")).await.status, 503, "nothing is done that cannot be recorded");
    assert!(rig.access.accounts().user("nora").is_none());
    assert_eq!(rig.sign_in("ada", PASSWORD, None).await.status, 200, "one can still look");
}

#[tokio::test]
async fn users_can_be_changed_and_removed_where_no_admin_was_made_yet() {
    let mut rig = rig(Fake::default());
    let new = json!({ "name": "vera", "role": "viewer", "password": PASSWORD }).to_string();
    assert_eq!(rig.post("/api/v1/users", &new).await.status, 201);
    let bearer = format!("Bearer {TOKEN}");
    let headers = [("Authorization", bearer.as_str())];
    let changed = rig.ask(Method::PATCH, "/api/v1/users/vera", &headers, r#"{"role":"operator"}"#).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    assert_eq!(rig.ask(Method::DELETE, "/api/v1/users/vera", &headers, "").await.status, 204);
}

#[tokio::test]
async fn a_token_is_shown_once_has_a_scope_and_an_end_and_can_be_revoked() {
    let mut rig = rig(Fake::default());
    let body = r#"{"name":"erp","scope":"operate","days":1}"#;
    let made = rig.post("/api/v1/tokens", body).await;
    assert_eq!(made.status, 201);
    let text = made.json["token"].as_str().expect("shown").to_owned();
    assert_eq!(rig.post("/api/v1/tokens", body).await.code(), (409, "name-taken"));
    let list = rig.get("/api/v1/tokens").await;
    assert!(!list.text.contains(&text) && list.json["tokens"][0]["name"] == "erp");
    let file = std::fs::read_to_string(rig.home.path().join("console.users")).expect("there");
    assert!(!file.contains(&text), "only its digest is kept");
    let bearer = format!("Bearer {text}");
    let me = rig.ask(Method::GET, "/api/v1/session", &[("Authorization", &bearer)], "").await;
    assert_eq!((&me.json["name"], &me.json["role"]), (&json!("token:erp"), &json!("operator")));
    assert_eq!(
        rig.ask(Method::GET, "/api/v1/users", &[("Authorization", &bearer)], "").await.code(),
        (403, "forbidden")
    );
    let end = rig.clock.now().checked_add(SignedDuration::from_hours(24)).expect("in range");
    rig.clock.set(end);
    assert_eq!(rig.ask(Method::GET, "/api/v1/session", &[("Authorization", &bearer)], "").await.status, 401);
    let revoked = format!("/api/v1/tokens/{}", made.json["id"].as_str().expect("an id"));
    let machine = format!("Bearer {TOKEN}");
    assert_eq!(rig.ask(Method::DELETE, &revoked, &[("Authorization", &machine)], "").await.status, 204);
    assert_eq!(
        rig.ask(Method::DELETE, &revoked, &[("Authorization", &machine)], "").await.code(),
        (404, "token-unknown")
    );
    for days in [0, 3651, 65_535] {
        let body = format!(r#"{{"name":"x","scope":"read","days":{days}}}"#);
        assert_eq!(rig.post("/api/v1/tokens", &body).await.status, 400, "{days}");
    }
}

#[tokio::test]
async fn a_token_makes_so_many_requests_a_minute_and_people_and_the_machine_are_not_counted() {
    let mut rig = rig(Fake::default()).with_people().await;
    let made = rig.post("/api/v1/tokens", r#"{"name":"erp","scope":"read","days":1}"#).await;
    let bearer = format!("Bearer {}", made.json["token"].as_str().expect("shown"));
    let (cookie, _) = rig.session("vera").await;
    for _ in 0..600 {
        assert_eq!(rig.ask(Method::GET, "/api/v1/session", &[("Authorization", &bearer)], "").await.status, 200);
        assert_eq!(rig.ask(Method::GET, "/api/v1/session", &[("Cookie", &cookie)], "").await.status, 200);
    }
    let refused = rig.ask(Method::GET, "/api/v1/session", &[("Authorization", &bearer)], "").await;
    assert_eq!(
        (refused.code(), &refused.headers["retry-after"]),
        ((429, "too-many-requests"), &axum::http::HeaderValue::from_static("1"))
    );
    assert_eq!(rig.ask(Method::GET, "/api/v1/session", &[("Cookie", &cookie)], "").await.status, 200);
    assert_eq!(rig.get("/api/v1/users").await.status, 200, "the machine's own");
    let later = rig.clock.now().checked_add(SignedDuration::from_millis(100)).expect("in range");
    rig.clock.set(later);
    assert_eq!(rig.ask(Method::GET, "/api/v1/session", &[("Authorization", &bearer)], "").await.status, 200);
}

#[tokio::test]
async fn the_link_of_the_first_start_makes_one_admin_once_and_within_an_hour() {
    let mut rig = rig(Fake::default());
    let file = rig.access.setup_file().expect("there is no user yet");
    let text = std::fs::read_to_string(&file).expect("readable");
    let link = text.trim().strip_prefix("http://127.0.0.1:4081/setup#").expect("an address").to_owned();
    let body = |link: &str, name: &str| json!({ "link": link, "name": name, "password": PASSWORD }).to_string();
    assert_eq!(rig.ask(Method::GET, "/api/v1/setup", &[], "").await.json, json!({ "open": true }));
    let wrong = rig.ask(Method::POST, "/api/v1/setup", &[], &body("0123", "ada")).await;
    assert_eq!(wrong.code(), (409, "setup-closed"));
    let bad = rig.ask(Method::POST, "/api/v1/setup", &[], &body(&link, "Not A Name")).await;
    assert_eq!(bad.code(), (422, "bad-name"), "a slip does not use it up");
    let made = rig.ask(Method::POST, "/api/v1/setup", &[], &body(&link, "ada")).await;
    assert_eq!((made.status, &made.json["role"]), (201, &json!("admin")));
    assert!(made.headers.contains_key("set-cookie"));
    let again = rig.ask(Method::POST, "/api/v1/setup", &[], &body(&link, "eve")).await;
    assert_eq!(again.code(), (409, "setup-closed"));
    assert!(!file.exists(), "a used link is not left behind");
    assert_eq!(rig.ask(Method::GET, "/api/v1/setup", &[], "").await.json, json!({ "open": false }));

    let reopened = Access::open(settings(rig.home.path()), rig.clock.clone()).expect("opens");
    assert!(reopened.setup_file().is_none() && reopened.accounts().user("ada").is_some(), "a restart knows the user");
    let other = tempfile::tempdir().expect("a folder");
    let access = Access::open(settings(other.path()), rig.clock.clone()).expect("opens");
    let text = std::fs::read_to_string(access.setup_file().expect("open")).expect("readable");
    let link = text.trim().split('#').nth(1).expect("a link").to_owned();
    let hour = rig.clock.now().checked_add(SignedDuration::from_hours(1)).expect("in range");
    rig.clock.set(hour);
    let late = access.set_up(&link, "ada", secret(PASSWORD), recorded()).await;
    assert!(late.is_err() && access.setup_file().is_none(), "its hour is over");
}

#[cfg(unix)]
#[tokio::test]
async fn the_users_file_is_private_and_refused_when_it_is_not() {
    use std::os::unix::fs::PermissionsExt as _;
    let rig = rig(Fake::default()).with_people().await;
    let file = rig.home.path().join("console.users");
    let mode = std::fs::metadata(&file).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("chmod");
    let refused = Access::open(settings(rig.home.path()), rig.clock.clone()).err().expect("refused");
    assert_eq!(refused.code(), "users-exposed");
}

#[test]
fn what_is_remembered_of_failures_is_bounded() {
    let mut throttle = Throttle::default();
    let now = Timestamp::UNIX_EPOCH;
    for number in 0..12_000u32 {
        throttle.failed(&format!("n{number}"), None, now);
    }
    assert!(throttle.len() <= 10_001, "{}", throttle.len());
}

#[tokio::test]
async fn guesses_at_the_same_time_are_no_more_than_one_after_the_other() {
    let rig = rig(Fake::default()).with_people().await;
    let from = Some(IpAddr::from([203, 0, 113, 7]));
    let mut guesses = tokio::task::JoinSet::new();
    for number in 0..40 {
        let access = rig.access.clone();
        let guess = secret(&format!("wrong password {number}"));
        guesses.spawn(async move { access.sign_in("otto", guess, None, from).await.err() });
    }
    let mut judged = 0;
    while let Some(refused) = guesses.join_next().await {
        let refused = refused.expect("it ends").expect("refused");
        judged += usize::from(refused == Problem::login_failed());
    }
    assert!(judged <= 6, "{judged} passwords were tried");
}

#[tokio::test]
async fn a_subscriber_of_ipv6_is_one_address() {
    let rig = rig(Fake::default()).with_people().await;
    let mut judged = 0;
    for number in 0..10 {
        let from = Some(IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, number]));
        let refused = rig.access.sign_in("vera", secret("wrong password!"), None, from).await.err().expect("refused");
        judged += usize::from(refused == Problem::login_failed());
    }
    assert_eq!(judged, 5);
}

#[tokio::test]
async fn whoever_signs_in_while_the_password_is_changed_does_not_get_in_with_the_old_one() {
    let rig = rig(Fake::default()).with_people().await;
    // It takes so long to verify that the change is made meanwhile.
    let slow = password::hash(&secret(PASSWORD), Cost { memory: 16 * 1024, passes: 10 });
    let set = |accounts: &mut Accounts| accounts.user_mut("vera").map(|user| user.password = slow);
    rig.access.accounts().update(set, recorded()).await.expect("set");
    let (signed_in, changed) = tokio::join!(
        rig.access.sign_in("vera", secret(PASSWORD), None, None),
        rig.access.set_password("vera", secret("another long one"), None, recorded()),
    );
    assert!(changed.is_ok());
    assert_eq!(signed_in.err(), Some(Problem::login_failed()), "no session outlives the change");
    assert!(rig.access.sign_in("vera", secret("another long one"), None, None).await.is_ok());
}
