//! What can go wrong with a backup or its restore.

use std::io;
use std::path::PathBuf;

use crate::bilingual;
use crate::ground::durable::DurableError;
use crate::ground::text::Bilingual;
use crate::store::error::StoreError;

/// Why there is no backup, or it cannot be restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] DurableError),
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The store cannot be trusted or opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The journal failed.
    #[error("the journal cannot be written: {0}")]
    Journal(String),
    /// The folder is in use for something else.
    #[error("{} is not empty and holds no backup", .0.display())]
    NotOurs(PathBuf),
    /// The folder holds the backup of another journal, or of one that went another way.
    #[error("{} holds the backup of another journal", .0.display())]
    OtherJournal(PathBuf),
    /// The folder lies in the data or exchange folder, or is not absolute.
    #[error("{} cannot take a backup", .0.display())]
    Place(PathBuf),
    /// There is no manifest, or it cannot be read.
    #[error("{} holds no readable manifest: {what}", path.display())]
    Manifest {
        /// The folder.
        path: PathBuf,
        /// Why not.
        what: String,
    },
    /// A file of the backup is not what it was.
    #[error("{} is damaged: {what}", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What does not hold.
        what: String,
    },
    /// The target is not empty.
    #[error("{} is there already", .0.display())]
    Occupied(PathBuf),
}

impl BackupError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            BackupError::File(error) => error.code(),
            BackupError::Io { .. } => "file-failed",
            BackupError::Store(error) => error.code(),
            BackupError::Journal(_) => "journal-failed",
            BackupError::NotOurs(_) => "not-a-backup-folder",
            BackupError::OtherJournal(_) => "backup-of-another-journal",
            BackupError::Place(_) => "backup-place",
            BackupError::Manifest { .. } => "backup-manifest",
            BackupError::Damaged { .. } => "backup-damaged",
            BackupError::Occupied(_) => "restore-target-occupied",
        }
    }

    /// The answer is no: what is there is damaged or does not fit.
    pub fn is_verdict(&self) -> bool {
        matches!(self, BackupError::OtherJournal(_) | BackupError::Manifest { .. } | BackupError::Damaged { .. })
            || matches!(self, BackupError::Store(StoreError::Damaged { .. }))
    }

    /// What is wrong and what to do.
    pub fn text(&self) -> Bilingual {
        match self {
            BackupError::File(error) => error.text(),
            BackupError::Store(error) => error.text(),
            BackupError::Io { path, source } => {
                let path = path.display();
                bilingual!("{path}：{source}；请检查磁盘和权限", "{path}: {source}; check the disk and permissions")
            }
            BackupError::Journal(error) => {
                bilingual!("日志无法写入：{error}", "the journal cannot be written: {error}")
            }
            BackupError::NotOurs(path) => {
                let path = path.display();
                bilingual!(
                    "{path} 不为空且不是备份：请指定空文件夹或原有备份的文件夹",
                    "{path} is not empty and holds no backup: name an empty folder, or one that holds an earlier backup"
                )
            }
            BackupError::OtherJournal(path) => {
                let path = path.display();
                bilingual!(
                    "{path} 中是另一个日志的备份：请改用另一个文件夹，保留原备份",
                    "{path} holds the backup of another journal: use another folder and keep this one"
                )
            }
            BackupError::Place(path) => {
                let path = path.display();
                bilingual!(
                    "{path} 不能存放备份：请用绝对路径，且不在数据或交换文件夹之内",
                    "{path} cannot take a backup: name an absolute path outside of the data and exchange folders"
                )
            }
            BackupError::Manifest { path, what } => {
                let path = path.display();
                bilingual!(
                    "{path} 中没有可读的备份清单（{what}）：请检查路径",
                    "{path} holds no readable manifest of a backup ({what}): check the path"
                )
            }
            BackupError::Damaged { path, what } => {
                let path = path.display();
                bilingual!(
                    "备份文件 {path} 已损坏（{what}）：请使用另一份备份",
                    "the backup's file {path} is damaged ({what}): use another backup"
                )
            }
            BackupError::Occupied(path) => {
                let path = path.display();
                bilingual!(
                    "{path} 已存在：恢复只写入空的位置，请先移走或用 --to 指定别处",
                    "{path} is there already: a restore writes to an empty place only; move it away or name another with --to"
                )
            }
        }
    }
}
