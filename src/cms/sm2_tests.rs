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
