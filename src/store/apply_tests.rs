use super::*;
use crate::store::record::{Answered, Content, DedupKey, Findings, Folder, PlatformAnswer, Said};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

const ID: [u8; 16] = [7; 16];

fn body(number: u8) -> Body {
    Body { id: Id::from_bytes([number; 16]), len: 1, sha256: Some([number; 32]), crc32c: None }
}

fn reason(code: &str) -> Reason {
    Reason { code: code.to_owned(), text: crate::bilingual!("原因", "reason") }
}

fn receipt() -> Receipt {
    Receipt {
        body: body(9),
        headers: Headers::default(),
        disposition: "automatic-action/MDN-sent-automatically; processed".to_owned(),
        mic: None,
        mic_matches: None,
        signer: None,
    }
}

fn publication() -> Publication {
    Publication { folder: Folder::Sent, name: "a.xml".to_owned(), files: vec![(String::new(), Content::Body(body(1)))] }
}

fn said(document: u32, status: &str) -> Said {
    let time = "20260301093000123".to_owned();
    Said { document, status: status.to_owned(), time, info: String::new(), given: vec![] }
}

fn platform(code: &str, refused: bool) -> PlatformAnswer {
    let response = Id::from_bytes([8; 16]);
    PlatformAnswer {
        at: at(9),
        response,
        node: None,
        code: code.to_owned(),
        info: None,
        refused,
        notice: None,
        results: Box::default(),
    }
}

/// One fact of each kind, by its name.
fn fact(name: &str) -> Fact {
    let (partner, by) = ("customs".to_owned(), "ann".to_owned());
    let (message_id, file_name) = ("<1@x>".to_owned(), "a.xml".to_owned());
    let headers = Headers::default();
    let key = DedupKey { from: "A".to_owned(), to: "B".to_owned(), message_id: "1@x".to_owned() };
    match name {
        "queued" => Fact::Queued {
            kind: JobKind::Payload,
            partner,
            file_name,
            payload: Some(body(1)),
            declaration: None,
            about: None,
        },
        "rejected" => Fact::Rejected { partner, file_name, payload: None, reason: reason("R01"), files: vec![] },
        "composed" => Fact::Composed { message_id, headers, wire: body(2), mics: SentMics::default(), due: at(5) },
        "attempted" => Fact::Attempted { number: 1 },
        "retry-at" => Fact::RetryAt { due: at(60), reason: reason("refused") },
        "awaiting-receipt" => Fact::AwaitingReceipt { deadline: at(90) },
        "delivered" => Fact::Delivered { receipt: Some(receipt()), note: None, files: vec![publication()] },
        "failed" => Fact::Failed { reason: reason("gave-up"), receipt: None, files: vec![] },
        "held" => Fact::Held { reason: reason("held"), by },
        "released" => Fact::Released { reason: "ok".to_owned(), by, due: at(70) },
        "cancelled" => Fact::Cancelled { reason: "no".to_owned(), by, files: vec![] },
        "received" => Fact::Received { partner, message_id, headers, wire: body(2) },
        "accepted" => Fact::Accepted {
            partner,
            key,
            headers,
            wire: body(2),
            payload: body(3),
            file_name,
            declaration: None,
            signer: None,
            files: vec![],
        },
        "answered" => Fact::Answered { mdn: receipt() },
        "declined" => Fact::Declined { partner, message_id, headers, wire: body(2), reason: reason("bad"), mdn: None },
        "stray-receipt" => Fact::StrayReceipt { reason: reason("late"), receipt: receipt() },
        "staged" => Fact::Staged { index: 0 },
        "published" => Fact::Published { index: 0, name: "a.xml".to_owned() },
        "recomposed" => Fact::Recomposed {
            message_id: "<2@x>".to_owned(),
            headers,
            wire: body(4),
            mics: SentMics::default(),
            due: at(6),
        },
        "resent" => Fact::Resent { reason: "lost".to_owned(), by, successor: Id::from_bytes([8; 16]) },
        "unknown-receipt" => {
            Fact::UnknownReceipt { partner, message_id, reason: reason("mdn-unknown-message"), receipt: receipt() }
        }
        // The wire that another one took the place of.
        "bodies-dropped" => Fact::BodiesDropped { why: reason("wire-superseded"), bodies: vec![body(2).id] },
        "acknowledged" => Fact::Acknowledged { alert: "gave-up".to_owned(), reason: "seen".to_owned(), by },
        "declared" => Fact::Declared { documents: vec![vec![("orderNo".to_owned(), "O1".to_owned())]] },
        "business-receipt" => Fact::BusinessReceipt {
            receipt: Id::from_bytes([9; 16]),
            message_type: "CEB312Message".to_owned(),
            entries: vec![said(1, "120")],
        },
        "platform-answered" => Fact::PlatformAnswered { answer: platform("0002", true) },
        "matched" => Fact::Matched { answered: Answered { messages: vec![], of: 0, unknown: 1 } },
        "prechecked" => Fact::Prechecked { findings: Findings { errors: 0, warnings: 1, ..Findings::default() } },
        other => panic!("no fact is called {other}"),
    }
}

