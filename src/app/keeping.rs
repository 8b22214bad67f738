//! Evidence and verification, for the running gateway and for a home whose gateway is stopped.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use crate::cms::Certificate;
use crate::config::Config;
use crate::console::Refusal;
use crate::evidence::{EvidenceError, Exported, Exporter};
use crate::ground::clock::{Clock, SystemClock};
use crate::ground::drain;
use crate::ground::id::Id;
use crate::partner::Directory;
use crate::store::{JournalReport, Store, StoreError};

/// The store of a home whose gateway does not run, with the bundles' maker. The store's lock decides whether it runs.
///
/// # Errors
/// A gateway holds the lock; the journal is damaged.
pub fn open_stopped(config: &Arc<Config>) -> Result<(Store, Exporter), StoreError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let (store, _) = Store::open(super::translate::store(config, clock))?;
    let exporter = exporter(config, &store, &config.partners);
    Ok((store, exporter))
}

fn exporter(config: &Config, store: &Store, partners: &Directory) -> Exporter {
    let keys = config.station.keys.keys();
    let ours = keys.iter().map(|key| key.certificate.clone());
    let held = partners.all().flat_map(|partner| partner.certificates.certificates());
    let certificates: Vec<Certificate> = ours.chain(held.map(|held| held.certificate.clone())).collect();
    Exporter {
        store: store.clone(),
        certificates: Arc::new(certificates),
        decryption: Arc::new(config.station.keys.decryption_keys()),
        limits: config.limits.of_what_is_kept(),
    }
}

/// Writes a bundle into `dir`, or, without one, into a place of its own and throws it away: what can be made of the
/// message is what holds.
pub(super) async fn export(
    config: &Arc<Config>,
    store: &Store,
    partners: &Directory,
    id: Id,
    dir: Option<PathBuf>,
) -> Result<Exported, Refusal> {
    let exporter = exporter(config, store, partners);
    let folders = [config.folders.data.clone(), config.folders.exchange.clone()];
    let work = move || match dir {
        Some(dir) if folders.iter().any(|folder| dir.starts_with(folder)) => Err(EvidenceError::Place(dir)),
        Some(dir) => exporter.export(&id, &dir),
        None => {
            let aside =
                tempfile::tempdir().map_err(|source| EvidenceError::Io { path: std::env::temp_dir(), source })?;
            exporter.export(&id, aside.path())
        }
    };
    let done = drain::blocking(work).await.map_err(|error| broken(&error.to_string()))?;
    done.map_err(|error| {
        let status = match &error {
            EvidenceError::Unknown(_) => 404,
            error if error.is_verdict() => 409,
            EvidenceError::Occupied(_) | EvidenceError::Place(_) => 400,
            _ => 503,
        };
        Refusal { status, code: error.code().to_owned(), text: error.text() }
    })
}

pub(super) async fn verify_journal(store: &Store, now: Timestamp) -> Result<JournalReport, Refusal> {
    let checked = store.clone();
    let verified = drain::blocking(move || checked.verify_journal_and_bodies()).await;
    let verified = verified.map_err(|error| broken(&error.to_string()))?;
    super::alerts::note_check(store, &verified, true, now);
    verified.map_err(|error| {
        let status = if error.is_damage() { 409 } else { 503 };
        Refusal { status, code: error.code().to_owned(), text: error.text() }
    })
}

fn broken(error: &str) -> Refusal {
    let text = crate::bilingual!("未能完成：{error}", "it broke off: {error}");
    Refusal { status: 503, code: "internal-error".to_owned(), text }
}
