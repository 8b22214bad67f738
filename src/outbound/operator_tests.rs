//! What a person does to messages of a restored home.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;

use super::*;
use crate::as2::As2Name;
use crate::declaration::precheck::codes::CodeTables;
use crate::ground::clock::ManualClock;
use crate::ground::limits::Limits;
use crate::keys::KeyRing;
use crate::outbound::{Parts, Settings};
use crate::partner::{Directory, Environment, Station};
use crate::store::record::{Content, Folder, JobKind, Publication, PublicationStage};
use crate::store::{Store, StoreConfig};

fn flow(home: &Path) -> Outbound {
    let clock = Arc::new(ManualClock::new(Timestamp::from_second(1_800_000_000).unwrap()));
    let data = home.join("data");
    let config = StoreConfig { allow_untrusted_filesystem: true, ..StoreConfig::new(&data, clock.clone()) };
    let (store, _) = Store::open(config).unwrap();
    let station = Station {
        dxpid: None,
        as2_name: As2Name::from_plain("ours").unwrap(),
        name: None,
        environment: Environment::default(),
        keys: KeyRing::default(),
        message_id_host: "station".to_owned(),
        receipt_url: None,
    };
    let parts = Parts {
        store,
        station: Arc::new(station),
        directory: Arc::new(ArcSwap::from_pointee(Directory::default())),
        tables: Arc::new(ArcSwap::from_pointee(CodeTables::default())),
        clock,
        limits: Limits::default(),
    };
    let settings = Settings {
        exchange: home.join("exchange"),
        sweep: Duration::from_secs(1),
        settle: Duration::from_secs(1),
        ignore: Vec::new(),
        workers: 1,
        data,
        free_space_floor: 0,
        message_id_host: "station".to_owned(),
    };
    Outbound::new(parts, settings)
}

/// A message that has failed, whose file for `failed/` was staged when the backup was made; perhaps it was on its way again
/// by then.
async fn restored(flow: &Outbound, id: Id, again: bool) {
    let (now, reason, by) = (flow.clock.now(), "sent again".to_owned(), "ann".to_owned());
    let content = vec![(String::new(), Content::Text("<order/>".to_owned()))];
    let file = Publication { folder: Folder::Failed, name: "order.xml".to_owned(), files: content };
    let why = Reason { code: "refused".to_owned(), text: bilingual!("拒绝", "refused") };
    let queued = Fact::Queued {
        kind: JobKind::Payload,
        partner: "customs".to_owned(),
        file_name: "order.xml".to_owned(),
        payload: None,
        declaration: None,
        about: None,
    };
    let mut facts =
        vec![queued, Fact::Failed { reason: why, receipt: None, files: vec![file] }, Fact::Staged { index: 0 }];
    facts.extend(again.then_some(Fact::Released { reason, by, due: now }));
    facts.push(Fact::Restored { sequence: 7 });
    let mut transaction = Transaction::new(now);
    for fact in facts {
        transaction.fact(id, fact);
    }
    flow.store.commit(transaction).await.unwrap();
}

#[tokio::test]
async fn what_a_backup_had_staged_is_staged_anew_whatever_lets_its_message_go_on() {
    let home = tempfile::tempdir().unwrap();
    let flow = flow(home.path());
    let cases = [
        (Action::Release, true, State::Queued),
        (Action::Retry, true, State::Queued),
        (Action::Cancel, true, State::Cancelled),
        (Action::Release, false, State::Failed),
        (Action::Retry, false, State::Queued),
    ];
    for (number, (action, again, state)) in (1u8..).zip(cases) {
        let id = Id::from_bytes([number; 16]);
        restored(&flow, id, again).await;
        assert_eq!(flow.store.message(&id).unwrap().publications[0].1, PublicationStage::Staged);
        let reason = Some("asked the partner".to_owned());
        let asked = Change { who: "ann".to_owned(), reason, ..Change::default() };
        let message = flow.act(id, action, asked).await.unwrap();
        let found = (message.state, message.restored, &message.publications[0].1);
        assert_eq!(found, (state, false, &PublicationStage::Committed), "{action:?}");
    }
    assert_eq!(flow.store.pending_publications(10).len(), cases.len());
}

#[tokio::test]
async fn what_waits_since_a_restore_may_be_released_in_whatever_state_it_is() {
    let home = tempfile::tempdir().unwrap();
    let flow = flow(home.path());
    let id = Id::from_bytes([9; 16]);
    restored(&flow, id, false).await;
    let message = flow.store.message(&id).unwrap();
    assert_eq!((message.state, message.restored), (State::Failed, true));
    assert!(Action::possible(&message).contains(&Action::Release), "{:?}", Action::possible(&message));
    let reason = Some("asked the partner".to_owned());
    let asked = Change { who: "ann".to_owned(), reason, ..Change::default() };
    let message = flow.act(id, Action::Release, asked).await.unwrap();
    assert!(!message.restored && !Action::possible(&message).contains(&Action::Release));
}
