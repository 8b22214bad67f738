//! Who is reached through a proxy, and how.

use std::time::Duration;

use tokio::net::TcpStream;

use super::*;
use crate::ground::drain::Shutdown;
use crate::http::specimens::{head, lasting, listen, request};
use crate::http::{
    Client, ClientAuth, ClientSettings, Exchange, Handler, Reply, ServerSettings, ServerTls, Timeouts, Trust, serve,
};

const PATIENT: Timeouts = Timeouts { connect: Duration::from_secs(10), total: Duration::from_secs(20) };
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

fn client(proxy: &str, trust: Trust) -> Client {
    let credentials = Some(Secret::new("Basic c2VjcmV0".to_owned()));
    let proxy = Proxy::new(&proxy.replace("/as2?x=1", ""), credentials, Vec::new()).expect("a proxy");
    let settings = ClientSettings { trust, proxy: Some(proxy), ..ClientSettings::default() };
    Client::new(settings).expect("usable")
}

#[test]
fn what_is_listed_and_this_machine_are_reached_directly() {
    let list = [".internal", "example.com", "10.0.0.0/8", "192.168.7.9", "fd00::/8", "2001:db8::7"].map(str::to_owned);
    let proxy = Proxy::new("http://proxy:3128", None, list.to_vec()).expect("a proxy");
    let serves = |proxy: &Proxy, host: &str| proxy.serves(&Target { tls: true, host: host.to_owned(), port: 443 });
    for direct in [
        "as2.internal",
        "a.b.internal",
        "example.com",
        "www.example.com",
        "10.255.0.1",
        "192.168.7.9",
        "fd12::1",
        "2001:db8::7",
        "localhost",
        "127.0.0.1",
        "127.9.9.9",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
    ] {
        assert!(!serves(&proxy, direct), "{direct}");
    }
    for through in ["notexample.com", "example.com.evil.org", "11.0.0.1", "192.168.7.10", "2001:db8::8", "fe80::1"] {
        assert!(serves(&proxy, through), "{through}");
    }
    let none = Proxy::new("http://proxy:3128", None, vec!["*".to_owned()]).expect("a proxy");
    assert!(!serves(&none, "as2.partner.org"));
    let dotted = Proxy::new("http://proxy:3128", None, vec!["partner.org.".to_owned()]).expect("a proxy");
    assert!(!serves(&dotted, "as2.partner.org") && !serves(&dotted, "partner.org.") && serves(&dotted, "other.org"));
    assert!(Proxy::new("https://proxy:3128", None, Vec::new()).is_err());
}

proptest::proptest! {
    #[test]
    fn a_network_holds_the_addresses_that_begin_like_it(
        network: u32, address: u32, bits in 0u32..=32, six: u128, other: u128, long in 0u32..=128,
    ) {
        let entry = format!("{}/{bits}", std::net::Ipv4Addr::from(network));
        let (one, two) = (format!("{network:032b}"), format!("{address:032b}"));
        let begins = one[..bits as usize] == two[..bits as usize];
        proptest::prop_assert_eq!(is_in_network(&entry, IpAddr::from(address.to_be_bytes())), begins);
        let entry = format!("{}/{long}", std::net::Ipv6Addr::from(six));
        let (one, two) = (format!("{six:0128b}"), format!("{other:0128b}"));
        let begins = one[..long as usize] == two[..long as usize];
        proptest::prop_assert_eq!(is_in_network(&entry, IpAddr::from(other.to_be_bytes())), begins);
        // The same address with as many bits flipped as the network leaves free.
        let free = u32::MAX.checked_shr(bits).unwrap_or(0);
        let near = IpAddr::from((network ^ (address & free)).to_be_bytes());
        let entry = format!("{}/{bits}", std::net::Ipv4Addr::from(network));
        proptest::prop_assert!(is_in_network(&entry, near));
    }

    #[test]
    fn whatever_a_proxy_says_only_a_status_line_of_http_is_one(head: Vec<u8>, text in "HTTP/1\\.[01] [0-9]{3}.*") {
        let said = status(&head);
        proptest::prop_assert!(said.is_none() || head.starts_with(b"HTTP/1."));
        let number: u16 = text[9..12].parse().expect("three digits");
        let said = status(format!("{text}\r\n\r\n").as_bytes());
        proptest::prop_assert!(said.is_none() || said == Some(number), "{:?}", said);
        for near in ["HTTP/1.1 +20 OK", "HTTP/1.1 2000 OK", "HTTP/2 200", "http/1.1 200", " HTTP/1.1 200"] {
            proptest::prop_assert_eq!(status(near.as_bytes()), None);
        }
    }
}

#[tokio::test]
async fn plain_http_is_forwarded_in_the_absolute_form() {
    let (listener, url) = listen().await;
    let client = client(&url, Trust::System);
    let peer = async {
        let (mut stream, _) = listener.accept().await.expect("accepted");
        let seen = request(&mut stream).await.expect("a request");
        stream.write_all(OK).await.expect("sent");
        seen
    };
    let fields = [("Proxy-Authorization".to_owned(), "Basic b3RoZXI=".to_owned())];
    let post = client.post("http://as2.partner.example/as2?x=1", &fields, b"hello".to_vec().into(), PATIENT);
    let (answer, seen) = tokio::join!(post, peer);
    assert_eq!(answer.expect("answered").status, 200);
    let expected = "POST http://as2.partner.example/as2?x=1 HTTP/1.1\r\nHost: as2.partner.example\r\n\
                    Proxy-Authorization: Basic c2VjcmV0\r\nContent-Length: 5\r\n\r\nhello";
    assert_eq!(seen, expected);
}

