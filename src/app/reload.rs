//! Configuration is read again when one of its files changes, without a restart.
//!
//! Partner files, every key, certificate and secret they name, code tables, and of `gateway.toml` our keys, what the
//! listeners show and ask for and the way out are taken at once. A file with a mistake leaves what it configures as it
//! was, and says so.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use tokio::time::Instant;

use super::changes::{self, Described};
use super::listeners::Shown;
use super::{alerts, conditions};
use crate::bilingual;
use crate::cms::Certificate;
use crate::config::{self, Config, GatewayReload, Problem, Severity};
use crate::declaration::precheck::codes::CodeTables;
use crate::ground::clock::Clock;
use crate::ground::drain::{self, Shutdown};
use crate::ground::text::Bilingual;
use crate::keys::KeyRing;
use crate::partner::{Directory, Partner};
use crate::store::record::GATEWAY;
use crate::store::trail::Change;
use crate::store::{CommitError, Store, Transaction};

/// Time between two looks at the files.
const LOOK: Duration = Duration::from_secs(2);

/// Time after which a change that could not be kept or recorded is tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// What is remembered of each file: changed when any part differs.
type Stamps = BTreeMap<PathBuf, (u64, Option<SystemTime>, Option<(i64, i64)>)>;

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
    /// As the audit trail knows the partners.
    partners: BTreeMap<String, Described>,
    /// As it knows our own side.
    ours: Described,
    /// A change of our own side is taken and could not be recorded yet.
    owing: bool,
    /// The trail has what was changed while the gateway was stopped.
    noted: bool,
}

/// Why the old settings stay.
#[derive(Debug, thiserror::Error)]
pub(super) enum Untaken {
    /// A certificate would be used of which evidence could not tell later.
    #[error("a certificate could not be kept for evidence: {0}")]
    Certificate(#[from] io::Error),
    /// Nothing changes that is in no audit trail.
    #[error("the change could not be recorded: {0}")]
    Trail(#[from] CommitError),
}

impl Untaken {
    pub(super) fn code(&self) -> &'static str {
        match self {
            Untaken::Certificate(_) => "certificate-not-kept",
            Untaken::Trail(error) => error.code(),
        }
    }

    pub(super) fn text(&self) -> Bilingual {
        match self {
            Untaken::Certificate(error) => bilingual!(
                "证书无法存档：{error}。原设置保留。",
                "a certificate could not be kept: {error}. The old settings stay."
            ),
            Untaken::Trail(error) => error.text(),
        }
    }
}

impl Reloading {
    pub(super) fn new(
        config: Arc<Config>,
        directory: Arc<ArcSwap<Directory>>,
        shown: Shown,
        store: Store,
        clock: Arc<dyn Clock>,
    ) -> Reloading {
        let partners =
            directory.load().all().map(|partner| (partner.id.clone(), changes::of_partner(partner))).collect();
        let ours = changes::of_station(&config.station.keys, &certificates(&shown), &config.file);
        let seen = Mutex::new(Seen {
            files: config.files.clone(),
            standing: None,
            partners,
            ours,
            owing: false,
            noted: false,
        });
        Reloading { config, directory, shown, store, clock, seen }
    }

    /// Reads the files (blocking I/O), because `asked` wants it. Returns what was found, or why nothing was taken.
    pub(super) fn read_again(&self, asked: &Change) -> Result<Vec<Problem>, Untaken> {
        self.read(asked, true)
    }

