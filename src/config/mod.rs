//! The typed configuration of a home: `gateway.toml`, `partners/*.toml` and the key files they name.
//!
//! [`load`] checks everything and reports every problem at once, each with its file, line and key, in both languages,
//! with what to do about it. Keys that nobody knows are problems too: a misspelt setting must not be silently ignored.
//! Relative paths are relative to `gateway.toml`.
//!
//! - `text`, `document`: TOML with line numbers; collects problems and notices unknown keys
//! - [`quantity`]: `"90s"`, `"512MiB"`
//! - `gateway` (with `listeners`), `station`, `partner_file` (with `access` and `signature`): what each file may say
//! - [`home`]: a new one
//! - [`tables`]: code tables of the pre-check; `levels`: how much its findings weigh
//! - `reach`: the little that a client of the running gateway needs
//! - [`stamps`]: what tells a running gateway that files have changed
//! - `partners`: the folder of partner files, and reading it again

mod access;
mod add_info;
mod agreement;
mod alerts;
pub mod arrival;
mod document;
mod environment;
mod gateway;
pub mod home;
mod levels;
mod listeners;
mod material;
mod partner_file;
mod partners;
pub mod problem;
pub mod quantity;
mod reach;
mod signature;
pub mod stamps;
mod station;
pub mod tables;
mod text;
mod waivers;

pub use alerts::{AlertLevel, AlertSettings, CommandSettings, MailSecurity, MailSettings, WebhookSettings};
pub use environment::environment_at;
pub use partners::is_folder_name as is_partner_id;
pub use problem::{Problem, Problems, Severity};
pub use reach::{Reach, reach};
pub use stamps::Stamps;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::cms::Certificate;
use crate::declaration::precheck::Levels;
use crate::declaration::precheck::codes::CodeTables;
use crate::ground::limits::Limits;
use crate::ground::network::Network;
use crate::keys::TlsIdentity;
use crate::partner::{Directory, PartnerUrl, Proxy, Station};

/// Everything a gateway needs to know, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// The `gateway.toml` it was read from.
    pub file: PathBuf,
    /// Its folder; relative paths start here.
    pub home: PathBuf,
    /// Our side.
    pub station: Arc<Station>,
    /// Where things are kept.
    pub folders: Folders,
    /// The AS2 listener.
    pub as2: As2Settings,
    /// The console and API listener.
    pub console: ConsoleSettings,
    /// The way out to partners that name none of their own.
    pub proxy: Option<Proxy>,
    /// Revocation lists for the certificates of every partner: a file or a folder.
    pub revocation: Option<PathBuf>,
    /// How outboxes are watched.
    pub outbox: OutboxSettings,
    /// Caps on what peers may send.
    pub limits: Limits,
    /// Caps on connections, time and space.
    pub server: ServerSettings,
    /// What every pre-check stands on.
    pub precheck: PrecheckSettings,
    /// Delivery as a whole; each partner has its own schedule.
    pub delivery: DeliverySettings,
    /// How long things are kept.
    pub retention: RetentionSettings,
    /// Who is told what a person should know.
    pub alerts: AlertSettings,
    /// Where traces go.
    pub telemetry: TelemetrySettings,
    /// What production waits for.
    pub onboarding: OnboardingSettings,
    /// Logging.
    pub log: LogSettings,
    /// The partners, as they were when the gateway started.
    pub partners: Directory,
    /// What is allowed but unwise, and certificates that run out.
    pub warnings: Vec<Problem>,
    /// Every file and folder that the configuration names.
    pub files: BTreeSet<PathBuf>,
    /// How `file`, the folder of partner files and `files` were when they were read.
    pub stamps: Stamps,
}

/// `[folders]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folders {
    /// Journal, index, bodies.
    pub data: PathBuf,
    /// The users' folders, one per partner.
    pub exchange: PathBuf,
    /// Partner files.
    pub partners: PathBuf,
    /// Start on network and overlay filesystems as well, where a sync may mean little.
    pub allow_any_filesystem: bool,
}

/// `[precheck]`
#[derive(Debug, Clone)]
pub struct PrecheckSettings {
    /// Folder of code tables; it may be missing.
    pub tables: PathBuf,
    /// The built-in code lists and those of the folder, as they were when the gateway started.
    pub codes: Arc<CodeTables>,
    /// Levels of findings that differ from the default ones; a partner's own stand over them.
    pub levels: Levels,
    /// How the files of the folder were when they were read.
    pub stamps: Stamps,
}

