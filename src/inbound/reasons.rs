//! What is said of messages that are not delivered.

use crate::bilingual;
use crate::ground::id::Id;
use crate::ground::text::Bilingual;
use crate::store::record::Reason;

/// The signer is one whose certificate was taken back.
pub(super) fn signed_by_revoked() -> Bilingual {
    bilingual!(
        "报文由已吊销的证书签名，未接收：可能有人冒用该密钥。请与对方核实并换用新证书。",
        "the message is signed with a certificate that its issuer has revoked; it was not accepted: somebody may be using a stolen key. Ask the partner, then replace the certificate."
    )
}

/// The message was accepted before.
pub(super) fn repetition(earlier: Id) -> Reason {
    let text = bilingual!(
        "对方重发了已接收的报文 {earlier}；已答复，未再次投递。",
        "the partner repeated message {earlier}, which was accepted before; it was answered and not delivered again."
    );
    Reason { code: "repetition".to_owned(), text }
}
