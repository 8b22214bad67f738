//! Routes of what is kept: evidence, backups, verification, release after a restore.

use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::{Path, Request, State as Shared};
use axum::http::StatusCode;
use axum::{Extension, Json};

use super::access::{Principal, Scope};
use super::api::{json, message_id, reason};
use super::backend::Backend;
use super::people::record;
use super::problem::Problem;
use super::routes::Route;
use super::wire::{ActionRequest, BackupRequest, BackupWire, ExportRequest, ExportWire, JournalWire, ReleasedWire};

pub(super) fn routes<B: Backend>() -> Vec<Route<B>> {
    vec![
        Route::post("/messages/{id}/export", Scope::Admin, export::<B>)
            .says("Write the evidence of a message into a folder on the gateway's machine")
            .takes::<ExportRequest>()
            .answers::<ExportWire>(200, "What was written"),
        Route::post("/messages/{id}/verify", Scope::Read, verify::<B>)
            .says("Check what is kept of a message")
            .answers::<ExportWire>(200, "What holds"),
        Route::post("/restored/release", Scope::Operate, release::<B>)
            .says("Let everything go on that a restore has held")
            .takes::<ActionRequest>()
            .answers::<ReleasedWire>(200, "How many messages"),
        Route::post("/journal/verify", Scope::Admin, verify_journal::<B>)
            .says("Check the whole journal and every body")
            .answers::<JournalWire>(200, "What holds"),
        Route::get("/backup", Scope::Admin, backup::<B>)
            .says("The backup that runs, or the last one")
            .answers::<BackupWire>(200, "The backup"),
        Route::post("/backup", Scope::Admin, start_backup::<B>)
            .says("Start a backup into a folder on the gateway's machine")
            .takes::<BackupRequest>()
            .answers::<BackupWire>(202, "It runs"),
    ]
}

async fn export<B: Backend>(
    Shared(backend): Shared<Arc<B>>,
    Extension(principal): Extension<Principal>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Json<ExportWire>, Problem> {
    let id = message_id(&id)?;
    let ExportRequest { dir } = json(request).await?;
    let mut change = principal.change("message-exported", format!("message:{id}"));
    change.after = Some(serde_json::json!({ "dir": dir }));
    record(&backend, change).await?;
    Ok(Json(ExportWire::from(backend.export(id, PathBuf::from(dir)).await?)))
}

async fn verify<B: Backend>(
    Shared(backend): Shared<Arc<B>>,
    Path(id): Path<String>,
) -> Result<Json<ExportWire>, Problem> {
    Ok(Json(ExportWire::from(backend.verify_message(message_id(&id)?).await?)))
}

async fn release<B: Backend>(
    Shared(backend): Shared<Arc<B>>,
    Extension(principal): Extension<Principal>,
    request: Request,
) -> Result<Json<ReleasedWire>, Problem> {
    let released = backend.release_restored(principal.asks(reason(request).await?)).await?;
    Ok(Json(ReleasedWire { released }))
}

async fn verify_journal<B: Backend>(Shared(backend): Shared<Arc<B>>) -> Result<Json<JournalWire>, Problem> {
    Ok(Json(JournalWire::from(backend.verify_journal().await?)))
}

async fn start_backup<B: Backend>(
    Shared(backend): Shared<Arc<B>>,
    Extension(principal): Extension<Principal>,
    request: Request,
) -> Result<(StatusCode, Json<BackupWire>), Problem> {
    let BackupRequest { dir, keys } = json(request).await?;
    let mut change = principal.change("backup-started", "gateway".to_owned());
    change.after = Some(serde_json::json!({ "dir": dir, "keys": keys }));
    record(&backend, change).await?;
    backend.start_backup(PathBuf::from(dir), keys).await?;
    Ok((StatusCode::ACCEPTED, Json(BackupWire::from(backend.backup().await))))
}

async fn backup<B: Backend>(Shared(backend): Shared<Arc<B>>) -> Json<BackupWire> {
    Json(BackupWire::from(backend.backup().await))
}
