//! The second life of messages: what customs says about the documents in them.
//!
//! | route | answers |
//! |---|---|
//! | `GET /declarations?status=&key=&partner=&limit=&before=` | documents that were sent, newest message first |
//! | `GET /declarations/{key}` | those with this value of any of their keys |
//!
//! A page ends with `next`, to be given as `before`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query as QueryString, Request, State as Shared};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::access::Scope;
use super::api::page_limit;
use super::backend::Backend;
use super::problem::Problem;
use super::routes::Route;
use crate::declaration::envelope::response_meaning;
use crate::declaration::receipt::meaning;
use crate::declaration::standing::{Answer, Document, Key, Standing};
use crate::ground::id::Id;
use crate::ground::text::Bilingual;
use crate::store::record::{Message, PlatformAnswer, PlatformResult, State};
use crate::store::{Declared, DeclaredFilter, Place};

/// `GET /api/v1/declarations`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeclarationList {
    /// Newest message first, the documents of a message in their order.
    pub declarations: Vec<DeclarationWire>,
    /// Give it as `before` to read on; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A document that was sent, or is to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeclarationWire {
    /// The message that carries it.
    pub message: Id,
    /// The partner's id.
    pub partner: String,
    /// File name of the message's payload.
    pub file_name: String,
    /// `CEB311Message` and so on.
    pub message_type: String,
    /// When the message came to be.
    pub created: Timestamp,
    /// Where the message stands: the transport.
    pub transport: State,
    /// What the transport platform said of the message's envelope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<PlatformWire>,
    /// Where the document stands: the business.
    #[serde(flatten)]
    pub document: DocumentWire,
}

/// A document and what customs says about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DocumentWire {
    /// Which document of the message, from 1.
    pub number: u32,
    /// Where it stands.
    pub status: Standing,
    /// What identifies it, as it was sent.
    #[schema(value_type = Vec<Vec<String>>)]
    pub keys: Vec<Key>,
    /// Numbers that customs gave it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Vec<String>>)]
    pub given: Vec<Key>,
    /// What the newest receipt says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<SaidWire>,
    /// What the newest notice of each type says (tax bills, summary results).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<SaidWire>,
}

/// What one receipt says about a document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SaidWire {
    /// `CEB312Message` and so on; `DxpRep` where the platform refused the envelope.
    pub message_type: String,
    /// `returnStatus`, as given.
    pub status: String,
    /// What that status means in this type.
    pub meaning: Bilingual,
    /// `returnTime`, as customs writes it; empty for the platform.
    pub time: String,
    /// The beginning of `returnInfo`.
    pub info: String,
    /// The inbound message that brought it.
    pub message: Id,
}

/// The second life in `GET /api/v1/messages/{id}`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BusinessWire {
    /// Its documents (outbound).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<DocumentWire>,
    /// What the transport platform said of its envelope (outbound).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<PlatformWire>,
    /// The messages that it answers, at most a hundred (a receipt, inbound).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<Id>,
    /// Entries about documents that this station did not send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown: Option<u32>,
}

/// What the transport platform said of an envelope.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PlatformWire {
    /// When it came.
    pub at: Timestamp,
    /// `ResponseCode`.
    pub code: String,
    /// What that code means.
    pub meaning: Bilingual,
    /// `ResponseInfo`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub info: Option<String>,
    /// The envelope did not get any further.
    pub refused: bool,
    /// The inbound message that brought it.
    pub message: Id,
    /// What it said of each receiver, where it named them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub results: Vec<PlatformResultWire>,
}

/// What the transport platform said of one receiver.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PlatformResultWire {
    /// `RecId`.
    pub receiver: String,
    /// `Code`.
    pub code: String,
    /// `Info`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub info: Option<String>,
}

impl From<&PlatformAnswer> for PlatformWire {
    fn from(answer: &PlatformAnswer) -> PlatformWire {
        let result = |result: &PlatformResult| PlatformResultWire {
            receiver: result.receiver.clone(),
            code: result.code.clone(),
            info: result.info.clone(),
        };
        PlatformWire {
            at: answer.at,
            code: answer.code.clone(),
            meaning: response_meaning(&answer.code),
            info: answer.info.clone(),
            refused: answer.refused,
            message: answer.response,
            results: answer.results.iter().filter(|result| !result.receiver.is_empty()).map(result).collect(),
        }
    }
}

pub(super) fn routes<B: Backend>() -> Vec<Route<B>> {
    vec![
        Route::get("/declarations", Scope::Read, list::<B>)
            .says("Documents that were sent, newest message first")
            .query::<Parameters>()
            .answers::<DeclarationList>(200, "A page of them"),
        Route::get("/declarations/{key}", Scope::Read, find::<B>)
            .says("Documents with this value of any of their keys")
            .query::<Parameters>()
            .answers::<DeclarationList>(200, "A page of them"),
    ]
}

