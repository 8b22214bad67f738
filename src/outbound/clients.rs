//! How a partner's server is reached: under which settings, by which client, with which credentials.
//!
//! It is found once for each URL and holds until the partner's file is read again, or until the instant at which a window of a
//! certificate or a waiver begins or ends. A partner as it was before is never asked: what was found belongs to the very
//! [`Partner`] that a message is sent by, and to no other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::ground::secret::Secret;
use crate::http::client::Route;
use crate::http::{Addresses, ClientCache, ClientSettings, Identity, PostError, PostErrorKind, Proxy, Trust};
use crate::partner::{Authorization, Directory, Partner, PartnerUrl};

/// How long a body waits for `100 Continue`: servers that know it answer at once, others never do.
const EXPECTATION: Duration = Duration::from_secs(3);
/// Roads kept of one partner: to its own server, and to URLs that its messages name for MDNs, which may differ with each.
const ROADS: usize = 16;

/// HTTP clients by TLS profile, and the roads on which they are used, by partner.
#[derive(Default)]
pub(super) struct Clients {
    profiles: ClientCache,
    roads: Mutex<HashMap<String, Vec<Arc<Road>>>>,
}

/// All that is needed to send to one URL of a partner.
pub(super) struct Road {
    /// Held, so that its place in memory does not become another's.
    partner: Arc<Partner>,
    url: String,
    /// When it was found.
    since: Timestamp,
    /// The first instant at which the partner's file says something else.
    until: Timestamp,
    pub(super) route: Route,
    /// Value of `Authorization`.
    pub(super) credentials: Option<Secret<String>>,
}

impl Road {
    fn leads(&self, partner: &Arc<Partner>, url: &str, now: Timestamp) -> bool {
        Arc::ptr_eq(&self.partner, partner) && self.url == url && self.since <= now && now < self.until
    }
}

impl Clients {
    /// The road to `url`, under what `partner` says at `now`.
    ///
    /// # Errors
    /// The URL, the proxy's address or what the partner's file names for TLS is unusable. Nothing was sent.
    pub(super) fn road(&self, partner: &Arc<Partner>, url: &str, now: Timestamp) -> Result<Arc<Road>, PostError> {
        if let Some(known) = self.known(partner, url, now) {
            return Ok(known);
        }
        let road = Arc::new(self.find(partner, url, now)?);
        let mut roads = self.lock();
        let of_partner = roads.entry(partner.id.clone()).or_default();
        of_partner.retain(|known| Arc::ptr_eq(&known.partner, partner) && known.url != url);
        // The oldest gives way.
        if of_partner.len() >= ROADS {
            of_partner.remove(0);
        }
        of_partner.push(road.clone());
        Ok(road)
    }

    /// Forgets the roads of partners that are gone from `directory`, or are others by now.
    pub(super) fn forget(&self, directory: &Directory) {
        self.lock().retain(|id, roads| {
            roads.retain(|road| directory.by_id(id).is_some_and(|partner| Arc::ptr_eq(partner, &road.partner)));
            !roads.is_empty()
        });
    }

    fn known(&self, partner: &Arc<Partner>, url: &str, now: Timestamp) -> Option<Arc<Road>> {
        self.lock().get(&partner.id)?.iter().find(|road| road.leads(partner, url, now)).cloned()
    }

    fn find(&self, partner: &Arc<Partner>, url: &str, now: Timestamp) -> Result<Road, PostError> {
        let settings = client_settings(partner, url, now);
        let settings = settings.map_err(|error| PostError::new(PostErrorKind::Proxy, error))?;
        // Without pins the same comes to light with the first connection, and is of this kind.
        let client = self.profiles.client(&settings);
        let client = client.map_err(|error| PostError::new(PostErrorKind::Tls, error))?;
        let authorization = partner.http.authorization.as_ref().filter(|_| may_see_credentials(partner, url));
        Ok(Road {
            partner: partner.clone(),
            url: url.to_owned(),
            since: now,
            until: holds_until(partner, now),
            route: client.route(url)?,
            credentials: authorization.map(Authorization::header_value),
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<Arc<Road>>>> {
        self.roads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How the partner's server wants to be reached, for a connection to `url`.
///
/// # Errors
/// The proxy's address is unusable.
pub fn client_settings(partner: &Partner, url: &str, now: Timestamp) -> Result<ClientSettings, String> {
    let pinned = partner.certificates.pinned_tls(now);
    let pinned = pinned.map(|pinned| pinned.iter().map(|certificate| certificate.der().to_vec()).collect());
    Ok(ClientSettings {
        trust: pinned.map_or(Trust::System, Trust::Pinned),
        identity: partner.http.identity.as_ref().filter(|_| may_see_credentials(partner, url)).map(Identity::from),
        addresses: if partner.delivery.private_network { Addresses::Any } else { Addresses::PublicOnly },
        any_port: partner.allows_async_mdn_to(url),
        chunked: partner.http.chunked,
        expect: partner.http.expect_continue.then_some(EXPECTATION),
        proxy: partner.http.proxy.as_ref().map(way_out).transpose().map_err(|error| error.to_string())?,
        old_tls: partner.http.old_tls && partner.waivers.allow_old_tls(now),
        // As many as are in use at a time: with fewer, most deliveries would make a connection each and close it.
        idle_per_host: partner.delivery.concurrency.max(ClientSettings::default().idle_per_host),
        ..ClientSettings::default()
    })
}

/// The first instant after `now` at which [`client_settings`] may differ.
fn holds_until(partner: &Partner, now: Timestamp) -> Timestamp {
    let pins = partner.certificates.certificates().iter().filter(|one| one.uses.tls);
    let windows = pins.flat_map(|one| [one.window.from, one.window.end()]);
    let waivers = partner.waivers.0.iter().map(|waiver| waiver.until);
    windows.chain(waivers).filter(|edge| *edge > now).min().unwrap_or(Timestamp::MAX)
}

fn way_out(proxy: &crate::partner::Proxy) -> Result<Proxy, PostError> {
    let authorization = proxy.authorization.as_ref().map(Authorization::header_value);
    Proxy::new(&proxy.url, authorization, proxy.no_proxy.clone())
}

/// The partner's credentials go to its own server alone, not to another URL at which it wants its receipts.
fn may_see_credentials(partner: &Partner, url: &str) -> bool {
    PartnerUrl::parse(url).is_ok_and(|url| partner.url.same_origin(&url))
}

#[cfg(test)]
#[path = "clients_tests.rs"]
mod tests;
