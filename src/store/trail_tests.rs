//! What the trail shows, what follows from it, and that it survives restarts, rebuilds and snapshots.

use serde_json::json;

use super::*;
use crate::store::record::Came;
use crate::store::tests::support::{accept_one, at, compose_one, happen, id, open, queued};
use crate::store::{Direction, Filter, Store};

fn paused(partner: &str) -> Change {
    Change {
        who: "alice".to_owned(),
        what: PAUSED.to_owned(),
        on: format!("partner:{partner}"),
        before: Some(json!(false)),
        after: Some(json!(true)),
        reason: Some("their server moves".to_owned()),
        from: Some("10.0.0.5".to_owned()),
    }
}

fn record(store: &Store, change: Change) -> u64 {
    let mut transaction = Transaction::new(at(1));
    transaction.change(change);
    store.commit_blocking(transaction).expect("committed").sequence
}

fn whats(page: &TrailPage) -> Vec<&str> {
    page.entries.iter().map(|entry| entry.change.what.as_str()).collect()
}

fn all() -> TrailFilter {
    TrailFilter { limit: 100, ..TrailFilter::default() }
}

#[test]
fn the_trail_has_changes_and_what_people_do_to_messages() {
    let home = tempfile::tempdir().expect("a folder");
    let (store, _) = open(home.path());
    let sequence = record(&store, paused("customs"));
    let message = compose_one(&store, 1, "customs", at(5));
    let text = crate::bilingual!("操作员 ann 暂停：look", "held by ann: look");
    let reason = crate::store::Reason { code: "held-by-operator".to_owned(), text };
    happen(&store, message, 6, Fact::Held { reason, by: "ann".to_owned(), came: Came::Unknown }).expect("held");
    happen(&store, message, 7, Fact::Cancelled { reason: "no".to_owned(), by: "bob".to_owned(), files: vec![] })
        .expect("ended");
    let page = store.trail(&all());
    assert_eq!(whats(&page), ["message-cancelled", "message-held", PAUSED]);
    let held = &page.entries[1].change;
    assert_eq!((held.who.as_str(), held.reason.as_deref()), ("ann", Some("look")));
    assert_eq!((&held.before, &held.after), (&Some(json!("composed")), &Some(json!("held"))));
    assert_eq!(held.on, format!("message:{message}"));
    assert_eq!((page.entries[2].sequence, &page.entries[2].change), (sequence, &paused("customs")));
    let by = |who: &str| store.trail(&TrailFilter { who: Some(who.to_owned()), ..all() });
    assert_eq!(whats(&by("bob")), ["message-cancelled"]);
    let on = |on: &str| store.trail(&TrailFilter { on: Some(on.to_owned()), ..all() });
    assert_eq!((whats(&on("partner:")), whats(&on("partner:x")).len()), (vec![PAUSED], 0));
    let first = store.trail(&TrailFilter { limit: 2, ..all() });
    assert_eq!(first.entries.len(), 2);
    let rest = store.trail(&TrailFilter { before: first.next, ..all() });
    assert_eq!((whats(&rest), rest.next), (vec![PAUSED], None));
}

#[test]
fn a_pause_and_the_trail_survive_a_restart_a_rebuild_and_a_snapshot() {
    let home = tempfile::tempdir().expect("a folder");
    let (store, _) = open(home.path());
    record(&store, paused("customs"));
    record(&store, paused("acme"));
    record(&store, Change { what: RESUMED.to_owned(), ..paused("acme") });
    compose_one(&store, 1, "customs", at(5));
    let (before, pauses) = (store.trail(&all()), store.pauses());
    assert_eq!(pauses.keys().collect::<Vec<_>>(), ["customs"]);
    assert_eq!(pauses["customs"].reason, "their server moves");
    store.stop_blocking();
    drop(store);
    let (store, _) = open(home.path());
    assert_eq!((store.trail(&all()), store.pauses()), (before.clone(), pauses.clone()));
    store.take_snapshot(&|| false).expect("taken");
    record(&store, paused("late"));
    let before = store.trail(&all());
    store.stop_blocking();
    drop(store);
    std::fs::remove_dir_all(home.path().join("index")).expect("removed");
    let (store, _) = open(home.path());
    assert_eq!(store.trail(&all()), before, "from the snapshot and the journal behind it");
    assert!(store.is_paused("customs") && store.is_paused("late") && !store.is_paused("acme"));
    store.verify_journal().expect("the chain holds");
}

