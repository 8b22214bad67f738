//! The listener: limits first, then requests.
//!
//! A place in the total is taken before a connection is accepted, the place of its address right after; both are given back
//! when the connection and its handler have ended, so that whoever hangs up has no more at work than who stays. Then come the
//! TLS handshake under a deadline, each head under a deadline (the same one ends idle kept-alive connections), the
//! body under a [`Pace`], and sending under a stall limit. A request whose framing can be read in two ways is refused
//! (RFC 9112 6.3, 11.2). What a client has proved in its handshake is judged at each request, by what the listener asks for then.
//!
//! Each request is answered within the task of its connection. The peer's hanging up does not cancel it: it goes on in a
//! task of its own then. A panic in it becomes a 500, and the listener does not end before it.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use ::http::{Method, Request, Response, StatusCode, header};
use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use super::body::{Pace, RequestBody, SendBody, Sending};
use super::connection::{self, Framing, Watched};
use super::exchange::{ClientCertificate, Exchange, Handler, Reply};
use super::figures::{Connected, ListenerFigures};
use super::handlers::{AtWork, Crew};
use super::permits::{Permit, Permits};
use super::server_tls::{ServerTls, Side};
use crate::bilingual;
use crate::ground::network::Network;
use crate::ground::text::Bilingual;

/// Every limit of a listener. Durations and counts with their defaults are those against slow and numerous peers.
#[derive(Debug, Clone)]
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
    /// Connections at a time, with those that ended and whose handler is at work; further ones wait in the kernel's backlog.
    pub max_connections: usize,
    /// Connections at a time from one address; further ones are closed at once.
    pub max_per_ip: usize,
    /// Addresses for which that does not hold: each stands for many senders.
    pub proxies: Vec<Network>,
    /// How long open requests may go on after shutdown began.
    pub drain: Duration,
    /// Where what happens is counted.
    pub figures: ListenerFigures,
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
            proxies: Vec::new(),
            drain: Duration::from_secs(30),
            figures: ListenerFigures::default(),
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
    /// Stable name.
    pub fn code(&self) -> &'static str {
        match self.source.kind() {
            io::ErrorKind::AddrInUse => "address-in-use",
            io::ErrorKind::PermissionDenied => "address-not-allowed",
            io::ErrorKind::AddrNotAvailable => "address-not-here",
            _ => "listen-failed",
        }
    }

    /// What is wrong and what to do.
    pub fn text(&self) -> Bilingual {
        let BindError { address, source } = self;
        match source.kind() {
            io::ErrorKind::AddrInUse => bilingual!(
                "地址 {address} 已被占用；请停止占用它的程序，或在 gateway.toml 中换一个 listen 地址",
                "the address {address} is in use; stop the program that holds it or choose another `listen` in gateway.toml"
            ),
            io::ErrorKind::PermissionDenied => bilingual!(
                "没有权限监听 {address}；请使用 1024 以上的端口，或授予 CAP_NET_BIND_SERVICE",
                "not allowed to listen on {address}; use a port from 1024 or grant CAP_NET_BIND_SERVICE"
            ),
            io::ErrorKind::AddrNotAvailable => bilingual!(
                "地址 {address} 不属于本机；请检查 gateway.toml 中的 listen",
                "the address {address} does not belong to this machine; check `listen` in gateway.toml"
            ),
            _ => bilingual!("无法监听 {address}：{source}", "cannot listen on {address}: {source}"),
        }
    }
}

/// Listens on `address`; port 0 takes a free one.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    TcpListener::bind(address).await.map_err(|source| BindError { address, source })
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
    accept(listener, Door { tls, settings, inner: HandlerService(handler) }, shutdown).await;
}

/// The same for an axum router; the peer's address is there as `ConnectInfo<SocketAddr>`.
pub async fn serve_router(
    listener: TcpListener,
    tls: Option<ServerTls>,
    router: axum::Router,
    settings: ServerSettings,
    shutdown: impl Future<Output = ()> + Send,
) {
    accept(listener, Door { tls, settings, inner: RouterService(router) }, shutdown).await;
}

/// Pause after a failed accept: usually out of file descriptors, which only time heals.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

