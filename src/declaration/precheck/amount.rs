//! Exact decimals of the schema's N19,5: a whole number of hundred-thousandths.
//!
//! A product of two has up to 38 digits, which is what `i128` holds and more than the 28 digits of the decimal crates
//! that round silently.

use std::fmt;

use super::super::schema::value::{decimal_parts, trim};

/// Digits behind the point.
const SCALE: usize = 5;
/// One, in hundred-thousandths.
const ONE: i128 = 100_000;

/// An amount, a quantity or a weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Amount(i128);

impl Amount {
    pub(super) const ZERO: Amount = Amount(0);
    /// A cent.
    pub(super) const CENT: Amount = Amount(ONE / 100);
    /// One yuan, one piece, one kilogram.
    pub(super) const UNIT: Amount = Amount(ONE);

    /// A whole number.
    pub(super) const fn whole(number: i64) -> Amount {
        // 64 bits times 10^5 fit 128 bits.
        Amount((number as i128).saturating_mul(ONE))
    }

    /// Reads a value that the schema accepts as N19,5; `None` for any other.
    pub(super) fn parse(value: &str) -> Option<Amount> {
        let (negative, whole, fraction) = decimal_parts(trim(value))?;
        let fraction = fraction.trim_end_matches('0');
        let whole = whole.trim_start_matches('0');
        if fraction.len() > SCALE || whole.len() > 19 {
            return None;
        }
        // At most 24 digits: 19 before the point and five behind it.
        let digits = |number: i128, text: &str| {
            text.bytes()
                .fold(number, |number, b| number.saturating_mul(10).saturating_add(i128::from(b.wrapping_sub(b'0'))))
        };
        let padding = (fraction.len()..SCALE).fold(1i128, |ten, _| ten.saturating_mul(10));
        let amount = digits(digits(0, whole), fraction).saturating_mul(padding);
        Some(Amount(if negative { amount.checked_neg()? } else { amount }))
    }

    pub(super) fn plus(self, other: Amount) -> Option<Amount> {
        self.0.checked_add(other.0).map(Amount)
    }

    pub(super) fn minus(self, other: Amount) -> Option<Amount> {
        self.0.checked_sub(other.0).map(Amount)
    }

    /// How far a product is from this amount, rounded up to the next hundred-thousandth.
    pub(super) fn off_product(self, one: Amount, other: Amount) -> Option<Amount> {
        let product = one.0.checked_mul(other.0)?;
        let off = self.0.checked_mul(ONE)?.checked_sub(product)?.checked_abs()?;
        let up = i128::from(off % ONE != 0);
        Some(Amount(off.checked_div(ONE)?.checked_add(up)?))
    }

    /// How far a product with so many may be away because the other factor was rounded to its last digit, rounded up.
    pub(super) fn of_last_digits(self) -> Amount {
        let twice = ONE.saturating_mul(2);
        Amount(self.0.saturating_abs().saturating_add(twice.saturating_sub(1)).checked_div(twice).unwrap_or_default())
    }

    /// How far apart two amounts are.
    pub(super) fn distance(self, other: Amount) -> Option<Amount> {
        self.0.checked_sub(other.0)?.checked_abs().map(Amount)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, size) = (if self.0 < 0 { "-" } else { "" }, self.0.unsigned_abs());
        let one = ONE.unsigned_abs();
        let (whole, part) = (size / one, format!("{:0>SCALE$}", size % one));
        let part = part.trim_end_matches('0');
        if part.is_empty() { write!(f, "{sign}{whole}") } else { write!(f, "{sign}{whole}.{part}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(text: &str) -> Amount {
        Amount::parse(text).expect("a decimal")
    }

    #[test]
    fn amounts_are_exact() {
        assert_eq!(amount("0.1").plus(amount("0.2")), Some(amount("0.3")));
        assert_eq!(amount("-12.50").to_string(), "-12.5");
        assert_eq!(amount("+007").to_string(), "7");
        assert_eq!(
            (amount("1000000").of_last_digits(), amount("3").of_last_digits()),
            (amount("5"), amount("0.00002"))
        );
        assert_eq!(amount("3").off_product(amount("0.33333"), amount("9")), Some(amount("0.00003")));
        assert_eq!((Amount::parse("1.123456"), Amount::parse("1e3"), Amount::parse("")), (None, None, None));
    }

    #[test]
    fn the_largest_values_of_the_schema_multiply_without_overflow() {
        let largest = amount("99999999999999.99999");
        assert!(largest.off_product(largest, largest).is_some());
    }
}