    /// The same; what goes wrong is said when it is read `aloud`.
    fn read(&self, asked: &Change, aloud: bool) -> Result<Vec<Problem>, Untaken> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        self.note(&mut seen);
        let old = self.directory.load_full();
        let reload = config::reload(&self.config, (&old, seen.standing.as_ref()), &environment, self.clock.now());
        if aloud {
            reload.problems.iter().for_each(say);
        }
        let refused = conditions::refused(&reload.problems);
        alerts::note_reading(&self.store, conditions::CONFIGURATION_REFUSED, refused, self.clock.now());
        seen.files.extend(reload.files);
        let keys = reload.gateway.as_ref().map_or(&self.config.station.keys, |gateway| &gateway.station.keys);
        let described = describe(&seen.partners, &old, &reload.partners);
        let kept = keep_certificates(&self.store, keys, &reload.partners).map_err(Untaken::from);
        let recorded = kept.and_then(|()| self.record(changes::of_partners(&seen.partners, &described, asked)));
        recorded.inspect_err(|error| {
            if aloud {
                tracing::error!(%error, code = error.code(), "the old settings stay");
            }
        })?;
        seen.partners = described;
        if let Some(gateway) = reload.gateway {
            self.take(&gateway, seen.standing.as_ref());
            seen.standing = Some(gateway);
            self.note_ours(&mut seen, asked, aloud);
        }
        let partners = reload.partners.all().len();
        self.directory.store(Arc::new(reload.partners));
        // Whoever reads this finds it in force.
        if aloud || !seen.owing {
            tracing::info!(partners, "the configuration was read again");
        }
        Ok(reload.problems)
    }

