//! `dxgate doctor`: everything wrong with a home, at once.

use std::io;
use std::path::Path;

use jiff::Timestamp;

use super::exit_code::ExitCode;
use super::voice::Voice;
use crate::app;
use crate::bilingual;
use crate::config::{self, Config, Environment, Problem, Severity};
use crate::ground::durable;
use crate::ground::text::Bilingual;

/// Checks configuration, keys and folders. Exit code 2 when the gateway would not start, 3 when it would start but its
/// folders cannot be used.
///
/// # Errors
/// The output is closed.
pub fn run(file: &Path, environment: Environment<'_>, now: Timestamp, voice: &mut Voice<'_>) -> io::Result<ExitCode> {
    let config = match config::load(file, environment, now) {
        Ok(config) => config,
        Err(problems) => {
            print_problems(&problems.problems, voice)?;
            return Ok(ExitCode::Usage);
        }
    };
    let mut problems = config.warnings.clone();
    let (tls, folders) = (app::unusable_tls(&config), folder_problems(&config));
    let code = match (&tls, folders.is_empty()) {
        (Some(_), _) => ExitCode::Usage,
        (None, false) => ExitCode::Unreachable,
        (None, true) => ExitCode::Done,
    };
    problems.extend(tls);
    problems.extend(folders);
    print_problems(&problems, voice)?;
    if !voice.json {
        summary(&config, voice)?;
    }
    Ok(code)
}

/// All problems, one a line, or as a JSON document `{"errors": n, "warnings": n, "problems": […]}`.
///
/// # Errors
/// The output is closed.
pub fn print_problems(problems: &[Problem], voice: &mut Voice<'_>) -> io::Result<()> {
    let errors = problems.iter().filter(|problem| problem.severity == Severity::Error).count();
    let warnings = problems.len() - errors;
    if voice.json {
        return voice.value(&serde_json::json!({ "errors": errors, "warnings": warnings, "problems": problems }));
    }
    for problem in problems {
        let mark = match problem.severity {
            Severity::Error => bilingual!("错误", "error"),
            Severity::Warning => bilingual!("警告", "warning"),
        };
        let line = format!("{} [{}] {}", mark.text(voice.language), problem.code, problem.line(voice.language));
        voice.line(&line)?;
    }
    voice.say(&bilingual!("{errors} 个错误，{warnings} 个警告", "{errors} errors, {warnings} warnings"))
}

/// Tries the folders that the gateway writes to; those that do not exist yet are made at its start.
fn folder_problems(config: &Config) -> Vec<Problem> {
    let problem = |key: &str, code, text: Bilingual| Problem {
        severity: Severity::Error,
        code,
        file: config.file.clone(),
        line: None,
        key: key.to_owned(),
        text,
    };
    let folders = [("folders.data", &config.folders.data), ("folders.exchange", &config.folders.exchange)];
    let existing = folders.into_iter().filter(|(_, folder)| folder.exists());
    existing
        .filter_map(|(key, folder)| durable::probe(folder).err().map(|error| problem(key, error.code(), error.text())))
        .collect()
}

fn summary(config: &Config, voice: &mut Voice<'_>) -> io::Result<()> {
    let name = config.station.as2_name.as_str();
    let (as2, path, console) = (config.as2.listen, &config.as2.path, config.console.listen);
    let partners = config.partners.all().len();
    voice.say(&bilingual!(
        "本站 {name}；AS2 {as2}{path}；控制台 {console}；伙伴 {partners} 个",
        "station {name}; AS2 {as2}{path}; console {console}; {partners} partners"
    ))
}
