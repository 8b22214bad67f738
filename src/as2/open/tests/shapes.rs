//! Shapes that other products send, shapes that attackers send.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::ground::limits::Limits;
use crate::mime::Headers;

fn accept(wire: &Wire, what: &str) -> Opened {
    let (opened, payload) = receive(wire, &lax()).unwrap_or_else(|failure| unreachable!("{what}: {}", failure.cause));
    assert_eq!(payload, PAYLOAD, "{what}");
    opened
}

fn cause(wire: &Wire) -> &'static str {
    receive(wire, &lax()).expect_err("refused").cause.code()
}

/// A wire whose outermost entity is `entity`, its first line being its Content-Type.
fn as_wire(entity: &[u8]) -> Wire {
    let split = memchr::memmem::find(entity, b"\r\n\r\n").unwrap();
    let fields = std::str::from_utf8(&entity[14..split]).unwrap();
    wire(&[("Content-Type", fields)], &entity[split + 4..])
}

fn lines(octets: &[u8]) -> String {
    let text = STANDARD.encode(octets);
    text.as_bytes().chunks(64).map(|line| format!("{}\r\n", std::str::from_utf8(line).unwrap())).collect()
}

#[test]
fn any_content_type_and_none_at_all_are_accepted() {
    for content_type in ["application/edi-x12", "application/EDIFACT", "x/y; charset=\"z\"", "application/octet-stream"]
    {
        assert_eq!(
            accept(&wire(&[("Content-Type", content_type)], PAYLOAD), content_type).content_type.as_deref(),
            Some(content_type)
        );
    }
    assert_eq!(accept(&wire(&[], PAYLOAD), "none").content_type, None);
    let signed = signed_entity(&[b"X-Nothing: here\r\n\r\n".as_slice(), PAYLOAD].concat(), &ALICE);
    assert_eq!(accept(&as_wire(&signed), "none inside").content_type, None);
}

#[test]
fn transfer_encodings_are_undone_and_the_mic_covers_the_encoded_octets() {
    let part = format!("Content-Type: application/xml\r\nContent-Transfer-Encoding: base64\r\n\r\n{}", lines(PAYLOAD));
    let opened = accept(&as_wire(&signed_entity(part.as_bytes(), &ALICE)), "signed base64");
    assert_eq!(opened.mic.unwrap().value, sha256(part.as_bytes()));

    let envelope =
        enveloped(&signed_entity(&payload_entity(), &ALICE), ContentCipher::Aes128Cbc, KeyTransport::RsaPkcs1);
    let mut encoded = envelope.clone();
    encoded.headers.push("Content-Transfer-Encoding", "base64").unwrap();
    encoded.body = lines(&envelope.body).into_bytes();
    accept(&encoded, "base64 of the whole body");
    let mut binary = envelope.clone();
    binary.headers.push("Content-Transfer-Encoding", "binary").unwrap();
    accept(&binary, "binary");
}

#[test]
fn old_and_missing_smime_types_are_understood() {
    let entity = payload_entity();
    let envelope = enveloped(&signed_entity(&entity, &ALICE), ContentCipher::Aes128Cbc, KeyTransport::RsaPkcs1);
    for content_type in [
        "application/x-pkcs7-mime; smime-type=enveloped-data; name=smime.p7m",
        "application/pkcs7-mime; name=smime.p7m",
        "application/pkcs7-mime",
        "application/pkcs7-mime;\tsmime-type=\"Enveloped-Data\";\tname=\"smime.p7m\"",
    ] {
        let mut wire = envelope.clone();
        wire.headers.set("Content-Type", content_type).unwrap();
        accept(&wire, content_type);
    }
    let compressed = as_wire(&compressed_entity(&entity));
    for content_type in ["application/pkcs7-mime; name=smime.p7z", "application/x-pkcs7-mime"] {
        let mut wire = compressed.clone();
        wire.headers.set("Content-Type", content_type).unwrap();
        assert!(accept(&wire, content_type).compressed);
    }
    let (content_type, body) = signed_parts(&entity, &entity, &ALICE);
    let body = String::from_utf8_lossy(&body).contains("pkcs7-signature").then_some(body).unwrap();
    let at = memchr::memmem::find(&body, b"application/pkcs7-signature").unwrap();
    let older = [&body[..at], b"application/x-pkcs7-signature", &body[at + 27..]].concat();
    let older_type = content_type.replace("application/pkcs7-signature", "application/x-pkcs7-signature");
    accept(&wire(&[("Content-Type", &older_type)], &older), "x-pkcs7-signature");
}

