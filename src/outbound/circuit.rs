//! A server that cannot be reached is probed by one attempt at a time, so that it holds one worker and not all.
//!
//! Every HTTP answer, whatever its status, closes the circuit, also a 2xx whose body does not come whole, and so does a server that
//! takes 32 MiB of a body. Attempts that end
//! without an answer open it: from the first on the server has one slot, for what begins after that, whatever is still on its
//! way to it from long before; from the third on it is left alone until the next probe, after the pause that the partner's schedule plans, five minutes at most. What a person retries or releases is a
//! probe at once. All of it lives in memory: after a restart the first attempts find out again.
//!
//! A partner is down when its own server is, the one that takes payloads. Another server at which it wants its
//! asynchronous MDNs has a circuit of its own: neither says anything about the other.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::retry;
use crate::bilingual;
use crate::partner::{Partner, PartnerUrl, RetrySchedule};
use crate::store::record::Reason;

/// Attempts without an answer, one after the other, after which a server counts as down.
const DOWN: u32 = 3;
/// Longest time between probes.
const LONGEST: Duration = Duration::from_secs(300);

/// The server that an attempt goes to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Destination {
    pub(super) partner: String,
    /// The origin (RFC 6454 4) of a server that is not the partner's own: it takes MDNs alone.
    pub(super) elsewhere: Option<String>,
}

impl Destination {
    /// The partner's own server.
    pub(super) fn own(partner: &str) -> Destination {
        Destination { partner: partner.to_owned(), elsewhere: None }
    }

    /// The server behind a URL to which something of this partner goes.
    pub(super) fn of(partner: &Partner, url: &str) -> Destination {
        if url == partner.url.as_str() {
            return Destination::own(&partner.id);
        }
        let elsewhere = PartnerUrl::parse(url).ok().filter(|url| !partner.url.same_origin(url));
        Destination { elsewhere: elsewhere.as_ref().map(origin), ..Destination::own(&partner.id) }
    }

    /// Whether it is the partner's own server.
    pub(super) fn is_own(&self) -> bool {
        self.elsewhere.is_none()
    }
}

/// Scheme, host and port.
fn origin(url: &PartnerUrl) -> String {
    let (host, port) = (url.host(), url.port());
    let scheme = if url.is_secure() { "https" } else { "http" };
    if host.contains(':') { format!("{scheme}://[{host}]:{port}") } else { format!("{scheme}://{host}:{port}") }
}

/// The servers that did not answer lately, and since when something may be sent to each partner at all.
#[derive(Debug, Default)]
pub(super) struct Circuits {
    servers: Mutex<HashMap<Destination, Circuit>>,
    /// Circuits there have been.
    numbers: AtomicU64,
    opened: Mutex<HashMap<String, Timestamp>>,
}

#[derive(Debug, Clone, Copy)]
struct Circuit {
    /// Which one it is.
    number: u64,
    /// Attempts without an answer since the last one with an answer.
    failures: u32,
    /// No attempt begins before.
    probe: Timestamp,
}

impl Circuit {
    /// Until when no attempt begins. A probe further away than any is planned was planned before the clock was set back.
    fn closed_until(&self, now: Timestamp) -> Option<Timestamp> {
        let longest = SignedDuration::try_from(LONGEST).unwrap_or(SignedDuration::MAX);
        Some(self.probe).filter(|probe| now < *probe && probe.duration_since(now) <= longest)
    }
}

impl Circuits {
    /// How many more attempts may begin, of the `free` ones the server has left. `probes` began in its present
    /// [doubt](Circuits::doubt) and have not ended.
    pub(super) fn slots(&self, server: &Destination, free: usize, probes: usize, now: Timestamp) -> usize {
        match self.lock().get(server) {
            None => free,
            Some(circuit) if probes > 0 || circuit.closed_until(now).is_some() => 0,
            Some(_) => free.min(1),
        }
    }

    /// The doubt in which a server that did not answer last is; each has a number of its own.
    pub(super) fn doubt(&self, server: &Destination) -> Option<u64> {
        self.lock().get(server).map(|circuit| circuit.number)
    }

