//! Who may work on what is due.

use super::support::*;
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
    happen(&store, id, 2, Fact::AwaitingReceipt { deadline: at(100) }).unwrap();
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
