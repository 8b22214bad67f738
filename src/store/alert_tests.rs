use super::*;
use crate::declaration::standing::Standing;
use crate::mime::Headers;
use crate::store::apply;
use crate::store::record::{Body, Came, JobKind, PlatformAnswer, Receipt, Said};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn reason(code: &str) -> Reason {
    Reason { code: code.to_owned(), text: bilingual!("原因", "reason") }
}

fn held(code: &str, by: &str) -> Fact {
    Fact::Held { reason: reason(code), by: by.to_owned(), came: Came::Unknown }
}

fn released() -> Fact {
    Fact::Released { reason: "mended".to_owned(), by: "ann".to_owned(), due: at(0) }
}

fn delivered() -> Fact {
    Fact::Delivered { receipt: None, note: None, files: Vec::new() }
}

fn stray(code: &str) -> Fact {
    let body = Body { id: Id::from_bytes([9; 16]), len: 1, sha256: Some([9; 32]), crc32c: None };
    let (headers, disposition) = (Headers::default(), "processed".to_owned());
    let receipt = Receipt { body, headers, disposition, mic: None, mic_matches: None, signer: None };
    Fact::StrayReceipt { reason: reason(code), receipt }
}

/// A message in an attempt, and what happened to it then.
fn after(facts: &[Fact]) -> Message {
    let wire = Body { id: Id::from_bytes([2; 16]), len: 1, sha256: Some([2; 32]), crc32c: None };
    let queued = Fact::Queued {
        kind: JobKind::Payload,
        partner: "customs".to_owned(),
        file_name: "a.xml".to_owned(),
        payload: None,
        declaration: None,
        about: None,
    };
    let composed = Fact::Composed {
        message_id: "<1@x>".to_owned(),
        headers: Headers::default(),
        wire,
        mics: crate::as2::SentMics::default(),
        due: at(0),
    };
    let begin = [queued, composed, Fact::Attempted { number: 1 }];
    let all = begin.iter().chain(facts);
    let apply_one = |message, (second, fact)| Some(apply(message, Id::from_bytes([7; 16]), at(second), fact).unwrap());
    (1..).zip(all).fold(None, apply_one).unwrap()
}

fn open(message: &Message) -> Vec<(&str, Level, u32)> {
    let open = message.alerts.iter().filter(|alert| alert.is_open());
    open.map(|alert| (alert.code.as_str(), alert.level, alert.times)).collect()
}

#[test]
fn what_the_gateway_holds_or_gives_up_is_alerted_and_what_a_person_holds_is_not() {
    assert_eq!(open(&after(&[held("http-404", GATEWAY)])), [("http-404", Level::Error, 1)]);
    let refused = after(&[held("tls-certificate-refused", GATEWAY)]);
    assert_eq!(open(&refused), [("tls-certificate-refused", Level::Security, 1)]);
    assert_eq!(open(&after(&[failed("mdn-negative")])), [("mdn-negative", Level::Error, 1)]);
    assert_eq!(open(&after(&[held("held-by-operator", "ann")])), []);
}

fn failed(code: &str) -> Fact {
    Fact::Failed { reason: reason(code), receipt: None, files: Vec::new() }
}

#[test]
fn what_is_given_up_needs_a_person_whatever_its_last_reason_is() {
    let doubts = ["mdn-unsigned", "mdn-bad-signature", "mdn-wrong-partner", "mdn-without-mic", "mdn-mic-unreadable"];
    for code in doubts.into_iter().chain(["mdn-superseded", "http-503"]) {
        assert_eq!(open(&after(&[failed(code)])), [(code, Level::Error, 1)]);
    }
    let code = "tls-certificate-refused";
    assert_eq!(open(&after(&[failed(code)])), [(code, Level::Security, 1)]);
}

