//! One-time codes (RFC 6238): SHA-1, 30 seconds, six digits, as every authenticator knows them.

use jiff::Timestamp;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;

use crate::ground::random;

/// Seconds of a step.
const STEP: i64 = 30;
/// Steps that clocks may be apart.
const APART: u64 = 1;

/// What a person's authenticator needs.
#[derive(Debug)]
pub struct Enrolment {
    /// In Base32, to be typed.
    pub secret: String,
    /// To be scanned.
    pub uri: String,
}

impl Enrolment {
    pub(super) fn new(user: &str, secret: &str) -> Enrolment {
        let secret = base32(&bytes(secret));
        let uri = format!("otpauth://totp/dxgate:{user}?secret={secret}&issuer=dxgate");
        Enrolment { secret, uri }
    }
}

/// 160 random bits in hex.
pub(super) fn new_secret() -> String {
    random::hex(20)
}

/// The time step of a code that is good now, or was a moment ago.
pub(super) fn step_of(secret: &str, code: &str, now: Timestamp) -> Option<u64> {
    let given: Vec<u8> = code.bytes().filter(|byte| *byte != b' ').collect();
    let current = u64::try_from(now.as_second().div_euclid(STEP)).ok()?;
    let mut steps = (current.saturating_sub(APART)..=current.saturating_add(APART)).rev();
    let key = bytes(secret);
    steps.find(|step| code_at(&key, *step).is_some_and(|code| equal(code.as_bytes(), &given)))
}

fn equal(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && openssl::memcmp::eq(a, b)
}

/// RFC 4226 5.3.
fn code_at(key: &[u8], step: u64) -> Option<String> {
    let key = PKey::hmac(key).ok()?;
    let mut signer = Signer::new(MessageDigest::sha1(), &key).ok()?;
    signer.update(&step.to_be_bytes()).ok()?;
    let mac = signer.sign_to_vec().ok()?;
    let offset = usize::from(mac.last()? & 15);
    let part = mac.get(offset..offset.checked_add(4)?)?.first_chunk::<4>()?;
    let number = u32::from_be_bytes(*part) & 0x7fff_ffff;
    Some(format!("{:06}", number % 1_000_000))
}

fn bytes(secret: &str) -> Vec<u8> {
    let digits = secret.as_bytes().chunks_exact(2).filter_map(|pair| std::str::from_utf8(pair).ok());
    digits.filter_map(|pair| u8::from_str_radix(pair, 16).ok()).collect()
}

/// RFC 4648 6, without padding.
fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let value = |chunk: &[u8]| (0..5).fold(0usize, |value, bit| value * 2 + usize::from(*chunk.get(bit).unwrap_or(&0)));
    bits.chunks(5).filter_map(|chunk| ALPHABET.get(value(chunk))).map(|byte| char::from(*byte)).collect()
}

/// The code that an authenticator would show.
#[cfg(test)]
pub(super) fn code_now(secret: &str, now: Timestamp) -> String {
    let step = u64::try_from(now.as_second().div_euclid(STEP)).unwrap_or(0);
    code_at(&bytes(secret), step).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    /// RFC 6238 appendix B, the last six digits of its SHA-1 column.
    #[test]
    fn codes_are_those_of_the_standard() {
        let key = b"12345678901234567890";
        for (second, code) in
            [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924"), (2_000_000_000, "279037")]
        {
            assert_eq!(code_at(key, second / 30).as_deref(), Some(code));
            let now = Timestamp::from_second(i64::try_from(second).expect("small")).expect("in range");
            assert_eq!(step_of(&HEXLOWER.encode(key), code, now), Some(second / 30));
            let late = Timestamp::from_second(i64::try_from(second).expect("small") + 90).expect("in range");
            assert_eq!(step_of(&HEXLOWER.encode(key), code, late), None, "a code does not last");
        }
        assert_eq!(base32(key), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    }
}
