//! How connections end: none outlasts its request by more than a farewell, whatever its peer does.

use std::io::{self, Read};
use std::pin::Pin;

use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use openssl::ssl::{Ssl, SslAcceptor, SslMethod};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_openssl::SslStream;

use super::*;
use crate::http::specimens::{Pair, head, lasting, listen, request};
use crate::http::{Addresses, Client, ClientSettings, PostErrorKind, SendBody, Timeouts, Trust};

const PATIENT: Timeouts = Timeouts { connect: Duration::from_secs(10), total: Duration::from_secs(20) };
const SHORT: Timeouts = Timeouts { connect: Duration::from_secs(10), total: Duration::from_millis(500) };
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
/// More than the buffers between two sockets hold.
const LONG: u64 = 256 << 20;

/// What a connection is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    Tcp,
    Tls,
    /// Our side is the one for old servers.
    OldTls,
}

const EVERY_KIND: [Over; 3] = [Over::Tcp, Over::Tls, Over::OldTls];

trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

/// A scripted peer.
struct Peer {
    listener: TcpListener,
    url: String,
    pair: Pair,
    over: Over,
}

impl Peer {
    async fn new(over: Over) -> Peer {
        let (listener, url) = listen().await;
        let url = if over == Over::Tcp { url } else { url.replace("http:", "https:") };
        Peer { listener, url, pair: lasting("localhost", None), over }
    }

    fn client(&self, settings: ClientSettings) -> Client {
        let (trust, old_tls) = (Trust::Pinned(vec![self.pair.der()]), self.over == Over::OldTls);
        Client::new(ClientSettings { trust, old_tls, addresses: Addresses::Any, ..settings }).expect("usable")
    }

    async fn accept(&self) -> Box<dyn Stream> {
        let (socket, _) = self.listener.accept().await.expect("accepted");
        if self.over == Over::Tcp {
            return Box::new(socket);
        }
        let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).expect("an acceptor");
        acceptor.set_private_key(&self.pair.key).expect("a key");
        acceptor.set_certificate(&self.pair.certificate).expect("a certificate");
        let ssl = Ssl::new(acceptor.build().context()).expect("a session");
        let mut stream = SslStream::new(ssl, socket).expect("a stream");
        Pin::new(&mut stream).accept().await.expect("a handshake");
        Box::new(stream)
    }
}

/// A reader of zeros that says when it is dropped.
struct Zeros(UnboundedSender<()>);

impl Read for Zeros {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        buffer.fill(0);
        Ok(buffer.len())
    }
}

