//! Durable state: what happened to every message, and the bytes it happened to.
//!
//! The [`journal`] is the truth: append-only, checked, synced before anyone is told. The
//! [`index`] is a view of it in sled, so that questions are quick; it is never waited for, compared with
//! the journal at every start, and rebuilt when it does not agree. Above this module nobody knows either: callers
//! [commit](Store::commit) facts and ask for [`Message`]s.
//!
//! ```text
//! data_dir/ lock                            one process at a time
//!           journal/00000000000000000001.log   facts and small bodies
//!           journal/…4711.snapshot          the view up to a frame, see snapshot
//!           bodies/<id>                     large bodies, one file each
//!           certificates/<fingerprint>.der  certificates that were used, for evidence
//!           tmp/                            bodies in the making
//!           partial/                        what came of bodies whose connection broke off
//!           index/                          sled
//!           index.bad-<instant>/            an index that was replaced
//!           reserve                         room that a start on a full disk gives up
//! ```
//!
//! | power fails after | on disk | restart does | test |
//! |---|---|---|---|
//! | a large body was finished, before its fact | file without fact | sweeps it | `a_body_that_no_fact_names_is_swept` |
//! | part of a group was appended | torn tail | cuts it off | `a_tail_torn_at_any_byte_is_cut_off` |
//! | part of a group: bodies whole, their facts cut off | bodies that no fact names | passes over them | `bodies_whose_facts_were_cut_off_are_not_kept` |
//! | all of it, before the sync returned | whole frames or a torn tail | keeps, writes again and syncs, or cuts; nobody was told | `a_copy_cut_anywhere_opens_with_a_prefix` |
//! | the sync returned, before the index | journal ahead | adds the missing frames | `an_index_that_is_behind_is_caught_up` |
//! | the index was written in part | sled behind or broken | catches up or rebuilds | `a_broken_index_is_rebuilt_equal` |
//! | a sync failed | unknown | the process has ended; as after all of it, though only the page cache may have it | `after_a_failed_write_nothing_is_acknowledged`, `a_group_whose_sync_failed_or_never_came_is_on_the_disk_before_anyone_acts_on_it` |
//! | an append found no room | the journal as before it | nobody was told; it was cut back while running | `without_room_a_commit_is_refused_and_the_journal_goes_on_where_it_was` |
//! | a new segment was begun | empty segment | goes on in it | `segments_follow_each_other` |

pub mod alert;
mod apply;
mod aside;
mod backlog;
pub mod backup;
mod body;
mod business;
mod certificates;
mod committer;
mod compaction;
mod config;
mod db;
mod declared;
pub mod draft;
mod error;
pub mod exchange;
mod fact;
mod failing;
mod figures;
pub mod frames;
mod group;
mod index;
mod journal;
mod keeping;
mod leaving;
pub mod partial;
mod platform;
pub mod publisher;
mod query;
mod queue;
mod recent;
pub mod record;
mod recovery;
mod replay;
pub mod restore;
pub mod retention;
mod scratch;
mod snapshot;
pub mod trail;
mod transaction;
mod verify;

use std::io;
use std::sync::mpsc as std_mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use jiff::Timestamp;
use tokio::sync::{Notify, broadcast, mpsc, oneshot, watch};