    /// The server answered. `true`: it was down before.
    pub(super) fn answered(&self, server: &Destination) -> bool {
        self.lock().remove(server).is_some_and(|circuit| circuit.failures >= DOWN)
    }

    /// An attempt ended without an answer. `true`: with this one the server counts as down.
    pub(super) fn unanswered(&self, server: &Destination, schedule: &RetrySchedule, now: Timestamp) -> bool {
        let mut circuits = self.lock();
        let begins = || Circuit { number: self.numbers.fetch_add(1, Ordering::Relaxed), failures: 0, probe: now };
        let circuit = circuits.entry(server.clone()).or_insert_with(begins);
        circuit.failures = circuit.failures.saturating_add(1);
        if circuit.failures >= DOWN {
            let pause = retry::planned(schedule, circuit.failures.saturating_sub(DOWN).saturating_add(1)).min(LONGEST);
            let pause = SignedDuration::try_from(pause).unwrap_or(SignedDuration::ZERO);
            circuit.probe = now.checked_add(pause).unwrap_or(now);
        }
        circuit.failures == DOWN
    }

    /// Whether the partner counts as down: its own server, that is.
    pub(super) fn is_down(&self, partner: &str) -> bool {
        self.lock().get(&Destination::own(partner)).is_some_and(|circuit| circuit.failures >= DOWN)
    }

    /// Whether the server did not answer last.
    pub(super) fn is_doubted(&self, server: &Destination) -> bool {
        self.lock().contains_key(server)
    }

    /// Whether every server has answered last.
    pub(super) fn are_all_closed(&self) -> bool {
        self.lock().is_empty()
    }

    /// Until when a server that is down is left alone; none once its probe may begin.
    pub(super) fn closed_until(&self, server: &Destination, now: Timestamp) -> Option<Timestamp> {
        self.lock().get(server).and_then(|circuit| circuit.closed_until(now))
    }

    /// From now on something may be sent to these partners: the gateway was started, their pause is over, or their files are
    /// back.
    pub(super) fn opened(&self, partners: &BTreeSet<String>, now: Timestamp) {
        self.openings().extend(partners.iter().map(|partner| (partner.clone(), now)));
    }

    /// Since when something may be sent to the partner.
    pub(super) fn open_since(&self, partner: &str) -> Option<Timestamp> {
        self.openings().get(partner).copied()
    }

    /// Forgets the servers of other partners; returns those of these partners that counted as down.
    pub(super) fn keep(&self, is_kept: impl Fn(&str) -> bool) -> Vec<String> {
        self.openings().retain(|partner, _| is_kept(partner));
        let mut circuits = self.lock();
        let gone = circuits.extract_if(|server, _| !is_kept(&server.partner));
        let down = gone.filter(|(server, circuit)| server.is_own() && circuit.failures >= DOWN);
        down.map(|(server, _)| server.partner).collect()
    }

    /// A person wants to know now: all servers of the partner may be probed.
    pub(super) fn probe_now(&self, partner: &str) {
        for (_, circuit) in self.lock().iter_mut().filter(|(server, _)| server.partner == partner) {
            circuit.probe = Timestamp::UNIX_EPOCH;
        }
    }

    /// The next probe after `asked`.
    fn next_probe(&self, asked: Timestamp) -> Option<Timestamp> {
        self.lock().values().map(|circuit| circuit.probe).filter(|probe| *probe > asked).min()
    }

