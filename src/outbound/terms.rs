//! What is recorded of a composition for evidence: the terms of the agreement at that time, and whose keys.

use crate::as2::{Compression, MdnMode, SendPlan};
use crate::ground::secret::Secret;
use crate::store::record::{CertificateRole, CertificateUse, ContentKey, Evidence, EvidenceStep, Term};

/// The evidence of a message composed by `plan`; `url` is where it goes.
pub(super) fn composed(plan: &SendPlan, content_key: Option<&Secret<Vec<u8>>>, url: &str) -> Evidence {
    let signature = plan.signing.as_ref().map(|signing| format!("{} {}", signing.scheme, signing.digest));
    let encryption =
        plan.encryption.as_ref().map(|encryption| format!("{} {}", encryption.cipher, encryption.transport));
    let compression = match plan.compression {
        Compression::None => "none",
        Compression::BeforeSigning => "before-signing",
        Compression::AfterSigning => "after-signing",
    };
    let done = |name, how: Option<String>| Term::done(name, how.as_deref().unwrap_or("none"));
    let signer = plan.signing.iter().map(|signing| (CertificateRole::Signer, signing.key.certificate.fingerprint()));
    let recipients = plan.encryption.iter().flat_map(|encryption| &encryption.recipients);
    let recipients = recipients.map(|certificate| (CertificateRole::Recipient, certificate.fingerprint()));
    Evidence {
        step: EvidenceStep::Composed,
        terms: vec![
            done("signature", signature),
            done("encryption", encryption),
            Term::done("compression", compression),
            mdn(plan),
        ],
        certificates: signer
            .chain(recipients)
            .map(|(role, fingerprint)| CertificateUse { role, fingerprint: fingerprint.to_string() })
            .collect(),
        content_key: content_key.map(|key| ContentKey::new(key.expose())),
        remote: Some(url.to_owned()),
        at_home: false,
        ahead: 0,
    }
}

/// The receipt asked for; whether it came is told by the receipt.
fn mdn(plan: &SendPlan) -> Term {
    let mode = match &plan.mdn.mode {
        MdnMode::None => return Term::done("mdn", "none"),
        MdnMode::Sync => "sync".to_owned(),
        MdnMode::Async { url } => format!("async to {url}"),
    };
    let signed = if plan.mdn.signed { "signed" } else { "unsigned" };
    Term { name: "mdn".to_owned(), demanded: format!("{mode}, {signed}"), found: "asked for".to_owned(), met: true }
}
