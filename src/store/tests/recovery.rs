//! Crashes, damage, and what opening makes of them.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::support::*;
use crate::ground::random;
use crate::store::journal::segment::ROOM;
use crate::store::journal::segment_path;
use crate::store::record::Came;
use crate::store::*;

/// A closed store with something of every kind in it, in several segments.
fn lived_in(dir: &Path) -> Everything {
    let (store, _) = Store::open(StoreConfig { segment_bytes: 4_000, ..config(dir) }).unwrap();
    live(&store, 1);
    let before = everything(&store);
    drop(store);
    before
}

fn live(store: &Store, from: u16) {
    for number in from..from + 8 {
        compose_one(store, number, if number % 2 == 0 { "customs" } else { "acme" }, at(50));
        accept_one(store, number + 100);
    }
    happen(store, id(from), 10, Fact::Attempted { number: 1 }).unwrap();
    happen(store, id(from), 11, Fact::RetryAt { due: at(90), reason: reason("refused"), came: Came::Unknown }).unwrap();
    happen(store, id(from + 1), 12, Fact::Held { reason: reason("hold"), by: "ann".to_owned(), came: Came::Unknown })
        .unwrap();
    happen(store, id(from + 100), 13, Fact::Staged { index: 0 }).unwrap();
    happen(store, id(from + 100), 14, Fact::Published { index: 0, name: "receipt.xml".to_owned() }).unwrap();
    let mut writer = store.body_writer().unwrap();
    writer.write_all(&[9; 100]).unwrap();
    let body = writer.finish().unwrap();
    happen(store, id(from + 200), 15, queued("customs", Some(body))).unwrap();
}

fn rebuilt(report: &RecoveryReport) -> (&str, Option<&PathBuf>) {
    match &report.index {
        IndexRecovery::Rebuilt { reason, kept_as, .. } => (reason, kept_as.as_ref()),
        other => panic!("not rebuilt: {other:?}"),
    }
}

#[test]
fn a_closed_store_opens_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let before = lived_in(dir.path());
    let (store, report) = open(dir.path());
    assert_eq!((everything(&store), &report.index, &report.torn_tail), (before, &IndexRecovery::Sound, &None));
    assert!(report.segments > 1);
    assert_eq!(store.verify_journal().unwrap().frames, report.last_sequence);
}

#[test]
fn a_missing_index_is_rebuilt_equal() {
    let dir = tempfile::tempdir().unwrap();
    let before = lived_in(dir.path());
    fs::remove_dir_all(dir.path().join("index")).unwrap();
    let seen = std::cell::Cell::new(None);
    let (store, report) = Store::open_with(config(dir.path()), &|progress| seen.set(Some(progress))).unwrap();
    assert_eq!(rebuilt(&report), ("it was missing or empty", None));
    assert_eq!(everything(&store), before);
    assert_eq!(seen.get().unwrap().frames, report.last_sequence);
}

#[test]
fn a_broken_index_is_rebuilt_equal() {
    let dir = tempfile::tempdir().unwrap();
    let before = lived_in(dir.path());
    let index = dir.path().join("index");
    for (number, breakage) in [b"garbage".to_vec(), vec![], vec![0xff; 70_000]].into_iter().enumerate() {
        fs::write(index.join(if number == 1 { "conf" } else { "db" }), &breakage).unwrap();
        let (store, report) = open(dir.path());
        if number != 1 {
            rebuilt(&report);
        }
        assert_eq!(everything(&store), before);
    }
    let kept = fs::read_dir(dir.path())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_str().unwrap().starts_with("index.bad-"));
    assert!(kept.count() <= 2);
}

#[test]
fn a_flipped_bit_anywhere_in_the_index_changes_no_answer() {
    let dir = tempfile::tempdir().unwrap();
    let before = lived_in(dir.path());
    let pristine = fs::read(dir.path().join("index/db")).unwrap();
    let used = pristine.iter().rposition(|byte| *byte != 0).unwrap() as u64;
    let mut noticed = 0;
    for _ in 0..24 {
        let copy = tempfile::tempdir().unwrap();
        copy_dir(dir.path(), copy.path());
        let offset = random::below(used) as usize;
        let mut bytes = pristine.clone();
        bytes[offset] ^= 1 << random::below(8);
        fs::write(copy.path().join("index/db"), bytes).unwrap();
        let (store, report) = open(copy.path());
        assert_eq!(everything(&store), before, "bit flipped at {offset}: {report:?}");
        noticed += u32::from(report.index != IndexRecovery::Sound);
    }
    assert!(noticed > 0, "no flip hit anything");
}

