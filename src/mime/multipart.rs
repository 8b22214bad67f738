//! Multiparts (RFC 2046 5.1): a streaming splitter of `multipart/signed` (RFC 1847 2.1) and the ranges of small ones.
//!
//! What is signed is the octets between the line break that ends the first delimiter line and the line break *before*
//! the next delimiter, which belongs to that delimiter. [`SignedParts`] yields exactly those, in constant memory and
//! without touching them. A delimiter is a whole line: `--boundary`, blanks, line end; the same text with anything else
//! after it is content. A bare LF as line end is understood, for products that convert.
//!
//! Preamble and epilogue are not covered by the signature. On a channel without integrity of its own they would be room
//! for octets that an attacker appends or splices in without breaking the signature; [`SignedParts::pinned`] leaves
//! no such room.

use std::io::{self, BufRead, Read};
use std::ops::Range;

use memchr::memmem;

use super::content_type::is_boundary;
use super::{ContentType, Headers, MimeError, read_entity_head};
use crate::ground::limits::Limits;

/// Bytes looked at together.
const WINDOW: usize = 16 * 1024;
/// Blanks after a delimiter (transport padding) that are still understood.
const MAX_PADDING: usize = 128;
/// Longest preamble of pinned parts: a stray header line, as one widespread product sends it.
const MAX_PINNED_PREAMBLE: usize = 256;
/// Longest epilogue of pinned parts: two line ends. Shorter than the blocks of any cipher.
const MAX_PINNED_EPILOGUE: usize = 4;
/// Parts of a small multipart; MDNs have two or three.
const MAX_PARTS: usize = 32;

/// Whether a multipart begins with its first delimiter as it is, or with a preamble of a few lines in front of that (mendelson
/// writes its `Date` there). Then it is not encoded, whatever is said of that: a multipart has no transfer encoding
/// (RFC 2045 6.4), but some products name the one that they have set for a partner.
pub fn begins_with_delimiter(start: &[u8], boundary: &str) -> bool {
    let line = delimiter(boundary);
    let first = line.get(1..).unwrap_or_default();
    let near = start.get(..MAX_PINNED_PREAMBLE.saturating_add(line.len())).unwrap_or(start);
    near.trim_ascii_start().starts_with(first) || memmem::find(near, &line).is_some()
}

/// Streaming splitter of `multipart/signed`. Call [`first_part`](SignedParts::first_part) and read it to its end, then
/// [`second_part`](SignedParts::second_part), then [`finish`](SignedParts::finish).
pub struct SignedParts<R: BufRead> {
    input: R,
    limits: Limits,
    /// LF, two dashes, boundary.
    delimiter: Vec<u8>,
    window: Vec<u8>,
    /// Everything in the window before this was handed out.
    start: usize,
    /// Everything from `start` to here is content.
    safe: usize,
    input_ended: bool,
    /// Nothing of the current section was seen yet, so that a delimiter needs no line break before it.
    fresh: bool,
    /// The delimiter line that ends the current section.
    line: Option<Line>,
    section: Section,
    pinned: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    Preamble,
    First,
    Epilogue,
    /// The preamble was refused.
    Refused,
}

/// A delimiter line in the window.
#[derive(Clone, Copy)]
struct Line {
    end: usize,
    close: bool,
}

/// What follows the text of a delimiter.
enum Tail {
    Line { len: usize, close: bool },
    Content,
    NeedMore,
}

impl<R: BufRead> SignedParts<R> {
    /// Starts at the first byte of the multipart's body.
    ///
    /// # Errors
    /// [`MimeError::IllegalBoundary`] unless `boundary` is 1 to 70 printable characters.
    pub fn new(input: R, boundary: &str, limits: &Limits) -> Result<Self, MimeError> {
        if !is_boundary(boundary) {
            return Err(MimeError::IllegalBoundary);
        }
        Ok(SignedParts {
            input,
            limits: *limits,
            delimiter: delimiter(boundary),
            window: Vec::with_capacity(WINDOW),
            start: 0,
            safe: 0,
            input_ended: false,
            fresh: true,
            line: None,
            section: Section::Preamble,
            pinned: false,
        })
    }

    /// Tolerates nothing outside of the parts but what the multiparts of real products have there: a preamble of at
    /// most 256 printable ASCII characters and line ends, an epilogue of at most two line ends after the last delimiter
    /// line. Anything else becomes
    /// [`MimeError::OutsideParts`].
    pub fn pinned(self) -> Self {
        SignedParts { pinned: true, ..self }
    }

