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
        /// RC2 with 40, 64 or 128 effective bits (RFC 3370 5.2): only read, and only under a waiver. OpenSSL keeps it in its
        /// legacy provider, which is loaded for it into a context of its own.
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

    /// Bytes of the content key; of RC2 those of its longest, see [`ContentAlgorithm`].
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

    /// OpenSSL's name for it.
    pub(super) fn cipher(self) -> Result<&'static CipherRef, CmsError> {
        Ok(match self {
            ContentCipher::Aes128Cbc => Cipher::aes_128_cbc(),
            ContentCipher::Aes192Cbc => Cipher::aes_192_cbc(),
            ContentCipher::Aes256Cbc => Cipher::aes_256_cbc(),
            ContentCipher::Aes128Gcm => Cipher::aes_128_gcm(),
            ContentCipher::Aes192Gcm => Cipher::aes_192_gcm(),
            ContentCipher::Aes256Gcm => Cipher::aes_256_gcm(),
            ContentCipher::DesEde3Cbc => Cipher::des_ede3_cbc(),
            ContentCipher::Rc2Cbc => Rc2Grade::Bits128.cipher()?,
            ContentCipher::Sm4Cbc => SM4.as_deref().ok_or(CmsError::CipherUnavailable(self))?,
        })
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
            ContentCipher::Rc2Cbc => der::sequence(&[&der::integer(Rc2Grade::Bits128.version()), &nonce]),
            _ if self.is_aead() && form != GcmForm::EnvelopedBareNonce => {
                der::sequence(&[&nonce, &der::integer(16)]) //
            }
            _ => nonce,
        };
        der::sequence(&[&der::object_identifier(self.oid()), &parameters])
    }

    /// Reads an AlgorithmIdentifier with its nonce. `None` for an unknown cipher; a nonce of another length than the
    /// cipher's and a tag other than 16 bytes are errors, as is a bare GCM nonce unless `bare_nonce`. A bare one may also
    /// have 16 bytes: libas2 draws as many as for CBC.
    pub(super) fn from_identifier(identifier: Tlv<'_>, bare_nonce: bool) -> Result<Option<ContentAlgorithm>, DerError> {
        let (algorithm, parameters) = algorithm_identifier(identifier)?;
        let Some(cipher) = ContentCipher::ALL.iter().copied().find(|cipher| cipher.oid() == algorithm) else {
            return Ok(None);
        };
        let parameters = parameters.ok_or(DerError("cipher parameters missing"))?;
        let mut grade = Rc2Grade::Bits128;
        let nonce = match cipher {
            ContentCipher::Rc2Cbc => {
                let (version, nonce) = rc2_parameters(parameters)?;
                let Some(named) = Rc2Grade::of_version(version) else { return Ok(None) };
                grade = named;
                nonce
            }
            _ if cipher.is_aead() && !(bare_nonce && parameters.tag == der::OCTET_STRING) => gcm_nonce(parameters)?,
            _ => parameters,
        };
        let bare = cipher.is_aead() && parameters.tag == der::OCTET_STRING;
        let len = nonce.content.len();
        let fits = len == cipher.nonce_len() || (bare && len == LONG_BARE_NONCE);
        if nonce.tag != der::OCTET_STRING || !fits {
            return Err(DerError("nonce length"));
        }
        Ok(Some(ContentAlgorithm { cipher, grade, nonce: nonce.content.to_vec() }))
    }
}

/// A cipher with what an envelope says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ContentAlgorithm {
    pub(super) cipher: ContentCipher,
    grade: Rc2Grade,
    pub(super) nonce: Vec<u8>,
}

impl ContentAlgorithm {
    /// Bytes of the content key.
    pub(super) fn key_len(&self) -> usize {
        if self.cipher == ContentCipher::Rc2Cbc { self.grade.key_len() } else { self.cipher.key_len() }
    }

    /// OpenSSL's name for the cipher with such a key.
    pub(super) fn cipher(&self) -> Result<&'static CipherRef, CmsError> {
        if self.cipher == ContentCipher::Rc2Cbc { self.grade.cipher() } else { self.cipher.cipher() }
    }
}

/// Bytes of a GCM nonce of libas2.
const LONG_BARE_NONCE: usize = 16;

/// Effective bits of RC2. Its keys are as long: the products of the time of export grades know no others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rc2Grade {
    Bits40,
    Bits64,
    Bits128,
}

impl Rc2Grade {
    const ALL: [Rc2Grade; 3] = [Rc2Grade::Bits40, Rc2Grade::Bits64, Rc2Grade::Bits128];

