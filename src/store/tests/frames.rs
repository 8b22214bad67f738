//! The journal's bytes: its formats for ever, and what is and is not a torn tail.

use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::support::*;
use crate::store::group::FactsRecord;
use crate::store::journal::frame::{
    Chain, FORMAT, FRAME_HEAD, Kind, SEGMENT_HEADER, SegmentHeader, encode_body, encode_facts, split_body,
};
use crate::store::journal::reader::{self, Range, Reading};
use crate::store::journal::segment::{DiskSegment, DiskSegments, ROOM};
use crate::store::journal::segment_path;
use crate::store::journal::writer::{JournalFile as _, SegmentFiles as _};
use crate::store::*;

const GOLDEN: &[u8] = include_bytes!("../../../tests/golden/journal-v2.log");
const GOLDEN_1: &[u8] = include_bytes!("../../../tests/golden/journal-v1.log");
const ALL: Range = Range { from: 1, acknowledged: 0 };

/// A segment with two transactions, the second with a body; nothing in it depends on chance or time.
fn segment() -> Vec<u8> {
    segment_of(FORMAT, [1, 2, 3])
}

/// That with the first sequence of each frame's group.
fn segment_of(format: u32, groups: [u64; 3]) -> Vec<u8> {
    let mut chain = Chain::START;
    let salt = *b"saltsalt";
    let mut bytes = SegmentHeader { format, salt, number: 1, chain }.encode();
    let body = Body { id: id(7), len: 4, sha256: Some([0xab; 32]), crc32c: None };
    encode_facts(&mut bytes, &salt, &mut chain, groups[0], &facts(1, queued("customs", None)));
    encode_body(&mut bytes, &salt, &mut chain, groups[1], &body, b"wire");
    encode_facts(&mut bytes, &salt, &mut chain, groups[2], &facts(2, composed("<1@station>", body, at(3))));
    bytes
}

fn facts(second: i64, fact: Fact) -> Vec<u8> {
    serde_json::to_vec(&FactsRecord { at: at(second), facts: [(id(1), fact)], link: None, change: None }).unwrap()
}

type Found = (u64, Kind, Vec<u8>);

fn read(dir: &Path, range: Range) -> Result<(Reading, Vec<Found>), StoreError> {
    let mut found = Vec::new();
    let reading = reader::read(dir, range, &[], &mut |frame| {
        found.push((frame.sequence, frame.kind, frame.payload.to_vec()));
        Ok(())
    })?;
    Ok((reading, found))
}

fn journal_of(bytes: &[u8]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(segment_path(dir.path(), 1), bytes).unwrap();
    dir
}

#[test]
fn format_2_is_written_byte_for_byte_as_ever() {
    assert_eq!(segment_of(2, [1, 2, 2]), GOLDEN);
}

#[test]
fn formats_1_and_2_are_read_for_ever() {
    assert_eq!(segment_of(1, [1, 2, 3]), GOLDEN_1);
    for (format, golden) in [(1, GOLDEN_1), (2, GOLDEN)] {
        let dir = journal_of(golden);
        let (reading, found) = read(dir.path(), ALL).unwrap();
        assert_eq!((reading.segments, reading.tail.chain.next, reading.torn), (1, 4, None));
        assert_eq!(reading.tail.segment.unwrap().format, format);
        let kinds: Vec<_> = found.iter().map(|(sequence, kind, _)| (*sequence, *kind)).collect();
        assert_eq!(kinds, [(1, Kind::Facts), (2, Kind::Body), (3, Kind::Facts)]);
        assert_eq!(split_body(&found[1].2), Some((id(7), &[0xab; 32], &b"wire"[..])));
        let record: FactsRecord<Vec<(Id, Fact)>> = serde_json::from_slice(&found[0].2).unwrap();
        assert_eq!((record.at, record.facts), (at(1), vec![(id(1), queued("customs", None))]));
    }
}

