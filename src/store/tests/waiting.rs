//! Changes that wait in memory for the index's map: whoever asks sees no difference.

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};

use proptest::prelude::*;

use super::support::*;
use crate::declaration::standing::Standing;
use crate::store::group::{FactsRecord, Group};
use crate::store::index::{Applied, Condition, Index, Location, View};
use crate::store::record::Came;
use crate::store::*;

fn index(dir: &Path) -> Index {
    Index::inspect(db::Db::open(dir, 1 << 20).unwrap()).unwrap().0
}

fn body(number: u16) -> Body {
    Body { id: id(1000 + number), len: 4, sha256: Some([0xab; 32]), crc32c: None }
}

fn partner(number: u16) -> &'static str {
    if number.is_multiple_of(3) { "bank" } else { "customs" }
}

fn published(content: &str) -> Publication {
    let files = vec![(String::new(), Content::Text(content.to_owned()))];
    Publication { folder: Folder::Sent, name: "order.xml".to_owned(), files }
}

/// A fact about message `number` that may be lawful.
fn fact(kind: u8, number: u16, second: i64) -> Fact {
    // Often an instant at which the message was due before.
    let due = at(second / 4 + i64::from(number % 5));
    match kind {
        0 => queued(partner(number), None),
        1 => composed(&format!("<{number}@station>"), body(number), due),
        2 => Fact::Attempted { number: 1 },
        3 => Fact::RetryAt { due, reason: reason("unreachable"), came: Came::Unknown },
        4 => Fact::Delivered { receipt: None, note: None, files: vec![published("sent"), published("more")] },
        5 => Fact::Staged { index: 0 },
        6 => Fact::Published { index: u32::from(number % 2), name: "order.xml".to_owned() },
        7 => Fact::Declared { documents: vec![vec![("orderNo".to_owned(), format!("order {}", number % 4))]] },
        8 => accepted(&format!("{number}@customs"), body(number), body(number)),
        9 => Fact::Held { reason: reason("looked-at"), by: "operator".to_owned(), came: Came::Unknown },
        10 => Fact::Purged { why: reason("expired"), bodies: vec![body(number).id] },
        11 => Fact::Restored { sequence: 1 },
        12 => Fact::Resumed { reason: "asked".to_owned(), by: "operator".to_owned(), anew: true },
        13 => Fact::Released { reason: "asked".to_owned(), by: "operator".to_owned(), due },
        14 => Fact::AwaitingReceipt { deadline: due, came: Came::Answered },
        15 => recomposed(&format!("<{number}-again@station>"), body(100 + number), due),
        16 => Fact::Received {
            partner: "customs".to_owned(),
            message_id: format!("<{number}@customs>"),
            headers: crate::mime::Headers::new(),
            wire: body(number),
        },
        _ => Fact::Cancelled { reason: "no".to_owned(), by: "operator".to_owned(), files: Vec::new() },
    }
}

fn recomposed(message_id: &str, wire: Body, due: Timestamp) -> Fact {
    match composed(message_id, wire, due) {
        Fact::Composed { message_id, headers, wire, mics, due } => {
            Fact::Recomposed { message_id, headers, wire, mics, due }
        }
        other => other,
    }
}

/// Takes the facts in as one group, those that are lawful, each in a frame of its own; how many were. Nothing happens to a
/// message after the fact that forgets it: ids do not come back.
fn take(index: &Index, facts: Vec<(Id, Fact)>, waits: bool) -> usize {
    let mut group = Group::new(index);
    let begin = index.applied().sequence;
    let mut sequence = begin;
    let mut gone = HashSet::new();
    for fact in facts {
        if gone.contains(&fact.0) {
            continue;
        }
        let purged = matches!(fact.1, Fact::Purged { .. }).then_some(fact.0);
        let record = FactsRecord { at: at(1), facts: vec![fact], link: None, change: None };
        if let Ok(judged) = group.replay(&record, sequence + 1) {
            sequence += 1;
            group.accept(judged, sequence);
            gone.extend(purged);
        }
    }
    if sequence > begin {
        let (changes, _) = group.finish(sequence).unwrap();
        let applied = Applied { sequence, hash: [7; 32] };
        if waits { index.note(changes, applied, 100) } else { index.apply(changes, applied) }.unwrap();
    }
    usize::try_from(sequence - begin).unwrap()
}

