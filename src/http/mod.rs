//! Layer 7: bytes over TCP and TLS. Knows nothing of AS2.
//!
//! Two halves share the body types of [`body`]:
//!
//! * [`server`] accepts connections under limits (permits, header/body/write deadlines, total drain deadline) and hands
//!   each request to a [`Handler`] as an [`Exchange`]; [`serve_router`] does the same for an axum router.
//! * [`client`] POSTs, directly or through a [`proxy`], follows nothing and repeats nothing (RFC 9110 9.2.2: POST is
//!   not idempotent); [`address`] keeps URLs that a peer supplied away from private networks.
//!
//! Both speak HTTP/1.1 only (RFC 9112): AS2 peers do, and the frame-level attacks of HTTP/2 stay outside. TLS 1.2 and
//! 1.3 by rustls, see [`tls`] and [`server_tls`]; older versions by OpenSSL, where a client's settings say so (`old_tls`).
//!
//! **Invariant:** `hyper` and `rustls` are named nowhere outside this module.

pub mod address;
mod answer;
pub mod body;
pub mod client;
mod connect_answer;
mod connection;
mod course;
mod deadline;
pub mod exchange;
mod expectation;
pub mod figures;
mod handlers;
mod head;
mod heard;
mod old_tls;
mod permits;
mod pool;
pub mod post_error;
pub mod probe;
pub mod proxy;
pub mod server;
pub mod server_tls;
#[cfg(test)]
mod specimens;
pub mod tls;
mod tls_end;

pub use address::Addresses;
pub use answer::Answer;
pub use body::{BodyError, Pace, RequestBody, SendBody};
pub use client::{Client, ClientCache, ClientSettings, Timeouts};
pub use exchange::{ClientCertificate, Exchange, Handler, Reply};
pub use figures::{HttpFigures, ListenerFigures};
pub use post_error::{PostError, PostErrorKind};
pub use proxy::Proxy;
pub use server::{BindError, ServerSettings, bind, serve, serve_router};
pub use server_tls::{ClientAuth, ClientTrust, ServerTls};
pub use tls::{Identity, TlsError, Trust};
