//! Files of bodies that are no longer kept go at once, but while a backup is made: it is as of a frame that may still
//! name them. What waits when the process ends is swept at the next start, as a file that no fact names.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::body;
use crate::ground::durable;
use crate::ground::id::Id;

/// Removes files of bodies, now or when nobody copies them any more.
#[derive(Debug)]
pub(super) struct Leaving {
    bodies: PathBuf,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    backups: usize,
    files: Vec<Id>,
}

/// While this lives, files of bodies stay.
#[derive(Debug)]
pub(super) struct Stay(Arc<Leaving>);

impl Leaving {
    /// For the files in `bodies`.
    pub(super) fn new(bodies: PathBuf) -> Leaving {
        Leaving { bodies, waiting: Mutex::default() }
    }

    /// These bodies are no longer kept.
    pub(super) fn remove(&self, files: &[Id]) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.backups > 0 {
            waiting.files.extend_from_slice(files);
            return;
        }
        drop(waiting);
        for id in files {
            if let Err(error) = durable::remove_unsynced(&body::path(&self.bodies, id)) {
                tracing::warn!(%id, %error, "an expired body could not be removed before the next start");
            }
        }
    }

    /// Holds removals up.
    pub(super) fn stay(self: &Arc<Leaving>) -> Stay {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.backups = waiting.backups.saturating_add(1);
        drop(waiting);
        Stay(self.clone())
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.backups = waiting.backups.saturating_sub(1);
        let files = if waiting.backups == 0 { std::mem::take(&mut waiting.files) } else { Vec::new() };
        drop(waiting);
        self.0.remove(&files);
    }
}
