//! The writing side of receipts, as the customs side of a test answers.

use std::io::BufRead;

use jiff::Timestamp;

use super::super::CEB_NS;
use super::super::documents::{self, Fields};
use super::super::error::{DeclarationError, Fault};
use super::super::family::{self, Family, Fill, MessageType, Role};
use super::super::markup::Markup;
use super::super::precheck::BusinessKey;
use super::super::scanner::Scanner;
use super::super::serial::Serials;
use super::{OriginalMessage, Outcome, Progress, meaning, row_of_root};
use crate::ground::limits::Limits;

/// Characters of `returnInfo` (C..1000), of a CEB900's (C..5000), and of the document it quotes.
const MAX_INFO: usize = 1000;
const MAX_FORMAT_INFO: usize = 5000;
const MAX_QUOTE: usize = 1024 * 1024;

/// One receipt of the several that a declaration sees.
pub struct Step<'a> {
    /// When the declaration came: the numbers of customs follow from it, so that they are the same in all its receipts.
    pub since: Timestamp,
    /// When this receipt is written.
    pub at: Timestamp,
    /// What becomes of the document with this number and these keys; none when this receipt does not speak of it.
    pub outcome: &'a dyn Fn(u32, &[BusinessKey]) -> Option<Outcome>,
}

/// The receipt message that answers `request`, one entry per document with its keys copied.
///
/// The same request, instant and outcome give the same bytes.
///
/// # Errors
/// The request cannot be read or is of no request type: answer with [`format_error`] then.
pub fn answer(
    request: &mut dyn BufRead,
    at: Timestamp,
    outcome: &Outcome,
    limits: &Limits,
) -> Result<Vec<u8>, DeclarationError> {
    let step = Step { since: at, at, outcome: &|_, _| Some(outcome.clone()) };
    answer_step(request, &step, limits).map(Option::unwrap_or_default)
}

/// The receipt of one step; none when it speaks of no document.
///
/// # Errors
/// As [`answer`].
pub fn answer_step(
    request: &mut dyn BufRead,
    step: &Step<'_>,
    limits: &Limits,
) -> Result<Option<Vec<u8>>, DeclarationError> {
    let at = step.at;
    let mut scanner = Scanner::new(request, limits.body, limits);
    scanner.next()?;
    let row = row_of_root(&scanner, &|row| matches!(row.role, Role::Request { .. }))?;
    let root_guid = scanner.element().and_then(|root| root.attribute("guid")).unwrap_or_default().to_owned();
    let receipt = family::receipt_type(row.name).and_then(family::find);
    let Some(receipt) = receipt else {
        return Err(scanner.error(Fault::WrongMessageType { root: row.name.to_owned() }));
    };
    let serials = Serials::new(at, &[row.name.as_bytes(), root_guid.as_bytes(), b"message"]);
    let mut markup = Markup::new("");
    markup.open_with(receipt.name, &[("xmlns", CEB_NS), ("guid", &serials.guid()), ("version", "1.0")]);
    let mut entries = 0u32;
    let count = documents::walk(&mut scanner, row, limits.xml_text, row.max_documents, &mut |document, fields| {
        let Some(outcome) = (step.outcome)(document, &fields.keys(row, document)) else { return };
        let guid = fields.get("guid").unwrap_or_default();
        let parts: [&[u8]; 3] = [row.name.as_bytes(), guid.as_bytes(), &document.to_be_bytes()];
        let (own, numbers) = (Serials::new(at, &parts), Serials::new(step.since, &parts));
        write_entry(&mut markup, receipt, fields, (&own, &numbers), &outcome);
        entries = entries.saturating_add(1);
    })?;
    if count == 0 {
        return Err(DeclarationError::placeless(Fault::MissingElement { element: row.node.to_owned() }));
    }
    markup.close(receipt.name);
    Ok((entries > 0).then(|| markup.into_bytes()))
}

