//! `dxgate backup` through the running gateway, `dxgate restore` on an empty place.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Context;
use super::api_client::{ApiClient, block_on};
use super::arguments::{BackupArguments, RestoreArguments};
use super::evidence::absolute;
use super::exit_code::ExitCode;
use super::failure::Failure;
use super::output;
use crate::bilingual;
use crate::console::wire::{BackupRequest, BackupWire};
use crate::ground::clock::SystemClock;
use crate::ground::durable;
use crate::keys::save;
use crate::partner::EnvironmentName;
use crate::store::StoreConfig;
use crate::store::backup::{BackupError, CopyProgress, ENVIRONMENT};
use crate::store::restore::{self, Restored};

/// How often a running backup is asked how far it is.
const LOOK: Duration = Duration::from_millis(250);

/// `backup`.
pub fn run(context: &mut Context<'_>, arguments: &BackupArguments) -> Result<ExitCode, Failure> {
    let api = ApiClient::from_config(context)?;
    let dir = absolute(&arguments.dir)?;
    let request = BackupRequest { dir: dir.display().to_string(), keys: arguments.with_keys };
    let bar = bar(context);
    let done = block_on(async {
        let mut status: BackupWire = api.post("/api/v1/backup", &request).await?;
        while status.running {
            show(&bar, CopyProgress { bytes: status.done_bytes, of_bytes: status.of_bytes });
            tokio::time::sleep(LOOK).await;
            status = api.get("/api/v1/backup").await?;
        }
        Ok(status)
    })?;
    bar.finish_and_clear();
    if let Some(failed) = done.failed {
        return Err(Failure::new(exit_of(&failed.code), &failed.code, failed.text));
    }
    let voice = &mut context.voice;
    if voice.json {
        voice.value(&done)?;
        return Ok(ExitCode::Done);
    }
    let (shown, files, size) = (dir.display(), done.files, output::size(done.bytes));
    let sequence = done.sequence.unwrap_or(0);
    voice.say(&bilingual!(
        "已备份到 {shown}：{files} 个文件，{size}，截至日志序号 {sequence}",
        "backed up into {shown}: {files} files, {size}, as of journal sequence {sequence}"
    ))?;
    for path in &done.left_out {
        voice.say(&bilingual!("未包含：{path}", "not in it: {path}"))?;
    }
    Ok(ExitCode::Done)
}

/// `restore`.
pub fn restore(context: &mut Context<'_>, arguments: &RestoreArguments) -> Result<ExitCode, Failure> {
    let beside_config = context.global.config.parent().map(Path::to_path_buf).unwrap_or_default();
    let home = absolute(arguments.to.as_ref().unwrap_or(&beside_config))?;
    let dir = absolute(&arguments.dir)?;
    let bar = bar(context);
    let restored = rebuild(&dir, &home, &|progress| show(&bar, progress));
    bar.finish_and_clear();
    let (restored, environment) = restored.map_err(|error| Failure::new(exit(&error), error.code(), error.text()))?;
    let voice = &mut context.voice;
    let Restored { manifest, held, waiting } = restored;
    if voice.json {
        voice.value(&serde_json::json!({
            "home": home, "sequence": manifest.sequence, "chain": manifest.chain, "made_at": manifest.made_at,
            "states": manifest.states, "held": held, "waiting": waiting, "left_out": manifest.left_out,
            "environment": environment,
        }))?;
        return Ok(ExitCode::Done);
    }
    let (shown, sequence, made_at) = (home.display(), manifest.sequence, output::local_time(manifest.made_at));
    voice.say(&bilingual!(
        "已恢复到 {shown}：日志序号 {sequence}，备份时间 {made_at}",
        "restored to {shown}: journal sequence {sequence}, backup made at {made_at}"
    ))?;
    if let Some(name) = environment {
        voice.say(&bilingual!(
            "数据属于 {name} 环境，只能用该环境的配置启动",
            "the data is of the environment {name}, and starts with a configuration of that one only"
        ))?;
    }
    voice.say(&bilingual!(
        "挂起 {held} 个待发报文，{waiting} 个报文的文件或处理等待放行：dxgate messages list --restored，核对后 dxgate messages release",
        "{held} outbound messages are on hold, files or answers of {waiting} messages wait: see dxgate messages list --restored, check, then dxgate messages release"
    ))?;
    for path in &manifest.left_out {
        voice.say(&bilingual!("备份中没有，请自行放回：{path}", "not in the backup, put it back yourself: {path}"))?;
    }
    Ok(ExitCode::Done)
}

