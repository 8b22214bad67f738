//! Whose turn it is at a message key, so that two copies of a message that arrive at once are judged one after the other and
//! get the same MDN.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedMutexGuard;

use crate::store::record::DedupKey;

type Lock = tokio::sync::Mutex<()>;

/// One lock for each key that is in work. Whoever holds or awaits one holds it in its hand as well, so that the last of them
/// knows to be the last, and takes it away.
#[derive(Debug, Default)]
pub(super) struct KeyLocks(Mutex<HashMap<Arc<DedupKey>, Arc<Lock>>>);

/// A place at a key: it is held, or awaited, while this lives.
#[derive(Debug)]
pub(super) struct InTurn {
    locks: Arc<KeyLocks>,
    key: Arc<DedupKey>,
    held: Option<OwnedMutexGuard<()>>,
}

impl KeyLocks {
    /// Waits for its turn at a key.
    pub(super) async fn lock(self: &Arc<Self>, key: DedupKey) -> InTurn {
        let (mut turn, lock) = self.line_up(key);
        turn.held = Some(lock.lock_owned().await);
        turn
    }

    /// Its turn at a key, if nobody else is there.
    pub(super) fn try_lock(self: &Arc<Self>, key: DedupKey) -> Option<InTurn> {
        let (mut turn, lock) = self.line_up(key);
        turn.held = Some(lock.try_lock_owned().ok()?);
        Some(turn)
    }

    fn line_up(self: &Arc<Self>, key: DedupKey) -> (InTurn, Arc<Lock>) {
        let mut locks = self.locks();
        let known = locks.get_key_value(&key).map(|(key, lock)| (key.clone(), lock.clone()));
        let (key, lock) = known.unwrap_or_else(|| {
            let (key, lock) = (Arc::new(key), Arc::new(Lock::new(())));
            locks.insert(key.clone(), lock.clone());
            (key, lock)
        });
        (InTurn { locks: self.clone(), key, held: None }, lock)
    }

    fn locks(&self) -> MutexGuard<'_, HashMap<Arc<DedupKey>, Arc<Lock>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
impl KeyLocks {
    /// How many are at a key, with the one whose turn it is.
    pub(super) fn at(&self, key: &DedupKey) -> usize {
        self.locks().get(key).map_or(0, |lock| Arc::strong_count(lock).saturating_sub(1))
    }
}

impl InTurn {
    /// The key.
    pub(super) fn key(&self) -> &DedupKey {
        &self.key
    }
}

impl Drop for InTurn {
    fn drop(&mut self) {
        drop(self.held.take());
        let mut locks = self.locks.locks();
        // Only the table has it; nobody comes to it while the table is locked.
        if locks.get(self.key.as_ref()).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            locks.remove(self.key.as_ref());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn key(message_id: &str) -> DedupKey {
        DedupKey { from: "theirs".to_owned(), to: "ours".to_owned(), message_id: message_id.to_owned() }
    }

    #[tokio::test(start_paused = true)]
    async fn one_at_a_time_is_at_a_key_and_nothing_is_left_of_a_key_where_nobody_is() {
        let locks = Arc::new(KeyLocks::default());
        let first = locks.lock(key("1")).await;
        assert!(locks.try_lock(key("1")).is_none(), "somebody is there");
        assert_eq!(locks.locks().len(), 1, "who only looked has taken nothing away");
        let other = locks.try_lock(key("2")).expect("another key");
        assert_eq!((first.key(), other.key()), (&key("1"), &key("2")));
        let mut second = Box::pin(locks.lock(key("1")));
        assert!(tokio::time::timeout(Duration::from_secs(1), &mut second).await.is_err(), "it waits");
        drop((first, other));
        assert_eq!(locks.locks().len(), 1, "one is waited for");
        let second = second.await;
        assert!(locks.try_lock(key("1")).is_none());
        drop(second);
        assert!(locks.locks().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn who_stops_waiting_for_a_key_leaves_it_to_the_others() {
        let locks = Arc::new(KeyLocks::default());
        let first = locks.lock(key("1")).await;
        let mut given_up = Box::pin(locks.lock(key("1")));
        assert!(tokio::time::timeout(Duration::from_secs(1), &mut given_up).await.is_err(), "it waits");
        drop(given_up);
        assert_eq!(locks.locks().len(), 1);
        drop(first);
        assert!(locks.locks().is_empty());
        assert!(locks.try_lock(key("1")).is_some());
    }
}
