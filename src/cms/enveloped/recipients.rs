//! The recipients of an envelope: whose entry is ours, and how the content key stands in it.

use std::io::Read;

use crate::cms::algorithm::{algorithm_identifier, is_null};
use crate::cms::ber::BerReader;
use crate::cms::der::{self, DerError, Fields, Tlv};
use crate::cms::ecdh::{curve_oid, point_len};
use crate::cms::key_transport::{AgreementScheme, KeyWrap};
use crate::cms::{Certificate, CmsError, DecryptionKey, DigestAlgorithm, KeyKind, KeyTransport, identifies, oid};
use crate::ground::limits::Limits;

/// Tag of KeyAgreeRecipientInfo among RecipientInfos (RFC 5652 6.2).
const KEY_AGREEMENT: u8 = der::context_constructed(1);

/// The recipient entry that names one of our certificates.
pub(super) struct Entry<'k> {
    pub(super) key: &'k DecryptionKey,
    /// `None`: a way we do not know.
    pub(super) transport: Option<KeyTransport>,
    pub(super) sealed: Sealed,
}

impl Entry<'_> {
    /// Our key may be used so.
    fn may_open(&self) -> bool {
        self.transport.is_some_and(|transport| may_open(self.key, transport))
    }
}

/// The content key as it stands in the message.
pub(super) enum Sealed {
    /// Under our RSA or SM2 key; for OAEP with the digest of its MGF1.
    Transported { encrypted: Vec<u8>, mgf: Option<DigestAlgorithm> },
    /// Under a key agreed with our EC key.
    Agreed(Agreement),
}

/// What key agreement needs besides our key.
pub(super) struct Agreement {
    /// The sender's public key of this message.
    pub(super) point: Vec<u8>,
    pub(super) user_keying_material: Option<Vec<u8>>,
    pub(super) wrap: KeyWrap,
    /// AlgorithmIdentifier of the key wrap.
    pub(super) key_info: Vec<u8>,
    pub(super) wrapped: Vec<u8>,
}

/// Reads every RecipientInfo and keeps the first that is ours and that our key may be used with, or else the first that is ours: by
/// what stands there and in our configuration, before any key is used. Kinds other than key transport and key agreement are passed
/// over untouched: no passphrase is hashed on a stranger's parameters.
pub(super) fn read_recipients<'k, R: Read>(
    ber: &mut BerReader<R>,
    keys: &'k [DecryptionKey],
    limits: &Limits,
) -> Result<Option<Entry<'k>>, CmsError> {
    ber.enter(der::SET)?;
    let mut ours: Option<Entry<'k>> = None;
    let mut count = 0usize;
    while let Some(tag) = ber.peek()? {
        count = count.saturating_add(1);
        if count > limits.recipients {
            return Err(CmsError::Malformed("too many recipients"));
        }
        let known = matches!(tag, der::SEQUENCE | KEY_AGREEMENT);
        if !known || ours.as_ref().is_some_and(Entry::may_open) {
            ber.skip()?;
            continue;
        }
        let info = ber.value()?;
        let entry = match tag {
            KEY_AGREEMENT => read_key_agreement(&info, keys, limits),
            _ => read_key_transport(&info, keys),
        };
        ours = match ours {
            None => entry?,
            // What is wrong is told of the first, unless another one will do.
            Some(first) => Some(entry.ok().flatten().filter(Entry::may_open).unwrap_or(first)),
        };
    }
    ber.leave()?;
    Ok(ours)
}

/// KeyTransRecipientInfo (RFC 5652 6.2.1); `None` when it names no certificate of ours.
fn read_key_transport<'k>(info: &[u8], keys: &'k [DecryptionKey]) -> Result<Option<Entry<'k>>, CmsError> {
    let mut fields = Fields::only(info, der::SEQUENCE)?.fields();
    fields.expect(der::INTEGER)?;
    let id = fields.take()?.ok_or(CmsError::Malformed("recipient identifier missing"))?;
    let algorithm = fields.expect(der::SEQUENCE)?;
    let encrypted = fields.expect(der::OCTET_STRING)?.content.to_vec();
    fields.end()?;
    let named = all_named(keys, |certificate| identifies(id.raw, certificate))?;
    if named.is_empty() {
        return Ok(None);
    }
    let (transport, mgf) = KeyTransport::from_identifier(algorithm)?.unzip();
    let key = chosen(&named, |key| transport.is_some_and(|transport| may_open(key, transport)));
    let sealed = Sealed::Transported { encrypted, mgf: mgf.flatten() };
    Ok(key.map(|key| Entry { key, transport, sealed }))
}

/// Our keys that an identifier names: more than one, where a certificate was made anew with the serial number of the old.
fn all_named(
    keys: &[DecryptionKey],
    names: impl Fn(&Certificate) -> Result<bool, DerError>,
) -> Result<Vec<&DecryptionKey>, DerError> {
    let mut named = Vec::new();
    for key in keys {
        if names(&key.certificate)? {
            named.push(key);
        }
    }
    Ok(named)
}

