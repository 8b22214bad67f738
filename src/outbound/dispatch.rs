//! Step 5, first half: due messages are leased and handed to tasks, which [`send`](super::send) them.
//!
//! At most `workers` in all, at most a partner's `concurrency` to each of its servers. Payloads and the asynchronous MDNs
//! that we owe are in one queue, and an MDN may be owed to another server than the one that takes payloads. Such an MDN takes
//! no place of a payload, however long that server keeps it: it has places of its own, waits here for one of them, and is put
//! off while that server does not answer. Nor does it wait for the payloads of a partner that is down.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::task::{Id as TaskId, JoinError, JoinSet};
use tokio::time::Instant;

use super::Outbound;
use super::absent::{Present, STEP};
use super::circuit::Destination;
use super::send::internal_error;
use crate::bilingual;
use crate::ground::drain::Shutdown;
use crate::ground::id::Id;
use crate::store::record::{Came, Fact, JobKind, Message, Reason};
use crate::store::{Lease, OPEN};

/// Longest nap of the dispatcher; new and due messages wake it, and partners whose files were read again.
const NAP: Duration = Duration::from_secs(60);
/// What began so long before a doubt is a long transfer, and no reason to wait with the probe.
const RECENT: Duration = Duration::from_secs(10);
/// Leased MDNs that wait for a place at one server. What is beyond waits in the journal.
const WAITING: usize = 1024;
/// So long, while that server takes what waits: it is slow, not away.
const BUSY: SignedDuration = SignedDuration::from_secs(30);
/// Due messages of a partner that does not answer among which MDNs to other servers are looked for, with each probe.
const LOOK: usize = 512;
/// As many times at most: each look passes all that was found before.
const LOOKS: usize = 4;
/// The first wait of what is put off; each further one is twice as long.
const FIRST: SignedDuration = SignedDuration::from_secs(60);
/// The longest: each is a fact in the journal and a line in the message's history.
const LONGEST: SignedDuration = SignedDuration::from_mins(30);
const PUT_OFF: &str = "mdn-put-off";

/// Deliveries in work.
#[derive(Default)]
struct Work {
    tasks: JoinSet<()>,
    running: HashMap<TaskId, Running>,
    /// How many of them go to each server; none is not listed.
    counts: HashMap<Destination, usize>,
    /// Leased MDNs to other servers than their partner's own, which have no place free, by server.
    waiting: HashMap<Destination, VecDeque<Lease>>,
    /// To whom something can be sent in this turn.
    present: Present,
    /// What the clock showed in the turn before.
    shown: Option<Timestamp>,
}

/// A delivery in work.
struct Running {
    id: Id,
    /// Where it goes; nowhere, if it is put off.
    server: Option<Destination>,
    /// The doubt in which that server was when it began.
    doubt: Option<u64>,
    begun: Instant,
}

impl Work {
    /// Whether the clock was set back since the turn before.
    fn was_set_back(&mut self, now: Timestamp) -> bool {
        let before = self.shown.replace(now);
        before.is_some_and(|before| before.duration_since(now) > STEP)
    }

    fn began(&mut self, task: TaskId, begun: Running) {
        if let Some(server) = &begun.server {
            let count = self.counts.entry(server.clone()).or_default();
            *count = count.saturating_add(1);
        }
        self.running.insert(task, begun);
    }

    /// Deliveries to a server that began in this doubt, or so shortly before that they may end in it like the first one.
    fn probes(&self, server: &Destination, doubt: u64) -> usize {
        let counts = |one: &Running| one.doubt == Some(doubt) || one.begun.elapsed() < RECENT;
        let is_probe = |one: &&Running| counts(one) && one.server.as_ref() == Some(server);
        self.running.values().filter(is_probe).count()
    }

    /// A task has ended; this was its message.
    fn ended(&mut self, task: TaskId) -> Option<Id> {
        let Running { id, server, .. } = self.running.remove(&task)?;
        if let Some(server) = server
            && let Entry::Occupied(mut count) = self.counts.entry(server)
        {
            match count.get().saturating_sub(1) {
                0 => drop(count.remove_entry()),
                left => *count.get_mut() = left,
            }
        }
        Some(id)
    }

