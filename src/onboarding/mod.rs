//! Layer 9: the road from the application to production (《海关开放预录入系统对外服务方案》 and 《DXPID 网上申请流程》), on file.
//!
//! A [`Dossier`] holds what an enterprise knows about its own application: the [`profile`], the [`materials`] with their
//! checks, what the [`portal`] shows, what was issued, which runs of the connectivity test passed and which reports were
//! made of them. [`road`] says what is done and what is next, by the working days of the [`calendar`]; [`production`]
//! says whether all is there. [`documents`] fills in the annexes. All of that is pure; [`mod@file`] keeps the dossier in the
//! home, as `onboarding/dossier.json`.

use crate::ground::text::Bilingual;

pub mod calendar;
pub mod documents;
pub mod dossier;
pub mod file;
pub mod materials;
pub mod portal;
pub mod production;
pub mod profile;
pub mod road;
#[cfg(test)]
pub(crate) mod specimens;

pub use dossier::Dossier;
pub use production::{Missing, may_go_to_production};

/// Something that the dossier does not take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Refused {
    /// Stable kebab-case code.
    pub code: &'static str,
    /// What, and what to do.
    pub text: Bilingual,
}

impl Refused {
    fn new(code: &'static str, text: Bilingual) -> Refused {
        Refused { code, text }
    }
}

/// Today at the customs (UTC+8).
pub fn today(now: jiff::Timestamp) -> jiff::civil::Date {
    now.to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(8))).date()
}

/// A day as documents write it: 2026年11月27日.
pub fn chinese_date(day: jiff::civil::Date) -> String {
    format!("{}年{}月{}日", day.year(), day.month(), day.day())
}
