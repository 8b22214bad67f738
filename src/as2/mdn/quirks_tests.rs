//! Receipts that stray further from RFC 4130 7.4 than those in `receipts_tests`, and dispositions of every row.

use super::super::specimens::*;
use super::super::*;
use super::{BuiltMdn, parse};
use crate::cms::{DigestAlgorithm, SignatureScheme};
use crate::ground::limits::Limits;
use crate::mime::Headers;

fn composed() -> (Composed, Mic) {
    let (_, composed) = compose_it(&plan(Some(SignatureScheme::RsaPkcs1), None, Compression::None), PAYLOAD);
    let mic = composed.mics.exact(DigestAlgorithm::Sha256).unwrap().clone();
    (composed, mic)
}

fn fields(content_type: &str) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in [("AS2-From", "\"bob co\""), ("AS2-To", "alice"), ("Content-Type", content_type)] {
        headers.push(name, value).unwrap();
    }
    headers
}

fn read_it(headers: &Headers, body: &[u8]) -> Mdn {
    parse(headers, body, std::slice::from_ref(&BOB.certificate), &Limits::default()).unwrap()
}

fn notification(mic: &Mic) -> String {
    format!(
        "Final-Recipient: rfc822; bob co\r\nOriginal-Message-ID: <m1@alice>\r\nDisposition: \
         automatic-action/MDN-sent-automatically; processed\r\nReceived-Content-MIC: {mic}\r\n"
    )
}

#[test]
fn a_bare_notification_is_a_receipt_alone_and_inside_a_signature() {
    let (composed, mic) = composed();
    let kind = "message/disposition-notification";
    let bare = read_it(&fields(kind), notification(&mic).as_bytes());
    assert!(matches!(judged(&bare, &composed, false), Verdict::Accepted { matched: Some(_) }));
    let part = format!("Content-Type: {kind}\r\n\r\n{}", notification(&mic));
    let (content_type, body) = signed_parts(part.as_bytes(), part.as_bytes(), &BOB);
    let signed = read_it(&fields(&content_type), &body);
    assert!(matches!(judged(&signed, &composed, true), Verdict::Accepted { matched: Some(_) }));
    let limits = Limits::default();
    for (headers, body) in [(fields(kind), notification(&mic).into_bytes()), (fields(&content_type), body)] {
        assert!(matches!(read_head(&headers, &body, &limits), Ok(Incoming::Mdn(_))), "posted on its own");
        assert_eq!(check_head(&headers), Ok(()));
    }
}

#[test]
fn words_in_whatever_charset_do_not_make_a_receipt_unreadable() {
    let (composed, mic) = composed();
    let lines = [notification(&mic).as_bytes(), b"Warning: \xcf\xc2\x86\xce\r\n"].concat();
    let part = [&b"Content-Type: message/disposition-notification\r\n\r\n"[..], &lines].concat();
    let (content_type, body) = signed_parts(&part, &part, &BOB);
    let mdn = read_it(&fields(&content_type), &body);
    assert!(matches!(judged(&mdn, &composed, true), Verdict::Accepted { matched: Some(_) }));
}

#[test]
fn a_report_that_libas2_signed_without_its_last_line_end_is_read() {
    let (composed, mic) = composed();
    let report = format!(
        "Content-Type: multipart/report; report-type=disposition-notification;\r\n boundary=\"r\"\r\n\r\n--r\r\n\
         Content-Type: text/plain\r\n\r\nok\r\n--r\r\nContent-Type: message/disposition-notification\r\n\r\n{}\r\n--r--",
        notification(&mic)
    );
    let sent = format!("{report}\r\n");
    let (content_type, body) = signed_parts(sent.as_bytes(), report.as_bytes(), &BOB);
    let mdn = read_it(&fields(&content_type), &body);
    assert!(matches!(judged(&mdn, &composed, true), Verdict::Accepted { matched: Some(_) }), "{:?}", mdn.signature);
    for (sent, signed) in [(format!("{sent}\r\n"), &report), (report.replace("ok", "no"), &report)] {
        let (content_type, body) = signed_parts(sent.as_bytes(), signed.as_bytes(), &BOB);
        assert!(read_it(&fields(&content_type), &body).signature.is_err(), "one line end at most, and nothing else");
    }
}

