//! `dxgate serve` and `dxgate testbed`: in the foreground until SIGINT or SIGTERM.
//!
//! The first signal ends everything in order; a second one ends it at once, which loses nothing that was
//! acknowledged. When a write or sync of journal, bodies or exchange folders fails, nothing can be acknowledged any more:
//! the process ends with 3 and whoever supervises it starts it again. When only the index fails, its parts stop in
//! order and start again in this process, which rebuilds the index. They start by what was in force, whatever the files say
//! by then; if that does not succeed, by what was in force when the process started. A start that finds no room says so and
//! waits.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use super::Context;
use super::exit_code::ExitCode;
use super::failure::Failure;
use super::voice::Voice;
use crate::app::{self, Role, Running, StartError};
use crate::bilingual;
use crate::config::{Config, LogFormat};
use crate::ground::clock::{Clock, SystemClock};
use crate::ground::drain;
use crate::store::FailedPart;
use crate::testbed::{Scenario, Setting};

/// Runs the customs side, with a scenario or the usual answers, and with a control listener if wanted.
pub fn testbed(
    context: &mut Context<'_>,
    scenario: Option<&Path>,
    control: Option<SocketAddr>,
) -> Result<ExitCode, Failure> {
    let scenario = scenario.map_or_else(|| Ok(Scenario::default()), Scenario::read);
    let scenario = scenario.map_err(|error| Failure::new(ExitCode::Usage, "scenario-invalid", error.text))?;
    run(context, Role::Testbed(Setting { scenario, control }))
}

/// Time between two looks for room.
const ROOM_EVERY: std::time::Duration = std::time::Duration::from_secs(2);

/// Runs the gateway, or the customs side.
pub fn run(context: &mut Context<'_>, role: Role) -> Result<ExitCode, Failure> {
    let config = context.config()?;
    app::start_logging(&config.log);
    let language = context.voice.language;
    for warning in &config.warnings {
        match config.log.format {
            LogFormat::Human => writeln!(context.err, "{}", warning.line(language))?,
            LogFormat::Json => tracing::warn!(code = warning.code, "{warning}"),
        }
    }
    let runtime = runtime()?;
    let ended = runtime.block_on(stay(context, config, role));
    // A reading that never comes to its end, on a filesystem that hangs, must not keep the process.
    runtime.shutdown_timeout(BLOCKING_ENDS);
    ended
}

/// Threads for blocking work, at most. A long transfer keeps one while its peer reads slowly, and `workers` may be 1024; all
/// else needs some besides.
const BLOCKING: usize = 1024 + 512;

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().max_blocking_threads(BLOCKING).build()
}

/// For blocking work of tasks that were aborted: it may still write. What takes longer, a backup say, ends with the process.
const BLOCKING_ENDS: std::time::Duration = std::time::Duration::from_secs(10);
/// Tasks that write files outside of the journal.
const WRITERS: [&str; 2] = ["publisher", "retention"];

async fn stay(context: &mut Context<'_>, mut config: Config, role: Role) -> Result<ExitCode, Failure> {
    let mut signals = Signals::listen()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let (first, mut otherwise) = (Box::new(config.clone()), None);
    loop {
        let configs = (&mut config, &mut otherwise);
        let Some(running) = start_with_room(context, configs, &clock, &role, &mut signals).await? else {
            return Ok(ExitCode::Done);
        };
        announce(context, &running)?;
        let failure = tokio::select! {
            () = signals.next() => None,
            failure = running.store_failed() => Some(failure),
        };
        let store = running.store();
        let in_force = running.in_force();
        let (in_order, busy) = tokio::select! {
            late = running.stop() => (true, late.iter().any(|task| WRITERS.contains(&task.as_str()))),
            () = signals.next() => (false, true),
        };
        // Files may have failed as well while it stopped; and nobody may write on beside a new start.
        let failure = failure.map(|first| store.failure().unwrap_or(first));
        drop(store);
        match failure {
            Some(failure)
                if failure.part == FailedPart::Index
                    && in_order
                    && !busy
                    && drain::blocking_ended(BLOCKING_ENDS).await =>
            {
                tracing::warn!(cause = %failure.cause, code = "index-failed", "the index failed; it is rebuilt from the journal");
                // Nobody reads files any more, so this waits for nobody.
                config = in_force.configuration();
                otherwise = Some(Box::new(Config { partners: config.partners.clone(), ..Config::clone(&first) }));
            }
            Some(failure) => return Err(journal_failed(&failure.cause)),
            None if in_order => return Ok(ExitCode::Done),
            None => return Ok(ExitCode::Unreachable),
        }
    }
}

