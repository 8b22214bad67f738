//! What an attacker sees who has our certificate and can write any envelope: whole answers over HTTP. And what a signing
//! time is worth.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Mutex;

use dxgate::as2::{self, Compression, MessageId, SendPlan, Stamp};
use dxgate::cms::{Certificate, ContentCipher, EnvelopeWriter, KeyTransport, Recipient};
use dxgate::mime::{BytesSource, MemoryScratch};
use jiff::{SignedDuration, Timestamp};
use openssl::pkey::Id;

use crate::support::correspondent::{Letter, letter, plan, receipt, receipt_in, signing};
use crate::support::eventually;
use crate::support::gateway::Gateway;
use crate::support::home::{Home, PartnerFile, Station};
use crate::support::http::{self, Answer};
use crate::support::keys::{self, Party};
use crate::support::scripted::{self, Posted, Scripted};

const PAYLOAD: &[u8] = b"<a>not to be guessed</a>";
pub const STRICT: &str = "signature = true\nencryption = true";
/// Of each way to fail in each shape of envelope, each made anew.
const TIMES: usize = 3;
/// Each answer takes a quarter of a second.
const AT_A_TIME: usize = 12;

#[test]
fn twelve_ways_to_fail_in_an_envelope_are_answered_alike_to_the_byte() {
    let elliptic = keys::p256().ours;
    let more = format!(
        "[[station.keys]]\ncertificate = \"{}\"\nprivate_key = \"{}\"\nuse = [\"decrypt\"]\n\
         [limits]\nfree_space_floor = 0\nfailures_per_ip = 0\nfailures_per_partner = 0\n",
        elliptic.certificate_file.display(),
        elliptic.key_file.display(),
    );
    let home = Home::of(&Station { as2_name: "ours", party: keys::ours(), more: &more });
    home.partner("theirs", &PartnerFile { accept: STRICT, ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    let mut failures = Vec::new();
    for shape in Shape::all() {
        for _ in 0..TIMES {
            let ways = shape.failures();
            assert_eq!(ways.len(), 12);
            failures.extend(ways.into_iter().map(|(what, body)| (format!("{}: {what}", shape.what), body)));
        }
    }
    let answers = answers(home.as2, &failures);
    assert_eq!(answers.len(), failures.len());
    let (first, expected) = &answers[0];
    for (what, answer) in &answers {
        assert_eq!(answer, expected, "{what} is answered otherwise than {first}");
    }
    assert!(expected.0.contains("processed/error: decryption-failed"), "{}", expected.0);
    assert_eq!(home.names("theirs", "inbox"), Vec::<String>::new());
    for (number, shape) in Shape::all().into_iter().enumerate() {
        let id = format!("<nothing-{number:03}@theirs>");
        let answer = http::post(home.as2, "/as2", &fields(&id), &shape.good()).unwrap();
        let told = receipt_in(&answer).disposition;
        assert!(told.is_positive(), "{}: {}\n{}", shape.what, answer.text(), gateway.log());
        assert_ne!(masked(&answer, &id), *expected, "a difference would be seen");
    }
}

/// What is told of each, without what differs in any two answers.
fn answers(address: SocketAddr, failures: &[(String, Vec<u8>)]) -> Vec<(&str, (String, usize))> {
    let jobs = Mutex::new(failures.iter().enumerate());
    let answers = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                loop {
                    let Some((number, (what, body))) = jobs.lock().unwrap().next() else { return };
                    let id = format!("<failure-{number:03}@theirs>");
                    let answer = http::post(address, "/as2", &fields(&id), body).unwrap();
                    let told = receipt_in(&answer).disposition;
                    assert!(!told.is_positive(), "{what}: {told}");
                    answers.lock().unwrap().push((what.as_str(), masked(&answer, &id)));
                }
            });
        }
    });
    answers.into_inner().unwrap()
}