const NAMES: [&str; 28] = [
    "queued",
    "rejected",
    "composed",
    "attempted",
    "retry-at",
    "awaiting-receipt",
    "delivered",
    "failed",
    "held",
    "released",
    "cancelled",
    "received",
    "accepted",
    "answered",
    "declined",
    "stray-receipt",
    "staged",
    "published",
    "recomposed",
    "resent",
    "unknown-receipt",
    "acknowledged",
    "declared",
    "business-receipt",
    "platform-answered",
    "matched",
    "prechecked",
    "bodies-dropped",
];

fn after(facts: &str) -> Result<Message, BadTransition> {
    let mut message = None;
    for (second, name) in (1..).zip(facts.split_whitespace()) {
        message = Some(apply(message, Id::from_bytes(ID), at(second), &fact(name))?);
    }
    Ok(message.expect("a test names at least one fact"))
}

#[test]
fn every_state_lets_exactly_its_facts_happen() {
    let table = [
        ("", "queued rejected received accepted declined unknown-receipt"),
        ("queued", "composed retry-at failed held released cancelled stray-receipt declared prechecked"),
        ("queued declared", "composed retry-at failed held released cancelled stray-receipt prechecked"),
        ("queued prechecked", "composed retry-at failed held released cancelled stray-receipt declared"),
        ("queued composed", "attempted retry-at failed held released cancelled stray-receipt"),
        (
            "queued composed attempted",
            "retry-at awaiting-receipt delivered failed held cancelled stray-receipt recomposed",
        ),
        (
            "queued composed attempted awaiting-receipt",
            "retry-at delivered failed held released cancelled stray-receipt recomposed",
        ),
        (
            "queued composed attempted retry-at",
            "retry-at delivered failed held released cancelled stray-receipt recomposed",
        ),
        (
            "queued composed attempted recomposed",
            "retry-at delivered failed held released cancelled stray-receipt recomposed bodies-dropped",
        ),
        (
            "queued composed attempted recomposed bodies-dropped",
            "retry-at delivered failed held released cancelled stray-receipt recomposed",
        ),
        ("queued composed held", "released failed cancelled stray-receipt resent"),
        ("queued composed attempted delivered", "stray-receipt staged resent"),
        ("queued composed attempted delivered staged", "stray-receipt staged published resent"),
        ("queued composed attempted delivered staged published", "stray-receipt resent"),
        ("queued failed", "released stray-receipt resent acknowledged"),
        ("queued failed acknowledged", "released stray-receipt resent"),
        ("queued cancelled", "stray-receipt resent"),
        ("queued cancelled resent", "stray-receipt"),
        ("queued failed resent", "stray-receipt"),
        ("rejected", "stray-receipt"),
        ("received", "accepted declined stray-receipt"),
        ("accepted", "answered stray-receipt matched"),
        ("accepted matched", "answered stray-receipt"),
        ("accepted answered", "answered stray-receipt matched"),
        ("accepted answered answered answered answered answered", "stray-receipt matched"),
        ("unknown-receipt", "stray-receipt"),
        ("received declined", "stray-receipt"),
    ];
    // Customs and the platform speak when they speak: about whatever was queued.
    let always = ["business-receipt", "platform-answered"];
    for (history, lawful) in table {
        for name in NAMES {
            let happened = after(&format!("{history} {name}")).is_ok();
            let spoken = history.starts_with("queued") && always.contains(&name);
            assert_eq!(happened, spoken || lawful.split(' ').any(|fact| fact == name), "{name} after [{history}]");
        }
    }
}

