//! The header fields of a POST, read once into checked values (RFC 4130 5, 6, 7.3).

use super::headers::{self, repeated_singleton};
use super::{AcceptPolicy, As2Name, Disposition, MessageId, NotificationOptions, Unmet};
use crate::ground::limits::Limits;
use crate::mime::{ContentType, Headers, MimeError, decode_words, decoded_beginning, read_entity_head};

use super::error::RequestError;

mod quoted;

#[cfg(test)]
pub(super) use quoted::quoted_as_usual;
pub(super) use quoted::{is_quoted_multipart, is_quoted_printable};

/// What was posted to the AS2 endpoint.
#[derive(Debug, Clone)]
pub enum Incoming {
    /// A message with a payload.
    Message(Request),
    /// A receipt for a message of ours.
    Mdn(MdnEnvelope),
}

/// What the first bytes of a POST show it to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A message with a payload.
    Message,
    /// A receipt, signed or not.
    Mdn,
}

/// A message as its header fields announce it; the body is still unread.
#[derive(Debug, Clone)]
pub struct Request {
    /// `AS2-From`: who claims to send. Not authenticated until the signature is.
    pub from: As2Name,
    /// `AS2-To`.
    pub to: As2Name,
    /// `Message-ID`, exactly as received.
    pub message_id: MessageId,
    /// The receipt asked for, if any.
    pub mdn: Option<MdnRequest>,
    /// `Content-Type`; `application/octet-stream` when it is missing.
    pub content_type: ContentType,
    /// `AS2-Version`; 1.0 when it is missing.
    pub as2_version: String,
    /// `Subject`, decoded (RFC 2047) and printable.
    pub subject: Option<String>,
    /// Every field as received.
    pub headers: Headers,
}

/// The receipt a sender asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MdnRequest {
    /// `Receipt-Delivery-Option`: where an asynchronous receipt shall go. Attacker-controlled: callers send only to
    /// the URL that their configuration holds for the partner.
    pub async_url: Option<String>,
    /// `Disposition-Notification-Options`.
    pub options: NotificationOptions,
}

/// A receipt as its header fields announce it.
#[derive(Debug, Clone)]
pub struct MdnEnvelope {
    /// `AS2-From`: the partner.
    pub from: As2Name,
    /// `AS2-To`: us.
    pub to: As2Name,
    /// `Message-ID`; several products send none.
    pub message_id: Option<MessageId>,
    /// Every field as received.
    pub headers: Headers,
}

/// Message or receipt: `multipart/report` or a bare notification; or, where no receipt is asked for, `multipart/mixed` or
/// `multipart/alternative` with a notification among its parts, or `multipart/signed` whose first part is one of all these.
/// A transfer encoding that is said to be over a multipart counts where it is one, though none should be (RFC 2045 6.4).
/// `body_prefix` holds the first bytes of the body; 8 KiB are plenty.
pub fn classify(headers: &Headers, body_prefix: &[u8], limits: &Limits) -> Kind {
    outer_type(headers).map_or(Kind::Message, |outer| kind_of(&outer, headers, body_prefix, limits))
}

fn kind_of(outer: &ContentType, headers: &Headers, prefix: &[u8], limits: &Limits) -> Kind {
    let encoding = headers.get(headers::CONTENT_TRANSFER_ENCODING);
    let receipt = match shell_of(outer) {
        Some(Shell::Report) => true,
        _ if headers.count(headers::NOTIFICATION_TO) > 0 => false,
        Some(Shell::Signed) => encoded_or_not(encoding, prefix, |octets| signs_receipt(outer, octets, limits)),
        Some(Shell::Any) | None => is_receipt(outer, encoding, prefix, limits),
    };
    if receipt { Kind::Mdn } else { Kind::Message }
}

/// Whether an entity of this type and transfer encoding whose body begins with `prefix` is a receipt, not looking into a
/// signature.
pub(super) fn is_receipt(content_type: &ContentType, encoding: Option<&str>, prefix: &[u8], limits: &Limits) -> bool {
    match shell_of(content_type) {
        Some(Shell::Report) => true,
        Some(Shell::Any) => encoded_or_not(encoding, prefix, |octets| holds_notification(content_type, octets, limits)),
        Some(Shell::Signed) | None => false,
    }
}

