//! Runs cells and judges them from outside: by the gateway's folders and API and by what the peer kept.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::cells::{Cell, WAIVERS};
use super::peer::{Fact, Peer};
use crate::support::eventually_within;
use crate::support::gateway::Gateway;
use crate::support::home::{Home, Station};
use crate::support::keys::{self, Pair};

/// What became of a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Payload and receipt arrived, were verified, and are what was agreed.
    Pass,
    /// The peer has no such setting.
    Cannot(String),
    /// Everything else.
    Wrong(String),
}

/// How long one cell may take. Peers in Python beside other work take minutes for what takes them a second alone; a cell that
/// is still on its way then is wrong, and the others go on.
pub(super) const PATIENCE: Duration = Duration::from_secs(600);
/// Between two questions to a peer: answering takes it away from its work.
const ASKED: Duration = Duration::from_secs(1);
/// Messages under way at a time.
const LANES: usize = 12;

/// The name that the peer has for the cell with this number.
pub fn receiver(number: usize) -> String {
    format!("c{number:03}")
}

/// We send one message for each cell.
pub fn ours_to(peer: &mut dyn Peer, cells: &[Cell], keys: Pair) -> Vec<Outcome> {
    let home = station(keys);
    for (number, cell) in cells.iter().enumerate() {
        let id = receiver(number);
        let file = cell.partner_file(&id, &peer.url(), keys.theirs);
        fs::write(home.path("partners").join(format!("{id}.toml")), file).unwrap();
    }
    let gateway = Gateway::start(&home);
    let mut states = HashMap::new();
    let numbers: Vec<usize> = (0..cells.len()).collect();
    for lane in numbers.chunks(LANES) {
        for &number in lane {
            home.submit(&receiver(number), "order.xml", &payload(number, peer.ascii_only()));
        }
        for &number in lane {
            states.insert(number, state(&gateway, peer, number));
        }
    }
    let received = peer.received();
    let outcomes = cells.iter().enumerate().map(|(number, cell)| {
        let id = receiver(number);
        let theirs: Vec<&Value> = received.iter().filter(|one| one["to"] == id.as_str()).collect();
        let arrived = theirs.first().and_then(|one| fs::read(one["payload"].as_str()?).ok());
        let whole = arrived.is_some_and(|arrived| arrived == payload(number, peer.ascii_only()));
        judge_sent(peer, &home, number, cell, (&states[&number], &theirs, whole))
    });
    outcomes.collect()
}

/// Waits until the message rests, or until the peer says that it will not answer well.
fn state(gateway: &Gateway<'_>, peer: &mut dyn Peer, number: usize) -> Value {
    let id = receiver(number);
    let (mut latest, mut asked) = (Value::Null, Instant::now());
    let rested = eventually_within(PATIENCE, || {
        let page = gateway.api(&format!("/api/v1/messages?partner={id}"));
        latest = page["messages"].get(0)?.clone();
        let state = latest["state"].as_str()?;
        if ["delivered", "failed", "held"].contains(&state) {
            return Some(latest.clone());
        }
        if latest["attempts"].as_u64() == Some(0) || asked.elapsed() < ASKED {
            return None;
        }
        asked = Instant::now();
        let refused = |one: &Value| one["to"] == id.as_str() && one["payload"].is_null();
        peer.received().iter().any(refused).then(|| latest.clone())
    });
    rested.unwrap_or(latest)
}

/// By our message, by what they say of it, and by whether the payload arrived `whole`.
fn judge_sent(
    peer: &dyn Peer,
    home: &Home,
    number: usize,
    cell: &Cell,
    (message, theirs, whole): (&Value, &[&Value], bool),
) -> Outcome {
    let id = receiver(number);
    let reason = &message["reason"];
    let seen = format!("{} {reason}; they say {}", message["state"], Value::from_iter(theirs.iter().copied().cloned()));
    if message["state"] != "delivered" {
        return Outcome::Wrong(seen);
    }
    let receipts = home.exchange(&id, "receipts");
    let receipt = eventually_within(PATIENCE, || fs::read(receipts.join("order.xml.mdn.json")).ok());
    let receipt: Value = receipt.map_or(Value::Null, |receipt| serde_json::from_slice(&receipt).unwrap());
    let [one] = theirs else { return Outcome::Wrong(format!("arrived {} times: {seen}", theirs.len())) };
    let told = |fact, given: &Value, wanted| is_told(given.as_bool(), wanted, peer.keeps_back(fact, cell));
    let good = whole
        && told(Fact::Signed, &one["signed"], cell.signed())
        && told(Fact::Encrypted, &one["encrypted"], cell.encrypted())
        && told(Fact::Compressed, &one["compressed"], cell.compressed())
        && receipt["signed_by"].is_string() == cell.mdn_signed
        && told(Fact::MicReceived, &receipt["mic_matches"], true);
    if good { Outcome::Pass } else { Outcome::Wrong(format!("whole: {whole}; {receipt}; {seen}")) }
}

/// Whether a fact was told as it should be, or is known not to be told.
fn is_told(given: Option<bool>, wanted: bool, kept_back: Option<&'static str>) -> bool {
    given.map_or(kept_back.is_some(), |given| given == wanted)
}

