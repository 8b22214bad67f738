//! Layer 11: the command line.
//!
//! Every command is a client of something: of the configuration (`init`, `doctor`, `cert`, `partner`), of the pure core
//! (`precheck`), or of the running gateway's API (`send`, `messages`, `alerts`, `backup`). Only `restore`, `connectivity`, and
//! `messages export` and `verify` beside a stopped gateway, open the store. [`arguments`] says what
//! there is, [`voice`] and [`output`] how it is said, [`exit_code`] how it ends; [`run`] joins them.

pub mod alerts;
pub mod api_client;
pub mod arguments;
pub mod backup;
pub mod cert;
mod chinese;
pub mod connectivity;
pub mod declarations;
pub mod demo;
pub mod doctor;
mod evidence;
mod exchanges;
pub mod exit_code;
pub mod failure;
pub mod form;
pub mod init;
pub mod messages;
pub mod onboarding;
pub mod output;
mod pages;
pub mod partner;
pub mod people;
pub mod precheck;
pub mod queue;
pub mod rotation;
mod runs;
pub mod send;
pub mod serve;
pub mod shell;
pub mod voice;

use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write};

use arguments::{Arguments, CertCommand, Command, ConnectivityCommand, FormCommand, Format, PartnerCommand};
use clap::{CommandFactory, FromArgMatches};
use exit_code::ExitCode;
use failure::Failure;
use voice::Voice;

use crate::app::Role;
use crate::config::{self, Config};
use crate::ground::clock::{Clock, SystemClock};
use crate::ground::text::Language;

/// Runs the command line `arguments` (the program's name first). Results go to `out`, errors and progress to `err`;
/// `environment` is asked for the locale and for passphrases.
pub fn run(
    arguments: Vec<OsString>,
    environment: &dyn Fn(&str) -> Option<String>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> ExitCode {
    let language = language(&arguments, environment);
    let command = chinese::localised(Arguments::command(), language);
    let parsed = command.try_get_matches_from(arguments).and_then(|matches| Arguments::from_arg_matches(&matches));
    let arguments = match parsed {
        Ok(arguments) => arguments,
        Err(usage) => return report_usage(&usage, out, err),
    };
    let fits = match arguments.global.format {
        Format::Human | Format::Json => true,
        Format::Sarif => matches!(arguments.command, Command::Precheck(_)),
        Format::Junit => matches!(arguments.command, Command::Precheck(_) | Command::Connectivity(_)),
    };
    if !fits {
        let kind = clap::error::ErrorKind::InvalidValue;
        let usage = Arguments::command()
            .error(kind, "--format sarif is for precheck only, junit for precheck and connectivity");
        return report_usage(&usage, out, err);
    }
    let json = arguments.global.format == Format::Json;
    let colours = !json && voice::colours(environment, io::stdout().is_terminal());
    let of_home = has_home(&arguments.command).then(|| config::environment_at(&arguments.global.config));
    let voice = Voice { out, language, json, colours, environment: of_home.flatten() };
    let mut context = Context { global: &arguments.global, environment, voice, err };
    let marked = if arguments.global.format == Format::Human { context.voice.mark() } else { Ok(()) };
    match marked.map_err(Failure::Output).and_then(|()| dispatch(&mut context, &arguments.command)) {
        Ok(code) => code,
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::Done,
        Err(failure) => {
            // Nobody is left to tell when the error output is closed too.
            let _ = failure.report(err, language, json);
            failure.exit_code()
        }
    }
}

/// What every command gets.
pub struct Context<'c> {
    /// Options of every command.
    pub global: &'c arguments::Global,
    /// The process environment, or a table in tests.
    pub environment: &'c dyn Fn(&str) -> Option<String>,
    /// Where results go.
    pub voice: Voice<'c>,
    /// Where progress goes.
    pub err: &'c mut dyn Write,
}

impl Context<'_> {
    /// The configuration that `--config` names.
    pub fn config(&self) -> Result<Config, Failure> {
        Ok(config::load(&self.global.config, self.environment, SystemClock.now())?)
    }
}

