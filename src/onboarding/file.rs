//! The dossier in the home: `onboarding/dossier.json`, replaced as a whole and durably, one writer at a time. It tells
//! when it was damaged ([`sealed`]).

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::dossier::{Dossier, VERSION};
use crate::bilingual;
use crate::ground::durable::{self, DirLock, DurableError};
use crate::ground::sealed::{self, Altered};
use crate::ground::text::Bilingual;

/// The folder in the home.
pub const FOLDER: &str = "onboarding";
/// The file in it.
pub const NAME: &str = "dossier.json";
/// Bytes of the largest dossier: a whole one is under 100 KiB.
const LARGEST: u64 = 4 * 1024 * 1024;

/// The dossier cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no dossier that this version knows.
    #[error("{}: {why}", path.display())]
    Content {
        /// Which file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// It is not what was written.
    #[error("{}: {altered}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// How that is known.
        altered: Altered,
    },
    /// It could not be made durable, or somebody else writes it.
    #[error(transparent)]
    Durable(#[from] DurableError),
}

impl FileError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            FileError::Io { .. } => "dossier-unreachable",
            FileError::Content { .. } => "dossier-unreadable",
            FileError::Damaged { .. } => "dossier-damaged",
            FileError::Durable(error) => error.code(),
        }
    }

    /// What happened, and what to do.
    pub fn text(&self) -> Bilingual {
        match self {
            FileError::Io { path, source } => {
                let path = path.display();
                bilingual!(
                    "无法访问 {path}：{source}；请检查路径和权限",
                    "{path} cannot be accessed: {source}; check the path and its permissions"
                )
            }
            FileError::Content { path, why } => {
                let path = path.display();
                bilingual!(
                    "{path} 不是可识别的档案：{why}；请从备份恢复，或移走后重新登记",
                    "{path} is no dossier: {why}; take it from a backup, or move it away and begin again"
                )
            }
            FileError::Damaged { path, altered } => altered.text(path),
            FileError::Durable(error) => error.text(),
        }
    }
}

/// Where the dossier of a home is.
pub fn path(home: &Path) -> PathBuf {
    home.join(FOLDER).join(NAME)
}

/// The dossier of a home; an empty one where none was begun.
///
/// # Errors
/// The file cannot be read, or is no dossier.
pub fn read(home: &Path) -> Result<Dossier, FileError> {
    let path = path(home);
    let mut text = Vec::new();
    match File::open(&path).and_then(|file| file.take(LARGEST.saturating_add(1)).read_to_end(&mut text)) {
        Ok(length) if u64::try_from(length).is_ok_and(|length| length <= LARGEST) => {}
        Ok(_) => return Err(FileError::Content { path, why: format!("more than {LARGEST} bytes") }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Dossier::default()),
        Err(source) => return Err(FileError::Io { path, source }),
    }
    let document = sealed::open(&text).map_err(|altered| FileError::Damaged { path: path.clone(), altered })?;
    let dossier: Dossier = serde_json::from_slice(document)
        .map_err(|error| FileError::Content { path: path.clone(), why: error.to_string() })?;
    if dossier.version > VERSION {
        let why = format!("version {} is newer than this program", dossier.version);
        return Err(FileError::Content { path, why });
    }
    Ok(dossier)
}

/// Changes the dossier of a home: read, changed and replaced while nobody else does. What `change` refuses is not
/// written.
///
/// # Errors
/// The file, wrapped; or what `change` says.
pub fn change<T, E: From<FileError>>(home: &Path, change: impl FnOnce(&mut Dossier) -> Result<T, E>) -> Result<T, E> {
    let folder = home.join(FOLDER);
    let durable = |error: DurableError| E::from(FileError::from(error));
    durable::create_dir_all(&folder).map_err(durable)?;
    let _lock = DirLock::acquire(&folder).map_err(durable)?;
    let mut dossier = read(home)?;
    let done = change(&mut dossier)?;
    let text = serde_json::to_vec_pretty(&dossier)
        .map_err(|error| FileError::Content { path: path(home), why: error.to_string() })?;
    sealed::replace(&path(home), text).map_err(durable)?;
    Ok(done)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "files of a test need not survive a power cut")]

    use super::super::profile::Field;
    use super::*;

    fn named(dossier: &mut Dossier) -> Result<(), FileError> {
        dossier.profile.set(Field::Name, "示例贸易有限公司").expect("a name");
        Ok(())
    }

    #[test]
    fn a_home_without_a_dossier_has_an_empty_one_and_a_change_is_kept() {
        let home = tempfile::tempdir().expect("a folder");
        assert_eq!(read(home.path()).expect("empty"), Dossier::default());
        change(home.path(), named).expect("changed");
        assert_eq!(read(home.path()).expect("read").profile.get(Field::Name), Some("示例贸易有限公司"));
        let refused = change(home.path(), |dossier| {
            *dossier = Dossier::default();
            Err::<(), _>(FileError::Content { path: PathBuf::new(), why: "no".to_owned() })
        });
        assert!(refused.is_err());
        assert!(read(home.path()).expect("read").profile.get(Field::Name).is_some(), "nothing was written");
    }

    #[test]
    fn a_second_writer_is_turned_away() {
        let home = tempfile::tempdir().expect("a folder");
        let folder = home.path().join(FOLDER);
        durable::create_dir_all(&folder).expect("a folder");
        let _lock = DirLock::acquire(&folder).expect("locked");
        assert_eq!(change(home.path(), named).expect_err("locked").code(), "directory-in-use");
    }

    #[test]
    fn a_damaged_dossier_is_told_apart_and_one_of_an_earlier_program_is_read() {
        let home = tempfile::tempdir().expect("a folder");
        change(home.path(), named).expect("changed");
        let whole = std::fs::read_to_string(path(home.path())).expect("read");
        let document = sealed::open(whole.as_bytes()).expect("sealed");
        std::fs::write(path(home.path()), document).expect("written");
        assert!(read(home.path()).expect("without a digest").profile.get(Field::Name).is_some());
        std::fs::write(path(home.path()), whole.replace("示例", "示列")).expect("written");
        assert_eq!(change(home.path(), named).expect_err("damaged").code(), "dossier-damaged");
    }

    #[test]
    fn what_is_no_dossier_is_left_as_it_is() {
        let home = tempfile::tempdir().expect("a folder");
        change(home.path(), named).expect("changed");
        for bad in ["", "{", "[]", "{\"version\":2}", "{\"version\":1,\"stages\":{\"opening\":[{\"state\":\"x\"}]}}"] {
            std::fs::write(path(home.path()), bad).expect("written");
            assert_eq!(change(home.path(), named).expect_err(bad).code(), "dossier-unreadable");
            assert_eq!(std::fs::read_to_string(path(home.path())).expect("read"), bad);
        }
    }
}
