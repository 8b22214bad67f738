//! Backups of a store in use, and what a restore makes of them.

use std::path::Path;

use super::support::*;
use crate::store::backup::{BackupError, Beside, Manifest};
use crate::store::restore::{check, restore};
use crate::store::*;

fn backup(store: &Store, dir: &Path) -> Manifest {
    store.backup(dir, &Beside::default(), at(50), &|_| {}).unwrap()
}

/// Segments of a few frames.
fn small(dir: &Path) -> Store {
    Store::open(StoreConfig { segment_bytes: 2000, inline_threshold: 64, ..config(dir) }).unwrap().0
}

#[test]
fn a_restored_store_is_the_one_that_was_backed_up_but_for_what_waits() {
    let (home, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = small(&home.path().join("data"));
    let sent = compose_one(&store, 1, "customs", at(0));
    let taken = accept_one(&store, 2);
    let done = compose_one(&store, 3, "customs", at(0));
    happen(&store, done, 4, Fact::Attempted { number: 1 }).unwrap();
    happen(&store, done, 5, Fact::Delivered { receipt: None, note: None, files: Vec::new() }).unwrap();
    let manifest = backup(&store, &dir.path().join("b"));
    let before: Vec<Message> = store.messages(&Filter::default());
    // What happens later is not in it.
    compose_one(&store, 9, "customs", at(0));

    let target = home.path().join("restored");
    let restored = restore(&dir.path().join("b"), config(&target), None, &|_| {}).unwrap();
    assert_eq!((restored.held, restored.waiting, &restored.manifest), (1, 1, &manifest));
    let (again, report) = open(&target);
    assert_eq!(report.messages, 3);
    assert_eq!(again.message(&done), before.iter().find(|message| message.id == done).cloned());
    let held = again.message(&sent).unwrap();
    assert_eq!((held.state, held.restored), (State::Held, true));
    assert!(again.message(&taken).unwrap().restored && again.pending_publications(10).is_empty());
    assert_eq!(again.by_dedup_key(&key("2@customs")).map(|message| message.id), Some(taken), "duplicates are known");
    let payload = held.payload.unwrap();
    assert_eq!(again.read_all(&payload, 100).unwrap(), b"payload 1");
    let restored = Filter { restored: true, ..Filter::default() };
    assert_eq!(again.messages(&restored).len(), 2);
    let journal =
        std::fs::read_dir(target.join("journal")).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
    let journal = journal.flatten().collect::<Vec<u8>>();
    let epoch = format!("\"restored\":{{\"sequence\":{}", manifest.sequence);
    assert!(memchr::memmem::find(&journal, epoch.as_bytes()).is_some(), "the journal names the backup");
    again.verify_journal().unwrap();
    assert!(matches!(
        restore_again(&dir.path().join("b"), &target),
        Err(BackupError::Occupied(path)) if path == target
    ));
}

fn restore_again(dir: &Path, target: &Path) -> Result<u64, BackupError> {
    restore(dir, config(target), None, &|_| {}).map(|restored| restored.held)
}

#[test]
fn what_expires_while_a_backup_is_made_is_in_it_whole() {
    let (home, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let data = home.path().join("data");
    let store = small(&data);
    let id = id(1);
    let mut transaction = Transaction::new(at(1));
    let large = |text: &str, transaction: &mut Transaction| {
        let mut sink = draft::Sink::new(&store);
        std::io::Write::write_all(&mut sink, text.repeat(50).as_bytes()).unwrap();
        sink.finish().unwrap().into_body(transaction)
    };
    let (payload, wire) = (large("payload", &mut transaction), large("wire", &mut transaction));
    transaction.fact(id, queued("customs", Some(payload)));
    transaction.fact(id, composed("<1@station>", wire, at(1)));
    transaction.fact(id, Fact::Attempted { number: 1 });
    transaction.fact(id, Fact::Delivered { receipt: None, note: None, files: Vec::new() });
    store.commit_blocking(transaction).unwrap();
    let files = || std::fs::read_dir(data.join("bodies")).unwrap().count();
    // As soon as the first file, a segment, is copied: its frame is chosen, its bodies are not there yet.
    let expire = |_| {
        if store.message(&id).is_some() {
            let purged = Fact::Purged { why: reason("retention"), bodies: vec![payload.id, wire.id] };
            happen(&store, id, 2, purged).unwrap();
        }
    };
    let into = dir.path().join("b");
    store.backup(&into, &Beside::default(), at(50), &expire).unwrap();
    assert_eq!(files(), 0, "they went when the backup was done");

    let target = home.path().join("restored");
    restore(&into, config(&target), None, &|_| {}).unwrap();
    let (again, _) = open(&target);
    again.verify_journal_and_bodies().unwrap();
    assert_eq!(again.read_all(&payload, 1000).unwrap(), "payload".repeat(50).as_bytes());
    assert_eq!(again.read_all(&wire, 1000).unwrap(), "wire".repeat(50).as_bytes());
}

#[test]
fn a_manifest_says_when_it_was_changed_and_one_without_a_sum_is_read() {
    let (home, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = small(&home.path().join("data"));
    compose_one(&store, 1, "customs", at(0));
    let manifest = backup(&store, dir.path());
    let path = dir.path().join("manifest.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let later = text.replace("2027-01-15T08:00:50Z", "2027-01-15T08:00:51Z");
    assert_ne!(later, text);
    std::fs::write(&path, later).unwrap();
    assert!(matches!(check(dir.path(), &|_| {}), Err(BackupError::Manifest { .. })));
    let earlier = Manifest { sha256: None, ..manifest };
    std::fs::write(&path, serde_json::to_vec(&earlier).unwrap()).unwrap();
    assert_eq!(check(dir.path(), &|_| {}).unwrap(), earlier);
}

#[test]
fn a_second_backup_adds_what_is_new_and_one_of_another_journal_is_refused() {
    let (home, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (store, into) = (small(&home.path().join("data")), dir.path().join("b"));
    for number in 0..20 {
        compose_one(&store, number, "customs", at(0));
    }
    let first = backup(&store, &into);
    assert!(first.data.len() > 3, "several segments");
    for number in 20..40 {
        compose_one(&store, number, "customs", at(0));
    }
    let second = backup(&store, &into);
    assert!(second.sequence > first.sequence && second.data.len() > first.data.len());
    assert_eq!(check(&into, &|_| {}).unwrap(), second);
    // The earlier manifest still describes what is there, should the second one never have been written.
    std::fs::write(into.join("manifest.json"), serde_json::to_vec(&first).unwrap()).unwrap();
    assert_eq!(check(&into, &|_| {}).unwrap(), first);
    assert_eq!(backup(&store, &into).sequence, second.sequence);

    let other = small(&home.path().join("other"));
    for number in 0..60 {
        compose_one(&other, number, "customs", at(0));
    }
    let refused = other.backup(&into, &Beside::default(), at(50), &|_| {});
    assert!(matches!(refused, Err(BackupError::OtherJournal(_))), "{refused:?}");
    std::fs::create_dir(dir.path().join("full")).unwrap();
    std::fs::write(dir.path().join("full/file"), b"x").unwrap();
    let refused = store.backup(&dir.path().join("full"), &Beside::default(), at(50), &|_| {});
    assert!(matches!(refused, Err(BackupError::NotOurs(_))), "{refused:?}");
}

#[test]
fn a_backup_that_is_damaged_anywhere_is_not_restored() {
    let (home, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = small(&home.path().join("data"));
    store.keep_certificate(b"der").unwrap();
    for number in 0..6 {
        compose_one(&store, number, "customs", at(0));
    }
    let manifest = backup(&store, dir.path());
    for entry in &manifest.data {
        let path = dir.path().join("data").join(&entry.path);
        let good = std::fs::read(&path).unwrap();
        let mut bad = good.clone();
        let middle = bad.len() / 2;
        bad[middle] ^= 1;
        // A link to the store's own file must not be written through.
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, &bad).unwrap();
        let target = home.path().join("restored");
        let refused = restore(dir.path(), config(&target), None, &|_| {});
        assert!(matches!(refused, Err(BackupError::Damaged { .. })), "{}: {refused:?}", entry.path);
        assert!(!target.exists());
        std::fs::write(&path, &good).unwrap();
    }
    check(dir.path(), &|_| {}).unwrap();
}
