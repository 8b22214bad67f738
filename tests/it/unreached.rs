//! The rows of the table of outcomes in which no HTTP status comes back, for synchronous and for asynchronous MDNs:
//! nobody listens, nobody has the name, nobody answers, somebody else answers.

use std::io::{self, BufRead as _, BufReader, Read as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use dxgate::store::record::{Reach, State};
use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::ssl::{SslAcceptor, SslAcceptorBuilder, SslMethod, SslVerifyMode};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509NameBuilder};

use crate::support::home::{Home, PartnerFile};
use crate::support::inside::{self, Inside};
use crate::support::{free_port, keys, scripted};

const RETRY: &str = "retry = [\"1m\", \"2m\", \"5m\"]\njitter = 0.0\ngive_up_after = \"72h\"";
const DAY: i64 = 86_400;

/// A listener whose every connection is treated alike; it ends when dropped.
struct Listener {
    address: SocketAddr,
    /// What arrived of messages: whole requests, or decrypted bytes.
    arrived: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
}

impl Listener {
    /// What `treat` hands back stays open as long as the listener.
    fn start<T: Send + 'static>(treat: impl Fn(TcpStream, &AtomicUsize) -> Option<T> + Send + 'static) -> Listener {
        let socket = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = socket.local_addr().unwrap();
        let (arrived, connections, stop) = (Arc::default(), Arc::default(), Arc::new(AtomicBool::new(false)));
        let listener = Listener { address, arrived, connections, stop };
        let (arrived, connections) = (listener.arrived.clone(), listener.connections.clone());
        let stopped = listener.stop.clone();
        std::thread::spawn(move || {
            let mut open = Vec::new();
            for stream in socket.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                connections.fetch_add(1, Ordering::Relaxed);
                open.extend(treat(stream.unwrap(), &arrived));
            }
        });
        listener
    }

    /// Takes a whole request and says nothing.
    fn silent() -> Listener {
        Listener::start(|stream, arrived| {
            if scripted::raw_request(&stream).is_ok() {
                arrived.fetch_add(1, Ordering::Relaxed);
            }
            Some(stream)
        })
    }

    /// Goes away with the body unread, which resets the connection.
    fn resetting() -> Listener {
        Listener::start(|stream, _| {
            let mut line = String::new();
            let _ = BufReader::with_capacity(16, &stream).read_line(&mut line);
            None::<()>
        })
    }

    /// Accepts a connection and never says a word of TLS.
    fn mute() -> Listener {
        Listener::start(|stream, _| Some(stream))
    }

    /// Proves itself by a certificate, and counts the bytes that somebody believed it with.
    fn proving(identity: (PKey<Private>, X509)) -> Listener {
        let acceptor = acceptor(identity).build();
        Listener::start(move |stream, arrived| {
            if let Ok(mut stream) = acceptor.accept(stream) {
                let mut bytes = [0; 4096];
                while let Ok(read @ 1..) = stream.read(&mut bytes) {
                    arrived.fetch_add(read, Ordering::Relaxed);
                }
            }
            None::<()>
        })
    }

    /// Proves itself, and lets nobody in without a certificate, of which a client of TLS 1.3 hears when it has sent already.
    fn demanding(identity: (PKey<Private>, X509)) -> Listener {
        let mut acceptor = acceptor(identity);
        acceptor.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
        let acceptor = acceptor.build();
        Listener::start(move |stream, arrived| {
            if acceptor.accept(stream.try_clone().unwrap()).is_ok() {
                arrived.fetch_add(1, Ordering::Relaxed);
            }
            // To close with the request unread would reset the connection, and why would be lost.
            let _ = io::copy(&mut &stream, &mut io::sink());
            None::<()>
        })
    }

    fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{}/as2", self.address)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
    }
}

fn acceptor((key, certificate): (PKey<Private>, X509)) -> SslAcceptorBuilder {
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
    acceptor.set_private_key(&key).unwrap();
    acceptor.set_certificate(&certificate).unwrap();
    acceptor
}

