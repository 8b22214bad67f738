//! What a backup consists of: `manifest.json`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::BackupError;
use crate::store::record::State;

/// Name of the manifest.
pub const MANIFEST: &str = "manifest.json";
/// The newest manifest that this program writes and reads.
pub(super) const FORMAT: u32 = 1;
/// Largest manifest that is read, in bytes: some 200 bytes for each file.
const MANIFEST_MAX: u64 = 1024 * 1024 * 1024;

/// What belongs to a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this format.
    pub format: u32,
    /// The program that wrote it.
    pub program: String,
    /// When.
    pub made_at: Timestamp,
    /// The last frame in it.
    pub sequence: u64,
    /// That frame's hash, which binds every frame before it.
    pub chain: String,
    /// How many messages there are in each state.
    pub states: BTreeMap<State, u64>,
    /// Files of the data folder.
    pub data: Vec<Entry>,
    /// Files of the home: configuration, certificates, and keys when they were asked for.
    pub home: Vec<Entry>,
    /// Private keys are in it, as encrypted as they are.
    pub keys: bool,
    /// What the configuration names and the backup does not have.
    pub left_out: Vec<String>,
    /// The configuration among the files of the home, where it has another name than `gateway.toml`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<String>,
    /// SHA-256 of all of the above as compact JSON, lower-case hex; earlier programs wrote none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Below the data folder or the home, with slashes.
    pub path: String,
    /// Bytes that belong to the backup; the file may be longer.
    pub len: u64,
    /// SHA-256 of them, lower-case hex.
    pub sha256: String,
}

/// A file of the home.
#[derive(Debug, Clone)]
pub struct HomeFile {
    /// Below the home, with slashes.
    pub path: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// What is to be backed up beside the store.
#[derive(Debug, Clone, Default)]
pub struct Beside {
    /// Files of the home.
    pub home: Vec<HomeFile>,
    /// Which of them is the configuration, where it has another name than `gateway.toml`.
    pub configuration: Option<String>,
    /// Private keys are among them.
    pub keys: bool,
    /// What is not among them.
    pub left_out: Vec<String>,
}

/// How far a backup or restore has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyProgress {
    /// Bytes looked at.
    pub bytes: u64,
    /// Of so many.
    pub of_bytes: u64,
}

impl Manifest {
    /// The manifest of the backup in `dir`.
    ///
    /// # Errors
    /// [`BackupError::Manifest`].
    pub fn load(dir: &Path) -> Result<Manifest, BackupError> {
        let unreadable = |what: String| BackupError::Manifest { path: dir.to_path_buf(), what };
        let mut text = Vec::new();
        let file = File::open(dir.join(MANIFEST)).map_err(|error| unreadable(error.to_string()))?;
        file.take(MANIFEST_MAX).read_to_end(&mut text).map_err(|error| unreadable(error.to_string()))?;
        let manifest: Manifest = serde_json::from_slice(&text).map_err(|error| unreadable(error.to_string()))?;
        if manifest.format > FORMAT {
            return Err(unreadable(format!("format {}, this program knows up to {FORMAT}", manifest.format)));
        }
        if manifest.sha256.is_some() && manifest.sha256 != manifest.clone().sealed().sha256 {
            return Err(unreadable("its SHA-256 is another".to_owned()));
        }
        let safe = |entry: &Entry| {
            let plain = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains(['\\', '\0']);
            entry.path.split('/').all(plain)
        };
        match manifest.data.iter().chain(&manifest.home).find(|entry| !safe(entry)) {
            Some(entry) => Err(unreadable(format!("the path {:?}", entry.path))),
            None => Ok(manifest),
        }
    }

    /// With the sum over everything else in it.
    pub(super) fn sealed(mut self) -> Manifest {
        self.sha256 = None;
        let text = serde_json::to_vec(&self).expect("a manifest is plain data with string keys");
        self.sha256 = Some(HEXLOWER.encode(&Sha256::digest(&text)));
        self
    }

    /// Bytes of all its files.
    pub fn bytes(&self) -> u64 {
        self.data.iter().chain(&self.home).map(|entry| entry.len).fold(0, u64::saturating_add)
    }
}
