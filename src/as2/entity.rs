//! MIME entities of our own making: header fields and a body in pieces, read as often as needed.
//!
//! Layers are put around layers without copying: a signed entity is its delimiters around the pieces of the entity
//! it signs. Lengths are known before the first byte is written.

use std::io::{self, Read, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

use super::error::ComposeError;
use super::headers::{CONTENT_DISPOSITION, CONTENT_TRANSFER_ENCODING, CONTENT_TYPE};
use super::{MicalgStyle, Signing};
use crate::cms::{self, Digests};
use crate::ground::random;
use crate::mime::{BytesSource, ContentType, Headers, Source};

/// Header fields and body, both fixed.
pub(super) struct Entity<'a> {
    headers: Headers,
    head: Vec<u8>,
    body: Vec<Piece<'a>>,
}

/// A run of bytes of a body.
pub(super) enum Piece<'a> {
    /// The caller's payload.
    Borrowed(&'a dyn Source),
    /// Delimiters, signatures, compressed content.
    Owned(Box<dyn Source + 'a>),
}

impl<'a> Piece<'a> {
    /// Bytes in memory.
    pub(super) fn bytes(bytes: Vec<u8>) -> Piece<'a> {
        Piece::Owned(Box::new(BytesSource(bytes)))
    }

    fn source(&self) -> &dyn Source {
        match self {
            Piece::Borrowed(source) => *source,
            Piece::Owned(source) => source.as_ref(),
        }
    }
}

impl<'a> Entity<'a> {
    /// The entity with these fields and this body.
    pub(super) fn new(headers: Headers, body: Vec<Piece<'a>>) -> Entity<'a> {
        let mut head = headers.to_bytes();
        head.extend_from_slice(b"\r\n");
        Entity { headers, head, body }
    }

    /// A CMS structure as an entity inside another one.
    pub(super) fn cms(smime_type: &str, file_name: &str, body: Piece<'a>) -> Result<Entity<'a>, ComposeError> {
        let mut headers = Headers::new();
        headers.push(CONTENT_TYPE, &cms_type(smime_type, file_name).to_string())?;
        headers.push(CONTENT_TRANSFER_ENCODING, "binary")?;
        headers.push(CONTENT_DISPOSITION, &super::headers::attachment_value(file_name))?;
        Ok(Entity::new(headers, vec![body]))
    }

    /// The header fields.
    pub(super) fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The header block with its blank line.
    pub(super) fn head(&self) -> &[u8] {
        &self.head
    }

    /// Writes the body alone.
    pub(super) fn write_body(&self, out: &mut dyn Write) -> Result<(), ComposeError> {
        self.body.iter().try_for_each(|piece| copy(piece.source(), out))
    }

    /// Writes header block, blank line and body.
    pub(super) fn write(&self, out: &mut dyn Write) -> Result<(), ComposeError> {
        out.write_all(&self.head)?;
        self.write_body(out)
    }

    /// `multipart/signed` around this entity (RFC 1847 2.1, RFC 8551 3.5.3). `digests` are those of the entity as
    /// [`write`](Entity::write) writes it.
    pub(super) fn sign(
        self,
        digests: &Digests,
        signing: &Signing,
        style: MicalgStyle,
        date: Timestamp,
    ) -> Result<Entity<'a>, ComposeError> {
        let digest = digests.of(signing.digest).ok_or(ComposeError::PayloadChanged)?;
        let signature = cms::sign_detached(signing.digest, digest, &signing.key, signing.scheme, date, true)?;
        let boundary = boundary();
        let content_type = ContentType::new("multipart/signed")
            .with("protocol", "application/pkcs7-signature")
            .with("micalg", &style.name(signing.digest))
            .with("boundary", &boundary);
        let mut headers = Headers::new();
        headers.push(CONTENT_TYPE, &content_type.to_string())?;

        let mut lead = format!("--{boundary}\r\n").into_bytes();
        lead.extend_from_slice(&self.head);
        let mut body = vec![Piece::bytes(lead)];
        body.extend(self.body);
        body.push(Piece::bytes(signature_part(&boundary, &signature)?));
        Ok(Entity::new(headers, body))
    }
}

/// `application/pkcs7-mime` (RFC 8551 3.2.2).
pub(super) fn cms_type(smime_type: &str, file_name: &str) -> ContentType {
    ContentType::new("application/pkcs7-mime").with("smime-type", smime_type).with("name", file_name)
}

/// A delimiter that occurs in no content written before it was drawn.
pub(super) fn boundary() -> String {
    format!("----=_dxgate_{}", random::noise_in_hex(16))
}

/// From the end of the first part to the end of the multipart.
fn signature_part(boundary: &str, signature: &[u8]) -> Result<Vec<u8>, ComposeError> {
    let mut headers = Headers::new();
    headers.push(CONTENT_TYPE, "application/pkcs7-signature; name=\"smime.p7s\"")?;
    headers.push(CONTENT_TRANSFER_ENCODING, "base64")?;
    headers.push(CONTENT_DISPOSITION, "attachment; filename=\"smime.p7s\"")?;
    let encoded = STANDARD.encode(signature);
    // With the line ends, the fields and the delimiters.
    let mut part = Vec::with_capacity(encoded.len().saturating_add(encoded.len() / 32).saturating_add(512));
    part.extend_from_slice(format!("\r\n--{boundary}\r\n").as_bytes());
    part.extend_from_slice(&headers.to_bytes());
    part.extend_from_slice(b"\r\n");
    for line in encoded.as_bytes().chunks(76) {
        part.extend_from_slice(line);
        part.extend_from_slice(b"\r\n");
    }
    part.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    Ok(part)
}

/// Bytes copied at a time.
const COPIED: usize = 64 * 1024;

/// Copies a source whole; it must have the length it announced, because lengths around it are already fixed.
fn copy(source: &dyn Source, out: &mut dyn Write) -> Result<(), ComposeError> {
    let mut reader = source.open()?;
    // One byte more than it should have, so that the end shows at once.
    let room = usize::try_from(source.len().saturating_add(1)).unwrap_or(COPIED);
    let mut buffer = vec![0u8; room.min(COPIED)];
    let mut copied = 0u64;
    loop {
        let n = match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        copied = copied.saturating_add(u64::try_from(n).unwrap_or(u64::MAX));
        if copied > source.len() {
            return Err(ComposeError::PayloadChanged);
        }
        out.write_all(buffer.get(..n).unwrap_or_default())?;
    }
    if copied == source.len() { Ok(()) } else { Err(ComposeError::PayloadChanged) }
}

/// Header block and body.
impl Source for Entity<'_> {
    fn len(&self) -> u64 {
        let head = u64::try_from(self.head.len()).unwrap_or(u64::MAX);
        self.body.iter().map(|piece| piece.source().len()).fold(head, u64::saturating_add)
    }

    fn open(&self) -> io::Result<Box<dyn Read + Send + '_>> {
        let body = PieceReader { rest: self.body.iter(), current: None };
        Ok(Box::new(self.head.as_slice().chain(body)))
    }
}

/// Opens each piece only when the one before is exhausted.
struct PieceReader<'a> {
    rest: std::slice::Iter<'a, Piece<'a>>,
    current: Option<Box<dyn Read + Send + 'a>>,
}

impl Read for PieceReader<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(reader) = &mut self.current {
                let n = reader.read(buf)?;
                if n > 0 || buf.is_empty() {
                    return Ok(n);
                }
            }
            match self.rest.next() {
                Some(piece) => self.current = Some(piece.source().open()?),
                None => return Ok(0),
            }
        }
    }
}
