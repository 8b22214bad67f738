//! Layer 8: telling people. Every alert that the store announces goes to each configured channel once, again while it
//! goes on, and when it has ended. `docs/alerts.md` is the same for people.
//!
//! ```text
//! Alerts::subscribe ─┐                       ┌─ worker of a webhook ─ webhook ─ POST, signed
//! open ones at start ┼→ Telling → ledger ────┼─ worker of mail ────── mail ──── SMTP, many in one
//! ended ones (10 s) ─┘      alerts.json      └─ worker of command ─── command ─ a program
//! ```
//!
//! - `ledger`: what each channel has been told and has yet to be told, and silences; pure
//! - `notice`: what a channel is given, as documented JSON and as words
//! - `telling`: keeps the ledger, on disk too; `worker`: one channel at its own pace
//! - `webhook`, `mail`, `command`: the three ways
//!
//! **At least once.** The ledger is a file that is replaced durably, so what was raised and not yet told is told after a
//! restart; what was told right before a crash may be told twice, with the same `key`. The ledger is no truth about
//! messages: without it, open alerts are told anew.
//!
//! **Never in the way.** Nothing waits for a channel. One that fails is tried again with growing pauses, is in the log,
//! and is an alert itself, which the other channels tell. A mailbox that is refused keeps a mail from nobody else, and is
//! such an alert too.

mod command;
mod ledger;
mod mail;
mod notice;
mod silence;
mod telling;
#[cfg(test)]
mod tests;
mod webhook;
mod worker;

use std::fmt;
use std::time::Duration;

pub use self::ledger::Channel;
pub use self::notice::{Delivery, Notice, Status};
pub use self::silence::{NewSilence, Silence};
pub use self::telling::{Parts, SilenceError, Telling, Tested};
pub use self::webhook::{SIGNATURE, TIMESTAMP, signature};

use self::command::Command;
use self::mail::Mail;
use self::webhook::Webhook;
use crate::config::{AlertLevel, AlertSettings};
use crate::http::TlsError;
use crate::store::alert::Level;

/// A way to tell.
enum Way {
    Webhook(Webhook),
    Mail(Box<Mail>),
    Command(Command),
}

impl Way {
    /// Tells; when this returns without an error, the other side has it, but for recipients that it refuses: those are
    /// returned.
    async fn tell(&self, delivery: &Delivery) -> Result<Vec<Unreached>, Untold> {
        match self {
            Way::Webhook(webhook) => webhook.tell(delivery).await.map(|()| Vec::new()),
            Way::Mail(mail) => mail.tell(delivery).await,
            Way::Command(command) => command.tell(delivery).await.map(|()| Vec::new()),
        }
    }

    /// The code of the condition that it fails.
    fn failing(&self) -> &'static str {
        match self {
            Way::Webhook(_) => "alert-webhook-failing",
            Way::Mail(_) => "alert-mail-failing",
            Way::Command(_) => "alert-command-failing",
        }
    }

    /// How long alerts are collected before they are told together.
    fn batch(&self) -> Duration {
        match self {
            Way::Mail(mail) => mail.batch,
            Way::Webhook(_) | Way::Command(_) => Duration::ZERO,
        }
    }

    /// Alerts of one delivery, at most.
    fn most(&self) -> usize {
        match self {
            Way::Mail(_) => 1000,
            Way::Webhook(_) | Way::Command(_) => 100,
        }
    }
}

/// Why something was not told; for the log and for people, without secrets.
#[derive(Debug)]
struct Untold(String);

impl fmt::Display for Untold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who was left out, a channel or one of its recipients, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Unreached {
    who: String,
    why: String,
}

impl fmt::Display for Unreached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.who, self.why)
    }
}

/// The configured ways, with what each is called and told.
fn ways(settings: &AlertSettings) -> Result<Vec<(Channel, Way)>, TlsError> {
    let channel = |name: &str, level: AlertLevel, failing: &str| Channel {
        name: name.to_owned(),
        level: match level {
            AlertLevel::Warning => Level::Warning,
            AlertLevel::Error => Level::Error,
            AlertLevel::Security => Level::Security,
        },
        own: failing.to_owned(),
    };
    let mut ways = Vec::new();
    for settings in &settings.webhooks {
        let way = Way::Webhook(Webhook::new(settings)?);
        ways.push((channel(&settings.name, settings.level, way.failing()), way));
    }
    if let Some(settings) = &settings.mail {
        let way = Way::Mail(Box::new(Mail::new(settings)));
        ways.push((channel("mail", settings.level, way.failing()), way));
    }
    if let Some(settings) = &settings.command {
        let way = Way::Command(Command::new(settings));
        ways.push((channel("command", settings.level, way.failing()), way));
    }
    Ok(ways)
}
