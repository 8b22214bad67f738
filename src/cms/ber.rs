//! A pull reader of BER (X.690) over a stream: DER, indefinite lengths and segmented OCTET STRINGs alike.
//!
//! The caller walks the structure it knows: [`enter`](BerReader::enter) and [`leave`](BerReader::leave) constructed
//! values, take small ones whole and normalised to definite lengths with [`value`](BerReader::value), and stream the
//! content with [`read_octets`](BerReader::read_octets). Memory is a fixed buffer, one frame for each open value
//! (at most `Limits::ber_depth`) and the small value being read (at most `Limits::ber_value`); a length field is
//! checked against the enclosing value and never used to allocate.

use std::io::{self, BufRead, BufReader, Read};

use super::der;
use crate::ground::limits::Limits;

/// Why a BER stream cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum BerError {
    /// The stream ended inside a value.
    #[error("BER value truncated")]
    Truncated,
    /// A length field is longer than eight octets, over 2^63, beyond the enclosing value, or indefinite where it must not be.
    #[error("illegal BER length")]
    Length,
    /// A tag that cannot stand here, or a tag number over 30.
    #[error("unexpected BER tag")]
    Tag,
    /// Values nested deeper than `Limits::ber_depth`.
    #[error("BER nested too deeply")]
    Depth,
    /// A small value is larger than `Limits::ber_value`.
    #[error("BER value too large")]
    TooLarge,
    /// The stream below failed.
    #[error(transparent)]
    Io(io::Error),
}

impl BerError {
    /// The same as a fixed phrase.
    pub fn reason(&self) -> &'static str {
        match self {
            BerError::Truncated => "value truncated",
            BerError::Length => "illegal length",
            BerError::Tag => "unexpected tag",
            BerError::Depth => "nested too deeply",
            BerError::TooLarge => "value too large",
            BerError::Io(_) => "read failed",
        }
    }
}

/// Tag and length of a value whose content was not touched yet. No length means indefinite.
#[derive(Clone, Copy)]
struct Header {
    tag: u8,
    len: Option<u64>,
    /// Octets that both take.
    octets: u64,
}

/// Bytes of structure read ahead; longer pieces of content go past this buffer.
const BUFFER: usize = 8 * 1024;

/// An open constructed value.
struct Frame {
    /// Position where it ends, when its length is definite.
    end: Option<u64>,
    /// Position that nothing inside may pass: the nearest definite end from here outwards.
    bound: u64,
    /// Its end was seen.
    ended: bool,
}

/// A content OCTET STRING being streamed.
struct Octets {
    /// Open values outside it.
    base: usize,
    /// Bytes left of the current segment.
    left: u64,
    /// Position after which no further segment may start.
    last: u64,
}

/// Reads BER from `R`. See the module text.
pub struct BerReader<R: Read> {
    input: BufReader<R>,
    position: u64,
    frames: Vec<Frame>,
    pending: Option<Header>,
    octets: Option<Octets>,
    max_depth: usize,
    max_value: u64,
}

impl<R: Read> BerReader<R> {
    /// Starts before the outermost value.
    pub fn new(input: R, limits: &Limits) -> BerReader<R> {
        BerReader {
            input: BufReader::with_capacity(BUFFER, input),
            position: 0,
            frames: Vec::new(),
            pending: None,
            octets: None,
            max_depth: limits.ber_depth,
            max_value: u64::try_from(limits.ber_value).unwrap_or(u64::MAX),
        }
    }

    /// Identifier octet of the next value, or `None` at the end of the innermost open value (or of the stream).
    pub fn peek(&mut self) -> Result<Option<u8>, BerError> {
        if let Some(header) = self.pending {
            return Ok(Some(header.tag));
        }
        let indefinite = match self.frames.last() {
            Some(frame) if frame.ended || frame.end == Some(self.position) => {
                self.end_frame();
                return Ok(None);
            }
            Some(frame) => frame.end.is_none(),
            None => false,
        };
        if self.frames.is_empty() && self.buffered()?.is_empty() {
            return Ok(None);
        }
        let header = self.header()?;
        if header.tag == 0 {
            if !indefinite || header.len != Some(0) {
                return Err(BerError::Tag);
            }
            self.end_frame();
            return Ok(None);
        }
        self.pending = Some(header);
        Ok(Some(header.tag))
    }

