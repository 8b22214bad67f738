//! What follows an attempt: a pure function of its outcome, the attempt count and the agreement's schedule.
//!
//! | outcome | next |
//! |---|---|
//! | verified positive MDN with our MIC | deliver |
//! | 2xx, asynchronous MDN agreed | await it until the deadline, then send the same bytes again |
//! | 2xx, no MDN agreed, or to an MDN that we owe | deliver |
//! | the same, but it came before the whole body was sent | retry: the body may never have left |
//! | any of these, but the body of the answer breaks off, stalls or is too large | the same: its status is all that was wanted |
//! | 2xx, but the synchronous MDN is missing, broken off, unsigned though asked, about another message, or unreadable | retry |
//! | verified MDN with another MIC | hold: the content arrived altered |
//! | verified MDN `duplicate-document` without a MIC: the first attempt that may have reached the partner was answered 2xx, and its receipt got lost, or `believe_duplicates` | deliver |
//! | the same otherwise | hold: the partner may have a fragment of an attempt that broke off |
//! | verified negative MDN | fail: it is the partner's answer, and final |
//! | the same about an earlier Message-ID (`fresh_message_id`), in an answer | what follows an answer without an MDN: it says nothing of the message as it is on its way now |
//! | verified `processed/error: unexpected-processing-error`, with `retry_processing_error` | retry |
//! | no connection, timeout, connection lost, 408 425 429 500 502 503 504 507 | retry (a `Retry-After` is kept) |
//! | other 5xx | retry while there were fewer than three attempts, then hold |
//! | TLS certificate not trusted, URL not usable | hold: no byte was sent |
//! | our stored bytes are damaged or gone (`body-unreadable`) | hold: no attempt mends that |
//! | our stored bytes cannot be read for now (`storage-failed`), found before the attempt begins, or when it is composed for | no attempt: again in a minute, then later each time; held after `give_up_after` |
//! | the same, found in the midst of the body | retry |
//! | 3xx (never followed), other 4xx | hold, unless the agreement lists the status for retries |
//!
//! The schedule's last delay repeats until `give_up_after` has passed since the message was queued, released by a person,
//! or let out by the window of its environment; then it fails, with the reason of the last attempt and the word that it was
//! given up, and only a verified negative MDN becomes its receipt. Time in which nothing could be sent to its partner (a pause, its
//! file gone or disabled, the gateway stopped) gives nothing up: see [`patient_since`].

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::partner::RetrySchedule;

/// What an attempt came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Positive MDN, verified; or a 2xx to all of the request where no MDN was agreed.
    Accepted,
    /// 2xx before the whole body was sent, where no MDN is to tell whether it arrived.
    Early,
    /// 2xx; the MDN comes later.
    Transferred,
    /// 2xx without the synchronous MDN that was asked for.
    NoReceipt,
    /// A verified MDN that contradicts what was sent, or what is known of it.
    Contradicted,
    /// A verified negative MDN.
    Refused,
    /// A verified negative MDN that the agreement takes for a passing trouble.
    Troubled,
    /// No usable answer: name resolution, connection, timeout, connection lost.
    Unreachable,
    /// Nothing may be sent: the partner's TLS certificate is not the pinned or trusted one, its URL is unusable, or our
    /// stored bytes are damaged.
    Blocked,
    /// Our stored bytes could not be read to their end for now.
    Unread,
    /// Another status, with the seconds of a `Retry-After`.
    Status {
        /// HTTP status code.
        code: u16,
        /// Seconds the partner asked us to wait.
        retry_after: Option<u32>,
    },
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Settle as delivered.
    Deliver,
    /// Wait for the asynchronous MDN.
    Await {
        /// When to stop waiting.
        deadline: Timestamp,
    },
    /// Send the same bytes again.
    RetryAt(Timestamp),
    /// Wait for a person.
    Hold,
    /// Settle as failed.
    Fail,
}

/// What the decision depends on besides the outcome.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'a> {
    /// Attempts begun, this one included.
    pub attempts: u32,
    /// Since when delivery is tried: queued, released by a person, or let out by the environment's window; later, where
    /// [`patient_since`] says so.
    pub patient_since: Timestamp,
    /// Now.
    pub now: Timestamp,
    /// How long an asynchronous MDN may take.
    pub receipt_deadline: Duration,
    /// The agreement's schedule.
    pub schedule: &'a RetrySchedule,
    /// Uniform in -1.0 ..= 1.0, scaled by the schedule's jitter.
    pub noise: f64,
}

