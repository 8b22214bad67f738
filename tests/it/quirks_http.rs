//! HTTP as other products speak it, which is taken as it is: lengths, chunks, fields and addresses in every dress, and how TLS
//! ends.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use dxgate::as2::SendPlan;
use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};

use crate::support::correspondent::{self, Kind, Letter, receipt_in};
use crate::support::gateway::Gateway;
use crate::support::home::{Home, PartnerFile, Station};
use crate::support::{eventually, free_port, http, keys, scripted};

/// Neither signed nor encrypted, which this partner may; a receipt is wanted.
fn letter(number: usize) -> Letter {
    let plan = SendPlan { signing: None, encryption: None, ..correspondent::plan() };
    correspondent::letter(&plan, &format!("<{number}@theirs>"), format!("<order n=\"{number}\"/>").as_bytes())
}

#[test]
fn requests_of_other_products_are_taken_in_every_dress() {
    let home = Home::ours();
    home.partner("theirs", &PartnerFile::default());
    let gateway = Gateway::start(&home);
    type Dress = fn(&str, &[u8]) -> (String, Vec<u8>);
    let dresses: [(&str, &str, Dress); 9] = [
        ("leading zeros of the length", "/as2", |fields, body| {
            (format!("{fields}Content-Length: 000{}\r\n", body.len()), body.to_vec())
        }),
        ("blanks behind the size of a chunk", "/as2", |fields, body| {
            chunked(fields, body, |size| format!("{size:x}  "))
        }),
        ("zeros and capitals in the size of a chunk", "/as2", |fields, body| {
            chunked(fields, body, |size| format!("000{size:X}"))
        }),
        ("an address with a query of more than 100 characters", LONG, |fields, body| {
            (format!("{fields}Content-Length: {}\r\n", body.len()), body.to_vec())
        }),
        ("capitals in names of fields", "/as2", |fields, body| {
            let fields = fields.lines().map(|line| {
                let (name, value) = line.split_once(':').unwrap();
                format!("{}:{value}\r\n", name.to_ascii_uppercase())
            });
            (format!("{}CONTENT-LENGTH: {}\r\n", fields.collect::<String>(), body.len()), body.to_vec())
        }),
        ("no blank behind the colon", "/as2", |fields, body| {
            let fields = fields.replace(": ", ":");
            (format!("{fields}Content-Length:{}\r\n", body.len()), body.to_vec())
        }),
        ("tabs and blanks around values", "/as2", |fields, body| {
            let fields = fields.replace(": ", ":\t ").replace("\r\n", " \t\r\n");
            (format!("{fields}Content-Length: {}\r\n", body.len()), body.to_vec())
        }),
        ("Cyclone: a subject with a semicolon, a name with blanks", "/as2", |fields, body| {
            let fields = fields.replace("letter.xml", "a letter of ours.xml");
            (format!("{fields}Subject: a;b\r\nContent-Length: {}\r\n", body.len()), body.to_vec())
        }),
        ("fields that nobody knows, one of them empty", "/as2", |fields, body| {
            let more = "X-Cyclone-Metadata-DocumentId: 1\r\nRecipient-Address:\r\nTE: trailers\r\n";
            (format!("{fields}{more}Content-Length: {}\r\n", body.len()), body.to_vec())
        }),
    ];
    let count = dresses.len();
    for (number, (what, path, dress)) in dresses.into_iter().enumerate() {
        let Letter { headers, body } = letter(number);
        let (fields, body) = dress(&headers, &body);
        let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n");
        let answer = http::exchange(home.as2, &[head.as_bytes(), &body].concat()).unwrap();
        assert!(receipt_in(&answer).disposition.is_positive(), "{what}: {}\n{}", answer.text(), gateway.log());
    }
    let payloads = || home.names("theirs", "inbox").iter().filter(|name| !name.ends_with(".meta.json")).count();
    eventually("all arrive", || (payloads() == count).then_some(()));
}

const LONG: &str = "/as2?partner=theirs&route=00000000001111111111222222222233333333334444444444555555555566666666667777777777\
                    8888888888&x=%20%2F";

