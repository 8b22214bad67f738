//! Bodies: writing large ones as files, reading all of them.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sha2::{Digest, Sha256};

use super::Store;
use super::index::Location;
use super::record::Body;
use crate::ground::durable::{self, DirSync, NewFile};
use crate::ground::id::Id;
use crate::mime::Source;

/// Bytes from which on a body leaves the page cache once nobody is expected to read it again, and is published past it: a
/// copy and a page for each 4 KiB cost more than a write that waits for the disk.
pub(super) const PAST_CACHE_FROM: u64 = 256 * 1024;

/// The file of a body that is not in the journal.
pub(super) fn path(dir: &Path, id: &Id) -> PathBuf {
    dir.join(id.to_string())
}

/// Makes a file in the folder of temporary files, which is made again when somebody has removed it. The data folder is not:
/// if that is missing, its filesystem is.
pub(super) fn make_in<T>(temporary_dir: &Path, make: impl Fn() -> io::Result<T>) -> io::Result<T> {
    match make() {
        Err(error) if error.kind() == io::ErrorKind::NotFound && temporary_dir.parent().is_some_and(Path::is_dir) => {
            tracing::warn!(folder = %temporary_dir.display(), "the folder of temporary files was removed; it is made again");
            durable::create_dir_all(temporary_dir)?;
            make()
        }
        made => made,
    }
}

/// Writes a body of any size as a stream. Dropped before [`finish`](BodyWriter::finish), it leaves nothing behind;
/// finished but never named by a fact, it is swept at the next start.
#[derive(Debug)]
pub struct BodyWriter {
    file: NewFile,
    bodies: Arc<DirSync>,
    id: Id,
    seen: Seen,
}

/// What was written so far.
#[derive(Debug, Default)]
pub(super) struct Seen {
    len: u64,
    crc32c: u32,
    sha256: Digesting,
}

/// Who computes the digest.
#[derive(Debug)]
enum Digesting {
    /// The writer, as bytes come.
    Here(Sha256),
    /// Whoever writes; known at the end.
    Elsewhere(Option<[u8; 32]>),
    /// Nobody: the CRC-32C alone guards the bytes.
    Nobody,
}

impl Default for Digesting {
    fn default() -> Digesting {
        Digesting::Here(Sha256::new())
    }
}

impl Seen {
    /// The bytes that follow.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.len = self.len.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        self.crc32c = crc32c::crc32c_append(self.crc32c, bytes);
        if let Digesting::Here(sha256) = &mut self.sha256 {
            sha256.update(bytes);
        }
    }
}

impl BodyWriter {
    pub(super) fn new(temporary_dir: &Path, bodies: &Arc<DirSync>, id: Id) -> io::Result<BodyWriter> {
        let file = make_in(temporary_dir, || NewFile::create_in(temporary_dir).map_err(io::Error::from))?;
        Ok(BodyWriter::resumed(file, bodies, id, Seen::default()))
    }

    /// Goes on with a file that stays when this is dropped; its bytes were `seen`.
    pub(super) fn resumed(file: NewFile, bodies: &Arc<DirSync>, id: Id, seen: Seen) -> BodyWriter {
        BodyWriter { file, bodies: bodies.clone(), id, seen }
    }

    /// Makes the bytes durable: when this returns, a fact may name them.
    ///
    /// # Errors
    /// Any failure of the disk; the bytes are removed.
    pub fn finish(self) -> io::Result<Body> {
        let sha256 = match self.seen.sha256 {
            Digesting::Here(sha256) => Some(sha256.finalize().into()),
            Digesting::Elsewhere(None) => return Err(io::Error::other("a body without its digest")),
            Digesting::Elsewhere(given) => given,
            Digesting::Nobody => None,
        };
        self.file.place(&self.bodies, &self.id.to_string())?;
        Ok(Body { id: self.id, len: self.seen.len, sha256, crc32c: Some(self.seen.crc32c) })
    }

    /// Leaves the digest to whoever writes the bytes, who must give it by [`with_digest`](BodyWriter::with_digest).
    pub(super) fn without_digest(self) -> BodyWriter {
        BodyWriter { seen: Seen { sha256: Digesting::Elsewhere(None), ..self.seen }, ..self }
    }

    /// The SHA-256 of everything that was written.
    pub(super) fn with_digest(self, sha256: [u8; 32]) -> BodyWriter {
        BodyWriter { seen: Seen { sha256: Digesting::Elsewhere(Some(sha256)), ..self.seen }, ..self }
    }

    /// Does without a digest, see [`Body::sha256`].
    pub(super) fn undigested(self) -> BodyWriter {
        BodyWriter { seen: Seen { sha256: Digesting::Nobody, ..self.seen }, ..self }
    }