const MESSAGES: u16 = 8;

/// What deliveries, publications, receipts and declarations ask.
fn asked(index: &Index) -> impl PartialEq + std::fmt::Debug + use<> {
    let numbers = 0..MESSAGES;
    let messages: Vec<_> = numbers
        .clone()
        .map(|number| index.message(&id(number)).unwrap().map(|found| (found.message, found.sequence)))
        .collect();
    let due: Vec<_> = ["bank", "customs"]
        .map(|partner| {
            let all: Vec<_> = index.due(partner, None).map(Result::unwrap).collect();
            let later: Vec<_> = index.due(partner, Some(at(20))).map(Result::unwrap).collect();
            (all, later)
        })
        .into();
    let partners = [None, Some("bank"), Some("customs")].map(|after| index.next_partner(after).unwrap());
    let unpublished: Vec<_> = index.unpublished().map(Result::unwrap).collect();
    let named: Vec<_> = numbers
        .clone()
        .flat_map(|number| [format!("{number}@station"), format!("{number}-again@station")].map(|name| (number, name)))
        .map(|(number, name)| index.by_message_id(Direction::Outbound, partner(number), &name).unwrap())
        .collect();
    let keys: Vec<_> =
        numbers.clone().map(|number| index.claimant(&key(&format!("{number}@customs"))).unwrap()).collect();
    let bodies: Vec<_> = numbers.map(|number| index.body(&body(number).id).unwrap()).collect();
    let documents: Vec<Vec<_>> = (0..4)
        .map(|order| index.documents("orderNo", &format!("order {order}"), None).map(Result::unwrap).collect())
        .collect();
    (messages, due, partners, unpublished, named, keys, bodies, documents, index.states(), index.applied())
}

/// What people ask.
fn looked_at(index: &Index) -> impl PartialEq + std::fmt::Debug + use<> {
    let views = [View::All, View::State(State::Composed), View::Partner("bank"), View::Declared];
    let views = views.into_iter().chain([View::Standing(Standing::Waiting), View::Alerting, View::Owing]);
    let views: Vec<Vec<Id>> = views.map(|view| index.latest_first(&view, None).map(Result::unwrap).collect()).collect();
    let words: Vec<_> = index.mentioning("order").map(Result::unwrap).collect();
    (views, words, index.oldest(State::Queued).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_waits_is_seen_as_if_the_map_had_it(
        groups in prop::collection::vec((prop::collection::vec((0u8..18, 0..MESSAGES), 1..6), 0u8..8), 1..50)
    ) {
        let dir = tempfile::tempdir().unwrap();
        let (waiting, at_once) = (index(&dir.path().join("waiting")), index(&dir.path().join("at_once")));
        for (second, (kinds, then)) in (1i64..).zip(&groups) {
            let facts = || kinds.iter().map(|(kind, number)| (id(*number), fact(*kind, *number, second))).collect();
            prop_assert_eq!(take(&waiting, facts(), true), take(&at_once, facts(), false));
            prop_assert_eq!(asked(&waiting), asked(&at_once));
            match then {
                0 => prop_assert_eq!(looked_at(&waiting), looked_at(&at_once)),
                1 => waiting.flush().unwrap(),
                _ => {}
            }
        }
        prop_assert_eq!(looked_at(&waiting), looked_at(&at_once));
        // What the index says of itself is looked at below: the entries add up differently where blocks begin elsewhere.
        for view in (0..=u8::MAX).filter(|view| *view != b'!') {
            let [one, other] = [&waiting, &at_once]
                .map(|index| index.records(view).map(Result::unwrap).collect::<Vec<_>>());
            prop_assert!(one == other, "view {}", view);
        }
        for (name, index) in [("waiting", waiting), ("at_once", at_once)] {
            index.flush().unwrap();
            let (applied, states) = (index.applied(), index.states());
            drop(index);
            let (index, condition) = Index::inspect(db::Db::open(&dir.path().join(name), 1 << 20).unwrap()).unwrap();
            let expected = if applied.sequence == 0 { Condition::Empty } else { Condition::Sound(applied) };
            prop_assert_eq!((condition, index.states()), (expected, states));
        }
    }
}

#[test]
fn a_list_that_was_begun_before_the_map_got_what_waited_goes_on_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let index = index(dir.path());
    let numbers: Vec<u16> = vec![1, 2, 4, 5, 7, 8, 10, 11];
    let all_get = |numbers: &[u16], fact: &dyn Fn(u16) -> Fact| {
        let facts = numbers.iter().map(|number| (id(*number), fact(*number))).collect();
        assert_eq!(take(&index, facts, true), numbers.len());
    };
    let queue = |numbers: &[u16]| {
        all_get(numbers, &|number| fact(0, number, 1));
        all_get(numbers, &|number| fact(1, number, 1));
    };
    let later: Vec<u16> = numbers.iter().copied().filter(|number| number % 2 == 1).collect();
    let earlier: Vec<u16> = numbers.iter().copied().filter(|number| number % 2 == 0).collect();
    queue(&earlier);
    index.flush().unwrap();
    queue(&later);
    for stop in 0..=numbers.len() {
        let all: Vec<_> = index.due("customs", None).map(Result::unwrap).collect();
        assert_eq!(all.len(), numbers.len());
        let mut begun = index.due("customs", None);
        let mut seen: Vec<_> = begun.by_ref().take(stop).map(Result::unwrap).collect();
        index.flush().unwrap();
        seen.extend(begun.map(Result::unwrap));
        assert_eq!(seen, all, "stopped at {stop}");
        // They wait again, with other keys in another order.
        all_get(&numbers, &|_| Fact::Attempted { number: u32::try_from(stop).unwrap() + 1 });
        all_get(&numbers, &|number| fact(3, number, i64::try_from(stop).unwrap()));
    }
}

