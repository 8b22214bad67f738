//! Partner files read again by a running gateway.

use super::*;
use crate::config::{Environment, Reload};
use crate::partner::Directory;

/// Of a gateway that has taken nothing since its start.
fn reload(config: &Config, old: &Directory, environment: Environment<'_>, now: Timestamp) -> Reload {
    crate::config::reload(config, (old, None), environment, now)
}

fn ids(directory: &Directory) -> Vec<&str> {
    directory.all().map(|partner| partner.id.as_str()).collect()
}

#[test]
fn new_changed_and_removed_files_are_taken() {
    let sandbox = Sandbox::new();
    let config = sandbox.load().expect("loads");
    sandbox.write("partners/customs.toml", format!("name = \"renamed\"\n{PARTNER}").as_bytes());
    sandbox.write("partners/other.toml", PARTNER.replace("CUSTOMS", "OTHER").as_bytes());
    let read = reload(&config, &config.partners, &environment, sandbox.now);
    assert_eq!((ids(&read.partners), read.problems.len()), (vec!["customs", "other"], 0));
    assert_eq!(read.partners.by_id("customs").and_then(|partner| partner.name.as_deref()), Some("renamed"));
    std::fs::remove_file(sandbox.path("partners/customs.toml")).expect("removed");
    let read = reload(&config, &read.partners, &environment, sandbox.now);
    assert_eq!(ids(&read.partners), ["other"]);
}

#[test]
fn a_bad_file_keeps_the_old_partner_and_is_reported() {
    let sandbox = Sandbox::new();
    let config = sandbox.load().expect("loads");
    for bad in ["as2_name = ", "as2_name = \"CUSTOMS\"\n", "\u{FEFF}nonsense"] {
        sandbox.write("partners/customs.toml", bad.as_bytes());
        let read = reload(&config, &config.partners, &environment, sandbox.now);
        let kept = read.partners.by_id("customs").expect("kept");
        assert_eq!(kept.url.as_str(), "http://127.0.0.1:4090/as2");
        assert!(!read.problems.is_empty(), "{bad}");
    }
}

#[test]
fn a_bad_new_file_adds_nothing() {
    let sandbox = Sandbox::new();
    let config = sandbox.load().expect("loads");
    sandbox.write("partners/other.toml", b"url = 1\n");
    let read = reload(&config, &config.partners, &environment, sandbox.now);
    assert_eq!(ids(&read.partners), ["customs"]);
    assert!(read.problems.iter().all(|one| one.file.ends_with("other.toml")));
}

#[test]
fn a_newcomer_cannot_take_the_name_of_a_partner_in_use() {
    let sandbox = Sandbox::new();
    let config = sandbox.load().expect("loads");
    sandbox.write("partners/a-first.toml", PARTNER.as_bytes());
    let read = reload(&config, &config.partners, &environment, sandbox.now);
    assert_eq!(ids(&read.partners), ["customs"]);
    assert_eq!(
        read.problems.iter().map(place).collect::<Vec<_>>(),
        [("as2-name-taken", "a-first.toml".to_owned(), Some(1), "as2_name".to_owned())]
    );
    sandbox.write("partners/customs.toml", b"broken");
    let read = reload(&config, &config.partners, &environment, sandbox.now);
    assert_eq!(ids(&read.partners), ["customs"], "not even while the other file is broken");
}

#[test]
fn a_folder_that_cannot_be_read_changes_nothing() {
    let sandbox = Sandbox::new();
    let config = sandbox.load().expect("loads");
    crate::ground::durable::rename(&sandbox.path("partners"), &sandbox.path("away")).expect("renamed");
    let read = reload(&config, &config.partners, &environment, sandbox.now);
    assert_eq!(ids(&read.partners), ["customs"]);
    assert_eq!(read.problems.iter().map(|one| one.code).collect::<Vec<_>>(), ["partners-unreadable"]);
}