fn write_entry(
    markup: &mut Markup,
    receipt: &MessageType,
    fields: &Fields,
    (own, numbers): (&Serials, &Serials),
    outcome: &Outcome,
) {
    let guid = fields.get("guid").unwrap_or_default();
    let (status, info) = status_and_info(receipt, outcome, guid);
    // Customs has given its numbers from 海关入库 (120) on, unless it refused.
    let known =
        status.parse::<i32>().is_ok_and(|code| code >= 120) && meaning(receipt.name, &status).0 != Progress::Bad;
    let family = receipt.family.unwrap_or(Family::Import);
    let number = || numbers.customs_no(fields.get("customsCode").unwrap_or_default(), family);
    markup.open(receipt.node);
    markup.leaf("guid", &own.guid());
    for (name, fill) in receipt.fields {
        // A list number of another length than the schema's could not be repeated.
        let fits = |value: &&str| *fill == Fill::Copied || *name != "invtNo" || value.chars().count() == 18;
        let given = fields.get(name).filter(fits).map(str::to_owned);
        let value = match fill {
            Fill::Copied => given.or_else(|| Some(if *name == "msgSeqNo" { "1".into() } else { String::new() })),
            Fill::IfGiven => given,
            Fill::Generated => given.filter(|pre_no| pre_no.chars().count() == 18).or_else(|| Some(numbers.pre_no())),
            Fill::OnceKnown => given.or_else(|| known.then(number)),
            Fill::OnceKnownOrEmpty => given.or_else(|| Some(if known { number() } else { String::new() })),
        };
        if let Some(value) = value {
            markup.leaf(name, &value);
        }
    }
    markup.leaf("returnStatus", &status);
    markup.leaf("returnTime", &own.time());
    markup.leaf("returnInfo", &info);
    markup.close(receipt.node);
}

/// `returnStatus` and `returnInfo`; customs ends the text of a success with the document's guid.
fn status_and_info(receipt: &MessageType, outcome: &Outcome, guid: &str) -> (String, String) {
    let suffix = if guid.is_empty() { String::new() } else { format!("[{guid}]") };
    let named = |status: &str| (status.to_owned(), format!("{}{suffix}", meaning(receipt.name, status).1.zh));
    let (status, info) = match outcome {
        Outcome::Declaring => named("2"),
        Outcome::Accepted => named(receipt.good.first().copied().unwrap_or("120")),
        Outcome::Rejected { reason } => ("100".to_owned(), reason.clone()),
        Outcome::Status { code, info } => (code.chars().take(10).collect(), info.clone()),
    };
    let info = if info.trim().is_empty() { named(&status).1 } else { info };
    (status, info.chars().take(MAX_INFO).collect())
}

/// CEB900: the receipt for a document that could not be read.
pub fn format_error(original: &OriginalMessage<'_>, info: &str, at: Timestamp) -> Vec<u8> {
    let parts: [&[u8]; 2] = [original.cop_msg_id.as_bytes(), original.document];
    let (message, entry) = (Serials::new(at, &parts), Serials::new(at, &[b"entry", original.cop_msg_id.as_bytes()]));
    let known = original.message_type.filter(|name| family::find(name).is_some());
    let quote = String::from_utf8_lossy(original.document.get(..MAX_QUOTE).unwrap_or(original.document));
    let mut markup = Markup::new("");
    markup.open_with("CEB900Message", &[("xmlns", CEB_NS), ("guid", &message.guid()), ("version", "1.0")]);
    markup.open("MessageReturn");
    markup.leaf("guid", &entry.guid());
    markup.leaf("returnStatus", "-1");
    markup.leaf("returnInfo", &info.chars().take(MAX_FORMAT_INFO).collect::<String>());
    markup.leaf("returnTime", &message.time());
    markup.leaf("oriCopMsgId", &original.cop_msg_id.chars().take(255).collect::<String>());
    markup.leaf("oriMessageType", known.unwrap_or("Unknown"));
    markup.cdata("oriBizMessage", &quote);
    markup.close("MessageReturn");
    markup.close("CEB900Message");
    markup.into_bytes()
}
