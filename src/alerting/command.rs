//! Alerts to a program of the operator's: fixed arguments, JSON on standard input, no shell, a time limit.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command as Process, ExitStatus, Stdio};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Untold;
use super::notice::Delivery;
use crate::config::CommandSettings;

/// What the program finds in its environment, and nothing else of ours.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Time between two looks whether it has ended.
const LOOK: Duration = Duration::from_millis(20);

/// The program.
#[derive(Clone)]
pub(super) struct Command {
    program: PathBuf,
    arguments: Vec<String>,
    timeout: Duration,
}

impl Command {
    pub(super) fn new(settings: &CommandSettings) -> Command {
        let CommandSettings { program, arguments, timeout, .. } = settings.clone();
        Command { program, arguments, timeout }
    }

    /// Runs it; exit code 0 means that it was told. Dropped before the end, it kills the program.
    pub(super) async fn tell(&self, delivery: &Delivery) -> Result<(), Untold> {
        let mut json = delivery.json();
        json.push(b'\n');
        let (sender, ended) = oneshot::channel();
        let command = self.clone();
        // A thread of its own: the runtime would wait for one of its blocking threads when the gateway stops.
        let thread = std::thread::Builder::new().name("alert-command".to_owned());
        let started = thread.spawn(move || command.run(json, sender));
        started.map_err(|error| Untold(format!("no thread for the program: {error}")))?;
        ended.await.unwrap_or_else(|_| Err(Untold("the program was given up".to_owned())))
    }

    fn run(&self, json: Vec<u8>, sender: oneshot::Sender<Result<(), Untold>>) {
        let told = self.start(json).and_then(|mut child| {
            let ended = wait(&mut child, Instant::now() + self.timeout, &sender);
            if ended.is_none() {
                // It may have ended by itself meanwhile.
                let _ = child.kill();
                let _ = child.wait();
            }
            match ended {
                Some(status) if status.success() => Ok(()),
                Some(status) => Err(Untold(format!("the program ended with {status}"))),
                None => {
                    let seconds = self.timeout.as_secs();
                    Err(Untold(format!("the program took longer than {seconds} s and was killed")))
                }
            }
        });
        // Nobody waits any more when the gateway stops.
        let _ = sender.send(told);
    }

    fn start(&self, json: Vec<u8>) -> Result<Child, Untold> {
        let failed = |error: std::io::Error| Untold(format!("{}: {error}", self.program.display()));
        let mut child = Process::new(&self.program)
            .args(&self.arguments)
            .env_clear()
            .env("PATH", PATH)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        if let Some(mut stdin) = child.stdin.take() {
            // A program that does not read would hold us. It may still have done its work: its exit code decides.
            let writer = std::thread::Builder::new().name("alert-input".to_owned());
            writer.spawn(move || drop(stdin.write_all(&json))).map_err(failed)?;
        }
        Ok(child)
    }
}

/// How it ended; none when it has not by `end`, or when nobody waits for it any more.
fn wait(child: &mut Child, end: Instant, sender: &oneshot::Sender<Result<(), Untold>>) -> Option<ExitStatus> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < end && !sender.is_closed() => std::thread::sleep(LOOK),
            _ => return None,
        }
    }
}
