//! The command tree. The names are a contract with scripts; options may be added.

mod alerts;
pub mod cert;
mod connectivity;
mod declarations;
mod messages;
mod onboarding;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use self::alerts::{AlertArguments, AlertsCommand, SilenceArguments};
pub use self::connectivity::{ConnectivityCommand, RehearseArguments, RunArguments, RunName};
pub use self::declarations::{DeclarationsCommand, StandingArguments};
pub use self::messages::{
    ActionArguments, ExportArguments, ListArguments, MessagesCommand, ReleaseArguments, VerifyArguments,
};
pub use self::onboarding::{
    AdvanceArguments, Annex, CalendarArguments, Days, DocumentArguments, IssueArguments, Issuing, OnboardingCommand,
    RunSource, SetArguments, Target,
};
use super::cert::{GenerateTarget, Purpose};
use super::demo::DemoOptions;
use super::exit_code::ExitCode;
use super::failure::Failure;
use super::people::{AuditCommand, TokenCommand, UserCommand};
use crate::bilingual;
use crate::config::home::HomePlan;
use crate::declaration::dsig::Algorithm;
use crate::ground::id::Id;
use crate::ground::secret::Secret;
use crate::keys::generate::KeyRequest;

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "dxgate",
    version,
    about = "AS2 gateway to the customs data exchange platform and to any AS2 partner",
    after_help = "Exit codes: 0 done; 1 the answer is no; 2 wrong usage or configuration; 3 gateway or file not reachable",
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
pub struct Arguments {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
pub struct Global {
    /// The gateway's configuration file
    #[arg(long, global = true, env = "DXGATE_CONFIG", value_name = "FILE", default_value = "gateway.toml")]
    pub config: PathBuf,
    /// Output for people or for programs
    #[arg(long, global = true, value_enum, default_value_t = Format::Human)]
    pub format: Format,
    /// Language of texts for people, zh-CN or en [default: the locale]
    #[arg(long, global = true, value_name = "TAG", value_parser = ["zh-CN", "en"])]
    pub lang: Option<String>,
}

/// Form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Text and tables in the reader's language.
    Human,
    /// JSON, the same in every language.
    Json,
    /// SARIF 2.1.0, of `precheck` only.
    Sarif,
    /// JUnit XML, of `precheck` and `connectivity` only.
    Junit,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create a runnable home: configuration, keys, folders
    Init(InitArguments),
    /// Run the gateway
    Serve,
    /// Run gateway and testbed on this machine and exchange sample declarations
    Demo(DemoOptions),
    /// Run the customs side alone, for tests
    Testbed {
        /// What it answers, as in config/scenario.example.toml; without it every declaration ends well
        #[arg(long, value_name = "FILE")]
        scenario: Option<PathBuf>,
        /// Let programs of this machine read and change the scenario here (GET and PUT /scenario), such as 127.0.0.1:0
        #[arg(long, value_name = "ADDRESS", value_parser = loopback)]
        control: Option<SocketAddr>,
    },
    /// The connectivity test: run plans and show runs
    #[command(subcommand)]
    Connectivity(ConnectivityCommand),
    /// Check declarations, envelopes or folders of them
    Precheck(PrecheckArguments),
    /// The application form for the data-exchange interface
    #[command(subcommand)]
    Form(FormCommand),
    /// The road from the application to production: what is on file, what is next, the annexes
    #[command(subcommand)]
    Onboarding(OnboardingCommand),
    /// Hand a file to the running gateway
    Send(SendArguments),
    /// See and steer messages of the running gateway
    #[command(subcommand)]
    Messages(MessagesCommand),
    /// What customs says about the documents that were sent
    #[command(subcommand)]
    Declarations(DeclarationsCommand),
    /// What a person should know: list and acknowledge
    #[command(subcommand)]
    Alerts(AlertsCommand),
    /// Partners as configured
    #[command(subcommand)]
    Partner(PartnerCommand),
    /// Keys and certificates
    #[command(subcommand)]
    Cert(CertCommand),
    /// What waits, and for whom
    Queue {
        /// Show it again and again, every 2 seconds or as given
        #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2")]
        watch: Option<u16>,
    },
    /// Who changed what: list and verify
    #[command(subcommand)]
    Audit(AuditCommand),
    /// The console's users
    #[command(subcommand)]
    User(UserCommand),
    /// Tokens of programs that use the API
    #[command(subcommand)]
    Token(TokenCommand),
    /// Check configuration, keys and folders
    Doctor,
    /// Back up the running gateway
    Backup(BackupArguments),
    /// Make a home out of a backup; what was open waits for a person
    Restore(RestoreArguments),
    /// Write completions for a shell to standard output
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Write manual pages into a folder
    Man {
        /// A new or existing folder
        dir: PathBuf,
    },
}

