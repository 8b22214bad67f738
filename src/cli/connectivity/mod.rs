//! `dxgate connectivity`: plans of the connectivity test (联通测试), run and shown.
//!
//! `run` starts the gateway of the home in this process, so that everything goes the usual way, and stops it at the end;
//! `rehearse` starts a made-up enterprise and a testbed; `list` and `show` ask the running gateway if there is one. Exit 0 only if every case passed.

mod following;
mod rehearsal;
mod told;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use indicatif::ProgressBar;

pub use self::rehearsal::run as rehearse;
use self::told::Told;
use super::Context;
use super::arguments::{ConnectivityCommand, Format, RunArguments, RunName, RunSource};
use super::exit_code::ExitCode;
use super::failure::Failure;
use super::runs;
use super::voice::Voice;
use crate::app::{self, GatewayBackend, Role};
use crate::bilingual;
use crate::connectivity::{Briefing, Conclusion, Plan, Run, RunError, Runner};
use crate::ground::clock::SystemClock;
use crate::ground::text::printable;
use crate::partner::EnvironmentName;
use crate::store::Store;

/// Runs a command.
pub fn run(context: &mut Context<'_>, command: &ConnectivityCommand) -> Result<ExitCode, Failure> {
    match command {
        ConnectivityCommand::Run(arguments) => start(context, arguments),
        ConnectivityCommand::Rehearse(arguments) => rehearse(context, arguments),
        ConnectivityCommand::Report { run, target } => {
            super::onboarding::report(context, &RunSource::Journal(*run), target)
        }
        ConnectivityCommand::List => list(context),
        ConnectivityCommand::Show { run, watch: false } => show(context, *run),
        ConnectivityCommand::Show { run, watch: true } => following::follow(context, *run),
    }
}

fn start(context: &mut Context<'_>, arguments: &RunArguments) -> Result<ExitCode, Failure> {
    let plan = read_plan(&arguments.plan)?;
    let config = context.config()?;
    let environment = config.station.environment.name;
    if let Some(wanted) = arguments.env.filter(|wanted| *wanted != environment) {
        let (wanted, found, file) = (wanted.name(), environment.name(), config.file.display());
        let text = bilingual!(
            "{file} 属于 {found} 环境，不是 {wanted}。请用 --config 指定 {wanted} 环境的配置。",
            "{file} is of the environment {found}, not {wanted}. Name the configuration of {wanted} with --config."
        );
        return Err(Failure::new(ExitCode::Usage, "environment-mismatch", text));
    }
    if environment != EnvironmentName::Test {
        return Err(cannot_run(&RunError::Production));
    }
    app::start_logging(&config.log);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let running = app::start(config, Role::Gateway, Arc::new(SystemClock)).await;
        let running = running.map_err(|error| Failure::new(ExitCode::Unreachable, error.code(), error.text()))?;
        let store = running.store();
        let ended = match runner(&running.backend, &store, plan, arguments) {
            Ok(runner) => Box::pin(carry_out(context, runner)).await,
            Err(failure) => Err(failure),
        };
        running.stop().await;
        ended
    })
}

/// The run that is begun or resumed.
fn runner(
    backend: &GatewayBackend,
    store: &Store,
    plan: Plan,
    arguments: &RunArguments,
) -> Result<Runner<GatewayBackend>, Failure> {
    let folder = arguments.plan.parent().map(Path::to_owned).unwrap_or_default();
    let parts = backend.trial_parts(&plan.partner, folder, "cli".to_owned());
    let parts = parts.ok_or_else(|| unknown_partner(&plan.partner))?;
    let made = match arguments.resume {
        Some(name) => Runner::resume(parts, plan, runs::of_store(store, name).ok_or_else(runs::unknown)?),
        None => {
            let (tester, place) = (arguments.tester.clone(), arguments.place.clone());
            Runner::new(parts, plan, Briefing { tester, place, rehearsal: false })
        }
    };
    made.map_err(|error| cannot_run(&error))
}

