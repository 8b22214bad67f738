//! `dxgate demo`: testbed and gateway on loopback, real sample declarations through the outbox.

use super::arguments::DemoArguments;
use super::exit_code::ExitCode;
use super::failure::Failure;
use super::{Context, serve};

/// Runs the command.
pub fn run(context: &mut Context<'_>, _arguments: &DemoArguments) -> Result<ExitCode, Failure> {
    Err(serve::not_built(context))
}
