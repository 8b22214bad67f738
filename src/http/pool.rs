//! Connections that wait for their next request.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hyper::client::conn::http1::SendRequest;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::address::Target;
use super::body::Sending;

/// The handle through which requests enter a connection.
pub(super) type Connection = SendRequest<Sending>;

/// Idle connections per target, newest last, and the tasks that drive every connection of a client.
#[derive(Debug)]
pub(super) struct Pool {
    idle: Mutex<HashMap<Target, Vec<(Connection, Instant)>>>,
    drivers: Mutex<JoinSet<()>>,
    keep: Duration,
    per_target: usize,
}

/// How long a connection just used may take to become ready again before it is given up.
const SETTLE: Duration = Duration::from_millis(100);

impl Pool {
    /// Keeps an unused connection for `keep`, and `per_target` of them.
    pub(super) fn new(keep: Duration, per_target: usize) -> Pool {
        Pool { idle: Mutex::default(), drivers: Mutex::default(), keep, per_target }
    }

    /// A connection to `target` that was open a moment ago.
    pub(super) async fn take(&self, target: &Target) -> Option<Connection> {
        while let Some(mut connection) = self.newest(target) {
            if let Ok(Ok(())) = tokio::time::timeout(SETTLE, connection.ready()).await {
                return Some(connection);
            }
        }
        None
    }

    fn newest(&self, target: &Target) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        self.sweep(&mut idle);
        idle.get_mut(target)?.pop().map(|(connection, _)| connection)
    }

    /// Keeps a connection whose answer was read to its end.
    pub(super) fn put(&self, target: &Target, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        self.sweep(&mut idle);
        let connections = idle.entry(target.clone()).or_default();
        if !connection.is_closed() && connections.len() < self.per_target {
            connections.push((connection, Instant::now()));
        }
    }

    /// Drops what is closed or old.
    fn sweep(&self, idle: &mut HashMap<Target, Vec<(Connection, Instant)>>) {
        for connections in idle.values_mut() {
            connections.retain(|(connection, since)| !connection.is_closed() && since.elapsed() < self.keep);
        }
        idle.retain(|_, connections| !connections.is_empty());
    }

    /// Drives a connection until it ends, or until the client is dropped.
    pub(super) fn drive(&self, connection: impl Future<Output = ()> + Send + 'static) {
        let mut drivers = self.drivers.lock().unwrap_or_else(PoisonError::into_inner);
        while drivers.try_join_next().is_some() {}
        drivers.spawn(connection);
    }
}
