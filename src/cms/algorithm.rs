//! Digests and signature schemes by their configuration names and AlgorithmIdentifiers (RFC 3370, 4055, 5754, 5758, GM/T 0006),
//! and what all AlgorithmIdentifiers have in common. Ciphers stand in `content_cipher`, key encryption in `key_transport`.

use openssl::md::{Md, MdRef};
use openssl::nid::Nid;

use super::der::{self, DerError, Fields, Tlv};
use super::{DigestAlgorithm, KeyKind, oid};

/// A name that stands for no algorithm of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown algorithm name")]
pub struct UnknownAlgorithm;

/// Display, FromStr and serde by one table of names.
macro_rules! named {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[$vmeta])* #[serde(rename = $text)] $variant,)+ }

        impl $name {
            /// Every one, in the order of declaration.
            pub const ALL: &'static [$name] = &[$($name::$variant,)+];

            /// The name in configuration files, reports and JSON.
            pub fn name(self) -> &'static str {
                match self { $($name::$variant => $text,)+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::cms::UnknownAlgorithm;

            fn from_str(text: &str) -> Result<$name, $crate::cms::UnknownAlgorithm> {
                let named = |one: &$name| one.name().eq_ignore_ascii_case(text);
                $name::ALL.iter().copied().find(named).ok_or($crate::cms::UnknownAlgorithm)
            }
        }
    };
}
pub(super) use named;

named! {
    /// How a digest is signed (RFC 8017 8, RFC 5753 2.1, GB/T 32918.2).
    SignatureScheme {
        /// RSASSA-PKCS1-v1_5: what every AS2 product understands.
        RsaPkcs1 = "rsa-pkcs1",
        /// RSASSA-PSS (RFC 4056) with MGF1 of the same digest and a salt as long as it.
        RsaPss = "rsa-pss",
        /// ECDSA on P-256 or P-384.
        Ecdsa = "ecdsa",
        /// SM2, always and only with SM3 (GM/T 0009): under an agreement alone.
        Sm2 = "sm2",
    }
}

impl DigestAlgorithm {
    /// OpenSSL's name for it.
    pub(super) fn md(self) -> &'static MdRef {
        match self {
            DigestAlgorithm::Md5 => Md::md5(),
            DigestAlgorithm::Sha1 => Md::sha1(),
            DigestAlgorithm::Sha256 => Md::sha256(),
            DigestAlgorithm::Sha384 => Md::sha384(),
            DigestAlgorithm::Sha512 => Md::sha512(),
            // No operation takes it: SM3 goes with SM2 alone, whose digest is computed in `sm2`.
            DigestAlgorithm::Sm3 => Md::from_nid(Nid::SM3).unwrap_or_else(Md::null),
        }
    }

    fn oid(self) -> &'static [u8] {
        match self {
            DigestAlgorithm::Md5 => oid::MD5,
            DigestAlgorithm::Sha1 => oid::SHA1,
            DigestAlgorithm::Sha256 => oid::SHA256,
            DigestAlgorithm::Sha384 => oid::SHA384,
            DigestAlgorithm::Sha512 => oid::SHA512,
            DigestAlgorithm::Sm3 => oid::SM3,
        }
    }

    /// AlgorithmIdentifier without parameters, as RFC 5754 2 wants it written.
    pub(super) fn identifier(self) -> Vec<u8> {
        der::sequence(&[&der::object_identifier(self.oid())])
    }

    /// AlgorithmIdentifier with NULL, as RFC 4055 2.1 wants it inside PSS and OAEP parameters.
    pub(super) fn identifier_with_null(self) -> Vec<u8> {
        der::sequence(&[&der::object_identifier(self.oid()), &der::tlv(der::NULL, &[])])
    }

    /// Reads an AlgorithmIdentifier; parameters absent or NULL (RFC 5754 2). `None` for an unknown algorithm.
    pub(super) fn from_identifier(identifier: Tlv<'_>) -> Result<Option<DigestAlgorithm>, DerError> {
        let (algorithm, parameters) = algorithm_identifier(identifier)?;
        let known = DigestAlgorithm::READABLE.into_iter().find(|digest| digest.oid() == algorithm);
        match (known, parameters) {
            (Some(_), Some(parameters)) if !is_null(&parameters) => Err(DerError("digest parameters")),
            _ => Ok(known),
        }
    }

    /// The same of a signer's `digestAlgorithm`: some signers on .NET name their signature (`sha256WithRSAEncryption`) there, and
    /// mean its digest.
    pub(super) fn of_signer(identifier: Tlv<'_>) -> Result<Option<DigestAlgorithm>, DerError> {
        let (algorithm, parameters) = algorithm_identifier(identifier)?;
        match rsa_signature_digest(algorithm).filter(|_| parameters.as_ref().is_none_or(is_null)) {
            Some(implied) => Ok(Some(implied)),
            None => DigestAlgorithm::from_identifier(identifier),
        }
    }
}

