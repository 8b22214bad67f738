//! A document as UTF-8 with pieces of text put in, read without being held.

use std::io::{self, BufReader, Read};

use super::super::charset::{Utf8Source, carry};
use super::super::error::{DeclarationError, Fault};
use super::problem::SignatureProblem;
use crate::ground::limits::Limits;
use crate::mime::Source;

/// Largest document of another encoding than UTF-8, which is decoded in memory, in bytes of UTF-8.
const DECODED: usize = 64 * 1024 * 1024;

/// A document in UTF-8 without byte order mark.
pub(super) enum Utf8<'d> {
    /// It is that already, behind so many bytes.
    Same(&'d dyn Source, u64),
    /// It was decoded, and its declaration says so.
    Decoded(Vec<u8>),
}

impl<'d> Utf8<'d> {
    /// The document, decoded when need be.
    pub(super) fn of(document: &'d dyn Source, limits: &Limits) -> Result<Utf8<'d>, SignatureProblem> {
        let io = |error: io::Error| DeclarationError::placeless(Fault::Io { reason: error.to_string() });
        let mut input = BufReader::with_capacity(64 * 1024, document.open().map_err(io)?);
        let mut source = Utf8Source::new(&mut input, limits.payload);
        let mut more = source.more().map_err(DeclarationError::placeless)?;
        let charset = source.charset();
        if let Some(charset) = charset.filter(|charset| charset.encoding == encoding_rs::UTF_8) {
            return Ok(Utf8::Same(document, if charset.marked { MARK } else { 0 }));
        }
        let mut text = String::new();
        while more {
            let decoded = source.text();
            if text.len().saturating_add(decoded.len()) > DECODED {
                return Err(DeclarationError::placeless(Fault::TooLarge { max: DECODED as u64 }).into());
            }
            text.push_str(decoded);
            source.take(decoded.len());
            more = source.more().map_err(DeclarationError::placeless)?;
        }
        Ok(Utf8::Decoded(declared_utf8(&text).into_bytes()))
    }

    fn len(&self) -> u64 {
        match self {
            Utf8::Same(source, skipped) => source.len().saturating_sub(*skipped),
            Utf8::Decoded(bytes) => u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        }
    }

    fn open(&self) -> io::Result<Box<dyn Read + Send + '_>> {
        match self {
            Utf8::Same(source, skipped) => {
                let mut input = source.open()?;
                io::copy(&mut (&mut *input).take(*skipped), &mut io::sink())?;
                Ok(input)
            }
            Utf8::Decoded(bytes) => Ok(Box::new(bytes.as_slice())),
        }
    }
}

/// Bytes of the byte order mark of UTF-8.
const MARK: u64 = 3;

/// The text with an XML declaration that names UTF-8, if it has one.
fn declared_utf8(text: &str) -> String {
    let declaration = text.strip_prefix("<?xml").filter(|rest| rest.starts_with([' ', '\t', '\r', '\n']));
    match declaration.and_then(|rest| rest.split_once("?>")) {
        Some((_, rest)) => format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>{rest}"),
        None => text.to_owned(),
    }
}

/// A document with texts put in; what [`sign`](super::sign) gives.
pub struct Spliced<'d> {
    document: Utf8<'d>,
    /// Offset in the document and text, in the order of offsets.
    texts: Vec<(u64, String)>,
}

impl<'d> Spliced<'d> {
    pub(super) fn new(document: Utf8<'d>) -> Spliced<'d> {
        Spliced { document, texts: Vec::new() }
    }

    /// Puts a text in, behind the ones before.
    pub(super) fn put(&mut self, offset: u64, text: String) {
        self.texts.push((offset, text));
    }

    /// Puts another text in the place of the last one.
    pub(super) fn replace_last(&mut self, text: String) {
        if let Some((_, last)) = self.texts.last_mut() {
            *last = text;
        }
    }

    /// All bytes.
    ///
    /// # Errors
    /// The document cannot be read.
    pub fn to_vec(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.open()?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

impl std::fmt::Debug for Spliced<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spliced").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl Source for Spliced<'_> {
    fn len(&self) -> u64 {
        let texts = self.texts.iter().map(|(_, text)| u64::try_from(text.len()).unwrap_or(u64::MAX));
        texts.fold(self.document.len(), u64::saturating_add)
    }

    fn open(&self) -> io::Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(SplicedReader { input: self.document.open()?, read: 0, texts: &self.texts, text: &[] }))
    }
}

struct SplicedReader<'s> {
    input: Box<dyn Read + Send + 's>,
    /// Bytes of the document that were read.
    read: u64,
    texts: &'s [(u64, String)],
    /// What is left of the text being put in.
    text: &'s [u8],
}

impl Read for SplicedReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.text.is_empty() {
                return self.text.read(buffer);
            }
            let before = match self.texts.split_first() {
                Some(((offset, text), rest)) if *offset <= self.read => {
                    (self.text, self.texts) = (text.as_bytes(), rest);
                    continue;
                }
                Some(((offset, _), _)) => offset.saturating_sub(self.read),
                None => u64::MAX,
            };
            let room = usize::try_from(before).unwrap_or(usize::MAX).min(buffer.len());
            let count = self.input.read(buffer.get_mut(..room).unwrap_or_default())?;
            if count == 0 && room > 0 && !self.texts.is_empty() {
                return Err(carry(Fault::Io { reason: "the document became shorter".to_owned() }));
            }
            self.read = self.read.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
            return Ok(count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mime::BytesSource;

    #[test]
    fn texts_are_put_in_at_their_offsets_and_a_mark_goes() {
        let document = BytesSource("\u{FEFF}abcd");
        let mut spliced = Spliced::new(Utf8::of(&document, &Limits::default()).unwrap());
        spliced.put(0, "0".to_owned());
        spliced.put(2, String::new());
        spliced.put(2, "中".to_owned());
        spliced.put(4, "?".to_owned());
        spliced.replace_last("!".to_owned());
        assert_eq!(spliced.to_vec().unwrap(), "0ab中cd!".as_bytes());
        assert_eq!(spliced.len(), 9);
    }

    #[test]
    fn an_instruction_is_not_taken_for_the_declaration() {
        assert_eq!(declared_utf8("<?xml-stylesheet href='x'?><a/>"), "<?xml-stylesheet href='x'?><a/>");
        let declared = declared_utf8("<?xml version='1.0' encoding='GBK'?><a/>");
        assert_eq!(declared, "<?xml version=\"1.0\" encoding=\"UTF-8\"?><a/>");
    }
}