/// Whether this holds of the first bytes of a body, as they are or without the transfer encoding that it is said to have:
/// whoever reads the whole takes the one for the other where it has to.
fn encoded_or_not(encoding: Option<&str>, prefix: &[u8], holds: impl Fn(&[u8]) -> bool) -> bool {
    holds(prefix) || decoded_beginning(encoding, prefix).is_some_and(|decoded| holds(&decoded))
}

/// Whether the first part of a `multipart/signed` whose first bytes are `prefix` is a receipt.
fn signs_receipt(signed: &ContentType, prefix: &[u8], limits: &Limits) -> bool {
    let first = parts_begun(signed, prefix).first().copied().and_then(|part| part_begun(part, limits));
    first.is_some_and(|Begun { content_type, encoding, body }| {
        is_receipt(&content_type, encoding.as_deref(), body, limits)
    })
}

/// Whether the first bytes of its body, 8 KiB, show if an entity of this type is a receipt, and its type alone does not.
pub(super) fn body_shows_receipt(content_type: &ContentType) -> bool {
    matches!(shell_of(content_type), Some(Shell::Any))
}

/// What of a receipt an entity may be by its type.
enum Shell {
    /// The report, or the part of it for programs: nothing else has these types.
    Report,
    /// A signature over anything.
    Signed,
    /// Parts of any kind, in which some products send the report.
    Any,
}

fn shell_of(content_type: &ContentType) -> Option<Shell> {
    match content_type.essence.as_str() {
        "multipart/report" | NOTIFICATION => Some(Shell::Report),
        "multipart/signed" => Some(Shell::Signed),
        "multipart/mixed" | "multipart/alternative" => Some(Shell::Any),
        _ => None,
    }
}

/// The part of a receipt for programs.
const NOTIFICATION: &str = "message/disposition-notification";
/// Parts of a multipart that are looked at; a receipt has two or three.
const MOST_PARTS: usize = 8;

/// Whether a part of the multipart whose first bytes are `prefix` is a notification. Text inside of a part does not count.
fn holds_notification(multipart: &ContentType, prefix: &[u8], limits: &Limits) -> bool {
    let parts = parts_begun(multipart, prefix);
    parts.iter().filter_map(|part| part_begun(part, limits)).any(|begun| begun.content_type.is(NOTIFICATION))
}

/// The first parts of a multipart whose first bytes are `prefix`, as far as they are there: each ends before the next
/// delimiter line, and nothing after the closing one is a part.
fn parts_begun<'p>(multipart: &ContentType, prefix: &'p [u8]) -> Vec<&'p [u8]> {
    let Ok(boundary) = multipart.boundary() else { return Vec::new() };
    let (delimiter, closing) = (format!("--{boundary}"), format!("--{boundary}--"));
    let mut parts: Vec<&[u8]> = Vec::new();
    let mut begun: Option<&[u8]> = None;
    let mut rest = prefix;
    while let Some(end) = memchr::memchr(b'\n', rest).filter(|_| parts.len() < MOST_PARTS) {
        let Some((line, after)) = rest.split_at_checked(end.saturating_add(1)) else { break };
        let line = line.trim_ascii_end();
        let closes = line == closing.as_bytes();
        if closes || line == delimiter.as_bytes() {
            let ended = begun.replace(after);
            parts.extend(ended.and_then(|part| part.get(..part.len().saturating_sub(rest.len()))));
        }
        if closes {
            return parts;
        }
        rest = after;
    }
    parts.extend(begun);
    parts.truncate(MOST_PARTS);
    parts
}

/// A part of which the first bytes are there.
struct Begun<'p> {
    content_type: ContentType,
    /// `Content-Transfer-Encoding`.
    encoding: Option<String>,
    /// What is there of its body.
    body: &'p [u8],
}

fn part_begun<'p>(part: &'p [u8], limits: &Limits) -> Option<Begun<'p>> {
    let mut body = part;
    let head = match read_entity_head(&mut body, limits) {
        // The prefix may end inside the head; whole lines are enough to find the type.
        Err(MimeError::TruncatedHead) => Headers::parse(part, limits),
        read => read,
    };
    let head = head.ok()?;
    let content_type = ContentType::parse(head.get(headers::CONTENT_TYPE)?).ok()?;
    let encoding = head.get(headers::CONTENT_TRANSFER_ENCODING).map(str::to_owned);
    Some(Begun { content_type, encoding, body })
}

