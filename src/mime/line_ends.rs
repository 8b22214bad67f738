//! The canonical form of text: lines that end in CR LF (RFC 2046 4.1.1, RFC 8551 3.1.1).
//!
//! Signatures and digests over text may have been computed over this form although the text travelled with bare line
//! feeds. It is made for comparison; nothing that came in is ever replaced by it without a signature over it.

use std::borrow::Cow;
use std::io::{self, Read};

/// Bytes read at a time.
const CHUNK: usize = 16 * 1024;

/// Puts the missing carriage return in front of line feeds, in a text that comes in pieces.
#[derive(Debug, Clone, Copy, Default)]
pub struct LineEnds {
    /// The last piece ended in a carriage return.
    returned: bool,
}

impl LineEnds {
    /// The next piece in canonical form; borrowed when it has it already.
    pub fn canonical<'p>(&mut self, piece: &'p [u8]) -> Cow<'p, [u8]> {
        let mut changed: Option<Vec<u8>> = None;
        let mut copied = 0;
        for at in memchr::memchr_iter(b'\n', piece) {
            let returned = match at.checked_sub(1) {
                Some(before) => piece.get(before) == Some(&b'\r'),
                None => self.returned,
            };
            if !returned {
                let changed = changed.get_or_insert_with(|| Vec::with_capacity(piece.len().saturating_add(CHUNK)));
                changed.extend_from_slice(piece.get(copied..at).unwrap_or_default());
                changed.push(b'\r');
                copied = at;
            }
        }
        self.returned = piece.last().map_or(self.returned, |last| *last == b'\r');
        match changed {
            None => Cow::Borrowed(piece),
            Some(mut changed) => {
                changed.extend_from_slice(piece.get(copied..).unwrap_or_default());
                Cow::Owned(changed)
            }
        }
    }
}

/// Reads a text in canonical form, in constant memory.
pub struct CanonicalLines<R> {
    input: R,
    ends: LineEnds,
    ready: Vec<u8>,
    given: usize,
}

impl<R: Read> CanonicalLines<R> {
    /// From the beginning of a text.
    pub fn new(input: R) -> CanonicalLines<R> {
        CanonicalLines { input, ends: LineEnds::default(), ready: Vec::new(), given: 0 }
    }
}

impl<R: Read> Read for CanonicalLines<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.given >= self.ready.len() {
            let mut piece = [0u8; CHUNK];
            let n = self.input.read(&mut piece)?;
            self.ready = self.ends.canonical(piece.get(..n).unwrap_or_default()).into_owned();
            self.given = 0;
        }
        let n = self.ready.get(self.given..).unwrap_or_default().read(buf)?;
        self.given = self.given.saturating_add(n);
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &[u8]) -> Vec<u8> {
        LineEnds::default().canonical(text).into_owned()
    }

    #[test]
    fn only_line_feeds_without_a_carriage_return_get_one() {
        for (text, expected) in [
            ("", ""),
            ("a", "a"),
            ("\n", "\r\n"),
            ("a\nb\n\nc", "a\r\nb\r\n\r\nc"),
            ("a\r\nb\nc\r", "a\r\nb\r\nc\r"),
            ("\r\r\n\n", "\r\r\n\r\n"),
        ] {
            assert_eq!(canonical(text.as_bytes()), expected.as_bytes(), "{text:?}");
        }
        assert!(matches!(LineEnds::default().canonical(b"a\r\nb"), Cow::Borrowed(_)), "nothing is copied in vain");
    }

    proptest::proptest! {
        #[test]
        fn pieces_of_any_length_give_the_same_text(text in "[a\r\n]{0,60}", piece in 1usize..9) {
            let mut ends = LineEnds::default();
            let pieces: Vec<u8> = text.as_bytes().chunks(piece).flat_map(|piece| ends.canonical(piece).into_owned()).collect();
            proptest::prop_assert_eq!(&pieces, &canonical(text.as_bytes()));
            proptest::prop_assert_eq!(&canonical(&pieces), &pieces, "it is its own canonical form");
        }
    }

    #[test]
    fn a_reader_gives_the_whole_text_whatever_is_asked_for() {
        let text = "line\n".repeat(20_000);
        let mut reader = CanonicalLines::new(text.as_bytes());
        let mut read = Vec::new();
        let mut buf = [0u8; 1000];
        loop {
            match reader.read(&mut buf).unwrap() {
                0 => break,
                n => read.extend_from_slice(&buf[..n]),
            }
        }
        assert!(read == "line\r\n".repeat(20_000).as_bytes());
    }
}
