//! Tolerant in, strict out: what other products put into messages is read, row by row, and none of it is ever written (which
//! is tested in `written`).
//!
//! | quirk | seen at |
//! |---|---|
//! | base64 of the whole body, or of the signature, without saying so; base64 declared over binary | libas2, BizTalk adapters |
//! | the header fields of the envelope once more inside the body | asx-rs, S/MIME files as `openssl cms` writes them |
//! | the whole Content-Type in quotes; tabs; upper case; `x-pkcs7-…`; no `smime-type` | Sterling, Cyclone, old mailers |
//! | a wrong `smime-type` (`beginnings`) | one label for everything |
//! | a Content-Type of the payload that is folded with a TAB (`attachments`) | JavaMail: mendelson |
//! | a `Date` line as preamble of multipart/signed | mendelson |
//! | line feeds without carriage returns around and in the payload | RSSBus, BizTalk |
//! | a signature, or the MIC of an envelope, over lines that end in CR LF in front of text that has others (`lines`) | OpenAS2, phase2, mendelson |
//! | identifiers without brackets or `@`, over 100 characters, with underscores | Sterling, BizTalk |
//! | names with `! ; # , < > [ ]`, quoted without need, blanks without quotes | Drummond rounds, libas2 |
//! | a receipt asked for with `required`, tabs, no parameter names, an unknown algorithm first | pyas2, BizTalk, libas2 |
//! | AS2-Version missing, 1.0 to 1.3 and beyond; EDIINT-Features with any word | libas2, RSSBus, pyas2 |
//! | file names in RFC 2231, RFC 2047 and raw UTF-8, with blanks, without quotes; in several words or sections | Cyclone, OpenAS2, mendelson; mail software |
//! | a file name in doubled quotes | Drummond rounds |
//! | a file name without quotes that holds brackets; a path whose backslashes are not escaped; encoded words next to other text, or without their padding | any |
//! | line ends after a CMS structure, BER with indefinite lengths, binary signatures | Sterling, Bouncy Castle |
//! | the attribute that names the signer's certificate (CAdES) (tested in `cms`) | `openssl cms -cades` |
//! | id-ecPublicKey for ECDSA; sha256WithRSAEncryption for the digest (tested in `cms`) | Windows, .NET |
//! | RC2 without its version (tested in `cms`) | pyas2lib |
//! | certificates without end, 99991231235959Z (tested in `cms`) | RFC 5280 4.1.2.5 |
//! | the payload alone in an AES-GCM envelope; a compressed structure with its own fields, under the type of the payload; several files as the only part of multipart/mixed (`mendelson`) | mendelson |
//! | an encoding that a multipart/related does not have, also behind a `Date` (`mendelson`); base64 or quoted-printable over all of a signed message that is posted, or of a receipt (tested in `mdn`), its delimiters as they were or not | any |
//! | fields that stand in quotes as a whole | phase2 (quoteheadervalues) |
//! | RSA-PSS without its parameters; RSA-OAEP with MGF1 of another digest (tested in `cms`) | pyas2; Java |

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::as2::request::quoted_as_usual;
use crate::mime::Headers;

fn cbc() -> Wire {
    let inner = signed_entity(&payload_entity(), &ALICE);
    enveloped(&inner, ContentCipher::Aes128Cbc, KeyTransport::RsaPkcs1)
}

fn accepted(wire: &Wire, what: &str) -> Opened {
    let (opened, payload) = receive(wire, &lax()).unwrap_or_else(|failure| unreachable!("{what}: {}", failure.cause));
    assert_eq!(payload, PAYLOAD, "{what}");
    opened
}

fn with(mut wire: Wire, name: &str, value: &str) -> Wire {
    wire.headers.set(name, value).unwrap();
    wire
}