#[test]
fn a_journal_that_ends_in_format_1_goes_on_in_a_new_segment() {
    let dir = tempfile::tempdir().unwrap();
    let journal = dir.path().join("journal");
    fs::create_dir(&journal).unwrap();
    let torn = [GOLDEN_1, b"torn"].concat();
    fs::write(segment_path(&journal, 1), torn).unwrap();
    let (store, report) = open(dir.path());
    assert_eq!((report.last_sequence, report.torn_tail.unwrap().bytes), (3, 4));
    compose_one(&store, 9, "customs", at(0));
    let known = store.counts();
    drop(store);
    assert_eq!(fs::read(segment_path(&journal, 1)).unwrap(), GOLDEN_1);
    assert_eq!(fs::read(segment_path(&journal, 2)).unwrap()[8..12], FORMAT.to_le_bytes());
    fs::remove_dir_all(dir.path().join("index")).unwrap();
    let (store, report) = open(dir.path());
    assert_eq!((report.segments, report.torn_tail, store.counts()), (2, None, known));
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_off() {
    let whole = segment();
    let last = last_frame(&whole);
    for len in last..whole.len() {
        let dir = journal_of(&whole[..len]);
        let (reading, found) = read(dir.path(), ALL).unwrap();
        assert_eq!((found.len(), reading.tail.chain.next), (2, 3), "cut at {len}");
        assert_eq!(reading.tail.segment.unwrap().len, last as u64);
        let torn = reading.torn.map(|torn| (torn.offset, torn.bytes));
        assert_eq!(torn, (len > last).then_some((last as u64, (len - last) as u64)));
    }
}

#[test]
fn a_torn_tail_of_zeros_or_noise_is_cut_off() {
    let whole = segment();
    for rest in [vec![0; 5000], vec![0xff; 5000], b"frame".repeat(1000)] {
        let dir = journal_of(&[whole.clone(), rest].concat());
        let (reading, found) = read(dir.path(), ALL).unwrap();
        assert_eq!((found.len(), reading.torn.unwrap().offset), (3, whole.len() as u64));
    }
}

#[test]
fn room_behind_the_last_frame_is_no_torn_tail_and_does_not_count_as_one() {
    let (whole, room) = (segment(), vec![ROOM; 5000]);
    let dir = journal_of(&[whole.clone(), room.clone()].concat());
    let (reading, found) = read(dir.path(), ALL).unwrap();
    assert_eq!((found.len(), reading.tail.segment.unwrap().len, reading.torn), (3, whole.len() as u64, None));
    let last = last_frame(&whole);
    for len in last..whole.len() {
        let (reading, found) = read(journal_of(&[&whole[..len], &room[..]].concat()).path(), ALL).unwrap();
        let torn = reading.torn.map(|torn| (torn.offset, torn.bytes));
        assert_eq!((found.len(), torn), (2, (len > last).then_some((last as u64, (len - last) as u64))), "{len}");
    }
}

#[test]
fn room_where_a_frame_was_acknowledged_is_damage() {
    let whole = segment();
    let last = last_frame(&whole);
    for (from, known) in [(last, 2), (SEGMENT_HEADER, 0)] {
        for room in [1, 48, 5000] {
            let dir = journal_of(&[&whole[..from], &vec![ROOM; room][..]].concat());
            let range = |acknowledged| Range { from: 1, acknowledged };
            let (reading, found) = read(dir.path(), range(known)).unwrap();
            assert_eq!((found.len() as u64, reading.torn), (known, None));
            let error = read(dir.path(), range(known + 1)).unwrap_err();
            assert!(matches!(&error, StoreError::Damaged { offset, .. } if *offset == from as u64), "{error}");
        }
    }
}

#[test]
fn a_later_group_is_seen_behind_damage_though_it_ends_like_room() {
    let (salt, mut chain) = (*b"saltsalt", Chain::START);
    let mut bytes = SegmentHeader { format: FORMAT, salt, number: 1, chain }.encode();
    encode_facts(&mut bytes, &salt, &mut chain, 1, b"the first");
    let damaged = bytes.len();
    encode_facts(&mut bytes, &salt, &mut chain, 2, b"acknowledged");
    let body = Body { id: id(7), len: 5, sha256: Some([0xab; 32]), crc32c: None };
    encode_body(&mut bytes, &salt, &mut chain, 3, &body, &[b'x', b'y', ROOM, ROOM, ROOM]);
    bytes[damaged + FRAME_HEAD] ^= 1;
    for room in [0, 500] {
        let dir = journal_of(&[&bytes[..], &vec![ROOM; room][..]].concat());
        let error = read(dir.path(), ALL).unwrap_err();
        assert!(matches!(&error, StoreError::Damaged { offset, .. } if *offset == damaged as u64), "{room}: {error}");
    }
}

#[test]
fn the_last_group_is_all_of_its_frames_that_hold_and_nothing_behind_them() {
    let last_group = |bytes: &[u8]| {
        let group = reader::last_group(journal_of(bytes).path()).unwrap().unwrap();
        (group.segment, group.offset as usize, group.bytes)
    };
    let (single, pair) = (segment(), segment_of(FORMAT, [1, 2, 2]));
    let (last, body) = (last_frame(&single), last_frame(&pair) - FRAME_HEAD - 52);
    assert_eq!(last_group(&single), (1, last, single[last..].to_vec()));
    for behind in [vec![], vec![ROOM; 300], b"torn".to_vec()] {
        assert_eq!(last_group(&[&pair[..], &behind].concat()), (1, body, pair[body..].to_vec()));
    }
    assert_eq!(last_group(&pair[..last + 60]), (1, body, pair[body..last].to_vec()), "the rest of it was cut off");
    assert_eq!(last_group(GOLDEN_1), (1, SEGMENT_HEADER, GOLDEN_1[SEGMENT_HEADER..].to_vec()));
    assert_eq!(last_group(&single[..SEGMENT_HEADER]), (1, SEGMENT_HEADER, vec![]));
    assert_eq!(reader::last_group(tempfile::tempdir().unwrap().path()).unwrap(), None);
}

#[test]
fn what_is_written_once_more_is_what_was_there() {
    let (whole, dir) = (segment(), tempfile::tempdir().unwrap());
    let path = segment_path(dir.path(), 1);
    let last = last_frame(&whole);
    let mut lost = whole.clone();
    lost[last..].fill(0);
    fs::write(&path, [&lost[..], b"torn"].concat()).unwrap();
    DiskSegments { dir: dir.path().to_path_buf() }.rewrite(1, last as u64, &whole[last..]).unwrap();
    assert_eq!(fs::read(&path).unwrap(), [&whole[..], b"torn"].concat());
}

#[test]
fn room_in_a_segment_that_another_follows_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(StoreConfig { segment_bytes: 500, ..config(dir.path()) }).unwrap().0;
    compose_one(&store, 1, "customs", at(0));
    drop(store);
    let path = segment_path(&dir.path().join("journal"), 1);
    let mut bytes = fs::read(&path).unwrap();
    assert!(segment_path(&dir.path().join("journal"), 2).exists());
    assert_ne!(bytes.last(), Some(&ROOM), "a segment that was left has none");
    bytes.push(ROOM);
    fs::write(&path, bytes).unwrap();
    assert_eq!(read(&dir.path().join("journal"), ALL).unwrap_err().code(), "journal-damaged");
}

