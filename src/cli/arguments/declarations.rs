//! Arguments of `declarations …`.

use clap::{Args, Subcommand};

use super::kebab;
use crate::declaration::standing::Standing;

/// `declarations …`.
#[derive(Debug, Subcommand)]
pub enum DeclarationsCommand {
    /// List documents, newest message first
    List(StandingArguments),
    /// Show the documents with a number: orderNo, copNo, invtNo, logisticsNo and the like
    Show {
        /// The number
        key: String,
        /// Go on where the page before ended
        #[arg(long)]
        before: Option<String>,
    },
}

/// `declarations list`.
#[derive(Debug, Args)]
pub struct StandingArguments {
    /// Only those that stand so: waiting, in-progress, accepted, released, rejected, error
    #[arg(long, value_parser = kebab::<Standing>)]
    pub status: Option<Standing>,
    /// Only those with this number: orderNo, copNo, invtNo, logisticsNo and the like
    #[arg(long)]
    pub key: Option<String>,
    /// Only those of this partner
    #[arg(long, short)]
    pub partner: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=500))]
    pub limit: u16,
    /// Go on where the page before ended
    #[arg(long)]
    pub before: Option<String>,
    /// Show it again and again, every 2 seconds or as given
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2")]
    pub watch: Option<u16>,
}
