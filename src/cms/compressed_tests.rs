use super::*;
use crate::mime::MemoryScratch;

fn compressed(content: &[u8]) -> Vec<u8> {
    let source = compress(&BytesSource(content), &MemoryScratch).unwrap();
    let mut wire = Vec::new();
    source.open().unwrap().read_to_end(&mut wire).unwrap();
    assert_eq!(wire.len() as u64, source.len());
    wire
}

fn inflate_under(wire: &[u8], limits: &Limits) -> Result<Vec<u8>, CmsError> {
    let mut content = Vec::new();
    InflateReader::open(wire, limits)?.read_to_end(&mut content)?;
    Ok(content)
}

fn inflate(wire: &[u8]) -> Result<Vec<u8>, CmsError> {
    inflate_under(wire, &Limits::default())
}

/// `deflated` as CompressedData with indefinite lengths and segments of `chunk` bytes.
fn indefinite(deflated: &[u8], chunk: usize) -> Vec<u8> {
    let zlib = der::sequence(&[&der::object_identifier(oid::ZLIB)]);
    let mut out = vec![der::SEQUENCE, 0x80];
    out.extend(der::object_identifier(oid::COMPRESSED_DATA));
    out.extend([0xa0, 0x80, 0x30, 0x80]);
    out.extend([der::integer(0), zlib].concat());
    out.extend([0x30, 0x80]);
    out.extend(der::object_identifier(oid::DATA));
    out.extend([0xa0, 0x80, 0x24, 0x80]);
    deflated.chunks(chunk).for_each(|part| out.extend(der::tlv(der::OCTET_STRING, part)));
    out.extend([0; 12]);
    out
}

fn zlib(content: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn any_content_is_read_back() {
    let long: Vec<u8> = (0..200_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for content in [&b""[..], b"x", &long] {
        assert!(inflate(&compressed(content)).unwrap() == content);
    }
}

#[test]
fn indefinite_lengths_and_segments_are_understood() {
    let deflated = zlib(b"hello hello hello");
    for chunk in 1..8 {
        assert_eq!(inflate(&indefinite(&deflated, chunk)).unwrap(), b"hello hello hello");
    }
}

#[test]
fn a_bomb_is_stopped_by_its_ratio() {
    let bomb = compressed(&vec![0; 40 << 20]);
    assert!(bomb.len() < 64 << 10);
    assert!(matches!(inflate(&bomb), Err(CmsError::InflateLimit)));
    let patient = Limits { inflate_ratio: 2000, ..Limits::default() };
    assert_eq!(inflate_under(&bomb, &patient).unwrap().len(), 40 << 20);
}

#[test]
fn content_over_the_payload_limit_is_stopped() {
    let limits = Limits { payload: 1000, ..Limits::default() };
    assert!(matches!(inflate_under(&compressed(&[7; 1001]), &limits), Err(CmsError::InflateLimit)));
    assert_eq!(inflate_under(&compressed(&[7; 1000]), &limits).unwrap().len(), 1000);
}

#[test]
fn damaged_truncated_and_trailing_bytes_are_refused() {
    let wire = compressed(b"some content that is long enough to damage");
    for len in 0..wire.len() {
        assert!(inflate(&wire[..len]).is_err(), "{len}");
    }
    let mut damaged = wire.clone();
    *damaged.last_mut().unwrap() ^= 1;
    assert!(matches!(inflate(&damaged), Err(CmsError::Inflate)));
    let trailing = indefinite(&[zlib(b"x"), b"y".to_vec()].concat(), 100);
    assert!(matches!(inflate(&trailing), Err(CmsError::Malformed(_))));
    assert!(matches!(inflate(&[wire.as_slice(), b"x"].concat()), Err(CmsError::Malformed(_))));
}

#[test]
fn other_content_types_and_algorithms_are_refused() {
    let mut wire = compressed(b"x");
    let place = memchr::memmem::find(&wire, oid::ZLIB).unwrap() + oid::ZLIB.len() - 1;
    wire[place] = 9;
    assert!(matches!(inflate(&wire), Err(CmsError::Malformed(_))));
    let mut wire = compressed(b"x");
    let place = memchr::memmem::find(&wire, oid::COMPRESSED_DATA).unwrap() + oid::COMPRESSED_DATA.len() - 1;
    wire[place] = 8;
    assert!(matches!(inflate(&wire), Err(CmsError::WrongContentType)));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    #[test]
    fn no_damage_makes_inflating_panic(place in 0usize..80, byte in proptest::prelude::any::<u8>()) {
        let mut wire = compressed(b"hello hello hello");
        if let Some(target) = wire.get_mut(place) {
            *target = byte;
        }
        let _ = inflate(&wire);
    }
}
