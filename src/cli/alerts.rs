//! `dxgate alerts …`: what a person should know, through the API.

use super::Context;
use super::api_client::{ApiClient, block_on, encoded};
use super::arguments::{AlertArguments, AlertsCommand, SilenceArguments};
use super::exit_code::ExitCode;
use super::failure::Failure;
use super::output;
use super::voice::{Tone, Voice};
use crate::bilingual;
use crate::console::wire::alerting::{SilenceList, SilenceRequest, SilenceWire, TestRequest, TestedList};
use crate::console::wire::{ActionRequest, AlertList, AlertWire};
use crate::ground::clock::{Clock as _, SystemClock};
use crate::ground::text::Bilingual;
use crate::store::alert::Level;

/// Runs one of the commands.
pub fn run(context: &mut Context<'_>, command: &AlertsCommand) -> Result<ExitCode, Failure> {
    let api = ApiClient::from_config(context)?;
    let voice = &mut context.voice;
    match command {
        AlertsCommand::List(arguments) => output::watched(voice, arguments.watch, |voice| list(voice, &api, arguments)),
        AlertsCommand::Acknowledge { id, reason } => acknowledge(voice, &api, id, reason),
        AlertsCommand::Silence(arguments) => silence(voice, &api, arguments),
        AlertsCommand::Silences => silences(voice, &api),
        AlertsCommand::Unsilence { id, reason } => unsilence(voice, &api, id, reason),
        AlertsCommand::Test { channel } => test(voice, &api, channel.as_deref()),
    }
}

fn list(voice: &mut Voice<'_>, api: &ApiClient, arguments: &AlertArguments) -> Result<ExitCode, Failure> {
    let AlertArguments { partner, limit, before, .. } = arguments;
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

/// Two lines: how grave and which alert, and what it says.
fn print(voice: &mut Voice<'_>, wire: &AlertWire) -> std::io::Result<()> {
    let AlertWire { id, partner, alert, .. } = wire;
    let (raised, (tone, level)) = (output::local_time(alert.raised), level(alert.level));
    let level = level.text(voice.language);
    let partner = partner.as_deref().unwrap_or("-");
    let times = if alert.times > 1 { format!(" ×{}", alert.times) } else { String::new() };
    voice.toned((tone, level), &format!("{raised}  {partner}  {id}{times}"))?;
    let text = alert.text.text(voice.language).to_owned();
    voice.line(&format!("  {text}"))
}

fn level(level: Level) -> (Tone, Bilingual) {
    match level {
        Level::Warning => (Tone::Notable, bilingual!("警告", "warning")),
        Level::Error => (Tone::Bad, bilingual!("错误", "error")),
        Level::Security => (Tone::Bad, bilingual!("安全", "security")),
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

fn silence(voice: &mut Voice<'_>, api: &ApiClient, arguments: &SilenceArguments) -> Result<ExitCode, Failure> {
    let SilenceArguments { code, partner, until, for_, reason } = arguments;
    let later = for_.and_then(|time| jiff::SignedDuration::try_from(time).ok());
    let later = later.and_then(|time| SystemClock.now().checked_add(time).ok());
    // One of the two is required.
    let until = until.or(later).unwrap_or_else(|| SystemClock.now());
    let request = SilenceRequest { code: code.clone(), partner: partner.clone(), until, reason: reason.clone() };
    let silence: SilenceWire = block_on(api.post("/api/v1/alerts/silences", &request))?;
    if voice.json {
        voice.value(&silence)?;
    } else {
        let (id, until) = (&silence.id, output::local_time(silence.until));
        let text = bilingual!("静默 {id} 已生效，至 {until}", "silence {id} lasts until {until}");
        voice.say(&text)?;
    }
    Ok(ExitCode::Done)
}

fn silences(voice: &mut Voice<'_>, api: &ApiClient) -> Result<ExitCode, Failure> {
    let list: SilenceList = block_on(api.get("/api/v1/alerts/silences"))?;
    if voice.json {
        voice.value(&list)?;
        return Ok(ExitCode::Done);
    }
    if list.silences.is_empty() {
        voice.say(&bilingual!("没有生效中的静默", "no silences"))?;
    }
    for SilenceWire { id, code, partner, until, reason, by, .. } in &list.silences {
        let (code, partner) = (code.as_deref().unwrap_or("*"), partner.as_deref().unwrap_or("*"));
        let until = output::local_time(*until);
        voice.line(&format!("{id}  {code}  {partner}  → {until}  {by}: {reason}"))?;
    }
    Ok(ExitCode::Done)
}

fn unsilence(voice: &mut Voice<'_>, api: &ApiClient, id: &str, reason: &str) -> Result<ExitCode, Failure> {
    let path = format!("/api/v1/alerts/silences/{}/end", encoded(id));
    let ended: SilenceWire = block_on(api.post(&path, &ActionRequest { reason: reason.to_owned() }))?;
    if voice.json {
        voice.value(&ended)?;
    } else {
        voice.say(&bilingual!("静默 {id} 已结束", "silence {id} has ended"))?;
    }
    Ok(ExitCode::Done)
}

/// 1 when a channel failed.
fn test(voice: &mut Voice<'_>, api: &ApiClient, channel: Option<&str>) -> Result<ExitCode, Failure> {
    let request = TestRequest { channel: channel.map(str::to_owned) };
    let list: TestedList = block_on(api.post("/api/v1/alerts/test", &request))?;
    if voice.json {
        voice.value(&list)?;
    }
    let json = voice.json;
    for tested in list.channels.iter().filter(|_| !json) {
        let channel = &tested.channel;
        let text = match &tested.failed {
            None => bilingual!("{channel}：已送达", "{channel}: told"),
            Some(why) => bilingual!("{channel}：失败：{why}", "{channel}: failed: {why}"),
        };
        voice.say(&text)?;
    }
    let all = list.channels.iter().all(|tested| tested.told);
    Ok(if all { ExitCode::Done } else { ExitCode::No })
}
