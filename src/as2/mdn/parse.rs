//! Reading an MDN.

use std::borrow::Cow;
use std::io::Read as _;

use super::super::disposition::BadDisposition;
use super::super::headers::{self, repeated_singleton};
use super::super::request::is_quoted_multipart;
use super::super::{As2Name, Disposition, MessageId, Mic};
use crate::bilingual;
use crate::cms::{self, Certificate, DigestAlgorithm, MultiHasher, SignatureError, SignatureValid};
use crate::ground::limits::Limits;
use crate::ground::text::{Bilingual, printable};
use crate::mime::{
    self, ContentType, Headers, LineEnds, MimeError, SignedParts, begins_with_delimiter, read_entity_head,
    transfer_decoder,
};

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
    /// `AS2-From` or `AS2-To` holds no AS2 name.
    #[error("the receipt's {0} is not an AS2 name")]
    Name(&'static str),
    /// Something that decides what the receipt means occurs twice.
    #[error("the receipt has more than one {0}")]
    Repeated(&'static str),
}

impl MdnError {
    /// Stable name of the problem.
    pub fn code(&self) -> &'static str {
        match self {
            MdnError::TooLarge => "mdn-too-large",
            MdnError::NotMdn(_) => "mdn-not-a-receipt",
            MdnError::Mime(_) => "mdn-malformed",
            MdnError::NoNotification => "mdn-without-notification",
            MdnError::Disposition(_) => "mdn-disposition-unreadable",
            MdnError::Name(_) => "mdn-name-invalid",
            MdnError::Repeated(_) => "mdn-field-repeated",
        }
    }

    /// The same for people.
    pub fn text(&self) -> Bilingual {
        bilingual!(
            "对方返回的不是可用的回执（{self}）：已保存原文，请联系对方",
            "the partner's answer is not a usable receipt ({self}): it is kept as received, contact the partner"
        )
    }
}

/// Reads a receipt: `headers` and `body` of the HTTP message. `trusted` are the partner's certificates valid now.
///
/// When the receipt is signed, nothing but the signed octets is used, whether the signature holds or not.
pub fn parse(headers: &Headers, body: &[u8], trusted: &[Certificate], limits: &Limits) -> Result<Mdn, MdnError> {
    if body.len() > limits.mdn {
        return Err(MdnError::TooLarge);
    }
    if let Some(name) = repeated_singleton(headers) {
        return Err(MdnError::Repeated(name));
    }
    let from = name_field(headers, headers::AS2_FROM)?;
    let to = name_field(headers, headers::AS2_TO)?;
    let content_type =
        headers.get(headers::CONTENT_TYPE).ok_or_else(|| MdnError::NotMdn("no content type".to_owned()))?;
    let content_type = ContentType::parse(content_type)?;
    // A multipart that begins as it is has no encoding, whatever is said, unless it shows that it has; a bare notification is
    // decoded where it is read.
    let begins = |boundary| begins_with_delimiter(body, boundary);
    let raw = content_type.is(NOTIFICATION)
        || (content_type.boundary().is_ok_and(begins) && !is_quoted(&content_type, headers, body));
    let body = if raw { Cow::Borrowed(body) } else { Cow::Owned(decode(headers, body)?) };
    let (report, signature) = match content_type.essence.as_str() {
        "multipart/signed" => signed_report(content_type.boundary()?, &body, trusted, limits)?,
        _ => (report(&content_type, headers, &body, limits)?, Ok(None)),
    };
    let Report { fields, text } = report;
    let Subject { original_message_id, mic } = subject(&fields)?;
    Ok(Mdn {
        from,
        to,
        message_id: headers.get(headers::MESSAGE_ID).and_then(|id| MessageId::parse(id).ok()),
        original_message_id,
        final_recipient: fields.get("Final-Recipient").map(recipient),
        disposition: Disposition::parse_received(fields.get("Disposition").unwrap_or_default())?,
        mic_unreadable: mic.is_none() && fields.get("Received-Content-MIC").is_some_and(|text| !text.is_empty()),
        mic,
        text,
        reporting_ua: fields.get("Reporting-UA").map(printable),
        remarks: remarks(&fields),
        signature,
    })
}

/// Which message a receipt is about, and which octets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// `Original-Message-ID`.
    pub original_message_id: Option<MessageId>,
    /// `Received-Content-MIC`.
    pub mic: Option<Mic>,
}