/// The peer sends one message for each cell, to a gateway that takes whatever is well made.
pub fn to_ours(peer: &mut dyn Peer, cells: &[Cell], keys: Pair) -> Vec<Outcome> {
    let accept = "signature = false\nencryption = false\ngcm_in_enveloped_data = true\n";
    let home = home_for(peer, keys, accept, WAIVERS);
    let gateway = Gateway::start(&home);
    let folder = tempfile::tempdir().unwrap();
    let outcomes = cells.iter().enumerate().map(|(number, cell)| {
        let file = folder.path().join(format!("{number}.xml"));
        let content = payload(number, peer.ascii_only());
        fs::write(&file, &content).unwrap();
        let result = peer.send(cell, &home.url(), &file, &format!("{number}.xml"));
        if let Some(reason) = result["cannot"].as_str() {
            return Outcome::Cannot(reason.to_owned());
        }
        judge_received(peer, &gateway, &content, cell, &result)
    });
    outcomes.collect()
}

fn judge_received(peer: &dyn Peer, gateway: &Gateway<'_>, content: &[u8], cell: &Cell, result: &Value) -> Outcome {
    let unknown = result["mic_sent"].is_null() && peer.keeps_back(Fact::MicSent, cell).is_some();
    let good = result["status"] == "processed"
        && result["mdn_signed"].as_bool() == Some(cell.mdn_signed)
        && result["mic_received"].is_string()
        && (unknown || mic_agrees(result));
    if !good {
        return Outcome::Wrong(format!("they say {result}; our log: {}", gateway.log()));
    }
    let Some((path, meta)) = arrived(gateway.home, content) else {
        return Outcome::Wrong(format!("nothing like it in the inbox; they say {result}"));
    };
    let cipher = meta["encrypted_with"].as_str();
    let shown = meta["signed_by"].is_string() == cell.signed()
        && cipher.is_some() == cell.encrypted()
        && cipher.is_none_or(|cipher| cipher == cell.encrypt)
        && meta["compressed"].as_bool() == Some(cell.compressed());
    if shown { Outcome::Pass } else { Outcome::Wrong(format!("{}: {meta}", path.display())) }
}

/// The digest that we name is the one the peer has.
pub(super) fn mic_agrees(result: &Value) -> bool {
    let Some(received) = result["mic_received"].as_str() else { return false };
    let value = received.split(',').next().unwrap_or_default().trim();
    result["mic_sent"] == value
}

/// The file of the inbox with this content, and its meta file.
fn arrived(home: &Home, content: &[u8]) -> Option<(std::path::PathBuf, Value)> {
    let inbox = home.exchange("theirs", "inbox");
    let found = eventually_within(PATIENCE, || {
        let names = home.names("theirs", "inbox");
        let payloads = names.iter().filter(|name| !name.ends_with(".meta.json"));
        payloads.map(|name| inbox.join(name)).find(|path| fs::read(path).is_ok_and(|found| found == content))
    })?;
    let meta = fs::read(found.with_file_name(format!("{}.meta.json", found.file_name()?.to_str()?))).ok()?;
    Some((found, serde_json::from_slice(&meta).ok()?))
}

/// The peer sends what the agreement does not allow; the disposition that it was told, for each cell.
pub fn refusals(peer: &mut dyn Peer, cells: &[Cell]) -> Vec<Value> {
    let home = home_for(peer, keys::rsa(), "signature = true\nencryption = true\n", "");
    let _gateway = Gateway::start(&home);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("refused.xml");
    fs::write(&file, payload(0, true)).unwrap();
    let results: Vec<Value> = cells.iter().map(|cell| peer.send(cell, &home.url(), &file, "refused.xml")).collect();
    assert_eq!(home.names("theirs", "inbox"), Vec::<String>::new(), "nothing of it arrives");
    results
}

fn station(keys: Pair) -> Home {
    Home::of(&Station { as2_name: "ours", party: keys.ours, more: "" })
}

/// A gateway whose only partner is the peer.
fn home_for(peer: &dyn Peer, keys: Pair, accept: &str, waivers: &str) -> Home {
    let home = station(keys);
    let file = format!(
        "as2_name = \"theirs\"\nurl = \"{}\"\n[[certificates]]\nfile = \"{}\"\n\
         [agreement]\n{agreement}\n[accept]\n{accept}async_mdn_urls = [\"{}\"]\n{waivers}",
        peer.url(),
        keys.theirs.certificate_file.display(),
        peer.mdn_url(),
        agreement = keys.agreement,
    );
    fs::write(Path::new(&home.path("partners")).join("theirs.toml"), file).unwrap();
    home
}

/// XML with CRLF, different for each cell, and with characters beyond ASCII if the peer can.
pub(super) fn payload(number: usize, ascii: bool) -> Vec<u8> {
    let name = if ascii { "cross-border" } else { "跨境电商" };
    let line = format!("  <item>{name} &#x20;= --boundary</item>\r\n");
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<order n=\"{number}\">\r\n{}</order>\r\n", line.repeat(40))
        .into_bytes()
}

#[test]
fn a_fact_that_is_not_told_is_wrong_unless_the_peer_is_known_to_keep_it_back() {
    assert!(is_told(Some(true), true, None) && is_told(Some(false), false, None));
    assert!(!is_told(Some(false), true, None) && !is_told(Some(true), false, Some("known")));
    assert!(!is_told(None, true, None) && !is_told(None, false, None));
    assert!(is_told(None, true, Some("known")));
    let mics = |sent: Value| json!({ "mic_sent": sent, "mic_received": "AAAA, sha-256" });
    assert!(mic_agrees(&mics("AAAA".into())));
    assert!(!mic_agrees(&mics("BBBB".into())) && !mic_agrees(&mics(Value::Null)));
}
