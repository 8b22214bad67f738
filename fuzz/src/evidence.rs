//! A bundle of evidence that a stranger hands over, checked without a gateway.
//!
//! Two files of the server's sources stand here themselves: the check needs nothing of the server but three small things, which are
//! made again below.
//!
//! The input: files, each behind a line `#### NAME`; the last line end of each is no part of it. What every bundle has and nobody
//! could write by hand is added where it is missing: the certificate of the sender beside a signature, the sums.
//!
//! What must hold: whatever the files are, the check comes to an end and tells what does not hold in both languages; sums that are
//! right are found right; and where the signature over a content holds, it holds over no other content.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use super::KEYS;
use verify::{Verified, verify};

#[path = "../../src/evidence/belonging.rs"]
mod belonging;
#[allow(dead_code, reason = "not all of its outcome is looked at")]
#[path = "../../src/evidence/verify.rs"]
mod verify;

/// Of the module that writes bundles what the check names.
mod bundle {
    use std::fs;
    use std::io;
    use std::path::Path;

    use data_encoding::HEXLOWER;
    use sha2::{Digest as _, Sha256};

    pub(super) const SUMS: &str = "SHA256SUMS";
    pub(super) const SUM_OF_SUMS: &str = "SHA256SUMS.sha256";

    pub(super) fn sum(path: &Path) -> io::Result<String> {
        fs::read(path).map(|bytes| of(&bytes))
    }

    pub(super) fn of(bytes: &[u8]) -> String {
        HEXLOWER.encode(&Sha256::digest(bytes))
    }
}

type Files = BTreeMap<&'static str, Vec<u8>>;

/// A bundle in one input.
pub(super) fn evidence_bundle(data: &[u8]) {
    let mut files = files(data);
    // A list may name a file as often as it likes; each time it is read.
    if [bundle::SUMS, "chain.txt"].iter().any(|list| files.get(list).is_some_and(|list| list.len() > LONGEST_LIST)) {
        return;
    }
    for (signature, certificate) in SIGNATURES {
        if files.contains_key(signature) && !files.contains_key(certificate) {
            files.insert(certificate, KEYS.sender.to_pem().into_bytes());
        }
    }
    let verified = checked(&files);
    let made_here = !files.contains_key(bundle::SUMS);
    if made_here {
        assert_eq!(verified.files, files.len(), "every file is in the list");
        // Another list may say of this one what it likes.
        let wrong = verified.findings.iter().any(|finding| finding.file == bundle::SUMS);
        assert!(!wrong || files.contains_key("chain.txt"), "{:?}", verified.findings);
    }
    if verified.signed && made_here {
        files.entry("content.bin").or_default().push(b'!');
        assert!(!checked(&files).signed, "that was not signed");
    }
}

/// What the check says of these files.
fn checked(files: &Files) -> Verified {
    let sums = files.get(bundle::SUMS).cloned().unwrap_or_else(|| {
        let lines = files.iter().map(|(name, bytes)| format!("{}  {name}\n", bundle::of(bytes)));
        lines.collect::<String>().into_bytes()
    });
    for name in NAMES {
        match files.get(name) {
            Some(bytes) => write(&FOLDER.join(name), bytes),
            None => drop(fs::remove_file(FOLDER.join(name))),
        }
    }
    write(&FOLDER.join(bundle::SUMS), &sums);
    write(&FOLDER.join(bundle::SUM_OF_SUMS), bundle::of(&sums).as_bytes());
    let verified = verify(&FOLDER).expect("it is a bundle");
    for finding in &verified.findings {
        assert!(!finding.file.is_empty() && !finding.text.zh.is_empty() && !finding.text.en.is_empty());
    }
    verified
}

fn files(data: &[u8]) -> Files {
    let mut files = Files::new();
    let mut name = None;
    for line in data.split_inclusive(|byte| *byte == b'\n') {
        let named = line.strip_prefix(b"#### ").map(<[u8]>::trim_ascii_end);
        if let Some(named) = named.and_then(|named| NAMES.into_iter().find(|name| name.as_bytes() == named)) {
            name = Some(named);
            files.insert(named, Vec::new());
        } else if let Some(name) = name {
            files.entry(name).or_default().extend_from_slice(line);
        }
    }
    for bytes in files.values_mut() {
        let len = bytes.strip_suffix(b"\n").map_or(bytes.len(), <[u8]>::len);
        bytes.truncate(len);
    }
    files
}

/// The files that the check looks into.
const NAMES: [&str; 12] = [
    "SHA256SUMS",
    "certificates/mdn-signer.pem",
    "certificates/signer.pem",
    "chain.txt",
    "content.bin",
    "mdn-content.bin",
    "mdn-signature.p7s",
    "message.json",
    "mic.txt",
    "payload.bin",
    "signature.p7s",
    "wire.bin",
];

const SIGNATURES: [(&str, &str); 2] =
    [("signature.p7s", "certificates/signer.pem"), ("mdn-signature.p7s", "certificates/mdn-signer.pem")];

/// Bytes of a list.
const LONGEST_LIST: usize = 4 * 1024;

/// The folder of this process.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let homes = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/homes");
    let folder = homes.join(format!("bundle-{}", std::process::id()));
    fs::create_dir_all(folder.join("certificates")).expect("a folder");
    folder
});

fn write(file: &Path, bytes: &[u8]) {
    fs::write(file, bytes).expect("a file of the bundle");
}
