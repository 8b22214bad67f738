//! What can go wrong, sorted by whose fault: the data directory's ([`StoreError`]) or the transaction's
//! ([`CommitError`]).

use std::io;
use std::path::PathBuf;

use super::apply::BadTransition;
use super::record::State;
use crate::bilingual;
use crate::ground::durable::{self, DurableError};
use crate::ground::id::Id;
use crate::ground::text::Bilingual;

/// The store cannot be opened or trusted.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file operation failed, or another process holds the directory.
    #[error(transparent)]
    File(#[from] DurableError),
    /// Reading a journal segment failed.
    #[error("cannot read journal segment {}: {source}", path.display())]
    Unreadable {
        /// The segment.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The journal is damaged before its end (acknowledged facts are behind the damage, so it is never shortened), or a
    /// file beside it: a body, a snapshot, a certificate.
    #[error("{} is damaged at offset {offset}: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// First byte of the frame that does not hold.
        offset: u64,
        /// What does not hold.
        what: String,
    },
    /// A newer dxgate wrote this journal.
    #[error("journal segment {} has format {found}, this program reads up to {known}", path.display())]
    TooNew {
        /// The segment.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest known here.
        known: u32,
    },
    /// The data directory is on a filesystem whose syncs promise too little.
    #[error("{} is on a {kind:?} filesystem, which may lose acknowledged messages", path.display())]
    UntrustedFilesystem {
        /// The directory.
        path: PathBuf,
        /// What it is.
        kind: crate::ground::durable::FilesystemKind,
    },
    /// The index could be neither opened nor rebuilt.
    #[error("index {}: {what}", path.display())]
    Index {
        /// Its directory.
        path: PathBuf,
        /// The index's own words.
        what: String,
        /// For want of room.
        full: bool,
    },
}

/// EIO; EBADMSG and EUCLEAN, by which filesystems say that their own checks failed.
const OF_THE_DISK: [i32; 3] = [5, 74, 117];

impl StoreError {
    /// What was written is not there any more: it does not hold, or the disk does not give it back. What else keeps a file
    /// from being read may be over in a moment.
    pub fn is_damage(&self) -> bool {
        match self {
            StoreError::Damaged { .. } => true,
            StoreError::Unreadable { source, .. } => {
                cfg!(target_os = "linux") && source.raw_os_error().is_some_and(|number| OF_THE_DISK.contains(&number))
            }
            _ => false,
        }
    }

    /// There is no room: the same call may succeed once there is.
    pub fn is_disk_full(&self) -> bool {
        match self {
            StoreError::File(error) => error.code() == "disk-full",
            StoreError::Unreadable { source, .. } => durable::is_full(source),
            StoreError::Index { full, .. } => *full,
            _ => false,
        }
    }

    /// Stable code for programs.
    pub fn code(&self) -> &'static str {
        match self {
            StoreError::File(error) => error.code(),
            StoreError::Unreadable { .. } => "journal-unreadable",
            StoreError::Damaged { .. } => "journal-damaged",
            StoreError::TooNew { .. } => "journal-too-new",
            StoreError::UntrustedFilesystem { .. } => "untrusted-filesystem",
            StoreError::Index { .. } => "index-unusable",
        }
    }

    /// What happened and what to do.
    pub fn text(&self) -> Bilingual {
        match self {
            StoreError::File(error) => error.text(),
            StoreError::Unreadable { path, source } => {
                let path = path.display();
                bilingual!(
                    "无法读取日志段 {path}：{source}；请检查磁盘和权限",
                    "cannot read journal segment {path}: {source}; check disk and permissions"
                )
            }
            StoreError::Damaged { path, offset, what } => {
                let path = path.display();
                bilingual!(
                    "存储文件 {path} 在偏移 {offset} 处损坏（{what}）：请从备份恢复该文件，不要删除或截断它",
                    "the store's file {path} is damaged at offset {offset} ({what}): restore this file from a backup, do not delete or shorten it"
                )
            }
            StoreError::TooNew { path, found, known } => {
                let path = path.display();
                bilingual!(
                    "日志段 {path} 的格式为 {found}，本程序只支持到 {known}：请使用更新版本的 dxgate",
                    "journal segment {path} has format {found}, this program knows up to {known}: use a newer dxgate"
                )
            }
            StoreError::UntrustedFilesystem { path, kind } => {
                let path = path.display();
                bilingual!(
                    "{path} 位于 {kind:?} 文件系统上，断电可能丢失已确认的报文：请改用本地磁盘，或明确允许",
                    "{path} is on a {kind:?} filesystem, where a power cut may lose acknowledged messages: use a local disk, or allow it explicitly"
                )
            }
            StoreError::Index { path, what, .. } => {
                let path = path.display();
                bilingual!(
                    "索引 {path} 无法打开或重建（{what}）：请检查磁盘空间和权限；索引可由日志重建",
                    "index {path} can be neither opened nor rebuilt ({what}): check disk space and permissions; it is rebuilt from the journal"
                )
            }
        }
    }
}

