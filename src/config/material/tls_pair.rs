//! What TLS 1.2 and 1.3 can show of our own. They are spoken by rustls, which wants more of a certificate than OpenSSL, by
//! which the files are read: X.509 v3 without a critical extension that it does not know (RFC 5280 4.1 and 4.2), and the
//! public key of a kind that it signs with, in its usual form (RFC 3279 2.3.1, RFC 5480 2.1.1 and 2.2, RFC 8410 4).
//!
//! This layer does not know rustls. It is held to rustls' own verdict by
//! `a_client_certificate_is_taken_from_a_file_exactly_if_a_client_can_show_it`.

use std::collections::BTreeSet;
use std::path::Path;

use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, PKeyRef, Public};
use openssl::sha::sha256;

use crate::bilingual;
use crate::cms::Certificate;
use crate::cms::der::{self, DerError, Fields, Tlv};
use crate::ground::text::Bilingual;

/// Why no handshake of TLS 1.2 or 1.3 can show a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unfit {
    /// Its RSA key has so many bits.
    Bits(u32),
    /// Its key is of another kind, or on another curve.
    Kind(&'static str),
    /// It is of X.509 v1 or v2.
    Version,
    /// A critical extension is not known.
    Extension,
    /// It, or its key, is not written as RFC 5280 has it.
    Form,
}

impl Unfit {
    /// What is wrong with the certificate of `file`, and what to do.
    pub(super) fn text(self, file: &Path) -> Bilingual {
        let file = file.display();
        match self {
            Unfit::Bits(bits) => bilingual!(
                "证书 {file} 的 RSA 密钥为 {bits} 位，TLS 1.2 和 1.3 只接受 2048 至 8192 位：无法用它连接该伙伴。请换用新的证书和私钥，并把证书交给对方。",
                "the RSA key of the certificate {file} has {bits} bits, and TLS 1.2 and 1.3 take 2048 to 8192: the partner cannot be connected to with it. Use another certificate and key, and hand the certificate to the partner."
            ),
            Unfit::Kind(algorithm) => bilingual!(
                "证书 {file} 的密钥类型为 {algorithm}，TLS 1.2 和 1.3 在此只用 RSA、P-256、P-384、P-521 曲线的 EC 和 Ed25519：无法用它连接该伙伴。请换用新的证书和私钥，并把证书交给对方。",
                "the key of the certificate {file} is {algorithm}, and TLS 1.2 and 1.3 take RSA, EC on P-256, P-384 or P-521, and Ed25519 here: the partner cannot be connected to with it. Use another certificate and key, and hand the certificate to the partner."
            ),
            Unfit::Version => bilingual!(
                "证书 {file} 不是 X.509 v3，TLS 1.2 和 1.3 在此无法出示：无法用它连接该伙伴。请用同一密钥签发 v3 证书（例如 openssl req -x509 -key 私钥），并交给对方。",
                "the certificate {file} is not of X.509 v3, and TLS 1.2 and 1.3 cannot show it here: the partner cannot be connected to with it. Have one of v3 made for the key (openssl req -x509 -key KEY, for example), and hand it to the partner."
            ),
            Unfit::Extension => bilingual!(
                "证书 {file} 含有未知的关键（critical）扩展，TLS 1.2 和 1.3 在此无法出示：无法用它连接该伙伴。请让签发者签发不含该扩展的证书，并交给对方。",
                "the certificate {file} has a critical extension that is not known here, and TLS 1.2 and 1.3 cannot show it: the partner cannot be connected to with it. Have its issuer make one without that extension, and hand it to the partner."
            ),
            Unfit::Form => bilingual!(
                "证书 {file} 或其中的公钥编码不合 RFC 5280，TLS 1.2 和 1.3 在此无法出示：无法用它连接该伙伴。请重新签发证书，并交给对方。",
                "the certificate {file}, or the public key in it, is not written as RFC 5280 has it, and TLS 1.2 and 1.3 cannot show it here: the partner cannot be connected to with it. Have it made anew, and hand it to the partner."
            ),
        }
    }
}

/// Whether a client of TLS 1.2 and 1.3 can show `own`, and sign with its key.
pub(super) fn judge(own: &Certificate) -> Result<(), Unfit> {
    key(own)?;
    form(own.der()).unwrap_or(Err(Unfit::Form))
}

