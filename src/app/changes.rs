//! What a new reading of the configuration changes, as entries of the audit trail.
//!
//! A partner, and our own side, is described by its settings, the certificates pinned for it and the digest of its
//! file: a setting that no description names still shows in the digest. Secrets are in none of them.
//!
//! What was changed while the gateway was stopped is found at the next start: the trail itself tells what was in force last.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use data_encoding::HEXLOWER;
use serde_json::{Map, Value, json};

use super::partners::agreement;
use crate::cms::{Certificate, DigestAlgorithm};
use crate::keys::{KeyRing, Window};
use crate::partner::Partner;
use crate::store::record::GATEWAY;
use crate::store::trail::{
    CODE_TABLES, CONFIGURATION_CHANGED, Change, NOTED, PARTNER_ADDED, PARTNER_CHANGED, PARTNER_REMOVED, Settings,
    TABLES_CHANGED, WHILE_STOPPED,
};

/// Settings by their names.
pub(super) type Described = Settings;

/// `on` of changes of our own side.
const OURS: &str = "gateway";
/// Begins `on` of changes of a partner.
const PARTNER: &str = "partner:";
/// `who` of what nobody saw.
const FILE_SYSTEM: &str = "file-system";

/// A partner as it is (blocking I/O: the digest of its file).
pub(super) fn of_partner(partner: &Partner) -> Described {
    let certificates = partner.certificates.certificates().iter();
    let certificates = certificates.map(|held| pinned(&held.certificate, &held.window)).collect::<Vec<_>>();
    let mut described: Described =
        agreement(partner).into_iter().map(|setting| (setting.name, json!(setting.value))).collect();
    described.extend([
        ("as2_name".to_owned(), json!(partner.as2_name.as_str())),
        ("name".to_owned(), json!(partner.name)),
        ("url".to_owned(), json!(partner.url.as_str())),
        ("profile".to_owned(), json!(partner.profile.as_str())),
        ("enabled".to_owned(), json!(partner.enabled)),
        ("certificates".to_owned(), json!(certificates)),
        ("file_sha256".to_owned(), digest(&partner.file)),
    ]);
    described
}

/// Our own side (blocking I/O).
pub(super) fn of_station(keys: &KeyRing, shown: &[Certificate], file: &Path) -> Described {
    let keys: Vec<String> = keys.keys().iter().map(|key| pinned(&key.certificate, &key.window)).collect();
    let shown: Vec<String> = shown.iter().map(|certificate| certificate.fingerprint().to_string()).collect();
    BTreeMap::from([
        ("keys".to_owned(), json!(keys)),
        ("listener_certificates".to_owned(), json!(shown)),
        ("file_sha256".to_owned(), digest(file)),
    ])
}

fn pinned(certificate: &Certificate, window: &Window) -> String {
    format!("{} {} .. {}", certificate.fingerprint(), window.from, window.until)
}

fn digest(file: &Path) -> Value {
    let digest = |bytes: Vec<u8>| HEXLOWER.encode(&DigestAlgorithm::Sha256.digest(&bytes));
    std::fs::read(file).map_or(Value::Null, |bytes| json!(digest(bytes)))
}

/// What differs of the partners with these ids, each as `asked` wants it.
pub(super) fn of_partners(
    before: &BTreeMap<String, Described>,
    after: &BTreeMap<String, Described>,
    asked: &Change,
) -> Vec<Change> {
    let ids: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let changed = ids.into_iter().filter_map(|id| {
        let (before, after) = (before.get(id), after.get(id));
        let what = match (before, after) {
            (None, _) => PARTNER_ADDED,
            (_, None) => PARTNER_REMOVED,
            _ => PARTNER_CHANGED,
        };
        difference(what, of(id), before, after, asked)
    });
    changed.collect()
}

/// What differs of our own side.
pub(super) fn of_ours(before: &Described, after: &Described, asked: &Change) -> Option<Change> {
    difference(CONFIGURATION_CHANGED, OURS.to_owned(), Some(before), Some(after), asked)
}

/// The code tables of customs were read again.
pub(super) fn of_tables(before: &str, after: &str) -> Change {
    let who = GATEWAY.to_owned();
    let (before, after) = (Some(json!(before)), Some(json!(after)));
    Change { who, what: TABLES_CHANGED.to_owned(), on: OURS.to_owned(), before, after, ..Change::default() }
}

fn of(partner: &str) -> String {
    format!("{PARTNER}{partner}")
}

/// Everything in force by what it is of, as [`Store::settings`](crate::store::Store::settings) tells it.
pub(super) fn in_force(
    partners: &BTreeMap<String, Described>,
    ours: &Described,
    tables: &str,
) -> BTreeMap<String, Described> {
    let mut ours = ours.clone();
    ours.insert(CODE_TABLES.to_owned(), json!(tables));
    let partners = partners.iter().map(|(id, described)| (of(id), described.clone()));
    partners.chain([(OURS.to_owned(), ours)]).collect()
}

