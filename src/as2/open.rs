//! From the wire to the payload (RFC 4130 5 and 7.3.1, RFC 5402, RFC 8551).
//!
//! The layers come in one order only: an envelope outermost if at all, then at most one compression before or inside
//! at most one signature, then the payload's entity (in some envelopes the payload alone: `layers::bare`). `layers`
//! peels them in one streaming pass: the payload reaches the sink while the digest of the signed octets is still
//! running, so nothing the sink got counts before [`open`] returns `Ok`.
//!
//! **What the partner is told.** The receipt of an encrypted message can serve as a decryption oracle. Therefore, once
//! an envelope with a cipher without integrity (CBC) was read and until a signature by a pinned certificate was
//! verified, every failure gives the same disposition, the same sentence and no digest. A signature on the plaintext,
//! or an AEAD tag, proves that nobody plays with the ciphertext: from there on the answer may be specific. A failure
//! inside a signed part is therefore kept until the signature has been checked, and a bad signature outranks it.
//! Success is an answer too, so octets that the signature does not cover may not decide about it: see `layers`.

use std::io::{Read, Write};

use super::error::{OpenError, UNIFORM_EXPLANATION};
use super::{AcceptPolicy, Disposition, Mic, PolicyMet, Request};
use crate::cms::{
    Certificate, ContentCipher, DecryptionKey, DigestAlgorithm, Fingerprint, SignatureError, SignatureValid,
};
use crate::ground::limits::Limits;
use crate::ground::secret::Secret;
use crate::mime::FileName;

mod dissect;
mod head;
mod layers;
mod readers;

pub use dissect::{Contained, Dissected, Outlets, dissect, payload_of};
pub use head::{is_enveloped, says_enveloped};

use layers::{Found, Walk};

#[cfg(test)]
mod tests;

/// The keys a message from this partner may need.
#[derive(Debug, Clone, Copy)]
pub struct OpenKeys<'a> {
    /// Our decryption keys: current, and during a rollover the previous one.
    pub decryption: &'a [DecryptionKey],
    /// The partner's signing certificates that are valid now.
    pub trusted: &'a [Certificate],
    /// Certificates that may come with a signature, whatever they are for: nothing is believed for them.
    pub known: &'a [Certificate],
}

/// A message that satisfies its policy. The payload is in the sink.
#[derive(Debug)]
pub struct Opened {
    /// `Content-Type` of the payload, printable.
    pub content_type: Option<String>,
    /// The payload's file name as the partner gave it, and made safe.
    pub file_name: Option<FileName>,
    /// Bytes of the payload.
    pub payload_len: u64,
    /// SHA-256 of the payload.
    pub payload_sha256: [u8; 32],
    /// The digest for the receipt; `None` when none of the algorithms asked for is supported.
    pub mic: Option<Mic>,
    /// The proof of the signature, if the message is signed.
    pub signature: Option<SignatureValid>,
    /// It is signed by none of the partner's certificates, and the agreement takes that for unsigned.
    pub unknown_signer: bool,
    /// The content cipher, if the message was encrypted.
    pub encrypted: Option<ContentCipher>,
    /// Whose private key opened the envelope.
    pub recipient: Option<Fingerprint>,
    /// Opens the envelope again, for evidence of what was signed inside.
    pub content_key: Option<Secret<Vec<u8>>>,
    /// The message was compressed.
    pub compressed: bool,
    /// The proof that the agreement's demands are met.
    pub policy: PolicyMet,
}

/// A message that was not accepted. What the sink got must be thrown away.
#[derive(Debug)]
pub struct OpenFailure {
    /// For the MDN. When [`OpenError::is_ours`], better answer 503 without MDN: the message may be good.
    pub told: Disposition,
    /// For the human-readable part of the MDN: a fixed sentence.
    pub explanation: &'static str,
    /// The digest of what was received, for the MDN: RFC 4130 7.3.1 wants it whatever became of the message. `None` where
    /// it was not read to its end, and where it came in an envelope and nothing proves that it came from there untouched.
    pub mic: Option<Box<Mic>>,
    /// For the operator and the log alone.
    pub cause: OpenError,
    /// The partner is not told why: see the module head.
    pub veiled: bool,
    /// The signature does not fit the octets that came, but may fit them in [canonical form](open_canonical).
    pub lines_may_differ: bool,
}

