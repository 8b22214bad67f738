//! Assembly: builds every part from the configuration, starts and joins every task, drains on a signal.
//!
//! Settings flow down from here: no layer imports upward to read its own knobs.
//!
//! Start: room, folders and their filesystem, both ports, the journal (which rebuilds its index when needed), the
//! partners' flows, what a crash interrupted, the listeners. Stop: the listeners, while no further attempt to send begins; then
//! sweeps and attempts in work, then the publisher, then the journal; all within the configured time and a few seconds,
//! within a few seconds once the store has failed.

mod alerts;
mod backend;
mod backup;
mod changes;
mod clearance;
mod conditions;
mod endpoint;
mod environment;
mod error;
mod exchanges;
mod keeping;
mod listeners;
mod live;
mod logging;
mod metrics;
mod partners;
mod readiness;
mod reload;
mod runs;
mod show;
mod stuck;
mod submissions;
mod translate;
mod trial;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::alerting::{self, Telling};
use crate::config::{self, Config, Folders};
use crate::console::{Access, Events};
use crate::declaration::precheck::codes::CodeTables;
use crate::ground::clock::Clock;
use crate::ground::drain::{self, Shutdown, Tasks};
use crate::ground::durable;
use crate::ground::space::{Reserve, Space};
use crate::http;
use crate::inbound::{self, Inbound};
use crate::outbound::{self, Outbound};
use crate::partner::Directory;
use crate::store::publisher::Publisher;
use crate::store::retention::Keeper;
use crate::store::{Failure, RecoveryReport, Store};
use crate::testbed::{Bench, Control, Endpoint, Responder, Server, Setting, Surroundings};
use crate::{telemetry, testbed};

use metrics::Metrics;
use reload::Reloading;

pub use backend::GatewayBackend;
pub use error::StartError;
pub use keeping::open_stopped;
pub use listeners::unusable_tls;
pub use logging::start_logging;
pub use metrics::CATALOGUE as METRICS;
pub use reload::InForce;

/// Beyond the configured time, each part may carry out its own orderly end.
const LAST_STEPS: std::time::Duration = std::time::Duration::from_secs(2);

/// After the store failed nothing can be acknowledged, so there is little to wait for.
const LAST_STEPS_FAILED: std::time::Duration = std::time::Duration::from_secs(1);
/// Time between two looks at the reserve.
const RESERVE_EVERY: std::time::Duration = std::time::Duration::from_secs(5);

/// What a start may do beyond the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Role {
    /// The gateway of an enterprise.
    #[default]
    Gateway,
    /// The customs side: answers what lands in its inboxes.
    Testbed(Setting),
}

/// A running gateway.
pub struct Running {
    /// Where the AS2 listener of `[as2]` is.
    pub as2: SocketAddr,
    /// Where those of `[[as2.listeners]]` are, in their order.
    pub further_as2: Vec<SocketAddr>,
    /// Where the console listener is.
    pub console: SocketAddr,
    /// Where the control listener of a testbed is, and its token.
    pub control: Option<testbed::control::Address>,
    /// What was found and mended in the store.
    pub recovery: RecoveryReport,
    /// The flows, for programs in the same process.
    pub backend: GatewayBackend,
    /// The file with the link for the first admin, as long as there is no user.
    pub setup_file: Option<PathBuf>,
    tables: Arc<ArcSwap<CodeTables>>,
    store: Store,
    listeners: Tasks,
    flows: Tasks,
    publishing: Tasks,
    stop_listeners: Shutdown,
    stop_flows: Shutdown,
    stop_sending: Shutdown,
    stop_publishing: Shutdown,
    drain: std::time::Duration,
}