/// `init`.
#[derive(Debug, Args)]
pub struct InitArguments {
    /// An empty or new folder
    pub dir: PathBuf,
    /// The DXPID issued by customs
    #[arg(long)]
    pub dxpid: Option<String>,
    /// Our AS2 name [default: the DXPID, else DXGATE]
    #[arg(long)]
    pub as2_name: Option<String>,
    /// A name for people, such as the company's
    #[arg(long)]
    pub name: Option<String>,
    /// Address of the AS2 listener
    #[arg(long, default_value = "127.0.0.1:4080")]
    pub as2_listen: SocketAddr,
    /// Address of the console and its API
    #[arg(long, default_value = "127.0.0.1:4081")]
    pub console_listen: SocketAddr,
    /// Bits of the RSA key
    #[arg(long, default_value_t = 3072)]
    pub key_bits: u32,
}

impl InitArguments {
    pub(super) fn plan(&self) -> HomePlan {
        let as2_name = self.as2_name.clone().or_else(|| self.dxpid.clone());
        HomePlan {
            dxpid: self.dxpid.clone(),
            as2_name: as2_name.unwrap_or_else(|| "DXGATE".to_owned()),
            name: self.name.clone(),
            as2_listen: self.as2_listen,
            console_listen: self.console_listen,
            key_bits: self.key_bits,
        }
    }
}

/// `precheck`.
#[derive(Debug, Args)]
pub struct PrecheckArguments {
    /// Files, folders whose .xml files are checked, or - for standard input
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Check as the outbox of this partner would: its edition, levels, receivers and signature, our DXPID
    #[arg(long, short, value_name = "ID")]
    pub partner: Option<String>,
    /// The DXPID that the declarations must carry
    #[arg(long)]
    pub dxpid: Option<String>,
    /// Edition of the specification [default: the one in force]
    #[arg(long)]
    pub edition: Option<String>,
    /// Folder with code tables: country, currency, customs, port, hs, unit, trafmode (.csv, code in the first column)
    #[arg(long, value_name = "DIR")]
    pub tables: Option<PathBuf>,
    /// Exit 1 for warnings too
    #[arg(long)]
    pub strict: bool,
}

/// `form …`.
#[derive(Debug, Subcommand)]
pub enum FormCommand {
    /// Check a form and its attachments before it is typed into the portal
    Check(FormArguments),
}

/// `form check`.
#[derive(Debug, Args)]
pub struct FormArguments {
    /// The form (see config/form.example.toml); attachments start at its folder
    pub file: PathBuf,
}

/// `send`.
#[derive(Debug, Args)]
pub struct SendArguments {
    /// The file
    pub file: PathBuf,
    /// The partner's id
    #[arg(long, short)]
    pub partner: String,
    /// File name for the partner [default: the file's own]
    #[arg(long)]
    pub name: Option<String>,
    /// Wait until the message is settled; exit 1 when it was not delivered
    #[arg(long)]
    pub wait: bool,
    /// Longest wait, such as 90s, 10m or 2h
    #[arg(long, default_value = "30m", value_parser = duration, requires = "wait")]
    pub timeout: Duration,
}

/// `backup`.
#[derive(Debug, Args)]
pub struct BackupArguments {
    /// A new folder on the gateway's machine, or one with an earlier backup of it
    pub dir: PathBuf,
    /// With private keys, as encrypted as they are; passphrase files are never in it
    #[arg(long)]
    pub with_keys: bool,
}

/// `restore`.
#[derive(Debug, Args)]
pub struct RestoreArguments {
    /// The backup
    pub dir: PathBuf,
    /// The home to be made [default: the folder of --config]
    #[arg(long, value_name = "HOME")]
    pub to: Option<PathBuf>,
}

/// `partner …`.
#[derive(Debug, Subcommand)]
pub enum PartnerCommand {
    /// List partners
    List,
    /// Check a partner's configuration and certificates
    Check {
        /// The partner's id; all when absent
        id: Option<String>,
    },
    /// How it stands with the partners of the running gateway
    Status {
        /// Show it again and again, every 2 seconds or as given
        #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2")]
        watch: Option<u16>,
    },
    /// Send nothing to a partner until it is resumed, restarts included
    Pause(PauseArguments),
    /// Send to a partner again
    Resume(PauseArguments),
    /// Have the running gateway read the partner files now
    Reload,
}

/// `partner pause` and `partner resume`.
#[derive(Debug, Args)]
pub struct PauseArguments {
    /// The partner's id
    pub id: String,
    /// Why; kept in the journal
    #[arg(long, short)]
    pub reason: String,
}

