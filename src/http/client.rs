//! The client: one request, one answer.
//!
//! What it never does: follow a redirect, repeat a request, believe any certificate, read an answer without a cap. The
//! length is announced unless the settings say `chunked`. A POST is repeated in two cases, neither of which can make the
//! peer get it twice: it was given to a pooled connection that the peer had already closed, and not one byte of it was
//! written; or its expectation was answered with 417 before its body was sent (RFC 9110 15.5.18). It then goes out once
//! on a fresh connection.
//!
//! A peer that stops reading holds its connection, and the body that is on its way there, no longer than the request
//! may take (`pool`, `deadline`).

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use ::http::{Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use super::address::{Addresses, Target};
use super::answer::Answer;
use super::body::SendBody;
use super::course::Course;
use super::deadline::Deadline;
use super::head::{Head, Heading};
use super::heard::Heard;
use super::old_tls::OldTls;
use super::pool::{Connection, Pool};
use super::post_error::{PostError, PostErrorKind};
use super::proxy::{self, Proxy, unreached};
use super::tls::{self, Identity, Roots, TlsError, Trust};
use super::tls_end::{Cut, Ending};

/// How a client behaves; one per TLS profile.
#[derive(Debug, Clone)]
pub struct ClientSettings {
    /// Whom to believe.
    pub trust: Trust,
    /// Our certificate, when the server asks for one.
    pub identity: Option<Identity>,
    /// Where connections may go.
    pub addresses: Addresses,
    /// To any port all the same: the operator wrote the URL, no peer named it.
    pub any_port: bool,
    /// Largest answer body in bytes.
    pub answer_limit: usize,
    /// How long an unused connection is kept.
    pub idle: Duration,
    /// Unused connections kept per host.
    pub idle_per_host: usize,
    /// Bodies go out chunked, without `Content-Length` (RFC 9112 7.1).
    pub chunked: bool,
    /// Bodies wait for `100 Continue` for at most this long (RFC 9110 10.1.1).
    pub expect: Option<Duration>,
    /// The way out.
    pub proxy: Option<Proxy>,
    /// TLS by OpenSSL from version 1.0 on, for servers that know nothing newer.
    pub old_tls: bool,
}

impl Default for ClientSettings {
    fn default() -> ClientSettings {
        ClientSettings {
            trust: Trust::System,
            identity: None,
            addresses: Addresses::PublicOnly,
            any_port: false,
            answer_limit: 1024 * 1024,
            idle: Duration::from_secs(20),
            idle_per_host: 4,
            chunked: false,
            expect: None,
            proxy: None,
            old_tls: false,
        }
    }
}

impl ClientSettings {
    /// By what the form of a URL is judged; what its host resolves to is judged by `addresses` alone.
    pub(super) fn ports(&self) -> Addresses {
        if self.any_port { Addresses::Any } else { self.addresses }
    }
}

/// Deadlines of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For name lookup, TCP and TLS together.
    pub connect: Duration,
    /// From lookup to the first piece of the body that goes out, from each to the next, and from the last to the answer's last
    /// byte. A body that goes out below the least pace of bodies gets less.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts { connect: Duration::from_secs(30), total: Duration::from_secs(600) }
    }
}

/// Sends requests; clones share the connections.
#[derive(Debug, Clone)]
pub struct Client(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    settings: ClientSettings,
    /// What [`Trust::System`] leads to.
    roots: Arc<Roots>,
    made: Mutex<Arc<Made>>,
}

/// Connections, and what was made of the certificates by which their servers are believed.
#[derive(Debug)]
struct Made {
    /// Of the roots at that time: [`Roots::changes`].
    changes: u64,
    /// Made when the first `https` URL is met: a machine without root certificates can still speak to `http` ones.
    tls: OnceLock<Arc<rustls::ClientConfig>>,
    /// The same for old servers.
    old_tls: OnceLock<Arc<OldTls>>,
    pool: Pool,
}

impl Client {
    /// A client without connections. Certificates given in `settings` are judged now, the machine's roots are read
    /// when they are first needed, and go on to count as [`tls::read_roots_again`] finds them.
    pub fn new(settings: ClientSettings) -> Result<Client, TlsError> {
        Client::with_roots(settings, Roots::of_machine())
    }

    /// The same with `roots` for those of the machine.
    fn with_roots(settings: ClientSettings, roots: Arc<Roots>) -> Result<Client, TlsError> {
        let made = Made::new(&settings, roots.changes());
        if settings.trust != Trust::System && !settings.old_tls {
            let config = tls::client_config_with(&roots, &settings.trust, settings.identity.as_ref())?;
            let _ = made.tls.set(config);
        }
        Ok(Client(Arc::new(Shared { settings, roots, made: Mutex::new(Arc::new(made)) })))
    }

