//! The listener: limits first, then requests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use super::body::Pace;
use super::exchange::Handler;
use super::tls::ServerTls;
use crate::ground::text::Bilingual;

/// Every limit of a listener. Durations and counts with their defaults are those against slow and numerous peers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSettings {
    /// For the TLS handshake.
    pub handshake_timeout: Duration,
    /// For a request head, from the first byte awaited: a silent new connection and an idle kept-alive one end by it too.
    pub header_timeout: Duration,
    /// Fields of one head; more are answered 431.
    pub max_headers: usize,
    /// Bytes of one head; more are answered 431.
    pub max_header_bytes: usize,
    /// For bodies.
    pub pace: Pace,
    /// Longest time without progress while we send.
    pub write_stall: Duration,
    /// Connections at a time; further ones wait in the kernel's backlog.
    pub max_connections: usize,
    /// Connections at a time from one address; further ones are closed at once.
    pub max_per_ip: usize,
    /// How long open requests may go on after shutdown began.
    pub drain: Duration,
}

impl Default for ServerSettings {
    fn default() -> ServerSettings {
        ServerSettings {
            handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(10),
            max_headers: 128,
            max_header_bytes: 64 * 1024,
            pace: Pace::default(),
            write_stall: Duration::from_secs(60),
            max_connections: 1024,
            max_per_ip: 64,
            drain: Duration::from_secs(30),
        }
    }
}

/// The address cannot be listened on. The operator's doing.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}")]
pub struct BindError {
    /// The address asked for.
    pub address: SocketAddr,
    /// Why.
    pub source: std::io::Error,
}

impl BindError {
    /// Stable name: `address-in-use`, `address-not-allowed`, `address-not-here`, `listen-failed`.
    pub fn code(&self) -> &'static str {
        unimplemented!()
    }

    /// What is wrong and what to do.
    pub fn text(&self) -> Bilingual {
        unimplemented!()
    }
}

/// Listens on `address`.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    let _ = address;
    unimplemented!()
}

/// Serves until `shutdown` completes, then lets open requests end within [`ServerSettings::drain`]. Returns when
/// every connection and every handler has ended.
pub async fn serve<H: Handler>(
    listener: TcpListener,
    tls: Option<ServerTls>,
    handler: Arc<H>,
    settings: ServerSettings,
    shutdown: impl Future<Output = ()> + Send,
) {
    let _ = (listener, tls, handler, settings, shutdown.await);
    unimplemented!()
}

/// The same for an axum router.
pub async fn serve_router(
    listener: TcpListener,
    tls: Option<ServerTls>,
    router: axum::Router,
    settings: ServerSettings,
    shutdown: impl Future<Output = ()> + Send,
) {
    let _ = (listener, tls, router, settings, shutdown.await);
    unimplemented!()
}
