//! `dxgate serve` as a child process.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::home::Home;
use super::{DEADLINE, eventually, eventually_within, http};

/// A running gateway; killed when dropped.
pub struct Gateway<'h> {
    pub home: &'h Home,
    child: Child,
}

impl<'h> Gateway<'h> {
    /// Starts and waits until it is ready.
    pub fn start(home: &'h Home) -> Gateway<'h> {
        let mut gateway = Gateway::spawn(home);
        gateway.wait_ready();
        gateway
    }

    /// Starts the customs side with a scenario and waits until it is ready.
    pub fn testbed(home: &'h Home, scenario: &Path) -> Gateway<'h> {
        let mut command = dxgate();
        command.args(["testbed", "--scenario"]).arg(scenario).arg("--config").arg(home.config());
        let mut testbed = Gateway::spawn_command(home, command);
        testbed.wait_ready();
        testbed
    }

    /// Starts without waiting.
    pub fn spawn(home: &'h Home) -> Gateway<'h> {
        Gateway::spawn_by(home, dxgate())
    }

    /// Starts without waiting, by a command that ends in the program.
    pub fn spawn_by(home: &'h Home, mut command: Command) -> Gateway<'h> {
        command.args(["serve", "--config"]).arg(home.config());
        Gateway::spawn_command(home, command)
    }

    fn spawn_command(home: &'h Home, mut command: Command) -> Gateway<'h> {
        let log = File::options().create(true).append(true).open(home.log()).unwrap();
        let child = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        Gateway { home, child }
    }

    pub fn wait_ready(&mut self) {
        self.wait_ready_within(DEADLINE);
    }

    /// With very many messages a start takes its time.
    pub fn wait_ready_within(&mut self, limit: Duration) {
        let log = self.home.log();
        let ready = eventually_within(limit, || {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the gateway ended with {status} instead of becoming ready:\n{}", tail(log));
            }
            let answer = http::get(self.home.console, "/readyz", None).ok()?;
            (answer.status == 200).then_some(())
        });
        assert!(ready.is_some(), "not within {limit:?}: the gateway is ready:\n{}", tail(log));
    }

    #[allow(dead_code, reason = "for the benches")]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// kill -9.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        let status = self.child.wait().unwrap();
        assert_eq!(status.signal(), Some(9), "it did not end by itself before:\n{}", self.log());
    }

    /// kill -9, unless it has ended by itself; how it ended.
    pub fn end(mut self) -> ExitStatus {
        // It may have been faster.
        let _ = self.child.kill();
        self.child.wait().unwrap()
    }

    /// Stops it where it is: it does nothing more until it is killed.
    pub fn freeze(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        // It may have ended by itself.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::STOP);
        // A signal is sent at once and heard a moment later, by each thread for itself.
        eventually("every thread has stopped", || stands_still(self.child.id()).then_some(()));
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// The name and state of each of its threads, for messages of failed tests.
    pub fn threads(&self) -> String {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).into_iter().flatten().flatten();
        let text = |task: &fs::DirEntry, file: &str| fs::read_to_string(task.path().join(file)).unwrap_or_default();
        let state = |stat: &str| stat.rsplit_once(") ").map(|(_, rest)| rest.chars().take(1).collect::<String>());
        let told = tasks.map(|task| {
            let (stat, waits) = (text(&task, "stat"), text(&task, "wchan"));
            format!("{} {} {waits}", text(&task, "comm").trim(), state(&stat).unwrap_or_default())
        });
        told.collect::<Vec<String>>().join(", ")
    }

    /// Asks it to stop and waits.
    pub fn stop(mut self) -> ExitStatus {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        eventually("the gateway stops", || self.child.try_wait().unwrap())
    }

    /// An answer of the console API.
    pub fn api(&self, path: &str) -> Value {
        let answer = http::get(self.home.console, path, self.home.token().as_deref()).unwrap();
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        serde_json::from_slice(&answer.body).unwrap()
    }

    pub fn is_ready(&self) -> bool {
        http::get(self.home.console, "/readyz", None).is_ok_and(|answer| answer.status == 200)
    }

    /// The end of its log, for messages of failed tests.
    pub fn log(&self) -> String {
        tail(self.home.log())
    }

    /// Waits until a file is in one of the partner's folders and returns its content.
    pub fn wait_for(&self, partner: &str, folder: &str, name: &str) -> Vec<u8> {
        let path = self.home.exchange(partner, folder).join(name);
        let found = std::panic::catch_unwind(|| {
            eventually(&format!("{partner}/{folder}/{name} appears"), || fs::read(&path).ok())
        });
        found.unwrap_or_else(|_| panic!("{partner}/{folder}/{name} never appeared; the gateway says:\n{}", self.log()))
    }
}

impl Drop for Gateway<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program, with nothing of the developer's environment that could change what it says.
pub fn dxgate() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dxgate"));
    command.env_remove("LC_ALL").env("LANG", "en_US.UTF-8").env_remove("RUST_LOG");
    command
}

/// Runs a command of the program to its end.
pub fn run(arguments: &[&str]) -> Output {
    dxgate().args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn tail(log: &std::path::Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

/// No thread of the process runs or is about to.
fn stands_still(pid: u32) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return true };
    let stats = threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("stat")).ok());
    let state = |stat: String| stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    stats.filter_map(state).all(|state| matches!(state, 'T' | 't' | 'Z' | 'X'))
}
