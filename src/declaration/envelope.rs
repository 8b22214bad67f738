//! The transport envelope of the terminal node (终端节点报文): `DxpMsg` and its response `DxpRep`.

use std::io::{BufRead, Read, Write};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::DeclarationError;
use crate::ground::limits::Limits;

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

/// `TransInfo` and the file name of `AddInfo`.
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
    /// One or more responses.
    pub responses: Vec<Response>,
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
    unimplemented!("{at}")
}

/// Writes a `DxpMsg` around `document`, streaming. `AddInfo` appears when the head has a file name.
///
/// # Errors
/// A head that the schema would refuse (nothing is written then), or a failing reader or writer.
pub fn wrap(head: &EnvelopeHead, document: &mut dyn Read, out: &mut dyn Write) -> Result<(), DeclarationError> {
    let _ = (head, document, out);
    unimplemented!()
}

/// Reads a `DxpMsg`, a `DxpRep`, or either inside a `DxpMsgSv`; writes the document of a `DxpMsg` to `document_out`.
///
/// # Errors
/// Not well-formed, not an envelope, bad Base64, or a limit reached; what was written so far is then worthless.
pub fn unwrap(
    input: &mut dyn BufRead,
    document_out: &mut dyn Write,
    limits: &Limits,
) -> Result<Unwrapped, DeclarationError> {
    let _ = (input, document_out, limits);
    unimplemented!()
}

/// The kind of a document, reading no further than its root element.
///
/// # Errors
/// What stands before the root is not XML, or a limit is reached.
pub fn sniff(input: &mut dyn BufRead, limits: &Limits) -> Result<Kind, DeclarationError> {
    let _ = (input, limits);
    unimplemented!()
}
