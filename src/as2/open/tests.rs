//! Whole messages: every permutation there and back, the MIC table, downgrades, uniform failures, odd shapes.
//!
//! `docs/hostile.md` lists what is tried against the engine, with the test of each attack.

use super::super::specimens::*;
use super::super::*;
use crate::cms::{ContentCipher, DigestAlgorithm, KeyTransport, SignatureScheme};

mod attachments;
mod beginnings;
mod digests;
mod dissection;
mod downgrade;
mod drummond;
mod exchange;
mod failures;
mod flips;
mod identity;
mod lines;
mod matrix;
mod mendelson;
mod mime_bombs;
mod nesting;
mod oracle;
mod permutations;
mod quirks;
mod shapes;
mod streams;
mod written;

const SCHEMES: [Option<SignatureScheme>; 3] = [None, Some(SignatureScheme::RsaPkcs1), Some(SignatureScheme::RsaPss)];
const COMPRESSIONS: [Compression; 3] = [Compression::None, Compression::BeforeSigning, Compression::AfterSigning];

fn envelopes() -> Vec<Option<(ContentCipher, KeyTransport)>> {
    let mut all = vec![None];
    for cipher in [ContentCipher::Aes128Cbc, ContentCipher::Aes256Cbc, ContentCipher::Aes256Gcm] {
        for transport in [KeyTransport::RsaPkcs1, KeyTransport::RsaOaepSha256] {
            all.push(Some((cipher, transport)));
        }
    }
    all
}

#[test]
fn every_permutation_arrives_and_its_receipt_is_accepted() {
    for scheme in SCHEMES {
        for envelope in envelopes() {
            for compression in COMPRESSIONS {
                let what = format!("{scheme:?} {envelope:?} {compression:?}");
                let (wire, composed) = compose_it(&plan(scheme, envelope, compression), PAYLOAD);
                let (opened, payload) = receive(&wire, &lax()).expect(&what);
                assert_eq!(payload, PAYLOAD, "{what}");
                assert_eq!(opened.content_type.as_deref(), Some("application/xml"), "{what}");
                assert_eq!(opened.file_name.as_ref().map(|name| name.original.as_str()), Some("单 1.xml"), "{what}");
                assert_eq!(opened.signature.as_ref().map(|s| s.scheme()), scheme, "{what}");
                assert_eq!(opened.encrypted, envelope.map(|(cipher, _)| cipher), "{what}");
                assert_eq!(opened.compressed, compression != Compression::None, "{what}");

                let disposition = processed(&opened, &Stored::assertion());
                let mdn = read(&answer(&disposition, opened.mic.as_ref(), Some(&BOB)));
                let Verdict::Accepted { matched: Some(matched) } = judged(&mdn, &composed, true) else {
                    unreachable!("{what}: {:?}", judged(&mdn, &composed, true));
                };
                assert!(matched.is_ordinary(), "{what}: {matched:?}");
            }
        }
    }
}

#[test]
fn payloads_of_awkward_lengths_survive_every_layer() {
    let envelope = Some((ContentCipher::Aes128Cbc, KeyTransport::RsaPkcs1));
    for len in [0usize, 1, 15, 16, 17, 65_535, 65_536, 200_001] {
        let payload: Vec<u8> = (0..len).map(|n| u8::try_from(n * 31 % 251).unwrap()).collect();
        for compression in COMPRESSIONS {
            let (wire, _) = compose_it(&plan(Some(SignatureScheme::RsaPkcs1), envelope, compression), &payload);
            let (_, received) = receive(&wire, &AcceptPolicy::default()).expect("accepted");
            assert!(received == payload, "{len} {compression:?}");
        }
    }
}

/// The octets of the first part of the signed message on the wire.
fn first_part(wire: &Wire) -> &[u8] {
    let value = wire.headers.get("Content-Type").unwrap();
    let boundary = value.split("boundary=\"").nth(1).unwrap().trim_end_matches('"');
    let start = boundary.len() + 4;
    let next = memchr::memmem::find(&wire.body[start..], format!("\r\n--{boundary}").as_bytes()).unwrap();
    &wire.body[start..start + next]
}

