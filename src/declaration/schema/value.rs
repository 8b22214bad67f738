//! The simple types of the tables and what XML Schema 1.0 says about their values.

use super::super::charset;

/// Form of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// Characters, from and to; blanks at the ends and repeated ones do not count when `collapse`.
    Text {
        /// Fewest characters.
        min: u32,
        /// Most characters; `u32::MAX` for no bound.
        max: u32,
        /// Blanks are collapsed first.
        collapse: bool,
    },
    /// A decimal number.
    Decimal {
        /// Most digits.
        digits: u32,
        /// Most of them behind the point.
        fraction: u32,
    },
    /// A whole number of 32 bits.
    Int {
        /// Most digits; `u32::MAX` for no bound of its own.
        digits: u32,
    },
    /// A whole number.
    Integer,
    /// `2026-03-01T09:30:00`, with or without fraction and zone.
    DateTime,
    /// `2026-03-01`, with or without zone.
    Date,
    /// Base64 with padding.
    Base64,
    /// A reference to a resource.
    Uri,
    /// A name that is unique in the document.
    Id,
}

/// What is wrong with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueFault {
    /// Fewer characters than demanded.
    TooShort {
        /// Characters there are.
        is: u32,
    },
    /// More characters than allowed.
    TooLong {
        /// Characters there are.
        is: u32,
    },
    /// Not of this type at all.
    Form,
    /// More digits than allowed.
    Digits,
    /// More digits behind the point than allowed.
    Fraction,
    /// Beyond what 32 bits hold.
    Range,
}

impl Type {
    /// What is wrong with this value, if anything.
    pub fn fault(&self, value: &str) -> Option<ValueFault> {
        match *self {
            Type::Text { min, max, collapse } => {
                // No value has more characters than bytes.
                let bytes = u32::try_from(value.len()).unwrap_or(u32::MAX);
                if !collapse && bytes <= max && (min == 0 || (min == 1 && bytes > 0)) {
                    return None;
                }
                let length = if collapse { collapsed_length(value) } else { characters(value) };
                if length < min {
                    Some(ValueFault::TooShort { is: length })
                } else {
                    (length > max).then_some(ValueFault::TooLong { is: length })
                }
            }
            Type::Decimal { digits, fraction } => decimal_fault(trim(value), digits, fraction),
            Type::Int { digits } => int_fault(trim(value), digits),
            Type::Integer => (!is_integer(trim(value))).then_some(ValueFault::Form),
            Type::DateTime => (!is_date_time(trim(value))).then_some(ValueFault::Form),
            Type::Date => (!is_date(trim(value))).then_some(ValueFault::Form),
            Type::Base64 => (!is_base64(value)).then_some(ValueFault::Form),
            Type::Uri => (!is_uri(trim(value))).then_some(ValueFault::Form),
            Type::Id => (!is_ncname(trim(value))).then_some(ValueFault::Form),
        }
    }

    /// Whether two values are the same for this type.
    pub fn equal(&self, one: &str, other: &str) -> bool {
        match self {
            Type::Text { collapse: true, .. } => trim(one) == trim(other),
            Type::Text { .. } | Type::Base64 => one == other,
            _ => trim(one) == trim(other),
        }
    }
}

/// Without the blanks of XML at both ends.
pub fn trim(value: &str) -> &str {
    let clean = |byte: Option<&u8>| byte.is_none_or(|byte| !is_blank(char::from(*byte)));
    let bytes = value.as_bytes();
    // Nearly every value.
    if clean(bytes.first()) && clean(bytes.last()) { value } else { value.trim_matches(is_blank) }
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// Characters of a value.
pub fn characters(value: &str) -> u32 {
    u32::try_from(charset::characters(value.as_bytes())).unwrap_or(u32::MAX)
}

/// Characters once blanks at the ends are gone and inner runs of them are one.
fn collapsed_length(value: &str) -> u32 {
    let (mut length, mut blank) = (0u32, false);
    for c in trim(value).chars() {
        if !(is_blank(c) && blank) {
            length = length.saturating_add(1);
        }
        blank = is_blank(c);
    }
    length
}

/// Sign, whole and fraction digits of a decimal; `None` when it is none (XML Schema 2, 3.2.3.1).
pub fn decimal_parts(value: &str) -> Option<(bool, &str, &str)> {
    let (negative, rest) = match value.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, value.strip_prefix('+').unwrap_or(value)),
    };
    let point = rest.bytes().position(|byte| byte == b'.').and_then(|at| rest.split_at_checked(at));
    let (whole, fraction) = point.map_or((rest, ""), |(whole, tail)| (whole, tail.get(1..).unwrap_or_default()));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let some = !whole.is_empty() || !fraction.is_empty();
    (some && digits(whole) && digits(fraction)).then_some((negative, whole, fraction))
}

