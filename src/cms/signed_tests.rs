use std::collections::BTreeSet;

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::EcGroup;
use openssl::ecdsa::EcdsaSig;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::pkey_ctx::PkeyCtx;
use openssl::rsa::{Padding, Rsa};
use openssl::sign::RsaPssSaltlen;
use openssl::x509::extension::ExtendedKeyUsage;
use openssl::x509::{X509, X509Name};

use super::*;
use crate::cms::MultiHasher;
use crate::cms::specimens::{ALICE, BOB, EVE_P256, FRANK_P384, certificate, same_name_as_alice};

const CONTENT: &[u8] = b"Content-Type: text/plain\r\n\r\nhello";
const SHA256: DigestAlgorithm = DigestAlgorithm::Sha256;

fn limits() -> Limits {
    Limits::default()
}

fn digests(content: &[u8]) -> Digests {
    let mut hasher = MultiHasher::new(&DigestAlgorithm::ALL);
    hasher.update(content);
    hasher.finish()
}

fn at() -> Timestamp {
    "2026-03-04T05:06:07Z".parse().unwrap()
}

fn signature(include_certificate: bool) -> Vec<u8> {
    let scheme = SignatureScheme::RsaPkcs1;
    sign_detached(SHA256, &SHA256.digest(CONTENT), &ALICE, scheme, at(), include_certificate).unwrap()
}

fn verify(ber: &[u8], trusted: &[&SigningKey]) -> Result<SignatureValid, SignatureError> {
    let trusted: Vec<_> = trusted.iter().map(|key| key.certificate.clone()).collect();
    verify_detached(ber, &digests(CONTENT), &trusted, &limits())
}

/// Values inside the SignedData of a message.
fn signed_data(ber: &[u8]) -> Vec<Vec<u8>> {
    let mut outer = Fields::only(ber, der::SEQUENCE).unwrap().fields();
    outer.expect(der::OID).unwrap();
    let mut inner = outer.expect(der::context_constructed(0)).unwrap().fields().expect(der::SEQUENCE).unwrap().fields();
    std::iter::from_fn(|| inner.take().unwrap().map(|value| value.raw.to_vec())).collect()
}

fn content_info(signed_data: &[Vec<u8>]) -> Vec<u8> {
    let data = der::tlv(der::SEQUENCE, &signed_data.concat());
    der::sequence(&[&der::object_identifier(oid::SIGNED_DATA), &der::tlv(der::context_constructed(0), &data)])
}

/// The one SignerInfo of our own signature.
fn signer_info() -> Vec<u8> {
    let data = signed_data(&signature(false));
    Fields::only(data.last().unwrap(), der::SET).unwrap().content.to_vec()
}

fn with_signers(signers: &[Vec<u8>]) -> Vec<u8> {
    let mut data = signed_data(&signature(false));
    *data.last_mut().unwrap() = der::tlv(der::SET, &signers.concat());
    content_info(&data)
}

/// A message whose signer signed these attributes.
fn with_attributes(attributes: Vec<Vec<u8>>) -> Vec<u8> {
    let attributes = der::set_of(attributes);
    let scheme = SignatureScheme::RsaPkcs1;
    let signed = ALICE.key.sign(&SHA256.digest(&attributes), SHA256, scheme).unwrap();
    with_signers(&[der::sequence(&[
        &der::integer(1),
        &ALICE.certificate.issuer_and_serial(),
        &SHA256.identifier(),
        &retag(&attributes, der::context_constructed(0)),
        &scheme.identifier(SHA256),
        &der::tlv(der::OCTET_STRING, &signed),
    ])])
}

/// The same message, `other` in the place of `part` in its SignerInfo.
fn replaced(ber: &[u8], part: &[u8], other: &[u8]) -> Vec<u8> {
    let mut data = signed_data(ber);
    let signers = Fields::only(data.last().unwrap(), der::SET).unwrap().content;
    let signer = Fields::only(signers, der::SEQUENCE).unwrap().content;
    let at = memchr::memmem::find(signer, part).unwrap();
    let changed = der::sequence(&[&signer[..at], other, &signer[at + part.len()..]]);
    *data.last_mut().unwrap() = der::tlv(der::SET, &changed);
    content_info(&data)
}

fn content_type() -> Vec<u8> {
    attribute(oid::CONTENT_TYPE, &der::object_identifier(oid::DATA))
}

