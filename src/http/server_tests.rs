//! Limits over real loopback sockets. Deadlines are short and configured; every wait is a read that ends.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::ground::drain::Shutdown;
use crate::http::specimens::{self, Pair, lasting};
use crate::http::tls::client_config;
use crate::http::{BodyError, ClientAuth, ClientTrust, Trust};

/// Reads the whole body, answers with its length; special paths misbehave on request.
#[derive(Default)]
struct Counting {
    /// Of `/slow`.
    begun: AtomicUsize,
    finished: AtomicUsize,
    entered: Notify,
    go_on: Notify,
}

impl Handler for Counting {
    async fn handle(&self, mut request: Exchange) -> Reply {
        match request.uri.path() {
            "/panic" => panic!("asked for"),
            "/slow" => {
                self.begun.fetch_add(1, Ordering::SeqCst);
                self.entered.notify_one();
                self.go_on.notified().await;
            }
            "/refuse" => return Reply::plain(403, "no\n"),
            "/file" => return Reply::new(200).body(SendBody::reader(200_000, || Ok(Box::new(std::io::repeat(b'x'))))),
            "/broken" => return Reply::new(200).header("X", "a\r\nb"),
            _ => {}
        }
        let outcome = request.body.read_all(1000).await;
        self.finished.fetch_add(1, Ordering::SeqCst);
        match outcome {
            Ok(bytes) => Reply::new(200).body(format!("{} bytes", bytes.len()).into_bytes()),
            Err(error) => error.reply(),
        }
    }
}

struct Running {
    address: SocketAddr,
    handler: Arc<Counting>,
    shutdown: Shutdown,
    task: tokio::task::JoinHandle<()>,
}

fn quick() -> ServerSettings {
    ServerSettings {
        header_timeout: Duration::from_millis(200),
        pace: Pace {
            idle: Duration::from_millis(200),
            min_rate: 1000,
            window: Duration::from_secs(1),
            total: Duration::from_secs(20),
        },
        drain: Duration::from_millis(300),
        ..ServerSettings::default()
    }
}

async fn start(settings: ServerSettings) -> Running {
    let listener = bind("127.0.0.1:0".parse().expect("literal")).await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let handler = Arc::new(Counting::default());
    let shutdown = Shutdown::new();
    let signal = shutdown.clone();
    let served = Arc::clone(&handler);
    #[expect(clippy::disallowed_methods, reason = "the test joins it")]
    let task = tokio::spawn(async move {
        serve(listener, None, served, settings, async move { signal.triggered().await }).await;
    });
    Running { address, handler, shutdown, task }
}

impl Running {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("connected")
    }

    /// Sends `bytes` and reads until the server closes.
    async fn talk(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.expect("sent");
        read_to_end(&mut stream).await
    }

    async fn stop(self) {
        self.shutdown.trigger();
        self.task.await.expect("served to the end");
    }
}

async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // A reset after the answer is as good an end as any.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut answer = String::new();
    let mut byte = [0u8; 1];
    while !answer.ends_with(end) {
        assert_eq!(stream.read(&mut byte).await.expect("readable"), 1, "closed after {answer:?}");
        answer.push(char::from(byte[0]));
    }
    answer
}

#[tokio::test]
async fn a_request_is_answered_and_the_connection_is_kept() {
    let server = start(quick()).await;
    let mut stream = server.connect().await;
    for _ in 0..2 {
        stream.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello").await.expect("sent");
        let answer = read_until(&mut stream, "5 bytes").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }
    server.stop().await;
}

#[tokio::test]
async fn silence_and_slow_heads_are_cut() {
    let server = start(quick()).await;
    assert_eq!(server.talk(b"").await, "");
    let answer = server.talk(b"POST / HTTP/1.1\r\nHost: a\r\nX-Slow: ").await;
    assert!(!answer.contains("200"), "{answer}");
    server.stop().await;
}

