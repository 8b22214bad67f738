//! Time is an argument: the core takes instants, the server takes a [`Clock`].

use std::sync::Mutex;
use std::time::Duration;

use jiff::{Timestamp, tz};

/// Where the server tier asks for the time, so that tests can pin and move it.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The current instant (UTC).
    fn now(&self) -> Timestamp;

    /// How long to sleep before looking at the clock again, when something is due in `wait` by it: all of that by a
    /// clock that runs by itself.
    fn nap(&self, wait: Duration) -> Duration {
        wait
    }
}

/// RFC 3339 in the time zone of the customs (UTC+8, no daylight saving), to the second: what files for people say.
pub fn customs_time(at: Timestamp) -> String {
    at.to_zoned(tz::TimeZone::fixed(tz::offset(8))).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

/// The machine's clock.
#[cfg(feature = "server")]
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[cfg(feature = "server")]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the replacement that the lint names")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A clock that stands still until it is told to move.
#[derive(Debug)]
pub struct ManualClock(Mutex<Timestamp>);

impl ManualClock {
    /// A clock that shows `start`.
    pub fn new(start: Timestamp) -> Self {
        ManualClock(Mutex::new(start))
    }

    /// Moves the clock to `to`.
    pub fn set(&self, to: Timestamp) {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = to;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// It may be moved at any time.
    fn nap(&self, wait: Duration) -> Duration {
        wait.min(Duration::from_millis(10))
    }
}
