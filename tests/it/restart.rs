//! AS2 Restart: a large body whose connection broke off goes on where it did, for the partner it came from alone.

use std::fs;
use std::path::PathBuf;
use std::sync::mpsc;

use dxgate::ground::random;

use crate::support::correspondent::{Kind, acknowledge};
use crate::support::gateway::Gateway;
use crate::support::home::{Home, PartnerFile, Station};
use crate::support::http::{self, Answer};
use crate::support::proxy::{Fault, Proxy};
use crate::support::scripted::{self, Posted, Scripted};
use crate::support::{eventually, keys};

const LARGE: usize = 6 << 20;
/// Enough to go on with: more than what travels in one piece anyway.
const ENOUGH: usize = 3 << 20;
/// Where connections break: beyond heads and what a socket buffers.
const CUT: usize = 2 << 20;
const DELIVERY: &str = "retry = [\"1s\"]\njitter = 0.0\ngive_up_after = \"1h\"\n[http]\nrestart = true";
const SWITCHED_ON: &str = "signature = true\nencryption = true\nrestart = true";
const SWITCHED_OFF: &str = "signature = true\nencryption = true";

struct Pair {
    left: Home,
    right: Home,
    proxy: Proxy,
    /// What a connection waits for that comes after one whose request was cut off.
    go: mpsc::Sender<()>,
}

impl Pair {
    /// Faults of the connections in their order; afterwards the network behaves. The sender comes again when it likes:
    /// what follows a request that was cut off is held back until [`Pair::go_on`].
    fn new(accept: &str, faults: &'static [Fault]) -> Pair {
        Pair::with_mdn(PartnerFile::default().mdn, accept, faults)
    }

    fn with_mdn(mdn: &str, accept: &str, faults: &'static [Fault]) -> Pair {
        let more = "[limits]\nfree_space_floor = 0";
        let left = Home::of(&Station { as2_name: "left", party: keys::ours(), more });
        let right = Home::of(&Station { as2_name: "right", party: keys::theirs(), more });
        let (go, held_back) = mpsc::channel();
        let proxy = Proxy::start(right.as2, move |number| {
            let fault = |number: usize| faults.get(number).copied().unwrap_or(Fault::Pass);
            if number.checked_sub(1).is_some_and(|before| matches!(fault(before), Fault::CutRequest(_))) {
                // Without a sender the test is over.
                let _ = held_back.recv();
            }
            fault(number)
        });
        left.partner(
            "right",
            &PartnerFile { as2_name: "right", url: proxy.url(), mdn, delivery: DELIVERY, ..PartnerFile::default() },
        );
        let partner =
            PartnerFile { as2_name: "left", url: left.url(), party: keys::ours(), accept, ..PartnerFile::default() };
        right.partner("left", &partner);
        right.partner("other", &PartnerFile { as2_name: "other", ..partner });
        Pair { left, right, proxy, go }
    }

    /// Lets the next connection pass that is held back.
    fn go_on(&self) {
        self.go.send(()).unwrap();
    }

    /// Waits until so many connections were cut off and the receiver has written all that they carried, more than `had`
    /// bytes; returns how many.
    fn arrived(&self, connections: usize, had: u64) -> u64 {
        eventually("a part has come", || {
            let requests = self.proxy.requests();
            let is_cut = requests.len() == connections && requests.iter().all(|carried| carried.len() == CUT);
            let head = String::from_utf8_lossy(requests.first()?.get(..4096)?).into_owned();
            let etag = head.lines().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("ETag").then_some(value)
            });
            is_cut.then(|| self.told("left", etag.unwrap()))?.filter(|held| *held > had)
        })
    }

    /// What the answer to `HEAD` tells `from` of a body.
    fn told(&self, from: &str, etag: &str) -> Option<u64> {
        let (host, fields) = (self.right.as2, fields(from, etag));
        let request = format!("HEAD /as2 HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{fields}\r\n");
        held(&http::exchange(host, request.as_bytes()).unwrap())
    }

    /// What each connection carried from the sender.
    fn carried(&self) -> Vec<usize> {
        self.proxy.requests().iter().map(Vec::len).collect()
    }

    /// What came of bodies and waits.
    fn parts(&self) -> Vec<PathBuf> {
        fs::read_dir(self.right.path("data/partial")).unwrap().map(|entry| entry.unwrap().path()).collect()
    }
}