    /// Reads the exact octets of the first part, head and body; the preamble is passed over. Errors are
    /// [`MimeError`] within `io::Error`, or those of the reader below.
    pub fn first_part(&mut self) -> FirstPart<'_, R> {
        FirstPart(self)
    }

    /// Steps to the next part of a multipart with any number of them, whose octets [`first_part`](Self::first_part)
    /// then reads; `false` after the last. What is left of the part before is passed over.
    ///
    /// # Errors
    /// [`MimeError::NotTwoParts`] when there is none at all, [`MimeError::MissingDelimiter`], [`MimeError::Io`].
    pub fn next_part(&mut self) -> Result<bool, MimeError> {
        match self.section {
            Section::Preamble => {
                self.open_first()?;
                return Ok(true);
            }
            Section::Epilogue => return Ok(false),
            Section::Refused => return Err(MimeError::NotTwoParts),
            Section::First => {}
        }
        self.skip_section()?;
        let last = self.next_section(Section::First)?.close;
        if last {
            self.section = Section::Epilogue;
        }
        Ok(!last)
    }

    /// Head and body of the second part; what is left of the first is passed over.
    ///
    /// # Errors
    /// [`MimeError::NotTwoParts`] when there is no second part or a third, [`MimeError::PartTooLarge`],
    /// [`MimeError::MissingDelimiter`], [`MimeError::OutsideParts`] for the head of a pinned part that is not printable
    /// ASCII, those of [`Headers::parse`], [`MimeError::Io`].
    pub fn second_part(&mut self) -> Result<(Headers, Vec<u8>), MimeError> {
        if self.section == Section::Preamble {
            self.open_first()?;
        }
        if self.section != Section::First {
            return Err(MimeError::NotTwoParts);
        }
        self.skip_section()?;
        if self.next_section(Section::Epilogue)?.close {
            return Err(MimeError::NotTwoParts);
        }
        let mut part = Vec::new();
        while self.advance()? {
            part.extend_from_slice(self.window.get(self.start..self.safe).unwrap_or_default());
            self.start = self.safe;
            if part.len() > self.limits.signature_part {
                return Err(MimeError::PartTooLarge);
            }
        }
        if !self.next_section(Section::Epilogue)?.close {
            return Err(MimeError::NotTwoParts);
        }
        let mut rest = part.as_slice();
        let headers = read_entity_head(&mut rest, &self.limits)?;
        let head = part.len().saturating_sub(rest.len());
        if self.pinned && !part.get(..head).is_some_and(is_plain_text) {
            return Err(MimeError::OutsideParts);
        }
        Ok((headers, rest.to_vec()))
    }

    /// Passes over the epilogue to the end of the input, so that a reader below can report what it only knows there; its
    /// errors come before those of the epilogue.
    ///
    /// # Errors
    /// [`MimeError::NotTwoParts`] when the second part was not read, [`MimeError::Io`], [`MimeError::OutsideParts`]
    /// for the epilogue of pinned parts.
    pub fn finish(mut self) -> Result<(), MimeError> {
        if self.section != Section::Epilogue || self.line.is_some() {
            return Err(MimeError::NotTwoParts);
        }
        let mut len = 0usize;
        let mut line_ends = true;
        loop {
            let epilogue = self.window.get(self.start..).unwrap_or_default();
            len = len.saturating_add(epilogue.len());
            line_ends &= epilogue.iter().all(|byte| matches!(byte, b'\r' | b'\n'));
            self.start = self.window.len();
            if self.input_ended {
                break;
            }
            self.fill()?;
        }
        let tolerated = !self.pinned || (line_ends && len <= MAX_PINNED_EPILOGUE);
        if tolerated { Ok(()) } else { Err(MimeError::OutsideParts) }
    }

    /// A refusal is final: a caller that reads on after the error must not find a first part behind it, whose signature
    /// may well hold.
    fn open_first(&mut self) -> Result<(), MimeError> {
        let opened = self.pass_preamble();
        if opened.is_err() {
            self.section = Section::Refused;
        }
        opened
    }

    fn pass_preamble(&mut self) -> Result<(), MimeError> {
        let mut len = 0usize;
        while self.advance()? {
            let preamble = self.window.get(self.start..self.safe).unwrap_or_default();
            len = len.saturating_add(preamble.len());
            if self.pinned && (len > MAX_PINNED_PREAMBLE || !is_plain_text(preamble)) {
                return Err(MimeError::OutsideParts);
            }
            self.start = self.safe;
        }
        if self.next_section(Section::First)?.close { Err(MimeError::NotTwoParts) } else { Ok(()) }
    }

    /// Drops content up to the delimiter line that ends the section.
    fn skip_section(&mut self) -> Result<(), MimeError> {
        while self.advance()? {
            self.start = self.safe;
        }
        Ok(())
    }

    /// Steps behind the delimiter line.
    fn next_section(&mut self, section: Section) -> Result<Line, MimeError> {
        let line = self.line.take().ok_or(MimeError::MissingDelimiter)?;
        self.start = line.end;
        self.safe = line.end;
        self.fresh = true;
        self.section = section;
        Ok(line)
    }

    /// Finds content to hand out (`true`: `start..safe` is not empty) or the delimiter line that ends the section.
    fn advance(&mut self) -> Result<bool, MimeError> {
        while self.line.is_none() && self.safe <= self.start {
            if self.fresh && self.delimiter_at_start()? {
                continue;
            }
            self.fresh = false;
            self.scan()?;
        }
        Ok(self.safe > self.start)
    }

    /// Looks for a delimiter line at the very start of a section.
    fn delimiter_at_start(&mut self) -> Result<bool, MimeError> {
        loop {
            let ahead = self.window.get(self.start..).unwrap_or_default();
            let text = self.delimiter.get(1..).unwrap_or_default();
            if ahead.len() < text.len() {
                if !text.starts_with(ahead) || self.input_ended {
                    return Ok(false);
                }
            } else if let Some(after) = ahead.strip_prefix(text) {
                match tail(after, self.input_ended) {
                    Tail::Content => return Ok(false),
                    Tail::Line { len, close } => {
                        let end = self.window.len().saturating_sub(after.len()).saturating_add(len);
                        self.line = Some(Line { end, close });
                        return Ok(true);
                    }
                    Tail::NeedMore => {}
                }
            } else {
                return Ok(false);
            }
            self.fill()?;
        }
    }

    /// Looks for the next delimiter line in the window, and settles how much before it is content.
    fn scan(&mut self) -> Result<(), MimeError> {
        let ahead = self.window.get(self.start..).unwrap_or_default();
        let Some(place) = memmem::find(ahead, &self.delimiter) else {
            if self.input_ended {
                return Err(MimeError::MissingDelimiter);
            }
            // The last bytes may be the first of a line break and delimiter.
            let settled = ahead.len().saturating_sub(self.delimiter.len().saturating_add(1));
            if settled == 0 {
                return self.fill();
            }
            self.safe = self.start.saturating_add(settled);
            return Ok(());
        };
        let before = ahead.get(..place).unwrap_or_default();
        let before = before.strip_suffix(b"\r").unwrap_or(before).len();
        let after = place.saturating_add(self.delimiter.len());
        match tail(ahead.get(after..).unwrap_or_default(), self.input_ended) {
            Tail::Content => self.safe = self.start.saturating_add(place).saturating_add(1),
            _ if before > 0 => self.safe = self.start.saturating_add(before),
            Tail::Line { len, close } => {
                let end = self.start.saturating_add(after).saturating_add(len);
                self.line = Some(Line { end, close });
            }
            Tail::NeedMore => self.fill()?,
        }
        Ok(())
    }

    /// Reads more into the window, dropping what was handed out.
    fn fill(&mut self) -> Result<(), MimeError> {
        self.window.drain(..self.start.min(self.window.len()));
        self.safe = self.safe.saturating_sub(self.start);
        self.start = 0;
        loop {
            match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(MimeError::from(error)),
                Ok(available) => {
                    let piece = available.get(..WINDOW).unwrap_or(available);
                    let len = piece.len();
                    self.window.extend_from_slice(piece);
                    self.input.consume(len);
                    self.input_ended = len == 0;
                    return Ok(());
                }
            }
        }
    }
}

