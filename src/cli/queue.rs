//! `dxgate queue`: what waits, and for whom, through the API.

use super::Context;
use super::api_client::{ApiClient, block_on};
use super::exit_code::ExitCode;
use super::failure::Failure;
use super::output;
use super::voice::Voice;
use crate::bilingual;
use crate::console::wire::traffic::QueueWire;

/// Runs the command, again and again when `watch` gives the seconds between.
pub fn run(context: &mut Context<'_>, watch: Option<u16>) -> Result<ExitCode, Failure> {
    let api = ApiClient::from_config(context)?;
    output::watched(&mut context.voice, watch, |voice| {
        let queue: QueueWire = block_on(api.get("/api/v1/queue"))?;
        print(voice, &queue)?;
        Ok(ExitCode::Done)
    })
}

/// Totals, then a line for each partner.
pub(super) fn print(voice: &mut Voice<'_>, queue: &QueueWire) -> std::io::Result<()> {
    if voice.json {
        return voice.value(queue);
    }
    let QueueWire { waiting, due, held, failed, unpublished, .. } = queue;
    voice.say(&bilingual!(
        "等待 {waiting}（现在可发 {due}）  挂起 {held}  失败 {failed}  待发布文件 {unpublished}",
        "waiting {waiting} ({due} due now)  held {held}  failed {failed}  files to publish {unpublished}"
    ))?;
    if let Some(oldest) = &queue.oldest {
        let (id, since) = (oldest.id, output::local_time(oldest.since));
        voice.say(&bilingual!("最早：{since}  {id}", "oldest: {since}  {id}"))?;
    }
    if queue.partners.is_empty() {
        return Ok(());
    }
    let headings = [
        bilingual!("合作方", "partner"),
        bilingual!("等待", "waiting"),
        bilingual!("可发", "due"),
        bilingual!("状态", "state"),
    ];
    let language = voice.language;
    let rows: Vec<Vec<String>> = queue
        .partners
        .iter()
        .map(|partner| {
            let state = match (partner.paused, partner.down) {
                (true, _) => bilingual!("已暂停", "paused"),
                (false, true) => bilingual!("无应答", "down"),
                (false, false) => bilingual!("正常", "up"),
            };
            let (waiting, due) = (partner.waiting.to_string(), partner.due.to_string());
            vec![partner.partner.clone(), waiting, due, state.text(language).to_owned()]
        })
        .collect();
    let tones: Vec<_> = queue.partners.iter().map(|one| super::partner::tone(true, one.paused, one.down)).collect();
    output::toned_table(voice, &headings, &rows, (3, &tones))
}
