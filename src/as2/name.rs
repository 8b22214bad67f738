//! AS2 names (RFC 4130 6.2): the identities in `AS2-From` and `AS2-To`.
//!
//! ```text
//! AS2-name   = AS2-atomic-name | AS2-quoted-name
//! atomic     = 1*128 AS2-text                            printable ASCII except '"' and '\'
//! quoted     = '"' 1*128 ( AS2-text | SP | '\"' | '\\' ) '"'
//! ```
//!
//! Names are case-sensitive. They are kept unquoted and compared unquoted; the quoting style of a received name is
//! remembered so that an MDN shows the partner's names the way the partner writes them.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest name in characters, counted after unquoting.
const LONGEST: usize = 128;

/// An AS2 identity, unquoted. Equality and hash are those of the unquoted text.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct As2Name {
    text: String,
    quoted: bool,
}

/// Why a text is not an AS2 name (RFC 4130 6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing between the quotes, or nothing at all.
    #[error("an AS2 name needs at least one character")]
    Empty,
    /// More than 128 characters.
    #[error("an AS2 name has at most 128 characters")]
    TooLong,
    /// A character outside printable ASCII.
    #[error("an AS2 name consists of printable ASCII characters")]
    Character,
    /// Quotes or backslashes that do not follow the grammar.
    #[error("the quoting of the AS2 name is wrong")]
    Quoting,
}

impl As2Name {
    /// Reads the value of `AS2-From` or `AS2-To`: atomic, quoted, or (tolerated) unquoted with inner blanks.
    pub fn parse(value: &str) -> Result<As2Name, NameError> {
        let value = value.trim_matches([' ', '\t']);
        let (text, quoted) = match value.strip_prefix('"') {
            Some(rest) => (unquote(rest)?, true),
            None => (unquoted(value)?, false),
        };
        check(&text)?;
        Ok(As2Name { text, quoted })
    }

    /// The name `text` as people write it, without header quoting: quotes and backslashes are part of the name.
    pub fn from_plain(text: &str) -> Result<As2Name, NameError> {
        check(text)?;
        Ok(As2Name { text: text.to_owned(), quoted: false })
    }

    /// The unquoted name.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The name inside of this one, when this one is itself in quotes: in its receipts pyas2 quotes again what is quoted
    /// already.
    pub fn unquoted_again(&self) -> Option<As2Name> {
        self.text.starts_with('"').then(|| As2Name::parse(&self.text).ok()).flatten()
    }

    /// The value for a header field: quoted when the name needs it or was received so.
    pub fn header_value(&self) -> String {
        let needs_quotes = self.text.contains([' ', '"', '\\']);
        if !needs_quotes && !self.quoted {
            return self.text.clone();
        }
        let mut value = String::with_capacity(self.text.len().saturating_add(2));
        value.push('"');
        for c in self.text.chars() {
            if matches!(c, '"' | '\\') {
                value.push('\\');
            }
            value.push(c);
        }
        value.push('"');
        value
    }
}

/// Length and alphabet, after unquoting.
fn check(text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if !text.bytes().all(|b| (0x20..=0x7e).contains(&b)) {
        return Err(NameError::Character);
    }
    if text.len() > LONGEST {
        return Err(NameError::TooLong);
    }
    Ok(())
}

/// An atomic name; blanks inside are tolerated, quotes and backslashes are not.
fn unquoted(value: &str) -> Result<String, NameError> {
    if value.contains(['"', '\\']) {
        return Err(NameError::Quoting);
    }
    Ok(value.to_owned())
}

/// The text of a quoted name whose opening quote is already gone.
fn unquote(rest: &str) -> Result<String, NameError> {
    let mut text = String::new();
    let mut chars = rest.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' if chars.as_str().is_empty() => return Ok(text),
            '"' => return Err(NameError::Quoting),
            '\\' => match chars.next() {
                Some(escaped @ ('"' | '\\')) => text.push(escaped),
                _ => return Err(NameError::Quoting),
            },
            other => text.push(other),
        }
    }
    Err(NameError::Quoting)
}

/// The unquoted name.
impl fmt::Display for As2Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for As2Name {
    fn eq(&self, other: &As2Name) -> bool {
        self.text == other.text
    }
}

impl Eq for As2Name {}

impl Hash for As2Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

/// As [`As2Name::from_plain`].
impl FromStr for As2Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<As2Name, NameError> {
        As2Name::from_plain(text)
    }
}

impl TryFrom<String> for As2Name {
    type Error = NameError;

    fn try_from(text: String) -> Result<As2Name, NameError> {
        As2Name::from_plain(&text)
    }
}

impl From<As2Name> for String {
    fn from(name: As2Name) -> String {
        name.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_every_form_of_section_6_2() {
        let table = [
            ("ACME", "ACME", "ACME"),
            ("  ACME\t", "ACME", "ACME"),
            ("\"ACME\"", "ACME", "\"ACME\""),
            ("\"a b\"", "a b", "\"a b\""),
            ("a b", "a b", "\"a b\""),
            ("\"say \\\"hi\\\"\"", "say \"hi\"", "\"say \\\"hi\\\"\""),
            ("\"back\\\\slash\"", "back\\slash", "\"back\\\\slash\""),
            ("!;#,<>[]", "!;#,<>[]", "!;#,<>[]"),
            ("\" edge \"", " edge ", "\" edge \""),
        ];
        for (header, text, again) in table {
            let name = As2Name::parse(header).expect(header);
            assert_eq!(name.as_str(), text);
            assert_eq!(name.header_value(), again);
            assert_eq!(As2Name::parse(&name.header_value()), Ok(name));
        }
    }

    #[test]
    fn bad_names_are_refused() {
        let long = "x".repeat(129);
        let table = [
            ("", NameError::Empty),
            ("\"\"", NameError::Empty),
            ("a\"b", NameError::Quoting),
            ("a\\b", NameError::Quoting),
            ("\"open", NameError::Quoting),
            ("\"a\"b", NameError::Quoting),
            ("\"a\\", NameError::Quoting),
            ("\"a\\n\"", NameError::Quoting),
            ("a\tb", NameError::Character),
            ("a\u{7f}", NameError::Character),
            ("a\0b", NameError::Character),
            ("a\r\nX: y", NameError::Character),
            ("海关", NameError::Character),
            ("a\u{202e}b", NameError::Character),
            (long.as_str(), NameError::TooLong),
        ];
        for (header, error) in table {
            assert_eq!(As2Name::parse(header), Err(error), "{header:?}");
        }
    }

    #[test]
    fn length_is_counted_after_unquoting() {
        let escaped = format!("\"{}\"", "\\\"".repeat(128));
        assert_eq!(As2Name::parse(&escaped).expect("128 characters").as_str().len(), 128);
    }

    #[test]
    fn names_are_case_sensitive_and_quoting_is_not_identity() {
        assert_eq!(As2Name::parse("ACME"), As2Name::parse("\"ACME\""));
        assert_ne!(As2Name::parse("ACME"), As2Name::parse("acme"));
    }
}
