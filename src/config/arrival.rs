//! A certificate comes into the home beside the one it follows: its files into `keys/`, a table at the end of the
//! partner's file or of `gateway.toml`. The whole configuration is read again then; if it does not hold, everything is
//! taken back.

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::home::quoted;
use super::{Environment, Problems};
use crate::bilingual;
use crate::cms::Certificate;
use crate::ground::durable::{self, DurableError};
use crate::ground::text::Bilingual;
use crate::keys::save;

/// What comes into the home.
#[derive(Debug)]
pub struct Arrival {
    /// The certificate's file and what is in it.
    pub certificate_file: (PathBuf, Vec<u8>),
    /// The same of its private key, when it is ours.
    pub key_file: Option<(PathBuf, Vec<u8>)>,
    /// The configuration file and the table that is added to it.
    pub configuration: (PathBuf, String),
}

/// Why a certificate did not come into the home; nothing of it is left there.
#[derive(Debug, thiserror::Error)]
pub enum ArrivalError {
    /// A file of the configuration cannot be read.
    #[error("{0}: {1}")]
    Unreadable(PathBuf, io::Error),
    /// A file cannot be written.
    #[error(transparent)]
    Unwritten(#[from] DurableError),
    /// The configuration would not hold with it.
    #[error("the configuration would not hold")]
    Problems(Problems),
}

impl ArrivalError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            ArrivalError::Unreadable(..) => "configuration-unreadable",
            ArrivalError::Unwritten(error) => error.code(),
            ArrivalError::Problems(problems) => {
                problems.errors().next().map_or("configuration-invalid", |one| one.code)
            }
        }
    }

    /// What happened and what to do.
    pub fn text(&self) -> Bilingual {
        match self {
            ArrivalError::Unreadable(path, error) => {
                let path = path.display();
                bilingual!("无法读取 {path}：{error}。", "{path} cannot be read: {error}.")
            }
            ArrivalError::Unwritten(error) => error.text(),
            ArrivalError::Problems(problems) => match problems.errors().next() {
                Some(first) => first.text.clone(),
                None => bilingual!("配置无效。", "the configuration would not hold."),
            },
        }
    }
}

impl Arrival {
    /// A certificate of the partner `id`, whose configuration is `partner_file`, in PEM or DER as it came.
    pub fn of_partner(
        home: &Path,
        (id, partner_file): (&str, &Path),
        (certificate, bytes): (&Certificate, Vec<u8>),
        uses: &[&str],
        window: (Option<Timestamp>, Option<Timestamp>),
    ) -> Arrival {
        let file = format!("keys/{id}-{}.crt", short(certificate));
        let uses = (!uses.is_empty()).then(|| words(uses));
        let table = table("certificates", [("file", Some(quoted(&file))), ("use", uses)], window);
        Arrival {
            certificate_file: (home.join(file), bytes),
            key_file: None,
            configuration: (partner_file.to_owned(), table),
        }
    }

    /// Writes the files and adds the table; takes all of it back unless the configuration in `gateway` holds at `now`.
    ///
    /// # Errors
    /// [`ArrivalError`].
    pub fn put(&self, gateway: &Path, environment: Environment<'_>, now: Timestamp) -> Result<(), ArrivalError> {
        let (file, table) = &self.configuration;
        let before = std::fs::read(file).map_err(|error| ArrivalError::Unreadable(file.clone(), error))?;
        let text = String::from_utf8_lossy(&before);
        let after = format!("{}\n\n{table}", text.trim_end());
        let written = self.write_files().map_err(ArrivalError::from);
        let configured = written.and_then(|()| {
            let replaced = durable::replace_as_before(file, after.as_bytes()).map_err(ArrivalError::from);
            let holds = || super::load(gateway, environment, now).map(drop).map_err(ArrivalError::Problems);
            // The file is put back only where this call has changed it.
            replaced.and_then(|()| holds()).inspect_err(|_| drop(durable::replace_as_before(file, &before)))
        });
        configured.inspect_err(|_| self.remove_files())
    }

    /// [`put`](Arrival::put) for all of them, or for none.
    ///
    /// # Errors
    /// That of the first that cannot be put.
    pub fn put_all(
        arrivals: &[Arrival],
        gateway: &Path,
        environment: Environment<'_>,
        now: Timestamp,
    ) -> Result<(), ArrivalError> {
        for (number, arrival) in arrivals.iter().enumerate() {
            let put = arrival.put(gateway, environment, now);
            put.inspect_err(|_| arrivals.iter().take(number).rev().for_each(Arrival::take_back))?;
        }
        Ok(())
    }

    /// Takes out again what was put, unless the configuration was changed since.
    fn take_back(&self) {
        let (file, table) = &self.configuration;
        let text = std::fs::read_to_string(file).unwrap_or_default();
        if let Some(before) = text.strip_suffix(&format!("\n\n{table}"))
            && durable::replace_as_before(file, format!("{before}\n").as_bytes()).is_ok()
        {
            self.remove_files();
        }
    }

    /// Only what this call has made: a name that was taken holds something else.
    fn remove_files(&self) {
        let files = [Some(&self.certificate_file), self.key_file.as_ref()];
        let made = files.into_iter().flatten().filter(|(path, bytes)| holds(path, bytes));
        made.for_each(|(path, _)| drop(std::fs::remove_file(path)));
    }

    fn write_files(&self) -> Result<(), DurableError> {
        let (certificate, bytes) = &self.certificate_file;
        if let Some(folder) = certificate.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            durable::create_dir_all(folder)?;
        }
        // The key first: a certificate whose key was lost is the worse half to be left with.
        if let Some((path, bytes)) = &self.key_file {
            save::private_as_folder(path, bytes)?;
        }
        // An earlier call may have come as far as this.
        if holds(certificate, bytes) { Ok(()) } else { durable::write_new_as_folder(certificate, bytes) }
    }
}

fn holds(path: &Path, bytes: &[u8]) -> bool {
    std::fs::read(path).is_ok_and(|found| found == bytes)
}

/// `[[name]]` with these keys, and when it is used.
pub fn table<const N: usize>(
    name: &str,
    keys: [(&str, Option<String>); N],
    (from, until): (Option<Timestamp>, Option<Timestamp>),
) -> String {
    let instant = |at: Timestamp| quoted(&at.to_string());
    let window = [("from", from.map(instant)), ("until", until.map(instant))];
    let lines = keys.into_iter().chain(window).filter_map(|(key, value)| Some(format!("{key} = {}\n", value?)));
    format!("[[{name}]]\n{}", lines.collect::<String>())
}

/// The beginning of the fingerprint: enough to tell the files of a home apart.
pub fn short(certificate: &Certificate) -> String {
    certificate.fingerprint().to_string().chars().take(12).collect()
}

fn words(uses: &[&str]) -> String {
    let uses: Vec<String> = uses.iter().map(|word| quoted(word)).collect();
    format!("[{}]", uses.join(", "))
}
