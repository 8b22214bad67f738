//! What the agreement names passes, and nothing else: every algorithm under the agreement about every other one.

use openssl::hash::MessageDigest;
use openssl::sign::Signer;

use super::*;
use crate::cms::{der, oid};
use crate::ground::limits::Limits;

const OAEP: KeyTransport = KeyTransport::RsaOaepSha256;

/// How a message is signed, and what an agreement allows.
type Kind = (SignatureScheme, DigestAlgorithm);

/// With an RSA key, and a digest that receipts name.
fn rsa_kinds() -> Vec<Kind> {
    let schemes = [SignatureScheme::RsaPkcs1, SignatureScheme::RsaPss];
    schemes.iter().flat_map(|scheme| DigestAlgorithm::ALL.map(|digest| (*scheme, digest))).collect()
}

fn signed((scheme, digest): Kind) -> Wire {
    if digest == DigestAlgorithm::Md5 {
        return signed_with_md5(&payload_entity());
    }
    let key = if scheme == SignatureScheme::Ecdsa { &*ALICE_P256 } else { &*ALICE };
    let signing = Some(Signing { key: key.clone(), digest, scheme });
    compose_it(&SendPlan { signing, ..plain_plan() }, PAYLOAD).0
}

/// Signed by Alice's RSA key with MD5, which we never write ourselves.
fn signed_with_md5(part: &[u8]) -> Wire {
    let null = der::tlv(der::NULL, &[]);
    let md5 = der::sequence(&[&der::object_identifier(oid::MD5), &null]);
    let rsa = der::sequence(&[&der::object_identifier(oid::RSA_ENCRYPTION), &null]);
    let data = der::object_identifier(oid::DATA);
    let digest = der::tlv(der::OCTET_STRING, &DigestAlgorithm::Md5.digest(part));
    let attribute =
        |kind: &[u8], value: &[u8]| der::sequence(&[&der::object_identifier(kind), &der::tlv(der::SET, value)]);
    let attributes = der::set_of(vec![attribute(oid::CONTENT_TYPE, &data), attribute(oid::MESSAGE_DIGEST, &digest)]);
    let mut signer = Signer::new(MessageDigest::md5(), ALICE.key.pkey()).unwrap();
    let signature = signer.sign_oneshot_to_vec(&attributes).unwrap();
    let issuer = ALICE.certificate.x509().issuer_name().to_der().unwrap();
    let signer = der::sequence(&[
        &der::integer(1),
        &der::sequence(&[&issuer, &der::integer(1)]),
        &md5,
        &[[der::context_constructed(0)].as_slice(), &attributes[1..]].concat(),
        &rsa,
        &der::tlv(der::OCTET_STRING, &signature),
    ]);
    let signed = der::sequence(&[
        &der::integer(1),
        &der::set_of(vec![md5.clone()]),
        &der::sequence(&[&data]),
        &der::set_of(vec![signer]),
    ]);
    let content = der::tlv(der::context_constructed(0), &signed);
    let structure = der::sequence(&[&der::object_identifier(oid::SIGNED_DATA), &content]);
    let head = b"\r\n--sep\r\nContent-Type: application/pkcs7-signature\r\nContent-Transfer-Encoding: binary\r\n\r\n";
    let body = [b"--sep\r\n".as_slice(), part, head, &structure, b"\r\n--sep--\r\n"].concat();
    let content_type = "multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=md5; boundary=sep";
    wire(&[("Content-Type", content_type)], &body)
}

/// Messages of some kinds under the agreement about each of others: their own alone lets them pass. Returns how many pairs there are.
fn own_alone_lets_pass(kinds: &[Kind], agreements: &[Kind]) -> usize {
    let trusted = [ALICE.certificate.clone(), ALICE_P256.certificate.clone()];
    let mut pairs = 0;
    for kind in kinds {
        let wire = signed(*kind);
        for agreed in agreements {
            pairs += 1;
            let what = format!("{kind:?} under {agreed:?}");
            let policy = AcceptPolicy { schemes: vec![agreed.0], digests: vec![agreed.1], ..lax() };
            match receive_with(&wire, &policy, KeyTransport::ALL, &trusted, &Limits::default()) {
                Ok((opened, payload)) => {
                    assert_eq!(kind, agreed);
                    assert_eq!(payload, PAYLOAD, "{what}");
                    assert_eq!(opened.signature.map(|valid| (valid.scheme(), valid.digest())), Some(*kind), "{what}");
                }
                Err(failure) => {
                    assert_ne!(kind, agreed, "{}", failure.cause);
                    assert_eq!(failure.told, Disposition::insufficient_message_security(), "{what}: {}", failure.cause);
                }
            }
        }
    }
    pairs
}

#[test]
fn of_the_64_pairs_of_signature_and_agreement_the_equal_ones_pass() {
    let kinds = rsa_kinds();
    assert_eq!(kinds.len(), 8);
    assert_eq!(own_alone_lets_pass(&kinds, &kinds), 64);
}

#[test]
fn of_the_105_pairs_with_md5_or_an_elliptic_key_the_equal_ones_pass() {
    let rsa = rsa_kinds();
    let elliptic = DigestAlgorithm::ALL.map(|digest| (SignatureScheme::Ecdsa, digest));
    let others = [[(SignatureScheme::RsaPkcs1, DigestAlgorithm::Md5)].as_slice(), &elliptic].concat();
    let all = [rsa.as_slice(), &others].concat();
    assert_eq!(own_alone_lets_pass(&others, &all) + own_alone_lets_pass(&rsa, &others), 105);
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