fn payload() -> Vec<u8> {
    payload_of(LARGE)
}

fn payload_of(length: usize) -> Vec<u8> {
    let mut payload = vec![0; length];
    random::fill(&mut payload);
    payload
}

fn fields(from: &str, etag: &str) -> String {
    format!("AS2-From: {from}\r\nAS2-To: right\r\nAS2-Version: 1.2\r\nETag: {etag}\r\n")
}

fn starts(carried: &[u8], what: &str) -> bool {
    carried.windows(what.len()).any(|window| window.eq_ignore_ascii_case(what.as_bytes()))
}

#[test]
fn what_is_only_said_to_be_here_takes_no_room() {
    const MIB: u64 = 1024 * 1024;
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let free = dxgate::ground::durable::free_space(scratch.path()).unwrap();
    let floor = (free / MIB).saturating_sub(4096);
    let more = format!("[limits]\nbody = \"8GiB\"\nfree_space_floor = \"{floor}MiB\"");
    let home = Home::of(&Station { as2_name: "right", party: keys::theirs(), more: &more });
    let partner = PartnerFile { as2_name: "left", party: keys::ours(), accept: SWITCHED_ON, ..PartnerFile::default() };
    home.partner("left", &partner);
    let _gateway = Gateway::start(&home);
    let range = "bytes 6000000000-6000000009/6000000010";
    let fields = format!(
        "{}Message-ID: <m@left>\r\nContent-Type: text/plain\r\nContent-Range: {range}\r\n",
        fields("left", "\"m\"")
    );
    let answer = http::post(home.as2, "/as2", &fields, b"0123456789").unwrap();
    assert_eq!(answer.status, 416, "{answer:?}");
}

#[test]
fn a_large_body_goes_on_where_its_connection_broke_off_and_arrives_once() {
    let pair = Pair::new(SWITCHED_ON, &[Fault::CutRequest(CUT), Fault::CutRequest(CUT)]);
    let (sender, receiver) = (Gateway::start(&pair.left), Gateway::start(&pair.right));
    let payload = payload();
    pair.left.submit("right", "large.bin", &payload);
    let first = pair.arrived(1, 0);
    pair.go_on();
    pair.arrived(2, first);
    pair.go_on();
    assert!(sender.wait_for("right", "sent", "large.bin") == payload);
    assert!(receiver.wait_for("left", "inbox", "large.bin") == payload);
    let messages = receiver.api("/api/v1/messages?direction=inbound");
    assert_eq!(messages["messages"].as_array().unwrap().len(), 1, "{messages:#}");
    let requests = pair.proxy.requests();
    assert!(starts(&requests[0][..4096], "content-range: bytes 0-"), "the first one says so too");
    assert!(starts(&requests[1][..4096], "HEAD /as2"), "the second one asks");
    assert!(starts(&requests[1][..4096], "as2-version: 1.2"), "and says which version it speaks");
    let carried: usize = pair.carried().iter().sum();
    assert!(carried < LARGE + LARGE / 4, "{carried} bytes for {LARGE}");
    assert!(sender.stop().success() && receiver.stop().success());
}

#[test]
fn a_body_whose_receipt_was_lost_is_not_carried_again() {
    let pair = Pair::new(SWITCHED_ON, &[Fault::CutAnswer(0)]);
    let (sender, receiver) = (Gateway::start(&pair.left), Gateway::start(&pair.right));
    let payload = payload();
    pair.left.submit("right", "large.bin", &payload);
    assert!(sender.wait_for("right", "sent", "large.bin") == payload);
    receiver.wait_for("left", "inbox", "large.bin");
    assert_eq!(receiver.home.names("left", "inbox"), ["large.bin", "large.bin.meta.json"]);
    let carried = pair.carried();
    assert!(carried[0] > LARGE && carried[1..].iter().sum::<usize>() < 16 * 1024, "{carried:?}");
}

