//! `dxgate messages …`: through the API. `export` and `verify` also read the store of a home whose gateway is stopped.

use super::Context;
use super::api_client::{ApiClient, block_on};
use super::arguments::{ActionArguments, ListArguments, MessagesCommand, ReleaseArguments};
use super::declarations;
use super::evidence;
use super::exit_code::ExitCode;
use super::failure::Failure;
use super::output;
use super::pages;
use super::voice::Voice;
use crate::bilingual;
use crate::console::Action;
use crate::console::wire::{ActionRequest, MessageDetail, MessageLine, MessageList, ReleasedWire};
use crate::ground::id::Id;
use crate::ground::text::Language;

/// Runs one of the commands.
pub fn run(context: &mut Context<'_>, command: &MessagesCommand) -> Result<ExitCode, Failure> {
    match command {
        MessagesCommand::Export(arguments) => return evidence::export(context, arguments),
        MessagesCommand::Verify(arguments) => return evidence::verify(context, arguments),
        _ => {}
    }
    let api = ApiClient::from_config(context)?;
    let voice = &mut context.voice;
    match command {
        MessagesCommand::List(arguments) => {
            output::watched(voice, arguments.watch, |voice| list(voice, &api, arguments))
        }
        MessagesCommand::Show { id } => show(voice, &api, *id),
        MessagesCommand::Retry(arguments) => act(voice, &api, Action::Retry, arguments),
        MessagesCommand::Hold(arguments) => act(voice, &api, Action::Hold, arguments),
        MessagesCommand::Release(ReleaseArguments { id: Some(id), reason, .. }) => {
            act(voice, &api, Action::Release, &ActionArguments { id: *id, reason: reason.clone() })
        }
        MessagesCommand::Release(ReleaseArguments { id: None, reason, .. }) => release_restored(voice, &api, reason),
        MessagesCommand::Cancel(arguments) => act(voice, &api, Action::Cancel, arguments),
        MessagesCommand::LegalHold(arguments) => act(voice, &api, Action::LegalHold, arguments),
        MessagesCommand::LegalRelease(arguments) => act(voice, &api, Action::LegalRelease, arguments),
        // Answered above: they work without a gateway too.
        MessagesCommand::Export(_) | MessagesCommand::Verify(_) => Ok(ExitCode::Done),
        MessagesCommand::Resend(arguments) => act(voice, &api, Action::Resend, arguments),
    }
}

fn list(voice: &mut Voice<'_>, api: &ApiClient, arguments: &ListArguments) -> Result<ExitCode, Failure> {
    let before = arguments.before.map(|before| before.to_string());
    let narrowing = narrowing(arguments);
    let list: MessageList = block_on(pages::read(api, "/api/v1/messages", &narrowing, arguments.limit, before))?;
    if voice.json {
        voice.value(&list)?;
        return Ok(ExitCode::Done);
    }
    if list.messages.is_empty() {
        voice.say(&bilingual!("没有符合条件的报文", "no message fits"))?;
        return Ok(ExitCode::Done);
    }
    let headings = [
        bilingual!("编号", "id"),
        bilingual!("时间", "created"),
        bilingual!("方向", "way"),
        bilingual!("合作方", "partner"),
        bilingual!("状态", "state"),
        bilingual!("次数", "tries"),
        bilingual!("大小", "size"),
        bilingual!("文件", "file"),
        bilingual!("原因", "reason"),
    ];
    let rows: Vec<Vec<String>> = list.messages.iter().map(|line| row(line, voice.language)).collect();
    let tones: Vec<_> = list.messages.iter().map(|line| output::tone(line.state)).collect();
    output::toned_table(voice, &headings, &rows, (4, &tones))?;
    if let Some(next) = list.next {
        voice.say(&bilingual!("还有更多：--before {next}", "there are more: --before {next}"))?;
    }
    Ok(ExitCode::Done)
}

fn release_restored(voice: &mut Voice<'_>, api: &ApiClient, reason: &str) -> Result<ExitCode, Failure> {
    let body = ActionRequest { reason: reason.to_owned() };
    let released: ReleasedWire = block_on(api.post("/api/v1/restored/release", &body))?;
    if voice.json {
        voice.value(&released)?;
    } else {
        let count = released.released;
        voice.say(&bilingual!("已放行 {count} 个报文", "{count} messages released"))?;
    }
    Ok(ExitCode::Done)
}

