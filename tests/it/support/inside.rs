//! Gateways inside the test process, on a clock that the test moves: days pass in milliseconds.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dxgate::app::{self, Role, Running};
use dxgate::config;
use dxgate::ground::clock::{Clock, ManualClock};
use dxgate::store::Filter;
use dxgate::store::record::{Direction, JobKind, Message, State};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::runtime::Runtime;

use super::home::Home;
use super::{DEADLINE, eventually, http};

/// A gateway of this process; it stops when dropped, and then has no file open any more.
pub struct Inside<'h> {
    pub home: &'h Home,
    pub clock: Arc<ManualClock>,
    running: Option<(Running, Runtime)>,
}

/// A clock that shows the present and stands still.
pub fn clock() -> Arc<ManualClock> {
    let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap();
    Arc::new(ManualClock::new(now))
}

/// Moves a clock on.
pub fn pass(clock: &ManualClock, time: Duration) {
    clock.set(clock.now().checked_add(SignedDuration::try_from(time).unwrap()).unwrap());
}

impl<'h> Inside<'h> {
    pub fn start(home: &'h Home, clock: &Arc<ManualClock>) -> Inside<'h> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let running = eventually("nobody else holds its files and ports", || {
            let config = config::load(&home.config(), &|_| None, clock.now());
            let config = config.unwrap_or_else(|error| panic!("{error:?}"));
            match runtime.block_on(app::start(config, Role::Gateway, clock.clone())) {
                // A program that another test starts holds what this process had open, from its fork to its exec.
                Err(error) if ["directory-in-use", "address-in-use"].contains(&error.code()) => None,
                started => Some(started.unwrap()),
            }
        });
        Inside { home, clock: clock.clone(), running: Some((running, runtime)) }
    }

    /// All messages, newest first.
    pub fn messages(&self) -> Vec<Message> {
        self.running.as_ref().unwrap().0.backend.list(&Filter { limit: usize::MAX, ..Filter::default() })
    }

    /// The only payload sent to a partner.
    pub fn sent_to(&self, partner: &str) -> Message {
        let mut found = self.messages();
        let payload = |message: &Message| (message.direction, message.kind) == (Direction::Outbound, JobKind::Payload);
        found.retain(|message| message.partner == partner && payload(message));
        assert_eq!(found.len(), 1, "{partner}: {found:#?}");
        found.remove(0)
    }

    /// Hands a payload over by the API; it is durable then.
    pub fn submit(&self, partner: &str, name: &str, payload: &[u8]) {
        let path = format!("/api/v1/partners/{partner}/messages?name={name}");
        let answer = self.post(&path, payload);
        assert_eq!(answer.0, 202, "{:#}", answer.1);
    }

    /// A POST to the API.
    pub fn post(&self, path: &str, body: &[u8]) -> (u16, Value) {
        let token = self.home.token().unwrap();
        let headers = format!("Authorization: Bearer {token}\r\nContent-Type: application/json\r\n");
        let answer = http::post(self.home.console, path, &headers, body).unwrap();
        (answer.status, serde_json::from_slice(&answer.body).unwrap_or_default())
    }

    /// An answer of the API.
    pub fn api(&self, path: &str) -> Value {
        let answer = http::get(self.home.console, path, self.home.token().as_deref()).unwrap();
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        serde_json::from_slice(&answer.body).unwrap()
    }

    /// Codes of the open alerts, in their order.
    pub fn alerts(&self) -> Vec<String> {
        let list = self.api("/api/v1/alerts")["alerts"].clone();
        list.as_array().unwrap().iter().map(|alert| alert["code"].as_str().unwrap().to_owned()).collect()
    }

    /// Waits, on the real clock, until the message to a partner is as wanted.
    pub fn until(&self, partner: &str, what: &str, wanted: impl Fn(&Message) -> bool) -> Message {
        let mut last = None;
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            eventually(what, || {
                let message = self.sent_to(partner);
                let done = wanted(&message);
                last = Some(message.clone());
                done.then_some(message)
            })
        }));
        found.unwrap_or_else(|_| panic!("{partner}: not {what}: {last:#?}"))
    }
}

/// Whether something is being worked on, and when the next thing is due otherwise.
fn business(messages: &[Message], now: Timestamp) -> (bool, Option<Timestamp>) {
    let busy = messages.iter().any(|message| {
        matches!(message.state, State::Sending | State::Received)
            || message.state == State::Accepted && message.receipt.is_none() && asks_later(message)
    });
    let due = messages.iter().filter_map(|message| message.due).filter(|due| *due > now).min();
    (busy, due)
}

fn asks_later(message: &Message) -> bool {
    message.headers.get("Receipt-Delivery-Option").is_some()
}

/// By the clock, all messages are settled or given up long before.
const LONGEST: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Lets time pass, from one due instant to the next, until all gateways (on one clock) have nothing to do.
pub fn settle(gateways: &[&Inside<'_>], what: &str) {
    let clock = &gateways[0].clock;
    let end = clock.now().checked_add(LONGEST).unwrap();
    let is_down = || gateways.iter().any(|gateway| gateway.alerts().contains(&"partner-down".to_owned()));
    let (mut since, mut reached, mut waited) = (Instant::now(), (0, 0), 0);
    loop {
        let messages: Vec<Message> = gateways.iter().flat_map(|gateway| gateway.messages()).collect();
        let (busy, next) = business(&messages, clock.now());
        let open = messages.iter().filter(|message| !message.state.is_final()).count();
        if open == 0 && !busy {
            return;
        }
        let attempts = messages.iter().map(|message| message.attempts).sum::<u32>();
        if reached != (open, attempts) {
            (since, reached) = (Instant::now(), (open, attempts));
        }
        let stuck = since.elapsed() > DEADLINE || clock.now() > end;
        assert!(!stuck, "{what}: stuck at {}: {messages:#?}", clock.now());
        let overdue = messages.iter().any(|message| message.due.is_some_and(|due| due <= clock.now()));
        match next {
            Some(due) if !busy && !overdue => {
                clock.set(due);
                since = Instant::now();
            }
            // What is due and not begun is only slow to begin, or waits for the probe of a partner that is down: that
            // comes within five minutes, ten of these steps, so they do not count as progress.
            _ if waited % 100 == 99 && !busy && is_down() => pass(clock, Duration::from_secs(30)),
            _ => {
                waited += 1;
                std::thread::sleep(Duration::from_millis(4));
                continue;
            }
        }
        waited = 0;
        std::thread::sleep(Duration::from_millis(1));
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        let Some((running, runtime)) = self.running.take() else { return };
        let late = runtime.block_on(running.stop());
        drop(runtime);
        if !std::thread::panicking() {
            assert_eq!(late, Vec::<String>::new(), "all tasks ended");
            eventually("a gateway that ended has nothing open", || {
                open_files(&self.home.path("")).is_empty().then_some(())
            });
        }
    }
}

/// Files below `dir` that this process has open.
fn open_files(dir: &Path) -> Vec<PathBuf> {
    let links =
        std::fs::read_dir("/proc/self/fd").unwrap().filter_map(|link| std::fs::read_link(link.ok()?.path()).ok());
    links.filter(|file| file.starts_with(dir)).collect()
}
