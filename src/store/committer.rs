//! Group commit: one thread, one `fdatasync` for everything that waits.
//!
//! ```text
//! take what waits (≤ 256 transactions, ≤ 8 MiB), and, under load, what comes within a moment (`pace`)
//!   → judge each against the index and those before it
//!   → append bodies and facts of the lawful ones      crash: torn tail, nobody was told
//!   → fdatasync                                       crash: durable, nobody was told, replayed at start
//!   → apply to the index                              crash: the same
//!   → answer everyone
//! ```
//!
//! A write that finds no room is taken back, and its whole group is refused with [`CommitError::NoSpace`]: also those
//! that were refused for what the group would have made true. Any other failure after judging stops the store: what
//! is durable is unknown, a second sync would lie, so nothing is acknowledged any more until it was opened again. The
//! cause says whether the journal failed or only the [index](super::index), which is rebuilt from it.

mod pace;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, broadcast, mpsc, oneshot, watch};
use tokio::time::Instant;

use self::pace::Pace;
use super::alert::Alerts;
use super::body;
use super::error::CommitError;
use super::figures::Counters;
use super::group::{Effects, FactsRecord, Group, Refusal};
use super::index::Index;
use super::journal::frame::{BODY_HEAD, MAX_PAYLOAD};
use super::journal::writer::{Unwritten, Writer};
use super::leaving::Leaving;
use super::record::{Fact, Message};
use super::trail::Following;
use super::transaction::{Moved, Transaction};
use crate::ground::drain;
use crate::ground::id::Id;

/// Transactions that may wait; more make their callers wait.
pub(super) const QUEUE: usize = 256;
/// Bytes that the facts of most transactions find room in.
const FACTS: usize = 4 * 1024;

/// A transaction became durable.
#[derive(Debug, Clone)]
pub struct Committed {
    /// Its place in the journal.
    pub sequence: u64,
    /// The messages it changed, as they are after it, in the order of their first facts.
    pub messages: Vec<Arc<Message>>,
}

/// The caller's answer.
pub(super) type Answer = Result<Committed, CommitError>;

/// A transaction on its way.
pub(super) struct Request {
    transaction: Transaction,
    facts: Vec<u8>,
    answer: oneshot::Sender<Answer>,
}

impl Request {
    /// Writes the facts out, on the caller's time.
    pub(super) fn new(transaction: Transaction) -> Result<(Request, oneshot::Receiver<Answer>), CommitError> {
        let limit = u64::try_from(MAX_PAYLOAD.saturating_sub(BODY_HEAD)).unwrap_or(u64::MAX);
        for (body, _) in &transaction.bodies {
            if body.len > limit {
                return Err(CommitError::TooLarge { len: body.len, limit });
            }
        }
        let record: FactsRecord<&[(Id, Fact)]> = FactsRecord {
            at: transaction.at,
            facts: &transaction.facts,
            link: transaction.link.clone(),
            change: transaction.change.clone(),
        };
        let mut facts: Vec<u8> = Vec::with_capacity(FACTS);
        serde_json::to_writer(&mut facts, &record).expect("facts are plain data with string keys");
        if facts.len() > MAX_PAYLOAD {
            let len = u64::try_from(facts.len()).unwrap_or(u64::MAX);
            return Err(CommitError::TooLarge { len, limit });
        }
        let (answer, answered) = oneshot::channel();
        Ok((Request { transaction, facts, answer }, answered))
    }

    fn len(&self) -> usize {
        let bodies = self.transaction.bodies.iter().map(|(_, bytes)| bytes.len());
        bodies.fold(self.facts.len(), usize::saturating_add)
    }
}

/// Why a store stopped acknowledging.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What failed.
    pub part: FailedPart,
    /// How.
    pub cause: String,
}

/// What of a store failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FailedPart {
    /// The index alone: opened again, the store rebuilds it from the journal, in the same process.
    Index,
    /// A write or sync of journal, bodies or exchange folders: what is durable is known to the next process only.
    Files,
}

impl Failure {
    pub(super) fn files(cause: impl ToString) -> Failure {
        Failure { part: FailedPart::Files, cause: cause.to_string() }
    }

    pub(super) fn index(cause: impl std::fmt::Display) -> Failure {
        Failure { part: FailedPart::Index, cause: format!("index: {cause}") }
    }
}

