//! Submissions with keys that are under way.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::ground::id::Id;

/// What keys stand for while their submissions are under way: a message that is not recorded yet cannot be looked up, and by
/// the hour alone its repetition would be another message once the next hour has begun.
#[derive(Debug, Clone, Default)]
pub(super) struct UnderWay(Arc<Mutex<HashMap<Id, (Id, usize)>>>);

/// As long as it lives, its key stands for this message.
#[derive(Debug)]
pub(super) struct Claim {
    all: UnderWay,
    key: Id,
    pub(super) id: Id,
}

impl UnderWay {
    /// The message that `key` stands for: that of a submission under way, or else what `find` says.
    pub(super) fn claim(&self, key: Id, find: impl FnOnce() -> Id) -> Claim {
        let mut claims = self.lock();
        let (id, count) = claims.entry(key).or_insert_with(|| (find(), 0));
        *count = count.saturating_add(1);
        let id = *id;
        drop(claims);
        Claim { all: self.clone(), key, id }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Id, (Id, usize)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut claims = self.all.lock();
        let Some((_, count)) = claims.get_mut(&self.key) else { return };
        *count = count.saturating_sub(1);
        if *count == 0 {
            claims.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stands_for_one_message_while_a_submission_with_it_is_under_way_whatever_the_hour() {
        let (under_way, key) = (UnderWay::default(), Id::from_bytes([1; 16]));
        let [ten, eleven, noon] = [10, 11, 12].map(|hour| Id::from_bytes([hour; 16]));
        let first = under_way.claim(key, || ten);
        let again = under_way.claim(key, || eleven);
        assert_eq!((first.id, again.id), (ten, ten));
        drop(first);
        assert_eq!(under_way.claim(key, || eleven).id, ten, "one is under way still");
        drop(again);
        assert_eq!(under_way.claim(key, || noon).id, noon);
    }
}
