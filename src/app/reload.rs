//! Configuration is read again when one of its files changes, without a restart.
//!
//! Partner files, every key, certificate and secret they name, code tables, and of `gateway.toml` our keys, what the
//! listeners show and ask for and the way out are taken at once. A file with a mistake leaves what it configures as it
//! was, and says so.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;

use super::listeners::Shown;
use crate::config::{self, Config, GatewayReload, Problem, Severity};
use crate::declaration::precheck::codes::CodeTables;
use crate::ground::clock::Clock;
use crate::ground::drain::{self, Shutdown};
use crate::keys::KeyRing;
use crate::partner::Directory;
use crate::store::Store;

/// Time between two looks at the files.
const LOOK: Duration = Duration::from_secs(2);

/// What is remembered of each file: changed when any part differs.
type Stamps = BTreeMap<PathBuf, (u64, Option<SystemTime>)>;

/// What reads the configuration again: the watch when files change, the console when a person asks.
pub(super) struct Reloading {
    pub(super) config: Arc<Config>,
    pub(super) directory: Arc<ArcSwap<Directory>>,
    pub(super) shown: Shown,
    pub(super) store: Store,
    pub(super) clock: Arc<dyn Clock>,
    seen: Mutex<Seen>,
}

/// What was seen when the files were read last. Whoever reads them holds it, so that the latest reading counts.
struct Seen {
    /// What the files name.
    files: BTreeSet<PathBuf>,
    /// What was taken of `gateway.toml`; `None`: it stands as it did at the start.
    standing: Option<GatewayReload>,
}

impl Reloading {
    pub(super) fn new(
        config: Arc<Config>,
        directory: Arc<ArcSwap<Directory>>,
        shown: Shown,
        store: Store,
        clock: Arc<dyn Clock>,
    ) -> Reloading {
        let seen = Mutex::new(Seen { files: config.files.clone(), standing: None });
        Reloading { config, directory, shown, store, clock, seen }
    }

    /// Reads the files (blocking I/O). Returns what was found, or why nothing was taken.
    pub(super) fn read_again(&self) -> io::Result<Vec<Problem>> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.directory.load_full();
        let reload = config::reload(&self.config, (&old, seen.standing.as_ref()), &environment, self.clock.now());
        for problem in &reload.problems {
            let (file, line, key) = (problem.file.display(), problem.line.unwrap_or(0), problem.key.as_str());
            match problem.severity {
                Severity::Error => {
                    tracing::error!(%file, line, key, code = problem.code, "the old settings stay: {}", problem.text)
                }
                Severity::Warning => tracing::warn!(%file, line, key, code = problem.code, "{}", problem.text),
            }
        }
        tracing::info!(partners = reload.partners.all().len(), "the configuration was read again");
        seen.files.extend(reload.files);
        let keys = reload.gateway.as_ref().map_or(&self.config.station.keys, |gateway| &gateway.station.keys);
        keep_certificates(&self.store, keys, &reload.partners).inspect_err(|error| {
            tracing::error!(%error, code = "certificate-not-kept", "the old settings stay: a certificate could not be kept for evidence");
        })?;
        if let Some(gateway) = reload.gateway {
            self.take(&gateway, seen.standing.as_ref());
            seen.standing = Some(gateway);
        }
        self.directory.store(Arc::new(reload.partners));
        Ok(reload.problems)
    }

    /// The keys and certificates of `gateway.toml`.
    fn take(&self, gateway: &GatewayReload, before: Option<&GatewayReload>) {
        self.config.station.keys.replace(&gateway.station.keys);
        if let Err(error) = self.shown.replace(&gateway.as2, gateway.console_tls.as_ref()) {
            tracing::error!(code = error.code(), "a listener keeps the certificate that it shows: {}", error.text());
        }
        let said = before.is_some_and(|before| before.restart == gateway.restart);
        if !said && !gateway.restart.is_empty() {
            let tables = gateway.restart.join(", ");
            tracing::warn!(%tables, code = "restart-needed", "changes of these tables of gateway.toml count after a restart");
        }
    }

    fn stamps(&self) -> Stamps {
        let named = self.seen.lock().unwrap_or_else(PoisonError::into_inner).files.clone();
        let mut files: Vec<PathBuf> = vec![self.config.file.clone()];
        for file in named.into_iter().chain([self.config.folders.partners.clone()]) {
            // The entries of a folder; a plain file has none.
            let entries = std::fs::read_dir(&file).into_iter().flatten();
            files.extend(entries.filter_map(|entry| Some(entry.ok()?.path())));
            files.push(file);
        }
        stamps_of(files)
    }
}

/// Watches the configuration.
pub(super) struct Watch {
    reloading: Arc<Reloading>,
    tables: Arc<ArcSwap<CodeTables>>,
}

impl Watch {
    pub(super) fn new(reloading: Arc<Reloading>, tables: Arc<ArcSwap<CodeTables>>) -> Watch {
        Watch { reloading, tables }
    }

    pub(super) async fn run(self, shutdown: Shutdown) {
        let (mut known, mut known_tables) = (self.reloading.stamps(), self.table_stamps());
        while !shutdown.is_triggered() {
            tokio::select! {
                () = shutdown.triggered() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            let now = self.reloading.stamps();
            if now != known {
                // As they were before the reading: what changes during it, or is named by it, is read at the next look.
                known = now;
                let reloading = self.reloading.clone();
                // What went wrong is in the log.
                let _ = drain::blocking(move || reloading.read_again()).await;
            }
            let now = self.table_stamps();
            if now != known_tables {
                known_tables = now;
                self.reload_tables();
            }
        }
    }

    fn reload_tables(&self) {
        let folder = &self.reloading.config.precheck.tables;
        match config::tables::load_if_there(folder) {
            Ok(tables) => {
                let folder = folder.display();
                tracing::info!(%folder, tables = %config::tables::describe(&tables), "code tables were read again");
                self.tables.store(Arc::new(tables));
            }
            Err(error) => tracing::error!(code = error.code(), "the old code tables stay: {}", error.text()),
        }
    }

    fn table_stamps(&self) -> Stamps {
        stamps_of(config::tables::files(&self.reloading.config.precheck.tables).map(|(_, file)| file))
    }
}

fn stamps_of(files: impl IntoIterator<Item = PathBuf>) -> Stamps {
    let stamp = |file: PathBuf| {
        let metadata = std::fs::metadata(&file).ok()?;
        Some((file, (metadata.len(), metadata.modified().ok())))
    };
    files.into_iter().filter_map(stamp).collect()
}

/// Keeps every certificate that may be used from now on, so that facts may name it.
pub(super) fn keep_certificates(store: &Store, keys: &KeyRing, partners: &Directory) -> io::Result<()> {
    let ours = keys.keys();
    let ours = ours.iter().map(|key| &key.certificate);
    let theirs = partners.all().flat_map(|partner| partner.certificates.certificates()).map(|held| &held.certificate);
    ours.chain(theirs).try_for_each(|certificate| store.keep_certificate(certificate.der()).map(drop))
}

/// Where passphrases named by `…_env` keys come from.
#[expect(clippy::disallowed_methods, reason = "the process environment is handed to config from here")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
