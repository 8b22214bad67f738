//! Who may speak and how we prove who we are: client certificates in both directions, credentials, forms of the body.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};
use serde_json::{Value, json};

use crate::support::gateway::{Gateway, dxgate, run};
use crate::support::home::{Home, PartnerFile, Station, change, replace};
use crate::support::keys::{self, Party};
use crate::support::proxy::{Fault, Proxy};
use crate::support::scripted::Scripted;
use crate::support::{correspondent, eventually, free_port, http};

const RETRY: &str = "retry = [\"1s\"]\ngive_up_after = \"1h\"\njitter = 0.0";

fn pair(party: &Party) -> String {
    format!("certificate = \"{}\"\nprivate_key = \"{}\"\n", party.certificate_file.display(), party.key_file.display())
}

/// `theirs`, whose TLS listener asks for certificates and whose partner `ours` must show its own.
fn demanding(plain_port: u16) -> Home {
    let more = format!(
        "[as2.tls]\n{}client_certificates = \"ask\"\n[[as2.listeners]]\nlisten = \"127.0.0.1:{plain_port}\"\n",
        pair(keys::theirs())
    );
    let home = Home::of(&Station { as2_name: "theirs", party: keys::theirs(), more: &more });
    let ours = PartnerFile {
        as2_name: "ours",
        party: keys::ours(),
        certificate: "use = [\"verify\", \"encrypt\", \"client\"]",
        accept: "signature = true\nencryption = true\nclient_certificate = true",
        ..PartnerFile::default()
    };
    home.partner("ours", &ours);
    home
}

fn write_partner(home: &Home, their_home: &Home, http: &str) {
    let delivery = format!("{RETRY}\n{http}");
    let partner = PartnerFile {
        url: format!("https://{}/as2", their_home.as2),
        certificate: "use = [\"verify\", \"encrypt\", \"tls\"]",
        delivery: &delivery,
        ..PartnerFile::default()
    };
    home.partner("theirs", &partner);
}

/// Changes the partner's file, which counts afterwards.
fn change_partner(home: &Home, their_home: &Home, http: &str) {
    write_partner(home, their_home, http);
    reload(home);
}

/// Has the files read; what they say is in force with the answer. The log may tell of an earlier reading.
fn reload(home: &Home) {
    let headers = format!("Authorization: Bearer {}\r\nContent-Type: application/json\r\n", home.token().unwrap());
    let answer = http::post(home.console, "/api/v1/partners/reload", &headers, b"{}").unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let said: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(said["ok"], true, "{said:#}");
}

fn says(home: &Home, word: &str) -> bool {
    fs::read_to_string(home.log()).unwrap_or_default().contains(word)
}

#[test]
fn a_partner_that_must_show_its_certificate_is_heard_with_it_and_without_it_not() {
    let plain_port = free_port();
    let their_home = demanding(plain_port);
    let home = Home::ours();
    write_partner(&home, &their_home, &format!("[http]\n{}", pair(keys::ours())));
    let (theirs, gateway) = (Gateway::start(&their_home), Gateway::start(&home));
    home.submit("theirs", "a.xml", b"<a/>");
    assert_eq!(theirs.wait_for("ours", "inbox", "a.xml"), b"<a/>");
    gateway.wait_for("theirs", "sent", "a.xml");

    change_partner(&home, &their_home, "");
    home.submit("theirs", "b.xml", b"<b/>");
    held(&gateway, 1);
    assert!(says(&their_home, "client-certificate-missing"));

    change_partner(&home, &their_home, &format!("[http]\n{}", pair(keys::stranger())));
    home.submit("theirs", "c.xml", b"<c/>");
    held(&gateway, 2);
    assert!(says(&their_home, "client-certificate-foreign"));

    change_partner(&home, &their_home, &format!("[http]\n{}", pair(keys::ours())));
    home.submit("theirs", "d.xml", b"<d/>");
    theirs.wait_for("ours", "inbox", "d.xml");
    assert!(!their_home.names("ours", "inbox").iter().any(|name| name.starts_with("b.") || name.starts_with("c.")));

    // The second listener has no TLS: there nobody can show anything.
    let plan = dxgate::as2::SendPlan {
        from: dxgate::as2::As2Name::parse("ours").unwrap(),
        to: dxgate::as2::As2Name::parse("theirs").unwrap(),
        signing: Some(correspondent::signing(keys::ours())),
        encryption: Some(correspondent::encryption(keys::theirs())),
        ..correspondent::plan()
    };
    let letter = correspondent::letter(&plan, "<plain@ours>", b"<e/>");
    let plain = std::net::SocketAddr::from(([127, 0, 0, 1], plain_port));
    assert_eq!(http::post(plain, "/as2", &letter.headers, &letter.body).unwrap().status, 403);
    assert_eq!(http::get(plain, "/as2", None).unwrap().status, 200);
}

