//! Line ends. Products on Bouncy Castle and JavaMail sign text in its canonical form, lines that end in CR LF, and send it
//! with the line ends of the file; RFC 4130 7.3.1 wants the MIC of what is only encrypted over that form.

use super::*;
use crate::ground::limits::Limits;
use crate::mime::LineEnds;

fn canonical(octets: &[u8]) -> Vec<u8> {
    LineEnds::default().canonical(octets).into_owned()
}

/// A part with bare line feeds everywhere, and its payload once it is in canonical form.
fn parts() -> Vec<(&'static str, Vec<u8>, Vec<u8>)> {
    let part = |encoding: &str, body: &str| format!("Content-Type: application/xml\n{encoding}\n{body}").into_bytes();
    let (text, lines) = ("<a>\n <b/>\n</a>\n", b"<a>\r\n <b/>\r\n</a>\r\n".to_vec());
    vec![
        ("none", part("", text), lines.clone()),
        ("7bit", part("Content-Transfer-Encoding: 7bit\n", text), lines.clone()),
        ("8bit", part("Content-Transfer-Encoding: 8BIT\n", text), lines.clone()),
        (
            "qp",
            part("Content-Transfer-Encoding: quoted-printable\n", "<a x=3D\"=\n1\"/>\n"),
            b"<a x=\"1\"/>\r\n".to_vec(),
        ),
        ("base64", part("Content-Transfer-Encoding: base64\n", "PGE+\nCjwvYT4=\n"), b"<a>\n</a>".to_vec()),
    ]
}

/// The message that shows `part` under a signature over `signed`, in every envelope.
fn messages(part: &[u8], signed: &[u8]) -> Vec<(&'static str, Wire)> {
    let (content_type, body) = signed_parts(part, signed, &ALICE);
    let inner = [format!("Content-Type: {content_type}\r\n\r\n").as_bytes(), &body].concat();
    vec![
        ("plain", wire(&[("Content-Type", &content_type)], &body)),
        ("cbc", enveloped(&inner, ContentCipher::Aes256Cbc, KeyTransport::RsaPkcs1)),
        ("gcm", enveloped(&inner, ContentCipher::Aes128Gcm, KeyTransport::RsaPkcs1)),
    ]
}

fn receive_canonical(wire: &Wire) -> Result<(Opened, Vec<u8>), OpenFailure> {
    let transports = KeyTransport::ALL.to_vec();
    let bob = crate::cms::DecryptionKey { certificate: BOB.certificate.clone(), key: BOB.key.clone(), transports };
    let keys = OpenKeys { decryption: &[bob], trusted: std::slice::from_ref(&ALICE.certificate), known: &[] };
    let mut sink = Vec::new();
    let (limits, mut body) = (Limits::default(), wire.body.as_slice());
    let opened = open_canonical(&request(wire), &mut body, &lax(), &keys, &limits, &mut sink)?;
    Ok((opened, sink))
}

#[test]
fn text_that_was_signed_in_canonical_lines_is_read_from_them() {
    for (encoding, part, payload) in parts() {
        for (envelope, wire) in messages(&part, &canonical(&part)) {
            let what = format!("{encoding} {envelope}");
            let failure = receive(&wire, &lax()).expect_err(&what);
            assert!(failure.lines_may_differ, "{what}");
            let (opened, delivered) =
                receive_canonical(&wire).unwrap_or_else(|failure| unreachable!("{what}: {}", failure.cause));
            assert_eq!(delivered, payload, "{what}: what was signed, and nothing else");
            assert_eq!(opened.mic.unwrap().value, sha256(&canonical(&part)), "{what}: what its sender hashed");
            assert_eq!(opened.signature.unwrap().signer(), ALICE.certificate.fingerprint(), "{what}");
        }
    }
}

#[test]
fn binary_content_counts_as_it_came() {
    let (_, part, _) = parts().swap_remove(1);
    let part = String::from_utf8(part).unwrap().replace("7bit", "Binary").into_bytes();
    for (envelope, wire) in messages(&part, &canonical(&part)) {
        let failure = receive(&wire, &lax()).expect_err(envelope);
        assert!(!failure.lines_may_differ, "{envelope}");
        assert!(matches!(failure.cause, OpenError::Signature(_)), "{envelope}");
    }
}

