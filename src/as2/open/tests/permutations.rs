//! Every permutation of AS2 in one table: what is signed, encrypted and compressed, how the receipt comes back and
//! whether it is signed. Each message is composed, opened, answered, and its receipt judged.

use super::*;
use crate::cms::{DecryptionKey, GcmForm, MultiHasher};
use crate::ground::limits::Limits;
use crate::mime::{BytesSource, Headers, MemoryScratch};

/// How a message is put together.
struct Shape {
    signed: bool,
    encrypted: Option<(ContentCipher, GcmForm)>,
    compression: Compression,
}

fn shapes() -> Vec<Shape> {
    let envelopes = [
        None,
        Some((ContentCipher::Aes256Cbc, GcmForm::AuthEnveloped)),
        Some((ContentCipher::Aes128Gcm, GcmForm::AuthEnveloped)),
        Some((ContentCipher::Aes256Gcm, GcmForm::EnvelopedBareNonce)),
    ];
    let mut all = Vec::new();
    for signed in [false, true] {
        for encrypted in envelopes {
            for compression in COMPRESSIONS {
                all.push(Shape { signed, encrypted, compression });
            }
        }
    }
    all
}

/// How the receipt is asked for.
fn asks() -> Vec<MdnAsk> {
    let url = || "https://alice.example/mdn".to_owned();
    let mut all = vec![MdnAsk::none()];
    for mode in [MdnMode::Sync, MdnMode::Async { url: url() }] {
        for signed in [false, true] {
            all.push(MdnAsk { mode: mode.clone(), signed, micalgs: vec![DigestAlgorithm::Sha256] });
        }
    }
    all
}

fn send_plan(shape: &Shape, mdn: &MdnAsk) -> SendPlan {
    let scheme = shape.signed.then_some(SignatureScheme::RsaPkcs1);
    let envelope = shape.encrypted.map(|(cipher, _)| (cipher, KeyTransport::RsaOaepSha256));
    let mut plan = SendPlan { mdn: mdn.clone(), ..plan(scheme, envelope, shape.compression) };
    if let (Some(encryption), Some((_, form))) = (&mut plan.encryption, shape.encrypted) {
        encryption.gcm_form = form;
    }
    plan
}

#[test]
fn every_permutation_of_message_and_receipt_ends_in_its_verdict() {
    let policy = AcceptPolicy { gcm_in_enveloped: true, ..lax() };
    for shape in shapes() {
        for ask in asks() {
            let what = format!("{} {:?} {:?} {ask:?}", shape.signed, shape.encrypted, shape.compression);
            let (wire, composed) = compose_it(&send_plan(&shape, &ask), PAYLOAD);
            let (opened, payload) = receive(&wire, &policy).expect(&what);
            assert_eq!(payload, PAYLOAD, "{what}");
            assert_eq!(opened.signature.is_some(), shape.signed, "{what}");
            assert_eq!(opened.encrypted, shape.encrypted.map(|(cipher, _)| cipher), "{what}");
            assert_eq!(opened.compressed, shape.compression != Compression::None, "{what}");
            let asked = request(&wire).mdn;
            assert_eq!(asked.is_some(), ask.mode != MdnMode::None, "{what}");
            let Some(asked) = asked else { continue };
            assert_eq!(asked.options.signed, ask.signed, "{what}");
            assert_eq!(asked.async_url.is_some(), matches!(ask.mode, MdnMode::Async { .. }), "{what}");

            let key = ask.signed.then_some(&*BOB);
            let positive = answer(&processed(&opened, &Stored::assertion()), opened.mic.as_ref(), key);
            let verdict = judged(&read(&positive), &composed, ask.signed);
            let ordinary = matches!(&verdict, Verdict::Accepted { matched: Some(matched) } if matched.is_ordinary());
            assert!(ordinary, "{what}: {verdict:?}");
            let negative = answer(&Disposition::unexpected_processing_error(), None, key);
            assert!(matches!(judged(&read(&negative), &composed, ask.signed), Verdict::Refused { .. }), "{what}");
            let arrived = read_head(&positive.headers, &positive.body, &Limits::default());
            assert!(matches!(arrived, Ok(Incoming::Mdn(_))), "{what}");
        }
    }
}

