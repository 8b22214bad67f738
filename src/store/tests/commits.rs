//! What a commit promises, refuses, and shows.

use std::io::{Read as _, Write as _};

use super::support::*;
use crate::mime::Source as _;
use crate::store::journal::frame::{BODY_HEAD, MAX_PAYLOAD};
use crate::store::record::Came;
use crate::store::*;

#[tokio::test]
async fn a_committed_fact_is_visible_when_the_answer_comes() {
    let dir = tempfile::tempdir().unwrap();
    let (store, report) = open(dir.path());
    assert_eq!((report.index, report.messages), (IndexRecovery::Created, 0));
    let mut transaction = Transaction::new(at(1));
    let payload = transaction.body(b"payload".to_vec());
    transaction.fact(id(1), queued("customs", Some(payload)));
    let committed = store.commit(transaction).await.unwrap();
    assert_eq!(committed.sequence, 2);
    assert_eq!(store.message(&id(1)).as_ref(), Some(&*committed.messages[0]));
    assert_eq!(store.read_all(&payload, 100).unwrap(), b"payload");
    assert_eq!(store.read_all(&payload, 6).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    store.close().await;
    assert_eq!(store.commit(Transaction::new(at(2))).await.unwrap_err(), CommitError::Closed);
}

#[tokio::test]
async fn of_two_commits_that_claim_one_key_at_once_one_wins() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let attempts = (1..=16).map(|number| {
        let mut transaction = Transaction::new(at(0));
        let body = transaction.body(vec![1]);
        transaction.fact(id(number), accepted("same@customs", body, body));
        let store = store.clone();
        async move { store.commit(transaction).await }
    });
    let mut tasks = tokio::task::JoinSet::new();
    attempts.for_each(|attempt| {
        tasks.spawn(attempt);
    });
    let answers = tasks.join_all().await;
    let winner = answers.iter().find_map(|answer| answer.as_ref().ok()).unwrap().messages[0].id;
    let refused = CommitError::Conflict(Conflict::KeyTaken { by: winner });
    assert_eq!(answers.iter().filter(|answer| answer.as_ref().err() == Some(&refused)).count(), 15);
    assert_eq!(store.by_dedup_key(&key("<same@customs>")).map(|message| message.id), Some(winner));
    assert_eq!(store.counts().total(), 1);
}

#[test]
fn a_transaction_with_one_unlawful_fact_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    compose_one(&store, 1, "customs", at(5));
    let before = everything(&store);
    let mut transaction = Transaction::new(at(2));
    transaction.fact(id(1), Fact::Attempted { number: 1 });
    transaction.fact(id(2), Fact::Attempted { number: 1 });
    let error = store.commit_blocking(transaction).unwrap_err();
    assert!(matches!(error, CommitError::Conflict(Conflict::Transition { .. })), "{error}");
    assert_eq!(error.code(), "bad-transition");
    assert_eq!(everything(&store), before);
    happen(&store, id(1), 3, Fact::Attempted { number: 1 }).unwrap();
}

#[test]
fn preconditions_are_judged_at_the_commit() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    compose_one(&store, 1, "customs", at(5));
    let refusal = |precondition| {
        let mut transaction = Transaction::new(at(2));
        transaction.require(precondition);
        transaction.fact(id(9), queued("customs", None));
        store.commit_blocking(transaction).unwrap_err()
    };
    assert_eq!(refusal(Precondition::Absent(id(1))), Conflict::AlreadyPresent(id(1)).into());
    let state = Some(State::Composed);
    assert_eq!(
        refusal(Precondition::StateIs(id(1), vec![State::Queued, State::Held])),
        Conflict::WrongState { id: id(1), state }.into()
    );
    assert_eq!(
        refusal(Precondition::StateIs(id(2), vec![State::Queued])),
        Conflict::WrongState { id: id(2), state: None }.into()
    );
    assert_eq!(store.message(&id(9)), None);
}