pub use self::alert::{Alerts, Raised};
pub use self::apply::{BadTransition, TIMELINE_LINES, apply};
pub use self::aside::RESTORED;
pub use self::backlog::{Backlog, OPEN};
pub use self::body::{BodyWriter, StoredBody};
pub use self::committer::{Committed, FailedPart, Failure};
pub use self::compaction::{Compacted, KeepError};
pub use self::config::StoreConfig;
pub use self::declared::{Declared, DeclaredFilter, DeclaredPage, Place};
pub use self::error::{CommitError, Conflict, StoreError};
pub use self::figures::{JournalFigures, MessageFigures, StoreFigures};
pub use self::journal::reader::TornTail;
pub use self::query::{Counts, Filter, MessagePage, PartnerQueue, PendingPublication};
pub use self::queue::Lease;
pub use self::record::{
    Body, CertificateRole, CertificateUse, Content, ContentKey, DeclarationSummary, DedupKey, Direction, Event,
    Evidence, EvidenceStep, Fact, Folder, JobKind, LegalHold, Message, PayloadPurge, Publication, PublicationStage,
    Reason, Receipt, State, Term,
};
pub use self::recovery::{IndexRecovery, Progress, RecoveryReport};
pub use self::scratch::StoreScratch;
pub use self::transaction::{Precondition, Transaction};
pub use self::verify::JournalReport;

use self::certificates::Certificates;
use self::committer::{Answer, Committer, Request, Signals};
use self::index::{Index, View};
use self::journal::segment::DiskSegments;
use self::journal::writer::{SegmentFiles, Writer};
use self::leaving::Leaving;
use self::queue::Leases;
use self::recovery::Layout;
use crate::ground::drain;
use crate::ground::durable::{self, DirLock};
use crate::ground::id::Id;

/// The durable state of a gateway. Clones share it.
#[derive(Debug, Clone)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: StoreConfig,
    layout: Layout,
    index: Arc<Index>,
    leases: Arc<Leases>,
    certificates: Certificates,
    leaving: Arc<Leaving>,
    partials: partial::Partials,
    signals: Arc<Signals>,
    requests: Mutex<Option<mpsc::Sender<Request>>>,
    threads: Mutex<Option<Threads>>,
    /// Held by whoever takes a snapshot or compacts.
    keeping: Mutex<()>,
    lock: Mutex<Option<DirLock>>,
}

/// The store's threads; both end when `requests` and `flusher_stop` are dropped.
#[derive(Debug)]
struct Threads {
    committer: JoinHandle<()>,
    flusher: JoinHandle<()>,
    flusher_stop: std_mpsc::Sender<()>,
}

impl Store {
    /// Opens a data directory, or begins it: takes the lock, reads the journal, and makes the index agree with it.
    ///
    /// # Errors
    /// Another process has the directory; the filesystem cannot be trusted; the journal is damaged. Nothing was
    /// changed then that is not repaired by opening again.
    pub fn open(config: StoreConfig) -> Result<(Store, RecoveryReport), StoreError> {
        Store::open_with(config, &|_| {})
    }

    /// [`open`](Store::open), telling how far a catch-up or rebuild of the index has come.
    ///
    /// # Errors
    /// As [`open`](Store::open).
    pub fn open_with(config: StoreConfig, progress: &dyn Fn(Progress)) -> Result<(Store, RecoveryReport), StoreError> {
        let dir = Layout::new(&config.data_dir).journal;
        Store::open_on(config, Box::new(DiskSegments { dir }), progress)
    }

