//! Arguments of `cert import`, `cert rotate`, and of certificate exchange.

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;

use crate::cli::failure::Failure;
use crate::ground::id::Id;
use crate::ground::secret::Secret;

/// `cert import`.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("whose").required(true).args(["partner", "key"])))]
pub struct ImportArguments {
    /// The certificate, PEM or DER
    #[arg(value_name = "FILE")]
    pub certificate: PathBuf,
    /// It is this partner's
    #[arg(long, short)]
    pub partner: Option<String>,
    /// It is ours, and this is its private key
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// What a partner's certificate is for: verify, encrypt, tls, client, carried [default: verify and encrypt]
    #[arg(long = "use", value_delimiter = ',', requires = "partner", value_parser = ["verify", "encrypt", "tls", "client", "carried"])]
    pub uses: Vec<String>,
    /// Used from this instant, such as 2026-12-01T00:00:00+08:00 [default: while it is valid]
    #[arg(long)]
    pub from: Option<Timestamp>,
    /// Used until this instant
    #[arg(long)]
    pub until: Option<Timestamp>,
    /// File with the passphrase of the key
    #[arg(long, value_name = "FILE", requires = "key")]
    pub passphrase_file: Option<PathBuf>,
    /// Environment variable with that passphrase, also for the gateway
    #[arg(long, value_name = "NAME", requires = "key", conflicts_with = "passphrase_file")]
    pub passphrase_env: Option<String>,
}

/// `cert rotate`.
#[derive(Debug, Args)]
pub struct RotateArguments {
    /// The new key signs from this instant [default: in 14 days, or when the key ends that signs now]
    #[arg(long)]
    pub from: Option<Timestamp>,
    /// Common name of the certificate [default: the station's AS2 name]
    #[arg(long)]
    pub common_name: Option<String>,
    /// Organization of the certificate
    #[arg(long)]
    pub organization: Option<String>,
    /// Bits of the key: 2048, 3072 or 4096 for RSA; 256 or 384 for EC on P-256 or P-384
    #[arg(long, default_value_t = 3072)]
    pub bits: u32,
    /// Days of validity
    #[arg(long, default_value_t = 1095)]
    pub days: u32,
    /// File with the passphrase that encrypts the key, also for the gateway
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// Environment variable with that passphrase, also for the gateway
    #[arg(long, value_name = "NAME", conflicts_with = "passphrase_file")]
    pub passphrase_env: Option<String>,
}

/// `cert request`.
#[derive(Debug, Args)]
pub struct RequestArguments {
    /// Partners, one request for each
    #[arg(value_name = "PARTNER", required = true)]
    pub partners: Vec<String>,
    /// What they shall use it for: verify, encrypt, tls (our AS2 server), client (we at their server) [default: verify and encrypt]
    #[arg(long = "use", value_delimiter = ',', value_parser = ["verify", "encrypt", "tls", "client"])]
    pub uses: Vec<String>,
    /// Of our keys the one whose fingerprint begins so [default: the newest that fits the agreement]
    #[arg(long)]
    pub fingerprint: Option<String>,
    /// Until when an answer is wanted [default: when the key begins to sign, or in 14 days]
    #[arg(long)]
    pub respond_by: Option<Timestamp>,
    /// Why; kept in the journal
    #[arg(long, short)]
    pub reason: Option<String>,
}

/// `cert accept`.
#[derive(Debug, Args)]
pub struct AcceptArguments {
    /// The exchange, as cert exchanges shows it
    pub id: Id,
    /// Only the certificates whose fingerprints begin so; the others are rejected
    #[arg(long, value_name = "FINGERPRINT", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Why; kept in the journal, and told to the partner of those that are rejected
    #[arg(long, short)]
    pub reason: Option<String>,
}

type Environment<'e> = &'e dyn Fn(&str) -> Option<String>;

impl ImportArguments {
    /// The passphrase of the key; an empty one is refused rather than taken for none.
    pub(in crate::cli) fn passphrase(&self, environment: Environment<'_>) -> Result<Option<Secret<String>>, Failure> {
        super::passphrase(self.passphrase_file.as_deref(), self.passphrase_env.as_deref(), environment)
    }
}

impl RotateArguments {
    /// The same.
    pub(in crate::cli) fn passphrase(&self, environment: Environment<'_>) -> Result<Option<Secret<String>>, Failure> {
        super::passphrase(self.passphrase_file.as_deref(), self.passphrase_env.as_deref(), environment)
    }
}