/// The Content-Type of a POST; one that is missing is that of any octets.
fn outer_type(headers: &Headers) -> Result<ContentType, MimeError> {
    ContentType::parse(headers.get(headers::CONTENT_TYPE).unwrap_or("application/octet-stream"))
}

/// Judges the header fields of a POST before anything of its body is read: what this refuses, [`read_head`] refuses
/// whatever the body is.
///
/// A receipt needs no `Message-ID`, and whether a multipart without `Disposition-Notification-To` is one is known from its
/// body only; for such a POST the fields of a message alone are left to [`read_head`].
///
/// # Errors
/// [`RequestError`]: answer 400, no MDN, and read no body.
pub fn check_head(headers: &Headers) -> Result<(), RequestError> {
    check_common(headers)?;
    let outer = outer_type(headers);
    if outer.as_ref().is_ok_and(|outer| may_be(outer, headers)) {
        return Ok(());
    }
    message_fields(headers, outer).map(|_| ())
}

/// Whether these header fields may be those of a receipt: only the body shows then whether they are ([`classify`]).
pub fn may_be_mdn(headers: &Headers) -> bool {
    outer_type(headers).is_ok_and(|outer| may_be(&outer, headers))
}

fn may_be(outer: &ContentType, headers: &Headers) -> bool {
    match shell_of(outer) {
        Some(Shell::Report) => true,
        Some(Shell::Signed | Shell::Any) => headers.count(headers::NOTIFICATION_TO) == 0,
        None => false,
    }
}

/// What messages and receipts have in common: nothing decisive twice, and two names.
fn check_common(headers: &Headers) -> Result<(As2Name, As2Name), RequestError> {
    if let Some(name) = repeated_singleton(headers) {
        return Err(RequestError::Repeated(name));
    }
    Ok((name_field(headers, headers::AS2_FROM)?, name_field(headers, headers::AS2_TO)?))
}

/// What a message alone must have: identifier, version and content type.
fn message_fields(
    headers: &Headers,
    outer: Result<ContentType, MimeError>,
) -> Result<(MessageId, &str, ContentType), RequestError> {
    let message_id = headers.get(headers::MESSAGE_ID).ok_or(RequestError::Missing(headers::MESSAGE_ID))?;
    let message_id = MessageId::parse(message_id)?;
    let as2_version = headers.get(headers::AS2_VERSION).unwrap_or("1.0").trim();
    if as2_version.split('.').next().map(str::trim) != Some("1") {
        return Err(RequestError::Version);
    }
    Ok((message_id, as2_version, outer.map_err(|_| RequestError::ContentType)?))
}

/// Reads the header fields of a POST whose body begins with `body_prefix`.
///
/// Errors mean that the request is not AS2 at all: answer 400, no MDN.
pub fn read_head(headers: &Headers, body_prefix: &[u8], limits: &Limits) -> Result<Incoming, RequestError> {
    let (from, to) = check_common(headers)?;
    let outer = outer_type(headers);
    if outer.as_ref().is_ok_and(|outer| kind_of(outer, headers, body_prefix, limits) == Kind::Mdn) {
        // A receipt is found by what it says about the original; its own identifier is decoration.
        let message_id = headers.get(headers::MESSAGE_ID).and_then(|value| MessageId::parse(value).ok());
        return Ok(Incoming::Mdn(MdnEnvelope { from, to, message_id, headers: headers.clone() }));
    }
    let (message_id, as2_version, content_type) = message_fields(headers, outer)?;
    let subject = headers.get(headers::SUBJECT).map(|subject| headers::shown(&decode_words(subject)));
    Ok(Incoming::Message(Request {
        from,
        to,
        message_id,
        mdn: mdn_request(headers),
        content_type,
        as2_version: as2_version.to_owned(),
        subject,
        headers: headers.clone(),
    }))
}

/// `AS2-From` or `AS2-To`.
fn name_field(headers: &Headers, field: &'static str) -> Result<As2Name, RequestError> {
    let value = headers.get(field).ok_or(RequestError::Missing(field))?;
    As2Name::parse(value).map_err(|cause| RequestError::Name { field, cause })
}

