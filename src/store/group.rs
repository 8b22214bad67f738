//! What a group of transactions adds to the index before the index has it: each transaction is judged against the
//! index and everything judged before it in the same group.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::alert::{self, Raised};
use super::apply::{apply, begins_message};
use super::db::DbError;
use super::error::{CommitError, Conflict};
use super::index::{Changes, Index, Location};
use super::journal::retired::Link;
use super::recent::Indexed;
use super::record::{Body, DedupKey, Fact, Message, PublicationStage, State};
use super::trail::{self, Change, Changed, Entry};
use super::transaction::{Precondition, Transaction};
use crate::ground::id::Id;

/// The facts of one transaction, as the journal keeps them.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct FactsRecord<F> {
    /// When they happened.
    pub(super) at: Timestamp,
    /// In order.
    pub(super) facts: F,
    /// What the journal says of itself; no facts then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) link: Option<Link>,
    /// A change for the audit trail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) change: Option<Change>,
}

/// A group in the making.
pub(super) struct Group<'a> {
    index: &'a Index,
    messages: HashMap<Id, Touched>,
    keys: HashMap<DedupKey, Id>,
    bodies: HashMap<Id, Location>,
    dropped: Vec<Id>,
    links: Vec<Link>,
    trail: Vec<Entry>,
}

/// A message before a transaction: as the index has it, if the group has not changed it, and as it is.
type Current = (Option<Indexed>, Arc<Message>);

/// What was looked up for a judgement: a message is read once, whatever is asked about it.
type Seen = HashMap<Id, Option<Current>>;

/// A message that the group changes.
struct Touched {
    /// As the index has it; none when it does not.
    before: Option<Indexed>,
    /// As the group leaves it.
    after: Arc<Message>,
}

/// A lawful transaction, not yet part of the group.
#[derive(Default)]
pub(super) struct Judged {
    messages: Vec<(Id, Touched)>,
    keys: Vec<(DedupKey, Id)>,
    bodies: Vec<(Id, Location)>,
    dropped: Vec<Id>,
    /// Bodies that its facts name, with the messages they belong to.
    named: Vec<(Id, Id)>,
    /// What its facts say of people.
    changes: Vec<(Timestamp, Change)>,
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
#[derive(Debug, Default)]
pub(super) struct Effects {
    /// Some message has something to do.
    pub(super) due: bool,
    /// Some message has files to publish that it had not before.
    pub(super) publications: bool,
    /// Files of bodies that are no longer kept.
    pub(super) files: Vec<Id>,
    /// Alerts that were not open before.
    pub(super) raised: Vec<Raised>,
    /// Messages that changed.
    pub(super) changed: Vec<Changed>,
    /// Entries of the audit trail.
    pub(super) trail: Vec<Entry>,
}

/// How facts are taken.
#[derive(Clone, Copy)]
enum Mode<'m> {
    /// They are those of this transaction; bodies that neither it nor the store has may be files.
    New { transaction: &'m Transaction, file_exists: &'m dyn Fn(&Id) -> bool },
    /// They are in the journal, in the frame with this sequence. `settled` is the frame up to which a loaded snapshot
    /// may know them already, in part.
    Replayed { sequence: u64, settled: u64 },
}

