//! What the API says, as JSON. Fields may be added; none changes its meaning or disappears within `/api/v1`.
//! Instants are RFC 3339 in UTC, states and directions are kebab-case names, digests are lower-case hex.

pub mod alerting;
pub mod exchanges;
mod from;
pub mod partners;
pub mod people;
pub mod runs;
pub mod traffic;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::declarations::BusinessWire;
use crate::ground::id::Id;
use crate::ground::text::Bilingual;
use crate::store::alert::Alert;
use crate::store::record::{Direction, Findings, JobKind, Reason, State};

pub use self::partners::{PartnerList, PartnerWire};

/// `GET /api/v1/messages`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MessageList {
    /// Newest first.
    pub messages: Vec<MessageLine>,
    /// Give it as `before` to read on; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Id>,
}

/// One message in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MessageDetail {
    /// What a list shows of it.
    #[serde(flatten)]
    pub line: MessageLine,
    /// The payload.
    pub payload: Option<Bytes>,
    /// The exact bytes on the wire.
    pub wire: Option<Bytes>,
    /// They are not encrypted and show the payload: an operator may see them.
    #[serde(default)]
    pub wire_shows_payload: bool,
    /// The MDN.
    pub receipt: Option<ReceiptWire>,
    /// Business keys such as `orderNo`.
    #[schema(value_type = Vec<Vec<String>>)]
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
    /// Our digests of what the MDN must confirm, those of the exact form.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mics: Vec<MicWire>,
    /// What the agreement demanded at each step, and what was done or found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub security: Vec<SecurityWire>,
    /// What may be done to it now.
    #[serde(default)]
    pub actions: Vec<String>,
    /// MDNs that changed nothing, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stray_receipts: Vec<StrayWire>,
    /// What the pre-check found in it; values that are personal data are masked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = super::schema::anything)]
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

/// One digest of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MicWire {
    /// `sha-256` and so on.
    pub algorithm: String,
    /// Base64.
    pub value: String,
}

/// What was agreed and done at a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SecurityWire {
    /// `composed`, `received` or `accepted`.
    pub step: String,
    /// Signature, encryption, compression, MDN.
    pub terms: Vec<TermWire>,
    /// Whose certificates.
    pub certificates: Vec<CertificateUseWire>,
    /// The other side: the address a request came from, or the URL that is posted to.
    pub remote: Option<String>,
}

/// One term.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TermWire {
    /// `signature`, `encryption`, `compression`, `mdn`.
    pub name: String,
    /// What the agreement demanded; `none`.
    pub demanded: String,
    /// What was done or found; `none`.
    pub found: String,
    /// What was found satisfies what was demanded.
    pub met: bool,
}

/// A certificate that was used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CertificateUseWire {
    /// `signer` or `recipient`.
    pub role: String,
    /// SHA-256.
    pub fingerprint: String,
}

/// What an MDN says to people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MdnTextWire {
    /// As the partner wrote it; nobody vouches for it.
    pub text: String,
}

/// `GET /api/v1/messages/{id}/timeline`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Timeline {
    /// Oldest first.
    pub events: Vec<EventWire>,
}

/// A legal hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LegalHoldWire {
    /// Since when.
    pub at: Timestamp,
    /// Who asked for it.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// Length and digest of stored bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Bytes {
    /// In bytes.
    pub size: u64,
    /// Lower-case hex. What travelled in a long message has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// An MDN and what was found when it was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StrayWire {
    /// When it came.
    pub at: Timestamp,
    /// Why it changed nothing.
    pub reason: Reason,
    /// The MDN.
    pub receipt: ReceiptWire,
}

/// `GET /api/v1/alerts`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AlertList {
    /// Conditions of the gateway first, then messages, newest first.
    pub alerts: Vec<AlertWire>,
    /// Give it as `before` to read on; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Id>,
}

/// An alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileWire {
    /// `inbox`, `sent`, …
    pub folder: String,
    /// Its name; the final one once it is published.
    pub name: String,
    /// Whether it is there for users.
    pub published: bool,
}

/// One line of a message's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventWire {
    /// When.
    pub at: Timestamp,
    /// Kebab-case name of the fact.
    pub fact: String,
    /// Attempt number, reason code, who.
    pub detail: String,
}

/// Body of an action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ActionRequest {
    /// Why; kept in the journal.
    pub reason: String,
}

/// Body of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExportRequest {
    /// A new or empty folder on the gateway's machine, absolute.
    pub dir: String,
}

/// Answer to an export or a verification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExportWire {
    /// Names of the files.
    pub files: Vec<String>,
    /// The message is signed, and its signature holds.
    pub signed: bool,
    /// The MDN is signed, and its signature holds.
    pub mdn_signed: bool,
}

/// Answer to the release of what a restore has held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReleasedWire {
    /// So many messages.
    pub released: u64,
}

/// Answer to the verification of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackupRequest {
    /// A new folder on the gateway's machine, or one with an earlier backup; absolute.
    pub dir: String,
    /// With private keys, as encrypted as they are.
    #[serde(default)]
    pub keys: bool,
}

/// `GET /api/v1/backup`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Submitted {
    /// The new message.
    pub id: Id,
}

/// `GET /api/v1/summary`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Summary {
    /// Whether the gateway works.
    pub ready: bool,
    /// What keeps it from working.
    pub reasons: Vec<Reason>,
    /// Messages by state.
    pub states: Vec<CountWire>,
}

/// Messages in one state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CountWire {
    /// The state.
    pub state: State,
    /// How many.
    pub count: u64,
}

/// `GET /readyz`: codes only, for it asks for no token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Readiness {
    /// Nothing is missing.
    pub ready: bool,
    /// Codes of what is.
    pub reasons: Vec<String>,
}

/// Problem details (RFC 9457 3) with two extension members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