    /// Opens the next value, which must be constructed and have this tag.
    pub fn enter(&mut self, tag: u8) -> Result<(), BerError> {
        let header = self.take_header()?;
        if header.tag != tag {
            return Err(BerError::Tag);
        }
        self.open(header)
    }

    /// Closes the innermost open value, which must have nothing left.
    pub fn leave(&mut self) -> Result<(), BerError> {
        if self.peek()?.is_some() {
            return Err(BerError::Tag);
        }
        self.frames.pop();
        Ok(())
    }

    /// Passes over the next value, whatever it is.
    pub fn skip(&mut self) -> Result<(), BerError> {
        let outside = self.frames.len();
        loop {
            if self.peek()?.is_none() {
                if self.frames.len() <= outside {
                    return Err(BerError::Truncated);
                }
                self.frames.pop();
            } else {
                let header = self.take_header()?;
                match header.len {
                    Some(len) => self.discard(len)?,
                    None => self.open(header)?,
                }
            }
            if self.frames.len() == outside {
                return Ok(());
            }
        }
    }

    /// The whole next value: definite lengths, minimal length octets, segmented OCTET STRINGs joined. DER comes out
    /// as it went in. Costs at most `Limits::ber_value` bytes of input.
    pub fn value(&mut self) -> Result<Vec<u8>, BerError> {
        if self.peek()?.is_none() {
            return Err(BerError::Truncated);
        }
        let last = self.position.saturating_add(self.max_value);
        let mut out = Vec::new();
        self.copy_value(&mut out, last)?;
        Ok(out)
    }

    /// The next value octet for octet, if its length is definite and in the fewest octets; one in another form is passed over,
    /// and `None`. What is inside is not looked at. Costs at most `Limits::ber_value` bytes of memory.
    pub fn exact_value(&mut self) -> Result<Option<Vec<u8>>, BerError> {
        if self.peek()?.is_none() {
            return Err(BerError::Truncated);
        }
        let Some(Header { tag, len: Some(len), octets }) = self.pending else { return self.skip().map(|()| None) };
        let mut out = der::header(tag, len);
        if out.len() as u64 != octets {
            return self.skip().map(|()| None);
        }
        if len > self.max_value {
            return Err(BerError::TooLarge);
        }
        self.pending = None;
        self.copy_bytes(len, &mut out)?;
        Ok(Some(out))
    }

    /// Opens an OCTET STRING for [`read_octets`](Self::read_octets). `tag` is its primitive identifier octet:
    /// `OCTET_STRING` or an implicit context tag; the constructed form is accepted as well.
    pub fn enter_octets(&mut self, tag: u8) -> Result<(), BerError> {
        let header = self.take_header()?;
        let base = self.frames.len();
        let mut left = 0;
        if header.tag == tag {
            left = header.len.ok_or(BerError::Length)?;
        } else if header.tag == tag | 0x20 {
            self.open(header)?;
        } else {
            return Err(BerError::Tag);
        }
        self.octets = Some(Octets { base, left, last: u64::MAX });
        Ok(())
    }

    /// Bytes of the open OCTET STRING that are still to come, when it is one piece.
    pub fn octets_left(&self) -> Option<u64> {
        self.octets.as_ref().filter(|octets| octets.base == self.frames.len()).map(|octets| octets.left)
    }