fn held(gateway: &Gateway<'_>, count: usize) {
    eventually("the refused message is held", || {
        let messages = gateway.api("/api/v1/messages?state=held")["messages"].clone();
        (messages.as_array().map_or(0, Vec::len) == count).then_some(())
    });
    let messages = gateway.api("/api/v1/messages?state=held")["messages"].clone();
    let codes: Vec<_> = messages.as_array().unwrap().iter().map(|message| message["reason"]["code"].clone()).collect();
    assert!(codes.iter().all(|code| code == "http-403"), "{codes:?}");
}

#[test]
fn our_own_tls_certificate_and_key_are_changed_without_a_restart() {
    let their_home = Home::of(&Station {
        as2_name: "theirs",
        party: keys::theirs(),
        more: &format!("[as2.tls]\n{}", pair(keys::stranger())),
    });
    let ours = PartnerFile { as2_name: "ours", party: keys::ours(), ..PartnerFile::default() };
    their_home.partner("ours", &ours);
    let home = Home::ours();
    write_partner(&home, &their_home, "");
    let (theirs, gateway) = (Gateway::start(&their_home), Gateway::start(&home));
    home.submit("theirs", "a.xml", b"<a/>");
    eventually("another certificate is refused", || says(&home, "tls-certificate-refused").then_some(()));
    let text = fs::read_to_string(their_home.config()).unwrap();
    replace(&their_home.config(), &text.replace(&pair(keys::stranger()), &pair(keys::theirs())));
    eventually("the other certificate is shown", || is_theirs(&shown(&theirs)).then_some(()));
    home.submit("theirs", "b.xml", b"<b/>");
    theirs.wait_for("ours", "inbox", "b.xml");
    let shown = shown(&theirs);
    assert!(shown.len() == 1 && is_theirs(&shown), "{shown:#?}");
    drop(gateway);
}

#[test]
fn root_certificates_that_the_machine_gets_count_with_the_next_reading_of_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
    let out = certificate.to_str().unwrap();
    let made = run(&["cert", "generate", "--common-name", "localhost", "--host", "localhost", "--out", out]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let pair = format!("[as2.tls]\ncertificate = \"{}\"\nprivate_key = \"{}\"\n", certificate.display(), key.display());
    let their_home = Home::of(&Station { as2_name: "theirs", party: keys::theirs(), more: &pair });
    their_home.partner("ours", &PartnerFile { as2_name: "ours", party: keys::ours(), ..PartnerFile::default() });
    let home = Home::ours();
    let url = format!("https://localhost:{}/as2", their_home.as2.port());
    home.partner("theirs", &PartnerFile { url, delivery: RETRY, ..PartnerFile::default() });
    let roots = folder.path().join("roots.pem");
    fs::copy(&keys::stranger().certificate_file, &roots).unwrap();
    let mut command = dxgate();
    command.env("SSL_CERT_FILE", &roots).env_remove("SSL_CERT_DIR");
    let (theirs, mut gateway) = (Gateway::start(&their_home), Gateway::spawn_by(&home, command));
    gateway.wait_ready();
    home.submit("theirs", "a.xml", b"<a/>");
    eventually("its issuer is not known", || says(&home, "tls-certificate-refused").then_some(()));
    let both = [fs::read(&roots).unwrap(), fs::read(&certificate).unwrap()].concat();
    replace(&roots, &String::from_utf8(both).unwrap());
    reload(&home);
    home.submit("theirs", "b.xml", b"<b/>");
    assert_eq!(theirs.wait_for("ours", "inbox", "b.xml"), b"<b/>");
    gateway.wait_for("theirs", "sent", "b.xml");
}

/// What listeners show, as the console and what watches over expiry see it.
fn shown(gateway: &Gateway<'_>) -> Vec<Value> {
    let mut certificates = gateway.api("/api/v1/certificates")["certificates"].as_array().unwrap().clone();
    certificates.retain(|one| one["uses"] == json!(["tls"]));
    certificates
}

fn is_theirs(shown: &[Value]) -> bool {
    shown.iter().any(|one| one["subject"].as_str().unwrap().contains("theirs"))
}

/// Whether a client without a certificate gets an answer at this port.
fn hears_anybody(port: u16) -> bool {
    let mut connector = SslConnector::builder(SslMethod::tls()).unwrap();
    connector.set_verify(SslVerifyMode::NONE);
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    // In TLS 1.3 a client hears of its refusal when it reads.
    let Ok(mut stream) = connector.build().connect("localhost", stream) else { return false };
    http::over(&mut stream, b"GET /as2 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").is_ok()
}

