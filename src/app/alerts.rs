//! Alerts of the whole gateway: its standing conditions are looked at, and every raised alert reaches the log.
//!
//! [`Watch`] listens on the store's stream beside [`Telling`](crate::alerting::Telling), which tells people.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

use super::backend::{GatewayBackend, refusal};
use super::conditions::{self, Awaited, Checks, Condition};
use super::stuck;
use crate::alerting::SilenceError;
use crate::bilingual;
use crate::console::{AlertQuery, Refusal};
use crate::ground::drain::Shutdown;
use crate::ground::id::Id;
use crate::ground::text::printable;
use crate::store::alert::{Acknowledgement, Level};
use crate::store::publisher::Publisher;
use crate::store::record::{Fact, Reason};
use crate::store::trail::{self, Change};
use crate::store::{CommitError, IndexRecovery, JournalReport, Raised, RecoveryReport, Store, StoreError, Transaction};

/// Time between two looks at the conditions.
const LOOK: Duration = Duration::from_secs(10);
/// The same by a clock that is moved.
const QUICKEST: Duration = Duration::from_millis(50);

/// Watches conditions and writes alerts to the log.
pub(super) struct Watch {
    backend: GatewayBackend,
    store: Store,
    publisher: Publisher,
    stream: Receiver<Raised>,
    /// What stands because of the last look.
    known: BTreeSet<(String, Option<String>)>,
    checks: Checks,
    checking: Option<oneshot::Receiver<Result<JournalReport, StoreError>>>,
}

impl Watch {
    /// Hears every alert that is raised from here on.
    pub(super) fn new(backend: GatewayBackend, store: &Store, publisher: Publisher) -> Watch {
        let (stream, store) = (store.alerts().subscribe(), store.clone());
        let checks = Checks::new(backend.settings().0.alerts.journal_check, backend.now());
        Watch { backend, store, publisher, stream, known: BTreeSet::new(), checks, checking: None }
    }

    pub(super) async fn run(mut self, shutdown: Shutdown) {
        let mut look = tokio::time::interval(self.backend.nap(LOOK).max(QUICKEST));
        let (store, mut failed) = (self.store.clone(), false);
        loop {
            tokio::select! {
                () = shutdown.triggered() => return,
                _ = look.tick() => self.look(),
                // The process ends soon; whoever is told has to hear of it before.
                _ = store.failed(), if !failed => {
                    failed = true;
                    self.look();
                }
                raised = self.stream.recv() => match raised {
                    Ok(raised) => log(&raised),
                    Err(RecvError::Lagged(missed)) => {
                        tracing::error!(missed, "more alerts than the log could take; see dxgate alerts list");
                    }
                    Err(RecvError::Closed) => return,
                },
            }
        }
    }

    /// What there is to know about the gateway stands until it is over.
    fn look(&mut self) {
        let now = self.backend.now();
        self.backend.outbound.forget_absent();
        let found = conditions::joined(self.found(now));
        let names = |condition: &Condition| (condition.reason.code.clone(), condition.partner.clone());
        let standing: BTreeSet<(String, Option<String>)> = found.iter().map(names).collect();
        for (code, partner) in self.known.difference(&standing) {
            self.store.alerts().resolve(code, partner.as_deref());
        }
        self.known = standing;
        for Condition { level, reason, partner, subjects } in found {
            self.store.alerts().raise_about(subjects, level, reason, partner.as_deref(), now);
        }
        self.check(now);
    }

    fn found(&self, now: Timestamp) -> Vec<Condition> {
        let hindered = self.backend.hindered().into_iter();
        let hindered = hindered.map(|unready| Condition {
            level: Level::Error,
            reason: Reason { code: unready.code, text: unready.text },
            partner: None,
            subjects: BTreeSet::new(),
        });
        let (config, partners) = self.backend.settings();
        let queue = conditions::queue(&self.store.backlog(), config.alerts.queue_age, now);
        let shown = &self.backend.reloading.shown;
        let shown = shown.certificates().into_iter().chain(shown.first_to_end());
        let shown: Vec<_> = shown.map(|(_, shown)| shown).collect();
        let mut exchanges = self.store.exchanges();
        // Nobody can be answered who is no partner any more.
        exchanges.retain(|one| partners.by_id(&one.partner).is_some_and(|partner| partner.enabled));
        let awaited = Awaited::of(&self.store, &exchanges);
        let certificates = conditions::certificates(&config.station.keys, &shown, &partners, &awaited, now);
        let revocation = conditions::revocation(&partners, now);
        let guessing = conditions::guessing(self.backend.pressed(), config.server.failures_per_partner);
        let unpublished = conditions::unpublished(self.publisher.unpublished(), now);
        let exchanges = conditions::exchanges(&exchanges, now);
        let certificates = certificates.into_iter().chain(exchanges);
        let stuck = stuck::outboxes(self.backend.outbound.stuck());
        let mut refused = self.backend.refused_lately();
        refused.retain(|one| partners.by_id(&one.partner).is_some_and(|partner| partner.enabled));
        let refused = refused.into_iter().map(stuck::refused);
        let unsettled = stuck::receptions(self.backend.unsettled(), now);
        hindered
            .chain(certificates)
            .chain(revocation)
            .chain(queue)
            .chain(guessing)
            .chain(unpublished)
            .chain(stuck)
            .chain(unsettled)
            .chain(refused)
            .collect()
    }

