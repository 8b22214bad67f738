//! One bit of a message is flipped, anywhere: what was sent is delivered, or nothing, and of an envelope in CBC nobody is told why.
//!
//! No flip is accepted in the octets that a proof covers ([`covered`]):
//!
//! * of a `multipart/signed` on the wire its first part, header block and content, from behind the first delimiter line to the
//!   line break in front of the next (RFC 1847 2.1): their digest is what is signed;
//! * of an envelope with AES-GCM ciphertext and tag, whatever is in it;
//! * of an envelope with AES-CBC around a `multipart/signed` the blocks that decrypt to nothing but octets of its first part:
//!   another block decrypts to other octets, which were not signed. Of one around a compressed entity none: which of its octets
//!   bear on what is inflated, zlib decides.
//!
//! Elsewhere a flip may be without effect, and some are: blanks behind a delimiter, header fields around the signature, version
//! numbers, the certificate inside (of a binary signature in CBC it is not: `oracle::carried`), the case of a name in an issuer,
//! padding bits of zlib, the initialisation vector under a field's name that is read in any case. Nothing of that is delivered or
//! said of what is delivered, so payload, type, file name, MIC and signer stay what they were.

use std::ops::Range;

use proptest::prelude::*;

use super::*;
use crate::as2::error::UNIFORM_EXPLANATION;
use crate::cms::{self, EnvelopeReader, Fingerprint, GcmForm, oid};
use crate::ground::limits::Limits;
use crate::mime::FileName;

const CBC: ContentCipher = ContentCipher::Aes256Cbc;
const GCM: ContentCipher = ContentCipher::Aes256Gcm;
const V15: KeyTransport = KeyTransport::RsaPkcs1;
const BLOCK: usize = 16;
const TAG: usize = 16;

/// Every plan under which a signature or the tag of an AEAD cipher covers something.
fn plans() -> Vec<SendPlan> {
    let signings = [
        None,
        Some(signing(&ALICE, SignatureScheme::RsaPkcs1)),
        Some(signing(&ALICE, SignatureScheme::RsaPss)),
        Some(signing(&ALICE_P256, SignatureScheme::Ecdsa)),
    ];
    let envelopes = [
        None,
        Some((CBC, GcmForm::AuthEnveloped)),
        Some((ContentCipher::Aes128Gcm, GcmForm::AuthEnveloped)),
        Some((GCM, GcmForm::Enveloped)),
        Some((GCM, GcmForm::EnvelopedBareNonce)),
    ];
    let mut all = Vec::new();
    for signing in &signings {
        for envelope in envelopes {
            for compression in COMPRESSIONS {
                let transported = envelope.map(|(cipher, _)| (cipher, KeyTransport::RsaOaepSha256));
                let mut plan = SendPlan { signing: signing.clone(), ..plan(None, transported, compression) };
                if let (Some(encryption), Some((_, form))) = (&mut plan.encryption, envelope) {
                    encryption.gcm_form = form;
                }
                if signing.is_some() || envelope.is_some_and(|(cipher, _)| cipher.is_aead()) {
                    all.push(plan);
                }
            }
        }
    }
    all
}

fn any_payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..600),
        "([ -~]{0,60}\r?\n){0,12}".prop_map(String::into_bytes),
        Just(PAYLOAD.to_vec()),
    ]
}

/// Under an agreement that demands just what the plan does.
fn received(wire: &Wire, plan: &SendPlan) -> Result<(Opened, Vec<u8>), OpenFailure> {
    let policy = AcceptPolicy {
        require_signature: plan.signing.is_some(),
        require_encryption: plan.encryption.is_some(),
        gcm_in_enveloped: true,
        ..AcceptPolicy::default()
    };
    let trusted = [ALICE.certificate.clone(), ALICE_P256.certificate.clone()];
    receive_with(wire, &policy, KeyTransport::ALL, &trusted, &Limits::default())
}

/// What must stay as it was.
#[derive(Debug, PartialEq)]
struct Delivered {
    payload: Vec<u8>,
    content_type: Option<String>,
    file_name: Option<FileName>,
    mic: Option<Mic>,
    signer: Option<Fingerprint>,
}

fn delivered((opened, payload): (Opened, Vec<u8>)) -> Delivered {
    let Opened { content_type, file_name, mic, signature, .. } = opened;
    Delivered { payload, content_type, file_name, mic, signer: signature.map(|valid| valid.signer()) }
}

