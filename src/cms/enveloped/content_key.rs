//! Recovering the content key with our private key, so that nobody learns why it failed.

use openssl::error::ErrorStack;
use openssl::pkey_ctx::PkeyCtx;
use openssl::rsa::Padding;
use zeroize::Zeroizing;

use super::recipients::{Agreement, Sealed};
use crate::cms::ecdh::{self, Derivation};
use crate::cms::{DecryptionKey, DigestAlgorithm, KeyTransport, sm2};
use crate::ground::random;

/// The content key, or a random one of the right length when the encrypted one is not well formed (RFC 3218 2.3.2).
/// `transport` fits key and `sealed`.
pub(super) fn content_key(
    key: &DecryptionKey,
    transport: KeyTransport,
    sealed: &Sealed,
    len: usize,
) -> Zeroizing<Vec<u8>> {
    let mut content_key = Zeroizing::new(vec![0u8; len]);
    random::fill(&mut content_key);
    let found = match (sealed, transport.oaep_digest()) {
        (Sealed::Transported { encrypted, .. }, _) if transport == KeyTransport::Sm2 => {
            sm2::decrypt(key.key.pkey(), encrypted, len)
        }
        (Sealed::Transported { encrypted, .. }, None) => {
            // An error here means a ciphertext that is not below the modulus, which anyone can see.
            if let Ok(block) = rsa_decrypt(key, encrypted, None) {
                take_pkcs1_key(&block, &mut content_key);
            }
            None
        }
        (Sealed::Transported { encrypted, mgf }, Some(hash)) => {
            rsa_decrypt(key, encrypted, Some(Oaep { hash, mgf: mgf.unwrap_or(hash) })).ok()
        }
        (Sealed::Agreed(agreement), _) => unwrap(key, transport, agreement),
    };
    match found {
        Some(found) if found.len() == len => found,
        _ => content_key,
    }
}

/// One private operation: ECDH, then the key wrap, whose integrity check fails for every wrong key alike.
fn unwrap(key: &DecryptionKey, transport: KeyTransport, agreement: &Agreement) -> Option<Zeroizing<Vec<u8>>> {
    let derivation = Derivation {
        digest: transport.kdf_digest()?,
        wrap: agreement.wrap,
        key_info: &agreement.key_info,
        user_keying_material: agreement.user_keying_material.as_deref(),
    };
    ecdh::open(key.key.pkey(), key.key.kind(), &agreement.point, &derivation, &agreement.wrapped)
}

/// The digests of OAEP, as the message names them.
struct Oaep {
    hash: DigestAlgorithm,
    mgf: DigestAlgorithm,
}

/// One private operation: bare RSA, or OAEP.
fn rsa_decrypt(key: &DecryptionKey, encrypted: &[u8], oaep: Option<Oaep>) -> Result<Zeroizing<Vec<u8>>, ErrorStack> {
    // Sized by the key, so that the length of the result tells nothing.
    let mut found = Zeroizing::new(vec![0u8; key.key.pkey().size()]);
    let n = match oaep {
        None => key.key.bare_decrypt(encrypted, &mut found)?,
        Some(Oaep { hash, mgf }) => {
            let mut context = PkeyCtx::new(key.key.pkey())?;
            context.decrypt_init()?;
            context.set_rsa_padding(Padding::PKCS1_OAEP)?;
            context.set_rsa_oaep_md(hash.md())?;
            context.set_rsa_mgf1_md(mgf.md())?;
            context.decrypt(encrypted, Some(&mut found))?
        }
    };
    found.truncate(n);
    Ok(found)
}

/// Replaces `content_key` by the last bytes of `block` if that is `00 02 nonzero… 00 key` (RFC 8017 7.2.2) with a key
/// of this very length. Neither branches nor addresses depend on the block's bytes.
fn take_pkcs1_key(block: &[u8], content_key: &mut [u8]) {
    let Some((padding, found)) =
        block.len().checked_sub(content_key.len()).filter(|n| *n >= 11).and_then(|n| block.split_at_checked(n))
    else {
        return;
    };
    let last = padding.len().saturating_sub(1);
    let mut wrong = 0u8;
    for (place, byte) in padding.iter().enumerate() {
        wrong |= match place {
            0 => *byte,
            1 => *byte ^ 2,
            _ if place == last => *byte,
            _ => mask_if_zero(*byte),
        };
    }
    let keep = std::hint::black_box(mask_if_zero(wrong));
    for (key, found) in content_key.iter_mut().zip(found) {
        *key = (*found & keep) | (*key & !keep);
    }
}

/// 0xff for 0, 0x00 for anything else, without a branch.
fn mask_if_zero(byte: u8) -> u8 {
    let [_, high] = u16::from(byte).wrapping_sub(1).to_le_bytes();
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_well_formed_block_gives_its_key_and_any_other_leaves_the_random_one() {
        let mut good = vec![0u8, 2];
        good.extend([0x55; 256 - 2 - 1 - 32]);
        good.push(0);
        good.extend([9u8; 32]);
        let mut key = [1u8; 32];
        take_pkcs1_key(&good, &mut key);
        assert_eq!(key, [9; 32]);
        for place in [0, 1, 2, 100, 256 - 33] {
            let mut bad = good.clone();
            bad[place] = if place < 2 || place == 256 - 33 { 7 } else { 0 };
            let mut key = [1u8; 32];
            take_pkcs1_key(&bad, &mut key);
            assert_eq!(key, [1; 32], "byte {place}");
        }
        let mut shorter = [1u8; 16];
        take_pkcs1_key(&good, &mut shorter);
        assert_eq!(shorter, [1; 16], "a key of another length");
    }
}
