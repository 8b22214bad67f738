//! Writing an envelope: definite-length DER whose size is known before the first byte.

use std::io::{self, Write};

use openssl::cipher_ctx::CipherCtx;
use openssl::error::ErrorStack;
use openssl::pkey::{PKeyRef, Public};
use openssl::pkey_ctx::PkeyCtx;
use openssl::rsa::Padding;
use zeroize::Zeroizing;

use super::{CHUNK, TAG_LEN};
use crate::cms::{Certificate, CmsError, ContentCipher, KeyTransport, der, oid};
use crate::ground::random;
use crate::ground::secret::Secret;

/// Most bytes one GCM key and nonce may encrypt (NIST SP 800-38D 5.2.1.1).
const GCM_MAX: u64 = (1 << 36) - 32;

/// Someone who shall be able to decrypt.
#[derive(Debug, Clone)]
pub struct Recipient {
    /// Holds the RSA key and names the recipient by issuer and serial.
    pub certificate: Certificate,
    /// How the content key is encrypted for it.
    pub transport: KeyTransport,
}

/// Encrypts what is written to it and passes the envelope on to `W`.
pub struct EnvelopeWriter<W: Write> {
    out: W,
    context: CipherCtx,
    cipher: ContentCipher,
    left: u64,
    buffer: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
}

impl<W: Write> EnvelopeWriter<W> {
    /// Writes the head of the envelope with a fresh key and nonce; exactly `content_len` bytes must follow.
    ///
    /// # Errors
    /// [`CmsError::UnusableKey`] when there is no recipient or one has no RSA key of 2048 to 8192 bits,
    /// [`CmsError::ContentLength`] when the content is too large for the cipher, [`CmsError::Primitive`],
    /// [`CmsError::Io`].
    pub fn new(
        mut out: W,
        recipients: &[Recipient],
        cipher: ContentCipher,
        content_len: u64,
    ) -> Result<Self, CmsError> {
        let mut key = Zeroizing::new(vec![0u8; cipher.key_len()]);
        let mut nonce = vec![0u8; cipher.nonce_len()];
        random::fill(&mut key);
        random::fill(&mut nonce);
        let encrypted: Result<Vec<_>, _> = recipients.iter().map(|one| encrypt_key(one, &key)).collect();
        let layout = Layout::new(recipients, &encrypted?, cipher, &nonce, content_len)?;
        let mut context = CipherCtx::new()?;
        context.encrypt_init(Some(cipher.cipher()), Some(&key), Some(&nonce))?;
        out.write_all(&layout.head).map_err(CmsError::from)?;
        Ok(EnvelopeWriter { out, context, cipher, left: content_len, buffer: vec![0; CHUNK + 2 * TAG_LEN], key })
    }

    /// The content key: whoever keeps it can open this one envelope again, without anybody's private key.
    pub fn content_key(&self) -> Secret<Vec<u8>> {
        Secret::new(self.key.to_vec())
    }

    /// Writes the last block or the tag. `W` is not flushed.
    ///
    /// # Errors
    /// [`CmsError::ContentLength`] when fewer bytes were written than announced, [`CmsError::Io`].
    pub fn finish(mut self) -> Result<W, CmsError> {
        if self.left != 0 {
            return Err(CmsError::ContentLength);
        }
        let n = self.context.cipher_final(&mut self.buffer)?;
        self.out.write_all(self.buffer.get(..n).unwrap_or_default())?;
        if self.cipher.is_aead() {
            let mut tag = [0u8; TAG_LEN];
            self.context.tag(&mut tag)?;
            self.out.write_all(&der::tlv(der::OCTET_STRING, &tag))?;
        }
        Ok(self.out)
    }
}

