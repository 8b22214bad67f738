//! Messages and alerts: parse, ask the [`Backend`], answer.

use std::sync::Arc;

use axum::extract::{Path, Query as QueryString, Request, State as Shared};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;

use super::access::{Principal, Scope};
use super::backend::{AlertQuery, Backend, Query, Unready};
use super::problem::Problem;
use super::routes::Route;
use super::wire::{
    ActionRequest, AlertList, AlertWire, CountWire, EventWire, MessageDetail, MessageLine, MessageList, Readiness,
    Submitted, Summary, Timeline,
};
use crate::ground::id::Id;
use crate::http::RequestBody;
use crate::outbound::Action;
use crate::store::record::{Direction, Message, Reason, State};

/// Bytes of a JSON request body, at most.
const JSON_LIMIT: u64 = 64 * 1024;
/// Characters of a reason and of a file name, at most.
pub(super) const TEXT_LIMIT: usize = 500;
/// Makes a repeated submission the same one.
const IDEMPOTENCY_KEY: &str = "Idempotency-Key";
/// Characters of such a key, at most.
const KEY_LIMIT: usize = 128;

pub(super) fn routes<B: Backend>() -> Vec<Route<B>> {
    vec![
        Route::get("/summary", Scope::Read, summary::<B>)
            .says("Whether the gateway works, and messages by state")
            .answers::<Summary>(200, "The summary"),
        Route::get("/messages", Scope::Read, messages::<B>)
            .says("Messages, newest first")
            .query::<ListParameters>()
            .answers::<MessageList>(200, "A page of them"),
        Route::get("/messages/{id}", Scope::Read, message::<B>)
            .says("One message")
            .answers::<MessageDetail>(200, "The message"),
        Route::get("/messages/{id}/timeline", Scope::Read, timeline::<B>)
            .says("What happened to a message")
            .answers::<Timeline>(200, "Its history"),
        Route::post("/messages/{id}/{action}", Scope::Operate, act::<B>)
            .says("retry, hold, release, cancel, resend, legal-hold or legal-release")
            .takes::<ActionRequest>()
            .answers::<MessageDetail>(200, "The message; after resend the new one"),
        Route::post("/partners/{id}/messages", Scope::Operate, submit::<B>)
            .says("Queue the body as a file for a partner; durable when answered")
            .query::<NameParameter>()
            .header(IDEMPOTENCY_KEY, "The same key within 24 hours means the same submission")
            .takes_bytes()
            .answers::<Submitted>(202, "Queued"),
        Route::get("/alerts", Scope::Read, alerts::<B>)
            .says("Open alerts: conditions of the gateway, then messages, newest first")
            .query::<AlertParameters>()
            .answers::<AlertList>(200, "A page of them"),
        Route::post("/alerts/{alert}/acknowledge", Scope::Operate, acknowledge::<B>)
            .says("Note that a person has seen an alert")
            .takes::<ActionRequest>()
            .answers::<AlertWire>(200, "The alert"),
    ]
}

pub(super) async fn readyz<B: Backend>(Shared(backend): Shared<Arc<B>>) -> Response {
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

/// The query string of a list, before its values are understood.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct ListParameters {
    /// In this state; several with commas.
    state: Option<String>,
    /// Travelling this way.
    direction: Option<Direction>,
    /// With this partner (its id).
    partner: Option<String>,
    /// That came to be at this instant or later.
    from: Option<Timestamp>,
    /// That came to be before this instant.
    to: Option<Timestamp>,
    /// Whose file name, Message-ID or a business key begins with this.
    text: Option<String>,
    /// Whose file name contains this.
    name: Option<String>,
    /// With this AS2 Message-ID.
    message_id: Option<String>,
    /// Only those that wait for a person since a restore.
    #[serde(default)]
    restored: bool,
    /// Messages in one answer, 1 to 500.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
    /// The `next` of the page before.
    before: Option<Id>,
}

async fn messages<B: Backend>(Shared(backend): Shared<Arc<B>>, request: Request) -> Result<Json<MessageList>, Problem> {
    let given: ListParameters = parameters(&request)?;
    let states = given.state.iter().flat_map(|states| states.split(',')).map(state);
    let query = Query {
        states: states.collect::<Result<Vec<State>, Problem>>()?,
        direction: given.direction,
        partner: given.partner,
        from: given.from,
        to: given.to,
        text: given.text.filter(|text| !text.trim().is_empty()),
        name: given.name,
        message_id: given.message_id,
        restored: given.restored,
        limit: page_limit(given.limit)?,
        before: given.before,
    };
    let page = backend.messages(query).await;
    Ok(Json(MessageList { messages: page.messages.iter().map(MessageLine::from).collect(), next: page.next }))
}

fn state(name: &str) -> Result<State, Problem> {
    let name = serde_json::Value::String(name.trim().to_owned());
    serde_json::from_value(name).map_err(|_| Problem::malformed("state"))
}

/// How many entries an answer may have.
pub(super) fn page_limit(asked: Option<usize>) -> Result<usize, Problem> {
    let limit = asked.unwrap_or(Query::DEFAULT_LIMIT);
    if (1..=Query::MAX_LIMIT).contains(&limit) { Ok(limit) } else { Err(Problem::malformed("limit")) }
}

