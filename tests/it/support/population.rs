//! A store full of messages that have lived: what rebuilding and restarting are measured on.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use dxgate::as2::SentMics;
use dxgate::bilingual;
use dxgate::ground::clock::SystemClock;
use dxgate::ground::id::Id;
use dxgate::mime::Headers;
use dxgate::store::record::{Came, Said};
use dxgate::store::{
    Body, Content, DeclarationSummary, DedupKey, Fact, Folder, JobKind, Publication, Reason, Receipt, Store,
    StoreConfig, Transaction,
};
use jiff::{SignedDuration, Timestamp};

/// Threads that commit at the same time; they share syncs.
const WRITERS: usize = 64;

/// How messages come into the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(dead_code, reason = "each bench makes them one way")]
enum Making {
    /// Each step is a commit, as when they live; bodies of some KiB.
    StepByStep,
    /// The same facts, but all of a message in one commit, and bodies of some hundred bytes: a fifth of the time and room.
    AtOnce,
}

/// Adds `count` finished messages, one in four inbound, each with payload, wire and MDN and its files published; one in
/// a hundred stays open. Instants count on from `start`, one millisecond a message.
pub(crate) fn populate(store: &Store, start: Timestamp, count: usize) {
    populate_some(store, start, 0..count, Making::StepByStep);
}

/// Those with these numbers alone, made in one way or the other.
fn populate_some(store: &Store, start: Timestamp, numbers: Range<usize>, making: Making) {
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let numbers = numbers.clone();
            scope.spawn(move || {
                for number in numbers.skip(writer).step_by(WRITERS) {
                    let at = start + SignedDuration::from_millis(i64::try_from(number).unwrap());
                    let life = Life { store, making, number, id: Id::new(at), transaction: Transaction::new(at) };
                    if number % 4 == 3 { receive(life) } else { send(life, at) }
                }
            });
        }
    });
}

/// Messages made before the index is deleted, to be made anew from the journal: one that was written by many small commits
/// has three times the size of what it holds, and a million messages should fit on a disk.
#[allow(dead_code, reason = "the tests make fewer")]
const BATCH: usize = 200_000;

/// Makes a data directory full of messages, and says how far it is.
#[allow(dead_code, clippy::print_stderr, reason = "for benches")]
pub(crate) fn fill(data: &Path, start: Timestamp, messages: usize) {
    let config =
        || StoreConfig { allow_untrusted_filesystem: true, ..StoreConfig::new(data.to_owned(), Arc::new(SystemClock)) };
    let begun = Instant::now();
    for first in (0..messages).step_by(BATCH) {
        let (store, _) = Store::open(config()).unwrap();
        populate_some(&store, start, first..messages.min(first + BATCH), Making::AtOnce);
        drop(store);
        if first + BATCH < messages {
            std::fs::remove_dir_all(data.join("index")).unwrap();
        }
        eprintln!("{} messages made in {:.0} s", messages.min(first + BATCH), begun.elapsed().as_secs_f64());
    }
}

/// One message in the making.
struct Life<'s> {
    store: &'s Store,
    making: Making,
    number: usize,
    id: Id,
    transaction: Transaction,
}

impl Life<'_> {
    /// A body of this many bytes, that differs from message to message.
    fn body(&mut self, len: usize) -> Body {
        let len = if self.making == Making::AtOnce { len / 8 } else { len };
        self.transaction.body(self.number.to_be_bytes().into_iter().cycle().take(len).collect())
    }

    fn fact(&mut self, fact: Fact) {
        self.transaction.fact(self.id, fact);
    }

    /// The end of a step.
    fn step(&mut self) {
        if self.making == Making::StepByStep {
            self.commit();
        }
    }

    fn commit(&mut self) {
        let done = Transaction::new(self.transaction.at());
        self.store.commit_blocking(std::mem::replace(&mut self.transaction, done)).unwrap();
    }

    fn end(mut self) {
        if self.making == Making::AtOnce {
            self.commit();
        }
    }

    fn publish(&mut self, publications: u32) {
        for index in 0..publications {
            self.fact(Fact::Staged { index });
        }
        self.step();
        for index in 0..publications {
            self.fact(Fact::Published { index, name: format!("{}-{index}", self.id) });
        }
        self.step();
    }
}

