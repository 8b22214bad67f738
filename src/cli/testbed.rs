//! `dxgate testbed`: the customs side alone, until SIGINT or SIGTERM.

use super::exit_code::ExitCode;
use super::failure::Failure;
use super::{Context, serve};

/// Runs the command.
pub fn run(context: &mut Context<'_>) -> Result<ExitCode, Failure> {
    Err(serve::not_built(context))
}
