//! The oracle rule: a message in an envelope without integrity fails in one way only; others say what is wrong.

use super::*;
use crate::as2::mdn::BuiltMdn;
use crate::cms::{CmsError, DecryptionKey, MultiHasher, SignatureError, SigningKey, oid};
use crate::ground::limits::Limits;

const CBC: ContentCipher = ContentCipher::Aes256Cbc;
const GCM: ContentCipher = ContentCipher::Aes256Gcm;
const V15: KeyTransport = KeyTransport::RsaPkcs1;

/// What can be wrong inside an envelope, with the disposition where it may be named.
fn broken_contents() -> Vec<(&'static str, Vec<u8>, Disposition)> {
    let entity = payload_entity();
    let mut other = entity.clone();
    other.extend_from_slice(b"!");
    let with_head = |(content_type, body): (String, Vec<u8>)| {
        [format!("Content-Type: {content_type}\r\n\r\n").into_bytes(), body].concat()
    };
    let good = signed_entity(&entity, &ALICE);
    let mut third = good.clone();
    third.truncate(good.len() - b"--\r\n".len());
    third.extend_from_slice(b"\r\nContent-Type: text/plain\r\n\r\nsmuggled\r\n--sep--\r\n");
    let mut zlib = compressed_entity(&entity);
    let middle = zlib.len() - 12;
    zlib[middle] ^= 0x55;
    let mut not_cms = with_head(signed_parts(&entity, &entity, &ALICE));
    let at = memchr::memmem::find(&not_cms, b"binary\r\n\r\n").unwrap() + 10;
    not_cms[at] ^= 0xff;
    let misspelled = |text: &str| [text.as_bytes(), PAYLOAD].concat();
    let twice = compressed_entity(&compressed_entity(&entity));
    vec![
        ("garbage", vec![0x80; 100], Disposition::unexpected_processing_error()),
        ("nothing", Vec::new(), Disposition::unexpected_processing_error()),
        ("not signed", entity.clone(), Disposition::insufficient_message_security()),
        ("digest", with_head(signed_parts(&other, &entity, &ALICE)), Disposition::integrity_check_failed()),
        ("forger", signed_entity(&entity, &MALLORY), Disposition::integrity_check_failed()),
        ("another partner", signed_entity(&entity, &BOB), Disposition::authentication_failed()),
        ("third part", third, Disposition::unexpected_processing_error()),
        ("cut short", good[..good.len() - 20].to_vec(), Disposition::unexpected_processing_error()),
        ("no CMS", not_cms, Disposition::integrity_check_failed()),
        ("zlib", zlib, Disposition::decompression_failed()),
        ("compressed twice", twice, Disposition::decompression_failed()),
        (
            "no boundary",
            misspelled("Content-Type: multipart/signed\r\n\r\n"),
            Disposition::unexpected_processing_error(),
        ),
        (
            "encoding",
            signed_entity(&misspelled("Content-Type: a/b\r\nContent-Transfer-Encoding: x-y\r\n\r\n"), &MALLORY),
            Disposition::integrity_check_failed(),
        ),
        (
            "envelope inside",
            misspelled("Content-Type: application/pkcs7-mime; smime-type=enveloped-data\r\n\r\n"),
            Disposition::unexpected_processing_error(),
        ),
    ]
}

/// Envelopes that are broken themselves.
fn broken_envelopes(cipher: ContentCipher) -> Vec<(&'static str, Wire)> {
    let inner = signed_entity(&payload_entity(), &ALICE);
    let good = enveloped(&inner, cipher, V15);
    let flipped = |at: usize| {
        let mut wire = good.clone();
        wire.body[at] ^= 0x01;
        wire
    };
    let mut cut = good.clone();
    cut.body.truncate(good.body.len() - 16);
    let mut trailing = good.clone();
    trailing.body.extend_from_slice(b"trailing");
    let mut empty = good.clone();
    empty.body.clear();
    let encrypted_key = memchr::memmem::find(&good.body, b"\x04\x82\x01\x00").unwrap() + 4;
    let encoded = wire(
        &[
            ("Content-Type", "application/pkcs7-mime; smime-type=enveloped-data"),
            ("Content-Transfer-Encoding", "base64"),
        ],
        b"%%%",
    );
    vec![
        ("key", flipped(encrypted_key + 100)),
        ("padding or tag", flipped(good.body.len() - 1)),
        ("last but one block", flipped(good.body.len() - 17)),
        ("first block", flipped(encrypted_key + 256 + 60)),
        ("cut short", cut),
        ("empty", empty),
        ("not base64", encoded),
        ("trailing", trailing),
    ]
}

