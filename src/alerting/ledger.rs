//! What each channel has been told and has yet to be told. Pure: instants are arguments, and the file around it is
//! written elsewhere.
//!
//! | an alert … | each channel that wants its level |
//! |---|---|
//! | is raised | is told once, even if it has ended meanwhile |
//! | outgrows what was told: it is graver, or about something else | is told anew |
//! | goes on | is told again after the reminder's time |
//! | ends by itself | is told, if it was told of the beginning |
//! | is acknowledged | is told nothing more, nor when the next start finds it again |
//! | is under a silence | is told nothing; what still goes on after it is told then |
//!
//! A condition that a start finds again is the same one: it is not told anew. Other words and figures of a condition take
//! the place of those before, for reminders.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::notice::{Notice, Status};
use super::silence::Silence;
use crate::store::Raised;
use crate::store::alert::Level;

/// Alerts that are followed one by one. Beyond, those about messages that everybody has been told of are let go: they
/// stay in the list of alerts, without reminders.
pub(super) const MOST: usize = 5000;
/// Facts are announced in the order of the journal, their instants may differ from it by this much.
const SLACK: SignedDuration = SignedDuration::from_secs(60);

/// Who is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// `mail`, `command`, or the name of a webhook.
    pub name: String,
    /// The least grave alert that it is told.
    pub level: Level,
    /// The code of its own failing, which it need not be told; others may have the same.
    pub own: String,
}

/// The state of all telling.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ledger {
    /// Alerts about messages that were raised before were taken in.
    #[serde(default)]
    upto: Option<Timestamp>,
    #[serde(default)]
    entries: BTreeMap<String, Entry>,
    #[serde(default)]
    silences: Vec<Silence>,
    /// Conditions that this process has found: one that stands no more has ended.
    #[serde(skip)]
    found: BTreeSet<String>,
}

/// One alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    raised: Raised,
    #[serde(default)]
    ended: Option<Timestamp>,
    /// It ended under a silence: who was not told of it before is not told of it.
    #[serde(default)]
    hushed: bool,
    /// A person has seen this condition: nobody is told of it until it has ended and begun anew, or outgrows what was seen.
    #[serde(default)]
    seen: bool,
    /// By the channel's name.
    #[serde(default)]
    told: BTreeMap<String, Told>,
}

/// What one channel was told of one alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    /// Latest.
    at: Timestamp,
    reminders: u32,
    ended: bool,
}

/// How a followed alert is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It goes on.
    Open,
    /// A person has seen it.
    Acknowledged,
    /// It has ended.
    Ended,
}

impl Ledger {
    /// An alert was raised; `true` when that is news.
    pub(super) fn take(&mut self, raised: Raised) -> bool {
        let mut known = false;
        match raised.message {
            Some(_) => self.upto = self.upto.max(Some(raised.alert.raised)),
            None => known = !self.found.insert(raised.name()),
        }
        match self.entries.get_mut(&raised.name()) {
            Some(entry) if !entry.is_anew(&raised, known) => {
                // Found again by a new start: the same condition, still of the time when it was first found. What was seen is
                // told to nobody, and is known by the time at which this process found it.
                let first = if entry.seen { raised.alert.raised } else { entry.raised.alert.raised };
                entry.raised = raised;
                entry.raised.alert.raised = first;
                false
            }
            _ => {
                let (ended, told) = (None, BTreeMap::new());
                let entry = Entry { raised: raised.clone(), ended, hushed: false, seen: false, told };
                self.entries.insert(raised.name(), entry);
                true
            }
        }
    }

    /// Alerts about messages that were raised before this were taken in; those that are not followed were let go.
    pub(super) fn settled(&self) -> Option<Timestamp> {
        self.upto.and_then(|upto| upto.checked_sub(SLACK).ok())
    }

    /// Whether an open alert about a message, met in the index, has to be taken in. `settled` is of before the first of
    /// them was: they are met newest first, and each that is taken in moves it.
    pub(super) fn is_new(&self, raised: &Raised, settled: Option<Timestamp>) -> bool {
        !self.entries.contains_key(&raised.name()) && settled.is_none_or(|settled| raised.alert.raised >= settled)
    }

    /// Whether a condition that does not stand has ended, so long after the start: one of an earlier process may not have
    /// been looked for yet.
    pub(super) fn has_ended(&self, raised: &Raised, since: Duration) -> bool {
        self.found.contains(&raised.name()) || since >= found_again(&raised.alert.code)
    }

    /// The alerts that are followed and not known to have ended.
    pub(super) fn open(&self) -> Vec<Raised> {
        self.entries.values().filter(|entry| entry.ended.is_none()).map(|entry| entry.raised.clone()).collect()
    }

    /// How a followed alert is by now; `true` when that is news.
    pub(super) fn follow(&mut self, current: &Raised, standing: Standing, now: Timestamp) -> bool {
        let name = current.name();
        let Some(entry) = self.entries.get_mut(&name) else { return false };
        match standing {
            Standing::Open => entry.refresh(current),
            Standing::Acknowledged if current.message.is_none() => return !std::mem::replace(&mut entry.seen, true),
            Standing::Acknowledged => return self.entries.remove(&name).is_some(),
            Standing::Ended if entry.seen => return self.entries.remove(&name).is_some(),
            Standing::Ended if entry.ended.is_none() => {
                entry.ended = Some(now);
                entry.hushed = self.silences.iter().any(|silence| silence.covers(&entry.raised, now));
                return true;
            }
            Standing::Ended => {}
        }
        false
    }

