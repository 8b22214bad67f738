//! SM2, SM3 and SM4: gateways under such an agreement, and what an implementation that shares no line with ours makes of
//! their messages (`tests/peers/sm_cms.py`, of asn1crypto and gmalg).

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use dxgate::cms::{
    self, Certificate, CmsError, ContentCipher, DecryptionKey, DigestAlgorithm, EnvelopeReader, EnvelopeWriter,
    KeyTransport, MultiHasher, PrivateKey, Recipient, SignatureScheme, SigningKey,
};
use dxgate::ground::limits::Limits;
use serde_json::Value;

use crate::support::correspondent::{Kind, acknowledge};
use crate::support::eventually;
use crate::support::gateway::Gateway;
use crate::support::home::{Home, PartnerFile, Station};
use crate::support::keys::{self, Party};
use crate::support::peers;
use crate::support::scripted::Scripted;

const ORDER: &[u8] = b"<order><item/></order>\n";
const SM: &str = "sign = \"sm2\"\nencrypt = \"sm4-cbc\"";
const STRICT: &str =
    "signature = true\nencryption = true\ndigests = [\"sm3\"]\nschemes = [\"sm2\"]\nciphers = [\"sm4-cbc\"]";

#[test]
fn under_an_agreement_on_sm_everything_between_two_gateways_is_of_sm() {
    for (more, mdn) in [
        ("", "mode = \"sync\"\nsigned = true"),
        ("compress = \"before-signing\"", "mode = \"async\"\nsigned = true"),
        ("compress = \"after-signing\"\ntransfer_encoding = \"base64\"", "mode = \"sync\"\nsigned = true"),
    ] {
        let agreement = format!("{SM}\n{more}");
        let (left, right) = homes(&agreement, mdn, STRICT, STRICT);
        let (sender, receiver) = (Gateway::start(&left), Gateway::start(&right));
        left.submit("right", "order.xml", ORDER);
        assert_eq!(sender.wait_for("right", "sent", "order.xml"), ORDER, "{more}");
        assert_eq!(receiver.wait_for("left", "inbox", "order.xml"), ORDER, "{more}");
        let meta = json(&receiver.wait_for("left", "inbox", "order.xml.meta.json"));
        assert_eq!(meta["encrypted_with"], "sm4-cbc", "{meta:#}");
        assert!(meta["mic"].as_str().unwrap().ends_with(", sm3"), "{meta:#}");
        let receipt = json(&sender.wait_for("right", "receipts", "order.xml.mdn.json"));
        assert_eq!((&receipt["state"], &receipt["mic_matches"]), (&"delivered".into(), &true.into()), "{receipt:#}");
        assert_eq!(receipt["mic"], meta["mic"], "{receipt:#}");
        let raw = sender.wait_for("right", "receipts", "order.xml.mdn");
        let text = String::from_utf8_lossy(&raw).into_owned();
        assert!(text.contains("micalg=\"sm3\"") || text.contains("micalg=sm3"), "{text}");
    }
}

#[test]
fn what_is_not_agreed_on_is_refused_although_the_keys_are_there() {
    for (agreement, accept) in [
        ("sign = \"sm2\"\nencrypt = \"none\"", "signature = true\nencryption = false"),
        ("sign = \"none\"\nencrypt = \"sm4-cbc\"", "signature = false\nencryption = true"),
    ] {
        let (left, right) = homes(agreement, "mode = \"sync\"\nsigned = false", "signature = false", accept);
        // The receiver's own agreement is of the other family and says nothing of SM.
        let file = right.path("partners").join("left.toml");
        let text = fs::read_to_string(&file).unwrap().replace(agreement, "sign = \"none\"\nencrypt = \"none\"");
        fs::write(&file, text).unwrap();
        let (sender, receiver) = (Gateway::start(&left), Gateway::start(&right));
        left.submit("right", "order.xml", ORDER);
        let failed = eventually("the message has failed", || {
            let list = sender.api("/api/v1/messages?name=order.xml");
            (list["messages"][0]["state"] == "failed").then_some(list)
        });
        let refused = receiver.api("/api/v1/messages?direction=inbound");
        assert_eq!(refused["messages"][0]["state"], "declined", "{refused:#} {failed:#}");
        assert_eq!(right.names("left", "inbox"), Vec::<String>::new(), "{agreement}");
    }
}

