//! Revocation lists about certificates that no partner's file holds: those that TLS clients show, and replaced ones.

use std::sync::Arc;

use super::*;
use crate::keys::authority::Authority;
use crate::partner::Directory;

/// A partner file under these lists, with these lines at its end.
fn under(lists: &Path, more: &str) -> String {
    format!("revocation = \"{}\"\n{PARTNER}{more}", lists.display())
}

#[test]
fn a_client_with_the_partners_name_is_not_the_partner_once_its_certificate_is_taken_back() {
    let authority = Authority::new("Test CA");
    let lists = authority.publish("86400");
    let shown = ["kept.crt", "revoked.crt"].map(|name| authority.certificate(name));
    let sandbox = Sandbox::new();
    let are_clients = || {
        let config = sandbox.load().unwrap_or_else(|problems| panic!("{problems}"));
        let partner = config.partners.by_id("customs").expect("there");
        [true, false].map(|issued| shown.each_ref().map(|one| partner.is_client(one.der(), issued, sandbox.now)))
    };
    let names = "[accept]\nclient_names = [\"kept\", \"revoked\"]\n";
    sandbox.partner(names);
    assert_eq!(are_clients(), [[true, true], [false, false]], "no list says anything");
    sandbox.write("partners/customs.toml", under(&lists, names).as_bytes());
    assert_eq!(are_clients(), [[true, false], [false, false]], "by the partner's own lists");
    sandbox.partner(names).gateway(&format!("[revocation]\nlists = \"{}\"\n", lists.display()));
    assert_eq!(are_clients(), [[true, false], [false, false]], "by those of the gateway");
}

#[test]
fn a_certificate_that_was_taken_back_and_replaced_is_known_by_the_lists_of_its_issuer() {
    let authority = Authority::new("Test CA");
    let lists = authority.publish("86400");
    let replaced = ["kept.crt", "revoked.crt"].map(|name| authority.certificate(name));
    let sandbox = Sandbox::new();
    let are_revoked = || {
        let config = sandbox.load().unwrap_or_else(|problems| panic!("{problems}"));
        let held = &config.partners.by_id("customs").expect("there").certificates;
        assert!(held.revoked().is_empty() && held.lists().is_empty(), "the one that is configured has another issuer");
        replaced.each_ref().map(|one| held.is_revoked(one))
    };
    assert_eq!(are_revoked(), [false, false], "no list says anything");
    sandbox.write("partners/customs.toml", under(&lists, "").as_bytes());
    assert_eq!(are_revoked(), [false, true], "by the partner's own lists");
    sandbox.partner("").gateway(&format!("[revocation]\nlists = \"{}\"\n", lists.display()));
    assert_eq!(are_revoked(), [false, true], "by those of the gateway");
}

/// With these lines in `gateway.toml` and this partner file, a certificate comes to be taken back while the partner's file has a
/// mistake.
fn is_taken_back_in_spite_of_a_mistake(gateway: &str, text: impl Fn(&str) -> String) {
    let authority = Authority::new("Test CA");
    let sandbox = Sandbox::new();
    let read = |path: &Path| std::fs::read(path).expect("read");
    std::fs::create_dir(sandbox.path("crls")).expect("made");
    sandbox.write("crls/ca.crt", &read(&authority.path("ca.crt")));
    sandbox.gateway(gateway);
    let held =
        format!("[[certificates]]\nfile = \"{}\"\nuse = [\"verify\"]\n", authority.path("revoked.crt").display());
    let text = text(&held);
    sandbox.write("partners/customs.toml", text.as_bytes());
    let config = sandbox.load().unwrap_or_else(|problems| panic!("{problems}"));
    let revoked = |partners: &Directory| partners.by_id("customs").expect("there").certificates.revoked().len();
    assert_eq!(revoked(&config.partners), 0, "no list says anything");
    sandbox.write("partners/customs.toml", format!("surprise = 1\n{text}").as_bytes());
    sandbox.write("crls/ca.crl", &read(&authority.publish("86400").join("ca.crl")));
    let reload = |old: &Directory| crate::config::reload(&config, (old, None), &environment, sandbox.now);
    let first = reload(&config.partners);
    assert!(first.problems.iter().any(|problem| problem.code == "key-unknown"), "{:?}", first.problems);
    assert_eq!(revoked(&first.partners), 1);
    let kept = |partners: &Directory| partners.by_id("customs").expect("there").clone();
    assert!(Arc::ptr_eq(&kept(&first.partners), &kept(&reload(&first.partners).partners)), "it changes once");
}

#[test]
fn what_is_taken_back_counts_no_more_at_a_partner_that_stays_as_it_was_since_its_file_has_a_mistake() {
    is_taken_back_in_spite_of_a_mistake("[revocation]\nlists = \"crls\"\n", |held| format!("{PARTNER}{held}"));
}

#[test]
fn what_a_partners_own_lists_take_back_counts_no_more_though_its_file_has_a_mistake() {
    is_taken_back_in_spite_of_a_mistake("", |held| under(Path::new("crls"), held));
}
