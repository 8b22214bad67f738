//! Group commit: one thread, one `fdatasync` for everything that waits.
//!
//! ```text
//! take what waits (≤ 256 transactions, ≤ 8 MiB)
//!   → judge each against the index and those before it
//!   → append bodies and facts of the lawful ones      crash: torn tail, nobody was told
//!   → fdatasync                                       crash: durable, nobody was told, replayed at start
//!   → apply to the index                              crash: the same
//!   → answer everyone
//! ```
//!
//! The first failure after judging poisons the store: what is durable is unknown, a second sync would lie, so nothing
//! is acknowledged any more until the process has started again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{Notify, mpsc, oneshot, watch};

use super::body;
use super::error::CommitError;
use super::figures::Counters;
use super::group::{FactsRecord, Group, Refusal};
use super::index::Index;
use super::journal::frame::{BODY_HEAD, MAX_PAYLOAD};
use super::journal::writer::Writer;
use super::record::{Fact, Message};
use super::transaction::{Moved, Transaction};
use crate::ground::id::Id;

/// Transactions that may wait; more make their callers wait.
pub(super) const QUEUE: usize = 256;
/// Transactions of one group.
const GROUP: usize = 256;
/// Bytes of one group beyond which no further transaction joins it.
const GROUP_BYTES: usize = 8 * 1024 * 1024;

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
        let record: FactsRecord<&[(Id, Fact)]> =
            FactsRecord { at: transaction.at, facts: &transaction.facts, link: transaction.link.clone() };
        let facts = serde_json::to_vec(&record).expect("facts are plain data with string keys");
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

/// What the committer shares with everyone else.
#[derive(Debug)]
pub(super) struct Signals {
    /// Why the store stopped acknowledging, once it did.
    pub(super) poison: watch::Sender<Option<String>>,
    /// Something may be due.
    pub(super) due: Arc<Notify>,
    /// Something may be published.
    pub(super) publications: Arc<Notify>,
    /// What was done.
    pub(super) counters: Counters,
}

/// The thread's state.
pub(super) struct Committer {
    pub(super) writer: Writer,
    pub(super) index: Arc<Index>,
    pub(super) bodies: PathBuf,
    pub(super) signals: Arc<Signals>,
}

impl Committer {
    /// Works until every sender is gone.
    pub(super) fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        while let Some(first) = requests.blocking_recv() {
            let mut bytes = first.len();
            let mut group = vec![first];
            while group.len() < GROUP && bytes < GROUP_BYTES {
                let Ok(next) = requests.try_recv() else { break };
                bytes = bytes.saturating_add(next.len());
                group.push(next);
            }
            self.answer(group);
        }
    }

    fn answer(&mut self, group: Vec<Request>) {
        let mut waiting = Vec::with_capacity(group.len());
        let done = if self.signals.poison.borrow().is_some() {
            waiting.extend(group.into_iter().map(|request| (request.answer, Err(CommitError::Closed))));
            Err(String::new())
        } else {
            catch_unwind(AssertUnwindSafe(|| self.commit(group, &mut waiting)))
                .unwrap_or_else(|_| Err("the committing thread panicked".to_owned()))
        };
        let cause = done.err().map(|cause| self.poison(cause));
        for (answer, verdict) in waiting {
            let verdict = match &cause {
                Some(cause) => Err(CommitError::StorePoisoned(cause.clone())),
                None => verdict,
            };
            // The caller may have stopped waiting; the transaction is durable all the same.
            let _ = answer.send(verdict);
        }
    }

    /// Commits a group. Refusals are answered with the rest, when what they were refused for is visible.
    fn commit(
        &mut self,
        requests: Vec<Request>,
        waiting: &mut Vec<(oneshot::Sender<Answer>, Answer)>,
    ) -> Result<(), String> {
        let index = self.index.clone();
        let mut group = Group::new(&index);
        let mut broken = None;
        let (mut transactions, mut facts_added) = (0usize, 0usize);
        for Request { transaction, facts, answer } in requests {
            let file_exists = |id: &Id| body::path(&self.bodies, id).is_file();
            let judged = match group.judge(&transaction, &file_exists) {
                Ok(judged) => judged,
                Err(Refusal::Commit(refusal)) => {
                    waiting.push((answer, Err(refusal)));
                    continue;
                }
                Err(Refusal::Index(error)) => {
                    waiting.push((answer, Err(CommitError::Closed)));
                    broken.get_or_insert(error.to_string());
                    continue;
                }
            };
            transaction.keep_files();
            for (body, bytes) in &transaction.bodies {
                group.place_body(body.id, self.writer.add_body(body, bytes));
            }
            for Moved { body, bytes, from } in &transaction.moved {
                match group.location(&body.id) {
                    Ok(Some(found)) if found == *from => {
                        group.replace_body(body.id, self.writer.add_body(body, bytes));
                    }
                    Ok(_) => {}
                    Err(error) => broken = broken.or(Some(error.to_string())),
                }
            }
            let says_nothing = transaction.facts.is_empty() && transaction.link.is_none();
            transaction.link.into_iter().for_each(|link| group.link(link));
            let messages = group.accept(judged);
            let sequence = if says_nothing { self.writer.last().sequence } else { self.writer.add_facts(&facts) };
            transactions = transactions.saturating_add(1);
            facts_added = facts_added.saturating_add(transaction.facts.len());
            waiting.push((answer, Ok(Committed { sequence, messages })));
        }
        if let Some(error) = broken {
            return Err(error);
        }
        if self.writer.group_len() == 0 {
            return Ok(());
        }
        let bytes = self.writer.group_len();
        self.writer.commit_group().map_err(|error| error.to_string())?;
        self.signals.counters.group(transactions, facts_added, bytes);
        let last = self.writer.last();
        let (changes, effects) = group.finish(last.sequence).map_err(|error| error.to_string())?;
        index.apply(changes, last).map_err(|error| error.to_string())?;
        self.remove_files(&effects.files);
        if effects.due {
            self.signals.due.notify_one();
        }
        if effects.publications {
            self.signals.publications.notify_one();
        }
        Ok(())
    }

    /// Removes files of bodies that are no longer kept; what stays behind is swept at the next start.
    fn remove_files(&self, files: &[Id]) {
        for id in files {
            if let Err(error) = std::fs::remove_file(body::path(&self.bodies, id)) {
                tracing::warn!(%id, %error, "an expired body could not be removed before the next start");
            }
        }
    }

    /// Notes the first cause; returns it.
    fn poison(&self, cause: String) -> String {
        self.signals.poison(cause)
    }
}

impl Signals {
    /// Stops all acknowledging for good. The first cause is kept and returned.
    pub(super) fn poison(&self, cause: String) -> String {
        let mut first = cause;
        self.poison.send_modify(|poison| match poison {
            Some(earlier) => first.clone_from(earlier),
            None => {
                tracing::error!(cause = %first, "the store stopped acknowledging; restart the gateway");
                *poison = Some(first.clone());
            }
        });
        first
    }
}
