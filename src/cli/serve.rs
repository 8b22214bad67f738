//! `dxgate serve` and `dxgate testbed`: in the foreground until SIGINT or SIGTERM.
//!
//! The first signal ends everything in order; a second one ends it at once, which loses nothing that was
//! acknowledged. When the journal fails nothing can be acknowledged any more, so the process ends with 3 and whoever
//! supervises it starts it again.

use std::sync::Arc;

use super::Context;
use super::exit_code::ExitCode;
use super::failure::Failure;
use crate::app::{self, Role, Running, StartError};
use crate::bilingual;
use crate::config::Config;
use crate::ground::clock::SystemClock;

/// Runs the gateway, or the customs side.
pub fn run(context: &mut Context<'_>, role: Role) -> Result<ExitCode, Failure> {
    let config = context.config()?;
    let warnings: Vec<String> = config.warnings.iter().map(|warning| warning.line(context.voice.language)).collect();
    for warning in warnings {
        writeln!(context.err, "{warning}")?;
    }
    app::start_logging(&config.log);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(stay(context, config, role))
}

async fn stay(context: &mut Context<'_>, config: Config, role: Role) -> Result<ExitCode, Failure> {
    let mut signals = Signals::listen()?;
    let running = app::start(config, role, Arc::new(SystemClock)).await.map_err(|error| not_started(&error))?;
    announce(context, &running)?;
    let failure = tokio::select! {
        () = signals.next() => None,
        reason = running.store_failed() => Some(reason),
    };
    let in_order = tokio::select! {
        _late = running.stop() => true,
        () = signals.next() => false,
    };
    match failure {
        Some(reason) => Err(journal_failed(&reason)),
        None if in_order => Ok(ExitCode::Done),
        None => Ok(ExitCode::Unreachable),
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
        context.voice.value(&serde_json::json!({ "as2": as2, "console": console }))?;
    } else {
        let text = bilingual!("已启动：AS2 {as2}，控制台 {console}", "running: AS2 {as2}, console {console}");
        context.voice.say(&text)?;
    }
    context.voice.out.flush()?;
    Ok(())
}

/// What the operator can mend in the configuration is a wrong configuration, the rest is out of reach.
fn not_started(error: &StartError) -> Failure {
    let exit = match error {
        StartError::Filesystem { .. } | StartError::Tls(_) => ExitCode::Usage,
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