    /// The next bytes of the open OCTET STRING; 0 at its end.
    pub fn read_octets(&mut self, buf: &mut [u8]) -> Result<usize, BerError> {
        if buf.is_empty() {
            return Ok(0);
        }
        while let Some(octets) = &self.octets {
            if octets.left > 0 {
                return self.read_segment(buf);
            }
            if self.frames.len() == octets.base {
                self.octets = None;
                break;
            }
            if self.position > octets.last {
                return Err(BerError::TooLarge);
            }
            match self.peek()? {
                None => {
                    self.frames.pop();
                }
                Some(der::OCTET_STRING) => {
                    let left = self.take_header()?.len.ok_or(BerError::Length)?;
                    self.octets.as_mut().expect("checked by the loop").left = left;
                }
                Some(SEGMENTED) => {
                    let header = self.take_header()?;
                    self.open(header)?;
                }
                Some(_) => return Err(BerError::Tag),
            }
        }
        Ok(0)
    }

    /// Bytes consumed so far.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Demands that only line breaks or zero octets follow the outermost value (RFC 5652 has no trailer; mail software adds one).
    pub fn end(&mut self) -> Result<(), BerError> {
        loop {
            let rest = self.buffered()?;
            if rest.is_empty() {
                return Ok(());
            }
            if !rest.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
                return Err(BerError::Tag);
            }
            let len = rest.len();
            self.input.consume(len);
        }
    }

    fn read_segment(&mut self, buf: &mut [u8]) -> Result<usize, BerError> {
        let octets = self.octets.as_mut().ok_or(BerError::Tag)?;
        let want = usize::try_from(octets.left).unwrap_or(usize::MAX).min(buf.len());
        let n = loop {
            match self.input.read(buf.get_mut(..want).ok_or(BerError::Length)?) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(BerError::Io(error)),
                Ok(0) => return Err(BerError::Truncated),
                Ok(n) => break n,
            }
        };
        let count = n as u64;
        octets.left = octets.left.saturating_sub(count);
        self.position = self.position.saturating_add(count);
        Ok(n)
    }

    /// Appends the next value; `last` is the position it may reach. Depth is bounded by `open`.
    fn copy_value(&mut self, out: &mut Vec<u8>, last: u64) -> Result<(), BerError> {
        let header = self.take_header()?;
        if header.len.is_some_and(|len| self.position.saturating_add(len) > last) || self.position > last {
            return Err(BerError::TooLarge);
        }
        if header.tag & 0x20 == 0 {
            let len = header.len.ok_or(BerError::Length)?;
            der::push_header(out, header.tag, len);
            return self.copy_bytes(len, out);
        }
        self.open(header)?;
        // Of DER the content comes out as long as it went in, so that its header can be written before it is known.
        let segmented = header.tag == SEGMENTED;
        let (tag, expected) = (if segmented { der::OCTET_STRING } else { header.tag }, header.len.unwrap_or(0));
        let start = out.len();
        der::push_header(out, tag, expected);
        let content = out.len();
        if segmented {
            self.octets = Some(Octets { base: self.frames.len().saturating_sub(1), left: 0, last });
            self.copy_octets(out, last)?;
        } else {
            self.copy_content(out, last)?;
        }
        let len = out.len().saturating_sub(content) as u64;
        if len != expected {
            out.splice(start..content, der::header(tag, len));
        }
        Ok(())
    }

    /// Appends what is left of the innermost open value, and closes it.
    fn copy_content(&mut self, out: &mut Vec<u8>, last: u64) -> Result<(), BerError> {
        while self.peek()?.is_some() {
            self.copy_value(out, last)?;
        }
        if self.position > last {
            return Err(BerError::TooLarge);
        }
        self.frames.pop();
        Ok(())
    }

    /// The rest of the open OCTET STRING, as long as the input stays before `last`.
    fn copy_octets(&mut self, out: &mut Vec<u8>, last: u64) -> Result<(), BerError> {
        let mut buf = [0u8; 4096];
        loop {
            let n = self.read_octets(&mut buf)?;
            if self.position > last {
                return Err(BerError::TooLarge);
            }
            match buf.get(..n) {
                Some(bytes) if n > 0 => out.extend_from_slice(bytes),
                _ => return Ok(()),
            }
        }
    }

    fn take_header(&mut self) -> Result<Header, BerError> {
        self.peek()?;
        self.pending.take().ok_or(BerError::Tag)
    }

    /// Pushes a frame for a constructed value whose header was just read.
    fn open(&mut self, header: Header) -> Result<(), BerError> {
        if header.tag & 0x20 == 0 {
            return Err(BerError::Tag);
        }
        if self.frames.len() >= self.max_depth {
            return Err(BerError::Depth);
        }
        let end = header.len.map(|len| self.position.saturating_add(len));
        let bound = end.unwrap_or_else(|| self.bound());
        self.frames.push(Frame { end, bound, ended: false });
        Ok(())
    }

    fn end_frame(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.ended = true;
        }
    }

    fn bound(&self) -> u64 {
        self.frames.last().map_or(i64::MAX as u64, |frame| frame.bound)
    }

    /// Reads identifier and length octets (X.690 8.1.2, 8.1.3).
    fn header(&mut self) -> Result<Header, BerError> {
        let start = self.position;
        let tag = self.byte()?;
        if tag & 0x1f == 0x1f {
            return Err(BerError::Tag);
        }
        let first = self.byte()?;
        let len = match first {
            0x80 if tag & 0x20 == 0 => return Err(BerError::Length),
            0x80 => None,
            0..0x80 => Some(u64::from(first)),
            _ => Some(self.long_length(first & 0x7f)?),
        };
        let end = self.position.checked_add(len.unwrap_or(0)).ok_or(BerError::Length)?;
        if end > self.bound() {
            return Err(BerError::Length);
        }
        Ok(Header { tag, len, octets: self.position.saturating_sub(start) })
    }

    fn long_length(&mut self, count: u8) -> Result<u64, BerError> {
        if count > 8 {
            return Err(BerError::Length);
        }
        let mut len = 0u64;
        for _ in 0..count {
            len = (len << 8) | u64::from(self.byte()?);
        }
        Ok(len)
    }

    fn byte(&mut self) -> Result<u8, BerError> {
        let byte = *self.buffered()?.first().ok_or(BerError::Truncated)?;
        self.input.consume(1);
        self.position = self.position.saturating_add(1);
        Ok(byte)
    }

    fn discard(&mut self, len: u64) -> Result<(), BerError> {
        self.copy_or_drop(len, None)
    }

    fn copy_bytes(&mut self, len: u64, out: &mut Vec<u8>) -> Result<(), BerError> {
        self.copy_or_drop(len, Some(out))
    }

    /// Moves `len` bytes; memory grows with what arrives, not with what is announced.
    fn copy_or_drop(&mut self, len: u64, mut out: Option<&mut Vec<u8>>) -> Result<(), BerError> {
        let mut left = len;
        while left > 0 {
            let available = self.buffered()?;
            let n = usize::try_from(left).unwrap_or(usize::MAX).min(available.len());
            let bytes = available.get(..n).filter(|bytes| !bytes.is_empty()).ok_or(BerError::Truncated)?;
            if let Some(out) = &mut out {
                out.extend_from_slice(bytes);
            }
            self.input.consume(n);
            left = left.saturating_sub(n as u64);
            self.position = self.position.saturating_add(n as u64);
        }
        Ok(())
    }

    /// What is in the buffer, filling it when empty; nothing only at the end of the stream.
    fn buffered(&mut self) -> Result<&[u8], BerError> {
        while self.input.buffer().is_empty() {
            match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(BerError::Io(error)),
                Ok(_) => break,
            }
        }
        Ok(self.input.buffer())
    }
}

/// OCTET STRING, constructed of segments.
const SEGMENTED: u8 = der::OCTET_STRING | 0x20;

#[cfg(test)]
#[path = "ber_tests.rs"]
mod tests;
