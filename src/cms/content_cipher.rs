//! Content ciphers and their AlgorithmIdentifiers (RFC 3565, 5084; for older partners RFC 3370 5; GM/T 0010).
//!
//! SM4-GCM is not among them: OpenSSL has it since 3.1, and 3.0 is what most installations link.

use std::sync::LazyLock;

use openssl::cipher::{Cipher, CipherRef};
use openssl::error::ErrorStack;
use openssl::lib_ctx::LibCtx;
use openssl::provider::Provider;

use super::algorithm::{algorithm_identifier, named, sequence_fields};
use super::der::{self, DerError, Tlv};
use super::{CmsError, oid};

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
        /// AES-192-GCM in AuthEnvelopedData.
        Aes192Gcm = "aes192-gcm",
        /// AES-256-GCM in AuthEnvelopedData.
        Aes256Gcm = "aes256-gcm",
        /// Triple DES with three keys (RFC 3370 5.1): only under a waiver.
        DesEde3Cbc = "3des-cbc",
        /// RC2 with 128 effective bits (RFC 3370 5.2): only read, and only under a waiver. OpenSSL keeps it in its legacy
        /// provider, which is loaded for it into a context of its own.
        Rc2Cbc = "rc2-cbc",
        /// SM4-CBC in EnvelopedData (GB/T 32907, GM/T 0010): only where an agreement names it, and only under SM2.
        Sm4Cbc = "sm4-cbc",
    }
}

/// Where the tag and the nonce of an AES-GCM envelope stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GcmForm {
    /// AuthEnvelopedData with GCMParameters and `mac` (RFC 5083, 5084).
    #[default]
    AuthEnveloped,
    /// EnvelopedData with GCMParameters, the tag behind the ciphertext: Bouncy Castle, and with it phase2, mendelson and
    /// Camel.
    Enveloped,
    /// EnvelopedData with the bare nonce as parameters, the tag behind the ciphertext: PKI.js, and with it libas2.
    EnvelopedBareNonce,
}

