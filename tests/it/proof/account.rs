//! Who offered what, who took what, and what the MDNs say: written down by those outside the gateway, one folder for
//! each direction, and judged by a program that shares no code with it (`tests/checker/check.py`, where the format is).

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use serde_json::{Value, json};

use crate::support::keys::Party;

/// One direction's account.
pub struct Account {
    folder: PathBuf,
    sender: Mutex<File>,
    inbox: Mutex<File>,
    originals: Mutex<File>,
}

/// Where a taker takes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shelf {
    /// The receiver's `inbox/`.
    Inbox,
    /// The sender's `sent/`.
    Originals,
}

impl Account {
    /// Begins an account in a new folder; `signer` is who signs the MDNs.
    pub fn begin(folder: PathBuf, signer: &Party) -> Account {
        fs::create_dir_all(folder.join("mdns")).unwrap();
        fs::copy(&signer.certificate_file, folder.join("signer.pem")).unwrap();
        let list = |name| Mutex::new(File::create_new(folder.join(name)).unwrap());
        Account {
            sender: list("sender.jsonl"),
            inbox: list("receiver.jsonl"),
            originals: list("originals.jsonl"),
            folder,
        }
    }

    /// The sender is about to let go of a file.
    pub fn offered(&self, name: &str, content: &[u8]) {
        let (digest, bytes) = (digest(content), content.len());
        note(&self.sender, &json!({"event": "offered", "name": name, "sha256": digest, "bytes": bytes}));
    }

    /// From here the gateway answers for it.
    pub fn acknowledged(&self, name: &str, how: &str) {
        note(&self.sender, &json!({"event": "acknowledged", "name": name, "how": how}));
    }

    /// A file was seen, whole; it is removed next.
    pub fn taken(&self, shelf: Shelf, name: &str, content: &[u8]) {
        note(self.shelf(shelf), &json!({"event": "taken", "name": name, "sha256": digest(content)}));
    }

    /// It was removed, and that cannot be undone by a power cut.
    pub fn removed(&self, shelf: Shelf, name: &str) {
        note(self.shelf(shelf), &json!({"event": "removed", "name": name}));
    }

    /// An MDN that the sender got.
    pub fn mdn(&self, name: &str, bytes: &[u8]) {
        fs::write(self.folder.join("mdns").join(name), bytes).unwrap();
    }

    fn shelf(&self, shelf: Shelf) -> &Mutex<File> {
        match shelf {
            Shelf::Inbox => &self.inbox,
            Shelf::Originals => &self.originals,
        }
    }
}

/// What the checker found in some accounts.
#[derive(Debug)]
pub struct Judgement {
    /// No problem in any of them.
    pub clean: bool,
    /// One report each.
    pub reports: Vec<Value>,
}

impl Judgement {
    /// How many problems of a kind there are.
    pub fn count(&self, kind: &str) -> u64 {
        self.reports.iter().filter_map(|report| report["problems"][kind].as_u64()).sum()
    }

    /// A figure, summed over the accounts.
    pub fn sum(&self, figure: &str) -> u64 {
        self.reports.iter().filter_map(|report| report[figure].as_u64()).sum()
    }

    /// The reports, a line each.
    pub fn text(&self) -> String {
        self.reports.iter().map(|report| format!("{report}\n")).collect()
    }
}

/// Lets the checker judge.
pub fn judge<'a>(accounts: impl IntoIterator<Item = &'a Account>, options: &[&str]) -> Judgement {
    let folders = accounts.into_iter().map(|account| &account.folder);
    let output = python("check.py").args(options).args(folders).output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(matches!(output.status.code(), Some(0 | 1)), "the checker cannot read the accounts: {lines}{complaints}");
    let reports = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    Judgement { clean: output.status.success(), reports }
}

/// A program of `tests/checker`.
pub fn python(script: &str) -> Command {
    let mut command = Command::new("python3");
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/checker").join(script));
    command
}

/// SHA-256 as the lists have it.
fn digest(content: &[u8]) -> String {
    openssl::sha::sha256(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// One line in one write, so that a list is readable whenever its writer ends.
fn note(list: &Mutex<File>, event: &Value) {
    list.lock().unwrap().write_all(format!("{event}\n").as_bytes()).unwrap();
}
