//! Messages taken with a promise to answer later that cannot be opened or answered, from the first try that failed.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::ground::id::Id;
use crate::ground::text::Bilingual;

/// Messages of one partner that were taken and are neither opened nor answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsettled {
    /// Whose they are.
    pub partner: String,
    /// How many.
    pub count: usize,
    /// When the first try for the first of them failed.
    pub since: Timestamp,
    /// Why the last try for that one failed.
    pub why: Bilingual,
}

/// Those messages, by id.
#[derive(Default)]
pub(super) struct Waiting(Mutex<BTreeMap<Id, Unsettled>>);

impl Waiting {
    /// A try failed at `now`.
    pub(super) fn note(&self, id: Id, partner: &str, why: Bilingual, now: Timestamp) {
        let mut waiting = self.waiting();
        let since = waiting.get(&id).map_or(now, |known| known.since);
        waiting.insert(id, Unsettled { partner: partner.to_owned(), count: 1, since, why });
    }

    /// It is settled.
    pub(super) fn forget(&self, id: &Id) {
        self.waiting().remove(id);
    }

    /// By partner.
    pub(super) fn by_partner(&self) -> Vec<Unsettled> {
        let mut found: BTreeMap<String, Unsettled> = BTreeMap::new();
        for one in self.waiting().values() {
            let Some(known) = found.get_mut(&one.partner) else {
                found.insert(one.partner.clone(), one.clone());
                continue;
            };
            let count = known.count.saturating_add(1);
            let first = if one.since < known.since { one } else { &*known };
            *known = Unsettled { count, ..first.clone() };
        }
        found.into_values().collect()
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<Id, Unsettled>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_told_by_partner_with_the_first_of_them_until_it_is_settled() {
        let waiting = Waiting::default();
        let at = |second: i64| Timestamp::from_second(1_700_000_000 + second).unwrap();
        let why = |text: &str| Bilingual { zh: text.to_owned(), en: text.to_owned() };
        let [a, b, c] = [1, 2, 3].map(|second| Id::new(at(second)));
        waiting.note(b, "theirs", why("no key"), at(20));
        waiting.note(a, "theirs", why("no partner"), at(10));
        waiting.note(c, "others", why("no room"), at(30));
        waiting.note(a, "theirs", why("no key"), at(40));
        let told = |partner: &str, count, since, text| Unsettled {
            partner: partner.to_owned(),
            count,
            since: at(since),
            why: why(text),
        };
        assert_eq!(waiting.by_partner(), [told("others", 1, 30, "no room"), told("theirs", 2, 10, "no key")]);
        waiting.forget(&a);
        waiting.forget(&c);
        assert_eq!(waiting.by_partner(), [told("theirs", 1, 20, "no key")]);
    }
}
