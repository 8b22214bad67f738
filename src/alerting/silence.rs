//! Silences: what nobody wants to be told for a while.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::store::Raised;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSilence {
    /// Alerts with this code; none: with any.
    pub code: Option<String>,
    /// Alerts about this partner; none: about any, and about the gateway.
    pub partner: Option<String>,
    /// Until then.
    pub until: Timestamp,
    /// Why.
    pub reason: String,
    /// Who asks.
    pub by: String,
}

/// Alerts that are kept, listed and logged, but not told, until an instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// Names it.
    pub id: String,
    /// See [`NewSilence::code`].
    pub code: Option<String>,
    /// See [`NewSilence::partner`].
    pub partner: Option<String>,
    /// Since when.
    pub since: Timestamp,
    /// Until then.
    pub until: Timestamp,
    /// Why.
    pub reason: String,
    /// Who asked.
    pub by: String,
}

impl Silence {
    /// Whether it keeps `raised` from being told at `now`.
    pub(super) fn covers(&self, raised: &Raised, now: Timestamp) -> bool {
        now < self.until
            && self.code.as_ref().is_none_or(|code| *code == raised.alert.code)
            && self.partner.as_ref().is_none_or(|partner| raised.partner.as_ref() == Some(partner))
    }
}
