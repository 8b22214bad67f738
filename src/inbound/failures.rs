//! How often opening may fail: whoever guesses at keys and padding needs many answers, and gets few.
//!
//! Every failure between the private key and the verified signature
//! ([`OpenFailure::is_cryptographic`](crate::as2::OpenFailure::is_cryptographic)) counts for an hour, by the address it came from and
//! by the partner in whose name it came. By then nothing is authenticated, so no partner is shut out by what others do as it:
//!
//! | so many failures in an hour | who is refused, before anything is opened |
//! |---|---|
//! | `failures_per_ip` from one address | that address |
//! | `failures_per_partner` in the name of one partner | that name, from everywhere; and people are told |
//!
//! Neither where the partner is *at home*: at an address from which its TLS client certificate was shown, or a message of it was
//! accepted whose signature no recording can have (`recordings`): one that repeats an accepted message, under whatever Message-ID,
//! proves nothing about where it comes from. Nor where no address can be told
//! ([`Exchange::client_address`](crate::http::Exchange::client_address)), so that a proxy that nobody has named shuts out no partner
//! that has been heard through it. Whose signatures have no time, or one by a wrong clock, is at home by its TLS client certificate
//! alone. Without a demanded signature any accepted message makes a home if AEAD alone is taken: in CBC it tells of padding.
//!
//! **Records.** What is refused is kept for people to see, with up to 64 KiB of it, and anybody may send in a partner's name, also
//! what the partner has signed for once: of what does not come from where the partner is at home `failures_per_partner` messages are
//! kept in an hour that are refused, or that repeat an accepted one and want its MDN later. Those behind them are told and logged
//! alone. One that asks for a later answer has to be kept first: it has its place from when it comes, and gives it back when it turns
//! out to be new, or when an error of ours keeps it from being judged. Without a place it is opened first, and taken only if new.
//!
//! **No oracle of its own.** What is counted is what is answered alike. A message takes its place before it is opened, and
//! a failure keeps the place until its answer leaves; only then others may be refused for it. So neither that nor when
//! others are refused tells more than the answer did.
//!
//! All of it is in memory and bounded; a restart forgets the failures, and learns the addresses again from what was accepted.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use tokio::sync::Notify;

use crate::as2::OpenFailure;
use crate::ground::clock::Clock;
use crate::ground::network::subscriber;
use crate::store::record::Message;

/// How many failures in an hour are too many; 0: never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailureLimits {
    /// From one address.
    pub per_ip: usize,
    /// In the name of one partner.
    pub per_partner: usize,
}

/// Which limit kept messages from being opened.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct LimitLabels {
    /// `ip`, `partner` or `kept`.
    pub limit: &'static str,
}

/// Who sends, as far as that can be told before anything is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    /// The subscriber's address; `None`: it cannot be told.
    pub(super) address: Option<IpAddr>,
    /// The partner's own certificate was shown in the TLS handshake.
    pub(super) shown: bool,
    /// For evidence: the TCP peer, and whom it spoke for.
    pub(super) remote: String,
}

impl Origin {
    /// A request from `peer`, which spoke for `client`.
    pub(super) fn new(peer: SocketAddr, client: Option<IpAddr>, shown: bool) -> Origin {
        let behind = client.filter(|client| *client != peer.ip().to_canonical());
        let remote = behind.map_or_else(|| peer.to_string(), |client| format!("{client} via {peer}"));
        Origin { address: client.map(subscriber), shown, remote }
    }

    /// The address of an evidence's `remote`.
    fn read(remote: &str) -> Option<IpAddr> {
        let first = remote.split(' ').next()?;
        let address = first.parse::<SocketAddr>().map(|peer| peer.ip()).or_else(|_| first.parse::<IpAddr>()).ok()?;
        (!address.to_canonical().is_loopback()).then_some(subscriber(address))
    }
}

/// A message is not opened: too many before it have failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooMany {
    /// `ip`, `partner` or `kept`.
    pub(super) limit: &'static str,
    /// Until it may be tried again.
    pub(super) seconds: u64,
}

/// The counts, and where partners are at home.
#[derive(Debug)]
pub(super) struct Failures {
    limits: FailureLimits,
    clock: Arc<dyn Clock>,
    tables: Mutex<Tables>,
    /// Places were given back, or failures counted.
    moved: Notify,
    refused: Family<LimitLabels, Counter>,
}

#[derive(Debug, Default)]
struct Tables {
    counts: HashMap<Key, Count>,
    /// Addresses of each partner, the latest last.
    homes: HashMap<String, VecDeque<IpAddr>>,
}

/// What is counted by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Ip(IpAddr),
    Partner(String),
    /// What is kept of strangers in a partner's name.
    Kept(String),
}

