//! The examples in `config/` load, and every key that the code reads stands in one of them.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;
use crate::config::material::Reading;
use crate::config::partners::Surroundings;
use crate::config::{gateway as gateway_file, partners as partner_files};
use crate::declaration::precheck::Levels;
use crate::partner::Profile;

const GATEWAY_EXAMPLE: &str = include_str!("../../../config/gateway.example.toml");
const CUSTOMS_EXAMPLE: &str = include_str!("../../../config/partners/customs.example.toml");
const PARTNER_EXAMPLE: &str = include_str!("../../../config/partners/trading-partner.example.toml");

/// A home made of the examples and keys that nobody published.
fn example_home() -> Sandbox {
    let sandbox = Sandbox::new();
    let [own, theirs] = &*REAL;
    sandbox.write("keys/station.crt", &own.certificate_pem);
    sandbox.write("keys/station.key", own.key_pem.expose());
    sandbox.write("keys/customs.crt", &theirs.certificate_pem);
    sandbox.write("keys/trading-partner.crt", &theirs.certificate_pem);
    sandbox.write("gateway.toml", GATEWAY_EXAMPLE.as_bytes());
    sandbox.write("partners/customs.toml", CUSTOMS_EXAMPLE.as_bytes());
    sandbox.write("partners/trading-partner.toml", PARTNER_EXAMPLE.as_bytes());
    sandbox
}

#[test]
fn the_examples_load_without_a_problem() {
    let config = example_home().load().unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(config.warnings, Vec::new());
    let customs = config.partners.by_id("customs").expect("there");
    assert_eq!(customs.profile, Profile::Dxp);
    let partner = config.partners.by_as2_name("TRADING-PARTNER").expect("there");
    assert!(partner.allows_async_mdn_to("https://mdn.partner.example.com/elsewhere"));
    assert!(!partner.allows_async_mdn_to("https://mdn.partner.example.com:8443/as2"));
    assert!(!partner.allows_async_mdn_to("http://169.254.169.254/"));
}

#[test]
fn the_values_of_the_gateway_example_are_the_defaults() {
    let sandbox = example_home();
    let example = sandbox.load().expect("loads");
    sandbox.write("gateway.toml", GATEWAY.as_bytes());
    let standard = sandbox.load().expect("loads");
    let precheck = |config: &Config| format!("{:?}", (&config.precheck.tables, &config.precheck.levels));
    assert_eq!(precheck(&example), precheck(&standard));
    assert_eq!(format!("{:?}", example.folders), format!("{:?}", standard.folders));
    assert_eq!((example.as2.listen, example.as2.path), (standard.as2.listen, standard.as2.path));
    assert_eq!(example.console.listen, standard.console.listen);
    assert_eq!(example.onboarding, standard.onboarding);
    assert_eq!(example.outbox, standard.outbox);
    assert_eq!((example.limits, example.server), (standard.limits, standard.server));
    assert_eq!((example.delivery, example.log), (standard.delivery, standard.log));
    assert_eq!(format!("{:?}", example.alerts), format!("{:?}", standard.alerts));
    assert_eq!(example.console.open_metrics, standard.console.open_metrics);
    assert_eq!(example.console.token_rate, standard.console.token_rate);
}

#[test]
fn the_values_of_the_partner_example_are_the_defaults() {
    let sandbox = example_home();
    let example = sandbox.load().expect("loads").partners.by_id("trading-partner").expect("there").clone();
    let bare = "as2_name = \"TRADING-PARTNER\"\nurl = \"https://as2.partner.example.com:4443/as2\"\n\
                [[certificates]]\nfile = \"keys/trading-partner.crt\"\n";
    sandbox.write("partners/trading-partner.toml", bare.as_bytes());
    let standard = sandbox.load().expect("loads").partners.by_id("trading-partner").expect("there").clone();
    assert_eq!(example.agreement, standard.agreement);
    assert_eq!(example.content_type, standard.content_type);
    let mut accept = example.accept.clone();
    accept.async_mdn_urls.clear();
    assert_eq!(accept, standard.accept);
    let mut delivery = example.delivery.clone();
    delivery.retry.retry_status.clear();
    assert_eq!(delivery, standard.delivery);
}

#[test]
fn every_key_stands_in_an_example() {
    let sandbox = example_home();
    let reading = Reading { home: sandbox.folder.path(), environment: &environment, now: sandbox.now };
    let further = GATEWAY_EXAMPLE.replace("# [[as2.listeners]]\n# listen", "[[as2.listeners]]\nlisten");
    let told = further.replace("# [[alerts.webhook]]\n# name", "[[alerts.webhook]]\nname");
    assert!(further != GATEWAY_EXAMPLE && told != further);
    let asked = gateway_file::known_keys(Path::new("gateway.toml"), &told, &reading);
    let written = keys_of(GATEWAY_EXAMPLE);
    assert_eq!(asked.difference(&written).collect::<Vec<_>>(), Vec::<&String>::new(), "not in gateway.example.toml");
    assert_eq!(written.difference(&asked).collect::<Vec<_>>(), Vec::<&String>::new(), "not read by any code");

    let around = Surroundings {
        station: None,
        exposed: false,
        max_payload: 512 << 20,
        levels: &Levels::default(),
        asks_clients: false,
        proxy: None,
        revocation: None,
    };
    let waived = PARTNER_EXAMPLE.replace("# [[waivers]]\n# algorithm", "[[waivers]]\nalgorithm");
    assert_ne!(waived, PARTNER_EXAMPLE);
    let asked = partner_files::known_keys(Path::new("x.toml"), &waived, &reading, &around);
    let mut written = keys_of(PARTNER_EXAMPLE);
    written.extend(keys_of(CUSTOMS_EXAMPLE));
    assert_eq!(asked.difference(&written).collect::<Vec<_>>(), Vec::<&String>::new(), "not in an example");
    assert_eq!(written.difference(&asked).collect::<Vec<_>>(), Vec::<&String>::new(), "not read by any code");
}

#[test]
fn every_switch_in_the_list_of_quirks_is_a_key_of_the_partners_file() {
    let keys = keys_of(PARTNER_EXAMPLE);
    let quirks = include_str!("../../../docs/quirks.md");
    let named: Vec<&str> = quirks
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split(" | ").next())
        .flat_map(|cell| cell.split('`'))
        .filter(|word| word.starts_with(|letter: char| letter.is_ascii_lowercase()) && word.contains('.'))
        .collect();
    assert!(named.len() > 20, "{named:?}");
    for name in named {
        assert!(keys.contains(name), "{name} stands in docs/quirks.md and not in the example");
    }
}

/// The key paths of an example, those that are commented out included.
fn keys_of(text: &str) -> BTreeSet<String> {
    let mut table = String::new();
    let mut keys = BTreeSet::new();
    for line in text.lines().map(|line| line.trim_start_matches("# ").trim()) {
        if let Some(header) = line.strip_prefix('[').and_then(|rest| rest.trim_start_matches('[').split(']').next()) {
            table = header.to_owned();
            let mut path = String::new();
            for part in table.split('.') {
                path = if path.is_empty() { part.to_owned() } else { format!("{path}.{part}") };
                keys.insert(path.clone());
            }
            continue;
        }
        let Some((key, _)) = line.split_once(" = ") else { continue };
        if key.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_') {
            keys.insert(if table.is_empty() { key.to_owned() } else { format!("{table}.{key}") });
        }
    }
    keys
}