    /// Begins a check of the journal when it is time, and notes what one came to. It runs in a thread of its own, for
    /// which nothing waits: it only reads.
    fn check(&mut self, now: Timestamp) {
        if let Some(checked) = &mut self.checking {
            match checked.try_recv() {
                Ok(checked) => note_check(&self.store, &checked, false, now),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Closed) => {}
            }
            self.checking = None;
        }
        if !self.checks.is_due(now) {
            return;
        }
        let (sender, receiver) = oneshot::channel();
        let store = self.store.clone();
        let work = move || drop(sender.send(store.verify_journal()));
        match std::thread::Builder::new().name("journal-check".to_owned()).spawn(work) {
            Ok(_) => self.checking = Some(receiver),
            Err(error) => tracing::warn!(%error, "the journal could not be checked"),
        }
    }
}

/// What a condition is about besides when it was found by a check that read the bodies as well.
const BODIES: &str = "bodies";

/// A check of the whole journal ended: damage stands until a later one finds none. What one has found that read the
/// bodies as well, only another such one finds mended.
pub(super) fn note_check(store: &Store, checked: &Result<JournalReport, StoreError>, bodies: bool, now: Timestamp) {
    let standing = store.alerts().condition(&format!("gateway.{}", conditions::JOURNAL_DAMAGED));
    let of_bodies = bodies || standing.is_some_and(|standing| standing.subjects.contains(BODIES));
    match checked {
        Ok(report) => {
            tracing::info!(frames = report.frames, "the journal holds together");
            if bodies || !of_bodies {
                store.alerts().resolve(conditions::JOURNAL_DAMAGED, None);
            }
        }
        Err(error) if error.is_damage() => {
            let Condition { level, reason, mut subjects, .. } = conditions::damaged(error);
            subjects.extend(of_bodies.then(|| BODIES.to_owned()));
            store.alerts().raise_about(subjects, level, reason, None, now);
        }
        Err(error) => tracing::warn!(%error, code = error.code(), "the journal could not be checked"),
    }
}

/// What a reading refused stands until a later one refuses nothing. When something else is wrong, that is told anew.
pub(super) fn note_reading(store: &Store, code: &str, refused: Option<Condition>, now: Timestamp) {
    let alerts = store.alerts();
    let standing = alerts.condition(&format!("gateway.{code}"));
    let words = refused.as_ref().map(|refused| &refused.reason.text);
    if standing.is_some_and(|standing| words != Some(&standing.alert.text)) {
        alerts.resolve(code, None);
    }
    if let Some(Condition { level, reason, .. }) = refused {
        alerts.raise(level, reason, None, now);
    }
}

/// Why there is no silence as asked.
pub(super) fn silence_refusal(error: &SilenceError) -> Refusal {
    match error {
        SilenceError::Past => {
            let text = bilingual!(
                "静默的结束时间已过。请给出将来的时间。",
                "the silence would be over already. Give an instant to come."
            );
            refusal(422, "silence-past", text)
        }
        SilenceError::TooMany => {
            let text = bilingual!(
                "静默过多。请先结束不再需要的。",
                "there are too many silences. End those that are not needed."
            );
            refusal(409, "silences-too-many", text)
        }
        SilenceError::Unknown => {
            let text = bilingual!(
                "没有这个静默。用 dxgate alerts silences 查看。",
                "there is no such silence. See dxgate alerts silences."
            );
            refusal(404, "silence-unknown", text)
        }
        SilenceError::Unwritten(error) => {
            let text = bilingual!("无法写入磁盘：{error}", "it cannot be written to disk: {error}");
            refusal(503, "storage-failed", text)
        }
    }
}

