//! SignedData (RFC 5652 5): signing a digest, verifying a detached signature, reading opaque signed data.
//!
//! A signature counts when *all* of this holds:
//!
//! * exactly one SignerInfo, named by issuer and serial or by key identifier of a certificate in `trusted`
//!   (certificates inside the message make nobody known);
//! * `content-type` (id-data) and `message-digest` each occur once in the signed attributes, and the digest is that of
//!   the content;
//! * the signature is right over the signed attributes *as received*, their tag rewritten to SET (RFC 5652 5.4);
//! * the key is RSA of 2048 to 8192 bits with e ≥ 65537, PKCS#1 v1.5 or PSS with the digest of the SignerInfo, or EC on
//!   P-256 or P-384, ECDSA with that digest, or SM2 with SM3 over signed attributes. PSS without parameters is read as MGF1
//!   with that digest and a salt of any length. An ECDSA signature may also name its key for the algorithm, as
//!   Windows does, and an RSA signature's name may stand for its digest.
//!
//! SM2 does not sign a digest but a message, before which it hashes who signs ([`super::sm2`]). Signed attributes are
//! such a message; a content of which only the digest is known is none, so SM2 without signed attributes is refused.
//!
//! A signature without signed attributes covers the content alone (RFC 5652 5.4). An attacker who cuts the attributes
//! off a signature can present them as content; such content starts with a SET tag, which no MIME entity does.
//! [`OpaqueReader`] refuses it; the caller of [`verify_detached`] has it from the entity's grammar, since an entity
//! whose head does not parse never gets here.
//!
//! Some octets of the structure are covered by no signature at all. Where somebody could have changed them (in an envelope without
//! integrity) it has to be asked whether they are [pinned](SignatureValid::is_pinned): `signed::uncovered`.

use std::io::Read;

use jiff::Timestamp;
use openssl::pkey::{PKeyRef, Public};

use super::algorithm::SignatureParameters;
use super::ber::BerReader;
use super::der::{self, Fields};
use super::{
    Certificate, CmsError, DigestAlgorithm, Digests, Fingerprint, SignatureError, SignatureScheme, SigningKey, oid, sm2,
};
use crate::ground::limits::Limits;

mod opaque;
mod parts;
mod uncovered;

pub use opaque::OpaqueReader;
pub use parts::{Apart, signed_attributes};

use uncovered::Uncovered;

/// Proof that a signature over a content digest was checked against a pinned certificate. Minted only here.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct SignatureValid {
    signer: Fingerprint,
    digest: DigestAlgorithm,
    scheme: SignatureScheme,
    content_digest: Vec<u8>,
    signed_digest: Vec<u8>,
    signing_time: Option<Timestamp>,
    unsigned_attributes: bool,
    pinned: bool,
}

impl SignatureValid {
    /// Which of the pinned certificates signed.
    pub fn signer(&self) -> Fingerprint {
        self.signer
    }

    /// The signer's digest algorithm; whether it suffices is the caller's policy.
    pub fn digest(&self) -> DigestAlgorithm {
        self.digest
    }

    /// The signature scheme.
    pub fn scheme(&self) -> SignatureScheme {
        self.scheme
    }

    /// Digest of the content by [`digest`](Self::digest).
    pub fn content_digest(&self) -> &[u8] {
        &self.content_digest
    }

    /// Digest, by [`digest`](Self::digest), of what is signed: the signed attributes, or the content where there are none (RFC 5652
    /// 5.4). A message that is sent again has the same one. Its signature need not be the same: of one by ECDSA, (r, s), anybody can
    /// make another that is right, (r, -s).
    pub fn signed_digest(&self) -> &[u8] {
        &self.signed_digest
    }

    /// What the signer claims as time; recorded, never used to judge validity (RFC 5652 11.3).
    pub fn signing_time(&self) -> Option<Timestamp> {
        self.signing_time
    }

    /// The signature carries unsigned attributes (RFC 5652 5.3): octets that anyone may have put there.
    pub fn has_unsigned_attributes(&self) -> bool {
        self.unsigned_attributes
    }

