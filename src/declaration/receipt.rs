//! Business receipts (回执): reading what customs says, and building the same for the testbed.
//!
//! A receipt is tied to a declaration by business keys alone; only CEB900, which answers what could not be read, repeats
//! the envelope's `CopMsgId`. Receipts may come in any order: `returnTime` tells which is newer.

use std::io::BufRead;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{TimeZone, offset};
use serde::{Deserialize, Serialize};

use super::documents;
use super::envelope::{response_meaning, shanghai};
use super::error::{DeclarationError, Fault};
use super::family::{self, MessageType, Role};
use super::precheck::BusinessKey;
use super::scanner::{Namespace, Scanner};
use super::standing::{TRANSPORT_RESPONSE, agrees, is_negative};
use crate::bilingual;
use crate::ground::limits::Limits;
use crate::ground::text::{Bilingual, printable};

mod codes;
mod writing;

pub use writing::{Step, answer, answer_step, format_error};

/// A receipt message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Such as `CEB312Message`.
    pub message_type: String,
    /// Root attribute `guid`.
    pub guid: String,
    /// One entry per business document answered.
    pub entries: Vec<ReceiptEntry>,
    /// Entries that are not in here because all of them together would be too large.
    #[serde(default)]
    pub left_out: u32,
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
///
/// Error codes below zero are looked up in the table of this very type: the same code means one thing in an import and
/// another in an export. What ends well depends on the type: an order is done once it is in the books (120), a list once it is released (800),
/// the rest once customs decided (399). The tables name no end; this grouping is ours.
pub fn meaning(message_type: &str, status: &str) -> (Progress, Bilingual) {
    if matches!(message_type, "CEB816Message" | "CEB818Message") {
        return tax_meaning(status);
    }
    if message_type == TRANSPORT_RESPONSE {
        return (Progress::Bad, response_meaning(status));
    }
    if is_negative(status) {
        let known = codes::meaning(message_type, status);
        let known = known.unwrap_or_else(|| bilingual!("处理异常", "processing error"));
        return (Progress::Bad, known);
    }
    let Some((_, progress, zh, en)) = STATUSES.iter().find(|(code, ..)| *code == status) else {
        let status = printable(status);
        return (Progress::Unknown, bilingual!("未知状态 {status}", "unknown status {status}"));
    };
    let good = family::find(message_type).is_some_and(|row| row.good.contains(&status));
    (if good { Progress::Good } else { *progress }, bilingual!("{zh}", "{en}"))
}

fn tax_meaning(status: &str) -> (Progress, Bilingual) {
    match status {
        "1" => (Progress::Progress, bilingual!("税单已生成", "tax bill made out")),
        "2" => (Progress::Good, bilingual!("税单已汇总", "tax bill summarised")),
        "3" => (Progress::Bad, bilingual!("税单作废", "tax bill void")),
        other => {
            let other = printable(other);
            (Progress::Unknown, bilingual!("未知状态 {other}", "unknown status {other}"))
        }
    }
}

/// `returnStatus` of all receipts (报文规范 202205, notes of the receipt tables), before looking at the type.
const STATUSES: [(&str, Progress, &str, &str); 21] = [
    ("1", Progress::Progress, "电子口岸已暂存", "stored by the e-port"),
    ("2", Progress::Progress, "电子口岸申报中", "being declared by the e-port"),
    ("3", Progress::Progress, "发送海关成功", "sent to customs"),
    ("4", Progress::Bad, "发送海关失败", "sending to customs failed"),
    ("100", Progress::Bad, "海关退单", "rejected by customs"),
    ("120", Progress::Progress, "海关入库", "in the books of customs"),
    ("300", Progress::Progress, "人工审核", "under manual review"),
    ("399", Progress::Progress, "海关审结", "decided by customs"),
    ("400", Progress::Progress, "待运抵", "awaiting arrival"),
    ("430", Progress::Good, "撤销成功", "cancelled as asked"),
    ("500", Progress::Progress, "查验", "under inspection"),
    ("501", Progress::Bad, "扣留移送通关", "held, passed to clearance"),
    ("502", Progress::Bad, "扣留移送缉私", "held, passed to anti-smuggling"),
    ("503", Progress::Bad, "扣留移送法规", "held, passed to legal affairs"),
    ("505", Progress::Bad, "移交", "passed on"),
    ("599", Progress::Bad, "其它扣留", "held for another reason"),
    ("600", Progress::Progress, "挂起", "suspended"),
    ("700", Progress::Bad, "退运", "returned"),
    ("800", Progress::Good, "放行", "released"),
    ("899", Progress::Good, "结关", "cleared"),
    ("", Progress::Unknown, "未说明", "not stated"),
];

