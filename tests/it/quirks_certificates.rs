//! Certificates as they should not be, and are: a country that is not two letters, keys of different sizes, others than when a
//! message began to come.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use dxgate::as2::{self, AcceptPolicy, Incoming, OpenKeys, SendPlan};
use dxgate::cms::{Certificate, DecryptionKey, KeyTransport, PrivateKey};
use dxgate::ground::limits::Limits;
use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::sign::Signer;
use openssl::x509::{X509, X509NameBuilder};

use crate::support::correspondent::{letter, plan, receipt_in, signing};
use crate::support::gateway::{Gateway, run};
use crate::support::home::{Home, PartnerFile, change};
use crate::support::keys::{self, Party};
use crate::support::scripted::{Scripted, answer};
use crate::support::{eventually, http};

/// OpenSSL writes no such country, so it is written as an organisation and renamed before it is signed once more.
fn party(folder: &Path, country: &str, bits: u32) -> &'static Party {
    let key = PKey::from_rsa(Rsa::generate(bits).unwrap()).unwrap();
    let mut subject = X509NameBuilder::new().unwrap();
    subject.append_entry_by_text("O", country).unwrap();
    subject.append_entry_by_text("CN", "*.as2.example.com").unwrap();
    let subject = subject.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_serial_number(&BigNum::from_u32(bits).unwrap().to_asn1_integer().unwrap()).unwrap();
    builder.set_subject_name(&subject).unwrap();
    builder.set_issuer_name(&subject).unwrap();
    builder.set_pubkey(&key).unwrap();
    builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(400).unwrap()).unwrap();
    builder.sign(&key, MessageDigest::sha256()).unwrap();
    let der = renamed(&builder.build().to_der().unwrap(), &key);
    let certificate = X509::from_der(&der).unwrap();
    assert!(certificate.verify(&key).unwrap());
    keys::kept(folder, country, key, certificate)
}

/// The same certificate with `C` for `O`, signed again.
fn renamed(der: &[u8], key: &PKey<Private>) -> Vec<u8> {
    // SEQUENCE { SEQUENCE tbs, algorithm, BIT STRING }, all with lengths of two octets.
    let length = |at: usize| usize::from(u16::from_be_bytes([der[at + 2], der[at + 3]])) + 4;
    assert!(der[..2] == [0x30, 0x82] && der[4..6] == [0x30, 0x82]);
    let mut tbs = der[4..4 + length(4)].to_vec();
    for at in 0..tbs.len() - 5 {
        if tbs[at..at + 5] == [0x06, 3, 0x55, 4, 0x0a] {
            tbs[at + 4] = 6;
        }
    }
    let mut signer = Signer::new(MessageDigest::sha256(), key).unwrap();
    let signature = signer.sign_oneshot_to_vec(&tbs).unwrap();
    let end = der.len() - signature.len();
    [&der[..4], &tbs, &der[4 + tbs.len()..end], &signature].concat()
}

#[test]
fn certificates_of_any_country_and_size_of_key_are_imported_and_used() {
    for (country, bits) in [("CHN", 2048), ("China", 3072), ("C", 4096)] {
        let peer = Scripted::start(|_, _| Some(answer(503, "", b"")));
        let home = Home::ours();
        let theirs = party(&home.path(""), country, bits);
        let accept = "signature = true\nencryption = true";
        home.partner("theirs", &PartnerFile { url: peer.url(), accept, ..PartnerFile::default() });
        let (config, file) = (home.config(), theirs.certificate_file.to_str().unwrap().to_owned());
        let imported = run(&["--config", config.to_str().unwrap(), "cert", "import", &file, "--partner", "theirs"]);
        assert!(imported.status.success(), "{country}: {}", String::from_utf8_lossy(&imported.stderr));
        // Without the one it had.
        let partner = home.path("partners/theirs.toml");
        let text = std::fs::read_to_string(&partner).unwrap();
        let old = keys::theirs().certificate_file.display().to_string();
        let text = text.replacen(&format!("[[certificates]]\nfile = \"{old}\"\n"), "", 1);
        assert!(!text.contains(&old), "{text}");
        std::fs::write(&partner, text).unwrap();

        let gateway = Gateway::start(&home);
        let signed = SendPlan { signing: Some(signing(theirs)), ..plan() };
        let letter = letter(&signed, "<1@theirs>", b"<a/>");
        let told = receipt_in(&http::post(home.as2, "/as2", &letter.headers, &letter.body).unwrap());
        assert!(told.disposition.is_positive(), "{country}: {}\n{}", told.disposition, gateway.log());
        assert_eq!(gateway.wait_for("theirs", "inbox", "letter.xml"), b"<a/>");

        home.submit("theirs", "order.xml", b"<order/>");
        let posted = eventually("it is sent", || peer.posted().into_iter().next());
        let Ok(Incoming::Message(request)) = as2::read_head(&posted.headers, &posted.body, &Limits::default()) else {
            panic!("not a message")
        };
        let decryption = DecryptionKey {
            certificate: Certificate::from_x509(&theirs.certificate).unwrap(),
            key: PrivateKey::from_pkey(theirs.key.clone()).unwrap(),
            transports: KeyTransport::ALL.to_vec(),
        };
        let trusted = [Certificate::from_x509(&keys::ours().certificate).unwrap()];
        let open_keys = OpenKeys { decryption: &[decryption], trusted: &trusted, known: &[] };
        let (policy, limits, mut payload) = (AcceptPolicy::default(), Limits::default(), Vec::new());
        as2::open(&request, &mut posted.body.as_slice(), &policy, &open_keys, &limits, &mut payload).unwrap();
        assert_eq!(payload, b"<order/>", "{country}");
    }
}

#[test]
fn a_message_is_judged_by_the_certificates_that_its_partner_has_when_all_of_it_is_there() {
    let home = Home::ours();
    let certificate = home.path("theirs.crt");
    std::fs::copy(&keys::stranger().certificate_file, &certificate).unwrap();
    home.partner("theirs", &PartnerFile { accept: "signature = true\nencryption = true", ..PartnerFile::default() });
    let file = home.path("partners/theirs.toml");
    change(&file, &keys::theirs().certificate_file.display().to_string(), &certificate.display().to_string());
    let gateway = Gateway::start(&home);
    let letter = letter(&plan(), "<1@theirs>", b"<a/>");
    let (first, rest) = letter.body.split_at(letter.body.len() / 2);
    let mut socket = TcpStream::connect(home.as2).unwrap();
    let length = letter.body.len();
    let head = format!(
        "POST /as2 HTTP/1.1\r\nHost: a\r\n{}Connection: close\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n\r\n",
        letter.headers
    );
    socket.write_all(head.as_bytes()).unwrap();
    let mut begun = [0; 25];
    socket.read_exact(&mut begun).unwrap();
    assert_eq!(begun, *b"HTTP/1.1 100 Continue\r\n\r\n");
    socket.write_all(first).unwrap();
    std::fs::copy(&keys::theirs().certificate_file, &certificate).unwrap();
    let taken = || gateway.log().contains("the configuration was read again").then_some(());
    eventually("the new certificate is taken", taken);
    let told = receipt_in(&http::over(&mut socket, rest).unwrap());
    assert!(told.disposition.is_positive(), "{}\n{}", told.disposition, gateway.log());
}
