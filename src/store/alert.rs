//! Alerts: what a person should know, with a stable code, words that say what to do, and an end.
//!
//! An alert about a message follows from its facts like everything else in a [`Message`], so it survives restarts and
//! rebuilds of the index. Conditions of the whole gateway (a full disk, a partner that is down) stand in memory while
//! they last: each start finds them anew. Both come through [`Alerts`], the one place where whatever carries alerts
//! to people listens.
//!
//! | fact | alert | ends |
//! |---|---|---|
//! | `Held` by the gateway, `Failed` (an error at least: nothing mends it by itself) | the reason's code | with delivery, or with what a person does to the message |
//! | `Attempted` or `Recomposed` after the deadline of an MDN | `mdn-deadline-missed` | the same |
//! | `StrayReceipt` | the reason's code; not when it merely repeats what is known | doubtful ones with delivery; `mdn-mic-mismatch`, `mdn-contradicts`, `mdn-late` when acknowledged |
//! | `Declined`: other content under a known Message-ID | `duplicate-other-content` | when acknowledged |
//! | `UnknownReceipt` | `mdn-unknown-message` | when acknowledged |
//! | `BusinessReceipt` that refuses a document | `declaration-rejected`, `declaration-error` | when later receipts leave no document refused so; with what a person does to the message |
//! | `PlatformAnswered` that refuses the envelope | `envelope-refused` | with another answer of the platform, or a receipt; the same |
//!
//! One message has one alert of a code: raised again while open, it only counts on, or begins anew when it is graver by now.
//! A condition that stands takes over the words of whoever raises it again; it is announced anew when it is
//! [graver, or about something else](Raised::outgrows).

mod declaration;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use super::figures::MessageFigures;
use super::record::{Fact, GATEWAY, Message, Reason, State};
use crate::bilingual;
use crate::ground::id::Id;
use crate::ground::text::Bilingual;

/// How grave an alert is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// It may mend itself; look if it stays.
    Warning,
    /// A person has to act.
    Error,
    /// A person has to act, and somebody may be pretending or altering.
    Security,
}

/// Who has seen an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Acknowledgement {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: String,
    /// Why, or what was done.
    pub reason: String,
}

/// Something a person should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Alert {
    /// Stable kebab-case code.
    pub code: String,
    /// How grave it is.
    pub level: Level,
    /// What happened and what to do.
    pub text: Bilingual,
    /// When it was raised.
    pub raised: Timestamp,
    /// How often the same happened since.
    pub times: u32,
    /// A person has seen it.
    pub acknowledged: Option<Acknowledgement>,
    /// It ended by itself then.
    pub resolved: Option<Timestamp>,
}

impl Alert {
    fn new(code: &str, level: Level, text: Bilingual, raised: Timestamp) -> Alert {
        Alert { code: code.to_owned(), level, text, raised, times: 1, acknowledged: None, resolved: None }
    }

    /// Neither acknowledged nor ended.
    pub fn is_open(&self) -> bool {
        self.acknowledged.is_none() && self.resolved.is_none()
    }
}

/// An alert on its way to people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Raised {
    /// The message it is about; none for a condition of the gateway.
    pub message: Option<Id>,
    /// The partner it is about.
    pub partner: Option<String>,
    /// What a condition is about besides: ids of exchanges, files, fingerprints, channels. Figures are none.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub subjects: BTreeSet<String>,
    /// The alert.
    pub alert: Alert,
}

impl Raised {
    /// About a message of this partner.
    pub fn of_message(message: Id, partner: &str, alert: Alert) -> Raised {
        Raised { message: Some(message), partner: Some(partner.to_owned()), subjects: BTreeSet::new(), alert }
    }

    /// Whether whoever knows `earlier` has to hear of this too: it is graver, or about something that `earlier` is not
    /// about.
    pub fn outgrows(&self, earlier: &Raised) -> bool {
        self.alert.level > earlier.alert.level || !self.subjects.is_subset(&earlier.subjects)
    }

    /// Takes over how the same condition is by now.
    pub fn refresh(&mut self, now: &Raised) {
        self.alert.level = now.alert.level;
        self.alert.text.clone_from(&now.alert.text);
        self.subjects.clone_from(&now.subjects);
    }

