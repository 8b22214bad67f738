//! Lists of identifiers, many to an entry of the map: an entry costs the map about as much whatever it holds.
//!
//! A list is kept in blocks. A block's key is the list's prefix and an identifier, its value records in the order of their
//! identifiers, none of them before the key's; all up to the next block's key are in it. New identifiers come at the end
//! of their list, since they sort by time, and find the last block.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::keys::{key, partner_prefix, state_byte, trailing_id};
use super::totals::Location;
use crate::ground::id::Id;
use crate::store::db::{Bytes, Db, DbError};
use crate::store::record::Message;

/// Bytes of an identifier.
const ID: usize = 16;
/// Bytes of an identifier with the place of a body.
const PLACED: usize = ID + Location::LONGEST;
/// Records of a block, at most: some two kilobytes.
const IDS: usize = 128;
const PLACES: usize = 64;

/// The list of all bodies.
pub(super) const BODIES: &[u8] = b"b";

/// What becomes of records of one list: what stands beside the identifier from here on, or nothing if it goes.
pub(super) type Edits = BTreeMap<Id, Option<Vec<u8>>>;

/// The prefixes of the lists that a message is in.
pub(super) fn lists_of(message: &Message) -> [Vec<u8>; 2] {
    [key(b's', &[&[state_byte(message.state)]]), partner_prefix(b'p', &message.partner)]
}

/// Whether an entry with this key is a block.
pub(super) fn is_block(key: &[u8]) -> bool {
    matches!(key.first(), Some(b's' | b'p' | b'b'))
}

/// Bytes of a record, and records of a block, in a list with this prefix or key.
fn shape(key: &[u8]) -> (usize, usize) {
    if key.starts_with(BODIES) { (PLACED, PLACES) } else { (ID, IDS) }
}

