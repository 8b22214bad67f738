use std::collections::BTreeSet;

use super::*;
use crate::store::record::{Answered, Came, Content, DedupKey, Findings, Folder, PlatformAnswer, Said};

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
        "retry-at" => Fact::RetryAt { due: at(60), reason: reason("refused"), came: Came::Unknown },
        "awaiting-receipt" => Fact::AwaitingReceipt { deadline: at(90), came: Came::Answered },
        "delivered" => Fact::Delivered { receipt: Some(receipt()), note: None, files: vec![publication()] },
        "failed" => Fact::Failed { reason: reason("gave-up"), receipt: None, files: vec![] },
        "held" => Fact::Held { reason: reason("held"), by, came: Came::Unknown },
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

/// What happens to messages until they name all sorts of bodies.
const NAMING: [&str; 9] = [
    "queued",
    "queued composed attempted recomposed",
    "queued composed attempted recomposed bodies-dropped",
    "queued composed attempted delivered",
    "queued composed attempted delivered staged published stray-receipt",
    "queued failed",
    "received",
    "received accepted answered",
    "unknown-receipt",
];

/// The bodies that a message lists, which are those that it says to keep.
fn kept(message: &Message) -> BTreeSet<Id> {
    let kept: BTreeSet<Id> = message.bodies().iter().map(|body| body.id).collect();
    for number in 0..=12 {
        let id = body(number).id;
        assert_eq!(message.keeps(&id), kept.contains(&id), "{number}");
    }
    kept
}

