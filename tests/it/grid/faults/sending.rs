//! One case that we send, and what we make of the peer's answer.

use std::fs;

use serde_json::Value;

use super::{Case, Odd, Outcome, Travels, in_toml, payload, said, stranger};
use crate::grid::run::PATIENCE;
use crate::support::gateway::Gateway;
use crate::support::home::Home;
use crate::support::proxy::{Fault, Proxy};
use crate::support::{eventually_within, keys};

/// The name that the peer has for this case.
pub fn receiver(number: usize, case: &Case) -> String {
    if case.name.is_empty() { id(number) } else { case.name.to_owned() }
}

fn id(number: usize) -> String {
    format!("f{number:02}")
}

/// A case with the ways to the peer and back.
pub struct Sending<'a> {
    pub case: &'a Case,
    number: usize,
    home: &'a Home,
    there: Proxy,
    _back: Proxy,
}

impl<'a> Sending<'a> {
    /// Writes the partner file, for a peer at this URL and with `more` lines in its `[agreement]`.
    pub fn agree(number: usize, case: &'a Case, home: &'a Home, url: &str, more: &str) -> Sending<'a> {
        let there = Proxy::start(address(url), in_order(&case.there));
        let back = Proxy::start(home.as2, in_order(&case.back));
        let name = in_toml(&receiver(number, case));
        let file = case.cell.partner_file(&name, &there.instead_of(url), keys::theirs());
        let certificate = format!("file = \"{}\"\n", keys::theirs().certificate_file.display());
        let other = format!(
            "{certificate}use = [\"verify\"]\n[[certificates]]\nfile = \"{}\"\nuse = [\"encrypt\"]\n",
            stranger().display()
        );
        let mdn = format!("[agreement.mdn]\nasync_url = \"{}\"\n", back.url());
        let agreement = format!("[agreement]\n{more}");
        let changes = [
            (true, "[agreement]\n", agreement.as_str()),
            (case.odd == Odd::Recipient, certificate.as_str(), other.as_str()),
            (true, "[agreement.mdn]\n", mdn.as_str()),
            (case.is_repeated(), "give_up_after = \"1s\"", "give_up_after = \"2m\""),
            // The shortest there is.
            (true, "deadline = \"1h\"", "deadline = \"1m\""),
        ];
        let changed = changes.iter().filter(|change| change.0).fold(file, |file, (_, from, to)| {
            assert!(file.contains(from), "{from} in {file}");
            file.replace(from, to)
        });
        let travels = match case.travels {
            Travels::Usually => "",
            Travels::Chunked => "[http]\nchunked = true\n",
            Travels::Expecting => "[http]\nexpect_continue = true\n",
        };
        fs::write(home.path("partners").join(format!("{}.toml", id(number))), changed + travels).unwrap();
        Sending { case, number, home, there, _back: back }
    }

    pub fn submit(&self, ascii: bool) {
        self.home.submit(&id(self.number), "order.xml", &payload(self.number, self.case, ascii));
    }

    /// Everything about the message once it rests.
    pub fn rest(&self, gateway: &Gateway<'_>) -> Value {
        let mut latest = Value::Null;
        let rested = eventually_within(PATIENCE, || {
            let page = gateway.api(&format!("/api/v1/messages?partner={}", id(self.number)));
            latest = page["messages"].get(0)?.clone();
            let rests = ["delivered", "failed", "held"].contains(&latest["state"].as_str()?);
            rests.then(|| gateway.api(&format!("/api/v1/messages/{}", latest["id"].as_str().unwrap())))
        });
        rested.unwrap_or(latest)
    }

    /// What came of it, by our state and by what the peer has.
    pub fn outcome(&self, knows_repetitions: bool, detail: &Value, arrived: &[Value], ascii: bool) -> Outcome {
        self.case.check_the_wire(&self.there);
        let name = receiver(self.number, self.case);
        let wanted = payload(self.number, self.case, ascii);
        let mine: Vec<&Value> = arrived.iter().filter(|one| is_named(one["to"].as_str(), &name)).collect();
        let payloads = mine.iter().filter_map(|one| fs::read(one["payload"].as_str()?).ok());
        let whole = payloads.filter(|found| *found == wanted).count();
        let words = self.words(knows_repetitions, detail, whole);
        Outcome { words, detail: format!("{detail}; they have {mine:?}") }
    }

    /// `whole`: how often it arrived.
    fn words(&self, knows_repetitions: bool, detail: &Value, whole: usize) -> String {
        let receipt = &detail["receipt"];
        let disposition = receipt["disposition"].as_str().map(said);
        let state = detail["state"].as_str().unwrap_or("nothing");
        if state != "delivered" {
            let code = detail["reason"]["code"].as_str().unwrap_or("no reason");
            let told = disposition.map(|words| format!(", `{words}`"));
            let kept = || without_effect(detail, code).map(|words| format!(", without effect: `{words}`"));
            return format!("{state}: {code}{}", told.or_else(kept).unwrap_or_default());
        }
        let may_repeat = self.case.is_repeated() && !knows_repetitions;
        let once = whole == 1 || (may_repeat && whole > 1);
        let proven = receipt["signer"].is_string() && receipt["mic_matches"] != false;
        match disposition {
            Some("processed") if once && proven => "pass".to_owned(),
            words => {
                let though = if once { String::new() } else { format!(", though it arrived {whole} times") };
                format!("delivered, `{}`{though}", words.unwrap_or("no receipt"))
            }
        }
    }
}

/// What the latest receipt says for which a message that has none failed, with this code: it is kept beside it.
fn without_effect<'d>(detail: &'d Value, code: &str) -> Option<&'d str> {
    let mut strays = detail["stray_receipts"].as_array().filter(|_| detail["state"] == "failed")?.iter();
    let doubted = strays.rfind(|stray| stray["reason"]["code"] == code)?;
    doubted["receipt"]["disposition"].as_str().map(said)
}

/// Faults in their order, then none; what bends does so always.
pub fn in_order(faults: &[Fault]) -> impl FnMut(usize) -> Fault + Send + 'static {
    let faults = faults.to_vec();
    move |number| match faults.first() {
        Some(always @ (Fault::Bent(_) | Fault::SlowRequest)) => *always,
        _ => faults.get(number).copied().unwrap_or(Fault::Pass),
    }
}

/// Host and port of a URL.
pub(super) fn address(url: &str) -> std::net::SocketAddr {
    url.split('/').nth(2).unwrap().parse().unwrap()
}

/// A name as a field has it, or as people write it.
fn is_named(given: Option<&str>, name: &str) -> bool {
    let Some(given) = given else { return false };
    given == name || dxgate::as2::As2Name::parse(given).is_ok_and(|given| given.as_str() == name)
}