    fn running_to(&self, server: &Destination) -> usize {
        self.counts.get(server).copied().unwrap_or_default()
    }

    fn running_elsewhere(&self) -> usize {
        self.counts.iter().filter(|(to, _)| !to.is_own()).map(|(_, count)| count).sum()
    }

    fn waiting_for(&self, server: &Destination) -> usize {
        self.waiting.get(server).map_or(0, VecDeque::len)
    }

    /// Servers for which something waits, those that are at work least first.
    fn servers(&self) -> Vec<Destination> {
        let mut servers: Vec<(usize, Destination)> =
            self.waiting.keys().map(|server| (self.running_to(server), server.clone())).collect();
        servers.sort_by_key(|(running, _)| *running);
        servers.into_iter().map(|(_, server)| server).collect()
    }
}

/// What becomes of a leased message.
enum Turn {
    /// Its attempt begins.
    Now,
    /// It waits for a place.
    Later,
    /// It waits for longer than anybody holds a lease.
    PutOff(Why),
}

/// Why an MDN is put off.
#[derive(Debug, Clone, Copy)]
enum Why {
    /// Its server does not answer, and is asked next then.
    Away(Timestamp),
    /// Its server has more to do than it can.
    Busy,
}

impl Outbound {
    /// Delivers until shutdown; then waits for the attempts in work.
    pub async fn run_senders(self, shutdown: Shutdown) {
        let mut work = Work::default();
        while !shutdown.is_triggered() && self.store.poisoned().is_none() {
            let asked = self.clock.now();
            let mut back = work.present.back(self.directory.load_full(), self.store.pauses().into_keys().collect());
            if !back.is_empty() {
                self.circuits.opened(&back, asked);
            }
            if work.was_set_back(asked) {
                back = work.present.open();
            }
            if !back.is_empty() {
                work.tasks.spawn(self.clone().welcome_back(back));
            }
            let more = self.begin_due(&mut work, asked);
            tokio::select! {
                Some(finished) = work.tasks.join_next_with_id(), if !work.tasks.is_empty() => self.finished(&mut work, finished).await,
                () = tokio::task::yield_now(), if more => {}
                () = self.store.due_changed() => {}
                () = tokio::time::sleep(self.nap(asked)) => {}
                () = shutdown.triggered() => {}
            }
            while let Some(finished) = work.tasks.try_join_next_with_id() {
                self.finished(&mut work, finished).await;
            }
        }
        // Their messages are due at the next start.
        work.waiting.clear();
        while work.tasks.join_next().await.is_some() {}
    }

    /// Frees the slot of a task. One that panicked left its message in an attempt: it is postponed like any other.
    async fn finished(&self, work: &mut Work, finished: Result<(TaskId, ()), JoinError>) {
        let (task, panicked) = match &finished {
            Ok((task, ())) => (*task, false),
            Err(error) => (error.id(), true),
        };
        if let (Some(id), true) = (work.ended(task), panicked) {
            tracing::error!(%id, "a delivery ended unexpectedly");
            self.postpone(id, internal_error()).await;
        }
    }

    /// Hands what is due to tasks. `true`: something of it takes no slot of its partner, so more may be leased at once.
    fn begin_due(&self, work: &mut Work, now: Timestamp) -> bool {
        for server in work.servers() {
            self.begin_waiting(work, &server, now);
        }
        let mut more = false;
        for lease in self.due_leases(work, now) {
            more |= self.begin(work, lease, now);
        }
        more
    }

