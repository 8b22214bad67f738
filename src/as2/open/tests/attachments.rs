//! Several files in one message (RFC 6362).

use std::io::Read as _;

use super::*;
use crate::as2::attachments::{Attachment, Enclosure, Related, related_boundary, split, type_of_named};
use crate::as2::cem::is_exchange;
use crate::ground::limits::Limits;
use crate::mime::{BytesSource, MemoryScratch, MimeError, Source as _};

fn take_apart(content_type: &str, payload: &[u8]) -> Result<(Vec<Attachment>, Vec<Vec<u8>>), MimeError> {
    let boundary = related_boundary(Some(content_type)).expect("several files");
    let mut files: Vec<Vec<u8>> = Vec::new();
    let attachments = split(&mut &*payload, &boundary, &Limits::default(), &mut |number, bytes| {
        if files.len() <= number {
            assert!(bytes.is_empty(), "a part begins with nothing");
            files.push(Vec::new());
        }
        files[number].extend_from_slice(bytes);
        Ok(())
    })?;
    Ok((attachments, files))
}

#[test]
fn several_files_travel_like_any_payload_and_come_apart_again() {
    let contents = [PAYLOAD, b"", b"\x00\xff\r\n--b\r\n", b"line\n"].map(BytesSource);
    let names = [Some("单 1.xml"), None, Some("scan.pdf"), Some("a.txt")];
    let types = ["application/xml", "text/plain", "application/pdf", "text/plain; charset=utf-8"];
    let enclosures: Vec<_> = (0..4)
        .map(|n| Enclosure { content_type: types[n], file_name: names[n], content_id: None, content: &contents[n] })
        .collect();
    let related = Related::new(&enclosures).unwrap();
    assert!(related.content_type().starts_with("multipart/related; type=\"application/xml\"; boundary=\""));
    for plan in [plain_plan(), usual_plan(), plan(Some(SignatureScheme::RsaPss), None, Compression::BeforeSigning)] {
        let plan = SendPlan { content_type: related.content_type().to_owned(), file_name: None, ..plan };
        let mut body = Vec::new();
        let composed = compose(&plan, &stamp(), &related, &MemoryScratch, &mut body).unwrap();
        let wire = Wire { headers: composed.headers.clone(), body };
        let (opened, payload) = receive(&wire, &lax()).unwrap();
        let mic = opened.mic.clone().unwrap();
        assert_eq!(composed.mics.find(&mic), Some(MicVariant::Exact), "over the whole multipart");
        let (attachments, files) = take_apart(opened.content_type.as_deref().unwrap(), &payload).unwrap();
        for n in 0..4 {
            assert_eq!(files[n], contents[n].0, "{n}");
            assert_eq!(attachments[n].content_type.as_deref(), Some(types[n]));
            assert_eq!(attachments[n].file_name.as_ref().map(|name| name.original.as_str()), names[n]);
            assert_eq!(attachments[n].len, u64::try_from(files[n].len()).unwrap());
        }
    }
}

#[test]
fn encoded_parts_and_odd_frames_are_read() {
    let body = b"preamble\r\n--x\r\nContent-Type: application/EDIFACT\r\nContent-Transfer-Encoding: base64\r\n\
                 Content-Disposition: attachment; filename=../../a.edi\r\n\r\nVU5B\r\nOis=\r\n--x \r\n\r\nno fields\r\n\
                 --x\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n--y\r\n\r\ninner\r\n--y--\r\n--x--\r\nepilogue";
    let (attachments, files) = take_apart("Multipart/Related; type=a/b; boundary=x", body).unwrap();
    assert_eq!(files, [b"UNA:+".to_vec(), b"no fields".to_vec(), b"--y\r\n\r\ninner\r\n--y--".to_vec()]);
    let name = attachments[0].file_name.as_ref().unwrap();
    assert_eq!((name.original.as_str(), name.safe.as_str()), ("../../a.edi", "a.edi"));
    assert_eq!((&attachments[1].content_type, &attachments[1].file_name), (&None, &None));
}

