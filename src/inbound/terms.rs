//! What is recorded of an accepted message for evidence: what the agreement demanded, what was found, whose keys.

use std::fmt::{Display, Write as _};

use crate::as2::{AcceptPolicy, Mic, Opened};
use crate::store::record::{CertificateRole, CertificateUse, ContentKey, Evidence, EvidenceStep, Message, Term};

/// What is found where nothing is.
const NONE: &str = "none";
/// What is found of a signature that counts for none.
const UNKNOWN_SIGNER: &str = "by an unknown signer";
/// Names of terms from which the MDN can be made again.
const SIGNATURE: &str = "signature";
const MIC: &str = "mic";

/// Where an accepted message came from.
pub(super) struct Provenance {
    /// The address, unless an earlier step says that.
    pub(super) remote: Option<String>,
    /// See [`Evidence::at_home`].
    pub(super) at_home: bool,
    /// See [`Evidence::ahead`].
    pub(super) ahead: u64,
}

/// The evidence of a message that was opened under `policy`.
pub(super) fn accepted(policy: &AcceptPolicy, opened: &Opened, provenance: Provenance) -> Evidence {
    let signature = opened.signature.as_ref();
    let unsigned = if opened.unknown_signer { UNKNOWN_SIGNER } else { NONE };
    let found = signature.map_or(unsigned.to_owned(), |valid| format!("{} {}", valid.scheme(), valid.digest()));
    let schemes = format!("{} {}", list(&policy.schemes), list(&policy.digests));
    let cipher = opened.encrypted.map_or(NONE.to_owned(), |cipher| cipher.to_string());
    let compressed = if opened.compressed { "zlib" } else { NONE };
    let terms = vec![
        term(SIGNATURE, policy.require_signature, &schemes, found),
        term("encryption", policy.require_encryption, &list(&policy.ciphers), cipher),
        Term::done("compression", compressed),
        Term::done(MIC, &opened.mic.as_ref().map_or(NONE.to_owned(), ToString::to_string)),
    ];
    let signer = signature.map(|valid| (CertificateRole::Signer, valid.signer()));
    let recipient = opened.recipient.map(|recipient| (CertificateRole::Recipient, recipient));
    let certificates = signer.into_iter().chain(recipient);
    Evidence {
        step: EvidenceStep::Accepted,
        terms,
        certificates: certificates
            .map(|(role, fingerprint)| CertificateUse { role, fingerprint: fingerprint.to_string() })
            .collect(),
        content_key: opened.content_key.as_ref().map(|key| ContentKey::new(key.expose())),
        remote: provenance.remote,
        at_home: provenance.at_home,
        ahead: provenance.ahead,
    }
}

/// What the MDN of an accepted message has to say: whether its signature was by somebody unknown, and its MIC. `None`: an
/// earlier program accepted it, whose record does not tell.
pub(super) fn read_back(message: &Message) -> Option<(bool, Option<Mic>)> {
    let accepted = message.evidence.iter().rev().find(|evidence| evidence.step == EvidenceStep::Accepted)?;
    let found = |name: &str| accepted.terms.iter().find(|term| term.name == name).map(|term| term.found.as_str());
    let mic = match found(MIC)? {
        NONE => None,
        mic => Some(mic.parse().ok()?),
    };
    Some((found(SIGNATURE)? == UNKNOWN_SIGNER, mic))
}

/// The evidence of bytes that were taken and are opened later.
pub(super) fn received(remote: String) -> Evidence {
    Evidence {
        step: EvidenceStep::Received,
        terms: Vec::new(),
        certificates: Vec::new(),
        content_key: None,
        remote: Some(remote),
        at_home: false,
        ahead: 0,
    }
}

/// A message is only accepted when its agreement is met, so every term is.
fn term(name: &str, required: bool, allowed: &str, found: String) -> Term {
    let demanded = if required { format!("required: {allowed}") } else { format!("allowed: {allowed}") };
    Term { name: name.to_owned(), demanded, found, met: true }
}

fn list<T: Display>(all: &[T]) -> String {
    let mut text = String::new();
    for (number, one) in all.iter().enumerate() {
        let separator = if number == 0 { "" } else { "|" };
        // A string takes whatever is written.
        let _ = write!(text, "{separator}{one}");
    }
    text
}