/// An issuer that the partner's file names for its server.
struct Issuer {
    key: PKey<Private>,
    certificate: X509,
    file: PathBuf,
}

static ISSUER: LazyLock<Issuer> = LazyLock::new(|| {
    let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let certificate = certificate("issuer", &key, None, 400 * DAY);
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("issuer-{}.crt", std::process::id()));
    std::fs::write(&file, certificate.to_pem().unwrap()).unwrap();
    Issuer { key, certificate, file }
});

/// A server's key, and its certificate from the issuer for `host`, valid until so many seconds from now.
fn issued(host: &str, until: i64) -> (PKey<Private>, X509) {
    let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let certificate = certificate(host, &key, Some(&*ISSUER), until);
    (key, certificate)
}

/// By an issuer for a server; without one, the issuer's own.
fn certificate(host: &str, key: &PKey<Private>, issuer: Option<&Issuer>, until: i64) -> X509 {
    let mut subject = X509NameBuilder::new().unwrap();
    subject.append_entry_by_text("CN", host).unwrap();
    let subject = subject.build();
    let mut serial = BigNum::new().unwrap();
    serial.rand(120, MsbOption::MAYBE_ZERO, false).unwrap();
    let now = jiff::Timestamp::now().as_second();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_serial_number(&serial.to_asn1_integer().unwrap()).unwrap();
    builder.set_subject_name(&subject).unwrap();
    builder.set_issuer_name(issuer.map_or(&*subject, |issuer| issuer.certificate.subject_name())).unwrap();
    builder.set_pubkey(key).unwrap();
    builder.set_not_before(&Asn1Time::from_unix(now - 30 * DAY).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::from_unix(now + until).unwrap()).unwrap();
    let extension = match (issuer, host.parse::<std::net::IpAddr>()) {
        (None, _) => BasicConstraints::new().critical().ca().build().unwrap(),
        (Some(_), Ok(_)) => SubjectAlternativeName::new().ip(host).build(&builder.x509v3_context(None, None)).unwrap(),
        (Some(_), Err(_)) => {
            SubjectAlternativeName::new().dns(host).build(&builder.x509v3_context(None, None)).unwrap()
        }
    };
    builder.append_extension(extension).unwrap();
    builder.sign(issuer.map_or(key, |issuer| &issuer.key), MessageDigest::sha256()).unwrap();
    builder.build()
}

/// What the first attempt leaves.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Leaves {
    Retry,
    /// With a security alert.
    Held,
}

struct Row {
    name: &'static str,
    url: String,
    listener: Option<Listener>,
    code: &'static str,
    leaves: Leaves,
    /// Whether the body is out before it fails.
    arrives: bool,
    /// Lines of `[delivery]`.
    delivery: &'static str,
    trusts_issuer: bool,
}

fn row(name: &'static str, code: &'static str, leaves: Leaves, listener: Option<Listener>, url: String) -> Row {
    Row { name, url, listener, code, leaves, arrives: false, delivery: "timeout = \"60s\"", trusts_issuer: false }
}

