//! Reading an envelope. The rules are in the module text of `enveloped`.

use std::io::{self, Read};

use openssl::cipher_ctx::CipherCtx;
use zeroize::{Zeroizing, optimization_barrier};

use super::content_key::content_key;
use super::recipients::read_recipients;
use super::{CHUNK, TAG_LEN, chunk_for};
use crate::cms::ber::BerReader;
use crate::cms::der::{self, Fields};
use crate::cms::{CmsError, ContentCipher, DecryptionKey, Fingerprint, KeyTransport, oid};
use crate::ground::limits::Limits;
use crate::ground::secret::Secret;

/// The two kinds of protection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnvelopeKind {
    /// A CBC cipher: not authenticated, so failures after opening must look alike to the partner.
    Cbc,
    /// A GCM cipher: an end without error proves that the plaintext is the sender's.
    Gcm,
}

/// What an envelope may be.
#[derive(Debug, Clone, Copy)]
pub struct Allowed<'a> {
    /// The content ciphers.
    pub ciphers: &'a [ContentCipher],
    /// GCM ciphers may stand in EnvelopedData too, with the tag behind the ciphertext and a bare nonce as parameters.
    pub gcm_in_enveloped: bool,
}

/// These ciphers, each in its own kind of envelope.
impl<'a> From<&'a [ContentCipher]> for Allowed<'a> {
    fn from(ciphers: &'a [ContentCipher]) -> Allowed<'a> {
        Allowed { ciphers, gcm_in_enveloped: false }
    }
}

impl<'a, const N: usize> From<&'a [ContentCipher; N]> for Allowed<'a> {
    fn from(ciphers: &'a [ContentCipher; N]) -> Allowed<'a> {
        Allowed::from(ciphers.as_slice())
    }
}

/// The two structures.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Structure {
    Enveloped,
    AuthEnveloped,
}

/// Reads the plaintext of an envelope. Errors come as `io::Error` and turn back into [`CmsError`] by `From`.
pub struct EnvelopeReader<R: Read> {
    ber: BerReader<R>,
    context: CipherCtx,
    cipher: ContentCipher,
    structure: Structure,
    opened_by: OpenedBy,
    content_key: Zeroizing<Vec<u8>>,
    encrypted: Vec<u8>,
    /// Bytes at the start of `encrypted` that are kept back because they may be the tag.
    held: usize,
    plain: Vec<u8>,
    taken: usize,
    filled: usize,
    state: State,
}

/// Whose key opened the envelope.
enum OpenedBy {
    Recipient(Fingerprint, KeyTransport),
    ContentKey,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Flowing,
    Ended,
    Failed,
}

