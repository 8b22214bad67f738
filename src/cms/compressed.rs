//! CompressedData (RFC 3274) with zlib, as AS2 uses it (RFC 5402).
//!
//! Deflate can grow a thousandfold, so the reader counts: what comes out may be neither larger than `Limits::payload`
//! nor, once `Limits::inflate_free` bytes came out, more than `Limits::inflate_ratio` times what went in.

use std::io::{self, BufWriter, Read, Write};

use flate2::write::ZlibEncoder;
use flate2::{Compression, Decompress, FlushDecompress, Status};

use super::algorithm::is_null;
use super::ber::BerReader;
use super::der::{self, Fields};
use super::{CmsError, oid};
use crate::ground::limits::Limits;
use crate::mime::{BytesSource, Scratch, Source};

/// Bytes read at a time.
const CHUNK: usize = 32 * 1024;

/// The whole DER CompressedData of a source, deflated into `scratch`.
///
/// # Errors
/// [`CmsError::Io`].
pub fn compress(source: &dyn Source, scratch: &dyn Scratch) -> Result<Box<dyn Source>, CmsError> {
    let mut encoder = ZlibEncoder::new(scratch.create()?, Compression::default());
    let mut input = source.open()?;
    let mut buffered = BufWriter::with_capacity(CHUNK, &mut encoder);
    io::copy(&mut input, &mut buffered)?;
    buffered.flush()?;
    drop(buffered);
    let mut deflated = encoder.finish()?;
    deflated.flush()?;
    let deflated = deflated.into_source()?;
    Ok(Box::new(Compressed { head: BytesSource(head(deflated.len())), deflated }))
}

/// Everything before the deflated bytes; nothing follows them.
fn head(deflated_len: u64) -> Vec<u8> {
    let mut head = Vec::new();
    wrap(&mut head, der::OCTET_STRING, deflated_len, &[]);
    wrap(&mut head, der::context_constructed(0), deflated_len, &[]);
    wrap(&mut head, der::SEQUENCE, deflated_len, &der::object_identifier(oid::DATA));
    let zlib = der::sequence(&[&der::object_identifier(oid::ZLIB)]);
    wrap(&mut head, der::SEQUENCE, deflated_len, &[der::integer(0), zlib].concat());
    wrap(&mut head, der::context_constructed(0), deflated_len, &[]);
    wrap(&mut head, der::SEQUENCE, deflated_len, &der::object_identifier(oid::COMPRESSED_DATA));
    head
}

/// Puts `before` in front of `head` and a header around both and the `tail` bytes that follow.
fn wrap(head: &mut Vec<u8>, tag: u8, tail: u64, before: &[u8]) {
    let content = [before, head].concat();
    let len = (content.len() as u64).saturating_add(tail);
    *head = [der::header(tag, len), content].concat();
}

struct Compressed {
    head: BytesSource<Vec<u8>>,
    deflated: Box<dyn Source>,
}

impl Source for Compressed {
    fn len(&self) -> u64 {
        self.head.len().saturating_add(self.deflated.len())
    }

    fn open(&self) -> io::Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(self.head.open()?.chain(self.deflated.open()?)))
    }
}

/// Reads the content of CompressedData. Errors come as `io::Error` and turn back into [`CmsError`] by `From`.
pub struct InflateReader<R: Read> {
    ber: BerReader<R>,
    inflate: Decompress,
    input: Vec<u8>,
    taken: usize,
    filled: usize,
    ended: bool,
    limits: Limits,
    pinned: bool,
}

