//! Receipts in a transfer encoding over all of a multipart, which none should have (RFC 2045 6.4): what is posted in one is told
//! for a receipt, and read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::request::quoted_as_usual;
use super::super::specimens::*;
use super::super::*;
use super::parse;
use crate::cms::{DigestAlgorithm, SignatureScheme};
use crate::ground::limits::Limits;
use crate::mime::Headers;

/// As much of a body as is looked at to tell what it is.
const PREFIX: usize = 8 * 1024;

/// Of the second a delimiter is as it was in quoted-printable.
const BOUNDARIES: [&str; 2] = ["=_b", "b1"];

fn composed() -> (Composed, Mic) {
    let (_, composed) = compose_it(&plan(Some(SignatureScheme::RsaPkcs1), None, Compression::None), PAYLOAD);
    let mic = composed.mics.exact(DigestAlgorithm::Sha256).unwrap().clone();
    (composed, mic)
}

fn fields(content_type: &str, encoding: &str) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in [
        ("AS2-From", "\"bob co\""),
        ("AS2-To", "alice"),
        ("Content-Type", content_type),
        ("Content-Transfer-Encoding", encoding),
    ] {
        headers.push(name, value).unwrap();
    }
    headers
}

/// A multipart of this type with a notification and a long text.
fn report(kind: &str, boundary: &str, mic: &Mic) -> (String, String) {
    let text = "The message was received.\r\n".repeat(400);
    let body = format!(
        "--{boundary}\r\nContent-Type: message/disposition-notification\r\n\r\nFinal-Recipient: rfc822; bob co\r\n\
         Original-Message-ID: <m1@alice>\r\nDisposition: automatic-action/MDN-sent-automatically; processed\r\n\
         Received-Content-MIC: {mic}\r\n\r\n--{boundary}\r\nContent-Type: text/plain\r\n\r\n{text}\r\n--{boundary}--\r\n"
    );
    (format!("{kind}; boundary=\"{boundary}\""), body)
}

fn in_lines(octets: &[u8]) -> Vec<u8> {
    let text = STANDARD.encode(octets);
    text.as_bytes().chunks(76).flat_map(|line| [line, b"\r\n"].concat()).collect()
}

/// Every octet that could be meant otherwise is written in figures, and so is every dash: no line looks like a delimiter.
fn quoted(octets: &[u8]) -> Vec<u8> {
    let as_it_is = |octet: &u8| matches!(octet, b'\r' | b'\n' | b' '..=b'~') && !matches!(octet, b'=' | b'-');
    let piece = |octet: &u8| if as_it_is(octet) { vec![*octet] } else { format!("={octet:02X}").into_bytes() };
    octets.iter().flat_map(piece).collect()
}

