//! Partner files read again by a running gateway.

use super::*;
use crate::as2::MdnMode;
use crate::config::{
    As2Settings, ClientDemand, Environment, GatewayReload, ListenerSettings, Reload, Severity, Stamps, reload_judged,
};
use crate::partner::{Directory, Profile};

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

/// Certificate and key of this name, and whether clients must show one.
fn tls(name: &str, demand: &str) -> String {
    format!(
        "certificate = \"keys/{name}.crt\"\nprivate_key = \"keys/{name}.key\"\nclient_certificates = \"{demand}\"\n"
    )
}

fn further(port: u16, tls: &str) -> String {
    format!("[[as2.listeners]]\nlisten = \"127.0.0.1:{port}\"\n[as2.listeners.tls]\n{tls}")
}

#[test]
fn a_listener_has_what_the_file_says_at_its_address_and_keeps_what_it_had_when_its_address_is_gone() {
    let sandbox = Sandbox::new();
    let (strict, open) = (further(4444, &tls("station", "require")), further(4445, &tls("customs", "none")));
    let read = |listeners: &str| {
        sandbox.gateway(listeners);
        sandbox.load().unwrap_or_else(|problems| panic!("{problems}")).as2
    };
    let start = read(&format!("{strict}{open}"));
    let told = |as2: &As2Settings| -> Vec<(u16, Option<String>, ClientDemand)> {
        let subject = |one: &ListenerSettings| one.tls.as_ref().map(|tls| tls.chain[0].subject());
        let all = as2.all_listeners();
        all.iter().map(|one| (one.listen.port(), subject(one), one.clients.demand)).collect()
    };
    // The operator has taken the strict one away and means to restart.
    assert_eq!(told(&start.with_tls_of(&read(&open))), told(&start));
    assert_eq!(told(&start.with_tls_of(&read(&format!("{open}{strict}")))), told(&start), "in another order");
    let changed = read(&further(4444, &tls("customs", "ask")));
    let taken = start.with_tls_of(&changed);
    assert_eq!(told(&taken)[1], told(&changed)[1], "what the file says of its address");
    assert_eq!(told(&taken)[2], told(&start)[2]);
    assert_eq!(
        told(&taken.with_tls_of(&read(&open)))[1],
        told(&changed)[1],
        "what was taken stays, not what the start had"
    );
    let plain = read("[[as2.listeners]]\nlisten = \"127.0.0.1:4444\"\n");
    assert_eq!(told(&start.with_tls_of(&plain)), told(&start), "TLS ends with the restart");
    assert!(told(&plain.with_tls_of(&start)).iter().all(|one| one.1.is_none()), "and begins with it");
    let nowhere = |tls: &str| further(0, tls);
    let two = read(&format!("{}{}", nowhere(&tls("station", "require")), nowhere(&tls("customs", "none"))));
    let one = read(&nowhere(&tls("customs", "none")));
    assert_eq!(told(&two.with_tls_of(&one)), told(&two), "port 0 names none of them");
}

#[test]
fn what_the_layers_above_find_counts_like_a_mistake_in_gateway_toml() {
    let sandbox = Sandbox::new();
    let config = sandbox.load().expect("loads");
    sandbox.gateway("[proxy]\nurl = \"http://proxy.example.com:3128\"\n");
    let text = crate::bilingual!("不可用", "not usable");
    let (file, key) = (config.file.clone(), "as2.tls.certificate".to_owned());
    let found = Problem { severity: Severity::Error, code: "tls-key-mismatch", file, line: None, key, text };
    let old = (&config.partners, None);
    let mut judge = |_: &GatewayReload| Some(found.clone());
    let read = reload_judged(&config, old, &environment, sandbox.now, &mut judge);
    assert!(read.gateway.is_none());
    assert_eq!(read.problems, [found]);
    let partner = read.partners.by_id("customs").expect("there");
    assert!(partner.http.proxy.is_none(), "partners are judged by what stands, not by what was refused");
}

/// How the files of this configuration are by now, its code tables left out.
fn stamps_now(config: &Config) -> Stamps {
    let files = config.files.iter().cloned();
    Stamps::of(files.chain([config.file.clone(), config.folders.partners.clone()]))
}

#[test]
fn what_changes_after_the_files_were_read_shows_in_their_stamps() {
    let sandbox = Sandbox::new();
    durable::create_dir_all(&sandbox.path("tables")).expect("made");
    sandbox.write("tables/country.csv", b"code,name\n142,CN\n");
    let config = sandbox.load().expect("loads");
    let now = || {
        let tables = crate::config::tables::files(&config.precheck.tables).map(|(_, file)| file);
        (stamps_now(&config), Stamps::of(tables))
    };
    assert_eq!(now(), (config.stamps.clone(), config.precheck.stamps.clone()), "nothing has changed");
    sandbox.write("tables/country.csv", b"code,name\n142,CN\n502,US\n");
    assert!(now().0 == config.stamps && now().1 != config.precheck.stamps);
    sandbox.write("keys/customs.crt", b"another");
    assert!(now().0 != config.stamps, "a file that a partner names");
}

