//! Certificate exchange messages (CEM) are several files in one message, and what the MIC covers is that of those: the whole
//! `multipart/related` with its header fields (RFC 6362 2.3), and as for any payload what was signed, where that is compressed.

use super::written::check_der;
use super::*;
use crate::as2::attachments::{related_boundary, split, type_of_named};
use crate::as2::cem::{
    self, CertUsage, CertificateReference, Exchange, ExchangeRequest, TradingPartnerInfo, TrustRequest,
};
use crate::ground::id::Id;
use crate::ground::limits::Limits;

/// Alice asks Bob to trust a new certificate of hers.
fn asked() -> ExchangeRequest {
    let certificate = ALICE_P256.certificate.clone();
    let trust = TrustRequest {
        usages: vec![CertUsage::DigitalSignature],
        respond_by: Some(date()),
        response_url: "https://alice.example/as2".to_owned(),
        reference: CertificateReference::of(&certificate),
        certificate,
        chain: vec![ALICE.certificate.clone()],
    };
    let from = TradingPartnerInfo { name: "alice".to_owned(), originated: Some(date()) };
    ExchangeRequest { request_id: "r-1".to_owned(), from, trust: vec![trust] }
}

/// The type and the octets of the payload.
fn payload() -> (String, Vec<u8>) {
    let id: Id = "01920000-0000-7000-8000-000000000001".parse().unwrap();
    let payload = cem::request_payload(&asked(), id, "alice.example").unwrap();
    (type_of_named(&payload, &Limits::default()).unwrap(), payload)
}

#[test]
fn the_mic_of_a_certificate_exchange_covers_its_whole_multipart_with_the_header_fields() {
    let (content_type, payload) = payload();
    let head = format!("Content-Type: {content_type}\r\nContent-Transfer-Encoding: binary\r\n\r\n");
    let whole = sha256(&[head.as_bytes(), &payload].concat());
    let signed = Some(SignatureScheme::RsaPkcs1);
    let cbc = Some((ContentCipher::Aes256Cbc, KeyTransport::RsaPkcs1));
    let gcm = Some((ContentCipher::Aes128Gcm, KeyTransport::RsaOaepSha256));
    for (scheme, envelope, compression) in [
        (signed, None, Compression::None),
        (signed, None, Compression::BeforeSigning),
        (signed, None, Compression::AfterSigning),
        (signed, cbc, Compression::None),
        (signed, gcm, Compression::AfterSigning),
        (None, gcm, Compression::None),
        (None, gcm, Compression::BeforeSigning),
    ] {
        let what = format!("{scheme:?} {envelope:?} {compression:?}");
        let plan =
            SendPlan { content_type: content_type.clone(), file_name: None, ..plan(scheme, envelope, compression) };
        let (wire, composed) = compose_it(&plan, &payload);
        let (opened, received) = receive(&wire, &lax()).expect(&what);
        let mic = opened.mic.as_ref().expect(&what);
        let compressed_inside = scheme.is_some() && compression == Compression::BeforeSigning;
        let covered = if compressed_inside { sha256(first_part(&wire)) } else { whole.clone() };
        assert_eq!((mic.algorithm, &mic.value), (DigestAlgorithm::Sha256, &covered), "{what}");
        assert_eq!(covered == whole, !compressed_inside, "{what}");

        let receipt = read(&answer(&processed(&opened, &Stored::assertion()), Some(mic), Some(&BOB)));
        let verdict = judged(&receipt, &composed, true);
        let ordinary = matches!(&verdict, Verdict::Accepted { matched: Some(matched) } if matched.is_ordinary());
        assert!(ordinary, "{what}: {verdict:?}");
        let kind = opened.content_type.as_deref();
        assert!(cem::is_exchange(kind), "{what}: {kind:?}");
        let said = cem::read(kind.unwrap(), &mut received.as_slice(), &Limits::default()).unwrap();
        assert_eq!(said, Exchange::Request(asked()), "{what}");
    }
}

#[test]
fn the_certificates_of_an_exchange_are_der_like_every_structure_of_ours() {
    let (content_type, payload) = payload();
    let boundary = related_boundary(Some(&content_type)).unwrap();
    let mut parts: Vec<Vec<u8>> = Vec::new();
    let attachments = split(&mut payload.as_slice(), &boundary, &Limits::default(), &mut |number, bytes| {
        parts.resize(number + 1, Vec::new());
        parts[number].extend_from_slice(bytes);
        Ok(())
    });
    let kinds: Vec<_> = attachments.unwrap().into_iter().map(|part| part.content_type.unwrap()).collect();
    assert_eq!(kinds, [cem::DOCUMENT_TYPE, cem::CERTIFICATES_TYPE]);
    check_der("certificates", &parts[1]);
}
