//! Receipts in the style of other products, and forged ones.

use super::super::specimens::*;
use super::super::*;
use super::parse;
use crate::cms::{DigestAlgorithm, SignatureScheme, SigningKey};
use crate::ground::limits::Limits;
use crate::mime::{Headers, MimeError};

/// SHA-256 of nothing, and SHA-1 of nothing.
const SHA256: &str = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
const SHA1: &str = "2jmj7l5rSw0yVb/vlWAYkK/YBwk=";

/// A product's receipt: fields of the response, body, what must be read from it.
struct Specimen {
    product: &'static str,
    fields: &'static [(&'static str, &'static str)],
    body: String,
    original: &'static str,
    disposition: &'static str,
    mic: &'static str,
}

// One table, long because receipts are long.
#[allow(clippy::too_many_lines)]
fn specimens() -> Vec<Specimen> {
    vec![
        Specimen {
            product: "IBM Sterling: text part without fields, no brackets, no blanks",
            fields: &[(
                "Content-Type",
                "multipart/report; Report-Type=disposition-notification; boundary=\"_=Part_1\"",
            )],
            body: format!(
                "--_=Part_1\r\n\r\nYour message was received.\r\n--_=Part_1\r\nContent-Type: message/disposition-notification\r\n\r\n\
                 Original-Recipient: rfc822;bob co\r\nFinal-Recipient: rfc822;bob co\r\nOriginal-Message-ID: m1@alice\r\n\
                 Received-Content-MIC: {SHA1},sha1\r\n\
                 Disposition: Automatic-action/mdn-sent-automatically;processed\r\n\r\n--_=Part_1--\r\n"
            ),
            original: "m1@alice",
            disposition: "automatic-action/MDN-sent-automatically; processed",
            mic: SHA1,
        },
        Specimen {
            product: "mendelson: tab in Content-Type, 7bit, blank line after the fields",
            fields: &[(
                "Content-Type",
                "multipart/report;\treport-type=disposition-notification;\tboundary=\"----=_Part_7\"",
            )],
            body: format!(
                "------=_Part_7\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: 7bit\r\n\r\nThe message could not be \
                 decrypted.\r\n\r\n------=_Part_7\r\nContent-Type: message/disposition-notification\r\nContent-Transfer-Encoding: \
                 7bit\r\n\r\nReporting-UA: mendelson AS2\r\nOriginal-Recipient: rfc822; \"bob co\"\r\nFinal-Recipient: rfc822; \
                 \"bob co\"\r\nOriginal-Message-ID: <m1@alice>\r\nDisposition: automatic-action/MDN-sent-automatically; \
                 processed/error: decryption-failed\r\nReceived-Content-MIC: {SHA256}, sha-256\r\n\r\n\r\n------=_Part_7--\r\n"
            ),
            original: "<m1@alice>",
            disposition: "automatic-action/MDN-sent-automatically; processed/error: decryption-failed",
            mic: SHA256,
        },
        Specimen {
            product: "OpenAS2: no blank after Error, its misspelling",
            fields: &[(
                "Content-Type",
                "multipart/report; report-type=disposition-notification; boundary=\"----=_Part_3_1.2\"",
            )],
            body: format!(
                "------=_Part_3_1.2\r\nContent-Type: text/plain; charset=us-ascii\r\nContent-Transfer-Encoding: 7bit\r\n\r\n\
                 Error\r\n------=_Part_3_1.2\r\nContent-Type: message/disposition-notification\r\nContent-Transfer-Encoding: \
                 7bit\r\n\r\nReporting-UA: OpenAS2 Server\r\nOriginal-Recipient: rfc822; bob co\r\nFinal-Recipient: rfc822; bob \
                 co\r\nOriginal-Message-ID: <m1@alice>\r\nDisposition: automatic-action/MDN-sent-automatically; \
                 processed/Error:decompresion-failed\r\nReceived-Content-MIC: {SHA256}, SHA256\r\n\r\n------=_Part_3_1.2--\r\n"
            ),
            original: "<m1@alice>",
            disposition: "automatic-action/MDN-sent-automatically; processed/error: decompresion-failed",
            mic: SHA256,
        },
        Specimen {
            product: "BizTalk: identifier without @, line feeds only, notification in base64",
            fields: &[("Content-Type", "multipart/report; report-type=\"disposition-notification\"; boundary=\"_B_\"")],
            body: format!(
                "--_B_\nContent-Type: text/plain\n\nok\n--_B_\nContent-Type: message/disposition-notification\n\
                 Content-Transfer-Encoding: base64\n\n{}\n--_B_--\n",
                base64::Engine::encode(
                    &base64::engine::general_purpose::STANDARD,
                    format!(
                        "Final-Recipient: rfc822; bob co\r\nOriginal-Message-ID: <ALICE_1A2B>\r\nDisposition: \
                         automatic-action/MDN-sent-automatically; processed\r\nReceived-Content-MIC: {SHA1}, sha1\r\n"
                    )
                )
            ),
            original: "<ALICE_1A2B>",
            disposition: "automatic-action/MDN-sent-automatically; processed",
            mic: SHA1,
        },
        Specimen {
            product: "pyas2: warning for a duplicate, unhyphenated algorithm",
            fields: &[(
                "Content-Type",
                "multipart/report; report-type=\"disposition-notification\"; boundary=\"===============1==\"",
            )],
            body: format!(
                "--===============1==\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: 7bit\r\n\r\nThe AS2 message has \
                 been received.\r\n--===============1==\r\nContent-Type: message/disposition-notification\r\n\
                 Content-Transfer-Encoding: 7bit\r\n\r\nReporting-UA: pyas2\r\nOriginal-Recipient: rfc822; bob co\r\n\
                 Final-Recipient: rfc822; bob co\r\nOriginal-Message-ID: <m1@alice>\r\nDisposition: \
                 automatic-action/MDN-sent-automatically; processed/Warning: duplicate-document\r\nReceived-Content-MIC: \
                 {SHA256},sha256\r\n\r\n--===============1==--\r\n"
            ),
            original: "<m1@alice>",
            disposition: "automatic-action/MDN-sent-automatically; processed/warning: duplicate-document",
            mic: SHA256,
        },
    ]
}