#[test]
fn what_a_power_cut_leaves_of_the_last_group_is_torn_whichever_of_its_frames_those_are() {
    for lost in [ROOM, 0, b'x'] {
        // The body and the facts are one group: nothing of it was acknowledged.
        let mut bytes = segment_of(FORMAT, [1, 2, 2]);
        let last = last_frame(&bytes);
        let first = last - FRAME_HEAD - 52;
        bytes[first..last].fill(lost);
        let (reading, found) = read(journal_of(&bytes).path(), ALL).unwrap();
        let torn = reading.torn.map(|torn| (torn.offset, torn.bytes));
        assert_eq!((found.len(), torn), (1, Some((first as u64, (bytes.len() - first) as u64))));
        // The index has seen them: they were.
        let error = read(journal_of(&bytes).path(), Range { from: 1, acknowledged: 3 }).unwrap_err();
        assert!(matches!(&error, StoreError::Damaged { offset, .. } if *offset == first as u64), "{error}");
        // The facts are of a later group: the body was durable.
        let mut bytes = segment_of(FORMAT, [1, 2, 3]);
        bytes[first..last].fill(lost);
        let error = read(journal_of(&bytes).path(), ALL).unwrap_err();
        assert!(matches!(&error, StoreError::Damaged { offset, .. } if *offset == first as u64), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whichever_sectors_of_the_last_group_a_power_cut_leaves_everything_before_it_is_read(
        groups in prop::collection::vec(prop::collection::vec(0usize..3000, 1..6), 1..5),
        kept in prop::collection::vec(any::<bool>(), 40),
    ) {
        let (salt, mut chain) = (*b"saltsalt", Chain::START);
        let mut bytes = SegmentHeader { format: FORMAT, salt, number: 1, chain }.encode();
        let (mut durable, mut acknowledged) = (0, 0);
        for group in &groups {
            (durable, acknowledged) = (bytes.len(), chain.last());
            let first = chain.next;
            for len in group {
                encode_facts(&mut bytes, &salt, &mut chain, first, &vec![b'f'; *len]);
            }
        }
        let mut before = bytes[..durable].to_vec();
        before.resize(bytes.len(), ROOM);
        for ((sector, before), kept) in bytes.chunks_mut(512).zip(before.chunks(512)).zip(kept.iter().cycle()) {
            if !kept {
                sector.copy_from_slice(before);
            }
        }
        let (reading, found) = read(journal_of(&bytes).path(), Range { from: 1, acknowledged }).unwrap();
        prop_assert!((acknowledged..=chain.last()).contains(&(found.len() as u64)));
        prop_assert_eq!(reading.tail.chain.last(), found.len() as u64);
    }
}

#[test]
fn a_reader_goes_on_with_what_is_written_while_it_reads() {
    let (salt, mut chain) = (*b"saltsalt", Chain::START);
    let mut bytes = SegmentHeader { format: FORMAT, salt, number: 1, chain }.encode();
    encode_facts(&mut bytes, &salt, &mut chain, 1, b"the first");
    // Longer than what is read ahead.
    encode_facts(&mut bytes, &salt, &mut chain, 2, &vec![b'f'; 3 << 20]);
    let mut later = bytes.clone();
    encode_facts(&mut later, &salt, &mut chain, 3, b"a group");
    encode_facts(&mut later, &salt, &mut chain, 4, b"and another");
    let room = vec![ROOM; 4000];
    for (at, then) in [(1, later.clone()), (2, later.clone()), (2, [later.clone(), room.clone()].concat())] {
        let dir = journal_of(&[bytes.clone(), room.clone()].concat());
        let mut found = 0;
        let reading = reader::read(dir.path(), ALL, &[], &mut |frame| {
            found = frame.sequence;
            if frame.sequence == at {
                // In place: the reader has the file open.
                let file = fs::OpenOptions::new().write(true).open(segment_path(dir.path(), 1)).unwrap();
                std::os::unix::fs::FileExt::write_all_at(&file, &then, 0).unwrap();
                file.set_len(then.len() as u64).unwrap();
            }
            Ok(())
        });
        let reading = reading.unwrap();
        assert_eq!((found, reading.tail.segment.unwrap().len, reading.torn), (4, later.len() as u64, None));
    }
    // What was the end when the segment was left is the end.
    let dir = journal_of(&[bytes.clone(), room].concat());
    let reading = reader::read(dir.path(), ALL, &[], &mut |frame| {
        if frame.sequence == 2 {
            let file = fs::OpenOptions::new().write(true).open(segment_path(dir.path(), 1)).unwrap();
            file.set_len(bytes.len() as u64).unwrap();
        }
        Ok(())
    });
    assert_eq!(reading.unwrap().tail.segment.unwrap().len, bytes.len() as u64);
}

#[test]
fn room_is_made_with_the_group_that_does_not_fit_and_given_back_when_the_segment_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("segment");
    let open = |makes_room| {
        fs::write(&path, b"header").unwrap();
        let file = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
        DiskSegment::at_end(file, 6, makes_room).unwrap()
    };
    let bytes = || fs::read(&path).unwrap();
    let (mut segment, group) = (open(true), b"group".repeat(4000));
    segment.append(&group).unwrap();
    let first = bytes();
    assert_eq!(first[..20_006], [b"header", &group[..]].concat());
    assert!(first.len() > 80_000 && first[20_006..].iter().all(|byte| *byte == ROOM));
    for _ in 0..3 {
        segment.append(&group).unwrap();
    }
    assert_eq!(bytes().len(), first.len(), "written over what was there");
    segment.append(&group).unwrap();
    assert!(bytes().len() > first.len());
    segment.cut(40_006).unwrap();
    assert_eq!(bytes(), [b"header", &group.repeat(2)[..]].concat());
    segment.append(b"more").unwrap();
    segment.sync().unwrap();
    segment.close().unwrap();
    assert_eq!(bytes(), [b"header", &group.repeat(2)[..], b"more"].concat());
    let mut plain = open(false);
    plain.append(&group).unwrap();
    assert_eq!(bytes(), first[..20_006]);
}

#[test]
fn behind_a_long_group_there_is_no_room_and_little_behind_the_one_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("segment");
    fs::write(&path, b"").unwrap();
    let file = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let mut segment = DiskSegment::at_end(file, 0, true).unwrap();
    let (long, short) = (b"long".repeat(100_000), b"short".repeat(20));
    let mut room_behind = |group: &[u8], end: usize| {
        segment.append(group).unwrap();
        fs::metadata(&path).unwrap().len() as usize - end
    };
    assert_eq!(room_behind(&long, 400_000), 0);
    assert_eq!(room_behind(&short, 400_100), 64 * 1024);
    assert_eq!(room_behind(&long, 800_100), 0, "written over the little room and beyond");
    assert_eq!(room_behind(&short, 800_200), 64 * 1024);
    assert_eq!(room_behind(&short.repeat(700), 870_200), 870_200, "no long group came between");
}

