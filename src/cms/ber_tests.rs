use proptest::prelude::*;

use super::*;

fn reader(bytes: &[u8]) -> BerReader<&[u8]> {
    BerReader::new(bytes, &Limits::default())
}

fn octets(bytes: &[u8], tag: u8) -> Result<Vec<u8>, BerError> {
    let mut ber = reader(bytes);
    ber.enter_octets(tag)?;
    let mut out = Vec::new();
    ber.copy_octets(&mut out, u64::MAX)?;
    Ok(out)
}

#[test]
fn der_comes_out_as_it_went_in() {
    let value = der::sequence(&[&der::integer(1), &der::tlv(der::SET, &der::tlv(der::OCTET_STRING, &[7; 300]))]);
    assert_eq!(reader(&value).value().unwrap(), value);
}

#[test]
fn indefinite_lengths_and_segments_are_normalised() {
    let ber = [0x30, 0x80, 0x24, 0x80, 4, 1, b'a', 0x24, 4, 4, 2, b'b', b'c', 0, 0, 2, 0x81, 1, 5, 0, 0];
    let expected = der::sequence(&[&der::tlv(der::OCTET_STRING, b"abc"), &der::integer(5)]);
    assert_eq!(reader(&ber).value().unwrap(), expected);
}

#[test]
fn lengths_in_more_octets_than_they_need_come_out_in_the_fewest() {
    let inner = [0x30, 0x81, 4, 2, 0x81, 1, 5];
    let ber = [&[0x31, 0x82, 0, 13], inner.as_slice(), &[0x30, 0x80, 0, 0, 5, 0]].concat();
    let expected = [der::sequence(&[&der::integer(5)]), der::sequence(&[]), der::tlv(der::NULL, &[])].concat();
    assert_eq!(reader(&ber).value().unwrap(), der::tlv(der::SET, &expected));
}

#[test]
fn a_value_comes_out_octet_for_octet_or_is_passed_over() {
    // What is inside need not be a value at all.
    let exact = der::sequence(&[&[0x1f; 300]]);
    let others = [&[0x30, 0x81, 3, 2, 1, 5][..], &[0x30, 0x80, 2, 1, 5, 0, 0], &[2, 0x82, 0, 1, 5]].concat();
    let bytes = [exact.as_slice(), &others, &exact].concat();
    let mut ber = reader(&bytes);
    let values: Vec<_> = (0..5).map(|_| ber.exact_value().unwrap()).collect();
    assert_eq!(values, [Some(exact.clone()), None, None, None, Some(exact)]);
    assert!(matches!(ber.exact_value(), Err(BerError::Truncated)));
    let long = der::tlv(der::OCTET_STRING, &vec![0; Limits::default().ber_value + 1]);
    assert!(matches!(reader(&long).exact_value(), Err(BerError::TooLarge)));
    assert!(matches!(reader(&[0x30, 4, 2, 1]).exact_value(), Err(BerError::Truncated)));
}

#[test]
fn octet_strings_stream_in_both_forms() {
    assert_eq!(octets(&[4, 2, b'h', b'i'], 4).unwrap(), b"hi");
    assert_eq!(octets(&[0xa0, 0x80, 4, 1, b'h', 4, 0, 4, 1, b'i', 0, 0], 0x80).unwrap(), b"hi");
    assert!(octets(&[0xa0, 0x80, 2, 1, 0, 0, 0], 0x80).is_err());
}

#[test]
fn a_value_may_not_pass_the_end_of_its_parent() {
    let mut ber = reader(&[0x30, 3, 4, 2, 1, 2]);
    ber.enter(0x30).unwrap();
    assert!(matches!(ber.value(), Err(BerError::Length)));
    let mut ber = reader(&[0x30, 4, 0x30, 0x80, 4, 9, 0, 0, 0, 0, 0]);
    ber.enter(0x30).unwrap();
    ber.enter(0x30).unwrap();
    assert!(matches!(ber.value(), Err(BerError::Length)));
}

#[test]
fn what_is_left_inside_is_not_lost_silently() {
    let mut ber = reader(&[0x30, 3, 2, 1, 5]);
    ber.enter(0x30).unwrap();
    assert!(matches!(ber.leave(), Err(BerError::Tag)));
}

#[test]
fn skipping_passes_over_indefinite_values_without_recursion() {
    let mut ber = reader(&[0x30, 0x80, 0x30, 0x80, 2, 1, 1, 0, 0, 0, 0, 5, 0]);
    ber.skip().unwrap();
    assert_eq!(ber.peek().unwrap(), Some(der::NULL));
}

#[test]
fn bombs_are_refused_with_flat_memory() {
    let deep = [0x30, 0x80].repeat(500_000);
    assert!(matches!(reader(&deep).value(), Err(BerError::Depth)));
    assert!(matches!(reader(&deep).skip(), Err(BerError::Depth)));
    assert!(matches!(octets(&[0x24, 0x80].repeat(500_000), 4), Err(BerError::Depth)));
    assert!(matches!(
        reader(&[4, 0x88, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).value(),
        Err(BerError::Length)
    ));
    assert!(matches!(reader(&[4, 0x87, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).value(), Err(BerError::TooLarge)));
    assert!(matches!(
        reader(&[4, 0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).value(),
        Err(BerError::Length)
    ));
    let mut chunks = vec![0x24, 0x80];
    chunks.extend([4, 0].repeat(1_000_000));
    assert!(matches!(reader(&chunks).value(), Err(BerError::TooLarge)));
    chunks.extend([4, 1, b'x', 0, 0]);
    assert_eq!(octets(&chunks, 4).unwrap(), b"x");
}

#[test]
fn only_line_breaks_may_follow() {
    let mut ber = reader(&[5, 0, b'\r', b'\n', 0]);
    ber.skip().unwrap();
    ber.end().unwrap();
    let mut ber = reader(&[5, 0, 1]);
    ber.skip().unwrap();
    assert!(ber.end().is_err());
}

/// `content` as an indefinite OCTET STRING in segments of `chunk` bytes.
fn segmented(content: &[u8], chunk: usize) -> Vec<u8> {
    let mut out = vec![0x24, 0x80];
    for part in content.chunks(chunk.max(1)) {
        out.extend(der::tlv(der::OCTET_STRING, part));
    }
    out.extend([0, 0]);
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_segmentation_yields_the_same_octets(content in proptest::collection::vec(any::<u8>(), 0..600), chunk in 1usize..80) {
        let ber = segmented(&content, chunk);
        prop_assert_eq!(octets(&ber, 4).unwrap(), content.clone());
        prop_assert_eq!(reader(&ber).value().unwrap(), der::tlv(der::OCTET_STRING, &content));
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = reader(&bytes).value();
        let _ = reader(&bytes).skip();
        let _ = octets(&bytes, 4);
    }
}