fn message_digest() -> Vec<u8> {
    attribute(oid::MESSAGE_DIGEST, &der::tlv(der::OCTET_STRING, &SHA256.digest(CONTENT)))
}

#[test]
fn a_signature_is_accepted_with_every_digest_and_scheme() {
    for digest in DigestAlgorithm::ALL {
        for (scheme, key) in [
            (SignatureScheme::RsaPkcs1, &ALICE),
            (SignatureScheme::RsaPss, &ALICE),
            (SignatureScheme::Ecdsa, &EVE_P256),
            (SignatureScheme::Ecdsa, &FRANK_P384),
        ] {
            let ber = sign_detached(digest, &digest.digest(CONTENT), key, scheme, at(), true).unwrap();
            let valid = verify(&ber, &[&BOB, key]).unwrap();
            assert_eq!((valid.digest(), valid.scheme()), (digest, scheme));
            assert_eq!(valid.signer(), key.certificate.fingerprint());
            assert_eq!(valid.signing_time(), Some(at()));
            assert_eq!(valid.content_digest(), digest.digest(CONTENT));
        }
    }
}

#[test]
fn parameters_of_the_digest_may_be_absent_or_null() {
    let (absent, null) = (SHA256.identifier(), SHA256.identifier_with_null());
    let mut data = signed_data(&signature(false));
    data[1] = der::set_of(vec![null.clone()]);
    let signers = Fields::only(data.last().unwrap(), der::SET).unwrap().content;
    let signer = Fields::only(signers, der::SEQUENCE).unwrap().content;
    let at = memchr::memmem::find(signer, &absent).unwrap();
    let changed = der::sequence(&[&signer[..at], &null, &signer[at + absent.len()..]]);
    *data.last_mut().unwrap() = der::tlv(der::SET, &changed);
    assert!(verify(&content_info(&data), &[&ALICE]).is_ok());
    assert!(verify(&signature(false), &[&ALICE]).is_ok());
}

/// The signer's digest, MGF1's, the length of the salt: signed by PSS, of which the message says none.
fn pss_without_parameters(digest: DigestAlgorithm, mgf: DigestAlgorithm, salt: i32) -> Vec<u8> {
    let mut context = PkeyCtx::new(ALICE.key.pkey()).unwrap();
    context.sign_init().unwrap();
    context.set_rsa_padding(Padding::PKCS1_PSS).unwrap();
    context.set_rsa_pss_saltlen(RsaPssSaltlen::custom(salt)).unwrap();
    context.set_rsa_mgf1_md(mgf.md()).unwrap();
    context.set_signature_md(digest.md()).unwrap();
    let mut signature = Vec::new();
    context.sign_to_vec(&digest.digest(CONTENT), &mut signature).unwrap();
    with_signers(&[der::sequence(&[
        &der::integer(1),
        &ALICE.certificate.issuer_and_serial(),
        &digest.identifier(),
        &der::sequence(&[&der::object_identifier(oid::RSASSA_PSS)]),
        &der::tlv(der::OCTET_STRING, &signature),
    ])])
}

/// OpenSSL's word for a salt as long as there is room for.
const LONGEST: i32 = -2;

#[test]
fn pss_without_parameters_is_read_with_the_signers_digest_and_any_salt() {
    for digest in DigestAlgorithm::ALL {
        for salt in [i32::try_from(digest.size()).unwrap(), LONGEST, 20, 0] {
            let valid = verify(&pss_without_parameters(digest, digest, salt), &[&BOB, &ALICE]).unwrap();
            assert_eq!((valid.digest(), valid.scheme()), (digest, SignatureScheme::RsaPss));
            for mgf in DigestAlgorithm::ALL.into_iter().filter(|mgf| *mgf != digest) {
                let refused = verify(&pss_without_parameters(digest, mgf, salt), &[&ALICE]);
                assert!(matches!(refused, Err(SignatureError::BadSignature)), "{digest} {mgf}");
            }
        }
    }
    let signed = pss_without_parameters(SHA256, SHA256, LONGEST);
    let digests = digests(b"Content-Type: text/plain\r\n\r\nhallo");
    let refused = verify_detached(&signed, &digests, std::slice::from_ref(&ALICE.certificate), &limits());
    assert!(matches!(refused, Err(SignatureError::BadSignature)));
}

