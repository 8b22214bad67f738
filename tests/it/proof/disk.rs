//! A filesystem of its own, ext4 in a file, whose power can be cut: what it has not written back by then is lost.
//!
//! The cut is `EXT4_IOC_SHUTDOWN` with `NOLOGFLUSH`, by `tests/checker/power_cut.py`. The disk below is honest: what
//! was synced is there afterwards, what was not may be there or not, and `commit=N` says how many seconds the
//! filesystem waits before it writes its journal by itself.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use super::account::python;
use crate::support::eventually;

/// Room; the file takes only what is written.
const SIZE: u64 = 24 << 30;
const PREFIX: &str = "disk-";

/// A mounted filesystem; unmounted and removed when dropped.
pub struct Disk {
    mount: PathBuf,
    image: PathBuf,
    options: String,
    cutter: Option<(Child, ChildStdin, BufReader<ChildStdout>)>,
}

impl Disk {
    /// Makes one that writes its journal back every `commit` seconds; or says why that is not possible here.
    pub fn make(commit: u32) -> Result<Disk, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("mounting a filesystem wants root".to_owned());
        }
        sweep();
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{PREFIX}{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mount = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let image = mount.with_extension("img");
        fs::create_dir_all(&mount).unwrap();
        File::create(&image).and_then(|file| file.set_len(SIZE)).unwrap();
        // The journal is small so that it wraps around, as that of a machine in use does.
        let lazy = ["-q", "-F", "-E", "nodiscard,lazy_itable_init=1,lazy_journal_init=1", "-J", "size=64"];
        run(Command::new("mkfs.ext4").args(lazy).arg(&image))?;
        let options = format!("loop,commit={commit},noatime");
        let mut disk = Disk { mount, image, options, cutter: None };
        disk.mount()?;
        let mut cutter = python("power_cut.py")
            .arg(&disk.mount)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|error| error.to_string())?;
        let (stdin, stdout) = (cutter.stdin.take().unwrap(), cutter.stdout.take().unwrap());
        disk.cutter = Some((cutter, stdin, BufReader::new(stdout)));
        Ok(disk)
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.mount
    }

    /// Makes everything on it durable.
    pub fn sync(&self) {
        rustix::fs::syncfs(File::open(&self.mount).unwrap()).unwrap();
    }

    /// From here every operation fails and nothing is written back.
    pub fn cut(&mut self) {
        let (_, stdin, stdout) = self.cutter.as_mut().unwrap();
        stdin.write_all(b"cut\n").unwrap();
        let mut answer = String::new();
        stdout.read_line(&mut answer).unwrap();
        assert_eq!(answer, "off\n");
    }

    /// The power is back: the filesystem is as the disk has it. Nobody may have files open.
    pub fn restart(&mut self) {
        eventually("the filesystem can be unmounted", || run(Command::new("umount").arg(&self.mount)).ok());
        self.mount().unwrap();
    }

    fn mount(&mut self) -> Result<(), String> {
        run(Command::new("mount").args(["-t", "ext4", "-o", &self.options]).args([&self.image, &self.mount]))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Some((mut cutter, stdin, _)) = self.cutter.take() {
            drop(stdin);
            let _ = cutter.wait();
        }
        remove(&self.mount);
    }
}

/// Removes what killed runs left behind.
fn sweep() {
    for entry in fs::read_dir(env!("CARGO_TARGET_TMPDIR")).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let process = name.strip_prefix(PREFIX).and_then(|rest| rest.split_once('-'));
        if process.is_some_and(|(id, _)| !Path::new("/proc").join(id).exists()) && entry.path().is_dir() {
            remove(&entry.path());
        }
    }
}

/// Lazily if need be: the loop device goes with the last file that is open.
fn remove(mount: &Path) {
    let unmounted = run(Command::new("umount").arg(mount));
    if unmounted.is_err() {
        let _ = run(Command::new("umount").arg("--lazy").arg(mount));
    }
    let _ = fs::remove_file(mount.with_extension("img"));
    let _ = fs::remove_dir(mount);
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{:?}: {error}", command.get_program()))?;
    let complaint = || format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    if output.status.success() { Ok(()) } else { Err(complaint()) }
}
