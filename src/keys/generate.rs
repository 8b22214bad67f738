//! New RSA, EC and SM2 keys with self-signed certificates, as partners exchange them (RFC 4130 leaves trust to bilateral agreement).

use jiff::{SignedDuration, Timestamp};
use openssl::asn1::{Asn1Integer, Asn1Time};
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Private};
use openssl::rsa::Rsa;
use openssl::symm::Cipher;
use openssl::x509::extension::{
    BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName, SubjectKeyIdentifier,
};
use openssl::x509::{X509, X509NameBuilder};

use crate::bilingual;
use crate::cms::{self, der};
use crate::ground::random;
use crate::ground::secret::Secret;
use crate::ground::text::Bilingual;

/// What a new key pair shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRequest {
    /// `CN` of the certificate, 1 to 64 characters.
    pub common_name: String,
    /// `O` of the certificate.
    pub organization: Option<String>,
    /// DNS names and IP addresses, for a certificate that also serves TLS.
    pub hosts: Vec<String>,
    /// Size of the key: 2048, 3072 or 4096 make an RSA key, 256 or 384 an EC key on P-256 or P-384.
    pub bits: u32,
    /// Days of validity from `now`.
    pub days: u32,
}

/// A fresh pair in PEM.
#[derive(Debug)]
pub struct KeyPair {
    /// The self-signed certificate.
    pub certificate_pem: Vec<u8>,
    /// PKCS#8, encrypted with AES-256 when a passphrase was given.
    pub key_pem: Secret<Vec<u8>>,
}

/// Why no pair was made.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// The common name is empty or too long (RFC 5280 A.1: `ub-common-name` is 64).
    #[error("the common name must have 1 to 64 characters")]
    Name,
    /// Not one of the sizes offered.
    #[error("the key size must be 2048, 3072 or 4096 (RSA), or 256 or 384 (EC)")]
    Bits,
    /// Too short or too long.
    #[error("the validity must be 1 to 36500 days")]
    Days,
    /// The library failed, usually over a name or host that cannot be encoded.
    #[error("OpenSSL could not make the key or certificate")]
    Library(#[from] ErrorStack),
}

impl GenerateError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            GenerateError::Name => "common-name-invalid",
            GenerateError::Bits => "key-size-invalid",
            GenerateError::Days => "validity-invalid",
            GenerateError::Library(_) => "key-generation-failed",
        }
    }

    /// What happened and what to do.
    pub fn text(&self) -> Bilingual {
        match self {
            GenerateError::Name => {
                bilingual!("证书名称须为 1 至 64 个字符。", "the common name must have 1 to 64 characters.")
            }
            GenerateError::Bits => {
                bilingual!(
                    "密钥长度须为 2048、3072 或 4096（RSA），或 256、384（EC）。",
                    "the key size must be 2048, 3072 or 4096 (RSA), or 256 or 384 (EC)."
                )
            }
            GenerateError::Days => {
                bilingual!("有效期须为 1 至 36500 天。", "the validity must be 1 to 36500 days.")
            }
            GenerateError::Library(_) => bilingual!(
                "无法生成密钥或证书。请检查名称和主机名中的特殊字符。",
                "the key or certificate could not be made. Look for unusual characters in names and hosts."
            ),
        }
    }
}

/// Makes a key and its certificate, valid from an hour before `now` (clocks differ).
///
/// # Errors
/// A request out of bounds, or a failure of the library.
pub fn generate(
    request: &KeyRequest,
    passphrase: Option<&Secret<String>>,
    now: Timestamp,
) -> Result<KeyPair, GenerateError> {
    check(request)?;
    let key = match request.bits {
        256 => elliptic(Nid::X9_62_PRIME256V1)?,
        384 => elliptic(Nid::SECP384R1)?,
        bits => PKey::from_rsa(Rsa::generate(bits)?)?,
    };
    let mut usage = KeyUsage::new();
    usage.critical().digital_signature();
    match key.id() {
        Id::EC => usage.key_agreement(),
        _ => usage.key_encipherment(),
    };
    let certificate = certificate(request, &key, &usage, MessageDigest::sha256(), now)?;
    Ok(KeyPair { certificate_pem: certificate.to_pem()?, key_pem: pem(&key, passphrase)? })
}

/// Makes an SM2 key for messages and its certificate; `bits` and `hosts` of the request do not matter.
///
/// # Errors
/// As [`generate`].
pub fn generate_sm2(
    request: &KeyRequest,
    passphrase: Option<&Secret<String>>,
    now: Timestamp,
) -> Result<KeyPair, GenerateError> {
    let mut usage = KeyUsage::new();
    usage.critical().digital_signature().non_repudiation().key_encipherment().data_encipherment();
    let request = KeyRequest { hosts: Vec::new(), ..request.clone() };
    let (key, certificate) = sm2(&request, &usage, now)?;
    Ok(KeyPair { certificate_pem: certificate.to_pem()?, key_pem: pem(&key, passphrase)? })
}