fn key(own: &Certificate) -> Result<(), Unfit> {
    let (algorithm, bits) = (own.key_algorithm(), own.key_bits());
    if algorithm == "RSA" && !RSA_BITS.contains(&bits) {
        return Err(Unfit::Bits(bits));
    }
    let usual = own.x509().public_key().and_then(|key| usual_form(&key));
    match usual {
        Ok(None) => Err(Unfit::Kind(algorithm)),
        Ok(Some(usual)) if sha256(&usual) == own.public_key_digest() => Ok(()),
        _ => Err(Unfit::Form),
    }
}

/// The SubjectPublicKeyInfo of a key as rustls writes it, which compares it byte for byte; `None` for a kind that does not
/// sign there.
fn usual_form(key: &PKeyRef<Public>) -> Result<Option<Vec<u8>>, ErrorStack> {
    match key.id() {
        Id::RSA => key.rsa()?.public_key_to_der().map(Some),
        Id::EC => {
            let key = key.ec_key()?;
            let Some(curve) = key.group().curve_name().filter(|curve| CURVES.contains(curve)) else { return Ok(None) };
            // By its name and with a whole point, however they are written in the certificate.
            let group = EcGroup::from_curve_name(curve)?;
            let key = EcKey::from_public_key(&group, key.public_key())?;
            PKey::from_ec_key(key)?.public_key_to_der().map(Some)
        }
        Id::ED25519 => key.public_key_to_der().map(Some),
        _ => Ok(None),
    }
}

/// The form of a certificate (RFC 5280 4.1). An error: it has another one.
fn form(certificate: &[u8]) -> Result<Result<(), Unfit>, DerError> {
    let mut parts = Fields::only(certificate, der::SEQUENCE)?.fields();
    let mut fields = parts.expect(der::SEQUENCE)?.fields();
    let signed_by = parts.expect(der::SEQUENCE)?;
    let version = fields.optional(der::context_constructed(0))?;
    let version = version.map(|version| Fields::only(version.content, der::INTEGER)?.small_integer()).transpose()?;
    if version != Some(VERSION_3) {
        return Ok(Err(Unfit::Version));
    }
    fields.expect(der::INTEGER)?;
    if fields.expect(der::SEQUENCE)? != signed_by {
        return Err(DerError("two signature algorithms"));
    }
    // Issuer, validity, subject and public key.
    for _ in 0..4 {
        fields.expect(der::SEQUENCE)?;
    }
    let extensions = fields.optional(der::context_constructed(3))?;
    // The unique identifiers of v2 are not read.
    fields.end()?;
    let Some(extensions) = extensions else { return Ok(Ok(())) };
    let mut extensions = Fields::only(extensions.content, der::SEQUENCE)?.fields();
    let mut seen = BTreeSet::new();
    while !extensions.is_empty() {
        if is_in_the_way(&extensions.expect(der::SEQUENCE)?, &mut seen)? {
            return Ok(Err(Unfit::Extension));
        }
    }
    Ok(Ok(()))
}

/// Whether an extension must not be ignored and is not known (RFC 5280 4.2). Those that are known are there once.
fn is_in_the_way<'c>(extension: &Tlv<'c>, seen: &mut BTreeSet<&'c [u8]>) -> Result<bool, DerError> {
    let mut fields = extension.fields();
    let identifier = fields.expect(der::OID)?.content;
    let critical = fields.optional(BOOLEAN)?.is_some_and(|critical| critical.content != FALSE);
    let value = fields.expect(der::OCTET_STRING)?.content;
    fields.end()?;
    if !KNOWN.contains(&identifier) {
        return Ok(critical);
    }
    if !seen.insert(identifier) {
        return Err(DerError("an extension that is there twice"));
    }
    if identifier != KEY_USAGE {
        Fields::only(value, der::SEQUENCE)?;
    }
    Ok(false)
}

const RSA_BITS: std::ops::RangeInclusive<u32> = 2048..=8192;
const CURVES: [Nid; 3] = [Nid::X9_62_PRIME256V1, Nid::SECP384R1, Nid::SECP521R1];
/// X.509 v3, as it is written.
const VERSION_3: u32 = 2;
const BOOLEAN: u8 = 0x01;
const FALSE: &[u8] = &[0];
/// Extensions that are known (RFC 5280 4.2.1): 2.5.29.15, which is a BIT STRING, and further ones, which are SEQUENCEs.
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 15];
const KNOWN: [&[u8]; 6] = [
    KEY_USAGE,
    // Alternative names of the subject.
    &[0x55, 0x1d, 17],
    // Basic constraints.
    &[0x55, 0x1d, 19],
    // Name constraints.
    &[0x55, 0x1d, 30],
    // Where revocation lists are.
    &[0x55, 0x1d, 31],
    // Extended key usage.
    &[0x55, 0x1d, 37],
];
