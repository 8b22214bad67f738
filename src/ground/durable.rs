//! Files that survive a power cut: the one recipe, in one place.
//!
//! A file counts as written when: its bytes went into a temporary file of the same filesystem → `fdatasync` → rename
//! that refuses to replace → `fsync` of the directory. Without the directory's sync the name may be lost although
//! the bytes are safe; without the first sync the name may appear over an empty file. Where a file counts only once
//! something else names it, [`NewFile::place`] renames before both syncs. A directory counts when its parent was synced
//! as well. What is left of a temporary name does not matter, so its directory is not synced.
//!
//! The first failed sync of a file is final: the kernel may have dropped the dirty pages, a second sync would answer
//! "done". Callers stop acknowledging and start again from what is on disk. To open a directory is a step of its own, before
//! its name changes: without a descriptor left nothing has happened, and nothing has failed that counts.
//!
//! Batches: rename with [`rename_noreplace_unsynced`], then one [`fsync_dir`] per directory; write without a sync,
//! then one [`sync_filesystem`]. Every call of the platform beyond std lives in this file, each with a portable
//! fallback: where directories cannot be synced (Windows) that step is left out.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::fault::{self, Fault, within};
use super::random;

use directory::{Directory, Parents};

pub use dir_sync::DirSync;
pub use directory::{fsync_dir, require_openable, sync_filesystem};
pub use error::{DurableError, is_failed_sync, is_full};
pub use owner::{replace_as_before, write_new_as_folder};
pub use past_cache::PastCache;

/// Names of temporary files begin with this; whoever owns a directory may remove them at start.
pub const TEMPORARY_PREFIX: &str = ".dxgate-tmp-";

/// The name of the lock file in a locked directory.
const LOCK_FILE: &str = "lock";

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

/// Puts a file of `bytes` bytes at `path`, over whatever has its name, for which the disk has set room aside.
///
/// # Errors
/// The disk is full, or fails.
#[cfg_attr(not(feature = "server"), allow(dead_code, reason = "the reserve is the server's"))]
pub(super) fn allocate(path: &Path, bytes: u64) -> Result<()> {
    let file = NewFile::create_in(parent(path))?;
    let temporary = file.temporary.as_deref().unwrap_or(path);
    let allocated = fault::at(&within("allocate", parent(path)), || platform::allocate(&file.file, bytes));
    allocated.at("allocate", temporary)?;
    let temporary = file.synced()?;
    rename(&temporary, path).inspect_err(|_| discard(&temporary))
}

/// Bytes of a file in the making after which the disk begins with them, so that the sync at the end has little left to do.
const WRITTEN_BACK: u64 = 8 * 1024 * 1024;

/// A file in the making, under a temporary name: written as a stream, then [published](NewFile::publish). Dropped
/// before that, it is removed.
#[derive(Debug)]
pub struct NewFile {
    file: File,
    temporary: Option<PathBuf>,
    /// It stays when it is dropped, and beside what it is placed as.
    stays: bool,
    /// Bytes from its beginning that it has, and those of them that are on their way to the disk.
    written: u64,
    begun: u64,
}

impl NewFile {
    /// Begins a file in `dir`, readable by the owner and its group. `dir` must be on the filesystem of the final name.
    ///
    /// # Errors
    /// The temporary file cannot be created.
    pub fn create_in(dir: &Path) -> Result<NewFile> {
        NewFile::create_with(dir, 0o640)
    }

    /// The same for a file that nobody but its owner may ever read, not even while it is written.
    ///
    /// # Errors
    /// As [`create_in`](NewFile::create_in).
    pub fn create_private_in(dir: &Path) -> Result<NewFile> {
        NewFile::create_with(dir, 0o600)
    }

    fn create_with(dir: &Path, mode: u32) -> Result<NewFile> {
        let temporary = dir.join(format!("{TEMPORARY_PREFIX}{}", random::hex(12)));
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
        #[cfg(not(unix))]
        let _ = mode;
        let opened = match fault::fault(&within("create", dir)) {
            None | Some(Fault::Skipped) => options.open(&temporary),
            Some(Fault::Fails(error) | Fault::Short(error)) => Err(error),
        };
        let file = opened.at("create", &temporary)?;
        Ok(NewFile { file, temporary: Some(temporary), stays: false, written: 0, begun: 0 })
    }

