//! Messages for a partner whose file is gone, or who is disabled: they wait, ever less often in the way, and go on at once when
//! it is back. How long they could not go is no fault of theirs: [`retry::patient_since`](super::retry::patient_since).

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::{Outbound, circuit};
use crate::bilingual;
use crate::ground::drain;
use crate::partner::Directory;
use crate::store::record::{Came, Fact, Message, Reason, State};
use crate::store::{CommitError, Filter, OPEN};

/// The first wait; each further one is twice as long.
const FIRST: SignedDuration = SignedDuration::from_secs(60);
/// The longest: each is a fact in the journal and a line in the message's history.
const LONGEST: SignedDuration = SignedDuration::from_hours(6);
const CODE: &str = "partner-missing";

/// Messages of one look.
const PAGE: usize = 500;

/// States in which a message waits. One that is on its way becomes due, or does not, by what its attempt comes to.
const WAITING: [State; 3] = [State::Queued, State::Composed, State::AwaitingReceipt];
/// Facts that say when a message is due.
const PLANS: [&str; 5] = ["queued", "composed", "recomposed", "released", "retry-at"];
/// A smaller step of the clock harms nobody.
pub(super) const STEP: SignedDuration = SignedDuration::from_secs(5);

/// Partners that something could be sent to when this was last looked at; none at a start, since files may have changed before
/// it, and nothing was sent.
#[derive(Default)]
pub(super) struct Present {
    directory: Arc<Directory>,
    paused: BTreeSet<String>,
}

impl Present {
    /// Those of now that were not there at the last look.
    pub(super) fn back(&mut self, directory: Arc<Directory>, paused: BTreeSet<String>) -> BTreeSet<String> {
        if Arc::ptr_eq(&self.directory, &directory) && self.paused == paused {
            return BTreeSet::new();
        }
        let now = Present { directory, paused };
        let back = now.open().difference(&self.open()).cloned().collect();
        *self = now;
        back
    }

    /// Whether nothing was to be sent to the partner at the last look.
    pub(super) fn is_paused(&self, partner: &str) -> bool {
        self.paused.contains(partner)
    }

    /// The ids of those that are enabled and not paused.
    pub(super) fn open(&self) -> BTreeSet<String> {
        let open = self.directory.all().filter(|partner| partner.enabled && !self.paused.contains(&partner.id));
        open.map(|partner| partner.id.clone()).collect()
    }
}

impl Outbound {
    /// Nobody is down who is not delivered to, and how a partner was reached before its file was read again is forgotten.
    pub fn forget_absent(&self) {
        let directory = self.directory.load();
        self.clients.forget(&directory);
        let present = |partner: &str| directory.by_id(partner).is_some_and(|partner| partner.enabled);
        for partner in self.circuits.keep(present) {
            self.store.alerts().resolve(circuit::PARTNER_DOWN, Some(&partner));
        }
    }

    /// A message has nobody to go to.
    pub(super) async fn wait_for_partner(&self, message: &Message) -> Result<(), CommitError> {
        let now = self.clock.now();
        let waited = message.due.filter(|_| is_waiting(message)).map(|due| due.duration_since(message.updated));
        let wait = waited.map_or(FIRST, |waited| waited.saturating_mul(2).clamp(FIRST, LONGEST));
        let due = now.saturating_add(wait).unwrap_or(now);
        let fact = Fact::RetryAt { due, reason: partner_missing(&message.partner), came: Came::Unknown };
        self.fact_if(message.id, &OPEN, fact).await.map(drop)
    }

    /// Makes the messages due that waited for these partners. Those that wait for an instant of a clock that was set back since
    /// go on after as long as was planned.
    pub(super) async fn welcome_back(self, partners: BTreeSet<String>) {
        let mut filter = Filter { states: WAITING.to_vec(), limit: PAGE, ..Filter::default() };
        loop {
            let (store, asked) = (self.store.clone(), filter.clone());
            let Ok(page) = drain::blocking(move || store.page(&asked)).await else { return };
            for message in page.messages.iter().filter(|message| partners.contains(&message.partner)) {
                self.let_go_on(message).await;
            }
            filter.before = page.next;
            if page.next.is_none() {
                return;
            }
        }
    }

