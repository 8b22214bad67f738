//! `DxpMsgSv`: what a transport node wraps around a `DxpMsg` (传输节点报文 202205). Enterprises never write it; the testbed
//! does, because receipts may arrive in it.

use super::{DXP_NS, DeclarationError, Fault, is_date_time};
use crate::declaration::markup::Markup;

/// `SvNo`: what the node says about the message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeHead {
    /// `MsgId`, up to 32 characters: eight of the node, fourteen of the time, ten of a sequence.
    pub msg_id: String,
    /// `SubMsgId`, one character: which part of a message to several receivers.
    pub sub_msg_id: Option<String>,
    /// `SendTime` ([`creat_time`](super::creat_time)).
    pub send_time: String,
    /// `EndNode`, up to eight characters: the node it goes to.
    pub end_node: String,
    /// `StaNode`, up to eight characters: the node it came from.
    pub start_node: String,
}

/// Writes a `DxpMsgSv` around a `DxpMsg`.
///
/// # Errors
/// A head that the schema would refuse.
pub fn wrap_for_node(node: &NodeHead, message: &[u8]) -> Result<Vec<u8>, DeclarationError> {
    let sub = node.sub_msg_id.as_deref().map(|id| ("SubMsgId", id, 1));
    let fields =
        [("MsgId", node.msg_id.as_str(), 32), ("EndNode", &node.end_node, 8), ("StaNode", &node.start_node, 8)];
    for (element, value, most) in fields.into_iter().chain(sub) {
        if !(1..=most).contains(&value.chars().count()) {
            let expected = format!("1..{most}");
            return Err(DeclarationError::placeless(Fault::BadField { element: element.into(), expected }));
        }
    }
    if !is_date_time(&node.send_time) {
        let expected = "yyyy-mm-ddThh:mm:ss".to_owned();
        return Err(DeclarationError::placeless(Fault::BadField { element: "SendTime".into(), expected }));
    }
    let mut markup = Markup::new("dxp:");
    markup.open_with("DxpMsgSv", &[("xmlns:dxp", DXP_NS), ("ver", "1.0")]);
    markup.open_with("SvNo", &[("Ver", "1.0")]);
    markup.leaf("MsgId", &node.msg_id);
    if let Some(id) = &node.sub_msg_id {
        markup.leaf("SubMsgId", id);
    }
    markup.leaf("SendTime", &node.send_time);
    markup.leaf("EndNode", &node.end_node);
    markup.leaf("StaNode", &node.start_node);
    markup.close("SvNo");
    let mut out = markup.into_bytes();
    out.extend_from_slice(without_declaration(message));
    let mut tail = Markup::tail("dxp:");
    tail.close("DxpMsgSv");
    out.extend(tail.into_bytes());
    Ok(out)
}

/// The document without its XML declaration, which may stand at the very beginning only.
fn without_declaration(message: &[u8]) -> &[u8] {
    let end = message.windows(2).position(|two| two == b"?>").filter(|_| message.starts_with(b"<?xml "));
    end.and_then(|end| message.get(end.saturating_add(2)..)).unwrap_or(message)
}
