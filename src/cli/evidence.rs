//! `dxgate messages export` and `verify`: through the running gateway, or on the home of a stopped one. Which of the two
//! it is, the store's lock decides.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Context;
use super::api_client::{ApiClient, UNREACHABLE, block_on};
use super::arguments::{ExportArguments, VerifyArguments};
use super::exit_code::ExitCode;
use super::failure::Failure;
use super::voice::Voice;
use crate::app::open_stopped;
use crate::bilingual;
use crate::console::wire::{ExportRequest, ExportWire, JournalWire};
use crate::evidence::{self, EvidenceError};
use crate::ground::id::Id;
use crate::store::StoreError;

/// `messages export`.
pub(super) fn export(context: &mut Context<'_>, arguments: &ExportArguments) -> Result<ExitCode, Failure> {
    let dir = absolute(&arguments.out)?;
    let id = arguments.id;
    let request = ExportRequest { dir: dir.display().to_string() };
    let exported: ExportWire = match asked(context, &format!("/api/v1/messages/{id}/export"), &request)? {
        Some(exported) => exported,
        None => stopped(context, |_, exporter| exporter.export(&id, &dir).map_err(|error| failed(&error)))?.into(),
    };
    let voice = &mut context.voice;
    if voice.json {
        voice.value(&exported)?;
        return Ok(ExitCode::Done);
    }
    let (count, shown) = (exported.files.len(), dir.display());
    voice.say(&bilingual!(
        "{shown}：{count} 个文件。验证方法见其中的 README.md。",
        "{shown}: {count} files. Its README.md says how to verify them."
    ))?;
    signatures(voice, exported.signed.into(), exported.mdn_signed.into())?;
    Ok(ExitCode::Done)
}

/// `messages verify`.
pub(super) fn verify(context: &mut Context<'_>, arguments: &VerifyArguments) -> Result<ExitCode, Failure> {
    let Some(what) = &arguments.what else { return verify_all(context) };
    match what.parse::<Id>() {
        Ok(id) => verify_message(context, id),
        Err(_) => verify_bundle(&mut context.voice, Path::new(what)),
    }
}

fn verify_all(context: &mut Context<'_>) -> Result<ExitCode, Failure> {
    let report: JournalWire = match asked(context, "/api/v1/journal/verify", &serde_json::json!({}))? {
        Some(report) => report,
        None => stopped(context, |store, _| store.verify_journal_and_bodies().map_err(|error| damaged(&error)))?.into(),
    };
    let voice = &mut context.voice;
    if voice.json {
        voice.value(&report)?;
        return Ok(ExitCode::Done);
    }
    let JournalWire { frames, segments, bodies, last_sequence, head } = report;
    voice.say(&bilingual!(
        "日志完好：{segments} 段、{frames} 帧、{bodies} 个正文；末帧 {last_sequence}，散列 {head}",
        "the journal holds: {segments} segments, {frames} frames, {bodies} bodies; last frame {last_sequence}, hash {head}"
    ))?;
    Ok(ExitCode::Done)
}

fn verify_message(context: &mut Context<'_>, id: Id) -> Result<ExitCode, Failure> {
    let path = format!("/api/v1/messages/{id}/verify");
    let exported: ExportWire = match asked(context, &path, &serde_json::json!({}))? {
        Some(exported) => exported,
        None => {
            let aside = tempfile::tempdir()?;
            stopped(context, |_, exporter| exporter.export(&id, aside.path()).map_err(|error| failed(&error)))?.into()
        }
    };
    let voice = &mut context.voice;
    if voice.json {
        voice.value(&exported)?;
        return Ok(ExitCode::Done);
    }
    voice.say(&bilingual!("报文 {id} 保存的内容完好", "what is kept of message {id} holds"))?;
    signatures(voice, exported.signed.into(), exported.mdn_signed.into())?;
    Ok(ExitCode::Done)
}