    /// Makes a message due that was found waiting. A page is as old as all that was written since it was read: what has begun
    /// its way meanwhile, or was transferred, is in another state, and is not to be sent a second time.
    async fn let_go_on(&self, found: &Message) {
        let Some((due, reason)) = goes_on(found, self.clock.now()) else { return };
        let fact = Fact::RetryAt { due, reason, came: Came::Unknown };
        if let Err(error) = self.fact_if(found.id, &[found.state], fact).await {
            tracing::error!(%error, id = %found.id, "a message goes on later than it could");
        }
    }
}

fn is_waiting(message: &Message) -> bool {
    message.reason.as_ref().is_some_and(|reason| reason.code == CODE)
}

/// When a message goes on and why it waits: at once if it waited for its partner.
fn goes_on(message: &Message, now: Timestamp) -> Option<(Timestamp, Reason)> {
    if is_waiting(message) {
        return message.reason.clone().map(|reason| (now, reason));
    }
    replanned(message, now).map(|due| (due, message.reason.clone().unwrap_or_else(set_back)))
}

/// When a message is due whose next attempt was planned by a clock that was ahead of what it shows `now`. None for all others.
fn replanned(message: &Message, now: Timestamp) -> Option<Timestamp> {
    // A receipt that is asked for later than it could be harms nobody.
    let due = message.due.filter(|due| *due > now && message.state != State::AwaitingReceipt)?;
    let planned = message.timeline.iter().rev().find(|event| PLANS.contains(&event.fact.as_str()))?.at;
    if planned.duration_since(now) <= STEP {
        return None;
    }
    let wait = due.duration_since(planned).max(SignedDuration::ZERO);
    Some(now.checked_add(wait).unwrap_or(due))
}

fn set_back() -> Reason {
    let text = bilingual!(
        "本机时钟被调回，报文按原定的间隔重新安排。请检查时间同步。",
        "this machine's clock was set back, so the message is planned anew, with the same wait. Check the time synchronisation."
    );
    Reason { code: "clock-set-back".to_owned(), text }
}

