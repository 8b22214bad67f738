//! A few messages in each direction between a victim and two steady gateways, one of which is asked for synchronous
//! MDNs and asks for them, the other for asynchronous ones; and the account of every file.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::account::{Account, Shelf};
use crate::support::home::{Home, PartnerFile, Station};
use crate::support::keys;

/// The longest name of a steady gateway's partner file is its victim's AS2 name.
const PEERS: [&str; 2] = ["sync", "later"];

/// The gateways that behave.
pub struct Peers(pub [Home; 2]);

impl Peers {
    /// Homes of two steady gateways that know these victims.
    pub fn of(victims: &[(&str, &Home)]) -> Peers {
        let homes = PEERS.map(|name| Home::of(&Station { as2_name: name, party: keys::theirs(), more: "" }));
        for (victim, home) in victims {
            for (peer, mdn) in homes.iter().zip(MDNS) {
                peer.partner(victim, &partner(victim, home, mdn, true));
            }
            for ((peer, name), mdn) in homes.iter().zip(PEERS).zip(MDNS) {
                home.partner(name, &partner(name, peer, mdn, false));
            }
        }
        Peers(homes)
    }
}

const MDNS: [&str; 2] = ["mode = \"sync\"\nsigned = true", "mode = \"async\"\nsigned = true"];

fn partner<'p>(as2_name: &'p str, at: &Home, mdn: &'p str, victim: bool) -> PartnerFile<'p> {
    PartnerFile {
        as2_name,
        url: at.url(),
        certificate: "",
        party: if victim { keys::ours() } else { keys::theirs() },
        agreement: "sign = \"rsa-pkcs1\"\nencrypt = \"aes128-gcm\"\nkey_transport = \"rsa-oaep-sha256\"\n\
                    compress = \"before-signing\"",
        mdn,
        accept: "signature = true\nencryption = true",
        delivery: "retry = [\"1s\"]\ngive_up_after = \"24h\"\njitter = 0.0\nconcurrency = 4",
    }
}

/// One way that files go, and its account.
struct Lane<'h> {
    from: &'h Home,
    /// The receiver, as the sender's partner.
    to_id: &'h str,
    to: &'h Home,
    /// The sender, as the receiver's partner.
    from_id: &'h str,
    account: Account,
    prepared: Vec<String>,
    offered: usize,
    taken: usize,
    returned: usize,
}

/// Traffic of one victim, until everything has arrived.
pub struct Traffic<'h> {
    lanes: Vec<Lane<'h>>,
    label: String,
}