#[test]
fn an_independent_implementation_opens_and_verifies_what_a_gateway_sends() {
    let Some(desk) = Desk::new() else { return };
    let (ours, theirs) = (keys::sm2_ours(), keys::sm2_theirs());
    let home = Home::of(&Station { as2_name: "ours", party: ours, more: "" });
    let peer = Scripted::start(|_, posted| Some(acknowledge(posted, Kind::default())));
    let mdn = "mode = \"sync\"\nsigned = false";
    let file = PartnerFile { url: peer.url(), party: theirs, agreement: SM, mdn, ..PartnerFile::default() };
    home.partner("theirs", &file);
    let gateway = Gateway::start(&home);
    home.submit("theirs", "order.xml", ORDER);
    let posted = eventually("it is posted", || peer.posted().first().cloned());
    assert!(gateway.is_ready());
    desk.put("wire", &posted.body);
    desk.expect("decrypt", &[("cms", "wire"), ("out", "entity")], Some(theirs), true);
    let entity = desk.take("entity");
    let (content, signature) = parts(&entity);
    assert!(content.ends_with(ORDER));
    desk.put("content", content);
    desk.put("signature", &signature);
    desk.expect("verify", &[("cms", "signature"), ("content", "content")], Some(ours), true);
    desk.expect("verify", &[("cms", "signature"), ("content", "content")], Some(theirs), false);
    desk.put("content", &[content, b" "].concat());
    desk.expect("verify", &[("cms", "signature"), ("content", "content")], Some(ours), false);
}

#[test]
fn we_verify_what_an_independent_implementation_signs() {
    let Some(desk) = Desk::new() else { return };
    desk.put("content", ORDER);
    for oid in ["1.2.156.10197.1.501", "1.2.156.10197.1.301.1"] {
        let files = [("content", "content"), ("out", "signature"), ("oid", oid)];
        desk.expect("sign", &files, Some(keys::sm2_theirs()), true);
        let mut hasher = MultiHasher::new(&[DigestAlgorithm::Sm3]);
        hasher.update(ORDER);
        let digests = hasher.finish();
        let verify = |party: &Party| {
            cms::verify_detached(&desk.take("signature"), &digests, &[certificate(party)], &Limits::default())
        };
        let valid = verify(keys::sm2_theirs()).unwrap_or_else(|error| panic!("{oid}: {error}"));
        assert_eq!((valid.digest(), valid.scheme()), (DigestAlgorithm::Sm3, SignatureScheme::Sm2), "{oid}");
        assert!(verify(keys::sm2_ours()).is_err(), "{oid}");
    }
}

#[test]
fn envelopes_of_an_independent_implementation_are_opened_and_ours_by_it() {
    let Some(desk) = Desk::new() else { return };
    let theirs = keys::sm2_theirs();
    for len in [0usize, 15, 16, 1000] {
        let content = vec![b'x'; len];
        desk.put("content", &content);
        desk.expect("encrypt", &[("content", "content"), ("out", "envelope")], Some(theirs), true);
        assert_eq!(open(&desk.take("envelope"), theirs).unwrap(), content, "{len}");

        let to = [Recipient { certificate: certificate(theirs), transport: KeyTransport::Sm2 }];
        let mut writer = EnvelopeWriter::new(Vec::new(), &to, ContentCipher::Sm4Cbc, len as u64).unwrap();
        writer.write_all(&content).unwrap();
        desk.put("envelope", &writer.finish().unwrap());
        desk.expect("decrypt", &[("cms", "envelope"), ("out", "out")], Some(theirs), true);
        assert_eq!(desk.take("out"), content, "{len}");
    }
}

#[test]
fn our_signatures_are_verified_by_an_independent_implementation() {
    let Some(desk) = Desk::new() else { return };
    let ours = keys::sm2_ours();
    let key = SigningKey { certificate: certificate(ours), key: private(ours) };
    let (sm3, at) = (DigestAlgorithm::Sm3, jiff::Timestamp::now());
    for number in 0..8u8 {
        let content = vec![number; 100];
        let ber = cms::sign_detached(sm3, &sm3.digest(&content), &key, SignatureScheme::Sm2, at, number % 2 == 0);
        desk.put("content", &content);
        desk.put("signature", &ber.unwrap());
        desk.expect("verify", &[("cms", "signature"), ("content", "content")], Some(ours), true);
    }
}

