//! Revocation lists (RFC 5280 5): which of the partners' certificates their issuers have taken back.
//!
//! Certificates are pinned, so a list can only take trust away, never give it. It counts when a certificate that lies
//! beside it (the issuing CA's, in the same file or folder) verifies its signature: lists are often fetched over plain
//! HTTP by a job, and must not be believed for where they lie. In a folder only files without a list say who the issuers
//! are, so that what was fetched cannot vouch for itself. One list that cannot be believed or read makes the reading
//! fail as a whole: what it revoked must not count again. A list whose next update is overdue still counts for what it
//! revokes, and is reported.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::KeyFileError;
use crate::cms::{Certificate, ListFile, RevocationList};

/// Bytes of the largest file that is read: large CAs have revoked hundreds of thousands of certificates.
pub const MAX_FILE: u64 = 64 * 1024 * 1024;
/// Files of one folder, at most, and their bytes.
const MAX_FILES: usize = 1000;
const MAX_FOLDER: u64 = 256 * 1024 * 1024;

/// The lists of one file or folder, each verified.
#[derive(Debug, Default)]
pub struct RevocationLists {
    lists: Vec<List>,
}

struct List {
    crl: RevocationList,
    /// When it should have been replaced.
    end: ListEnd,
}

/// Until when a list is fresh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListEnd {
    /// The file it came from.
    pub file: PathBuf,
    /// Its next update; lists without one never get stale.
    pub next_update: Option<Timestamp>,
}

impl ListEnd {
    /// A newer list is overdue at `now`.
    pub fn is_stale(&self, now: Timestamp) -> bool {
        self.next_update.is_some_and(|next| next < now)
    }
}

impl RevocationLists {
    /// Reads a file, or every file of a folder: lists and the certificates of their issuers, PEM or DER.
    ///
    /// # Errors
    /// A file cannot be read, holds something else or is cut off, a list is verified by none of the certificates, or
    /// there is more than can be.
    pub fn read(path: &Path) -> Result<RevocationLists, KeyFileError> {
        let (mut lists, mut issuers, mut room) = (Vec::new(), Vec::new(), MAX_FOLDER);
        let Listed { folder, files } = files(path)?;
        for file in files {
            let bytes = read_file(&file, room.min(MAX_FILE))?;
            room = room.saturating_sub(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
            let Some(found) = ListFile::read(&bytes) else { return Err(KeyFileError::NoList { file }) };
            if !folder || found.lists.is_empty() {
                issuers.extend(found.issuers);
            }
            lists.extend(found.lists.into_iter().map(|crl| (crl, file.clone())));
        }
        let lists: Result<Vec<List>, KeyFileError> = lists
            .into_iter()
            .map(|(crl, file)| {
                if !issuers.iter().any(|issuer| crl.is_issued_by(issuer)) {
                    return Err(KeyFileError::ListUnproven { file });
                }
                let end = ListEnd { next_update: crl.next_update(), file };
                Ok(List { crl, end })
            })
            .collect();
        Ok(RevocationLists { lists: lists? })
    }

    /// Whether the certificate's issuer has revoked it.
    pub fn revoke(&self, certificate: &Certificate) -> bool {
        self.lists.iter().any(|list| list.crl.revokes(certificate))
    }

    /// The lists of the certificate's issuer.
    pub fn concerning(&self, certificate: &Certificate) -> impl Iterator<Item = &ListEnd> {
        self.lists.iter().filter(|list| list.crl.concerns(certificate)).map(|list| &list.end)
    }
}

impl std::fmt::Debug for List {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(&self.end, f)
    }
}

/// What a path names.
struct Listed {
    folder: bool,
    files: Vec<PathBuf>,
}

/// The file itself, or the files of a folder in the order of their names; hidden ones are left out.
fn files(path: &Path) -> Result<Listed, KeyFileError> {
    let unreadable =
        |error: std::io::Error| KeyFileError::Unreadable { file: path.to_owned(), reason: error.kind().to_string() };
    if !std::fs::metadata(path).map_err(unreadable)?.is_dir() {
        return Ok(Listed { folder: false, files: vec![path.to_owned()] });
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        if files.len() >= MAX_FILES {
            return Err(KeyFileError::ListsTooLarge { file: path.to_owned() });
        }
        let file = entry.map_err(unreadable)?.path();
        let hidden = file.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
        if !hidden && file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    Ok(Listed { folder: true, files })
}

fn read_file(file: &Path, most: u64) -> Result<Vec<u8>, KeyFileError> {
    let mut bytes = Vec::new();
    let read = File::open(file).and_then(|opened| opened.take(most.saturating_add(1)).read_to_end(&mut bytes));
    read.map_err(|error| KeyFileError::Unreadable { file: file.to_owned(), reason: error.kind().to_string() })?;
    let too_large = u64::try_from(bytes.len()).map_or(true, |length| length > most);
    if too_large { Err(KeyFileError::ListsTooLarge { file: file.to_owned() }) } else { Ok(bytes) }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests let OpenSSL's command make lists")]
#[path = "crl_tests.rs"]
mod tests;
