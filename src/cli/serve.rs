//! `dxgate serve`: the gateway in the foreground until SIGINT or SIGTERM.

use super::Context;
use super::exit_code::ExitCode;
use super::failure::Failure;
use crate::bilingual;

/// Runs the command.
pub fn run(context: &mut Context<'_>) -> Result<ExitCode, Failure> {
    Err(not_built(context))
}

/// The seam to `app`.
pub(super) fn not_built(_context: &Context<'_>) -> Failure {
    let text = bilingual!("此版本不包含该命令", "this build does not contain this command");
    Failure::new(ExitCode::Usage, "not-built", text)
}
