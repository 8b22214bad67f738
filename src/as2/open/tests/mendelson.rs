//! What mendelson AS2 makes of a message that it does not sign: no MIME entity in an envelope, the type of the payload around what
//! is compressed, several files in a multipart of one part. And multiparts, of anybody, that name an encoding which they do not
//! have, or have one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::as2::attachments::{Attachment, Container, Enclosure, Related, related_boundary};
use crate::cms::{EnvelopeWriter, GcmForm, Recipient};
use crate::ground::limits::Limits;
use crate::mime::{BytesSource, MimeError, Source as _};

const V15: KeyTransport = KeyTransport::RsaPkcs1;
const GCM: ContentCipher = ContentCipher::Aes256Gcm;
const CBC: ContentCipher = ContentCipher::Aes256Cbc;
const DATE: &[u8] = b"Date: Sun, 22 Nov 2026 06:00:00 +0000\r\n\r\n";

/// Files as they are.
fn files() -> Vec<Vec<u8>> {
    vec![
        b"UNA:+.? 'UNB+UNOC:3+A:14+B:14+261122:0600+1'UNZ+0+1'".to_vec(),
        b"UNA:+.? '\r\nUNB+UNOC:3+A:14+B:14+261122:0600+1'\r\nUNZ+0+1'\r\n\r\n".to_vec(),
        b"UNA:+.? '\r\n\r\n".to_vec(),
        b"UNB+UNOC:3+A:14+B:14'\r\n".to_vec(),
        b"UNB+UNOC:3+A:14+B:14'UNZ+0+1'\r\n\r\n".to_vec(),
        b"<?xml version=\"1.0\"?>\r\n\r\n<a xmlns:b=\"c\"/>\r\n".to_vec(),
        b"%PDF-1.7\n\n\x00\xff".to_vec(),
        Vec::new(),
        vec![b'x'; 200_001],
        [vec![0x80; 70_000], b"\n".to_vec()].concat(),
    ]
}

/// As its POST has it: the name of the file stands there.
fn named(mut wire: Wire) -> Wire {
    wire.headers.push("Content-Disposition", "attachment; filename=\"order.edi\"").unwrap();
    wire
}

/// As Bouncy Castle writes GCM.
fn in_enveloped_data(inner: &[u8]) -> Wire {
    let recipient = Recipient { certificate: BOB.certificate.clone(), transport: V15 };
    let len = u64::try_from(inner.len()).unwrap();
    let writer = EnvelopeWriter::in_form(Vec::new(), &[recipient], GCM, GcmForm::Enveloped, len);
    let mut writer = writer.unwrap();
    std::io::Write::write_all(&mut writer, inner).unwrap();
    let kind = "application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m";
    wire(&[("Content-Type", kind)], &writer.finish().unwrap())
}

fn name_of(opened: &Opened) -> Option<&str> {
    opened.file_name.as_ref().map(|name| name.original.as_str())
}

#[test]
fn a_file_without_an_entity_is_taken_from_an_envelope_with_integrity_where_nothing_need_be_signed() {
    let policy = AcceptPolicy { gcm_in_enveloped: true, require_encryption: true, ..lax() };
    for file in files() {
        let what = String::from_utf8_lossy(file.get(..20).unwrap_or(&file)).into_owned();
        for wire in [enveloped(&file, GCM, V15), in_enveloped_data(&file)] {
            let (opened, payload) =
                receive(&named(wire), &policy).unwrap_or_else(|failure| unreachable!("{what}: {}", failure.cause));
            assert!(payload == file, "{what}");
            assert_eq!(opened.mic.as_ref().unwrap().value, sha256(&file), "{what}: all of it, and nothing else");
            assert_eq!((opened.content_type.as_deref(), name_of(&opened)), (None, Some("order.edi")), "{what}");
            assert!(opened.encrypted == Some(GCM) && opened.signature.is_none() && !opened.compressed, "{what}");
        }
    }
}

#[test]
fn a_file_without_an_entity_is_refused_where_a_signature_is_agreed() {
    for file in files() {
        let strict = AcceptPolicy { require_signature: true, ..lax() };
        let failure = receive(&enveloped(&file, GCM, V15), &strict).expect_err("not signed");
        assert!(!failure.told.is_positive(), "{}", failure.cause);
    }
}

