//! The vocabulary of the journal: facts, and the view of a message that they add up to.
//!
//! A [`Fact`] is what happened to one message; it is written once and never changed. A [`Message`] is the sum of its
//! facts, kept in the index and rebuilt from the journal at any time: [`Message::apply`](super::apply) is the only
//! way a message changes.
//!
//! ```text
//! outbound  (new) ─Queued→ Queued ─Composed→ Composed ─Attempted→ Sending ─Delivered→ Delivered
//!                             │                 ↑   ↑                │ │
//!                             │                 │   └────RetryAt─────┘ └─AwaitingReceipt→ AwaitingReceipt ─→ Delivered
//!                             └─Held→ Held ─Released┘                └─Failed→ Failed            └─RetryAt, Failed
//!           (new) ─Rejected→ Rejected                any open state ─Cancelled→ Cancelled
//! inbound   (new) ─Received→ Received ─Accepted→ Accepted
//!                                     └─Declined→ Declined        (sync receptions skip Received)
//! ```

mod business;
mod evidence;
mod findings;
pub(super) mod hex_digest;
mod shared;
mod timeline;
mod wires;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::business::{Answered, DeclarationSummary, Documents, NAMED, PlatformAnswer, PlatformResult, Said};
pub use self::evidence::{CertificateRole, CertificateUse, ContentKey, Evidence, EvidenceStep, Term};
pub use self::findings::Findings;
pub use self::shared::Shared;
pub use self::timeline::{Event, Timeline};
pub use self::wires::{Came, EARLIER, EarlierWire, Reach};

pub use super::alert::{Acknowledgement, Alert, Level};
use crate::as2::SentMics;
use crate::declaration::standing::Key;
use crate::ground::id::Id;
use crate::ground::text::Bilingual;
use crate::mime::Headers;

/// Durable bytes: inline in a journal segment or a file of their own; where is the store's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Body {
    /// Names the bytes.
    pub id: Id,
    /// Length in bytes.
    pub len: u64,
    /// SHA-256 of the bytes: what they are evidence of. A wire in a file of its own has none: what it is evidence of is said
    /// by the signature and the MIC inside it, and hashing it once more is a sixth of what a long message costs.
    #[serde(default, with = "hex_digest::optional", skip_serializing_if = "Option::is_none")]
    pub sha256: Option<[u8; 32]>,
    /// CRC-32C of the bytes: whether the disk still has them, asked whenever they are read. Bodies of journals that are
    /// older than it have none, and are checked against their SHA-256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crc32c: Option<u32>,
}

/// Who the message travels to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// From our outbox to the partner.
    Outbound,
    /// From the partner to our inbox.
    Inbound,
}

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum JobKind {
    /// A payload from the outbox; a receipt may be owed to us.
    #[default]
    Payload,
    /// An asynchronous MDN that we owe; any 2xx settles it.
    Mdn,
}

/// Where a message stands; see the picture in the module head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Payload durable, wire bytes not made yet.
    Queued,
    /// Wire bytes durable, waiting for its due time.
    Composed,
    /// An attempt has begun; its end is unknown.
    Sending,
    /// Transferred; the asynchronous MDN is awaited until the deadline.
    AwaitingReceipt,
    /// A positive MDN was verified, or none was asked for and the transfer succeeded.
    Delivered,
    /// Delivery gave up or the partner refused.
    Failed,
    /// Waits for a person.
    Held,
    /// An operator ended it.
    Cancelled,
    /// The pre-check refused the file.
    Rejected,
    /// Raw bytes durable, not opened yet (asynchronous receptions).
    Received,
    /// Verified and durable; its positive MDN may go out.
    Accepted,
    /// Refused, its negative MDN may go out; not sticky: the partner may send it again. Or an asynchronous reception
    /// that repeated an accepted message. Or a verified MDN about no message of ours, kept as evidence.
    Declined,
}

impl State {
    /// Nothing more will happen by itself or by a partner.
    pub fn is_final(self) -> bool {
        use State::*;
        matches!(self, Delivered | Failed | Cancelled | Rejected | Accepted | Declined)
    }
}

/// Why something was held, retried, failed or declined: a stable code for programs, words for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Reason {
    /// Stable kebab-case code.
    pub code: String,
    /// What happened and what to do.
    pub text: Bilingual,
}