#[test]
fn transfer_encodings_are_found_out_whatever_is_declared() {
    let plain = cbc();
    let encoded = Wire { body: STANDARD.encode(&plain.body).into_bytes(), ..plain.clone() };
    accepted(&encoded, "base64 without a word");
    accepted(&with(encoded, "Content-Transfer-Encoding", "binary"), "base64 called binary");
    accepted(&with(plain, "Content-Transfer-Encoding", "base64"), "binary called base64");

    let (content_type, body) = signed_parts(&payload_entity(), &payload_entity(), &ALICE);
    let at = memchr::memmem::find(&body, b"binary\r\n\r\n").unwrap();
    let end = body.len() - b"\r\n--sep--\r\n".len();
    let signature = STANDARD.encode(&body[at + 10..end]);
    let silent = [&body[..at], b"binary\r\n\r\n", signature.as_bytes(), &body[end..]].concat();
    accepted(&wire(&[("Content-Type", &content_type)], &silent), "signature in base64, called binary");
    let liar = [&body[..at], b"base64\r\n\r\n", &body[at + 10..]].concat();
    accepted(&wire(&[("Content-Type", &content_type)], &liar), "binary signature, called base64");
    for declared in ["base64", "quoted-printable"] {
        let fields = [("Content-Type", content_type.as_str()), ("Content-Transfer-Encoding", declared)];
        accepted(&wire(&fields, &body), &format!("phase2: a multipart as it is, called {declared}"));
    }
}

#[test]
fn a_signed_message_that_is_encoded_as_a_whole_is_read_with_its_delimiters_as_they_were_or_not() {
    let (content_type, body) = signed_parts(&payload_entity(), &payload_entity(), &ALICE);
    let in_figures: Vec<u8> = body.iter().flat_map(|octet| format!("={octet:02X}").into_bytes()).collect();
    let as_usual = quoted_as_usual(&body);
    assert!(as_usual.starts_with(b"--sep\r\n"));
    for (encoding, encoded) in [
        ("base64", STANDARD.encode(&body).into_bytes()),
        ("quoted-printable", in_figures),
        ("Quoted-Printable", as_usual.clone()),
    ] {
        let fields = [("Content-Type", content_type.as_str()), ("Content-Transfer-Encoding", encoding)];
        assert!(accepted(&wire(&fields, &encoded), encoding).signature.is_some(), "{encoding}");
    }
    // Octets that stand for none would be room in an envelope without integrity: there it is what it begins as.
    let head = format!("Content-Type: {content_type}\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n");
    for (came, is_read) in [(&body, true), (&as_usual, false)] {
        let inner = [head.as_bytes(), came].concat();
        let received = receive(&enveloped(&inner, ContentCipher::Aes256Cbc, KeyTransport::RsaPkcs1), &lax());
        assert_eq!(received.map(|_| ()).map_err(|failure| failure.veiled), if is_read { Ok(()) } else { Err(true) });
    }
}

#[test]
fn a_signed_message_that_only_looks_quoted_is_read_as_it_is() {
    // So long that its signature, which is binary, is out of sight.
    let payload = "UNB+UNOC:3+A:14+B:14'\r\n".repeat(500);
    for name in [" name=20261122.edi", "\r\n\tname=ABC.edi"] {
        let entity = format!("Content-Type: application/edifact;{name}\r\n\r\n{payload}");
        let (content_type, body) = signed_parts(entity.as_bytes(), entity.as_bytes(), &ALICE);
        let fields = [("Content-Type", content_type.as_str()), ("Content-Transfer-Encoding", "quoted-printable")];
        let (opened, received) = receive(&wire(&fields, &body), &lax()).expect(name);
        assert!(received == payload.as_bytes() && opened.signature.is_some(), "{name}");
    }
    // Its part is what is quoted, and says so.
    let line = "<?xml version=\"1.0\"?>\r\n";
    let head = "Content-Type: application/xml\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n";
    let entity = [head, &line.replace('=', "=3D").repeat(500)].concat();
    let (content_type, body) = signed_parts(entity.as_bytes(), entity.as_bytes(), &ALICE);
    let fields = [("Content-Type", content_type.as_str()), ("Content-Transfer-Encoding", "quoted-printable")];
    let (opened, received) = receive(&wire(&fields, &body), &lax()).expect("a part that is quoted");
    assert!(received == line.repeat(500).as_bytes() && opened.signature.is_some());
}

