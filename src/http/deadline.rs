//! How long a request may take. The time that is granted (`[delivery] timeout`) knows nothing of how long a body is, and how
//! slow the line. So while a body goes out, it is the time since the last piece of it, and once all of it has gone, the time
//! for the answer. A peer that takes a long body more slowly than [`LEAST_PACE`] gets no more time beside it than the body
//! takes at that pace.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::body::LEAST_PACE;
use super::post_error::{PostError, PostErrorKind};

/// The end of a request's time; clones are of the same request.
#[derive(Debug, Clone)]
pub(super) struct Deadline(Arc<Mutex<Sent>>);

#[derive(Debug)]
struct Sent {
    begun: Instant,
    patience: Duration,
    octets: u64,
    end: Instant,
}

impl Deadline {
    /// So much from now on, until something goes out.
    pub(super) fn new(patience: Duration) -> Deadline {
        let begun = Instant::now();
        Deadline(Arc::new(Mutex::new(Sent { begun, patience, octets: 0, end: begun + patience })))
    }

    /// So many octets more of the body went out, and so many are left.
    pub(super) fn went(&self, octets: u64, left: u64) {
        let mut sent = self.sent();
        sent.octets = sent.octets.saturating_add(octets);
        let from_now = Instant::now() + sent.patience;
        let at_least_pace = sent.patience.saturating_add(Duration::from_secs(sent.octets / LEAST_PACE));
        let paced = sent.begun.checked_add(at_least_pace).filter(|_| left > 0).unwrap_or(from_now);
        sent.end = sent.end.max(from_now.min(paced));
    }

    /// What comes of `work`, unless the time is over before.
    pub(super) async fn limit<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = work => Some(done),
            () = self.passed() => None,
        }
    }

    /// The end of a request that had a body of `len` octets and is late.
    pub(super) fn missed(&self, len: u64) -> PostError {
        let octets = self.sent().octets;
        if octets < len {
            let detail = format_args!("{octets} of {len} octets of the body went out in time");
            return PostError::new(PostErrorKind::Timeout, detail);
        }
        PostError::new(PostErrorKind::Timeout, "no complete answer in time")
    }

    /// Ends with the time, however often that is moved.
    async fn passed(&self) {
        let mut end = self.sent().end;
        loop {
            tokio::time::sleep_until(end).await;
            let moved = self.sent().end;
            if moved <= end {
                return;
            }
            end = moved;
        }
    }

    fn sent(&self) -> MutexGuard<'_, Sent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[path = "deadline_tests.rs"]
mod tests;
