//! Publication: what the store promised becomes files in a partner's folders, exactly once.
//!
//! A batch of publications goes through the same steps:
//!
//! | step | durable afterwards | power fails here: at restart |
//! |---|---|---|
//! | 0 a fact with a [`Publication`](super::record::Publication) was committed | bytes, promise | nothing was renamed: stage again |
//! | 1 write `.staged/<message>.<index><suffix>`, sync each, or with many files their filesystems | staged files | stage again (overwrites) |
//! | 2 fact `Staged` | that nothing but a rename is missing | staged file present: compare it with the promise, rename it; `.staged` itself absent: stage again |
//! | 3 rename companions, then the principal file; sync the folders | the files | staged file absent from `.staged`: it *was* published, even if the consumer has taken it already |
//! | 4 fact `Published` | the end | – |
//!
//! Who has seen a file staged and has not renamed it since does not take its absence for publication: it is staged again. A
//! `.staged` that is missing is not the one that the files were put into (`staging.rs` makes a new one).
//!
//! In a home restored from a backup nothing is staged, whatever the journal says: once a person lets it go on, it is staged anew.
//!
//! Each publication succeeds or fails by itself: what cannot be created, written or renamed waits, from two seconds
//! doubling to five minutes (on a full disk to eight seconds), while the others go on. A failed *sync* is another matter: what is durable is unknown
//! then and a second sync would lie, so it poisons the store.
//!
//! The staging folder lies inside the partner's own folder tree, so a rename never crosses a filesystem. A name that
//! is already taken gets the message id in front of its extension, then the publication's index and a count as well,
//! until it is free; nothing is ever overwritten.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use self::folders::{Folders, one_of_each_filesystem, sync_folders};
use self::waiting::{Seen, Waiting};
use super::body;
use super::record::{Body, Content, Fact, PublicationStage};
use super::{CommitError, PendingPublication, Store, Transaction};
use crate::ground::clock::Clock;
use crate::ground::drain::{self, Shutdown};
use crate::ground::durable::{self, DurableError, PastCache};
use crate::ground::fault::{self, within};

mod folders;
mod mend;
mod naming;
mod originals;
mod staging;
mod waiting;

pub use originals::{ORIGINAL_FROM, original_path};
pub use staging::prepare_staging;
pub use waiting::Unpublished;

/// Publications that share one pass of syncs.
const BATCH: usize = 256;
/// From this many files on, one `syncfs` is cheaper than a sync for each.
const SYNCFS_FROM: usize = 5;
/// Longest time without looking for publications.
const IDLE: Duration = Duration::from_secs(30);
/// Originals that nobody will publish any more are looked for this often, and at the start.
const SWEPT_EVERY: Duration = Duration::from_secs(3600);
/// Where a partner's files wait for their rename.
pub const STAGING: &str = ".staged";

/// Carries out publications, one batch at a time. Clones share what they know about failures.
#[derive(Clone)]
pub struct Publisher {
    store: Store,
    exchange: Arc<Path>,
    clock: Arc<dyn Clock>,
    waiting: Arc<Mutex<Waiting>>,
}

/// Why nothing can be published any more.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// A sync of the exchange folders failed: what is durable there is unknown. The store is poisoned.
    #[error("a sync of the exchange folders failed: {0}")]
    Sync(io::Error),
    /// The journal takes no more facts: the store is poisoned or closed.
    #[error("recording a publication failed: {0}")]
    Journal(CommitError),
    /// The work on a batch broke off. The next round tries again.
    #[error("publishing broke off: {0}")]
    Broken(io::Error),
}

/// What a round did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Round {
    /// Publications that were taken up.
    tried: usize,
    /// Those of them that are done.
    published: usize,
}

/// What went wrong with a file.
#[derive(Debug)]
enum Trouble {
    /// Nothing more than this publication is concerned.
    Own(io::Error),
    /// A sync failed.
    Sync(io::Error),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Trouble {
        Trouble::Own(error)
    }
}

impl From<DurableError> for Trouble {
    fn from(error: DurableError) -> Trouble {
        if error.is_failed_sync() { Trouble::Sync(error.into()) } else { Trouble::Own(error.into()) }
    }
}

/// Publications that came through a step, and those that did not.
type Sorted<T> = (Vec<T>, Vec<(PendingPublication, io::Error)>);

