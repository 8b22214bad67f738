//! What is told of servers that do not take our certificate, of causes below causes, and of time that ran out.

use std::net::TcpListener;
use std::time::Duration;

use openssl::ssl::{SslAcceptor, SslMethod, SslVerifyMode, SslVersion};

use super::*;
use crate::http::specimens::{Pair, lasting};
use crate::http::{Addresses, Client, ClientSettings, Timeouts, Trust};

const PATIENT: Timeouts = Timeouts { connect: Duration::from_secs(10), total: Duration::from_secs(20) };

/// What comes of a POST to a server that speaks this version and lets nobody in without a certificate from an issuer that it
/// knows. It knows none.
async fn refusal(version: SslVersion, shown: Option<&Pair>) -> PostError {
    let pair = lasting("localhost", None);
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let url = format!("https://{}/as2", listener.local_addr().expect("an address"));
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).expect("an acceptor");
    acceptor.set_private_key(&pair.key).expect("a key");
    acceptor.set_certificate(&pair.certificate).expect("a certificate");
    acceptor.set_min_proto_version(Some(version)).expect("a version");
    acceptor.set_max_proto_version(Some(version)).expect("a version");
    acceptor.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
    let acceptor = acceptor.build();
    let server = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().expect("accepted");
        acceptor.accept(socket.try_clone().expect("a socket")).expect_err("nobody gets in");
        // To close with the request unread would reset the connection, and its end is no matter here.
        let _ = io::copy(&mut socket, &mut io::sink());
    });
    let settings = ClientSettings {
        trust: Trust::Pinned(vec![pair.der()]),
        identity: shown.map(Pair::identity),
        addresses: Addresses::Any,
        ..ClientSettings::default()
    };
    let body = b"hello".to_vec().into();
    let outcome = Client::new(settings).expect("usable").post(&url, &[], body, PATIENT).await;
    server.join().expect("served");
    outcome.expect_err("refused")
}

#[tokio::test]
async fn a_server_that_does_not_take_our_certificate_is_told_by_its_alert_in_either_version() {
    let stranger = lasting("stranger.example", None);
    for (version, shown, alert) in [
        (SslVersion::TLS1_2, None, "HandshakeFailure"),
        (SslVersion::TLS1_2, Some(&stranger), "UnknownCA"),
        (SslVersion::TLS1_3, None, "CertificateRequired"),
        (SslVersion::TLS1_3, Some(&stranger), "UnknownCA"),
    ] {
        let error = refusal(version, shown).await;
        assert_eq!((error.code(), error.answered), ("tls-failed", false), "{alert}: {error}");
        assert!(error.detail.contains(alert), "{alert}: {error}");
        assert!(error.text().en.contains("[http] certificate") && error.text().zh.contains("[http] certificate"));
    }
}

#[test]
fn every_alert_about_a_certificate_is_a_refusal_and_no_other_is() {
    use rustls::AlertDescription::*;
    let refused = |alert| is_refusal(&rustls::Error::AlertReceived(alert));
    let about_certificates =
        [BadCertificate, CertificateExpired, CertificateRequired, CertificateRevoked, CertificateUnknown, UnknownCA];
    assert!(about_certificates.into_iter().all(refused));
    assert!([AccessDenied, DecryptError, HandshakeFailure, UnsupportedCertificate].into_iter().all(refused));
    assert!(![InternalError, BadRecordMac, UnexpectedMessage, UserCanceled].into_iter().any(refused));
}

#[test]
fn a_connection_that_had_answered_before_was_no_refusal() {
    let error = |kind| PostError { kind, detail: "received fatal alert: AccessDenied".to_owned(), answered: true };
    assert_eq!(error(PostErrorKind::Tls).under_way(), error(PostErrorKind::Closed));
    assert_eq!(error(PostErrorKind::Protocol).under_way(), error(PostErrorKind::Protocol));
}

#[test]
fn the_deepest_cause_is_found_through_whatever_wraps_it() {
    let alert = || rustls::Error::AlertReceived(rustls::AlertDescription::CertificateUnknown);
    let wrapped = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, alert()));
    assert_eq!(deepest(&wrapped).to_string(), "received fatal alert: CertificateUnknown");
    assert_eq!(causes(&wrapped).count(), 3);
    let plain = io::Error::from(io::ErrorKind::ConnectionReset);
    assert_eq!(deepest(&plain).to_string(), "connection reset");
}

#[test]
fn a_timeout_names_the_key_that_says_how_long() {
    let text = PostError::new(PostErrorKind::Timeout, "no complete answer in time").text();
    assert!(text.zh.contains("[delivery] timeout") && text.en.contains("[delivery] timeout"), "{text:?}");
}
