//! A partner that cannot be reached is probed by one attempt at a time, so that it holds one worker and not all.
//!
//! Every HTTP answer, whatever its status, closes the circuit. Attempts that end without an answer open it: from the
//! first on the partner has one slot, from the third on it is left alone until the next probe, after the pause that
//! its schedule plans, five minutes at most. What a person retries or releases is a probe at once. All of it lives in
//! memory: after a restart the first attempts find out again.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::retry;
use crate::bilingual;
use crate::partner::RetrySchedule;
use crate::store::record::Reason;

/// Attempts without an answer, one after the other, after which a partner counts as down.
const DOWN: u32 = 3;
/// Longest time between probes.
const LONGEST: Duration = Duration::from_secs(300);

/// The partners that did not answer lately.
#[derive(Debug, Default)]
pub(super) struct Circuits(Mutex<HashMap<String, Circuit>>);

#[derive(Debug, Clone, Copy)]
struct Circuit {
    /// Attempts without an answer since the last one with an answer.
    failures: u32,
    /// No attempt begins before.
    probe: Timestamp,
}

impl Circuits {
    /// How many more attempts may begin, of the `free` ones the partner has left besides its `running` ones.
    pub(super) fn slots(&self, partner: &str, free: usize, running: usize, now: Timestamp) -> usize {
        match self.lock().get(partner) {
            None => free,
            Some(circuit) if running > 0 || now < circuit.probe => 0,
            Some(_) => free.min(1),
        }
    }

    /// The partner answered. `true`: it was down before.
    pub(super) fn answered(&self, partner: &str) -> bool {
        self.lock().remove(partner).is_some_and(|circuit| circuit.failures >= DOWN)
    }

    /// An attempt ended without an answer. `true`: with this one the partner counts as down.
    pub(super) fn unanswered(&self, partner: &str, schedule: &RetrySchedule, now: Timestamp) -> bool {
        let mut circuits = self.lock();
        let circuit = circuits.entry(partner.to_owned()).or_insert(Circuit { failures: 0, probe: now });
        circuit.failures = circuit.failures.saturating_add(1);
        if circuit.failures >= DOWN {
            let pause = retry::planned(schedule, circuit.failures.saturating_sub(DOWN).saturating_add(1)).min(LONGEST);
            let pause = SignedDuration::try_from(pause).unwrap_or(SignedDuration::ZERO);
            circuit.probe = now.checked_add(pause).unwrap_or(now);
        }
        circuit.failures == DOWN
    }

    /// Whether the partner counts as down.
    pub(super) fn is_down(&self, partner: &str) -> bool {
        self.lock().get(partner).is_some_and(|circuit| circuit.failures >= DOWN)
    }

    /// Forgets the other partners; returns those of them that counted as down.
    pub(super) fn keep(&self, is_kept: impl Fn(&str) -> bool) -> Vec<String> {
        let mut circuits = self.lock();
        let gone = circuits.extract_if(|partner, _| !is_kept(partner));
        gone.filter(|(_, circuit)| circuit.failures >= DOWN).map(|(partner, _)| partner).collect()
    }

    /// A person wants to know now.
    pub(super) fn probe_now(&self, partner: &str) {
        if let Some(circuit) = self.lock().get_mut(partner) {
            circuit.probe = Timestamp::UNIX_EPOCH;
        }
    }

    /// The next probe after `asked`.
    fn next_probe(&self, asked: Timestamp) -> Option<Timestamp> {
        self.lock().values().map(|circuit| circuit.probe).filter(|probe| *probe > asked).min()
    }

