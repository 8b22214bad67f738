//! Partners, certificates and the station, as JSON.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ground::text::Bilingual;
use crate::partner::EnvironmentName;

/// `GET /api/v1/partners`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PartnerList {
    /// In the order of their ids.
    pub partners: Vec<PartnerWire>,
}

/// A partner as configured, and how it stands with it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PartnerWire {
    /// The stem of its configuration file.
    pub id: String,
    /// Its AS2 name.
    pub as2_name: String,
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `dxp` or `plain`.
    pub profile: String,
    /// Where we send.
    pub url: String,
    /// Whether anything is exchanged with it.
    pub enabled: bool,
    /// Nothing is sent to it until a person says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<PauseWire>,
    /// It did not answer several times.
    #[serde(default)]
    pub down: bool,
    /// Messages that wait to be sent to it, or for its MDN; counted up to 10,000.
    #[serde(default)]
    pub waiting: u64,
    /// Last day of the certificate that expires first.
    pub certificate_until: Option<Timestamp>,
}

/// A pause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PauseWire {
    /// Since when.
    pub at: Timestamp,
    /// Who said so.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// `GET /api/v1/partners/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PartnerDetail {
    /// What a list shows of it.
    #[serde(flatten)]
    pub line: PartnerWire,
    /// What both sides agreed on, in the words of the partner's file.
    pub agreement: Vec<SettingWire>,
    /// Its certificates.
    pub certificates: Vec<CertificateWire>,
    /// Outdated algorithms that are allowed until a date.
    pub waivers: Vec<WaiverWire>,
}

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SettingWire {
    /// Its key.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// One waiver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WaiverWire {
    /// The algorithm.
    pub algorithm: String,
    /// Its end.
    pub until: Timestamp,
    /// Why it was given.
    pub reason: String,
}

/// Answer to a check or a reload of partners.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PartnerCheck {
    /// Nothing keeps messages from being exchanged.
    pub ok: bool,
    /// Partners as they are now.
    pub partners: u64,
    /// What is wrong or worth a look.
    pub findings: Vec<ProblemLine>,
}

/// One thing that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProblemLine {
    /// `error` or `warning`.
    pub severity: String,
    /// Stable kebab-case code.
    pub code: String,
    /// The file's name.
    pub file: String,
    /// The line in it, from 1.
    pub line: Option<u64>,
    /// The key as a path.
    pub key: String,
    /// What is wrong and what to do.
    pub text: Bilingual,
}

/// `GET /api/v1/certificates`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CertificateList {
    /// Those that end first come first.
    pub certificates: Vec<CertificateWire>,
}

/// A configured certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CertificateWire {
    /// `station`, `partner` or `console`.
    pub owner: String,
    /// The partner's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partner: Option<String>,
    /// `sign`, `decrypt`, `verify`, `encrypt`, `tls`, `client`, `declarations` (ours, for that partner).
    pub uses: Vec<String>,
    /// Distinguished name.
    pub subject: String,
    /// Distinguished name.
    pub issuer: String,
    /// Hex.
    pub serial: String,
    /// SHA-256.
    pub fingerprint: String,
    /// Beginning of its validity.
    pub not_before: Timestamp,
    /// End of its validity.
    pub not_after: Timestamp,
    /// It is used from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// It is used until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Whole days until it ends; negative when it has ended.
    pub days_left: i64,
    /// It may be used now.
    pub active: bool,
    /// Kind and bits of its key.
    pub algorithm: String,
}

/// `GET /api/v1/station`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StationWire {
    /// Our AS2 name.
    pub as2_name: String,
    /// Our transport identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dxpid: Option<String>,
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The endpoint as partners see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as2_url: Option<String>,
    /// Of the data centre's systems, which one this is.
    #[serde(default)]
    pub environment: EnvironmentName,
    /// Nothing is sent before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment_from: Option<Timestamp>,
    /// Nothing is sent from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment_until: Option<Timestamp>,
    /// Of the program.
    pub version: String,
    /// When it started.
    pub started: Timestamp,
}
