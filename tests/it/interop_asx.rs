//! Exchanges with asx-rs, a library in Rust that shares no code with this one. It always signs with SHA-256 and encrypts with
//! AES-256-CBC, takes nothing less, and knows base64 alone: what it sends is an S/MIME file, its header fields inside the body.
//! It has no program, so it runs inside of the test and speaks through our own sockets.

use std::convert::Infallible;
use std::fs;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use asx::as2::{As2, Message, Received};
use asx::{
    BoxFuture, Certificate, Inbound, KeyPair, LocalParty, MemoryDedup, Partner, Payload, Profile, Reject, Verified,
};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use tower_service::Service;

use crate::grid::table;
use crate::support::eventually;
use crate::support::gateway::Gateway;
use crate::support::home::{Home, PartnerFile};
use crate::support::http;
use crate::support::keys::{self, Party};
use crate::support::scripted::{self, Posted, Scripted};

const PAYLOAD: &[u8] = "<?xml version=\"1.0\"?>\r\n<order>跨境电商</order>\r\n".as_bytes();
const STRICT: &str = "signature = true\nencryption = true";

#[tokio::test]
async fn what_asx_sends_arrives_and_it_takes_our_signed_receipt_at_once_or_later() {
    let listener = Scripted::start(|_, _| Some(scripted::answer(200, "", b"")));
    let home = Home::ours();
    home.partner("theirs", &PartnerFile { url: listener.url(), accept: STRICT, ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    let theirs = client("theirs", keys::theirs(), "ours", keys::ours(), home.as2);
    let message = |payload: &str| {
        let payload = Payload::new(payload.as_bytes().to_vec(), "application/xml");
        Message::to(&partner("ours", keys::ours()), payload)
    };
    let arrives = |payload: &str| {
        eventually("the payload is published", || {
            let names = home.names("theirs", "inbox");
            let mut payloads = names.iter().filter(|name| !name.ends_with(".meta.json"));
            let read = |name| fs::read(home.exchange("theirs", "inbox").join(name));
            payloads.any(|name| read(name).is_ok_and(|found| found == payload.as_bytes())).then_some(())
        });
    };
    // It checks signature, digest and Message-ID of the receipt.
    let receipt = theirs.send(message("<order>跨境电商</order>\n")).await;
    let receipt = receipt.unwrap_or_else(|error| panic!("{error:?}\n{}", gateway.log()));
    assert_eq!(receipt.signer().der(), keys::ours().certificate.to_der().unwrap());
    arrives("<order>跨境电商</order>\n");

    let pending = theirs.send_async_mdn(message("<order>later</order>\r\n"), &listener.url()).await;
    let pending = pending.unwrap_or_else(|error| panic!("{error:?}\n{}", gateway.log()));
    let posted = eventually("the receipt is posted", || listener.posted().pop());
    let receipt = theirs.verify_async_mdn(request_of(&posted), &pending).await;
    let receipt = receipt.unwrap_or_else(|error| panic!("{error:?}\n{posted:?}"));
    assert_eq!(receipt.signer().der(), keys::ours().certificate.to_der().unwrap());
    arrives("<order>later</order>\r\n");

    let what = "signed with SHA-256, encrypted with AES-256-CBC and RSA PKCS #1 v1.5: all that asx sends";
    let rows = ["", "; MDN asked for later"].map(|how| (format!("{what}{how}"), "pass".to_owned()));
    write_section("2", &format!("{} → dxgate", version()), &rows);
}

pub fn request_of(posted: &Posted) -> ::http::Request<Bytes> {
    let mut request = ::http::Request::post("/as2");
    for (name, value) in posted.headers.iter() {
        request = request.header(name, value);
    }
    request.body(Bytes::from(posted.body.clone())).unwrap()
}

/// A receipt that asx is asked to send later comes in its answer (its `As2::inbound` says so), and counts there.
const LATER: &str = "MDN asked for later, which asx gives at once";

/// What we agree on with asx, and why it cannot, if it cannot.
const AGREEMENTS: [(&str, Option<&str>); 15] = [
    ("", None),
    (LATER, None),
    ("encrypt = \"aes128-cbc\"", None),
    ("encrypt = \"aes192-cbc\"", None),
    ("digest = \"sha-384\"", None),
    ("digest = \"sha-512\"", None),
    ("compress = \"before-signing\"", None),
    ("key_transport = \"rsa-oaep-sha1\"", Some("it reads RSA-OAEP with SHA-256 only")),
    ("key_transport = \"rsa-oaep-sha256\"", None),
    ("key_transport = \"rsa-oaep-sha512\"", Some("it reads RSA-OAEP with SHA-256 only")),
    ("compress = \"after-signing\"", Some("it expects the signature next to the envelope")),
    ("sign = \"rsa-pss\"", Some("it does not verify RSA-PSS")),
    ("encrypt = \"aes256-gcm\"", Some("it has no AES-GCM")),
    ("sign = \"none\"", Some("it takes nothing that is not signed")),
    ("transfer_encoding = \"binary\"", Some("it takes a binary body for one that is not encrypted")),
];

#[test]
fn asx_takes_what_we_send_in_base64_and_we_its_signed_receipt() {
    let received = Arc::new(Mutex::new(Vec::new()));
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 9));
    let sides: Vec<Inbound> = (0..AGREEMENTS.len())
        .map(|number| {
            let taken = received.clone();
            let handler = move |message: Verified<Received>| {
                taken.lock().unwrap().push((number, message.into_inner().payload().bytes().to_vec()));
                async { Ok::<(), Reject>(()) }
            };
            let side = client(&format!("asx-{number}"), keys::theirs(), "ours", keys::ours(), nowhere);
            side.inbound(MemoryDedup::default(), handler)
        })
        .collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = Scripted::start(move |_, posted| {
        let number: usize = posted.header("AS2-To").strip_prefix("asx-").unwrap().parse().unwrap();
        Some(runtime.block_on(answered(sides[number].clone(), posted)))
    });
    let home = Home::ours();
    for (number, (lines, _)) in AGREEMENTS.iter().enumerate() {
        let name = format!("asx-{number}");
        let (lines, mdn) = match *lines {
            LATER => ("", "mode = \"async\"\nsigned = true"),
            lines => (lines, PartnerFile::default().mdn),
        };
        let agreement = agreement(lines);
        let file =
            PartnerFile { as2_name: &name, url: server.url(), agreement: &agreement, mdn, ..PartnerFile::default() };
        home.partner(&name, &file);
    }
    let gateway = Gateway::start(&home);
    let mut rows = Vec::new();
    for (number, (lines, cannot)) in AGREEMENTS.iter().enumerate() {
        let name = format!("asx-{number}");
        home.submit(&name, "order.xml", PAYLOAD);
        let folder = eventually(&format!("{lines}: settled"), || {
            ["sent", "failed"].into_iter().find(|folder| home.names(&name, folder).contains(&"order.xml".to_owned()))
        });
        let arrived = received.lock().unwrap().contains(&(number, PAYLOAD.to_vec()));
        let passed = (folder == "sent", arrived);
        assert_eq!(passed, (cannot.is_none(), cannot.is_none()), "{lines}\n{}", gateway.log());
        let shown = match *lines {
            "" => "as asx sends itself".to_owned(),
            LATER => format!("as asx sends itself; {LATER}"),
            lines => format!("`{lines}`"),
        };
        rows.push((shown, cannot.map_or("pass".to_owned(), |why| format!("– {why}"))));
    }
    write_section("1", &format!("dxgate → {}", version()), &rows);
}

