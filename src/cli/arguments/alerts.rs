//! Arguments of `alerts …`.

use clap::{Args, Subcommand};

use super::duration;
use crate::ground::id::Id;

/// `alerts …`.
#[derive(Debug, Subcommand)]
pub enum AlertsCommand {
    /// List open alerts: conditions of the gateway, then messages, newest first
    List(AlertArguments),
    /// Note that somebody has seen an alert, and why it needs nothing more
    Acknowledge {
        /// The alert's id, as listed
        id: String,
        /// Why; kept in the journal
        #[arg(long, short)]
        reason: String,
    },
    /// Tell nobody about some alerts for a while; they stay in the list and in the log
    Silence(SilenceArguments),
    /// List the silences that last
    Silences,
    /// End a silence before its time
    Unsilence {
        /// The silence's id, as listed
        id: String,
        /// Why; kept in the log
        #[arg(long, short)]
        reason: String,
    },
    /// Send a test by every channel of `[alerts]`
    Test {
        /// Only by this one: mail, command, or the name of a webhook
        #[arg(long)]
        channel: Option<String>,
    },
}

/// `alerts silence`.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("end").required(true).args(["until", "for_"])))]
pub struct SilenceArguments {
    /// Only alerts with this code
    #[arg(long)]
    pub code: Option<String>,
    /// Only alerts about this partner
    #[arg(long, short)]
    pub partner: Option<String>,
    /// Until this instant, such as 2026-12-01T08:00:00+08:00
    #[arg(long)]
    pub until: Option<jiff::Timestamp>,
    /// For so long from now, such as 2h or 3d
    #[arg(long = "for", value_parser = duration)]
    pub for_: Option<std::time::Duration>,
    /// Why; kept with the silence
    #[arg(long, short)]
    pub reason: String,
}

/// `alerts list`.
#[derive(Debug, Args)]
pub struct AlertArguments {
    /// Only those about this partner
    #[arg(long, short)]
    pub partner: Option<String>,
    /// Of at most so many messages
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=500))]
    pub limit: u16,
    /// Only those about messages older than this one
    #[arg(long)]
    pub before: Option<Id>,
    /// Show it again and again, every 2 seconds or as given
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2")]
    pub watch: Option<u16>,
}
