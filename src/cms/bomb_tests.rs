//! BER that grows without end or claims to (`docs/hostile.md`): of each kind a structure that never stops is refused, and what was
//! read of it until then is counted. Memory is bounded by what was read.

use std::cell::Cell;
use std::io::{self, Read};

use flate2::{Compress, FlushCompress};

use super::ber::{BerError, BerReader};
use super::specimens::{ALICE, BOB, decryption_key};
use super::{
    CmsError, ContentCipher, DigestAlgorithm, EnvelopeReader, InflateReader, OpaqueReader, SignatureError, der, oid,
};
use crate::ground::limits::Limits;

/// Octets, then others over and over, without end.
struct Endless<'c> {
    lead: Vec<u8>,
    again: Vec<u8>,
    at: usize,
    taken: &'c Cell<usize>,
}

impl Read for Endless<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let octets = if self.at < self.lead.len() { &self.lead } else { &self.again };
        let at = if self.at < self.lead.len() { self.at } else { (self.at - self.lead.len()) % self.again.len() };
        let n = (&octets[at..]).read(buf)?;
        self.at += n;
        self.taken.set(self.taken.get() + n);
        assert!(self.at < 1 << 30, "read without end");
        Ok(n)
    }
}

/// What `read` makes of a structure without end, and how many octets it took for that.
fn of_endless<T>(lead: &[u8], again: &[u8], read: impl FnOnce(Endless<'_>) -> T) -> (T, usize) {
    let taken = Cell::new(0);
    let outcome = read(Endless { lead: lead.to_vec(), again: again.to_vec(), at: 0, taken: &taken });
    (outcome, taken.get())
}

/// Read ahead of what is looked at.
const AHEAD: usize = 32 * 1024;

fn small_value(input: Endless<'_>) -> Result<Vec<u8>, BerError> {
    BerReader::new(input, &Limits::default()).value()
}

fn inflated(input: Endless<'_>) -> Result<u64, CmsError> {
    let mut reader = InflateReader::open(input, &Limits::default())?;
    Ok(io::copy(&mut reader, &mut io::sink())?)
}

fn decrypted(input: Endless<'_>) -> Result<u64, CmsError> {
    let mut reader = EnvelopeReader::open(input, &[decryption_key(&BOB)], ContentCipher::ALL, &Limits::default())?;
    Ok(io::copy(&mut reader, &mut io::sink())?)
}

fn verified(input: Endless<'_>) -> Result<(), SignatureError> {
    let mut reader = OpaqueReader::open(input, &Limits::default())?;
    io::copy(&mut reader, &mut io::sink()).map_err(SignatureError::Io)?;
    reader.finish(std::slice::from_ref(&ALICE.certificate)).map(|_| ())
}

/// The beginning of a ContentInfo with this type, up to the structure's version and behind it.
fn begun(kind: &[u8], version: u32) -> Vec<u8> {
    [&[0x30, 0x80], der::object_identifier(kind).as_slice(), &[0xa0, 0x80, 0x30, 0x80], &der::integer(version)].concat()
}

/// SignedData up to the end of its content.
fn signed_head() -> Vec<u8> {
    let digests = der::set_of(vec![DigestAlgorithm::Sha256.identifier()]);
    let content = der::tlv(der::context_constructed(0), &der::tlv(der::OCTET_STRING, b"content"));
    let content = der::sequence(&[&der::object_identifier(oid::DATA), &content]);
    [begun(oid::SIGNED_DATA, 1), digests, content].concat()
}

/// The same up to the attributes of its one signer.
fn signer_head() -> Vec<u8> {
    let signer = [der::integer(1), ALICE.certificate.issuer_and_serial(), DigestAlgorithm::Sha256.identifier()];
    [signed_head(), vec![der::SET, 0x80, der::SEQUENCE, 0x80], signer.concat()].concat()
}

fn attribute() -> Vec<u8> {
    der::sequence(&[&der::object_identifier(&[0x2a, 3, 4]), &der::tlv(der::SET, &der::tlv(der::NULL, &[]))])
}

#[test]
fn nesting_without_end_is_refused_at_once_wherever_it_begins() {
    let nested = [0x30, 0x80];
    let (outcome, taken) = of_endless(&[], &nested, small_value);
    assert!(matches!(outcome, Err(BerError::Depth)) && taken <= AHEAD, "{taken}");
    let (outcome, taken) = of_endless(&[], &nested, |input| BerReader::new(input, &Limits::default()).skip());
    assert!(matches!(outcome, Err(BerError::Depth)) && taken <= AHEAD, "{taken}");
    // Where a small value is wanted, of definite lengths too.
    let long = [0x30, 0x84, 0x7f, 0xff, 0xff, 0xff];
    for again in [nested.as_slice(), &long] {
        for lead in [begun(oid::ENVELOPED_DATA, 0), [begun(oid::ENVELOPED_DATA, 0), vec![der::SET, 0x80]].concat()] {
            let (outcome, taken) = of_endless(&lead, again, decrypted);
            assert!(outcome.is_err() && taken <= AHEAD, "{taken}");
        }
        let (outcome, taken) = of_endless(&begun(oid::COMPRESSED_DATA, 0), again, inflated);
        assert!(outcome.is_err() && taken <= AHEAD, "{taken}");
        for lead in [begun(oid::SIGNED_DATA, 1), signed_head(), signer_head()] {
            let (outcome, taken) = of_endless(&lead, again, verified);
            assert!(outcome.is_err() && taken <= AHEAD, "{taken}");
        }
    }
    // Segments in segments of the content.
    let zlib = der::sequence(&[&der::object_identifier(oid::ZLIB)]);
    let content = [&[0x30, 0x80], der::object_identifier(oid::DATA).as_slice(), &[0xa0, 0x80]].concat();
    let lead = [begun(oid::COMPRESSED_DATA, 0), zlib, content].concat();
    let (outcome, taken) = of_endless(&lead, &[0x24, 0x80], inflated);
    assert!(outcome.is_err() && taken <= AHEAD, "{taken}");
}

#[test]
fn lengths_up_to_two_to_the_63_make_nobody_read_or_allocate() {
    let limit = u64::try_from(Limits::default().ber_value).unwrap();
    for len in [limit + 1, 1 << 31, 1 << 40, (1 << 63) - 1, 1 << 63, u64::MAX] {
        let claimed = [&[der::OCTET_STRING, 0x88], len.to_be_bytes().as_slice()].concat();
        let (outcome, taken) = of_endless(&claimed, b"x", small_value);
        assert!(outcome.is_err() && taken <= AHEAD, "{len}: {taken}");
        for tag in [der::OID, der::INTEGER, der::SEQUENCE] {
            let claimed = [&[tag, 0x88], len.to_be_bytes().as_slice()].concat();
            let (outcome, taken) =
                of_endless(&[begun(oid::ENVELOPED_DATA, 0), claimed.clone()].concat(), b"x", decrypted);
            assert!(outcome.is_err() && taken <= AHEAD, "{len}: {taken}");
            let (outcome, taken) = of_endless(&[signer_head(), claimed].concat(), b"x", verified);
            assert!(outcome.is_err() && taken <= AHEAD, "{len}: {taken}");
        }
    }
}

#[test]
fn a_million_segments_are_no_small_value_and_no_burden_to_a_stream() {
    let limit = Limits::default().ber_value;
    for segment in [[der::OCTET_STRING, 0].as_slice(), &[der::OCTET_STRING, 1, b'x']] {
        let (outcome, taken) = of_endless(&[0x24, 0x80], segment, small_value);
        assert!(matches!(outcome, Err(BerError::TooLarge)));
        assert!(taken <= 3 * limit + AHEAD, "{taken}");
    }
    // As content they go through, one after the other.
    let content = b"x".repeat(1_000_000);
    let segments = [der::OCTET_STRING, 1, b'x'].repeat(1_000_000);
    let encapsulated = [&[0xa0, 0x80, 0x24, 0x80], segments.as_slice(), &[0; 6]].concat();
    let digests = der::set_of(vec![DigestAlgorithm::Sha256.identifier()]);
    let lead = [begun(oid::SIGNED_DATA, 1), digests, vec![0x30, 0x80], der::object_identifier(oid::DATA)].concat();
    let ber = [lead, encapsulated].concat();
    let mut reader = OpaqueReader::open(ber.as_slice(), &Limits::default()).unwrap();
    let mut read = Vec::new();
    reader.read_to_end(&mut read).unwrap();
    assert!(read == content);
}

#[test]
fn attributes_without_end_are_refused_by_their_number_or_their_length() {
    let limit = Limits::default().ber_value;
    let signed = [signer_head(), vec![der::context_constructed(0), 0x80]].concat();
    let (outcome, taken) = of_endless(&signed, &attribute(), verified);
    assert!(matches!(outcome, Err(SignatureError::Malformed(_))) && taken <= limit + AHEAD, "{taken}");
    // Twenty thousand of them fit into what may be read, and are counted before anything is sorted.
    let all = attribute().repeat(20_000);
    assert!(all.len() < limit);
    let whole = [signer_head(), der::tlv(der::context_constructed(0), &all)].concat();
    let (outcome, taken) = of_endless(&whole, &[0], verified);
    assert!(matches!(outcome, Err(SignatureError::Malformed("too many attributes"))), "{outcome:?}");
    assert!(taken <= whole.len() + AHEAD, "{taken}");
    // Those that nobody signed are passed over, up to as many.
    let scheme = super::SignatureScheme::RsaPkcs1.identifier(DigestAlgorithm::Sha256);
    let signature = der::tlv(der::OCTET_STRING, &[7; 256]);
    let unsigned = [signer_head(), scheme, signature, vec![der::context_constructed(1), 0x80]].concat();
    let (outcome, taken) = of_endless(&unsigned, &attribute(), verified);
    assert!(matches!(outcome, Err(SignatureError::Malformed("too many attributes"))), "{outcome:?}");
    assert!(taken <= AHEAD, "{taken}");
}

#[test]
fn an_identifier_without_end_is_refused_or_unknown() {
    let limit = Limits::default().ber_value;
    for (name, length) in [("long", 900_000u64), ("too long", 2 << 20), ("claimed", 1 << 50)] {
        let header = der::header(der::OID, length);
        for lead in [vec![0x30, 0x80], [signed_head(), vec![der::SET, 0x80, der::SEQUENCE, 0x80]].concat()] {
            let (outcome, taken) = of_endless(&[lead, header.clone()].concat(), &[0x81], verified);
            assert!(outcome.is_err() && taken <= limit + AHEAD, "{name}: {taken}");
        }
    }
}

#[test]
fn certificates_digests_and_recipients_without_end_are_refused_at_the_seventeenth() {
    let certificate = ALICE.certificate.der().to_vec();
    let lead = [signed_head(), vec![der::context_constructed(0), 0x80]].concat();
    let (outcome, taken) = of_endless(&lead, &certificate, verified);
    assert!(matches!(outcome, Err(SignatureError::Malformed("too many certificates"))), "{outcome:?}");
    assert!(taken <= 17 * certificate.len() + AHEAD, "{taken}");
    let digest = DigestAlgorithm::Sha256.identifier();
    let lead = [begun(oid::SIGNED_DATA, 1), vec![der::SET, 0x80]].concat();
    let (outcome, taken) = of_endless(&lead, &digest, verified);
    assert!(matches!(outcome, Err(SignatureError::Malformed(_))) && taken <= AHEAD, "{taken}");
    let recipient = der::sequence(&[
        &der::integer(0),
        &ALICE.certificate.issuer_and_serial(),
        &der::sequence(&[&der::object_identifier(&[0x2a, 3, 4])]),
        &der::tlv(der::OCTET_STRING, &[7; 256]),
    ]);
    let lead = [begun(oid::ENVELOPED_DATA, 0), vec![der::SET, 0x80]].concat();
    let (outcome, taken) = of_endless(&lead, &recipient, decrypted);
    assert!(matches!(outcome, Err(CmsError::Malformed(_))) && taken <= 17 * recipient.len() + AHEAD, "{taken}");
}

/// CompressedData whose content begins like zlib and goes on with `blocks`, over and over.
fn bomb(blocks: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let zlib = der::sequence(&[&der::object_identifier(oid::ZLIB)]);
    let content = [&[0x30, 0x80], der::object_identifier(oid::DATA).as_slice(), &[0xa0, 0x80, 0x24, 0x80]].concat();
    let begin = der::tlv(der::OCTET_STRING, &[0x78, 0xda]);
    ([begun(oid::COMPRESSED_DATA, 0), zlib, content, begin].concat(), der::tlv(der::OCTET_STRING, blocks))
}

/// Deflated, to be followed by anything, itself too.
fn deflated(content: &[u8]) -> Vec<u8> {
    let mut deflated = Vec::with_capacity(content.len() + 1024);
    let mut deflate = Compress::new(flate2::Compression::best(), false);
    deflate.compress_vec(content, &mut deflated, FlushCompress::Full).unwrap();
    assert_eq!(deflate.total_in(), content.len() as u64);
    deflated
}

/// Inflates until it is refused; octets taken and octets that came out.
fn defused(blocks: &[u8], limits: &Limits) -> (usize, u64) {
    let (lead, again) = bomb(blocks);
    let (produced, taken) = of_endless(&lead, &again, |input| {
        let (mut reader, mut produced, mut buffer) = (InflateReader::open(input, limits).unwrap(), 0, vec![0; 8192]);
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => panic!("it has no end"),
                Ok(n) => produced += n as u64,
                Err(error) => {
                    assert!(matches!(CmsError::from(error), CmsError::InflateLimit));
                    break produced;
                }
            }
        }
    });
    (taken, produced)
}

#[test]
fn a_bomb_without_end_is_stopped_after_ten_megabytes_that_came_of_a_few_kilobytes() {
    let blocks = deflated(&vec![0; 1 << 20]);
    assert!(blocks.len() * 800 < 1 << 20, "ten megabytes of it are more than eight gigabytes");
    let limits = Limits::default();
    let (taken, produced) = defused(&blocks, &limits);
    assert!(produced <= limits.inflate_free, "{produced}");
    assert!(taken <= 3 * AHEAD, "{taken}");
}

#[test]
fn a_bomb_that_keeps_below_the_ratio_is_stopped_at_the_limit_of_payloads() {
    // A hundredfold: noise among the zeros.
    let noise: Vec<u8> = (0..600u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let blocks = deflated(&[noise, vec![0; 60_000]].concat());
    assert!((310..1000).contains(&blocks.len()), "{}", blocks.len());
    let limits = Limits { payload: 32 << 20, ..Limits::default() };
    let (taken, produced) = defused(&blocks, &limits);
    assert!(produced <= limits.payload && produced > limits.payload - 100_000, "{produced}");
    assert!(taken <= blocks.len() * (32 << 20) / 60_000 + 3 * AHEAD, "{taken}");
}
