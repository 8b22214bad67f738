//! What a layer is, its first octets say: whatever its label claims, and in however small pieces they come.

use std::io::{self, Read};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::cms::{DecryptionKey, der};
use crate::ground::limits::Limits;

/// SignedData with the payload's entity inside.
fn opaque() -> Vec<u8> {
    use openssl::cms::{CMSOptions, CmsContentInfo};
    let certificate = openssl::x509::X509::from_der(ALICE.certificate.der()).unwrap();
    let options = CMSOptions::BINARY | CMSOptions::NOSMIMECAP;
    let entity = payload_entity();
    let signed = CmsContentInfo::sign(Some(&certificate), Some(ALICE.key.pkey()), None, Some(&entity), options);
    signed.unwrap().to_der().unwrap()
}

/// Each structure and what its label should be.
fn structures() -> [(&'static str, Vec<u8>); 4] {
    let inner = signed_entity(&payload_entity(), &ALICE);
    let sealed = |cipher| enveloped(&inner, cipher, KeyTransport::RsaPkcs1).body;
    let compressed = compressed_entity(&payload_entity());
    let at = memchr::memmem::find(&compressed, b"\r\n\r\n").unwrap() + 4;
    [
        ("enveloped-data", sealed(ContentCipher::Aes128Cbc)),
        ("authEnveloped-data", sealed(ContentCipher::Aes128Gcm)),
        ("compressed-data", compressed[at..].to_vec()),
        ("signed-data", opaque()),
    ]
}

fn labelled(label: &str, body: &[u8]) -> Wire {
    wire(&[("Content-Type", &format!("application/pkcs7-mime; smime-type={label}; name=smime.p7m"))], body)
}

const LABELS: [&str; 5] = ["enveloped-data", "authEnveloped-data", "compressed-data", "Signed-Data", "certs-only"];

#[test]
fn a_structure_is_what_it_is_whatever_its_label_says() {
    for (kind, body) in structures() {
        for label in LABELS.into_iter().filter(|label| kind != "signed-data" || *label != "certs-only") {
            let received = receive(&labelled(label, &body), &lax());
            let (opened, payload) =
                received.unwrap_or_else(|failure| unreachable!("{kind} as {label}: {}", failure.cause));
            assert_eq!(payload, PAYLOAD, "{kind} as {label}");
            assert_eq!(opened.encrypted.is_some(), kind.ends_with("nveloped-data"), "{kind} as {label}");
            assert_eq!(opened.compressed, kind == "compressed-data", "{kind} as {label}");
            assert_eq!(opened.signature.is_some(), kind != "compressed-data", "{kind} as {label}");
        }
    }
    let certificates = receive(&labelled("certs-only", &opaque()), &lax()).unwrap_err();
    assert_eq!(certificates.cause.code(), "open-layers-unexpected", "SignedData is what certificates come in");
}

#[test]
fn a_label_does_not_unveil_an_envelope() {
    let [(_, sealed), ..] = structures();
    for at in [sealed.len() - 1, sealed.len() - 17] {
        let mut broken = sealed.clone();
        broken[at] ^= 1;
        for label in LABELS {
            let failure = receive(&labelled(label, &broken), &lax()).unwrap_err();
            assert!(failure.veiled && failure.mic.is_none(), "{label}: {}", failure.cause);
            assert_eq!(failure.told, Disposition::decryption_failed(), "{label}");
        }
    }
}

/// Gives one octet at a time.
struct Trickling<'o>(&'o [u8]);

impl Read for Trickling<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let most = buf.len().min(1);
        self.0.read(&mut buf[..most])
    }
}

fn receive_trickling(wire: &Wire) -> Result<(Opened, Vec<u8>), OpenFailure> {
    let (certificate, key) = (BOB.certificate.clone(), BOB.key.clone());
    let bob = [DecryptionKey { certificate, key, transports: KeyTransport::ALL.to_vec() }];
    let keys = OpenKeys { decryption: &bob, trusted: std::slice::from_ref(&ALICE.certificate), known: &[] };
    let mut sink = Vec::new();
    let opened = open(&request(wire), &mut Trickling(&wire.body), &lax(), &keys, &Limits::default(), &mut sink)?;
    Ok((opened, sink))
}

#[test]
fn layers_are_told_apart_when_they_come_an_octet_at_a_time() {
    let kind = "application/pkcs7-mime";
    let encoded = |encoding: &str, kind: &str, body: &[u8]| {
        wire(&[("Content-Type", kind), ("Content-Transfer-Encoding", encoding)], body)
    };
    let mut all = Vec::new();
    for (structure, body) in structures() {
        all.push((format!("{structure}, no label"), wire(&[("Content-Type", kind)], &body)));
        let repeated = [format!("MIME-Version: 1.0\r\nContent-Type: {kind}\r\n\r\n").as_bytes(), &body].concat();
        all.push((format!("{structure}, its fields once more"), wire(&[("Content-Type", kind)], &repeated)));
    }
    let [(_, sealed), ..] = structures();
    all.push(("binary called base64".to_owned(), encoded("base64", kind, &sealed)));
    all.push(("base64 called binary".to_owned(), encoded("binary", kind, STANDARD.encode(&sealed).as_bytes())));
    let (signed, body) = signed_parts(&payload_entity(), &payload_entity(), &ALICE);
    all.push(("a multipart called base64".to_owned(), encoded("base64", &signed, &body)));
    for (what, wire) in all {
        let received = receive_trickling(&wire);
        let (_, payload) = received.unwrap_or_else(|failure| unreachable!("{what}: {}", failure.cause));
        assert_eq!(payload, PAYLOAD, "{what}");
    }
}

/// The same structure as a stream writes it, its ciphertext in segments of three octets.
fn in_segments(der: &[u8]) -> Vec<u8> {
    let mut fields = der::Fields::new(der);
    let mut ber = Vec::new();
    while let Some(value) = fields.take().unwrap() {
        if value.tag == 0x80 && value.content.len() > 100 {
            ber.extend([0xa0, 0x80]);
            value.content.chunks(3).for_each(|piece| ber.extend(der::tlv(der::OCTET_STRING, piece)));
            ber.extend([0, 0]);
        } else if value.tag & 0x20 == 0 {
            ber.extend_from_slice(value.raw);
        } else {
            ber.extend([value.tag, 0x80]);
            ber.extend(in_segments(value.content));
            ber.extend([0, 0]);
        }
    }
    ber
}

#[test]
fn a_layer_inside_an_envelope_of_tiny_segments_is_told_apart() {
    let labelled = compressed_entity(&payload_entity());
    let label = b"; smime-type=compressed-data";
    let at = memchr::memmem::find(&labelled, label).unwrap();
    let inner = [&labelled[..at], &labelled[at + label.len()..]].concat();
    for cipher in [ContentCipher::Aes128Cbc, ContentCipher::Aes256Gcm] {
        let mut wire = enveloped(&inner, cipher, KeyTransport::RsaPkcs1);
        wire.body = in_segments(&wire.body);
        let (opened, payload) = receive(&wire, &lax()).unwrap_or_else(|failure| unreachable!("{}", failure.cause));
        assert!(opened.compressed && payload == PAYLOAD, "{cipher:?}");
    }
}
