//! Revocation lists about certificates that no partner's file holds: those that TLS clients show, and replaced ones.

use super::*;
use crate::keys::authority::Authority;

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