impl SignatureScheme {
    /// Those that are used without being named in an agreement.
    pub const STANDARD: &'static [SignatureScheme] =
        &[SignatureScheme::RsaPkcs1, SignatureScheme::RsaPss, SignatureScheme::Ecdsa];

    /// Whether it signs over this digest: SM2 over SM3 and nothing else, SM3 under SM2 and nothing else.
    pub fn goes_with(self, digest: DigestAlgorithm) -> bool {
        (self == SignatureScheme::Sm2) == (digest == DigestAlgorithm::Sm3)
    }

    /// Whether a key of this kind signs so.
    pub fn fits(self, kind: KeyKind) -> bool {
        match self {
            SignatureScheme::RsaPkcs1 | SignatureScheme::RsaPss => kind == KeyKind::Rsa,
            SignatureScheme::Ecdsa => kind.is_elliptic(),
            SignatureScheme::Sm2 => kind == KeyKind::Sm2,
        }
    }

    /// The scheme that every product understands for a key of this kind.
    pub fn usual_for(kind: KeyKind) -> SignatureScheme {
        match kind {
            KeyKind::Rsa => SignatureScheme::RsaPkcs1,
            KeyKind::EcP256 | KeyKind::EcP384 => SignatureScheme::Ecdsa,
            KeyKind::Sm2 => SignatureScheme::Sm2,
        }
    }

