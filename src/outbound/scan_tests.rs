//! Outboxes in a temporary folder, with a clock that only moves when told.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;

use jiff::SignedDuration;

use super::*;

struct Fixture {
    home: tempfile::TempDir,
    outbox: Outbox,
    now: Moment,
}

impl Fixture {
    fn new() -> Fixture {
        let home = tempfile::tempdir().unwrap();
        for name in ["outbox", CLAIMED] {
            fs::create_dir(home.path().join(name)).unwrap();
        }
        let ignore = ["*.tmp".to_owned(), "*.part".to_owned()];
        let outbox = Outbox::new("customs", home.path(), Duration::from_secs(1), &ignore);
        let now = Moment { time: Timestamp::from_second(1_700_000_000).unwrap(), instant: Instant::now() };
        Fixture { home, outbox, now }
    }

    fn drop_file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.home.path().join("outbox").join(name);
        File::create(&path).unwrap().write_all(content.as_bytes()).unwrap();
        path
    }

    fn sweep(&mut self, later_ms: u32) -> Sweep {
        self.sweep_with(later_ms, &mut Hints::new())
    }

    fn sweep_with(&mut self, later_ms: u32, hints: &mut Hints) -> Sweep {
        self.step_the_clock(SignedDuration::from_millis(later_ms.into()));
        self.now.instant += Duration::from_millis(later_ms.into());
        self.outbox.sweep(self.now, hints)
    }

    /// As somebody who sets the machine's clock does: no time passes.
    fn step_the_clock(&mut self, by: SignedDuration) {
        self.now.time = self.now.time.checked_add(by).unwrap();
    }
}

fn names(sweep: &Sweep) -> Vec<&str> {
    sweep.claims.iter().map(|claim| claim.file_name.as_str()).collect()
}

#[test]
fn a_file_is_taken_once_it_has_not_changed_for_the_settle_time() {
    let mut fixture = Fixture::new();
    fixture.drop_file("a.xml", "1");
    let first = fixture.sweep(0);
    assert!(first.claims.is_empty() && first.unsettled);
    assert!(fixture.sweep(900).claims.is_empty());
    assert_eq!(names(&fixture.sweep(100)), ["a.xml"]);
    assert!(fixture.sweep(5000).claims.is_empty(), "no double pick-up");
}

#[test]
fn a_file_that_grows_waits_anew() {
    let mut fixture = Fixture::new();
    fixture.drop_file("a.xml", "1");
    fixture.sweep(0);
    fixture.drop_file("a.xml", "12");
    assert!(fixture.sweep(1000).claims.is_empty());
    assert_eq!(names(&fixture.sweep(1000)), ["a.xml"]);
}

#[test]
fn a_renamed_file_is_complete_at_once_and_a_closed_one_nearly() {
    let mut fixture = Fixture::new();
    let moved = fixture.drop_file("moved.xml", "1");
    let closed = fixture.drop_file("closed.xml", "1");
    let mut hints = Hints::from([(moved, Hint::MovedIn), (closed, Hint::Closed)]);
    assert_eq!(names(&fixture.sweep_with(0, &mut hints)), ["moved.xml"]);
    assert_eq!(names(&fixture.sweep_with(200, &mut hints)), ["closed.xml"]);
}

#[test]
fn a_step_of_the_clock_neither_takes_a_file_early_nor_holds_it_back() {
    let mut fixture = Fixture::new();
    fixture.drop_file("a.xml", "1");
    fixture.sweep(0);
    fixture.step_the_clock(SignedDuration::from_hours(24));
    let forward = fixture.sweep(900);
    assert!(forward.claims.is_empty() && forward.unsettled, "it may still be written");
    fixture.step_the_clock(SignedDuration::from_hours(-48));
    assert_eq!(names(&fixture.sweep(100)), ["a.xml"]);
}

#[test]
fn hidden_ignored_and_unfinished_names_and_subfolders_are_left_alone() {
    let mut fixture = Fixture::new();
    for name in [".hidden", "a.tmp", "B.TMP", "a.part", "backup~"] {
        fixture.drop_file(name, "1");
    }
    fs::create_dir(fixture.home.path().join("outbox/sub")).unwrap();
    fixture.sweep(0);
    let sweep = fixture.sweep(5000);
    assert!(sweep.claims.is_empty() && sweep.troubles.is_empty() && !sweep.unsettled);
}

