//! How far a request's body has gone, for whoever gets the answer: one that comes before the body's end is no word about
//! the whole request.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::expectation::Expectation;

/// Whether all of a body has been handed to its connection. What lies in buffers then, ours and the system's, counts as
/// sent: nobody on this side can tell.
#[derive(Debug, Clone, Default)]
pub(super) struct AllSent(Arc<AtomicBool>);

impl AllSent {
    /// Its last bytes are on their way.
    pub(super) fn note(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// A request that waits for its answer.
pub(super) struct Course {
    /// What decides whether the body is sent.
    pub(super) expectation: Option<Expectation>,
    pub(super) all_sent: AllSent,
}

impl Course {
    /// The final answer is here. Whether it came before all of the body was sent; a body that waits is never sent then.
    pub(super) fn end(&self) -> bool {
        let refused = self.expectation.as_ref().is_some_and(Expectation::end);
        refused || !self.all_sent.0.load(Ordering::Acquire)
    }
}
