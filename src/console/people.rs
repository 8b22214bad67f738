//! Sessions, users, tokens and the audit trail.

use std::sync::Arc;

use axum::extract::{Path, Request, State as Shared};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::json as value;
use utoipa::IntoParams;

use super::access::accounts::{StoredToken, StoredUser};
use super::access::{ABSOLUTE, Access, Kind, Principal, Role, Scope, SignedIn};
use super::api::{json, optional_reason, page_limit, parameters};
use super::backend::Backend;
use super::problem::Problem;
use super::router::{Console, peer};
use super::routes::Route;
use super::wire::people::{
    CodeRequest, ConfirmRequest, EntryWire, MadeToken, NewToken, NewUser, PasswordRequest, SessionWire, SetupRequest,
    SetupState, SignInRequest, TokenList, TokenWire, TotpWire, TrailList, UserChange, UserList, UserWire,
};
use crate::store::trail::{Change, TrailFilter};

pub(super) fn routes<B: Backend>() -> Vec<Route<B>> {
    let mut routes = session_routes();
    routes.extend(account_routes());
    routes
}

fn session_routes<B: Backend>() -> Vec<Route<B>> {
    vec![
        Route::get("/setup", Scope::Read, setup_state::<B>)
            .open()
            .says("Whether the first admin can be made")
            .answers::<SetupState>(200, "The state"),
        Route::post("/setup", Scope::Read, set_up::<B>)
            .open()
            .says("Make the first admin with the link of the first start, and sign in")
            .takes::<SetupRequest>()
            .answers::<SessionWire>(201, "Signed in; the cookie is set"),
        Route::post("/session", Scope::Read, sign_in::<B>)
            .open()
            .says("Sign in")
            .takes::<SignInRequest>()
            .answers::<SessionWire>(200, "Signed in; the cookie is set"),
        Route::get("/session", Scope::Read, session::<B>)
            .says("Who asks, and what they may")
            .answers::<SessionWire>(200, "The caller"),
        Route::delete("/session", Scope::Read, sign_out::<B>).says("Sign out").answers_nothing("Signed out"),
        Route::post("/session/password", Scope::Read, set_password::<B>)
            .says("Change the own password")
            .takes::<PasswordRequest>()
            .answers_nothing("Changed; other sessions of the user have ended"),
        Route::post("/session/totp", Scope::Read, begin_totp::<B>)
            .says("Begin with one-time codes")
            .takes::<ConfirmRequest>()
            .answers::<TotpWire>(200, "The secret, to be confirmed"),
        Route::post("/session/totp/confirm", Scope::Read, confirm_totp::<B>)
            .says("Ask for one-time codes from now on")
            .takes::<CodeRequest>()
            .answers_nothing("Codes are asked for"),
        Route::delete("/session/totp", Scope::Read, end_totp::<B>)
            .says("Ask for one-time codes no longer")
            .takes::<ConfirmRequest>()
            .answers_nothing("Codes are not asked for"),
    ]
}

fn account_routes<B: Backend>() -> Vec<Route<B>> {
    vec![
        Route::get("/users", Scope::Admin, users::<B>).says("Users").answers::<UserList>(200, "All of them"),
        Route::post("/users", Scope::Admin, add_user::<B>)
            .says("Add a user")
            .takes::<NewUser>()
            .answers::<UserWire>(201, "The user"),
        Route::patch("/users/{name}", Scope::Admin, change_user::<B>)
            .says("Change a user; its sessions end")
            .takes::<UserChange>()
            .answers::<UserWire>(200, "The user"),
        Route::delete("/users/{name}", Scope::Admin, remove_user::<B>).says("Remove a user").answers_nothing("Removed"),
        Route::get("/tokens", Scope::Admin, tokens::<B>).says("API tokens").answers::<TokenList>(200, "All of them"),
        Route::post("/tokens", Scope::Admin, add_token::<B>)
            .says("Make an API token")
            .takes::<NewToken>()
            .answers::<MadeToken>(201, "The token, shown this once"),
        Route::delete("/tokens/{id}", Scope::Admin, remove_token::<B>)
            .says("Revoke an API token")
            .answers_nothing("Revoked"),
        Route::get("/audit", Scope::Read, trail::<B>)
            .says("The audit trail, newest first")
            .query::<TrailParameters>()
            .answers::<TrailList>(200, "A page of it"),
    ]
}

