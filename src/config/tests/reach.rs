//! What the command line takes of `gateway.toml` to speak to a running gateway.

use super::*;
use crate::config::{Reach, reach};

fn reached(sandbox: &Sandbox) -> Result<Reach, Problems> {
    reach(&sandbox.path("gateway.toml"))
}

#[test]
fn a_gateway_is_reached_whatever_is_wrong_outside_of_the_console() {
    let sandbox = Sandbox::new();
    let wrong = "passphrase_env = \"DXGATE_TEST_UNSET\"\n[as2]\nlisten = \"nowhere\"\n[logs]\n\
                 [console]\nlisten = \"127.0.0.1:4999\"\ntoken_file = \"t\"\nhosts = [\"a\"]\ntoken_rate = 1\n";
    sandbox.gateway(wrong).partner("surprise = [\n");
    assert!(sandbox.load().is_err());
    let found = reached(&sandbox).expect("read");
    assert_eq!((found.listen.to_string(), found.token_file), ("127.0.0.1:4999".to_owned(), sandbox.path("t")));
    assert_eq!(found.certificates, None);
}

#[test]
fn a_gateway_is_reached_where_its_configuration_says_also_by_default() {
    let sandbox = Sandbox::new();
    for more in ["", "[console]\n"] {
        let config = sandbox.gateway(more).load().expect("loads");
        let found = reached(&sandbox).expect("read");
        assert_eq!((found.listen, found.token_file), (config.console.listen, config.console.token_file));
    }
}

#[test]
fn of_a_console_with_tls_only_the_certificate_is_wanted() {
    let sandbox = Sandbox::new();
    let tls = "[console.tls]\ncertificate = \"keys/station.crt\"\nprivate_key = \"keys/none.key\"\n\
               passphrase_env = \"DXGATE_TEST_UNSET\"\n";
    let found = reached(sandbox.gateway(tls)).expect("read");
    assert_eq!(found.certificates.map(|found| found.len()), Some(1));
}

#[test]
fn mistakes_of_the_console_are_told_with_their_place() {
    for (more, code, key) in [
        ("[console]\nlisten = \"nowhere\"\n", "value-invalid", "console.listen"),
        ("[console]\nlistn = \"127.0.0.1:1\"\n", "key-unknown", "console.listn"),
        ("[console]\ntoken_file = 1\n", "value-wrong-type", "console.token_file"),
        ("[console.tls]\nprivate_key = \"keys/station.key\"\n", "key-missing", "console.tls.certificate"),
        ("[console.tls]\ncertificate = \"keys/none.crt\"\n", "file-unreadable", "console.tls.certificate"),
        ("[console\n", "toml-syntax", ""),
    ] {
        let sandbox = Sandbox::new();
        let problems = reached(sandbox.gateway(more)).expect_err(more).problems;
        let found: Vec<_> = problems.iter().map(place).map(|(code, file, _, key)| (code, file, key)).collect();
        assert_eq!(found.first(), Some(&(code, "gateway.toml".to_owned(), key.to_owned())), "{problems:#?}");
    }
}
