//! X.509 certificates (RFC 5280) as names of keys: whom to trust, for whom to encrypt, who signed.
//!
//! A certificate here is pinned by its whole content; chains, revocation and times are the business of the layers above,
//! which hand down only certificates that count at the moment.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use jiff::tz::Offset;
use openssl::bn::BigNum;
use openssl::ec::Asn1Flag;
use openssl::nid::Nid;
use openssl::pkey::{HasPublic, Id, PKey, PKeyRef, Public};
use openssl::x509::{X509, X509Name, X509NameRef, X509Ref};
use serde::{Deserialize, Serialize};

use super::der::{self, DerError, Fields, Tlv};
use super::operation::Contexts;
use super::{CmsError, DigestAlgorithm, sm2};
use crate::ground::text::printable;

/// SHA-256 of a certificate's DER; shown as 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Fingerprint(pub [u8; 32]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 64];
        HEXLOWER.encode_mut(&self.0, &mut text);
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Fingerprint {
    type Err = CmsError;

    /// Hex digits of any case, with or without colons and blanks between bytes.
    fn from_str(text: &str) -> Result<Fingerprint, CmsError> {
        let digits: Option<Vec<u32>> =
            text.chars().filter(|c| !matches!(c, ':' | ' ')).map(|c| c.to_digit(16)).collect();
        let digits = digits.ok_or(CmsError::NotAFingerprint)?;
        let (pairs, odd) = digits.as_chunks::<2>();
        let bytes: Vec<u8> =
            pairs.iter().map(|[high, low]| u8::try_from((high << 4) | low).unwrap_or_default()).collect();
        match bytes.try_into() {
            Ok(bytes) if odd.is_empty() => Ok(Fingerprint(bytes)),
            _ => Err(CmsError::NotAFingerprint),
        }
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> String {
        fingerprint.to_string()
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = CmsError;

    fn try_from(text: String) -> Result<Fingerprint, CmsError> {
        text.parse()
    }
}

/// A certificate; cheap to clone, equal when its DER is equal.
#[derive(Clone)]
pub struct Certificate(Arc<Inner>);

struct Inner {
    x509: X509,
    der: Vec<u8>,
    fingerprint: Fingerprint,
    names: Names,
    key: Option<(KeyKind, PKey<Public>)>,
    contexts: Contexts<Public>,
}

/// The kinds of keys that sign and encrypt here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// RSA of 2048 to 8192 bits with an exponent of at least 65537.
    Rsa,
    /// EC on P-256 (secp256r1).
    EcP256,
    /// EC on P-384 (secp384r1).
    EcP384,
    /// SM2 (GB/T 32918.5), for agreements that name it.
    Sm2,
}

impl KeyKind {
    /// The kind of a key; `None` for one that is too weak, so large that one operation becomes an attack, or of another
    /// algorithm or curve.
    pub(super) fn of<T: HasPublic>(key: &PKeyRef<T>) -> Option<KeyKind> {
        match key.id() {
            Id::RSA => is_strong_rsa(key).then_some(KeyKind::Rsa),
            Id::EC => {
                let key = key.ec_key().ok()?;
                // By its name (RFC 5480 2.1.1): OpenSSL finds one for parameters spelt out that are those of a known curve.
                let named = key.group().asn1_flag() == Asn1Flag::NAMED_CURVE;
                match key.group().curve_name().filter(|_| named)? {
                    Nid::X9_62_PRIME256V1 => Some(KeyKind::EcP256),
                    Nid::SECP384R1 => Some(KeyKind::EcP384),
                    _ => None,
                }
            }
            // OpenSSL has no number for an SM2 key that it has read.
            _ => sm2::public_point(key).map(|_| KeyKind::Sm2),
        }
    }

    /// EC on a curve of NIST.
    pub fn is_elliptic(self) -> bool {
        matches!(self, KeyKind::EcP256 | KeyKind::EcP384)
    }
}

/// What is read from the certificate itself, so that comparisons see the encoded bytes.
struct Names {
    serial: Vec<u8>,
    issuer: Vec<u8>,
    subject: Vec<u8>,
    public_key_digest: [u8; 32],
    not_before: Timestamp,
    not_after: Timestamp,
}

impl Certificate {
    /// Reads DER with nothing after it.
    ///
    /// # Errors
    /// [`CmsError::NotACertificate`].
    pub fn from_der(der: &[u8]) -> Result<Certificate, CmsError> {
        let x509 = X509::from_der(der).map_err(|_| CmsError::NotACertificate)?;
        // OpenSSL reads BER, too, and writes DER: the fingerprint would change with the form that a file has.
        if !x509.to_der().is_ok_and(|written| written == der) {
            return Err(CmsError::NotACertificate);
        }
        let names = names(der).map_err(|_| CmsError::NotACertificate)?;
        let digest = DigestAlgorithm::Sha256.digest(der);
        let fingerprint = Fingerprint(digest.try_into().map_err(|_| CmsError::NotACertificate)?);
        let key = x509.public_key().ok().and_then(|key| Some((KeyKind::of(&key)?, key)));
        Ok(Certificate(Arc::new(Inner {
            x509,
            der: der.to_vec(),
            fingerprint,
            names,
            key,
            contexts: Contexts::default(),
        })))
    }

    /// The first certificate of a PEM text.
    ///
    /// # Errors
    /// [`CmsError::NotACertificate`], also when there is none.
    pub fn from_pem(pem: &[u8]) -> Result<Certificate, CmsError> {
        Certificate::all_from_pem(pem)?.into_iter().next().ok_or(CmsError::NotACertificate)
    }

    /// Every certificate of a PEM text, in order.
    ///
    /// # Errors
    /// [`CmsError::NotACertificate`] when one of them cannot be read.
    pub fn all_from_pem(pem: &[u8]) -> Result<Vec<Certificate>, CmsError> {
        let all = X509::stack_from_pem(pem).map_err(|_| CmsError::NotACertificate)?;
        all.iter().map(|x509| Certificate::from_x509(x509)).collect()
    }

    /// The first certificate of a file in PEM or DER, whichever it is.
    ///
    /// # Errors
    /// [`CmsError::NotACertificate`].
    pub fn read(file: &[u8]) -> Result<Certificate, CmsError> {
        if file.first() == Some(&der::SEQUENCE) { Certificate::from_der(file) } else { Certificate::from_pem(file) }
    }

    /// Takes over a certificate that OpenSSL read or made.
    ///
    /// # Errors
    /// [`CmsError::NotACertificate`].
    pub fn from_x509(x509: &X509Ref) -> Result<Certificate, CmsError> {
        Certificate::from_der(&x509.to_der().map_err(|_| CmsError::NotACertificate)?)
    }

    /// The DER as read.
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// The certificate as PEM.
    pub fn to_pem(&self) -> String {
        let pem = self.0.x509.to_pem().expect("a certificate that was read can be written");
        String::from_utf8_lossy(&pem).into_owned()
    }

    /// SHA-256 of the DER.
    pub fn fingerprint(&self) -> Fingerprint {
        self.0.fingerprint
    }

    /// SHA-256 of its SubjectPublicKeyInfo in DER (RFC 5280 4.1.2.7): the same in every certificate that was made of one key.
    pub fn public_key_digest(&self) -> [u8; 32] {
        self.0.names.public_key_digest
    }

    /// Subject on one line, safe to print: `CN=DXPENT0000012345, O=…`.
    pub fn subject(&self) -> String {
        one_line(self.0.x509.subject_name())
    }

    /// Issuer on one line, safe to print.
    pub fn issuer(&self) -> String {
        one_line(self.0.x509.issuer_name())
    }

    /// Serial number as lower-case hex.
    pub fn serial(&self) -> String {
        HEXLOWER.encode(&self.0.names.serial)
    }

    /// First instant of validity.
    pub fn not_before(&self) -> Timestamp {
        self.0.names.not_before
    }

    /// Last instant of validity; for a certificate without end (RFC 5280 4.1.2.5) the last that every zone can show,
    /// 9999-12-30T22:00:00Z.
    pub fn not_after(&self) -> Timestamp {
        self.0.names.not_after
    }

    /// Whether `at` lies in the period of validity (RFC 5280 4.1.2.5: both ends inclusive).
    pub fn is_valid_at(&self, at: Timestamp) -> bool {
        self.not_before() <= at && at <= self.not_after()
    }

    /// Bits of the public key; 0 when OpenSSL cannot read it.
    pub fn key_bits(&self) -> u32 {
        self.0.x509.public_key().map_or(0, |key| key.bits())
    }

    /// `RSA`, `RSA-PSS`, `EC`, `SM2`, `ED25519` or `other`.
    pub fn key_algorithm(&self) -> &'static str {
        let Ok(key) = self.0.x509.public_key() else { return "other" };
        match key.id() {
            Id::RSA => "RSA",
            Id::RSA_PSS => "RSA-PSS",
            Id::ED25519 => "ED25519",
            // OpenSSL has more than one number for this kind.
            _ if sm2::public_point(&key).is_some() => "SM2",
            Id::EC => "EC",
            _ => "other",
        }
    }

    /// Whether `issuer` (DER of the Name) and `serial` (content octets of the INTEGER) name this certificate
    /// (RFC 5652 10.2.4). Names match when their bytes do, or by the comparison of RFC 5280 7.1.
    pub fn matches_issuer_serial(&self, issuer: &[u8], serial: &[u8]) -> bool {
        let names = &self.0.names;
        if names.serial != serial {
            return false;
        }
        names.issuer == issuer
            || X509Name::from_der(issuer).is_ok_and(|name| {
                name.try_cmp(self.0.x509.issuer_name()).is_ok_and(|order| order == std::cmp::Ordering::Equal)
            })
    }

    /// Whether issuer and serial number name `other` as well, which is another certificate.
    pub fn shares_its_name_with(&self, other: &Certificate) -> bool {
        self != other && self.matches_issuer_serial(&other.0.names.issuer, &other.0.names.serial)
    }

    /// Whether `key_id` is the certificate's subject key identifier extension.
    pub fn matches_key_id(&self, key_id: &[u8]) -> bool {
        self.0.x509.subject_key_id().is_some_and(|own| own.as_slice() == key_id)
    }

    /// Its DNS names and common names, as they stand in it.
    pub fn names(&self) -> Vec<String> {
        let alternative = self.0.x509.subject_alt_names();
        let dns = alternative.iter().flatten().filter_map(|name| name.dnsname().map(str::to_owned));
        let common = self.0.x509.subject_name().entries_by_nid(Nid::COMMONNAME);
        let common = common.filter_map(|entry| entry.data().to_string().ok().map(|name| name.to_string()));
        dns.chain(common).collect()
    }

    /// Whether it is signed with its own key.
    pub fn is_self_signed(&self) -> bool {
        let names = &self.0.names;
        let by = |key: &PKeyRef<Public>| self.0.x509.verify(key).unwrap_or(false) || sm2::is_signed_by(self.der(), key);
        names.issuer == names.subject && self.0.x509.public_key().is_ok_and(|key| by(&key))
    }

    /// OpenSSL's view of it, for the layers that build chains.
    pub fn x509(&self) -> &X509Ref {
        &self.0.x509
    }

    /// Issuer (DER of the Name) and serial (content octets) as a message names them.
    pub(super) fn issuer_and_serial(&self) -> Vec<u8> {
        der::sequence(&[&self.0.names.issuer, &der::tlv(der::INTEGER, &self.0.names.serial)])
    }

    /// The kind of its key, if that key signs or encrypts here.
    pub fn key_kind(&self) -> Option<KeyKind> {
        self.0.key.as_ref().map(|(kind, _)| *kind)
    }

    /// The public key, if it is of a kind that signs or encrypts here.
    pub(super) fn key(&self) -> Option<(KeyKind, &PKeyRef<Public>)> {
        self.0.key.as_ref().map(|(kind, key)| (*kind, key.as_ref()))
    }

    /// What that key is used with.
    pub(super) fn contexts(&self) -> &Contexts<Public> {
        &self.0.contexts
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Certificate) -> bool {
        self.fingerprint() == other.fingerprint()
    }
}

impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("subject", &self.subject())
            .field("fingerprint", &self.fingerprint())
            .finish()
    }
}

fn is_strong_rsa<T: HasPublic>(key: &PKeyRef<T>) -> bool {
    let exponent_is_large =
        || key.rsa().ok().zip(BigNum::from_u32(65_537).ok()).is_some_and(|(rsa, floor)| *rsa.e() >= *floor);
    (2048..=8192).contains(&key.bits()) && exponent_is_large()
}

/// The fields of TBSCertificate up to the public key (RFC 5280 4.1).
fn names(certificate: &[u8]) -> Result<Names, DerError> {
    let mut tbs = Fields::only(certificate, der::SEQUENCE)?.fields().expect(der::SEQUENCE)?.fields();
    tbs.optional(der::context_constructed(0))?;
    let serial = tbs.expect(der::INTEGER)?;
    tbs.expect(der::SEQUENCE)?;
    let issuer = tbs.expect(der::SEQUENCE)?;
    let mut validity = tbs.expect(der::SEQUENCE)?.fields();
    let mut bound = || validity.take()?.as_ref().map_or(Err(DerError("validity")), instant);
    let (not_before, not_after) = (bound()?, bound()?);
    let subject = tbs.expect(der::SEQUENCE)?;
    let public_key = DigestAlgorithm::Sha256.digest(tbs.expect(der::SEQUENCE)?.raw);
    Ok(Names {
        serial: serial.content.to_vec(),
        issuer: issuer.raw.to_vec(),
        subject: subject.raw.to_vec(),
        public_key_digest: public_key.try_into().map_err(|_| DerError("public key"))?,
        not_before,
        not_after,
    })
}

