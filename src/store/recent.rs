//! The messages changed last, as the index has them, so that a message in work is not read from its JSON at every step.

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

/// What the committer wrote last. Only it puts messages in, after the index has them: a reader that did so could put an
/// older one over a newer.
#[derive(Debug, Default)]
pub(super) struct Recent {
    messages: HashMap<Id, Indexed>,
    /// In the order in which they came in; those that left early are still in here.
    order: VecDeque<Id>,
}

impl Recent {
    pub(super) fn get(&self, id: &Id) -> Option<&Indexed> {
        self.messages.get(id)
    }

    /// The index has this message now; its stored form has `len` bytes.
    pub(super) fn put(&mut self, indexed: Indexed, len: usize) {
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

    /// The index has this message no more.
    pub(super) fn forget(&mut self, id: &Id) {
        self.messages.remove(id);
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
