//! R07: signatures are there, and hold.

use openssl::pkey::PKey;
use openssl::rsa::Rsa;

use super::super::super::dsig::{DocumentSigner, KeySigner, SignatureProblem, sign};
use super::rules::made;
use super::*;
use crate::cms::Certificate;
use crate::mime::BytesSource;

/// A signer with a certificate of its own for the year 2026.
fn signer() -> KeySigner {
    use openssl::asn1::Asn1Time;
    use openssl::bn::BigNum;
    let key = PKey::from_rsa(Rsa::generate(2048).expect("a key")).expect("a key");
    let mut builder = openssl::x509::X509::builder().expect("a builder");
    let serial = BigNum::from_u32(0x1234_5678).and_then(|number| number.to_asn1_integer()).expect("a number");
    builder.set_serial_number(&serial).expect("set");
    builder.set_pubkey(&key).expect("set");
    builder.set_not_before(&Asn1Time::from_str("20260101000000Z").expect("an instant")).expect("set");
    builder.set_not_after(&Asn1Time::from_str("20261231000000Z").expect("an instant")).expect("set");
    builder.sign(&key, openssl::hash::MessageDigest::sha256()).expect("signed");
    KeySigner::new(key, Certificate::from_x509(&builder.build()).expect("a certificate")).expect("a pair")
}

fn signed_by(signer: &dyn DocumentSigner, document: &[u8]) -> String {
    let limits = Limits::default();
    let signed = sign(&BytesSource(document), signer, &limits).map(|signed| signed.to_vec().expect("read"));
    String::from_utf8(signed.expect("signed")).expect("UTF-8")
}

fn export_list() -> Vec<u8> {
    sample::export_inventory(2, DXPID, at(), 5)
}

/// What the outbox does with a file that nobody signs any more.
fn verified(document: &[u8]) -> Report {
    let expect = Expectations { to_be_signed: false, ..expect() };
    let mut report = check(&mut &document[..], &expect, &Limits::default());
    verify_signatures(&BytesSource(document), &mut report, &expect, &Limits::default());
    report
}

fn codes(document: &str) -> Vec<String> {
    let report = verified(document.as_bytes());
    report.findings.into_iter().map(|finding| format!("{} {}", finding.rule, finding.code)).collect()
}

#[test]
fn r07_wants_signatures_on_what_is_declared() {
    let export = String::from_utf8(export_list()).expect("UTF-8");
    assert_eq!(codes(&export), ["R07 signature-missing"]);
    assert_eq!(found(export.as_bytes()), [], "it is signed later");
    let import = String::from_utf8(sample::inventory(1, DXPID, at(), 5)).expect("UTF-8");
    assert_eq!(codes(&import), ["R03 element-missing", "R07 signature-missing"]);
    assert_eq!(codes(&with(&import, "appStatus", "1")), ["R03 element-missing"]);
    assert_eq!(codes(&declaration(1)), [] as [&str; 0], "an order may be unsigned");
}

#[test]
fn r07_is_silent_about_a_signature_that_holds() {
    let signer = signer();
    for document in [export_list(), sample::inventory(3, DXPID, at(), 5), declaration(2).into_bytes()] {
        assert_eq!(codes(&signed_by(&signer, &document)), [] as [&str; 0]);
    }
}

#[test]
fn r07_finds_every_signature_that_does_not_hold() {
    let signer = signer();
    let good = signed_by(&signer, &export_list());
    let other = signed_by(&self::signer(), &export_list());
    let part = |text: &str, from: &str, to: &str| {
        let (_, rest) = text.split_once(from).expect("its begin");
        format!("{from}{}{to}", rest.split_once(to).expect("its end").0)
    };
    let certificate = |text: &str| part(text, "<ds:X509Certificate>", "</ds:X509Certificate>");
    let whole = part(&good, "<ds:Signature>", "</ds:Signature>");
    let value = |text: &str| part(text, "<ds:SignatureValue>", "</ds:SignatureValue>");
    let rows = [
        ("changed afterwards", good.replacen("<ceb:orderNo>", "<ceb:orderNo>X", 1), "signature-digest"),
        ("of another key", good.replace(&certificate(&good), &certificate(&other)), "signature-value"),
        ("another value", good.replace(&value(&good), &value(&other)), "signature-value"),
        ("no certificate", good.replace(&certificate(&good), ""), "signature-certificate"),
        (
            "not a certificate",
            good.replace(&certificate(&good), "<ds:X509Certificate>AAAA</ds:X509Certificate>"),
            "signature-certificate",
        ),
        ("another reference", good.replace("URI=\"\"", "URI=\"#a\""), "signature-reference"),
        ("an algorithm of nobody", good.replace("xmldsig#rsa-sha1", "xmldsig#none"), "signature-algorithm"),
        (
            "a key of another kind",
            good.replace(
                "http://www.w3.org/2000/09/xmldsig#rsa-sha1",
                "http://www.chinaport.gov.cn/2022/04/xmldsig#sm2-sm3",
            ),
            "signature-key",
        ),
    ];
    for (what, document, code) in rows {
        assert!(codes(&document).contains(&format!("R07 {code}")), "{what}: {:?}", codes(&document));
    }
    let twice = good.replace(&whole, &format!("{whole}{whole}"));
    assert!(codes(&twice).contains(&"R07 signature-twice".to_owned()), "{:?}", codes(&twice));
    let value = good.replace("<ds:SignatureValue>", "<ds:SignatureValue>AA=A");
    assert!(codes(&value).contains(&"R07 signature-shape".to_owned()), "{:?}", codes(&value));
}

