//! What the grid of settings leaves out: names with blanks and quotes, the ways that a body may travel, connections that
//! break, and messages that must be refused; with every peer, in both directions.

pub mod cases;
mod reception;
mod sending;

use std::collections::HashMap;
use std::path::PathBuf;

use super::cells::Cell;
use super::peer::{Kind, Peer, Program};
use crate::support::bend::Bend;
use crate::support::gateway::Gateway;
use crate::support::home::{Home, Station};
use crate::support::keys;
use crate::support::proxy::{Fault, Proxy};

pub use reception::sender;
pub use sending::{Sending, in_order, receiver};

/// One case, the same for both directions: the peer's name is that of the partner who sends or receives.
#[derive(Debug, Clone)]
pub struct Case {
    /// In words, for people.
    pub what: &'static str,
    /// Which gateway of ours takes part.
    pub place: Place,
    /// The peer's name; a name of the case's own when it is empty.
    pub name: &'static str,
    pub cell: Cell,
    /// What happens to the connections that carry the message, in their order.
    pub there: Vec<Fault>,
    /// What happens to those that carry an asynchronous MDN.
    pub back: Vec<Fault>,
    pub travels: Travels,
    pub odd: Odd,
    /// Bytes of the payload, at least.
    pub size: usize,
}

impl Case {
    /// That the body travelled as it should, by what the proxy carried.
    fn check_the_wire(&self, there: &Proxy) {
        let field = match self.travels {
            Travels::Usually => return,
            Travels::Chunked => "transfer-encoding: chunked",
            Travels::Expecting => "expect: 100-continue",
        };
        let said = |carried: &Vec<u8>| String::from_utf8_lossy(carried).to_ascii_lowercase().contains(field);
        assert!(there.requests().iter().any(said), "{}: {field}", self.what);
    }
}

/// How the body travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Travels {
    Usually,
    Chunked,
    Expecting,
}

/// What is wrong with the message where it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Odd {
    Nothing,
    /// The sender signs with a key that the receiver does not know.
    Signer,
    /// The sender encrypts to somebody else.
    Recipient,
    /// What the sender compresses breaks off.
    Zlib,
    /// Nobody has the name that it is sent to, or comes from.
    Partner,
}

/// What came of a case.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Always the same for the same outcome.
    pub words: String,
    /// For whoever looks into it.
    pub detail: String,
}

/// A gateway of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    Usual,
    /// Its name has blanks.
    Blanks,
    /// Its name has quotes and a backslash.
    Quotes,
    /// It signs with a key that nobody knows.
    Stranger,
}

impl Place {
    pub const ALL: [Place; 4] = [Place::Usual, Place::Blanks, Place::Quotes, Place::Stranger];

    /// Its AS2 name.
    pub fn name(self) -> &'static str {
        match self {
            Place::Usual | Place::Stranger => "ours",
            Place::Blanks => "Our Station",
            Place::Quotes => r#"our "own" \station"#,
        }
    }

    /// A home of a gateway there, without partners.
    pub fn home(self) -> Home {
        let party = if self == Place::Stranger { keys::stranger() } else { keys::ours() };
        let more =
            format!("[limits]\nfree_space_floor = 0\nbody = {BODY}\nfailures_per_ip = 0\nfailures_per_partner = 0\n");
        Home::of(&Station { as2_name: &in_toml(self.name()), party, more: &more })
    }
}

/// Bytes of a body that a gateway of ours takes.
pub const BODY: usize = 256 * 1024;
/// Bytes of a payload that it takes from the peer.
pub const PAYLOAD: usize = 32 * 1024;
/// More bytes than Django takes (`django_peer.py`).
pub const OVERSIZED: usize = 1024 * 1024;

impl Case {
    /// Whether the message or its MDN goes out more than once.
    pub fn is_repeated(&self) -> bool {
        let loses = |fault: &Fault| matches!(fault, Fault::CutRequest(_) | Fault::CutAnswer(_));
        self.there.iter().chain(&self.back).any(loses) || self.there.contains(&Fault::Bent(Bend::Twice))
    }
}

impl Kind {
    /// It tells a message that it has had from a new one.
    pub fn knows_repetitions(self) -> bool {
        matches!(self, Kind::Pyas2lib | Kind::DjangoPyas2)
    }
}

/// The peer, under every name that these cases send to.
pub fn start(kind: Kind, sent: &[Case]) -> Option<Program> {
    let known = sent.iter().enumerate().filter(|(_, case)| case.odd != Odd::Partner);
    let names = known.map(|(number, case)| sending::receiver(number, case));
    let names: Vec<String> = std::iter::once("theirs".to_owned()).chain(names).collect();
    let partners = [Place::Usual.name(), Place::Blanks.name(), Place::Quotes.name()];
    let options: &[&str] = if kind == Kind::Pyas2lib { &["--detect-duplicates"] } else { &[] };
    Program::start_for(kind, &names, &partners, options)
}

/// What came of each case, in words: those that we send, and those that the peer sends.
pub fn play(peer: &mut Program, kind: Kind, sent: &[Case], received: &[Case]) -> (Vec<Outcome>, Vec<Outcome>) {
    let homes: HashMap<Place, Home> = Place::ALL
        .into_iter()
        .filter(|place| sent.iter().chain(received).any(|case| case.place == *place))
        .map(|place| (place, place.home()))
        .collect();
    let sendings: Vec<sending::Sending<'_>> = sent
        .iter()
        .enumerate()
        .map(|(number, case)| sending::Sending::agree(number, case, &homes[&case.place], &peer.url(), ""))
        .collect();
    let receptions: Vec<reception::Reception<'_>> = received
        .iter()
        .enumerate()
        .map(|(number, case)| reception::Reception::agree(number, case, &homes[&case.place], peer))
        .collect();
    for (place, home) in &homes {
        let here = receptions.iter().filter(|reception| reception.case.place == *place);
        reception::write_partner(home, peer, &here.collect::<Vec<_>>());
    }
    let gateways: HashMap<Place, Gateway<'_>> =
        homes.iter().map(|(place, home)| (*place, Gateway::start(home))).collect();
    // Ours are on their way while the peer sends its own.
    for sending in &sendings {
        sending.submit(peer.ascii_only());
    }
    let taken = receptions.iter().map(|reception| reception.play(peer, &gateways[&reception.case.place])).collect();
    let rested: Vec<_> = sendings.iter().map(|sending| sending.rest(&gateways[&sending.case.place])).collect();
    let arrived = peer.received();
    let given = sendings
        .iter()
        .zip(&rested)
        .map(|(sending, detail)| sending.outcome(kind.knows_repetitions(), detail, &arrived, peer.ascii_only()));
    (given.collect(), taken)
}

/// The payload of a case.
fn payload(number: usize, case: &Case, ascii: bool) -> Vec<u8> {
    let usual = super::run::payload(number, ascii);
    let times = case.size.div_ceil(usual.len()).max(1);
    usual.repeat(times)
}

/// A text between the quotes of TOML.
pub fn in_toml(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// What an MDN says, without the words about who said it.
fn said(disposition: &str) -> &str {
    disposition.split_once(';').map_or(disposition, |(_, rest)| rest).trim()
}

fn stranger() -> PathBuf {
    keys::stranger().certificate_file.clone()
}
