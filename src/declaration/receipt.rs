//! Business receipts (回执): reading what customs says, and building the same for the testbed.

use std::io::BufRead;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::DeclarationError;
use super::precheck::BusinessKey;
use crate::ground::limits::Limits;
use crate::ground::text::Bilingual;

/// A receipt message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Such as `CEB312Message`.
    pub message_type: String,
    /// Root attribute `guid`.
    pub guid: String,
    /// One entry per business document answered.
    pub entries: Vec<ReceiptEntry>,
}

/// What customs says about one document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptEntry {
    /// Correlation keys, such as `orderNo`, `copNo`; `oriCopMsgId` in a CEB900.
    pub keys: Vec<BusinessKey>,
    /// `returnStatus` (`status` of a tax bill), as given.
    pub status: String,
    /// `returnTime`, `yyyyMMddHHmmssfff` Asia/Shanghai, as given.
    pub time: String,
    /// `returnInfo`.
    pub info: String,
}

/// What a status means for the declaration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Progress {
    /// On its way; more receipts follow.
    Progress,
    /// Done, as wished.
    Good,
    /// Refused, failed or held.
    Bad,
    /// Not in the tables.
    Unknown,
}

/// Meaning of `status` in a receipt of this type: its weight and its name.
pub fn meaning(message_type: &str, status: &str) -> (Progress, Bilingual) {
    let _ = (message_type, status);
    unimplemented!()
}

/// Reads any receipt or notice (default namespace or prefixed), streaming.
///
/// # Errors
/// Not well-formed, not a receipt, or a limit reached.
pub fn read(document: &mut dyn BufRead, limits: &Limits) -> Result<Receipt, DeclarationError> {
    let _ = (document, limits);
    unimplemented!()
}

/// How the customs side answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// 2 电子口岸申报中: taken, more to come.
    Declaring,
    /// The good end of this type: 120 for orders, 399 or 800 for lists.
    Accepted,
    /// 100 海关退单.
    Rejected {
        /// `returnInfo`.
        reason: String,
    },
    /// Any other status.
    Status {
        /// `returnStatus`.
        code: String,
        /// `returnInfo`.
        info: String,
    },
}

/// The receipt message that answers `request`, one entry per document with its keys copied.
///
/// # Errors
/// The request cannot be read or is of no request type: answer with [`format_error`] then.
pub fn answer(
    request: &mut dyn BufRead,
    at: Timestamp,
    outcome: &Outcome,
    limits: &Limits,
) -> Result<Vec<u8>, DeclarationError> {
    let _ = (request, at, outcome, limits);
    unimplemented!()
}

/// CEB900: the receipt for a document that could not be read.
pub fn format_error(original: &OriginalMessage<'_>, info: &str, at: Timestamp) -> Vec<u8> {
    let _ = (original, info, at);
    unimplemented!()
}

/// What a CEB900 repeats of the message it refuses.
#[derive(Debug, Clone, Copy)]
pub struct OriginalMessage<'a> {
    /// `CopMsgId` of its envelope.
    pub cop_msg_id: &'a str,
    /// Its type, when recognised.
    pub message_type: Option<&'a str>,
    /// Its bytes.
    pub document: &'a [u8],
}
