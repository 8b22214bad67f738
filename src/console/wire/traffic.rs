//! Queue, throughput and pre-check, as JSON.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ground::id::Id;

/// `GET /api/v1/queue`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QueueWire {
    /// Messages that wait to be sent or for an MDN.
    pub waiting: u64,
    /// Those of them that could be sent now.
    pub due: u64,
    /// The one that waits longest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest: Option<OldestWire>,
    /// Messages that wait for a person.
    pub held: u64,
    /// Messages whose delivery gave up.
    pub failed: u64,
    /// Files that are not in their folder yet; counted up to 10,000.
    pub unpublished: u64,
    /// By partner, those with something to do.
    pub partners: Vec<PartnerQueueWire>,
}

/// The message that waits longest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OldestWire {
    /// Which.
    pub id: Id,
    /// Since when.
    pub since: Timestamp,
}

/// What waits for one partner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PartnerQueueWire {
    /// Its id.
    pub partner: String,
    /// Messages; counted up to 10,000.
    pub waiting: u64,
    /// Those that could be sent now.
    pub due: u64,
    /// Nothing is sent to it until a person says so.
    pub paused: bool,
    /// It did not answer several times.
    pub down: bool,
}

/// `GET /api/v1/figures`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FiguresWire {
    /// The gateway's clock.
    pub now: Timestamp,
    /// The hours before the start have been counted as well.
    pub complete: bool,
    /// The last 24 hours and the present one, oldest first.
    pub hours: Vec<HourWire>,
}

/// Payloads that came to an end within one hour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HourWire {
    /// Its beginning.
    pub hour: Timestamp,
    /// Accepted from partners.
    pub received: u64,
    /// Of partners, refused.
    pub declined: u64,
    /// Confirmed by partners.
    pub delivered: u64,
    /// Given up.
    pub failed: u64,
    /// Refused by the pre-check.
    pub rejected: u64,
}

/// Answer to `POST /api/v1/precheck`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PrecheckWire {
    /// The file's name.
    pub name: String,
    /// The customs partner whose settings counted; absent when the gateway's own did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partner: Option<String>,
    /// Code tables that were used.
    pub tables: Vec<TableWire>,
    /// `accepted` or `refused`.
    pub verdict: String,
    /// Type of the business message.
    pub message_type: Option<String>,
    /// Business documents inside.
    pub documents: u32,
    /// Their keys, the first of them.
    pub keys: Vec<KeyWire>,
    /// In document order.
    pub findings: Vec<FindingWire>,
    /// Findings beyond the limit.
    pub findings_left_out: u32,
}

/// A code table of the pre-check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TableWire {
    /// Such as `customs`.
    pub table: String,
    /// How many codes it has.
    pub codes: usize,
}

/// A field that identifies a business document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeyWire {
    /// Which document, from 1.
    pub document: u32,
    /// Such as `orderNo`.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// One result of the pre-check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FindingWire {
    /// `R01` to `R44`.
    pub rule: String,
    /// `error` or `warning`.
    pub level: String,
    /// Stable kebab-case code.
    pub code: String,
    /// Path of elements.
    pub path: String,
    /// From 1; 0 when it is about the file as a whole.
    pub line: u64,
    /// In characters, from 1; 0 as above.
    pub column: u64,
    /// Which document, from 1; 0 when it is about none.
    pub document: u32,
    /// The document's first business key.
    pub key: Option<String>,
    /// The value, shortened; masked when it is personal data.
    pub value: Option<String>,
    /// The error code with which customs would answer.
    pub customs_code: Option<String>,
    /// Where the rule stands.
    pub source: String,
    /// What, and what to do, in Chinese.
    pub message_zh: String,
    /// The same in English.
    pub message_en: String,
}
