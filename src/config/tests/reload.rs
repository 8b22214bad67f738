//! Partner files read again by a running gateway.

use super::*;
use crate::config::reload_partners;
use crate::partner::Directory;

fn ids(directory: &Directory) -> Vec<&str> {
    directory.all().map(|partner| partner.id.as_str()).collect()
}

#[test]
fn new_changed_and_removed_files_are_taken() {
    let sandbox = Sandbox::new();
    let config = sandbox.load().expect("loads");
    sandbox.write("partners/customs.toml", format!("name = \"renamed\"\n{PARTNER}").as_bytes());
    sandbox.write("partners/other.toml", PARTNER.replace("CUSTOMS", "OTHER").as_bytes());
    let reload = reload_partners(&config, &config.partners, &environment, sandbox.now);
    assert_eq!((ids(&reload.partners), reload.problems.len()), (vec!["customs", "other"], 0));
    assert_eq!(reload.partners.by_id("customs").and_then(|partner| partner.name.as_deref()), Some("renamed"));
    std::fs::remove_file(sandbox.path("partners/customs.toml")).expect("removed");
    let reload = reload_partners(&config, &reload.partners, &environment, sandbox.now);
    assert_eq!(ids(&reload.partners), ["other"]);
}

#[test]
fn a_bad_file_keeps_the_old_partner_and_is_reported() {
    let sandbox = Sandbox::new();
    let config = sandbox.load().expect("loads");
    for bad in ["as2_name = ", "as2_name = \"CUSTOMS\"\n", "\u{FEFF}nonsense"] {
        sandbox.write("partners/customs.toml", bad.as_bytes());
        let reload = reload_partners(&config, &config.partners, &environment, sandbox.now);
        let kept = reload.partners.by_id("customs").expect("kept");
        assert_eq!(kept.url.as_str(), "http://127.0.0.1:4090/as2");
        assert!(!reload.problems.is_empty(), "{bad}");
    }
}

#[test]
fn a_bad_new_file_adds_nothing() {
    let sandbox = Sandbox::new();
    let config = sandbox.load().expect("loads");
    sandbox.write("partners/other.toml", b"url = 1\n");
    let reload = reload_partners(&config, &config.partners, &environment, sandbox.now);
    assert_eq!(ids(&reload.partners), ["customs"]);
    assert!(reload.problems.iter().all(|one| one.file.ends_with("other.toml")));
}

#[test]
fn a_newcomer_cannot_take_the_name_of_a_partner_in_use() {
    let sandbox = Sandbox::new();
    let config = sandbox.load().expect("loads");
    sandbox.write("partners/a-first.toml", PARTNER.as_bytes());
    let reload = reload_partners(&config, &config.partners, &environment, sandbox.now);
    assert_eq!(ids(&reload.partners), ["customs"]);
    assert_eq!(
        reload.problems.iter().map(place).collect::<Vec<_>>(),
        [("as2-name-taken", "a-first.toml".to_owned(), Some(1), "as2_name".to_owned())]
    );
    sandbox.write("partners/customs.toml", b"broken");
    let reload = reload_partners(&config, &config.partners, &environment, sandbox.now);
    assert_eq!(ids(&reload.partners), ["customs"], "not even while the other file is broken");
}

#[test]
fn a_folder_that_cannot_be_read_changes_nothing() {
    let sandbox = Sandbox::new();
    let config = sandbox.load().expect("loads");
    crate::ground::durable::rename(&sandbox.path("partners"), &sandbox.path("away")).expect("renamed");
    let reload = reload_partners(&config, &config.partners, &environment, sandbox.now);
    assert_eq!(ids(&reload.partners), ["customs"]);
    assert_eq!(reload.problems.iter().map(|one| one.code).collect::<Vec<_>>(), ["partners-unreadable"]);
}