/// What the list is narrowed by.
fn narrowing(arguments: &ListArguments) -> [(&'static str, Option<String>); 9] {
    let ListArguments { state, direction, partner, name, message_id, restored, .. } = arguments;
    let kebab = |value: serde_json::Result<serde_json::Value>| value.ok()?.as_str().map(str::to_owned);
    let states: Vec<String> = state.iter().filter_map(|state| kebab(serde_json::to_value(state))).collect();
    [
        ("state", Some(states.join(",")).filter(|states| !states.is_empty())),
        ("direction", direction.and_then(|direction| kebab(serde_json::to_value(direction)))),
        ("partner", partner.clone()),
        ("text", arguments.text.clone()),
        ("from", arguments.from.map(|from| from.to_string())),
        ("to", arguments.to.map(|to| to.to_string())),
        ("name", name.clone()),
        ("message_id", message_id.clone()),
        ("restored", restored.then(|| "true".to_owned())),
    ]
}

fn row(line: &MessageLine, language: Language) -> Vec<String> {
    vec![
        line.id.to_string(),
        output::local_time(line.created),
        output::direction(line.direction).text(language).to_owned(),
        line.partner.clone(),
        output::state(line.state).text(language).to_owned(),
        line.attempts.to_string(),
        line.size.map(output::size).unwrap_or_default(),
        line.file_name.clone(),
        line.reason.as_ref().map(|reason| reason.code.clone()).unwrap_or_default(),
    ]
}

fn show(voice: &mut Voice<'_>, api: &ApiClient, id: Id) -> Result<ExitCode, Failure> {
    let message: MessageDetail = block_on(api.get(&format!("/api/v1/messages/{id}")))?;
    print(voice, &message)?;
    Ok(ExitCode::Done)
}

fn act(
    voice: &mut Voice<'_>,
    api: &ApiClient,
    action: Action,
    arguments: &ActionArguments,
) -> Result<ExitCode, Failure> {
    let ActionArguments { id, reason } = arguments;
    let path = format!("/api/v1/messages/{id}/{}", action.name());
    let message: MessageDetail = block_on(api.post(&path, &ActionRequest { reason: reason.clone() }))?;
    if voice.json {
        voice.value(&message)?;
    } else if action == Action::LegalHold {
        voice.say(&bilingual!(
            "报文 {id} 已法定保留，不会过期",
            "message {id} is under legal hold and does not expire"
        ))?;
    } else if action == Action::LegalRelease {
        voice.say(&bilingual!("报文 {id} 的法定保留已解除", "message {id} is no longer under legal hold"))?;
    } else if action == Action::Resend {
        let new = message.line.id;
        voice
            .say(&bilingual!("报文 {id} 已作为新报文 {new} 重发", "message {id} is resent as the new message {new}"))?;
    } else {
        let state = output::state(message.line.state);
        let (zh, en) = (state.zh, state.en);
        voice.say(&bilingual!("报文 {id} 现在的状态：{zh}", "message {id} is now: {en}"))?;
    }
    Ok(ExitCode::Done)
}

/// One message: what it is, then its history as a timeline.
pub(super) fn print(voice: &mut Voice<'_>, message: &MessageDetail) -> std::io::Result<()> {
    if voice.json {
        return voice.value(message);
    }
    facts(voice, message)?;
    receipt(voice, message)?;
    if let Some(business) = &message.business {
        declarations::business(voice, business)?;
    }
    findings(voice, message)?;
    for stray in &message.stray_receipts {
        let (zh, en, said) = (&stray.reason.text.zh, &stray.reason.text.en, &stray.receipt.disposition);
        voice.say(&bilingual!("未起作用的 MDN：{said}（{zh}）", "MDN without effect: {said} ({en})"))?;
    }
    for alert in message.alerts.iter().filter(|alert| alert.is_open()) {
        let (code, zh, en) = (&alert.code, &alert.text.zh, &alert.text.en);
        voice.say(&bilingual!("告警 {code}：{zh}", "alert {code}: {en}"))?;
    }
    for file in &message.files {
        let mark = if file.published { "✓" } else { "…" };
        voice.line(&format!("  {mark} {}/{}", file.folder, file.name))?;
    }
    voice.say(&bilingual!("经过：", "history:"))?;
    for event in &message.timeline {
        voice.line(&format!("  {}  {:<18} {}", output::local_time(event.at), event.fact, event.detail))?;
    }
    Ok(())
}

fn facts(voice: &mut Voice<'_>, message: &MessageDetail) -> std::io::Result<()> {
    let line = &message.line;
    let language = voice.language;
    let declaration = line.message_type.as_ref().map(|kind| format!("{kind} × {}", line.documents.unwrap_or(0)));
    let held = message.legal_hold.as_ref();
    let held = held.map(|hold| format!("{}  {}: {}", output::local_time(hold.at), hold.by, hold.reason));
    let keys: Vec<String> = message.keys.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let fields = [
        (bilingual!("编号", "id"), Some(line.id.to_string())),
        (bilingual!("状态", "state"), Some(output::state(line.state).text(language).to_owned())),
        (bilingual!("原因", "reason"), line.reason.as_ref().map(|reason| reason.text.text(language).to_owned())),
        (bilingual!("方向", "way"), Some(output::direction(line.direction).text(language).to_owned())),
        (bilingual!("合作方", "partner"), Some(line.partner.clone())),
        (bilingual!("文件", "file"), Some(line.file_name.clone())),
        (bilingual!("大小", "size"), line.size.map(output::size)),
        (bilingual!("报文类型", "declaration"), declaration),
        (bilingual!("业务编号", "keys"), Some(keys.join(", ")).filter(|keys| !keys.is_empty())),
        (bilingual!("信封编号", "CopMsgId"), message.cop_msg_id.clone()),
        (bilingual!("AS2 编号", "Message-ID"), line.message_id.clone()),
        (bilingual!("次数", "tries"), Some(line.attempts.to_string())),
        (bilingual!("下次", "due"), line.due.map(output::local_time)),
        (bilingual!("签名证书", "signer"), message.signer.clone()),
        (bilingual!("关联报文", "about"), message.about.map(|about| about.to_string())),
        (bilingual!("法定保留", "legal hold"), held),
        (bilingual!("载荷已清除", "payload gone"), message.payload_purged.map(output::local_time)),
        (bilingual!("重发为", "resent as"), message.successor.map(|successor| successor.to_string())),
    ];
    output::fields(voice, &fields)
}

/// What the pre-check found in what was sent all the same.
fn findings(voice: &mut Voice<'_>, message: &MessageDetail) -> std::io::Result<()> {
    let Some(findings) = &message.findings else { return Ok(()) };
    let (errors, warnings, left_out) = (findings.errors, findings.warnings, findings.left_out);
    voice.say(&bilingual!(
        "预检：错误 {errors} 项，警告 {warnings} 项",
        "pre-check: {errors} errors, {warnings} warnings"
    ))?;
    for finding in &findings.kept {
        voice.line(&format!("  {}", finding.line_for(voice.language)))?;
    }
    if left_out > 0 {
        voice.say(&bilingual!("  另有 {left_out} 项未列出", "  {left_out} more not listed"))?;
    }
    Ok(())
}

/// The MDN: what it says and whether it proves anything.
pub(super) fn receipt(voice: &mut Voice<'_>, message: &MessageDetail) -> std::io::Result<()> {
    let Some(receipt) = &message.receipt else { return Ok(()) };
    let matches = receipt.mic_matches.map(|matches| match matches {
        true => bilingual!("一致", "matches"),
        false => bilingual!("不一致", "does not match"),
    });
    let language = voice.language;
    let fields = [
        (bilingual!("MDN 处置", "MDN"), Some(receipt.disposition.clone())),
        (bilingual!("MIC", "MIC"), receipt.mic.clone()),
        (bilingual!("MIC 核对", "MIC check"), matches.map(|matches| matches.text(language).to_owned())),
        (bilingual!("MDN 签名证书", "MDN signer"), receipt.signer.clone()),
    ];
    output::fields(voice, &fields)
}
