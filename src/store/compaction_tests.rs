//! A disk that is nearly full: what is long finds no room, a frame that says something does. And the last thing that happened
//! to a body is that it was moved.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::ground::clock::ManualClock;
use crate::store::journal::writer::JournalFile;
use crate::store::journal::{reader, segment_path};
use crate::store::retention::{Keeper, RetentionPolicy};
use crate::store::tests::support::*;
use crate::store::*;

/// Bytes that still find room on a nearly full disk.
const SHORT: usize = 4_000;
const DAY: i64 = 24 * 3600;

/// A disk that has no room for a group of more than so many bytes.
struct Narrow(DiskSegments, Arc<AtomicUsize>);

struct NarrowFile(Box<dyn JournalFile>, Arc<AtomicUsize>);

impl SegmentFiles for Narrow {
    fn create(&mut self, number: u64, header: &[u8]) -> io::Result<Box<dyn JournalFile>> {
        Ok(Box::new(NarrowFile(self.0.create(number, header)?, self.1.clone())))
    }

    fn rewrite(&mut self, number: u64, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.rewrite(number, offset, bytes)
    }

    fn resume(&mut self, number: u64, len: u64) -> io::Result<Box<dyn JournalFile>> {
        Ok(Box::new(NarrowFile(self.0.resume(number, len)?, self.1.clone())))
    }
}

impl JournalFile for NarrowFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() > self.1.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.append(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync()
    }

    fn cut(&mut self, len: u64) -> io::Result<()> {
        self.0.cut(len)
    }

    fn close(&mut self) -> io::Result<()> {
        self.0.close()
    }
}

fn settings(dir: &Path) -> StoreConfig {
    StoreConfig { segment_bytes: 50_000, ..config(dir) }
}

fn cancelled() -> Fact {
    Fact::Cancelled { reason: "enough".to_owned(), by: "ann".to_owned(), files: Vec::new() }
}

/// Two snapshots cover segment 1, of which nothing is kept, and segment 2, of which a wire is. Beside the store its disk:
/// how many bytes find room.
fn nearly_empty(dir: &Path) -> (Store, Body, Arc<AtomicUsize>) {
    let room = Arc::new(AtomicUsize::new(usize::MAX));
    let files = Narrow(DiskSegments { dir: dir.join("journal") }, room.clone());
    let (store, _) = Store::open_on(settings(dir), Box::new(files), &|_| {}).unwrap();
    let [first, second] = [1, 2].map(|number| {
        let mut transaction = Transaction::new(at(1));
        let (payload, wire) = (transaction.body(vec![1; 60_000]), transaction.body(vec![2; 20_000]));
        transaction.fact(id(number), queued("customs", Some(payload)));
        transaction.fact(id(number), composed(&format!("<{number}@station>"), wire, at(2)));
        transaction.fact(id(number), cancelled());
        store.commit_blocking(transaction).unwrap();
        (payload, wire)
    });
    let all = vec![first.0.id, first.1.id];
    happen(&store, id(1), 3, Fact::Purged { why: reason("retention"), bodies: all }).unwrap();
    happen(&store, id(2), 4, Fact::PayloadPurged { why: reason("retention"), bodies: vec![second.0.id] }).unwrap();
    store.take_snapshot(&|| false).unwrap().unwrap();
    compose_one(&store, 3, "customs", at(5));
    store.take_snapshot(&|| false).unwrap().unwrap();
    assert_eq!(segments(dir), [1, 2, 3]);
    (store, second.1, room)
}

fn segments(dir: &Path) -> Vec<u64> {
    reader::segment_numbers(&dir.join("journal")).unwrap()
}

#[test]
fn without_room_to_move_bodies_segments_that_nothing_is_kept_in_go_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let (store, wire, room) = nearly_empty(dir.path());
    room.store(SHORT, Ordering::SeqCst);
    let refused = store.compact(&|| false);
    assert!(matches!(refused, Err(KeepError::Commit(CommitError::NoSpace))), "{refused:?}");
    assert_eq!(segments(dir.path()), [2, 3], "the one that is still needed stays");
    room.store(usize::MAX, Ordering::SeqCst);
    let done = store.compact(&|| false).unwrap();
    assert_eq!((done.moved, done.segments, segments(dir.path())), (1, 1, vec![3]));
    assert_eq!(store.read_all(&wire, u64::MAX).unwrap(), [2; 20_000]);
    store.verify_journal_and_bodies().unwrap();
}

