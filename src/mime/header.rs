//! Header fields.
use super::MimeError;
use crate::ground::limits::Limits;
use serde::{Deserialize, Serialize};
use std::io::BufRead;

/// Header fields in order; names compare without case, values are unfolded and trimmed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Headers {
    fields: Vec<(String, String)>,
}

impl Headers {
    /// No fields.
    pub fn new() -> Headers {
        Headers::default()
    }
    /// Reads a header block, with or without the blank line at its end.
    pub fn parse(block: &[u8], limits: &Limits) -> Result<Headers, MimeError> {
        let _ = (block, limits);
        unimplemented!()
    }
    /// The first value of that name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }
    /// Every value of that name, in order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }
    /// How many fields have that name.
    pub fn count(&self, name: &str) -> usize {
        self.all(name).count()
    }
    /// Adds a field; refuses control characters.
    pub fn push(&mut self, name: &str, value: &str) -> Result<(), MimeError> {
        let _ = (name, value);
        unimplemented!()
    }
    /// Replaces every field of that name by one.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), MimeError> {
        let _ = (name, value);
        unimplemented!()
    }
    /// Removes every field of that name.
    pub fn remove(&mut self, name: &str) {
        self.fields.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
    }
    /// Name and value of every field, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }
    /// Number of fields.
    pub fn len(&self) -> usize {
        self.fields.len()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }
    /// `Name: value\r\n` of every field, never folded, without the blank line.
    pub fn to_bytes(&self) -> Vec<u8> {
        unimplemented!()
    }
}
/// Consumes a header block and its blank line.
pub fn read_entity_head<R: BufRead + ?Sized>(r: &mut R, limits: &Limits) -> Result<Headers, MimeError> {
    let _ = (r, limits);
    unimplemented!()
}
