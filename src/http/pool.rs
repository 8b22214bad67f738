//! Connections that wait for their next request, and how every connection ends.
//!
//! A task drives each connection. By itself it would wait for ever for a peer whose system is up but that reads no more:
//! what was begun has to be written before hyper closes a connection, and TLS has to say that it ends. So long the body
//! stays open, and with it its blocking thread. So the task ends with the `Connection` that belongs to it, at once or a
//! little later.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hyper::client::conn::http1::SendRequest;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::address::Target;
use super::body::Sending;
use super::deadline::Deadline;
use super::tls_end::Cut;

/// A connection, and the say over the task that drives it. Dropped in the midst of an exchange it is cut off. Dropped
/// after one it is closed in good order (TLS says `close_notify`, RFC 8446 6.1) if that takes no longer than `FAREWELL`.
#[derive(Debug)]
pub(super) struct Connection {
    /// Through which requests enter it.
    pub(super) requests: SendRequest<Sending>,
    /// Tells the driver how long it may go on without us. `None`: it was told.
    until: Option<oneshot::Sender<Instant>>,
    /// An exchange may be in its midst.
    in_use: bool,
    /// Whether the server ended TLS by cutting it off.
    pub(super) cut: Cut,
    /// TLS 1.3: the server looks at our certificate when we take the connection to stand (RFC 8446 2).
    pub(super) judges_late: bool,
    /// Another request may follow. Behind an answer in HTTP/1.0 hyper would send it in HTTP/1.0, where a body without a length is
    /// none at all.
    pub(super) again: bool,
}

impl Connection {
    /// Lets what is under way be finished before `deadline`, and ends the connection.
    pub(super) async fn see_out(mut self, deadline: &Deadline) {
        // It is ready for another request once this one is out.
        self.in_use = !matches!(deadline.limit(self.requests.ready()).await, Some(Ok(())));
    }

    fn let_go_on_until(&mut self, end: Instant) {
        if let Some(until) = self.until.take() {
            // A driver that has ended needs no word.
            let _ = until.send(end);
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if !self.in_use {
            self.let_go_on_until(Instant::now() + FAREWELL);
        }
    }
}

/// Idle connections, and the tasks that drive every connection of a client.
#[derive(Debug)]
pub(super) struct Pool {
    idle: Mutex<Idle>,
    drivers: Mutex<JoinSet<()>>,
    keep: Duration,
    per_target: usize,
}

#[derive(Debug, Default)]
struct Idle {
    /// Newest last, since when each waits.
    by_target: HashMap<Target, Vec<(Connection, Instant)>>,
    /// When all targets were looked at last.
    swept: Option<Instant>,
}

/// How often the connections to all targets are looked at; those to one are whenever it is asked for.
const SWEEP: Duration = Duration::from_secs(1);
/// How long a connection just used may take to become ready again before it is given up.
const SETTLE: Duration = Duration::from_millis(100);
/// How long a connection may take to be closed in good order.
const FAREWELL: Duration = Duration::from_secs(2);

impl Pool {
    /// Keeps an unused connection for `keep`, and `per_target` of them.
    pub(super) fn new(keep: Duration, per_target: usize) -> Pool {
        Pool { idle: Mutex::default(), drivers: Mutex::default(), keep, per_target }
    }

    /// A connection to `target` that was open a moment ago.
    pub(super) async fn take(&self, target: &Target) -> Option<Connection> {
        while let Some(mut connection) = self.newest(target) {
            if let Ok(Ok(())) = tokio::time::timeout(SETTLE, connection.requests.ready()).await {
                connection.in_use = true;
                return Some(connection);
            }
        }
        None
    }

    fn newest(&self, target: &Target) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        self.sweep(&mut idle, target, Instant::now());
        idle.by_target.get_mut(target)?.pop().map(|(connection, _)| connection)
    }

    /// Keeps a connection whose answer was read to its end.
    pub(super) fn put(&self, target: &Target, mut connection: Connection) {
        connection.in_use = false;
        let now = Instant::now();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        self.sweep(&mut idle, target, now);
        if !connection.again || connection.requests.is_closed() || self.per_target == 0 {
            return;
        }
        match idle.by_target.get_mut(target) {
            None => drop(idle.by_target.insert(target.clone(), vec![(connection, now)])),
            Some(connections) if connections.len() < self.per_target => connections.push((connection, now)),
            Some(_) => {}
        }
    }

    /// Drops what is closed or old: of this target, and from time to time of all.
    fn sweep(&self, idle: &mut Idle, target: &Target, now: Instant) {
        let is_fresh = |(connection, since): &(Connection, Instant)| {
            !connection.requests.is_closed() && now.duration_since(*since) < self.keep
        };
        if idle.swept.is_some_and(|swept| now.duration_since(swept) < SWEEP) {
            if let Some(connections) = idle.by_target.get_mut(target) {
                connections.retain(is_fresh);
            }
            return;
        }
        idle.swept = Some(now);
        idle.by_target.retain(|_, connections| {
            connections.retain(is_fresh);
            !connections.is_empty()
        });
    }

    /// Drives a fresh connection until it ends, until what is given back here is dropped and its time is over, or
    /// until the client is dropped.
    pub(super) fn drive<F>(&self, requests: SendRequest<Sending>, connection: F) -> Connection
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (until, left) = oneshot::channel();
        let mut drivers = self.drivers.lock().unwrap_or_else(PoisonError::into_inner);
        while drivers.try_join_next().is_some() {}
        drivers.spawn(async move {
            tokio::select! {
                () = connection => {}
                () = time_is_up(left) => {}
            }
        });
        Connection { requests, until: Some(until), in_use: true, cut: Cut::default(), judges_late: false, again: true }
    }
}

/// Ends when the connection was given up and may go on no longer.
async fn time_is_up(left: oneshot::Receiver<Instant>) {
    if let Ok(end) = left.await {
        tokio::time::sleep_until(end).await;
    }
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
