//! The only source of randomness: OpenSSL's generator.

use std::fmt::Write as _;

/// Fills `buffer` with cryptographically strong bytes.
pub fn fill(buffer: &mut [u8]) {
    #[expect(clippy::disallowed_methods, reason = "this is the replacement that the lint names")]
    openssl::rand::rand_bytes(buffer).expect("the operating system has a random generator");
}

/// `bytes` random bytes as lower-case hex.
pub fn hex(bytes: usize) -> String {
    let mut buffer = vec![0u8; bytes];
    fill(&mut buffer);
    let mut text = String::with_capacity(bytes.saturating_mul(2));
    for byte in buffer {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// A number below `bound` (0 when `bound` is 0); good enough for jitter, not for keys.
pub fn below(bound: u64) -> u64 {
    let mut buffer = [0u8; 8];
    fill(&mut buffer);
    u64::from_le_bytes(buffer).checked_rem(bound).unwrap_or(0)
}