#[test]
fn r07_warns_of_what_customs_may_not_accept() {
    let signer = signer().named(Some("0001".to_owned()));
    let report = verified(signed_by(&signer, &export_list()).as_bytes());
    let finding = &report.findings[0];
    assert_eq!(
        (finding.code.as_str(), finding.level, report.findings.len()),
        ("signature-key-name", Level::Warning, 1)
    );
    assert_eq!(finding.path, "CEB603Message/Signature");
    assert_eq!(report.verdict(), Verdict::Accepted);
}

#[test]
fn r07_knows_that_certificates_expire() {
    let document = signed_by(&signer(), &export_list());
    let later = "2027-03-01T00:00:00Z".parse().expect("an instant");
    let expect = Expectations { now: Some(later), ..expect() };
    let mut report = check(&mut document.as_bytes(), &expect, &Limits::default());
    verify_signatures(&BytesSource(&document), &mut report, &expect, &Limits::default());
    assert_eq!(report.findings.last().map(|finding| finding.code.as_str()), Some("signature-expired"));
}

#[test]
fn r07_looks_into_envelopes_and_at_their_own_signature() {
    let signer = signer();
    let inside = signed_by(&signer, declaration(2).as_bytes());
    let sealed = signed_by(&signer, &envelope(inside.as_bytes()));
    assert_eq!(codes(&sealed), [] as [&str; 0]);
    let moved = sealed.replace("<dxp:CreatTime>2026-03-01T09:30:00", "<dxp:CreatTime>2026-03-01T09:30:01");
    let report = verified(moved.as_bytes());
    let finding = &report.findings[0];
    assert_eq!((finding.code.as_str(), finding.path.as_str()), ("signature-digest", "DxpMsg/Signature"));
    assert_eq!(finding.customs_code.as_deref(), Some("1004"));
    let report = verified(&envelope(inside.replacen("<ceb:orderNo>", "<ceb:orderNo>X", 1).as_bytes()));
    let finding = &report.findings[0];
    assert_eq!(
        (finding.code.as_str(), finding.path.as_str()),
        ("signature-digest", "DxpMsg/Data/CEB311Message/Signature")
    );
    // Nobody signs inside of an envelope any more, whatever is done with bare documents.
    let unsigned = String::from_utf8(envelope(&export_list())).expect("UTF-8");
    let unsigned = unsigned.replace("CEB311Message", "CEB603Message").replace("CEB0000002", "CEB0000003");
    assert_eq!(found(unsigned.as_bytes()), [rule_and_code("R07", "signature-missing")]);
}

#[test]
fn levels_hold_for_signatures_too() {
    let document = signed_by(&signer(), &export_list()).replacen("<ceb:orderNo>", "<ceb:orderNo>X", 1);
    let mut levels = Levels::default();
    levels.set("signature-digest", Weight::Warning).expect("a code");
    let expect = Expectations { levels: &levels, ..expect() };
    let mut report = check(&mut document.as_bytes(), &expect, &Limits::default());
    verify_signatures(&BytesSource(&document), &mut report, &expect, &Limits::default());
    assert_eq!(report.verdict(), Verdict::Accepted);
}

#[test]
fn every_problem_and_variant_of_a_signature_has_its_code_in_the_catalogue() {
    use super::super::super::dsig::Variant;
    let problems = [
        SignatureProblem::Missing,
        SignatureProblem::Several,
        SignatureProblem::Shape("x"),
        SignatureProblem::Reference,
        SignatureProblem::Algorithm(String::new()),
        SignatureProblem::Certificate,
        SignatureProblem::Key,
        SignatureProblem::Digest,
        SignatureProblem::Value,
    ];
    let variants =
        [Variant::MethodUri, Variant::DigestMethod, Variant::WithComments, Variant::CommentsCovered, Variant::KeyName];
    let codes = problems.iter().map(SignatureProblem::code).chain(variants.map(Variant::code));
    for code in codes {
        assert!(catalogue::knows(code), "{code}");
    }
}

#[test]
fn every_message_that_must_be_signed_is_missed_without_signature() {
    // Message, its appStatus, and whether one that is kept back (1) must be signed as well.
    let rows = [
        ("CEB621Message", "Inventory/InventoryHead/appStatus", false),
        ("CEB623Message", "InvtCancel/appStatus", false),
        ("CEB625Message", "InvtRefund/InvtRefundHead/appStatus", false),
        ("CEB507Message", "Arrival/ArrivalHead/appStatus", false),
        ("CEB509Message", "Departure/DepartureHead/appStatus", true),
        ("CEB603Message", "Inventory/InventoryHead/appStatus", true),
        ("CEB605Message", "InvtCancel/appStatus", true),
        ("CEB607Message", "WayBill/WayBillHead/appStatus", true),
        ("CEB701Message", "SummaryApply/SummaryApplyHead/appStatus", true),
        ("CEB711Message", "Delivery/DeliveryHead/appStatus", true),
        ("CEB311Message", "Order/OrderHead/appStatus", false),
    ];
    let bare = |name: &str, path: &str, status: &str| {
        let xml = made(name, &[(path, Some(status))]);
        let (start, end) = (xml.find("<ds:Signature>").or(xml.find("<ds:Signature ")), "</ds:Signature>");
        let end = xml.find(end).expect("its end") + end.len();
        let xml = format!("{}{}", &xml[..start.expect("a signature")], &xml[end..]);
        let expect = Expectations { to_be_signed: false, ..expect() };
        let found = check(&mut xml.as_bytes(), &expect, &Limits::default()).findings;
        found.iter().any(|finding| (finding.rule.as_str(), finding.code.as_str()) == ("R07", "signature-missing"))
    };
    for (name, path, always) in rows {
        assert_eq!(bare(name, path, "1"), always, "{name} kept back");
        assert_eq!(bare(name, path, "2"), name != "CEB311Message", "{name} declared");
    }
}
