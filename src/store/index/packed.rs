//! A message as the map has it: the sequence up to which every fact is in it (8 bytes, big-endian), the length of its JSON
//! (4), and the JSON in LZ4's block format. sled writes a leaf of sixteen messages whole again and again, so every byte of
//! a message is written some five times.

use std::io::{self, Write};

use lz4_flex::block::{self, CompressTable};

use crate::store::db::DbError;
use crate::store::record::Message;

/// Bytes in front of the packed JSON.
const HEAD: usize = 12;

/// Packs one message after the other, all in the same memory.
#[derive(Default)]
pub(super) struct Packer {
    table: CompressTable,
    json: Vec<u8>,
    /// The last entry, and perhaps more behind it.
    packed: Vec<u8>,
}

impl Packer {
    /// A message as the map has it, and how long its JSON is.
    pub(super) fn pack(&mut self, sequence: u64, message: &Message) -> Result<(&[u8], usize), DbError> {
        self.json.clear();
        serde_json::to_writer(&mut self.json, message).map_err(io::Error::from)?;
        let packed = press(&mut self.table, &mut self.packed, sequence, &self.json)?;
        Ok((packed, self.json.len()))
    }

    /// The same of a message that is JSON already.
    pub(super) fn pack_json(&mut self, sequence: u64, json: &[u8]) -> Result<&[u8], DbError> {
        press(&mut self.table, &mut self.packed, sequence, json)
    }
}

fn press<'p>(
    table: &mut CompressTable,
    packed: &'p mut Vec<u8>,
    sequence: u64,
    json: &[u8],
) -> Result<&'p [u8], DbError> {
    let length = u32::try_from(json.len()).map_err(io::Error::other)?;
    let most = block::get_maximum_output_size(json.len()).saturating_add(HEAD);
    if packed.len() < most {
        packed.resize(most, 0);
    }
    let mut rest = packed.as_mut_slice();
    rest.write_all(&sequence.to_be_bytes())?;
    rest.write_all(&length.to_be_bytes())?;
    // The table would grow for a long one, and pack all that follow in another way.
    let is_short = json.len() < usize::from(u16::MAX);
    let pressed =
        if is_short { block::compress_into_with_table(json, rest, table) } else { block::compress_into(json, rest) };
    let end = pressed.map_err(io::Error::other)?.saturating_add(HEAD);
    packed.get(..end).ok_or_else(|| io::Error::other("a packed message is longer than it can be").into())
}

/// The sequence and the JSON of an entry.
pub(in crate::store) fn unpack(value: &[u8]) -> Result<(u64, Vec<u8>), DbError> {
    let broken = |what: &str| DbError::from(io::Error::other(format!("a message entry {what}")));
    let (sequence, rest) = value.split_first_chunk::<8>().ok_or_else(|| broken("is too short"))?;
    let (length, packed) = rest.split_first_chunk::<4>().ok_or_else(|| broken("is too short"))?;
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(io::Error::other)?;
    // LZ4 does not make more of less.
    if length / 255 > packed.len() {
        return Err(broken("has an impossible length"));
    }
    let json = lz4_flex::block::decompress(packed, length).map_err(|error| broken(&error.to_string()))?;
    Ok((u64::from_be_bytes(*sequence), json))
}

/// The sequence and the message of an entry.
pub(in crate::store) fn decode(value: &[u8]) -> Result<(u64, Message), DbError> {
    read(value).map(|(sequence, message, _)| (sequence, message))
}

/// The sequence and the message of an entry, and how long its JSON is.
pub(super) fn read(value: &[u8]) -> Result<(u64, Message, usize), DbError> {
    let (sequence, json) = unpack(value)?;
    Ok((sequence, serde_json::from_slice(&json).map_err(io::Error::from)?, json.len()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::tests::support::{at, id, queued};

    /// The entry of a message with this JSON, packed as the first one.
    fn pack(sequence: u64, json: &[u8]) -> Vec<u8> {
        Packer::default().pack_json(sequence, json).unwrap().to_vec()
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_packed_comes_out_as_it_was(sequence: u64, json: Vec<u8>, times in 1usize..50) {
            let json = json.repeat(times);
            prop_assert_eq!(unpack(&pack(sequence, &json)).unwrap(), (sequence, json));
        }

        #[test]
        fn whatever_a_damaged_entry_holds_is_an_answer(value: Vec<u8>, json: Vec<u8>, place: usize, byte: u8) {
            let _ = unpack(&value);
            let mut packed = pack(1, &json.repeat(9));
            let place = place % packed.len();
            packed[place] = byte;
            let _ = unpack(&packed);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn an_entry_has_the_same_bytes_whatever_was_packed_before_it(
            jsons in prop::collection::vec((prop::collection::vec(0u8..4, 0..400), 1usize..300), 1..8)
        ) {
            let mut packer = Packer::default();
            for (sequence, (json, times)) in (0u64..).zip(jsons) {
                let json = json.repeat(times);
                let alone = lz4_flex::block::compress(&json);
                let head = [&sequence.to_be_bytes()[..], &u32::try_from(json.len()).unwrap().to_be_bytes()].concat();
                prop_assert_eq!(packer.pack_json(sequence, &json).unwrap(), [head, alone].concat());
            }
        }
    }

    #[test]
    fn a_message_is_packed_as_the_json_that_it_is_written_as() {
        let fact = queued("customs", None);
        let message = crate::store::apply(None, id(1), at(1), &fact).unwrap();
        let json = serde_json::to_vec(&message).unwrap();
        let mut packer = Packer::default();
        // One that is longer was packed before.
        packer.pack_json(1, &[7; 5_000]).unwrap();
        let (entry, len) = packer.pack(2, &message).unwrap();
        assert_eq!((entry, len), (pack(2, &json).as_slice(), json.len()));
        assert_eq!(read(entry).unwrap(), (2, message, json.len()));
    }

    #[test]
    fn a_message_that_packs_as_well_as_any_comes_out_too() {
        let json = vec![b' '; 1 << 20];
        assert_eq!(unpack(&pack(7, &json)).unwrap(), (7, json));
    }

    #[test]
    fn a_length_that_no_message_has_is_refused_before_memory_is_taken_for_it() {
        let value = [&[0; 8][..], &u32::MAX.to_be_bytes(), &[0; 8]].concat();
        assert!(unpack(&value).unwrap_err().to_string().contains("impossible length"));
    }
}
