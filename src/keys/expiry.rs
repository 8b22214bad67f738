//! Which certificates run out, soon enough to do something about it.

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

use crate::bilingual;
use crate::cms::Certificate;
use crate::ground::text::{Bilingual, printable};

/// How long before its end a certificate is reported.
pub const HORIZON: SignedDuration = SignedDuration::from_hours(30 * 24);

/// A certificate that has expired or will soon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expiry {
    /// Its subject, printable.
    pub subject: String,
    /// Its file.
    pub file: PathBuf,
    /// Its last instant.
    pub not_after: Timestamp,
    /// It is over already.
    pub expired: bool,
    /// Whole days left; 0 when expired.
    pub days_left: i64,
}

impl Expiry {
    /// Whether `certificate` is expired at `now` or will be within [`HORIZON`].
    pub fn of(certificate: &Certificate, file: &Path, now: Timestamp) -> Option<Expiry> {
        let left = certificate.not_after().duration_since(now);
        (left < HORIZON).then(|| Expiry {
            subject: printable(&certificate.subject()),
            file: file.to_owned(),
            not_after: certificate.not_after(),
            expired: left.is_negative(),
            days_left: (left.as_hours() / 24).max(0),
        })
    }

    /// Stable code: `certificate-expired` or `certificate-expires-soon`.
    pub fn code(&self) -> &'static str {
        if self.expired { "certificate-expired" } else { "certificate-expires-soon" }
    }

    /// What runs out when, and what to do.
    pub fn text(&self) -> Bilingual {
        let Expiry { subject, not_after, days_left, .. } = self;
        if self.expired {
            return bilingual!(
                "证书 {subject} 已于 {not_after} 过期。请换用新证书并加入配置。",
                "the certificate {subject} expired at {not_after}. Obtain or generate its successor and add it."
            );
        }
        bilingual!(
            "证书 {subject} 将于 {not_after} 过期（剩余 {days_left} 天）。请现在加入新证书：新旧证书可以同时配置。",
            "the certificate {subject} expires at {not_after} (in {days_left} days). Add its successor now: both may be configured at the same time."
        )
    }
}
