//! EnvelopedData
use super::{Certificate, CmsError, ContentCipher, DecryptionKey, KeyTransport};
use crate::ground::limits::Limits;
use std::io::{self, Read, Write};
/// Someone who shall be able to decrypt.
#[derive(Debug, Clone)]
pub struct Recipient {
    /// Holds the RSA key.
    pub certificate: Certificate,
    /// How the content key is encrypted for it.
    pub transport: KeyTransport,
}
/// The two kinds of envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnvelopeKind {
    /// EnvelopedData with a CBC cipher: not authenticated, failures must look uniform.
    Cbc,
    /// AuthEnvelopedData with GCM.
    Gcm,
}
/// Encrypts what is written to it.
pub struct EnvelopeWriter<W: Write> {
    out: W,
}
impl<W: Write> EnvelopeWriter<W> {
    /// Writes the head of the envelope; `content_len` bytes must follow.
    pub fn new(out: W, recipients: &[Recipient], cipher: ContentCipher, content_len: u64) -> Result<Self, CmsError> {
        let _ = (out, recipients, cipher, content_len);
        unimplemented!()
    }
    /// Writes the end.
    pub fn finish(self) -> Result<W, CmsError> {
        let _ = self.out;
        unimplemented!()
    }
}
impl<W: Write> Write for EnvelopeWriter<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let _ = buf;
        unimplemented!()
    }
    fn flush(&mut self) -> io::Result<()> {
        unimplemented!()
    }
}
/// Bytes of the whole envelope for a content of `content_len` bytes.
pub fn wire_len(recipients: &[Recipient], cipher: ContentCipher, content_len: u64) -> Result<u64, CmsError> {
    let _ = (recipients, cipher, content_len);
    unimplemented!()
}
/// Reads the plaintext of an envelope.
pub struct EnvelopeReader<R: Read> {
    r: R,
}
impl<R: Read> EnvelopeReader<R> {
    /// Reads the head and prepares the one RSA operation's result.
    pub fn open(r: R, keys: &[DecryptionKey], allowed: &[ContentCipher], limits: &Limits) -> Result<Self, CmsError> {
        let _ = (r, keys, allowed, limits);
        unimplemented!()
    }
    /// Cbc or Gcm.
    pub fn kind(&self) -> EnvelopeKind {
        let _ = &self.r;
        unimplemented!()
    }
    /// The content cipher.
    pub fn cipher(&self) -> ContentCipher {
        unimplemented!()
    }
    /// The key transport.
    pub fn transport(&self) -> KeyTransport {
        unimplemented!()
    }
}
impl<R: Read> Read for EnvelopeReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let _ = buf;
        unimplemented!()
    }
}
