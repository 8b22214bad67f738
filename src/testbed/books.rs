//! What the testbed has taken, so that what comes later is compared with it as customs does (三单对碰: R10, R16, R17, R41 to
//! R44): what documents say in memory, of each partner by itself, the newest only, and until the testbed ends.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::declaration::precheck::Facts;

/// Documents kept.
const KEPT: usize = 20_000;
/// Earlier documents that one message is compared with.
const COMPARED: usize = 2_000;

/// The documents taken so far; clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Books(Arc<Mutex<VecDeque<(PathBuf, Facts)>>>);

impl Books {
    /// Those of a partner that share a key with one of these, oldest first.
    pub(super) fn about(&self, home: &Path, documents: &[Facts]) -> Vec<Facts> {
        let leads: std::collections::BTreeSet<(&str, &str)> = documents.iter().flat_map(Facts::leads).collect();
        let books = self.books();
        let shared = books.iter().filter(|(of, facts)| of == home && facts.leads().any(|lead| leads.contains(&lead)));
        shared.map(|(_, facts)| facts.clone()).take(COMPARED).collect()
    }

    /// A document of a partner is taken.
    pub(super) fn take(&self, home: &Path, facts: Facts) {
        let mut books = self.books();
        if books.len() >= KEPT {
            books.pop_front();
        }
        books.push_back((home.to_owned(), facts));
    }

    fn books(&self) -> MutexGuard<'_, VecDeque<(PathBuf, Facts)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
