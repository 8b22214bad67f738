//! Why a command could not do its work: what, where, what to do, and the exit code that goes with it.

use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use super::exit_code::ExitCode;
use super::voice::Voice;
use crate::bilingual;
use crate::config::Problems;
use crate::ground::text::{Bilingual, Language};

/// A command that did not get to an answer.
#[derive(Debug)]
pub enum Failure {
    /// One statement.
    Said {
        /// How the command ends.
        exit: ExitCode,
        /// Stable kebab-case code.
        code: String,
        /// What, where, what to do.
        text: Bilingual,
    },
    /// Everything that is wrong with the configuration.
    Configuration(Problems),
    /// The result could not be written.
    Output(io::Error),
}

impl Failure {
    /// One statement.
    pub fn new(exit: ExitCode, code: &str, text: Bilingual) -> Failure {
        Failure::Said { exit, code: code.to_owned(), text }
    }

    /// A file that cannot be read or written.
    pub fn file(path: &Path, error: &io::Error) -> Failure {
        let path = path.display();
        let text = bilingual!(
            "无法访问 {path}：{error}；请检查路径和权限",
            "{path} cannot be accessed: {error}; check the path and its permissions"
        );
        Failure::new(ExitCode::Unreachable, "file-unreachable", text)
    }

    /// Stable name of what went wrong; empty for what has its own list of them.
    pub fn code(&self) -> &str {
        match self {
            Failure::Said { code, .. } => code,
            Failure::Configuration(_) | Failure::Output(_) => "",
        }
    }

    /// How the command ends.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Failure::Said { exit, .. } => *exit,
            Failure::Configuration(_) => ExitCode::Usage,
            Failure::Output(_) => ExitCode::Unreachable,
        }
    }

    /// Tells it.
    pub(super) fn report(&self, err: &mut dyn Write, language: Language, json: bool) -> io::Result<()> {
        let mut voice = Voice { out: err, language, json, colours: false, environment: None };
        match self {
            Failure::Said { code, text, .. } if json => voice.value(&FailureWire { code, text }),
            Failure::Said { code, text, .. } => {
                let text = text.text(language);
                let line = match language {
                    Language::Chinese => format!("错误：{text} [{code}]"),
                    Language::English => format!("error: {text} [{code}]"),
                };
                voice.line(&line)
            }
            Failure::Configuration(problems) if json => voice.value(problems),
            Failure::Configuration(problems) => {
                problems.problems.iter().try_for_each(|problem| voice.line(&problem.line(language)))
            }
            Failure::Output(error) => voice.line(&format!("error: {error}")),
        }
    }
}

/// A failure for programs.
#[derive(Serialize)]
struct FailureWire<'f> {
    code: &'f str,
    text: &'f Bilingual,
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Output(error)
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Failure {
        Failure::Configuration(problems)
    }
}
