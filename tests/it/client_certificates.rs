//! A gateway whose listener requires client certificates: whose opens which partner's door.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509NameBuilder};

use crate::support::correspondent::{letter, plan, receipt_in};
use crate::support::gateway::Gateway;
use crate::support::home::{Home, PartnerFile, Station};
use crate::support::http::{self, Answer};
use crate::support::keys::{self, Party};

/// By `issuer` for this name; without one, the issuer's own.
fn party(folder: &Path, name: &str, issuer: Option<&Party>) -> &'static Party {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
    let mut subject = X509NameBuilder::new().unwrap();
    subject.append_entry_by_text("CN", name).unwrap();
    let subject = subject.build();
    let now = jiff::Timestamp::now().as_second();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_serial_number(&BigNum::from_u32(1).unwrap().to_asn1_integer().unwrap()).unwrap();
    builder.set_subject_name(&subject).unwrap();
    builder.set_issuer_name(issuer.map_or(&*subject, |issuer| issuer.certificate.subject_name())).unwrap();
    builder.set_pubkey(&key).unwrap();
    builder.set_not_before(&Asn1Time::from_unix(now - 86_400).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::from_unix(now + 400 * 86_400).unwrap()).unwrap();
    let extension = match issuer {
        None => BasicConstraints::new().critical().ca().build().unwrap(),
        Some(_) => SubjectAlternativeName::new().dns(name).build(&builder.x509v3_context(None, None)).unwrap(),
    };
    builder.append_extension(extension).unwrap();
    builder.sign(issuer.map_or(&key, |issuer| &issuer.key), MessageDigest::sha256()).unwrap();
    keys::kept(folder, name, key, builder.build())
}

/// The answer to a message in the name of `theirs` to a client that shows this certificate; `None`: it is not let in.
fn answered(home: &Home, shown: Option<&Party>, message_id: &str) -> Option<Answer> {
    let mut builder = SslConnector::builder(SslMethod::tls()).unwrap();
    builder.set_verify(SslVerifyMode::NONE);
    if let Some(party) = shown {
        builder.set_certificate(&party.certificate).unwrap();
        builder.set_private_key(&party.key).unwrap();
    }
    let stream = TcpStream::connect(home.as2).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let configuration = builder.build().configure().unwrap().verify_hostname(false);
    // In TLS 1.3 a client hears of its refusal when it reads.
    let mut stream = configuration.connect("localhost", stream).ok()?;
    let letter = letter(&plan(), message_id, b"<a/>");
    let length = letter.body.len();
    let head = format!("POST /as2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n");
    http::over(&mut stream, &[head.as_bytes(), letter.headers.as_bytes(), b"\r\n", &letter.body].concat()).ok()
}

#[test]
fn where_a_certificate_is_required_each_partner_comes_in_by_its_own_alone() {
    let folder = tempfile::tempdir().unwrap();
    let made = |name: &str, issuer: Option<&Party>| party(folder.path(), name, issuer);
    let authority = made("Clients CA", None);
    let of_their_name = made("as2.theirs.example", Some(authority));
    let of_another_name = made("as2.others.example", Some(authority));
    let by_nobody_known = made("AS2.Theirs.example", Some(keys::stranger()));
    let ours = keys::ours();
    let more = format!(
        "[as2.tls]\ncertificate = \"{}\"\nprivate_key = \"{}\"\nclient_certificates = \"require\"\nclient_ca = \"{}\"\n",
        ours.certificate_file.display(),
        ours.key_file.display(),
        authority.certificate_file.display()
    );
    let home = Home::of(&Station { as2_name: "ours", party: ours, more: &more });
    let certificate = "use = [\"verify\", \"encrypt\", \"client\"]";
    let accept = "signature = true\nencryption = true\nclient_names = [\"as2.theirs.example\"]";
    home.partner("theirs", &PartnerFile { certificate, accept, ..PartnerFile::default() });
    let accept = "signature = true\nencryption = true\nclient_names = [\"as2.others.example\"]";
    let party = keys::stranger();
    home.partner("others", &PartnerFile { as2_name: "others", party, certificate, accept, ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    let rows = [
        ("their own", Some(keys::theirs()), Some(200)),
        ("by the CA, with their name", Some(of_their_name), Some(200)),
        ("another partner's", Some(keys::stranger()), Some(403)),
        ("by the CA, with another partner's name", Some(of_another_name), Some(403)),
        ("by somebody else, with their name", Some(by_nobody_known), None),
        ("none", None, None),
    ];
    for (number, (what, shown, status)) in rows.into_iter().enumerate() {
        let answer = answered(&home, shown, &format!("<{number}@theirs>"));
        assert_eq!(answer.as_ref().map(|answer| answer.status), status, "{what}: {answer:?}\n{}", gateway.log());
        if let Some(answer) = answer.filter(|answer| answer.status == 200) {
            let told = receipt_in(&answer).disposition;
            assert!(told.is_positive(), "{what}: {told}");
        }
    }
    let log = fs::read_to_string(home.log()).unwrap();
    assert_eq!(log.matches("client-certificate-foreign").count(), 2, "{log}");
}