impl Drop for Zeros {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

/// A body, and what hears of the end of each of its readers.
fn zeros(len: u64) -> (SendBody, UnboundedReceiver<()>) {
    let (sender, receiver) = unbounded_channel();
    (SendBody::reader(len, move || Ok(Box::new(Zeros(sender.clone())))), receiver)
}

/// The body was read from, and its reader is dropped before long.
async fn let_go(mut readers: UnboundedReceiver<()>) {
    let ended = tokio::time::timeout(Duration::from_secs(20), readers.recv()).await;
    ended.expect("the body is let go").expect("it was read from");
}

#[tokio::test]
async fn a_peer_that_stops_reading_holds_no_body_once_the_time_of_its_request_is_over() {
    for over in EVERY_KIND {
        let peer = Peer::new(over).await;
        let client = peer.client(ClientSettings::default());
        let (body, readers) = zeros(LONG);
        let posts = async {
            // The second request needs no handshake, which would take of its time.
            client.post(&peer.url, &[], SendBody::empty(), PATIENT).await.expect("answered");
            client.post(&peer.url, &[], body, SHORT).await.expect_err("late").kind
        };
        let served = async {
            let mut stream = peer.accept().await;
            request(&mut stream).await.expect("a request");
            stream.write_all(OK).await.expect("sent");
            head(&mut stream).await;
            stream
        };
        let (kind, stream) = tokio::join!(posts, served);
        assert_eq!(kind, PostErrorKind::Timeout, "{over:?}");
        let_go(readers).await;
        drop(stream);
    }
}

#[tokio::test]
async fn an_early_refusal_is_read_whole_and_then_its_peer_holds_no_body() {
    let text = "n".repeat(900_000);
    let refusal = format!("HTTP/1.1 413 No\r\nContent-Length: {}\r\n\r\n{text}", text.len());
    for over in EVERY_KIND {
        let peer = Peer::new(over).await;
        let client = peer.client(ClientSettings::default());
        let (body, readers) = zeros(LONG);
        let served = async {
            let mut stream = peer.accept().await;
            head(&mut stream).await;
            stream.write_all(refusal.as_bytes()).await.expect("sent");
            stream
        };
        let (answer, stream) = tokio::join!(client.post(&peer.url, &[], body, PATIENT), served);
        let answer = answer.expect("answered");
        assert_eq!((answer.status, answer.early, answer.body.len()), (413, true, text.len()), "{over:?}");
        let_go(readers).await;
        drop(stream);
    }
}

#[tokio::test]
async fn a_peer_that_says_yes_early_gets_the_rest_of_the_body() {
    let len = 64 << 20;
    let peer = Peer::new(Over::Tcp).await;
    let client = peer.client(ClientSettings::default());
    let (body, readers) = zeros(len);
    let served = async {
        let mut stream = peer.accept().await;
        head(&mut stream).await;
        stream.write_all(OK).await.expect("sent");
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await.expect("an orderly end")
    };
    let (answer, seen) = tokio::join!(client.post(&peer.url, &[], body, PATIENT), served);
    let answer = answer.expect("answered");
    assert_eq!((answer.status, answer.early, seen), (200, true, len));
    let_go(readers).await;
}

#[tokio::test]
async fn a_peer_that_says_yes_in_the_midst_of_a_body_from_memory_says_it_early_as_well() {
    let len: u64 = 64 << 20;
    let peer = Peer::new(Over::Tcp).await;
    let client = peer.client(ClientSettings::default());
    let body = SendBody::from(vec![0; 64 << 20]);
    let served = async {
        let mut stream = peer.accept().await;
        head(&mut stream).await;
        stream.write_all(OK).await.expect("sent");
        let seen = tokio::io::copy(&mut (&mut stream).take(len), &mut tokio::io::sink()).await;
        (seen.expect("the rest"), stream)
    };
    let (answer, (seen, stream)) = tokio::join!(client.post(&peer.url, &[], body, PATIENT), served);
    let answer = answer.expect("answered");
    assert_eq!((answer.status, answer.early, answer.is_of_whole_request(), seen), (200, true, false, len));
    drop(stream);
}

#[tokio::test]
async fn a_peer_that_says_yes_early_and_stops_reading_holds_the_body_no_longer_than_its_request_may_take() {
    let peer = Peer::new(Over::Tcp).await;
    let client = peer.client(ClientSettings::default());
    let (body, readers) = zeros(LONG);
    let served = async {
        let mut stream = peer.accept().await;
        head(&mut stream).await;
        stream.write_all(OK).await.expect("sent");
        stream
    };
    let timeouts = Timeouts { total: Duration::from_secs(3), ..PATIENT };
    let begun = Instant::now();
    let (answer, stream) = tokio::join!(client.post(&peer.url, &[], body, timeouts), served);
    assert!(answer.expect("answered").early);
    assert!(begun.elapsed() >= timeouts.total, "it counts as under way as long as it holds anything");
    let_go(readers).await;
    drop(stream);
}

#[tokio::test]
async fn a_connection_that_is_not_kept_after_a_whole_exchange_ends_with_a_farewell_of_tls() {
    let full = ClientSettings { idle_per_host: 0, ..ClientSettings::default() };
    // The first connection is old when the second request looks for one.
    let evicted = ClientSettings { idle: Duration::ZERO, ..ClientSettings::default() };
    for over in [Over::Tls, Over::OldTls] {
        for settings in [&full, &evicted] {
            let peer = Peer::new(over).await;
            let client = peer.client(settings.clone());
            let posts = async {
                for _ in 0..2 {
                    client.post(&peer.url, &[], SendBody::empty(), PATIENT).await.expect("answered");
                }
            };
            let served = async {
                let mut streams = Vec::new();
                for _ in 0..2 {
                    let mut stream = peer.accept().await;
                    request(&mut stream).await.expect("a request");
                    stream.write_all(OK).await.expect("sent");
                    streams.push(stream);
                }
                // Without close_notify OpenSSL takes the end for an attack, and this fails.
                streams[0].read(&mut [0; 1]).await.expect("a farewell")
            };
            let ((), more) = tokio::join!(posts, served);
            assert_eq!(more, 0, "{over:?}");
        }
    }
}

/// A connection whose driver never ends of itself, and what fails once it has ended.
async fn stubborn(pool: &Pool) -> (Connection, oneshot::Receiver<()>) {
    let (near, far) = tokio::io::duplex(1);
    let (requests, connection) = http1::handshake(TokioIo::new(near)).await.expect("a connection");
    let (running, ended) = oneshot::channel();
    let driver = async move {
        let _held = (connection, far, running);
        std::future::pending::<()>().await;
    };
    (pool.drive(requests, driver), ended)
}

#[tokio::test(start_paused = true)]
async fn a_farewell_that_a_peer_does_not_take_is_cut_short_and_a_broken_exchange_gets_none() {
    let target = Target { tls: true, host: "as2.partner.example".to_owned(), port: 443 };
    let keep = Duration::from_secs(20);
    // Evicted; not ready again in time; without room.
    for (keep, per_target) in [(Duration::ZERO, 1), (keep, 1), (keep, 0)] {
        let pool = Pool::new(keep, per_target);
        let (connection, ended) = stubborn(&pool).await;
        let begun = Instant::now();
        pool.put(&target, connection);
        assert!(pool.take(&target).await.is_none());
        assert!(ended.await.is_err());
        let took = begun.elapsed();
        assert!((FAREWELL..FAREWELL * 2).contains(&took), "{took:?}");
    }
    let pool = Pool::new(keep, 1);
    let (connection, ended) = stubborn(&pool).await;
    let begun = Instant::now();
    drop(connection);
    assert!(ended.await.is_err());
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_let_go_when_its_time_is_over_although_only_other_servers_are_asked_for() {
    let target = |host: &str| Target { tls: true, host: host.to_owned(), port: 443 };
    let pool = Pool::new(Duration::from_secs(20), 1);
    let (connection, ended) = stubborn(&pool).await;
    pool.put(&target("as2.partner.example"), connection);
    tokio::time::advance(Duration::from_secs(21)).await;
    assert!(pool.take(&target("as2.other.example")).await.is_none());
    assert!(ended.await.is_err());
    assert!(pool.idle.lock().unwrap().by_target.is_empty(), "nor is its server remembered");
}
