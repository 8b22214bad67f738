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
    let named = switches_in_the_list();
    assert!(named.len() > 30, "{named:?}");
    for name in named {
        assert!(keys.contains(name), "{name} stands in docs/quirks.md and not in the example");
    }
}

#[test]
fn every_switch_of_a_partner_is_in_the_list_of_quirks_or_is_known_to_be_none() {
    let mut keys = keys_of(PARTNER_EXAMPLE);
    keys.extend(keys_of(CUSTOMS_EXAMPLE));
    let named = switches_in_the_list();
    assert_eq!(unlisted(&keys, &named), Vec::<&String>::new(), "not in docs/quirks.md");
    for key in NO_QUIRKS {
        assert!(keys.contains(key) && !is_listed(key, &named), "{key} is no key, or is a quirk after all");
    }
    // One that comes anew is noticed, be it beside the others or in a table of its own.
    for new in ["accept.new", "agreement.mdn.new", "delivery.new", "http.new", "http.new.url"] {
        assert_eq!(unlisted(&BTreeSet::from([new.to_owned()]), &named), [new]);
    }
}

#[test]
fn every_switch_in_the_list_of_quirks_names_a_product_or_says_that_none_is_known() {
    let rows = quirks();
    assert!(rows.len() > 40, "{rows:?}");
    for (switch, whom) in rows {
        let said = PRODUCTS.iter().any(|product| whom.contains(product)) || whom.starts_with("no product: ");
        assert!(said || whom.starts_with("see `"), "{switch}: {whom}");
    }
}

/// Products with quirks, as docs/quirks.md calls them.
const PRODUCTS: [&str; 20] = [
    "Apache Camel",
    "asx-rs",
    "AWS Transfer",
    "Axway",
    "BizTalk",
    "CData",
    "Cleo",
    "Cyclone",
    "django-pyas2",
    "libas2",
    "mendelson",
    "mock-edi",
    "OpenAS2",
    "OpenSSL",
    "Orderful",
    "phase2",
    "pyas2",
    "SAP",
    "Sterling",
    "webMethods",
];

/// Keys that answer no product: what two sides agree on, how much and how fast, and what belongs to a switch that is listed.
const NO_QUIRKS: [&str; 21] = [
    "agreement.sign",
    "agreement.digest",
    "agreement.encrypt",
    "agreement.mdn",
    "accept.encryption",
    "accept.digests",
    "accept.schemes",
    "accept.ciphers",
    "accept.max_payload",
    "delivery.connect_timeout",
    "delivery.timeout",
    "delivery.concurrency",
    "delivery.retry",
    "delivery.give_up_after",
    "delivery.jitter",
    "http.password_file",
    "http.password_env",
    "http.token_env",
    "http.private_key",
    "http.passphrase_file",
    "http.passphrase_env",
];

/// The rows of the tables of docs/quirks.md: what is switched, and for whom.
fn quirks() -> Vec<(&'static str, &'static str)> {
    let lines = include_str!("../../../docs/quirks.md").lines();
    let rows = lines.filter_map(|line| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let ["", switch, _, whom, ""] = cells[..] else { return None };
        (switch != "key" && !switch.starts_with("---")).then_some((switch, whom))
    });
    rows.collect()
}

/// The keys among them, which are written with their table.
fn switches_in_the_list() -> Vec<&'static str> {
    let words = quirks().into_iter().flat_map(|(switch, _)| switch.split('`'));
    words.filter(|word| word.starts_with(|first: char| first.is_ascii_lowercase()) && word.contains('.')).collect()
}

/// Switches that are neither in the list nor known to be no quirks.
fn unlisted<'a>(keys: &'a BTreeSet<String>, named: &[&str]) -> Vec<&'a String> {
    let tables = ["agreement.", "accept.", "delivery.", "http."];
    let switches = keys.iter().filter(|key| tables.iter().any(|table| key.starts_with(table)));
    switches.filter(|key| !NO_QUIRKS.contains(&key.as_str()) && !is_listed(key, named)).collect()
}

/// By its own name, or by that of the table that it is in.
fn is_listed(key: &str, named: &[&str]) -> bool {
    named.iter().any(|name| key.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
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
