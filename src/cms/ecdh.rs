//! Ephemeral-static elliptic curve Diffie-Hellman (RFC 5753 3.1): the key that wraps a content key.
//!
//! The sender makes a key pair for one message; both sides derive the same secret from one private and the other public
//! key, the X9.63 key derivation (SEC 1 3.6.1) makes of it the key of an AES key wrap (RFC 3394).

use openssl::aes::{AesKey, unwrap_key, wrap_key};
use openssl::bn::BigNumContext;
use openssl::ec::{EcGroup, EcKey, EcPoint, PointConversionForm};
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::{PKey, PKeyRef, Private, Public};
use openssl::pkey_ctx::PkeyCtx;
use zeroize::Zeroizing;

use super::key_transport::KeyWrap;
use super::{DigestAlgorithm, Hasher, KeyKind, der, oid};

/// How a wrapping key is derived; both sides must agree on every bit of it.
pub(super) struct Derivation<'a> {
    /// Digest of the key derivation.
    pub(super) digest: DigestAlgorithm,
    /// What the derived key wraps with.
    pub(super) wrap: KeyWrap,
    /// AlgorithmIdentifier of the key wrap, as it stands in the message.
    pub(super) key_info: &'a [u8],
    /// `ukm` of the message.
    pub(super) user_keying_material: Option<&'a [u8]>,
}

/// A content key under an agreed key.
pub(super) struct Agreed {
    /// The sender's public key of this message, an uncompressed point.
    pub(super) point: Vec<u8>,
    /// The wrapped content key.
    pub(super) wrapped: Vec<u8>,
}

/// Wraps `content_key` for the holder of `recipient` with a key pair of this message alone.
pub(super) fn seal(
    recipient: &PKeyRef<Public>,
    derivation: &Derivation<'_>,
    content_key: &[u8],
) -> Result<Agreed, ErrorStack> {
    let theirs = recipient.ec_key()?;
    let ephemeral = EcKey::generate(theirs.group())?;
    let point = {
        let mut numbers = BigNumContext::new()?;
        ephemeral.public_key().to_bytes(ephemeral.group(), PointConversionForm::UNCOMPRESSED, &mut numbers)?
    };
    let key = wrapping_key(&*PKey::from_ec_key(ephemeral)?, recipient, derivation)?;
    let key = AesKey::new_encrypt(&key).map_err(|_| ErrorStack::get())?;
    let mut wrapped = vec![0u8; content_key.len().saturating_add(8)];
    let n = wrap_key(&key, None, &mut wrapped, content_key).map_err(|_| ErrorStack::get())?;
    wrapped.truncate(n);
    Ok(Agreed { point, wrapped })
}

/// Unwraps a content key that was wrapped for `ours`; `None` when it was not, or when `point` is none of the curve.
pub(super) fn open(
    ours: &PKeyRef<Private>,
    kind: KeyKind,
    point: &[u8],
    derivation: &Derivation<'_>,
    wrapped: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    // A multiple of eight bytes, at least three blocks (RFC 3394 2.2.2); OpenSSL would abort on other lengths.
    if !(24..=64).contains(&wrapped.len()) || !wrapped.len().is_multiple_of(8) {
        return None;
    }
    let theirs = public_key(kind, point).ok()?;
    let key = wrapping_key(ours, &theirs, derivation).ok()?;
    let key = AesKey::new_decrypt(&key).ok()?;
    let mut content_key = Zeroizing::new(vec![0u8; wrapped.len().saturating_sub(8)]);
    let n = unwrap_key(&key, None, &mut content_key, wrapped).ok()?;
    content_key.truncate(n);
    Some(content_key)
}

/// Bytes of an uncompressed point of this curve.
pub(super) fn point_len(kind: KeyKind) -> usize {
    if kind == KeyKind::EcP384 { 97 } else { 65 }
}

/// Content octets of the curve's object identifier.
pub(super) fn curve_oid(kind: KeyKind) -> &'static [u8] {
    if kind == KeyKind::EcP384 { oid::SECP384R1 } else { oid::SECP256R1 }
}

/// The public key at this point; OpenSSL refuses points that are not on the curve, and the one at infinity.
fn public_key(kind: KeyKind, point: &[u8]) -> Result<PKey<Public>, ErrorStack> {
    let curve = if kind == KeyKind::EcP384 { Nid::SECP384R1 } else { Nid::X9_62_PRIME256V1 };
    let group = EcGroup::from_curve_name(curve)?;
    let mut numbers = BigNumContext::new()?;
    let point = EcPoint::from_bytes(&group, point, &mut numbers)?;
    let key = EcKey::from_public_key(&group, &point)?;
    key.check_key()?;
    PKey::from_ec_key(key)
}

