//! Multiparts in multiparts, parts without end, boundaries that are missing, short or like each other. What is read of them and
//! what comes out is counted.

use std::cell::Cell;
use std::io::{self, BufReader, Read, Write};

use flate2::{Compress, FlushCompress};

use super::*;
use crate::as2::attachments::{related_boundary, split};
use crate::cms::der;
use crate::ground::limits::Limits;
use crate::mime::{Headers, MimeError, parts};

/// Counts what is taken from a reader, or given to a sink.
struct Counted<'c, T> {
    inner: T,
    count: &'c Cell<u64>,
}

impl<T: Read> Read for Counted<'_, T> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.count.set(self.count.get() + n as u64);
        Ok(n)
    }
}

impl<T: Write> Write for Counted<'_, T> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(buf)?;
        self.count.set(self.count.get() + n as u64);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// The refusal of a message, the octets taken of its body and those that came out.
fn refusal(wire: &Wire) -> (OpenFailure, u64, u64) {
    let (taken, given) = (Cell::new(0), Cell::new(0));
    let decryption = crate::cms::DecryptionKey {
        certificate: BOB.certificate.clone(),
        key: BOB.key.clone(),
        transports: KeyTransport::ALL.to_vec(),
    };
    let keys = OpenKeys { decryption: &[decryption], trusted: std::slice::from_ref(&ALICE.certificate), known: &[] };
    let mut body = Counted { inner: wire.body.as_slice(), count: &taken };
    let mut sink = Counted { inner: io::sink(), count: &given };
    let outcome = open(&request(wire), &mut body, &lax(), &keys, &Limits::default(), &mut sink);
    (outcome.expect_err("refused"), taken.get(), given.get())
}

const DEPTH: usize = 100_000;
const PARTS: usize = 1_000_000;

/// Multiparts in multiparts of this kind, each with a boundary of its own, none of them closed.
fn nested(kind: &str, depth: usize) -> Vec<u8> {
    (1..depth)
        .map(|n| format!("Content-Type: {kind}; boundary=b{n}\r\n\r\n--b{n}\r\n"))
        .collect::<String>()
        .into_bytes()
}

#[test]
fn a_hundred_thousand_layers_are_refused_at_the_second() {
    let signed = "multipart/signed; protocol=\"application/pkcs7-signature\"";
    let body = [b"--b0\r\n".as_slice(), &nested(signed, DEPTH)].concat();
    let (failure, ..) = refusal(&wire(&[("Content-Type", &format!("{signed}; boundary=b0"))], &body));
    assert!(!failure.told.is_positive());
    // In an envelope, of either kind.
    for cipher in [ContentCipher::Aes128Cbc, ContentCipher::Aes128Gcm] {
        let (failure, _, given) = refusal(&enveloped(&nested(signed, DEPTH), cipher, KeyTransport::RsaPkcs1));
        assert!(!failure.told.is_positive() && given == 0, "{cipher:?}");
    }
    // What is signed may be any multipart: it is a payload, and nobody looks into it.
    let deep = nested("multipart/mixed", DEPTH);
    let (opened, payload) = receive(&outermost(&signed_entity(&deep, &ALICE)), &lax()).unwrap();
    assert_eq!(opened.content_type.as_deref(), Some("multipart/mixed; boundary=b1"));
    assert!(deep.ends_with(&payload));
}

/// A message whose outermost entity is `entity`, its first line being its Content-Type.
fn outermost(entity: &[u8]) -> Wire {
    let split = memchr::memmem::find(entity, b"\r\n\r\n").unwrap();
    wire(&[("Content-Type", std::str::from_utf8(&entity[14..split]).unwrap())], &entity[split + 4..])
}

