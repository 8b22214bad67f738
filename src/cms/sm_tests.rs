//! SM2, SM3 and SM4 in CMS. No command of OpenSSL 3.0 makes or reads all of it, so it judges piece by piece.

use std::io::{Read, Write};

use super::openssl_cli_tests::Desk;
use super::specimens::{ALICE, BOB, EVE_P256, GRACE_SM2, decryption_key, sm2_station};
use super::*;
use crate::cms::der::Fields;
use crate::ground::limits::Limits;

const SM3: DigestAlgorithm = DigestAlgorithm::Sm3;
const CONTENT: &[u8] = b"Content-Type: text/plain\r\n\r\nhello";

fn digests(content: &[u8]) -> Digests {
    let mut hasher = MultiHasher::new(&DigestAlgorithm::READABLE);
    hasher.update(content);
    hasher.finish()
}

fn signature_by(key: &SigningKey, content: &[u8]) -> Vec<u8> {
    let at = "2026-03-04T05:06:07Z".parse().unwrap();
    sign_detached(SM3, &SM3.digest(content), key, SignatureScheme::Sm2, at, false).unwrap()
}

fn verify(ber: &[u8], trusted: &[&SigningKey]) -> Result<SignatureValid, SignatureError> {
    let trusted: Vec<_> = trusted.iter().map(|key| key.certificate.clone()).collect();
    verify_detached(ber, &digests(CONTENT), &trusted, &Limits::default())
}

/// The fields of the one SignerInfo, as they stand: version, sid, digest, attributes, algorithm, signature.
fn signer_fields(ber: &[u8]) -> Vec<Vec<u8>> {
    let mut outer = Fields::only(ber, der::SEQUENCE).unwrap().fields();
    outer.expect(der::OID).unwrap();
    let mut inner = outer.expect(der::context_constructed(0)).unwrap().fields().expect(der::SEQUENCE).unwrap().fields();
    let last = std::iter::from_fn(|| inner.take().unwrap()).last().unwrap();
    let mut signer = last.fields().expect(der::SEQUENCE).unwrap().fields();
    std::iter::from_fn(|| signer.take().unwrap().map(|value| value.raw.to_vec())).collect()
}

/// A detached signature with these fields of its SignerInfo.
fn signed_data(signer: &[Vec<u8>]) -> Vec<u8> {
    let data = der::sequence(&[
        &der::integer(1),
        &der::set_of(vec![SM3.identifier()]),
        &der::sequence(&[&der::object_identifier(oid::DATA)]),
        &der::set_of(vec![der::tlv(der::SEQUENCE, &signer.concat())]),
    ]);
    der::sequence(&[&der::object_identifier(oid::SIGNED_DATA), &der::tlv(der::context_constructed(0), &data)])
}

/// The signed attributes as they are signed, and the signature's value.
fn signed_and_value(ber: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let fields = signer_fields(ber);
    let mut attributes = fields[3].clone();
    attributes[0] = der::SET;
    (attributes, Fields::only(&fields[5], der::OCTET_STRING).unwrap().content.to_vec())
}

#[test]
fn an_sm2_signature_is_read_back_and_says_what_it_is() {
    let valid = verify(&signature_by(&GRACE_SM2, CONTENT), &[&ALICE, &GRACE_SM2]).unwrap();
    assert_eq!((valid.digest(), valid.scheme()), (SM3, SignatureScheme::Sm2));
    assert_eq!(valid.signer(), GRACE_SM2.certificate.fingerprint());
    assert_eq!(valid.content_digest(), SM3.digest(CONTENT));
    assert!(valid.signing_time().is_some());
}

#[test]
fn an_sm2_signature_of_another_content_or_key_is_refused() {
    let other = signature_by(&GRACE_SM2, b"other");
    assert!(matches!(verify(&other, &[&GRACE_SM2]), Err(SignatureError::DigestMismatch)));
    let by_another = signature_by(&sm2_station("grace 报关", 5), CONTENT);
    assert!(matches!(verify(&by_another, &[&GRACE_SM2]), Err(SignatureError::BadSignature)));
    assert!(matches!(verify(&by_another, &[&ALICE]), Err(SignatureError::UnknownSigner)));
}

#[test]
fn no_flipped_byte_of_attributes_or_signature_is_accepted() {
    let fields = signer_fields(&signature_by(&GRACE_SM2, CONTENT));
    assert!(verify(&signed_data(&fields), &[&GRACE_SM2]).is_ok());
    for field in [2, 3, 4, 5] {
        for at in 0..fields[field].len() {
            for bit in [1, 0x20, 0x80] {
                let mut bent = fields.clone();
                bent[field][at] ^= bit;
                assert!(verify(&signed_data(&bent), &[&GRACE_SM2]).is_err(), "field {field} byte {at} bit {bit}");
            }
        }
    }
}

