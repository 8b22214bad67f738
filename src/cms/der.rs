//! DER (X.690) of small values: written from the inside out, read as slices.
//!
//! The reading half takes what [`BerReader::value`](super::ber::BerReader::value) normalised or what is DER by
//! definition (a certificate): definite lengths, one-byte tags. It borrows, never recurses and never copies.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

/// INTEGER.
pub const INTEGER: u8 = 0x02;
/// BIT STRING, primitive.
pub const BIT_STRING: u8 = 0x03;
/// OCTET STRING, primitive.
pub const OCTET_STRING: u8 = 0x04;
/// NULL.
pub const NULL: u8 = 0x05;
/// OBJECT IDENTIFIER.
pub const OID: u8 = 0x06;
/// UTCTime.
pub const UTC_TIME: u8 = 0x17;
/// GeneralizedTime.
pub const GENERALIZED_TIME: u8 = 0x18;
/// SEQUENCE.
pub const SEQUENCE: u8 = 0x30;
/// SET.
pub const SET: u8 = 0x31;

/// Context tag `[number]` of a primitive value, number below 31.
pub const fn context(number: u8) -> u8 {
    0x80 | number
}

/// Context tag `[number]` of a constructed value, number below 31.
pub const fn context_constructed(number: u8) -> u8 {
    0xa0 | number
}

/// Tag and length octets of a value of `len` bytes.
pub fn header(tag: u8, len: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(MAX_HEADER);
    push_header(&mut out, tag, len);
    out
}

/// Appends tag and length octets of a value of `len` bytes.
pub fn push_header(out: &mut Vec<u8>, tag: u8, len: u64) {
    out.push(tag);
    match u8::try_from(len) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            let bytes = len.to_be_bytes();
            let significant = bytes.iter().skip_while(|byte| **byte == 0);
            let count = u8::try_from(significant.clone().count()).expect("eight bytes at most");
            out.push(0x80 | count);
            out.extend(significant);
        }
    }
}

/// Most tag and length octets of a value.
pub const MAX_HEADER: usize = 10;

/// A whole value: tag, length, content.
pub fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    joined(tag, &[content])
}

/// SEQUENCE of already encoded values.
pub fn sequence(items: &[&[u8]]) -> Vec<u8> {
    joined(SEQUENCE, items)
}

/// SET OF already encoded values, sorted as DER demands (X.690 11.6).
pub fn set_of(mut items: Vec<Vec<u8>>) -> Vec<u8> {
    items.sort_unstable();
    joined(SET, &items)
}

/// A value of these pieces, in one buffer that fits.
fn joined<P: AsRef<[u8]>>(tag: u8, pieces: &[P]) -> Vec<u8> {
    let len = pieces.iter().fold(0usize, |len, piece| len.saturating_add(piece.as_ref().len()));
    let mut out = Vec::with_capacity(len.saturating_add(MAX_HEADER));
    push_header(&mut out, tag, u64::try_from(len).unwrap_or(u64::MAX));
    for piece in pieces {
        out.extend_from_slice(piece.as_ref());
    }
    out
}

/// OBJECT IDENTIFIER of its content octets (see [`oid`](super::oid)).
pub fn object_identifier(content: &[u8]) -> Vec<u8> {
    tlv(OID, content)
}

/// Non-negative INTEGER.
pub fn integer(value: u32) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let mut content: Vec<u8> = bytes.iter().copied().skip_while(|byte| *byte == 0).collect();
    if content.first().is_none_or(|first| *first >= 0x80) {
        content.insert(0, 0);
    }
    tlv(INTEGER, &content)
}

/// Time as CMS writes it (RFC 5652 11.3): UTCTime from 1950 to 2049, GeneralizedTime elsewhere.
pub fn time(at: Timestamp) -> Vec<u8> {
    let utc = Offset::UTC.to_datetime(at);
    if (1950..2050).contains(&utc.year()) {
        tlv(UTC_TIME, utc.strftime("%y%m%d%H%M%SZ").to_string().as_bytes())
    } else {
        tlv(GENERALIZED_TIME, utc.strftime("%Y%m%d%H%M%SZ").to_string().as_bytes())
    }
}

/// A value that is not the DER expected at its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unexpected DER: {0}")]
pub struct DerError(pub &'static str);

/// One value inside a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tlv<'a> {
    /// Its identifier octet.
    pub tag: u8,
    /// Its content.
    pub content: &'a [u8],
    /// Header and content.
    pub raw: &'a [u8],
}

