//! Routes of telling people: silences and tests.

use std::sync::Arc;

use axum::extract::{Path, Request, State as Shared};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};

use super::api::{BY, json, reason, reason_of};
use super::backend::Backend;
use super::problem::Problem;
use super::wire::alerting::{SilenceList, SilenceRequest, SilenceWire, TestRequest, TestedList, TestedWire};
use crate::alerting::NewSilence;

/// Characters of a code and of a partner's id, at most.
const NAME_LIMIT: usize = 100;

/// The routes, for nesting below `/api/v1`.
pub(super) fn routes<B: Backend>() -> Router<Arc<B>> {
    Router::new()
        .route("/alerts/silences", get(silences::<B>).post(silence::<B>))
        .route("/alerts/silences/{id}/end", post(end_silence::<B>))
        .route("/alerts/test", post(test::<B>))
}

async fn silences<B: Backend>(Shared(backend): Shared<Arc<B>>) -> Json<SilenceList> {
    Json(SilenceList { silences: backend.silences().await.into_iter().map(SilenceWire::from).collect() })
}

async fn silence<B: Backend>(
    Shared(backend): Shared<Arc<B>>,
    request: Request,
) -> Result<(StatusCode, Json<SilenceWire>), Problem> {
    let SilenceRequest { code, partner, until, reason } = json(request).await?;
    let new = NewSilence {
        code: named(code, "code")?,
        partner: named(partner, "partner")?,
        until,
        reason: reason_of(&reason)?,
        by: BY.to_owned(),
    };
    Ok((StatusCode::CREATED, Json(SilenceWire::from(backend.silence(new).await?))))
}

async fn end_silence<B: Backend>(
    Shared(backend): Shared<Arc<B>>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Json<SilenceWire>, Problem> {
    let ended = backend.end_silence(id, reason(request).await?, BY.to_owned()).await?;
    Ok(Json(SilenceWire::from(ended)))
}

async fn test<B: Backend>(Shared(backend): Shared<Arc<B>>, request: Request) -> Result<Json<TestedList>, Problem> {
    let TestRequest { channel } = json(request).await?;
    let tested = backend.test_alerts(named(channel, "channel")?).await?;
    Ok(Json(TestedList { channels: tested.into_iter().map(TestedWire::from).collect() }))
}

fn named(text: Option<String>, what: &str) -> Result<Option<String>, Problem> {
    let fits = |text: &String| !text.trim().is_empty() && text.chars().count() <= NAME_LIMIT;
    if text.as_ref().is_none_or(fits) { Ok(text) } else { Err(Problem::malformed(what)) }
}