    fn open_on(
        config: StoreConfig,
        mut files: Box<dyn SegmentFiles>,
        progress: &dyn Fn(Progress),
    ) -> Result<(Store, RecoveryReport), StoreError> {
        let layout = Layout::new(&config.data_dir);
        for dir in [&config.data_dir, &layout.journal, &layout.bodies, &layout.temporary, &layout.partial] {
            durable::create_dir_all(dir)?;
        }
        let lock = DirLock::acquire(&config.data_dir)?;
        let kind = durable::filesystem_kind(&config.data_dir)?;
        if !kind.is_trusted() && !config.allow_untrusted_filesystem {
            return Err(StoreError::UntrustedFilesystem { path: config.data_dir.clone(), kind });
        }
        durable::probe(&layout.temporary)?;
        restore::finish(&config.data_dir);
        let (index, reading, report) = recovery::recover(&config, &layout, files.as_mut(), progress)?;
        let writer = Writer::open(files, reading.tail, config.segment_bytes)
            .map_err(|source| StoreError::Unreadable { path: layout.journal.clone(), source })?;
        let due = Arc::new(Notify::new());
        let counters = figures::Counters::default();
        let alerts = Alerts::new(counters.figures.messages.clone());
        let signals = Arc::new(Signals {
            poison: watch::Sender::new(None),
            shortage: Mutex::new(None),
            due: due.clone(),
            publications: Arc::new(Notify::new()),
            counters,
            alerts,
            settled: broadcast::Sender::new(figures::SETTLED),
            following: trail::Following::new(&index).map_err(|error| recovery::index_error(&layout, &error))?,
        });
        let (requests, receiver) = mpsc::channel(committer::QUEUE);
        let leaving = Arc::new(Leaving::new(layout.bodies.clone()));
        let committer = Committer {
            writer,
            index: index.clone(),
            bodies: layout.bodies.clone(),
            leaving: leaving.clone(),
            signals: signals.clone(),
        };
        let threads = start(committer, receiver, &config)
            .map_err(|source| StoreError::Unreadable { path: config.data_dir.clone(), source })?;
        let inner = Inner {
            leases: Arc::new(Leases::new(due)),
            certificates: Certificates::new(&layout.certificates),
            leaving,
            partials: partial::Partials::new(&layout.partial, layout.body_names.clone()),
            config,
            layout,
            index,
            signals,
            requests: Mutex::new(Some(requests)),
            threads: Mutex::new(Some(threads)),
            keeping: Mutex::new(()),
            lock: Mutex::new(Some(lock)),
        };
        Ok((Store(Arc::new(inner)), report))
    }

    /// Makes a transaction durable. Resolves when its `fdatasync` has returned and the index shows it; many
    /// transactions share one sync. Dropping the future does not take the transaction back.
    ///
    /// # Errors
    /// [`CommitError::Conflict`] when a precondition does not hold or a fact is not lawful: nothing was written.
    /// [`CommitError::StorePoisoned`] when a write failed: the outcome is known after a restart.
    pub async fn commit(&self, transaction: Transaction) -> Result<Committed, CommitError> {
        let (sender, request, answered) = self.request(transaction)?;
        sender.send(request).await.map_err(|_| CommitError::Closed)?;
        drop(sender);
        self.verdict(answered.await)
    }

    /// [`commit`](Store::commit) for threads outside the async runtime.
    ///
    /// # Errors
    /// As [`commit`](Store::commit).
    ///
    /// # Panics
    /// Inside an async task.
    pub fn commit_blocking(&self, transaction: Transaction) -> Result<Committed, CommitError> {
        let (sender, request, answered) = self.request(transaction)?;
        sender.blocking_send(request).map_err(|_| CommitError::Closed)?;
        drop(sender);
        self.verdict(answered.blocking_recv())
    }

    fn request(
        &self,
        transaction: Transaction,
    ) -> Result<(mpsc::Sender<Request>, Request, oneshot::Receiver<Answer>), CommitError> {
        if let Some(cause) = self.poisoned() {
            return Err(CommitError::StorePoisoned(cause));
        }
        let sender = self.0.requests.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let sender = sender.ok_or(CommitError::Closed)?;
        let (request, answered) = Request::new(transaction)?;
        Ok((sender, request, answered))
    }

    /// An answer that never came means that the thread died in the middle.
    fn verdict(&self, answer: Result<Answer, oneshot::error::RecvError>) -> Answer {
        answer.unwrap_or_else(|_| {
            Err(CommitError::StorePoisoned(self.0.signals.poison(Failure::files("the committing thread ended"))))
        })
    }

    /// Bytes up to which a body of unknown length is kept in the journal by a [`Sink`](draft::Sink).
    pub fn inline_threshold(&self) -> usize {
        self.0.config.inline_threshold
    }

    /// Begins a body of any size, written as a stream (blocking I/O).
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn body_writer(&self) -> io::Result<BodyWriter> {
        BodyWriter::new(&self.0.layout.temporary, &self.0.layout.body_names, Id::new(self.0.config.clock.now()))
    }