    /// No octet of the structure but those of unsigned attributes could be another: version numbers, certificates and whatever else
    /// it does not cover are such as nobody could have changed or put there. Looked at by [`verify_detached_pinned`] and
    /// [`OpaqueReader::finish_pinned`] alone, otherwise `false`.
    pub fn is_pinned(&self) -> bool {
        self.pinned
    }
}

/// Signs a content digest: DER of a ContentInfo with SignedData, content absent, and the signed attributes
/// contentType, messageDigest and signingTime (RFC 8551 2.5).
///
/// # Errors
/// [`CmsError::UnusableKey`] when certificate and key do not belong together or `content_digest` has the wrong
/// length; [`CmsError::Primitive`].
pub fn sign_detached(
    digest: DigestAlgorithm,
    content_digest: &[u8],
    key: &SigningKey,
    scheme: SignatureScheme,
    signing_time: Timestamp,
    include_certificate: bool,
) -> Result<Vec<u8>, CmsError> {
    if digest == DigestAlgorithm::Md5 {
        return Err(CmsError::UnusableKey("MD5 is never signed with"));
    }
    if content_digest.len() != digest.size() {
        return Err(CmsError::ContentLength);
    }
    if !scheme.fits(key.key.kind()) {
        return Err(CmsError::UnusableKey("not of the kind that the signature scheme needs"));
    }
    if !scheme.goes_with(digest) {
        return Err(CmsError::UnusableKey("SM2 signs over SM3 only, and nothing else signs over SM3"));
    }
    if !key.key.matches(&key.certificate) {
        return Err(CmsError::UnusableKey("private key and certificate differ"));
    }
    let attributes = der::set_of(vec![
        attribute(oid::CONTENT_TYPE, &der::object_identifier(oid::DATA)),
        attribute(oid::SIGNING_TIME, &der::time(signing_time)),
        attribute(oid::MESSAGE_DIGEST, &der::tlv(der::OCTET_STRING, content_digest)),
    ]);
    let signature = match scheme {
        SignatureScheme::Sm2 => sm2::sign_encoded(key.key.pkey(), &attributes)?,
        _ => key.key.sign(&digest.digest(&attributes), digest, scheme)?,
    };
    let signer_info = der::sequence(&[
        &der::integer(1),
        &key.certificate.issuer_and_serial(),
        &digest.identifier(),
        &retag(&attributes, der::context_constructed(0)),
        &scheme.identifier(digest),
        &der::tlv(der::OCTET_STRING, &signature),
    ]);
    let certificates =
        if include_certificate { der::tlv(der::context_constructed(0), key.certificate.der()) } else { Vec::new() };
    let signed_data = der::sequence(&[
        &der::integer(1),
        &der::set_of(vec![digest.identifier()]),
        &der::sequence(&[&der::object_identifier(oid::DATA)]),
        &certificates,
        &der::set_of(vec![signer_info]),
    ]);
    let content = der::tlv(der::context_constructed(0), &signed_data);
    Ok(der::sequence(&[&der::object_identifier(oid::SIGNED_DATA), &content]))
}

/// Whether this is SignedData that holds its content itself; no more is read than shows it.
pub fn has_content(ber: impl Read) -> bool {
    let limits = Limits::default();
    open_signed_data(&mut BerReader::new(ber, &limits), &limits).is_ok_and(|head| head.has_content)
}

/// Verifies a detached signature (BER or DER) over content whose digests the caller computed. Only digests in
/// `digests` are acceptable, so leaving out SHA-1 refuses it. `trusted` must hold only certificates that count now.
///
/// # Errors
/// [`SignatureError`]; see the module text for what is demanded.
pub fn verify_detached(
    ber: &[u8],
    digests: &Digests,
    trusted: &[Certificate],
    limits: &Limits,
) -> Result<SignatureValid, SignatureError> {
    let (mut reader, _) = open_detached(ber, limits)?;
    let signer = close_signed_data(&mut reader, limits, Uncovered::passed_over())?;
    signer.verify(digests, trusted)
}

/// The same, and finds out whether the structure [is pinned](SignatureValid::is_pinned), beside which `known` certificates may be.
///
/// # Errors
/// As [`verify_detached`]: whether a structure that is not pinned counts is the caller's to say.
pub fn verify_detached_pinned(
    ber: &[u8],
    digests: &Digests,
    (trusted, known): (&[Certificate], &[Certificate]),
    limits: &Limits,
) -> Result<SignatureValid, SignatureError> {
    let (mut reader, head) = open_detached(ber, limits)?;
    let signer = close_signed_data(&mut reader, limits, Uncovered::looked_at(head.foreign).beside(known))?;
    signer.verify(digests, trusted)
}

