//! When a refusal leaves: an answer whose moment tells how far a message was opened is a decryption oracle, whatever its words.

use std::time::Duration;

use tokio::time::Instant;

use crate::ground::random;

/// Refusals after decryption was tried leave when a whole number of these has passed since the message was there. (RFC 4130 has
/// no such rule.)
const STEP: Duration = Duration::from_millis(250);
const JITTER_MS: u64 = 50;
/// Bytes of a message for each of which a step is as long once more.
const STEP_BYTES: u64 = 8 * 1024 * 1024;
/// Of these the longest step is made, four minutes: whoever waits for the answer, ten minutes as a rule, shall hear it.
const MOST: u32 = 960;

/// Sleeps until a whole number of steps has passed since `begun`; they are longer for larger messages, whose opening takes
/// longer. Counted from the message and not on the clock: who chooses the moment of sending could place a boundary of the clock
/// between a quick failure and a slow one.
pub(super) async fn wait_out(begun: Instant, wire_len: u64) {
    let times = u32::try_from(wire_len / STEP_BYTES).unwrap_or(u32::MAX).saturating_add(1).min(MOST);
    let step = STEP.saturating_mul(times).as_millis().max(1);
    let whole = begun.elapsed().as_millis() / step + 1;
    let due = u64::try_from(step.saturating_mul(whole)).unwrap_or(u64::MAX);
    let due = Duration::from_millis(due.saturating_add(random::below(JITTER_MS)));
    tokio::time::sleep(due.saturating_sub(begun.elapsed())).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn whatever_the_opening_took_a_whole_number_of_steps_has_passed() {
        for (took, len, from) in
            [(0, 0, 250), (1, 9, 250), (249, 9, 250), (251, 9, 500), (3, STEP_BYTES, 500), (900, STEP_BYTES, 1000)]
        {
            let begun = Instant::now();
            tokio::time::sleep(Duration::from_millis(took)).await;
            wait_out(begun, len).await;
            let passed = u64::try_from(begun.elapsed().as_millis()).unwrap();
            assert!((from..=from + JITTER_MS + 1).contains(&passed), "{took} ms, {len} bytes: {passed} ms");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn however_large_the_message_its_sender_still_waits_when_the_refusal_leaves() {
        for len in [20 << 30, u64::MAX] {
            let begun = Instant::now();
            wait_out(begun, len).await;
            assert!(begun.elapsed() <= Duration::from_secs(241), "{:?}", begun.elapsed());
        }
    }
}
