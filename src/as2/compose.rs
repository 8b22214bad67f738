//! From the payload to the wire (RFC 4130 5, RFC 5402 3, RFC 8551 3).
//!
//! Order outward: payload entity, compression, signature, compression, envelope; each is optional, and there is one
//! compression at most. The payload is binary and never touched. Two passes over it: one for the digests, one for the
//! bytes; a compressed intermediate goes to the scratch place. Without any layer the entity's fields are the fields of
//! the POST and its body is the payload itself.
//!
//! A message is composed once; every retry sends the same bytes, because Message-ID, boundaries, keys and digests are
//! fixed here.

use std::borrow::Cow;
use std::io::{self, Write};

use super::entity::{Entity, Piece, cms_type};
use super::error::ComposeError;
use super::headers::{self, date_value, text_value};
use super::{Compression, Encryption, MdnMode, MessageId, MicVariant, NotificationOptions, SendPlan, SentMics, Stamp};
use crate::cms::{self, DigestAlgorithm, Digests, EnvelopeWriter, GcmForm, MultiHasher, Recipient};
use crate::ground::secret::Secret;
use crate::mime::{Base64Lines, Headers, LineEnds, Scratch, Source};

/// What a composed message needs to be sent and its receipt to be judged.
#[derive(Debug, Clone)]
pub struct Composed {
    /// Every field of the POST except `Host`, `Content-Length` and the connection's own.
    pub headers: Headers,
    /// Bytes written.
    pub wire_len: u64,
    /// The digests a receipt may carry.
    pub mics: SentMics,
    /// The algorithm a receipt should use, for [`Sent::algorithm`](super::Sent::algorithm).
    pub algorithm: DigestAlgorithm,
    /// Opens the envelope again, for evidence of what was signed inside; `None` when nothing is encrypted.
    pub content_key: Option<Secret<Vec<u8>>>,
}

/// Writes the body of the POST to `out`.
///
/// Fails when the payload has not the length it announced, when a value of the plan cannot stand in a header field,
/// and when a key or certificate cannot do what the plan demands.
pub fn compose(
    plan: &SendPlan,
    stamp: &Stamp,
    payload: &dyn Source,
    scratch: &dyn Scratch,
    out: &mut dyn Write,
) -> Result<Composed, ComposeError> {
    compose_from(plan, stamp, payload, scratch, out, false)
}

/// [`compose`] for a payload that the caller keeps: of a long one that asks for a signed receipt, only the digests that
/// this should carry are computed now; any other can be had later by [`SentMics::with`].
pub fn compose_kept(
    plan: &SendPlan,
    stamp: &Stamp,
    payload: &dyn Source,
    scratch: &dyn Scratch,
    out: &mut dyn Write,
) -> Result<Composed, ComposeError> {
    compose_from(plan, stamp, payload, scratch, out, true)
}

fn compose_from(
    plan: &SendPlan,
    stamp: &Stamp,
    payload: &dyn Source,
    scratch: &dyn Scratch,
    out: &mut dyn Write,
    kept: bool,
) -> Result<Composed, ComposeError> {
    let algorithm = receipt_algorithm(plan);
    let algorithms = digests_to_keep(plan, algorithm);
    let entity = payload_entity(plan, payload)?;

    let (entity, mics) = match &plan.signing {
        Some(signing) => {
            let mut variants = SentMics::default();
            let entity = match plan.compression {
                Compression::BeforeSigning => {
                    if plan.mdn.mode != MdnMode::None {
                        let digests = entity_digests(&entity, &named_digests(plan, algorithm))?;
                        variants.add(&digests, MicVariant::Decompressed);
                    }
                    compress(&entity, scratch)?
                }
                Compression::None | Compression::AfterSigning => entity,
            };
            let later = kept
                && plan.mdn.signed
                && entity.len() > DIGEST_LATER
                && plan.compression != Compression::BeforeSigning;
            let algorithms = if later { vec![signing.digest, algorithm] } else { algorithms };
            let digests = entity_digests(&entity, &algorithms)?;
            let mut mics = SentMics { head: later.then(|| entity.head().to_vec()), ..SentMics::default() };
            mics.add(&digests, MicVariant::Exact);
            mics.expected.append(&mut variants.expected);
            let entity = entity.sign(&digests, signing, plan.micalg_style, stamp.date)?;
            match plan.compression {
                Compression::AfterSigning => (compress(&entity, scratch)?, mics),
                Compression::None | Compression::BeforeSigning => (entity, mics),
            }
        }
        None => {
            let mics = unsigned_mics(plan, &entity, &algorithms)?;
            match plan.compression {
                Compression::None => (entity, mics),
                Compression::BeforeSigning | Compression::AfterSigning => (compress(&entity, scratch)?, mics),
            }
        }
    };

    let mut headers = message_headers(plan, stamp)?;
    let mut out = Counting { out, written: 0 };
    let mut content_key = None;
    match &plan.encryption {
        Some(encryption) => {
            let authenticated = encryption.cipher.is_aead() && encryption.gcm_form == GcmForm::AuthEnveloped;
            let kind = if authenticated { "authEnveloped-data" } else { "enveloped-data" };
            headers.push(headers::CONTENT_TYPE, &cms_type(kind, "smime.p7m").to_string())?;
            content_key = Some(if encryption.base64 {
                headers.push(headers::CONTENT_TRANSFER_ENCODING, "base64")?;
                let mut lines = Base64Lines::new(&mut out);
                let content_key = encrypt(encryption, &entity, &mut lines)?;
                lines.finish()?;
                content_key
            } else {
                encrypt(encryption, &entity, &mut out)?
            });
        }
        None => {
            outermost_fields(plan, &entity, &mut headers)?;
            entity.write_body(&mut out)?;
        }
    }
    Ok(Composed { headers, wire_len: out.written, mics, algorithm, content_key })
}

