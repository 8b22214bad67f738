//! What the agreement names passes, and nothing else: every algorithm under the agreement about every other one.

use super::*;
use crate::mime::{BytesSource, MemoryScratch};

const OAEP: KeyTransport = KeyTransport::RsaOaepSha256;

#[test]
fn of_the_64_pairs_of_signature_and_agreement_the_equal_ones_pass() {
    let schemes = [SignatureScheme::RsaPkcs1, SignatureScheme::RsaPss];
    let kinds: Vec<_> =
        schemes.iter().flat_map(|scheme| DigestAlgorithm::ALL.map(|digest| (*scheme, digest))).collect();
    assert_eq!(kinds.len(), 8);
    for (scheme, digest) in &kinds {
        let mut body = Vec::new();
        let signing = Some(Signing { key: ALICE.clone(), digest: *digest, scheme: *scheme });
        let signed = SendPlan { signing, ..plain_plan() };
        let composed = compose(&signed, &stamp(), &BytesSource(PAYLOAD), &MemoryScratch, &mut body).unwrap();
        let wire = Wire { headers: composed.headers, body };
        for agreed in &kinds {
            let policy = AcceptPolicy { schemes: vec![agreed.0], digests: vec![agreed.1], ..lax() };
            let opened = receive(&wire, &policy);
            let told = opened.as_ref().err().map(|failure| failure.told.clone());
            let wanted = (*agreed != (*scheme, *digest)).then(Disposition::insufficient_message_security);
            assert_eq!(told, wanted, "{scheme} {digest} under {agreed:?}");
        }
    }
}

#[test]
fn of_the_pairs_of_cipher_and_agreement_the_equal_ones_pass() {
    let inner = signed_entity(&payload_entity(), &ALICE);
    // RC2 is never written, and SM4 not to an RSA key.
    let written = |cipher: &&ContentCipher| **cipher != ContentCipher::Rc2Cbc && OAEP.goes_with(**cipher);
    for cipher in ContentCipher::ALL.iter().filter(written) {
        let wire = enveloped(&inner, *cipher, OAEP);
        for agreed in ContentCipher::ALL {
            let policy = AcceptPolicy { ciphers: vec![*agreed], ..AcceptPolicy::default() };
            let told = receive(&wire, &policy).err().map(|failure| failure.told);
            let wanted = (agreed != cipher).then(Disposition::decryption_failed);
            assert_eq!(told, wanted, "{cipher} under {agreed}");
        }
    }
}
