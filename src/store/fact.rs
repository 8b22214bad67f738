//! What every fact says of itself: its name in the journal, the bodies it names, a word for the timeline.

use std::collections::BTreeMap;

use super::record::{Body, Content, Fact, Message, Publication, PublicationStage, Said};
use crate::ground::id::Id;

impl Fact {
    /// The fact's kebab-case name, as in the journal.
    pub fn name(&self) -> &'static str {
        match self {
            Fact::Queued { .. } => "queued",
            Fact::Rejected { .. } => "rejected",
            Fact::Composed { .. } => "composed",
            Fact::Attempted { .. } => "attempted",
            Fact::RetryAt { .. } => "retry-at",
            Fact::AwaitingReceipt { .. } => "awaiting-receipt",
            Fact::Delivered { .. } => "delivered",
            Fact::Failed { .. } => "failed",
            Fact::Held { .. } => "held",
            Fact::Released { .. } => "released",
            Fact::Cancelled { .. } => "cancelled",
            Fact::Received { .. } => "received",
            Fact::Accepted { .. } => "accepted",
            Fact::Answered { .. } => "answered",
            Fact::Declined { .. } => "declined",
            Fact::StrayReceipt { .. } => "stray-receipt",
            Fact::Staged { .. } => "staged",
            Fact::Published { .. } => "published",
            Fact::Evidence { .. } => "evidence",
            Fact::Restored { .. } => "restored",
            Fact::Resumed { .. } => "resumed",
            Fact::LegalHeld { .. } => "legal-held",
            Fact::LegalReleased { .. } => "legal-released",
            Fact::PayloadPurged { .. } => "payload-purged",
            Fact::Purged { .. } => "purged",
            Fact::Recomposed { .. } => "recomposed",
            Fact::Resent { .. } => "resent",
            Fact::UnknownReceipt { .. } => "unknown-receipt",
            Fact::Acknowledged { .. } => "acknowledged",
            Fact::Declared { .. } => "declared",
            Fact::BusinessReceipt { .. } => "business-receipt",
            Fact::PlatformAnswered { .. } => "platform-answered",
            Fact::Matched { .. } => "matched",
            Fact::Prechecked { .. } => "prechecked",
            Fact::BodiesDropped { .. } => "bodies-dropped",
        }
    }

    /// Every body that the fact names.
    pub fn bodies(&self) -> Vec<Body> {
        let mut bodies = Vec::new();
        match self {
            Fact::Queued { payload, .. } => bodies.extend(*payload),
            Fact::Rejected { payload, files, .. } => {
                bodies.extend(*payload);
                add_files(&mut bodies, files);
            }
            Fact::Composed { wire, .. } | Fact::Recomposed { wire, .. } | Fact::Received { wire, .. } => {
                bodies.push(*wire)
            }
            Fact::Delivered { receipt, files, .. } | Fact::Failed { receipt, files, .. } => {
                bodies.extend(receipt.iter().map(|receipt| receipt.body));
                add_files(&mut bodies, files);
            }
            Fact::Cancelled { files, .. } => add_files(&mut bodies, files),
            Fact::Accepted { wire, payload, files, .. } => {
                bodies.extend([*wire, *payload]);
                add_files(&mut bodies, files);
            }
            Fact::Answered { mdn: receipt }
            | Fact::StrayReceipt { receipt, .. }
            | Fact::UnknownReceipt { receipt, .. } => bodies.push(receipt.body),
            Fact::Declined { wire, mdn, .. } => {
                bodies.push(*wire);
                bodies.extend(mdn.iter().map(|receipt| receipt.body));
            }
            Fact::Attempted { .. }
            | Fact::RetryAt { .. }
            | Fact::AwaitingReceipt { .. }
            | Fact::Held { .. }
            | Fact::Released { .. }
            | Fact::Staged { .. }
            | Fact::Published { .. }
            | Fact::Evidence { .. }
            | Fact::Restored { .. }
            | Fact::Resumed { .. }
            | Fact::LegalHeld { .. }
            | Fact::LegalReleased { .. }
            | Fact::PayloadPurged { .. }
            | Fact::Purged { .. }
            | Fact::Resent { .. }
            | Fact::Acknowledged { .. }
            | Fact::Declared { .. }
            | Fact::BusinessReceipt { .. }
            | Fact::PlatformAnswered { .. }
            | Fact::Prechecked { .. }
            | Fact::Matched { .. }
            | Fact::BodiesDropped { .. } => {}
        }
        bodies
    }
}

