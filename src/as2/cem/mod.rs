//! Certificate Exchange Messaging (CEM, draft-meadors-certificate-exchange-14): one side asks the other to trust new
//! certificates, the other says whether it does.
//!
//! Both documents travel as the payload of an ordinary AS2 message, a `multipart/related` whose root is XML; beside it
//! each certificate is a `certs-only` part that the XML names by its `Content-ID`. Nothing here trusts anything: what a
//! request holds is what a person is asked about.
//!
//! ```text
//! EDIINTCertificateExchangeRequest requestId      EDIINTCertificateExchangeResponse requestId
//!   TradingPartnerInfo Name MessageOriginated       TradingPartnerInfo Name MessageOriginated
//!   TrustRequest+                                   TrustResponse+
//!     CertUsage+ RespondByDate? ResponseURL           CertStatus ReasonForRejection?
//!     EndEntity CertificateIdentifier                 CertificateReference
//!               CertificateContentID
//!     TrustChain* (passed over)
//! ```

mod document;
mod parts;
mod reading;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::bilingual;
use crate::cms::{Certificate, CmsError};
use crate::ground::text::{Bilingual, printable};
use crate::mime::MimeError;

pub use parts::{is_exchange, read, request_payload, response_payload};

/// Media type of the XML.
pub const DOCUMENT_TYPE: &str = "application/ediint-cert-exchange+xml";
/// Media type of the certificates.
pub const CERTIFICATES_TYPE: &str = "application/pkcs7-mime; smime-type=certs-only";
/// Bytes of a whole message; real ones have a few thousand.
pub const MAX_BYTES: u64 = 1024 * 1024;
/// Bytes of one certificate that is asked about; real ones have a few thousand.
pub const MAX_CERTIFICATE: usize = 64 * 1024;
/// Certificates that one request may ask about.
pub const MAX_CERTIFICATES: usize = 8;

/// What a certificate shall be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CertUsage {
    /// Its owner signs messages and MDNs with it.
    DigitalSignature,
    /// Messages to its owner are encrypted to it.
    KeyEncipherment,
    /// Its owner's HTTPS server shows it.
    TlsServer,
    /// Its owner shows it as a TLS client.
    TlsClient,
}

impl CertUsage {
    /// All of them.
    pub const ALL: [CertUsage; 4] =
        [CertUsage::DigitalSignature, CertUsage::KeyEncipherment, CertUsage::TlsServer, CertUsage::TlsClient];

    /// As the XML writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            CertUsage::DigitalSignature => "digitalSignature",
            CertUsage::KeyEncipherment => "keyEncipherment",
            CertUsage::TlsServer => "tlsServer",
            CertUsage::TlsClient => "tlsClient",
        }
    }
}

/// Who sent a document and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TradingPartnerInfo {
    /// Its AS2 name.
    pub name: String,
    /// When it was made; absent where a product writes none that can be read.
    pub originated: Option<Timestamp>,
}

/// One certificate that shall be trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustRequest {
    /// For what; at least one.
    pub usages: Vec<CertUsage>,
    /// Until when an answer is wanted.
    pub respond_by: Option<Timestamp>,
    /// Where the answer is wanted; it is sent to the partner's configured URL, whatever stands here.
    pub response_url: String,
    /// The certificate.
    pub certificate: Certificate,
    /// How the request names it; the response repeats that letter for letter, since some products compare text.
    pub reference: CertificateReference,
    /// Certificates that came with it: its issuers.
    pub chain: Vec<Certificate>,
}

/// A request to trust certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExchangeRequest {
    /// Repeated in the response.
    pub request_id: String,
    /// Who asks.
    pub from: TradingPartnerInfo,
    /// For which certificates; at least one.
    pub trust: Vec<TrustRequest>,
}

/// How a certificate of a request is named in the response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateReference {
    /// Issuer, as the other side writes names.
    pub issuer: String,
    /// Serial number, decimal.
    pub serial: String,
}

impl CertificateReference {
    /// Names `certificate`.
    pub fn of(certificate: &Certificate) -> CertificateReference {
        CertificateReference { issuer: certificate.issuer_rfc2253(), serial: certificate.serial_decimal() }
    }