    /// Goes on with the file at `path`, or begins it: what lies behind `len` bytes is cut off, those before are shown to
    /// `seen`. It stays when it is dropped; [placed](NewFile::place), it has both names where the filesystem knows links.
    ///
    /// # Errors
    /// It cannot be opened, or is shorter.
    pub fn resume(path: &Path, len: u64, seen: &mut dyn FnMut(&[u8])) -> Result<NewFile> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o640);
        fault::at(&within("create", parent(path)), || Ok(())).at("open", path)?;
        let mut file = options.open(path).at("open", path)?;
        if file.metadata().at("examine", path)?.len() < len {
            // It would become as long by NUL bytes that nobody wrote.
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof)).at("read", path);
        }
        file.set_len(len).at("cut", path)?;
        let mut buffer = vec![0; 256 * 1024];
        loop {
            let read = file.read(&mut buffer).at("read", path)?;
            if read == 0 {
                let temporary = Some(path.to_path_buf());
                return Ok(NewFile { file, temporary, stays: true, written: len, begun: len });
            }
            seen(buffer.get(..read).unwrap_or_default());
        }
    }

    /// Syncs the bytes and gives the file its name, which must be free, durably.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] when the name is taken; any failure of the disk. The bytes are removed.
    pub fn publish(self, path: &Path) -> Result<()> {
        let directory = Directory::open(parent(path))?;
        let temporary = self.synced()?;
        rename_noreplace_unsynced(&temporary, path).inspect_err(|_| discard(&temporary))?;
        directory.sync()
    }

    /// Gives the file its name in `dir`, which must be free, and then syncs bytes and name: for a directory whose files
    /// count only once something else names them. The filesystem's journal gets both at once.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] when the name is taken; any failure of the disk. The bytes are removed.
    pub fn place(mut self, dir: &DirSync, name: &str) -> Result<()> {
        let path = &dir.dir().join(name);
        let temporary = self.take_temporary();
        if !self.stays || hard_link_unsynced(&temporary, path).is_err() {
            rename_noreplace_unsynced(&temporary, path).inspect_err(|_| discard(&temporary))?;
        }
        self.sync_as(path).and_then(|()| dir.sync()).inspect_err(|_| discard(path))
    }

    /// Syncs the bytes and gives the file its name, over whatever has it, durably.
    ///
    /// # Errors
    /// Any failure of the disk. The bytes are removed.
    pub fn replace(self, path: &Path) -> Result<()> {
        let temporary = self.synced()?;
        rename(&temporary, path).inspect_err(|_| discard(&temporary))
    }

    /// The path of the temporary file, synced; from here the caller owns it.
    fn synced(mut self) -> Result<PathBuf> {
        let temporary = self.take_temporary();
        self.sync_as(&temporary).inspect_err(|_| discard(&temporary))?;
        Ok(temporary)
    }

    fn take_temporary(&mut self) -> PathBuf {
        self.temporary.take().expect("the path is taken only by the methods that consume the file")
    }

    fn sync_as(&self, path: &Path) -> Result<()> {
        fault::at(&within("sync", parent(path)), || self.file.sync_data()).at("sync", path)
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let dir = self.temporary.as_deref().map_or(Path::new(""), parent);
        let written = fault::write(&within("write", dir), &mut self.file, bytes)?;
        self.written = self.written.saturating_add(written as u64);
        let waiting = self.written.saturating_sub(self.begun);
        if waiting >= WRITTEN_BACK {
            platform::leave_cache(&self.file, self.begun, waiting);
            self.begun = self.written;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Bytes of a file leave the page cache as far as they are on the disk; of others the way there begins.
pub fn leave_cache(file: &File, from: u64, len: u64) {
    platform::leave_cache(file, from, len);
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if let Some(temporary) = self.temporary.take().filter(|_| !self.stays) {
            discard(&temporary);
        }
    }
}

/// Removes the temporary files in `dir` that are as old as that: what a process left there that ended while it wrote.
pub fn sweep(dir: &Path, age: Duration) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let is_old = || entry.metadata().and_then(|found| found.modified()).is_ok_and(|changed| is_past(changed, age));
        if entry.file_name().to_string_lossy().starts_with(TEMPORARY_PREFIX) && is_old() {
            discard(&entry.path());
        }
    }
}

/// One in the future is not.
fn is_past(instant: SystemTime, age: Duration) -> bool {
    instant.elapsed().is_ok_and(|passed| passed >= age)
}

/// Removes a temporary file that nobody will miss; one left behind is swept at the next start.
fn discard(temporary: &Path) {
    let _ = fs::remove_file(temporary);
}

/// Renames, replacing what has the name, and syncs both directories.
///
/// # Errors
/// A directory could not be opened or the rename failed (nothing changed), or a directory could not be synced.
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    let parents = Parents::open(from, to)?;
    #[expect(clippy::disallowed_methods, reason = "this is the replacement that the lint names")]
    fault::at(&within("rename", parent(to)), || fs::rename(from, to)).at("rename to", to)?;
    parents.sync()
}

/// Renames unless the name is taken, and syncs both directories.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] when the name is taken; otherwise like [`rename`].
pub fn rename_noreplace(from: &Path, to: &Path) -> Result<()> {
    let parents = Parents::open(from, to)?;
    rename_noreplace_unsynced(from, to)?;
    parents.sync()
}