#[test]
fn in_an_envelope_without_integrity_a_file_without_an_entity_fails_like_any_garbage() {
    let told = |failure: OpenFailure| (failure.told, failure.explanation, failure.mic, failure.veiled);
    let garbage = |inner: &[u8]| told(receive(&enveloped(inner, CBC, V15), &lax()).expect_err("no entity"));
    let expected = garbage(&[0x8f; 400]);
    assert_eq!(expected.0, Disposition::decryption_failed());
    for file in files() {
        // The third can be read as an entity without content, by anybody.
        if file != b"UNA:+.? '\r\n\r\n" {
            assert_eq!(garbage(&file), expected, "{}", String::from_utf8_lossy(file.get(..20).unwrap_or(&file)));
        }
    }
    let mut broken = enveloped(&files()[0], CBC, V15);
    *broken.body.last_mut().unwrap() ^= 1;
    assert_eq!(told(receive(&broken, &lax()).expect_err("padding")), expected);
}

#[test]
fn a_file_without_an_entity_whose_tag_does_not_hold_is_a_failed_decryption() {
    for file in files() {
        let sealed = enveloped(&file, GCM, V15);
        for from_end in [1, 16, 17 + file.len() / 2] {
            let mut broken = sealed.clone();
            let at = broken.body.len() - from_end;
            broken.body[at] ^= 1;
            let failure = receive(&broken, &lax()).expect_err("changed");
            assert_eq!((failure.told, failure.mic), (Disposition::decryption_failed(), None));
        }
    }
}

#[test]
fn an_entity_is_one_though_it_is_broken_or_says_nothing() {
    let table: [(&[u8], Option<&[u8]>); 5] = [
        (b"\r\n<a/>", Some(b"<a/>")),
        (b"X-Nothing: here\r\n\r\n<a/>", Some(b"<a/>")),
        (b"Content-Type: a/b\r\nno field\r\n\r\n<a/>", None),
        (b"MIME-Version: 1.0\r\nContent-Type: a/b", None),
        (b"Order: 1\r\nof 2\r\n", None),
    ];
    for (entity, payload) in table {
        let received = receive(&enveloped(entity, GCM, V15), &lax());
        assert_eq!(received.ok().map(|(_, payload)| payload).as_deref(), payload, "{entity:?}");
    }
    let compressed = compressed_entity(b"<a/>");
    assert!(receive(&enveloped(&compressed, GCM, V15), &lax()).is_err(), "an entity is what is compressed");
}

/// What comes out when it is taken apart for evidence, and what is found in that.
fn again(wire: &Wire, opened: &Opened) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let key = opened.content_key.as_ref().map(|key| key.expose().clone());
    let (mut covered, mut payload, mut inside) = (Vec::new(), Vec::new(), Vec::new());
    let outlets = Outlets { covered: &mut covered, signature: &mut std::io::sink(), payload: &mut payload };
    let (keys, limits) = (OpenKeys { decryption: &[], trusted: &[], known: &[] }, Limits::default());
    let body = &mut wire.body.as_slice();
    let found = dissect(&wire.headers, body, &keys, key.as_deref(), &limits, Form::AsReceived, outlets).unwrap();
    let mic = opened.mic.as_ref().unwrap();
    assert_eq!(found.digests.of(mic.algorithm), Some(mic.value.as_slice()));
    assert_eq!((found.payload_sha256, found.compressed), (opened.payload_sha256, opened.compressed));
    payload_of(&mut covered.as_slice(), &wire.headers, false, &limits, &mut inside).unwrap();
    (covered, payload, inside)
}

#[test]
fn a_file_without_an_entity_comes_apart_again() {
    for file in files() {
        let wire = enveloped(&file, GCM, V15);
        let (opened, _) = receive(&wire, &lax()).unwrap();
        assert_eq!(name_of(&opened), None, "that of the envelope is not its");
        let (covered, payload, inside) = again(&wire, &opened);
        assert!(covered == file && payload == file && inside == file);
    }
}

