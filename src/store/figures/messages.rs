//! What happened to messages, by partner and outcome, counted when the journal has made it true. After a restart counts
//! begin at 0, as Prometheus expects of counters.
//!
//! Labels stay few: partners and codes come from configuration and program, but both are capped all the same, and what
//! comes beyond is counted as `(others)`.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;

use crate::ground::id::Id;
use crate::store::alert::{Level, Raised};
use crate::store::record::{Direction, Fact, GATEWAY, JobKind, Message};

/// Distinct partners that are told apart.
const PARTNERS: usize = 1000;
/// Distinct codes that are told apart.
const CODES: usize = 200;
/// The label of what is beyond the caps.
const OTHERS: &str = "(others)";

/// Seconds from the start of an attempt to its verified MDN: synchronous ones in parts of a second, asynchronous ones
/// in hours.
const RECEIPT_BUCKETS: [f64; 14] =
    [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0, 86_400.0];

/// One partner.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PartnerLabels {
    /// Its id.
    pub partner: String,
}

/// How messages end, or stop.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OutcomeLabels {
    /// `outbound` or `inbound`.
    pub direction: &'static str,
    /// `payload`, or `mdn` for an asynchronous MDN that we owe.
    pub kind: &'static str,
    /// The partner's id.
    pub partner: String,
    /// The state's name.
    pub outcome: &'static str,
}

/// Bytes one way.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct FlowLabels {
    /// `outbound` or `inbound`.
    pub direction: &'static str,
    /// The partner's id.
    pub partner: String,
}

/// MDNs of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReceiptLabels {
    /// The partner's id.
    pub partner: String,
    /// `sync` or `async`.
    pub mode: &'static str,
}

/// Why something did not work, with whom.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct FailureLabels {
    /// The partner's id.
    pub partner: String,
    /// The reason's stable code.
    pub code: String,
}

/// Raised alerts of a kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct AlertLabels {
    /// The alert's stable code.
    pub code: String,
    /// `warning`, `error` or `security`.
    pub level: &'static str,
}

/// A set of label values that does not grow beyond a cap.
#[derive(Debug, Clone)]
struct Bounded {
    known: Arc<Mutex<BTreeSet<String>>>,
    cap: usize,
}

impl Bounded {
    /// At most `cap` values.
    fn new(cap: usize) -> Bounded {
        Bounded { known: Arc::default(), cap }
    }

    /// The value itself while there is room for it, then `(others)`.
    fn label(&self, value: &str) -> String {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.contains(value) {
            return value.to_owned();
        }
        if known.len() >= self.cap {
            return OTHERS.to_owned();
        }
        known.insert(value.to_owned());
        value.to_owned()
    }
}

/// The counts; clones share them.
#[derive(Debug, Clone)]
pub struct MessageFigures {
    /// Messages that were settled, held or refused.
    pub outcomes: Family<OutcomeLabels, Counter>,
    /// Attempts that began.
    pub attempts: Family<PartnerLabels, Counter>,
    /// Attempts that will be made again, by reason.
    pub retries: Family<FailureLabels, Counter>,
    /// Bytes on the wire, without HTTP's own.
    pub bytes: Family<FlowLabels, Counter>,
    /// Seconds from the start of the attempt to its verified MDN.
    pub receipts: Family<ReceiptLabels, Histogram, fn() -> Histogram>,
    /// Messages and MDNs that failed at decryption, signature or what the agreement demands of them.
    pub crypto_failures: Family<FailureLabels, Counter>,
    /// Alerts that were raised, conditions of the gateway included.
    pub alerts: Family<AlertLabels, Counter>,
    partners: Bounded,
    codes: Bounded,
}

impl Default for MessageFigures {
    fn default() -> MessageFigures {
        MessageFigures {
            outcomes: Family::default(),
            attempts: Family::default(),
            retries: Family::default(),
            bytes: Family::default(),
            receipts: Family::new_with_constructor(|| Histogram::new(RECEIPT_BUCKETS)),
            crypto_failures: Family::default(),
            alerts: Family::default(),
            partners: Bounded::new(PARTNERS),
            codes: Bounded::new(CODES),
        }
    }
}

impl MessageFigures {
    /// A transaction became durable; `messages` are as they are after it.
    pub(in crate::store) fn note(&self, at: Timestamp, facts: &[(Id, Fact)], messages: &[Arc<Message>]) {
        for (id, fact) in facts {
            if let Some(message) = messages.iter().find(|message| message.id == *id) {
                self.note_fact(at, fact, message);
            }
        }
    }

    /// An alert was raised.
    pub(in crate::store) fn raised(&self, raised: &Raised) {
        let level = match raised.alert.level {
            Level::Warning => "warning",
            Level::Error => "error",
            Level::Security => "security",
        };
        self.alerts.get_or_create(&AlertLabels { code: self.codes.label(&raised.alert.code), level }).inc();
    }

