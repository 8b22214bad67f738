//! SM2 signatures with SM3 (GB/T 32918.2, GM/T 0009): OpenSSL's curve arithmetic over a digest that binds the signer. And
//! SM2 encryption (GB/T 32918.4) of the keys of envelopes.
//!
//! What is signed is `SM3(Z ‖ message)`, where `Z` is the SM3 digest of the signer's identifier, the curve and the public key.
//! The identifier is `1234567812345678` unless both sides agree on another (GM/T 0009 section 10). OpenSSL 3.0 takes none by
//! default, so `Z` is computed here and OpenSSL signs the finished digest.
//!
//! `r ‖ s` is the form in documents (XML-DSig), DER that in certificates and in CMS.

use openssl::bn::{BigNum, BigNumContext, BigNumRef};
use openssl::ec::EcGroup;
use openssl::ecdsa::EcdsaSig;
use openssl::error::ErrorStack;
use openssl::hash::{Hasher, MessageDigest, hash};
use openssl::nid::Nid;
use openssl::pkey::{HasPublic, PKeyRef, Private, Public};
use openssl::pkey_ctx::PkeyCtx;

use zeroize::Zeroizing;

use super::der::{self, Fields};
use super::oid;

/// The identifier that signers use when nothing else is agreed.
pub const DEFAULT_IDENTIFIER: &[u8] = b"1234567812345678";

/// Bytes of a coordinate, and of each half of a signature.
const FIELD: usize = 32;
/// How an SM2 public key begins: `SEQUENCE { SEQUENCE { id-ecPublicKey, sm2 }, BIT STRING 0 bits unused, uncompressed … }`.
const SPKI_HEAD: [u8; 27] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x81, 0x1c, 0xcf,
    0x55, 0x01, 0x82, 0x2d, 0x03, 0x42, 0x00, 0x04,
];

/// The two coordinates of an SM2 public key, 64 bytes; `None` for any other kind of key.
pub fn public_point<T: HasPublic>(key: &PKeyRef<T>) -> Option<[u8; 2 * FIELD]> {
    let spki = key.public_key_to_der().ok()?;
    spki.strip_prefix(&SPKI_HEAD)?.try_into().ok()
}

/// Signs a message; the signature is `r ‖ s`, 64 bytes.
///
/// # Errors
/// The key is not one of SM2, or OpenSSL failed.
pub fn sign(key: &PKeyRef<Private>, message: &[u8]) -> Result<[u8; 2 * FIELD], ErrorStack> {
    raw(&sign_encoded(key, message)?).ok_or_else(ErrorStack::get)
}

/// Signs a message; the signature is in DER (GM/T 0009 7.3).
///
/// # Errors
/// As [`sign`].
pub fn sign_encoded(key: &PKeyRef<Private>, message: &[u8]) -> Result<Vec<u8>, ErrorStack> {
    let point = public_point(key).ok_or_else(ErrorStack::get)?;
    let digest = message_digest(&point, DEFAULT_IDENTIFIER, message)?;
    let mut context = PkeyCtx::new(key)?;
    context.sign_init()?;
    let mut encoded = Vec::new();
    context.sign_to_vec(&digest, &mut encoded)?;
    Ok(encoded)
}

/// Whether a signature, as `r ‖ s` or in DER, is the key's over the message.
pub fn verifies<T: HasPublic>(key: &PKeyRef<T>, message: &[u8], signature: &[u8]) -> bool {
    match <&[u8; 2 * FIELD]>::try_from(signature) {
        Ok(raw) => encoded(raw).is_some_and(|encoded| verifies_encoded(key, message, &encoded)),
        Err(_) => verifies_encoded(key, message, signature),
    }
}

/// Whether a signature in its one DER form is the key's over the message.
pub fn verifies_encoded<T: HasPublic>(key: &PKeyRef<T>, message: &[u8], signature: &[u8]) -> bool {
    let verdict = public_point(key).filter(|_| raw(signature).is_some()).map(|point| {
        let digest = message_digest(&point, DEFAULT_IDENTIFIER, message)?;
        let mut context = PkeyCtx::new(key)?;
        context.verify_init()?;
        context.verify(&digest, signature)
    });
    // OpenSSL says "no" in two ways: false, or an error for values out of range.
    matches!(verdict, Some(Ok(true)))
}

/// Whether a certificate or revocation list (RFC 5280 4.1, 5.1) bears the key's SM2 signature. OpenSSL 3.0 takes an empty
/// identifier there, which nobody else does.
pub(super) fn is_signed_by<T: HasPublic>(structure: &[u8], key: &PKeyRef<T>) -> bool {
    let parts = || -> Result<(&[u8], &[u8]), der::DerError> {
        let mut fields = Fields::only(structure, der::SEQUENCE)?.fields();
        let body = fields.expect(der::SEQUENCE)?.raw;
        let mut identifier = fields.expect(der::SEQUENCE)?.fields();
        let algorithm = identifier.expect(der::OID)?;
        // No octet of it can be another: there are no parameters, or NULL.
        let is_plain = identifier.optional(der::NULL)?.is_none_or(|null| null.content.is_empty());
        identifier.end()?;
        let signature = fields.expect(der::BIT_STRING)?.content;
        fields.end()?;
        let signature = signature.split_first().filter(|(unused, _)| **unused == 0).map(|(_, signature)| signature);
        let signature = signature.filter(|_| is_plain && algorithm.content == oid::SM2_WITH_SM3);
        Ok((body, signature.ok_or(der::DerError("signature"))?))
    };
    parts().is_ok_and(|(body, signature)| verifies_encoded(key, body, signature))
}

