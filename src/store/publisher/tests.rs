//! One bad publication, and all the others.

use std::fs;

use jiff::Timestamp;

use super::*;
use crate::ground::clock::ManualClock;
use crate::ground::id::Id;
use crate::store::StoreConfig;
use crate::store::record::{Folder, Publication, Reason};

struct Bench {
    store: Store,
    publisher: Publisher,
    dir: tempfile::TempDir,
}

fn bench() -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(Timestamp::from_second(1_800_000_000).unwrap()));
    let config =
        StoreConfig { allow_untrusted_filesystem: true, ..StoreConfig::new(dir.path().join("data"), clock.clone()) };
    let (store, _) = Store::open(config).unwrap();
    let publisher = Publisher::new(store.clone(), &dir.path().join("exchange"), clock);
    Bench { store, publisher, dir }
}

fn id(number: u8) -> Id {
    Id::from_bytes([1, 2, 3, 4, 5, 6, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, number])
}

impl Bench {
    fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join("exchange").join(below)
    }

    /// A message with `count` publications, all of the same name.
    async fn promise(&self, number: u8, partner: &str, count: usize) {
        let files = vec![
            (".findings.txt".to_owned(), Content::Text("why".to_owned())),
            (String::new(), Content::Text(format!("content of {number}"))),
        ];
        let publication = Publication { folder: Folder::Rejected, name: "x.txt".to_owned(), files };
        let fact = Fact::Rejected {
            partner: partner.to_owned(),
            file_name: "x.txt".to_owned(),
            payload: None,
            reason: Reason { code: "bad".to_owned(), text: crate::bilingual!("坏", "bad") },
            files: vec![publication; count],
        };
        let mut transaction = Transaction::new(self.publisher.clock.now());
        transaction.fact(id(number), fact);
        self.store.commit(transaction).await.unwrap();
    }

    /// A long payload that is promised to `failed/`, and where its original would wait.
    async fn promise_long(&self, number: u8) -> (Vec<u8>, PathBuf) {
        let payload: Vec<u8> = (0..40_000u32).flat_map(u32::to_le_bytes).collect();
        let mut transaction = Transaction::new(self.publisher.clock.now());
        let body = transaction.body(payload.clone());
        let files =
            vec![(".error.json".to_owned(), Content::Text("why".to_owned())), (String::new(), Content::Body(body))];
        let fact = Fact::Rejected {
            partner: "acme".to_owned(),
            file_name: "long.xml".to_owned(),
            payload: Some(body),
            reason: Reason { code: "bad".to_owned(), text: crate::bilingual!("坏", "bad") },
            files: vec![Publication { folder: Folder::Failed, name: "long.xml".to_owned(), files }],
        };
        transaction.fact(id(number), fact);
        self.store.commit(transaction).await.unwrap();
        let original = original_path(&self.path("acme"), &id(number));
        fs::create_dir_all(original.parent().unwrap()).unwrap();
        (payload, original)
    }

    fn stages(&self, number: u8) -> Vec<PublicationStage> {
        self.store.message(&id(number)).unwrap().publications.into_iter().map(|(_, stage)| stage).collect()
    }
}

fn published(name: String) -> PublicationStage {
    PublicationStage::Published(name)
}

#[tokio::test]
async fn one_name_promised_again_and_again_is_counted_on() {
    let bench = bench();
    bench.promise(1, "acme", 3).await;
    assert_eq!(bench.publisher.publish_pending().await.unwrap(), 3);
    let own = id(1);
    let names = [published("x.txt".into()), published(format!("x.{own}-1.txt")), published(format!("x.{own}-2.txt"))];
    assert_eq!(bench.stages(1), names);
    for name in ["x.txt".to_owned(), format!("x.{own}-1.txt"), format!("x.{own}-2.txt")] {
        assert_eq!(fs::read_to_string(bench.path("acme/rejected").join(&name)).unwrap(), "content of 1");
        assert_eq!(fs::read_to_string(bench.path("acme/rejected").join(name + ".findings.txt")).unwrap(), "why");
    }
    assert_eq!(fs::read_dir(bench.path("acme").join(STAGING)).unwrap().count(), 0);
}

