//! One streaming walk through the layers of a message.
//!
//! Every layer is one function and one stack frame: it opens its reader, reads the entity inside through it, then reads
//! its own rest and judges itself. Errors of an outer layer outrank those of the layers inside, because what those saw
//! was not what was sent.
//!
//! **Pinned octets.** Ciphertext in CBC can be extended and spliced. If the plaintext had room that no signature covers,
//! an attacker could put blocks there: the message would still be accepted, or not, depending on what those blocks
//! decrypt to, and the answer would give the plaintext away octet by octet, most easily through the padding of the last
//! block. Inside an envelope everything outside of the signed octets is therefore held to a form that a foreign block
//! does not have: line ends at most after the end, a short printable preamble, printable header fields, no unsigned
//! attributes, and beside a signature that came as it is, or around what is compressed, nothing of any length or value that is
//! passed over (`cms::signed` and its `uncovered` say what that leaves). In base64 a foreign block is no text of it, so that of
//! the structure itself nothing more is demanded there.

use std::io::{BufRead, BufReader, Read, Write};

use super::super::error::OpenError;
use super::super::{AcceptPolicy, OpenKeys};
use super::Form;
use super::head::{CmsKind, FIELDS_AHEAD, Head, cms_kind, decoded_cms, decoded_multipart};
use super::readers::{
    BUFFER, Copying, Hashing, Peeked, Recording, Watched, WithoutLastLineEnd, at_end, drain, mime_error,
};
use crate::cms::{
    self, Allowed, CmsError, ContentCipher, DigestAlgorithm, Digests, EnvelopeReader, Fingerprint, InflateReader,
    MultiHasher, OpaqueReader, SignatureError, SignatureValid,
};
use crate::ground::limits::Limits;
use crate::ground::secret::Secret;
use crate::mime::{CanonicalLines, FileName, Headers, SignedParts, is_plain_text, read_entity_head};

mod bare;
mod payload;

/// What the layers turned out to be.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The proof of the signature.
    pub(super) signature: Option<SignatureValid>,
    /// There is a signature by nobody who is known, taken for none.
    pub(super) unknown_signer: bool,
    /// The cipher of the envelope.
    pub(super) cipher: Option<ContentCipher>,
    /// Whose key opened the envelope, and the key of its content.
    pub(super) recipient: Option<Fingerprint>,
    pub(super) content_key: Option<Secret<Vec<u8>>>,
    /// There was a compressed layer.
    pub(super) compressed: bool,
    /// The digests of the octets that the receipt's MIC covers, whether their signature holds or not.
    pub(super) digests: Digests,
    /// The tag of an AEAD cipher is right.
    pub(super) tag_holds: bool,
    /// The first part of the multipart/signed does not say that it is binary: its signature may cover its canonical lines.
    pub(super) lines_may_differ: bool,
}

/// The payload as it went to the sink.
#[derive(Debug)]
pub(super) struct Payload {
    pub(super) content_type: Option<String>,
    pub(super) file_name: Option<FileName>,
    pub(super) len: u64,
    pub(super) sha256: [u8; 32],
}

/// The walk: what it may do, where the payload goes, what it has seen so far.
pub(super) struct Walk<'a> {
    policy: &'a AcceptPolicy,
    keys: &'a OpenKeys<'a>,
    limits: &'a Limits,
    algorithms: Vec<DigestAlgorithm>,
    /// Of those, only what `micalg` names and this one.
    as_named: Option<Option<DigestAlgorithm>>,
    /// What of the first part its signature is held against.
    form: Form,
    sink: &'a mut dyn Write,
    found: Found,
    signed: bool,
    veiled: bool,
    /// The next entity is the first part of the multipart/signed.
    at_first_part: bool,
    /// The next thing that is read may be a payload without an entity around it, and whether it is taken then.
    may_be_bare: Option<bool>,
    /// The fields of the POST name the payload, though it is in a layer.
    named_by_post: bool,
    /// The envelope that the agreement demands is not there. The message is read on for its MIC alone.
    lacks_envelope: bool,
    /// A receipt may be what is inside.
    receipts: bool,
    again: Again<'a>,
    /// Nobody is answered.
    for_evidence: bool,
}

/// What is different when a message is taken apart again for evidence.
#[derive(Default)]
pub(super) struct Again<'a> {
    /// Opens the envelope in the place of a private key.
    pub(super) content_key: Option<&'a [u8]>,
    /// Gets the octets that the MIC covers.
    pub(super) covered: Option<&'a mut dyn Write>,
    /// Gets the CMS structure that signs them.
    pub(super) signature: Option<&'a mut dyn Write>,
}

