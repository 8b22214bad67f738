//! Partner files and code tables are read again when they change, without a restart. A bad file keeps what runs and says so.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use jiff::Timestamp;

use crate::config::{self, Config, Problem, Severity};
use crate::declaration::precheck::codes::CodeTables;
use crate::ground::clock::Clock;
use crate::ground::drain::Shutdown;
use crate::partner::{Directory, Station};
use crate::store::Store;

/// Time between two looks at the partner files and the certificates they name.
const LOOK: Duration = Duration::from_secs(2);

/// What is remembered of each file: changed when any part differs.
type Stamps = BTreeMap<PathBuf, (u64, Option<SystemTime>)>;

/// Watches the partner folder.
pub(super) struct Reloads {
    config: Arc<Config>,
    directory: Arc<ArcSwap<Directory>>,
    tables: Arc<ArcSwap<CodeTables>>,
    store: Store,
    clock: Arc<dyn Clock>,
}

impl Reloads {
    pub(super) fn new(
        config: Arc<Config>,
        (directory, tables): (Arc<ArcSwap<Directory>>, Arc<ArcSwap<CodeTables>>),
        store: Store,
        clock: Arc<dyn Clock>,
    ) -> Reloads {
        Reloads { config, directory, tables, store, clock }
    }

    pub(super) async fn run(self, shutdown: Shutdown) {
        let (mut known, mut known_tables) = (self.stamps(), self.table_stamps());
        while !shutdown.is_triggered() {
            tokio::select! {
                () = shutdown.triggered() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            let now = self.stamps();
            if now != known {
                known = now;
                self.reload();
            }
            let now = self.table_stamps();
            if now != known_tables {
                known_tables = now;
                self.reload_tables();
            }
        }
    }

    fn reload(&self) {
        // What went wrong is in the log.
        let _ = read_again(&self.config, &self.directory, &self.store, self.clock.now());
    }

    fn reload_tables(&self) {
        match config::tables::load_if_there(&self.config.precheck.tables) {
            Ok(tables) => {
                let folder = self.config.precheck.tables.display();
                tracing::info!(%folder, tables = %config::tables::describe(&tables), "code tables were read again");
                self.tables.store(Arc::new(tables));
            }
            Err(error) => tracing::error!(code = error.code(), "the old code tables stay: {}", error.text()),
        }
    }

    fn table_stamps(&self) -> Stamps {
        stamps_of(config::tables::files(&self.config.precheck.tables).map(|(_, file)| file))
    }

    fn stamps(&self) -> Stamps {
        let mut files: Vec<PathBuf> = std::fs::read_dir(&self.config.folders.partners)
            .map(|entries| entries.filter_map(|entry| Some(entry.ok()?.path())).collect())
            .unwrap_or_default();
        let directory = self.directory.load();
        for partner in directory.all() {
            files.extend(partner.certificates.certificates().iter().map(|certificate| certificate.file.clone()));
            files.extend(partner.dxp.iter().filter_map(|dxp| Some(dxp.signature.key.as_ref()?.file.clone())));
        }
        stamps_of(files)
    }
}

fn stamps_of(files: impl IntoIterator<Item = PathBuf>) -> Stamps {
    let stamp = |file: PathBuf| {
        let metadata = std::fs::metadata(&file).ok()?;
        Some((file, (metadata.len(), metadata.modified().ok())))
    };
    files.into_iter().filter_map(stamp).collect()
}

/// Reads the partner files; one with a mistake leaves its partner as it was. Returns what was found, or why nothing was
/// taken.
pub(super) fn read_again(
    config: &Config,
    directory: &ArcSwap<Directory>,
    store: &Store,
    now: Timestamp,
) -> io::Result<Vec<Problem>> {
    let old = directory.load_full();
    let reload = config::reload_partners(config, &old, &environment, now);
    for problem in &reload.problems {
        let (file, line, key) = (problem.file.display(), problem.line.unwrap_or(0), problem.key.as_str());
        match problem.severity {
            Severity::Error => {
                tracing::error!(%file, line, key, code = problem.code, "the old settings stay: {}", problem.text)
            }
            Severity::Warning => tracing::warn!(%file, line, key, code = problem.code, "{}", problem.text),
        }
    }
    tracing::info!(partners = reload.partners.all().len(), "partner files were read again");
    keep_certificates(store, &config.station, &reload.partners).inspect_err(|error| {
        tracing::error!(%error, code = "certificate-not-kept", "the old settings stay: a certificate could not be kept for evidence");
    })?;
    directory.store(Arc::new(reload.partners));
    Ok(reload.problems)
}

/// Keeps every certificate that may be used from now on, so that facts may name it.
pub(super) fn keep_certificates(store: &Store, station: &Station, partners: &Directory) -> io::Result<()> {
    let ours = station.keys.keys().iter().map(|key| &key.certificate);
    let theirs = partners.all().flat_map(|partner| partner.certificates.certificates()).map(|held| &held.certificate);
    ours.chain(theirs).try_for_each(|certificate| store.keep_certificate(certificate.der()).map(drop))
}

/// Where passphrases named by `…_env` keys come from.
#[expect(clippy::disallowed_methods, reason = "the process environment is handed to config from here")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
