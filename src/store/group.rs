//! What a group of transactions adds to the index before the index has it: each transaction is judged against the
//! index and everything judged before it in the same group.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::apply::apply;
use super::db::{Bytes, DbError};
use super::error::{CommitError, Conflict};
use super::index::{Changes, Index, Location};
use super::record::{DedupKey, Fact, Message};
use super::transaction::{Precondition, Transaction};
use crate::ground::id::Id;

/// The facts of one transaction, as the journal keeps them.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct FactsRecord<F> {
    /// When they happened.
    pub(super) at: Timestamp,
    /// In order.
    pub(super) facts: F,
}

/// A group in the making.
pub(super) struct Group<'a> {
    index: &'a Index,
    messages: HashMap<Id, Touched>,
    keys: HashMap<DedupKey, Id>,
    bodies: HashMap<Id, Location>,
}

/// A message as the index has it, with the bytes it is there; none when the index does not have it.
type Stored = Option<(Message, Bytes)>;

/// A message that the group changes.
struct Touched {
    /// As the index has it.
    before: Stored,
    /// As the group leaves it.
    after: Arc<Message>,
}

/// A lawful transaction, not yet part of the group.
#[derive(Default)]
pub(super) struct Judged {
    messages: Vec<(Id, Touched)>,
    keys: Vec<(DedupKey, Id)>,
    bodies: Vec<(Id, Location)>,
}

/// Why a transaction is not lawful, or that it cannot be told.
#[derive(Debug)]
pub(super) enum Refusal {
    Commit(CommitError),
    Index(DbError),
}

impl<E: Into<CommitError>> From<E> for Refusal {
    fn from(error: E) -> Refusal {
        Refusal::Commit(error.into())
    }
}

impl From<DbError> for Refusal {
    fn from(error: DbError) -> Refusal {
        Refusal::Index(error)
    }
}

/// What others may want to know about an applied group.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Effects {
    /// Some message has something to do.
    pub(super) due: bool,
    /// Some message has files to publish.
    pub(super) publications: bool,
}