fn open_detached<'b>(ber: &'b [u8], limits: &Limits) -> Result<(BerReader<&'b [u8]>, SignedHead), SignatureError> {
    let mut reader = BerReader::new(ber, limits);
    let head = open_signed_data(&mut reader, limits)?;
    if head.has_content { Err(SignatureError::ContentPresent) } else { Ok((reader, head)) }
}

/// What precedes the content.
struct SignedHead {
    digests: Vec<DigestAlgorithm>,
    /// The reader stands inside the eContent wrapper.
    has_content: bool,
    /// There are octets that count for nothing and could be others.
    foreign: bool,
}

/// Reads from ContentInfo to the place of eContent (RFC 5652 5.1, 5.2).
fn open_signed_data<R: Read>(ber: &mut BerReader<R>, limits: &Limits) -> Result<SignedHead, SignatureError> {
    ber.enter(der::SEQUENCE)?;
    expect_oid(&ber.value()?, oid::SIGNED_DATA)?;
    ber.enter(der::context_constructed(0))?;
    ber.enter(der::SEQUENCE)?;
    let mut foreign = !read_version(ber)?;
    ber.enter(der::SET)?;
    let mut digests = Vec::new();
    let mut count = 0usize;
    while ber.peek()?.is_some() {
        count = count.saturating_add(1);
        if count > limits.certificates {
            return Err(SignatureError::Malformed("too many digest algorithms"));
        }
        let identifier = ber.value()?;
        let known = DigestAlgorithm::of_signer(Fields::only(&identifier, der::SEQUENCE)?)?;
        foreign |= known.is_none();
        digests.extend(known);
    }
    ber.leave()?;
    ber.enter(der::SEQUENCE)?;
    expect_oid(&ber.value()?, oid::DATA)?;
    let has_content = ber.peek()?.is_some();
    if has_content {
        ber.enter(der::context_constructed(0))?;
    } else {
        ber.leave()?;
    }
    Ok(SignedHead { digests, has_content, foreign })
}

/// Reads a version number, which says nothing that counts here. Returns whether it is one octet, as every one is.
fn read_version<R: Read>(ber: &mut BerReader<R>) -> Result<bool, SignatureError> {
    let version = ber.value()?;
    Ok(Fields::only(&version, der::INTEGER)?.content.len() == 1)
}

/// Reads from behind encapContentInfo to the end: the one SignerInfo, and what is to be noted of everything beside it.
fn close_signed_data<R: Read>(
    ber: &mut BerReader<R>,
    limits: &Limits,
    mut uncovered: Uncovered,
) -> Result<SignerInfo, SignatureError> {
    for tag in [der::context_constructed(0), der::context_constructed(1)] {
        if ber.peek()? == Some(tag) {
            uncovered.read_set(ber, tag, limits)?;
        }
    }
    ber.enter(der::SET)?;
    if ber.peek()?.is_none() {
        return Err(SignatureError::NotOneSigner);
    }
    let signer = read_signer_info(ber, limits, uncovered)?;
    if ber.peek()?.is_some() {
        return Err(SignatureError::NotOneSigner);
    }
    for _ in 0..4 {
        ber.leave()?;
    }
    ber.end()?;
    Ok(signer)
}

/// One SignerInfo (RFC 5652 5.3), its parts normalised to DER.
struct SignerInfo {
    sid: Vec<u8>,
    digest: DigestAlgorithm,
    attributes: Option<Vec<u8>>,
    parameters: SignatureParameters,
    signature: Vec<u8>,
    unsigned_attributes: bool,
    uncovered: Uncovered,
    /// See [`Apart::is_odd`].
    odd: bool,
}