#[test]
fn certificates_with_odd_fields_verify_like_any_other() {
    let key = PKey::from_rsa(Rsa::generate(3072).unwrap()).unwrap();
    let mut name = X509Name::builder().unwrap();
    name.append_entry_by_text("CN", "*.as2.example.com").unwrap();
    let name = name.build();
    let mut builder = X509::builder().unwrap();
    builder.set_serial_number(&BigNum::new().unwrap().to_asn1_integer().unwrap()).unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(&name).unwrap();
    builder.set_not_before(&Asn1Time::from_str("20200101000000Z").unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::from_str("20491231235959Z").unwrap()).unwrap();
    builder.set_pubkey(&key).unwrap();
    builder.set_version(2).unwrap();
    builder.append_extension(ExtendedKeyUsage::new().critical().server_auth().build().unwrap()).unwrap();
    builder.sign(&key, MessageDigest::sha256()).unwrap();
    let certificate = Certificate::from_x509(&builder.build()).unwrap();
    let odd = SigningKey { certificate, key: crate::cms::PrivateKey::from_pkey(key).unwrap() };
    let ber = sign_detached(SHA256, &SHA256.digest(CONTENT), &odd, SignatureScheme::RsaPkcs1, at(), true).unwrap();
    assert!(verify(&ber, &[&ALICE, &odd]).is_ok());
}

#[test]
fn a_scheme_and_a_key_of_another_kind_do_not_go_together() {
    for (scheme, key) in [(SignatureScheme::Ecdsa, &ALICE), (SignatureScheme::RsaPss, &EVE_P256)] {
        let refused = sign_detached(SHA256, &SHA256.digest(CONTENT), key, scheme, at(), true);
        assert!(matches!(refused, Err(CmsError::UnusableKey(_))));
    }
    // A SignerInfo that names Eve's EC certificate and claims RSA.
    let ecdsa = sign_detached(SHA256, &SHA256.digest(CONTENT), &EVE_P256, SignatureScheme::Ecdsa, at(), false).unwrap();
    let (theirs, claimed) = (SignatureScheme::Ecdsa.identifier(SHA256), SignatureScheme::RsaPkcs1.identifier(SHA256));
    let forged = replaced(&ecdsa, &theirs, &claimed);
    assert!(matches!(verify(&forged, &[&EVE_P256]), Err(SignatureError::WeakKey)));
}

#[test]
fn an_ecdsa_signature_that_names_its_key_for_the_algorithm_counts_like_any_other() {
    let scheme = SignatureScheme::Ecdsa;
    let named = |parameters: &[u8]| der::sequence(&[&der::object_identifier(oid::EC_PUBLIC_KEY), parameters]);
    for (key, curve) in [(&EVE_P256, oid::SECP256R1), (&FRANK_P384, oid::SECP384R1)] {
        let ber = sign_detached(SHA256, &SHA256.digest(CONTENT), key, scheme, at(), false).unwrap();
        for parameters in [Vec::new(), der::tlv(der::NULL, &[]), der::object_identifier(curve)] {
            let of_windows = replaced(&ber, &scheme.identifier(SHA256), &named(&parameters));
            let valid = verify(&of_windows, &[&BOB, key]).unwrap();
            assert_eq!((valid.digest(), valid.scheme()), (SHA256, scheme));
            let trusted = [key.certificate.clone()];
            let other = verify_detached(&of_windows, &digests(b"other"), &trusted, &limits());
            assert!(matches!(other, Err(SignatureError::DigestMismatch)));
            let forged = replaced(&of_windows, &der::time(at()), &der::time(Timestamp::UNIX_EPOCH));
            assert!(matches!(verify(&forged, &[key]), Err(SignatureError::BadSignature)));
        }
    }
    let rsa = replaced(&signature(false), &SignatureScheme::RsaPkcs1.identifier(SHA256), &named(&[]));
    assert!(matches!(verify(&rsa, &[&ALICE]), Err(SignatureError::WeakKey)));
}

#[test]
fn a_signature_that_is_named_for_its_digest_counts_where_the_digest_does() {
    let sha1 = DigestAlgorithm::Sha1;
    for (digest, algorithm) in [(SHA256, oid::SHA256_WITH_RSA), (sha1, oid::SHA1_WITH_RSA)] {
        let scheme = SignatureScheme::RsaPkcs1;
        let ber = sign_detached(digest, &digest.digest(CONTENT), &ALICE, scheme, at(), false).unwrap();
        let named = der::sequence(&[&der::object_identifier(algorithm), &der::tlv(der::NULL, &[])]);
        let of_dotnet = replaced(&ber, &digest.identifier(), &named);
        assert_eq!(verify(&of_dotnet, &[&ALICE]).unwrap().digest(), digest);
        let mut hasher = MultiHasher::new(&DigestAlgorithm::STANDARD);
        hasher.update(CONTENT);
        let trusted = std::slice::from_ref(&ALICE.certificate);
        match verify_detached(&of_dotnet, &hasher.finish(), trusted, &limits()) {
            Ok(valid) => assert_eq!(valid.digest(), SHA256),
            Err(error) => assert!(digest == sha1 && matches!(error, SignatureError::DigestNotComputed(_))),
        }
    }
}

