//! `dxgate init`.

use super::arguments::InitArguments;
use super::exit_code::ExitCode;
use super::failure::Failure;
use super::{Context, serve};

/// Runs the command.
pub fn run(context: &mut Context<'_>, _arguments: &InitArguments) -> Result<ExitCode, Failure> {
    Err(serve::not_built(context))
}
