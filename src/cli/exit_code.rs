//! How a command ends, the same for every command.

/// Exit codes; the numbers are a promise to scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitCode {
    /// Done, or the answer is yes.
    Done,
    /// The answer is no: findings, a failed test, a negative MDN.
    No,
    /// Wrong usage or configuration.
    Usage,
    /// The gateway or a file could not be reached.
    Unreachable,
}

impl ExitCode {
    /// The number.
    pub fn number(self) -> u8 {
        match self {
            ExitCode::Done => 0,
            ExitCode::No => 1,
            ExitCode::Usage => 2,
            ExitCode::Unreachable => 3,
        }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        std::process::ExitCode::from(code.number())
    }
}
