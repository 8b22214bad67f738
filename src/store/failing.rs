//! When the disk fails or is full: what the store says about itself, and when it stops.

use std::io;
use std::sync::PoisonError;
use std::time::Duration;

use super::Store;
use super::committer::{Failure, Shortage};
use super::db::DbError;
use crate::ground::durable;

/// Free space beyond what was wanted before the journal is tried again.
const ROOM: u64 = 1024 * 1024;
/// Time before the journal is tried again after a shortage.
pub(super) const SHORTAGE: Duration = Duration::from_secs(1);

impl Store {
    /// What failed, if the store stopped acknowledging.
    pub fn failure(&self) -> Option<Failure> {
        self.0.signals.poison.borrow().clone()
    }

    /// Why the store stopped acknowledging, if it did.
    pub fn poisoned(&self) -> Option<String> {
        self.0.signals.poison.borrow().as_ref().map(|failure| failure.cause.clone())
    }

    /// The last commit found no room, and there is still none. A second must have passed, since not every shortage
    /// shows in the free space (quotas).
    pub fn is_full(&self) -> bool {
        let shortage = *self.0.signals.shortage.lock().unwrap_or_else(PoisonError::into_inner);
        shortage.is_some_and(|Shortage { wanted, at }| {
            let free = durable::free_space(&self.0.layout.journal).unwrap_or(u64::MAX);
            free < wanted.saturating_add(ROOM) || at.elapsed() < SHORTAGE
        })
    }

    /// Stops all acknowledging if `error` is that of a failed sync; hands it back.
    pub(crate) fn judge_sync(&self, error: io::Error) -> io::Error {
        if durable::is_failed_sync(&error) {
            self.0.signals.poison(Failure::files(&error));
        }
        error
    }

    pub(super) fn is_poisoned(&self) -> bool {
        self.0.signals.poison.borrow().is_some()
    }

    /// Stops all acknowledging, as after a failed write of the store's own: somebody else's sync failed, and what the
    /// facts say about those files may not be true after a power cut.
    pub(crate) fn poison(&self, reason: String) {
        self.0.signals.poison(Failure::files(reason));
    }

    /// Resolves with the cause when the store stops acknowledging. If files failed the process should end with an error;
    /// if only the index did, the store should be closed and opened again.
    pub async fn failed(&self) -> Failure {
        let mut poison = self.0.signals.poison.subscribe();
        let failure = poison.wait_for(Option::is_some).await.ok().and_then(|failure| failure.clone());
        match failure {
            Some(failure) => failure,
            // Never: the sender lives in `self`.
            None => std::future::pending().await,
        }
    }

    pub(super) fn index_failed(&self, error: DbError) -> io::Error {
        self.0.signals.poison(Failure::index(&error));
        io::Error::other(error)
    }

    /// An index that fails answers "not found" until it is rebuilt; nothing is acknowledged on that.
    pub(super) fn ask<T>(&self, answer: Result<T, DbError>) -> Option<T> {
        match answer {
            Ok(answer) => Some(answer),
            Err(error) => {
                self.index_failed(error);
                None
            }
        }
    }
}