/// Certificates without end say `99991231235959Z`, which is later than the last instant there is here.
fn instant(bound: &Tlv<'_>) -> Result<Timestamp, DerError> {
    Ok(Offset::UTC.to_timestamp(bound.date_time()?).unwrap_or(LAST))
}

/// [`Timestamp::MAX`] to the second.
const LAST: Timestamp = Timestamp::constant(253_402_207_200, 0);

fn one_line(name: &X509NameRef) -> String {
    let entries = name.entries().map(|entry| {
        let kind = entry.object().nid().short_name().unwrap_or("OID");
        let value = entry.data().to_string();
        let value = value.unwrap_or_else(|_| String::from_utf8_lossy(entry.data().as_slice()).into_owned());
        format!("{kind}={}", printable(&value))
    });
    entries.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::specimens::{
        ALICE, EVE_P256, FRANK_P384, GRACE_SM2, certificate_until, elliptic, same_name_as_alice,
    };
    use super::*;
    use crate::ground::clock::customs_time;

    #[test]
    fn pem_and_der_give_the_same_certificate() {
        let certificate = &ALICE.certificate;
        assert_eq!(&Certificate::from_pem(certificate.to_pem().as_bytes()).unwrap(), certificate);
        assert_eq!(&Certificate::read(certificate.der()).unwrap(), certificate);
        let mut longer = certificate.der().to_vec();
        longer.push(0);
        assert!(matches!(Certificate::from_der(&longer), Err(CmsError::NotACertificate)));
    }

    #[test]
    fn what_openssl_would_write_in_another_way_is_no_certificate() {
        let der = ALICE.certificate.der();
        let (head, rest) = der.split_first_chunk::<2>().unwrap();
        assert_eq!(head, &[0x30, 0x82], "a length of two bytes");
        let padded = [&[0x30, 0x83, 0][..], rest].concat();
        assert!(X509::from_der(&padded).is_ok(), "OpenSSL reads it");
        assert!(matches!(Certificate::from_der(&padded), Err(CmsError::NotACertificate)));
    }

    #[test]
    fn a_certificate_says_who_and_until_when() {
        let certificate = &ALICE.certificate;
        assert_eq!(certificate.subject(), "CN=alice 订单");
        assert_eq!((certificate.key_algorithm(), certificate.key_bits()), ("RSA", 2048));
        assert!(certificate.is_self_signed());
        assert!(certificate.is_valid_at(certificate.not_before()) && certificate.is_valid_at(certificate.not_after()));
        assert!(!certificate.is_valid_at(Timestamp::UNIX_EPOCH));
    }

    #[test]
    fn a_certificate_without_end_is_valid_until_the_last_instant_that_every_zone_can_show() {
        let of = |until: &str| certificate_until("endless", 6, ALICE.key.pkey(), until);
        for until in ["99991231235959Z", "99991230220001Z"] {
            let endless = of(until);
            assert_eq!(endless.not_after().to_string(), "9999-12-30T22:00:00Z", "{until}");
            assert_eq!(customs_time(endless.not_after()), "9999-12-31T06:00:00+08:00");
            assert_eq!(Offset::MAX.to_datetime(endless.not_after()).date().to_string(), "9999-12-31");
            assert!(endless.is_valid_at(endless.not_after()) && endless.is_valid_at(ALICE.certificate.not_after()));
            assert_eq!(Certificate::from_pem(endless.to_pem().as_bytes()).unwrap(), endless);
        }
        assert_eq!(LAST.as_second(), Timestamp::MAX.as_second());
        assert_eq!(of("99991230215959Z").not_after().to_string(), "9999-12-30T21:59:59Z");
    }

    #[test]
    fn only_strong_keys_and_the_three_curves_have_a_kind() {
        assert_eq!(ALICE.certificate.key_kind(), Some(KeyKind::Rsa));
        assert_eq!(EVE_P256.certificate.key_kind(), Some(KeyKind::EcP256));
        assert_eq!(FRANK_P384.certificate.key_kind(), Some(KeyKind::EcP384));
        assert_eq!(GRACE_SM2.certificate.key_kind(), Some(KeyKind::Sm2));
        for curve in [Nid::SECP521R1, Nid::SECP256K1] {
            assert_eq!(KeyKind::of(&elliptic(curve)), None);
        }
    }

    #[test]
    fn equal_names_do_not_make_equal_certificates() {
        let other = same_name_as_alice();
        assert_eq!(other.certificate.issuer_and_serial(), ALICE.certificate.issuer_and_serial());
        assert_ne!(other.certificate, ALICE.certificate);
        assert!(other.certificate.shares_its_name_with(&ALICE.certificate));
        for another in [&ALICE, &EVE_P256] {
            assert!(!another.certificate.shares_its_name_with(&ALICE.certificate));
        }
    }

    #[test]
    fn certificates_of_one_key_have_one_public_key_digest() {
        for who in [&ALICE, &EVE_P256, &FRANK_P384, &GRACE_SM2] {
            let public_key = who.key.pkey().public_key_to_der().unwrap();
            let digest = who.certificate.public_key_digest();
            assert_eq!(digest.as_slice(), DigestAlgorithm::Sha256.digest(&public_key));
            let anew = certificate_until("made anew", 7, who.key.pkey(), "20301231235959Z");
            assert_eq!((anew.public_key_digest(), anew == who.certificate), (digest, false));
        }
        let other = same_name_as_alice().certificate;
        assert_ne!(other.public_key_digest(), ALICE.certificate.public_key_digest());
    }

    #[test]
    fn fingerprints_are_read_in_the_usual_spellings() {
        let text = ALICE.certificate.fingerprint().to_string();
        let spaced: Vec<String> =
            text.as_bytes().chunks(2).map(|c| String::from_utf8_lossy(c).to_uppercase()).collect();
        assert_eq!(spaced.join(":").parse::<Fingerprint>().unwrap(), ALICE.certificate.fingerprint());
        assert!("abc".parse::<Fingerprint>().is_err());
    }
}
