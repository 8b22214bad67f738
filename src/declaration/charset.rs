//! The bytes of a document as UTF-8: byte order mark, declared encoding, position and size limits.
//!
//! XML 1.0 appendix F: a byte order mark decides, else the XML declaration, else UTF-8. The customs specification shows
//! UTF-8 only; GB18030 and its kin are read because enterprise systems write them. Malformed bytes are a fault with a
//! place, never a replacement character: what is checked must be what is sent.

use std::io::{self, BufRead};
use std::ops::Range;

use encoding_rs::{DecoderResult, Encoding, GB18030, UTF_8, UTF_16BE, UTF_16LE};

use super::error::Fault;

/// Bytes decoded at a time.
const CHUNK: usize = 16 * 1024;
/// Bytes looked at to find the XML declaration.
const HEAD: usize = 8 * 1024;

/// A place in the decoded text, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) line: u64,
    pub(super) column: u64,
}

impl Position {
    pub(super) const START: Position = Position { line: 1, column: 1 };

    /// The place after these UTF-8 bytes.
    pub(super) fn after(self, bytes: &[u8]) -> Position {
        let wide = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let Some(last) = memchr::memrchr(b'\n', bytes) else {
            return Position { line: self.line, column: self.column.saturating_add(wide(characters(bytes))) };
        };
        let (before, tail) = bytes.split_at_checked(last).unwrap_or((bytes, &[]));
        let lines = match memchr::memchr(b'\n', before) {
            None => 1,
            Some(_) => memchr::memchr_iter(b'\n', bytes).count(),
        };
        // The tail begins with the line end, which takes the place of counting from 1.
        Position { line: self.line.saturating_add(wide(lines)), column: wide(characters(tail)) }
    }

    /// The place after UTF-8 bytes without a line end.
    fn within_line(self, bytes: &[u8]) -> Position {
        let count = u64::try_from(characters(bytes)).unwrap_or(u64::MAX);
        Position { line: self.line, column: self.column.saturating_add(count) }
    }
}

/// Characters in UTF-8 bytes: those that do not continue another.
pub(super) fn characters(bytes: &[u8]) -> usize {
    if bytes.is_ascii() {
        return bytes.len();
    }
    // So many at a time that a byte holds the count, which the compiler then makes vectors of.
    let count = |chunk: &[u8]| chunk.iter().fold(0u8, |count, byte| count.wrapping_add(u8::from(byte & 0xC0 != 0x80)));
    bytes.chunks(255).fold(0usize, |sum, chunk| sum.saturating_add(usize::from(count(chunk))))
}

/// What the first bytes say about the encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Charset {
    /// The encoding in use.
    pub(super) encoding: &'static Encoding,
    /// There is a byte order mark.
    pub(super) marked: bool,
}

/// A document as UTF-8, seen through a window that grows to the longest item and no further.
pub(super) struct Utf8Source<'a> {
    input: &'a mut dyn BufRead,
    state: State,
    /// Decoded text; what stands before `start` was taken.
    window: String,
    start: usize,
    taken: u64,
    chunk: Vec<u8>,
    /// Up to here `position` has counted.
    counted: usize,
    position: Position,
    /// No line ends between `counted` and `start`.
    unbroken: bool,
    read: u64,
    max_bytes: u64,
}

enum State {
    Fresh,
    Decoding(Box<encoding_rs::Decoder>, Charset),
    Done(Option<Charset>),
    Failed(Fault),
}

