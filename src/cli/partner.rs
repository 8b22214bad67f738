//! `dxgate partner list` and `dxgate partner check`.

use std::io;
use std::path::Path;

use jiff::Timestamp;
use serde_json::json;

use super::doctor::print_problems;
use super::exit_code::ExitCode;
use super::voice::Voice;
use crate::bilingual;
use crate::config::{self, Config, Environment, Problem, Severity};
use crate::partner::{Partner, PlanError};

/// One line for each partner.
///
/// # Errors
/// The output is closed.
pub fn list(file: &Path, environment: Environment<'_>, now: Timestamp, voice: &mut Voice<'_>) -> io::Result<ExitCode> {
    let config = match config::load(file, environment, now) {
        Ok(config) => config,
        Err(problems) => {
            print_problems(&problems.problems, voice)?;
            return Ok(ExitCode::Usage);
        }
    };
    if voice.json {
        let partners: Vec<_> = config.partners.all().map(|partner| describe(partner)).collect();
        voice.value(&partners)?;
        return Ok(ExitCode::Done);
    }
    for partner in config.partners.all() {
        let Partner { id, as2_name, url, profile, .. } = partner.as_ref();
        let (name, profile) = (as2_name.as_str(), profile.as_str());
        let state = if partner.enabled { bilingual!("启用", "enabled") } else { bilingual!("停用", "disabled") };
        let line = format!("{id}  {name}  {profile}  {url}  {}", state.text(voice.language));
        voice.line(&line)?;
    }
    Ok(ExitCode::Done)
}

/// Whether messages can be exchanged with a partner (all of them without an id) at `now`: its problems and whether a
/// plan can be made. Exit code 1 when not, 2 when its file is wrong or the id is unknown.
///
/// # Errors
/// The output is closed.
pub fn check(
    file: &Path,
    id: Option<&str>,
    environment: Environment<'_>,
    now: Timestamp,
    voice: &mut Voice<'_>,
) -> io::Result<ExitCode> {
    let config = match config::load(file, environment, now) {
        Ok(config) => config,
        Err(problems) => {
            print_problems(&problems.problems, voice)?;
            return Ok(ExitCode::Usage);
        }
    };
    if let Some(id) = id.filter(|id| config.partners.by_id(id).is_none()) {
        let known: Vec<&str> = config.partners.all().map(|partner| partner.id.as_str()).collect();
        let known = known.join(", ");
        let text = bilingual!("没有伙伴 {id}。已配置：{known}。", "there is no partner {id}. Configured are: {known}.");
        voice.failure("partner-unknown", &text)?;
        return Ok(ExitCode::Usage);
    }
    let chosen = config.partners.all().filter(|partner| id.is_none_or(|id| partner.id == id));
    let problems: Vec<Problem> = chosen.flat_map(|partner| problems_of(&config, partner, now)).collect();
    print_problems(&problems, voice)?;
    let blocked = problems.iter().any(|problem| problem.severity == Severity::Error);
    Ok(if blocked { ExitCode::No } else { ExitCode::Done })
}

/// The warnings about the partner's file, and what keeps us from sending right now.
fn problems_of(config: &Config, partner: &Partner, now: Timestamp) -> Vec<Problem> {
    let mut problems: Vec<Problem> =
        config.warnings.iter().filter(|problem| problem.file == partner.file).cloned().collect();
    match partner.send_plan(&config.station, now, None, None) {
        Ok(_) | Err(PlanError::Disabled) => {}
        Err(error) => problems.push(Problem {
            severity: Severity::Error,
            code: error.code(),
            file: partner.file.clone(),
            line: None,
            key: String::new(),
            text: error.text(),
        }),
    }
    problems
}

fn describe(partner: &Partner) -> serde_json::Value {
    let certificates: Vec<_> = partner
        .certificates
        .certificates()
        .iter()
        .map(|one| {
            json!({
                "file": one.file,
                "subject": one.certificate.subject(),
                "fingerprint": one.certificate.fingerprint().to_string(),
                "from": one.window.from,
                "until": one.window.until,
                "verify": one.uses.verify,
                "encrypt": one.uses.encrypt,
                "tls": one.uses.tls,
            })
        })
        .collect();
    let waivers: Vec<_> = partner
        .waivers
        .0
        .iter()
        .map(|one| json!({ "algorithm": one.algorithm.name(), "until": one.until, "reason": one.reason }))
        .collect();
    json!({
        "id": partner.id,
        "as2Name": partner.as2_name.as_str(),
        "name": partner.name,
        "url": partner.url.as_str(),
        "profile": partner.profile.as_str(),
        "enabled": partner.enabled,
        "certificates": certificates,
        "waivers": waivers,
    })
}
