//! Guessing is slow: after a few failures for a name from an address, each further one doubles a pause. Nobody is locked
//! out for good, and nobody can lock out others from elsewhere.

use std::collections::HashMap;
use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};

use super::super::problem::Problem;
use crate::ground::network::subscriber;

/// Failures for one name from one address without a pause.
const FREE: u32 = 5;
/// Failures from one address, whatever the names, without a pause.
const FREE_OF_ADDRESS: u32 = 50;
/// The longest pause in seconds.
const LONGEST: i64 = 900;
/// A failure is forgotten after this time.
const MEMORY: SignedDuration = SignedDuration::from_hours(1);
/// Pairs that are remembered; beyond, the oldest are forgotten.
const MOST: usize = 10_000;

/// Who has failed lately; the empty name stands for an address as a whole.
#[derive(Default)]
pub(super) struct Throttle(HashMap<(String, Option<IpAddr>), Failures>);

#[derive(Clone, Copy)]
struct Failures {
    count: u32,
    last: Timestamp,
    until: Timestamp,
}

impl Throttle {
    /// Whether one more try may be made now.
    pub(super) fn judge(&self, name: &str, from: Option<IpAddr>, now: Timestamp) -> Result<(), Problem> {
        let from = from.map(subscriber);
        let until = |name: &str| self.0.get(&(name.to_owned(), from)).map(|failures| failures.until);
        match until(name).into_iter().chain(until("")).max() {
            Some(until) if until > now => Err(Problem::too_many_attempts(until.duration_since(now).as_secs().max(1))),
            _ => Ok(()),
        }
    }

    pub(super) fn failed(&mut self, name: &str, from: Option<IpAddr>, now: Timestamp) {
        let from = from.map(subscriber);
        if self.0.len() >= MOST {
            self.0.retain(|_, failures| now.duration_since(failures.last) < MEMORY);
        }
        while self.0.len() >= MOST {
            let oldest = self.0.iter().min_by_key(|(_, failures)| failures.last).map(|(key, _)| key.clone());
            oldest.and_then(|key| self.0.remove(&key));
        }
        self.count(name.chars().take(64).collect(), from, now, FREE);
        self.count(String::new(), from, now, FREE_OF_ADDRESS);
    }

    pub(super) fn succeeded(&mut self, name: &str, from: Option<IpAddr>) {
        self.0.remove(&(name.to_owned(), from.map(subscriber)));
    }

    fn count(&mut self, name: String, from: Option<IpAddr>, now: Timestamp, free: u32) {
        let fresh = Failures { count: 0, last: now, until: now };
        let failures = self.0.entry((name, from)).or_insert(fresh);
        if now.duration_since(failures.last) >= MEMORY {
            *failures = fresh;
        }
        failures.count = failures.count.saturating_add(1);
        failures.last = now;
        if let Some(beyond) = failures.count.checked_sub(free) {
            let pause = 1i64.checked_shl(beyond.min(20)).unwrap_or(LONGEST).min(LONGEST);
            failures.until = now.checked_add(SignedDuration::from_secs(pause)).unwrap_or(now);
        }
    }
}

#[cfg(test)]
impl Throttle {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