/// The table in the module head.
pub fn next(outcome: Outcome, c: &Circumstances<'_>) -> Next {
    match outcome {
        Outcome::Accepted => Next::Deliver,
        Outcome::Transferred => Next::Await { deadline: later(c.now, c.receipt_deadline) },
        Outcome::Refused => Next::Fail,
        Outcome::Contradicted | Outcome::Blocked => Next::Hold,
        Outcome::NoReceipt | Outcome::Early | Outcome::Unreachable | Outcome::Unread | Outcome::Troubled => {
            retry(c, None)
        }
        Outcome::Status { code, retry_after } => match class(code, &c.schedule.retry_status) {
            StatusClass::Transient => retry(c, retry_after),
            StatusClass::Doubtful if c.attempts < 3 => retry(c, retry_after),
            StatusClass::Doubtful | StatusClass::Permanent => Next::Hold,
        },
    }
}

enum StatusClass {
    Transient,
    Doubtful,
    Permanent,
}

fn class(code: u16, retry_status: &[u16]) -> StatusClass {
    match code {
        408 | 425 | 429 | 500 | 502 | 503 | 504 | 507 => StatusClass::Transient,
        code if retry_status.contains(&code) => StatusClass::Transient,
        500..=599 => StatusClass::Doubtful,
        _ => StatusClass::Permanent,
    }
}

/// The pause after attempt `attempts`, without noise.
pub fn planned(schedule: &RetrySchedule, attempts: u32) -> Duration {
    let step = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX);
    let delays = &schedule.delays;
    delays.get(step).or(delays.last()).copied().unwrap_or(Duration::from_secs(60))
}

/// Since when a message counts as tried that is tried since `since`, where something may be sent to its partner only since
/// `opened`: it is not given up before twice the schedule's longest delay has passed since then, so that the first attempt
/// after a pause is not the last. No more than `give_up_after` is granted, so that what was queued later is given up as ever.
/// A gateway that is started again and again before that time is over gives up nothing that is older.
pub fn patient_since(since: Timestamp, opened: Timestamp, schedule: &RetrySchedule) -> Timestamp {
    let longest = schedule.delays.iter().max().copied().unwrap_or_default();
    let used = schedule.give_up_after.saturating_sub(longest.saturating_mul(2));
    since.max(opened.checked_sub(signed(used)).unwrap_or(Timestamp::MIN))
}

fn retry(c: &Circumstances<'_>, retry_after: Option<u32>) -> Next {
    let waited = c.now.duration_since(c.patient_since);
    if waited >= signed(c.schedule.give_up_after) {
        return Next::Fail;
    }
    let jittered =
        planned(c.schedule, c.attempts).mul_f64((1.0 + c.noise.clamp(-1.0, 1.0) * c.schedule.jitter).max(0.0));
    let asked = Duration::from_secs(u64::from(retry_after.unwrap_or(0)).min(24 * 3600));
    Next::RetryAt(later(c.now, jittered.max(asked)))
}

