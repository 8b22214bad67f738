//! `dxgate partner …`: `list` and `check` read the configuration, the others ask the running gateway.

use std::io;
use std::path::Path;

use jiff::Timestamp;
use serde_json::json;

use super::Context;
use super::api_client::{ApiClient, block_on, encoded};
use super::arguments::{PartnerCommand, PauseArguments};
use super::doctor::print_problems;
use super::exit_code::ExitCode;
use super::failure::Failure;
use super::output;
use super::voice::{Tone, Voice};
use crate::bilingual;
use crate::config::{self, Config, Environment, Problem, Severity};
use crate::console::wire::ActionRequest;
use crate::console::wire::partners::{PartnerCheck, PartnerList, PartnerWire};
use crate::partner::{Partner, PlanError};

/// Asks the running gateway.
pub fn run(context: &mut Context<'_>, command: &PartnerCommand) -> Result<ExitCode, Failure> {
    let api = ApiClient::from_config(context)?;
    let voice = &mut context.voice;
    match command {
        PartnerCommand::Pause(arguments) => set_pause(voice, &api, arguments, "pause"),
        PartnerCommand::Resume(arguments) => set_pause(voice, &api, arguments, "resume"),
        PartnerCommand::Reload => reload(voice, &api),
        PartnerCommand::Status { watch } => output::watched(voice, *watch, |voice| {
            let list: PartnerList = block_on(api.get("/api/v1/partners"))?;
            print_status(voice, &list)?;
            Ok(ExitCode::Done)
        }),
        // They read the configuration.
        PartnerCommand::List | PartnerCommand::Check { .. } => Ok(ExitCode::Done),
    }
}

fn set_pause(
    voice: &mut Voice<'_>,
    api: &ApiClient,
    arguments: &PauseArguments,
    action: &str,
) -> Result<ExitCode, Failure> {
    let PauseArguments { id, reason } = arguments;
    let path = format!("/api/v1/partners/{}/{action}", encoded(id));
    let partner: PartnerWire = block_on(api.post(&path, &ActionRequest { reason: reason.clone() }))?;
    if voice.json {
        voice.value(&partner)?;
    } else if partner.paused.is_some() {
        voice.say(&bilingual!("已暂停向 {id} 发送", "nothing is sent to {id} until it is resumed"))?;
    } else {
        voice.say(&bilingual!("已恢复向 {id} 发送", "{id} is sent to again"))?;
    }
    Ok(ExitCode::Done)
}

fn reload(voice: &mut Voice<'_>, api: &ApiClient) -> Result<ExitCode, Failure> {
    let read: PartnerCheck = block_on(api.post("/api/v1/partners/reload", &json!({})))?;
    if voice.json {
        voice.value(&read)?;
    } else {
        let count = read.partners;
        voice.say(&bilingual!("已重新读取，共 {count} 个合作方", "read again: {count} partners"))?;
        for finding in &read.findings {
            let place = format!("{}:{} {}", finding.file, finding.line.unwrap_or(0), finding.key);
            let text = finding.text.text(voice.language).to_owned();
            voice.line(&format!("{}: {place}: {text} [{}]", finding.severity, finding.code))?;
        }
    }
    Ok(if read.ok { ExitCode::Done } else { ExitCode::No })
}

/// The tone of how it stands with a partner.
pub(super) fn tone(enabled: bool, paused: bool, down: bool) -> Option<Tone> {
    match (enabled, paused, down) {
        (false, _, _) => None,
        (true, true, _) => Some(Tone::Notable),
        (true, false, true) => Some(Tone::Bad),
        (true, false, false) => Some(Tone::Good),
    }
}

/// One line for each partner of the running gateway.
pub(super) fn print_status(voice: &mut Voice<'_>, list: &PartnerList) -> io::Result<()> {
    if voice.json {
        return voice.value(list);
    }
    let headings = [
        bilingual!("合作方", "partner"),
        bilingual!("AS2 名称", "AS2 name"),
        bilingual!("状态", "state"),
        bilingual!("等待", "waiting"),
        bilingual!("证书至", "certificate until"),
        bilingual!("说明", "note"),
    ];
    let language = voice.language;
    let row = |partner: &PartnerWire| {
        let state = match (partner.enabled, &partner.paused, partner.down) {
            (false, _, _) => bilingual!("停用", "disabled"),
            (true, Some(_), _) => bilingual!("已暂停", "paused"),
            (true, None, true) => bilingual!("无应答", "down"),
            (true, None, false) => bilingual!("正常", "up"),
        };
        let note = partner.paused.as_ref().map(|pause| format!("{}: {}", pause.by, pause.reason));
        vec![
            partner.id.clone(),
            partner.as2_name.clone(),
            state.text(language).to_owned(),
            partner.waiting.to_string(),
            partner.certificate_until.map(output::local_time).unwrap_or_default(),
            note.unwrap_or_default(),
        ]
    };
    let rows: Vec<Vec<String>> = list.partners.iter().map(row).collect();
    let tones: Vec<_> = list.partners.iter().map(|one| tone(one.enabled, one.paused.is_some(), one.down)).collect();
    output::toned_table(voice, &headings, &rows, (2, &tones))
}

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
                "client": one.uses.client,
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
