//! What becomes of a message in hands that are not careful: it is carried on whole, but it is another one.

/// How a request is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bend {
    /// One byte of the body is another one.
    Flip,
    /// The body is compressed data whose end is missing; all around it is whole.
    CutZlib,
    /// It arrives twice; the answer is the one to the second copy.
    Twice,
}

impl Bend {
    /// The requests that go on instead of this one, each to be answered on a connection of its own.
    pub fn of(self, request: &[u8]) -> Vec<Vec<u8>> {
        let end = request.windows(4).position(|window| window == b"\r\n\r\n").map_or(request.len(), |at| at + 4);
        let (head, body) = request.split_at(end);
        match self {
            Bend::Flip => vec![framed(head, &flipped(body))],
            Bend::CutZlib => vec![framed(head, &with_less(body))],
            Bend::Twice => vec![framed(head, body); 2],
        }
    }
}

/// The same head for this body.
fn framed(head: &[u8], body: &[u8]) -> Vec<u8> {
    let head = String::from_utf8_lossy(head);
    let replaced = |line: &&str| {
        let line = line.to_ascii_lowercase();
        !line.is_empty() && !line.starts_with("content-length:") && !line.starts_with("connection:")
    };
    let kept: String = head.split("\r\n").filter(replaced).map(|line| format!("{line}\r\n")).collect();
    let framing = format!("Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    [kept.as_bytes(), framing.as_bytes(), body].concat()
}

/// A letter or digit well inside is another one: base64 and line ends stay what they are.
fn flipped(body: &[u8]) -> Vec<u8> {
    let mut body = body.to_vec();
    let start = body.len() * 2 / 5;
    let at = body.iter().skip(start).position(u8::is_ascii_alphanumeric).map(|at| start + at);
    let byte = &mut body[at.expect("a letter or digit")];
    *byte = if *byte == b'A' { b'B' } else { b'A' };
    body
}

/// CompressedData (RFC 3274 1.1) with two thirds of what `body`, one in DER, has.
fn with_less(body: &[u8]) -> Vec<u8> {
    let start = body.windows(2).position(|window| window == [0x78, 0x9c]).expect("zlib in its usual form");
    let whole = &body[start..];
    let content = der(0xa0, &der(0x04, &whole[..whole.len() * 2 / 3]));
    let encapsulated = der(0x30, &[DATA, &content].concat());
    let compressed = der(0x30, &[&[0x02, 0x01, 0x00], &der(0x30, ZLIB)[..], &encapsulated].concat());
    der(0x30, &[COMPRESSED_DATA, &der(0xa0, &compressed)].concat())
}

const DATA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01";
const ZLIB: &[u8] = b"\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x03\x08";
const COMPRESSED_DATA: &[u8] = b"\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x09";

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("a short value").to_be_bytes();
    let head = match length {
        [0, short @ 0..=0x7f] => vec![tag, short],
        [0, byte] => vec![tag, 0x81, byte],
        [high, low] => vec![tag, 0x82, high, low],
    };
    [&head, content].concat()
}
