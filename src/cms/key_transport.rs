//! How content keys travel, and their AlgorithmIdentifiers (RFC 3370, 3560, 4055, 5753, GM/T 0010).

use super::algorithm::{algorithm_identifier, explicit_digest, explicit_mgf1, is_null, mgf1, named, sequence_fields};
use super::der::{self, DerError, Fields, Tlv};
use super::{ContentCipher, DigestAlgorithm, KeyKind, oid};

named! {
    /// How the content key is encrypted for a recipient: under its RSA or SM2 key, or under a key agreed with its EC key.
    /// OAEP is written with MGF1 of its own digest and read with MGF1 of any digest that is one of OAEP here.
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
        /// Ephemeral-static ECDH (RFC 5753 3.1) with the X9.63 key derivation of SHA-1: only older products write it.
        EcdhSha1 = "ecdh-sha1",
        /// The same with SHA-256.
        EcdhSha256 = "ecdh-sha256",
        /// The same with SHA-384.
        EcdhSha384 = "ecdh-sha384",
        /// The same with SHA-512.
        EcdhSha512 = "ecdh-sha512",
        /// SM2 public key encryption (GB/T 32918.4), the ciphertext as in GM/T 0009 7.2: for SM4 alone.
        Sm2 = "sm2",
    }
}

impl KeyTransport {
    /// Whether it works with a key of this kind.
    pub fn fits(self, kind: KeyKind) -> bool {
        match self {
            KeyTransport::Sm2 => kind == KeyKind::Sm2,
            _ if self.kdf_digest().is_some() => kind.is_elliptic(),
            _ => kind == KeyKind::Rsa,
        }
    }

    /// Whether it transports keys of this cipher: SM2 those of SM4 and no others, which travel in no other way.
    pub fn goes_with(self, cipher: ContentCipher) -> bool {
        (self == KeyTransport::Sm2) == (cipher == ContentCipher::Sm4Cbc)
    }

    /// The digest of the key derivation; `None` unless the key is agreed by ECDH.
    pub(super) fn kdf_digest(self) -> Option<DigestAlgorithm> {
        match self {
            KeyTransport::EcdhSha1 => Some(DigestAlgorithm::Sha1),
            KeyTransport::EcdhSha256 => Some(DigestAlgorithm::Sha256),
            KeyTransport::EcdhSha384 => Some(DigestAlgorithm::Sha384),
            KeyTransport::EcdhSha512 => Some(DigestAlgorithm::Sha512),
            _ => None,
        }
    }

    /// The digest of OAEP, and of its MGF1 as we write it; `None` for everything else.
    pub(super) fn oaep_digest(self) -> Option<DigestAlgorithm> {
        match self {
            KeyTransport::RsaOaepSha1 => Some(DigestAlgorithm::Sha1),
            KeyTransport::RsaOaepSha256 => Some(DigestAlgorithm::Sha256),
            KeyTransport::RsaOaepSha384 => Some(DigestAlgorithm::Sha384),
            KeyTransport::RsaOaepSha512 => Some(DigestAlgorithm::Sha512),
            _ => None,
        }
    }

    /// AlgorithmIdentifier of key transport; of OAEP the parameters are written that are not the defaults, which must be left out
    /// (RFC 4055 4.1): none with SHA-1. None of SM2.
    pub(super) fn identifier(self) -> Vec<u8> {
        if self == KeyTransport::Sm2 {
            return der::sequence(&[&der::object_identifier(oid::SM2_ENCRYPT)]);
        }
        let Some(digest) = self.oaep_digest() else {
            return der::sequence(&[&der::object_identifier(oid::RSA_ENCRYPTION), &der::tlv(der::NULL, &[])]);
        };
        let parameters = match digest {
            DigestAlgorithm::Sha1 => der::sequence(&[]),
            _ => der::sequence(&[
                &der::tlv(der::context_constructed(0), &digest.identifier_with_null()),
                &der::tlv(der::context_constructed(1), &mgf1(digest)),
            ]),
        };
        der::sequence(&[&der::object_identifier(oid::RSAES_OAEP), &parameters])
    }

    /// AlgorithmIdentifier of key agreement; its parameters say how the agreed key wraps the content key
    /// (RFC 5753 7.1.4).
    pub(super) fn agreement_identifier(self, wrap: KeyWrap) -> Vec<u8> {
        let scheme = match self {
            KeyTransport::EcdhSha1 => oid::ECDH_SHA1_KDF,
            KeyTransport::EcdhSha384 => oid::ECDH_SHA384_KDF,
            KeyTransport::EcdhSha512 => oid::ECDH_SHA512_KDF,
            _ => oid::ECDH_SHA256_KDF,
        };
        der::sequence(&[&der::object_identifier(scheme), &wrap.identifier()])
    }