    /// POSTs `body` to `url`. `headers` are sent as given; `Host` and `Content-Length` are added, and fields that
    /// concern the connection rather than the message are left out.
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
        let fields: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let route = self.route(url)?;
        route.request(method, &fields, body, timeouts).await
    }

    /// The way to `url`, for any number of requests.
    ///
    /// # Errors
    /// The URL is not usable, or says by itself that it leads where this client may not go.
    pub fn route(&self, url: &str) -> Result<Route, PostError> {
        let settings = &self.0.settings;
        let (target, uri) = Target::parse(url, settings.ports())?;
        let proxy = settings.proxy.as_ref().filter(|proxy| proxy.serves(&target));
        if proxy.is_some() && target.is_literally_forbidden(settings.addresses) {
            return Err(forbidden());
        }
        let by_proxy = proxy.is_some();
        let heading = Heading::new(&target, &uri, by_proxy && !target.tls)?;
        Ok(Route { client: self.clone(), target, by_proxy, heading })
    }
}

/// A client's way to one URL: what all its requests have in common, found once. Where the host's name leads is asked for each
/// connection.
#[derive(Debug)]
pub struct Route {
    client: Client,
    target: Target,
    /// The client's proxy serves the target.
    by_proxy: bool,
    heading: Heading,
}

impl Route {
    /// [`Client::post`] to this URL.
    ///
    /// # Errors
    /// As there.
    pub async fn post(&self, fields: &[(&str, &str)], body: SendBody, timeouts: Timeouts) -> Result<Answer, PostError> {
        self.request("POST", fields, body, timeouts).await
    }

    /// The same with any method.
    ///
    /// # Errors
    /// As there.
    pub async fn request(
        &self,
        method: &str,
        fields: &[(&str, &str)],
        body: SendBody,
        timeouts: Timeouts,
    ) -> Result<Answer, PostError> {
        let (shared, target) = (&self.client.0, &self.target);
        let proxy = shared.settings.proxy.as_ref().filter(|_| self.by_proxy);
        let forwarded_by = proxy.filter(|_| !target.tls);
        let head = Head::new(method, &self.heading, fields, &body, &shared.settings, forwarded_by)?;
        let answered = AtomicBool::new(false);
        let deadline = Deadline::new(timeouts.total);
        let half_done = Mutex::default();
        // Held to the end: with it end the tasks that drive its connections.
        let made = shared.made();
        let way = Way {
            target,
            proxy,
            made: &made,
            connect: timeouts.connect,
            deadline: &deadline,
            answered: &answered,
            half_done: &half_done,
        };
        let answer = {
            let exchange = std::pin::pin!(shared.exchange_or_insist(way, head, &body));
            deadline.limit(exchange).await
        };
        let answer = answer.unwrap_or_else(|| Err(deadline.missed(body.len())));
        let half_done = half_done.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(connection) = half_done {
            // The caller counts it as long as it lasts.
            let _ = tokio::time::timeout(timeouts.total, connection.see_out(&deadline)).await;
        }
        answer.map_err(|error| PostError { answered: answered.load(Ordering::Relaxed), ..error })
    }

    /// Under which settings it goes.
    #[cfg(test)]
    pub(crate) fn settings(&self) -> &ClientSettings {
        &self.client.0.settings
    }
}

/// Where a request goes and by which way.
#[derive(Clone, Copy)]
struct Way<'a> {
    target: &'a Target,
    proxy: Option<&'a Proxy>,
    /// What its connections are made by and kept in.
    made: &'a Made,
    /// Time for a connection.
    connect: Duration,
    /// What the body moves.
    deadline: &'a Deadline,
    /// Set when the body was sent and a status of 2xx has come.
    answered: &'a AtomicBool,
    /// Gets the connection on which the answer came, and the rest of the body may go.
    half_done: &'a Mutex<Option<Connection>>,
}