    /// What waits for a server, as far as it has places; all of it is put off once the server does not answer.
    fn begin_waiting(&self, work: &mut Work, server: &Destination, now: Timestamp) {
        while let Some(lease) = work.waiting.get_mut(server).and_then(VecDeque::pop_front) {
            let turn = self.turn(work, server, now);
            match turn {
                Turn::Later | Turn::PutOff(Why::Busy) => {
                    work.waiting.entry(server.clone()).or_default().push_front(lease);
                    break;
                }
                // While it waited somebody may have held it, or settled it.
                Turn::Now => {
                    if let Some(lease) = self.as_it_is_now(lease, now) {
                        self.launch(work, server.clone(), lease, turn);
                    }
                }
                Turn::PutOff(Why::Away(_)) => self.launch(work, server.clone(), lease, turn),
            }
        }
        work.waiting.retain(|_, leases| !leases.is_empty());
    }

    /// One lease. `true`: it takes no slot of its partner.
    fn begin(&self, work: &mut Work, lease: Lease, now: Timestamp) -> bool {
        let server = self.destination(&lease.message);
        let turn = self.turn(work, &server, now);
        let is_probe = server.is_own() && matches!(turn, Turn::Now) && self.circuits.is_doubted(&server);
        let (own, partner) = (server.is_own(), server.partner.clone());
        self.launch(work, server, lease, turn);
        !own || is_probe && self.look_behind(work, &partner, now)
    }

    /// A partner that does not answer has one slot: what of its queue goes to other servers gets no turn behind many
    /// payloads, unless it is looked for. `true`: there is something.
    fn look_behind(&self, work: &mut Work, partner: &str, now: Timestamp) -> bool {
        // They are given back together, so that each look is at others.
        let mut payloads = Vec::new();
        let mut found = false;
        for _ in 0..LOOKS {
            let leases = self.store.lease_due(now, LOOK, &|of| if of == partner { LOOK } else { 0 });
            let is_all = leases.len() < LOOK;
            for lease in leases {
                let server = self.destination(&lease.message);
                if server.is_own() {
                    payloads.push(lease);
                    continue;
                }
                found = true;
                let turn = self.turn(work, &server, now);
                self.launch(work, server, lease, turn);
            }
            if found || is_all {
                break;
            }
        }
        found
    }

    fn launch(&self, work: &mut Work, server: Destination, lease: Lease, turn: Turn) {
        let (flow, id) = (self.clone(), lease.message.id);
        match turn {
            Turn::Now => {
                let doubt = self.circuits.doubt(&server);
                let task = work.tasks.spawn(async move { flow.work(lease).await });
                work.began(task.id(), Running { id, server: Some(server), doubt, begun: Instant::now() });
            }
            Turn::PutOff(why) => {
                let task = work.tasks.spawn(async move { flow.put_off(&lease, &server, why).await });
                work.began(task.id(), Running { id, server: None, doubt: None, begun: Instant::now() });
            }
            Turn::Later if !server.is_own() && work.waiting_for(&server) < WAITING => {
                work.waiting.entry(server).or_default().push_back(lease);
            }
            // It goes back.
            Turn::Later => {}
        }
    }

    /// Whether a message to this server may go.
    fn turn(&self, work: &Work, server: &Destination, now: Timestamp) -> Turn {
        let workers = self.settings.workers;
        if work.running.len() >= workers || self.store.is_paused(&server.partner) {
            return Turn::Later;
        }
        let (allowed, running) = (self.concurrency(&server.partner), work.running_to(server));
        let mut free = allowed.saturating_sub(running);
        if !server.is_own() {
            // However many of these servers keep us waiting, half of the workers are for payloads; but each has one place.
            let share = workers.div_ceil(2).saturating_sub(work.running_elsewhere());
            free = free.min(share.max(usize::from(running == 0)));
        }
        if self.slots(work, server, free, now) > 0 {
            return Turn::Now;
        }
        match self.circuits.closed_until(server, now) {
            _ if server.is_own() => Turn::Later,
            Some(probe) => Turn::PutOff(Why::Away(probe)),
            None if work.waiting_for(server) >= WAITING => Turn::PutOff(Why::Busy),
            None => Turn::Later,
        }
    }