impl<R: Read> InflateReader<R> {
    /// Reads up to the compressed content (BER or DER).
    ///
    /// # Errors
    /// [`CmsError::WrongContentType`], [`CmsError::Malformed`], [`CmsError::Io`].
    pub fn open(input: R, limits: &Limits) -> Result<Self, CmsError> {
        let mut ber = BerReader::new(input, limits);
        ber.enter(der::SEQUENCE)?;
        expect_oid(&ber.value()?, oid::COMPRESSED_DATA)?;
        ber.enter(der::context_constructed(0))?;
        ber.enter(der::SEQUENCE)?;
        let version = ber.value()?;
        let version = Fields::only(&version, der::INTEGER)?;
        let algorithm = ber.value()?;
        let mut algorithm = Fields::only(&algorithm, der::SEQUENCE)?.fields();
        if algorithm.expect(der::OID)?.content != oid::ZLIB {
            return Err(CmsError::Malformed("unknown compression"));
        }
        let without_parameters = match algorithm.take() {
            Ok(None) => true,
            Ok(Some(parameters)) => is_null(&parameters) && algorithm.is_empty(),
            Err(_) => false,
        };
        let pinned = version.content.len() == 1 && without_parameters;
        ber.enter(der::SEQUENCE)?;
        expect_oid(&ber.value()?, oid::DATA)?;
        ber.enter(der::context_constructed(0))?;
        ber.enter_octets(der::OCTET_STRING)?;
        Ok(InflateReader {
            ber,
            inflate: Decompress::new(true),
            input: vec![0; CHUNK],
            taken: 0,
            filled: 0,
            ended: false,
            limits: *limits,
            pinned,
        })
    }

    /// Nothing around the content could be of another length: the version is one octet, and zlib has no parameters but NULL. What
    /// else is there (`signed::uncovered` says what that means) has one form, or is the content, which its checksum covers (but for
    /// blocks of deflate that put out nothing).
    pub fn is_pinned(&self) -> bool {
        self.pinned
    }

    fn inflate(&mut self, buf: &mut [u8]) -> Result<usize, CmsError> {
        while !self.ended && !buf.is_empty() {
            if self.taken == self.filled {
                self.filled = self.ber.read_octets(&mut self.input)?;
                self.taken = 0;
            }
            let input = self.input.get(self.taken..self.filled).unwrap_or_default();
            let at_end = input.is_empty();
            let (before_in, before_out) = (self.inflate.total_in(), self.inflate.total_out());
            let status = self.inflate.decompress(input, buf, FlushDecompress::None).map_err(|_| CmsError::Inflate)?;
            let consumed = self.inflate.total_in().saturating_sub(before_in);
            let produced = self.inflate.total_out().saturating_sub(before_out);
            self.taken = self.taken.saturating_add(usize::try_from(consumed).unwrap_or(usize::MAX));
            self.check_limits()?;
            if status == Status::StreamEnd {
                self.close()?;
            } else if at_end && produced == 0 {
                return Err(CmsError::Inflate);
            }
            if produced > 0 {
                return Ok(usize::try_from(produced).unwrap_or(usize::MAX));
            }
        }
        Ok(0)
    }

    fn check_limits(&self) -> Result<(), CmsError> {
        let (consumed, produced) = (self.inflate.total_in(), self.inflate.total_out());
        let too_dense =
            produced > self.limits.inflate_free && produced > consumed.saturating_mul(self.limits.inflate_ratio);
        if produced > self.limits.payload || too_dense { Err(CmsError::InflateLimit) } else { Ok(()) }
    }

    /// Demands that the structure ends with the zlib stream.
    fn close(&mut self) -> Result<(), CmsError> {
        let mut probe = [0u8; 1];
        if self.taken != self.filled || self.ber.read_octets(&mut probe)? != 0 {
            return Err(CmsError::Malformed("bytes after the compressed content"));
        }
        for _ in 0..5 {
            self.ber.leave()?;
        }
        self.ber.end()?;
        self.ended = true;
        Ok(())
    }
}

impl<R: Read> Read for InflateReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.inflate(buf)?)
    }
}

fn expect_oid(value: &[u8], expected: &[u8]) -> Result<(), CmsError> {
    if Fields::only(value, der::OID)?.content == expected { Ok(()) } else { Err(CmsError::WrongContentType) }
}

#[cfg(test)]
#[path = "compressed_tests.rs"]
mod tests;
