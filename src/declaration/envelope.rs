//! The transport envelope of the terminal node (终端节点报文 202205, 规范 section 4): `DxpMsg` and its response `DxpRep`.
//!
//! ```text
//! DxpMsg ver="1.0"
//!  ├ TransInfo: CopMsgId, SenderId, ReceiverIds/ReceiverId (1 to 5), CreatTime, MsgType
//!  ├ Data: Base64 of the whole document
//!  ├ AddInfo?: FileName?, IcCard?, BizKey?/Key (1 to 5), IsText?, RecMapId?
//!  └ ds:Signature?
//! DxpMsgSv ver="1.0": SvNo, DxpMsg, ds:Signature?
//! ```
//!
//! Writing follows the schema to the letter. Reading takes what can be understood, any prefix, any order, an outer
//! `DxpMsgSv`, and lists the deviations: a message that arrived is worth more than its form. Documents stream through.

use std::io::{BufRead, Read, Write};

use base64::engine::general_purpose::STANDARD;
use base64::write::EncoderWriter;
use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use serde::{Deserialize, Serialize};

use super::DXP_NS;
use super::charset::uncarry;
use super::error::{DeclarationError, Fault};
use super::markup::Markup;
use super::scanner::{Event, Namespace, Scanner};
use crate::ground::limits::Limits;

mod add_info;
mod codes;
mod node;
mod reading;
mod response;

pub use add_info::{AddInfo, BizKey};
pub use codes::{response_is_success, response_is_transient, response_meaning};
pub use node::{NodeHead, wrap_for_node};
pub(super) use reading::pass;
pub use response::write_response;

/// What kind of document a file is, judged by its root element alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Kind {
    /// A business message; the type is the root's local name, known or not.
    Ceb {
        /// Local name of the root, such as `CEB311Message`.
        message_type: String,
    },
    /// An envelope.
    DxpMsg,
    /// The transport's response to an envelope.
    DxpRep,
    /// The transport node's wrapping around either (第三方平台).
    DxpMsgSv,
    /// Any other XML.
    Other {
        /// Local name of the root.
        root: String,
        /// Its namespace, empty when it has none.
        namespace: String,
    },
}

/// `TransInfo` and `AddInfo`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EnvelopeHead {
    /// `CopMsgId`, 1 to 255 characters: the sender's own unique id of this transport message.
    pub cop_msg_id: String,
    /// `SenderId`, 1 to 16 characters: the DXPID of the sender.
    pub sender_id: String,
    /// `ReceiverIds/ReceiverId`, one to five of 1 to 16 characters.
    pub receiver_ids: Vec<String>,
    /// `CreatTime`, local time without zone: `2026-03-01T09:30:00` ([`creat_time`]).
    pub creat_time: String,
    /// `MsgType`, up to 30 characters: the local name of the wrapped root.
    pub msg_type: String,
    /// `AddInfo/FileName`, when given.
    pub file_name: Option<String>,
    /// The rest of `AddInfo`.
    #[serde(default, skip_serializing_if = "AddInfo::is_empty")]
    pub add_info: Box<AddInfo>,
}

/// What an envelope held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Unwrapped {
    /// A `DxpMsg`; its document was written out.
    Message {
        /// The envelope's head.
        head: EnvelopeHead,
        /// Bytes of the document written.
        document_len: u64,
        /// `SvNo/MsgId` of an outer `DxpMsgSv`, when there was one.
        node_msg_id: Option<String>,
        /// Ways in which the envelope differs from the schema but could be read; empty for a correct one.
        deviations: Vec<DeclarationError>,
    },
    /// A `DxpRep`; nothing was written.
    Response {
        /// The response.
        response: TransportResponse,
    },
}

/// `DxpRep`: what the transport itself says about an envelope.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TransportResponse {
    /// `RecevierId` (spelled so by the schema): whom the response is for.
    pub receiver_id: String,
    /// One or more responses, a thousand at most.
    pub responses: Vec<Response>,
    /// Responses that are not in here: beyond those, or too large with the others. A text that found no room is `…`.
    #[serde(default)]
    pub left_out: u32,
}

