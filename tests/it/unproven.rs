//! Receipts that call a message a repetition and say nothing of its content, and those about an earlier Message-ID. django-pyas2
//! keeps the Message-ID of a request that broke off in the middle, and calls the whole message that follows its duplicate: to
//! believe it would lose the message.

use std::net::TcpStream;
use std::time::Duration;

use dxgate::store::record::{Message, State};

use crate::support::correspondent::{Kind, Letter, acknowledge, receipt_for};
use crate::support::eventually;
use crate::support::home::{Home, PartnerFile};
use crate::support::http;
use crate::support::inside::{self, Inside, pass};
use crate::support::scripted::{Posted, Scripted, answer};

const ORDER: &[u8] = b"<order/>\n";
const RETRY: &str = "retry = [\"1m\"]\njitter = 0.0\ngive_up_after = \"72h\"";
const UNPROVEN: &str = "mdn-duplicate-unproven";
const SYNC: &str = "mode = \"sync\"\nsigned = true";
const LATER: &str = "mode = \"async\"\nsigned = true\ndeadline = \"30m\"";
/// Longer than any pause between attempts and any wait for a receipt.
const LONG: Duration = Duration::from_secs(1860);
const DUPLICATE: &str = "automatic-action/MDN-sent-automatically; processed/warning: duplicate-document";
const NEGATIVE: &str = "automatic-action/MDN-sent-automatically; processed/error: decryption-failed";
const PASSING: &str = "automatic-action/MDN-sent-automatically; processed/error: unexpected-processing-error";

type Script = fn(&Posted) -> Option<Vec<u8>>;

fn unproven() -> Kind<'static> {
    Kind { disposition: DUPLICATE, without_mic: true, ..Kind::default() }
}

/// An MDN that breaks off in its body.
fn half(posted: &Posted) -> Vec<u8> {
    let whole = acknowledge(posted, Kind::default());
    whole[..whole.len() / 2].to_vec()
}

/// A message whose first attempts came to this, and whose next one is called a duplicate.
fn after<'h>(home: &'h Home, mdn: &str, more: &str, mut before: Vec<Script>) -> (Inside<'h>, Scripted) {
    before.reverse();
    let attempts = u32::try_from(before.len()).unwrap() + 1;
    let peer = Scripted::start(move |_, posted| match before.pop() {
        Some(script) => script(posted),
        None => Some(acknowledge(posted, unproven())),
    });
    let delivery = &format!("{RETRY}\n{more}");
    home.partner("theirs", &PartnerFile { url: peer.url(), mdn, delivery, ..PartnerFile::default() });
    let clock = inside::clock();
    let gateway = Inside::start(home, &clock);
    gateway.submit("theirs", "order.xml", ORDER);
    for attempt in 1..attempts {
        gateway.until("theirs", "tried", |message| message.attempts == attempt && message.state != State::Sending);
        pass(&clock, LONG);
    }
    gateway.until("theirs", "answered", |message| message.attempts == attempts && message.state != State::Sending);
    (gateway, peer)
}

fn state(message: &Message) -> (State, &str) {
    (message.state, message.reason.as_ref().map_or("", |reason| reason.code.as_str()))
}