/// `cert …`.
#[derive(Debug, Subcommand)]
pub enum CertCommand {
    /// List the configured keys and certificates with their validity
    List,
    /// Certificates as the running gateway uses them, those that end first come first
    Status {
        /// Show it again and again, every 2 seconds or as given
        #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2")]
        watch: Option<u16>,
    },
    /// Make a key and a self-signed certificate
    Generate(GenerateArguments),
    /// Take a partner's certificate, or one of ours with its key, into the home and its configuration
    Import(cert::ImportArguments),
    /// Make a key that follows the one we sign with, and configure it
    Rotate(cert::RotateArguments),
    /// Certificates that one side asked the other to trust (CEM), with fingerprints
    Exchanges {
        /// Those that are answered too
        #[arg(long)]
        all: bool,
    },
    /// Ask partners to trust certificates of ours (CEM); until one accepts, the old key signs for it
    Request(cert::RequestArguments),
    /// Trust the certificates that a partner asked for, beside those it has, and tell it
    Accept(cert::AcceptArguments),
    /// Tell a partner that the certificates it asked for are not trusted, and why
    Reject {
        /// The exchange, as cert exchanges shows it
        id: Id,
        /// Why; the partner reads it
        #[arg(long, short)]
        reason: String,
    },
}

/// `cert generate`.
#[derive(Debug, Args)]
pub struct GenerateArguments {
    /// Common name of the certificate
    #[arg(long)]
    pub common_name: String,
    /// Organization of the certificate
    #[arg(long)]
    pub organization: Option<String>,
    /// DNS names or addresses, for a TLS certificate
    #[arg(long = "host")]
    pub hosts: Vec<String>,
    /// A key that signs declarations, for tests; customs issues the real ones [default: sm2]
    #[arg(long, value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "sm2", value_name = "KIND")]
    pub declarations: Option<DeclarationKey>,
    /// An SM2 key for messages, for agreements with sign = "sm2" or encrypt = "sm4-cbc"
    #[arg(long, conflicts_with_all = ["declarations", "bits", "hosts"])]
    pub sm2: bool,
    /// Bits of the key: 2048, 3072 or 4096 for RSA; 256 or 384 for EC on P-256 or P-384
    #[arg(long, default_value_t = 3072)]
    pub bits: u32,
    /// Days of validity
    #[arg(long, default_value_t = 1095)]
    pub days: u32,
    /// File of the certificate; the key gets the same name with .key
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// File with the passphrase that encrypts the key
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// Environment variable with that passphrase
    #[arg(long, value_name = "NAME", conflicts_with = "passphrase_file")]
    pub passphrase_env: Option<String>,
}

/// Kind of a key that signs declarations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DeclarationKey {
    /// SM2 with SM3.
    Sm2,
    /// RSA with SHA-1.
    RsaSha1,
}

impl GenerateArguments {
    pub(super) fn purpose(&self) -> Purpose {
        match self.declarations {
            None if self.sm2 => Purpose::Sm2Messages,
            None => Purpose::Messages,
            Some(DeclarationKey::Sm2) => Purpose::Declarations(Algorithm::Sm2Sm3),
            Some(DeclarationKey::RsaSha1) => Purpose::Declarations(Algorithm::RsaSha1),
        }
    }

    pub(super) fn request(&self) -> KeyRequest {
        KeyRequest {
            common_name: self.common_name.clone(),
            organization: self.organization.clone(),
            hosts: self.hosts.clone(),
            bits: self.bits,
            days: self.days,
        }
    }

    pub(super) fn target(&self) -> GenerateTarget {
        GenerateTarget { certificate: self.out.clone(), key: self.out.with_extension("key") }
    }

    /// The passphrase; an empty one is refused rather than taken for none.
    pub(super) fn passphrase(
        &self,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<Secret<String>>, Failure> {
        passphrase(self.passphrase_file.as_deref(), self.passphrase_env.as_deref(), environment)
    }
}

/// The passphrase that is in a file or in a variable.
fn passphrase(
    file: Option<&Path>,
    variable: Option<&str>,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<Secret<String>>, Failure> {
    let text = match (file, variable) {
        (None, None) => return Ok(None),
        (Some(file), _) => std::fs::read_to_string(file).map_err(|error| Failure::file(file, &error))?,
        (None, Some(name)) => environment(name).unwrap_or_default(),
    };
    let secret = Secret::new(text.trim_end_matches(['\r', '\n']).to_owned());
    if secret.expose().is_empty() {
        let text =
            bilingual!("口令为空；请检查口令文件或环境变量", "the passphrase is empty; check its file or variable");
        return Err(Failure::new(ExitCode::Usage, "empty-passphrase", text));
    }
    Ok(Some(secret))
}

/// A value by its kebab-case name, as in the API.
pub(super) fn kebab<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(serde_json::Value::String(text.to_owned())).map_err(|error| error.to_string())
}

/// An address of this machine alone.
pub(super) fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|_| "an address and port are expected, such as 127.0.0.1:0")?;
    address.ip().is_loopback().then_some(address).ok_or_else(|| "only an address of this machine is allowed".to_owned())
}

/// `90s`, `10m`, `2h`, `3d`.
fn duration(text: &str) -> Result<Duration, String> {
    let unknown = || "a number with s, m, h or d is expected, such as 90s".to_owned();
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(unknown)?;
    let number: u64 = number.parse().map_err(|_| unknown())?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86400,
        _ => return Err(unknown()),
    };
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(unknown)
}
