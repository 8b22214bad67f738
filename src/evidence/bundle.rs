//! A bundle in the making: files, each durable, and their sums.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::bilingual;
use crate::ground::durable::{self, DurableError};
use crate::ground::id::Id;
use crate::ground::text::Bilingual;
use crate::store::StoreError;

/// The list of sums.
pub(super) const SUMS: &str = "SHA256SUMS";
/// The sum of that list.
pub(super) const SUM_OF_SUMS: &str = "SHA256SUMS.sha256";

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// There is no such message.
    #[error("no message has the id {0}")]
    Unknown(Id),
    /// The folder is there and not empty.
    #[error("{} is not empty", .0.display())]
    Occupied(PathBuf),
    /// The folder cannot be written to by the gateway.
    #[error("{} cannot take a bundle", .0.display())]
    Place(PathBuf),
    /// A file cannot be written or read.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A folder cannot be made.
    #[error(transparent)]
    File(#[from] DurableError),
    /// The journal does not hold.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is kept of the message is not what it was.
    #[error("the {what} of message {id} does not hold: {cause}")]
    Damaged {
        /// The message.
        id: Id,
        /// Which part.
        what: &'static str,
        /// Why.
        cause: String,
    },
}

impl EvidenceError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            EvidenceError::Unknown(_) => "message-unknown",
            EvidenceError::Occupied(_) => "folder-not-empty",
            EvidenceError::Place(_) => "bundle-place",
            EvidenceError::Io { .. } => "file-failed",
            EvidenceError::File(error) => error.code(),
            EvidenceError::Store(error) => error.code(),
            EvidenceError::Damaged { .. } => "evidence-damaged",
        }
    }

    /// The answer is no: something kept is damaged.
    pub fn is_verdict(&self) -> bool {
        matches!(self, EvidenceError::Damaged { .. } | EvidenceError::Store(StoreError::Damaged { .. }))
    }

    /// What is wrong and what to do.
    pub fn text(&self) -> Bilingual {
        match self {
            EvidenceError::Unknown(id) => bilingual!(
                "没有编号为 {id} 的报文。用 dxgate messages list 查看。",
                "no message has the id {id}. See dxgate messages list."
            ),
            EvidenceError::Occupied(path) => {
                let path = path.display();
                bilingual!("{path} 不为空，请指定新的文件夹", "{path} is not empty: name a new folder")
            }
            EvidenceError::Place(path) => {
                let path = path.display();
                bilingual!(
                    "{path} 不能存放证据：请用绝对路径，且不在数据或交换文件夹之内",
                    "{path} cannot take a bundle: name an absolute path outside of the data and exchange folders"
                )
            }
            EvidenceError::Io { path, source } => {
                let path = path.display();
                bilingual!("{path}：{source}；请检查磁盘和权限", "{path}: {source}; check the disk and permissions")
            }
            EvidenceError::File(error) => error.text(),
            EvidenceError::Store(error) => error.text(),
            EvidenceError::Damaged { id, what, cause } => bilingual!(
                "报文 {id} 保存的 {what} 已损坏（{cause}）：请从备份恢复",
                "the {what} kept of message {id} is damaged ({cause}): restore it from a backup"
            ),
        }
    }
}

/// A folder that is being filled.
pub(super) struct Bundle {
    dir: PathBuf,
    names: Vec<String>,
}

impl Bundle {
    /// Takes an empty folder, or makes it.
    pub(super) fn create(dir: &Path) -> Result<Bundle, EvidenceError> {
        durable::create_dir_all(dir)?;
        let mut entries = fs::read_dir(dir).map_err(at(dir))?;
        if entries.next().is_some() {
            return Err(EvidenceError::Occupied(dir.to_path_buf()));
        }
        for below in ["certificates", "frames"] {
            durable::create_dir_all(&dir.join(below))?;
        }
        Ok(Bundle { dir: dir.to_path_buf(), names: Vec::new() })
    }

    /// A file that is written as a stream.
    pub(super) fn file(&mut self, name: &str) -> Result<File, EvidenceError> {
        let path = self.path(name);
        self.names.push(name.to_owned());
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        // It holds the payload in the clear.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&path).map_err(at(&path))
    }

    /// A whole file.
    pub(super) fn put(&mut self, name: &str, bytes: &[u8]) -> Result<(), EvidenceError> {
        let path = self.path(name);
        self.file(name)?.write_all(bytes).map_err(at(&path))
    }

    /// Whether there is such a file.
    pub(super) fn has(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name)
    }

    /// A file that turned out to be of no use.
    pub(super) fn discard(&mut self, name: &str) -> Result<(), EvidenceError> {
        self.names.retain(|known| known != name);
        let path = self.path(name);
        fs::remove_file(&path).map_err(at(&path))
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Bytes of a file.
    pub(super) fn len(&self, name: &str) -> u64 {
        fs::metadata(self.path(name)).map_or(0, |metadata| metadata.len())
    }

    /// Writes the sums and makes everything durable; returns the names.
    pub(super) fn finish(mut self) -> Result<Vec<String>, EvidenceError> {
        self.names.sort();
        let mut sums = String::new();
        for name in &self.names {
            sums.push_str(&format!("{}  {name}\n", sum(&self.path(name)).map_err(at(&self.path(name)))?));
        }
        self.put(SUMS, sums.as_bytes())?;
        self.put(SUM_OF_SUMS, HEXLOWER.encode(&Sha256::digest(sums.as_bytes())).as_bytes())?;
        durable::sync_filesystem(&self.dir)?;
        Ok(self.names)
    }
}

/// SHA-256 of a file as hex.
pub(super) fn sum(path: &Path) -> io::Result<String> {
    let (mut file, mut hash, mut buffer) = (File::open(path)?, Sha256::new(), vec![0u8; 256 * 1024]);
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(HEXLOWER.encode(&hash.finalize())),
            Ok(n) => hash.update(buffer.get(..n).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> EvidenceError + use<> {
    let path = path.to_path_buf();
    move |source| EvidenceError::Io { path, source }
}