fn rows() -> Vec<Row> {
    use Leaves::{Held, Retry};
    let nowhere = || format!("http://{}.invalid/as2", "a".repeat(64));
    let over = |scheme: &str, listener: Listener| (listener.url(scheme), Some(listener));
    let stranger = || (keys::stranger().key.clone(), keys::stranger().certificate.clone());
    let refused = format!("http://127.0.0.1:{}/as2", free_port());
    let mut rows = vec![
        row("connection refused", "connect-failed", Retry, None, refused),
        row("no such name", "resolve-failed", Retry, None, nowhere()),
    ];
    let (url, listener) = over("http", Listener::silent());
    rows.push(Row {
        arrives: true,
        // Enough for a loaded machine to put the body out.
        delivery: "timeout = \"10s\"",
        ..row("no answer", "timeout", Retry, listener, url)
    });
    let (url, listener) = over("http", Listener::resetting());
    rows.push(row("reset", "connection-closed", Retry, listener, url));
    let (url, listener) = over("https", Listener::mute());
    rows.push(Row {
        delivery: "timeout = \"60s\"\nconnect_timeout = \"1s\"",
        ..row("no answer to the handshake", "connect-timeout", Retry, listener, url)
    });
    let (url, listener) = over("https", Listener::resetting());
    rows.push(row("no TLS", "tls-failed", Retry, listener, url));
    let (url, listener) = over("https", Listener::demanding(issued("127.0.0.1", DAY)));
    let demanding = row("a certificate of ours is demanded", "tls-failed", Retry, listener, url);
    rows.push(Row { trusts_issuer: true, ..demanding });
    let servers = [
        ("a stranger's certificate", "tls-certificate-refused", stranger()),
        ("a certificate for another name", "tls-certificate-name", issued("elsewhere.example", DAY)),
        ("an expired certificate", "tls-certificate-expired", issued("127.0.0.1", -DAY)),
    ];
    for (name, code, identity) in servers {
        let (url, listener) = over("https", Listener::proving(identity));
        rows.push(Row { trusts_issuer: true, ..row(name, code, Held, listener, url) });
    }
    rows
}

#[test]
fn who_gives_no_status_is_tried_again_and_who_does_not_prove_to_be_the_partner_gets_no_byte() {
    let home = Home::ours();
    let mut tried = Vec::new();
    for mdn in ["mode = \"sync\"\nsigned = true", "mode = \"async\"\nsigned = true\ndeadline = \"30m\""] {
        for row in rows() {
            let id = format!("row{}", tried.len());
            let delivery = format!("{RETRY}\n{}", row.delivery);
            let issuer = format!("[[certificates]]\nfile = \"{}\"\nuse = [\"tls\"]", ISSUER.file.display());
            let file = PartnerFile {
                as2_name: &id,
                url: row.url.clone(),
                certificate: if row.trusts_issuer { &issuer } else { "" },
                mdn,
                delivery: &delivery,
                ..PartnerFile::default()
            };
            home.partner(&id, &file);
            let way = if mdn.contains("async") { "asynchronous" } else { "synchronous" };
            tried.push((id, format!("{}, {way}", row.name), row));
        }
    }
    let clock = inside::clock();
    let gateway = Inside::start(&home, &clock);
    for (id, ..) in &tried {
        gateway.submit(id, "order.xml", b"<order/>\n");
    }
    for (id, name, row) in &tried {
        let message = gateway.until(id, name, |message| message.attempts > 0 && message.state != State::Sending);
        let wait = message.due.map(|due| due.duration_since(dxgate::ground::clock::Clock::now(&*clock)).as_secs());
        let expected = match row.leaves {
            Leaves::Retry => (State::Composed, Some(60)),
            Leaves::Held => (State::Held, None),
        };
        let reason = message.reason.as_ref().map_or("", |reason| reason.code.as_str());
        assert_eq!(((message.state, wait), reason), (expected, row.code), "{name}: {:?}", message.reason);
        let may_have_arrived = matches!(row.code, "timeout" | "connection-closed");
        assert_eq!(message.reach != Reach::Untried, may_have_arrived, "{name}: {:?}", message.reach);
        let shown = gateway.api(&format!("/api/v1/messages/{}", message.id));
        let alerts: Vec<(&str, &str)> = shown["alerts"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|alert| (alert["code"].as_str().unwrap(), alert["level"].as_str().unwrap()))
            .collect();
        let alarm = if row.leaves == Leaves::Held { vec![(row.code, "security")] } else { vec![] };
        assert_eq!(alerts, alarm, "{name}");
        if let Some(listener) = &row.listener {
            let seen = (listener.connections.load(Ordering::Relaxed) > 0, listener.arrived.load(Ordering::Relaxed));
            assert_eq!(seen, (true, usize::from(row.arrives)), "{name}: a connection, and what arrived");
        }
    }
}
