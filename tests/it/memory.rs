//! The memory of a gateway does not grow with its messages: one large payload from outbox to inbox and back as a receipt,
//! and many receptions at once.
//!
//! `DXGATE_MEMORY_PAYLOAD` is the size of the one in MiB (256), `DXGATE_MEMORY_RECEPTIONS` the number of the others (8) and
//! `DXGATE_MEMORY_EACH` the size of each in MiB (32). A development build is no measure of resident size, so the tests
//! bound what it grows by. `DXGATE_MEMORY_PROGRAM` names a release build: that has to stay within 64 and 256 MiB.
//! `DXGATE_MEMORY_DIR` puts homes and payloads elsewhere: a run needs four times the payload on disk and more, or a
//! filesystem that compresses.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use dxgate::as2::{self, As2Name, MessageId, SendPlan, Stamp};
use dxgate::mime::{MemoryScratch, Source};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::support::gateway::{Gateway, dxgate};
use crate::support::home::{Home, PartnerFile, Station};
use crate::support::{correspondent, http, keys};

const MIB: u64 = 1 << 20;
/// What a gateway may grow by for one payload of any size, and for each more at a time.
const GROWTH: u64 = 24 * MIB;
const GROWTH_EACH: u64 = 2 * MIB;
const LIMITS: &str = "[limits]\nfree_space_floor = 0\nbody = \"100GiB\"\npayload = \"100GiB\"\n";

#[test]
fn memory_does_not_grow_with_the_payload() {
    let size = number("DXGATE_MEMORY_PAYLOAD", 256) * MIB;
    exchanged(
        &Payload { number: 1, size, what: What::Text },
        "sign = \"rsa-pkcs1\"\nencrypt = \"aes128-cbc\"\nkey_transport = \"rsa-pkcs1\"\ncompress = \"before-signing\"",
    );
}

#[test]
fn memory_does_not_grow_with_a_payload_that_nothing_makes_smaller() {
    let size = number("DXGATE_MEMORY_PAYLOAD", 256) / 4 * MIB;
    for agreement in [
        "sign = \"rsa-pkcs1\"\nencrypt = \"aes128-cbc\"\ncompress = \"none\"",
        "sign = \"rsa-pkcs1\"\nencrypt = \"aes256-gcm\"\ncompress = \"after-signing\"",
    ] {
        exchanged(&Payload { number: 3, size, what: What::Noise }, agreement);
    }
}

/// A payload goes from outbox to inbox, and its receipt comes back.
fn exchanged(payload: &Payload, agreement: &str) {
    let size = payload.size;
    let (left, right) = (home("left", keys::ours()), home("right", keys::theirs()));
    let partner = |as2_name, url, party| PartnerFile {
        as2_name,
        url,
        party,
        agreement,
        accept: "signature = true\nencryption = true",
        delivery: "retry = [\"1s\"]\ntimeout = \"1h\"",
        ..PartnerFile::default()
    };
    left.partner("right", &partner("right", right.url(), keys::theirs()));
    right.partner("left", &partner("left", left.url(), keys::ours()));
    let (sender, receiver) = (start(&left), start(&right));
    left.submit("right", "small.txt", b"a small one");
    receiver.wait_for("left", "inbox", "small.txt");
    sender.wait_for("right", "sent", "small.txt");
    let before = [peak(&sender), peak(&receiver)];

    let aside = left.exchange("right", "outbox").join(".large.txt");
    payload.write(&aside);
    let begun = Instant::now();
    fs::rename(&aside, aside.with_file_name("large.txt")).unwrap();
    let arrived = right.exchange("left", "inbox").join("large.txt");
    wait_for(&arrived, size, &receiver);
    wait_for(&left.exchange("right", "receipts").join("large.txt.mdn.json"), size, &sender);
    let took = begun.elapsed().as_secs_f64();
    assert_eq!(digest(&mut File::open(&arrived).unwrap()), digest(&mut payload.open().unwrap()), "it is the same");
    for (who, gateway, before) in [("sender", &sender, before[0]), ("receiver", &receiver, before[1])] {
        judge(&format!("{who} of {} MiB in {took:.1} s", size / MIB), gateway, before, GROWTH, 64 * MIB);
    }
    assert!(sender.stop().success() && receiver.stop().success());
}

