//! What the integration tests stand on: keys, homes, gateways as child processes, the pyas2lib peers.

#![allow(unreachable_pub, reason = "shared by the integration tests and a bench")]

use std::time::{Duration, Instant};

pub mod bend;
pub mod correspondent;
pub mod gateway;
pub mod home;
pub mod http;
pub mod inside;
pub mod keys;
pub mod mutation;
pub mod peers;
pub mod population;
pub mod proxy;
pub mod scripted;
pub mod xsd;

/// Long enough for a loaded machine; a test that passes never waits for it.
pub const DEADLINE: Duration = Duration::from_secs(90);

/// Asks again and again until there is an answer.
pub fn eventually<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    eventually_within(DEADLINE, ask).unwrap_or_else(|| panic!("not within {DEADLINE:?}: {what}"))
}

/// Asks again and again until there is an answer, or until the time is over.
pub fn eventually_within<T>(limit: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if start.elapsed() > limit {
            return None;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A port nobody listens on, from below the range that outgoing connections take their ports from: it stays free while
/// a gateway that used it is down.
pub fn free_port() -> u16 {
    use std::sync::atomic::{AtomicU16, Ordering};
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let base = u16::try_from(std::process::id() % 100).unwrap() * 100;
    loop {
        let port = 21_000 + (base + NEXT.fetch_add(1, Ordering::Relaxed)) % 11_000;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
