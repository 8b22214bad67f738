//! The same message again: it is delivered once, and every copy gets the same receipt. Nobody else can use that up.

use dxgate::as2::{MdnAsk, MdnMode, SendPlan};
use dxgate::cms::DigestAlgorithm;

use crate::support::correspondent::{self, Letter, encryption, letter, plan, receipt_in, signing};
use crate::support::gateway::Gateway;
use crate::support::home::{Home, PartnerFile};
use crate::support::http::{self, Answer};
use crate::support::scripted::{self, Scripted};
use crate::support::{eventually, keys};

const STRICT: &str = "signature = true\nencryption = true";

#[test]
fn a_message_posted_twice_is_delivered_once_and_answered_with_the_same_bytes() {
    let home = home();
    let gateway = Gateway::start(&home);
    let message = letter(&plan(), "<twice@theirs>", b"<once/>");
    let first = post(&home, &message);
    let second = post(&home, &message);
    assert!(receipt_in(&first).disposition.is_positive(), "{}", first.text());
    same_receipt(&first, &second);
    gateway.wait_for("theirs", "inbox", "letter.xml");
    assert!(gateway.stop().success());
    let restarted = Gateway::start(&home);
    same_receipt(&first, &post(&home, &message));
    assert!(restarted.stop().success());
    assert_eq!(home.names("theirs", "inbox"), ["letter.xml", "letter.xml.meta.json"]);
}

#[test]
fn copies_that_arrive_at_the_same_moment_are_delivered_once_and_answered_alike() {
    let home = home();
    let gateway = Gateway::start(&home);
    let message = letter(&plan(), "<crowd@theirs>", b"<once/>");
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let copies: Vec<_> = (0..12).map(|_| scope.spawn(|| post(&home, &message))).collect();
        copies.into_iter().map(|copy| copy.join().unwrap()).collect()
    });
    assert!(receipt_in(&answers[0]).disposition.is_positive(), "{}", answers[0].text());
    for answer in &answers {
        same_receipt(&answers[0], answer);
    }
    gateway.wait_for("theirs", "inbox", "letter.xml");
    assert!(gateway.stop().success());
    assert_eq!(home.names("theirs", "inbox"), ["letter.xml", "letter.xml.meta.json"]);
}

#[test]
fn the_same_content_wrapped_anew_is_the_same_message() {
    let home = home();
    let _gateway = Gateway::start(&home);
    let first = post(&home, &letter(&plan(), "<anew@theirs>", b"<once/>"));
    same_receipt(&first, &post(&home, &letter(&plan(), "<anew@theirs>", b"<once/>")));
}

#[test]
fn a_message_id_used_again_for_other_content_is_an_error_and_delivers_nothing() {
    let home = home();
    let gateway = Gateway::start(&home);
    let first = letter(&plan(), "<reused@theirs>", b"<first/>");
    let answer = post(&home, &first);
    let other = receipt_in(&post(&home, &letter(&plan(), "<reused@theirs>", b"<second/>")));
    assert!(other.disposition.says("unexpected-processing-error"), "{}", other.disposition);
    assert_eq!(gateway.wait_for("theirs", "inbox", "letter.xml"), b"<first/>");
    same_receipt(&answer, &post(&home, &first));
    assert!(gateway.stop().success());
    assert_eq!(home.names("theirs", "inbox"), ["letter.xml", "letter.xml.meta.json"]);
}

#[test]
fn a_forged_message_does_not_use_up_the_message_id_of_the_true_one() {
    let home = home();
    let gateway = Gateway::start(&home);
    let forged = [
        SendPlan { signing: None, ..plan() },
        SendPlan { signing: Some(signing(keys::stranger())), ..plan() },
        SendPlan { signing: None, encryption: None, ..plan() },
    ];
    for forged in &forged {
        let refused = receipt_in(&post(&home, &letter(forged, "<guessed@theirs>", b"<forged/>")));
        assert!(!refused.disposition.is_positive(), "{}", refused.disposition);
    }
    let genuine = receipt_in(&post(&home, &letter(&plan(), "<guessed@theirs>", b"<genuine/>")));
    assert!(genuine.disposition.is_positive(), "{}", genuine.disposition);
    assert_eq!(gateway.wait_for("theirs", "inbox", "letter.xml"), b"<genuine/>");
    assert!(gateway.stop().success());
    assert_eq!(home.names("theirs", "inbox"), ["letter.xml", "letter.xml.meta.json"]);
}

#[test]
fn a_forged_copy_of_an_accepted_message_learns_nothing_from_its_receipt() {
    let home = home();
    let _gateway = Gateway::start(&home);
    post(&home, &letter(&plan(), "<known@theirs>", b"<once/>"));
    let forged = SendPlan { signing: Some(signing(keys::stranger())), ..plan() };
    let refused = receipt_in(&post(&home, &letter(&forged, "<known@theirs>", b"<once/>")));
    assert!(!refused.disposition.is_positive(), "{}", refused.disposition);
    assert!(refused.mic.is_none());
}

