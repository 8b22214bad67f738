//! A data folder is of one environment for ever: `data/environment` says of which.

use std::fs;
use std::io;

use super::error::StartError;
use crate::config::Config;
use crate::ground::durable;
use crate::store::backup::ENVIRONMENT;

/// Bytes looked at.
const LOOKED_AT: usize = 64;

/// Writes down whose the folder is, or compares.
///
/// # Errors
/// It is of the other environment; the file can be neither read nor written.
pub(super) fn claim(config: &Config) -> Result<(), StartError> {
    let (folder, own) = (&config.folders.data, config.station.environment.name.name());
    let file = folder.join(ENVIRONMENT);
    match fs::read_to_string(&file) {
        Ok(found) if found.trim() == own => Ok(()),
        Ok(found) => {
            let found = found.trim().chars().take(LOOKED_AT).collect();
            Err(StartError::Environment { folder: folder.clone(), found })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Ok(durable::write_new(&file, format!("{own}\n").as_bytes())?)
        }
        Err(error) => {
            let shown = file.display();
            Err(StartError::Internal(format!("{shown} cannot be read: {error}")))
        }
    }
}
