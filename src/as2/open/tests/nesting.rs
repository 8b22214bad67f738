//! Comments (RFC 5322 3.2.2) may stand in comments without end: a reader that recurses into them runs out of stack. Here they
//! fill a head to its limit, in every field that anybody reads.

use super::*;
use crate::ground::limits::Limits;
use crate::mime::{Headers, MimeError};

const FIELDS: [&str; 14] = [
    "Content-Type",
    "Content-Transfer-Encoding",
    "Content-Disposition",
    "Content-ID",
    "Date",
    "Subject",
    "Message-ID",
    "MIME-Version",
    "AS2-From",
    "AS2-To",
    "AS2-Version",
    "Disposition-Notification-To",
    "Disposition-Notification-Options",
    "Receipt-Delivery-Option",
];

/// A value that begins like an ordinary one, with comments in comments: closed, left open, or closed too often.
fn nested(depth: usize) -> [String; 3] {
    let (open, close) = ("(".repeat(depth), ")".repeat(depth));
    [
        format!("Sun, 22 Nov 2026 06:00:00 +0000 {open}{close}"),
        format!("a/b; c=d {open}{open}"),
        format!("{close}{close}"),
    ]
}

/// A head whose field has this value, its others as they should be.
fn head(field: &str, value: &str) -> String {
    let usual = wire(&[("Content-Type", "application/xml"), ("Date", "x"), ("Subject", "y")], b"");
    let others = usual.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case(field));
    let others: String = others.map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("{others}{field}: {value}\r\n")
}

#[test]
fn comments_in_comments_without_end_do_no_harm_in_any_field() {
    let limits = Limits::default();
    for field in FIELDS {
        for value in nested(30_000) {
            let headers = Headers::parse(head(field, &value).as_bytes(), &limits).unwrap();
            if let Ok(Incoming::Message(request)) = read_head(&headers, b"", &limits) {
                let wire = Wire { headers: request.headers, body: PAYLOAD.to_vec() };
                let _ = receive(&wire, &lax());
            }
            // The same on the parts inside.
            let part = [format!("{field}: {value}\r\n\r\n").as_bytes(), PAYLOAD].concat();
            let (content_type, body) = signed_parts(&part, &part, &ALICE);
            let _ = receive(&self::wire(&[("Content-Type", &content_type)], &body), &lax());
            let sealed = enveloped(&part, ContentCipher::Aes128Gcm, KeyTransport::RsaPkcs1);
            let _ = receive(&sealed, &lax());
        }
    }
    let beyond = Headers::parse(head("Date", &nested(100_000)[0]).as_bytes(), &limits);
    assert!(matches!(beyond, Err(MimeError::HeaderBlockTooLarge)));
}

#[test]
fn comments_in_comments_without_end_do_no_harm_in_a_receipt() {
    let limits = Limits::default();
    for field in ["Original-Message-ID", "Disposition", "Received-content-MIC", "Final-Recipient", "Reporting-UA"] {
        for value in nested(30_000) {
            let body = format!(
                "--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b\r\nContent-Type: message/disposition-notification\r\n\r\n\
                 {field}: {value}\r\n--b--\r\n"
            );
            let fields = [("Content-Type", "multipart/report; report-type=disposition-notification; boundary=b")];
            let receipt = wire(&fields, body.as_bytes());
            assert!(mdn::parse(&receipt.headers, &receipt.body, &[], &limits).is_err(), "{field}");
        }
    }
}