#[test]
fn a_snapshot_cut_off_by_a_crash_does_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let before = lived_in(dir.path());
    fs::write(dir.path().join("index/snap.0000000000000FFF.generating"), b"half").unwrap();
    let (store, report) = open(dir.path());
    assert_eq!((everything(&store), report.index), (before, IndexRecovery::Sound));
}

#[test]
fn an_index_that_is_behind_is_caught_up() {
    let dir = tempfile::tempdir().unwrap();
    lived_in(dir.path());
    let early = tempfile::tempdir().unwrap();
    copy_dir(&dir.path().join("index"), early.path());
    let (store, earlier) = open(dir.path());
    live(&store, 300);
    let before = everything(&store);
    drop(store);
    fs::remove_dir_all(dir.path().join("index")).unwrap();
    copy_dir(early.path(), &dir.path().join("index"));
    let (store, report) = open(dir.path());
    let frames = report.last_sequence - earlier.last_sequence;
    assert_eq!((everything(&store), report.index), (before, IndexRecovery::CaughtUp { frames }));
}

#[test]
fn an_index_that_is_ahead_or_another_journals_is_rebuilt() {
    let dir = tempfile::tempdir().unwrap();
    let before = lived_in(dir.path());
    let early = tempfile::tempdir().unwrap();
    copy_dir(&dir.path().join("journal"), early.path());
    let (store, _) = open(dir.path());
    live(&store, 300);
    drop(store);
    fs::remove_dir_all(dir.path().join("journal")).unwrap();
    copy_dir(early.path(), &dir.path().join("journal"));
    let (store, report) = open(dir.path());
    assert!(rebuilt(&report).0.contains("the journal ends with"), "{report:?}");
    assert_eq!(everything(&store).messages, before.messages);
    drop(store);

    let other = tempfile::tempdir().unwrap();
    let expected = lived_in(other.path());
    fs::remove_dir_all(other.path().join("index")).unwrap();
    copy_dir(&dir.path().join("index"), &other.path().join("index"));
    let (store, report) = open(other.path());
    assert!(rebuilt(&report).0.contains("not the journal's"), "{report:?}");
    assert_eq!(everything(&store), expected);
}

#[test]
fn segments_follow_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let small = || StoreConfig { segment_bytes: 1, ..config(dir.path()) };
    for number in 1..=5 {
        let (store, report) = Store::open(small()).unwrap();
        assert_eq!(
            (report.segments, report.messages),
            (u64::from(number) - u64::from(number == 1), u64::from(number) - 1)
        );
        compose_one(&store, number, "customs", at(0));
    }
    let (store, _) = Store::open(small()).unwrap();
    let report = store.verify_journal_and_bodies().unwrap();
    assert_eq!((report.frames, report.last_sequence, report.segments, report.bodies), (15, 15, 6, 10));
}

#[test]
fn a_journal_damaged_in_the_middle_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    lived_in(dir.path());
    fs::remove_dir_all(dir.path().join("index")).unwrap();
    let path = segment_path(&dir.path().join("journal"), 2);
    let mut bytes = fs::read(&path).unwrap();
    bytes[200] ^= 4;
    fs::write(&path, &bytes).unwrap();
    let error = Store::open(config(dir.path())).unwrap_err();
    assert!(matches!(&error, StoreError::Damaged { path: found, .. } if *found == path), "{error}");
    assert!(error.text().en.contains("restore this file from a backup"));
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn damage_in_a_segment_the_index_knows_is_found_by_verifying() {
    let dir = tempfile::tempdir().unwrap();
    lived_in(dir.path());
    let path = segment_path(&dir.path().join("journal"), 1);
    let mut bytes = fs::read(&path).unwrap();
    bytes[300] ^= 4;
    fs::write(&path, &bytes).unwrap();
    let (store, _) = open(dir.path());
    assert_eq!(store.verify_journal().unwrap_err().code(), "journal-damaged");
}

