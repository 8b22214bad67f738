//! Who may work on what is due.

use std::collections::{BTreeMap, BTreeSet};

use super::support::*;
use crate::store::record::Came;
use crate::store::*;

fn leased(leases: &[Lease]) -> Vec<Id> {
    leases.iter().map(|lease| lease.message.id).collect()
}

#[test]
fn what_is_due_is_leased_once_and_comes_back_when_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    compose_one(&store, 1, "customs", at(10));
    compose_one(&store, 2, "customs", at(5));
    compose_one(&store, 3, "customs", at(20));
    accept_one(&store, 4);
    assert_eq!(store.next_due(), Some(at(5)));
    assert!(store.lease_due(at(4), 10, &|_| 10).is_empty());
    let leases = store.lease_due(at(10), 10, &|_| 10);
    assert_eq!(leased(&leases), [id(2), id(1)]);
    assert!(store.lease_due(at(10), 10, &|_| 10).is_empty());
    assert_eq!(store.next_due(), Some(at(20)));
    drop(leases);
    assert_eq!(leased(&store.lease_due(at(10), 10, &|_| 10)), [id(2), id(1)]);
}

#[test]
fn slots_bound_each_partner_and_partners_take_turns() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    for number in 1..=9 {
        compose_one(&store, number, ["acme", "acme.eu", "customs"][usize::from(number % 3)], at(0));
    }
    let by_slots = store.lease_due(at(0), 100, &|partner| if partner == "acme" { 0 } else { 2 });
    assert_eq!(leased(&by_slots), [id(1), id(4), id(2), id(5)]);
    drop(by_slots);
    let mut turns = Vec::new();
    for _ in 0..4 {
        turns.extend(store.lease_due(at(0), 1, &|_| 10));
    }
    let partners: Vec<_> = turns.iter().map(|lease| lease.message.partner.as_str()).collect();
    assert_eq!(partners, ["acme", "acme.eu", "customs", "acme"]);
}

#[test]
fn a_settled_message_is_not_leased_again() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let id = compose_one(&store, 1, "customs", at(0));
    let lease = store.lease_due(at(0), 1, &|_| 1);
    happen(&store, id, 1, Fact::Attempted { number: 1 }).unwrap();
    happen(&store, id, 2, Fact::AwaitingReceipt { deadline: at(100), came: Came::Answered }).unwrap();
    drop(lease);
    assert!(store.lease_due(at(99), 1, &|_| 1).is_empty());
    assert_eq!(store.next_due(), Some(at(100)));
    let lease = store.lease_due(at(100), 1, &|_| 1);
    assert_eq!(lease[0].message.state, State::AwaitingReceipt);
    happen(&store, id, 101, Fact::Delivered { receipt: None, note: None, files: vec![] }).unwrap();
    drop(lease);
    assert!(store.lease_due(at(1000), 1, &|_| 1).is_empty());
    assert_eq!(store.next_due(), None);
}

#[test]
fn an_attempt_cut_off_by_a_crash_is_due_after_the_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let id = compose_one(&store, 1, "customs", at(0));
    let lease = store.lease_due(at(0), 1, &|_| 1);
    happen(&store, id, 1, Fact::Attempted { number: 1 }).unwrap();
    drop((lease, store));
    let (store, _) = open(dir.path());
    let lease = store.lease_due(at(0), 1, &|_| 1);
    assert_eq!((lease[0].message.state, lease[0].message.attempts), (State::Sending, 1));
}

#[tokio::test]
async fn new_work_and_returned_leases_wake_the_one_who_waits() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let mut transaction = Transaction::new(at(1));
    transaction.fact(id(1), queued("customs", None));
    store.commit(transaction).await.unwrap();
    store.due_changed().await;
    drop(store.lease_due(at(1), 1, &|_| 1));
    store.due_changed().await;
}

#[test]
fn a_poisoned_store_leases_nothing_and_has_nothing_due() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    compose_one(&store, 1, "customs", at(5));
    compose_one(&store, 2, "customs", at(90));
    store.poison("a sync failed".to_owned());
    assert!(store.lease_due(at(10), 10, &|_| 10).is_empty());
    assert_eq!(store.next_due(), None);
}