#[tokio::test]
async fn names_taken_by_strangers_are_passed_over() {
    let bench = bench();
    let folder = bench.path("acme/rejected");
    fs::create_dir_all(&folder).unwrap();
    let own = id(1);
    for taken in ["x.txt".to_owned(), format!("x.{own}.txt.findings.txt"), format!("x.{own}-0-2.txt")] {
        fs::write(folder.join(taken), "a stranger's").unwrap();
    }
    bench.promise(1, "acme", 1).await;
    assert_eq!(bench.publisher.publish_pending().await.unwrap(), 1);
    assert_eq!(bench.stages(1), [published(format!("x.{own}-0-3.txt"))]);
    assert_eq!(fs::read_to_string(folder.join("x.txt")).unwrap(), "a stranger's");
}

#[tokio::test]
async fn a_file_that_is_still_staged_was_not_published_when_its_folder_is_gone() {
    let bench = bench();
    bench.promise(1, "acme", 1).await;
    let pending = bench.store.pending_publications(1).pop().unwrap();
    let (staging, gone, target) = (bench.path("acme/.staged"), bench.path("acme/gone"), bench.path("acme/rejected"));
    fs::create_dir_all(&staging).unwrap();
    fs::create_dir_all(&target).unwrap();
    for suffix in ["", ".findings.txt"] {
        fs::write(naming::staged_path(&staging, &pending, suffix), suffix).unwrap();
    }
    assert_eq!(naming::rename_group(&staging, &gone, &pending).unwrap_err().kind(), io::ErrorKind::NotFound);
    assert_eq!(fs::read_dir(&staging).unwrap().count(), 2);
    assert_eq!(naming::rename_group(&staging, &target, &pending).unwrap(), "x.txt");
    // As after a crash: it has its name, and nothing is staged any more.
    assert_eq!(naming::rename_group(&staging, &target, &pending).unwrap(), "x.txt");
    fs::remove_file(target.join("x.txt")).unwrap();
    assert_eq!(naming::rename_group(&staging, &target, &pending).unwrap(), "x.txt");
}

#[tokio::test]
async fn the_original_of_a_long_payload_is_what_is_published() {
    let bench = bench();
    let (payload, original) = bench.promise_long(1).await;
    fs::write(&original, &payload).unwrap();
    let identity = durable::identity(&fs::metadata(&original).unwrap());
    assert_eq!(bench.publisher.publish_pending().await.unwrap(), 1);
    let published = bench.path("acme/failed/long.xml");
    assert_eq!(durable::identity(&fs::metadata(&published).unwrap()), identity);
    assert!(fs::read(published).unwrap() == payload);
    assert_eq!(fs::read_to_string(bench.path("acme/failed/long.xml.error.json")).unwrap(), "why");
}

#[tokio::test]
async fn an_original_that_was_changed_is_left_as_it_is_under_its_other_name() {
    for stage in [PublicationStage::Committed, PublicationStage::Staged] {
        let bench = bench();
        let (payload, original) = bench.promise_long(1).await;
        let elsewhere = bench.path("archived.xml");
        let mut changed = payload.clone();
        *changed.last_mut().unwrap() ^= 1;
        fs::write(&elsewhere, &changed).unwrap();
        fs::hard_link(&elsewhere, &original).unwrap();
        if stage == PublicationStage::Staged {
            let pending = bench.store.pending_publications(1);
            let staged = naming::staged_path(original.parent().unwrap(), pending.first().unwrap(), "");
            durable::rename_noreplace_unsynced(&original, &staged).unwrap();
            bench.publisher.record(Instant::now(), pending, |p| Fact::Staged { index: p.index }).await.unwrap();
        }
        assert_eq!(bench.publisher.publish_pending().await.unwrap(), 1, "{stage:?}");
        assert!(fs::read(bench.path("acme/failed/long.xml")).unwrap() == payload, "{stage:?}");
        assert!(fs::read(elsewhere).unwrap() == changed, "{stage:?}");
        assert_eq!(fs::read_dir(bench.path("acme").join(STAGING)).unwrap().count(), 0, "{stage:?}");
    }
}

