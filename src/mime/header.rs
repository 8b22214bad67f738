//! Header fields of HTTP messages and MIME entities (RFC 5322 2.2, RFC 7230 3.2).
//!
//! mail-parser finds the fields of a received block; this module first makes sure that there is only one way to read
//! the block (no stray lines, no bare CR, no control characters) and afterwards that mail-parser saw as many fields as
//! there are lines that start one.

use std::io::BufRead;
use std::sync::{Arc, LazyLock};

use mail_parser::MessageParser;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::MimeError;
use crate::ground::limits::Limits;

/// A field map makes it leave every value as it is.
static PARSER: LazyLock<MessageParser> =
    LazyLock::new(|| MessageParser::new().header_raw("Content-Type").default_header_raw());

/// Header fields in order; names compare without case, values are unfolded and trimmed. Octets that are not UTF-8 are
/// replaced when a block is parsed: values are for reading, the received bytes for hashing. Copies share the fields until one
/// of them changes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Headers {
    fields: Arc<Vec<(String, String)>>,
}

impl Headers {
    /// No fields.
    pub fn new() -> Headers {
        Headers::default()
    }

    /// Reads a header block, with or without the blank line at its end. Line breaks may be CRLF or LF.
    ///
    /// # Errors
    /// [`MimeError::HeaderBlockTooLarge`], [`MimeError::TooManyHeaderLines`], [`MimeError::MalformedHeader`],
    /// [`MimeError::ForbiddenCharacter`].
    pub fn parse(block: &[u8], limits: &Limits) -> Result<Headers, MimeError> {
        if block.len() > limits.header_block {
            return Err(MimeError::HeaderBlockTooLarge);
        }
        let starts = check_lines(block, limits)?;
        let mut headers = Headers::new();
        if starts == 0 {
            return Ok(headers);
        }
        // With a blank line the parser knows where to stop.
        let terminated = [block, b"\r\n\r\n"].concat();
        let message = PARSER.parse_headers(&terminated).ok_or(MimeError::MalformedHeader)?;
        for field in message.headers() {
            let name = slice(&terminated, field.offset_field, field.offset_start);
            let value = slice(&terminated, field.offset_start, field.offset_end);
            let name = String::from_utf8_lossy(name);
            let name = name.trim_end_matches(':').trim_end();
            headers.push(name, &unfold(&String::from_utf8_lossy(value)))?;
        }
        if headers.len() == starts { Ok(headers) } else { Err(MimeError::MalformedHeader) }
    }

    /// The first value of that name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Every value of that name, in order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// How many fields have that name.
    pub fn count(&self, name: &str) -> usize {
        self.all(name).count()
    }

    /// Adds a field at the end; blanks around the value are dropped.
    ///
    /// # Errors
    /// [`MimeError::MalformedHeader`] when the name is no token, [`MimeError::ForbiddenCharacter`] when the value holds
    /// a control character of ASCII other than TAB. Those beyond ASCII are what octets of another charset happen to be in UTF-8.
    pub fn push(&mut self, name: &str, value: &str) -> Result<(), MimeError> {
        if !is_token(name.as_bytes()) {
            return Err(MimeError::MalformedHeader);
        }
        if value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
            return Err(MimeError::ForbiddenCharacter);
        }
        Arc::make_mut(&mut self.fields).push((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()));
        Ok(())
    }

    /// Replaces every field of that name by one, at the place of the first.
    ///
    /// # Errors
    /// As [`push`](Headers::push).
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), MimeError> {
        let place = self.fields.iter().position(|(n, _)| n.eq_ignore_ascii_case(name));
        self.push(name, value)?;
        let fields = Arc::make_mut(&mut self.fields);
        let new = fields.pop();
        fields.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
        let place = place.unwrap_or(fields.len()).min(fields.len());
        fields.splice(place..place, new);
        Ok(())
    }

    /// Removes every field of that name.
    pub fn remove(&mut self, name: &str) {
        Arc::make_mut(&mut self.fields).retain(|(n, _)| !n.eq_ignore_ascii_case(name));
    }

    /// Name and value of every field, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Number of fields.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// `Name: value\r\n` of every field, never folded (several AS2 products cannot unfold), without the blank line.
    pub fn to_bytes(&self) -> Vec<u8> {
        let lens = self.fields.iter().map(|(name, value)| name.len().saturating_add(value.len()).saturating_add(4));
        // The blank line that follows as a rule has room too.
        let mut out = Vec::with_capacity(lens.fold(2, usize::saturating_add));
        for (name, value) in self.fields.iter() {
            for piece in [name.as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                out.extend_from_slice(piece);
            }
        }
        out
    }
}