impl<'a> Utf8Source<'a> {
    pub(super) fn new(input: &'a mut dyn BufRead, max_bytes: u64) -> Utf8Source<'a> {
        Utf8Source {
            input,
            state: State::Fresh,
            window: String::new(),
            start: 0,
            taken: 0,
            chunk: Vec::new(),
            counted: 0,
            position: Position::START,
            unbroken: true,
            read: 0,
            max_bytes,
        }
    }

    /// The place of the next character.
    pub(super) fn position(&self) -> Position {
        let passed = self.window.as_bytes().get(self.counted..self.start).unwrap_or_default();
        if self.unbroken { self.position.within_line(passed) } else { self.position.after(passed) }
    }

    /// The same, remembered, so that the next count starts here.
    pub(super) fn mark(&mut self) -> Position {
        if self.counted < self.start {
            self.position = self.position();
            self.counted = self.start;
        }
        self.unbroken = true;
        self.position
    }

    /// The encoding, once the first byte was asked for.
    pub(super) fn charset(&self) -> Option<Charset> {
        match &self.state {
            State::Decoding(_, charset) => Some(*charset),
            State::Done(charset) => *charset,
            State::Fresh | State::Failed(_) => None,
        }
    }

    /// What is in the window and not taken.
    pub(super) fn text(&self) -> &str {
        self.window.get(self.start..).unwrap_or_default()
    }

    /// Bytes of text taken so far; a byte order mark is none of it.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// The same as bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        self.window.as_bytes().get(self.start..).unwrap_or_default()
    }

    /// Takes `count` bytes, a whole number of characters.
    pub(super) fn take(&mut self, count: usize) {
        self.unbroken = false;
        self.take_within_line(count);
    }

    /// The same for bytes without a line end, which need not be looked at again to count lines.
    pub(super) fn take_within_line(&mut self, count: usize) {
        self.taken = self.taken.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        self.start = self.start.saturating_add(count).min(self.window.len());
    }

    /// Takes the blanks that come next, at most `most`, when a `<` follows them in the window and then a byte that is
    /// `right`.
    pub(super) fn take_blanks(&mut self, most: usize, right: impl Fn(u8) -> bool) {
        let bytes = self.bytes();
        let (mut count, mut lines, mut line) = (0usize, 0u64, 0usize);
        while let Some(byte @ (b' ' | b'\n' | b'\t' | b'\r')) = bytes.get(count) {
            count = count.saturating_add(1);
            if *byte == b'\n' {
                (lines, line) = (lines.saturating_add(1), count);
            }
        }
        let Some([b'<', next]) = bytes.get(count..count.saturating_add(2)) else { return };
        if count == 0 || count > most || !right(*next) {
            return;
        }
        if lines > 0 {
            let here = if self.unbroken { self.position.line } else { self.position().line };
            self.position = Position { line: here.saturating_add(lines), column: 1 };
            self.counted = self.start.saturating_add(line);
            self.unbroken = true;
        }
        self.take_within_line(count);
    }

    /// Where in the window the next `count` bytes stand, until more is decoded.
    pub(super) fn place_of(&self, count: usize) -> Range<usize> {
        self.start..self.start.saturating_add(count)
    }

    /// The text in a place of the window.
    pub(super) fn in_place(&self, place: &Range<usize>) -> &str {
        self.window.get(place.clone()).unwrap_or_default()
    }

    /// Decodes more behind what is in the window. False when there is no more.
    pub(super) fn more(&mut self) -> Result<bool, Fault> {
        let before = self.bytes().len();
        loop {
            match &mut self.state {
                State::Fresh => self.open()?,
                State::Done(_) => return Ok(false),
                State::Failed(fault) => return Err(fault.clone()),
                State::Decoding(..) => self.decode()?,
            }
            if self.bytes().len() > before {
                return Ok(true);
            }
        }
    }

    /// Finds the encoding from the first bytes that are there.
    fn open(&mut self) -> Result<(), Fault> {
        let mut head = Vec::with_capacity(HEAD);
        let complete = read_head(self.input, &mut head).map_err(|error| uncarry(&error))?;
        let charset = match sniff(&head) {
            Ok(charset) => charset,
            Err(fault) => return self.fail(fault),
        };
        let mut decoder = charset.encoding.new_decoder_with_bom_removal();
        self.read = u64::try_from(head.len()).unwrap_or(u64::MAX);
        self.decode_some(&mut decoder, charset, &head, complete)?;
        if !matches!(self.state, State::Failed(_) | State::Done(_)) {
            self.state = State::Decoding(Box::new(decoder), charset);
        }
        Ok(())
    }

    fn fail(&mut self, fault: Fault) -> Result<(), Fault> {
        self.state = State::Failed(fault.clone());
        Err(fault)
    }

