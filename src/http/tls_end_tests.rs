//! Answers of servers that close the connection under TLS without a word, heard by both implementations of it.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener};
use std::time::Duration;

use openssl::ssl::{SslAcceptor, SslMethod};

use crate::http::specimens::lasting;
use crate::http::{Addresses, Answer, Client, ClientSettings, PostError, PostErrorKind, Timeouts, Trust};

const PATIENT: Timeouts = Timeouts { connect: Duration::from_secs(10), total: Duration::from_secs(20) };

/// How a server ends.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    CloseNotify,
    Cut,
}

/// What a client makes of this answer.
async fn heard(answer: &'static str, end: End, old_tls: bool) -> Result<Answer, PostError> {
    let pair = lasting("localhost", None);
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let url = format!("https://{}/as2", listener.local_addr().expect("an address"));
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).expect("an acceptor");
    acceptor.set_private_key(&pair.key).expect("a key");
    acceptor.set_certificate(&pair.certificate).expect("a certificate");
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
        tls.write_all(answer.as_bytes()).expect("sent");
        // Whoever knows by its length that it has all may be gone before.
        if end == End::CloseNotify {
            let _ = tls.shutdown();
        }
        let _ = socket.shutdown(Shutdown::Both);
    });
    let trust = Trust::Pinned(vec![pair.der()]);
    let settings = ClientSettings { trust, old_tls, addresses: Addresses::Any, ..ClientSettings::default() };
    let body = b"hello".to_vec().into();
    let answer = Client::new(settings).expect("usable").post(&url, &[], body, PATIENT).await;
    server.join().expect("served");
    answer
}

#[tokio::test]
async fn a_multipart_that_ends_with_its_connection_counts_without_an_end_of_tls() {
    let receipt =
        "HTTP/1.1 200 OK\r\nContent-Type: multipart/report;\r\n boundary=b\r\n\r\n--b\r\n\r\nprocessed\r\n--b--\r\n";
    for old_tls in [false, true] {
        for end in [End::Cut, End::CloseNotify] {
            let answer = heard(receipt, end, old_tls).await.expect("answered");
            let body = &b"--b\r\n\r\nprocessed\r\n--b--\r\n"[..];
            assert_eq!((answer.status, &answer.body[..]), (200, body), "{end:?}, old: {old_tls}");
        }
    }
}

#[tokio::test]
async fn what_shows_its_end_by_nothing_is_believed_after_an_end_of_tls_only() {
    let notification = "HTTP/1.1 200 OK\r\nContent-Type: message/disposition-notification\r\n\r\nDisposition: automatic-action/MDN-sent-automatically; processed";
    let untold = "HTTP/1.1 200 OK\r\n\r\nprocessed";
    for old_tls in [false, true] {
        for answer in [notification, untold] {
            assert!(heard(answer, End::CloseNotify, old_tls).await.is_ok(), "{answer}, old: {old_tls}");
            let error = heard(answer, End::Cut, old_tls).await.expect_err("perhaps not all");
            assert_eq!((error.kind, error.answered), (PostErrorKind::Closed, true), "{answer}, old: {old_tls}");
        }
    }
}

#[tokio::test]
async fn lengths_and_chunks_tell_whether_an_answer_is_whole_whatever_tls_says() {
    let table = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole", true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", false),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nwhole\r\n0\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n", false),
        ("HTTP/1.1 200 OK\r\nContent-Type: multipart/report; boundary=b\r\nContent-Length: 10\r\n\r\n--b--", false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5", false),
        // Without a body nothing can be missing.
        ("HTTP/1.1 200 OK\r\n\r\n", true),
        ("HTTP/1.1 204 No Content\r\n\r\n", true),
        // Nobody reads on behind such a status.
        ("HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\n\r\n<p>no", true),
    ];
    for old_tls in [false, true] {
        for (answer, whole) in table {
            for end in [End::Cut, End::CloseNotify] {
                let heard = heard(answer, end, old_tls).await;
                assert_eq!(heard.is_ok(), whole, "{answer}, {end:?}, old: {old_tls}: {heard:?}");
                assert!(heard.is_ok() || heard.is_err_and(|error| error.kind == PostErrorKind::Closed), "{answer}");
            }
        }
    }
}
