//! What cannot be taken from outboxes, from the first try that failed until it is taken, mended or gone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::Outbound;
use super::scan::{self, Claim, Trouble};
use crate::ground::text::printable;
use crate::store::record::Reason;

/// Troubles that are remembered.
const MOST: usize = 10_000;
/// A file is stuck after so long: one that was only looked at too early is taken by then.
const PATIENCE: SignedDuration = SignedDuration::from_mins(5);

/// Files of one partner that could not be taken for some minutes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stuck {
    /// Whose outbox it is.
    pub partner: String,
    /// How many they are, or folders that cannot be used.
    pub count: usize,
    /// The name of the first one.
    pub name: String,
    /// What is wrong with that one and what to do.
    pub reason: Reason,
}

/// The troubles, by path.
#[derive(Default)]
pub(super) struct Troubles(Mutex<BTreeMap<PathBuf, Standing>>);

struct Standing {
    /// `None`: it is about the gateway.
    partner: Option<String>,
    reason: Reason,
    since: Timestamp,
}

impl Troubles {
    /// Notes a trouble at `now`; whether it is news. Another reason for the same path leaves it as old as it is.
    fn remember(&self, partner: Option<&str>, trouble: &Trouble, now: Timestamp) -> bool {
        let mut standing = self.standing();
        if let Some(known) = standing.get_mut(&trouble.path) {
            let news = known.reason != trouble.reason;
            known.reason.clone_from(&trouble.reason);
            return news;
        }
        if standing.len() < MOST {
            let (partner, reason) = (partner.map(str::to_owned), trouble.reason.clone());
            standing.insert(trouble.path.clone(), Standing { partner, reason, since: now });
        }
        true
    }

    /// It is over.
    pub(super) fn forget(&self, path: &Path) {
        self.standing().remove(path);
    }

    /// Of a folder of claimed files only what is still there counts.
    pub(super) fn keep_claimed(&self, folder: &Path, present: &[Claim]) {
        let gone = |path: &Path| path.parent() == Some(folder) && !present.iter().any(|claim| claim.path == path);
        self.standing().retain(|path, _| !gone(path));
    }

    /// Nothing is taken of partners whose outboxes are swept no more.
    pub(super) fn keep_partners(&self, is_swept: impl Fn(&str) -> bool) {
        self.standing().retain(|_, known| known.partner.as_deref().is_none_or(&is_swept));
    }

    /// What has lasted at `now`, by partner.
    fn stuck(&self, now: Timestamp) -> Vec<Stuck> {
        let standing = self.standing();
        let mut found: BTreeMap<&str, (usize, &Path, &Standing)> = BTreeMap::new();
        for (path, known) in standing.iter().filter(|(_, known)| now.duration_since(known.since) >= PATIENCE) {
            let Some(partner) = known.partner.as_deref() else { continue };
            let (count, first, oldest) = found.entry(partner).or_insert((0, path, known));
            *count = count.saturating_add(1);
            if known.since < oldest.since {
                (*first, *oldest) = (path, known);
            }
        }
        let told = found.into_iter().map(|(partner, (count, path, known))| Stuck {
            partner: partner.to_owned(),
            count,
            name: name_of(path),
            reason: known.reason.clone(),
        });
        told.collect()
    }

    fn standing(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Standing>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As its owner knows it: a claimed file has its id in front.
fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    printable(&scan::split_claimed(&name).map_or_else(|| name.to_string(), |(_, name)| name))
}

impl Outbound {
    /// What could not be taken from outboxes for some minutes.
    pub fn stuck(&self) -> Vec<Stuck> {
        self.troubles.stuck(self.clock.now())
    }

    /// Tells of a trouble once, and keeps it until it is over.
    pub(super) fn remember_trouble(&self, partner: Option<&str>, trouble: &Trouble) {
        if self.troubles.remember(partner, trouble, self.clock.now()) {
            tracing::warn!(path = %trouble.path.display(), code = %trouble.reason.code, "{}", trouble.reason.text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bilingual;
    use crate::ground::id::Id;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    fn trouble(path: &str, code: &str) -> Trouble {
        Trouble { path: path.into(), reason: Reason { code: code.to_owned(), text: bilingual!("错", "wrong") } }
    }

    fn told(troubles: &Troubles, now: i64) -> Vec<(String, usize, String, String)> {
        let told = troubles.stuck(at(now)).into_iter();
        told.map(|stuck| (stuck.partner, stuck.count, stuck.name, stuck.reason.code)).collect()
    }

    fn one(partner: &str, count: usize, name: &str, code: &str) -> (String, usize, String, String) {
        (partner.to_owned(), count, name.to_owned(), code.to_owned())
    }

    #[test]
    fn what_cannot_be_taken_is_stuck_after_five_minutes_by_partner_and_with_the_first_of_them() {
        let troubles = Troubles::default();
        let claimed = format!("/x/customs/.claimed/{}~b.xml", Id::new(at(0)));
        assert!(troubles.remember(Some("customs"), &trouble(&claimed, "signer-busy"), at(0)));
        assert!(troubles.remember(Some("customs"), &trouble("/x/customs/outbox/a.xml", "outbox-not-a-file"), at(60)));
        assert!(troubles.remember(Some("other"), &trouble("/x/other/outbox", "outbox-folder-unreadable"), at(60)));
        assert!(troubles.remember(None, &trouble("/data", "disk-nearly-full"), at(0)));
        assert_eq!(told(&troubles, 299), []);
        assert_eq!(told(&troubles, 300), [one("customs", 1, "b.xml", "signer-busy")]);
        let other = one("other", 1, "outbox", "outbox-folder-unreadable");
        assert_eq!(told(&troubles, 360), [one("customs", 2, "b.xml", "signer-busy"), other]);
    }

    #[test]
    fn another_reason_is_news_and_leaves_a_trouble_as_old_as_it_is() {
        let troubles = Troubles::default();
        let path = "/x/customs/.claimed/c";
        assert!(troubles.remember(Some("customs"), &trouble(path, "signer-busy"), at(0)));
        assert!(!troubles.remember(Some("customs"), &trouble(path, "signer-busy"), at(100)));
        assert!(troubles.remember(Some("customs"), &trouble(path, "signing-failed"), at(200)));
        assert_eq!(told(&troubles, 300), [one("customs", 1, "c", "signing-failed")]);
    }

    #[test]
    fn a_trouble_ends_when_its_file_is_taken_or_gone_or_its_partner_is_swept_no_more() {
        let troubles = Troubles::default();
        let folder = Path::new("/x/customs/.claimed");
        let claim = |name: &str| {
            let id = Id::new(at(0));
            let path = folder.join(format!("{id}~{name}"));
            Claim { id, partner: "customs".to_owned(), file_name: name.to_owned(), path, is_folder: false }
        };
        let claims = ["a", "b", "c"].map(claim);
        for claim in &claims {
            let path = claim.path.display().to_string();
            troubles.remember(Some("customs"), &trouble(&path, "intake-failed"), at(0));
        }
        troubles.remember(Some("other"), &trouble("/x/other/outbox/d", "outbox-not-a-file"), at(0));
        troubles.forget(&claims[0].path);
        troubles.keep_claimed(folder, &claims[2..]);
        let left = one("customs", 1, "c", "intake-failed");
        assert_eq!(told(&troubles, 300), [left.clone(), one("other", 1, "d", "outbox-not-a-file")]);
        troubles.keep_partners(|partner| partner == "customs");
        assert_eq!(told(&troubles, 300), [left]);
    }
}
