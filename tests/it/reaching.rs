//! How partners' servers are reached: through a proxy, by old TLS, in time; and how our keys change under way.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::pin::Pin;

use dxgate::as2::mdn;
use dxgate::cms::Certificate;
use dxgate::ground::limits::Limits;
use dxgate::ground::random;
use dxgate::mime::Headers;
use openssl::ssl::{Ssl, SslContext, SslMethod, SslVersion};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::correspondent::{self, Kind, acknowledge, letter, plan};
use crate::support::gateway::Gateway;
use crate::support::home::{Home, PartnerFile, Station};
use crate::support::keys::{self, Party};
use crate::support::proxy::{Fault, Proxy};
use crate::support::scripted::{Posted, Scripted};
use crate::support::{eventually, http};

const RETRY: &str = "retry = [\"1s\"]\ngive_up_after = \"1h\"\njitter = 0.0";

/// Lines of a partner whose server is spoken to by OpenSSL.
const OLD_TLS: &str = "[http]\ntls = \"old\"\n[[waivers]]\nalgorithm = \"old-tls\"\nuntil = \"2099-12-31\"\nreason = \"until they upgrade\"";

/// `theirs`, with `ours` as its partner.
fn their_home() -> Home {
    let home = Home::of(&Station { as2_name: "theirs", party: keys::theirs(), more: "" });
    home.partner("ours", &PartnerFile { as2_name: "ours", party: keys::ours(), ..PartnerFile::default() });
    home
}

/// Codes of why messages wait or are held.
fn reasons(gateway: &Gateway<'_>) -> Vec<String> {
    let messages = gateway.api("/api/v1/messages?partner=theirs")["messages"].clone();
    let code = |message: &serde_json::Value| message["reason"]["code"].as_str().map(str::to_owned);
    messages.as_array().unwrap().iter().filter_map(code).collect()
}

#[test]
fn a_partner_behind_a_proxy_is_reached_by_a_name_that_only_the_proxy_knows() {
    let their_home = their_home();
    let refuses_first = |number| if number == 0 { Fault::Status(407) } else { Fault::Pass };
    let proxy = Proxy::start(their_home.as2, refuses_first);
    let home = Home::ours();
    fs::write(home.path("proxy.password"), "open sesame\n").unwrap();
    fs::set_permissions(home.path("proxy.password"), fs::Permissions::from_mode(0o600)).unwrap();
    let delivery = format!(
        "{RETRY}\n[http.proxy]\nurl = \"http://{}\"\nuser = \"dxgate\"\npassword_file = \"proxy.password\"",
        proxy.address
    );
    let url = "http://as2.partner.example/as2".to_owned();
    home.partner("theirs", &PartnerFile { url, delivery: &delivery, ..PartnerFile::default() });
    let (theirs, gateway) = (Gateway::start(&their_home), Gateway::start(&home));
    home.submit("theirs", "a.xml", b"<a/>");
    assert_eq!(theirs.wait_for("ours", "inbox", "a.xml"), b"<a/>");
    gateway.wait_for("theirs", "sent", "a.xml");
    let carried = proxy.requests();
    assert!(carried.len() >= 2, "the proxy's 407 is a passing trouble of ours");
    for request in carried {
        let text = String::from_utf8_lossy(&request).into_owned();
        assert!(text.starts_with("POST http://as2.partner.example/as2 HTTP/1.1\r\n"), "{text:.200}");
        assert!(text.contains("\r\nHost: as2.partner.example\r\n"), "{text:.400}");
        assert!(text.contains("\r\nProxy-Authorization: Basic ZHhnYXRlOm9wZW4gc2VzYW1l\r\n"), "{text:.400}");
    }
    assert_eq!(gateway.stop().code(), Some(0));
    let log = fs::read_to_string(home.log()).unwrap();
    assert!(log.contains("proxy-failed") && !log.contains("sesame") && !log.contains("ZHhnYXRl"), "{log}");
}

/// How a server ends a connection.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    /// TLS is told.
    Orderly,
    /// It is closed behind the answer, without `close_notify`.
    Bare,
}

/// Speaks this version of TLS alone, and hands what comes on to `upstream`.
fn server(party: &Party, version: SslVersion, upstream: SocketAddr, end: End) -> SocketAddr {
    let mut builder = SslContext::builder(SslMethod::tls_server()).unwrap();
    builder.set_min_proto_version(Some(version)).unwrap();
    builder.set_max_proto_version(Some(version)).unwrap();
    builder.set_cipher_list("ALL:@SECLEVEL=0").unwrap();
    builder.set_certificate(&party.certificate).unwrap();
    builder.set_private_key(&party.key).unwrap();
    let context = builder.build();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let context = context.clone();
            // What cannot speak so is turned away.
            std::thread::spawn(move || relay(client, &context, upstream, end).is_ok());
        }
    });
    address
}

