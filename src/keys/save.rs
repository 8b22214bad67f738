//! Writing private files: closed to others from the first byte on, whatever the umask says.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use crate::ground::durable::{self, DurableError};
use crate::ground::fault::{self, within};

/// Writes a file that must not exist yet and that only its owner may read. It survives a power cut once this returns.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] when the name is taken; any failure of the disk. What was begun is removed.
pub fn private(file: &Path, bytes: &[u8]) -> Result<(), DurableError> {
    let failed = |source| DurableError { step: "write", path: file.to_owned(), source };
    let folder = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut opened = fault::at(&within("create", folder), || Ok(())).and_then(|()| create(file)).map_err(failed)?;
    let written = fill(&mut opened, folder, bytes).map_err(failed).and_then(|()| durable::fsync_dir(folder));
    written.inspect_err(|_| drop(std::fs::remove_file(file)))
}

fn fill(opened: &mut File, folder: &Path, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = fault::write(&within("write", folder), opened, bytes)?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = bytes.get(written..).unwrap_or_default();
    }
    fault::at(&within("sync", folder), || opened.sync_all())
}

#[cfg(unix)]
fn create(file: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)
}

#[cfg(not(unix))]
fn create(file: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::load;

    #[test]
    fn a_private_file_can_be_read_back_and_is_never_overwritten() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("token");
        private(&file, b"first\n").expect("written");
        assert_eq!(private(&file, b"second").expect_err("taken").kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(load::secret_line(&file).expect("private enough").expose(), "first");
    }
}
