//! Attacks on a captured message in CBC: whatever is appended or spliced in, the answer is one and the same.

use super::*;
use crate::cms::SigningKey;

mod carried;

const CBC: ContentCipher = ContentCipher::Aes256Cbc;
const V15: KeyTransport = KeyTransport::RsaPkcs1;
const BLOCK: usize = 16;

/// Tag, head length and content length of the value at `at`.
fn header(der: &[u8], at: usize) -> (u8, usize, usize) {
    match der[at + 1] {
        0x81 => (der[at], 3, usize::from(der[at + 2])),
        0x82 => (der[at], 4, usize::from(u16::from_be_bytes([der[at + 2], der[at + 3]]))),
        short => (der[at], 2, usize::from(short)),
    }
}

/// The heads of the values that end where the message ends, the last one being that of the ciphertext.
fn last_heads(der: &[u8]) -> Vec<usize> {
    let mut heads = vec![0];
    let mut at = 0;
    while header(der, at).0 != 0x80 {
        at += header(der, at).1;
        loop {
            let (_, head, len) = header(der, at);
            if at + head + len == der.len() {
                break;
            }
            at += head + len;
        }
        heads.push(at);
    }
    heads
}

fn ciphertext(wire: &Wire) -> &[u8] {
    let at = *last_heads(&wire.body).last().unwrap();
    &wire.body[at + header(&wire.body, at).1..]
}

/// The message with another ciphertext in the same envelope.
fn with_ciphertext(wire: &Wire, blocks: &[u8]) -> Wire {
    let heads = last_heads(&wire.body);
    let old = ciphertext(wire).len();
    let mut forged = wire.clone();
    forged.body.truncate(wire.body.len() - old);
    forged.body.extend_from_slice(blocks);
    for at in heads {
        let (_, head, len) = header(&wire.body, at);
        assert_eq!(head, 4, "long enough in every test");
        let len = u16::try_from(len - old + blocks.len()).unwrap();
        forged.body[at + 2..at + 4].copy_from_slice(&len.to_be_bytes());
    }
    forged
}

/// What the partner gets to see.
fn told(wire: &Wire) -> Result<(), (Disposition, &'static str)> {
    receive(wire, &AcceptPolicy::default()).map(|_| ()).map_err(|failure| (failure.told, failure.explanation))
}

fn refusal() -> Result<(), (Disposition, &'static str)> {
    told(&enveloped(b"nothing", CBC, V15))
}

/// Every shape of a message in CBC that is accepted.
fn captured() -> Vec<(&'static str, Wire)> {
    let signed = Some(SignatureScheme::RsaPkcs1);
    let composed = |compression| compose_it(&plan(signed, Some((CBC, V15)), compression), PAYLOAD).0;
    vec![
        ("signed", composed(Compression::None)),
        ("compressed, then signed", composed(Compression::BeforeSigning)),
        ("signed, then compressed", composed(Compression::AfterSigning)),
        ("opaque", enveloped(&opaque(&ALICE), CBC, V15)),
    ]
}

/// SignedData with the payload inside.
fn opaque(key: &SigningKey) -> Vec<u8> {
    use openssl::cms::{CMSOptions, CmsContentInfo};
    let certificate = openssl::x509::X509::from_der(key.certificate.der()).unwrap();
    let options = CMSOptions::BINARY | CMSOptions::NOSMIMECAP;
    let signed = CmsContentInfo::sign(Some(&certificate), Some(key.key.pkey()), None, Some(&payload_entity()), options);
    let head = b"Content-Type: application/pkcs7-mime; smime-type=signed-data\r\n\r\n".as_slice();
    [head, &signed.unwrap().to_der().unwrap()].concat()
}

#[test]
fn guessing_the_padding_of_an_appended_block_teaches_nothing() {
    for (what, good) in captured() {
        assert_eq!(told(&good), Ok(()), "{what}");
        let blocks = ciphertext(&good).to_vec();
        let target = &blocks[2 * BLOCK..3 * BLOCK];
        for guess in 0..=255u8 {
            let mut chosen = [0xa5; BLOCK];
            chosen[BLOCK - 1] = guess;
            let forged = with_ciphertext(&good, &[&blocks, chosen.as_slice(), target].concat());
            assert_eq!(told(&forged), refusal(), "{what}, guess {guess}");
        }
    }
}

