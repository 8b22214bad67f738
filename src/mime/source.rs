//! Inputs that can be read more than once, and places for intermediate results.
//!
//! The core does no I/O of its own: callers hand it a [`Source`] (a file, a stored body, bytes) and a [`Scratch`]
//! (a temporary file or memory), so that composing a message needs the same memory for 1 KiB and for 1 GiB.

use std::io::{self, Read, Write};

/// A re-readable input of known length.
pub trait Source: Send + Sync {
    /// Bytes a reader will yield.
    fn len(&self) -> u64;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A new reader from the first byte.
    fn open(&self) -> io::Result<Box<dyn Read + Send + '_>>;
}

/// Bytes in memory.
#[derive(Clone, PartialEq, Eq)]
pub struct BytesSource<B: AsRef<[u8]> + Send + Sync>(pub B);

impl<B: AsRef<[u8]> + Send + Sync> Source for BytesSource<B> {
    fn len(&self) -> u64 {
        u64::try_from(self.0.as_ref().len()).unwrap_or(u64::MAX)
    }

    fn open(&self) -> io::Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(self.0.as_ref()))
    }
}

/// Several sources, one after the other.
pub struct ChainSource<'a>(pub Vec<&'a dyn Source>);

impl Source for ChainSource<'_> {
    fn len(&self) -> u64 {
        self.0.iter().map(|source| source.len()).fold(0, u64::saturating_add)
    }

    fn open(&self) -> io::Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(ChainReader { rest: self.0.iter(), current: None }))
    }
}

/// Opens each source only when the one before is exhausted.
struct ChainReader<'a> {
    rest: std::slice::Iter<'a, &'a dyn Source>,
    current: Option<Box<dyn Read + Send + 'a>>,
}

impl Read for ChainReader<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(reader) = &mut self.current {
                let n = reader.read(buf)?;
                if n > 0 || buf.is_empty() {
                    return Ok(n);
                }
            }
            match self.rest.next() {
                Some(source) => self.current = Some(source.open()?),
                None => return Ok(0),
            }
        }
    }
}

/// Where intermediate results go: memory for small messages, temporary files for large ones.
pub trait Scratch: Send + Sync {
    /// A new, empty place.
    fn create(&self) -> io::Result<Box<dyn ScratchWriter>>;
}

/// A place being filled; it becomes a [`Source`] when complete and vanishes with it.
pub trait ScratchWriter: Write + Send {
    /// What was written, ready to be read.
    fn into_source(self: Box<Self>) -> io::Result<Box<dyn Source>>;
}

/// Keeps intermediate results in memory. For small messages and tests.
#[derive(Debug, Clone, Copy, Default)]
pub struct MemoryScratch;

impl Scratch for MemoryScratch {
    fn create(&self) -> io::Result<Box<dyn ScratchWriter>> {
        Ok(Box::new(MemoryWriter(Vec::new())))
    }
}

struct MemoryWriter(Vec<u8>);

impl Write for MemoryWriter {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ScratchWriter for MemoryWriter {
    fn into_source(self: Box<Self>) -> io::Result<Box<dyn Source>> {
        Ok(Box::new(BytesSource(self.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_reads_its_sources_in_order_and_more_than_once() {
        let (a, b, c) = (BytesSource("ab"), BytesSource(Vec::new()), BytesSource("c"));
        let chain = ChainSource(vec![&a, &b, &c]);
        assert_eq!(chain.len(), 3);
        for _ in 0..2 {
            let mut text = String::new();
            chain.open().unwrap().read_to_string(&mut text).unwrap();
            assert_eq!(text, "abc");
        }
    }

    #[test]
    fn scratch_gives_back_what_was_written() {
        let mut writer = MemoryScratch.create().unwrap();
        writer.write_all(b"12345").unwrap();
        let source = writer.into_source().unwrap();
        assert_eq!((source.len(), source.is_empty()), (5, false));
    }
}