#[test]
fn what_is_leased_is_what_is_due_whatever_came_and_went_before() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let mut seed = 7u32;
    let mut random = |below: i64| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        i64::from(seed >> 8) % below
    };
    let (mut now, mut number) = (10, 0u16);
    for round in 0..600 {
        let open: Vec<Message> = store.messages(&Filter { limit: usize::MAX, ..Filter::default() });
        let open: Vec<Message> = open.into_iter().filter(|message| message.due.is_some()).collect();
        match random(5) {
            0 | 1 if number < 250 => {
                number += 1;
                let partner = ["acme", "acme.eu", "customs", "zoll"][usize::try_from(random(4)).unwrap()];
                compose_one(&store, number, partner, at(now - 20 + random(60)));
            }
            2 if !open.is_empty() => {
                let message = &open[usize::try_from(random(i64::try_from(open.len()).unwrap())).unwrap()];
                happen(&store, message.id, now, Fact::Attempted { number: message.attempts + 1 }).unwrap();
                let end = match random(2) {
                    0 => Fact::Delivered { receipt: None, note: None, files: vec![] },
                    _ => Fact::RetryAt { due: at(now + random(40)), reason: reason("http-503"), came: Came::Unknown },
                };
                happen(&store, message.id, now, end).unwrap();
            }
            3 => now += random(9),
            _ => {}
        }
        let all = store.messages(&Filter { limit: usize::MAX, ..Filter::default() });
        let due: Vec<(Timestamp, Id)> = all.iter().filter_map(|message| Some((message.due?, message.id))).collect();
        let mut expected: Vec<Id> = due.iter().filter(|(due, _)| *due <= at(now)).map(|(_, id)| *id).collect();
        let mut found = leased(&store.lease_due(at(now), 1000, &|_| 1000));
        expected.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, expected, "round {round}");
        let next = due.iter().map(|(due, _)| *due).filter(|due| *due > at(now)).min();
        assert_eq!(store.next_due(), next, "round {round}");
    }
    assert!(number > 150, "much has happened: {number}");
}

/// Messages of one partner from the outbox to composed, in one transaction.
fn compose_many(store: &Store, messages: &[(u16, Timestamp)]) {
    let mut transaction = Transaction::new(at(1));
    for (number, due) in messages {
        let payload = transaction.body(format!("payload {number}").into_bytes());
        let wire = transaction.body(format!("wire {number}").into_bytes());
        transaction.fact(id(*number), queued("customs", Some(payload)));
        transaction.fact(id(*number), composed(&format!("<{number}@station>"), wire, *due));
    }
    store.commit_blocking(transaction).unwrap();
}

fn all_happen(store: &Store, facts: Vec<(Id, Fact)>) {
    let mut transaction = Transaction::new(at(1));
    for (id, fact) in facts {
        transaction.fact(id, fact);
    }
    store.commit_blocking(transaction).unwrap();
}

#[test]
fn in_a_long_line_the_earliest_come_first_whoever_holds_what_and_whatever_people_do() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let mut seed = 11u32;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        usize::try_from(seed >> 8).unwrap() % below.max(1)
    };
    let second = |number: usize| i64::try_from(number).unwrap();
    let first: Vec<(u16, Timestamp)> = (0..700).map(|number| (number, at(second(random(200))))).collect();
    compose_many(&store, &first);
    let mut line: BTreeMap<Id, Timestamp> = first.iter().map(|(number, due)| (id(*number), *due)).collect();
    let (mut held, mut now, mut number) = (Vec::<Lease>::new(), 100, 700u16);
    for round in 0..300 {
        let chosen: BTreeSet<Id> = (0..4).filter_map(|_| line.keys().nth(random(line.len())).copied()).collect();
        match random(6) {
            0 => {
                let new: Vec<(u16, Timestamp)> =
                    (number..number + 8).map(|number| (number, at(now - 50 + second(random(100))))).collect();
                compose_many(&store, &new);
                line.extend(new.iter().map(|(number, due)| (id(*number), *due)));
                number += 8;
            }
            1 => {
                let end = || Fact::Cancelled { reason: "no".to_owned(), by: "ann".to_owned(), files: vec![] };
                all_happen(&store, chosen.iter().map(|id| (*id, end())).collect());
                line.retain(|id, _| !chosen.contains(id));
            }
            2 => {
                let due = at(now - 20 + second(random(80)));
                let retry = || Fact::RetryAt { due, reason: reason("http-503"), came: Came::Unknown };
                all_happen(&store, chosen.iter().map(|id| (*id, retry())).collect());
                line.extend(chosen.iter().map(|id| (*id, due)));
            }
            3 => {
                let done: Vec<Lease> = held.drain(..held.len().min(6)).collect();
                let open = done.iter().map(|lease| lease.message.id).filter(|id| line.contains_key(id));
                let end = || Fact::Delivered { receipt: None, note: None, files: vec![] };
                let facts = open.flat_map(|id| [(id, Fact::Attempted { number: 1 }), (id, end())]).collect();
                all_happen(&store, facts);
                line.retain(|id, _| done.iter().all(|lease| lease.message.id != *id));
            }
            4 => held.retain(|_| random(2) == 0),
            _ => now += second(random(7)) - 2,
        }
        let in_work: BTreeSet<Id> = held.iter().map(|lease| lease.message.id).collect();
        let due = line.iter().filter(|(id, due)| **due <= at(now) && !in_work.contains(id));
        let mut expected: Vec<(Timestamp, Id)> = due.map(|(id, due)| (*due, *id)).collect();
        let slots = random(30);
        expected.sort_unstable();
        expected.truncate(slots);
        let leases = store.lease_due(at(now), 1000, &|_| slots);
        let found: Vec<(Timestamp, Id)> =
            leases.iter().map(|lease| (lease.message.due.unwrap(), lease.message.id)).collect();
        assert_eq!(found, expected, "round {round}");
        held.extend(leases);
        let next = line.values().copied().filter(|due| *due > at(now)).min();
        assert_eq!(store.next_due(), next, "round {round}");
    }
    assert!(number > 800, "much has come: {number}");
}