#[test]
fn blocks_spliced_in_anywhere_are_never_accepted() {
    let preamble = [b"Date: Sun, 22 Nov 2026 06:00:00 +0000; ".repeat(5).as_slice(), b"\r\n"].concat();
    let (content_type, body) = signed_parts(&payload_entity(), &payload_entity(), &ALICE);
    let head = format!("Content-Type: {content_type}\r\nX-Comment: {}\r\n\r\n", "roomy ".repeat(20));
    let good = enveloped(&[head.as_bytes(), &preamble, &body].concat(), CBC, V15);
    assert_eq!(told(&good), Ok(()), "a short preamble is what some products send");
    let blocks = ciphertext(&good).to_vec();
    let room = (head.len() + preamble.len()) / BLOCK;
    for at in 1..room {
        let (before, after) = blocks.split_at(at * BLOCK);
        let last = &before[before.len() - BLOCK..];
        let chosen = [0x5a; BLOCK];
        let forged = [before, chosen.as_slice(), &blocks[8 * BLOCK..9 * BLOCK], last, after].concat();
        assert_eq!(told(&with_ciphertext(&good, &forged)), refusal(), "before block {at}");
    }
}

#[test]
fn room_that_no_signature_covers_is_refused_inside_an_unauthenticated_envelope() {
    let entity = payload_entity();
    let (content_type, body) = signed_parts(&entity, &entity, &ALICE);
    let head = format!("Content-Type: {content_type}\r\n\r\n").into_bytes();
    let with_unsigned = unsigned_attribute(&body);
    let garbage = [0x8f, 0x00, 0x91, 0x1c].as_slice();
    let commented = [b"X: ", garbage, b"\r\n", &head].concat();
    let pieces = [b"a".repeat(200).as_slice(), b"\r\n--septic\r\n", &b"b".repeat(200), b"\r\n"].concat();
    let shapes: [(&str, Vec<u8>); 6] = [
        ("epilogue", [&head, body.as_slice(), garbage].concat()),
        ("preamble", [&head, garbage, b"\r\n", &body].concat()),
        ("head", [commented, body.clone()].concat()),
        ("unsigned attributes", [head.as_slice(), &with_unsigned].concat()),
        ("last delimiter in front", [&head, b"--sep--\r\n".as_slice(), &body].concat()),
        ("long preamble in pieces", [&head, pieces.as_slice(), &body].concat()),
    ];
    for (what, inner) in shapes {
        assert_eq!(told(&enveloped(&inner, CBC, V15)), refusal(), "{what}");
    }
    let inner = [head.as_slice(), &with_unsigned].concat();
    assert_eq!(told(&enveloped(&inner, ContentCipher::Aes256Gcm, V15)), Ok(()), "nothing to hide behind a tag");
}

/// The same multipart, with an unsigned attribute at the end of its SignerInfo.
fn unsigned_attribute(body: &[u8]) -> Vec<u8> {
    let start = memchr::memmem::rfind(body, b"binary\r\n\r\n").unwrap() + 10;
    let (before, rest) = body.split_at(start);
    let (_, head, len) = header(rest, 0);
    let (signature, after) = rest.split_at(head + len);
    let attribute = b"\xa1\x0c\x30\x0a\x06\x04\x2a\x03\x04\x05\x31\x02\x05\x00";
    let mut extended = [signature, attribute.as_slice()].concat();
    let mut at = 0;
    // ContentInfo, [0], SignedData, the SET of signers and its SignerInfo all end where the signature ends.
    for _ in 0..5 {
        loop {
            let (_, head, len) = header(signature, at);
            if at + head + len == signature.len() {
                assert_eq!(head, 4);
                let len = u16::try_from(len + attribute.len()).unwrap();
                extended[at + 2..at + 4].copy_from_slice(&len.to_be_bytes());
                at += head;
                break;
            }
            at += head + len;
        }
    }
    [before, &extended, after].concat()
}