#[test]
fn an_envelope_that_brings_its_own_header_fields_is_read() {
    let plain = cbc();
    let encoded = STANDARD.encode(&plain.body).into_bytes();
    let lines: Vec<u8> = encoded.chunks(64).flat_map(|line| [line, b"\n"].concat()).collect();
    let fields = "MIME-Version: 1.0\nContent-Disposition: attachment; filename=\"smime.p7m\"\nContent-Type: \
                  application/x-pkcs7-mime; smime-type=enveloped-data; name=\"smime.p7m\"\n";
    let repeated =
        |fields: &str, body: &[u8]| Wire { body: [fields.as_bytes(), b"\n", body].concat(), ..plain.clone() };
    let as_base64 = format!("{fields}Content-Transfer-Encoding: base64\n");
    accepted(&repeated(&as_base64, &lines), "base64");
    accepted(&repeated(&fields.replace('\n', "\r\n"), &plain.body), "binary, the blank line a bare line feed");
    for other in ["Content-Type: text/plain\n", "Content-Length: 5\n", "MIME-Version: 1.0\n"] {
        assert!(receive(&repeated(other, &plain.body), &lax()).is_err(), "{other}");
    }
}

#[test]
fn content_types_are_read_in_every_dress() {
    for content_type in [
        "\"application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\"",
        "APPLICATION/PKCS7-MIME; SMIME-TYPE=ENVELOPED-DATA",
        "application/x-pkcs7-mime;\tsmime-type=enveloped-data;\tname=\"smime.p7m\"",
        "application/pkcs7-mime",
        "application/pkcs7-mime; smime-type=unheard-of",
    ] {
        accepted(&with(cbc(), "Content-Type", content_type), content_type);
    }
}

#[test]
fn a_date_as_preamble_and_bare_line_feeds_are_read() {
    let (content_type, body) = signed_parts(&payload_entity(), &payload_entity(), &ALICE);
    let dated = [b"Date: Sun, 22 Nov 2026 06:00:00 +0000\r\n\r\n".as_slice(), &body].concat();
    accepted(&wire(&[("Content-Type", &content_type)], &dated), "mendelson's preamble");
    let inner = [format!("Content-Type: {content_type}\r\n\r\n").as_bytes(), &dated].concat();
    accepted(&enveloped(&inner, ContentCipher::Aes256Cbc, KeyTransport::RsaPkcs1), "the same encrypted");
    let entity = [b"Content-Type: application/xml\n\n".as_slice(), PAYLOAD].concat();
    let (content_type, body) = signed_parts(&entity, &entity, &ALICE);
    let head = b"\r\n--sep\r\nContent-Type: application/pkcs7-signature\r\nContent-Transfer-Encoding: binary\r\n\r\n";
    let at = memchr::memmem::find(&body, head).unwrap();
    let lf = head.iter().copied().filter(|byte| *byte != b'\r').collect::<Vec<u8>>();
    let body = [b"--sep\n", &entity[..], &lf, &body[at + head.len()..]].concat();
    accepted(&wire(&[("Content-Type", &content_type)], &body), "line feeds only");
}

