//! Algorithms by their configuration names, object identifiers and AlgorithmIdentifiers (RFC 3370, 4055, 5084, 5754).

use std::fmt;
use std::str::FromStr;

use openssl::cipher::{Cipher, CipherRef};
use openssl::md::{Md, MdRef};
use serde::{Deserialize, Serialize};

use super::der::{self, DerError, Fields, Tlv};
use super::{DigestAlgorithm, oid};

/// A name that stands for no algorithm of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown algorithm name")]
pub struct UnknownAlgorithm;

/// Display, FromStr and serde by one table of names.
macro_rules! named {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name { $($(#[$vmeta])* #[serde(rename = $text)] $variant,)+ }

        impl $name {
            /// Every one, in the order of declaration.
            pub const ALL: &'static [$name] = &[$($name::$variant,)+];

            /// The name in configuration files, reports and JSON.
            pub fn name(self) -> &'static str {
                match self { $($name::$variant => $text,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }

        impl FromStr for $name {
            type Err = UnknownAlgorithm;

            fn from_str(text: &str) -> Result<$name, UnknownAlgorithm> {
                $name::ALL.iter().copied().find(|one| one.name().eq_ignore_ascii_case(text)).ok_or(UnknownAlgorithm)
            }
        }
    };
}

named! {
    /// How a digest is signed (RFC 8017 8).
    SignatureScheme {
        /// RSASSA-PKCS1-v1_5: what every AS2 product understands.
        RsaPkcs1 = "rsa-pkcs1",
        /// RSASSA-PSS (RFC 4056) with MGF1 of the same digest and a salt as long as it.
        RsaPss = "rsa-pss",
    }
}

named! {
    /// How content is encrypted.
    ContentCipher {
        /// AES-128-CBC in EnvelopedData (RFC 3565).
        Aes128Cbc = "aes128-cbc",
        /// AES-192-CBC in EnvelopedData.
        Aes192Cbc = "aes192-cbc",
        /// AES-256-CBC in EnvelopedData.
        Aes256Cbc = "aes256-cbc",
        /// AES-128-GCM in AuthEnvelopedData (RFC 5083, 5084).
        Aes128Gcm = "aes128-gcm",
        /// AES-256-GCM in AuthEnvelopedData.
        Aes256Gcm = "aes256-gcm",
    }
}

named! {
    /// How the content key is encrypted for a recipient.
    KeyTransport {
        /// RSAES-PKCS1-v1_5 (RFC 3370 4.2.1).
        RsaPkcs1 = "rsa-pkcs1",
        /// RSAES-OAEP (RFC 3560) with SHA-1, its default.
        RsaOaepSha1 = "rsa-oaep-sha1",
        /// RSAES-OAEP with SHA-256.
        RsaOaepSha256 = "rsa-oaep-sha256",
        /// RSAES-OAEP with SHA-384.
        RsaOaepSha384 = "rsa-oaep-sha384",
        /// RSAES-OAEP with SHA-512.
        RsaOaepSha512 = "rsa-oaep-sha512",
    }
}

impl DigestAlgorithm {
    /// OpenSSL's name for it.
    pub(super) fn md(self) -> &'static MdRef {
        match self {
            DigestAlgorithm::Sha1 => Md::sha1(),
            DigestAlgorithm::Sha256 => Md::sha256(),
            DigestAlgorithm::Sha384 => Md::sha384(),
            DigestAlgorithm::Sha512 => Md::sha512(),
        }
    }

    fn oid(self) -> &'static [u8] {
        match self {
            DigestAlgorithm::Sha1 => oid::SHA1,
            DigestAlgorithm::Sha256 => oid::SHA256,
            DigestAlgorithm::Sha384 => oid::SHA384,
            DigestAlgorithm::Sha512 => oid::SHA512,
        }
    }

    /// AlgorithmIdentifier without parameters, as RFC 5754 2 wants it written.
    pub(super) fn identifier(self) -> Vec<u8> {
        der::sequence(&[&der::object_identifier(self.oid())])
    }

    /// AlgorithmIdentifier with NULL, as RFC 4055 2.1 wants it inside PSS and OAEP parameters.
    fn identifier_with_null(self) -> Vec<u8> {
        der::sequence(&[&der::object_identifier(self.oid()), &der::tlv(der::NULL, &[])])
    }

    /// Reads an AlgorithmIdentifier; parameters absent or NULL (RFC 5754 2). `None` for an unknown algorithm.
    pub(super) fn from_identifier(identifier: Tlv<'_>) -> Result<Option<DigestAlgorithm>, DerError> {
        let (algorithm, parameters) = algorithm_identifier(identifier)?;
        let known = DigestAlgorithm::ALL.into_iter().find(|digest| digest.oid() == algorithm);
        match (known, parameters) {
            (Some(_), Some(parameters)) if !is_null(&parameters) => Err(DerError("digest parameters")),
            _ => Ok(known),
        }
    }
}

impl SignatureScheme {
    /// AlgorithmIdentifier of a signature over `digest`; every PSS parameter is written (RFC 4056 3).
    pub(super) fn identifier(self, digest: DigestAlgorithm) -> Vec<u8> {
        match self {
            SignatureScheme::RsaPkcs1 => {
                der::sequence(&[&der::object_identifier(oid::RSA_ENCRYPTION), &der::tlv(der::NULL, &[])])
            }
            SignatureScheme::RsaPss => {
                let salt = u32::try_from(digest.size()).unwrap_or(0);
                let parameters = der::sequence(&[
                    &der::tlv(der::context_constructed(0), &digest.identifier_with_null()),
                    &der::tlv(der::context_constructed(1), &mgf1(digest)),
                    &der::tlv(der::context_constructed(2), &der::integer(salt)),
                ]);
                der::sequence(&[&der::object_identifier(oid::RSASSA_PSS), &parameters])
            }
        }
    }
}

/// What a SignerInfo says about its signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SignatureParameters {
    /// RSASSA-PKCS1-v1_5; the digest comes from `digestAlgorithm`.
    Pkcs1,
    /// RSASSA-PSS with its MGF1 digest and salt length in bytes.
    Pss { mgf: DigestAlgorithm, salt: u32 },
}

impl SignatureParameters {
    /// Reads `signatureAlgorithm`, which must agree with the signer's `digest` (RFC 4056 3, RFC 5754 3.2). `None`
    /// when it is unknown or contradicts.
    pub(super) fn from_identifier(
        identifier: Tlv<'_>,
        digest: DigestAlgorithm,
    ) -> Result<Option<SignatureParameters>, DerError> {
        let (algorithm, parameters) = algorithm_identifier(identifier)?;
        if algorithm == oid::RSASSA_PSS {
            return pss_parameters(parameters.ok_or(DerError("PSS parameters missing"))?, digest);
        }
        let implied = match algorithm {
            oid::RSA_ENCRYPTION => Some(digest),
            oid::SHA1_WITH_RSA => Some(DigestAlgorithm::Sha1),
            oid::SHA256_WITH_RSA => Some(DigestAlgorithm::Sha256),
            oid::SHA384_WITH_RSA => Some(DigestAlgorithm::Sha384),
            oid::SHA512_WITH_RSA => Some(DigestAlgorithm::Sha512),
            _ => None,
        };
        let plain = parameters.as_ref().is_none_or(is_null);
        Ok((plain && implied == Some(digest)).then_some(SignatureParameters::Pkcs1))
    }
}

/// RSASSA-PSS-params (RFC 4055 3.1).
fn pss_parameters(parameters: Tlv<'_>, digest: DigestAlgorithm) -> Result<Option<SignatureParameters>, DerError> {
    let mut fields = sequence_fields(parameters)?;
    let hash = explicit_digest(&mut fields, 0)?;
    let mgf = explicit_mgf1(&mut fields, 1)?;
    let salt = match fields.optional(der::context_constructed(2))? {
        Some(field) => Fields::only(field.content, der::INTEGER)?.small_integer()?,
        None => 20,
    };
    if let Some(field) = fields.optional(der::context_constructed(3))?
        && Fields::only(field.content, der::INTEGER)?.small_integer()? != 1
    {
        return Err(DerError("PSS trailer"));
    }
    fields.end()?;
    match (hash, mgf) {
        (Some(hash), Some(mgf)) if hash == digest && salt <= 512 => Ok(Some(SignatureParameters::Pss { mgf, salt })),
        _ => Ok(None),
    }
}

impl ContentCipher {
    /// Whether the cipher authenticates what it encrypts.
    pub fn is_aead(self) -> bool {
        matches!(self, ContentCipher::Aes128Gcm | ContentCipher::Aes256Gcm)
    }

    /// Bytes of the content key.
    pub fn key_len(self) -> usize {
        match self {
            ContentCipher::Aes128Cbc | ContentCipher::Aes128Gcm => 16,
            ContentCipher::Aes192Cbc => 24,
            ContentCipher::Aes256Cbc | ContentCipher::Aes256Gcm => 32,
        }
    }

    /// Bytes of the initialisation vector: a block for CBC, 96 bits for GCM (RFC 5084 3.2).
    pub(super) fn nonce_len(self) -> usize {
        if self.is_aead() { 12 } else { 16 }
    }

    /// OpenSSL's name for it.
    pub(super) fn cipher(self) -> &'static CipherRef {
        match self {
            ContentCipher::Aes128Cbc => Cipher::aes_128_cbc(),
            ContentCipher::Aes192Cbc => Cipher::aes_192_cbc(),
            ContentCipher::Aes256Cbc => Cipher::aes_256_cbc(),
            ContentCipher::Aes128Gcm => Cipher::aes_128_gcm(),
            ContentCipher::Aes256Gcm => Cipher::aes_256_gcm(),
        }
    }

    fn oid(self) -> &'static [u8] {
        match self {
            ContentCipher::Aes128Cbc => oid::AES128_CBC,
            ContentCipher::Aes192Cbc => oid::AES192_CBC,
            ContentCipher::Aes256Cbc => oid::AES256_CBC,
            ContentCipher::Aes128Gcm => oid::AES128_GCM,
            ContentCipher::Aes256Gcm => oid::AES256_GCM,
        }
    }

    /// AlgorithmIdentifier with the nonce; GCM parameters name the tag length (RFC 5084 3.2).
    pub(super) fn identifier(self, nonce: &[u8]) -> Vec<u8> {
        let nonce = der::tlv(der::OCTET_STRING, nonce);
        let parameters = if self.is_aead() { der::sequence(&[&nonce, &der::integer(16)]) } else { nonce };
        der::sequence(&[&der::object_identifier(self.oid()), &parameters])
    }

    /// Reads an AlgorithmIdentifier and its nonce. `None` for an unknown cipher; a nonce other than 16 (CBC) or
    /// 12 bytes (GCM) and a tag other than 16 bytes are errors.
    pub(super) fn from_identifier(identifier: Tlv<'_>) -> Result<Option<(ContentCipher, Vec<u8>)>, DerError> {
        let (algorithm, parameters) = algorithm_identifier(identifier)?;
        let Some(cipher) = ContentCipher::ALL.iter().copied().find(|cipher| cipher.oid() == algorithm) else {
            return Ok(None);
        };
        let parameters = parameters.ok_or(DerError("cipher parameters missing"))?;
        let nonce = if cipher.is_aead() { gcm_nonce(parameters)? } else { parameters };
        if nonce.tag != der::OCTET_STRING || nonce.content.len() != cipher.nonce_len() {
            return Err(DerError("nonce length"));
        }
        Ok(Some((cipher, nonce.content.to_vec())))
    }
}

