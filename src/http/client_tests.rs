//! The client against scripted peers: each kind of failure, and what is and is not sent.

use std::io::{self, Read as _, Write as _};

use openssl::pkey::PKey;
use openssl::ssl::{SslAcceptor, SslMethod};
use openssl::x509::X509;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::ground::drain::Shutdown;
use crate::http::specimens::{der, lasting, listen, request, self_signed};
use crate::http::{ClientAuth, ClientTrust, Exchange, Handler, Reply, ServerSettings, ServerTls, serve};

const QUICK: Timeouts = Timeouts { connect: Duration::from_millis(500), total: Duration::from_secs(1) };
const PATIENT: Timeouts = Timeouts { connect: Duration::from_secs(10), total: Duration::from_secs(20) };

fn client() -> Client {
    Client::new(ClientSettings { addresses: Addresses::Any, answer_limit: 1000, ..ClientSettings::default() })
        .expect("plain settings")
}

/// Accepts once, reads one request, writes `answer`, closes.
async fn answer_once(listener: &TcpListener, answer: &str) -> String {
    let (mut stream, _) = listener.accept().await.expect("accepted");
    let seen = request(&mut stream).await.unwrap_or_default();
    stream.write_all(answer.as_bytes()).await.expect("sent");
    seen
}

async fn outcome(answer: &str) -> Result<Answer, PostErrorKind> {
    let (listener, url) = listen().await;
    let client = client();
    let post = client.post(&url, &[], b"hello".to_vec().into(), QUICK);
    let (result, _) = tokio::join!(post, answer_once(&listener, answer));
    result.map_err(|error| error.kind)
}

