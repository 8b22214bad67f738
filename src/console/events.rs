//! The live stream: server-sent events, and what a client gets that comes back.
//!
//! The latest events are kept; each has the name `<start>-<number>`, so one of an earlier process is not taken for one
//! of this. A client that names an event that is no longer kept, or that is too slow, gets `resync` and reads its lists
//! again: nothing is buffered without end for anybody.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Extension;
use axum::extract::{Request, State as Shared};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast};
use tokio::time::Instant;
use utoipa::IntoParams;

use super::access::{Access, Principal, Scope};
use super::api::parameters;
use super::backend::Backend;
use super::problem::Problem;
use super::router::{Console, stepwise};
use super::routes::Route;
use crate::ground::drain::Shutdown;

/// Events that are kept for those who come back, and that may wait for a slow client.
const KEPT: usize = 1024;
/// Streams at a time.
const STREAMS: usize = 64;
/// A comment is sent after this time without an event.
const ALIVE: Duration = Duration::from_secs(15);

/// The live stream; clones share it.
#[derive(Clone)]
pub struct Events(Arc<Inner>);

struct Inner {
    /// Stands for this process.
    start: String,
    kept: Mutex<Kept>,
    stream: broadcast::Sender<Arc<Event>>,
    streams: Arc<Semaphore>,
    shutdown: Shutdown,
}

#[derive(Default)]
struct Kept {
    /// Somebody has followed the stream: who comes back names an event of it.
    followed: bool,
    last: u64,
    events: VecDeque<Arc<Event>>,
}

struct Event {
    number: u64,
    text: Bytes,
}

impl Events {
    /// A stream that ends with `shutdown`; `now` tells this process from earlier ones.
    pub fn new(now: Timestamp, shutdown: Shutdown) -> Events {
        Events(Arc::new(Inner {
            start: format!("{:x}", now.as_millisecond()),
            kept: Mutex::default(),
            stream: broadcast::Sender::new(KEPT),
            streams: Arc::new(Semaphore::new(STREAMS)),
            shutdown,
        }))
    }

    /// Tells every client of something; `kind` is the event's name.
    pub fn publish(&self, kind: &str, data: &impl Serialize) {
        let Ok(json) = serde_json::to_string(data) else { return };
        let mut kept = self.kept();
        kept.last = kept.last.saturating_add(1);
        let (start, number) = (&self.0.start, kept.last);
        let text = Bytes::from(format!("id: {start}-{number}\nevent: {kind}\ndata: {json}\n\n"));
        let event = Arc::new(Event { number, text });
        if kept.events.len() >= KEPT {
            kept.events.pop_front();
        }
        kept.events.push_back(event.clone());
        // Sent under the lock, so that what is kept and what follows neither overlap nor gape.
        let _ = self.0.stream.send(event);
    }

    /// Whether anybody ever followed the stream. Until then nobody can come back, and events need not be kept.
    pub fn were_followed(&self) -> bool {
        self.kept().followed
    }

    /// Clients should read their lists again.
    pub fn resync(&self) {
        self.publish("resync", &serde_json::json!({}));
    }

    /// What a client that has seen `last` gets first, and what follows.
    fn subscribe(&self, last: Option<&str>) -> (Vec<Bytes>, broadcast::Receiver<Arc<Event>>) {
        let mut kept = self.kept();
        kept.followed = true;
        let live = self.0.stream.subscribe();
        let first = match last {
            Some(_) => "retry: 3000\n\n".to_owned(),
            // Whoever comes back before anything has happened names this.
            None => format!("retry: 3000\nid: {}-{}\n\n", self.0.start, kept.last),
        };
        let mut missed = vec![Bytes::from(first)];
        if let Some(last) = last {
            let number = last.strip_prefix(&self.0.start).and_then(|rest| rest.strip_prefix('-'));
            let number = number.and_then(|number| number.parse::<u64>().ok()).filter(|number| *number <= kept.last);
            let first = kept.events.front().map_or(kept.last.saturating_add(1), |event| event.number);
            match number {
                Some(number) if number.saturating_add(1) >= first => {
                    let later = kept.events.iter().filter(|event| event.number > number);
                    missed.extend(later.map(|event| event.text.clone()));
                }
                _ => missed.push(self.resync_text(kept.last)),
            }
        }
        (missed, live)
    }

