//! Backing up a running gateway: which files of the home belong to it, one backup at a time, how far it is.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::config::Config;
use crate::connectivity::Shelf;
use crate::console::{BackupStatus, Refusal};
use crate::ground::clock::Clock;
use crate::ground::drain;
use crate::store::Store;
use crate::store::backup::{BackupError, Beside, HomeFile, Manifest};

/// Largest file of the home that is backed up, in bytes.
const HOME_FILE: u64 = 4 * 1024 * 1024;
/// Keys of configuration files whose values are secrets in the clear, or programs: never in a backup.
const NEVER: [&str; 5] = ["passphrase_file", "token_file", "password_file", "secret_file", "program"];
/// Keys whose values are files that a backup should have.
const FILES: [&str; 8] =
    ["certificate", "certificates", "chain", "file", "ca_file", "client_ca", "bundle", "trusted_certificate"];
/// Keys whose values are such files, or folders of them.
const LISTS: [&str; 2] = ["revocation", "lists"];
/// Keys whose values are private keys, encrypted or not, or as secret: passwords are hashed, secrets of one-time codes are not.
const KEYS: [&str; 4] = ["private_key", "pkcs12", "key", "users_file"];

/// The one backup that may run.
#[derive(Debug, Clone, Default)]
pub(super) struct BackupJob(Arc<Mutex<BackupStatus>>);

impl BackupJob {
    pub(super) fn status(&self) -> BackupStatus {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Starts a backup into `dir` unless one runs.
    pub(super) fn start(
        &self,
        config: &Arc<Config>,
        store: &Store,
        clock: &Arc<dyn Clock>,
        dir: PathBuf,
        keys: bool,
    ) -> Result<(), Refusal> {
        place(config, &dir).map_err(|error| refusal(&error))?;
        {
            let mut status = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if status.running {
                let text = crate::bilingual!("已有备份正在进行。", "a backup is running already.");
                return Err(Refusal { status: 409, code: "backup-running".to_owned(), text });
            }
            *status = BackupStatus { running: true, ..BackupStatus::default() };
        }
        let (job, config, store, clock) = (self.clone(), config.clone(), store.clone(), clock.clone());
        drop(drain::blocking(move || {
            let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let beside = beside(&config, keys);
                store.backup(&dir, &beside, clock.now(), &|progress| job.set(|status| status.progress = progress))
            }));
            let ended = ended.unwrap_or_else(|_| Err(BackupError::Journal("the backup broke off".to_owned())));
            job.end(&ended, &dir);
        }));
        Ok(())
    }

    fn set(&self, change: impl FnOnce(&mut BackupStatus)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn end(&self, ended: &Result<Manifest, BackupError>, dir: &Path) {
        match ended {
            Ok(manifest) => {
                tracing::info!(dir = %dir.display(), sequence = manifest.sequence, "backed up");
                self.set(|status| {
                    status.sequence = Some(manifest.sequence);
                    status.chain = Some(manifest.chain.clone());
                    status.bytes = manifest.bytes();
                    status.files = (manifest.data.len() + manifest.home.len()) as u64;
                    status.left_out = manifest.left_out.clone();
                });
            }
            Err(error) => {
                tracing::error!(dir = %dir.display(), %error, code = error.code(), "the backup failed");
                self.set(|status| status.failed = Some((error.code().to_owned(), error.text())));
            }
        }
        self.set(|status| status.running = false);
    }
}

fn refusal(error: &BackupError) -> Refusal {
    Refusal { status: 400, code: error.code().to_owned(), text: error.text() }
}

