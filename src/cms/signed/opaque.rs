//! SignedData with its content inside (RFC 8551 3.5.2): rare in AS2, read as a stream.

use std::io::{self, Read};

use super::uncovered::Uncovered;
use super::{SignatureError, SignatureValid, close_signed_data, open_signed_data};
use crate::cms::ber::BerReader;
use crate::cms::{Certificate, DigestAlgorithm, MultiHasher, der};
use crate::ground::limits::Limits;

/// Reads eContent; nothing it yields may be used before [`finish`](OpaqueReader::finish) said yes.
pub struct OpaqueReader<R: Read> {
    ber: BerReader<R>,
    limits: Limits,
    hasher: MultiHasher,
    first_byte: Option<u8>,
    ended: bool,
    /// In front of the content are octets that could be others.
    foreign: bool,
}

impl<R: Read> OpaqueReader<R> {
    /// Reads up to the content. Digests are computed as the message announces them, SHA-1, MD5 and SM3 never.
    ///
    /// # Errors
    /// [`SignatureError::ContentAbsent`] for a detached signature, [`SignatureError::Malformed`].
    pub fn open(input: R, limits: &Limits) -> Result<Self, SignatureError> {
        OpaqueReader::open_allowing(input, &[], limits)
    }

    /// The same; `more` digests (SHA-1, MD5, SM3) are computed as well when the message announces them.
    ///
    /// # Errors
    /// As [`open`](OpaqueReader::open).
    pub fn open_allowing(input: R, more: &[DigestAlgorithm], limits: &Limits) -> Result<Self, SignatureError> {
        let mut ber = BerReader::new(input, limits);
        let mut head = open_signed_data(&mut ber, limits)?;
        if !head.has_content {
            return Err(SignatureError::ContentAbsent);
        }
        ber.enter_octets(der::OCTET_STRING)?;
        head.digests.retain(|digest| DigestAlgorithm::STANDARD.contains(digest) || more.contains(digest));
        let hasher = MultiHasher::new(&head.digests);
        let foreign = head.foreign;
        Ok(OpaqueReader { ber, limits: *limits, hasher, first_byte: None, ended: false, foreign })
    }

    /// Reads what is left of the content and verifies the signature over all of it.
    ///
    /// # Errors
    /// [`SignatureError`]; see the module text of `signed`.
    pub fn finish(self, trusted: &[Certificate]) -> Result<SignatureValid, SignatureError> {
        self.close(trusted, Uncovered::passed_over())
    }

    /// The same, and finds out whether the structure [is pinned](SignatureValid::is_pinned).
    ///
    /// # Errors
    /// As [`finish`](OpaqueReader::finish).
    pub fn finish_pinned(
        self,
        trusted: &[Certificate],
        known: &[Certificate],
    ) -> Result<SignatureValid, SignatureError> {
        let uncovered = Uncovered::looked_at(self.foreign).beside(known);
        self.close(trusted, uncovered)
    }

    fn close(mut self, trusted: &[Certificate], uncovered: Uncovered) -> Result<SignatureValid, SignatureError> {
        let mut rest = [0u8; 8192];
        while self.read_content(&mut rest)? > 0 {}
        self.ber.leave()?;
        self.ber.leave()?;
        let signer = close_signed_data(&mut self.ber, &self.limits, uncovered)?;
        if !signer.has_attributes() && self.first_byte == Some(der::SET) {
            return Err(SignatureError::Attributes("attributes presented as content"));
        }
        signer.verify(&self.hasher.finish(), trusted)
    }

    fn read_content(&mut self, buf: &mut [u8]) -> Result<usize, SignatureError> {
        if self.ended {
            return Ok(0);
        }
        let n = self.ber.read_octets(buf)?;
        let bytes = buf.get(..n).unwrap_or_default();
        self.first_byte = self.first_byte.or(bytes.first().copied());
        self.hasher.update(bytes);
        self.ended = n == 0 && !buf.is_empty();
        Ok(n)
    }
}

impl<R: Read> Read for OpaqueReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.read_content(buf)?)
    }
}
