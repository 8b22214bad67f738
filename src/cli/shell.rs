//! `dxgate completions` and `dxgate man`: what shells and `man` want to know, made from the command tree itself.

use std::path::Path;

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::arguments::Arguments;
use super::chinese;
use super::exit_code::ExitCode;
use super::failure::Failure;
use super::voice::Voice;
use crate::bilingual;
use crate::ground::durable;

/// Writes the completions of a shell to the output.
pub fn completions(voice: &mut Voice<'_>, shell: Shell) -> Result<ExitCode, Failure> {
    let mut command = chinese::localised(Arguments::command(), voice.language);
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "dxgate", &mut script);
    voice.out.write_all(&script)?;
    Ok(ExitCode::Done)
}

/// Writes a manual page for each command into a folder.
pub fn manual(voice: &mut Voice<'_>, dir: &Path) -> Result<ExitCode, Failure> {
    let failed = |error: std::io::Error| Failure::file(dir, &error);
    durable::create_dir_all(dir).map_err(|error| failed(error.into()))?;
    let command = chinese::localised(Arguments::command(), voice.language).disable_help_subcommand(true);
    clap_mangen::generate_to(command, dir).map_err(failed)?;
    let shown = dir.display();
    voice.say(&bilingual!("手册页已写入 {shown}", "the manual pages are in {shown}"))?;
    Ok(ExitCode::Done)
}
