//! Bytes on their way into the store: in memory while they are small, in a file of their own beyond the threshold.
//!
//! A [`Sink`] takes bytes of unknown length; what it becomes is a [`Draft`], which a transaction turns into a
//! [`Body`]. Dropping either leaves nothing behind, and so does a transaction that is refused.

use std::io::{self, BufWriter, Cursor, Read, Write};

pub use super::body::Finished;

use super::body::BodyWriter;
use super::record::Body;
use super::{Store, Transaction};

/// Bytes written to a file at a time.
const GATHERED: usize = 128 * 1024;

/// A writer that spills from memory into a body file at the store's inline threshold.
pub struct Sink {
    store: Store,
    state: SinkState,
    digest: DigestBy,
}

/// Who computes the SHA-256 of a body in a file of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DigestBy {
    /// The sink.
    Sink,
    /// Whoever writes the bytes.
    Writer,
    /// Nobody.
    Nobody,
}

enum SinkState {
    Memory(Vec<u8>),
    File(BodyWriter),
}

/// Finished bytes.
pub enum Draft {
    /// Small: will be appended to the journal with the facts.
    Inline(Vec<u8>),
    /// The same, with the SHA-256 that whoever wrote the bytes has computed.
    Digested(Vec<u8>, [u8; 32]),
    /// Large, in a file of its own that no fact names yet; it goes with the draft unless a commit names it.
    File(Finished),
    /// An earlier fact names them.
    Stored(Body),
}

impl Sink {
    /// An empty sink of `store`.
    pub fn new(store: &Store) -> Sink {
        Sink { store: store.clone(), state: SinkState::Memory(Vec::new()), digest: DigestBy::Sink }
    }

    /// An empty sink for wire bytes: in a file of their own they have no SHA-256, see [`Body::sha256`].
    pub fn of_wire(store: &Store) -> Sink {
        Sink { digest: DigestBy::Nobody, ..Sink::new(store) }
    }

    /// The sink for about `len` bytes: it has room for them, or writes to a file from here on.
    pub fn expecting(mut self, len: u64) -> io::Result<Sink> {
        match usize::try_from(len) {
            Ok(len) if len <= self.store.inline_threshold() => {
                self.reserve(len);
                Ok(self)
            }
            _ => self.spilt(),
        }
    }

    /// Makes room for bytes that are held in memory, so that they are not moved as they become more.
    pub fn reserve(&mut self, len: usize) {
        let room = len.min(self.store.inline_threshold());
        if let SinkState::Memory(held) = &mut self.state {
            held.reserve_exact(room.saturating_sub(held.len()));
        }
    }

    /// An empty sink whose writer hashes the bytes itself and gives the digest at the [end](Sink::finish_with): a long
    /// body is not hashed twice.
    pub fn hashed_by_writer(store: &Store) -> Sink {
        Sink { digest: DigestBy::Writer, ..Sink::new(store) }
    }

    /// A sink that goes on with a body's file.
    pub fn onto(store: &Store, writer: BodyWriter) -> Sink {
        Sink { store: store.clone(), state: SinkState::File(writer), digest: DigestBy::Sink }
    }

    /// The sink, writing to a file from here on: what is known to be large need not be held first.
    pub fn spilt(mut self) -> io::Result<Sink> {
        if let SinkState::Memory(held) = &self.state {
            self.state = SinkState::File(spill(&self.store, held, self.digest)?);
        }
        Ok(self)
    }

    /// The sink behind a buffer if it writes to a file: each of its writes is a call of the system then.
    pub fn gathered(self) -> BufWriter<Sink> {
        let gathered = if self.is_file() { GATHERED } else { 0 };
        BufWriter::with_capacity(gathered, self)
    }

    /// It writes to a file by now.
    pub fn is_file(&self) -> bool {
        matches!(self.state, SinkState::File(_))
    }

    /// `more` bytes would move it into a file.
    pub fn would_spill(&self, more: usize) -> bool {
        match &self.state {
            SinkState::Memory(held) => held.len().saturating_add(more) > self.store.inline_threshold(),
            SinkState::File(_) => false,
        }
    }

    /// The bytes written; a large body is durable from here on.
    pub fn finish(self) -> io::Result<Draft> {
        match self.state {
            SinkState::Memory(bytes) => Ok(Draft::Inline(bytes)),
            SinkState::File(writer) => {
                let finished = writer.finish_guarded().map_err(|error| self.store.judge_sync(error));
                finished.map(Draft::File)
            }
        }
    }