#[test]
fn identifiers_names_and_versions_of_other_products_are_taken() {
    let long = format!("<{}@alice>", "x".repeat(200));
    for id in ["m1@alice", "<ALICE_1A2B_3C>", "MSG_2026.1", long.as_str(), "<a!#$%&'*+-/=?^_`{|}~@x>"] {
        let request = request(&with(cbc(), "Message-ID", id));
        assert_eq!(request.message_id.as_str(), id, "echoed exactly");
    }
    for (value, name) in [
        ("a!b;c#d,e<f>g[h]", "a!b;c#d,e<f>g[h]"),
        ("\"alice\"", "alice"),
        ("alice co", "alice co"),
        ("\"a \\\"b\\\" c\"", "a \"b\" c"),
    ] {
        assert_eq!(request(&with(cbc(), "AS2-From", value)).from.as_str(), name);
    }
    for version in ["1.0", "1.1", "1.2", "1.3", "1.9"] {
        assert_eq!(request(&with(cbc(), "AS2-Version", version)).as2_version, version);
    }
    let mut bare = cbc();
    bare.headers.remove("AS2-Version");
    for features in ["CEM, multiple-attachments", "AS2-Reliability", "CMS", "", ";;"] {
        let wire = with(with(bare.clone(), "EDIINT-Features", features), "AS2-Product", "other:1.0");
        assert_eq!(request(&wire).as2_version, "1.0");
        accepted(&wire, features);
    }
}

#[test]
fn requests_for_receipts_are_understood() {
    for (options, algorithm) in [
        ("signed-receipt-protocol=required, pkcs7-signature; signed-receipt-micalg=optional, sha256", "sha-256"),
        ("required,pkcs7-signature; required,sha1", "sha1"),
        ("signed-receipt-protocol=optional,\tpkcs7-signature;\tsigned-receipt-micalg=optional,\tSHA-384", "sha-384"),
        (
            "signed-receipt-protocol=optional, pkcs7-signature; signed-receipt-micalg=optional, ripemd160, sha512",
            "sha-512",
        ),
    ] {
        let wire = with(
            with(wire(&[("Content-Type", "a/b")], PAYLOAD), "Disposition-Notification-To", ""),
            "Disposition-Notification-Options",
            options,
        );
        let opened = accepted(&wire, options);
        assert_eq!(opened.mic.unwrap().algorithm.micalg(), algorithm, "{options}");
        assert!(request(&wire).mdn.unwrap().options.signed, "{options}");
    }
}

#[test]
fn file_names_are_read_in_every_spelling_and_kept_as_they_were() {
    for (value, original, safe) in [
        ("attachment; filename*=UTF-8''%E5%8D%95.xml", "单.xml", "单.xml"),
        ("attachment; filename=\"=?UTF-8?B?5Y2VLnhtbA==?=\"", "单.xml", "单.xml"),
        ("attachment; filename=\"单.xml\"", "单.xml", "单.xml"),
        ("attachment; filename=\"a b.xml\"", "a b.xml", "a b.xml"),
        ("attachment; filename=a.xml", "a.xml", "a.xml"),
        ("attachment; filename=\"\"a b.xml\"\"", "a b.xml", "a b.xml"),
        ("attachment; filename=\"=?UTF-8?B?5Y2V?=\r\n =?UTF-8?B?LnhtbA==?=\"", "单.xml", "单.xml"),
        ("attachment; filename*0*=GB18030''%B5;\r\n\tfilename*1*=%A5;\r\n\tfilename*2=.xml", "单.xml", "单.xml"),
        ("attachment; filename=\"..\\\\..\\\\evil.exe\"", "..\\..\\evil.exe", "evil.exe"),
        ("attachment; filename=单(1).xml (the order); size=3", "单(1).xml", "单(1).xml"),
        ("attachment; filename=\"C:\\orders\\a.xml\"", "C:\\orders\\a.xml", "a.xml"),
        ("attachment; filename=orders\\a.xml; size=3", "orders\\a.xml", "a.xml"),
        ("attachment; filename=\"1_=?UTF-8?B?5Y2VLnhtbA?=\"", "1_单.xml", "1_单.xml"),
    ] {
        let entity = format!("Content-Type: application/xml\r\nContent-Disposition: {value}\r\n\r\n");
        let entity = [entity.as_bytes(), PAYLOAD].concat();
        let (content_type, body) = signed_parts(&entity, &entity, &ALICE);
        let name = accepted(&wire(&[("Content-Type", &content_type)], &body), value).file_name.unwrap();
        assert_eq!((name.original.as_str(), name.safe.as_str()), (original, safe), "{value}");
    }
}