#[test]
fn an_open_alert_that_becomes_graver_takes_over_level_and_words_and_is_told_anew() {
    let awaiting = after(&[Fact::AwaitingReceipt { deadline: at(9), came: Came::Answered }]);
    let then =
        |message: &Message, second, fact: &Fact| apply(Some(message.clone()), message.id, at(second), fact).unwrap();
    let doubted = then(&awaiting, 50, &stray("mdn-unsigned"));
    assert_eq!(open(&doubted), [("mdn-unsigned", Level::Warning, 1)]);
    let words = bilingual!("已放弃", "given up");
    let told = Reason { code: "mdn-unsigned".to_owned(), text: words.clone() };
    let given_up = Fact::Failed { reason: told, receipt: None, files: Vec::new() };
    // Two facts of one transaction are one event.
    for (second, times) in [(50, 1), (60, 2)] {
        let graver = then(&doubted, second, &given_up);
        assert_eq!(open(&graver), [("mdn-unsigned", Level::Error, times)]);
        assert_eq!(graver.alerts[0].text, words);
    }
    let graver = then(&doubted, 60, &given_up);
    let news: Vec<_> = newly_raised(Some(&doubted), &graver).into_iter().map(|raised| raised.alert.level).collect();
    assert_eq!(news, [Level::Error]);
    let milder = then(&graver, 70, &stray("mdn-unsigned"));
    assert_eq!(open(&milder), [("mdn-unsigned", Level::Error, 3)]);
    assert_eq!((&milder.alerts[0].text, newly_raised(Some(&graver), &milder)), (&words, vec![]));
}

#[test]
fn delivery_ends_alerts_but_not_those_of_receipts_that_contradict_each_other() {
    let waiting = [Fact::AwaitingReceipt { deadline: at(9), came: Came::Answered }, Fact::Attempted { number: 2 }];
    let waiting = after(&[&waiting[..], &[stray("mdn-mic-mismatch")]].concat());
    let both = [("mdn-deadline-missed", Level::Warning, 1), ("mdn-mic-mismatch", Level::Security, 1)];
    assert_eq!(open(&waiting), both);
    let settled = apply(Some(waiting), Id::from_bytes([7; 16]), at(50), &delivered()).unwrap();
    assert_eq!(open(&settled), [("mdn-mic-mismatch", Level::Security, 1)]);
    assert_eq!(settled.alerts.first().and_then(|alert| alert.resolved), Some(at(50)));
}

#[test]
fn what_a_person_does_to_a_message_acknowledges_its_alerts_with_who_and_why() {
    let message = after(&[held("http-404", GATEWAY), released()]);
    let seen = Acknowledgement { at: at(5), by: "ann".to_owned(), reason: "mended".to_owned() };
    assert_eq!(message.alerts.first().and_then(|alert| alert.acknowledged.clone()), Some(seen));
    let again = after(&[held("http-404", GATEWAY), released(), held("http-404", GATEWAY)]);
    assert_eq!(open(&again), [("http-404", Level::Error, 1)], "what happens again is open again");
    assert_eq!(again.alerts.len(), 1);
}

#[test]
fn an_alert_is_acknowledged_once_and_only_if_it_is_open() {
    let acknowledged = |code: &str| Fact::Acknowledged {
        alert: code.to_owned(),
        reason: "called them".to_owned(),
        by: "ann".to_owned(),
    };
    let message = after(&[held("http-404", GATEWAY), acknowledged("http-404")]);
    assert_eq!((open(&message), message.state), (vec![], State::Held));
    for code in ["http-404", "http-500"] {
        let refused = apply(Some(message.clone()), message.id, at(9), &acknowledged(code));
        assert_eq!(refused, Err(super::super::BadTransition::NoAlert), "{code}");
    }
}

#[test]
fn a_doubtful_receipt_in_an_answer_is_the_reason_of_the_retry_and_no_alert_of_its_own() {
    assert_eq!(open(&after(&[stray("mdn-unsigned")])), []);
    let awaiting = Fact::AwaitingReceipt { deadline: at(9), came: Came::Answered };
    assert_eq!(open(&after(&[awaiting, stray("mdn-unsigned")])), [("mdn-unsigned", Level::Warning, 1)]);
}

#[test]
fn only_what_was_not_open_before_is_announced() {
    let before = after(&[held("http-404", GATEWAY)]);
    let new = newly_raised(None, &before);
    assert_eq!(new.iter().map(Raised::name).collect::<Vec<_>>(), [format!("{}.http-404", before.id)]);
    let later = apply(Some(before.clone()), before.id, at(9), &stray("mdn-contradicts")).unwrap();
    let new = newly_raised(Some(&before), &later);
    assert_eq!(new.iter().map(|raised| raised.alert.code.as_str()).collect::<Vec<_>>(), ["mdn-contradicts"]);
}