/// As asx does it, but for these lines.
fn agreement(lines: &str) -> String {
    let usual = [
        ("sign", "rsa-pkcs1"),
        ("digest", "sha-256"),
        ("encrypt", "aes256-cbc"),
        ("key_transport", "rsa-pkcs1"),
        ("transfer_encoding", "base64"),
    ];
    let usual = usual.iter().filter(|(key, _)| !lines.starts_with(&format!("{key} ")));
    usual.map(|(key, value)| format!("{key} = \"{value}\"\n")).chain([lines.to_owned()]).collect()
}

// ---- for docs/interop.md ----

pub fn version() -> String {
    let lock = include_str!("../../Cargo.lock");
    let version = lock.split("name = \"asx-rs\"\nversion = \"").nth(1).and_then(|rest| rest.split('"').next());
    format!("asx-rs {}", version.unwrap())
}

fn write_section(number: &str, title: &str, rows: &[(String, String)]) {
    let Some(folder) = table::folder() else { return };
    let lines: String = rows.iter().map(|(what, result)| format!("| {what} | {result} |\n")).collect();
    let text = format!("## {title}\n\n| agreement | signed MDN |\n|---|---|\n{lines}\n");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(format!("asx-rs-{number}.md")), text).unwrap();
}

pub async fn answered(mut inbound: Inbound, posted: &Posted) -> Vec<u8> {
    let request = request_of(posted).map(Full::new);
    let response: Result<_, Infallible> = inbound.call(request).await;
    let (head, body) = response.unwrap().into_parts();
    let fields = head.headers.iter().filter(|(name, _)| name.as_str() != "content-length");
    let fields: String = fields.map(|(name, value)| format!("{name}: {}\r\n", value.to_str().unwrap())).collect();
    scripted::answer(head.status.as_u16(), &fields, &body.collect().await.unwrap().to_bytes())
}

