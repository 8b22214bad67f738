//! Durations, sizes, instants and name patterns as people write them.

use std::time::Duration;

use jiff::Timestamp;

use crate::bilingual;
use crate::ground::text::Bilingual;

/// `"500ms"`, `"90s"`, `"10m"`, `"72h"`, `"30d"`; one whole number and one unit.
///
/// # Errors
/// What is expected instead.
pub fn duration(text: &str) -> Result<Duration, Bilingual> {
    let bad = || {
        bilingual!(
            "不是时长。请写成整数加单位 ms、s、m、h 或 d，例如 \"90s\"。",
            "not a duration. Write a whole number and ms, s, m, h or d, such as \"90s\"."
        )
    };
    let (number, unit) = split(text).ok_or_else(bad)?;
    let millis = match unit {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        "d" => Some(86_400_000),
        _ => None,
    };
    millis.and_then(|millis| number.checked_mul(millis)).map(Duration::from_millis).ok_or_else(bad)
}

/// `"64KiB"`, `"512MiB"`, `"1GiB"`, `"1048576"`; powers of 1024 (`KB`, `MB`, `GB` are powers of 1000).
///
/// # Errors
/// What is expected instead.
pub fn size(text: &str) -> Result<u64, Bilingual> {
    let bad = || {
        bilingual!(
            "不是大小。请写成整数加单位 B、KiB、MiB 或 GiB，例如 \"512MiB\"。",
            "not a size. Write a whole number and B, KiB, MiB or GiB, such as \"512MiB\"."
        )
    };
    let (number, unit) = split(text).ok_or_else(bad)?;
    let bytes = match unit {
        "" | "B" => Some(1),
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        "GiB" => Some(1 << 30),
        "TiB" => Some(1 << 40),
        "KB" => Some(1_000),
        "MB" => Some(1_000_000),
        "GB" => Some(1_000_000_000),
        _ => None,
    };
    bytes.and_then(|bytes: u64| number.checked_mul(bytes)).ok_or_else(bad)
}

/// An instant with its offset, such as `2026-01-01T00:00:00+08:00` (RFC 3339).
///
/// # Errors
/// What is expected instead.
pub fn instant(text: &str) -> Result<Timestamp, Bilingual> {
    text.trim().parse().map_err(|_| {
        bilingual!(
            "不是时间点。请写成带时区的时间，例如 \"2026-01-01T00:00:00+08:00\"。",
            "not an instant. Write it with its offset, such as \"2026-01-01T00:00:00+08:00\"."
        )
    })
}

/// A duration as [`duration`] reads it, in the largest unit that is exact.
pub fn show_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    for (unit, length) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)] {
        if millis >= length && millis.is_multiple_of(length) {
            return format!("{}{unit}", millis / length);
        }
    }
    format!("{millis}ms")
}

/// A size as [`size`] reads it, in the largest unit that is exact.
pub fn show_size(bytes: u64) -> String {
    for (unit, shift) in [("TiB", 40u32), ("GiB", 30), ("MiB", 20), ("KiB", 10)] {
        let length = 1u64 << shift;
        if bytes >= length && bytes.is_multiple_of(length) {
            return format!("{}{unit}", bytes / length);
        }
    }
    format!("{bytes}B")
}

/// Whether a name fits a pattern in which `*` stands for any run of characters. ASCII case does not matter.
pub fn matches_pattern(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.to_ascii_lowercase(), name.to_ascii_lowercase());
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else { return rest.is_empty() };
    for piece in pieces {
        let Some((_, after)) = rest.split_once(piece) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

fn split(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    Some((number.parse().ok()?, unit.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_one_number_and_one_unit() {
        assert_eq!(duration("90s").ok(), Some(Duration::from_secs(90)));
        assert_eq!(duration("500ms").ok(), Some(Duration::from_millis(500)));
        assert_eq!(duration(" 72 h ").ok(), Some(Duration::from_secs(72 * 3600)));
        for bad in ["", "90", "s", "-1s", "1.5h", "1h30m", "10 minutes", "99999999999999999999d", "213503982335d"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_are_powers_of_1024_unless_they_say_otherwise() {
        assert_eq!(size("512MiB").ok(), Some(512 * 1024 * 1024));
        assert_eq!(size("10MB").ok(), Some(10_000_000));
        assert_eq!(size("4096").ok(), Some(4096));
        for bad in ["", "MiB", "1.5GiB", "-1B", "1mib", "99999999999999TiB"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_shown_can_be_read_again() {
        for text in ["1ms", "1500ms", "90s", "10m", "72h", "30d"] {
            let shown = show_duration(duration(text).expect("a duration"));
            assert_eq!(duration(&shown).ok(), duration(text).ok(), "{text} {shown}");
        }
        assert_eq!((show_size(512 << 20).as_str(), show_size(1000).as_str()), ("512MiB", "1000B"));
    }

    #[test]
    fn an_instant_needs_its_offset() {
        assert_eq!(instant("1970-01-01T08:00:01+08:00").ok(), Timestamp::from_second(1).ok());
        assert!(instant("2026-01-01").is_err() && instant("2026-01-01T00:00:00").is_err());
    }

    #[test]
    fn a_star_stands_for_any_run_of_characters() {
        for (pattern, name, fits) in [
            ("*.tmp", "a.tmp", true),
            ("*.tmp", "a.TMP", true),
            ("*.tmp", "a.tmp.xml", false),
            ("~*", "~lock", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c", false),
            ("name", "name", true),
            ("name", "names", false),
            ("*", "", true),
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(matches_pattern(pattern, name), fits, "{pattern} {name}");
        }
    }
}
