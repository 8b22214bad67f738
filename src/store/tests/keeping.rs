//! Snapshots, retention and compaction: what is given back, what never is, and every crash in between.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::support::*;
use crate::ground::clock::ManualClock;
use crate::store::group::FactsRecord;
use crate::store::journal::reader;
use crate::store::journal::segment_path;
use crate::store::record::Reach;
use crate::store::retention::{Keeper, RetentionPolicy};
use crate::store::*;

const DAY: i64 = 24 * 3600;
const POLICY: RetentionPolicy =
    RetentionPolicy { evidence: Duration::from_secs(1000 * 24 * 3600), payload: Duration::from_secs(90 * 24 * 3600) };

fn small(dir: &Path) -> StoreConfig {
    StoreConfig { segment_bytes: 6_000, snapshot_bytes: 1, ..config(dir) }
}

pub(super) fn open_small(dir: &Path) -> (Store, RecoveryReport) {
    Store::open(small(dir)).unwrap()
}

pub(super) fn go_on() -> bool {
    false
}

/// Messages on their way, settled, published, with large bodies and stray receipts.
pub(super) fn live(store: &Store, from: u16) {
    for number in from..from + 6 {
        let outbound = compose_one(store, number, "customs", at(50));
        happen(store, outbound, 60, Fact::Attempted { number: 1 }).unwrap();
        let mut transaction = Transaction::new(at(61));
        let body = transaction.body(format!("receipt {number}").into_bytes());
        transaction.fact(outbound, Fact::Delivered { receipt: Some(receipt(body)), note: None, files: Vec::new() });
        let stray = transaction.body(b"stray".to_vec());
        transaction.fact(outbound, Fact::StrayReceipt { reason: reason("late"), receipt: receipt(stray) });
        store.commit_blocking(transaction).unwrap();
        let inbound = accept_one(store, number + 1000);
        if number % 2 == 0 {
            happen(store, inbound, 62, Fact::Staged { index: 0 }).unwrap();
            happen(store, inbound, 63, Fact::Published { index: 0, name: "receipt.xml".to_owned() }).unwrap();
        }
    }
    let mut writer = store.body_writer().unwrap();
    writer.write_all(&[7; 9_000]).unwrap();
    let body = writer.finish().unwrap();
    let large = id(from + 2000);
    happen(store, large, 64, queued("customs", Some(body))).unwrap();
    let why = "enough".to_owned();
    happen(store, large, 65, Fact::Cancelled { reason: why, by: "ann".to_owned(), files: Vec::new() }).unwrap();
}

fn receipt(body: Body) -> Receipt {
    Receipt {
        body,
        headers: crate::mime::Headers::new(),
        disposition: "processed".to_owned(),
        mic: None,
        mic_matches: None,
        signer: None,
    }
}

pub(super) fn keeper(store: &Store, day: i64) -> Keeper {
    Keeper::new(store.clone(), POLICY, Arc::new(ManualClock::new(at(day * DAY))))
}

/// What the store answers, as one value.
fn state(store: &Store) -> [u8; 32] {
    store.state_digest().unwrap()
}

fn segments(dir: &Path) -> Vec<u64> {
    reader::segment_numbers(&dir.join("journal")).unwrap()
}

fn without_index(dir: &Path) {
    fs::remove_dir_all(dir.join("index")).unwrap();
}

fn snapshots(dir: &Path) -> Vec<PathBuf> {
    let journal = dir.join("journal");
    snapshot::list(&journal).unwrap().into_iter().map(|sequence| snapshot::path(&journal, sequence)).collect()
}

/// A store whose payloads and some messages expired, compacted; the journal no longer begins with segment 1.
fn compacted(dir: &Path) -> (Store, [u8; 32]) {
    let (store, _) = open_small(dir);
    live(&store, 1);
    store.take_snapshot(&go_on).unwrap().unwrap();
    live(&store, 101);
    let first = keeper(&store, 100).pass(&go_on).unwrap();
    assert!(first.payloads > 0 && first.messages == 0, "{first:?}");
    assert!(first.compacted.segments > 0, "{first:?}");
    let state = state(&store);
    (store, state)
}