#[tokio::test]
async fn an_original_that_nobody_will_publish_goes() {
    let bench = bench();
    let (payload, needed) = bench.promise_long(1).await;
    let (_, too_late) = bench.promise_long(2).await;
    fs::write(&needed, &payload).unwrap();
    let second = bench.store.pending_publications(2).pop().unwrap();
    let (staged, named) = (bench.publisher.stage(vec![second]).unwrap().0, |p: &PendingPublication| Fact::Published {
        index: p.index,
        name: "long.xml".to_owned(),
    });
    let now = Instant::now();
    let staged = bench.publisher.record(now, staged, |p| Fact::Staged { index: p.index }).await.unwrap();
    bench.publisher.record(now, staged, named).await.unwrap();
    fs::write(&too_late, &payload).unwrap();
    let unknown = original_path(&bench.path("acme"), &id(9));
    fs::write(&unknown, "of a message that is not here").unwrap();
    bench.publisher.sweep_staging().unwrap();
    assert!(needed.exists() && unknown.exists() && !too_late.exists());
}

#[tokio::test]
async fn files_of_messages_that_the_journal_does_not_know_stay_and_are_said() {
    let bench = bench();
    bench.promise(1, "acme", 1).await;
    staged(&bench, 1).await;
    let staging = bench.path("acme/.staged");
    let copy = |suffix: &str| staging.join(format!("{}.0{suffix}", id(9)));
    let unknown = [original_path(&bench.path("acme"), &id(8)), copy(""), copy(".meta.json")];
    unknown.iter().for_each(|path| fs::write(path, "the only copy").unwrap());
    fs::write(staging.join("notes.txt"), "a stranger's").unwrap();
    let mut said = bench.publisher.sweep_staging().unwrap();
    said.sort();
    assert_eq!(said, unknown);
    assert!(unknown.iter().all(|path| path.exists()));
    bench.store.poison("the index failed".to_owned());
    assert_eq!(bench.publisher.sweep_staging().unwrap(), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_publication_that_fails_holds_up_no_other_and_is_tried_again() {
    let bench = bench();
    fs::create_dir_all(bench.path("customs")).unwrap();
    fs::write(bench.path("acme"), "no folder").unwrap();
    fs::write(bench.path("customs/rejected"), "no folder").unwrap();
    bench.promise(1, "acme", 1).await;
    bench.promise(2, "customs", 1).await;
    bench.promise(3, "zebra", 1).await;
    let start = Instant::now();
    assert_eq!(bench.publisher.round(start).await.unwrap(), Round { tried: 3, published: 1 });
    assert_eq!(bench.stages(1), [PublicationStage::Committed]);
    assert_eq!(bench.stages(2), [PublicationStage::Staged]);
    assert_eq!(bench.stages(3), [published("x.txt".into())]);
    assert_eq!(bench.publisher.round(start).await.unwrap(), Round { tried: 0, published: 0 });

    fs::remove_file(bench.path("acme")).unwrap();
    fs::remove_file(bench.path("customs/rejected")).unwrap();
    assert_eq!(bench.publisher.round(start + waiting::FIRST).await.unwrap(), Round { tried: 2, published: 2 });
    assert_eq!(bench.publisher.waiting().shortest(start), None);
    assert_eq!(bench.store.poisoned(), None);
}

/// What a later process sees of an earlier one that ended right after `Staged`.
async fn staged(bench: &Bench, count: usize) -> Publisher {
    let now = Instant::now();
    let staged = bench.publisher.stage(bench.store.pending_publications(count)).unwrap().0;
    assert_eq!(staged.len(), count);
    bench.publisher.record(now, staged, |p| Fact::Staged { index: p.index }).await.unwrap();
    Publisher::new(bench.store.clone(), &bench.path(""), bench.publisher.clock.clone())
}

#[tokio::test]
async fn what_was_staged_is_published_though_its_tree_was_moved_away() {
    let bench = bench();
    let (payload, _) = bench.promise_long(1).await;
    bench.promise(2, "acme", 2).await;
    bench.promise(3, "acme", 1).await;
    let later = staged(&bench, 3).await;
    durable::rename(&bench.path("acme"), &bench.path("acme.old")).unwrap();
    // As a start does.
    prepare_staging(&bench.store, &bench.path("acme"), "acme").unwrap();
    assert_eq!(later.publish_pending().await.unwrap(), 4);
    assert!(fs::read(bench.path("acme/failed/long.xml")).unwrap() == payload);
    let own = [id(2), id(3)];
    let names = ["x.txt".to_owned(), format!("x.{}-1.txt", own[0]), format!("x.{}.txt", own[1])];
    for (name, number) in names.into_iter().zip([2, 2, 3]) {
        let file = bench.path("acme/rejected").join(&name);
        assert_eq!(fs::read_to_string(file).unwrap(), format!("content of {number}"), "{name}");
        assert_eq!(fs::read_to_string(bench.path("acme/rejected").join(name + ".findings.txt")).unwrap(), "why");
    }
    assert_eq!(fs::read_dir(bench.path("acme/rejected")).unwrap().count(), 6);
    assert_eq!(fs::read_dir(bench.path("acme/.staged")).unwrap().count(), 0);
}

#[tokio::test]
async fn no_staging_folder_is_made_while_the_store_cannot_tell_what_must_be_in_it() {
    let bench = bench();
    bench.promise(1, "acme", 1).await;
    staged(&bench, 1).await;
    fs::remove_dir_all(bench.path("acme/.staged")).unwrap();
    bench.store.poison("the index failed".to_owned());
    let error = prepare_staging(&bench.store, &bench.path("acme"), "acme").unwrap_err();
    assert!(error.to_string().contains("the index failed") && !error.is_failed_sync(), "{error}");
    assert!(!bench.path("acme/.staged").exists(), "an empty one would say that everything was published");
}

#[tokio::test]
async fn what_was_renamed_and_taken_before_it_was_recorded_does_not_appear_again() {
    let bench = bench();
    bench.promise(1, "acme", 1).await;
    let later = staged(&bench, 1).await;
    let pending = bench.store.pending_publications(1);
    assert_eq!(bench.publisher.rename(pending).unwrap().0.len(), 1);
    for name in ["x.txt", "x.txt.findings.txt"] {
        fs::remove_file(bench.path("acme/rejected").join(name)).unwrap();
    }
    prepare_staging(&bench.store, &bench.path("acme"), "acme").unwrap();
    assert_eq!(later.publish_pending().await.unwrap(), 1);
    assert_eq!(bench.stages(1), [published("x.txt".into())]);
    assert_eq!(fs::read_dir(bench.path("acme/rejected")).unwrap().count(), 0);
}

#[tokio::test]
async fn what_this_process_has_renamed_does_not_appear_again_in_a_new_tree() {
    let bench = bench();
    bench.promise(1, "acme", 1).await;
    staged(&bench, 1).await;
    assert_eq!(bench.publisher.rename(bench.store.pending_publications(1)).unwrap().0.len(), 1);
    durable::rename(&bench.path("acme"), &bench.path("acme.old")).unwrap();
    assert_eq!(bench.publisher.publish_pending().await.unwrap(), 1);
    assert_eq!(fs::read_dir(bench.path("acme/rejected")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(bench.path("acme/.staged")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_rename_that_failed_is_not_taken_for_done_when_the_staged_file_is_gone() {
    for whole_tree in [true, false] {
        let bench = bench();
        fs::create_dir_all(bench.path("acme")).unwrap();
        fs::write(bench.path("acme/rejected"), "no folder").unwrap();
        bench.promise(1, "acme", 1).await;
        let start = Instant::now();
        assert_eq!(bench.publisher.round(start).await.unwrap(), Round { tried: 1, published: 0 });
        assert_eq!(bench.stages(1), [PublicationStage::Staged]);
        let [waits] = bench.publisher.unpublished().try_into().unwrap();
        assert_eq!((waits.partner.as_str(), waits.folder), ("acme", Folder::Rejected));
        durable::rename(&bench.path("acme"), &bench.path("acme.old")).unwrap();
        if !whole_tree {
            fs::create_dir_all(bench.path("acme/.staged")).unwrap();
        }
        assert_eq!(bench.publisher.round(start + waiting::FIRST).await.unwrap(), Round { tried: 1, published: 1 });
        assert_eq!(fs::read_to_string(bench.path("acme/rejected/x.txt")).unwrap(), "content of 1");
        assert_eq!(fs::read_to_string(bench.path("acme/rejected/x.txt.findings.txt")).unwrap(), "why");
        assert_eq!(bench.publisher.unpublished(), []);
    }
}

#[tokio::test]
async fn what_a_crash_left_of_a_file_that_was_written_again_is_removed() {
    let bench = bench();
    bench.promise(1, "acme", 1).await;
    let later = staged(&bench, 1).await;
    let staging = bench.path("acme/.staged");
    fs::write(staging.join(format!("{}.0.again", id(1))), "cont").unwrap();
    later.sweep_staging().unwrap();
    assert_eq!(fs::read_dir(&staging).unwrap().count(), 2);
    assert_eq!(later.publish_pending().await.unwrap(), 1);
    assert_eq!(fs::read_dir(&staging).unwrap().count(), 0);
}

#[tokio::test]
async fn a_refused_fact_concerns_its_own_publication_only() {
    let bench = bench();
    bench.promise(1, "acme", 1).await;
    bench.promise(2, "acme", 1).await;
    let pending = bench.store.pending_publications(10);
    let now = Instant::now();
    let staged = |p: &PendingPublication| Fact::Staged { index: p.index };
    let mut again = bench.publisher.record(now, pending, staged).await.unwrap();
    assert_eq!(again.len(), 2);
    again.push(PendingPublication { message: id(9), ..again.first().unwrap().clone() });
    let published = |p: &PendingPublication| Fact::Published { index: p.index, name: "x.txt".to_owned() };
    let recorded = bench.publisher.record(now, again, published).await.unwrap();
    assert_eq!(recorded.iter().map(|p| p.message).collect::<Vec<_>>(), [id(1), id(2)]);
    assert!(bench.publisher.waiting().at(now).contains(&(id(9), 0)));
}

#[tokio::test]
async fn nothing_is_published_by_a_poisoned_store() {
    let bench = bench();
    bench.promise(1, "acme", 1).await;
    bench.store.poison("a sync failed".to_owned());
    assert!(matches!(bench.publisher.publish_pending().await, Err(PublishError::Journal(_))));
    assert!(!bench.path("acme").exists());
    assert_eq!(bench.store.failed().await.cause, "a sync failed");
}

#[test]
fn a_failed_sync_is_told_from_a_folder_that_is_not_there() {
    let failed =
        |step, kind| Trouble::from(DurableError { step, path: PathBuf::from("inbox"), source: io::Error::from(kind) });
    assert!(matches!(failed("sync directory", io::ErrorKind::Other), Trouble::Sync(_)));
    assert!(matches!(failed("sync filesystem of", io::ErrorKind::StorageFull), Trouble::Sync(_)));
    assert!(matches!(failed("open directory", io::ErrorKind::NotFound), Trouble::Own(_)));
    // No descriptor is left.
    assert!(matches!(failed("open directory", io::ErrorKind::Other), Trouble::Own(_)));
    assert!(matches!(failed("create directory", io::ErrorKind::StorageFull), Trouble::Own(_)));
}

#[tokio::test]
async fn no_staging_folder_is_synced_before_the_destinations_of_its_batch() {
    let bench = bench();
    for number in 1..=3 {
        bench.promise(number, "acme", 1).await;
    }
    let batch = || {
        let folders = ["inbox", "sent", "inbox"].map(|target| vec![PathBuf::from(target), PathBuf::from(STAGING)]);
        bench.store.pending_publications(3).into_iter().zip(folders).collect::<Vec<_>>()
    };
    let (made, mut failed) = (Mutex::new(Vec::new()), Vec::new());
    let note = |folder: &Path| made.lock().unwrap().push(folder.display().to_string());
    let sync = |folder: &Path| -> Result<(), DurableError> {
        note(folder);
        Ok(())
    };
    let synced = folders::sync_folders_by(batch(), &mut failed, |pending| pending, &sync).unwrap();
    assert_eq!((synced.len(), failed.len()), (3, 0));
    assert_eq!(std::mem::take(&mut *made.lock().unwrap()), ["inbox", "sent", STAGING]);

    // What was renamed into a folder that cannot be opened must not be gone from where it came.
    let unopened = |folder: &Path| match folder.ends_with("sent") {
        true => Err(DurableError { step: "open directory", path: folder.into(), source: io::ErrorKind::Other.into() }),
        false => sync(folder),
    };
    let synced = folders::sync_folders_by(batch(), &mut failed, |pending| pending, &unopened).unwrap();
    assert_eq!((synced.len(), failed.len()), (0, 3));
    assert_eq!(*made.lock().unwrap(), ["inbox"]);
}

#[test]
fn each_filesystem_is_synced_once() {
    let (here, there) = (tempfile::tempdir().unwrap(), PathBuf::from("/proc"));
    let folders: Vec<PathBuf> = ["a", "b"].iter().map(|name| here.path().join(name)).collect();
    folders.iter().for_each(|folder| fs::create_dir(folder).unwrap());
    assert_eq!(one_of_each_filesystem(folders.iter().chain(&folders)), [folders.first().unwrap()]);
    if there.is_dir() {
        assert_eq!(one_of_each_filesystem(folders.iter().chain([&there])).len(), 2);
    }
}

#[tokio::test]
async fn a_batch_of_many_files_of_several_partners_is_published() {
    let bench = bench();
    for number in 1..=100 {
        bench.promise(number, if number % 2 == 0 { "acme" } else { "customs" }, 3).await;
    }
    let now = Instant::now();
    assert_eq!(bench.publisher.round(now).await.unwrap(), Round { tried: 256, published: 256 });
    assert_eq!(bench.publisher.round(now).await.unwrap(), Round { tried: 44, published: 44 });
    assert_eq!(fs::read_dir(bench.path("acme/rejected")).unwrap().count(), 300);
}

#[tokio::test]
async fn a_staging_folder_that_goes_within_a_round_says_nothing_of_what_was_in_it() {
    for looked_at in [false, true] {
        let bench = bench();
        bench.promise(1, "acme", 1).await;
        let later = staged(&bench, 1).await;
        if looked_at {
            assert_eq!(later.mend(bench.store.pending_publications(1)).unwrap().0.len(), 1);
        }
        durable::rename(&bench.path("acme"), &bench.path("acme.old")).unwrap();
        if looked_at {
            // As another publication of the same round does.
            prepare_staging(&bench.store, &bench.path("acme"), "acme").unwrap();
        }
        let (done, failed) = later.rename(bench.store.pending_publications(1)).unwrap();
        assert_eq!((done.len(), failed.len()), (0, 1), "looked at: {looked_at}");
        assert_eq!(later.publish_pending().await.unwrap(), 1);
        assert_eq!(fs::read_to_string(bench.path("acme/rejected/x.txt")).unwrap(), "content of 1");
        assert_eq!(fs::read_to_string(bench.path("acme/rejected/x.txt.findings.txt")).unwrap(), "why");
    }
}

#[tokio::test]
async fn a_file_gets_the_name_that_its_companion_got_before_the_end() {
    let bench = bench();
    let (folder, own) = (bench.path("acme/rejected"), format!("x.{}.txt", id(1)));
    fs::create_dir_all(&folder).unwrap();
    bench.promise(1, "acme", 1).await;
    let later = staged(&bench, 1).await;
    // The plain name was taken then; whoever had it has gone since.
    let pending = bench.store.pending_publications(1).pop().unwrap();
    let companion = naming::staged_path(&bench.path("acme/.staged"), &pending, ".findings.txt");
    durable::rename(&companion, &folder.join(format!("{own}.findings.txt"))).unwrap();
    assert_eq!(later.publish_pending().await.unwrap(), 1);
    assert_eq!(bench.stages(1), [published(own.clone())]);
    assert_eq!(fs::read_to_string(folder.join(&own)).unwrap(), "content of 1");
}
