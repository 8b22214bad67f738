//! What a testbed is doing at the moment: its scenario, which may be changed at any time, and how many messages it has
//! seen since.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use jiff::Timestamp;

use super::fault::Fault;
use super::scenario::{Scenario, ServerCertificate};
use crate::http::{ClientAuth, Identity, ServerTls};
use crate::keys::generate::{KeyRequest, generate};

/// The scenario in force. Clones share it.
#[derive(Debug, Clone)]
pub struct Bench(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    scenario: ArcSwap<Scenario>,
    seen: AtomicU64,
    /// The AS2 listener's TLS, with the certificate it is configured to show.
    tls: OnceLock<(ServerTls, Identity)>,
}

impl Bench {
    /// Begins with this scenario.
    pub fn new(scenario: Scenario) -> Bench {
        let shared =
            Shared { scenario: ArcSwap::from_pointee(scenario), seen: AtomicU64::new(0), tls: OnceLock::new() };
        Bench(Arc::new(shared))
    }

    /// The scenario in force.
    pub fn scenario(&self) -> Arc<Scenario> {
        self.0.scenario.load_full()
    }

    /// Goes on with another scenario; messages are counted anew.
    pub fn set(&self, scenario: Scenario, now: Timestamp) {
        self.0.scenario.store(Arc::new(scenario));
        self.0.seen.store(0, Ordering::Relaxed);
        self.show_certificate(now);
    }

    /// Takes charge of the certificate that the AS2 listener shows.
    pub fn serve_tls(&self, tls: ServerTls, identity: Identity, now: Timestamp) {
        let _ = self.0.tls.set((tls, identity));
        self.show_certificate(now);
    }

    /// What goes wrong with the next message; the first fault that fits.
    pub(super) fn next_fault(&self) -> Option<Fault> {
        let number = self.0.seen.fetch_add(1, Ordering::Relaxed);
        self.scenario().faults.iter().find(|fault| fault.happens_to(number)).cloned()
    }

    fn show_certificate(&self, now: Timestamp) {
        let Some((tls, configured)) = self.0.tls.get() else { return };
        let shown = match self.scenario().server_certificate {
            ServerCertificate::Configured => Ok(tls.replace(configured, &ClientAuth::None)),
            ServerCertificate::Other => other(now).map(|other| tls.replace(&other, &ClientAuth::None)),
        };
        if let Err(error) = shown.and_then(|shown| shown.map_err(std::io::Error::other)) {
            tracing::error!(%error, "the testbed cannot show the certificate that its scenario asks for");
        }
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
