//! The history in the view of a message.

use std::ops::Deref;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Shared;

/// One line of a message's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// The fact's kebab-case name.
    pub fact: String,
    /// Code or short detail (attempt number, reason code, who).
    pub detail: String,
}

/// A message's history, newest last, written and read like a plain list. Copies of the message share its lines, which never
/// change: they are half of the strings in it.
#[derive(Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timeline(Vec<Shared<Event>>);

impl Timeline {
    /// Its lines, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Event> + ExactSizeIterator {
        self.0.iter().map(Deref::deref)
    }

    /// The oldest line.
    pub fn first(&self) -> Option<&Event> {
        self.iter().next()
    }

    /// The newest line.
    pub fn last(&self) -> Option<&Event> {
        self.iter().next_back()
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a line; the oldest go so that at most `lines` are left.
    pub(in crate::store) fn add(&mut self, event: Event, lines: usize) {
        let surplus = self.0.len().saturating_add(1).saturating_sub(lines);
        self.0.drain(..surplus.min(self.0.len()));
        self.0.push(Shared::from(event));
    }
}

impl Clone for Timeline {
    /// A copy is made for the next fact, so it has room for a line more.
    fn clone(&self) -> Timeline {
        let mut lines = Vec::with_capacity(self.0.len().saturating_add(1));
        lines.extend_from_slice(&self.0);
        Timeline(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: i64) -> Event {
        let at = Timestamp::from_second(number).unwrap();
        Event { at, fact: "attempted".to_owned(), detail: number.to_string() }
    }

    fn numbers(timeline: &Timeline) -> Vec<i64> {
        timeline.iter().map(|event| event.at.as_second()).collect()
    }

    #[test]
    fn a_history_is_written_and_read_as_a_plain_list_of_its_lines() {
        let mut timeline = Timeline::default();
        assert!(timeline.is_empty() && timeline.first().is_none() && timeline.last().is_none());
        [1, 2].into_iter().for_each(|number| timeline.add(line(number), 100));
        let written = serde_json::to_string(&timeline).unwrap();
        assert_eq!(written, serde_json::to_string(&[line(1), line(2)]).unwrap());
        assert_eq!(serde_json::from_str::<Timeline>(&written).unwrap(), timeline);
        assert_eq!((timeline.first(), timeline.last()), (Some(&line(1)), Some(&line(2))));
    }

    #[test]
    fn copies_share_their_lines_and_one_that_grows_leaves_the_other_as_it_was() {
        let mut timeline = Timeline::default();
        [1, 2].into_iter().for_each(|number| timeline.add(line(number), 3));
        let mut copy = timeline.clone();
        assert!(timeline.iter().zip(copy.iter()).all(|(one, other)| std::ptr::eq(one, other)));
        [3, 4].into_iter().for_each(|number| copy.add(line(number), 3));
        assert_eq!((numbers(&timeline), numbers(&copy)), (vec![1, 2], vec![2, 3, 4]));
        assert_eq!(copy.len(), 3);
    }
}
