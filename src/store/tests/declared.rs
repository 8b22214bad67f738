//! Documents and what customs says about them: found by their numbers, kept through rebuilds, gone with their message.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::support::*;
use crate::declaration::standing::{Key, Standing};
use crate::ground::clock::ManualClock;
use crate::store::record::{Answered, PlatformAnswer, Said};
use crate::store::retention::{Keeper, RetentionPolicy};
use crate::store::*;

fn keys(pairs: &[(&str, &str)]) -> Vec<Key> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn declared(list: u16, documents: u16) -> Fact {
    let one = |number| {
        keys(&[
            ("copNo", &format!("C{list}-{number}")),
            ("orderNo", &format!("O{list}-{number}")),
            ("logisticsNo", "L1"),
            ("agentCode", "1101180326"),
        ])
    };
    Fact::Declared { documents: (1..=documents).map(one).collect() }
}

/// A message with this many documents.
fn declare(store: &Store, number: u16, documents: u16) -> Id {
    let mut transaction = Transaction::new(at(i64::from(number)));
    let payload = transaction.body(b"<CEB621Message/>".to_vec());
    let mut fact = queued("customs", Some(payload));
    if let Fact::Queued { declaration, .. } = &mut fact {
        *declaration = Some(DeclarationSummary {
            message_type: "CEB621Message".to_owned(),
            documents: documents.into(),
            cop_msg_id: Some(format!("M{number}")),
            keys: Vec::new(),
            dxpid: None,
        });
    }
    transaction.fact(id(number), fact);
    transaction.fact(id(number), declared(number, documents));
    store.commit_blocking(transaction).unwrap();
    id(number)
}

fn receipt(document: u32, status: &str, second: u32) -> Fact {
    let said = Said {
        document,
        status: status.to_owned(),
        time: format!("202603010930{second:02}123"),
        info: "[Code:2600;Desc:放行]".to_owned(),
        given: keys(&[("invtNo", &format!("0100202612345678{document}"))]),
    };
    Fact::BusinessReceipt { receipt: id(900), message_type: "CEB622Message".to_owned(), entries: vec![said] }
}

fn places(found: impl IntoIterator<Item = Declared>) -> Vec<(Id, u32)> {
    found.into_iter().map(|declared| (declared.message().id, declared.number())).collect()
}

fn wanted(limit: usize) -> DeclaredFilter {
    DeclaredFilter { limit, ..DeclaredFilter::default() }
}

#[test]
fn a_document_is_found_by_each_of_its_numbers_newest_message_first() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let (first, second) = (declare(&store, 1, 2), declare(&store, 2, 1));
    assert_eq!(places(store.declared("orderNo", "O1-2")), [(first, 2)]);
    assert_eq!(places(store.declared("logisticsNo", "L1")), [(second, 1), (first, 1), (first, 2)]);
    assert!(places(store.declared("orderNo", "O9-9")).is_empty());
    assert!(places(store.declared("agentCode", "1101180326")).is_empty(), "the code of an enterprise is no document's");
    happen(&store, first, 20, receipt(2, "800", 1)).unwrap();
    assert_eq!(places(store.declared("invtNo", "01002026123456782")), [(first, 2)]);
    assert_eq!(store.by_cop_msg_id("customs", "M2").map(|message| message.id), Some(second));
    assert_eq!(store.by_cop_msg_id("another", "M2"), None);
    let by_value = DeclaredFilter { key: Some("O2-1".to_owned()), ..wanted(10) };
    assert_eq!(places(store.declarations(&by_value).documents), [(second, 1)]);
}

#[test]
fn lists_go_page_by_page_through_all_documents_of_a_standing() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    for number in 1..=5 {
        let message = declare(&store, number, 4);
        happen(&store, message, 30, receipt(2, "100", 1)).unwrap();
        happen(&store, message, 31, receipt(3, "800", 1)).unwrap();
    }
    for (filter, count) in [
        (wanted(3), 20),
        (DeclaredFilter { standing: Some(Standing::Waiting), ..wanted(3) }, 10),
        (DeclaredFilter { standing: Some(Standing::Rejected), ..wanted(2) }, 5),
        (DeclaredFilter { standing: Some(Standing::Error), ..wanted(2) }, 0),
        (DeclaredFilter { key: Some("L1".to_owned()), ..wanted(3) }, 20),
        (DeclaredFilter { partner: Some("another".to_owned()), ..wanted(3) }, 0),
    ] {
        let whole = store.declarations(&DeclaredFilter { limit: 1000, ..filter.clone() });
        assert_eq!((whole.documents.len(), whole.next), (count, None), "{filter:?}");
        let (mut paged, mut filter) = (Vec::new(), filter);
        loop {
            let page = store.declarations(&filter);
            assert!(page.documents.len() <= filter.limit);
            paged.extend(places(page.documents));
            let Some(next) = page.next else { break };
            filter.after = Some(next);
        }
        assert_eq!(paged, places(whole.documents));
    }
}