#[test]
fn a_duplicate_without_a_mic_is_held_when_no_earlier_attempt_was_answered_and_stays_so_when_it_is_sent_again() {
    for mdn in [SYNC, LATER] {
        let home = Home::ours();
        let (gateway, peer) = after(&home, mdn, "", vec![|_| None]);
        let held = gateway.sent_to("theirs");
        assert_eq!(state(&held), (State::Held, UNPROVEN), "{mdn}");
        let text = held.reason.clone().unwrap().text;
        assert!(text.en.contains("messages resend") && text.zh.contains("messages resend"), "{text:?}");
        assert_eq!((gateway.alerts(), held.strays.len()), (vec![UNPROVEN.to_owned()], 1));
        assert!(!home.names("theirs", "sent").contains(&"order.xml".to_owned()));
        // Nothing that the partner says of the same bytes tells more.
        let released = gateway.post(&format!("/api/v1/messages/{}/retry", held.id), br#"{"reason":"once more"}"#);
        assert_eq!(released.0, 200, "{:#}", released.1);
        let again = gateway.until("theirs", "held again", |message| message.attempts == 3 && message.due.is_none());
        assert_eq!(state(&again), (State::Held, UNPROVEN), "{mdn}");
        assert_eq!(peer.posted().len(), 3);
    }
}

#[test]
fn a_message_that_was_never_sent_before_is_no_duplicate() {
    for mdn in [SYNC, LATER] {
        let home = Home::ours();
        let (gateway, _) = after(&home, mdn, "", vec![]);
        assert_eq!(state(&gateway.sent_to("theirs")), (State::Held, UNPROVEN), "{mdn}");
    }
}

#[test]
fn a_duplicate_without_a_mic_is_delivered_when_the_answer_to_the_first_attempt_was_lost_on_its_way() {
    let lost: [Script; 2] = [|posted| Some(half(posted)), |_| Some(answer(200, "", b""))];
    for lost in lost {
        for mdn in [SYNC, LATER] {
            let home = Home::ours();
            let (gateway, _) = after(&home, mdn, "", vec![lost]);
            assert_eq!(state(&gateway.sent_to("theirs")), (State::Delivered, "mdn-without-mic"), "{mdn}");
        }
    }
}

#[test]
fn what_the_first_attempt_left_counts_and_not_what_a_later_one_did() {
    for mdn in [SYNC, LATER] {
        let home = Home::ours();
        let (gateway, _) = after(&home, mdn, "", vec![|_| None, |posted| Some(half(posted))]);
        assert_eq!(state(&gateway.sent_to("theirs")), (State::Held, UNPROVEN), "{mdn}");
    }
}

#[test]
fn who_answered_with_a_receipt_of_another_kind_first_is_not_believed_about_a_duplicate() {
    let refused: Script = |posted| Some(acknowledge(posted, Kind { disposition: PASSING, ..Kind::default() }));
    let unsigned: Script =
        |posted| Some(acknowledge(posted, Kind { disposition: PASSING, signer: None, ..Kind::default() }));
    for first in [refused, unsigned] {
        for mdn in [SYNC, LATER] {
            let home = Home::ours();
            let (gateway, _) = after(&home, mdn, "retry_processing_error = true", vec![first]);
            assert_eq!(state(&gateway.sent_to("theirs")), (State::Held, UNPROVEN), "{mdn}");
        }
    }
}

#[test]
fn with_believe_duplicates_a_duplicate_without_a_mic_is_delivered_whatever_came_before() {
    let before: [Vec<Script>; 3] = [vec![], vec![|_| None], vec![|_| Some(answer(503, "", b""))]];
    for before in before {
        for mdn in [SYNC, LATER] {
            let home = Home::ours();
            let (gateway, _) = after(&home, mdn, "believe_duplicates = true", before.clone());
            assert_eq!(state(&gateway.sent_to("theirs")), (State::Delivered, "mdn-without-mic"), "{mdn}");
        }
    }
}

#[test]
fn what_was_held_is_delivered_by_a_retry_once_the_partner_is_to_be_believed() {
    let home = Home::ours();
    let (gateway, peer) = after(&home, SYNC, "", vec![|_| None]);
    let held = gateway.sent_to("theirs");
    assert_eq!(state(&held), (State::Held, UNPROVEN));
    let delivery = &format!("{RETRY}\nbelieve_duplicates = true");
    home.partner("theirs", &PartnerFile { url: peer.url(), mdn: SYNC, delivery, ..PartnerFile::default() });
    assert_eq!(gateway.post("/api/v1/partners/reload", b"{}").0, 200);
    let retried = gateway.post(&format!("/api/v1/messages/{}/retry", held.id), br#"{"reason":"they have it"}"#);
    assert_eq!(retried.0, 200, "{:#}", retried.1);
    let message = gateway.until("theirs", "settled", |message| message.state.is_final());
    assert_eq!((state(&message), gateway.alerts()), ((State::Delivered, "mdn-without-mic"), vec![]));
}

fn post(home: &Home, mdn: &Letter) -> u16 {
    http::post(home.as2, "/as2", &mdn.headers, &mdn.body).unwrap().status
}

/// A message whose asynchronous MDN is awaited for the second time, and both that the partner got.
fn awaited_twice<'h>(home: &'h Home, more: &str) -> (Inside<'h>, Vec<Posted>) {
    let peer = Scripted::start(|_, _| Some(answer(202, "", b"")));
    let delivery = &format!("{RETRY}\n{more}");
    home.partner("theirs", &PartnerFile { url: peer.url(), mdn: LATER, delivery, ..PartnerFile::default() });
    let clock = inside::clock();
    let gateway = Inside::start(home, &clock);
    gateway.submit("theirs", "order.xml", ORDER);
    let awaited = |attempts| {
        gateway.until("theirs", "awaited", |message| {
            (message.attempts, message.state) == (attempts, State::AwaitingReceipt)
        })
    };
    awaited(1);
    pass(&clock, LONG);
    awaited(2);
    (gateway, peer.posted())
}

#[test]
fn a_duplicate_about_an_earlier_message_id_changes_nothing_and_the_receipt_for_the_present_one_still_delivers() {
    for more in ["", "\nbelieve_duplicates = true"] {
        let home = Home::ours();
        let (gateway, posted) = awaited_twice(&home, &format!("fresh_message_id = true{more}"));
        assert_ne!(posted[0].header("Message-ID"), posted[1].header("Message-ID"));
        assert_eq!(post(&home, &receipt_for(&posted[0], unproven())), 200);
        let message = gateway.sent_to("theirs");
        let strays: Vec<_> = message.strays.iter().map(|stray| stray.reason.code.as_str()).collect();
        assert_eq!((message.state, strays), (State::AwaitingReceipt, vec!["mdn-without-mic"]), "{more}");
        assert_eq!(post(&home, &receipt_for(&posted[1], Kind::default())), 200);
        assert_eq!(gateway.sent_to("theirs").state, State::Delivered, "{more}");
        assert_eq!(post(&home, &receipt_for(&posted[0], unproven())), 200);
        assert_eq!((gateway.sent_to("theirs").strays.len(), gateway.alerts()), (1, vec![]), "what is delivered is");
    }
}

#[test]
fn a_refusal_about_an_earlier_message_id_changes_nothing_and_the_receipt_for_the_present_one_still_delivers() {
    for (more, disposition, other) in [("", NEGATIVE, PASSING), ("\nretry_processing_error = true", PASSING, NEGATIVE)]
    {
        let home = Home::ours();
        let (gateway, posted) = awaited_twice(&home, &format!("fresh_message_id = true{more}"));
        let refusal = receipt_for(&posted[0], Kind { disposition, ..Kind::default() });
        assert_eq!(post(&home, &refusal), 200);
        let message = gateway.sent_to("theirs");
        let strays: Vec<_> = message.strays.iter().map(|stray| stray.reason.code.as_str()).collect();
        let found = (message.state, message.attempts, strays);
        assert_eq!(found, (State::AwaitingReceipt, 2, vec!["mdn-superseded"]), "{disposition}");
        let said = disposition.rsplit(' ').next().unwrap();
        let text = &message.strays[0].reason.text;
        assert!(text.en.contains(said) && text.zh.contains(said), "{text:?}");
        assert_eq!(post(&home, &receipt_for(&posted[1], Kind::default())), 200);
        assert_eq!((gateway.sent_to("theirs").state, gateway.alerts()), (State::Delivered, vec![]), "{disposition}");
        // Once it is delivered, a refusal under whatever Message-ID contradicts that.
        let contrary = receipt_for(&posted[0], Kind { disposition: other, ..Kind::default() });
        assert_eq!(post(&home, &contrary), 200);
        assert_eq!(gateway.alerts(), ["mdn-contradicts"], "{disposition}");
    }
}

/// The second attempt, under a fresh Message-ID, breaks off, or finds nobody.
#[test]
fn a_refusal_about_an_earlier_message_id_counts_where_the_present_one_cannot_have_reached_the_partner() {
    for reached in [true, false] {
        let home = Home::ours();
        let peer = Scripted::start(|number, _| (number == 0).then(|| answer(202, "", b"")));
        let (url, delivery) = (peer.url(), &format!("{RETRY}\nfresh_message_id = true"));
        home.partner("theirs", &PartnerFile { url, mdn: LATER, delivery, ..PartnerFile::default() });
        let clock = inside::clock();
        let gateway = Inside::start(&home, &clock);
        gateway.submit("theirs", "order.xml", ORDER);
        gateway.until("theirs", "awaited", |message| message.state == State::AwaitingReceipt);
        let posted = peer.posted();
        let address = peer.address;
        let peer = reached.then_some(peer);
        if peer.is_none() {
            eventually("nobody listens", || TcpStream::connect(address).is_err().then_some(()));
        }
        pass(&clock, LONG);
        gateway.until("theirs", "tried", |message| (message.attempts, message.state) == (2, State::Composed));
        assert_eq!(post(&home, &receipt_for(&posted[0], Kind { disposition: NEGATIVE, ..Kind::default() })), 200);
        let message = gateway.sent_to("theirs");
        if reached {
            assert_eq!(message.state, State::Composed);
            assert!(gateway.alerts().contains(&"mdn-superseded".to_owned()), "{:?}", gateway.alerts());
        } else {
            assert_eq!(state(&message), (State::Failed, "mdn-negative"));
        }
        drop(peer);
    }
}

#[test]
fn a_refusal_of_the_present_message_id_is_final_also_where_there_are_earlier_ones() {
    let home = Home::ours();
    let (gateway, posted) = awaited_twice(&home, "fresh_message_id = true");
    assert_eq!(post(&home, &receipt_for(&posted[1], Kind { disposition: NEGATIVE, ..Kind::default() })), 200);
    assert_eq!(state(&gateway.sent_to("theirs")), (State::Failed, "mdn-negative"));
}

#[test]
fn under_one_message_id_the_second_of_two_transfers_may_be_called_a_duplicate_until_the_partner_refused_it() {
    let home = Home::ours();
    let (gateway, posted) = awaited_twice(&home, "");
    assert_eq!(post(&home, &receipt_for(&posted[1], unproven())), 200);
    assert_eq!(state(&gateway.sent_to("theirs")), (State::Delivered, "mdn-without-mic"));

    let home = Home::ours();
    let (gateway, posted) = awaited_twice(&home, "retry_processing_error = true");
    assert_eq!(post(&home, &receipt_for(&posted[1], Kind { disposition: PASSING, ..Kind::default() })), 200);
    assert_eq!(state(&gateway.sent_to("theirs")), (State::Composed, "mdn-negative"));
    assert_eq!(post(&home, &receipt_for(&posted[1], unproven())), 200);
    assert_eq!(state(&gateway.sent_to("theirs")), (State::Held, UNPROVEN));
    assert_eq!(post(&home, &receipt_for(&posted[1], Kind::default())), 200);
    assert_eq!(gateway.sent_to("theirs").state, State::Delivered, "with its MIC it proves itself");
}

#[test]
fn a_refusal_about_an_earlier_message_id_changes_nothing_either_in_the_answer_to_the_present_one() {
    let home = Home::ours();
    let mut first: Option<Posted> = None;
    let peer = Scripted::start(move |number, posted| match number {
        0 => {
            first = Some(posted.clone());
            None
        }
        1 => Some(acknowledge(first.as_ref().unwrap(), Kind { disposition: NEGATIVE, ..Kind::default() })),
        _ => Some(acknowledge(posted, Kind::default())),
    });
    let (url, delivery) = (peer.url(), &format!("{RETRY}\nfresh_message_id = true"));
    home.partner("theirs", &PartnerFile { url, mdn: SYNC, delivery, ..PartnerFile::default() });
    let clock = inside::clock();
    let gateway = Inside::start(&home, &clock);
    gateway.submit("theirs", "order.xml", ORDER);
    gateway.until("theirs", "tried", |message| (message.attempts, message.state) == (1, State::Composed));
    pass(&clock, LONG);
    let answered = |message: &Message| message.attempts == 2 && message.state != State::Sending;
    let message = gateway.until("theirs", "answered", answered);
    assert_eq!(state(&message), (State::Composed, "mdn-superseded"));
    pass(&clock, LONG);
    gateway.until("theirs", "delivered", |message| message.state == State::Delivered);
    assert_eq!(gateway.alerts(), Vec::<String>::new());
}