fn read_signer_info<R: Read>(
    ber: &mut BerReader<R>,
    limits: &Limits,
    mut uncovered: Uncovered,
) -> Result<SignerInfo, SignatureError> {
    ber.enter(der::SEQUENCE)?;
    uncovered.note(!read_version(ber)?);
    let sid = ber.value()?;
    let named = ber.value()?;
    let named = Fields::only(&named, der::SEQUENCE)?;
    let digest = DigestAlgorithm::of_signer(named)?.ok_or(SignatureError::UnknownDigest)?;
    let by_signature = DigestAlgorithm::from_identifier(named)? != Some(digest);
    let attributes = match ber.peek()? {
        Some(tag) if tag == der::context_constructed(0) => Some(counted(ber.value()?, limits)?),
        _ => None,
    };
    let algorithm = ber.value()?;
    let algorithm = Fields::only(&algorithm, der::SEQUENCE)?;
    uncovered.note(uncovered::names_other_curve(algorithm));
    let parameters = SignatureParameters::from_identifier(algorithm, digest)?;
    let parameters = parameters.ok_or(SignatureError::UnknownScheme)?;
    let signature = ber.value()?;
    let signature = Fields::only(&signature, der::OCTET_STRING)?.content.to_vec();
    let unsigned_attributes = ber.peek()? == Some(der::context_constructed(1));
    if unsigned_attributes {
        skip_attributes(ber, limits)?;
    }
    ber.leave()?;
    let unsaid = matches!(parameters, SignatureParameters::Sm2 | SignatureParameters::Pss { salt: None, .. });
    let odd = by_signature || unsaid;
    Ok(SignerInfo { sid, digest, attributes, parameters, signature, unsigned_attributes, uncovered, odd })
}

/// Signed attributes, if they are not too many.
fn counted(attributes: Vec<u8>, limits: &Limits) -> Result<Vec<u8>, SignatureError> {
    let mut fields = Fields::only(&attributes, der::context_constructed(0))?.fields();
    for _ in 0..=limits.attributes {
        if fields.take()?.is_none() {
            return Ok(attributes);
        }
    }
    Err(SignatureError::Malformed("too many attributes"))
}

/// Unsigned attributes say nothing that counts here.
fn skip_attributes<R: Read>(ber: &mut BerReader<R>, limits: &Limits) -> Result<(), SignatureError> {
    ber.enter(der::context_constructed(1))?;
    let mut count = 0usize;
    while ber.peek()?.is_some() {
        count = count.saturating_add(1);
        if count > limits.attributes {
            return Err(SignatureError::Malformed("too many attributes"));
        }
        ber.skip()?;
    }
    Ok(ber.leave()?)
}

impl SignerInfo {
    fn verify(&self, digests: &Digests, trusted: &[Certificate]) -> Result<SignatureValid, SignatureError> {
        let content_digest = digests.of(self.digest).ok_or(SignatureError::DigestNotComputed(self.digest))?;
        let signed = self.signed_attributes(content_digest)?;
        if signed.is_none() && self.parameters == SignatureParameters::Sm2 {
            return Err(SignatureError::Attributes("SM2 without signed attributes"));
        }
        let (digest, signing_time) = match &signed {
            Some(signed) => (self.digest.digest(&signed.set), signed.signing_time),
            None => (content_digest.to_vec(), None),
        };
        let is_by = |certificate: &Certificate, key: &PKeyRef<Public>| match (self.parameters, &signed) {
            (SignatureParameters::Sm2, Some(signed)) => sm2::verifies_encoded(key, &signed.set, &self.signature),
            _ => certificate.contexts().is_signature(key, self.parameters, self.digest, &digest, &self.signature),
        };
        let mut named = trusted.iter().filter(|certificate| self.names(certificate)).peekable();
        if named.peek().is_none() {
            return Err(SignatureError::UnknownSigner);
        }
        // Issuer and serial may name two pinned certificates (a renewed one with the same serial); the key decides.
        let mut refusal = SignatureError::BadSignature;
        for certificate in named {
            let Some((_, key)) = certificate.key().filter(|(kind, _)| self.scheme().fits(*kind)) else {
                refusal = SignatureError::WeakKey;
                continue;
            };
            if is_by(certificate, key) {
                return Ok(SignatureValid {
                    signer: certificate.fingerprint(),
                    digest: self.digest,
                    scheme: self.scheme(),
                    content_digest: content_digest.to_vec(),
                    signed_digest: digest.clone(),
                    signing_time,
                    unsigned_attributes: self.unsigned_attributes,
                    pinned: self.uncovered.is_pinned(certificate, trusted),
                });
            }
        }
        Err(refusal)
    }

