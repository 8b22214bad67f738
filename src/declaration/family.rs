//! Every message type of the unified cross-border system (统一版 202205), as data.

/// The two businesses; each has its own receiver on the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// 进口.
    Import,
    /// 出口.
    Export,
}

/// Who sends a message type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// From the enterprise; customs answers with this receipt type.
    Request {
        /// Message type of the receipt.
        receipt: &'static str,
    },
    /// From customs, answering a request.
    Receipt,
    /// From customs, on its own account (tax bills, summary results).
    Notice,
}

/// One row of the table of message types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageType {
    /// Local name of the root, such as `CEB311Message`.
    pub name: &'static str,
    /// Chinese name.
    pub zh: &'static str,
    /// English name.
    pub en: &'static str,
    /// Import, export, or `None` for the one that serves both (CEB900).
    pub family: Option<Family>,
    /// Who sends it.
    pub role: Role,
    /// Local name of the business node, a child of the root.
    pub node: &'static str,
    /// Local name of the node's head, when its fields are not direct children.
    pub head: Option<&'static str>,
    /// Fields that identify one document, most telling first.
    pub keys: &'static [&'static str],
    /// How many documents one message may hold.
    pub max_documents: u32,
}

/// The row of a message type.
pub fn find(name: &str) -> Option<&'static MessageType> {
    let _ = name;
    unimplemented!()
}

/// The family whose receiver takes this request type.
pub fn receiver_for(message_type: &str) -> Option<Family> {
    let _ = message_type;
    unimplemented!()
}

/// The receipt type of a request type.
pub fn receipt_type(request: &str) -> Option<&'static str> {
    let _ = request;
    unimplemented!()
}

/// Whether this type comes from customs as the answer to a request (CEB900 included).
pub fn is_receipt(message_type: &str) -> bool {
    let _ = message_type;
    unimplemented!()
}