fn headers(fields: &[(&str, &str)]) -> Headers {
    let mut headers = Headers::new();
    headers.push("AS2-From", "\"bob co\"").unwrap();
    headers.push("AS2-To", "alice").unwrap();
    for (name, value) in fields {
        headers.push(name, value).unwrap();
    }
    headers
}

/// The same receipt, signed.
fn signed(specimen: &Specimen, key: &SigningKey) -> (Headers, Vec<u8>) {
    let report =
        [format!("Content-Type: {}\r\n\r\n", specimen.fields[0].1).as_bytes(), specimen.body.as_bytes()].concat();
    let (content_type, body) = signed_parts(&report, &report, key);
    (headers(&[("Content-Type", &content_type)]), body)
}

#[test]
fn receipts_of_other_products_are_read() {
    for specimen in specimens() {
        let what = specimen.product;
        let bob = [BOB.certificate.clone()];
        let unsigned =
            parse(&headers(specimen.fields), specimen.body.as_bytes(), &bob, &Limits::default()).expect(what);
        let (signed_headers, signed_body) = signed(&specimen, &BOB);
        let signed = parse(&signed_headers, &signed_body, &bob, &Limits::default()).expect(what);
        assert!(matches!(unsigned.signature, Ok(None)), "{what}");
        assert!(matches!(signed.signature, Ok(Some(_))), "{what}: {:?}", signed.signature);
        for mdn in [unsigned, signed] {
            assert_eq!(mdn.original_message_id.unwrap().as_str(), specimen.original, "{what}");
            assert_eq!(mdn.final_recipient.as_deref(), Some("bob co"), "{what}");
            assert_eq!(mdn.disposition.to_string(), specimen.disposition, "{what}");
            assert!(mdn.mic.unwrap().to_string().starts_with(specimen.mic), "{what}");
            assert!(!mdn.text.is_empty() && !mdn.text.contains("--"), "{what}: {:?}", mdn.text);
            assert_eq!((mdn.from, mdn.to), (Some(name("bob co")), Some(name("alice"))), "{what}");
        }
    }
}