    /// [`finish`](BodyWriter::finish) with a guard that removes the file again unless a fact comes to name it.
    ///
    /// # Errors
    /// As [`finish`](BodyWriter::finish).
    pub(super) fn finish_guarded(self) -> io::Result<Finished> {
        let path = path(self.bodies.dir(), &self.id);
        let body = self.finish()?;
        Ok(Finished(Arc::new(Unnamed { body, path, named: AtomicBool::new(false) })))
    }
}

/// A large body, durable in a file of its own, that no fact names yet. When the last clone is dropped before a commit
/// has named it, the file is removed. A commit whose outcome is unknown keeps it: the next start sweeps it, or finds
/// its fact.
#[derive(Debug, Clone)]
pub struct Finished(Arc<Unnamed>);

#[derive(Debug)]
struct Unnamed {
    body: Body,
    path: PathBuf,
    named: AtomicBool,
}

impl Finished {
    /// The body that a fact may name.
    pub fn body(&self) -> &Body {
        &self.0.body
    }

    /// The file stays.
    pub(super) fn keep(&self) {
        self.0.named.store(true, Ordering::Release);
    }
}

impl Drop for Unnamed {
    fn drop(&mut self) {
        if self.named.load(Ordering::Acquire) {
            return;
        }
        // One left behind is swept at the next start, so the removal need not be durable.
        if let Err(error) = durable::remove_unsynced(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "an unused body could not be removed before the next start");
        }
    }
}

impl Write for BodyWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.seen.update(bytes.get(..written).unwrap_or(bytes));
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A stored body that can be read again and again.
#[derive(Debug, Clone)]
pub struct StoredBody {
    pub(super) store: Store,
    pub(super) body: Body,
}

impl Source for StoredBody {
    fn len(&self) -> u64 {
        self.body.len
    }

    fn open(&self) -> io::Result<Box<dyn Read + Send + '_>> {
        self.store.read(&self.body)
    }
}

impl Store {
    /// The bytes of a body as a stream (blocking I/O). The last of them come only if all are those that were stored, so
    /// who reads to the end has the true bytes or an error.
    ///
    /// # Errors
    /// The store does not have the body, or not with this length; any failure of the disk.
    pub fn read(&self, body: &Body) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(self.open_body(body)?))
    }

    /// [`read`](Store::read) for those behind whom nobody is expected to read a body again: what they have read of a long
    /// one leaves the page cache, for the next message instead of somebody else's file.
    ///
    /// # Errors
    /// As [`read`](Store::read).
    pub fn read_last(&self, body: &Body) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(self.open_body(body)?.leaving_cache()))
    }

    /// The bytes of a body, checked against its digest, if they are at most `max`.
    ///
    /// # Errors
    /// As [`read`](Store::read); [`io::ErrorKind::FileTooLarge`]; [`io::ErrorKind::InvalidData`] when the bytes on
    /// disk are not those that were stored.
    pub fn read_all(&self, body: &Body, max: u64) -> io::Result<Vec<u8>> {
        read_whole(self.read(body)?, body, max)
    }

    /// [`read_all`](Store::read_all) as [`read_last`](Store::read_last) reads.
    ///
    /// # Errors
    /// As [`read_all`](Store::read_all).
    pub fn read_all_last(&self, body: &Body, max: u64) -> io::Result<Vec<u8>> {
        read_whole(self.read_last(body)?, body, max)
    }

    /// Nobody is expected to read a body again: a long one leaves the page cache. Nothing hangs on it.
    pub fn let_go(&self, body: &Body) {
        if body.len >= PAST_CACHE_FROM
            && let Ok(mut opened) = self.open_body(body)
        {
            opened.left = 0;
            opened.leaving_cache().leave_cache();
        }
    }

    /// A body as something that can be read again and again.
    pub fn source(&self, body: &Body) -> StoredBody {
        StoredBody { store: self.clone(), body: *body }
    }

    fn open_body(&self, body: &Body) -> io::Result<Checked> {
        // A finished file that no fact names yet is not in the index.
        let place = || {
            let known = self.0.index.body(&body.id).map(|known| known.unwrap_or(Location::File));
            known.map_err(|error| self.index_failed(error))
        };
        let location = place()?;
        let open = |location| open(location, body, &self.0.layout.journal, &self.0.layout.bodies);
        match open(location) {
            // Its segment was compacted away between the two looks.
            Err(error) if error.kind() == io::ErrorKind::NotFound => match place()? {
                elsewhere if elsewhere != location => open(elsewhere),
                _ => Err(error),
            },
            opened => opened,
        }
    }
}

