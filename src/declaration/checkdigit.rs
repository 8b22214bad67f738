//! Check characters of Chinese identity and enterprise numbers, and of bar codes.

/// Weights of the first seventeen digits of a 居民身份证 (GB 11643): powers of two modulo 11.
const IDENTITY_WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
/// Check characters by the weighted sum modulo 11.
const IDENTITY_CHECKS: &[u8; 11] = b"10X98765432";
/// Weights of the first eight characters of a 组织机构代码 (GB 11714).
const ORGANISATION_WEIGHTS: [u32; 8] = [3, 7, 9, 10, 5, 8, 4, 2];
/// The alphabet of a 统一社会信用代码 (GB 32100): no I, O, S, V, Z.
const CREDIT_ALPHABET: &[u8; 31] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";

/// The check character of a citizen's number (GB 11643) from its first seventeen digits.
pub fn identity_check(first_seventeen: &str) -> Option<char> {
    if first_seventeen.len() != IDENTITY_WEIGHTS.len() {
        return None;
    }
    let mut sum = 0u32;
    for (byte, weight) in first_seventeen.bytes().zip(IDENTITY_WEIGHTS) {
        let digit = char::from(byte).to_digit(10)?;
        sum = sum.saturating_add(digit.saturating_mul(weight));
    }
    IDENTITY_CHECKS.get(usize::try_from(sum % 11).ok()?).map(|check| char::from(*check))
}

/// Whether a citizen's number has eighteen characters, a date of birth and the right check character.
pub fn is_identity(number: &str) -> bool {
    let Some((first, check)) = number.split_at_checked(17) else { return false };
    let born = first.get(6..14).is_some_and(is_date);
    born && identity_check(first).is_some_and(|expected| check.chars().eq([expected]))
}

/// The check character of a unified social credit code (GB 32100) from its first seventeen characters.
pub fn credit_check(first_seventeen: &str) -> Option<char> {
    if first_seventeen.len() != 17 {
        return None;
    }
    let (mut sum, mut weight) = (0u32, 1u32);
    for byte in first_seventeen.bytes() {
        let value = credit_value(byte)?;
        sum = sum.saturating_add(value.saturating_mul(weight));
        weight = weight.saturating_mul(3) % 31;
    }
    let check = usize::try_from(31u32.saturating_sub(sum % 31) % 31).ok()?;
    CREDIT_ALPHABET.get(check).map(|letter| char::from(*letter))
}

/// Place of a character in [`CREDIT_ALPHABET`].
fn credit_value(byte: u8) -> Option<u32> {
    let skipped = match byte {
        b'0'..=b'9' => return Some(u32::from(byte.wrapping_sub(b'0'))),
        b'A'..=b'H' => 0,
        b'J'..=b'N' => 1,
        b'P'..=b'R' => 2,
        b'T' | b'U' => 3,
        b'W'..=b'Y' => 4,
        _ => return None,
    };
    Some(u32::from(byte.wrapping_sub(b'A')).saturating_add(10).saturating_sub(skipped))
}

/// Whether an enterprise code has eighteen characters of the alphabet and the right check character.
pub fn is_credit_code(code: &str) -> bool {
    let Some((first, check)) = code.split_at_checked(17) else { return false };
    credit_check(first).is_some_and(|expected| check.chars().eq([expected]))
}

/// Whether a 组织机构代码 has eight characters and the right check character (GB 11714), with or without a hyphen between.
pub fn is_organisation_code(code: &str) -> bool {
    let Some((first, check)) = code.split_at_checked(8) else { return false };
    let check = check.strip_prefix('-').unwrap_or(check);
    organisation_check(first).is_some_and(|expected| check.chars().eq([expected]))
}

