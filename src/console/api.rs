//! The routes: parse, ask the [`Backend`], answer.

use std::sync::Arc;

use axum::extract::{Path, Query as QueryString, Request, State as Shared};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::alerting;
use super::backend::{AlertQuery, Backend, Query, Unready};
use super::metrics;
use super::pages;
use super::problem::Problem;
use super::token::Token;
use super::wire::{
    ActionRequest, AlertList, AlertWire, CountWire, MessageDetail, MessageLine, MessageList, PartnerList, PartnerWire,
    Readiness, Submitted, Summary,
};
use super::{declarations, keeping};
use crate::ground::id::Id;
use crate::http::RequestBody;
use crate::outbound::Action;
use crate::store::record::{Direction, Reason, State};

/// Who did it, in the journal: there are no user accounts yet.
pub(super) const BY: &str = "api-token";
/// Bytes of a JSON request body, at most.
const JSON_LIMIT: u64 = 64 * 1024;
/// Characters of a reason and of a file name, at most.
const TEXT_LIMIT: usize = 500;
/// Makes a repeated submission the same one.
const IDEMPOTENCY_KEY: &str = "Idempotency-Key";
/// Characters of such a key, at most.
const KEY_LIMIT: usize = 128;

/// The console's routes over `backend`, for whoever presents `token`; with `open_metrics` whoever is on this machine
/// reads `/metrics` without.
pub fn router<B: Backend>(backend: Arc<B>, token: Token, open_metrics: bool) -> Router {
    let token = Arc::new(token);
    let api = Router::new()
        .route("/summary", get(summary::<B>))
        .route("/partners", get(partners::<B>))
        .route("/partners/{id}/messages", post(submit::<B>))
        .route("/messages", get(messages::<B>))
        .route("/messages/{id}", get(message::<B>))
        .route("/messages/{id}/{action}", post(act::<B>))
        .merge(keeping::routes::<B>())
        .merge(declarations::routes::<B>())
        .route("/alerts", get(alerts::<B>))
        .route("/alerts/{alert}/acknowledge", post(acknowledge::<B>))
        .merge(alerting::routes::<B>())
        .fallback(async || Problem::no_route())
        .layer(middleware::from_fn_with_state(Arc::clone(&token), authenticate))
        .with_state(Arc::clone(&backend));
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz::<B>))
        .merge(metrics::routes::<B>(token, open_metrics))
        .with_state(backend)
        .nest("/api/v1", api)
        .fallback(pages::page)
        .layer(middleware::from_fn(protect))
}

/// Nothing below `/api/` is answered without the token, not even "no such route".
async fn authenticate(Shared(token): Shared<Arc<Token>>, request: Request, next: Next) -> Response {
    if is_authorized(&token, &request) { next.run(request).await } else { Problem::unauthorized().into_response() }
}

/// Whether a request presents the token.
pub(super) fn is_authorized(token: &Token, request: &Request) -> bool {
    let presented = request.headers().get(header::AUTHORIZATION).map(|value| value.as_bytes());
    let presented = presented.and_then(|value| {
        let (scheme, rest) = value.split_at_checked("Bearer ".len())?;
        scheme.eq_ignore_ascii_case(b"Bearer ").then_some(rest)
    });
    presented.is_some_and(|presented| token.matches(presented))
}

/// Answers belong to one caller and are never a page.
async fn protect(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.entry(header::CACHE_CONTROL).or_insert(header::HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, header::HeaderValue::from_static("nosniff"));
    response
}

async fn readyz<B: Backend>(Shared(backend): Shared<Arc<B>>) -> Response {
    let reasons: Vec<String> = backend.readiness().await.into_iter().map(|unready| unready.code).collect();
    let ready = reasons.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready, reasons })).into_response()
}

async fn summary<B: Backend>(Shared(backend): Shared<Arc<B>>) -> Json<Summary> {
    let reasons: Vec<Reason> =
        backend.readiness().await.into_iter().map(|Unready { code, text }| Reason { code, text }).collect();
    let states = backend.summary().await.into_iter().map(CountWire::from).collect();
    Json(Summary { ready: reasons.is_empty(), reasons, states })
}

async fn partners<B: Backend>(Shared(backend): Shared<Arc<B>>) -> Json<PartnerList> {
    let mut partners: Vec<PartnerWire> = backend.partners().await.into_iter().map(PartnerWire::from).collect();
    partners.sort_by(|a, b| a.id.cmp(&b.id));
    Json(PartnerList { partners })
}

/// The query string of a list, before its values are understood.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListParameters {
    state: Option<State>,
    direction: Option<Direction>,
    partner: Option<String>,
    name: Option<String>,
    message_id: Option<String>,
    #[serde(default)]
    restored: bool,
    limit: Option<usize>,
    before: Option<Id>,
}