fn relay(client: TcpStream, context: &SslContext, upstream: SocketAddr, end: End) -> std::io::Result<()> {
    client.set_nonblocking(true)?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let ssl = Ssl::new(context).map_err(std::io::Error::other)?;
        let client = tokio::net::TcpStream::from_std(client)?;
        let mut client = tokio_openssl::SslStream::new(ssl, client).map_err(std::io::Error::other)?;
        Pin::new(&mut client).accept().await.map_err(std::io::Error::other)?;
        let mut there = tokio::net::TcpStream::connect(upstream).await?;
        if end == End::Orderly {
            return tokio::io::copy_bidirectional(&mut client, &mut there).await.map(drop);
        }
        let (mut hear, mut say) = tokio::io::split(client);
        let (mut answers, mut requests) = there.split();
        let mut answer = Vec::new();
        tokio::select! {
            read = answers.read_to_end(&mut answer) => read?,
            gone = tokio::io::copy(&mut hear, &mut requests) => return gone.map(drop),
        };
        say.write_all(&answer).await?;
        say.flush().await
    })
}

#[test]
fn a_server_of_tls_1_0_is_reached_under_a_waiver_and_without_one_not() {
    let their_home = their_home();
    let old = server(keys::theirs(), SslVersion::TLS1, their_home.as2, End::Orderly);
    let home = Home::ours();
    let write = |http: &str| {
        let delivery = format!("{RETRY}\n{http}");
        let partner = PartnerFile {
            url: format!("https://{old}/as2"),
            certificate: "use = [\"verify\", \"encrypt\", \"tls\"]",
            delivery: &delivery,
            ..PartnerFile::default()
        };
        home.partner("theirs", &partner);
    };
    write("");
    let (theirs, gateway) = (Gateway::start(&their_home), Gateway::start(&home));
    home.submit("theirs", "a.xml", b"<a/>");
    eventually("it is not reached", || reasons(&gateway).contains(&"tls-version".to_owned()).then_some(()));
    write(OLD_TLS);
    assert_eq!(theirs.wait_for("ours", "inbox", "a.xml"), b"<a/>");
    gateway.wait_for("theirs", "sent", "a.xml");
}

#[test]
fn a_receipt_that_ends_with_its_connection_counts_although_the_server_forgets_to_end_tls() {
    for http in ["", OLD_TLS] {
        let peer = Scripted::start(|_, posted| {
            let receipt = correspondent::receipt_for(posted, correspondent::Kind::default());
            Some([b"HTTP/1.1 200 OK\r\n".as_slice(), receipt.headers.as_bytes(), b"\r\n", &receipt.body].concat())
        });
        let forgetful = server(keys::theirs(), SslVersion::TLS1_2, peer.address, End::Bare);
        let home = Home::ours();
        let delivery = format!("{RETRY}\n{http}");
        let partner = PartnerFile {
            url: format!("https://{forgetful}/as2"),
            certificate: "use = [\"verify\", \"encrypt\", \"tls\"]",
            delivery: &delivery,
            ..PartnerFile::default()
        };
        home.partner("theirs", &partner);
        let gateway = Gateway::start(&home);
        home.submit("theirs", "a.xml", b"<a/>");
        gateway.wait_for("theirs", "sent", "a.xml");
        assert_eq!(peer.posted().len(), 1, "it is not sent again: {http}");
    }
}