fn sha256(octets: &[u8]) -> Vec<u8> {
    DigestAlgorithm::Sha256.digest(octets)
}

#[test]
fn the_mic_covers_what_the_table_says() {
    let signed = Some(SignatureScheme::RsaPkcs1);
    let gcm = Some((ContentCipher::Aes128Gcm, KeyTransport::RsaOaepSha256));
    let name = "filename=\"_ 1.xml\"; filename*=UTF-8''%E5%8D%95%201.xml";
    let fields = format!(
        "Content-Type: application/xml\r\nContent-Transfer-Encoding: binary\r\nContent-Disposition: attachment; {name}\r\n\r\n"
    );
    let entity = [fields.as_bytes(), PAYLOAD].concat();
    let mic = |plan: &SendPlan| {
        let (wire, composed) = compose_it(plan, PAYLOAD);
        let exact = composed.mics.exact(DigestAlgorithm::Sha256).unwrap().clone();
        assert_eq!(receive(&wire, &lax()).unwrap().0.mic, Some(exact.clone()));
        (wire, exact.value)
    };
    assert_eq!(mic(&plan(None, None, Compression::None)).1, sha256(PAYLOAD), "plain: the body alone");
    assert_eq!(mic(&plan(None, None, Compression::BeforeSigning)).1, sha256(&entity), "compressed: with fields");
    assert_eq!(mic(&plan(None, gcm, Compression::None)).1, sha256(&entity), "encrypted: with fields");
    assert_eq!(mic(&plan(None, gcm, Compression::AfterSigning)).1, sha256(&entity), "both: with fields");
    assert_eq!(mic(&plan(signed, None, Compression::None)).1, sha256(&entity), "signed: the signed octets");
    assert_eq!(mic(&plan(signed, gcm, Compression::None)).1, sha256(&entity), "signed, encrypted: the same");
    assert_eq!(mic(&plan(signed, None, Compression::AfterSigning)).1, sha256(&entity), "signed, then compressed");
    let (wire, value) = mic(&plan(signed, None, Compression::BeforeSigning));
    assert_eq!(value, sha256(first_part(&wire)), "compressed, then signed: the compressed entity");
    assert_ne!(value, sha256(&entity));
}

#[test]
fn the_mic_algorithm_follows_signature_and_request() {
    use DigestAlgorithm::{Sha1, Sha256, Sha384, Sha512};
    let table: [(Option<DigestAlgorithm>, &[DigestAlgorithm], DigestAlgorithm); 6] = [
        (Some(Sha384), &[Sha384, Sha1], Sha384),
        (Some(Sha384), &[Sha1, Sha384], Sha384),
        (Some(Sha384), &[Sha512, Sha1], Sha512),
        (Some(Sha384), &[], Sha384),
        (None, &[Sha512, Sha1], Sha512),
        (None, &[Sha1], Sha1),
    ];
    for (digest, asked, expected) in table {
        let scheme = digest.map(|_| SignatureScheme::RsaPkcs1);
        let mut plan = plan(scheme, None, Compression::None);
        plan.mdn.micalgs = asked.to_vec();
        if let (Some(signing), Some(digest)) = (&mut plan.signing, digest) {
            signing.digest = digest;
        }
        let (wire, composed) = compose_it(&plan, PAYLOAD);
        assert_eq!(composed.algorithm, expected);
        assert_eq!(receive(&wire, &lax()).unwrap().0.mic.unwrap().algorithm, expected, "{digest:?} {asked:?}");
    }
    let (mut wire, _) = compose_it(&plan(None, None, Compression::None), PAYLOAD);
    wire.headers.remove("Disposition-Notification-Options");
    assert_eq!(receive(&wire, &lax()).unwrap().0.mic.unwrap().algorithm, Sha256);
}