/// The octets of the body in which no flip is accepted, as the head of this file has them.
fn covered(wire: &Wire, composed: &Composed, plan: &SendPlan) -> Range<usize> {
    let end = wire.body.len();
    let (Some(encryption), Some(key)) = (&plan.encryption, &composed.content_key) else {
        return first_part_in(wire.headers.get("Content-Type").unwrap(), &wire.body);
    };
    let mut plain = Vec::new();
    let mut reader = EnvelopeReader::open_again(wire.body.as_slice(), key.expose(), &Limits::default()).unwrap();
    std::io::Read::read_to_end(&mut reader, &mut plain).unwrap();
    match (encryption.cipher.is_aead(), encryption.gcm_form) {
        // The tag has two octets in front that say so.
        (true, GcmForm::AuthEnveloped) => end - (plain.len() + 2 + TAG)..end,
        (true, GcmForm::Enveloped | GcmForm::EnvelopedBareNonce) => end - (plain.len() + TAG)..end,
        (false, _) => {
            let ciphertext = end - (plain.len() / BLOCK + 1) * BLOCK;
            let head = memchr::memmem::find(&plain, b"\r\n\r\n").unwrap() + 4;
            let first_line = std::str::from_utf8(&plain[..head]).unwrap().lines().next().unwrap();
            let part = first_part_in(first_line.strip_prefix("Content-Type: ").unwrap(), &plain[head..]);
            let blocks = (head + part.start).div_ceil(BLOCK)..(head + part.end) / BLOCK;
            if part.is_empty() { 0..0 } else { ciphertext + blocks.start * BLOCK..ciphertext + blocks.end * BLOCK }
        }
    }
}

/// The first part of the body of a multipart/signed; of another type nothing.
fn first_part_in(content_type: &str, body: &[u8]) -> Range<usize> {
    if !content_type.starts_with("multipart/signed") {
        return 0..0;
    }
    let boundary = content_type.split("boundary=\"").nth(1).unwrap().trim_end_matches('"');
    let start = boundary.len() + b"--\r\n".len();
    let len = memchr::memmem::find(&body[start..], format!("\r\n--{boundary}").as_bytes()).unwrap();
    start..start + len
}

fn flipped(wire: &Wire, at: usize, bit: usize) -> Wire {
    let mut changed = wire.clone();
    changed.body[at] ^= 1u8 << bit;
    changed
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    /// Eight octets of those that are covered, every bit of them, and 32 bits anywhere, for each plan and payload.
    #[test]
    fn no_flipped_octet_of_a_signed_or_sealed_message_delivers_anything_else(
        plan in prop::sample::select(plans()),
        payload in any_payload(),
        inside in prop::collection::vec(any::<prop::sample::Index>(), 8),
        anywhere in prop::collection::vec((any::<prop::sample::Index>(), 0usize..8), 32),
    ) {
        let (wire, composed) = compose_it(&plan, &payload);
        let sent = delivered(received(&wire, &plan).unwrap());
        prop_assert_eq!(&sent.payload, &payload);
        prop_assert_eq!(sent.signer, plan.signing.as_ref().map(|how| how.key.certificate.fingerprint()));
        let covered = covered(&wire, &composed, &plan);
        let tagged = plan.encryption.as_ref().is_some_and(|how| how.cipher.is_aead());
        prop_assert_eq!(covered.is_empty(), !tagged && plan.compression == Compression::AfterSigning);
        for index in inside.iter().filter(|_| !covered.is_empty()) {
            let at = covered.start + index.index(covered.len());
            for bit in 0..8 {
                assert!(received(&flipped(&wire, at, bit), &plan).is_err(), "octet {at}, bit {bit}");
            }
        }
        for (index, bit) in &anywhere {
            let at = index.index(wire.body.len());
            if let Ok(accepted) = received(&flipped(&wire, at, *bit), &plan) {
                assert_eq!(delivered(accepted), sent, "octet {at}, bit {bit}");
            }
        }
    }
}

#[test]
fn every_bit_that_a_signature_or_a_tag_covers_counts() {
    let shapes = [
        (Some(SignatureScheme::RsaPkcs1), None, 1),
        (None, Some((ContentCipher::Aes128Gcm, KeyTransport::RsaOaepSha256)), 1),
        (Some(SignatureScheme::RsaPss), Some((GCM, KeyTransport::RsaOaepSha256)), 7),
    ];
    for (scheme, envelope, step) in shapes {
        let plan = plan(scheme, envelope, Compression::None);
        let (wire, composed) = compose_it(&plan, PAYLOAD);
        let sent = delivered(received(&wire, &plan).unwrap());
        let mut covered = covered(&wire, &composed, &plan);
        if envelope.is_some() {
            // The end of it is like all of it, and each flip costs a private operation.
            covered.start = covered.end - (PAYLOAD.len() + 2 + TAG);
        }
        for (at, bit) in covered.flat_map(|at| (0..8).map(move |bit| (at, bit))) {
            assert!(received(&flipped(&wire, at, bit), &plan).is_err(), "octet {at}, bit {bit}");
        }
        for at in (0..wire.body.len()).step_by(step) {
            let Ok(accepted) = received(&flipped(&wire, at, 0), &plan) else { continue };
            assert_eq!(delivered(accepted), sent, "octet {at}");
        }
    }
}

