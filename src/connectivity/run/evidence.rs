//! What proves a case: what travelled, what came back, who signed.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ground::id::Id;
use crate::ground::text::Bilingual;

/// What proves a case.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = CaseEvidence)]
pub struct Evidence {
    /// Addresses that the partner's name leads to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// The handshake with the partner's server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsEvidence>,
    /// The status of a plain HTTP request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// The messages that travelled; `dxgate messages export ID` has their bytes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<MessageEvidence>,
}

/// A TLS handshake.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TlsEvidence {
    /// Such as `TLSv1.3`.
    #[serde(default)]
    pub version: String,
    /// The cipher suite.
    #[serde(default)]
    pub cipher: String,
    /// What the server showed, its own certificate first.
    #[serde(default)]
    pub chain: Vec<CertificateEvidence>,
}

/// A certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CertificateEvidence {
    /// `server`, `issuer`, `signer`, `recipient` or `mdn-signer`.
    pub role: String,
    /// SHA-256 of the DER, lower-case hex.
    pub fingerprint: String,
    /// Its subject, where it is known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// The end of its validity, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// One message of a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MessageEvidence {
    /// Our name for it in the journal.
    pub id: Id,
    /// AS2 Message-ID.
    #[serde(default)]
    pub message_id: Option<String>,
    /// Its file name.
    pub file_name: String,
    /// Bytes of the payload.
    #[serde(default)]
    pub payload_bytes: u64,
    /// Bytes on the wire.
    #[serde(default)]
    pub wire_bytes: u64,
    /// SHA-256 of the bytes on the wire, lower-case hex.
    #[serde(default)]
    pub wire_sha256: Option<String>,
    /// Attempts made.
    #[serde(default)]
    pub attempts: u32,
    /// When the latest attempt began.
    #[serde(default)]
    pub sent: Option<Timestamp>,
    /// When its MDN was verified.
    #[serde(default)]
    pub confirmed: Option<Timestamp>,
    /// From `sent` to `confirmed`.
    #[serde(default)]
    pub round_trip_ms: Option<u64>,
    /// The terms under which it travelled, such as `signature: rsa-pkcs1 sha-256`.
    #[serde(default)]
    pub terms: Vec<String>,
    /// The disposition of the MDN, as printed.
    #[serde(default)]
    pub disposition: Option<String>,
    /// Our MIC in the algorithm that the MDN names; all of ours when it names none.
    #[serde(default)]
    pub mic_ours: Vec<MicValue>,
    /// The MDN's, as received.
    #[serde(default)]
    pub mic_theirs: Option<String>,
    /// Whether they are equal.
    #[serde(default)]
    pub mic_matches: Option<bool>,
    /// SHA-256 of the MDN as it travelled, lower-case hex.
    #[serde(default)]
    pub mdn_sha256: Option<String>,
    /// Who signed, for whom it was encrypted, who signed the MDN.
    #[serde(default)]
    pub certificates: Vec<CertificateEvidence>,
    /// What the transport platform said about the envelope (DxpRep).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<PlatformReceipt>,
    /// What customs said about its documents, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub receipts: Vec<BusinessAnswer>,
}

/// A MIC of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MicValue {
    /// As it stands in an MDN: `base64, algorithm`.
    pub value: String,
}

/// The transport receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlatformReceipt {
    /// When it came.
    pub at: Timestamp,
    /// The inbound message that brought it.
    pub message: Id,
    /// `ResponseCode`.
    pub code: String,
    /// `ResponseInfo`.
    #[serde(default)]
    pub info: Option<String>,
    /// The envelope was refused.
    pub refused: bool,
}

/// One entry of a business receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BusinessAnswer {
    /// When it came.
    pub at: Timestamp,
    /// The inbound message that brought it.
    pub message: Id,
    /// Such as `CEB622Message`.
    pub message_type: String,
    /// Which document of the message, from 1; 0 for all of them.
    #[serde(default)]
    pub document: u32,
    /// `returnStatus`.
    pub status: String,
    /// What the status means.
    pub meaning: Bilingual,
    /// The first characters of `returnInfo`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub info: String,
}