/// Kill and power cut in the middle of writing: the journal ends anywhere, the index is older or gone.
#[test]
fn a_copy_cut_anywhere_opens_with_a_prefix() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let journal = segment_path(&dir.path().join("journal"), 1);
    let written = || fs::read(&journal).unwrap().iter().rposition(|byte| *byte != ROOM).unwrap() as u64 + 1;
    let mut snapshots = Vec::new();
    for number in 1..=12 {
        snapshots.push((written(), everything(&store).messages));
        compose_one(&store, number, "customs", at(0));
    }
    snapshots.push((written(), everything(&store).messages));
    drop(store);
    let whole = fs::metadata(&journal).unwrap().len();
    assert_eq!(whole, written(), "closed, it has no room");
    let first = snapshots[0].0;
    for round in 0..30 {
        let copy = tempfile::tempdir().unwrap();
        copy_dir(dir.path(), copy.path());
        fs::remove_dir_all(copy.path().join("index")).unwrap();
        let cut = first + random::below(whole - first + 1);
        let segment = segment_path(&copy.path().join("journal"), 1);
        fs::OpenOptions::new().write(true).open(&segment).unwrap().set_len(cut).unwrap();
        let (store, report) = open(copy.path());
        let expected = &snapshots.iter().rev().find(|(len, _)| *len <= cut).unwrap().1;
        assert_eq!(&everything(&store).messages, expected, "round {round}, cut at {cut}: {report:?}");
        compose_one(&store, 50, "customs", at(0));
        let after = everything(&store);
        drop(store);
        let (store, report) = open(copy.path());
        assert_eq!((everything(&store), report.torn_tail), (after, None));
    }
}

#[test]
fn a_cut_below_what_the_index_has_seen_is_never_silent() {
    let dir = tempfile::tempdir().unwrap();
    lived_in(dir.path());
    let journal = dir.path().join("journal");
    let last = (1..).take_while(|number| segment_path(&journal, *number).exists()).last().unwrap();
    let path = segment_path(&journal, last);
    let len = fs::metadata(&path).unwrap().len();
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(len - 1).unwrap();
    if len > 72 {
        assert_eq!(Store::open(config(dir.path())).unwrap_err().code(), "journal-damaged");
    }
}

#[test]
fn room_in_the_place_of_what_the_index_has_seen_is_never_silent() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    compose_one(&store, 1, "customs", at(0));
    let path = segment_path(&dir.path().join("journal"), 1);
    let before = fs::metadata(&path).unwrap().len() as usize;
    drop(store);
    let acknowledged = fs::read(&path).unwrap();
    let first = 72 + 49 + 48 + "payload 1".len();
    let mut lost = acknowledged.clone();
    lost[first..].fill(ROOM);
    lost.resize(before.max(lost.len()), ROOM);
    fs::write(&path, &lost).unwrap();
    assert_eq!(Store::open(config(dir.path())).unwrap_err().code(), "journal-damaged");
    assert_eq!(fs::read(&path).unwrap(), lost, "it is left alone");
    fs::write(&path, &acknowledged).unwrap();
    assert_eq!(open(dir.path()).1.index, IndexRecovery::Sound);
}

#[test]
fn a_body_that_no_fact_names_is_swept() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let mut writer = store.body_writer().unwrap();
    writer.write_all(b"orphan").unwrap();
    let orphan = writer.finish().unwrap();
    let mut writer = store.body_writer().unwrap();
    writer.write_all(b"kept").unwrap();
    let kept = writer.finish().unwrap();
    happen(&store, id(1), 1, queued("customs", Some(kept))).unwrap();
    let unfinished = store.body_writer().unwrap();
    std::mem::forget(unfinished);
    drop(store);
    let (store, report) = open(dir.path());
    assert_eq!(report.swept, 2);
    assert_eq!(store.read_all(&kept, 10).unwrap(), b"kept");
    assert_eq!(store.read(&orphan).err().unwrap().kind(), io::ErrorKind::NotFound);
}

#[test]
fn a_body_is_written_though_somebody_has_removed_the_folder_of_temporary_files() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    fs::remove_dir_all(dir.path().join("tmp")).unwrap();
    let mut writer = store.body_writer().unwrap();
    writer.write_all(b"large").unwrap();
    let body = writer.finish().unwrap();
    assert_eq!(store.read_all(&body, 10).unwrap(), b"large");
}

#[test]
fn an_index_that_is_still_held_for_a_moment_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let map = dir.path().join("db");
    drop(db::Db::open(dir.path(), 1 << 20).unwrap());
    let held = fs::File::open(&map).unwrap();
    held.lock().unwrap();
    let opened_files = || {
        let links =
            fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
        links.filter(|link| *link == map).count()
    };
    std::thread::scope(|scope| {
        let opening = scope.spawn(|| db::Db::open(dir.path(), 1 << 20).map(drop));
        while !opening.is_finished() && opened_files() < 2 {
            std::thread::yield_now();
        }
        drop(held);
        opening.join().unwrap().unwrap();
    });
}

