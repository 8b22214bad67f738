//! How long things are kept, and the task that sees to it.
//!
//! What expires is decided here, message by message; that it may is judged once more by the committer
//! ([`apply`](super::apply)): never an open message, an unpublished file, or anything under legal hold. Each expiry is
//! a fact with its reason. A dedup key goes with its message, never before.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinError;

use super::Store;
use super::compaction::{Compacted, KeepError, Stop, proceed};
use super::error::CommitError;
use super::index::decode;
use super::record::{Fact, Message, Reason};
use super::transaction::Transaction;
use crate::bilingual;
use crate::ground::clock::Clock;
use crate::ground::drain::{self, Shutdown};
use crate::ground::id::Id;

/// The shortest time for which a finished message is kept: its dedup key goes with it, and partners repeat messages for
/// weeks (RFC 4130 5.5 sets no end).
pub const SHORTEST_EVIDENCE: Duration = Duration::from_secs(90 * 24 * 3600);

/// How long things are kept after a message's last fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionPolicy {
    /// The message: wire, MDN, certificates, history, dedup key. Taken as [`SHORTEST_EVIDENCE`] when shorter.
    pub evidence: Duration,
    /// The payload's bytes; its digest stays as long as the message.
    pub payload: Duration,
}

/// What a pass did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kept {
    /// Payloads that expired.
    pub payloads: u64,
    /// Messages that expired.
    pub messages: u64,
    /// The frame that a new snapshot begins with.
    pub snapshot: Option<u64>,
    /// What the journal gave back.
    pub compacted: Compacted,
}

/// Sees to retention, snapshots and compaction while the gateway runs.
#[derive(Debug, Clone)]
pub struct Keeper {
    store: Store,
    policy: RetentionPolicy,
    clock: Arc<dyn Clock>,
}

/// Time between two passes.
const PASS_EVERY: SignedDuration = SignedDuration::from_hours(6);
/// Time until the next pass after one that failed.
const PASS_AGAIN: SignedDuration = SignedDuration::from_mins(30);
/// How often the clock and the journal's growth are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// Looks that are left out after a shortage: what found no room takes it from everybody else while it is tried again.
const RESTS: u32 = 60;
/// Messages that expire in one transaction.
const EXPIRED_TOGETHER: usize = 64;
/// A message's first fact may be a little older than its id: the clock may have been set back in between.
const SLACK: SignedDuration = SignedDuration::from_hours(48);

impl Keeper {
    /// A keeper of `store`.
    pub fn new(store: Store, policy: RetentionPolicy, clock: Arc<dyn Clock>) -> Keeper {
        let evidence = policy.evidence.max(SHORTEST_EVIDENCE);
        Keeper { store, policy: RetentionPolicy { evidence, ..policy }, clock }
    }

    /// Works until shutdown.
    pub async fn run(self, shutdown: Shutdown) {
        let mut passes = Passes { next: self.clock.now() };
        let mut rests = 0u32;
        while !shutdown.is_triggered() {
            let whole = passes.is_due(self.clock.now());
            rests = if whole { 0 } else { rests.saturating_sub(1) };
            if rests == 0 {
                let looked = self.look(whole, &shutdown).await;
                if whole && !matches!(looked, Ok(Ok(_))) {
                    passes.failed(self.clock.now());
                }
                match looked {
                    Ok(Ok(kept)) => log(&kept),
                    Ok(Err(KeepError::Stopped)) => return,
                    Ok(Err(error)) => {
                        rests = if error.is_disk_full() { RESTS } else { 0 };
                        tracing::error!(code = error.code(), %error, "retention could not be carried out");
                    }
                    Err(error) => tracing::error!(%error, "retention broke off"),
                }
            }
            tokio::select! {
                () = shutdown.triggered() => {}
                () = tokio::time::sleep(self.clock.nap(LOOK_EVERY)) => {}
            }
        }
    }

    /// A pass, or what is between two.
    async fn look(&self, whole: bool, shutdown: &Shutdown) -> Result<Result<Kept, KeepError>, JoinError> {
        let (keeper, stop) = (self.clone(), shutdown.clone());
        let work = move || {
            let stop = || stop.is_triggered();
            if whole { keeper.pass(&stop) } else { keeper.tidy(&stop) }
        };
        drain::blocking(work).await
    }

    /// One pass (blocking I/O): lets expire what is due, takes a snapshot when the journal has grown, gives space back.
    ///
    /// # Errors
    /// As [`Store::compact`].
    pub fn pass(&self, stop: &dyn Fn() -> bool) -> Result<Kept, KeepError> {
        self.store.partials().expire(self.clock.now());
        let mut kept = match self.expire(stop) {
            // What expired earlier may be what makes room.
            Err(full) if full.is_disk_full() => {
                self.store.compact(stop)?;
                return Err(full);
            }
            expired => expired?,
        };
        let snapshot = if kept.payloads > 0 || kept.messages > 0 {
            self.store.take_snapshot(stop)
        } else {
            self.snapshot(stop).map(|kept| kept.snapshot)
        };
        // Space is given back even when there was none for a snapshot.
        kept.compacted = self.store.compact(stop)?;
        kept.snapshot = snapshot?;
        Ok(kept)
    }

