//! Writing an envelope: definite-length DER whose size is known before the first byte.

use std::io::{self, Write};

use openssl::cipher_ctx::CipherCtx;
use openssl::error::ErrorStack;
use openssl::pkey::{PKeyRef, Public};
use zeroize::Zeroizing;

use super::{CHUNK, TAG_LEN, chunk_for};
use crate::cms::ecdh::{self, Agreed, Derivation};
use crate::cms::key::USABLE;
use crate::cms::key_transport::KeyWrap;
use crate::cms::{Certificate, CmsError, ContentCipher, GcmForm, KeyKind, KeyTransport, der, oid, sm2};
use crate::ground::random;
use crate::ground::secret::Secret;

/// The lowest bit of each octet of a DES key makes the number of its ones odd (FIPS 46-3). Some products refuse a key without that.
fn make_odd(octet: &mut u8) {
    *octet ^= u8::from(octet.count_ones() & 1 == 0);
}

/// Most bytes one GCM key and nonce may encrypt (NIST SP 800-38D 5.2.1.1).
const GCM_MAX: u64 = (1 << 36) - 32;

/// Someone who shall be able to decrypt.
#[derive(Debug, Clone)]
pub struct Recipient {
    /// Holds the public key and names the recipient by issuer and serial.
    pub certificate: Certificate,
    /// How the content key is encrypted for it.
    pub transport: KeyTransport,
}

/// Encrypts what is written to it and passes the envelope on to `W`.
pub struct EnvelopeWriter<W: Write> {
    out: W,
    context: CipherCtx,
    cipher: ContentCipher,
    form: GcmForm,
    left: u64,
    buffer: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
}

impl<W: Write> EnvelopeWriter<W> {
    /// Writes the head of the envelope with a fresh key and nonce; exactly `content_len` bytes must follow.
    ///
    /// # Errors
    /// [`CmsError::UnusableKey`] when there is no recipient, the key of one does not fit its transport or the transport
    /// does not fit the cipher, [`CmsError::ContentLength`] when the content is too large for the cipher, [`CmsError::Primitive`],
    /// [`CmsError::Io`].
    pub fn new(out: W, recipients: &[Recipient], cipher: ContentCipher, content_len: u64) -> Result<Self, CmsError> {
        EnvelopeWriter::in_form(out, recipients, cipher, GcmForm::default(), content_len)
    }