fn partner_missing(partner: &str) -> Reason {
    let text = bilingual!(
        "伙伴 {partner} 未配置或已停用；恢复其配置后自动继续。",
        "partner {partner} is not configured or disabled; delivery goes on by itself once its file is restored."
    );
    Reason { code: CODE.to_owned(), text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::as2::SentMics;
    use crate::ground::id::Id;
    use crate::mime::Headers;
    use crate::outbound::specimens::{Home, now};
    use crate::store::Transaction;
    use crate::store::record::JobKind;

    fn customs() -> BTreeSet<String> {
        BTreeSet::from(["customs".to_owned()])
    }

    #[test]
    fn a_partner_is_back_once_after_a_start_a_pause_and_the_return_of_its_file() {
        let (partners, nobody) = (Arc::new(Home::new().load().partners), BTreeSet::new());
        let mut present = Present::default();
        let looks = [
            ("the start", partners.clone(), nobody.clone(), customs()),
            ("nothing has changed", partners.clone(), nobody.clone(), nobody.clone()),
            ("paused", partners.clone(), customs(), nobody.clone()),
            ("its file is gone meanwhile", Arc::default(), customs(), nobody.clone()),
            ("its file is there, and it is paused", partners.clone(), customs(), nobody.clone()),
            ("let go on", partners.clone(), nobody.clone(), customs()),
            ("its file is gone", Arc::default(), nobody.clone(), nobody.clone()),
            ("its file is there", partners, nobody.clone(), customs()),
        ];
        for (what, directory, paused, back) in looks {
            assert_eq!(present.back(directory, paused), back, "{what}");
        }
    }

    /// A message that waits for its partner until `due`, and is on its way perhaps since it was there.
    async fn waiting(flow: &Outbound, number: u8, due: jiff::Timestamp, on_its_way: bool) -> Id {
        let id = Id::from_bytes([number; 16]);
        let mut transaction = Transaction::new(now());
        let wire = transaction.body(b"a wire".to_vec());
        let queued = Fact::Queued {
            kind: JobKind::Payload,
            partner: "customs".to_owned(),
            file_name: format!("{number}.xml"),
            payload: None,
            declaration: None,
            about: None,
        };
        let (headers, mics) = (Headers::default(), SentMics::default());
        let composed = Fact::Composed { message_id: format!("<{number}@ours>"), headers, wire, mics, due: now() };
        let missing = Fact::RetryAt { due, reason: partner_missing("customs"), came: Came::Unknown };
        for fact in [queued, composed, missing].into_iter().chain(on_its_way.then_some(Fact::Attempted { number: 1 })) {
            transaction.fact(id, fact);
        }
        flow.store.commit(transaction).await.unwrap();
        id
    }

    #[tokio::test]
    async fn what_is_on_its_way_when_its_partner_is_back_once_more_is_not_made_due_a_second_time() {
        let home = Home::new();
        let flow = home.flow();
        let due = now() + SignedDuration::from_mins(5);
        let ids = [waiting(&flow, 1, due, true).await, waiting(&flow, 2, due, false).await];
        flow.clone().welcome_back(customs()).await;
        let found = ids.map(|id| flow.store.message(&id).map(|message| (message.state, message.due)).unwrap());
        assert_eq!(found, [(State::Sending, Some(due)), (State::Composed, Some(now()))]);
    }

    #[tokio::test]
    async fn what_waits_for_an_instant_of_a_clock_that_was_set_back_waits_as_long_as_was_planned_and_no_longer() {
        let home = Home::new();
        let flow = home.flow();
        let ahead = now() + SignedDuration::from_hours(8);
        let reason = Reason { code: "http-503".to_owned(), text: crate::bilingual!("忙", "busy") };
        let retry = Fact::RetryAt { due: ahead + SignedDuration::from_mins(1), reason, came: Came::Unknown };
        let [taken, tried] = [1, 2].map(|number| Id::from_bytes([number; 16]));
        for (id, more) in [(taken, vec![]), (tried, vec![Fact::Attempted { number: 1 }, retry])] {
            let mut transaction = Transaction::new(ahead);
            let wire = transaction.body(b"a wire".to_vec());
            let queued = Fact::Queued {
                kind: JobKind::Payload,
                partner: "customs".to_owned(),
                file_name: "1.xml".to_owned(),
                payload: None,
                declaration: None,
                about: None,
            };
            let (headers, mics) = (Headers::default(), SentMics::default());
            let composed = Fact::Composed { message_id: format!("<{id}@ours>"), headers, wire, mics, due: ahead };
            for fact in [queued, composed].into_iter().chain(more) {
                transaction.fact(id, fact);
            }
            flow.store.commit(transaction).await.unwrap();
        }
        flow.clone().welcome_back(customs()).await;
        let due = |id: &Id| flow.store.message(id).and_then(|message| message.due);
        assert_eq!((due(&taken), due(&tried)), (Some(now()), Some(now() + SignedDuration::from_mins(1))));
    }

    #[tokio::test]
    async fn what_was_transferred_since_it_was_found_waiting_is_not_made_due_a_second_time() {
        let home = Home::new();
        let flow = home.flow();
        let id = waiting(&flow, 1, now() + SignedDuration::from_mins(5), false).await;
        let found = flow.store.message(&id).unwrap();
        let deadline = now() + SignedDuration::from_mins(30);
        let mut transaction = Transaction::new(now());
        transaction.fact(id, Fact::Attempted { number: 1 });
        transaction.fact(id, Fact::AwaitingReceipt { deadline, came: Came::Answered });
        flow.store.commit(transaction).await.unwrap();
        flow.let_go_on(&found).await;
        let message = flow.store.message(&id).unwrap();
        assert_eq!((message.state, message.due), (State::AwaitingReceipt, Some(deadline)));
    }
}