/// Starts a gateway; it runs until [`Running::stop`].
///
/// # Errors
/// What keeps it from starting, with what to do.
pub async fn start(config: Config, role: Role, clock: Arc<dyn Clock>) -> Result<Running, StartError> {
    let config = Arc::new(config);
    let reserve = Reserve::new(&config.folders.data, config.server.reserve);
    prepare_folders(&config.folders, &reserve)?;
    environment::claim(&config)?;
    for partner in config.partners.all().filter(|partner| partner.enabled) {
        outbound::prepare_folders(&config.folders.exchange.join(&partner.id))?;
    }
    let bound = listeners::Bound::new(&config).await?;
    let (as2, console) = (bound.as2()?, bound.console()?);
    let [as2, further_as2 @ ..] = as2.as_slice() else {
        return Err(StartError::Internal("no AS2 listener".to_owned()));
    };
    let (as2, further_as2) = (*as2, further_as2.to_vec());
    let (store, recovery) = open_store(&config, &clock).await?;
    clearance::pass(&config, &role, &store).await?;
    let telling = open_telling(&config, &store, &clock)?;
    let stop_flows = Shutdown::new();
    let parts = assemble(&config, &store, &clock, (&recovery, &stop_flows), &telling)?;
    let reloading = parts.reloading.clone();
    drain::blocking(move || reloading.note_stopped()).await.map_err(|error| StartError::Internal(error.to_string()))?;
    let mut running = Running {
        as2,
        further_as2,
        console,
        control: None,
        recovery,
        backend: parts.backend.clone(),
        setup_file: None,
        tables: parts.tables.clone(),
        store,
        listeners: Tasks::new(),
        flows: parts.tasks.clone(),
        publishing: Tasks::new(),
        stop_listeners: Shutdown::new(),
        stop_flows,
        stop_sending: Shutdown::new(),
        stop_publishing: Shutdown::new(),
        drain: config.server.shutdown,
    };
    match running.set_going(bound, (&config, &parts, &telling), (role, reserve), &clock).await {
        Ok(()) => Ok(running),
        Err(error) => {
            // What has begun would go on with the store.
            running.stop().await;
            Err(error)
        }
    }
}

impl Running {
    /// Begins all that goes on beside the store, the listeners last.
    async fn set_going(
        &mut self,
        bound: listeners::Bound,
        (config, parts, telling): (&Arc<Config>, &Assembled, &Telling),
        (role, reserve): (Role, Reserve),
        clock: &Arc<dyn Clock>,
    ) -> Result<(), StartError> {
        self.flows.spawn("reserve", keep_reserve(reserve, self.store.clone(), self.stop_flows.clone()));
        self.publishing.spawn("publisher", parts.publisher.clone().run(self.stop_publishing.clone()));
        let watch = alerts::Watch::new(parts.backend.clone(), &self.store, parts.publisher.clone());
        self.flows.spawn("alerts", watch.run(self.stop_flows.clone()));
        self.flows.spawn("alerting", telling.clone().run(self.stop_flows.clone()));
        for (name, worker) in telling.workers(&self.stop_flows) {
            self.flows.spawn(&name, worker);
        }
        self.send_traces(config)?;
        alerts::report_recovery(&self.store, &self.recovery, clock.now());
        parts.inbound.resume();
        self.flows.spawn("sweeps", parts.outbound.clone().run_sweeps(self.stop_flows.clone()));
        self.flows.spawn("senders", parts.outbound.clone().run_senders(self.stop_sending.clone()));
        let watch = reload::Watch::new(parts.reloading.clone(), parts.tables.clone());
        let keeper = Keeper::new(self.store.clone(), translate::retention(config), clock.clone());
        self.flows.spawn("retention", keeper.run(self.stop_flows.clone()));
        self.flows.spawn("reload", watch.run(self.stop_flows.clone()));
        let bench = match role {
            Role::Gateway => None,
            Role::Testbed(setting) => Some(self.play(setting, config, parts, clock).await?),
        };
        let (folder, tables) = (config.precheck.tables.display(), config::tables::describe(&config.precheck.codes));
        tracing::info!(%folder, %tables, "code tables of the pre-check");
        let router = self.console_router(config, parts, clock)?;
        self.serve(bound, (config, parts), router, bench, clock);
        let (as2, console) = (self.as2, self.console);
        tracing::info!(%as2, %console, partners = parts.directory.load().all().len(), "dxgate is ready");
        Ok(())
    }

    /// Completes when the store has failed: nothing can be acknowledged any more. If files failed the process must end
    /// and be started again; if only the index did, a new [`start`] in the same process is enough.
    pub async fn store_failed(&self) -> Failure {
        self.store.failed().await
    }

    /// What is in force by now and until the stop: the files may have been read again since the start.
    pub fn in_force(&self) -> InForce {
        InForce::new(&self.backend.reloading, &self.tables)
    }

    /// The store, for those who want to know how it ended.
    pub fn store(&self) -> Store {
        self.store.clone()
    }

    /// Stops in order; returns the names of tasks that did not end in time.
    pub async fn stop(self) -> Vec<String> {
        let mut late = Vec::new();
        let failed = self.store.poisoned().is_some();
        let (drain, last_steps) =
            if failed { (Default::default(), LAST_STEPS_FAILED) } else { (self.drain, LAST_STEPS) };
        let end = tokio::time::Instant::now() + drain;
        let left = || end.saturating_duration_since(tokio::time::Instant::now()) + last_steps;
        self.stop_listeners.trigger();
        // What began now would be cut off, and the partner may have it then; attempts in work have all of the time.
        self.stop_sending.trigger();
        self.backend.runs.interrupt();
        late.extend(self.listeners.join_all(left()).await);
        self.stop_flows.trigger();
        late.extend(self.flows.join_all(left()).await);
        self.stop_publishing.trigger();
        late.extend(self.publishing.join_all(left()).await);
        self.store.close().await;
        tracing::info!("dxgate has stopped");
        late
    }