fn refused(wire: &Wire, what: &str) -> OpenFailure {
    receive_with(
        wire,
        &AcceptPolicy::default(),
        KeyTransport::ALL,
        std::slice::from_ref(&ALICE.certificate),
        &Limits::default(),
    )
    .expect_err(what)
}

#[test]
fn an_unauthenticated_envelope_fails_in_one_way_only() {
    let mut failures: Vec<(String, OpenFailure)> = Vec::new();
    for (what, inner, _) in broken_contents() {
        failures.push((what.to_owned(), refused(&enveloped(&inner, CBC, V15), what)));
    }
    for (what, wire) in broken_envelopes(CBC) {
        if what != "trailing" {
            failures.push((format!("envelope: {what}"), refused(&wire, what)));
        }
    }
    let good = enveloped(&signed_entity(&payload_entity(), &ALICE), CBC, V15);
    let alice = [ALICE.certificate.clone()];
    let limits = Limits::default();
    let default = AcceptPolicy::default();
    let only_gcm = AcceptPolicy { ciphers: vec![GCM], ..AcceptPolicy::default() };
    let oaep = [KeyTransport::RsaOaepSha256];
    failures
        .push(("cipher".to_owned(), receive_with(&good, &only_gcm, KeyTransport::ALL, &alice, &limits).unwrap_err()));
    failures.push(("transport".to_owned(), receive_with(&good, &default, &oaep, &alice, &limits).unwrap_err()));
    let made = enveloped(&signed_entity(&payload_entity(), &ALICE), CBC, KeyTransport::RsaOaepSha256);
    let hash = memchr::memmem::find(&made.body, oid::SHA256).unwrap();
    let mgf = memchr::memmem::rfind(&made.body, oid::SHA256).unwrap();
    for (what, place) in [("OAEP under another digest", hash), ("MGF1 under another digest", mgf)] {
        let mut wire = made.clone();
        wire.body[place..place + oid::SHA512.len()].copy_from_slice(oid::SHA512);
        failures.push((what.to_owned(), refused(&wire, what)));
    }
    let stranger = compose_for(&MALLORY);
    failures.push(("recipient".to_owned(), refused(&stranger, "recipient")));

    let first = answer_to(&failures[0].1);
    assert!(failures.len() >= 20);
    for (what, failure) in &failures {
        assert_eq!(failure.told, Disposition::decryption_failed(), "{what}: {}", failure.cause);
        assert_eq!(answer_to(failure), first, "{what}");
        assert_eq!(failure.mic, None, "{what}: a digest tells what was decrypted");
    }
}

/// The whole answer with its random delimiter masked.
fn answer_to(failure: &OpenFailure) -> String {
    let name = |text: &str| As2Name::from_plain(text).unwrap();
    let built = mdn::build(&MdnPlan {
        from: &name("bob"),
        to: &name("alice"),
        original_message_id: Some(stamp().message_id.as_str()),
        disposition: &failure.told,
        mic: failure.mic.as_deref(),
        explanation: failure.explanation,
        signing: None,
        micalg_style: MicalgStyle::Hyphenated,
        version: As2Version::default(),
        message_id: &stamp().message_id,
        date: date(),
    })
    .unwrap();
    let boundary =
        built.headers.get("Content-Type").unwrap().split("boundary=").nth(1).unwrap().trim_matches('"').to_owned();
    String::from_utf8(built.body).unwrap().replace(&boundary, "BOUNDARY")
}

/// A message for someone else.
fn compose_for(who: &SigningKey) -> Wire {
    let mut plan = usual_plan();
    plan.encryption.as_mut().unwrap().recipients = vec![who.certificate.clone()];
    compose_it(&plan, PAYLOAD).0
}

#[test]
fn authenticated_encryption_may_say_what_is_wrong_inside() {
    for (what, inner, told) in broken_contents() {
        let failure = refused(&enveloped(&inner, GCM, V15), what);
        assert_eq!(failure.told, told, "{what}: {}", failure.cause);
    }
    for (what, wire) in broken_envelopes(GCM) {
        if !matches!(what, "trailing" | "not base64") {
            assert_eq!(refused(&wire, what).told, Disposition::decryption_failed(), "{what}");
        }
    }
}