#[test]
fn links_and_bad_names_are_reported_once_and_never_taken() {
    let mut fixture = Fixture::new();
    std::os::unix::fs::symlink("/etc/hostname", fixture.home.path().join("outbox/link.xml")).unwrap();
    fixture.drop_file(&format!("{}.xml", "x".repeat(200)), "1");
    fixture.sweep(0);
    let codes = |sweep: &Sweep| sweep.troubles.iter().map(|t| t.reason.code.clone()).collect::<Vec<_>>();
    let second = fixture.sweep(2000);
    assert!(second.claims.is_empty() && codes(&second).is_empty());
    let mut fresh = Fixture::new();
    std::os::unix::fs::symlink("/etc/hostname", fresh.home.path().join("outbox/link.xml")).unwrap();
    assert_eq!(codes(&fresh.sweep(0)), ["outbox-not-a-file"]);
}

#[test]
fn a_name_that_is_not_utf_8_is_reported_until_it_is_gone_unless_such_names_are_left_alone() {
    let mut fixture = Fixture::new();
    fixture.drop_file("a.xml", "1");
    let outbox = fixture.home.path().join("outbox");
    // In GBK, as a program of a Chinese Windows writes them: a file, and names that are left alone in any encoding.
    let [file, temporary, hidden, folder] = [&b"\xb6\xa9\xb5\xa5.xml"[..], b"\xb6\xa9.part", b".\xb6\xa9", b"\xb6\xa9"]
        .map(|name| outbox.join(OsStr::from_bytes(name)));
    for path in [&file, &temporary, &hidden] {
        File::create(path).unwrap();
    }
    fs::create_dir(&folder).unwrap();
    let told = |sweep: &Sweep| {
        let told = sweep.troubles.iter().map(|trouble| (trouble.path.clone(), trouble.reason.code.clone()));
        told.collect::<Vec<_>>()
    };
    let bad_name = |path: &PathBuf| (path.clone(), "outbox-bad-name".to_owned());
    assert_eq!(told(&fixture.sweep(0)), [bad_name(&file)]);
    let again = fixture.sweep(1000);
    assert!(again.troubles.is_empty() && names(&again) == ["a.xml"], "told once, and it holds up no other: {again:?}");
    fixture.outbox.take_folders(Some(2));
    assert_eq!(told(&fixture.sweep(1000)), [bad_name(&folder)]);
    fixture.outbox.take_folders(None);
    assert_eq!(fixture.sweep(1000).mended, [folder]);
    fs::remove_file(&file).unwrap();
    assert_eq!(fixture.sweep(1000).mended, [file]);
    assert!(temporary.exists() && hidden.exists());
}

#[test]
fn a_file_that_vanishes_before_it_is_taken_is_reported() {
    let mut fixture = Fixture::new();
    let path = fixture.drop_file("a.xml", "1");
    fixture.sweep(0);
    fs::remove_file(path).unwrap();
    let sweep = fixture.sweep(1000);
    assert_eq!(sweep.troubles.len(), 1);
    assert_eq!(sweep.troubles[0].reason.code, "outbox-file-vanished");
    assert!(fixture.sweep(1000).troubles.is_empty());
}

#[test]
fn a_missing_outbox_is_reported_once_and_again_after_it_came_back() {
    let mut fixture = Fixture::new();
    let folder = fixture.home.path().join("outbox");
    fs::remove_dir(&folder).unwrap();
    assert_eq!(fixture.sweep(0).troubles.len(), 1);
    assert!(fixture.sweep(1000).troubles.is_empty());
    fs::create_dir(&folder).unwrap();
    let back = fixture.sweep(1000);
    assert!(back.troubles.is_empty() && back.mended == [folder.clone()]);
    fs::remove_dir(&folder).unwrap();
    assert_eq!(fixture.sweep(1000).troubles.len(), 1);
}

#[test]
fn thousands_of_files_are_taken_in_rounds_without_losing_one() {
    let mut fixture = Fixture::new();
    for number in 0..1000 {
        fixture.drop_file(&format!("{number:04}.xml"), "1");
    }
    let mut taken = HashSet::new();
    for _ in 0..20 {
        let sweep = fixture.sweep(1000);
        taken.extend(sweep.claims.into_iter().map(|claim| claim.file_name));
    }
    assert_eq!(taken.len(), 1000);
}

#[test]
fn a_long_outbox_is_listed_once_for_its_rounds_and_then_afresh() {
    let mut fixture = Fixture::new();
    let mut hints = Hints::new();
    for number in 0..600 {
        hints.insert(fixture.drop_file(&format!("{number:04}.xml"), "1"), Hint::MovedIn);
    }
    let unsettled = fixture.drop_file("0000-unsettled.xml", "1");
    let round = fixture.sweep_with(0, &mut hints);
    assert!(round.claims.len() == 256 && round.more);
    hints.insert(fixture.drop_file("0000-late.xml", "1"), Hint::MovedIn);
    let rounds = [fixture.sweep_with(0, &mut hints), fixture.sweep_with(0, &mut hints)];
    assert!(
        rounds.iter().all(|round| round.more && round.troubles.is_empty() && !names(round).contains(&"0000-late.xml"))
    );
    assert_eq!(rounds.map(|round| round.claims.len()), [256, 88]);
    let afresh = fixture.sweep_with(1000, &mut hints);
    assert_eq!(names(&afresh), ["0000-late.xml", "0000-unsettled.xml"]);
    assert!(!afresh.more && afresh.troubles.is_empty() && !unsettled.exists());
}

