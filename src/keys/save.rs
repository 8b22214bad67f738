//! Writing private files: closed to others from the first byte on, whatever the umask says, and there whole or not at all.

use std::path::Path;
use std::time::Duration;

use crate::ground::durable::{self, DurableError, NewFile};

/// What a process left that ended while it wrote is removed after this time; until then it may still be writing.
const ABANDONED: Duration = Duration::from_secs(3600);

/// Writes a file that must not exist yet and that only its owner may read. It has its name once it is whole, and survives
/// a power cut once this returns.
///
/// # Errors
/// [`AlreadyExists`](std::io::ErrorKind::AlreadyExists) when the name is taken; any failure of the disk. What was begun is
/// removed.
pub fn private(file: &Path, bytes: &[u8]) -> Result<(), DurableError> {
    published(begun(file, bytes)?, file)
}

/// The same for whom the folder belongs to: who calls may be root where the gateway is not.
///
/// # Errors
/// As [`private`].
pub fn private_as_folder(file: &Path, bytes: &[u8]) -> Result<(), DurableError> {
    let new = begun(file, bytes)?;
    new.give_as_folder(file);
    published(new, file)
}

fn published(new: NewFile, file: &Path) -> Result<(), DurableError> {
    // It has its name by then, which the next power cut might undo.
    new.publish(file).inspect_err(|error| {
        if error.step == "sync directory" {
            drop(std::fs::remove_file(file))
        }
    })
}

/// The same over whatever has the name.
///
/// # Errors
/// Any failure of the disk; the old file is then still there.
pub fn replace_private(file: &Path, bytes: &[u8]) -> Result<(), DurableError> {
    begun(file, bytes)?.replace(file)
}

/// The bytes under a temporary name, not synced yet.
fn begun(file: &Path, bytes: &[u8]) -> Result<NewFile, DurableError> {
    let folder = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    durable::sweep(folder, ABANDONED);
    let mut new = NewFile::create_private_in(folder)?;
    let written = std::io::Write::write_all(&mut new, bytes);
    written.map_err(|source| DurableError { step: "write", path: file.to_owned(), source })?;
    Ok(new)
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::keys::load;

    #[test]
    fn a_private_file_can_be_read_back_and_is_never_overwritten_unless_that_is_asked_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("token");
        private(&file, b"first\n").expect("written");
        assert_eq!(private(&file, b"second").expect_err("taken").kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(load::secret_line(&file).expect("private enough").expose(), "first");
        replace_private(&file, b"third\n").expect("replaced");
        assert_eq!(load::secret_line(&file).expect("private enough").expose(), "third");
        assert_eq!(std::fs::read_dir(folder.path()).expect("read").count(), 1, "nothing else is left");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_in_the_making_is_closed_to_others_too_and_one_that_was_given_up_goes_after_an_hour() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let names = || std::fs::read_dir(folder.path()).expect("read").map(|entry| entry.expect("entry").path());
        let new = begun(&folder.path().join("key"), b"secret").expect("begun");
        let temporary = names().next().expect("a temporary file");
        assert_eq!(std::fs::metadata(&temporary).expect("there").permissions().mode() & 0o777, 0o600);
        assert_ne!(temporary.file_name(), Some("key".as_ref()));
        // Its writer is gone, as after a kill.
        std::mem::forget(new);
        private(&folder.path().join("other"), b"other").expect("written");
        assert!(temporary.exists(), "somebody may be writing it");
        let old = std::time::SystemTime::UNIX_EPOCH;
        std::fs::File::options().write(true).open(&temporary).and_then(|file| file.set_modified(old)).expect("aged");
        private(&folder.path().join("third"), b"third").expect("written");
        assert!(!temporary.exists());
    }
}
