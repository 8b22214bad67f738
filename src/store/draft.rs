//! Bytes on their way into the store: in memory while they are small, in a file of their own beyond the threshold.
//!
//! A [`Sink`] takes bytes of unknown length; what it becomes is a [`Draft`], which a transaction turns into a
//! [`Body`]. Dropping either leaves nothing behind.

use std::io::{self, Cursor, Read, Write};

use super::body::BodyWriter;
use super::record::Body;
use super::{Store, Transaction};

/// A writer that spills from memory into a body file at the store's inline threshold.
pub struct Sink {
    store: Store,
    state: SinkState,
}

enum SinkState {
    Memory(Vec<u8>),
    File(BodyWriter),
}

/// Finished bytes that no fact mentions yet.
pub enum Draft {
    /// Small: will be appended to the journal with the facts.
    Inline(Vec<u8>),
    /// Durable already: a large body in a file of its own, or one that an earlier fact names.
    File(Body),
}

impl Sink {
    /// An empty sink of `store`.
    pub fn new(store: &Store) -> Sink {
        Sink { store: store.clone(), state: SinkState::Memory(Vec::new()) }
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
            SinkState::File(writer) => writer.finish().map(Draft::File),
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let SinkState::Memory(held) = &mut self.state {
            if held.len().saturating_add(bytes.len()) <= self.store.inline_threshold() {
                held.extend_from_slice(bytes);
                return Ok(bytes.len());
            }
            let mut writer = self.store.body_writer()?;
            writer.write_all(held)?;
            self.state = SinkState::File(writer);
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
            Draft::Inline(bytes) => bytes.len() as u64,
            Draft::File(body) => body.len,
        }
    }

    /// No bytes at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads the bytes from the start.
    pub fn open<'a>(&'a self, store: &Store) -> io::Result<Box<dyn Read + Send + 'a>> {
        match self {
            Draft::Inline(bytes) => Ok(Box::new(Cursor::new(bytes.as_slice()))),
            Draft::File(body) => store.read(body),
        }
    }

    /// Makes the bytes part of `transaction`.
    pub fn into_body(self, transaction: &mut Transaction) -> Body {
        match self {
            Draft::Inline(bytes) => transaction.body(bytes),
            Draft::File(body) => body,
        }
    }
}
