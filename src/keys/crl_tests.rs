//! Lists that OpenSSL's command has made, for certificates of a small CA.

use std::sync::Arc;

use super::*;
use crate::keys::authority::Authority;
use crate::keys::{CertificateSet, CertificateUses, PartnerCertificate, Window};

#[test]
fn what_the_issuer_has_taken_back_is_revoked_and_nothing_else() {
    let authority = Authority::new("Test CA");
    let folder = authority.publish("86400");
    let lists = RevocationLists::read(&folder).expect("read");
    let (kept, revoked) = (authority.certificate("kept.crt"), authority.certificate("revoked.crt"));
    assert!(lists.revoke(&revoked) && !lists.revoke(&kept));
    // The same serial numbers under another CA.
    let other = Authority::new("Other CA");
    assert!(!lists.revoke(&other.certificate("revoked.crt")));
    assert_eq!(lists.concerning(&kept).count(), 1);
    assert_eq!(lists.concerning(&other.certificate("kept.crt")).count(), 0);

    // One file in PEM, and the list in DER beside the certificate.
    let both = [std::fs::read(folder.join("ca.crt")).unwrap(), std::fs::read(folder.join("ca.crl")).unwrap()].concat();
    std::fs::write(authority.path("both.pem"), both).expect("written");
    assert!(RevocationLists::read(&authority.path("both.pem")).expect("read").revoke(&revoked));
    authority.run(&["crl", "-in", "lists/ca.crl", "-outform", "DER", "-out", "lists/ca.crl.der"]);
    std::fs::remove_file(folder.join("ca.crl")).expect("removed");
    assert!(RevocationLists::read(&folder).expect("read").revoke(&revoked));
}

#[test]
fn a_list_that_nobody_vouches_for_is_refused() {
    let (authority, impostor) = (Authority::new("Test CA"), Authority::new("Test CA"));
    let folder = authority.publish("86400");
    impostor.publish("86400");
    std::fs::copy(impostor.path("lists/ca.crl"), folder.join("z.crl")).expect("copied");
    let refused = RevocationLists::read(&folder).expect_err("of the same name, but another key");
    assert_eq!((refused.code(), refused.file()), ("crl-unproven", folder.join("z.crl").as_path()));
    std::fs::write(folder.join("z.crl"), "no list").expect("written");
    assert_eq!(RevocationLists::read(&folder).expect_err("nothing in it").code(), "crl-unreadable");
    assert_eq!(RevocationLists::read(&authority.path("no-such")).expect_err("missing").code(), "file-unreadable");
    let mut bent = std::fs::read(impostor.path("lists/ca.crl")).expect("read");
    bent.truncate(bent.len() / 2);
    std::fs::write(folder.join("z.crl"), bent).expect("written");
    assert_eq!(RevocationLists::read(&folder).expect_err("half of it").code(), "crl-unreadable");
}

#[test]
fn what_was_fetched_into_a_folder_cannot_vouch_for_itself() {
    let (authority, impostor) = (Authority::new("Test CA"), Authority::new("Test CA"));
    let folder = authority.publish("86400");
    let theirs = impostor.publish("86400");
    let both = [std::fs::read(theirs.join("ca.crt")).unwrap(), std::fs::read(theirs.join("ca.crl")).unwrap()].concat();
    std::fs::write(folder.join("ca.crl"), both).expect("written");
    assert_eq!(RevocationLists::read(&folder).expect_err("an impostor's").code(), "crl-unproven");
}