impl Shared {
    /// Made anew once the roots are others, where the client believes them: what came about by the old ones is not gone on with.
    fn made(&self) -> Arc<Made> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let changes = self.roots.changes();
        if self.settings.trust == Trust::System && made.changes != changes {
            *made = Arc::new(Made::new(&self.settings, changes));
        }
        made.clone()
    }

    /// A peer that cannot meet expectations gets the request without one.
    async fn exchange_or_insist(&self, way: Way<'_>, head: Head, body: &SendBody) -> Result<Answer, PostError> {
        let answer = self.exchange(way, &head, body).await?;
        if head.expects() && answer.early && answer.status == StatusCode::EXPECTATION_FAILED.as_u16() {
            return self.exchange(way, &head.without_expectation(), body).await;
        }
        if way.proxy.is_some_and(|_| !way.target.tls) && answer.status == PROXY_AUTHENTICATION {
            return Err(proxy::credentials_refused());
        }
        Ok(answer)
    }

    async fn exchange(&self, way: Way<'_>, head: &Head, body: &SendBody) -> Result<Answer, PostError> {
        if let Some(mut pooled) = way.made.pool.take(way.target).await {
            let (request, course) = head.request(body, way.deadline);
            match pooled.requests.try_send_request(request).await {
                Ok(response) => return self.finish(way, pooled, response, &course).await,
                // The request came back unwritten: the one case in which a second connection is right.
                Err(unsent) if unsent.message().is_some() => {}
                Err(failed) => return Err(PostError::from(failed.into_error()).under_way()),
            }
        }
        let late = |_| PostError::new(PostErrorKind::ConnectTimeout, "no connection in time");
        let mut fresh = tokio::time::timeout(way.connect, self.connect(way)).await.map_err(late)??;
        let (request, course) = head.request(body, way.deadline);
        // Behind an answer of whatever kind, an alert is no word about our certificate.
        let can_be_refused = fresh.judges_late && course.expectation.is_none();
        let response = fresh.requests.send_request(request).await.map_err(|error| {
            let error = PostError::from(error);
            if can_be_refused { error } else { error.under_way() }
        })?;
        self.finish(way, fresh, response, &course).await
    }

    /// Reads the answer and keeps the connection, or sees to its end.
    async fn finish(
        &self,
        way: Way<'_>,
        mut connection: Connection,
        response: Response<Incoming>,
        course: &Course,
    ) -> Result<Answer, PostError> {
        let early = course.end();
        let is_success = response.status().is_success();
        way.answered.store(is_success && !early, Ordering::Relaxed);
        connection.again = response.version() == Version::HTTP_11;
        let answer = Answer::read(response, self.settings.answer_limit, early, &connection.cut).await?;
        if !early {
            way.made.pool.put(way.target, connection);
        } else if is_success {
            // Such an answer does not say that the rest of the body is not wanted (RFC 9110 7.5).
            *way.half_done.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection);
        } else {
            // Any other does, so nothing more is sent (RFC 9112 9.5).
            drop(connection);
        }
        Ok(answer)
    }

    async fn connect(&self, way: Way<'_>) -> Result<Connection, PostError> {
        let Way { target, proxy, made, connect, .. } = way;
        let stream = match proxy {
            None => connect_tcp(target, self.settings.addresses, connect).await?,
            Some(proxy) => {
                let mut stream = connect_tcp(proxy.target(), Addresses::Any, connect).await.map_err(unreached)?;
                if target.tls {
                    proxy.tunnel(&mut stream, target).await?;
                }
                stream
            }
        };
        let cut = Cut::default();
        if !target.tls {
            return made.handshake(stream, cut).await;
        }
        if self.settings.old_tls {
            let stream = self.old_tls(made)?.connect(stream, target).await?;
            return made.handshake(Ending::tolerated(stream, &cut), cut).await;
        }
        let name = ServerName::try_from(target.host.clone());
        let name = name.map_err(|_| PostError::new(PostErrorKind::BadUrl, "the host is not a DNS name or address"))?;
        let connector = TlsConnector::from(self.tls_config(made)?);
        let stream = connector.connect(name, stream).await.map_err(|error| PostError::from_tls(&error))?;
        let version = stream.get_ref().1.protocol_version();
        let mut connection = made.handshake(Ending::tolerated(stream, &cut), cut).await?;
        connection.judges_late = version == Some(rustls::ProtocolVersion::TLSv1_3);
        Ok(connection)
    }

    fn old_tls(&self, made: &Made) -> Result<Arc<OldTls>, PostError> {
        if let Some(old_tls) = made.old_tls.get() {
            return Ok(Arc::clone(old_tls));
        }
        let old_tls = OldTls::new(&self.roots, &self.settings.trust, self.settings.identity.as_ref());
        let old_tls = old_tls.map_err(|error| PostError::new(PostErrorKind::Tls, error))?;
        Ok(Arc::clone(made.old_tls.get_or_init(|| Arc::new(old_tls))))
    }

    fn tls_config(&self, made: &Made) -> Result<Arc<rustls::ClientConfig>, PostError> {
        if let Some(config) = made.tls.get() {
            return Ok(Arc::clone(config));
        }
        let ClientSettings { trust, identity, .. } = &self.settings;
        let config = tls::client_config_with(&self.roots, trust, identity.as_ref());
        let config = config.map_err(|error| PostError::new(PostErrorKind::Tls, error))?;
        Ok(Arc::clone(made.tls.get_or_init(|| config)))
    }
}

