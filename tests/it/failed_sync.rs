//! R5: one sync of the journal fails, once, and a second one would succeed. Nothing is acknowledged after it, the process
//! ends with 3 and says why, no sync is tried twice, and the next start finds everything.
//!
//! The sync fails below the program: a small library, compiled by the test, is loaded before the system's own and lets
//! the n-th `fdatasync` of a journal segment fail with EIO, as the kernel reports a lost write: once.
//!
//! `DXGATE_R5_CASES` (5; the long run has 20).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::proof::account::judge;
use crate::proof::traffic::{Peers, Traffic, VICTIM_LIMITS};
use crate::support::gateway::{Gateway, dxgate};
use crate::support::home::{Home, PartnerFile, Station, change};
use crate::support::{DEADLINE, eventually, keys};

const LIBRARY: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static atomic_int syncs;

int fdatasync(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length > 0 && getenv("FAILED_SYNC_AT")) {
        path[length] = 0;
        if (strstr(path, "/data/journal/") && strstr(path, ".log")) {
            int number = atomic_fetch_add(&syncs, 1) + 1, fails = atoi(getenv("FAILED_SYNC_AT"));
            if (number == fails) { dprintf(2, "SHIM failed\n"); errno = EIO; return -1; }
            if (number > fails) dprintf(2, "SHIM synced again\n");
        }
    }
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    return real(fd);
}
"#;

#[test]
fn after_one_failed_sync_the_process_ends_without_another_and_a_new_one_finds_everything() {
    let cases: u32 = std::env::var("DXGATE_R5_CASES").map_or(5, |text| text.parse().unwrap());
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let library = compile(folder.path());
    let victim = Home::of(&Station { as2_name: "victim", party: keys::ours(), more: VICTIM_LIMITS });
    let peers = Peers::of(&[("victim", &victim)]);
    let _steady: Vec<Gateway<'_>> = peers.0.iter().map(Gateway::start).collect();
    let mut accounts = Vec::new();
    for case in 0..cases {
        for below in ["data", "exchange"] {
            let _ = fs::remove_dir_all(victim.path(below));
        }
        let _ = fs::remove_file(victim.log());
        let mut traffic = Traffic::begin(folder.path(), &format!("r5-{case}"), ("victim", &victim), &peers);
        traffic.load(3);
        let mut command = dxgate();
        command.env("LD_PRELOAD", &library).env("FAILED_SYNC_AT", (1 + case * 2).to_string());
        let mut gateway = Gateway::spawn_by(&victim, command);
        // A machine that syncs many commits at once needs more work until it comes to the sync that fails.
        let status = eventually("the process ends", || {
            if traffic.take() {
                traffic.load(1);
            }
            gateway.ended()
        });
        let log = fs::read_to_string(victim.log()).unwrap();
        assert_eq!(status.code(), Some(3), "{log}");
        assert!(log.contains("[journal-failed]") && log.contains("check the disk, start again"), "{log}");
        assert!(log.contains("SHIM failed") && !log.contains("SHIM synced again"), "{log}");
        drop(gateway);
        let gateway = Gateway::start(&victim);
        let settled = traffic.settle(DEADLINE, || Ok::<(), ()>(()));
        assert_eq!(settled, Ok(true), "{}\n{}", traffic.standing(), gateway.log());
        assert!(gateway.stop().success());
        accounts.extend(traffic.accounts());
    }
    let judgement = judge(&accounts, &["--all-offers"]);
    assert!(judgement.clean, "{}", judgement.text());
}

/// It has its name by then, so a second try would find it there.
#[test]
fn a_certificate_whose_name_could_not_be_synced_ends_the_process_and_is_not_called_kept() {
    let home = Home::ours();
    let certificate = home.path("theirs.crt");
    fs::copy(&keys::theirs().certificate_file, &certificate).unwrap();
    home.partner("theirs", &PartnerFile::default());
    let file = home.path("partners/theirs.toml");
    change(&file, &keys::theirs().certificate_file.display().to_string(), &certificate.display().to_string());
    let mut command = dxgate();
    // A start keeps the certificates of both sides.
    command.env("FAILPOINTS", "dirsync@certificates=2*off->1*return(eio)");
    let mut gateway = Gateway::spawn_by(&home, command);
    gateway.wait_ready();
    fs::copy(&keys::stranger().certificate_file, &certificate).unwrap();
    let status = eventually("the process ends", || gateway.ended());
    let log = fs::read_to_string(home.log()).unwrap();
    assert_eq!(status.code(), Some(3), "{log}");
    assert!(log.contains("dirsync@certificates") && !log.contains("the configuration was read again"), "{log}");
    drop(gateway);
    assert!(Gateway::start(&home).stop().success());
}

fn compile(folder: &Path) -> PathBuf {
    let (source, library) = (folder.join("failed_sync.c"), folder.join("failed_sync.so"));
    fs::write(&source, LIBRARY).unwrap();
    let compiled =
        Command::new("gcc").args(["-shared", "-fPIC", "-o"]).args([&library, &source]).arg("-ldl").output().unwrap();
    assert!(compiled.status.success(), "{compiled:?}");
    library
}
