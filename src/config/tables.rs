//! Code tables of the pre-check, from a folder of CSV files: `customs.csv`, `country.csv` and so on, the code in the
//! first column. UTF-8, or GB18030 as spreadsheets in China save it.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use encoding_rs::GB18030;

use crate::bilingual;
use crate::declaration::precheck::codes::{CodeTables, List};
use crate::ground::text::Bilingual;

/// Bytes of the largest table; the tariff has some fifteen thousand lines.
const MAX_TABLE: u64 = 16 * 1024 * 1024;

/// Why the tables of a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The folder or a file in it cannot be read.
    #[error("{path} cannot be read: {error}", path = .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file holds no code, or is too large to be a table.
    #[error("{path} holds no code", path = .path.display())]
    Empty {
        /// Which.
        path: PathBuf,
    },
}

impl TableError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            TableError::Unreadable { .. } => "table-unreadable",
            TableError::Empty { .. } => "table-empty",
        }
    }

    /// What happened and what to do.
    pub fn text(&self) -> Bilingual {
        match self {
            TableError::Unreadable { path, error } => {
                let path = path.display();
                bilingual!(
                    "无法读取代码表 {path}：{error}。请检查路径和权限。",
                    "the code table {path} cannot be read: {error}. Check the path and its permissions."
                )
            }
            TableError::Empty { path } => {
                let path = path.display();
                bilingual!(
                    "{path} 中没有代码；每行一个代码，代码在第一列，文件不超过 16 MiB。",
                    "{path} holds no code; write one per line, in the first column, in at most 16 MiB."
                )
            }
        }
    }
}

/// The built-in code lists and those of the folder.
///
/// # Errors
/// The folder is not there, or a table in it cannot be read or holds no code.
pub fn load(folder: &Path) -> Result<CodeTables, TableError> {
    let unreadable = |path: &Path, error| TableError::Unreadable { path: path.to_owned(), error };
    std::fs::read_dir(folder).map_err(|error| unreadable(folder, error))?;
    let mut tables = CodeTables::default();
    for path in files(folder) {
        let (list, path) = path;
        let mut bytes = Vec::new();
        match File::open(&path).and_then(|file| file.take(MAX_TABLE + 1).read_to_end(&mut bytes)) {
            Ok(_) => {
                let large = u64::try_from(bytes.len()).map_or(true, |length| length > MAX_TABLE);
                if large || tables.load(list, &text(bytes)) == 0 {
                    return Err(TableError::Empty { path });
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(unreadable(&path, error)),
        }
    }
    Ok(tables)
}

/// The same, where a folder that is not there has no tables.
///
/// # Errors
/// A table cannot be read or holds no code.
pub fn load_if_there(folder: &Path) -> Result<CodeTables, TableError> {
    match load(folder) {
        Err(TableError::Unreadable { path, error }) if path == folder && error.kind() == io::ErrorKind::NotFound => {
            Ok(CodeTables::default())
        }
        loaded => loaded,
    }
}

/// Where each table of a folder would be.
pub fn files(folder: &Path) -> impl Iterator<Item = (List, PathBuf)> {
    let folder = folder.to_owned();
    List::ALL.into_iter().map(move |list| (list, folder.join(format!("{}.csv", list.name()))))
}

/// The tables in use and their sizes, in one line.
pub fn describe(tables: &CodeTables) -> String {
    let lists: Vec<_> = tables.loaded().iter().map(|(list, count)| format!("{} ({count})", list.name())).collect();
    lists.join(", ")
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| GB18030.decode(error.as_bytes()).0.into_owned())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "files of a test need not survive a power cut")]

    use super::*;

    #[test]
    fn a_folder_adds_its_tables_in_utf_8_and_gb18030() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("customs.csv"), "code,name\n0100,北京关区\n0400,石家庄区\n")
            .expect("written");
        let (gb, ..) = GB18030.encode("502,美国\n142,中国\n");
        std::fs::write(folder.path().join("country.csv"), gb).expect("written");
        let tables = load(folder.path()).expect("loaded");
        assert_eq!(describe(&tables), "unit (122), trafmode (18), country (2), customs (2)");
        assert_eq!((tables.has(List::Customs, "0400"), tables.has(List::Country, "999")), (Some(true), Some(false)));
    }

    #[test]
    fn what_cannot_be_read_is_told_and_a_folder_may_be_missing() {
        let folder = tempfile::tempdir().expect("a folder");
        let missing = folder.path().join("tables");
        assert_eq!(load(&missing).expect_err("missing").code(), "table-unreadable");
        assert_eq!(describe(&load_if_there(&missing).expect("built-in")), "unit (122), trafmode (18)");
        std::fs::write(folder.path().join("hs.csv"), "code,name\n").expect("written");
        let error = load_if_there(folder.path()).expect_err("empty");
        assert!(error.code() == "table-empty" && error.text().zh.contains("hs.csv"), "{error}");
    }
}