    /// `rc2ParameterVersion` (RFC 2268 6, RFC 3370 5.2).
    fn version(self) -> u32 {
        match self {
            Rc2Grade::Bits40 => 160,
            Rc2Grade::Bits64 => 120,
            Rc2Grade::Bits128 => 58,
        }
    }

    fn of_version(version: u32) -> Option<Rc2Grade> {
        Rc2Grade::ALL.into_iter().find(|grade| grade.version() == version)
    }

    fn key_len(self) -> usize {
        match self {
            Rc2Grade::Bits40 => 5,
            Rc2Grade::Bits64 => 8,
            Rc2Grade::Bits128 => 16,
        }
    }

    fn cipher(self) -> Result<&'static CipherRef, CmsError> {
        let legacy = LEGACY.as_ref().ok_or(CmsError::CipherUnavailable(ContentCipher::Rc2Cbc))?;
        Ok(match self {
            Rc2Grade::Bits40 => &legacy.rc2_40_cbc,
            Rc2Grade::Bits64 => &legacy.rc2_64_cbc,
            Rc2Grade::Bits128 => &legacy.rc2_cbc,
        })
    }
}

/// Version and nonce of RC2-CBC-Parameter.
fn rc2_parameters(parameters: Tlv<'_>) -> Result<(u32, Tlv<'_>), DerError> {
    let mut fields = sequence_fields(parameters)?;
    let version = fields.expect(der::INTEGER)?.small_integer()?;
    let nonce = fields.expect(der::OCTET_STRING)?;
    fields.end()?;
    Ok((version, nonce))
}

/// GCMParameters; the tag length must be 16, and its default is 12.
fn gcm_nonce(parameters: Tlv<'_>) -> Result<Tlv<'_>, DerError> {
    let mut fields = sequence_fields(parameters)?;
    let nonce = fields.expect(der::OCTET_STRING)?;
    let tag_len = fields.expect(der::INTEGER)?.small_integer()?;
    fields.end()?;
    if tag_len == 16 { Ok(nonce) } else { Err(DerError("tag length")) }
}

/// `None` where OpenSSL was built without it, as some distributions do.
static SM4: LazyLock<Option<Cipher>> = LazyLock::new(|| Cipher::fetch(None, "SM4-CBC", None).ok());

/// What OpenSSL keeps in its legacy provider. A context of its own, so that nothing else of it becomes available.
struct Legacy {
    rc2_40_cbc: Cipher,
    rc2_64_cbc: Cipher,
    rc2_cbc: Cipher,
    _provider: Provider,
    _context: LibCtx,
}

/// `None` where the provider is not installed.
static LEGACY: LazyLock<Option<Legacy>> = LazyLock::new(|| {
    let load = || -> Result<Legacy, ErrorStack> {
        let context = LibCtx::new()?;
        let provider = Provider::load(Some(&context), "legacy")?;
        let fetch = |name| Cipher::fetch(Some(&context), name, None);
        let (rc2_40_cbc, rc2_64_cbc, rc2_cbc) = (fetch("RC2-40-CBC")?, fetch("RC2-64-CBC")?, fetch("RC2-CBC")?);
        Ok(Legacy { rc2_40_cbc, rc2_64_cbc, rc2_cbc, _provider: provider, _context: context })
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
                let read = |bare| ContentCipher::from_identifier(tlv(&identifier), bare).unwrap().unwrap();
                for bare in [true, form == GcmForm::EnvelopedBareNonce] {
                    assert_eq!((read(bare).cipher, read(bare).nonce), (*cipher, nonce.clone()));
                    assert_eq!(read(bare).key_len(), cipher.key_len());
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
    fn rc2_of_other_than_its_three_grades_is_an_unknown_cipher() {
        let read = |version| {
            let parameters = der::sequence(&[&der::integer(version), &der::tlv(der::OCTET_STRING, &[0; 8])]);
            let identifier = der::sequence(&[&der::object_identifier(oid::RC2_CBC), &parameters]);
            ContentCipher::from_identifier(tlv(&identifier), false).unwrap()
        };
        for (version, key_len) in [(160, 5), (120, 8), (58, 16)] {
            let algorithm = read(version).unwrap();
            assert_eq!((algorithm.cipher, algorithm.key_len()), (ContentCipher::Rc2Cbc, key_len), "{version}");
        }
        for version in [0, 5, 40, 57, 59, 64, 128, 256] {
            assert_eq!(read(version), None, "{version}");
        }
    }
}
