//! Which digests are computed, on both sides: no more than can be asked for, and none is missing that is.

use super::super::super::specimens::*;
use super::super::super::*;
use crate::cms::DigestAlgorithm;
use crate::ground::limits::Limits;
use crate::mime::{BytesSource, MemoryScratch};

/// Longer than what is hashed with every algorithm.
const LONG: usize = 40_000;

fn compose_long(plan: &SendPlan) -> (Composed, Composed) {
    let payload = vec![b'x'; LONG];
    let source = BytesSource(payload.as_slice());
    let all = compose(plan, &stamp(), &source, &MemoryScratch, &mut Vec::new()).unwrap();
    let kept = compose_kept(plan, &stamp(), &source, &MemoryScratch, &mut Vec::new()).unwrap();
    (all, kept)
}

#[test]
fn of_a_long_payload_that_is_kept_any_digest_can_be_had_later() {
    for compression in [Compression::None, Compression::AfterSigning] {
        let (all, kept) = compose_long(&SendPlan { compression, ..usual_plan() });
        assert_eq!(kept.mics.expected.len(), 1, "that of signature and receipt");
        for algorithm in DigestAlgorithm::ALL {
            let later = kept.mics.with(algorithm, &mut [b'x'; LONG].as_slice()).unwrap();
            assert_eq!(later.exact(algorithm), all.mics.exact(algorithm), "{algorithm}");
            assert!(later.exact(algorithm).is_some() && !later.lacks(algorithm));
        }
        let text = serde_json::to_string(&kept.mics).unwrap();
        assert_eq!(serde_json::from_str::<SentMics>(&text).unwrap(), kept.mics);
    }
}

#[test]
fn what_cannot_be_hashed_again_from_the_payload_is_hashed_with_every_algorithm() {
    let compressed = SendPlan { compression: Compression::BeforeSigning, ..usual_plan() };
    let unsigned = SendPlan { signing: None, ..usual_plan() };
    let mut unsigned_receipt = usual_plan();
    unsigned_receipt.mdn.signed = false;
    for plan in [compressed, unsigned, unsigned_receipt] {
        let (all, kept) = compose_long(&plan);
        for algorithm in DigestAlgorithm::ALL {
            assert_eq!(kept.mics.exact(algorithm).is_some(), all.mics.exact(algorithm).is_some());
            assert!(!kept.mics.lacks(algorithm));
        }
    }
}

fn open_named(wire: &Wire) -> Result<Opened, OpenFailure> {
    let trusted = [ALICE.certificate.clone()];
    let keys = OpenKeys { decryption: &[], trusted: &trusted, known: &[] };
    open_as_named(&request(wire), &mut wire.body.as_slice(), &lax(), &keys, &Limits::default(), &mut Vec::new())
}

fn signed_with_micalg(micalg: &str) -> Wire {
    let (content_type, body) = signed_parts(&payload_entity(), &payload_entity(), &ALICE);
    let content_type = content_type.replace("micalg=sha-256", micalg);
    wire(&[("Content-Type", &content_type)], &body)
}

#[test]
fn a_message_is_opened_by_the_digest_that_it_names() {
    for micalg in ["micalg=sha-256", "micalg=SHA256", "micalg=\"sha1,sha-256\"", "micalg=md5", "x=y"] {
        let opened = open_named(&signed_with_micalg(micalg)).expect(micalg);
        assert_eq!(opened.mic.map(|mic| mic.algorithm), Some(DigestAlgorithm::Sha256), "{micalg}");
    }
}

#[test]
fn a_digest_that_is_named_wrongly_is_told_from_one_that_is_not_allowed() {
    let mut misnamed = signed_with_micalg("micalg=sha-512");
    // A receipt in SHA-512 is asked for, so that SHA-256 is not computed for its sake either.
    let options = "signed-receipt-protocol=optional, pkcs7-signature; signed-receipt-micalg=optional, sha-512";
    misnamed.headers.push("Disposition-Notification-Options", options).unwrap();
    let failure = open_named(&misnamed).unwrap_err();
    assert!(failure.is_misnamed(&lax()));
    assert!(!failure.is_misnamed(&AcceptPolicy { digests: vec![DigestAlgorithm::Sha512], ..lax() }));
    assert!(receive(&misnamed, &lax()).is_ok(), "and opened with every digest it is accepted");
}

#[test]
fn a_digest_that_is_asked_for_is_computed_wherever_it_stands_in_the_list() {
    use DigestAlgorithm::{Md5, Sha256};
    let (message_id, from, to) = (stamp().message_id, name("alice"), name("bob co"));
    for micalgs in [[Md5, Sha256], [Sha256, Md5]] {
        for compression in [Compression::None, Compression::BeforeSigning, Compression::AfterSigning] {
            let mut signed = SendPlan { compression, ..usual_plan() };
            signed.mdn.micalgs = micalgs.to_vec();
            let unsigned = SendPlan { signing: None, ..signed.clone() };
            for plan in [signed, unsigned] {
                let (_, composed) = compose_it(&plan, PAYLOAD);
                let mic = composed.mics.exact(Md5).expect("it was asked for");
                let mdn = read(&answer(&Disposition::processed_ok(), Some(mic), Some(&BOB)));
                let sent = Sent {
                    message_id: &message_id,
                    from: &from,
                    to: &to,
                    mics: &composed.mics,
                    signed_wanted: true,
                    had_before: false,
                    digests: &[Sha256, Md5],
                    algorithm: Some(composed.algorithm),
                };
                let verdict = judge(&mdn, &sent);
                assert!(
                    matches!(verdict, Verdict::Accepted { matched: Some(_) }),
                    "{micalgs:?} {compression:?} {verdict:?}"
                );
            }
        }
    }
}
