//! `dxgate partner …`.

use super::arguments::PartnerCommand;
use super::exit_code::ExitCode;
use super::failure::Failure;
use super::{Context, serve};

/// Runs the command.
pub fn run(context: &mut Context<'_>, _arguments: &PartnerCommand) -> Result<ExitCode, Failure> {
    Err(serve::not_built(context))
}