#[test]
fn a_standing_condition_is_announced_once_until_it_has_ended() {
    let alerts = Alerts::new(MessageFigures::default());
    let mut stream = alerts.subscribe();
    for second in 1..=3 {
        alerts.raise(Level::Error, reason("disk-nearly-full"), None, at(second));
    }
    alerts.raise(Level::Warning, reason("partner-down"), Some("acme"), at(4));
    let names: Vec<String> = std::iter::from_fn(|| stream.try_recv().ok()).map(|raised| raised.name()).collect();
    assert_eq!(names, ["gateway.disk-nearly-full", "gateway.partner-down.acme"]);
    assert_eq!(alerts.standing().first().map(|standing| standing.alert.times), Some(3));
    let seen = Acknowledgement { at: at(5), by: "ann".to_owned(), reason: "ordered a disk".to_owned() };
    assert!(alerts.acknowledge("gateway.disk-nearly-full", seen.clone()).is_some());
    assert!(alerts.acknowledge("gateway.disk-nearly-full", seen).is_none(), "once");
    alerts.raise(Level::Error, reason("disk-nearly-full"), None, at(6));
    assert_eq!(alerts.standing().len(), 1, "it goes on, and somebody knows");
    alerts.resolve("disk-nearly-full", None);
    alerts.raise(Level::Error, reason("disk-nearly-full"), None, at(7));
    assert_eq!(alerts.standing().len(), 2, "it began anew");
}

#[test]
fn a_standing_condition_is_announced_again_when_it_is_graver_or_about_something_else_and_not_for_other_figures() {
    let alerts = Alerts::new(MessageFigures::default());
    let mut stream = alerts.subscribe();
    let name = "gateway.certificate-offered.acme";
    let mut raise = |level, subjects: &[&str], words: &str, second| {
        let subjects = subjects.iter().map(|subject| (*subject).to_owned()).collect();
        let text = Bilingual { zh: words.to_owned(), en: words.to_owned() };
        let reason = Reason { code: "certificate-offered".to_owned(), text };
        alerts.raise_about(subjects, level, reason, Some("acme"), at(second));
        let told: Vec<Level> = std::iter::from_fn(|| stream.try_recv().ok()).map(|raised| raised.alert.level).collect();
        let standing = alerts.condition(name).unwrap();
        assert_eq!((standing.alert.text.en.as_str(), standing.alert.level), (words, level), "{words}");
        (told, standing.alert.is_open())
    };
    assert_eq!(raise(Level::Warning, &["one"], "one", 1), (vec![Level::Warning], true));
    assert_eq!(raise(Level::Warning, &["one"], "one, for 2 hours", 2), (vec![], true));
    let seen = Acknowledgement { at: at(3), by: "ann".to_owned(), reason: "asked them".to_owned() };
    assert!(alerts.acknowledge(name, seen.clone()).is_some());
    assert_eq!(raise(Level::Warning, &["one"], "one, for 3 hours", 4), (vec![], false));
    assert_eq!(raise(Level::Error, &["one"], "one, soon over", 5), (vec![Level::Error], true));
    assert!(alerts.acknowledge(name, seen).is_some());
    assert_eq!(raise(Level::Error, &["one", "two"], "one and two", 6), (vec![Level::Error], true));
    assert_eq!(raise(Level::Warning, &["two"], "two alone", 7), (vec![], true), "less is no news");
    assert_eq!(raise(Level::Warning, &["three"], "three", 8), (vec![Level::Warning], true));
}

/// Customs' word about document `document` of two.
fn told(document: u32, status: &str, second: u32) -> Fact {
    let time = format!("202603010930{second:02}000");
    let said = Said { document, status: status.to_owned(), time, info: "张三 510000".to_owned(), given: Vec::new() };
    let message_type = "CEB622Message".to_owned();
    Fact::BusinessReceipt { receipt: Id::from_bytes([second as u8; 16]), message_type, entries: vec![said] }
}