impl Publisher {
    /// A publisher into `exchange/<partner>/…`.
    pub fn new(store: Store, exchange: &Path, clock: Arc<dyn Clock>) -> Publisher {
        Publisher { store, exchange: exchange.into(), clock, waiting: Arc::default() }
    }

    /// Publishes whatever is pending until shutdown, and once more before it returns. It returns early only when the
    /// journal takes no more facts.
    pub async fn run(self, shutdown: Shutdown) {
        let mut swept: Option<Instant> = None;
        loop {
            let stopping = shutdown.is_triggered();
            match self.round(Instant::now()).await {
                // What failed waits at least two seconds, so this comes to an end.
                Ok(round) if round.tried > 0 => continue,
                Ok(_) if stopping => return,
                Ok(_) if swept.is_none_or(|at| at.elapsed() >= SWEPT_EVERY) => {
                    swept = Some(Instant::now());
                    self.sweep().await;
                }
                Ok(_) => {
                    let wait = self.waiting().shortest(Instant::now()).unwrap_or(IDLE);
                    self.idle(&shutdown, wait.min(IDLE)).await;
                }
                Err(PublishError::Broken(error)) if !stopping => {
                    tracing::error!(%error, "publication broke off and is retried");
                    self.idle(&shutdown, waiting::FIRST).await;
                }
                Err(error) => {
                    tracing::error!(%error, "publication stopped; what is staged stays until the next start");
                    return;
                }
            }
        }
    }

    async fn sweep(&self) {
        let this = self.clone();
        if let Ok(Err(error)) = drain::blocking(move || this.sweep_staging()).await {
            tracing::warn!(%error, "files that are not needed any more could not all be removed from .staged");
        }
    }

    async fn idle(&self, shutdown: &Shutdown, at_most: Duration) {
        let wake = self.store.wake_publications();
        tokio::select! {
            () = wake.notified() => {}
            () = shutdown.triggered() => {}
            () = tokio::time::sleep(at_most) => {}
        }
    }

    /// Publishes one batch; returns how many publications it finished. Those that failed are left out of the next
    /// batches for a while.
    ///
    /// # Errors
    /// Only what concerns every publication: a failed sync, a journal that takes no more facts.
    pub async fn publish_pending(&self) -> Result<usize, PublishError> {
        self.round(Instant::now()).await.map(|round| round.published)
    }

    async fn round(&self, now: Instant) -> Result<Round, PublishError> {
        if let Some(cause) = self.store.poisoned() {
            return Err(PublishError::Journal(CommitError::StorePoisoned(cause)));
        }
        let set_aside = self.waiting().at(now);
        let pending = self.store.pending_publications_but(BATCH, &|id, index| set_aside.contains(&(id, index)));
        let tried = pending.len();
        let (mut staged, to_stage): (Vec<_>, Vec<_>) =
            pending.into_iter().partition(|p| matches!(p.stage, PublicationStage::Staged));
        staged = self.step(now, staged, Publisher::mend).await?;
        let newly = self.step(now, to_stage, Publisher::stage).await?;
        staged.extend(self.record(now, newly, |p| Fact::Staged { index: p.index }).await?);
        let named = self.step(now, staged, Publisher::rename).await?;
        let fact = |(p, name): &(PendingPublication, String)| Fact::Published { index: p.index, name: name.clone() };
        let published = self.record(now, named, fact).await?;
        let mut waiting = self.waiting();
        published.iter().for_each(|(p, _)| waiting.done(p));
        Ok(Round { tried, published: published.len() })
    }