/// An SM2 key and a certificate that it signs itself.
pub(super) fn sm2(
    request: &KeyRequest,
    usage: &KeyUsage,
    now: Timestamp,
) -> Result<(PKey<Private>, X509), GenerateError> {
    let request = KeyRequest { bits: 256, ..request.clone() };
    check(&request)?;
    let key = sm2_key()?;
    let certificate = certificate(&request, &key, usage, MessageDigest::sm3(), now)?;
    let certificate = signed_anew(&certificate, &key)?;
    Ok((key, certificate))
}

/// The key as PKCS#8, encrypted when there is a passphrase.
pub(super) fn pem(key: &PKey<Private>, passphrase: Option<&Secret<String>>) -> Result<Secret<Vec<u8>>, ErrorStack> {
    let pem = match passphrase {
        Some(phrase) => key.private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), phrase.expose().as_bytes())?,
        None => key.private_key_to_pem_pkcs8()?,
    };
    Ok(Secret::new(pem))
}

fn elliptic(curve: Nid) -> Result<PKey<Private>, ErrorStack> {
    PKey::from_ec_key(EcKey::generate(&*EcGroup::from_curve_name(curve)?)?)
}

/// A new SM2 key. OpenSSL knows an elliptic key for one of SM2 only when it reads it.
fn sm2_key() -> Result<PKey<Private>, ErrorStack> {
    let group = EcGroup::from_curve_name(Nid::SM2)?;
    let pem = zeroize::Zeroizing::new(EcKey::generate(&group)?.private_key_to_pem()?);
    PKey::private_key_from_pem(&pem)
}

/// The certificate with a signature that names the signer by the usual identifier (GM/T 0009 10): OpenSSL 3.0 takes an empty
/// one by default, which nobody else does.
fn signed_anew(certificate: &X509, key: &PKey<Private>) -> Result<X509, ErrorStack> {
    let encoded = certificate.to_der()?;
    let malformed = |_| ErrorStack::get();
    let whole = der::Fields::only(&encoded, der::SEQUENCE).map_err(malformed)?;
    let mut fields = whole.fields();
    let body = fields.expect(der::SEQUENCE).map_err(malformed)?.raw;
    let algorithm = fields.expect(der::SEQUENCE).map_err(malformed)?.raw;
    let signature = cms::sm2::sign_encoded(key, body)?;
    let bits = der::tlv(der::BIT_STRING, &[&[0], signature.as_slice()].concat());
    X509::from_der(&der::sequence(&[body, algorithm, &bits]))
}

pub(super) fn check(request: &KeyRequest) -> Result<(), GenerateError> {
    if request.common_name.is_empty() || request.common_name.chars().count() > 64 {
        return Err(GenerateError::Name);
    }
    if !matches!(request.bits, 256 | 384 | 2048 | 3072 | 4096) {
        return Err(GenerateError::Bits);
    }
    if request.days == 0 || request.days > 36_500 {
        return Err(GenerateError::Days);
    }
    Ok(())
}

/// A certificate that the key signs itself.
pub(super) fn certificate(
    request: &KeyRequest,
    key: &PKey<Private>,
    usage: &KeyUsage,
    digest: MessageDigest,
    now: Timestamp,
) -> Result<X509, ErrorStack> {
    let mut name = X509NameBuilder::new()?;
    if let Some(organization) = &request.organization {
        name.append_entry_by_text("O", organization)?;
    }
    name.append_entry_by_text("CN", &request.common_name)?;
    let name = name.build();
    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    let serial = serial()?;
    builder.set_serial_number(&serial)?;
    builder.set_subject_name(&name)?;
    builder.set_issuer_name(&name)?;
    builder.set_pubkey(key)?;
    let end = now.saturating_add(SignedDuration::from_hours(24 * i64::from(request.days))).unwrap_or(Timestamp::MAX);
    let begin = now.saturating_sub(SignedDuration::from_hours(1)).unwrap_or(now);
    builder.set_not_before(&*Asn1Time::from_unix(begin.as_second())?)?;
    builder.set_not_after(&*Asn1Time::from_unix(end.as_second())?)?;
    builder.append_extension(BasicConstraints::new().critical().build()?)?;
    builder.append_extension(usage.build()?)?;
    let identifier = SubjectKeyIdentifier::new().build(&builder.x509v3_context(None, None))?;
    builder.append_extension(identifier)?;
    if !request.hosts.is_empty() {
        builder.append_extension(ExtendedKeyUsage::new().server_auth().client_auth().build()?)?;
        let names = alternative_names(&request.hosts).build(&builder.x509v3_context(None, None))?;
        builder.append_extension(names)?;
    }
    builder.sign(key, digest)?;
    Ok(builder.build())
}