/// `[as2]`
#[derive(Debug, Clone)]
pub struct As2Settings {
    /// Address and port.
    pub listen: SocketAddr,
    /// Path of the endpoint, with a leading slash.
    pub path: String,
    /// The endpoint as partners see it.
    pub public_url: Option<String>,
    /// Serve TLS ourselves; `None` behind a proxy that does.
    pub tls: Option<TlsIdentity>,
    /// What is asked of TLS clients.
    pub clients: Clients,
    /// Listeners besides this one, for the same path.
    pub listeners: Vec<ListenerSettings>,
    /// Proxies in front of the listeners whose `X-Forwarded-For` counts.
    pub trusted_proxies: Vec<Network>,
}

/// One AS2 listener.
#[derive(Debug, Clone)]
pub struct ListenerSettings {
    /// Address and port.
    pub listen: SocketAddr,
    /// Serve TLS ourselves.
    pub tls: Option<TlsIdentity>,
    /// What is asked of TLS clients.
    pub clients: Clients,
}

/// What a listener asks of TLS clients.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Clients {
    /// Whether they show a certificate.
    pub demand: ClientDemand,
    /// Whose signature on one counts, besides the certificates that partners handed over.
    pub issuers: Vec<Certificate>,
}

/// Whether a listener wants certificates from TLS clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientDemand {
    /// It does not ask.
    #[default]
    None,
    /// It asks; partners decide whether they insist.
    Ask,
    /// Nobody comes in without one, and it must be that of the partner who speaks.
    Require,
}

impl As2Settings {
    /// Whether other machines reach the endpoint: directly, or through a proxy that serves `public_url`.
    pub fn is_exposed(&self) -> bool {
        let public = self.public_url.as_deref().and_then(|url| PartnerUrl::parse(url).ok());
        let open = self.all_listeners().iter().any(|one| !one.listen.ip().is_loopback());
        open || public.is_some_and(|url| !url.is_loopback())
    }

    /// Every listener, this one first.
    pub fn all_listeners(&self) -> Vec<ListenerSettings> {
        let first = ListenerSettings { listen: self.listen, tls: self.tls.clone(), clients: self.clients.clone() };
        std::iter::once(first).chain(self.listeners.iter().cloned()).collect()
    }

    /// The same listeners, each with what `read`, a later reading of the file, says about TLS at its address. One whose
    /// address is not there, or is there more than once as port 0 may be, stays as it is: another's settings are not its
    /// own. So does one that has no TLS here or there.
    pub fn with_tls_of(&self, read: &As2Settings) -> As2Settings {
        let (ours, theirs) = (self.all_listeners(), read.all_listeners());
        let times = |all: &[ListenerSettings], at: SocketAddr| all.iter().filter(|one| one.listen == at).count();
        let mut now = ours.iter().map(|one| {
            let alone = times(&ours, one.listen) == 1 && times(&theirs, one.listen) == 1;
            let found = theirs.iter().find(|other| alone && other.listen == one.listen && other.tls.is_some());
            found.filter(|_| one.tls.is_some()).unwrap_or(one).clone()
        });
        let Some(ListenerSettings { listen, tls, clients }) = now.next() else { return self.clone() };
        As2Settings { listen, tls, clients, listeners: now.collect(), ..self.clone() }
    }

    /// Some listener asks its clients for certificates.
    pub fn asks_clients(&self) -> bool {
        self.all_listeners().iter().any(|one| one.tls.is_some() && one.clients.demand != ClientDemand::None)
    }
}

/// `[console]`
#[derive(Debug, Clone)]
pub struct ConsoleSettings {
    /// Address and port.
    pub listen: SocketAddr,
    /// File with the API token; made at the first start.
    pub token_file: PathBuf,
    /// Whoever is on this machine reads `/metrics` without the token.
    pub open_metrics: bool,
    /// Requests a minute with one API token.
    pub token_rate: u32,
    /// File with users and API tokens; made when the first user is.
    pub users_file: PathBuf,
    /// Names by which the console may be reached, besides `localhost`, addresses and those of its certificate.
    pub hosts: Vec<String>,
    /// Serve TLS ourselves.
    pub tls: Option<TlsIdentity>,
}

/// `[outbox]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxSettings {
    /// Pause between two looks at the outboxes.
    pub sweep: Duration,
    /// A file is taken once its size and time have not changed for this long.
    pub settle: Duration,
    /// Names that are never taken; `*` stands for any run of characters. Dotfiles never are.
    pub ignore: Vec<String>,
}

