//! R7: the disk fills up at every stage of work and is freed again. Nothing is acknowledged for which there was no room,
//! nothing is lost, and everything goes on by itself.
//!
//! A victim lives on a small ext4 image of its own, which is filled: under load, before a kill, before a start, and
//! before a start without the reserve. Its peers are on the ordinary disk. Needs root, loop devices and mkfs.ext4; where
//! they are missing the test says SKIPPED and why, or fails with `DXGATE_MUST_MOUNT=1`.
//!
//! `DXGATE_R7_CYCLES` (10; the long run has 40).

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use dxgate::bilingual;
use dxgate::declaration::envelope::{self, EnvelopeHead};
use dxgate::ground::clock::ManualClock;
use dxgate::ground::durable;
use dxgate::ground::id::Id;
use dxgate::store::record::{Content, Fact, Folder, Publication, Reason};
use dxgate::store::{CommitError, KeepError, Store, StoreConfig, Transaction};
use jiff::Timestamp;

use crate::proof::account::judge;
use crate::proof::skipped;
use crate::proof::small_disk::{SmallDisk, mount_layers, mount_memory};
use crate::proof::traffic::{Peers, Traffic};
use crate::support::gateway::{Gateway, dxgate};
use crate::support::home::{Home, PartnerFile, Station, change, customs_home};
use crate::support::{DEADLINE, correspondent, eventually, http, keys};

const LIMITS: &str = "[limits]\nfree_space_floor = 0\ninline = \"16KiB\"\nreserve = \"8MiB\"";

/// When the disk becomes full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// While the gateway works; this many bytes stay.
    Running(u64),
    /// Before a kill and a start.
    Killed,
    /// Before an orderly end and a start.
    Stopped,
    /// Before a start, and somebody has removed the reserve and filled its place.
    WithoutReserve,
}

const STAGES: [Stage; 8] = [
    Stage::Running(0),
    Stage::Killed,
    Stage::Running(4096),
    Stage::WithoutReserve,
    Stage::Running(64 * 1024),
    Stage::Stopped,
    Stage::Running(300 * 1024),
    Stage::Running(2 * 1024 * 1024),
];

#[test]
fn a_disk_that_fills_up_and_is_freed_loses_nothing_and_work_goes_on_by_itself() {
    let cycles: usize = std::env::var("DXGATE_R7_CYCLES").map_or(10, |text| text.parse().unwrap());
    let disk = match SmallDisk::mount(160) {
        Ok(disk) => disk,
        Err(why) => return skipped("R7, a disk that fills up", &why),
    };
    let ledger = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let log = ledger.path().join("victim.log");
    let station = Station { as2_name: "victim", party: keys::ours(), more: LIMITS };
    let victim = Home::within(&disk.path(), Some(&log), &station);
    let peers = Peers::of(&[("victim", &victim)]);
    let _steady: Vec<Gateway<'_>> = peers.0.iter().map(Gateway::start).collect();
    let mut gateway = Gateway::start(&victim);
    let mut accounts = Vec::new();
    for (cycle, stage) in STAGES.into_iter().cycle().take(cycles).enumerate() {
        let mut traffic = Traffic::begin(ledger.path(), &format!("r7-{cycle}"), ("victim", &victim), &peers);
        eventually("the reserve is kept", || victim.path("data/reserve").exists().then_some(()));
        if stage == Stage::Running(0) {
            refuses_while_full(&gateway, &disk, &mut traffic);
        } else {
            traffic.load(3);
            gateway = fill_and_endure(stage, gateway, &disk, &mut traffic);
        }
        disk.free();
        settle(&mut traffic, &gateway, "after the disk was freed");
        eventually("it is ready", || gateway.is_ready().then_some(()));
        println!("R7 cycle {cycle} {stage:?}: {}", traffic.standing());
        accounts.extend(traffic.accounts());
    }
    assert!(gateway.stop().success());
    let judgement = judge(&accounts, &["--all-offers"]);
    assert!(judgement.clean, "{}", judgement.text());
    assert_eq!(judgement.sum("taken"), judgement.sum("offered"), "{}", judgement.text());
}

/// Without any room nothing that needs some is acknowledged. Large files are dropped, since a short fact may still fit into
/// the rest of a block.
fn refuses_while_full(gateway: &Gateway<'_>, disk: &SmallDisk, traffic: &mut Traffic<'_>) {
    let since = log_length(gateway.home);
    traffic.prepare(1);
    disk.fill(0);
    traffic.release();
    eventually("it refuses, and what it has claimed waits", || {
        let refused = said_since(gateway.home, since, "a message is refused: make room");
        (refused && said_since(gateway.home, since, "intake-failed")).then_some(())
    });
    traffic.take();
    assert_eq!(traffic.arrived(), (0, 0), "{}", traffic.standing());
}

