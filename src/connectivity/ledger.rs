//! The facts of runs in the journal: entries of the audit trail on `run:<id>`, which never expire.

use std::collections::BTreeMap;

use super::run::{FACT, ON, Run, RunFact};
use crate::ground::id::Id;
use crate::store::trail::{Change, Entry, TrailFilter};
use crate::store::{CommitError, Store};

/// Entries asked for at a time.
const PAGE: usize = 500;

/// Adds a fact to a run; durable when this returns. `who` runs it.
///
/// # Errors
/// The journal refused.
pub async fn record(store: &Store, id: Id, who: &str, fact: &RunFact) -> Result<(), CommitError> {
    let change = Change {
        who: who.to_owned(),
        what: FACT.to_owned(),
        on: format!("{ON}{id}"),
        after: serde_json::to_value(fact).ok(),
        ..Change::default()
    };
    store.record(change).await.map(drop)
}

/// Every run of the journal, newest first. Blocking.
pub fn runs(store: &Store) -> Vec<Run> {
    let mut facts: BTreeMap<String, Vec<RunFact>> = BTreeMap::new();
    for entry in entries(store, ON) {
        let on = entry.change.on.clone();
        facts.entry(on).or_default().extend(fact_of(entry));
    }
    let mut runs: Vec<Run> = facts.into_values().filter_map(sum).collect();
    runs.sort_by_key(|run| std::cmp::Reverse(run.id));
    runs
}

/// One run. Blocking.
pub fn run(store: &Store, id: &Id) -> Option<Run> {
    sum(entries(store, &format!("{ON}{id}")).into_iter().filter_map(fact_of).collect())
}

/// Newest first, as the trail has them.
fn entries(store: &Store, on: &str) -> Vec<Entry> {
    let mut filter =
        TrailFilter { what: Some(FACT.to_owned()), on: Some(on.to_owned()), limit: PAGE, ..TrailFilter::default() };
    let mut found = Vec::new();
    loop {
        let page = store.trail(&filter);
        found.extend(page.entries);
        match page.next {
            None => return found,
            before => filter.before = before,
        }
    }
}

/// A fact that a newer version wrote and this one cannot read is left out.
fn fact_of(entry: Entry) -> Option<RunFact> {
    serde_json::from_value(entry.change.after?).ok()
}

fn sum(mut newest_first: Vec<RunFact>) -> Option<Run> {
    newest_first.reverse();
    Run::of(newest_first)
}
