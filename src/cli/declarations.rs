//! `dxgate declarations …`: what customs says about the documents that were sent, through the API.

use super::Context;
use super::api_client::{ApiClient, block_on, encoded};
use super::arguments::{DeclarationsCommand, StandingArguments};
use super::exit_code::ExitCode;
use super::failure::Failure;
use super::output;
use super::pages;
use super::voice::{Tone, Voice};
use crate::bilingual;
use crate::console::declarations::{BusinessWire, DeclarationList, DeclarationWire, DocumentWire, SaidWire};
use crate::declaration::standing::Standing;
use crate::ground::text::{Bilingual, Language};

/// Documents with one number that are shown at a time.
const SHOWN: u16 = 50;

/// Runs one of the commands.
pub fn run(context: &mut Context<'_>, command: &DeclarationsCommand) -> Result<ExitCode, Failure> {
    let api = ApiClient::from_config(context)?;
    let voice = &mut context.voice;
    match command {
        DeclarationsCommand::List(arguments) => {
            output::watched(voice, arguments.watch, |voice| list(voice, &api, arguments))
        }
        DeclarationsCommand::Show { key, before } => show(voice, &api, key, before.as_deref()),
    }
}

fn list(voice: &mut Voice<'_>, api: &ApiClient, arguments: &StandingArguments) -> Result<ExitCode, Failure> {
    let StandingArguments { status, key, partner, limit, before, .. } = arguments;
    let narrowing =
        [("status", status.map(|status| status.name().to_owned())), ("key", key.clone()), ("partner", partner.clone())];
    let list: DeclarationList = block_on(pages::read(api, "/api/v1/declarations", &narrowing, *limit, before.clone()))?;
    if voice.json {
        voice.value(&list)?;
        return Ok(ExitCode::Done);
    }
    if list.declarations.is_empty() {
        voice.say(&bilingual!("没有符合条件的单证", "no document fits"))?;
        return Ok(ExitCode::Done);
    }
    let headings = [
        bilingual!("报文", "message"),
        bilingual!("时间", "created"),
        bilingual!("类型", "type"),
        bilingual!("业务编号", "key"),
        bilingual!("传输", "transport"),
        bilingual!("业务状态", "business"),
        bilingual!("回执", "receipt"),
    ];
    let rows: Vec<Vec<String>> = list.declarations.iter().map(|line| row(line, voice.language)).collect();
    let tones: Vec<_> = list.declarations.iter().map(|line| tone(line.document.status)).collect();
    output::toned_table(voice, &headings, &rows, (5, &tones))?;
    if let Some(next) = list.next {
        voice.say(&bilingual!("还有更多：--before {next}", "there are more: --before {next}"))?;
    }
    Ok(ExitCode::Done)
}

fn tone(status: Standing) -> Option<Tone> {
    match status {
        Standing::Accepted | Standing::Released => Some(Tone::Good),
        Standing::Rejected | Standing::Error => Some(Tone::Bad),
        Standing::Waiting | Standing::InProgress => None,
    }
}

fn row(line: &DeclarationWire, language: Language) -> Vec<String> {
    let said = line.document.receipt.as_ref();
    vec![
        format!("{} #{}", line.message, line.document.number),
        output::local_time(line.created),
        line.message_type.clone(),
        line.document.keys.first().map(|(name, value)| format!("{name}={value}")).unwrap_or_default(),
        transport(line).text(language).to_owned(),
        line.document.status.text().text(language).to_owned(),
        said.map(|said| format!("{} {}", said.status, said.meaning.text(language))).unwrap_or_default(),
    ]
}

fn show(voice: &mut Voice<'_>, api: &ApiClient, key: &str, before: Option<&str>) -> Result<ExitCode, Failure> {
    let path = format!("/api/v1/declarations/{}", encoded(key));
    let found: DeclarationList = block_on(pages::read(api, &path, &[], SHOWN, before.map(str::to_owned)))?;
    if voice.json {
        voice.value(&found)?;
        return Ok(ExitCode::Done);
    }
    for line in &found.declarations {
        let (id, file, kind) = (line.message, &line.file_name, &line.message_type);
        let transport = transport(line);
        let (zh, en) = (transport.zh, transport.en);
        voice.say(&bilingual!(
            "{kind}  报文 {id}（{file}），传输：{zh}",
            "{kind}  message {id} ({file}), transport: {en}"
        ))?;
        document(voice, &line.document)?;
    }
    if let Some(next) = found.next {
        voice.say(&bilingual!("还有更多：--before {next}", "there are more: --before {next}"))?;
    }
    Ok(ExitCode::Done)
}

/// The first life of a document's message, and what the platform said of it.
fn transport(line: &DeclarationWire) -> Bilingual {
    let state = output::state(line.transport);
    match line.platform.as_ref().filter(|platform| platform.refused) {
        Some(platform) => {
            let (zh, en, code) = (state.zh, state.en, &platform.code);
            bilingual!("{zh}，平台拒收 {code}", "{en}, refused by the platform {code}")
        }
        None => state,
    }
}

/// The second life of a message.
pub(super) fn business(voice: &mut Voice<'_>, business: &BusinessWire) -> std::io::Result<()> {
    if let Some(platform) = &business.platform {
        let (at, code, from) = (output::local_time(platform.at), &platform.code, platform.message);
        let (zh, en, info) = (&platform.meaning.zh, &platform.meaning.en, platform.info.as_deref().unwrap_or_default());
        voice.say(&bilingual!(
            "交换平台：{code} {zh} {info}（{at}，{from}）",
            "exchange platform: {code} {en} {info} ({at}, {from})"
        ))?;
        for result in &platform.results {
            let (receiver, code, info) = (&result.receiver, &result.code, result.info.as_deref().unwrap_or_default());
            voice.say(&bilingual!("  {receiver}：{code} {info}", "  {receiver}: {code} {info}"))?;
        }
    }
    if !business.documents.is_empty() {
        voice.say(&bilingual!("业务：", "business:"))?;
    }
    for one in &business.documents {
        document(voice, one)?;
    }
    for id in &business.answers {
        voice.say(&bilingual!("回复报文 {id}", "answers message {id}"))?;
    }
    if let Some(count) = business.unknown.filter(|count| *count > 0) {
        voice.say(&bilingual!(
            "其中 {count} 份单证不是本站发出的",
            "{count} of its documents were not sent by this station"
        ))?;
    }
    Ok(())
}

/// One document: where it stands, what the receipt says, its numbers.
fn document(voice: &mut Voice<'_>, document: &DocumentWire) -> std::io::Result<()> {
    let language = voice.language;
    let keys: Vec<String> =
        document.keys.iter().chain(&document.given).map(|(name, value)| format!("{name}={value}")).collect();
    let (number, status) = (document.number, document.status.text());
    voice.line(&format!("  #{number} [{}] {}", status.text(language), keys.join(" ")))?;
    for said in document.receipt.iter().chain(&document.notices) {
        words(voice, said)?;
    }
    Ok(())
}

fn words(voice: &mut Voice<'_>, said: &SaidWire) -> std::io::Result<()> {
    let SaidWire { message_type, status, meaning, time, info, message } = said;
    let meaning = meaning.text(voice.language);
    voice.line(&format!("     {message_type} {status} {meaning}  {time}  {info}  ({message})"))
}
