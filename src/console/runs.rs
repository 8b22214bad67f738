//! The connectivity test: plans at hand, runs case by case, their reports; a run is started, resumed and followed here.
//!
//! A run that goes on is followed by asking for it again: each case is in it as soon as it has ended.

use std::sync::Arc;

use axum::extract::{Path, Request, State as Shared};
use axum::http::StatusCode;
use axum::response::Response;
use axum::{Extension, Json};
use serde::Deserialize;
use utoipa::IntoParams;

use super::access::{Principal, Scope};
use super::api::{json, page_limit, parameters};
use super::backend::{Backend, Download, Refusal};
use super::download::attachment;
use super::problem::Problem;
use super::routes::Route;
use super::wire::runs::{PlanList, PlanWire, ResumeRequest, RunDetail, RunLine, RunList, RunRequest};
use crate::ground::id::Id;
use crate::report::Format;
use crate::store::trail::Change;

/// Characters of testers and places.
const NAMES: usize = 100;
/// `what` of the audit trail's entries.
const STARTED: &str = "connectivity-run-started";
const RESUMED: &str = "connectivity-run-resumed";

/// The connectivity test as the console sees it.
pub trait Runs: Send + Sync + 'static {
    /// Plans at hand, by name.
    fn plans(&self) -> impl Future<Output = Vec<PlanWire>> + Send;

    /// Every run, newest first.
    fn runs(&self) -> impl Future<Output = Vec<RunDetail>> + Send;

    /// One run.
    fn run(&self, id: Id) -> impl Future<Output = Option<RunDetail>> + Send;

    /// Begins a run, or goes on with an interrupted one; durable when this returns, and carried out meanwhile. `asked`
    /// says who wants it; the backend adds which run. A refusal says why it may not be: the environment, its window,
    /// another run that goes on, the plan.
    fn start_run(&self, order: Order, asked: Change) -> impl Future<Output = Result<RunDetail, Refusal>> + Send;

    /// The report of a run in the official form.
    fn run_report(&self, id: Id, format: Format) -> impl Future<Output = Result<Download, Refusal>> + Send;
}

/// What shall be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// By which plan; none: by the one that the run to be resumed names.
    pub plan: Option<PlanSource>,
    /// The run that goes on; none: a new one.
    pub resume: Option<Id>,
    /// Who tests.
    pub tester: Option<String>,
    /// Where.
    pub place: Option<String>,
}

/// Where a plan is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanSource {
    /// At hand, under this name.
    Named(String),
    /// In TOML.
    Text(String),
}

pub(super) fn routes<B: Backend>() -> Vec<Route<B>> {
    vec![
        Route::get("/connectivity/plans", Scope::Read, plans::<B>)
            .says("Plans of the connectivity test at hand")
            .answers::<PlanList>(200, "All of them"),
        Route::get("/connectivity/runs", Scope::Read, list::<B>)
            .says("Runs of the connectivity test, newest first")
            .query::<PageParameters>()
            .answers::<RunList>(200, "A page of them"),
        Route::post("/connectivity/runs", Scope::Operate, start::<B>)
            .says("Begin a run of a plan")
            .takes::<RunRequest>()
            .answers::<RunDetail>(202, "It has begun"),
        Route::get("/connectivity/runs/{id}", Scope::Read, show::<B>)
            .says("A run: its cases with their states, steps, evidence and explanations")
            .answers::<RunDetail>(200, "The run"),
        Route::get("/connectivity/runs/{id}/report", Scope::Read, report::<B>)
            .says("The report of a run in the official form")
            .query::<FormatParameter>()
            .answers_bytes("application/octet-stream", "The file"),
        Route::post("/connectivity/runs/{id}/resume", Scope::Operate, resume::<B>)
            .says("Go on with an interrupted run")
            .takes::<ResumeRequest>()
            .answers::<RunDetail>(202, "It goes on"),
    ]
}

/// A page of runs.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct PageParameters {
    /// At most so many.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
    /// Older than this run.
    #[param(value_type = Option<String>)]
    before: Option<Id>,
}

