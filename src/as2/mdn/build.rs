//! Writing an MDN.

use jiff::Timestamp;

use super::super::error::ComposeError;
use super::super::{As2Name, Disposition, MessageId, Mic, MicalgStyle, Signing};
use crate::mime::Headers;

/// What a receipt says and how it is protected.
#[derive(Debug, Clone)]
pub struct MdnPlan<'a> {
    /// Us: `AS2-To` of the original, as received.
    pub from: &'a As2Name,
    /// The partner: `AS2-From` of the original, as received.
    pub to: &'a As2Name,
    /// `Message-ID` of the original, echoed exactly.
    pub original_message_id: &'a MessageId,
    /// What became of the message.
    pub disposition: &'a Disposition,
    /// The digest of what was received; none when it could not be decrypted.
    pub mic: Option<&'a Mic>,
    /// One sentence for people. Must not depend on what was decrypted.
    pub explanation: &'a str,
    /// Sign with this when a signed receipt was asked for.
    pub signing: Option<&'a Signing>,
    /// How `micalg` is spelled for this partner.
    pub micalg_style: MicalgStyle,
    /// The receipt's own `Message-ID`.
    pub message_id: &'a MessageId,
    /// `Date` and signing time.
    pub date: Timestamp,
}

/// A receipt ready for an HTTP response or a POST.
#[derive(Debug, Clone)]
pub struct BuiltMdn {
    /// Every field except `Host`, `Content-Length` and the connection's own.
    pub headers: Headers,
    /// The body.
    pub body: Vec<u8>,
}

/// Makes the receipt.
pub fn build(plan: &MdnPlan<'_>) -> Result<BuiltMdn, ComposeError> {
    let _ = plan;
    unimplemented!()
}
