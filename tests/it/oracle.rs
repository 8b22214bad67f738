//! What an attacker sees who has our certificate and can write any envelope: whole answers over HTTP. And what a signing
//! time is worth.

use std::io::Write;

use dxgate::as2::{self, Compression, MessageId, SendPlan, Stamp};
use dxgate::cms::{Certificate, ContentCipher, EnvelopeWriter, KeyTransport, Recipient};
use dxgate::mime::{BytesSource, MemoryScratch};
use jiff::{SignedDuration, Timestamp};
use openssl::rsa::Padding;

use crate::support::correspondent::{Letter, letter, plan, receipt, receipt_in, signing};
use crate::support::eventually;
use crate::support::gateway::Gateway;
use crate::support::home::{Home, PartnerFile};
use crate::support::http::{self, Answer};
use crate::support::keys::{self, Party};
use crate::support::scripted::{self, Posted, Scripted};

const PAYLOAD: &[u8] = b"<a>not to be guessed</a>";
pub const STRICT: &str = "signature = true\nencryption = true";

#[test]
fn twelve_ways_to_fail_in_an_envelope_are_answered_alike_to_the_byte() {
    let home = Home::ours();
    home.partner("theirs", &PartnerFile { accept: STRICT, ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    let failures = failures();
    assert_eq!(failures.len(), 12);
    let mut answers = Vec::new();
    for (number, (what, body)) in failures.iter().enumerate() {
        let id = format!("<failure-{number:02}@theirs>");
        let answer = http::post(home.as2, "/as2", &fields(&id), body).unwrap();
        let told = receipt_in(&answer);
        assert!(!told.disposition.is_positive(), "{what}");
        answers.push((what, masked(&answer, &id)));
    }
    for (what, answer) in &answers {
        assert_eq!(*answer, answers[0].1, "{what} is answered otherwise than {}", answers[0].0);
        assert!(answer.0.contains("processed/error: decryption-failed"), "{}", answer.0);
    }
    assert_eq!(home.names("theirs", "inbox"), Vec::<String>::new());
    let good = enveloped(&inner(&plan()), &[keys::ours()], ContentCipher::Aes256Cbc);
    let answer = http::post(home.as2, "/as2", &fields("<good@theirs>"), &good).unwrap();
    assert!(receipt_in(&answer).disposition.is_positive(), "{}\n{}", answer.text(), gateway.log());
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

/// Everything that can go wrong between the private key and the signature.
pub fn failures() -> Vec<(&'static str, Vec<u8>)> {
    let cbc = |inner: &[u8]| enveloped(inner, &[keys::ours()], ContentCipher::Aes256Cbc);
    let good = inner(&plan());
    let whole = cbc(&good);
    let key_at = find(&whole, b"\x04\x82\x01\x00") + 4;
    let mut padding_of_key = whole.clone();
    padding_of_key[key_at + 7] ^= 0x10;
    let mut other_key = whole.clone();
    other_key.splice(key_at..key_at + 256, encrypted_key(&[0x5a; 32]));
    let mut key_length = enveloped(&good, &[keys::ours()], ContentCipher::Aes128Cbc);
    let oid_at = find(&key_length, AES128_CBC) + AES128_CBC.len() - 1;
    key_length[oid_at] = 0x2a;
    let mut padding = whole.clone();
    let last_but_one = padding.len() - 17;
    padding[last_but_one] ^= 0x80;
    let mut zlib = inner(&SendPlan { compression: Compression::AfterSigning, ..plan() });
    let near_the_end = zlib.len() - 10;
    zlib[near_the_end] ^= 0x55;
    let mut digest = good.clone();
    digest[find(&good, PAYLOAD)] ^= 0x01;
    let mut two = enveloped(&good, &[keys::ours(), keys::stranger()], ContentCipher::Aes256Cbc);
    let first_key = find(&two, b"\x04\x82\x01\x00") + 4;
    two[first_key + 7] ^= 0x10;
    vec![
        ("padding of the encrypted key", padding_of_key),
        ("length of the encrypted key", key_length),
        ("another content key", other_key),
        ("padding of the content", padding),
        ("no MIME at all", cbc(&[0x8f; 400])),
        ("damaged compression", cbc(&zlib)),
        ("another digest", cbc(&digest)),
        ("an unknown signer", cbc(&inner(&SendPlan { signing: Some(signing(keys::stranger())), ..plan() }))),
        ("no signer", cbc(&inner(&SendPlan { signing: None, ..plan() }))),
        ("octets behind the signature", cbc(&[good.as_slice(), &[0x8f, 0x00, 0x91]].concat())),
        ("two recipients, ours damaged", two),
        ("another recipient", enveloped(&good, &[keys::stranger()], ContentCipher::Aes256Cbc)),
    ]
}

const AES128_CBC: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x01\x02";

/// What an envelope holds: the message without it, as one entity.
pub fn inner(plan: &SendPlan) -> Vec<u8> {
    let open = SendPlan { encryption: None, ..plan.clone() };
    let Letter { headers, body } = letter(&open, "<inner@theirs>", PAYLOAD);
    let content_type = headers.split("\r\n").find(|line| line.starts_with("Content-Type:")).unwrap();
    [content_type.as_bytes(), b"\r\n\r\n", &body].concat()
}

pub fn enveloped(inner: &[u8], recipients: &[&Party], cipher: ContentCipher) -> Vec<u8> {
    let recipient = |party: &&Party| Recipient {
        certificate: Certificate::from_x509(&party.certificate).unwrap(),
        transport: KeyTransport::RsaPkcs1,
    };
    let recipients: Vec<Recipient> = recipients.iter().map(recipient).collect();
    let mut writer = EnvelopeWriter::new(Vec::new(), &recipients, cipher, inner.len() as u64).unwrap();
    writer.write_all(inner).unwrap();
    writer.finish().unwrap()
}

fn encrypted_key(key: &[u8]) -> Vec<u8> {
    let rsa = keys::ours().key.rsa().unwrap();
    let mut encrypted = vec![0; 256];
    rsa.public_encrypt(key, &mut encrypted, Padding::PKCS1).unwrap();
    encrypted
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