#[test]
fn a_notification_in_another_multipart_is_found() {
    let (composed, mic) = composed();
    for kind in ["multipart/mixed", "multipart/alternative"] {
        let body = format!(
            "--b\r\nContent-Type: text/plain\r\n\r\nok\r\n--b\r\nContent-Type: message/disposition-notification\r\n\r\n{}\r\n--b--\r\n",
            notification(&mic)
        );
        let mdn = read_it(&fields(&format!("{kind}; boundary=b")), body.as_bytes());
        assert!(matches!(judged(&mdn, &composed, false), Verdict::Accepted { .. }), "{kind}");
    }
}

#[test]
fn a_bare_notification_in_a_transfer_encoding_is_decoded_once() {
    use base64::Engine as _;
    let (composed, mic) = composed();
    let text = notification(&mic);
    let encoded = base64::engine::general_purpose::STANDARD.encode(&text);
    for (encoding, body) in
        [("base64", encoded), ("quoted-printable", text.replace('=', "=3D")), ("8bit", text.clone())]
    {
        let mut headers = fields("message/disposition-notification");
        headers.push("Content-Transfer-Encoding", encoding).unwrap();
        let verdict = judged(&read_it(&headers, body.as_bytes()), &composed, false);
        assert!(matches!(verdict, Verdict::Accepted { matched: Some(_) }), "{encoding}: {verdict:?}");
    }
}

#[test]
fn a_notification_in_another_multipart_is_a_receipt_when_it_is_posted_and_nothing_else_is() {
    let (composed, mic) = composed();
    let limits = Limits::default();
    let report = format!(
        "--b\r\nContent-Type: text/plain\r\n\r\nok\r\n--b\r\nContent-Type: message/disposition-notification\r\n\r\n{}\r\n--b--\r\n",
        notification(&mic)
    );
    let line = "Content-Type: message/disposition-notification\r\n\r\nx\r\n";
    for kind in ["multipart/mixed; boundary=b", "Multipart/Alternative; boundary=\"b\""] {
        let part = format!("Content-Type: {kind}\r\n\r\n{report}");
        let (signed_type, signed_body) = signed_parts(part.as_bytes(), part.as_bytes(), &BOB);
        let posts = [(kind, report.as_bytes(), false), (signed_type.as_str(), signed_body.as_slice(), true)];
        for (content_type, body, signed) in posts {
            let headers = fields(content_type);
            assert_eq!(check_head(&headers), Ok(()), "{content_type}");
            assert!(matches!(read_head(&headers, body, &limits), Ok(Incoming::Mdn(_))), "{content_type}");
            let verdict = judged(&read_it(&headers, body), &composed, signed);
            assert!(matches!(verdict, Verdict::Accepted { .. }), "{content_type}: {verdict:?}");
            let mut asking = headers.clone();
            asking.push("Disposition-Notification-To", "x").unwrap();
            assert_eq!(classify(&asking, body, &limits), Kind::Message, "what asks for a receipt is none");
        }
        for payload in [
            report.replace("message/disposition-notification", "application/xml"),
            format!("--b\r\nContent-Type: text/plain\r\n\r\n{line}--b--\r\n"),
            format!("--b\r\nContent-Type: multipart/mixed; boundary=b1\r\n\r\n--b1\r\n{line}--b1--\r\n--b--\r\n"),
            format!("--b1\r\n{line}--b1--\r\n"),
            format!(" --b\r\n{line}"),
            format!("--b\r\nContent-Type: application/xml\r\n\r\n<a/>\r\n--b--\r\n--b\r\n{line}"),
            format!("--b--\r\n--b\r\n{line}"),
            String::new(),
        ] {
            let part = format!("Content-Type: {kind}\r\n\r\n{payload}");
            let (signed_type, signed_body) = signed_parts(part.as_bytes(), part.as_bytes(), &BOB);
            assert_eq!(classify(&fields(kind), payload.as_bytes(), &limits), Kind::Message, "{payload}");
            assert_eq!(classify(&fields(&signed_type), &signed_body, &limits), Kind::Message, "{payload}");
        }
    }
    assert_eq!(classify(&fields("multipart/related; boundary=b"), report.as_bytes(), &limits), Kind::Message);
}