#[test]
fn claimed_files_are_found_again_with_their_ids_and_names() {
    let mut fixture = Fixture::new();
    fixture.drop_file("订单 1~2.xml", "1");
    fixture.sweep(0);
    let claimed = fixture.sweep(1000).claims;
    assert_eq!(fixture.outbox.leftovers().unwrap(), claimed);
    assert_eq!(claimed[0].file_name, "订单 1~2.xml");
}

#[test]
fn a_folder_is_taken_whole_once_nothing_in_it_changes() {
    let mut fixture = Fixture::new();
    let folder = fixture.home.path().join("outbox/batch");
    fs::create_dir(&folder).unwrap();
    fixture.drop_file("batch/a.xml", "<a/>");
    fixture.sweep(0);
    assert!(fixture.sweep(5000).claims.is_empty(), "folders are left alone unless they are messages");
    fixture.outbox.take_folders(Some(2));
    assert!(fixture.sweep(0).unsettled);
    fixture.drop_file("batch/b.xml", "<b/>");
    assert!(fixture.sweep(2000).claims.is_empty(), "a file was added");
    fixture.drop_file("batch/c.tmp", "half");
    assert!(fixture.sweep(5000).claims.is_empty(), "one is still being written");
    fs::remove_file(folder.join("c.tmp")).unwrap();
    fixture.sweep(0);
    let sweep = fixture.sweep(1500);
    assert_eq!(sweep.claims.len(), 1, "{:?}", sweep.troubles);
    assert_eq!(sweep.claims[0].file_name, "batch");
    assert!(!folder.exists() && sweep.claims[0].path.join("b.xml").is_file());
    assert_eq!(fixture.outbox.leftovers().unwrap(), sweep.claims);
}

#[test]
fn a_folder_that_was_moved_in_and_could_not_be_taken_is_complete_no_more() {
    let folders = ["unfit/deeper", "unfinished", "unreadable"];
    let mut fixture = Fixture::new();
    let outbox = fixture.home.path().join("outbox");
    folders.iter().for_each(|name| fs::create_dir_all(outbox.join(name)).unwrap());
    fixture.drop_file("unfinished/a.tmp", "half");
    fixture.drop_file("unreadable/a.xml", "<a/>");
    let moved_in = ["unfit", "unfinished", "unreadable"].map(|name| outbox.join(name));
    let mut hints: Hints = moved_in.iter().map(|path| (path.clone(), Hint::MovedIn)).collect();
    fixture.outbox.take_folders(Some(2));
    // Where claims go is missing: what is fit cannot be moved.
    fs::remove_dir(fixture.home.path().join(CLAIMED)).unwrap();
    assert_eq!(fixture.sweep_with(0, &mut hints).troubles.len(), 2);
    assert!(hints.is_empty(), "{hints:?}");
    fs::create_dir(fixture.home.path().join(CLAIMED)).unwrap();

    // Somebody copies them anew, and nobody hears of what is written inside.
    for (name, folder) in ["unfit", "unfinished", "unreadable"].into_iter().zip(&moved_in) {
        fs::remove_dir_all(folder).unwrap();
        fs::create_dir(folder).unwrap();
        fixture.drop_file(&format!("{name}/a.xml"), "<a/>");
    }
    let half = fixture.sweep_with(0, &mut hints);
    assert!(half.claims.is_empty() && half.unsettled, "{half:?}");
    for name in ["unfit", "unfinished", "unreadable"] {
        fixture.drop_file(&format!("{name}/b.xml"), "<b/>");
    }
    assert!(fixture.sweep_with(900, &mut hints).claims.is_empty());
    let whole = fixture.sweep_with(1000, &mut hints);
    assert_eq!(names(&whole), ["unfinished", "unfit", "unreadable"]);
    assert!(whole.claims.iter().all(|claim| claim.path.join("b.xml").is_file()));
}

