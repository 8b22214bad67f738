//! The arguments of `dxgate messages …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::Timestamp;

use super::kebab;
use crate::ground::id::Id;
use crate::store::record::{Direction, State};

/// `messages …`.
#[derive(Debug, Subcommand)]
pub enum MessagesCommand {
    /// List messages, newest first
    List(ListArguments),
    /// Show one message with its history
    Show {
        /// The message
        id: Id,
    },
    /// Try again now, with the same bytes
    Retry(ActionArguments),
    /// Do not send until released
    Hold(ActionArguments),
    /// Let a held message go on, or all that a restore has held
    Release(ReleaseArguments),
    /// Never send it
    Cancel(ActionArguments),
    /// Keep everything of it, whatever the retention says
    LegalHold(ActionArguments),
    /// Let it expire again
    LegalRelease(ActionArguments),
    /// Write the evidence of a message into a folder, for anyone to verify
    Export(ExportArguments),
    /// Verify a message, an exported folder, or the whole journal
    Verify(VerifyArguments),
    /// Send the payload again as a new business message, with a new Message-ID
    Resend(ActionArguments),
}

/// `messages list`.
#[derive(Debug, Args)]
pub struct ListArguments {
    /// Only those in this state; several with commas
    #[arg(long, value_parser = kebab::<State>, value_delimiter = ',')]
    pub state: Vec<State>,
    /// Only outbound or inbound ones
    #[arg(long, value_parser = kebab::<Direction>)]
    pub direction: Option<Direction>,
    /// Only those with this partner
    #[arg(long, short)]
    pub partner: Option<String>,
    /// Only those whose file name, Message-ID or a business key begins with this
    #[arg(long)]
    pub text: Option<String>,
    /// Only those that came to be at this instant or later, such as 2026-01-31T08:00:00+08:00
    #[arg(long)]
    pub from: Option<Timestamp>,
    /// Only those that came to be before this instant
    #[arg(long)]
    pub to: Option<Timestamp>,
    /// Only those whose file name contains this
    #[arg(long)]
    pub name: Option<String>,
    /// Only the one with this AS2 Message-ID
    #[arg(long)]
    pub message_id: Option<String>,
    /// Only those that wait for a person since a restore from a backup
    #[arg(long)]
    pub restored: bool,
    /// At most so many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=500))]
    pub limit: u16,
    /// Only those older than this message
    #[arg(long)]
    pub before: Option<Id>,
    /// Show it again and again, every 2 seconds or as given
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2")]
    pub watch: Option<u16>,
}

/// `messages release`.
#[derive(Debug, Args)]
pub struct ReleaseArguments {
    /// The message
    #[arg(required_unless_present = "all_restored", conflicts_with = "all_restored")]
    pub id: Option<Id>,
    /// Everything that a restore from a backup has held
    #[arg(long)]
    pub all_restored: bool,
    /// Why; kept in the journal
    #[arg(long, short)]
    pub reason: String,
}

/// `messages export`.
#[derive(Debug, Args)]
pub struct ExportArguments {
    /// The message
    pub id: Id,
    /// A new or empty folder on the gateway's machine
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// `messages verify`.
#[derive(Debug, Args)]
pub struct VerifyArguments {
    /// A message, or an exported folder
    #[arg(required_unless_present = "all", conflicts_with = "all", value_name = "ID|DIR")]
    pub what: Option<String>,
    /// The whole journal and every body
    #[arg(long)]
    pub all: bool,
}

/// `messages retry` and the like.
#[derive(Debug, Args)]
pub struct ActionArguments {
    /// The message
    pub id: Id,
    /// Why; kept in the journal
    #[arg(long, short)]
    pub reason: String,
}
