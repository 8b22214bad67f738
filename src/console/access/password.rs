//! Passwords as argon2id hashes (RFC 9106) in the usual text form, `$argon2id$v=19$m=…,t=…,p=…$salt$hash`.

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::ground::random;
use crate::ground::secret::Secret;

/// What a guess costs. A hash carries its own, so it may be raised at any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Memory in KiB.
    pub memory: u32,
    /// Passes over it.
    pub passes: u32,
}

impl Default for Cost {
    /// OWASP's second recommendation: 19 MiB, two passes.
    fn default() -> Cost {
        Cost { memory: 19 * 1024, passes: 2 }
    }
}

/// The most that a stored hash may ask for, in KiB: the file is ours, but a slip must not stop the gateway.
const MOST_MEMORY: u32 = 1024 * 1024;
const MOST_PASSES: u32 = 100;

/// The hash of a password with a salt of its own.
pub(super) fn hash(password: &Secret<String>, cost: Cost) -> String {
    let mut salt = [0u8; 16];
    random::fill(&mut salt);
    let digest = digest(password, &salt, cost).unwrap_or_default();
    let (salt, digest) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(digest));
    format!("$argon2id$v=19$m={},t={},p=1${salt}${digest}", cost.memory, cost.passes)
}

/// A hash of no password: to verify one against it takes as long as against a true one. To make a true one would take that
/// time and memory at every start.
pub(super) fn decoy(cost: Cost) -> String {
    let (salt, digest) = (STANDARD_NO_PAD.encode([0; 16]), STANDARD_NO_PAD.encode([0; 32]));
    format!("$argon2id$v=19$m={},t={},p=1${salt}${digest}", cost.memory, cost.passes)
}

/// Whether the hash is of this password. Takes its time, whatever the answer.
pub(super) fn verify(hash: &str, password: &Secret<String>) -> bool {
    let Some((cost, salt, expected)) = parse(hash) else { return false };
    let Some(digest) = digest(password, &salt, cost) else { return false };
    digest.len() == expected.len() && openssl::memcmp::eq(&digest, &expected)
}

fn parse(hash: &str) -> Option<(Cost, Vec<u8>, Vec<u8>)> {
    let rest = hash.strip_prefix("$argon2id$v=19$")?;
    let mut parts = rest.split('$');
    let (cost, salt, digest) = (parts.next()?, parts.next()?, parts.next()?);
    let mut numbers = cost.split(',');
    let mut number = |name: &str| numbers.next()?.strip_prefix(name)?.parse::<u32>().ok();
    let (memory, passes, lanes) = (number("m=")?, number("t=")?, number("p=")?);
    let sane = memory <= MOST_MEMORY && passes <= MOST_PASSES && lanes == 1 && parts.next().is_none();
    let decoded = (STANDARD_NO_PAD.decode(salt).ok()?, STANDARD_NO_PAD.decode(digest).ok()?);
    sane.then_some((Cost { memory, passes }, decoded.0, decoded.1))
}

fn digest(password: &Secret<String>, salt: &[u8], cost: Cost) -> Option<Vec<u8>> {
    let params = Params::new(cost.memory, cost.passes, 1, Some(32)).ok()?;
    let mut digest = vec![0u8; 32];
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon.hash_password_into(password.expose().as_bytes(), salt, &mut digest).ok()?;
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: Cost = Cost { memory: 64, passes: 1 };

    #[test]
    fn a_hash_is_of_one_password_and_no_two_hashes_are_alike() {
        let password = Secret::new("correct horse battery".to_owned());
        let first = hash(&password, CHEAP);
        assert!(first.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{first}");
        assert_ne!(first, hash(&password, CHEAP));
        assert!(verify(&first, &password));
        assert!(!verify(&first, &Secret::new("correct horse batterz".to_owned())));
    }

    #[test]
    fn a_decoy_asks_for_the_whole_cost_and_verifies_nothing() {
        let (cost, _, digest) = parse(&decoy(CHEAP)).expect("a hash");
        assert_eq!((cost, digest.len()), (CHEAP, 32));
        for password in ["", "password", "0000000000000000"] {
            assert!(!verify(&decoy(CHEAP), &Secret::new(password.to_owned())));
        }
    }

    #[test]
    fn a_damaged_hash_never_verifies() {
        let password = Secret::new("password".to_owned());
        let own = hash(&password, CHEAP);
        let damaged = [
            "",
            "$argon2id$",
            "$argon2i$v=19$m=64,t=1,p=1$AAAA$AAAA",
            "$argon2id$v=19$m=9999999,t=1,p=1$c29tZXNhbHQ$AAAA",
        ];
        assert!(damaged.iter().all(|hash| !verify(hash, &password)));
        let cut = own.get(..own.len() - 2).expect("longer");
        assert!(!verify(cut, &password));
    }
}
