//! Content-Type values (RFC 2045 5.1, RFC 2231). mail-parser reads them, with its tolerance for tabs, comments and
//! missing quotes; writing quotes what needs quotes.

use std::fmt;
use std::sync::LazyLock;

use mail_parser::{HeaderValue, MessageParser};

use super::MimeError;
use super::header::is_token;

/// A media type with its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentType {
    /// `type/subtype` in lower case.
    pub essence: String,
    /// Parameters in order, names in lower case, values unquoted and decoded.
    pub params: Vec<(String, String)>,
}

impl ContentType {
    /// A media type without parameters.
    pub fn new(essence: &str) -> ContentType {
        ContentType { essence: essence.to_ascii_lowercase(), params: Vec::new() }
    }

    /// The same with one more parameter.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> ContentType {
        self.params.push((name.to_ascii_lowercase(), value.to_owned()));
        self
    }

    /// Reads a field value.
    ///
    /// # Errors
    /// [`MimeError::MalformedContentType`] unless it starts with `token/token`.
    pub fn parse(value: &str) -> Result<ContentType, MimeError> {
        // One product puts the whole value into quotes.
        let unquoted = value.trim().strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        let unquoted = unquoted.map(|inner| inner.replace("\\\"", "\""));
        let value = unquoted.as_deref().unwrap_or(value);
        let (kind, params) = parse_parameters(value).ok_or(MimeError::MalformedContentType)?;
        let (main, sub) = kind.split_once('/').ok_or(MimeError::MalformedContentType)?;
        if !is_token(main.as_bytes()) || !is_token(sub.as_bytes()) {
            return Err(MimeError::MalformedContentType);
        }
        Ok(ContentType { essence: kind, params })
    }

    /// The first parameter of that name (any case).
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Whether the media type is `essence` (any case).
    pub fn is(&self, essence: &str) -> bool {
        self.essence.eq_ignore_ascii_case(essence)
    }

    /// The boundary of a multipart.
    ///
    /// # Errors
    /// [`MimeError::IllegalBoundary`] when it is missing, given twice, or not 1 to 70 printable ASCII characters
    /// without a blank at the end (RFC 2046 5.1.1).
    pub fn boundary(&self) -> Result<&str, MimeError> {
        let mut all = self.params.iter().filter(|(name, _)| name == "boundary").map(|(_, value)| value.as_str());
        match (all.next(), all.next()) {
            (Some(boundary), None) if is_boundary(boundary) => Ok(boundary),
            _ => Err(MimeError::IllegalBoundary),
        }
    }
}

/// 1 to 70 printable ASCII characters, the last no blank. (RFC 2046 allows fewer characters; products use more.)
pub(super) fn is_boundary(text: &str) -> bool {
    (1..=70).contains(&text.len()) && text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && !text.ends_with(' ')
}

impl fmt::Display for ContentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.essence)?;
        for (name, value) in &self.params {
            if is_token(value.as_bytes()) {
                write!(f, "; {name}={value}")?;
            } else {
                let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
                write!(f, "; {name}=\"{escaped}\"")?;
            }
        }
        Ok(())
    }
}

static PARSER: LazyLock<MessageParser> = LazyLock::new(|| MessageParser::new().header_content_type("Content-Type"));

/// First token (lower case; with subtype if there is one) and decoded parameters of a Content-Type or
/// Content-Disposition value.
pub(super) fn parse_parameters(value: &str) -> Option<(String, Vec<(String, String)>)> {
    let field = format!("Content-Type: {}\r\n\r\n", value.replace(['\r', '\n'], " "));
    let message = PARSER.parse_headers(field.as_bytes())?;
    let Some(HeaderValue::ContentType(parsed)) = message.headers().first().map(|header| &header.value) else {
        return None;
    };
    let mut kind = parsed.c_type.to_ascii_lowercase();
    if let Some(subtype) = &parsed.c_subtype {
        kind.push('/');
        kind.push_str(&subtype.to_ascii_lowercase());
    }
    let params = parsed.attributes.iter().flatten();
    Some((kind, params.map(|a| (a.name.to_ascii_lowercase(), a.value.clone().into_owned())).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn param(value: &str, name: &str) -> String {
        ContentType::parse(value).unwrap().param(name).unwrap_or("-").to_owned()
    }

    #[test]
    fn what_products_send_is_understood() {
        let mendelson = "multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256; \tboundary=\"----=_Part_1_2.3\"";
        assert_eq!(param(mendelson, "boundary"), "----=_Part_1_2.3");
        assert_eq!(param(mendelson, "micalg"), "sha-256");
        assert_eq!(param("Multipart/Signed; Boundary=----=_Part_1; MICALG=SHA1", "boundary"), "----=_Part_1");
        assert_eq!(
            param("multipart/report;report-type=disposition-notification;boundary=x", "report-type"),
            "disposition-notification"
        );
        assert_eq!(
            param("multipart/signed; protocol=application/pkcs7-signature; boundary=a", "protocol"),
            "application/pkcs7-signature"
        );
        assert_eq!(
            param("application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m", "smime-type"),
            "enveloped-data"
        );
        assert_eq!(param("text/plain; name*=UTF-8''%E8%AE%A2.xml", "name"), "订.xml");
        assert_eq!(ContentType::parse(mendelson).unwrap().essence, "multipart/signed");
        let quoted = "\"multipart/signed; protocol=\\\"application/pkcs7-signature\\\"; boundary=b\"";
        assert_eq!(
            (param(quoted, "boundary"), param(quoted, "protocol").as_str()),
            ("b".to_owned(), "application/pkcs7-signature")
        );
        assert_eq!(param("\"application/pkcs7-mime; name=a\"", "name"), "a");
    }

    #[test]
    fn what_is_no_media_type_is_refused() {
        for value in ["", "text", "/", "text/", "; boundary=x", "text/pl ain,"] {
            assert!(ContentType::parse(value).is_err(), "{value:?}");
        }
    }

    #[test]
    fn boundaries_are_checked() {
        let boundary = |value: &str| ContentType::parse(value).unwrap().boundary().map(str::to_owned);
        assert_eq!(boundary("multipart/mixed; boundary=\"a b:?=\"").unwrap(), "a b:?=");
        assert!(boundary("multipart/mixed").is_err());
        assert!(boundary("multipart/mixed; boundary=\"\"").is_err());
        assert!(boundary(&format!("multipart/mixed; boundary={}", "a".repeat(71))).is_err());
        assert!(boundary("multipart/mixed; boundary=a; boundary=b").is_err());
    }

    #[test]
    fn writing_quotes_what_needs_quotes() {
        let written = ContentType::new("Multipart/Signed")
            .with("micalg", "sha-256")
            .with("protocol", "application/pkcs7-signature");
        assert_eq!(written.to_string(), "multipart/signed; micalg=sha-256; protocol=\"application/pkcs7-signature\"");
        let odd = ContentType::new("text/plain").with("name", "a \"b\" \\c.xml");
        assert_eq!(ContentType::parse(&odd.to_string()).unwrap(), odd);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(value in "\\PC{0,80}") {
            let _ = ContentType::parse(&value);
        }
    }
}