#[test]
fn a_listener_that_is_taken_out_of_the_file_goes_on_demanding_certificates_until_the_restart() {
    let (strict, open) = (free_port(), free_port());
    let table = |port: u16, party: &Party, demand: &str| {
        let pair = pair(party);
        format!(
            "[[as2.listeners]]\nlisten = \"127.0.0.1:{port}\"\n[as2.listeners.tls]\n{pair}client_certificates = \"{demand}\"\n"
        )
    };
    let (first, second) = (table(strict, keys::theirs(), "require"), table(open, keys::stranger(), "none"));
    let home = Home::of(&Station { as2_name: "ours", party: keys::ours(), more: &format!("{first}{second}") });
    home.partner("theirs", &PartnerFile::default());
    let gateway = Gateway::start(&home);
    assert!(!hears_anybody(strict) && hears_anybody(open));
    change(&home.config(), &first, "");
    eventually("the file is read again", || says(&home, "restart-needed").then_some(()));
    assert!(!hears_anybody(strict), "it has the settings of the listener that took its place in the file");
    assert!(hears_anybody(open));
    assert!(is_theirs(&shown(&gateway)));
}

#[test]
fn what_was_taken_of_the_files_is_in_force_after_another_start_within_the_process() {
    for broken in [false, true] {
        let peer =
            Scripted::start(|_, posted| Some(correspondent::acknowledge(posted, correspondent::Kind::default())));
        let more = format!("[as2.tls]\n{}", pair(keys::stranger()));
        let home = Home::of(&Station { as2_name: "ours", party: keys::ours(), more: &more });
        home.partner("theirs", &PartnerFile { url: peer.url(), ..PartnerFile::default() });
        let mut gateway = with_an_index_that_fails(&home);
        change(&home.config(), &pair(keys::stranger()), &pair(keys::theirs()));
        eventually("the other certificate is shown", || is_theirs(&shown(&gateway)).then_some(()));
        if broken {
            change(&home.config(), "[as2]", "surprise = 1\n[as2]");
            eventually("the mistake is told", || is_refused(&gateway).then_some(()));
        }
        start_again(&mut gateway);
        assert!(is_theirs(&shown(&gateway)), "the certificate of the process's start is back:\n{}", gateway.log());
        if broken {
            eventually("the mistake is told again", || is_refused(&gateway).then_some(()));
            assert!(is_theirs(&shown(&gateway)));
        }
    }
}

/// A gateway whose index will fail.
fn with_an_index_that_fails(home: &Home) -> Gateway<'_> {
    let mut command = dxgate();
    command.env("FAILPOINTS", "index-apply=30*off->1*return(eio)");
    let mut gateway = Gateway::spawn_by(home, command);
    gateway.wait_ready();
    gateway
}

/// Has its index fail, and waits for the next start within the process.
fn start_again(gateway: &mut Gateway<'_>) {
    let home = gateway.home;
    assert!(!says(home, "index-failed"), "before anything was taken:\n{}", gateway.log());
    eventually("the index fails", || {
        // What is new is written into the index for whoever lists it.
        let token = home.token()?;
        let bearer = format!("Authorization: Bearer {token}\r\n");
        let _ = http::post(home.console, "/api/v1/partners/theirs/messages?name=a.xml", &bearer, b"<a/>");
        let _ = http::get(home.console, "/api/v1/messages", Some(&token));
        says(home, "index-failed").then_some(())
    });
    eventually("it has started again", || {
        if let Some(status) = gateway.ended() {
            panic!("it ended with {status} instead:\n{}", gateway.log());
        }
        let log = fs::read_to_string(home.log()).unwrap();
        (log.matches("dxgate is ready").count() == 2).then_some(())
    });
    gateway.wait_ready();
}

#[test]
fn what_counts_after_a_restart_only_does_not_count_for_another_start_within_the_process() {
    let peer = Scripted::start(|_, posted| Some(correspondent::acknowledge(posted, correspondent::Kind::default())));
    let home = Home::ours();
    home.partner("theirs", &PartnerFile { url: peer.url(), ..PartnerFile::default() });
    let mut gateway = with_an_index_that_fails(&home);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = |address: std::net::SocketAddr| format!("listen = \"{address}\"");
    let text = fs::read_to_string(home.config()).unwrap();
    let text = text.replace(&listen(home.as2), &listen(taken.local_addr().unwrap()));
    replace(&home.config(), &text.replace("[folders]\n", "[folders]\ndata = \"elsewhere\"\n"));
    eventually("the file is read again", || says(&home, "restart-needed").then_some(()));
    start_again(&mut gateway);
    assert_eq!(http::get(home.as2, "/as2", None).unwrap().status, 200, "where it listened before");
    assert!(!home.path("elsewhere").exists(), "another journal:\n{}", gateway.log());
    assert!(gateway.api("/api/v1/messages").to_string().contains("a.xml"), "what it had accepted is there");
    drop(taken);
}