#[test]
fn what_came_survives_kill_9_of_the_receiver() {
    let pair = Pair::new(SWITCHED_ON, &[Fault::CutRequest(CUT)]);
    let receiver = Gateway::start(&pair.right);
    let sender = Gateway::start(&pair.left);
    let payload = payload();
    pair.left.submit("right", "large.bin", &payload);
    // The receiver writes what comes a little behind the connection.
    let written = || pair.parts().first().map_or(0, |part| fs::metadata(part).map_or(0, |part| part.len()));
    eventually("a part has come", || (written() > CUT as u64 / 2 && pair.carried()[0] == CUT).then_some(()));
    receiver.kill();
    let receiver = Gateway::start(&pair.right);
    pair.arrived(1, CUT as u64 / 2);
    pair.go_on();
    assert!(sender.wait_for("right", "sent", "large.bin") == payload);
    assert!(receiver.wait_for("left", "inbox", "large.bin") == payload);
    let carried: usize = pair.carried().iter().sum();
    assert!(carried < LARGE + LARGE / 4, "{carried} bytes for {LARGE}");
}

#[test]
fn foreign_bytes_in_a_part_cost_a_transfer_and_no_delivery() {
    foreign_bytes_cost_a_transfer(PartnerFile::default().mdn);
}

#[test]
fn foreign_bytes_in_a_part_cost_no_more_where_the_receipt_comes_later() {
    foreign_bytes_cost_a_transfer("mode = \"async\"\nsigned = true");
}

fn foreign_bytes_cost_a_transfer(mdn: &str) {
    let pair = Pair::with_mdn(mdn, SWITCHED_ON, &[Fault::CutRequest(CUT)]);
    let (sender, receiver) = (Gateway::start(&pair.left), Gateway::start(&pair.right));
    let payload = payload();
    pair.left.submit("right", "large.bin", &payload);
    pair.arrived(1, 0);
    let part = pair.parts().pop().unwrap();
    let mut bytes = fs::read(&part).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&part, bytes).unwrap();
    pair.go_on();
    assert!(sender.wait_for("right", "sent", "large.bin") == payload);
    assert!(receiver.wait_for("left", "inbox", "large.bin") == payload);
    let messages = receiver.api("/api/v1/messages?direction=inbound");
    assert_eq!(messages["messages"].as_array().unwrap().len(), 1, "nothing was judged: {messages:#}");
    assert!(receiver.log().contains("not judged, since it came in parts"), "{}", receiver.log());
}

#[test]
fn a_receiver_without_the_switch_keeps_nothing_and_gets_the_body_whole() {
    let pair = Pair::new(SWITCHED_OFF, &[Fault::CutRequest(CUT)]);
    pair.go_on();
    let (sender, receiver) = (Gateway::start(&pair.left), Gateway::start(&pair.right));
    let payload = payload();
    pair.left.submit("right", "large.bin", &payload);
    assert!(sender.wait_for("right", "sent", "large.bin") == payload);
    assert!(receiver.wait_for("left", "inbox", "large.bin") == payload);
    assert!(pair.parts().is_empty());
    assert!(pair.carried()[1] > LARGE, "{:?}", pair.carried());
}