#[test]
fn whoever_follows_hears_of_every_change_of_a_message() {
    let home = tempfile::tempdir().expect("a folder");
    let (store, _) = open(home.path());
    let mut changes = store.follow();
    let id = compose_one(&store, 1, "customs", at(5));
    let changed = changes.try_recv().expect("told");
    assert_eq!((changed.message.id, changed.before, changed.message.state), (id, None, State::Composed));
    happen(&store, id, 6, Fact::Attempted { number: 1 }).expect("tried");
    let changed = changes.try_recv().expect("told");
    assert_eq!((changed.before, changed.message.state), (Some(State::Composed), State::Sending));
}

#[test]
fn messages_are_found_by_words_states_and_time_within_bounds() {
    let home = tempfile::tempdir().expect("a folder");
    let (store, _) = open(home.path());
    for number in 1..=6 {
        compose_one(&store, number, if number % 2 == 0 { "customs" } else { "acme" }, at(5));
    }
    accept_one(&store, 7);
    let ids = |filter: Filter| store.page(&filter).messages.iter().map(|message| message.id).collect::<Vec<_>>();
    let text = |text: &str| Filter { text: Some(text.to_owned()), ..Filter::default() };
    assert_eq!(ids(text("3@STATION")), [id(3)], "the Message-ID, in any case and without brackets");
    assert_eq!(ids(text("recei")), [id(7)], "the beginning of a file name");
    assert_eq!(ids(text("order.xml")).len(), 6);
    assert_eq!(ids(Filter { before: Some(id(4)), ..text("order.xml") }), [id(3), id(2), id(1)]);
    assert!(ids(text("eceipt")).is_empty() && ids(text("order.xml\0")).len() == 6);
    let states = Filter { states: vec![State::Composed, State::Accepted], limit: 3, ..Filter::default() };
    assert_eq!(ids(states.clone()), [id(7), id(6), id(5)], "several states in one order");
    let page = store.page(&states);
    assert_eq!(page.next, Some(id(5)));
    assert_eq!(ids(Filter { before: page.next, ..states }), [id(4), id(3), id(2)]);
    let outbound = Filter { direction: Some(Direction::Outbound), ..Filter::default() };
    assert_eq!(ids(outbound.clone()).len(), 6);
    assert!(ids(Filter { states: vec![State::Accepted], ..outbound }).is_empty());
    let partner = Filter { partner: Some("acme".to_owned()), states: vec![State::Composed], ..Filter::default() };
    assert_eq!(ids(partner), [id(5), id(3), id(1)]);
    let now = at(0);
    assert!(ids(Filter { from: Some(now), ..Filter::default() }).is_empty(), "the test's ids are from 1970");
    assert_eq!(ids(Filter { to: Some(at(1000)), ..Filter::default() }).len(), 7);
}

#[test]
fn a_message_whose_identifier_is_that_of_its_hour_is_found_by_the_time_at_which_it_came_to_be() {
    let home = tempfile::tempdir().expect("a folder");
    let (store, _) = open(home.path());
    // As a submission with a key has it.
    let keyed = Id::derived(at(0), &[7; 10]);
    let mut transaction = Transaction::new(at(2700));
    let payload = transaction.body(b"payload".to_vec());
    transaction.fact(keyed, queued("customs", Some(payload)));
    store.commit_blocking(transaction).expect("committed");
    let found = |from, to| store.page(&Filter { from, to, ..Filter::default() }).messages.len();
    assert_eq!((found(Some(at(1800)), None), found(None, Some(at(1800)))), (1, 0));
    assert_eq!((found(Some(at(2701)), None), found(None, Some(at(2701)))), (0, 1));
}