    /// What came so far of bodies whose connection broke off.
    pub fn partials(&self) -> &partial::Partials {
        &self.0.partials
    }

    /// Room for intermediate results beside the bodies; they vanish when dropped, or at the next start.
    pub fn scratch(&self) -> StoreScratch {
        StoreScratch { dir: self.0.layout.temporary.clone(), in_memory: self.0.config.inline_threshold }
    }

    /// A message.
    pub fn message(&self, id: &Id) -> Option<Message> {
        self.shared(id).map(Arc::unwrap_or_clone)
    }

    fn shared(&self, id: &Id) -> Option<Arc<Message>> {
        self.ask(self.0.index.message(id)).flatten().map(|indexed| indexed.message)
    }

    /// The message that claimed a dedup key by being accepted.
    pub fn by_dedup_key(&self, key: &DedupKey) -> Option<Message> {
        self.ask(self.0.index.claimant(key)).flatten().and_then(|id| self.message(&id))
    }

    /// The message that we sent a partner under this Message-ID, with or without brackets. What the partner sends
    /// under the same one cannot hide it; that is found by [`messages`](Store::messages).
    pub fn by_message_id(&self, partner: &str, message_id: &str) -> Option<Message> {
        let found = self.ask(self.0.index.by_message_id(Direction::Outbound, partner, message_id));
        found.flatten().and_then(|id| self.message(&id))
    }

    /// The record that a partner's message, or its MDN about no message of ours, left under this Message-ID.
    pub fn received_under(&self, partner: &str, message_id: &str) -> Option<Message> {
        let found = self.ask(self.0.index.by_message_id(Direction::Inbound, partner, message_id));
        found.flatten().and_then(|id| self.message(&id))
    }

    /// Conditions of the gateway, and the stream of every alert.
    pub fn alerts(&self) -> &Alerts {
        &self.0.signals.alerts
    }

    /// Messages with open alerts, newest first, older than `before`, at most `limit`.
    pub fn alerting(&self, before: Option<Id>, limit: usize) -> Vec<Message> {
        let ids = self.0.index.latest_first(&View::Alerting, before).map_while(|id| self.ask(id));
        ids.filter_map(|id| self.message(&id)).take(limit).collect()
    }

    /// Accepted messages whose asynchronous MDN is [owed](Message::owes_mdn), newest first.
    pub fn owing(&self) -> Vec<Message> {
        let ids = self.0.index.latest_first(&View::Owing, None).map_while(|id| self.ask(id));
        // An index made by an earlier program lists some that ask for none.
        ids.filter_map(|id| self.message(&id)).filter(Message::owes_mdn).collect()
    }

    /// How many messages there are.
    pub fn counts(&self) -> Counts {
        Counts { by_state: self.0.index.states() }
    }

    /// Leases at most `max` outbound messages that are due at `now`: waiting for composing or for an attempt, cut off
    /// in an attempt by a crash, or past the deadline of their receipt. For each partner at most as many as
    /// `free_slots` says, which takes the leases still held into account. Partners take turns. A poisoned store leases
    /// nothing: no attempt could be recorded.
    pub fn lease_due(&self, now: Timestamp, max: usize, free_slots: &dyn Fn(&str) -> usize) -> Vec<Lease> {
        if self.is_poisoned() || self.is_full() {
            return Vec::new();
        }
        self.ask(self.0.leases.lease_due(&self.0.index, now, max, free_slots)).unwrap_or_default()
    }

    /// The earliest instant, later than what [`lease_due`](Store::lease_due) was asked about last, at which a message
    /// becomes due. What was due before and found no slot waits for [`due_changed`](Store::due_changed). None once the
    /// store is poisoned.
    pub fn next_due(&self) -> Option<Timestamp> {
        if self.is_poisoned() {
            return None;
        }
        if self.is_full() {
            return self.0.config.clock.now().checked_add(failing::SHORTAGE).ok();
        }
        self.ask(self.0.leases.next_due(&self.0.index)).flatten()
    }