#[test]
fn a_fact_must_not_name_bytes_that_are_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let absent = Body { id: id(77), len: 1, sha256: Some([0; 32]), crc32c: None };
    assert_eq!(
        happen(&store, id(1), 1, queued("customs", Some(absent))).unwrap_err(),
        CommitError::UnknownBody(id(77))
    );
}

#[test]
fn a_transaction_carries_what_a_frame_holds_whatever_the_threshold() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(StoreConfig { inline_threshold: 0, ..config(dir.path()) }).unwrap();
    let mut transaction = Transaction::new(at(1));
    let body = transaction.body(vec![7; 1024 * 1024]);
    transaction.fact(id(1), queued("customs", Some(body)));
    store.commit_blocking(transaction).unwrap();
    assert_eq!(store.read_all(&body, u64::MAX).unwrap().len(), 1024 * 1024);
    let mut transaction = Transaction::new(at(1));
    transaction.body(vec![0; MAX_PAYLOAD - BODY_HEAD + 1]);
    assert_eq!(store.commit_blocking(transaction).unwrap_err().code(), "transaction-too-large");
}

#[test]
fn large_bodies_are_files_and_read_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let bytes: Vec<u8> = (0..3_000_000u32).map(|n| n as u8).collect();
    let mut writer = store.body_writer().unwrap();
    writer.write_all(&bytes).unwrap();
    let body = writer.finish().unwrap();
    assert_eq!(body.len, 3_000_000);
    happen(&store, id(1), 1, queued("customs", Some(body))).unwrap();
    assert_eq!(store.read_all(&body, u64::MAX).unwrap(), bytes);
    let source = store.source(&body);
    for _ in 0..2 {
        let mut read = Vec::new();
        source.open().unwrap().read_to_end(&mut read).unwrap();
        assert_eq!((source.len(), read.len()), (body.len, bytes.len()));
    }
    let file = dir.path().join("bodies").join(body.id.to_string());
    std::fs::write(&file, vec![0; bytes.len()]).unwrap();
    assert_eq!(store.read_all(&body, u64::MAX).unwrap_err().kind(), io::ErrorKind::InvalidData);
}

/// Whether anything of a file is in the page cache, as `fincore` of util-linux finds it; none where the filesystem is memory.
/// Reading with `RWF_NOWAIT` asks with less, but begins to read ahead, and a quick disk has the page there in time.
#[cfg(target_os = "linux")]
fn is_cached(file: &std::path::Path) -> Option<bool> {
    const TMPFS: u64 = 0x0102_1994;
    if rustix::fs::statfs(file).unwrap().f_type as u64 == TMPFS {
        return None;
    }
    let asked = ["--noheadings", "--bytes", "--output", "RES"];
    let told = std::process::Command::new("fincore").args(asked).arg(file).output().expect("fincore of util-linux");
    let bytes: u64 = String::from_utf8_lossy(&told.stdout).trim().parse().unwrap_or_else(|_| panic!("{told:?}"));
    Some(bytes > 0)
}