fn platform(code: &str, refused: bool) -> Fact {
    let response = Id::from_bytes([8; 16]);
    let answer = PlatformAnswer {
        at: at(9),
        response,
        node: None,
        code: code.to_owned(),
        info: None,
        refused,
        notice: None,
        results: Box::default(),
    };
    Fact::PlatformAnswered { answer }
}

/// A declaration of two documents, and what happened to it then.
fn declaration(facts: &[Fact]) -> Message {
    let keys = |order: &str| vec![("orderNo".to_owned(), order.to_owned())];
    let mut message = after(&[]);
    (message.state, message.attempts) = (State::Queued, 0);
    let declared = Fact::Declared { documents: vec![keys("O1"), keys("O2")] };
    for (second, fact) in (20..).zip([declared].iter().chain(facts)) {
        message = apply(Some(message), Id::from_bytes([7; 16]), at(second), fact).unwrap();
    }
    message
}

#[test]
fn a_rejection_by_customs_is_an_alert_until_a_later_receipt_supersedes_it() {
    let message = declaration(&[told(1, "100", 1), told(2, "100", 2)]);
    assert_eq!(open(&message), [("declaration-rejected", Level::Error, 2)]);
    let text = &message.alerts[0].text;
    assert!(text.en.contains("orderNo=O1") && text.zh.contains("海关退单"), "{text}");
    assert!(!text.zh.contains("张三"), "alerts are logged: no words about people");
    let message = declaration(&[told(1, "100", 1), told(2, "100", 2), told(1, "800", 3)]);
    assert_eq!(open(&message).len(), 1, "one document is still refused");
    let message = declaration(&[told(1, "100", 1), told(2, "100", 2), told(1, "800", 3), told(2, "800", 4)]);
    assert_eq!(open(&message), []);
    let message = declaration(&[told(1, "800", 3), told(1, "100", 1)]);
    assert_eq!(open(&message), [], "an older receipt that comes late raises nothing");
}

#[test]
fn an_error_and_a_rejection_are_two_alerts_that_a_delivery_does_not_end() {
    let facts = [told(1, "-621029", 1), told(2, "100", 2)];
    assert_eq!(open(&declaration(&facts)).len(), 2);
    let composed = declaration(&facts);
    let wire = Body { id: Id::from_bytes([2; 16]), len: 1, sha256: Some([2; 32]), crc32c: None };
    let mics = crate::as2::SentMics::default();
    let headers = Headers::default();
    let facts = [
        Fact::Composed { message_id: "<1@x>".to_owned(), headers, wire, mics, due: at(0) },
        Fact::Attempted { number: 1 },
        delivered(),
    ];
    let apply_one = |message, fact| Some(apply(message, Id::from_bytes([7; 16]), at(60), fact).unwrap());
    let delivered = facts.iter().fold(Some(composed), apply_one).unwrap();
    assert_eq!(open(&delivered).len(), 2);
}

#[test]
fn an_envelope_that_the_platform_refuses_is_an_alert_until_customs_answers_after_all() {
    let refused = declaration(&[platform("0002", true)]);
    assert_eq!(open(&refused), [("envelope-refused", Level::Error, 1)]);
    assert!(refused.documents.iter().all(|document| document.standing == Standing::Error));
    let passed_on = declaration(&[platform("3002", true), platform("0000", false)]);
    assert_eq!(open(&passed_on), []);
    assert!(passed_on.documents.iter().all(|document| document.standing == Standing::Waiting));
    let overtaken = declaration(&[platform("0000", false), platform("3002", true)]);
    assert_eq!(open(&overtaken), [], "the trouble of the same day was over");
    let for_good = declaration(&[platform("0002", true), platform("0000", false), platform("0002", true)]);
    assert!(for_good.documents.iter().all(|document| document.standing == Standing::Error));
    assert_eq!(
        for_good.platform.as_ref().map(|platform| (platform.code.as_str(), platform.refused)),
        Some(("0002", true))
    );
    let answered = declaration(&[platform("3002", true), told(1, "2", 1)]);
    assert_eq!(open(&answered), []);
    assert_eq!(answered.documents[0].standing, Standing::InProgress);
    assert_eq!(answered.platform.as_ref().map(|platform| platform.code.as_str()), Some("3002"));
}
