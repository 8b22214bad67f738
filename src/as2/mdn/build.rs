//! Writing an MDN: always the canonical form of RFC 4130 7.4, whatever the partner writes itself.

use jiff::Timestamp;

use super::super::entity::{Entity, Piece, boundary};
use super::super::error::ComposeError;
use super::super::headers::{self, date_value};
use super::super::{As2Name, As2Version, Disposition, MessageId, Mic, MicalgStyle, Signing};
use crate::cms::{Fingerprint, MultiHasher};
use crate::ground::text::printable;
use crate::mime::{ContentType, Headers};

/// What a receipt says and how it is protected.
#[derive(Debug, Clone)]
pub struct MdnPlan<'a> {
    /// Us: `AS2-To` of the original, as received.
    pub from: &'a As2Name,
    /// The partner: `AS2-From` of the original, as received.
    pub to: &'a As2Name,
    /// `Message-ID` of the original, echoed exactly; none when it had none that can be.
    pub original_message_id: Option<&'a str>,
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
    /// The `AS2-Version` that we show this partner.
    pub version: As2Version,
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
    /// Whose key signed it.
    pub signer: Option<Fingerprint>,
}

/// Makes the receipt.
///
/// Fails when a value cannot stand in a header field, and when signing fails.
pub fn build(plan: &MdnPlan<'_>) -> Result<BuiltMdn, ComposeError> {
    let report = report(plan)?;
    let entity = match plan.signing {
        Some(signing) => {
            let mut hasher = MultiHasher::new(&[signing.digest]);
            report.write(&mut hasher)?;
            report.sign(&hasher.finish(), signing, plan.micalg_style, plan.date)?
        }
        None => report,
    };
    let mut headers = Headers::new();
    headers::push_version(&mut headers, plan.version)?;
    headers.push(headers::AS2_FROM, &plan.from.header_value())?;
    headers.push(headers::AS2_TO, &plan.to.header_value())?;
    headers.push(headers::MESSAGE_ID, plan.message_id.as_str())?;
    headers.push(headers::DATE, &date_value(plan.date))?;
    headers.push(headers::MIME_VERSION, "1.0")?;
    for (name, value) in entity.headers().iter() {
        headers.push(name, value)?;
    }
    let mut body = Vec::new();
    entity.write_body(&mut body)?;
    Ok(BuiltMdn { headers, body, signer: plan.signing.map(|signing| signing.key.certificate.fingerprint()) })
}

/// The multipart/report: what is signed.
fn report<'a>(plan: &MdnPlan<'_>) -> Result<Entity<'a>, ComposeError> {
    let boundary = boundary();
    let content_type = ContentType::new("multipart/report")
        .with("report-type", "disposition-notification")
        .with("boundary", &boundary);
    let mut headers = Headers::new();
    headers.push(headers::CONTENT_TYPE, &content_type.to_string())?;

    let mut body = format!("--{boundary}\r\n").into_bytes();
    human_part(plan)?.write(&mut body)?;
    body.extend_from_slice(format!("\r\n--{boundary}\r\n").as_bytes());
    notification_part(plan)?.write(&mut body)?;
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    Ok(Entity::new(headers, vec![Piece::bytes(body)]))
}

/// For people. It repeats what the sender knows already and the explanation, nothing else.
fn human_part<'a>(plan: &MdnPlan<'_>) -> Result<Entity<'a>, ComposeError> {
    let explanation = printable(plan.explanation);
    let (charset, encoding) = if explanation.is_ascii() { ("us-ascii", "7bit") } else { ("utf-8", "8bit") };
    let mut headers = Headers::new();
    headers.push(headers::CONTENT_TYPE, &format!("text/plain; charset={charset}"))?;
    headers.push(headers::CONTENT_TRANSFER_ENCODING, encoding)?;
    let text = format!(
        "{explanation}\r\n\r\nMessage-ID: {}\r\nFrom: {}\r\nTo: {}\r\nDisposition: {}\r\n",
        printable(plan.original_message_id.unwrap_or_default()),
        plan.to,
        plan.from,
        plan.disposition
    );
    Ok(Entity::new(headers, vec![Piece::bytes(text.into_bytes())]))
}

/// For programs (RFC 4130 7.4.3).
fn notification_part<'a>(plan: &MdnPlan<'_>) -> Result<Entity<'a>, ComposeError> {
    let mut headers = Headers::new();
    headers.push(headers::CONTENT_TYPE, "message/disposition-notification")?;
    headers.push(headers::CONTENT_TRANSFER_ENCODING, "7bit")?;

    let recipient = format!("rfc822; {}", plan.from.header_value());
    let mut fields = Headers::new();
    fields.push("Reporting-UA", headers::PRODUCT)?;
    fields.push("Original-Recipient", &recipient)?;
    fields.push("Final-Recipient", &recipient)?;
    if let Some(message_id) = plan.original_message_id {
        fields.push("Original-Message-ID", message_id)?;
    }
    fields.push("Disposition", &plan.disposition.to_string())?;
    if let Some(mic) = plan.mic {
        fields.push("Received-Content-MIC", &mic.spelled(plan.micalg_style))?;
    }
    Ok(Entity::new(headers, vec![Piece::bytes(fields.to_bytes())]))
}