    /// Names it in commands and routes: `<message>.<code>`, `gateway.<code>`, or `gateway.<code>.<partner>`.
    pub fn name(&self) -> String {
        let code = &self.alert.code;
        match (&self.message, &self.partner) {
            (Some(id), _) => format!("{id}.{code}"),
            (None, None) => format!("gateway.{code}"),
            (None, Some(partner)) => format!("gateway.{code}.{partner}"),
        }
    }
}

/// Alerts that wait for a slow listener; beyond, it misses some and finds them in the list.
const WAITING: usize = 1024;

/// The standing conditions, and the stream through which every raised alert passes.
#[derive(Debug)]
pub struct Alerts {
    conditions: Mutex<BTreeMap<String, Raised>>,
    stream: broadcast::Sender<Raised>,
    figures: MessageFigures,
}

impl Alerts {
    /// Nothing is known yet. What is raised is counted in `figures`.
    pub(super) fn new(figures: MessageFigures) -> Alerts {
        Alerts { conditions: Mutex::default(), stream: broadcast::Sender::new(WAITING), figures }
    }

    /// Every alert that is raised from now on, about messages and about the gateway: the seam for mail and webhooks.
    pub fn subscribe(&self) -> broadcast::Receiver<Raised> {
        self.stream.subscribe()
    }

    /// A condition of the gateway, or of all exchange with a partner, has begun or goes on: as it is by now.
    pub fn raise(&self, level: Level, reason: Reason, partner: Option<&str>, at: Timestamp) {
        self.raise_about(BTreeSet::new(), level, reason, partner, at);
    }

    /// The same about these [subjects](Raised::subjects), which are all there are by now. One that stands and has
    /// become graver or concerns another subject begins anew, acknowledged or not.
    pub fn raise_about(
        &self,
        subjects: BTreeSet<String>,
        level: Level,
        reason: Reason,
        partner: Option<&str>,
        at: Timestamp,
    ) {
        let alert = Alert::new(&reason.code, level, reason.text, at);
        let raised = Raised { message: None, partner: partner.map(str::to_owned), subjects, alert };
        let mut conditions = self.conditions();
        if let Some(standing) = conditions.get_mut(&raised.name()).filter(|standing| !raised.outgrows(standing)) {
            standing.alert.times = standing.alert.times.saturating_add(1);
            standing.refresh(&raised);
            return;
        }
        conditions.insert(raised.name(), raised.clone());
        drop(conditions);
        self.announce(vec![raised]);
    }

    /// The condition is over; it may be raised again.
    pub fn resolve(&self, code: &str, partner: Option<&str>) {
        self.conditions().retain(|_, standing| standing.alert.code != code || standing.partner.as_deref() != partner);
    }

    /// Conditions that stand and that nobody has acknowledged.
    pub fn standing(&self) -> Vec<Raised> {
        self.conditions().values().filter(|standing| standing.alert.is_open()).cloned().collect()
    }

    /// The condition with this [name](Raised::name), acknowledged or not, while it lasts.
    pub fn condition(&self, name: &str) -> Option<Raised> {
        self.conditions().get(name).cloned()
    }

    /// A person has seen the condition with this [name](Raised::name); it stays quiet until it has ended and begun
    /// again, or [outgrows](Raised::outgrows) what was seen. `None`: there is no such open condition.
    pub fn acknowledge(&self, name: &str, seen: Acknowledgement) -> Option<Raised> {
        let mut conditions = self.conditions();
        let standing = conditions.get_mut(name).filter(|standing| standing.alert.is_open())?;
        standing.alert.acknowledged = Some(seen);
        Some(standing.clone())
    }

    /// Tells whoever listens; nobody needs to.
    pub(super) fn announce(&self, raised: Vec<Raised>) {
        for raised in raised {
            self.figures.raised(&raised);
            let _ = self.stream.send(raised);
        }
    }