#[test]
fn the_name_of_gm_t_0010_for_the_signature_is_read_as_well() {
    let mut fields = signer_fields(&signature_by(&GRACE_SM2, CONTENT));
    for algorithm in [oid::SM2_SIGN, oid::SM2_WITH_SM3] {
        for parameters in [Vec::new(), der::tlv(der::NULL, &[])] {
            fields[4] = der::sequence(&[&der::object_identifier(algorithm), &parameters]);
            assert!(verify(&signed_data(&fields), &[&GRACE_SM2]).is_ok());
        }
    }
}

#[test]
fn a_signature_without_der_or_without_attributes_is_refused() {
    let good = signer_fields(&signature_by(&GRACE_SM2, CONTENT));
    let mut fields = good.clone();
    let raw = sm2::sign(GRACE_SM2.key.pkey(), &signed_and_value(&signed_data(&good)).0).unwrap();
    fields[5] = der::tlv(der::OCTET_STRING, &raw);
    assert!(matches!(verify(&signed_data(&fields), &[&GRACE_SM2]), Err(SignatureError::BadSignature)));

    let mut fields = good;
    fields.remove(3);
    let over_content = sm2::sign_encoded(GRACE_SM2.key.pkey(), CONTENT).unwrap();
    *fields.last_mut().unwrap() = der::tlv(der::OCTET_STRING, &over_content);
    assert!(matches!(verify(&signed_data(&fields), &[&GRACE_SM2]), Err(SignatureError::Attributes(_))));
}

#[test]
fn sm3_that_is_not_agreed_on_is_refused_before_the_key_is_looked_at() {
    let ber = signature_by(&GRACE_SM2, CONTENT);
    let mut hasher = MultiHasher::new(&DigestAlgorithm::STANDARD);
    hasher.update(CONTENT);
    let trusted = [GRACE_SM2.certificate.clone()];
    let refused = verify_detached(&ber, &hasher.finish(), &trusted, &Limits::default());
    assert!(matches!(refused, Err(SignatureError::DigestNotComputed(SM3))));
}

#[test]
fn the_algorithms_of_the_two_families_do_not_mix_in_a_signature() {
    let at = "2026-03-04T05:06:07Z".parse().unwrap();
    let sha256 = DigestAlgorithm::Sha256;
    for (digest, scheme, key) in [
        (SM3, SignatureScheme::RsaPkcs1, &*ALICE),
        (SM3, SignatureScheme::RsaPss, &*ALICE),
        (SM3, SignatureScheme::Ecdsa, &*EVE_P256),
        (SM3, SignatureScheme::Sm2, &*EVE_P256),
        (sha256, SignatureScheme::Sm2, &*GRACE_SM2),
        (sha256, SignatureScheme::Ecdsa, &*GRACE_SM2),
    ] {
        let refused = sign_detached(digest, &digest.digest(CONTENT), key, scheme, at, true);
        assert!(matches!(refused, Err(CmsError::UnusableKey(_))), "{digest} {scheme}");
    }
    // A SignerInfo that names a certificate of the other family.
    let mut fields = signer_fields(&signature_by(&GRACE_SM2, CONTENT));
    fields[1] = EVE_P256.certificate.issuer_and_serial();
    assert!(matches!(verify(&signed_data(&fields), &[&EVE_P256]), Err(SignatureError::WeakKey)));
    for scheme in [SignatureScheme::RsaPkcs1, SignatureScheme::Ecdsa] {
        let mut fields = signer_fields(&signature_by(&GRACE_SM2, CONTENT));
        fields[4] = scheme.identifier(sha256);
        assert!(matches!(verify(&signed_data(&fields), &[&GRACE_SM2]), Err(SignatureError::UnknownScheme)));
    }
}

#[test]
fn openssl_verifies_our_value_over_the_attributes() {
    let desk = Desk::new();
    let (attributes, value) = signed_and_value(&signature_by(&GRACE_SM2, CONTENT));
    desk.put("attributes", &attributes);
    desk.put("value", &value);
    let command = "pkeyutl -verify -rawin -digest sm3 -certin -inkey grace.crt -in attributes -sigfile value";
    desk.openssl(&format!("{command} -pkeyopt distid:1234567812345678"));
    let (holds, _) = desk.try_openssl(&format!("{command} -pkeyopt distid:another"));
    assert!(!holds, "the identifier is part of what is signed");
}

