//! `dxgate precheck`: the pre-check of the outbox, on any file, without a gateway.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Context;
use super::arguments::PrecheckArguments;
use super::exit_code::ExitCode;
use super::failure::Failure;
use super::voice::Voice;
use crate::bilingual;
use crate::declaration::precheck::{Expectations, Report, Verdict, check};
use crate::ground::limits::Limits;

/// Nesting of folders that is followed.
const MAX_DEPTH: usize = 16;

/// Runs the command. Exit 1 when at least one file is refused.
pub fn run(context: &mut Context<'_>, arguments: &PrecheckArguments) -> Result<ExitCode, Failure> {
    let mut files = Vec::new();
    for path in &arguments.paths {
        collect(path, MAX_DEPTH, true, &mut files).map_err(|error| Failure::file(path, &error))?;
    }
    if files.is_empty() {
        let text = bilingual!("没有找到 .xml 文件；请检查路径", "no .xml file was found; check the paths");
        return Err(Failure::new(ExitCode::Unreachable, "no-files", text));
    }
    let expectations = Expectations { dxpid: arguments.dxpid.as_deref(), ..Expectations::default() };
    let mut checked = Vec::with_capacity(files.len());
    for path in files {
        let file = File::open(&path).map_err(|error| Failure::file(&path, &error))?;
        let report = check(&mut BufReader::new(file), &expectations, &Limits::default());
        checked.push(Checked { verdict: report.verdict(), file: path.display().to_string(), report });
    }
    print(&mut context.voice, &checked)?;
    let refused = checked.iter().any(|checked| checked.verdict == Verdict::Refused);
    Ok(if refused { ExitCode::No } else { ExitCode::Done })
}

/// One file's result.
#[derive(Debug, Serialize)]
struct Checked {
    file: String,
    verdict: Verdict,
    report: Report,
}

/// Named files in any case, `.xml` files of folders in the order of their names.
fn collect(path: &Path, depth: usize, named: bool, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if !std::fs::metadata(path)?.is_dir() {
        let is_xml = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("xml"));
        if named || is_xml {
            files.push(path.to_path_buf());
        }
        return Ok(());
    }
    let Some(depth) = depth.checked_sub(1) else { return Ok(()) };
    let mut entries = std::fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    entries.sort();
    entries.iter().try_for_each(|entry| collect(entry, depth, false, files))
}

fn print(voice: &mut Voice<'_>, checked: &[Checked]) -> std::io::Result<()> {
    if voice.json {
        return voice.value(&checked);
    }
    for Checked { file, verdict, report } in checked {
        let accepted = *verdict == Verdict::Accepted;
        let text = match accepted {
            true => bilingual!("{file}：通过", "{file}: accepted"),
            false => bilingual!("{file}：未通过", "{file}: refused"),
        };
        voice.say(&text)?;
        for line in report.lines(voice.language) {
            voice.line(&format!("  {line}"))?;
        }
    }
    let all = checked.len();
    let refused = checked.iter().filter(|checked| checked.verdict == Verdict::Refused).count();
    voice.say(&bilingual!("共 {all} 个文件，未通过 {refused} 个", "{all} files, {refused} refused"))
}
