//! Leases: who is working on which due message. They live in memory: after a crash nobody is working on anything.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::Notify;

use super::db::DbError;
use super::index::Index;
use super::record::Message;
use crate::ground::id::Id;

/// Who holds what.
#[derive(Debug)]
pub(super) struct Leases {
    taken: Mutex<HashSet<Id>>,
    due: Arc<Notify>,
}

/// The right to work on a message that is due. Dropped, it goes back: if the message is still due then, it is leased
/// again. A lease does not expire.
pub struct Lease {
    /// The message as it was when it was leased.
    pub message: Message,
    leases: Arc<Leases>,
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lease").field(&self.message.id).finish()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.leases.taken().remove(&self.message.id);
        // A slot is free: something else of this partner may be due.
        self.leases.due.notify_one();
    }
}

impl Leases {
    pub(super) fn new(due: Arc<Notify>) -> Leases {
        Leases { taken: Mutex::new(HashSet::new()), due }
    }

    /// Leases what is due at `now`, for each partner at most as many as `free_slots` says, earliest first.
    pub(super) fn lease_due(
        self: &Arc<Leases>,
        index: &Index,
        now: Timestamp,
        mut free_slots: impl FnMut(&str) -> usize,
    ) -> Result<Vec<Lease>, DbError> {
        let mut leased = Vec::new();
        let mut partner = index.next_partner(None)?;
        while let Some(name) = partner {
            let due = |entry: &Result<(Timestamp, Id), DbError>| entry.as_ref().map_or(true, |(due, _)| *due <= now);
            let mut slots = None;
            for entry in index.due(&name, None).take_while(due) {
                let (_, id) = entry?;
                let slots = slots.get_or_insert_with(|| free_slots(&name));
                if *slots == 0 {
                    break;
                }
                if let Some(lease) = self.lease(index, id, now)? {
                    leased.push(lease);
                    *slots = slots.saturating_sub(1);
                }
            }
            partner = index.next_partner(Some(&name))?;
        }
        Ok(leased)
    }

    /// Leases one message unless it is taken or has changed since its entry was read.
    fn lease(self: &Arc<Leases>, index: &Index, id: Id, now: Timestamp) -> Result<Option<Lease>, DbError> {
        if !self.taken().insert(id) {
            return Ok(None);
        }
        // Read only now: the one who held it before has written what it did before letting go.
        let message = index.message(&id).inspect_err(|_| self.release(&id))?;
        match message {
            Some((message, _)) if message.due.is_some_and(|due| due <= now) => {
                Ok(Some(Lease { message, leases: self.clone() }))
            }
            _ => {
                self.release(&id);
                Ok(None)
            }
        }
    }

    fn release(&self, id: &Id) {
        self.taken().remove(id);
    }

    /// The earliest instant after `after` at which some message becomes due.
    pub(super) fn next_due(&self, index: &Index, after: Timestamp) -> Result<Option<Timestamp>, DbError> {
        let mut earliest: Option<Timestamp> = None;
        let mut partner = index.next_partner(None)?;
        while let Some(name) = partner {
            let from = after.checked_add(jiff::SignedDuration::from_millis(1)).unwrap_or(Timestamp::MAX);
            if let Some(entry) = index.due(&name, Some(from)).next() {
                let (due, _) = entry?;
                earliest = Some(earliest.map_or(due, |earliest| earliest.min(due)));
            }
            partner = index.next_partner(Some(&name))?;
        }
        Ok(earliest)
    }

    fn taken(&self) -> MutexGuard<'_, HashSet<Id>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
