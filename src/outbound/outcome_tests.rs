//! What becomes of a message, and of the receipt that came last, once nothing is tried any more.

use super::*;
use crate::as2::SentMics;
use crate::ground::id::Id;
use crate::store::apply;
use crate::store::record::{Body, Level};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// The message after this happened to it.
fn after(message: Option<Message>, second: i64, fact: &Fact) -> Message {
    apply(message, Id::from_bytes([7; 16]), at(second), fact).unwrap()
}

fn body(number: u8) -> Body {
    Body { id: Id::from_bytes([number; 16]), len: 1, sha256: Some([number; 32]), crc32c: None }
}

/// A message in its first attempt.
fn sending() -> Message {
    let queued = Fact::Queued {
        kind: JobKind::Payload,
        partner: "acme".to_owned(),
        file_name: "a.xml".to_owned(),
        payload: Some(body(1)),
        declaration: None,
        about: None,
    };
    let composed = Fact::Composed {
        message_id: "<1@x>".to_owned(),
        headers: Headers::default(),
        wire: body(2),
        mics: SentMics::default(),
        due: at(0),
    };
    let facts = [queued, composed, Fact::Attempted { number: 1 }];
    facts.iter().fold(None, |message, fact| Some(after(message, 1, fact))).unwrap()
}

fn mdn() -> Receipt {
    Receipt {
        body: body(9),
        headers: Headers::default(),
        disposition: "processed/error: unknown-trading-partner".to_owned(),
        mic: None,
        mic_matches: None,
        signer: None,
    }
}

fn reason(code: &str) -> Reason {
    Reason { code: code.to_owned(), text: bilingual!("原因", "cause") }
}

/// What follows an attempt that came to this, with this receipt, and is the last.
fn last(outcome: Outcome, reason: Option<Reason>, receipt: Option<Receipt>) -> Vec<Fact> {
    let ended = Ended { number: 1, at: at(2), came: Came::Unknown, outcome };
    follow_up(&sending(), Next::Fail, reason, receipt, ended)
}

/// The reason with which a message fails whose last attempt came to this.
fn told(outcome: Outcome, last_reason: Option<Reason>) -> Reason {
    match last(outcome, last_reason, None).as_slice() {
        [Fact::Failed { reason, .. }] => reason.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_proves_nothing_is_kept_beside_a_message_that_is_given_up_and_a_refusal_becomes_its_receipt() {
    for (outcome, code, settles) in [
        (Outcome::NoReceipt, "mdn-unsigned", false),
        (Outcome::Troubled, "mdn-negative", true),
        (Outcome::Refused, "mdn-negative", true),
    ] {
        let facts = last(outcome, Some(reason(code)), Some(mdn()));
        let Some(Fact::Failed { files, .. }) = facts.last() else { panic!("{facts:?}") };
        let receipts = files.iter().filter(|files| files.folder == Folder::Receipts).count();
        assert_eq!((facts.len(), receipts), if settles { (1, 1) } else { (2, 0) }, "{outcome:?}");
        let failed = facts.iter().fold(sending(), |message, fact| after(Some(message), 2, fact));
        assert_eq!((failed.state, failed.receipt), (State::Failed, settles.then(mdn)), "{outcome:?}");
        let kept: Vec<_> = failed.strays.into_iter().map(|stray| (stray.reason, stray.receipt)).collect();
        assert_eq!(kept, if settles { vec![] } else { vec![(reason(code), mdn())] }, "{outcome:?}");
        let alerts: Vec<_> = failed.alerts.iter().map(|alert| (alert.code.as_str(), alert.level)).collect();
        assert_eq!(alerts, [(code, Level::Error)], "{outcome:?}");
    }
}

#[test]
fn what_is_given_up_keeps_the_code_of_its_last_reason_and_says_what_to_do() {
    let status = Outcome::Status { code: 503, retry_after: None };
    let unanswered = [Outcome::NoReceipt, Outcome::Early, Outcome::Unreachable, Outcome::Unread, Outcome::Troubled];
    for outcome in unanswered.into_iter().chain([status]) {
        let Reason { code, text } = told(outcome, Some(reason("last")));
        assert_eq!(code, "last", "{outcome:?}");
        assert!(text.en.contains("given up") && text.en.ends_with("cause"), "{outcome:?}: {text:?}");
        assert!(text.zh.contains("已放弃投递") && text.zh.ends_with("原因"), "{outcome:?}: {text:?}");
        assert!([&text.en, &text.zh].iter().all(|text| text.contains("dxgate messages retry")), "{text:?}");
    }
    let missing = told(Outcome::NoReceipt, None);
    assert_eq!(missing.code, "mdn-missing");
    assert!(!missing.text.en.contains("again") && !missing.text.zh.contains("重发"), "{:?}", missing.text);
    let overdue = told(Outcome::Refused, Some(reason("mdn-overdue")));
    assert!(overdue.code == "mdn-overdue" && overdue.text.en.contains("given up"), "its MDN never came: {overdue:?}");
    let refused = last(Outcome::Refused, Some(reason("mdn-negative")), Some(mdn()));
    let Some(Fact::Failed { reason: said, .. }) = refused.last() else { panic!("{refused:?}") };
    assert_eq!(*said, reason("mdn-negative"), "that is an answer");
}
