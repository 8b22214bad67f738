//! The first admin: a link that works once and for an hour, written where only the gateway's user can read it.

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use openssl::sha::sha256;

use super::accounts::{AccountsError, write_private};
use crate::ground::random;

/// The file's name, beside the token file.
pub(super) const FILE: &str = "console.setup";
/// How long the link works.
const LASTS: SignedDuration = SignedDuration::from_hours(1);

/// The link, if there is one.
pub(super) struct Setup {
    file: PathBuf,
    /// Digest of the link, and its end.
    link: Option<([u8; 32], Timestamp)>,
    taken: bool,
}

impl Setup {
    /// Makes a new link and writes it into its file.
    pub(super) fn open(file: &Path, url: &str, now: Timestamp) -> Result<Setup, AccountsError> {
        let link = random::hex(32);
        write_private(file, format!("{url}/setup#{link}\n").as_bytes())?;
        let until = now.checked_add(LASTS).unwrap_or(now);
        Ok(Setup { file: file.to_owned(), link: Some((sha256(link.as_bytes()), until)), taken: false })
    }

    /// There are users: a link that was left behind goes.
    pub(super) fn closed(file: &Path) -> Setup {
        let setup = Setup { file: file.to_owned(), link: None, taken: false };
        setup.remove();
        setup
    }

    /// The file, while its link works.
    pub(super) fn file(&self, now: Timestamp) -> Option<&Path> {
        let (_, until) = self.link?;
        (now < until && !self.taken).then_some(&*self.file)
    }

    /// Takes the link if it is this one: nobody else can then.
    pub(super) fn take(&mut self, link: &str, now: Timestamp) -> bool {
        let Some((digest, until)) = self.link else { return false };
        let right = openssl::memcmp::eq(&digest, &sha256(link.as_bytes())) && now < until && !self.taken;
        self.taken |= right;
        right
    }

    /// Nothing came of it.
    pub(super) fn give_back(&mut self) {
        self.taken = false;
    }

    /// It has done its service.
    pub(super) fn done(&mut self) {
        self.link = None;
        self.remove();
    }

    fn remove(&self) {
        match std::fs::remove_file(&self.file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(file = %self.file.display(), %error, "a used link could not be removed; it opens nothing");
            }
            _ => {}
        }
    }
}
