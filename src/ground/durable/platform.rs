//! Platform calls of the durable-write recipe: Linux, other Unix systems, and the rest, each with the same names.

use std::fs::File;
use std::io;

pub(super) use system::{
    DirHandle, allocate, filesystem_kind, free_space, go_through_cache, has_one_name, identity, leave_cache, open_dir,
    open_no_follow, open_past_cache, rename_noreplace, same_filesystem, sync_dir, sync_filesystem, writes_in_place,
};

/// Writes zeros: room is taken by bytes.
fn fill(mut file: &File, bytes: u64) -> io::Result<()> {
    io::copy(&mut io::Read::take(io::repeat(0), bytes), &mut file).map(drop)
}

#[cfg(unix)]
mod posix {
    use super::super::*;
    use std::os::unix::fs::MetadataExt as _;

    pub(in super::super) fn identity(metadata: &fs::Metadata) -> u64 {
        metadata.ino()
    }

    pub(in super::super) fn has_one_name(metadata: &fs::Metadata) -> bool {
        metadata.nlink() == 1
    }

    pub(in super::super) fn open_no_follow(path: &Path) -> io::Result<File> {
        use std::os::unix::fs::OpenOptionsExt as _;
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)
    }

    /// An open directory.
    pub(in super::super) type DirHandle = File;

    pub(in super::super) fn open_dir(dir: &Path) -> io::Result<DirHandle> {
        File::open(dir)
    }

    pub(in super::super) fn sync_dir(opened: &DirHandle) -> io::Result<()> {
        opened.sync_all()
    }

    pub(in super::super) fn same_filesystem(a: &Path, b: &Path) -> Result<bool> {
        let device = |path: &Path| fs::metadata(path).at("inspect", path).map(|metadata| metadata.dev());
        Ok(device(a)? == device(b)?)
    }

    pub(in super::super) fn free_space(dir: &Path) -> io::Result<u64> {
        let status = rustix::fs::statvfs(dir)?;
        Ok(status.f_bavail.saturating_mul(status.f_frsize))
    }
}

#[cfg(target_os = "linux")]
mod system {
    use super::super::*;
    use super::fill;
    use rustix::fs::{CWD, RenameFlags};

    pub(in super::super) use super::posix::{
        DirHandle, free_space, has_one_name, identity, open_dir, open_no_follow, same_filesystem, sync_dir,
    };