#[test]
fn a_message_without_envelope_says_what_is_wrong() {
    let policy = AcceptPolicy { require_encryption: false, ..AcceptPolicy::default() };
    for (what, inner, told) in broken_contents() {
        let split = memchr::memmem::find(&inner, b"\r\n\r\n");
        let Some(split) = split.filter(|_| inner.starts_with(b"Content-Type: ")) else { continue };
        let fields = String::from_utf8(inner[14..split].to_vec()).unwrap();
        if what == "envelope inside" {
            continue;
        }
        let wire = wire(&[("Content-Type", &fields)], &inner[split + 4..]);
        let failure = receive(&wire, &policy).expect_err(what);
        assert_eq!(failure.told, told, "{what}: {}", failure.cause);
    }
}

/// What a MIC over the octets of a signed part is.
fn mic_of(octets: &[u8]) -> Mic {
    let mut hasher = MultiHasher::new(&[DigestAlgorithm::Sha256]);
    hasher.update(octets);
    let value = hasher.finish().of(DigestAlgorithm::Sha256).unwrap().to_vec();
    Mic { algorithm: DigestAlgorithm::Sha256, value }
}

#[test]
fn a_refusal_confirms_what_was_received_wherever_it_was_read_to_its_end() {
    let entity = payload_entity();
    let head = entity.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    let posted = |entity: &[u8]| {
        let (fields, body) = entity.split_at(entity.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4);
        let fields = std::str::from_utf8(fields).unwrap().trim_end();
        let fields: Vec<(&str, &str)> = fields.lines().map(|line| line.split_once(": ").unwrap()).collect();
        wire(&fields, body)
    };
    let clear = AcceptPolicy { require_encryption: false, ..AcceptPolicy::default() };
    let sealed = AcceptPolicy::default();
    let stranger = signed_entity(&entity, &BOB);
    let table = [
        ("plain, to be signed", posted(&entity), &clear, Some(mic_of(&entity[head..]))),
        ("plain, to be encrypted", posted(&entity), &sealed, Some(mic_of(&entity[head..]))),
        ("signed, to be encrypted", posted(&signed_entity(&entity, &ALICE)), &sealed, Some(mic_of(&entity))),
        ("signed by a stranger", posted(&stranger), &clear, Some(mic_of(&entity))),
        ("the same in AES-GCM", enveloped(&stranger, GCM, V15), &sealed, Some(mic_of(&entity))),
        ("unsigned in AES-GCM", enveloped(&entity, GCM, V15), &sealed, Some(mic_of(&entity))),
        ("compressed and not signed", posted(&compressed_entity(&entity)), &clear, None),
        ("signed by a stranger in CBC", enveloped(&stranger, CBC, V15), &sealed, None),
        ("unsigned in CBC", enveloped(&entity, CBC, V15), &sealed, None),
    ];
    for (what, wire, policy, mic) in table {
        let failure = receive(&wire, policy).expect_err(what);
        assert_eq!(failure.mic.as_deref(), mic.as_ref(), "{what}: {}", failure.cause);
    }
    let mut torn = enveloped(&stranger, GCM, V15);
    *torn.body.last_mut().unwrap() ^= 1;
    assert_eq!(receive(&torn, &sealed).unwrap_err().mic, None, "the tag does not hold");
}

#[test]
fn what_is_refused_for_its_agreement_reaches_no_sink() {
    let (wire, _) = compose_it(&plan(Some(SignatureScheme::RsaPkcs1), None, Compression::None), PAYLOAD);
    let trusted = [ALICE.certificate.clone()];
    let keys = OpenKeys { decryption: &[], trusted: &trusted, known: &[] };
    let mut sink = Vec::new();
    let policy = AcceptPolicy::default();
    let failure =
        open(&request(&wire), &mut wire.body.as_slice(), &policy, &keys, &Limits::default(), &mut sink).unwrap_err();
    assert!(matches!(failure.cause, OpenError::NotEncrypted), "{}", failure.cause);
    assert_eq!(sink, b"");
}

