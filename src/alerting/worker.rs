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
    let (mut since, mut failures, mut again): (Option<Timestamp>, u32, Timestamp) = (None, 0, Timestamp::MIN);
    while !shutdown.is_triggered() {
        let now = telling.now();
        let due = telling.due(place);
        let first = if due.is_empty() { None } else { Some(since.unwrap_or(now)) };
        since = first;
        if first.is_some_and(|first| now.duration_since(first) >= batch) && now >= again {
            let told = tokio::select! {
                told = telling.tell(place, due) => told,
                () = last_moment(&shutdown) => return,
            };
            since = None;
            match told {
                Ok(unreached) => {
                    failures = 0;
                    for one in &unreached {
                        tracing::warn!(channel = ?telling.name(place), code = "alert-untold", "an alert could not be told: {one}");
                    }
                    telling.works(place, unreached);
                    continue;
                }
                Err(untold) => {
                    failures = failures.saturating_add(1);
                    again = telling.now().checked_add(pause(failures)).unwrap_or(Timestamp::MAX);
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

    #[test]
    fn a_failing_channel_is_tried_again_after_growing_pauses() {
        let seconds: Vec<i64> = (1..=10).map(|failures| pause(failures).as_secs()).collect();
        assert_eq!(seconds, [5, 10, 20, 40, 80, 160, 320, 640, 900, 900]);
        assert_eq!(pause(u32::MAX).as_secs(), 900);
    }
}