/// As the list of its fields.
impl Serialize for Headers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.fields.as_ref().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Headers, D::Error> {
        Ok(Headers { fields: Arc::new(Vec::deserialize(deserializer)?) })
    }
}

/// Consumes a header block and its blank line, and not a byte more. An entity may have no fields at all.
///
/// # Errors
/// [`MimeError::TruncatedHead`] when the input ends before the blank line; those of [`Headers::parse`];
/// [`MimeError::Io`].
pub fn read_entity_head<R: BufRead + ?Sized>(r: &mut R, limits: &Limits) -> Result<Headers, MimeError> {
    let mut block = Vec::new();
    loop {
        let line_start = block.len();
        read_line(r, &mut block, limits)?;
        match block.get(line_start..) {
            Some(b"\r\n" | b"\n") => {
                block.truncate(line_start);
                return Headers::parse(&block, limits);
            }
            Some(line) if line.ends_with(b"\n") => {}
            _ => return Err(MimeError::TruncatedHead),
        }
    }
}

/// Appends up to and including the next LF, or to the end of the input.
fn read_line<R: BufRead + ?Sized>(r: &mut R, block: &mut Vec<u8>, limits: &Limits) -> Result<(), MimeError> {
    loop {
        let available = match r.fill_buf() {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        let line = match memchr::memchr(b'\n', available) {
            Some(end) => available.get(..=end),
            None => Some(available),
        };
        let line = line.unwrap_or_default();
        if block.len().saturating_add(line.len()) > limits.header_block {
            return Err(MimeError::HeaderBlockTooLarge);
        }
        block.extend_from_slice(line);
        let (len, complete) = (line.len(), line.is_empty() || line.ends_with(b"\n"));
        r.consume(len);
        if complete {
            return Ok(());
        }
    }
}

/// Checks every line of a block and counts those that start a field.
fn check_lines(block: &[u8], limits: &Limits) -> Result<usize, MimeError> {
    let mut starts = 0usize;
    let mut blank = false;
    for (number, line) in block.split(|byte| *byte == b'\n').enumerate() {
        if number > limits.header_lines {
            return Err(MimeError::TooManyHeaderLines);
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
            return Err(MimeError::ForbiddenCharacter);
        }
        if line.is_empty() {
            blank = true;
            continue;
        }
        if blank {
            return Err(MimeError::MalformedHeader);
        }
        if matches!(line.first(), Some(b' ' | b'\t')) {
            if starts == 0 {
                return Err(MimeError::MalformedHeader);
            }
            continue;
        }
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
        if name.len() == line.len() || !is_token(name.trim_ascii_end()) {
            return Err(MimeError::MalformedHeader);
        }
        starts = starts.saturating_add(1);
    }
    Ok(starts)
}

/// RFC 7230 3.2.6.
pub(super) fn is_token(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

/// Line breaks of folding go, the blanks after them stay (RFC 5322 2.2.3).
fn unfold(value: &str) -> String {
    value.chars().filter(|c| !matches!(c, '\r' | '\n')).collect()
}

fn slice(bytes: &[u8], from: u32, to: u32) -> &[u8] {
    let place = |offset| usize::try_from(offset).unwrap_or(usize::MAX);
    bytes.get(place(from)..place(to)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(block: &str) -> Result<Headers, MimeError> {
        Headers::parse(block.as_bytes(), &Limits::default())
    }

    #[test]
    fn fields_keep_their_order_and_spelling_and_lose_their_folding() {
        let headers =
            parse("Content-Type: multipart/signed;\r\n\tmicalg=sha1\r\nX-Empty:\r\nas2-to : A\r\n\r\n").unwrap();
        let fields: Vec<_> = headers.iter().collect();
        assert_eq!(fields, [("Content-Type", "multipart/signed;\tmicalg=sha1"), ("X-Empty", ""), ("as2-to", "A")]);
        assert_eq!(headers.get("CONTENT-type"), Some("multipart/signed;\tmicalg=sha1"));
    }

    #[test]
    fn values_may_be_utf8_and_other_octets_do_no_harm() {
        assert_eq!(parse("Subject: 订单\n").unwrap().get("subject"), Some("订单"));
        let headers = Headers::parse(b"Subject: \xb6\xa9\r\n", &Limits::default()).unwrap();
        assert_eq!(headers.count("subject"), 1);
    }

    #[test]
    fn octets_that_happen_to_be_controls_beyond_ascii_do_no_harm_either() {
        // 单 in UTF-8 that was taken for ISO 8859-1 and encoded again, 下單 in GBK, 陳氏 in Shift_JIS.
        for name in [&b"\xc3\xa5\xc2\x8d\xc2\x95"[..], b"\xcf\xc2\x86\xce", b"\x92\xc2\x8e\x81"] {
            let block = [&b"Content-Disposition: attachment; filename=\""[..], name, b".xml\"\r\nA: 1\r\n"].concat();
            let headers = Headers::parse(&block, &Limits::default()).unwrap();
            assert_eq!((headers.count("content-disposition"), headers.get("a")), (1, Some("1")), "{name:x?}");
            assert_eq!(Headers::parse(&headers.to_bytes(), &Limits::default()).unwrap(), headers, "{name:x?}");
        }
        // As the fields of a POST come.
        assert!(Headers::new().push("Subject", "å\u{8d}\u{95}").is_ok());
    }

    #[test]
    fn a_block_that_can_be_read_in_two_ways_is_refused() {
        for block in
            ["no colon\r\n", " folded first\r\n", "A: 1\rB: 2\r\n", "A b: 1\r\n", ": 1\r\n", "A: 1\r\n\r\nB: 2\r\n"]
        {
            assert!(parse(block).is_err(), "{block:?}");
        }
        for c in (0u8..0x20).chain([0x7f]).filter(|c| !b"\t\n\r".contains(c)) {
            let block = [b"A: x", &[c][..], b"y\r\n"].concat();
            assert!(Headers::parse(&block, &Limits::default()).is_err(), "{c:#x}");
        }
    }

    #[test]
    fn size_and_number_of_lines_are_capped() {
        assert!(matches!(parse(&"A: 1\r\n".repeat(129)), Err(MimeError::TooManyHeaderLines)));
        assert!(matches!(parse(&format!("A: {}\r\n", "x".repeat(70_000))), Err(MimeError::HeaderBlockTooLarge)));
        let mut endless = std::io::BufReader::new(std::io::repeat(b'a'));
        assert!(matches!(read_entity_head(&mut endless, &Limits::default()), Err(MimeError::HeaderBlockTooLarge)));
    }

    #[test]
    fn injection_into_our_own_headers_is_refused() {
        let mut headers = Headers::new();
        for value in ["a\r\nB: c", "a\nb", "a\0"] {
            assert!(matches!(headers.push("X", value), Err(MimeError::ForbiddenCharacter)));
        }
        assert!(headers.push("X Y", "1").is_err());
        headers.push("X", " 1 ").unwrap();
        headers.push("Y", "2").unwrap();
        headers.set("x", "3").unwrap();
        assert_eq!(headers.to_bytes(), b"x: 3\r\nY: 2\r\n");
    }

    #[test]
    fn the_head_of_an_entity_ends_after_its_blank_line() {
        let mut input: &[u8] = b"A: 1\r\nB: 2\r\n\r\n\r\nbody";
        let headers = read_entity_head(&mut input, &Limits::default()).unwrap();
        assert_eq!((headers.len(), input), (2, &b"\r\nbody"[..]));
        let mut headless: &[u8] = b"\r\nbody";
        assert!(read_entity_head(&mut headless, &Limits::default()).unwrap().is_empty());
        assert_eq!(headless, b"body");
        let cut = read_entity_head(&mut &b"A: 1\r\n"[..], &Limits::default());
        assert!(matches!(cut, Err(MimeError::TruncatedHead)));
    }

    #[test]
    fn headers_are_stored_as_a_list_of_pairs() {
        let headers = parse("A: 1\r\nA: 2\r\n").unwrap();
        assert_eq!(serde_json::to_string(&headers).unwrap(), r#"[["A","1"],["A","2"]]"#);
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(128))]

        #[test]
        fn what_is_written_is_read_back(values in proptest::collection::vec("[ -~\u{4e00}-\u{4e10}]{0,40}", 1..10)) {
            let mut headers = Headers::new();
            for (number, value) in values.iter().enumerate() {
                headers.push(&format!("X-{number}"), value).unwrap();
            }
            proptest::prop_assert_eq!(Headers::parse(&headers.to_bytes(), &Limits::default()).unwrap(), headers);
        }

        #[test]
        fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
            let _ = Headers::parse(&bytes, &Limits::default());
        }
    }
}