/// One `Response` of a `DxpRep`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Response {
    /// `NodeId`: the transport node that produced it.
    pub node_id: Option<String>,
    /// `ResponseCode`, such as `0002`.
    pub code: String,
    /// `ResponseInfo`.
    pub info: Option<String>,
    /// `Results/Result`, one per receiver.
    pub results: Vec<ResponseResult>,
    /// `NoticeTime`.
    pub notice_time: Option<String>,
    /// `Note`.
    pub note: Option<String>,
    /// `OriHead`: the head of the envelope answered; its `cop_msg_id` is the correlation.
    pub original: EnvelopeHead,
}

/// What one receiver's node said.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ResponseResult {
    /// `RecId`.
    pub receiver_id: String,
    /// `Code`.
    pub code: String,
    /// `Info`.
    pub info: Option<String>,
    /// `Note`.
    pub note: Option<String>,
}

/// `CreatTime` of an instant: Asia/Shanghai local time without zone or fraction.
pub fn creat_time(at: Timestamp) -> String {
    shanghai(at, "%Y-%m-%dT%H:%M:%S")
}

/// An instant as China's clocks show it. China has one offset and no summer time since 1992.
pub(super) fn shanghai(at: Timestamp, format: &str) -> String {
    at.to_zoned(TimeZone::fixed(Offset::constant(8))).strftime(format).to_string()
}

/// Writes a `DxpMsg` around `document`, streaming. `AddInfo` appears when the head has any of it.
///
/// # Errors
/// A head that the schema would refuse (nothing is written then), or a failing reader or writer.
pub fn wrap(head: &EnvelopeHead, document: &mut dyn Read, out: &mut dyn Write) -> Result<(), DeclarationError> {
    check_head(head)?;
    let mut markup = Markup::new("dxp:");
    markup.open_with("DxpMsg", &[("xmlns:dxp", DXP_NS), ("ver", "1.0")]);
    write_head(&mut markup, "TransInfo", head);
    write(out, markup.into_string().as_bytes())?;
    write(out, b"<dxp:Data>")?;
    let mut encoder = EncoderWriter::new(&mut *out, &STANDARD);
    std::io::copy(document, &mut encoder).map_err(|error| DeclarationError::placeless(uncarry(&error)))?;
    encoder.finish().map_err(|error| DeclarationError::placeless(uncarry(&error)))?;
    drop(encoder);
    let mut tail = Markup::tail("dxp:");
    tail.close("Data");
    add_info::write(&mut tail, head);
    tail.close("DxpMsg");
    write(out, tail.into_string().as_bytes())
}

/// The head of an envelope, or of the one that a response answers.
fn write_head(markup: &mut Markup, element: &str, head: &EnvelopeHead) {
    markup.open(element);
    markup.leaf("CopMsgId", &head.cop_msg_id);
    markup.leaf("SenderId", &head.sender_id);
    markup.open("ReceiverIds");
    for receiver in &head.receiver_ids {
        markup.leaf("ReceiverId", receiver);
    }
    markup.close("ReceiverIds");
    markup.leaf("CreatTime", &head.creat_time);
    markup.leaf("MsgType", &head.msg_type);
    markup.close(element);
}

fn write(out: &mut dyn Write, bytes: &[u8]) -> Result<(), DeclarationError> {
    out.write_all(bytes).map_err(|error| DeclarationError::placeless(Fault::Io { reason: error.to_string() }))
}

/// The lengths and shapes of the schema (终端节点报文 202205.xsd).
fn check_head(head: &EnvelopeHead) -> Result<(), DeclarationError> {
    if head.receiver_ids.is_empty() || head.receiver_ids.len() > MAX_RECEIVERS {
        let expected = format!("1..{MAX_RECEIVERS} ReceiverId");
        return Err(DeclarationError::placeless(Fault::BadField { element: "ReceiverIds".into(), expected }));
    }
    let receivers = head.receiver_ids.iter().map(|receiver| ("ReceiverId", receiver));
    let file_name = head.file_name.iter().map(|name| ("FileName", name));
    let rest = [
        ("CopMsgId", &head.cop_msg_id),
        ("SenderId", &head.sender_id),
        ("CreatTime", &head.creat_time),
        ("MsgType", &head.msg_type),
    ];
    for (element, value) in rest.into_iter().chain(receivers).chain(file_name) {
        field_fault(element, value).map_or(Ok(()), |fault| Err(DeclarationError::placeless(fault)))?;
    }
    head.add_info.fault().map_or(Ok(()), |fault| Err(DeclarationError::placeless(fault)))
}