#[test]
fn a_server_that_says_nothing_is_waited_for_as_long_as_its_partner_file_says() {
    let answers = |_: usize, posted: &Posted| Some(correspondent::acknowledge(posted, correspondent::Kind::default()));
    let peer = Scripted::start(answers);
    let silent_first = |number| if number == 0 { Fault::HalfOpen } else { Fault::Pass };
    let between = Proxy::start(peer.address, silent_first);
    let home = Home::ours();
    let delivery = format!("{RETRY}\ntimeout = \"10s\"");
    home.partner("theirs", &PartnerFile { url: between.url(), delivery: &delivery, ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    home.submit("theirs", "a.xml", b"<a/>");
    // By the standard of ten minutes the first attempt would still be waited for.
    gateway.wait_for("theirs", "sent", "a.xml");
    let log = fs::read_to_string(home.log()).unwrap();
    assert!(log.contains("timeout"), "{log}");
    assert_eq!((between.requests().len(), peer.posted().len()), (2, 1));
}

#[test]
fn our_newest_key_signs_as_soon_as_it_is_configured_and_the_old_one_still_decrypts() {
    let home = Home::ours();
    home.partner("theirs", &PartnerFile { accept: "signature = true\nencryption = true", ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    // Encrypted to the key that we had first, every time.
    let signer = |id: &str| {
        let letter = letter(&plan(), id, b"<a/>");
        let answer = http::post(home.as2, "/as2", &letter.headers, &letter.body).unwrap();
        let (_, fields) = answer.head.split_once("\r\n").unwrap();
        let headers = Headers::parse(format!("{fields}\r\n").as_bytes(), &Limits::default()).unwrap();
        let signed_by = |party: &Party| {
            let certificate = [Certificate::from_x509(&party.certificate).unwrap()];
            let receipt = mdn::parse(&headers, &answer.body, &certificate, &Limits::default()).unwrap();
            assert!(receipt.disposition.is_positive(), "{}", receipt.disposition);
            matches!(receipt.signature, Ok(Some(_)))
        };
        (signed_by(keys::ours()), signed_by(keys::stranger()))
    };
    assert_eq!(signer("<1@theirs>"), (true, false));
    let added = format!(
        "[[station.keys]]\ncertificate = \"{}\"\nprivate_key = \"{}\"\nfrom = \"{}\"\n[folders]\n",
        keys::stranger().certificate_file.display(),
        keys::stranger().key_file.display(),
        jiff::Timestamp::now() - jiff::SignedDuration::from_secs(3600),
    );
    let text = fs::read_to_string(home.config()).unwrap().replace("[folders]\n", &added);
    let aside = home.config().with_extension("new");
    fs::write(&aside, text).unwrap();
    fs::rename(&aside, home.config()).unwrap();
    let log = || fs::read_to_string(home.log()).unwrap();
    eventually("the file is read again", || log().contains("was read again").then_some(()));
    assert_eq!(signer("<2@theirs>"), (false, true));
    assert!(gateway.is_ready());
}

/// The first one hangs, the second finds its connection closed: the server is in doubt, and probed by the third.
#[test]
fn what_is_still_on_its_way_from_before_a_doubt_holds_up_no_probe() {
    let peer = Scripted::start(|_, posted: &Posted| Some(acknowledge(posted, Kind::default())));
    let faults = |number| [Fault::HalfOpen, Fault::Refuse].get(number).copied().unwrap_or(Fault::Pass);
    let proxy = Proxy::start(peer.address, faults);
    let home = Home::ours();
    let delivery = "retry = [\"1h\"]\nconcurrency = 4";
    home.partner("theirs", &PartnerFile { url: proxy.url(), delivery, ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    home.submit("theirs", "hangs.xml", b"<a/>");
    eventually("it is on its way", || proxy.requests().first().is_some_and(|sent| !sent.is_empty()).then_some(()));
    home.submit("theirs", "fails.xml", b"<b/>");
    eventually("its attempt failed", || (!reasons(&gateway).is_empty()).then_some(()));
    home.submit("theirs", "goes.xml", b"<c/>");
    assert_eq!(gateway.wait_for("theirs", "sent", "goes.xml"), b"<c/>");
    assert_eq!(home.names("theirs", "sent"), ["goes.xml"], "the first one hangs still");
}

#[test]
fn a_probe_that_is_a_long_transfer_holds_up_nobody_once_the_server_takes_it() {
    let peer = Scripted::start(|_, posted: &Posted| Some(acknowledge(posted, Kind::default())));
    let faults = |number| [Fault::Refuse, Fault::HalfOpen].get(number).copied().unwrap_or(Fault::Pass);
    let proxy = Proxy::start(peer.address, faults);
    let home = Home::ours();
    let delivery = "retry = [\"1h\"]\nconcurrency = 4";
    home.partner("theirs", &PartnerFile { url: proxy.url(), delivery, ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    home.submit("theirs", "fails.xml", b"<a/>");
    eventually("the server is in doubt", || (!reasons(&gateway).is_empty()).then_some(()));
    let mut long = vec![0; 64 << 20];
    random::fill(&mut long);
    home.submit("theirs", "long.bin", &long);
    let is_taken = || proxy.requests().iter().any(|sent| sent.len() > 60 << 20);
    eventually("the probe is taken, and not answered", || is_taken().then_some(()));
    home.submit("theirs", "goes.xml", b"<c/>");
    assert_eq!(gateway.wait_for("theirs", "sent", "goes.xml"), b"<c/>");
}
