//! The header fields of AS2 Restart (draft-harding-as2-restart): which part of a body a request carries, and by what name the
//! parts belong together. What is done with them stands in `inbound` and `outbound`.

use std::fmt;

use super::headers::{AS2_FROM, AS2_TO};
use crate::mime::Headers;

/// `Content-Range`: the part that is sent.
pub const CONTENT_RANGE: &str = "Content-Range";
/// `ETag`: the name of the body.
pub const ETAG: &str = "ETag";

/// Bytes of the longest name that counts.
const LONGEST: usize = 256;

/// A contiguous part of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Its first byte.
    pub from: u64,
    /// Its last byte.
    pub to: u64,
    /// Bytes of the whole body.
    pub total: u64,
}

impl Range {
    /// `bytes 0-99/100` (RFC 9110 14.4). `None` for everything else, and for a part that does not lie inside its body.
    pub fn parse(value: &str) -> Option<Range> {
        let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().ok())?;
        let (unit, rest) = value.trim().split_once(' ')?;
        let (span, total) = rest.trim().split_once('/')?;
        let (from, to) = span.split_once('-')?;
        let range = Range { from: number(from)?, to: number(to)?, total: number(total)? };
        let sound = unit.eq_ignore_ascii_case("bytes") && range.from <= range.to && range.to < range.total;
        sound.then_some(range)
    }

    /// Bytes of the part.
    #[allow(clippy::len_without_is_empty, reason = "no part is empty")]
    pub fn len(self) -> u64 {
        self.to.saturating_sub(self.from).saturating_add(1)
    }

    /// The part is the body.
    pub fn is_whole(self) -> bool {
        self.len() == self.total
    }

    /// The body ends with the part.
    pub fn is_last(self) -> bool {
        self.to.saturating_add(1) == self.total
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bytes {}-{}/{}", self.from, self.to, self.total)
    }
}

/// What tells one body from all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyName<'a> {
    /// `AS2-From` and `AS2-To` as they came.
    pub names: [&'a str; 2],
    /// The strong `ETag` with its quotes.
    pub etag: &'a str,
}

impl<'a> BodyName<'a> {
    /// The name of the body, if it has a strong one (RFC 9110 8.8.3) and each field once.
    pub fn of(head: &'a Headers) -> Option<BodyName<'a>> {
        let field = |name| head.get(name).filter(|_| head.count(name) == 1).map(str::trim);
        let etag = field(ETAG)?;
        let opaque = etag.strip_prefix('"')?.strip_suffix('"')?;
        let sound = !opaque.is_empty() && etag.len() <= LONGEST && !opaque.contains('"');
        sound.then_some(BodyName { names: [field(AS2_FROM)?, field(AS2_TO)?], etag })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_read_strictly() {
        assert_eq!(Range::parse("bytes 5-9/10"), Some(Range { from: 5, to: 9, total: 10 }));
        assert!(Range::parse("bytes 0-9/10").is_some_and(Range::is_whole));
        let wrong = [
            "",
            "bytes",
            "bytes */10",
            "bytes 5-9/*",
            "bytes 9-5/10",
            "bytes 5-10/10",
            "bytes +5-9/10",
            "bytes 5-/10",
            "bytes -5/10",
            "items 5-9/10",
            "bytes 5-9/99999999999999999999",
            "bytes 1-2/10, 3-4/10",
            "bytes=5-9/10",
        ];
        for value in wrong {
            assert_eq!(Range::parse(value), None, "{value}");
        }
    }

    #[test]
    fn a_range_is_read_as_it_is_written() {
        let range = Range { from: 5, to: 9, total: 20 };
        assert_eq!(Range::parse(&range.to_string()), Some(range));
        assert_eq!((range.len(), range.is_whole(), range.is_last()), (5, false, false));
        assert!(Range { total: 10, ..range }.is_last());
    }

    #[test]
    fn only_strong_names_count() {
        let head = |etag: &str| {
            let mut head = Headers::new();
            for (name, value) in [(ETAG, etag), (AS2_FROM, "them"), (AS2_TO, "us")] {
                head.push(name, value).unwrap();
            }
            head
        };
        let strong = head("\"a\"");
        assert_eq!(BodyName::of(&strong), Some(BodyName { names: ["them", "us"], etag: "\"a\"" }));
        for weak in ["a", "W/\"a\"", "\"\"", "\"", "\"a\"b\"", &format!("\"{}\"", "a".repeat(LONGEST))] {
            assert_eq!(BodyName::of(&head(weak)), None, "{weak}");
        }
    }
}
