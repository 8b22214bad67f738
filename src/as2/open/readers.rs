//! Small readers that [`layers`](super::layers) puts between the layers.

use std::io::{self, BufRead, Read, Write};

use super::super::error::OpenError;
use crate::cms::{Digests, MultiHasher};
use crate::mime::{LineEnds, MimeError};

/// How much is read at once between two layers.
pub(super) const BUFFER: usize = 16 * 1024;

/// Keeps the first error of the layer below it, and hands a stand-in upwards.
///
/// The layers above report the stand-in as their own trouble; the frame that owns this reader then knows better.
pub(super) struct Watched<R> {
    inner: R,
    fault: Option<io::Error>,
}

impl<R: Read> Watched<R> {
    pub(super) fn new(inner: R) -> Watched<R> {
        Watched { inner, fault: None }
    }

    /// The layer's reader, and its first error.
    pub(super) fn into_parts(self) -> (R, Option<io::Error>) {
        (self.inner, self.fault)
    }
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let stand_in = || io::Error::other("a layer below could not be read");
        if self.fault.is_some() {
            return Err(stand_in());
        }
        match self.inner.read(buf) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                self.fault = Some(error);
                Err(stand_in())
            }
            other => other,
        }
    }
}

/// How much of a layer is looked at before it is read: a field's name, a delimiter, a content type end in it.
pub(super) const AHEAD: u64 = 256;

/// A layer whose first octets decide how it is read, in however small pieces it comes. They come once more, and what went
/// wrong behind them does so where it did.
pub(super) struct Peeked<R> {
    start: Vec<u8>,
    given: usize,
    fault: Option<io::Error>,
    rest: R,
}

impl<R: BufRead> Peeked<R> {
    pub(super) fn new(rest: R) -> Peeked<R> {
        Peeked::ahead_by(AHEAD, rest)
    }

    /// Looks at this many octets.
    pub(super) fn ahead_by(most: u64, mut rest: R) -> Peeked<R> {
        let mut start = Vec::new();
        let fault = rest.by_ref().take(most).read_to_end(&mut start).err();
        Peeked { start, given: 0, fault, rest }
    }

    /// The first octets: all of a layer that has no more than [`AHEAD`], or than was asked for.
    pub(super) fn start(&self) -> &[u8] {
        &self.start
    }

    /// Those of them that were not read yet.
    fn ahead(&self) -> &[u8] {
        self.start.get(self.given..).unwrap_or_default()
    }
}

impl<R: BufRead> Read for Peeked<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut ahead = self.ahead();
        if !ahead.is_empty() {
            let n = ahead.read(buf)?;
            self.given = self.given.saturating_add(n);
            return Ok(n);
        }
        match self.fault.take() {
            Some(fault) => Err(fault),
            None => self.rest.read(buf),
        }
    }
}

impl<R: BufRead> BufRead for Peeked<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.given < self.start.len() {
            return Ok(self.ahead());
        }
        match self.fault.take() {
            Some(fault) => Err(fault),
            None => self.rest.fill_buf(),
        }
    }

    fn consume(&mut self, amount: usize) {
        if self.given < self.start.len() {
            self.given = self.given.saturating_add(amount).min(self.start.len());
        } else {
            self.rest.consume(amount);
        }
    }
}

/// Copies everything that is read through it, where somebody wants it.
pub(super) struct Copying<'c, R> {
    inner: R,
    copy: Option<&'c mut dyn Write>,
}

impl<'c, R: Read> Copying<'c, R> {
    pub(super) fn new(inner: R, copy: Option<&'c mut dyn Write>) -> Copying<'c, R> {
        Copying { inner, copy }
    }
}

impl<R: Read> Read for Copying<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        if let Some(copy) = &mut self.copy {
            copy.write_all(buf.get(..n).unwrap_or_default())?;
        }
        Ok(n)
    }
}

/// Hashes everything that is read through it.
pub(super) struct Hashing<'h, R> {
    inner: R,
    hasher: &'h mut MultiHasher,
}

impl<'h, R: Read> Hashing<'h, R> {
    pub(super) fn new(inner: R, hasher: &'h mut MultiHasher) -> Hashing<'h, R> {
        Hashing { inner, hasher }
    }
}

impl<R: Read> Read for Hashing<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.hasher.update(buf.get(..n).unwrap_or_default());
        Ok(n)
    }
}

