//! `dxgate onboarding`: the dossier of the home that `--config` names (its folder; the configuration itself need not be
//! there yet), shown and changed.

mod documents;
mod status;

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use super::Context;
use super::arguments::{
    AdvanceArguments, CalendarArguments, Days, IssueArguments, Issuing, OnboardingCommand, SetArguments,
};
use super::exit_code::ExitCode;
use super::failure::Failure;
use super::form;
use super::voice::Voice;
use crate::bilingual;
use crate::declaration::form::{Content, LARGEST, Value};
use crate::declaration::precheck::Level;
use crate::ground::clock::{Clock, SystemClock};
use crate::onboarding::dossier::{Dossier, Shown};
use crate::onboarding::file::{self, FileError};
use crate::onboarding::materials::{Filed, Material};
use crate::onboarding::production::Waiver;
use crate::onboarding::profile::Field;
use crate::onboarding::{Refused, today};

pub(super) use documents::report;

/// Runs a command.
pub fn run(context: &mut Context<'_>, command: &OnboardingCommand) -> Result<ExitCode, Failure> {
    let home = home(context);
    match command {
        OnboardingCommand::Status => status::show(&mut context.voice, &home),
        OnboardingCommand::Set(arguments) => set(&mut context.voice, &home, arguments),
        OnboardingCommand::Material { material, file } => take(&mut context.voice, &home, *material, file),
        OnboardingCommand::Advance(arguments) => advance(&mut context.voice, &home, arguments),
        OnboardingCommand::Issue(arguments) => issue(&mut context.voice, &home, arguments),
        OnboardingCommand::Calendar(arguments) => calendar(&mut context.voice, &home, arguments),
        OnboardingCommand::File { run } => documents::file_run(context, &home, *run),
        OnboardingCommand::Document(arguments) => documents::write(context, &home, arguments),
        OnboardingCommand::Waive { reason, end: _ } => waive(&mut context.voice, &home, reason.as_deref()),
    }
}

/// The folder of the configuration file.
fn home(context: &Context<'_>) -> PathBuf {
    let parent = context.global.config.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new(".")).to_owned()
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Failure {
        Failure::new(ExitCode::Usage, refused.code, refused.text)
    }
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Failure {
        Failure::new(ExitCode::Unreachable, error.code(), error.text())
    }
}

/// Says that something was recorded; programs get the dossier.
fn recorded(voice: &mut Voice<'_>, home: &Path, text: &crate::ground::text::Bilingual) -> Result<ExitCode, Failure> {
    if voice.json {
        voice.value(&file::read(home)?)?;
    } else {
        voice.say(text)?;
    }
    Ok(ExitCode::Done)
}

fn set(voice: &mut Voice<'_>, home: &Path, arguments: &SetArguments) -> Result<ExitCode, Failure> {
    let mut values = match &arguments.form {
        Some(form) => of_form(form)?,
        None => Vec::new(),
    };
    values.extend(arguments.values.iter().cloned());
    file::change(home, |dossier| {
        values.iter().try_for_each(|(field, value)| dossier.profile.set(*field, value)).map_err(Failure::from)
    })?;
    let count = values.len();
    recorded(voice, home, &bilingual!("已登记 {count} 项企业资料", "{count} fields of the profile are recorded"))
}

/// The values of an application form that the profile has too.
fn of_form(path: &Path) -> Result<Vec<(Field, String)>, Failure> {
    let form = form::read(path)?;
    let value = |field: Field| match &form.answer(field.form_path()?)?.value {
        Value::Text(text) | Value::Number(text) => Some((field, text.clone())),
        Value::List(_) | Value::Other => None,
    };
    Ok(Field::ALL.into_iter().filter_map(value).collect())
}

fn take(voice: &mut Voice<'_>, home: &Path, material: Material, path: &Path) -> Result<ExitCode, Failure> {
    let file = File::open(path).map_err(|error| Failure::file(path, &error))?;
    let size = file.metadata().map_err(|error| Failure::file(path, &error))?.len();
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes).map_err(|error| Failure::file(path, &error))?;
    let sha256 = HEXLOWER.encode(&Sha256::digest(&bytes));
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    let findings = material.judge(&name, Content::Bytes { bytes, size });
    let on = today(SystemClock.now());
    let filed = Filed { material, file: path.display().to_string(), sha256, bytes: size, on, findings };
    let good = filed.is_good();
    file::change(home, |dossier| {
        dossier.materials.insert(material, filed.clone());
        Ok::<(), Failure>(())
    })?;
    if voice.json {
        voice.value(&filed)?;
    } else {
        let ((zh, en), shown) = ((material.text().zh, material.text().en), path.display());
        let text = if good {
            bilingual!("{zh}：{shown} 已登记", "{en}: {shown} is recorded")
        } else {
            bilingual!("{zh}：{shown} 会被退回", "{en}: {shown} would be sent back")
        };
        voice.say(&text)?;
        for finding in &filed.findings {
            let mark = if finding.level == Level::Error { "✗" } else { "!" };
            voice.line(&format!("  {mark} {} [{}]", finding.text(voice.language), finding.code))?;
        }
    }
    Ok(if good { ExitCode::Done } else { ExitCode::No })
}