/// What of the first part of a `multipart/signed` its signature covers. Whatever it covers is what is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// The octets as they came.
    #[default]
    AsReceived,
    /// Lines that end in CR LF (RFC 1847 2.1, RFC 8551 3.1.1): products on Bouncy Castle and JavaMail (OpenAS2, phase2,
    /// mendelson) sign this of text and send it with the line ends of the file; a relay may change them as well.
    CanonicalLines,
    /// All but the last line end: what libas2 signs of a receipt.
    WithoutLastLineEnd,
}

impl Form {
    /// Every form, the usual one first.
    pub const ALL: [Form; 3] = [Form::AsReceived, Form::CanonicalLines, Form::WithoutLastLineEnd];
}

impl OpenFailure {
    /// A key or a signature did not fit, or nobody is told what did not: what somebody who guesses brings about. Whatever
    /// is answered alike is one and the same here, so that counting these teaches nothing either.
    pub fn is_cryptographic(&self) -> bool {
        let by_cause = matches!(self.cause, OpenError::Cipher(_) | OpenError::Decryption(_) | OpenError::Signature(_));
        self.veiled || by_cause
    }

    /// [`open_as_named`] did not compute the digest that the signature was made with.
    pub fn is_misnamed(&self, policy: &AcceptPolicy) -> bool {
        match &self.cause {
            OpenError::Signature(SignatureError::DigestNotComputed(digest)) => policy.digests.contains(digest),
            _ => false,
        }
    }
}

/// Opens a message: decrypts, decompresses, verifies under `policy`, and writes the payload to `sink`.
///
/// `body` is the HTTP body without transfer coding. On failure the content of the sink must be discarded: it was not
/// authenticated, not even when the failure came late.
pub fn open(
    request: &Request,
    body: &mut dyn Read,
    policy: &AcceptPolicy,
    keys: &OpenKeys<'_>,
    limits: &Limits,
    sink: &mut dyn Write,
) -> Result<Opened, OpenFailure> {
    open_with(request, body, policy, keys, limits, sink, Way::All)
}

/// [`open`] for a message whose failure said that its lines [may differ](OpenFailure::lines_may_differ): the signature is
/// held against the signed part with lines that end in CR LF, and the payload, the MIC and everything else are read from
/// that: from what was verified.
pub fn open_canonical(
    request: &Request,
    body: &mut dyn Read,
    policy: &AcceptPolicy,
    keys: &OpenKeys<'_>,
    limits: &Limits,
    sink: &mut dyn Write,
) -> Result<Opened, OpenFailure> {
    open_with(request, body, policy, keys, limits, sink, Way::Canonical)
}

/// [`open`] that computes only the digests which a `multipart/signed` names in its `micalg`, and that of the receipt.
/// Should the signature have been made with another one, the failure [says so](OpenFailure::is_misnamed) and the
/// message is to be opened anew, by [`open`]: a long message is seldom hashed in vain.
pub fn open_as_named(
    request: &Request,
    body: &mut dyn Read,
    policy: &AcceptPolicy,
    keys: &OpenKeys<'_>,
    limits: &Limits,
    sink: &mut dyn Write,
) -> Result<Opened, OpenFailure> {
    open_with(request, body, policy, keys, limits, sink, Way::AsNamed)
}

/// Which digests of which octets are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// All that the agreement allows.
    All,
    /// Those of them that `micalg` names.
    AsNamed,
    /// All, over canonical lines.
    Canonical,
}