#[test]
fn a_rebuild_from_a_snapshot_equals_one_from_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open_small(dir.path());
    live(&store, 1);
    let frame = store.take_snapshot(&go_on).unwrap();
    assert_eq!(store.take_snapshot(&go_on).unwrap(), None);
    live(&store, 101);
    let (before, digest) = (everything(&store), state(&store));
    drop(store);
    without_index(dir.path());
    let (store, report) = open_small(dir.path());
    assert_eq!((report.snapshot, report.bad_snapshots.len()), (frame, 0));
    assert_eq!((everything(&store), state(&store)), (before, digest));
    let verified = store.verify_journal_and_bodies().unwrap();
    assert_eq!((verified.frames, verified.snapshots), (report.last_sequence, 1));
    drop(store);
    without_index(dir.path());
    snapshots(dir.path()).iter().for_each(|path| fs::remove_file(path).unwrap());
    let (store, report) = open_small(dir.path());
    assert_eq!((state(&store), report.snapshot), (digest, None));
}

#[test]
fn a_snapshot_taken_while_messages_flow_loses_and_doubles_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open_small(dir.path());
    live(&store, 1);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 1..8 {
                live(&store, 1 + round * 100);
                keeper(&store, 100 + i64::from(round)).pass(&|| true).ok();
            }
            done.store(true, Ordering::Release);
        });
        while !done.load(Ordering::Acquire) {
            store.take_snapshot(&go_on).unwrap();
        }
    });
    let digest = state(&store);
    drop(store);
    let sequences = snapshots(dir.path());
    assert_eq!(sequences.len(), 2);
    without_index(dir.path());
    let (store, report) = open_small(dir.path());
    assert!(report.snapshot.is_some() && report.bad_snapshots.is_empty(), "{report:?}");
    assert_eq!(state(&store), digest);
}

#[test]
fn a_snapshot_with_any_bit_flipped_is_passed_over_and_said() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open_small(dir.path());
    live(&store, 1);
    store.take_snapshot(&go_on).unwrap().unwrap();
    let digest = state(&store);
    drop(store);
    let path = snapshots(dir.path()).remove(0);
    let whole = fs::read(&path).unwrap();
    for offset in (0..whole.len()).step_by(whole.len() / 12) {
        let mut bytes = whole.clone();
        bytes[offset] ^= 16;
        fs::write(&path, bytes).unwrap();
        without_index(dir.path());
        let (store, report) = open_small(dir.path());
        assert_eq!((report.snapshot, report.bad_snapshots.len()), (None, 1), "flipped at {offset}");
        assert_eq!(state(&store), digest);
        assert_eq!(store.verify_journal().unwrap_err().code(), "journal-damaged");
    }
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    without_index(dir.path());
    assert_eq!(open_small(dir.path()).1.bad_snapshots.len(), 1);
}

#[test]
fn a_snapshot_that_was_swapped_for_another_whole_one_is_not_used() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for dir in [one.path(), other.path()] {
        let (store, _) = open_small(dir);
        live(&store, 1);
        store.take_snapshot(&go_on).unwrap().unwrap();
    }
    let path = snapshots(one.path()).remove(0);
    fs::copy(snapshots(other.path()).remove(0), &path).unwrap();
    without_index(one.path());
    let (_, report) = open_small(one.path());
    assert_eq!((report.snapshot, report.bad_snapshots.len()), (None, 1), "{report:?}");
}

#[test]
fn a_snapshot_without_its_frame_is_not_used() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open_small(dir.path());
    live(&store, 1);
    let journal = dir.path().join("journal");
    snapshot::write(&store.0.index, &journal, &go_on).unwrap();
    let digest = state(&store);
    drop(store);
    let copy = tempfile::tempdir().unwrap();
    copy_dir(dir.path(), copy.path());
    without_index(copy.path());
    let (store, report) = open_small(copy.path());
    assert_eq!((report.snapshot, state(&store)), (None, digest));
    drop(open_small(dir.path()));
    assert!(snapshots(dir.path()).is_empty(), "a sound start removes what nobody vouches for");
}