#[test]
fn nothing_of_a_file_that_is_cut_off_or_changed_counts() {
    let authority = Authority::new("Test CA");
    let folder = authority.publish("86400");
    let issuer = std::fs::read(folder.join("ca.crt")).expect("read");
    let list = std::fs::read(folder.join("ca.crl")).expect("read");
    authority.run(&["crl", "-in", "lists/ca.crl", "-outform", "DER", "-out", "ca.der"]);
    let der = std::fs::read(authority.path("ca.der")).expect("read");
    let file = authority.path("both.pem");
    let read = |bytes: &[u8]| {
        std::fs::write(&file, bytes).expect("written");
        RevocationLists::read(&file).map(|lists| lists.lists.len()).map_err(|error| error.code())
    };
    let lead = [&issuer[..], b"\xC3\x28 a comment\n"].concat();
    let whole = [&lead[..], &list].concat();
    assert_eq!(read(&whole), Ok(1));
    for cut in lead.len() + "-----BEGIN ".len()..whole.len() - 1 {
        assert_eq!(read(&whole[..cut]), Err("crl-unreadable"), "{cut} of {}", whole.len());
    }
    let stranger = [&whole[..], b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"].concat();
    assert_eq!(read(&stranger), Err("crl-unreadable"));
    assert_eq!(read(b""), Err("crl-unreadable"));
    // In DER beside its issuer: no flipped bit is believed.
    std::fs::remove_file(folder.join("ca.crl")).expect("removed");
    for at in 0..der.len() {
        let mut bent = der.clone();
        bent[at] ^= 1 << (at % 8);
        std::fs::write(folder.join("ca.der"), &bent).expect("written");
        assert!(RevocationLists::read(&folder).is_err(), "byte {at}");
    }
    std::fs::write(folder.join("ca.der"), &der).expect("written");
    assert!(RevocationLists::read(&folder).is_ok());
}

proptest::proptest! {
    #[test]
    fn bytes_that_nobody_signed_are_no_list(bytes: Vec<u8>, body in "[A-Za-z0-9+/=\\r\\n -]{0,300}") {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let blocks = format!("-----BEGIN X509 CRL-----\n{body}\n-----END X509 CRL-----\n");
        for content in [bytes, blocks.into_bytes()] {
            std::fs::write(file.path(), content).expect("written");
            proptest::prop_assert!(RevocationLists::read(file.path()).is_err());
        }
    }
}

#[test]
fn more_than_can_be_is_refused() {
    let authority = Authority::new("Test CA");
    let folder = authority.publish("86400");
    let large = File::create(folder.join("large.crl")).expect("created");
    large.set_len(MAX_FILE + 1).expect("a sparse file");
    assert_eq!(RevocationLists::read(&folder).expect_err("too large").code(), "crl-too-large");
    std::fs::remove_file(folder.join("large.crl")).expect("removed");
    for number in 0..MAX_FILES {
        std::fs::hard_link(folder.join("ca.crt"), folder.join(format!("{number}.crt"))).expect("linked");
    }
    assert_eq!(RevocationLists::read(&folder).expect_err("too many").code(), "crl-too-large");
}

#[test]
fn a_client_whose_certificate_its_ca_has_taken_back_is_not_the_partner() {
    let authority = Authority::new("Test CA");
    let lists = Arc::new(RevocationLists::read(&authority.publish("86400")).expect("read"));
    let set = CertificateSet::default().revoked_by(&[lists]);
    assert!(set.has_revocation_lists() && !CertificateSet::default().has_revocation_lists());
    assert!(set.is_revoked(&authority.certificate("revoked.crt")));
    assert!(!set.is_revoked(&authority.certificate("kept.crt")));
}

#[test]
fn a_revoked_certificate_does_nothing_any_more_and_stale_lists_are_known() {
    let authority = Authority::new("Test CA");
    let lists = [Arc::new(RevocationLists::read(&authority.publish("2")).expect("read"))];
    let all = CertificateUses { verify: true, encrypt: true, tls: true, client: true };
    let held = |name: &str| {
        let certificate = authority.certificate(name);
        let window = Window::of(&certificate);
        PartnerCertificate { certificate, uses: all, window, file: authority.path(name), revoked: false }
    };
    let set = CertificateSet::new(vec![held("kept.crt"), held("revoked.crt")]).revoked_by(&lists);
    let kept = authority.certificate("kept.crt");
    let now = kept.not_before();
    assert_eq!(set.verifying(now), vec![kept.clone()]);
    assert_eq!((set.clients(now), set.pinned_tls(now)), (vec![kept.clone()], Some(vec![kept.clone()])));
    assert_eq!(set.revoked().len(), 1);
    let only = CertificateSet::new(vec![held("revoked.crt")]).revoked_by(&lists);
    assert!(only.verifying(now).is_empty());
    assert_eq!(only.pinned_tls(now), Some(Vec::new()), "the system's CAs do not step in");
    let end = set.lists().first().and_then(|end| end.next_update).expect("it has one");
    let second = jiff::SignedDuration::from_secs(1);
    assert_eq!(set.lists().len(), 1);
    assert!(set.lists()[0].is_stale(end + second) && !set.lists()[0].is_stale(end - second));
}