/// Reads any receipt or notice (default namespace or prefixed), streaming.
///
/// # Errors
/// Not well-formed, not a receipt, or a limit reached.
pub fn read(document: &mut dyn BufRead, limits: &Limits) -> Result<Receipt, DeclarationError> {
    let mut scanner = Scanner::new(document, limits.body, limits);
    scanner.next()?;
    let from_customs = |row: &&MessageType| matches!(row.role, Role::Receipt | Role::Notice);
    let row = row_of_root(&scanner, &from_customs)?;
    let guid = scanner.element().and_then(|root| root.attribute("guid")).unwrap_or_default().to_owned();
    let (mut entries, mut room, mut left_out) = (Vec::new(), MAX_ENTRIES_BYTES, 0u32);
    documents::walk(&mut scanner, row, limits.xml_text, MAX_ENTRIES, &mut |document, fields| {
        let first = |names: &[&str]| names.iter().find_map(|name| fields.get(name)).unwrap_or_default().to_owned();
        let entry = ReceiptEntry {
            keys: fields.keys(row, document),
            status: first(&["returnStatus", "status", "decState"]),
            time: first(&["returnTime", "opDate"]),
            info: first(&["returnInfo", "note"]),
        };
        match room.checked_sub(entry.bytes()) {
            Some(rest) => {
                room = rest;
                entries.push(entry);
            }
            None => left_out = left_out.saturating_add(1),
        }
    })?;
    Ok(Receipt { message_type: row.name.to_owned(), guid, entries, left_out })
}

/// Entries of one receipt; the schema allows a hundred of most types and sets no bound for tax bills.
const MAX_ENTRIES: u32 = 10_000;
/// Bytes that the entries of one receipt may take: ten thousand of the usual length, a hundred of the longest.
const MAX_ENTRIES_BYTES: usize = 8 * 1024 * 1024;

impl ReceiptEntry {
    /// What it takes, about.
    fn bytes(&self) -> usize {
        let keys = self.keys.iter().map(|key| key.name.len().saturating_add(key.value.len()).saturating_add(64));
        let texts = [self.status.len(), self.time.len(), self.info.len(), 96];
        keys.chain(texts).fold(0, usize::saturating_add)
    }
}

/// The instant of a `returnTime`: seventeen digits of China's clocks. Longer ones may have finer fractions.
pub fn instant(time: &str) -> Option<Timestamp> {
    let (digits, finer) = time.trim().split_at_checked(17)?;
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits(digits) || !all_digits(finer) {
        return None;
    }
    let number = |from: usize, to: usize| digits.get(from..to)?.parse::<i16>().ok();
    let small = |from: usize| i8::try_from(number(from, from.checked_add(2)?)?).ok();
    let nanoseconds = i32::from(number(14, 17)?).checked_mul(1_000_000)?;
    let civil = DateTime::new(number(0, 4)?, small(4)?, small(6)?, small(8)?, small(10)?, small(12)?, nanoseconds);
    Some(civil.ok()?.to_zoned(TimeZone::fixed(offset(8))).ok()?.timestamp())
}

/// `returnTime` of an instant.
pub fn return_time(at: Timestamp) -> String {
    shanghai(at, "%Y%m%d%H%M%S%3f")
}

/// The statuses that a declaration sees in receipts of this type when all goes well, in their order; with 300 人工审核
/// among them when it is to be looked at by a person and the type has that.
pub fn sequence(message_type: &str, review: bool) -> Vec<&'static str> {
    let Some(row) = family::find(message_type) else { return Vec::new() };
    let mut statuses = vec!["2", "3"];
    if BOOKED.contains(&message_type) {
        statuses.push("120");
    }
    if review && REVIEWED.contains(&message_type) {
        statuses.push("300");
    }
    if DECIDED.contains(&message_type) {
        statuses.push("399");
    }
    // 430 ends a cancellation instead of 399, not after it.
    let ends = row.good.iter().filter(|status| **status != "430" && !statuses.contains(status));
    let ends: Vec<&'static str> = ends.copied().collect();
    statuses.extend(ends);
    statuses
}

/// Receipts that tell of 120 海关入库, 300 人工审核 and 399 海关审结 (报文规范 202205, notes of the receipt tables).
const BOOKED: [&str; 13] = [
    "CEB312Message",
    "CEB412Message",
    "CEB512Message",
    "CEB514Message",
    "CEB622Message",
    "CEB624Message",
    "CEB626Message",
    "CEB712Message",
    "CEB304Message",
    "CEB404Message",
    "CEB604Message",
    "CEB608Message",
    "CEB214Message",
];
const REVIEWED: [&str; 3] = ["CEB622Message", "CEB604Message", "CEB214Message"];
const DECIDED: [&str; 11] = [
    "CEB622Message",
    "CEB624Message",
    "CEB626Message",
    "CEB712Message",
    "CEB506Message",
    "CEB508Message",
    "CEB510Message",
    "CEB604Message",
    "CEB606Message",
    "CEB702Message",
    "CEB216Message",
];

/// Whether a receipt's entry is about the document with these keys: the same main key, and no key that differs.
///
/// `message_type` is the request's; `document` holds the keys of one document as the pre-check reports them.
pub fn concerns(entry: &ReceiptEntry, message_type: &str, document: &[BusinessKey]) -> bool {
    let Some(main) = family::find(message_type).and_then(|row| row.keys.first()) else { return false };
    let own = |name: &str| document.iter().find(|own| own.name == name).map(|own| own.value.as_str());
    agrees(&entry.keys, main, own)
}

/// The table's row for the root the scanner just started, when `fits`.
fn row_of_root(
    scanner: &Scanner<'_>,
    fits: &dyn Fn(&&MessageType) -> bool,
) -> Result<&'static MessageType, DeclarationError> {
    let root = scanner.element();
    root.filter(|root| root.namespace == Namespace::Ceb)
        .and_then(|root| family::find(root.local()))
        .filter(|row| fits(row))
        .ok_or_else(|| {
            let root = root.map(|root| root.local().to_owned()).unwrap_or_default();
            scanner.error(Fault::WrongMessageType { root })
        })
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

#[cfg(test)]
mod tests;
