//! The names by which a console with TLS is reached.

use std::fs;
use std::net::TcpStream;
use std::time::Duration;

use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};

use crate::support::gateway::{Gateway, run};
use crate::support::home::{Home, PartnerFile, Station, replace};
use crate::support::http::{self, Answer};
use crate::support::{eventually, keys};

/// What the console answers by this name. `rest` is what follows the first fields.
fn answered(home: &Home, name: &str, line: &str, rest: &str) -> Answer {
    let mut connector = SslConnector::builder(SslMethod::tls()).unwrap();
    connector.set_verify(SslVerifyMode::NONE);
    let stream = TcpStream::connect(home.console).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut stream = connector.build().connect(name, stream).unwrap();
    let request = format!("{line} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n{rest}");
    http::over(&mut stream, request.as_bytes()).unwrap()
}

#[test]
fn a_console_is_reached_by_the_names_of_the_certificate_that_it_shows_by_then() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["first", "second"] {
        let (host, file) = (format!("{name}.example"), folder.path().join(format!("{name}.crt")));
        let out = file.to_str().unwrap();
        let made = run(&["cert", "generate", "--common-name", &host, "--host", &host, "--bits", "256", "--out", out]);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
    let pair = folder.path().join("first");
    let pair = pair.display();
    let more = format!("[console.tls]\ncertificate = \"{pair}.crt\"\nprivate_key = \"{pair}.key\"\n");
    let home = Home::of(&Station { as2_name: "ours", party: keys::ours(), more: &more });
    home.partner("theirs", &PartnerFile::default());
    let mut gateway = Gateway::spawn(&home);
    eventually("it is ready", || {
        assert_eq!(gateway.ended(), None, "{}", gateway.log());
        gateway.log().contains("dxgate is ready").then_some(())
    });
    let reached = |name: &str| {
        let answer = answered(&home, name, "GET /api/v1/setup", "\r\n");
        let refused = answer.status == 403 && answer.text().contains("host-unknown");
        assert!(answer.status == 200 || refused, "{name}: {answer:?}");
        !refused
    };
    assert_eq!(["first.example", "second.example"].map(reached), [true, false]);

    let text = fs::read_to_string(home.config()).unwrap();
    replace(&home.config(), &text.replace("/first.", "/second."));
    let bearer = format!("Authorization: Bearer {}\r\n", home.token().unwrap());
    let rest = format!("{bearer}Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}");
    let read = answered(&home, "localhost", "POST /api/v1/partners/reload", &rest);
    assert_eq!(read.status, 200, "{}", read.text());
    assert_eq!(["first.example", "second.example"].map(reached), [false, true], "{}", gateway.log());
}
