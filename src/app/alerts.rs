//! Alerts of the whole gateway: its standing conditions are looked at, and every raised alert reaches the log.
//!
//! [`Watch`] is the one listener on the store's stream so far; whatever sends alerts by mail or to a webhook will be
//! another one beside it.

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::backend::{GatewayBackend, refusal};
use crate::bilingual;
use crate::console::{AlertQuery, Backend as _, Refusal};
use crate::ground::drain::Shutdown;
use crate::ground::id::Id;
use crate::ground::text::printable;
use crate::store::alert::{Acknowledgement, Level};
use crate::store::record::{Fact, Reason};
use crate::store::{CommitError, IndexRecovery, Raised, RecoveryReport, Store, Transaction};

/// Time between two looks at the conditions.
const LOOK: Duration = Duration::from_secs(10);

/// Watches conditions and writes alerts to the log.
pub(super) struct Watch {
    backend: GatewayBackend,
    store: Store,
    stream: Receiver<Raised>,
    known: Vec<String>,
}

impl Watch {
    /// Hears every alert that is raised from here on.
    pub(super) fn new(backend: GatewayBackend, store: &Store) -> Watch {
        Watch { backend, stream: store.alerts().subscribe(), store: store.clone(), known: Vec::new() }
    }

    pub(super) async fn run(mut self, shutdown: Shutdown) {
        let mut look = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                () = shutdown.triggered() => return,
                _ = look.tick() => self.look().await,
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

    /// What keeps the gateway from working stands until it is over.
    async fn look(&mut self) {
        let unready = self.backend.readiness().await;
        let now = self.backend.now();
        let over = self.known.iter().filter(|code| unready.iter().all(|unready| unready.code != **code));
        for code in over {
            self.store.alerts().resolve(code, None);
        }
        self.known = unready.iter().map(|unready| unready.code.clone()).collect();
        for unready in unready {
            self.store.alerts().raise(Level::Error, Reason { code: unready.code, text: unready.text }, None, now);
        }
    }
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
            let partner = Some(message.partner.clone());
            found.extend(alerts.map(|alert| Raised { message: Some(message.id), partner: partner.clone(), alert }));
        }
    }
    found
}

/// Notes who has seen an alert and why: a fact of its message, or, for a condition, until it has ended.
pub(super) async fn acknowledge(
    store: &Store,
    now: Timestamp,
    name: &str,
    reason: String,
    by: String,
) -> Result<Raised, Refusal> {
    if name.starts_with("gateway.") {
        tracing::info!(alert = name, by, reason, "acknowledged");
        let seen = Acknowledgement { at: now, by, reason };
        return store.alerts().acknowledge(name, seen).ok_or_else(not_open);
    }
    let (id, code) = name.split_once('.').ok_or_else(not_open)?;
    let id: Id = id.parse().map_err(|_| not_open())?;
    store.message(&id).ok_or_else(not_open)?;
    let mut transaction = Transaction::new(now);
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
    Ok(Raised { message: Some(id), partner: Some(message.partner.clone()), alert })
}

fn not_open() -> Refusal {
    let text = bilingual!(
        "没有这个未确认的告警。用 dxgate alerts list 查看。",
        "there is no such open alert. See dxgate alerts list."
    );
    refusal(404, "alert-unknown", text)
}
