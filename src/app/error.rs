//! What keeps a gateway from starting.

use std::io;
use std::path::PathBuf;

use crate::bilingual;
use crate::console::{AccessError, TokenError};
use crate::ground::durable::{self, DurableError};
use crate::ground::text::Bilingual;
use crate::http::{BindError, TlsError};
use crate::onboarding::Missing;
use crate::onboarding::file::FileError;
use crate::store::{CommitError, StoreError};

/// Why the gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A port cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A folder or file cannot be used.
    #[error(transparent)]
    Files(#[from] DurableError),
    /// The console's token or users' file cannot be used.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The filesystem may lose acknowledged data.
    #[error("{folder} is on {kind}, which may lose acknowledged data")]
    Filesystem {
        /// Which folder.
        folder: PathBuf,
        /// Which kind of filesystem.
        kind: String,
    },
    /// The data folder belongs to another environment.
    #[error("{folder} belongs to the environment {found}")]
    Environment {
        /// The data folder.
        folder: PathBuf,
        /// Which environment it is of.
        found: String,
    },
    /// The dossier lacks what production waits for.
    #[error("production is not open: {0:?}")]
    NotCleared(Missing),
    /// The dossier cannot be read.
    #[error(transparent)]
    Dossier(#[from] FileError),
    /// The TLS key or certificate of a listener is unusable.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A certificate in use cannot be kept, so evidence could not tell of it later.
    #[error("a certificate cannot be kept for evidence: {0}")]
    Certificate(#[source] io::Error),
    /// The journal failed while starting.
    #[error(transparent)]
    Journal(#[from] CommitError),
    /// Something that should not happen.
    #[error("{0}")]
    Internal(String),
}

impl StartError {
    /// There is no room on the disk: the same start may succeed once there is.
    pub fn is_disk_full(&self) -> bool {
        match self {
            StartError::Files(error) => error.code() == "disk-full",
            StartError::Store(error) => error.is_disk_full(),
            StartError::Access(AccessError::Token(TokenError::Unwritable { source, .. })) => durable::is_full(source),
            // A second sync would succeed, whatever the first one lost.
            StartError::Certificate(source) => durable::is_full(source) && !durable::is_failed_sync(source),
            StartError::Journal(error) => *error == CommitError::NoSpace,
            _ => false,
        }
    }

    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            StartError::Bind(error) => error.code(),
            StartError::Files(error) => error.code(),
            StartError::Access(error) => error.code(),
            StartError::Filesystem { .. } => "filesystem-not-trusted",
            StartError::Environment { .. } => "environment-mismatch",
            StartError::NotCleared(_) => "production-not-cleared",
            StartError::Dossier(error) => error.code(),
            StartError::Tls(error) => error.code(),
            StartError::Store(error) => error.code(),
            StartError::Certificate(_) => "certificate-not-kept",
            StartError::Journal(_) => "journal-failed",
            StartError::Internal(_) => "internal",
        }
    }

    /// What is wrong and what to do.
    pub fn text(&self) -> Bilingual {
        match self {
            StartError::Bind(error) => error.text(),
            StartError::Files(error) => error.text(),
            StartError::Access(error) => error.text(),
            StartError::Environment { folder, found } => {
                let folder = folder.display();
                bilingual!(
                    "{folder} 中的日志属于 {found} 环境，与 [environment] 的 name 不符，未启动。测试与生产必须各用一个目录：请为另一环境执行 dxgate init 新目录。",
                    "the journal in {folder} is of the environment {found}, which is not the name in [environment]: not started. Test and production have a home each: make one for the other environment with dxgate init."
                )
            }
            StartError::Filesystem { folder, kind } => {
                let folder = folder.display();
                bilingual!(
                    "{folder} 位于 {kind} 文件系统，断电时可能丢失已确认的数据。请改用 ext4、xfs 等本地文件系统，或在 [folders] 中设置 allow_any_filesystem = true 自担风险。",
                    "{folder} is on {kind}, which may lose acknowledged data in a power cut. Use a local filesystem such as ext4 or xfs, or set allow_any_filesystem = true in [folders] at your own risk."
                )
            }
            StartError::NotCleared(missing) => missing.text(),
            StartError::Dossier(error) => error.text(),
            StartError::Tls(error) => error.text(),
            StartError::Store(error) => error.text(),
            StartError::Certificate(error) => bilingual!(
                "证书无法存档：{error}。请检查数据目录所在的磁盘和权限。",
                "a certificate cannot be kept for evidence: {error}. Check disk and permissions of the data folder."
            ),
            StartError::Journal(error) => bilingual!("日志无法写入：{error}", "the journal cannot be written: {error}"),
            StartError::Internal(error) => bilingual!("内部错误：{error}", "internal error: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_waits_for_room_whatever_found_none() {
        let (full, quota) = (io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded);
        let file = |kind: io::ErrorKind| DurableError { step: "write", path: PathBuf::from("x"), source: kind.into() };
        for waits in [
            StartError::Journal(CommitError::NoSpace),
            StartError::Certificate(file(full).into()),
            StartError::Certificate(file(quota).into()),
            StartError::Files(file(full)),
        ] {
            assert!(waits.is_disk_full(), "{waits}");
        }
        let broken = io::ErrorKind::PermissionDenied;
        for ends in [
            StartError::Journal(CommitError::Closed),
            StartError::Certificate(file(broken).into()),
            StartError::Certificate(DurableError { step: "sync directory", ..file(full) }.into()),
            StartError::Files(file(broken)),
        ] {
            assert!(!ends.is_disk_full(), "{ends}");
        }
        assert_eq!(StartError::Certificate(full.into()).code(), "certificate-not-kept");
    }
}