#[test]
#[cfg(target_os = "linux")]
fn a_long_body_leaves_the_page_cache_behind_who_reads_it_last_and_is_read_again_all_the_same() {
    let beside = std::env::current_exe().unwrap();
    let dir = tempfile::tempdir_in(beside.parent().unwrap()).unwrap();
    let (store, _) = open(dir.path());
    let bytes: Vec<u8> = (0..20_000_000u32).map(|n| n as u8).collect();
    for (len, leaves) in [(20_000_000, true), (300_000, true), (200_000, false)] {
        let mut writer = store.body_writer().unwrap();
        writer.write_all(&bytes[..len]).unwrap();
        let body = writer.finish().unwrap();
        let file = dir.path().join("bodies").join(body.id.to_string());
        let read = || store.read_all(&body, u64::MAX).unwrap() == bytes[..len];
        let last = || store.read_all_last(&body, u64::MAX).unwrap() == bytes[..len];
        assert!(read() && is_cached(&file) != Some(false));
        assert!(last() && is_cached(&file) != Some(leaves), "{len}");
        assert!(read() && is_cached(&file) != Some(false));
        store.let_go(&body);
        assert_ne!(is_cached(&file), Some(leaves), "{len}");
        std::fs::write(&file, vec![0; len]).unwrap();
        assert_eq!(store.read_all_last(&body, u64::MAX).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}

#[test]
fn a_flipped_bit_of_a_body_is_seen_by_its_crc_or_its_sha_256() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let bytes = vec![b'x'; 200_000];
    let mut writer = store.body_writer().unwrap();
    writer.write_all(&bytes).unwrap();
    let body = writer.finish().unwrap();
    let file = dir.path().join("bodies").join(body.id.to_string());
    let of_an_older_journal = Body { crc32c: None, ..body };
    for flipped in [None, Some(0), Some(100_000), Some(199_999)] {
        let mut damaged = bytes.clone();
        flipped.into_iter().for_each(|at: usize| damaged[at] ^= 4);
        std::fs::write(&file, &damaged).unwrap();
        for body in [body, of_an_older_journal] {
            let read = store.read_all(&body, u64::MAX);
            assert_eq!(read.as_ref().ok(), flipped.is_none().then_some(&bytes), "{flipped:?} {body:?}");
        }
    }
    assert_eq!(body.crc32c, Some(crc32c::crc32c(&bytes)));
}

#[test]
fn messages_are_found_and_paged_newest_first() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    for number in 1..=6 {
        compose_one(&store, number, if number % 2 == 0 { "customs" } else { "acme" }, at(5));
    }
    accept_one(&store, 7);
    happen(&store, id(6), 8, Fact::Held { reason: reason("why"), by: "ann".to_owned(), came: Came::Unknown }).unwrap();
    let ids = |filter: Filter| store.messages(&filter).iter().map(|message| message.id).collect::<Vec<_>>();
    let all = Filter { limit: 3, ..Filter::default() };
    assert_eq!(ids(all.clone()), [id(7), id(6), id(5)]);
    assert_eq!(ids(Filter { before: Some(id(5)), ..all.clone() }), [id(4), id(3), id(2)]);
    let partner = Some("customs".to_owned());
    assert_eq!(ids(Filter { partner: partner.clone(), ..Filter::default() }), [id(7), id(6), id(4), id(2)]);
    let composed = Filter { states: vec![State::Composed], partner, ..Filter::default() };
    assert_eq!(ids(composed.clone()), [id(4), id(2)]);
    assert_eq!(ids(Filter { before: Some(id(4)), ..composed }), [id(2)]);
    assert_eq!(ids(Filter { name: Some("RECEIPT".to_owned()), ..Filter::default() }), [id(7)]);
    assert_eq!(ids(Filter { direction: Some(Direction::Inbound), ..Filter::default() }), [id(7)]);
    assert_eq!(ids(Filter { message_id: Some("3@station".to_owned()), ..Filter::default() }), [id(3)]);
    let counts = store.counts();
    assert_eq!((counts.state(State::Composed), counts.state(State::Held), counts.state(State::Queued)), (5, 1, 0));
    assert_eq!((counts.direction(Direction::Inbound), counts.total()), (1, 7));
}

#[test]
fn what_a_partner_sends_cannot_hide_what_we_sent() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    compose_one(&store, 1, "customs", at(5));
    let mut transaction = Transaction::new(at(6));
    let body = transaction.body(vec![1]);
    transaction.fact(id(2), accepted("1@station", body, body));
    store.commit_blocking(transaction).unwrap();
    for spelling in ["<1@station>", "1@station"] {
        assert_eq!(store.by_message_id("customs", spelling).map(|message| message.id), Some(id(1)));
    }
    assert_eq!(store.by_message_id("acme", "<1@station>"), None);
}

