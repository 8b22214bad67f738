//! The cases of `grid::faults` with asx-rs, as far as it takes part in them: it has no HTTP of its own, and signs and encrypts
//! always.

use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use asx::as2::{As2, Message, PendingMdn, Received};
use asx::{Inbound, MemoryDedup, Payload, Reject, Verified};
use dxgate::as2::As2Name;
use serde_json::{Value, json};

use crate::grid::cells::Cell;
use crate::grid::faults::{
    Case, OVERSIZED, Odd, PAYLOAD, Place, Sending, Travels, cases, in_order, in_toml, receiver, sender,
};
use crate::grid::table;
use crate::interop_asx::{answered, certificate, client, client_of, partner, request_of, version};
use crate::support::eventually;
use crate::support::gateway::Gateway;
use crate::support::home::{Home, PartnerFile};
use crate::support::keys;
use crate::support::proxy::{Fault, Proxy};
use crate::support::scripted::{self, Posted, Scripted};

/// Why asx has no part in a case.
type Lacks = fn(&Case) -> Option<&'static str>;

/// In one that we send: what is asked of asx is in its answer, whenever it is wanted (`As2::inbound`).
fn lacks_as_receiver(case: &Case) -> Option<&'static str> {
    if case.cell.mdn == "async" { Some("asx gives its MDN at once, whatever it is asked for") } else { lacks(case) }
}

/// In either direction. What it sends may ask for its MDN later (`As2::send_async_mdn`).
fn lacks(case: &Case) -> Option<&'static str> {
    if case.travels != Travels::Usually || case.there.contains(&Fault::SlowRequest) {
        return Some("asx has no HTTP of its own");
    }
    if case.cell.sign == "none" || case.odd == Odd::Zlib {
        return Some("asx takes and sends nothing that is not signed, and compresses nothing");
    }
    if case.size == OVERSIZED {
        return Some("asx takes as much as anybody sends here");
    }
    (case.cell.encrypt == "none" && case.odd != Odd::Signer)
        .then_some("asx takes and sends nothing that is not encrypted")
}

/// Cases with asx in them, signed and encrypted as it does it; and the others.
fn divided(all: Vec<Case>, lacks: Lacks) -> (Vec<Case>, Vec<Case>) {
    let (left_out, mut with_asx): (Vec<Case>, Vec<Case>) = all.into_iter().partition(|case| lacks(case).is_some());
    for case in &mut with_asx {
        case.cell = Cell { mdn: case.cell.mdn, ..Cell::usual("rsa-pkcs1") };
    }
    (with_asx, left_out)
}

#[test]
fn odd_names_and_faults_on_the_way_to_asx() {
    let (sent, left_out) = divided(cases::sent("rsa-pkcs1"), lacks_as_receiver);
    let received = Arc::new(Mutex::new(Vec::new()));
    let folder = tempfile::tempdir().unwrap();
    let server = asx_server(&sent, &received, folder.path());
    let homes: HashMap<Place, Home> = Place::ALL.into_iter().map(|place| (place, place.home())).collect();
    let base64 = "transfer_encoding = \"base64\"\n";
    let sendings: Vec<Sending<'_>> = sent
        .iter()
        .enumerate()
        .map(|(number, case)| Sending::agree(number, case, &homes[&case.place], &server.url(), base64))
        .collect();
    let gateways: HashMap<Place, Gateway<'_>> =
        homes.iter().map(|(place, home)| (*place, Gateway::start(home))).collect();
    for sending in &sendings {
        sending.submit(false);
    }
    let rested: Vec<Value> = sendings.iter().map(|sending| sending.rest(&gateways[&sending.case.place])).collect();
    let arrived = received.lock().unwrap().clone();
    let outcomes = sendings.iter().zip(&rested).map(|(sending, detail)| sending.outcome(true, detail, &arrived, false));
    let rows: Vec<(&str, String)> =
        sent.iter().map(|case| case.what).zip(outcomes.map(|outcome| outcome.words)).collect();
    judge("asx-rs-4", &format!("dxgate → {}", version()), &rows, SENT, &left_out, lacks_as_receiver);
}

