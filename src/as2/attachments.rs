//! Several files in one message (RFC 6362): a payload of type `multipart/related` (RFC 2387), each part a file with its
//! own type and name. The whole multipart is what is signed and what the MIC covers; only afterwards it is taken apart, and so
//! is one that is wrapped in a `multipart/mixed` ([`Container`]).

use std::io::{self, BufRead, BufReader, Read};

use memchr::memmem;

use super::entity::boundary as fresh_boundary;
use super::error::ComposeError;
use super::headers::{
    CONTENT_DISPOSITION, CONTENT_ID, CONTENT_TRANSFER_ENCODING, CONTENT_TYPE, attachment_value, shown,
};
use crate::ground::id::Id;
use crate::ground::limits::Limits;
use crate::ground::text::printable;
use crate::mime::{
    ContentType, FileName, Headers, MimeError, SignedParts, Source, file_name, percent_decoded, read_entity_head,
    transfer_decoder,
};

/// What one part of a received multipart says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// `Content-Type`, printable.
    pub content_type: Option<String>,
    /// Its file name as the partner gave it, and made safe.
    pub file_name: Option<FileName>,
    /// `Content-ID` without its brackets (RFC 2045 7), by which other parts refer to it.
    pub content_id: Option<String>,
    /// Bytes without transfer encoding.
    pub len: u64,
}

/// The boundary of a payload of this type, if it is a multipart of files.
pub fn related_boundary(content_type: Option<&str>) -> Option<String> {
    let parsed = ContentType::parse(content_type?).ok()?;
    if !parsed.is("multipart/related") {
        return None;
    }
    parsed.boundary().ok().map(str::to_owned)
}

/// A payload in which files may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    boundary: String,
    /// They are not in it, but in a multipart of files that is all that it holds: what mendelson makes of several files that it
    /// does not sign.
    wrapped: bool,
}

impl Container {
    /// What a payload of this type may be; `None` where it holds no files.
    pub fn of(content_type: Option<&str>) -> Option<Container> {
        if let Some(boundary) = related_boundary(content_type) {
            return Some(Container { boundary, wrapped: false });
        }
        let mixed = ContentType::parse(content_type?).ok().filter(|parsed| parsed.is("multipart/mixed"))?;
        Some(Container { boundary: mixed.boundary().ok()?.to_owned(), wrapped: true })
    }

    /// Takes the files apart, as [`split`] does. There are none in a `multipart/mixed` of any other kind than the one that
    /// [`Container`] knows: whatever the sink got of it means nothing.
    ///
    /// # Errors
    /// As for [`split`].
    pub fn split(
        &self,
        payload: &mut dyn BufRead,
        limits: &Limits,
        sink: &mut dyn FnMut(usize, &[u8]) -> io::Result<()>,
    ) -> Result<Vec<Attachment>, MimeError> {
        if !self.wrapped {
            return split(payload, &self.boundary, limits, sink);
        }
        let mut outer = SignedParts::new(payload, &self.boundary, limits)?;
        let Some(attachments) = split_wrapped(&mut outer, limits, sink)? else { return Ok(Vec::new()) };
        // With another part beside it, it is no wrapping.
        Ok(if outer.next_part()? { Vec::new() } else { attachments })
    }
}

/// The files of the first part, if that is a multipart of files.
fn split_wrapped<R: BufRead>(
    outer: &mut SignedParts<R>,
    limits: &Limits,
    sink: &mut dyn FnMut(usize, &[u8]) -> io::Result<()>,
) -> Result<Option<Vec<Attachment>>, MimeError> {
    if matches!(none_if_unreadable(outer.next_part())?, None | Some(false)) {
        return Ok(None);
    }
    let mut part = BufReader::with_capacity(BUFFER, outer.first_part());
    let headers = none_if_unreadable(read_entity_head(&mut part, limits))?;
    let boundary = headers.and_then(|headers| related_boundary(headers.get(CONTENT_TYPE)));
    boundary.map(|boundary| split(&mut part, &boundary, limits, sink)).transpose()
}

