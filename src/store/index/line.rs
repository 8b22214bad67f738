//! Who is next of each partner, known in memory: a message in work stays due, so that whoever leased by the map alone would pass
//! everything in work each time.
//!
//! A line is known up to some place, or all of it. One look at the map makes [`LOOKED`] more places known; from then on each change
//! that becomes visible is noted here, and so is who [holds](Taken) a message. As with [floors](super::floors) a change becomes
//! visible first and is noted then: what is taken may be due no more. Who takes it reads the message, and
//! [rejects](Taken::reject) one that is not due; the note that is still to come puts it where it belongs.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::Index;
use super::floors::{Floors, Found};
use super::keys::{due_and_id, key, millis, partner_prefix};
use super::pending::Keys;
use crate::ground::id::Id;
use crate::store::db::DbError;

/// Places that one look makes known.
const LOOKED: usize = 256;
/// Places that are kept; of more the last are looked for again.
const KEPT: usize = 2 * LOOKED;

/// When a message is due, and which one it is: the order of the keys.
type Place = (Timestamp, Id);

/// The line of one partner.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// What is due and nobody holds: all there is, as far as it is known.
    free: BTreeSet<Place>,
    known: Known,
    held: HashMap<Id, Held>,
    /// What became free, or came or went, since somebody looks.
    noted: Option<HashMap<Id, Option<Timestamp>>>,
}

/// How far a line is known.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Known {
    #[default]
    Nothing,
    UpTo(Place),
    All,
}

/// A message that somebody holds.
#[derive(Debug)]
struct Held {
    /// When it is due, by what was noted last.
    due: Option<Timestamp>,
    /// Something was noted since it was taken.
    is_newer: bool,
}

/// Who comes next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// This one; whoever asked holds it now.
    Taken(Id),
    /// Nobody.
    Nothing,
    /// The map has to be asked.
    Look,
}

/// A look at the map that has begun.
#[derive(Debug)]
pub(super) struct Look {
    /// It begins behind this place, or with the first.
    behind: Option<Place>,
    /// Who need not be seen.
    held: HashSet<Id>,
}

/// What was seen.
#[derive(Debug)]
pub(super) struct Seen {
    places: Vec<Place>,
    /// There is nobody behind them.
    is_all: bool,
}

impl Known {
    fn reaches(&self, place: &Place) -> bool {
        match self {
            Known::Nothing => false,
            Known::UpTo(last) => place <= last,
            Known::All => true,
        }
    }
}

impl Line {
    /// The first that is due at `now` and nobody holds.
    pub(super) fn take(&mut self, now: Timestamp) -> Next {
        while let Some((due, id)) = self.free.first().copied().filter(|(due, _)| *due <= now) {
            self.free.pop_first();
            // Whatever else may be wrong in here: nobody gets what somebody holds.
            if let Entry::Vacant(vacant) = self.held.entry(id) {
                vacant.insert(Held { due: Some(due), is_newer: false });
                return Next::Taken(id);
            }
        }
        if self.is_unknown(now) { Next::Look } else { Next::Nothing }
    }

    /// Whether somebody may be due at `now` who is not in here.
    fn is_unknown(&self, now: Timestamp) -> bool {
        let has_next = self.free.first().is_some_and(|(due, _)| *due <= now);
        !has_next
            && match self.known {
                Known::Nothing => true,
                Known::UpTo((due, _)) => due <= now,
                Known::All => false,
            }
    }

    /// Whoever held it lets go of it.
    fn release(&mut self, id: &Id) {
        if let Some(held) = self.held.remove(id) {
            self.put(*id, held.due);
        }
    }

    /// The same, and it was not due: unless something was noted since it was taken, its place is not true any more.
    fn reject(&mut self, id: &Id) {
        if let Some(held) = self.held.remove(id).filter(|held| held.is_newer) {
            self.put(*id, held.due);
        }
    }

    /// A message is visible in another place, or in none.
    pub(super) fn note(&mut self, id: Id, from: Option<Timestamp>, to: Option<Timestamp>) {
        // Also of one that is held: a look may have seen it in two places.
        if let Some(due) = from {
            self.free.remove(&(due, id));
        }
        match self.held.get_mut(&id) {
            Some(held) => *held = Held { due: to, is_newer: true },
            None => self.put(id, to),
        }
    }

    /// A message that nobody holds has this place.
    fn put(&mut self, id: Id, due: Option<Timestamp>) {
        if let Some(noted) = &mut self.noted {
            noted.insert(id, due);
        }
        if let Some(place) = due.map(|due| (due, id)).filter(|place| self.known.reaches(place)) {
            self.free.insert(place);
            self.shorten();
        }
    }

    fn shorten(&mut self) {
        if self.free.len() <= KEPT {
            return;
        }
        while self.free.len() > LOOKED {
            self.free.pop_last();
        }
        self.known = self.free.last().copied().map_or(Known::Nothing, Known::UpTo);
    }

    /// Begins a look, `anew` with the first place, else behind what is known. None if there is no need of it any more.
    pub(super) fn begin_look(&mut self, now: Timestamp, anew: bool) -> Option<Look> {
        if !self.is_unknown(now) {
            return None;
        }
        self.noted = Some(HashMap::new());
        let behind = match self.known {
            Known::UpTo(last) if !anew => Some(last),
            _ => None,
        };
        Some(Look { behind, held: self.held.keys().copied().collect() })
    }

