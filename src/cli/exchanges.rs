//! `dxgate cert exchanges|request|accept|reject`: certificates that one side asks the other to trust (CEM), through the API.

use std::io;

use super::Context;
use super::api_client::{ApiClient, block_on};
use super::arguments::cert::{AcceptArguments, RequestArguments};
use super::exit_code::ExitCode;
use super::failure::Failure;
use super::output;
use super::voice::{Tone, Voice};
use crate::bilingual;
use crate::console::wire::ActionRequest;
use crate::console::wire::exchanges::{
    AcceptRequest, ExchangeList, ExchangeRequestBody, ExchangeState, ExchangeWire, ExchangedCertificate,
};
use crate::ground::id::Id;
use crate::ground::text::Bilingual;
use crate::store::record::Direction;

const PATH: &str = "/api/v1/certificate-exchanges";

/// Exchanges that wait for an answer, or all. Exit code 1 when one waits for a person of ours.
pub(super) fn list(context: &mut Context<'_>, all: bool) -> Result<ExitCode, Failure> {
    let api = ApiClient::from_config(context)?;
    let voice = &mut context.voice;
    let ExchangeList { mut exchanges } = block_on(api.get(PATH))?;
    exchanges.retain(|one| all || one.state == ExchangeState::Open);
    let waits = exchanges.iter().any(waits_for_us);
    if voice.json {
        voice.value(&ExchangeList { exchanges })?;
    } else if exchanges.is_empty() {
        voice.say(&bilingual!("没有待答复的证书交换", "no certificate exchange waits for an answer"))?;
    } else {
        exchanges.iter().try_for_each(|one| print(voice, one))?;
    }
    Ok(if waits { ExitCode::No } else { ExitCode::Done })
}

/// Asks each partner in turn.
pub(super) fn request(context: &mut Context<'_>, arguments: &RequestArguments) -> Result<ExitCode, Failure> {
    let api = ApiClient::from_config(context)?;
    let voice = &mut context.voice;
    let mut exchanges = Vec::new();
    for partner in &arguments.partners {
        let body = ExchangeRequestBody {
            partner: partner.clone(),
            uses: arguments.uses.clone(),
            fingerprint: arguments.fingerprint.clone(),
            respond_by: arguments.respond_by,
            reason: arguments.reason.clone(),
        };
        let asked: ExchangeWire = block_on(api.post(PATH, &body))?;
        if !voice.json {
            print(voice, &asked)?;
        }
        exchanges.push(asked);
    }
    if voice.json {
        voice.value(&ExchangeList { exchanges })?;
        return Ok(ExitCode::Done);
    }
    voice.say(&bilingual!(
        "对方接受之前仍以旧密钥为其签名；dxgate cert exchanges 查看答复",
        "until the partner accepts, the old key signs for it; dxgate cert exchanges shows the answer"
    ))?;
    Ok(ExitCode::Done)
}

/// Trusts the certificates of a partner's request.
pub(super) fn accept(context: &mut Context<'_>, arguments: &AcceptArguments) -> Result<ExitCode, Failure> {
    let body = AcceptRequest { only: arguments.only.clone(), reason: arguments.reason.clone() };
    answer(context, arguments.id, "accept", &body)
}

/// Rejects them all.
pub(super) fn reject(context: &mut Context<'_>, id: Id, reason: &str) -> Result<ExitCode, Failure> {
    answer(context, id, "reject", &ActionRequest { reason: reason.to_owned() })
}

fn answer(context: &mut Context<'_>, id: Id, action: &str, body: &impl serde::Serialize) -> Result<ExitCode, Failure> {
    let api = ApiClient::from_config(context)?;
    let exchange: ExchangeWire = block_on(api.post(&format!("{PATH}/{id}/{action}"), body))?;
    let voice = &mut context.voice;
    if voice.json {
        voice.value(&exchange)?;
    } else {
        print(voice, &exchange)?;
    }
    Ok(ExitCode::Done)
}

fn waits_for_us(one: &ExchangeWire) -> bool {
    one.direction == Direction::Inbound && one.state == ExchangeState::Open
}

fn print(voice: &mut Voice<'_>, one: &ExchangeWire) -> io::Result<()> {
    let (tone, state) = state(one);
    let (asked, partner, id) = (output::local_time(one.asked), &one.partner, one.id);
    let whose = match one.direction {
        Direction::Inbound => bilingual!("对方请求", "asks us"),
        Direction::Outbound => bilingual!("我方请求", "asked by us"),
    };
    let whose = whose.text(voice.language);
    let state = state.text(voice.language);
    voice.toned((tone, state), &format!("{asked}  {partner}  {whose}  {id}"))?;
    if let Some(by) = one.respond_by {
        let by = output::local_time(by);
        voice.say(&bilingual!("    答复期限 {by}", "    an answer is wanted by {by}"))?;
    }
    if let Some(answer) = &one.answer {
        let (at, by) = (output::local_time(answer.at), &answer.by);
        voice.say(&bilingual!("    {at} 由 {by} 答复", "    answered {at} by {by}"))?;
    }
    one.certificates.iter().try_for_each(|certificate| print_certificate(voice, certificate))
}

fn print_certificate(voice: &mut Voice<'_>, one: &ExchangedCertificate) -> io::Result<()> {
    let verdict = match one.accepted {
        None => String::new(),
        Some(true) => format!("  {}", bilingual!("已接受", "accepted").text(voice.language)),
        Some(false) => {
            let reason = one.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            format!("  {}{reason}", bilingual!("已拒绝", "rejected").text(voice.language))
        }
    };
    let (uses, subject) = (one.uses.join("+"), one.subject.as_deref().unwrap_or("?"));
    let algorithm = one.algorithm.as_deref().unwrap_or("?");
    let window = one.not_before.zip(one.not_after);
    let window = window.map(|(from, to)| format!("{} – {}", output::local_time(from), output::local_time(to)));
    voice.line(&format!("    {uses}  {subject}  {algorithm}  {}{verdict}", window.unwrap_or_default()))?;
    voice.line(&format!("    SHA-256 {}", one.fingerprint))
}

fn state(one: &ExchangeWire) -> (Tone, Bilingual) {
    match one.state {
        ExchangeState::Open if waits_for_us(one) => (Tone::Notable, bilingual!("待决定", "to decide")),
        ExchangeState::Open => (Tone::Notable, bilingual!("待答复", "waits")),
        ExchangeState::Superseded => (Tone::Notable, bilingual!("已被取代", "superseded")),
        ExchangeState::Answered if one.certificates.iter().all(|certificate| certificate.accepted == Some(true)) => {
            (Tone::Good, bilingual!("已接受", "accepted"))
        }
        ExchangeState::Answered => (Tone::Bad, bilingual!("已拒绝", "rejected")),
    }
}
