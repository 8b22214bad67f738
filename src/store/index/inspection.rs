//! Looking at every entry of the index at the start: on every core, because restarting waits for it.

use std::collections::BTreeSet;
use std::io;
use std::num::NonZero;
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::totals::Totals;
use crate::store::db::{Db, DbError};

/// Parts into which the entries of one view are cut.
const PARTS: u64 = 32;
/// More threads than this do not read faster.
const THREADS: usize = 8;

/// Adds up all entries but the one under `except`.
pub(super) fn add_up(db: &Db, except: &[u8]) -> Result<Totals, DbError> {
    let starts = starts(db)?;
    let ends = starts.iter().skip(1).map(|end| Some(end.as_slice())).chain([None]);
    let ranges = Mutex::new(starts.iter().map(Vec::as_slice).zip(ends));
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(THREADS);
    let work = || {
        let mut found = Totals::default();
        loop {
            let next = ranges.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((from, to)) = next else { return Ok(found) };
            for entry in db.between(from, to) {
                let (key, value) = entry?;
                if key != except {
                    found.add(&key, &value);
                }
            }
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let mut all = Totals::default();
        for worker in workers {
            let found: Result<Totals, DbError> = worker.join().map_err(|_| panicked())?;
            all.merge(&found?);
        }
        Ok(all)
    })
}

/// Where ranges begin that cover every key there may be: each view's span, cut into equal parts by the eight bytes
/// behind its name.
fn starts(db: &Db) -> Result<Vec<Vec<u8>>, DbError> {
    let mut starts = BTreeSet::from([Vec::new()]);
    for view in 0u8..=u8::MAX {
        let Some(first) = db.scan(&[view]).next().transpose()? else { continue };
        let last = db.last(&[view])?.unwrap_or_else(|| first.clone());
        let (low, high) = (number(&first.0), number(&last.0));
        let step = high.saturating_sub(low) / PARTS;
        for part in 0..PARTS {
            let middle = low.saturating_add(step.saturating_mul(part));
            starts.insert([&[view][..], &middle.to_be_bytes()].concat());
        }
        starts.insert(vec![view]);
    }
    Ok(starts.into_iter().collect())
}

fn number(key: &[u8]) -> u64 {
    let mut bytes = [0u8; 8];
    for (byte, found) in bytes.iter_mut().zip(key.iter().skip(1)) {
        *byte = *found;
    }
    u64::from_be_bytes(bytes)
}

fn panicked() -> DbError {
    io::Error::other("sled panicked while reading").into()
}
