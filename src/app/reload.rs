//! Configuration is read again when one of its files changes, without a restart.
//!
//! Partner files, every key, certificate and secret they name, code tables, and of `gateway.toml` our keys, what the
//! listeners show and ask for and the way out are taken at once. A file with a mistake leaves what it configures as it
//! was, and says so; so does a listener's TLS that no listener can use. What a listener shows is found by its address: one
//! that is not in the file any more keeps what it shows and asks for until the restart.
//!
//! The machine's root certificates are no file of the configuration and not looked at; each reading has them read again.
//!
//! Files are compared with how they were when the start read them, so that what changed since, during a long recovery for
//! example, is found by the first look. A start within the process goes on with what was in force, and its first look reads
//! them in any case: what counts after a restart only stays as it is until the process itself is started again.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::Instant;

use super::changes::{self, Described};
use super::listeners::{Prepared, Shown};
use super::{alerts, conditions, translate};
use crate::bilingual;
use crate::cms::Certificate;
use crate::config::{self, As2Settings, Config, GatewayReload, Problem, Severity, Stamps};
use crate::declaration::precheck::Levels;
use crate::declaration::precheck::codes::CodeTables;
use crate::ground::clock::Clock;
use crate::ground::drain::{self, Shutdown};
use crate::ground::text::Bilingual;
use crate::http::tls;
use crate::keys::{KeyRing, TlsIdentity};
use crate::partner::{Directory, Partner};
use crate::store::record::GATEWAY;
use crate::store::trail::Change;
use crate::store::{CommitError, Store, Transaction};

/// Time between two looks at the files.
const LOOK: Duration = Duration::from_secs(2);

/// Time after which a change that could not be kept or recorded is tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// What reads the configuration again: the watch when files change, the console when a person asks.
pub(super) struct Reloading {
    pub(super) config: Arc<Config>,
    pub(super) directory: Arc<ArcSwap<Directory>>,
    pub(super) shown: Shown,
    /// The names of the certificate that the console shows.
    pub(super) console_names: Arc<ArcSwap<Vec<String>>>,
    pub(super) store: Store,
    pub(super) clock: Arc<dyn Clock>,
    /// What the last reading found.
    problems: ArcSwap<Vec<Problem>>,
    seen: Mutex<Seen>,
}