/// Reader of the first part; see [`SignedParts::first_part`].
pub struct FirstPart<'a, R: BufRead>(&'a mut SignedParts<R>);

impl<R: BufRead> Read for FirstPart<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let parts = &mut *self.0;
        match parts.section {
            Section::Preamble => parts.open_first()?,
            Section::Refused => return Err(MimeError::NotTwoParts.into()),
            Section::First | Section::Epilogue => {}
        }
        if parts.section != Section::First || buf.is_empty() || !parts.advance()? {
            return Ok(0);
        }
        let mut ready = parts.window.get(parts.start..parts.safe).unwrap_or_default();
        let n = ready.read(buf)?;
        parts.start = parts.start.saturating_add(n);
        Ok(n)
    }
}

/// Printable ASCII, blanks and line ends: a block of a cipher that was tampered with decrypts to that once in millions
/// of times.
pub(crate) fn is_plain_text(octets: &[u8]) -> bool {
    octets.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n'))
}

fn delimiter(boundary: &str) -> Vec<u8> {
    [b"\n--", boundary.as_bytes()].concat()
}

/// Judges what follows the text of a delimiter: `--` for the last one, blanks, line end (or the end of the input).
fn tail(after: &[u8], at_end: bool) -> Tail {
    let (close, rest) = match after.strip_prefix(b"--") {
        Some(rest) => (true, rest),
        None => (false, after),
    };
    let padding = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let used = after.len().saturating_sub(rest.len()).saturating_add(padding);
    match rest.get(padding..).unwrap_or_default() {
        _ if padding > MAX_PADDING => Tail::Content,
        [b'\n', ..] => Tail::Line { len: used.saturating_add(1), close },
        [b'\r', b'\n', ..] => Tail::Line { len: used.saturating_add(2), close },
        [] | [b'\r'] if at_end => Tail::Line { len: after.len(), close },
        [] | [b'\r'] => Tail::NeedMore,
        [b'-'] if !close && padding == 0 && !at_end => Tail::NeedMore,
        _ => Tail::Content,
    }
}

