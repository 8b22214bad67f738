//! Publication: what the store promised becomes files in a partner's folders, exactly once.
//!
//! A batch of publications goes through the same steps:
//!
//! | step | durable afterwards | power fails here: at restart |
//! |---|---|---|
//! | 0 a fact with a [`Publication`] was committed | bytes, promise | nothing was renamed: stage again |
//! | 1 write `.staged/<message>.<index><suffix>`, sync them together | staged files | stage again (overwrites) |
//! | 2 fact `Staged` | that nothing but a rename is missing | staged file present: rename it |
//! | 3 rename companions, then the principal file; sync the folders | the files | staged file absent: it *was* published, even if the consumer has taken it already |
//! | 4 fact `Published` | the end | – |
//!
//! The staging folder lies inside the partner's own folder tree, so a rename never crosses a filesystem. A name that
//! is already taken gets the message id in front of its extension; nothing is ever overwritten.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::record::{Content, Fact, Publication, PublicationStage};
use super::{CommitError, PendingPublication, Store, Transaction};
use crate::ground::clock::Clock;
use crate::ground::drain::Shutdown;
use crate::ground::durable;
use crate::ground::id::Id;

/// Publications that share one pass of syncs.
const BATCH: usize = 256;
/// From this many files on, one `syncfs` is cheaper than a sync for each.
const SYNCFS_FROM: usize = 5;
/// Where a partner's files wait for their rename.
pub const STAGING: &str = ".staged";

/// Carries out publications, one batch at a time.
#[derive(Clone)]
pub struct Publisher {
    store: Store,
    exchange: Arc<Path>,
    clock: Arc<dyn Clock>,
}