    /// Reads the `keyEncryptionAlgorithm` of key agreement with the key wrap and its AlgorithmIdentifier as it stands
    /// there. `None` when unknown. The cofactor of P-256 and P-384 is 1, so cofactor ECDH computes the same.
    pub(super) fn from_agreement_identifier(identifier: Tlv<'_>) -> Result<Option<AgreementScheme<'_>>, DerError> {
        let (scheme, parameters) = algorithm_identifier(identifier)?;
        let transport = match scheme {
            oid::ECDH_SHA1_KDF | oid::COFACTOR_ECDH_SHA1_KDF => KeyTransport::EcdhSha1,
            oid::ECDH_SHA256_KDF | oid::COFACTOR_ECDH_SHA256_KDF => KeyTransport::EcdhSha256,
            oid::ECDH_SHA384_KDF | oid::COFACTOR_ECDH_SHA384_KDF => KeyTransport::EcdhSha384,
            oid::ECDH_SHA512_KDF | oid::COFACTOR_ECDH_SHA512_KDF => KeyTransport::EcdhSha512,
            _ => return Ok(None),
        };
        let parameters = parameters.ok_or(DerError("key wrap missing"))?;
        Ok(KeyWrap::from_identifier(parameters)?.map(|wrap| (transport, wrap, parameters.raw)))
    }

    /// Reads the `keyEncryptionAlgorithm` of key transport, and the digest of MGF1 for OAEP. `None` when one of them is
    /// unknown, or with a label. The digests may differ: that of MGF1 is SHA-1 in Java unless it is set as well.
    pub(super) fn from_identifier(identifier: Tlv<'_>) -> Result<Option<TransportScheme>, DerError> {
        let (algorithm, parameters) = algorithm_identifier(identifier)?;
        let plain = match algorithm {
            oid::RSA_ENCRYPTION => Some(KeyTransport::RsaPkcs1),
            oid::SM2_ENCRYPT => Some(KeyTransport::Sm2),
            _ => None,
        };
        if let Some(plain) = plain {
            return Ok(parameters.as_ref().is_none_or(is_null).then_some((plain, None)));
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
        let transport = hash.and_then(KeyTransport::with_oaep_digest).filter(|_| unlabelled);
        Ok(transport
            .zip(mgf)
            .filter(|(_, mgf)| KeyTransport::with_oaep_digest(*mgf).is_some())
            .map(|(transport, mgf)| (transport, Some(mgf))))
    }

    fn with_oaep_digest(digest: DigestAlgorithm) -> Option<KeyTransport> {
        KeyTransport::ALL.iter().copied().find(|one| one.oaep_digest() == Some(digest))
    }
}

/// How a key travels and, for OAEP, the digest of its MGF1.
pub(super) type TransportScheme = (KeyTransport, Option<DigestAlgorithm>);

/// `pSpecified` with an empty label, which is the default (RFC 4055 4.1).
fn is_empty_label(field: Tlv<'_>) -> Result<bool, DerError> {
    let (algorithm, parameters) = algorithm_identifier(Fields::only(field.content, der::SEQUENCE)?)?;
    let empty = parameters.is_some_and(|value| value.tag == der::OCTET_STRING && value.content.is_empty());
    Ok(algorithm == oid::P_SPECIFIED && empty)
}

/// How keys are agreed, how the agreed key wraps, and the AlgorithmIdentifier that says so.
pub(super) type AgreementScheme<'a> = (KeyTransport, KeyWrap, &'a [u8]);

/// AES key wrap (RFC 3394, RFC 3565 2.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyWrap {
    Aes128,
    Aes192,
    Aes256,
}

impl KeyWrap {
    const ALL: [KeyWrap; 3] = [KeyWrap::Aes128, KeyWrap::Aes192, KeyWrap::Aes256];

    /// As strong as a content key of this length.
    pub(super) fn for_key_len(len: usize) -> KeyWrap {
        match len {
            0..=16 => KeyWrap::Aes128,
            17..=24 => KeyWrap::Aes192,
            _ => KeyWrap::Aes256,
        }
    }

    /// Bytes of the key that wraps.
    pub(super) fn key_len(self) -> usize {
        match self {
            KeyWrap::Aes128 => 16,
            KeyWrap::Aes192 => 24,
            KeyWrap::Aes256 => 32,
        }
    }

