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
    let stuck = flow.take(claim.clone(), Claimed::Before).await;
    assert!(matches!(stuck, Err(IntakeError::File(_))), "{stuck:?}");
    assert!(claim.path.exists());
    let next = claimed(&home, 2);
    flow.take(next.clone(), Claimed::Now).await.unwrap();
    assert!(!next.path.exists());
}