#[test]
fn what_customs_said_is_the_same_after_every_kind_of_rebuild() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let message = declare(&store, 1, 3);
    happen(&store, message, 20, receipt(1, "800", 9)).unwrap();
    store.take_snapshot(&|| false).unwrap().unwrap();
    // Late and again: the newest time wins, whatever comes when.
    happen(&store, message, 21, receipt(1, "120", 5)).unwrap();
    happen(&store, message, 22, receipt(1, "800", 9)).unwrap();
    happen(&store, message, 23, receipt(2, "100", 9)).unwrap();
    happen(&store, declare(&store, 2, 100), 24, receipt(0, "-621029", 9)).unwrap();
    let digest = store.state_digest().unwrap();
    let standings = |store: &Store| -> Vec<Standing> {
        store.message(&message).unwrap().documents.iter().map(|document| document.standing).collect()
    };
    let expected = [Standing::Released, Standing::Rejected, Standing::Waiting];
    assert_eq!(standings(&store), expected);
    let errors = DeclaredFilter { standing: Some(Standing::Error), ..wanted(500) };
    assert_eq!(store.declarations(&errors).documents.len(), 100);
    drop(store);
    for snapshots in [true, false] {
        fs::remove_dir_all(dir.path().join("index")).unwrap();
        if !snapshots {
            remove_snapshots(dir.path());
        }
        let (store, report) = open(dir.path());
        assert_eq!(report.snapshot.is_some(), snapshots);
        assert_eq!((standings(&store), store.state_digest().unwrap()), (expected.to_vec(), digest));
    }
}

fn remove_snapshots(dir: &Path) {
    let journal = dir.join("journal");
    for sequence in snapshot::list(&journal).unwrap() {
        fs::remove_file(snapshot::path(&journal, sequence)).unwrap();
    }
}

#[test]
fn documents_are_forgotten_with_their_message() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let message = declare(&store, 1, 2);
    happen(&store, message, 20, receipt(1, "800", 9)).unwrap();
    let cancelled = Fact::Cancelled { reason: "enough".to_owned(), by: "ann".to_owned(), files: Vec::new() };
    happen(&store, message, 21, cancelled).unwrap();
    let days = |days: u64| Duration::from_secs(days * 24 * 3600);
    let policy = RetentionPolicy { evidence: days(100), payload: days(100) };
    let keeper = Keeper::new(store.clone(), policy, Arc::new(ManualClock::new(at(101 * 24 * 3600))));
    assert_eq!(keeper.pass(&|| false).unwrap().messages, 1);
    for (name, value) in [("orderNo", "O1-1"), ("invtNo", "01002026123456781")] {
        assert!(places(store.declared(name, value)).is_empty(), "{name}");
    }
    assert!(store.declarations(&wanted(10)).documents.is_empty());
    drop(keeper);
    drop(store);
    assert_eq!(open(dir.path()).1.index, IndexRecovery::Sound, "nothing is left over");
}

const GOLDEN: &str = include_str!("../../../tests/golden/business-facts-v1.jsonl");

#[test]
fn facts_about_documents_are_read_for_ever_and_written_as_ever() {
    let answer = PlatformAnswer {
        at: at(9),
        response: id(901),
        node: Some("00000002".to_owned()),
        code: "0002".to_owned(),
        info: Some("数据包不能通过schema验证".to_owned()),
        refused: true,
        notice: None,
        results: Box::default(),
    };
    let facts = [
        declared(1, 2),
        receipt(2, "800", 7),
        Fact::PlatformAnswered { answer },
        Fact::Matched { answered: Answered { messages: vec![id(1)], of: 1, unknown: 2 } },
    ];
    let written: Vec<String> = facts.iter().map(|fact| serde_json::to_string(fact).unwrap()).collect();
    let golden: Vec<&str> = GOLDEN.lines().collect();
    assert_eq!(written, golden);
    for (line, fact) in golden.iter().zip(&facts) {
        assert_eq!(&serde_json::from_str::<Fact>(line).unwrap(), fact);
    }
}
