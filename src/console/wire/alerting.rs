//! Silences and tests of channels over the wire.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::alerting::{Silence, Tested};

/// `POST /api/v1/alerts/silences`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SilenceRequest {
    /// Alerts with this code; absent: with any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Alerts about this partner; absent: about any, and about the gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partner: Option<String>,
    /// Until then.
    pub until: Timestamp,
    /// Why.
    pub reason: String,
}

/// A silence.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SilenceWire {
    /// Names it.
    pub id: String,
    /// See [`SilenceRequest::code`].
    pub code: Option<String>,
    /// See [`SilenceRequest::partner`].
    pub partner: Option<String>,
    /// Since when.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// Why.
    pub reason: String,
    /// Who asked.
    pub by: String,
}

impl From<Silence> for SilenceWire {
    fn from(silence: Silence) -> SilenceWire {
        let Silence { id, code, partner, since, until, reason, by } = silence;
        SilenceWire { id, code, partner, since, until, reason, by }
    }
}

/// `GET /api/v1/alerts/silences`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SilenceList {
    /// Oldest first.
    pub silences: Vec<SilenceWire>,
}

/// `POST /api/v1/alerts/test`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TestRequest {
    /// `mail`, `command` or the name of a webhook; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
}

/// What a test came to.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TestedList {
    /// Each channel.
    pub channels: Vec<TestedWire>,
}

/// What a test of one channel came to.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TestedWire {
    /// The channel.
    pub channel: String,
    /// It was told.
    pub told: bool,
    /// Why not.
    pub failed: Option<String>,
}

impl From<Tested> for TestedWire {
    fn from(tested: Tested) -> TestedWire {
        TestedWire { channel: tested.channel, told: tested.failed.is_none(), failed: tested.failed }
    }
}
