//! Arguments of `connectivity …`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Target, kebab, loopback};
use crate::ground::id::Id;
use crate::partner::EnvironmentName;

/// `connectivity …`.
#[derive(Debug, Subcommand)]
pub enum ConnectivityCommand {
    /// Run a plan of the connectivity test against the test environment
    Run(RunArguments),
    /// Start a testbed on this machine and run a plan against it
    Rehearse(RehearseArguments),
    /// Write the report of a run in the official form, and file both in the dossier
    Report {
        /// The run's id, or `last`
        run: RunName,
        /// Where and how it is written.
        #[command(flatten)]
        target: Target,
    },
    /// List runs, newest first
    List,
    /// Show a run: its cases, what was seen, and what to ask
    Show {
        /// The run's id, or `last`
        run: RunName,
        /// Follow a run of the running gateway until it ends: its cases, and what becomes of its messages
        #[arg(long)]
        watch: bool,
    },
}

/// `connectivity run`.
#[derive(Debug, Args)]
pub struct RunArguments {
    /// The plan (see config/connectivity/)
    pub plan: PathBuf,
    /// The environment that the configuration must be of
    #[arg(long, value_name = "NAME", value_parser = kebab::<EnvironmentName>)]
    pub env: Option<EnvironmentName>,
    /// Go on with an interrupted run: its id, or `last`
    #[arg(long, value_name = "RUN")]
    pub resume: Option<RunName>,
    /// Who tests, for the report
    #[arg(long, value_name = "NAME")]
    pub tester: Option<String>,
    /// Where, for the report
    #[arg(long, value_name = "PLACE")]
    pub place: Option<String>,
}

/// `connectivity rehearse`.
#[derive(Debug, Args)]
pub struct RehearseArguments {
    /// The plan (see config/connectivity/)
    pub plan: PathBuf,
    /// What the testbed answers, as in config/scenario.example.toml; without it everything goes well
    #[arg(long, value_name = "FILE")]
    pub scenario: Option<PathBuf>,
    /// Let programs of this machine change what the testbed answers here, such as 127.0.0.1:0
    #[arg(long, value_name = "ADDRESS", value_parser = loopback)]
    pub control: Option<SocketAddr>,
    /// Make the two homes below this (new or empty) folder instead of a temporary one
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// The DXPID in the enterprise's own files, if the plan names any
    #[arg(long)]
    pub dxpid: Option<String>,
}

/// A run by its id, or the newest one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunName {
    /// The newest.
    Last,
    /// This one.
    Id(Id),
}

impl std::str::FromStr for RunName {
    type Err = String;

    fn from_str(text: &str) -> Result<RunName, String> {
        if text == "last" {
            return Ok(RunName::Last);
        }
        text.parse().map(RunName::Id).map_err(|_| "a run's id or `last` is expected".to_owned())
    }
}