/// `[limits]`, the part about the server itself; what concerns messages is in [`Limits`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSettings {
    /// Bodies up to this size live in the journal; larger ones are streamed into files.
    pub inline: u64,
    /// Connections at the same time.
    pub connections: usize,
    /// Connections at the same time from one address.
    pub connections_per_ip: usize,
    /// Messages from one address that may fail to open in an hour; 0: any number.
    pub failures_per_ip: usize,
    /// Messages in the name of one partner that may; 0: any number.
    pub failures_per_partner: usize,
    /// Time for a request's head.
    pub header_timeout: Duration,
    /// Time without any byte before a connection is closed.
    pub idle_timeout: Duration,
    /// Bytes a second below which a body is given up.
    pub body_min_rate: u64,
    /// Time for a whole body, however fast it comes.
    pub body_timeout: Duration,
    /// Free bytes on the data filesystem below which nothing new is accepted.
    pub free_space_floor: u64,
    /// Bytes of a file that is given up when a start finds the disk full; 0: none.
    pub reserve: u64,
    /// Time for running work to end after a stop signal.
    pub shutdown: Duration,
}

/// `[delivery]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliverySettings {
    /// Messages in work at the same time, over all partners.
    pub workers: usize,
}

/// `[retention]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionSettings {
    /// Finished messages with wire, MDN and history, and the memory of their Message-IDs.
    pub evidence: Duration,
    /// The bytes of payloads.
    pub payload: Duration,
}

/// `[telemetry]`
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TelemetrySettings {
    /// Base URL of an OTLP collector; none: no traces.
    pub otlp: Option<PartnerUrl>,
}

/// `[onboarding]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnboardingSettings {
    /// The home with the dossier: that of the test environment, as a rule.
    pub home: PathBuf,
    /// Production waits for a whole dossier even when none was begun.
    pub required: bool,
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// Shape of a line.
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug` or `trace`, or a `tracing` filter.
    pub level: String,
}

/// Shape of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

/// The folder of `gateway.toml`, to which the paths in it are relative.
pub fn home_of(file: &Path) -> &Path {
    file.parent().unwrap_or(Path::new(""))
}

/// Where passphrases named by `…_env` keys come from: the process environment, or a table in tests.
pub type Environment<'e> = &'e dyn Fn(&str) -> Option<String>;

/// Reads and checks a whole home.
///
/// # Errors
/// Every problem found, with the warnings beside them.
pub fn load(file: &Path, environment: Environment<'_>, now: Timestamp) -> Result<Config, Problems> {
    gateway::load(file, environment, now)
}

/// The outcome of reading the files again.
#[derive(Debug)]
pub struct Reload {
    /// What `gateway.toml` says about keys, certificates and the way out; `None` when it has a mistake.
    pub gateway: Option<GatewayReload>,
    /// The directory to use from now on. A file with problems leaves its old partner in place.
    pub partners: Directory,
    /// What kept files from being taken, and warnings.
    pub problems: Vec<Problem>,
    /// Every file and folder that the files name.
    pub files: BTreeSet<PathBuf>,
}

/// The part of `gateway.toml` that changes while the gateway runs.
#[derive(Debug)]
pub struct GatewayReload {
    /// Our side; only its keys count.
    pub station: Station,
    /// The listeners; only what they show and ask for counts.
    pub as2: As2Settings,
    /// What the console shows.
    pub console_tls: Option<TlsIdentity>,
    /// The way out to partners that name none of their own.
    pub proxy: Option<Proxy>,
    /// Revocation lists for the certificates of every partner.
    pub revocation: Option<PathBuf>,
    /// Levels of the pre-check that all partners begin with.
    pub levels: Levels,
    /// Tables that say something else than at the start and are taken at the next one.
    pub restart: Vec<&'static str>,
}

/// Reads the files again, for a gateway that was started with `config`, works with the partners `old` and has taken
/// `standing` since: by that partner files are judged while `gateway.toml` has a mistake.
pub fn reload(
    config: &Config,
    (old, standing): (&Directory, Option<&GatewayReload>),
    environment: Environment<'_>,
    now: Timestamp,
) -> Reload {
    reload_judged(config, (old, standing), environment, now, &mut |_| None)
}

/// Finds what makes a `gateway.toml` without mistakes unusable all the same, as only the layers above can tell.
pub type Judge<'j> = &'j mut dyn FnMut(&GatewayReload) -> Option<Problem>;

/// The same as [`reload`]; what `judge` finds counts like a mistake in `gateway.toml`.
pub fn reload_judged(
    config: &Config,
    (old, standing): (&Directory, Option<&GatewayReload>),
    environment: Environment<'_>,
    now: Timestamp,
    judge: Judge<'_>,
) -> Reload {
    gateway::reload(config, (old, standing), environment, now, judge)
}

#[cfg(test)]
mod tests;