#[test]
fn line_ends_after_a_cms_structure_are_ignored_and_other_octets_are_not() {
    let envelope =
        enveloped(&signed_entity(&payload_entity(), &ALICE), ContentCipher::Aes256Gcm, KeyTransport::RsaPkcs1);
    for (tail, accepted) in [("\r\n", true), ("\n", true), ("\r\n\r\n", true), ("x", false), ("\r\nx", false)] {
        let mut wire = envelope.clone();
        wire.body.extend_from_slice(tail.as_bytes());
        assert_eq!(receive(&wire, &lax()).is_ok(), accepted, "{tail:?}");
    }
}

#[test]
fn opaque_signed_data_is_read() {
    use openssl::cms::{CMSOptions, CmsContentInfo};
    let certificate = openssl::x509::X509::from_der(ALICE.certificate.der()).unwrap();
    let sign = |octets: &[u8]| {
        let options = CMSOptions::BINARY | CMSOptions::NOSMIMECAP;
        CmsContentInfo::sign(Some(&certificate), Some(ALICE.key.pkey()), None, Some(octets), options)
            .unwrap()
            .to_der()
            .unwrap()
    };
    let entity = payload_entity();
    for content_type in ["application/pkcs7-mime; smime-type=signed-data", "application/pkcs7-mime; name=smime.p7m"] {
        let opened = accept(&wire(&[("Content-Type", content_type)], &sign(&entity)), content_type);
        assert_eq!(opened.signature.unwrap().signer(), ALICE.certificate.fingerprint());
        assert_eq!(opened.mic.unwrap().value, sha256(&entity));
    }
    let mut forged = sign(&entity);
    let at = memchr::memmem::find(&forged, b"<a>").unwrap();
    forged[at + 1] = b'b';
    let forged = wire(&[("Content-Type", "application/pkcs7-mime; smime-type=signed-data")], &forged);
    assert_eq!(receive(&forged, &lax()).unwrap_err().told, Disposition::integrity_check_failed());
}

#[test]
fn a_third_part_in_multipart_signed_is_refused() {
    let (content_type, body) = signed_parts(&payload_entity(), &payload_entity(), &ALICE);
    let extra = b"--sep\r\nContent-Type: application/xml\r\n\r\n<smuggled/>\r\n";
    let end = body.len() - b"--sep--\r\n".len();
    let last = [&body[..end], extra, b"--sep--\r\n".as_slice()].concat();
    let first = [extra.as_slice(), &body].concat();
    for body in [last, first] {
        assert!(receive(&wire(&[("Content-Type", &content_type)], &body), &lax()).is_err());
    }
}

#[test]
fn nothing_outside_the_signed_part_becomes_payload() {
    let entity = payload_entity();
    let (content_type, body) = signed_parts(&entity, &entity, &ALICE);
    let (preamble, epilogue) = (b"a preamble\r\n".as_slice(), b"an epilogue\r\n".as_slice());
    let around: [(&[u8], &[u8]); 4] = [(b"", b""), (preamble, b""), (b"", epilogue), (preamble, epilogue)];
    for (before, after) in around {
        let body = [before, &body, after].concat();
        let what = format!("{} and {} octets around", before.len(), after.len());
        let opened = accept(&wire(&[("Content-Type", &content_type)], &body), &what);
        assert_eq!(opened.mic.unwrap().value, sha256(&entity), "{what}");
        assert_eq!(opened.signature.unwrap().signer(), ALICE.certificate.fingerprint(), "{what}");
        // In an envelope an epilogue is room that nothing signed covers.
        let inner = [format!("Content-Type: {content_type}\r\n\r\n").as_bytes(), &body].concat();
        let sealed = enveloped(&inner, ContentCipher::Aes256Gcm, KeyTransport::RsaPkcs1);
        if after.is_empty() {
            assert_eq!(accept(&sealed, &what).mic.unwrap().value, sha256(&entity), "{what}");
        } else {
            assert_eq!(cause(&sealed), "open-mime-malformed", "{what}");
        }
    }
}