    /// [`finish`](Sink::finish) with the SHA-256 of everything that was written.
    pub fn finish_with(self, sha256: [u8; 32]) -> io::Result<Draft> {
        match self.state {
            SinkState::Memory(bytes) => Ok(Draft::Digested(bytes, sha256)),
            SinkState::File(writer) => {
                let finished =
                    writer.with_digest(sha256).finish_guarded().map_err(|error| self.store.judge_sync(error));
                finished.map(Draft::File)
            }
        }
    }
}

/// A file that begins with what was held in memory.
fn spill(store: &Store, held: &[u8], digest: DigestBy) -> io::Result<BodyWriter> {
    let writer = store.body_writer().map_err(|error| store.judge_sync(error))?;
    let mut writer = match digest {
        DigestBy::Sink => writer,
        DigestBy::Writer => writer.without_digest(),
        DigestBy::Nobody => writer.undigested(),
    };
    writer.write_all(held)?;
    Ok(writer)
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let SinkState::Memory(held) = &mut self.state {
            if held.len().saturating_add(bytes.len()) <= self.store.inline_threshold() {
                held.extend_from_slice(bytes);
                return Ok(bytes.len());
            }
            self.state = SinkState::File(spill(&self.store, held, self.digest)?);
        }
        match &mut self.state {
            SinkState::Memory(_) => Ok(0),
            SinkState::File(writer) => writer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Draft {
    /// Length in bytes.
    pub fn len(&self) -> u64 {
        match self {
            Draft::Inline(bytes) | Draft::Digested(bytes, _) => bytes.len() as u64,
            Draft::File(file) => file.body().len,
            Draft::Stored(body) => body.len,
        }
    }

    /// No bytes at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Nothing but NUL bytes, or none at all. Reads up to the first other one.
    pub fn is_blank(&self, store: &Store) -> io::Result<bool> {
        let mut input = self.open(store)?;
        let mut chunk = [0; 4096];
        loop {
            match input.read(&mut chunk)? {
                0 => return Ok(true),
                read if chunk.iter().take(read).any(|byte| *byte != 0) => return Ok(false),
                _ => {}
            }
        }
    }

    /// Reads the bytes from the start.
    pub fn open<'a>(&'a self, store: &Store) -> io::Result<Box<dyn Read + Send + 'a>> {
        match self {
            Draft::Inline(bytes) | Draft::Digested(bytes, _) => Ok(Box::new(Cursor::new(bytes.as_slice()))),
            Draft::File(file) => store.read(file.body()),
            Draft::Stored(body) => store.read(body),
        }
    }

    /// [`open`](Draft::open) for those behind whom nobody is expected to read them again, see [`Store::read_last`].
    pub fn open_last<'a>(&'a self, store: &Store) -> io::Result<Box<dyn Read + Send + 'a>> {
        match self {
            Draft::File(file) => store.read_last(file.body()),
            Draft::Stored(body) => store.read_last(body),
            Draft::Inline(_) | Draft::Digested(..) => self.open(store),
        }
    }

    /// Makes the bytes part of `transaction`, which must have a fact that names them.
    pub fn into_body(self, transaction: &mut Transaction) -> Body {
        match self {
            Draft::Inline(bytes) => transaction.body(bytes),
            Draft::Digested(bytes, sha256) => transaction.digested(bytes, sha256),
            Draft::File(file) => transaction.finished(file),
            Draft::Stored(body) => body,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;

    use super::*;
    use crate::ground::clock::ManualClock;
    use crate::ground::id::Id;
    use crate::store::record::{Fact, JobKind};
    use crate::store::{Precondition, State, StoreConfig};

    fn small_store(dir: &std::path::Path) -> Store {
        let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
        let config =
            StoreConfig { inline_threshold: 4, allow_untrusted_filesystem: true, ..StoreConfig::new(dir, clock) };
        Store::open(config).unwrap().0
    }

    fn large(store: &Store) -> Draft {
        let mut sink = Sink::new(store);
        sink.write_all(b"more than four bytes").unwrap();
        sink.finish().unwrap()
    }

    fn queued(payload: Body) -> Fact {
        Fact::Queued {
            kind: JobKind::Payload,
            partner: "customs".to_owned(),
            file_name: "order.xml".to_owned(),
            payload: Some(payload),
            declaration: None,
            about: None,
        }
    }

    #[test]
    fn a_large_draft_that_no_fact_names_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let store = small_store(dir.path());
        let files = || std::fs::read_dir(dir.path().join("bodies")).unwrap().count();
        let draft = large(&store);
        assert!(matches!(&draft, Draft::File(_)) && files() == 1);
        drop(draft);
        assert_eq!(files(), 0);

        let mut refused = Transaction::new(Timestamp::UNIX_EPOCH);
        let id = Id::new(Timestamp::UNIX_EPOCH);
        refused.require(Precondition::StateIs(id, vec![State::Queued]));
        let body = large(&store).into_body(&mut refused);
        refused.fact(id, queued(body));
        store.commit_blocking(refused).unwrap_err();
        assert_eq!(files(), 0);

        let mut unnamed = Transaction::new(Timestamp::UNIX_EPOCH);
        large(&store).into_body(&mut unnamed);
        store.commit_blocking(unnamed).unwrap();
        assert_eq!(files(), 0, "it was committed without a fact");
    }

    #[test]
    fn a_digest_that_the_writer_computed_is_that_of_the_body_small_or_large() {
        let dir = tempfile::tempdir().unwrap();
        let store = small_store(dir.path());
        for bytes in [&b"few"[..], b"more than four bytes"] {
            let mut sink = Sink::hashed_by_writer(&store);
            sink.write_all(bytes).unwrap();
            let draft = sink.finish_with([7; 32]).unwrap();
            assert_eq!(draft.len(), bytes.len() as u64);
            assert_eq!(draft.into_body(&mut Transaction::new(Timestamp::UNIX_EPOCH)).sha256, Some([7; 32]));
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test is the damage to the disk")]
    fn a_wire_in_a_file_has_no_digest_and_is_guarded_by_its_crc_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let store = small_store(dir.path());
        let body_of = |bytes: &[u8]| {
            let mut sink = Sink::of_wire(&store);
            sink.write_all(bytes).unwrap();
            let mut transaction = Transaction::new(Timestamp::UNIX_EPOCH);
            let body = sink.finish().unwrap().into_body(&mut transaction);
            transaction.fact(Id::new(Timestamp::UNIX_EPOCH), queued(body));
            store.commit_blocking(transaction).unwrap();
            body
        };
        let (small, large) = (body_of(b"few"), body_of(b"more than four bytes"));
        assert!(small.sha256.is_some() && large.sha256.is_none());
        assert_eq!(store.read_all(&large, 100).unwrap(), b"more than four bytes");
        store.verify_journal_and_bodies().unwrap();
        std::fs::write(dir.path().join("bodies").join(large.id.to_string()), b"more than five bytes").unwrap();
        store.read_all(&large, 100).unwrap_err();
        store.verify_journal_and_bodies().unwrap_err();
    }

    #[test]
    fn a_draft_is_blank_without_a_byte_other_than_nul() {
        let dir = tempfile::tempdir().unwrap();
        let store = small_store(dir.path());
        let draft = |bytes: &[u8]| {
            let mut sink = Sink::new(&store);
            sink.write_all(bytes).unwrap();
            sink.finish().unwrap()
        };
        let mut late = vec![0; 10_000];
        for blank in [&[][..], &[0], &late] {
            assert!(draft(blank).is_blank(&store).unwrap());
        }
        late.push(1);
        for full in [&[0, 1][..], b" ", &late] {
            assert!(!draft(full).is_blank(&store).unwrap());
        }
    }

    #[test]
    fn a_large_draft_that_a_commit_names_stays_whatever_becomes_of_its_clones() {
        let dir = tempfile::tempdir().unwrap();
        let store = small_store(dir.path());
        let Draft::File(file) = large(&store) else { panic!("not a file") };
        let mut transaction = Transaction::new(Timestamp::UNIX_EPOCH);
        let body = Draft::File(file.clone()).into_body(&mut transaction);
        transaction.fact(Id::new(Timestamp::UNIX_EPOCH), queued(body));
        store.commit_blocking(transaction).unwrap();
        drop(file);
        assert_eq!(store.read_all(&body, 100).unwrap(), b"more than four bytes");
    }
}