/// Why a batch could not be published. The next round tries again; nothing is lost meanwhile.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The folders could not be written.
    #[error("publishing into the exchange folders failed: {0}")]
    Files(#[from] io::Error),
    /// The journal refused the facts.
    #[error("recording a publication failed: {0}")]
    Journal(#[from] CommitError),
}

impl Publisher {
    /// A publisher into `exchange/<partner>/…`.
    pub fn new(store: Store, exchange: &Path, clock: Arc<dyn Clock>) -> Publisher {
        Publisher { store, exchange: exchange.into(), clock }
    }

    /// Publishes whatever is pending until shutdown, and once more before it returns.
    pub async fn run(self, shutdown: Shutdown) {
        loop {
            let stopping = shutdown.is_triggered();
            match self.publish_pending().await {
                Ok(published) if published > 0 => continue,
                Ok(_) if stopping => return,
                Ok(_) => self.idle(&shutdown, std::time::Duration::from_secs(30)).await,
                Err(PublishError::Journal(error)) => {
                    tracing::error!(%error, "publication stopped: the journal takes no more facts");
                    return;
                }
                Err(error) if stopping => {
                    tracing::warn!(%error, "files stay staged until the next start");
                    return;
                }
                Err(error) => {
                    tracing::error!(%error, "publication is retried: check space and permissions of the exchange folder");
                    self.idle(&shutdown, std::time::Duration::from_secs(2)).await;
                }
            }
        }
    }

    async fn idle(&self, shutdown: &Shutdown, at_most: std::time::Duration) {
        let wake = self.store.wake_publications();
        tokio::select! {
            () = wake.notified() => {}
            () = shutdown.triggered() => {}
            () = tokio::time::sleep(at_most) => {}
        }
    }

    /// Publishes one batch; returns how many publications it finished.
    pub async fn publish_pending(&self) -> Result<usize, PublishError> {
        let pending = self.store.pending_publications(BATCH);
        if pending.is_empty() {
            return Ok(0);
        }
        let (staged, to_stage): (Vec<_>, Vec<_>) =
            pending.into_iter().partition(|p| matches!(p.stage, PublicationStage::Staged));
        let this = self.clone();
        let to_stage = blocking(move || this.stage(&to_stage).map(|()| to_stage)).await?;
        self.record(&to_stage, |p| Fact::Staged { index: p.index }).await?;
        let batch: Vec<_> = staged.into_iter().chain(to_stage).collect();
        let this = self.clone();
        let named = blocking(move || this.rename(batch)).await?;
        self.record(&named, |(p, name)| Fact::Published { index: p.index, name: name.clone() }).await?;
        Ok(named.len())
    }

    async fn record<T: HasId>(&self, items: &[T], fact: impl Fn(&T) -> Fact) -> Result<(), CommitError> {
        if items.is_empty() {
            return Ok(());
        }
        let mut transaction = Transaction::new(self.clock.now());
        for item in items {
            transaction.fact(item.id(), fact(item));
        }
        self.store.commit(transaction).await.map(drop)
    }

    /// Step 1: every file of the batch lies in `.staged/` and survives a power cut.
    fn stage(&self, batch: &[PendingPublication]) -> io::Result<()> {
        let mut written = Vec::new();
        let mut folders = BTreeSet::new();
        for pending in batch {
            let staging = self.exchange.join(&pending.partner).join(STAGING);
            durable::create_dir_all(&staging)?;
            for (suffix, content) in &pending.publication.files {
                let path = staged_path(&staging, pending, suffix);
                written.push(self.write_staged(&path, content)?);
            }
            folders.insert(staging);
        }
        match folders.first() {
            Some(folder) if written.len() >= SYNCFS_FROM => Ok(durable::sync_filesystem(folder)?),
            _ => {
                for file in &written {
                    file.sync_data()?;
                }
                Ok(folders.iter().try_for_each(|folder| durable::fsync_dir(folder))?)
            }
        }
    }

    fn write_staged(&self, path: &Path, content: &Content) -> io::Result<File> {
        let file = File::create(path)?;
        let mut out = BufWriter::with_capacity(64 * 1024, file);
        match content {
            Content::Text(text) => out.write_all(text.as_bytes())?,
            Content::Body(body) => {
                let mut reader = self.store.read(body)?;
                let copied = io::copy(&mut reader.by_ref().take(body.len), &mut out)?;
                if copied != body.len {
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a stored body is shorter than recorded"));
                }
            }
        }
        out.into_inner().map_err(io::IntoInnerError::into_error)
    }

    /// Step 3: companions first, the principal file last; then the folders are synced.
    fn rename(&self, batch: Vec<PendingPublication>) -> io::Result<Vec<(PendingPublication, String)>> {
        let mut named = Vec::with_capacity(batch.len());
        let mut folders = BTreeSet::new();
        for pending in batch {
            let home = self.exchange.join(&pending.partner);
            let target = home.join(pending.publication.folder.name());
            durable::create_dir_all(&target)?;
            let staging = home.join(STAGING);
            let name = rename_group(&staging, &target, &pending)?;
            folders.insert(target);
            folders.insert(staging);
            named.push((pending, name));
        }
        folders.iter().try_for_each(|folder| durable::fsync_dir(folder))?;
        Ok(named)
    }
}

/// Moves one publication's files; a missing principal file means that it was done before a crash.
fn rename_group(staging: &Path, target: &Path, pending: &PendingPublication) -> io::Result<String> {
    let plain = pending.publication.name.clone();
    let unique = name_with_id(&plain, &pending.message);
    if !staged_path(staging, pending, "").exists() {
        let name = if target.join(&unique).exists() { unique } else { plain };
        return Ok(name);
    }
    let mut name = if is_free(target, &pending.publication, staging, pending, &plain) { plain } else { unique.clone() };
    for (suffix, _) in in_order(&pending.publication) {
        let from = staged_path(staging, pending, suffix);
        match durable::rename_noreplace_unsynced(&from, &target.join(format!("{name}{suffix}"))) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound && !suffix.is_empty() => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && name != unique => {
                name.clone_from(&unique);
                durable::rename_noreplace_unsynced(&from, &target.join(format!("{name}{suffix}")))?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(name)
}

/// No file of the publication would meet a stranger. A companion that is gone from staging is our own, moved before a
/// crash.
fn is_free(target: &Path, publication: &Publication, staging: &Path, pending: &PendingPublication, name: &str) -> bool {
    publication.files.iter().all(|(suffix, _)| {
        let taken = target.join(format!("{name}{suffix}")).symlink_metadata().is_ok();
        !taken || !staged_path(staging, pending, suffix).exists()
    })
}

/// Companions in their order, then the principal file.
fn in_order(publication: &Publication) -> impl Iterator<Item = &(String, Content)> {
    let companions = publication.files.iter().filter(|(suffix, _)| !suffix.is_empty());
    companions.chain(publication.files.iter().filter(|(suffix, _)| suffix.is_empty()))
}

fn staged_path(staging: &Path, pending: &PendingPublication, suffix: &str) -> PathBuf {
    staging.join(format!("{}.{}{suffix}", pending.message, pending.index))
}

/// `order.xml` → `order.<id>.xml`.
fn name_with_id(name: &str, id: &Id) -> String {
    match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => format!("{stem}.{id}.{extension}"),
        _ => format!("{name}.{id}"),
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

/// What a fact about a publication is recorded under.
trait HasId {
    fn id(&self) -> Id;
}

impl HasId for PendingPublication {
    fn id(&self) -> Id {
        self.message
    }
}

impl HasId for (PendingPublication, String) {
    fn id(&self) -> Id {
        self.0.message
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_name_gets_the_message_id_before_its_extension() {
        let id = Id::from_bytes([7; 16]);
        assert_eq!(name_with_id("订单.xml", &id), format!("订单.{id}.xml"));
        assert_eq!(name_with_id("noext", &id), format!("noext.{id}"));
        assert_eq!(name_with_id(".hidden", &id), format!(".hidden.{id}"));
    }
}