/// What is no multipart, or has a part that cannot be read, is not taken apart, and nothing is wrong with that.
fn none_if_unreadable<T>(read: Result<T, MimeError>) -> Result<Option<T>, MimeError> {
    match read {
        Err(MimeError::Io(error)) => Err(MimeError::Io(error)),
        read => Ok(read.ok()),
    }
}

/// Takes the files apart. `sink` gets the number of the part, from 0, and its next bytes; for every part it is called
/// at least once, with no bytes at first. Parts that are multiparts themselves are not opened.
///
/// # Errors
/// [`MimeError`]; with [`MimeError::TooManyParts`] over `Limits::attachments`. What the sink got is incomplete then.
pub fn split(
    payload: &mut dyn BufRead,
    boundary: &str,
    limits: &Limits,
    sink: &mut dyn FnMut(usize, &[u8]) -> io::Result<()>,
) -> Result<Vec<Attachment>, MimeError> {
    let mut parts = SignedParts::new(payload, boundary, limits)?;
    let mut attachments = Vec::new();
    while parts.next_part()? {
        let number = attachments.len();
        if number >= limits.attachments {
            return Err(MimeError::TooManyParts);
        }
        let mut part = BufReader::with_capacity(BUFFER, parts.first_part());
        let headers = read_entity_head(&mut part, limits)?;
        let content_type = headers.get(CONTENT_TYPE).map(shown);
        let file_name = file_name(&headers);
        let content_id = headers.get(CONTENT_ID).map(bare_content_id);
        sink(number, &[])?;
        let mut content = transfer_decoder(headers.get(CONTENT_TRANSFER_ENCODING), Box::new(part))?;
        let len = pour(&mut content, &mut |bytes| sink(number, bytes))?;
        attachments.push(Attachment { content_type, file_name, content_id, len });
    }
    parts.finish()?;
    Ok(attachments)
}

/// What a `Content-ID`, a reference to one, or a `cid:` URL (RFC 2392) names.
pub(super) fn bare_content_id(text: &str) -> String {
    let text = text.trim();
    let text = text.get(..4).filter(|scheme| scheme.eq_ignore_ascii_case("cid:")).map_or(text, |_| &text[4..]);
    let inner = text.strip_prefix('<').and_then(|rest| rest.strip_suffix('>'));
    let inner = inner.unwrap_or(text).as_bytes();
    // As URLs have them.
    printable(&String::from_utf8_lossy(&percent_decoded(inner)))
}

fn pour(content: &mut dyn Read, sink: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> Result<u64, MimeError> {
    let mut buffer = vec![0u8; BUFFER];
    let mut len = 0u64;
    loop {
        let n = match content.read(&mut buffer) {
            Ok(0) => return Ok(len),
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(MimeError::from(error)),
        };
        len = len.saturating_add(u64::try_from(n).unwrap_or(u64::MAX));
        sink(buffer.get(..n).unwrap_or_default())?;
    }
}

const BUFFER: usize = 64 * 1024;

/// A file to be sent in one message.
#[derive(Clone, Copy)]
pub struct Enclosure<'a> {
    /// Its media type.
    pub content_type: &'a str,
    /// Its name.
    pub file_name: Option<&'a str>,
    /// Its `Content-ID` without brackets.
    pub content_id: Option<&'a str>,
    /// Its bytes, sent as they are.
    pub content: &'a dyn Source,
}

/// Several files as one payload; [`content_type`](Related::content_type) is that of the plan, which names no file then.
pub struct Related<'a> {
    content_type: String,
    pieces: Vec<Piece<'a>>,
}

enum Piece<'a> {
    Frame(Vec<u8>),
    Content(&'a dyn Source),
}