/// The check character of an organisation code (GB 11714) from its first eight characters.
pub fn organisation_check(first_eight: &str) -> Option<char> {
    let values: Option<Vec<u32>> =
        first_eight.chars().map(|c| c.to_digit(36).filter(|_| c.is_ascii_digit() || c.is_ascii_uppercase())).collect();
    let values = values.filter(|values| values.len() == ORGANISATION_WEIGHTS.len())?;
    let products = values.iter().zip(ORGANISATION_WEIGHTS).map(|(value, weight)| value.saturating_mul(weight));
    match 11u32.saturating_sub(products.fold(0u32, u32::saturating_add) % 11) {
        10 => Some('X'),
        11 => Some('0'),
        digit => char::from_digit(digit, 10),
    }
}

/// Whether an enterprise code has the ten-character form of the customs register.
pub fn is_customs_code(code: &str) -> bool {
    let Some((region, rest)) = code.split_at_checked(4) else { return false };
    region.bytes().all(|b| b.is_ascii_digit())
        && rest.len() == 6
        && rest.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
}

/// The check digit of an EAN-13 bar code (GB 12904) from its first twelve digits.
pub fn barcode_check(first_twelve: &str) -> Option<char> {
    let digits: Option<Vec<u32>> = first_twelve.chars().map(|c| c.to_digit(10)).collect();
    let digits = digits.filter(|digits| digits.len() == 12)?;
    let weights = [1u32, 3].into_iter().cycle();
    let sum =
        digits.iter().zip(weights).fold(0u32, |sum, (digit, weight)| sum.saturating_add(digit.saturating_mul(weight)));
    char::from_digit(10u32.saturating_sub(sum % 10) % 10, 10)
}

/// `YYYYMMDD` of a day that exists.
fn is_date(digits: &str) -> bool {
    let part = |range| digits.get(range).and_then(|part: &str| part.parse::<i16>().ok());
    let (Some(year), Some(month), Some(day)) = (part(0..4), part(4..6), part(6..8)) else { return false };
    let (Ok(month), Ok(day)) = (i8::try_from(month), i8::try_from(day)) else { return false };
    year >= 1850 && jiff::civil::Date::new(year, month, day).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_citizens_number_is_checked_with_its_date_of_birth() {
        // The example of GB 11643, annex A.
        assert_eq!(identity_check("11010519491231002"), Some('X'));
        assert!(is_identity("11010519491231002X") && is_identity("440524188001010014"));
        assert!(!is_identity("110105194912310021") && !is_identity("11010519491331002X"));
        assert!(!is_identity("") && !is_identity("11010519491231002") && !is_identity("一二三四五六七八九十"));
    }

    #[test]
    fn a_credit_code_is_checked() {
        assert!(is_credit_code("91350100M000100Y43"));
        assert!(!is_credit_code("91350100M000100Y44") && !is_credit_code("91350100I000100Y43"));
        assert!(!is_credit_code("91350100M000100Y4") && !is_credit_code("信用代码信用代码"));
    }

    #[test]
    fn an_organisation_code_is_checked() {
        // The example of GB 11714, annex A, and one that ends in X.
        assert!(is_organisation_code("D2143569X") && is_organisation_code("D2143569-X"));
        assert!(is_organisation_code("34801880X") && !is_organisation_code("348018801"));
        assert!(
            !is_organisation_code("d2143569X")
                && !is_organisation_code("34801880")
                && !is_organisation_code("组织机构")
        );
    }

    #[test]
    fn every_letter_of_a_credit_code_counts_as_its_place_in_the_alphabet() {
        for (place, letter) in (0u32..).zip(CREDIT_ALPHABET) {
            assert_eq!(credit_value(*letter), Some(place));
        }
        assert!(b"IOSVZa-".iter().all(|letter| credit_value(*letter).is_none()));
    }

    #[test]
    fn a_customs_code_has_ten_characters_after_a_region() {
        assert!(is_customs_code("1101000001") && is_customs_code("3301961Q43"));
        assert!(!is_customs_code("A101000001") && !is_customs_code("110100000") && !is_customs_code("1101海关"));
    }

    #[test]
    fn a_bar_code_is_checked() {
        assert_eq!(barcode_check("400638133393"), Some('1'));
        assert_eq!(barcode_check("40063813339"), None);
    }
}
