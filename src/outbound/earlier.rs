//! What the journal knows about the documents of a declaration: earlier ones about the same order or under the same
//! keys, read again from their payloads. So a file is compared with what was sent before it (R10, R16 to R18, R31, R33,
//! R41 to R44; R02 and R40 only as far as documents share such a key) as `dxgate precheck` compares the files of one call.
//!
//! Nothing is kept for this but the keys that find a document. Where the time of a payload is over they count alone.
//! What customs refused, what was never delivered and what a person cancelled does not count: it may be declared anew.
//! Files that are prepared at the same time are compared too, the later one with the earlier.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufReader;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::Outbound;
use crate::declaration::precheck::{self, Expectations, Facts, Finding, Ledger};
use crate::declaration::schema;
use crate::declaration::standing::FINDABLE;
use crate::ground::id::Id;
use crate::partner::{Dxp, Partner};
use crate::store::Declared;
use crate::store::record::{Message, State};

/// Documents looked at for one key: a few for an order, one for each part of a split message.
const PER_KEY: usize = 128;
/// Messages whose payloads are read again for one file, and their bytes together.
const MESSAGES: usize = 200;
const BYTES: u64 = 64 * 1024 * 1024;
/// A carrier's number belongs to one parcel for six months.
const WAYBILL: Duration = Duration::from_secs(184 * 24 * 3600);
/// Messages resent one after the other that are told apart from their successor.
const RESENT: usize = 100;

/// Documents of one file, and whose they are.
type Group = (Id, String, Arc<Vec<Facts>>);

/// Documents of files that are being prepared and are not in the journal yet.
#[derive(Debug, Default)]
pub(super) struct Preparing {
    groups: Mutex<Vec<Group>>,
    /// Messages that are being resent, by the new message of each.
    resent: Mutex<BTreeMap<Id, Id>>,
}

/// As long as it lives, the documents of one file are among those [`Preparing`].
#[derive(Debug)]
pub(super) struct Underway {
    all: Arc<Preparing>,
    id: Id,
}

impl Drop for Underway {
    fn drop(&mut self) {
        self.all.groups.lock().unwrap_or_else(PoisonError::into_inner).retain(|(id, ..)| *id != self.id);
    }
}

/// As long as it lives, a new message is known to resend another.
#[derive(Debug)]
pub(super) struct Resend {
    all: Arc<Preparing>,
    id: Id,
}

impl Drop for Resend {
    fn drop(&mut self) {
        self.all.resent.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

impl Preparing {
    /// The new message `id` resends `about`: the two are not compared.
    pub(super) fn resend(self: &Arc<Self>, id: Id, about: Id) -> Resend {
        self.resent.lock().unwrap_or_else(PoisonError::into_inner).insert(id, about);
        Resend { all: self.clone(), id }
    }

    fn resends(&self, id: &Id) -> Option<Id> {
        self.resent.lock().unwrap_or_else(PoisonError::into_inner).get(id).copied()
    }

    /// Adds the documents of a file; those of the same partner that were there before.
    fn enter(self: &Arc<Self>, id: Id, partner: &str, documents: Arc<Vec<Facts>>) -> (Underway, Vec<Arc<Vec<Facts>>>) {
        let mut all = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        let others = all.iter().filter(|(other, of, _)| *other != id && of == partner);
        let before = others.map(|(.., documents)| documents.clone()).collect();
        all.push((id, partner.to_owned(), documents));
        (Underway { all: self.clone(), id }, before)
    }
}

/// A file whose documents are to be compared.
pub(super) struct New<'n> {
    pub(super) partner: &'n Partner,
    pub(super) dxp: &'n Dxp,
    /// The message that it becomes, or is.
    pub(super) id: Id,
    pub(super) now: Timestamp,
}

impl Outbound {
    /// What does not fit together between these documents and what was sent before. The second value is kept until the
    /// message is in the journal.
    pub(super) fn compare(&self, new: &New<'_>, documents: Vec<Facts>) -> (Vec<Finding>, Underway) {
        let documents = Arc::new(documents);
        // First those being prepared, then the journal: what left the one is in the other.
        let (underway, beside) = self.preparing.enter(new.id, &new.partner.id, documents.clone());
        (self.differences(new, &documents, &beside), underway)
    }

    /// The same of documents that are not going to be sent: nobody is compared with them.
    pub(super) fn would_differ(&self, new: &New<'_>, documents: &[Facts]) -> Vec<Finding> {
        self.differences(new, documents, &[])
    }

