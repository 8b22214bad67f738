//! Partners, certificates and the station.

use std::sync::Arc;

use axum::extract::{Path, Request, State as Shared};
use axum::{Extension, Json};

use super::access::{Principal, Scope};
use super::api::reason;
use super::backend::Backend;
use super::people::record;
use super::problem::Problem;
use super::router::Console;
use super::routes::Route;
use super::wire::ActionRequest;
use super::wire::partners::{CertificateList, PartnerCheck, PartnerDetail, PartnerList, PartnerWire, StationWire};
use crate::store::trail;

pub(super) fn routes<B: Backend>() -> Vec<Route<B>> {
    vec![
        Route::get("/partners", Scope::Read, partners::<B>)
            .says("Partners as configured, and how it stands with them")
            .answers::<PartnerList>(200, "All of them"),
        Route::get("/partners/{id}", Scope::Read, partner::<B>)
            .says("One partner with agreement and certificates")
            .answers::<PartnerDetail>(200, "The partner"),
        Route::post("/partners/{id}/check", Scope::Read, check::<B>)
            .says("What keeps messages from being exchanged with a partner")
            .answers::<PartnerCheck>(200, "The findings"),
        Route::post("/partners/{id}/pause", Scope::Operate, pause::<B>)
            .says("Send nothing to a partner until it is resumed, restarts included")
            .takes::<ActionRequest>()
            .answers::<PartnerWire>(200, "The partner"),
        Route::post("/partners/{id}/resume", Scope::Operate, resume::<B>)
            .says("Send to a partner again")
            .takes::<ActionRequest>()
            .answers::<PartnerWire>(200, "The partner"),
        Route::post("/partners/reload", Scope::Admin, reload::<B>)
            .says("Read the partner files now")
            .answers::<PartnerCheck>(200, "What was found in them"),
        Route::get("/certificates", Scope::Read, certificates::<B>)
            .says("Certificates of the station and of all partners, those that end first first")
            .answers::<CertificateList>(200, "All of them"),
        Route::get("/station", Scope::Read, station::<B>).says("Who we are").answers::<StationWire>(200, "The station"),
    ]
}

async fn partners<B: Backend>(Shared(backend): Shared<Arc<B>>) -> Json<PartnerList> {
    let mut partners = backend.partners().await;
    partners.sort_by(|a, b| a.id.cmp(&b.id));
    Json(PartnerList { partners })
}

async fn partner<B: Backend>(
    Shared(backend): Shared<Arc<B>>,
    Path(id): Path<String>,
) -> Result<Json<PartnerDetail>, Problem> {
    Ok(Json(backend.partner(id).await.ok_or_else(Problem::no_partner)?))
}

async fn check<B: Backend>(
    Shared(backend): Shared<Arc<B>>,
    Path(id): Path<String>,
) -> Result<Json<PartnerCheck>, Problem> {
    Ok(Json(backend.check_partner(id).await.ok_or_else(Problem::no_partner)?))
}

async fn pause<B: Backend>(
    console: Shared<Console<B>>,
    Extension(principal): Extension<Principal>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Json<PartnerWire>, Problem> {
    set_pause(console, &principal, id, true, request).await
}

async fn resume<B: Backend>(
    console: Shared<Console<B>>,
    Extension(principal): Extension<Principal>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Json<PartnerWire>, Problem> {
    set_pause(console, &principal, id, false, request).await
}

/// Doing what is done already changes nothing and is no entry of the trail.
async fn set_pause<B: Backend>(
    Shared(console): Shared<Console<B>>,
    principal: &Principal,
    id: String,
    paused: bool,
    request: Request,
) -> Result<Json<PartnerWire>, Problem> {
    let reason = reason(request).await?;
    let find = async || backend_partner(&console.backend, &id).await;
    let before = find().await?;
    if before.paused.is_some() == paused {
        return Ok(Json(before));
    }
    let what = if paused { trail::PAUSED } else { trail::RESUMED };
    let mut change = principal.change(what, format!("partner:{id}"));
    let state = |paused: bool| Some(serde_json::json!(if paused { "paused" } else { "active" }));
    (change.before, change.after, change.reason) = (state(!paused), state(paused), Some(reason));
    record(&console.backend, change).await?;
    let partner = find().await?;
    console.events.publish("partner", &partner);
    Ok(Json(partner))
}

async fn backend_partner<B: Backend>(backend: &Arc<B>, id: &str) -> Result<PartnerWire, Problem> {
    backend.partners().await.into_iter().find(|partner| partner.id == id).ok_or_else(Problem::no_partner)
}

async fn reload<B: Backend>(
    Shared(console): Shared<Console<B>>,
    Extension(principal): Extension<Principal>,
) -> Result<Json<PartnerCheck>, Problem> {
    record(&console.backend, principal.change("partners-reloaded", "gateway".to_owned())).await?;
    let done = console.backend.reload_partners(principal.change("", String::new())).await?;
    for partner in console.backend.partners().await {
        console.events.publish("partner", &partner);
    }
    Ok(Json(done))
}

async fn certificates<B: Backend>(Shared(backend): Shared<Arc<B>>) -> Json<CertificateList> {
    let mut certificates = backend.certificates().await;
    certificates.sort_by(|a, b| (a.not_after, &a.fingerprint).cmp(&(b.not_after, &b.fingerprint)));
    Json(CertificateList { certificates })
}

async fn station<B: Backend>(Shared(backend): Shared<Arc<B>>) -> Json<StationWire> {
    Json(backend.station().await)
}
