//! Was what is about to leave encrypted to a certificate that its issuer has taken back since?
//!
//! Messages are composed when they are taken, and may wait for long: for a partner that is down, for a window, for a person.
//! What may have arrived already is sent again all the same: that gives nothing away that was not given before, and a new
//! business message in its place could make the partner do it twice.
//!
//! The partner's file may hold another certificate by then. The store has the one that was encrypted to, so the revocation lists are
//! asked about it as well: whoever replaces a revoked certificate must not make it count again.

use std::io;

use super::Outbound;
use crate::bilingual;
use crate::cms::Certificate;
use crate::ground::drain;
use crate::partner::Partner;
use crate::store::record::{CertificateRole, EvidenceStep, Message, Reason};

impl Outbound {
    /// Why a message that nobody has seen yet must not be seen: its envelope is for a key that does not count any more.
    ///
    /// # Errors
    /// A certificate that the store may have cannot be read for now.
    pub(super) async fn encrypted_to_revoked(
        &self,
        partner: &Partner,
        message: &Message,
    ) -> io::Result<Option<Reason>> {
        if !message.reach.is_none(message.attempts) {
            return Ok(None);
        }
        let composed = message.evidence.iter().rfind(|evidence| evidence.step == EvidenceStep::Composed);
        let Some(composed) = composed else { return Ok(None) };
        for recipient in composed.certificates.iter().filter(|one| one.role == CertificateRole::Recipient) {
            if self.is_revoked(partner, &recipient.fingerprint).await? {
                return Ok(Some(certificate_revoked()));
            }
        }
        Ok(None)
    }

    /// Whether the certificate with this fingerprint is taken back, be it configured still or replaced. One that was
    /// replaced and that the store does not have cannot be judged: messages to it go on as they were composed.
    async fn is_revoked(&self, partner: &Partner, fingerprint: &str) -> io::Result<bool> {
        let (held, fingerprint) = (&partner.certificates, fingerprint.to_owned());
        let configured: Vec<bool> = held
            .certificates()
            .iter()
            .filter(|one| one.certificate.fingerprint().to_string() == fingerprint)
            .map(|one| one.revoked)
            .collect();
        if !configured.is_empty() || !held.has_revocation_lists() {
            return Ok(configured.contains(&true));
        }
        let store = self.store.clone();
        let kept =
            drain::blocking(move || store.look_for_certificate(&fingerprint)).await.map_err(io::Error::other)??;
        let kept = kept.and_then(|der| Certificate::from_der(&der).ok());
        Ok(kept.is_some_and(|kept| held.is_revoked(&kept)))
    }
}

fn certificate_revoked() -> Reason {
    let text = bilingual!(
        "报文已按加密证书加密，而该证书随后被签发者吊销，因此未发送。若 [[certificates]] 中还没有对方的新证书，请向对方索取并加入，再执行 dxgate messages resend：系统会用新证书重新组装。",
        "the message was encrypted to a certificate that its issuer has revoked since, so it was not sent. Ask the partner for a new one and add it under [[certificates]], unless it is there already, then dxgate messages resend: it is composed anew with that one."
    );
    Reason { code: "certificate-revoked".to_owned(), text }
}

#[cfg(test)]
#[path = "revoked_tests.rs"]
mod tests;