    fn differences(&self, new: &New<'_>, documents: &[Facts], beside: &[Arc<Vec<Facts>>]) -> Vec<Finding> {
        let leads: BTreeSet<(&str, &str)> = documents.iter().flat_map(Facts::leads).collect();
        let mut ledger = Ledger::default();
        for facts in self.earlier(new, &leads) {
            ledger.add_earlier(facts);
        }
        let shared = |facts: &&Facts| facts.leads().any(|lead| leads.contains(&lead));
        for facts in beside.iter().flat_map(|documents| documents.iter()).filter(shared) {
            ledger.add_earlier(facts.clone());
        }
        for facts in documents {
            ledger.add(0, facts.clone());
        }
        // Not cut here: the report that they are added to keeps errors before warnings, and counts what it leaves out.
        ledger.judge_with_history(&new.dxp.levels).into_iter().map(|(_, finding)| finding).collect()
    }

    /// Documents in the journal that share one of these keys, older messages first.
    fn earlier(&self, new: &New<'_>, leads: &BTreeSet<(&str, &str)>) -> Vec<Facts> {
        let own = self.own(new);
        let mut found: BTreeMap<Id, Vec<Declared>> = BTreeMap::new();
        for (name, value) in leads.iter().filter(|(name, _)| FINDABLE.contains(name)) {
            let stands =
                |declared: &Declared| !own.contains(&declared.message().id) && stands(declared, &new.partner.id);
            for declared in self.store.declared(name, value).filter(stands).take(PER_KEY) {
                let documents = found.entry(declared.message().id).or_default();
                if documents.iter().all(|known| known.number() != declared.number()) {
                    documents.push(declared);
                }
            }
        }
        let skipped = found.len().saturating_sub(MESSAGES);
        if skipped > 0 {
            tracing::warn!(message = %new.id, skipped, "the oldest documents are compared by their keys alone");
        }
        let mut left = BYTES;
        let mut messages: Vec<Vec<Declared>> = found.into_values().collect();
        // By their identifiers, messages that were submitted with a key are of the beginning of their hour.
        messages.sort_by_key(|documents| documents.first().map(|declared| declared.message().created));
        let messages = messages.into_iter().enumerate();
        messages.flat_map(|(place, documents)| self.facts_of(new, &documents, place >= skipped, &mut left)).collect()
    }

    /// The message itself and those that it resends.
    fn own(&self, new: &New<'_>) -> BTreeSet<Id> {
        let about = |id: &Id| self.store.message(id).and_then(|message| message.about);
        let mut own = BTreeSet::from([new.id]);
        let mut next = self.preparing.resends(&new.id).or_else(|| about(&new.id));
        while let Some(id) = next.filter(|id| own.len() < RESENT && own.insert(*id)) {
            next = about(&id);
        }
        own
    }

    /// What these documents of one message say, from its payload or, without it, from their keys.
    fn facts_of(&self, new: &New<'_>, documents: &[Declared], read: bool, left: &mut u64) -> Vec<Facts> {
        let Some(message) = documents.first().map(Declared::message) else { return Vec::new() };
        let payload = if read { self.read_again(new, message, left) } else { None }.unwrap_or_default();
        let free = new.now.duration_since(message.created).unsigned_abs() > WAYBILL;
        let of = |declared: &Declared| {
            let document = declared.document();
            let keys = document.keys.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            let known = payload.iter().find(|facts| facts.document() == declared.number());
            let facts = known.cloned().or_else(|| Facts::of_keys(declared.message_type(), keys))?;
            let given = document.given.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            let facts = facts.with_given(given);
            let facts = if free { facts.with_free_waybill() } else { facts };
            let status = document.answer.as_ref().map(|answer| answer.status.as_str());
            Some(facts.standing(document.standing, status))
        };
        documents.iter().filter_map(of).collect()
    }

    /// The documents of a message's payload; `None` when it is no longer kept, or too much was read already.
    fn read_again(&self, new: &New<'_>, message: &Message, left: &mut u64) -> Option<Vec<Facts>> {
        let payload = message.payload.filter(|_| message.payload_purged.is_none())?;
        *left = left.checked_sub(payload.len)?;
        let mut input = BufReader::with_capacity(64 * 1024, self.store.read(&payload).ok()?);
        let edition = schema::edition(new.dxp.edition).unwrap_or_else(schema::current);
        let expect = Expectations { max_bytes: self.limits.payload, edition, ..Expectations::default() };
        let mut facts = Vec::new();
        precheck::check_for_ledger(&mut input, &expect, &self.limits, &mut |one| facts.push(one));
        Some(facts)
    }
}

/// Whether a document was sent, or is about to be, and stands.
fn stands(declared: &Declared, partner: &str) -> bool {
    let message = declared.message();
    let ended = matches!(message.state, State::Cancelled | State::Rejected | State::Failed);
    message.partner == partner && !ended && !declared.document().standing.is_bad()
}
