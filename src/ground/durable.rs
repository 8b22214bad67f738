//! Files that survive a power cut: the one recipe, in one place.
//!
//! A file counts as written when: its bytes went into a temporary file of the same filesystem → `fdatasync` → rename
//! that refuses to replace → `fsync` of the directory. Without the directory's sync the name may be lost although
//! the bytes are safe; without the first sync the name may appear over an empty file. A directory counts when its
//! parent was synced as well.
//!
//! The first failed sync of a file is final: the kernel may have dropped the dirty pages, a second sync would answer
//! "done". Callers stop acknowledging and start again from what is on disk.
//!
//! Batches: rename with [`rename_unsynced`], then one [`fsync_dir`] per directory; write without a sync,
//! then one [`sync_filesystem`]. Every call of the platform beyond std lives in this file, each with a portable
//! fallback: where directories cannot be synced (Windows) that step is left out.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::random;
use super::text::Bilingual;
use crate::bilingual;

/// Names of temporary files begin with this; whoever owns a directory may remove them at start.
pub const TEMPORARY_PREFIX: &str = ".dxgate-tmp-";

/// The name of the lock file in a locked directory.
const LOCK_FILE: &str = "lock";

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
                "{path} 不在同一个文件系统上：数据目录和交换目录必须在同一文件系统",
                "{path} is on another filesystem: the data and exchange directories must share one"
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

impl From<DurableError> for io::Error {
    fn from(error: DurableError) -> io::Error {
        io::Error::new(error.kind(), error)
    }
}

/// The result of an operation on files.
pub type Result<T> = std::result::Result<T, DurableError>;

/// Adds step and path to an error of std.
trait At<T> {
    fn at(self, step: &'static str, path: &Path) -> Result<T>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, step: &'static str, path: &Path) -> Result<T> {
        self.map_err(|source| DurableError { step, path: path.to_path_buf(), source })
    }
}

/// Writes a file that must not exist yet; when this returns, name and bytes survive a power cut.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] when the name is taken; the existing file is untouched.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = NewFile::create_in(parent(path))?;
    file.write_all(bytes).at("write", path)?;
    file.publish(path)
}

/// Writes a file over whatever has its name: readers see the old or the new content, whole.
///
/// # Errors
/// Any failure of the disk; the old file is then still there.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = NewFile::create_in(parent(path))?;
    file.write_all(bytes).at("write", path)?;
    let temporary = file.synced()?;
    rename(&temporary, path).inspect_err(|_| discard(&temporary))
}

/// A file in the making, under a temporary name: written as a stream, then [published](NewFile::publish). Dropped
/// before that, it is removed.
#[derive(Debug)]
pub struct NewFile {
    file: File,
    temporary: Option<PathBuf>,
}

impl NewFile {
    /// Begins a file in `dir`, readable by the owner alone. `dir` must be on the filesystem of the final name.
    ///
    /// # Errors
    /// The temporary file cannot be created.
    pub fn create_in(dir: &Path) -> Result<NewFile> {
        let temporary = dir.join(format!("{TEMPORARY_PREFIX}{}", random::hex(12)));
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o640);
        let file = options.open(&temporary).at("create", &temporary)?;
        Ok(NewFile { file, temporary: Some(temporary) })
    }

    /// Syncs the bytes and gives the file its name, which must be free, durably.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] when the name is taken; any failure of the disk. The bytes are removed.
    pub fn publish(self, path: &Path) -> Result<()> {
        let temporary = self.synced()?;
        rename_noreplace(&temporary, path).inspect_err(|_| discard(&temporary))
    }

    /// The path of the temporary file, synced; from here the caller owns it.
    fn synced(mut self) -> Result<PathBuf> {
        let temporary = self.temporary.take().expect("the path is taken only by the methods that consume the file");
        self.file.sync_data().at("sync", &temporary).inspect_err(|_| discard(&temporary))?;
        Ok(temporary)
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if let Some(temporary) = self.temporary.take() {
            discard(&temporary);
        }
    }
}

/// Removes a temporary file that nobody will miss; one left behind is swept at the next start.
fn discard(temporary: &Path) {
    let _ = fs::remove_file(temporary);
}

/// Renames, replacing what has the name, and syncs both directories.
///
/// # Errors
/// The rename failed (nothing changed), or a directory could not be synced.
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    #[expect(clippy::disallowed_methods, reason = "this is the replacement that the lint names")]
    fs::rename(from, to).at("rename to", to)?;
    sync_parents(from, to)
}

/// Renames unless the name is taken, and syncs both directories.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] when the name is taken; otherwise like [`rename`].
pub fn rename_noreplace(from: &Path, to: &Path) -> Result<()> {
    rename_unsynced(from, to)?;
    sync_parents(from, to)
}