    fn send_traces(&self, config: &Config) -> Result<(), StartError> {
        if let Some(otlp) = &config.telemetry.otlp {
            let station = config.station.as2_name.as_str();
            let exporter = telemetry::Exporter::new(otlp.as_str(), station, self.store.settled())?;
            self.flows.spawn("traces", exporter.run(self.stop_flows.clone()));
        }
        Ok(())
    }

    /// The console, and what it shows live.
    fn console_router(
        &mut self,
        config: &Config,
        parts: &Assembled,
        clock: &Arc<dyn Clock>,
    ) -> Result<axum::Router, StartError> {
        let settings = translate::access(config, self.console, &parts.reloading.console_names);
        let access = Arc::new(Access::open(settings, clock.clone())?);
        self.setup_file = access.setup_file();
        let events = Events::new(clock.now(), self.stop_listeners.clone());
        let live = live::Live::new(&parts.backend, events.clone());
        self.flows.spawn("live", live.run(self.stop_flows.clone()));
        Ok(crate::console::router(Arc::new(parts.backend.clone()), access, events))
    }
}

impl Running {
    /// Plays customs behind the endpoint, and lets programs of this machine change what it plays.
    async fn play(
        &mut self,
        setting: Setting,
        config: &Config,
        parts: &Assembled,
        clock: &Arc<dyn Clock>,
    ) -> Result<Bench, StartError> {
        let bench = Bench::new(setting.scenario);
        let (exchange, tables) = (&config.folders.exchange, parts.tables.clone());
        let responder = Responder::new(exchange, bench.clone(), tables, clock.clone(), config.limits);
        self.flows.spawn("responder", responder.run(self.stop_flows.clone()));
        if let Some(listen) = setting.control {
            let data = &config.folders.data;
            let listener = http::bind(listen).await?;
            let listen = listener.local_addr().map_err(|error| StartError::Internal(error.to_string()))?;
            let control = Control::open(bench.clone(), clock.clone(), data);
            let control = control.map_err(|error| StartError::Internal(error.to_string()))?;
            self.control = Some(testbed::control::Address { listen, token: data.join(testbed::control::TOKEN_FILE) });
            let (settings, stop) = (http::ServerSettings::default(), self.stop_listeners.clone());
            self.listeners.spawn("testbed-control", async move {
                http::serve(listener, None, Arc::new(control), settings, async move { stop.triggered().await }).await;
            });
        }
        Ok(bench)
    }

    /// Serves AS2, by way of the testbed's endpoint if it is one, and the console.
    fn serve(
        &self,
        bound: listeners::Bound,
        (config, parts): (&Config, &Assembled),
        router: axum::Router,
        bench: Option<Bench>,
        clock: &Arc<dyn Clock>,
    ) {
        let handler = endpoint::As2Endpoint::new(parts.inbound.clone(), parts.outbound.clone());
        let (around, shown) = ((config, &parts.http), &parts.reloading.shown);
        let (tasks, stop) = (&self.listeners, &self.stop_listeners);
        let Some(bench) = bench else {
            return bound.serve(around, (Arc::new(handler), router), shown, tasks, stop);
        };
        if let Some((tls, own, clients)) = shown.first_as2(&config.as2) {
            bench.serve(Server { tls, own, clients }, clock.now());
        }
        let surroundings = Surroundings {
            bench,
            station: config.station.clone(),
            directory: parts.directory.clone(),
            clock: clock.clone(),
            limits: config.limits,
            tasks: parts.tasks.clone(),
        };
        bound.serve(around, (Arc::new(Endpoint::new(handler, surroundings)), router), shown, tasks, stop);
    }
}

/// The parts that talk to each other.
struct Assembled {
    inbound: Inbound,
    outbound: Outbound,
    publisher: Publisher,
    directory: Arc<ArcSwap<Directory>>,
    tables: Arc<ArcSwap<CodeTables>>,
    reloading: Arc<Reloading>,
    tasks: Tasks,
    backend: GatewayBackend,
    http: http::HttpFigures,
}

