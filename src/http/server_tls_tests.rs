//! Client certificates over real handshakes.

use std::time::Duration;

use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::ground::drain::Shutdown;
use crate::http::specimens::{Pair, der, lasting, listen, self_signed};
use crate::http::tls::client_config;
use crate::http::{
    Addresses, Client, ClientSettings, Exchange, Handler, Reply, ServerSettings, Timeouts, Trust, serve,
};

const PATIENT: Timeouts = Timeouts { connect: Duration::from_secs(10), total: Duration::from_secs(20) };

/// Says what the listener knows of its client.
struct WhoAreYou;

impl Handler for WhoAreYou {
    async fn handle(&self, request: Exchange) -> Reply {
        let Exchange { client, client_required, .. } = request;
        let said = client.map(|client| (client.der.len(), client.issued));
        Reply::new(200).body(format!("{said:?} {client_required}").into_bytes())
    }
}

/// A server certificate, a CA with a client, a client that was handed over, and one nobody knows.
struct Cast {
    server: Pair,
    authority: Pair,
    issued: Pair,
    known: Pair,
    stranger: Pair,
}

impl Cast {
    fn new() -> Cast {
        let authority = lasting("Clients CA", None);
        Cast {
            server: lasting("as2.example.com", None),
            issued: lasting("client.partner.example", Some(&authority)),
            known: lasting("known.example", None),
            stranger: lasting("stranger.example", None),
            authority,
        }
    }

    fn trust(&self) -> ClientTrust {
        let known = self.known.der();
        ClientTrust { issuers: vec![self.authority.der()], known: Arc::new(move |der| der == known) }
    }

    /// What a client with this certificate is told; `None` when it does not get in.
    async fn told(&self, clients: &ClientAuth, shown: Option<&Pair>) -> Option<String> {
        let tls = ServerTls::new(&self.server.identity(), clients).expect("usable");
        let (listener, url) = listen().await;
        let shutdown = Shutdown::new();
        let stop = async { shutdown.triggered().await };
        let served = serve(listener, Some(tls), Arc::new(WhoAreYou), ServerSettings::default(), stop);
        let settings = ClientSettings {
            trust: Trust::Pinned(vec![self.server.der()]),
            identity: shown.map(Pair::identity),
            addresses: Addresses::Any,
            ..ClientSettings::default()
        };
        let client = Client::new(settings).expect("usable");
        let post = async {
            let answer = client.post(&url.replace("http:", "https:"), &[], Vec::new().into(), PATIENT).await;
            shutdown.trigger();
            answer.ok().map(|answer| String::from_utf8_lossy(&answer.body).into_owned())
        };
        tokio::join!(served, post).1
    }
}

#[tokio::test]
async fn a_listener_that_asks_lets_everybody_in_and_says_who_is_vouched_for() {
    let cast = Cast::new();
    let ask = ClientAuth::Ask(cast.trust());
    assert_eq!(cast.told(&ask, None).await.as_deref(), Some("None false"));
    let said = |pair: &Pair, issued: bool| Some(format!("Some(({}, {issued})) false", pair.der().len()));
    assert_eq!(cast.told(&ask, Some(&cast.issued)).await, said(&cast.issued, true));
    assert_eq!(cast.told(&ask, Some(&cast.known)).await, said(&cast.known, false));
    assert_eq!(cast.told(&ask, Some(&cast.stranger)).await, said(&cast.stranger, false));
}

#[tokio::test]
async fn a_listener_that_requires_lets_in_who_is_issued_or_known() {
    let cast = Cast::new();
    let require = ClientAuth::Require(cast.trust());
    assert_eq!(cast.told(&require, None).await, None);
    assert_eq!(cast.told(&require, Some(&cast.stranger)).await, None);
    let said = |pair: &Pair, issued: bool| Some(format!("Some(({}, {issued})) true", pair.der().len()));
    assert_eq!(cast.told(&require, Some(&cast.issued)).await, said(&cast.issued, true));
    assert_eq!(cast.told(&require, Some(&cast.known)).await, said(&cast.known, false));
}