fn decimal_fault(value: &str, digits: u32, fraction: u32) -> Option<ValueFault> {
    let Some((_, whole, part)) = decimal_parts(value) else { return Some(ValueFault::Form) };
    let (whole, part) = (characters(whole.trim_start_matches('0')), characters(part.trim_end_matches('0')));
    if part > fraction {
        return Some(ValueFault::Fraction);
    }
    (whole.saturating_add(part) > digits).then_some(ValueFault::Digits)
}

fn is_integer(value: &str) -> bool {
    let digits = value.strip_prefix(['-', '+']).unwrap_or(value);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

fn int_fault(value: &str, digits: u32) -> Option<ValueFault> {
    if !is_integer(value) {
        return Some(ValueFault::Form);
    }
    let significant = value.strip_prefix(['-', '+']).unwrap_or(value).trim_start_matches('0');
    if characters(significant) > digits {
        return Some(ValueFault::Digits);
    }
    value.strip_prefix('+').unwrap_or(value).parse::<i32>().is_err().then_some(ValueFault::Range)
}

/// The part before the zone, when the zone is a right one.
fn without_zone(value: &str) -> Option<&str> {
    if let Some(bare) = value.strip_suffix('Z') {
        return Some(bare);
    }
    let Some((bare, zone)) = value.len().checked_sub(6).and_then(|at| value.split_at_checked(at)) else {
        return Some(value);
    };
    let Some((hours, minutes)) = zone.strip_prefix(['+', '-']).and_then(|zone| zone.split_once(':')) else {
        return Some(value);
    };
    let (hours, minutes) = (two_digits(hours)?, two_digits(minutes)?);
    (minutes < 60 && (hours < 14 || (hours == 14 && minutes == 0))).then_some(bare)
}

fn two_digits(text: &str) -> Option<u32> {
    (text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

fn is_date(value: &str) -> bool {
    // The zone of a date may look like its day: 2026-03-01 ends in "-03-01" without a colon.
    without_zone(value).is_some_and(is_day)
}

/// `YYYY-MM-DD` of a day that exists; years beyond four digits and before Christ are taken by form alone.
fn is_day(value: &str) -> bool {
    let unsigned = value.strip_prefix('-').unwrap_or(value);
    let mut parts = unsigned.split('-');
    let (Some(year), Some(month), Some(day), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let (Some(month), Some(day)) = (two_digits(month), two_digits(day)) else { return false };
    let long = year.len() > 4 && year.starts_with('0');
    if year.len() < 4 || long || !year.bytes().all(|b| b.is_ascii_digit()) || year.bytes().all(|b| b == b'0') {
        return false;
    }
    let Ok(year) = year.parse::<u64>() else { return false };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return false,
    };
    (1..=last).contains(&day)
}

fn is_date_time(value: &str) -> bool {
    let Some((day, time)) = without_zone(value).and_then(|bare| bare.split_once('T')) else { return false };
    let (whole, fraction) = match time.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (time, None),
    };
    if fraction.is_some_and(|digits| digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit())) {
        return false;
    }
    let mut parts = whole.split(':').map(two_digits);
    let (Some(Some(hour)), Some(Some(minute)), Some(Some(second)), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let midnight = hour == 24 && minute == 0 && second == 0 && fraction.is_none_or(|f| f.bytes().all(|b| b == b'0'));
    is_day(day) && (hour < 24 || midnight) && minute < 60 && second < 60
}

fn is_base64(value: &str) -> bool {
    let (mut symbols, mut padding, mut last) = (0usize, 0usize, b'A');
    for byte in value.bytes() {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => {}
            b'=' => padding = padding.saturating_add(1),
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' if padding == 0 => {
                symbols = symbols.saturating_add(1);
                last = byte;
            }
            _ => return false,
        }
    }
    // The bits of the last symbol that no octet takes must be zero.
    match (symbols % 4, padding) {
        (0, 0) => true,
        (2, 2) => matches!(last, b'A' | b'Q' | b'g' | b'w'),
        (3, 1) => b"AEIMQUYcgkosw048".contains(&last),
        _ => false,
    }
}

