//! Peers: programs of `tests/peers` that are told by lines of JSON what to send and what to show.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use super::cells::Cell;
use crate::support::free_port;
use crate::support::keys::{self, Pair};

/// Somebody to exchange messages with: called `theirs` when it sends, by any of its names when it receives.
pub trait Peer {
    /// Name and version.
    fn name(&self) -> String;
    /// Where it takes messages.
    fn url(&self) -> String;
    /// Where asynchronous MDNs to it go besides [`Peer::url`].
    fn mdn_url(&self) -> String;
    /// It understands nothing but ASCII in what is signed.
    fn ascii_only(&self) -> bool {
        false
    }
    /// Sends a file and says what it made of the receipt, or `{"cannot": why}`.
    fn send(&mut self, cell: &Cell, url: &str, file: &Path, file_name: &str) -> Value;
    /// What arrived: `to`, `payload` (a path, or null), `error`, `signed`, `encrypted`, `compressed`.
    fn received(&mut self) -> Vec<Value>;
    /// Why it does not tell this fact of a message like that, if it does not.
    fn keeps_back(&self, fact: Fact, cell: &Cell) -> Option<&'static str>;
}

/// What a peer tells of a message. A fact that is not told counts as wrong, unless [`Peer::keeps_back`] says why it is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact {
    Signed,
    Encrypted,
    Compressed,
    /// The digest of what it has sent.
    MicSent,
    /// The digest of what it has received, in its receipt.
    MicReceived,
}

/// A peer of `tests/peers`; it ends when dropped.
pub struct Program {
    kind: Kind,
    name: String,
    url: String,
    mdn_port: u16,
    folder: tempfile::TempDir,
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

/// Which program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Pyas2lib,
    DjangoPyas2,
    Libas2,
    OpenSsl,
}

impl Kind {
    /// As in its package registry.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Pyas2lib => "pyas2lib",
            Kind::DjangoPyas2 => "django-pyas2",
            Kind::Libas2 => "libas2",
            Kind::OpenSsl => "openssl",
        }
    }

    /// Whether the tests fail without it: `DXGATE_ALL_PEERS` asks for `all`, `tests/peers/setup.sh` does not do without pyas2lib.
    fn is_required(self, all: bool) -> bool {
        all || self == Kind::Pyas2lib
    }

    /// What runs it, and its script; `None` when it is not installed.
    fn command(self) -> Option<Command> {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let peers = root.join("tests/peers");
        let (program, script) = match self {
            Kind::Pyas2lib => (root.join(".venv/bin/python"), "pyas2_peer.py"),
            Kind::DjangoPyas2 => (root.join(".venv-django/bin/python"), "django_peer.py"),
            Kind::Libas2 if peers.join("node_modules/libas2").exists() => (PathBuf::from("node"), "libas2_peer.js"),
            Kind::Libas2 => return None,
            Kind::OpenSsl => (PathBuf::from("python3"), "openssl_peer.py"),
        };
        if program.is_absolute() && !program.exists() {
            return None;
        }
        let mut command = Command::new(program);
        if script.ends_with(".py") {
            command.args(["-W", "ignore"]);
        }
        command.arg(peers.join(script));
        Some(command)
    }
}

impl Program {
    /// Starts it under these names; `None`, said aloud, when it is not installed and need not be.
    pub fn start(kind: Kind, names: &[String]) -> Option<Program> {
        Program::start_with(kind, names, keys::rsa())
    }

    /// The same with these keys.
    pub fn start_with(kind: Kind, names: &[String], keys: Pair) -> Option<Program> {
        Program::start_as(kind, names, &keys, &["ours"], &[])
    }

    /// The same for several partners, and with options of its own.
    pub fn start_for(kind: Kind, names: &[String], partners: &[&str], options: &[&str]) -> Option<Program> {
        Program::start_as(kind, names, &keys::rsa(), partners, options)
    }