#[test]
fn what_a_message_has_named_it_keeps_whatever_takes_its_place_and_a_fact_that_names_nothing_leaves_it() {
    for (history, name) in NAMING.iter().flat_map(|history| NAMES.map(|name| (*history, name))) {
        let Ok(message) = after(&format!("{history} {name}")) else { continue };
        let mut named = kept(&after(history).unwrap());
        named.extend(fact(name).bodies().iter().map(|body| body.id));
        if name == "bodies-dropped" {
            named.remove(&body(2).id);
        }
        assert_eq!(kept(&message), named, "{name} after [{history}]");
    }
    let purged = Fact::PayloadPurged { why: reason("expired"), bodies: vec![body(1).id] };
    let mut message = after("queued composed attempted delivered staged published").unwrap();
    for fact in [purged, fact("stray-receipt"), fact("resent")] {
        message = apply(Some(message), Id::from_bytes(ID), at(9), &fact).unwrap();
        assert_eq!(kept(&message), BTreeSet::from([body(2).id, body(9).id]));
    }
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

/// A message after these facts, one each second, from one that is composed.
fn composed_then(facts: &[Fact]) -> Message {
    let composed = after("queued composed").unwrap();
    let next = |message, (second, fact)| apply(Some(message), Id::from_bytes(ID), at(second), fact).unwrap();
    (3..).zip(facts).fold(composed, next)
}

/// Attempts that ended so, the next one due.
fn attempts(ends: &[Came]) -> Vec<Fact> {
    let end = |came| Fact::RetryAt { due: at(60), reason: reason("refused"), came };
    let both = (1..).zip(ends).map(|(number, came)| [Fact::Attempted { number }, end(*came)]);
    both.flatten().collect()
}

fn first(attempt: u32, answered: bool) -> Reach {
    Reach::First { attempt, answered }
}

#[test]
fn what_the_first_attempt_that_may_have_reached_the_partner_left_counts_and_no_later_one() {
    use Came::{Answered, Nowhere, Unknown};
    let table: [(&[Came], Reach); 9] = [
        (&[], Reach::Untried),
        (&[Nowhere, Nowhere], Reach::Untried),
        (&[Unknown], first(1, false)),
        (&[Answered], first(1, true)),
        (&[Nowhere, Answered], first(2, true)),
        (&[Nowhere, Unknown, Answered], first(2, false)),
        (&[Unknown, Answered], first(1, false)),
        (&[Unknown, Nowhere], first(1, false)),
        (&[Answered, Unknown, Nowhere], first(1, true)),
    ];
    for (ends, reach) in table {
        assert_eq!(composed_then(&attempts(ends)).reach, reach, "{ends:?}");
    }
}

#[test]
fn an_attempt_that_a_crash_cut_off_may_have_left_a_part_of_the_message() {
    let end = Fact::RetryAt { due: at(60), reason: reason("timeout"), came: Came::Answered };
    let facts = [Fact::Attempted { number: 1 }, Fact::Attempted { number: 2 }, end];
    assert_eq!(composed_then(&facts[..1]).reach, first(1, false), "as long as nothing is known of it");
    assert_eq!(composed_then(&facts).reach, first(1, false));
}

#[test]
fn a_transfer_was_answered_unless_its_answer_was_a_receipt_that_counts_for_nothing() {
    for (came, answered) in [(Came::Answered, true), (Came::Unknown, false)] {
        let transfer = [Fact::Attempted { number: 1 }, Fact::AwaitingReceipt { deadline: at(90), came }];
        assert_eq!(composed_then(&transfer).reach, first(1, answered));
    }
}

#[test]
fn a_partner_can_have_had_whole_only_what_it_answered_in_an_earlier_attempt() {
    let had = |reach: Reach| [1, 2, 3].map(|attempt| reach.was_answered_before(attempt));
    assert_eq!(had(first(1, true)), [false, true, true]);
    assert_eq!(had(first(2, true)), [false, false, true]);
    for reach in [first(1, false), Reach::Untried, Reach::Unknown] {
        assert_eq!(had(reach), [false; 3], "{reach:?}");
    }
}

#[test]
fn a_partner_whose_receipts_contradict_each_other_is_not_believed_about_duplicates_again() {
    let held = |code: &str| Fact::Held { reason: reason(code), by: "gateway".to_owned(), came: Came::Unknown };
    let failed = |receipt| Fact::Failed { reason: reason("mdn-negative"), receipt, files: vec![] };
    let refused = Fact::RetryAt { due: at(60), reason: reason("mdn-negative"), came: Came::Refused };
    let table = [
        (held("mdn-duplicate-unproven"), false),
        (held("mdn-mic-mismatch"), false),
        (failed(Some(receipt())), false),
        (refused, false),
        (held("http-404"), true),
        (failed(None), true),
    ];
    for (fact, believed) in table {
        let facts = [attempts(&[Came::Answered]), vec![fact.clone()]].concat();
        assert_eq!(composed_then(&facts).reach, first(1, believed), "{fact:?}");
    }
}

#[test]
fn under_a_new_message_id_nothing_has_reached_anybody() {
    let facts = [attempts(&[Came::Answered]), vec![fact("recomposed")]].concat();
    assert_eq!(composed_then(&facts).reach, Reach::Untried);
}

#[test]
fn of_what_an_earlier_version_has_sent_nothing_is_known_and_of_what_it_had_only_composed_all() {
    let known = |ends: &[Came], facts: &[Fact]| {
        let message = Message { reach: Reach::Unknown, ..composed_then(&attempts(ends)) };
        let number = message.attempts + 1;
        let attempt = [Fact::Attempted { number }].into_iter().chain(facts.iter().cloned());
        attempt.fold(message, |message, fact| apply(Some(message), Id::from_bytes(ID), at(90), &fact).unwrap()).reach
    };
    let transferred = [Fact::AwaitingReceipt { deadline: at(99), came: Came::Answered }];
    assert_eq!(known(&[], &transferred), first(1, true));
    assert_eq!(known(&[Came::Answered], &transferred), Reach::Unknown);
}

#[test]
fn attempts_that_a_restore_has_forgotten_may_have_left_a_part_of_the_message() {
    let restored = |ends: &[Came]| {
        let message =
            apply(Some(composed_then(&attempts(ends))), Id::from_bytes(ID), at(70), &Fact::Restored { sequence: 7 });
        let number = u32::try_from(ends.len()).unwrap() + 1;
        let end = Fact::RetryAt { due: at(99), reason: reason("timeout"), came: Came::Answered };
        let facts = [fact("released"), Fact::Attempted { number }, end];
        facts
            .iter()
            .fold(message.unwrap(), |message, fact| apply(Some(message), Id::from_bytes(ID), at(90), fact).unwrap())
            .reach
    };
    assert_eq!(restored(&[]), first(0, false));
    assert_eq!(restored(&[Came::Nowhere]), first(0, false));
    assert_eq!(restored(&[Came::Answered]), first(1, true), "that was before the backup");
}

const ATTEMPTS: &str = include_str!("../../tests/golden/attempt-facts-v1.jsonl");

#[test]
fn attempts_recorded_by_earlier_versions_are_read_for_ever_and_written_as_ever() {
    let retry = |came| Fact::RetryAt { due: at(60), reason: reason("timeout"), came };
    let awaiting = |came| Fact::AwaitingReceipt { deadline: at(90), came };
    // The first two are those of versions that did not say how far an attempt came.
    let facts = [
        retry(Came::Unknown),
        awaiting(Came::Answered),
        retry(Came::Nowhere),
        retry(Came::Answered),
        retry(Came::Refused),
        awaiting(Came::Unknown),
    ];
    let written: Vec<String> = facts.iter().map(|fact| serde_json::to_string(fact).unwrap()).collect();
    assert_eq!(written, ATTEMPTS.lines().collect::<Vec<_>>());
    for (line, fact) in ATTEMPTS.lines().zip(&facts) {
        assert_eq!(&serde_json::from_str::<Fact>(line).unwrap(), fact);
    }
}

#[test]
fn what_is_known_of_attempts_is_kept_with_a_message_and_left_out_where_nothing_is() {
    for ends in [&[][..], &[Came::Unknown], &[Came::Nowhere, Came::Answered]] {
        let message = composed_then(&attempts(ends));
        let json = serde_json::to_value(&message).unwrap();
        assert_eq!(serde_json::from_value::<Message>(json).unwrap().reach, message.reach);
    }
    let json = serde_json::to_value(after("queued").unwrap()).unwrap();
    assert_eq!(
        (json.get("reach"), serde_json::from_value::<Message>(json.clone()).unwrap().reach),
        (None, Reach::Unknown)
    );
}

#[test]
fn what_a_restore_has_forgotten_was_sent_may_still_be_delivered() {
    let (id, restored) = (Id::from_bytes(ID), Fact::Restored { sequence: 7 });
    let held = apply(Some(after("queued composed").unwrap()), id, at(9), &restored).unwrap();
    assert_eq!((held.state, held.attempts), (State::Held, 0));
    let settled = apply(Some(held), id, at(10), &fact("delivered")).unwrap();
    assert_eq!((settled.state, settled.restored), (State::Delivered, false));
}
