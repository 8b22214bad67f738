//! Content-Type values (RFC 2045 5.1, RFC 2231). mail-parser reads them, with its tolerance for tabs, comments and
//! missing quotes, once brackets that are part of a value stand in quotes; what is plain is read here at a fraction of the
//! cost, and no otherwise. Writing quotes what needs quotes.

use std::borrow::Cow;
use std::fmt;
use std::sync::LazyLock;

use mail_parser::{HeaderValue, MessageParser};

use super::MimeError;
use super::header::is_token;
use super::quoting::brackets_in_quotes;

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
        let (kind, params) = parse_parameters(&out_of_quotes(value)).ok_or(MimeError::MalformedContentType)?;
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

/// A field's value without the quotes that one product puts around all of it, and without what it escapes for that.
pub(super) fn out_of_quotes(value: &str) -> Cow<'_, str> {
    let inner = value.trim().strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inner.map_or(Cow::Borrowed(value), |inner| Cow::Owned(inner.replace("\\\"", "\"")))
}

static PARSER: LazyLock<MessageParser> = LazyLock::new(|| MessageParser::new().header_content_type("Content-Type"));

/// A first token and parameters, their names in lower case.
type Parameters = (String, Vec<(String, String)>);

/// First token (lower case; with subtype if there is one) and decoded parameters of a Content-Type or
/// Content-Disposition value.
pub(super) fn parse_parameters(value: &str) -> Option<Parameters> {
    plain_parameters(value).or_else(|| any_parameters(&brackets_in_quotes(value)))
}

/// The same of what nearly everybody sends: ASCII in which every part means itself. Whatever may need more is `None`.
fn plain_parameters(value: &str) -> Option<Parameters> {
    if value.contains(ENCODED_WORD) {
        return None;
    }
    let (kind, mut rest) = run(value, |byte| is_plain(byte) || byte == b'/');
    let slashes = kind.bytes().filter(|byte| *byte == b'/').count();
    if kind.is_empty() || slashes > 1 || kind.starts_with('/') || kind.ends_with('/') {
        return None;
    }
    let mut params = Vec::new();
    loop {
        rest = without_blanks(rest);
        if !rest.is_empty() {
            rest = without_blanks(rest.strip_prefix(';')?);
        }
        if rest.is_empty() {
            return Some((kind.to_ascii_lowercase(), params));
        }
        let (name, after) = run(rest, is_plain);
        let after = after.strip_prefix('=')?;
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => {
                let (value, after) = run(quoted, is_plain_in_quotes);
                (value, after.strip_prefix('"')?)
            }
            None => run(after, is_plain_value),
        };
        if name.is_empty() || value.is_empty() {
            return None;
        }
        params.push((name.to_ascii_lowercase(), value.to_owned()));
        rest = after;
    }
}

/// Of a media type or a name.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'+')
}

/// Of a value without quotes.
fn is_plain_value(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b';' | b'"' | b'\\' | b'(' | b')' | b'\'' | b'*')
}

/// Of a value in quotes.
fn is_plain_in_quotes(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\' | b'\'' | b'*')
}

/// The longest beginning of these ASCII characters, and the rest.
fn run(text: &str, allowed: impl Fn(u8) -> bool) -> (&str, &str) {
    let len = text.bytes().position(|byte| !allowed(byte)).unwrap_or(text.len());
    text.split_at_checked(len).unwrap_or(("", text))
}

fn without_blanks(text: &str) -> &str {
    text.trim_start_matches([' ', '\t'])
}

/// What mail-parser makes of any value. For each thing that looks like an encoded word it may look through all of the rest, and
/// for each section of a parameter through all parameters: where there are so many that this would take long, they are left as
/// they stand. Characters stand in for theirs that no field can hold.
fn any_parameters(value: &str) -> Option<Parameters> {
    let mut value = value.replace(['\r', '\n'], " ");
    let words = has_many_words(&value);
    let sections = value.bytes().filter(|byte| matches!(byte, b'*' | b'\'')).count() > MAX_SECTIONS;
    if words {
        value = value.replace(ENCODED_WORD, "=\u{1}");
    }
    if sections {
        value = value.replace('*', "\u{2}");
    }
    let as_it_stood = |text: &str| match words || sections {
        true => text.replace('\u{1}', "?").replace('\u{2}', "*"),
        false => text.to_owned(),
    };
    let field = format!("Content-Type: {value}\r\n\r\n");
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
    let params = params.map(|a| (as_it_stood(&a.name.to_ascii_lowercase()), as_it_stood(&a.value)));
    Some((as_it_stood(&kind), params.collect()))
}

/// How an encoded word begins (RFC 2047 2).
pub(super) const ENCODED_WORD: &str = "=?";
/// Encoded words that are decoded in one value: of 45 octets each, a longer text than any subject or name.
const MAX_WORDS: usize = 64;
/// Asterisks and apostrophes of one value, of which the sections of a parameter are made (RFC 2231 3, 4).
const MAX_SECTIONS: usize = 256;

