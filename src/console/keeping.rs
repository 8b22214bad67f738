//! Routes of what is kept: evidence, backups, verification, release after a restore.

use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::{Path, Request, State as Shared};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};

use super::api::{BY, json, reason_of};
use super::backend::Backend;
use super::problem::Problem;
use super::wire::{ActionRequest, BackupRequest, BackupWire, ExportRequest, ExportWire, JournalWire, ReleasedWire};
use crate::ground::id::Id;

/// The routes, for nesting below `/api/v1`.
pub(super) fn routes<B: Backend>() -> Router<Arc<B>> {
    Router::new()
        .route("/messages/{id}/export", post(export::<B>))
        .route("/messages/{id}/verify", post(verify::<B>))
        .route("/restored/release", post(release::<B>))
        .route("/journal/verify", post(verify_journal::<B>))
        .route("/backup", get(backup::<B>).post(start_backup::<B>))
}

async fn export<B: Backend>(
    Shared(backend): Shared<Arc<B>>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Json<ExportWire>, Problem> {
    let id: Id = id.parse().map_err(|_| Problem::no_message())?;
    let ExportRequest { dir } = json(request).await?;
    Ok(Json(ExportWire::from(backend.export(id, PathBuf::from(dir)).await?)))
}

async fn verify<B: Backend>(
    Shared(backend): Shared<Arc<B>>,
    Path(id): Path<String>,
) -> Result<Json<ExportWire>, Problem> {
    let id: Id = id.parse().map_err(|_| Problem::no_message())?;
    Ok(Json(ExportWire::from(backend.verify_message(id).await?)))
}

async fn release<B: Backend>(Shared(backend): Shared<Arc<B>>, request: Request) -> Result<Json<ReleasedWire>, Problem> {
    let ActionRequest { reason } = json(request).await?;
    let released = backend.release_restored(reason_of(&reason)?, BY.to_owned()).await?;
    Ok(Json(ReleasedWire { released }))
}

async fn verify_journal<B: Backend>(Shared(backend): Shared<Arc<B>>) -> Result<Json<JournalWire>, Problem> {
    Ok(Json(JournalWire::from(backend.verify_journal().await?)))
}

async fn start_backup<B: Backend>(
    Shared(backend): Shared<Arc<B>>,
    request: Request,
) -> Result<(StatusCode, Json<BackupWire>), Problem> {
    let BackupRequest { dir, keys } = json(request).await?;
    backend.start_backup(PathBuf::from(dir), keys).await?;
    Ok((StatusCode::ACCEPTED, Json(BackupWire::from(backend.backup().await))))
}

async fn backup<B: Backend>(Shared(backend): Shared<Arc<B>>) -> Json<BackupWire> {
    Json(BackupWire::from(backend.backup().await))
}