fn verify_bundle(voice: &mut Voice<'_>, dir: &Path) -> Result<ExitCode, Failure> {
    let verified = evidence::verify(dir).map_err(|error| Failure::file(dir, &error))?;
    let exit = if verified.findings.is_empty() { ExitCode::Done } else { ExitCode::No };
    let shown = dir.display();
    if voice.json {
        voice.value(&serde_json::json!({
            "holds": verified.findings.is_empty(), "files": verified.files, "signed": verified.signed,
            "mdn_signed": verified.mdn_signed, "findings": verified.findings,
        }))?;
        return Ok(exit);
    }
    for finding in &verified.findings {
        let (file, zh, en) = (&finding.file, &finding.text.zh, &finding.text.en);
        voice.say(&bilingual!("{file}：{zh}", "{file}: {en}"))?;
    }
    let (files, count) = (verified.files, verified.findings.len());
    match exit {
        ExitCode::Done => voice.say(&bilingual!("{shown} 完好：{files} 个文件", "{shown} holds: {files} files"))?,
        _ => voice.say(&bilingual!("{shown} 不成立：{count} 处", "{shown} does not hold: {count} findings"))?,
    }
    let broken = |signature: &str| verified.findings.iter().any(|finding| finding.file == signature);
    let of = |signed, signature| if broken(signature) { Signature::Broken } else { Signature::from(signed) };
    signatures(voice, of(verified.signed, "signature.p7s"), of(verified.mdn_signed, "mdn-signature.p7s"))?;
    if verified.mdn_signed {
        confirmation(voice, verified.mdn_confirms)?;
    }
    Ok(exit)
}

/// What the signed MDN of a bundle says about its content.
fn confirmation(voice: &mut Voice<'_>, confirms: Option<bool>) -> Result<(), Failure> {
    Ok(voice.say(&match confirms {
        Some(true) => bilingual!("回执确认了该内容（MIC 相符）", "the MDN confirms the content (its MIC)"),
        Some(false) => bilingual!(
            "回执中的 MIC 不是该内容的摘要：回执未确认该内容",
            "the MIC of the MDN is not the digest of the content: it does not confirm it"
        ),
        None => bilingual!("回执没有 MIC：未确认任何内容", "the MDN carries no MIC: it confirms no content"),
    })?)
}

/// What became of a signature.
enum Signature {
    Holds,
    Absent,
    Broken,
}

impl From<bool> for Signature {
    fn from(holds: bool) -> Signature {
        if holds { Signature::Holds } else { Signature::Absent }
    }
}

fn signatures(voice: &mut Voice<'_>, message: Signature, mdn: Signature) -> Result<(), Failure> {
    let said = |signature| match signature {
        Signature::Holds => bilingual!("有签名，成立", "signed, holds"),
        Signature::Absent => bilingual!("无签名", "not signed"),
        Signature::Broken => bilingual!("签名不成立", "the signature does not hold"),
    };
    let (message, mdn) = (said(message), said(mdn));
    let (message_zh, message_en, mdn_zh, mdn_en) = (message.zh, message.en, mdn.zh, mdn.en);
    Ok(voice.say(&bilingual!("报文：{message_zh}；回执：{mdn_zh}", "message: {message_en}; MDN: {mdn_en}"))?)
}

/// What the running gateway says; `None` when none runs.
fn asked<T: DeserializeOwned>(
    context: &Context<'_>,
    path: &str,
    request: &impl Serialize,
) -> Result<Option<T>, Failure> {
    let api = match ApiClient::from_config(context) {
        Ok(api) => api,
        // No token yet: no gateway was ever started on this home.
        Err(failure) if failure.exit_code() == ExitCode::Unreachable => return Ok(None),
        Err(failure) => return Err(failure),
    };
    match block_on(api.post(path, request)) {
        Err(failure) if failure.code() == UNREACHABLE => Ok(None),
        answered => answered.map(Some),
    }
}

/// Work on the home of a gateway that does not run.
fn stopped<T>(
    context: &Context<'_>,
    work: impl FnOnce(&crate::store::Store, &evidence::Exporter) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let config = Arc::new(context.config()?);
    let (store, exporter) = open_stopped(&config).map_err(|error| damaged(&error))?;
    work(&store, &exporter)
}

fn damaged(error: &StoreError) -> Failure {
    let exit = if error.is_damage() { ExitCode::No } else { ExitCode::Unreachable };
    Failure::new(exit, error.code(), error.text())
}

fn failed(error: &EvidenceError) -> Failure {
    let exit = match error {
        error if error.is_verdict() => ExitCode::No,
        EvidenceError::Unknown(_) | EvidenceError::Occupied(_) | EvidenceError::Place(_) => ExitCode::Usage,
        _ => ExitCode::Unreachable,
    };
    Failure::new(exit, error.code(), error.text())
}

/// The gateway may have another working directory.
pub(super) fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure::file(path, &error))
}