    /// AlgorithmIdentifier of a signature over `digest`; every PSS parameter is written (RFC 4056 3), none of ECDSA
    /// (RFC 5754 3.3). SM2 is named as certificates name it, because whoever reads CMS with the content types of RFC 5652
    /// (Bouncy Castle, Tongsuo, GmSSL) knows this name; that of GM/T 0010 is read as well.
    pub(super) fn identifier(self, digest: DigestAlgorithm) -> Vec<u8> {
        match self {
            SignatureScheme::Ecdsa => der::sequence(&[&der::object_identifier(ecdsa_oid(digest).unwrap_or_default())]),
            SignatureScheme::Sm2 => der::sequence(&[&der::object_identifier(oid::SM2_WITH_SM3)]),
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
    /// RSASSA-PSS with its MGF1 digest and salt length in bytes; `None`: whatever length the signature has.
    Pss { mgf: DigestAlgorithm, salt: Option<u32> },
    /// ECDSA over a digest by `digestAlgorithm`.
    Ecdsa,
    /// SM2 over SM3.
    Sm2,
}

impl SignatureParameters {
    /// Reads `signatureAlgorithm`, which must agree with the signer's `digest` (RFC 4056 3, RFC 5754 3.2). `None`
    /// when it is unknown or contradicts.
    pub(super) fn from_identifier(
        identifier: Tlv<'_>,
        digest: DigestAlgorithm,
    ) -> Result<Option<SignatureParameters>, DerError> {
        let (algorithm, parameters) = algorithm_identifier(identifier)?;
        if digest == DigestAlgorithm::Sm3 {
            let sm2 = matches!(algorithm, oid::SM2_WITH_SM3 | oid::SM2_SIGN) && parameters.as_ref().is_none_or(is_null);
            return Ok(sm2.then_some(SignatureParameters::Sm2));
        }
        if algorithm == oid::RSASSA_PSS {
            return match parameters {
                Some(parameters) => pss_parameters(parameters, digest),
                // RFC 4055 3.1 demands them in signatures; pyas2lib leaves them out. It takes MGF1 with the digest that it
                // signs, and salt as long as its version of OpenSSL likes: of the digest's length, or as much as fits.
                None => Ok(Some(SignatureParameters::Pss { mgf: digest, salt: None })),
            };
        }
        let plain = parameters.as_ref().is_none_or(is_null);
        if algorithm == oid::EC_PUBLIC_KEY {
            // Windows (CryptMsg, .NET Framework) names the key, with its curve or without, and means ECDSA with the signer's digest.
            let curve = parameters.is_some_and(|parameters| parameters.tag == der::OID);
            let known = ecdsa_oid(digest).is_some() && (plain || curve);
            return Ok(known.then_some(SignatureParameters::Ecdsa));
        }
        if ecdsa_oid(digest) == Some(algorithm) {
            return Ok(plain.then_some(SignatureParameters::Ecdsa));
        }
        let implied = if algorithm == oid::RSA_ENCRYPTION { Some(digest) } else { rsa_signature_digest(algorithm) };
        Ok((plain && implied == Some(digest)).then_some(SignatureParameters::Pkcs1))
    }
}

/// The digest of …WithRSAEncryption (RFC 8017 A.2.4).
fn rsa_signature_digest(algorithm: &[u8]) -> Option<DigestAlgorithm> {
    match algorithm {
        oid::MD5_WITH_RSA => Some(DigestAlgorithm::Md5),
        oid::SHA1_WITH_RSA => Some(DigestAlgorithm::Sha1),
        oid::SHA256_WITH_RSA => Some(DigestAlgorithm::Sha256),
        oid::SHA384_WITH_RSA => Some(DigestAlgorithm::Sha384),
        oid::SHA512_WITH_RSA => Some(DigestAlgorithm::Sha512),
        _ => None,
    }
}

/// ecdsa-with-… (RFC 5758 3.2).
fn ecdsa_oid(digest: DigestAlgorithm) -> Option<&'static [u8]> {
    match digest {
        DigestAlgorithm::Md5 | DigestAlgorithm::Sm3 => None,
        DigestAlgorithm::Sha1 => Some(oid::ECDSA_WITH_SHA1),
        DigestAlgorithm::Sha256 => Some(oid::ECDSA_WITH_SHA256),
        DigestAlgorithm::Sha384 => Some(oid::ECDSA_WITH_SHA384),
        DigestAlgorithm::Sha512 => Some(oid::ECDSA_WITH_SHA512),
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
        (Some(hash), Some(mgf)) if hash == digest && mgf != DigestAlgorithm::Sm3 && salt <= MAX_SALT => {
            Ok(Some(SignatureParameters::Pss { mgf, salt: Some(salt) }))
        }
        _ => Ok(None),
    }
}

/// Most bytes of salt: no RSA key here has a longer modulus.
const MAX_SALT: u32 = 1024;

/// AlgorithmIdentifier of MGF1 over a digest.
pub(super) fn mgf1(digest: DigestAlgorithm) -> Vec<u8> {
    der::sequence(&[&der::object_identifier(oid::MGF1), &digest.identifier_with_null()])
}

/// `[number] EXPLICIT` digest AlgorithmIdentifier, SHA-1 by default; `None` when unknown.
pub(super) fn explicit_digest(fields: &mut Fields<'_>, number: u8) -> Result<Option<DigestAlgorithm>, DerError> {
    match fields.optional(der::context_constructed(number))? {
        Some(field) => DigestAlgorithm::from_identifier(Fields::only(field.content, der::SEQUENCE)?),
        None => Ok(Some(DigestAlgorithm::Sha1)),
    }
}

/// `[number] EXPLICIT` MGF1 with its digest, SHA-1 by default; `None` when unknown.
pub(super) fn explicit_mgf1(fields: &mut Fields<'_>, number: u8) -> Result<Option<DigestAlgorithm>, DerError> {
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

pub(super) fn sequence_fields(value: Tlv<'_>) -> Result<Fields<'_>, DerError> {
    if value.tag == der::SEQUENCE { Ok(value.fields()) } else { Err(DerError("SEQUENCE expected")) }
}

pub(super) fn is_null(value: &Tlv<'_>) -> bool {
    value.tag == der::NULL && value.content.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tlv(der: &[u8]) -> Tlv<'_> {
        Fields::only(der, der::SEQUENCE).unwrap()
    }

    #[test]
    fn every_identifier_is_read_back() {
        for digest in DigestAlgorithm::ALL {
            assert_eq!(DigestAlgorithm::from_identifier(tlv(&digest.identifier())), Ok(Some(digest)));
            let pss = SignatureScheme::RsaPss.identifier(digest);
            let salt = u32::try_from(digest.size()).unwrap();
            let expected = SignatureParameters::Pss { mgf: digest, salt: Some(salt) };
            assert_eq!(SignatureParameters::from_identifier(tlv(&pss), digest), Ok(Some(expected)));
            let ecdsa = SignatureScheme::Ecdsa.identifier(digest);
            let read = SignatureParameters::from_identifier(tlv(&ecdsa), digest);
            assert_eq!(read, Ok(Some(SignatureParameters::Ecdsa)));
        }
    }

    #[test]
    fn a_signature_algorithm_that_contradicts_the_digest_is_refused() {
        for scheme in [SignatureScheme::RsaPss, SignatureScheme::Ecdsa] {
            let identifier = scheme.identifier(DigestAlgorithm::Sha256);
            let read = SignatureParameters::from_identifier(tlv(&identifier), DigestAlgorithm::Sha512);
            assert_eq!(read, Ok(None), "{scheme}");
        }
        let pkcs1 = der::sequence(&[&der::object_identifier(oid::SHA256_WITH_RSA), &der::tlv(der::NULL, &[])]);
        assert_eq!(SignatureParameters::from_identifier(tlv(&pkcs1), DigestAlgorithm::Sha384), Ok(None));
        let expected = Ok(Some(SignatureParameters::Pkcs1));
        assert_eq!(SignatureParameters::from_identifier(tlv(&pkcs1), DigestAlgorithm::Sha256), expected);
    }

    #[test]
    fn pss_without_parameters_is_of_the_signers_digest_and_with_empty_ones_of_sha_1() {
        let read = |parameters: &[u8], digest| {
            let identifier = der::sequence(&[&der::object_identifier(oid::RSASSA_PSS), parameters]);
            SignatureParameters::from_identifier(tlv(&identifier), digest)
        };
        for digest in DigestAlgorithm::ALL {
            assert_eq!(read(&[], digest), Ok(Some(SignatureParameters::Pss { mgf: digest, salt: None })));
        }
        let sha1 = DigestAlgorithm::Sha1;
        let defaults = SignatureParameters::Pss { mgf: sha1, salt: Some(20) };
        assert_eq!(read(&der::sequence(&[]), sha1), Ok(Some(defaults)));
        assert_eq!(read(&der::sequence(&[]), DigestAlgorithm::Sha256), Ok(None));
        assert!(read(&der::tlv(der::NULL, &[]), sha1).is_err(), "neither of them");
    }

    #[test]
    fn windows_names_the_key_of_an_ecdsa_signature_and_means_the_signers_digest() {
        let read = |parameters: &[u8], digest| {
            let identifier = der::sequence(&[&der::object_identifier(oid::EC_PUBLIC_KEY), parameters]);
            SignatureParameters::from_identifier(tlv(&identifier), digest)
        };
        let (null, curve) = (der::tlv(der::NULL, &[]), der::object_identifier(oid::SECP256R1));
        for parameters in [&[][..], &null, &curve] {
            for digest in DigestAlgorithm::ALL {
                assert_eq!(read(parameters, digest), Ok(Some(SignatureParameters::Ecdsa)), "{digest}");
            }
            for digest in [DigestAlgorithm::Md5, DigestAlgorithm::Sm3] {
                assert_eq!(read(parameters, digest), Ok(None), "{digest}");
            }
        }
        assert_eq!(read(&der::integer(1), DigestAlgorithm::Sha256), Ok(None));
    }

    #[test]
    fn a_signer_may_name_its_rsa_signature_for_the_digest() {
        for (algorithm, digest) in [
            (oid::SHA1_WITH_RSA, DigestAlgorithm::Sha1),
            (oid::SHA256_WITH_RSA, DigestAlgorithm::Sha256),
            (oid::SHA384_WITH_RSA, DigestAlgorithm::Sha384),
            (oid::SHA512_WITH_RSA, DigestAlgorithm::Sha512),
        ] {
            let identifier = |parameters: &[u8]| der::sequence(&[&der::object_identifier(algorithm), parameters]);
            for parameters in [&[][..], &der::tlv(der::NULL, &[])] {
                let identifier = identifier(parameters);
                assert_eq!(DigestAlgorithm::of_signer(tlv(&identifier)), Ok(Some(digest)));
                assert_eq!(DigestAlgorithm::from_identifier(tlv(&identifier)), Ok(None), "elsewhere it is no digest");
            }
            assert_eq!(DigestAlgorithm::of_signer(tlv(&identifier(&der::integer(1)))), Ok(None));
        }
        for digest in DigestAlgorithm::READABLE {
            assert_eq!(DigestAlgorithm::of_signer(tlv(&digest.identifier())), Ok(Some(digest)));
        }
    }

    #[test]
    fn pss_salts_may_be_as_long_as_the_longest_key() {
        let sha256 = DigestAlgorithm::Sha256;
        let read = |salt: u32| {
            let parameters = der::sequence(&[
                &der::tlv(der::context_constructed(0), &sha256.identifier_with_null()),
                &der::tlv(der::context_constructed(1), &mgf1(sha256)),
                &der::tlv(der::context_constructed(2), &der::integer(salt)),
            ]);
            let identifier = der::sequence(&[&der::object_identifier(oid::RSASSA_PSS), &parameters]);
            SignatureParameters::from_identifier(tlv(&identifier), sha256)
        };
        // 8192 bits leave 990 bytes.
        for salt in [512, 513, 990, 1024] {
            assert_eq!(read(salt), Ok(Some(SignatureParameters::Pss { mgf: sha256, salt: Some(salt) })), "{salt}");
        }
        assert_eq!(read(1025), Ok(None));
    }

    #[test]
    fn a_scheme_fits_its_own_kind_of_key() {
        assert!(SignatureScheme::RsaPss.fits(KeyKind::Rsa) && !SignatureScheme::RsaPss.fits(KeyKind::EcP256));
        assert!(SignatureScheme::Ecdsa.fits(KeyKind::EcP384) && !SignatureScheme::Ecdsa.fits(KeyKind::Rsa));
        for kind in [KeyKind::Rsa, KeyKind::EcP256, KeyKind::EcP384, KeyKind::Sm2] {
            assert!(SignatureScheme::usual_for(kind).fits(kind));
            assert_eq!(SignatureScheme::Sm2.fits(kind), kind == KeyKind::Sm2);
        }
    }

    #[test]
    fn sm2_and_sm3_go_with_each_other_and_with_nothing_else() {
        let sm3 = DigestAlgorithm::Sm3;
        assert_eq!(DigestAlgorithm::from_identifier(tlv(&sm3.identifier())), Ok(Some(sm3)));
        for scheme in SignatureScheme::ALL {
            for digest in DigestAlgorithm::READABLE {
                let both_or_neither = (*scheme == SignatureScheme::Sm2) == (digest == sm3);
                assert_eq!(scheme.goes_with(digest), both_or_neither, "{scheme} {digest}");
            }
        }
        let read = |algorithm: &[u8], parameters: &[u8], digest| {
            let identifier = der::sequence(&[&der::object_identifier(algorithm), parameters]);
            SignatureParameters::from_identifier(tlv(&identifier), digest)
        };
        let null = der::tlv(der::NULL, &[]);
        for algorithm in [oid::SM2_WITH_SM3, oid::SM2_SIGN] {
            for parameters in [&[][..], &null] {
                assert_eq!(read(algorithm, parameters, sm3), Ok(Some(SignatureParameters::Sm2)));
                assert_eq!(read(algorithm, parameters, DigestAlgorithm::Sha256), Ok(None));
            }
            assert_eq!(read(algorithm, &der::integer(1), sm3), Ok(None));
        }
        for algorithm in [oid::RSA_ENCRYPTION, oid::SHA256_WITH_RSA, oid::ECDSA_WITH_SHA256] {
            assert_eq!(read(algorithm, &[], sm3), Ok(None));
        }
        let pss = SignatureScheme::RsaPss.identifier(sm3);
        assert_eq!(SignatureParameters::from_identifier(tlv(&pss), sm3), Ok(None));
        let mgf = der::sequence(&[
            &der::tlv(der::context_constructed(0), &DigestAlgorithm::Sha256.identifier()),
            &der::tlv(der::context_constructed(1), &mgf1(sm3)),
        ]);
        assert_eq!(read(oid::RSASSA_PSS, &mgf, DigestAlgorithm::Sha256), Ok(None));
    }
}
