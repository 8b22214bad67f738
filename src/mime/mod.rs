//! MIME as AS2 uses it (RFC 2045, 2046, 1847): heads of entities, `multipart/signed`, transfer encodings, file names.
//!
//! Two rules shape this module. Bytes that will be hashed or verified are never written anew: everything parsed is a
//! range of what came in. And nothing grows with the input: heads, parts and lines are capped by
//! [`Limits`](crate::ground::limits::Limits), payloads flow through fixed buffers.
//!
//! mail-parser reads header fields and the structure of small multiparts ([`Headers`], [`parts`]); the
//! splitter of `multipart/signed` ([`SignedParts`]) is ours, because it must stream.
#![deny(clippy::indexing_slicing)]

mod content_type;
mod encoding;
mod error;
mod filename;
mod header;
mod line_ends;
mod multipart;
mod quoting;
mod sections;
mod source;

pub use content_type::ContentType;
pub use encoding::{Base64Lines, decoded_beginning, transfer_decoder};
pub use error::MimeError;
pub use filename::{FileName, decode_words, file_name, safe_file_name};
pub use header::{Headers, read_entity_head};
pub use line_ends::{CanonicalLines, LineEnds};
pub(crate) use multipart::is_plain_text;
pub use multipart::{FirstPart, Part, SignedParts, begins_with_delimiter, parts, parts_between};
pub(crate) use sections::percent_decoded;
pub use source::{BytesSource, ChainSource, MemoryScratch, Scratch, ScratchWriter, Source};