async fn setup_state<B: Backend>(Shared(console): Shared<Console<B>>) -> Json<SetupState> {
    Json(SetupState { open: console.access.is_set_up_open() })
}

async fn set_up<B: Backend>(
    Shared(console): Shared<Console<B>>,
    request: Request,
) -> Result<(StatusCode, HeaderMap, Json<SessionWire>), Problem> {
    let from = peer(&request).map(|from| from.to_string());
    let SetupRequest { link, name, password } = json(request).await?;
    let change = Change {
        who: name.clone(),
        what: "user-added".to_owned(),
        on: format!("user:{name}"),
        after: Some(value!({ "role": Role::Admin })),
        reason: Some("first admin, by the link of the first start".to_owned()),
        from,
        ..Change::default()
    };
    let recorded = record(&console.backend, change);
    let signed_in = console.access.set_up(&link, &name, password, recorded).await?;
    Ok((StatusCode::CREATED, cookie(&console.access, &signed_in)?, Json(wire(&console.access, &signed_in.principal))))
}

async fn sign_in<B: Backend>(
    Shared(console): Shared<Console<B>>,
    request: Request,
) -> Result<(HeaderMap, Json<SessionWire>), Problem> {
    let from = peer(&request);
    let SignInRequest { name, password, code } = json(request).await?;
    let signed_in = console.access.sign_in(&name, password, code.as_deref(), from).await.inspect_err(|_| {
        let from = from.map(|from| from.to_string()).unwrap_or_default();
        tracing::warn!(from, code = "login-failed", "somebody could not sign in to the console");
    })?;
    let mut principal = signed_in.principal.clone();
    principal.from = from;
    note(&console.backend, principal.change("signed-in", format!("session:{}", principal.name))).await;
    Ok((cookie(&console.access, &signed_in)?, Json(wire(&console.access, &principal))))
}

async fn session<B: Backend>(
    Shared(console): Shared<Console<B>>,
    Extension(principal): Extension<Principal>,
) -> Json<SessionWire> {
    Json(wire(&console.access, &principal))
}

async fn sign_out<B: Backend>(
    Shared(console): Shared<Console<B>>,
    Extension(principal): Extension<Principal>,
) -> Result<(StatusCode, HeaderMap), Problem> {
    let cookie = person(&principal)?;
    console.access.sign_out(cookie);
    note(&console.backend, principal.change("signed-out", format!("session:{}", principal.name))).await;
    let name = console.access.cookie_name();
    let secure = if console.access.settings().tls { "; Secure" } else { "" };
    let void = format!("{name}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0{secure}");
    Ok((StatusCode::NO_CONTENT, set_cookie(&void)?))
}