    fn due_leases(&self, work: &Work, now: Timestamp) -> Vec<Lease> {
        let free = self.settings.workers.saturating_sub(work.running.len());
        if free == 0 {
            return Vec::new();
        }
        let slots = |partner: &str| {
            // Who is let go on in the midst of a turn has the next one, which notes it.
            if work.present.is_paused(partner) || self.store.is_paused(partner) {
                return 0;
            }
            let server = Destination::own(partner);
            let running = work.running_to(&server);
            self.slots(work, &server, self.concurrency(partner).saturating_sub(running), now)
        };
        self.store.lease_due(now, free, &slots)
    }

    /// How many attempts may begin of the `free` ones that a server has left.
    fn slots(&self, work: &Work, server: &Destination, free: usize, now: Timestamp) -> usize {
        let probes = self.circuits.doubt(server).map_or(0, |doubt| work.probes(server, doubt));
        self.circuits.slots(server, free, probes, now)
    }

    fn concurrency(&self, partner: &str) -> usize {
        self.directory.load().by_id(partner).map_or(1, |partner| partner.delivery.concurrency)
    }

    /// The server that a message goes to. Whoever has no such server, or must not get there, is turned away where the
    /// partner's own messages begin.
    fn destination(&self, message: &Message) -> Destination {
        let directory = self.directory.load();
        let partner = directory.by_id(&message.partner).filter(|partner| partner.enabled);
        match partner {
            Some(partner) if message.kind == JobKind::Mdn => {
                let url = self.target(partner, message);
                url.map_or_else(|_| Destination::own(&message.partner), |url| Destination::of(partner, &url))
            }
            _ => Destination::own(&message.partner),
        }
    }

    /// A lease that waited, with its message as it is by now; none if that is not due any more.
    fn as_it_is_now(&self, mut lease: Lease, now: Timestamp) -> Option<Lease> {
        let message = self.store.message(&lease.message.id)?;
        // To the millisecond, as leases are given.
        let is_due = message.due.is_some_and(|due| due.as_millisecond() <= now.as_millisecond());
        lease.message = Arc::new(message);
        is_due.then_some(lease)
    }

    /// An MDN gives way, without an attempt: its server does not answer, or has more to do than it can.
    async fn put_off(&self, lease: &Lease, server: &Destination, why: Why) {
        let (id, reason) = (lease.message.id, put_off(server.elsewhere.as_deref().unwrap_or_default()));
        let due = next_turn(&lease.message, why, self.clock.now());
        tracing::info!(%id, partner = %server.partner, code = %reason.code, %due, "put off: {}", reason.text);
        if let Err(error) = self.fact_if(id, &OPEN, Fact::RetryAt { due, reason, came: Came::Unknown }).await {
            tracing::error!(%error, %id, "a message could not be postponed");
        }
    }

    /// Until the next message is due or the next server is probed that was not yet when leases were `asked` for; leased
    /// ones come back through their tasks.
    fn nap(&self, asked: Timestamp) -> Duration {
        let wait = self.circuits.wait(self.store.next_due(), asked, self.clock.now());
        // What holds up a probe today need not in a moment.
        let longest = if self.circuits.are_all_closed() { NAP } else { RECENT };
        self.clock.nap(wait.map_or(longest, |wait| wait.clamp(Duration::from_millis(20), longest)))
    }
}

/// When an MDN that is put off at `now` is due again.
fn next_turn(message: &Message, why: Why, now: Timestamp) -> Timestamp {
    match why {
        Why::Away(probe) => later_each_time(message, PUT_OFF, now).max(probe),
        Why::Busy => now.checked_add(BUSY).unwrap_or(Timestamp::MAX),
    }
}

/// When a message that is put off at `now` for a reason with this code is due again: twice as late as the last time.
pub(super) fn later_each_time(message: &Message, code: &str, now: Timestamp) -> Timestamp {
    let before = message.due.filter(|_| message.reason.as_ref().is_some_and(|reason| reason.code == code));
    let waited = before.map(|due| due.duration_since(message.updated));
    let wait = waited.map_or(FIRST, |waited| waited.saturating_mul(2).clamp(FIRST, LONGEST));
    now.checked_add(wait).unwrap_or(Timestamp::MAX)
}

