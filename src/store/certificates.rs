//! Certificates by fingerprint, kept for evidence: a file each, written once, durable before any fact names it, never
//! removed. The name is the SHA-256 of the content, so every copy can be checked by itself.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::Store;
use super::error::StoreError;
use crate::ground::durable;

/// Largest certificate that is read back, in bytes; real ones have a few thousand.
const MAX: u64 = 64 * 1024;

/// The folder of the certificates.
#[derive(Debug)]
pub(super) struct Certificates {
    dir: PathBuf,
    known: Mutex<HashSet<String>>,
    /// Every name that the folder has is durable. Held by whoever gives one.
    synced: Mutex<bool>,
}

impl Certificates {
    pub(super) fn new(dir: &Path) -> Certificates {
        Certificates { dir: dir.to_path_buf(), known: Mutex::default(), synced: Mutex::default() }
    }

    fn path(&self, fingerprint: &str) -> PathBuf {
        self.dir.join(format!("{fingerprint}.der"))
    }

    fn keep(&self, der: &[u8]) -> io::Result<String> {
        let fingerprint = HEXLOWER.encode(&Sha256::digest(der));
        if self.is_known(&fingerprint) {
            return Ok(fingerprint);
        }
        let mut synced = self.synced.lock().unwrap_or_else(PoisonError::into_inner);
        // Earlier bytes under this name that are not these were damaged: these replace them.
        if self.read(&fingerprint).is_none() {
            durable::create_dir_all(&self.dir)?;
            *synced = false;
            durable::replace(&self.path(&fingerprint), der)?;
        } else if !*synced {
            // Whoever gave it its name, perhaps an earlier process, may have come no further.
            durable::fsync_dir(&self.dir)?;
        }
        *synced = true;
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(fingerprint.clone());
        Ok(fingerprint)
    }

    fn is_known(&self, fingerprint: &str) -> bool {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).contains(fingerprint)
    }

    /// The first file that does not hold the certificate of its name, if there is one; how many hold.
    fn check(&self) -> io::Result<Result<u64, PathBuf>> {
        let mut whole = 0u64;
        let entries = match fs::read_dir(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Ok(0)),
            entries => entries?,
        };
        for entry in entries {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with(durable::TEMPORARY_PREFIX) {
                continue;
            }
            if name.strip_suffix(".der").and_then(|fingerprint| self.read(fingerprint)).is_none() {
                return Ok(Err(path));
            }
            whole = whole.saturating_add(1);
        }
        Ok(Ok(whole))
    }

    fn read(&self, fingerprint: &str) -> Option<Vec<u8>> {
        self.look(fingerprint).ok().flatten()
    }

    /// An error: whether it is there is not known.
    fn look(&self, fingerprint: &str) -> io::Result<Option<Vec<u8>>> {
        if fingerprint.len() != 64 || !fingerprint.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(None);
        }
        let path = self.path(fingerprint);
        let read = fs::metadata(&path)
            .and_then(|metadata| if metadata.len() <= MAX { fs::read(&path).map(Some) } else { Ok(None) });
        match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => Ok(read?.filter(|der| HEXLOWER.encode(&Sha256::digest(der)) == fingerprint)),
        }
    }
}

impl Store {
    /// Keeps a certificate (DER) for ever; durable when this returns its fingerprint. Blocking I/O the first time only.
    ///
    /// # Errors
    /// Any failure of the disk. A failed sync is final: the store is poisoned, and a poisoned one keeps no more.
    pub fn keep_certificate(&self, der: &[u8]) -> io::Result<String> {
        match self.poisoned() {
            Some(cause) => Err(io::Error::other(cause)),
            None => self.0.certificates.keep(der).map_err(|error| self.judge_sync(error)),
        }
    }

    /// Checks every kept certificate against its name; how many there are.
    pub(super) fn verify_certificates(&self) -> Result<u64, StoreError> {
        let dir = &self.0.layout.certificates;
        let checked = self.0.certificates.check();
        let checked = checked.map_err(|source| StoreError::Unreadable { path: dir.clone(), source })?;
        let what = "it does not hold the certificate whose fingerprint is its name".to_owned();
        checked.map_err(|path| StoreError::Damaged { path, offset: 0, what })
    }

    /// A kept certificate (DER), checked against its fingerprint (lower-case hex of its SHA-256). `None`: it was never
    /// kept, or its file does not hold it any more.
    pub fn certificate(&self, fingerprint: &str) -> Option<Vec<u8>> {
        self.0.certificates.read(fingerprint)
    }

    /// The same for whoever must not take one that cannot be read for one that is not there.
    ///
    /// # Errors
    /// The disk does not say.
    pub fn look_for_certificate(&self, fingerprint: &str) -> io::Result<Option<Vec<u8>>> {
        self.0.certificates.look(fingerprint)
    }
}
