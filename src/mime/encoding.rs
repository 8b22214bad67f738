//! Content-Transfer-Encodings (RFC 2045 6) as streams. AS2 is binary by default (RFC 4130 5.2.1); some products encode
//! anyway.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::MimeError;

/// Encoded bytes decoded at a time.
const CHUNK: usize = 16 * 1024;

/// Decodes a body by its Content-Transfer-Encoding value (`None` = binary). Errors inside the stream are
/// [`MimeError::MalformedEncoding`] within `io::Error`.
///
/// # Errors
/// [`MimeError::UnknownTransferEncoding`].
pub fn transfer_decoder<'a>(cte: Option<&str>, r: Box<dyn Read + 'a>) -> Result<Box<dyn Read + 'a>, MimeError> {
    match name_of(cte).as_str() {
        "" | "7bit" | "8bit" | "binary" => Ok(r),
        "base64" => Ok(Box::new(Decoder::new(r, Base64::default()))),
        "quoted-printable" => Ok(Box::new(Decoder::new(r, QuotedPrintable::Plain))),
        _ => Err(MimeError::UnknownTransferEncoding),
    }
}

/// The first bytes of a body without this transfer encoding, as far as they can be decoded: they may end amid a line. `None`
/// where there is nothing to decode.
pub fn decoded_beginning(cte: Option<&str>, beginning: &[u8]) -> Option<Vec<u8>> {
    let encoding = name_of(cte);
    if !matches!(encoding.as_str(), "base64" | "quoted-printable") {
        return None;
    }
    let mut decoded = Vec::new();
    // What was decoded before an error is there all the same.
    let _ = transfer_decoder(Some(&encoding), Box::new(beginning)).ok()?.read_to_end(&mut decoded);
    Some(decoded)
}

/// The name of an encoding in lower case, without what some products write behind it.
fn name_of(cte: Option<&str>) -> String {
    cte.unwrap_or("binary").split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Bytes of a line of 76 characters in base64.
const LINE: usize = 57;

/// Writes base64 in lines (RFC 2045 6.8); [`finish`](Base64Lines::finish) writes what is left.
pub struct Base64Lines<W: Write> {
    out: W,
    /// Less than a line.
    held: Vec<u8>,
}

impl<W: Write> Base64Lines<W> {
    /// Encodes into `out`.
    pub fn new(out: W) -> Base64Lines<W> {
        Base64Lines { out, held: Vec::new() }
    }

    /// Writes the last line.
    ///
    /// # Errors
    /// Those of the writer below.
    pub fn finish(mut self) -> io::Result<W> {
        let last = lines(&self.held);
        self.out.write_all(&last)?;
        Ok(self.out)
    }
}

impl<W: Write> Write for Base64Lines<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.held.extend_from_slice(buf);
        let whole = self.held.len() - self.held.len() % LINE;
        let encoded = lines(self.held.get(..whole).unwrap_or_default());
        self.out.write_all(&encoded)?;
        self.held.drain(..whole);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn lines(bytes: &[u8]) -> Vec<u8> {
    bytes.chunks(LINE).flat_map(|line| [STANDARD.encode(line).as_bytes(), b"\r\n"].concat()).collect()
}

/// Turns encoded bytes into decoded ones, a piece at a time.
trait Decode {
    fn decode(&mut self, encoded: &[u8], out: &mut VecDeque<u8>) -> Result<(), MimeError>;
    fn finish(&mut self, out: &mut VecDeque<u8>) -> Result<(), MimeError>;
}

struct Decoder<R: Read, D> {
    input: BufReader<R>,
    decode: D,
    ready: VecDeque<u8>,
    ended: bool,
}

impl<R: Read, D: Decode> Decoder<R, D> {
    fn new(input: R, decode: D) -> Self {
        Decoder { input: BufReader::with_capacity(CHUNK, input), decode, ready: VecDeque::new(), ended: false }
    }
}

impl<R: Read, D: Decode> Read for Decoder<R, D> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.ready.is_empty() && !self.ended {
            let encoded = self.input.fill_buf()?;
            let len = encoded.len();
            if len == 0 {
                self.decode.finish(&mut self.ready)?;
                self.ended = true;
            } else {
                self.decode.decode(encoded, &mut self.ready)?;
                self.input.consume(len);
            }
        }
        self.ready.read(buf)
    }
}

/// Base64 (RFC 2045 6.8): white space is skipped, anything else outside the alphabet is an error.
#[derive(Default)]
struct Base64 {
    pending: Vec<u8>,
    padded: bool,
}

impl Decode for Base64 {
    fn decode(&mut self, encoded: &[u8], out: &mut VecDeque<u8>) -> Result<(), MimeError> {
        for run in encoded.split(u8::is_ascii_whitespace) {
            self.pending.extend_from_slice(run);
        }
        let rest = self.pending.split_off(self.pending.len() & !3);
        let quads = std::mem::replace(&mut self.pending, rest);
        if quads.is_empty() {
            return Ok(());
        }
        if self.padded {
            return Err(MimeError::MalformedEncoding);
        }
        self.padded = quads.last() == Some(&b'=');
        out.extend(STANDARD.decode(&quads).map_err(|_| MimeError::MalformedEncoding)?);
        Ok(())
    }

    fn finish(&mut self, _out: &mut VecDeque<u8>) -> Result<(), MimeError> {
        if self.pending.is_empty() { Ok(()) } else { Err(MimeError::MalformedEncoding) }
    }
}

