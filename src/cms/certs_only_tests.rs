use super::super::openssl_cli_tests::Desk;
use super::super::specimens::{ALICE, BOB, EVE_P256};
use super::*;

fn limits() -> Limits {
    Limits::default()
}

fn sorted(mut certificates: Vec<Certificate>) -> Vec<Vec<u8>> {
    certificates.sort_by(|a, b| a.der().cmp(b.der()));
    certificates.iter().map(|one| one.der().to_vec()).collect()
}

fn three() -> Vec<Certificate> {
    [&*ALICE, &*BOB, &*EVE_P256].map(|key| key.certificate.clone()).to_vec()
}

#[test]
fn certificates_that_were_written_are_read_again() {
    for count in 1..=3 {
        let certificates = three()[..count].to_vec();
        let read = read(&write(&certificates), &limits()).expect("readable");
        assert_eq!(sorted(read), sorted(certificates), "{count}");
    }
}

#[test]
fn openssl_reads_what_we_write_and_we_read_what_it_writes() {
    let desk = Desk::new();
    desk.put("ours.p7c", &write(&three()));
    desk.openssl("pkcs7 -inform DER -in ours.p7c -print_certs -out listed.pem");
    let listed = Certificate::all_from_pem(&desk.take("listed.pem")).expect("PEM");
    assert_eq!(sorted(listed), sorted(three()));
    for form in ["DER", "PEM"] {
        desk.openssl(&format!("crl2pkcs7 -nocrl -certfile alice.crt -certfile bob.crt -outform {form} -out theirs"));
        let theirs = read(&desk.take("theirs"), &limits()).expect("readable");
        assert_eq!(sorted(theirs), sorted(three()[..2].to_vec()), "{form}");
    }
}

#[test]
fn a_certificate_by_itself_is_read_in_both_forms() {
    let alice = &ALICE.certificate;
    assert_eq!(read(alice.der(), &limits()).expect("DER"), std::slice::from_ref(alice));
    assert_eq!(read(alice.to_pem().as_bytes(), &limits()).expect("PEM"), std::slice::from_ref(alice));
}

#[test]
fn what_holds_no_certificates_or_too_many_or_too_long_ones_is_refused() {
    let good = write(&three());
    let cut = &good[..good.len() - 1];
    let none = write(&[]);
    for bytes in [&b""[..], b"-----BEGIN PKCS7-----\n", b"\x30\x80", cut, &none] {
        assert!(matches!(read(bytes, &limits()), Err(CmsError::Malformed(_))), "{bytes:?}");
    }
    let few = Limits { certificates: 2, ..limits() };
    assert!(matches!(read(&good, &few), Err(CmsError::Malformed("too many certificates"))));
    let short = Limits { signature_part: good.len() - 1, ..limits() };
    assert!(matches!(read(&good, &short), Err(CmsError::Malformed("certificates too long"))));
    // A structure of another kind: data.
    let data = der::sequence(&[&der::object_identifier(oid::DATA), &der::tlv(0xa0, &der::tlv(4, b"x"))]);
    assert!(matches!(read(&data, &limits()), Err(CmsError::WrongContentType)));
}
