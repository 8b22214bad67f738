//! When a group is taken. At once, as a rule: who commits alone waits for nothing but the disk. Where several commit at a
//! time and the program has as many jobs as there are processors, a moment's pause costs next to nothing, and what commits
//! meanwhile shares a sync, a wake-up of the thread and a change of the index. Some jobs wait for a disk: then a few commits
//! wait for 20 ms that need not. Jobs that wait for a slow peer do not count.

use std::num::NonZero;
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc;

use super::Request;

/// Transactions of one group.
const GROUP: usize = 256;
/// Bytes of one group beyond which no further transaction joins it.
const GROUP_BYTES: usize = 8 * 1024 * 1024;
/// Transactions of the last group from which on several commit at a time.
const SEVERAL: usize = 3;
/// One pause; after each it is looked whether the next is still worth it.
const PAUSE: Duration = Duration::from_millis(5);
/// Pauses before one group.
const PAUSES: u32 = 4;

/// Gathers groups.
pub(super) struct Pace {
    /// Transactions of the last group.
    last: usize,
    /// Jobs that may keep every processor at work.
    busy: usize,
    /// Jobs at work or waiting for a thread.
    jobs: Box<dyn Fn() -> usize + Send>,
    pause: Box<dyn FnMut() + Send>,
}

impl Pace {
    /// Pauses only while `jobs` says that there are as many as there are processors.
    pub(super) fn new(jobs: fn() -> usize) -> Pace {
        let busy = thread::available_parallelism().map_or(1, NonZero::get);
        Pace { last: 0, busy, jobs: Box::new(jobs), pause: Box::new(|| thread::sleep(PAUSE)) }
    }

    /// The next group; none once every sender is gone.
    pub(super) fn next(&mut self, requests: &mut mpsc::Receiver<Request>) -> Option<Vec<Request>> {
        let mut group = Gathered::new(requests.blocking_recv()?);
        group.gather(requests);
        let mut pauses = 0;
        while self.last >= SEVERAL && pauses < PAUSES && !group.is_full() && (self.jobs)() >= self.busy {
            (self.pause)();
            group.gather(requests);
            pauses += 1;
        }
        self.last = group.requests.len();
        Some(group.requests)
    }
}

/// A group on its way.
struct Gathered {
    requests: Vec<Request>,
    bytes: usize,
}

impl Gathered {
    fn new(first: Request) -> Gathered {
        Gathered { bytes: first.len(), requests: vec![first] }
    }

    fn is_full(&self) -> bool {
        self.requests.len() >= GROUP || self.bytes >= GROUP_BYTES
    }

    /// Takes what waits.
    fn gather(&mut self, requests: &mut mpsc::Receiver<Request>) {
        while !self.is_full() {
            let Ok(next) = requests.try_recv() else { break };
            self.bytes = self.bytes.saturating_add(next.len());
            self.requests.push(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::store::Transaction;
    use crate::store::tests::support::at;

    fn send(sender: &mpsc::Sender<Request>, count: usize) {
        for _ in 0..count {
            let (request, _) = Request::new(Transaction::new(at(0))).unwrap();
            sender.try_send(request).unwrap_or_else(|_| panic!("there is room"));
        }
    }

    /// Two processors, so many jobs, and so many commits that come during each pause; counts the pauses.
    fn pace(jobs: usize, sender: &mpsc::Sender<Request>, during: usize) -> (Pace, Arc<AtomicUsize>) {
        let (pauses, sender) = (Arc::new(AtomicUsize::new(0)), sender.clone());
        let counted = pauses.clone();
        let pause = Box::new(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            send(&sender, during);
        });
        (Pace { last: 0, busy: 2, jobs: Box::new(move || jobs), pause }, pauses)
    }

    /// Sends so many at a time and says how many each group had.
    fn groups(
        pace: &mut Pace,
        (sender, receiver): (&mpsc::Sender<Request>, &mut mpsc::Receiver<Request>),
        sent: &[usize],
    ) -> Vec<usize> {
        let mut sizes = Vec::new();
        for count in sent {
            send(sender, *count);
            sizes.push(pace.next(receiver).unwrap().len());
        }
        sizes
    }

    #[test]
    fn who_commits_alone_never_waits_however_busy_the_processors_are() {
        let (sender, mut receiver) = mpsc::channel(512);
        let (mut pace, pauses) = pace(100, &sender, 1);
        assert_eq!(groups(&mut pace, (&sender, &mut receiver), &[1, 2, 1, 2]), [1, 2, 1, 2]);
        assert_eq!(pauses.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn where_several_commit_and_the_processors_are_busy_a_group_has_what_comes_during_four_pauses() {
        let (sender, mut receiver) = mpsc::channel(512);
        let (mut pace, pauses) = pace(2, &sender, 5);
        assert_eq!(groups(&mut pace, (&sender, &mut receiver), &[3, 1]), [3, 21]);
        assert_eq!(pauses.load(Ordering::Relaxed), 4);
    }

    #[test]
    fn nobody_waits_while_a_processor_is_free() {
        let (sender, mut receiver) = mpsc::channel(512);
        let (mut pace, pauses) = pace(1, &sender, 5);
        assert_eq!(groups(&mut pace, (&sender, &mut receiver), &[9, 9, 9]), [9, 9, 9]);
        assert_eq!(pauses.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn pauses_that_bring_nothing_are_not_made_again() {
        let (sender, mut receiver) = mpsc::channel(512);
        let (mut pace, pauses) = pace(2, &sender, 0);
        assert_eq!(groups(&mut pace, (&sender, &mut receiver), &[3, 1, 1, 1]), [3, 1, 1, 1]);
        assert_eq!(pauses.load(Ordering::Relaxed), 4, "before the second group alone");
    }

    #[test]
    fn a_full_group_does_not_wait_and_leaves_the_rest_for_the_next() {
        let (sender, mut receiver) = mpsc::channel(512);
        let (mut pace, pauses) = pace(2, &sender, 0);
        assert_eq!(groups(&mut pace, (&sender, &mut receiver), &[300]), [GROUP]);
        send(&sender, 212);
        assert_eq!(pace.next(&mut receiver).unwrap().len(), GROUP);
        assert_eq!(pauses.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn there_is_no_group_once_everybody_is_gone() {
        let (sender, mut receiver) = mpsc::channel(1);
        let mut pace = Pace { last: 0, busy: 2, jobs: Box::new(|| 2), pause: Box::new(|| {}) };
        send(&sender, 1);
        drop(sender);
        assert_eq!(pace.next(&mut receiver).unwrap().len(), 1);
        assert!(pace.next(&mut receiver).is_none());
    }
}