#[test]
fn a_changed_ecdsa_signature_does_not_count() {
    let digest = SHA256.digest(CONTENT);
    let ber = sign_detached(SHA256, &digest, &EVE_P256, SignatureScheme::Ecdsa, at(), false).unwrap();
    for back in [1, 20, 33, 40, 66, 70] {
        let mut changed = ber.clone();
        let place = changed.len() - back;
        changed[place] ^= 1;
        assert!(verify(&changed, &[&EVE_P256]).is_err(), "{back}");
    }
}

#[test]
fn an_ecdsa_signature_in_its_other_form_is_right_and_tells_the_same_digest_of_what_is_signed() {
    let digest = SHA256.digest(CONTENT);
    let ber = sign_detached(SHA256, &digest, &EVE_P256, SignatureScheme::Ecdsa, at(), false).unwrap();
    let limits = limits();
    let mut reader = BerReader::new(ber.as_slice(), &limits);
    assert!(!open_signed_data(&mut reader, &limits).unwrap().has_content);
    let mut signer = close_signed_data(&mut reader, &limits, Uncovered::passed_over()).unwrap();
    let trusted = [EVE_P256.certificate.clone()];
    let genuine = signer.verify(&digests(CONTENT), &trusted).unwrap();
    let signature = EcdsaSig::from_der(&signer.signature).unwrap();
    let (mut order, mut negated) = (BigNum::new().unwrap(), BigNum::new().unwrap());
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    group.order(&mut order, &mut BigNumContext::new().unwrap()).unwrap();
    negated.checked_sub(&order, signature.s()).unwrap();
    let other = EcdsaSig::from_private_components(signature.r().to_owned().unwrap(), negated).unwrap();
    signer.signature = other.to_der().unwrap();
    assert_ne!(signer.signature, signature.to_der().unwrap());
    let turned = signer.verify(&digests(CONTENT), &trusted).unwrap();
    assert_eq!(turned.signed_digest(), genuine.signed_digest());
    let later = Timestamp::from_second(at().as_second() + 1).unwrap();
    let anew = sign_detached(SHA256, &digest, &EVE_P256, SignatureScheme::Ecdsa, later, false).unwrap();
    assert_ne!(verify(&anew, &[&EVE_P256]).unwrap().signed_digest(), genuine.signed_digest());
}

#[test]
fn only_pinned_certificates_count_whatever_the_message_carries() {
    assert!(matches!(verify(&signature(true), &[&BOB]), Err(SignatureError::UnknownSigner)));
    assert!(matches!(verify(&signature(true), &[]), Err(SignatureError::UnknownSigner)));
    let impostor = same_name_as_alice();
    assert!(matches!(verify(&signature(true), &[&impostor]), Err(SignatureError::BadSignature)));
    assert!(verify(&signature(true), &[&impostor, &ALICE]).is_ok());
}

#[test]
fn a_weak_key_does_not_count() {
    let small = PKey::from_rsa(Rsa::generate(1024).unwrap()).unwrap();
    let trusted = [certificate("alice 订单", 1, &small)];
    let refused = verify_detached(&signature(false), &digests(CONTENT), &trusted, &limits());
    assert!(matches!(refused, Err(SignatureError::WeakKey)));
}

#[test]
fn exactly_one_signer_is_demanded() {
    let signer = signer_info();
    assert!(verify(&with_signers(std::slice::from_ref(&signer)), &[&ALICE]).is_ok());
    assert!(matches!(verify(&with_signers(&[]), &[&ALICE]), Err(SignatureError::NotOneSigner)));
    let two = verify(&with_signers(&[signer.clone(), signer]), &[&ALICE]);
    assert!(matches!(two, Err(SignatureError::NotOneSigner)));
}

