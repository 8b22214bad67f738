//! What the API says, as JSON. Fields may be added; none changes its meaning or disappears within `/api/v1`.
//! Instants are RFC 3339 in UTC, states and directions are kebab-case names, digests are lower-case hex.

pub mod alerting;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::backend::{BackupStatus, PartnerStatus, StateCount};
use super::declarations::BusinessWire;
use crate::evidence::Exported;
use crate::ground::id::Id;
use crate::ground::text::Bilingual;
use crate::store::alert::Alert;
use crate::store::record::{
    Body, Direction, Findings, JobKind, LegalHold, Message, PublicationStage, Reason, Receipt, State,
};
use crate::store::{JournalReport, Raised};

/// `GET /api/v1/messages`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MessageList {
    /// Newest first.
    pub messages: Vec<MessageLine>,
    /// Give it as `before` to read on; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Id>,
}

/// One message in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MessageLine {
    /// Our name for it.
    pub id: Id,
    /// `outbound` or `inbound`.
    pub direction: Direction,
    /// `payload` or `mdn`.
    pub kind: JobKind,
    /// The partner's id.
    pub partner: String,
    /// Where it stands.
    pub state: State,
    /// Whether it will still change by itself.
    #[serde(rename = "final")]
    pub settled: bool,
    /// File name of the payload.
    pub file_name: String,
    /// Bytes of the payload.
    pub size: Option<u64>,
    /// AS2 Message-ID.
    pub message_id: Option<String>,
    /// When it came to be.
    pub created: Timestamp,
    /// When it changed last.
    pub updated: Timestamp,
    /// Attempts begun.
    pub attempts: u32,
    /// Next attempt, or the deadline of its receipt.
    pub due: Option<Timestamp>,
    /// `CEB311Message` and so on.
    pub message_type: Option<String>,
    /// Business documents inside.
    pub documents: Option<u32>,
    /// Latest reason of a retry, hold, failure or refusal.
    pub reason: Option<Reason>,
    /// It waits for a person since a restore from a backup.
    #[serde(default)]
    pub restored: bool,
}

/// `GET /api/v1/messages/{id}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MessageDetail {
    /// What a list shows of it.
    #[serde(flatten)]
    pub line: MessageLine,
    /// The payload.
    pub payload: Option<Bytes>,
    /// The exact bytes on the wire.
    pub wire: Option<Bytes>,
    /// The MDN.
    pub receipt: Option<ReceiptWire>,
    /// Business keys such as `orderNo`.
    pub keys: Vec<(String, String)>,
    /// `CopMsgId` of the envelope.
    pub cop_msg_id: Option<String>,
    /// SHA-256 fingerprint of the certificate that signed an inbound payload.
    pub signer: Option<String>,
    /// The message this one is about.
    pub about: Option<Id>,
    /// Why nothing of it may expire, when it is under legal hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legal_hold: Option<LegalHoldWire>,
    /// Since when the bytes of its payload are no longer kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload_purged: Option<Timestamp>,
    /// The new business message that its payload was resent as.
    #[serde(default)]
    pub successor: Option<Id>,
    /// Message-IDs of earlier attempts, where the partner wants a new one each time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier_message_ids: Vec<String>,
    /// MDNs that changed nothing, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stray_receipts: Vec<StrayWire>,
    /// What the pre-check found in it; values that are personal data are masked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub findings: Option<Findings>,
    /// Alerts, open or not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alerts: Vec<Alert>,
    /// The second life: documents and what customs says about them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub business: Option<BusinessWire>,
    /// Files in the partner's folders.
    pub files: Vec<FileWire>,
    /// History, oldest first.
    pub timeline: Vec<EventWire>,
}

/// A legal hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegalHoldWire {
    /// Since when.
    pub at: Timestamp,
    /// Who asked for it.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// Length and digest of stored bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bytes {
    /// In bytes.
    pub size: u64,
    /// Lower-case hex.
    pub sha256: String,
}

/// An MDN and what was found when it was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptWire {
    /// As printed in the MDN.
    pub disposition: String,
    /// `Received-Content-MIC` as printed.
    pub mic: Option<String>,
    /// Whether it is ours.
    pub mic_matches: Option<bool>,
    /// SHA-256 fingerprint of the signer's certificate.
    pub signer: Option<String>,
}

/// An MDN that changed nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StrayWire {
    /// When it came.
    pub at: Timestamp,
    /// Why it changed nothing.
    pub reason: Reason,
    /// The MDN.
    pub receipt: ReceiptWire,
}