#[test]
fn openssl_cms_reads_the_structure_once_the_signer_has_no_identifier() {
    let desk = Desk::new();
    let mut fields = signer_fields(&signature_by(&GRACE_SM2, &desk.content));
    let (attributes, _) = signed_and_value(&signed_data(&fields));
    // `openssl cms` takes an empty identifier and cannot be told another.
    desk.put("attributes", &attributes);
    desk.openssl("pkeyutl -sign -rawin -digest sm3 -inkey grace.key -in attributes -out value");
    fields[5] = der::tlv(der::OCTET_STRING, &desk.take("value"));
    let ber = signed_data(&fields);
    desk.put("sig.der", &ber);
    let certificate = "-certfile grace.crt -noverify -out out";
    desk.cms(&format!("-verify -binary -inform DER -in sig.der -content content {certificate}"));
    assert!(desk.take("out") == desk.content);
    let trusted = [BOB.certificate.clone(), GRACE_SM2.certificate.clone()];
    let refused = verify_detached(&ber, &digests(&desk.content), &trusted, &Limits::default());
    assert!(matches!(refused, Err(SignatureError::BadSignature)), "nobody but OpenSSL signs so");
}

fn sealed_for_grace(content: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let to = [Recipient { certificate: GRACE_SM2.certificate.clone(), transport: KeyTransport::Sm2 }];
    let mut writer = EnvelopeWriter::new(Vec::new(), &to, ContentCipher::Sm4Cbc, content.len() as u64).unwrap();
    writer.write_all(content).unwrap();
    let key = writer.content_key().expose().clone();
    (writer.finish().unwrap(), key)
}

fn open(wire: &[u8], key: DecryptionKey) -> Result<Vec<u8>, CmsError> {
    let mut reader = EnvelopeReader::open(wire, &[key], ContentCipher::ALL, &Limits::default())?;
    let mut content = Vec::new();
    reader.read_to_end(&mut content)?;
    Ok(content)
}