#[test]
fn content_inside_a_detached_signature_is_refused() {
    for content in [&b""[..], CONTENT] {
        let mut data = signed_data(&signature(false));
        let content = der::tlv(der::context_constructed(0), &der::tlv(der::OCTET_STRING, content));
        data[2] = der::sequence(&[&der::object_identifier(oid::DATA), &content]);
        assert!(matches!(verify(&content_info(&data), &[&ALICE]), Err(SignatureError::ContentPresent)));
    }
}

#[test]
fn other_content_is_refused() {
    let trusted = [ALICE.certificate.clone()];
    let other = verify_detached(&signature(false), &digests(b"other"), &trusted, &limits());
    assert!(matches!(other, Err(SignatureError::DigestMismatch)));
}

#[test]
fn a_digest_the_caller_did_not_compute_is_not_accepted() {
    let ber = sign_detached(
        DigestAlgorithm::Sha1,
        &DigestAlgorithm::Sha1.digest(CONTENT),
        &ALICE,
        SignatureScheme::RsaPkcs1,
        at(),
        false,
    );
    let mut hasher = MultiHasher::new(&[SHA256]);
    hasher.update(CONTENT);
    let refused = verify_detached(&ber.unwrap(), &hasher.finish(), std::slice::from_ref(&ALICE.certificate), &limits());
    assert!(matches!(refused, Err(SignatureError::DigestNotComputed(DigestAlgorithm::Sha1))));
}

#[test]
fn signed_attributes_must_be_complete_and_unambiguous() {
    assert!(verify(&with_attributes(vec![content_type(), message_digest()]), &[&ALICE]).is_ok());
    let wrong_type = attribute(oid::CONTENT_TYPE, &der::object_identifier(oid::SIGNED_DATA));
    let two_values = attribute(oid::CONTENT_TYPE, &der::object_identifier(oid::DATA).repeat(2));
    let bad_time = attribute(oid::SIGNING_TIME, &der::tlv(der::UTC_TIME, b"not a time..Z"));
    for attributes in [
        vec![content_type()],
        vec![message_digest()],
        vec![],
        vec![content_type(), content_type(), message_digest()],
        vec![content_type(), message_digest(), message_digest()],
        vec![wrong_type, message_digest()],
        vec![two_values, message_digest()],
        vec![content_type(), message_digest(), bad_time],
    ] {
        assert!(verify(&with_attributes(attributes), &[&ALICE]).is_err());
    }
}

#[test]
fn no_flipped_byte_changes_what_was_signed() {
    let ber = signature(false);
    let signed = verify(&ber, &[&ALICE]).unwrap();
    assert_eq!(signed.content_digest(), SHA256.digest(CONTENT));
    let mut accepted = BTreeSet::new();
    for (place, bit) in (0..ber.len()).flat_map(|place| (0..8).map(move |bit| (place, bit))) {
        let mut flipped = ber.clone();
        flipped[place] ^= 1u8 << bit;
        if let Ok(valid) = verify(&flipped, &[&ALICE]) {
            accepted.insert(place);
            assert_eq!(valid, signed, "byte {place}, bit {bit}");
        }
    }
    // Neither the version numbers nor the advisory list of digests is signed; nor is the name of the issuer, of which another
    // spelling names the same certificate (RFC 5280 7.1).
    let data = signed_data(&ber);
    let head = memchr::memmem::find(&ber, &[data[0].as_slice(), &data[1]].concat()).unwrap();
    let list = head + data[0].len()..head + data[0].len() + data[1].len();
    let info = signer_info();
    let signer = ber.len() - info.len();
    assert!(ber.ends_with(&info));
    let mut fields = Fields::only(&info, der::SEQUENCE).unwrap().fields();
    let version = fields.expect(der::INTEGER).unwrap().raw.len();
    let sid = fields.expect(der::SEQUENCE).unwrap();
    let issuer = sid.fields().expect(der::SEQUENCE).unwrap().raw;
    let version_at = signer + memchr::memmem::find(&info, sid.raw).unwrap() - version;
    let issuer_at = signer + memchr::memmem::find(&info, issuer).unwrap();
    for place in &accepted {
        let of_version = *place == head + 2 || *place == version_at + 2;
        let of_issuer = (issuer_at..issuer_at + issuer.len()).contains(place);
        assert!(of_version || of_issuer || list.contains(place), "byte {place}");
    }
    assert!(accepted.contains(&(head + 2)) && accepted.contains(&(version_at + 2)), "versions count for nothing");
}