/// Failures of the last hour, and openings at this moment.
#[derive(Debug, Default)]
struct Count {
    /// Seconds of the latest failures, no more of them than the limit.
    failed: VecDeque<i64>,
    open: usize,
}

/// Whose a message is, as far as its way here tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// The partner's: it comes from where it is at home, or from where nobody can be told apart.
    Partners,
    /// The partner's, for it is signed by it; but it comes from elsewhere and may have been recorded.
    SignedElsewhere,
    /// Anybody's, in the partner's name.
    Strangers,
    /// It was taken before, and is opened again.
    Untold,
}

/// Whether a message may be opened now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Enter,
    /// That depends on messages that are being opened.
    Wait,
    Refuse(TooMany),
}

impl Failures {
    pub(super) fn new(limits: FailureLimits, clock: Arc<dyn Clock>) -> Failures {
        Failures { limits, clock, tables: Mutex::default(), moved: Notify::new(), refused: Family::default() }
    }

    /// Whether a message would be refused, whatever becomes of those that are being opened.
    pub(super) fn refusal(&self, partner: &str, origin: &Origin) -> Option<TooMany> {
        match self.judge(&mut self.tables(), partner, origin, false) {
            Verdict::Refuse(refusal) => Some(self.refused(refusal)),
            Verdict::Enter | Verdict::Wait => None,
        }
    }

    /// Why nothing more of what comes from there may be kept before it is opened, if that is so.
    pub(super) fn keeps_no_more(&self, partner: &str, origin: &Origin) -> Option<TooMany> {
        match self.judge(&mut self.tables(), partner, origin, true) {
            Verdict::Refuse(refusal) => Some(refusal).filter(|refusal| refusal.limit == Key::KEPT),
            Verdict::Enter | Verdict::Wait => None,
        }
    }

    /// Takes a place for the opening of a message; it may have to wait for others whose outcome is open.
    ///
    /// # Errors
    /// It must not be opened.
    pub(super) async fn enter(self: &Arc<Self>, partner: &str, origin: Origin) -> Result<Admission, TooMany> {
        self.admit(partner, origin, false).await
    }

    /// The same for a message that is kept before it is opened: a stranger's takes a place among what is kept of strangers, too.
    ///
    /// # Errors
    /// It must be neither kept nor opened.
    pub(super) async fn enter_kept(self: &Arc<Self>, partner: &str, origin: Origin) -> Result<Admission, TooMany> {
        self.admit(partner, origin, true).await
    }

    async fn admit(self: &Arc<Self>, partner: &str, origin: Origin, keeps: bool) -> Result<Admission, TooMany> {
        let entered = async {
            loop {
                let mut moved = std::pin::pin!(self.moved.notified());
                moved.as_mut().enable();
                match self.try_enter(partner, &origin, keeps) {
                    Some(outcome) => return outcome,
                    None => moved.await,
                }
            }
        };
        let late = || Err(self.refused(TooMany { limit: Key::IP, seconds: AFTER_WAITING }));
        tokio::time::timeout(LONGEST_WAIT, entered).await.unwrap_or_else(|_| late())
    }

    fn try_enter(self: &Arc<Self>, partner: &str, origin: &Origin, keeps: bool) -> Option<Result<Admission, TooMany>> {
        let mut tables = self.tables();
        match self.judge(&mut tables, partner, origin, keeps) {
            Verdict::Wait => return None,
            Verdict::Refuse(refusal) => return Some(Err(self.refused(refusal))),
            Verdict::Enter => {}
        }
        let reserved = origin.address.is_some() && !tables.is_at_home(partner, origin);
        if reserved {
            let now = self.clock.now().as_second();
            self.keys(partner, origin, keeps).for_each(|(key, _)| tables.open(key, now));
        }
        let (failures, partner, origin) = (self.clone(), partner.to_owned(), origin.clone());
        Some(Ok(Admission { failures, partner, origin, reserved, keeps, kept: false }))
    }

    /// The partner is at home at this address.
    pub(super) fn at_home(&self, partner: &str, address: Option<IpAddr>) {
        address.into_iter().for_each(|address| self.tables().add_home(partner, address));
    }

    /// Whether a request comes from where the partner is at home.
    pub(super) fn is_at_home(&self, partner: &str, origin: &Origin) -> bool {
        self.tables().is_at_home(partner, origin)
    }

