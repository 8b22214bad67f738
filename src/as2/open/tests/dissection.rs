//! A kept message taken apart again: the octets under the MIC, the signature, the payload.

use super::*;
use crate::cms::Certificate;
use crate::ground::limits::Limits;

fn again(wire: &Wire, key: Option<&[u8]>, trusted: &Certificate) -> Result<(Dissected, [Vec<u8>; 3]), OpenError> {
    in_form(wire, key, trusted, Form::AsReceived)
}

fn in_form(
    wire: &Wire,
    key: Option<&[u8]>,
    trusted: &Certificate,
    form: Form,
) -> Result<(Dissected, [Vec<u8>; 3]), OpenError> {
    let (mut covered, mut signature, mut payload) = (Vec::new(), Vec::new(), Vec::new());
    let outlets = Outlets { covered: &mut covered, signature: &mut signature, payload: &mut payload };
    let keys = OpenKeys { decryption: &[], trusted: std::slice::from_ref(trusted), known: &[] };
    let found = dissect(&wire.headers, &mut wire.body.as_slice(), &keys, key, &Limits::default(), form, outlets)?;
    Ok((found, [covered, signature, payload]))
}

#[test]
fn the_content_key_opens_every_permutation_again_without_a_private_key() {
    for scheme in SCHEMES {
        for envelope in envelopes() {
            for compression in COMPRESSIONS {
                let what = format!("{scheme:?} {envelope:?} {compression:?}");
                let (wire, composed) = compose_it(&plan(scheme, envelope, compression), PAYLOAD);
                let (opened, _) = receive(&wire, &lax()).expect(&what);
                let kept = composed.content_key.as_ref().map(|key| key.expose().clone());
                assert_eq!(opened.content_key.as_ref().map(|key| key.expose().clone()), kept, "{what}: both know it");
                assert_eq!(opened.recipient, envelope.map(|_| BOB.certificate.fingerprint()), "{what}");

                let (found, [covered, signature, payload]) =
                    again(&wire, kept.as_deref(), &ALICE.certificate).expect(&what);
                assert_eq!(payload, PAYLOAD, "{what}");
                assert_eq!(found.signature.is_some(), scheme.is_some(), "{what}");
                assert_eq!(signature.is_empty(), scheme.is_none(), "{what}");
                let mic = opened.mic.expect(&what);
                assert_eq!(mic.algorithm.digest(&covered), mic.value, "{what}: the MIC is the digest of what came out");
                assert_eq!(found.digests.of(mic.algorithm), Some(mic.value.as_slice()), "{what}");

                let mut inside = Vec::new();
                let signed = scheme.is_some();
                let limits = Limits::default();
                let contained = payload_of(&mut covered.as_slice(), &wire.headers, signed, &limits, &mut inside);
                let contained = contained.expect(&what);
                assert_eq!((inside.as_slice(), contained.sha256), (PAYLOAD, found.payload_sha256), "{what}");
                let in_it = compression == Compression::BeforeSigning && signed;
                assert_eq!(contained.compressed, in_it, "{what}: elsewhere the MIC covers what was decompressed");
                assert_eq!(
                    is_enveloped(&wire.headers, &mut wire.body.as_slice(), &limits),
                    envelope.is_some(),
                    "{what}"
                );
                assert_eq!(says_enveloped(&wire.headers), envelope.is_some(), "{what}");
            }
        }
    }
}

#[test]
fn another_certificate_or_content_key_proves_nothing() {
    let envelope = Some((ContentCipher::Aes256Gcm, KeyTransport::RsaOaepSha256));
    let (wire, composed) = compose_it(&plan(Some(SignatureScheme::RsaPkcs1), envelope, Compression::None), PAYLOAD);
    let key = composed.content_key.unwrap().expose().clone();
    assert!(matches!(again(&wire, Some(&key), &BOB.certificate), Err(OpenError::Signature(_))));
    let other: Vec<u8> = key.iter().map(|byte| byte ^ 1).collect();
    assert!(matches!(again(&wire, Some(&other), &ALICE.certificate), Err(OpenError::Decryption(_))));
    assert!(matches!(again(&wire, Some(&key[1..]), &ALICE.certificate), Err(OpenError::Decryption(_))));
}

#[test]
fn a_signed_receipt_comes_apart_too() {
    let mdn = answer(
        &Disposition::parse_received("automatic-action/MDN-sent-automatically; processed").unwrap(),
        None,
        Some(&BOB),
    );
    let wire = Wire { headers: mdn.headers, body: mdn.body };
    let (found, [covered, signature, report]) = again(&wire, None, &BOB.certificate).unwrap();
    assert_eq!(found.signature.unwrap().signer(), BOB.certificate.fingerprint());
    assert!(!signature.is_empty());
    assert!(covered.ends_with(&report), "the report is the body of what is signed");
    assert!(covered.starts_with(b"Content-Type: multipart/report"));
}

#[test]
fn what_was_accepted_in_another_form_comes_apart_in_that_form() {
    for (form, sent, signed) in [
        (Form::CanonicalLines, "Content-Type: a/b\n\n1\n2\n", "Content-Type: a/b\r\n\r\n1\r\n2\r\n"),
        (Form::WithoutLastLineEnd, "Content-Type: a/b\r\n\r\n1\r\n", "Content-Type: a/b\r\n\r\n1"),
        (Form::WithoutLastLineEnd, "Content-Type: a/b\r\n\r\n\r\n\r\r\n", "Content-Type: a/b\r\n\r\n\r\n\r"),
    ] {
        let (content_type, body) = signed_parts(sent.as_bytes(), signed.as_bytes(), &ALICE);
        let wire = wire(&[("Content-Type", &content_type)], &body);
        for other in Form::ALL.into_iter().filter(|other| *other != form) {
            let failed = in_form(&wire, None, &ALICE.certificate, other).expect_err("another form");
            assert!(matches!(failed, OpenError::Signature(cause) if cause.is_about_content()), "{form:?} {other:?}");
        }
        let (found, [covered, _, payload]) = in_form(&wire, None, &ALICE.certificate, form).unwrap();
        assert!(found.signature.is_some());
        assert_eq!(covered, signed.as_bytes());
        assert!(covered.ends_with(&payload));
    }
}

#[test]
fn what_only_says_that_it_is_an_envelope_is_none() {
    let limits = Limits::default();
    let sealed = enveloped(&payload_entity(), ContentCipher::Aes128Cbc, KeyTransport::RsaPkcs1);
    let is = |wire: &Wire| is_enveloped(&wire.headers, &mut wire.body.as_slice(), &limits);
    assert!(is(&sealed));
    let compressed = compressed_entity(&payload_entity());
    let start = memchr::memmem::find(&compressed, b"\r\n\r\n").unwrap() + 4;
    for body in [PAYLOAD, &compressed[start..], b"", b"0", b"0\x84", &sealed.body[..6]] {
        let lying = Wire { headers: sealed.headers.clone(), body: body.to_vec() };
        assert!(!is(&lying) && says_enveloped(&lying.headers), "{body:?}");
    }
    let mislabelled = wire(&[("Content-Type", "application/xml")], &sealed.body);
    assert!(!is(&mislabelled), "what is no CMS is the payload itself");
    let mut encoded = sealed.clone();
    encoded.headers.push("Content-Transfer-Encoding", "base64").unwrap();
    encoded.body = openssl::base64::encode_block(&sealed.body).into_bytes();
    assert!(is(&encoded));
}