#[test]
fn files_in_files_and_reports_in_reports_are_not_gone_into() {
    let deep = [b"--b0\r\n".as_slice(), &nested("multipart/related", DEPTH), b"\r\n--b0--\r\n"].concat();
    let mut len = 0;
    let files = split(&mut deep.as_slice(), "b0", &Limits::default(), &mut |_, bytes| {
        len += bytes.len();
        Ok(())
    });
    assert_eq!(files.unwrap().len(), 1);
    assert!(len < deep.len());
    let limits = Limits::default();
    let mut headers = Headers::new();
    headers.push("Content-Type", "multipart/report; report-type=disposition-notification; boundary=b0").unwrap();
    assert!(matches!(parts(&headers, &deep, &limits), Err(MimeError::PartTooLarge)));
    for (kind, depth) in [("multipart/report", 15_000), ("multipart/signed", 15_000), ("message/rfc822", 15_000)] {
        let body = [b"--b0\r\n".as_slice(), &nested(kind, depth), b"\r\n--b0--\r\n"].concat();
        assert!(body.len() < limits.mdn);
        assert_eq!(parts(&headers, &body, &limits).unwrap().len(), 1, "{kind}");
        assert!(mdn::parse(&headers, &body, &[], &limits).is_err(), "{kind}");
    }
}

#[test]
fn a_million_parts_are_refused_at_the_first_that_is_too_many() {
    let limits = Limits::default();
    let body = b"--b\r\n\r\nx\r\n".repeat(PARTS);
    // Of files.
    let taken = Cell::new(0);
    let mut counted = BufReader::new(Counted { inner: body.as_slice(), count: &taken });
    let mut begun = 0;
    let files = split(&mut counted, "b", &limits, &mut |number, _| {
        begun = number + 1;
        Ok(())
    });
    assert!(matches!(files, Err(MimeError::TooManyParts)));
    assert_eq!(begun, limits.attachments);
    assert!(taken.get() < 64 * 1024, "{}", taken.get());
    // Of what is signed.
    let content_type = "multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=b";
    let (failure, taken, given) = refusal(&wire(&[("Content-Type", content_type)], &body));
    assert!(!failure.told.is_positive());
    assert!(taken < 256 * 1024 && given <= 1, "{taken} {given}");
    // Of a receipt, which is short.
    let mut headers = Headers::new();
    headers.push("Content-Type", "multipart/report; report-type=disposition-notification; boundary=b").unwrap();
    assert!(matches!(parts(&headers, &body, &limits), Err(MimeError::PartTooLarge)));
    assert!(matches!(parts(&headers, &body[..1_000_000], &limits), Err(MimeError::TooManyParts)));
}

/// A signed message with another boundary than that of the specimens, which shows and signs `part`.
fn bounded_by(boundary: &str, part: &[u8]) -> Wire {
    let (_, body) = signed_parts(part, part, &ALICE);
    let (first, last) = (b"--sep\r\n".len() + part.len() + b"\r\n--sep".len(), body.len() - b"--sep--\r\n".len());
    let body = [
        format!("--{boundary}\r\n").as_bytes(),
        part,
        format!("\r\n--{boundary}").as_bytes(),
        &body[first..last],
        format!("--{boundary}--\r\n").as_bytes(),
    ]
    .concat();
    let signed = "multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256";
    wire(&[("Content-Type", &format!("{signed}; boundary=\"{boundary}\""))], &body)
}

#[test]
fn a_boundary_of_one_character_is_a_boundary() {
    for boundary in "aZ09'()+_,-./:=?".chars().map(String::from) {
        let (_, payload) = receive(&bounded_by(&boundary, &payload_entity()), &lax()).unwrap();
        assert_eq!(payload, PAYLOAD, "{boundary}");
    }
    // There is a line `--b` in the payload: not what was signed comes of it, but nothing.
    let (failure, ..) = refusal(&bounded_by("b", &payload_entity()));
    assert!(!failure.told.is_positive());
}

#[test]
fn boundaries_that_begin_like_others_are_told_apart() {
    let lines = "--sepp\r\n--sep-\r\n--sep--x\r\n--sep x\r\n--se\r\n--se--\r\n---sep\r\n --sep\r\n";
    for (inner, outer) in [("sepp", "sep"), ("se", "sep"), ("sep-", "sep"), ("sep--", "sep"), ("s", "ss"), ("-", "--")]
    {
        let text = format!(
            "--{inner}\r\nContent-Type: a/b\r\n\r\n{}--{inner}--\r\n",
            if outer == "sep" { lines } else { "x\r\n" }
        );
        let part = format!("Content-Type: multipart/related; boundary=\"{inner}\"\r\n\r\n{text}");
        let sent = bounded_by(outer, part.as_bytes());
        match receive(&sent, &lax()) {
            Ok((_, payload)) => assert_eq!(payload, text.as_bytes(), "{inner} in {outer}"),
            // `sep--` makes the line that closes `sep`.
            Err(failure) => {
                assert!(inner == "sep--" && !failure.told.is_positive(), "{inner} in {outer}: {}", failure.cause)
            }
        }
    }
}