/// Identifies a message of a partner for duplicate detection (RFC 4130 5.5).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DedupKey {
    /// AS2-From, unquoted.
    pub from: String,
    /// AS2-To, unquoted.
    pub to: String,
    /// Message-ID without brackets.
    pub message_id: String,
}

/// An MDN kept as evidence, with what was found when it was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The MDN as it travelled: header block, blank line, body.
    pub body: Body,
    /// Its header fields.
    pub headers: Headers,
    /// The disposition as printed, e.g. `automatic-action/MDN-sent-automatically; processed`.
    pub disposition: String,
    /// `Received-Content-MIC` as received.
    pub mic: Option<String>,
    /// Our MIC for the same algorithm equals it.
    pub mic_matches: Option<bool>,
    /// SHA-256 fingerprint of the signer's certificate, when the MDN is signed and verified.
    pub signer: Option<String>,
}

/// A user's folder below `exchange/<partner>/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Folder {
    /// What the partner sent.
    Inbox,
    /// Originals after a positive MDN.
    Sent,
    /// Originals that the pre-check refused.
    Rejected,
    /// Originals whose delivery gave up.
    Failed,
    /// MDNs of what we sent.
    Receipts,
}

impl Folder {
    /// The folder's name on disk.
    pub fn name(self) -> &'static str {
        match self {
            Folder::Inbox => "inbox",
            Folder::Sent => "sent",
            Folder::Rejected => "rejected",
            Folder::Failed => "failed",
            Folder::Receipts => "receipts",
        }
    }
}

/// What a published file holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Content {
    /// Durable bytes of the store.
    Body(Body),
    /// Short text written by us (meta, error and findings files).
    Text(String),
}

/// Files that appear together in one of a partner's folders, exactly once. The file with the empty suffix is the
/// principal one and appears last, so that whoever sees it finds its companions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publication {
    /// Where.
    pub folder: Folder,
    /// Safe file name without suffixes; a name already taken gets the message id in front of its extension, and is
    /// counted on until it is free.
    pub name: String,
    /// `(suffix, content)`: `""`, `".meta.json"`, `".mdn"`, …
    pub files: Vec<(String, Content)>,
}

/// How far a publication is. `Committed` → staged file written and synced → `Staged` → renamed → `Published`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PublicationStage {
    /// Promised; nothing was renamed.
    Committed,
    /// Staged files are durable; the principal one's absence means that it was published.
    Staged,
    /// Done, under this name.
    Published(String),
}