/// The fields of the one KeyTransRecipientInfo, the initialisation vector and the ciphertext.
fn parts(wire: &[u8]) -> (Vec<Vec<u8>>, Vec<u8>, Vec<u8>) {
    let mut outer = Fields::only(wire, der::SEQUENCE).unwrap().fields();
    outer.expect(der::OID).unwrap();
    let mut data = outer.expect(der::context_constructed(0)).unwrap().fields().expect(der::SEQUENCE).unwrap().fields();
    data.expect(der::INTEGER).unwrap();
    let mut info = data.expect(der::SET).unwrap().fields().expect(der::SEQUENCE).unwrap().fields();
    let recipient = std::iter::from_fn(|| info.take().unwrap().map(|value| value.raw.to_vec())).collect();
    let mut content = data.expect(der::SEQUENCE).unwrap().fields();
    content.expect(der::OID).unwrap();
    let mut algorithm = content.expect(der::SEQUENCE).unwrap().fields();
    algorithm.expect(der::OID).unwrap();
    let nonce = algorithm.expect(der::OCTET_STRING).unwrap().content.to_vec();
    (recipient, nonce, content.expect(der::context(0)).unwrap().content.to_vec())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn every_length_around_a_block_of_sm4_is_read_back() {
    for len in [0, 1, 15, 16, 17, 40_000, 100_000] {
        let content: Vec<u8> = (0..len).map(|n: u32| (n % 251) as u8).collect();
        let (wire, content_key) = sealed_for_grace(&content);
        assert!(open(&wire, decryption_key(&GRACE_SM2)).unwrap() == content, "{len}");
        let mut again = Vec::new();
        let mut reader = EnvelopeReader::open_again(wire.as_slice(), &content_key, &Limits::default()).unwrap();
        reader.read_to_end(&mut again).unwrap();
        assert!(again == content, "{len}");
    }
}

#[test]
fn openssl_decrypts_key_and_content() {
    let desk = Desk::new();
    let (wire, content_key) = sealed_for_grace(&desk.content);
    let (recipient, nonce, ciphertext) = parts(&wire);
    desk.put("key.sm2", Fields::only(&recipient[3], der::OCTET_STRING).unwrap().content);
    desk.put("ciphertext", &ciphertext);
    desk.openssl("pkeyutl -decrypt -inkey grace.key -in key.sm2 -out key.bin");
    assert_eq!(desk.take("key.bin"), content_key);
    desk.openssl(&format!("enc -d -sm4-cbc -K {} -iv {} -in ciphertext -out out", hex(&content_key), hex(&nonce)));
    assert!(desk.take("out") == desk.content);
}

#[test]
fn we_decrypt_what_openssl_encrypted() {
    let desk = Desk::new();
    let (key, nonce) = ([0x5a; 16], [0xa5; 16]);
    desk.put("key.bin", &key);
    desk.openssl("x509 -in grace.crt -noout -pubkey -out grace.pub");
    desk.openssl("pkeyutl -encrypt -pubin -inkey grace.pub -in key.bin -out key.sm2");
    desk.openssl(&format!("enc -sm4-cbc -K {} -iv {} -in content -out ciphertext", hex(&key), hex(&nonce)));
    let info = der::sequence(&[
        &der::integer(0),
        &GRACE_SM2.certificate.issuer_and_serial(),
        &der::sequence(&[&der::object_identifier(oid::SM2_ENCRYPT), &der::tlv(der::NULL, &[])]),
        &der::tlv(der::OCTET_STRING, &desk.take("key.sm2")),
    ]);
    let cipher = der::sequence(&[&der::object_identifier(oid::SM4_CBC), &der::tlv(der::OCTET_STRING, &nonce)]);
    let content = der::sequence(&[
        &der::object_identifier(oid::DATA),
        &cipher,
        &der::tlv(der::context(0), &desk.take("ciphertext")),
    ]);
    let data = der::sequence(&[&der::integer(0), &der::set_of(vec![info]), &content]);
    let wire =
        der::sequence(&[&der::object_identifier(oid::ENVELOPED_DATA), &der::tlv(der::context_constructed(0), &data)]);
    assert!(open(&wire, decryption_key(&GRACE_SM2)).unwrap() == desk.content);
}

#[test]
fn a_wrong_sm2_key_and_a_damaged_one_look_alike() {
    let content = vec![b'x'; 64];
    let (wire, _) = sealed_for_grace(&content);
    let (recipient, ..) = parts(&wire);
    let place = memchr::memmem::find(&wire, &recipient[3]).unwrap();
    let told = |wire: &[u8], key: DecryptionKey| match open(wire, key) {
        Err(error) => assert!(matches!(error, CmsError::Decrypt), "{error}"),
        Ok(garbage) => assert_ne!(garbage, content, "padding that fits by chance"),
    };
    // The length of the outermost octets would change where the next value begins.
    for at in 2..recipient[3].len() {
        let mut bent = wire.clone();
        bent[place + at] ^= 1;
        told(&bent, decryption_key(&GRACE_SM2));
    }
    let stranger = DecryptionKey { key: sm2_station("stranger", 9).key, ..decryption_key(&GRACE_SM2) };
    told(&wire, stranger);
}

#[test]
fn the_algorithms_of_the_two_families_do_not_mix_in_an_envelope() {
    let to = |who: &SigningKey, transport| Recipient { certificate: who.certificate.clone(), transport };
    for (recipient, cipher) in [
        (to(&GRACE_SM2, KeyTransport::Sm2), ContentCipher::Aes256Cbc),
        (to(&BOB, KeyTransport::RsaOaepSha256), ContentCipher::Sm4Cbc),
        (to(&EVE_P256, KeyTransport::EcdhSha256), ContentCipher::Sm4Cbc),
        (to(&BOB, KeyTransport::Sm2), ContentCipher::Sm4Cbc),
        (to(&GRACE_SM2, KeyTransport::EcdhSha256), ContentCipher::Aes128Cbc),
    ] {
        let refused = EnvelopeWriter::new(Vec::new(), &[recipient], cipher, 1);
        assert!(matches!(refused.err(), Some(CmsError::UnusableKey(_))), "{cipher}");
    }
    // AES content under an SM2 key: the key is not used.
    let (recipient, ..) = parts(&sealed_for_grace(b"x").0);
    let algorithm =
        |cipher: &[u8]| der::sequence(&[&der::object_identifier(cipher), &der::tlv(der::OCTET_STRING, &[7; 16])]);
    let content = [der::object_identifier(oid::DATA), algorithm(oid::AES128_CBC), der::tlv(der::context(0), &[0; 16])];
    let info = der::tlv(der::SEQUENCE, &recipient.concat());
    let data =
        der::sequence(&[&der::integer(0), &der::set_of(vec![info]), &der::tlv(der::SEQUENCE, &content.concat())]);
    let mixed =
        der::sequence(&[&der::object_identifier(oid::ENVELOPED_DATA), &der::tlv(der::context_constructed(0), &data)]);
    let refused = open(&mixed, decryption_key(&GRACE_SM2));
    assert!(matches!(refused, Err(CmsError::KeyTransportNotAllowed(KeyTransport::Sm2))));
}

#[test]
fn sm4_that_is_not_agreed_on_is_refused_before_the_key_is_used() {
    let (wire, _) = sealed_for_grace(b"x");
    let keys = [decryption_key(&GRACE_SM2)];
    let refused = EnvelopeReader::open(wire.as_slice(), &keys, ContentCipher::STANDARD, &Limits::default());
    assert!(matches!(refused.err(), Some(CmsError::CipherNotAllowed(ContentCipher::Sm4Cbc))));
    let others = DecryptionKey { transports: vec![KeyTransport::RsaPkcs1], ..decryption_key(&GRACE_SM2) };
    let refused = EnvelopeReader::open(wire.as_slice(), &[others], ContentCipher::ALL, &Limits::default());
    assert!(matches!(refused.err(), Some(CmsError::KeyTransportNotAllowed(KeyTransport::Sm2))));
}