#[tokio::test]
async fn a_known_certificate_whose_key_the_client_does_not_hold_opens_nothing() {
    let cast = Cast::new();
    let require = ClientAuth::Require(ClientTrust { issuers: Vec::new(), known: Arc::new(|_| true) });
    let tls = ServerTls::new(&cast.server.identity(), &require).expect("usable");
    let (listener, _) = listen().await;
    let address = listener.local_addr().expect("bound");
    for (key, gets_in) in [(&cast.known, true), (&cast.stranger, false)] {
        // A client that claims whatever it likes.
        let key = provider().key_provider.load_private_key(key.identity().rustls_key()).expect("a key");
        let claim = CertifiedKey::new(cast.known.identity().rustls_chain(), key);
        let trust = Trust::Pinned(vec![cast.server.der()]);
        let mut config = rustls::ClientConfig::clone(&client_config(&trust, None).expect("usable"));
        config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(claim));
        let accept = async {
            let (stream, _) = listener.accept().await.expect("accepted");
            tokio_rustls::TlsAcceptor::from(tls.current().config.clone()).accept(stream).await.is_ok()
        };
        let claim = async {
            let stream = tokio::net::TcpStream::connect(address).await.expect("connected");
            let name = "as2.example.com".try_into().expect("a name");
            tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await
        };
        let (accepted, _claimed) = tokio::join!(accept, claim);
        assert_eq!(accepted, gets_in);
    }
}

#[test]
fn of_a_chain_the_own_certificate_is_told_and_the_one_that_ends_first() {
    let (own, (issuer, _)) = (lasting("as2.example.com", None), self_signed("Issuing CA"));
    let (certificate, key) = (own.certificate.to_pem().expect("PEM"), own.key.private_key_to_pem_pkcs8().expect("PEM"));
    for (chain, first_to_end) in
        [(certificate.clone(), own.der()), ([certificate, issuer.clone()].concat(), der(&issuer))]
    {
        let identity = Identity::from_pem(&chain, &key, None).expect("a pair");
        let tls = ServerTls::new(&identity, &ClientAuth::None).expect("usable");
        assert_eq!((tls.certificate(), tls.first_to_end()), (own.der(), first_to_end));
    }
}

#[tokio::test]
async fn what_a_listener_shows_can_be_replaced() {
    let (cast, other) = (Cast::new(), Cast::new());
    let tls = ServerTls::new(&cast.server.identity(), &ClientAuth::None).expect("usable");
    let (listener, url) = listen().await;
    let shutdown = Shutdown::new();
    let stop = async { shutdown.triggered().await };
    let served = serve(listener, Some(tls.clone()), Arc::new(WhoAreYou), ServerSettings::default(), stop);
    let url = url.replace("http:", "https:");
    let reaches = async |pinned: &Pair| {
        let trust = Trust::Pinned(vec![pinned.der()]);
        let settings = ClientSettings { trust, addresses: Addresses::Any, ..ClientSettings::default() };
        Client::new(settings).expect("usable").post(&url, &[], Vec::new().into(), PATIENT).await.is_ok()
    };
    let posts = async {
        assert!(reaches(&cast.server).await && !reaches(&other.server).await);
        tls.replace(&other.server.identity(), &ClientAuth::None).expect("usable");
        assert!(!reaches(&cast.server).await && reaches(&other.server).await);
        shutdown.trigger();
    };
    tokio::join!(served, posts);
}

#[tokio::test]
async fn whoever_is_refused_hears_why_although_its_request_is_on_its_way_already() {
    let cast = Cast::new();
    let tls = ServerTls::new(&cast.server.identity(), &ClientAuth::Require(cast.trust())).expect("usable");
    let (listener, _) = listen().await;
    let address = listener.local_addr().expect("bound");
    let shutdown = Shutdown::new();
    let stop = async { shutdown.triggered().await };
    let served = serve(listener, Some(tls), Arc::new(WhoAreYou), ServerSettings::default(), stop);
    let refused = async {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        // Most of the request goes once what went before was read.
        socket.set_send_buffer_size(8 * 1024).expect("a size");
        let stream = socket.connect(address).await.expect("connected");
        let config = client_config(&Trust::Pinned(vec![cast.server.der()]), None).expect("usable");
        let name = "as2.example.com".try_into().expect("a name");
        // TLS 1.3: the client has done its part before the server looks at it.
        let mut stream = tokio_rustls::TlsConnector::from(config).connect(name, stream).await.expect("so far");
        stream.write_all(&vec![0; 1 << 20]).await.expect("taken");
        let why = stream.read(&mut [0; 1]).await.expect_err("refused").to_string();
        shutdown.trigger();
        why
    };
    let ((), why) = tokio::join!(served, refused);
    assert!(why.contains("CertificateRequired"), "{why}");
}