    fn decode(&mut self) -> Result<(), Fault> {
        let mut chunk = std::mem::take(&mut self.chunk);
        chunk.resize(CHUNK, 0);
        let count = read_some(self.input, &mut chunk).map_err(|error| uncarry(&error))?;
        self.read = self.read.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        let State::Decoding(mut decoder, charset) = std::mem::replace(&mut self.state, State::Done(None)) else {
            return Ok(());
        };
        self.state = State::Done(Some(charset));
        self.decode_some(&mut decoder, charset, chunk.get(..count).unwrap_or_default(), count == 0)?;
        if count > 0 && !matches!(self.state, State::Failed(_)) {
            self.state = State::Decoding(decoder, charset);
        }
        self.chunk = chunk;
        Ok(())
    }

    /// Decodes one chunk behind the window. A fault waits until the text before it was taken.
    fn decode_some(
        &mut self,
        decoder: &mut encoding_rs::Decoder,
        charset: Charset,
        bytes: &[u8],
        last: bool,
    ) -> Result<(), Fault> {
        if self.read > self.max_bytes {
            return self.fail(Fault::TooLarge { max: self.max_bytes });
        }
        self.mark();
        self.window.drain(..self.start);
        (self.start, self.counted) = (0, 0);
        // A decoder may need a few bytes beyond three per input byte; see encoding_rs::Decoder.
        self.window.reserve(bytes.len().saturating_mul(3).saturating_add(64));
        let (result, _) = decoder.decode_to_string_without_replacement(bytes, &mut self.window, last);
        match result {
            DecoderResult::InputEmpty if last => self.state = State::Done(Some(charset)),
            DecoderResult::InputEmpty => {}
            DecoderResult::Malformed(..) | DecoderResult::OutputFull => {
                let looks_like = (charset.encoding == UTF_8 && is_gb18030(bytes)).then(|| GB18030.name().to_owned());
                let fault = Fault::MalformedBytes { encoding: charset.encoding.name().to_owned(), looks_like };
                self.state = State::Failed(fault);
            }
        }
        Ok(())
    }
}

/// A fault on its way through `io::Error`.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.text().en)]
pub(super) struct Carried(pub(super) Fault);

/// Wraps a fault for a `Read`; [`uncarry`] finds it again.
pub(super) fn carry(fault: Fault) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, Carried(fault))
}

/// The fault inside an `io::Error`, or the error itself as one.
pub(super) fn uncarry(error: &io::Error) -> Fault {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Carried>()) {
        Some(Carried(fault)) => fault.clone(),
        None => Fault::Io { reason: error.to_string() },
    }
}

/// Reads until the XML declaration is complete, up to [`HEAD`] bytes. True when the input ended.
fn read_head(input: &mut dyn BufRead, head: &mut Vec<u8>) -> io::Result<bool> {
    let mut buffer = [0u8; 512];
    while head.len() <= HEAD.saturating_sub(buffer.len()) {
        let count = read_some(input, &mut buffer)?;
        if count == 0 {
            return Ok(true);
        }
        head.extend_from_slice(buffer.get(..count).unwrap_or_default());
        if head.len() >= 4 && head.contains(&b'>') {
            break;
        }
    }
    Ok(false)
}

