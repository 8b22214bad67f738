//! Permits: how many connections there are at a time, in all and per address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::ground::network::{Network, subscriber};

/// Counts connections. The place in the total is taken before a connection is accepted, the place of its address right
/// after, before a byte is read.
#[derive(Debug)]
pub(super) struct Permits {
    total: Arc<Semaphore>,
    per_ip: usize,
    /// Each of them stands for many senders: only the total bounds its connections.
    proxies: Vec<Network>,
    by_ip: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// One connection's places; given back when dropped, which is when its handler has ended as well.
#[derive(Debug)]
pub(super) struct Permit {
    _total: OwnedSemaphorePermit,
    ip: IpAddr,
    by_ip: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Permits {
    pub(super) fn new(total: usize, per_ip: usize, proxies: Vec<Network>) -> Permits {
        let total = Arc::new(Semaphore::new(total.clamp(1, Semaphore::MAX_PERMITS)));
        Permits { total, per_ip: per_ip.max(1), proxies, by_ip: Arc::default() }
    }

    /// Waits for a place in the total; `None` never happens while the permits exist.
    pub(super) async fn total(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.total).acquire_owned().await.ok()
    }

    /// Adds the place of an address; `None` when it has as many connections as it may have.
    pub(super) fn for_ip(&self, total: OwnedSemaphorePermit, ip: IpAddr) -> Option<Permit> {
        let is_proxy = self.proxies.iter().any(|proxy| proxy.contains(ip));
        let ip = subscriber(ip);
        let mut by_ip = self.by_ip.lock().unwrap_or_else(PoisonError::into_inner);
        let count = by_ip.entry(ip).or_insert(0);
        if *count >= self.per_ip && !is_proxy {
            return None;
        }
        *count = count.saturating_add(1);
        Some(Permit { _total: total, ip, by_ip: Arc::clone(&self.by_ip) })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut by_ip = self.by_ip.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = by_ip.get_mut(&self.ip) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                by_ip.remove(&self.ip);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn places_come_back_and_a_v6_subscriber_is_one_address() {
        let permits = Permits::new(8, 1, Vec::new());
        let near: IpAddr = "2400:3200::1".parse().expect("literal");
        let same: IpAddr = "2400:3200::ffff".parse().expect("literal");
        let other: IpAddr = "2400:3200:0:1::1".parse().expect("literal");
        let first = permits.for_ip(permits.total().await.expect("open"), near);
        assert!(first.is_some());
        assert!(permits.for_ip(permits.total().await.expect("open"), same).is_none());
        assert!(permits.for_ip(permits.total().await.expect("open"), other).is_some());
        drop(first);
        assert!(permits.for_ip(permits.total().await.expect("open"), same).is_some());
        assert_eq!(permits.total.available_permits(), 8);
        assert!(permits.by_ip.lock().expect("sound").is_empty());
    }

    #[tokio::test]
    async fn a_proxy_stands_for_many_senders_and_may_have_all_places() {
        let permits = Permits::new(3, 1, vec!["10.0.0.0/8".parse().expect("literal")]);
        let (proxy, other) = ("10.1.2.3".parse().expect("literal"), "192.0.2.1".parse().expect("literal"));
        let one = permits.for_ip(permits.total().await.expect("open"), other);
        let two = [0, 1].map(|_| Arc::clone(&permits.total).try_acquire_owned().expect("free"));
        let two = two.map(|total| permits.for_ip(total, proxy));
        assert!(one.is_some() && two.iter().all(Option::is_some));
        assert!(Arc::clone(&permits.total).try_acquire_owned().is_err(), "the total bounds a proxy too");
        drop((one, two));
        assert!(permits.by_ip.lock().expect("sound").is_empty());
    }
}