#[test]
fn a_file_name_in_whatever_charset_is_no_reason_to_refuse_a_message() {
    for (octets, safe) in [(&b"\xc3\xa5\xc2\x8d\xc2\x95.xml"[..], "å__.xml"), (b"\xcf\xc2\x86\xce.xml", "___.xml")] {
        let head = &b"Content-Type: application/xml\r\nContent-Disposition: attachment; filename=\""[..];
        let entity = [head, octets, b"\"\r\n\r\n", PAYLOAD].concat();
        let (content_type, body) = signed_parts(&entity, &entity, &ALICE);
        let name = accepted(&wire(&[("Content-Type", &content_type)], &body), safe).file_name.unwrap();
        assert_eq!(name.safe, safe);
    }
}

#[test]
fn a_message_shows_the_version_that_the_partner_can_bear() {
    let fields = |version: As2Version| {
        let (wire, _) = compose_it(&SendPlan { version, ..plain_plan() }, PAYLOAD);
        let field = |headers: &Headers, name: &str| headers.get(name).map(str::to_owned);
        ["AS2-Version", "EDIINT-Features", "AS2-Product"].map(|name| field(&wire.headers, name))
    };
    let product = concat!("dxgate:", env!("CARGO_PKG_VERSION"));
    let features = "multiple-attachments, AS2-Reliability, CEM";
    let own = |text: &str| Some(text.to_owned());
    assert_eq!(fields(As2Version::V1_0), [own("1.0"), None, None]);
    assert_eq!(fields(As2Version::V1_1), [own("1.1"), None, None]);
    assert_eq!(fields(As2Version::V1_2), [own("1.2"), own(features), None]);
    assert_eq!(fields(As2Version::V1_3), [own("1.3"), own(features), own(product)]);
    for version in As2Version::ALL {
        let disposition = Disposition::processed_ok();
        let receipt = mdn::build(&MdnPlan {
            from: &name("bob co"),
            to: &name("alice"),
            original_message_id: Some(stamp().message_id.as_str()),
            disposition: &disposition,
            mic: None,
            explanation: "The message was received.",
            signing: None,
            micalg_style: MicalgStyle::Hyphenated,
            version,
            message_id: &MessageId::parse("<r1@bob>").unwrap(),
            date: date(),
        });
        let receipt = receipt.unwrap().headers;
        let shown = ["AS2-Version", "EDIINT-Features", "AS2-Product"].map(|name| receipt.get(name).map(str::to_owned));
        assert_eq!(shown, fields(version), "receipts alike");
    }
}

#[test]
fn an_envelope_goes_out_in_base64_where_that_is_agreed() {
    let mut plan = plan(
        Some(SignatureScheme::RsaPkcs1),
        Some((ContentCipher::Aes256Cbc, KeyTransport::RsaPkcs1)),
        Compression::None,
    );
    plan.encryption.as_mut().unwrap().base64 = true;
    let (wire, composed) = compose_it(&plan, PAYLOAD);
    assert_eq!(wire.headers.get("Content-Transfer-Encoding"), Some("base64"));
    assert_eq!(composed.wire_len, wire.body.len() as u64);
    assert!(wire.body.starts_with(b"MI") && wire.body.is_ascii() && wire.body.ends_with(b"\r\n"));
    let opened = accepted(&wire, "base64");
    assert_eq!(opened.mic.as_ref(), composed.mics.exact(DigestAlgorithm::Sha256));
}

#[test]
fn the_digest_of_the_receipt_can_follow_the_list_instead_of_the_signature() {
    let mut plan = plan(Some(SignatureScheme::RsaPkcs1), None, Compression::None);
    plan.mdn.micalgs = vec![DigestAlgorithm::Sha512, DigestAlgorithm::Sha256];
    let (wire, _) = compose_it(&plan, PAYLOAD);
    for (mic_as_listed, algorithm) in [(false, DigestAlgorithm::Sha256), (true, DigestAlgorithm::Sha512)] {
        let policy = AcceptPolicy { mic_as_listed, ..lax() };
        assert_eq!(receive(&wire, &policy).unwrap().0.mic.unwrap().algorithm, algorithm);
    }
}