/// One part of a small multipart; ranges count from the start of the body given to [`parts`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its header fields; none where its head cannot be read, as of text that has none and no blank line before it.
    pub headers: Option<Headers>,
    /// Header block including the blank line.
    pub head_range: Range<usize>,
    /// Body as encoded, without the line break that belongs to the next delimiter.
    pub body_range: Range<usize>,
}

/// The direct parts of a multipart held in memory (an MDN). `headers` gives the Content-Type. A part is what lies between
/// two delimiter lines of this multipart, whatever it holds: nothing inside is looked into.
///
/// # Errors
/// [`MimeError::PartTooLarge`] over `Limits::mdn`, [`MimeError::MalformedContentType`],
/// [`MimeError::IllegalBoundary`], [`MimeError::MissingDelimiter`], [`MimeError::TooManyParts`].
pub fn parts(headers: &Headers, body: &[u8], limits: &Limits) -> Result<Vec<Part>, MimeError> {
    let content_type = ContentType::parse(headers.get("Content-Type").unwrap_or_default())?;
    parts_between(content_type.boundary()?, body, limits)
}

/// [`parts`] where the Content-Type was read already.
///
/// # Errors
/// As for [`parts`], but for those of the Content-Type.
pub fn parts_between(boundary: &str, body: &[u8], limits: &Limits) -> Result<Vec<Part>, MimeError> {
    if body.len() > limits.mdn {
        return Err(MimeError::PartTooLarge);
    }
    let part = |whole: Range<usize>| {
        let octets = body.get(whole.clone()).unwrap_or_default();
        let (head, _) = octets.split_at_checked(head_len(octets)).unwrap_or((octets, &[]));
        let content = whole.start.saturating_add(head.len());
        Part {
            headers: Headers::parse(head, limits).ok(),
            head_range: whole.start..content,
            body_range: content..whole.end,
        }
    };
    Ok(between_delimiters(body, boundary)?.into_iter().map(part).collect())
}

/// Bytes of a part's header block and its blank line; a part without a blank line is all head.
fn head_len(part: &[u8]) -> usize {
    let mut len = 0;
    for line in part.split_inclusive(|byte| *byte == b'\n') {
        len = line.len().saturating_add(len);
        if matches!(line, b"\r\n" | b"\n") {
            return len;
        }
    }
    part.len()
}

/// What lies between each delimiter line and the line break of the next, up to the closing one.
fn between_delimiters(body: &[u8], boundary: &str) -> Result<Vec<Range<usize>>, MimeError> {
    let delimiter = delimiter(boundary);
    let mut parts = Vec::new();
    let mut opened = None;
    let first = delimiter.get(1..).filter(|text| body.starts_with(text)).map(|_| None);
    let places = memmem::find_iter(body, &delimiter).map(Some);
    for place in first.into_iter().chain(places) {
        let after = place.map_or(0, |place| place.saturating_add(1)).saturating_add(delimiter.len()).saturating_sub(1);
        let Tail::Line { len, close } = tail(body.get(after..).unwrap_or_default(), true) else { continue };
        if let Some(start) = opened {
            let before = body.get(..place.unwrap_or(0)).unwrap_or_default();
            let end = before.strip_suffix(b"\r").unwrap_or(before).len();
            // The line break may be that of the delimiter line before: an empty part.
            parts.push(start..end.max(start));
        }
        if parts.len() > MAX_PARTS {
            return Err(MimeError::TooManyParts);
        }
        if close {
            return Ok(parts);
        }
        opened = Some(after.saturating_add(len));
    }
    Err(MimeError::MissingDelimiter)
}

#[cfg(test)]
#[path = "multipart_tests.rs"]
mod tests;
