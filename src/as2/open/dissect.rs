//! Taking a kept message or MDN apart again, years later: what was signed, the signature, the payload.
//!
//! The walk is that of [`open`](super::open), with these differences: nothing is demanded, the envelope may be opened by
//! the content key that was kept, and the octets that the MIC covers come out beside the payload. Its result is for
//! evidence alone; nothing is answered to anybody.

use std::io::{BufReader, Read, Write};

use super::super::AcceptPolicy;
use super::super::error::OpenError;
use super::head::Head;
use super::layers::{Again, Walk};
use super::{Form, OpenKeys};
use crate::cms::{ContentCipher, DigestAlgorithm, Digests, SignatureScheme, SignatureValid};
use crate::ground::limits::Limits;
use crate::mime::Headers;

/// Where the parts go.
pub struct Outlets<'a> {
    /// The octets that the MIC covers (the table of [`mic`](super::super::mic)); of a signed message, what is signed.
    pub covered: &'a mut dyn Write,
    /// The CMS structure of the signature, DER or BER; an opaque one has the signed octets inside as well.
    pub signature: &'a mut dyn Write,
    /// The payload without transfer encoding.
    pub payload: &'a mut dyn Write,
}

/// What a message or MDN turned out to be.
#[derive(Debug)]
pub struct Dissected {
    /// The proof of the signature, if there is one; it holds against the certificates given.
    pub signature: Option<SignatureValid>,
    /// The content cipher, if it was encrypted.
    pub encrypted: Option<ContentCipher>,
    /// It was compressed.
    pub compressed: bool,
    /// The digests of the octets that the MIC covers, in every algorithm.
    pub digests: Digests,
    /// SHA-256 of the payload.
    pub payload_sha256: [u8; 32],
}

/// Takes a message apart: `headers` and `body` as they travelled. `content_key` opens the envelope when it was kept. `form`:
/// what of the first part the signature was found to cover; what comes out is of that form.
///
/// # Errors
/// It is not what it was: a signature that does not hold, a layer that cannot be read, a sink that fails.
pub fn dissect(
    headers: &Headers,
    body: &mut dyn Read,
    keys: &OpenKeys<'_>,
    content_key: Option<&[u8]>,
    limits: &Limits,
    form: Form,
    outlets: Outlets<'_>,
) -> Result<Dissected, OpenError> {
    let policy = AcceptPolicy { unknown_signers: keys.trusted.is_empty(), ..anything() };
    let Outlets { covered, signature, payload } = outlets;
    let again = Again { content_key, covered: Some(covered), signature: Some(signature) };
    let algorithms = DigestAlgorithm::READABLE.to_vec();
    let mut walk = Walk::new(&policy, keys, limits, algorithms, payload).in_form(form).again(again);
    let outcome = walk.message(headers, body);
    let (found, _) = walk.into_found();
    let payload = outcome?;
    Ok(Dissected {
        signature: found.signature,
        encrypted: found.cipher,
        compressed: found.compressed,
        digests: found.digests,
        payload_sha256: payload.sha256,
    })
}

/// The payload in the octets that a MIC covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contained {
    /// Its SHA-256.
    pub sha256: [u8; 32],
    /// It is compressed in there.
    pub compressed: bool,
}

/// Writes the payload that is in `covered`, the octets that [`dissect`] found a MIC to cover, to `payload`. `headers` are
/// those of the POST; `signed`: the message has a signature.
///
/// # Errors
/// A layer cannot be read, the payload is larger than `limits` allow, the sink fails.
pub fn payload_of(
    covered: &mut dyn Read,
    headers: &Headers,
    signed: bool,
    limits: &Limits,
    payload: &mut dyn Write,
) -> Result<Contained, OpenError> {
    let (policy, keys) = (anything(), OpenKeys { decryption: &[], trusted: &[], known: &[] });
    let mut walk = Walk::new(&policy, &keys, limits, Vec::new(), payload);
    // Of a plain message the MIC covers the body alone: what it is, the fields of the POST say.
    let found = if signed || Head::new(headers.clone(), None)?.is_layer() {
        walk.covered_part(&mut BufReader::new(covered), signed)
    } else {
        walk.message(headers, covered)
    };
    let (layers, _) = walk.into_found();
    Ok(Contained { sha256: found?.sha256, compressed: layers.compressed })
}

/// A policy that demands nothing and allows everything.
fn anything() -> AcceptPolicy {
    AcceptPolicy {
        require_signature: false,
        require_encryption: false,
        digests: DigestAlgorithm::READABLE.to_vec(),
        schemes: SignatureScheme::ALL.to_vec(),
        ciphers: ContentCipher::ALL.to_vec(),
        gcm_in_enveloped: true,
        ..AcceptPolicy::default()
    }
}