    fn oid(self) -> &'static [u8] {
        match self {
            KeyWrap::Aes128 => oid::AES128_WRAP,
            KeyWrap::Aes192 => oid::AES192_WRAP,
            KeyWrap::Aes256 => oid::AES256_WRAP,
        }
    }

    /// AlgorithmIdentifier without parameters.
    pub(super) fn identifier(self) -> Vec<u8> {
        der::sequence(&[&der::object_identifier(self.oid())])
    }

    /// Parameters absent or, as some products write, NULL.
    fn from_identifier(identifier: Tlv<'_>) -> Result<Option<KeyWrap>, DerError> {
        let (algorithm, parameters) = algorithm_identifier(identifier)?;
        let known = KeyWrap::ALL.into_iter().find(|wrap| wrap.oid() == algorithm);
        Ok(known.filter(|_| parameters.as_ref().is_none_or(is_null)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tlv(der: &[u8]) -> Tlv<'_> {
        Fields::only(der, der::SEQUENCE).unwrap()
    }

    #[test]
    fn every_identifier_is_read_back() {
        for transport in KeyTransport::ALL.iter().copied() {
            assert_eq!(transport.name().parse(), Ok(transport));
            if transport.kdf_digest().is_none() {
                let read = KeyTransport::from_identifier(tlv(&transport.identifier()));
                assert_eq!(read, Ok(Some((transport, transport.oaep_digest()))));
                continue;
            }
            for wrap in KeyWrap::ALL {
                let identifier = transport.agreement_identifier(wrap);
                let (read, read_wrap, info) =
                    KeyTransport::from_agreement_identifier(tlv(&identifier)).unwrap().unwrap();
                assert_eq!((read, read_wrap, info), (transport, wrap, wrap.identifier().as_slice()));
            }
        }
        assert_eq!(serde_json::to_string(&KeyTransport::RsaOaepSha256).unwrap(), "\"rsa-oaep-sha256\"");
    }

    /// RSAES-OAEP-params with these digests and, behind them, these fields.
    fn oaep(hash: DigestAlgorithm, mgf: DigestAlgorithm, more: &[u8]) -> Vec<u8> {
        let hash = der::tlv(der::context_constructed(0), &hash.identifier_with_null());
        let mgf = der::tlv(der::context_constructed(1), &mgf1(mgf));
        der::sequence(&[&der::object_identifier(oid::RSAES_OAEP), &der::sequence(&[&hash, &mgf, more])])
    }

    fn label(octets: &[u8]) -> Vec<u8> {
        let source = [der::object_identifier(oid::P_SPECIFIED), der::tlv(der::OCTET_STRING, octets)].concat();
        der::tlv(der::context_constructed(2), &der::tlv(der::SEQUENCE, &source))
    }

    #[test]
    fn oaep_is_read_with_every_two_of_its_digests_and_with_an_empty_label_alone() {
        for transport in KeyTransport::ALL.iter().copied() {
            let Some(hash) = transport.oaep_digest() else { continue };
            for mgf in DigestAlgorithm::READABLE {
                let known = DigestAlgorithm::ALL.contains(&mgf);
                let expected = Ok(known.then_some((transport, Some(mgf))));
                assert_eq!(KeyTransport::from_identifier(tlv(&oaep(hash, mgf, &[]))), expected, "{hash} {mgf}");
                assert_eq!(KeyTransport::from_identifier(tlv(&oaep(hash, mgf, &label(b"")))), expected);
                assert_eq!(KeyTransport::from_identifier(tlv(&oaep(hash, mgf, &label(b"x")))), Ok(None));
            }
        }
        let sha256 = DigestAlgorithm::Sha256;
        for hash in [DigestAlgorithm::Md5, DigestAlgorithm::Sm3] {
            assert_eq!(KeyTransport::from_identifier(tlv(&oaep(hash, sha256, &[]))), Ok(None), "{hash}");
        }
    }

    #[test]
    fn oaep_with_sha_1_is_written_without_parameters_and_any_other_with_all() {
        for transport in KeyTransport::ALL.iter().copied() {
            let Some(digest) = transport.oaep_digest() else { continue };
            let parameters = algorithm_identifier(tlv(&transport.identifier())).unwrap().1.unwrap().raw.to_vec();
            let expected = match digest {
                DigestAlgorithm::Sha1 => vec![0x30, 0x00],
                _ => Fields::only(&oaep(digest, digest, &[]), der::SEQUENCE).unwrap().content[11..].to_vec(),
            };
            assert_eq!(parameters, expected, "{transport}");
        }
    }

    #[test]
    fn digests_that_oaep_leaves_out_are_sha_1() {
        let sha1 = Some(DigestAlgorithm::Sha1);
        let sha256 = der::tlv(der::context_constructed(0), &DigestAlgorithm::Sha256.identifier_with_null());
        for (fields, transport) in [(Vec::new(), KeyTransport::RsaOaepSha1), (sha256, KeyTransport::RsaOaepSha256)] {
            let identifier = der::sequence(&[&der::object_identifier(oid::RSAES_OAEP), &der::sequence(&[&fields])]);
            assert_eq!(KeyTransport::from_identifier(tlv(&identifier)), Ok(Some((transport, sha1))));
        }
    }

    #[test]
    fn an_agreement_without_a_known_key_wrap_is_not_taken() {
        let without = der::sequence(&[&der::object_identifier(oid::ECDH_SHA256_KDF)]);
        assert!(KeyTransport::from_agreement_identifier(tlv(&without)).is_err());
        let other = der::sequence(&[&der::object_identifier(oid::AES128_CBC)]);
        let other = der::sequence(&[&der::object_identifier(oid::ECDH_SHA256_KDF), &other]);
        assert_eq!(KeyTransport::from_agreement_identifier(tlv(&other)), Ok(None));
    }
}