async fn set_password<B: Backend>(
    Shared(console): Shared<Console<B>>,
    Extension(principal): Extension<Principal>,
    request: Request,
) -> Result<StatusCode, Problem> {
    let cookie = person(&principal)?;
    let PasswordRequest { current, password } = json(request).await?;
    console.access.confirm(&principal.name, current, principal.from).await?;
    let change = principal.change("password-changed", format!("user:{}", principal.name));
    let recorded = record(&console.backend, change);
    console.access.set_password(&principal.name, password, Some(cookie), recorded).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn begin_totp<B: Backend>(
    Shared(console): Shared<Console<B>>,
    Extension(principal): Extension<Principal>,
    request: Request,
) -> Result<Json<TotpWire>, Problem> {
    let cookie = person(&principal)?;
    let ConfirmRequest { current } = json(request).await?;
    console.access.confirm(&principal.name, current, principal.from).await?;
    let enrolment = console.access.new_totp(cookie).ok_or_else(Problem::unauthorized)?;
    Ok(Json(TotpWire { secret: enrolment.secret, uri: enrolment.uri }))
}

async fn confirm_totp<B: Backend>(
    Shared(console): Shared<Console<B>>,
    Extension(principal): Extension<Principal>,
    request: Request,
) -> Result<StatusCode, Problem> {
    let cookie = person(&principal)?;
    let CodeRequest { code } = json(request).await?;
    let mut change = principal.change("user-changed", format!("user:{}", principal.name));
    (change.before, change.after) = (Some(value!({ "totp": false })), Some(value!({ "totp": true })));
    let recorded = record(&console.backend, change);
    console.access.confirm_totp(cookie, &code, principal.from, recorded).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn end_totp<B: Backend>(
    Shared(console): Shared<Console<B>>,
    Extension(principal): Extension<Principal>,
    request: Request,
) -> Result<StatusCode, Problem> {
    person(&principal)?;
    let ConfirmRequest { current } = json(request).await?;
    console.access.confirm(&principal.name, current, principal.from).await?;
    let mut change = principal.change("user-changed", format!("user:{}", principal.name));
    (change.before, change.after) = (Some(value!({ "totp": true })), Some(value!({ "totp": false })));
    let recorded = record(&console.backend, change);
    let name = principal.name.clone();
    console
        .access
        .accounts()
        .update(|accounts| accounts.user_mut(&name).map(|user| user.totp = None), recorded)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn users<B: Backend>(Shared(console): Shared<Console<B>>) -> Json<UserList> {
    let mut users: Vec<UserWire> =
        console.access.accounts().read().users.iter().map(|user| user_wire(&console.access, user)).collect();
    users.sort_by(|a, b| a.name.cmp(&b.name));
    Json(UserList { users })
}

async fn add_user<B: Backend>(
    Shared(console): Shared<Console<B>>,
    Extension(principal): Extension<Principal>,
    request: Request,
) -> Result<(StatusCode, Json<UserWire>), Problem> {
    let NewUser { name, role, password, reason } = json(request).await?;
    let mut change = principal.change("user-added", format!("user:{name}"));
    change.after = Some(value!({ "role": role }));
    change.reason = optional_reason(reason)?;
    let recorded = record(&console.backend, change);
    let user = console.access.add_user(&name, role, password, recorded).await?;
    Ok((StatusCode::CREATED, Json(user_wire(&console.access, &user))))
}

async fn change_user<B: Backend>(
    Shared(console): Shared<Console<B>>,
    Extension(principal): Extension<Principal>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Json<UserWire>, Problem> {
    let UserChange { role, password, totp, reason } = json(request).await?;
    let before = console.access.accounts().user(&name).ok_or_else(Problem::no_user)?;
    if totp == Some(true) {
        return Err(Problem::malformed("totp"));
    }
    let mut change = principal.change("user-changed", format!("user:{name}"));
    change.before = Some(value!({ "role": before.role, "totp": before.totp.is_some() }));
    let with_codes = before.totp.is_some() && totp.is_none();
    change.after = Some(value!({
        "role": role.unwrap_or(before.role), "totp": with_codes, "password": password.is_some(),
    }));
    change.reason = optional_reason(reason)?;
    let of = name.clone();
    let changed = move |accounts: &mut super::access::accounts::Accounts| {
        if totp == Some(false) {
            accounts.user_mut(&of)?.totp = None;
        }
        role.map_or(Ok(()), |role| accounts.set_role(&of, role))
    };
    // What is refused is refused before the password is set.
    changed(&mut console.access.accounts().read().clone())?;
    if let Some(password) = password {
        let mut set = principal.change("password-changed", format!("user:{name}"));
        set.reason = change.reason.clone();
        console.access.set_password(&name, password, None, record(&console.backend, set)).await?;
    }
    console.access.change_user(&name, changed, record(&console.backend, change)).await?;
    let user = console.access.accounts().user(&name).ok_or_else(Problem::no_user)?;
    Ok(Json(user_wire(&console.access, &user)))
}

async fn remove_user<B: Backend>(
    Shared(console): Shared<Console<B>>,
    Extension(principal): Extension<Principal>,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    let mut change = principal.change("user-removed", format!("user:{name}"));
    change.before = console.access.accounts().user(&name).map(|user| value!({ "role": user.role }));
    let recorded = record(&console.backend, change);
    console.access.change_user(&name, |accounts| accounts.remove_user(&name), recorded).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn tokens<B: Backend>(Shared(console): Shared<Console<B>>) -> Json<TokenList> {
    let mut tokens: Vec<TokenWire> =
        console.access.accounts().read().tokens.iter().map(|token| token_wire(&console.access, token)).collect();
    tokens.sort_by(|a, b| a.name.cmp(&b.name));
    Json(TokenList { tokens })
}

async fn add_token<B: Backend>(
    Shared(console): Shared<Console<B>>,
    Extension(principal): Extension<Principal>,
    request: Request,
) -> Result<(StatusCode, Json<MadeToken>), Problem> {
    let NewToken { name, scope, days, reason } = json(request).await?;
    if !(1..=3650).contains(&days) {
        return Err(Problem::malformed("days"));
    }
    let mut change = principal.change("token-added", format!("token:{name}"));
    change.after = Some(value!({ "scope": scope, "days": days }));
    change.reason = optional_reason(reason)?;
    let recorded = record(&console.backend, change);
    let (token, text) = console.access.add_token(&name, scope, days, &principal.name, recorded).await?;
    let line = token_wire(&console.access, &token);
    Ok((StatusCode::CREATED, Json(MadeToken { token: text.expose().clone(), line })))
}

async fn remove_token<B: Backend>(
    Shared(console): Shared<Console<B>>,
    Extension(principal): Extension<Principal>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let known = console.access.accounts().read().tokens.into_iter().find(|token| token.id == id);
    let known = known.ok_or_else(Problem::no_token)?;
    let mut change = principal.change("token-revoked", format!("token:{}", known.name));
    change.before = Some(value!({ "scope": known.scope, "expires": known.expires }));
    let recorded = record(&console.backend, change);
    console.access.accounts().update(|accounts| accounts.remove_token(&id), recorded).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The query string of the trail.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct TrailParameters {
    /// Made by this one.
    who: Option<String>,
    /// Of this kind.
    what: Option<String>,
    /// On this object; one that ends with a colon stands for all of its kind.
    on: Option<String>,
    /// Entries in one answer, 1 to 500.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
    /// The `next` of the page before.
    before: Option<u64>,
}

async fn trail<B: Backend>(Shared(backend): Shared<Arc<B>>, request: Request) -> Result<Json<TrailList>, Problem> {
    let TrailParameters { who, what, on, limit, before } = parameters(&request)?;
    let page = backend.trail(TrailFilter { who, what, on, before, limit: page_limit(limit)? }).await;
    Ok(Json(TrailList { entries: page.entries.into_iter().map(EntryWire::from).collect(), next: page.next }))
}

/// Completes when the audit trail has the change.
pub(super) async fn record<B: Backend>(backend: &Arc<B>, change: Change) -> Result<(), Problem> {
    Ok(backend.record(change).await?)
}

/// The same for who comes and goes: a full disk must not keep people out who want to see why nothing works.
async fn note<B: Backend>(backend: &Arc<B>, change: Change) {
    let (user, what) = (change.who.clone(), change.what.clone());
    if let Err(error) = backend.record(change).await {
        tracing::error!(code = %error.code, %user, what, "a session could not be recorded");
    }
}

/// The cookie of a person; programs have no session.
fn person(principal: &Principal) -> Result<&str, Problem> {
    principal.cookie().ok_or_else(Problem::forbidden)
}

fn cookie(access: &Access, signed_in: &SignedIn) -> Result<HeaderMap, Problem> {
    let (name, secure) = (access.cookie_name(), if access.settings().tls { "; Secure" } else { "" });
    let (carried, lasts) = (signed_in.cookie.expose(), ABSOLUTE.as_secs());
    set_cookie(&format!("{name}={carried}; Path=/; HttpOnly; SameSite=Strict; Max-Age={lasts}{secure}"))
}

fn set_cookie(value: &str) -> Result<HeaderMap, Problem> {
    let mut value = HeaderValue::from_str(value).map_err(|_| Problem::internal())?;
    value.set_sensitive(true);
    Ok(HeaderMap::from_iter([(header::SET_COOKIE, value)]))
}

fn wire(access: &Access, principal: &Principal) -> SessionWire {
    let session = principal.session.as_ref();
    let user = (principal.kind() == Kind::User).then(|| access.accounts().user(&principal.name)).flatten();
    SessionWire {
        name: principal.name.clone(),
        kind: principal.kind(),
        role: principal.scope.role(),
        csrf: session.map(|session| session.csrf.clone()),
        idle_until: session.map(|session| session.idle_until),
        until: session.map(|session| session.until),
        totp: user.map(|user| user.totp.is_some()),
    }
}

fn user_wire(access: &Access, user: &StoredUser) -> UserWire {
    UserWire {
        name: user.name.clone(),
        role: user.role,
        totp: user.totp.is_some(),
        created: user.created,
        last_login: access.accounts().last_login(&user.name),
    }
}

fn token_wire(access: &Access, token: &StoredToken) -> TokenWire {
    TokenWire {
        id: token.id.clone(),
        name: token.name.clone(),
        scope: token.scope,
        created: token.created,
        expires: token.expires,
        by: token.by.clone(),
        last_used: access.last_used(&token.id),
    }
}
