//! Certificate exchange: what partners ask us to trust, what we ask of them. Nothing is trusted until a person accepts it.

use std::sync::Arc;

use axum::extract::{Path, Request, State as Shared};
use axum::http::StatusCode;
use axum::{Extension, Json};

use super::access::{Principal, Scope};
use super::api::{json, optional_reason, reason};
use super::backend::{Backend, Refusal};
use super::problem::Problem;
use super::routes::Route;
use super::wire::ActionRequest;
use super::wire::exchanges::{AcceptRequest, ExchangeList, ExchangeRequestBody, ExchangeWire};
use crate::ground::id::Id;
use crate::store::trail::Change;

/// Certificate exchange as the console sees it.
pub trait Exchanges: Send + Sync + 'static {
    /// Exchanges, newest first.
    fn exchanges(&self) -> impl Future<Output = Vec<ExchangeWire>> + Send;

    /// Asks a partner to trust certificates of ours; durable when this returns. `asked` says who wants it.
    fn ask_for_trust(
        &self,
        order: ExchangeRequestBody,
        asked: Change,
    ) -> impl Future<Output = Result<ExchangeWire, Refusal>> + Send;

    /// Takes certificates of a partner into its file, and tells it; durable when this returns. Those that `only` does not
    /// name are rejected.
    fn accept_certificates(
        &self,
        id: Id,
        only: Vec<String>,
        asked: Change,
    ) -> impl Future<Output = Result<ExchangeWire, Refusal>> + Send;

    /// Tells a partner that its certificates are not trusted; `asked` has the reason, which the partner reads.
    fn reject_certificates(&self, id: Id, asked: Change) -> impl Future<Output = Result<ExchangeWire, Refusal>> + Send;
}

pub(super) fn routes<B: Backend>() -> Vec<Route<B>> {
    vec![
        Route::get("/certificate-exchanges", Scope::Read, list::<B>)
            .says("Certificates that one side asked the other to trust (CEM), newest request first")
            .answers::<ExchangeList>(200, "The latest 64 of each partner and direction"),
        Route::post("/certificate-exchanges", Scope::Admin, ask::<B>)
            .says("Ask a partner to trust certificates of ours")
            .takes::<ExchangeRequestBody>()
            .answers::<ExchangeWire>(202, "It is asked"),
        Route::post("/certificate-exchanges/{id}/accept", Scope::Admin, accept::<B>)
            .says("Trust certificates that a partner asked for, from now on, beside those it has, and tell it")
            .takes::<AcceptRequest>()
            .answers::<ExchangeWire>(200, "The exchange"),
        Route::post("/certificate-exchanges/{id}/reject", Scope::Admin, reject::<B>)
            .says("Tell a partner that its certificates are not trusted, and why")
            .takes::<ActionRequest>()
            .answers::<ExchangeWire>(200, "The exchange"),
    ]
}

async fn list<B: Backend>(Shared(backend): Shared<Arc<B>>) -> Json<ExchangeList> {
    Json(ExchangeList { exchanges: backend.exchanges().await })
}

async fn ask<B: Backend>(
    Shared(backend): Shared<Arc<B>>,
    Extension(principal): Extension<Principal>,
    request: Request,
) -> Result<(StatusCode, Json<ExchangeWire>), Problem> {
    let order: ExchangeRequestBody = json(request).await?;
    let reason = optional_reason(order.reason.clone())?;
    let asked = Change { reason, ..principal.change("", String::new()) };
    Ok((StatusCode::ACCEPTED, Json(backend.ask_for_trust(order, asked).await?)))
}

async fn accept<B: Backend>(
    Shared(backend): Shared<Arc<B>>,
    Extension(principal): Extension<Principal>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Json<ExchangeWire>, Problem> {
    let AcceptRequest { only, reason } = json(request).await?;
    let asked = Change { reason: optional_reason(reason)?, ..principal.change("", String::new()) };
    Ok(Json(backend.accept_certificates(exchange_id(&id)?, only, asked).await?))
}

async fn reject<B: Backend>(
    Shared(backend): Shared<Arc<B>>,
    Extension(principal): Extension<Principal>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Json<ExchangeWire>, Problem> {
    let asked = Change { reason: Some(reason(request).await?), ..principal.change("", String::new()) };
    Ok(Json(backend.reject_certificates(exchange_id(&id)?, asked).await?))
}

fn exchange_id(id: &str) -> Result<Id, Problem> {
    id.parse().map_err(|_| Problem::no_exchange())
}

#[cfg(test)]
#[path = "exchanges_tests.rs"]
mod tests;
