//! A small ext4 filesystem of one's own, on a loop device: it can be filled without harm to anybody.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::FallocateFlags;

/// A mounted image; unmounted and removed when dropped.
pub struct SmallDisk {
    folder: tempfile::TempDir,
}

impl SmallDisk {
    /// Makes and mounts one of `mebibytes`.
    ///
    /// # Errors
    /// Why this machine or user cannot: not root, no loop devices, no mkfs.ext4.
    pub fn mount(mebibytes: u64) -> Result<SmallDisk, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("mounting an image needs root".to_owned());
        }
        let folder = tempfile::Builder::new().prefix("small-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let (image, at) = (folder.path().join("image"), folder.path().join("mounted"));
        File::create(&image).unwrap().set_len(mebibytes << 20).unwrap();
        fs::create_dir(&at).unwrap();
        // Nothing kept back for root: full is full for everybody.
        run(Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0"]).arg(&image))?;
        run(Command::new("mount").args(["-o", "loop"]).args([&image, &at]))?;
        Ok(SmallDisk { folder })
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("mounted")
    }

    /// Fills it to the last `leave` bytes, as far as blocks allow.
    pub fn fill(&self, leave: u64) {
        let filler = File::options().create(true).append(true).open(self.filler()).unwrap();
        // The blocks of removed files come back when the filesystem's own journal is written, up to five seconds later.
        for _ in 0..2 {
            rustix::fs::syncfs(&filler).unwrap();
            self.fill_now(&filler, leave);
        }
    }

    fn fill_now(&self, filler: &File, leave: u64) {
        let mut step = 1u64 << 24;
        while step >= 1024 {
            let free = dxgate::ground::durable::free_space(&self.path()).unwrap();
            let end = filler.metadata().unwrap().len();
            let fits = free >= leave + step;
            if !(fits && rustix::fs::fallocate(filler, FallocateFlags::empty(), end, step).is_ok()) {
                step /= 2;
            }
        }
    }

    /// Gives the room back.
    pub fn free(&self) {
        let _ = fs::remove_file(self.filler());
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = run(Command::new("umount").arg("-l").arg(self.path()));
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(format!("{command:?}: {said}")) }
}

/// Mounts a memory filesystem at `at`.
///
/// # Errors
/// As [`SmallDisk::mount`].
pub fn mount_memory(at: &Path) -> Result<Mount, String> {
    if !rustix::process::geteuid().is_root() {
        return Err("mounting needs root".to_owned());
    }
    fs::create_dir_all(at).unwrap();
    run(Command::new("mount").args(["-t", "tmpfs", "-o", "size=16m", "tmpfs"]).arg(at))?;
    Ok(Mount(at.to_path_buf()))
}

/// Mounts layers as containers have them, whose files lie in `layers`.
pub fn mount_layers(at: &Path, layers: &Path) -> Result<Mount, String> {
    if !rustix::process::geteuid().is_root() {
        return Err("mounting needs root".to_owned());
    }
    fs::create_dir_all(at).unwrap();
    let [lower, upper, work] = ["lower", "upper", "work"].map(|name| layers.join(name));
    for folder in [&lower, &upper, &work] {
        fs::create_dir_all(folder).unwrap();
    }
    let options = format!("lowerdir={},upperdir={},workdir={}", lower.display(), upper.display(), work.display());
    run(Command::new("mount").args(["-t", "overlay", "-o", &options, "overlay"]).arg(at))?;
    Ok(Mount(at.to_path_buf()))
}

/// Unmounted when dropped.
pub struct Mount(PathBuf);

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = run(Command::new("umount").arg("-l").arg(&self.0));
    }
}