    fn resync_text(&self, last: u64) -> Bytes {
        let start = &self.0.start;
        Bytes::from(format!("id: {start}-{last}\nevent: resync\ndata: {{}}\n\n"))
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn routes<B: Backend>() -> Vec<Route<B>> {
    vec![
        Route::get("/events", Scope::Read, events::<B>)
            .says("Live changes as server-sent events")
            .query::<EventParameters>()
            .header("Last-Event-ID", "The last event that was seen")
            .answers_bytes("text/event-stream", "Events `message`, `alert`, `partner`, `resync`"),
    ]
}

/// The query string of the stream.
#[derive(Debug, Default, Deserialize, IntoParams)]
struct EventParameters {
    /// The last event that was seen, for those who cannot send `Last-Event-ID`.
    last: Option<String>,
}

async fn events<B: Backend>(
    Shared(console): Shared<Console<B>>,
    Extension(principal): Extension<Principal>,
    request: Request,
) -> Result<Response, Problem> {
    let events = console.events.clone();
    let permit = events.0.streams.clone().try_acquire_owned().map_err(|_| Problem::too_many_streams())?;
    let EventParameters { last } = parameters(&request)?;
    // A browser that reconnects by itself repeats the query, and names the later one in the field.
    let named = request.headers().get("last-event-id").and_then(|last| last.to_str().ok());
    let (missed, live) = events.subscribe(named.or(last.as_deref()));
    let listener = Listener {
        missed: missed.into_iter().collect(),
        live,
        events,
        access: console.access.clone(),
        principal,
        _permit: permit,
    };
    let body = stepwise(listener, |listener| Box::pin(listener.next()));
    let headers =
        [(header::CONTENT_TYPE, "text/event-stream"), (header::HeaderName::from_static("x-accel-buffering"), "no")];
    Ok((headers, body).into_response())
}

/// One client.
struct Listener {
    missed: VecDeque<Bytes>,
    live: broadcast::Receiver<Arc<Event>>,
    events: Events,
    access: Arc<Access>,
    principal: Principal,
    _permit: OwnedSemaphorePermit,
}

impl Listener {
    /// The next piece; none once the client may no longer listen, or the gateway stops.
    async fn next(mut self) -> Option<(std::io::Result<Bytes>, Listener)> {
        if let Some(missed) = self.missed.pop_front() {
            return Some((Ok(missed), self));
        }
        let quiet = Instant::now() + ALIVE;
        let text = tokio::select! {
            () = self.events.0.shutdown.triggered() => return None,
            () = tokio::time::sleep_until(quiet) => Bytes::from_static(b": alive\n\n"),
            event = self.live.recv() => match event {
                Ok(event) => event.text.clone(),
                Err(broadcast::error::RecvError::Lagged(_)) => {
                    // What it has not read is void: it starts anew from here.
                    let (_, live) = self.events.subscribe(None);
                    self.live = live;
                    self.events.resync_text(self.events.kept().last)
                }
                Err(broadcast::error::RecvError::Closed) => return None,
            },
        };
        self.access.holds(&self.principal).then_some((Ok(text), self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(pieces: &[Bytes]) -> Vec<String> {
        pieces.iter().skip(1).map(|piece| String::from_utf8_lossy(piece).into_owned()).collect()
    }

    #[test]
    fn who_comes_back_gets_what_it_missed_or_is_told_to_read_again() {
        let events = Events::new(Timestamp::from_millisecond(255).expect("in range"), Shutdown::new());
        for number in 1..=3 {
            events.publish("message", &serde_json::json!({ "n": number }));
        }
        let (missed, mut live) = events.subscribe(Some("ff-2"));
        assert_eq!(texts(&missed), ["id: ff-3\nevent: message\ndata: {\"n\":3}\n\n"]);
        events.publish("alert", &serde_json::json!({}));
        assert_eq!(live.try_recv().expect("live").number, 4);
        assert!(texts(&events.subscribe(None).0).is_empty(), "a new client reads the lists anyway");
        assert!(texts(&events.subscribe(Some("ff-4")).0).is_empty(), "it has seen everything");
        for unknown in ["ff-5", "fe-3", "x", ""] {
            assert_eq!(
                texts(&events.subscribe(Some(unknown)).0),
                ["id: ff-4\nevent: resync\ndata: {}\n\n"],
                "{unknown}"
            );
        }
        for number in 0..KEPT {
            events.publish("message", &serde_json::json!({ "n": number }));
        }
        assert!(texts(&events.subscribe(Some("ff-3")).0).concat().contains("resync"), "too long ago");
        assert_eq!(events.kept().events.len(), KEPT, "no more is kept");
    }

    #[test]
    fn who_comes_back_before_anything_was_heard_gets_what_it_missed() {
        let events = Events::new(Timestamp::from_millisecond(255).expect("in range"), Shutdown::new());
        events.publish("message", &serde_json::json!({ "n": 1 }));
        let (first, _live) = events.subscribe(None);
        let first = String::from_utf8_lossy(&first[0]).into_owned();
        let named = first.lines().find_map(|line| line.strip_prefix("id: ")).expect("something to come back with");
        events.publish("message", &serde_json::json!({ "n": 2 }));
        assert_eq!(texts(&events.subscribe(Some(named)).0), ["id: ff-2\nevent: message\ndata: {\"n\":2}\n\n"]);
    }

    #[test]
    fn a_name_with_line_ends_makes_no_event_of_its_own() {
        let events = Events::new(Timestamp::UNIX_EPOCH, Shutdown::new());
        events.publish("message", &serde_json::json!({ "file_name": "a\n\nevent: resync\ndata: {}\n\n" }));
        let text = String::from_utf8_lossy(&events.kept().events[0].text).into_owned();
        assert_eq!(text.lines().count(), 4, "{text}");
    }
}