/// What was seen when the files were read last. Whoever reads them holds it, so that the latest reading counts.
struct Seen {
    /// What the files name.
    files: BTreeSet<PathBuf>,
    /// What was taken of `gateway.toml`; `None`: it stands as it did at the start.
    standing: Option<GatewayReload>,
    /// The listeners of the start with the TLS that was taken of it, and that of the console.
    as2: As2Settings,
    console_tls: Option<TlsIdentity>,
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
            as2: config.as2.clone(),
            console_tls: config.console.tls.clone(),
            partners,
            ours,
            owing: false,
            noted: false,
        });
        let problems = ArcSwap::from_pointee(config.warnings.clone());
        let console_names = Arc::new(ArcSwap::from_pointee(translate::certificate_names(config.console.tls.as_ref())));
        Reloading { config, directory, shown, console_names, store, clock, problems, seen }
    }

    /// Reads the files (blocking I/O), because `asked` wants it. Returns what was found, or why nothing was taken.
    pub(super) fn read_again(&self, asked: &Change) -> Result<Vec<Problem>, Untaken> {
        self.read(asked, true)
    }

    /// The same; what goes wrong is said when it is read `aloud`.
    fn read(&self, asked: &Change, aloud: bool) -> Result<Vec<Problem>, Untaken> {
        let mut seen = self.seen();
        self.note(&mut seen);
        // Before the partners: whoever is delivered to because of this reading is judged by them.
        tls::read_roots_again();
        let old = self.directory.load_full();
        let mut ready = None;
        let mut judge = |gateway: &GatewayReload| {
            let as2 = seen.as2.with_tls_of(&gateway.as2);
            match self.shown.prepare(&as2, &gateway.as2, gateway.console_tls.as_ref()) {
                Ok(prepared) => ready = Some((as2, prepared)),
                Err(unusable) => return Some(unusable.problem(&self.config.file)),
            }
            None
        };
        let (standing, now) = (seen.standing.as_ref(), self.clock.now());
        let reload = config::reload_judged(&self.config, (&old, standing), &environment, now, &mut judge);
        if aloud {
            reload.problems.iter().for_each(say);
        }
        let refused = conditions::refused(&reload.problems);
        alerts::note_reading(&self.store, conditions::CONFIGURATION_REFUSED, refused, self.clock.now());
        self.problems.store(Arc::new(reload.problems.clone()));
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
        if let Some((gateway, (as2, prepared))) = reload.gateway.zip(ready) {
            self.take(&gateway, &prepared, seen.standing.as_ref());
            seen.as2 = as2;
            // Where nothing is said any more, what is shown stays.
            seen.console_tls = seen.console_tls.take().map(|shown| gateway.console_tls.clone().unwrap_or(shown));
            self.console_names.store(Arc::new(translate::certificate_names(seen.console_tls.as_ref())));
            seen.standing = Some(gateway);
            self.note_ours(&mut seen, asked, aloud);
        }
        let partners = reload.partners.all().len();
        self.directory.store(Arc::new(reload.partners));
        // Whoever is back is delivered to at once.
        self.store.wake_due();
        // Whoever reads this finds it in force.
        if aloud || !seen.owing {
            tracing::info!(partners, "the configuration was read again");
        }
        Ok(reload.problems)
    }

    /// Puts into the audit trail what was changed while the gateway was stopped (blocking I/O). Where that fails, a full disk for
    /// example, the watch tries again.
    pub(super) fn note_stopped(&self) {
        self.note(&mut self.seen());
    }

    /// What the last reading found; that of the start while there was no other.
    pub(super) fn problems(&self) -> Arc<Vec<Problem>> {
        self.problems.load_full()
    }

    /// How much findings of the pre-check weigh by now where no partner says otherwise.
    pub(super) fn levels(&self) -> Levels {
        self.seen().standing.as_ref().map_or(&self.config.precheck.levels, |standing| &standing.levels).clone()
    }

    /// The configuration of the start with what was taken of its files since, and without stamps.
    fn in_force(&self, tables: &ArcSwap<CodeTables>) -> Config {
        let seen = self.seen();
        let mut config = Config::clone(&self.config);
        config.partners = Directory::clone(&self.directory.load());
        config.precheck.codes = tables.load_full();
        config.as2 = seen.as2.clone();
        config.console.tls.clone_from(&seen.console_tls);
        if let Some(standing) = &seen.standing {
            config.proxy.clone_from(&standing.proxy);
            config.revocation.clone_from(&standing.revocation);
            config.precheck.levels.clone_from(&standing.levels);
        }
        config.files.clone_from(&seen.files);
        config.warnings.clone_from(&self.problems.load());
        (config.stamps, config.precheck.stamps) = Default::default();
        config
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the files by itself. Whether that is settled; otherwise it is to be tried again.
    fn follow(&self, aloud: bool) -> bool {
        let by_itself = Change { who: GATEWAY.to_owned(), ..Change::default() };
        // What went wrong is in the log.
        let read = self.read(&by_itself, aloud);
        read.is_ok() && !self.seen().owing
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

    /// Notes what changed of our own side: only what was taken, since a listener may keep what it shows.
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
    fn take(&self, gateway: &GatewayReload, prepared: &Prepared, before: Option<&GatewayReload>) {
        self.config.station.keys.replace(&gateway.station.keys);
        prepared.show();
        let said = before.is_some_and(|before| before.restart == gateway.restart);
        if !said && !gateway.restart.is_empty() {
            let tables = gateway.restart.join(", ");
            tracing::warn!(%tables, code = "restart-needed", "changes of these tables of gateway.toml count after a restart");
        }
    }

    fn stamps(&self) -> Stamps {
        let named = self.seen().files.clone();
        Stamps::of(named.into_iter().chain([self.config.folders.partners.clone(), self.config.file.clone()]))
    }
}

/// What is in force, also after the gateway has stopped. Holds its store open.
pub struct InForce {
    reloading: Arc<Reloading>,
    tables: Arc<ArcSwap<CodeTables>>,
}

impl InForce {
    pub(super) fn new(reloading: &Arc<Reloading>, tables: &Arc<ArcSwap<CodeTables>>) -> InForce {
        InForce { reloading: reloading.clone(), tables: tables.clone() }
    }

    /// The configuration for another start in this process: that of the last start with what was taken of its files
    /// since, whatever they say by now. The first look of that start reads them, and tells as usual what is wrong with
    /// them. Waits for the end of a reading, so nobody asks before blocking work has ended who has no time for that.
    pub fn configuration(&self) -> Config {
        self.reloading.in_force(&self.tables)
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
        let config = &self.reloading.config;
        // Without stamps nobody knows what the files were: they are read in any case.
        let anew = config.stamps == Stamps::default();
        let looked = |stamps: &Stamps| Looked::new(stamps.clone(), anew);
        let (mut files, mut tables) = (looked(&config.stamps), looked(&config.precheck.stamps));
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
        Stamps::of(config::tables::files(&self.reloading.config.precheck.tables).map(|(_, file)| file))
    }
}

/// Files that are looked at: read when they change, and again after a while when what they say could not be taken for a
/// reason beside them, a full disk for example.
struct Looked {
    known: Stamps,
    /// To be read whatever their stamps.
    anew: bool,
    again: Option<Instant>,
}

impl Looked {
    fn new(known: Stamps, anew: bool) -> Looked {
        Looked { known, anew, again: None }
    }

    /// Whether they are to be read, and then whether anything of it is news.
    fn look(&mut self, now: Stamps) -> Option<bool> {
        let changed = std::mem::take(&mut self.anew) || now != self.known;
        self.known = now;
        let due = self.again.is_some_and(|again| Instant::now() >= again);
        (changed || due).then_some(changed)
    }

    /// They were read, and what they say is `settled` or to be tried again.
    fn read(&mut self, settled: bool) {
        self.again = if settled { None } else { Instant::now().checked_add(AGAIN) };
    }
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