fn advance(voice: &mut Voice<'_>, home: &Path, arguments: &AdvanceArguments) -> Result<ExitCode, Failure> {
    let today = today(SystemClock.now());
    let AdvanceArguments { stage, state, on, note } = arguments;
    let shown = Shown { state: *state, on: on.unwrap_or(today), note: note.clone() };
    let due = file::change(home, |dossier| {
        dossier.advance(*stage, shown, today)?;
        Ok::<_, Failure>(dossier.due(*stage))
    })?;
    let ((zh, en), (state, state_en)) = ((stage.text().zh, stage.text().en), (state.portal(), state.name()));
    let text = match due {
        Some(due) => bilingual!("{zh}：{state}；应于 {due} 前答复", "{en}: {state_en}; an answer is due by {due}"),
        None => bilingual!("{zh}：{state}", "{en}: {state_en}"),
    };
    recorded(voice, home, &text)
}

fn issue(voice: &mut Voice<'_>, home: &Path, arguments: &IssueArguments) -> Result<ExitCode, Failure> {
    let IssueArguments { environment, dxpid, from, to } = arguments;
    let from = from.unwrap_or_else(|| today(SystemClock.now()));
    if *environment == Issuing::Production && to.is_some() {
        let text =
            bilingual!("正式 DXPID 没有期限，不需要 --to", "a DXPID for production has no last day: leave --to out");
        return Err(Failure::new(ExitCode::Usage, "issue-without-end", text));
    }
    let text = file::change(home, |dossier: &mut Dossier| {
        if *environment == Issuing::Production {
            dossier.issue(dxpid, from)?;
            return Ok(bilingual!("正式 DXPID：{dxpid}（{from}）", "DXPID for production: {dxpid} ({from})"));
        }
        dossier.lend(dxpid, from, *to)?;
        let to = dossier.test.as_ref().map_or(from, |account| account.to);
        Ok::<_, Failure>(bilingual!("测试账号：{dxpid}，{from} 至 {to}", "test account: {dxpid}, from {from} to {to}"))
    })?;
    recorded(voice, home, &text)
}

fn calendar(voice: &mut Voice<'_>, home: &Path, arguments: &CalendarArguments) -> Result<ExitCode, Failure> {
    let each = |days: &[Days]| {
        let all = days
            .iter()
            .flat_map(|Days(from, to)| from.series(jiff::Span::new().days(1)).take_while(move |day| day <= to));
        all.collect::<Vec<_>>()
    };
    let (holidays, workdays) = (each(&arguments.holiday), each(&arguments.workday));
    let forgotten = each(&arguments.forget);
    let changes = !(holidays.is_empty() && workdays.is_empty() && forgotten.is_empty());
    if changes {
        file::change(home, |dossier| {
            let calendar = &mut dossier.calendar;
            for day in forgotten.iter().chain(&holidays).chain(&workdays) {
                calendar.holidays.remove(day);
                calendar.workdays.remove(day);
            }
            calendar.holidays.extend(holidays.iter().copied());
            calendar.workdays.extend(workdays.iter().copied());
            Ok::<(), Failure>(())
        })?;
    }
    let dossier = file::read(home)?;
    if voice.json {
        voice.value(&dossier.calendar)?;
        return Ok(ExitCode::Done);
    }
    let list = |days: &std::collections::BTreeSet<jiff::civil::Date>| {
        let days: Vec<String> = days.iter().map(ToString::to_string).collect();
        if days.is_empty() { "—".to_owned() } else { days.join(" ") }
    };
    let (holidays, workdays) = (list(&dossier.calendar.holidays), list(&dossier.calendar.workdays));
    voice.say(&bilingual!("放假：{holidays}", "holidays: {holidays}"))?;
    voice.say(&bilingual!("调休上班：{workdays}", "weekend days worked: {workdays}"))?;
    Ok(ExitCode::Done)
}

fn waive(voice: &mut Voice<'_>, home: &Path, reason: Option<&str>) -> Result<ExitCode, Failure> {
    let waiver = reason.map(|reason| Waiver::new(reason, SystemClock.now())).transpose()?;
    let text = if waiver.is_some() {
        bilingual!(
            "例外已登记；每次以正式环境启动时记入日志",
            "the exception is recorded; each start in production enters it into the journal"
        )
    } else {
        bilingual!("例外已结束", "the exception has ended")
    };
    file::change(home, |dossier| {
        dossier.waiver = waiver;
        Ok::<(), Failure>(())
    })?;
    recorded(voice, home, &text)
}

#[cfg(test)]
#[path = "onboarding_tests.rs"]
mod tests;