/// What happened to one message. Written once, never changed; new kinds are added at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the fields are those of Message, documented there")]
pub enum Fact {
    /// A file was taken: its payload is durable.
    Queued {
        kind: JobKind,
        partner: String,
        file_name: String,
        payload: Option<Body>,
        declaration: Option<DeclarationSummary>,
        /// The message this one resends as a new business message, or the inbound message whose MDN this job carries.
        about: Option<Id>,
    },
    /// The pre-check refused a file.
    Rejected { partner: String, file_name: String, payload: Option<Body>, reason: Reason, files: Vec<Publication> },
    /// The wire bytes exist; every attempt sends exactly these.
    Composed { message_id: String, headers: Headers, wire: Body, mics: SentMics, due: Timestamp },
    /// Attempt `number` (from 1) begins; written before the socket opens.
    Attempted { number: u32 },
    /// The attempt is over without a final answer; the next one is due then.
    RetryAt {
        due: Timestamp,
        reason: Reason,
        /// How far the attempt came.
        #[serde(default, skip_serializing_if = "Came::is_unknown")]
        came: Came,
    },
    /// Transferred; the asynchronous MDN is due by then.
    AwaitingReceipt {
        deadline: Timestamp,
        /// How far the attempt came: an answer that brought an MDN which counts for nothing proves nothing either.
        #[serde(default = "Came::answered", skip_serializing_if = "Came::is_answered")]
        came: Came,
    },
    /// Settled well.
    Delivered { receipt: Option<Receipt>, note: Option<Reason>, files: Vec<Publication> },
    /// Settled badly.
    Failed { reason: Reason, receipt: Option<Receipt>, files: Vec<Publication> },
    /// Waits for a person.
    Held {
        reason: Reason,
        by: String,
        /// How far the attempt came, if one ended so.
        #[serde(default, skip_serializing_if = "Came::is_unknown")]
        came: Came,
    },
    /// A person lets it go on; due at once.
    Released { reason: String, by: String, due: Timestamp },
    /// A person ends it.
    Cancelled { reason: String, by: String, files: Vec<Publication> },
    /// Raw bytes of an asynchronous reception are durable; a 2xx may be sent.
    Received { partner: String, message_id: String, headers: Headers, wire: Body },
    /// Verified under the agreement and durable; claims the key. The MDN may be sent once this is durable.
    Accepted {
        partner: String,
        key: DedupKey,
        headers: Headers,
        wire: Body,
        payload: Body,
        file_name: String,
        declaration: Option<DeclarationSummary>,
        signer: Option<String>,
        files: Vec<Publication>,
    },
    /// The MDN that answers an accepted message: sent now, and again, byte for byte, to every duplicate that asks for
    /// this kind. It happens again when a duplicate asks for another kind, an unsigned one, say.
    Answered { mdn: Receipt },
    /// Refused; claims nothing.
    Declined { partner: String, message_id: String, headers: Headers, wire: Body, reason: Reason, mdn: Option<Receipt> },
    /// An MDN arrived that changes nothing (unknown, late, contradicting, unverifiable); kept and reported.
    StrayReceipt { reason: Reason, receipt: Receipt },
    /// The staged files of publication `index` are durable.
    Staged { index: u32 },
    /// Publication `index` is in its folder under this name.
    Published { index: u32, name: String },
    /// For the record only: the terms and certificates of a step.
    Evidence { evidence: Evidence },
    /// The message was open, or its files were not published, when a backup with this last sequence was restored: what
    /// it would have done by itself waits for a person.
    Restored { sequence: u64 },
    /// A person lets the files of a restored message be published, or a restored reception be opened and answered.
    Resumed {
        reason: String,
        by: String,
        /// What the backup had as staged is staged again: its files are not in the place that was restored to. Absent in
        /// facts of earlier versions, which went on without.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        anew: bool,
    },
    /// Nothing of the message may expire until a person says so.
    LegalHeld { reason: String, by: String },
    /// The message may expire again.
    LegalReleased { reason: String, by: String },
    /// The payload's time is over: these bodies are no longer kept, their digests are.
    PayloadPurged { why: Reason, bodies: Vec<Id> },
    /// The message's time is over: nothing of it is kept, these bodies neither.
    Purged { why: Reason, bodies: Vec<Id> },
    /// A retry has a Message-ID and wire bytes of its own, because the partner refuses a Message-ID that it has seen.
    /// MDNs about the earlier ones still count.
    Recomposed { message_id: String, headers: Headers, wire: Body, mics: SentMics, due: Timestamp },
    /// The payload travels again as the new business message `successor`. An open message ends with that.
    Resent { reason: String, by: String, successor: Id },
    /// A verified MDN of the partner about a message that we do not know; it is kept as evidence.
    UnknownReceipt { partner: String, message_id: String, reason: Reason, receipt: Receipt },
    /// A person has seen the message's alert with this code.
    Acknowledged { alert: String, reason: String, by: String },
    /// The payload is a declaration with these documents, each given by its keys.
    Declared { documents: Vec<Vec<Key>> },
    /// The inbound message `receipt` says this about documents of the message.
    BusinessReceipt { receipt: Id, message_type: String, entries: Vec<Said> },
    /// The transport platform has answered the envelope of the message.
    PlatformAnswered { answer: PlatformAnswer },
    /// The accepted message is a receipt, and answers these.
    Matched { answered: Answered },
    /// The pre-check found this, and the declaration is sent all the same.
    Prechecked { findings: Findings },
    /// These bodies, which no field shows any more, are no longer kept; the facts that named them keep their digests.
    BodiesDropped { why: Reason, bodies: Vec<Id> },
}

/// A payload that is no longer kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayloadPurge {
    /// Since when.
    pub at: Timestamp,
    /// The bodies that went.
    pub bodies: Vec<Id>,
}

/// A person's word that nothing of a message may expire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegalHold {
    /// Since when.
    pub at: Timestamp,
    /// Who said so.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// MDNs without effect that the view of a message keeps.
pub const STRAYS: usize = 8;