#[tokio::test]
async fn a_post_has_a_length_a_host_and_the_given_fields_only() {
    let (listener, url) = listen().await;
    let client = client();
    let fields = [
        ("AS2-From".to_owned(), "\"a b\"".to_owned()),
        ("Content-Length".to_owned(), "99".to_owned()),
        ("Transfer-Encoding".to_owned(), "chunked".to_owned()),
        ("Expect".to_owned(), "100-continue".to_owned()),
        ("Subject".to_owned(), "订单".to_owned()),
    ];
    let post = client.post(&url, &fields, b"hello".to_vec().into(), PATIENT);
    let answer = "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Y: z\r\n\r\nok";
    let (result, seen) = tokio::join!(post, answer_once(&listener, answer));
    let answer = result.expect("answered");
    assert_eq!((answer.status, answer.header("x-y"), &answer.body[..]), (200, Some("z"), &b"ok"[..]));
    let host = url.trim_start_matches("http://").trim_end_matches("/as2?x=1");
    let expected = format!(
        "POST /as2?x=1 HTTP/1.1\r\nHost: {host}\r\nAs2-From: \"a b\"\r\nSubject: 订单\r\nContent-Length: 5\r\n\r\nhello"
    );
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_redirect_is_an_answer_like_any_other() {
    let answer = outcome("HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n").await;
    let answer = answer.expect("answered");
    assert_eq!((answer.status, answer.header("location")), (302, Some("http://169.254.169.254/")));
}

#[tokio::test]
async fn a_folded_field_and_a_blank_before_the_colon_are_read() {
    let folded = "HTTP/1.1 200 OK\r\nContent-Type : multipart/signed;\r\n\tmicalg=sha-256;\r\n  boundary=b\r\nContent-Length: 2\r\n\r\nok";
    let answer = outcome(folded).await.expect("answered");
    let content_type = crate::mime::ContentType::parse(answer.header("content-type").unwrap()).unwrap();
    assert_eq!((content_type.param("micalg"), content_type.boundary().unwrap()), (Some("sha-256"), "b"));
    assert_eq!(&answer.body[..], b"ok");
}

#[tokio::test]
async fn every_broken_answer_has_its_kind() {
    let large = format!("HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n{}", "x".repeat(2000));
    let endless_head = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    let table = [
        ("", PostErrorKind::Closed),
        ("HTTP/1.1 200 O", PostErrorKind::Closed),
        ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", PostErrorKind::Closed),
        ("220 mail.example.com ESMTP\r\n", PostErrorKind::Protocol),
        ("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", PostErrorKind::Protocol),
        (&endless_head, PostErrorKind::Protocol),
        (&large, PostErrorKind::TooLarge),
    ];
    for (answer, kind) in table {
        assert_eq!(outcome(answer).await, Err(kind), "{:.60}", answer);
    }
}

#[tokio::test]
async fn a_status_that_is_no_success_counts_however_its_body_ends() {
    let large = format!("HTTP/1.1 404 No\r\nContent-Length: 2000\r\n\r\n{}", "x".repeat(2000));
    for (answer, status) in [
        ("HTTP/1.1 503 No\r\nContent-Length: 10\r\n\r\nshort", 503),
        ("HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n", 403),
        (large.as_str(), 404),
    ] {
        assert_eq!(outcome(answer).await.map(|answer| answer.status), Ok(status), "{:.60}", answer);
    }
}

#[tokio::test]
async fn only_a_2xx_that_breaks_off_says_that_the_request_was_read() {
    let table = [
        ("", false),
        ("HTTP/1.1 102 Processing\r\n\r\n", false),
        ("HTTP/1.1 200 O", false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", true),
        ("HTTP/1.1 202 OK\r\nTransfer-Encoding: chunked\r\n\r\n", true),
    ];
    for (answer, answered) in table {
        let (listener, url) = listen().await;
        let client = client();
        let post = client.post(&url, &[], b"hello".to_vec().into(), PATIENT);
        let (result, _) = tokio::join!(post, answer_once(&listener, answer));
        assert_eq!(result.expect_err("it breaks off").answered, answered, "{answer}");
    }
    let stalling = async |listener: &TcpListener| {
        let (mut stream, _) = listener.accept().await.expect("accepted");
        request(&mut stream).await.expect("a whole request");
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n").await.expect("sent");
        stream
    };
    let (listener, url) = listen().await;
    let client = client();
    let timeouts = Timeouts { total: Duration::from_millis(500), ..QUICK };
    let (result, stream) = tokio::join!(client.post(&url, &[], SendBody::empty(), timeouts), stalling(&listener));
    let error = result.expect_err("late");
    assert_eq!((error.kind, error.answered), (PostErrorKind::Timeout, true));
    drop(stream);
}

/// Reads a request's head, answers, and reads no further.
async fn answer_head(listener: &TcpListener, answer: &str) -> TcpStream {
    let (mut stream, _) = listener.accept().await.expect("accepted");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a head"));
    }
    stream.write_all(answer.as_bytes()).await.expect("sent");
    stream
}

/// More than the buffers between two sockets hold.
fn long_body() -> SendBody {
    SendBody::reader(256 << 20, || Ok(Box::new(io::repeat(b'x'))))
}

#[tokio::test]
async fn an_answer_in_the_midst_of_the_body_is_none_of_the_whole_request() {
    for (answer, status) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200),
        ("HTTP/1.1 413 No\r\nContent-Length: 2\r\n\r\nno", 413),
        ("HTTP/1.1 417 No\r\nContent-Length: 2\r\n\r\nno", 417),
    ] {
        let (listener, url) = listen().await;
        let client = client();
        let post = client.post(&url, &[], long_body(), PATIENT);
        let (result, stream) = tokio::join!(post, answer_head(&listener, answer));
        let answer = result.expect("answered");
        assert_eq!((answer.status, answer.early, answer.is_of_whole_request()), (status, true, false));
        drop(stream);
    }
}