/// One side of asx for each name, behind one address.
fn asx_server(sent: &[Case], received: &Arc<Mutex<Vec<Value>>>, folder: &std::path::Path) -> Scripted {
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 9));
    let side = |(number, case): (usize, &Case)| {
        let name = if case.odd == Odd::Partner { "nobody".to_owned() } else { receiver(number, case) };
        let (to, taken, folder) = (name.clone(), received.clone(), folder.to_path_buf());
        let handler = move |message: Verified<Received>| {
            let mut taken = taken.lock().unwrap();
            let path = folder.join(taken.len().to_string());
            fs::write(&path, message.into_inner().payload().bytes()).unwrap();
            taken.push(json!({ "to": to, "payload": path }));
            async { Ok::<(), Reject>(()) }
        };
        let side = client(&name, keys::theirs(), case.place.name(), keys::ours(), nowhere);
        (name, side.inbound(MemoryDedup::default(), handler))
    };
    let sides: HashMap<String, Inbound> = sent.iter().enumerate().map(side).collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    Scripted::start(move |_, posted| {
        let name = As2Name::parse(posted.header("AS2-To")).unwrap();
        let side = sides.get(name.as_str()).or_else(|| sides.get("nobody")).unwrap();
        Some(runtime.block_on(answered(side.clone(), posted)))
    })
}

#[tokio::test]
async fn odd_names_and_faults_on_the_way_from_asx() {
    let (received, left_out) = divided(cases::received("rsa-pkcs1"), lacks);
    let listener = Scripted::start(|_, _| Some(scripted::answer(200, "", b"")));
    let backs: Vec<Proxy> = received.iter().map(|case| Proxy::start(listener.address, in_order(&case.back))).collect();
    let urls: Vec<String> = backs.iter().map(|back| format!("\"{}\"", back.url())).collect();
    let mut rows = Vec::new();
    for place in [Place::Usual, Place::Blanks, Place::Quotes] {
        let home = place.home();
        let name = sender(place);
        let accept = format!(
            "signature = true\nencryption = true\nmax_payload = {PAYLOAD}\nasync_mdn_urls = [{}]",
            urls.join(", ")
        );
        let escaped = in_toml(name);
        home.partner("theirs", &PartnerFile { as2_name: &escaped, accept: &accept, ..PartnerFile::default() });
        let _gateway = Gateway::start(&home);
        for (number, case) in received.iter().enumerate().filter(|(_, case)| case.place == place) {
            let words = from_asx(number, case, &home, name, (&backs[number], &listener)).await;
            rows.push((case.what, words));
        }
    }
    rows.sort_by_key(|(what, _)| received.iter().position(|case| case.what == *what));
    judge("asx-rs-5", &format!("{} → dxgate", version()), &rows, RECEIVED, &left_out, lacks);
}

/// asx sends it, three times at most, as its caller would while it says that this is safe. An MDN that is wanted later comes
/// through the proxy to the listener.
async fn from_asx(
    number: usize,
    case: &Case,
    home: &Home,
    name: &str,
    (back, listener): (&Proxy, &Scripted),
) -> String {
    let there = Proxy::start(home.as2, in_order(&case.there));
    let party = if case.odd == Odd::Signer { keys::stranger() } else { keys::theirs() };
    let us = partner(case.place.name(), keys::ours());
    let us = if case.odd == Odd::Recipient { us.encryption_cert(certificate(keys::stranger())) } else { us };
    let name = if case.odd == Odd::Partner { "nobody" } else { name };
    let side = client_of(name, party, us.clone(), keys::ours(), there.address);
    let content = format!("<order n=\"{number}\">{}</order>", "x".repeat(case.size.max(2000)));
    let mut told = String::new();
    for _ in 0..3 {
        let payload = Payload::new(content.clone().into_bytes(), "application/xml");
        let message = Message::to(&us, payload).message_id(format!("{number}@asx"));
        let answer = match case.cell.mdn {
            "async" => side.send_async_mdn(message, &back.url()).await.map(Some),
            _ => side.send(message).await.map(|_| None),
        };
        match answer {
            Ok(pending) => {
                told = match pending {
                    Some(pending) => told_later(&side, &pending, case, (back, listener)).await,
                    None => "pass".to_owned(),
                };
                break;
            }
            Err(error) if error.kind() == asx::ErrorKind::Config => return BLANKS.to_owned(),
            Err(error) => {
                told = error.mdn_disposition().map_or_else(|| shortly(&error), |words| format!("`{words}`"));
                if !error.is_retryable() {
                    break;
                }
            }
        }
    }
    let count = || {
        let names = home.names("theirs", "inbox");
        let read = |name: &String| fs::read(home.exchange("theirs", "inbox").join(name));
        names.iter().filter(|name| read(name).is_ok_and(|found| found == content.as_bytes())).count()
    };
    let expected = usize::from(told == "pass");
    eventually(case.what, || (count() >= expected).then_some(()));
    if count() == expected { told } else { format!("{told}, though it arrived {} times", count()) }
}

