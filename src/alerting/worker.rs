//! One channel at its own pace: what is due is told together, and a failing channel is left alone for longer and longer.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::telling::Telling;
use crate::ground::drain::Shutdown;

/// Time between two looks at the clock.
const TICK: Duration = Duration::from_secs(1);
/// The pause after the first failure; each further one doubles it.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(5);
/// The longest pause.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_mins(15);
/// Failures in a row after which the channel's failing is an alert.
const PATIENCE: u32 = 3;
/// How long a delivery under way may go on when the gateway stops.
const LAST: Duration = Duration::from_secs(2);

/// Tells the channel at `place` until the gateway stops.
pub(super) async fn work(telling: Telling, place: usize, shutdown: Shutdown) {
    let mut news = telling.0.news.subscribe();
    let batch = telling.0.ways.get(place).map(|(_, way)| way.batch()).unwrap_or_default();
    let batch = SignedDuration::try_from(batch).unwrap_or(SignedDuration::ZERO);
    let mut pace = Pace { since: None, failures: 0, again: Timestamp::MIN };
    while !shutdown.is_triggered() {
        let due = telling.due(place);
        if pace.is_time(!due.is_empty(), batch, telling.now()) {
            let told = tokio::select! {
                told = telling.tell(place, due) => told,
                () = last_moment(&shutdown) => return,
            };
            pace.since = None;
            match told {
                Ok(unreached) => {
                    pace.failures = 0;
                    for one in &unreached {
                        tracing::warn!(channel = ?telling.name(place), code = "alert-untold", "an alert could not be told: {one}");
                    }
                    telling.works(place, unreached);
                    continue;
                }
                Err(untold) => {
                    let failures = pace.failures.saturating_add(1);
                    let again = after(telling.now(), pause(failures));
                    (pace.failures, pace.again) = (failures, again);
                    tracing::warn!(channel = ?telling.name(place), failures, %again, code = "alert-untold", "an alert could not be told: {untold}");
                    if failures >= PATIENCE {
                        telling.failing(place, &untold);
                    }
                }
            }
        }
        tokio::select! {
            () = shutdown.triggered() => return,
            _ = news.changed() => {}
            () = tokio::time::sleep(telling.0.clock.nap(TICK)) => {}
        }
    }
}

/// When a channel is told. The clock may be set back: what waits begins to wait anew then, and never waits for as long as
/// the clock was set back.
struct Pace {
    /// Since when something is due.
    since: Option<Timestamp>,
    /// In a row.
    failures: u32,
    /// The end of the pause after the last of them.
    again: Timestamp,
}

impl Pace {
    /// Whether the channel is told at `now`, if something `waits`.
    fn is_time(&mut self, waits: bool, batch: SignedDuration, now: Timestamp) -> bool {
        self.since = waits.then(|| self.since.map_or(now, |since| since.min(now)));
        self.again = self.again.min(after(now, pause(self.failures)));
        now >= self.again && self.since.is_some_and(|since| now.duration_since(since) >= batch)
    }
}

fn after(now: Timestamp, pause: SignedDuration) -> Timestamp {
    now.checked_add(pause).unwrap_or(Timestamp::MAX)
}

async fn last_moment(shutdown: &Shutdown) {
    shutdown.triggered().await;
    tokio::time::sleep(LAST).await;
}

/// After so many failures in a row.
fn pause(failures: u32) -> SignedDuration {
    let doubled = 1i32.checked_shl(failures.saturating_sub(1).min(16)).unwrap_or(i32::MAX);
    FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    #[test]
    fn a_clock_that_was_set_back_makes_mail_wait_for_its_batch_and_no_longer() {
        let (batch, hour) = (SignedDuration::from_secs(60), 3600);
        let mut pace = Pace { since: None, failures: 0, again: Timestamp::MIN };
        assert!(!pace.is_time(true, batch, at(0)) && !pace.is_time(true, batch, at(59)));
        assert!(!pace.is_time(true, batch, at(-hour)), "it was set back");
        assert!(!pace.is_time(true, batch, at(59 - hour)));
        assert!(pace.is_time(true, batch, at(60 - hour)));
        assert!(!pace.is_time(false, batch, at(120 - hour)), "nothing waits");
    }

    #[test]
    fn a_clock_that_was_set_back_makes_a_channel_pause_for_its_pause_and_no_longer() {
        let (now, hour) = (SignedDuration::ZERO, 3600);
        let mut pace = Pace { since: None, failures: 2, again: at(10) };
        assert!(!pace.is_time(true, now, at(9)));
        assert!(!pace.is_time(true, now, at(-hour)), "it was set back");
        assert!(!pace.is_time(true, now, at(9 - hour)));
        assert!(pace.is_time(true, now, at(10 - hour)));
    }

    #[test]
    fn a_failing_channel_is_tried_again_after_growing_pauses() {
        let seconds: Vec<i64> = (1..=10).map(|failures| pause(failures).as_secs()).collect();
        assert_eq!(seconds, [5, 10, 20, 40, 80, 160, 320, 640, 900, 900]);
        assert_eq!(pause(u32::MAX).as_secs(), 900);
    }
}