/// The one of them that is used: the first that `fits`, by what stands in the message and in our configuration, or else the
/// first. They are not tried in turn: a message gets one private operation, and nobody learns what others would have yielded.
fn chosen<'k>(named: &[&'k DecryptionKey], fits: impl Fn(&DecryptionKey) -> bool) -> Option<&'k DecryptionKey> {
    let fitting = if named.len() > 1 { named.iter().find(|key| fits(key)) } else { None };
    fitting.or(named.first()).copied()
}

fn may_open(key: &DecryptionKey, transport: KeyTransport) -> bool {
    transport.fits(key.key.kind()) && key.transports.contains(&transport)
}

/// `[1]` KeyAgreeRecipientInfo (RFC 5652 6.2.2, RFC 5753 3.1.1); `None` when it names no certificate of ours.
fn read_key_agreement<'k>(
    info: &[u8],
    keys: &'k [DecryptionKey],
    limits: &Limits,
) -> Result<Option<Entry<'k>>, CmsError> {
    let mut fields = Fields::only(info, KEY_AGREEMENT)?.fields();
    fields.expect(der::INTEGER)?;
    let originator = fields.expect(der::context_constructed(0))?;
    let material = match fields.optional(der::context_constructed(1))? {
        Some(field) => Some(Fields::only(field.content, der::OCTET_STRING)?.content.to_vec()),
        None => None,
    };
    let algorithm = fields.expect(der::SEQUENCE)?;
    let mut encrypted_keys = fields.expect(der::SEQUENCE)?.fields();
    fields.end()?;
    let mut count = 0usize;
    while let Some(encrypted) = encrypted_keys.take()? {
        count = count.saturating_add(1);
        if count > limits.recipients {
            return Err(CmsError::Malformed("too many recipients"));
        }
        let mut encrypted = encrypted.fields();
        let id = encrypted.take()?.ok_or(CmsError::Malformed("recipient identifier missing"))?;
        let wrapped = encrypted.expect(der::OCTET_STRING)?.content;
        encrypted.end()?;
        let named = all_named(keys, |certificate| names_recipient(id, certificate))?;
        if named.is_empty() {
            continue;
        }
        let known = KeyTransport::from_agreement_identifier(algorithm)?;
        let key = chosen(&named, |key| {
            let kind = key.key.kind();
            let point = originator_point(originator, kind).ok().flatten();
            // Uncompressed or, with one coordinate of the two, compressed (SEC 1 2.3.3).
            let lens = [point_len(kind), point_len(kind).div_ceil(2)];
            let on_curve = point.is_some_and(|point| lens.contains(&point.len()));
            on_curve && known.is_some_and(|(transport, ..)| may_open(key, transport))
        });
        return key.map(|key| agreed_entry(key, originator, material, known, wrapped)).transpose();
    }
    Ok(None)
}

/// KeyAgreeRecipientIdentifier: issuer and serial, or `[0]` RecipientKeyIdentifier, of which only the key identifier counts.
fn names_recipient(id: Tlv<'_>, certificate: &Certificate) -> Result<bool, DerError> {
    if id.tag == der::context_constructed(0) {
        let key_id = id.fields().expect(der::OCTET_STRING)?;
        return Ok(certificate.matches_key_id(key_id.content));
    }
    identifies(id.raw, certificate)
}

fn agreed_entry<'k>(
    key: &'k DecryptionKey,
    originator: Tlv<'_>,
    user_keying_material: Option<Vec<u8>>,
    known: Option<AgreementScheme<'_>>,
    wrapped: &[u8],
) -> Result<Entry<'k>, CmsError> {
    let point = originator_point(originator, key.key.kind())?;
    let (Some(point), Some((transport, wrap, key_info))) = (point, known) else {
        let sealed = Sealed::Transported { encrypted: Vec::new(), mgf: None };
        return Ok(Entry { key, transport: None, sealed });
    };
    let (key_info, wrapped) = (key_info.to_vec(), wrapped.to_vec());
    let agreement = Agreement { point, user_keying_material, wrap, key_info, wrapped };
    Ok(Entry { key, transport: Some(transport), sealed: Sealed::Agreed(agreement) })
}

/// The point in `[1]` OriginatorPublicKey, of the curve of our key when it names one; `None` for a sender's certificate
/// (static ECDH), which we do not use, and for another curve.
fn originator_point(originator: Tlv<'_>, kind: KeyKind) -> Result<Option<Vec<u8>>, DerError> {
    let mut choice = originator.fields();
    let Some(public_key) = choice.optional(der::context_constructed(1))? else { return Ok(None) };
    choice.end()?;
    let mut fields = public_key.fields();
    let (algorithm, parameters) = algorithm_identifier(fields.expect(der::SEQUENCE)?)?;
    let bits = fields.expect(der::BIT_STRING)?;
    fields.end()?;
    let curve_fits = match parameters {
        None => true,
        Some(curve) if curve.tag == der::OID => curve.content == curve_oid(kind),
        Some(other) => is_null(&other),
    };
    let point = bits.content.split_first().filter(|(unused, _)| **unused == 0).map(|(_, point)| point.to_vec());
    let point = point.ok_or(DerError("public key"))?;
    Ok(Some(point).filter(|_| algorithm == oid::EC_PUBLIC_KEY && curve_fits && kind.is_elliptic()))
}