    fn start_as(kind: Kind, names: &[String], keys: &Pair, partners: &[&str], options: &[&str]) -> Option<Program> {
        let Some(mut command) = kind.command() else {
            let all = ["DXGATE_ALL_PEERS", "DXGATE_INTEROP"].iter().any(|name| std::env::var_os(name).is_some());
            assert!(!kind.is_required(all), "{} is not installed; run tests/peers/setup.sh --all", kind.name());
            println!("SKIPPED: {} is not installed (tests/peers/setup.sh says why)", kind.name());
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            command.args(["--as2-name", name]);
        }
        for partner in partners {
            command.args(["--partner", partner]);
        }
        command.args(options).arg("--key").arg(&keys.theirs.bundle_file);
        command.arg("--partner-cert").arg(&keys.ours.certificate_file).arg("--out").arg(folder.path());
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let line = read_line(&mut stdout);
        let log = || fs::read_to_string(folder.path().join("log")).unwrap_or_default();
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["READY", port, version] = words[..] else { panic!("{} said {line:?} and {}", kind.name(), log()) };
        let path = if kind == Kind::DjangoPyas2 { "pyas2/as2receive" } else { "as2" };
        Some(Program {
            kind,
            name: format!("{} {version}", kind.name()),
            url: format!("http://127.0.0.1:{port}/{path}"),
            mdn_port: free_port(),
            stdin: child.stdin.take(),
            stdout,
            child,
            folder,
        })
    }

    /// What it is told to send, before a test adds to it.
    pub fn order(&self, cell: &Cell, url: &str, file: &Path) -> Value {
        cell.order(url, file, &file.file_name().unwrap().to_string_lossy(), self.mdn_port)
    }

    /// Where its asynchronous MDNs come in.
    pub fn takes_mdns_at(&self) -> String {
        if self.kind == Kind::Pyas2lib { self.mdn_url() } else { self.url() }
    }

    /// Says something to it and returns its answer.
    pub fn ask(&mut self, order: &Value) -> Value {
        writeln!(self.stdin.as_mut().unwrap(), "{order}").unwrap();
        let line = read_line(&mut self.stdout);
        serde_json::from_str(&line).unwrap_or_else(|_| {
            let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            panic!("{} said {line:?} to {order} and {log}", self.name)
        })
    }
}

impl Peer for Program {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn url(&self) -> String {
        self.url.clone()
    }

    fn mdn_url(&self) -> String {
        format!("http://127.0.0.1:{}/mdn", self.mdn_port)
    }

    fn ascii_only(&self) -> bool {
        // It makes text of the octets and octets of the text again before it verifies them.
        self.kind == Kind::Libas2
    }

    fn keeps_back(&self, fact: Fact, cell: &Cell) -> Option<&'static str> {
        let digest = matches!(fact, Fact::MicSent | Fact::MicReceived);
        // OpenSSL's is computed by its script, whatever the message is.
        (digest && !cell.signed() && self.kind != Kind::OpenSsl).then_some("it has digests of signed messages only")
    }

    fn send(&mut self, cell: &Cell, url: &str, file: &Path, file_name: &str) -> Value {
        self.ask(&cell.order(url, file, file_name, self.mdn_port))
    }

    fn received(&mut self) -> Vec<Value> {
        let mut answer = self.ask(&json!({ "collect": true }));
        answer["received"].as_array_mut().map(std::mem::take).unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It ends, with its own children, when its input does.
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}

fn read_line(from: &mut impl BufRead) -> String {
    let mut line = String::new();
    from.read_line(&mut line).unwrap();
    line
}

#[test]
fn no_peer_may_be_missing_where_all_are_asked_for() {
    let kinds = [Kind::Pyas2lib, Kind::DjangoPyas2, Kind::Libas2, Kind::OpenSsl];
    assert!(kinds.iter().all(|kind| kind.is_required(true)));
    assert_eq!(kinds.map(|kind| kind.is_required(false)), [true, false, false, false]);
}
