//! One case that the peer sends, and what it is told by us.

use std::fs;

use serde_json::{Value, json};

use super::sending::{address, in_order};
use super::{Case, Odd, Outcome, PAYLOAD, Place, Travels, in_toml, payload, said, stranger};
use crate::grid::peer::{Peer, Program};
use crate::grid::run::mic_agrees;
use crate::support::gateway::Gateway;
use crate::support::home::Home;
use crate::support::proxy::Proxy;
use crate::support::{eventually, keys};

/// The name under which the peer sends to this gateway.
pub fn sender(place: Place) -> &'static str {
    match place {
        Place::Usual | Place::Stranger => "theirs",
        Place::Blanks => "Their Office",
        Place::Quotes => r#"their "own" \office"#,
    }
}

/// A case with the ways to us and back.
pub struct Reception<'a> {
    pub case: &'a Case,
    number: usize,
    home: &'a Home,
    there: Proxy,
    back: Proxy,
    mdn_url: String,
}

impl<'a> Reception<'a> {
    pub fn agree(number: usize, case: &'a Case, home: &'a Home, peer: &Program) -> Reception<'a> {
        let there = Proxy::start(home.as2, in_order(&case.there));
        let back = Proxy::start(address(&peer.takes_mdns_at()), in_order(&case.back));
        let mdn_url = back.instead_of(&peer.takes_mdns_at());
        Reception { case, number, home, there, back, mdn_url }
    }

    /// The peer sends it; what came of it, by what it says that it was told and by our inbox.
    pub fn play(&self, peer: &mut Program, gateway: &Gateway<'_>) -> Outcome {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(format!("{}.xml", self.number));
        let content = payload(1000 + self.number, self.case, peer.ascii_only());
        fs::write(&file, &content).unwrap();
        let mut order = peer.order(&self.case.cell, &self.there.url(), &file);
        let fields = order.as_object_mut().unwrap();
        fields.extend(self.oddities().as_object().unwrap().clone());
        let result = peer.ask(&order);
        if let Some(reason) = result["cannot"].as_str() {
            return Outcome { words: format!("– {reason}"), detail: String::new() };
        }
        self.case.check_the_wire(&self.there);
        let told = told(&result);
        let expected = usize::from(told == "pass");
        eventually(self.case.what, || (self.arrived(&content) >= expected).then_some(()));
        let arrived = self.arrived(&content);
        let words = if arrived == expected { told } else { format!("{told}, though it arrived {arrived} times") };
        Outcome { words, detail: format!("{result}; our log: {}", gateway.log()) }
    }

    /// What is not as usual about the order.
    fn oddities(&self) -> Value {
        let mut odd = json!({ "as2_from": sender(self.case.place), "as2_to": self.case.place.name(), "attempts": 3 });
        if self.case.cell.mdn == "async" {
            odd["mdn_url"] = self.mdn_url.clone().into();
        }
        match self.case.travels {
            Travels::Usually => {}
            Travels::Chunked => odd["chunked"] = true.into(),
            Travels::Expecting => odd["expect"] = true.into(),
        }
        match self.case.odd {
            Odd::Nothing => {}
            Odd::Signer => odd["sign_key"] = json!(keys::stranger().bundle_file),
            Odd::Recipient => odd["encrypt_to"] = json!(stranger()),
            Odd::Zlib => odd["cut_zlib"] = true.into(),
            Odd::Partner => odd["as2_from"] = "nobody".into(),
        }
        odd
    }

    /// How often it is in the inbox.
    fn arrived(&self, content: &[u8]) -> usize {
        let inbox = self.home.exchange("theirs", "inbox");
        let names = self.home.names("theirs", "inbox");
        let payloads = names.iter().filter(|name| !name.ends_with(".meta.json"));
        payloads.filter(|name| fs::read(inbox.join(name)).is_ok_and(|found| found == content)).count()
    }
}

/// The peer's own words; `pass` when it takes our receipt for what it asked for.
fn told(result: &Value) -> String {
    if let Some(status) = result["http_status"].as_u64().filter(|status| *status >= 300) {
        return format!("HTTP {status}");
    }
    let good = result["status"] == "processed" && result["mdn_signed"] == true && mic_agrees(result);
    match result["disposition"].as_str().map(said) {
        Some(_) if good => "pass".to_owned(),
        Some(words) => format!("`{words}`"),
        None => "no receipt that it can read".to_owned(),
    }
}

/// The partner that the peer is when it sends these.
pub fn write_partner(home: &Home, peer: &Program, here: &[&Reception<'_>]) {
    let Some(first) = here.first() else { return };
    let servers = here.iter().map(|reception| format!("\"{}\"", reception.back.url()));
    let servers: Vec<String> = servers.chain([format!("\"{}\"", peer.mdn_url())]).collect();
    let file = format!(
        "as2_name = \"{name}\"\nurl = \"{url}\"\n[[certificates]]\nfile = \"{certificate}\"\n\
         [accept]\nsignature = false\nencryption = false\nmax_payload = {PAYLOAD}\nasync_mdn_urls = [{servers}]\n\
         [delivery]\nretry = [\"1s\"]\njitter = 0.0\n",
        name = in_toml(sender(first.case.place)),
        url = peer.url(),
        certificate = keys::theirs().certificate_file.display(),
        servers = servers.join(", "),
    );
    fs::write(home.path("partners/theirs.toml"), file).unwrap();
}