/// A transaction was not committed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// It contradicts what is already true. Nothing was written.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// A fact names bytes that the store does not have. Nothing was written.
    #[error("body {0} is not in the store")]
    UnknownBody(Id),
    /// A body is too large for a transaction, or its facts are. Nothing was written.
    #[error("a transaction carries bodies up to {limit} bytes, not {len}")]
    TooLarge {
        /// Bytes given.
        len: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// A write or sync failed, now or earlier. Whether this transaction is durable is known at the next start;
    /// until then nothing more is acknowledged and the process should end.
    #[error("the store stopped acknowledging after a failed write: {0}")]
    StorePoisoned(String),
    /// The disk is full. Nothing was written; the same transaction may be committed once there is room.
    #[error("the disk is full")]
    NoSpace,
    /// The store was closed. Nothing was written.
    #[error("the store is closed")]
    Closed,
}

/// What a transaction contradicts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// Another accepted message has this dedup key.
    #[error("the key is already claimed by message {by}")]
    KeyTaken {
        /// The message that has it.
        by: Id,
    },
    /// The message is not in a required state.
    #[error("message {id} is in state {state:?}")]
    WrongState {
        /// The message.
        id: Id,
        /// Its state; none when it does not exist.
        state: Option<State>,
    },
    /// The message exists already.
    #[error("message {0} exists already")]
    AlreadyPresent(Id),
    /// The body belongs to another message, with which it expires.
    #[error("body {0} belongs to another message")]
    BodyOfAnother(Id),
    /// The fact cannot happen in the message's state.
    #[error("message {id}: {cause}")]
    Transition {
        /// The message.
        id: Id,
        /// Why not.
        cause: BadTransition,
    },
}

impl CommitError {
    /// Stable code for programs.
    pub fn code(&self) -> &'static str {
        match self {
            CommitError::Conflict(Conflict::KeyTaken { .. }) => "key-taken",
            CommitError::Conflict(Conflict::WrongState { .. }) => "wrong-state",
            CommitError::Conflict(Conflict::AlreadyPresent(_)) => "already-present",
            CommitError::Conflict(Conflict::BodyOfAnother(_)) => "body-of-another",
            CommitError::Conflict(Conflict::Transition { .. }) => "bad-transition",
            CommitError::UnknownBody(_) => "unknown-body",
            CommitError::TooLarge { .. } => "transaction-too-large",
            CommitError::StorePoisoned(_) => "store-poisoned",
            CommitError::NoSpace => "disk-full",
            CommitError::Closed => "store-closed",
        }
    }

    /// What happened and what to do.
    pub fn text(&self) -> Bilingual {
        match self {
            CommitError::StorePoisoned(cause) => bilingual!(
                "写入失败（{cause}），网关已停止确认：请检查磁盘后重新启动",
                "a write failed ({cause}), the gateway stopped acknowledging: check the disk, then restart"
            ),
            CommitError::NoSpace => bilingual!(
                "磁盘已满，未作任何记录：请腾出空间，之后自动继续",
                "the disk is full, nothing was recorded: make room, then it goes on by itself"
            ),
            CommitError::Closed => bilingual!("网关正在停止，请稍后重试", "the gateway is stopping, try again later"),
            CommitError::Conflict(conflict) => bilingual!(
                "报文的状态已改变（{conflict}）：请刷新后再决定",
                "the message has changed meanwhile ({conflict}): look again, then decide"
            ),
            other => bilingual!("无法保存：{other}", "cannot be stored: {other}"),
        }
    }
}