impl<'a> Related<'a> {
    /// Puts files together; the first is the root.
    ///
    /// # Errors
    /// [`ComposeError::Header`] when a type or name cannot stand in a header field, or there is no file.
    pub fn new(enclosures: &[Enclosure<'a>]) -> Result<Related<'a>, ComposeError> {
        Related::between(enclosures, &fresh_boundary())
    }

    /// The same with a boundary that tells later, by the first bytes alone, what the payload is: see [`type_of_named`].
    /// `id` must be one that no file can hold.
    ///
    /// # Errors
    /// As for [`Related::new`].
    pub fn named(enclosures: &[Enclosure<'a>], id: Id) -> Result<Related<'a>, ComposeError> {
        Related::between(enclosures, &format!("{NAMED}{id}"))
    }

    fn between(enclosures: &[Enclosure<'a>], boundary: &str) -> Result<Related<'a>, ComposeError> {
        let root = enclosures.first().ok_or(MimeError::MissingDelimiter)?;
        let content_type = related_type(&ContentType::parse(root.content_type)?, boundary);
        let mut pieces = Vec::new();
        let mut lead = format!("--{boundary}\r\n");
        for enclosure in enclosures {
            let mut headers = Headers::new();
            headers.push(CONTENT_TYPE, enclosure.content_type)?;
            headers.push(CONTENT_TRANSFER_ENCODING, "binary")?;
            if let Some(id) = enclosure.content_id {
                headers.push(CONTENT_ID, &format!("<{id}>"))?;
            }
            if let Some(name) = enclosure.file_name {
                headers.push(CONTENT_DISPOSITION, &attachment_value(name))?;
            }
            let frame = [lead.as_bytes(), &headers.to_bytes(), b"\r\n"].concat();
            pieces.extend([Piece::Frame(frame), Piece::Content(enclosure.content)]);
            lead = format!("\r\n--{boundary}\r\n");
        }
        pieces.push(Piece::Frame(format!("\r\n--{boundary}--\r\n").into_bytes()));
        Ok(Related { content_type, pieces })
    }

    /// `multipart/related` with `type` and `boundary` (RFC 2387 3).
    pub fn content_type(&self) -> &str {
        &self.content_type
    }
}

/// How the boundaries of [`Related::named`] begin.
const NAMED: &str = "dxgate-files-";

/// `multipart/related` with the type of its root (RFC 2387 3.1).
fn related_type(root: &ContentType, boundary: &str) -> String {
    let related = ContentType::new("multipart/related").with("type", &root.essence).with("boundary", boundary);
    related.to_string()
}

/// The media type of a payload that [`Related::named`] made, by its first bytes: they hold its boundary and the head of
/// the root. `None` for every other payload.
pub fn type_of_named(lead: &[u8], limits: &Limits) -> Option<String> {
    let (line, rest) = lead.split_at_checked(memmem::find(lead, b"\r\n")?)?;
    let boundary = std::str::from_utf8(line).ok()?.strip_prefix("--")?;
    boundary.strip_prefix(NAMED)?.parse::<Id>().ok()?;
    let head = rest.get(2..)?;
    let head = head.get(..memmem::find(head, b"\r\n\r\n")?.checked_add(2)?)?;
    let root = ContentType::parse(Headers::parse(head, limits).ok()?.get(CONTENT_TYPE)?).ok()?;
    Some(related_type(&root, boundary))
}

impl Source for Related<'_> {
    fn len(&self) -> u64 {
        let lengths = self.pieces.iter().map(|piece| match piece {
            Piece::Frame(bytes) => u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            Piece::Content(source) => source.len(),
        });
        lengths.fold(0, u64::saturating_add)
    }

    fn open(&self) -> io::Result<Box<dyn Read + Send + '_>> {
        let mut all: Box<dyn Read + Send + '_> = Box::new(io::empty());
        for piece in &self.pieces {
            let next: Box<dyn Read + Send + '_> = match piece {
                Piece::Frame(bytes) => Box::new(bytes.as_slice()),
                Piece::Content(source) => source.open()?,
            };
            all = Box::new(all.chain(next));
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_is_the_same_bare_in_brackets_and_in_a_url_and_what_is_no_octet_stands() {
        for text in ["a@b", "<a@b>", "cid:a%40b", "CID:a@b"] {
            assert_eq!(bare_content_id(text), "a@b", "{text}");
        }
        assert_eq!(bare_content_id("cid:a%+fb%4"), "a%+fb%4");
    }
}