/// The records of a block: identifiers, and what stands beside them.
pub(super) fn records<'b>(key: &[u8], block: &'b [u8]) -> impl DoubleEndedIterator<Item = (Id, &'b [u8])> + use<'b> {
    let records = block.chunks_exact(shape(key).0);
    records.filter_map(|record| record.split_first_chunk().map(|(id, rest)| (Id::from_bytes(*id), rest)))
}

/// How many records a block has.
pub(super) fn count(key: &[u8], block: &[u8]) -> u64 {
    u64::try_from(block.len() / shape(key).0).unwrap_or(u64::MAX)
}

/// The block of a list in which an identifier is, if it is.
fn block_of(db: &Db, prefix: &[u8], id: &Id) -> Result<Option<(Bytes, Bytes)>, DbError> {
    let last = key_in(prefix, id);
    db.range((Bound::Included(prefix), Bound::Included(&last)), true).next().transpose()
}

/// What stands beside an identifier in a list; none if it is not in it.
pub(super) fn find(db: &Db, prefix: &[u8], id: &Id) -> Result<Option<Vec<u8>>, DbError> {
    let Some((key, block)) = block_of(db, prefix, id)? else { return Ok(None) };
    let found = records(&key, &block).find(|(other, _)| other == id);
    Ok(found.map(|(_, rest)| rest.to_vec()))
}

/// Carries out changes of one list. `change` gets every block that they touch: its key, and what it was and is.
pub(super) fn edit(db: &Db, prefix: &[u8], mut edits: Edits, change: Change<'_>) -> Result<(), DbError> {
    while let Some(first) = edits.keys().next().copied() {
        let later = next_block(db, prefix, &first)?.map(|next| edits.split_off(&next));
        let mine = std::mem::replace(&mut edits, later.unwrap_or_default());
        replace(prefix, block_of(db, prefix, &first)?, mine, change);
    }
    Ok(())
}

/// Takes the key of a block, and what it was and is.
pub(super) type Change<'c> = &'c mut dyn FnMut(&[u8], Option<&[u8]>, Option<&[u8]>);

/// The identifier with which the block behind that of `id` begins.
fn next_block(db: &Db, prefix: &[u8], id: &Id) -> Result<Option<Id>, DbError> {
    let (from, end) = (key_in(prefix, id), [prefix, &[0xff; ID + 1]].concat());
    let next = db.range((Bound::Excluded(&from), Bound::Excluded(&end)), false).next().transpose()?;
    Ok(next.and_then(|(key, _)| trailing_id(&key)))
}

/// Changes records of one block, or of a place where there is none.
fn replace(prefix: &[u8], old: Option<(Bytes, Bytes)>, edits: Edits, change: Change<'_>) {
    let before = old.as_ref().map(|(_, block)| block.as_ref()).unwrap_or_default();
    let mut blocks = merged(prefix, before, edits).into_iter();
    // What is left keeps its key, so that what belongs before its first record still finds it.
    if let Some((key, block)) = &old {
        change(key, Some(block), blocks.next().as_deref());
    }
    for block in blocks {
        if let Some((first, _)) = records(prefix, &block).next() {
            change(&key_in(prefix, &first), None, Some(&block));
        }
    }
}

/// The blocks that the records of one become.
fn merged(prefix: &[u8], block: &[u8], edits: Edits) -> Vec<Vec<u8>> {
    let (record, most) = shape(prefix);
    let last = records(prefix, block).next_back().map(|(id, _)| id);
    let is_appended = edits.keys().next() > last.as_ref();
    let mut all = Vec::with_capacity(block.len().saturating_add(edits.len().saturating_mul(record)));
    let mut push = |id: Id, rest: &[u8]| {
        all.extend_from_slice(id.as_bytes());
        all.extend_from_slice(rest);
        all.resize(all.len().next_multiple_of(record), 0);
    };
    let mut edits = edits.into_iter().peekable();
    for (id, rest) in records(prefix, block) {
        while let Some((new, edited)) = edits.next_if(|(new, _)| *new < id) {
            edited.iter().for_each(|edited| push(new, edited));
        }
        match edits.next_if(|(new, _)| *new == id) {
            Some((_, edited)) => edited.iter().for_each(|edited| push(id, edited)),
            None => push(id, rest),
        }
    }
    edits.for_each(|(new, edited)| edited.iter().for_each(|edited| push(new, edited)));
    let count = all.len() / record;
    // What comes at the end fills blocks; what comes in between leaves room for more of it.
    let each = if is_appended { most } else { count.div_ceil(count.div_ceil(most).max(1)) };
    all.chunks(each.max(1).saturating_mul(record)).map(<[u8]>::to_vec).collect()
}

fn key_in(prefix: &[u8], id: &Id) -> Vec<u8> {
    [prefix, id.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::store::db::DbBatch;

    fn map(dir: &Path) -> Db {
        Db::open(dir, 1 << 20).unwrap()
    }

    fn id(number: u32) -> Id {
        let mut bytes = [0; 16];
        bytes[12..].copy_from_slice(&number.to_be_bytes());
        Id::from_bytes(bytes)
    }

    /// Carries out changes as the index does; the old value of each block must be what the map has.
    fn change(db: &Db, prefix: &[u8], edits: Edits) {
        let mut batch = DbBatch::default();
        edit(db, prefix, edits, &mut |key, before, after| {
            assert_eq!(db.get(key).unwrap().as_deref(), before);
            match after {
                Some(after) => batch.insert(key, after),
                None => batch.remove(key),
            }
        })
        .unwrap();
        db.apply(batch).unwrap();
    }

    fn blocks(db: &Db, prefix: &[u8]) -> Vec<(Bytes, Bytes)> {
        db.scan(prefix).map(Result::unwrap).collect()
    }

    /// A place of which every byte counts.
    fn place(number: u32) -> Vec<u8> {
        Location::Journal { segment: 1, offset: u64::from(number), len: u64::MAX }.encode()
    }

    #[test]
    fn what_comes_in_order_fills_its_blocks() {
        let dir = tempfile::tempdir().unwrap();
        let db = map(dir.path());
        for first in (0..1000).step_by(100) {
            change(&db, b"s1", (first..first + 100).map(|number| (id(number), Some(Vec::new()))).collect());
        }
        let counts: Vec<u64> = blocks(&db, b"s1").iter().map(|(key, block)| count(key, block)).collect();
        assert_eq!(counts, [128, 128, 128, 128, 128, 128, 128, 104]);
    }

    #[test]
    fn a_list_does_not_take_what_is_another_ones() {
        let dir = tempfile::tempdir().unwrap();
        let db = map(dir.path());
        for prefix in [b"pa\0", b"pb\0", b"pc\0"] {
            change(&db, prefix, (0..300).map(|number| (id(number), Some(Vec::new()))).collect());
        }
        change(&db, b"pb\0", (0..300).map(|number| (id(number), None)).collect());
        let left = [&b"pa\0"[..], b"pb\0", b"pc\0"]
            .map(|prefix| blocks(&db, prefix).iter().map(|(key, block)| count(key, block)).sum::<u64>());
        assert_eq!(left, [300, 0, 300]);
    }

    fn all(numbers: impl Iterator<Item = u32>, put_in: bool) -> Edits {
        numbers.map(|number| (id(number), put_in.then(Vec::new))).collect()
    }

    /// 40 blocks, of which every other one was taken out; those before them reach into their places.
    fn reaching_far(db: &Db) -> Edits {
        change(db, b"s1", all((0..5_120).map(|number| number * 10), true));
        let of_block = |number: u32| (number / 128) % 2;
        change(db, b"s1", all((0..5_120).filter(|number| of_block(*number) == 1).map(|number| number * 10), false));
        let more_than_30 = (0..5_120).filter(|number| of_block(*number) == 0 && number % 128 >= 30);
        change(db, b"s1", all(more_than_30.map(|number| number * 10), false));
        let more = (0..5_120).filter(|number| of_block(*number) == 1 && number % 128 < 90);
        change(db, b"s1", all(more.map(|number| number * 10), true));
        // What cuts each of them in two: the second part begins where the block was that is gone.
        all((0..5_120).filter(|number| of_block(*number) == 0 && number % 128 < 20).map(|number| number * 10 + 5), true)
    }

    #[test]
    fn a_list_that_is_read_backwards_is_whole_though_its_blocks_are_cut_in_two_meanwhile() {
        for blocks_before in 0..20 {
            let dir = tempfile::tempdir().unwrap();
            let db = map(dir.path());
            let cutting = reaching_far(&db);
            let ids = |block: Result<(Bytes, Bytes), DbError>| {
                let (key, block) = block.unwrap();
                records(&key, &block).map(|(id, _)| id).collect::<Vec<Id>>()
            };
            let before: Vec<Id> = blocks(&db, b"s1").into_iter().flat_map(|block| ids(Ok(block))).collect();
            let mut reading = db.back_from_anew(b"s1", b"s2");
            let mut seen: std::collections::BTreeSet<Id> = reading.by_ref().take(blocks_before).flat_map(ids).collect();
            change(&db, b"s1", cutting);
            seen.extend(reading.flat_map(ids));
            let missing = before.iter().filter(|id| !seen.contains(id)).count();
            assert_eq!((missing, before.len()), (0, 20 * 120), "after {blocks_before} blocks");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_list_holds_what_was_put_in_and_not_taken_out(
            changes in prop::collection::vec((prop::collection::vec(0u32..600, 1..200), 0u8..4), 1..30)
        ) {
            let dir = tempfile::tempdir().unwrap();
            let db = map(dir.path());
            let mut model: BTreeMap<Id, Vec<u8>> = BTreeMap::new();
            for (turn, (numbers, kind)) in (0u32..).zip(changes) {
                let edited = |number: u32| match kind {
                    0 => None,
                    1 => Some(Location::File.encode()),
                    _ => Some(place(turn * 1000 + number)),
                };
                let edits: Edits = numbers.into_iter().map(|number| (id(number), edited(number))).collect();
                for (id, edited) in &edits {
                    match edited {
                        Some(edited) => drop(model.insert(*id, edited.clone())),
                        None => drop(model.remove(id)),
                    }
                }
                change(&db, BODIES, edits);
                let blocks = blocks(&db, BODIES);
                let listed = blocks.iter().flat_map(|(key, block)| records(key, block));
                let listed: Vec<(Id, Option<Location>)> =
                    listed.map(|(id, place)| (id, Location::decode(place))).collect();
                let wanted: Vec<(Id, Option<Location>)> =
                    model.iter().map(|(id, place)| (*id, Location::decode(place))).collect();
                prop_assert_eq!(listed, wanted);
                prop_assert!(blocks.iter().all(|(key, block)| (1..=64).contains(&count(key, block))));
                for number in 0..600 {
                    let found = find(&db, BODIES, &id(number)).unwrap().map(|place| Location::decode(&place));
                    prop_assert_eq!(found, model.get(&id(number)).map(|place| Location::decode(place)));
                }
            }
        }
    }
}