#[test]
fn expired_payloads_and_messages_give_their_space_back_and_the_chain_still_holds() {
    let dir = tempfile::tempdir().unwrap();
    let (store, digest) = compacted(dir.path());
    assert!(segments(dir.path())[0] > 1);
    let wires = store.messages(&Filter::default());
    for message in &wires {
        let wire = message.wire.filter(|_| message.payload_purged.is_some());
        assert!(wire.is_none_or(|wire| store.read_all(&wire, u64::MAX).is_ok()), "evidence stays");
    }
    let verified = store.verify_journal_and_bodies().unwrap();
    assert!(verified.retired > 0 && verified.snapshots == 2, "{verified:?}");
    drop(store);
    without_index(dir.path());
    let (store, report) = open_small(dir.path());
    assert!(report.snapshot.is_some(), "{report:?}");
    assert_eq!(state(&store), digest);
    store.verify_journal_and_bodies().unwrap();

    let kept = keeper(&store, 2000).pass(&go_on).unwrap();
    assert!(kept.messages > 0);
    let rest = store.messages(&Filter { limit: usize::MAX, ..Filter::default() });
    let open = |message: &Message| !message.may_expire();
    assert!(!rest.is_empty() && rest.iter().all(open), "only what is unpublished is left");
    assert_eq!(store.counts().total(), rest.len() as u64);
    assert_eq!(fs::read_dir(dir.path().join("bodies")).unwrap().count(), 0);
    let digest = state(&store);
    live(&store, 301);
    keeper(&store, 2001).pass(&go_on).unwrap();
    drop(store);
    let (store, _) = open_small(dir.path());
    assert_ne!(state(&store), digest);
    store.verify_journal_and_bodies().unwrap();
}

#[test]
fn a_damaged_body_keeps_its_segment_until_it_expires_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open_small(dir.path());
    live(&store, 1);
    store.take_snapshot(&go_on).unwrap().unwrap();
    live(&store, 101);
    let first = segment_path(&dir.path().join("journal"), 1);
    let mut bytes = fs::read(&first).unwrap();
    let place = memchr::memmem::find(&bytes, b"inbound wire 1002").unwrap();
    bytes[place] ^= 1;
    fs::write(&first, bytes).unwrap();
    for day in [100, 101] {
        let error = keeper(&store, day).pass(&go_on).unwrap_err();
        assert!(matches!(&error, KeepError::Store(StoreError::Damaged { path, .. }) if *path == first), "{error}");
    }
    assert!(segments(dir.path()).starts_with(&[1]) && !segments(dir.path()).contains(&2));
    keeper(&store, 2000).pass(&go_on).unwrap();
    assert!(!segments(dir.path()).contains(&1), "its neighbour went before");
    let digest = state(&store);
    drop(store);
    without_index(dir.path());
    let (store, _) = open_small(dir.path());
    assert_eq!(state(&store), digest);
}

#[test]
fn what_is_open_unpublished_or_under_legal_hold_never_expires() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open_small(dir.path());
    let open = compose_one(&store, 1, "customs", at(50));
    let unpublished = accept_one(&store, 2);
    let held = accept_one(&store, 3);
    let free = accept_one(&store, 4);
    for message in [held, free] {
        happen(&store, message, 5, Fact::Staged { index: 0 }).unwrap();
        happen(&store, message, 6, Fact::Published { index: 0, name: "receipt.xml".to_owned() }).unwrap();
    }
    happen(&store, held, 7, Fact::LegalHeld { reason: "audit 7".to_owned(), by: "ann".to_owned() }).unwrap();
    let refused = happen(&store, held, 8, Fact::Purged { why: reason("retention"), bodies: Vec::new() });
    assert!(matches!(refused, Err(CommitError::Conflict(Conflict::Transition { .. }))));
    let free_key = key("4@customs");
    assert!(store.by_dedup_key(&free_key).is_some());
    let kept = keeper(&store, 5000).pass(&go_on).unwrap();
    assert_eq!((kept.payloads, kept.messages), (0, 1));
    assert!(store.message(&free).is_none() && store.by_dedup_key(&free_key).is_none());
    for message in [open, unpublished, held] {
        assert!(store.message(&message).is_some());
    }
    happen(&store, held, 9, Fact::LegalReleased { reason: "closed".to_owned(), by: "ann".to_owned() }).unwrap();
    assert_eq!(keeper(&store, 5000).pass(&go_on).unwrap().messages, 1);
    assert!(store.message(&held).is_none());
}