/// Whether the schema takes this as `FileName`.
pub fn is_file_name(name: &str) -> bool {
    field_fault("FileName", name).is_none()
}

/// What the schema has against the value of this head field.
fn field_fault(element: &str, value: &str) -> Option<Fault> {
    let bad = |expected: &str| Some(Fault::BadField { element: element.to_owned(), expected: expected.to_owned() });
    let (min, max) = match element {
        "CopMsgId" | "FileName" => (1, 255),
        "SenderId" | "ReceiverId" => (1, 16),
        "MsgType" => (0, 30),
        "IcCard" => (1, 13),
        "Key" => (1, 64),
        "name" => (1, 32),
        "Encode" => (0, 50),
        "CreatTime" if is_date_time(value) => return None,
        "CreatTime" => return bad("yyyy-mm-ddThh:mm:ss"),
        _ => return None,
    };
    let length = value.chars().count();
    if length < min || length > max {
        return bad(&format!("{min}..{max}"));
    }
    if value.trim() != value || value.chars().any(char::is_control) {
        return bad("no leading, trailing or control characters");
    }
    None
}

/// `xs:dateTime`, with or without zone.
fn is_date_time(value: &str) -> bool {
    let bare = match value.len().checked_sub(6).and_then(|at| value.split_at_checked(at)) {
        Some((local, zone)) if zone.starts_with(['+', '-']) && zone.get(3..4) == Some(":") => local,
        _ => value.strip_suffix('Z').unwrap_or(value),
    };
    bare.get(10..11) == Some("T") && bare.len() >= 19 && bare.parse::<jiff::civil::DateTime>().is_ok()
}

/// Receivers of one envelope.
const MAX_RECEIVERS: usize = 5;

/// Reads a `DxpMsg`, a `DxpRep`, or either inside a `DxpMsgSv`; writes the document of a `DxpMsg` to `document_out`.
///
/// # Errors
/// Not well-formed, not an envelope, bad Base64, or a limit reached; what was written so far is then worthless.
pub fn unwrap(
    input: &mut dyn BufRead,
    document_out: &mut dyn Write,
    limits: &Limits,
) -> Result<Unwrapped, DeclarationError> {
    let mut scanner = Scanner::new(input, limits.body, limits);
    scanner.next()?;
    let mut copied = Ok(());
    let unwrapped = pass(&mut scanner, limits, &mut |data| {
        let mut chunk = [0u8; 16 * 1024];
        while let Ok(count @ 1..) = data.read(&mut chunk) {
            if let Err(error) = write(document_out, chunk.get(..count).unwrap_or_default()) {
                copied = Err(error);
                return;
            }
        }
    })?;
    copied.map(|()| unwrapped)
}

/// The kind of a document, reading no further than its root element.
///
/// # Errors
/// What stands before the root is not XML, or a limit is reached.
pub fn sniff(input: &mut dyn BufRead, limits: &Limits) -> Result<Kind, DeclarationError> {
    let mut scanner = Scanner::new(input, limits.body, limits);
    scanner.next()?;
    Ok(kind_of_root(&scanner))
}

/// The kind by the element the scanner just started.
pub(super) fn kind_of_root(scanner: &Scanner<'_>) -> Kind {
    let Some(root) = scanner.element() else {
        return Kind::Other { root: String::new(), namespace: String::new() };
    };
    match (&root.namespace, root.local()) {
        (Namespace::Ceb, local) => Kind::Ceb { message_type: local.to_owned() },
        (Namespace::Dxp, "DxpMsg") => Kind::DxpMsg,
        (Namespace::Dxp, "DxpRep") => Kind::DxpRep,
        (Namespace::Dxp, "DxpMsgSv") => Kind::DxpMsgSv,
        (namespace, local) => Kind::Other { root: local.to_owned(), namespace: namespace.as_str().to_owned() },
    }
}

#[cfg(test)]
mod tests;
