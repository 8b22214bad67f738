//! `dxgate cert …`.

use super::arguments::CertCommand;
use super::exit_code::ExitCode;
use super::failure::Failure;
use super::{Context, serve};

/// Runs the command.
pub fn run(context: &mut Context<'_>, _arguments: &CertCommand) -> Result<ExitCode, Failure> {
    Err(serve::not_built(context))
}