#[test]
fn sm_goes_through_every_layer_where_it_is_agreed_and_nowhere_else() {
    let (alice, bob) = (&*ALICE_SM2, &*BOB_SM2);
    let sm3 = DigestAlgorithm::Sm3;
    let agreed = AcceptPolicy {
        digests: vec![sm3],
        schemes: vec![SignatureScheme::Sm2],
        ciphers: vec![ContentCipher::Sm4Cbc],
        mic_algorithms: vec![sm3],
        ..AcceptPolicy::default()
    };
    for compression in COMPRESSIONS {
        let mut plan = plan(None, None, compression);
        plan.signing = Some(Signing { key: alice.clone(), digest: sm3, scheme: SignatureScheme::Sm2 });
        plan.encryption = Some(Encryption {
            recipients: vec![bob.certificate.clone()],
            cipher: ContentCipher::Sm4Cbc,
            gcm_form: GcmForm::default(),
            base64: false,
            transport: KeyTransport::Sm2,
        });
        plan.mdn.micalgs = vec![sm3];
        let (wire, composed) = compose_it(&plan, PAYLOAD);
        let trusted = [alice.certificate.clone()];
        let ours = DecryptionKey {
            certificate: bob.certificate.clone(),
            key: bob.key.clone(),
            transports: KeyTransport::ALL.to_vec(),
        };
        let keys = OpenKeys { decryption: &[ours], trusted: &trusted };
        let receive = |policy: &AcceptPolicy| {
            let mut sink = Vec::new();
            let limits = Limits::default();
            open(&request(&wire), &mut wire.body.as_slice(), policy, &keys, &limits, &mut sink)
                .map(|opened| (opened, sink))
        };
        let (opened, payload) = receive(&agreed).unwrap();
        assert_eq!(payload, PAYLOAD);
        assert_eq!(opened.signature.as_ref().unwrap().scheme(), SignatureScheme::Sm2);
        let mic = opened.mic.as_ref().unwrap();
        assert_eq!(mic.algorithm, sm3);
        assert!(composed.mics.find(mic).is_some(), "the sender has computed it too");

        let code = |policy: &AcceptPolicy| receive(policy).map(drop).unwrap_err().cause.code();
        assert_eq!(code(&AcceptPolicy::default()), "open-cipher-not-allowed");
        let sm4_alone = AcceptPolicy { ciphers: vec![ContentCipher::Sm4Cbc], ..AcceptPolicy::default() };
        assert_eq!(code(&sm4_alone), "open-signature-invalid");
        let without_sm2 = AcceptPolicy { schemes: SignatureScheme::STANDARD.to_vec(), ..agreed.clone() };
        assert_eq!(code(&without_sm2), "open-scheme-not-allowed");
    }
}

#[test]
fn elliptic_keys_go_through_every_layer() {
    let (alice, bob) = (&*ALICE_P256, &*BOB_P384);
    for compression in COMPRESSIONS {
        let mut plan = plan(None, None, compression);
        plan.signing =
            Some(Signing { key: alice.clone(), digest: DigestAlgorithm::Sha384, scheme: SignatureScheme::Ecdsa });
        plan.encryption = Some(Encryption {
            recipients: vec![bob.certificate.clone(), BOB.certificate.clone()],
            cipher: ContentCipher::Aes256Cbc,
            gcm_form: GcmForm::default(),
            base64: false,
            transport: KeyTransport::EcdhSha384,
        });
        let refused = compose(&plan, &stamp(), &BytesSource(PAYLOAD), &MemoryScratch, &mut Vec::new());
        assert_eq!(refused.unwrap_err().code(), "compose-protection-failed", "one transport for both kinds of keys");
        plan.encryption.as_mut().unwrap().recipients.truncate(1);
        let (wire, _) = compose_it(&plan, PAYLOAD);
        let trusted = [alice.certificate.clone()];
        let ours = DecryptionKey {
            certificate: bob.certificate.clone(),
            key: bob.key.clone(),
            transports: KeyTransport::ALL.to_vec(),
        };
        let keys = OpenKeys { decryption: &[ours], trusted: &trusted };
        let mut sink = Vec::new();
        let limits = Limits::default();
        let policy = AcceptPolicy::default();
        let opened = open(&request(&wire), &mut wire.body.as_slice(), &policy, &keys, &limits, &mut sink).unwrap();
        assert_eq!(sink, PAYLOAD);
        assert_eq!(opened.signature.unwrap().scheme(), SignatureScheme::Ecdsa);
    }
}

#[test]
fn no_flipped_octet_of_a_signed_or_sealed_message_delivers_anything_else() {
    let shapes = [
        (Some(SignatureScheme::RsaPkcs1), None, 1),
        (None, Some((ContentCipher::Aes128Gcm, KeyTransport::RsaOaepSha256)), 1),
        (Some(SignatureScheme::RsaPss), Some((ContentCipher::Aes256Gcm, KeyTransport::RsaOaepSha256)), 7),
    ];
    for (scheme, envelope, step) in shapes {
        let policy = AcceptPolicy {
            require_signature: scheme.is_some(),
            require_encryption: envelope.is_some(),
            ..AcceptPolicy::default()
        };
        let (wire, _) = compose_it(&plan(scheme, envelope, Compression::None), PAYLOAD);
        let sealed = receive(&wire, &policy).unwrap().0;
        // What signature or tag cover admits no change at all.
        let covered = match envelope {
            None => {
                let part = first_part(&wire);
                let at = memchr::memmem::find(&wire.body, part).unwrap();
                at..at + part.len()
            }
            Some(_) => wire.body.len() - PAYLOAD.len() - 18..wire.body.len(),
        };
        for (at, bit) in covered.flat_map(|at| (0..8).map(move |bit| (at, bit))) {
            let mut changed = wire.clone();
            changed.body[at] ^= 1 << bit;
            assert!(receive(&changed, &policy).is_err(), "octet {at}, bit {bit}");
        }
        for at in (0..wire.body.len()).step_by(step) {
            let mut changed = wire.clone();
            changed.body[at] ^= 0x01;
            let Ok((opened, payload)) = receive(&changed, &policy) else { continue };
            assert_eq!(payload, PAYLOAD, "octet {at}");
            assert_eq!(
                (opened.mic, opened.content_type),
                (sealed.mic.clone(), sealed.content_type.clone()),
                "octet {at}"
            );
        }
    }
}