    pub(in super::super) fn rename_noreplace(from: &Path, to: &Path) -> io::Result<()> {
        Ok(rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)?)
    }

    pub(in super::super) fn sync_filesystem(opened: &DirHandle, dir: &Path) -> Result<()> {
        rustix::fs::syncfs(opened).map_err(io::Error::from).at("sync filesystem of", dir)
    }

    pub(in super::super) fn allocate(file: &File, bytes: u64) -> io::Result<()> {
        match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, bytes) {
            Err(rustix::io::Errno::OPNOTSUPP) => fill(file, bytes),
            other => Ok(other?),
        }
    }

    /// The kernel begins to write dirty pages whose range is said not to be needed, and drops only what is clean. What goes
    /// wrong is told by the sync at the end.
    pub(in super::super) fn leave_cache(file: &File, from: u64, len: u64) {
        let len = std::num::NonZeroU64::new(len);
        let _ = rustix::fs::fadvise(file, from, len, rustix::fs::Advice::DontNeed);
    }

    /// `EINVAL` where the filesystem has no such way. btrfs compresses only what goes through the cache.
    pub(in super::super) fn open_past_cache(options: &OpenOptions, path: &Path) -> io::Result<File> {
        use std::os::unix::fs::OpenOptionsExt as _;
        let file = options.clone().custom_flags(rustix::fs::OFlags::DIRECT.bits().cast_signed()).open(path)?;
        match rustix::fs::fstatfs(&file)?.f_type as u64 & 0xffff_ffff {
            BTRFS => Err(io::ErrorKind::Unsupported.into()),
            _ => Ok(file),
        }
    }

    pub(in super::super) fn writes_in_place(file: &File) -> io::Result<bool> {
        Ok([EXT, XFS].contains(&(rustix::fs::fstatfs(file)?.f_type as u64 & 0xffff_ffff)))
    }

    /// ext2, ext3 and ext4.
    const EXT: u64 = 0xef53;
    const XFS: u64 = 0x5846_5342;
    const BTRFS: u64 = 0x9123_683e;

    pub(in super::super) fn go_through_cache(file: &File) -> io::Result<()> {
        let flags = rustix::fs::fcntl_getfl(file)?;
        Ok(rustix::fs::fcntl_setfl(file, flags - rustix::fs::OFlags::DIRECT)?)
    }

    pub(in super::super) fn filesystem_kind(dir: &Path) -> io::Result<FilesystemKind> {
        Ok(kind_of(rustix::fs::statfs(dir)?.f_type as u64 & 0xffff_ffff))
    }

    /// Magic numbers of statfs(2) and linux/magic.h; anything not listed counts as local.
    pub(super) fn kind_of(magic: u64) -> FilesystemKind {
        match magic {
            0x0102_1994 | 0x8584_58f6 => FilesystemKind::Memory,
            // overlayfs, aufs
            0x794c_7630 | 0x6175_6673 => FilesystemKind::Overlay,
            // nfs, smb, cifs, smb2, 9p, ceph, afs, coda
            0x6969 | 0x517b | 0xff53_4d42 | 0xfe53_4d42 | 0x0102_1997 | 0x00c3_6400 | 0x5346_414f | 0x7375_7245 => {
                FilesystemKind::Network
            }
            // fuse (sshfs, virtiofs and many more), vboxsf, lustre, gpfs, beegfs
            0x6573_5546 | 0x786f_4256 | 0x0bd0_0bd0 | 0x4750_4653 | 0x1983_0326 => FilesystemKind::Network,
            _ => FilesystemKind::Local,
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn memory_overlay_and_network_filesystems_are_told_from_disks() {
            let known = [
                ("tmpfs", 0x0102_1994, FilesystemKind::Memory),
                ("overlayfs", 0x794c_7630, FilesystemKind::Overlay),
                ("nfs", 0x6969, FilesystemKind::Network),
                ("cifs", 0xff53_4d42, FilesystemKind::Network),
                ("aufs", 0x6175_6673, FilesystemKind::Overlay),
                ("fuse", 0x6573_5546, FilesystemKind::Network),
                ("vboxsf", 0x786f_4256, FilesystemKind::Network),
                ("lustre", 0x0bd0_0bd0, FilesystemKind::Network),
                ("gpfs", 0x4750_4653, FilesystemKind::Network),
                ("beegfs", 0x1983_0326, FilesystemKind::Network),
                ("ext4", EXT, FilesystemKind::Local),
                ("xfs", XFS, FilesystemKind::Local),
                ("btrfs", BTRFS, FilesystemKind::Local),
                ("zfs", 0x2fc1_2fc1, FilesystemKind::Local),
                ("f2fs", 0xf2f5_2010, FilesystemKind::Local),
            ];
            for (name, magic, kind) in known {
                assert_eq!(kind_of(magic), kind, "{name}");
                assert_eq!(kind.is_trusted(), kind == FilesystemKind::Local, "{name}");
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use super::super::*;
    use super::fill;

    #[cfg(unix)]
    pub(in super::super) use super::posix::{
        DirHandle, free_space, has_one_name, identity, open_dir, open_no_follow, same_filesystem, sync_dir,
    };

    /// Directories cannot be synced, so none is opened.
    #[cfg(not(unix))]
    pub(in super::super) struct DirHandle;

    /// A hard link refuses a taken name; then the old name goes. Where links are not possible, look first.
    pub(in super::super) fn rename_noreplace(from: &Path, to: &Path) -> io::Result<()> {
        match fs::hard_link(from, to) {
            Ok(()) => return fs::remove_file(from),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
            Err(_) if to.try_exists()? => return Err(io::ErrorKind::AlreadyExists.into()),
            Err(_) => {}
        }
        #[expect(clippy::disallowed_methods, reason = "this is the replacement that the lint names")]
        fs::rename(from, to)
    }

    pub(in super::super) fn allocate(file: &File, bytes: u64) -> io::Result<()> {
        fill(file, bytes)
    }

    /// No such call: every file of the directory is synced instead.
    pub(in super::super) fn sync_filesystem(opened: &DirHandle, dir: &Path) -> Result<()> {
        for entry in fs::read_dir(dir).at("read directory", dir)? {
            let path = entry.at("read directory", dir)?.path();
            if fs::symlink_metadata(&path).at("examine", &path)?.is_file() {
                let file = OpenOptions::new().write(true).open(&path).at("open", &path)?;
                file.sync_data().at("sync", &path)?;
            }
        }
        sync_dir(opened).at("sync directory", dir)
    }

    pub(in super::super) fn filesystem_kind(_dir: &Path) -> io::Result<FilesystemKind> {
        Ok(FilesystemKind::Local)
    }

    pub(in super::super) fn leave_cache(_file: &File, _from: u64, _len: u64) {}

    pub(in super::super) fn writes_in_place(_file: &File) -> io::Result<bool> {
        Ok(false)
    }

    pub(in super::super) fn open_past_cache(_options: &OpenOptions, _path: &Path) -> io::Result<File> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(in super::super) fn go_through_cache(_file: &File) -> io::Result<()> {
        Ok(())
    }

    #[cfg(not(unix))]
    pub(in super::super) fn identity(_metadata: &fs::Metadata) -> u64 {
        0
    }

    pub(in super::super) fn has_one_name(_metadata: &fs::Metadata) -> bool {
        false
    }

    #[cfg(not(unix))]
    pub(in super::super) fn open_no_follow(path: &Path) -> io::Result<File> {
        if fs::symlink_metadata(path)?.is_symlink() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a link"));
        }
        File::open(path)
    }

    #[cfg(not(unix))]
    pub(in super::super) fn open_dir(_dir: &Path) -> io::Result<DirHandle> {
        Ok(DirHandle)
    }

    #[cfg(not(unix))]
    pub(in super::super) fn sync_dir(_opened: &DirHandle) -> io::Result<()> {
        Ok(())
    }

    #[cfg(not(unix))]
    pub(in super::super) fn same_filesystem(a: &Path, b: &Path) -> Result<bool> {
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
    pub(in super::super) fn free_space(_dir: &Path) -> io::Result<u64> {
        Ok(u64::MAX)
    }
}