/// Signed by Alice, her certificate left out, so that there are fewer octets.
fn signed_without_certificate() -> Vec<u8> {
    let (entity, digest, scheme) = (payload_entity(), DigestAlgorithm::Sha256, SignatureScheme::RsaPkcs1);
    let signature = cms::sign_detached(digest, &digest.digest(&entity), &ALICE, scheme, date(), false).unwrap();
    let lead = b"Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=sep\r\n\r\n";
    let head = b"Content-Type: application/pkcs7-signature\r\nContent-Transfer-Encoding: binary\r\n\r\n";
    let pieces = [lead.as_slice(), b"--sep\r\n", &entity, b"\r\n--sep\r\n", head, &signature, b"\r\n--sep--\r\n"];
    pieces.concat()
}

/// What the partner gets to see of a refusal.
fn told(failure: &OpenFailure) -> (&Disposition, &'static str, Option<&Mic>) {
    (&failure.told, failure.explanation, failure.mic.as_deref())
}

/// Every octet of a message in CBC is flipped: of the ciphertext one bit each, of the structure around it, with the
/// initialisation vector, all eight, of the encrypted key one bit of every fourth octet. Between decryption and verification
/// all failures are told alike, and so are those before, but for the one flip that makes the message say it is no envelope.
#[test]
fn flipping_any_octet_of_an_encrypted_message_never_delivers_another_payload() {
    let inner = signed_without_certificate();
    let good = enveloped(&inner, CBC, V15);
    let key = memchr::memmem::find(&good.body, b"\x04\x82\x01\x00").unwrap() + 4;
    let ciphertext = good.body.len() - (inner.len() / BLOCK + 1) * BLOCK;
    let around = |at: usize| at < key || (key + 256..ciphertext).contains(&at);
    let structure = (0..ciphertext).filter(|at| around(*at)).flat_map(|at| (0..8).map(move |bit| (at, bit)));
    let in_key = (key..key + 256).step_by(4).map(|at| (at, at / 4 % 8));
    let in_ciphertext = (ciphertext..good.body.len()).map(|at| (at, (at + at / BLOCK) % 8));
    let uniform = Disposition::decryption_failed();
    let (mut accepted, mut others) = (0, Vec::new());
    for (at, bit) in structure.chain(in_key).chain(in_ciphertext) {
        match receive(&flipped(&good, at, bit), &AcceptPolicy::default()) {
            Ok((opened, payload)) => {
                assert_eq!(payload, PAYLOAD, "octet {at}, bit {bit}");
                assert_eq!(opened.signature.unwrap().signer(), ALICE.certificate.fingerprint());
                assert!(around(at), "octet {at}, bit {bit} of key or ciphertext");
                accepted += 1;
            }
            Err(failure) if told(&failure) == (&uniform, UNIFORM_EXPLANATION, None) => {}
            Err(failure) => others.push((at, bit, failure.cause.code())),
        }
    }
    assert!(accepted > 0, "version numbers, for example");
    let named = memchr::memmem::find(&good.body, oid::ENVELOPED_DATA).unwrap() + oid::ENVELOPED_DATA.len() - 1;
    assert_eq!(oid::SIGNED_DATA.last(), Some(&(good.body[named] ^ 1)));
    assert_eq!(others, [(named, 0, "open-not-encrypted")]);
}

#[test]
fn a_flipped_block_of_the_certificate_beside_a_binary_signature_in_cbc_is_noticed_like_any_other() {
    let inner = signed_entity(&payload_entity(), &ALICE);
    let good = enveloped(&inner, CBC, V15);
    let ciphertext = good.body.len() - (inner.len() / BLOCK + 1) * BLOCK;
    for at in (0..good.body.len()).step_by(23) {
        match receive(&flipped(&good, at, 4), &AcceptPolicy::default()) {
            Ok((_, payload)) => assert!(payload == PAYLOAD && at < ciphertext, "octet {at}"),
            Err(failure) => {
                let uniform = (&Disposition::decryption_failed(), UNIFORM_EXPLANATION, None);
                assert_eq!(told(&failure), uniform, "octet {at}: {}", failure.cause);
            }
        }
    }
}

#[test]
fn flipping_any_octet_under_a_tag_fails_as_decryption_whatever_was_read_before() {
    let inner = signed_without_certificate();
    let good = enveloped(&inner, GCM, V15);
    let end = good.body.len();
    for at in (end - (inner.len() + 2 + TAG)..end).step_by(3) {
        let failure = receive(&flipped(&good, at, at / 3 % 8), &AcceptPolicy::default()).unwrap_err();
        assert!(matches!(failure.cause, OpenError::Decryption(_)), "octet {at}: {}", failure.cause);
        let uniform = (&Disposition::decryption_failed(), UNIFORM_EXPLANATION, None);
        assert_eq!(told(&failure), uniform, "octet {at}");
    }
}