    fn conditions(&self) -> MutexGuard<'_, BTreeMap<String, Raised>> {
        self.conditions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The alerts of `after` that were not open in `before`.
pub(super) fn newly_raised(before: Option<&Message>, after: &Message) -> Vec<Raised> {
    let was_open = |alert: &Alert| {
        let known = before.into_iter().flat_map(|before| &before.alerts);
        known.filter(|known| known.is_open()).any(|known| known.code == alert.code && known.raised == alert.raised)
    };
    let new = after.alerts.iter().filter(|alert| alert.is_open() && !was_open(alert));
    new.map(|alert| Raised::of_message(after.id, &after.partner, alert.clone())).collect()
}

/// What a fact does to a message's alerts; `before` is the state it found. `false`: it acknowledges an alert that is
/// not open.
pub(super) fn follow(message: &mut Message, before: State, at: Timestamp, fact: &Fact) -> bool {
    match fact {
        Fact::Held { reason, by, .. } if by == GATEWAY => raise(message, reason, level(&reason.code), at),
        Fact::Failed { reason, .. } => raise(message, reason, level(&reason.code).max(Level::Error), at),
        Fact::Attempted { .. } | Fact::Recomposed { .. } if before == State::AwaitingReceipt => {
            raise(message, &deadline_missed(), Level::Warning, at);
        }
        Fact::StrayReceipt { reason, .. } if !repeats(message, before, reason) => {
            raise(message, reason, level(&reason.code), at);
        }
        Fact::UnknownReceipt { reason, .. } => raise(message, reason, level(&reason.code), at),
        Fact::Declined { reason, .. } if reason.code == OTHER_CONTENT => {
            raise(message, reason, level(&reason.code), at);
        }
        Fact::BusinessReceipt { receipt, .. } => declaration::follow_receipt(message, at, *receipt),
        Fact::PlatformAnswered { answer } => declaration::follow_platform(message, at, answer),
        Fact::Delivered { .. } => {
            let mended = |alert: &&mut Alert| alert.is_open() && !outlives_delivery(&alert.code);
            message.alerts.iter_mut().filter(mended).for_each(|alert| alert.resolved = Some(at));
        }
        Fact::Released { reason, by, .. } | Fact::Cancelled { reason, by, .. } | Fact::Resent { reason, by, .. } => {
            let seen = Acknowledgement { at, by: by.clone(), reason: reason.clone() };
            let open = message.alerts.iter_mut().filter(|alert| alert.is_open());
            open.for_each(|alert| alert.acknowledged = Some(seen.clone()));
        }
        Fact::Acknowledged { alert, reason, by } => {
            let open = message.alerts.iter_mut().find(|known| known.code == *alert && known.is_open());
            let Some(open) = open else { return false };
            open.acknowledged = Some(Acknowledgement { at, by: by.clone(), reason: reason.clone() });
        }
        _ => {}
    }
    true
}

fn raise(message: &mut Message, reason: &Reason, level: Level, at: Timestamp) {
    let new = || Alert::new(&reason.code, level, reason.text.clone(), at);
    match message.alerts.iter_mut().find(|known| known.code == reason.code) {
        Some(known) if known.is_open() => {
            // Two facts of one transaction are one event.
            let times = known.times.saturating_add(u32::from(known.raised < at));
            if level > known.level {
                *known = new();
            }
            known.times = times;
        }
        Some(known) => *known = new(),
        None => message.alerts.push(new()),
    }
}

/// An MDN that says nothing new about a message: it was kept with the attempt that it could not settle.
fn repeats(message: &Message, before: State, reason: &Reason) -> bool {
    let attempt_failed = matches!(before, State::Composed | State::Sending) && message.state == before;
    attempt_failed && !outlives_delivery(&reason.code) && reason.code != "mdn-superseded"
}

/// Another payload under a Message-ID that was accepted before.
const OTHER_CONTENT: &str = "duplicate-other-content";

/// What a delivery does not mend: the MDNs of one message contradict each other, or customs refused what arrived.
fn outlives_delivery(code: &str) -> bool {
    matches!(code, "mdn-mic-mismatch" | "mdn-contradicts" | "mdn-late") || declaration::outlives_delivery(code)
}

fn level(code: &str) -> Level {
    match code {
        "tls-certificate-refused" | "tls-certificate-expired" | "tls-certificate-name" => Level::Security,
        "mdn-mic-mismatch" | OTHER_CONTENT => Level::Security,
        "mdn-unsigned" | "mdn-bad-signature" | "mdn-wrong-partner" | "mdn-without-mic" | "mdn-mic-unreadable"
        | "mdn-superseded" => Level::Warning,
        _ => Level::Error,
    }
}

fn deadline_missed() -> Reason {
    let text = bilingual!(
        "报文已成功传输，但异步回执（MDN）逾期未到，正在重发相同的字节。如持续出现，请对方检查回执网址和其发送队列。",
        "the message was transferred, but its asynchronous MDN did not come in time; the same bytes are sent again. If it persists, ask the partner about its receipt URL and queue."
    );
    Reason { code: "mdn-deadline-missed".to_owned(), text }
}

#[cfg(test)]
#[path = "alert_tests.rs"]
mod tests;
