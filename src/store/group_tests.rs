//! Whom a group wakes, and what is judged without a second look.

use std::pin::pin;
use std::task::{Context, Waker};

use super::*;
use crate::mime::Headers;
use crate::store::Store;
use crate::store::record::{Content, Folder, Publication, Receipt};
use crate::store::tests::support::{accept_one, at, compose_one, happen, id, open, queued, reason};

/// Whether the publisher, if it waited, would go on now.
fn woken(store: &Store) -> bool {
    let wake = store.wake_publications();
    let mut notified = pin!(wake.notified());
    notified.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

fn promised(folder: Folder, content: Content) -> Vec<Publication> {
    vec![Publication { folder, name: "order.xml".to_owned(), files: vec![(String::new(), content)] }]
}

fn published() -> Fact {
    Fact::Published { index: 0, name: "order.xml".to_owned() }
}

#[test]
fn the_publisher_is_woken_by_files_that_are_promised_and_by_nothing_that_it_records_itself() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    compose_one(&store, 1, "customs", at(1));
    assert!(!woken(&store), "nothing is promised");
    let message = accept_one(&store, 2);
    assert!(woken(&store) && !woken(&store), "once");
    let held = Fact::LegalHeld { reason: "a suit".to_owned(), by: "legal".to_owned() };
    for fact in [held, Fact::Staged { index: 0 }, published()] {
        happen(&store, message, 3, fact.clone()).unwrap();
        assert!(!woken(&store), "{fact:?}");
    }
    assert!(store.pending_publications(1).is_empty());
}

#[test]
fn files_promised_while_others_of_the_message_are_published_wake_the_publisher() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let message = compose_one(&store, 1, "customs", at(1));
    let files = || promised(Folder::Failed, Content::Text("why".to_owned()));
    let failed = || Fact::Failed { reason: reason("gave-up"), receipt: None, files: files() };
    let released = Fact::Released { reason: "again".to_owned(), by: "op".to_owned(), due: at(4) };
    for fact in [failed(), Fact::Staged { index: 0 }, released] {
        happen(&store, message, 3, fact).unwrap();
    }
    assert!(woken(&store) && !woken(&store));
    let mut transaction = Transaction::new(at(5));
    transaction.fact(message, published()).fact(message, failed());
    store.commit_blocking(transaction).unwrap();
    assert!(woken(&store), "as many wait as before, but another one");
    let pending: Vec<u32> = store.pending_publications(9).iter().map(|pending| pending.index).collect();
    assert_eq!(pending, [1]);
}

#[test]
fn files_of_a_restored_message_wake_the_publisher_when_they_are_let_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let message = accept_one(&store, 1);
    assert!(woken(&store));
    happen(&store, message, 2, Fact::Restored { sequence: 7 }).unwrap();
    assert!(!woken(&store), "they wait for a person");
    let resumed = Fact::Resumed { reason: "checked".to_owned(), by: "op".to_owned(), anew: true };
    happen(&store, message, 3, resumed).unwrap();
    assert!(woken(&store) && store.pending_publications(9).len() == 1);
}

#[test]
fn preconditions_and_facts_are_judged_by_the_message_as_the_group_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let message = compose_one(&store, 1, "customs", at(1));
    let attempt = |number: u32, state: State| {
        let mut transaction = Transaction::new(at(2));
        transaction.require(Precondition::StateIs(message, vec![state]));
        transaction.require(Precondition::StateIs(message, vec![State::Held, state]));
        transaction.fact(message, Fact::Attempted { number });
        transaction
    };
    let mut group = Group::new(&store.0.index);
    let judged = group.judge(&attempt(1, State::Composed), &|_| false).unwrap();
    group.accept(judged, 9);
    let refused = group.judge(&attempt(2, State::Composed), &|_| false).err();
    let Some(Refusal::Commit(refused)) = refused else { panic!("it was not refused") };
    let state = Some(State::Sending);
    assert_eq!(refused, Conflict::WrongState { id: message, state }.into());
    let judged = group.judge(&attempt(2, State::Sending), &|_| false).unwrap();
    let attempts: Vec<u32> = group.accept(judged, 10).iter().map(|message| message.attempts).collect();
    assert_eq!(attempts, [2]);
}

#[test]
fn a_message_names_again_what_it_keeps_and_nothing_of_another_one_or_that_has_gone() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let message = compose_one(&store, 1, "customs", at(1));
    let payload = store.message(&message).unwrap().payload.unwrap();
    let refused = happen(&store, id(2), 2, queued("customs", Some(payload))).unwrap_err();
    assert_eq!(refused, Conflict::BodyOfAnother(payload.id).into());
    let files = promised(Folder::Sent, Content::Body(payload));
    let facts = [
        Fact::Attempted { number: 1 },
        Fact::Delivered { receipt: None, note: None, files },
        Fact::Staged { index: 0 },
        published(),
        Fact::PayloadPurged { why: reason("expired"), bodies: vec![payload.id] },
    ];
    for fact in facts {
        happen(&store, message, 3, fact).unwrap();
    }
    let (headers, disposition) = (Headers::new(), "processed".to_owned());
    let receipt = Receipt { body: payload, headers, disposition, mic: None, mic_matches: None, signer: None };
    let stray = Fact::StrayReceipt { reason: reason("mdn-late"), receipt };
    assert_eq!(happen(&store, message, 4, stray).unwrap_err(), CommitError::UnknownBody(payload.id));
}