/// Reads what a receipt is about from the octets of it that are signed: for evidence, where their signature is verified
/// apart from this.
///
/// # Errors
/// They are not those of a receipt.
pub fn parse_signed(mut octets: &[u8], limits: &Limits) -> Result<Subject, MdnError> {
    if octets.len() > limits.mdn {
        return Err(MdnError::TooLarge);
    }
    let headers = read_entity_head(&mut octets, limits)?;
    subject(&signed_octets(&headers, octets, limits)?.fields)
}

/// What decides the meaning of a receipt stands in it once.
fn subject(fields: &Headers) -> Result<Subject, MdnError> {
    for name in ["Disposition", "Original-Message-ID", "Received-Content-MIC"] {
        if fields.count(name) > 1 {
            return Err(MdnError::Repeated(name));
        }
    }
    Ok(Subject {
        original_message_id: fields.get("Original-Message-ID").and_then(|id| MessageId::parse(id).ok()),
        mic: fields.get("Received-Content-MIC").and_then(|text| text.parse().ok()),
    })
}

/// The part for programs; some products send nothing else.
const NOTIFICATION: &str = "message/disposition-notification";

/// RFC 4130 7.4 demands multipart/report; others wrap the notification in another multipart or send it bare.
fn may_hold_report(essence: &str) -> bool {
    matches!(essence, "multipart/report" | "multipart/mixed" | "multipart/alternative" | NOTIFICATION)
}

/// What a multipart/report says.
struct Report {
    fields: Headers,
    text: String,
}

/// The signature of a receipt: `Ok(None)` when there is none.
type Signature = Result<Option<SignatureValid>, SignatureError>;

/// The report inside multipart/signed, and whether the signature over it holds.
fn signed_report(
    boundary: &str,
    body: &[u8],
    trusted: &[Certificate],
    limits: &Limits,
) -> Result<(Report, Signature), MdnError> {
    let mut parts = SignedParts::new(body, boundary, limits)?;
    let mut octets = Vec::new();
    parts.first_part().read_to_end(&mut octets).map_err(MimeError::from)?;
    let (signature_headers, signature) = parts.second_part()?;
    parts.finish()?;
    let signature = match signature.as_slice() {
        [0x30, 0x80..=0xff, ..] => signature,
        [b'M', b'I', ..] => decode_as(Some("base64"), &signature)?,
        _ => decode(&signature_headers, &signature)?,
    };
    let with = |octets: &[u8], digests: &[DigestAlgorithm]| {
        let mut hasher = MultiHasher::new(digests);
        hasher.update(octets);
        cms::verify_detached(&signature, &hasher.finish(), trusted, limits)
    };
    // Nearly all are signed with SHA-256: the other digests are computed of the few that are not.
    let verify = |octets: &[u8]| match with(octets, &[DigestAlgorithm::Sha256]) {
        Err(SignatureError::DigestNotComputed(_)) => with(octets, &DigestAlgorithm::READABLE),
        verdict => verdict,
    };
    let mut verdict = verify(&octets);
    if verdict.is_err() {
        for other in other_forms(&octets) {
            if let Ok(valid) = verify(&other) {
                (octets, verdict) = (other, Ok(valid));
                break;
            }
        }
    }
    let mut rest = octets.as_slice();
    let headers = read_entity_head(&mut rest, limits)?;
    Ok((signed_octets(&headers, rest, limits)?, verdict.map(Some)))
}

/// The report in what is signed. A multipart that is not there as it is, or shows that it is not, is in the transfer encoding
/// that is said, though none should be.
fn signed_octets(headers: &Headers, body: &[u8], limits: &Limits) -> Result<Report, MdnError> {
    let content_type = ContentType::parse(headers.get(headers::CONTENT_TYPE).unwrap_or_default())?;
    let decoded = || -> Result<Report, MdnError> { report(&content_type, headers, &decode(headers, body)?, limits) };
    if is_quoted(&content_type, headers, body) {
        return decoded();
    }
    match report(&content_type, headers, body, limits) {
        Err(MdnError::Mime(MimeError::MissingDelimiter)) => decoded(),
        read => read,
    }
}

