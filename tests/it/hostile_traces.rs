//! What is refused at its very end leaves nothing behind: no octet of its plaintext on the disk, and of a receipt without measure no
//! change.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dxgate::as2::mdn::{self, MdnPlan};
use dxgate::as2::{As2Version, Compression, Disposition, MessageId, MicalgStyle, SendPlan};
use dxgate::cms::ContentCipher;
use dxgate::store::record::State;
use jiff::Timestamp;

use crate::oracle::{STRICT, entity, enveloped, fields};
use crate::support::correspondent::{Kind, Letter, open, plan, receipt_in, signing};
use crate::support::gateway::Gateway;
use crate::support::home::{Home, PartnerFile, Station};
use crate::support::inside::{self, Inside, pass};
use crate::support::scripted::{Posted, Scripted, answer};
use crate::support::{eventually, http, keys};

/// Stands at the beginning of every payload, and often in it.
const MARKER: &[u8] = b"plaintext-of-5c1fe7 ";
const LAST: &[u8] = b"the-end-of-it";
const ORDER: &[u8] = b"<order/>\n";
const MIB: usize = 1 << 20;

const GCM: ContentCipher = ContentCipher::Aes256Gcm;
const CBC: ContentCipher = ContentCipher::Aes256Cbc;

#[test]
fn of_what_is_refused_at_its_end_no_plaintext_is_left_on_the_disk() {
    // Whatever is longer than this goes into a file while it is decrypted.
    let more = "[limits]\nfree_space_floor = 0\nreserve = 0\ninline = \"4KiB\"\n";
    let home = Home::of(&Station { as2_name: "ours", party: keys::ours(), more });
    home.partner("theirs", &PartnerFile { accept: STRICT, ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    let post = |id: &str, body: &[u8], cipher: ContentCipher| {
        let label = if cipher == GCM { "authEnveloped-data" } else { "enveloped-data" };
        let head = fields(id).replace("enveloped-data", label);
        receipt_in(&http::post(home.as2, "/as2", &head, body).unwrap()).disposition.to_string()
    };
    for (number, (what, body, cipher, expected)) in refused().into_iter().enumerate() {
        let told = post(&format!("<{number}@theirs>"), &body, cipher);
        assert!(told.ends_with(expected), "{what}: {told}\n{}", gateway.log());
        assert_eq!(below(&home.path("data/tmp")), Vec::<PathBuf>::new(), "{what}");
        assert_eq!(holding(MARKER, &home), Vec::<PathBuf>::new(), "{what}");
        assert_eq!(home.names("theirs", "inbox"), Vec::<String>::new(), "{what}");
    }
    // The control: of what is accepted it is found, also where nothing but the gateway reads it.
    let good = enveloped(&entity(&plan(), &payload()), &[keys::ours()], CBC);
    let told = post("<good@theirs>", &good, CBC);
    assert!(told.ends_with("; processed"), "{told}\n{}", gateway.log());
    gateway.wait_for("theirs", "inbox", "letter.xml");
    let found = holding(MARKER, &home);
    assert!(found.contains(&home.exchange("theirs", "inbox").join("letter.xml")), "{found:?}");
    assert!(found.iter().any(|file| file.starts_with(home.path("data/bodies"))), "{found:?}");
}

/// Envelopes whose fault shows when their content has gone through, and what is told of them.
fn refused() -> Vec<(&'static str, Vec<u8>, ContentCipher, &'static str)> {
    let veiled = "; processed/error: decryption-failed";
    let sealed = |inner: &[u8], cipher| enveloped(inner, &[keys::ours()], cipher);
    let good = entity(&plan(), &payload());
    let flipped = |mut body: Vec<u8>, from_the_end: usize| {
        let at = body.len() - from_the_end;
        body[at] ^= 0x01;
        body
    };
    let mut other = good.clone();
    let at = memchr::memmem::find(&good, LAST).unwrap();
    other[at] ^= 0x01;
    let stranger = entity(&SendPlan { signing: Some(signing(keys::stranger())), ..plan() }, &payload());
    let unsigned = entity(&SendPlan { signing: None, ..plan() }, &payload());
    let compressed = |payload: &[u8]| entity(&SendPlan { compression: Compression::AfterSigning, ..plan() }, payload);
    // The signature comes last, and behind it the checksum of zlib.
    let damaged = flipped(compressed(&payload()), 300);
    let checksum = flipped(compressed(&payload()), 2);
    let bomb = compressed(&[payload(), vec![0; 12 * MIB]].concat());
    assert!(bomb.len() < 64 * 1024, "{} octets are no bomb", bomb.len());
    vec![
        ("a bad tag", flipped(sealed(&good, GCM), 1), GCM, veiled),
        ("another last octet under a tag", flipped(sealed(&good, GCM), 20), GCM, veiled),
        ("padding that is none", flipped(sealed(&good, CBC), 17), CBC, veiled),
        ("another digest", sealed(&other, CBC), CBC, veiled),
        ("another digest under a tag", sealed(&other, GCM), GCM, "; processed/error: integrity-check-failed"),
        ("an unknown signer", sealed(&stranger, CBC), CBC, veiled),
        ("an unknown signer under a tag", sealed(&stranger, GCM), GCM, "; processed/error: authentication-failed"),
        ("no signature", sealed(&unsigned, CBC), CBC, veiled),
        ("damaged compression", sealed(&damaged, CBC), CBC, veiled),
        ("another checksum under a tag", sealed(&checksum, GCM), GCM, "; processed/error: decompression-failed"),
        ("a bomb", sealed(&bomb, CBC), CBC, veiled),
        ("a bomb under a tag", sealed(&bomb, GCM), GCM, "; processed/error: decompression-failed"),
    ]
}

fn payload() -> Vec<u8> {
    [MARKER.repeat(20_000).as_slice(), LAST].concat()
}

/// Every file below a folder, whatever it is called.
fn below(folder: &Path) -> Vec<PathBuf> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_path_buf()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files
}

/// The files of a home that have these octets in them.
fn holding(octets: &[u8], home: &Home) -> Vec<PathBuf> {
    let mut files = below(&home.path(""));
    // One that is gone meanwhile holds nothing.
    files.retain(|file| fs::read(file).is_ok_and(|read| memchr::memmem::find(&read, octets).is_some()));
    files
}

#[test]
fn a_posted_receipt_of_more_than_a_mebibyte_is_refused_by_its_length_and_settles_nothing() {
    let (home, peer) = (Home::ours(), Scripted::start(|_, _| Some(answer(202, "", b""))));
    let mdn = "mode = \"async\"\nsigned = true";
    home.partner("theirs", &PartnerFile { url: peer.url(), mdn, ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    home.submit("theirs", "order.xml", ORDER);
    let message = || gateway.api("/api/v1/messages?direction=outbound")["messages"][0].clone();
    let before = eventually("the receipt is awaited", || {
        let message = message();
        (message["state"] == "awaiting-receipt").then_some(message)
    });
    let posted = peer.posted().remove(0);
    let signed = genuine(&posted, MIB);
    let nothing_else = genuine(&posted, 3 * MIB);
    // The report alone, as who does not sign sends it.
    let report = "Content-Type: multipart/report; report-type=disposition-notification; boundary=none\r\n";
    let bare = Letter { headers: with_type(&signed.headers, report), body: vec![b'x'; MIB + 1] };
    for (what, receipt) in [("signed", &signed), ("three of them", &nothing_else), ("unsigned", &bare)] {
        assert!(receipt.body.len() > MIB);
        let answer = http::post(home.as2, "/as2", &receipt.headers, &receipt.body).unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (413, "the MDN is too large\n"), "{what}: {}", answer.head);
        assert_eq!(message(), before, "{what}");
        assert_eq!(below(&home.path("data/tmp")), Vec::<PathBuf>::new(), "{what}");
    }
    assert_eq!(home.names("theirs", "receipts"), Vec::<String>::new());
    assert_eq!(home.names("theirs", "sent"), Vec::<String>::new());
    // The control: the length alone was wrong with it.
    let receipt = genuine(&posted, MIB - 16 * 1024);
    assert!(receipt.body.len() < MIB);
    let answer = http::post(home.as2, "/as2", &receipt.headers, &receipt.body).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(gateway.wait_for("theirs", "sent", "order.xml"), ORDER);
    eventually("it is delivered", || (message()["state"] == "delivered").then_some(()));
}

#[test]
fn a_receipt_of_more_than_a_mebibyte_in_an_answer_settles_nothing_and_the_message_is_sent_again() {
    let home = Home::ours();
    let peer = Scripted::start(|number, posted| {
        let receipt = genuine(posted, if number == 0 { MIB } else { 10 });
        Some(answer(200, &receipt.headers, &receipt.body))
    });
    let delivery = "retry = [\"1m\"]\njitter = 0.0\ngive_up_after = \"72h\"";
    home.partner("theirs", &PartnerFile { url: peer.url(), delivery, ..PartnerFile::default() });
    let clock = inside::clock();
    let gateway = Inside::start(&home, &clock);
    gateway.submit("theirs", "order.xml", ORDER);
    let tried = gateway.until("theirs", "tried", |message| message.attempts == 1 && message.state != State::Sending);
    let reason = tried.reason.as_ref().map(|reason| reason.code.as_str());
    assert_eq!((tried.state, reason), (State::Composed, Some("answer-too-large")), "{tried:#?}");
    assert!(tried.receipt.is_none() && tried.strays.is_empty(), "{tried:#?}");
    assert_eq!(home.names("theirs", "receipts"), Vec::<String>::new());
    pass(&clock, Duration::from_secs(61));
    let delivered = gateway.until("theirs", "delivered", |message| message.state == State::Delivered);
    assert_eq!((delivered.attempts, peer.posted().len()), (2, 2));
}

/// A true receipt of the partner's, with so many octets of text for people.
fn genuine(posted: &Posted, text: usize) -> Letter {
    let received = open(posted);
    let built = mdn::build(&MdnPlan {
        from: &received.request.to,
        to: &received.request.from,
        original_message_id: Some(received.request.message_id.as_str()),
        disposition: &Disposition::parse_received(Kind::default().disposition).unwrap(),
        mic: received.mic.as_ref(),
        explanation: &"x".repeat(text),
        signing: Some(&signing(keys::theirs())),
        micalg_style: MicalgStyle::Hyphenated,
        version: As2Version::default(),
        message_id: &MessageId::parse("<receipt@theirs>").unwrap(),
        date: Timestamp::now(),
    })
    .unwrap();
    Letter { headers: String::from_utf8(built.headers.to_bytes()).unwrap(), body: built.body }
}

/// Header lines with another Content-Type.
fn with_type(headers: &str, line: &str) -> String {
    let others = headers.lines().filter(|line| !line.starts_with("Content-Type:"));
    others.map(|line| format!("{line}\r\n")).chain([line.to_owned()]).collect()
}
