//! Whether a gateway may start in production: the dossier of the enterprise says so (`crate::onboarding`), or a person's
//! reason, which each such start enters into the journal.

use super::{Role, StartError};
use crate::config::Config;
use crate::onboarding::file;
use crate::onboarding::production::{Waiver, may_work_as};
use crate::partner::EnvironmentName;
use crate::store::trail::Change;
use crate::store::{CommitError, Store};

/// `what` of the audit trail's entry.
const WAIVED: &str = "production-waived";

/// Lets a start pass, and enters the reason of an exception into the journal; nothing was sent or received before.
///
/// # Errors
/// What the dossier lacks when there is no waiver; it cannot be read; the journal refused.
pub(super) async fn pass(config: &Config, role: &Role, store: &Store) -> Result<(), StartError> {
    match judge(config, role)? {
        Some(waiver) => Ok(journal(store, waiver).await?),
        None => Ok(()),
    }
}

/// Judges a start. A home on whose road nobody ever set out starts as it always did, unless the configuration demands a
/// dossier.
fn judge(config: &Config, role: &Role) -> Result<Option<Waiver>, StartError> {
    let home = &config.onboarding.home;
    let begun = config.onboarding.required || file::path(home).exists();
    let production = config.station.environment.name == EnvironmentName::Production && *role == Role::Gateway;
    if !(begun && production) {
        return Ok(None);
    }
    let dossier = file::read(home)?;
    match (may_work_as(&dossier, config.station.dxpid.as_deref()), dossier.waiver) {
        (Ok(()), _) => Ok(None),
        (Err(_), Some(waiver)) => Ok(Some(waiver)),
        (Err(missing), None) => Err(StartError::NotCleared(missing)),
    }
}

async fn journal(store: &Store, waiver: Waiver) -> Result<(), CommitError> {
    tracing::warn!(reason = %waiver.reason, code = WAIVED, "production begins without a whole dossier");
    let change = Change {
        who: "onboarding".to_owned(),
        what: WAIVED.to_owned(),
        on: "station".to_owned(),
        after: Some(serde_json::json!({ "waived_at": waiver.at })),
        reason: Some(waiver.reason),
        ..Change::default()
    };
    store.record(change).await.map(drop)
}
