//! Keys and certificates of the tests, made once for each run.

use std::sync::LazyLock;

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, PKeyRef, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::SubjectKeyIdentifier;
use openssl::x509::{X509, X509Name};

use super::{Certificate, DecryptionKey, KeyTransport, PrivateKey, SigningKey};

pub(super) static ALICE: LazyLock<SigningKey> = LazyLock::new(|| station("alice 订单", 1, 2048));
pub(super) static BOB: LazyLock<SigningKey> = LazyLock::new(|| station("bob", 0x00ab_cdef, 2048));

pub(super) static EVE_P256: LazyLock<SigningKey> = LazyLock::new(|| elliptic_station("eve", 3, Nid::X9_62_PRIME256V1));
pub(super) static FRANK_P384: LazyLock<SigningKey> = LazyLock::new(|| elliptic_station("frank", 4, Nid::SECP384R1));

pub(super) static GRACE_SM2: LazyLock<SigningKey> = LazyLock::new(|| sm2_station("grace 报关", 5));

/// An SM2 key with a certificate; its signature is of no use here.
pub(super) fn sm2_station(name: &str, serial: u32) -> SigningKey {
    // OpenSSL knows an elliptic key for one of SM2 only when it reads it.
    let pem = elliptic(Nid::SM2).private_key_to_pem_pkcs8().unwrap();
    let key = PKey::private_key_from_pem(&pem).unwrap();
    SigningKey { certificate: certificate(name, serial, &key), key: PrivateKey::from_pkey(key).unwrap() }
}

/// A fresh EC key on this curve.
pub(super) fn elliptic(curve: Nid) -> PKey<Private> {
    let group = EcGroup::from_curve_name(curve).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

fn elliptic_station(name: &str, serial: u32, curve: Nid) -> SigningKey {
    let key = elliptic(curve);
    SigningKey { certificate: certificate(name, serial, &key), key: PrivateKey::from_pkey(key).unwrap() }
}

/// A self-signed certificate with a fresh key, valid from 2020 to 2049.
pub(super) fn station(name: &str, serial: u32, bits: u32) -> SigningKey {
    let key = PKey::from_rsa(Rsa::generate(bits).unwrap()).unwrap();
    SigningKey { certificate: certificate(name, serial, &key), key: PrivateKey::from_pkey(key).unwrap() }
}

/// A self-signed certificate of `key`, valid from 2020 to 2049.
pub(super) fn certificate(name: &str, serial: u32, key: &PKeyRef<Private>) -> Certificate {
    certificate_until(name, serial, key, "20491231235959Z")
}

/// A self-signed certificate of `key`, valid from 2020.
pub(super) fn certificate_until(name: &str, serial: u32, key: &PKeyRef<Private>, until: &str) -> Certificate {
    let mut subject = X509Name::builder().unwrap();
    subject.append_entry_by_text("CN", name).unwrap();
    let subject = subject.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_serial_number(&BigNum::from_u32(serial).unwrap().to_asn1_integer().unwrap()).unwrap();
    builder.set_subject_name(&subject).unwrap();
    builder.set_issuer_name(&subject).unwrap();
    builder.set_not_before(&Asn1Time::from_str("20200101000000Z").unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::from_str(until).unwrap()).unwrap();
    builder.set_pubkey(key).unwrap();
    let key_id = SubjectKeyIdentifier::new().build(&builder.x509v3_context(None, None)).unwrap();
    builder.append_extension(key_id).unwrap();
    let sm2 = super::sm2::public_point(key).is_some();
    builder.sign(key, if sm2 { MessageDigest::sm3() } else { MessageDigest::sha256() }).unwrap();
    Certificate::from_x509(&builder.build()).unwrap()
}

/// An attacker's certificate with Alice's name and serial number.
pub(super) fn same_name_as_alice() -> SigningKey {
    station("alice 订单", 1, 2048)
}

/// `who` as a recipient that accepts every key transport.
pub(super) fn decryption_key(who: &SigningKey) -> DecryptionKey {
    DecryptionKey { certificate: who.certificate.clone(), key: who.key.clone(), transports: KeyTransport::ALL.to_vec() }
}
