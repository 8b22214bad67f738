//! Multiparts.
use super::{Headers, MimeError};
use crate::ground::limits::Limits;
use std::io::{self, BufRead, Read};
use std::ops::Range;

/// One part of a small multipart; ranges count from the start of the body given to [`parts`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its header fields.
    pub headers: Headers,
    /// Header block including the blank line.
    pub head_range: Range<usize>,
    /// Body as encoded, without the line break that belongs to the next delimiter.
    pub body_range: Range<usize>,
}
/// The direct parts of a multipart held in memory (an MDN); `headers` gives the Content-Type.
pub fn parts(headers: &Headers, body: &[u8], limits: &Limits) -> Result<Vec<Part>, MimeError> {
    let _ = (headers, body, limits);
    unimplemented!()
}

/// Streaming splitter of `multipart/signed`.
pub struct SignedParts<R: BufRead> {
    r: R,
}
impl<R: BufRead> SignedParts<R> {
    /// Starts before the preamble.
    pub fn new(r: R, boundary: &str, limits: &Limits) -> Result<Self, MimeError> {
        let _ = (r, boundary, limits);
        unimplemented!()
    }
    /// Reads the exact octets of the first part; errors are [`MimeError`] inside `io::Error`.
    pub fn first_part(&mut self) -> FirstPart<'_, R> {
        FirstPart(self)
    }
    /// Head and body of the second part (skips what is left of the first).
    pub fn second_part(&mut self) -> Result<(Headers, Vec<u8>), MimeError> {
        unimplemented!()
    }
    /// Demands that nothing but an epilogue follows.
    pub fn finish(self) -> Result<(), MimeError> {
        let _ = self.r;
        unimplemented!()
    }
}
/// Reader of the first part.
pub struct FirstPart<'a, R: BufRead>(&'a mut SignedParts<R>);
impl<R: BufRead> Read for FirstPart<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let _ = (buf, &self.0);
        unimplemented!()
    }
}