/// What is in the envelope, as OpenSSL decrypts it, and the same taken apart.
fn decrypted(wire: &Wire) -> (Vec<u8>, Wire) {
    let bob = openssl::x509::X509::from_der(BOB.certificate.der()).unwrap();
    let envelope = openssl::cms::CmsContentInfo::from_der(&wire.body).unwrap();
    let entity = envelope.decrypt(BOB.key.pkey(), &bob).unwrap();
    let (head, body) = entity.split_at(memchr::memmem::find(&entity, b"\r\n\r\n").unwrap() + 4);
    let headers = Headers::parse(head, &Limits::default()).unwrap();
    let inside = Wire { headers, body: body.to_vec() };
    (entity, inside)
}

/// The digest computed from the wire alone, by reading RFC 4130 7.3.1 and RFC 5402 4 once more, and with another
/// implementation of the envelope.
fn second_opinion(shape: &Shape, wire: &Wire, payload: &[u8]) -> Vec<u8> {
    let name = "filename*=UTF-8''%E5%8D%95%201.xml; filename=\"_ 1.xml\"";
    let entity = format!(
        "Content-Type: application/xml\r\nContent-Transfer-Encoding: binary\r\nContent-Disposition: attachment; {name}\r\n\r\n"
    );
    let with_fields = [entity.as_bytes(), payload].concat();
    let readable = matches!(shape.encrypted, Some((_, GcmForm::AuthEnveloped)));
    match (shape.signed, shape.encrypted, shape.compression) {
        (false, None, Compression::None) => sha256(payload),
        (true, None, Compression::None | Compression::BeforeSigning) => sha256(first_part(wire)),
        (true, Some(_), Compression::None | Compression::BeforeSigning) if readable => {
            sha256(first_part(&decrypted(wire).1))
        }
        (false, Some(_), Compression::None) if readable => sha256(&decrypted(wire).0),
        _ => sha256(&with_fields),
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 32, failure_persistence: None, ..Default::default() })]

    #[test]
    fn two_computations_of_the_mic_agree(
        payload in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..3000),
        number in 0usize..24,
    ) {
        let shape = &shapes()[number];
        // OpenSSL does not read a bare nonce, and the digest of what is compressed inside is not to be had without it.
        let bare = matches!(shape.encrypted, Some((_, GcmForm::EnvelopedBareNonce)));
        if !(bare && shape.signed && shape.compression == Compression::BeforeSigning) {
            let ask = MdnAsk { mode: MdnMode::Sync, signed: true, micalgs: vec![DigestAlgorithm::Sha256] };
            let (wire, composed) = compose_it(&send_plan(shape, &ask), &payload);
            let sent = composed.mics.exact(DigestAlgorithm::Sha256).unwrap().value.clone();
            let policy = AcceptPolicy { gcm_in_enveloped: true, ..lax() };
            let (opened, received) = receive(&wire, &policy).unwrap();
            proptest::prop_assert_eq!(&received, &payload);
            proptest::prop_assert_eq!(&opened.mic.unwrap().value, &sent);
            proptest::prop_assert_eq!(second_opinion(shape, &wire, &payload), sent);
        }
        let mut once = MultiHasher::new(&[DigestAlgorithm::Sha256]);
        once.update(&payload);
        let digests = once.finish();
        let by_openssl = openssl::sha::sha256(&payload);
        proptest::prop_assert_eq!(digests.of(DigestAlgorithm::Sha256), Some(by_openssl.as_slice()));
    }

    #[test]
    fn any_subject_name_and_type_come_back(
        file_name in "[^\\x00-\\x1f\\x7f]{1,60}",
        subject in "\\PC{0,80}",
        id in "[a-zA-Z0-9.-]{1,60}",
    ) {
        let mut plan = usual_plan();
        plan.file_name = Some(file_name.clone());
        plan.subject = Some(subject);
        let mut body = Vec::new();
        let stamp = Stamp { message_id: MessageId::parse(&format!("<{id}@alice>")).unwrap(), date: date() };
        let composed = compose(&plan, &stamp, &BytesSource(PAYLOAD), &MemoryScratch, &mut body).unwrap();
        let wire = Wire { headers: composed.headers, body };
        let (opened, payload) = receive(&wire, &AcceptPolicy::default()).unwrap();
        proptest::prop_assert_eq!(payload, PAYLOAD);
        let read = opened.file_name.unwrap();
        proptest::prop_assert_eq!(read.original, file_name);
        proptest::prop_assert!(!read.safe.contains(['/', '\\', ':']) && !read.safe.is_empty());
    }
}