/// `GET /api/v1/alerts`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertList {
    /// Conditions of the gateway first, then messages, newest first.
    pub alerts: Vec<AlertWire>,
    /// Give it as `before` to read on; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Id>,
}

/// An alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertWire {
    /// Its name in `/alerts/{alert}/acknowledge`.
    pub id: String,
    /// The message it is about; absent for a condition of the gateway.
    pub message: Option<Id>,
    /// The partner it is about.
    pub partner: Option<String>,
    /// Code, level, text, and what became of it.
    #[serde(flatten)]
    pub alert: Alert,
}

/// A file in a partner's folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileWire {
    /// `inbox`, `sent`, …
    pub folder: String,
    /// Its name; the final one once it is published.
    pub name: String,
    /// Whether it is there for users.
    pub published: bool,
}

/// One line of a message's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventWire {
    /// When.
    pub at: Timestamp,
    /// Kebab-case name of the fact.
    pub fact: String,
    /// Attempt number, reason code, who.
    pub detail: String,
}

/// Body of an action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionRequest {
    /// Why; kept in the journal.
    pub reason: String,
}

/// Body of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportRequest {
    /// A new or empty folder on the gateway's machine, absolute.
    pub dir: String,
}

/// Answer to an export or a verification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportWire {
    /// Names of the files.
    pub files: Vec<String>,
    /// The message is signed, and its signature holds.
    pub signed: bool,
    /// The MDN is signed, and its signature holds.
    pub mdn_signed: bool,
}

/// Answer to the release of what a restore has held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleasedWire {
    /// So many messages.
    pub released: u64,
}

/// Answer to the verification of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalWire {
    /// Frames that hold.
    pub frames: u64,
    /// Segments read.
    pub segments: u64,
    /// The last acknowledged frame.
    pub last_sequence: u64,
    /// Its hash: it stands for everything before it.
    pub head: String,
    /// Bodies whose bytes were compared with their digests.
    pub bodies: u64,
}

/// Body that starts a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupRequest {
    /// A new folder on the gateway's machine, or one with an earlier backup; absolute.
    pub dir: String,
    /// With private keys, as encrypted as they are.
    #[serde(default)]
    pub keys: bool,
}

/// `GET /api/v1/backup`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupWire {
    /// It goes on.
    pub running: bool,
    /// Bytes looked at so far.
    pub done_bytes: u64,
    /// Of so many.
    pub of_bytes: u64,
    /// The last frame in it, once it is done.
    pub sequence: Option<u64>,
    /// That frame's hash.
    pub chain: Option<String>,
    /// Bytes of its files.
    pub bytes: u64,
    /// How many files.
    pub files: u64,
    /// What the configuration names and the backup does not have.
    pub left_out: Vec<String>,
    /// Why there is none.
    pub failed: Option<Reason>,
}

/// Answer to a submission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submitted {
    /// The new message.
    pub id: Id,
}

/// `GET /api/v1/partners`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartnerList {
    /// In the order of their ids.
    pub partners: Vec<PartnerWire>,
}

/// A partner as configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartnerWire {
    /// The stem of its configuration file.
    pub id: String,
    /// Its AS2 name.
    pub as2_name: String,
    /// `dxp` or `plain`.
    pub profile: String,
    /// Where we send.
    pub url: String,
    /// Whether anything is exchanged with it.
    pub enabled: bool,
    /// Last day of the certificate that expires first.
    pub certificate_until: Option<Timestamp>,
}

/// `GET /api/v1/summary`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Whether the gateway works.
    pub ready: bool,
    /// What keeps it from working.
    pub reasons: Vec<Reason>,
    /// Messages by state.
    pub states: Vec<CountWire>,
}

/// Messages in one state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountWire {
    /// The state.
    pub state: State,
    /// How many.
    pub count: u64,
}

/// `GET /readyz`: codes only, for it asks for no token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readiness {
    /// Nothing is missing.
    pub ready: bool,
    /// Codes of what is.
    pub reasons: Vec<String>,
}

/// Problem details (RFC 9457 3) with two extension members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProblemWire {
    /// `urn:dxgate:problem:<code>`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The status in words.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// Stable kebab-case code.
    pub code: String,
    /// English.
    pub detail: String,
    /// Both languages.
    pub text: Bilingual,
}