fn is_refused(gateway: &Gateway<'_>) -> bool {
    gateway.api("/api/v1/alerts").to_string().contains("configuration-refused")
}

#[test]
fn credentials_reach_the_partners_server_and_no_log() {
    let answers = |number: usize, posted: &crate::support::scripted::Posted| {
        let _ = number;
        Some(correspondent::acknowledge(posted, correspondent::Kind::default()))
    };
    let peer = Scripted::start(answers);
    let home = Home::of(&Station { as2_name: "ours", party: keys::ours(), more: "[log]\nlevel = \"trace\"\n" });
    secret(&home.path("password"), "Correct-Horse-Battery");
    secret(&home.path("token"), "tok-3f2a9c-staple");
    let basic = format!("{RETRY}\n[http]\nuser = \"dxgate\"\npassword_file = \"password\"");
    home.partner("theirs", &PartnerFile { url: peer.url(), delivery: &basic, ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    home.submit("theirs", "a.xml", b"<a/>");
    gateway.wait_for("theirs", "sent", "a.xml");
    let expected = "Basic ZHhnYXRlOkNvcnJlY3QtSG9yc2UtQmF0dGVyeQ==";
    assert_eq!(peer.posted()[0].header("Authorization"), expected);

    let bearer = format!("{RETRY}\n[http]\ntoken_file = \"token\"");
    home.partner("theirs", &PartnerFile { url: peer.url(), delivery: &bearer, ..PartnerFile::default() });
    reload(&home);
    home.submit("theirs", "b.xml", b"<b/>");
    gateway.wait_for("theirs", "sent", "b.xml");
    assert_eq!(peer.posted()[1].header("Authorization"), "Bearer tok-3f2a9c-staple");

    // A new secret in the same file counts as well.
    secret(&home.path("token"), "tok-second-staple");
    eventually("the secret is read again", || {
        let number = peer.posted().len();
        home.submit("theirs", &format!("{number}.xml"), b"<c/>");
        eventually("one more is sent", || (peer.posted().len() > number).then_some(()));
        (peer.posted().last()?.header("Authorization") == "Bearer tok-second-staple").then_some(())
    });
    assert_eq!(gateway.stop().code(), Some(0));
    let log = fs::read_to_string(home.log()).unwrap();
    for secret in ["Correct-Horse", "ZHhnYXRlOkNvcnJlY3Q", "tok-3f2a9c", "tok-second"] {
        assert!(!log.contains(secret), "the log holds {secret}");
        assert!(!in_files(&home.path("data"), secret.as_bytes()), "data/ holds {secret}");
    }
}

fn secret(file: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    let aside = file.with_extension("new");
    fs::write(&aside, format!("{text}\n")).unwrap();
    fs::set_permissions(&aside, fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(&aside, file).unwrap();
}

fn in_files(folder: &Path, needle: &[u8]) -> bool {
    fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => in_files(&path, needle),
            false => fs::read(path).unwrap_or_default().windows(needle.len()).any(|window| window == needle),
        }
    })
}

#[test]
fn a_chunked_body_that_was_announced_first_arrives_like_any_other() {
    let their_home = Home::of(&Station { as2_name: "theirs", party: keys::theirs(), more: "" });
    their_home.partner("ours", &PartnerFile { as2_name: "ours", party: keys::ours(), ..PartnerFile::default() });
    let between = Proxy::start(their_home.as2, |_| Fault::Pass);
    let home = Home::ours();
    let delivery = format!("{RETRY}\n[http]\nchunked = true\nexpect_continue = true");
    home.partner("theirs", &PartnerFile { url: between.url(), delivery: &delivery, ..PartnerFile::default() });
    let (theirs, gateway) = (Gateway::start(&their_home), Gateway::start(&home));
    let large: Vec<u8> = (0..3_000_000u32).map(|number| number.to_le_bytes()[0]).collect();
    home.submit("theirs", "small.xml", b"<a/>");
    home.submit("theirs", "large.bin", &large);
    assert_eq!(theirs.wait_for("ours", "inbox", "small.xml"), b"<a/>");
    assert!(theirs.wait_for("ours", "inbox", "large.bin") == large);
    gateway.wait_for("theirs", "sent", "large.bin");
    gateway.wait_for("theirs", "sent", "small.xml");
    let carried = between.requests().concat();
    let text = String::from_utf8_lossy(&carried);
    assert!(
        text.matches("Transfer-Encoding: chunked\r\n").count() >= 2 && !text.contains("Content-Length: 3"),
        "{text:.600}"
    );
    assert!(text.matches("Expect: 100-continue\r\n").count() >= 2);
}
