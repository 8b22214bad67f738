//! The client: one request, one answer.
//!
//! What it never does: follow a redirect, repeat a request, send without `Content-Length`, believe any certificate,
//! read an answer without a cap. A POST is repeated in exactly one case: it was given to a pooled connection that the
//! peer had already closed, and not one byte of it was written; it then goes out once on a fresh connection.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;

use super::address::Addresses;
use super::body::SendBody;
use super::tls::{Identity, TlsError, Trust};
use crate::ground::text::Bilingual;

/// How a client behaves; one per TLS profile.
#[derive(Debug, Clone)]
pub struct ClientSettings {
    /// Whom to believe.
    pub trust: Trust,
    /// Our certificate, when the server asks for one.
    pub identity: Option<Identity>,
    /// Where connections may go.
    pub addresses: Addresses,
    /// Largest answer body in bytes.
    pub answer_limit: usize,
    /// How long an unused connection is kept.
    pub idle: Duration,
    /// Unused connections kept per host.
    pub idle_per_host: usize,
}

impl Default for ClientSettings {
    fn default() -> ClientSettings {
        ClientSettings {
            trust: Trust::System,
            identity: None,
            addresses: Addresses::PublicOnly,
            answer_limit: 1024 * 1024,
            idle: Duration::from_secs(20),
            idle_per_host: 4,
        }
    }
}

/// Deadlines of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For name lookup, TCP and TLS together.
    pub connect: Duration,
    /// For everything, from lookup to the answer's last byte.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts { connect: Duration::from_secs(30), total: Duration::from_secs(600) }
    }
}

/// A complete answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Status code; redirects are answers like any other.
    pub status: u16,
    /// Fields in order; values that are not UTF-8 are kept lossily.
    pub headers: Vec<(String, String)>,
    /// At most `answer_limit` bytes.
    pub body: Bytes,
}

impl Answer {
    /// The first field called `name`, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// At which step a request failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PostErrorKind {
    /// The URL, or a header field, is not usable. Nothing was sent.
    BadUrl,
    /// The URL leads where this client may not go. Nothing was sent.
    Forbidden,
    /// The host name has no address. Nothing was sent.
    Resolve,
    /// No address accepted the connection. Nothing was sent.
    Connect,
    /// The TLS handshake failed for another reason than the certificate. Nothing was sent.
    Tls,
    /// The server's certificate is not the pinned one, or not trusted for this host. Nothing was sent.
    Certificate,
    /// Our own body could not be read to its end.
    Body,
    /// A deadline passed; the peer may have everything.
    Timeout,
    /// The connection ended before the answer was complete; the peer may have everything.
    Closed,
    /// The answer is not HTTP/1.1.
    Protocol,
    /// The answer is larger than the cap.
    TooLarge,
}

impl PostErrorKind {
    /// Stable name, e.g. `connect-failed`.
    pub fn code(self) -> &'static str {
        unimplemented!()
    }

    /// No byte of the request can have reached the peer.
    pub fn nothing_sent(self) -> bool {
        use PostErrorKind::*;
        matches!(self, BadUrl | Forbidden | Resolve | Connect | Tls | Certificate)
    }
}

/// A request without an answer.
#[derive(Debug, thiserror::Error)]
#[error("{detail}")]
pub struct PostError {
    /// At which step.
    pub kind: PostErrorKind,
    /// English, for logs; printable, without request content.
    pub detail: String,
}

impl PostError {
    /// Stable name.
    pub fn code(&self) -> &'static str {
        self.kind.code()
    }

    /// What happened and what to do.
    pub fn text(&self) -> Bilingual {
        unimplemented!()
    }
}

/// Sends requests; clones share the connections.
#[derive(Debug, Clone)]
pub struct Client {}

impl Client {
    /// A client without connections.
    pub fn new(settings: ClientSettings) -> Result<Client, TlsError> {
        let _ = settings;
        unimplemented!()
    }

    /// POSTs `body` to `url`. `headers` are sent as given, `Host` and `Content-Length` are added.
    pub async fn post(
        &self,
        url: &str,
        headers: &[(String, String)],
        body: SendBody,
        timeouts: Timeouts,
    ) -> Result<Answer, PostError> {
        self.request("POST", url, headers, body, timeouts).await
    }

    /// The same with any method.
    pub async fn request(
        &self,
        method: &str,
        url: &str,
        headers: &[(String, String)],
        body: SendBody,
        timeouts: Timeouts,
    ) -> Result<Answer, PostError> {
        let _ = (method, url, headers, body, timeouts);
        unimplemented!()
    }
}

/// One client per TLS profile, so that partners with the same profile share connections and unchanged partners keep
/// theirs when the configuration is read again.
#[derive(Debug, Default)]
pub struct ClientCache {
    clients: Mutex<HashMap<[u8; 32], Client>>,
}

impl ClientCache {
    /// The client for `settings`, made when it is first asked for.
    pub fn client(&self, settings: &ClientSettings) -> Result<Client, TlsError> {
        let _ = (settings, &self.clients);
        unimplemented!()
    }
}
