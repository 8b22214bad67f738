//! What is recorded of an accepted message for evidence: what the agreement demanded, what was found, whose keys.

use std::fmt::Display;

use crate::as2::{AcceptPolicy, Opened};
use crate::store::record::{CertificateRole, CertificateUse, ContentKey, Evidence, EvidenceStep, Term};

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
    let unsigned = if opened.unknown_signer { "by an unknown signer" } else { "none" };
    let found = signature.map_or(unsigned.to_owned(), |valid| format!("{} {}", valid.scheme(), valid.digest()));
    let schemes = format!("{} {}", list(&policy.schemes), list(&policy.digests));
    let cipher = opened.encrypted.map_or("none".to_owned(), |cipher| cipher.to_string());
    let compressed = if opened.compressed { "zlib" } else { "none" };
    let terms = vec![
        term("signature", policy.require_signature, &schemes, found),
        term("encryption", policy.require_encryption, &list(&policy.ciphers), cipher),
        Term::done("compression", compressed),
        Term::done("mic", &opened.mic.as_ref().map_or("none".to_owned(), ToString::to_string)),
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
    all.iter().map(ToString::to_string).collect::<Vec<String>>().join("|")
}