#[test]
fn only_the_length_of_a_part_is_told_and_only_to_its_partner() {
    let pair = Pair::new(SWITCHED_ON, &[]);
    let _receiver = Gateway::start(&pair.right);
    let head = |from: &str, etag: &str| pair.told(from, etag);
    let post = |from: &str, range: &str, message_id: &str, body: &[u8]| {
        let more = format!(
            "{}Message-ID: {message_id}\r\nContent-Range: bytes {range}\r\nContent-Type: text/plain\r\n",
            fields(from, "\"m\"")
        );
        http::post(pair.right.as2, "/as2", &more, body).unwrap()
    };
    let range =
        |answer: &Answer| answer.head.lines().find_map(|line| line.strip_prefix("Content-Range: ")).map(str::to_owned);
    assert_eq!(head("left", "\"m\""), Some(0));
    assert!(pair.parts().is_empty(), "whoever asks leaves nothing behind");
    // The connection ends in the middle.
    let (host, total) = (pair.right.as2, 4_000_000);
    let more =
        format!("{}Message-ID: <m@left>\r\nContent-Range: bytes 0-{}/{total}\r\n", fields("left", "\"m\""), total - 1);
    let request = format!("POST /as2 HTTP/1.1\r\nHost: {host}\r\nContent-Length: {total}\r\n{more}\r\n");
    let socket = std::net::TcpStream::connect(host).unwrap();
    std::io::Write::write_all(&mut &socket, &[request.as_bytes(), &[b'x'; 5000]].concat()).unwrap();
    socket.shutdown(std::net::Shutdown::Both).unwrap();
    eventually("what came is told", || (head("left", "\"m\"") == Some(5000)).then_some(()));

    for (from, etag) in [("other", "\"m\""), ("nobody", "\"m\""), ("left", "\"n\""), ("left", "W/\"m\""), ("left", "m")]
    {
        assert_eq!(head(from, etag), Some(0), "{from} {etag}");
    }
    let whole = total - 1;
    let beyond = post("left", &format!("6000-{whole}/{total}"), "<m@left>", &vec![b'x'; total - 6000]);
    assert_eq!((beyond.status, range(&beyond)), (416, Some("bytes */5000".to_owned())));
    let foreign = post("other", &format!("5000-{whole}/{total}"), "<m@left>", &vec![b'x'; total - 5000]);
    assert_eq!((foreign.status, range(&foreign)), (416, Some("bytes */0".to_owned())));
    for senseless in ["5000-5999/4000000", "9-5/10", "*/10", "0-9"] {
        assert_eq!(post("left", senseless, "<m@left>", b"0123456789").status, 400, "{senseless}");
    }
    assert_eq!(head("left", "\"m\""), Some(5000), "none of this changed it");
    let renamed = post("left", &format!("5000-{whole}/{total}"), "<other@left>", &vec![b'x'; total - 5000]);
    assert_eq!((renamed.status, range(&renamed)), (416, Some("bytes */0".to_owned())), "another message");
    assert_eq!(head("left", "\"m\""), Some(0));
    // A part in the place of a message is never taken for one, whatever the agreement.
    let small = post("left", "5-9/10", "<m@left>", b"01234");
    assert_eq!((small.status, range(&small)), (416, Some("bytes */0".to_owned())));
}

#[test]
fn a_first_attempt_without_a_range_may_be_gone_on_with() {
    let pair = Pair::new(SWITCHED_ON, &[]);
    let _receiver = Gateway::start(&pair.right);
    let (host, fields) = (pair.right.as2, fields("left", "\"m\""));
    let request = format!(
        "POST /as2 HTTP/1.1\r\nHost: {host}\r\nContent-Length: 4000000\r\n{fields}Message-ID: <m@left>\r\n\r\n"
    );
    let socket = std::net::TcpStream::connect(host).unwrap();
    std::io::Write::write_all(&mut &socket, &[request.as_bytes(), &[b'x'; 5000]].concat()).unwrap();
    socket.shutdown(std::net::Shutdown::Both).unwrap();
    eventually("what came is told", || (pair.told("left", "\"m\"") == Some(5000)).then_some(()));
}

#[test]
fn a_part_without_a_length_that_ends_early_is_no_message_and_may_be_gone_on_with() {
    let pair = Pair::new(SWITCHED_ON, &[]);
    let receiver = Gateway::start(&pair.right);
    let (host, total) = (pair.right.as2, 4_000_000);
    let fields = "AS2-From: left\r\nAS2-To: right\r\nAS2-Version: 1.2\r\nETag: \"m\"\r\nConnection: close\r\n";
    let chunked = format!(
        "POST /as2 HTTP/1.1\r\nHost: {host}\r\n{fields}Message-ID: <m@left>\r\nContent-Type: text/plain\r\n\
         Content-Range: bytes 0-{}/{total}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        total - 1
    );
    assert_eq!(http::exchange(host, chunked.as_bytes()).unwrap().status, 400);
    let head = format!("HEAD /as2 HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n");
    assert_eq!(held(&http::exchange(host, head.as_bytes()).unwrap()), Some(5));
    assert_eq!(receiver.api("/api/v1/messages")["messages"].as_array().unwrap().len(), 0);
}