/// Renames unless the name is taken. It counts once [`fsync_dir`] returned for the directory of `to`, then of `from`.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] when the name is taken; nothing changed.
pub fn rename_unsynced(from: &Path, to: &Path) -> Result<()> {
    platform::rename_noreplace(from, to).at("rename to", to)
}

/// The destination first: a power cut between the two shows the file under both names rather than under none.
fn sync_parents(from: &Path, to: &Path) -> Result<()> {
    fsync_dir(parent(to))?;
    if parent(from) != parent(to) {
        fsync_dir(parent(from))?;
    }
    Ok(())
}

/// Makes the names in `dir` durable.
///
/// # Errors
/// The directory cannot be opened or synced.
pub fn fsync_dir(dir: &Path) -> Result<()> {
    platform::fsync_dir(dir).at("sync directory", dir)
}

/// Opens a file that others put there, for reading: a regular file, not a link, pipe or device.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] when it is something else; it does not exist or cannot be read.
pub fn open_regular(path: &Path) -> Result<File> {
    platform::open_no_follow(path).and_then(regular).at("open", path)
}

fn regular(file: File) -> io::Result<File> {
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"))
}

/// Removes a file durably.
///
/// # Errors
/// It does not exist or cannot be removed, or the directory cannot be synced.
pub fn remove(path: &Path) -> Result<()> {
    fs::remove_file(path).at("remove", path)?;
    fsync_dir(parent(path))
}

/// Makes everything written so far to the filesystem of `dir` durable: one call for many files.
///
/// # Errors
/// The directory cannot be opened, or writing back failed.
pub fn sync_filesystem(dir: &Path) -> Result<()> {
    platform::sync_filesystem(dir).at("sync filesystem of", dir)
}

/// Creates a directory and its missing parents, each made durable in its own parent.
///
/// # Errors
/// A component cannot be created (a file is in the way, no permission) or synced.
pub fn create_dir_all(dir: &Path) -> Result<()> {
    let missing: Vec<&Path> =
        dir.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.is_dir()).collect();
    for path in missing.into_iter().rev() {
        match fs::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
            other => other.at("create directory", path)?,
        }
        fsync_dir(parent(path))?;
    }
    Ok(())
}

/// Proof that no other process works in a directory; given back when dropped or when the process dies.
#[derive(Debug)]
pub struct DirLock {
    _file: File,
}

impl DirLock {
    /// Takes the lock of `dir` without waiting.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] (code `directory-in-use`) when another process, or this one, holds it.
    pub fn acquire(dir: &Path) -> Result<DirLock> {
        let path = dir.join(LOCK_FILE);
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).at("open", &path)?;
        file.try_lock().map_err(io::Error::from).at("lock", dir)?;
        // For people who look into the directory; the lock itself is the kernel's.
        let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(DirLock { _file: file })
    }
}

/// Tries the whole recipe in `dir`: write, sync, rename, sync directory, remove.
///
/// # Errors
/// The first step that does not work here.
pub fn probe(dir: &Path) -> Result<()> {
    let path = dir.join(format!("{TEMPORARY_PREFIX}probe-{}", random::hex(8)));
    write_new(&path, b"probe")?;
    remove(&path)
}

/// Whether a rename between these two directories can work.
///
/// # Errors
/// One of them cannot be looked at.
pub fn same_filesystem(a: &Path, b: &Path) -> Result<bool> {
    platform::same_filesystem(a, b)
}

/// What a directory lies on, as far as its promises about syncing differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilesystemKind {
    /// A disk, or nothing known against it.
    Local,
    /// Gone after a restart: tmpfs, ramfs.
    Memory,
    /// Container layers: bytes vanish with the container, and rename may be a copy.
    Overlay,
    /// NFS, SMB and the like: syncs and locks depend on a server's settings.
    Network,
}

impl FilesystemKind {
    /// Whether a sync there means what it says; others need the operator's explicit consent.
    pub fn is_trusted(self) -> bool {
        self == FilesystemKind::Local
    }
}

/// The kind of filesystem that `dir` lies on.
///
/// # Errors
/// The directory cannot be looked at.
pub fn filesystem_kind(dir: &Path) -> Result<FilesystemKind> {
    platform::filesystem_kind(dir).at("inspect filesystem of", dir)
}

/// Bytes that this process may still write to the filesystem of `dir`; `u64::MAX` where it cannot be asked.
///
/// # Errors
/// The directory cannot be looked at.
pub fn free_space(dir: &Path) -> Result<u64> {
    platform::free_space(dir).at("inspect filesystem of", dir)
}