/// Quoted-printable (RFC 2045 6.7). Blanks at line ends are kept: nobody's binary payload may lose bytes.
enum QuotedPrintable {
    /// Outside an escape.
    Plain,
    /// After `=`.
    Escape,
    /// After `=` and one hex digit.
    Digit(u32),
    /// After `=` and blanks or CR: a soft line break whose LF is still to come.
    SoftBreak,
}

impl Decode for QuotedPrintable {
    fn decode(&mut self, encoded: &[u8], out: &mut VecDeque<u8>) -> Result<(), MimeError> {
        for byte in encoded {
            let digit = char::from(*byte).to_digit(16);
            *self = match (&*self, byte, digit) {
                (QuotedPrintable::Plain, b'=', _) => QuotedPrintable::Escape,
                (QuotedPrintable::Plain, _, _) => {
                    out.push_back(*byte);
                    QuotedPrintable::Plain
                }
                (QuotedPrintable::Escape, _, Some(digit)) => QuotedPrintable::Digit(digit),
                (QuotedPrintable::Digit(high), _, Some(low)) => {
                    out.push_back(u8::try_from((high << 4) | low).map_err(|_| MimeError::MalformedEncoding)?);
                    QuotedPrintable::Plain
                }
                (QuotedPrintable::Escape | QuotedPrintable::SoftBreak, b'\n', _) => QuotedPrintable::Plain,
                (QuotedPrintable::Escape | QuotedPrintable::SoftBreak, b'\r' | b' ' | b'\t', _) => {
                    QuotedPrintable::SoftBreak
                }
                _ => return Err(MimeError::MalformedEncoding),
            };
        }
        Ok(())
    }

    fn finish(&mut self, _out: &mut VecDeque<u8>) -> Result<(), MimeError> {
        // A soft break at the very end is common and loses nothing.
        if matches!(self, QuotedPrintable::Digit(_)) { Err(MimeError::MalformedEncoding) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(cte: &str, body: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        transfer_decoder(Some(cte), Box::new(body))?.read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn every_encoding_of_rfc_2045_is_decoded() {
        for cte in ["7bit", "8BIT", "binary", " Binary ", ""] {
            assert_eq!(decode(cte, b"a\r\n=3D").unwrap(), b"a\r\n=3D");
        }
        assert_eq!(decode("Base64", b"aGVs\r\nbG8=\r\n").unwrap(), b"hello");
        assert_eq!(decode("quoted-printable", b"=E8=ae=A2 a=\r\nb= \nc\r\nd=").unwrap(), "订 abc\r\nd".as_bytes());
        assert!(matches!(
            transfer_decoder(Some("x-uuencode"), Box::new(&b""[..])),
            Err(MimeError::UnknownTransferEncoding)
        ));
    }

    #[test]
    fn what_is_encoded_in_pieces_is_read_back_and_no_line_is_too_long() {
        let content: Vec<u8> = (0..1000u16).flat_map(u16::to_be_bytes).collect();
        for (len, piece) in [(0, 1), (1, 1), (56, 7), (57, 57), (58, 100), (2000, 3), (2000, 1999)] {
            let mut writer = Base64Lines::new(Vec::new());
            for piece in content[..len].chunks(piece) {
                writer.write_all(piece).unwrap();
            }
            let encoded = writer.finish().unwrap();
            assert_eq!(decode("base64", &encoded).unwrap(), content[..len]);
            let text = String::from_utf8(encoded).unwrap();
            assert!(text.split_inclusive("\r\n").all(|line| line.len() <= 78 && line.ends_with("\r\n")), "{text}");
        }
    }

    #[test]
    fn of_a_beginning_as_much_is_decoded_as_is_there() {
        let decoded = |cte: &str, beginning: &[u8]| decoded_beginning(Some(cte), beginning);
        let whole = STANDARD.encode(b"one line");
        for len in 0..=whole.len() {
            let expected = STANDARD.decode(&whole[..len & !3]).unwrap();
            assert_eq!(decoded("BASE64 ; x", &whole.as_bytes()[..len]), Some(expected), "{len}");
        }
        let quoted = b"a=3D=\r\nb=C";
        for (len, expected) in [(0, ""), (1, "a"), (2, "a"), (3, "a"), (4, "a="), (7, "a="), (8, "a=b"), (10, "a=b")] {
            assert_eq!(decoded("Quoted-Printable", &quoted[..len]).unwrap(), expected.as_bytes(), "{len}");
        }
        assert_eq!(decoded("base64", b"%%%%").unwrap(), b"", "what is damaged is nothing");
        for cte in [None, Some(""), Some("binary"), Some("7bit"), Some("x-uuencode")] {
            assert_eq!(decoded_beginning(cte, b"YQ=="), None, "{cte:?}");
        }
    }

    #[test]
    fn damaged_encodings_are_refused() {
        for body in ["aGVs*G8=", "aGVsbG8", "aGVsbG8=aGVs", "aG=sbG8="] {
            assert!(decode("base64", body.as_bytes()).is_err(), "{body}");
        }
        for body in ["=4", "=G1", "=\rx"] {
            assert!(decode("quoted-printable", body.as_bytes()).is_err(), "{body}");
        }
    }

    proptest! {
        #[test]
        fn base64_in_lines_is_read_back(bytes in proptest::collection::vec(any::<u8>(), 0..2000), width in 1usize..90) {
            let text = STANDARD.encode(&bytes);
            let lines: Vec<&str> = text.as_bytes().chunks(width).map(|c| std::str::from_utf8(c).unwrap()).collect();
            prop_assert_eq!(decode("base64", lines.join("\r\n").as_bytes()).unwrap(), bytes);
        }
    }
}
