//! How far a request's body has gone, for whoever gets the answer: one that comes before the body's end is no word about
//! the whole request.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::deadline::Deadline;
use super::expectation::Expectation;

/// How much of a body has been handed to its connection. What lies in buffers then, ours and the system's, counts as sent:
/// nobody on this side can tell.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress {
    /// All of it.
    whole: Arc<AtomicBool>,
    /// Moves with the body; a reply has none.
    deadline: Option<Deadline>,
}

impl Progress {
    /// Of a body that moves `deadline`.
    pub(super) fn moving(deadline: &Deadline) -> Progress {
        Progress { whole: Arc::default(), deadline: Some(deadline.clone()) }
    }

    /// So many octets more are on their way, and so many are left.
    pub(super) fn went(&self, octets: u64, left: u64) {
        if left == 0 {
            self.whole.store(true, Ordering::Release);
        }
        if let Some(deadline) = &self.deadline {
            deadline.went(octets, left);
        }
    }
}

/// A request that waits for its answer.
pub(super) struct Course {
    /// What decides whether the body is sent.
    pub(super) expectation: Option<Expectation>,
    pub(super) progress: Progress,
}

impl Course {
    /// The final answer is here. Whether it came before all of the body was sent; a body that waits is never sent then.
    pub(super) fn end(&self) -> bool {
        let refused = self.expectation.as_ref().is_some_and(Expectation::end);
        refused || !self.progress.whole.load(Ordering::Acquire)
    }
}