#[test]
fn a_message_is_decoded_once_for_its_lease_and_for_the_commits_that_follow() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let id = compose_one(&store, 1, "customs", at(0));
    drop(store);
    // Nothing of it is in memory after a restart.
    let (store, _) = open(dir.path());
    let leases = store.lease_due(at(0), 1, &|_| 1);
    let known = || store.0.index.message(&id).unwrap().unwrap().message;
    assert!(std::sync::Arc::ptr_eq(&leases[0].message, &known()));
    happen(&store, id, 1, Fact::Attempted { number: 1 }).unwrap();
    assert_eq!((known().state, known().attempts), (State::Sending, 1));
    store.0.index.flush().unwrap();
    assert_eq!((known().state, known().attempts), (State::Sending, 1));
}

#[test]
fn partners_that_have_nothing_to_do_now_are_not_asked_about() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    for number in 1..=100 {
        compose_one(&store, number, &format!("partner-{number}"), at(1000 + i64::from(number)));
    }
    let lowest = || store.0.index.first_floor(None).unwrap().map(|found| (found.partner.to_string(), found.due));
    let nobody = |partner: &str| -> usize { panic!("{partner} has nothing to do") };
    assert!(store.lease_due(at(5), 10, &|_| 10).is_empty());
    assert_eq!(store.next_due(), Some(at(1001)));
    assert_eq!(
        lowest(),
        Some(("partner-1".to_owned(), at(1001))),
        "the first is known, and that the others come later"
    );
    assert!(store.lease_due(at(1000), 10, &nobody).is_empty());
    // What comes is seen at once, and so is what a restart finds.
    compose_one(&store, 101, "partner-7", at(500));
    assert_eq!(store.next_due(), Some(at(1001)), "what is later than what was asked about last");
    assert_eq!(leased(&store.lease_due(at(1000), 10, &|_| 10)), [id(101)]);
    drop(store);
    let (store, _) = open(dir.path());
    assert_eq!(leased(&store.lease_due(at(1000), 10, &|_| 10)), [id(101)]);
    assert_eq!(store.next_due(), Some(at(1001)));
}

#[test]
fn what_becomes_due_while_somebody_looks_is_not_missed() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let (done, mut missed) = (std::sync::atomic::AtomicBool::new(false), Vec::new());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                // Nothing is due so early: this takes nothing, and learns what comes first.
                drop((store.lease_due(at(0), 10, &|_| 10), store.next_due()));
            }
        });
        for number in 1..=300 {
            let due = at(10 + i64::from(number));
            let id = compose_one(&store, number, ["acme", "customs"][usize::from(number % 2)], due);
            if !leased(&store.lease_due(due, 1000, &|_| 1000)).contains(&id) {
                missed.push(number);
            }
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert!(missed.is_empty(), "{missed:?}");
}
