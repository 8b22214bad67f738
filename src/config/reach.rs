//! What a client on this machine has to know of `gateway.toml` to speak to the gateway that runs by it.
//!
//! A running gateway goes on with what it had when a file gets a mistake, so nothing else is read or judged here: no
//! partner file, no key, no passphrase that is set for the gateway alone.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::document::{Section, Sheet};
use super::listeners;
use super::material::note;
use super::problem::{Problems, Severity};
use super::text::read_text;
use crate::cms::Certificate;
use crate::keys::load;

/// How the API of a running gateway is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// Where its console listens.
    pub listen: SocketAddr,
    /// File with the API token.
    pub token_file: PathBuf,
    /// The certificates of a console that serves TLS; `None`: it does not.
    pub certificates: Option<Vec<Certificate>>,
}

/// Keys of `[console]` that are the gateway's business alone.
const OTHERS: [&str; 4] = ["users_file", "hosts", "open_metrics", "token_rate"];
/// The same of `[console.tls]`.
const OTHERS_OF_TLS: [&str; 4] = ["private_key", "passphrase_file", "passphrase_env", "passphrase"];

/// Reads `[console]` of this `gateway.toml`.
///
/// # Errors
/// The file cannot be read, is no TOML, or has a mistake in that table.
pub fn reach(file: &Path) -> Result<Reach, Problems> {
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let text = read_text(&file).map_err(|problem| Problems { problems: vec![*problem] })?;
    let sheet = Sheet::new(&file, &text);
    let found = sheet.parse(&text).map(|table| console(&sheet.root(&table).section(CONSOLE), super::home_of(&file)));
    let mut problems = sheet.finish().0;
    // Of the other tables nothing was asked, so their keys seem to be unknown.
    let concerns = |key: &str| key.is_empty() || key == CONSOLE || key.starts_with("console.");
    problems.retain(|problem| problem.severity == Severity::Error && concerns(&problem.key));
    found.filter(|_| problems.is_empty()).ok_or(Problems { problems })
}

fn console(section: &Section<'_>, home: &Path) -> Reach {
    known(section, OTHERS);
    let tls = section.section("tls");
    Reach {
        listen: listeners::listen(section).unwrap_or(super::gateway::CONSOLE),
        token_file: home.join(section.text("token_file").as_deref().unwrap_or(super::gateway::TOKEN_FILE)),
        certificates: tls.is_present().then(|| certificates(&tls, home)),
    }
}

fn certificates(section: &Section<'_>, home: &Path) -> Vec<Certificate> {
    known(section, OTHERS_OF_TLS);
    let named = section.text("certificate");
    if !section.has("certificate") {
        section.missing("certificate");
    }
    let read = named.and_then(|file| note(section, "certificate", load::certificates(&home.join(file))));
    read.unwrap_or_default()
}

/// Asking for a key makes it a known one: a misspelt one beside it is still told.
fn known<const N: usize>(section: &Section<'_>, keys: [&'static str; N]) {
    for key in keys {
        section.has(key);
    }
}

const CONSOLE: &str = "console";