impl<R: Read> EnvelopeReader<R> {
    /// Reads the head (BER or DER), chooses the recipient entry and recovers the content key, or a random one.
    ///
    /// # Errors
    /// Before any key is used: [`CmsError::Malformed`], [`CmsError::WrongContentType`], [`CmsError::UnknownCipher`],
    /// [`CmsError::CipherMisplaced`], [`CmsError::CipherNotAllowed`], [`CmsError::NotForUs`],
    /// [`CmsError::UnknownKeyTransport`], [`CmsError::KeyTransportNotAllowed`], [`CmsError::CipherUnavailable`],
    /// [`CmsError::Primitive`]; [`CmsError::Io`]. A wrong key is not noticed here.
    pub fn open<'a>(
        input: R,
        keys: &[DecryptionKey],
        allowed: impl Into<Allowed<'a>>,
        limits: &Limits,
    ) -> Result<Self, CmsError> {
        let allowed = allowed.into();
        let mut ber = BerReader::new(input, limits);
        let structure = read_content_info(&mut ber)?;
        let entry = read_recipients(&mut ber, keys, limits)?;
        let head = read_cipher(&mut ber, structure, allowed.gcm_in_enveloped)?;
        let cipher = head.cipher;
        if !allowed.ciphers.contains(&cipher) {
            return Err(CmsError::CipherNotAllowed(cipher));
        }
        let entry = entry.ok_or(CmsError::NotForUs)?;
        let transport = entry.transport.ok_or(CmsError::UnknownKeyTransport)?;
        let fits = transport.fits(entry.key.key.kind()) && transport.goes_with(cipher);
        if !entry.key.transports.contains(&transport) || !fits {
            return Err(CmsError::KeyTransportNotAllowed(transport));
        }
        let context = context_for(&head)?;
        let content_key = content_key(entry.key, transport, &entry.sealed, cipher.key_len());
        let opened_by = OpenedBy::Recipient(entry.key.certificate.fingerprint(), transport);
        EnvelopeReader::begin(ber, head, context, content_key, opened_by)
    }

    /// Opens an envelope again by the content key that was kept when it was written or first opened: for evidence.
    ///
    /// # Errors
    /// As [`open`](EnvelopeReader::open); [`CmsError::Decrypt`] when the key has not the length of the cipher's.
    pub fn open_again(input: R, content_key: &[u8], limits: &Limits) -> Result<Self, CmsError> {
        let mut ber = BerReader::new(input, limits);
        let structure = read_content_info(&mut ber)?;
        read_recipients(&mut ber, &[], limits)?;
        let head = read_cipher(&mut ber, structure, true)?;
        if content_key.len() != head.cipher.key_len() {
            return Err(CmsError::Decrypt);
        }
        let context = context_for(&head)?;
        let content_key = Zeroizing::new(content_key.to_vec());
        EnvelopeReader::begin(ber, head, context, content_key, OpenedBy::ContentKey)
    }

    /// From here on nothing is an error of its own: a provider of ciphers might judge the key.
    fn begin(
        ber: BerReader<R>,
        head: Head,
        mut context: CipherCtx,
        content_key: Zeroizing<Vec<u8>>,
        opened_by: OpenedBy,
    ) -> Result<Self, CmsError> {
        let Head { structure, cipher, nonce } = head;
        context.decrypt_init(None, Some(&content_key), Some(&nonce)).map_err(|_| CmsError::Decrypt)?;
        let chunk = ber.octets_left().map_or(CHUNK, chunk_for);
        Ok(EnvelopeReader {
            ber,
            context,
            cipher,
            structure,
            opened_by,
            content_key,
            encrypted: vec![0; chunk.saturating_add(TAG_LEN)],
            held: 0,
            plain: vec![0; chunk.saturating_add(2 * TAG_LEN)],
            taken: 0,
            filled: 0,
            state: State::Flowing,
        })
    }

    /// Whether the envelope authenticates its content.
    pub fn kind(&self) -> EnvelopeKind {
        if self.cipher.is_aead() { EnvelopeKind::Gcm } else { EnvelopeKind::Cbc }
    }

    /// The content cipher.
    pub fn cipher(&self) -> ContentCipher {
        self.cipher
    }

    /// How the content key was encrypted for us; `None` when the envelope was opened by the content key itself.
    pub fn transport(&self) -> Option<KeyTransport> {
        match self.opened_by {
            OpenedBy::Recipient(_, transport) => Some(transport),
            OpenedBy::ContentKey => None,
        }
    }

    /// Whose private key opened it; `None` when the envelope was opened by the content key itself.
    pub fn recipient(&self) -> Option<Fingerprint> {
        match self.opened_by {
            OpenedBy::Recipient(fingerprint, _) => Some(fingerprint),
            OpenedBy::ContentKey => None,
        }
    }

    /// The content key. It is the true one only if the whole envelope turns out to be good: a wrong one is random.
    pub fn content_key(&self) -> Secret<Vec<u8>> {
        Secret::new(self.content_key.to_vec())
    }

    /// Decrypts the next piece into `plain`; CBC keeps the last block back until its padding can be judged.
    fn refill(&mut self) -> Result<(), CmsError> {
        let room = self.encrypted.get_mut(self.held..).unwrap_or_default();
        let n = self.ber.read_octets(room)?;
        self.taken = 0;
        self.filled = if n > 0 {
            let len = self.held.saturating_add(n);
            let ready = if self.tag_is_appended() { len.saturating_sub(TAG_LEN) } else { len };
            let bytes = self.encrypted.get(..ready).unwrap_or_default();
            let filled = self.context.cipher_update(bytes, Some(&mut self.plain)).map_err(|_| CmsError::Decrypt)?;
            self.encrypted.copy_within(ready..len, 0);
            self.held = len.saturating_sub(ready);
            filled
        } else {
            let tag = self.read_tail()?;
            if let Some(tag) = tag {
                self.context.set_tag(&tag).map_err(|_| CmsError::Decrypt)?;
            }
            let last = self.context.cipher_final(&mut self.plain).map_err(|_| CmsError::Decrypt)?;
            self.state = State::Ended;
            last
        };
        Ok(())
    }

    /// GCM in EnvelopedData: the last bytes of the ciphertext are the tag.
    fn tag_is_appended(&self) -> bool {
        self.cipher.is_aead() && self.structure == Structure::Enveloped
    }

    /// What follows the ciphertext: for AuthEnvelopedData the tag; attributes are of no use, and authenticated ones
    /// would have to be known before the ciphertext (RFC 5083 2.2), so they are refused.
    fn read_tail(&mut self) -> Result<Option<[u8; TAG_LEN]>, CmsError> {
        self.ber.leave()?;
        let mut tag = None;
        if self.structure == Structure::AuthEnveloped {
            let mac = self.ber.value()?;
            tag = Some(tag_of(Fields::only(&mac, der::OCTET_STRING)?.content)?);
        } else if self.cipher.is_aead() {
            tag = Some(tag_of(self.encrypted.get(..self.held).unwrap_or_default())?);
        }
        let attributes = der::context_constructed(if self.structure == Structure::AuthEnveloped { 2 } else { 1 });
        if self.ber.peek()? == Some(attributes) {
            self.ber.skip()?;
        }
        for _ in 0..3 {
            self.ber.leave()?;
        }
        self.ber.end()?;
        Ok(tag)
    }
}