/// The body of a message that is compressed and nothing else.
fn compressed(encoding: &str) -> Vec<u8> {
    let entity = compressed_entity(&payload_entity());
    let at = memchr::memmem::find(&entity, b"\r\n\r\n").unwrap() + 4;
    let structure = match encoding {
        "base64" => STANDARD.encode(&entity[at..]).into_bytes(),
        _ => entity[at..].to_vec(),
    };
    let head = format!(
        "Content-Type: application/pkcs7-mime; name=\"smime.p7z\"; smime-type=compressed-data\r\n\
         Content-Transfer-Encoding: {encoding}\r\nContent-Disposition: attachment; filename=\"smime.p7z\"\r\n\
         Content-Description: S/MIME Compressed Message\r\n\r\n"
    );
    [head.as_bytes(), &structure].concat()
}

#[test]
fn what_is_compressed_under_the_type_of_its_payload_is_read_where_nothing_need_be_signed() {
    for encoding in ["binary", "base64"] {
        let wire = named(wire(&[("Content-Type", "application/EDIFACT")], &compressed(encoding)));
        let (opened, payload) =
            receive(&wire, &lax()).unwrap_or_else(|failure| unreachable!("{encoding}: {}", failure.cause));
        assert!(payload == PAYLOAD && opened.compressed, "{encoding}");
        assert_eq!(opened.mic.as_ref().unwrap().value, sha256(&payload_entity()), "RFC 5402 4.3");
        assert_eq!((opened.content_type.as_deref(), name_of(&opened)), (Some("application/xml"), Some("order.edi")));
        let limits = Limits::default();
        assert!(!is_enveloped(&wire.headers, &mut wire.body.as_slice(), &limits), "{encoding}");
        assert!(again_compressed(&wire, &opened) == payload_entity(), "{encoding}");

        let strict = AcceptPolicy { require_signature: true, ..lax() };
        assert_eq!(receive(&wire, &strict).unwrap_err().cause.code(), "open-not-signed", "{encoding}");
        let sealed = AcceptPolicy { require_encryption: true, ..lax() };
        assert_eq!(receive(&wire, &sealed).unwrap_err().cause.code(), "open-not-encrypted", "{encoding}");
        let mut cut = wire.clone();
        cut.body.truncate(cut.body.len() - 12);
        assert_eq!(receive(&cut, &lax()).unwrap_err().told, Disposition::decompression_failed(), "{encoding}");
    }
}

/// What the MIC covers when it is taken apart for evidence.
fn again_compressed(wire: &Wire, opened: &Opened) -> Vec<u8> {
    let (mut covered, mut payload) = (Vec::new(), Vec::new());
    let outlets = Outlets { covered: &mut covered, signature: &mut std::io::sink(), payload: &mut payload };
    let (keys, limits) = (OpenKeys { decryption: &[], trusted: &[], known: &[] }, Limits::default());
    let body = &mut wire.body.as_slice();
    let found = dissect(&wire.headers, body, &keys, None, &limits, Form::AsReceived, outlets).unwrap();
    assert!(found.compressed && found.payload_sha256 == opened.payload_sha256 && payload == PAYLOAD);
    covered
}

#[test]
fn a_payload_that_merely_begins_like_something_compressed_is_delivered_as_it_came() {
    let whole = compressed("binary");
    let start = memchr::memmem::find(&whole, b"\r\n\r\n").unwrap() + 4;
    let signed = signed_entity(&payload_entity(), &ALICE);
    let sealed = enveloped(&payload_entity(), CBC, V15).body;
    let other = |from: &str, to: &str| {
        let head = String::from_utf8(whole[..start].to_vec()).unwrap();
        [head.replace(from, to).as_bytes(), &whole[start..]].concat()
    };
    for body in [
        whole[..start].to_vec(),
        whole[..start - 2].to_vec(),
        [&whole[..start], b"<a/>"].concat(),
        [&whole[..start], &sealed].concat(),
        [b"X: y\r\n".as_slice(), &whole].concat(),
        other("application/pkcs7-mime", "application/xml"),
        other("smime-type=compressed-data", "smime-type=enveloped-data"),
        other("Content-Description", "no field\r\nContent-Description"),
        other("Content-Description", "Content-Type: a/b\r\nContent-Description"),
        signed,
        payload_entity(),
    ] {
        let (opened, payload) = receive(&wire(&[("Content-Type", "a/b")], &body), &lax()).unwrap();
        assert!(payload == body && !opened.compressed, "{}", String::from_utf8_lossy(&body));
        assert_eq!(opened.mic.unwrap().value, sha256(&body));
    }
}

