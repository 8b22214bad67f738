//! What a testbed does: its scenario, which may be changed while it runs, how many messages it has seen, and what its
//! server shows.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::ArcSwap;
use jiff::Timestamp;

use super::certificate;
use super::fault::Fault;
use super::scenario::{Handshake, Scenario, ServerCertificate};
use crate::bilingual;
use crate::ground::text::Bilingual;
use crate::http::{ClientAuth, ServerTls};
use crate::keys::TlsIdentity;

/// The scenario that is played. Clones share it.
#[derive(Debug, Clone)]
pub struct Bench(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    playing: ArcSwap<Playing>,
    server: OnceLock<Server>,
    /// One change at a time.
    changing: Mutex<()>,
}

/// A scenario, and the messages that have come since it is in force.
#[derive(Debug)]
struct Playing {
    scenario: Arc<Scenario>,
    seen: AtomicU64,
}

/// The TLS side of the AS2 listener.
#[derive(Debug)]
pub struct Server {
    /// What it shows.
    pub tls: ServerTls,
    /// What its configuration says it shows.
    pub own: TlsIdentity,
    /// What it asks of clients.
    pub clients: ClientAuth,
}

impl Bench {
    /// Plays this scenario.
    pub fn new(scenario: Scenario) -> Bench {
        let shared = Shared { playing: playing(scenario), server: OnceLock::new(), changing: Mutex::default() };
        Bench(Arc::new(shared))
    }

    /// The scenario.
    pub fn scenario(&self) -> Arc<Scenario> {
        self.0.playing.load().scenario.clone()
    }

    /// Has the AS2 listener show what the scenario asks for, now and after each change.
    pub fn serve(&self, server: Server, now: Timestamp) {
        let server = self.0.server.get_or_init(|| server);
        if let Err(error) = server.show(&self.scenario(), now) {
            tracing::error!(%error, "the testbed cannot show what its scenario asks for");
        }
    }

    /// Plays another scenario from now on; faults are counted anew, and new connections see what it says of TLS.
    ///
    /// # Errors
    /// It cannot be played: what is wrong. The one before stays.
    pub fn change(&self, scenario: Scenario, now: Timestamp) -> Result<(), Bilingual> {
        scenario.sound()?;
        let _one_at_a_time = self.0.changing.lock().unwrap_or_else(PoisonError::into_inner);
        match self.0.server.get() {
            Some(server) => server.show(&scenario, now).map_err(|error| {
                bilingual!("服务器不能如此应答：{error}", "the server cannot answer like that: {error}")
            })?,
            None if scenario.is_about_tls() => {
                return Err(bilingual!(
                    "测试端的 AS2 端口没有启用 TLS，不能使用 server_certificate 和 handshake",
                    "the testbed's AS2 listener serves no TLS, so server_certificate and handshake cannot be played"
                ));
            }
            None => {}
        }
        self.0.playing.store(Arc::new(Playing { scenario: Arc::new(scenario), seen: AtomicU64::new(0) }));
        Ok(())
    }

    /// What goes wrong with the next message; the first fault that fits.
    pub(super) fn next_fault(&self) -> Option<Fault> {
        let playing = self.0.playing.load();
        let number = playing.seen.fetch_add(1, Ordering::Relaxed);
        playing.scenario.faults.iter().find(|fault| fault.happens_to(number)).cloned()
    }
}

fn playing(scenario: Scenario) -> ArcSwap<Playing> {
    ArcSwap::from_pointee(Playing { scenario: Arc::new(scenario), seen: AtomicU64::new(0) })
}

impl Server {
    fn show(&self, scenario: &Scenario, now: Timestamp) -> io::Result<()> {
        let identity = certificate::shown(scenario.server_certificate, &self.own, now)?;
        self.tls.replace(&identity, &self.clients).map_err(io::Error::other)?;
        self.tls.answer_instead(instead(scenario.handshake));
        Ok(())
    }
}

impl Scenario {
    fn is_about_tls(&self) -> bool {
        self.server_certificate != ServerCertificate::Configured || self.handshake != Handshake::Proper
    }
}

/// What a client hears instead of a handshake.
fn instead(handshake: Handshake) -> Option<Vec<u8>> {
    match handshake {
        Handshake::Proper => None,
        Handshake::Closed => Some(Vec::new()),
        // A fatal handshake_failure (RFC 5246 7.2).
        Handshake::Aborted => Some(vec![0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x28]),
        Handshake::OldVersion => Some(old_server_hello()),
    }
}

/// A ServerHello that chooses TLS 1.0 with TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA (RFC 4346 7.4.1.3), as servers of the past say
/// whatever the client offers.
fn old_server_hello() -> Vec<u8> {
    let random = [0x5A; 32];
    let mut body = vec![0x03, 0x01];
    body.extend(random);
    body.extend([0x00, 0xC0, 0x13, 0x00]);
    let length = u8::try_from(body.len()).unwrap_or(u8::MAX);
    let mut record = vec![0x16, 0x03, 0x01, 0x00, length.saturating_add(4), 0x02, 0x00, 0x00, length];
    record.extend(body);
    record
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::clock::{Clock as _, SystemClock};

    #[test]
    fn a_changed_scenario_counts_its_faults_anew_and_one_that_cannot_be_played_changes_nothing() {
        let now = SystemClock.now();
        let read = |text: &str| toml::from_str::<Scenario>(text).expect("a scenario");
        let bench = Bench::new(read("[[fault]]\nfault = 'closed'\n"));
        assert!(bench.next_fault().is_some() && bench.next_fault().is_none());
        bench.change(read("[[fault]]\nfault = 'late'\n"), now).expect("can be played");
        assert!(bench.next_fault().is_some() && bench.next_fault().is_none());
        for wrong in ["handshake = 'closed'", "[[fault]]\nfault = 'http-status'\nstatus = 100"] {
            let text = bench.change(read(wrong), now).expect_err(wrong);
            assert!(!text.zh.is_ascii() && text.en.is_ascii(), "{text:?}");
        }
        assert_eq!(*bench.scenario(), read("[[fault]]\nfault = 'late'\n"));
    }
}
