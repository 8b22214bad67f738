//! Certificates and scripted peers for the tests of this module.

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509Name};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::TcpListener;

use super::Identity;

/// A certificate with its key.
pub(super) struct Pair {
    pub(super) certificate: X509,
    pub(super) key: PKey<Private>,
}

impl Pair {
    pub(super) fn der(&self) -> Vec<u8> {
        self.certificate.to_der().expect("DER")
    }

    pub(super) fn identity(&self) -> Identity {
        let (certificate, key) = (self.certificate.to_pem(), self.key.private_key_to_pem_pkcs8());
        Identity::from_pem(&certificate.expect("PEM"), &key.expect("PEM"), None).expect("a pair")
    }
}

/// Who signs, and for how long: `[from, until]` in seconds since 1970.
fn certificate(host: &str, issuer: Option<&Pair>, (from, until): (i64, i64)) -> Pair {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("a curve");
    let key = PKey::from_ec_key(EcKey::generate(&group).expect("a key")).expect("a key");
    let mut name = X509Name::builder().expect("a name");
    name.append_entry_by_text("CN", host).expect("a name");
    let name = name.build();
    let mut builder = X509::builder().expect("a builder");
    builder.set_version(2).expect("v3");
    let serial = BigNum::from_u32(1).and_then(|serial| serial.to_asn1_integer()).expect("a serial");
    builder.set_serial_number(&serial).expect("a serial");
    builder.set_subject_name(&name).expect("a subject");
    builder.set_issuer_name(issuer.map_or(&name, |issuer| issuer.certificate.subject_name())).expect("an issuer");
    builder.set_pubkey(&key).expect("a key");
    builder.set_not_before(&Asn1Time::from_unix(from).expect("a time")).expect("a time");
    builder.set_not_after(&Asn1Time::from_unix(until).expect("a time")).expect("a time");
    if host.ends_with("CA") {
        builder.append_extension(BasicConstraints::new().critical().ca().build().expect("built")).expect("appended");
    } else {
        let names = SubjectAlternativeName::new().dns(host).build(&builder.x509v3_context(None, None));
        builder.append_extension(names.expect("names")).expect("appended");
    }
    builder.sign(issuer.map_or(&key, |issuer| &issuer.key), MessageDigest::sha256()).expect("signed");
    Pair { certificate: builder.build(), key }
}

/// Valid until 2100, signed by `issuer` or by itself.
pub(super) fn lasting(host: &str, issuer: Option<&Pair>) -> Pair {
    certificate(host, issuer, (0, 4_102_444_800))
}

/// A self-signed certificate for `host`, over since 1970, and its key, both PEM.
pub(super) fn self_signed(host: &str) -> (Vec<u8>, Vec<u8>) {
    let pair = certificate(host, None, (0, 86_400));
    (pair.certificate.to_pem().expect("PEM"), pair.key.private_key_to_pem_pkcs8().expect("PEM"))
}

pub(super) fn der(pem: &[u8]) -> Vec<u8> {
    X509::from_pem(pem).and_then(|certificate| certificate.to_der()).expect("a certificate")
}

/// A free port and the URL of what will listen there.
pub(super) async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/as2?x=1", listener.local_addr().expect("bound"));
    (listener, url)
}

/// Reads one request: its head and as many body bytes as it announces.
pub(super) async fn request<S: AsyncRead + Unpin>(stream: &mut S) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap_or("0");
            let chunked = head.contains("chunked") && !body.ends_with("0\r\n\r\n");
            if !chunked && body.len() >= length.parse().expect("a number") {
                return Some(text);
            }
        }
        if stream.read_buf(&mut bytes).await.expect("readable") == 0 {
            return None;
        }
    }
}

/// Reads a head and leaves the body where it is.
pub(super) async fn head<S: AsyncRead + Unpin>(stream: &mut S) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(stream.read_u8().await.expect("a head"));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
