//! Certificates that are known byte for byte and that nobody could judge otherwise, over real handshakes.

use std::sync::Arc;

use openssl::asn1::{Asn1Object, Asn1OctetString, Asn1Time};
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::Private;
use openssl::rsa::Rsa;
use openssl::x509::{X509Extension, X509Name};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SupportedProtocolVersion};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;
use crate::http::specimens::lasting;
use crate::http::{ClientAuth, ClientTrust, ServerTls};

/// X.509 v1, or v3 with a critical extension that nobody knows. Neither is one that webpki reads.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Odd {
    Version1,
    Extension,
}

fn odd(key: &PKey<Private>, what: Odd) -> Vec<u8> {
    let mut name = X509Name::builder().expect("a name");
    name.append_entry_by_text("CN", "old.example").expect("a name");
    let name = name.build();
    let mut builder = X509::builder().expect("a builder");
    builder.set_version(if what == Odd::Version1 { 0 } else { 2 }).expect("a version");
    let serial = BigNum::from_u32(7).and_then(|serial| serial.to_asn1_integer()).expect("a serial");
    builder.set_serial_number(&serial).expect("a serial");
    builder.set_subject_name(&name).expect("a subject");
    builder.set_issuer_name(&name).expect("an issuer");
    builder.set_pubkey(key).expect("a key");
    builder.set_not_before(&Asn1Time::from_unix(0).expect("a time")).expect("a time");
    builder.set_not_after(&Asn1Time::from_unix(4_102_444_800).expect("a time")).expect("a time");
    if what == Odd::Extension {
        let identifier = Asn1Object::from_str("1.3.6.1.4.1.55555.1").expect("an identifier");
        let content = Asn1OctetString::new_from_bytes(&[5, 0]).expect("a content");
        builder
            .append_extension(X509Extension::new_from_der(&identifier, true, &content).expect("built"))
            .expect("added");
    }
    builder.sign(key, MessageDigest::sha256()).expect("signed");
    builder.build().to_der().expect("DER")
}

fn rsa() -> PKey<Private> {
    PKey::from_rsa(Rsa::generate(2048).expect("a key")).expect("a key")
}

fn elliptic(curve: Nid) -> PKey<Private> {
    let group = EcGroup::from_curve_name(curve).expect("a curve");
    PKey::from_ec_key(EcKey::generate(&group).expect("a key")).expect("a key")
}

/// What one side shows: this certificate, and signatures by this key, whether they belong together or not.
fn claim(certificate: &[u8], key: &PKey<Private>) -> Arc<SingleCertAndKey> {
    let key = PrivatePkcs8KeyDer::from(key.private_key_to_pkcs8().expect("DER"));
    let key = provider().key_provider.load_private_key(PrivateKeyDer::Pkcs8(key)).expect("usable");
    let chain = vec![CertificateDer::from(certificate.to_vec())];
    Arc::new(SingleCertAndKey::from(CertifiedKey::new(chain, key)))
}

/// Whether a client that has pinned `pinned` believes a server with this claim.
async fn is_believed(pinned: &[u8], claim: Arc<SingleCertAndKey>, version: &'static SupportedProtocolVersion) -> bool {
    let server = ServerConfig::builder_with_provider(provider()).with_protocol_versions(&[version]);
    let server = server.expect("a version").with_no_client_auth().with_cert_resolver(claim);
    let (near, far) = tokio::io::duplex(64 * 1024);
    let accept = TlsAcceptor::from(Arc::new(server)).accept(far);
    let client = client_config(&Trust::Pinned(vec![pinned.to_vec()]), None).expect("usable");
    let connect = TlsConnector::from(client).connect("localhost".try_into().expect("a name"), near);
    tokio::join!(accept, connect).1.is_ok()
}

#[tokio::test]
async fn a_pinned_certificate_is_believed_by_its_key_whatever_else_is_in_it() {
    let (other, stranger) = (rsa(), lasting("localhost", None));
    for key in [rsa(), elliptic(Nid::X9_62_PRIME256V1), elliptic(Nid::SECP384R1)] {
        for what in [Odd::Version1, Odd::Extension] {
            let certificate = odd(&key, what);
            for version in [&TLS12, &TLS13] {
                let told = format!("{what:?} {:?} {version:?}", key.id());
                assert!(is_believed(&certificate, claim(&certificate, &key), version).await, "{told}");
                let stolen = claim(&certificate, &other);
                assert!(!is_believed(&certificate, stolen, version).await, "{told}: it does not hold the key");
                let unknown = claim(&certificate, &key);
                assert!(!is_believed(&stranger.der(), unknown, version).await, "{told}: another one is pinned");
            }
        }
    }
}

#[tokio::test]
async fn a_pinned_certificate_proves_nothing_without_its_key_of_the_same_kind() {
    for (key, other) in [(rsa(), rsa()), (elliptic(Nid::X9_62_PRIME256V1), elliptic(Nid::X9_62_PRIME256V1))] {
        let certificate = odd(&key, Odd::Version1);
        for version in [&TLS12, &TLS13] {
            assert!(!is_believed(&certificate, claim(&certificate, &other), version).await, "{version:?}");
        }
    }
}

#[tokio::test]
async fn a_client_certificate_that_is_known_opens_the_door_by_its_key_alone() {
    let (key, other, server) = (rsa(), rsa(), lasting("localhost", None));
    for what in [Odd::Version1, Odd::Extension] {
        let certificate = odd(&key, what);
        let known = certificate.clone();
        let trust = ClientTrust { issuers: Vec::new(), known: Arc::new(move |der| der == known) };
        let tls = ServerTls::new(&server.identity(), &ClientAuth::Require(trust)).expect("usable");
        for version in [&TLS12, &TLS13] {
            for (signer, gets_in) in [(&key, true), (&other, false)] {
                let verifier = Arc::new(PinnedCertificates::new(&[server.der()], &provider()));
                let client = ClientConfig::builder_with_provider(provider()).with_protocol_versions(&[version]);
                let client = client.expect("a version").dangerous().with_custom_certificate_verifier(verifier);
                let client = client.with_client_cert_resolver(claim(&certificate, signer));
                let (near, far) = tokio::io::duplex(64 * 1024);
                let accept = TlsAcceptor::from(tls.current().config.clone()).accept(far);
                let name = "localhost".try_into().expect("a name");
                let connect = TlsConnector::from(Arc::new(client)).connect(name, near);
                let (accepted, _connected) = tokio::join!(accept, connect);
                assert_eq!(accepted.is_ok(), gets_in, "{what:?} {version:?}");
            }
        }
    }
}