#[test]
fn a_variant_digest_is_accepted_by_name() {
    let (_, composed) = compose_it(&plan(None, None, Compression::None), PAYLOAD);
    let (_, enveloped) =
        compose_it(&plan(None, Some((ContentCipher::Aes128Cbc, KeyTransport::RsaPkcs1)), Compression::None), PAYLOAD);
    let find = |composed: &Composed, algorithm, variant| {
        composed
            .mics
            .expected
            .iter()
            .find(|s| s.mic.algorithm == algorithm && s.variant == variant)
            .unwrap()
            .mic
            .clone()
    };
    for (composed, algorithm, variant, usual) in [
        (&composed, DigestAlgorithm::Sha256, MicVariant::Exact, true),
        (&composed, DigestAlgorithm::Sha1, MicVariant::Exact, false),
        (&composed, DigestAlgorithm::Sha256, MicVariant::WithHeaders, true),
        (&enveloped, DigestAlgorithm::Sha512, MicVariant::BodyOnly, false),
    ] {
        let mic = find(composed, algorithm, variant);
        let mdn = read(&answer(&Disposition::processed_ok(), Some(&mic), Some(&BOB)));
        let matched = MicMatch { algorithm, variant, expected_algorithm: usual };
        assert_eq!(judged(&mdn, composed, true), Verdict::Accepted { matched: Some(matched) });
    }
}

#[test]
fn a_message_weaker_than_the_agreement_is_never_accepted() {
    let gcm = (ContentCipher::Aes256Gcm, KeyTransport::RsaOaepSha256);
    let cbc = (ContentCipher::Aes256Cbc, KeyTransport::RsaOaepSha256);
    for scheme in [None, Some(SignatureScheme::RsaPss)] {
        for envelope in [None, Some(cbc), Some(gcm)] {
            for compression in COMPRESSIONS {
                let (wire, _) = compose_it(&plan(scheme, envelope, compression), PAYLOAD);
                for (require_signature, require_encryption) in
                    [(false, false), (false, true), (true, false), (true, true)]
                {
                    let policy = AcceptPolicy { require_signature, require_encryption, ..AcceptPolicy::default() };
                    let satisfied =
                        (scheme.is_some() || !require_signature) && (envelope.is_some() || !require_encryption);
                    let what =
                        format!("{scheme:?} {envelope:?} {compression:?} {require_signature} {require_encryption}");
                    match receive(&wire, &policy) {
                        Ok(_) => assert!(satisfied, "{what}"),
                        Err(failure) => {
                            assert!(!satisfied, "{what}: {}", failure.cause);
                            let uniform = envelope == Some(cbc);
                            let expected = if uniform {
                                Disposition::decryption_failed()
                            } else {
                                Disposition::insufficient_message_security()
                            };
                            assert_eq!(failure.told, expected, "{what}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn algorithms_outside_the_agreement_are_refused() {
    let gcm = Some((ContentCipher::Aes128Gcm, KeyTransport::RsaOaepSha256));
    let (wire, _) = compose_it(&plan(Some(SignatureScheme::RsaPkcs1), gcm, Compression::None), PAYLOAD);
    let strict = AcceptPolicy { ciphers: vec![ContentCipher::Aes256Gcm], ..AcceptPolicy::default() };
    assert_eq!(receive(&wire, &strict).unwrap_err().told, Disposition::decryption_failed());
    let strict = AcceptPolicy { schemes: vec![SignatureScheme::RsaPss], ..AcceptPolicy::default() };
    let failure = receive(&wire, &strict).unwrap_err();
    assert_eq!(
        (failure.cause.code(), failure.told),
        ("open-scheme-not-allowed", Disposition::insufficient_message_security())
    );
    let strict = AcceptPolicy { digests: vec![DigestAlgorithm::Sha512], ..AcceptPolicy::default() };
    assert_eq!(receive(&wire, &strict).unwrap_err().told, Disposition::insufficient_message_security());

    let mut weak = plan(Some(SignatureScheme::RsaPkcs1), None, Compression::None);
    weak.signing.as_mut().unwrap().digest = DigestAlgorithm::Sha1;
    let (wire, _) = compose_it(&weak, PAYLOAD);
    assert_eq!(receive(&wire, &lax()).unwrap_err().told, Disposition::insufficient_message_security());
}