#[test]
fn publications_stay_pending_until_they_are_published() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    accept_one(&store, 1);
    accept_one(&store, 2);
    let pending = store.pending_publications(10);
    let places: Vec<_> = pending.iter().map(|p| (p.message, p.index, p.stage.clone())).collect();
    assert_eq!(places, [(id(1), 0, PublicationStage::Committed), (id(2), 0, PublicationStage::Committed)]);
    assert_eq!((pending[0].partner.as_str(), pending[0].publication.name.as_str()), ("customs", "receipt.xml"));
    let published = || Fact::Published { index: 0, name: "receipt.xml".to_owned() };
    happen(&store, id(1), 3, published()).unwrap_err();
    happen(&store, id(1), 3, Fact::Staged { index: 0 }).unwrap();
    assert_eq!(store.pending_publications(1)[0].stage, PublicationStage::Staged);
    happen(&store, id(1), 4, published()).unwrap();
    assert_eq!(store.pending_publications(10).len(), 1);
}

#[tokio::test]
async fn after_a_failed_write_nothing_is_acknowledged() {
    // Operations: create the first segment; then append and sync of each commit.
    for allowed in 1..8 {
        let dir = tempfile::tempdir().unwrap();
        let budget = Budget::of(allowed, broken);
        let disk = DiskSegments { dir: dir.path().join("journal") };
        let files = Box::new(FailingSegments { disk, budget: budget.clone() });
        let (store, _) = Store::open_on(config(dir.path()), files, &|_| {}).unwrap();
        let mut acknowledged = 0;
        let mut failures = Vec::new();
        for number in 1..=6 {
            let mut transaction = Transaction::new(at(1));
            transaction.fact(id(number), queued("customs", None));
            match store.commit(transaction).await {
                Ok(_) => acknowledged += 1,
                Err(error) => failures.push(error),
            }
            if !failures.is_empty() {
                // The disk works again: that must not help.
                budget.set(1000);
            }
        }
        assert_eq!(acknowledged, (allowed - 1) / 2, "{allowed} operations");
        let poisoned = CommitError::StorePoisoned("injected failure".to_owned());
        assert!(failures.len() == 6 - acknowledged && failures.iter().all(|failure| *failure == poisoned));
        assert_eq!(store.failed().await, Failure { part: FailedPart::Files, cause: "injected failure".to_owned() });
        assert_eq!(store.counts().total(), acknowledged as u64);
        drop(store);
        let (store, report) = open(dir.path());
        assert!((acknowledged..=acknowledged + 1).contains(&(report.messages as usize)));
        let mut transaction = Transaction::new(at(2));
        transaction.fact(id(60), queued("customs", None));
        store.commit(transaction).await.unwrap();
    }
}

#[test]
fn a_segment_that_cannot_be_begun_poisons_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let disk = DiskSegments { dir: dir.path().join("journal") };
    let files = Box::new(FailingSegments { disk, budget: Budget::of(3, broken) });
    let config = StoreConfig { segment_bytes: 100, ..config(dir.path()) };
    let (store, _) = Store::open_on(config, files, &|_| {}).unwrap();
    let error = happen(&store, id(1), 1, queued("customs", None)).unwrap_err();
    assert_eq!(error.code(), "store-poisoned");
    drop(store);
    assert_eq!(open(dir.path()).1.messages, 1, "it was durable, only nobody was told");
}