    /// Which of `held` it names: by the serial number, since products write the names of issuers in many ways; where
    /// several have that number, by the issuer, then by the decimal spelling, then as the one that has issued none of the
    /// others. None where each of several may be meant.
    pub fn pick(&self, held: &[Certificate]) -> Option<usize> {
        let issuer_of_another = |one: &Certificate| {
            let issued = |other: &Certificate| other != one && other.issuer() == one.subject();
            held.iter().any(issued)
        };
        let mut named: Vec<(usize, &Certificate)> =
            held.iter().enumerate().filter(|(_, one)| self.has_serial(one)).collect();
        prefer(&mut named, |one| self.issuer == one.issuer_rfc2253());
        prefer(&mut named, |one| digits(&self.serial) == digits(&one.serial_decimal()));
        prefer(&mut named, |one| !issuer_of_another(one));
        let (place, first) = *named.first()?;
        named.iter().all(|(_, one)| *one == first).then_some(place)
    }

    fn has_serial(&self, certificate: &Certificate) -> bool {
        let own = digits(&self.serial);
        own == digits(&certificate.serial_decimal()) || own.eq_ignore_ascii_case(digits(&certificate.serial()))
    }
}

/// Those that fit, if any do.
fn prefer(named: &mut Vec<(usize, &Certificate)>, fits: impl Fn(&Certificate) -> bool) {
    if named.iter().any(|(_, one)| fits(one)) {
        named.retain(|(_, one)| fits(one));
    }
}

/// A serial number without the zeros before it.
fn digits(text: &str) -> &str {
    text.trim().trim_start_matches('0')
}

/// What became of one certificate of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustResponse {
    /// Whether it is trusted from now on.
    pub accepted: bool,
    /// Why not.
    pub reason: Option<String>,
    /// Which one.
    pub reference: CertificateReference,
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExchangeResponse {
    /// That of the request.
    pub request_id: String,
    /// Who answers.
    pub from: TradingPartnerInfo,
    /// For each certificate of the request; at least one.
    pub trust: Vec<TrustResponse>,
}

/// A document that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exchange {
    /// Certificates that shall be trusted.
    Request(ExchangeRequest),
    /// What became of those that we asked about.
    Response(ExchangeResponse),
}

/// Why a payload is no certificate exchange message that can be used. The sender's fault.
#[derive(Debug, thiserror::Error)]
pub enum CemError {
    /// More than [`MAX_BYTES`].
    #[error("it is longer than 1 MiB")]
    TooLong,
    /// It cannot be taken apart.
    #[error("its MIME structure cannot be read: {0}")]
    Mime(#[from] MimeError),
    /// No part is the XML document.
    #[error("no part is of type application/ediint-cert-exchange+xml")]
    NoDocument,
    /// The XML is not well-formed, has a DTD, or is nested too deeply.
    #[error("its XML cannot be read: {0}")]
    Xml(String),
    /// The root, or its namespace, is another one.
    #[error("its XML is neither a request nor a response")]
    NotAnExchange,
    /// Something that must be there is not.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A value that the schema does not know.
    #[error("{element} has the unknown value {value}")]
    Unknown {
        /// The element.
        element: &'static str,
        /// What stands there, printable.
        value: String,
    },
    /// More than [`MAX_CERTIFICATES`].
    #[error("it asks about more than {MAX_CERTIFICATES} certificates")]
    TooMany,
    /// The XML names a part that is not there.
    #[error("no part has the Content-ID {0}")]
    NoPart(String),
    /// The part holds no certificates.
    #[error("the part {id} holds no certificates that can be read: {source}")]
    Certificates {
        /// Its Content-ID.
        id: String,
        /// What is wrong.
        source: CmsError,
    },
    /// The certificate that the XML names is not in the part that it names, or several may be meant.
    #[error(
        "the part {0} does not hold the certificate that the XML names, or holds several of which each may be meant"
    )]
    OtherCertificate(String),
    /// A certificate of more than [`MAX_CERTIFICATE`] bytes.
    #[error("the certificate in the part {0} is longer than 64 KiB")]
    LongCertificate(String),
}

impl CemError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            CemError::TooLong | CemError::LongCertificate(_) => "cem-too-long",
            CemError::Mime(_) => "cem-mime-unreadable",
            CemError::NoDocument | CemError::NotAnExchange | CemError::Xml(_) => "cem-document-unreadable",
            CemError::Missing(_) | CemError::Unknown { .. } | CemError::TooMany => "cem-document-invalid",
            CemError::NoPart(_) | CemError::Certificates { .. } | CemError::OtherCertificate(_) => {
                "cem-certificate-missing"
            }
        }
    }

    /// What happened and what to do.
    pub fn text(&self) -> Bilingual {
        let shown = printable(&self.to_string());
        bilingual!(
            "证书交换报文（CEM）无法使用：{shown}。请对方检查其 AS2 软件，或以其他方式交付证书并用 dxgate cert import 导入。",
            "the certificate exchange message (CEM) cannot be used: {shown}. Ask the partner to check its AS2 software, or to hand over its certificate by other means, and take it with dxgate cert import."
        )
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