struct Hello;

impl Handler for Hello {
    async fn handle(&self, mut request: Exchange) -> Reply {
        let seen = format!("{:?} {:?}", request.uri, request.headers.get("proxy-authorization"));
        let body = request.body.read_all(100).await.unwrap_or_default();
        Reply::new(200).body([seen.into_bytes(), body].concat())
    }
}

#[tokio::test]
async fn https_goes_through_a_tunnel_that_the_proxy_cannot_look_into() {
    let server = lasting("as2.partner.example", None);
    let tls = ServerTls::new(&server.identity(), &ClientAuth::None).expect("usable");
    let (behind, _) = listen().await;
    let address = behind.local_addr().expect("bound");
    let (listener, url) = listen().await;
    let client = client(&url, Trust::Pinned(vec![server.der()]));
    let shutdown = Shutdown::new();
    let stop = async { shutdown.triggered().await };
    let served = serve(behind, Some(tls), std::sync::Arc::new(Hello), ServerSettings::default(), stop);
    let proxy = async {
        let (mut stream, _) = listener.accept().await.expect("accepted");
        let asked = head(&mut stream).await;
        let mut there = TcpStream::connect(address).await.expect("connected");
        stream.write_all(b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n").await.expect("sent");
        // Until the client lets go of it.
        let _ = tokio::io::copy_bidirectional(&mut stream, &mut there).await;
        asked
    };
    let posts = async {
        for _ in 0..2 {
            let post = client.post("https://as2.partner.example:8443/as2", &[], b"hello".to_vec().into(), PATIENT);
            let answer = post.await.expect("answered");
            assert_eq!(String::from_utf8_lossy(&answer.body), "/as2 Nonehello", "credentials stop at the proxy");
        }
        shutdown.trigger();
        drop(client);
    };
    let ((), asked, ()) = tokio::join!(served, proxy, posts);
    let expected = "CONNECT as2.partner.example:8443 HTTP/1.1\r\nHost: as2.partner.example:8443\r\n\
                    Proxy-Authorization: Basic c2VjcmV0\r\n\r\n";
    assert_eq!(asked, expected);
}

#[tokio::test]
async fn a_proxy_that_refuses_or_talks_nonsense_is_its_own_failure() {
    let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(20_000));
    let answers = [
        "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n",
        "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\n\r\n",
        "220 mail.example.com ESMTP\r\n\r\n",
        "HTTP/1.1 2\u{1F600}0\r\n\r\n",
        "",
        &endless,
    ];
    for answer in answers {
        let (listener, url) = listen().await;
        let client = client(&url, Trust::Pinned(Vec::new()));
        let peer = async {
            let (mut stream, _) = listener.accept().await.expect("accepted");
            head(&mut stream).await;
            // The client may have closed in the middle of an endless head.
            let _ = stream.write_all(answer.as_bytes()).await;
        };
        let post = client.post("https://as2.partner.example/as2", &[], b"hello".to_vec().into(), PATIENT);
        let (result, ()) = tokio::join!(post, peer);
        let error = result.expect_err("refused");
        assert_eq!(error.kind, PostErrorKind::Proxy, "{answer:.40}: {error}");
        assert!(error.kind.nothing_sent() && !error.text().en.contains("c2VjcmV0"));
    }
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_not_the_partner() {
    let (listener, url) = listen().await;
    drop(listener);
    let client = client(&url, Trust::Pinned(Vec::new()));
    for partner in ["https://as2.partner.example/as2", "http://as2.partner.example/as2"] {
        let error = client.post(partner, &[], b"hello".to_vec().into(), PATIENT).await.expect_err("nobody listens");
        assert_eq!(error.kind, PostErrorKind::Proxy, "{partner}: {error}");
        assert!(error.kind.nothing_sent() && error.text().en.contains("proxy"), "{error}");
    }
}

#[tokio::test]
async fn a_proxy_that_wants_other_credentials_for_plain_http_is_not_the_partner() {
    let (listener, url) = listen().await;
    let client = client(&url, Trust::System);
    let peer = async {
        let (mut stream, _) = listener.accept().await.expect("accepted");
        request(&mut stream).await.expect("a request");
        let answer = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(answer).await.expect("sent");
    };
    let post = client.post("http://as2.partner.example/as2", &[], b"hello".to_vec().into(), PATIENT);
    let (result, ()) = tokio::join!(post, peer);
    assert_eq!(result.expect_err("not an answer").kind, PostErrorKind::Proxy);
}

#[tokio::test]
async fn a_literal_private_address_is_not_asked_of_a_proxy() {
    let (listener, url) = listen().await;
    let client = client(&url, Trust::System);
    for inside in ["http://169.254.169.254/latest", "https://10.0.0.1/as2", "http://[fd00::1]/"] {
        let error = client.post(inside, &[], Vec::new().into(), PATIENT).await;
        assert_eq!(error.expect_err("refused").kind, PostErrorKind::Forbidden, "{inside}");
    }
    drop(listener);
}