    /// The same; a GCM cipher is written in this form.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn in_form(
        mut out: W,
        recipients: &[Recipient],
        cipher: ContentCipher,
        form: GcmForm,
        content_len: u64,
    ) -> Result<Self, CmsError> {
        let mut key = Zeroizing::new(vec![0u8; cipher.key_len().saturating_add(cipher.nonce_len())]);
        random::fill(&mut key);
        let nonce = key.split_off(cipher.key_len());
        if cipher == ContentCipher::DesEde3Cbc {
            key.iter_mut().for_each(make_odd);
        }
        if recipients.iter().any(|one| !one.transport.goes_with(cipher)) {
            return Err(CmsError::UnusableKey("SM2 transports keys of SM4 only, and nothing else does"));
        }
        let infos: Result<Vec<_>, _> = recipients.iter().map(|one| recipient_info(one, &key)).collect();
        let layout = Layout::new(infos?, has_agreement(recipients), cipher, form, &nonce, content_len)?;
        let mut context = CipherCtx::new()?;
        context.encrypt_init(Some(cipher.cipher()?), Some(&key), Some(&nonce))?;
        out.write_all(&layout.head).map_err(CmsError::from)?;
        let buffer = vec![0; chunk_for(content_len).saturating_add(2 * TAG_LEN)];
        Ok(EnvelopeWriter { out, context, cipher, form, left: content_len, buffer, key })
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
            match self.form {
                GcmForm::AuthEnveloped => self.out.write_all(&der::tlv(der::OCTET_STRING, &tag))?,
                GcmForm::Enveloped | GcmForm::EnvelopedBareNonce => self.out.write_all(&tag)?,
            }
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

/// Bytes of the whole envelope of a content of `content_len` bytes; for SM2 the most that it may have, because a
/// coordinate may be shorter than the others.
///
/// # Errors
/// As [`EnvelopeWriter::new`].
pub fn wire_len(recipients: &[Recipient], cipher: ContentCipher, content_len: u64) -> Result<u64, CmsError> {
    let infos: Result<Vec<_>, _> = recipients.iter().map(|one| placeholder_info(one, cipher.key_len())).collect();
    let nonce = vec![0; cipher.nonce_len()];
    Ok(Layout::new(infos?, has_agreement(recipients), cipher, GcmForm::default(), &nonce, content_len)?.total)
}

/// A recipient other than by key transport raises the version of EnvelopedData (RFC 5652 6.1).
fn has_agreement(recipients: &[Recipient]) -> bool {
    recipients.iter().any(|one| one.transport.kdf_digest().is_some())
}

/// Everything before the ciphertext, and the size of everything.
struct Layout {
    head: Vec<u8>,
    total: u64,
}

impl Layout {
    fn new(
        recipient_infos: Vec<Vec<u8>>,
        agreement: bool,
        cipher: ContentCipher,
        form: GcmForm,
        nonce: &[u8],
        content_len: u64,
    ) -> Result<Layout, CmsError> {
        if cipher == ContentCipher::Rc2Cbc {
            return Err(CmsError::CipherNotAllowed(cipher));
        }
        if recipient_infos.is_empty() {
            return Err(CmsError::UnusableKey("no recipient"));
        }
        let infos = der::set_of(recipient_infos);
        let tag_len = TAG_LEN as u64;
        let short_enough = Some(content_len).filter(|len| *len <= GCM_MAX);
        let block = cipher.block_len();
        let (kind, encrypted_len, tail) = match (cipher.is_aead(), form) {
            (true, GcmForm::AuthEnveloped) => (oid::AUTH_ENVELOPED_DATA, short_enough, tag_len.saturating_add(2)),
            (true, _) => (oid::ENVELOPED_DATA, short_enough.map(|len| len.saturating_add(tag_len)), 0),
            (false, _) => {
                let blocks = content_len.checked_div(block).and_then(|blocks| blocks.checked_add(1));
                (oid::ENVELOPED_DATA, blocks.and_then(|blocks| blocks.checked_mul(block)), 0)
            }
        };
        let encrypted_len = encrypted_len.ok_or(CmsError::ContentLength)?;
        let version = if agreement && kind == oid::ENVELOPED_DATA { 2 } else { 0 };
        // From the inside out; what follows the head is the ciphertext and, for GCM, the tag.
        let mut layout = Layout { head: Vec::new(), total: encrypted_len };
        layout.wrap(der::context(0), &[])?;
        layout.wrap(der::SEQUENCE, &[&der::object_identifier(oid::DATA), &cipher.identifier(nonce, form)])?;
        layout.total = layout.total.checked_add(tail).ok_or(CmsError::ContentLength)?;
        layout.wrap(der::SEQUENCE, &[&der::integer(version), &infos])?;
        layout.wrap(der::context_constructed(0), &[])?;
        layout.wrap(der::SEQUENCE, &[&der::object_identifier(kind)])?;
        Ok(layout)
    }

    /// Puts `before` in front and a tag with the length of all around it.
    fn wrap(&mut self, tag: u8, before: &[&[u8]]) -> Result<(), CmsError> {
        let before_len = before.iter().fold(0usize, |len, piece| len.saturating_add(piece.len()));
        let inside = self.total.saturating_add(before_len as u64);
        if inside > u64::MAX / 2 {
            return Err(CmsError::ContentLength);
        }
        let room = self.head.len().saturating_add(before_len).saturating_add(der::MAX_HEADER);
        let mut head = Vec::with_capacity(room);
        der::push_header(&mut head, tag, inside);
        self.total = inside.saturating_add(head.len() as u64);
        for piece in before {
            head.extend_from_slice(piece);
        }
        head.append(&mut self.head);
        self.head = head;
        Ok(())
    }
}

/// The content key for one recipient, encrypted.
fn recipient_info(recipient: &Recipient, content_key: &[u8]) -> Result<Vec<u8>, CmsError> {
    let (_, public) = fitting_key(recipient)?;
    let Some(digest) = recipient.transport.kdf_digest() else {
        return Ok(key_transport_info(recipient, &encrypt_key(recipient, public, content_key)?));
    };
    let wrap = KeyWrap::for_key_len(content_key.len());
    let derivation = Derivation { digest, wrap, key_info: &wrap.identifier(), user_keying_material: None };
    Ok(key_agreement_info(recipient, wrap, &ecdh::seal(public, &derivation, content_key)?))
}

/// As long as [`recipient_info`] for a content key of this length.
fn placeholder_info(recipient: &Recipient, key_len: usize) -> Result<Vec<u8>, CmsError> {
    let (kind, public) = fitting_key(recipient)?;
    match kind {
        KeyKind::Rsa => return Ok(key_transport_info(recipient, &vec![0; public.size()])),
        KeyKind::Sm2 => return Ok(key_transport_info(recipient, &vec![0; sm2::encrypted_len(key_len)])),
        KeyKind::EcP256 | KeyKind::EcP384 => {}
    }
    let agreed = Agreed { point: vec![0; ecdh::point_len(kind)], wrapped: vec![0; key_len.saturating_add(8)] };
    Ok(key_agreement_info(recipient, KeyWrap::for_key_len(key_len), &agreed))
}

/// KeyTransRecipientInfo, version 0 (RFC 5652 6.2.1).
fn key_transport_info(recipient: &Recipient, encrypted_key: &[u8]) -> Vec<u8> {
    der::sequence(&[
        &der::integer(0),
        &recipient.certificate.issuer_and_serial(),
        &recipient.transport.identifier(),
        &der::tlv(der::OCTET_STRING, encrypted_key),
    ])
}

/// `[1]` KeyAgreeRecipientInfo, version 3, with a public key of this message alone (RFC 5753 3.1.1).
fn key_agreement_info(recipient: &Recipient, wrap: KeyWrap, agreed: &Agreed) -> Vec<u8> {
    let bits = [&[0u8], agreed.point.as_slice()].concat();
    let public_key = [
        der::sequence(&[&der::object_identifier(oid::EC_PUBLIC_KEY)]), //
        der::tlv(der::BIT_STRING, &bits),
    ];
    let public_key = der::tlv(der::context_constructed(1), &public_key.concat());
    let encrypted_key = der::sequence(&[
        &recipient.certificate.issuer_and_serial(), //
        &der::tlv(der::OCTET_STRING, &agreed.wrapped),
    ]);
    let info = [
        der::integer(3),
        der::tlv(der::context_constructed(0), &public_key),
        recipient.transport.agreement_identifier(wrap),
        der::sequence(&[&encrypted_key]),
    ];
    der::tlv(der::context_constructed(1), &info.concat())
}

/// The recipient's key, if its transport works with it.
fn fitting_key(recipient: &Recipient) -> Result<(KeyKind, &PKeyRef<Public>), CmsError> {
    let key = recipient.certificate.key().ok_or(CmsError::UnusableKey(USABLE))?;
    let fits = recipient.transport.fits(key.0);
    fits.then_some(key).ok_or(CmsError::UnusableKey("not of the kind that the key transport needs"))
}

/// One encryption under an RSA or SM2 key.
fn encrypt_key(recipient: &Recipient, public: &PKeyRef<Public>, key: &[u8]) -> Result<Vec<u8>, ErrorStack> {
    let Recipient { certificate, transport } = recipient;
    if *transport == KeyTransport::Sm2 {
        return sm2::encrypt(public, key);
    }
    certificate.contexts().encrypt(public, *transport, key)
}