#[test]
fn what_came_after_the_decision_does_not_expire_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open_small(dir.path());
    let message = accept_one(&store, 1);
    happen(&store, message, 5, Fact::Staged { index: 0 }).unwrap();
    happen(&store, message, 6, Fact::Published { index: 0, name: "receipt.xml".to_owned() }).unwrap();
    let mut bodies: Vec<Id> = store.message(&message).unwrap().bodies().iter().map(|body| body.id).collect();
    let later = bodies.pop().unwrap();
    let purge = |bodies| Fact::Purged { why: reason("retention"), bodies };
    let refused = happen(&store, message, 8, purge(bodies.clone()));
    assert!(matches!(refused, Err(CommitError::Conflict(Conflict::Transition { .. }))), "one body is not named");
    bodies.push(later);
    happen(&store, message, 9, purge(bodies)).unwrap();
    assert!(store.message(&message).is_none());
}

#[test]
fn a_key_outlives_the_shortest_time_whatever_the_policy_says() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open_small(dir.path());
    let message = accept_one(&store, 1);
    happen(&store, message, 5, Fact::Staged { index: 0 }).unwrap();
    happen(&store, message, 6, Fact::Published { index: 0, name: "receipt.xml".to_owned() }).unwrap();
    let hasty = RetentionPolicy { evidence: Duration::ZERO, payload: Duration::ZERO };
    for (day, kept) in [(89, true), (91, false)] {
        let clock = Arc::new(ManualClock::new(at(day * DAY)));
        Keeper::new(store.clone(), hasty, clock).pass(&go_on).unwrap();
        assert_eq!(store.by_dedup_key(&key("1@customs")).is_some(), kept, "day {day}");
    }
}

/// Copies of the directory at every step stand for a crash there; each opens with the same answers, from its index
/// and from its journal alone.
#[test]
fn every_step_of_a_compaction_may_be_the_last() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open_small(dir.path());
    live(&store, 1);
    store.take_snapshot(&go_on).unwrap().unwrap();
    live(&store, 101);
    let purged = keeper(&store, 100);
    let copies = std::cell::RefCell::new(Vec::new());
    let keep = |store: &Store| {
        store.0.index.flush().unwrap();
        let copy = tempfile::tempdir().unwrap();
        copy_dir(dir.path(), copy.path());
        copies.borrow_mut().push((copy, everything(store).messages));
    };
    keep(&store);
    let asked = std::cell::Cell::new(0);
    let each = || {
        asked.set(asked.get() + 1);
        keep(&store);
        false
    };
    purged.pass(&each).unwrap();
    keep(&store);
    let messages = everything(&store).messages;
    drop(store);
    assert!(asked.get() >= 4, "{} steps", asked.get());
    for (copy, before) in copies.into_inner() {
        let (store, _) = open_small(copy.path());
        assert_eq!(everything(&store).messages, before);
        store.verify_journal_and_bodies().unwrap();
        keeper(&store, 100).pass(&go_on).unwrap();
        let after = everything(&store).messages;
        drop(store);
        without_index(copy.path());
        let (store, _) = open_small(copy.path());
        assert_eq!(everything(&store).messages, after);
        assert_eq!(after.len(), messages.len());
    }
}

#[test]
fn a_retirement_cut_off_between_its_frame_and_its_files_is_finished_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open_small(dir.path());
    live(&store, 1);
    store.take_snapshot(&go_on).unwrap().unwrap();
    live(&store, 101);
    let whole = tempfile::tempdir().unwrap();
    copy_dir(&dir.path().join("journal"), whole.path());
    keeper(&store, 100).pass(&go_on).unwrap();
    let digest = state(&store);
    drop(store);
    let left = segments(dir.path());
    let gone: Vec<u64> = reader::segment_numbers(whole.path()).unwrap();
    let gone: Vec<u64> = gone.into_iter().filter(|number| !left.contains(number)).collect();
    assert!(!gone.is_empty());
    for keep in 1..=gone.len() {
        for index in [true, false] {
            for number in gone.iter().rev().take(keep) {
                fs::copy(segment_path(whole.path(), *number), segment_path(&dir.path().join("journal"), *number))
                    .unwrap();
            }
            if !index {
                without_index(dir.path());
            }
            let (store, _) = open_small(dir.path());
            assert_eq!((state(&store), segments(dir.path())), (digest, left.clone()));
            store.verify_journal_and_bodies().unwrap();
        }
    }
}

