//! What one sync carries.

use std::future::{Future as _, poll_fn};
use std::io;
use std::sync::{Arc, Mutex, mpsc};
use std::task::Poll;

use super::support::*;
use crate::store::journal::segment::DiskSegments;
use crate::store::journal::writer::{JournalFile, SegmentFiles};
use crate::store::*;

/// Producers of the benchmark of the queue, and the facts that a sync must carry of them.
const PRODUCERS: u16 = 64;
const LEAST: u64 = 20;

/// The first sync lasts until the gate is opened.
type Gate = Arc<Mutex<Option<mpsc::Receiver<()>>>>;

struct SlowSegments(DiskSegments, Gate);

struct SlowFile(Box<dyn JournalFile>, Gate);

impl SegmentFiles for SlowSegments {
    fn create(&mut self, number: u64, header: &[u8]) -> io::Result<Box<dyn JournalFile>> {
        Ok(Box::new(SlowFile(self.0.create(number, header)?, self.1.clone())))
    }

    fn resume(&mut self, number: u64, len: u64) -> io::Result<Box<dyn JournalFile>> {
        Ok(Box::new(SlowFile(self.0.resume(number, len)?, self.1.clone())))
    }

    fn rewrite(&mut self, number: u64, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.rewrite(number, offset, bytes)
    }
}

impl JournalFile for SlowFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.append(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        let gate = self.1.lock().unwrap().take();
        if let Some(gate) = gate {
            gate.recv().unwrap();
        }
        self.0.sync()
    }

    fn cut(&mut self, len: u64) -> io::Result<()> {
        self.0.cut(len)
    }

    fn close(&mut self) -> io::Result<()> {
        self.0.close()
    }
}

#[tokio::test]
async fn what_sixty_four_producers_bring_during_one_sync_is_carried_by_the_next_and_answered_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let (open, gate) = mpsc::channel();
    let gate: Gate = Arc::new(Mutex::new(Some(gate)));
    let files = Box::new(SlowSegments(DiskSegments { dir: dir.path().join("journal") }, gate));
    let (store, _) = Store::open_on(config(dir.path()), files, &|_| {}).unwrap();
    let mut commits: Vec<_> = (0..=PRODUCERS)
        .map(|number| {
            let mut transaction = Transaction::new(at(1));
            let wire = transaction.body(vec![0; 100]);
            transaction.fact(id(number), queued("customs", None));
            transaction.fact(id(number), composed(&format!("<{number}@station>"), wire, at(2)));
            Box::pin(store.commit(transaction))
        })
        .collect();
    let waiting = poll_fn(|context| {
        let pending = commits.iter_mut().filter_map(|commit| commit.as_mut().poll(context).is_pending().then_some(()));
        Poll::Ready(pending.count())
    });
    assert_eq!(waiting.await, usize::from(PRODUCERS) + 1, "nobody is answered before the sync");
    open.send(()).unwrap();
    for commit in commits {
        commit.await.unwrap();
    }
    let figures = store.journal_figures();
    assert_eq!(figures.facts, 2 * (u64::from(PRODUCERS) + 1));
    assert!(figures.syncs <= 3 && figures.facts >= LEAST * figures.syncs, "{figures:?}");
}