fn send(mut life: Life<'_>, at: Timestamp) {
    let (number, id) = (life.number, life.id);
    let (payload, wire) = (life.body(2048), life.body(3072));
    life.fact(Fact::Queued {
        kind: JobKind::Payload,
        partner: format!("partner-{}", number % 7),
        file_name: format!("CEB311Message-{number}.xml"),
        payload: Some(payload),
        declaration: declaration(number),
        about: None,
    });
    let message_id = format!("<{number}-{id}@station.example>");
    let headers = headers(&message_id);
    if number.is_multiple_of(2) {
        let keys = |document: usize| vec![("orderNo".to_owned(), format!("O{number}-{document}"))];
        life.fact(Fact::Declared { documents: (0..DOCUMENTS).map(keys).collect() });
    }
    life.fact(Fact::Composed { message_id, headers, wire, mics: SentMics::default(), due: at });
    life.step();
    life.fact(Fact::Attempted { number: 1 });
    life.step();
    if number.is_multiple_of(100) {
        let reason =
            Reason { code: "connection-refused".to_owned(), text: bilingual!("无法连接", "cannot connect") };
        life.fact(Fact::RetryAt { due: at + SignedDuration::from_hours(1), reason, came: Came::Unknown });
        life.step();
        return life.end();
    }
    let receipt = receipt(life.body(1536));
    let mdn = (".mdn".to_owned(), Content::Body(receipt.body));
    let report = (".mdn.json".to_owned(), Content::Text("{\"state\":\"delivered\"}".to_owned()));
    let files = vec![
        Publication { folder: Folder::Receipts, name: format!("{number}"), files: vec![mdn, report] },
        Publication { folder: Folder::Sent, name: format!("{number}.xml"), files: vec![principal(payload)] },
    ];
    life.fact(Fact::Delivered { receipt: Some(receipt), note: None, files });
    life.step();
    life.publish(2);
    if number.is_multiple_of(2) {
        life.fact(answered(number));
        life.step();
    }
    life.end();
}

/// Documents of every second message sent.
const DOCUMENTS: usize = 3;

fn declaration(number: usize) -> Option<DeclarationSummary> {
    number.is_multiple_of(2).then(|| DeclarationSummary {
        message_type: "CEB311Message".to_owned(),
        documents: 3,
        cop_msg_id: Some(format!("M{number}")),
        keys: vec![("orderNo".to_owned(), format!("O{number}-0"))],
        dxpid: None,
    })
}

/// Customs accepts the first document and refuses the second.
fn answered(number: usize) -> Fact {
    let said = |document: u32, status: &str| Said {
        document,
        status: status.to_owned(),
        time: "20260301093000123".to_owned(),
        info: "[Code:1800;Desc:逻辑校验通过]".to_owned(),
        given: vec![("preNo".to_owned(), format!("B{number}-{document}"))],
    };
    Fact::BusinessReceipt {
        receipt: Id::new(Timestamp::UNIX_EPOCH),
        message_type: "CEB312Message".to_owned(),
        entries: vec![said(1, "120"), said(2, "100")],
    }
}

fn receive(mut life: Life<'_>) {
    let (number, id) = (life.number, life.id);
    let (wire, payload) = (life.body(3072), life.body(2048));
    let message_id = format!("{number}-{id}@customs.example");
    life.fact(Fact::Accepted {
        partner: "customs".to_owned(),
        headers: headers(&message_id),
        key: DedupKey { from: "CUSTOMS".to_owned(), to: "STATION".to_owned(), message_id },
        wire,
        payload,
        file_name: format!("CEB312Message-{number}.xml"),
        declaration: None,
        signer: Some("ab".repeat(32)),
        files: vec![Publication {
            folder: Folder::Inbox,
            name: format!("{number}.xml"),
            files: vec![(".meta.json".to_owned(), Content::Text("{}".to_owned())), principal(payload)],
        }],
    });
    life.step();
    let mdn = receipt(life.body(1536));
    life.fact(Fact::Answered { mdn });
    life.step();
    life.publish(1);
    life.end();
}

fn principal(body: Body) -> (String, Content) {
    (String::new(), Content::Body(body))
}

fn receipt(body: Body) -> Receipt {
    Receipt {
        body,
        headers: headers("<mdn@customs.example>"),
        disposition: "automatic-action/MDN-sent-automatically; processed".to_owned(),
        mic: Some("XhV6jC9zwMBd8rTUjYYsRZkLWVqqSPn2cJKcyzX9pGE=, sha-256".to_owned()),
        mic_matches: Some(true),
        signer: Some("cd".repeat(32)),
    }
}

fn headers(message_id: &str) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in [
        ("AS2-Version", "1.2"),
        ("AS2-From", "DXPENT0000012345"),
        ("AS2-To", "CUSTOMS"),
        ("Message-ID", message_id),
        ("Content-Type", "application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m"),
        ("Disposition-Notification-To", "station@example.com"),
        ("Date", "Fri, 27 Nov 2026 00:00:00 +0000"),
    ] {
        headers.push(name, value).unwrap();
    }
    headers
}