/// How a report is written.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct FormatParameter {
    /// `pdf` (when nothing is said), `docx`, `html` or `json`.
    format: Option<String>,
}

async fn plans<B: Backend>(Shared(backend): Shared<Arc<B>>) -> Json<PlanList> {
    Json(PlanList { plans: backend.plans().await })
}

async fn list<B: Backend>(Shared(backend): Shared<Arc<B>>, request: Request) -> Result<Json<RunList>, Problem> {
    let PageParameters { limit, before } = parameters(&request)?;
    let limit = page_limit(limit)?;
    let runs = backend.runs().await.into_iter().filter(|detail| before.is_none_or(|before| detail.run.id < before));
    let mut runs: Vec<RunLine> = runs.take(limit.saturating_add(1)).map(RunLine::from).collect();
    let more = runs.len() > limit;
    runs.truncate(limit);
    let next = runs.last().map(|run| run.id).filter(|_| more);
    Ok(Json(RunList { runs, next }))
}

async fn show<B: Backend>(Shared(backend): Shared<Arc<B>>, Path(id): Path<String>) -> Result<Json<RunDetail>, Problem> {
    Ok(Json(backend.run(run_id(&id)?).await.ok_or_else(Problem::no_run)?))
}

async fn report<B: Backend>(
    Shared(backend): Shared<Arc<B>>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let FormatParameter { format } = parameters(&request)?;
    let name = format!("report.{}", format.as_deref().unwrap_or("pdf"));
    let format = Format::of(&name).ok_or_else(|| Problem::malformed("format"))?;
    Ok(attachment(backend.run_report(run_id(&id)?, format).await?))
}

async fn start<B: Backend>(
    Shared(backend): Shared<Arc<B>>,
    Extension(principal): Extension<Principal>,
    request: Request,
) -> Result<(StatusCode, Json<RunDetail>), Problem> {
    let RunRequest { plan, text, tester, place } = json(request).await?;
    let plan = source(plan, text)?.ok_or_else(|| Problem::malformed("plan"))?;
    let (tester, place) = (name(tester, "tester")?, name(place, "place")?);
    let order = Order { plan: Some(plan), resume: None, tester, place };
    let run = backend.start_run(order, principal.change(STARTED, String::new())).await?;
    Ok((StatusCode::ACCEPTED, Json(run)))
}

async fn resume<B: Backend>(
    Shared(backend): Shared<Arc<B>>,
    Extension(principal): Extension<Principal>,
    Path(id): Path<String>,
    request: Request,
) -> Result<(StatusCode, Json<RunDetail>), Problem> {
    let ResumeRequest { plan, text } = json(request).await?;
    let order = Order { plan: source(plan, text)?, resume: Some(run_id(&id)?), tester: None, place: None };
    let run = backend.start_run(order, principal.change(RESUMED, String::new())).await?;
    Ok((StatusCode::ACCEPTED, Json(run)))
}

/// At most one of both.
fn source(plan: Option<String>, text: Option<String>) -> Result<Option<PlanSource>, Problem> {
    match (plan, text) {
        (Some(_), Some(_)) => Err(Problem::malformed("plan")),
        (Some(name), None) => Ok(Some(PlanSource::Named(name))),
        (None, Some(text)) => Ok(Some(PlanSource::Text(text))),
        (None, None) => Ok(None),
    }
}

/// A name for the report; an empty one is none.
fn name(given: Option<String>, field: &str) -> Result<Option<String>, Problem> {
    let given = given.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    let fits = |name: &String| name.chars().count() <= NAMES && !name.chars().any(char::is_control);
    if given.as_ref().is_none_or(fits) { Ok(given) } else { Err(Problem::malformed(field)) }
}

fn run_id(id: &str) -> Result<Id, Problem> {
    id.parse().map_err(|_| Problem::no_run())
}

#[cfg(test)]
#[path = "runs_tests.rs"]
mod tests;
