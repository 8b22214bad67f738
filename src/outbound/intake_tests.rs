//! What becomes of claimed files.

use tokio::task::JoinSet;

use super::*;
use crate::outbound::prepare_folders;
use crate::outbound::specimens::Home;

/// A home and its flow, without a message.
fn begun() -> (Home, Outbound) {
    let home = Home::new();
    prepare_folders(&home.path("exchange/customs")).unwrap();
    let flow = home.flow();
    (home, flow)
}

fn claimed(home: &Home, number: u8) -> Claim {
    let (id, file_name) = (Id::from_bytes([number; 16]), format!("{number}.xml"));
    let path = home.path(&format!("exchange/customs/.claimed/{id}~{file_name}"));
    durable::write_new(&path, b"<order/>").unwrap();
    Claim { id, partner: "customs".to_owned(), file_name, path, is_folder: false }
}

#[tokio::test]
async fn a_claimed_file_is_gone_once_it_is_taken_also_where_many_are_at_a_time() {
    let (home, flow) = begun();
    let mut tasks = JoinSet::new();
    for number in 1..=20 {
        let (flow, claim) = (flow.clone(), claimed(&home, number));
        tasks.spawn(async move { (flow.take(claim.clone(), Claimed::Now).await, claim) });
    }
    while let Some(taken) = tasks.join_next().await {
        let (taken, claim) = taken.unwrap();
        taken.unwrap();
        assert!(!claim.path.exists(), "{}", claim.file_name);
        assert_eq!(flow.store.message(&claim.id).unwrap().file_name, claim.file_name);
    }
}

#[tokio::test]
async fn what_a_crash_leaves_of_a_recorded_file_is_removed_and_nothing_is_recorded_twice() {
    let (home, flow) = begun();
    let claim = claimed(&home, 1);
    flow.take(claim.clone(), Claimed::Now).await.unwrap();
    let recorded = flow.store.message(&claim.id).unwrap();
    for known in [Claimed::Before, Claimed::Now] {
        assert_eq!(claimed(&home, 1), claim);
        flow.take(claim.clone(), known).await.unwrap();
        assert!(!claim.path.exists(), "{known:?}");
        assert_eq!(flow.store.message(&claim.id).unwrap().message_id, recorded.message_id, "{known:?}");
    }
}

#[tokio::test]
async fn a_claimed_file_that_cannot_be_removed_is_told_so_and_holds_up_no_other() {
    let (home, flow) = begun();
    let claim = claimed(&home, 1);
    flow.take(claim.clone(), Claimed::Now).await.unwrap();
    // A folder cannot be removed as a file.
    durable::create_dir_all(&claim.path).unwrap();
    let stuck = flow.take(claim.clone(), Claimed::Before).await.unwrap_err();
    assert!(matches!(stuck, NotTaken::Unremoved(_)), "{stuck:?}");
    let reason = stuck.trouble(&claim).reason;
    assert_eq!(reason.code, "claimed-not-removed", "it is no intake-failed: somebody would drop it again");
    assert!(reason.text.en.contains("is recorded as") && reason.text.zh.contains("已登记"), "{:?}", reason.text);
    assert!(claim.path.exists());
    let next = claimed(&home, 2);
    flow.take(next.clone(), Claimed::Now).await.unwrap();
    assert!(!next.path.exists());
}

#[tokio::test]
async fn a_claimed_file_counts_as_gone_only_when_it_is() {
    let (home, flow) = begun();
    let gone = claimed(&home, 1);
    fs::remove_file(&gone.path).unwrap();
    flow.take(gone.clone(), Claimed::Before).await.unwrap();
    assert!(flow.store.message(&gone.id).is_none());

    // Longer than what is kept in memory, and where it would be copied to is not there: not found, too.
    let there = claimed(&home, 2);
    fs::remove_file(&there.path).unwrap();
    durable::write_new(&there.path, &b"<order/>".repeat(256 * 1024)).unwrap();
    let bodies = home.path("data/bodies");
    fs::remove_dir_all(&bodies).unwrap();
    let failed = flow.take(there.clone(), Claimed::Now).await.unwrap_err();
    assert!(matches!(failed, NotTaken::Unrecorded(IntakeError::File(_))), "{failed:?}");
    assert_eq!(failed.trouble(&there).reason.code, "intake-failed");
    assert!(there.path.exists() && flow.store.message(&there.id).is_none());
    durable::create_dir_all(&bodies).unwrap();
    flow.take(there.clone(), Claimed::Before).await.unwrap();
    assert!(!there.path.exists() && flow.store.message(&there.id).is_some());
}

#[tokio::test]
async fn a_refused_file_that_finds_no_rejected_folder_is_told_and_moves_there_once_it_is_back() {
    let (home, flow) = begun();
    let claim = claimed(&home, 1);
    // Too long to be copied; nothing but its length is on the disk.
    let file = fs::File::options().write(true).open(&claim.path).unwrap();
    file.set_len(flow.limits.payload + 1).unwrap();
    let rejected = home.path("exchange/customs/rejected");
    fs::remove_dir(&rejected).unwrap();
    let stuck = flow.take(claim.clone(), Claimed::Now).await.unwrap_err();
    assert!(matches!(stuck, NotTaken::Unremoved(_)), "{stuck:?}");
    assert_eq!(flow.store.message(&claim.id).unwrap().state, State::Rejected);
    durable::create_dir_all(&rejected).unwrap();
    flow.take(claim.clone(), Claimed::Before).await.unwrap();
    assert!(!claim.path.exists() && rejected.join("1.xml").is_file());
}
