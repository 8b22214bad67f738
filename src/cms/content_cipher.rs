//! Content ciphers and their AlgorithmIdentifiers (RFC 3565, 5084).

use openssl::cipher::{Cipher, CipherRef};

use super::algorithm::{algorithm_identifier, named, sequence_fields};
use super::der::{self, DerError, Tlv};
use super::oid;

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
}