/// Outside of what is backed up, and told without doubt.
fn place(config: &Config, dir: &Path) -> Result<(), BackupError> {
    let plain = dir.components().all(|part| !matches!(part, Component::ParentDir));
    let real = |path: &Path| {
        let known = path.ancestors().find_map(|part| Some((part.canonicalize().ok()?, path.strip_prefix(part).ok()?)));
        known.map_or_else(|| path.to_path_buf(), |(known, rest)| known.join(rest))
    };
    // Neither inside nor around: a backup into the parent of the data folder would write over the journal itself.
    let apart = |folder: &Path| {
        let (dir, folder) = (real(dir), real(folder));
        !dir.starts_with(&folder) && !folder.starts_with(&dir)
    };
    if dir.is_absolute() && plain && apart(&config.folders.data) && apart(&config.folders.exchange) {
        return Ok(());
    }
    Err(BackupError::Place(dir.to_path_buf()))
}

/// Configuration, partner files, and the files they name inside the home. What lies outside of it is named, not taken:
/// a restore would not know where to put it.
pub(super) fn beside(config: &Config, keys: bool) -> Beside {
    let name = config.file.file_name().and_then(|name| name.to_str()).filter(|name| *name != "gateway.toml");
    let mut beside = Beside { keys, configuration: name.map(str::to_owned), ..Beside::default() };
    let mut named = BTreeSet::new();
    let mut files = vec![config.file.clone()];
    let partners = fs::read_dir(&config.folders.partners).into_iter().flatten().flatten().map(|entry| entry.path());
    files.extend(partners.filter(|path| path.extension().is_some_and(|extension| extension == "toml")));
    files.sort();
    for file in files {
        if let Some(text) = add(config, &file, &mut beside)
            && let Ok(table) = String::from_utf8(text).unwrap_or_default().parse::<toml::Table>()
        {
            gather(&toml::Value::Table(table), "", &mut named);
        }
    }
    by_default(config, &mut named);
    let tables = crate::config::tables::files(&config.precheck.tables).map(|(_, table)| table);
    // The one that production waits for may be another home's: then it is named.
    let dossiers = [&config.home, &config.onboarding.home].map(|home| crate::onboarding::file::path(home));
    for file in tables.chain(dossiers).chain(plans(config)).filter(|file| file.is_file()) {
        add(config, &file, &mut beside);
    }
    for (key, value) in named {
        let path = config.home.join(&value);
        let is_one_of = |keys: &[&str]| keys.contains(&key.as_str());
        let wanted = is_one_of(&FILES) || is_one_of(&LISTS) || keys && is_one_of(&KEYS);
        let concerns = wanted || is_one_of(&NEVER) || is_one_of(&KEYS);
        let named = if is_one_of(&LISTS) && path.is_dir() { entries(&path) } else { vec![(path, value)] };
        for (path, value) in named {
            if !concerns || !path.is_file() {
                continue;
            }
            let secret = fs::read(&path).is_ok_and(|bytes| memchr::memmem::find(&bytes, b"PRIVATE KEY").is_some());
            if wanted && (keys || !secret) {
                add(config, &path, &mut beside);
            } else {
                beside.left_out.push(value);
            }
        }
    }
    beside
}

/// The files that `gateway.toml` need not name, where it does not.
fn by_default(config: &Config, named: &mut BTreeSet<(String, String)>) {
    for (key, file) in [("users_file", &config.console.users_file), ("token_file", &config.console.token_file)] {
        if named.iter().all(|(known, _)| known != key) {
            let shown = file.strip_prefix(&config.home).unwrap_or(file);
            named.insert((key.to_owned(), shown.display().to_string()));
        }
    }
}

/// Plans of connectivity tests that are the home's own.
fn plans(config: &Config) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = entries(Shelf::of(&config.home).folder()).into_iter().map(|(path, _)| path).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    files
}

/// What is in a folder, each with its name for people.
fn entries(folder: &Path) -> Vec<(PathBuf, String)> {
    let paths = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    paths.map(|path| (path.clone(), path.display().to_string())).collect()
}