#[tokio::test]
async fn a_2xx_that_breaks_off_in_the_midst_of_the_body_does_not_say_that_the_request_was_read() {
    let (listener, url) = listen().await;
    let client = client();
    let timeouts = Timeouts { total: Duration::from_millis(500), ..QUICK };
    let post = client.post(&url, &[], long_body(), timeouts);
    let stalling = answer_head(&listener, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
    let (result, stream) = tokio::join!(post, stalling);
    let error = result.expect_err("late");
    assert_eq!((error.kind, error.answered), (PostErrorKind::Timeout, false));
    drop(stream);
}

#[tokio::test]
async fn a_silent_peer_is_left_at_the_deadline() {
    let (listener, url) = listen().await;
    let timeouts = Timeouts { total: Duration::from_millis(200), ..QUICK };
    let client = client();
    let (result, held) = tokio::join!(client.post(&url, &[], SendBody::empty(), timeouts), listener.accept());
    assert_eq!(result.expect_err("late").kind, PostErrorKind::Timeout);
    drop(held);
}

#[tokio::test]
async fn failures_before_the_first_byte_are_told_apart() {
    let (listener, url) = listen().await;
    drop(listener);
    let guarded = Client::new(ClientSettings::default()).expect("plain settings");
    let table = [
        (client(), url.as_str(), PostErrorKind::Connect),
        (client(), "http://no-such-host.invalid/", PostErrorKind::Resolve),
        (client(), "not a url", PostErrorKind::BadUrl),
        (guarded.clone(), url.as_str(), PostErrorKind::Forbidden),
        (guarded.clone(), "http://localhost:8080/", PostErrorKind::Forbidden),
        (guarded.clone(), "http://2130706433:8080/", PostErrorKind::Forbidden),
        (guarded.clone(), "http://0x7f000001:8080/", PostErrorKind::Forbidden),
        (guarded.clone(), "http://[::ffff:127.0.0.1]:8080/", PostErrorKind::Forbidden),
        (guarded, "https://example.com:25/", PostErrorKind::Forbidden),
    ];
    for (client, url, kind) in table {
        let error = client.post(url, &[], SendBody::empty(), PATIENT).await.expect_err(url);
        assert_eq!(error.kind, kind, "{url}: {error}");
        assert!(error.kind.nothing_sent());
        assert!(!error.text().zh.is_empty() && error.text().en.contains(&error.detail));
    }
}

#[tokio::test]
async fn a_field_that_would_break_the_head_is_refused() {
    let (_listener, url) = listen().await;
    for (name, value) in [("X", "a\r\nY: b"), ("X Y", "a"), ("", "a"), ("X", "a\0")] {
        let fields = [(name.to_owned(), value.to_owned())];
        let error = client().post(&url, &fields, SendBody::empty(), QUICK).await.expect_err("refused");
        assert_eq!(error.kind, PostErrorKind::BadUrl);
    }
}

#[tokio::test]
async fn a_connection_is_used_again_and_a_stale_one_replaced() {
    let (listener, url) = listen().await;
    let client = client();
    let post = || client.post(&url, &[], b"hello".to_vec().into(), PATIENT);
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let peer = async {
        let (mut first, _) = listener.accept().await.expect("accepted");
        for _ in 0..2 {
            request(&mut first).await.expect("a request");
            first.write_all(answer).await.expect("sent");
        }
        // Closed while idle: the third request must arrive on a second connection.
        drop(first);
        let (mut second, _) = listener.accept().await.expect("accepted");
        request(&mut second).await.expect("a request");
        second.write_all(answer).await.expect("sent");
    };
    let posts = async {
        for _ in 0..3 {
            assert_eq!(post().await.expect("answered").status, 200);
        }
    };
    tokio::join!(posts, peer);
}

#[tokio::test]
async fn a_request_that_may_have_arrived_is_not_repeated() {
    let (listener, url) = listen().await;
    let client = client();
    let post = || client.post(&url, &[], b"hello".to_vec().into(), PATIENT);
    let peer = async {
        let (mut first, _) = listener.accept().await.expect("accepted");
        request(&mut first).await.expect("a request");
        first.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.expect("sent");
        // The second request is read and then left without an answer.
        request(&mut first).await.expect("a request");
        drop(first);
        listener
    };
    let posts = async {
        assert_eq!(post().await.expect("answered").status, 200);
        assert_eq!(post().await.expect_err("no answer").kind, PostErrorKind::Closed);
    };
    let ((), listener) = tokio::join!(posts, peer);
    let second = std::future::poll_fn(|cx| std::task::Poll::Ready(listener.poll_accept(cx).is_ready())).await;
    assert!(!second, "the request came a second time");
}

#[tokio::test]
async fn a_reader_is_streamed_and_its_early_end_is_our_own_failure() {
    let (listener, url) = listen().await;
    let client = client();
    let whole = SendBody::reader(200_000, || Ok(Box::new(io::Read::take(io::repeat(b'x'), 200_000))));
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let (result, seen) = tokio::join!(client.post(&url, &[], whole, PATIENT), answer_once(&listener, answer));
    assert_eq!(result.expect("answered").status, 200);
    assert!(seen.contains("Content-Length: 200000\r\n") && seen.ends_with(&"x".repeat(1000)));
    let short = SendBody::reader(200_000, || Ok(Box::new(io::Read::take(io::repeat(b'x'), 100_000))));
    let peer = async {
        let (mut stream, _) = listener.accept().await.expect("accepted");
        assert_eq!(request(&mut stream).await, None);
    };
    let (result, ()) = tokio::join!(client.post(&url, &[], short, PATIENT), peer);
    assert_eq!(result.expect_err("too short").kind, PostErrorKind::Body);
}

/// Answers with the length of the client's certificate.
struct WhoAreYou;

impl Handler for WhoAreYou {
    async fn handle(&self, request: Exchange) -> Reply {
        let certificate = request.client.map(|client| client.der);
        Reply::new(200).body(certificate.unwrap_or_default())
    }
}

#[tokio::test]
async fn only_the_pinned_certificate_is_believed() {
    let (certificate, key) = self_signed("as2.example.com");
    let (other, other_key) = self_signed("as2.example.com");
    let identity = Identity::from_pem(&certificate, &key, None).expect("a pair");
    assert_eq!(Identity::from_pem(&certificate, &other_key, None).expect_err("no pair").code(), "tls-key-mismatch");
    let ask = ClientAuth::Ask(ClientTrust { issuers: Vec::new(), known: Arc::new(|_| false) });
    let tls = ServerTls::new(&identity, &ask).expect("usable");
    let (listener, url) = listen().await;
    let url = url.replace("http:", "https:");
    let shutdown = Shutdown::new();
    let stop = async { shutdown.triggered().await };
    let served = serve(listener, Some(tls), Arc::new(WhoAreYou), ServerSettings::default(), stop);
    let post = async |trust: Trust, identity: Option<Identity>| {
        let settings = ClientSettings { trust, identity, addresses: Addresses::Any, ..ClientSettings::default() };
        Client::new(settings).expect("usable").post(&url, &[], SendBody::empty(), PATIENT).await
    };
    let posts = async {
        // Name and dates of the certificate do not fit: the pin is what counts.
        let answer = post(Trust::Pinned(vec![der(&other), der(&certificate)]), None).await.expect("pinned");
        assert!(answer.body.is_empty());
        let ours = Identity::from_pem(&other, &other_key, None).expect("a pair");
        let answer = post(Trust::Pinned(vec![der(&certificate)]), Some(ours)).await.expect("pinned");
        assert_eq!(answer.body, der(&other));
        for trust in [Trust::Pinned(vec![der(&other)]), Trust::Pinned(Vec::new())] {
            let kind = post(trust, None).await.expect_err("not believed").kind;
            assert!(kind.is_certificate(), "{kind:?}");
        }
        shutdown.trigger();
    };
    tokio::join!(served, posts);
}

/// A machine with these root certificates, which may be exchanged, and what is known of them.
struct Machine {
    has: Arc<Mutex<Vec<Vec<u8>>>>,
    roots: Arc<Roots>,
}

impl Machine {
    fn new(has: &[&Vec<u8>]) -> Machine {
        let has: Vec<Vec<u8>> = has.iter().map(|root| (*root).clone()).collect();
        let has = Arc::new(Mutex::new(has));
        let found = has.clone();
        let roots = Arc::new(Roots::new(move || found.lock().expect("whole").iter().cloned().collect()));
        Machine { has, roots }
    }

    fn gets(&self, roots: &[&Vec<u8>]) {
        *self.has.lock().expect("whole") = roots.iter().map(|root| (*root).clone()).collect();
    }

    fn client(&self, trust: Trust) -> Client {
        let settings = ClientSettings { trust, addresses: Addresses::Any, ..ClientSettings::default() };
        Client::with_roots(settings, self.roots.clone()).expect("usable")
    }
}

#[tokio::test]
async fn root_certificates_that_were_read_again_decide_about_the_next_request() {
    let (right, other) = (lasting("Right CA", None), lasting("Other CA", None));
    let server = lasting("localhost", Some(&right));
    let (right, other) = (right.der(), other.der());
    let machine = Machine::new(&[&other]);
    let client = machine.client(Trust::System);
    let tls = ServerTls::new(&server.identity(), &ClientAuth::None).expect("usable");
    let (listener, url) = listen().await;
    let url = url.replace("http:", "https:").replace("127.0.0.1", "localhost");
    let shutdown = Shutdown::new();
    let stop = async { shutdown.triggered().await };
    let served = serve(listener, Some(tls), Arc::new(WhoAreYou), ServerSettings::default(), stop);
    let refusal = async || client.post(&url, &[], SendBody::empty(), PATIENT).await.err().map(|error| error.kind);
    let posts = async {
        assert_eq!(refusal().await, Some(PostErrorKind::Certificate));
        machine.gets(&[&other, &right]);
        assert_eq!(refusal().await, Some(PostErrorKind::Certificate), "nobody has read them since");
        machine.roots.read_again();
        assert_eq!(refusal().await, None);
        machine.gets(&[]);
        machine.roots.read_again();
        assert_eq!(refusal().await, None, "none at all are no news");
        machine.gets(&[&other]);
        machine.roots.read_again();
        assert_eq!(refusal().await, Some(PostErrorKind::Certificate), "whatever connection stands");
        shutdown.trigger();
    };
    tokio::join!(served, posts);
}

#[tokio::test]
async fn old_tls_believes_the_machines_roots_as_they_were_read_too() {
    let (right, other) = (lasting("Right CA", None), lasting("Other CA", None));
    let server = lasting("localhost", Some(&right));
    let (right, other) = (right.der(), other.der());
    let machine = Machine::new(&[&other]);
    let settings = ClientSettings { old_tls: true, addresses: Addresses::Any, ..ClientSettings::default() };
    let client = Client::with_roots(settings, machine.roots.clone()).expect("usable");
    let tls = ServerTls::new(&server.identity(), &ClientAuth::None).expect("usable");
    let (listener, url) = listen().await;
    let url = url.replace("http:", "https:").replace("127.0.0.1", "localhost");
    let shutdown = Shutdown::new();
    let stop = async { shutdown.triggered().await };
    let served = serve(listener, Some(tls), Arc::new(WhoAreYou), ServerSettings::default(), stop);
    let refusal = async || client.post(&url, &[], SendBody::empty(), PATIENT).await.err().map(|error| error.kind);
    let posts = async {
        assert_eq!(refusal().await, Some(PostErrorKind::Certificate));
        machine.gets(&[&other, &right]);
        machine.roots.read_again();
        assert_eq!(refusal().await, None);
        shutdown.trigger();
    };
    tokio::join!(served, posts);
}

#[test]
fn connections_stay_where_the_roots_are_as_they_were_or_nobody_asks_for_them() {
    let (first, second) = (lasting("First CA", None).der(), lasting("Second CA", None).der());
    let machine = Machine::new(&[&first, &second]);
    machine.roots.read_again();
    let (asking, pinning) = (machine.client(Trust::System), machine.client(Trust::Pinned(vec![first.clone()])));
    let before = (asking.0.made(), pinning.0.made());
    machine.gets(&[&second, &first]);
    machine.roots.read_again();
    assert!(Arc::ptr_eq(&before.0, &asking.0.made()), "the order says nothing");
    machine.gets(&[&second]);
    machine.roots.read_again();
    assert!(!Arc::ptr_eq(&before.0, &asking.0.made()) && Arc::ptr_eq(&before.1, &pinning.0.made()));
}

/// Some TLS servers close the connection without a word (close_notify, RFC 8446 6.1); a whole answer is whole all the same.
#[tokio::test]
async fn an_answer_counts_although_its_server_forgets_to_end_tls() {
    let (certificate, key) = self_signed("as2.example.com");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let url = format!("https://{}/as2", listener.local_addr().expect("an address"));
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).expect("an acceptor");
    acceptor.set_private_key(&PKey::private_key_from_pem(&key).expect("a key")).expect("a key");
    acceptor.set_certificate(&X509::from_pem(&certificate).expect("a certificate")).expect("a certificate");
    let acceptor = acceptor.build();
    let server = std::thread::spawn(move || {
        let (socket, _) = listener.accept().expect("accepted");
        let mut tls = acceptor.accept(socket.try_clone().expect("a socket")).expect("a handshake");
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\nhello") {
            let mut byte = [0];
            tls.read_exact(&mut byte).expect("the request");
            request.extend(byte);
        }
        tls.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").expect("sent");
        // The line is cut under TLS.
        socket.shutdown(std::net::Shutdown::Both).expect("shut");
    });
    let trust = Trust::Pinned(vec![der(&certificate)]);
    let settings = ClientSettings { trust, addresses: Addresses::Any, ..ClientSettings::default() };
    let body = b"hello".to_vec().into();
    let answer = Client::new(settings).expect("usable").post(&url, &[], body, PATIENT).await.expect("answered");
    assert_eq!((answer.status, &answer.body[..]), (200, b"ok".as_slice()));
    server.join().expect("served");
}

