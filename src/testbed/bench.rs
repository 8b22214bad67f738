//! What a testbed does: its scenario, how many messages it has seen, and the certificate that it shows.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;

use super::fault::Fault;
use super::scenario::{Scenario, ServerCertificate};
use crate::http::{ClientAuth, Identity, ServerTls};
use crate::keys::generate::{KeyRequest, generate};

/// The scenario that is played. Clones share it.
#[derive(Debug, Clone)]
pub struct Bench(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    scenario: Scenario,
    seen: AtomicU64,
}

impl Bench {
    /// Plays this scenario.
    pub fn new(scenario: Scenario) -> Bench {
        Bench(Arc::new(Shared { scenario, seen: AtomicU64::new(0) }))
    }

    /// The scenario.
    pub fn scenario(&self) -> &Scenario {
        &self.0.scenario
    }

    /// Has the AS2 listener show the certificate that the scenario asks for.
    pub fn show_certificate(&self, tls: &ServerTls, now: Timestamp) {
        let shown = match self.scenario().server_certificate {
            ServerCertificate::Configured => return,
            ServerCertificate::Other => other(now),
        };
        let shown = shown.and_then(|other| tls.replace(&other, &ClientAuth::None).map_err(std::io::Error::other));
        if let Err(error) = shown {
            tracing::error!(%error, "the testbed cannot show the certificate that its scenario asks for");
        }
    }

    /// What goes wrong with the next message; the first fault that fits.
    pub(super) fn next_fault(&self) -> Option<Fault> {
        let number = self.0.seen.fetch_add(1, Ordering::Relaxed);
        self.scenario().faults.iter().find(|fault| fault.happens_to(number)).cloned()
    }
}

/// A certificate that nobody has pinned.
fn other(now: Timestamp) -> std::io::Result<Identity> {
    let request = KeyRequest {
        common_name: "Somebody Else".to_owned(),
        organization: None,
        hosts: vec!["127.0.0.1".to_owned(), "localhost".to_owned()],
        bits: 256,
        days: 30,
    };
    let pair = generate(&request, None, now).map_err(std::io::Error::other)?;
    Identity::from_pem(&pair.certificate_pem, pair.key_pem.expose(), None).map_err(std::io::Error::other)
}