/// Frames far apart in the journal come into a new index together.
#[test]
fn a_key_that_was_claimed_again_after_its_message_was_purged_is_claimed_in_an_index_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(config(dir.path())).unwrap();
    let purged = accept_one(&store, 1);
    happen(&store, purged, 5, Fact::Staged { index: 0 }).unwrap();
    happen(&store, purged, 6, Fact::Published { index: 0, name: "receipt.xml".to_owned() }).unwrap();
    let bodies = store.message(&purged).unwrap().bodies().iter().map(|body| body.id).collect();
    happen(&store, purged, 7, Fact::Purged { why: reason("retention"), bodies }).unwrap();
    let mut again = Transaction::new(at(8));
    let (wire, payload) = (again.body(b"another wire".to_vec()), again.body(b"another payload".to_vec()));
    again.fact(id(2), accepted("1@customs", wire, payload));
    store.commit_blocking(again).unwrap();
    let before = everything(&store);
    drop(store);
    fs::remove_dir_all(dir.path().join("index")).unwrap();
    let (store, _) = Store::open(config(dir.path())).unwrap();
    assert_eq!(store.by_dedup_key(&key("1@customs")).map(|message| message.id), Some(id(2)));
    assert_eq!(everything(&store), before);
}

/// The index is older, or gone.
#[test]
fn bodies_whose_facts_were_cut_off_are_not_kept() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    compose_one(&store, 1, "customs", at(0));
    drop(store);
    let early = tempfile::tempdir().unwrap();
    copy_dir(&dir.path().join("index"), early.path());
    let (store, _) = open(dir.path());
    compose_one(&store, 2, "customs", at(0));
    drop(store);
    let journal = segment_path(&dir.path().join("journal"), 1);
    let len = fs::metadata(&journal).unwrap().len();
    fs::OpenOptions::new().write(true).open(&journal).unwrap().set_len(len - 1).unwrap();
    let bodies = |store: &Store| store.0.index.bodies().map(Result::unwrap).count();
    for is_older in [true, false] {
        let copy = tempfile::tempdir().unwrap();
        copy_dir(dir.path(), copy.path());
        let index = copy.path().join("index");
        fs::remove_dir_all(&index).unwrap();
        if is_older {
            copy_dir(early.path(), &index);
        }
        let (store, report) = open(copy.path());
        assert_eq!((report.messages, report.torn_tail.is_some(), bodies(&store)), (1, true, 2), "{report:?}");
        assert_eq!(report.index == IndexRecovery::CaughtUp { frames: 2 }, is_older, "{report:?}");
        compose_one(&store, 3, "customs", at(0));
        let before = everything(&store);
        drop(store);
        fs::remove_dir_all(&index).unwrap();
        let (store, _) = open(copy.path());
        assert_eq!((everything(&store), bodies(&store)), (before, 4));
        store.verify_journal_and_bodies().unwrap();
    }
}

#[test]
fn a_snapshot_that_a_crash_kept_from_its_frame_is_removed_and_is_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    live(&store, 1);
    let journal = dir.path().join("journal");
    snapshot::write(&store.0.index, &journal, &|| false).unwrap();
    let before = everything(&store);
    drop(store);
    fs::remove_dir_all(dir.path().join("index")).unwrap();
    let (store, report) = open(dir.path());
    assert_eq!((report.snapshot, report.bad_snapshots), (None, Vec::new()));
    assert_eq!((everything(&store), snapshot::list(&journal).unwrap()), (before, Vec::new()));
}

#[test]
fn a_snapshot_takes_the_place_of_one_that_nobody_vouches_for() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    live(&store, 1);
    let from = store.0.index.applied().sequence;
    fs::write(snapshot::path(&dir.path().join("journal"), from), "of a process that was killed").unwrap();
    assert_eq!(store.take_snapshot(&|| false).unwrap(), Some(from));
    let before = everything(&store);
    drop(store);
    fs::remove_dir_all(dir.path().join("index")).unwrap();
    let (store, report) = open(dir.path());
    assert_eq!((report.snapshot, everything(&store)), (Some(from), before));
}