/// Whether a multipart is in quoted-printable, which leaves its delimiters as they are.
fn is_quoted(content_type: &ContentType, headers: &Headers, body: &[u8]) -> bool {
    let encoding = headers.get(headers::CONTENT_TRANSFER_ENCODING);
    let is_quoted = |boundary| is_quoted_multipart(encoding, boundary, body);
    !content_type.is(NOTIFICATION) && content_type.boundary().is_ok_and(is_quoted)
}

/// The two parts of a multipart/report that matter.
fn report(content_type: &ContentType, headers: &Headers, body: &[u8], limits: &Limits) -> Result<Report, MdnError> {
    if !may_hold_report(&content_type.essence) {
        return Err(MdnError::NotMdn(printable(&content_type.essence)));
    }
    if content_type.is(NOTIFICATION) {
        let block = without_blank_lines(&decode(headers, body)?);
        return Ok(Report { fields: Headers::parse(&block, limits)?, text: String::new() });
    }
    let mut fields = None;
    let mut text = None;
    for part in mime::parts_between(content_type.boundary()?, body, limits)? {
        // Words without a head and a blank line in front decide nothing.
        let Some(head) = &part.headers else { continue };
        let content = body.get(part.body_range.clone()).unwrap_or_default();
        let kind = head.get(headers::CONTENT_TYPE).and_then(|value| ContentType::parse(value).ok());
        match kind.as_ref().map_or("text/plain", |kind| kind.essence.as_str()) {
            NOTIFICATION if fields.is_some() => {
                return Err(MdnError::Repeated("disposition-notification part"));
            }
            NOTIFICATION => {
                let block = without_blank_lines(&decode(head, content)?);
                fields = Some(Headers::parse(&block, limits)?);
            }
            "text/plain" if text.is_none() => text = decode(head, content).ok().map(|text| readable(&text)),
            _ => {}
        }
    }
    Ok(Report { fields: fields.ok_or(MdnError::NoNotification)?, text: text.unwrap_or_default() })
}

/// A body without its transfer encoding.
fn decode(headers: &Headers, body: &[u8]) -> Result<Vec<u8>, MimeError> {
    decode_as(headers.get(headers::CONTENT_TRANSFER_ENCODING), body)
}

fn decode_as(encoding: Option<&str>, body: &[u8]) -> Result<Vec<u8>, MimeError> {
    let mut decoded = Vec::new();
    transfer_decoder(encoding, Box::new(body))?.read_to_end(&mut decoded)?;
    Ok(decoded)
}

fn name_field(headers: &Headers, field: &'static str) -> Result<Option<As2Name>, MdnError> {
    headers.get(field).map(|value| As2Name::parse(value).map_err(|_| MdnError::Name(field))).transpose()
}

/// `rfc822; name` without the address type and without quotes.
fn recipient(value: &str) -> String {
    let name = value.split_once(';').map_or(value, |(_, name)| name).trim();
    As2Name::parse(name).map_or_else(|_| printable(name), |name| name.as_str().to_owned())
}

/// What the partner adds in its own words (RFC 8098 3.2.7).
fn remarks(fields: &Headers) -> Vec<String> {
    let wanted = |name: &str| ["error", "warning", "failure"].iter().any(|word| name.eq_ignore_ascii_case(word));
    fields.iter().filter(|(name, _)| wanted(name)).map(|(name, value)| printable(&format!("{name}: {value}"))).collect()
}

/// Some products write the fields in groups, or a blank line first: all of them are one block.
fn without_blank_lines(block: &[u8]) -> Vec<u8> {
    let kept = block.split_inclusive(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    kept.flatten().copied().collect()
}

/// The text for people: printable line by line, cut at 4 KiB.
fn readable(text: &[u8]) -> String {
    let text = text.get(..4096).unwrap_or(text);
    String::from_utf8_lossy(text).lines().map(printable).collect::<Vec<_>>().join("\n").trim().to_owned()
}

/// What a signature may cover instead of the octets of the part; whatever it covers is what is read.
fn other_forms(octets: &[u8]) -> Vec<Vec<u8>> {
    // A relay changed the line ends: the signature covers the canonical form (RFC 1847 2.1).
    let canonical = match LineEnds::default().canonical(octets) {
        Cow::Owned(canonical) => Some(canonical),
        Cow::Borrowed(_) => None,
    };
    // libas2 signs the report without the line end behind its last delimiter, and sends it with that.
    let shorter = octets.strip_suffix(b"\r\n").map(<[u8]>::to_vec);
    canonical.into_iter().chain(shorter).collect()
}