fn put_off(server: &str) -> Reason {
    let text = bilingual!(
        "接收回执的地址 {server} 没有应答或连接已占满；这份回执稍后自动再发，不影响报文的投递。请检查网络或联系对方。",
        "{server}, where the partner wants its receipts, does not answer or has no connection free; this one goes later by itself and holds up no payload. Check the network or call the partner."
    );
    Reason { code: PUT_OFF.to_owned(), text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::apply;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[tokio::test]
    async fn a_delivery_takes_a_place_at_its_server_from_its_beginning_to_its_end_and_what_is_put_off_takes_none() {
        let own = Destination::own("acme");
        let elsewhere = Destination { elsewhere: Some("https://mdn.example:443".to_owned()), ..own.clone() };
        let mut work = Work::default();
        let mut tasks = Vec::new();
        for (number, to) in (1u8..).zip([Some(&own), Some(&own), Some(&elsewhere), None]) {
            let task = work.tasks.spawn(async {}).id();
            let (id, begun) = (Id::from_bytes([number; 16]), Instant::now());
            work.began(task, Running { id, server: to.cloned(), doubt: None, begun });
            tasks.push(task);
        }
        let places = |work: &Work| (work.running_to(&own), work.running_to(&elsewhere), work.running_elsewhere());
        assert_eq!((places(&work), work.running.len()), ((2, 1, 1), 4));
        assert_eq!(work.ended(tasks[0]), Some(Id::from_bytes([1; 16])));
        assert_eq!((work.ended(tasks[0]), places(&work)), (None, (1, 1, 1)), "it ends once");
        for task in &tasks[1..] {
            work.ended(*task);
        }
        assert_eq!((places(&work), work.running.len(), work.counts.len()), ((0, 0, 0), 0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn what_began_in_a_doubt_is_its_probe_and_nothing_that_began_long_before() {
        let own = Destination::own("acme");
        let mut work = Work::default();
        for (number, doubt) in (1u8..).zip([None, Some(1), Some(2), Some(2)]) {
            let task = work.tasks.spawn(async {}).id();
            let (id, begun) = (Id::from_bytes([number; 16]), Instant::now());
            work.began(task, Running { id, server: Some(own.clone()), doubt, begun });
        }
        assert_eq!([1, 2, 3].map(|doubt| work.probes(&own, doubt)), [4; 3], "all began a moment ago");
        tokio::time::advance(RECENT).await;
        assert_eq!([1, 2, 3].map(|doubt| work.probes(&own, doubt)), [1, 2, 0]);
        assert_eq!(work.probes(&Destination::own("other"), 2), 0);
    }

    #[test]
    fn an_mdn_that_is_put_off_again_and_again_waits_longer_each_time_up_to_half_an_hour_and_for_the_probe() {
        let id = Id::new(at(0));
        let (partner, file_name) = ("acme".to_owned(), "1.mdn".to_owned());
        let queued =
            Fact::Queued { kind: JobKind::Mdn, partner, file_name, payload: None, declaration: None, about: None };
        let mut message = apply(None, id, at(0), &queued).unwrap();
        let mut now = at(10);
        let mut waits = Vec::new();
        for _ in 0..7 {
            let due = next_turn(&message, Why::Away(now), now);
            waits.push(due.duration_since(now).as_secs());
            let reason = put_off("https://mdn.example:443");
            message = apply(Some(message), id, now, &Fact::RetryAt { due, reason, came: Came::Unknown }).unwrap();
            now = due;
        }
        assert_eq!(waits, [60, 120, 240, 480, 960, 1800, 1800]);
        let probe = now.checked_add(SignedDuration::from_hours(1)).unwrap();
        assert_eq!(next_turn(&message, Why::Away(probe), now), probe);
        let soon = next_turn(&message, Why::Busy, now).duration_since(now);
        assert_eq!(soon, BUSY, "a server that is slow takes what comes after the rest, however often it was put off");
    }
}
