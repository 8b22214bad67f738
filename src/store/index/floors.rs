//! Before which instant nothing of a partner is due, so that the map is not asked about partners that have nothing to do.
//!
//! A floor is never too high: a change becomes visible first, and lowers the floor of its partner then; who has looked from a
//! partner's beginning raises its floor only if nothing lowered it meanwhile. Too low it may be, and costs a look then.
//!
//! Beside them are the [lines](super::line) of the partners, which are told of the same changes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use jiff::Timestamp;

use super::line::{Line, Next};
use crate::store::record::{Direction, Message};

/// The floors of all partners that may have something due, and what is known of who is next.
#[derive(Debug, Default)]
pub(super) struct Floors {
    /// Every partner of the map is in here.
    known: bool,
    partners: BTreeMap<Arc<str>, Floor>,
    /// The same in the order of the floors.
    order: BTreeSet<(Timestamp, Arc<str>)>,
    /// Times that a floor was lowered, or might have been.
    changes: u64,
    lines: HashMap<Arc<str>, Line>,
}

/// A message that has another place in its partner's line, or none any more, or had none.
pub(super) struct Shift {
    message: Arc<Message>,
    /// When it was due.
    from: Option<Timestamp>,
    /// When it is.
    to: Option<Timestamp>,
}

impl Shift {
    /// None if the message neither was nor is in a line.
    pub(super) fn new(message: &Arc<Message>, from: Option<Timestamp>, to: Option<Timestamp>) -> Option<Shift> {
        (from.is_some() || to.is_some()).then(|| Shift { message: message.clone(), from, to })
    }
}

#[derive(Debug, Clone, Copy)]
struct Floor {
    due: Timestamp,
    /// The number of the change that touched it last.
    changes: u64,
}

/// A floor as it was found; [`Floors::raise`] takes it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Found {
    /// The partner.
    pub(in crate::store) partner: Arc<str>,
    /// Nothing of it is due before.
    pub(in crate::store) due: Timestamp,
    changes: u64,
}

impl Floors {
    /// Whether partners of the map may be missing in here.
    pub(super) fn are_unknown(&self) -> bool {
        !self.known
    }

    /// These are the partners of the map; of those that changes have not named, nothing is known.
    pub(super) fn learn(&mut self, partners: impl IntoIterator<Item = String>) {
        for partner in partners {
            self.lower(&partner, Timestamp::MIN);
        }
        self.known = true;
    }

    /// The map was changed as a whole.
    pub(super) fn forget(&mut self) {
        let mut lines = std::mem::take(&mut self.lines);
        lines.values_mut().for_each(Line::forget);
        *self = Floors { changes: self.changes, lines, ..Floors::default() };
    }

    /// A message is visible in its place.
    pub(super) fn note(&mut self, Shift { message, from, to }: &Shift) {
        if let Some(due) = to {
            self.lower(&message.partner, *due);
        }
        if let Some(line) = self.lines.get_mut(&*message.partner) {
            line.note(message.id, *from, *to);
        }
    }

    /// The line of a partner.
    pub(super) fn line(&mut self, partner: &Arc<str>) -> &mut Line {
        self.lines.entry(partner.clone()).or_default()
    }

    /// The next of a partner that is due at `now`; see [`Line::take`]. Where nobody is, its floor rises.
    pub(super) fn take(&mut self, found: &Found, now: Timestamp) -> Next {
        let line = self.line(&found.partner);
        let next = line.take(now);
        if next == Next::Nothing && line.is_unheld() {
            let first = line.first();
            self.raise(found, first);
        }
        next
    }

    /// The earliest instant from `from` on at which something of a partner is due, or that there is none; none if that is
    /// not known here.
    pub(super) fn first_due(&self, partner: &str, from: Timestamp) -> Option<Option<Timestamp>> {
        let from = to_the_millisecond(from).unwrap_or(from);
        self.lines.get(partner)?.first_due(from)
    }

    fn lower(&mut self, partner: &str, due: Timestamp) {
        self.changes = self.changes.wrapping_add(1);
        let changes = self.changes;
        if let Some(floor) = self.partners.get_mut(partner) {
            floor.changes = changes;
            if floor.due <= due {
                return;
            }
        }
        let name: Arc<str> = partner.into();
        if let Some(earlier) = self.partners.insert(name.clone(), Floor { due, changes }) {
            self.order.remove(&(earlier.due, name.clone()));
        }
        self.order.insert((due, name));
    }