/// A tag of exactly 16 bytes.
fn tag_of(bytes: &[u8]) -> Result<[u8; TAG_LEN], CmsError> {
    bytes.try_into().map_err(|_| CmsError::Malformed("tag length"))
}

impl<R: Read> Read for EnvelopeReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.filled {
            match self.state {
                State::Ended => return Ok(0),
                State::Failed => return Err(CmsError::Decrypt.into()),
                State::Flowing if buf.is_empty() => return Ok(0),
                State::Flowing => {}
            }
            if let Err(error) = self.refill() {
                self.state = State::Failed;
                (self.taken, self.filled) = (0, 0);
                return Err(error.into());
            }
        }
        let mut ready = self.plain.get(self.taken..self.filled).unwrap_or_default();
        let n = ready.read(buf)?;
        self.taken = self.taken.saturating_add(n);
        Ok(n)
    }
}

/// No plaintext stays behind in freed memory. `Zeroize` would write it byte by byte; the barrier keeps a fill just as well.
impl<R: Read> Drop for EnvelopeReader<R> {
    fn drop(&mut self) {
        self.plain.fill(0);
        optimization_barrier(self.plain.as_slice());
    }
}

/// ContentInfo and the head of EnvelopedData or AuthEnvelopedData, up to the recipients.
fn read_content_info<R: Read>(ber: &mut BerReader<R>) -> Result<Structure, CmsError> {
    ber.enter(der::SEQUENCE)?;
    let content_type = ber.value()?;
    let structure = match Fields::only(&content_type, der::OID)?.content {
        oid::ENVELOPED_DATA => Structure::Enveloped,
        oid::AUTH_ENVELOPED_DATA => Structure::AuthEnveloped,
        _ => return Err(CmsError::WrongContentType),
    };
    ber.enter(der::context_constructed(0))?;
    ber.enter(der::SEQUENCE)?;
    let version = ber.value()?;
    Fields::only(&version, der::INTEGER)?;
    if ber.peek()? == Some(der::context_constructed(0)) {
        ber.skip()?; // OriginatorInfo: certificates of the sender, which prove nothing.
    }
    Ok(structure)
}

/// EncryptedContentInfo up to its content (RFC 5652 6.1).
fn read_encrypted_content_info<R: Read>(
    ber: &mut BerReader<R>,
    bare_nonce: bool,
) -> Result<(ContentCipher, Vec<u8>), CmsError> {
    ber.enter(der::SEQUENCE)?;
    let content_type = ber.value()?;
    if Fields::only(&content_type, der::OID)?.content != oid::DATA {
        return Err(CmsError::WrongContentType);
    }
    let algorithm = ber.value()?;
    let algorithm = ContentCipher::from_identifier(Fields::only(&algorithm, der::SEQUENCE)?, bare_nonce)?;
    let algorithm = algorithm.ok_or(CmsError::UnknownCipher)?;
    ber.enter_octets(der::context(0))?;
    Ok(algorithm)
}

/// What is known before the ciphertext.
struct Head {
    structure: Structure,
    cipher: ContentCipher,
    nonce: Vec<u8>,
}

/// The cipher, which must be at home in this kind of envelope; `gcm_in_enveloped`: GCM is in both.
fn read_cipher<R: Read>(
    ber: &mut BerReader<R>,
    structure: Structure,
    gcm_in_enveloped: bool,
) -> Result<Head, CmsError> {
    let bare_nonce = structure == Structure::Enveloped && gcm_in_enveloped;
    let (cipher, nonce) = read_encrypted_content_info(ber, bare_nonce)?;
    let fits = match structure {
        Structure::AuthEnveloped => cipher.is_aead(),
        Structure::Enveloped => !cipher.is_aead() || gcm_in_enveloped,
    };
    if fits { Ok(Head { structure, cipher, nonce }) } else { Err(CmsError::CipherMisplaced) }
}

/// What decrypts, still without a key: whether this machine has the cipher depends on its name alone.
fn context_for(head: &Head) -> Result<CipherCtx, CmsError> {
    let mut context = CipherCtx::new()?;
    context.decrypt_init(Some(head.cipher.cipher()?), None, None)?;
    if head.cipher.is_aead() {
        // Otherwise the rest of a longer nonce would be left out without a word.
        context.set_iv_length(head.nonce.len())?;
    }
    Ok(context)
}
