//! `dxgate precheck`: the pre-check of the outbox, on any files, without a gateway.
//!
//! Files are checked on every core and then compared with each other. Exit 0 without errors, 1 with (with `--strict`
//! warnings count too), 2 for a wrong usage, 3 when a file cannot be read.

use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use indicatif::ProgressBar;

use super::Context;
use super::arguments::{Format, PrecheckArguments};
use super::exit_code::ExitCode;
use super::failure::Failure;
use crate::bilingual;
use crate::config::tables::{self, TableError};
use crate::declaration::precheck::codes::CodeTables;
use crate::declaration::precheck::{
    COMPARED, Expectations, Facts, Ledger, Report, check_for_ledger, verify_signatures,
};
use crate::declaration::schema;
use crate::ground::clock::{Clock, SystemClock};
use crate::ground::limits::Limits;
use crate::ground::text::printable;
use crate::partner::Dxp;

mod excerpt;
mod human;
mod input;
mod machine;

pub(super) use machine::escaped;

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
    /// What standard input held.
    kept: Option<Vec<u8>>,
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
    let agreed = arguments.partner.as_deref().map(|id| agreed(context, id)).transpose()?;
    let dxp = agreed.as_ref().map(|agreed| &agreed.dxp);
    let name = arguments.edition.as_deref().or(dxp.map(|dxp| dxp.edition)).unwrap_or(schema::CURRENT);
    let Some(edition) = schema::edition(name) else {
        let known: Vec<_> = schema::editions().collect();
        let known = known.join(", ");
        let text =
            bilingual!("没有版本 {name} 的报文规范；已有：{known}", "there is no edition {name}; there are: {known}");
        return Err(Failure::new(ExitCode::Usage, "edition-unknown", text));
    };
    let of_partner = agreed.as_ref().map(|agreed| agreed.codes.clone());
    let tables = match (&arguments.tables, of_partner) {
        (None, Some(codes)) => codes,
        (folder, _) => Arc::new(load(folder.as_deref())?),
    };
    let usual = Expectations::default();
    let (import, export) =
        (dxp.map(|dxp| [dxp.import_receiver.as_str()]), dxp.map(|dxp| [dxp.export_receiver.as_str()]));
    let enterprise = dxp.and_then(|dxp| dxp.signature.enterprise.as_ref());
    let expect = Expectations {
        edition,
        dxpid: arguments.dxpid.as_deref().or(agreed.as_ref().and_then(|agreed| agreed.dxpid.as_deref())),
        cop_code: dxp.and_then(|dxp| dxp.cop_code.as_deref()),
        foreign_dxpids: agreed.as_ref().map_or(&[], |agreed| &agreed.foreign),
        signer: enterprise.map(|(code, name)| (code.as_str(), name.as_str())),
        to_be_signed: dxp.is_some_and(|dxp| dxp.signature.key.is_some()),
        now: Some(SystemClock.now()),
        import_receivers: import.as_ref().map_or(usual.import_receivers, |receivers| receivers),
        export_receivers: export.as_ref().map_or(usual.export_receivers, |receivers| receivers),
        tables: &tables,
        levels: dxp.map_or(usual.levels, |dxp| &dxp.levels),
        ..usual
    };
    let checked = check_all(files, &expect, dxp.is_none_or(|dxp| dxp.signature.verify))?;
    let errors: usize = checked.iter().map(|checked| checked.report.errors()).sum();
    let warnings: usize = checked.iter().map(|checked| checked.report.warnings()).sum();
    let printed = match context.global.format {
        Format::Human => human::print(&mut context.voice, &checked, &tables),
        Format::Json => machine::json(&mut context.voice, &checked, name, &tables),
        Format::Sarif => machine::sarif(&mut context.voice, &checked),
        Format::Junit => machine::junit(&mut context.voice, &checked),
    };
    // Whoever stops reading has not changed the answer.
    printed.or_else(|error| if error.kind() == std::io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })?;
    let refused = errors > 0 || (arguments.strict && warnings > 0);
    Ok(if refused { ExitCode::No } else { ExitCode::Done })
}

/// What the outbox of a customs partner goes by.
struct Agreed {
    dxpid: Option<String>,
    /// The station's DXPIDs in other environments.
    foreign: Vec<String>,
    dxp: Dxp,
    codes: Arc<CodeTables>,
}

fn agreed(context: &Context<'_>, id: &str) -> Result<Agreed, Failure> {
    let config = context.config()?;
    let dxp = config.partners.by_id(id).and_then(|partner| partner.dxp.clone());
    let dxp = dxp.ok_or_else(|| {
        let id = printable(id);
        let text = bilingual!(
            "没有 profile = \"dxp\" 的伙伴 {id}。用 dxgate partner list 查看。",
            "there is no partner {id} with profile = \"dxp\". See dxgate partner list."
        );
        Failure::new(ExitCode::Usage, "partner-unknown", text)
    })?;
    let foreign = config.station.environment.other_dxpids.clone();
    Ok(Agreed { dxpid: config.station.dxpid.clone(), foreign, dxp, codes: config.precheck.codes.clone() })
}

/// The built-in code lists and those of the folder.
fn load(folder: Option<&Path>) -> Result<CodeTables, Failure> {
    let Some(folder) = folder else { return Ok(CodeTables::default()) };
    tables::load(folder).map_err(|error| {
        let exit = match error {
            TableError::Unreadable { .. } => ExitCode::Unreachable,
            TableError::Empty { .. } => ExitCode::Usage,
        };
        Failure::new(exit, error.code(), error.text())
    })
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

/// A file's report, what its documents say to others, and what standard input held.
type Outcome = std::io::Result<(Report, Vec<Facts>, Option<Vec<u8>>)>;

fn check_all(files: Vec<PathBuf>, expect: &Expectations<'_>, verify: bool) -> Result<Vec<Checked>, Failure> {
    let next = AtomicUsize::new(0);
    let outcomes: Mutex<Vec<(usize, Outcome)>> = Mutex::new(Vec::with_capacity(files.len()));
    let progress = if files.len() < MANY { ProgressBar::hidden() } else { ProgressBar::new(files.len() as u64) };
    let work = || {
        while let Some((number, path)) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|n| Some((n, files.get(n)?)))
        {
            let outcome = check_one(path, expect, verify);
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
        let (report, facts, kept) = outcome.map_err(|error| Failure::file(&path, &error))?;
        facts.into_iter().for_each(|facts| ledger.add(number, facts));
        checked.push(Checked { path, report, kept });
    }
    for (number, finding) in ledger.judge(expect.levels) {
        if let Some(checked) = checked.get_mut(number) {
            checked.report.add(finding, Limits::default().findings);
        }
    }
    Ok(checked)
}

fn check_one(path: &Path, expect: &Expectations<'_>, verify: bool) -> Outcome {
    let file = input::open(path, expect.max_bytes)?;
    let limits = Limits::default();
    let mut facts = Vec::new();
    let mut reader = BufReader::with_capacity(64 * 1024, file.open()?);
    let mut report = check_for_ledger(&mut reader, expect, &limits, &mut |one| {
        if facts.len() < COMPARED {
            facts.push(one);
        }
    });
    if verify {
        verify_signatures(&*file, &mut report, expect, &limits);
    }
    // Standard input cannot be read again.
    let kept = if path.as_os_str() == STDIN { Some(excerpt::beginning(&mut *file.open()?)?) } else { None };
    Ok((report, facts, kept))
}

#[cfg(test)]
mod tests;