#[test]
fn a_multipart_without_a_boundary_is_refused() {
    let (_, body) = signed_parts(&payload_entity(), &payload_entity(), &ALICE);
    for content_type in [
        "multipart/signed",
        "multipart/signed; boundary",
        "multipart/signed; boundary=",
        "multipart/signed; boundary=\"\"",
    ] {
        let (failure, _, given) = refusal(&wire(&[("Content-Type", content_type)], &body));
        assert_eq!((failure.cause.code(), given), ("open-mime-malformed", 0), "{content_type}");
    }
    assert_eq!(related_boundary(Some("multipart/related; boundary")), None);
    let mut headers = Headers::new();
    headers.push("Content-Type", "multipart/report; report-type=disposition-notification").unwrap();
    assert!(matches!(parts(&headers, &body, &Limits::default()), Err(MimeError::IllegalBoundary)));
}

/// CompressedData of some ten megabytes, of which ten gigabytes would come.
fn ten_gigabytes() -> Vec<u8> {
    let mebibyte = vec![0u8; 1 << 20];
    let mut deflated = Vec::with_capacity(64 << 10);
    let mut deflate = Compress::new(flate2::Compression::best(), false);
    deflate.compress_vec(&mebibyte, &mut deflated, FlushCompress::Full).unwrap();
    assert_eq!(deflate.total_in(), 1 << 20, "all of it");
    let block = der::tlv(der::OCTET_STRING, &deflated);
    let zlib = der::sequence(&[&der::object_identifier(crate::cms::oid::ZLIB)]);
    let mut bomb = vec![0x30, 0x80];
    bomb.extend(der::object_identifier(crate::cms::oid::COMPRESSED_DATA));
    bomb.extend([0xa0, 0x80, 0x30, 0x80]);
    bomb.extend([der::integer(0), zlib].concat());
    bomb.extend([0x30, 0x80]);
    bomb.extend(der::object_identifier(crate::cms::oid::DATA));
    bomb.extend([0xa0, 0x80, 0x24, 0x80, 4, 2, 0x78, 0xda]);
    // Its first block is a head, so that the rest is a payload; each block stands by itself.
    let text = b"Content-Type: a/b\r\n\r\n";
    let len = u16::try_from(text.len()).unwrap();
    let stored = [&[0], len.to_le_bytes().as_slice(), &(!len).to_le_bytes(), text].concat();
    bomb.extend(der::tlv(der::OCTET_STRING, &stored));
    bomb.extend(block.repeat(10 << 10));
    assert!(bomb.len() < 16 << 20, "{}", bomb.len());
    bomb
}

#[test]
fn of_a_bomb_of_ten_gigabytes_ten_megabytes_come_out_wherever_it_lies() {
    let kind = "application/pkcs7-mime; smime-type=compressed-data";
    let bomb = ten_gigabytes();
    let entity = [format!("Content-Type: {kind}\r\n\r\n").as_bytes(), &bomb].concat();
    let free = Limits::default().inflate_free;
    let some = 128 * 1024;
    let bare = wire(&[("Content-Type", kind)], &bomb);
    let signed = outermost(&signed_entity(&entity, &ALICE));
    let sealed = |cipher| enveloped(&entity, cipher, KeyTransport::RsaPkcs1);
    let (failure, taken, given) = refusal(&bare);
    assert_eq!(failure.told, Disposition::decompression_failed());
    assert!(given < free + some && taken < some, "{taken} {given}");
    for (what, wire) in
        [("signed", signed), ("CBC", sealed(ContentCipher::Aes256Cbc)), ("GCM", sealed(ContentCipher::Aes256Gcm))]
    {
        let (failure, taken, given) = refusal(&wire);
        assert!(!failure.told.is_positive() && given < free + some, "{what}: {given}");
        assert!(taken <= wire.body.len() as u64, "{what}");
    }
}