/// The query string of a list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct Parameters {
    /// That stand so.
    status: Option<Standing>,
    /// With this value of any of their keys.
    key: Option<String>,
    /// Sent to this partner (its id).
    partner: Option<String>,
    /// Documents in one answer, 1 to 500.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
    /// The `next` of the page before.
    before: Option<String>,
}

async fn list<B: Backend>(Shared(backend): Shared<Arc<B>>, request: Request) -> Result<Json<DeclarationList>, Problem> {
    page(&*backend, parameters(&request)?).await
}

async fn find<B: Backend>(
    Shared(backend): Shared<Arc<B>>,
    Path(key): Path<String>,
    request: Request,
) -> Result<Json<DeclarationList>, Problem> {
    let parameters = parameters(&request)?;
    if parameters.key.is_some() {
        return Err(Problem::malformed("key"));
    }
    let found = page(&*backend, Parameters { key: Some(key), ..parameters }).await?;
    if found.declarations.is_empty() && found.next.is_none() { Err(Problem::no_declaration()) } else { Ok(found) }
}

fn parameters(request: &Request) -> Result<Parameters, Problem> {
    let parsed = QueryString::try_from_uri(request.uri());
    parsed.map(|QueryString(parameters)| parameters).map_err(|_| Problem::malformed("the query string"))
}

async fn page<B: Backend>(backend: &B, parameters: Parameters) -> Result<Json<DeclarationList>, Problem> {
    let Parameters { status, key, partner, limit, before } = parameters;
    let after = before.map(|before| place(&before).ok_or_else(|| Problem::malformed("before"))).transpose()?;
    let limit = page_limit(limit)?;
    let page = backend.declarations(DeclaredFilter { standing: status, key, partner, limit, after }).await;
    let declarations = page.documents.iter().map(DeclarationWire::from).collect();
    Ok(Json(DeclarationList { declarations, next: page.next.map(cursor) }))
}

/// `<message>.<document>`.
fn cursor(Place { message, document }: Place) -> String {
    format!("{message}.{document}")
}

fn place(cursor: &str) -> Option<Place> {
    let (message, document) = cursor.split_once('.')?;
    Some(Place { message: message.parse().ok()?, document: document.parse().ok()? })
}

impl BusinessWire {
    /// None for a message that is neither a declaration nor an answer to one.
    pub(super) fn of(message: &Message) -> Option<BusinessWire> {
        let documents =
            (1..).zip(message.documents.iter()).map(|(number, document)| DocumentWire::of(number, document));
        let platform = message.platform.as_ref().map(PlatformWire::from);
        let answered = message.answered.as_ref();
        let business = BusinessWire {
            documents: documents.collect(),
            platform,
            answers: answered.map(|answered| answered.messages.clone()).unwrap_or_default(),
            unknown: answered.map(|answered| answered.unknown),
        };
        (business != BusinessWire::default()).then_some(business)
    }
}

impl DocumentWire {
    fn of(number: u32, document: &Document) -> DocumentWire {
        DocumentWire {
            number,
            status: document.standing,
            keys: document.keys.clone(),
            given: document.given.clone(),
            receipt: document.answer.as_ref().map(SaidWire::from),
            notices: document.notices.iter().map(SaidWire::from).collect(),
        }
    }
}

impl From<&Answer> for SaidWire {
    fn from(answer: &Answer) -> SaidWire {
        SaidWire {
            message_type: answer.message_type.clone(),
            status: answer.status.clone(),
            meaning: meaning(&answer.message_type, &answer.status).1,
            time: answer.time.clone(),
            info: answer.info.clone(),
            message: answer.receipt,
        }
    }
}

impl From<&Declared> for DeclarationWire {
    fn from(declared: &Declared) -> DeclarationWire {
        let message = declared.message();
        DeclarationWire {
            message: message.id,
            partner: message.partner.clone(),
            file_name: message.file_name.clone(),
            message_type: declared.message_type().to_owned(),
            created: message.created,
            transport: message.state,
            platform: message.platform.as_ref().map(PlatformWire::from),
            document: DocumentWire::of(declared.number(), declared.document()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_names_its_place() {
        let at = Place { message: Id::from_bytes([7; 16]), document: 12 };
        assert_eq!(place(&cursor(at)), Some(at));
        for wrong in ["", "x.1", "07070707070707070707070707070707", "07070707070707070707070707070707.x"] {
            assert_eq!(place(wrong), None, "{wrong}");
        }
    }
}