/// The directory that holds `path`; a bare file name is held by the current directory.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

#[cfg(unix)]
mod posix {
    use super::*;
    use std::os::unix::fs::MetadataExt as _;

    pub(super) fn fsync_dir(dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    pub(super) fn same_filesystem(a: &Path, b: &Path) -> Result<bool> {
        let device = |path: &Path| fs::metadata(path).at("inspect", path).map(|metadata| metadata.dev());
        Ok(device(a)? == device(b)?)
    }

    pub(super) fn free_space(dir: &Path) -> io::Result<u64> {
        let status = rustix::fs::statvfs(dir)?;
        Ok(status.f_bavail.saturating_mul(status.f_frsize))
    }
}

#[cfg(target_os = "linux")]
mod platform {
    use super::*;
    use rustix::fs::{CWD, Mode, OFlags, RenameFlags};

    pub(super) use super::posix::{free_space, fsync_dir, same_filesystem};

    pub(super) fn rename_noreplace(from: &Path, to: &Path) -> io::Result<()> {
        Ok(rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)?)
    }

    /// Not blocking, so that a pipe without a writer does not hold us up.
    pub(super) fn open_no_follow(path: &Path) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(File::from(rustix::fs::open(path, flags, Mode::empty())?))
    }

    pub(super) fn sync_filesystem(dir: &Path) -> io::Result<()> {
        Ok(rustix::fs::syncfs(File::open(dir)?)?)
    }

    /// Magic numbers of statfs(2) and linux/magic.h; anything not listed counts as local.
    pub(super) fn filesystem_kind(dir: &Path) -> io::Result<FilesystemKind> {
        let magic = rustix::fs::statfs(dir)?.f_type as u64 & 0xffff_ffff;
        Ok(match magic {
            0x0102_1994 | 0x8584_58f6 => FilesystemKind::Memory,
            0x794c_7630 => FilesystemKind::Overlay,
            // nfs, smb, cifs, smb2, 9p, ceph, afs, coda
            0x6969 | 0x517b | 0xff53_4d42 | 0xfe53_4d42 | 0x0102_1997 | 0x00c3_6400 | 0x5346_414f | 0x7375_7245 => {
                FilesystemKind::Network
            }
            _ => FilesystemKind::Local,
        })
    }
}

#[cfg(not(target_os = "linux"))]
mod platform {
    use super::*;

    #[cfg(unix)]
    pub(super) use super::posix::{free_space, fsync_dir, same_filesystem};

    /// A hard link refuses a taken name; then the old name goes. Where links are not possible, look first.
    pub(super) fn rename_noreplace(from: &Path, to: &Path) -> io::Result<()> {
        match fs::hard_link(from, to) {
            Ok(()) => return fs::remove_file(from),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
            Err(_) if to.try_exists()? => return Err(io::ErrorKind::AlreadyExists.into()),
            Err(_) => {}
        }
        #[expect(clippy::disallowed_methods, reason = "this is the replacement that the lint names")]
        fs::rename(from, to)
    }

    /// Looks before it opens; whoever can swap the file in between can read it as well.
    pub(super) fn open_no_follow(path: &Path) -> io::Result<File> {
        if !fs::symlink_metadata(path)?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
        }
        File::open(path)
    }

    /// No such call: every file of the directory is synced instead.
    pub(super) fn sync_filesystem(dir: &Path) -> io::Result<()> {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                OpenOptions::new().write(true).open(entry.path())?.sync_data()?;
            }
        }
        fsync_dir(dir)
    }

    pub(super) fn filesystem_kind(_dir: &Path) -> io::Result<FilesystemKind> {
        Ok(FilesystemKind::Local)
    }

    #[cfg(not(unix))]
    pub(super) fn fsync_dir(_dir: &Path) -> io::Result<()> {
        Ok(())
    }

    #[cfg(not(unix))]
    pub(super) fn same_filesystem(a: &Path, b: &Path) -> Result<bool> {
        let name = format!("{TEMPORARY_PREFIX}{}", random::hex(8));
        let (from, to) = (a.join(&name), b.join(&name));
        File::create_new(&from).at("create", &from)?;
        let renamed = rename_noreplace(&from, &to);
        discard(&from);
        discard(&to);
        match renamed {
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => Ok(false),
            other => other.at("rename to", &to).map(|()| true),
        }
    }

    #[cfg(not(unix))]
    pub(super) fn free_space(_dir: &Path) -> io::Result<u64> {
        Ok(u64::MAX)
    }
}

#[cfg(test)]
#[path = "durable_tests.rs"]
mod tests;