#[test]
fn a_receipt_that_the_partner_signed_is_no_message_however_it_is_wrapped() {
    let told = Disposition::parse_received("automatic-action/MDN-sent-automatically; processed").unwrap();
    let entity = |mdn: &BuiltMdn| {
        let content_type = mdn.headers.get("Content-Type").unwrap();
        [format!("Content-Type: {content_type}\r\n\r\n").as_bytes(), &mdn.body].concat()
    };
    let signed = answer(&told, None, Some(&ALICE));
    let (receipt, unsigned) = (entity(&signed), entity(&answer(&told, None, None)));
    let posted = wire(&[("Content-Type", signed.headers.get("Content-Type").unwrap())], &signed.body);
    let mut table = vec![
        ("as it came, asking for a receipt itself", posted),
        ("in AES-CBC", enveloped(&receipt, CBC, V15)),
        ("in AES-GCM", enveloped(&receipt, GCM, V15)),
        ("compressed", enveloped(&compressed_entity(&receipt), GCM, V15)),
        ("unsigned", enveloped(&unsigned, GCM, V15)),
        ("the part for programs alone", {
            let part = b"Content-Type: message/disposition-notification\r\n\r\nDisposition: x; processed\r\n";
            enveloped(&signed_entity(part, &ALICE), GCM, V15)
        }),
    ];
    for kind in ["multipart/mixed", "multipart/alternative"] {
        let other = String::from_utf8(unsigned.clone()).unwrap().replacen("multipart/report", kind, 1).into_bytes();
        let (content_type, body) = signed_parts(&other, &other, &ALICE);
        let signed = signed_entity(&other, &ALICE);
        table.push((kind, wire(&[("Content-Type", &content_type)], &body)));
        table.extend([&signed, &compressed_entity(&signed), &other].map(|entity| (kind, enveloped(entity, GCM, V15))));
        table.push((kind, enveloped(&signed, CBC, V15)));
    }
    let (certificate, key) = (BOB.certificate.clone(), BOB.key.clone());
    let bob = [DecryptionKey { certificate, key, transports: KeyTransport::ALL.to_vec() }];
    let trusted = [ALICE.certificate.clone()];
    let keys = OpenKeys { decryption: &bob, trusted: &trusted, known: &[] };
    for (what, wire) in table {
        let mut sink = Vec::new();
        let opened = open(&request(&wire), &mut wire.body.as_slice(), &lax(), &keys, &Limits::default(), &mut sink);
        let failure = opened.expect_err(what);
        assert!(matches!(failure.cause, OpenError::Layers(_)), "{what}: {}", failure.cause);
        assert_eq!(failure.told, Disposition::unexpected_processing_error(), "{what}");
        assert_eq!(sink, b"", "{what}");
    }
    let demanding = refused(&enveloped(&unsigned, GCM, V15), "an unsigned one where a signature is demanded");
    assert!(matches!(demanding.cause, OpenError::NotSigned), "{}", demanding.cause);
}

#[test]
fn a_multipart_that_holds_no_notification_is_delivered_as_it_came() {
    let part = "Content-Type: message/disposition-notification\r\n\r\nx\r\n";
    let text = format!("--r\r\nContent-Type: text/plain\r\n\r\n--r1\r\n{part}");
    let order = "--r\r\nContent-Type: application/xml\r\n\r\n<a/>\r\n--r--\r\n";
    for kind in ["multipart/mixed; boundary=r", "Multipart/Alternative; boundary=\"r\"", "multipart/mixed"] {
        for body in [
            order.to_owned(),
            format!("{order}--r\r\n{part}"),
            format!("{text}--r--\r\n"),
            format!("{text}{}\r\n--r--\r\n", "<b/>\r\n".repeat(20_000)),
            String::new(),
        ] {
            let entity = format!("Content-Type: {kind}\r\n\r\n{body}").into_bytes();
            let signed = signed_entity(&entity, &ALICE);
            let (content_type, parts) = signed_parts(&entity, &entity, &ALICE);
            for wire in [
                wire(&[("Content-Type", &content_type)], &parts),
                enveloped(&entity, GCM, V15),
                enveloped(&compressed_entity(&signed), GCM, V15),
                enveloped(&signed, CBC, V15),
            ] {
                let received = receive(&wire, &lax());
                let (opened, payload) =
                    received.unwrap_or_else(|failure| unreachable!("{kind} {body}: {}", failure.cause));
                assert!(payload == body.as_bytes(), "{kind} {body}");
                assert_eq!(opened.mic, Some(mic_of(&entity)), "{kind} {body}");
            }
        }
    }
}