/// The presence of `Disposition-Notification-To` asks for a receipt; an empty `Receipt-Delivery-Option` means none.
pub fn mdn_request(headers: &Headers) -> Option<MdnRequest> {
    headers.get(headers::NOTIFICATION_TO)?;
    let async_url = headers.get(headers::RECEIPT_DELIVERY).map(headers::unquoted).filter(|url| !url.is_empty());
    let options = headers.get(headers::NOTIFICATION_OPTIONS).map(NotificationOptions::parse).unwrap_or_default();
    Some(MdnRequest { async_url: async_url.map(str::to_owned), options })
}

impl Request {
    /// What to answer when the receipt itself cannot be made as demanded, instead of opening the message (RFC 4130 7.3,
    /// 7.5.3).
    ///
    /// Sign it only where the receipt [can be signed](Request::receipt_can_be_signed): else a signature would use just the
    /// format or digest that the sender refuses, and the sender could not read why.
    pub fn unmet(&self, policy: &AcceptPolicy) -> Option<Disposition> {
        let unmet = self.mdn.as_ref()?.options.unmet(&policy.mic_algorithms)?;
        Some(match unmet {
            Unmet::Format => Disposition::unsupported_format(),
            Unmet::MicAlgorithms => Disposition::unsupported_mic_algorithms(),
        })
    }

