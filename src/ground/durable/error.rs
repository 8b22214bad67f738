//! What can go wrong with a durable operation.

use std::io;
use std::path::PathBuf;

use crate::bilingual;
use crate::ground::text::Bilingual;

/// A file operation failed: what was tried, on which path, and why.
#[derive(Debug, thiserror::Error)]
#[error("cannot {step} {}: {source}", path.display())]
pub struct DurableError {
    /// What was tried, as a verb: "write", "rename to".
    pub step: &'static str,
    /// On which path.
    pub path: PathBuf,
    /// Why not.
    pub source: io::Error,
}

impl DurableError {
    /// The operating system's class of the failure.
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }

    /// Stable code for programs.
    pub fn code(&self) -> &'static str {
        match self.kind() {
            io::ErrorKind::AlreadyExists => "file-exists",
            io::ErrorKind::NotFound => "file-not-found",
            io::ErrorKind::PermissionDenied => "file-permission-denied",
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "disk-full",
            io::ErrorKind::ReadOnlyFilesystem => "read-only-filesystem",
            io::ErrorKind::CrossesDevices => "different-filesystems",
            io::ErrorKind::WouldBlock => "directory-in-use",
            _ => "file-failed",
        }
    }

    /// What happened and what to do.
    pub fn text(&self) -> Bilingual {
        let (path, why) = (self.path.display(), &self.source);
        match self.code() {
            "disk-full" => bilingual!(
                "磁盘已满，无法写入 {path}：请腾出空间",
                "the disk is full, {path} cannot be written: make room"
            ),
            "file-permission-denied" => bilingual!(
                "没有访问 {path} 的权限：请把目录的属主改为运行 dxgate 的用户",
                "no permission for {path}: make the user that runs dxgate its owner"
            ),
            "directory-in-use" => bilingual!(
                "{path} 正被另一个 dxgate 进程使用：请先停止它，或换一个目录",
                "{path} is in use by another dxgate process: stop it first, or use another directory"
            ),
            "different-filesystems" => bilingual!(
                "{path} 不在同一个文件系统上：伙伴的各个文件夹必须在同一文件系统",
                "{path} is on another filesystem: all folders of a partner must share one"
            ),
            "read-only-filesystem" => {
                bilingual!(
                    "{path} 所在的文件系统是只读的：请检查挂载和磁盘",
                    "{path} is on a read-only filesystem: check mount and disk"
                )
            }
            _ => {
                let step = self.step;
                bilingual!("文件操作（{step}）失败：{path}：{why}", "cannot {step} {path}: {why}")
            }
        }
    }
}

impl DurableError {
    /// A sync failed, so what is durable is unknown and a second sync would lie. A directory that could not even be opened,
    /// for want of a descriptor or whatever else, was not synced in vain: that is a step of its own, and the next time it is.
    pub fn is_failed_sync(&self) -> bool {
        self.step.starts_with("sync")
    }
}

/// Whether `error` is that of a [failed sync](DurableError::is_failed_sync).
pub fn is_failed_sync(error: &io::Error) -> bool {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<DurableError>());
    cause.is_some_and(DurableError::is_failed_sync)
}

/// Whether `error` says that there is no room: the disk is full, or the user's quota.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl From<DurableError> for io::Error {
    fn from(error: DurableError) -> io::Error {
        io::Error::new(error.kind(), error)
    }
}