fn dispatch(context: &mut Context<'_>, command: &Command) -> Result<ExitCode, Failure> {
    let now = SystemClock.now();
    let (file, environment) = (context.global.config.as_path(), context.environment);
    let voice = &mut context.voice;
    Ok(match command {
        Command::Init(arguments) => init::run(&arguments.dir, &arguments.plan(), now, voice)?,
        Command::Serve => serve::run(context, Role::Gateway)?,
        Command::Demo(options) => run_demo(voice, options)?,
        Command::Testbed { scenario, control } => serve::testbed(context, scenario.as_deref(), *control)?,
        Command::Connectivity(command) => connectivity::run(context, command)?,
        Command::Precheck(arguments) => precheck::run(context, arguments)?,
        Command::Form(FormCommand::Check(arguments)) => form::run(context, arguments)?,
        Command::Onboarding(command) => onboarding::run(context, command)?,
        Command::Send(arguments) => send::run(context, arguments)?,
        Command::Messages(command) => messages::run(context, command)?,
        Command::Alerts(command) => alerts::run(context, command)?,
        Command::Declarations(command) => declarations::run(context, command)?,
        Command::Partner(PartnerCommand::List) => partner::list(file, environment, now, voice)?,
        Command::Partner(PartnerCommand::Check { id }) => partner::check(file, id.as_deref(), environment, now, voice)?,
        Command::Partner(command) => partner::run(context, command)?,
        Command::Queue { watch } => queue::run(context, *watch)?,
        Command::Audit(command) => people::audit(context, command)?,
        Command::User(command) => people::user(context, command)?,
        Command::Token(command) => people::token(context, command)?,
        Command::Completions { shell } => shell::completions(voice, *shell)?,
        Command::Man { dir } => shell::manual(voice, dir)?,
        Command::Cert(CertCommand::List) => cert::list(file, environment, now, voice)?,
        Command::Cert(CertCommand::Status { watch }) => cert::status(context, *watch)?,
        Command::Cert(CertCommand::Generate(arguments)) => {
            let passphrase = arguments.passphrase(environment)?;
            let (request, purpose) = (arguments.request(), arguments.purpose());
            cert::make((&request, purpose), &arguments.target(), passphrase.as_ref(), now, voice)?
        }
        Command::Cert(CertCommand::Import(arguments)) => rotation::import(context, arguments)?,
        Command::Cert(CertCommand::Rotate(arguments)) => rotation::rotate(context, arguments)?,
        Command::Cert(CertCommand::Exchanges { all }) => exchanges::list(context, *all)?,
        Command::Cert(CertCommand::Request(arguments)) => exchanges::request(context, arguments)?,
        Command::Cert(CertCommand::Accept(arguments)) => exchanges::accept(context, arguments)?,
        Command::Cert(CertCommand::Reject { id, reason }) => exchanges::reject(context, *id, reason)?,
        Command::Backup(arguments) => backup::run(context, arguments)?,
        Command::Restore(arguments) => backup::restore(context, arguments)?,
        Command::Doctor => doctor::run(file, environment, now, voice)?,
    })
}

/// The command is about the home that `--config` names, and not about one that it makes or about none.
fn has_home(command: &Command) -> bool {
    !matches!(
        command,
        Command::Init(_)
            | Command::Demo(_)
            | Command::Form(_)
            | Command::Connectivity(ConnectivityCommand::Rehearse(_))
            | Command::Completions { .. }
            | Command::Man { .. }
            | Command::Restore(_)
    )
}

fn run_demo(voice: &mut Voice<'_>, options: &demo::DemoOptions) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(demo::run(options, voice));
    ended.map_err(|error| Failure::new(ExitCode::Unreachable, "demo-failed", error.text()))
}

/// Help and version are results; everything else is a wrong usage.
fn report_usage(usage: &clap::Error, out: &mut dyn Write, err: &mut dyn Write) -> ExitCode {
    let rendered = usage.render();
    if usage.use_stderr() {
        let _ = write!(err, "{rendered}");
        ExitCode::Usage
    } else {
        let _ = write!(out, "{rendered}");
        ExitCode::Done
    }
}

/// `--lang` before everything, so that help and usage errors speak it too; then the locale (POSIX XBD 8.2 order).
fn language(arguments: &[OsString], environment: &dyn Fn(&str) -> Option<String>) -> Language {
    let mut words = arguments.iter().map(|word| word.to_string_lossy());
    while let Some(word) = words.next() {
        if word == "--lang" {
            return words.next().map_or(Language::English, |tag| Language::from_locale(&tag));
        }
        if let Some(tag) = word.strip_prefix("--lang=") {
            return Language::from_locale(tag);
        }
    }
    let variables = ["LC_ALL", "LC_MESSAGES", "LANG"];
    let set = variables.iter().find_map(|name| environment(name).filter(|value| !value.is_empty()));
    set.map_or(Language::English, |locale| Language::from_locale(&locale))
}

#[cfg(test)]
#[path = "cli_tests.rs"]
mod tests;