/// The innermost entity: the payload with its type and name.
fn payload_entity<'a>(plan: &SendPlan, payload: &'a dyn Source) -> Result<Entity<'a>, ComposeError> {
    let mut headers = Headers::new();
    headers.push(headers::CONTENT_TYPE, &plan.content_type)?;
    headers.push(headers::CONTENT_TRANSFER_ENCODING, "binary")?;
    if let Some(file_name) = &plan.file_name {
        headers.push(headers::CONTENT_DISPOSITION, &headers::attachment_value(file_name))?;
    }
    Ok(Entity::new(headers, vec![Piece::Borrowed(payload)]))
}

/// The entity that holds `entity` compressed (RFC 5402 3.1).
fn compress<'a>(entity: &Entity<'_>, scratch: &dyn Scratch) -> Result<Entity<'a>, ComposeError> {
    let compressed = cms::compress(entity, scratch)?;
    Entity::cms("compressed-data", "smime.p7z", Piece::Owned(compressed))
}

/// Writes the envelope around the whole entity; returns its content key.
fn encrypt(encryption: &Encryption, entity: &Entity<'_>, out: &mut dyn Write) -> Result<Secret<Vec<u8>>, ComposeError> {
    if encryption.recipients.is_empty() {
        return Err(ComposeError::NoRecipient);
    }
    let recipients: Vec<Recipient> = encryption
        .recipients
        .iter()
        .map(|certificate| Recipient { certificate: certificate.clone(), transport: encryption.transport })
        .collect();
    let mut envelope = EnvelopeWriter::in_form(out, &recipients, encryption.cipher, encryption.gcm_form, entity.len())?;
    entity.write(&mut envelope)?;
    let content_key = envelope.content_key();
    envelope.finish()?;
    Ok(content_key)
}

/// The digest algorithms a receipt may name: the sender's list, or the signature's own, or SHA-256.
fn asked_algorithms(plan: &SendPlan) -> Vec<DigestAlgorithm> {
    if !plan.mdn.micalgs.is_empty() {
        return plan.mdn.micalgs.clone();
    }
    vec![plan.signing.as_ref().map_or(DigestAlgorithm::Sha256, |signing| signing.digest)]
}

fn receipt_algorithm(plan: &SendPlan) -> DigestAlgorithm {
    let signature = plan.signing.as_ref().map(|signing| signing.digest);
    NotificationOptions::expected(&asked_algorithms(plan), signature).unwrap_or(DigestAlgorithm::Sha256)
}

/// Signed entities beyond this are hashed with the algorithms of signature and receipt alone where the others can be
/// computed later: four digests take longer than signing and encrypting together, and are longer than what they digest.
const DIGEST_LATER: u64 = 1024;

/// Those that the receipt may be told to have, and those that signature and receipt have by themselves.
fn named_digests(plan: &SendPlan, receipt: DigestAlgorithm) -> Vec<DigestAlgorithm> {
    let signature = plan.signing.iter().map(|signing| signing.digest);
    signature.chain([receipt]).chain(asked_algorithms(plan)).collect()
}

/// Every algorithm when a receipt will come, because partners choose their own, and whatever is asked for besides (SM3, MD5);
/// else what signing needs.
fn digests_to_keep(plan: &SendPlan, receipt: DigestAlgorithm) -> Vec<DigestAlgorithm> {
    match plan.mdn.mode {
        MdnMode::Sync | MdnMode::Async { .. } => {
            DigestAlgorithm::ALL.into_iter().chain(named_digests(plan, receipt)).collect()
        }
        MdnMode::None => plan.signing.iter().map(|signing| signing.digest).chain([receipt]).collect(),
    }
}