#[test]
fn a_notification_behind_the_first_part_of_what_is_signed_makes_no_receipt() {
    let line = "Content-Type: message/disposition-notification\r\n\r\nx\r\n";
    for inner in ["multipart/mixed", "multipart/alternative"] {
        let first = format!("Content-Type: {inner}; boundary=b\r\n\r\n--b\r\nContent-Type: text/xml\r\n\r\n<a/>\r\n");
        let second = "--sep\r\nContent-Type: application/pkcs7-signature\r\n\r\n";
        let signed = fields("multipart/signed; boundary=sep");
        for (body, kind) in [
            (format!("--sep\r\n{first}{second}--b\r\n{line}--sep--\r\n"), Kind::Message),
            (format!("--sep\r\n{first}--sep--\r\n--b\r\n{line}"), Kind::Message),
            (format!("--sep\r\n{first}--b\r\n{line}{second}"), Kind::Mdn),
        ] {
            assert_eq!(classify(&signed, body.as_bytes(), &Limits::default()), kind, "{body}");
        }
    }
}

#[test]
fn another_recipient_in_the_notification_is_no_reason_to_doubt() {
    let (composed, mic) = composed();
    for recipient in ["Final-Recipient: rfc822; bob's department", "Original-Recipient: rfc822; \"nobody\"", ""] {
        let text = notification(&mic).replace("Final-Recipient: rfc822; bob co", recipient);
        let text = text.trim_start();
        let part = format!("Content-Type: message/disposition-notification\r\n\r\n{text}");
        let (content_type, body) = signed_parts(part.as_bytes(), part.as_bytes(), &BOB);
        let verdict = judged(&read_it(&fields(&content_type), &body), &composed, true);
        assert!(matches!(verdict, Verdict::Accepted { matched: Some(_) }), "{recipient}: {verdict:?}");
    }
}

#[test]
fn fields_that_are_missing_or_quoted_twice_do_no_harm_under_a_signature() {
    let (composed, mic) = composed();
    let good = answer(&Disposition::processed_ok(), Some(&mic), Some(&BOB));
    let change = |name: &str, value: Option<&str>| {
        let mut changed = good.clone();
        match value {
            Some(value) => changed.headers.set(name, value).unwrap(),
            None => changed.headers.remove(name),
        }
        changed
    };
    for (what, built) in [
        ("OpenText: no Message-ID", change("Message-ID", None)),
        ("no AS2-Version", change("AS2-Version", None)),
        ("no MIME-Version", change("MIME-Version", None)),
        ("no names", {
            let mut built = change("AS2-From", None);
            built.headers.remove("AS2-To");
            built
        }),
        ("pyas2: a quoted name quoted again", change("AS2-From", Some("\"\\\"bob co\\\"\""))),
        ("quoted without need", change("AS2-To", Some("\"alice\""))),
        ("features of others", change("EDIINT-Features", Some("CEM, CMS"))),
    ] {
        let verdict = judged(&read(&built), &composed, true);
        assert!(matches!(verdict, Verdict::Accepted { .. }), "{what}: {verdict:?}");
    }
}

#[test]
fn signatures_of_receipts_are_found_in_any_transfer_encoding() {
    use base64::Engine as _;
    let (composed, mic) = composed();
    let unsigned = answer(&Disposition::processed_ok(), Some(&mic), None);
    let part =
        [format!("Content-Type: {}\r\n\r\n", unsigned.headers.get("Content-Type").unwrap()).as_bytes(), &unsigned.body]
            .concat();
    let (content_type, body) = signed_parts(&part, &part, &BOB);
    let at = memchr::memmem::rfind(&body, b"binary\r\n\r\n").unwrap();
    let end = body.len() - b"\r\n--sep--\r\n".len();
    let encoded = base64::engine::general_purpose::STANDARD.encode(&body[at + 10..end]);
    for (declared, signature) in
        [("binary", encoded.as_bytes()), ("base64", encoded.as_bytes()), ("base64", &body[at + 10..end])]
    {
        let body = [&body[..at], declared.as_bytes(), b"\r\n\r\n", signature, &body[end..]].concat();
        let built = BuiltMdn { headers: fields(&content_type), body, signer: None };
        assert!(matches!(judged(&read(&built), &composed, true), Verdict::Accepted { .. }), "{declared}");
    }
}

