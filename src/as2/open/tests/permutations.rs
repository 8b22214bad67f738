//! Every permutation of AS2 in one table: what is signed, encrypted and compressed, how the receipt comes back and
//! whether it is signed. Each message is composed, opened, answered, and its receipt judged.

use openssl::hash::MessageDigest;

use super::*;
use crate::cms::der::{self, Fields};
use crate::cms::{DecryptionKey, GcmForm, MultiHasher, oid};
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
        let keys = OpenKeys { decryption: &[ours], trusted: &trusted, known: &[] };
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
        let keys = OpenKeys { decryption: &[ours], trusted: &trusted, known: &[] };
        let mut sink = Vec::new();
        let limits = Limits::default();
        let policy = AcceptPolicy::default();
        let opened = open(&request(&wire), &mut wire.body.as_slice(), &policy, &keys, &limits, &mut sink).unwrap();
        assert_eq!(sink, PAYLOAD);
        assert_eq!(opened.signature.unwrap().scheme(), SignatureScheme::Ecdsa);
    }
}

/// What is in the envelope, by OpenSSL alone: as its CMS decrypts it with Bob's key; or, with the bare nonce, which that does
/// not read, by its cipher and the content key.
fn decrypted(shape: &Shape, wire: &Wire, composed: &Composed) -> Vec<u8> {
    if let Some((_, GcmForm::EnvelopedBareNonce)) = shape.encrypted {
        return decrypted_by_content_key(&wire.body, composed.content_key.as_ref().unwrap().expose());
    }
    let bob = openssl::x509::X509::from_der(BOB.certificate.der()).unwrap();
    let envelope = openssl::cms::CmsContentInfo::from_der(&wire.body).unwrap();
    envelope.decrypt(BOB.key.pkey(), &bob).unwrap()
}

/// AES-256-GCM in EnvelopedData: behind the name of the cipher stands the nonce, then the ciphertext with its tag.
fn decrypted_by_content_key(envelope: &[u8], key: &[u8]) -> Vec<u8> {
    let at = memchr::memmem::find(envelope, oid::AES256_GCM).unwrap() + oid::AES256_GCM.len();
    let mut fields = Fields::new(&envelope[at..]);
    let nonce = fields.expect(der::OCTET_STRING).unwrap().content;
    let encrypted = fields.expect(der::context(0)).unwrap().content;
    let (ciphertext, tag) = encrypted.split_at(encrypted.len() - 16);
    let cipher = openssl::symm::Cipher::aes_256_gcm();
    openssl::symm::decrypt_aead(cipher, key, Some(nonce), &[], ciphertext, tag).unwrap()
}

/// An entity as if it had come alone.
fn taken_apart(entity: &[u8]) -> Wire {
    let (head, body) = entity.split_at(memchr::memmem::find(entity, b"\r\n\r\n").unwrap() + 4);
    Wire { headers: Headers::parse(head, &Limits::default()).unwrap(), body: body.to_vec() }
}

/// The octets that the MIC covers, from the wire alone, by reading RFC 4130 7.3.1 and RFC 5402 4 once more, and with another
/// implementation of the envelope.
fn covered(shape: &Shape, wire: &Wire, composed: &Composed, payload: &[u8]) -> Vec<u8> {
    let name = "filename=\"_ 1.xml\"; filename*=UTF-8''%E5%8D%95%201.xml";
    let fields = format!(
        "Content-Type: application/xml\r\nContent-Transfer-Encoding: binary\r\nContent-Disposition: attachment; {name}\r\n\r\n"
    );
    match (shape.signed, shape.encrypted, shape.compression) {
        (false, None, Compression::None) => payload.to_vec(),
        (true, None, Compression::None | Compression::BeforeSigning) => first_part(wire).to_vec(),
        (true, Some(_), Compression::None | Compression::BeforeSigning) => {
            first_part(&taken_apart(&decrypted(shape, wire, composed))).to_vec()
        }
        (false, Some(_), Compression::None) => decrypted(shape, wire, composed),
        _ => [fields.as_bytes(), payload].concat(),
    }
}

fn by_openssl(digest: DigestAlgorithm, octets: &[u8]) -> Vec<u8> {
    let kind = match digest {
        DigestAlgorithm::Md5 => MessageDigest::md5(),
        DigestAlgorithm::Sha1 => MessageDigest::sha1(),
        DigestAlgorithm::Sha256 => MessageDigest::sha256(),
        DigestAlgorithm::Sha384 => MessageDigest::sha384(),
        DigestAlgorithm::Sha512 => MessageDigest::sha512(),
        DigestAlgorithm::Sm3 => MessageDigest::sm3(),
    };
    openssl::hash::hash(kind, octets).unwrap().to_vec()
}

/// The sender's digests, the receiver's MIC in the one that is asked for, and a third opinion.
fn all_computations_agree(shape: &Shape, asked: DigestAlgorithm, payload: &[u8]) {
    let what = format!("{} {:?} {:?} {asked}", shape.signed, shape.encrypted, shape.compression);
    let ask = MdnAsk { mode: MdnMode::Sync, signed: true, micalgs: vec![asked] };
    let mut plan = send_plan(shape, &ask);
    if let Some(signing) = &mut plan.signing {
        signing.digest = asked;
    }
    let (wire, composed) = compose_it(&plan, payload);
    let policy = AcceptPolicy { gcm_in_enveloped: true, ..lax() };
    let (opened, received) = receive(&wire, &policy).expect(&what);
    assert!(received == payload, "{what}");
    let covered = covered(shape, &wire, &composed, payload);
    let mic = opened.mic.expect(&what);
    assert_eq!((mic.algorithm, mic.value), (asked, by_openssl(asked, &covered)), "{what}");
    for digest in DigestAlgorithm::ALL {
        let sent = composed.mics.exact(digest).map(|mic| mic.value.clone());
        assert_eq!(sent, Some(by_openssl(digest, &covered)), "{what}: {digest} as sent");
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 6, failure_persistence: None, ..Default::default() })]

    // All of them for each payload: of shapes that are drawn some are not.
    #[test]
    fn two_computations_of_the_mic_agree(
        payload in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..3000),
    ) {
        let shapes = shapes();
        proptest::prop_assert_eq!(shapes.len(), 24);
        for shape in &shapes {
            // A signature with SHA-1 is refused; of an unsigned message a receipt may name it.
            let asked: &[DigestAlgorithm] = if shape.signed { &DigestAlgorithm::STANDARD } else { &DigestAlgorithm::ALL };
            for digest in asked {
                all_computations_agree(shape, *digest, &payload);
            }
        }
        let mut once = MultiHasher::new(&DigestAlgorithm::READABLE);
        once.update(&payload);
        for (digest, value) in once.finish().iter() {
            proptest::prop_assert_eq!(value, by_openssl(digest, &payload));
        }
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 32, failure_persistence: None, ..Default::default() })]

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