impl ContentCipher {
    /// Those that need neither a waiver nor an agreement that names them.
    pub const STANDARD: &'static [ContentCipher] = &[
        ContentCipher::Aes128Cbc,
        ContentCipher::Aes192Cbc,
        ContentCipher::Aes256Cbc,
        ContentCipher::Aes128Gcm,
        ContentCipher::Aes192Gcm,
        ContentCipher::Aes256Gcm,
    ];

    /// Whether it is too weak to be used without a waiver.
    pub fn is_legacy(self) -> bool {
        matches!(self, ContentCipher::DesEde3Cbc | ContentCipher::Rc2Cbc)
    }

    /// Whether the cipher authenticates what it encrypts.
    pub fn is_aead(self) -> bool {
        matches!(self, ContentCipher::Aes128Gcm | ContentCipher::Aes192Gcm | ContentCipher::Aes256Gcm)
    }

    /// Bytes of the content key.
    pub fn key_len(self) -> usize {
        match self {
            ContentCipher::Aes128Cbc | ContentCipher::Aes128Gcm | ContentCipher::Rc2Cbc | ContentCipher::Sm4Cbc => 16,
            ContentCipher::Aes192Cbc | ContentCipher::Aes192Gcm | ContentCipher::DesEde3Cbc => 24,
            ContentCipher::Aes256Cbc | ContentCipher::Aes256Gcm => 32,
        }
    }

    /// Bytes to which CBC pads.
    pub(super) fn block_len(self) -> u64 {
        if self.is_legacy() { 8 } else { 16 }
    }

    /// Bytes of the initialisation vector: a block for CBC, 96 bits for GCM (RFC 5084 3.2).
    pub(super) fn nonce_len(self) -> usize {
        match self.is_aead() {
            true => 12,
            false => usize::try_from(self.block_len()).unwrap_or_default(),
        }
    }

    /// OpenSSL's implementation of it.
    pub(super) fn cipher(self) -> Result<&'static CipherRef, CmsError> {
        let fetched = match self {
            ContentCipher::Rc2Cbc => LEGACY.as_ref().map(|legacy| &legacy.rc2_cbc),
            _ => FETCHED.iter().find(|(cipher, _)| *cipher == self).map(|(_, fetched)| fetched),
        };
        let Some(cipher) = fetched else { return Err(CmsError::CipherUnavailable(self)) };
        Ok(cipher)
    }

    /// OpenSSL's name for it.
    fn openssl_name(self) -> &'static str {
        match self {
            ContentCipher::Aes128Cbc => "AES-128-CBC",
            ContentCipher::Aes192Cbc => "AES-192-CBC",
            ContentCipher::Aes256Cbc => "AES-256-CBC",
            ContentCipher::Aes128Gcm => "AES-128-GCM",
            ContentCipher::Aes192Gcm => "AES-192-GCM",
            ContentCipher::Aes256Gcm => "AES-256-GCM",
            ContentCipher::DesEde3Cbc => "DES-EDE3-CBC",
            ContentCipher::Rc2Cbc => "RC2-CBC",
            ContentCipher::Sm4Cbc => "SM4-CBC",
        }
    }

    fn oid(self) -> &'static [u8] {
        match self {
            ContentCipher::Aes128Cbc => oid::AES128_CBC,
            ContentCipher::Aes192Cbc => oid::AES192_CBC,
            ContentCipher::Aes256Cbc => oid::AES256_CBC,
            ContentCipher::Aes128Gcm => oid::AES128_GCM,
            ContentCipher::Aes192Gcm => oid::AES192_GCM,
            ContentCipher::Aes256Gcm => oid::AES256_GCM,
            ContentCipher::DesEde3Cbc => oid::DES_EDE3_CBC,
            ContentCipher::Rc2Cbc => oid::RC2_CBC,
            ContentCipher::Sm4Cbc => oid::SM4_CBC,
        }
    }

    /// AlgorithmIdentifier with the nonce; GCM parameters name the tag length (RFC 5084 3.2), those of RC2 its
    /// effective bits (RFC 3370 5.2).
    pub(super) fn identifier(self, nonce: &[u8], form: GcmForm) -> Vec<u8> {
        let nonce = der::tlv(der::OCTET_STRING, nonce);
        let parameters = match self {
            ContentCipher::Rc2Cbc => der::sequence(&[&der::integer(RC2_128_BITS), &nonce]),
            _ if self.is_aead() && form != GcmForm::EnvelopedBareNonce => {
                der::sequence(&[&nonce, &der::integer(16)]) //
            }
            _ => nonce,
        };
        der::sequence(&[&der::object_identifier(self.oid()), &parameters])
    }

    /// Reads an AlgorithmIdentifier and its nonce. `None` for an unknown cipher; a nonce of another length than the
    /// cipher's and a tag other than 16 bytes are errors, as is a bare GCM nonce unless `bare_nonce`. A bare one may also
    /// have 16 bytes: libas2 draws as many as for CBC.
    pub(super) fn from_identifier(
        identifier: Tlv<'_>,
        bare_nonce: bool,
    ) -> Result<Option<(ContentCipher, Vec<u8>)>, DerError> {
        let (algorithm, parameters) = algorithm_identifier(identifier)?;
        let Some(cipher) = ContentCipher::ALL.iter().copied().find(|cipher| cipher.oid() == algorithm) else {
            return Ok(None);
        };
        let parameters = parameters.ok_or(DerError("cipher parameters missing"))?;
        let nonce = match cipher {
            ContentCipher::Rc2Cbc => match rc2_nonce(parameters)? {
                Some(nonce) => nonce,
                None => return Ok(None),
            },
            _ if cipher.is_aead() && !(bare_nonce && parameters.tag == der::OCTET_STRING) => gcm_nonce(parameters)?,
            _ => parameters,
        };
        let bare = cipher.is_aead() && parameters.tag == der::OCTET_STRING;
        let len = nonce.content.len();
        let fits = len == cipher.nonce_len() || (bare && len == LONG_BARE_NONCE);
        if nonce.tag != der::OCTET_STRING || !fits {
            return Err(DerError("nonce length"));
        }
        Ok(Some((cipher, nonce.content.to_vec())))
    }
}

/// Bytes of a GCM nonce of libas2.
const LONG_BARE_NONCE: usize = 16;

/// `rc2ParameterVersion` for 128 effective bits.
const RC2_128_BITS: u32 = 58;