/// What is in force now and was not when the gateway stopped. Where nothing was ever noted, everything is.
pub(super) fn while_stopped(known: &BTreeMap<String, Described>, now: &BTreeMap<String, Described>) -> Vec<Change> {
    let noted = known.get(OURS).is_some_and(|ours| ours.contains_key(CODE_TABLES));
    let by_files = Change { who: FILE_SYSTEM.to_owned(), ..Change::default() };
    let found = |on: &String| match (known.get(on), now.get(on)) {
        (_, Some(after)) if !noted => {
            let by_us = Change { who: GATEWAY.to_owned(), ..Change::default() };
            difference(NOTED, on.clone(), None, Some(after), &by_us)
        }
        // Another version of the program may describe more, or less: that is no change.
        (Some(before), Some(after))
            if before.iter().all(|(name, value)| after.get(name).is_none_or(|now| now == value)) =>
        {
            None
        }
        (before, after) => {
            let what = match (before, after) {
                _ if on == OURS => CONFIGURATION_CHANGED,
                (None, _) => PARTNER_ADDED,
                (_, None) => PARTNER_REMOVED,
                _ => PARTNER_CHANGED,
            };
            difference(&format!("{what}{WHILE_STOPPED}"), on.clone(), before, after, &by_files)
        }
    };
    let all: BTreeSet<&String> = known.keys().chain(now.keys()).filter(|on| is_configured(on)).collect();
    all.into_iter().filter_map(found).collect()
}

fn is_configured(on: &str) -> bool {
    on == OURS || on.starts_with(PARTNER)
}

fn difference(
    what: &str,
    on: String,
    before: Option<&Described>,
    after: Option<&Described>,
    asked: &Change,
) -> Option<Change> {
    let other = |these: Option<&Described>, those: Option<&Described>| {
        let differs = |name: &str, value: &Value| those.is_none_or(|those| those.get(name) != Some(value));
        let named = these?.iter().filter(|(name, value)| differs(name, value));
        Some(named.map(|(name, value)| (name.clone(), value.clone())).collect::<Map<String, Value>>())
    };
    let (before, after) = (other(before, after), other(after, before));
    if before == after {
        return None;
    }
    let (before, after) = (before.map(Value::Object), after.map(Value::Object));
    Some(Change { what: what.to_owned(), on, before, after, ..asked.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(url: &str) -> Described {
        BTreeMap::from([("url".to_owned(), json!(url)), ("enabled".to_owned(), json!(true))])
    }

    fn partners(of: &[(&str, &str)]) -> BTreeMap<String, Described> {
        of.iter().map(|(id, url)| ((*id).to_owned(), described(url))).collect()
    }

    #[test]
    fn only_what_differs_is_an_entry_with_before_and_after() {
        let asked = Change { who: "ada".to_owned(), from: Some("10.0.0.5".to_owned()), ..Change::default() };
        let before = partners(&[("customs", "https://a/"), ("gone", "https://g/"), ("same", "https://s/")]);
        let after = partners(&[("customs", "https://b/"), ("new", "https://n/"), ("same", "https://s/")]);
        let changes = of_partners(&before, &after, &asked);
        let told: Vec<(&str, &str)> = changes.iter().map(|change| (change.what.as_str(), change.on.as_str())).collect();
        assert_eq!(
            told,
            [
                ("partner-changed", "partner:customs"),
                ("partner-removed", "partner:gone"),
                ("partner-added", "partner:new")
            ]
        );
        assert_eq!(changes[0].before, Some(json!({ "url": "https://a/" })), "what is as it was is left out");
        assert_eq!(changes[0].after, Some(json!({ "url": "https://b/" })));
        assert_eq!((&changes[1].after, &changes[2].before), (&None, &None));
        assert_eq!(changes[2].after, Some(json!({ "enabled": true, "url": "https://n/" })));
        assert!(changes.iter().all(|change| change.who == "ada" && change.from.as_deref() == Some("10.0.0.5")));
        assert!(of_partners(&after, &after, &asked).is_empty());
    }

    fn whats(changes: &[Change]) -> Vec<(&str, &str, &str)> {
        changes.iter().map(|change| (change.who.as_str(), change.what.as_str(), change.on.as_str())).collect()
    }

    #[test]
    fn a_start_tells_what_was_changed_since_the_trail_knew_it() {
        let ours = described("ours");
        let before = in_force(&partners(&[("customs", "https://a/"), ("gone", "https://g/")]), &ours, "none");
        let noted = while_stopped(&BTreeMap::new(), &before);
        assert_eq!(
            whats(&noted),
            [
                ("gateway", "configuration-noted", "gateway"),
                ("gateway", "configuration-noted", "partner:customs"),
                ("gateway", "configuration-noted", "partner:gone"),
            ],
            "a first start notes everything"
        );
        assert!(while_stopped(&before, &before).is_empty());
        let after = in_force(&partners(&[("customs", "https://b/"), ("new", "https://n/")]), &ours, "two tables");
        let found = while_stopped(&before, &after);
        assert_eq!(
            whats(&found),
            [
                ("file-system", "configuration-changed-while-stopped", "gateway"),
                ("file-system", "partner-changed-while-stopped", "partner:customs"),
                ("file-system", "partner-removed-while-stopped", "partner:gone"),
                ("file-system", "partner-added-while-stopped", "partner:new"),
            ]
        );
        let told: Vec<_> = found.iter().map(|change| (change.before.clone(), change.after.clone())).collect();
        assert_eq!(told[0], (Some(json!({ "code_tables": "none" })), Some(json!({ "code_tables": "two tables" }))));
        assert_eq!(told[1], (Some(json!({ "url": "https://a/" })), Some(json!({ "url": "https://b/" }))));
    }

    #[test]
    fn a_version_that_describes_more_or_less_has_changed_nothing() {
        let before = in_force(&partners(&[("customs", "https://a/")]), &described("ours"), "none");
        let mut after = before.clone();
        after.get_mut("partner:customs").unwrap().insert("colour".to_owned(), json!("red"));
        assert!(while_stopped(&before, &after).is_empty());
        assert!(while_stopped(&after, &before).is_empty());
    }
}