fn open(envelope: &[u8], party: &Party) -> Result<Vec<u8>, CmsError> {
    let key =
        DecryptionKey { certificate: certificate(party), key: private(party), transports: vec![KeyTransport::Sm2] };
    let mut content = Vec::new();
    EnvelopeReader::open(envelope, &[key], &[ContentCipher::Sm4Cbc], &Limits::default())?.read_to_end(&mut content)?;
    Ok(content)
}

fn certificate(party: &Party) -> Certificate {
    Certificate::from_x509(&party.certificate).unwrap()
}

fn private(party: &Party) -> PrivateKey {
    PrivateKey::from_pkey(party.key.clone()).unwrap()
}

/// What is signed and the signature (DER) of a `multipart/signed` entity as the gateway writes it.
fn parts(entity: &[u8]) -> (&[u8], Vec<u8>) {
    use base64::Engine as _;
    let head = String::from_utf8_lossy(&entity[..600.min(entity.len())]).into_owned();
    let boundary = head.split("boundary=\"").nth(1).unwrap_or_else(|| panic!("{head}")).split('"').next().unwrap();
    let line = format!("--{boundary}\r\n");
    let find = |text: &[u8], from: usize| from + memchr::memmem::find(&entity[from..], text).unwrap();
    let first = find(line.as_bytes(), 0) + line.len();
    let between = find(format!("\r\n{line}").as_bytes(), first);
    let second = find(b"\r\n\r\n", between + line.len()) + 4;
    let end = find(format!("\r\n--{boundary}--").as_bytes(), second);
    let text: Vec<u8> = entity[second..end].iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let signature = if entity[second] == 0x30 {
        entity[second..end].to_vec()
    } else {
        base64::engine::general_purpose::STANDARD.decode(text).unwrap()
    };
    (&entity[first..between], signature)
}

/// A folder in which the independent implementation works.
struct Desk(tempfile::TempDir);

impl Desk {
    /// `None`, and a word about it, where gmalg is not installed.
    fn new() -> Option<Desk> {
        let there = peers::python_imports("gmalg, asn1crypto");
        if !there {
            println!("SKIPPED: gmalg is not installed (tests/peers/setup.sh installs it)");
        }
        there.then(|| Desk(tempfile::tempdir().unwrap()))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap();
    }

    fn take(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// Runs a verb over files of the folder with a party's key and certificate; it says yes or no.
    fn expect(&self, verb: &str, files: &[(&str, &str)], party: Option<&Party>, yes: bool) {
        let mut command = peers::python("sm_cms.py");
        command.arg(verb).current_dir(self.0.path());
        for (name, value) in files {
            command.arg(format!("--{name}")).arg(value);
        }
        let file = |name: &str, path: &Path| [format!("--{name}"), path.display().to_string()];
        if let Some(party) = party {
            command.args(file("cert", &party.certificate_file)).args(file("key", &party.key_file));
        }
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(if yes { 0 } else { 1 }), "{verb} {files:?}: {said}");
    }
}

/// `ours`, which knows the partner `right`, and `theirs`, which knows the partner `left`; both have SM2 keys.
fn homes(agreement: &str, mdn: &str, left_accepts: &str, right_accepts: &str) -> (Home, Home) {
    let (ours, theirs) = (keys::sm2_ours(), keys::sm2_theirs());
    let left = Home::of(&Station { as2_name: "ours", party: ours, more: "" });
    let right = Home::of(&Station { as2_name: "theirs", party: theirs, more: "" });
    let shared = || PartnerFile { agreement, mdn, ..PartnerFile::default() };
    left.partner("right", &PartnerFile { url: right.url(), party: theirs, accept: left_accepts, ..shared() });
    let back = PartnerFile { as2_name: "ours", url: left.url(), party: ours, accept: right_accepts, ..shared() };
    right.partner("left", &back);
    (left, right)
}

fn json(text: &[u8]) -> Value {
    serde_json::from_slice(text).unwrap()
}