#[test]
fn a_stranger_s_signature_counts_as_none_where_that_is_agreed() {
    let agreed = AcceptPolicy { unknown_signers: true, ..lax() };
    let stranger = signed_entity(&payload_entity(), &BOB);
    let (opened, payload) = receive(&enveloped(&stranger, GCM, V15), &agreed).unwrap();
    assert_eq!((opened.unknown_signer, opened.signature.is_none(), payload.as_slice()), (true, true, PAYLOAD));
    let told = processed(&opened, &Stored::assertion());
    assert_eq!(
        told.to_string(),
        "automatic-action/MDN-sent-automatically; processed/warning: authentication-failed, processing continued"
    );
    assert_eq!(opened.mic, Some(mic_of(&payload_entity())));

    let (opened, _) = receive(&enveloped(&signed_entity(&payload_entity(), &ALICE), GCM, V15), &agreed).unwrap();
    assert!(!opened.unknown_signer && opened.signature.is_some(), "a known one counts");
    let unsigned = AcceptPolicy { require_signature: true, ..agreed.clone() };
    for (what, policy, cipher) in [
        ("a signature is demanded", &unsigned, GCM),
        ("an envelope without integrity", &agreed, CBC),
        ("nothing was agreed", &AcceptPolicy { unknown_signers: false, ..agreed.clone() }, GCM),
    ] {
        let failure = receive(&enveloped(&stranger, cipher, V15), policy).expect_err(what);
        assert!(
            matches!(failure.cause, OpenError::Signature(SignatureError::UnknownSigner)),
            "{what}: {}",
            failure.cause
        );
    }
    let forged = receive(&enveloped(&signed_entity(&payload_entity(), &MALLORY), GCM, V15), &agreed).unwrap_err();
    assert_eq!(forged.told, Disposition::integrity_check_failed(), "a signature in the name of one who is known");
}

#[test]
fn a_partner_whose_signature_holds_gets_the_specific_answer_even_in_cbc() {
    let entity = [b"Content-Type: application/xml\r\n\r\n".as_slice(), &[b'x'; 2000]].concat();
    let wire = enveloped(&signed_entity(&entity, &ALICE), CBC, V15);
    let small = AcceptPolicy { max_payload: 1000, ..AcceptPolicy::default() };
    let failure = receive(&wire, &small).unwrap_err();
    assert_eq!(
        (failure.cause.code(), failure.told),
        ("open-payload-too-large", Disposition::unexpected_processing_error())
    );

    let twice = compressed_entity(&signed_entity(&compressed_entity(&payload_entity()), &ALICE));
    assert_eq!(refused(&enveloped(&twice, CBC, V15), "twice").told, Disposition::decompression_failed());
}

#[test]
fn trouble_of_our_own_is_recognisable() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("disk full"))
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let (wire, _) = compose_it(&plan(Some(SignatureScheme::RsaPkcs1), None, Compression::BeforeSigning), PAYLOAD);
    let trusted = [ALICE.certificate.clone()];
    let keys = OpenKeys { decryption: &[], trusted: &trusted, known: &[] };
    let failure =
        open(&request(&wire), &mut wire.body.as_slice(), &lax(), &keys, &Limits::default(), &mut Full).unwrap_err();
    assert!(failure.cause.is_ours(), "{}", failure.cause);

    struct Broken;
    impl std::io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("connection lost"))
        }
    }
    let failure = open(&request(&wire), &mut Broken, &lax(), &keys, &Limits::default(), &mut Vec::new()).unwrap_err();
    assert_eq!(failure.cause.code(), "open-body-not-read");
}

#[test]
fn a_cipher_that_this_machine_lacks_is_trouble_of_our_own_and_what_a_key_finds_is_not() {
    let primitive = || CmsError::Primitive(openssl::error::ErrorStack::get());
    for cause in [CmsError::CipherUnavailable(ContentCipher::Rc2Cbc), primitive()] {
        let remedy = cause.text().en;
        let error = OpenError::Decryption(cause);
        assert!(error.is_ours() && error.text().en == remedy, "{error}");
    }
    for cause in [
        CmsError::Decrypt,
        CmsError::NotForUs,
        CmsError::UnknownCipher,
        CmsError::CipherNotAllowed(GCM),
        CmsError::Malformed("x"),
    ] {
        assert!(!OpenError::Decryption(cause).is_ours());
    }
    assert!(!OpenError::Decompression(primitive()).is_ours());
}
