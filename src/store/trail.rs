//! The audit trail: who changed what, in the same hash-chained journal as everything else.
//!
//! A change of the gateway itself (a partner paused, a user made) is a [`Change`] beside the facts of its transaction.
//! What a person does to a message is a fact of that message; its transaction says in a change what the fact cannot
//! tell (a retry from a release, the address it was asked from). Where there is no such change, in older journals, the
//! entry is derived from the fact. Entries are found by the number of their frame, which is their place in the chain; they never expire.
//!
//! Which partners are paused follows from the trail, so a restart keeps it. So does what was in force last: a start compares the
//! files with it, and how certificate exchanges stand ([`super::exchange`]).

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::broadcast;

use super::Store;
use super::committer::Committed;
use super::db::DbError;
use super::error::CommitError;
use super::exchange::Exchanges;
use super::index::Index;
use super::record::{Fact, GATEWAY, Message, State};
use super::transaction::Transaction;
use crate::ground::id::Id;

/// `what` of the change that stops sending to a partner.
pub const PAUSED: &str = "partner-paused";
/// `what` of the change that notes who has seen an alert.
pub const ACKNOWLEDGED: &str = "alert-acknowledged";
/// `what` of the change that lets it go on.
pub const RESUMED: &str = "partner-resumed";
/// `what` of the change that notes what is in force when the trail knows nothing of it yet.
pub const NOTED: &str = "configuration-noted";
/// `what` of the change by which a partner appears, differs, or goes.
pub const PARTNER_ADDED: &str = "partner-added";
/// See [`PARTNER_ADDED`].
pub const PARTNER_CHANGED: &str = "partner-changed";
/// See [`PARTNER_ADDED`].
pub const PARTNER_REMOVED: &str = "partner-removed";
/// `what` of a change of our own side.
pub const CONFIGURATION_CHANGED: &str = "configuration-changed";
/// `what` of a change of the code tables of customs.
pub const TABLES_CHANGED: &str = "code-tables-changed";
/// Ends the `what` of such a change that the gateway found at its start.
pub const WHILE_STOPPED: &str = "-while-stopped";
/// The setting that [`TABLES_CHANGED`] changes.
pub const CODE_TABLES: &str = "code_tables";
/// Begins `on` of changes of a partner.
const PARTNER: &str = "partner:";
/// Entries looked at for one answer, at most.
const LOOKED_AT: usize = 5_000;
/// Changed messages that wait for a slow listener; beyond, it misses some and is told so.
const WAITING: usize = 1024;

/// A change that a person or a program made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The user's name, `token:<name>`, `api-token`, or [`GATEWAY`] for what it took over from changed files.
    pub who: String,
    /// Stable kebab-case name, such as `partner-paused`.
    pub what: String,
    /// What was changed: `partner:<id>`, `user:<name>`, `message:<id>`, …
    pub on: String,
    /// What mattered before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// The same afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The address it was asked from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

/// Settings by their names, of a partner or of our own side.
pub type Settings = BTreeMap<String, Value>;

/// A change in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The journal's frame that holds it.
    pub sequence: u64,
    /// Which of the changes in that frame, from 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub part: u16,
    /// When.
    pub at: Timestamp,
    /// Who, what, on what.
    #[serde(flatten)]
    pub change: Change,
}

fn is_zero(part: &u16) -> bool {
    *part == 0
}

/// Which entries are wanted; a field left empty wants all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrailFilter {
    /// Made by this one.
    pub who: Option<String>,
    /// Of this kind.
    pub what: Option<String>,
    /// On this object; one that ends with a colon stands for all of its kind.
    pub on: Option<String>,
    /// Before this frame.
    pub before: Option<u64>,
    /// At most so many, and those of the last one's frame.
    pub limit: usize,
}

/// Some of the trail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrailPage {
    /// Newest first.
    pub entries: Vec<Entry>,
    /// Read on before this frame; none at the end.
    pub next: Option<u64>,
}

/// Why nothing is sent to a partner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// Since when.
    pub at: Timestamp,
    /// Who said so.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// A message that was changed.
#[derive(Debug, Clone)]
pub struct Changed {
    /// The frame up to which its facts are in it.
    pub sequence: u64,
    /// Its state before; none when it is new.
    pub before: Option<State>,
    /// As it is now.
    pub message: std::sync::Arc<Message>,
}

/// What follows from the trail, and the stream of changed messages.
#[derive(Debug)]
pub(super) struct Following {
    pauses: Mutex<BTreeMap<String, Pause>>,
    settings: Mutex<BTreeMap<String, Settings>>,
    pub(super) exchanges: Mutex<Exchanges>,
    stream: broadcast::Sender<Changed>,
}

impl Following {
    /// What the trail so far comes to.
    pub(super) fn new(index: &Index) -> Result<Following, DbError> {
        let (pauses, settings, exchanges) = (Mutex::default(), Mutex::default(), Mutex::default());
        let following = Following { pauses, settings, exchanges, stream: broadcast::Sender::new(WAITING) };
        for entry in index.entries(b't') {
            let entry = serde_json::from_slice::<Entry>(&entry?.1).map_err(std::io::Error::from)?;
            following.follow(&entry);
        }
        Ok(following)
    }

    pub(super) fn follow(&self, entry: &Entry) {
        let Entry { at, change, .. } = entry;
        self.exchanges.lock().unwrap_or_else(PoisonError::into_inner).follow(entry);
        learn(&mut self.settings(), change);
        let Some(partner) = change.on.strip_prefix(PARTNER) else { return };
        match change.what.as_str() {
            PAUSED => {
                let reason = change.reason.clone().unwrap_or_default();
                self.pauses().insert(partner.to_owned(), Pause { at: *at, by: change.who.clone(), reason });
            }
            RESUMED => drop(self.pauses().remove(partner)),
            _ => {}
        }
    }

