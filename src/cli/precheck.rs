//! `dxgate precheck`: the pre-check of the outbox, on any files, without a gateway.
//!
//! Files are checked on every core and then compared with each other. Exit 0 without errors, 1 with (with `--strict`
//! warnings count too), 2 for a wrong usage, 3 when a file cannot be read.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use indicatif::ProgressBar;

use super::Context;
use super::arguments::{Format, PrecheckArguments};
use super::exit_code::ExitCode;
use super::failure::Failure;
use crate::bilingual;
use crate::declaration::precheck::codes::{CodeTables, List};
use crate::declaration::precheck::{Expectations, Facts, Ledger, Levels, Report, check_for_ledger};
use crate::declaration::schema;
use crate::ground::clock::{Clock, SystemClock};
use crate::ground::limits::Limits;

mod excerpt;
mod human;
mod machine;

/// Nesting of folders that is followed.
const MAX_DEPTH: usize = 16;
/// Files from which on progress is shown.
const MANY: usize = 100;
/// Stands for standard input.
const STDIN: &str = "-";

/// One file's result.
struct Checked {
    path: PathBuf,
    report: Report,
}

/// Runs the command.
pub fn run(context: &mut Context<'_>, arguments: &PrecheckArguments) -> Result<ExitCode, Failure> {
    let mut files = Vec::new();
    for path in &arguments.paths {
        collect(path, MAX_DEPTH, true, &mut files).map_err(|error| Failure::file(path, &error))?;
    }
    if files.is_empty() {
        let text = bilingual!("没有找到 .xml 文件；请检查路径", "no .xml file was found; check the paths");
        return Err(Failure::new(ExitCode::Unreachable, "no-files", text));
    }
    let name = arguments.edition.as_deref().unwrap_or(schema::CURRENT);
    let Some(edition) = schema::edition(name) else {
        let known: Vec<_> = schema::editions().collect();
        let known = known.join(", ");
        let text =
            bilingual!("没有版本 {name} 的报文规范；已有：{known}", "there is no edition {name}; there are: {known}");
        return Err(Failure::new(ExitCode::Usage, "edition-unknown", text));
    };
    let tables = load(arguments.tables.as_deref())?;
    let expect = Expectations {
        edition,
        dxpid: arguments.dxpid.as_deref(),
        now: Some(SystemClock.now()),
        tables: &tables,
        ..Expectations::default()
    };
    let checked = check_all(files, &expect)?;
    let errors: usize = checked.iter().map(|checked| checked.report.errors()).sum();
    let warnings: usize = checked.iter().map(|checked| checked.report.warnings()).sum();
    match context.global.format {
        Format::Human => human::print(&mut context.voice, &checked, &tables)?,
        Format::Json => machine::json(&mut context.voice, &checked, name, &tables)?,
        Format::Sarif => machine::sarif(&mut context.voice, &checked)?,
        Format::Junit => machine::junit(&mut context.voice, &checked)?,
    }
    let refused = errors > 0 || (arguments.strict && warnings > 0);
    Ok(if refused { ExitCode::No } else { ExitCode::Done })
}

/// The built-in code lists and those of the folder.
fn load(folder: Option<&Path>) -> Result<CodeTables, Failure> {
    let mut tables = CodeTables::default();
    let Some(folder) = folder else { return Ok(tables) };
    std::fs::read_dir(folder).map_err(|error| Failure::file(folder, &error))?;
    for list in List::ALL {
        let path = folder.join(format!("{}.csv", list.name()));
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                if tables.load(list, &text) == 0 {
                    let path = path.display();
                    let text = bilingual!(
                        "{path} 中没有代码；每行一个代码，代码在第一列",
                        "{path} holds no code; write one per line, in the first column"
                    );
                    return Err(Failure::new(ExitCode::Usage, "table-empty", text));
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(Failure::file(&path, &error)),
        }
    }
    Ok(tables)
}

/// Named files in any case, `.xml` files of folders in the order of their names.
fn collect(path: &Path, depth: usize, named: bool, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if named && path.as_os_str() == STDIN {
        files.push(path.to_path_buf());
        return Ok(());
    }
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

/// A file's report, and what its documents say to others.
type Outcome = std::io::Result<(Report, Vec<Facts>)>;

fn check_all(files: Vec<PathBuf>, expect: &Expectations<'_>) -> Result<Vec<Checked>, Failure> {
    let next = AtomicUsize::new(0);
    let outcomes: Mutex<Vec<(usize, Outcome)>> = Mutex::new(Vec::with_capacity(files.len()));
    let progress = if files.len() < MANY { ProgressBar::hidden() } else { ProgressBar::new(files.len() as u64) };
    let work = || {
        while let Some((number, path)) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|n| Some((n, files.get(n)?)))
        {
            let outcome = check_one(path, expect);
            if let Ok(mut outcomes) = outcomes.lock() {
                outcomes.push((number, outcome));
            }
            progress.inc(1);
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from).min(files.len());
    std::thread::scope(|scope| {
        for _ in 1..cores {
            scope.spawn(work);
        }
        work();
    });
    progress.finish_and_clear();
    let mut outcomes = outcomes.into_inner().unwrap_or_default();
    outcomes.sort_by_key(|(number, _)| *number);
    let mut ledger = Ledger::default();
    let mut checked = Vec::with_capacity(files.len());
    for ((number, outcome), path) in outcomes.into_iter().zip(files) {
        let (report, facts) = outcome.map_err(|error| Failure::file(&path, &error))?;
        facts.into_iter().for_each(|facts| ledger.add(number, facts));
        checked.push(Checked { path, report });
    }
    for (number, finding) in ledger.judge(&Levels::default()) {
        if let Some(checked) = checked.get_mut(number) {
            checked.report.findings.push(finding);
        }
    }
    Ok(checked)
}

fn check_one(path: &Path, expect: &Expectations<'_>) -> Outcome {
    let mut facts = Vec::new();
    let mut input: Box<dyn BufRead> = if path.as_os_str() == STDIN {
        Box::new(BufReader::new(std::io::stdin()))
    } else {
        Box::new(BufReader::with_capacity(64 * 1024, File::open(path)?))
    };
    let report = check_for_ledger(&mut *input, expect, &Limits::default(), &mut |one| facts.push(one));
    Ok((report, facts))
}

#[cfg(test)]
mod tests;