impl<'a> Walk<'a> {
    /// `algorithms`: the digests to compute over what is signed, or over what an unsigned message's MIC covers.
    pub(super) fn new(
        policy: &'a AcceptPolicy,
        keys: &'a OpenKeys<'a>,
        limits: &'a Limits,
        algorithms: Vec<DigestAlgorithm>,
        sink: &'a mut dyn Write,
    ) -> Walk<'a> {
        Walk {
            policy,
            keys,
            limits,
            algorithms,
            as_named: None,
            form: Form::default(),
            sink,
            found: Found::default(),
            signed: false,
            veiled: false,
            at_first_part: false,
            may_be_bare: None,
            named_by_post: false,
            lacks_envelope: false,
            receipts: true,
            again: Again::default(),
            for_evidence: false,
        }
    }

    /// Holds the signature against the first part in this form; what comes out of the part is read from that form too.
    pub(super) fn in_form(self, form: Form) -> Walk<'a> {
        Walk { form, ..self }
    }

    /// The walk for evidence.
    pub(super) fn again(self, again: Again<'a>) -> Walk<'a> {
        Walk { again, for_evidence: true, ..self }
    }

    /// Refuses a receipt in the place of a message: the partner signs one for whoever asks, with any Message-ID in it, and a
    /// signature does not say which of the two it covers.
    pub(super) fn refuse_receipts(&mut self) {
        self.receipts = false;
    }

    /// Computes of a `multipart/signed` only the digests that it names, and `receipt`.
    pub(super) fn hash_as_named(&mut self, receipt: Option<DigestAlgorithm>) {
        self.as_named = Some(receipt);
    }

    /// The digests of the signed octets to compute. What `micalg` names is no more than a hint: nothing is accepted for
    /// it, and where it names nothing that is allowed, all are computed.
    fn signed_algorithms(&self, micalg: &str) -> Vec<DigestAlgorithm> {
        let Some(receipt) = self.as_named else { return self.algorithms.clone() };
        let named: Vec<DigestAlgorithm> = micalg.split(',').filter_map(DigestAlgorithm::parse).collect();
        if !named.iter().any(|named| self.policy.digests.contains(named)) {
            return self.algorithms.clone();
        }
        let wanted = |algorithm: &&DigestAlgorithm| named.contains(algorithm) || receipt == Some(**algorithm);
        self.algorithms.iter().filter(wanted).copied().collect()
    }

    /// What was found, and whether the message is still to be treated as one without integrity.
    pub(super) fn into_found(self) -> (Found, bool) {
        (self.found, self.veiled)
    }

    /// Walks a whole message: the fields of the POST and its body.
    pub(super) fn message(&mut self, headers: &Headers, body: &mut dyn Read) -> Result<Payload, OpenError> {
        let mut watched = Watched::new(body);
        let mut reader = Peeked::ahead_by(FIELDS_AHEAD, BufReader::with_capacity(BUFFER, &mut watched));
        let head = Head::new(headers.clone(), None).and_then(|head| head.or_repeated(&mut reader, self.limits));
        let head = head.and_then(|head| self.or_compressed(head, &mut reader));
        let outcome = head.and_then(|head| self.entity(head, &mut reader, 0));
        let named = self.named_by_post && !self.signed;
        let outcome = outcome.map(|payload| if named { payload.or_named(headers) } else { payload });
        match watched.into_parts() {
            (_, Some(fault)) => Err(OpenError::Body(fault)),
            (_, None) if self.lacks_envelope => Err(OpenError::NotEncrypted),
            (_, None) => outcome,
        }
    }

    /// What is compressed and says so in its body alone, where nothing need be signed: the MIC covers what comes out of it, as of
    /// anything that is compressed (RFC 5402 4.3).
    fn or_compressed<R: BufRead>(&mut self, head: Head, body: &mut Peeked<R>) -> Result<Head, OpenError> {
        if self.policy.require_signature || !head.hides_compressed(body.start(), self.limits) {
            return Ok(head);
        }
        self.named_by_post = true;
        Head::new(read_entity_head(body, self.limits).map_err(OpenError::Mime)?, None)
    }

    /// Walks what a MIC covered, its other layers gone: an entity with its header block, or a payload alone if it is not signed.
    pub(super) fn covered_part(&mut self, octets: &mut dyn BufRead, signed: bool) -> Result<Payload, OpenError> {
        self.signed = true;
        self.may_be_bare = (!signed).then_some(true);
        self.inner_entity(octets, 0)
    }

    /// An entity inside a layer: its header block is still to be read.
    fn inner_entity(&mut self, reader: &mut dyn BufRead, depth: usize) -> Result<Payload, OpenError> {
        let depth = depth.saturating_add(1);
        if depth > self.limits.mime_depth {
            return Err(OpenError::Layers("nested too deeply"));
        }
        let mut recording = Recording::new(reader);
        let headers = read_entity_head(&mut recording, self.limits);
        let octets = recording.into_octets();
        match self.may_be_bare.take().filter(|_| bare::is_bare(&headers, &octets)) {
            Some(true) => return self.bare(&octets, reader),
            // By the grammar it may be a header block with nothing behind it.
            Some(false) if headers.is_ok() => return Err(OpenError::Layers("a file without an entity around it")),
            Some(false) | None => {}
        }
        let head = Head::new(headers.map_err(OpenError::Mime)?, Some(octets))?;
        if std::mem::take(&mut self.at_first_part) {
            self.found.lines_may_differ = !head.says_binary();
        }
        self.entity(head, reader, depth)
    }

    /// Decides what an entity is, and goes into it.
    fn entity(&mut self, head: Head, body: &mut dyn BufRead, depth: usize) -> Result<Payload, OpenError> {
        let outermost = head.octets.is_none();
        if self.malleable() && head.is_layer() && !head.octets.as_deref().is_some_and(is_plain_text) {
            return Err(OpenError::Layers("a layer in an unauthenticated envelope has unprintable header fields"));
        }
        match head.content_type.essence.as_str() {
            _ if head.is_cms() => {
                let mut body = Peeked::new(body);
                let in_base64 = is_base64(body.start());
                let mut body = Peeked::new(decoded_cms(&head, &mut body)?);
                match cms_kind(&head.content_type, body.start())? {
                    CmsKind::Enveloped => self.enveloped(&mut body, outermost),
                    CmsKind::Compressed => self.compressed(&mut body, depth, outermost),
                    CmsKind::Signed => self.opaque(&mut body, depth, outermost, in_base64),
                }
            }
            "multipart/signed" => self.multipart_signed(&head, body, depth, outermost),
            _ => self.payload(head, body),
        }
    }

    /// An envelope: outermost or not at all.
    fn enveloped(&mut self, body: &mut dyn BufRead, outermost: bool) -> Result<Payload, OpenError> {
        if !outermost {
            return Err(OpenError::Layers("an envelope inside another layer"));
        }
        // Until the cipher is known it must be taken for one without integrity.
        self.veiled = true;
        let AcceptPolicy { ciphers, gcm_in_enveloped, .. } = self.policy;
        let allowed = Allowed { ciphers, gcm_in_enveloped: *gcm_in_enveloped };
        let envelope = match self.again.content_key {
            None => EnvelopeReader::open(&mut *body, self.keys.decryption, allowed, self.limits),
            Some(key) => EnvelopeReader::open_again(&mut *body, key, self.limits),
        };
        let envelope = envelope.map_err(|error| match error {
            CmsError::CipherNotAllowed(cipher) => OpenError::Cipher(cipher),
            other => OpenError::Decryption(other),
        })?;
        let cipher = envelope.cipher();
        self.veiled = !cipher.is_aead();
        self.found.cipher = Some(cipher);
        self.found.recipient = envelope.recipient();
        self.found.content_key = Some(envelope.content_key());
        self.may_be_bare = (!self.policy.require_signature).then_some(cipher.is_aead());
        let mut watched = Watched::new(envelope);
        let mut reader = BufReader::with_capacity(BUFFER, &mut watched);
        let inner = self.inner_entity(&mut reader, 0);
        // Read to the end even after a failure: only there the tag of an AEAD cipher is checked, and a failure takes
        // as long wherever it happened.
        let drained = drain(&mut reader);
        if let (_, Some(fault)) = watched.into_parts() {
            return Err(OpenError::Decryption(CmsError::from(fault)));
        }
        self.found.tag_holds = cipher.is_aead() && drained.is_ok();
        let payload = inner?;
        drained.map_err(|error| OpenError::Decryption(CmsError::from(error)))?;
        end_of_cms(body)?;
        Ok(payload)
    }

    /// A compressed layer, the only one.
    fn compressed(&mut self, body: &mut dyn BufRead, depth: usize, outermost: bool) -> Result<Payload, OpenError> {
        self.demand_envelope(outermost);
        if self.lacks_envelope {
            return Err(OpenError::NotEncrypted);
        }
        if self.found.compressed {
            return Err(OpenError::CompressedTwice);
        }
        self.found.compressed = true;
        let inflate = InflateReader::open(&mut *body, self.limits).map_err(OpenError::Decompression)?;
        if self.malleable() && !self.for_evidence && !inflate.is_pinned() {
            return Err(OpenError::Layers("a compressed layer in an unauthenticated envelope has room around it"));
        }
        let mut watched = Watched::new(inflate);
        let mut reader = BufReader::with_capacity(BUFFER, &mut watched);
        let outcome = self.inner_entity(&mut reader, depth).and_then(|payload| {
            drain(&mut reader).map_err(|error| OpenError::Decompression(CmsError::from(error)))?;
            Ok(payload)
        });
        if let (_, Some(fault)) = watched.into_parts() {
            return Err(OpenError::Decompression(CmsError::from(fault)));
        }
        let payload = outcome?;
        end_of_cms(body)?;
        Ok(payload)
    }

    /// multipart/signed: exactly two parts; the octets of the first are hashed and nothing else is used.
    fn multipart_signed(
        &mut self,
        head: &Head,
        body: &mut dyn BufRead,
        depth: usize,
        outermost: bool,
    ) -> Result<Payload, OpenError> {
        self.enter_signature(outermost)?;
        let boundary = head.content_type.boundary().map_err(OpenError::Mime)?;
        let mut body = decoded_multipart(head, body)?;
        let mut parts = SignedParts::new(&mut body, boundary, self.limits).map_err(OpenError::Mime)?;
        if self.found.cipher.is_some() {
            parts = parts.pinned();
        }
        let micalg = head.content_type.param("micalg").unwrap_or_default();
        let mut hasher = MultiHasher::new(&self.signed_algorithms(micalg));
        let first: Box<dyn Read + '_> = match self.form {
            Form::AsReceived => Box::new(parts.first_part()),
            Form::CanonicalLines => Box::new(CanonicalLines::new(parts.first_part())),
            Form::WithoutLastLineEnd => Box::new(WithoutLastLineEnd::new(parts.first_part())),
        };
        let first = Copying::new(first, self.again.covered.take());
        self.at_first_part = true;
        let mut first = BufReader::with_capacity(BUFFER, Hashing::new(first, &mut hasher));
        let inner = self.inner_entity(&mut first, depth);
        // Whatever was found inside: the signature is judged first, over the whole part.
        drain(&mut first).map_err(mime_error)?;
        drop(first);
        let (signature_head, signature) = parts.second_part().map_err(OpenError::Mime)?;
        parts.finish().map_err(OpenError::Mime)?;
        let closely = self.looks_closely(is_base64(&signature));
        let signature = self.signature_octets(signature_head, &signature)?;
        if let Some(out) = self.again.signature.take() {
            out.write_all(&signature).map_err(OpenError::Sink)?;
        }
        self.found.digests = hasher.finish();
        let (digests, OpenKeys { trusted, known, .. }) = (&self.found.digests, self.keys);
        let verdict = match closely {
            true => cms::verify_detached_pinned(&signature, digests, (trusted, known), self.limits),
            false => cms::verify_detached(&signature, digests, trusted, self.limits),
        };
        self.signature_judged(verdict, closely)?;
        inner
    }

    /// The decoded second part of multipart/signed.
    fn signature_octets(&self, headers: Headers, body: &[u8]) -> Result<Vec<u8>, OpenError> {
        let head = Head::new(headers, None)?;
        if !matches!(
            head.content_type.essence.as_str(),
            "application/pkcs7-signature" | "application/x-pkcs7-signature"
        ) {
            return Err(OpenError::Layers("the second part of multipart/signed is not a signature"));
        }
        let mut octets = Vec::new();
        decoded_cms(&head, &mut &*body)?.read_to_end(&mut octets).map_err(mime_error)?;
        Ok(octets)
    }

    /// SignedData with its content inside (RFC 8551 3.5.2).
    fn opaque(
        &mut self,
        body: &mut dyn BufRead,
        depth: usize,
        outermost: bool,
        in_base64: bool,
    ) -> Result<Payload, OpenError> {
        self.enter_signature(outermost)?;
        let closely = self.looks_closely(in_base64);
        let structure = Copying::new(&mut *body, self.again.signature.take());
        let opaque = OpaqueReader::open_allowing(structure, &self.policy.digests, self.limits);
        let opaque = opaque.map_err(OpenError::Signature)?;
        let mut watched = Watched::new(opaque);
        let mut hasher = MultiHasher::new(&self.algorithms);
        let content = Copying::new(&mut watched, self.again.covered.take());
        let mut reader = BufReader::with_capacity(BUFFER, Hashing::new(content, &mut hasher));
        let inner = self.inner_entity(&mut reader, depth);
        let drained = drain(&mut reader);
        drop(reader);
        let (opaque, fault) = watched.into_parts();
        if let Some(fault) = fault {
            return Err(OpenError::Signature(fault.downcast().unwrap_or_else(SignatureError::Io)));
        }
        drained.map_err(|error| OpenError::Signature(SignatureError::Io(error)))?;
        self.found.digests = hasher.finish();
        let verdict = match closely {
            true => opaque.finish_pinned(self.keys.trusted, self.keys.known),
            false => opaque.finish(self.keys.trusted),
        };
        self.signature_judged(verdict, closely)?;
        end_of_cms(body)?;
        inner
    }

    /// Notes that the message is not encrypted although it has to be.
    fn demand_envelope(&mut self, outermost: bool) {
        self.lacks_envelope |= outermost && self.policy.require_encryption;
    }

    /// What is read now could have been tampered with: it is in an envelope without integrity, and no signature covers it.
    fn malleable(&self) -> bool {
        !self.signed && self.found.cipher.is_some_and(|cipher| !cipher.is_aead())
    }

    /// Whether room beside a signature counts. In base64 a foreign block is no text of it, unless it is short: of eight octets one in
    /// some ten thousand is.
    fn looks_closely(&self, in_base64: bool) -> bool {
        let short = self.found.cipher.is_some_and(|cipher| cipher.is_legacy());
        self.veiled && (!in_base64 || short)
    }

    /// A signature: the only one.
    fn enter_signature(&mut self, outermost: bool) -> Result<(), OpenError> {
        self.demand_envelope(outermost);
        if self.signed {
            return Err(OpenError::Layers("a signature inside a signature"));
        }
        self.signed = true;
        Ok(())
    }

    /// A signature by somebody unknown may count as none, where none is demanded and nothing could have been tampered with.
    fn signature_judged(
        &mut self,
        verdict: Result<SignatureValid, SignatureError>,
        closely: bool,
    ) -> Result<(), OpenError> {
        let taken_for_none = self.policy.unknown_signers && !self.policy.require_signature && !self.veiled;
        match verdict {
            Err(SignatureError::UnknownSigner) if taken_for_none => {
                self.found.unknown_signer = true;
                Ok(())
            }
            verdict => self.signature_holds(verdict.map_err(OpenError::Signature)?, closely),
        }
    }

    /// A pinned certificate signed these octets: the answer may be specific from here on. `closely`: unless there is room beside
    /// its signature. What was accepted before that was looked at stays evidence.
    fn signature_holds(&mut self, valid: SignatureValid, closely: bool) -> Result<(), OpenError> {
        if self.veiled && valid.has_unsigned_attributes() {
            return Err(OpenError::Layers("a signature in an unauthenticated envelope has unsigned attributes"));
        }
        if closely && !self.for_evidence && !valid.is_pinned() {
            let short = self.found.cipher.is_some_and(ContentCipher::is_legacy);
            return Err(OpenError::Layers(if short { UNPINNED_IN_SHORT_BLOCKS } else { UNPINNED }));
        }
        self.veiled = false;
        if !self.policy.digests.contains(&valid.digest()) {
            return Err(OpenError::Digest(valid.digest()));
        }
        if !self.policy.schemes.contains(&valid.scheme()) {
            return Err(OpenError::Scheme(valid.scheme()));
        }
        self.found.signature = Some(valid);
        Ok(())
    }
}

/// For the operator, who can tell the partner what is read.
const UNPINNED: &str = "a binary signature in an unauthenticated envelope carries what no signature covers: besides certificates of \
                        the partner's file only a whole chain up to its root is read there, or the signature in base64";

/// The same under 3DES and RC2, where base64 is no excuse.
const UNPINNED_IN_SHORT_BLOCKS: &str = "a signature in an envelope of short blocks (3DES, RC2) carries what no signature covers: besides \
                        certificates of the partner's file only a whole chain up to its root is read there, in base64 too; AES helps";

/// Whether a CMS structure, which begins with a SEQUENCE, stands there in base64: in any other encoding, and in none, this letter
/// would be its first octet.
fn is_base64(start: &[u8]) -> bool {
    start.trim_ascii_start().first() == Some(&b'M')
}

/// After a CMS structure only line ends may follow.
fn end_of_cms(body: &mut dyn Read) -> Result<(), OpenError> {
    if at_end(body).map_err(mime_error)? { Ok(()) } else { Err(OpenError::TrailingBytes) }
}