#[test]
fn a_file_that_is_replaced_while_others_are_read_shows_in_the_stamps_of_that_reading() {
    let sandbox = Sandbox::new();
    let proxy = "url = \"http://proxy.example.com:3128\"\nuser = \"us\"\npassword_env = \"GATEWAY\"\n";
    sandbox.gateway(&format!("[proxy]\n{proxy}"));
    sandbox.partner("[http]\nuser = \"us\"\npassword_env = \"PARTNER\"\n");
    // The variables are asked for after the certificates beside them were read.
    for (variable, file) in [("GATEWAY", "keys/station.crt"), ("PARTNER", "keys/customs.crt")] {
        let replacing = |name: &str| {
            if name == variable {
                let before = std::fs::read(sandbox.path(file)).expect("read");
                sandbox.write(file, &[before.as_slice(), b"\n"].concat());
            }
            Some("secret".to_owned())
        };
        let config = load(&sandbox.path("gateway.toml"), &replacing, sandbox.now);
        let config = config.unwrap_or_else(|problems| panic!("{problems}"));
        assert!(stamps_now(&config) != config.stamps, "nobody would ever notice what {file} says by now");
    }
}

#[test]
fn what_counts_after_a_restart_only_is_in_no_partner_before_it() {
    let sandbox = Sandbox::new();
    let url = |port: u16| format!("http://127.0.0.1:{port}/as2");
    sandbox.gateway(&format!("[as2]\npublic_url = \"{}\"\n", url(4080)));
    sandbox.partner("[agreement.mdn]\nmode = \"async\"\n");
    let config = sandbox.load().unwrap_or_else(|problems| panic!("{problems}"));
    sandbox.gateway(&format!("[as2]\npublic_url = \"{}\"\n", url(5080)));
    let read = reload(&config, &config.partners, &environment, sandbox.now);
    let asked = &read.partners.by_id("customs").expect("there").agreement.mdn.ask.mode;
    assert_eq!(*asked, MdnMode::Async { url: url(4080) }, "nobody listens at the new one yet");
    assert_eq!(read.gateway.expect("no mistake").restart, ["station", "as2"]);

    sandbox.write("gateway.toml", GATEWAY.replace("dxpid = \"DXPENT0000012345\"\n", "").as_bytes());
    sandbox.partner("");
    let config = sandbox.load().unwrap_or_else(|problems| panic!("{problems}"));
    sandbox.gateway("");
    sandbox.write("partners/customs.toml", format!("profile = \"dxp\"\n{PARTNER}").as_bytes());
    let read = reload(&config, &config.partners, &environment, sandbox.now);
    assert_eq!(read.problems.iter().map(|one| one.code).collect::<Vec<_>>(), ["dxpid-missing"]);
    assert_eq!(read.partners.by_id("customs").expect("kept").profile, Profile::Plain);
}

#[test]
fn a_new_secret_of_those_who_are_told_is_named_since_it_counts_after_a_restart() {
    let sandbox = Sandbox::new();
    let (hook, mail) = (&b"a secret shared by two\n"[..], &b"the first password\n"[..]);
    sandbox.write("hook.secret", hook);
    sandbox.write("mail.pass", mail);
    sandbox.gateway(
        "[[alerts.webhook]]\nname = \"ops\"\nurl = \"https://alerts.example.com/\"\nsecret_file = \"hook.secret\"\n\
         [alerts.mail]\nserver = \"smtp.example.com\"\nfrom = \"a@example.com\"\nto = [\"b@example.com\"]\n\
         user = \"us\"\npassword_file = \"mail.pass\"\n",
    );
    let config = sandbox.load().unwrap_or_else(|problems| panic!("{problems}"));
    let restart = || {
        let read = reload(&config, &config.partners, &environment, sandbox.now);
        read.gateway.expect("no mistake").restart
    };
    assert!(restart().is_empty(), "nothing has changed");
    for (file, before) in [("hook.secret", hook), ("mail.pass", mail)] {
        sandbox.write(file, b"another one than before\n");
        assert_eq!(restart(), ["alerts"], "{file}");
        sandbox.write(file, before);
    }
}

#[test]
fn a_name_that_a_partner_keeps_since_its_file_was_refused_is_nobody_elses() {
    let sandbox = Sandbox::new();
    let file = |id: &str, name: &str| {
        sandbox.write(&format!("partners/{id}.toml"), PARTNER.replace("CUSTOMS", name).as_bytes());
    };
    file("a", "X");
    file("c", "Y");
    let config = sandbox.load().expect("loads");
    file("a", "Y");
    file("d", "X");
    let read = reload(&config, &config.partners, &environment, sandbox.now);
    let mut names: Vec<_> =
        read.partners.all().map(|partner| (partner.id.as_str(), partner.as2_name.as_str())).collect();
    names.sort_unstable();
    assert_eq!(names, [("a", "X"), ("c", "Y"), ("customs", "CUSTOMS")]);
    let refused: Vec<_> = read.problems.iter().map(place).map(|(code, file, ..)| (code, file)).collect();
    assert_eq!(refused, [("as2-name-taken", "a.toml".to_owned()), ("as2-name-taken", "d.toml".to_owned())]);
}