/// The octets that a MIC covers, on their way into its digests and to somebody who keeps them.
pub(super) struct Covered<'c> {
    hasher: MultiHasher,
    copy: Option<&'c mut dyn Write>,
    /// They count in canonical form.
    ends: Option<LineEnds>,
}

impl<'c> Covered<'c> {
    pub(super) fn new(hasher: MultiHasher, copy: Option<&'c mut dyn Write>, ends: Option<LineEnds>) -> Covered<'c> {
        Covered { hasher, copy, ends }
    }

    pub(super) fn finish(self) -> Digests {
        self.hasher.finish()
    }
}

impl Write for Covered<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let octets = match &mut self.ends {
            Some(ends) => ends.canonical(buf),
            None => buf.into(),
        };
        self.hasher.update(&octets);
        if let Some(copy) = &mut self.copy {
            copy.write_all(&octets)?;
        }
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Leaves out the line end (CR LF) that the input ends in, if it does.
pub(super) struct WithoutLastLineEnd<R> {
    input: R,
    /// What may be, or begin, the last line end.
    held: Vec<u8>,
    ready: Vec<u8>,
    given: usize,
}

impl<R: Read> WithoutLastLineEnd<R> {
    pub(super) fn new(input: R) -> WithoutLastLineEnd<R> {
        WithoutLastLineEnd { input, held: Vec::new(), ready: Vec::new(), given: 0 }
    }

    /// Reads on; `false` at the end.
    fn fill(&mut self) -> io::Result<bool> {
        let mut piece = vec![0u8; BUFFER];
        let n = self.input.read(&mut piece)?;
        piece.truncate(n);
        (self.ready, self.given) = (std::mem::take(&mut self.held), 0);
        if n == 0 {
            if self.ready == b"\r\n" {
                self.ready.clear();
            }
            return Ok(!self.ready.is_empty());
        }
        self.ready.append(&mut piece);
        let keep = match self.ready.as_slice() {
            [.., b'\r', b'\n'] => 2,
            [.., b'\r'] => 1,
            _ => 0,
        };
        self.held = self.ready.split_off(self.ready.len().saturating_sub(keep));
        Ok(true)
    }
}

impl<R: Read> Read for WithoutLastLineEnd<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.given >= self.ready.len() {
            if !self.fill()? {
                return Ok(0);
            }
        }
        let n = self.ready.get(self.given..).unwrap_or_default().read(buf)?;
        self.given = self.given.saturating_add(n);
        Ok(n)
    }
}

/// Remembers the octets that are consumed through it; for header blocks, whose readers are capped.
pub(super) struct Recording<'r> {
    inner: &'r mut dyn BufRead,
    octets: Vec<u8>,
}

impl<'r> Recording<'r> {
    pub(super) fn new(inner: &'r mut dyn BufRead) -> Recording<'r> {
        Recording { inner, octets: Vec::new() }
    }

    /// What was consumed.
    pub(super) fn into_octets(self) -> Vec<u8> {
        self.octets
    }
}

impl Read for Recording<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.octets.extend_from_slice(buf.get(..n).unwrap_or_default());
        Ok(n)
    }
}

impl BufRead for Recording<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        if let Ok(buffered) = self.inner.fill_buf() {
            self.octets.extend_from_slice(buffered.get(..amount).unwrap_or_default());
        }
        self.inner.consume(amount);
    }
}

/// MIME errors travel through readers as `io::Error`.
pub(super) fn mime_error(error: io::Error) -> OpenError {
    OpenError::Mime(MimeError::Io(error))
}

/// Reads to the end and forgets.
pub(super) fn drain(reader: &mut dyn BufRead) -> io::Result<()> {
    loop {
        let n = match reader.fill_buf() {
            Ok(buffered) => buffered.len(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if n == 0 {
            return Ok(());
        }
        reader.consume(n);
    }
}

/// Whether nothing but at most two line ends is left: several products append one to a CMS structure.
pub(super) fn at_end(reader: &mut dyn Read) -> io::Result<bool> {
    let mut rest = Vec::new();
    reader.take(5).read_to_end(&mut rest)?;
    Ok(rest.len() <= 4 && rest.iter().all(|byte| matches!(byte, b'\r' | b'\n')))
}