#[test]
fn memory_does_not_grow_with_receptions_at_a_time() {
    let (count, size) = (number("DXGATE_MEMORY_RECEPTIONS", 8), number("DXGATE_MEMORY_EACH", 32) * MIB);
    let right = Home::within(
        &parent(),
        None,
        &Station { as2_name: "ours", party: keys::ours(), more: &format!("{LIMITS}connections_per_ip = 256\n") },
    );
    let accept = "signature = true\nencryption = true";
    right.partner("theirs", &PartnerFile { accept, ..PartnerFile::default() });
    let receiver = start(&right);
    let small = correspondent::letter(&correspondent::plan(), "<small@theirs>", b"a small one");
    correspondent::receipt_in(&http::post(right.as2, "/as2", &small.headers, &small.body).unwrap());
    let before = peak(&receiver);

    let payload = Payload { number: 2, size, what: What::Noise };
    let letter = Letter::new(&payload);
    let (begun, address) = (Instant::now(), right.as2);
    std::thread::scope(|scope| {
        // What arrives is taken, as its consumer would.
        let taking = scope.spawn(|| take(&right.exchange("theirs", "inbox"), count, size, &receiver));
        for number in 0..count {
            let letter = &letter;
            scope.spawn(move || {
                let answer = letter.post(address, number);
                assert!(answer.contains("processed"), "{answer}");
            });
        }
        let expected = digest(&mut payload.open().unwrap());
        assert!(taking.join().unwrap().iter().all(|digest| *digest == expected), "each is the same");
    });
    let what = format!("{count} receptions of {} MiB in {:.1} s", size / MIB, begun.elapsed().as_secs_f64());
    judge(&what, &receiver, before, GROWTH + count * GROWTH_EACH, 256 * MIB);
}

/// Its zeros cost ten megabytes on the line; ten gigabytes would come out.
#[test]
fn memory_does_not_grow_with_what_a_bomb_would_become() {
    let home = home("ours", keys::ours());
    home.partner("theirs", &PartnerFile::default());
    let gateway = start(&home);
    let fields = |number: u32, kind: &str| {
        format!(
            "AS2-Version: 1.1\r\nAS2-From: theirs\r\nAS2-To: ours\r\nMessage-ID: <{number}@theirs>\r\nContent-Type: {kind}\r\n\
             Disposition-Notification-To: theirs\r\n"
        )
    };
    let post = |number, kind: &str, body: &[u8]| {
        let answer = http::post(home.as2, "/as2", &fields(number, kind), body).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.text()
    };
    let bomb = bomb();
    // As much as it costs to take and keep so many bytes of anything.
    assert!(post(0, "application/octet-stream", &vec![0x55; bomb.len()]).contains("; processed\r\n"));
    let before = peak(&gateway);
    for number in 1..4 {
        let kind = "application/pkcs7-mime; smime-type=compressed-data";
        let told = post(number, kind, &bomb);
        assert!(told.contains("processed/error: decompression-failed"), "{told}");
    }
    judge("three bombs of 10 GiB", &gateway, before, GROWTH, 64 * MIB);
    let names = home.names("theirs", "inbox");
    assert!(names.len() <= 2 && names.iter().all(|name| !name.contains("bomb")), "{names:?}");
}

/// CompressedData (RFC 3274) of indefinite length around deflated zeros that are repeated ten thousand times.
fn bomb() -> Vec<u8> {
    let mut deflated = Vec::with_capacity(1 << 16);
    let mut deflate = flate2::Compress::new(flate2::Compression::best(), false);
    deflate.compress_vec(&vec![0; 1 << 20], &mut deflated, flate2::FlushCompress::Full).unwrap();
    assert_eq!(deflate.total_in(), MIB);
    let length = u16::try_from(deflated.len()).unwrap().to_be_bytes();
    let segment = [&[0x04, 0x82], length.as_slice(), &deflated].concat();
    let smime = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10";
    let data = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01";
    let mut bomb = [&[0x30, 0x80, 0x06, 0x0b], smime.as_slice(), &[1, 9, 0xa0, 0x80, 0x30, 0x80, 2, 1, 0]].concat();
    bomb.extend([&[0x30, 0x0d, 0x06, 0x0b], smime.as_slice(), &[3, 8, 0x30, 0x80], data, &[0xa0, 0x80]].concat());
    // A stored block with the head of a part, so that the zeros are a payload.
    let head = b"Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=bomb\r\n\r\n";
    let size = u16::try_from(head.len()).unwrap();
    let stored = [&[0x78, 0xda, 0], size.to_le_bytes().as_slice(), &(!size).to_le_bytes(), head.as_slice()].concat();
    bomb.extend([&[0x24, 0x80, 0x04, 0x81, u8::try_from(stored.len()).unwrap()], stored.as_slice()].concat());
    bomb.extend(segment.repeat(10_000));
    bomb
}

/// One message, composed once; only its Message-ID differs from reception to reception.
struct Letter {
    headers: String,
    body: Vec<u8>,
}

impl Letter {
    fn new(payload: &Payload) -> Letter {
        let plan = SendPlan { from: As2Name::parse("theirs").unwrap(), ..correspondent::plan() };
        let stamp = Stamp { message_id: MessageId::parse("<NUMBER@theirs>").unwrap(), date: Timestamp::now() };
        let mut body = Vec::new();
        let composed = as2::compose(&plan, &stamp, payload, &MemoryScratch, &mut body).unwrap();
        Letter { headers: String::from_utf8(composed.headers.to_bytes()).unwrap(), body }
    }