    /// Whether a signed receipt is asked for in a format and with a digest that we have, whatever else is demanded of it: then
    /// every answer is to be signed, also the one that refuses the rest (RFC 4130 7.3).
    pub fn receipt_can_be_signed(&self, policy: &AcceptPolicy) -> bool {
        let options = self.mdn.as_ref().map(|asked| &asked.options);
        options.is_some_and(|options| options.signed && options.preferred(&policy.mic_algorithms).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cms::DigestAlgorithm;

    fn fields(extra: &[(&str, &str)]) -> Headers {
        let mut headers = Headers::new();
        let basic = [("AS2-From", "alice"), ("AS2-To", "bob"), ("Message-ID", "<1@a>"), ("Content-Type", "a/b")];
        for (name, value) in basic.iter().chain(extra) {
            headers.push(name, value).unwrap();
        }
        headers
    }

    fn read(headers: &Headers) -> Result<Request, RequestError> {
        read_head(headers, b"", &Limits::default()).map(|incoming| match incoming {
            Incoming::Message(request) => request,
            Incoming::Mdn(_) => unreachable!("a message"),
        })
    }

    #[test]
    fn two_of_a_field_that_decides_are_refused() {
        for name in headers::SINGLETONS {
            let mut headers = fields(&[]);
            let value = headers.get(name).unwrap_or("1.0").to_owned();
            while headers.count(name) < 2 {
                headers.push(&name.to_ascii_uppercase(), &value).unwrap();
            }
            assert_eq!(read(&headers).unwrap_err(), RequestError::Repeated(name));
        }
    }

    #[test]
    fn missing_and_malformed_fields_are_refused() {
        for name in ["AS2-From", "AS2-To", "Message-ID"] {
            let mut headers = fields(&[]);
            headers.remove(name);
            assert_eq!(read(&headers).unwrap_err(), RequestError::Missing(name));
        }
        for (name, value, code) in [
            ("AS2-From", "a\"b", "as2-name-invalid"),
            ("AS2-To", "海关", "as2-name-invalid"),
            ("Message-ID", "<é@a>", "as2-message-id-invalid"),
            ("Content-Type", "", "as2-content-type-invalid"),
            ("AS2-Version", "2.0", "as2-version-unsupported"),
        ] {
            let mut headers = fields(&[]);
            headers.set(name, value).unwrap();
            assert_eq!(read(&headers).unwrap_err().code(), code, "{name}");
        }
    }

    #[test]
    fn the_fields_alone_refuse_what_no_body_can_make_a_message_or_receipt() {
        for name in ["AS2-From", "AS2-To", "Message-ID"] {
            let mut headers = fields(&[]);
            headers.remove(name);
            assert_eq!(check_head(&headers), Err(RequestError::Missing(name)));
        }
        assert_eq!(check_head(&fields(&[])), Ok(()));
        assert_eq!(check_head(&fields(&[("as2-from", "x")])), Err(RequestError::Repeated("AS2-From")));
        let signed = "multipart/signed; boundary=b";
        for (content_type, asks, refused) in [
            ("multipart/report; boundary=b", false, false),
            (signed, false, false),
            (signed, true, true),
            ("application/pkcs7-mime", false, true),
            ("", false, true),
        ] {
            let mut headers = fields(&[]);
            headers.remove("Message-ID");
            headers.set("Content-Type", content_type).unwrap();
            if asks {
                headers.push("Disposition-Notification-To", "x").unwrap();
            }
            assert_eq!(check_head(&headers).is_err(), refused, "{content_type} {asks}");
            assert!(!refused || read_head(&headers, b"", &Limits::default()).is_err(), "never stricter than the whole");
        }
    }

    #[test]
    fn control_characters_cannot_even_become_a_field() {
        for value in ["a\r\nX: y", "a\0b", "a\nb", "a\u{7f}b"] {
            assert!(Headers::new().push("AS2-From", value).is_err(), "{value:?}");
        }
    }

    #[test]
    fn versions_one_point_x_and_none_are_accepted() {
        assert_eq!(read(&fields(&[])).unwrap().as2_version, "1.0");
        for version in ["1.0", "1.1", "1.2", "1.3", "1.9"] {
            assert_eq!(read(&fields(&[("AS2-Version", version)])).unwrap().as2_version, version);
        }
    }

    #[test]
    fn an_empty_delivery_option_means_the_response() {
        let ask = |url: &str| read(&fields(&[("Disposition-Notification-To", "?"), ("Receipt-Delivery-Option", url)]));
        assert_eq!(ask("").unwrap().mdn.unwrap().async_url, None);
        assert_eq!(ask("http://a/").unwrap().mdn.unwrap().async_url.as_deref(), Some("http://a/"));
        assert_eq!(read(&fields(&[("Receipt-Delivery-Option", "http://a/")])).unwrap().mdn, None);
    }

    #[test]
    fn words_without_end_in_a_field_are_left_as_they_stand() {
        let subject = |value: &str| read(&fields(&[("Subject", value)])).unwrap().subject.unwrap();
        assert_eq!(subject("=?UTF-8?B?6K6i?= =?UTF-8?B?5Y2V?="), "订单");
        assert_eq!(subject("folded\twith a TAB"), "folded with a TAB");
        let many = "=?UTF-8?B?5Y2V?= ".repeat(65);
        assert_eq!(subject(&many), many.trim_end());
        let hostile = "=?aa?Q? ".repeat(8000);
        assert_eq!(subject(&hostile), hostile.trim_end());
        for value in [many.trim_end(), hostile.trim_end()] {
            let mut headers = fields(&[]);
            headers.set("Content-Type", &format!("a/b; x=\"{value}\"")).unwrap();
            assert_eq!(read(&headers).unwrap().content_type.param("x"), Some(value));
        }
    }

    #[test]
    fn a_receipt_that_cannot_be_made_is_refused_before_the_message_is_opened() {
        let options = "signed-receipt-protocol=required, pkcs7-signature; signed-receipt-micalg=required, ";
        let ask = |algorithms: &str| {
            let options = format!("{options}{algorithms}");
            let extra = [("Disposition-Notification-To", "x"), ("Disposition-Notification-Options", options.as_str())];
            read(&fields(&extra)).unwrap()
        };
        let policy = AcceptPolicy { mic_algorithms: vec![DigestAlgorithm::Sha256], ..AcceptPolicy::default() };
        assert_eq!(ask("md5, sha1").unmet(&policy), Some(Disposition::unsupported_mic_algorithms()));
        assert_eq!(ask("md5, sha256").unmet(&policy), None);
        assert_eq!(ask("sha256; x=required, y").unmet(&policy), Some(Disposition::unsupported_format()));
        for (algorithms, signed) in
            [("sha256; x=required, y", true), ("md5; x=required, y", false), ("md5", false), ("sha256", true)]
        {
            assert_eq!(ask(algorithms).receipt_can_be_signed(&policy), signed, "{algorithms}");
        }
        let other = ("Disposition-Notification-Options", "signed-receipt-protocol=required, pgp; sha256");
        for extra in [&[("Disposition-Notification-To", "x"), other][..], &[("Disposition-Notification-To", "x")], &[]]
        {
            assert!(!read(&fields(extra)).unwrap().receipt_can_be_signed(&policy), "{extra:?}");
        }
    }
}