    fn note_fact(&self, at: Timestamp, fact: &Fact, message: &Message) {
        let partner = self.partners.label(&message.partner);
        if let Some(outcome) = outcome(fact) {
            let (direction, kind) = (direction(message.direction), kind(message.kind));
            self.outcomes.get_or_create(&OutcomeLabels { direction, kind, partner: partner.clone(), outcome }).inc();
        }
        if let Some(bytes) = transferred(fact, message) {
            let labels = FlowLabels { direction: direction(message.direction), partner: partner.clone() };
            self.bytes.get_or_create(&labels).inc_by(bytes);
        }
        if let Some(seconds) = receipt_seconds(at, fact, message) {
            let mode = if waited(message) { "async" } else { "sync" };
            self.receipts.get_or_create(&ReceiptLabels { partner: partner.clone(), mode }).observe(seconds);
        }
        match fact {
            Fact::Attempted { .. } => {
                self.attempts.get_or_create(&PartnerLabels { partner: partner.clone() }).inc();
            }
            Fact::RetryAt { reason, .. } => {
                let code = self.codes.label(&reason.code);
                self.retries.get_or_create(&FailureLabels { partner: partner.clone(), code }).inc();
            }
            _ => {}
        }
        if let Some(code) = failed_code(fact).filter(|code| is_crypto(code)) {
            let code = self.codes.label(code);
            self.crypto_failures.get_or_create(&FailureLabels { partner, code }).inc();
        }
    }
}

fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::Outbound => "outbound",
        Direction::Inbound => "inbound",
    }
}

fn kind(kind: JobKind) -> &'static str {
    match kind {
        JobKind::Payload => "payload",
        JobKind::Mdn => "mdn",
    }
}

/// The name of the state in which a fact leaves a message, for facts after which nothing happens by itself.
fn outcome(fact: &Fact) -> Option<&'static str> {
    Some(match fact {
        Fact::Delivered { .. } => "delivered",
        Fact::Failed { .. } => "failed",
        Fact::Held { .. } => "held",
        Fact::Cancelled { .. } => "cancelled",
        Fact::Rejected { .. } => "rejected",
        Fact::Accepted { .. } => "accepted",
        Fact::Declined { .. } | Fact::UnknownReceipt { .. } => "declined",
        _ => return None,
    })
}

/// Bytes that a fact says to have travelled, each reception once.
fn transferred(fact: &Fact, message: &Message) -> Option<u64> {
    match fact {
        Fact::Attempted { .. } => message.wire.map(|wire| wire.len),
        Fact::Received { wire, .. } => Some(wire.len),
        Fact::Accepted { wire, .. } | Fact::Declined { wire, .. } => {
            let counted = message.timeline.iter().any(|event| event.fact == "received");
            (!counted).then_some(wire.len)
        }
        _ => None,
    }
}

/// Seconds since the latest attempt began, for facts that bring its MDN.
fn receipt_seconds(at: Timestamp, fact: &Fact, message: &Message) -> Option<f64> {
    let (Fact::Delivered { receipt, .. } | Fact::Failed { receipt, .. }) = fact else { return None };
    receipt.as_ref()?;
    let attempted = message.timeline.iter().rev().find(|event| event.fact == "attempted")?;
    Some(at.duration_since(attempted.at).as_secs_f64().max(0.0))
}

/// The MDN came on a connection of its own.
fn waited(message: &Message) -> bool {
    let since_attempt = message.timeline.iter().rev().take_while(|event| event.fact != "attempted");
    since_attempt.into_iter().any(|event| event.fact == "awaiting-receipt")
}

fn failed_code(fact: &Fact) -> Option<&str> {
    match fact {
        Fact::Declined { reason, .. }
        | Fact::StrayReceipt { reason, .. }
        | Fact::RetryAt { reason, .. }
        | Fact::Failed { reason, .. } => Some(&reason.code),
        Fact::Held { reason, by, .. } if by == GATEWAY => Some(&reason.code),
        _ => None,
    }
}

/// Codes that say: a key, a certificate, an algorithm or a MIC did not fit. Those of opening a message, of an MDN, of
/// composing, and of TLS. What a wrong key makes of an envelope without authentication looks like content that cannot be
/// read, so that counts too.
fn is_crypto(code: &str) -> bool {
    matches!(
        code,
        "open-decryption-failed"
            | "open-signature-invalid"
            | "open-mime-malformed"
            | "open-layers-unexpected"
            | "open-trailing-bytes"
            | "open-not-signed"
            | "open-not-encrypted"
            | "open-digest-not-allowed"
            | "open-scheme-not-allowed"
            | "open-cipher-not-allowed"
            | "mdn-unsigned"
            | "mdn-bad-signature"
            | "mdn-mic-mismatch"
            | "compose-protection-failed"
            | "compose-no-recipient"
            | "tls-certificate-refused"
            | "tls-certificate-expired"
            | "tls-certificate-name"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_values_beyond_the_cap_are_counted_together() {
        let bounded = Bounded::new(2);
        assert_eq!((bounded.label("a").as_str(), bounded.label("b").as_str()), ("a", "b"));
        assert_eq!(bounded.label("c"), OTHERS);
        assert_eq!(bounded.label("a"), "a", "known ones stay");
    }
}