/// Whether so many encoded words seem to be in it that it is left as it stands.
pub(super) fn has_many_words(text: &str) -> bool {
    text.matches(ENCODED_WORD).nth(MAX_WORDS).is_some()
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
    fn a_bracket_in_a_value_hides_nothing_behind_it_and_a_comment_is_no_part_of_one() {
        for (value, name) in [
            ("multipart/related; name=a(1).x; boundary=b", "a(1).x"),
            ("\"multipart/related; name=a(1).x; boundary=b\"", "a(1).x"),
            ("multipart/related; name=a(1.x; boundary=b", "a(1.x"),
            ("multipart/related; name=单 (1).x; boundary=b", "单 (1).x"),
            ("multipart/related; boundary=b; name=a(1)", "a(1)"),
            ("multipart/related; name=a(1).x (the last); boundary=b", "a(1).x"),
            ("multipart/related (c=d(e)); name=a.x; boundary=b (f)", "a.x"),
            ("multipart/related; name=a.x\t(see; boundary=c); boundary=b", "a.x"),
        ] {
            let parsed = ContentType::parse(value).unwrap();
            assert_eq!((parsed.essence.as_str(), parsed.boundary().ok()), ("multipart/related", Some("b")), "{value}");
            assert_eq!(parsed.param("name"), Some(name), "{value}");
            assert_eq!(ContentType::parse(&parsed.to_string()).unwrap(), parsed, "{value}");
        }
    }

    /// Values that nearly everybody sends, and such as only look like them.
    const VALUES: [(&str, bool); 26] = [
        (
            "multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256; \tboundary=\"--=_P 1:2.3\"",
            true,
        ),
        ("application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m", true),
        ("Application/EDIFACT", true),
        ("a/b;c=d ; E=F\t;", true),
        ("attachment; filename=\"a b;(c).xml\"; size=3", true),
        ("a/b; x==y/z?; X=<1>,2", true),
        ("a/b; x=\" \"; y=\"=\"", true),
        (" a/b", false),
        ("a /b", false),
        ("a/b/c", false),
        ("a/b; x=y z", false),
        ("a/b; x= y", false),
        ("a/b; x =y", false),
        ("a/b; x=\"\"; y=z", false),
        ("a/b; x=; y=z", false),
        ("a/b;; x=y", false),
        ("a/b; x", false),
        ("a/b; x=\"y\"z", false),
        ("a/b; x=\"y\\\"z\"", false),
        ("a/b; x=\"y", false),
        ("a/b; x=y(comment)", false),
        ("a/b; x*=UTF-8''%E8%AE%A2", false),
        ("a/b; x*0=a; x*1=b", false),
        ("a/b; x=\"=?UTF-8?Q?y?=\"", false),
        ("a/b; x=订", false),
        ("a/b;\r\n x=y", false),
    ];

    #[test]
    fn the_quick_way_reads_what_is_plain_and_no_otherwise_than_the_long_way() {
        for (value, plain) in VALUES {
            let quick = plain_parameters(value);
            assert_eq!(quick.is_some(), plain, "{value:?}");
            assert!(quick.is_none() || quick == any_parameters(&brackets_in_quotes(value)), "{value:?}: {quick:?}");
        }
        let quick = plain_parameters("a/b; X=\"y z\"; x=1").unwrap();
        let params = [("x".to_owned(), "y z".to_owned()), ("x".to_owned(), "1".to_owned())];
        assert_eq!(quick, ("a/b".to_owned(), params.to_vec()));
    }

    #[test]
    fn encoded_words_and_sections_without_end_are_left_as_they_stand() {
        let words = |number: usize| "=?UTF-8?Q?a?= ".repeat(number).trim_end().to_owned();
        assert_eq!(param(&format!("a/b; x=\"{}\"", words(64)), "x").matches('?').count(), 0, "decoded");
        let many = words(65);
        assert_eq!(param(&format!("a/b; x=\"{many}\"; boundary=c"), "x"), many);
        assert_eq!(param(&format!("a/b; x=\"{many}\"; boundary=c"), "boundary"), "c");
        let hostile = " =?aa?Q?".repeat(8000);
        assert_eq!(param(&format!("a/b; x={hostile}"), "x"), hostile.trim());
        let sections = |number: usize| (0..number).map(|n| format!("; a{n}*1=b")).collect::<String>();
        assert_eq!(param(&format!("a/b{}", sections(256)), "a0"), "b");
        let many = format!("a/b{}", sections(257));
        assert_eq!((param(&many, "a0"), param(&many, "a0*1")), ("-".to_owned(), "b".to_owned()));
        let read = ContentType::parse(&many).unwrap();
        assert_eq!(ContentType::parse(&read.to_string()).unwrap(), read);
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

        #[test]
        fn the_quick_way_never_reads_anything_otherwise(
            value in "[aB+]{1,2}(/[aB/]{1,2})?([ \t]?;[ \t;]{0,2}[aX*]{0,2} ?=( ?[a=?/'(]{0,4}|\"[ -~]{0,5}\")){0,3}[ ;]{0,2}",
        ) {
            if let Some(quick) = plain_parameters(&value) {
                proptest::prop_assert_eq!(Some(quick), any_parameters(&brackets_in_quotes(&value)));
            }
        }
    }
}
