//! File names.
use super::Headers;
use serde::{Deserialize, Serialize};

/// The name a partner gave a payload, as received and made safe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileName {
    /// As received, decoded; data only, never a path.
    pub original: String,
    /// Sanitised by [`safe_file_name`].
    pub safe: String,
}
/// The file name of an entity.
pub fn file_name(headers: &Headers) -> Option<FileName> {
    let _ = headers;
    unimplemented!()
}
/// A name that is safe as one path component on Linux and Windows; never empty.
pub fn safe_file_name(name: &str) -> String {
    let _ = name;
    unimplemented!()
}