/// Encrypts a content key: `SEQUENCE { x, y, SM3 of the point and the key, ciphertext }` (GM/T 0009 7.2).
pub(super) fn encrypt(key: &PKeyRef<Public>, content_key: &[u8]) -> Result<Vec<u8>, ErrorStack> {
    let mut context = PkeyCtx::new(key)?;
    context.encrypt_init()?;
    let mut encrypted = Vec::new();
    context.encrypt_to_vec(content_key, &mut encrypted)?;
    Ok(encrypted)
}

/// Decrypts a content key of `len` bytes; `None` when it was not encrypted so for this key. What has another length than
/// such a ciphertext, which anyone can see, is not tried.
pub(super) fn decrypt(key: &PKeyRef<Private>, encrypted: &[u8], len: usize) -> Option<Zeroizing<Vec<u8>>> {
    if encrypted.len() > encrypted_len(len) {
        return None;
    }
    let mut context = PkeyCtx::new(key).ok()?;
    context.decrypt_init().ok()?;
    // OpenSSL is given more room than any ciphertext of this length can fill.
    let mut found = Zeroizing::new(vec![0u8; encrypted_len(len)]);
    let n = context.decrypt(encrypted, Some(&mut found)).ok()?;
    found.truncate(n);
    Some(found)
}

/// The most bytes that the ciphertext of a key of `len` bytes has: both coordinates with their highest bit set.
pub(super) fn encrypted_len(len: usize) -> usize {
    let coordinate = der::tlv(der::INTEGER, &[0; 33]);
    let octets = |len: usize| der::tlv(der::OCTET_STRING, &vec![0; len]);
    der::sequence(&[&coordinate, &coordinate, &octets(32), &octets(len)]).len()
}

/// `SM3(Z ‖ message)`.
fn message_digest(point: &[u8; 2 * FIELD], identifier: &[u8], message: &[u8]) -> Result<Vec<u8>, ErrorStack> {
    let mut hasher = Hasher::new(MessageDigest::sm3())?;
    hasher.update(&signer_digest(point, identifier)?)?;
    hasher.update(message)?;
    Ok(hasher.finish()?.to_vec())
}

/// `Z` (GB/T 32918.2 section 5.5): identifier length in bits, identifier, a, b, base point, public key.
fn signer_digest(point: &[u8; 2 * FIELD], identifier: &[u8]) -> Result<Vec<u8>, ErrorStack> {
    let group = EcGroup::from_curve_name(Nid::SM2)?;
    let mut context = BigNumContext::new()?;
    let (mut p, mut a, mut b) = (BigNum::new()?, BigNum::new()?, BigNum::new()?);
    group.components_gfp(&mut p, &mut a, &mut b, &mut context)?;
    let (mut x, mut y) = (BigNum::new()?, BigNum::new()?);
    let generator = group.generator_opt().ok_or_else(ErrorStack::get)?;
    generator.affine_coordinates(&group, &mut x, &mut y, &mut context)?;
    let bits = u16::try_from(identifier.len().saturating_mul(8)).unwrap_or(u16::MAX);
    let mut data = bits.to_be_bytes().to_vec();
    data.extend_from_slice(identifier);
    for number in [&a, &b, &x, &y] {
        data.extend_from_slice(&number.to_vec_padded(32)?);
    }
    data.extend_from_slice(point);
    Ok(hash(MessageDigest::sm3(), &data)?.to_vec())
}

/// `SEQUENCE { INTEGER r, INTEGER s }` as `r ‖ s`; `None` unless it is the one DER form of it.
fn raw(encoded: &[u8]) -> Option<[u8; 2 * FIELD]> {
    let signature = EcdsaSig::from_der(encoded).ok()?;
    let half = |number: &BigNumRef| number.to_vec_padded(32).ok();
    let mut both = half(signature.r())?;
    both.append(&mut half(signature.s())?);
    (signature.to_der().ok()? == encoded).then_some(())?;
    both.try_into().ok()
}

/// A signature `r ‖ s` as `SEQUENCE { INTEGER r, INTEGER s }`, the form in certificates (GM/T 0009 7.3).
pub fn encoded(raw: &[u8; 2 * FIELD]) -> Option<Vec<u8>> {
    let (r, s) = raw.split_at(FIELD);
    let (r, s) = (BigNum::from_slice(r).ok()?, BigNum::from_slice(s).ok()?);
    EcdsaSig::from_private_components(r, s).ok()?.to_der().ok()
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests hand files to other programs")]
#[path = "sm2_tests.rs"]
mod tests;
