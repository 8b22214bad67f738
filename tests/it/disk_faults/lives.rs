//! Messages with a whole life in one commit, whose every byte follows from their number.

use std::io::Write as _;

use dxgate::as2::SentMics;
use dxgate::bilingual;
use dxgate::ground::id::Id;
use dxgate::mime::Headers;
use dxgate::store::draft::Sink;
use dxgate::store::record::Came;
use dxgate::store::{
    Body, Content, DedupKey, Fact, Folder, JobKind, Message, Publication, Reason, Receipt, Store, Transaction,
};
use jiff::{SignedDuration, Timestamp};

use crate::proof::content;

/// Longer than what lives in the journal.
pub const LARGE: usize = 5_000;
const SMALL: usize = 600;

/// What a number stands for.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    number: usize,
    inbound: bool,
    held: bool,
    open: bool,
}

impl Kind {
    pub fn of(number: usize) -> Kind {
        let inbound = number.is_multiple_of(3);
        Kind { number, inbound, held: number % 4 == 1, open: !inbound && number % 7 == 5 }
    }

    /// It may, when its time has come.
    pub fn expires(self) -> bool {
        !self.held && !self.open
    }

    /// Every byte of it is there, those of its payload unless that has expired.
    pub fn holds(self, store: &Store, message: &Message, payload_expired: bool) -> Result<(), String> {
        let read = |body: Option<Body>| body.and_then(|body| store.read_all(&body, 1 << 20).ok());
        let same = |what: &str, body: Option<Body>| {
            let right = read(body).is_some_and(|bytes| bytes == self.bytes(what));
            if right { Ok(()) } else { Err(format!("the {what} of message {} is lost", self.number)) }
        };
        same("wire", message.wire)?;
        if !self.open {
            same("receipt", message.receipt.as_ref().map(|receipt| receipt.body))?;
        }
        if payload_expired {
            let gone = read(message.payload).is_none() && message.payload_purged.is_some();
            return if gone { Ok(()) } else { Err(format!("the payload of message {} is still there", self.number)) };
        }
        if message.legal_hold.is_some() != self.held {
            return Err(format!("the legal hold of message {} is not what it was", self.number));
        }
        if let (true, Some(claim)) = (self.inbound, &message.claim)
            && store.by_dedup_key(claim).map(|claimant| claimant.id) != Some(message.id)
        {
            return Err(format!("the key of message {} is lost", self.number));
        }
        same("payload", message.payload)
    }

    fn bytes(self, what: &str) -> Vec<u8> {
        let large = match what {
            "wire" => self.number.is_multiple_of(2),
            "payload" => self.number.is_multiple_of(5),
            _ => false,
        };
        content(&format!("{what} {}", self.number), if large { LARGE } else { SMALL })
    }

    fn body(self, store: &Store, what: &str, transaction: &mut Transaction) -> Result<Body, String> {
        let mut sink = Sink::new(store);
        sink.write_all(&self.bytes(what)).map_err(|error| error.to_string())?;
        Ok(sink.finish().map_err(|error| error.to_string())?.into_body(transaction))
    }
}

/// Commits the message of this number, with everything that happens to it.
pub fn add(store: &Store, at: Timestamp, number: usize) -> Result<Id, String> {
    let (kind, id) = (Kind::of(number), Id::new(at));
    let mut transaction = Transaction::new(at);
    let wire = kind.body(store, "wire", &mut transaction)?;
    let payload = kind.body(store, "payload", &mut transaction)?;
    let message_id = format!("<{number}-{id}@station.example>");
    let mut facts = if kind.inbound { taken(&message_id, wire, payload) } else { sent(&message_id, at, wire, payload) };
    if kind.open {
        let reason =
            Reason { code: "connection-refused".to_owned(), text: bilingual!("无法连接", "cannot connect") };
        facts.push(Fact::RetryAt { due: at + SignedDuration::from_hours(1), reason, came: Came::Unknown });
    } else {
        let receipt = receipt(transaction.body(kind.bytes("receipt")));
        let files = publication(Folder::Sent, payload);
        let end = match kind.inbound {
            true => Fact::Answered { mdn: receipt },
            false => Fact::Delivered { receipt: Some(receipt), note: None, files },
        };
        facts.extend([end, Fact::Staged { index: 0 }, Fact::Published { index: 0, name: "file.bin".to_owned() }]);
    }
    if kind.held {
        facts.push(Fact::LegalHeld { reason: "a suit".to_owned(), by: "legal".to_owned() });
    }
    for fact in facts {
        transaction.fact(id, fact);
    }
    store.commit_blocking(transaction).map_err(|error| error.to_string())?;
    Ok(id)
}

fn sent(message_id: &str, at: Timestamp, wire: Body, payload: Body) -> Vec<Fact> {
    let queued = Fact::Queued {
        kind: JobKind::Payload,
        partner: "customs".to_owned(),
        file_name: "file.bin".to_owned(),
        payload: Some(payload),
        declaration: None,
        about: None,
    };
    let (message_id, mics) = (message_id.to_owned(), SentMics::default());
    let composed = Fact::Composed { message_id, headers: Headers::new(), wire, mics, due: at };
    vec![queued, composed, Fact::Attempted { number: 1 }]
}

fn taken(message_id: &str, wire: Body, payload: Body) -> Vec<Fact> {
    let (from, to) = ("CUSTOMS".to_owned(), "STATION".to_owned());
    vec![Fact::Accepted {
        partner: "customs".to_owned(),
        key: DedupKey { from, to, message_id: message_id.to_owned() },
        headers: Headers::new(),
        wire,
        payload,
        file_name: "file.bin".to_owned(),
        declaration: None,
        signer: None,
        files: publication(Folder::Inbox, payload),
    }]
}

fn publication(folder: Folder, payload: Body) -> Vec<Publication> {
    let files = vec![(String::new(), Content::Body(payload))];
    vec![Publication { folder, name: "file.bin".to_owned(), files }]
}

fn receipt(body: Body) -> Receipt {
    Receipt {
        body,
        headers: Headers::new(),
        disposition: "automatic-action/MDN-sent-automatically; processed".to_owned(),
        mic: None,
        mic_matches: Some(true),
        signer: None,
    }
}