/// What the configuration names first, then the data folder, then the configuration itself: a restore that breaks off leaves
/// nothing that starts, and the next one puts its own in the place of what is there.
/// The environment that the data folder is of comes back as well, if backup or configuration name one.
fn rebuild(
    dir: &Path,
    home: &Path,
    progress: &dyn Fn(CopyProgress),
) -> Result<(Restored, Option<String>), BackupError> {
    let manifest = restore::check(dir, &|_| {})?;
    let main = manifest.configuration.as_deref().unwrap_or(GATEWAY);
    let text = manifest.home.iter().find(|entry| entry.path == main).map(|entry| dir.join("files").join(&entry.sha256));
    let text =
        text.map(|path| fs::read_to_string(&path).map_err(|source| BackupError::Io { path, source })).transpose()?;
    let settings = text.unwrap_or_default().parse::<toml::Table>().unwrap_or_default();
    let folders = settings.get("folders").and_then(toml::Value::as_table);
    let data = folders.and_then(|folders| folders.get("data")).and_then(toml::Value::as_str).unwrap_or("data");
    let any = folders.and_then(|folders| folders.get("allow_any_filesystem")).and_then(toml::Value::as_bool);
    let data = home.join(data);
    let environment = settings.get("environment").and_then(toml::Value::as_table);
    let environment = environment.and_then(|table| table.get("name")).and_then(toml::Value::as_str);
    // A configuration with a mistake in it must not mark the data for ever.
    let known = [EnvironmentName::Test, EnvironmentName::Production].map(EnvironmentName::name);
    let environment = environment.filter(|name| known.contains(name));
    let taken = [home.join(main), data.clone()].into_iter().find(|path| path.exists() && !restore::broke_off(path));
    if let Some(path) = taken {
        return Err(BackupError::Occupied(path));
    }
    // No configuration, so nobody works here: what an earlier try left under temporary names goes.
    let places = manifest.home.iter().filter_map(|entry| home.join(&entry.path).parent().map(Path::to_path_buf));
    places.for_each(|place| durable::sweep(&place, Duration::ZERO));
    for entry in manifest.home.iter().filter(|entry| entry.path != main) {
        put(dir, home, &entry.path, &entry.sha256)?;
    }
    let clock = Arc::new(SystemClock);
    let mark = data.join(ENVIRONMENT);
    let config =
        StoreConfig { allow_untrusted_filesystem: any.unwrap_or(false), ..StoreConfig::new(data.clone(), clock) };
    let restored = restore::restore(dir, config, environment, progress)?;
    let environment = fs::read_to_string(mark).ok().map(|text| text.trim().to_owned());
    for entry in manifest.home.iter().filter(|entry| entry.path == main) {
        put(dir, home, &entry.path, &entry.sha256)?;
    }
    restore::finish(&data);
    Ok((restored, environment))
}

/// The configuration, where the manifest names no other.
const GATEWAY: &str = "gateway.toml";

/// A file of the home, readable by its owner alone: it may be a key. One that an earlier try left is the same.
fn put(dir: &Path, home: &Path, path: &str, sha256: &str) -> Result<(), BackupError> {
    let (from, to) = (dir.join("files").join(sha256), home.join(path));
    let bytes = fs::read(&from).map_err(|source| BackupError::Io { path: from, source })?;
    durable::create_dir_all(to.parent().unwrap_or(home))?;
    if fs::read(&to).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    match save::private(&to, &bytes) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Err(BackupError::Occupied(to)),
        written => Ok(written?),
    }
}

fn exit(error: &BackupError) -> ExitCode {
    match error {
        error if error.is_verdict() => ExitCode::No,
        BackupError::Occupied(_) | BackupError::Place(_) | BackupError::NotOurs(_) => ExitCode::Usage,
        _ => ExitCode::Unreachable,
    }
}

/// The same for what the gateway says.
fn exit_of(code: &str) -> ExitCode {
    match code {
        "backup-of-another-journal" | "backup-damaged" | "backup-manifest" | "journal-damaged" => ExitCode::No,
        "not-a-backup-folder" | "backup-place" => ExitCode::Usage,
        _ => ExitCode::Unreachable,
    }
}

/// On the error output of a terminal; nothing for programs.
fn bar(context: &Context<'_>) -> ProgressBar {
    let target = if context.voice.json { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {eta}");
    let bar = ProgressBar::with_draw_target(Some(0), target);
    style.map_or(bar.clone(), |style| bar.with_style(style))
}

fn show(bar: &ProgressBar, progress: CopyProgress) {
    bar.set_length(progress.of_bytes);
    bar.set_position(progress.bytes);
}