/// An identifier in a path.
pub(super) fn message_id(id: &str) -> Result<Id, Problem> {
    id.parse().map_err(|_| Problem::no_message())
}

async fn find<B: Backend>(backend: &Arc<B>, id: &str) -> Result<Message, Problem> {
    backend.message(message_id(id)?).await.ok_or_else(Problem::no_message)
}

async fn message<B: Backend>(
    Shared(backend): Shared<Arc<B>>,
    Path(id): Path<String>,
) -> Result<Json<MessageDetail>, Problem> {
    Ok(Json(MessageDetail::from(&find(&backend, &id).await?)))
}

async fn timeline<B: Backend>(
    Shared(backend): Shared<Arc<B>>,
    Path(id): Path<String>,
) -> Result<Json<Timeline>, Problem> {
    let message = find(&backend, &id).await?;
    Ok(Json(Timeline { events: message.timeline.iter().map(EventWire::from).collect() }))
}

async fn act<B: Backend>(
    Shared(backend): Shared<Arc<B>>,
    Extension(principal): Extension<Principal>,
    Path((id, action)): Path<(String, String)>,
    request: Request,
) -> Result<Json<MessageDetail>, Problem> {
    let action = Action::named(&action).ok_or_else(Problem::no_route)?;
    let id = message_id(&id)?;
    let message = backend.act(id, action, principal.asks(reason(request).await?)).await?;
    Ok(Json(MessageDetail::from(&message)))
}

/// Why, in the body of an action.
pub(super) async fn reason(request: Request) -> Result<String, Problem> {
    let WithReason { reason } = json(request).await?;
    reason_of(&reason.unwrap_or_default())
}

/// A body whose reason may be missing, to say so.
#[derive(Deserialize)]
struct WithReason {
    reason: Option<String>,
}

/// A reason that may be left out.
pub(super) fn optional_reason(reason: Option<String>) -> Result<Option<String>, Problem> {
    reason.filter(|reason| !reason.trim().is_empty()).map(|reason| reason_of(&reason)).transpose()
}

/// A reason for the journal: some words, not a book.
pub(super) fn reason_of(text: &str) -> Result<String, Problem> {
    let reason = text.trim();
    if reason.is_empty() || reason.chars().count() > TEXT_LIMIT {
        return Err(Problem::no_reason());
    }
    Ok(reason.to_owned())
}

/// The query string of a list of alerts.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct AlertParameters {
    /// About this partner (its id).
    partner: Option<String>,
    /// Messages in one answer, 1 to 500.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
    /// The `next` of the page before.
    before: Option<Id>,
}

async fn alerts<B: Backend>(Shared(backend): Shared<Arc<B>>, request: Request) -> Result<Json<AlertList>, Problem> {
    let AlertParameters { partner, limit, before } = parameters(&request)?;
    let limit = page_limit(limit)?;
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
    Extension(principal): Extension<Principal>,
    Path(alert): Path<String>,
    request: Request,
) -> Result<Json<AlertWire>, Problem> {
    let raised = backend.acknowledge(alert, principal.asks(reason(request).await?)).await?;
    Ok(Json(AlertWire::from(raised)))
}

/// The name of a file that is the body.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct NameParameter {
    /// The file's name.
    #[param(min_length = 1, max_length = 500)]
    name: String,
}

/// The name of the file that is the body.
pub(super) fn file_name(request: &Request) -> Result<String, Problem> {
    let NameParameter { name } = parameters(request)?;
    if name.trim().is_empty() || name.chars().count() > TEXT_LIMIT {
        return Err(Problem::malformed("name"));
    }
    Ok(name)
}

async fn submit<B: Backend>(
    Shared(backend): Shared<Arc<B>>,
    Extension(principal): Extension<Principal>,
    Path(partner): Path<String>,
    request: Request,
) -> Result<(StatusCode, Json<Submitted>), Problem> {
    let name = file_name(&request)?;
    let key = idempotency_key(&request)?;
    let body = RequestBody::from_router(request.into_body());
    let change = principal.change("message-submitted", String::new());
    let id = backend.submit(partner, name, body, key, change).await?;
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

pub(super) fn parameters<T: DeserializeOwned>(request: &Request) -> Result<T, Problem> {
    let parsed = QueryString::try_from_uri(request.uri());
    parsed.map(|QueryString(parameters)| parameters).map_err(|_| Problem::malformed("the query string"))
}

/// A JSON body. Its media type is asked for: no form of another site can send it.
pub(super) async fn json<T: DeserializeOwned>(request: Request) -> Result<T, Problem> {
    let media_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = media_type.and_then(|value| value.split(';').next()).map(str::trim);
    if !essence.is_some_and(|essence| essence.eq_ignore_ascii_case("application/json")) {
        return Err(Problem::unsupported_media_type());
    }
    let mut body = RequestBody::from_router(request.into_body());
    let bytes = body.read_all(JSON_LIMIT).await.map_err(|_| Problem::malformed("the body"))?;
    serde_json::from_slice(&bytes).map_err(|_| Problem::malformed("the body"))
}

#[cfg(test)]
#[path = "api_tests.rs"]
mod tests;