/// An MDN that changed nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stray {
    /// When it came.
    pub at: Timestamp,
    /// Why it changed nothing.
    pub reason: Reason,
    /// The MDN.
    pub receipt: Receipt,
}

/// Who is named in facts that no person caused.
pub const GATEWAY: &str = "gateway";

/// The sum of a message's facts. Snapshots keep it as JSON and are read for ever: fields are only added, with a default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Our name for it.
    pub id: Id,
    /// Which way it travels.
    pub direction: Direction,
    /// What it carries.
    pub kind: JobKind,
    /// The partner's id (the stem of its configuration file).
    pub partner: String,
    /// Where it stands.
    pub state: State,
    /// The payload's file name, safe for disk.
    pub file_name: String,
    /// AS2 Message-ID, exact syntax.
    pub message_id: Option<String>,
    /// First fact.
    pub created: Timestamp,
    /// Latest fact, but for those of retention and legal hold.
    pub updated: Timestamp,
    /// Attempts begun.
    pub attempts: u32,
    /// Transfers whose asynchronous MDN was or is awaited, since `patient_since`.
    pub transfers: u32,
    /// Since when delivery is tried: queued, or released by a person. Giving up is counted from here.
    pub patient_since: Timestamp,
    /// When the next attempt, or the deadline of the awaited receipt, is due.
    pub due: Option<Timestamp>,
    /// The payload as the user gave it (outbound) or as it was verified (inbound).
    pub payload: Option<Body>,
    /// The exact bytes POSTed.
    pub wire: Option<Body>,
    /// The header fields POSTed with them.
    pub headers: Headers,
    /// Every MIC that an honest MDN may carry.
    pub mics: SentMics,
    /// The receipt: what the partner sent us (outbound) or what we answered (inbound).
    pub receipt: Option<Receipt>,
    /// About the business message inside.
    pub declaration: Option<DeclarationSummary>,
    /// Fingerprint of the certificate that signed the payload (inbound).
    pub signer: Option<String>,
    /// Latest reason of a retry, hold, failure or refusal.
    pub reason: Option<Reason>,
    /// See [`Fact::Queued`].
    pub about: Option<Id>,
    /// For non-repudiation, oldest first.
    #[serde(default, skip_serializing_if = "Shared::is_none")]
    pub evidence: Shared<Vec<Evidence>>,
    /// It came from a backup and nothing is published, opened or answered by itself until a person says so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restored: bool,
    /// The new business message that its payload travels as.
    #[serde(default)]
    pub successor: Option<Id>,
    /// Message-IDs of earlier attempts, with the MICs that an honest MDN about them may carry.
    #[serde(default)]
    pub earlier: Vec<EarlierWire>,
    /// What the first attempt under its Message-ID left with the partner (outbound).
    #[serde(default, skip_serializing_if = "Reach::is_unknown")]
    pub reach: Reach,
    /// MDNs that changed nothing, oldest first, the first [`STRAYS`] of them.
    #[serde(default)]
    pub strays: Vec<Stray>,
    /// MDNs of other kinds that duplicates asked for (inbound).
    #[serde(default)]
    pub further_receipts: Vec<Receipt>,
    /// What a person should know about it.
    #[serde(default)]
    pub alerts: Vec<Alert>,
    /// The business documents in the payload (outbound), with what customs said about them.
    #[serde(default, skip_serializing_if = "Documents::are_none")]
    pub documents: Documents,
    /// What the transport platform said last about its envelope (outbound).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<PlatformAnswer>,
    /// What the pre-check found in it (outbound).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub findings: Option<Findings>,
    /// Which messages it answers (a receipt of customs, inbound).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered: Option<Answered>,
    /// What users see of it in their folders.
    pub publications: Vec<(Shared<Publication>, PublicationStage)>,
    /// The key it claimed by being accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Shared<DedupKey>>,
    /// Bodies that facts named and no other field shows: stray and earlier receipts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Body>,
    /// Since when its payload is no longer kept, and which bodies went.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload_purged: Option<PayloadPurge>,
    /// Why nothing of it may expire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legal_hold: Option<LegalHold>,
    /// It was [purged](Fact::Purged) just now; the store forgets it.
    #[serde(skip)]
    pub gone: bool,
    /// History, newest last; the oldest lines are dropped from this view beyond a hundred, never from the journal.
    pub timeline: Timeline,
}
