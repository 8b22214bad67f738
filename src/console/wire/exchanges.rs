//! Certificate exchanges, as JSON.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ground::id::Id;
use crate::store::record::{Direction, State};

/// `GET /api/v1/certificate-exchanges`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExchangeList {
    /// Newest first.
    pub exchanges: Vec<ExchangeWire>,
}

/// One side asked the other to trust certificates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExchangeWire {
    /// Its id, and that of the message with the request.
    #[schema(value_type = String)]
    pub id: Id,
    /// The other side.
    pub partner: String,
    /// `inbound`: the partner asks for its own certificates; `outbound`: we ask for ours.
    pub direction: Direction,
    /// `open`, `answered` or `superseded`.
    pub state: ExchangeState,
    /// Since when.
    pub asked: Timestamp,
    /// Until when an answer is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub respond_by: Option<Timestamp>,
    /// Which certificates.
    pub certificates: Vec<ExchangedCertificate>,
    /// Where the message with the request stands; none when it is no longer kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_state: Option<State>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<ExchangeAnswerWire>,
    /// The later exchange that has taken its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub superseded_by: Option<Id>,
}

/// How far an exchange is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ExchangeState {
    /// Nobody has answered.
    Open,
    /// Answered.
    Answered,
    /// A later one has taken its place.
    Superseded,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExchangeAnswerWire {
    /// When.
    pub at: Timestamp,
    /// A person or token of ours, or the partner.
    pub by: String,
    /// The message with the response.
    #[schema(value_type = String)]
    pub message: Id,
    /// Where that message stands; none when it is no longer kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_state: Option<State>,
}

/// A certificate of an exchange. What stands in it is absent when its copy is damaged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExchangedCertificate {
    /// SHA-256 of its DER.
    pub fingerprint: String,
    /// `verify`, `encrypt`, `tls`, `client`: what the side that is asked shall use it for.
    pub uses: Vec<String>,
    /// Whom it names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Who signed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Its serial number, hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// First instant of validity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// Last instant of validity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Timestamp>,
    /// `RSA 3072` and so on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<String>,
    /// Whether it was accepted; none while nobody has said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<bool>,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `POST /api/v1/certificate-exchanges`: ask a partner to trust certificates of ours.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExchangeRequestBody {
    /// The partner's id.
    pub partner: String,
    /// What it shall use them for: `verify`, `encrypt`, `tls` (our AS2 server), `client` (we at its server). Empty: the
    /// first two.
    #[serde(default)]
    pub uses: Vec<String>,
    /// Of our keys the one whose fingerprint begins so; none: the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Until when an answer is wanted; none: when the key begins to sign, or in 14 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub respond_by: Option<Timestamp>,
    /// Why, for the audit trail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `POST /api/v1/certificate-exchanges/{id}/accept`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptRequest {
    /// Beginnings of fingerprints: only these are accepted, the others rejected. Empty: all are accepted.
    #[serde(default)]
    pub only: Vec<String>,
    /// Why, for the audit trail; to the partner it says why the others are rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
