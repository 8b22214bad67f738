//! Publications that failed, and how long they are left alone; and where this process saw files that wait. In memory: after a
//! restart everything is tried again.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::ground::id::Id;
use crate::store::PendingPublication;
use crate::store::record::Folder;

/// How long a publication waits after its first failure.
pub(super) const FIRST: Duration = Duration::from_secs(2);
/// How long it waits at most.
pub(super) const LONGEST: Duration = Duration::from_secs(300);
/// How long it waits at most for room on a full disk: what frees it does not tell us.
pub(super) const UNTIL_ROOM: Duration = Duration::from_secs(8);

/// A message and the index of its publication.
type Key = (Id, u32);

/// A publication that failed and is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpublished {
    /// Whose files they are.
    pub partner: String,
    /// Where they should be.
    pub folder: Folder,
    /// When it failed first, as far as this process knows.
    pub since: Timestamp,
    /// Why it failed the last time.
    pub cause: String,
}

/// Where a publication's principal file was when this process saw it last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// In the staging folder.
    Staged,
    /// Under its name.
    Renamed,
}

/// Who waits.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    failed: HashMap<Key, Wait>,
    seen: HashMap<Key, Seen>,
}

#[derive(Debug)]
struct Wait {
    span: Duration,
    until: Instant,
    what: Unpublished,
}

impl Waiting {
    /// Notes a failure: twice the wait of the one before, at most `longest`. Whether it is the first.
    pub(super) fn failed(&mut self, key: Key, now: Instant, longest: Duration, what: Unpublished) -> bool {
        let before = self.failed.get(&key).map(|wait| (wait.span, wait.what.since));
        let span = before.map_or(FIRST, |(span, _)| span.saturating_mul(2)).min(longest);
        let since = before.map_or(what.since, |(_, since)| since);
        self.failed.insert(key, Wait { span, until: now + span, what: Unpublished { since, ..what } });
        before.is_none()
    }

    /// It is published after all.
    pub(super) fn done(&mut self, pending: &PendingPublication) {
        self.failed.remove(&key(pending));
        self.forget(pending);
    }

    /// Those that failed.
    pub(super) fn unpublished(&self) -> Vec<Unpublished> {
        self.failed.values().map(|wait| wait.what.clone()).collect()
    }

    /// This process knows where the files are.
    pub(super) fn see(&mut self, pending: &PendingPublication, seen: Seen) {
        self.seen.insert(key(pending), seen);
    }

    /// It does not know any more.
    pub(super) fn forget(&mut self, pending: &PendingPublication) {
        self.seen.remove(&key(pending));
    }

    /// Where the files are, if this process knows.
    pub(super) fn seen(&self, pending: &PendingPublication) -> Option<Seen> {
        self.seen.get(&key(pending)).copied()
    }

    /// Who is to be left alone at `now`.
    pub(super) fn at(&self, now: Instant) -> HashSet<Key> {
        self.failed.iter().filter(|(_, wait)| wait.until > now).map(|(key, _)| *key).collect()
    }

    /// The time until the next one may be tried again; none when nobody waits.
    pub(super) fn shortest(&self, now: Instant) -> Option<Duration> {
        self.failed.values().map(|wait| wait.until.saturating_duration_since(now)).min()
    }
}

fn key(pending: &PendingPublication) -> Key {
    (pending.message, pending.index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::record::{Publication, PublicationStage};

    fn pending() -> PendingPublication {
        let publication = Publication { folder: Folder::Inbox, name: "x.xml".to_owned(), files: Vec::new() };
        PendingPublication {
            message: Id::from_bytes([7; 16]),
            partner: "acme".to_owned(),
            index: 1,
            publication: publication.into(),
            stage: PublicationStage::Committed,
        }
    }

    fn at(second: i64) -> Unpublished {
        let since = Timestamp::from_second(second).unwrap();
        Unpublished { partner: "acme".to_owned(), folder: Folder::Inbox, since, cause: format!("cause {second}") }
    }

    #[test]
    fn a_wait_doubles_from_two_seconds_to_five_minutes_and_ends_with_success() {
        let (mut waiting, pending, start) = (Waiting::default(), pending(), Instant::now());
        let key = key(&pending);
        assert!(waiting.failed(key, start, LONGEST, at(1)));
        assert_eq!(waiting.shortest(start), Some(FIRST));
        assert!(waiting.at(start).contains(&key) && waiting.at(start + FIRST).is_empty());
        for seconds in [4, 8, 16, 32, 64, 128, 256, 300, 300] {
            assert!(!waiting.failed(key, start, LONGEST, at(2)));
            assert_eq!(waiting.shortest(start), Some(Duration::from_secs(seconds)));
        }
        assert!(!waiting.failed(key, start, UNTIL_ROOM, at(3)));
        assert_eq!(waiting.shortest(start), Some(UNTIL_ROOM));
        assert_eq!(waiting.unpublished(), [Unpublished { since: at(1).since, ..at(3) }]);
        waiting.done(&pending);
        assert_eq!(waiting.shortest(start), None);
        assert!(waiting.failed(key, start, LONGEST, at(4)));
    }
}