#[test]
fn twelve_ways_to_fail_are_answered_alike_to_the_byte_on_a_connection_of_their_own_too() {
    let peer = Scripted::start(|_, _| Some(scripted::answer(204, "", b"")));
    let home = Home::ours();
    home.partner("theirs", &PartnerFile { url: peer.url(), accept: STRICT, ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    let later = |id: &str| format!("{}Receipt-Delivery-Option: {}\r\n", fields(id), peer.url());
    let mut failures = failures();
    failures.push(("nothing", enveloped(&inner(&plan()), &[keys::ours()], ContentCipher::Aes256Cbc)));
    let mut at_once = Vec::new();
    for (number, (what, body)) in failures.iter().enumerate() {
        let id = format!("<later-{number:02}@theirs>");
        let answer = http::post(home.as2, "/as2", &later(&id), body).unwrap();
        assert_eq!(answer.status, 202, "{what}: {}", answer.text());
        at_once.push(masked(&answer, &id));
    }
    assert!(at_once.iter().all(|answer| *answer == at_once[0]), "{at_once:#?}");
    let posted = eventually("every receipt is sent", || {
        let posted = peer.posted();
        (posted.len() == failures.len()).then_some(posted)
    });
    let mut receipts = Vec::new();
    for (number, (what, _)) in failures.iter().enumerate() {
        let id = format!("<later-{number:02}@theirs>");
        let about = |posted: &&Posted| find_in(&posted.body, id.as_bytes()).is_some();
        let posted = posted.iter().find(about).unwrap_or_else(|| panic!("none about {what}"));
        let told = receipt(&posted.headers, &posted.body);
        assert_eq!(
            told.disposition.is_positive(),
            *what == "nothing",
            "{what}: {}\n{}",
            told.disposition,
            gateway.log()
        );
        let head = String::from_utf8(posted.headers.to_bytes()).unwrap();
        receipts.push((what, masked_octets(&head, &posted.body, &id)));
    }
    let good = receipts.pop().unwrap();
    for (what, receipt) in &receipts {
        assert_eq!(*receipt, receipts[0].1, "{what} is answered otherwise than {}", receipts[0].0);
        assert!(receipt.0.contains("processed/error: decryption-failed"), "{}", receipt.0);
    }
    assert_ne!(good.1, receipts[0].1, "a difference would be seen");
    gateway.wait_for("theirs", "inbox", "letter.xml");
    assert_eq!(home.names("theirs", "inbox"), ["letter.xml", "letter.xml.meta.json"]);
}

/// Everything that can go wrong between the private key and the signature, in the usual shape.
pub fn failures() -> Vec<(&'static str, Vec<u8>)> {
    Shape::usual().failures()
}

const CBC: ContentCipher = ContentCipher::Aes256Cbc;

/// For whom envelopes are, how their content key travels, and what they hold.
#[derive(Clone, Copy)]
struct Shape {
    what: &'static str,
    ours: &'static Party,
    /// Somebody else with a key of the same kind.
    other: &'static Party,
    transport: KeyTransport,
    compression: Compression,
}

impl Shape {
    fn usual() -> Shape {
        Shape {
            what: "RSA PKCS #1 v1.5",
            ours: keys::ours(),
            other: keys::stranger(),
            transport: KeyTransport::RsaPkcs1,
            compression: Compression::None,
        }
    }

    fn all() -> [Shape; 5] {
        let pair = keys::p256();
        let ecdh = Shape {
            what: "ECDH",
            ours: pair.ours,
            other: pair.theirs,
            transport: KeyTransport::EcdhSha256,
            ..Shape::usual()
        };
        let compression = Compression::BeforeSigning;
        [
            Shape::usual(),
            Shape { what: "RSA-OAEP", transport: KeyTransport::RsaOaepSha256, ..Shape::usual() },
            ecdh,
            Shape { what: "RSA PKCS #1 v1.5, compressed and then signed", compression, ..Shape::usual() },
            Shape { what: "ECDH, compressed and then signed", compression, ..ecdh },
        ]
    }

    fn plan(self) -> SendPlan {
        SendPlan { compression: self.compression, ..plan() }
    }

    /// In an envelope for us.
    fn sealed(self, inner: &[u8]) -> Vec<u8> {
        sealed(inner, &[self.ours], self.transport, CBC)
    }

    /// What nothing is wrong with.
    fn good(self) -> Vec<u8> {
        self.sealed(&inner(&self.plan()))
    }

    fn failures(self) -> Vec<(&'static str, Vec<u8>)> {
        let good = inner(&self.plan());
        let whole = self.sealed(&good);
        let mut padding_of_key = whole.clone();
        padding_of_key[key_at(&whole, self.ours) + 7] ^= 0x10;
        let mut key_length = sealed(&good, &[self.ours], self.transport, ContentCipher::Aes128Cbc);
        let oid_at = find(&key_length, AES128_CBC) + AES128_CBC.len() - 1;
        key_length[oid_at] = 0x2a;
        let mut padding = whole.clone();
        let last_but_one = padding.len() - 17;
        padding[last_but_one] ^= 0x80;
        let mut digest = good.clone();
        let covered: &[u8] = if self.compression == Compression::None { PAYLOAD } else { b"smime.p7z" };
        digest[find(&good, covered)] ^= 0x01;
        let mut two = sealed(&good, &[self.ours, self.other], self.transport, CBC);
        let our_key = key_at(&two, self.ours);
        two[our_key + 7] ^= 0x10;
        let stranger = SendPlan { signing: Some(signing(keys::stranger())), ..self.plan() };
        vec![
            ("padding of the encrypted key", padding_of_key),
            ("length of the encrypted key", key_length),
            ("another content key", with_keys_of(&self.sealed(&good), &whole)),
            ("padding of the content", padding),
            ("no MIME at all", self.sealed(&[0x8f; 400])),
            ("damaged compression", self.sealed(&self.damaged_compression())),
            ("another digest", self.sealed(&digest)),
            ("an unknown signer", self.sealed(&inner(&stranger))),
            ("no signer", self.sealed(&inner(&SendPlan { signing: None, ..self.plan() }))),
            ("octets behind the signature", self.sealed(&[good.as_slice(), &[0x8f, 0x00, 0x91]].concat())),
            ("two recipients, ours damaged", two),
            ("another recipient", sealed(&good, &[self.other], self.transport, CBC)),
        ]
    }

    /// Around what is signed, or inside of it where that is compressed.
    fn damaged_compression(self) -> Vec<u8> {
        let around = self.compression == Compression::None;
        let compression = if around { Compression::AfterSigning } else { self.compression };
        let mut zlib = inner(&SendPlan { compression, ..plan() });
        // Well inside of the deflated octets.
        let at = if around { zlib.len() - 10 } else { find(&zlib, ZLIB) + 60 };
        zlib[at] ^= 0x55;
        zlib
    }
}

/// Where the encrypted content key for a party begins: behind the number of its certificate.
fn key_at(envelope: &[u8], party: &Party) -> usize {
    let number = party.certificate.serial_number().to_bn().unwrap().to_vec();
    let named = find(envelope, &number) + number.len();
    let head: &[u8] = if party.key.id() == Id::RSA { b"\x04\x82\x01\x00" } else { b"\x04\x28" };
    named + find(&envelope[named..], head) + head.len()
}

/// The recipients of one envelope and the content of another one of the same content.
fn with_keys_of(keys: &[u8], content: &[u8]) -> Vec<u8> {
    assert_eq!(keys.len(), content.len());
    [&keys[..find(keys, DATA)], &content[find(content, DATA)..]].concat()
}

/// id-data, the type of what is encrypted.
const DATA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01";
const ZLIB: &[u8] = b"\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x03\x08";
const AES128_CBC: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x01\x02";

/// What an envelope holds: the message without it, as one entity.
pub fn inner(plan: &SendPlan) -> Vec<u8> {
    entity(plan, PAYLOAD)
}

/// The same with another payload.
pub fn entity(plan: &SendPlan, payload: &[u8]) -> Vec<u8> {
    let open = SendPlan { encryption: None, ..plan.clone() };
    let Letter { headers, body } = letter(&open, "<inner@theirs>", payload);
    let content_type = headers.split("\r\n").find(|line| line.starts_with("Content-Type:")).unwrap();
    [content_type.as_bytes(), b"\r\n\r\n", &body].concat()
}

pub fn enveloped(inner: &[u8], recipients: &[&Party], cipher: ContentCipher) -> Vec<u8> {
    sealed(inner, recipients, KeyTransport::RsaPkcs1, cipher)
}

fn sealed(inner: &[u8], recipients: &[&Party], transport: KeyTransport, cipher: ContentCipher) -> Vec<u8> {
    let recipient =
        |party: &&Party| Recipient { certificate: Certificate::from_x509(&party.certificate).unwrap(), transport };
    let recipients: Vec<Recipient> = recipients.iter().map(recipient).collect();
    let mut writer = EnvelopeWriter::new(Vec::new(), &recipients, cipher, inner.len() as u64).unwrap();
    writer.write_all(inner).unwrap();
    writer.finish().unwrap()
}

fn find(octets: &[u8], what: &[u8]) -> usize {
    find_in(octets, what).unwrap()
}

fn find_in(octets: &[u8], what: &[u8]) -> Option<usize> {
    octets.windows(what.len()).position(|window| window == what)
}

pub fn fields(message_id: &str) -> String {
    format!(
        "AS2-Version: 1.2\r\nAS2-From: theirs\r\nAS2-To: ours\r\nMessage-ID: {message_id}\r\nMIME-Version: 1.0\r\n\
         Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=\"smime.p7m\"\r\n\
         Disposition-Notification-To: theirs\r\nDisposition-Notification-Options: signed-receipt-protocol=required, \
         pkcs7-signature; signed-receipt-micalg=required, sha-256\r\n"
    )
}

/// Head and report of an answer without what differs in any two answers, and the length of the whole.
fn masked(answer: &Answer, message_id: &str) -> (String, usize) {
    masked_octets(&answer.head, &answer.body, message_id)
}

/// The same of a receipt however it came.
fn masked_octets(head: &str, body: &[u8], message_id: &str) -> (String, usize) {
    let report = String::from_utf8_lossy(body);
    let report = report.split("Content-Type: application/pkcs7-signature").next().unwrap();
    let whole = format!("{head}\r\n\r\n{report}").replace(message_id, "<ID>");
    let mut boundaries: Vec<String> =
        whole.split("boundary=\"").skip(1).map(|rest| rest.split('"').next().unwrap_or_default().to_owned()).collect();
    boundaries.sort();
    let whole = boundaries.iter().fold(whole, |text, boundary| text.replace(boundary.as_str(), "BOUNDARY"));
    let varies = |line: &&str| {
        let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
        !["date", "message-id"].contains(&name.as_str())
    };
    (whole.split("\r\n").filter(varies).collect::<Vec<_>>().join("\n"), body.len())
}

#[test]
fn a_signing_time_does_not_revive_a_certificate_whose_time_is_over_or_has_not_come() {
    let now = Timestamp::now();
    let minute = SignedDuration::from_mins(1);
    for (bound, accepted) in [(Some("until"), false), (Some("from"), false), (None, true)] {
        let home = Home::ours();
        home.partner("theirs", &PartnerFile { accept: STRICT, ..PartnerFile::default() });
        if let Some(bound) = bound {
            // Its time is over, or has not come.
            let at = if bound == "until" { now.checked_sub(minute) } else { now.checked_add(minute * 60) }.unwrap();
            let file = home.path("partners").join("theirs.toml");
            let text = std::fs::read_to_string(&file).unwrap();
            let text = text.replace("[agreement]\n", &format!("{bound} = \"{at}\"\nuse = [\"verify\"]\n[agreement]\n"));
            let text = text.replace("encrypt = \"aes256-cbc\"", "encrypt = \"none\"");
            std::fs::write(&file, text).unwrap();
        }
        let gateway = Gateway::start(&home);
        // Signed, so it says, when the certificate was still good.
        let stamp = Stamp {
            message_id: MessageId::parse("<then@theirs>").unwrap(),
            date: now.checked_sub(minute).and_then(|then| then.checked_sub(minute)).unwrap(),
        };
        let mut body = Vec::new();
        let composed = as2::compose(&plan(), &stamp, &BytesSource(PAYLOAD), &MemoryScratch, &mut body).unwrap();
        let headers = String::from_utf8(composed.headers.to_bytes()).unwrap();
        let answer = http::post(home.as2, "/as2", &headers, &body).unwrap();
        let positive = receipt_in(&answer).disposition.is_positive();
        assert_eq!(positive, accepted, "{bound:?}\n{}", gateway.log());
    }
}
