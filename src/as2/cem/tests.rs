use openssl::asn1::{Asn1Object, Asn1OctetString, Asn1Time};
use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::x509::{X509, X509Extension, X509Name};
use proptest::prelude::*;

use super::*;
use crate::as2::specimens::{ALICE, ALICE_P256, BOB, date};
use crate::ground::id::Id;
use crate::ground::limits::Limits;

fn id() -> Id {
    "01920000-0000-7000-8000-000000000001".parse().unwrap()
}

fn info() -> TradingPartnerInfo {
    TradingPartnerInfo { name: "ACME & 订单".to_owned(), originated: Some(date()) }
}

fn request() -> ExchangeRequest {
    let trust = |certificate: &Certificate, usages: &[CertUsage], chain: Vec<Certificate>| TrustRequest {
        usages: usages.to_vec(),
        respond_by: Some(date()),
        response_url: "https://acme.example/as2?a=1&b=2".to_owned(),
        certificate: certificate.clone(),
        reference: CertificateReference::of(certificate),
        chain,
    };
    let both = [CertUsage::DigitalSignature, CertUsage::KeyEncipherment];
    let trust = vec![
        trust(&ALICE.certificate, &both, vec![BOB.certificate.clone()]),
        trust(&ALICE_P256.certificate, &[CertUsage::TlsServer, CertUsage::TlsClient], Vec::new()),
    ];
    ExchangeRequest { request_id: "r-1".to_owned(), from: info(), trust }
}

fn response() -> ExchangeResponse {
    let reference = CertificateReference::of(&ALICE.certificate);
    let accepted = TrustResponse { accepted: true, reason: None, reference: reference.clone() };
    let reason = Some("not by <telephone> & \"mail\"".to_owned());
    let rejected = TrustResponse { accepted: false, reason, reference };
    ExchangeResponse { request_id: "r-1".to_owned(), from: info(), trust: vec![accepted, rejected] }
}

/// The type that the outbound flow finds for a payload, and the payload.
fn typed(payload: Vec<u8>) -> (String, Vec<u8>) {
    let kind = crate::as2::attachments::type_of_named(&payload, &Limits::default()).expect("a multipart of ours");
    (kind, payload)
}

fn asked() -> (String, Vec<u8>) {
    typed(request_payload(&request(), id(), "acme.example").unwrap())
}

fn open((kind, payload): &(String, Vec<u8>)) -> Result<Exchange, CemError> {
    assert!(is_exchange(Some(kind)), "{kind}");
    read(kind, &mut payload.as_slice(), &Limits::default())
}

/// The request with `from` replaced in its bytes.
fn changed(from: &str, to: &str) -> Result<Exchange, CemError> {
    let (kind, payload) = asked();
    let text = String::from_utf8_lossy(&payload);
    assert!(text.contains(from), "{from}");
    // The certificates are not text: only what stands before them is changed.
    let place = payload.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
    let bytes = [&payload[..place], to.as_bytes(), &payload[place + from.len()..]].concat();
    open(&(kind, bytes))
}

#[test]
fn a_request_arrives_as_it_was_made() {
    let payload = asked();
    assert!(payload.0.contains("type=\"application/ediint-cert-exchange+xml\""), "{}", payload.0);
    assert_eq!(open(&payload).unwrap(), Exchange::Request(request()));
}

#[test]
fn a_response_arrives_as_it_was_made() {
    let payload = typed(response_payload(&response(), id(), "acme.example").unwrap());
    assert_eq!(open(&payload).unwrap(), Exchange::Response(response()));
}

#[test]
fn the_xml_is_that_of_the_draft() {
    let (_, payload) = asked();
    let text = String::from_utf8_lossy(&payload);
    let order = [
        "<EDIINTCertificateExchangeRequest xmlns=\"urn:ietf:params:xml:ns:ediintcertificateexchange\"",
        "requestId=\"r-1\"",
        "<TradingPartnerInfo>",
        "<Name qualifier=\"AS2\">ACME &amp; 订单</Name>",
        "<MessageOriginated>2026-11-22T06:00:00+00:00</MessageOriginated>",
        "<TrustRequest>",
        "<CertUsage>digitalSignature</CertUsage>",
        "<CertUsage>keyEncipherment</CertUsage>",
        "<RespondByDate>2026-",
        "<ResponseURL>https://acme.example/as2?a=1&amp;b=2</ResponseURL>",
        "<EndEntity>",
        "<CertificateIdentifier>",
        "<ds:X509IssuerName>CN=alice</ds:X509IssuerName>",
        "<ds:X509SerialNumber>1</ds:X509SerialNumber>",
        "<CertificateContentID>01920000000070008000000000000001.1@acme.example</CertificateContentID>",
        "</TrustRequest>",
        "Content-Type: application/pkcs7-mime; smime-type=certs-only",
        "Content-ID: <01920000000070008000000000000001.1@acme.example>",
    ];
    let mut from = 0;
    for wanted in order {
        let place = text[from..].find(wanted);
        from += place.unwrap_or_else(|| panic!("{wanted} is not there, or too early")) + wanted.len();
    }
}

