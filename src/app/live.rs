//! What happens now: the console's live stream, and the throughput of the last 24 hours.
//!
//! Both follow the messages that the store announces. The hours before the start are counted from the index, in the
//! background: a message counts where it came to its end.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::backend::GatewayBackend;
use crate::console::Events;
use crate::console::wire::traffic::{FiguresWire, HourWire};
use crate::console::wire::{AlertWire, MessageLine};
use crate::ground::drain::Shutdown;
use crate::store::record::{JobKind, Message, State};
use crate::store::trail::Changed;
use crate::store::{Filter, Raised, Store};

/// Hours that are shown, besides the present one.
const HOURS: i64 = 24;
/// Messages of the time before the start that are looked at.
const LOOKED_AT: usize = 200_000;
/// Messages of one look.
const PAGE: usize = 500;

/// Messages that came to their end, by the hour.
#[derive(Debug, Clone, Default)]
pub(super) struct Traffic(Arc<Counted>);

#[derive(Debug, Default)]
struct Counted {
    hours: Mutex<BTreeMap<i64, HourWire>>,
    complete: AtomicBool,
}

impl Traffic {
    /// The last hours up to `now`, those without messages included.
    pub(super) fn figures(&self, now: Timestamp) -> FiguresWire {
        let present = hour_of(now);
        let hours = self.hours();
        let hours = (present.saturating_sub(HOURS)..=present).map(|hour| HourWire {
            hour: Timestamp::from_second(hour.saturating_mul(3600)).unwrap_or(now),
            ..hours.get(&hour).copied().unwrap_or_default()
        });
        FiguresWire { now, complete: self.0.complete.load(Ordering::Relaxed), hours: hours.collect() }
    }

    /// A message came to its end, or not.
    fn count(&self, message: &Message) {
        if message.kind != JobKind::Payload {
            return;
        }
        let mut hours = self.hours();
        let hour = hours.entry(hour_of(message.updated)).or_default();
        let counted = match message.state {
            State::Accepted => &mut hour.received,
            State::Declined => &mut hour.declined,
            State::Delivered => &mut hour.delivered,
            State::Failed => &mut hour.failed,
            State::Rejected => &mut hour.rejected,
            _ => return,
        };
        *counted = counted.saturating_add(1);
        let oldest = hour_of(message.updated).saturating_sub(HOURS.saturating_mul(2));
        while hours.first_key_value().is_some_and(|(hour, _)| *hour < oldest) {
            hours.pop_first();
        }
    }

    /// Counts what came to its end before `started` (blocking I/O).
    fn count_before(&self, store: &Store, started: Timestamp, shutdown: &Shutdown) {
        let from = started.checked_sub(SignedDuration::from_hours(HOURS)).unwrap_or(started);
        let mut filter = Filter { from: Some(from), limit: PAGE, ..Filter::default() };
        let mut looked_at = 0usize;
        while looked_at < LOOKED_AT && !shutdown.is_triggered() {
            let page = store.page(&filter);
            page.messages.iter().filter(|message| message.updated < started).for_each(|message| self.count(message));
            looked_at = looked_at.saturating_add(PAGE);
            filter.before = page.next;
            if page.next.is_none() {
                self.0.complete.store(true, Ordering::Relaxed);
                return;
            }
        }
    }

    fn hours(&self) -> MutexGuard<'_, BTreeMap<i64, HourWire>> {
        self.0.hours.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hour_of(at: Timestamp) -> i64 {
    at.as_second().div_euclid(3600)
}

/// Hears of everything that changes.
pub(super) struct Live {
    store: Store,
    traffic: Traffic,
    started: Timestamp,
    events: Events,
    messages: Receiver<Changed>,
    alerts: Receiver<Raised>,
}

impl Live {
    /// Hears of every change from here on.
    pub(super) fn new(backend: &GatewayBackend, events: Events) -> Live {
        let store = backend.store.clone();
        let (messages, alerts) = (store.follow(), store.alerts().subscribe());
        Live { traffic: backend.traffic.clone(), started: backend.clock.now(), store, events, messages, alerts }
    }

    /// Tells it on until shutdown.
    pub(super) async fn run(mut self, shutdown: Shutdown) {
        let (traffic, store, started, stop) =
            (self.traffic.clone(), self.store.clone(), self.started, shutdown.clone());
        let counting = crate::ground::drain::blocking(move || traffic.count_before(&store, started, &stop));
        loop {
            tokio::select! {
                () = shutdown.triggered() => break,
                changed = self.messages.recv() => match changed {
                    Ok(changed) => self.changed(&changed),
                    Err(RecvError::Lagged(_)) => self.events.resync(),
                    Err(RecvError::Closed) => break,
                },
                raised = self.alerts.recv() => match raised {
                    Ok(raised) => self.events.publish("alert", &AlertWire::from(raised)),
                    Err(RecvError::Lagged(_)) => self.events.resync(),
                    Err(RecvError::Closed) => break,
                },
            }
        }
        let _ = counting.await;
    }

    fn changed(&self, Changed { before, message, .. }: &Changed) {
        if self.events.were_followed() {
            self.events.publish("message", &MessageLine::from(&**message));
        }
        if *before != Some(message.state) && message.updated >= self.started {
            self.traffic.count(message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_without_messages_are_shown_and_old_ones_are_forgotten() {
        let traffic = Traffic::default();
        let now = Timestamp::from_second(1_800_000_000).expect("in range");
        let figures = traffic.figures(now);
        assert_eq!((figures.hours.len(), figures.complete), (25, false));
        assert!(figures.hours.windows(2).all(|pair| pair[0].hour < pair[1].hour));
        assert_eq!(figures.hours.last().map(|hour| hour_of(hour.hour)), Some(hour_of(now)));
    }
}