/// Renames unless the name is taken. It counts once [`fsync_dir`] returned for the directory of `to`, then of `from`.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] when the name is taken; nothing changed.
pub fn rename_noreplace_unsynced(from: &Path, to: &Path) -> Result<()> {
    fault::at(&within("rename", parent(to)), || platform::rename_noreplace(from, to)).at("rename to", to)
}

/// A number that changes when another file takes a name: the inode; always 0 where the system has none.
pub fn identity(metadata: &fs::Metadata) -> u64 {
    platform::identity(metadata)
}

/// Whether removing it frees its bytes: no other name leads to them. `false` where the system does not tell.
pub fn has_one_name(metadata: &fs::Metadata) -> bool {
    platform::has_one_name(metadata)
}

/// Opens an existing regular file for reading; never follows a link, never waits for a pipe's writer.
///
/// # Errors
/// It is missing, not readable, or not a regular file.
pub fn open_regular(path: &Path) -> Result<File> {
    let file = platform::open_no_follow(path).at("open", path)?;
    let metadata = file.metadata().at("examine", path)?;
    if metadata.is_file() {
        return Ok(file);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")).at("open", path)
}

/// Removes a file durably.
///
/// # Errors
/// It does not exist or cannot be removed, or the directory cannot be opened (nothing changed) or synced.
pub fn remove(path: &Path) -> Result<()> {
    let directory = Directory::open(parent(path))?;
    fault::at(&within("remove", parent(path)), || fs::remove_file(path)).at("remove", path)?;
    directory.sync()
}

/// Removes a file whose absence need not survive a power cut: who finds it again removes it again.
///
/// # Errors
/// It does not exist or cannot be removed.
pub fn remove_unsynced(path: &Path) -> io::Result<()> {
    fault::at(&within("remove", parent(path)), || fs::remove_file(path))
}

/// Gives a file a second name, which must be free. It counts once [`fsync_dir`] returned for its directory.
///
/// # Errors
/// The name is taken, the directory is on another filesystem, or that one knows no links.
pub fn hard_link_unsynced(from: &Path, to: &Path) -> io::Result<()> {
    fault::at(&within("link", parent(to)), || fs::hard_link(from, to))
}

/// Makes the bytes of a file durable that somebody else may have written a moment ago.
///
/// # Errors
/// It cannot be opened or synced.
pub fn sync_file(path: &Path) -> Result<()> {
    let file = File::open(path).at("open", path)?;
    fault::at(&within("sync", parent(path)), || file.sync_data()).at("sync", path)
}

/// Creates a directory and its missing parents, each made durable in its own parent.
///
/// # Errors
/// A component cannot be created (a file is in the way, no permission) or synced.
pub fn create_dir_all(dir: &Path) -> Result<()> {
    let missing: Vec<&Path> =
        dir.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.is_dir()).collect();
    for path in missing.into_iter().rev() {
        let above = Directory::open(parent(path))?;
        match fault::at(&within("mkdir", parent(path)), || fs::create_dir(path)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
            other => other.at("create directory", path)?,
        }
        above.sync()?;
    }
    Ok(())
}

/// Proof that no other process works in a directory; given back when dropped or when the process dies.
#[derive(Debug)]
pub struct DirLock {
    file: File,
}

impl Drop for DirLock {
    fn drop(&mut self) {
        // Not by closing alone: a child that is being started has the file as well, for a moment.
        let _ = self.file.unlock();
    }
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
        Ok(DirLock { file })
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

/// Sees to it that files can be renamed from `home` into `folder`.
///
/// # Errors
/// [`io::ErrorKind::CrossesDevices`] (code `different-filesystems`) when they lie on two filesystems.
pub fn require_same_filesystem(home: &Path, folder: &Path) -> Result<()> {
    if same_filesystem(home, folder)? {
        return Ok(());
    }
    Err(io::Error::from(io::ErrorKind::CrossesDevices)).at("rename into", folder)
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
    /// NFS, SMB and the like, and whatever a program serves (FUSE): syncs and locks depend on a server's settings.
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

/// Whether bytes written over others of a file take their place on the disk, so that a sync has nothing else to write:
/// ext4 and xfs, as far as is known.
///
/// # Errors
/// The filesystem cannot be asked.
pub fn writes_in_place(file: &File) -> io::Result<bool> {
    platform::writes_in_place(file)
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

#[path = "durable/dir_sync.rs"]
mod dir_sync;
#[path = "durable/directory.rs"]
mod directory;
#[path = "durable/error.rs"]
mod error;
#[path = "durable/owner.rs"]
mod owner;
#[path = "durable/past_cache.rs"]
mod past_cache;
#[path = "durable/platform.rs"]
mod platform;

#[cfg(test)]
#[path = "durable_tests.rs"]
mod tests;