    /// Resolves when something may have become due earlier than known, or a lease was given back, since the last
    /// call. For one waiter.
    pub async fn due_changed(&self) {
        self.0.signals.due.notified().await;
    }

    /// Lets who waits for [`due_changed`](Store::due_changed) look again: what may be sent to whom has changed.
    pub fn wake_due(&self) {
        self.0.signals.due.notify_one();
    }

    /// Notified when there may be publications to do.
    pub fn wake_publications(&self) -> Arc<Notify> {
        self.0.signals.publications.clone()
    }

    /// Publications that are not done, oldest message first, at most `limit`.
    pub fn pending_publications(&self, limit: usize) -> Vec<PendingPublication> {
        self.pending_publications_but(limit, &|_, _| false)
    }

    /// [`pending_publications`](Store::pending_publications) without those that `skip` names by message and index.
    pub(crate) fn pending_publications_but(
        &self,
        limit: usize,
        skip: &dyn Fn(Id, u32) -> bool,
    ) -> Vec<PendingPublication> {
        let entries = self.0.index.unpublished().map_while(|entry| self.ask(entry));
        let wanted = entries.filter(|(id, index)| !skip(*id, *index));
        wanted.filter_map(|(id, index)| PendingPublication::of(self.shared(&id)?.as_ref(), index)).take(limit).collect()
    }

    /// Commits what waits, stops acknowledging, flushes the index. Later commits are refused.
    pub async fn close(&self) {
        let inner = self.0.clone();
        // It only joins threads that end by themselves; a panic in there was logged by its thread.
        let _ = drain::blocking(move || inner.stop()).await;
    }

    /// [`close`](Store::close) for threads outside the async runtime.
    fn stop_blocking(&self) {
        self.0.stop();
    }
}

impl Inner {
    /// Ends the threads and flushes the index; the second time it does nothing.
    fn stop(&self) {
        drop(self.requests.lock().unwrap_or_else(PoisonError::into_inner).take());
        let Some(threads) = self.threads.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        drop(threads.flusher_stop);
        for thread in [threads.committer, threads.flusher] {
            if thread.join().is_err() {
                tracing::error!("a thread of the store panicked");
            }
        }
        let failed = self.signals.poison.borrow().as_ref().map(|failure| failure.part);
        if failed == Some(FailedPart::Index) {
            // Whoever still holds this store may write into it even now, so its successor gets a folder of its own.
            if let Err(error) = recovery::put_aside(&self.layout.index, self.config.clock.now()) {
                tracing::warn!(%error, "the failed index could not be put aside; the next start tries again");
            }
        } else if let Err(error) = self.index.flush() {
            tracing::warn!(%error, "the index could not be flushed; the next start catches up");
        }
        drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Starts the committing thread and the one that flushes the index now and then.
fn start(committer: Committer, requests: mpsc::Receiver<Request>, config: &StoreConfig) -> io::Result<Threads> {
    let (index, signals) = (committer.index.clone(), committer.signals.clone());
    let every = config.index_flush_every;
    let (flusher_stop, stopped) = std_mpsc::channel::<()>();
    let committer = std::thread::Builder::new().name("journal".to_owned()).spawn(move || committer.run(requests))?;
    let flusher = std::thread::Builder::new().name("index-flush".to_owned()).spawn(move || {
        let mut flushed = index.applied().sequence;
        while let Err(std_mpsc::RecvTimeoutError::Timeout) = stopped.recv_timeout(every) {
            let applied = index.applied().sequence;
            if applied == flushed {
                continue;
            }
            if let Err(error) = index.flush() {
                signals.poison(Failure::index(error));
            }
            flushed = applied;
        }
    })?;
    Ok(Threads { committer, flusher, flusher_stop })
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests damage files on purpose")]
mod tests;