#[tokio::test]
async fn a_plain_server_behind_an_https_url_fails_the_handshake() {
    let (listener, url) = listen().await;
    let (certificate, _) = self_signed("a");
    let trust = Trust::Pinned(vec![der(&certificate)]);
    let settings = ClientSettings { trust, addresses: Addresses::Any, ..ClientSettings::default() };
    let client = Client::new(settings).expect("usable");
    let url = url.replace("http:", "https:");
    let peer = async {
        let (mut stream, _) = listener.accept().await.expect("accepted");
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.expect("sent");
        stream
    };
    let (result, _stream) = tokio::join!(client.post(&url, &[], SendBody::empty(), PATIENT), peer);
    assert_eq!(result.expect_err("no TLS").kind, PostErrorKind::Tls);
}

#[test]
fn equal_settings_share_a_client() {
    let cache = ClientCache::default();
    let mut settings = ClientSettings::default();
    let first = cache.client(&settings).expect("usable");
    assert!(Arc::ptr_eq(&first.0, &cache.client(&settings).expect("usable").0));
    settings.any_port = true;
    let second = cache.client(&settings).expect("usable");
    assert!(!Arc::ptr_eq(&first.0, &second.0));
    settings.addresses = Addresses::Any;
    let third = cache.client(&settings).expect("usable");
    assert!(!Arc::ptr_eq(&first.0, &third.0) && !Arc::ptr_eq(&second.0, &third.0));
}