#[test]
fn a_message_that_is_due_again_when_it_was_before_is_found_among_those_that_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let index = index(dir.path());
    let all_get = |facts: Vec<(u16, Fact)>| {
        let count = facts.len();
        assert_eq!(take(&index, facts.into_iter().map(|(number, fact)| (id(number), fact)).collect(), true), count);
    };
    let attempted_and_due = |number, attempt, due| {
        let retry = Fact::RetryAt { due, reason: reason("unreachable"), came: Came::Unknown };
        vec![(number, Fact::Attempted { number: attempt }), (number, retry)]
    };
    let numbers = [1, 2, 4, 5, 7];
    all_get(numbers.map(|number| (number, queued("customs", None))).into());
    all_get(numbers.map(|number| (number, composed(&format!("<{number}@station>"), body(number), at(10)))).into());
    index.flush().unwrap();
    for number in numbers {
        all_get(attempted_and_due(number, 1, at(100)));
    }
    let due = || index.due("customs", None).map(Result::unwrap).collect::<Vec<_>>();
    assert_eq!(due(), numbers.map(|number| (at(100), id(number))));
    let begun = index.due("customs", None);
    all_get(attempted_and_due(4, 2, at(10)));
    assert_eq!(begun.map(Result::unwrap).next(), Some((at(10), id(4))), "by a list that had begun");
    assert_eq!(due().first(), Some(&(at(10), id(4))));
    assert_eq!(due().len(), numbers.len());
}

#[test]
fn a_message_that_is_read_to_be_worked_on_is_not_answered_with_once_it_has_changed() {
    let dir = tempfile::tempdir().unwrap();
    {
        let index = index(dir.path());
        let facts = (0..300).flat_map(|number| [0, 1].map(|kind| (id(number), fact(kind, number, 1))));
        assert_eq!(take(&index, facts.collect(), true), 600);
        index.flush().unwrap();
    }
    // Nothing is in memory of this one: it reads the map.
    let index = index(dir.path());
    let (at_work, done) = (AtomicU16::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                index.message_for_work(&id(at_work.load(Ordering::Relaxed))).unwrap();
            }
        });
        let mut stale = Vec::new();
        for number in 0..300 {
            at_work.store(number, Ordering::Relaxed);
            take(&index, vec![(id(number), Fact::Attempted { number: 1 })], true);
            let is_stale = |index: &Index| index.message(&id(number)).unwrap().unwrap().message.attempts == 0;
            let waiting = is_stale(&index);
            // The map gets it with this.
            index.oldest(State::Queued).unwrap();
            if waiting || is_stale(&index) {
                stale.push(number);
            }
        }
        done.store(true, Ordering::Relaxed);
        assert!(stale.is_empty(), "{stale:?}");
    });
}

