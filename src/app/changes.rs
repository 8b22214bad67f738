//! What a new reading of the configuration changes, as entries of the audit trail.
//!
//! A partner, and our own side, is described by its settings, the certificates pinned for it and the digest of its
//! file: a setting that no description names still shows in the digest. Secrets are in none of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Map, Value, json};

use super::partners::agreement;
use crate::cms::{Certificate, DigestAlgorithm};
use crate::keys::{KeyRing, Window};
use crate::partner::Partner;
use crate::store::trail::Change;

/// Settings by their names.
pub(super) type Described = BTreeMap<String, Value>;

/// `on` of changes of our own side.
const OURS: &str = "gateway";

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
    let digest = |bytes: Vec<u8>| DigestAlgorithm::Sha256.digest(&bytes);
    let hex = |digest: Vec<u8>| digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    std::fs::read(file).map_or(Value::Null, |bytes| json!(hex(digest(bytes))))
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
            (None, _) => "partner-added",
            (_, None) => "partner-removed",
            _ => "partner-changed",
        };
        difference(what, format!("partner:{id}"), before, after, asked)
    });
    changed.collect()
}

/// What differs of our own side.
pub(super) fn of_ours(before: &Described, after: &Described, asked: &Change) -> Option<Change> {
    difference("configuration-changed", OURS.to_owned(), Some(before), Some(after), asked)
}

/// The code tables of customs were read again.
pub(super) fn of_tables(before: &str, after: &str) -> Change {
    let who = crate::store::record::GATEWAY.to_owned();
    let (before, after) = (Some(json!(before)), Some(json!(after)));
    Change { who, what: "code-tables-changed".to_owned(), on: OURS.to_owned(), before, after, ..Change::default() }
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
}
