//! A probe that a forward proxy passes on.

use tokio::io::AsyncWriteExt as _;

use super::*;
use crate::ground::secret::Secret;
use crate::http::specimens::{listen, request};

const REFUSED: &str = "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n";

/// What comes of a probe whose request is answered so, and the request; by way of a proxy or directly.
async fn probed(answer: &str, by_proxy: bool) -> (Probe, String) {
    let (listener, url) = listen().await;
    let proxy = by_proxy.then(|| {
        let credentials = Some(Secret::new("Basic c2VjcmV0".to_owned()));
        Proxy::new(&url.replace("/as2?x=1", ""), credentials, Vec::new()).expect("a proxy")
    });
    let addresses = if by_proxy { Addresses::PublicOnly } else { Addresses::Any };
    let settings = ClientSettings { proxy, addresses, ..ClientSettings::default() };
    let peer = async {
        let (mut stream, _) = listener.accept().await.expect("accepted");
        let seen = request(&mut stream).await.expect("a request");
        stream.write_all(answer.as_bytes()).await.expect("sent");
        seen
    };
    let url = if by_proxy { "http://as2.partner.example/as2?x=1" } else { url.as_str() };
    tokio::join!(probe(url, &settings, Depth::Request, Duration::from_secs(20)), peer)
}

#[tokio::test]
async fn a_proxy_that_forwards_the_request_of_a_probe_gets_its_credentials() {
    let (probe, seen) = probed("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true).await;
    assert_eq!((probe.status.map(|(status, _)| status), probe.error.is_none()), (Some(200), true), "{probe:?}");
    assert!(seen.starts_with("GET http://as2.partner.example/as2?x=1 HTTP/1.1\r\n"), "{seen}");
    assert!(seen.contains("proxy-authorization: Basic c2VjcmV0\r\n"), "{seen}");
}

#[tokio::test]
async fn a_proxy_that_wants_other_credentials_is_no_answer_of_the_server() {
    let (probe, _) = probed(REFUSED, true).await;
    assert_eq!(probe.error.map(|error| error.kind), Some(PostErrorKind::Proxy));
    assert_eq!(probe.status, None);
    let (probe, seen) = probed(REFUSED, false).await;
    assert_eq!(probe.status.map(|(status, _)| status), Some(407), "a server may say so, and it is its answer");
    assert!(!seen.contains("proxy-authorization"), "{seen}");
}