#[test]
fn layers_in_any_other_order_are_refused() {
    let entity = payload_entity();
    let envelope = enveloped(&entity, ContentCipher::Aes128Gcm, KeyTransport::RsaPkcs1);
    let envelope = [
        format!("Content-Type: {}\r\n\r\n", envelope.headers.get("Content-Type").unwrap()).into_bytes(),
        envelope.body,
    ]
    .concat();
    assert_eq!(cause(&as_wire(&signed_entity(&envelope, &ALICE))), "open-layers-unexpected");
    assert_eq!(cause(&as_wire(&compressed_entity(&envelope))), "open-layers-unexpected");
    let again = enveloped(&envelope, ContentCipher::Aes128Gcm, KeyTransport::RsaPkcs1);
    assert_eq!(cause(&again), "open-layers-unexpected");
    let nested = signed_entity(&signed_entity(&entity, &ALICE), &ALICE);
    assert!(receive(&as_wire(&nested), &lax()).is_err());
    assert_eq!(cause(&as_wire(&compressed_entity(&compressed_entity(&entity)))), "open-compressed-twice");
    let certificates = wire(&[("Content-Type", "application/pkcs7-mime; smime-type=certs-only")], PAYLOAD);
    assert_eq!(cause(&certificates), "open-layers-unexpected");
}

#[test]
fn compressed_before_and_after_signing_is_refused_as_compressed_twice() {
    let inner = signed_entity(&compressed_entity(&payload_entity()), &ALICE);
    let failure = receive(&as_wire(&compressed_entity(&inner)), &lax()).unwrap_err();
    assert_eq!((failure.cause.code(), failure.told), ("open-compressed-twice", Disposition::decompression_failed()));
}

#[test]
fn a_decompression_bomb_is_cut_off() {
    let bomb = [b"Content-Type: a/b\r\n\r\n".as_slice(), &vec![0u8; 40 * 1024 * 1024]].concat();
    let wire = as_wire(&compressed_entity(&bomb));
    assert!(wire.body.len() < 100 * 1024);
    assert_eq!(receive(&wire, &lax()).unwrap_err().told, Disposition::decompression_failed());
}

#[test]
fn a_payload_at_the_limit_passes_and_one_octet_more_does_not() {
    let len = u64::try_from(PAYLOAD.len()).unwrap();
    let wire = wire(&[("Content-Type", "a/b")], PAYLOAD);
    assert!(receive(&wire, &AcceptPolicy { max_payload: len, ..lax() }).is_ok());
    let failure = receive(&wire, &AcceptPolicy { max_payload: len - 1, ..lax() }).unwrap_err();
    assert_eq!(failure.cause.code(), "open-payload-too-large");
}

#[test]
fn two_types_in_one_entity_are_refused() {
    let part = [b"Content-Type: a/b\r\nContent-Type: c/d\r\n\r\n".as_slice(), PAYLOAD].concat();
    assert_eq!(cause(&as_wire(&signed_entity(&part, &ALICE))), "open-layers-unexpected");
}

#[test]
fn a_header_block_without_end_is_refused() {
    let limits = Limits::default();
    let endless = [b"Content-Type: a/b\r\n".as_slice(), &vec![b'x'; limits.header_block + 10]].concat();
    assert_eq!(cause(&as_wire(&signed_entity(&endless, &ALICE))), "open-mime-malformed");
}

#[test]
fn the_outer_fields_of_a_hidden_message_do_not_name_the_file() {
    let (encrypted, _) = compose_it(&usual_plan(), PAYLOAD);
    assert_eq!(encrypted.headers.get("Content-Disposition"), None);
    assert!(!String::from_utf8_lossy(&encrypted.headers.to_bytes()).contains(".xml"));
    let (plain, _) = compose_it(&plain_plan(), PAYLOAD);
    assert!(plain.headers.get("Content-Disposition").is_some());
    assert_eq!(plain.body, PAYLOAD);
}