#[test]
fn words_without_a_head_and_a_blank_line_are_passed_over_but_not_the_notification() {
    let (composed, mic) = composed();
    let report = |text: &str, notification: &str| {
        format!("--r\r\n{text}\r\n\r\n--r\r\n{notification}\r\n--r--\r\n").into_bytes()
    };
    let kind = "multipart/report; report-type=disposition-notification; boundary=r";
    let good = format!("Content-Type: message/disposition-notification\r\n\r\n{}", notification(&mic));
    let words = "The message could not be processed";
    let read = |body: &[u8]| {
        parse(&fields(kind), body, std::slice::from_ref(&BOB.certificate), &Limits::default()).map_err(|e| e.code())
    };
    let mdn = read(&report(words, &good)).unwrap();
    assert!(matches!(judged(&mdn, &composed, false), Verdict::Accepted { matched: Some(_) }));
    let part = [format!("Content-Type: {kind}\r\n\r\n").as_bytes(), &report(words, &good)].concat();
    let (content_type, body) = signed_parts(&part, &part, &BOB);
    let signed = read_it(&fields(&content_type), &body);
    assert!(matches!(judged(&signed, &composed, true), Verdict::Accepted { matched: Some(_) }));
    let broken = format!("{words}\r\n{good}");
    assert_eq!(
        read(&report("Content-Type: text/plain\r\n\r\nok", &broken)).map(|_| ()),
        Err("mdn-without-notification")
    );
}

#[test]
fn a_receipt_that_names_an_encoding_which_it_does_not_have_is_read() {
    let (composed, mic) = composed();
    for signed in [true, false] {
        let mut built = answer(&Disposition::processed_ok(), Some(&mic), signed.then_some(&*BOB));
        for declared in ["base64", "quoted-printable"] {
            built.headers.set("Content-Transfer-Encoding", declared).unwrap();
            let verdict = judged(&read(&built), &composed, signed);
            assert!(matches!(verdict, Verdict::Accepted { .. }), "phase2: {declared}: {verdict:?}");
        }
    }
}

#[test]
fn every_spelling_of_a_digest_is_compared_by_value() {
    let (composed, mic) = composed();
    let text = mic.to_string();
    let value = text.split(',').next().unwrap();
    for spelled in [
        format!("{value},sha-256"),
        format!("{value}, SHA256"),
        format!("{value} , sha256 (as asked)"),
        format!("{value}, rsa-sha256"),
        format!("{}, sha-256", value.trim_end_matches('=')),
        format!("{}\r\n {}, sha-256", &value[..20], &value[20..]),
    ] {
        let body = notification(&mic).replace(&text, &spelled);
        let mdn = read_it(&fields("message/disposition-notification"), body.as_bytes());
        let verdict = judged(&mdn, &composed, false);
        assert!(matches!(verdict, Verdict::Accepted { matched: Some(_) }), "{spelled:?}: {verdict:?}");
    }
}

#[test]
fn every_row_of_dispositions_has_its_verdict() {
    let (composed, mic) = composed();
    for (text, positive) in [
        ("processed", true),
        ("processed/Warning: authentication-failed, processing continued", true),
        ("processed/warning: duplicate-document", true),
        ("processed/error: authentication-failed", false),
        ("processed/error: decryption-failed", false),
        ("processed/error: decompression-failed", false),
        ("processed/error: integrity-check-failed", false),
        ("processed/error: insufficient-message-security", false),
        ("processed/error: unexpected-processing-error", false),
        ("processed/error: unknown-trading-partner", false),
        ("processed/error: unknown-trading-relationship", false),
        ("processed/error: duplicate-filename", false),
        ("processed/error: illegal-filename", false),
        ("processed/error: invalid-message-id", false),
        ("failed/Failure: unsupported format", false),
        ("failed/Failure: unsupported MIC-algorithms", false),
        ("failed/failure: sender-equals-receiver", false),
        ("failed", false),
        ("denied", false),
    ] {
        let body = notification(&mic).replace("; processed", &format!("; {text}"));
        let mdn = read_it(&fields("message/disposition-notification"), body.as_bytes());
        match judged(&mdn, &composed, false) {
            Verdict::Accepted { .. } => assert!(positive, "{text}"),
            Verdict::Refused { disposition } => {
                assert!(!positive, "{text}");
                assert!(!disposition.is_positive());
            }
            Verdict::Doubtful(doubt) => unreachable!("{text}: {doubt:?}"),
        }
    }
}