    /// Puts into the audit trail what was changed while the gateway was stopped (blocking I/O). Where that fails, a full disk for
    /// example, the watch tries again.
    pub(super) fn note_stopped(&self) {
        self.note(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Reads the files by itself. Whether that is settled; otherwise it is to be tried again.
    fn follow(&self, aloud: bool) -> bool {
        let by_itself = Change { who: GATEWAY.to_owned(), ..Change::default() };
        // What went wrong is in the log.
        let read = self.read(&by_itself, aloud);
        read.is_ok() && !self.seen.lock().unwrap_or_else(PoisonError::into_inner).owing
    }

    fn note(&self, seen: &mut Seen) {
        if seen.noted {
            return;
        }
        let tables = config::tables::describe(&self.config.precheck.codes).to_string();
        let now = changes::in_force(&seen.partners, &seen.ours, &tables);
        match self.record(changes::while_stopped(&self.store.settings(), &now)) {
            Ok(()) => seen.noted = true,
            Err(error) => {
                tracing::error!(%error, code = error.code(), "what was changed while stopped could not be recorded yet");
            }
        }
    }

    /// Puts changes into the audit trail; durable when this returns.
    fn record(&self, changes: Vec<Change>) -> Result<(), Untaken> {
        for change in changes {
            let mut transaction = Transaction::new(self.clock.now());
            transaction.change(change);
            self.store.commit_blocking(transaction)?;
        }
        Ok(())
    }

    /// Notes what changed of our own side: only what was taken, which a listener may refuse.
    fn note_ours(&self, seen: &mut Seen, asked: &Change, aloud: bool) {
        let ours = changes::of_station(&self.config.station.keys, &certificates(&self.shown), &self.config.file);
        let change = changes::of_ours(&seen.ours, &ours, asked);
        let recorded = self.record(change.into_iter().collect());
        seen.owing = recorded.is_err();
        match recorded {
            Ok(()) => seen.ours = ours,
            Err(_) if !aloud => {}
            Err(error) => tracing::error!(%error, code = error.code(), "a change of our keys could not be recorded"),
        }
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

fn say(problem: &Problem) {
    let (file, line, key) = (problem.file.display(), problem.line.unwrap_or(0), problem.key.as_str());
    match problem.severity {
        Severity::Error => {
            tracing::error!(%file, line, key, code = problem.code, "the old settings stay: {}", problem.text)
        }
        Severity::Warning => tracing::warn!(%file, line, key, code = problem.code, "{}", problem.text),
    }
}

/// The partners as they will be; one whose file has a mistake stays as it was.
fn describe(known: &BTreeMap<String, Described>, old: &Directory, new: &Directory) -> BTreeMap<String, Described> {
    let stays = |partner: &Arc<Partner>| old.by_id(&partner.id).is_some_and(|old| Arc::ptr_eq(old, partner));
    let described = new.all().map(|partner| {
        let known = known.get(&partner.id).filter(|_| stays(partner));
        (partner.id.clone(), known.cloned().unwrap_or_else(|| changes::of_partner(partner)))
    });
    described.collect()
}

fn certificates(shown: &Shown) -> Vec<Certificate> {
    shown.certificates().into_iter().map(|(_, certificate)| certificate).collect()
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
        let mut files = Looked::new(self.reloading.stamps());
        let mut tables = Looked::new(self.table_stamps());
        while !shutdown.is_triggered() {
            tokio::select! {
                () = shutdown.triggered() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            let reloading = self.reloading.clone();
            let _ = drain::blocking(move || reloading.note_stopped()).await;
            // As they were before the reading: what changes during it, or is named by it, is read at the next look.
            if let Some(aloud) = files.look(self.reloading.stamps()) {
                let reloading = self.reloading.clone();
                let settled = drain::blocking(move || reloading.follow(aloud)).await;
                files.read(settled.unwrap_or(true));
            }
            if let Some(aloud) = tables.look(self.table_stamps()) {
                tables.read(self.reload_tables(aloud).await);
            }
        }
    }

    /// Whether that is settled: `false` when the change could not be recorded, which is said when it is read `aloud`.
    async fn reload_tables(&self, aloud: bool) -> bool {
        let folder = &self.reloading.config.precheck.tables;
        let loaded = config::tables::load_if_there(folder);
        let refused = loaded.as_ref().err().map(conditions::refused_tables);
        let Reloading { store, clock, .. } = &*self.reloading;
        alerts::note_reading(store, conditions::TABLES_REFUSED, refused, clock.now());
        match loaded {
            Ok(tables) => {
                let before = config::tables::describe(&self.tables.load()).to_string();
                let after = config::tables::describe(&tables).to_string();
                if let Err(error) = self.reloading.store.record(changes::of_tables(&before, &after)).await {
                    if aloud {
                        let code = error.code();
                        tracing::error!(code, "the old code tables stay: the change could not be recorded");
                    }
                    return false;
                }
                self.tables.store(Arc::new(tables));
                tracing::info!(folder = %folder.display(), tables = %after, "code tables were read again");
            }
            Err(error) => tracing::error!(code = error.code(), "the old code tables stay: {}", error.text()),
        }
        true
    }

    fn table_stamps(&self) -> Stamps {
        stamps_of(config::tables::files(&self.reloading.config.precheck.tables).map(|(_, file)| file))
    }
}

/// Files that are looked at: read when they change, and again after a while when what they say could not be taken for a
/// reason beside them, a full disk for example.
struct Looked {
    known: Stamps,
    again: Option<Instant>,
}

impl Looked {
    fn new(known: Stamps) -> Looked {
        Looked { known, again: None }
    }

    /// Whether they are to be read, and then whether anything of it is news.
    fn look(&mut self, now: Stamps) -> Option<bool> {
        let changed = now != self.known;
        self.known = now;
        let due = self.again.is_some_and(|again| Instant::now() >= again);
        (changed || due).then_some(changed)
    }

    /// They were read, and what they say is `settled` or to be tried again.
    fn read(&mut self, settled: bool) {
        self.again = if settled { None } else { Instant::now().checked_add(AGAIN) };
    }
}

fn stamps_of(files: impl IntoIterator<Item = PathBuf>) -> Stamps {
    let stamp = |file: PathBuf| {
        let metadata = std::fs::metadata(&file).ok()?;
        Some((file, (metadata.len(), metadata.modified().ok(), status_change(&metadata))))
    };
    files.into_iter().filter_map(stamp).collect()
}

/// When owner, mode or name changed last: a file that could not be read for want of a permission is as it was otherwise.
#[cfg(unix)]
fn status_change(metadata: &Metadata) -> Option<(i64, i64)> {
    use std::os::unix::fs::MetadataExt as _;
    Some((metadata.ctime(), metadata.ctime_nsec()))
}

#[cfg(not(unix))]
fn status_change(_metadata: &Metadata) -> Option<(i64, i64)> {
    None
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
pub(super) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
