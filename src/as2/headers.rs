//! Names and values of the header fields of AS2 messages and MDNs (RFC 4130 5, 6, 7.3).

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use jiff::tz::TimeZone;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::As2Version;
use crate::ground::text::printable;
use crate::mime::{Headers, MimeError};

/// `AS2-Version`.
pub const AS2_VERSION: &str = "AS2-Version";
/// `AS2-From`.
pub const AS2_FROM: &str = "AS2-From";
/// `AS2-To`.
pub const AS2_TO: &str = "AS2-To";
/// `Message-ID`.
pub const MESSAGE_ID: &str = "Message-ID";
/// `Date`.
pub const DATE: &str = "Date";
/// `Subject`.
pub const SUBJECT: &str = "Subject";
/// `MIME-Version`.
pub const MIME_VERSION: &str = "MIME-Version";
/// `User-Agent`.
pub const USER_AGENT: &str = "User-Agent";
/// `Content-Type`.
pub const CONTENT_TYPE: &str = "Content-Type";
/// `Content-Transfer-Encoding`.
pub const CONTENT_TRANSFER_ENCODING: &str = "Content-Transfer-Encoding";
/// `Content-Disposition`.
pub const CONTENT_DISPOSITION: &str = "Content-Disposition";
/// `Content-ID`.
pub const CONTENT_ID: &str = "Content-ID";
/// `Disposition-Notification-To`: asks for a receipt; its value, a mailbox, means nothing.
pub const NOTIFICATION_TO: &str = "Disposition-Notification-To";
/// `Disposition-Notification-Options`: asks for a signed receipt.
pub const NOTIFICATION_OPTIONS: &str = "Disposition-Notification-Options";
/// `Receipt-Delivery-Option`: asks for the receipt at a URL.
pub const RECEIPT_DELIVERY: &str = "Receipt-Delivery-Option";

/// `EDIINT-Features` (RFC 6017).
pub const FEATURES: &str = "EDIINT-Features";
/// What we can do beyond RFC 4130: take several files apart (RFC 6362), process a message once, however often it is sent
/// (draft-duker-as2-reliability), and exchange certificates (draft-meadors-certificate-exchange).
const FEATURES_VALUE: &str = "multiple-attachments, AS2-Reliability, CEM";
/// `AS2-Product` (draft-ietf-ediint-rfc4130bis 6.2).
const AS2_PRODUCT: &str = "AS2-Product";
const AS2_PRODUCT_VALUE: &str = concat!("dxgate:", env!("CARGO_PKG_VERSION"));

/// The fields by which a message or receipt shows what software made it.
pub fn push_version(headers: &mut Headers, version: As2Version) -> Result<(), MimeError> {
    headers.push(AS2_VERSION, version.value())?;
    if matches!(version, As2Version::V1_2 | As2Version::V1_3) {
        headers.push(FEATURES, FEATURES_VALUE)?;
    }
    if version == As2Version::V1_3 {
        headers.push(AS2_PRODUCT, AS2_PRODUCT_VALUE)?;
    }
    Ok(())
}

/// A received value, printable. A TAB becomes a blank: where a field was folded either stands, and both mean the same (RFC 5322
/// 2.2.3), but one that is shown as an escape would be read as part of what follows.
pub fn shown(value: &str) -> String {
    printable(&value.replace('\t', " "))
}

/// A value without the quotes around all of it that phase2 writes where it is set to (`quoteheadervalues`), and some of its
/// releases by themselves.
pub fn unquoted(value: &str) -> &str {
    let value = value.trim();
    value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).map_or(value, str::trim)
}

/// What dxgate calls itself.
pub const PRODUCT: &str = concat!("dxgate/", env!("CARGO_PKG_VERSION"));

/// Fields that decide what a message means: two of a kind are refused, because two readers may pick different ones.
pub const SINGLETONS: [&str; 10] = [
    AS2_FROM,
    AS2_TO,
    AS2_VERSION,
    MESSAGE_ID,
    CONTENT_TYPE,
    CONTENT_TRANSFER_ENCODING,
    CONTENT_DISPOSITION,
    NOTIFICATION_TO,
    NOTIFICATION_OPTIONS,
    RECEIPT_DELIVERY,
];

/// The first of [`SINGLETONS`] that occurs more than once.
pub fn repeated_singleton(headers: &Headers) -> Option<&'static str> {
    SINGLETONS.into_iter().find(|name| headers.count(name) > 1)
}