    /// Between two passes: takes a snapshot when one is due, and gives back what it covers. So bytes that are dropped
    /// early do not wait for a pass, and whoever sends what is refused cannot let the journal grow without end.
    fn tidy(&self, stop: Stop<'_>) -> Result<Kept, KeepError> {
        let mut kept = self.snapshot(stop)?;
        if kept.snapshot.is_some() {
            kept.compacted = self.store.compact(stop)?;
        }
        Ok(kept)
    }

    /// Takes a snapshot when the journal has grown much since the last one.
    fn snapshot(&self, stop: Stop<'_>) -> Result<Kept, KeepError> {
        let (grown, last) = self.store.growth()?;
        let due = grown >= self.store.0.config.snapshot_bytes.max(last.saturating_mul(2));
        let snapshot = if due { self.store.take_snapshot(stop)? } else { None };
        Ok(Kept { snapshot, ..Kept::default() })
    }

    fn expire(&self, stop: Stop<'_>) -> Result<Kept, KeepError> {
        let now = self.clock.now();
        let shortest = self.policy.evidence.min(self.policy.payload);
        let young = before(now, shortest).saturating_add(SLACK).unwrap_or(now);
        // By the id, in whose order they come: what was claimed may have been recorded much later.
        let young = Id::derived(young, &[0xff; 10]);
        let mut kept = Kept::default();
        let mut due: Vec<(Id, Fact)> = Vec::new();
        for entry in self.store.0.index.entries(b'm') {
            let read = entry.and_then(|(_, value)| decode(&value));
            let (_, message) = read.map_err(|error| self.store.index_error(&error))?;
            // Oldest first: nothing behind this one is due.
            if message.id > young {
                break;
            }
            due.extend(self.policy.expiry(&message, now).map(|fact| (message.id, fact)));
            if due.len() >= EXPIRED_TOGETHER {
                self.record(now, std::mem::take(&mut due), &mut kept)?;
                proceed(stop)?;
            }
        }
        self.record(now, due, &mut kept)?;
        proceed(stop)?;
        Ok(kept)
    }

    /// Records expiries together; when one has become unlawful meanwhile, each for itself.
    fn record(&self, now: Timestamp, due: Vec<(Id, Fact)>, kept: &mut Kept) -> Result<(), KeepError> {
        if due.is_empty() {
            return Ok(());
        }
        let together = self.store.commit_blocking(transaction(now, &due));
        let alone = matches!(together, Err(CommitError::Conflict(_)));
        if !alone {
            together?;
        }
        for expiry in &due {
            if alone {
                match self.store.commit_blocking(transaction(now, std::slice::from_ref(expiry))) {
                    Err(CommitError::Conflict(_)) => continue,
                    other => drop(other?),
                }
            }
            let count = if matches!(expiry.1, Fact::Purged { .. }) { &mut kept.messages } else { &mut kept.payloads };
            *count = count.saturating_add(1);
        }
        Ok(())
    }
}

/// When the next pass is due.
struct Passes {
    next: Timestamp,
}

impl Passes {
    /// Whether one is due at `now`; the next is due later then.
    fn is_due(&mut self, now: Timestamp) -> bool {
        let later = now.saturating_add(PASS_EVERY).unwrap_or(Timestamp::MAX);
        // The clock may have been set back since: a pass is never further away than the time between two.
        self.next = self.next.min(later);
        let due = self.next <= now;
        if due {
            self.next = later;
        }
        due
    }

    /// The one that was due has failed at `now`.
    fn failed(&mut self, now: Timestamp) {
        self.next = self.next.min(now.saturating_add(PASS_AGAIN).unwrap_or(Timestamp::MAX));
    }
}

impl RetentionPolicy {
    /// What expires of a message at `now`, as the fact that says so.
    pub fn expiry(&self, message: &Message, now: Timestamp) -> Option<Fact> {
        if !message.may_expire() {
            return None;
        }
        if message.updated <= before(now, self.evidence) {
            let text = bilingual!("保存期限已满。", "the time for which evidence is kept is over.");
            let why = Reason { code: "retention-evidence".to_owned(), text };
            return Some(Fact::Purged { why, bodies: message.bodies().iter().map(|body| body.id).collect() });
        }
        let bodies = message.payload_bodies();
        if message.updated > before(now, self.payload) || message.payload_purged.is_some() || bodies.is_empty() {
            return None;
        }
        let text = bilingual!("载荷保存期限已满。", "the time for which payloads are kept is over.");
        let why = Reason { code: "retention-payload".to_owned(), text };
        Some(Fact::PayloadPurged { why, bodies })
    }
}