fn read_some(input: &mut dyn BufRead, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match input.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

fn sniff(head: &[u8]) -> Result<Charset, Fault> {
    if let Some((encoding, _)) = Encoding::for_bom(head) {
        if encoding == UTF_8
            && let Some(declared) = declared(head)
            && Encoding::for_label(declared.as_bytes()) != Some(UTF_8)
        {
            return Err(Fault::EncodingConflict { declared, marked: encoding.name().to_owned() });
        }
        return Ok(Charset { encoding, marked: true });
    }
    if head.starts_with(b"<\0") {
        return Ok(Charset { encoding: UTF_16LE, marked: false });
    }
    if head.starts_with(b"\0<") {
        return Ok(Charset { encoding: UTF_16BE, marked: false });
    }
    let encoding = match declared(head) {
        None => UTF_8,
        Some(label) => match Encoding::for_label(label.as_bytes()) {
            // Eight-bit text cannot be what it declares here.
            Some(encoding) if encoding != UTF_16LE && encoding != UTF_16BE => encoding,
            _ => return Err(Fault::UnknownEncoding { label }),
        },
    };
    Ok(Charset { encoding, marked: false })
}

/// The encoding named in an XML declaration written in ASCII.
fn declared(head: &[u8]) -> Option<String> {
    let head = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head);
    let declaration = head.strip_prefix(b"<?xml")?;
    if !matches!(declaration.first(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
        return None;
    }
    let end = memchr::memmem::find(declaration, b"?>")?;
    let declaration = std::str::from_utf8(declaration.get(..end)?).ok()?;
    let (_, rest) = declaration.split_once("encoding")?;
    let value = rest.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    let (label, _) = value.strip_prefix(quote)?.split_once(quote)?;
    Some(label.chars().take(40).collect())
}

/// Whether bytes that are not UTF-8 read as GB18030 (the end of a chunk may cut a character).
fn is_gb18030(bytes: &[u8]) -> bool {
    let mut text = vec![0u8; bytes.len().saturating_mul(3).saturating_add(64)];
    let (result, ..) = GB18030.new_decoder().decode_to_utf8_without_replacement(bytes, &mut text, false);
    matches!(result, DecoderResult::InputEmpty)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(mut bytes: &[u8]) -> Result<String, Fault> {
        let mut source = Utf8Source::new(&mut bytes, 1 << 20);
        let mut text = String::new();
        while source.more()? {
            text.push_str(source.text());
            source.take(source.text().len());
        }
        Ok(text)
    }

    #[test]
    fn an_instruction_names_no_encoding() {
        let text = "<?xml-x encoding=\"GBK\"?><a>中</a>";
        assert_eq!(decode(text.as_bytes()), Ok(text.into()));
    }

    #[test]
    fn a_declared_gb18030_document_is_read() {
        let text = "<?xml version=\"1.0\" encoding=\"GB18030\"?><a>订单㐀</a>".to_owned();
        let (bytes, ..) = GB18030.encode(&text);
        assert_eq!(decode(&bytes), Ok(text));
    }

    #[test]
    fn characters_split_between_chunks_survive() {
        let text = format!("<a>{}</a>", "海关".repeat(20_000));
        assert_eq!(decode(text.as_bytes()), Ok(text.clone()));
        let utf16: Vec<u8> = [0xFF, 0xFE].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
        assert_eq!(decode(&utf16), Ok(text));
    }

    #[test]
    fn gb18030_bytes_declared_as_utf8_are_recognised() {
        let (bytes, ..) = GB18030.encode("<?xml version=\"1.0\" encoding=\"UTF-8\"?><a>订单编号</a>");
        let looks_like = Some("gb18030".to_owned());
        assert_eq!(decode(&bytes), Err(Fault::MalformedBytes { encoding: "UTF-8".into(), looks_like }));
    }

    #[test]
    fn a_byte_order_mark_and_another_declaration_conflict() {
        let bytes = "\u{FEFF}<?xml version=\"1.0\" encoding=\"GBK\"?><a/>";
        assert!(matches!(decode(bytes.as_bytes()), Err(Fault::EncodingConflict { .. })));
        assert_eq!(decode("\u{FEFF}<a/>".as_bytes()), Ok("<a/>".into()));
    }

    #[test]
    fn an_unknown_encoding_is_named() {
        let bytes = b"<?xml version='1.0' encoding='EBCDIC-9'?><a/>";
        assert_eq!(decode(bytes), Err(Fault::UnknownEncoding { label: "EBCDIC-9".into() }));
    }

    #[test]
    fn lines_and_columns_count_characters() {
        let place = Position::START.after("<a>\n海关".as_bytes());
        assert_eq!((place.line, place.column), (2, 3));
        assert_eq!(place.after(b"x").column, 4);
    }

    #[test]
    fn more_bytes_than_allowed_are_not_read() {
        let bytes = vec![b'a'; 100_000];
        let mut input = &bytes[..];
        let mut source = Utf8Source::new(&mut input, 50_000);
        let mut read = 0;
        let error = loop {
            match source.more() {
                Ok(more) => assert!(more),
                Err(fault) => break fault,
            }
            read += source.text().len();
            source.take(source.text().len());
        };
        assert_eq!(error, Fault::TooLarge { max: 50_000 });
        assert!(read <= 60_000);
    }
}