    /// The lowest floor, or the lowest behind `after`.
    pub(super) fn lowest(&self, after: Option<&Found>) -> Option<Found> {
        let from = after.map_or(Bound::Unbounded, |after| Bound::Excluded((after.due, after.partner.clone())));
        let (due, partner) = self.order.range((from, Bound::Unbounded)).next()?;
        let changes = self.partners.get(partner)?.changes;
        Some(Found { partner: partner.clone(), due: *due, changes })
    }

    /// Who looked from the beginning has found this to be the earliest instant of the partner, or nothing at all.
    pub(super) fn raise(&mut self, found: &Found, to: Option<Timestamp>) {
        let current = self.partners.get(&found.partner).copied();
        let Some(floor) = current.filter(|floor| (floor.due, floor.changes) == (found.due, found.changes)) else {
            return;
        };
        self.order.remove(&(floor.due, found.partner.clone()));
        match to {
            Some(due) => {
                self.order.insert((due, found.partner.clone()));
                self.partners.insert(found.partner.clone(), Floor { due, ..floor });
            }
            None => drop(self.partners.remove(&found.partner)),
        }
    }
}

/// When a message is due, as the index has it: to the millisecond.
pub(super) fn due_of(message: &Message) -> Option<Timestamp> {
    to_the_millisecond(message.due.filter(|_| message.direction == Direction::Outbound)?)
}

/// As a key has it.
fn to_the_millisecond(instant: Timestamp) -> Option<Timestamp> {
    Timestamp::from_millisecond(instant.as_millisecond().max(0)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn lowest(floors: &Floors) -> Option<(String, Timestamp)> {
        floors.lowest(None).map(|found| (found.partner.to_string(), found.due))
    }

    #[test]
    fn a_floor_is_lowered_by_what_is_due_earlier_and_by_nothing_else() {
        let mut floors = Floors::default();
        floors.lower("acme", at(10));
        floors.lower("acme", at(20));
        assert_eq!(lowest(&floors), Some(("acme".to_owned(), at(10))));
        floors.lower("acme", at(5));
        floors.lower("customs", at(7));
        let first = floors.lowest(None).unwrap();
        assert_eq!((&*first.partner, first.due), ("acme", at(5)));
        let second = floors.lowest(Some(&first)).unwrap();
        assert_eq!((&*second.partner, second.due), ("customs", at(7)));
        assert_eq!(floors.lowest(Some(&second)), None);
    }

    #[test]
    fn a_look_during_which_something_came_raises_nothing() {
        let mut floors = Floors::default();
        floors.lower("acme", at(10));
        let found = floors.lowest(None).unwrap();
        floors.lower("acme", at(30));
        floors.raise(&found, Some(at(20)));
        assert_eq!(lowest(&floors), Some(("acme".to_owned(), at(10))), "what came may be due before 20 seconds");
        floors.raise(&found, None);
        assert_eq!(lowest(&floors), Some(("acme".to_owned(), at(10))));
        let again = floors.lowest(None).unwrap();
        floors.raise(&again, Some(at(20)));
        assert_eq!(lowest(&floors), Some(("acme".to_owned(), at(20))));
        let last = floors.lowest(None).unwrap();
        floors.raise(&last, None);
        assert_eq!(lowest(&floors), None);
        // One that went and came anew is not the one that was looked at.
        floors.lower("acme", at(20));
        floors.raise(&again, None);
        assert_eq!(lowest(&floors), Some(("acme".to_owned(), at(20))));
    }

    #[test]
    fn partners_of_the_map_are_looked_at_once_whatever_was_noted_before() {
        let mut floors = Floors::default();
        floors.lower("acme", at(10));
        assert!(floors.are_unknown());
        floors.learn(["acme".to_owned(), "customs".to_owned()]);
        assert!(!floors.are_unknown());
        let first = floors.lowest(None).unwrap();
        assert_eq!((first.due, floors.lowest(Some(&first)).unwrap().due), (Timestamp::MIN, Timestamp::MIN));
        floors.forget();
        assert!(floors.are_unknown() && lowest(&floors).is_none());
    }
}