/// A body in every encoding that changes it.
fn encoded(body: &[u8]) -> [(&'static str, Vec<u8>); 4] {
    let one_line = STANDARD.encode(body).into_bytes();
    let (thoroughly, as_usual) = (quoted(body), quoted_as_usual(body));
    [("base64", in_lines(body)), ("BASE64", one_line), ("quoted-printable", thoroughly), ("Quoted-Printable", as_usual)]
}

fn is_posted_receipt(headers: &Headers, body: &[u8]) -> bool {
    let prefix = body.get(..PREFIX).unwrap_or(body);
    matches!(read_head(headers, prefix, &Limits::default()), Ok(Incoming::Mdn(_)))
}

/// Read, and found good, `signed` or not.
fn assert_read(headers: &Headers, body: &[u8], composed: &Composed, signed: bool, what: &str) {
    let mdn = parse(headers, body, std::slice::from_ref(&BOB.certificate), &Limits::default());
    let mdn = mdn.unwrap_or_else(|error| unreachable!("{what}: {error}"));
    let verdict = judged(&mdn, composed, signed);
    assert!(matches!(verdict, Verdict::Accepted { matched: Some(_) }), "{what}: {verdict:?}");
}

#[test]
fn a_receipt_that_is_encoded_as_a_whole_is_told_for_one_and_read() {
    let (composed, mic) = composed();
    let built = answer(&Disposition::processed_ok(), Some(&mic), Some(&BOB));
    let mut receipts = vec![(built.headers.get("Content-Type").unwrap().to_owned(), built.body, true)];
    for boundary in BOUNDARIES {
        for kind in ["multipart/report", "multipart/mixed"] {
            let (content_type, body) = report(kind, boundary, &mic);
            let part = format!("Content-Type: {content_type}\r\n\r\n{body}");
            let (around, signed) = signed_parts(part.as_bytes(), part.as_bytes(), &BOB);
            receipts.extend([(around, signed, true), (content_type, body.into_bytes(), false)]);
        }
    }
    for (content_type, body, signed) in receipts {
        for (encoding, encoded) in encoded(&body) {
            let headers = fields(&content_type, encoding);
            let what = format!("{content_type} in {encoding}");
            assert!(is_posted_receipt(&headers, &encoded), "{what}");
            assert_eq!(check_head(&headers), Ok(()), "{what}");
            assert_read(&headers, &encoded, &composed, signed, &what);
            let mut asking = headers.clone();
            asking.push("Disposition-Notification-To", "x").unwrap();
            let is_report = content_type.starts_with("multipart/report");
            let kind = if is_report { Kind::Mdn } else { Kind::Message };
            assert_eq!(classify(&asking, &encoded, &Limits::default()), kind, "{what}: it asks for one");
        }
    }
}

#[test]
fn a_report_that_is_encoded_beneath_its_signature_is_told_for_one_and_read() {
    let (composed, mic) = composed();
    let kinds = ["multipart/report", "multipart/mixed"];
    for (kind, boundary) in kinds.into_iter().flat_map(|kind| BOUNDARIES.map(|boundary| (kind, boundary))) {
        let (content_type, body) = report(kind, boundary, &mic);
        for (encoding, encoded) in encoded(body.as_bytes()) {
            let what = format!("{content_type} in {encoding}");
            let head = format!("Content-Type: {content_type}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n");
            let part = [head.as_bytes(), &encoded].concat();
            let (around, body) = signed_parts(&part, &part, &BOB);
            let headers = fields(&around, "binary");
            assert!(is_posted_receipt(&headers, &body), "{what}");
            assert_read(&headers, &body, &composed, true, &what);
        }
    }
}

#[test]
fn a_signed_receipt_that_only_looks_quoted_is_read_as_it_is() {
    let (_, mic) = composed();
    let (_, body) = report("multipart/report", "b1", &mic);
    let body = body.replace(&format!("Received-Content-MIC: {mic}\r\n"), "");
    assert!(body.len() > PREFIX && !body.contains('='), "nothing else shows that it is not");
    let part = format!("Content-Type: multipart/report; boundary=b1\r\n\r\n{body}");
    let (content_type, body) = signed_parts(part.as_bytes(), part.as_bytes(), &BOB);
    let headers = fields(&content_type, "quoted-printable");
    let mdn = parse(&headers, &body, std::slice::from_ref(&BOB.certificate), &Limits::default()).unwrap();
    assert!(matches!(mdn.signature, Ok(Some(_))), "{:?}", mdn.signature);
    assert_eq!(mdn.disposition, Disposition::processed_ok());
}

#[test]
fn a_receipt_whose_parts_are_quoted_and_say_so_is_decoded_once() {
    let (_, mic) = composed();
    let encoding = "Content-Transfer-Encoding: quoted-printable";
    let (kind, body) = report("multipart/report", "b1", &mic);
    let body = body.replace("notification\r\n", &format!("notification\r\n{encoding}\r\n"));
    let body = body.replace("text/plain\r\n", &format!("text/plain\r\n{encoding}\r\n"));
    let body = body.replace(&mic.to_string(), &mic.to_string().replace('=', "=3D"));
    assert!(body.matches(encoding).count() == 2 && body.contains("=3D"));
    let mdn = parse(&fields(&kind, "quoted-printable"), body.as_bytes(), &[], &Limits::default()).unwrap();
    assert_eq!(mdn.mic, Some(mic));
}

#[test]
fn a_receipt_with_a_date_in_front_that_names_an_encoding_which_it_does_not_have_is_read() {
    let (composed, mic) = composed();
    for signed in [true, false] {
        let mut built = answer(&Disposition::processed_ok(), Some(&mic), signed.then_some(&*BOB));
        built.body.splice(..0, *b"Date: Sun, 22 Nov 2026 06:00:00 +0000\r\n\r\n");
        for declared in ["base64", "quoted-printable"] {
            built.headers.set("Content-Transfer-Encoding", declared).unwrap();
            assert!(is_posted_receipt(&built.headers, &built.body), "mendelson: {declared}");
            let verdict = judged(&read(&built), &composed, signed);
            assert!(matches!(verdict, Verdict::Accepted { .. }), "mendelson: {declared}: {verdict:?}");
        }
    }
}

#[test]
fn no_other_payload_becomes_a_receipt_by_its_encoding() {
    let (_, mic) = composed();
    let (mixed_type, body) = report("multipart/mixed", "b1", &mic);
    let other = body.replace("message/disposition-notification", "application/xml");
    let part = format!("Content-Type: {mixed_type}\r\n\r\n{other}");
    let (signed_type, signed_body) = signed_parts(part.as_bytes(), part.as_bytes(), &BOB);
    for (content_type, body) in [(&mixed_type, other.as_bytes()), (&signed_type, signed_body.as_slice())] {
        let damaged = [("base64", b"%".repeat(9000)), ("quoted-printable", b"=".repeat(9000)), ("x-y", in_lines(body))];
        for (encoding, encoded) in encoded(body).into_iter().chain(damaged) {
            assert!(!is_posted_receipt(&fields(content_type, encoding), &encoded), "{content_type} in {encoding}");
            for len in [0, 1, 2, 3, 77, 4099] {
                let cut = encoded.get(..len).unwrap_or(&encoded);
                let is_one = is_posted_receipt(&fields(content_type, encoding), cut);
                assert!(!is_one, "{len} octets of {content_type} in {encoding}");
            }
        }
    }
    // Nothing says that it is encoded.
    let (_, encoded) = &encoded(body.as_bytes())[0];
    assert!(!is_posted_receipt(&fields(&mixed_type, "8bit"), encoded));
}
