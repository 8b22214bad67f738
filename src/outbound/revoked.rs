//! Was what is about to leave encrypted to a certificate that its issuer has taken back since?
//!
//! Messages are composed when they are taken, and may wait for long: for a partner that is down, for a window, for a person.
//! What may have arrived already is sent again all the same: that gives nothing away that was not given before, and a new
//! business message in its place could make the partner do it twice.

use crate::bilingual;
use crate::partner::Partner;
use crate::store::record::{CertificateRole, EvidenceStep, Message, Reason};

/// Why a message that nobody has seen yet must not be seen: its envelope is for a key that does not count any more.
pub(super) fn encrypted_to_revoked(partner: &Partner, message: &Message) -> Option<Reason> {
    let revoked = partner.certificates.revoked();
    if revoked.is_empty() || !message.reach.is_none(message.attempts) {
        return None;
    }
    let composed = message.evidence.iter().rfind(|evidence| evidence.step == EvidenceStep::Composed)?;
    let recipients = composed.certificates.iter().filter(|one| one.role == CertificateRole::Recipient);
    let mut fingerprints = recipients.map(|recipient| recipient.fingerprint.as_str());
    fingerprints.any(|one| revoked.iter().any(|taken| taken.certificate.fingerprint().to_string() == one)).then(|| {
        let text = bilingual!(
            "报文已按加密证书加密，而该证书随后被签发者吊销，因此未发送。请向对方索取新证书并加入 [[certificates]]，再执行 dxgate messages resend：系统会用新证书重新组装。",
            "the message was encrypted to a certificate that its issuer has revoked since, so it was not sent. Ask the partner for a new one, add it under [[certificates]], then dxgate messages resend: it is composed anew with that one."
        );
        Reason { code: "certificate-revoked".to_owned(), text }
    })
}