fn later(now: Timestamp, by: Duration) -> Timestamp {
    now.checked_add(signed(by)).unwrap_or(Timestamp::MAX)
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule() -> RetrySchedule {
        let minutes = |m: u64| Duration::from_secs(60 * m);
        RetrySchedule {
            delays: vec![minutes(1), minutes(2), minutes(5), minutes(10)],
            give_up_after: minutes(72 * 60),
            jitter: 0.2,
            retry_status: Vec::new(),
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).unwrap()
    }

    fn circumstances(schedule: &RetrySchedule, attempts: u32, now: i64) -> Circumstances<'_> {
        Circumstances {
            attempts,
            patient_since: at(0),
            now: at(now),
            receipt_deadline: Duration::from_secs(1800),
            schedule,
            noise: 0.0,
        }
    }

    #[test]
    fn the_schedule_is_followed_and_its_last_delay_repeats() {
        let schedule = schedule();
        let delay = |attempts| match next(Outcome::Unreachable, &circumstances(&schedule, attempts, 0)) {
            Next::RetryAt(due) => due.duration_since(at(0)).as_secs() / 60,
            other => panic!("{other:?}"),
        };
        assert_eq!([1, 2, 3, 4, 5, 50].map(delay), [1, 2, 5, 10, 10, 10]);
    }

    #[test]
    fn jitter_stays_within_its_share() {
        let schedule = schedule();
        for (noise, seconds) in [(-1.0, 48), (0.0, 60), (1.0, 72), (9.0, 72)] {
            let c = Circumstances { noise, ..circumstances(&schedule, 1, 0) };
            assert_eq!(next(Outcome::NoReceipt, &c), Next::RetryAt(at(seconds)));
        }
    }

    #[test]
    fn after_the_last_hour_delivery_gives_up() {
        let schedule = schedule();
        assert_eq!(next(Outcome::Unreachable, &circumstances(&schedule, 99, 72 * 3600)), Next::Fail);
    }

    #[test]
    fn after_a_time_in_which_nothing_could_be_sent_nothing_is_given_up_before_twice_the_longest_delay() {
        let (schedule, hour) = (schedule(), 3600);
        let tried = |since: i64, opened: i64, now: i64| {
            let patient_since = patient_since(at(since), at(opened), &schedule);
            next(Outcome::Unreachable, &Circumstances { patient_since, ..circumstances(&schedule, 9, now) })
        };
        // Nothing was sent from the first hour to the hundredth; the longest delay is ten minutes.
        for passed in [0, 1, 1199] {
            assert!(matches!(tried(0, 100 * hour, 100 * hour + passed), Next::RetryAt(_)), "{passed}");
        }
        assert_eq!(tried(0, 100 * hour, 100 * hour + 1200), Next::Fail);
        // What was tried ever since, or was queued later, is given up as ever.
        for (since, opened) in [(0, -hour), (0, 0), (0, hour), (0, 71 * hour)] {
            assert!(matches!(tried(since, opened, 72 * hour - 1), Next::RetryAt(_)), "{opened}");
            let end = (72 * hour).max(opened + 1200);
            assert_eq!(tried(since, opened, end), Next::Fail, "{opened}");
        }
        // A schedule that is longer than the patience grants the patience.
        let short = RetrySchedule { give_up_after: Duration::from_secs(60), ..schedule.clone() };
        assert_eq!(patient_since(at(0), at(500), &short), at(500));
    }

    #[test]
    fn every_status_has_its_class() {
        let schedule = schedule();
        let c = circumstances(&schedule, 3, 0);
        let status = |code| next(Outcome::Status { code, retry_after: None }, &c);
        for code in [408, 425, 429, 500, 502, 503, 504, 507] {
            assert!(matches!(status(code), Next::RetryAt(_)), "{code}");
        }
        for code in [301, 302, 307, 400, 401, 403, 404, 405, 406, 409, 410, 411, 413, 414, 415, 417, 422, 431, 501, 505]
        {
            assert_eq!(status(code), Next::Hold, "{code}");
        }
        let second = circumstances(&schedule, 2, 0);
        assert!(matches!(next(Outcome::Status { code: 501, retry_after: None }, &second), Next::RetryAt(_)));
        let listed = RetrySchedule { retry_status: vec![404], ..schedule.clone() };
        let c = circumstances(&listed, 3, 0);
        assert!(matches!(next(Outcome::Status { code: 404, retry_after: None }, &c), Next::RetryAt(_)));
    }

    #[test]
    fn a_longer_retry_after_is_kept_and_a_shorter_one_changes_nothing() {
        let schedule = schedule();
        let c = circumstances(&schedule, 1, 0);
        let status = |seconds| next(Outcome::Status { code: 503, retry_after: Some(seconds) }, &c);
        assert_eq!(status(300), Next::RetryAt(at(300)));
        assert_eq!(status(5), Next::RetryAt(at(60)));
    }

    #[test]
    fn what_was_answered_early_or_could_not_be_read_for_now_is_sent_again() {
        let schedule = schedule();
        for outcome in [Outcome::Early, Outcome::Unread] {
            assert_eq!(next(outcome, &circumstances(&schedule, 1, 0)), Next::RetryAt(at(60)), "{outcome:?}");
        }
    }

    #[test]
    fn settled_outcomes_settle() {
        let schedule = schedule();
        let c = circumstances(&schedule, 1, 0);
        assert_eq!(next(Outcome::Accepted, &c), Next::Deliver);
        assert_eq!(next(Outcome::Refused, &c), Next::Fail);
        assert_eq!(next(Outcome::Contradicted, &c), Next::Hold);
        assert_eq!(next(Outcome::Blocked, &c), Next::Hold);
        assert_eq!(next(Outcome::Transferred, &c), Next::Await { deadline: at(1800) });
    }
}