/// Starts; on a full disk as soon as there is room, and by the other configuration, if there is one, when no start by the
/// first succeeds for another reason. None: it was told to end before that.
async fn start_with_room(
    context: &mut Context<'_>,
    (config, otherwise): (&mut Config, &mut Option<Box<Config>>),
    clock: &Arc<dyn Clock>,
    role: &Role,
    signals: &mut Signals,
) -> Result<Option<Running>, Failure> {
    let mut said = false;
    loop {
        let error = match app::start(config.clone(), role.clone(), clock.clone()).await {
            Ok(running) => return Ok(Some(running)),
            Err(error) if error.is_disk_full() => error,
            Err(error) => {
                let Some(other) = otherwise.take() else { return Err(not_started(&error)) };
                tracing::error!(%error, code = error.code(), "it does not start with what was in force; once more as the process did");
                *config = *other;
                continue;
            }
        };
        if !said {
            said = true;
            tracing::error!(%error, code = "disk-full", "the disk is full and the reserve is used up; waiting for room");
            let text = bilingual!(
                "磁盘已满，无法启动（{error}）。请在数据盘上腾出空间；网关在等待，有空间后自动启动，没有丢失任何报文。",
                "the disk is full, the gateway cannot start ({error}). Make room on the data filesystem; it waits, then starts by itself, and nothing is lost."
            );
            let (language, json) = (context.voice.language, context.voice.json);
            Voice { out: context.err, language, json, colours: false, environment: None }
                .failure("disk-full", &text)?;
        }
        tokio::select! {
            () = signals.next() => return Ok(None),
            () = tokio::time::sleep(ROOM_EVERY) => {}
        }
    }
}

fn journal_failed(reason: &str) -> Failure {
    let text = bilingual!(
        "日志无法写入，网关已停止确认报文并退出：{reason}；请检查磁盘后重新启动",
        "the journal cannot be written, so the gateway stopped acknowledging and ended: {reason}; check the disk, start again"
    );
    Failure::new(ExitCode::Unreachable, "journal-failed", text)
}

fn announce(context: &mut Context<'_>, running: &Running) -> Result<(), Failure> {
    let (as2, console) = (running.as2, running.console);
    if context.voice.json {
        let mut value = serde_json::json!({ "as2": as2, "console": console });
        if let (Some(control), Some(fields)) = (&running.control, value.as_object_mut()) {
            fields
                .insert("control".to_owned(), serde_json::json!({ "listen": control.listen, "token": control.token }));
        }
        context.voice.value(&value)?;
    } else {
        let text = bilingual!("已启动：AS2 {as2}，控制台 {console}", "running: AS2 {as2}, console {console}");
        context.voice.say(&text)?;
        if let Some(control) = &running.control {
            let (listen, token) = (control.listen, control.token.display());
            context.voice.say(&bilingual!(
                "场景控制 http://{listen}/scenario，令牌在 {token}",
                "scenario control at http://{listen}/scenario, its token in {token}"
            ))?;
        }
        if let Some(file) = &running.setup_file {
            let file = file.display();
            context.voice.say(&bilingual!(
                "控制台尚无用户：一小时内打开 {file} 中的链接（只能使用一次），设置管理员",
                "the console has no user yet: within an hour open the link in {file}, which works once, and make the admin"
            ))?;
        }
    }
    context.voice.out.flush()?;
    Ok(())
}

/// What the operator can mend in the configuration is a wrong configuration, the rest is out of reach.
fn not_started(error: &StartError) -> Failure {
    let exit = match error {
        StartError::Filesystem { .. } | StartError::Environment { .. } | StartError::Tls(_) => ExitCode::Usage,
        StartError::Files(error) if error.code() == "different-filesystems" => ExitCode::Usage,
        _ => ExitCode::Unreachable,
    };
    Failure::new(exit, error.code(), error.text())
}

/// The signals that ask for an end.
#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> std::io::Result<Signals> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// The signals that ask for an end.
#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> std::io::Result<Signals> {
        Ok(Signals)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            // Without a handler nobody can ask; the process is ended from outside.
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, RwLock};
    use std::time::Duration;

    use crate::ground::drain;

    #[test]
    fn the_most_transfers_that_may_be_configured_leave_threads_for_everything_else() {
        let (runtime, gate) = (super::runtime().unwrap(), Arc::new(RwLock::new(())));
        let closed = gate.write().unwrap();
        let other = runtime.block_on(async {
            for _ in 0..1024 {
                let gate = gate.clone();
                drop(drain::blocking(move || drop(gate.read())));
            }
            tokio::time::timeout(Duration::from_secs(20), drain::blocking(|| ())).await
        });
        drop(closed);
        assert!(other.is_ok());
    }
}