#[test]
fn when_the_latest_snapshot_is_damaged_the_one_before_serves_even_after_segments_went() {
    let dir = tempfile::tempdir().unwrap();
    let (store, digest) = compacted(dir.path());
    drop(store);
    let latest = snapshots(dir.path()).remove(0);
    let mut bytes = fs::read(&latest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&latest, &bytes).unwrap();
    without_index(dir.path());
    let (store, report) = open_small(dir.path());
    assert_eq!(report.bad_snapshots.iter().map(|(path, _)| path).collect::<Vec<_>>(), [&latest]);
    assert!(report.snapshot.is_some());
    assert_eq!(state(&store), digest);
    drop(store);
    let earlier = snapshots(dir.path()).remove(1);
    fs::remove_file(&earlier).unwrap();
    without_index(dir.path());
    let error = Store::open(small(dir.path())).unwrap_err();
    assert!(matches!(&error, StoreError::Damaged { path, .. } if *path == latest), "{error}");
}

#[test]
fn a_missing_segment_that_was_not_retired_is_damage_even_when_the_index_is_sound() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open_small(dir.path());
    live(&store, 1);
    drop(store);
    let lost = segment_path(&dir.path().join("journal"), 2);
    fs::remove_file(&lost).unwrap();
    let error = Store::open(small(dir.path())).unwrap_err();
    assert!(matches!(&error, StoreError::Damaged { path, .. } if *path == lost), "{error}");
}

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/snapshot-v");

/// An index with one message of each direction; nothing in it depends on chance or time.
fn fixed_index(dir: &Path) -> index::Index {
    let db = db::Db::open(dir, 1 << 20).unwrap();
    let (index, _) = index::Index::inspect(db).unwrap();
    let wire = Body { id: id(7), len: 4, sha256: Some([0xab; 32]), crc32c: None };
    let payload = Body { id: id(8), len: 5, sha256: Some([0xac; 32]), crc32c: None };
    let mut group = group::Group::new(&index);
    let location = |offset| index::Location::Journal { segment: 1, offset, len: 4 };
    group.place_body(wire.id, location(170));
    for (sequence, fact) in [(2, queued("customs", Some(payload))), (3, composed("<1@station>", wire, at(9)))] {
        let record = FactsRecord { at: at(1), facts: vec![(id(1), fact)], link: None, change: None };
        let judged = group.replay(&record, sequence).unwrap();
        group.accept(judged, sequence);
    }
    let inbound = Body { id: id(9), len: 4, sha256: Some([0xad; 32]), crc32c: None };
    group.place_body(inbound.id, location(400));
    let facts = vec![(id(2), accepted("2@customs", inbound, inbound))];
    let record = FactsRecord { at: at(2), facts, link: None, change: None };
    let judged = group.replay(&record, 5).unwrap();
    group.accept(judged, 5);
    let (changes, _) = group.finish(5).unwrap();
    index.apply(changes, index::Applied { sequence: 5, hash: [0xcd; 32] }).unwrap();
    index
}

#[test]
fn snapshot_formats_1_and_2_are_read_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let written = fixed_index(&dir.path().join("index"));
    snapshot::write(&written, dir.path(), &go_on).unwrap();
    for (format, golden) in [1, 2].map(|format| (format, format!("{GOLDEN}{format}.snapshot"))) {
        if std::env::var_os("DXGATE_NEW_GOLDEN_FILES").is_some() && !Path::new(&golden).exists() {
            fs::copy(snapshot::path(dir.path(), 5), &golden).unwrap();
        }
        let other = tempfile::tempdir().unwrap();
        let path = snapshot::path(other.path(), 5);
        fs::copy(golden, &path).unwrap();
        let found = snapshot::check(&path).unwrap();
        assert_eq!((found.from.sequence, found.from.hash, found.link.upto), (5, [0xcd; 32], 5));
        let (read, _) = index::Index::inspect(db::Db::open(&other.path().join("index"), 1 << 20).unwrap()).unwrap();
        snapshot::load(&found, &read).unwrap();
        for number in [1, 2] {
            let [read, written] = [&read, &written].map(|index| index.message(&id(number)).unwrap().unwrap().message);
            let reach = if format == 1 { Reach::Unknown } else { written.reach };
            assert_eq!(*read, Message { reach, ..Message::clone(&written) });
        }
        assert_eq!(read.claimant(&key("2@customs")).unwrap(), Some(id(2)));
        for number in [7, 8, 9] {
            assert_eq!(read.body(&id(number)).unwrap(), written.body(&id(number)).unwrap());
        }
        assert_eq!(read.states(), written.states());
    }
}