#[test]
fn a_folder_that_cannot_be_one_message_stays_and_is_reported_once() {
    let mut fixture = Fixture::new();
    fixture.outbox.take_folders(Some(2));
    let outbox = fixture.home.path().join("outbox");
    for name in ["empty", "deep/er", "many", "linked"] {
        fs::create_dir_all(outbox.join(name)).unwrap();
    }
    for name in ["1", "2", "3"] {
        fixture.drop_file(&format!("many/{name}"), name);
    }
    std::os::unix::fs::symlink("/etc/hostname", outbox.join("linked/hostname")).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    durable::write_new(&elsewhere.path().join("secret"), b"not in the outbox").unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), outbox.join("a-link")).unwrap();
    let sweep = fixture.sweep(0);
    let codes: Vec<_> = sweep.troubles.iter().map(|trouble| trouble.reason.code.as_str()).collect();
    assert_eq!(codes, ["outbox-not-a-file", "outbox-folder-unfit", "outbox-folder-unfit", "outbox-folder-unfit"]);
    let again = fixture.sweep(5000);
    assert!(again.claims.is_empty() && again.troubles.is_empty());
}

#[test]
fn what_was_reported_is_mended_once_it_is_gone_taken_or_no_longer_to_be_taken() {
    let mut fixture = Fixture::new();
    fixture.outbox.take_folders(Some(2));
    let outbox = fixture.home.path().join("outbox");
    let [link, file, folder] = ["a-link", "b-link", "folder"].map(|name| outbox.join(name));
    for link in [&link, &file] {
        std::os::unix::fs::symlink("/etc/hostname", link).unwrap();
    }
    fs::create_dir_all(folder.join("deeper")).unwrap();
    let first = fixture.sweep(0);
    assert!(first.troubles.len() == 3 && first.mended.is_empty());
    fs::remove_file(&link).unwrap();
    assert_eq!(fixture.sweep(1000).mended, [link]);
    fs::remove_file(&file).unwrap();
    fixture.drop_file("b-link", "1");
    fixture.sweep(0);
    let taken = fixture.sweep(1000);
    assert!(names(&taken) == ["b-link"] && taken.mended == [file]);
    fixture.outbox.take_folders(None);
    assert_eq!(fixture.sweep(1000).mended, [folder]);
}

#[test]
fn a_file_that_cannot_be_moved_is_reported_as_that_and_not_as_vanished() {
    let mut fixture = Fixture::new();
    fixture.drop_file("a.xml", "1");
    fixture.sweep(0);
    fs::remove_dir(fixture.home.path().join(CLAIMED)).unwrap();
    let sweep = fixture.sweep(1000);
    let codes: Vec<_> = sweep.troubles.iter().map(|trouble| trouble.reason.code.as_str()).collect();
    assert_eq!(codes, ["outbox-file-unreadable"]);
    assert!(fixture.sweep(1000).troubles.is_empty(), "once");
}

#[test]
fn a_folder_with_a_file_that_cannot_be_opened_is_not_claimed() {
    let fixture = Fixture::new();
    let folder = fixture.home.path().join("outbox/batch");
    fs::create_dir(&folder).unwrap();
    fixture.drop_file("batch/a.xml", "<a/>");
    // Tests may run as root, to whom every mode is open; a link is opened by nobody.
    std::os::unix::fs::symlink("/etc/hostname", folder.join("b.xml")).unwrap();
    let error = fixture.outbox.claim("batch", &folder, true, fixture.now.time).unwrap_err();
    assert!(error.to_string().contains("b.xml") && folder.join("a.xml").is_file(), "{error}");
    fs::remove_file(folder.join("b.xml")).unwrap();
    assert!(fixture.outbox.claim("batch", &folder, true, fixture.now.time).is_ok());
}

#[test]
fn a_folder_that_stays_unfinished_is_told_once_and_goes_when_its_hidden_file_is_gone() {
    let mut fixture = Fixture::new();
    fixture.outbox.take_folders(Some(2));
    let folder = fixture.home.path().join("outbox/batch");
    fs::create_dir(&folder).unwrap();
    fixture.drop_file("batch/a.xml", "<a/>");
    let hidden = fixture.drop_file("batch/.DS_Store", "left by a file manager");
    assert!(fixture.sweep(0).troubles.is_empty(), "it may still be written");
    let sweep = fixture.sweep(1000);
    let told: Vec<_> = sweep.troubles.iter().map(|one| (one.path.clone(), one.reason.code.as_str())).collect();
    assert_eq!(told, [(folder.clone(), "outbox-folder-unfinished")]);
    assert!(fixture.sweep(1000).troubles.is_empty(), "once");
    fs::remove_file(hidden).unwrap();
    assert!(fixture.sweep(0).claims.is_empty());
    let taken = fixture.sweep(1000);
    assert!(names(&taken) == ["batch"] && taken.mended == [folder], "{taken:?}");
}
