//! Routes of telling people: silences and tests.

use std::sync::Arc;

use axum::extract::{Path, Request, State as Shared};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde_json::json as value;

use super::access::{Principal, Scope};
use super::api::{json, reason, reason_of};
use super::backend::Backend;
use super::people::record;
use super::problem::Problem;
use super::routes::Route;
use super::wire::ActionRequest;
use super::wire::alerting::{SilenceList, SilenceRequest, SilenceWire, TestRequest, TestedList, TestedWire};
use crate::alerting::NewSilence;

/// Characters of a code and of a partner's id, at most.
const NAME_LIMIT: usize = 100;

pub(super) fn routes<B: Backend>() -> Vec<Route<B>> {
    vec![
        Route::get("/alerts/silences", Scope::Read, silences::<B>)
            .says("Silences that last")
            .answers::<SilenceList>(200, "All of them"),
        Route::post("/alerts/silences", Scope::Operate, silence::<B>)
            .says("Tell nobody of such alerts for a while")
            .takes::<SilenceRequest>()
            .answers::<SilenceWire>(201, "The silence"),
        Route::post("/alerts/silences/{id}/end", Scope::Operate, end_silence::<B>)
            .says("End a silence")
            .takes::<ActionRequest>()
            .answers::<SilenceWire>(200, "The silence"),
        Route::post("/alerts/test", Scope::Operate, test::<B>)
            .says("Send a test by every channel, or by one")
            .takes::<TestRequest>()
            .answers::<TestedList>(200, "What it came to"),
    ]
}

async fn silences<B: Backend>(Shared(backend): Shared<Arc<B>>) -> Json<SilenceList> {
    Json(SilenceList { silences: backend.silences().await.into_iter().map(SilenceWire::from).collect() })
}

async fn silence<B: Backend>(
    Shared(backend): Shared<Arc<B>>,
    Extension(principal): Extension<Principal>,
    request: Request,
) -> Result<(StatusCode, Json<SilenceWire>), Problem> {
    let SilenceRequest { code, partner, until, reason } = json(request).await?;
    let new = NewSilence {
        code: named(code, "code")?,
        partner: named(partner, "partner")?,
        until,
        reason: reason_of(&reason)?,
        by: principal.name.clone(),
    };
    let mut change = principal.change("alerts-silenced", "gateway".to_owned());
    change.after = Some(value!({ "code": new.code, "partner": new.partner, "until": new.until }));
    change.reason = Some(new.reason.clone());
    record(&backend, change).await?;
    Ok((StatusCode::CREATED, Json(SilenceWire::from(backend.silence(new).await?))))
}

async fn end_silence<B: Backend>(
    Shared(backend): Shared<Arc<B>>,
    Extension(principal): Extension<Principal>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Json<SilenceWire>, Problem> {
    let reason = reason(request).await?;
    let mut change = principal.change("silence-ended", "gateway".to_owned());
    if let Some(known) = backend.silences().await.into_iter().find(|silence| silence.id == id) {
        change.before = Some(value!({ "code": known.code, "partner": known.partner, "until": known.until }));
        change.reason = Some(reason.clone());
        record(&backend, change).await?;
    }
    let ended = backend.end_silence(id, reason, principal.name).await?;
    Ok(Json(SilenceWire::from(ended)))
}

async fn test<B: Backend>(
    Shared(backend): Shared<Arc<B>>,
    Extension(principal): Extension<Principal>,
    request: Request,
) -> Result<Json<TestedList>, Problem> {
    let TestRequest { channel } = json(request).await?;
    let channel = named(channel, "channel")?;
    let mut change = principal.change("alerts-tested", "gateway".to_owned());
    change.after = Some(value!({ "channel": channel }));
    record(&backend, change).await?;
    let tested = backend.test_alerts(channel).await?;
    Ok(Json(TestedList { channels: tested.into_iter().map(TestedWire::from).collect() }))
}

fn named(text: Option<String>, what: &str) -> Result<Option<String>, Problem> {
    let fits = |text: &String| !text.trim().is_empty() && text.chars().count() <= NAME_LIMIT;
    if text.as_ref().is_none_or(fits) { Ok(text) } else { Err(Problem::malformed(what)) }
}