#[test]
fn without_room_a_commit_is_refused_and_the_journal_goes_on_where_it_was() {
    // Operations: create the first segment; then append and sync of each commit.
    for before in 0..3 {
        let dir = tempfile::tempdir().unwrap();
        let budget = Budget::of(1 + 2 * before, full);
        let disk = DiskSegments { dir: dir.path().join("journal") };
        let (store, _) = Store::open_on(
            StoreConfig { inline_threshold: 16, ..config(dir.path()) },
            Box::new(FailingSegments { disk, budget: budget.clone() }),
            &|_| {},
        )
        .unwrap();
        for number in 1..=before as u16 {
            compose_one(&store, number, "customs", at(1));
        }
        let seen = everything(&store);
        let large = |number: u16| {
            let mut sink = draft::Sink::new(&store);
            std::io::Write::write_all(&mut sink, &[b'l'; 100]).unwrap();
            let mut transaction = Transaction::new(at(2));
            let body = sink.finish().unwrap().into_body(&mut transaction);
            transaction.fact(id(number), queued("customs", Some(body)));
            transaction
        };
        for _ in 0..3 {
            assert_eq!(store.commit_blocking(large(50)).unwrap_err(), CommitError::NoSpace);
        }
        assert!(everything(&store) == seen && store.poisoned().is_none() && store.is_full());
        assert!(store.lease_due(at(9), 9, &|_| 9).is_empty(), "no attempt could be recorded");
        assert_eq!(std::fs::read_dir(dir.path().join("bodies")).unwrap().count(), 0, "a refused body does not stay");
        let frames = store.verify_journal().unwrap().frames;
        assert_eq!(frames, 3 * before as u64);
        budget.set(1000);
        store.commit_blocking(large(50)).unwrap();
        compose_one(&store, 51, "customs", at(1));
        assert!(!store.is_full());
        let seen = everything(&store);
        drop(store);
        let (store, report) = open(dir.path());
        assert_eq!((report.torn_tail, report.index), (None, IndexRecovery::Sound));
        assert_eq!(everything(&store), seen);
    }
}

#[test]
fn a_full_disk_at_the_sync_is_not_taken_back() {
    let dir = tempfile::tempdir().unwrap();
    let disk = DiskSegments { dir: dir.path().join("journal") };
    let files = Box::new(FailingSegments { disk, budget: Budget::of(2, full) });
    let (store, _) = Store::open_on(config(dir.path()), files, &|_| {}).unwrap();
    assert_eq!(happen(&store, id(1), 1, queued("customs", None)).unwrap_err().code(), "store-poisoned");
}

#[test]
fn without_room_for_a_new_segment_the_last_one_grows() {
    let dir = tempfile::tempdir().unwrap();
    let budget = Budget::of(3, full);
    let disk = DiskSegments { dir: dir.path().join("journal") };
    let files = Box::new(FailingSegments { disk, budget: budget.clone() });
    let small = || StoreConfig { segment_bytes: 100, ..config(dir.path()) };
    let (store, _) = Store::open_on(small(), files, &|_| {}).unwrap();
    happen(&store, id(1), 1, queued("customs", None)).unwrap();
    budget.set(2);
    happen(&store, id(2), 1, queued("customs", None)).unwrap();
    budget.set(1000);
    happen(&store, id(3), 1, queued("customs", None)).unwrap();
    happen(&store, id(4), 1, queued("customs", None)).unwrap();
    let seen = everything(&store);
    drop(store);
    let (store, report) = Store::open(small()).unwrap();
    assert_eq!((report.segments, report.torn_tail), (3, None));
    assert_eq!(everything(&store), seen);
}

#[test]
fn a_failed_index_is_told_apart_and_rebuilt_when_the_store_is_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    compose_one(&store, 1, "customs", at(1));
    let seen = everything(&store);
    let kept = store.clone();
    let mut waiting = Transaction::new(at(2));
    waiting.fact(id(2), queued("customs", None));
    let (sender, request, answered) = store.request(waiting).unwrap();
    assert_eq!(store.ask(Err::<(), _>(db::DbError::from(broken()))), None);
    assert!(sender.blocking_send(request).is_ok());
    assert_eq!(answered.blocking_recv().unwrap().unwrap_err().code(), "store-poisoned");
    drop(sender);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(runtime.block_on(store.failed()).part, FailedPart::Index, "whoever waited in between changes nothing");
    assert_eq!(happen(&store, id(2), 2, queued("customs", None)).unwrap_err().code(), "store-poisoned");
    runtime.block_on(store.close());
    // Somebody still holds the old store: neither its lock nor its index is in the way.
    let (again, report) = open(dir.path());
    assert!(matches!(report.index, IndexRecovery::Rebuilt { .. }), "{report:?}");
    drop(kept);
    drop(store);
    assert_eq!(everything(&again), seen);
    happen(&again, id(2), 2, queued("customs", None)).unwrap();
}