    /// Learns from accepted messages, the latest first, where their senders are at home.
    pub(super) fn learn<'m>(&self, accepted: impl DoubleEndedIterator<Item = &'m Message>) {
        for message in accepted.rev() {
            let remotes = message.evidence.iter().filter_map(|evidence| evidence.remote.as_deref());
            self.at_home(&message.partner, remotes.filter_map(Origin::read).next());
        }
    }

    /// Partners in whose name too many messages have failed.
    pub(super) fn pressed(&self) -> Vec<String> {
        let (limit, now) = (self.limits.per_partner, self.clock.now().as_second());
        let mut tables = self.tables();
        let pressed = tables.counts.iter_mut().filter_map(|(key, count)| match key {
            Key::Partner(partner) if limit > 0 && count.recent(now) >= limit => Some(partner.clone()),
            _ => None,
        });
        let mut pressed: Vec<String> = pressed.collect();
        pressed.sort();
        pressed
    }

    /// Whether a refused message is kept: of what comes from elsewhere no more than may fail in the partner's name.
    pub(super) fn keep(&self, partner: &str, whose: Whose) -> bool {
        if matches!(whose, Whose::Partners | Whose::Untold) || self.limits.per_partner == 0 {
            return true;
        }
        let (mut tables, now) = (self.tables(), self.clock.now().as_second());
        let key = Key::Kept(partner.to_owned());
        let taken = tables.counts.get_mut(&key).map_or(0, |count| count.recent(now).saturating_add(count.open));
        let room = taken < self.limits.per_partner;
        if room {
            tables.fail(key, self.limits.per_partner, now);
        }
        room
    }

    /// Messages that were not opened, by limit.
    pub(super) fn figures(&self) -> Family<LimitLabels, Counter> {
        self.refused.clone()
    }

    fn judge(&self, tables: &mut Tables, partner: &str, origin: &Origin, keeps: bool) -> Verdict {
        if origin.address.is_none() || tables.is_at_home(partner, origin) {
            return Verdict::Enter;
        }
        let now = self.clock.now().as_second();
        let mut waits = false;
        for (key, limit) in self.keys(partner, origin, keeps) {
            let limit_of = key.limit();
            let Some(count) = tables.counts.get_mut(&key) else { continue };
            let failed = count.recent(now);
            if failed >= limit {
                return Verdict::Refuse(TooMany { limit: limit_of, seconds: count.seconds_left(limit, now) });
            }
            waits = waits || failed.saturating_add(count.open) >= limit;
        }
        if waits { Verdict::Wait } else { Verdict::Enter }
    }

    /// What is counted of a message, which may be kept before it is opened; each with its limit.
    fn keys(&self, partner: &str, origin: &Origin, keeps: bool) -> impl Iterator<Item = (Key, usize)> + use<> {
        let by_ip = origin.address.map(|address| (Key::Ip(address), self.limits.per_ip));
        let by_partner = (Key::Partner(partner.to_owned()), self.limits.per_partner);
        let by_kept = keeps.then(|| (Key::Kept(partner.to_owned()), self.limits.per_partner));
        by_ip.into_iter().chain([by_partner]).chain(by_kept).filter(|(_, limit)| *limit > 0)
    }

    /// A message is refused for this: it counts.
    pub(super) fn refused(&self, refusal: TooMany) -> TooMany {
        self.refused.get_or_create(&LimitLabels { limit: refusal.limit }).inc();
        refusal
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A message may be opened. The place is given back when this is dropped, unless the message failed.
#[derive(Debug)]
pub(super) struct Admission {
    failures: Arc<Failures>,
    partner: String,
    origin: Origin,
    /// It holds a place that others may wait for.
    reserved: bool,
    /// One of them among what is kept.
    keeps: bool,
    /// The message is kept, and counts unless it is accepted.
    kept: bool,
}

impl Admission {
    /// The message is kept, before it is opened.
    pub(super) fn taken(&mut self) {
        self.kept = self.keeps;
    }

    /// It could not be judged for a reason of our own, and counts for nothing: nor does it when it is opened again, for it has no
    /// place then. What is sent again comes with a place of its own.
    pub(super) fn undecided(&mut self) {
        self.kept = false;
    }

    /// The message was accepted, and is no repetition. `proves`: its partner is at home there.
    pub(super) fn accepted(&mut self, proves: bool) {
        self.kept = false;
        if proves {
            self.failures.at_home(&self.partner, self.origin.address);
        }
    }

    /// Whether the message, once it is accepted, shows where its sender is: `fresh`, by a signature that no recording has.
    pub(super) fn shows_home(&self, fresh: bool) -> bool {
        self.origin.address.is_some() && (fresh || self.origin.shown)
    }

    /// It comes from where its partner is not known to be, without the partner's certificate.
    pub(super) fn is_strange(&self) -> bool {
        self.origin.address.is_some() && !self.failures.tables().is_at_home(&self.partner, &self.origin)
    }

    /// Whose the message is; none has been taken before.
    pub(super) fn whose(admission: Option<&Admission>) -> Whose {
        match admission.map(Admission::is_strange) {
            None => Whose::Untold,
            Some(true) => Whose::Strangers,
            Some(false) => Whose::Partners,
        }
    }

    /// The message did not open; to be called when the answer is about to leave.
    pub(super) fn note(admission: Option<Admission>, failure: &OpenFailure) {
        admission.filter(|_| failure.is_cryptographic()).into_iter().for_each(Admission::failed);
    }

    fn failed(self) {
        let now = self.failures.clock.now().as_second();
        let mut tables = self.failures.tables();
        for (key, limit) in self.failures.keys(&self.partner, &self.origin, false) {
            tables.fail(key, limit, now);
        }
        drop(tables);
    }
}

impl Whose {
    /// Whose it is, when the partner has signed it besides.
    pub(super) fn and_signed(self) -> Whose {
        match self {
            Whose::Strangers | Whose::SignedElsewhere => Whose::SignedElsewhere,
            Whose::Partners | Whose::Untold => Whose::Partners,
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        if self.reserved {
            let (mut tables, now) = (self.failures.tables(), self.failures.clock.now().as_second());
            for (key, limit) in self.failures.keys(&self.partner, &self.origin, self.keeps) {
                tables.close(&key);
                if self.kept && matches!(key, Key::Kept(_)) {
                    tables.fail(key, limit, now);
                }
            }
            drop(tables);
            self.failures.moved.notify_waiters();
        }
    }
}

impl Tables {
    fn is_at_home(&self, partner: &str, origin: &Origin) -> bool {
        let known = |homes: &VecDeque<IpAddr>| origin.address.is_some_and(|address| homes.contains(&address));
        origin.shown || self.homes.get(partner).is_some_and(known)
    }

    fn add_home(&mut self, partner: &str, address: IpAddr) {
        let homes = self.homes.entry(partner.to_owned()).or_default();
        if homes.back() == Some(&address) {
            return;
        }
        homes.retain(|known| *known != address);
        if homes.len() >= HOMES {
            homes.pop_front();
        }
        homes.push_back(address);
    }

    fn open(&mut self, key: Key, now: i64) {
        let count = self.count(key, now);
        count.open = count.open.saturating_add(1);
    }

    fn close(&mut self, key: &Key) {
        let Some(count) = self.counts.get_mut(key) else { return };
        count.open = count.open.saturating_sub(1);
        if count.open == 0 && count.failed.is_empty() {
            self.counts.remove(key);
        }
    }

    fn fail(&mut self, key: Key, limit: usize, now: i64) {
        let failed = &mut self.count(key, now).failed;
        if failed.len() >= limit {
            failed.pop_front();
        }
        failed.push_back(now);
    }

    /// The count of a key; a new one takes the room of the one that failed longest ago, if there is no other.
    fn count(&mut self, key: Key, now: i64) -> &mut Count {
        if !self.counts.contains_key(&key) && self.counts.len() >= COUNTS {
            self.counts.retain(|_, count| count.recent(now) > 0 || count.open > 0);
        }
        if !self.counts.contains_key(&key) && self.counts.len() >= COUNTS {
            let idle = self.counts.iter().filter(|(key, count)| matches!(key, Key::Ip(_)) && count.open == 0);
            let stalest = idle.min_by_key(|(_, count)| count.failed.back().copied()).map(|(key, _)| key.clone());
            stalest.into_iter().for_each(|key| drop(self.counts.remove(&key)));
        }
        self.counts.entry(key).or_default()
    }
}

impl Count {
    /// Failures of the last hour. A clock that was set back keeps nobody out for what is to come.
    fn recent(&mut self, now: i64) -> usize {
        self.failed.retain(|at| now.saturating_sub(HOUR) < *at && *at <= now);
        self.failed.len()
    }

    /// Until there are fewer than `limit`.
    fn seconds_left(&self, limit: usize, now: i64) -> u64 {
        let decisive = self.failed.get(self.failed.len().saturating_sub(limit)).copied().unwrap_or(now);
        u64::try_from(decisive.saturating_add(HOUR).saturating_sub(now)).unwrap_or(1).max(1)
    }
}

impl Key {
    const IP: &'static str = "ip";
    const PARTNER: &'static str = "partner";
    const KEPT: &'static str = "kept";

    fn limit(&self) -> &'static str {
        match self {
            Key::Ip(_) => Key::IP,
            Key::Partner(_) => Key::PARTNER,
            Key::Kept(_) => Key::KEPT,
        }
    }
}

/// Seconds for which a failure counts.
const HOUR: i64 = 3600;
/// Addresses and partners that are counted at a time; more addresses than ever fail in an hour unless somebody commands
/// them all, and then the counts of partners hold.
const COUNTS: usize = 4096;
/// Addresses at which one partner is at home.
const HOMES: usize = 64;
/// A place is free when another message was opened, which takes seconds at most, or minutes when it is very large.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// When to come back after that.
const AFTER_WAITING: u64 = 10;

#[cfg(test)]
#[path = "failures_tests.rs"]
mod tests;