#[test]
fn truncated_and_trailing_bytes_are_refused() {
    let ber = signature(true);
    for len in 0..ber.len() {
        assert!(verify(&ber[..len], &[&ALICE]).is_err(), "{len}");
    }
    assert!(verify(&[ber.as_slice(), b"\r\n"].concat(), &[&ALICE]).is_ok());
    assert!(verify(&[ber.as_slice(), b"x"].concat(), &[&ALICE]).is_err());
}

#[test]
fn floods_of_certificates_are_refused() {
    let mut data = signed_data(&signature(true));
    data[3] = der::tlv(der::context_constructed(0), &ALICE.certificate.der().repeat(17));
    assert!(matches!(verify(&content_info(&data), &[&ALICE]), Err(SignatureError::Malformed(_))));
}

#[test]
fn floods_of_attributes_are_refused_and_an_endless_identifier_is_merely_unknown() {
    let null = der::tlv(der::NULL, &[]);
    let flooded = |more: usize| {
        let mut attributes = vec![content_type(), message_digest()];
        attributes.extend(vec![attribute(&[0x2a, 0x03, 0x04], &null); more]);
        verify(&with_attributes(attributes), &[&ALICE]).map(|_| ())
    };
    assert!(flooded(62).is_ok(), "as many as there may be");
    for more in [63, 20_000] {
        assert!(matches!(flooded(more), Err(SignatureError::Malformed("too many attributes"))), "{more}");
    }
    let endless = vec![0x2b; 900_000];
    let named = vec![content_type(), message_digest(), attribute(&endless, &null)];
    assert!(verify(&with_attributes(named), &[&ALICE]).is_ok());
    let algorithm = der::sequence(&[&der::object_identifier(&endless)]);
    let signer = der::sequence(&[&der::integer(1), &ALICE.certificate.issuer_and_serial(), &algorithm]);
    assert!(matches!(verify(&with_signers(&[signer]), &[&ALICE]), Err(SignatureError::UnknownDigest)));
}

/// SignedData around `content`, signed without attributes by a signature made over `signed`.
fn opaque(content: &[u8], signed: &[u8]) -> Vec<u8> {
    let scheme = SignatureScheme::RsaPkcs1;
    let signature = ALICE.key.sign(&SHA256.digest(signed), SHA256, scheme).unwrap();
    let signer = der::sequence(&[
        &der::integer(1),
        &ALICE.certificate.issuer_and_serial(),
        &SHA256.identifier(),
        &scheme.identifier(SHA256),
        &der::tlv(der::OCTET_STRING, &signature),
    ]);
    let content = der::tlv(der::context_constructed(0), &der::tlv(der::OCTET_STRING, content));
    content_info(&[
        der::integer(1),
        der::set_of(vec![SHA256.identifier()]),
        der::sequence(&[&der::object_identifier(oid::DATA), &content]),
        der::set_of(vec![signer]),
    ])
}

fn read_opaque(ber: &[u8]) -> Result<(Vec<u8>, SignatureValid), SignatureError> {
    let mut reader = OpaqueReader::open(ber, &limits())?;
    let mut content = Vec::new();
    reader.read_to_end(&mut content).map_err(SignatureError::Io)?;
    Ok((content, reader.finish(std::slice::from_ref(&ALICE.certificate))?))
}

#[test]
fn opaque_signed_data_yields_its_content_and_the_proof() {
    let (content, valid) = read_opaque(&opaque(CONTENT, CONTENT)).unwrap();
    assert_eq!((content.as_slice(), valid.content_digest()), (CONTENT, SHA256.digest(CONTENT).as_slice()));
    assert!(matches!(read_opaque(&opaque(b"other", CONTENT)), Err(SignatureError::BadSignature)));
    assert!(matches!(read_opaque(&signature(false)), Err(SignatureError::ContentAbsent)));
}

#[test]
fn attributes_presented_as_content_are_refused() {
    let attributes = der::set_of(vec![content_type(), message_digest()]);
    let refused = read_opaque(&opaque(&attributes, &attributes));
    assert!(matches!(refused, Err(SignatureError::Attributes(_))));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(200))]

    #[test]
    fn no_damage_makes_verifying_panic(place in 0usize..700, bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 1..6)) {
        let mut ber = signature(true);
        for (offset, byte) in bytes.iter().enumerate() {
            if let Some(target) = ber.get_mut(place + offset) {
                *target = *byte;
            }
        }
        let _ = verify(&ber, &[&ALICE]);
        let _ = read_opaque(&ber);
    }
}
