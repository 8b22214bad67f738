use std::process::Command;

use openssl::ec::{EcGroup, EcKey};
use openssl::pkey::PKey;

use super::*;

fn key() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::SM2).unwrap();
    let pem = EcKey::generate(&group).unwrap().private_key_to_pem().unwrap();
    PKey::private_key_from_pem(&pem).unwrap()
}

#[test]
fn a_signature_holds_in_both_encodings_and_for_nothing_else() {
    let (ours, other) = (key(), key());
    let signature = sign(&ours, b"message").unwrap();
    assert!(verifies(&ours, b"message", &signature));
    assert!(verifies(&ours, b"message", &encoded(&signature).unwrap()));
    assert!(!verifies(&ours, b"massage", &signature) && !verifies(&other, b"message", &signature));
    for place in [0, 31, 32, 63] {
        let mut bent = signature;
        bent[place] ^= 1;
        assert!(!verifies(&ours, b"message", &bent), "byte {place}");
    }
    assert!(!verifies(&ours, b"message", &[0; 64]) && !verifies(&ours, b"message", b""));
    let mut longer = encoded(&signature).unwrap();
    longer.push(0);
    assert!(!verifies(&ours, b"message", &longer), "bytes behind the signature");
}

#[test]
fn a_key_of_another_curve_is_no_sm2_key() {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
    assert!(public_point(&key).is_none() && sign(&key, b"message").is_err());
}

#[test]
fn the_identifier_enters_the_digest_as_the_standard_computes_it() {
    // GB/T 32918.5 annex A.2: the public key of the worked example and the Z and e values printed there.
    let point = hex("09F9DF311E5421A150DD7D161E4BC5C672179FAD1833FC076BB08FF356F35020\
                     CCEA490CE26775A52DC6EA718CC1AA600AED05FBF35E084A6632F6072DA9AD13");
    let z = signer_digest(&point, DEFAULT_IDENTIFIER).unwrap();
    assert_eq!(z, hex::<32>("B2E14C5C79C6DF5B85F4FE7ED8DB7A262B9DA7E07CCB0EA9F4747B8CCDA8A4F3"));
    let e = message_digest(&point, DEFAULT_IDENTIFIER, b"message digest").unwrap();
    assert_eq!(e, hex::<32>("F0B43E94BA45ACCAACE692ED534382EB17E6AB5A19CE7B31F4486FDFC0D28640"));
}

#[test]
fn the_signature_of_the_standard_holds() {
    // GB/T 32918.5 annex A.2: public key, message and signature of the worked example.
    let point = hex::<64>(
        "09F9DF311E5421A150DD7D161E4BC5C672179FAD1833FC076BB08FF356F35020\
         CCEA490CE26775A52DC6EA718CC1AA600AED05FBF35E084A6632F6072DA9AD13",
    );
    let key = PKey::public_key_from_der(&[&SPKI_HEAD[..], &point].concat()).unwrap();
    let signature = hex::<64>(
        "F5A03B0648D2C4630EEAC513E1BB81A15944DA3827D5B74143AC7EACEEE720B3\
         B1B6AA29DF212FD8763182BC0D421CA1BB9038FD1F7F42D4840B69C485BBC1AA",
    );
    assert!(verifies(&key, b"message digest", &signature));
    assert!(verifies_encoded(&key, b"message digest", &encoded(&signature).unwrap()));
    assert!(!verifies_encoded(&key, b"message digest", &signature), "r and s without DER");
    assert!(!verifies(&key, b"message digess", &signature));
}

#[test]
fn the_ciphertext_of_the_standard_opens_with_its_key() {
    // GB/T 32918.5 annex A.3: private key, message and C1, C3, C2 of the worked example, in the structure of GM/T 0009 7.2.
    let group = EcGroup::from_curve_name(Nid::SM2).unwrap();
    let number = |text: &str| BigNum::from_slice(&hex::<32>(text)).unwrap();
    let private = number("3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8");
    let mut public = openssl::ec::EcPoint::new(&group).unwrap();
    public.mul_generator2(&group, &private, &mut BigNumContext::new().unwrap()).unwrap();
    let pem = EcKey::from_private_components(&group, &private, &public).unwrap().private_key_to_pem().unwrap();
    let key = PKey::private_key_from_pem(&pem).unwrap();
    let coordinate = |text: &str| {
        let bytes = hex::<32>(text);
        if bytes[0] < 0x80 {
            der::tlv(der::INTEGER, &bytes)
        } else {
            der::tlv(der::INTEGER, &[&[0], &bytes[..]].concat())
        }
    };
    let encrypted = der::sequence(&[
        &coordinate("04EBFC718E8D1798620432268E77FEB6415E2EDE0E073C0F4F640ECD2E149A73"),
        &coordinate("E858F9D81E5430A57B36DAAB8F950A3C64E6EE6A63094D99283AFF767E124DF0"),
        &der::tlv(der::OCTET_STRING, &hex::<32>("59983C18F809E262923C53AEC295D30383B54E39D609D160AFCB1908D0BD8766")),
        &der::tlv(der::OCTET_STRING, &hex::<19>("21886CA989CA9C7D58087307CA93092D651EFA")),
    ]);
    assert_eq!(decrypt(&key, &encrypted, 19).unwrap().as_slice(), b"encryption standard");
    for place in 0..encrypted.len() {
        let mut bent = encrypted.clone();
        bent[place] ^= 1;
        assert!(
            decrypt(&key, &bent, 19).is_none_or(|found| found.as_slice() != b"encryption standard"),
            "byte {place}"
        );
    }
    let longer = [encrypted.as_slice(), &[0; 64]].concat();
    assert!(decrypt(&key, &longer, 19).is_none(), "longer than any ciphertext of such a key");
}

#[test]
fn a_ciphertext_is_never_longer_than_what_is_reckoned_with() {
    let key = key();
    let public = PKey::public_key_from_der(&key.public_key_to_der().unwrap()).unwrap();
    for len in [16, 24, 32] {
        let plain = vec![7; len];
        for _ in 0..16 {
            let encrypted = encrypt(&public, &plain).unwrap();
            assert!(encrypted.len() <= encrypted_len(len), "{len}");
            assert_eq!(decrypt(&key, &encrypted, len).unwrap().as_slice(), plain);
        }
    }
}

#[test]
fn the_openssl_command_accepts_our_signature_and_we_accept_its() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let key = key();
    std::fs::write(at("key.pem"), key.private_key_to_pem_pkcs8().unwrap()).unwrap();
    std::fs::write(at("message"), b"message").unwrap();
    std::fs::write(at("ours"), encoded(&sign(&key, b"message").unwrap()).unwrap()).unwrap();
    let openssl = |verb: &str, file: &str, option: &str| {
        Command::new("openssl")
            .args(["pkeyutl", verb, "-rawin", "-digest", "sm3", "-pkeyopt", "distid:1234567812345678", "-inkey"])
            .arg(at("key.pem"))
            .arg("-in")
            .arg(at("message"))
            .arg(option)
            .arg(at(file))
            .output()
            .unwrap()
            .status
            .success()
    };
    assert!(openssl("-verify", "ours", "-sigfile"));
    assert!(openssl("-sign", "theirs", "-out"));
    assert!(verifies(&key, b"message", &std::fs::read(at("theirs")).unwrap()));
}

fn hex<const N: usize>(text: &str) -> [u8; N] {
    let bytes: Vec<u8> =
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect();
    bytes.try_into().unwrap()
}