fn transaction(now: Timestamp, facts: &[(Id, Fact)]) -> Transaction {
    let mut transaction = Transaction::new(now);
    for (id, fact) in facts {
        transaction.fact(*id, fact.clone());
    }
    transaction
}

fn before(now: Timestamp, span: Duration) -> Timestamp {
    now.saturating_sub(span).unwrap_or(Timestamp::MIN)
}

fn log(kept: &Kept) {
    let Kept { payloads, messages, snapshot, compacted } = kept;
    if let Some(frame) = snapshot {
        tracing::info!(frame, "a snapshot of the journal was taken");
    }
    if *payloads > 0 || *messages > 0 || *compacted != Compacted::default() {
        let Compacted { moved, segments, bytes } = compacted;
        tracing::info!(payloads, messages, moved, segments, bytes, "retention let expire and gave back");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::clock::ManualClock;
    use crate::store::apply;
    use crate::store::record::{Body, Content};
    use crate::store::tests::support::{accept_one, accepted, at, happen, id, open};

    #[test]
    fn a_clock_that_was_set_back_does_not_put_the_next_pass_off() {
        let at = |hour: i64| Timestamp::from_second(hour * 3600).unwrap();
        let mut passes = Passes { next: at(1000) };
        assert!(passes.is_due(at(1000)) && !passes.is_due(at(1005)));
        assert!(!passes.is_due(at(100)) && !passes.is_due(at(105)), "set back by weeks");
        assert!(passes.is_due(at(106)));
        assert!(!passes.is_due(at(111)) && passes.is_due(at(112)));
    }

    #[test]
    fn a_pass_that_failed_is_due_again_after_half_an_hour() {
        let at = |minute: i64| Timestamp::from_second(minute * 60).unwrap();
        let mut passes = Passes { next: at(0) };
        assert!(passes.is_due(at(0)));
        passes.failed(at(2));
        assert!(!passes.is_due(at(31)) && passes.is_due(at(32)));
        assert!(!passes.is_due(at(62)) && passes.is_due(at(392)), "the next one has not failed");
    }

    #[test]
    fn what_was_taken_out_of_a_payload_expires_with_it_and_what_travelled_stays() {
        let body = |number| Body { id: id(number), len: 9, sha256: None, crc32c: Some(0) };
        let (wire, payload, document) = (body(2), body(3), body(4));
        let mut fact = accepted("1@customs", wire, payload);
        if let Fact::Accepted { files, .. } = &mut fact {
            files[0].files[1].0 = ".envelope.xml".to_owned();
            files[0].files.push((String::new(), Content::Body(document)));
        }
        let mut message = apply(None, id(1), at(1), &fact).unwrap();
        for fact in [Fact::Staged { index: 0 }, Fact::Published { index: 0, name: "receipt.xml".to_owned() }] {
            message = apply(Some(message), id(1), at(2), &fact).unwrap();
        }
        let days = |days: u64| Duration::from_secs(days * 24 * 3600);
        let policy = RetentionPolicy { evidence: days(1000), payload: days(90) };
        let now = at(100 * 24 * 3600);
        let expiry = policy.expiry(&message, now).expect("its payload is due");
        let message = apply(Some(message), id(1), now, &expiry).unwrap();
        let kept: Vec<Id> = message.bodies().iter().map(|body| body.id).collect();
        assert_eq!(kept, [wire.id]);
        assert!(policy.expiry(&message, now).is_none());
    }

    #[test]
    fn what_was_recorded_long_after_it_was_claimed_keeps_nothing_behind_it_from_expiring() {
        let dir = tempfile::tempdir().unwrap();
        let (store, _) = open(dir.path());
        let days = |days: u64| Duration::from_secs(days * 24 * 3600);
        let day = 24 * 3600;
        let early = accept_one(&store, 2);
        happen(&store, early, 3, Fact::Staged { index: 0 }).unwrap();
        happen(&store, early, 4, Fact::Published { index: 0, name: "receipt.xml".to_owned() }).unwrap();
        // Its id is the earlier one.
        let mut late = Transaction::new(at(80 * day));
        let [wire, payload] = [b"late wire", b"late load"].map(|bytes| late.body(bytes.to_vec()));
        late.fact(id(1), accepted("1@customs", wire, payload));
        store.commit_blocking(late).unwrap();
        let policy = RetentionPolicy { evidence: days(1000), payload: days(90) };
        let clock = Arc::new(ManualClock::new(at(100 * day)));
        let kept = Keeper::new(store.clone(), policy, clock).pass(&|| false).unwrap();
        assert_eq!(kept.payloads, 1, "{kept:?}");
        assert!(store.message(&early).unwrap().payload_purged.is_some());
    }
}