async fn accept<I: Inner>(listener: TcpListener, door: Door<I>, shutdown: impl Future<Output = ()> + Send) {
    let settings = &door.settings;
    let permits = Permits::new(settings.max_connections, settings.max_per_ip, settings.proxies.clone());
    let drain = settings.drain;
    settings.figures.permit(settings.max_connections);
    let door = Arc::new(door);
    let handlers = Crew::default();
    let mut connections = JoinSet::new();
    let (stop, stopped) = watch::channel(false);
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let next = async { (permits.total().await, listener.accept().await) };
        let (total, accepted) = tokio::select! {
            next = next => next,
            () = &mut shutdown => break,
        };
        while connections.try_join_next().is_some() {}
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(event = "accept-failed", %error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(permit) = total.and_then(|total| permits.for_ip(total, peer.ip())) else {
            door.settings.figures.refused("too-many");
            tracing::warn!(event = "too-many-connections", %peer, "closed: too many connections from this address");
            continue;
        };
        let place = Arc::new((permit, door.settings.figures.connected()));
        let link = Link { door: Arc::clone(&door), peer, place, handlers: handlers.clone(), stopped: stopped.clone() };
        connections.spawn(link.run(stream));
    }
    drop(listener);
    let _ = stop.send(true);
    let end = Instant::now() + drain;
    let calm = async {
        while connections.join_next().await.is_some() {}
        handlers.join().await;
    };
    if tokio::time::timeout_at(end, calm).await.is_err() {
        tracing::warn!(event = "drain-deadline", "open requests were cut off at the end of the drain time");
    }
    connections.shutdown().await;
    handlers.abort().await;
}

/// What every connection of a listener shares.
struct Door<I> {
    tls: Option<ServerTls>,
    settings: ServerSettings,
    inner: I,
}

/// What a connection takes of its listener, held by it and by its handler.
type Place = Arc<(Permit, Connected)>;

/// One accepted connection.
struct Link<I> {
    door: Arc<Door<I>>,
    peer: SocketAddr,
    place: Place,
    handlers: Crew,
    stopped: watch::Receiver<bool>,
}

impl<I: Inner> Link<I> {
    async fn run(self, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let Some(tls) = &self.door.tls else { return self.talk(stream, None).await };
        if let Some(instead) = tls.instead() {
            self.door.settings.figures.refused("tls");
            let _ = tokio::time::timeout(self.door.settings.handshake_timeout, no_handshake(stream, &instead)).await;
            return;
        }
        let side = tls.current();
        let handshake = TlsAcceptor::from(Arc::clone(&side.config)).accept(stream).into_fallible();
        match tokio::time::timeout(self.door.settings.handshake_timeout, handshake).await {
            Ok(Ok(stream)) => {
                let proved = Proved::new(tls, side, stream.get_ref().1.peer_certificates());
                self.talk(stream, Some(proved)).await;
            }
            Ok(Err((error, stream))) => {
                self.door.settings.figures.refused("tls");
                tracing::debug!(event = "tls-handshake-failed", peer = %self.peer, %error);
                // Of its refusal a client of TLS 1.3 hears when it has sent its request already.
                connection::close(stream).await;
            }
            Err(_) => {
                self.door.settings.figures.refused("tls");
                tracing::debug!(event = "tls-handshake-timeout", peer = %self.peer);
            }
        }
    }

    async fn talk<S>(self, stream: S, proved: Option<Proved>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let settings = &self.door.settings;
        let watched = Watched::new(stream, settings.write_stall, settings.max_header_bytes);
        let service = Service {
            door: Arc::clone(&self.door),
            place: Arc::clone(&self.place),
            handlers: self.handlers,
            framing: watched.framing(),
            peer: self.peer,
            proved,
        };
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .title_case_headers(true)
            .header_read_timeout(settings.header_timeout)
            .max_headers(settings.max_headers)
            .max_header_size(settings.max_header_bytes)
            .max_buf_size(settings.max_header_bytes.max(READ_BUFFER));
        let mut connection = builder.serve_connection(TokioIo::new(watched), service);
        let mut stopped = self.stopped;
        let mut stopping = false;
        let outcome = loop {
            tokio::select! {
                outcome = std::future::poll_fn(|cx| connection.poll_without_shutdown(cx)) => break outcome,
                _ = stopped.wait_for(|stopped| *stopped), if !stopping => {
                    stopping = true;
                    Pin::new(&mut connection).graceful_shutdown();
                }
            }
        };
        if let Err(error) = outcome {
            tracing::debug!(event = "connection-failed", peer = %self.peer, %error);
        }
        connection::close(connection.into_parts().io.into_inner()).await;
    }
}

/// Hears what the client begins with (one record, RFC 8446 5.1), says these bytes, and ends.
async fn no_handshake(mut stream: TcpStream, instead: &[u8]) -> io::Result<()> {
    let mut head = [0u8; 5];
    stream.read_exact(&mut head).await?;
    let [_, _, _, high, low] = head;
    let mut hello = vec![0u8; usize::from(u16::from_be_bytes([high, low]))];
    stream.read_exact(&mut hello).await?;
    stream.write_all(instead).await?;
    stream.shutdown().await
}

/// hyper's read buffer of one connection in bytes, at least.
const READ_BUFFER: usize = 128 * 1024;

/// What a client has proved in its handshake. What that is worth is up to what the listener asks for, which may change while
/// the connection is kept.
struct Proved {
    tls: ServerTls,
    /// The certificate whose key the client holds, then those that it sent along; `None`: it has shown none.
    chain: Option<Vec<CertificateDer<'static>>>,
    /// By which setting it was judged last, and the outcome.
    judged: Mutex<(Arc<Side>, Option<ClientCertificate>)>,
}

