//! Against `openssl s_server`, which can still be as old as that.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use super::*;
use crate::http::specimens::{Pair, lasting};
use crate::http::{Addresses, Answer, Client, ClientSettings, SendBody, Timeouts};

const PATIENT: Timeouts = Timeouts { connect: Duration::from_secs(20), total: Duration::from_secs(40) };

/// `openssl s_server -www` with these options; it answers a GET with a page about the connection.
struct Server {
    child: Child,
    /// Kept open, so that it can go on writing.
    _out: BufReader<ChildStdout>,
    _folder: tempfile::TempDir,
    url: String,
}

impl Server {
    fn start(pair: &Pair, options: &[&str]) -> Server {
        let folder = tempfile::tempdir().expect("a folder");
        let mut file = std::fs::File::create(folder.path().join("server.pem")).expect("created");
        file.write_all(&pair.certificate.to_pem().expect("PEM")).expect("written");
        file.write_all(&pair.key.private_key_to_pem_pkcs8().expect("PEM")).expect("written");
        let mut child = Command::new("openssl")
            .args(["s_server", "-www", "-accept", "127.0.0.1:0", "-cert", "server.pem"])
            .args(options)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl runs");
        let mut out = BufReader::new(child.stdout.take().expect("piped"));
        // Once it listens, it says where.
        let port = loop {
            let mut line = String::new();
            assert!(out.read_line(&mut line).expect("text") > 0, "the server does not come up");
            if let Some(port) = line.trim_end().strip_prefix("ACCEPT 127.0.0.1:") {
                break port.to_owned();
            }
        };
        Server { child, _out: out, _folder: folder, url: format!("https://localhost:{port}/") }
    }

    async fn get(&self, old_tls: bool, trust: Trust, identity: Option<Identity>) -> Result<Answer, PostErrorKind> {
        let settings =
            ClientSettings { trust, identity, old_tls, addresses: Addresses::Any, ..ClientSettings::default() };
        let client = Client::new(settings).expect("usable");
        client.request("GET", &self.url, &[], SendBody::empty(), PATIENT).await.map_err(|error| error.kind)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn page(answer: Result<Answer, PostErrorKind>) -> String {
    String::from_utf8_lossy(&answer.expect("answered").body).into_owned()
}

#[tokio::test]
async fn a_server_of_tls_1_0_or_1_1_is_spoken_to_by_this_client_alone() {
    let pair = lasting("localhost", None);
    for (version, name) in [("-tls1", "TLSv1"), ("-tls1_1", "TLSv1.1")] {
        let server = Server::start(&pair, &[version, "-cipher", "ALL:@SECLEVEL=0"]);
        let pinned = || Trust::Pinned(vec![pair.der()]);
        let page = page(server.get(true, pinned(), None).await);
        assert!(page.contains(&format!("{name}, ")) || page.contains(&format!("Protocol  : {name}\n")), "{page}");
        assert_eq!(server.get(false, pinned(), None).await, Err(PostErrorKind::TlsVersion), "{version}");
    }
    // It speaks the present versions as well.
    let server = Server::start(&pair, &["-tls1_3"]);
    assert!(page(server.get(true, Trust::Pinned(vec![pair.der()]), None).await).contains("TLSv1.3"));
}

#[tokio::test]
async fn whom_to_believe_is_judged_as_ever() {
    let authority = lasting("Test CA", None);
    let (pair, elsewhere) = (lasting("localhost", Some(&authority)), lasting("elsewhere.example", Some(&authority)));
    let server = Server::start(&pair, &["-tls1", "-cipher", "ALL:@SECLEVEL=0"]);
    let refused = Err(PostErrorKind::Certificate);
    assert!(server.get(true, Trust::Pinned(vec![pair.der()]), None).await.is_ok(), "pinned");
    assert!(server.get(true, Trust::Pinned(vec![authority.der()]), None).await.is_ok(), "issued for this name");
    assert_eq!(server.get(true, Trust::Pinned(vec![elsewhere.der()]), None).await, refused);
    assert_eq!(server.get(true, Trust::Pinned(Vec::new()), None).await, refused);
    assert_eq!(server.get(true, Trust::System, None).await, refused);
    let server = Server::start(&elsewhere, &["-tls1", "-cipher", "ALL:@SECLEVEL=0"]);
    assert_eq!(server.get(true, Trust::Pinned(vec![authority.der()]), None).await, refused, "issued for another name");
    assert!(server.get(true, Trust::Pinned(vec![elsewhere.der()]), None).await.is_ok(), "a pin needs no name");
}

#[tokio::test]
async fn our_own_certificate_is_shown_to_old_servers_too() {
    let (pair, ours) = (lasting("localhost", None), lasting("client.example", None));
    let options = ["-tls1", "-cipher", "ALL:@SECLEVEL=0", "-Verify", "1", "-verify_return_error"];
    let server = Server::start(&pair, &options);
    let pinned = || Trust::Pinned(vec![pair.der()]);
    // It knows no CA of ours, so it ends the handshake; without a certificate it does so as well.
    assert!(server.get(true, pinned(), None).await.is_err());
    let asks = Server::start(&pair, &["-tls1", "-cipher", "ALL:@SECLEVEL=0", "-verify", "1"]);
    let page = page(asks.get(true, pinned(), Some(ours.identity())).await);
    assert!(page.contains("client.example"), "{page}");
}
