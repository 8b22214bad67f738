//! Messages for a partner whose file is gone, or who is disabled: they wait, ever less often in the way, and go on at once when
//! it is back.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::SignedDuration;

use super::{Outbound, circuit};
use crate::bilingual;
use crate::ground::drain;
use crate::partner::Directory;
use crate::store::record::{Came, Fact, Message, Reason};
use crate::store::{CommitError, Filter, OPEN};

/// The first wait; each further one is twice as long.
const FIRST: SignedDuration = SignedDuration::from_secs(60);
/// The longest: each is a fact in the journal and a line in the message's history.
const LONGEST: SignedDuration = SignedDuration::from_hours(6);
const CODE: &str = "partner-missing";

/// Messages of one look.
const PAGE: usize = 500;

/// Partners that could be delivered to when this was last looked at; none at a start, since files may have changed before it.
#[derive(Default)]
pub(super) struct Present(Arc<Directory>);

impl Present {
    /// Those of now that were not there at the last look.
    pub(super) fn back(&mut self, now: Arc<Directory>) -> BTreeSet<String> {
        if Arc::ptr_eq(&self.0, &now) {
            return BTreeSet::new();
        }
        let back = enabled(&now).difference(&enabled(&self.0)).cloned().collect();
        self.0 = now;
        back
    }
}

impl Outbound {
    /// Nobody is down who is not delivered to, and how a partner was reached before its file was read again is forgotten.
    pub fn forget_absent(&self) {
        let directory = self.directory.load();
        self.clients.forget(&directory);
        let present = |partner: &str| directory.by_id(partner).is_some_and(|partner| partner.enabled);
        for partner in self.circuits.keep(present) {
            self.store.alerts().resolve(circuit::PARTNER_DOWN, Some(&partner));
        }
    }

    /// A message has nobody to go to.
    pub(super) async fn wait_for_partner(&self, message: &Message) -> Result<(), CommitError> {
        let now = self.clock.now();
        let waited = message.due.filter(|_| is_waiting(message)).map(|due| due.duration_since(message.updated));
        let wait = waited.map_or(FIRST, |waited| waited.saturating_mul(2).clamp(FIRST, LONGEST));
        let due = now.saturating_add(wait).unwrap_or(now);
        let fact = Fact::RetryAt { due, reason: partner_missing(&message.partner), came: Came::Unknown };
        self.fact_if(message.id, &OPEN, fact).await.map(drop)
    }

    /// Makes the messages due that waited for these partners.
    pub(super) async fn welcome_back(self, partners: BTreeSet<String>) {
        let mut filter = Filter { states: OPEN.to_vec(), limit: PAGE, ..Filter::default() };
        loop {
            let (store, asked) = (self.store.clone(), filter.clone());
            let Ok(page) = drain::blocking(move || store.page(&asked)).await else { return };
            for message in page.messages.iter().filter(|message| partners.contains(&message.partner)) {
                let Some(reason) = message.reason.clone().filter(|_| is_waiting(message)) else { continue };
                let fact = Fact::RetryAt { due: self.clock.now(), reason, came: Came::Unknown };
                if let Err(error) = self.fact_if(message.id, &OPEN, fact).await {
                    tracing::error!(%error, id = %message.id, "a message goes on later than it could");
                }
            }
            filter.before = page.next;
            if page.next.is_none() {
                return;
            }
        }
    }
}

fn enabled(directory: &Directory) -> BTreeSet<String> {
    directory.all().filter(|partner| partner.enabled).map(|partner| partner.id.clone()).collect()
}

fn is_waiting(message: &Message) -> bool {
    message.reason.as_ref().is_some_and(|reason| reason.code == CODE)
}

fn partner_missing(partner: &str) -> Reason {
    let text = bilingual!(
        "伙伴 {partner} 未配置或已停用；恢复其配置后自动继续。",
        "partner {partner} is not configured or disabled; delivery goes on by itself once its file is restored."
    );
    Reason { code: CODE.to_owned(), text }
}
