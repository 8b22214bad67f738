//! Queue, throughput, and the pre-check of a file that somebody brings.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State as Shared};
use serde::Deserialize;
use utoipa::IntoParams;

use super::access::Scope;
use super::api::{TEXT_LIMIT, parameters};
use super::backend::Backend;
use super::problem::Problem;
use super::routes::Route;
use super::wire::traffic::{FiguresWire, PrecheckWire, QueueWire};
use crate::http::RequestBody;

pub(super) fn routes<B: Backend>() -> Vec<Route<B>> {
    vec![
        Route::get("/queue", Scope::Read, queue::<B>).says("What waits").answers::<QueueWire>(200, "The queue"),
        Route::get("/figures", Scope::Read, figures::<B>)
            .says("Throughput of the last 24 hours, by hour")
            .answers::<FiguresWire>(200, "The figures"),
        Route::post("/precheck", Scope::Read, precheck::<B>)
            .says("Check a declaration or envelope; nothing is sent or kept")
            .query::<PrecheckParameters>()
            .takes_bytes()
            .answers::<PrecheckWire>(200, "The findings"),
    ]
}

/// What is checked, and as whose.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct PrecheckParameters {
    /// The file's name.
    #[param(min_length = 1, max_length = 500)]
    name: String,
    /// The customs partner (its id) in whose outbox it would lie. Without it the only one there is; where there are
    /// several or none, the gateway's own levels and code tables count, and nothing is compared with what was sent.
    partner: Option<String>,
}

async fn queue<B: Backend>(Shared(backend): Shared<Arc<B>>) -> Json<QueueWire> {
    Json(backend.queue().await)
}

async fn figures<B: Backend>(Shared(backend): Shared<Arc<B>>) -> Json<FiguresWire> {
    Json(backend.figures().await)
}

async fn precheck<B: Backend>(
    Shared(backend): Shared<Arc<B>>,
    request: Request,
) -> Result<Json<PrecheckWire>, Problem> {
    let PrecheckParameters { name, partner } = parameters(&request)?;
    if name.trim().is_empty() || name.chars().count() > TEXT_LIMIT {
        return Err(Problem::malformed("name"));
    }
    let body = RequestBody::from_router(request.into_body());
    Ok(Json(backend.precheck(name, partner, body).await?))
}