impl<'a> Group<'a> {
    pub(super) fn new(index: &'a Index) -> Group<'a> {
        Group { index, messages: HashMap::new(), keys: HashMap::new(), bodies: HashMap::new() }
    }

    /// Judges a new transaction. `file_exists` tells whether a body is a file.
    pub(super) fn judge(
        &self,
        transaction: &Transaction,
        file_exists: &dyn Fn(&Id) -> bool,
    ) -> Result<Judged, Refusal> {
        for precondition in &transaction.preconditions {
            self.check(precondition)?;
        }
        let own = |id: &Id| transaction.bodies.iter().any(|(body, _)| body.id == *id);
        self.follow(transaction.at, &transaction.facts, &|id| {
            if own(id) {
                Ok(Place::Known)
            } else if file_exists(id) {
                Ok(Place::File)
            } else {
                Err(CommitError::UnknownBody(*id))
            }
        })
    }

    /// Judges facts that are already in the journal. Bodies that are not in it are files.
    pub(super) fn replay(&self, at: Timestamp, facts: &[(Id, Fact)]) -> Result<Judged, Refusal> {
        self.follow(at, facts, &|_| Ok(Place::File))
    }

    /// Takes a judged transaction in. Bodies that it wrote to the journal are given with their places.
    pub(super) fn accept(&mut self, judged: Judged) -> Vec<Arc<Message>> {
        self.keys.extend(judged.keys);
        self.bodies.extend(judged.bodies);
        let mut changed = Vec::with_capacity(judged.messages.len());
        for (id, touched) in judged.messages {
            changed.push(touched.after.clone());
            self.messages.entry(id).and_modify(|known| known.after = touched.after.clone()).or_insert(touched);
        }
        changed
    }

    /// A body is in the journal at this place.
    pub(super) fn place_body(&mut self, id: Id, location: Location) {
        self.bodies.insert(id, location);
    }

    /// The changes of the index that the group amounts to.
    pub(super) fn finish(self) -> Result<(Changes, Effects), DbError> {
        let mut changes = self.index.changes();
        let mut effects = Effects::default();
        for touched in self.messages.values() {
            let before = touched.before.as_ref().map(|(message, stored)| (message, &stored[..]));
            changes.message(before, &touched.after)?;
            let due_before = touched.before.as_ref().and_then(|(message, _)| message.due);
            effects.due |= touched.after.due.is_some() && touched.after.due != due_before;
            effects.publications |= !touched.after.publications.is_empty();
        }
        for (key, id) in &self.keys {
            changes.claim(key, id);
        }
        for (id, location) in &self.bodies {
            changes.body(id, *location);
        }
        Ok((changes, effects))
    }

    fn check(&self, precondition: &Precondition) -> Result<(), Refusal> {
        match precondition {
            Precondition::KeyFree(key) => match self.claimant(key)? {
                Some(by) => Err(Conflict::KeyTaken { by }.into()),
                None => Ok(()),
            },
            Precondition::StateIs(id, states) => {
                let state = self.current(id)?.map(|(_, message)| message.state);
                let lawful = state.is_some_and(|state| states.contains(&state));
                if lawful { Ok(()) } else { Err(Conflict::WrongState { id: *id, state }.into()) }
            }
            Precondition::Absent(id) => match self.current(id)? {
                Some(_) => Err(Conflict::AlreadyPresent(*id).into()),
                None => Ok(()),
            },
        }
    }

    /// Lets the facts happen, aside from the group.
    fn follow(
        &self,
        at: Timestamp,
        facts: &[(Id, Fact)],
        place: &dyn Fn(&Id) -> Result<Place, CommitError>,
    ) -> Result<Judged, Refusal> {
        let mut judged = Judged::default();
        for (id, fact) in facts {
            let transition = |cause| Conflict::Transition { id: *id, cause };
            match judged.messages.iter_mut().find(|(known, _)| known == id) {
                Some((_, touched)) => {
                    let message = Message::clone(&touched.after);
                    touched.after = Arc::new(apply(Some(message), *id, at, fact).map_err(transition)?);
                }
                None => {
                    let (before, message) = self.current(id)?.unzip();
                    let message = message.map(|message| Message::clone(&message));
                    let after = Arc::new(apply(message, *id, at, fact).map_err(transition)?);
                    judged.messages.push((*id, Touched { before: before.flatten(), after }));
                }
            }
            if let Fact::Accepted { key, .. } = fact {
                let earlier = judged.keys.iter().find(|(known, _)| known == key).map(|(_, by)| *by);
                if let Some(by) = earlier.map_or_else(|| self.claimant(key), |by| Ok(Some(by)))? {
                    return Err(Conflict::KeyTaken { by }.into());
                }
                judged.keys.push((key.clone(), *id));
            }
            for body in fact.bodies() {
                let noted = judged.bodies.iter().any(|(known, _)| *known == body.id);
                if !noted && !self.knows_body(&body.id)? && matches!(place(&body.id)?, Place::File) {
                    judged.bodies.push((body.id, Location::File));
                }
            }
        }
        Ok(judged)
    }

    /// A message as the group has it, and its stored form if this group has not changed it yet.
    fn current(&self, id: &Id) -> Result<Option<(Stored, Arc<Message>)>, DbError> {
        if let Some(touched) = self.messages.get(id) {
            return Ok(Some((None, touched.after.clone())));
        }
        let stored = self.index.message(id)?;
        Ok(stored.map(|(message, bytes)| (Some((message.clone(), bytes)), Arc::new(message))))
    }

    fn claimant(&self, key: &DedupKey) -> Result<Option<Id>, DbError> {
        match self.keys.get(key) {
            Some(id) => Ok(Some(*id)),
            None => self.index.claimant(key),
        }
    }

    fn knows_body(&self, id: &Id) -> Result<bool, DbError> {
        Ok(self.bodies.contains_key(id) || self.index.body(id)?.is_some())
    }
}

/// Where a body is that neither index nor group know.
enum Place {
    /// In the transaction itself.
    Known,
    /// In a file.
    File,
}