impl<'a> Tlv<'a> {
    /// The values inside.
    pub fn fields(&self) -> Fields<'a> {
        Fields::new(self.content)
    }

    /// The value of a small non-negative INTEGER.
    pub fn small_integer(&self) -> Result<u32, DerError> {
        let bad = DerError("integer");
        if self.tag != INTEGER || self.content.first().is_none_or(|first| *first >= 0x80) || self.content.len() > 5 {
            return Err(bad);
        }
        let wide = self.content.iter().fold(0u64, |value, byte| (value << 8) | u64::from(*byte));
        u32::try_from(wide).map_err(|_| bad)
    }

    /// The instant of a UTCTime or GeneralizedTime in the form of RFC 5280 4.1.2.5 (seconds present, `Z`).
    pub fn time(&self) -> Result<Timestamp, DerError> {
        Offset::UTC.to_timestamp(self.date_time()?).map_err(|_| DerError("time"))
    }

    /// The same as date and time, which may be later than the last instant that every zone can show.
    pub fn date_time(&self) -> Result<DateTime, DerError> {
        let bad = DerError("time");
        let text = std::str::from_utf8(self.content).map_err(|_| bad)?;
        if !text.strip_suffix('Z').is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_digit())) {
            return Err(bad);
        }
        let full = match (self.tag, text.len()) {
            (UTC_TIME, 13) => format!("{}{text}", if text < "50" { "20" } else { "19" }),
            (GENERALIZED_TIME, 15) => text.to_owned(),
            _ => return Err(bad),
        };
        DateTime::strptime("%Y%m%d%H%M%SZ", full).map_err(|_| bad)
    }
}

/// Reads the values of a constructed one in order.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Starts at the first byte.
    pub fn new(bytes: &'a [u8]) -> Fields<'a> {
        Fields { rest: bytes }
    }

    /// The one value that fills all of `bytes`.
    pub fn only(bytes: &'a [u8], tag: u8) -> Result<Tlv<'a>, DerError> {
        let mut fields = Fields::new(bytes);
        let value = fields.expect(tag)?;
        fields.end()?;
        Ok(value)
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next value, `None` at the end.
    pub fn take(&mut self) -> Result<Option<Tlv<'a>>, DerError> {
        let Some((&tag, after_tag)) = self.rest.split_first() else { return Ok(None) };
        if tag & 0x1f == 0x1f {
            return Err(DerError("multi-byte tag"));
        }
        let (&first, mut after) = after_tag.split_first().ok_or(DerError("length missing"))?;
        let mut len = usize::from(first);
        if first >= 0x80 {
            let count = usize::from(first & 0x7f);
            if count == 0 || count > 4 {
                return Err(DerError("length"));
            }
            let (octets, rest) = after.split_at_checked(count).ok_or(DerError("length truncated"))?;
            len = octets.iter().fold(0usize, |value, byte| (value << 8) | usize::from(*byte));
            after = rest;
        }
        let (content, rest) = after.split_at_checked(len).ok_or(DerError("value truncated"))?;
        let raw = self.rest.get(..self.rest.len().saturating_sub(rest.len())).ok_or(DerError("value"))?;
        self.rest = rest;
        Ok(Some(Tlv { tag, content, raw }))
    }

    /// The next value, which must have this tag.
    pub fn expect(&mut self, tag: u8) -> Result<Tlv<'a>, DerError> {
        match self.take()? {
            Some(value) if value.tag == tag => Ok(value),
            _ => Err(DerError("another value expected")),
        }
    }

    /// The next value if it has this tag.
    pub fn optional(&mut self, tag: u8) -> Result<Option<Tlv<'a>>, DerError> {
        if self.rest.first() == Some(&tag) { self.take() } else { Ok(None) }
    }

    /// Demands that nothing is left.
    pub fn end(&self) -> Result<(), DerError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DerError("trailing bytes")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_written_in_the_fewest_octets() {
        assert_eq!(header(SEQUENCE, 0x7f), [0x30, 0x7f]);
        assert_eq!(header(SEQUENCE, 0x80), [0x30, 0x81, 0x80]);
        assert_eq!(header(SEQUENCE, 0x0100), [0x30, 0x82, 0x01, 0x00]);
        assert_eq!(header(SEQUENCE, 5 << 30), [0x30, 0x85, 0x01, 0x40, 0, 0, 0]);
    }

    #[test]
    fn integers_stay_positive() {
        assert_eq!(integer(0), [2, 1, 0]);
        assert_eq!(integer(0x80), [2, 2, 0, 0x80]);
        for value in [0, 1, 127, 128, 65_537, u32::MAX] {
            assert_eq!(Fields::only(&integer(value), INTEGER).unwrap().small_integer(), Ok(value));
        }
    }

    #[test]
    fn times_of_both_forms_are_read_back() {
        for text in ["1999-12-31T23:59:59Z", "2026-01-02T03:04:05Z", "2050-01-01T00:00:00Z"] {
            let at: Timestamp = text.parse().unwrap();
            let der = time(at);
            assert_eq!(Fields::new(&der).take().unwrap().unwrap().time(), Ok(at), "{text}");
        }
        assert!(Fields::new(&tlv(UTC_TIME, b"260102030405+0800")).take().unwrap().unwrap().time().is_err());
        assert!(Fields::new(&tlv(UTC_TIME, b"\xff\xff")).take().unwrap().unwrap().time().is_err());
    }

    #[test]
    fn truncated_and_oversized_lengths_are_refused() {
        for bytes in
            [&[0x30][..], &[0x30, 5, 1], &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], &[0x30, 0x80, 0, 0], &[0x1f, 1]]
        {
            assert!(Fields::new(bytes).take().is_err(), "{bytes:?}");
        }
    }
}
