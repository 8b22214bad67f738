//! R4 for files that waited for their rename and were damaged on the disk meanwhile: writing them again fails as well.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;

use crate::proof::copy;
use crate::support::correspondent::{letter, plan};
use crate::support::gateway::{Gateway, dxgate};
use crate::support::home::{Home, PartnerFile};
use crate::support::{eventually, http};

#[test]
fn a_damaged_file_whose_mending_fails_is_mended_later_and_published_once() {
    let home = Home::ours();
    home.partner("theirs", &PartnerFile::default());
    let gateway = Gateway::start(&home);
    let inbox = home.exchange("theirs", "inbox");
    eventually("the inbox is there", || inbox.is_dir().then_some(()));
    // A file in the way: what comes now is staged and waits for its rename.
    fs::remove_dir(&inbox).unwrap();
    fs::write(&inbox, b"").unwrap();
    let letter = letter(&plan(), "<waits@theirs>", b"<waits/>");
    assert_eq!(http::post(home.as2, "/as2", &letter.headers, &letter.body).unwrap().status, 200);
    let staged = home.exchange("theirs", ".staged");
    let log = || fs::read_to_string(home.log()).unwrap();
    eventually("its rename was tried", || log().contains("inbox").then_some(()));
    eventually("both files are staged", || (names(&staged).len() == 2).then_some(()));
    assert!(gateway.stop().success());
    fs::remove_file(&inbox).unwrap();
    fs::create_dir(&inbox).unwrap();
    for name in names(&staged) {
        let mut bytes = fs::read(staged.join(&name)).unwrap();
        bytes[0] ^= 1;
        fs::write(staged.join(name), bytes).unwrap();
    }
    let kept = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    for folder in ["data", "exchange"] {
        copy(&home.path(folder), &kept.path().join(folder));
    }
    let cases = [("create", "eio"), ("create", "enospc"), ("create", "abort"), ("write", "eio"), ("write", "short")];
    let cases = cases.into_iter().chain([("write", "abort"), ("sync", "eio"), ("sync", "enospc"), ("sync", "abort")]);
    let cases = cases.chain([("rename", "eio"), ("rename", "abort"), ("dirsync", "eio"), ("dirsync", "abort")]);
    for ((operation, action), passed) in cases.flat_map(|case| [(case, 0), (case, 1)]) {
        for folder in ["data", "exchange"] {
            fs::remove_dir_all(home.path(folder)).unwrap();
            copy(&kept.path().join(folder), &home.path(folder));
        }
        fs::write(home.log(), b"").unwrap();
        let arms = format!("{operation}@.staged={passed}*off->1*return({action})");
        let mut command = dxgate();
        command.env("FAILPOINTS", &arms);
        let mut gateway = Gateway::spawn_by(&home, command);
        let is_published = || home.names("theirs", "inbox").len() == 2;
        let ended = eventually(&format!("{arms}: it ends or publishes"), || {
            gateway.ended().map(Some).or_else(|| is_published().then_some(None))
        });
        let gateway = match ended {
            Some(status) => {
                let lawful = if action == "abort" { status.signal() == Some(6) } else { status.code() == Some(3) };
                assert!(lawful, "{arms}: it ended with {status}:\n{}", log());
                assert!(
                    operation.ends_with("sync") || action == "abort",
                    "{arms}: only a failed sync ends it:\n{}",
                    log()
                );
                Gateway::start(&home)
            }
            None => gateway,
        };
        assert_eq!(gateway.wait_for("theirs", "inbox", "letter.xml"), b"<waits/>", "{arms}");
        let meta = gateway.wait_for("theirs", "inbox", "letter.xml.meta.json");
        assert!(
            serde_json::from_slice::<serde_json::Value>(&meta).is_ok(),
            "{arms}: {}",
            String::from_utf8_lossy(&meta)
        );
        assert!(gateway.stop().success(), "{arms}:\n{}", log());
        assert_eq!(home.names("theirs", "inbox"), ["letter.xml", "letter.xml.meta.json"], "{arms}");
        assert!(log().contains("staged-file-damaged") && log().contains("failpoint"), "{arms}:\n{}", log());
    }
}

fn names(folder: &Path) -> Vec<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}