#[test]
fn our_keys_change_with_the_file_and_what_cannot_change_is_named() {
    let sandbox = Sandbox::new().with_real_keys();
    let config = sandbox.load().expect("loads");
    let signs = || config.station.keys.signing_key(sandbox.now, None).expect("a key").certificate.subject();
    let before = signs();
    sandbox.gateway("[[station.keys]]\ncertificate = \"keys/own.crt\"\nprivate_key = \"keys/own.key\"\nfrom = \"2026-05-31T00:00:00Z\"\n[limits]\nbody = \"1MiB\"\n");
    let read = reload(&config, &config.partners, &environment, sandbox.now);
    let gateway = read.gateway.expect("no mistake");
    assert_eq!(gateway.restart, ["limits"]);
    assert!(
        read.files.contains(&sandbox.path("keys/own.key")) && read.files.contains(&sandbox.path("keys/customs.crt"))
    );
    assert_eq!(signs(), before);
    config.station.keys.replace(&gateway.station.keys);
    assert_ne!(signs(), before, "the newest active key signs");
    assert_eq!(config.station.keys.decryption_keys().len(), 2, "every key decrypts");
    sandbox.write("gateway.toml", b"[station]\nas2_name = \"STATION\"\n");
    let read = reload(&config, &config.partners, &environment, sandbox.now);
    assert!(read.gateway.is_none() && !read.problems.is_empty());
    assert_eq!(ids(&read.partners), ["customs"]);
}

#[test]
fn a_new_window_another_dxpid_of_ours_and_a_new_name_are_named_since_they_count_after_a_restart() {
    let sandbox = Sandbox::new();
    let window = |until: &str, others: &str| {
        format!("[environment]\nname = \"test\"\nuntil = \"{until}\"\nother_dxpids = [{others}]\n")
    };
    let (march, june) = ("2026-03-06T18:00:00+08:00", "2026-06-06T18:00:00+08:00");
    sandbox.gateway(&window(march, ""));
    let config = sandbox.load().expect("loads");
    let restart = || {
        let read = reload(&config, &config.partners, &environment, sandbox.now);
        read.gateway.expect("no mistake").restart
    };
    assert!(restart().is_empty(), "nothing has changed");
    sandbox.gateway(&window(june, ""));
    assert_eq!(restart(), ["environment"]);
    sandbox.gateway(&window(march, "\"DXPENT0000054321\""));
    assert_eq!(restart(), ["environment"]);
    let named = GATEWAY.replacen("[station]\n", "[station]\nname = \"renamed\"\n", 1);
    sandbox.write("gateway.toml", format!("{named}{}", window(march, "")).as_bytes());
    assert_eq!(restart(), ["station"]);
}

#[test]
fn while_gateway_toml_has_a_mistake_partners_are_judged_by_what_was_taken_of_it_last() {
    let sandbox = Sandbox::new();
    let config = sandbox.load().expect("loads");
    sandbox.gateway("[revocation]\nlists = \"crls\"\n[proxy]\nurl = \"http://proxy.example.com:3128\"\n");
    std::fs::create_dir(sandbox.path("crls")).expect("made");
    let taken = reload(&config, &config.partners, &environment, sandbox.now);
    let way_out = |read: &Reload| {
        let partner = read.partners.by_id("customs").expect("there");
        (partner.name.clone(), partner.http.proxy.as_ref().map(|proxy| proxy.url.clone()))
    };
    let proxy = Some("http://proxy.example.com:3128".to_owned());
    assert_eq!(way_out(&taken), (None, proxy.clone()));
    // The table of revocation lists is lost with the rest of the broken file, the lists are not.
    sandbox.write("gateway.toml", b"[station\n");
    sandbox.write("partners/customs.toml", format!("name = \"renamed\"\n{PARTNER}").as_bytes());
    let again = || crate::config::reload(&config, (&taken.partners, taken.gateway.as_ref()), &environment, sandbox.now);
    assert_eq!(way_out(&again()), (Some("renamed".to_owned()), proxy.clone()));
    sandbox.write("crls/broken.crl", b"nonsense");
    let read = again();
    assert!(read.problems.iter().any(|problem| problem.code == "crl-unreadable"), "{:?}", read.problems);
    assert_eq!(way_out(&read), (None, proxy), "the partners stay as they were");
}