/// A group that was not committed.
enum Uncommitted {
    /// Taken back for want of room.
    NoSpace,
    /// Nothing more can be committed.
    Failed(Failure),
}

impl From<Failure> for Uncommitted {
    fn from(failure: Failure) -> Uncommitted {
        Uncommitted::Failed(failure)
    }
}

/// What the committer shares with everyone else.
#[derive(Debug)]
pub(super) struct Signals {
    /// Why the store stopped acknowledging, once it did.
    pub(super) poison: watch::Sender<Option<Failure>>,
    /// The last refusal for want of room, until there is room.
    pub(super) shortage: Mutex<Option<Shortage>>,
    /// Something may be due.
    pub(super) due: Arc<Notify>,
    /// Something may be published.
    pub(super) publications: Arc<Notify>,
    /// What was done.
    pub(super) counters: Counters,
    /// What people should know.
    pub(super) alerts: Alerts,
    /// Messages that have just been settled, files and all.
    pub(super) settled: broadcast::Sender<Arc<Message>>,
    /// What follows from the audit trail, and who follows the messages.
    pub(super) following: Following,
}

/// There was no room.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shortage {
    /// Bytes that were wanted.
    pub(super) wanted: u64,
    /// When.
    pub(super) at: Instant,
}

/// The thread's state.
pub(super) struct Committer {
    pub(super) writer: Writer,
    pub(super) index: Arc<Index>,
    pub(super) bodies: PathBuf,
    pub(super) leaving: Arc<Leaving>,
    pub(super) signals: Arc<Signals>,
}

impl Committer {
    /// Works until every sender is gone.
    pub(super) fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        let mut pace = Pace::new(drain::blocking_at_work);
        while let Some(group) = pace.next(&mut requests) {
            self.answer(group);
        }
        self.close();
    }

    /// The journal's file ends where the journal ends, unless something failed: the next start sees to it then.
    fn close(self) {
        if self.signals.poison.borrow().is_none()
            && let Err(error) = self.writer.close()
        {
            tracing::warn!(%error, "the journal keeps room that it does not need");
        }
    }

    fn answer(&mut self, group: Vec<Request>) {
        let mut work = InWork::default();
        let earlier = self.signals.poison.borrow().clone();
        let done = if let Some(failure) = earlier {
            work.waiting.extend(group.into_iter().map(|request| (request.answer, Err(CommitError::Closed))));
            Err(failure.into())
        } else {
            catch_unwind(AssertUnwindSafe(|| self.commit(group, &mut work)))
                .unwrap_or_else(|_| Err(Failure::files("the committing thread panicked").into()))
        };
        let instead = match done {
            Ok(()) => None,
            Err(Uncommitted::NoSpace) => Some(CommitError::NoSpace),
            Err(Uncommitted::Failed(failure)) => {
                // Its facts may be in the journal: the next start keeps or sweeps them.
                work.keep_files();
                Some(CommitError::StorePoisoned(self.signals.poison(failure)))
            }
        };
        // Bodies that nobody came to name are gone when the answer comes.
        drop(work.transactions);
        for (answer, verdict) in work.waiting {
            // The caller may have stopped waiting; the transaction is durable all the same.
            let _ = answer.send(instead.clone().map_or(verdict, Err));
        }
    }

    /// Commits a group. Refusals are answered with the rest, when what they were refused for is visible.
    fn commit(&mut self, requests: Vec<Request>, work: &mut InWork) -> Result<(), Uncommitted> {
        let index = self.index.clone();
        let mut group = Group::new(&index);
        let mut broken = None;
        let (mut transactions, mut facts_added, mut weight) = (0usize, 0usize, 0usize);
        for Request { transaction, facts, answer } in requests {
            let file_exists = |id: &Id| body::path(&self.bodies, id).is_file();
            let judged = match group.judge(&transaction, &file_exists) {
                Ok(judged) => judged,
                Err(Refusal::Commit(refusal)) => {
                    work.waiting.push((answer, Err(refusal)));
                    continue;
                }
                Err(Refusal::Index(error)) => {
                    work.waiting.push((answer, Err(CommitError::Closed)));
                    broken.get_or_insert(error);
                    continue;
                }
            };
            for (body, bytes) in &transaction.bodies {
                group.place_body(body.id, self.writer.add_body(body, bytes));
            }
            for Moved { body, bytes, from } in &transaction.moved {
                match group.location(&body.id) {
                    Ok(Some(found)) if found == *from => {
                        group.place_body(body.id, self.writer.add_body(body, bytes));
                    }
                    Ok(_) => {}
                    Err(error) => broken = broken.or(Some(error)),
                }
            }
            let sequence =
                if transaction.says_nothing() { self.writer.last().sequence } else { self.writer.add_facts(&facts) };
            transaction.link.clone().into_iter().for_each(|link| group.link(link));
            let messages = group.accept(judged, sequence);
            transactions = transactions.saturating_add(1);
            facts_added = facts_added.saturating_add(transaction.facts.len());
            weight = weight.saturating_add(facts.len());
            work.waiting.push((answer, Ok(Committed { sequence, messages })));
            work.transactions.push(transaction);
        }
        if let Some(error) = broken {
            return Err(Failure::index(error).into());
        }
        if self.writer.group_len() > 0 {
            let bytes = self.writer.group_len();
            self.write_group()?;
            self.signals.counters.group(transactions, facts_added, bytes, self.writer.last_sync());
            let last = self.writer.last();
            let applied = group.finish(last.sequence).and_then(|(changes, effects)| {
                index.note(changes, last, weight)?;
                Ok(effects)
            });
            let effects = applied.map_err(Failure::index)?;
            self.leaving.remove(&effects.files);
            self.signals.notify(&effects);
            work.count(&self.signals);
            effects.trail.iter().for_each(|entry| self.signals.following.follow(entry));
            self.signals.following.announce(effects.changed);
            self.signals.alerts.announce(effects.raised);
        }
        work.keep_files();
        Ok(())
    }

    fn write_group(&mut self) -> Result<(), Uncommitted> {
        let wanted = u64::try_from(self.writer.group_len()).unwrap_or(u64::MAX);
        match self.writer.commit_group() {
            Ok(()) => {
                self.signals.has_room();
                Ok(())
            }
            Err(Unwritten::NoSpace(error)) => {
                self.signals.no_room(wanted, &error);
                Err(Uncommitted::NoSpace)
            }
            Err(Unwritten::Unknown(error)) => Err(Failure::files(error).into()),
        }
    }
}