#[test]
fn the_digest_of_the_receipt_is_the_agreements_where_an_unsigned_message_lists_none_of_use() {
    let bare = with(wire(&[("Content-Type", "a/b")], PAYLOAD), "Disposition-Notification-To", "a@b");
    let options = "signed-receipt-protocol=optional, pgp-signature; signed-receipt-micalg=optional, md5";
    let useless = with(bare.clone(), "Disposition-Notification-Options", options);
    for mic_unlisted in [DigestAlgorithm::Sha256, DigestAlgorithm::Sha1] {
        let policy = AcceptPolicy { mic_unlisted, ..lax() };
        for wire in [&bare, &useless] {
            assert_eq!(receive(wire, &policy).unwrap().0.mic.unwrap().algorithm, mic_unlisted);
        }
    }
}

#[test]
fn a_list_of_no_use_leaves_the_digest_of_a_signed_message_to_its_signature() {
    let (content_type, body) = signed_parts(&payload_entity(), &payload_entity(), &ALICE);
    let signed = with(wire(&[("Content-Type", &content_type)], &body), "Disposition-Notification-To", "a@b");
    let signed = with(signed, "Disposition-Notification-Options", "signed-receipt-micalg=optional, md5");
    let policy = AcceptPolicy { mic_unlisted: DigestAlgorithm::Sha1, ..lax() };
    assert_eq!(receive(&signed, &policy).unwrap().0.mic.unwrap().algorithm, DigestAlgorithm::Sha256);
}

#[test]
fn a_digest_over_the_decompressed_entity_is_accepted_by_name() {
    let plan = plan(Some(SignatureScheme::RsaPkcs1), None, Compression::BeforeSigning);
    let (_, composed) = compose_it(&plan, PAYLOAD);
    let find =
        |sent: &&SentMic| sent.variant == MicVariant::Decompressed && sent.mic.algorithm == DigestAlgorithm::Sha256;
    let mic = composed.mics.expected.iter().find(find).unwrap().mic.clone();
    let mdn = read(&answer(&Disposition::processed_ok(), Some(&mic), Some(&BOB)));
    let matched =
        MicMatch { algorithm: DigestAlgorithm::Sha256, variant: MicVariant::Decompressed, expected_algorithm: true };
    assert!(!matched.is_ordinary());
    assert_eq!(judged(&mdn, &composed, true), Verdict::Accepted { matched: Some(matched) });
    let without = read(&answer(&Disposition::processed_ok(), None, Some(&BOB)));
    assert_eq!(judged(&without, &composed, true), Verdict::Doubtful(Doubt::NoMic), "still a signed message");
}

#[test]
fn fields_that_stand_in_quotes_as_a_whole_are_read() {
    let options = "\"signed-receipt-protocol=optional, pkcs7-signature; signed-receipt-micalg=optional, sha-256\"";
    let fields = [
        ("Message-ID", "\"<ph-OpenAS2-07102019213832+0300-9309@ACME Co_ours>\""),
        ("Disposition-Notification-To", "\"as2@theirs\""),
        ("Disposition-Notification-Options", options),
        ("Receipt-Delivery-Option", "\"http://theirs:10080/mdn\""),
    ];
    let wire = fields.iter().fold(cbc(), |wire, (name, value)| with(wire, name, value));
    accepted(&wire, "phase2 with quoteheadervalues");
    let request = request(&wire);
    assert_eq!(request.message_id.as_str(), "<ph-OpenAS2-07102019213832+0300-9309@ACME Co_ours>");
    let asked = request.mdn.unwrap();
    assert_eq!((asked.options.signed, asked.async_url.as_deref()), (true, Some("http://theirs:10080/mdn")));
}