/// Two files as one payload.
fn related() -> (String, Vec<u8>) {
    let contents = [PAYLOAD, b"=3D\r\n"].map(BytesSource);
    let enclosures: Vec<_> = contents
        .iter()
        .map(|content| Enclosure { content_type: "text/xml", file_name: Some("1.xml"), content_id: None, content })
        .collect();
    let related = Related::new(&enclosures).unwrap();
    let mut body = Vec::new();
    std::io::Read::read_to_end(&mut related.open().unwrap(), &mut body).unwrap();
    (related.content_type().to_owned(), body)
}

/// The same entity plain, signed, encrypted.
fn dressed(fields: &[(&str, &str)], body: &[u8]) -> Vec<(&'static str, Wire)> {
    let head: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let entity = [head.as_bytes(), b"\r\n", body].concat();
    let (content_type, signed) = signed_parts(&entity, &entity, &ALICE);
    vec![
        ("plain", wire(fields, body)),
        ("signed", wire(&[("Content-Type", &content_type)], &signed)),
        ("in CBC", enveloped(&entity, CBC, V15)),
        ("in GCM", enveloped(&entity, GCM, V15)),
    ]
}

#[test]
fn files_in_a_multipart_that_names_an_encoding_which_it_does_not_have_are_delivered() {
    let (content_type, body) = related();
    let dated = [DATE, &body].concat();
    for encoding in ["base64", "quoted-printable", "7bit"] {
        for came in [&body, &dated] {
            let fields = [("Content-Type", content_type.as_str()), ("Content-Transfer-Encoding", encoding)];
            for (dress, wire) in dressed(&fields, came) {
                let received = receive(&wire, &lax());
                let (_, payload) =
                    received.unwrap_or_else(|failure| unreachable!("{dress} {encoding}: {}", failure.cause));
                assert!(payload == *came, "{dress} {encoding}");
            }
        }
    }
    // One that does have it is decoded, as ever.
    let fields = [("Content-Type", content_type.as_str()), ("Content-Transfer-Encoding", "base64")];
    for (dress, wire) in dressed(&fields, STANDARD.encode(&body).as_bytes()) {
        assert!(receive(&wire, &lax()).unwrap().1 == body, "{dress}");
    }
    // Also where its delimiters are as they were, which is so in quoted-printable.
    let files = "--b\r\nContent-Type: text/xml; name=\"1.xml\"\r\n\r\n<a b=\"c\"/>\r\n--b--\r\n";
    let fields = [("Content-Type", "multipart/related; boundary=b"), ("Content-Transfer-Encoding", "quoted-printable")];
    for (came, what) in [(files.replace('=', "=3D"), "quoted"), (files.to_owned(), "not quoted")] {
        for (dress, wire) in dressed(&fields, came.as_bytes()) {
            assert!(receive(&wire, &lax()).unwrap().1 == files.as_bytes(), "{dress}, {what}");
        }
    }
    // What is no multipart has what it says.
    for (dress, wire) in dressed(&[("Content-Type", "a/b"), ("Content-Transfer-Encoding", "base64")], &body) {
        assert!(receive(&wire, &lax()).is_err(), "{dress}");
    }
}

#[test]
fn a_signed_multipart_with_a_date_in_front_that_names_an_encoding_which_it_does_not_have_is_read() {
    let (content_type, body) = signed_parts(&payload_entity(), &payload_entity(), &ALICE);
    let dated = [DATE, &body].concat();
    for encoding in ["base64", "quoted-printable"] {
        let fields = [("Content-Type", content_type.as_str()), ("Content-Transfer-Encoding", encoding)];
        let head: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let inner = [head.as_bytes(), b"\r\n", &dated].concat();
        for wire in [wire(&fields, &dated), enveloped(&inner, CBC, V15)] {
            let received = receive(&wire, &AcceptPolicy { require_encryption: false, ..AcceptPolicy::default() });
            let (_, payload) = received.unwrap_or_else(|failure| unreachable!("{encoding}: {}", failure.cause));
            assert_eq!(payload, PAYLOAD, "{encoding}");
        }
    }
}