    /// What a channel is to be told now, at most `most`.
    pub(super) fn due(&self, channel: &Channel, now: Timestamp, reminder: Duration, most: usize) -> Vec<Notice> {
        let reminder = SignedDuration::try_from(reminder).unwrap_or(SignedDuration::MAX);
        let entries = self.entries.values().filter(|entry| entry.concerns(channel));
        let entries = entries.filter(|entry| !self.silences.iter().any(|silence| silence.covers(&entry.raised, now)));
        entries.filter_map(|entry| entry.news(channel, now, reminder)).take(most).collect()
    }

    /// How much a channel has yet to be told for the first time, silences aside.
    pub(super) fn waiting(&self, channel: &Channel) -> usize {
        let entries = self.entries.values().filter(|entry| entry.concerns(channel));
        entries.filter(|entry| !entry.hushed && !entry.seen && !entry.told.contains_key(&channel.name)).count()
    }

    /// A channel has been told this.
    pub(super) fn told(&mut self, channel: &Channel, notices: &[Notice], now: Timestamp) {
        for notice in notices {
            let Some(entry) = self.entries.get_mut(&notice.id) else { continue };
            // Raised once more while it was told: that is yet to be told.
            if entry.raised.alert.raised != notice.raised {
                continue;
            }
            let told = entry.told.entry(channel.name.clone()).or_insert(Told { at: now, reminders: 0, ended: false });
            told.at = now;
            told.reminders = told.reminders.saturating_add(u32::from(notice.status == Status::Reminder));
            told.ended |= notice.ended.is_some();
        }
    }

    /// Forgets what everybody knows to have ended, and what is too much.
    pub(super) fn tidy(&mut self, channels: &[Channel], now: Timestamp) {
        self.silences.retain(|silence| now < silence.until);
        self.entries.retain(|_, entry| {
            let concerned = channels.iter().filter(|channel| entry.concerns(channel));
            let mut done =
                concerned.map(|channel| entry.told.get(&channel.name).map_or(entry.hushed, |told| told.ended));
            entry.ended.is_none() || !done.all(|done| done)
        });
        let mut surplus = self.entries.len().saturating_sub(MOST);
        if surplus == 0 {
            return;
        }
        self.entries.retain(|_, entry| {
            let concerned = channels.iter().filter(|channel| entry.concerns(channel));
            let known = concerned.into_iter().all(|channel| entry.told.contains_key(&channel.name));
            let goes = surplus > 0 && known && entry.raised.message.is_some();
            surplus = surplus.saturating_sub(usize::from(goes));
            !goes
        });
    }

    /// The silences that last.
    pub(super) fn silences(&self, now: Timestamp) -> Vec<Silence> {
        self.silences.iter().filter(|silence| now < silence.until).cloned().collect()
    }

    /// Adds a silence.
    pub(super) fn silence(&mut self, silence: Silence) {
        self.silences.push(silence);
    }

    /// Ends a silence; none: there is no such one.
    pub(super) fn end_silence(&mut self, id: &str) -> Option<Silence> {
        let place = self.silences.iter().position(|silence| silence.id == id)?;
        Some(self.silences.remove(place))
    }
}

/// A start finds a condition that goes on within this time.
fn found_again(code: &str) -> Duration {
    Duration::from_secs(match code {
        // The first check of the journal begins an hour after the start.
        "journal-damaged" => 6 * 3600,
        // It takes three attempts without an answer.
        "partner-down" => 1800,
        // They are told when they have lasted for minutes, or when a channel has failed three times.
        "outbox-stuck" | "reception-stuck" | "not-published" => 600,
        "alert-webhook-failing" | "alert-mail-failing" | "alert-command-failing" => 600,
        _ => 30,
    })
}

impl Entry {
    /// Who was told of it while it was graver is told its end.
    fn concerns(&self, channel: &Channel) -> bool {
        let Raised { alert, subjects, .. } = &self.raised;
        let own = alert.code == channel.own && subjects.iter().all(|failing| *failing == channel.name);
        !own && (alert.level >= channel.level || self.told.contains_key(&channel.name))
    }

    /// Whether who was told of this has to be told of what is `raised` now. `known`: this process has found it before, so that
    /// it has ended since if it is of another time.
    fn is_anew(&self, raised: &Raised, known: bool) -> bool {
        let again = self.raised.alert.raised != raised.alert.raised;
        match raised.message {
            Some(_) => again,
            None => (again && (self.ended.is_some() || (self.seen && known))) || self.is_outgrown_by(raised),
        }
    }

    fn is_outgrown_by(&self, current: &Raised) -> bool {
        // An older version wrote no subjects: those of a condition that it had told are not new.
        let unnamed = self.raised.subjects.is_empty() && current.alert.level <= self.raised.alert.level;
        !unnamed && current.outgrows(&self.raised)
    }

    fn refresh(&mut self, current: &Raised) {
        self.raised.alert.times = current.alert.times;
        // What outgrows this is announced, and taken in then.
        if current.message.is_none() && !self.is_outgrown_by(current) {
            self.raised.refresh(current);
        }
    }

    fn news(&self, channel: &Channel, now: Timestamp, reminder: SignedDuration) -> Option<Notice> {
        if self.seen {
            return None;
        }
        let Some(told) = self.told.get(&channel.name) else {
            return (!self.hushed).then(|| Notice::new(&self.raised, Status::Raised, 0, self.ended));
        };
        match self.ended {
            Some(_) if told.ended => None,
            Some(ended) => Some(Notice::new(&self.raised, Status::Ended, 0, Some(ended))),
            None if reminder.is_zero() || now.duration_since(told.at) < reminder => None,
            None => Some(Notice::new(&self.raised, Status::Reminder, told.reminders.saturating_add(1), None)),
        }
    }
}