/// Fills the disk as the stage says; a victim that is stopped or killed is started again on the full disk.
fn fill_and_endure<'h>(stage: Stage, gateway: Gateway<'h>, disk: &SmallDisk, traffic: &mut Traffic<'_>) -> Gateway<'h> {
    let victim = gateway.home;
    let since = log_length(victim);
    match stage {
        Stage::Running(leave) => {
            disk.fill(leave);
            // Whatever comes through in the meantime is taken; there is nothing particular to wait for.
            let _ = traffic.settle(Duration::from_secs(3), || Ok::<(), ()>(()));
            gateway
        }
        Stage::Stopped => {
            disk.fill(0);
            gateway.stop();
            Gateway::start(victim)
        }
        Stage::Killed => {
            disk.fill(0);
            gateway.kill();
            let gateway = Gateway::start(victim);
            assert!(said_since(victim, since, "reserve-given-up"), "{}", gateway.log());
            gateway
        }
        Stage::WithoutReserve => {
            gateway.kill();
            fs::remove_file(victim.path("data/reserve")).unwrap();
            disk.fill(0);
            let mut gateway = Gateway::spawn(victim);
            // An index that cannot be opened is given up for its room, which may be enough for a new one.
            eventually("it says what to do, or needs no help", || {
                (said_since(victim, since, "Make room on the data filesystem") || gateway.is_ready()).then_some(())
            });
            assert!(gateway.ended().is_none(), "it waits");
            gateway
        }
    }
}

fn log_length(home: &Home) -> usize {
    fs::metadata(home.log()).unwrap().len() as usize
}

fn said_since(home: &Home, since: usize, text: &str) -> bool {
    let log = fs::read(home.log()).unwrap();
    String::from_utf8_lossy(&log[since..]).contains(text)
}

fn settle(traffic: &mut Traffic<'_>, gateway: &Gateway<'_>, when: &str) {
    let settled = traffic.settle(DEADLINE, || Ok::<(), ()>(()));
    assert_eq!(settled, Ok(true), "{when}: {}\n{}", traffic.standing(), gateway.log());
}

#[test]
fn a_data_folder_in_memory_or_in_the_layers_of_a_container_is_refused_unless_it_is_allowed() {
    let [memory, layers] = [(); 2].map(|()| Home::ours());
    match mount_memory(&memory.path("data")) {
        Ok(_mounted) => refused_unless_allowed(&memory),
        Err(why) => skipped("a data folder in memory", &why),
    }
    match mount_layers(&layers.path("data"), &layers.path("layers")) {
        Ok(_mounted) => refused_unless_allowed(&layers),
        Err(why) => skipped("a data folder in layers", &why),
    }
}

fn refused_unless_allowed(home: &Home) {
    home.partner("theirs", &PartnerFile::default());
    let allowed = fs::read_to_string(home.config()).unwrap();
    fs::write(home.config(), allowed.replace("allow_any_filesystem = true", "allow_any_filesystem = false")).unwrap();
    let refused = dxgate().args(["serve", "--config"]).arg(home.config()).output().unwrap();
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("filesystem-not-trusted"), "{refused:?}");
    fs::write(home.config(), allowed).unwrap();
    assert!(Gateway::start(home).stop().success());
}

#[test]
fn a_partner_folder_on_another_filesystem_is_refused_at_the_start() {
    let home = Home::ours();
    home.partner("theirs", &PartnerFile::default());
    let _memory = match mount_memory(&home.exchange("theirs", "inbox")) {
        Ok(mounted) => mounted,
        Err(why) => return skipped("a folder on another filesystem", &why),
    };
    let refused = dxgate().args(["serve", "--config"]).arg(home.config()).output().unwrap();
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("different-filesystems") && said.contains("inbox"), "{said}");
}

#[test]
fn a_change_of_a_partner_that_finds_the_disk_full_is_taken_once_there_is_room() {
    let home = Home::ours();
    let certificate = home.path("theirs.crt");
    fs::copy(&keys::theirs().certificate_file, &certificate).unwrap();
    home.partner("theirs", &PartnerFile::default());
    let file = home.path("partners/theirs.toml");
    change(&file, &keys::theirs().certificate_file.display().to_string(), &certificate.display().to_string());
    let mut command = dxgate();
    // A start keeps the certificates of both sides.
    command.env("FAILPOINTS", "create@certificates=2*off->2*return(enospc)");
    let mut gateway = Gateway::spawn_by(&home, command);
    gateway.wait_ready();
    fs::copy(&keys::stranger().certificate_file, &certificate).unwrap();
    let log = || fs::read_to_string(home.log()).unwrap();
    let taken = || log().contains("the configuration was read again").then_some(());
    eventually("the new certificate is taken", taken);
    let log = log();
    assert_eq!(log.matches("failpoint").count(), 2, "it was tried twice in vain:\n{log}");
    assert_eq!(log.matches("certificate-not-kept").count(), 1, "which is said once:\n{log}");
    assert!(gateway.stop().success());
}

