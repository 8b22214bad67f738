//! The only source of randomness: OpenSSL's generator.

use std::cell::RefCell;

use data_encoding::HEXLOWER;

/// Fills `buffer` with cryptographically strong bytes.
pub fn fill(buffer: &mut [u8]) {
    #[expect(clippy::disallowed_methods, reason = "this is the replacement that the lint names")]
    openssl::rand::rand_bytes(buffer).expect("the operating system has a random generator");
}

thread_local! {
    static AHEAD: RefCell<Ahead> = const { RefCell::new(Ahead { bytes: [0; AHEAD_LEN], used: AHEAD_LEN }) };
}

/// Bytes that a thread takes from the generator at a time.
const AHEAD_LEN: usize = 512;

/// Bytes of the generator that nobody has got yet, from `used` on.
struct Ahead {
    bytes: [u8; AHEAD_LEN],
    used: usize,
}

impl Ahead {
    fn take(&mut self, buffer: &mut [u8]) {
        if self.bytes.len().saturating_sub(self.used) < buffer.len() {
            fill(&mut self.bytes);
            self.used = 0;
        }
        let end = self.used.saturating_add(buffer.len());
        if let Some(fresh) = self.bytes.get_mut(self.used..end) {
            buffer.copy_from_slice(fresh);
            fresh.fill(0);
        }
        self.used = end;
    }
}

/// As [`fill`], for what guards nothing: identifiers, delimiters, jitter. Nobody can foretell it either, but a thread takes it from
/// the generator some of it ahead: a call of OpenSSL's costs more than the few bytes that it is asked for, for which it
/// looks each time whether the process has forked.
pub fn noise(buffer: &mut [u8]) {
    if buffer.len() > AHEAD_LEN {
        return fill(buffer);
    }
    AHEAD.with_borrow_mut(|ahead| ahead.take(buffer));
}

/// `bytes` random bytes as lower-case hex.
pub fn hex(bytes: usize) -> String {
    let mut buffer = vec![0u8; bytes];
    fill(&mut buffer);
    HEXLOWER.encode(&buffer)
}

/// `bytes` bytes of [`noise`] as lower-case hex.
pub fn noise_in_hex(bytes: usize) -> String {
    let mut buffer = vec![0u8; bytes];
    noise(&mut buffer);
    HEXLOWER.encode(&buffer)
}

/// A number below `bound` (0 when `bound` is 0); good enough for jitter, not for keys.
pub fn below(bound: u64) -> u64 {
    let mut buffer = [0u8; 8];
    noise(&mut buffer);
    u64::from_le_bytes(buffer).checked_rem(bound).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_noise_comes_twice_whatever_is_asked_for_and_by_whom() {
        let ask = || {
            let asked = (0..2000usize).map(|turn| {
                let mut buffer = vec![0u8; 16 + turn % 600];
                noise(&mut buffer);
                buffer.windows(16).step_by(16).map(<[u8]>::to_vec).collect::<Vec<_>>()
            });
            asked.flatten().collect::<Vec<Vec<u8>>>()
        };
        let all: Vec<Vec<u8>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        assert!(all.iter().all(|bytes| bytes.iter().any(|byte| *byte != 0)), "none was given before");
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    }
}