fn assemble(
    config: &Arc<Config>,
    store: &Store,
    clock: &Arc<dyn Clock>,
    (recovery, stop_flows): (&RecoveryReport, &Shutdown),
    telling: &Telling,
) -> Result<Assembled, StartError> {
    let directory = Arc::new(ArcSwap::from_pointee(config.partners.clone()));
    let tables = Arc::new(ArcSwap::new(config.precheck.codes.clone()));
    let publisher = Publisher::new(store.clone(), &config.folders.exchange, clock.clone());
    let tasks = Tasks::new();
    let space = Space::new(&config.folders.data, config.server.free_space_floor);
    let outbound = Outbound::new(
        outbound::Parts {
            store: store.clone(),
            station: config.station.clone(),
            directory: directory.clone(),
            tables: tables.clone(),
            clock: clock.clone(),
            limits: config.limits,
        },
        translate::outbound(config),
    );
    let inbound = Inbound::new(
        inbound::Parts {
            store: store.clone(),
            station: config.station.clone(),
            directory: directory.clone(),
            clock: clock.clone(),
            limits: config.limits,
            tasks: tasks.clone(),
            stop: stop_flows.clone(),
        },
        translate::inbound(config, &space),
    );
    let shown = listeners::Shown::new(config, directory.clone(), clock.clone())?;
    let reloading = Reloading::new(config.clone(), directory.clone(), shown, store.clone(), clock.clone());
    let reloading = Arc::new(reloading);
    let backend = GatewayBackend::new(
        config.clone(),
        store.clone(),
        (outbound.clone(), inbound.clone(), tasks.clone()),
        reloading.clone(),
        clock.clone(),
        space,
        telling.clone(),
    );
    let http = http::HttpFigures::default();
    let metrics = Metrics::new(metrics::Sources {
        config: config.clone(),
        store: store.clone(),
        directory: directory.clone(),
        clock: clock.clone(),
        backend: backend.clone(),
        recovery: recovery.clone(),
        http: http.clone(),
        telling: telling.clone(),
    });
    let backend = backend.with(metrics);
    Ok(Assembled { inbound, outbound, publisher, directory, tables, reloading, tasks, backend, http })
}

/// Who is told of alerts, and what is remembered of that.
fn open_telling(config: &Config, store: &Store, clock: &Arc<dyn Clock>) -> Result<Telling, StartError> {
    Ok(Telling::open(alerting::Parts {
        store: store.clone(),
        clock: clock.clone(),
        station: config.station.as2_name.as_str().to_owned(),
        file: config.folders.data.join("alerts.json"),
        settings: config.alerts.clone(),
    })?)
}

/// Makes the reserve again whenever there is room for it.
async fn keep_reserve(reserve: Reserve, store: Store, shutdown: Shutdown) {
    while !shutdown.is_triggered() {
        let wanted = reserve.clone();
        let kept = drain::blocking(move || wanted.keep()).await;
        if let Ok(Err(error)) = kept {
            let error = store.judge_sync(error.into());
            tracing::warn!(%error, code = "no-reserve", "the reserve for a full disk cannot be made");
        }
        tokio::select! {
            () = tokio::time::sleep(RESERVE_EVERY) => {}
            () = shutdown.triggered() => {}
        }
    }
}

/// Folders exist, lie on a filesystem that keeps its promises, and can be renamed within; with the reserve given up
/// if there is no room to try.
fn prepare_folders(folders: &Folders, reserve: &Reserve) -> Result<(), StartError> {
    durable::create_dir_all(&folders.data)?;
    reserve.give_up_if_full()?;
    for folder in [&folders.data, &folders.exchange] {
        durable::create_dir_all(folder)?;
        check_filesystem(folder, folders.allow_any_filesystem)?;
        durable::probe(folder)?;
    }
    Ok(())
}

fn check_filesystem(folder: &Path, allow_any: bool) -> Result<(), StartError> {
    let kind = durable::filesystem_kind(folder)?;
    if kind.is_trusted() {
        return Ok(());
    }
    if allow_any {
        tracing::warn!(folder = %folder.display(), ?kind, "this filesystem may lose data in a power cut");
        return Ok(());
    }
    Err(StartError::Filesystem { folder: folder.to_owned(), kind: format!("{kind:?}") })
}

async fn open_store(config: &Arc<Config>, clock: &Arc<dyn Clock>) -> Result<(Store, RecoveryReport), StartError> {
    let settings = translate::store(config, clock.clone());
    let config = config.clone();
    let open = move || {
        let (store, recovery) = Store::open(settings)?;
        let kept = reload::keep_certificates(&store, &config.station.keys, &config.partners);
        kept.map_err(StartError::Certificate)?;
        Ok((store, recovery))
    };
    drain::blocking(open).await.map_err(|error| StartError::Internal(error.to_string()))?
}