#[test]
fn a_refused_message_is_accepted_once_the_senders_mistake_is_mended() {
    let home = home();
    let gateway = Gateway::start(&home);
    let wrong = SendPlan { encryption: Some(encryption(keys::stranger())), ..plan() };
    let refused = receipt_in(&post(&home, &letter(&wrong, "<mended@theirs>", b"<mended/>")));
    assert!(refused.disposition.says("decryption-failed"), "{}", refused.disposition);
    let accepted = receipt_in(&post(&home, &letter(&plan(), "<mended@theirs>", b"<mended/>")));
    assert!(accepted.disposition.is_positive(), "{}", accepted.disposition);
    assert_eq!(gateway.wait_for("theirs", "inbox", "letter.xml"), b"<mended/>");
}

#[test]
fn the_same_bytes_are_accepted_once_our_certificate_of_the_sender_is_mended() {
    let home = Home::ours();
    home.partner("theirs", &PartnerFile { party: keys::stranger(), accept: STRICT, ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    let message = letter(&plan(), "<patience@theirs>", b"<patience/>");
    let refused = receipt_in(&post(&home, &message));
    assert!(!refused.disposition.is_positive(), "{}", refused.disposition);
    home.partner("theirs", &PartnerFile { accept: STRICT, ..PartnerFile::default() });
    eventually("the new certificate is used", || {
        receipt_in(&post(&home, &message)).disposition.is_positive().then_some(())
    });
    assert_eq!(gateway.wait_for("theirs", "inbox", "letter.xml"), b"<patience/>");
}

#[test]
fn a_repetition_gets_the_receipt_that_only_it_asks_for() {
    let home = home();
    let gateway = Gateway::start(&home);
    let silent = SendPlan { mdn: MdnAsk::none(), ..plan() };
    let first = post(&home, &letter(&silent, "<asked@theirs>", b"<asked/>"));
    assert_eq!((first.status, first.body.len()), (200, 0), "{}", first.text());
    let second = post(&home, &letter(&plan(), "<asked@theirs>", b"<asked/>"));
    assert!(receipt_in(&second).disposition.is_positive(), "{}", second.text());
    gateway.wait_for("theirs", "inbox", "letter.xml");
    assert_eq!(home.names("theirs", "inbox"), ["letter.xml", "letter.xml.meta.json"]);
}

#[test]
fn a_repetition_that_wants_its_receipt_later_gets_the_same_one_and_leaves_nothing_behind() {
    let peer = Scripted::start(|_, _| Some(scripted::answer(200, "", b"")));
    let home = Home::ours();
    home.partner("theirs", &PartnerFile { url: peer.url(), accept: STRICT, ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    let mdn = MdnAsk { mode: MdnMode::Async { url: peer.url() }, signed: true, micalgs: vec![DigestAlgorithm::Sha256] };
    let message = letter(&SendPlan { mdn, ..plan() }, "<later@theirs>", b"<later/>");
    for expected in 1..=3 {
        assert_eq!(post(&home, &message).status, 202);
        eventually("the receipt comes", || (peer.posted().len() == expected).then_some(()));
    }
    let receipts = peer.posted();
    assert!(correspondent::receipt(&receipts[0].headers, &receipts[0].body).disposition.is_positive());
    assert!(receipts.iter().all(|receipt| receipt.body == receipts[0].body), "the same bytes each time");
    gateway.wait_for("theirs", "inbox", "letter.xml");
    eventually("no reception waits for the next start", || {
        let waiting = gateway.api("/api/v1/messages?state=received");
        waiting["messages"].as_array().unwrap().is_empty().then_some(())
    });
    assert!(gateway.stop().success());
    assert_eq!(home.names("theirs", "inbox"), ["letter.xml", "letter.xml.meta.json"]);
}

#[test]
fn a_repetition_that_asks_for_another_kind_of_receipt_gets_the_same_disposition_and_mic_and_the_same_bytes_each_time() {
    let home = home();
    let gateway = Gateway::start(&home);
    let signed = letter(&plan(), "<kinds@theirs>", b"<kinds/>");
    let plain = MdnAsk { mode: MdnMode::Sync, signed: false, micalgs: vec![DigestAlgorithm::Sha256] };
    let unsigned = letter(&SendPlan { mdn: plain, ..plan() }, "<kinds@theirs>", b"<kinds/>");
    let (first, other) = (post(&home, &signed), post(&home, &unsigned));
    let (one, two) = (receipt_in(&first), receipt_in(&other));
    assert_eq!((&one.disposition, &one.mic), (&two.disposition, &two.mic));
    assert!(matches!(one.signature, Ok(Some(_))) && matches!(two.signature, Ok(None)));
    same_receipt(&other, &post(&home, &unsigned));
    same_receipt(&first, &post(&home, &signed));
    gateway.kill();
    let restarted = Gateway::start(&home);
    same_receipt(&other, &post(&home, &unsigned));
    same_receipt(&first, &post(&home, &signed));
    let shown = restarted.api("/api/v1/messages")["messages"].as_array().unwrap().len();
    assert_eq!(shown, 1);
    eventually("the file and its companion are in the inbox", || {
        (home.names("theirs", "inbox").len() == 2).then_some(())
    });
}

#[test]
fn a_message_that_wanted_its_receipt_later_gets_the_same_one_at_once_when_it_asks_for_that() {
    let peer = Scripted::start(|_, _| Some(scripted::answer(200, "", b"")));
    let home = Home::ours();
    home.partner("theirs", &PartnerFile { url: peer.url(), accept: STRICT, ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    let mdn = MdnAsk { mode: MdnMode::Async { url: peer.url() }, signed: true, micalgs: vec![DigestAlgorithm::Sha256] };
    assert_eq!(post(&home, &letter(&SendPlan { mdn, ..plan() }, "<both@theirs>", b"<both/>")).status, 202);
    eventually("the receipt comes", || (peer.posted().len() == 1).then_some(()));
    let at_once = post(&home, &letter(&plan(), "<both@theirs>", b"<both/>"));
    assert!(receipt_in(&at_once).disposition.is_positive());
    assert!(at_once.body == peer.posted()[0].body, "the same bytes on both ways");
    gateway.wait_for("theirs", "inbox", "letter.xml");
    assert_eq!(home.names("theirs", "inbox"), ["letter.xml", "letter.xml.meta.json"]);
}

#[test]
fn a_refused_message_that_wants_its_receipt_later_is_opened_again_when_it_is_repeated() {
    let peer = Scripted::start(|_, _| Some(scripted::answer(200, "", b"")));
    let home = Home::ours();
    let accept = STRICT;
    home.partner("theirs", &PartnerFile { url: peer.url(), party: keys::stranger(), accept, ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    let mdn = MdnAsk { mode: MdnMode::Async { url: peer.url() }, signed: true, micalgs: vec![DigestAlgorithm::Sha256] };
    let message = letter(&SendPlan { mdn, ..plan() }, "<again@theirs>", b"<again/>");
    assert_eq!(post(&home, &message).status, 202);
    eventually("the refusal comes", || (peer.posted().len() == 1).then_some(()));
    let refused = peer.posted().remove(0);
    assert!(!correspondent::receipt(&refused.headers, &refused.body).disposition.is_positive());
    home.partner("theirs", &PartnerFile { url: peer.url(), accept, ..PartnerFile::default() });
    let mut copies = 1;
    eventually("the new certificate is used", || {
        assert_eq!(post(&home, &message).status, 202);
        copies += 1;
        eventually("an MDN comes", || (peer.posted().len() == copies).then_some(()));
        let latest = peer.posted().pop().unwrap();
        correspondent::receipt(&latest.headers, &latest.body).disposition.is_positive().then_some(())
    });
    assert_eq!(gateway.wait_for("theirs", "inbox", "letter.xml"), b"<again/>");
}

#[test]
fn where_it_is_agreed_a_repetition_is_answered_with_a_warning_and_with_the_same_one_each_time() {
    let home = Home::ours();
    let accept = format!("{STRICT}\nrepetition = \"warning\"");
    home.partner("theirs", &PartnerFile { accept: &accept, ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    let message = letter(&plan(), "<warned@theirs>", b"<once/>");
    let first = receipt_in(&post(&home, &message));
    assert!(first.disposition.is_positive() && first.disposition.severity().is_none(), "{}", first.disposition);
    let second = post(&home, &message);
    let warning = receipt_in(&second);
    assert!(warning.disposition.is_positive() && warning.disposition.says("duplicate-document"), "{}", second.text());
    assert_eq!(warning.mic, first.mic);
    same_receipt(&second, &post(&home, &message));
    let unsigned = SendPlan { mdn: MdnAsk { signed: false, ..plan().mdn }, ..plan() };
    let unsigned = letter(&unsigned, "<warned@theirs>", b"<once/>");
    let third = post(&home, &unsigned);
    assert!(receipt_in(&third).disposition.says("duplicate-document"), "{}", third.text());
    same_receipt(&third, &post(&home, &unsigned));
    assert_eq!(gateway.wait_for("theirs", "inbox", "letter.xml"), b"<once/>");
    assert!(gateway.stop().success());
    assert_eq!(home.names("theirs", "inbox"), ["letter.xml", "letter.xml.meta.json"]);
}

/// `ours`, which takes nothing from `theirs` but what is signed and encrypted.
fn home() -> Home {
    let home = Home::ours();
    home.partner("theirs", &PartnerFile { accept: STRICT, ..PartnerFile::default() });
    home
}

fn post(home: &Home, letter: &Letter) -> Answer {
    http::post(home.as2, "/as2", &letter.headers, &letter.body).unwrap()
}

/// Byte for byte, and under the same Message-ID.
fn same_receipt(first: &Answer, other: &Answer) {
    assert_eq!(other.status, first.status, "{}", other.text());
    assert!(first.body == other.body, "{}\n-----\n{}", first.text(), other.text());
    assert_eq!(message_id(first), message_id(other));
}

fn message_id(answer: &Answer) -> String {
    let line = answer.head.lines().find(|line| line.to_ascii_lowercase().starts_with("message-id:"));
    line.unwrap_or_else(|| panic!("no Message-ID: {}", answer.head)).to_owned()
}