#[test]
fn a_signature_over_canonical_lines_survives_a_relay_that_changed_them() {
    let specimen = &specimens()[1];
    let (signed_headers, body) = signed(specimen, &BOB);
    let start = memchr::memmem::find(&body, b"------=_Part_7").unwrap();
    let end = memchr::memmem::find(&body, b"------=_Part_7--").unwrap();
    let changed = String::from_utf8(body[start..end].to_vec()).unwrap().replace("\r\n", "\n");
    let body = [&body[..start], changed.as_bytes(), &body[end..]].concat();
    let mdn = parse(&signed_headers, &body, std::slice::from_ref(&BOB.certificate), &Limits::default()).unwrap();
    assert!(matches!(mdn.signature, Ok(Some(_))), "{:?}", mdn.signature);
}

#[test]
fn our_own_receipt_has_the_shape_of_rfc_4130() {
    let mic = Mic { algorithm: DigestAlgorithm::Sha512, value: vec![0xab; 64] };
    let built = answer(&Disposition::processed_ok(), Some(&mic), None);
    let body = String::from_utf8(built.body).unwrap();
    assert!(
        built
            .headers
            .get("Content-Type")
            .unwrap()
            .starts_with("multipart/report; report-type=disposition-notification; boundary=")
    );
    for line in [
        "Original-Recipient: rfc822; \"bob co\"",
        "Final-Recipient: rfc822; \"bob co\"",
        "Original-Message-ID: <m1@alice>",
        "Disposition: automatic-action/MDN-sent-automatically; processed",
    ] {
        assert_eq!(
            body.matches(&format!("\r\n{line}\r\n")).count(),
            if line.starts_with("Disp") { 2 } else { 1 },
            "{line}"
        );
    }
    assert!(body.lines().any(|line| line.starts_with("Received-Content-MIC: ") && line.len() > 88), "not folded");
    assert!(body.starts_with("--"));
    let fields = [
        ("AS2-From", "\"bob co\""),
        ("AS2-To", "alice"),
        ("Message-ID", "<r1@bob>"),
        ("Date", "Sun, 22 Nov 2026 06:00:00 +0000"),
        ("MIME-Version", "1.0"),
    ];
    for (name, value) in fields {
        assert_eq!(built.headers.get(name), Some(value));
    }
}

#[test]
fn every_disposition_travels_in_a_signed_receipt() {
    for disposition in [
        Disposition::processed_ok(),
        Disposition::authentication_failed(),
        Disposition::decryption_failed(),
        Disposition::unsupported_mic_algorithms(),
        Disposition::duplicate_document(&Stored::assertion()),
    ] {
        let mdn = read(&answer(&disposition, None, Some(&BOB)));
        assert_eq!(mdn.disposition, disposition);
        assert!(matches!(&mdn.signature, Ok(Some(valid)) if valid.signer() == BOB.certificate.fingerprint()));
    }
}

/// Alice's message and the digest Bob must return.
fn sent_message() -> (Composed, Mic) {
    let (_, composed) = compose_it(&plan(Some(SignatureScheme::RsaPkcs1), None, Compression::None), PAYLOAD);
    let mic = composed.mics.exact(DigestAlgorithm::Sha256).unwrap().clone();
    (composed, mic)
}

#[test]
fn a_duplicate_without_a_digest_counts_only_when_the_partner_can_have_had_the_message_before() {
    let (composed, mic) = sent_message();
    for signed in [true, false] {
        let duplicate = |mic| {
            let disposition = Disposition::duplicate_document(&Stored::assertion());
            read(&answer(&disposition, mic, signed.then_some(&*BOB)))
        };
        let judged = |had_before, mic| judged_after(had_before, &duplicate(mic), &composed, signed);
        assert_eq!(judged(true, None), Verdict::Accepted { matched: None });
        assert_eq!(judged(false, None), Verdict::Doubtful(Doubt::Duplicate));
        assert!(matches!(judged(false, Some(&mic)), Verdict::Accepted { matched: Some(_) }), "its digest proves it");
        let other = Mic { value: vec![0; 32], ..mic.clone() };
        assert_eq!(judged(true, Some(&other)), Verdict::Doubtful(Doubt::MicMismatch));
    }
}

