//! Small readers that [`layers`](super::layers) puts between the layers.

use std::io::{self, BufRead, Read, Write};

use crate::cms::MultiHasher;

/// How much is read at once between two layers.
pub(super) const BUFFER: usize = 64 * 1024;

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