/// Adds one file of the home; returns its content.
fn add(config: &Config, path: &Path, beside: &mut Beside) -> Option<Vec<u8>> {
    let inside = path.strip_prefix(&config.home).ok().and_then(|path| {
        // A part that leads outside again makes it a path outside.
        let parts = path.components().map(|part| match part {
            Component::Normal(name) => name.to_str().filter(|name| !name.contains('\\')),
            _ => None,
        });
        parts.collect::<Option<Vec<&str>>>().map(|parts| parts.join("/"))
    });
    let fits = fs::metadata(path).is_ok_and(|metadata| metadata.len() <= HOME_FILE);
    match (inside, fits.then(|| fs::read(path))) {
        (Some(name), Some(Ok(bytes))) => {
            if !beside.home.iter().any(|file| file.path == name) {
                beside.home.push(HomeFile { path: name, bytes: bytes.clone() });
            }
            Some(bytes)
        }
        (None, Some(Ok(bytes))) => {
            beside.left_out.push(path.display().to_string());
            Some(bytes)
        }
        _ => {
            beside.left_out.push(path.display().to_string());
            None
        }
    }
}

/// Every text of a table with the key it stands under.
fn gather(value: &toml::Value, key: &str, named: &mut BTreeSet<(String, String)>) {
    match value {
        toml::Value::String(text) => drop(named.insert((key.to_owned(), text.clone()))),
        toml::Value::Array(values) => values.iter().for_each(|value| gather(value, key, named)),
        toml::Value::Table(table) => table.iter().for_each(|(key, value)| gather(value, key, named)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::config::home::{Home, HomePlan, create};
    use crate::ground::clock::SystemClock;
    use crate::ground::durable;
    use crate::keys::save;
    use crate::onboarding::file::{self, FileError};

    const USERS: &str = "keys/console.users";

    fn home(folder: &Path) -> Home {
        let plan = HomePlan {
            dxpid: None,
            as2_name: "STATION".to_owned(),
            name: None,
            as2_listen: ([127, 0, 0, 1], 4080).into(),
            console_listen: ([127, 0, 0, 1], 4081).into(),
            key_bits: 2048,
        };
        create(&folder.join("home"), &plan, SystemClock.now()).expect("made")
    }

    #[test]
    fn a_folder_of_revocation_lists_belongs_to_a_backup_and_a_key_in_it_does_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let home = home(folder.path());
        let lists = home.folder.join("crls");
        fs::create_dir(&lists).expect("made");
        durable::write_new(&lists.join("ca.crt"), include_bytes!("../../certs-example/customs.crt")).expect("written");
        let text = fs::read_to_string(&home.file).expect("read") + "\n[revocation]\nlists = \"crls\"\n";
        fs::remove_file(&home.file).expect("removed");
        durable::write_new(&home.file, text.as_bytes()).expect("written");
        let config = config::load(&home.file, &|_| None, SystemClock.now()).expect("loads");
        durable::write_new(&lists.join("stray.key"), b"-----BEGIN PRIVATE KEY-----").expect("written");
        let beside = beside(&config, false);
        let taken: Vec<&str> = beside.home.iter().map(|file| file.path.as_str()).collect();
        assert!(taken.contains(&"crls/ca.crt") && !taken.contains(&"crls/stray.key"), "{taken:?}");
        assert!(beside.left_out.iter().any(|file| file.ends_with("stray.key")), "{:?}", beside.left_out);
    }

    fn taken(beside: &Beside) -> Vec<&str> {
        beside.home.iter().map(|file| file.path.as_str()).collect()
    }

    #[test]
    fn a_backup_with_keys_takes_the_users_that_no_file_names_and_one_without_them_says_that_they_are_missing() {
        let folder = tempfile::tempdir().expect("a folder");
        let home = home(folder.path());
        let config = config::load(&home.file, &|_| None, SystemClock.now()).expect("loads");
        let none = beside(&config, true);
        assert!(none.left_out.iter().all(|file| file != USERS), "there are none yet: {:?}", none.left_out);
        save::private(&home.folder.join(USERS), b"{\"users\":[],\"tokens\":[]}").expect("written");
        let (with, without) = (beside(&config, true), beside(&config, false));
        assert!(taken(&with).contains(&USERS), "{:?}", taken(&with));
        assert!(!with.left_out.iter().any(|file| file == USERS), "{:?}", with.left_out);
        assert!(!taken(&without).contains(&USERS), "{:?}", taken(&without));
        assert!(without.left_out.iter().any(|file| file == USERS), "{:?}", without.left_out);
    }

    #[test]
    fn the_token_is_in_no_backup_and_is_said_to_be_missing_even_where_no_file_names_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let home = home(folder.path());
        let text = fs::read_to_string(&home.file).expect("read").replace("token_file = \"keys/console.token\"", "");
        fs::remove_file(&home.file).expect("removed");
        durable::write_new(&home.file, text.as_bytes()).expect("written");
        let config = config::load(&home.file, &|_| None, SystemClock.now()).expect("loads");
        let beside = beside(&config, true);
        assert!(!taken(&beside).contains(&"keys/console.token"), "{:?}", taken(&beside));
        assert!(beside.left_out.iter().any(|file| file == "keys/console.token"), "{:?}", beside.left_out);
    }

    #[test]
    fn a_backup_takes_the_homes_own_plans_of_connectivity_tests() {
        let folder = tempfile::tempdir().expect("a folder");
        let home = home(folder.path());
        let config = config::load(&home.file, &|_| None, SystemClock.now()).expect("loads");
        let plans = home.folder.join("connectivity");
        durable::create_dir_all(&plans).expect("made");
        for name in ["own.toml", "notes.txt"] {
            durable::write_new(&plans.join(name), b"name = 'own'").expect("written");
        }
        let beside = beside(&config, false);
        let taken = taken(&beside);
        assert!(taken.contains(&"connectivity/own.toml") && !taken.contains(&"connectivity/notes.txt"), "{taken:?}");
    }

    #[test]
    fn a_backup_takes_the_dossier() {
        let folder = tempfile::tempdir().expect("a folder");
        let home = home(folder.path());
        let config = config::load(&home.file, &|_| None, SystemClock.now()).expect("loads");
        let taken = || beside(&config, false).home.into_iter().map(|file| file.path).collect::<Vec<_>>();
        assert!(!taken().contains(&"onboarding/dossier.json".to_owned()));
        file::change(&home.folder, |dossier| {
            dossier
                .issue("DXPENT0000012345", jiff::civil::date(2026, 6, 1))
                .map_err(|refused| FileError::Content { path: PathBuf::new(), why: refused.to_string() })
        })
        .expect("changed");
        assert!(taken().contains(&"onboarding/dossier.json".to_owned()), "{:?}", taken());
    }

    #[test]
    fn a_backup_names_the_program_of_alerts_and_the_dossier_of_another_home() {
        let folder = tempfile::tempdir().expect("a folder");
        let home = home(folder.path());
        let test = folder.path().join("test");
        durable::create_dir_all(&test).expect("made");
        file::change(&test, |dossier| {
            dossier
                .issue("DXPENT0000012345", jiff::civil::date(2026, 6, 1))
                .map_err(|refused| FileError::Content { path: PathBuf::new(), why: refused.to_string() })
        })
        .expect("changed");
        durable::write_new(&home.folder.join("tell"), b"#!/bin/sh\n").expect("written");
        let more = "\n[alerts.command]\nprogram = \"tell\"\n\n[onboarding]\nhome = \"../test\"\n";
        let text = fs::read_to_string(&home.file).expect("read") + more;
        fs::remove_file(&home.file).expect("removed");
        durable::write_new(&home.file, text.as_bytes()).expect("written");
        let config = config::load(&home.file, &|_| None, SystemClock.now()).expect("loads");
        let beside = beside(&config, true);
        assert!(!taken(&beside).contains(&"tell"), "{:?}", taken(&beside));
        assert!(beside.left_out.iter().any(|file| file == "tell"), "{:?}", beside.left_out);
        assert!(
            beside.left_out.iter().any(|file| file.ends_with("test/onboarding/dossier.json")),
            "{:?}",
            beside.left_out
        );
    }
}