/// GCMParameters; the tag length must be 16, and its default is 12.
fn gcm_nonce(parameters: Tlv<'_>) -> Result<Tlv<'_>, DerError> {
    let mut fields = sequence_fields(parameters)?;
    let nonce = fields.expect(der::OCTET_STRING)?;
    let tag_len = fields.expect(der::INTEGER)?.small_integer()?;
    fields.end()?;
    if tag_len == 16 { Ok(nonce) } else { Err(DerError("tag length")) }
}

impl KeyTransport {
    /// The digest of OAEP and of its MGF1; `None` for PKCS#1 v1.5.
    pub(super) fn oaep_digest(self) -> Option<DigestAlgorithm> {
        match self {
            KeyTransport::RsaPkcs1 => None,
            KeyTransport::RsaOaepSha1 => Some(DigestAlgorithm::Sha1),
            KeyTransport::RsaOaepSha256 => Some(DigestAlgorithm::Sha256),
            KeyTransport::RsaOaepSha384 => Some(DigestAlgorithm::Sha384),
            KeyTransport::RsaOaepSha512 => Some(DigestAlgorithm::Sha512),
        }
    }

    /// AlgorithmIdentifier; every OAEP parameter is written (RFC 3560 4).
    pub(super) fn identifier(self) -> Vec<u8> {
        let Some(digest) = self.oaep_digest() else {
            return der::sequence(&[&der::object_identifier(oid::RSA_ENCRYPTION), &der::tlv(der::NULL, &[])]);
        };
        let parameters = der::sequence(&[
            &der::tlv(der::context_constructed(0), &digest.identifier_with_null()),
            &der::tlv(der::context_constructed(1), &mgf1(digest)),
        ]);
        der::sequence(&[&der::object_identifier(oid::RSAES_OAEP), &parameters])
    }

    /// Reads a `keyEncryptionAlgorithm`. `None` when unknown, when OAEP and MGF1 digests differ, or with a label.
    pub(super) fn from_identifier(identifier: Tlv<'_>) -> Result<Option<KeyTransport>, DerError> {
        let (algorithm, parameters) = algorithm_identifier(identifier)?;
        if algorithm == oid::RSA_ENCRYPTION {
            return Ok(parameters.as_ref().is_none_or(is_null).then_some(KeyTransport::RsaPkcs1));
        }
        if algorithm != oid::RSAES_OAEP {
            return Ok(None);
        }
        let mut fields = sequence_fields(parameters.ok_or(DerError("OAEP parameters missing"))?)?;
        let hash = explicit_digest(&mut fields, 0)?;
        let mgf = explicit_mgf1(&mut fields, 1)?;
        let unlabelled = match fields.optional(der::context_constructed(2))? {
            Some(field) => is_empty_label(field)?,
            None => true,
        };
        fields.end()?;
        Ok(KeyTransport::ALL
            .iter()
            .copied()
            .find(|one| unlabelled && hash.is_some() && hash == mgf && one.oaep_digest() == hash))
    }
}

/// `pSpecified` with an empty label, which is the default (RFC 4055 4.1).
fn is_empty_label(field: Tlv<'_>) -> Result<bool, DerError> {
    let (algorithm, parameters) = algorithm_identifier(Fields::only(field.content, der::SEQUENCE)?)?;
    let empty = parameters.is_some_and(|value| value.tag == der::OCTET_STRING && value.content.is_empty());
    Ok(algorithm == oid::P_SPECIFIED && empty)
}

/// AlgorithmIdentifier of MGF1 over a digest.
fn mgf1(digest: DigestAlgorithm) -> Vec<u8> {
    der::sequence(&[&der::object_identifier(oid::MGF1), &digest.identifier_with_null()])
}

/// `[number] EXPLICIT` digest AlgorithmIdentifier, SHA-1 by default; `None` when unknown.
fn explicit_digest(fields: &mut Fields<'_>, number: u8) -> Result<Option<DigestAlgorithm>, DerError> {
    match fields.optional(der::context_constructed(number))? {
        Some(field) => DigestAlgorithm::from_identifier(Fields::only(field.content, der::SEQUENCE)?),
        None => Ok(Some(DigestAlgorithm::Sha1)),
    }
}

/// `[number] EXPLICIT` MGF1 with its digest, SHA-1 by default; `None` when unknown.
fn explicit_mgf1(fields: &mut Fields<'_>, number: u8) -> Result<Option<DigestAlgorithm>, DerError> {
    let Some(field) = fields.optional(der::context_constructed(number))? else {
        return Ok(Some(DigestAlgorithm::Sha1));
    };
    let (algorithm, parameters) = algorithm_identifier(Fields::only(field.content, der::SEQUENCE)?)?;
    if algorithm != oid::MGF1 {
        return Ok(None);
    }
    DigestAlgorithm::from_identifier(parameters.ok_or(DerError("MGF1 digest missing"))?)
}

/// OID and parameters of an AlgorithmIdentifier (RFC 5280 4.1.1.2).
pub(super) fn algorithm_identifier(identifier: Tlv<'_>) -> Result<(&[u8], Option<Tlv<'_>>), DerError> {
    let mut fields = sequence_fields(identifier)?;
    let algorithm = fields.expect(der::OID)?;
    let parameters = fields.take()?;
    fields.end()?;
    Ok((algorithm.content, parameters))
}

fn sequence_fields(value: Tlv<'_>) -> Result<Fields<'_>, DerError> {
    if value.tag == der::SEQUENCE { Ok(value.fields()) } else { Err(DerError("SEQUENCE expected")) }
}

fn is_null(value: &Tlv<'_>) -> bool {
    value.tag == der::NULL && value.content.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tlv(der: &[u8]) -> Tlv<'_> {
        Fields::only(der, der::SEQUENCE).unwrap()
    }

    #[test]
    fn configuration_names_are_read_back() {
        for cipher in ContentCipher::ALL {
            assert_eq!(cipher.name().parse(), Ok(*cipher));
        }
        assert_eq!(serde_json::to_string(&KeyTransport::RsaOaepSha256).unwrap(), "\"rsa-oaep-sha256\"");
        assert_eq!("des".parse::<ContentCipher>(), Err(UnknownAlgorithm));
    }

    #[test]
    fn every_identifier_is_read_back() {
        for digest in DigestAlgorithm::ALL {
            assert_eq!(DigestAlgorithm::from_identifier(tlv(&digest.identifier())), Ok(Some(digest)));
            let pss = SignatureScheme::RsaPss.identifier(digest);
            let salt = u32::try_from(digest.size()).unwrap();
            let expected = SignatureParameters::Pss { mgf: digest, salt };
            assert_eq!(SignatureParameters::from_identifier(tlv(&pss), digest), Ok(Some(expected)));
        }
        for transport in KeyTransport::ALL {
            assert_eq!(KeyTransport::from_identifier(tlv(&transport.identifier())), Ok(Some(*transport)));
        }
        for cipher in ContentCipher::ALL {
            let nonce = vec![7; cipher.nonce_len()];
            let identifier = cipher.identifier(&nonce);
            assert_eq!(ContentCipher::from_identifier(tlv(&identifier)), Ok(Some((*cipher, nonce))));
        }
    }

    #[test]
    fn only_nonces_and_tags_of_the_one_length_are_taken() {
        for len in [0, 8, 11, 13, 16, 1024] {
            assert!(ContentCipher::from_identifier(tlv(&ContentCipher::Aes256Gcm.identifier(&vec![0; len]))).is_err());
        }
        for tag_len in [0, 4, 12, 15, 17] {
            let parameters = der::sequence(&[&der::tlv(der::OCTET_STRING, &[0; 12]), &der::integer(tag_len)]);
            let identifier = der::sequence(&[&der::object_identifier(oid::AES128_GCM), &parameters]);
            assert!(ContentCipher::from_identifier(tlv(&identifier)).is_err(), "{tag_len}");
        }
        let defaulted = der::sequence(&[&der::tlv(der::OCTET_STRING, &[0; 12])]);
        let identifier = der::sequence(&[&der::object_identifier(oid::AES128_GCM), &defaulted]);
        assert!(ContentCipher::from_identifier(tlv(&identifier)).is_err());
        assert!(ContentCipher::from_identifier(tlv(&ContentCipher::Aes128Cbc.identifier(&[0; 12]))).is_err());
    }

    #[test]
    fn a_signature_algorithm_that_contradicts_the_digest_is_refused() {
        let pss = SignatureScheme::RsaPss.identifier(DigestAlgorithm::Sha256);
        assert_eq!(SignatureParameters::from_identifier(tlv(&pss), DigestAlgorithm::Sha512), Ok(None));
        let pkcs1 = der::sequence(&[&der::object_identifier(oid::SHA256_WITH_RSA), &der::tlv(der::NULL, &[])]);
        assert_eq!(SignatureParameters::from_identifier(tlv(&pkcs1), DigestAlgorithm::Sha384), Ok(None));
        let expected = Ok(Some(SignatureParameters::Pkcs1));
        assert_eq!(SignatureParameters::from_identifier(tlv(&pkcs1), DigestAlgorithm::Sha256), expected);
    }
}