fn alternative_names(hosts: &[String]) -> SubjectAlternativeName {
    let mut names = SubjectAlternativeName::new();
    for host in hosts {
        match host.parse::<std::net::IpAddr>() {
            Ok(_) => names.ip(host),
            Err(_) => names.dns(host),
        };
    }
    names
}

/// 127 random bits: positive and within the twenty octets of RFC 5280 4.1.2.2.
fn serial() -> Result<Asn1Integer, ErrorStack> {
    let mut bytes = [0u8; 16];
    random::fill(&mut bytes);
    if let Some(first) = bytes.first_mut() {
        *first = (*first & 0x7f) | 0x40;
    }
    BigNum::from_slice(&bytes)?.to_asn1_integer()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cms::{Certificate, KeyKind, PrivateKey};

    fn request() -> KeyRequest {
        KeyRequest {
            common_name: "测试企业".into(),
            organization: Some("Example".into()),
            hosts: vec!["localhost".into(), "127.0.0.1".into()],
            bits: 2048,
            days: 365,
        }
    }

    #[test]
    fn a_new_key_is_encrypted_and_opens_with_its_passphrase() {
        let now = Timestamp::from_second(1_790_000_000).expect("in range");
        let phrase = Secret::new("correct horse".to_owned());
        let pair = generate(&request(), Some(&phrase), now).expect("made");
        let pem = pair.key_pem.expose();
        assert!(pem.starts_with(b"-----BEGIN ENCRYPTED PRIVATE KEY-----"));
        let key = PKey::private_key_from_pem_passphrase(pem, b"correct horse").expect("opens");
        let certificate = X509::from_pem(&pair.certificate_pem).expect("a certificate");
        assert!(certificate.public_key().expect("key").public_eq(&key));
        assert!(certificate.verify(&key).expect("checked"), "self-signed");
    }

    /// What other products stumbled over in the certificates of partners: serial numbers of zero or less, critical uses.
    #[test]
    fn a_certificate_made_here_is_one_that_other_products_take() {
        let pair = generate(&request(), None, Timestamp::from_second(1_790_000_000).expect("in range")).expect("made");
        let certificate = X509::from_pem(&pair.certificate_pem).expect("a certificate");
        let serial = certificate.serial_number().to_bn().expect("a number");
        assert!(!serial.is_negative() && serial.num_bits() > 64);
        assert!(certificate.subject_name().entries_by_nid(openssl::nid::Nid::COUNTRYNAME).next().is_none());
        let text = String::from_utf8(certificate.to_text().expect("text")).expect("UTF-8");
        assert!(text.contains("Extended Key Usage:") && !text.contains("Extended Key Usage: critical"), "{text}");
    }

    #[test]
    fn elliptic_keys_sign_and_agree_on_keys() {
        let now = Timestamp::from_second(1_790_000_000).expect("in range");
        for (bits, kind) in [(256, KeyKind::EcP256), (384, KeyKind::EcP384)] {
            let pair = generate(&KeyRequest { bits, ..request() }, None, now).expect("made");
            let key = PrivateKey::from_pem(pair.key_pem.expose(), None).expect("a key");
            let certificate = Certificate::from_pem(&pair.certificate_pem).expect("a certificate");
            assert!(key.matches(&certificate) && certificate.is_self_signed());
            assert_eq!((key.kind(), certificate.key_kind()), (kind, Some(kind)));
        }
    }

    #[test]
    fn an_sm2_key_for_messages_signs_and_decrypts() {
        let now = Timestamp::from_second(1_790_000_000).expect("in range");
        let phrase = Secret::new("correct horse".to_owned());
        let pair = generate_sm2(&request(), Some(&phrase), now).expect("made");
        let key = PrivateKey::from_pem(pair.key_pem.expose(), Some(&phrase)).expect("a key");
        let certificate = Certificate::from_pem(&pair.certificate_pem).expect("a certificate");
        assert!(key.matches(&certificate) && certificate.is_self_signed());
        assert_eq!((key.kind(), certificate.key_kind()), (KeyKind::Sm2, Some(KeyKind::Sm2)));
        let text = String::from_utf8(certificate.x509().to_text().expect("text")).expect("UTF-8");
        for usage in ["Digital Signature", "Key Encipherment", "Data Encipherment"] {
            assert!(text.contains(usage), "{text}");
        }
        let nameless = KeyRequest { common_name: String::new(), ..request() };
        assert_eq!(generate_sm2(&nameless, None, now).expect_err("refused").code(), "common-name-invalid");
    }

    #[test]
    fn requests_out_of_bounds_are_refused() {
        let now = Timestamp::UNIX_EPOCH;
        for (bad, code) in [
            (KeyRequest { bits: 1024, ..request() }, "key-size-invalid"),
            (KeyRequest { days: 0, ..request() }, "validity-invalid"),
            (KeyRequest { common_name: String::new(), ..request() }, "common-name-invalid"),
        ] {
            assert_eq!(generate(&bad, None, now).expect_err("refused").code(), code, "{bad:?}");
        }
    }
}
