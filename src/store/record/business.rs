//! The second life of a message: its documents, what customs says about them, and what the transport platform says about
//! its envelope.

use std::ops::Deref;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::declaration::standing::{Document, Key};
use crate::ground::id::Id;

/// What the pre-check learned about a declaration.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DeclarationSummary {
    /// `CEB311Message` and so on.
    pub message_type: String,
    /// Business documents in the message.
    pub documents: u32,
    /// `CopMsgId` of its envelope, when it travels in one.
    pub cop_msg_id: Option<String>,
    /// Business keys such as `orderNo=…`, at most a few.
    pub keys: Vec<(String, String)>,
    /// The DXPID under which it leaves (outbound).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dxpid: Option<String>,
}

/// The business documents of a message. Copies share them: most facts leave them as they are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Documents(Arc<Vec<Document>>);

impl Documents {
    /// Documents that were sent, by their keys.
    pub fn sent(documents: &[Vec<Key>]) -> Documents {
        Documents(Arc::new(documents.iter().map(|keys| Document::sent(keys.clone())).collect()))
    }

    /// There are none: the payload is no declaration.
    pub fn are_none(&self) -> bool {
        self.0.is_empty()
    }

    /// To be changed.
    pub(in crate::store) fn make_mut(&mut self) -> &mut Vec<Document> {
        Arc::make_mut(&mut self.0)
    }

    /// The very same ones, so that nothing needs to be compared. `false` says nothing.
    pub(in crate::store) fn are_shared_with(&self, other: &Documents) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Deref for Documents {
    type Target = [Document];

    fn deref(&self) -> &[Document] {
        &self.0
    }
}

impl Serialize for Documents {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.as_ref().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Documents {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Documents, D::Error> {
        Vec::deserialize(deserializer).map(|documents| Documents(Arc::new(documents)))
    }
}

/// What one entry of a receipt says about one document of the message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// Which document, from 1; 0 for all of them.
    pub document: u32,
    /// `returnStatus`, as given.
    pub status: String,
    /// `returnTime`, seventeen digits; the time of reception where the receipt has none that can be read.
    pub time: String,
    /// The first characters of `returnInfo`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub info: String,
    /// Numbers that customs gave the document.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub given: Vec<Key>,
}

/// What the transport platform said about the envelope (`DxpRep`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlatformAnswer {
    /// When it came.
    pub at: Timestamp,
    /// The inbound message that brought it.
    pub response: Id,
    /// The transport node that spoke.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// `ResponseCode`; where a receiver's result is worse, its code.
    pub code: String,
    /// `ResponseInfo`, or that of the result; its first characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub info: Option<String>,
    /// It refuses the envelope, or could not pass it on.
    pub refused: bool,
    /// The day of `NoticeTime`, `2026-03-01`; that of its arrival where it has none that can be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<String>,
    /// What it says of each receiver, where it names them. In the sum of several answers the one without a name is what
    /// was said of all.
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    pub results: Box<[PlatformResult]>,
}

/// What the transport platform says of one receiver of an envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlatformResult {
    /// `RecId`.
    pub receiver: String,
    /// `Code`.
    pub code: String,
    /// `Info`; its first characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub info: Option<String>,
    /// The day it was said, where that differs from the answer's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<String>,
}

/// What an inbound receipt answers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Answered {
    /// The outbound messages, at most [`NAMED`] of them.
    pub messages: Vec<Id>,
    /// How many there are.
    pub of: u32,
    /// Entries about documents that this station did not send.
    pub unknown: u32,
}

/// Messages that [`Answered`] names.
pub const NAMED: usize = 100;
