//! Certificates, the messages that exchange them, and the lists that revoke them.

use dxgate::as2;
use dxgate::as2::cem::{self, CertificateReference, Exchange, ExchangeRequest, ExchangeResponse};
use dxgate::cms::{self, Certificate, Fingerprint};
use dxgate::ground::id::Id;
use dxgate::ground::limits::Limits;
use dxgate::mime::ContentType;

use super::{KEYS, limits};

/// A certificate in DER or PEM or several in PEM, what is shown of them and what names them; and a fingerprint as people write it.
///
/// What is written of one is read again as the same; what is shown has no control characters; what names it in XML needs no
/// escapes and picks it.
pub(super) fn certificate(data: &[u8]) {
    if let Ok(certificate) = Certificate::read(data) {
        is_shown(&certificate);
        is_named(&certificate);
        let _ = certificate.matches_issuer_serial(data, data) || certificate.matches_key_id(data);
        let _ = certificate.shares_its_name_with(&KEYS.sender);
    }
    if let Ok(all) = Certificate::all_from_pem(data)
        && !all.is_empty()
    {
        let pem: String = all.iter().map(Certificate::to_pem).collect();
        assert_eq!(Certificate::all_from_pem(pem.as_bytes()).expect("what we print we can read"), all);
    }
    let text = std::str::from_utf8(data).ok();
    if let Some(fingerprint) = text.and_then(|text| text.parse::<Fingerprint>().ok()) {
        let shown = fingerprint.to_string();
        assert!(shown.len() == 64 && shown.parse::<Fingerprint>().is_ok_and(|again| again == fingerprint));
    }
}

fn is_shown(certificate: &Certificate) {
    let again = Certificate::from_pem(certificate.to_pem().as_bytes()).expect("what we print we can read");
    assert_eq!(again.fingerprint(), certificate.fingerprint());
    assert_eq!(again.public_key_digest(), certificate.public_key_digest());
    for shown in [certificate.subject(), certificate.issuer(), certificate.serial()] {
        assert!(!shown.chars().any(char::is_control), "{shown:?}");
    }
    let _ = (certificate.key_kind(), certificate.key_algorithm(), certificate.key_bits());
    let _ = (certificate.not_before(), certificate.not_after(), certificate.is_self_signed());
    // OpenSSL says that these are UTF-8.
    assert!(certificate.names().iter().all(|name| std::str::from_utf8(name.as_bytes()).is_ok()));
}

fn is_named(certificate: &Certificate) {
    let reference = CertificateReference::of(certificate);
    assert!(!reference.issuer.contains(['<', '>', '&', '"']), "{}", reference.issuer);
    let digits = reference.serial.strip_prefix('-').unwrap_or(&reference.serial);
    assert!(digits.bytes().all(|byte| byte.is_ascii_digit()), "{}", reference.serial);
    assert_eq!(reference.pick(std::slice::from_ref(certificate)), Some(0));
}

/// A certificate exchange message: the XML alone, or a multipart with certificates behind the boundary that its first line names.
///
/// A reference picks only what has the serial number it names. What was read is read again from what is written of it: the same
/// certificates for the same uses, the same answers.
pub(super) fn certificate_exchange(data: &[u8]) {
    let limits = limits();
    match cem::read(&kind_of(data, &limits), &mut &*data, &limits) {
        Ok(Exchange::Request(request)) => is_asked_again(&request, &limits),
        Ok(Exchange::Response(response)) => is_answered_again(&response, &limits),
        Err(error) => {
            let text = error.text();
            assert!(!error.code().is_empty() && !text.zh.is_empty() && !text.en.is_empty());
        }
    }
    let _ = cms::certs_only::read(data, &limits);
}

fn kind_of(data: &[u8], limits: &Limits) -> String {
    let ours = as2::attachments::type_of_named(data, limits).filter(|kind| cem::is_exchange(Some(kind)));
    let line = data.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii_end();
    let boundary = line.strip_prefix(b"--").and_then(|boundary| std::str::from_utf8(boundary).ok());
    let related = |boundary: &str| {
        let kind = ContentType::new("multipart/related").with("type", cem::DOCUMENT_TYPE).with("boundary", boundary);
        kind.to_string()
    };
    ours.or_else(|| boundary.map(related)).unwrap_or_else(|| cem::DOCUMENT_TYPE.to_owned())
}

fn is_asked_again(request: &ExchangeRequest, limits: &Limits) {
    let payload = cem::request_payload(request, id(), "host").expect("what was read can be written");
    let Some(Exchange::Request(again)) = read_again(&payload, limits) else { return };
    assert_eq!(again.trust.len(), request.trust.len());
    for (again, trust) in again.trust.iter().zip(&request.trust) {
        assert_eq!((&again.certificate, &again.usages), (&trust.certificate, &trust.usages));
        assert_eq!(again.chain.len(), trust.chain.len());
        picks_what_it_names(&trust.reference);
    }
}

fn is_answered_again(response: &ExchangeResponse, limits: &Limits) {
    let payload = cem::response_payload(response, id(), "host").expect("what was read can be written");
    let Some(Exchange::Response(again)) = read_again(&payload, limits) else { return };
    assert_eq!(again.trust.len(), response.trust.len());
    for (again, trust) in again.trust.iter().zip(&response.trust) {
        assert_eq!(again.accepted, trust.accepted);
        picks_what_it_names(&trust.reference);
    }
}

/// `None`: escapes made it longer than a document may be.
fn read_again(payload: &[u8], limits: &Limits) -> Option<Exchange> {
    let kind = as2::attachments::type_of_named(payload, limits).expect("one of ours");
    match cem::read(&kind, &mut &*payload, limits) {
        Ok(exchange) => Some(exchange),
        Err(error) => {
            assert!(payload.len() > LONGEST, "what was written can be read: {error}");
            None
        }
    }
}

fn picks_what_it_names(reference: &CertificateReference) {
    let ours = [&KEYS.receiver, &KEYS.elliptic, &KEYS.sm2].map(|key| key.certificate.clone());
    let held: Vec<Certificate> = ours.into_iter().chain([KEYS.sender.clone()]).collect();
    let Some(place) = reference.pick(&held) else { return };
    let picked = held.get(place).expect("one of them");
    let number = |text: &str| text.trim().trim_start_matches('0').to_ascii_lowercase();
    let numbers = [picked.serial_decimal(), picked.serial()].map(|own| number(&own));
    assert!(numbers.contains(&number(&reference.serial)), "{reference:?}");
}

/// Of which our boundary is made; the seeds have another.
fn id() -> Id {
    "01920000000070008000000000000002".parse().expect("an id")
}

/// Bytes of the longest document that is read.
const LONGEST: usize = 64 * 1024;

/// A file of revocation lists and their issuers.
pub(super) fn revocation_list(data: &[u8]) {
    let Some(file) = cms::ListFile::read(data) else { return };
    assert!(!file.lists.is_empty() || !file.issuers.is_empty());
    for list in &file.lists {
        let _ = (list.next_update(), list.is_issued_by(&KEYS.list_issuer));
        let _ = file.issuers.iter().filter(|issuer| list.is_issued_by(issuer)).count();
        assert!(list.concerns(&KEYS.sender) || !list.revokes(&KEYS.sender));
    }
}
