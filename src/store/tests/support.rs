//! Stores in temporary directories, facts with few words, and segments that fail when told to.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::as2::SentMics;
use crate::ground::clock::ManualClock;
use crate::mime::Headers;
use crate::store::journal::writer::{JournalFile, SegmentFiles};
use crate::store::*;

pub(in crate::store) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

pub(in crate::store) fn id(number: u16) -> Id {
    let [high, low] = number.to_be_bytes();
    Id::from_bytes([1, 2, 3, 4, 5, 6, 0x70, 0, 0x80, 0, 0, 0, 0, 0, high, low])
}

pub(in crate::store) fn config(dir: &Path) -> StoreConfig {
    StoreConfig { allow_untrusted_filesystem: true, ..StoreConfig::new(dir, Arc::new(ManualClock::new(at(0)))) }
}

pub(in crate::store) fn open(dir: &Path) -> (Store, RecoveryReport) {
    Store::open(config(dir)).unwrap()
}

pub(in crate::store) fn reason(code: &str) -> Reason {
    Reason { code: code.to_owned(), text: crate::bilingual!("原因", "a reason") }
}

pub(in crate::store) fn queued(partner: &str, payload: Option<Body>) -> Fact {
    Fact::Queued {
        kind: JobKind::Payload,
        partner: partner.to_owned(),
        file_name: "order.xml".to_owned(),
        payload,
        declaration: None,
        about: None,
    }
}

pub(in crate::store) fn composed(message_id: &str, wire: Body, due: Timestamp) -> Fact {
    let mut headers = Headers::new();
    headers.push("Message-ID", message_id).unwrap();
    Fact::Composed { message_id: message_id.to_owned(), headers, wire, mics: SentMics::default(), due }
}

pub(in crate::store) fn key(message_id: &str) -> DedupKey {
    DedupKey { from: "CUSTOMS".to_owned(), to: "STATION".to_owned(), message_id: message_id.to_owned() }
}

pub(in crate::store) fn accepted(message_id: &str, wire: Body, payload: Body) -> Fact {
    let principal = Publication {
        folder: Folder::Inbox,
        name: "receipt.xml".to_owned(),
        files: vec![(".meta.json".to_owned(), Content::Text("{}".to_owned())), (String::new(), Content::Body(payload))],
    };
    Fact::Accepted {
        partner: "customs".to_owned(),
        key: key(message_id),
        headers: Headers::new(),
        wire,
        payload,
        file_name: "receipt.xml".to_owned(),
        declaration: None,
        signer: None,
        files: vec![principal],
    }
}

/// One message from the outbox to composed, in one transaction.
pub(in crate::store) fn compose_one(store: &Store, number: u16, partner: &str, due: Timestamp) -> Id {
    let id = id(number);
    let mut transaction = Transaction::new(at(i64::from(number)));
    let payload = transaction.body(format!("payload {number}").into_bytes());
    let wire = transaction.body(format!("wire {number}").into_bytes());
    transaction.require(Precondition::Absent(id));
    transaction.fact(id, queued(partner, Some(payload)));
    transaction.fact(id, composed(&format!("<{number}@station>"), wire, due));
    store.commit_blocking(transaction).unwrap();
    id
}

/// One inbound message, accepted.
pub(in crate::store) fn accept_one(store: &Store, number: u16) -> Id {
    let id = id(number);
    let mut transaction = Transaction::new(at(i64::from(number)));
    let wire = transaction.body(format!("inbound wire {number}").into_bytes());
    let payload = transaction.body(format!("inbound payload {number}").into_bytes());
    transaction.fact(id, accepted(&format!("{number}@customs"), wire, payload));
    store.commit_blocking(transaction).unwrap();
    id
}

pub(in crate::store) fn happen(store: &Store, id: Id, second: i64, fact: Fact) -> Result<Committed, CommitError> {
    let mut transaction = Transaction::new(at(second));
    transaction.fact(id, fact);
    store.commit_blocking(transaction)
}

/// Everything that can be asked, in one value.
#[derive(Debug, PartialEq)]
pub(super) struct Everything {
    pub(super) messages: BTreeMap<Id, Message>,
    pub(super) counts: Counts,
    pub(super) pending: Vec<PendingPublication>,
    bodies: Vec<Vec<u8>>,
    claims: Vec<Option<Id>>,
}

pub(super) fn everything(store: &Store) -> Everything {
    let all = store.messages(&Filter { limit: usize::MAX, ..Filter::default() });
    let bodies = all.iter().flat_map(Message::bodies);
    Everything {
        counts: store.counts(),
        pending: store.pending_publications(usize::MAX),
        bodies: bodies.map(|body| store.read_all(&body, u64::MAX).unwrap()).collect(),
        claims: all
            .iter()
            .map(|message| {
                let message_id = message.message_id.as_deref().unwrap_or_default();
                store.by_dedup_key(&key(message_id)).map(|message| message.id)
            })
            .collect(),
        messages: all.into_iter().map(|message| (message.id, message)).collect(),
    }
}

pub(super) fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Segments on disk whose n-th operation (append, sync or create) fails, and all after it.
pub(super) struct FailingSegments {
    pub(super) disk: DiskSegments,
    pub(super) budget: Budget,
}

/// How many operations succeed, and how the others fail.
#[derive(Clone)]
pub(super) struct Budget {
    pub(super) operations_left: Arc<AtomicUsize>,
    pub(super) failure: fn() -> io::Error,
}

impl Budget {
    pub(super) fn of(operations: usize, failure: fn() -> io::Error) -> Budget {
        Budget { operations_left: Arc::new(AtomicUsize::new(operations)), failure }
    }

    pub(super) fn set(&self, operations: usize) {
        self.operations_left.store(operations, Ordering::SeqCst);
    }

    fn spend(&self) -> io::Result<()> {
        let spent = self.operations_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        spent.map(drop).map_err(|_| (self.failure)())
    }
}

/// The disk says so.
pub(super) fn broken() -> io::Error {
    io::Error::other("injected failure")
}

/// The disk has no room.
pub(super) fn full() -> io::Error {
    io::ErrorKind::StorageFull.into()
}

struct FailingFile {
    file: Box<dyn JournalFile>,
    budget: Budget,
}

impl SegmentFiles for FailingSegments {
    fn create(&mut self, number: u64, header: &[u8]) -> io::Result<Box<dyn JournalFile>> {
        self.budget.spend()?;
        let file = self.disk.create(number, header)?;
        Ok(Box::new(FailingFile { file, budget: self.budget.clone() }))
    }

    fn rewrite(&mut self, number: u64, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.disk.rewrite(number, offset, bytes)
    }

    fn resume(&mut self, number: u64, len: u64) -> io::Result<Box<dyn JournalFile>> {
        let file = self.disk.resume(number, len)?;
        Ok(Box::new(FailingFile { file, budget: self.budget.clone() }))
    }
}

impl JournalFile for FailingFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Err(error) = self.budget.spend() {
            self.file.append(&bytes[..bytes.len() / 2])?;
            return Err(error);
        }
        self.file.append(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.budget.spend()?;
        self.file.sync()
    }

    fn cut(&mut self, len: u64) -> io::Result<()> {
        self.file.cut(len)
    }

    fn close(&mut self) -> io::Result<()> {
        self.file.close()
    }
}
