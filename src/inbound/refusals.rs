//! What was refused of partners lately. A partner that asked for no receipt does not know of it, and one that did may be
//! unable to mend it: somebody here has to look. What strangers send in a partner's name does not count.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::store::record::Reason;

/// A refusal counts for so long, and while others follow.
const LATELY: SignedDuration = SignedDuration::from_hours(24);
/// Codes that are remembered of a partner.
const CODES: usize = 16;
/// It has an alert of its own.
const OTHER_CONTENT: &str = "duplicate-other-content";

/// Messages of one partner that were refused, none of them more than a day before the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Whose they are.
    pub partner: String,
    /// How many.
    pub count: usize,
    /// How many of them asked for no receipt.
    pub untold: usize,
    /// Codes of the reasons.
    pub codes: BTreeSet<String>,
    /// Why the last one was refused.
    pub reason: Reason,
    /// When that was.
    pub last: Timestamp,
}

/// The refusals, by partner.
#[derive(Default)]
pub(super) struct Refusals(Mutex<BTreeMap<String, Refused>>);

impl Refusals {
    /// A message was refused at `now`; `told`: its sender gets a receipt that says so.
    pub(super) fn note(&self, partner: &str, reason: &Reason, told: bool, now: Timestamp) {
        if reason.code == OTHER_CONTENT {
            return;
        }
        let mut refusals = self.refusals();
        if refusals.get(partner).is_some_and(|known| !is_recent(known, now)) {
            refusals.remove(partner);
        }
        let refused = refusals.entry(partner.to_owned()).or_insert_with(|| Refused {
            partner: partner.to_owned(),
            count: 0,
            untold: 0,
            codes: BTreeSet::new(),
            reason: reason.clone(),
            last: now,
        });
        refused.count = refused.count.saturating_add(1);
        refused.untold = refused.untold.saturating_add(usize::from(!told));
        if refused.codes.len() < CODES {
            refused.codes.insert(reason.code.clone());
        }
        (refused.reason, refused.last) = (reason.clone(), now);
    }

    /// Those that count at `now`.
    pub(super) fn lately(&self, now: Timestamp) -> Vec<Refused> {
        let mut refusals = self.refusals();
        refusals.retain(|_, refused| is_recent(refused, now));
        refusals.values().cloned().collect()
    }

    fn refusals(&self) -> MutexGuard<'_, BTreeMap<String, Refused>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_recent(refused: &Refused, now: Timestamp) -> bool {
    now.duration_since(refused.last) < LATELY
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::text::Bilingual;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + hour * 3600).unwrap()
    }

    fn reason(code: &str) -> Reason {
        Reason { code: code.to_owned(), text: Bilingual { zh: code.to_owned(), en: code.to_owned() } }
    }

    #[test]
    fn refusals_are_counted_by_partner_until_a_day_has_passed_after_the_last() {
        let refusals = Refusals::default();
        refusals.note("theirs", &reason("decryption-failed"), true, at(0));
        refusals.note("theirs", &reason("not-signed"), false, at(23));
        refusals.note("others", &reason("not-signed"), true, at(23));
        let told: Vec<_> =
            refusals.lately(at(46)).into_iter().map(|one| (one.partner, one.count, one.untold)).collect();
        assert_eq!(told, [("others".to_owned(), 1, 0), ("theirs".to_owned(), 2, 1)]);
        let theirs = &refusals.lately(at(46))[1];
        assert_eq!(theirs.codes.iter().collect::<Vec<_>>(), ["decryption-failed", "not-signed"]);
        assert_eq!((theirs.reason.code.as_str(), theirs.last), ("not-signed", at(23)));
        assert_eq!(refusals.lately(at(47)), []);
        refusals.note("theirs", &reason("not-signed"), true, at(48));
        assert_eq!(refusals.lately(at(48))[0].count, 1, "those of the day before are over");
    }

    #[test]
    fn what_has_an_alert_of_its_own_does_not_count() {
        let refusals = Refusals::default();
        refusals.note("theirs", &reason("duplicate-other-content"), true, at(0));
        assert_eq!(refusals.lately(at(0)), []);
    }
}
