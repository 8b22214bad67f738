//! The listener's router: whatever comes in passes here first.
//!
//! In this order: the host must be ours (DNS rebinding), the caller must be known and allowed to (the table in
//! [`routes`](super::routes)), a change made with a cookie must carry the session's token and no foreign origin. Every
//! answer leaves with the headers that keep browsers from doing more with it than showing it.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, FromRef, MatchedPath, Request, State as Shared};
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::access::{Access, AccessSettings, Principal, Scope};
use super::backend::Backend;
use super::events::Events;
use super::problem::Problem;
use super::{metrics, openapi, pages, routes};

/// What every handler may ask for.
pub struct Console<B> {
    /// The gateway.
    pub(super) backend: Arc<B>,
    /// Who may do what.
    pub(super) access: Arc<Access>,
    /// The live stream.
    pub(super) events: Events,
    /// The API's description.
    pub(super) document: Arc<String>,
    /// The least scope of each route.
    least: Arc<HashMap<(Method, String), Option<Scope>>>,
}

impl<B> Clone for Console<B> {
    fn clone(&self) -> Console<B> {
        Console {
            backend: self.backend.clone(),
            access: self.access.clone(),
            events: self.events.clone(),
            document: self.document.clone(),
            least: self.least.clone(),
        }
    }
}

impl<B> FromRef<Console<B>> for Arc<B> {
    fn from_ref(console: &Console<B>) -> Arc<B> {
        console.backend.clone()
    }
}

/// The console's routes over `backend`.
pub fn router<B: Backend>(backend: Arc<B>, access: Arc<Access>, events: Events) -> Router {
    let table = routes::all::<B>();
    let least = table.iter().map(|route| ((route.method.clone(), format!("{PREFIX}{}", route.path)), route.least));
    let console = Console {
        least: Arc::new(least.collect()),
        document: Arc::new(openapi::document(&table)),
        backend,
        access,
        events,
    };
    let api = table.into_iter().fold(Router::new(), |api, route| api.route(route.path, route.handler));
    let api = api
        .fallback(async || Problem::no_route())
        .layer(middleware::from_fn_with_state(console.clone(), authorise::<B>));
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(super::api::readyz::<B>))
        .merge(metrics::routes::<B>(console.access.clone()))
        .nest(PREFIX, api)
        .fallback(pages::page)
        .layer(middleware::from_fn_with_state(console.clone(), protect::<B>))
        .with_state(console)
}

/// Where the API is.
const PREFIX: &str = "/api/v1";
/// Repeats the session's secret in every change.
const CSRF: &str = "x-csrf-token";

/// Nothing of the API is answered to somebody unknown, not even "no such route", but for the routes for everybody.
async fn authorise<B: Backend>(Shared(console): Shared<Console<B>>, mut request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned()).unwrap_or_default();
    let method = if request.method() == Method::HEAD { Method::GET } else { request.method().clone() };
    let least = console.least.get(&(method, path)).copied().unwrap_or(Some(Scope::Read));
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    if changes && is_foreign(request.headers()) {
        return Problem::csrf().into_response();
    }
    let Some(least) = least else { return next.run(request).await };
    let principal = match identify(&console.access, &request, changes) {
        Ok(principal) => principal,
        Err(problem) => return problem.into_response(),
    };
    if principal.scope < least {
        return Problem::forbidden().into_response();
    }
    request.extensions_mut().insert(principal);
    next.run(request).await
}

fn identify(access: &Access, request: &Request, changes: bool) -> Result<Principal, Problem> {
    let headers = request.headers();
    let mut principal = match headers.get(header::AUTHORIZATION) {
        Some(_) => bearer(access, headers).ok_or_else(Problem::unauthorized)?,
        None => {
            let cookie = cookie(headers, access.cookie_name());
            let principal = cookie.and_then(|cookie| access.session(cookie)).ok_or_else(Problem::unauthorized)?;
            let session = principal.session.as_ref().ok_or_else(Problem::unauthorized)?;
            let given = headers.get(CSRF).map(HeaderValue::as_bytes).unwrap_or_default();
            let same = given.len() == session.csrf.len() && openssl::memcmp::eq(given, session.csrf.as_bytes());
            if changes && !same {
                return Err(Problem::csrf());
            }
            principal
        }
    };
    access.admit(&principal)?;
    principal.from = peer(request);
    Ok(principal)
}

/// Whom an `Authorization` field stands for (RFC 6750 2.1).
pub(super) fn bearer(access: &Access, headers: &HeaderMap) -> Option<Principal> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked("Bearer ".len())?;
    Some(token).filter(|_| scheme.eq_ignore_ascii_case(b"Bearer ")).and_then(|token| access.bearer(token))
}

/// The address a request comes from.
pub(super) fn peer(request: &Request) -> Option<IpAddr> {
    request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip().to_canonical())
}

/// A cookie's value (RFC 6265 4.2.1).
fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let fields = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = fields.flat_map(|field| field.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(known, _)| *known == name).map(|(_, value)| value)
}

/// A browser says that another site asks.
fn is_foreign(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    if site.is_some_and(|site| !matches!(site, b"same-origin" | b"none")) {
        return true;
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return false };
    let authority = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, authority)| authority);
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    !matches!((authority, host), (Some(authority), Some(host)) if authority.eq_ignore_ascii_case(host))
}

/// The host is ours, and the answer does no more than it should.
async fn protect<B: Backend>(Shared(console): Shared<Console<B>>, request: Request, next: Next) -> Response {
    let health = matches!(request.uri().path(), "/healthz" | "/readyz");
    let mut response = if health || is_ours(console.access.settings(), request.uri(), request.headers()) {
        next.run(request).await
    } else {
        Problem::host_unknown().into_response()
    };
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        let allow = response.headers_mut().remove(header::ALLOW);
        response = Problem::method_not_allowed().into_response();
        response.headers_mut().extend(allow.map(|allow| (header::ALLOW, allow)));
    }
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.entry(HeaderName::from_static(name)).or_insert(HeaderValue::from_static(value));
    }
    if console.access.settings().tls {
        let always = HeaderValue::from_static("max-age=31536000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, always);
    }
    response
}

/// What every answer says unless it says it otherwise. There is no inline script, and nothing comes from elsewhere.
const HEADERS: [(&str, &str); 8] = [
    ("cache-control", "no-store"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
         connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
];

/// Addresses cannot be rebound; of names only those that the operator knows count, and those that are certified.
fn is_ours(settings: &AccessSettings, uri: &Uri, headers: &HeaderMap) -> bool {
    let mut named = headers.get_all(header::HOST).iter();
    let (first, second) = (named.next().and_then(|host| host.to_str().ok()), named.next());
    let Some(host) = uri.authority().map(|authority| authority.as_str()).or(first) else { return false };
    if second.is_some() {
        return false;
    }
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or("", |(address, _)| address),
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    let known = |known: &String| known.eq_ignore_ascii_case(name);
    name.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || settings.hosts.iter().any(known)
        || settings.certificate_names.load().iter().any(known)
}

/// A body that is read in steps.
pub(super) fn stepwise<S: Send + 'static>(
    state: S,
    step: impl Fn(S) -> super::stream::Step<S> + Send + Sync + 'static,
) -> Body {
    Body::from_stream(super::stream::Steps::new(state, step))
}
