//! Documents that tell when a bit of them was flipped: the document, and behind it a line with its SHA-256.
//!
//! ```text
//! {"any":"document"}
//! {"sha256":"<64 lower-case hex digits of everything before this line>"}
//! ```
//!
//! Two JSON values in a row, which tools for JSON read. A document from before there was such a line has none and is
//! taken as it is. No flipped bit makes one of the other: what is left of the line is then part of the document, which
//! is JSON no more.

use std::path::Path;

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use super::durable;
use super::text::Bilingual;
use crate::bilingual;

/// A document is not the one that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("its SHA-256 is another than when it was written")]
pub struct Altered;

impl Altered {
    /// Where it is, what it means and what to do.
    pub fn text(self, path: &Path) -> Bilingual {
        let path = path.display();
        bilingual!(
            "{path} 与写入时不同（SHA-256 不符）：磁盘损坏，或被手工修改。请从备份恢复该文件，并检查磁盘；如确系手工修改，请删除其最后一行。",
            "{path} is not what was written (its SHA-256 is another): the disk damaged it, or somebody edited it. Restore the file from a backup, and check the disk; if the edit was meant, remove its last line."
        )
    }
}

/// The bytes of a file with this document, which is JSON.
pub fn seal(mut document: Vec<u8>) -> Vec<u8> {
    if document.last() != Some(&b'\n') {
        document.push(b'\n');
    }
    let line = line(&document);
    document.extend_from_slice(line.as_bytes());
    document
}

/// Writes a document over whatever has its name, whole and durably.
///
/// # Errors
/// Any failure of the disk; the old file is then still there.
pub fn replace(path: &Path, document: Vec<u8>) -> durable::Result<()> {
    durable::replace(path, &seal(document))
}

/// The document in the bytes of a file; all of them if there is no line, as of earlier programs.
///
/// # Errors
/// It is not the document that was written.
pub fn open(bytes: &[u8]) -> Result<&[u8], Altered> {
    let split = bytes.len().saturating_sub(LINE);
    let Some((document, found)) = bytes.split_at_checked(split).filter(|(_, found)| found.starts_with(BEGIN)) else {
        return Ok(bytes);
    };
    if line(document).as_bytes() == found { Ok(document) } else { Err(Altered) }
}

const BEGIN: &[u8] = b"{\"sha256\":\"";
/// Bytes of the line.
const LINE: usize = BEGIN.len() + 64 + "\"}\n".len();

fn line(document: &[u8]) -> String {
    let mut line = String::from("{\"sha256\":\"");
    line.push_str(&HEXLOWER.encode(&Sha256::digest(document)));
    line.push_str("\"}\n");
    line
}

#[cfg(test)]
mod tests {
    use serde_json::{Deserializer, Value};

    use super::*;

    const DOCUMENT: &str = "{\"users\":[],\"tokens\":[]}";

    #[test]
    fn a_document_is_read_back_and_its_file_is_json_for_everybody() {
        let sealed = seal(DOCUMENT.into());
        assert_eq!(open(&sealed), Ok(format!("{DOCUMENT}\n").as_bytes()));
        let values: Vec<Value> = Deserializer::from_slice(&sealed).into_iter().map(Result::unwrap).collect();
        assert_eq!(values.len(), 2);
        assert_eq!(seal(format!("{DOCUMENT}\n").into()), sealed, "a last line feed is not doubled");
    }

    #[test]
    fn a_document_of_an_earlier_program_is_taken_as_it_is() {
        for bytes in ["", "{}", DOCUMENT] {
            assert_eq!(open(bytes.as_bytes()), Ok(bytes.as_bytes()));
        }
        assert_eq!(open(b"{\"sha256\":\"\"}\n"), Err(Altered), "what is left of a line is no document");
    }

    #[test]
    fn every_flipped_bit_is_found_by_the_digest_or_leaves_no_json() {
        let sealed = seal(DOCUMENT.into());
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let Ok(document) = open(&flipped) {
                assert!(serde_json::from_slice::<Value>(document).is_err(), "bit {bit} is not noticed");
            }
        }
    }
}
