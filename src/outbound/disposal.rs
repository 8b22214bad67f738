//! Claimed files whose messages are recorded wait here for their end: one thread at a time sees to all of them. To wake one
//! for each costs more than what it does then.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::scan::Claim;
use crate::store::record::Message;

/// What waits to be disposed of, and whether somebody is at it.
#[derive(Default)]
pub(super) struct Disposal(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    waiting: Vec<Waiting>,
    /// A [`Turn`] is not over.
    taken: bool,
}

struct Waiting {
    claim: Claim,
    /// Its message, if it was recorded this moment.
    recorded: Option<Arc<Message>>,
    /// Hears what came of it.
    told: oneshot::Sender<io::Result<()>>,
}

impl Disposal {
    /// Adds a claimed file. The first value tells what came of it, and fails when its turn broke off. The second is there
    /// when nobody has the turn, and is to be [run](Turn::run) on a thread that may block.
    pub(super) fn add(
        self: &Arc<Disposal>,
        claim: Claim,
        recorded: Option<Arc<Message>>,
    ) -> (oneshot::Receiver<io::Result<()>>, Option<Turn>) {
        let (told, disposed) = oneshot::channel();
        let mut queue = self.lock();
        queue.waiting.push(Waiting { claim, recorded, told });
        let turn = (!queue.taken).then(|| Turn { disposal: self.clone(), over: false });
        queue.taken = true;
        (disposed, turn)
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The one who disposes of what waits.
pub(super) struct Turn {
    disposal: Arc<Disposal>,
    /// Nothing waited any more.
    over: bool,
}

impl Turn {
    /// Disposes of what waits, and of what comes meanwhile.
    pub(super) fn run(mut self, dispose: impl Fn(&Claim, Option<&Message>) -> io::Result<()>) {
        while let Some(waiting) = self.next() {
            for Waiting { claim, recorded, told } in waiting {
                // Whoever does not wait any more needs no word.
                let _ = told.send(dispose(&claim, recorded.as_deref()));
            }
        }
    }

    /// All that waits; the turn is over when there is nothing.
    fn next(&mut self) -> Option<Vec<Waiting>> {
        let mut queue = self.disposal.lock();
        if queue.waiting.is_empty() {
            (queue.taken, self.over) = (false, true);
            return None;
        }
        Some(std::mem::take(&mut queue.waiting))
    }
}

/// Before it is over only by a panic, or because the runtime ended first: whoever waits hears of it, and others may begin.
impl Drop for Turn {
    fn drop(&mut self) {
        if !self.over {
            let mut queue = self.disposal.lock();
            queue.taken = false;
            let left = std::mem::take(&mut queue.waiting);
            drop(queue);
            drop(left);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::ground::id::Id;

    fn claim(number: u8) -> Claim {
        let (id, file_name) = (Id::from_bytes([number; 16]), format!("{number}.xml"));
        let path = format!("exchange/customs/.claimed/{id}~{file_name}").into();
        Claim { id, partner: "customs".to_owned(), file_name, path, is_folder: false }
    }

    #[test]
    fn all_that_waits_and_what_comes_meanwhile_is_disposed_of_in_one_turn() {
        let disposal = Arc::new(Disposal::default());
        let (first, turn) = disposal.add(claim(1), None);
        let (second, none) = disposal.add(claim(2), None);
        assert!(none.is_none(), "one has the turn");
        let late = Mutex::new(None);
        let count = AtomicUsize::new(0);
        turn.unwrap().run(|one, _| {
            count.fetch_add(1, Ordering::Relaxed);
            if one.file_name == "1.xml" {
                let (third, none) = disposal.add(claim(3), None);
                assert!(none.is_none());
                *late.lock().unwrap() = Some(third);
            }
            if one.file_name == "2.xml" { Err(io::ErrorKind::PermissionDenied.into()) } else { Ok(()) }
        });
        let third = late.into_inner().unwrap().unwrap();
        assert_eq!(count.into_inner(), 3);
        assert!(first.blocking_recv().unwrap().is_ok());
        let refused = second.blocking_recv().unwrap().unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied, "each hears what came of its own");
        assert!(third.blocking_recv().unwrap().is_ok());
        assert!(disposal.add(claim(4), None).1.is_some(), "the turn was over");
    }

    #[test]
    fn a_turn_that_breaks_off_tells_all_who_wait_and_leaves_its_place_to_the_next() {
        let disposal = Arc::new(Disposal::default());
        let (first, turn) = disposal.add(claim(1), None);
        let (second, _) = disposal.add(claim(2), None);
        let broken = std::panic::AssertUnwindSafe(|| turn.unwrap().run(|_, _| panic!("expected by this test")));
        assert!(std::panic::catch_unwind(broken).is_err());
        assert!(first.blocking_recv().is_err() && second.blocking_recv().is_err());
        let (third, turn) = disposal.add(claim(3), None);
        drop(turn.unwrap());
        assert!(third.blocking_recv().is_err(), "it never began");
        let (fourth, turn) = disposal.add(claim(4), None);
        turn.unwrap().run(|_, _| Ok(()));
        assert!(fourth.blocking_recv().unwrap().is_ok());
    }
}