/// Any text can be made a reference (XML Schema 2, 3.2.17) but for a broken escape, a second fragment, or a colon in the
/// first segment after what is no scheme (RFC 3986, 4.2).
fn is_uri(value: &str) -> bool {
    let mut escapes = value.split('%').skip(1);
    let escaped = escapes.all(|rest| rest.get(..2).is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit())));
    let first = value.split(['/', '?', '#']).next().unwrap_or_default();
    let scheme = first.split_once(':').is_none_or(|(scheme, _)| {
        let rest = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
        scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.bytes().all(rest)
    });
    escaped && scheme && value.matches('#').count() <= 1
}

fn is_ncname(value: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_' || !c.is_ascii();
    value.starts_with(letter) && value.chars().all(|c| letter(c) || c.is_ascii_digit() || matches!(c, '-' | '.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_counts_significant_digits() {
        let kind = Type::Decimal { digits: 19, fraction: 5 };
        for good in ["0", "-1.5", "+.5", "5.", "00012.3450000", "99999999999999.99999", " 7\n"] {
            assert_eq!(kind.fault(good), None, "{good}");
        }
        for (bad, fault) in [
            ("", ValueFault::Form),
            ("1,000", ValueFault::Form),
            ("1e3", ValueFault::Form),
            (".", ValueFault::Form),
            ("1 2", ValueFault::Form),
            ("0.123456", ValueFault::Fraction),
            ("123456789012345678901", ValueFault::Digits),
        ] {
            assert_eq!(kind.fault(bad), Some(fault), "{bad}");
        }
    }

    #[test]
    fn text_is_counted_in_characters() {
        let kind = Type::Text { min: 2, max: 3, collapse: false };
        assert_eq!((kind.fault("海关"), kind.fault("a b")), (None, None));
        assert_eq!(kind.fault("海"), Some(ValueFault::TooShort { is: 1 }));
        assert_eq!(kind.fault("海关总署"), Some(ValueFault::TooLong { is: 4 }));
        let token = Type::Text { min: 1, max: 3, collapse: true };
        assert_eq!((token.fault("  a \n b "), token.fault("   ")), (None, Some(ValueFault::TooShort { is: 0 })));
    }

    #[test]
    fn whole_numbers_fit_32_bits() {
        let kind = Type::Int { digits: 9 };
        assert_eq!((kind.fault("000000000123"), kind.fault("-1")), (None, None));
        assert_eq!(kind.fault("1234567890"), Some(ValueFault::Digits));
        let plain = Type::Int { digits: u32::MAX };
        assert_eq!((plain.fault("2147483647"), plain.fault("2147483648")), (None, Some(ValueFault::Range)));
        assert_eq!(plain.fault("1.0"), Some(ValueFault::Form));
    }

    #[test]
    fn instants_and_days_exist() {
        for good in ["2026-03-01T09:30:00", "2024-02-29T24:00:00Z", "2026-03-01T09:30:00.125+08:00"] {
            assert_eq!(Type::DateTime.fault(good), None, "{good}");
        }
        for bad in ["2026-02-29T09:30:00", "2026-03-01 09:30:00", "2026-03-01T25:00:00", "2026-3-1T09:30:00", ""] {
            assert_eq!(Type::DateTime.fault(bad), Some(ValueFault::Form), "{bad}");
        }
        assert_eq!((Type::Date.fault("2026-03-01"), Type::Date.fault("2026-03-01+08:00")), (None, None));
        assert_eq!(Type::Date.fault("20260301"), Some(ValueFault::Form));
    }

    #[test]
    fn a_reference_has_a_scheme_before_its_colon() {
        for good in ["", "#a", "urn:example", "http://www.w3.org/2000/09/xmldsig#sha1", "a b", "海关", "a/b:c", "%41"]
        {
            assert_eq!(Type::Uri.fault(good), None, "{good}");
        }
        for bad in ["00:00", "%zz", "#a#b", ":x"] {
            assert_eq!(Type::Uri.fault(bad), Some(ValueFault::Form), "{bad}");
        }
    }

    #[test]
    fn base64_is_whole_and_clean() {
        for good in ["", "QUJD", "QUI=", "QQ==", " QU JD\n"] {
            assert_eq!(Type::Base64.fault(good), None, "{good}");
        }
        for bad in ["QUJ", "Q===", "QUJD*", "QQ==QQ==", "QR=="] {
            assert_eq!(Type::Base64.fault(bad), Some(ValueFault::Form), "{bad}");
        }
    }
}