// ---- asx at work ----

pub fn certificate(party: &Party) -> Certificate {
    Certificate::from_pem(&party.certificate.to_pem().unwrap()).unwrap()
}

pub fn partner(name: &str, party: &Party) -> Partner {
    Partner::new(name)
        .endpoint("https://as2.example.com/as2")
        .signing_cert(certificate(party))
        .encryption_cert(certificate(party))
}

/// One side with one partner, all of whose requests go to `address`.
pub fn client(name: &str, party: &Party, other: &str, its: &Party, address: SocketAddr) -> As2 {
    client_of(name, party, partner(other, its), its, address)
}

/// The same with a partner that may encrypt otherwise.
pub fn client_of(name: &str, party: &Party, other: Partner, its: &Party, address: SocketAddr) -> As2 {
    let key = party.key.private_key_to_pem_pkcs8().unwrap();
    let pair = KeyPair::from_pem(&party.certificate.to_pem().unwrap(), &key).unwrap();
    let local = LocalParty::new(name).signer(pair.clone()).decrypter(pair);
    let builder = As2::builder(Profile::as2()).local(local);
    let builder = builder.trust_anchor(certificate(party)).trust_anchor(certificate(its));
    builder.partner(other).http_client(Plain(address)).build().unwrap()
}

/// Plain HTTP to one address, whatever the URL says.
#[derive(Debug)]
struct Plain(SocketAddr);

impl asx::HttpClient for Plain {
    fn send(
        &self,
        request: ::http::Request<Bytes>,
    ) -> BoxFuture<'_, Result<::http::Response<Bytes>, Box<dyn std::error::Error + Send + Sync>>> {
        let address = self.0;
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let fields = head.headers.iter().filter(|(name, _)| !["host", "content-length"].contains(&name.as_str()));
            let fields: String =
                fields.map(|(name, value)| format!("{name}: {}\r\n", value.to_str().unwrap())).collect();
            let answer = tokio::task::spawn_blocking(move || http::post(address, "/as2", &fields, &body)).await??;
            let mut response = ::http::Response::builder().status(answer.status);
            for line in answer.head.lines().skip(1) {
                let (name, value) = line.split_once(": ").ok_or("a field without a colon")?;
                response = response.header(name, value);
            }
            Ok(response.body(Bytes::from(answer.body))?)
        })
    }
}
