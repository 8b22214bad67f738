//! `Expect: 100-continue` and chunked bodies against scripted peers.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::http::specimens::{head, listen, request};
use crate::http::{Addresses, Client, ClientSettings, Timeouts};

const PATIENT: Timeouts = Timeouts { connect: Duration::from_secs(10), total: Duration::from_secs(20) };
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

fn client(expect: Duration) -> Client {
    let settings = ClientSettings { addresses: Addresses::Any, expect: Some(expect), ..ClientSettings::default() };
    Client::new(settings).expect("plain settings")
}

/// Reads `hello`, which may come only now.
async fn body(stream: &mut TcpStream) {
    let mut body = [0; 5];
    stream.read_exact(&mut body).await.expect("the body");
    assert_eq!(&body, b"hello");
}

/// Nothing more comes than the end.
async fn nothing_more(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    // A reset is an end as well.
    let _ = stream.read_to_end(&mut rest).await;
    assert_eq!(rest, b"");
}

#[tokio::test]
async fn the_body_waits_for_the_peers_word() {
    let (listener, url) = listen().await;
    let client = client(Duration::from_secs(600));
    let post = async || client.post(&url, &[], b"hello".to_vec().into(), PATIENT).await;
    let peer = async {
        let (mut stream, _) = listener.accept().await.expect("accepted");
        // The connection is used again: the word counts for one request.
        for _ in 0..2 {
            let head = head(&mut stream).await;
            assert!(head.contains("\r\nContent-Length: 5\r\nExpect: 100-continue\r\n"), "{head}");
            stream.write_all(b"HTTP/1.1 102 Processing\r\n\r\n").await.expect("sent");
            tokio::task::yield_now().await;
            let early = stream.try_read(&mut [0; 1]).map_err(|error| error.kind());
            assert_eq!(early, Err(io::ErrorKind::WouldBlock), "102 is no word about the body");
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.expect("sent");
            body(&mut stream).await;
            stream.write_all(OK).await.expect("sent");
        }
    };
    let posts = async {
        for _ in 0..2 {
            assert_eq!(post().await.expect("answered").status, 200);
        }
    };
    tokio::join!(posts, peer);
}

#[tokio::test]
async fn a_peer_that_knows_no_expectations_gets_the_body_after_a_while() {
    let (listener, url) = listen().await;
    let client = client(Duration::from_millis(100));
    let peer = async {
        let (mut stream, _) = listener.accept().await.expect("accepted");
        head(&mut stream).await;
        body(&mut stream).await;
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.expect("too late, but allowed");
        stream.write_all(OK).await.expect("sent");
    };
    let (answer, ()) = tokio::join!(client.post(&url, &[], b"hello".to_vec().into(), PATIENT), peer);
    let answer = answer.expect("answered");
    assert_eq!((answer.status, answer.is_of_whole_request()), (200, true));
}

#[tokio::test]
async fn what_is_refused_by_its_head_is_never_sent() {
    let (listener, url) = listen().await;
    let client = client(Duration::from_secs(600));
    for (status, text) in [(401, "who are you"), (413, "too much"), (302, ""), (200, "good enough")] {
        let peer = async {
            let (mut stream, _) = listener.accept().await.expect("accepted");
            head(&mut stream).await;
            let answer = format!("HTTP/1.1 {status} No\r\nContent-Length: {}\r\n\r\n{text}", text.len());
            stream.write_all(answer.as_bytes()).await.expect("sent");
            nothing_more(&mut stream).await;
        };
        let (answer, ()) = tokio::join!(client.post(&url, &[], b"hello".to_vec().into(), PATIENT), peer);
        let answer = answer.expect("answered");
        assert_eq!((answer.status, answer.is_of_whole_request()), (status, false));
    }
}