#[tokio::test]
async fn a_kept_connection_without_a_next_request_is_closed() {
    let server = start(quick()).await;
    let answer = server.talk(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx").await;
    assert!(answer.ends_with("1 bytes"), "{answer}");
    server.stop().await;
}

#[tokio::test]
async fn a_body_that_stops_is_answered_408() {
    let server = start(quick()).await;
    let answer = server.talk(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhello").await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    server.stop().await;
}

#[tokio::test]
async fn a_trickling_body_is_answered_408() {
    let mut settings = quick();
    settings.pace.idle = Duration::from_secs(10);
    settings.pace.window = Duration::from_secs(1);
    let server = start(settings).await;
    let answer = server.talk(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\n\r\nhello").await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    server.stop().await;
}

#[tokio::test]
async fn an_announced_oversize_body_is_refused_before_it_is_sent() {
    let server = start(quick()).await;
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\nExpect: 100-continue\r\n\r\n";
    let answer = server.talk(head).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    server.stop().await;
}

#[tokio::test]
async fn a_chunked_body_is_counted_and_its_sender_still_gets_the_answer() {
    let server = start(quick()).await;
    let mut request = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..40 {
        request.extend_from_slice(b"10000\r\n");
        request.extend(std::iter::repeat_n(b'x', 0x10000));
        request.extend_from_slice(b"\r\n");
    }
    let answer = server.talk(&request).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    server.stop().await;
}

#[tokio::test]
async fn one_hundred_continue_is_sent_only_when_the_body_is_wanted() {
    let server = start(quick()).await;
    let mut stream = server.connect().await;
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    stream.write_all(head.as_bytes()).await.expect("sent");
    read_until(&mut stream, "HTTP/1.1 100 Continue\r\n\r\n").await;
    stream.write_all(b"hello").await.expect("sent");
    read_until(&mut stream, "5 bytes").await;
    let refused = server.talk(head.replace("POST /", "POST /refuse").as_bytes()).await;
    assert!(refused.starts_with("HTTP/1.1 403 "), "{refused}");
    server.stop().await;
}

#[tokio::test]
async fn ambiguous_framing_is_refused_and_the_connection_closed() {
    let server = start(quick()).await;
    let heads = [
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\nhello",
        "POST / HTTP/1.1\r\nHost: a\r\nX: a\r\n folded\r\n\r\n",
    ];
    for head in heads {
        let answer = server.talk(head.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{head}: {answer}");
    }
    assert_eq!(server.handler.finished.load(Ordering::SeqCst), 0);
    server.stop().await;
}

#[tokio::test]
async fn a_second_request_on_a_connection_is_looked_at_too() {
    let server = start(quick()).await;
    let mut stream = server.connect().await;
    stream.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx").await.expect("sent");
    read_until(&mut stream, "1 bytes").await;
    let second = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    stream.write_all(second).await.expect("sent");
    let answer = read_to_end(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    server.stop().await;
}

#[tokio::test]
async fn too_many_or_too_large_fields_are_refused() {
    let server = start(ServerSettings { max_headers: 8, max_header_bytes: 1024, ..quick() }).await;
    let many: String = (0..20).map(|i| format!("X-{i}: 1\r\n")).collect();
    let large = format!("X: {}\r\n", "y".repeat(2000));
    for fields in [many, large] {
        let answer = server.talk(format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
    server.stop().await;
}

#[tokio::test]
async fn one_address_gets_only_its_share_of_connections() {
    let mut settings = ServerSettings { max_per_ip: 1, ..quick() };
    settings.header_timeout = Duration::from_secs(20);
    let server = start(settings).await;
    let mut first = server.connect().await;
    first.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx").await.expect("sent");
    read_until(&mut first, "1 bytes").await;
    assert_eq!(read_to_end(&mut server.connect().await).await, "");
    server.stop().await;
}

#[tokio::test]
async fn a_panicking_handler_is_a_500_and_the_server_goes_on() {
    let server = start(quick()).await;
    let answer = server.talk(b"GET /panic HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 500 ") && answer.ends_with("internal error\n"), "{answer}");
    let answer = server.talk(b"GET /broken HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    server.stop().await;
}

#[tokio::test]
async fn a_reader_is_sent_with_its_length() {
    let server = start(quick()).await;
    let answer = server.talk(b"GET /file HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(answer.contains("Content-Length: 200000\r\n"), "{}", &answer[..200]);
    assert_eq!(answer.matches('x').count(), 200_000);
    server.stop().await;
}

#[tokio::test]
async fn open_requests_end_well_when_the_server_stops() {
    let server = start(ServerSettings { drain: Duration::from_secs(20), ..quick() }).await;
    let mut stream = server.connect().await;
    stream.write_all(b"POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx").await.expect("sent");
    server.handler.entered.notified().await;
    let handler = Arc::clone(&server.handler);
    let address = server.address;
    let stopping = server.stop();
    let answer = async {
        // The listener is gone before the request is answered.
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        handler.go_on.notify_one();
        read_to_end(&mut stream).await
    };
    let ((), answer) = tokio::join!(stopping, answer);
    assert!(answer.ends_with("1 bytes"), "{answer}");
}

#[tokio::test]
async fn a_request_that_outlasts_the_drain_time_is_cut() {
    let server = start(quick()).await;
    let mut stream = server.connect().await;
    stream.write_all(b"POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx").await.expect("sent");
    server.handler.entered.notified().await;
    server.stop().await;
    assert_eq!(read_to_end(&mut stream).await, "");
}

#[tokio::test]
async fn a_handler_ends_even_when_its_peer_hung_up() {
    let server = start(quick()).await;
    let mut stream = server.connect().await;
    stream.write_all(b"POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx").await.expect("sent");
    server.handler.entered.notified().await;
    drop(stream);
    server.handler.go_on.notify_one();
    let handler = Arc::clone(&server.handler);
    server.stop().await;
    assert_eq!(handler.finished.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn whoever_hangs_up_has_no_more_handlers_at_work_than_connections() {
    let drain = Duration::from_secs(20);
    let server = start(ServerSettings { max_per_ip: 2, header_timeout: drain, drain, ..quick() }).await;
    for _ in 0..6 {
        let mut stream = server.connect().await;
        // The third and those behind it are closed at once.
        let _ = stream.write_all(b"POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx").await;
        let _ = stream.shutdown().await;
        assert_eq!(read_to_end(&mut stream).await, "", "the server sees that its peer is gone, and closes");
    }
    assert_eq!(server.handler.begun.load(Ordering::SeqCst), 2);
    server.handler.go_on.notify_waiters();
    let again = async {
        let request = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx";
        loop {
            let answer = server.talk(request).await;
            if !answer.is_empty() {
                return answer;
            }
        }
    };
    let answer = tokio::time::timeout(Duration::from_secs(20), again).await.expect("their places come back");
    assert!(answer.ends_with("1 bytes"), "{answer}");
    assert_eq!(server.handler.finished.load(Ordering::SeqCst), 3);
    server.stop().await;
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let taken = bind("127.0.0.1:0".parse().expect("literal")).await.expect("a free port");
    let address = taken.local_addr().expect("bound");
    let error = bind(address).await.expect_err("taken");
    assert_eq!(error.code(), "address-in-use");
    assert!(error.text().en.contains(&address.to_string()));
}

#[tokio::test]
async fn a_router_gets_bodies_under_the_same_limits() {
    let listener = bind("127.0.0.1:0".parse().expect("literal")).await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let read = async |request: axum::extract::Request| {
        let mut body = RequestBody::from_router(request.into_body());
        match body.read_all(3).await {
            Ok(bytes) => bytes.len().to_string(),
            Err(error @ BodyError::TooSlow) => error.code().to_owned(),
            Err(error) => error.to_string(),
        }
    };
    let router = axum::Router::new().route("/", axum::routing::post(read));
    let shutdown = Shutdown::new();
    let served = serve_router(listener, None, router, quick(), async { shutdown.triggered().await });
    let talk = async {
        let mut answers = Vec::new();
        for (length, body) in [(3, "abc"), (4, "abcd"), (2, "a")] {
            let mut stream = TcpStream::connect(address).await.expect("connected");
            let request =
                format!("POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
            stream.write_all(format!("{request}{body}").as_bytes()).await.expect("sent");
            answers.push(read_to_end(&mut stream).await);
        }
        shutdown.trigger();
        answers
    };
    let ((), answers) = tokio::join!(served, talk);
    assert!(answers[0].ends_with("\r\n3"), "{answers:?}");
    assert!(answers[1].ends_with("larger than 3 bytes"), "{answers:?}");
    assert!(answers[2].ends_with("body-too-slow"), "{answers:?}");
}

#[tokio::test]
async fn a_question_for_the_head_alone_is_told_the_length() {
    let server = start(quick()).await;
    let answer = server.talk(b"HEAD /refuse HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(answer.contains("\r\nContent-Length: 3\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
    server.stop().await;
}

/// Says what the listener makes of its client.
struct Judging;

impl Handler for Judging {
    async fn handle(&self, request: Exchange) -> Reply {
        let Exchange { client, client_required, .. } = request;
        let issued = client.map(|client| client.issued);
        Reply::new(200).body(format!("{issued:?} {client_required}").into_bytes())
    }
}

async fn secured(address: SocketAddr, server: &Pair, shown: Option<&Pair>) -> TlsStream<TcpStream> {
    let config = client_config(&Trust::Pinned(vec![server.der()]), shown.map(Pair::identity).as_ref());
    let stream = TcpStream::connect(address).await.expect("connected");
    let name = "as2.example.com".try_into().expect("a name");
    TlsConnector::from(config.expect("usable")).connect(name, stream).await.expect("let in")
}

/// What the listener says to one more request over a connection that is kept.
async fn told(stream: &mut TlsStream<TcpStream>) -> String {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("sent");
    stream.flush().await.expect("sent");
    // An answer reads like a request.
    let answer = specimens::request(stream).await.expect("kept");
    answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).expect("a body")
}

#[tokio::test]
async fn what_a_client_has_proved_is_judged_at_each_request_by_what_the_listener_asks_for_then() {
    let (server, authority) = (lasting("as2.example.com", None), lasting("Clients CA", None));
    let issued = lasting("client.partner.example", Some(&authority));
    let trust = |issuers: Vec<Vec<u8>>| ClientTrust { issuers, known: Arc::new(|_| false) };
    let theirs = || trust(vec![authority.der()]);
    let tls = ServerTls::new(&server.identity(), &ClientAuth::Ask(theirs())).expect("usable");
    let listener = bind("127.0.0.1:0".parse().expect("literal")).await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let shutdown = Shutdown::new();
    let stop = async { shutdown.triggered().await };
    let served = serve(listener, Some(tls.clone()), Arc::new(Judging), ServerSettings::default(), stop);
    let talk = async {
        let mut client = secured(address, &server, Some(&issued)).await;
        let mut nobody = secured(address, &server, None).await;
        assert_eq!(told(&mut client).await, "Some(true) false");
        assert_eq!(told(&mut nobody).await, "None false");
        for (clients, of_client, of_nobody) in [
            (ClientAuth::Ask(trust(Vec::new())), "Some(false) false", "None false"),
            (ClientAuth::Require(theirs()), "Some(true) true", "None true"),
            (ClientAuth::None, "Some(false) false", "None false"),
        ] {
            tls.replace(&server.identity(), &clients).expect("usable");
            // The second time nothing has changed.
            for _ in 0..2 {
                assert_eq!(told(&mut client).await, of_client, "{clients:?}");
                assert_eq!(told(&mut nobody).await, of_nobody, "{clients:?}");
            }
        }
        shutdown.trigger();
    };
    tokio::join!(served, talk);
}