#[test]
fn the_names_of_facts_are_those_in_the_journal() {
    for name in NAMES {
        let json = serde_json::to_value(fact(name)).unwrap();
        assert_eq!((json["fact"].as_str(), fact(name).name()), (Some(name), name));
        assert_eq!(serde_json::from_value::<Fact>(json).unwrap(), fact(name));
    }
}

#[test]
fn a_retry_keeps_wire_and_message_id_and_returns_to_composed() {
    let message = after("queued composed attempted retry-at").unwrap();
    assert_eq!((message.state, message.attempts, message.due), (State::Composed, 1, Some(at(60))));
    assert_eq!((message.wire, message.message_id.as_deref()), (Some(body(2)), Some("<1@x>")));
    let again = apply(Some(message.clone()), message.id, at(9), &Fact::Attempted { number: 3 });
    assert_eq!(again, Err(BadTransition::AttemptNumber { given: 3, next: 2 }));
}

#[test]
fn a_released_message_goes_on_where_it_was() {
    assert_eq!(after("queued held released").unwrap().state, State::Queued);
    let message = after("queued composed held released").unwrap();
    assert_eq!((message.state, message.due), (State::Composed, Some(at(70))));
}

#[test]
fn settled_messages_are_due_no_more_and_promise_their_files() {
    let message = after("queued composed attempted delivered").unwrap();
    assert_eq!((message.state, message.due, message.receipt), (State::Delivered, None, Some(receipt())));
    assert_eq!(message.publications, [(publication().into(), PublicationStage::Committed)]);
}

#[test]
fn another_partner_cannot_finish_a_reception() {
    let message = after("received").unwrap();
    let mut other = fact("declined");
    if let Fact::Declined { partner, .. } = &mut other {
        *partner = "acme".to_owned();
    }
    assert!(apply(Some(message.clone()), message.id, at(2), &other).is_err());
    assert_eq!(after("received accepted").unwrap().message_id.as_deref(), Some("<1@x>"));
}

#[test]
fn the_timeline_keeps_its_newest_hundred_lines() {
    let mut message = after("queued").unwrap();
    for second in 2..=250 {
        message = apply(Some(message), Id::from_bytes(ID), at(second), &fact("retry-at")).unwrap();
    }
    assert_eq!(message.timeline.len(), TIMELINE_LINES);
    assert_eq!(message.timeline.first().map(|event| event.at), Some(at(151)));
    assert_eq!(message.timeline.last().map(|event| event.detail.as_str()), Some("refused"));
}

#[test]
fn every_body_of_a_fact_is_known() {
    assert_eq!(fact("accepted").bodies(), [body(2), body(3)]);
    assert_eq!(fact("delivered").bodies(), [body(9), body(1)]);
    assert_eq!(fact("held").bodies(), []);
}

#[test]
fn what_is_dropped_is_named_by_no_field_and_under_no_hold() {
    let dropped = fact("bodies-dropped");
    let message = after("queued composed attempted recomposed").unwrap();
    assert_eq!((message.others.as_slice(), message.earlier[0].wire), (&[body(2)][..], Some(body(2))));
    let held = Fact::LegalHeld { reason: "a suit".to_owned(), by: "legal".to_owned() };
    let held = apply(Some(message.clone()), message.id, at(9), &held).unwrap();
    assert!(apply(Some(held), message.id, at(9), &dropped).is_err());
    let after = apply(Some(message.clone()), message.id, at(9), &dropped).unwrap();
    assert_eq!((after.others.as_slice(), after.earlier[0].wire, after.updated), (&[][..], None, message.updated));
    assert!(!after.bodies().contains(&body(2)) && after.wire == Some(body(4)));
    assert_eq!(after.timeline.last().map(|event| event.detail.as_str()), Some("wire-superseded"));
}
