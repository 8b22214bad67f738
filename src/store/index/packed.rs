//! A message as the map has it: the sequence up to which every fact is in it (8 bytes, big-endian), the length of its JSON
//! (4), and the JSON in LZ4's block format. sled writes a leaf of sixteen messages whole again and again, so every byte of
//! a message is written some five times.

use std::io;

use crate::store::db::DbError;
use crate::store::record::Message;

/// The sequence and the JSON of a message, packed.
pub(super) fn pack(sequence: u64, json: &[u8]) -> Result<Vec<u8>, DbError> {
    let length = u32::try_from(json.len()).map_err(io::Error::other)?;
    let packed = lz4_flex::block::compress(json);
    Ok([&sequence.to_be_bytes()[..], &length.to_be_bytes(), &packed].concat())
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
    let (sequence, json) = unpack(value)?;
    Ok((sequence, serde_json::from_slice(&json).map_err(io::Error::from)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_packed_comes_out_as_it_was(sequence: u64, json: Vec<u8>, times in 1usize..50) {
            let json = json.repeat(times);
            prop_assert_eq!(unpack(&pack(sequence, &json).unwrap()).unwrap(), (sequence, json));
        }

        #[test]
        fn whatever_a_damaged_entry_holds_is_an_answer(value: Vec<u8>, json: Vec<u8>, place: usize, byte: u8) {
            let _ = unpack(&value);
            let mut packed = pack(1, &json.repeat(9)).unwrap();
            let place = place % packed.len();
            packed[place] = byte;
            let _ = unpack(&packed);
        }
    }

    #[test]
    fn a_message_that_packs_as_well_as_any_comes_out_too() {
        let json = vec![b' '; 1 << 20];
        assert_eq!(unpack(&pack(7, &json).unwrap()).unwrap(), (7, json));
    }

    #[test]
    fn a_length_that_no_message_has_is_refused_before_memory_is_taken_for_it() {
        let value = [&[0; 8][..], &u32::MAX.to_be_bytes(), &[0; 8]].concat();
        assert!(unpack(&value).unwrap_err().to_string().contains("impossible length"));
    }
}