impl Proved {
    /// `side` is the setting of the handshake.
    fn new(tls: &ServerTls, side: Arc<Side>, chain: Option<&[CertificateDer<'static>]>) -> Proved {
        let client = side.client(chain);
        Proved { tls: tls.clone(), chain: chain.map(<[_]>::to_vec), judged: Mutex::new((side, client)) }
    }

    /// The client's certificate as it counts now, and whether one is required.
    fn judge(&self) -> (Option<ClientCertificate>, bool) {
        let current = self.tls.current();
        let mut judged = self.judged.lock().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&judged.0, &current) {
            let client = current.client(self.chain.as_deref());
            *judged = (current, client);
        }
        let (side, client) = &*judged;
        (client.clone(), side.required)
    }
}

/// hyper's view of one connection.
struct Service<I> {
    door: Arc<Door<I>>,
    place: Place,
    handlers: Crew,
    framing: Framing,
    peer: SocketAddr,
    /// None without TLS.
    proved: Option<Proved>,
}

impl<I: Inner> hyper::service::Service<Request<Incoming>> for Service<I> {
    type Response = Response<OutBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<OutBody>, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let framing = self.framing.clone();
        let figures = self.door.settings.figures.clone();
        if framing.is_ambiguous() {
            figures.answered(400);
            return Box::pin(async { Ok(response(Reply::plain(400, "bad request\n").closing())) });
        }
        let (head, body) = request.into_parts();
        let head_only = head.method == Method::HEAD;
        let (client, client_required) = self.proved.as_ref().map_or((None, false), Proved::judge);
        let exchange = Exchange {
            method: head.method,
            uri: head.uri,
            headers: head.headers,
            body: RequestBody::network(body, self.door.settings.pace),
            peer: self.peer,
            client,
            client_required,
        };
        let (door, place) = (Arc::clone(&self.door), Arc::clone(&self.place));
        let work = async move {
            let answer = door.inner.answer(exchange).await;
            // The connection may have ended long ago.
            drop(place);
            answer
        };
        let answer = AtWork::new(work, &self.handlers);
        Box::pin(async move {
            let mut answer = answer.await.unwrap_or_else(|| response(Reply::plain(500, "internal error\n").closing()));
            if head_only {
                announce_length(&mut answer);
            }
            framing.await_next();
            figures.answered(answer.status().as_u16());
            Ok(answer)
        })
    }
}

/// What answers the requests of a listener.
trait Inner: Send + Sync + 'static {
    fn answer(&self, exchange: Exchange) -> impl Future<Output = Response<OutBody>> + Send;
}

struct HandlerService<H>(Arc<H>);

impl<H: Handler> Inner for HandlerService<H> {
    async fn answer(&self, exchange: Exchange) -> Response<OutBody> {
        response(self.0.handle(exchange).await)
    }
}

struct RouterService(axum::Router);

impl Inner for RouterService {
    async fn answer(&self, exchange: Exchange) -> Response<OutBody> {
        let mut request = Request::new(axum::body::Body::new(exchange.body));
        *request.method_mut() = exchange.method;
        *request.uri_mut() = exchange.uri;
        *request.headers_mut() = exchange.headers;
        request.extensions_mut().insert(axum::extract::ConnectInfo(exchange.peer));
        let answer = tower_service::Service::call(&mut self.0.clone(), request).await;
        answer.unwrap_or_else(|never| match never {}).map(OutBody::Router)
    }
}

/// The length that a GET would have: hyper leaves it out of answers to HEAD, and some products wait for a body without
/// it (RFC 9110 8.6).
fn announce_length(answer: &mut Response<OutBody>) {
    let length = answer.body().size_hint().exact();
    if let Some(length) = length.filter(|_| !answer.headers().contains_key(header::CONTENT_LENGTH)) {
        answer.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    }
}

/// The reply in hyper's terms; a field that cannot be sent is our own mistake: 500.
fn response(reply: Reply) -> Response<OutBody> {
    let mut builder = Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        builder = builder.header(name.as_str(), value.as_bytes());
    }
    if reply.close {
        builder = builder.header(header::CONNECTION, "close");
    }
    builder.body(OutBody::Ours(Sending::new(&reply.body))).unwrap_or_else(|error| {
        tracing::error!(event = "unsendable-reply", %error, "a reply had an invalid status or header field");
        let mut response = Response::new(OutBody::Ours(Sending::new(&SendBody::empty())));
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    })
}

/// Either kind of reply body.
enum OutBody {
    Ours(Sending),
    Router(axum::body::Body),
}

impl Body for OutBody {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.get_mut() {
            OutBody::Ours(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
            OutBody::Router(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            OutBody::Ours(body) => body.is_end_stream(),
            OutBody::Router(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            OutBody::Ours(body) => body.size_hint(),
            OutBody::Router(body) => body.size_hint(),
        }
    }
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
