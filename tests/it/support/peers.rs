//! The peers of `tests/peers`: pyas2lib, a mail server, a receiver of webhooks.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use serde_json::Value;

use super::keys::{self, Party};

/// A running pyas2lib receiver; it ends when dropped.
pub struct Receiver {
    pub url: String,
    folder: tempfile::TempDir,
    child: Child,
    stdin: Option<ChildStdin>,
}

impl Receiver {
    /// Listens under these AS2 names, with the keys of [`keys::theirs`], for messages from `ours`.
    pub fn start(names: &[&str], options: &[&str]) -> Receiver {
        let folder = tempfile::tempdir().unwrap();
        let mut command = python("pyas2_receiver.py");
        for name in names {
            command.args(["--as2-name", name]);
        }
        command
            .args(["--partner", "ours", "--key"])
            .arg(&keys::theirs().bundle_file)
            .arg("--partner-cert")
            .arg(&keys::ours().certificate_file)
            .arg("--out")
            .arg(folder.path())
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(folder.path().join("log")).unwrap());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.strip_prefix("READY ").unwrap_or_else(|| panic!("the receiver did not start: {line:?}")).trim();
        Receiver { url: format!("http://127.0.0.1:{port}/as2"), stdin: child.stdin.take(), folder, child }
    }

    /// What arrived so far, in order.
    pub fn received(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.path().join("received.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The payload of one of [`Receiver::received`].
    pub fn payload(&self, received: &Value) -> Vec<u8> {
        let name = received["payload"].as_str().unwrap_or_else(|| panic!("not accepted: {received:#}"));
        fs::read(self.folder.path().join(name)).unwrap()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One message sent by pyas2lib as `theirs` to `ours`.
pub struct Sender<'a> {
    pub url: &'a str,
    /// AS2-From.
    pub as2_name: &'a str,
    /// Whose keys sign.
    pub party: &'static Party,
    /// Whose certificate encrypts, and must have signed the MDN.
    pub partner: &'static Party,
}

impl<'a> Sender<'a> {
    pub fn to(url: &'a str) -> Sender<'a> {
        Sender { url, as2_name: "theirs", party: keys::theirs(), partner: keys::ours() }
    }

    /// Sends a file and returns what pyas2lib made of the answer.
    pub fn send(&self, file: &Path, options: &[&str]) -> Value {
        let output = python("pyas2_sender.py")
            .args(["--url", self.url, "--as2-name", self.as2_name, "--partner", "ours", "--key"])
            .arg(&self.party.bundle_file)
            .arg("--partner-cert")
            .arg(&self.partner.certificate_file)
            .arg("--file")
            .arg(file)
            .args(options)
            .output()
            .unwrap();
        let line = String::from_utf8_lossy(&output.stdout);
        serde_json::from_str(&line)
            .unwrap_or_else(|_| panic!("the sender said {line:?} and {}", String::from_utf8_lossy(&output.stderr)))
    }
}

/// A peer that listens on a port of its own and keeps what it gets; it ends when dropped.
pub struct Listener {
    pub port: u16,
    folder: tempfile::TempDir,
    child: Child,
    stdin: Option<ChildStdin>,
}

impl Listener {
    /// Starts one of the scripts and waits until it listens.
    pub fn start(script: &str, options: &[&str]) -> Listener {
        let folder = tempfile::tempdir().unwrap();
        let mut command = python(script);
        command.arg("--out").arg(folder.path()).args(options);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command.stderr(fs::File::create(folder.path().join("log")).unwrap());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let log = || fs::read_to_string(folder.path().join("log")).unwrap_or_default();
        let port = line.strip_prefix("READY ").unwrap_or_else(|| panic!("{script} did not start: {line:?} {}", log()));
        Listener { port: port.trim().parse().unwrap(), stdin: child.stdin.take(), folder, child }
    }

    /// What arrived so far, in order.
    pub fn received(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.path().join("received.jsonl")).unwrap_or_default();
        // A line that is being written is not there yet.
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn python(script: &str) -> Command {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let python = root.join(".venv/bin/python");
    assert!(python.exists(), "the pyas2lib peers are not installed; run tests/peers/setup.sh (or tests/run.sh)");
    let mut command = Command::new(python);
    command.arg("-W").arg("ignore").arg(root.join("tests/peers").join(script));
    command
}

/// Whether the peers' Python has these packages.
pub fn python_imports(packages: &str) -> bool {
    let python = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(".venv/bin/python");
    Command::new(python)
        .arg("-c")
        .arg(format!("import {packages}"))
        .output()
        .is_ok_and(|output| output.status.success())
}
