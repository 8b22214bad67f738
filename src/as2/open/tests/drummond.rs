//! The rest of the quirks that come up in one round of Drummond's tests after another (`quirks` and `mdn::quirks_tests` have the
//! others): receipts with and without their parameters and blanks, BER as streams write it, parts that say little.

use super::*;
use crate::as2::attachments::related_boundary;
use crate::cms::der;
use crate::ground::limits::Limits;
use crate::mime::Headers;

fn receipt(content_type: &str, disposition: &str, mic: &str) -> Mdn {
    let mut headers = Headers::new();
    for (name, value) in [("AS2-From", "\"bob co\""), ("AS2-To", "alice"), ("Content-Type", content_type)] {
        headers.push(name, value).unwrap();
    }
    let body = format!(
        "--b\r\nContent-Type: text/plain\r\n\r\nok\r\n--b\r\nContent-Type: message/disposition-notification\r\n\r\n\
         Final-Recipient: rfc822; bob co\r\nOriginal-Message-ID: <m1@alice>\r\nDisposition: {disposition}\r\n\
         Received-Content-MIC: {mic}\r\n\r\n--b--\r\n"
    );
    mdn::parse(&headers, body.as_bytes(), &[], &Limits::default()).unwrap()
}

const REPORT: &str = "multipart/report; report-type=disposition-notification; boundary=b";

fn is_accepted(receipt: &Mdn, composed: &Composed, what: &str) {
    let verdict = judged(receipt, composed, false);
    assert!(matches!(verdict, Verdict::Accepted { matched: Some(_) }), "{what}: {verdict:?}");
}

#[test]
fn dispositions_are_read_with_and_without_blanks_and_reports_without_their_type() {
    let (_, composed) = compose_it(&plan(Some(SignatureScheme::RsaPkcs1), None, Compression::None), PAYLOAD);
    let mic = composed.mics.exact(DigestAlgorithm::Sha256).unwrap().to_string();
    for disposition in [
        "automatic-action/MDN-sent-automatically; processed",
        "automatic-action/MDN-sent-automatically ; processed",
        "automatic-action/MDN-sent-automatically;processed",
        "Automatic-Action/mdn-sent-automatically;\tProcessed",
        "automatic-action / MDN-sent-automatically; processed",
    ] {
        is_accepted(&receipt(REPORT, disposition, &mic), &composed, disposition);
    }
    let usual = "automatic-action/MDN-sent-automatically; processed";
    for content_type in [
        "multipart/report; boundary=b",
        "multipart/report; boundary=b; Report-Type=\"disposition-notification\"",
        "Multipart/Report;\treport-type=Disposition-Notification;\tboundary=\"b\"",
    ] {
        is_accepted(&receipt(content_type, usual, &mic), &composed, content_type);
    }
}

#[test]
fn a_long_digest_is_read_on_one_line_and_on_two() {
    let mut plan = plan(Some(SignatureScheme::RsaPkcs1), None, Compression::None);
    plan.signing.as_mut().unwrap().digest = DigestAlgorithm::Sha512;
    let (_, composed) = compose_it(&plan, PAYLOAD);
    let mic = composed.mics.exact(DigestAlgorithm::Sha512).unwrap().to_string();
    let (first, second) = mic.split_at(76);
    assert!(mic.len() > 88);
    let usual = "automatic-action/MDN-sent-automatically; processed";
    for mic in [mic.clone(), format!("{first}\r\n {second}"), format!("{first}\r\n\t{second}"), mic.replace(", ", ",")]
    {
        is_accepted(&receipt(REPORT, usual, &mic), &composed, &mic);
    }
}

/// The same structure as a stream writes it: every constructed value of indefinite length.
fn indefinite(der: &[u8]) -> Vec<u8> {
    let mut fields = der::Fields::new(der);
    let mut ber = Vec::new();
    while let Some(value) = fields.take().unwrap() {
        if value.tag & 0x20 == 0 {
            ber.extend_from_slice(value.raw);
        } else {
            ber.extend([value.tag, 0x80]);
            ber.extend(indefinite(value.content));
            ber.extend([0, 0]);
        }
    }
    ber
}

#[test]
fn envelopes_signatures_and_compressed_layers_of_indefinite_length_are_read() {
    let inner = signed_entity(&payload_entity(), &ALICE);
    for cipher in [ContentCipher::Aes128Cbc, ContentCipher::Aes256Gcm] {
        let mut wire = enveloped(&inner, cipher, KeyTransport::RsaPkcs1);
        wire.body = indefinite(&wire.body);
        assert!(receive(&wire, &lax()).is_ok_and(|(_, payload)| payload == PAYLOAD), "{cipher:?}");
    }
    let compressed = compressed_entity(&inner);
    let at = memchr::memmem::find(&compressed, b"\r\n\r\n").unwrap() + 4;
    let kind = "application/pkcs7-mime; smime-type=compressed-data";
    let wire = self::wire(&[("Content-Type", kind)], &indefinite(&compressed[at..]));
    assert!(receive(&wire, &lax()).is_ok_and(|(opened, payload)| opened.compressed && payload == PAYLOAD));

    let (content_type, body) = signed_parts(&payload_entity(), &payload_entity(), &ALICE);
    let at = memchr::memmem::find(&body, b"binary\r\n\r\n").unwrap() + 10;
    let end = body.len() - b"\r\n--sep--\r\n".len();
    let signature = indefinite(&body[at..end]);
    let body = [&body[..at], &signature, &body[end..]].concat();
    let (opened, payload) = receive(&self::wire(&[("Content-Type", &content_type)], &body), &lax()).unwrap();
    assert_eq!(payload, PAYLOAD);
    assert_eq!(opened.signature.unwrap().signer(), ALICE.certificate.fingerprint());
}

#[test]
fn parts_without_the_fields_that_they_should_have_are_read() {
    // No transfer encoding anywhere is binary, whatever the octets are.
    let part = [b"Content-Type: application/edi-consent\r\n\r\n".as_slice(), PAYLOAD].concat();
    let (content_type, body) = signed_parts(&part, &part, &ALICE);
    let body = String::from_utf8_lossy(&body).contains("edi-consent").then_some(body).unwrap();
    let field = b"Content-Transfer-Encoding: binary\r\n";
    let at = memchr::memmem::find(&body, field).unwrap();
    let silent = [&body[..at], &body[at + field.len()..]].concat();
    let (_, payload) = receive(&wire(&[("Content-Type", &content_type)], &silent), &lax()).unwrap();
    assert_eq!(payload, PAYLOAD);
    // Files together without the type of their root.
    assert_eq!(related_boundary(Some("multipart/related; boundary=\"x y\"")).as_deref(), Some("x y"));
    // A file with no type of its own: `encoded_parts_and_odd_frames_are_read`.
}