/// A group between judging and answering.
#[derive(Default)]
struct InWork {
    waiting: Vec<(oneshot::Sender<Answer>, Answer)>,
    transactions: Vec<Transaction>,
}

impl InWork {
    /// What is durable counts. Only lawful transactions were kept, in the order of their answers.
    fn count(&self, signals: &Signals) {
        let lawful = self.waiting.iter().filter_map(|(_, answer)| answer.as_ref().ok());
        for (transaction, committed) in self.transactions.iter().zip(lawful) {
            signals.counters.figures.messages.note(transaction.at, &transaction.facts, &committed.messages);
            if signals.settled.receiver_count() > 0 {
                let settled = committed.messages.iter().filter(|message| message.is_settled_by(&transaction.facts));
                settled.for_each(|message| drop(signals.settled.send(message.clone())));
            }
        }
    }

    /// The large bodies of these transactions have facts; those of the others go with them.
    fn keep_files(&self) {
        self.transactions.iter().for_each(Transaction::keep_files);
    }
}

impl Signals {
    fn notify(&self, effects: &Effects) {
        if effects.due {
            self.due.notify_one();
        }
        if effects.publications {
            self.publications.notify_one();
        }
    }

    fn no_room(&self, wanted: u64, error: &std::io::Error) {
        let mut shortage = self.shortage.lock().unwrap_or_else(PoisonError::into_inner);
        if shortage.is_none() {
            tracing::error!(%error, code = "disk-full", "no room for the journal: nothing is accepted or sent until there is; make room");
        }
        *shortage = Some(Shortage { wanted, at: Instant::now() });
    }

    fn has_room(&self) {
        if self.shortage.lock().unwrap_or_else(PoisonError::into_inner).take().is_some() {
            tracing::info!("there is room for the journal again");
        }
    }

    /// Stops all acknowledging for good. The first cause is kept and returned; a failure of files stands over one of
    /// the index.
    pub(super) fn poison(&self, failure: Failure) -> String {
        let mut first = failure.cause.clone();
        self.poison.send_modify(|poison| match poison {
            Some(earlier) if earlier.part >= failure.part => first.clone_from(&earlier.cause),
            _ => {
                tracing::error!(cause = %first, part = ?failure.part, "the store stopped acknowledging");
                *poison = Some(failure);
            }
        });
        first
    }
}