fn wrapping_key(
    ours: &PKeyRef<Private>,
    theirs: &PKeyRef<Public>,
    derivation: &Derivation<'_>,
) -> Result<Zeroizing<Vec<u8>>, ErrorStack> {
    let mut context = PkeyCtx::new(ours)?;
    context.derive_init()?;
    context.derive_set_peer(theirs)?;
    let mut secret = Zeroizing::new(Vec::new());
    context.derive_to_vec(&mut secret)?;
    Ok(derive(&secret, derivation))
}

/// X9.63 key derivation: as many digests of secret, counter and shared info as the key is long.
fn derive(secret: &[u8], derivation: &Derivation<'_>) -> Zeroizing<Vec<u8>> {
    let shared_info = shared_info(derivation);
    let len = derivation.wrap.key_len();
    let mut key = Zeroizing::new(Vec::with_capacity(len.saturating_add(64)));
    for counter in 1u32.. {
        if key.len() >= len {
            break;
        }
        let mut hasher = Hasher::new(derivation.digest);
        hasher.update(secret);
        hasher.update(&counter.to_be_bytes());
        hasher.update(&shared_info);
        key.extend(hasher.finish());
    }
    key.truncate(len);
    key
}

/// ECC-CMS-SharedInfo (RFC 5753 7.2).
fn shared_info(derivation: &Derivation<'_>) -> Vec<u8> {
    let bits = u32::try_from(derivation.wrap.key_len().saturating_mul(8)).unwrap_or(0);
    let material = derivation.user_keying_material.map(|ukm| explicit_octets(0, ukm)).unwrap_or_default();
    der::sequence(&[derivation.key_info, &material, &explicit_octets(2, &bits.to_be_bytes())])
}

fn explicit_octets(number: u8, octets: &[u8]) -> Vec<u8> {
    der::tlv(der::context_constructed(number), &der::tlv(der::OCTET_STRING, octets))
}

#[cfg(test)]
mod tests {
    use super::super::specimens::{ALICE, EVE_P256, FRANK_P384};
    use super::*;

    fn derivation(key_info: &[u8]) -> Derivation<'_> {
        let (digest, wrap) = (DigestAlgorithm::Sha256, KeyWrap::Aes256);
        Derivation { digest, wrap, key_info, user_keying_material: Some(b"ukm") }
    }

    #[test]
    fn the_holder_of_the_key_unwraps_and_nobody_else() {
        let info = KeyWrap::Aes256.identifier();
        for who in [&*EVE_P256, &*FRANK_P384] {
            let (kind, public) = who.certificate.key().unwrap();
            let sealed = seal(public, &derivation(&info), &[7; 32]).unwrap();
            assert_eq!(sealed.point.len(), point_len(kind));
            let open = |derivation: &Derivation<'_>| {
                open(who.key.pkey(), kind, &sealed.point, derivation, &sealed.wrapped).map(|key| key.to_vec())
            };
            assert_eq!(open(&derivation(&info)), Some(vec![7; 32]));
            assert_eq!(open(&Derivation { user_keying_material: None, ..derivation(&info) }), None);
            assert_eq!(open(&Derivation { digest: DigestAlgorithm::Sha384, ..derivation(&info) }), None);
        }
        let (kind, public) = EVE_P256.certificate.key().unwrap();
        let sealed = seal(public, &derivation(&info), &[7; 32]).unwrap();
        let others = super::super::specimens::elliptic(Nid::X9_62_PRIME256V1);
        assert!(super::open(&others, kind, &sealed.point, &derivation(&info), &sealed.wrapped).is_none());
        assert!(super::open(ALICE.key.pkey(), kind, &sealed.point, &derivation(&info), &sealed.wrapped).is_none());
    }

    #[test]
    fn points_off_the_curve_and_odd_lengths_give_no_key() {
        let info = KeyWrap::Aes256.identifier();
        let (kind, public) = EVE_P256.certificate.key().unwrap();
        let sealed = seal(public, &derivation(&info), &[7; 32]).unwrap();
        let open = |point: &[u8], wrapped: &[u8]| {
            super::open(EVE_P256.key.pkey(), kind, point, &derivation(&info), wrapped).is_some()
        };
        assert!(open(&sealed.point, &sealed.wrapped));
        let mut off = sealed.point.clone();
        off[40] ^= 1;
        for point in [&off[..], &[0], &[], &sealed.point[..64], &[4; 65]] {
            assert!(!open(point, &sealed.wrapped), "{point:?}");
        }
        for len in [0, 8, 16, 23, 39, 4096] {
            assert!(!open(&sealed.point, &vec![0; len]), "{len}");
        }
    }
}
