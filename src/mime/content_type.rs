//! Content-Type values (RFC 2045 5.1, RFC 2231).
use super::MimeError;
use std::fmt;

/// A media type with its parameters. `essence` is lower case (`multipart/signed`), parameter names are lower case.
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
        let _ = essence;
        unimplemented!()
    }
    /// The same with one more parameter.
    pub fn with(self, name: &str, value: &str) -> ContentType {
        let _ = (name, value);
        unimplemented!()
    }
    /// Reads a field value, tolerating tabs, missing quotes and comments.
    pub fn parse(value: &str) -> Result<ContentType, MimeError> {
        let _ = value;
        unimplemented!()
    }
    /// The first parameter of that name (any case).
    pub fn param(&self, name: &str) -> Option<&str> {
        let _ = name;
        unimplemented!()
    }
    /// Whether the essence equals `essence` (any case).
    pub fn is(&self, essence: &str) -> bool {
        self.essence.eq_ignore_ascii_case(essence)
    }
    /// The boundary, checked to be 1..=70 characters.
    pub fn boundary(&self) -> Result<&str, MimeError> {
        unimplemented!()
    }
}
impl fmt::Display for ContentType {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        unimplemented!()
    }
}
