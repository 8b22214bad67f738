//! From the configuration to each layer's own settings.

use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::config::{ClientDemand, Clients, Config};
use crate::console::{AccessSettings, Cost};
use crate::ground::clock::Clock;
use crate::ground::space::Space;
use crate::http::{self, ClientAuth, ClientTrust, HttpFigures, Identity, Pace, ServerTls, TlsError};
use crate::keys::TlsIdentity;
use crate::partner::Directory;
use crate::store::StoreConfig;
use crate::store::retention::RetentionPolicy;
use crate::{inbound, outbound};

pub(super) fn outbound(config: &Config) -> outbound::Settings {
    outbound::Settings {
        exchange: config.folders.exchange.clone(),
        sweep: config.outbox.sweep,
        settle: config.outbox.settle,
        ignore: config.outbox.ignore.clone(),
        workers: config.delivery.workers,
        data: config.folders.data.clone(),
        free_space_floor: config.server.free_space_floor,
        message_id_host: config.station.message_id_host.clone(),
    }
}

pub(super) fn inbound(config: &Config, space: &Space) -> inbound::Settings {
    let failures = inbound::FailureLimits {
        per_ip: config.server.failures_per_ip,
        per_partner: config.server.failures_per_partner,
    };
    inbound::Settings {
        path: config.as2.path.clone(),
        space: space.clone(),
        failures,
        trusted_proxies: config.as2.trusted_proxies.clone(),
    }
}

pub(super) fn store(config: &Config, clock: Arc<dyn Clock>) -> StoreConfig {
    StoreConfig {
        inline_threshold: usize::try_from(config.server.inline).unwrap_or(usize::MAX),
        allow_untrusted_filesystem: config.folders.allow_any_filesystem,
        ..StoreConfig::new(&config.folders.data, clock)
    }
}

pub(super) fn retention(config: &Config) -> RetentionPolicy {
    RetentionPolicy { evidence: config.retention.evidence, payload: config.retention.payload }
}

pub(super) fn as2_server(config: &Config, figures: &HttpFigures) -> http::ServerSettings {
    let server = &config.server;
    http::ServerSettings {
        proxies: config.as2.trusted_proxies.clone(),
        header_timeout: server.header_timeout,
        pace: Pace {
            idle: server.idle_timeout,
            min_rate: server.body_min_rate,
            total: server.body_timeout,
            ..Pace::default()
        },
        max_connections: server.connections,
        max_per_ip: server.connections_per_ip,
        drain: server.shutdown,
        figures: figures.listener("as2"),
        ..http::ServerSettings::default()
    }
}

/// The console has few users; a part of the AS2 port's connections is plenty.
pub(super) fn console_server(config: &Config, figures: &HttpFigures) -> http::ServerSettings {
    let figures = figures.clone();
    http::ServerSettings {
        max_connections: 256,
        max_per_ip: 128,
        proxies: Vec::new(),
        figures: figures.listener("console"),
        ..as2_server(config, &figures)
    }
}

/// How people and programs get into the console, which listens on `listen` and shows a certificate with these `names`.
pub(super) fn access(config: &Config, listen: SocketAddr, names: &Arc<ArcSwap<Vec<String>>>) -> AccessSettings {
    let console = &config.console;
    let scheme = if console.tls.is_some() { "https" } else { "http" };
    let certified = names.load_full();
    let host = match console.hosts.first().or(certified.first()) {
        Some(host) => format!("{host}:{}", listen.port()),
        None if listen.ip().is_unspecified() => format!("localhost:{}", listen.port()),
        None => listen.to_string(),
    };
    AccessSettings {
        token_file: console.token_file.clone(),
        users_file: console.users_file.clone(),
        url: format!("{scheme}://{host}"),
        tls: console.tls.is_some(),
        hosts: console.hosts.clone(),
        certificate_names: names.clone(),
        open_metrics: console.open_metrics,
        token_rate: console.token_rate,
        cost: Cost::default(),
    }
}

/// The DNS names of the certificate that a listener shows.
pub(super) fn certificate_names(shown: Option<&TlsIdentity>) -> Vec<String> {
    let own = shown.and_then(|shown| shown.chain.first());
    let names = own.and_then(|own| own.x509().subject_alt_names());
    names.iter().flatten().filter_map(|name| name.dnsname().map(str::to_owned)).collect()
}

pub(super) fn server_tls(identity: &TlsIdentity) -> Result<ServerTls, TlsError> {
    ServerTls::new(&Identity::from(identity), &ClientAuth::None)
}

/// What an AS2 listener asks of its clients: its own issuers count, and what any partner has handed over.
pub(super) fn client_auth(
    clients: &Clients,
    directory: &Arc<ArcSwap<Directory>>,
    clock: &Arc<dyn Clock>,
) -> ClientAuth {
    let (directory, clock) = (directory.clone(), clock.clone());
    let known = move |der: &[u8]| {
        let (partners, now) = (directory.load(), clock.now());
        partners.all().any(|partner| partner.enabled && partner.is_client(der, false, now))
    };
    let issuers = clients.issuers.iter().map(|issuer| issuer.der().to_vec()).collect();
    let trust = ClientTrust { issuers, known: Arc::new(known) };
    match clients.demand {
        ClientDemand::None => ClientAuth::None,
        ClientDemand::Ask => ClientAuth::Ask(trust),
        ClientDemand::Require => ClientAuth::Require(trust),
    }
}