#[test]
fn a_second_opener_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let error = Store::open(config(dir.path())).unwrap_err();
    assert_eq!(error.code(), "directory-in-use");
    drop(store);
    open(dir.path());
}

#[test]
fn a_certificate_is_kept_once_and_never_answered_wrongly() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let fingerprint = store.keep_certificate(b"der").unwrap();
    assert_eq!(store.keep_certificate(b"der").unwrap(), fingerprint);
    assert_eq!(store.certificate(&fingerprint).as_deref(), Some(b"der".as_slice()));
    assert_eq!(store.certificate("../../etc/passwd"), None);
    let file = dir.path().join("certificates").join(format!("{fingerprint}.der"));
    std::fs::write(&file, b"dex").unwrap();
    assert_eq!(store.certificate(&fingerprint), None, "it does not hold what its name says");
    drop(store);
    let (store, _) = open(dir.path());
    store.keep_certificate(b"der").unwrap();
    assert_eq!(store.certificate(&fingerprint).as_deref(), Some(b"der".as_slice()), "replaced");
}

#[test]
fn a_restored_message_waits_for_a_person_in_every_respect() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let (sent, taken) = (compose_one(&store, 1, "customs", at(0)), accept_one(&store, 2));
    for id in [sent, taken] {
        happen(&store, id, 3, Fact::Restored { sequence: 7 }).unwrap();
    }
    let held = store.message(&sent).unwrap();
    assert_eq!((held.state, held.due, held.reason.unwrap().code.as_str()), (State::Held, None, RESTORED));
    assert!(store.lease_due(at(100), 10, &|_| 10).is_empty());
    assert!(store.pending_publications(10).is_empty());
    assert_eq!(store.message(&taken).unwrap().state, State::Accepted);

    let resumed = |by: &str| Fact::Resumed { reason: "checked".to_owned(), by: by.to_owned(), anew: true };
    happen(&store, taken, 4, resumed("op")).unwrap();
    assert_eq!(store.pending_publications(10).len(), 1);
    happen(&store, taken, 5, resumed("op")).unwrap_err();
    let released = Fact::Released { reason: "checked".to_owned(), by: "op".to_owned(), due: at(6) };
    happen(&store, sent, 6, released).unwrap();
    assert_eq!(store.lease_due(at(100), 10, &|_| 10).len(), 1);
}

#[test]
fn what_a_backup_had_staged_is_staged_anew_once_a_person_lets_it_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    // Facts of earlier versions do not say so; after them the journal goes on with `Published`.
    for (number, anew, stage) in [(1, true, PublicationStage::Committed), (2, false, PublicationStage::Staged)] {
        let id = accept_one(&store, number);
        let resumed = Fact::Resumed { reason: "checked".to_owned(), by: "op".to_owned(), anew };
        for fact in [Fact::Staged { index: 0 }, Fact::Restored { sequence: 7 }, resumed] {
            happen(&store, id, 3, fact).unwrap();
        }
        assert_eq!(store.message(&id).unwrap().publications[0].1, stage);
        assert_eq!(store.pending_publications(10).len(), usize::from(number));
    }
}

#[test]
fn evidence_changes_nothing_but_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let id = accept_one(&store, 2);
    let before = store.message(&id).unwrap();
    let evidence = Evidence {
        step: EvidenceStep::Accepted,
        terms: vec![Term::done("signature", "none")],
        certificates: vec![CertificateUse { role: CertificateRole::Signer, fingerprint: "ab".to_owned() }],
        content_key: Some(ContentKey::new(&[1, 2])),
        remote: None,
        at_home: true,
        ahead: 3,
    };
    happen(&store, id, 9, Fact::Evidence { evidence: evidence.clone() }).unwrap();
    let after = store.message(&id).unwrap();
    assert_eq!(*after.evidence, [evidence]);
    assert_eq!(Message { evidence: Vec::new().into(), ..after }, before);
}
