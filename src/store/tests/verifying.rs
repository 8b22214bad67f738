//! Reading the whole journal again while the store is at work.

use super::keeping::{go_on, keeper, live, open_small};
use super::support::id;
use crate::store::error::StoreError;
use crate::store::frames::MessageFrame;
use crate::store::journal::reader::{self, Range};

#[test]
fn segments_that_go_while_the_journal_is_read_are_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open_small(dir.path());
    live(&store, 1);
    store.take_snapshot(&go_on).unwrap().unwrap();
    live(&store, 101);
    let mut readings = Vec::new();
    let frames = store.unless_retired(&mut |marks| {
        // Between what is known of the journal and its files.
        let gone = if readings.is_empty() { keeper(&store, 100).pass(&go_on).unwrap().compacted.segments } else { 0 };
        let (range, mut frames) = (Range { from: 1, acknowledged: 1 }, 0u64);
        let read = reader::read(&dir.path().join("journal"), range, &marks.retired, &mut |_| {
            frames += 1;
            Ok(())
        });
        readings.push((gone > 0, read.is_ok()));
        read.map(|_| frames)
    });
    assert!(frames.unwrap() > 0);
    assert_eq!(readings, [(true, false), (false, true)]);
}

#[test]
fn damage_is_said_at_once_when_no_segment_went() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open_small(dir.path());
    live(&store, 1);
    let mut readings = 0;
    let damage = || StoreError::Damaged { path: dir.path().to_owned(), offset: 0, what: "a test".to_owned() };
    let read = store.unless_retired::<()>(&mut |_| {
        readings += 1;
        Err(damage())
    });
    assert!(matches!(read, Err(StoreError::Damaged { .. })) && readings == 1);
}

#[test]
fn the_frames_of_a_message_are_found_while_segments_go() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open_small(dir.path());
    live(&store, 1);
    store.take_snapshot(&go_on).unwrap().unwrap();
    live(&store, 101);
    let sequences = |frames: Vec<MessageFrame>| frames.iter().map(|frame| frame.sequence).collect::<Vec<u64>>();
    let before = sequences(store.frames_of(&id(106)).unwrap());
    let mut readings = 0;
    let found = store.frames_told(&id(106), &mut || {
        readings += 1;
        // Between what is known of the journal and its files.
        if readings == 1 {
            assert!(keeper(&store, 100).pass(&go_on).unwrap().compacted.segments > 0);
        }
    });
    assert!(before.len() > 3 && sequences(found.unwrap()).starts_with(&before), "its own segments are still there");
    assert_eq!(readings, 2);
}