impl Made {
    fn new(settings: &ClientSettings, changes: u64) -> Made {
        let pool = Pool::new(settings.idle, settings.idle_per_host);
        Made { changes, tls: OnceLock::new(), old_tls: OnceLock::new(), pool }
    }

    /// `cut`: what `stream` notes.
    async fn handshake<S>(&self, stream: S, cut: Cut) -> Result<Connection, PostError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut builder = http1::Builder::new();
        builder.title_case_headers(true).max_headers(ANSWER_HEADERS).max_header_size(ANSWER_HEAD);
        // Old products fold the Content-Type of an MDN, or write a blank before the colon.
        builder.allow_obsolete_multiline_headers_in_responses(true);
        builder.allow_spaces_after_header_name_in_responses(true);
        let (sender, driver) = builder.handshake(TokioIo::new(Heard::new(stream))).await?;
        // Its errors reach us through the request.
        let mut connection = self.pool.drive(sender, async move { drop(driver.await) });
        connection.cut = cut;
        Ok(connection)
    }
}

/// Tries the host's addresses in turn, each for its share of the time, and only those that were judged.
async fn connect_tcp(target: &Target, addresses: Addresses, within: Duration) -> Result<TcpStream, PostError> {
    let found = tokio::net::lookup_host((target.host.as_str(), target.port)).await;
    let found: Vec<SocketAddr> = found.map_err(|error| PostError::new(PostErrorKind::Resolve, error))?.collect();
    if found.is_empty() {
        return Err(PostError::new(PostErrorKind::Resolve, "the host has no address"));
    }
    let allowed: Vec<SocketAddr> = found.into_iter().filter(|found| addresses.allows(found.ip())).collect();
    let mut failure = forbidden();
    let deadline = Instant::now() + within;
    for (index, address) in allowed.iter().enumerate() {
        let left = u32::try_from(allowed.len().saturating_sub(index)).unwrap_or(u32::MAX);
        let share = deadline.saturating_duration_since(Instant::now()).checked_div(left).unwrap_or(within);
        failure = match tokio::time::timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => PostError::new(PostErrorKind::Connect, format_args!("{address}: {error}")),
            Err(_) => PostError::new(PostErrorKind::ConnectTimeout, format_args!("{address}: no connection in time")),
        };
    }
    Err(failure)
}

fn forbidden() -> PostError {
    PostError::new(PostErrorKind::Forbidden, "the host leads to a private or special address")
}

/// Fields of an answer's head, at most.
const ANSWER_HEADERS: usize = 128;
/// Bytes of an answer's head, at most.
const ANSWER_HEAD: usize = 64 * 1024;

/// A proxy's answer to a request that it was to forward.
const PROXY_AUTHENTICATION: u16 = 407;

/// One client per TLS profile, so that partners with the same profile share connections, and so that unchanged
/// partners keep theirs when the configuration is read again.
#[derive(Debug, Default)]
pub struct ClientCache(Mutex<HashMap<[u8; 32], Client>>);

impl ClientCache {
    /// The client for `settings`, made when it is first asked for.
    pub fn client(&self, settings: &ClientSettings) -> Result<Client, TlsError> {
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let profile = profile(settings);
        if let Some(client) = clients.get(&profile) {
            return Ok(client.clone());
        }
        let client = Client::new(settings.clone())?;
        clients.insert(profile, client.clone());
        Ok(client)
    }
}

/// Equal for equal settings.
fn profile(settings: &ClientSettings) -> [u8; 32] {
    let mut hasher = openssl::sha::Sha256::new();
    if let Trust::Pinned(certificates) = &settings.trust {
        hasher.update(b"pinned");
        for certificate in certificates {
            hasher.update(&openssl::sha::sha256(certificate));
        }
    }
    hasher.update(&settings.identity.as_ref().map(Identity::digest).unwrap_or_default());
    hasher.update(&settings.proxy.as_ref().map(Proxy::digest).unwrap_or_default());
    let ClientSettings { addresses, any_port, answer_limit, idle, idle_per_host, chunked, expect, old_tls, .. } =
        settings;
    let ways = format!("{addresses:?} {any_port} {chunked} {expect:?} {old_tls}");
    hasher.update(format!("{ways} {answer_limit} {idle:?} {idle_per_host}").as_bytes());
    hasher.finish()
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
