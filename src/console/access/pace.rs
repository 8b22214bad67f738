//! How many requests a program may make with an API token: so many at once, and as many again every minute, however
//! they are spread. The machine's own token has no such limit.

use std::collections::HashMap;

use jiff::Timestamp;

use super::super::problem::Problem;

/// What is left of each token's minute; only tokens that are valid are counted.
#[derive(Default)]
pub(super) struct Pace(HashMap<String, Allowance>);

/// Requests are counted in milliseconds of the time in which they come back.
#[derive(Clone, Copy)]
struct Allowance {
    left: i64,
    counted: Timestamp,
}

const MINUTE: i64 = 60_000;

impl Pace {
    /// Takes one request of `token`'s, of `most` a minute.
    ///
    /// # Errors
    /// `too-many-requests`, with the time after which there is one again.
    pub(super) fn take(&mut self, token: &str, most: u32, now: Timestamp) -> Result<(), Problem> {
        let one = (MINUTE / i64::from(most.max(1))).max(1);
        let full = one.saturating_mul(i64::from(most.max(1)));
        let known = self.0.entry(token.to_owned()).or_insert(Allowance { left: full, counted: now });
        // A clock that was set back gives nothing and takes nothing.
        let passed = now.as_millisecond().saturating_sub(known.counted.as_millisecond()).max(0);
        *known = Allowance { left: known.left.saturating_add(passed).min(full), counted: now };
        if known.left < one {
            let wait = one.saturating_sub(known.left);
            return Err(Problem::too_many_requests(most, wait.saturating_add(999) / 1000));
        }
        known.left = known.left.saturating_sub(one);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_millisecond(1_800_000_000_000 + milliseconds).expect("in range")
    }

    #[test]
    fn a_token_has_its_minute_at_once_and_then_as_the_time_comes_and_others_have_theirs() {
        let mut pace = Pace::default();
        for _ in 0..60 {
            assert!(pace.take("a", 60, at(0)).is_ok());
        }
        assert!(pace.take("a", 60, at(0)).is_err(), "used up");
        assert!(pace.take("b", 60, at(0)).is_ok());
        assert!(pace.take("a", 60, at(999)).is_err());
        assert!(pace.take("a", 60, at(1000)).is_ok());
        assert!(pace.take("a", 60, at(1001)).is_err());
        let later = 3_600_000;
        let taken = (0..200).filter(|_| pace.take("a", 60, at(later)).is_ok()).count();
        assert_eq!(taken, 60, "what was not used in an hour is not saved up");
    }

    #[test]
    fn a_clock_that_is_set_back_neither_gives_nor_takes() {
        let mut pace = Pace::default();
        assert!(pace.take("a", 2, at(60_000)).is_ok());
        assert!(pace.take("a", 2, at(0)).is_ok());
        assert!(pace.take("a", 2, at(0)).is_err());
        assert!(pace.take("a", 2, at(30_000)).is_ok());
    }
}