#[test]
fn only_the_type_of_an_exchange_is_one() {
    for kind in [
        "multipart/related; type=\"application/ediint-cert-exchange+xml\"; boundary=x",
        "Multipart/Related; boundary=x; TYPE=Application/EDIINT-cert-exchange+xml",
        "application/ediint-cert-exchange+xml; charset=utf-8",
    ] {
        assert!(is_exchange(Some(kind)), "{kind}");
    }
    for kind in ["multipart/related; type=\"application/xml\"; boundary=x", "application/xml", "", "x"] {
        assert!(!is_exchange(Some(kind)), "{kind}");
    }
    assert!(!is_exchange(None));
}

#[test]
fn other_spellings_of_the_same_are_read() {
    let same = |read: Result<Exchange, CemError>| assert_eq!(read.unwrap(), Exchange::Request(request()));
    same(changed("<CertificateContentID>", "<CertificateContentID>cid:"));
    same(changed("<CertUsage>digitalSignature</CertUsage>", "<CertUsage> DigitalSignature </CertUsage>"));
    same(changed(
        "<TrustRequest>",
        "<Extension xmlns=\"urn:other\"><CertUsage>x</CertUsage></Extension><TrustRequest>",
    ));
    same(changed(
        "Content-ID: <01920000000070008000000000000001.1@acme.example>",
        "Content-ID: 01920000000070008000000000000001.1@ACME.example",
    ));
    same(changed("0001.1@acme.example</", "0001.1%40acme.example</"));
    same(changed(
        "<Name qualifier=\"AS2\">ACME &amp; 订单</Name>",
        "<Name qualifier=\"DUNS\">1</Name><Name qualifier=\"AS2\"><![CDATA[ACME & 订单]]></Name>",
    ));
    let named = |read: Result<Exchange, CemError>| match read.unwrap() {
        Exchange::Request(read) => (read.trust[0].reference.clone(), read.trust[0].certificate == ALICE.certificate),
        Exchange::Response(_) => panic!("a response"),
    };
    let reference = |issuer: &str, serial: &str| CertificateReference { issuer: issuer.into(), serial: serial.into() };
    let other_serial = changed("<ds:X509SerialNumber>1<", "<ds:X509SerialNumber>01<");
    assert_eq!(named(other_serial), (reference("CN=alice", "01"), true), "kept as it came, to be repeated");
    let other_issuer = changed("<ds:X509IssuerName>CN=alice<", "<ds:X509IssuerName>/CN=alice<");
    assert_eq!(named(other_issuer), (reference("/CN=alice", "1"), true));
    same(changed("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n", "\u{feff}"));
    let no_date = changed("<RespondByDate>20", "<RespondByDate>soon 20").unwrap();
    assert!(matches!(no_date, Exchange::Request(read) if read.trust[0].respond_by.is_none()));
    same(changed("<MessageOriginated>2026-11-22T06:00:00+00:00", "<MessageOriginated>2026-11-22T06:00:00"));
    same(changed("<MessageOriginated>2026-11-22T06:00:00+00:00", "<MessageOriginated>2026-11-22T14:00:00.000+08:00"));
}