    /// Tells whoever listens; nobody needs to.
    pub(super) fn announce(&self, changed: Vec<Changed>) {
        if self.stream.receiver_count() > 0 {
            changed.into_iter().for_each(|changed| drop(self.stream.send(changed)));
        }
    }

    fn pauses(&self) -> MutexGuard<'_, BTreeMap<String, Pause>> {
        self.pauses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settings(&self) -> MutexGuard<'_, BTreeMap<String, Settings>> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a change comes to: only what differs is in it.
fn learn(all: &mut BTreeMap<String, Settings>, change: &Change) {
    let known = all.entry(change.on.clone()).or_default();
    match change.what.strip_suffix(WHILE_STOPPED).unwrap_or(&change.what) {
        NOTED | PARTNER_ADDED => known.clear(),
        PARTNER_CHANGED | CONFIGURATION_CHANGED => {}
        TABLES_CHANGED => known.extend(change.after.clone().map(|tables| (CODE_TABLES.to_owned(), tables))),
        _ => {
            if known.is_empty() || change.what.starts_with(PARTNER_REMOVED) {
                all.remove(&change.on);
            }
            return;
        }
    }
    let named = |value: &Option<Value>| value.as_ref().and_then(Value::as_object).cloned().unwrap_or_default();
    for (name, _) in named(&change.before) {
        known.remove(&name);
    }
    known.extend(named(&change.after));
}

impl Store {
    /// Records a change that is no fact of a message; durable when this returns.
    ///
    /// # Errors
    /// As [`commit`](Store::commit).
    pub async fn record(&self, change: Change) -> Result<Committed, CommitError> {
        let mut transaction = Transaction::new(self.0.config.clock.now());
        transaction.change(change);
        let committed = self.commit(transaction).await;
        // What a pause held may be due.
        self.0.signals.due.notify_one();
        committed
    }

    /// Changes, newest first (a bounded number of entries is looked at).
    pub fn trail(&self, filter: &TrailFilter) -> TrailPage {
        let mut page = TrailPage::default();
        let mut last = None;
        let found = self.0.index.trail(filter.before).map_while(|entry| self.ask(entry));
        for (count, entry) in found.enumerate() {
            let new_frame = last.is_some_and(|last| last != entry.sequence);
            if new_frame && (page.entries.len() >= filter.limit || count >= LOOKED_AT) {
                page.next = last;
                break;
            }
            last = Some(entry.sequence);
            if filter.passes(&entry) {
                page.entries.push(entry);
            }
        }
        page
    }

    /// What was in force last of each partner (`partner:<id>`) and of our own side, as far as the trail tells.
    pub fn settings(&self) -> BTreeMap<String, Settings> {
        self.0.signals.following.settings().clone()
    }

    /// The partners to which nothing is sent until a person says so.
    pub fn pauses(&self) -> BTreeMap<String, Pause> {
        self.0.signals.following.pauses().clone()
    }

    /// Whether nothing is sent to this partner.
    pub fn is_paused(&self, partner: &str) -> bool {
        self.0.signals.following.pauses().contains_key(partner)
    }

    /// Every message that changes from now on, once the change is durable and visible. A slow listener misses some and
    /// is told how many.
    pub fn follow(&self) -> broadcast::Receiver<Changed> {
        self.0.signals.following.stream.subscribe()
    }
}

impl TrailFilter {
    fn passes(&self, Entry { change, .. }: &Entry) -> bool {
        let on = |wanted: &String| change.on == *wanted || (wanted.ends_with(':') && change.on.starts_with(wanted));
        self.who.as_ref().is_none_or(|who| change.who == *who)
            && self.what.as_ref().is_none_or(|what| change.what == *what)
            && self.on.as_ref().is_none_or(on)
    }
}

/// What a fact says of a person's doing.
pub(super) fn of_fact(id: Id, before: Option<State>, fact: &Fact, after: &Message) -> Option<Change> {
    let (who, reason) = match fact {
        Fact::Held { reason, by, .. } if by != GATEWAY => {
            let said = &reason.text.en;
            (by, said.strip_prefix(&format!("held by {by}: ")).unwrap_or(said).to_owned())
        }
        Fact::Released { reason, by, .. }
        | Fact::Cancelled { reason, by, .. }
        | Fact::Resumed { reason, by, .. }
        | Fact::LegalHeld { reason, by }
        | Fact::LegalReleased { reason, by }
        | Fact::Resent { reason, by, .. }
        | Fact::Acknowledged { reason, by, .. } => (by, reason.clone()),
        _ => return None,
    };
    let (what, on, before, after) = match fact {
        Fact::Acknowledged { alert, .. } => (ACKNOWLEDGED.to_owned(), format!("alert:{id}.{alert}"), None, None),
        Fact::Resent { successor, .. } => {
            ("message-resent".to_owned(), format!("message:{id}"), Some(json!(before)), Some(json!(successor)))
        }
        _ => {
            let what = format!("message-{}", fact.name());
            (what, format!("message:{id}"), Some(json!(before)), Some(json!(after.state)))
        }
    };
    Some(Change { who: who.clone(), what, on, before, after, reason: Some(reason), from: None })
}

#[cfg(test)]
#[path = "trail_tests.rs"]
mod tests;