fn open(location: Location, body: &Body, journal: &Path, bodies: &Path) -> io::Result<Checked> {
    let (path, offset, len) = match location {
        Location::Journal { segment, offset, len } => (super::journal::segment_path(journal, segment), offset, len),
        Location::File => {
            let path = path(bodies, &body.id);
            let len = std::fs::metadata(&path).map_err(|error| at(&path, error))?.len();
            (path, 0, len)
        }
    };
    if len != body.len {
        let id = body.id;
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("body {id} does not have its length")));
    }
    let mut file = File::open(&path).map_err(|error| at(&path, error))?;
    file.seek(SeekFrom::Start(offset)).map_err(|error| at(&path, error))?;
    Ok(Checked::new(file, offset, body))
}

/// A body's bytes. The last of them are handed out only if all are those that were stored: whoever copies to the end
/// has the true bytes or an error. A body is read several times on its way, so what is looked for is damage done by
/// the disk, by CRC-32C, at a tenth of the cost of SHA-256; evidence is verified by SHA-256 in [`verify`](super::verify).
struct Checked {
    file: File,
    /// Where in the file the body ends.
    end: u64,
    left: u64,
    read: Check,
    body: Body,
    /// From where on it is still in the page cache, when it shall leave it.
    cached: Option<u64>,
}

/// Bytes read after which those leave the page cache that shall.
const LEAVING: u64 = 8 * 1024 * 1024;
/// The longest piece of a file that Linux keeps whole: one that goes on past a range stays although the range leaves, so the
/// next range begins this much earlier.
const LONGEST_FOLIO: u64 = 2 * 1024 * 1024;

/// What was read so far.
enum Check {
    Crc32c { read: u32, stored: u32 },
    Sha256(Sha256),
}

impl Checked {
    /// A body that begins at `start` in a file, which is read from there on.
    fn new(file: File, start: u64, body: &Body) -> Checked {
        let read = match body.crc32c {
            Some(stored) => Check::Crc32c { read: 0, stored },
            None => Check::Sha256(Sha256::new()),
        };
        Checked { file, end: start.saturating_add(body.len), left: body.len, read, body: *body, cached: None }
    }

    fn leaving_cache(self) -> Checked {
        let start = self.end.saturating_sub(self.body.len);
        Checked { cached: (self.body.len >= PAST_CACHE_FROM).then_some(start), ..self }
    }

    /// What was read leaves the page cache, if it shall.
    fn leave_cache(&mut self) {
        let read = self.end.saturating_sub(self.left);
        let Some(from) = self.cached else { return };
        let len = read.saturating_sub(from);
        if len >= LEAVING || self.left == 0 {
            durable::leave_cache(&self.file, from, len);
            self.cached = Some(from.max(read.saturating_sub(LONGEST_FOLIO)));
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        self.left = self.left.saturating_sub(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        match &mut self.read {
            Check::Crc32c { read, .. } => *read = crc32c::crc32c_append(*read, bytes),
            Check::Sha256(sha256) => sha256.update(bytes),
        }
    }

    fn holds(&mut self) -> bool {
        match &mut self.read {
            Check::Crc32c { read, stored } => read == stored,
            Check::Sha256(sha256) => Some(sha256.finalize_reset().into()) == self.body.sha256,
        }
    }
}

impl Read for Checked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let Some(wanted) = buffer.get_mut(..wanted).filter(|wanted| !wanted.is_empty()) else { return Ok(0) };
        let read = self.file.read(wanted)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.update(wanted.get(..read).unwrap_or_default());
        if self.left == 0 && !self.holds() {
            let id = self.body.id;
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("body {id} has been damaged on disk")));
        }
        self.leave_cache();
        Ok(read)
    }
}

/// Whether a file holds exactly a body's bytes; nobody is expected to read it again.
pub(super) fn holds(file: File, body: &Body) -> io::Result<bool> {
    if file.metadata()?.len() != body.len {
        return Ok(false);
    }
    let mut checked = Checked::new(file, 0, body).leaving_cache();
    match io::copy(&mut checked, &mut io::sink()) {
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(false),
        copied => copied.map(|_| true),
    }
}

/// Reads a body whole.
pub(super) fn read_whole(mut input: Box<dyn Read + Send>, body: &Body, max: u64) -> io::Result<Vec<u8>> {
    if body.len > max {
        let (id, len) = (body.id, body.len);
        let text = format!("body {id} has {len} bytes, more than the {max} that are wanted");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    // One byte more, so that the end shows without another allocation.
    let room = usize::try_from(body.len.saturating_add(1)).unwrap_or(0);
    let mut bytes = Vec::with_capacity(room);
    input.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn at(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