async fn messages<B: Backend>(Shared(backend): Shared<Arc<B>>, request: Request) -> Result<Json<MessageList>, Problem> {
    let ListParameters { state, direction, partner, name, message_id, restored, limit, before } = parameters(&request)?;
    let limit = limit.unwrap_or(Query::DEFAULT_LIMIT).clamp(1, Query::MAX_LIMIT);
    // One more than asked for tells whether there is more.
    let asked = limit.saturating_add(1);
    let query = Query { state, direction, partner, name, message_id, restored, limit: asked, before };
    let mut found = backend.messages(query).await;
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().map(|message| message.id).filter(|_| more);
    Ok(Json(MessageList { messages: found.iter().map(MessageLine::from).collect(), next }))
}

async fn message<B: Backend>(
    Shared(backend): Shared<Arc<B>>,
    Path(id): Path<String>,
) -> Result<Json<MessageDetail>, Problem> {
    let id: Id = id.parse().map_err(|_| Problem::no_message())?;
    let message = backend.message(id).await.ok_or_else(Problem::no_message)?;
    Ok(Json(MessageDetail::from(&message)))
}

async fn act<B: Backend>(
    Shared(backend): Shared<Arc<B>>,
    Path((id, action)): Path<(String, String)>,
    request: Request,
) -> Result<Json<MessageDetail>, Problem> {
    let action = Action::named(&action).ok_or_else(Problem::no_route)?;
    let id: Id = id.parse().map_err(|_| Problem::no_message())?;
    let message = backend.act(id, action, reason(request).await?, BY.to_owned()).await?;
    Ok(Json(MessageDetail::from(&message)))
}

/// Why, in the body of an action.
pub(super) async fn reason(request: Request) -> Result<String, Problem> {
    let ActionRequest { reason } = json(request).await?;
    reason_of(&reason)
}

/// A reason for the journal: some words, not a book.
pub(super) fn reason_of(text: &str) -> Result<String, Problem> {
    let reason = text.trim();
    if reason.is_empty() || reason.chars().count() > TEXT_LIMIT {
        return Err(Problem::malformed("reason"));
    }
    Ok(reason.to_owned())
}

/// The query string of a list of alerts.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct AlertParameters {
    partner: Option<String>,
    limit: Option<usize>,
    before: Option<Id>,
}

async fn alerts<B: Backend>(Shared(backend): Shared<Arc<B>>, request: Request) -> Result<Json<AlertList>, Problem> {
    let AlertParameters { partner, limit, before } = parameters(&request)?;
    let limit = limit.unwrap_or(Query::DEFAULT_LIMIT).clamp(1, Query::MAX_LIMIT);
    let found = backend.alerts(AlertQuery { partner, limit: limit.saturating_add(1), before }).await;
    let mut alerts: Vec<AlertWire> = found.into_iter().map(AlertWire::from).collect();
    let mut messages: Vec<Id> = alerts.iter().filter_map(|alert| alert.message).collect();
    messages.dedup();
    let surplus = messages.get(limit).copied();
    if let Some(surplus) = surplus {
        alerts.retain(|alert| alert.message != Some(surplus));
    }
    let next = surplus.and(messages.get(limit.saturating_sub(1)).copied());
    Ok(Json(AlertList { alerts, next }))
}

async fn acknowledge<B: Backend>(
    Shared(backend): Shared<Arc<B>>,
    Path(alert): Path<String>,
    request: Request,
) -> Result<Json<AlertWire>, Problem> {
    let raised = backend.acknowledge(alert, reason(request).await?, BY.to_owned()).await?;
    Ok(Json(AlertWire::from(raised)))
}

/// The query string of a submission.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SubmitParameters {
    name: String,
}

async fn submit<B: Backend>(
    Shared(backend): Shared<Arc<B>>,
    Path(partner): Path<String>,
    request: Request,
) -> Result<(StatusCode, Json<Submitted>), Problem> {
    let SubmitParameters { name } = parameters(&request)?;
    if name.trim().is_empty() || name.chars().count() > TEXT_LIMIT {
        return Err(Problem::malformed("name"));
    }
    let key = idempotency_key(&request)?;
    let body = RequestBody::from_router(request.into_body());
    let id = backend.submit(partner, name, body, key).await?;
    Ok((StatusCode::ACCEPTED, Json(Submitted { id })))
}

/// At most one key of visible ASCII.
fn idempotency_key(request: &Request) -> Result<Option<String>, Problem> {
    let mut values = request.headers().get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let fits = |key: &&str| (1..=KEY_LIMIT).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    let key = value.to_str().ok().filter(fits).filter(|_| values.next().is_none());
    key.map(|key| Some(key.to_owned())).ok_or_else(|| Problem::malformed(IDEMPOTENCY_KEY))
}

fn parameters<T: DeserializeOwned>(request: &Request) -> Result<T, Problem> {
    let parsed = QueryString::try_from_uri(request.uri());
    parsed.map(|QueryString(parameters)| parameters).map_err(|_| Problem::malformed("the query string"))
}

pub(super) async fn json<T: DeserializeOwned>(request: Request) -> Result<T, Problem> {
    let mut body = RequestBody::from_router(request.into_body());
    let bytes = body.read_all(JSON_LIMIT).await.map_err(|_| Problem::malformed("the body"))?;
    serde_json::from_slice(&bytes).map_err(|_| Problem::malformed("the body"))
}

#[cfg(test)]
#[path = "api_tests.rs"]
mod tests;