#[test]
fn without_room_for_what_expires_a_pass_gives_back_what_has_expired_before() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _, room) = nearly_empty(dir.path());
    // Together they are a long frame.
    for number in 100..140 {
        let mut transaction = Transaction::new(at(6));
        transaction.fact(id(number), queued("customs", None));
        transaction.fact(id(number), cancelled());
        store.commit_blocking(transaction).unwrap();
    }
    let before = store.counts().total();
    room.store(SHORT, Ordering::SeqCst);
    let policy = RetentionPolicy { evidence: Duration::from_secs(1000 * 24 * 3600), payload: Duration::MAX };
    let keeper = Keeper::new(store.clone(), policy, Arc::new(ManualClock::new(at(2000 * DAY))));
    let refused = keeper.pass(&|| false);
    assert!(matches!(refused, Err(KeepError::Commit(CommitError::NoSpace))), "{refused:?}");
    assert_eq!((store.counts().total(), segments(dir.path())), (before, vec![2, 3]));
    room.store(usize::MAX, Ordering::SeqCst);
    assert_eq!(keeper.pass(&|| false).unwrap().messages, 41);
}

#[test]
fn a_backup_goes_on_in_its_folder_though_the_frame_behind_its_last_one_was_given_back() {
    let (home, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (store, _) = Store::open(settings(home.path())).unwrap();
    let back_up = || store.backup(folder.path(), &backup::Beside::default(), at(50), &|_| {}).unwrap();
    let fill_a_segment = |number| {
        let mut transaction = Transaction::new(at(1));
        let payload = transaction.body(vec![1; 60_000]);
        transaction.fact(id(number), queued("customs", Some(payload)));
        transaction.fact(id(number), cancelled());
        store.commit_blocking(transaction).unwrap();
        payload.id
    };
    let first = fill_a_segment(1);
    let earlier = back_up();
    let second = fill_a_segment(2);
    for (number, body) in [(1, first), (2, second)] {
        happen(&store, id(number), 3, Fact::Purged { why: reason("retention"), bodies: vec![body] }).unwrap();
    }
    store.take_snapshot(&|| false).unwrap().unwrap();
    compose_one(&store, 3, "customs", at(5));
    store.take_snapshot(&|| false).unwrap().unwrap();
    store.compact(&|| false).unwrap();
    assert_eq!(segments(home.path()), [3]);
    assert!(back_up().sequence > earlier.sequence);
}

#[test]
fn bodies_that_were_moved_last_of_all_are_where_they_are_in_an_index_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let (store, wire, _) = nearly_empty(dir.path());
    let place = |store: &Store| store.0.index.body(&wire.id).unwrap();
    let earlier = place(&store);
    // It stops behind the move: no facts follow.
    assert!(matches!(store.compact(&|| true), Err(KeepError::Stopped)));
    let (moved, digest) = (place(&store), store.state_digest().unwrap());
    assert_ne!(moved, earlier);
    drop(store);
    for snapshots in [true, false] {
        std::fs::remove_dir_all(dir.path().join("index")).unwrap();
        if !snapshots {
            let journal = dir.path().join("journal");
            let all = snapshot::list(&journal).unwrap();
            all.into_iter().for_each(|from| std::fs::remove_file(snapshot::path(&journal, from)).unwrap());
        }
        let (store, report) = Store::open(settings(dir.path())).unwrap();
        assert_eq!((report.snapshot.is_some(), place(&store)), (snapshots, moved));
        assert_eq!(store.state_digest().unwrap(), digest);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_body_that_the_disk_does_not_give_back_holds_up_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _, _) = nearly_empty(dir.path());
    let second = segment_path(&dir.path().join("journal"), 2);
    std::fs::remove_file(&second).unwrap();
    // Nothing is at such low addresses: EIO.
    std::os::unix::fs::symlink("/proc/self/mem", &second).unwrap();
    let mut damaged = None;
    assert_eq!(store.empty(&[2], &|| false, &mut damaged).unwrap(), 0);
    assert!(matches!(damaged, Some(KeepError::Store(error)) if error.is_damage()));
}