#[test]
fn a_server_that_knows_nothing_of_this_or_talks_nonsense_gets_the_body_whole() {
    let always = |status: u16, fields: &str| Says::Always(told(status, fields));
    let cases = [
        ("no HEAD", always(405, "Content-Length: 4000\r\n")),
        ("no such address", always(404, "")),
        ("no length", always(200, "")),
        ("nothing", always(204, "")),
        ("a word for a length", always(200, "Content-Length: some\r\n")),
        ("more than there is", always(200, "Content-Length: 99999999\r\n")),
        ("a page of its own", always(200, "Content-Length: 1532\r\n")),
        ("an error of its own", always(500, "")),
        ("not implemented", always(501, "")),
        ("not HTTP", Says::Always(b"220 mail ready\r\n\r\n".to_vec())),
        ("the end of the connection", Says::Nothing),
        ("a part that it does not take then", Says::OfIt(told(200, "Content-Length: 1000000\r\n"))),
    ];
    let begin = |(what, says): (&'static str, Says)| {
        let parts = usize::from(matches!(says, Says::OfIt(_)));
        ((what, parts), Scripted::start(answering(says)))
    };
    let (cases, servers): (Vec<_>, Vec<_>) = cases.into_iter().map(begin).unzip();
    let home = home_of(&servers);
    let sender = Gateway::start(&home);
    let payload = submit_to_all(&home, &servers);
    for (number, ((what, parts), server)) in cases.iter().zip(&servers).enumerate() {
        assert!(sender.wait_for(&format!("p{number}"), "sent", "large.bin") == payload, "{what}");
        let posted = server.posted();
        let ranges = ranges(&posted);
        let whole = Some(format!("bytes 0-{}/{}", posted[0].body.len() - 1, posted[0].body.len()));
        assert_eq!((&ranges[0], &ranges[1], ranges.last()), (&whole, &None, Some(&whole)), "{what}: {ranges:?}");
        let parted = ranges.iter().filter(|range| range.is_some() && **range != whole).count();
        assert_eq!(parted, *parts, "{what}: {ranges:?}");
        assert!(posted[0].body == posted.last().unwrap().body, "{what}: the same bytes");
        assert_eq!(posted[0].header("ETag"), posted[1].header("ETag"), "{what}");
    }
}

#[test]
fn a_body_goes_on_where_it_was_although_the_server_could_not_say_so_at_once() {
    let answer = |status: u16, fields: &str| Some(scripted::answer(status, fields, b""));
    // Of the questions, the one with this number comes to that.
    let cases = [
        ("too many requests", 1, answer(429, "")),
        ("nobody behind the proxy", 1, answer(502, "")),
        ("unavailable", 1, answer(503, "Retry-After: 1\r\n")),
        ("nobody in time behind the proxy", 1, answer(504, "")),
        ("an earlier connection has the part", 1, answer(500, "Retry-After: 1\r\n")),
        ("the end of the connection", 1, None),
        ("unavailable, asked about another body", 2, answer(503, "")),
        ("the end of the connection, asked about another body", 2, None),
    ];
    let begin = |(what, question, answer): (&'static str, usize, Option<Vec<u8>>)| {
        (what, Scripted::start(disturbed(question, answer)))
    };
    let (cases, servers): (Vec<_>, Vec<_>) = cases.into_iter().map(begin).unzip();
    let home = home_of(&servers);
    let sender = Gateway::start(&home);
    let payload = submit_to_all(&home, &servers);
    for (number, (what, server)) in cases.iter().zip(&servers).enumerate() {
        assert!(sender.wait_for(&format!("p{number}"), "sent", "large.bin") == payload, "{what}");
        let ranges = ranges(&server.posted());
        let [first, questions @ .., last] = ranges.as_slice() else { panic!("{what}: {ranges:?}") };
        let begins = |range: &Option<String>, from: usize| {
            range.as_deref().is_some_and(|range| range.starts_with(&format!("bytes {from}-")))
        };
        assert!(begins(first, 0) && begins(last, CAME), "{what}: {ranges:?}");
        assert!(questions.iter().all(Option::is_none) && questions.len() >= 3, "{what}: {ranges:?}");
    }
}