/// A change to an otherwise good receipt.
type Forgery = fn(&mut Mdn);

#[test]
fn a_receipt_that_does_not_match_is_doubtful() {
    let (composed, mic) = sent_message();
    let table: [(&str, Forgery, Doubt); 8] = [
        ("another message", |mdn| mdn.original_message_id = MessageId::parse("<m2@alice>").ok(), Doubt::WrongMessage),
        ("no message", |mdn| mdn.original_message_id = None, Doubt::WrongMessage),
        ("from someone else", |mdn| mdn.from = Some(name("mallory")), Doubt::WrongPartner),
        ("for someone else", |mdn| mdn.to = Some(name("ALICE")), Doubt::WrongPartner),
        ("unsigned", |mdn| mdn.signature = Ok(None), Doubt::Unsigned),
        ("no digest", |mdn| mdn.mic = None, Doubt::NoMic),
        (
            "unreadable digest",
            |mdn| {
                mdn.mic = None;
                mdn.mic_unreadable = true;
            },
            Doubt::UnreadableMic,
        ),
        ("wrong digest", |mdn| mdn.mic.as_mut().unwrap().value[0] ^= 1, Doubt::MicMismatch),
    ];
    for (what, forge, doubt) in table {
        let mut mdn = read(&answer(&Disposition::processed_ok(), Some(&mic), Some(&BOB)));
        assert!(matches!(judged(&mdn, &composed, true), Verdict::Accepted { .. }));
        forge(&mut mdn);
        assert_eq!(judged(&mdn, &composed, true), Verdict::Doubtful(doubt), "{what}");
    }
}

#[test]
fn a_receipt_signed_by_anyone_else_is_doubtful() {
    let (composed, mic) = sent_message();
    for key in [&MALLORY, &ALICE] {
        let mdn = read(&answer(&Disposition::processed_ok(), Some(&mic), Some(key)));
        assert_eq!(judged(&mdn, &composed, true), Verdict::Doubtful(Doubt::BadSignature));
        assert_eq!(judged(&mdn, &composed, false), Verdict::Doubtful(Doubt::BadSignature));
    }
    let mut altered = answer(&Disposition::decryption_failed(), Some(&mic), Some(&BOB));
    let error = b"processed/error: decryption-failed\r\nReceived";
    let at = memchr::memmem::find(&altered.body, error).unwrap();
    altered.body.splice(at..at + error.len(), *b"processed\r\nReceived");
    assert_eq!(judged(&read(&altered), &composed, true), Verdict::Doubtful(Doubt::BadSignature));
}

#[test]
fn a_refusal_counts_only_when_it_is_signed_as_asked() {
    let (composed, _) = sent_message();
    let disposition = Disposition::integrity_check_failed();
    let signed = read(&answer(&disposition, None, Some(&BOB)));
    assert_eq!(judged(&signed, &composed, true), Verdict::Refused { disposition: disposition.clone() });
    let unsigned = read(&answer(&disposition, None, None));
    assert_eq!(judged(&unsigned, &composed, true), Verdict::Doubtful(Doubt::Unsigned));
    assert_eq!(judged(&unsigned, &composed, false), Verdict::Refused { disposition });
}

#[test]
fn an_unsigned_receipt_is_enough_when_none_other_was_asked_for() {
    let (composed, mic) = sent_message();
    let with_mic = read(&answer(&Disposition::processed_ok(), Some(&mic), None));
    assert!(matches!(judged(&with_mic, &composed, false), Verdict::Accepted { matched: Some(_) }));
    let mut without = read(&answer(&Disposition::processed_ok(), None, None));
    assert_eq!(judged(&without, &composed, false), Verdict::Accepted { matched: None });
    without.from = None;
    assert_eq!(judged(&without, &composed, false), Verdict::Doubtful(Doubt::WrongPartner));
}