/// What asx makes of an MDN on a connection of its own, of each copy of it: it is sent until it was answered.
async fn told_later(side: &As2, pending: &PendingMdn, case: &Case, (back, listener): (&Proxy, &Scripted)) -> String {
    let is_whole = |fault: &&Fault| !matches!(fault, Fault::CutRequest(_));
    let wanted = case.back.iter().filter(is_whole).count() + 1;
    let is_about = |posted: &Posted| {
        PendingMdn::lookup_key(&request_of(posted)).is_some_and(|about| about == pending.message_id())
    };
    let copies = eventually(case.what, || {
        let mut posted = listener.posted();
        posted.retain(is_about);
        (posted.len() == wanted).then_some(posted)
    });
    assert_eq!(back.requests().len(), case.back.len() + 1, "{}: on so many connections", case.what);
    for copy in &copies {
        if let Err(error) = side.verify_async_mdn(request_of(copy), pending).await {
            return error.mdn_disposition().map_or_else(|| shortly(&error), |words| format!("`{words}`"));
        }
    }
    "pass".to_owned()
}

/// The HTTP status that an error is about, or its kind.
fn shortly(error: &asx::Error) -> String {
    let text = error.to_string();
    let status = text.split("HTTP ").nth(1).and_then(|rest| rest.get(..3));
    status.map_or_else(|| format!("{:?}", error.kind()), |status| format!("HTTP {status}"))
}

const DUPLICATE: &str = "delivered, `processed/warning: duplicate-document`";
const BLANKS: &str = "– asx sends under no name with blanks";

const SENT: &[(&str, &str)] = &[
    ("names with blanks", "pass"),
    ("names with quotes and a backslash", "pass"),
    ("cut off in the message", "pass"),
    ("cut off before the MDN", DUPLICATE),
    ("cut off in the MDN", DUPLICATE),
    ("the same message twice", DUPLICATE),
    (
        "signed with a key that the receiver does not know",
        "failed: mdn-negative, `processed/error: authentication-failed`",
    ),
    ("encrypted to somebody else", "failed: mdn-negative, `processed/error: decryption-failed`"),
    ("a byte of the envelope changed", "failed: mdn-negative, `processed/error: authentication-failed`"),
    (
        "to a name that the peer does not have",
        "failed: mdn-wrong-partner, without effect: `processed/error: unexpected-processing-error`",
    ),
];

const RECEIVED: &[(&str, &str)] = &[
    ("names with blanks", BLANKS),
    ("names with blanks, MDN later", BLANKS),
    ("names with quotes and a backslash", BLANKS),
    ("names with quotes and a backslash, MDN later", BLANKS),
    ("cut off in the message", "pass"),
    ("cut off before the MDN", "pass"),
    ("cut off in the MDN", "pass"),
    ("cut off in an MDN that comes later", "pass"),
    ("cut off after an MDN that comes later", "pass"),
    ("the same message twice", "pass"),
    ("signed with a key that the receiver does not know", "`processed/error: decryption-failed`"),
    ("encrypted to somebody else", "`processed/error: decryption-failed`"),
    ("a byte of the envelope changed", "`processed/error: decryption-failed`"),
    // asx makes nothing of a receipt that is not signed.
    ("from a name that we do not know", "Indeterminate"),
    ("a body over `limits.body`", "HTTP 413"),
    ("a payload over `accept.max_payload`", "`processed/error: unexpected-processing-error`"),
];

/// Holds rows against what is expected and writes them down.
fn judge(file: &str, title: &str, rows: &[(&str, String)], expected: &[(&str, &str)], left_out: &[Case], lacks: Lacks) {
    let expected: Vec<(&str, String)> = expected.iter().map(|(what, words)| (*what, (*words).to_owned())).collect();
    assert_eq!(rows, expected, "{title}");
    let lacking = left_out.iter().filter_map(|case| Some((case.what, format!("– {}", lacks(case)?))));
    table::write_faults(file, title, &rows.iter().cloned().chain(lacking).collect::<Vec<_>>());
}
