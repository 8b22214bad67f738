//! Message-IDs (RFC 4130 5.3.3, RFC 5322 3.6.4): written strictly, read tolerantly, echoed exactly but for
//! quotes around a whole field.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ground::id::Id;

/// The longest Message-ID in bytes (RFC 4130 5.3.3).
const LONGEST: usize = 998;

/// A Message-ID in exactly the syntax it was received or generated in, brackets included when they were there.
///
/// Equality is that of the exact text; [`key`](MessageId::key) is what identifies a message.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct MessageId(String);

/// Why a text cannot be a Message-ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MessageIdError {
    /// Nothing there, or nothing between the brackets.
    #[error("the Message-ID is empty")]
    Empty,
    /// More than 998 bytes.
    #[error("the Message-ID is longer than 998 bytes")]
    TooLong,
    /// Control characters or characters outside ASCII.
    #[error("the Message-ID contains a control character or a character outside ASCII")]
    Character,
}

impl MessageId {
    /// A field's value without blanks and quotes around it: phase2 quotes fields whole where it is set to, and knows its
    /// message by what is in the quotes.
    pub fn in_field(value: &str) -> &str {
        let value = value.trim_matches([' ', '\t']);
        let inner = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        inner.filter(|id| id.starts_with('<') && id.ends_with('>')).unwrap_or(value)
    }

    /// Reads a `Message-ID` or `Original-Message-ID` value; missing brackets and a missing `@` are tolerated, and blanks: mendelson,
    /// OpenAS2 and phase2 put the AS2 names of both sides into it as they are.
    pub fn parse(value: &str) -> Result<MessageId, MessageIdError> {
        let value = MessageId::in_field(value);
        if value.len() > LONGEST {
            return Err(MessageIdError::TooLong);
        }
        if !value.bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
            return Err(MessageIdError::Character);
        }
        if without_brackets(value).is_empty() {
            return Err(MessageIdError::Empty);
        }
        Ok(MessageId(value.to_owned()))
    }

    /// `<id@host>`; characters that have no place in a domain become hyphens.
    pub fn generate(id: Id, host: &str) -> MessageId {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let host: String = host.chars().take(200).map(|c| if allowed(c) { c } else { '-' }).collect();
        let host = if host.is_empty() { "localhost" } else { &host };
        MessageId(format!("<{id}@{host}>"))
    }

    /// The exact text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text without its brackets: what is compared, because some partners drop or add them.
    pub fn key(&self) -> &str {
        without_brackets(&self.0)
    }
}

/// `text` without one pair of enclosing angle brackets.
fn without_brackets(text: &str) -> &str {
    text.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).unwrap_or(text)
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for MessageId {
    type Error = MessageIdError;

    fn try_from(text: String) -> Result<MessageId, MessageIdError> {
        MessageId::parse(&text)
    }
}

impl From<MessageId> for String {
    fn from(id: MessageId) -> String {
        id.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_quoted_as_a_whole_names_what_is_in_the_quotes() {
        assert_eq!(MessageId::in_field(" \"<a b@c>\" "), "<a b@c>");
        assert_eq!(MessageId::in_field("\"a\"@b"), "\"a\"@b");
    }

    #[test]
    fn the_received_syntax_is_kept_and_the_key_has_no_brackets() {
        for (text, key) in [("<a@b>", "a@b"), ("a@b", "a@b"), ("ABC_123", "ABC_123"), ("<a", "<a")] {
            let id = MessageId::parse(text).expect(text);
            assert_eq!((id.as_str(), id.key()), (text, key));
        }
    }

    #[test]
    fn a_blank_from_the_name_of_a_partner_is_read() {
        let text = "<OPENAS2-01122026093000+0800-1@ACME Co_gw>";
        assert_eq!(MessageId::parse(&format!(" {text} ")).map(String::from), Ok(text.to_owned()));
        assert_eq!(MessageId::parse("<a\tb@c>"), Err(MessageIdError::Character));
    }

    #[test]
    fn controls_and_length_are_refused() {
        for text in ["<a\r\nX: y@c>", "<a\0@c>", "<\u{1b}[1m@c>", "<é@c>", "<a\u{2028}@c>"] {
            assert_eq!(MessageId::parse(text), Err(MessageIdError::Character), "{text:?}");
        }
        assert_eq!(MessageId::parse("<>"), Err(MessageIdError::Empty));
        assert_eq!(MessageId::parse(" "), Err(MessageIdError::Empty));
        assert_eq!(MessageId::parse(&"x".repeat(999)), Err(MessageIdError::TooLong));
        assert!(MessageId::parse(&"x".repeat(998)).is_ok());
    }

    #[test]
    fn a_generated_identifier_is_well_formed_whatever_the_host_says() {
        let id = MessageId::generate(Id::from_bytes([7; 16]), "gate way\r\n>");
        assert_eq!(id.as_str(), "<07070707070707070707070707070707@gate-way--->");
        assert!(MessageId::parse(id.as_str()).is_ok());
    }
}