/// Runs it and tells what it comes to; an interruption leaves what has ended in the journal.
async fn carry_out(context: &mut Context<'_>, runner: Runner<GatewayBackend>) -> Result<ExitCode, Failure> {
    let id = runner.id();
    let format = context.global.format;
    let mut progress = Progress::new(&mut context.voice, format);
    let mut watch = |run: &Run, begins: Option<&str>| progress.show(run, begins);
    let ended = tokio::select! {
        ended = runner.run(&mut watch) => Some(ended),
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            None
        }
    };
    progress.finish();
    let Some(ended) = ended else {
        let text = bilingual!(
            "测试被中断；已完成的用例已记入日志。用 --resume {id} 继续。",
            "interrupted; the cases that have ended are in the journal. Go on with --resume {id}."
        );
        return Err(Failure::new(ExitCode::No, "run-interrupted", text));
    };
    conclude(&mut context.voice, (format, true), &ended.map_err(|error| cannot_run(&error))?)
}

/// `lines_told`: the line of each case was shown when it ended.
fn conclude(voice: &mut Voice<'_>, (format, lines_told): (Format, bool), run: &Run) -> Result<ExitCode, Failure> {
    Told { run, voice, lines_told }.all(format)?;
    Ok(if run.conclusion() == Conclusion::Passed { ExitCode::Done } else { ExitCode::No })
}

fn list(context: &mut Context<'_>) -> Result<ExitCode, Failure> {
    let runs = runs::all(context)?;
    told::list(&mut context.voice, &runs)?;
    Ok(ExitCode::Done)
}

/// Exit 0 only if the run that is shown has passed.
fn show(context: &mut Context<'_>, name: RunName) -> Result<ExitCode, Failure> {
    let run = runs::find(context, name)?;
    conclude(&mut context.voice, (context.global.format, false), &run)
}

fn read_plan(file: &PathBuf) -> Result<Plan, Failure> {
    let text = std::fs::read_to_string(file).map_err(|error| Failure::file(file, &error))?;
    let plan = Plan::read(&text, &file.display().to_string());
    plan.map_err(|error| Failure::new(ExitCode::Usage, error.code, error.text))
}

fn unknown_partner(id: &str) -> Failure {
    let id = printable(id);
    let text = bilingual!(
        "计划中的伙伴 {id} 未配置或已停用。用 dxgate partner list 查看。",
        "the partner {id} of the plan is not configured or disabled. See dxgate partner list."
    );
    Failure::new(ExitCode::Usage, "partner-unknown", text)
}

fn cannot_run(error: &RunError) -> Failure {
    let exit = if matches!(error, RunError::Journal(_)) { ExitCode::Unreachable } else { ExitCode::Usage };
    Failure::new(exit, error.code(), error.text())
}

/// One line for each case that ends, for people; a spinner while one runs, on a terminal.
struct Progress<'v, 'w> {
    voice: &'v mut Voice<'w>,
    spinner: ProgressBar,
    quiet: bool,
    told: usize,
}

impl<'v, 'w> Progress<'v, 'w> {
    fn new(voice: &'v mut Voice<'w>, format: Format) -> Progress<'v, 'w> {
        let quiet = format != Format::Human;
        let spinner = if quiet { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
        spinner.enable_steady_tick(std::time::Duration::from_millis(120));
        Progress { voice, spinner, quiet, told: 0 }
    }

    fn show(&mut self, run: &Run, begins: Option<&str>) {
        let title = |id: &str| run.cases.iter().find(|case| case.id == id).map(|case| case.title.clone());
        if let Some(title) = begins.and_then(title) {
            self.spinner.set_message(title.text(self.voice.language).to_owned());
            return;
        }
        if self.quiet {
            return;
        }
        let ended: Vec<_> = run.cases.iter().filter(|case| case.ended.is_some()).collect();
        for case in ended.get(self.told..).unwrap_or_default() {
            let line = told::line(case, self.voice.language);
            let voice = &mut *self.voice;
            // A closed output is noticed at the end.
            self.spinner.suspend(|| voice.line(&line).ok());
        }
        self.told = ended.len();
    }

    fn finish(&mut self) {
        self.spinner.finish_and_clear();
    }
}