#[test]
fn a_type_that_was_folded_with_a_tab_is_that_of_files_or_of_an_exchange_too() {
    let files = "------=_Part_1_2.3\r\nContent-Type: application/edifact;\r\n\tname=\"a.edi\"\r\n\r\nUNA\r\n\
                 ------=_Part_1_2.3--\r\n";
    for (content_type, exchange) in [
        ("multipart/related; type=\"application/edifact\"; \r\n\tboundary=\"----=_Part_1_2.3\"", false),
        ("multipart/related;\tboundary=\"----=_Part_1_2.3\"", false),
        ("multipart/related; boundary=\"----=_Part_1_2.3\";\ttype=\"application/ediint-cert-exchange+xml\"", true),
        (
            "multipart/related;\r\n\ttype=\"application/ediint-cert-exchange+xml\";\r\n\tboundary=\"----=_Part_1_2.3\"",
            true,
        ),
    ] {
        let entity = format!("Content-Type: {content_type}\r\n\r\n{files}");
        let signed = signed_entity(entity.as_bytes(), &ALICE);
        let sealed = enveloped(&signed, ContentCipher::Aes256Cbc, KeyTransport::RsaPkcs1);
        let plain = wire(&[("Content-Type", &content_type.replace("\r\n", ""))], files.as_bytes());
        for wire in [sealed, plain] {
            let (opened, payload) = receive(&wire, &lax()).unwrap_or_else(|failure| unreachable!("{}", failure.cause));
            let read = opened.content_type.unwrap();
            assert_eq!(is_exchange(Some(&read)), exchange, "{read}");
            let (attachments, files) = take_apart(&read, &payload).unwrap();
            assert_eq!(files, [b"UNA".to_vec()], "{read}");
            assert_eq!(attachments[0].content_type.as_deref(), Some("application/edifact; name=\"a.edi\""));
        }
    }
}

#[test]
fn multiparts_that_break_off_or_never_end_are_refused() {
    let kind = "multipart/related; boundary=x";
    let cases: [(&[u8], &str); 5] = [
        (b"", "mime-missing-delimiter"),
        (b"--x--\r\n", "mime-not-two-parts"),
        (b"--x\r\n\r\na", "mime-missing-delimiter"),
        (b"--x\r\nContent-Transfer-Encoding: x-y\r\n\r\na\r\n--x--", "mime-unknown-transfer-encoding"),
        (b"--x\r\nno head\r\n\r\n\r\n--x--", "mime-malformed-header"),
    ];
    for (body, code) in cases {
        assert_eq!(take_apart(kind, body).expect_err(code).code(), code);
    }
    let many = [b"--x\r\n\r\na\r\n".repeat(100_000), b"--x--".to_vec()].concat();
    assert!(matches!(take_apart(kind, &many), Err(MimeError::TooManyParts)));
    assert_eq!(related_boundary(Some("multipart/mixed; boundary=x")), None);
    assert_eq!(related_boundary(Some("multipart/related")), None);
    assert!(Related::new(&[]).is_err());
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_files_come_apart_as_they_were(
        files in proptest::collection::vec(proptest::collection::vec(proptest::prelude::any::<u8>(), 0..400), 1..6),
    ) {
        let sources: Vec<_> = files.iter().map(|bytes| BytesSource(bytes.as_slice())).collect();
        let enclosures: Vec<_> =
            sources.iter().map(|content| Enclosure { content_type: "a/b", file_name: None, content_id: None, content }).collect();
        let related = Related::new(&enclosures).unwrap();
        let mut payload = Vec::new();
        crate::mime::Source::open(&related).unwrap().read_to_end(&mut payload).unwrap();
        proptest::prop_assert_eq!(u64::try_from(payload.len()).unwrap(), crate::mime::Source::len(&related));
        let (_, read) = take_apart(related.content_type(), &payload).unwrap();
        proptest::prop_assert_eq!(read, files);
    }
}

#[test]
fn what_was_put_together_under_an_id_is_known_by_its_first_bytes() {
    let (one, two) = (BytesSource(b"<a/>"), BytesSource(b"2"));
    let enclosures = [
        Enclosure {
            content_type: "application/xml; charset=utf-8",
            file_name: Some("\u{8ba2}\u{5355}.xml"),
            content_id: None,
            content: &one,
        },
        Enclosure { content_type: "text/plain", file_name: None, content_id: None, content: &two },
    ];
    let id: crate::ground::id::Id = "01920000-0000-7000-8000-000000000001".parse().unwrap();
    let related = Related::named(&enclosures, id).unwrap();
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut related.open().unwrap(), &mut bytes).unwrap();
    let limits = crate::ground::limits::Limits::default();
    assert_eq!(type_of_named(&bytes, &limits).as_deref(), Some(related.content_type()));
    for cut in 0..bytes.len().min(90) {
        assert_eq!(type_of_named(&bytes[..cut], &limits), None, "{cut}");
    }
    let other = Related::new(&enclosures).unwrap();
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut other.open().unwrap(), &mut bytes).unwrap();
    assert_eq!(type_of_named(&bytes, &limits), None);
    for foreign in ["", "--", "--dxgate-files-\r\n\r\n", "--dxgate-files-x\r\nContent-Type: a/b\r\n\r\n", "<xml/>"] {
        assert_eq!(type_of_named(foreign.as_bytes(), &limits), None, "{foreign}");
    }
}
