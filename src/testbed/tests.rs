//! What the testbed answers.

use super::*;
use crate::declaration::{dsig, sample};
use crate::ground::clock::SystemClock;
use crate::mime::BytesSource;

#[test]
fn a_message_that_cannot_be_answered_does_not_starve_the_others() {
    let exchange = tempfile::tempdir().expect("temporary folder");
    let inbox = exchange.path().join("enterprise").join("inbox");
    durable::create_dir_all(&inbox).expect("made");
    durable::create_dir_all(&exchange.path().join("enterprise").join("outbox")).expect("made");
    let head = |name: &str| EnvelopeHead {
        cop_msg_id: "C1".into(),
        sender_id: "DXPENT0000000001".into(),
        receiver_ids: vec!["DXPEDCCEB0000002".into()],
        creat_time: envelope::creat_time(SystemClock.now()),
        msg_type: "CEB311Message".into(),
        file_name: Some(name.into()),
        ..EnvelopeHead::default()
    };
    for name in ["a.xml", "b.xml"] {
        let document = sample::order(1, "DXPENT0000000001", SystemClock.now(), 1);
        let mut wrapped = Vec::new();
        envelope::wrap(&head(name), &mut document.as_slice(), &mut wrapped).expect("wrapped");
        durable::write_new(&inbox.join(name), &wrapped).expect("written");
        durable::write_new(&inbox.join(format!("{name}.meta.json")), b"{}").expect("written");
    }
    let blocked = exchange.path().join("enterprise").join(ARCHIVE).join("a.xml");
    durable::create_dir_all(&blocked.join("in the way")).expect("made");
    let responder = responder(exchange.path());
    assert_eq!(responder.answer_waiting().expect("goes on"), 2);
    let archive = exchange.path().join("enterprise").join(ARCHIVE);
    assert!(archive.join("a.xml.unanswered").is_file() && archive.join("b.xml").is_file());
    assert_eq!(responder.answer_waiting().expect("nothing left"), 0);
}

fn responder(exchange: &Path) -> Responder {
    let (bench, tables) = (Bench::new(Scenario::brief()), Arc::default());
    Responder::new(exchange, bench, tables, Arc::new(SystemClock), Limits::default())
}

const DXPID: &str = "DXPENT0000000001";

/// What customs answers to this declaration in an envelope of this type.
fn answered(message_type: &str, document: &[u8], scenario: &Scenario) -> Vec<Answer> {
    let exchange = tempfile::tempdir().expect("temporary folder");
    let now = SystemClock.now();
    let head = EnvelopeHead {
        cop_msg_id: "C1".into(),
        sender_id: DXPID.into(),
        receiver_ids: vec!["DXPEDCCEB0000002".into(), "DXPEDCCEB0000003".into()],
        creat_time: envelope::creat_time(now),
        msg_type: message_type.into(),
        file_name: None,
        ..EnvelopeHead::default()
    };
    let mut wrapped = Vec::new();
    envelope::wrap(&head, &mut &*document, &mut wrapped).expect("wrapped");
    let file = exchange.path().join("message.xml");
    durable::write_new(&file, &wrapped).expect("written");
    responder(exchange.path()).answers(&file, now, scenario).expect("read")
}

/// Type of each answer and its statuses, or the code of the platform.
type Said = Vec<(String, Vec<String>)>;

fn said(answers: &[Answer]) -> Said {
    let limits = Limits::default();
    let statuses = |answer: &Answer| match envelope::unwrap(&mut &answer.bytes[..], &mut Vec::new(), &limits) {
        Ok(Unwrapped::Response { response }) => response.responses.iter().map(|one| one.code.clone()).collect(),
        _ => {
            let receipt = receipt::read(&mut &answer.bytes[..], &limits).expect("a receipt");
            receipt.entries.iter().map(|entry| entry.status.clone()).collect()
        }
    };
    answers.iter().map(|answer| (answer.msg_type.clone(), statuses(answer))).collect()
}

fn one(message_type: &str, statuses: &[&str]) -> Said {
    vec![(message_type.to_owned(), statuses.iter().map(|&status| status.to_owned()).collect())]
}

#[test]
fn customs_answers_errors_of_the_pre_check_with_the_code_of_the_finding() {
    let now = SystemClock.now();
    let limits = Limits::default();
    let list = sample::inventory(1, DXPID, now, 1);
    let signed = dsig::sign(&BytesSource(&list), &signer(now), &limits).expect("signed").to_vec().expect("in memory");
    let order = sample::order(3, DXPID, now, 1);
    let with = |bytes: &[u8], from: &str, to: &str| {
        let text = String::from_utf8(bytes.to_vec()).expect("UTF-8");
        assert!(text.contains(from), "{from}");
        text.replacen(from, to, 1).into_bytes()
    };
    let changed = with(&signed, "<ceb:buyerName>", "<ceb:buyerName>王");
    let second = with(&order, "<ceb:gnum>1</ceb:gnum>", "<ceb:gnum>7</ceb:gnum>");
    let foreign = with(&order, DXPID, "DXPENT0000000002");
    let rows: [(&str, &[u8], Said); 9] = [
        ("CEB621Message", &signed, one("CEB622Message", &["899"])),
        ("CEB621Message", &list, one("CEB622Message", &["-621026"])),
        ("CEB621Message", &changed, one("CEB622Message", &["-621028"])),
        ("CEB311Message", &order, one("CEB312Message", &["120", "120", "120"])),
        // The first document alone counts its lines wrongly.
        ("CEB311Message", &second, one("CEB312Message", &["-301002", "120", "120"])),
        ("CEB311Message", &with(&order, "orderType>I<", "orderType>Q<"), one("CEB312Message", &["100", "120", "120"])),
        ("CEB311Message", &with(&order, "<ceb:orderType>I</ceb:orderType>", ""), one("CEB900Message", &["-1"])),
        ("CEB311Message", &foreign, one("CEB312Message", &["100", "100", "100"])),
        ("CEB621Message", &order, one("DxpRep", &["0002"])),
    ];
    for (message_type, document, expected) in rows {
        assert_eq!(said(&answered(message_type, document, &Scenario::brief())), expected, "{message_type}");
    }
    let blind = Scenario { precheck: false, ..Scenario::brief() };
    assert_eq!(said(&answered("CEB621Message", &list, &blind)), one("CEB622Message", &["899"]));
    let whole = said(&answered("CEB621Message", &changed, &Scenario::default()));
    assert_eq!(whole, [one("CEB622Message", &["2"]), one("CEB622Message", &["-621028"])].concat());
}

fn signer(now: Timestamp) -> dsig::KeySigner {
    let request = crate::keys::generate::KeyRequest {
        common_name: "x".into(),
        organization: None,
        hosts: Vec::new(),
        bits: 256,
        days: 30,
    };
    let pair = crate::keys::declarations::generate(&request, dsig::Algorithm::Sm2Sm3, None, now).expect("made");
    let key = crate::cms::read_pem(pair.key_pem.expose(), None).expect("a key");
    let certificate = crate::cms::Certificate::from_pem(&pair.certificate_pem).expect("a certificate");
    dsig::KeySigner::new(key, certificate).expect("a pair")
}
