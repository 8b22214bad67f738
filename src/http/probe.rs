//! Trying the road to a server step by step, for diagnosis: name, connection, handshake, one request. Behind a forward proxy
//! name and connection are the proxy's. Nothing of it is
//! reused for messages, and a certificate that would be refused for them is refused here.

use std::net::SocketAddr;
use std::time::Duration;

use ::http::{HeaderValue, Method, Request, StatusCode, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use super::address::{Addresses, Target};
use super::client::ClientSettings;
use super::head::path_of;
use super::old_tls::OldTls;
use super::post_error::{PostError, PostErrorKind};
use super::proxy::{self, Proxy};
use super::tls;
use super::tls_end::{Cut, Ending};

/// How far to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// To the host's addresses.
    Name,
    /// To an open connection.
    Connection,
    /// Through the TLS handshake; of an `http` URL this is [`PostErrorKind::Tls`].
    Handshake,
    /// To the status of a request.
    Request,
}

/// How far it got.
#[derive(Debug, Clone, Default)]
pub struct Probe {
    /// The host's addresses.
    pub addresses: Vec<SocketAddr>,
    /// From the question to the answer.
    pub resolved: Option<Duration>,
    /// The address that accepted the connection, and after how long.
    pub connected: Option<(SocketAddr, Duration)>,
    /// The handshake, and how long it took.
    pub tls: Option<(Handshake, Duration)>,
    /// The status of `GET`, and after how long.
    pub status: Option<(u16, Duration)>,
    /// Why it went no further.
    pub error: Option<PostError>,
}

/// A TLS handshake that succeeded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Handshake {
    /// Such as `TLSv1_3`.
    pub version: String,
    /// The cipher suite.
    pub cipher: String,
    /// DER of what the server showed, its own certificate first.
    pub chain: Vec<Vec<u8>>,
}

/// Goes to `url` as far as `depth` says, each step within `patience`.
pub async fn probe(url: &str, settings: &ClientSettings, depth: Depth, patience: Duration) -> Probe {
    let mut probe = Probe::default();
    let mut steps = Steps { settings, depth, patience, probe: &mut probe };
    if let Err(error) = steps.go(url).await {
        probe.error = Some(error);
    }
    probe
}

struct Steps<'p> {
    settings: &'p ClientSettings,
    depth: Depth,
    patience: Duration,
    probe: &'p mut Probe,
}