#[test]
fn a_start_that_finds_no_room_for_a_certificate_waits_for_it() {
    let home = Home::ours();
    home.partner("theirs", &PartnerFile::default());
    let mut command = dxgate();
    command.env("FAILPOINTS", "create@certificates=1*return(enospc)");
    let mut gateway = Gateway::spawn_by(&home, command);
    gateway.wait_ready();
    let log = fs::read_to_string(home.log()).unwrap();
    assert_eq!(log.matches("failpoint").count(), 1, "it was tried once in vain:\n{log}");
    assert!(log.contains("Make room on the data filesystem"), "{log}");
    assert!(gateway.stop().success());
}

/// Wire, payload and document are a file of their own each; there is no room for the last.
#[test]
fn a_document_of_customs_that_finds_no_room_is_neither_taken_for_unreadable_nor_confirmed() {
    let home = customs_home("DXPEDCCEB0000002", "http://127.0.0.1:9/".to_owned(), "[limits]\ninline = \"32KiB\"\n");
    let mut command = dxgate();
    command.env("FAILPOINTS", "create@tmp=2*off->1*return(enospc)");
    let mut gateway = Gateway::spawn_by(&home, command);
    gateway.wait_ready();
    let document = format!("<CEB312Message>{}</CEB312Message>", "x".repeat(200_000));
    let head = EnvelopeHead {
        cop_msg_id: "R-1".into(),
        sender_id: "DXPEDCCEB0000001".into(),
        receiver_ids: vec!["DXPEDCCEB0000002".into()],
        creat_time: envelope::creat_time(Timestamp::now()),
        msg_type: "CEB312Message".into(),
        file_name: Some("receipt.xml".into()),
        ..EnvelopeHead::default()
    };
    let mut message = Vec::new();
    envelope::wrap(&head, &mut document.as_bytes(), &mut message).unwrap();
    let letter = correspondent::letter(&correspondent::plan(), "<r@theirs>", &message);
    let post = || http::post(home.as2, "/as2", &letter.headers, &letter.body).unwrap();
    let refused = post();
    let log = fs::read_to_string(home.log()).unwrap();
    assert_eq!((refused.status, log.matches("failpoint").count()), (503, 1), "{}\n{log}", refused.text());
    let taken = correspondent::receipt_in(&post()).disposition.to_string();
    assert_eq!(taken, "automatic-action/MDN-sent-automatically; processed");
    assert!(gateway.wait_for("customs", "inbox", "receipt.xml") == document.as_bytes(), "the document alone");
    assert!(gateway.stop().success());
}

#[test]
fn a_snapshot_leaves_room_for_those_who_go_on_beside_it() {
    let disk = match SmallDisk::mount(400) {
        Ok(disk) => disk,
        Err(why) => return skipped("a snapshot on a nearly full disk", &why),
    };
    let (data, at) = (disk.path().join("data"), Timestamp::UNIX_EPOCH);
    let (store, _) = Store::open(StoreConfig::new(&data, Arc::new(ManualClock::new(at)))).unwrap();
    // A view of some 80 MB.
    for _ in 0..800 {
        let files = vec![(String::new(), Content::Text("x".repeat(100_000)))];
        let rejected = Fact::Rejected {
            partner: "acme".to_owned(),
            file_name: "x.xml".to_owned(),
            payload: None,
            reason: Reason { code: "bad".to_owned(), text: bilingual!("坏", "bad") },
            files: vec![Publication { folder: Folder::Rejected, name: "x.xml".to_owned(), files }],
        };
        let mut transaction = Transaction::new(at);
        transaction.fact(Id::new(at), rejected);
        store.commit_blocking(transaction).unwrap();
    }
    for leave in [16u64 << 20, 110 << 20] {
        disk.free();
        disk.fill(leave);
        let taken = store.take_snapshot(&|| false);
        assert!(matches!(taken, Err(KeepError::Commit(CommitError::NoSpace))), "{leave}: {taken:?}");
        let left = fs::read_dir(data.join("journal")).unwrap().map(|entry| entry.unwrap().file_name());
        assert!(left.into_iter().all(|name| name.to_string_lossy().ends_with(".log")), "{leave}");
        assert!(durable::free_space(&data).unwrap() >= leave.min(48 << 20) / 2);
    }
    disk.free();
    assert!(store.take_snapshot(&|| false).unwrap().is_some());
}

#[test]
fn a_short_snapshot_finds_room_on_a_disk_that_is_nearly_full() {
    let disk = match SmallDisk::mount(100) {
        Ok(disk) => disk,
        Err(why) => return skipped("a short snapshot on a nearly full disk", &why),
    };
    let (data, at) = (disk.path().join("data"), Timestamp::UNIX_EPOCH);
    let (store, _) = Store::open(StoreConfig::new(&data, Arc::new(ManualClock::new(at)))).unwrap();
    let rejected = Fact::Rejected {
        partner: "acme".to_owned(),
        file_name: "x.xml".to_owned(),
        payload: None,
        reason: Reason { code: "bad".to_owned(), text: bilingual!("坏", "bad") },
        files: Vec::new(),
    };
    let mut transaction = Transaction::new(at);
    transaction.fact(Id::new(at), rejected);
    store.commit_blocking(transaction).unwrap();
    disk.fill(40 << 20);
    assert!(store.take_snapshot(&|| false).unwrap().is_some());
}