#[test]
fn a_digest_that_says_nothing_counts_like_none_where_no_algorithm_was_asked_for() {
    let (composed, mic) = sent_message();
    let good = answer(&Disposition::processed_ok(), Some(&mic), None);
    let body = String::from_utf8(good.body.clone()).unwrap();
    for other in ["kTqV2Zl5yQ0Yx2m7yL2l3w==, md5", "AAAA, sha-224", "?, sha3-256"] {
        let body = body.replace(&mic.to_string(), other).into_bytes();
        let mdn = read(&BuiltMdn { headers: good.headers.clone(), body, signer: None });
        assert_eq!(judged(&mdn, &composed, false), Verdict::Accepted { matched: None }, "{other}");
    }
    let other = Mic { value: vec![0; 32], ..mic };
    let mdn = read(&answer(&Disposition::processed_ok(), Some(&other), None));
    assert_eq!(judged(&mdn, &composed, false), Verdict::Doubtful(Doubt::MicMismatch));
}

#[test]
fn brackets_of_the_identifier_do_not_matter_to_the_verdict() {
    let (composed, mic) = sent_message();
    let mut mdn = read(&answer(&Disposition::processed_ok(), Some(&mic), Some(&BOB)));
    mdn.original_message_id = MessageId::parse("m1@alice").ok();
    assert!(matches!(judged(&mdn, &composed, true), Verdict::Accepted { .. }));
}

#[test]
fn what_is_not_a_usable_receipt_is_refused() {
    let good = &specimens()[1];
    let bob = [BOB.certificate.clone()];
    let limits = Limits::default();
    let code = |headers: &Headers, body: &[u8]| parse(headers, body, &bob, &limits).map(|_| ()).map_err(|e| e.code());
    let body = |from: &str, to: &str| good.body.replace(from, to).into_bytes();

    assert_eq!(code(&headers(&[("Content-Type", "text/html")]), b"<html>"), Err("mdn-not-a-receipt"));
    assert_eq!(code(&headers(&[]), b""), Err("mdn-not-a-receipt"));
    let report = headers(good.fields);
    assert_eq!(code(&report, &body("message/disposition-notification", "text/x")), Err("mdn-without-notification"));
    assert_eq!(code(&report, &body("Disposition:", "Position:")), Err("mdn-disposition-unreadable"));
    let twice = "Disposition: a/b; processed\r\nDisposition:";
    assert_eq!(code(&report, &body("Disposition:", twice)), Err("mdn-field-repeated"));
    assert_eq!(code(&report, &vec![b'x'; limits.mdn + 1]), Err("mdn-too-large"));
    let repeated = headers(&[good.fields[0], good.fields[0]]);
    assert_eq!(code(&repeated, good.body.as_bytes()), Err("mdn-field-repeated"));
    let (signed_headers, mut signed_body) = signed(good, &BOB);
    let unbounded = parse(&signed_headers, b"no delimiter", &bob, &limits).map(|_| ());
    assert!(matches!(unbounded, Err(MdnError::Mime(MimeError::MissingDelimiter))), "{unbounded:?}");
    let end = signed_body.len() - b"--sep--\r\n".len();
    signed_body.splice(end..end, *b"--sep\r\nContent-Type: a/b\r\n\r\nsmuggled\r\n");
    assert_eq!(code(&signed_headers, &signed_body), Err("mdn-malformed"));
}

#[test]
fn receipts_and_messages_are_told_apart() {
    let limits = Limits::default();
    for (built, kind) in [
        (answer(&Disposition::processed_ok(), None, None), Kind::Mdn),
        (answer(&Disposition::processed_ok(), None, Some(&BOB)), Kind::Mdn),
    ] {
        assert_eq!(classify(&built.headers, &built.body, &limits), kind);
        assert!(matches!(read_head(&built.headers, &built.body, &limits), Ok(Incoming::Mdn(_))));
        let mut asking = built.headers.clone();
        asking.push("Disposition-Notification-To", "x").unwrap();
        let signed = asking.get("Content-Type").unwrap().starts_with("multipart/signed");
        assert_eq!(classify(&asking, &built.body, &limits) == Kind::Message, signed);
    }
    for plan in [plain_plan(), usual_plan(), plan(Some(SignatureScheme::RsaPss), None, Compression::None)] {
        let mut quiet = plan.clone();
        quiet.mdn = MdnAsk::none();
        for plan in [plan, quiet] {
            let (wire, _) = compose_it(&plan, PAYLOAD);
            assert_eq!(classify(&wire.headers, &wire.body, &limits), Kind::Message);
        }
    }
}