    /// Posts it, all over a while, so that all are under way together; the answer.
    fn post(&self, address: std::net::SocketAddr, number: u64) -> String {
        let mut socket = std::net::TcpStream::connect(address).unwrap();
        let (headers, length) = (self.headers.replace("NUMBER", &number.to_string()), self.body.len());
        let head =
            format!("POST /as2 HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {length}\r\n");
        write!(socket, "{head}{headers}\r\n").unwrap();
        socket.write_all(&self.body).unwrap();
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }
}

/// Made as it is read.
struct Payload {
    number: u64,
    size: u64,
    what: What,
}

/// What it is made of.
#[derive(Clone, Copy)]
enum What {
    /// Text, which a compressor makes some forty times smaller.
    Text,
    /// Octets that stay as many.
    Noise,
}

impl Payload {
    fn write(&self, path: &Path) {
        let mut out = BufWriter::with_capacity(1 << 20, File::create(path).unwrap());
        io::copy(&mut self.open().unwrap(), &mut out).unwrap();
        out.flush().unwrap();
    }
}

impl Source for Payload {
    fn len(&self) -> u64 {
        self.size
    }

    fn open(&self) -> io::Result<Box<dyn Read + Send + '_>> {
        let made = Made { seed: self.number, what: self.what, piece: Vec::new(), at: 0 };
        Ok(Box::new(made.take(self.size)))
    }
}

struct Made {
    seed: u64,
    what: What,
    piece: Vec<u8>,
    at: usize,
}

impl Made {
    fn drawn(&mut self) -> u64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.seed >> 32
    }

    fn next_piece(&mut self) -> io::Result<()> {
        let text = "<item><name>cotton shirt, knitted, for women</name><unit>011</unit></item>";
        self.piece.clear();
        for _ in 0..1000 {
            let number = self.drawn();
            match self.what {
                What::Text => writeln!(self.piece, "<no>{number:08x}</no>{text}{text}{text}")?,
                What::Noise => self.piece.extend_from_slice(&number.to_le_bytes()[..4]),
            }
        }
        self.at = 0;
        Ok(())
    }
}

impl Read for Made {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.piece.len() {
            self.next_piece()?;
        }
        let copied = (&self.piece[self.at..]).read(buffer)?;
        self.at += copied;
        Ok(copied)
    }
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |value| value.parse().unwrap())
}

fn release_build() -> Option<PathBuf> {
    std::env::var_os("DXGATE_MEMORY_PROGRAM").map(PathBuf::from)
}

fn parent() -> PathBuf {
    std::env::var_os("DXGATE_MEMORY_DIR").map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from)
}

fn home(as2_name: &str, party: &'static keys::Party) -> Home {
    Home::within(&parent(), None, &Station { as2_name, party, more: LIMITS })
}

fn start(home: &Home) -> Gateway<'_> {
    let mut gateway = Gateway::spawn_by(home, release_build().map_or_else(dxgate, Command::new));
    gateway.wait_ready();
    gateway
}

/// The greatest resident size so far, in bytes.
fn peak(gateway: &Gateway<'_>) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", gateway.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
}

fn judge(what: &str, gateway: &Gateway<'_>, before: u64, growth: u64, bound: u64) {
    let peak = peak(gateway);
    println!("{what}: {:.1} MiB at most, {:.1} before", peak as f64 / MIB as f64, before as f64 / MIB as f64);
    if release_build().is_some() {
        assert!(peak < bound, "{what}: {peak} bytes resident, more than {bound}");
    } else {
        assert!(peak < before + growth, "{what}: {peak} bytes resident, {before} before");
    }
}

/// Long enough for two megabytes a second.
fn patience(size: u64) -> Duration {
    Duration::from_secs(120 + size / (2 * MIB))
}

fn wait_for(path: &Path, size: u64, gateway: &Gateway<'_>) {
    let begun = Instant::now();
    while !path.exists() {
        assert!(begun.elapsed() < patience(size), "{} does not come:\n{}", path.display(), gateway.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Takes `count` payloads out of an inbox; their digests.
fn take(inbox: &Path, count: u64, size: u64, gateway: &Gateway<'_>) -> Vec<[u8; 32]> {
    let (begun, mut taken) = (Instant::now(), Vec::new());
    while (taken.len() as u64) < count {
        assert!(begun.elapsed() < patience(count * size), "{} of {count}:\n{}", taken.len(), gateway.log());
        for entry in fs::read_dir(inbox).unwrap() {
            let path = entry.unwrap().path();
            if path.metadata().is_ok_and(|metadata| metadata.len() == size) {
                taken.push(digest(&mut File::open(&path).unwrap()));
                fs::remove_file(path).unwrap();
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    taken
}

fn digest(input: &mut dyn Read) -> [u8; 32] {
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        match input.read(&mut buffer).unwrap() {
            0 => return hash.finalize().into(),
            read => hash.update(&buffer[..read]),
        }
    }
}