/// RC2-CBC-Parameter; `None` for other than 128 effective bits (export ciphers of 40 and 64 bits are not read). Without a
/// version it is read as 128 bits, as pyas2lib writes and means it; by RFC 8018 B.2.3 it would be 32, "for backward compatibility".
fn rc2_nonce(parameters: Tlv<'_>) -> Result<Option<Tlv<'_>>, DerError> {
    let mut fields = sequence_fields(parameters)?;
    let version = fields.optional(der::INTEGER)?.map_or(Ok(RC2_128_BITS), |version| version.small_integer())?;
    let nonce = fields.expect(der::OCTET_STRING)?;
    fields.end()?;
    Ok((version == RC2_128_BITS).then_some(nonce))
}

/// GCMParameters; the tag length must be 16, and its default is 12.
fn gcm_nonce(parameters: Tlv<'_>) -> Result<Tlv<'_>, DerError> {
    let mut fields = sequence_fields(parameters)?;
    let nonce = fields.expect(der::OCTET_STRING)?;
    let tag_len = fields.expect(der::INTEGER)?.small_integer()?;
    fields.end()?;
    if tag_len == 16 { Ok(nonce) } else { Err(DerError("tag length")) }
}

/// What OpenSSL has of them without its legacy provider, looked up once: a cipher that was not fetched is looked up by its name
/// each time that a context begins with it. SM4 is absent where OpenSSL was built without it, as some distributions do.
static FETCHED: LazyLock<Vec<(ContentCipher, Cipher)>> = LazyLock::new(|| {
    let ciphers = ContentCipher::ALL.iter().copied().filter(|cipher| *cipher != ContentCipher::Rc2Cbc);
    ciphers.filter_map(|cipher| Some((cipher, Cipher::fetch(None, cipher.openssl_name(), None).ok()?))).collect()
});

/// What OpenSSL keeps in its legacy provider. A context of its own, so that nothing else of it becomes available.
struct Legacy {
    rc2_cbc: Cipher,
    _provider: Provider,
    _context: LibCtx,
}

/// `None` where the provider is not installed.
static LEGACY: LazyLock<Option<Legacy>> = LazyLock::new(|| {
    let load = || -> Result<Legacy, ErrorStack> {
        let context = LibCtx::new()?;
        let provider = Provider::load(Some(&context), "legacy")?;
        let rc2_cbc = Cipher::fetch(Some(&context), ContentCipher::Rc2Cbc.openssl_name(), None)?;
        Ok(Legacy { rc2_cbc, _provider: provider, _context: context })
    };
    load().ok()
});

#[cfg(test)]
mod tests {
    use super::super::UnknownAlgorithm;
    use super::super::der::Fields;
    use super::*;

    fn tlv(der: &[u8]) -> Tlv<'_> {
        Fields::only(der, der::SEQUENCE).unwrap()
    }

    #[test]
    fn configuration_names_are_read_back() {
        for cipher in ContentCipher::ALL {
            assert_eq!(cipher.name().parse(), Ok(*cipher));
        }
        assert_eq!("des".parse::<ContentCipher>(), Err(UnknownAlgorithm));
    }

    #[test]
    fn every_identifier_is_read_back() {
        for cipher in ContentCipher::ALL {
            let nonce = vec![7; cipher.nonce_len()];
            for form in [GcmForm::AuthEnveloped, GcmForm::Enveloped, GcmForm::EnvelopedBareNonce] {
                let identifier = cipher.identifier(&nonce, form);
                let read = Ok(Some((*cipher, nonce.clone())));
                assert_eq!(ContentCipher::from_identifier(tlv(&identifier), true), read);
                if form != GcmForm::EnvelopedBareNonce {
                    assert_eq!(ContentCipher::from_identifier(tlv(&identifier), false), read);
                }
            }
        }
    }

    #[test]
    fn only_nonces_and_tags_of_the_one_length_are_taken() {
        let read = |identifier: &[u8], bare| ContentCipher::from_identifier(tlv(identifier), bare);
        for len in [0, 8, 11, 13, 16, 1024] {
            for form in [GcmForm::AuthEnveloped, GcmForm::EnvelopedBareNonce] {
                let identifier = ContentCipher::Aes256Gcm.identifier(&vec![0; len], form);
                let of_libas2 = form == GcmForm::EnvelopedBareNonce && len == 16;
                assert_eq!(read(&identifier, true).is_ok(), of_libas2, "{len}");
                assert!(read(&identifier, false).is_err(), "{len}");
            }
        }
        for tag_len in [0, 4, 12, 15, 17] {
            let parameters = der::sequence(&[&der::tlv(der::OCTET_STRING, &[0; 12]), &der::integer(tag_len)]);
            let identifier = der::sequence(&[&der::object_identifier(oid::AES128_GCM), &parameters]);
            assert!(read(&identifier, true).is_err(), "{tag_len}");
        }
        let defaulted = der::sequence(&[&der::tlv(der::OCTET_STRING, &[0; 12])]);
        let identifier = der::sequence(&[&der::object_identifier(oid::AES128_GCM), &defaulted]);
        assert!(read(&identifier, true).is_err());
        for (cipher, len) in
            [(ContentCipher::Aes128Cbc, 12), (ContentCipher::DesEde3Cbc, 16), (ContentCipher::Sm4Cbc, 12)]
        {
            assert!(read(&cipher.identifier(&vec![0; len], GcmForm::default()), true).is_err());
        }
        let bare = ContentCipher::Aes128Gcm.identifier(&[0; 12], GcmForm::EnvelopedBareNonce);
        assert!(read(&bare, false).is_err(), "only where the form is allowed");
    }

    #[test]
    fn export_grades_of_rc2_are_unknown_ciphers() {
        for version in [160, 120, 0, 256] {
            let parameters = der::sequence(&[&der::integer(version), &der::tlv(der::OCTET_STRING, &[0; 8])]);
            let identifier = der::sequence(&[&der::object_identifier(oid::RC2_CBC), &parameters]);
            assert_eq!(ContentCipher::from_identifier(tlv(&identifier), false), Ok(None), "{version}");
        }
    }

    #[test]
    fn rc2_without_a_version_is_read_as_of_128_bits() {
        let nonce = der::tlv(der::OCTET_STRING, &[7; 8]);
        let read = |parameters: &[u8]| {
            let identifier = der::sequence(&[&der::object_identifier(oid::RC2_CBC), parameters]);
            ContentCipher::from_identifier(tlv(&identifier), false)
        };
        assert_eq!(read(&der::sequence(&[&nonce])), Ok(Some((ContentCipher::Rc2Cbc, vec![7; 8]))));
        assert!(read(&der::sequence(&[&nonce, &der::integer(RC2_128_BITS)])).is_err(), "behind the vector");
        assert!(read(&nonce).is_err(), "the bare vector");
    }
}