#[test]
fn canonical_lines_prove_nothing_else() {
    for (encoding, part, _) in parts() {
        let other = [b"Subject: more\r\n", &canonical(&part)[..]].concat();
        for (what, signed) in [("other octets", other.as_slice()), ("bare line feeds", &part)] {
            for (envelope, wire) in messages(&part, signed) {
                let failure = receive_canonical(&wire).expect_err(what);
                assert!(!failure.lines_may_differ, "once is enough: {encoding} {envelope} {what}");
                let usual = receive(&wire, &lax()).map(|_| ()).map_err(|failure| failure.told);
                let expected = if envelope == "cbc" {
                    Disposition::decryption_failed()
                } else {
                    Disposition::integrity_check_failed()
                };
                assert_eq!(usual, if what == "other octets" { Err(expected) } else { Ok(()) }, "{encoding} {envelope}");
            }
        }
    }
    let (_, part, _) = parts().swap_remove(0);
    let (content_type, body) = signed_parts(&part, &canonical(&part), &MALLORY);
    let forged = wire(&[("Content-Type", &content_type)], &body);
    assert!(receive_canonical(&forged).is_err(), "somebody else's signature");
}

#[test]
fn the_mic_of_what_is_only_encrypted_covers_canonical_lines_where_it_says_text() {
    for (encoding, part, _) in parts() {
        let sealed = enveloped(&part, ContentCipher::Aes128Cbc, KeyTransport::RsaPkcs1);
        let (opened, payload) = receive(&sealed, &lax()).unwrap();
        let covered = if encoding == "none" { part.clone() } else { canonical(&part) };
        assert_eq!(opened.mic.unwrap().value, sha256(&covered), "{encoding}");
        if ["none", "7bit", "8bit"].contains(&encoding) {
            assert_eq!(payload, b"<a>\n <b/>\n</a>\n", "delivered as it came: {encoding}");
        }
        let packed = enveloped(&compressed_entity(&part), ContentCipher::Aes128Cbc, KeyTransport::RsaPkcs1);
        let opened = receive(&packed, &lax()).unwrap().0;
        assert_eq!(opened.mic.unwrap().value, sha256(&part), "compressed, as RFC 5402 4.2 says: {encoding}");
        let binary = String::from_utf8(part).unwrap();
        let binary = binary.replacen("Content-Type: application/xml\n", "Content-Type: application/xml\nX: y\n", 1);
        let binary = ["7bit", "8BIT"].iter().fold(binary, |text, encoding| text.replace(encoding, "binary"));
        if binary.contains("binary") {
            let sealed = enveloped(binary.as_bytes(), ContentCipher::Aes128Cbc, KeyTransport::RsaPkcs1);
            assert_eq!(receive(&sealed, &lax()).unwrap().0.mic.unwrap().value, sha256(binary.as_bytes()), "{encoding}");
        }
    }
}

#[test]
fn a_digest_over_canonical_lines_of_what_was_only_encrypted_is_accepted_by_name() {
    let envelope = Some((ContentCipher::Aes128Cbc, KeyTransport::RsaPkcs1));
    let (wire, composed) = compose_it(&plan(None, envelope, Compression::None), PAYLOAD);
    let mut covered = Vec::new();
    let key = composed.content_key.as_ref().map(|key| key.expose().clone());
    let outlets = Outlets { covered: &mut covered, signature: &mut std::io::sink(), payload: &mut std::io::sink() };
    let keys = OpenKeys { decryption: &[], trusted: &[], known: &[] };
    let (limits, form) = (Limits::default(), Form::AsReceived);
    dissect(&wire.headers, &mut wire.body.as_slice(), &keys, key.as_deref(), &limits, form, outlets).unwrap();
    for algorithm in DigestAlgorithm::ALL {
        let mic = Mic { algorithm, value: algorithm.digest(&canonical(&covered)) };
        assert_eq!(composed.mics.find(&mic), Some(MicVariant::CanonicalLines), "{algorithm}");
    }
    let mic = Mic { algorithm: DigestAlgorithm::Sha256, value: sha256(&canonical(&covered)) };
    let mdn = read(&answer(&Disposition::processed_ok(), Some(&mic), Some(&BOB)));
    let Verdict::Accepted { matched: Some(matched) } = judged(&mdn, &composed, true) else { unreachable!("accepted") };
    assert!(!matched.is_ordinary(), "with a remark");

    let has =
        |composed: &Composed| composed.mics.expected.iter().any(|sent| sent.variant == MicVariant::CanonicalLines);
    assert!(!has(&compose_it(&plan(None, envelope, Compression::None), b"a\r\nb\r\n").1), "nothing differs");
    for (scheme, envelope, compression) in [
        (Some(SignatureScheme::RsaPkcs1), envelope, Compression::None),
        (None, envelope, Compression::BeforeSigning),
        (None, None, Compression::None),
    ] {
        assert!(!has(&compose_it(&plan(scheme, envelope, compression), PAYLOAD).1), "{scheme:?} {compression:?}");
    }
}