/// The digests of header block and body.
fn entity_digests(entity: &Entity<'_>, algorithms: &[DigestAlgorithm]) -> Result<Digests, ComposeError> {
    let mut hasher = MultiHasher::new(algorithms);
    entity.write(&mut hasher)?;
    Ok(hasher.finish())
}

/// The digests of an unsigned message, with and without its header fields, in one pass.
fn unsigned_mics(
    plan: &SendPlan,
    entity: &Entity<'_>,
    algorithms: &[DigestAlgorithm],
) -> Result<SentMics, ComposeError> {
    let mut with_fields = MultiHasher::new(algorithms);
    with_fields.update(entity.head());
    let body = MultiHasher::new(algorithms);
    let mut both = Both { body, with_fields, ends: LineEnds::default(), canonical: None };
    entity.write_body(&mut both)?;
    let (body, with_fields, canonical) = (both.body.finish(), both.with_fields.finish(), both.canonical);
    let mut mics = SentMics::default();
    if plan.encryption.is_none() && plan.compression == Compression::None {
        mics.add(&body, MicVariant::Exact);
        mics.add(&with_fields, MicVariant::WithHeaders);
    } else {
        mics.add(&with_fields, MicVariant::Exact);
        mics.add(&body, MicVariant::BodyOnly);
        if let Some(canonical) = canonical.filter(|_| plan.compression == Compression::None) {
            mics.add(&canonical.finish(), MicVariant::CanonicalLines);
        }
    }
    Ok(mics)
}

/// The fields of the POST that do not depend on the outermost entity.
fn message_headers(plan: &SendPlan, stamp: &Stamp) -> Result<Headers, ComposeError> {
    let mut headers = Headers::new();
    headers::push_version(&mut headers, plan.version)?;
    headers.push(headers::AS2_FROM, &plan.from.header_value())?;
    headers.push(headers::AS2_TO, &plan.to.header_value())?;
    headers.push(headers::MESSAGE_ID, stamp.message_id.as_str())?;
    headers.push(headers::DATE, &date_value(stamp.date))?;
    if let Some(subject) = &plan.subject {
        headers.push(headers::SUBJECT, &text_value(subject))?;
    }
    headers.push(headers::MIME_VERSION, "1.0")?;
    headers.push(headers::USER_AGENT, headers::PRODUCT)?;
    if plan.mdn.mode == MdnMode::None {
        return Ok(headers);
    }
    headers.push(headers::NOTIFICATION_TO, &mailbox(&stamp.message_id))?;
    if plan.mdn.signed {
        let options = NotificationOptions::value(&asked_algorithms(plan), plan.micalg_style);
        headers.push(headers::NOTIFICATION_OPTIONS, &options)?;
    }
    if let MdnMode::Async { url } = &plan.mdn.mode {
        headers.push(headers::RECEIPT_DELIVERY, url)?;
    }
    Ok(headers)
}

/// What RFC 4130 7.3 and RFC 8098 2.1 want as the one who asks for a receipt: a mailbox, of the host in the Message-ID. Nobody
/// writes to it; receivers look whether the field is there.
fn mailbox(message_id: &MessageId) -> String {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let host = message_id.key().rsplit_once('@').map_or("", |(_, host)| host);
    let host = if !host.is_empty() && host.bytes().all(allowed) { host } else { "localhost" };
    format!("as2@{host}")
}

/// A plain message shows all fields of its entity; around a layer the type is enough.
fn outermost_fields(plan: &SendPlan, entity: &Entity<'_>, headers: &mut Headers) -> Result<(), ComposeError> {
    let plain = plan.signing.is_none() && plan.compression == Compression::None;
    for (name, value) in entity.headers().iter() {
        if plain || name.eq_ignore_ascii_case(headers::CONTENT_TYPE) {
            headers.push(name, value)?;
        }
    }
    Ok(())
}

/// Hashes a body twice: alone, and after its header block; a third time from the first line feed on that has no carriage
/// return in front.
struct Both {
    body: MultiHasher,
    with_fields: MultiHasher,
    ends: LineEnds,
    canonical: Option<MultiHasher>,
}

impl Write for Both {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let lines = self.ends.canonical(buf);
        match &mut self.canonical {
            Some(canonical) => canonical.update(&lines),
            None if matches!(lines, Cow::Owned(_)) => {
                self.canonical.insert(self.with_fields.clone()).update(&lines);
            }
            None => {}
        }
        self.body.update(buf);
        self.with_fields.update(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Counts what goes to the wire.
struct Counting<'a> {
    out: &'a mut dyn Write,
    written: u64,
}

impl Write for Counting<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.out.write(buf)?;
        self.written = self.written.saturating_add(u64::try_from(n).unwrap_or(u64::MAX));
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