#[test]
fn prefixes_of_any_name_are_read() {
    let xml = "<c:EDIINTCertificateExchangeResponse xmlns:c=\"urn:ietf:params:xml:ns:ediintcertificateexchange\" \
        xmlns:d=\"http://www.w3.org/2000/09/xmldsig#\" requestId=\"r-1\"><c:TradingPartnerInfo><c:Name>B</c:Name>\
        </c:TradingPartnerInfo><c:TrustResponse><c:CertStatus>Accepted</c:CertStatus><c:CertificateReference>\
        <d:X509IssuerName>CN=alice</d:X509IssuerName><d:X509SerialNumber>1</d:X509SerialNumber>\
        </c:CertificateReference></c:TrustResponse></c:EDIINTCertificateExchangeResponse>";
    let read = open(&(DOCUMENT_TYPE.to_owned(), xml.as_bytes().to_vec())).unwrap();
    let Exchange::Response(read) = read else { panic!("a request") };
    assert!(
        read.trust[0].accepted && read.trust[0].reference.pick(std::slice::from_ref(&ALICE.certificate)) == Some(0)
    );
    assert_eq!(read.trust[0].reference.pick(std::slice::from_ref(&BOB.certificate)), None);
}

#[test]
fn what_lacks_something_or_contradicts_itself_is_refused() {
    let code = |read: Result<Exchange, CemError>| read.expect_err("refused").code();
    for (from, to, wanted) in [
        ("requestId=\"r-1\"", "", "cem-document-invalid"),
        ("requestId=\"r-1\"", "requestId=\" \"", "cem-document-invalid"),
        ("<Name ", "<Nom ", "cem-document-unreadable"),
        ("<CertUsage>digitalSignature</CertUsage>", "<CertUsage>everything</CertUsage>", "cem-document-invalid"),
        ("<ds:X509SerialNumber>1<", "<ds:X509SerialNumber>77<", "cem-certificate-missing"),
        ("0001.1@acme.example</", "0001.7@acme.example</", "cem-certificate-missing"),
        ("ns:ediintcertificateexchange", "ns:another", "cem-document-unreadable"),
        ("</EDIINTCertificateExchangeRequest>", "", "cem-document-unreadable"),
        ("<?xml version=\"1.0\" encoding=\"UTF-8\"?>", "<!DOCTYPE x [<!ENTITY a \"b\">]>", "cem-document-unreadable"),
        ("ACME &amp;", "ACME &a;", "cem-document-unreadable"),
        ("Content-Type: application/ediint-cert-exchange+xml", "Content-Type: text/plain", "cem-document-unreadable"),
        (
            "smime-type=certs-only\r\nContent-Transfer-Encoding: binary\r\nContent-ID: <01920000000070008000000000000001.1@acme.example>\r\n\r\n",
            "\r\nContent-ID: <01920000000070008000000000000001.1@acme.example>\r\n\r\nx",
            "cem-certificate-missing",
        ),
    ] {
        assert_eq!(code(changed(from, to)), wanted, "{from} → {to}");
    }
}

#[test]
fn a_document_grows_neither_in_depth_nor_in_number() {
    let deep = "<a>".repeat(100_000);
    let read = open(&(DOCUMENT_TYPE.to_owned(), deep.into_bytes()));
    assert!(matches!(read, Err(CemError::Xml(_))), "{read:?}");
    let long = (DOCUMENT_TYPE.to_owned(), vec![b' '; usize::try_from(MAX_BYTES).unwrap() + 1]);
    assert!(matches!(open(&long), Err(CemError::TooLong)));
    let mut many = request();
    many.trust = vec![many.trust[0].clone(); MAX_CERTIFICATES + 1];
    let many = typed(request_payload(&many, id(), "acme.example").unwrap());
    assert!(matches!(open(&many), Err(CemError::TooMany)));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn any_text_in_a_response_arrives_as_it_was(name in "\\PC{1,40}", reason in "[ -~\\t\\n\u{4e00}-\u{4eff}]{1,80}", serial in "[1-9][0-9]{0,30}") {
        let (name, reason) = (name.trim().to_owned(), reason.trim().to_owned());
        let from = TradingPartnerInfo { name, originated: None };
        let reason = Some(reason).filter(|reason| !reason.is_empty());
        let reference = CertificateReference { issuer: "CN=a\\, b".to_owned(), serial };
        let trust = vec![TrustResponse { accepted: false, reason, reference }];
        let response = ExchangeResponse { request_id: "a<b>&\"'".to_owned(), from, trust };
        let payload = typed(response_payload(&response, id(), "host").unwrap());
        prop_assert_eq!(open(&payload).unwrap(), Exchange::Response(response));
    }

    #[test]
    fn reading_takes_anything(bytes in prop::collection::vec(any::<u8>(), 0..400), place in 0usize..4000, with in any::<u8>()) {
        let _ = open(&(DOCUMENT_TYPE.to_owned(), bytes));
        let (kind, mut payload) = asked();
        let place = place % payload.len();
        payload[place] = with;
        let _ = open(&(kind, payload));
    }
}