    /// How long after `now` the next message is due, which is at `due`, or the next partner is probed. Of the probes those
    /// count that were to come at `asked`, when slots were given out: one that has become due since then got none.
    pub(super) fn wait(&self, due: Option<Timestamp>, asked: Timestamp, now: Timestamp) -> Option<Duration> {
        let next = due.into_iter().chain(self.next_probe(asked)).min()?;
        Some(Duration::try_from(next.duration_since(now)).unwrap_or_default())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Circuit>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For people: the condition while it lasts.
pub(super) fn partner_down(partner: &str) -> Reason {
    let text = bilingual!(
        "伙伴 {partner} 连续多次无法连接或没有应答；报文留在队列中，每次只用一个连接探测，恢复后自动继续。请检查网络或联系对方。",
        "partner {partner} could not be reached several times; its messages wait, one connection at a time probes it, and all goes on by itself once it answers. Check the network or call the partner."
    );
    Reason { code: PARTNER_DOWN.to_owned(), text }
}

/// The condition's code.
pub(super) const PARTNER_DOWN: &str = "partner-down";

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule() -> RetrySchedule {
        let delays = [60, 120, 3600].map(Duration::from_secs).to_vec();
        RetrySchedule { delays, give_up_after: Duration::from_secs(9000), jitter: 0.0, retry_status: Vec::new() }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_partner_that_answers_has_all_its_slots() {
        let circuits = Circuits::default();
        assert_eq!(circuits.slots("acme", 4, 0, at(0)), 4);
        circuits.unanswered("acme", &schedule(), at(0));
        assert!(!circuits.answered("acme"), "it was not down yet");
        assert_eq!(circuits.slots("acme", 4, 0, at(0)), 4);
    }

    #[test]
    fn a_partner_that_does_not_answer_has_one_slot_and_then_waits_for_its_probe() {
        let circuits = Circuits::default();
        assert!(!circuits.unanswered("acme", &schedule(), at(0)));
        assert_eq!((circuits.slots("acme", 4, 0, at(0)), circuits.slots("acme", 3, 1, at(0))), (1, 0));
        assert!(!circuits.unanswered("acme", &schedule(), at(0)));
        assert!(circuits.unanswered("acme", &schedule(), at(0)), "down with the third");
        assert_eq!(circuits.slots("acme", 4, 0, at(59)), 0);
        assert_eq!(circuits.next_probe(at(59)), Some(at(60)));
        assert_eq!(circuits.slots("acme", 4, 0, at(60)), 1);
        assert_eq!(circuits.slots("other", 4, 0, at(0)), 4, "others are not concerned");
        assert!(!circuits.unanswered("acme", &schedule(), at(60)), "told once");
        assert_eq!(circuits.next_probe(at(60)), Some(at(180)));
        circuits.unanswered("acme", &schedule(), at(180));
        assert_eq!(circuits.next_probe(at(180)), Some(at(480)), "five minutes at most");
        assert!(circuits.answered("acme"));
        assert_eq!((circuits.slots("acme", 4, 0, at(181)), circuits.next_probe(at(181))), (4, None));
    }

    #[test]
    fn a_probe_that_becomes_due_while_slots_are_given_out_is_not_slept_through() {
        let circuits = Circuits::default();
        for _ in 0..3 {
            circuits.unanswered("acme", &schedule(), at(0));
        }
        assert_eq!(circuits.slots("acme", 4, 0, at(59)), 0);
        let seconds = Duration::from_secs;
        assert_eq!(circuits.wait(None, at(59), at(61)), Some(seconds(0)));
        assert_eq!(circuits.wait(Some(at(70)), at(50), at(55)), Some(seconds(5)));
        assert_eq!(circuits.wait(Some(at(57)), at(50), at(55)), Some(seconds(2)));
        assert_eq!(circuits.slots("acme", 4, 0, at(61)), 1);
        assert_eq!(circuits.wait(None, at(61), at(61)), None, "it has its slot, and may have nothing to send");
    }

    #[test]
    fn a_partner_that_is_gone_is_forgotten_and_found_out_again_when_it_is_back() {
        let circuits = Circuits::default();
        circuits.unanswered("once", &schedule(), at(0));
        for _ in 0..3 {
            circuits.unanswered("acme", &schedule(), at(0));
            circuits.unanswered("other", &schedule(), at(0));
        }
        assert_eq!(circuits.keep(|partner| partner == "other"), ["acme"]);
        assert!(circuits.is_down("other") && !circuits.is_down("acme"));
        assert_eq!(circuits.slots("acme", 4, 0, at(1)), 4);
    }

    #[test]
    fn what_a_person_retries_is_a_probe_at_once() {
        let circuits = Circuits::default();
        for _ in 0..3 {
            circuits.unanswered("acme", &schedule(), at(0));
        }
        circuits.probe_now("acme");
        assert_eq!(circuits.slots("acme", 4, 0, at(1)), 1);
    }
}
