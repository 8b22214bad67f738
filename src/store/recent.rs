//! The messages changed or taken up last, as the index has them, so that a message in work is not read from its JSON at every
//! step.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::record::{Message, PublicationStage, State};
use crate::ground::id::Id;

/// Messages kept at most.
const KEPT: usize = 2048;
/// Messages with a longer stored form than this are not kept, so that memory stays bounded.
const LONGEST: usize = 16 * 1024;

/// A message as the index has it.
#[derive(Debug, Clone)]
pub(super) struct Indexed {
    /// The message.
    pub(super) message: Arc<Message>,
    /// What its entry adds to the index's sum; none while the map does not have it.
    pub(super) sum: Option<u64>,
    /// Every fact up to this frame is in it.
    pub(super) sequence: u64,
}

/// What was written last, and what was read by those who are about to change it. What was read comes in only if the map was not
/// written since: otherwise an older message could stand over a newer one. What is written later takes its place.
#[derive(Debug, Default)]
pub(super) struct Recent {
    messages: HashMap<Id, Indexed>,
    /// In the order in which they came in; those that left early are still in here.
    order: VecDeque<Id>,
    /// Times that the map was written.
    writes: u64,
}

impl Recent {
    pub(super) fn get(&self, id: &Id) -> Option<&Indexed> {
        self.messages.get(id)
    }

    /// How often the map was written: to be asked before a message is read from it.
    pub(super) fn writes(&self) -> u64 {
        self.writes
    }

    /// Somebody is about to work on this message, which was read from the map when that had been written `writes` times; its
    /// stored form has `len` bytes.
    pub(super) fn learn(&mut self, indexed: &Indexed, len: usize, writes: u64) {
        if self.writes == writes && !self.messages.contains_key(&indexed.message.id) {
            self.put(indexed.clone(), len);
        }
    }

    /// The map has these messages now, with stored forms of so many bytes, and those no more. That has to be said before they no
    /// longer wait in memory: from then on whoever asks is answered from here.
    pub(super) fn follow(&mut self, written: Vec<(Indexed, usize)>, forgotten: &[Id]) {
        self.writes = self.writes.wrapping_add(1);
        written.into_iter().for_each(|(indexed, len)| self.put(indexed, len));
        forgotten.iter().for_each(|id| drop(self.messages.remove(id)));
    }

    /// The index has this message now; its stored form has `len` bytes.
    fn put(&mut self, indexed: Indexed, len: usize) {
        let id = indexed.message.id;
        if len > LONGEST || is_at_rest(&indexed.message) {
            self.messages.remove(&id);
            return;
        }
        if self.messages.insert(id, indexed).is_none() {
            self.order.push_back(id);
        }
        while self.order.len() > KEPT {
            if let Some(oldest) = self.order.pop_front() {
                self.messages.remove(&oldest);
            }
        }
    }
}

/// Nothing more happens to it by itself.
fn is_at_rest(message: &Message) -> bool {
    let published = |stage: &PublicationStage| matches!(stage, PublicationStage::Published(_));
    message.due.is_none()
        && message.state != State::Received
        && message.publications.iter().all(|(_, stage)| published(stage))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::store::apply;
    use crate::store::record::{Came, Fact, JobKind, Reason};

    fn queued() -> Message {
        let fact = Fact::Queued {
            kind: JobKind::Payload,
            partner: "customs".to_owned(),
            file_name: "order.xml".to_owned(),
            payload: None,
            declaration: None,
            about: None,
        };
        apply(None, Id::new(Timestamp::UNIX_EPOCH), Timestamp::UNIX_EPOCH, &fact).unwrap()
    }

    fn put(recent: &mut Recent, message: &Message, len: usize) {
        recent.put(Indexed { message: Arc::new(message.clone()), sum: None, sequence: 0 }, len);
    }

    #[test]
    fn messages_in_work_are_kept_and_those_at_rest_leave() {
        let mut recent = Recent::default();
        let message = queued();
        put(&mut recent, &message, 100);
        assert!(recent.get(&message.id).is_some());
        let reason = Reason { code: "test".to_owned(), text: crate::bilingual!("测试", "test") };
        let held = Fact::Held { reason, by: "test".to_owned(), came: Came::Unknown };
        let held = apply(Some(message), Id::new(Timestamp::UNIX_EPOCH), Timestamp::UNIX_EPOCH, &held).unwrap();
        put(&mut recent, &held, 100);
        assert!(recent.get(&held.id).is_none());
    }

    #[test]
    fn a_message_that_grew_long_is_not_answered_from_an_older_form() {
        let mut recent = Recent::default();
        let message = queued();
        put(&mut recent, &message, LONGEST);
        put(&mut recent, &message, LONGEST + 1);
        assert!(recent.get(&message.id).is_none());
    }

    fn indexed(message: &Message, sequence: u64) -> Indexed {
        Indexed { message: Arc::new(message.clone()), sum: None, sequence }
    }

    fn sequence_of(recent: &Recent, message: &Message) -> Option<u64> {
        recent.get(&message.id).map(|indexed| indexed.sequence)
    }

    #[test]
    fn what_was_read_before_the_map_was_written_does_not_come_in_after_it() {
        let mut recent = Recent::default();
        let (message, other) = (queued(), queued());
        let before = recent.writes();
        recent.follow(vec![(indexed(&other, 2), 100)], &[]);
        recent.learn(&indexed(&message, 1), 100, before);
        assert_eq!(sequence_of(&recent, &message), None, "it may be what was written, or forgotten");
        recent.learn(&indexed(&message, 1), 100, recent.writes());
        assert_eq!(sequence_of(&recent, &message), Some(1));
    }

    #[test]
    fn what_is_written_takes_the_place_of_what_was_read_and_what_is_forgotten_goes() {
        let mut recent = Recent::default();
        let message = queued();
        recent.learn(&indexed(&message, 1), 100, recent.writes());
        recent.follow(vec![(indexed(&message, 2), 100)], &[]);
        assert_eq!(sequence_of(&recent, &message), Some(2));
        recent.learn(&indexed(&message, 1), 100, recent.writes());
        assert_eq!(sequence_of(&recent, &message), Some(2));
        recent.follow(Vec::new(), &[message.id]);
        assert_eq!(sequence_of(&recent, &message), None);
        recent.learn(&indexed(&message, 2), 100, recent.writes());
        recent.follow(vec![(indexed(&message, 3), LONGEST + 1)], &[]);
        assert_eq!(sequence_of(&recent, &message), None, "it is too long now, and its older form is not answered with");
    }

    #[test]
    fn the_oldest_make_room() {
        let mut recent = Recent::default();
        let messages: Vec<Message> = (0..=KEPT).map(|_| queued()).collect();
        messages.iter().for_each(|message| put(&mut recent, message, 100));
        assert!(recent.get(&messages[0].id).is_none() && recent.get(&messages[1].id).is_some());
        assert!(recent.get(&messages[KEPT].id).is_some());
        assert_eq!(recent.order.len(), KEPT);
    }
}
