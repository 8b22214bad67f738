//! The gateway as a connectivity test sees it: the outbound flow itself.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::GatewayBackend;
use crate::connectivity::{Gateway, Parts, Repeat};
use crate::ground::id::Id;
use crate::http::probe::{Depth, Probe};
use crate::outbound::{Action, IntakeError};
use crate::partner::trial::Trial;
use crate::store::record::Reason;
use crate::store::trail::Change;

impl GatewayBackend {
    /// What a connectivity test against `partner` stands on; none when there is no such partner, or it is disabled.
    pub fn trial_parts(&self, partner: &str, folder: PathBuf, who: String) -> Option<Parts<GatewayBackend>> {
        let known = self.directory.load().by_id(partner).filter(|partner| partner.enabled).cloned()?;
        Some(Parts {
            gateway: self.clone(),
            store: self.store.clone(),
            clock: self.clock.clone(),
            station: Arc::clone(&self.config.station),
            partner: known,
            limits: self.config.limits,
            folder,
            who,
        })
    }
}

impl Gateway for GatewayBackend {
    async fn submit(
        &self,
        partner: &str,
        name: &str,
        payload: Vec<u8>,
        trial: Trial,
        change: Change,
    ) -> Result<Id, Reason> {
        let submitted = self.outbound.submit_trial(partner, name, payload, &trial, change).await;
        submitted.map_err(|error| reason(&error))
    }

    async fn probe(&self, partner: &str, depth: Depth, patience: Duration) -> Result<Probe, Reason> {
        self.outbound.probe(partner, depth, patience).await.map_err(|error| reason(&error))
    }

    async fn repeat(&self, id: Id) -> Result<Repeat, Reason> {
        let repeated = self.outbound.repeat(id).await?;
        let (confirmed, reason, disposition, took) =
            (repeated.confirmed, repeated.reason, repeated.disposition, repeated.took);
        Ok(Repeat { confirmed, reason, disposition, took })
    }

    async fn hurry(&self, id: Id) {
        let why = "the connectivity test sends the same bytes again";
        if let Err(error) = self.outbound.act(id, Action::Retry, asked(why.to_owned())).await {
            tracing::warn!(%error, %id, "a message of a connectivity test waits for its schedule");
        }
    }

    fn works(&self, run: Id, case: &str) {
        self.runs.works(run, case);
    }

    async fn end(&self, id: Id, why: String) {
        if let Err(error) = self.outbound.end_trial(id, asked(why)).await {
            tracing::warn!(%error, %id, "a message of a connectivity test stays open");
        }
    }
}

/// What a connectivity test does to its own messages.
fn asked(why: String) -> Change {
    Change { who: "connectivity".to_owned(), reason: Some(why), ..Change::default() }
}

fn reason(error: &IntakeError) -> Reason {
    let refusal = super::backend::intake_refusal(error);
    Reason { code: refusal.code, text: refusal.text }
}