/// What a server says to `HEAD`.
enum Says {
    /// This, whatever it is asked about. It takes a part for a message, and refuses that for good.
    Always(Vec<u8>),
    /// This of the body that it lost, and that it has nothing of any other. It takes no part.
    OfIt(Vec<u8>),
    /// Nothing: the connection ends.
    Nothing,
}

/// Bytes that [`disturbed`] has of a body that it lost.
const CAME: usize = 1_000_000;

fn told(status: u16, fields: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} Told\r\nConnection: close\r\n{fields}\r\n").into_bytes()
}

/// Loses the first body, answers `HEAD` so, takes the body whole and no part of it.
fn answering(says: Says) -> impl FnMut(usize, &Posted) -> Option<Vec<u8>> + Send + 'static {
    let mut lost = None;
    move |number, posted| {
        if number == 0 {
            lost = posted.headers.get("ETag").map(str::to_owned);
            return None;
        }
        match (posted.headers.get("Content-Range"), &says) {
            (None, Says::Always(told)) => Some(told.clone()),
            (None, Says::OfIt(told)) if posted.headers.get("ETag") == lost.as_deref() => Some(told.clone()),
            (None, Says::OfIt(_)) => Some(scripted::answer(200, "", b"")),
            (None, Says::Nothing) => None,
            (Some(range), _) if range.starts_with("bytes 0-") => Some(acknowledge(posted, Kind::default())),
            (Some(_), Says::OfIt(_)) => Some(scripted::answer(416, "Content-Range: bytes */0\r\n", b"")),
            (Some(_), _) => Some(scripted::answer(400, "", b"")),
        }
    }
}

/// Loses the first body, has [`CAME`] bytes of it, and takes the rest. One request comes to `answer`, whatever it asks.
fn disturbed(
    request: usize,
    answer: Option<Vec<u8>>,
) -> impl FnMut(usize, &Posted) -> Option<Vec<u8>> + Send + 'static {
    let mut lost: Option<Posted> = None;
    move |number, posted| {
        if number == 0 {
            lost = Some(posted.clone());
            return None;
        }
        let lost = lost.as_ref().unwrap();
        match posted.headers.get("Content-Range") {
            _ if number == request => answer.clone(),
            None if posted.header("ETag") == lost.header("ETag") => {
                Some(told(200, &format!("Content-Length: {CAME}\r\n")))
            }
            None => Some(scripted::answer(404, "", b"")),
            Some(range) => {
                let here = if range.starts_with("bytes 0-") { 0 } else { CAME };
                let body = [&lost.body[..here], &posted.body].concat();
                Some(acknowledge(&Posted { headers: posted.headers.clone(), body }, Kind::default()))
            }
        }
    }
}

/// A sender with a partner at each of these servers: `p0`, `p1` and so on.
fn home_of(servers: &[Scripted]) -> Home {
    let home = Home::of(&Station { as2_name: "ours", party: keys::ours(), more: "[limits]\nfree_space_floor = 0" });
    for (number, server) in servers.iter().enumerate() {
        let name = format!("p{number}");
        let file = PartnerFile { as2_name: &name, url: server.url(), delivery: DELIVERY, ..PartnerFile::default() };
        home.partner(&name, &file);
    }
    home
}

/// What is sent to all of them.
fn submit_to_all(home: &Home, servers: &[Scripted]) -> Vec<u8> {
    let payload = payload_of(ENOUGH);
    for number in 0..servers.len() {
        home.submit(&format!("p{number}"), "large.bin", &payload);
    }
    payload
}

/// Which part each request carried; questions carry none.
fn ranges(posted: &[Posted]) -> Vec<Option<String>> {
    posted.iter().map(|one| one.headers.get("Content-Range").map(str::to_owned)).collect()
}

/// How much is here, by the answer to `HEAD`; nothing is told while the body is still being written.
fn held(answer: &Answer) -> Option<u64> {
    assert!([200, 500].contains(&answer.status) && answer.body.is_empty(), "{} {}", answer.status, answer.head);
    if answer.status == 500 {
        // A sender takes a 500 without it for one of those that know nothing of this.
        assert!(answer.head.contains("Retry-After: "), "{}", answer.head);
        return None;
    }
    answer.head.lines().find_map(|line| line.strip_prefix("Content-Length: "))?.parse().ok()
}