pub(super) fn add_files(bodies: &mut Vec<Body>, files: &[Publication]) {
    for (_, content) in files.iter().flat_map(|publication| &publication.files) {
        if let Content::Body(body) = content {
            bodies.push(*body);
        }
    }
}

impl Message {
    /// Whether these facts, which have just happened, were the last that there are to do by itself: it is settled, and
    /// its files are published.
    pub(super) fn is_settled_by(&self, facts: &[(Id, Fact)]) -> bool {
        let last = |fact: &Fact| {
            use Fact::*;
            matches!(
                fact,
                Delivered { .. }
                    | Failed { .. }
                    | Cancelled { .. }
                    | Rejected { .. }
                    | Accepted { .. }
                    | Declined { .. }
                    | Published { .. }
            )
        };
        let published = |stage: &PublicationStage| matches!(stage, PublicationStage::Published(_));
        self.state.is_final()
            && self.publications.iter().all(|(_, stage)| published(stage))
            && facts.iter().any(|(id, fact)| *id == self.id && last(fact))
    }
}

/// The timeline's short detail.
pub(super) fn detail(fact: &Fact) -> String {
    match fact {
        Fact::Queued { file_name, .. } | Fact::Accepted { file_name, .. } => file_name.clone(),
        Fact::Attempted { number } => number.to_string(),
        Fact::AwaitingReceipt { deadline, .. } => deadline.to_string(),
        Fact::Rejected { reason, .. }
        | Fact::RetryAt { reason, .. }
        | Fact::Failed { reason, .. }
        | Fact::Declined { reason, .. }
        | Fact::StrayReceipt { reason, .. }
        | Fact::UnknownReceipt { reason, .. } => reason.code.clone(),
        Fact::Delivered { note, .. } => note.as_ref().map(|note| note.code.clone()).unwrap_or_default(),
        Fact::Held { reason, by, .. } => format!("{by}: {}", reason.code),
        Fact::PayloadPurged { why, .. } | Fact::Purged { why, .. } | Fact::BodiesDropped { why, .. } => {
            why.code.clone()
        }
        Fact::LegalHeld { reason, by } | Fact::LegalReleased { reason, by } => format!("{by}: {reason}"),
        Fact::Released { reason, by, .. } | Fact::Cancelled { reason, by, .. } => format!("{by}: {reason}"),
        Fact::Composed { message_id, .. } | Fact::Recomposed { message_id, .. } | Fact::Received { message_id, .. } => {
            message_id.clone()
        }
        Fact::Resent { reason, by, successor } => format!("{by}: {reason} → {successor}"),
        Fact::Acknowledged { alert, reason, by } => format!("{by}: {alert}: {reason}"),
        Fact::Answered { mdn } => mdn.disposition.clone(),
        Fact::Staged { index } => index.to_string(),
        Fact::Published { name, .. } => name.clone(),
        Fact::Evidence { .. } => String::new(),
        Fact::Restored { sequence } => sequence.to_string(),
        Fact::Resumed { reason, by, .. } => format!("{by}: {reason}"),
        Fact::Declared { documents } => documents.len().to_string(),
        Fact::BusinessReceipt { message_type, entries, .. } => receipt_detail(message_type, entries),
        Fact::PlatformAnswered { answer } => answer.code.clone(),
        Fact::Matched { answered } => answered.of.to_string(),
        Fact::Prechecked { findings } => format!("{} errors, {} warnings", findings.errors, findings.warnings),
    }
}

/// The type of a receipt and how many documents each of its statuses is about, the first few of them.
fn receipt_detail(message_type: &str, entries: &[Said]) -> String {
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for said in entries {
        let count = counts.entry(said.status.as_str()).or_default();
        *count = count.saturating_add(1);
    }
    let mut detail = message_type.to_owned();
    for (status, count) in counts.into_iter().take(STATUSES) {
        detail.push_str(&format!(" {status}×{count}"));
    }
    detail
}

/// Statuses named in one line of the timeline.
const STATUSES: usize = 6;
