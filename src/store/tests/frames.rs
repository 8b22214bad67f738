//! The journal's bytes: format v1 for ever, and what is and is not a torn tail.

use std::fs;
use std::path::Path;

use super::support::*;
use crate::store::group::FactsRecord;
use crate::store::journal::frame::{
    Chain, FRAME_HEAD, Kind, SEGMENT_HEADER, SegmentHeader, encode_body, encode_facts, split_body,
};
use crate::store::journal::reader::{self, Range, Reading};
use crate::store::journal::segment_path;
use crate::store::*;

const GOLDEN: &[u8] = include_bytes!("../../../tests/golden/journal-v1.log");
const ALL: Range = Range { from: 1, acknowledged: 0 };

/// A segment with two transactions, the second with a body; nothing in it depends on chance or time.
fn segment() -> Vec<u8> {
    let mut chain = Chain::START;
    let salt = *b"saltsalt";
    let mut bytes = SegmentHeader { salt, number: 1, chain }.encode();
    let body = Body { id: id(7), len: 4, sha256: [0xab; 32], crc32c: None };
    encode_facts(&mut bytes, &salt, &mut chain, &facts(1, queued("customs", None)));
    encode_body(&mut bytes, &salt, &mut chain, &body, b"wire");
    encode_facts(&mut bytes, &salt, &mut chain, &facts(2, composed("<1@station>", body, at(3))));
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
fn format_1_is_written_byte_for_byte_as_ever() {
    assert_eq!(segment(), GOLDEN);
}

#[test]
fn format_1_is_read_for_ever() {
    let dir = journal_of(GOLDEN);
    let (reading, found) = read(dir.path(), ALL).unwrap();
    assert_eq!((reading.segments, reading.tail.chain.next, reading.torn), (1, 4, None));
    let kinds: Vec<_> = found.iter().map(|(sequence, kind, _)| (*sequence, *kind)).collect();
    assert_eq!(kinds, [(1, Kind::Facts), (2, Kind::Body), (3, Kind::Facts)]);
    assert_eq!(split_body(&found[1].2), Some((id(7), &[0xab; 32], &b"wire"[..])));
    let record: FactsRecord<Vec<(Id, Fact)>> = serde_json::from_slice(&found[0].2).unwrap();
    assert_eq!((record.at, record.facts), (at(1), vec![(id(1), queued("customs", None))]));
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
    encode_facts(&mut forged, b"guessed!", &mut other, b"{}");
    let mut bytes = SegmentHeader { salt: *b"saltsalt", number: 1, chain }.encode();
    let body = Body { id: id(7), len: 500, sha256: [0; 32], crc32c: None };
    encode_body(&mut bytes, b"saltsalt", &mut chain, &body, &[forged, vec![0; 400]].concat());
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
    let newer = [&second[..8], &[2], &second[9..]].concat();
    fs::write(segment_path(&journal, 2), newer).unwrap();
    assert_eq!(read(&journal, ALL).unwrap_err().code(), "journal-too-new");
}

/// Offset of the last frame of [`segment`].
fn last_frame(whole: &[u8]) -> usize {
    let payload =
        facts(2, composed("<1@station>", Body { id: id(7), len: 4, sha256: [0xab; 32], crc32c: None }, at(3)));
    whole.len() - payload.len() - FRAME_HEAD
}
