//! What a caller asks the store to make durable, all or nothing.

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::body::Finished;
use super::index::Location;
use super::journal::retired::Link;
use super::record::{Body, Fact, State};
use super::trail::Change;
use crate::ground::id::Id;

/// Bodies and facts that become durable together, if every precondition holds.
///
/// A fact must not name bytes that the store does not have: its bodies are in this transaction, in an earlier one,
/// or were [finished](super::BodyWriter::finish) as files.
#[derive(Debug)]
pub struct Transaction {
    pub(super) at: Timestamp,
    pub(super) bodies: Vec<(Body, Vec<u8>)>,
    /// Files that are removed again unless this is committed.
    pub(super) finished: Vec<Finished>,
    pub(super) facts: Vec<(Id, Fact)>,
    pub(super) preconditions: Vec<Precondition>,
    /// Bodies that are in the journal, to be appended anew if they are still where they were.
    pub(super) moved: Vec<Moved>,
    /// What the journal says of itself.
    pub(super) link: Option<Link>,
    /// A change for the audit trail.
    pub(super) change: Option<Change>,
}

/// A body on its way to the end of the journal.
#[derive(Debug)]
pub(super) struct Moved {
    pub(super) body: Body,
    pub(super) bytes: Vec<u8>,
    /// Where it was read.
    pub(super) from: Location,
}

/// What must be true at the moment of the commit, judged after every transaction before this one. That nobody has claimed the
/// key of a message follows from its `Accepted`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Precondition {
    /// The message is in one of these states.
    StateIs(Id, Vec<State>),
    /// The store does not know the message.
    Absent(Id),
}

impl Transaction {
    /// An empty transaction whose facts happen at `at`.
    pub fn new(at: Timestamp) -> Transaction {
        Transaction {
            at,
            bodies: Vec::new(),
            finished: Vec::new(),
            facts: Vec::new(),
            preconditions: Vec::new(),
            moved: Vec::new(),
            link: None,
            change: None,
        }
    }

    /// When its facts happen.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// Adds bytes to be kept in the journal: at most what a frame holds, some 64 MiB, else the commit is refused. What
    /// may be large is written through a [`Sink`](super::draft::Sink).
    pub fn body(&mut self, bytes: Vec<u8>) -> Body {
        let sha256 = Sha256::digest(&bytes).into();
        self.digested(bytes, sha256)
    }

    /// [`body`](Transaction::body) with the SHA-256 of the bytes.
    pub(super) fn digested(&mut self, bytes: Vec<u8>, sha256: [u8; 32]) -> Body {
        let len = u64::try_from(bytes.len()).expect("a buffer in memory is shorter than 2^64 bytes");
        let crc32c = Some(crc32c::crc32c(&bytes));
        let body = Body { id: Id::new(self.at), len, sha256: Some(sha256), crc32c };
        self.bodies.push((body, bytes));
        body
    }

    /// Adds a body that is a file.
    pub(super) fn finished(&mut self, file: Finished) -> Body {
        let body = *file.body();
        self.finished.push(file);
        body
    }

    /// Whether it adds these bytes to the journal. Their id was made for them, so nobody can have named it before.
    pub(super) fn adds(&self, body: &Id) -> bool {
        self.bodies.iter().any(|(added, _)| added.id == *body)
    }

    /// Whether it needs no frame of facts.
    pub(super) fn says_nothing(&self) -> bool {
        self.facts.is_empty() && self.link.is_none() && self.change.is_none()
    }

    /// From here on the transaction may be durable: the files that its facts name stay.
    pub(super) fn keep_files(&self) {
        for file in &self.finished {
            let named = |fact: &Fact| fact.bodies().iter().any(|body| body.id == file.body().id);
            if self.facts.iter().any(|(_, fact)| named(fact)) {
                file.keep();
            }
        }
    }

    /// Adds a fact about a message.
    pub fn fact(&mut self, id: Id, fact: Fact) -> &mut Transaction {
        self.facts.push((id, fact));
        self
    }

    /// Lets go of added bytes that none of the facts added so far names.
    pub fn keep_named_bodies(&mut self) {
        let named: Vec<Id> = self.facts.iter().flat_map(|(_, fact)| fact.bodies()).map(|body| body.id).collect();
        self.bodies.retain(|(body, _)| named.contains(&body.id));
    }

    /// Sets the change for the audit trail that the transaction is, or that its facts carry out.
    pub fn change(&mut self, change: Change) -> &mut Transaction {
        self.change = Some(change);
        self
    }

    /// Adds a precondition.
    pub fn require(&mut self, precondition: Precondition) -> &mut Transaction {
        self.preconditions.push(precondition);
        self
    }
}
