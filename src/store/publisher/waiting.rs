//! Publications that failed, and how long they are left alone. In memory: after a restart everything is tried again.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::ground::id::Id;

/// How long a publication waits after its first failure.
pub(super) const FIRST: Duration = Duration::from_secs(2);
/// How long it waits at most.
pub(super) const LONGEST: Duration = Duration::from_secs(300);
/// How long it waits at most for room on a full disk: what frees it does not tell us.
pub(super) const UNTIL_ROOM: Duration = Duration::from_secs(8);

/// A message and the index of its publication.
type Key = (Id, u32);

/// Who waits.
#[derive(Debug, Default)]
pub(super) struct Waiting(HashMap<Key, Wait>);

#[derive(Debug)]
struct Wait {
    span: Duration,
    until: Instant,
}

impl Waiting {
    /// Notes a failure: twice the wait of the one before, at most `longest`. Whether it is the first.
    pub(super) fn failed(&mut self, key: Key, now: Instant, longest: Duration) -> bool {
        let before = self.0.get(&key).map(|wait| wait.span);
        let span = before.map_or(FIRST, |span| span.saturating_mul(2)).min(longest);
        self.0.insert(key, Wait { span, until: now + span });
        before.is_none()
    }

    /// It is published after all.
    pub(super) fn done(&mut self, key: Key) {
        self.0.remove(&key);
    }

    /// Who is to be left alone at `now`.
    pub(super) fn at(&self, now: Instant) -> HashSet<Key> {
        self.0.iter().filter(|(_, wait)| wait.until > now).map(|(key, _)| *key).collect()
    }

    /// The time until the next one may be tried again; none when nobody waits.
    pub(super) fn shortest(&self, now: Instant) -> Option<Duration> {
        self.0.values().map(|wait| wait.until.saturating_duration_since(now)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_doubles_from_two_seconds_to_five_minutes_and_ends_with_success() {
        let (mut waiting, key, start) = (Waiting::default(), (Id::from_bytes([7; 16]), 1), Instant::now());
        assert!(waiting.failed(key, start, LONGEST));
        assert_eq!(waiting.shortest(start), Some(FIRST));
        assert!(waiting.at(start).contains(&key) && waiting.at(start + FIRST).is_empty());
        for seconds in [4, 8, 16, 32, 64, 128, 256, 300, 300] {
            assert!(!waiting.failed(key, start, LONGEST));
            assert_eq!(waiting.shortest(start), Some(Duration::from_secs(seconds)));
        }
        assert!(!waiting.failed(key, start, UNTIL_ROOM));
        assert_eq!(waiting.shortest(start), Some(UNTIL_ROOM));
        waiting.done(key);
        assert_eq!(waiting.shortest(start), None);
        assert!(waiting.failed(key, start, LONGEST));
    }
}
