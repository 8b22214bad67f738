//! `dxgate alerts …`: what a person should know, through the API.

use super::Context;
use super::api_client::{ApiClient, block_on, encoded};
use super::arguments::{AlertArguments, AlertsCommand};
use super::exit_code::ExitCode;
use super::failure::Failure;
use super::output;
use super::voice::Voice;
use crate::bilingual;
use crate::console::wire::{ActionRequest, AlertList, AlertWire};
use crate::ground::text::Bilingual;
use crate::store::alert::Level;

/// Runs one of the commands.
pub fn run(context: &mut Context<'_>, command: &AlertsCommand) -> Result<ExitCode, Failure> {
    let api = ApiClient::from_config(context)?;
    let voice = &mut context.voice;
    match command {
        AlertsCommand::List(arguments) => list(voice, &api, arguments),
        AlertsCommand::Acknowledge { id, reason } => acknowledge(voice, &api, id, reason),
    }
}

fn list(voice: &mut Voice<'_>, api: &ApiClient, arguments: &AlertArguments) -> Result<ExitCode, Failure> {
    let AlertArguments { partner, limit, before } = arguments;
    let parameters = [
        ("partner", partner.clone()),
        ("limit", Some(limit.to_string())),
        ("before", before.map(|before| before.to_string())),
    ];
    let given = parameters.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", encoded(&value?))));
    let query = given.collect::<Vec<String>>().join("&");
    let list: AlertList = block_on(api.get(&format!("/api/v1/alerts?{query}")))?;
    if voice.json {
        voice.value(&list)?;
        return Ok(ExitCode::Done);
    }
    if list.alerts.is_empty() {
        voice.say(&bilingual!("没有未确认的告警", "no open alerts"))?;
    }
    for alert in &list.alerts {
        print(voice, alert)?;
    }
    if let Some(next) = list.next {
        voice.say(&bilingual!("还有更多：--before {next}", "there are more: --before {next}"))?;
    }
    Ok(ExitCode::Done)
}

/// Two lines: which alert, and what it says.
fn print(voice: &mut Voice<'_>, wire: &AlertWire) -> std::io::Result<()> {
    let AlertWire { id, partner, alert, .. } = wire;
    let (raised, level) = (output::local_time(alert.raised), level(alert.level));
    let level = level.text(voice.language);
    let partner = partner.as_deref().unwrap_or("-");
    let times = if alert.times > 1 { format!(" ×{}", alert.times) } else { String::new() };
    voice.line(&format!("{raised}  {level}  {partner}  {id}{times}"))?;
    let text = alert.text.text(voice.language).to_owned();
    voice.line(&format!("  {text}"))
}

fn level(level: Level) -> Bilingual {
    match level {
        Level::Warning => bilingual!("警告", "warning"),
        Level::Error => bilingual!("错误", "error"),
        Level::Security => bilingual!("安全", "security"),
    }
}

fn acknowledge(voice: &mut Voice<'_>, api: &ApiClient, id: &str, reason: &str) -> Result<ExitCode, Failure> {
    let path = format!("/api/v1/alerts/{}/acknowledge", encoded(id));
    let alert: AlertWire = block_on(api.post(&path, &ActionRequest { reason: reason.to_owned() }))?;
    if voice.json {
        voice.value(&alert)?;
    } else {
        voice.say(&bilingual!("告警 {id} 已确认", "alert {id} is acknowledged"))?;
    }
    Ok(ExitCode::Done)
}