    fn scheme(&self) -> SignatureScheme {
        match self.parameters {
            SignatureParameters::Pkcs1 => SignatureScheme::RsaPkcs1,
            SignatureParameters::Pss { .. } => SignatureScheme::RsaPss,
            SignatureParameters::Ecdsa => SignatureScheme::Ecdsa,
            SignatureParameters::Sm2 => SignatureScheme::Sm2,
        }
    }

    /// SignerIdentifier (RFC 5652 5.3): issuer and serial, or `[0]` key identifier.
    fn names(&self, certificate: &Certificate) -> bool {
        super::identifies(&self.sid, certificate).unwrap_or(false)
    }

    fn has_attributes(&self) -> bool {
        self.attributes.is_some()
    }

    /// Checks the attributes against the content (RFC 5652 5.4, 5.6, 11.1, 11.2). `None` when there are none.
    fn signed_attributes(&self, content_digest: &[u8]) -> Result<Option<SignedAttributes>, SignatureError> {
        let Some(received) = &self.attributes else { return Ok(None) };
        let mut content_type = Once::default();
        let mut message_digest = Once::default();
        let mut signing_time = Once::default();
        let mut attributes = Fields::only(received, der::context_constructed(0))?.fields();
        while let Some(attribute) = attributes.take()? {
            let mut fields = attribute.fields();
            let kind = fields.expect(der::OID)?;
            let values = fields.expect(der::SET)?;
            fields.end()?;
            match kind.content {
                oid::CONTENT_TYPE => content_type.set(values.content)?,
                oid::MESSAGE_DIGEST => message_digest.set(values.content)?,
                oid::SIGNING_TIME => signing_time.set(values.content)?,
                _ => {}
            }
        }
        let content_type = content_type.0.ok_or(SignatureError::Attributes("content type missing"))?;
        let message_digest = message_digest.0.ok_or(SignatureError::Attributes("message digest missing"))?;
        if Fields::only(content_type, der::OID)?.content != oid::DATA {
            return Err(SignatureError::Attributes("content type is not data"));
        }
        let message_digest = Fields::only(message_digest, der::OCTET_STRING)?.content;
        if message_digest.len() != content_digest.len() || !openssl::memcmp::eq(message_digest, content_digest) {
            return Err(SignatureError::DigestMismatch);
        }
        let signing_time = signing_time.0.map(read_time).transpose()?;
        Ok(Some(SignedAttributes { set: retag(received, der::SET), signing_time }))
    }
}

/// Attributes that agree with the content; the signature over `set` is still to be checked.
struct SignedAttributes {
    set: Vec<u8>,
    signing_time: Option<Timestamp>,
}

/// The values of an attribute that may occur once.
#[derive(Default)]
struct Once<'a>(Option<&'a [u8]>);

impl<'a> Once<'a> {
    fn set(&mut self, values: &'a [u8]) -> Result<(), SignatureError> {
        match self.0.replace(values) {
            None => Ok(()),
            Some(_) => Err(SignatureError::Attributes("attribute repeated")),
        }
    }
}

fn read_time(values: &[u8]) -> Result<Timestamp, SignatureError> {
    let mut fields = Fields::new(values);
    let value = fields.take()?.ok_or(SignatureError::Attributes("signing time empty"))?;
    fields.end()?;
    Ok(value.time()?)
}

fn attribute(kind: &[u8], value: &[u8]) -> Vec<u8> {
    der::sequence(&[&der::object_identifier(kind), &der::tlv(der::SET, value)])
}

/// The same value under another one-byte tag.
fn retag(value: &[u8], tag: u8) -> Vec<u8> {
    let mut out = value.to_vec();
    if let Some(first) = out.first_mut() {
        *first = tag;
    }
    out
}

fn expect_oid(value: &[u8], expected: &[u8]) -> Result<(), SignatureError> {
    if Fields::only(value, der::OID)?.content == expected {
        Ok(())
    } else {
        Err(SignatureError::Malformed("another content type than expected"))
    }
}

#[cfg(test)]
#[path = "signed_tests.rs"]
mod tests;
