//! Text of XML: references resolved, line ends normalised, illegal characters refused.

use super::super::error::Fault;

pub(super) fn malformed(reason: &str) -> Fault {
    Fault::Malformed { reason: reason.to_owned() }
}

/// Nothing in it needs a second look: no reference, no line end to normalise, no `]`, nothing that may be illegal.
pub(super) fn is_plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    // Pretty-printed documents have a line end and spaces between elements.
    let bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
    let (chunks, rest) = bytes.as_chunks::<8>();
    let plain =
        |chunk: &[u8; 8]| is_plain_word(u64::from_le_bytes(*chunk)) || chunk.iter().all(|byte| is_plain_byte(*byte));
    // The rest of a longer text is looked at with the bytes before it.
    let end = match bytes.last_chunk::<8>().filter(|_| !rest.is_empty()) {
        Some(last) => plain(last),
        None => rest.iter().all(|byte| is_plain_byte(*byte)),
    };
    end && chunks.iter().all(plain)
}

/// [`is_plain`] for the first `length` bytes, when there is no line end among them either; says no where it is not sure.
pub(super) fn is_plain_line(bytes: &[u8], length: usize) -> bool {
    // What follows a short text is read with it and made blanks.
    if let (0..8, Some(word)) = (length, bytes.first_chunk::<8>()) {
        let text = u32::try_from(length).ok().and_then(|length| u64::MAX.checked_shl(length.saturating_mul(8)));
        let behind = text.unwrap_or(0);
        return is_plain_word((u64::from_le_bytes(*word) & !behind) | (0x2020_2020_2020_2020 & behind));
    }
    let text = bytes.get(..length).unwrap_or_default();
    let plain = |chunk: &[u8; 8]| is_plain_word(u64::from_le_bytes(*chunk));
    text.last_chunk::<8>().is_some_and(plain) && text.as_chunks::<8>().0.iter().all(plain)
}

const fn is_plain_byte(byte: u8) -> bool {
    (byte >= 0x20 || byte == b'\n' || byte == b'\t') && !matches!(byte, b'&' | b']' | 0xEF)
}

/// Eight bytes at once, none of them below the space or one of the three; says no where it is not sure.
const fn is_plain_word(word: u64) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    const fn zero(word: u64) -> u64 {
        word.wrapping_sub(ONES) & !word & HIGHS
    }
    let below_space = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
    (below_space | zero(word ^ (ONES * 0x26)) | zero(word ^ (ONES * 0x5D)) | zero(word ^ (ONES * 0xEF))) == 0
}

/// Appends text with its references resolved and its line ends normalised; where it cannot, and why.
pub(super) fn resolve(text: &str, out: &mut String) -> Result<(), (usize, Fault)> {
    let mut at = 0usize;
    let mut rest = text;
    while let Some((plain, after)) = rest.split_once('&') {
        literal(plain, at, out)?;
        at = at.saturating_add(plain.len());
        let Some((name, following)) = after.split_once(';').filter(|(name, _)| !name.is_empty()) else {
            return Err((at, malformed("& that begins no reference")));
        };
        out.push(reference(name).map_err(|fault| (at, fault))?);
        at = at.saturating_add(name.len()).saturating_add(2);
        rest = following;
    }
    literal(rest, at, out)
}

fn literal(text: &str, at: usize, out: &mut String) -> Result<(), (usize, Fault)> {
    if let Some(found) = memchr::memmem::find(text.as_bytes(), b"]]>") {
        return Err((at.saturating_add(found), malformed("]]> in text")));
    }
    if let Some(found) = text.find(|c| !is_legal(c)) {
        return Err((at.saturating_add(found), malformed("a character that XML does not allow")));
    }
    push_lines(out, text);
    Ok(())
}

/// Appends text with every line end made a line feed (XML 1.0, 2.11).
pub(super) fn push_lines(out: &mut String, text: &str) {
    let mut lines = text.split('\r');
    out.push_str(lines.next().unwrap_or_default());
    for line in lines {
        if !line.starts_with('\n') {
            out.push('\n');
        }
        out.push_str(line);
    }
}

fn reference(name: &str) -> Result<char, Fault> {
    let number = match name.strip_prefix('#') {
        None => {
            return Ok(match name {
                "amp" => '&',
                "lt" => '<',
                "gt" => '>',
                "apos" => '\'',
                "quot" => '"',
                _ => return Err(Fault::UnknownEntity { name: name.chars().take(60).collect() }),
            });
        }
        Some(number) => number,
    };
    let (digits, radix) = number.strip_prefix('x').map_or((number, 10), |digits| (digits, 16));
    let clean = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
    let code = clean.then(|| u32::from_str_radix(digits, radix).ok()).flatten();
    code.and_then(char::from_u32)
        .filter(|c| is_legal(*c))
        .ok_or_else(|| malformed("a character reference that names no character"))
}

/// XML 1.0 production 2.
pub(super) fn is_legal(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_bytes_at_once_are_judged_as_each_alone() {
        assert!(is_plain("") && is_plain("\n      ") && is_plain("海关总署的电子口岸 2026 年\t\n"));
        for byte in 0..128u8 {
            for place in 0..20 {
                let mut text = vec![b'x'; 20];
                if let Some(slot) = text.get_mut(place) {
                    *slot = byte;
                }
                let text = String::from_utf8(text).expect("ASCII");
                assert_eq!(is_plain(&text), text.bytes().all(is_plain_byte), "{byte} at {place}");
            }
        }
        for length in 0..24 {
            let text = "订单x1234567890123456789".get(..length).unwrap_or("12345678901234567");
            for (byte, fits) in [(b'\n', false), (b'&', false), (b']', false), (b'\t', false), (b'x', true)] {
                let last = text.len().saturating_sub(1);
                let inside = [text.as_bytes().get(..last).unwrap_or_default(), &[byte], b"</a>\n\n\n\n"].concat();
                assert_eq!(is_plain_line(&inside, last + 1), fits, "{byte} in {text}");
                assert!(is_plain_line(&[text.as_bytes(), b"</a>\n&]\n\n"].concat(), text.len()), "behind {text}");
            }
        }
        assert!(!is_plain("12345678\u{FFFE}") && !is_plain("１2345678") && is_plain("关1234567"));
    }
}