    /// How long after `now` the next message is due, which is at `due`, or the next server is probed. Of the probes those
    /// count that were to come at `asked`, when slots were given out: one that has become due since then got none.
    pub(super) fn wait(&self, due: Option<Timestamp>, asked: Timestamp, now: Timestamp) -> Option<Duration> {
        let next = due.into_iter().chain(self.next_probe(asked)).min()?;
        Some(Duration::try_from(next.duration_since(now)).unwrap_or_default())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Destination, Circuit>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn openings(&self) -> MutexGuard<'_, HashMap<String, Timestamp>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
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

    fn own(partner: &str) -> Destination {
        Destination::own(partner)
    }

    /// Where a partner wants its MDNs.
    fn elsewhere(partner: &str) -> Destination {
        Destination { elsewhere: Some("https://mdn.example:443".to_owned()), ..own(partner) }
    }

    #[test]
    fn a_partner_that_answers_has_all_its_slots() {
        let circuits = Circuits::default();
        assert_eq!(circuits.slots(&own("acme"), 4, 0, at(0)), 4);
        circuits.unanswered(&own("acme"), &schedule(), at(0));
        assert!(!circuits.answered(&own("acme")), "it was not down yet");
        assert_eq!(circuits.slots(&own("acme"), 4, 0, at(0)), 4);
    }

    #[test]
    fn a_partner_that_does_not_answer_has_one_slot_and_then_waits_for_its_probe() {
        let circuits = Circuits::default();
        assert!(!circuits.unanswered(&own("acme"), &schedule(), at(0)));
        assert_eq!((circuits.slots(&own("acme"), 4, 0, at(0)), circuits.slots(&own("acme"), 3, 1, at(0))), (1, 0));
        assert!(!circuits.unanswered(&own("acme"), &schedule(), at(0)));
        assert!(circuits.unanswered(&own("acme"), &schedule(), at(0)), "down with the third");
        assert_eq!(circuits.slots(&own("acme"), 4, 0, at(59)), 0);
        assert_eq!(circuits.next_probe(at(59)), Some(at(60)));
        assert_eq!(circuits.slots(&own("acme"), 4, 0, at(60)), 1);
        assert_eq!(circuits.slots(&own("other"), 4, 0, at(0)), 4, "others are not concerned");
        assert!(!circuits.unanswered(&own("acme"), &schedule(), at(60)), "told once");
        assert_eq!(circuits.next_probe(at(60)), Some(at(180)));
        circuits.unanswered(&own("acme"), &schedule(), at(180));
        assert_eq!(circuits.next_probe(at(180)), Some(at(480)), "five minutes at most");
        assert!(circuits.answered(&own("acme")));
        assert_eq!((circuits.slots(&own("acme"), 4, 0, at(181)), circuits.next_probe(at(181))), (4, None));
    }

    #[test]
    fn a_probe_that_was_planned_before_the_clock_was_set_back_is_over() {
        let circuits = Circuits::default();
        for _ in 0..3 {
            circuits.unanswered(&own("acme"), &schedule(), at(90_000));
        }
        assert_eq!(
            (circuits.slots(&own("acme"), 4, 0, at(90_000)), circuits.slots(&own("acme"), 4, 0, at(89_800))),
            (0, 0)
        );
        assert_eq!(circuits.closed_until(&own("acme"), at(89_800)), Some(at(90_060)));
        assert_eq!(
            (circuits.slots(&own("acme"), 4, 0, at(3600)), circuits.closed_until(&own("acme"), at(3600))),
            (1, None)
        );
    }

    #[test]
    fn each_doubt_has_a_number_of_its_own() {
        let circuits = Circuits::default();
        assert_eq!(circuits.doubt(&own("acme")), None);
        circuits.unanswered(&own("acme"), &schedule(), at(0));
        let first = circuits.doubt(&own("acme"));
        circuits.unanswered(&own("acme"), &schedule(), at(1));
        assert!(first.is_some() && circuits.doubt(&own("acme")) == first);
        circuits.answered(&own("acme"));
        circuits.unanswered(&own("acme"), &schedule(), at(2));
        assert!(circuits.doubt(&own("acme")).is_some_and(|doubt| Some(doubt) != first));
    }

    #[test]
    fn a_probe_that_becomes_due_while_slots_are_given_out_is_not_slept_through() {
        let circuits = Circuits::default();
        for _ in 0..3 {
            circuits.unanswered(&own("acme"), &schedule(), at(0));
        }
        assert_eq!(circuits.slots(&own("acme"), 4, 0, at(59)), 0);
        let seconds = Duration::from_secs;
        assert_eq!(circuits.wait(None, at(59), at(61)), Some(seconds(0)));
        assert_eq!(circuits.wait(Some(at(70)), at(50), at(55)), Some(seconds(5)));
        assert_eq!(circuits.wait(Some(at(57)), at(50), at(55)), Some(seconds(2)));
        assert_eq!(circuits.slots(&own("acme"), 4, 0, at(61)), 1);
        assert_eq!(circuits.wait(None, at(61), at(61)), None, "it has its slot, and may have nothing to send");
    }

    #[test]
    fn a_partner_that_is_gone_is_forgotten_and_found_out_again_when_it_is_back() {
        let circuits = Circuits::default();
        circuits.unanswered(&own("once"), &schedule(), at(0));
        for _ in 0..3 {
            circuits.unanswered(&own("acme"), &schedule(), at(0));
            circuits.unanswered(&own("other"), &schedule(), at(0));
        }
        assert_eq!(circuits.keep(|partner| partner == "other"), ["acme"]);
        assert!(circuits.is_down("other") && !circuits.is_down("acme"));
        assert_eq!(circuits.slots(&own("acme"), 4, 0, at(1)), 4);
    }

    #[test]
    fn what_a_person_retries_is_a_probe_at_once() {
        let circuits = Circuits::default();
        for _ in 0..3 {
            circuits.unanswered(&own("acme"), &schedule(), at(0));
        }
        circuits.probe_now("acme");
        assert_eq!(circuits.slots(&own("acme"), 4, 0, at(1)), 1);
    }
    #[test]
    fn a_server_for_mdns_that_does_not_answer_says_nothing_about_the_one_for_payloads_and_the_reverse() {
        let circuits = Circuits::default();
        for _ in 0..3 {
            circuits.unanswered(&elsewhere("acme"), &schedule(), at(0));
        }
        assert!(!circuits.is_down("acme") && !circuits.is_doubted(&own("acme")));
        assert_eq!(circuits.slots(&own("acme"), 4, 0, at(1)), 4);
        assert_eq!((circuits.slots(&elsewhere("acme"), 4, 0, at(1)), circuits.next_probe(at(1))), (0, Some(at(60))));
        for _ in 0..3 {
            circuits.unanswered(&own("acme"), &schedule(), at(100));
        }
        assert!(circuits.answered(&elsewhere("acme")), "it was down");
        assert!(circuits.is_down("acme"), "the MDNs go on, the payloads do not");
        assert_eq!(circuits.slots(&elsewhere("acme"), 4, 1, at(101)), 4);
        assert_eq!(circuits.slots(&own("acme"), 4, 0, at(101)), 0);
        circuits.unanswered(&elsewhere("acme"), &schedule(), at(101));
        assert!(circuits.answered(&own("acme")) && circuits.is_doubted(&elsewhere("acme")));
    }

    #[test]
    fn a_server_that_is_down_is_closed_until_its_probe_and_no_longer() {
        let circuits = Circuits::default();
        circuits.unanswered(&elsewhere("acme"), &schedule(), at(0));
        circuits.unanswered(&elsewhere("acme"), &schedule(), at(0));
        assert_eq!(circuits.closed_until(&elsewhere("acme"), at(0)), None, "not down yet");
        circuits.unanswered(&elsewhere("acme"), &schedule(), at(0));
        assert_eq!(circuits.closed_until(&elsewhere("acme"), at(59)), Some(at(60)));
        assert_eq!(circuits.closed_until(&elsewhere("acme"), at(60)), None);
        assert_eq!(circuits.closed_until(&own("acme"), at(59)), None);
    }

    #[test]
    fn what_is_forgotten_or_retried_of_a_partner_is_so_at_all_its_servers_and_only_its_own_made_it_count_as_down() {
        let circuits = Circuits::default();
        for server in [elsewhere("acme"), elsewhere("other"), own("other")] {
            for _ in 0..3 {
                circuits.unanswered(&server, &schedule(), at(0));
            }
        }
        circuits.probe_now("other");
        let probes = |partner| [own(partner), elsewhere(partner)].map(|server| circuits.slots(&server, 4, 0, at(1)));
        assert_eq!((probes("other"), probes("acme")), ([1, 1], [4, 0]));
        assert_eq!(circuits.keep(|_| false), ["other"]);
        assert_eq!((probes("other"), probes("acme")), ([4, 4], [4, 4]));
    }
}