#[test]
fn a_receipt_in_the_place_of_a_message_is_refused_in_an_encoding_too() {
    let notification =
        "--b\r\nContent-Type: message/disposition-notification\r\n\r\nDisposition: a/b; processed\r\n\r\n--b--\r\n";
    let other = notification.replace("message/disposition-notification", "application/xml");
    let quoted = |text: &str| text.replace('=', "=3D").replace('-', "=2D");
    for (body, is_receipt) in [(notification, true), (other.as_str(), false)] {
        for (encoding, encoded) in [("base64", STANDARD.encode(body)), ("quoted-printable", quoted(body))] {
            let fields = [("Content-Type", "multipart/mixed; boundary=b"), ("Content-Transfer-Encoding", encoding)];
            for (dress, wire) in dressed(&fields, encoded.as_bytes()) {
                let received = receive(&wire, &lax());
                assert_eq!(received.is_err(), is_receipt, "{dress} {encoding}");
                let Err(failure) = received else { continue };
                assert!(matches!(failure.cause, OpenError::Layers(_)), "{dress} {encoding}: {}", failure.cause);
            }
        }
    }
}

fn take_apart(content_type: &str, payload: &[u8]) -> Result<(Vec<Attachment>, Vec<Vec<u8>>), MimeError> {
    let container = Container::of(Some(content_type)).expect("a container");
    let mut files: Vec<Vec<u8>> = Vec::new();
    let attachments = container.split(&mut &*payload, &Limits::default(), &mut |number, bytes| {
        if files.len() <= number {
            files.push(Vec::new());
        }
        files[number].extend_from_slice(bytes);
        Ok(())
    })?;
    Ok((attachments, files))
}

#[test]
fn files_that_are_the_only_part_of_a_multipart_mixed_are_taken_apart() {
    let (related_type, body) = related();
    let head = format!("Content-Type: {}\r\n\r\n", related_type.replace("; boundary", ";\r\n\tboundary"));
    let mixed = |between: &[u8]| [DATE, b"--=_m\r\n", head.as_bytes(), &body, between, b"\r\n--=_m--\r\n"].concat();
    let kind = "Multipart/Mixed; \r\n\tboundary=\"=_m\"";
    let (attachments, files) = take_apart(kind, &mixed(b"")).unwrap();
    assert_eq!(files, [PAYLOAD.to_vec(), b"=3D\r\n".to_vec()]);
    assert_eq!(attachments[1].file_name.as_ref().map(|name| name.original.as_str()), Some("1.xml"));
    let (attachments, files) = take_apart(&related_type, &body).unwrap();
    assert_eq!((attachments.len(), files.len()), (2, 2), "and those of a multipart/related as ever");

    // Any other is what it was.
    let beside = b"\r\n--=_m\r\nContent-Type: text/plain\r\n\r\nanother part";
    let of = |part: &str| format!("--=_m\r\n{part}\r\n--=_m--\r\n").into_bytes();
    for payload in [
        mixed(beside),
        of("Content-Type: text/plain\r\n\r\nx"),
        of("Content-Type: multipart/related\r\n\r\n--b\r\n\r\nx\r\n--b--"),
        of("no head"),
        of("no field\r\n\r\nx"),
        b"--=_m--\r\n".to_vec(),
        b"no multipart".to_vec(),
        Vec::new(),
    ] {
        let (attachments, _) = take_apart(kind, &payload).unwrap();
        assert!(attachments.is_empty(), "{}", String::from_utf8_lossy(&payload));
    }
    let cut = mixed(b"");
    for broken in [&cut[..cut.len() - 20], &cut[..cut.len() - b"\r\n--=_m--\r\n".len()]] {
        assert!(take_apart(kind, broken).is_err(), "files that cannot be taken apart");
    }
    for other in [None, Some("multipart/mixed"), Some("multipart/alternative; boundary=x"), Some("a/b; boundary=x")] {
        assert_eq!((Container::of(other), related_boundary(other)), (None, None), "{other:?}");
    }
}

#[test]
fn files_in_a_multipart_that_is_only_said_to_be_quoted_stay_as_they_came() {
    let fields = [("Content-Type", "multipart/related; boundary=b"), ("Content-Transfer-Encoding", "quoted-printable")];
    for part in [
        "Content-Type: text/xml\r\nContent-Disposition: attachment; filename=20261122.edi\r\n\r\n<a/>",
        "Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nx=3D31",
    ] {
        let body = format!("--b\r\n{part}\r\n--b--\r\n");
        for (dress, wire) in dressed(&fields, body.as_bytes()) {
            assert!(receive(&wire, &lax()).unwrap().1 == body.as_bytes(), "{dress}: {part}");
        }
    }
}