/// Nothing to test.
pub(super) fn no_channel() -> Refusal {
    let text = bilingual!(
        "没有这个告警渠道。请在 [alerts] 中配置 webhook、mail 或 command。",
        "there is no such channel for alerts. Configure a webhook, mail or command in [alerts]."
    );
    refusal(404, "alert-channel-unknown", text)
}

fn log(raised: &Raised) {
    let (name, alert) = (raised.name(), &raised.alert);
    let (code, level) = (alert.code.as_str(), alert.level);
    let partner = raised.partner.as_deref().unwrap_or_default();
    match level {
        Level::Warning => tracing::warn!(alert = code, %name, partner, ?level, "{}", alert.text),
        Level::Error | Level::Security => tracing::error!(alert = code, %name, partner, ?level, "{}", alert.text),
    }
}

/// What the start had to mend is for a person to know.
pub(super) fn report_recovery(store: &Store, recovery: &RecoveryReport, now: Timestamp) {
    if let IndexRecovery::Rebuilt { reason, frames, .. } = &recovery.index {
        let reason = printable(reason);
        let text = bilingual!(
            "索引已根据日志重建（{frames} 帧）：{reason}。数据未丢失；如反复出现，请检查磁盘和内存。",
            "the index was rebuilt from the journal ({frames} frames): {reason}. Nothing is lost; if it happens again, check disk and memory."
        );
        store.alerts().raise(Level::Warning, Reason { code: "index-rebuilt".to_owned(), text }, None, now);
    }
}

/// Open alerts: conditions first, then those of messages.
pub(super) fn open(store: &Store, query: &AlertQuery) -> Vec<Raised> {
    let wanted = |partner: Option<&str>| query.partner.is_none() || query.partner.as_deref() == partner;
    let conditions = if query.before.is_none() { store.alerts().standing() } else { Vec::new() };
    let mut found: Vec<Raised> = conditions.into_iter().filter(|raised| wanted(raised.partner.as_deref())).collect();
    let (mut before, mut messages) = (query.before, 0);
    while messages < query.limit {
        let page = store.alerting(before, query.limit);
        let Some(last) = page.last() else { break };
        before = Some(last.id);
        let left = query.limit.saturating_sub(messages);
        for message in page.iter().filter(|message| wanted(Some(&message.partner))).take(left) {
            messages = messages.saturating_add(1);
            let alerts = message.alerts.iter().filter(|alert| alert.is_open()).cloned();
            found.extend(alerts.map(|alert| Raised::of_message(message.id, &message.partner, alert)));
        }
    }
    found
}

/// Notes who has seen an alert and why: a fact of its message, or, for a condition, until it has ended.
pub(super) async fn acknowledge(store: &Store, now: Timestamp, name: &str, asked: Change) -> Result<Raised, Refusal> {
    let (reason, by) = (asked.reason.clone().unwrap_or_default(), asked.who.clone());
    let change = Change {
        what: trail::ACKNOWLEDGED.to_owned(),
        on: format!("alert:{name}"),
        before: Some(json!("open")),
        after: Some(json!("acknowledged")),
        ..asked
    };
    if name.starts_with("gateway.") {
        store.alerts().standing().iter().find(|standing| standing.name() == name).ok_or_else(not_open)?;
        store.record(change).await.map_err(|error| refusal(503, error.code(), error.text()))?;
        tracing::info!(alert = name, by, reason = printable(&reason), "acknowledged");
        let seen = Acknowledgement { at: now, by, reason };
        return store.alerts().acknowledge(name, seen).ok_or_else(not_open);
    }
    let (id, code) = name.split_once('.').ok_or_else(not_open)?;
    let id: Id = id.parse().map_err(|_| not_open())?;
    store.message(&id).ok_or_else(not_open)?;
    let mut transaction = Transaction::new(now);
    transaction.change(change);
    transaction.fact(id, Fact::Acknowledged { alert: code.to_owned(), reason, by });
    let committed = store.commit(transaction).await.map_err(|error| match error {
        CommitError::Conflict(_) => not_open(),
        error => {
            let text = bilingual!("日志无法写入：{error}", "the journal cannot be written: {error}");
            refusal(503, "journal-failed", text)
        }
    })?;
    let message = committed.messages.first().ok_or_else(not_open)?;
    let alert = message.alerts.iter().find(|alert| alert.code == code).cloned().ok_or_else(not_open)?;
    Ok(Raised::of_message(id, &message.partner, alert))
}

fn not_open() -> Refusal {
    let text = bilingual!(
        "没有这个未确认的告警。用 dxgate alerts list 查看。",
        "there is no such open alert. See dxgate alerts list."
    );
    refusal(404, "alert-unknown", text)
}
