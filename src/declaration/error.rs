//! What can be wrong with a document, in one enum, each with a stable code, a place and words for people.

use serde::{Deserialize, Serialize};

use crate::bilingual;
use crate::ground::text::Bilingual;

/// A document could not be read to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{fault} (line {line}, column {column})")]
pub struct DeclarationError {
    /// What is wrong.
    pub fault: Fault,
    /// Line of the place, from 1.
    pub line: u64,
    /// Column of the place in characters, from 1.
    pub column: u64,
    /// Path of open elements, such as `CEB311Message/Order[2]/OrderHead`; empty outside the root.
    pub path: String,
}

impl DeclarationError {
    /// Stable kebab-case code of the fault.
    pub fn code(&self) -> &'static str {
        self.fault.code()
    }

    /// What is wrong, where, and what to do, in both languages.
    pub fn text(&self) -> Bilingual {
        let (what, line, column) = (self.fault.text(), self.line, self.column);
        let (zh, en) = (what.zh, what.en);
        Bilingual {
            zh: format!("第 {line} 行第 {column} 列：{zh}"), en: format!("line {line}, column {column}: {en}")
        }
    }
}

/// One kind of fault. The first group is the reader's, the second the document's form, the third the envelope's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The underlying reader or writer failed.
    #[error("reading or writing failed: {0}")]
    Io(String),
}

impl Fault {
    /// Stable kebab-case code.
    pub fn code(&self) -> &'static str {
        match self {
            Fault::Io(_) => "io",
        }
    }

    /// The fault in both languages.
    pub fn text(&self) -> Bilingual {
        bilingual!("{self}", "{self}")
    }
}
