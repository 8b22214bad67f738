//! Leases: who is working on which due message. They live in memory: after a crash nobody is working on anything.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;

use super::db::DbError;
use super::index::{Found, Index, Taken};
use super::recent::Indexed;
use super::record::Message;

/// Who is served when. Who holds what is known with the [lines](super::index) of the partners.
#[derive(Debug)]
pub(super) struct Leases {
    state: Mutex<LeaseState>,
    due: Arc<Notify>,
}

#[derive(Debug)]
struct LeaseState {
    /// The instant that was asked about last. What was due then and not leased waits for a slot, not for time.
    asked: Timestamp,
    /// The partner that was served last: the next call begins with the one after it.
    served: Option<String>,
}

/// The right to work on a message that is due. Dropped, it goes back: if the message is still due then, it is leased
/// again. A lease does not expire.
pub struct Lease {
    /// The message as it was when it was leased.
    pub message: Arc<Message>,
    taken: Taken,
    leases: Arc<Leases>,
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lease").field(&self.message.id).finish()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.taken.release();
        // A slot is free: something else of this partner may be due.
        self.leases.due.notify_one();
    }
}

impl Leases {
    pub(super) fn new(due: Arc<Notify>) -> Leases {
        let state = LeaseState { asked: Timestamp::UNIX_EPOCH, served: None };
        Leases { state: Mutex::new(state), due }
    }

    /// Leases at most `max` messages that are due at `now`, for each partner at most as many as `free_slots` says,
    /// earliest first. Partners take turns, so that none starves behind the others.
    pub(super) fn lease_due(
        self: &Arc<Leases>,
        index: &Index,
        now: Timestamp,
        max: usize,
        free_slots: &dyn Fn(&str) -> usize,
    ) -> Result<Vec<Lease>, DbError> {
        let served = {
            let mut state = self.state();
            // Also when the clock was set back: what is due before the later instant comes to be due once more.
            state.asked = now;
            state.served.clone()
        };
        let mut leased = Vec::new();
        for found in partners_after(index, now, served.as_deref())? {
            if leased.len() >= max {
                break;
            }
            let slots = free_slots(&found.partner).min(max.saturating_sub(leased.len()));
            let before = leased.len();
            self.lease_of_partner(index, &found, now, slots, &mut leased)?;
            if leased.len() > before {
                self.state().served = Some(found.partner.to_string());
            }
        }
        Ok(leased)
    }

    fn lease_of_partner(
        self: &Arc<Leases>,
        index: &Index,
        found: &Found,
        now: Timestamp,
        mut slots: usize,
        leased: &mut Vec<Lease>,
    ) -> Result<(), DbError> {
        let mut looked = false;
        while slots > 0 {
            let Some(taken) = index.take(found, now, &mut looked)? else { break };
            if let Some(lease) = self.lease(index, taken, now)? {
                leased.push(lease);
                slots = slots.saturating_sub(1);
            }
        }
        Ok(())
    }

    /// Leases a message that was taken, unless it has changed since.
    fn lease(self: &Arc<Leases>, index: &Index, taken: Taken, now: Timestamp) -> Result<Option<Lease>, DbError> {
        // Read only now: the one who held it before has written what it did before letting go.
        let message = index.message_for_work(taken.id()).inspect_err(|_| taken.release())?;
        match message {
            // To the millisecond, as the index has it.
            Some(Indexed { message, .. })
                if message.due.is_some_and(|due| due.as_millisecond() <= now.as_millisecond()) =>
            {
                Ok(Some(Lease { message, taken, leases: self.clone() }))
            }
            _ => {
                taken.reject();
                Ok(None)
            }
        }
    }

    /// The earliest instant, after the one last asked about, at which some message becomes due.
    pub(super) fn next_due(&self, index: &Index) -> Result<Option<Timestamp>, DbError> {
        let asked = self.state().asked;
        let from = asked.checked_add(SignedDuration::from_millis(1)).unwrap_or(Timestamp::MAX);
        let mut earliest: Option<Timestamp> = None;
        let mut next = index.first_floor(None)?;
        while let Some(found) = next.filter(|found| earliest.is_none_or(|earliest| found.due < earliest)) {
            let first = index.first_due(&found.partner, from)?;
            if found.due >= from {
                // Nothing is due before that, so this is the first of all.
                index.raise_floor(&found, first);
            }
            earliest = earliest.into_iter().chain(first).min();
            next = index.first_floor(Some(&found))?;
        }
        Ok(earliest)
    }

    fn state(&self) -> MutexGuard<'_, LeaseState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Partners of which something may be due at `now`, in a circle that begins behind `served`.
fn partners_after(index: &Index, now: Timestamp, served: Option<&str>) -> Result<Vec<Found>, DbError> {
    let mut partners = Vec::new();
    let mut next = index.first_floor(None)?;
    while let Some(found) = next.filter(|found| found.due <= now) {
        next = index.first_floor(Some(&found))?;
        partners.push(found);
    }
    partners.sort_by(|one, other| one.partner.cmp(&other.partner));
    let turn = served.map_or(0, |served| partners.partition_point(|found| &*found.partner <= served));
    partners.rotate_left(turn);
    Ok(partners)
}