#[test]
fn a_flipped_bit_before_the_last_frame_is_damage_with_its_place() {
    let whole = segment();
    let last = last_frame(&whole);
    for offset in 0..last {
        for bit in [0, 3, 7] {
            let mut bytes = whole.clone();
            bytes[offset] ^= 1 << bit;
            let dir = journal_of(&bytes);
            match read(dir.path(), ALL) {
                Err(StoreError::Damaged { path, offset: found, .. }) => {
                    assert_eq!(path, segment_path(dir.path(), 1));
                    assert!(found <= offset as u64);
                }
                Err(StoreError::TooNew { .. }) if (8..12).contains(&offset) => {}
                other => panic!("byte {offset} bit {bit}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_flipped_bit_in_an_acknowledged_last_frame_is_damage() {
    let whole = segment();
    let last = last_frame(&whole);
    let mut bytes = whole;
    bytes[last + FRAME_HEAD] ^= 1;
    let dir = journal_of(&bytes);
    assert!(read(dir.path(), ALL).unwrap().0.torn.is_some());
    let error = read(dir.path(), Range { from: 1, acknowledged: 3 }).unwrap_err();
    assert!(matches!(&error, StoreError::Damaged { offset, .. } if *offset == last as u64), "{error}");
    assert_eq!(error.code(), "journal-damaged");
}

#[test]
fn a_frame_forged_by_a_partner_inside_a_torn_body_is_no_frame() {
    let mut chain = Chain::START;
    let mut forged = Vec::new();
    let mut other = Chain { next: 50, previous: [9; 32] };
    encode_facts(&mut forged, b"guessed!", &mut other, 50, b"{}");
    let mut bytes = SegmentHeader { format: FORMAT, salt: *b"saltsalt", number: 1, chain }.encode();
    let body = Body { id: id(7), len: 500, sha256: Some([0; 32]), crc32c: None };
    encode_body(&mut bytes, b"saltsalt", &mut chain, 1, &body, &[forged, vec![0; 400]].concat());
    bytes.truncate(bytes.len() - 300);
    let (reading, found) = read(journal_of(&bytes).path(), ALL).unwrap();
    assert!(found.is_empty());
    assert_eq!(reading.torn.unwrap().offset, SEGMENT_HEADER as u64);
}

#[test]
fn missing_swapped_and_newer_segments_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(StoreConfig { segment_bytes: 500, ..config(dir.path()) }).unwrap().0;
    for number in 1..6 {
        compose_one(&store, number, "customs", at(0));
    }
    drop(store);
    let journal = dir.path().join("journal");
    let (reading, found) = read(&journal, ALL).unwrap();
    assert!(reading.segments > 3);
    assert_eq!(found.len(), 15);
    let (_, late) = read(&journal, Range { from: 15, acknowledged: 15 }).unwrap();
    assert!(late.len() < 15 && late.iter().any(|(sequence, ..)| *sequence == 15));

    let second = fs::read(segment_path(&journal, 2)).unwrap();
    fs::remove_file(segment_path(&journal, 2)).unwrap();
    assert!(read(&journal, ALL).unwrap_err().to_string().contains("missing"));
    fs::copy(segment_path(&journal, 1), segment_path(&journal, 2)).unwrap();
    assert!(read(&journal, ALL).unwrap_err().to_string().contains("another segment"));
    fs::write(segment_path(&journal, 2), &second[..second.len() - 1]).unwrap();
    assert_eq!(read(&journal, ALL).unwrap_err().code(), "journal-damaged");
    fs::write(segment_path(&journal, 2), &second[..SEGMENT_HEADER]).unwrap();
    assert!(read(&journal, ALL).unwrap_err().to_string().contains("the next segment begins"));
    let newer = [&second[..8], &[3], &second[9..]].concat();
    fs::write(segment_path(&journal, 2), newer).unwrap();
    assert_eq!(read(&journal, ALL).unwrap_err().code(), "journal-too-new");
}

/// Offset of the last frame of [`segment`].
fn last_frame(whole: &[u8]) -> usize {
    let payload =
        facts(2, composed("<1@station>", Body { id: id(7), len: 4, sha256: Some([0xab; 32]), crc32c: None }, at(3)));
    whole.len() - payload.len() - FRAME_HEAD
}