#[test]
fn much_that_waits_is_written_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let index = index(dir.path());
    for number in 0..600 {
        assert_eq!(take(&index, vec![(id(number), fact(0, number, 1))], true), 1);
    }
    let index = {
        drop(index);
        Index::inspect(db::Db::open(dir.path(), 1 << 20).unwrap()).unwrap()
    };
    let (index, condition) = index;
    assert_eq!(condition, Condition::Sound(index.applied()));
    assert_eq!(index.applied().sequence, 512, "the rest is the journal's to tell");
}

#[test]
fn so_are_many_places_of_bodies_without_a_message() {
    let dir = tempfile::tempdir().unwrap();
    let index = index(dir.path());
    for number in 1..=5000 {
        let (sequence, mut group) = (u64::from(number), Group::new(&index));
        group.place_body(body(number).id, Location::File);
        let (changes, _) = group.finish(sequence).unwrap();
        index.note(changes, Applied { sequence, hash: [7; 32] }, 0).unwrap();
    }
    drop(index);
    let (index, _) = Index::inspect(db::Db::open(dir.path(), 1 << 20).unwrap()).unwrap();
    assert_eq!(index.applied().sequence, 4096, "the rest is the journal's to tell");
}

#[test]
fn what_is_refused_under_a_message_id_is_apart_from_who_claimed_it() {
    let dir = tempfile::tempdir().unwrap();
    let index = index(dir.path());
    let declined = Fact::Declined {
        partner: "customs".to_owned(),
        message_id: "<1@customs>".to_owned(),
        headers: crate::mime::Headers::new(),
        wire: body(1),
        reason: reason("bad-signature"),
        mdn: None,
    };
    assert_eq!(take(&index, vec![(id(1), declined)], true), 1);
    let received = || index.by_message_id(Direction::Inbound, "customs", "1@customs").unwrap();
    assert_eq!((index.claimant(&key("1@customs")).unwrap(), received()), (None, Some(id(1))));
    assert_eq!(take(&index, vec![(id(2), accepted("1@customs", body(2), body(2)))], true), 1);
    assert_eq!((index.claimant(&key("1@customs")).unwrap(), received()), (Some(id(2)), Some(id(2))));
    index.flush().unwrap();
    let claimed = index.entries(b'i').map(|entry| entry.unwrap().0.split_last_chunk::<25>().unwrap().1[0]);
    assert_eq!(claimed.collect::<Vec<_>>(), [0, 1], "a look for who claimed a key passes the claimed ones alone");
}

#[test]
fn a_message_is_found_by_every_message_id_that_it_went_under_however_that_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    compose_one(&store, 3, "customs", at(5));
    happen(&store, id(3), 6, Fact::Attempted { number: 1 }).unwrap();
    let mut transaction = Transaction::new(at(7));
    let wire = transaction.body(b"wire anew".to_vec());
    transaction.fact(id(3), recomposed("<3-again@station>", wire, at(7)));
    store.commit_blocking(transaction).unwrap();
    let ids = |filter: Filter| store.messages(&filter).iter().map(|message| message.id).collect::<Vec<_>>();
    for text in ["<3-again@station>", "<3-again@st", "3-AGAIN", "<3@station>", "3@station", " <3@station> "] {
        assert_eq!(ids(Filter { text: Some(text.to_owned()), ..Filter::default() }), [id(3)], "{text}");
    }
    for message_id in ["<3@station>", "3@station", "<3-again@station>"] {
        let wanted = Filter { message_id: Some(message_id.to_owned()), ..Filter::default() };
        assert_eq!(ids(wanted), [id(3)], "{message_id}");
    }
    assert_eq!(ids(Filter { text: Some("<4".to_owned()), ..Filter::default() }), [] as [Id; 0]);
}