impl<'h> Traffic<'h> {
    /// Begins accounts in `folder`; `victim` is its id at the peers.
    pub fn begin(folder: &Path, label: &str, (id, victim): (&'h str, &'h Home), peers: &'h Peers) -> Traffic<'h> {
        let mut lanes = Vec::new();
        for (peer, name) in peers.0.iter().zip(PEERS) {
            for outbound in [true, false] {
                let direction = if outbound { "to" } else { "from" };
                let signer = if outbound { keys::theirs() } else { keys::ours() };
                let account = Account::begin(folder.join(format!("{label}-{direction}-{name}")), signer);
                let ((from, from_id), (to, to_id)) =
                    if outbound { ((victim, id), (peer, name)) } else { ((peer, name), (victim, id)) };
                lanes.push(Lane {
                    from,
                    to_id,
                    to,
                    from_id,
                    account,
                    prepared: Vec::new(),
                    offered: 0,
                    taken: 0,
                    returned: 0,
                });
            }
        }
        Traffic { lanes, label: label.to_owned() }
    }

    /// Drops `count` files into every outbox; the last is larger than the journal takes.
    pub fn load(&mut self, count: usize) {
        self.prepare(count);
        self.release();
    }

    /// Writes the files of [`load`](Traffic::load) beside their names, where nobody takes them.
    pub fn prepare(&mut self, count: usize) {
        for lane in &mut self.lanes {
            let outbox = lane.from.exchange(lane.to_id, "outbox");
            fs::create_dir_all(&outbox).unwrap();
            for number in 0..count {
                let name = format!("{}-{}.txt", self.label, lane.offered);
                let mut content = format!("{} {} {name} ", lane.from_id, lane.to_id).into_bytes();
                fill(&mut content, if number + 1 == count { LARGE } else { 300 + number });
                lane.account.offered(&name, &content);
                fs::write(outbox.join(format!(".{name}")), &content).unwrap();
                lane.prepared.push(name);
                lane.offered += 1;
            }
        }
    }

    /// Drops what was prepared; a rename needs no room.
    pub fn release(&mut self) {
        for lane in &mut self.lanes {
            let outbox = lane.from.exchange(lane.to_id, "outbox");
            for name in lane.prepared.drain(..) {
                fs::rename(outbox.join(format!(".{name}")), outbox.join(name)).unwrap();
            }
        }
    }

    /// Takes what has come; whether everything has.
    pub fn take(&mut self) -> bool {
        let mut done = true;
        for lane in &mut self.lanes {
            lane.taken += take(lane.to, lane.from_id, Shelf::Inbox, &lane.account);
            lane.returned += take(lane.from, lane.to_id, Shelf::Originals, &lane.account);
            done &= lane.taken >= lane.offered && lane.returned >= lane.offered;
        }
        done
    }

    /// Takes until everything has come, at most this long; `between` looks after the victim and may end it by `Err`.
    pub fn settle<E>(&mut self, at_most: Duration, mut between: impl FnMut() -> Result<(), E>) -> Result<bool, E> {
        let start = Instant::now();
        while !self.take() {
            between()?;
            if start.elapsed() > at_most {
                return Ok(false);
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        Ok(true)
    }

    /// Files that came to an inbox, and originals that came to `sent/`, in all directions.
    pub fn arrived(&self) -> (usize, usize) {
        let sum = |of: fn(&Lane<'_>) -> usize| self.lanes.iter().map(of).sum();
        (sum(|lane| lane.taken), sum(|lane| lane.returned))
    }

    /// How far each direction is, for messages of failed tests.
    pub fn standing(&self) -> String {
        let lane = |lane: &Lane<'_>| {
            let (from, to, offered, taken, returned) =
                (lane.from_id, lane.to_id, lane.offered, lane.taken, lane.returned);
            format!("{from}→{to}: {offered} offered, {taken} arrived, {returned} originals returned; ")
        };
        self.lanes.iter().map(lane).collect()
    }

    pub fn accounts(self) -> Vec<Account> {
        self.lanes.into_iter().map(|lane| lane.account).collect()
    }
}

/// Lengthens it by what does not compress.
fn fill(content: &mut Vec<u8>, length: usize) {
    let mut state = content.iter().fold(1u64, |state, byte| state.wrapping_mul(31).wrapping_add(u64::from(*byte))) | 1;
    while content.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        content.extend_from_slice(&state.to_le_bytes());
    }
}

/// Longer than the `inline` limit of the victims.
pub const LARGE: usize = 40_000;
/// `[limits]` of victims: bodies beyond 16 KiB are files.
pub const VICTIM_LIMITS: &str = "[limits]\nfree_space_floor = 0\ninline = \"16KiB\"";

fn take(home: &Home, partner: &str, shelf: Shelf, account: &Account) -> usize {
    let folder = home.exchange(partner, if shelf == Shelf::Inbox { "inbox" } else { "sent" });
    let mut taken = 0;
    for name in crate::support::home::names(&folder).into_iter().filter(|name| !name.ends_with(".meta.json")) {
        account.taken(shelf, &name, &fs::read(folder.join(&name)).unwrap());
        fs::remove_file(folder.join(&name)).unwrap();
        let _ = fs::remove_file(folder.join(format!("{name}.meta.json")));
        account.removed(shelf, &name);
        taken += 1;
    }
    taken
}
