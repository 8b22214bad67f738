//! The book of one case while it runs: steps, evidence, and the first thing that went wrong.

use std::time::Duration;

use tokio::time::Instant;

use super::Parts;
use crate::connectivity::explain::explain;
use crate::connectivity::plan::Case;
use crate::connectivity::run::{CaseRecord, CaseState, Explanation, Layer, Step};
use crate::ground::id::Id;
use crate::ground::text::Bilingual;

/// One case in work.
pub(super) struct Book<'r, G> {
    pub(super) parts: &'r Parts<G>,
    pub(super) case: &'r Case,
    pub(super) run: Id,
    /// Its place in the plan, so that samples of two cases differ.
    pub(super) place: usize,
    pub(super) record: CaseRecord,
    pub(super) deadline: Instant,
}

impl<'r, G> Book<'r, G> {
    pub(super) fn open(
        parts: &'r Parts<G>,
        case: &'r Case,
        mut record: CaseRecord,
        run: Id,
        place: usize,
    ) -> Book<'r, G> {
        record.started = Some(parts.clock.now());
        Book { parts, case, run, place, record, deadline: Instant::now() + case.wait }
    }

    /// The record; it passed if nothing failed.
    pub(super) fn close(mut self) -> CaseRecord {
        let state = if self.record.failure.is_none() { CaseState::Passed } else { CaseState::Failed };
        (self.record.state, self.record.ended) = (state, Some(self.parts.clock.now()));
        self.record
    }

    /// Something happened as expected.
    pub(super) fn good(&mut self, layer: Layer, seen: Bilingual, took: Option<Duration>) {
        self.step(layer, true, seen, took);
    }

    /// Something did not; the first of them explains the case.
    pub(super) fn failed(&mut self, explanation: Explanation) {
        self.step(explanation.layer, false, explanation.seen.clone(), None);
        self.record.failure.get_or_insert(explanation);
    }

    /// The same by its code.
    pub(super) fn fails(&mut self, code: &str, seen: Bilingual) {
        self.failed(explain(code, seen));
    }

    /// The time that is left.
    pub(super) fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    fn step(&mut self, layer: Layer, good: bool, seen: Bilingual, took: Option<Duration>) {
        let milliseconds = took.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        self.record.steps.push(Step { at: self.parts.clock.now(), layer, good, seen, milliseconds });
    }
}