    /// Ends it. Nobody was free in here when it began: there was no need of it otherwise. So whoever is now was noted since, and what
    /// was noted is truer than what was seen.
    pub(super) fn end_look(&mut self, seen: Option<Seen>) {
        let noted = self.noted.take().unwrap_or_default();
        let Some(Seen { places, is_all }) = seen else { return };
        self.known = match places.last() {
            _ if is_all => Known::All,
            Some(last) => Known::UpTo(*last),
            None => self.known,
        };
        let as_seen = places.into_iter().filter(|(_, id)| !noted.contains_key(id));
        let as_noted = noted.iter().filter_map(|(id, due)| due.map(|due| (due, *id)));
        let free = as_seen.chain(as_noted);
        self.free = free.filter(|place| self.known.reaches(place) && !self.held.contains_key(&place.1)).collect();
        self.shorten();
    }

    /// The map was changed as a whole. Who holds what stays.
    pub(super) fn forget(&mut self) {
        self.free.clear();
        self.known = Known::Nothing;
    }

    /// Nobody holds anything of it.
    pub(super) fn is_unheld(&self) -> bool {
        self.held.is_empty()
    }

    /// Before this instant nothing is due that nobody holds, by what is known; none if nothing is due at all.
    pub(super) fn first(&self) -> Option<Timestamp> {
        let last = match self.known {
            Known::UpTo(last) => Some(last),
            Known::Nothing | Known::All => None,
        };
        self.free.first().copied().or(last).map(|(due, _)| due)
    }

    /// The earliest instant from `from` on at which something is due, whoever holds it, or that there is none; none if that is not
    /// known here.
    pub(super) fn first_due(&self, from: Timestamp) -> Option<Option<Timestamp>> {
        let least = (from, Id::from_bytes([0; 16]));
        let free = self.free.range(least..).next().map(|(due, _)| *due);
        if free.is_none() && self.known != Known::All {
            return None;
        }
        let held = self.held.values().filter_map(|held| held.due).filter(|due| *due >= from);
        Some(held.chain(free).min())
    }
}

/// A message that nobody else gets until it is given back.
pub(in crate::store) struct Taken {
    id: Id,
    partner: Arc<str>,
    floors: Arc<Mutex<Floors>>,
}

impl Taken {
    /// Which one.
    pub(in crate::store) fn id(&self) -> &Id {
        &self.id
    }

    /// Gives it back: if it is due it can be taken again.
    pub(in crate::store) fn release(&self) {
        self.floors().line(&self.partner).release(&self.id);
    }

    /// Gives it back because the message, read after it was taken, was not due.
    pub(in crate::store) fn reject(&self) {
        self.floors().line(&self.partner).reject(&self.id);
    }

    fn floors(&self) -> MutexGuard<'_, Floors> {
        self.floors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Index {
    /// Takes the next of a partner that is due at `now`. `looked` is false before the first of several calls: the first look at the
    /// map begins with the first place, in case one was missed, and further ones behind what is known, so that keys which are wrong
    /// hide nobody.
    pub(in crate::store) fn take(
        &self,
        found: &Found,
        now: Timestamp,
        looked: &mut bool,
    ) -> Result<Option<Taken>, DbError> {
        loop {
            let next = self.floors().take(found, now);
            match next {
                Next::Taken(id) => {
                    let (partner, floors) = (found.partner.clone(), self.floors.clone());
                    return Ok(Some(Taken { id, partner, floors }));
                }
                Next::Nothing => return Ok(None),
                Next::Look => self.look(&found.partner, now, !std::mem::replace(looked, true))?,
            }
        }
    }

    /// One at a time looks.
    fn look(&self, partner: &Arc<str>, now: Timestamp, anew: bool) -> Result<(), DbError> {
        let _alone = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = self.floors().line(partner).begin_look(now, anew);
        let Some(look) = begun else { return Ok(()) };
        let (seen, done) = match self.see(partner, &look) {
            Ok(seen) => (Some(seen), Ok(())),
            Err(error) => (None, Err(error)),
        };
        self.floors().line(partner).end_look(seen);
        done
    }

    fn see(&self, partner: &str, look: &Look) -> Result<Seen, DbError> {
        let mut start = partner_prefix(b'd', partner);
        if let Some((due, id)) = look.behind {
            start.extend_from_slice(&millis(due));
            start.extend_from_slice(id.as_bytes());
            start.push(0);
        }
        let end = key(b'd', &[partner.as_bytes(), &[1]]);
        let mut places = Vec::new();
        for found in Keys::forwards(self, start, Some(end)) {
            let Some(place) = due_and_id(&found?).filter(|(_, id)| !look.held.contains(id)) else { continue };
            if places.len() >= LOOKED {
                return Ok(Seen { places, is_all: false });
            }
            places.push(place);
        }
        Ok(Seen { places, is_all: true })
    }

    /// The earliest instant from `from` on at which something of a partner is due.
    pub(in crate::store) fn first_due(&self, partner: &str, from: Timestamp) -> Result<Option<Timestamp>, DbError> {
        let known = self.floors().first_due(partner, from);
        match known {
            Some(first) => Ok(first),
            None => Ok(self.due(partner, Some(from)).next().transpose()?.map(|(due, _)| due)),
        }
    }
}

#[cfg(test)]
mod tests;
