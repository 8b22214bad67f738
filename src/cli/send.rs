//! `dxgate send`: hands a file to the gateway and, with `--wait`, stays until its end is known.

use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::Instant;

use super::Context;
use super::api_client::{ApiClient, UNREACHABLE, block_on, encoded};
use super::arguments::SendArguments;
use super::exit_code::ExitCode;
use super::failure::Failure;
use super::voice::Voice;
use super::{messages, output};
use crate::bilingual;
use crate::console::wire::{MessageDetail, Submitted};
use crate::ground::id::Id;
use crate::ground::text::{Bilingual, Language};
use crate::store::record::State;

/// Pauses between two looks at the message, the last one repeated.
const PAUSES_MS: [u64; 5] = [100, 200, 400, 800, 1500];

/// Runs the command. Exit 1 when the message was not delivered, or not within the timeout.
pub fn run(context: &mut Context<'_>, arguments: &SendArguments) -> Result<ExitCode, Failure> {
    let api = ApiClient::from_config(context)?;
    let outcome = block_on(submit(&api, arguments, &context.voice))?;
    report(&mut context.voice, outcome)
}

/// Uploads the file and waits if asked to.
pub(super) async fn submit(api: &ApiClient, arguments: &SendArguments, voice: &Voice<'_>) -> Result<Sent, Failure> {
    let SendArguments { file, partner, name, wait, timeout } = arguments;
    let name = match name {
        Some(name) => name.clone(),
        None => own_name(file)?,
    };
    let path = format!("/api/v1/partners/{}/messages?name={}", encoded(partner), encoded(&name));
    let Submitted { id } = api.upload(&path, file).await?;
    if !wait {
        return Ok(Sent::Queued(id));
    }
    let spinner = spinner(voice.json);
    let watched = watch(api, id, *timeout, &spinner, voice.language).await;
    spinner.finish_and_clear();
    watched
}

/// How far it got.
pub(super) enum Sent {
    /// The gateway has it; nobody waited.
    Queued(Id),
    /// The timeout passed first.
    Waiting(Box<MessageDetail>),
    /// Nothing more will happen by itself.
    Settled(Box<MessageDetail>),
}

fn own_name(file: &Path) -> Result<String, Failure> {
    let unnamed = || {
        let path = file.display();
        let text = bilingual!("{path} 没有可用的文件名；请使用 --name", "{path} has no usable file name; use --name");
        Failure::new(ExitCode::Usage, "no-file-name", text)
    };
    file.file_name().and_then(|name| name.to_str()).map(str::to_owned).ok_or_else(unnamed)
}

/// Turns while we wait; draws on a terminal only.
fn spinner(quiet: bool) -> ProgressBar {
    if quiet {
        return ProgressBar::hidden();
    }
    let spinner = ProgressBar::new_spinner().with_style(ProgressStyle::default_spinner());
    spinner.enable_steady_tick(Duration::from_millis(120));
    spinner
}

async fn watch(
    api: &ApiClient,
    id: Id,
    timeout: Duration,
    spinner: &ProgressBar,
    language: Language,
) -> Result<Sent, Failure> {
    let end = Instant::now() + timeout;
    let mut pauses = PAUSES_MS.iter();
    let mut pause = Duration::ZERO;
    loop {
        match api.get::<MessageDetail>(&format!("/api/v1/messages/{id}")).await {
            // A held message waits for a person, so nothing more will come of waiting here.
            Ok(message) if message.line.settled || message.line.state == State::Held => {
                return Ok(Sent::Settled(Box::new(message)));
            }
            Ok(message) if Instant::now() >= end => return Ok(Sent::Waiting(Box::new(message))),
            Ok(message) => spinner.set_message(output::state(message.line.state).text(language).to_owned()),
            // The gateway has it, and may be starting again.
            Err(failure) if failure.code() == UNREACHABLE && Instant::now() < end => {}
            Err(failure) => return Err(queued_before(id, failure)),
        }
        pause = pauses.next().map_or(pause, |millis| Duration::from_millis(*millis));
        tokio::time::sleep_until(end.min(Instant::now() + pause)).await;
    }
}

/// The gateway has the file; only what became of it is not known.
fn queued_before(id: Id, failure: Failure) -> Failure {
    match failure {
        Failure::Said { exit, code, text: Bilingual { zh, en } } => {
            let text = bilingual!(
                "文件已排队，编号 {id}，请勿再次发送；其后的状态未知：{zh}。稍后用 dxgate messages show {id} 查看",
                "the file is queued as {id}, do not send it again; what became of it is not known: {en} See dxgate messages show {id} later"
            );
            Failure::Said { exit, code, text }
        }
        other => other,
    }
}

/// Tells it; the exit code is whether it was delivered.
pub(super) fn report(voice: &mut Voice<'_>, sent: Sent) -> Result<ExitCode, Failure> {
    let (message, exit) = match sent {
        Sent::Queued(id) => {
            if voice.json {
                voice.value(&Submitted { id })?;
            } else {
                voice.say(&bilingual!("已排队，编号 {id}", "queued as {id}"))?;
            }
            return Ok(ExitCode::Done);
        }
        Sent::Settled(message) if message.line.state == State::Delivered => (message, ExitCode::Done),
        Sent::Settled(message) | Sent::Waiting(message) => (message, ExitCode::No),
    };
    if voice.json {
        voice.value(&message)?;
        return Ok(exit);
    }
    let id = message.line.id;
    let state = output::state(message.line.state);
    let (zh, en) = (state.zh, state.en);
    voice.say(&bilingual!("报文 {id}：{zh}", "message {id}: {en}"))?;
    if let Some(reason) = &message.line.reason {
        voice.say(&reason.text)?;
    }
    messages::receipt(voice, &message)?;
    Ok(exit)
}