/// `date` as RFC 2822 text in UTC, e.g. `Sun, 22 Nov 2026 06:00:00 +0000`.
pub fn date_value(date: Timestamp) -> String {
    let fallback = || "Thu, 01 Jan 1970 00:00:00 +0000".to_owned();
    let date = date.to_zoned(TimeZone::UTC);
    rfc2822::DateTimePrinter::new().zoned_to_string(&date).unwrap_or_else(|_| fallback())
}

/// Free text as a field value: ASCII as it is, other text, and what looks like an encoded word itself, as RFC 2047 encoded
/// words; control characters become blanks.
pub fn text_value(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let text = text.trim();
    if text.is_ascii() && !text.contains(ENCODED_WORD) {
        return text.to_owned();
    }
    // An encoded word has at most 75 characters: 45 bytes make 60 of base64, the frame takes 12.
    let mut words: Vec<String> = Vec::new();
    let mut chunk = String::new();
    for c in text.chars() {
        if chunk.len().saturating_add(c.len_utf8()) > 45 {
            words.push(encoded_word(&chunk));
            chunk.clear();
        }
        chunk.push(c);
    }
    words.push(encoded_word(&chunk));
    words.join(" ")
}

/// How an encoded word begins (RFC 2047 2).
const ENCODED_WORD: &str = "=?";

fn encoded_word(text: &str) -> String {
    format!("=?UTF-8?B?{}?=", STANDARD.encode(text))
}

/// `attachment; filename="…"`; when the name is not plain ASCII, a plain stand-in and behind it `filename*` (RFC 2231), as
/// RFC 6266 D wants it: JavaMail (OpenAS2, mendelson) puts what comes later over what came first. A name that looks
/// like an encoded word goes the same way: many products decode those here, which RFC 2047 5 forbids.
pub fn attachment_value(file_name: &str) -> String {
    let quoted = |c: char| match c {
        '"' | '\\' => '_',
        c if c.is_ascii() && !c.is_control() => c,
        _ => '_',
    };
    let plain: String = file_name.chars().map(quoted).collect();
    if plain == file_name && !plain.contains(ENCODED_WORD) {
        return format!("attachment; filename=\"{plain}\"");
    }
    let plain = plain.replace(ENCODED_WORD, "=_");
    let mut extended = String::new();
    for byte in file_name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_') {
            extended.push(char::from(byte));
        } else {
            extended.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{extended}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_that_javamail_keeps_which_is_the_last_has_the_whole_name() {
        for (name, extended) in [("单.xml", "%E5%8D%95.xml"), ("订 1.xml", "%E8%AE%A2%201.xml"), ("a\"b", "a%22b")] {
            let value = attachment_value(name);
            assert_eq!(value.rsplit("; ").next(), Some(format!("filename*=UTF-8''{extended}").as_str()), "{value}");
        }
    }

    #[test]
    fn dates_are_written_as_rfc_2822_demands() {
        let date: Timestamp = "2026-11-22T06:00:00Z".parse().expect("valid");
        assert_eq!(date_value(date), "Sun, 22 Nov 2026 06:00:00 +0000");
    }

    #[test]
    fn a_folded_value_is_shown_as_one_line_and_its_other_controls_as_escapes() {
        assert_eq!(shown("a/b;\tc=d;  e=f"), "a/b; c=d;  e=f");
        assert_eq!(shown("a\u{1b}\u{202e}b"), "a\\u{1b}\\u{202e}b");
    }

    #[test]
    fn text_outside_ascii_becomes_encoded_words() {
        assert_eq!(text_value("order 1"), "order 1");
        assert_eq!(text_value("a\r\nX: y"), "a  X: y");
        assert_eq!(text_value("订单"), "=?UTF-8?B?6K6i5Y2V?=");
        assert_eq!(text_value("=?UTF-8?B?5Y2V?="), "=?UTF-8?B?PT9VVEYtOD9CPzVZMlY/PQ==?=", "meant as it stands");
        assert!(text_value(&"订".repeat(40)).split(' ').all(|word| word.len() <= 75));
    }

    #[test]
    fn file_names_are_quoted_and_extended() {
        assert_eq!(attachment_value("a b.xml"), "attachment; filename=\"a b.xml\"");
        assert_eq!(attachment_value("a\".xml"), "attachment; filename=\"a_.xml\"; filename*=UTF-8''a%22.xml");
        assert_eq!(attachment_value("单.xml"), "attachment; filename=\"_.xml\"; filename*=UTF-8''%E5%8D%95.xml");
        let word = "attachment; filename=\"=_a?Q?b?=\"; filename*=UTF-8''%3D%3Fa%3FQ%3Fb%3F%3D";
        assert_eq!(attachment_value("=?a?Q?b?="), word, "meant as it stands");
        assert!(!attachment_value("a\r\nb").contains(['\r', '\n']));
    }
}