impl<'a> Group<'a> {
    pub(super) fn new(index: &'a Index) -> Group<'a> {
        Group {
            index,
            messages: HashMap::new(),
            keys: HashMap::new(),
            bodies: HashMap::new(),
            dropped: Vec::new(),
            links: Vec::new(),
            trail: Vec::new(),
        }
    }

    /// Judges a new transaction. `file_exists` tells whether a body is a file.
    pub(super) fn judge(
        &self,
        transaction: &Transaction,
        file_exists: &dyn Fn(&Id) -> bool,
    ) -> Result<Judged, Refusal> {
        let mut seen = Seen::default();
        for precondition in &transaction.preconditions {
            self.check(precondition, &mut seen)?;
        }
        let mode = Mode::New { transaction, file_exists };
        let mut judged = self.follow(transaction.at, &transaction.facts, mode, seen)?;
        judged.note(transaction.at, transaction.change.as_ref());
        Ok(judged)
    }

    /// Judges facts that are already in the journal, in the frame with this sequence. Bodies that are not in it are
    /// files.
    pub(super) fn replay(&self, record: &FactsRecord<Vec<(Id, Fact)>>, sequence: u64) -> Result<Judged, Refusal> {
        let mode = Mode::Replayed { sequence, settled: self.index.settled() };
        let mut judged = self.follow(record.at, &record.facts, mode, Seen::default())?;
        judged.note(record.at, record.change.as_ref());
        Ok(judged)
    }

    /// Takes a judged transaction in, whose facts are in the frame with this sequence. Bodies that it wrote to the
    /// journal are given with their places.
    pub(super) fn accept(&mut self, judged: Judged, sequence: u64) -> Vec<Arc<Message>> {
        for (part, (at, change)) in (0u16..).zip(judged.changes) {
            self.trail.push(Entry { sequence, part, at, change });
        }
        self.keys.extend(judged.keys);
        self.bodies.extend(judged.bodies);
        for id in &judged.dropped {
            self.bodies.remove(id);
        }
        self.dropped.extend(judged.dropped);
        let mut changed = Vec::with_capacity(judged.messages.len());
        for (id, touched) in judged.messages {
            changed.push(touched.after.clone());
            self.messages.entry(id).and_modify(|known| known.after = touched.after.clone()).or_insert(touched);
        }
        changed
    }

    /// A body, known before or not, is in the journal at this place from here on.
    pub(super) fn place_body(&mut self, id: Id, location: Location) {
        self.bodies.insert(id, location);
    }

    /// Where a body is.
    pub(super) fn location(&self, id: &Id) -> Result<Option<Location>, DbError> {
        if self.dropped.contains(id) {
            return Ok(None);
        }
        self.bodies.get(id).map_or_else(|| self.index.body(id), |location| Ok(Some(*location)))
    }

    /// The journal said something of itself.
    pub(super) fn link(&mut self, link: Link) {
        self.links.push(link);
    }

    /// The changes of the index that the group amounts to; `upto` is its last frame.
    pub(super) fn finish(self, upto: u64) -> Result<(Changes, Effects), DbError> {
        let mut changes = Changes::upto(upto);
        let mut effects = Effects::default();
        for touched in self.messages.values() {
            let before = touched.before.as_ref();
            if touched.after.gone {
                if let Some(before) = before {
                    changes.forget(before);
                }
                continue;
            }
            changes.message(before, &touched.after);
            let changed = Changed {
                sequence: upto,
                before: before.map(|before| before.message.state),
                message: touched.after.clone(),
            };
            effects.changed.push(changed);
            let due_before = before.and_then(|before| before.message.due);
            effects.due |= touched.after.due.is_some() && touched.after.due != due_before;
            let before = before.map(|before| &*before.message);
            effects.publications |= gives_to_publish(before, &touched.after);
            if !touched.after.alerts.is_empty() {
                effects.raised.extend(alert::newly_raised(before, &touched.after));
            }
        }
        for (id, location) in &self.bodies {
            changes.body(id, *location);
        }
        for id in &self.dropped {
            if let Some(location) = self.index.body(id)? {
                changes.drop_body(id);
                effects.files.extend((location == Location::File).then_some(*id));
            }
        }
        changes.links(self.links);
        self.trail.iter().for_each(|entry| changes.trail(entry));
        effects.trail = self.trail;
        Ok((changes, effects))
    }

    fn check(&self, precondition: &Precondition, seen: &mut Seen) -> Result<(), Refusal> {
        match precondition {
            Precondition::StateIs(id, states) => {
                let state = self.state(id, seen)?;
                let lawful = state.is_some_and(|state| states.contains(&state));
                if lawful { Ok(()) } else { Err(Conflict::WrongState { id: *id, state }.into()) }
            }
            Precondition::Absent(id) => match self.state(id, seen)? {
                Some(_) => Err(Conflict::AlreadyPresent(*id).into()),
                None => Ok(()),
            },
        }
    }

    /// The state of a message, none if there is no such message. What was read for it is kept for the facts.
    fn state(&self, id: &Id, seen: &mut Seen) -> Result<Option<State>, DbError> {
        let current = self.look(id, seen)?;
        let state = current.as_ref().map(|(_, message)| message.state);
        seen.insert(*id, current);
        Ok(state)
    }

    /// A message as the group has it, from what was seen of it if it was.
    fn look(&self, id: &Id, seen: &mut Seen) -> Result<Option<Current>, DbError> {
        seen.remove(id).map_or_else(|| self.current(id), Ok)
    }

    /// Lets the facts happen, aside from the group.
    fn follow(&self, at: Timestamp, facts: &[(Id, Fact)], mode: Mode<'_>, mut seen: Seen) -> Result<Judged, Refusal> {
        let mut judged = Judged::default();
        for (id, fact) in facts {
            if let Fact::PayloadPurged { bodies, .. }
            | Fact::Purged { bodies, .. }
            | Fact::BodiesDropped { bodies, .. } = fact
            {
                judged.dropped.extend(bodies);
            }
            let earlier = judged.messages.iter().position(|(known, _)| known == id);
            let stored = if earlier.is_none() { self.look(id, &mut seen)? } else { None };
            if earlier.is_none() && mode.knows(stored.as_ref(), fact) {
                continue;
            }
            let named = fact.bodies();
            let before = earlier.and_then(|place| judged.messages.get(place)).map(|(_, touched)| &touched.after);
            let before = before.or_else(|| stored.as_ref().map(|(_, message)| message));
            let keeps = |id: &Id| before.is_some_and(|message| message.keeps(id));
            let mine: Vec<Id> = named.iter().map(|body| body.id).filter(keeps).collect();
            let transition = |cause| Conflict::Transition { id: *id, cause };
            match earlier {
                // Taken out: what this transaction alone has is not copied. If the fact is refused, all of it is.
                Some(place) => {
                    let (_, Touched { before, after }) = judged.messages.remove(place);
                    let state = Some(after.state);
                    let after = apply(Some(Arc::unwrap_or_clone(after)), *id, at, fact).map_err(transition)?;
                    let change = trail::of_fact(*id, state, fact, &after);
                    judged.changes.extend(change.map(|change| (at, change)));
                    judged.messages.insert(place, (*id, Touched { before, after: Arc::new(after) }));
                }
                None => {
                    let (before, message) = stored.unzip();
                    let message = message.map(|message| Message::clone(&message));
                    let state = message.as_ref().map(|message| message.state);
                    let after = Arc::new(apply(message, *id, at, fact).map_err(transition)?);
                    judged.changes.extend(trail::of_fact(*id, state, fact, &after).map(|change| (at, change)));
                    judged.messages.push((*id, Touched { before: before.flatten(), after }));
                }
            }
            self.follow_key(&mut judged, *id, fact)?;
            self.follow_bodies(&mut judged, *id, &mine, &named, mode)?;
        }
        Ok(judged)
    }

    /// An accepted message claims its key.
    fn follow_key(&self, judged: &mut Judged, id: Id, fact: &Fact) -> Result<(), Refusal> {
        let Fact::Accepted { key, .. } = fact else { return Ok(()) };
        let earlier = judged.keys.iter().find(|(known, _)| known == key).map(|(_, by)| *by);
        match earlier.map_or_else(|| self.claimant(key), |by| Ok(Some(by)))? {
            // A loaded snapshot may be ahead with the key.
            Some(by) if by == id => {}
            Some(by) => return Err(Conflict::KeyTaken { by }.into()),
            None => judged.keys.push((key.clone(), id)),
        }
        Ok(())
    }

    /// A body belongs to one message, `mine` of the `named` ones to this one already: they expire together.
    fn follow_bodies(
        &self,
        judged: &mut Judged,
        id: Id,
        mine: &[Id],
        named: &[Body],
        mode: Mode<'_>,
    ) -> Result<(), Refusal> {
        for body in named {
            let earlier = judged.named.iter().find(|(known, _)| *known == body.id).map(|(_, by)| *by);
            let added = matches!(mode, Mode::New { transaction, .. } if transaction.adds(&body.id));
            // What the message keeps, the store has: it need not be looked for.
            let own = matches!(mode, Mode::New { .. }) && mine.contains(&body.id);
            let known = !added && (own || self.knows_body(&body.id)?);
            let is_file = !added && !known && earlier.is_none();
            if let Mode::New { file_exists, .. } = mode {
                if earlier.is_some_and(|by| by != id) || (known && earlier.is_none() && !own) {
                    return Err(Conflict::BodyOfAnother(body.id).into());
                }
                if is_file && !file_exists(&body.id) {
                    return Err(CommitError::UnknownBody(body.id).into());
                }
            }
            if is_file {
                judged.bodies.push((body.id, Location::File));
            }
            judged.named.push((body.id, id));
        }
        Ok(())
    }

    /// A message as the group has it, and as the index has it if this group has not changed it yet.
    fn current(&self, id: &Id) -> Result<Option<Current>, DbError> {
        if let Some(touched) = self.messages.get(id) {
            let after = Some(&touched.after).filter(|after| !after.gone);
            return Ok(after.map(|after| (None, after.clone())));
        }
        let indexed = self.index.message(id)?;
        Ok(indexed.map(|indexed| (Some(indexed.clone()), indexed.message)))
    }

    fn claimant(&self, key: &DedupKey) -> Result<Option<Id>, DbError> {
        let claimant = match self.keys.get(key) {
            Some(id) => Some(*id),
            None => self.index.claimant(key)?,
        };
        Ok(claimant.filter(|id| !self.forgets(id)))
    }

    /// Whether the group leaves nothing of a message: its key is free again.
    fn forgets(&self, id: &Id) -> bool {
        self.messages.get(id).is_some_and(|touched| touched.after.gone)
    }

    fn knows_body(&self, id: &Id) -> Result<bool, DbError> {
        Ok(self.bodies.contains_key(id) || self.index.body(id)?.is_some())
    }
}

/// Whether the publisher has something to do now that it had not before: files that were promised, or that a person lets go
/// on. It tells itself what it has staged and published, and by when it tries again what failed.
fn gives_to_publish(before: Option<&Message>, after: &Message) -> bool {
    let waits = |message: &Message, place: usize| {
        let stage = message.publications.get(place).map(|(_, stage)| stage);
        !message.restored && stage.is_some_and(|stage| !matches!(stage, PublicationStage::Published(_)))
    };
    // Not by their number: one may be published in the same group in which another is promised.
    (0..after.publications.len()).any(|place| waits(after, place) && before.is_none_or(|before| !waits(before, place)))
}

impl Judged {
    /// The change that the transaction is. What is derived from a fact about the same knows less of it.
    fn note(&mut self, at: Timestamp, change: Option<&Change>) {
        let Some(change) = change else { return };
        self.changes.retain(|(_, derived)| derived.on != change.on);
        self.changes.push((at, change.clone()));
    }
}

impl Mode<'_> {
    /// Whether a loaded snapshot knows the fact already: the message's own entry was written later than the fact's
    /// frame, or the message was purged before its entry could be.
    fn knows(self, current: Option<&Current>, fact: &Fact) -> bool {
        let Mode::Replayed { sequence, settled } = self else { return false };
        if sequence > settled {
            return false;
        }
        match current {
            Some((Some(indexed), _)) => indexed.sequence >= sequence,
            Some((None, _)) => false,
            None => !begins_message(fact),
        }
    }
}

#[cfg(test)]
#[path = "group_tests.rs"]
mod tests;
