//! One thing that is wrong with a configuration, and all of them together.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::ground::text::{Bilingual, Language, printable};

/// Whether the gateway can live with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The gateway does not start (or does not take the file, on a reload).
    Error,
    /// It starts; somebody should look at it.
    Warning,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// Stable kebab-case code.
    pub code: &'static str,
    /// The configuration file.
    pub file: PathBuf,
    /// Line in it, from 1.
    pub line: Option<usize>,
    /// The key as a path, such as `as2.tls.certificate` or `station.keys[1].from`; empty for the file as a whole.
    pub key: String,
    /// What is wrong and what to do.
    pub text: Bilingual,
}

impl Problem {
    /// `file:line: key: text`, safe for a terminal.
    pub fn line(&self, language: Language) -> String {
        let mut place = self.file.display().to_string();
        if let Some(line) = self.line {
            place.push_str(&format!(":{line}"));
        }
        let key = if self.key.is_empty() { String::new() } else { format!("{}: ", self.key) };
        printable(&format!("{place}: {key}{}", self.text.text(language)))
    }
}

/// English, for logs.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line(Language::English))
    }
}

/// Everything wrong with a home; at least one error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problems {
    /// Errors and warnings in the order of files and lines.
    pub problems: Vec<Problem>,
}

impl Problems {
    /// Those that prevent a start.
    pub fn errors(&self) -> impl Iterator<Item = &Problem> {
        self.problems.iter().filter(|problem| problem.severity == Severity::Error)
    }

    /// Those that do not.
    pub fn warnings(&self) -> impl Iterator<Item = &Problem> {
        self.problems.iter().filter(|problem| problem.severity == Severity::Warning)
    }
}

/// One problem a line, English.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            fmt::Display::fmt(problem, f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
