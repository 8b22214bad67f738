//! A server that answers before it has the body, such as a firewall with a page of its own: success says nothing about the
//! message then. Where no MDN is to tell, the message is sent again.

use std::io::{self, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dxgate::as2::{MdnAsk, MdnMode, SendPlan};
use dxgate::ground::clock::Clock as _;
use dxgate::store::record::{Direction, JobKind, Message, State};

use crate::support::correspondent::{letter, plan};
use crate::support::home::{Home, PartnerFile};
use crate::support::inside::{self, Inside, pass};
use crate::support::scripted::answer;
use crate::support::{eventually, http};

const ORDER: &[u8] = b"<order/>\n";
const DELIVERY: &str = "retry = [\"1m\", \"2m\"]\njitter = 0.0\n[http]\nexpect_continue = true";

/// Answers 200 to the first head alone, and lets the bodies that follow come. It ends when dropped.
struct Hasty {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
}

#[derive(Default)]
struct Seen {
    /// Of each head.
    message_ids: Vec<String>,
    /// Those that came.
    bodies: Vec<Vec<u8>>,
}

impl Hasty {
    fn start() -> Hasty {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let hasty = Hasty { address, seen: Arc::default(), stop: Arc::default() };
        let (seen, stop) = (hasty.seen.clone(), hasty.stop.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                stream.and_then(|stream| serve(&stream, &seen)).unwrap();
            }
        });
        hasty
    }

    fn url(&self) -> String {
        format!("http://{}/as2", self.address)
    }
}

impl Drop for Hasty {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(stream: &TcpStream, seen: &Mutex<Seen>) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(1, stream);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut octet = [0];
        reader.read_exact(&mut octet)?;
        head.push(octet[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let field = |name: &str| {
        let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")));
        line.and_then(|line| line.split_once(':')).map_or("", |(_, value)| value.trim())
    };
    assert_eq!(field("expect"), "100-continue", "{head}");
    let first = {
        let mut seen = seen.lock().unwrap();
        seen.message_ids.push(field("message-id").to_owned());
        seen.message_ids.len() == 1
    };
    let mut stream = stream;
    if first {
        return stream.write_all(&answer(200, "Content-Type: text/html\r\n", b"<p>Welcome!</p>"));
    }
    stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    let mut body = vec![0; field("content-length").parse().unwrap()];
    reader.read_exact(&mut body)?;
    seen.lock().unwrap().bodies.push(body);
    stream.write_all(&answer(200, "", b""))
}

/// The only outbound message, after so many attempts.
fn attempted(gateway: &Inside<'_>, attempts: u32) -> Message {
    eventually(&format!("attempt {attempts} is over"), || {
        let mut messages = gateway.messages();
        messages.retain(|message| message.direction == Direction::Outbound);
        let message = messages.pop()?;
        (message.attempts == attempts && message.state != State::Sending).then_some(message)
    })
}

/// What was answered early is sent again, and counts as delivered once its body was there.
fn goes_twice(gateway: &Inside<'_>, hasty: &Hasty, kind: JobKind) {
    let early = attempted(gateway, 1);
    let code = early.reason.as_ref().map(|reason| reason.code.as_str());
    assert_eq!((early.kind, early.state, code), (kind, State::Composed, Some("answered-early")), "{early:#?}");
    assert_eq!(early.due.map(|due| due.duration_since(gateway.clock.now()).as_secs()), Some(60));
    assert_eq!(hasty.seen.lock().unwrap().bodies.len(), 0, "its body never left");
    pass(&gateway.clock, Duration::from_secs(60));
    let delivered = attempted(gateway, 2);
    assert_eq!((delivered.state, delivered.wire), (State::Delivered, early.wire), "{delivered:#?}");
    let seen = hasty.seen.lock().unwrap();
    let ids = &seen.message_ids;
    assert_eq!((ids.len(), &ids[0]), (2, &ids[1]), "under the same Message-ID");
    let sent = delivered.wire.map(|wire| usize::try_from(wire.len).unwrap());
    assert_eq!(seen.bodies.iter().map(Vec::len).collect::<Vec<_>>(), sent.into_iter().collect::<Vec<_>>(), "whole");
}

#[test]
fn a_payload_without_mdn_is_not_delivered_by_an_answer_to_its_head() {
    let (home, hasty) = (Home::ours(), Hasty::start());
    let mdn = "mode = \"none\"";
    home.partner("theirs", &PartnerFile { url: hasty.url(), mdn, delivery: DELIVERY, ..PartnerFile::default() });
    let gateway = Inside::start(&home, &inside::clock());
    gateway.submit("theirs", "order.xml", ORDER);
    goes_twice(&gateway, &hasty, JobKind::Payload);
}

#[test]
fn an_mdn_that_we_owe_is_not_delivered_by_an_answer_to_its_head() {
    let (home, hasty) = (Home::ours(), Hasty::start());
    home.partner("theirs", &PartnerFile { url: hasty.url(), delivery: DELIVERY, ..PartnerFile::default() });
    let gateway = Inside::start(&home, &inside::clock());
    let mdn = MdnAsk { mode: MdnMode::Async { url: hasty.url() }, signed: true, micalgs: Vec::new() };
    let asking = letter(&SendPlan { mdn, ..plan() }, "<asking@theirs>", ORDER);
    let taken = http::post(home.as2, "/as2", &asking.headers, &asking.body).unwrap();
    assert_eq!(taken.status, 202, "{}", taken.text());
    attempted(&gateway, 0);
    pass(&gateway.clock, Duration::from_secs(2));
    goes_twice(&gateway, &hasty, JobKind::Mdn);
}
