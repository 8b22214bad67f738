//! Forward proxies: `CONNECT` for `https` (RFC 9110 9.3.6), the absolute form for `http` (RFC 9112 3.2.2).
//!
//! Through a proxy names are resolved there, so of a URL that a peer supplied only a literal address can be judged
//! here; what lies behind names is the proxy's own policy. The proxy itself is the operator's choice and may be inside.

use std::net::IpAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::address::{Addresses, Target};
use super::connect_answer::{LONGEST, is_whole, status};
use super::post_error::{PostError, PostErrorKind};
use crate::ground::network::Network;
use crate::ground::secret::Secret;

/// A forward proxy that is spoken to in the clear, and the hosts that are reached without it.
#[derive(Debug, Clone)]
pub struct Proxy {
    target: Target,
    /// Value of `Proxy-Authorization`.
    authorization: Option<Secret<String>>,
    /// See [`Proxy::new`].
    direct: Vec<String>,
}

impl Proxy {
    /// The proxy at `url` (`http://host:port`). `direct` lists what is reached without it: host names (with all names
    /// below them), addresses, networks such as `10.0.0.0/8`, or `*`. This machine is always reached directly.
    ///
    /// # Errors
    /// `url` is not an `http` URL.
    pub fn new(url: &str, authorization: Option<Secret<String>>, direct: Vec<String>) -> Result<Proxy, PostError> {
        let (target, _) = Target::parse(url, Addresses::Any)?;
        if target.tls {
            return Err(PostError::new(PostErrorKind::BadUrl, "a proxy's URL begins with http://"));
        }
        Ok(Proxy { target, authorization, direct })
    }

    /// Where the proxy listens.
    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    pub(super) fn authorization(&self) -> Option<&Secret<String>> {
        self.authorization.as_ref()
    }

    /// Whether `target` is reached through this proxy.
    pub(super) fn serves(&self, target: &Target) -> bool {
        let host = target.host.as_str();
        let address = host.parse::<IpAddr>().ok().map(|address| address.to_canonical());
        let here = host == "localhost" || address.is_some_and(|address| address.is_loopback());
        !here && !self.direct.iter().any(|entry| is_listed(entry, host, address))
    }

    /// Distinguishes proxies and their credentials in a hash.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut hasher = openssl::sha::Sha256::new();
        hasher.update(format!("{:?} {:?}", self.target, self.direct).as_bytes());
        hasher.update(self.authorization.as_ref().map_or(&[][..], |secret| secret.expose().as_bytes()));
        hasher.finish()
    }

    /// Asks the proxy, at the other end of `stream`, for a tunnel to `target`.
    pub(super) async fn tunnel<S>(&self, stream: &mut S, target: &Target) -> Result<(), PostError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let closed = |error: std::io::Error| PostError::new(PostErrorKind::Proxy, error);
        let host = target.authority();
        let mut head = format!("CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n");
        if let Some(authorization) = &self.authorization {
            head.push_str(&format!("Proxy-Authorization: {}\r\n", authorization.expose()));
        }
        head.push_str("\r\n");
        let head = zeroize::Zeroizing::new(head);
        stream.write_all(head.as_bytes()).await.map_err(closed)?;
        stream.flush().await.map_err(closed)?;
        let answer = read_head(stream).await?;
        match status(&answer) {
            Some(200..=299) => Ok(()),
            Some(407) => Err(credentials_refused()),
            Some(status) => {
                let detail = format_args!("the proxy answered {status} to CONNECT {host}");
                Err(PostError::new(PostErrorKind::Proxy, detail))
            }
            None => Err(PostError::new(PostErrorKind::Proxy, "the proxy does not answer in HTTP")),
        }
    }
}

/// The proxy wants other credentials, or some.
pub(super) fn credentials_refused() -> PostError {
    PostError::new(PostErrorKind::Proxy, "the proxy answered 407: it wants other credentials")
}

/// Nobody is there where the proxy should be: that says nothing about the partner.
pub(super) fn unreached(error: PostError) -> PostError {
    PostError::new(PostErrorKind::Proxy, format_args!("the proxy cannot be reached: {error}"))
}

/// Reads up to the empty line and not a byte beyond: what follows belongs to the tunnel.
async fn read_head<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Vec<u8>, PostError> {
    let mut head = Vec::new();
    while !is_whole(&head) {
        if head.len() >= LONGEST {
            return Err(PostError::new(PostErrorKind::Proxy, "the proxy's answer has too long a head"));
        }
        let byte = stream.read_u8().await.map_err(|error| PostError::new(PostErrorKind::Proxy, error))?;
        head.push(byte);
    }
    Ok(head)
}

fn is_listed(entry: &str, host: &str, address: Option<IpAddr>) -> bool {
    let entry = entry.trim().to_ascii_lowercase();
    if entry == "*" {
        return true;
    }
    match address {
        Some(address) => is_in_network(&entry, address),
        None => {
            let name = entry.trim_start_matches("*.").trim_start_matches('.');
            // The dot of the root may stand behind either.
            let [name, host] = [name, host].map(|name| name.strip_suffix('.').unwrap_or(name));
            !name.is_empty() && host.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        }
    }
}

/// `address`, or `address/bits`.
fn is_in_network(entry: &str, address: IpAddr) -> bool {
    entry.parse::<Network>().is_ok_and(|network| network.contains(address))
}

#[cfg(test)]
#[path = "proxy_tests.rs"]
mod tests;