#[tokio::test]
async fn an_expectation_that_cannot_be_met_is_dropped_once() {
    let (listener, url) = listen().await;
    let client = client(Duration::from_secs(600));
    let refusal = b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n";
    let peer = async {
        let (mut first, _) = listener.accept().await.expect("accepted");
        assert!(head(&mut first).await.contains("Expect:"));
        first.write_all(refusal).await.expect("sent");
        let (mut second, _) = listener.accept().await.expect("accepted");
        let again = request(&mut second).await.expect("a whole request");
        assert!(again.ends_with("\r\n\r\nhello") && !again.contains("Expect:"), "{again}");
        second.write_all(refusal).await.expect("sent");
        nothing_more(&mut first).await;
    };
    let (answer, ()) = tokio::join!(client.post(&url, &[], b"hello".to_vec().into(), PATIENT), peer);
    assert_eq!(answer.expect("answered").status, 417, "not a third time");
}

#[tokio::test]
async fn a_request_without_a_body_expects_nothing() {
    let (listener, url) = listen().await;
    let client = client(Duration::from_secs(600));
    let peer = async {
        let (mut stream, _) = listener.accept().await.expect("accepted");
        let head = head(&mut stream).await;
        assert!(head.contains("Content-Length: 0") && !head.contains("Expect"), "{head}");
        stream.write_all(OK).await.expect("sent");
    };
    let (answer, ()) = tokio::join!(client.post(&url, &[], Vec::new().into(), PATIENT), peer);
    assert_eq!(answer.expect("answered").status, 200);
}

#[tokio::test]
async fn a_chunked_body_has_no_length_and_arrives_whole() {
    let (listener, url) = listen().await;
    let settings = ClientSettings { addresses: Addresses::Any, chunked: true, ..ClientSettings::default() };
    let client = Client::new(settings).expect("plain settings");
    let long = || crate::http::SendBody::reader(200_000, || Ok(Box::new(io::Read::take(io::repeat(b'x'), 200_000))));
    let peer = async {
        let (mut stream, _) = listener.accept().await.expect("accepted");
        let mut seen = Vec::new();
        for _ in 0..2 {
            seen.push(request(&mut stream).await.expect("a request"));
            stream.write_all(OK).await.expect("sent");
        }
        seen
    };
    let posts = async {
        client.post(&url, &[], b"hello".to_vec().into(), PATIENT).await.expect("answered");
        client.post(&url, &[], long(), PATIENT).await.expect("answered");
    };
    let ((), seen) = tokio::join!(posts, peer);
    for request in &seen {
        let head = request.split("\r\n\r\n").next().unwrap_or_default();
        assert!(head.contains("Transfer-Encoding: chunked") && !head.contains("Content-Length"), "{head}");
    }
    assert!(seen[0].ends_with("\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), "{}", seen[0]);
    assert_eq!(seen[1].split("\r\n\r\n").nth(1).unwrap_or_default().matches('x').count(), 200_000);
}

#[tokio::test]
async fn a_chunked_body_goes_whole_to_a_server_that_answers_in_http_1_0_and_keeps_the_connection() {
    const OLD: &[u8] = b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n";
    let (listener, url) = listen().await;
    let settings = ClientSettings { addresses: Addresses::Any, chunked: true, ..ClientSettings::default() };
    let client = Client::new(settings).expect("plain settings");
    let peer = async {
        let (mut first, _) = listener.accept().await.expect("accepted");
        request(&mut first).await.expect("a request");
        first.write_all(OLD).await.expect("sent");
        // Another request comes here, or the end and another connection.
        if let Some(again) = request(&mut first).await {
            first.write_all(OLD).await.expect("sent");
            return again;
        }
        let (mut second, _) = listener.accept().await.expect("accepted");
        let again = request(&mut second).await.expect("a request");
        second.write_all(OLD).await.expect("sent");
        again
    };
    let posts = async {
        for _ in 0..2 {
            client.post(&url, &[], b"hello".to_vec().into(), PATIENT).await.expect("answered");
        }
    };
    let ((), again) = tokio::join!(posts, peer);
    assert!(again.starts_with("POST /as2?x=1 HTTP/1.1\r\n"), "{again}");
    assert!(again.ends_with("\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), "{again}");
}