impl From<&Message> for MessageLine {
    fn from(message: &Message) -> MessageLine {
        let declaration = message.declaration.as_ref();
        MessageLine {
            id: message.id,
            direction: message.direction,
            kind: message.kind,
            partner: message.partner.clone(),
            state: message.state,
            settled: message.state.is_final(),
            file_name: message.file_name.clone(),
            size: message.payload.map(|payload| payload.len),
            message_id: message.message_id.clone(),
            created: message.created,
            updated: message.updated,
            attempts: message.attempts,
            due: message.due,
            message_type: declaration.map(|declaration| declaration.message_type.clone()),
            documents: declaration.map(|declaration| declaration.documents),
            reason: message.reason.clone(),
            restored: message.restored,
        }
    }
}

impl From<&Message> for MessageDetail {
    fn from(message: &Message) -> MessageDetail {
        let declaration = message.declaration.clone().unwrap_or_default();
        let receipt = message.receipt.as_ref().map(ReceiptWire::from);
        let strays = message.strays.iter().map(|stray| StrayWire {
            at: stray.at,
            reason: stray.reason.clone(),
            receipt: ReceiptWire::from(&stray.receipt),
        });
        let files = message.publications.iter().map(|(publication, stage)| FileWire {
            folder: publication.folder.name().to_owned(),
            name: match stage {
                PublicationStage::Published(name) => name.clone(),
                _ => publication.name.clone(),
            },
            published: matches!(stage, PublicationStage::Published(_)),
        });
        let timeline = message.timeline.iter().map(|event| EventWire {
            at: event.at,
            fact: event.fact.clone(),
            detail: event.detail.clone(),
        });
        MessageDetail {
            line: MessageLine::from(message),
            payload: message.payload.as_ref().map(Bytes::from),
            wire: message.wire.as_ref().map(Bytes::from),
            receipt,
            keys: declaration.keys,
            cop_msg_id: declaration.cop_msg_id,
            signer: message.signer.clone(),
            about: message.about,
            legal_hold: message.legal_hold.clone().map(|LegalHold { at, by, reason }| LegalHoldWire { at, by, reason }),
            payload_purged: message.payload_purged.as_ref().map(|purge| purge.at),
            successor: message.successor,
            earlier_message_ids: message.earlier.iter().map(|earlier| earlier.message_id.clone()).collect(),
            stray_receipts: strays.collect(),
            findings: message.findings.clone(),
            alerts: message.alerts.clone(),
            business: BusinessWire::of(message),
            files: files.collect(),
            timeline: timeline.collect(),
        }
    }
}

impl From<&Receipt> for ReceiptWire {
    fn from(receipt: &Receipt) -> ReceiptWire {
        ReceiptWire {
            disposition: receipt.disposition.clone(),
            mic: receipt.mic.clone(),
            mic_matches: receipt.mic_matches,
            signer: receipt.signer.clone(),
        }
    }
}

impl From<Raised> for AlertWire {
    fn from(raised: Raised) -> AlertWire {
        AlertWire { id: raised.name(), message: raised.message, partner: raised.partner, alert: raised.alert }
    }
}

impl From<&Body> for Bytes {
    fn from(body: &Body) -> Bytes {
        let sha256 = body.sha256.iter().map(|byte| format!("{byte:02x}")).collect();
        Bytes { size: body.len, sha256 }
    }
}

impl From<Exported> for ExportWire {
    fn from(Exported { files, signed, mdn_signed }: Exported) -> ExportWire {
        ExportWire { files, signed, mdn_signed }
    }
}

impl From<JournalReport> for JournalWire {
    fn from(report: JournalReport) -> JournalWire {
        let JournalReport { frames, segments, last_sequence, head, bodies, .. } = report;
        JournalWire { frames, segments, last_sequence, head: hex(&head), bodies }
    }
}

impl From<BackupStatus> for BackupWire {
    fn from(status: BackupStatus) -> BackupWire {
        let BackupStatus { running, progress, sequence, chain, bytes, files, left_out, failed } = status;
        let (done_bytes, of_bytes) = (progress.bytes, progress.of_bytes);
        let failed = failed.map(|(code, text)| Reason { code, text });
        BackupWire { running, done_bytes, of_bytes, sequence, chain, bytes, files, left_out, failed }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl From<PartnerStatus> for PartnerWire {
    fn from(partner: PartnerStatus) -> PartnerWire {
        let PartnerStatus { id, as2_name, profile, url, enabled, certificate_until } = partner;
        PartnerWire { id, as2_name, profile, url, enabled, certificate_until }
    }
}

impl From<StateCount> for CountWire {
    fn from(StateCount { state, count }: StateCount) -> CountWire {
        CountWire { state, count }
    }
}