#[test]
fn the_fields_of_a_message_are_those_of_rfc_4130() {
    let mut plan = usual_plan();
    plan.mdn.mode = MdnMode::Async { url: "https://alice.example/mdn?x=1".to_owned() };
    let (wire, _) = compose_it(&plan, PAYLOAD);
    let expected = [
        ("AS2-Version", "1.2"),
        ("AS2-From", "alice"),
        ("AS2-To", "\"bob co\""),
        ("Message-ID", "<m1@alice>"),
        ("Date", "Sun, 22 Nov 2026 06:00:00 +0000"),
        ("Subject", "=?UTF-8?B?6K6i5Y2V?="),
        ("MIME-Version", "1.0"),
        ("Receipt-Delivery-Option", "https://alice.example/mdn?x=1"),
        ("Disposition-Notification-To", "as2@alice"),
        (
            "Disposition-Notification-Options",
            "signed-receipt-protocol=optional, pkcs7-signature; signed-receipt-micalg=optional, sha-256",
        ),
    ];
    for (name, value) in expected {
        assert_eq!(wire.headers.get(name), Some(value));
    }
    assert!(wire.headers.get("Content-Type").unwrap().starts_with("application/pkcs7-mime; smime-type=enveloped-data"));
    let request = request(&wire);
    let mdn = request.mdn.as_ref().unwrap();
    assert_eq!(mdn.async_url.as_deref(), Some("https://alice.example/mdn?x=1"));
    assert!(mdn.options.signed);
    assert_eq!((request.from.as_str(), request.to.as_str()), ("alice", "bob co"));

    plan.mdn = MdnAsk::none();
    let (quiet, _) = compose_it(&plan, PAYLOAD);
    let asks = |headers: &Headers| {
        headers.iter().any(|(name, _)| name.starts_with("Disposition-") || name.starts_with("Receipt-"))
    };
    assert!(!asks(&quiet.headers));
}

#[test]
fn a_receipt_is_asked_for_by_a_mailbox_whatever_the_message_id_is() {
    for (message_id, mailbox) in [
        ("<1@gate-way.example>", "as2@gate-way.example"),
        ("<1@2@GATE_1>", "as2@GATE_1"),
        ("<1@bob co>", "as2@localhost"),
        ("<1@>", "as2@localhost"),
        ("1", "as2@localhost"),
    ] {
        let stamp = Stamp { message_id: MessageId::parse(message_id).unwrap(), ..stamp() };
        let source = crate::mime::BytesSource(PAYLOAD);
        let composed = compose(&plain_plan(), &stamp, &source, &crate::mime::MemoryScratch, &mut Vec::new()).unwrap();
        assert_eq!(composed.headers.get("Disposition-Notification-To"), Some(mailbox), "{message_id}");
    }
}

#[test]
fn composing_refuses_what_it_cannot_send() {
    let compose_with = |plan: &SendPlan| {
        let source = crate::mime::BytesSource(PAYLOAD);
        compose(plan, &stamp(), &source, &crate::mime::MemoryScratch, &mut Vec::new()).map(|_| ()).map_err(|e| e.code())
    };
    let mut plan = plain_plan();
    plan.content_type = "a/b\r\nX: y".to_owned();
    assert_eq!(compose_with(&plan), Err("compose-header-invalid"));
    let mut plan = usual_plan();
    plan.encryption.as_mut().unwrap().recipients.clear();
    assert_eq!(compose_with(&plan), Err("compose-no-recipient"));
    let mut plan = plain_plan();
    plan.file_name = Some("a\r\nX: \"y\".xml".to_owned());
    plan.subject = Some("a\r\nX: y".to_owned());
    assert_eq!(compose_with(&plan), Ok(()));
}

#[test]
fn a_payload_that_changes_its_length_is_noticed() {
    struct Lying;
    impl crate::mime::Source for Lying {
        fn len(&self) -> u64 {
            10
        }
        fn open(&self) -> std::io::Result<Box<dyn std::io::Read + Send + '_>> {
            Ok(Box::new(b"nine oct.".as_slice()))
        }
    }
    let error = compose(&plain_plan(), &stamp(), &Lying, &crate::mime::MemoryScratch, &mut Vec::new()).unwrap_err();
    assert_eq!(error.code(), "compose-payload-changed");
}