impl Steps<'_> {
    async fn go(&mut self, url: &str) -> Result<(), PostError> {
        let (target, uri) = Target::parse(url, self.settings.ports())?;
        let proxy = self.settings.proxy.as_ref().filter(|proxy| proxy.serves(&target));
        let path = match proxy {
            // The absolute form (RFC 9112 3.2.2).
            Some(_) if !target.tls => format!("http://{}{}", target.host_header(), path_of(&uri)),
            _ => path_of(&uri),
        };
        let (near, allowed) =
            proxy.map_or((&target, self.settings.addresses), |proxy| (proxy.target(), Addresses::Any));
        self.resolve(near).await?;
        if self.depth == Depth::Name {
            return Ok(());
        }
        let mut stream = self.connect(allowed).await?;
        if let Some(proxy) = proxy.filter(|_| target.tls) {
            in_time(self.patience, "no tunnel in time", proxy.tunnel(&mut stream, &target)).await??;
        }
        if self.depth == Depth::Connection {
            return Ok(());
        }
        if !target.tls {
            if self.depth == Depth::Handshake {
                return Err(PostError::new(PostErrorKind::Tls, "the URL begins with http, so there is no handshake"));
            }
            return self.request(stream, &target, &path, proxy).await;
        }
        let begun = Instant::now();
        if self.settings.old_tls {
            let roots = tls::Roots::of_machine();
            let old = OldTls::new(&roots, &self.settings.trust, self.settings.identity.as_ref());
            let old = old.map_err(|error| PostError::new(PostErrorKind::Tls, error))?;
            let stream = in_time(self.patience, "no handshake in time", old.connect(stream, &target)).await??;
            let stream = Ending::tolerated(stream, &Cut::default());
            // Of an old server what was agreed on is not asked.
            self.probe.tls = Some((Handshake::default(), begun.elapsed()));
            return if self.depth == Depth::Handshake {
                Ok(())
            } else {
                self.request(stream, &target, &path, None).await
            };
        }
        let stream = self.handshake(&target, stream).await?;
        let (_, session) = stream.get_ref();
        let named = |value: Option<String>| value.unwrap_or_default();
        let handshake = Handshake {
            version: named(session.protocol_version().map(|version| format!("{version:?}"))),
            cipher: named(session.negotiated_cipher_suite().map(|suite| format!("{:?}", suite.suite()))),
            chain: session.peer_certificates().unwrap_or_default().iter().map(|der| der.to_vec()).collect(),
        };
        self.probe.tls = Some((handshake, begun.elapsed()));
        if self.depth == Depth::Handshake {
            return Ok(());
        }
        self.request(Ending::tolerated(stream, &Cut::default()), &target, &path, None).await
    }

    async fn resolve(&mut self, target: &Target) -> Result<(), PostError> {
        let begun = Instant::now();
        let lookup = tokio::net::lookup_host((target.host.as_str(), target.port));
        let found = in_time(self.patience, "no address in time", lookup).await?;
        let found: Vec<SocketAddr> = found.map_err(|error| PostError::new(PostErrorKind::Resolve, error))?.collect();
        if found.is_empty() {
            return Err(PostError::new(PostErrorKind::Resolve, "the host has no address"));
        }
        (self.probe.addresses, self.probe.resolved) = (found, Some(begun.elapsed()));
        Ok(())
    }

    async fn connect(&mut self, addresses: Addresses) -> Result<TcpStream, PostError> {
        let allowed = self.probe.addresses.iter().filter(|found| addresses.allows(found.ip()));
        let mut failure = PostError::new(PostErrorKind::Forbidden, "the host leads to a private or special address");
        let mut connected = None;
        for address in allowed {
            let begun = Instant::now();
            match in_time(self.patience, "no connection in time", TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    connected = Some((stream, *address, begun.elapsed()));
                    break;
                }
                Ok(Err(error)) => {
                    failure = PostError::new(PostErrorKind::Connect, format_args!("{address}: {error}"));
                }
                Err(error) => failure = PostError::new(PostErrorKind::Connect, format_args!("{address}: {error}")),
            }
        }
        let (stream, address, took) = connected.ok_or(failure)?;
        self.probe.connected = Some((address, took));
        Ok(stream)
    }

    async fn handshake(
        &self,
        target: &Target,
        stream: TcpStream,
    ) -> Result<tokio_rustls::client::TlsStream<TcpStream>, PostError> {
        let name = ServerName::try_from(target.host.clone());
        let name = name.map_err(|_| PostError::new(PostErrorKind::BadUrl, "the host is not a DNS name or address"))?;
        let config = tls::client_config(&self.settings.trust, self.settings.identity.as_ref());
        let config = config.map_err(|error| PostError::new(PostErrorKind::Tls, error))?;
        let handshake = TlsConnector::from(config).connect(name, stream);
        in_time(self.patience, "no handshake in time", handshake).await?.map_err(|error| PostError::from_tls(&error))
    }

    /// `forwarded_by`: the proxy that gets the request itself rather than a tunnel.
    async fn request<S>(
        &mut self,
        stream: S,
        target: &Target,
        path: &str,
        forwarded_by: Option<&Proxy>,
    ) -> Result<(), PostError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let begun = Instant::now();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let unusable = |_| PostError::new(PostErrorKind::BadUrl, "the URL is not usable");
        let mut request = Request::builder()
            .method(Method::GET)
            .uri(path)
            .header(header::HOST, target.host_header())
            .body(Empty::<Bytes>::new())
            .map_err(unusable)?;
        if let Some(authorization) = forwarded_by.and_then(Proxy::authorization) {
            let value = HeaderValue::from_str(authorization.expose());
            let value = value.map_err(|_| PostError::new(PostErrorKind::BadUrl, "unusable proxy credentials"))?;
            request.headers_mut().insert(header::PROXY_AUTHORIZATION, value);
        }
        let exchange = async {
            let mut response = sender.send_request(request).await?;
            // Whatever it says; the connection ends with this.
            let _ = response.body_mut().frame().await;
            Ok::<u16, PostError>(response.status().as_u16())
        };
        let both = async {
            let mut exchange = std::pin::pin!(exchange);
            tokio::select! {
                status = &mut exchange => status,
                ended = connection => {
                    ended?;
                    // The answer may have come with the end.
                    let none = |error: PostError| match error.kind {
                        PostErrorKind::Tls | PostErrorKind::Protocol => error,
                        _ => PostError::new(PostErrorKind::Closed, "the connection ended before the answer"),
                    };
                    exchange.await.map_err(none)
                }
            }
        };
        let status = in_time(self.patience, "no answer in time", both).await??;
        if forwarded_by.is_some() && status == StatusCode::PROXY_AUTHENTICATION_REQUIRED.as_u16() {
            return Err(proxy::credentials_refused());
        }
        self.probe.status = Some((status, begun.elapsed()));
        Ok(())
    }
}

async fn in_time<T>(patience: Duration, late: &str, work: impl Future<Output = T>) -> Result<T, PostError> {
    tokio::time::timeout(patience, work).await.map_err(|_| PostError::new(PostErrorKind::Timeout, late))
}

#[cfg(test)]
#[path = "probe_tests.rs"]
mod tests;
