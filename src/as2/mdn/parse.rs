//! Reading an MDN.

use super::super::disposition::BadDisposition;
use super::super::{As2Name, Disposition, MessageId, Mic};
use crate::cms::{Certificate, SignatureError, SignatureValid};
use crate::ground::limits::Limits;
use crate::mime::{Headers, MimeError};

/// A receipt as it was read. Says nothing about whether it is to be believed: see [`judge`](super::super::judge).
#[derive(Debug)]
pub struct Mdn {
    /// `AS2-From` of the HTTP header.
    pub from: Option<As2Name>,
    /// `AS2-To` of the HTTP header.
    pub to: Option<As2Name>,
    /// The receipt's own `Message-ID`.
    pub message_id: Option<MessageId>,
    /// `Original-Message-ID`.
    pub original_message_id: Option<MessageId>,
    /// `Final-Recipient` without its address type; a mismatch is a remark, not a failure.
    pub final_recipient: Option<String>,
    /// `Disposition`.
    pub disposition: Disposition,
    /// `Received-Content-MIC`.
    pub mic: Option<Mic>,
    /// There is a `Received-Content-MIC`, but it cannot be read.
    pub mic_unreadable: bool,
    /// The text for people, printable, cut at 4 KiB.
    pub text: String,
    /// `Reporting-UA`, printable.
    pub reporting_ua: Option<String>,
    /// `Error`, `Warning` and `Failure` fields, printable.
    pub remarks: Vec<String>,
    /// `Ok(None)`: not signed.
    pub signature: Result<Option<SignatureValid>, SignatureError>,
}

/// Not an MDN, or one that cannot be read. The partner's fault.
#[derive(Debug, thiserror::Error)]
pub enum MdnError {
    /// Larger than `Limits::mdn`.
    #[error("the receipt is larger than allowed")]
    TooLarge,
    /// The content type is not that of a receipt.
    #[error("this is not a receipt: {0}")]
    NotMdn(String),
    /// The MIME structure cannot be read.
    #[error("the structure of the receipt cannot be read: {0}")]
    Mime(#[from] MimeError),
    /// There is no `message/disposition-notification` part.
    #[error("the receipt has no disposition-notification part")]
    NoNotification,
    /// There is no usable `Disposition`.
    #[error("the receipt has no usable disposition: {0}")]
    Disposition(#[from] BadDisposition),
    /// `AS2-From` or `AS2-To` occurs twice or holds no name.
    #[error("the receipt's {0} is not usable")]
    Name(&'static str),
}

/// Reads a receipt: `headers` and `body` of the HTTP message. `trusted` are the partner's certificates valid now.
pub fn parse(headers: &Headers, body: &[u8], trusted: &[Certificate], limits: &Limits) -> Result<Mdn, MdnError> {
    let _ = (headers, body, trusted, limits);
    unimplemented!()
}