    /// Takes a batch through a step on the blocking pool; what fails there by itself is set aside.
    async fn step<T: Send + 'static>(
        &self,
        now: Instant,
        batch: Vec<PendingPublication>,
        work: fn(&Publisher, Vec<PendingPublication>) -> io::Result<Sorted<T>>,
    ) -> Result<Vec<T>, PublishError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let this = self.clone();
        let done = drain::blocking(move || work(&this, batch)).await;
        let (passed, failed) =
            done.map_err(|error| PublishError::Broken(io::Error::other(error)))?.map_err(|error| {
                self.store.poison(format!("exchange folders: {error}"));
                PublishError::Sync(error)
            })?;
        for (pending, error) in failed {
            self.set_aside(now, &pending, &error, durable::is_full(&error));
        }
        Ok(passed)
    }

    /// Commits a fact about each; returns those that were recorded.
    async fn record<T: AsRef<PendingPublication>>(
        &self,
        now: Instant,
        items: Vec<T>,
        fact: impl Fn(&T) -> Fact,
    ) -> Result<Vec<T>, PublishError> {
        if items.is_empty() {
            return Ok(items);
        }
        match self.commit(&items, &fact).await {
            Ok(()) => return Ok(items),
            Err(error) if is_final(&error) => return Err(PublishError::Journal(error)),
            Err(_) => {}
        }
        // One of them is refused; the others shall not wait for it.
        let mut recorded = Vec::with_capacity(items.len());
        for item in items {
            match self.commit(std::slice::from_ref(&item), &fact).await {
                Ok(()) => recorded.push(item),
                Err(error) if is_final(&error) => return Err(PublishError::Journal(error)),
                Err(error) => self.set_aside(now, item.as_ref(), &error, error == CommitError::NoSpace),
            }
        }
        Ok(recorded)
    }

    async fn commit<T: AsRef<PendingPublication>>(
        &self,
        items: &[T],
        fact: &impl Fn(&T) -> Fact,
    ) -> Result<(), CommitError> {
        let mut transaction = Transaction::new(self.clock.now());
        for item in items {
            transaction.fact(item.as_ref().message, fact(item));
        }
        self.store.commit(transaction).await.map(drop)
    }

    /// Leaves a publication out for a while; it is reported the first time.
    fn set_aside(&self, now: Instant, pending: &PendingPublication, error: &dyn std::error::Error, full: bool) {
        let longest = if full { waiting::UNTIL_ROOM } else { waiting::LONGEST };
        let unpublished = Unpublished {
            partner: pending.partner.clone(),
            folder: pending.publication.folder,
            since: self.clock.now(),
            cause: error.to_string(),
        };
        if self.waiting().failed((pending.message, pending.index), now, longest, unpublished) {
            tracing::error!(
                id = %pending.message, index = pending.index, partner = %pending.partner, %error, code = "not-published",
                "files of a message are not in {}/ and are retried: check space and permissions of the exchange folder",
                pending.publication.folder.name()
            );
        }
    }

    /// What failed and is not done yet.
    pub fn unpublished(&self) -> Vec<Unpublished> {
        self.waiting().unpublished()
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Step 1: every file of the batch lies in `.staged/` and survives a power cut. An error is that of a sync.
    fn stage(&self, batch: Vec<PendingPublication>) -> io::Result<Sorted<PendingPublication>> {
        let mut done = Vec::with_capacity(batch.len());
        let mut failed = Vec::new();
        let files: usize = batch.iter().map(|pending| pending.publication.files.len()).sum();
        let sync_each = files < SYNCFS_FROM;
        let mut folders = Folders::default();
        for pending in batch {
            let home = self.exchange.join(&pending.partner);
            let staging = home.join(STAGING);
            let staged = folders.staging(&self.store, &home, &pending.partner).map_err(Trouble::from);
            match staged.and_then(|()| self.stage_one(&staging, &pending, sync_each)) {
                Ok(()) => done.push((pending, vec![staging])),
                Err(Trouble::Own(error)) => failed.push((pending, error)),
                Err(Trouble::Sync(error)) => return Err(error),
            }
        }
        if !sync_each {
            for folder in one_of_each_filesystem(done.iter().flat_map(|(_, folders)| folders)) {
                match durable::sync_filesystem(folder).map_err(Trouble::from) {
                    Ok(()) => {}
                    Err(Trouble::Sync(error)) => return Err(error),
                    Err(Trouble::Own(error)) => {
                        failed.extend(done.into_iter().map(|(pending, _)| (pending, again(&error))));
                        return Ok((Vec::new(), failed));
                    }
                }
            }
        }
        let done = sync_folders(done, &mut failed, |pending| pending)?;
        let mut waiting = self.waiting();
        done.iter().for_each(|pending| waiting.see(pending, Seen::Staged));
        Ok((done, failed))
    }

    /// Writes the files of one publication and closes each at once, so that a batch needs few descriptors.
    fn stage_one(&self, staging: &Path, pending: &PendingPublication, sync: bool) -> Result<(), Trouble> {
        for (suffix, content) in &pending.publication.files {
            let path = naming::staged_path(staging, pending, suffix);
            let original = originals::take(staging, &pending.message, &path, content)?;
            let file = original.map_or_else(|| self.write_staged(&path, content), Ok)?;
            if sync {
                fault::at(&within("sync", staging), || file.sync_data()).map_err(Trouble::Sync)?;
            }
        }
        Ok(())
    }

    fn write_staged(&self, path: &Path, content: &Content) -> io::Result<File> {
        match content {
            // Nobody here reads it again.
            Content::Body(body) if body.len >= body::PAST_CACHE_FROM => {
                let mut out = PastCache::create(path, body.len)?;
                self.copy(body, &mut out)?;
                out.finish()
            }
            Content::Body(body) => {
                let mut bytes = Vec::with_capacity(usize::try_from(body.len).unwrap_or_default());
                self.copy(body, &mut bytes)?;
                write_whole(path, &bytes)
            }
            Content::Text(text) => write_whole(path, text.as_bytes()),
        }
    }

    fn copy(&self, body: &Body, out: &mut dyn Write) -> io::Result<()> {
        let mut reader = self.store.read_last(body)?;
        let copied = io::copy(&mut reader.by_ref().take(body.len), out)?;
        if copied == body.len {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a stored body is shorter than recorded"))
    }

    /// Step 3: companions first, the principal file last; then the folders are synced. An error is that of a sync.
    fn rename(&self, batch: Vec<PendingPublication>) -> io::Result<Sorted<(PendingPublication, String)>> {
        let mut done = Vec::with_capacity(batch.len());
        let mut failed = Vec::new();
        let mut folders = Folders::default();
        for pending in batch {
            match self.rename_one(&mut folders, &pending) {
                Ok((name, touched)) => done.push(((pending, name), touched)),
                Err(Trouble::Own(error)) => failed.push((pending, error)),
                Err(Trouble::Sync(error)) => return Err(error),
            }
        }
        let done = sync_folders(done, &mut failed, |(pending, _)| pending)?;
        Ok((done, failed))
    }

    /// The name of a publication's principal file, and the folders to sync. The destination comes first: a power cut
    /// between the two shows the file under both names.
    fn rename_one(
        &self,
        folders: &mut Folders,
        pending: &PendingPublication,
    ) -> Result<(String, Vec<PathBuf>), Trouble> {
        let home = self.exchange.join(&pending.partner);
        let (staging, target) = (home.join(STAGING), home.join(pending.publication.folder.name()));
        folders.make(&target)?;
        let principal = naming::staged_path(&staging, pending, "");
        let taken_away = match self.waiting().seen(pending) {
            Some(Seen::Staged) => !naming::is_staged(&staging, pending),
            Some(Seen::Renamed) => false,
            // Nothing but the folder that it was put into tells that it was renamed.
            None => naming::is_gone(&staging),
        };
        if taken_away {
            return Err(Trouble::Own(io::Error::new(io::ErrorKind::NotFound, "a staged file was taken away")));
        }
        // Whatever breaks off from here on, it may have its name.
        self.waiting().forget(pending);
        let name = naming::rename_group(&staging, &target, pending);
        match &name {
            Ok(_) => self.waiting().see(pending, Seen::Renamed),
            Err(_) if naming::is_gone(&principal) => {}
            Err(_) => self.waiting().see(pending, Seen::Staged),
        }
        Ok((name?, vec![target, staging]))
    }
}

/// A file with these bytes, not synced yet.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<File> {
    let folder = path.parent().unwrap_or(path);
    fault::at(&within("create", folder), || Ok(()))?;
    let mut staged = Staged { file: File::create(path)?, folder };
    staged.write_all(bytes)?;
    Ok(staged.file)
}

/// A file in a staging folder.
struct Staged<'a> {
    file: File,
    folder: &'a Path,
}

impl Write for Staged<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        fault::write(&within("write", self.folder), &mut self.file, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The same error for one more publication.
fn again(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), error.to_string())
}

/// The journal takes nothing more, whatever it is given.
fn is_final(error: &CommitError) -> bool {
    matches!(error, CommitError::StorePoisoned(_) | CommitError::Closed)
}

impl AsRef<PendingPublication> for PendingPublication {
    fn as_ref(&self) -> &PendingPublication {
        self
    }
}

impl AsRef<PendingPublication> for (PendingPublication, String) {
    fn as_ref(&self) -> &PendingPublication {
        &self.0
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests put files of others in the way")]
mod tests;