/// A certificate with an extension of so many bytes.
fn certificate(subject: &str, issuer: &str, serial: u32, extension: usize) -> Certificate {
    let name = |text: &str| {
        let mut name = X509Name::builder().unwrap();
        name.append_entry_by_text("CN", text).unwrap();
        name.build()
    };
    let key = PKey::generate_ed25519().unwrap();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_serial_number(&BigNum::from_u32(serial).unwrap().to_asn1_integer().unwrap()).unwrap();
    builder.set_subject_name(&name(subject)).unwrap();
    builder.set_issuer_name(&name(issuer)).unwrap();
    builder.set_not_before(&Asn1Time::from_str("20200101000000Z").unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::from_str("20491231235959Z").unwrap()).unwrap();
    builder.set_pubkey(&key).unwrap();
    let (kind, bytes) = (Asn1Object::from_str("1.2.3.4").unwrap(), vec![7; extension]);
    let bytes = Asn1OctetString::new_from_bytes(&bytes).unwrap();
    builder.append_extension(X509Extension::new_from_der(&kind, false, &bytes).unwrap()).unwrap();
    builder.sign(&key, MessageDigest::null()).unwrap();
    Certificate::from_x509(&builder.build()).unwrap()
}

#[test]
fn of_certificates_with_one_serial_number_the_one_that_is_meant_is_taken_or_none() {
    let root = certificate("root", "root", 1, 1);
    let leaf = certificate("acme", "root", 1, 1);
    let other = certificate("acme", "other", 1, 1);
    let named = |issuer: &str, serial: &str, held: &[&Certificate]| {
        let held: Vec<Certificate> = held.iter().copied().cloned().collect();
        CertificateReference { issuer: issuer.to_owned(), serial: serial.to_owned() }.pick(&held)
    };
    assert_eq!(named("CN=root", "1", &[&root, &leaf]), Some(1), "not its issuer");
    assert_eq!(named("CN=other", "1", &[&leaf, &other]), Some(1));
    assert_eq!(named("CN=root", "1", &[&leaf, &other]), Some(0));
    assert_eq!(named("an issuer written otherwise", "1", &[&leaf, &other]), None, "either may be meant");
    assert_eq!(named("an issuer written otherwise", "1", &[&leaf, &leaf]), Some(0), "it came twice");
    let sixteen = certificate("acme", "root", 16, 1);
    let ten = certificate("acme", "root", 10, 1);
    assert_eq!(named("CN=root", "10", &[&sixteen, &ten]), Some(1), "decimal before hexadecimal");
    assert_eq!(named("CN=root", "10", &[&sixteen]), Some(0));
    assert_eq!(named("CN=root", "2", &[&leaf]), None);
}

#[test]
fn a_certificate_that_is_too_long_to_be_kept_is_refused() {
    let with = |extension| {
        let mut request = request();
        let one = &mut request.trust[0];
        one.certificate = certificate("acme", "acme", 77, extension);
        one.reference = CertificateReference::of(&one.certificate);
        open(&typed(request_payload(&request, id(), "acme.example").unwrap()))
    };
    assert!(matches!(with(1000), Ok(Exchange::Request(_))));
    let refused = with(MAX_CERTIFICATE).unwrap_err();
    assert!(matches!(&refused, CemError::LongCertificate(_)), "{refused}");
    assert_eq!(refused.code(), "cem-too-long");
}

#[test]
fn a_document_of_many_namespaces_is_refused_before_it_is_parsed() {
    let declared: String = (0..300).map(|number| format!(" xmlns:n{number}=\"u:{number}\"")).collect();
    let refused = changed(" requestId=", &format!("{declared} requestId=")).unwrap_err();
    assert!(matches!(&refused, CemError::Xml(why) if why.contains("namespaces")), "{refused}");
    let long = " ".repeat(64 * 1024);
    let refused = changed(" requestId=", &format!("{long} requestId=")).unwrap_err();
    assert!(matches!(&refused, CemError::Xml(why) if why.contains("longer than")), "{refused}");
}