fn open_with(
    request: &Request,
    body: &mut dyn Read,
    policy: &AcceptPolicy,
    keys: &OpenKeys<'_>,
    limits: &Limits,
    sink: &mut dyn Write,
    way: Way,
) -> Result<Opened, OpenFailure> {
    let choice = MicChoice::new(request, policy);
    let mut walk = Walk::new(policy, keys, limits, choice.algorithms(policy), sink);
    walk.refuse_receipts();
    match way {
        Way::All => {}
        Way::AsNamed => walk.hash_as_named(choice.preferred),
        Way::Canonical => walk = walk.in_form(Form::CanonicalLines),
    }
    let outcome = walk.message(&request.headers, body);
    let (found, veiled) = walk.into_found();
    let lines_may_differ = way != Way::Canonical && found.lines_may_differ;
    let untouched = !veiled && found.cipher.is_none_or(|cipher| found.tag_holds || !cipher.is_aead());
    let failure = |cause| {
        let mic = if untouched { choice.mic(&found).map(Box::new) } else { None };
        OpenFailure { mic, ..failure(cause, veiled, lines_may_differ) }
    };
    let payload = outcome.map_err(failure)?;
    let policy = check_policy(policy, &found).map_err(failure)?;
    Ok(Opened {
        content_type: payload.content_type,
        file_name: payload.file_name,
        payload_len: payload.len,
        payload_sha256: payload.sha256,
        mic: choice.mic(&found),
        signature: found.signature,
        unknown_signer: found.unknown_signer,
        encrypted: found.cipher,
        recipient: found.recipient,
        content_key: found.content_key,
        compressed: found.compressed,
        policy,
    })
}

/// What the partner and the operator get to know about `cause`. `veiled`: see the module head.
fn failure(cause: OpenError, veiled: bool, lines_may_differ: bool) -> OpenFailure {
    let content_differs = match &cause {
        OpenError::Signature(cause) => cause.is_about_content(),
        _ => false,
    };
    let lines_may_differ = lines_may_differ && content_differs;
    let (told, explanation) = match veiled {
        true => (Disposition::decryption_failed(), UNIFORM_EXPLANATION),
        false => (cause.told(), cause.explanation()),
    };
    OpenFailure { told, explanation, mic: None, cause, veiled, lines_may_differ }
}

/// The agreement against what was found; the layers have checked the same on their way, but only this mints the proof.
fn check_policy(policy: &AcceptPolicy, found: &Found) -> Result<PolicyMet, OpenError> {
    match &found.signature {
        Some(signature) if !policy.digests.contains(&signature.digest()) => {
            return Err(OpenError::Digest(signature.digest()));
        }
        Some(signature) if !policy.schemes.contains(&signature.scheme()) => {
            return Err(OpenError::Scheme(signature.scheme()));
        }
        None if policy.require_signature => return Err(OpenError::NotSigned),
        Some(_) | None => {}
    }
    match found.cipher {
        Some(cipher) if !policy.ciphers.contains(&cipher) => Err(OpenError::Cipher(cipher)),
        None if policy.require_encryption => Err(OpenError::NotEncrypted),
        Some(_) | None => Ok(PolicyMet::assertion()),
    }
}

/// In which algorithm the receipt's digest is given (RFC 4130 7.4.3).
///
/// Signed: that of the signature unless the sender's list excludes it, or the agreement says otherwise. Else the first listed algorithm that we
/// support, or the agreement's where nothing is listed. A list for no signature with nothing of use in it is none.
struct MicChoice {
    listed: Option<Vec<DigestAlgorithm>>,
    preferred: Option<DigestAlgorithm>,
    /// The list counts more than the signature.
    as_listed: bool,
}

impl MicChoice {
    fn new(request: &Request, policy: &AcceptPolicy) -> MicChoice {
        let options = request.mdn.as_ref().map(|mdn| &mdn.options);
        let options = options.filter(|options| options.signed || options.preferred(&policy.mic_algorithms).is_some());
        match options {
            Some(options) => MicChoice {
                listed: Some(options.micalgs.clone()),
                preferred: options.preferred(&policy.mic_algorithms),
                as_listed: policy.mic_as_listed,
            },
            None => MicChoice { listed: None, preferred: Some(policy.mic_unlisted), as_listed: false },
        }
    }

    /// Everything that may be needed, because the signature's digest is known only at the end.
    fn algorithms(&self, policy: &AcceptPolicy) -> Vec<DigestAlgorithm> {
        policy.digests.iter().copied().chain(self.preferred).collect()
    }

    fn mic(&self, found: &Found) -> Option<Mic> {
        let excluded = |digest: &DigestAlgorithm| self.listed.as_ref().is_some_and(|listed| !listed.contains(digest));
        let signature = found.signature.as_ref().map(SignatureValid::digest);
        let signature = signature.filter(|digest| !excluded(digest) && !self.as_listed);
        let algorithm = signature.or(self.preferred)?;
        let value = found.digests.of(algorithm)?.to_vec();
        Some(Mic { algorithm, value })
    }
}