/// Drummond rounds found clients that cut a URL at 100 characters, or leave its query away.
#[test]
fn the_url_of_a_partner_is_asked_for_to_its_last_character() {
    let long = format!("/as2?{}&x=%20%2F&y=a/b?c:d@e", "route=0123456789&".repeat(30));
    for (target, asked) in
        [(LONG, LONG), (long.as_str(), long.as_str()), ("?only=a-query", "/?only=a-query"), ("", "/")]
    {
        // A URL with `@` is refused: it could hide a host.
        let (target, asked) = (target.replace('@', "%40"), asked.replace('@', "%40"));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let home = Home::ours();
        let url = format!("http://{}{target}", listener.local_addr().unwrap());
        home.partner("theirs", &PartnerFile { url, ..PartnerFile::default() });
        let gateway = Gateway::start(&home);
        home.submit("theirs", "order.xml", b"<order/>");
        listener.set_nonblocking(true).unwrap();
        let (mut socket, _) = eventually("the gateway connects", || listener.accept().ok());
        socket.set_nonblocking(false).unwrap();
        let request = scripted::raw_request(&socket).unwrap();
        let line = request.split(|octet| *octet == b'\r').next().unwrap();
        assert_eq!(String::from_utf8_lossy(line), format!("POST {asked} HTTP/1.1"), "{}", gateway.log());
        socket.write_all(&scripted::answer(503, "", b"")).unwrap();
    }
}

fn chunked(fields: &str, body: &[u8], size: fn(usize) -> String) -> (String, Vec<u8>) {
    let (one, other) = body.split_at(body.len() / 2);
    let mut chunks = Vec::new();
    for piece in [one, other] {
        chunks.extend([size(piece.len()).as_bytes(), b"\r\n", piece, b"\r\n"].concat());
    }
    chunks.extend(b"0\r\n\r\n");
    (format!("{fields}Transfer-Encoding: chunked\r\n"), chunks)
}

/// RFC 9112 2.3: without a `Host`, the answer closed by the end of its connection, and no length in either.
#[test]
fn http_1_0_is_spoken_with_clients_and_servers_that_know_no_other() {
    let home = Home::ours();
    let mut servers = Vec::new();
    for (id, version) in [("theirs", "HTTP/1.0"), ("newer", "HTTP/1.1")] {
        let peer = scripted::Scripted::start(move |_, posted| {
            let Letter { headers, body } = correspondent::receipt_for(posted, Kind::default());
            Some([format!("{version} 200 OK\r\n{headers}\r\n").as_bytes(), &body].concat())
        });
        let mdn = "mode = \"sync\"\nsigned = true";
        home.partner(id, &PartnerFile { as2_name: id, url: peer.url(), mdn, ..PartnerFile::default() });
        servers.push((id, peer));
    }
    let gateway = Gateway::start(&home);
    let Letter { headers, body } = letter(1);
    let head = format!("POST /as2 HTTP/1.0\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
    let answer = http::exchange(home.as2, &[head.as_bytes(), &body].concat()).unwrap();
    assert!(receipt_in(&answer).disposition.is_positive(), "{}\n{}", answer.text(), gateway.log());
    assert!(!answer.head.to_ascii_lowercase().contains("transfer-encoding"), "no chunks to HTTP/1.0: {}", answer.head);
    for (id, peer) in servers {
        home.submit(id, "order.xml", b"<order/>");
        assert_eq!(gateway.wait_for(id, "sent", "order.xml"), b"<order/>", "{id}");
        assert_eq!(peer.posted().len(), 1, "{id}");
    }
}

/// A client that waits for the end of TLS (close_notify) and gets none waits for ever, or takes the answer for cut off.
#[test]
fn the_end_of_an_answer_over_tls_is_said() {
    let port = free_port();
    let more = format!(
        "[[as2.listeners]]\nlisten = \"127.0.0.1:{port}\"\n[as2.listeners.tls]\ncertificate = \"{}\"\nprivate_key = \"{}\"\n",
        keys::ours().certificate_file.display(),
        keys::ours().key_file.display(),
    );
    let home = Home::of(&Station { as2_name: "ours", party: keys::ours(), more: &more });
    home.partner("theirs", &PartnerFile::default());
    let gateway = Gateway::start(&home);
    let mut connector = SslConnector::builder(SslMethod::tls()).unwrap();
    connector.set_verify(SslVerifyMode::NONE);
    let socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut tls = connector.build().connect("localhost", socket).unwrap();
    let Letter { headers, body } = letter(1);
    let length = body.len();
    let head =
        format!("POST /as2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n");
    tls.write_all(&[head.as_bytes(), &body].concat()).unwrap();
    let mut answer = Vec::new();
    // OpenSSL reports an end without close_notify as an error.
    tls.read_to_end(&mut answer).unwrap_or_else(|error| panic!("{error}\n{}", gateway.log()));
    assert!(answer.starts_with(b"HTTP/1.1 200 OK"), "{}", String::from_utf8_lossy(&answer));
}
