//! Power cuts at random moments, under load in both directions with MDNs of both kinds: what was acknowledged is there
//! afterwards, once. Then the control: the same with a gateway whose syncs do nothing is seen to lose.
//!
//! The victim's whole home lies on a filesystem of its own ([`Disk`]). A cut: the victim is stopped where it is, the
//! filesystem stops and forgets what it has not written back, the victim is killed, the filesystem is mounted again,
//! the victim started.
//!
//! | variable | CI | full | |
//! |---|---|---|---|
//! | `DXGATE_CUTS` | 10 | 500 | cuts, with each of commit=5 and commit=300 |
//! | `DXGATE_RECOVERY_CUTS` | 5 | 100 | times that a cut is followed by [`IN_A_ROW`] more during the recovery from it |
//! | `DXGATE_CONTROL_CUTS` | 6 | 20 | cuts of the control |
//!
//! They want root, to mount; without it they say SKIPPED and pass, or fail with `DXGATE_MUST_MOUNT=1`.
//! `.ci/run` is root, and says so where it cannot mount.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus};

use crate::proof::account::{Judgement, python};
use crate::proof::disk::Disk;
use crate::proof::scene::Scene;
use crate::proof::{Moments, size, skipped};
use crate::support::eventually;
use crate::support::gateway::{Gateway, dxgate};

/// Cuts during the recovery from one.
const IN_A_ROW: usize = 4;

#[test]
fn power_cuts_lose_nothing_acknowledged_when_the_filesystem_commits_every_five_seconds() {
    lose_nothing(5);
}

#[test]
fn power_cuts_lose_nothing_acknowledged_when_the_filesystem_commits_every_five_minutes() {
    lose_nothing(300);
}

#[test]
fn power_cuts_during_the_recovery_from_power_cuts_lose_nothing_acknowledged() {
    let Some(mut disk) = disk(300) else { return };
    let (series, mut moments) = (size("DXGATE_RECOVERY_CUTS", 5), Moments::new());
    let scene = scene(&disk);
    let judgement = scene.run(|| {
        for _ in 0..series {
            let gateway = Gateway::start(&scene.victim);
            moments.pass(900);
            gateway.freeze();
            cut(&mut disk, &scene, gateway);
            for _ in 0..IN_A_ROW {
                let gateway = Gateway::spawn(&scene.victim);
                moments.pass(250);
                gateway.freeze();
                cut(&mut disk, &scene, gateway);
            }
        }
    });
    assert_whole(&judgement);
}

#[test]
fn a_gateway_whose_syncs_do_nothing_is_seen_to_lose_what_it_acknowledged() {
    let Some(mut disk) = disk(300) else { return };
    let (cuts, mut moments) = (size("DXGATE_CONTROL_CUTS", 6), Moments::new());
    let scene = scene(&disk);
    let judgement = scene.run_expecting_losses(|| {
        for _ in 0..cuts {
            let mut gateway = Gateway::spawn_by(&scene.victim, without_sync());
            eventually("ready, or it refuses", || (gateway.ended().is_some() || gateway.is_ready()).then_some(()));
            moments.pass(1000);
            // A store that lost too much refuses to start; then that is the end.
            let refuses = gateway.ended().is_some();
            // Nobody takes files for a moment, so that what was answered for still lies there when the power goes.
            scene.power.cycle(|| {
                std::thread::sleep(std::time::Duration::from_millis(300));
                gateway.freeze();
                disk.cut();
                gateway.end();
                disk.restart();
            });
            if refuses {
                break;
            }
        }
    });
    assert!(judgement.count("acknowledged_lost") > 0, "{}", judgement.text());
    assert!(!judgement.clean);
}

fn lose_nothing(commit: u32) {
    let Some(mut disk) = disk(commit) else { return };
    let (cuts, mut moments) = (size("DXGATE_CUTS", 10), Moments::new());
    let scene = scene(&disk);
    let judgement = scene.run(|| {
        for number in 0..cuts {
            let mut gateway = Gateway::spawn(&scene.victim);
            if number % 4 == 0 {
                moments.pass(400);
            } else {
                gateway.wait_ready();
                moments.pass(1000);
            }
            // Now and then the gateway outlives its disk for a moment, and may answer 503: that must be harmless too.
            if number % 16 < 15 {
                gateway.freeze();
            }
            cut(&mut disk, &scene, gateway);
        }
    });
    assert_whole(&judgement);
}

fn disk(commit: u32) -> Option<Disk> {
    Disk::make(commit).inspect_err(|why| skipped("power cuts", why)).ok()
}

/// A scene whose victim has started once, so that its home is complete.
fn scene(disk: &Disk) -> Scene {
    let scene = Scene::on(Some(disk.path()));
    assert!(Gateway::start(&scene.victim).stop().success());
    disk.sync();
    scene
}

fn cut(disk: &mut Disk, scene: &Scene, gateway: Gateway<'_>) {
    disk.cut();
    let status = gateway.end();
    assert!(is_lawful(status), "{status}:\n{}", std::fs::read_to_string(scene.victim.log()).unwrap_or_default());
    scene.power.cycle(|| disk.restart());
}

/// Killed, or ended by itself because the disk (3) or the configuration on it (2) could not be read: never by a panic.
fn is_lawful(status: ExitStatus) -> bool {
    status.signal() == Some(9) || matches!(status.code(), Some(2 | 3))
}

fn assert_whole(judgement: &Judgement) {
    assert!(judgement.clean, "{}", judgement.text());
    assert!(judgement.sum("taken") > 50, "there was load: {}", judgement.text());
}

/// The program with syncs that do nothing.
fn without_sync() -> Command {
    let program = dxgate();
    let mut command = python("without_sync.py");
    command.arg(program.get_program());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}