impl<W: Write> Write for EnvelopeWriter<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let chunk = buf.get(..CHUNK).unwrap_or(buf);
        let left = self.left.checked_sub(chunk.len() as u64).ok_or(CmsError::ContentLength)?;
        let n = self.context.cipher_update(chunk, Some(&mut self.buffer)).map_err(CmsError::from)?;
        self.out.write_all(self.buffer.get(..n).unwrap_or_default())?;
        self.left = left;
        Ok(chunk.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Bytes of the whole envelope of a content of `content_len` bytes.
///
/// # Errors
/// As [`EnvelopeWriter::new`].
pub fn wire_len(recipients: &[Recipient], cipher: ContentCipher, content_len: u64) -> Result<u64, CmsError> {
    let keys: Result<Vec<_>, _> = recipients.iter().map(|one| Ok(vec![0; rsa_key(one)?.size()])).collect();
    let keys = keys.map_err(|error: CmsError| error)?;
    Ok(Layout::new(recipients, &keys, cipher, &vec![0; cipher.nonce_len()], content_len)?.total)
}

/// Everything before the ciphertext, and the size of everything.
struct Layout {
    head: Vec<u8>,
    total: u64,
}

impl Layout {
    fn new(
        recipients: &[Recipient],
        encrypted_keys: &[Vec<u8>],
        cipher: ContentCipher,
        nonce: &[u8],
        content_len: u64,
    ) -> Result<Layout, CmsError> {
        if recipients.is_empty() {
            return Err(CmsError::UnusableKey("no recipient"));
        }
        let infos = recipients.iter().zip(encrypted_keys).map(|(recipient, key)| recipient_info(recipient, key));
        let infos = der::set_of(infos.collect());
        let (kind, encrypted_len, tail) = if cipher.is_aead() {
            (oid::AUTH_ENVELOPED_DATA, Some(content_len).filter(|len| *len <= GCM_MAX), TAG_LEN as u64 + 2)
        } else {
            (oid::ENVELOPED_DATA, (content_len / 16).checked_add(1).and_then(|blocks| blocks.checked_mul(16)), 0)
        };
        let encrypted_len = encrypted_len.ok_or(CmsError::ContentLength)?;
        // From the inside out; what follows the head is the ciphertext and, for GCM, the tag.
        let mut layout = Layout { head: Vec::new(), total: encrypted_len };
        layout.wrap(der::context(0), &[])?;
        layout.prepend(&[&der::object_identifier(oid::DATA), &cipher.identifier(nonce)]);
        layout.wrap(der::SEQUENCE, &[])?;
        layout.total = layout.total.checked_add(tail).ok_or(CmsError::ContentLength)?;
        layout.wrap(der::SEQUENCE, &[&der::integer(0), &infos])?;
        layout.wrap(der::context_constructed(0), &[])?;
        layout.wrap(der::SEQUENCE, &[&der::object_identifier(kind)])?;
        Ok(layout)
    }

    /// Puts `before` in front and a tag with the length of all around it.
    fn wrap(&mut self, tag: u8, before: &[&[u8]]) -> Result<(), CmsError> {
        self.prepend(before);
        if self.total > u64::MAX / 2 {
            return Err(CmsError::ContentLength);
        }
        let header = der::header(tag, self.total);
        self.prepend(&[&header]);
        Ok(())
    }

    fn prepend(&mut self, before: &[&[u8]]) {
        let mut head = before.concat();
        self.total = self.total.saturating_add(head.len() as u64);
        head.append(&mut self.head);
        self.head = head;
    }
}

/// KeyTransRecipientInfo, version 0 (RFC 5652 6.2.1).
fn recipient_info(recipient: &Recipient, encrypted_key: &[u8]) -> Vec<u8> {
    der::sequence(&[
        &der::integer(0),
        &recipient.certificate.issuer_and_serial(),
        &recipient.transport.identifier(),
        &der::tlv(der::OCTET_STRING, encrypted_key),
    ])
}

fn rsa_key(recipient: &Recipient) -> Result<&PKeyRef<Public>, CmsError> {
    recipient.certificate.rsa_key().ok_or(CmsError::UnusableKey("RSA, 2048-8192 bit, e >= 65537"))
}

fn encrypt_key(recipient: &Recipient, key: &[u8]) -> Result<Vec<u8>, CmsError> {
    let public = rsa_key(recipient)?;
    let encrypt = || -> Result<Vec<u8>, ErrorStack> {
        let mut context = PkeyCtx::new(public)?;
        context.encrypt_init()?;
        match recipient.transport.oaep_digest() {
            None => context.set_rsa_padding(Padding::PKCS1)?,
            Some(digest) => {
                context.set_rsa_padding(Padding::PKCS1_OAEP)?;
                context.set_rsa_oaep_md(digest.md())?;
                context.set_rsa_mgf1_md(digest.md())?;
            }
        }
        let mut encrypted = Vec::new();
        context.encrypt_to_vec(key, &mut encrypted)?;
        Ok(encrypted)
    };
    Ok(encrypt()?)
}
